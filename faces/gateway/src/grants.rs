//! Memberships for a while: asked for, begun when enough people consented, ended when their time is over.
//!
//! What waits for consent is an approval like any other. A task of the gateway begins what was approved and
//! ends what is over, from what lies in the store: a gateway that dies in between loses neither.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use approve::{
    Approval, ApprovalId, Approvals, ApproveError, Asked, Asking, Digest, Petition, State, Wanted, Which,
};
use authenticate::standing::{Grant, StandingError};
use authorize::{Joined, Membership};
use jiff::{SignedDuration, Timestamp};
use model::{Code, ExchangeId, Identity, Refusal};
use record::{Approving, Word};
use store::{Cursor, MAX_PAGE, StoreError};
use tokio_util::sync::CancellationToken;

use crate::Gateway;

/// How often what is over is looked for, and the store for what was approved elsewhere.
const EVERY: Duration = Duration::from_millis(250);
/// The longest membership that can be asked for, in minutes: 30 days. Policies say less.
pub const MOST_MINUTES: u32 = 30 * 24 * 60;
/// The longest name of a group, in bytes.
const MOST_GROUP: usize = 255;
/// The longest reason, in bytes.
const MOST_REASON: usize = 1000;

/// What somebody wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// To be in this group
    pub group: String,
    /// for so many minutes,
    pub minutes: u32,
    /// for this reason.
    pub reason: String,
}

impl Wish {
    /// A wish, its parts within their bounds.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn new(group: &str, minutes: u32, reason: &str) -> Result<Self, String> {
        let (group, reason) = (group.trim(), reason.trim());
        let line = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        if !line(group) || group.len() > MOST_GROUP {
            return Err(format!("a group's name is one line of at most {MOST_GROUP} bytes"));
        }
        if !(1..=MOST_MINUTES).contains(&minutes) {
            return Err(format!("a membership lasts 1 to {MOST_MINUTES} minutes"));
        }
        if !line(reason) || reason.len() > MOST_REASON {
            return Err(format!("a reason is needed: one line of at most {MOST_REASON} bytes"));
        }
        Ok(Self { group: group.to_owned(), minutes, reason: reason.to_owned() })
    }

    /// As policy is asked about it.
    pub fn membership(&self) -> Membership<'_> {
        Membership { group: &self.group, minutes: self.minutes }
    }
}

/// What became of a wish.
#[derive(Debug)]
pub enum Wished {
    /// It is granted: policy asks for nobody's consent.
    Granted(Box<Grant>),
    /// It waits for consent.
    Waits(Box<Approval>),
}

impl Gateway {
    /// Asks for a membership. `requester` is who asks as their token alone says: one membership is no ground
    /// for another.
    ///
    /// # Errors
    /// A refusal when the same was denied of late, too much waits, or it could not be written down.
    pub async fn wish(
        &self,
        asking: &Asking,
        requester: &Arc<Identity>,
        wish: Wish,
        client: IpAddr,
    ) -> Result<Wished, Refusal> {
        if asking.needed() == 0 {
            let began = self.clock.now();
            let grant = new_grant(asking.exchange().to_string(), requester, &wish, began, Vec::new());
            let granted = self.standing().grant(&grant).await.map_err(|fault| told(&fault))?;
            self.note(&granted, "granted", None).await?;
            return Ok(Wished::Granted(Box::new(granted)));
        }
        let digest = Digest::of_membership(requester, &wish.group, wish.minutes);
        let Wish { group, minutes, reason } = wish;
        let petition = Petition {
            exchange: None,
            requester: Arc::clone(requester),
            wanted: Wanted::Membership { group, minutes, reason, client },
            digest,
            needed: asking.needed(),
            policies: asking.policies().to_vec(),
        };
        match self.approvals().ask(&petition).await.map_err(|fault| fault.refusal())? {
            Asked::Open(mut watch) => Ok(Wished::Waits(Box::new(Approval::clone(&watch.now())))),
            Asked::Denied(approval) => Err(self.approvals().refusal(&approval)),
        }
    }

