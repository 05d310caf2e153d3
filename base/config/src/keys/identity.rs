//! The keys of issuers.

use super::asked::{BACKCHANNEL_LOGOUT, INTROSPECTION, USERINFO};
use super::login::LOGIN;
use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const ISSUER: Section = Section {
    name: "issuer",
    doc: "One party whose tokens are accepted, as OpenID Connect describes it.",
    keys: &[
        Key {
            name: "issuer",
            shape: Shape::One(Kind::Url),
            absent: Absent::Fault,
            doc: "The URL, exactly as tokens say it in `iss`. `https`, unless on loopback.",
        },
        Key {
            name: "audiences",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Fault,
            doc: "Accepted values of `aud`. A token must have one of them.",
        },
        Key {
            name: "discovery",
            shape: Shape::One(Kind::Link),
            absent: Absent::Nothing("`/.well-known/openid-configuration` below `issuer`"),
            doc: "Where the discovery document lies.",
        },
        Key {
            name: "jwks",
            shape: Shape::One(Kind::Link),
            absent: Absent::Nothing("as the discovery document says"),
            doc: "Where the keys lie. Then there is no discovery.",
        },
        Key {
            name: "algorithms",
            shape: Shape::Many(1, &Shape::One(Kind::Algorithm)),
            absent: Absent::Is("[RS256, ES256, PS256, EdDSA]"),
            doc: "Accepted values of `alg`.",
        },
        Key {
            name: "token_types",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Is("[JWT, at+jwt]"),
            doc: "Accepted values of `typ`, without regard to case. A token without `typ` counts as `JWT`.",
        },
        Key {
            name: "kind",
            shape: Shape::WordOr(
                &[("human", "people stand behind its tokens"), ("workload", "programs do")],
                &KIND,
            ),
            absent: Absent::Is("human"),
            doc: "Whether people or programs stand behind its tokens.",
        },
        Key {
            name: "groups",
            shape: Shape::Short("claims", &GROUPS),
            absent: Absent::Is("{}"),
            doc: "Which groups a token gives.",
        },
        Key {
            name: "email_claim",
            shape: Shape::One(Kind::Pointer),
            absent: Absent::Is("/email"),
            doc: "Where a token says the e-mail address.",
        },
        Key {
            name: "mfa",
            shape: Shape::Section(&MFA),
            absent: Absent::Is("{}"),
            doc: "What counts as a second factor.",
        },
        Key {
            name: "carry",
            shape: Shape::Named(Kind::Name, &Shape::One(Kind::Pointer)),
            absent: Absent::Is("{}"),
            doc: "Further claims that policies may read: a name for each, and where it stands.",
        },
        Key {
            name: "skew",
            shape: Shape::Duration("0s", "5m"),
            absent: Absent::Is("30s"),
            doc: "How far the issuer's clock may be off.",
        },
        Key {
            name: "max_token_age",
            shape: Shape::Duration("1m", "30d"),
            absent: Absent::Nothing("as long as `exp` says"),
            doc: "How old a token may be by its `iat`, whatever its `exp`.",
        },
        Key {
            name: "stale_keys",
            shape: Shape::Duration("0s", "7d"),
            absent: Absent::Is("24h"),
            doc: "How long the last good keys serve while the issuer cannot be reached.",
        },
        Key {
            name: "introspection",
            shape: Shape::Section(&INTROSPECTION),
            absent: Absent::Nothing("opaque tokens are refused"),
            doc: "How this issuer is asked about opaque tokens.",
        },
        Key {
            name: "userinfo",
            shape: Shape::WordOr(
                &[("groups", "for the claims that hold groups, where a token has none of them")],
                &USERINFO,
            ),
            absent: Absent::Nothing("never asked"),
            doc: "Whether the issuer is asked about the caller too.",
        },
        Key {
            name: "backchannel_logout",
            shape: Shape::Short("audiences", &BACKCHANNEL_LOGOUT),
            absent: Absent::Nothing("nobody listens"),
            doc: "Whether the issuer may end sessions.",
        },
        Key {
            name: "ca_file",
            shape: Shape::One(Kind::Path),
            absent: Absent::Nothing("the system's"),
            doc: "Certificates to trust for this issuer, in PEM. The file must be there.",
        },
        Key {
            name: "login",
            shape: Shape::Section(&LOGIN),
            absent: Absent::Nothing("nobody is told to log in here"),
            doc: "How people get this issuer's token by `portcullis login`.",
        },
    ],
};

