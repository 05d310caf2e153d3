//! Who asks: what a verified token says, as plain data. The proof that it was verified is
//! `authenticate::Caller`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A group as policies spell it, after the issuer's aliases.
pub type GroupName = String;

/// Whether a person or a program stands behind the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// A person.
    Human,
    /// A service, a CI job or an agent.
    Workload,
}

impl CallerKind {
    /// The word policies compare with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Workload => "workload",
        }
    }
}

/// What one verified token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The issuer's URL, exactly as in `iss` (OpenID Connect Core 1.0, section 2).
    pub issuer: String,
    /// The configured name of that issuer.
    pub issuer_name: String,
    /// The subject, exactly as in `sub`: never empty, at most 255 bytes, no control characters.
    pub subject: String,
    /// Person or program.
    pub kind: CallerKind,
    /// The groups read from this token, after aliases. Never remembered from an earlier one.
    pub groups: BTreeSet<GroupName>,
    /// The e-mail address, when the issuer vouches for it (`email_verified` is not false).
    pub email: Option<String>,
    /// A name for people to read; decides nothing.
    pub display: Option<String>,
    /// Facts of the token itself.
    pub token: TokenFacts,
}

impl Identity {
    /// The canonical id: issuer and subject together, everywhere one caller is told from another.
    /// A newline separates them because neither may hold one.
    pub fn canonical(&self) -> String {
        format!("{}\n{}", self.issuer, self.subject)
    }

    /// The Cedar entity id: `issuer#subject`, readable in a policy. The issuer is an URL without
    /// fragment, so the first `#` always separates.
    pub fn entity_id(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }
}

/// Facts of a token that policies may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// SHA-256 of the compact token, in hex: tells tokens apart in the record without keeping them.
    pub digest: String,
    /// When it was issued (`iat`), if it says.
    pub issued_at: Option<Timestamp>,
    /// When it ends (`exp`). Always present.
    pub expires_at: Timestamp,
    /// When the person last proved who they are (`auth_time`), if it says.
    pub authenticated_at: Option<Timestamp>,
    /// The audiences it was issued for (`aud`).
    pub audiences: Vec<String>,
    /// The client it was issued to (`azp`, `client_id` or `cid`).
    pub client: Option<String>,
    /// Authentication methods (`amr`, RFC 8176).
    pub methods: BTreeSet<String>,
    /// Authentication context class (`acr`).
    pub context_class: Option<String>,
    /// Scopes (`scope` or `scp`).
    pub scopes: BTreeSet<String>,
    /// Whether a second factor was used, by the issuer's rule over `amr` and `acr`.
    pub mfa: bool,
    /// Further claims the issuer's configuration carries into policies: name to text.
    pub claims: BTreeMap<String, String>,
}

impl TokenFacts {
    /// A token of which nothing is known but when it ends: to be filled in.
    pub fn ending(expires_at: Timestamp) -> Self {
        Self {
            digest: String::new(),
            issued_at: None,
            expires_at,
            authenticated_at: None,
            audiences: Vec::new(),
            client: None,
            methods: BTreeSet::new(),
            context_class: None,
            scopes: BTreeSet::new(),
            mfa: false,
            claims: BTreeMap::new(),
        }
    }
}