    /// Takes a membership back: from the next request on it holds no more, and what runs with it ends.
    ///
    /// # Errors
    /// `not_found` when none of this id lives, or why it could not be written down.
    pub async fn revoke_grant(
        &self,
        id: &str,
        (by, client, act): (&Identity, IpAddr, ExchangeId),
        reason: Option<&str>,
    ) -> Result<Grant, Refusal> {
        let ended = self.standing().end_grant(id, Some(&by.entity_id()), reason).await;
        let Some(grant) = ended.map_err(|fault| told(&fault))? else {
            return Err(Refusal::new(Code::NotFound).because("No membership of this id lives."));
        };
        let word = Word {
            issuer: &by.issuer,
            issuer_name: &by.issuer_name,
            subject: &by.subject,
            email: by.email.as_deref(),
            token: &by.token.digest,
            at: self.clock.now(),
            client,
            via: "api",
            reason: reason.unwrap_or_default(),
            act: Some(act),
        };
        self.note(&grant, "revoked", Some(word)).await?;
        Ok(grant)
    }

    /// Writes into the ledger what happened to a membership.
    async fn note(&self, grant: &Grant, event: &'static str, word: Option<Word<'_>>) -> Result<(), Refusal> {
        let who = grant.entity_id();
        let id = ExchangeId::parse(&grant.id).map(|id| *id.as_bytes()).unwrap_or_default();
        let approving = Approving {
            id,
            event,
            exchange: None,
            digest: [0; 32],
            resource: &format!("group/{}", grant.group),
            requester: &who,
            owner: None,
            needed: u8::try_from(grant.consents.len()).unwrap_or(u8::MAX),
            words: word.into_iter().collect(),
            decision: None,
            expires: grant.ends,
        };
        metrics::counter!("portcullis_grants_total", "event" => event).increment(1);
        let noted = self.ledger.approval(approving).await;
        noted.map_err(|fault| Refusal::new(Code::LedgerUnavailable).retry_after(5).detail(fault))
    }
}

/// What a caller is told whose wish could not be written down.
fn told(fault: &StandingError) -> Refusal {
    match fault {
        StandingError::Unfit(why) => Refusal::new(Code::RequestMalformed).because(format!("{why}.")),
        fault => Refusal::new(Code::StateUnavailable).retry_after(5).detail(fault),
    }
}

fn new_grant(
    id: String,
    requester: &Identity,
    wish: &Wish,
    began: Timestamp,
    consents: Vec<String>,
) -> Grant {
    let lasts = SignedDuration::from_mins(i64::from(wish.minutes));
    Grant {
        id,
        issuer: requester.issuer.clone(),
        subject: requester.subject.clone(),
        name: requester.email.clone().or_else(|| requester.display.clone()),
        group: wish.group.clone(),
        reason: wish.reason.clone(),
        began,
        ends: began.checked_add(lasts).unwrap_or(began),
        consents,
        over: None,
    }
}

