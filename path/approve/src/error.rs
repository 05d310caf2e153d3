//! What can go wrong with an approval, and what its asker or approver is told.

use model::{Awaited, Code, Refusal};
use record::LedgerError;
use store::StoreError;

use crate::approval::{Approval, ApprovalId, Refused, State};

/// Why something was not done to an approval.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be recorded.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is none by this id, or it is so long closed that it is forgotten.
    #[error("no approval has the id {0}")]
    NotFound(ApprovalId),
    /// It cannot take this step. How it stands.
    #[error("the approval is {state}: {0:?}", state = .1.state.as_str())]
    Refused(Refused, Box<Approval>),
    /// As many wait as may.
    #[error("{0} approvals wait already, of {1}")]
    Full(u64, &'static str),
    /// What is asked is described by more than an approval can hold.
    #[error("the request's facts are more than an approval can hold")]
    TooLarge,
    /// Others changed it again and again meanwhile.
    #[error("the approval changes too fast")]
    Contended,
    /// The proof is of another exchange: a proof opens no other door.
    #[error("the proof and the record are of different exchanges")]
    Mismatch,
}

impl ApproveError {
    /// What the caller is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Store(fault) => Refusal::new(Code::StateUnavailable).retry_after(5).detail(fault),
            Self::Ledger(fault) => Refusal::new(Code::LedgerUnavailable).retry_after(5).detail(fault),
            Self::NotFound(_) => Refusal::new(Code::NotFound).because("No approval has this id."),
            Self::Refused(why, approval) => refused(*why, approval),
            Self::Full(..) => Refusal::new(Code::TooManyRequests)
                .because("As many requests wait for approval as may.")
                .retry_after(30)
                .detail(self),
            Self::TooLarge => Refusal::new(Code::RequestTooLarge)
                .because("This request does more things than one approval can describe."),
            Self::Contended => Refusal::new(Code::StateUnavailable).retry_after(1).detail(self),
            Self::Mismatch => Refusal::new(Code::Internal).detail(self),
        }
    }
}

/// What an approver is told whose word does not count.
fn refused(why: Refused, approval: &Approval) -> Refusal {
    let reason = match why {
        Refused::Closed => match &approval.state {
            State::Denied { .. } => "This is denied already.",
            State::Released { .. } => "This was approved and used already.",
            State::Expired | State::Waiting | State::Approved => "This has expired.",
        },
        Refused::Own => "Nobody approves what they ask themselves, also not under another name.",
        Refused::TooFew => "Too few have consented.",
        Refused::NotAPerson => "Only people approve.",
        Refused::OtherDigest => "This is not what you were shown.",
        Refused::Reason => {
            return Refusal::new(Code::RequestMalformed)
                .because("A denial needs a reason, and a reason has at most 2000 bytes.");
        }
    };
    Refusal::new(Code::ApprovalConflict).because(reason)
}

/// What the requester of a closed or waiting approval is told.
pub(crate) fn told(approval: &Approval, url: Option<String>) -> Refusal {
    let about = Awaited { id: approval.id.to_string(), url };
    let policies = approval.policies.iter().map(|reason| reason.policy.clone()).collect();
    let refusal = match &approval.state {
        State::Waiting | State::Approved => {
            let people = people(approval.needed);
            let at = about.url.as_ref().map(|url| format!(" They find it at {url} .")).unwrap_or_default();
            Refusal::new(Code::ApprovalPending)
                .because(format!("This waits for the approval of {people}.{at}"))
                .retry_after(PENDING_RETRY)
        }
        State::Denied { by } => Refusal::new(Code::ApprovalDenied)
            .because(format!("An approver denied this request: {}", line(&by.reason)))
            .detail(format!("denied by {}", by.entity_id())),
        State::Expired => Refusal::new(Code::ApprovalExpired),
        State::Released { .. } => Refusal::new(Code::ApprovalVoid)
            .because("This approval was used for an identical request; this one needs its own."),
    };
    refusal.by_policies(policies).about(about)
}

/// Seconds after which a waiting request is worth another try: SDKs follow it up to 60.
const PENDING_RETRY: u32 = 2;

/// So many persons, in words.
pub(crate) fn people(needed: u8) -> String {
    if needed == 1 { "one person".to_owned() } else { format!("{needed} people") }
}

/// Text that one line of an answer can hold.
fn line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
