//! One approval, and every step it can take: no clock, no store, nobody to tell.
//!
//! ```text
//! waiting ──consents──▶ approved ──release──▶ released
//!    │  ▲                │  │
//!    │  └───more needed──┘  │
//!    └──deny or expire──────┴──▶ denied, expired
//! ```

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use model::{Act, ExchangeId, Identity, Marks, Operation, People, PolicyReason, ResourceName, persons};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The most persons whose consent a policy asks for, or is given.
pub const MAX_CONSENTS: usize = 16;
/// How many exchanges that wait for an approval are remembered in it, the latest.
pub const MAX_EXCHANGES: usize = 32;
/// The longest reason, in bytes.
pub const MAX_REASON: usize = 2000;

/// An approval's name: a UUIDv7, so names sort by the time they were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(ExchangeId);

impl ApprovalId {
    /// A new name.
    pub fn at(at: Timestamp) -> Self {
        Self(ExchangeId::at(at))
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        ExchangeId::parse(text).map(Self)
    }

    /// The sixteen bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where an approval stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Too few have consented.
    Waiting,
    /// Enough have consented; it can be used once.
    Approved,
    /// Somebody denied it. Final.
    Denied {
        /// Who, with the reason.
        by: Box<Signature>,
    },
    /// It was used. Final.
    Released {
        /// By this exchange, if it was for one.
        exchange: Option<ExchangeId>,
        /// When.
        at: Timestamp,
    },
    /// Nobody used it in time. Final.
    Expired,
}

impl State {
    /// Whether anything can still happen to it.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::Approved)
    }

    /// The word for it: `waiting`, `approved`, `denied`, `released` or `expired`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied { .. } => "denied",
            Self::Released { .. } => "released",
            Self::Expired => "expired",
        }
    }
}

/// How somebody gave their word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// On the approval's page.
    Page,
    /// With the command line.
    Cli,
    /// By the administration's interface.
    Api,
}

impl Via {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Cli => "cli",
            Self::Api => "api",
        }
    }
}

/// One person's word, for or against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The issuer's URL.
    pub issuer: String,
    /// Its name in the configuration.
    pub issuer_name: String,
    /// The subject.
    pub subject: String,
    /// The e-mail address, if the issuer vouches for one.
    pub email: Option<String>,
    /// A name for people to read.
    pub display: Option<String>,
    /// The digest of the token it was given with.
    pub token: String,
    /// Who that is, by the configuration of then.
    pub marks: Marks,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub client: IpAddr,
    /// How.
    pub via: Via,
    /// Why. May be empty for a consent.
    pub reason: String,
    /// What it was given to. It is the approval's own.
    pub digest: Digest,
    /// The call it was given in.
    pub act: Option<ExchangeId>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
pub enum Wanted {
    /// One request to a resource.
    Request {
        /// The resource.
        resource: ResourceName,
        /// Its kind as configured.
        kind: String,
        /// What the request would do, with what policies may weigh of it.
        operations: Vec<Operation>,
    },
    /// One act on Portcullis itself, on a resource.
    Act {
        /// The act.
        act: Act,
        /// The resource it is on.
        resource: ResourceName,
        /// Its kind as configured.
        kind: String,
    },
    /// To be in a group for a while.
    Membership {
        /// The group.
        group: String,
        /// For how long, from the approval on.
        minutes: u32,
        /// Why.
        reason: String,
        /// From where it was asked.
        client: IpAddr,
    },
}

impl Wanted {
    /// What it is for, in a word: the resource, or `group/NAME`, which no resource can be called.
    pub fn name(&self) -> String {
        match self {
            Self::Request { resource, .. } | Self::Act { resource, .. } => resource.to_string(),
            Self::Membership { group, .. } => format!("group/{group}"),
        }
    }
}

/// The consent of humans to one thing that somebody asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// What is asked.
    pub wanted: Wanted,
    /// What it binds.
    pub digest: Digest,
    /// Who asks, as their token said.
    pub requester: Identity,
    /// Who answers for the requester, where it is a program and somebody is known.
    pub owner: Option<String>,
    /// Everybody who asks, by the configuration of then: the requester, and who answers for it.
    pub marks: Marks,
    /// How many persons must consent.
    pub needed: u8,
    /// The policies that permit it with so many consents, with their sentences.
    pub policies: Vec<PolicyReason>,
    /// Who consented.
    pub consents: Vec<Signature>,
    /// Since when it waits.
    pub since: Timestamp,
    /// When it ends, whatever happens.
    pub expires: Timestamp,
    /// The exchanges that asked for it, oldest first: the latest [`MAX_EXCHANGES`]. What they asked is in
    /// the ledger.
    pub exchanges: Vec<ExchangeId>,
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is denied, released or expired.
    Closed,
    /// Nobody approves their own.
    Own,
    /// Too few have consented.
    TooFew,
    /// Only people approve.
    NotAPerson,
    /// What was signed is something else.
    OtherDigest,
    /// A denial needs a reason, and no reason is longer than [`MAX_REASON`].
    Reason,
}

/// Whether a step changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It did.
    Taken,
    /// It was as it would be already.
    Already,
}

