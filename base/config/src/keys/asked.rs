//! The keys of what an issuer is asked beyond its keys, and of what it tells by itself.

use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const CLIENT_AUTH: Key = Key {
    name: "client_auth",
    shape: Shape::Choice(&[
        ("basic", "in the `Authorization` header (`client_secret_basic`)"),
        ("post", "in the body (`client_secret_post`)"),
    ]),
    absent: Absent::Is("basic"),
    doc: "How the client proves itself.",
};

/// Opaque tokens: only their issuer can say what they mean.
pub(super) const INTROSPECTION: Section = Section {
    name: "introspection",
    doc: "Accepts this issuer's opaque tokens, by asking it about each (RFC 7662). JWTs are never sent anywhere.",
    keys: &[
        Key {
            name: "url",
            shape: Shape::One(Kind::Link),
            absent: Absent::Nothing("as the discovery document says"),
            doc: "Where to ask.",
        },
        Key {
            name: "client_id",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "As whom the gateway asks.",
        },
        Key {
            name: "client_secret",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Fault,
            doc: "The secret of that client.",
        },
        CLIENT_AUTH,
        Key {
            name: "prefix",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("every token that is no JWT"),
            doc: "What this issuer's opaque tokens begin with. Needed where several issuers have opaque tokens: a token goes to one issuer alone.",
        },
        Key {
            name: "clients",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "The clients whose tokens are accepted, by `client_id`. An answer without `aud` is accepted only when this is set.",
        },
        Key {
            name: "cache",
            shape: Shape::Duration("0s", "60s"),
            absent: Absent::Is("30s"),
            doc: "How long an answer is believed, never past `exp`. So long may a token that ended early still pass.",
        },
    ],
};

/// Where groups come from that no token holds.
pub(super) const USERINFO: Section = Section {
    name: "userinfo",
    doc: "Asks the issuer for the claims that a token lacks (OpenID Connect Core 1.0, section 5.3).",
    keys: &[Key {
        name: "url",
        shape: Shape::One(Kind::Link),
        absent: Absent::Nothing("as the discovery document says"),
        doc: "Where to ask.",
    }],
};

/// What the issuer says when somebody logs out.
pub(super) const BACKCHANNEL_LOGOUT: Section = Section {
    name: "backchannel_logout",
    doc: "Listens to the issuer's logout tokens (OpenID Connect Back-Channel Logout 1.0) at `/.well-known/portcullis/backchannel-logout/NAME` of every listener. May be written as the audiences alone.",
    keys: &[
        Key {
            name: "audiences",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Fault,
            doc: "Accepted values of `aud` in a logout token: the clients people log in with.",
        },
        Key {
            name: "token_types",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Is("[logout+jwt]"),
            doc: "Accepted values of `typ`. Add `JWT` for an issuer that does not type its logout tokens.",
        },
    ],
};
