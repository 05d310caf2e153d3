//! The rules themselves: one snapshot of them, and how the store spells them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use model::{Clock, from_hex, hex};
use serde::{Deserialize, Serialize};
use store::{Entry, StoreError};

use super::grants::Grants;
use super::live::Who;
use crate::digest::Digest;

/// Under which the rules lie in the store: the request path's snapshot follows this prefix alone.
pub(super) const PREFIX: &str = "standing/";

/// What a rule is about; its name is the part of its key behind [`PREFIX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A caller, blocked.
    Block,
    /// A caller's tokens, revoked by an operator.
    Revoke,
    /// A caller who logged out at the issuer.
    Logout,
    /// A session that was logged out.
    Session,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Block, Self::Revoke, Self::Logout, Self::Session];

    fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Revoke => "revoke",
            Self::Logout => "logout",
            Self::Session => "session",
        }
    }

    /// Where the rule of this kind on `about` lies.
    pub(super) fn key(self, about: &Digest) -> String {
        format!("{PREFIX}{}/{}", self.name(), hex(about))
    }

    fn read(key: &str) -> Option<(Self, Digest)> {
        let (name, about) = key.strip_prefix(PREFIX)?.split_once('/')?;
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name)?;
        Some((kind, from_hex(about)?))
    }
}

/// A caller is shut out until unblocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The issuer's URL.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// Why, for operators; the caller is not told.
    pub reason: Option<String>,
    /// Who blocked.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

/// A caller's tokens from before an instant are refused; newer ones are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The issuer's URL.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// Tokens whose `iat` is before this are refused, and those without `iat`.
    pub before: Timestamp,
    /// Why, for operators.
    pub reason: Option<String>,
    /// Who revoked.
    pub by: String,
    /// When that was done.
    pub at: Timestamp,
}

/// What the issuer said of a caller's sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Logout {
    /// All tokens from before this are refused,
    pub(super) before: Option<Timestamp>,
    /// and from before this those that name no session: they may be of one that was ended.
    pub(super) before_without_session: Option<Timestamp>,
}

/// A session that was ended: its key says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionEnd {
    pub(super) at: Timestamp,
}

/// Why somebody with a good token is shut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Blocked(Arc<Block>),
    Revoked(Arc<Revocation>),
    LoggedOut,
    /// Nobody can say: the store cannot be read.
    Unknown,
}

/// One snapshot of all rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    callers: HashMap<Digest, CallerRules>,
    /// Sessions that were ended, and when that need not be known any more.
    sessions: HashMap<Digest, Option<Timestamp>>,
    /// Who is in a group for a while.
    pub(super) grants: Grants,
    /// The store was not readable for too long.
    pub(super) lost: bool,
}

#[derive(Clone, Debug, Default)]
struct CallerRules {
    block: Option<Arc<Block>>,
    revoked: Option<Arc<Revocation>>,
    logout: Option<Logout>,
}

impl Rules {
    pub(super) fn len(&self) -> usize {
        self.callers.len().saturating_add(self.sessions.len()).saturating_add(self.grants.len())
    }

    /// The same while the store is lost, or is not any more.
    pub(super) fn with_lost(&self, lost: bool) -> Self {
        Self { lost, ..self.clone() }
    }

    pub(super) fn block(&self, caller: &Digest) -> Option<&Arc<Block>> {
        self.callers.get(caller)?.block.as_ref()
    }

    pub(super) fn revocation(&self, caller: &Digest) -> Option<&Arc<Revocation>> {
        self.callers.get(caller)?.revoked.as_ref()
    }

    /// Why the bearer of a token is shut out, if it is.
    pub(super) fn judge(&self, who: &Who) -> Option<Ended> {
        if self.lost {
            return Some(Ended::Unknown);
        }
        if self.callers.is_empty() && self.sessions.is_empty() {
            return None;
        }
        if let Some(rules) = self.callers.get(&who.caller) {
            if let Some(block) = &rules.block {
                return Some(Ended::Blocked(Arc::clone(block)));
            }
            if let Some(revoked) = rules.revoked.as_ref().filter(|revoked| who.is_from_before(revoked.before))
            {
                return Some(Ended::Revoked(Arc::clone(revoked)));
            }
            if rules.logout.is_some_and(|logout| logout.ends(who)) {
                return Some(Ended::LoggedOut);
            }
        }
        let session = who.session.as_ref()?;
        self.sessions.contains_key(session).then_some(Ended::LoggedOut)
    }

    /// Takes over what the store says at `key`.
    ///
    /// # Errors
    /// [`StoreError::Value`] when it is no rule: what it forbids is not known, so nothing may pass.
    pub(super) fn apply(
        &mut self,
        key: &str,
        entry: Option<&Entry>,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        if Grants::are_at(key) {
            return self.grants.apply(key, entry, clock);
        }
        let Some((kind, about)) = Kind::read(key) else {
            let why = "no rule has such a name; is the state of a newer version?".to_owned();
            return Err(StoreError::Value { key: key.to_owned(), why });
        };
        if kind == Kind::Session {
            match entry {
                Some(entry) => self.sessions.insert(about, entry.expires),
                None => self.sessions.remove(&about),
            };
            return Ok(());
        }
        let rules = self.callers.entry(about).or_default();
        match kind {
            Kind::Block => rules.block = entry.map(Entry::read).transpose()?.map(Arc::new),
            Kind::Revoke => rules.revoked = entry.map(Entry::read).transpose()?.map(Arc::new),
            Kind::Logout => rules.logout = entry.map(Entry::read).transpose()?,
            Kind::Session => {}
        }
        if rules.block.is_none() && rules.revoked.is_none() && rules.logout.is_none() {
            self.callers.remove(&about);
        }
        Ok(())
    }
}

impl Logout {
    fn ends(&self, who: &Who) -> bool {
        self.before.is_some_and(|before| who.is_from_before(before))
            || (who.session.is_none()
                && self.before_without_session.is_some_and(|before| who.is_from_before(before)))
    }

    /// Both together: the later of each.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            before: self.before.max(other.before),
            before_without_session: self.before_without_session.max(other.before_without_session),
        }
    }
}
