//! The step *approve* of a call that needs consent. It does not wait: its caller is told that an approval waits,
//! and makes the same call again when people have given it. What was consented to is the whole call.

use std::sync::Arc;

use approve::{Approvals, ApproveError, Asked, Cleared, Digest, Petition, Release, State, Wanted};
use authorize::{Object, Permit, Renewed};
use model::{Facts, Question, Refusal};
use record::Record;

use crate::Admin;
use crate::table::Route;

/// How often an approval is asked for anew when another call used it meanwhile.
const TRIES: usize = 3;

/// A call that would do something.
pub(crate) struct Doing<'a> {
    pub(crate) route: &'a Route,
    pub(crate) object: &'a Object,
    pub(crate) facts: &'a Facts,
    pub(crate) question: &'a Question,
}

/// What a look at the approval led to.
enum Turn {
    Cleared(Cleared),
    /// Another call used it: this one needs its own.
    Again,
}

impl Doing<'_> {
    /// Clears the call if people consented to it, once; asks them if nobody did.
    ///
    /// # Errors
    /// `approval_pending` while it waits, or why it may not be done.
    pub(crate) async fn with_consent(
        &self,
        admin: &Admin,
        permit: Permit,
        record: &Record,
    ) -> Result<Cleared, Refusal> {
        let book = admin.gateway.approvals();
        let petition = self.petition(&permit);
        for _ in 0..TRIES {
            if let Turn::Cleared(cleared) = self.look(book, &petition, &permit, record).await? {
                return Ok(cleared);
            }
        }
        Err(ApproveError::Contended.refusal())
    }

    async fn look(
        &self,
        book: &Approvals,
        petition: &Petition,
        permit: &Permit,
        record: &Record,
    ) -> Result<Turn, Refusal> {
        let told = |fault: ApproveError| fault.refusal();
        let approval = match book.ask(petition).await.map_err(told)? {
            Asked::Open(mut watch) => watch.now(),
            Asked::Denied(approval) => return Err(book.refusal(&approval)),
        };
        if approval.state != State::Approved {
            return Err(book.refusal(&approval));
        }
        let given = approval.given(&book.settings().people);
        match permit.renew_act(self.route.act, self.object, self.facts, given) {
            Renewed::Permitted(renewal) => {
                match book.release(approval.id, *renewal, &petition.digest, record).await.map_err(told)? {
                    Release::Cleared(cleared) => Ok(Turn::Cleared(cleared)),
                    Release::NotNow(approval) if approval.state.is_open() => Err(book.refusal(&approval)),
                    Release::NotNow(_) => Ok(Turn::Again),
                }
            }
            Renewed::Needs(more) => match book.need(approval.id, more).await {
                Ok(approval) => Err(book.refusal(&approval)),
                Err(ApproveError::Refused(..)) => Ok(Turn::Again),
                Err(fault) => Err(fault.refusal()),
            },
            Renewed::Denied(refusal) => Err(*refusal),
        }
    }

    fn petition(&self, permit: &Permit) -> Petition {
        let on = match self.object {
            Object::Resource { name, kind } => Some((name.clone(), kind.clone())),
            Object::Area(_) | Object::Caller(_) | Object::Session { .. } => None,
        };
        Petition {
            exchange: Some(permit.exchange()),
            requester: Arc::clone(permit.identity()),
            wanted: Wanted::Act {
                act: self.route.act,
                area: self.route.area,
                on,
                method: self.question.method().to_string(),
                path: self.question.path().to_owned(),
            },
            digest: Digest::of_act(permit.identity(), self.question),
            needed: permit.approvals_needed(),
            policies: permit.decision().reasons().cloned().collect(),
        }
    }
}