const KIND: Section = Section {
    name: "kind",
    doc: "For an issuer of both: one rule that tells them apart.",
    keys: &[
        Key {
            name: "workload_when",
            shape: Shape::Section(&CLAIM),
            absent: Absent::Nothing(""),
            doc: "A program where this holds, else a person.",
        },
        Key {
            name: "human_when",
            shape: Shape::Section(&CLAIM),
            absent: Absent::Nothing(""),
            doc: "A person where this holds, else a program.",
        },
    ],
};

/// The test of a claim: its own keys, which a group rule has too.
macro_rules! claim_keys {
    ($($more:expr),*) => {
        &[
            Key {
                name: "claim",
                shape: Shape::One(Kind::Pointer),
                absent: Absent::Fault,
                doc: "Where the claim stands. Of an array, one member must pass.",
            },
            Key {
                name: "equals",
                shape: Shape::One(Kind::Text),
                absent: Absent::Nothing(""),
                doc: "Passes when the claim is this text. A number or boolean counts as its JSON text.",
            },
            Key {
                name: "starts_with",
                shape: Shape::One(Kind::Text),
                absent: Absent::Nothing(""),
                doc: "Passes when the claim begins so.",
            },
            Key {
                name: "ends_with",
                shape: Shape::One(Kind::Text),
                absent: Absent::Nothing(""),
                doc: "Passes when the claim ends so. For domains of e-mail addresses take `domain`.",
            },
            Key {
                name: "domain",
                shape: Shape::One(Kind::Domain),
                absent: Absent::Nothing(""),
                doc: "Passes when the claim is an e-mail address of this domain, without regard to case.",
            },
            Key {
                name: "present",
                shape: Shape::Flag,
                absent: Absent::Nothing(""),
                doc: "`true` passes when the claim is there and not null.",
            },
            $($more,)*
        ]
    };
}

const CLAIM: Section = Section {
    name: "claim",
    doc: "A test of one claim: where it stands, and one test.",
    keys: claim_keys!(),
};

const GROUPS: Section = Section {
    name: "groups",
    doc: "Which groups a token gives. May be written as the pointers alone.",
    keys: &[
        Key {
            name: "claims",
            shape: Shape::Many(0, &Shape::One(Kind::Pointer)),
            absent: Absent::Is("[/groups]"),
            doc: "Claims that hold groups: arrays, or text joined by commas or spaces.",
        },
        Key {
            name: "required",
            shape: Shape::Flag,
            absent: Absent::Is("false"),
            doc: "Whether a token without any of those claims is refused.",
        },
        Key {
            name: "aliases",
            shape: Shape::Named(Kind::Text, &Shape::One(Kind::Text)),
            absent: Absent::Is("{}"),
            doc: "Other names: what the token says, and what policies say. For opaque ids.",
        },
        Key {
            name: "prefix",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("none"),
            doc: "Put before every group of a claim that has no alias.",
        },
        Key {
            name: "from",
            shape: Shape::Many(0, &Shape::Section(&GROUP_RULE)),
            absent: Absent::Is("[]"),
            doc: "Groups that follow from other claims.",
        },
    ],
};

const GROUP_RULE: Section = Section {
    name: "group_rule",
    doc: "Groups for whom a test holds: where the claim stands, one test, and the groups.",
    keys: claim_keys!(Key {
        name: "groups",
        shape: Shape::Many(1, &Shape::One(Kind::Text)),
        absent: Absent::Fault,
        doc: "The groups it gives. They get no prefix.",
    }),
};

const MFA: Section = Section {
    name: "mfa",
    doc: "What counts as a second factor: one of these methods, or one of these classes.",
    keys: &[
        Key {
            name: "amr",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[mfa]"),
            doc: "Values of `amr` (RFC 8176).",
        },
        Key {
            name: "acr",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "Values of `acr`.",
        },
    ],
};