impl Approval {
    /// Whether it has ended by `now`, noted or not.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.state.is_open() && self.expires <= now
    }

    /// How many persons have consented, by who is who now. Who asks does not count, also not by another
    /// name.
    pub fn given(&self, people: &People) -> u8 {
        let asking = self.asking(people);
        let by: Vec<Marks> = self.consents.iter().map(|by| by.persons(people)).collect();
        let count = persons(by.iter().filter(|marks| marks.is_disjoint(&asking)));
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    /// Everybody who asks, by who was who then and by who is who now.
    fn asking(&self, people: &People) -> Marks {
        let mut asking = people.behind(&self.requester);
        asking.extend(self.marks.iter().cloned());
        asking
    }

    /// Whether this person is among those who ask.
    pub fn is_asked_by(&self, identity: &Identity, people: &People) -> bool {
        !self.asking(people).is_disjoint(&people.of_identity(identity))
    }

    /// Another exchange waits for it.
    ///
    /// # Errors
    /// [`Refused::Closed`].
    pub fn join(&mut self, exchange: ExchangeId, now: Timestamp) -> Result<Step, Refused> {
        self.open(now)?;
        if self.exchanges.contains(&exchange) {
            return Ok(Step::Already);
        }
        if self.exchanges.len() >= MAX_EXCHANGES {
            self.exchanges.remove(0);
        }
        self.exchanges.push(exchange);
        Ok(Step::Taken)
    }

    /// Somebody consents. Who did already changes nothing.
    ///
    /// # Errors
    /// [`Refused`], but for `TooFew`.
    pub fn consent(&mut self, by: Signature, people: &People, now: Timestamp) -> Result<Step, Refused> {
        self.open(now)?;
        self.fits(&by)?;
        let marks = by.persons(people);
        if !self.asking(people).is_disjoint(&marks) {
            return Err(Refused::Own);
        }
        let mut others = self.consents.iter();
        if others.any(|other| !other.persons(people).is_disjoint(&marks)) {
            return Ok(Step::Already);
        }
        if self.consents.len() >= MAX_CONSENTS {
            return Ok(Step::Already);
        }
        self.consents.push(by);
        if self.given(people) >= self.needed {
            self.state = State::Approved;
        }
        Ok(Step::Taken)
    }

    /// Somebody denies it. That wins at once, also over consents that were given. Who asks may deny it too.
    ///
    /// # Errors
    /// [`Refused::Closed`], [`Refused::Reason`] or [`Refused::OtherDigest`].
    pub fn deny(&mut self, by: Signature, now: Timestamp) -> Result<Step, Refused> {
        self.open(now)?;
        self.fits(&by)?;
        if by.reason.trim().is_empty() {
            return Err(Refused::Reason);
        }
        self.state = State::Denied { by: Box::new(by) };
        Ok(Step::Taken)
    }

    /// Policy asks for more persons than it did. It never asks for fewer again.
    ///
    /// # Errors
    /// [`Refused::Closed`].
    pub fn need(&mut self, needed: u8, people: &People, now: Timestamp) -> Result<Step, Refused> {
        self.open(now)?;
        if needed <= self.needed {
            return Ok(Step::Already);
        }
        self.needed = needed;
        self.state = if self.given(people) >= needed { State::Approved } else { State::Waiting };
        Ok(Step::Taken)
    }

    /// It is used, once. `consents` is the number that policy was asked with.
    ///
    /// # Errors
    /// [`Refused::Closed`], or [`Refused::TooFew`] when it is not approved by exactly so many.
    pub fn release(
        &mut self,
        exchange: Option<ExchangeId>,
        consents: u8,
        people: &People,
        now: Timestamp,
    ) -> Result<Step, Refused> {
        self.open(now)?;
        let given = self.given(people);
        if self.state != State::Approved || given < self.needed || given != consents {
            return Err(Refused::TooFew);
        }
        self.state = State::Released { exchange, at: now };
        Ok(Step::Taken)
    }

    /// Its time is over.
    ///
    /// # Errors
    /// [`Refused::Closed`] when it was closed before.
    pub fn expire(&mut self, now: Timestamp) -> Result<Step, Refused> {
        if !self.state.is_open() {
            return Err(Refused::Closed);
        }
        if !self.has_expired(now) {
            return Ok(Step::Already);
        }
        self.state = State::Expired;
        Ok(Step::Taken)
    }

    fn open(&self, now: Timestamp) -> Result<(), Refused> {
        if self.state.is_open() && !self.has_expired(now) { Ok(()) } else { Err(Refused::Closed) }
    }

    fn fits(&self, by: &Signature) -> Result<(), Refused> {
        if by.digest != self.digest {
            return Err(Refused::OtherDigest);
        }
        if by.reason.len() > MAX_REASON { Err(Refused::Reason) } else { Ok(()) }
    }
}

impl Signature {
    /// Who gave it, by who was who then and by who is who now.
    fn persons(&self, people: &People) -> Marks {
        let mut marks = people.marks(&self.issuer, &self.subject, self.email.as_deref());
        marks.extend(self.marks.iter().cloned());
        marks
    }

    /// The signer, as `issuer#subject`.
    pub fn entity_id(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }

    /// The signer, for people to read.
    pub fn shown(&self) -> &str {
        self.display.as_deref().or(self.email.as_deref()).unwrap_or(&self.subject)
    }
}
