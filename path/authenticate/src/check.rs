//! The checks a token meets, by name and in order.

use std::fmt;

macro_rules! checks {
    ($($variant:ident $name:literal $asks:literal;)*) => {
        /// One check of a token. The order of the variants is the order of the checks; a token stops at
        /// the first it fails. Names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $(#[doc = $asks] $variant,)* }

        impl Check {
            /// Every check, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, such as `signature`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it asks for, in one sentence.
            pub fn asks(self) -> &'static str {
                match self { $(Self::$variant => $asks,)* }
            }
        }
    };
}

checks! {
    Presented "presented"
        "The request carries exactly one token, as `Authorization: Bearer`, `x-api-key` or `api-key`.";
    Size "size" "The token is at most 64 KiB long, its header 16 KiB.";
    Introspection "introspection"
        "The issuer, asked about the opaque token, says that it is active.";
    Structure "structure" "The token is three parts of canonical base64url, joined by dots.";
    Header "header" "The header is one strict JSON object that names its algorithm.";
    Critical "critical" "The header asks for no extension, by `crit` or `b64`.";
    Claims "claims" "The payload is one strict JSON object, no member twice.";
    Issuer "issuer" "`iss` is, byte for byte, the URL of a configured issuer.";
    Audience "audience" "`aud` names an audience of that issuer.";
    Type "type" "`typ` is one the issuer's configuration accepts.";
    Algorithm "algorithm" "`alg` is one the issuer's configuration accepts; never `none`, never HMAC.";
    Keys "keys" "The issuer's keys are at hand, and not too old.";
    Key "key" "Exactly one of those keys is meant for this token.";
    Signature "signature" "That key verifies the signature.";
    Subject "subject" "`sub` is 1 to 255 bytes of text without control characters.";
    Expiry "expiry" "`exp` is a whole number of seconds, a time before the year 10000.";
    Expired "expired" "`exp` has not passed.";
    NotBefore "not-before" "`nbf`, if there, is a number and has passed.";
    IssuedAt "issued-at" "`iat`, if there, is a number and has passed.";
    Age "age" "`iat` is no longer ago than `max_token_age`, where the issuer's configuration sets one.";
    Userinfo "userinfo" "The issuer's userinfo, asked for groups the token lacks, speaks of the same subject.";
    Overage "overage" "The token holds its groups itself, rather than a place to ask for them.";
    Groups "groups" "The claims that hold groups can be read, and are there where they are required.";
    Carried "carried" "The claims carried into policies are at most 4 KiB each.";
    Standing "standing" "The caller is not blocked, the token not revoked, its session not logged out.";
}

impl Check {
    /// Whether it is a check of opaque tokens, or else of JWTs.
    pub(crate) fn concerns(self, opaque: bool) -> bool {
        match self {
            Self::Introspection => opaque,
            Self::Structure | Self::Header | Self::Critical | Self::Claims => !opaque,
            Self::Algorithm | Self::Keys | Self::Key | Self::Signature => !opaque,
            _ => true,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
