//! The bearer of one token, for as long as an exchange of theirs lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use model::Identity;
use tokio::sync::watch;

use super::{Granted, Seen, Standing};
use crate::digest::{Digest, of_pair};
use crate::{AuthenticateError, Caller};

/// How long a grant's end may be waited for without a look at the clocks: either may be set meanwhile.
const LOOKED_AGAIN: Duration = Duration::from_millis(500);

/// What the rules need to know of a token: who bears it, when it was issued, of which session it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// Of issuer and subject.
    pub(crate) caller: Digest,
    /// Of issuer and `sid`.
    pub(crate) session: Option<Digest>,
    pub(crate) issued_at: Option<Timestamp>,
}

impl Who {
    pub(crate) fn new(identity: &Identity, session: Option<&str>) -> Self {
        Self {
            caller: of_pair(&identity.issuer, &identity.subject),
            session: session.map(|session| of_pair(&identity.issuer, session)),
            issued_at: identity.token.issued_at,
        }
    }

    /// Whether the token was issued before `at`. One that does not say counts as that old.
    pub(crate) fn is_from_before(&self, at: Timestamp) -> bool {
        self.issued_at.is_none_or(|issued| issued < at)
    }
}

/// Says whether, and when, the bearer of a token is shut out while an exchange of theirs lives.
pub struct Live<'s> {
    standing: &'s Standing,
    bearer: Arc<Seen>,
    /// What it began with beside its token.
    granted: Granted,
    /// The rules' generation that was last looked at.
    seen: u64,
    changes: Option<watch::Receiver<()>>,
}

impl Standing {
    /// Says when `caller` is shut out while an exchange of theirs lives.
    pub fn live(&self, caller: &Caller) -> Live<'_> {
        // Ahead of every generation there will be: the first look is always taken.
        Live {
            standing: self,
            bearer: Arc::clone(caller.seen()),
            granted: caller.granted().clone(),
            seen: u64::MAX,
            changes: None,
        }
    }
}

impl Live<'_> {
    /// Why the exchange must end now, if it must. Costs one atomic read while no rule changes, and a look
    /// at the clock for who has a grant.
    pub fn ended(&mut self) -> Option<Box<AuthenticateError>> {
        let now = self.standing.generation.load(Ordering::Acquire);
        if now != self.seen {
            self.seen = now;
            if let Some(ended) = self.standing.judge(&self.bearer.who) {
                return Some(Box::new(AuthenticateError::shut_out(ended)));
            }
        }
        let over = self.standing.over(&self.bearer.who.caller, &self.granted)?;
        Some(Box::new(AuthenticateError::GrantOver {
            group: over.grant.group.clone(),
            ends: over.grant.ends,
        }))
    }

    /// Waits until the exchange must end, and says why. Registers a waiter only when it is polled.
    pub async fn until_ended(&mut self) -> Box<AuthenticateError> {
        loop {
            // What changes after this wakes the wait below.
            self.changes.get_or_insert_with(|| self.standing.changed.subscribe()).borrow_and_update();
            if let Some(ended) = self.ended() {
                return ended;
            }
            let Some(changes) = &mut self.changes else { continue };
            let holds_for = self.standing.holds_for(&self.granted);
            let over = async {
                match holds_for {
                    Some(left) => tokio::time::sleep(left.min(LOOKED_AGAIN)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        // Unreachable while `standing` is held; to wait for ever is to change nothing.
                        std::future::pending::<()>().await;
                    }
                }
                () = over => {}
            }
        }
    }
}
