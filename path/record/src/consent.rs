//! Approvals in the ledger: a leaf for each thing that happens to one.

use std::net::IpAddr;

use jiff::Timestamp;
use model::ExchangeId;

use crate::describe::{self, clipped, nanoseconds};
use crate::leaf::What;
use crate::opened::Decision;
use crate::{Ledger, LedgerError};

/// The longest reason that is kept, in bytes.
const REASON: usize = 4 << 10;

/// What happened to an approval. `proto/ledger.proto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Approval {
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// `asked`, `joined`, `consented`, `denied`, `released` or `expired`; of a membership also `granted`, `ended`
    /// or `revoked`.
    #[prost(string, tag = "2")]
    pub event: String,
    /// The exchange that asks or is released, 16 bytes; of what is no exchange, nothing.
    #[prost(bytes = "vec", tag = "3")]
    pub exchange: Vec<u8>,
    /// What it binds: SHA-256.
    #[prost(bytes = "vec", tag = "4")]
    pub digest: Vec<u8>,
    /// For what.
    #[prost(string, tag = "5")]
    pub resource: String,
    /// Who asks: issuer, `#` and subject.
    #[prost(string, tag = "6")]
    pub requester: String,
    /// How many persons must consent.
    #[prost(uint32, tag = "7")]
    pub needed: u32,
    /// Who consented or denied just now; of a release, all who consented.
    #[prost(message, repeated, tag = "8")]
    pub consents: Vec<Consent>,
    /// At a release: what policy said with these consents.
    #[prost(message, optional, tag = "9")]
    pub decision: Option<Decision>,
    /// When it ends, whatever happens.
    #[prost(int64, tag = "10")]
    pub expires_at: i64,
    /// If it was asked for: issuer, `#` and subject of who answers for the requester, or the name that the
    /// configuration gives the person; empty if nobody is known.
    #[prost(string, tag = "11")]
    pub owner: String,
}

/// One person's word.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Consent {
    /// Issuer.
    #[prost(string, tag = "1")]
    pub issuer: String,
    /// Issuer name.
    #[prost(string, tag = "2")]
    pub issuer_name: String,
    /// Subject.
    #[prost(string, tag = "3")]
    pub subject: String,
    /// Email.
    #[prost(string, optional, tag = "4")]
    pub email: Option<String>,
    /// SHA-256 of the token it was given with, in hex.
    #[prost(string, tag = "5")]
    pub token: String,
    /// When.
    #[prost(int64, tag = "6")]
    pub given_at: i64,
    /// From which address.
    #[prost(string, tag = "7")]
    pub client: String,
    /// `page`, `cli` or `api`.
    #[prost(string, tag = "8")]
    pub via: String,
    /// Why.
    #[prost(string, tag = "9")]
    pub reason: String,
    /// The exchange of the call it was given in, 16 bytes.
    #[prost(bytes = "vec", tag = "10")]
    pub act: Vec<u8>,
}

/// One person's word, as it goes into the ledger.
#[derive(Clone, Debug)]
pub struct Word<'a> {
    /// The issuer's URL.
    pub issuer: &'a str,
    /// The issuer's name in the configuration.
    pub issuer_name: &'a str,
    /// The subject.
    pub subject: &'a str,
    /// The e-mail address, if the issuer vouches for one.
    pub email: Option<&'a str>,
    /// The digest of the token it was given with.
    pub token: &'a str,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub client: IpAddr,
    /// How: `page`, `cli` or `api`.
    pub via: &'a str,
    /// Why. 4 KiB of it are kept.
    pub reason: &'a str,
    /// The call it was given in.
    pub act: Option<ExchangeId>,
}

/// What happened to an approval.
#[derive(Clone, Debug)]
pub struct Approving<'a> {
    /// Its id.
    pub id: [u8; 16],
    /// What: `asked`, `joined`, `consented`, `denied`, `released` or `expired`; of a membership also `granted`
    /// (where policy asked for nobody), `ended` or `revoked`.
    pub event: &'static str,
    /// The exchange that asks or is released.
    pub exchange: Option<ExchangeId>,
    /// What it binds.
    pub digest: [u8; 32],
    /// For what.
    pub resource: &'a str,
    /// Who asks: issuer, `#` and subject.
    pub requester: &'a str,
    /// Who answers for them.
    pub owner: Option<&'a str>,
    /// How many persons must consent.
    pub needed: u8,
    /// Who consented or denied just now; of a release, all who consented.
    pub words: Vec<Word<'a>>,
    /// At a release: what policy said with these consents.
    pub decision: Option<&'a model::Decision>,
    /// When it ends.
    pub expires: Timestamp,
}

impl Ledger {
    /// Records what happened to an approval.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not in the ledger: a release must not happen then.
    pub async fn approval(&self, approving: Approving<'_>) -> Result<(), LedgerError> {
        let word = |word: &Word<'_>| Consent {
            issuer: word.issuer.to_owned(),
            issuer_name: word.issuer_name.to_owned(),
            subject: word.subject.to_owned(),
            email: word.email.map(str::to_owned),
            token: word.token.to_owned(),
            given_at: nanoseconds(word.at),
            client: word.client.to_string(),
            via: word.via.to_owned(),
            reason: clipped(word.reason, REASON),
            act: id(word.act),
        };
        let leaf = Approval {
            id: approving.id.to_vec(),
            event: approving.event.to_owned(),
            exchange: id(approving.exchange),
            digest: approving.digest.to_vec(),
            resource: approving.resource.to_owned(),
            requester: approving.requester.to_owned(),
            needed: u32::from(approving.needed),
            consents: approving.words.iter().map(word).collect(),
            decision: approving.decision.map(describe::decision),
            expires_at: nanoseconds(approving.expires),
            owner: approving.owner.unwrap_or_default().to_owned(),
        };
        self.leaf(What::Approval(leaf)).await
    }
}

fn id(exchange: Option<ExchangeId>) -> Vec<u8> {
    exchange.map(|exchange| exchange.as_bytes().to_vec()).unwrap_or_default()
}

impl Approval {
    /// What happened, in a sentence.
    pub(crate) fn told(&self) -> String {
        let id = ExchangeId::from_bytes(self.id.first_chunk::<16>().copied().unwrap_or_default());
        let who: Vec<String> =
            self.consents.iter().map(|word| format!("{}#{}", word.issuer, word.subject)).collect();
        let reason = self.consents.last().map(|word| word.reason.as_str()).filter(|text| !text.is_empty());
        let who = if who.is_empty() { String::new() } else { format!(" by {}", who.join(", ")) };
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let (resource, requester) = (&self.resource, &self.requester);
        format!("approval {id} of {resource} for {requester} was {}{who}{reason}", self.event)
    }
}