/// Begins what was approved and ends what is over, until the gateway drains.
pub(crate) async fn keep(gateway: Arc<Gateway>, drain: CancellationToken) {
    let mut keeper = Keeper { gateway, cursor: None, waiting: BTreeSet::new(), failing: false };
    let mut ticks = keeper.gateway.approvals().ticks();
    loop {
        let kept = keeper.look().await;
        match kept {
            Ok(()) => keeper.failing = false,
            Err(fault) => {
                if !std::mem::replace(&mut keeper.failing, true) {
                    tracing::warn!(%fault, "memberships cannot be begun or ended; it is tried again");
                }
            }
        }
        tokio::select! {
            () = drain.cancelled() => return,
            _ = ticks.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

struct Keeper {
    gateway: Arc<Gateway>,
    cursor: Option<Cursor>,
    /// Approved, and not begun yet.
    waiting: BTreeSet<ApprovalId>,
    failing: bool,
}

impl Keeper {
    async fn look(&mut self) -> Result<(), ApproveError> {
        self.follow().await?;
        for id in self.waiting.clone() {
            self.begin(id).await?;
        }
        let standing = self.gateway.standing();
        for grant in standing.grants_past() {
            match standing.end_grant(&grant.id, None, None).await {
                Ok(Some(ended)) => {
                    if let Err(refusal) = self.gateway.note(&ended, "ended", None).await {
                        tracing::error!(grant = %ended.id, %refusal, "the end of a membership is not in the ledger");
                    }
                }
                // Another replica noted it first.
                Ok(None) => {}
                Err(StandingError::Store(fault)) => return Err(fault.into()),
                Err(fault) => tracing::warn!(grant = %grant.id, %fault, "a membership's end cannot be noted"),
            }
        }
        Ok(())
    }

    /// Takes note of memberships that are approved, or were begun a moment ago by somebody who died then.
    async fn follow(&mut self) -> Result<(), ApproveError> {
        let approvals = Arc::clone(self.gateway.approvals());
        let mut cursor = match self.cursor {
            Some(cursor) => cursor,
            None => {
                let cursor = approvals.cursor().await?;
                for which in [Which::Open, Which::Closed] {
                    let mut after = None;
                    loop {
                        let page = approvals.list(which, after.as_deref(), MAX_PAGE).await?;
                        page.approvals.iter().for_each(|approval| self.heard(approval));
                        match page.next {
                            Some(next) => after = Some(next),
                            None => break,
                        }
                    }
                }
                cursor
            }
        };
        loop {
            match approvals.changes(cursor, MAX_PAGE).await {
                Ok(changes) => {
                    changes.approvals.iter().for_each(|approval| self.heard(approval));
                    cursor = changes.next;
                    self.cursor = Some(cursor);
                    if !changes.more {
                        return Ok(());
                    }
                }
                Err(ApproveError::Store(StoreError::CursorLost)) => {
                    self.cursor = None;
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn heard(&mut self, approval: &Approval) {
        let Wanted::Membership { .. } = approval.wanted else { return };
        match approval.state {
            State::Approved | State::Released { .. } => {
                self.waiting.insert(approval.id);
            }
            _ => {
                self.waiting.remove(&approval.id);
            }
        }
    }

    /// Begins one membership: by the policies of now, counted from the last consent.
    async fn begin(&mut self, id: ApprovalId) -> Result<(), ApproveError> {
        let (gateway, approvals) = (Arc::clone(&self.gateway), Arc::clone(self.gateway.approvals()));
        let Some(approval) = approvals.get(id).await? else {
            self.waiting.remove(&id);
            return Ok(());
        };
        let Wanted::Membership { group, minutes, reason, client } = &approval.wanted else { return Ok(()) };
        let wish = Wish { group: group.clone(), minutes: *minutes, reason: reason.clone() };
        match approval.state {
            State::Approved => {
                if !self.may_begin(&approvals, &approval, &wish, *client).await? {
                    return Ok(());
                }
            }
            State::Released { .. } => {}
            _ => {
                self.waiting.remove(&id);
                return Ok(());
            }
        }
        self.waiting.remove(&id);
        let approved = approval.consents.iter().map(|by| by.at).max().unwrap_or(approval.since);
        let consents = approval.consents.iter().map(approve::Signature::entity_id).collect();
        let grant = new_grant(id.to_string(), &approval.requester, &wish, approved, consents);
        if !grant.is_live(gateway.clock.now()) {
            return Ok(());
        }
        match gateway.standing().grant(&grant).await {
            Ok(_) => metrics::counter!("portcullis_grants_total", "event" => "granted").increment(1),
            Err(StandingError::Store(fault)) => {
                self.waiting.insert(id);
                return Err(fault.into());
            }
            Err(fault) => tracing::error!(approval = %id, %fault, "an approved membership cannot begin"),
        }
        Ok(())
    }

    /// Whether it may: then its approval is used.
    async fn may_begin(
        &mut self,
        approvals: &Approvals,
        approval: &Approval,
        wish: &Wish,
        client: IpAddr,
    ) -> Result<bool, ApproveError> {
        let consents = approval.given(&approvals.settings().people);
        let authorizer = self.gateway.authorizer();
        match authorizer.join_again(&approval.requester, wish.membership(), client, consents) {
            Joined::Permitted(_) => match approvals.begin(approval.id, consents, &approval.digest).await {
                Ok(()) => Ok(true),
                // Another replica was first, and begins it.
                Err(ApproveError::Refused(..) | ApproveError::NotFound(_)) => Ok(false),
                Err(fault) => Err(fault),
            },
            Joined::Needs(needed) => {
                self.waiting.remove(&approval.id);
                approvals.need(approval.id, needed).await.map(|_| false)
            }
            Joined::Denied(refusal) => {
                // It expires by itself, unless policies change again.
                tracing::debug!(approval = %approval.id, %refusal, "policy does not permit this membership any more");
                Ok(false)
            }
        }
    }
}
