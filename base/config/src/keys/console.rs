//! The keys of the console: people who sign in by browser.

use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const CONSOLE: Section = Section {
    name: "console",
    doc: "The pages for people, on the admin listener. Without it no browser can sign in.",
    keys: &[
        Key {
            name: "url",
            shape: Shape::One(Kind::Url),
            absent: Absent::Fault,
            doc: "Where browsers reach the admin listener: scheme, host and port, without a path. `https`, unless on loopback.",
        },
        Key {
            name: "sign_in",
            shape: Shape::Named(Kind::Name, &Shape::Section(&SIGN_IN)),
            absent: Absent::Fault,
            doc: "The issuers people may sign in at, each by its name under `issuers`.",
        },
        Key {
            name: "session",
            shape: Shape::Section(&SESSION),
            absent: Absent::Is("{}"),
            doc: "When a session ends.",
        },
    ],
};

const SIGN_IN: Section = Section {
    name: "sign_in",
    doc: "The client that the issuer knows the console by. Its redirect URI is `URL/sign-in/callback/NAME`, and the URI after a logout `URL/signed-out`.",
    keys: &[
        Key {
            name: "client_id",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The client's id. ID tokens must have it as `aud`.",
        },
        Key {
            name: "client_secret",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Nothing("a public client, which proves itself by PKCE alone"),
            doc: "Where the client's secret lies.",
        },
        Key {
            name: "scopes",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Is("[openid, profile, email]"),
            doc: "What is asked of the issuer. `openid` must be among it, and whatever scope brings the groups into the ID token.",
        },
    ],
};

const SESSION: Section = Section {
    name: "session",
    doc: "When a session ends. A block, and a logout that the issuer tells of, end it at the next request.",
    keys: &[
        Key {
            name: "idle",
            shape: Shape::Duration("1m", "24h"),
            absent: Absent::Is("30m"),
            doc: "Without a request for this long, the session ends.",
        },
        Key {
            name: "absolute",
            shape: Shape::Duration("5m", "30d"),
            absent: Absent::Is("12h"),
            doc: "The session ends at this age. The issuer is asked for a login no older than that (`max_age`).",
        },
        Key {
            name: "recheck",
            shape: Shape::Duration("1m", "1h"),
            absent: Absent::Is("15m"),
            doc: "An ID token, and the groups in it, are believed for at most this long, and never past the token's `exp`; then the browser is sent to the issuer for a new one.",
        },
        Key {
            name: "most",
            shape: Shape::Count(1, 100),
            absent: Absent::Is("10"),
            doc: "Sessions one person may have. One more ends the one unused for longest.",
        },
    ],
};
