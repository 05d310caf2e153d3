//! What an approver says, on its way to a signature.

use std::net::IpAddr;

use jiff::Timestamp;
use model::{ExchangeId, Identity, People};

use crate::approval::{Signature, Via};
use crate::digest::Digest;

/// What an approver says with their word.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// From where.
    pub client: IpAddr,
    /// How.
    pub via: Via,
    /// Why.
    pub reason: &'a str,
    /// The digest they were shown, if they were shown one: another is refused.
    pub digest: Option<Digest>,
    /// The call it is done in.
    pub act: Option<ExchangeId>,
}

impl Said<'_> {
    pub(crate) fn signed(self, by: &Identity, digest: Digest, people: &People, now: Timestamp) -> Signature {
        Signature {
            issuer: by.issuer.clone(),
            issuer_name: by.issuer_name.clone(),
            subject: by.subject.clone(),
            email: by.email.clone(),
            display: by.display.clone(),
            token: by.token.digest.clone(),
            marks: people.of_identity(by),
            at: now,
            client: self.client,
            via: self.via,
            reason: self.reason.trim().to_owned(),
            digest: self.digest.unwrap_or(digest),
            act: self.act,
        }
    }
}
