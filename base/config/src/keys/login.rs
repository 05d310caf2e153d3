//! The keys of a login: how an issuer's people get their token.

use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const LOGIN: Section = Section {
    name: "login",
    doc: "How people get this issuer's token. The gateway tells everybody who asks, so nothing here is a secret.",
    keys: &[
        Key {
            name: "client_id",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The registration of `portcullis login` with the issuer: a public (native) client, without a secret.",
        },
        Key {
            name: "scopes",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Is("[openid, profile, email, offline_access]"),
            doc: "The scopes to ask for. `offline_access` brings a refresh token from most issuers.",
        },
        Key {
            name: "resource",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("none is named"),
            doc: "The resource to ask a token for (RFC 8707), where the issuer wants it named.",
        },
        Key {
            name: "audience",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("none is named"),
            doc: "The same for issuers that take it as `audience`.",
        },
        Key {
            name: "token",
            shape: Shape::Choice(&[
                ("access", "the access token"),
                ("id", "the ID token, for issuers that put groups there only; its audience is `client_id`"),
            ]),
            absent: Absent::Is("access"),
            doc: "Which token is sent to the gateway.",
        },
        Key {
            name: "prompt",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("the issuer decides what to ask"),
            doc: "What the issuer shall ask each time: `consent`, without which some give no refresh token, `login`, `select_account`.",
        },
        Key {
            name: "redirect_uri",
            shape: Shape::One(Kind::Url),
            absent: Absent::Is("http://127.0.0.1/callback"),
            doc: "Where the browser comes back to, as it is registered: `http` on 127.0.0.1 or localhost. Without a port the system chooses one.",
        },
    ],
};
