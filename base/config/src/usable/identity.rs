//! Issuers: whose tokens are accepted, and what is read from them.

use std::path::PathBuf;
use std::time::Duration;

use super::{BackchannelLogout, Introspection, IssuerLogin, Names, Userinfo};

/// One party whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The configured name, for the record and for people.
    pub name: String,
    /// The URL, exactly as tokens say it in `iss`.
    pub issuer: String,
    /// Where the discovery document lies, when it is not below the issuer's URL.
    pub discovery: Option<String>,
    /// Where the keys lie; then there is no discovery.
    pub jwks: Option<String>,
    /// Accepted values of `aud`. Never empty.
    pub audiences: Vec<String>,
    /// Accepted values of `alg`. Never empty, never `none`, never HMAC.
    pub algorithms: Vec<String>,
    /// Accepted values of `typ`, without regard to case. A token without `typ` counts as `JWT`.
    pub token_types: Vec<String>,
    /// Whether people or programs stand behind its tokens.
    pub kind: IssuerKind,
    /// Which groups a token gives.
    pub groups: Groups,
    /// JSON pointer (RFC 6901) of the e-mail address.
    pub email_claim: String,
    /// What counts as a second factor.
    pub mfa: Mfa,
    /// Further claims for policies: name to JSON pointer.
    pub carry: Names,
    /// How far the issuer's clock may be off. At most five minutes.
    pub skew: Duration,
    /// How old a token may be by its `iat`, whatever its `exp`.
    pub max_token_age: Option<Duration>,
    /// How long the last good keys serve while the issuer cannot be reached.
    pub stale_keys: Duration,
    /// How it is asked about opaque tokens, if they are accepted.
    pub introspection: Option<Introspection>,
    /// Where it is asked for groups that a token lacks, if it is.
    pub userinfo: Option<Userinfo>,
    /// Which of its logout tokens are heard, if any.
    pub backchannel_logout: Option<BackchannelLogout>,
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether its URLs are plain HTTP. True only on loopback.
    pub allow_http: bool,
    /// How people get its token, when they are told.
    pub login: Option<IssuerLogin>,
}

impl Issuer {
    /// An issuer of people's tokens, everything else as by default.
    pub fn new(name: &str, issuer: &str, audience: &str) -> Self {
        let strings = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            discovery: None,
            jwks: None,
            audiences: strings(&[audience]),
            algorithms: strings(&["RS256", "ES256", "PS256", "EdDSA"]),
            token_types: strings(&["JWT", "at+jwt"]),
            kind: IssuerKind::Human,
            groups: Groups::default(),
            email_claim: "/email".to_owned(),
            mfa: Mfa::default(),
            carry: Names::new(),
            skew: Duration::from_secs(30),
            max_token_age: None,
            stale_keys: Duration::from_secs(24 * 3600),
            introspection: None,
            userinfo: None,
            backchannel_logout: None,
            ca_file: None,
            allow_http: false,
            login: None,
        }
    }
}

/// Whether people or programs stand behind an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// People.
    Human,
    /// Programs.
    Workload,
    /// Programs where the rule holds, else people.
    WorkloadWhen(ClaimRule),
    /// People where the rule holds, else programs.
    HumanWhen(ClaimRule),
}

/// A test of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// JSON pointer (RFC 6901) of the claim.
    pub claim: String,
    /// What it must be. Of an array, one member must be so.
    pub test: ClaimTest,
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimTest {
    /// There, and not null.
    Present,
    /// This text exactly. A number or boolean counts as its JSON text.
    Equals(String),
    /// Text that begins so. Never empty.
    StartsWith(String),
    /// Text that ends so. Never empty.
    EndsWith(String),
    /// An e-mail address whose part after the last `@` is this domain, without regard to case.
    /// Lower case here.
    Domain(String),
}

/// Which groups a token gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// JSON pointers (RFC 6901) of claims that hold groups: arrays, or comma- or space-joined text.
    pub claims: Vec<String>,
    /// Whether a token without any of those claims is refused.
    pub required: bool,
    /// Other names for groups: what the token says to what policies say.
    pub aliases: Names,
    /// Put before every group from a claim that has no alias.
    pub prefix: Option<String>,
    /// Groups that follow from other claims. They get no prefix.
    pub from: Vec<GroupRule>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            claims: vec!["/groups".to_owned()],
            required: false,
            aliases: Names::new(),
            prefix: None,
            from: Vec::new(),
        }
    }
}

/// Groups for whom a test holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// The test.
    pub when: ClaimRule,
    /// The groups. Never empty.
    pub groups: Vec<String>,
}

/// What counts as a second factor: one of these methods or one of these classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mfa {
    /// Values of `amr` (RFC 8176).
    pub amr: Vec<String>,
    /// Values of `acr` (OpenID Connect Core 1.0, section 2).
    pub acr: Vec<String>,
}

impl Default for Mfa {
    fn default() -> Self {
        Self { amr: vec!["mfa".to_owned()], acr: Vec::new() }
    }
}
