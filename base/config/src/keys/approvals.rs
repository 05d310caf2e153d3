//! The keys of approvals, and of who is who.

use super::tell::TELL;
use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const APPROVALS: Section = Section {
    name: "approvals",
    doc: "Requests that policy allows only with the consent of people: `docs/approvals.md`. How long one is held is said for each resource (`hold`).",
    keys: &[
        Key {
            name: "expires",
            shape: Shape::Duration("1s", "7d"),
            absent: Absent::Is("1h"),
            doc: "How long an approval waits and can be used, from when it was asked for.",
        },
        Key {
            name: "url",
            shape: Shape::One(Kind::Url),
            absent: Absent::Nothing("`console.url`; without a console none is told"),
            doc: "Where approvers reach the pages: an approval's is `URL/approvals/ID`. Requesters are told it.",
        },
        Key {
            name: "open",
            shape: Shape::Count(1, 100_000),
            absent: Absent::Is("10000"),
            doc: "Approvals that may be open at once. Beyond it, requests are refused (429).",
        },
        Key {
            name: "open_per_caller",
            shape: Shape::Count(1, 10_000),
            absent: Absent::Is("100"),
            doc: "The same for each caller.",
        },
        Key {
            name: "held",
            shape: Shape::Count(1, 100_000),
            absent: Absent::Is("1000"),
            doc: "Requests that may be held at once. Beyond it, they are refused (429).",
        },
        Key {
            name: "held_per_caller",
            shape: Shape::Count(1, 100_000),
            absent: Absent::Is("50"),
            doc: "The same for each caller.",
        },
        Key {
            name: "held_bytes",
            shape: Shape::Size("1KiB", "1TiB"),
            absent: Absent::Is("256MiB"),
            doc: "Bodies of held requests in memory.",
        },
        Key {
            name: "held_bytes_per_caller",
            shape: Shape::Size("1KiB", "1TiB"),
            absent: Absent::Is("64MiB"),
            doc: "The same for each caller.",
        },
        Key {
            name: "owners",
            shape: Shape::Named(Kind::Name, &Shape::Section(&OWNER)),
            absent: Absent::Is("{}"),
            doc: "How the programs of an issuer name the person who answers for them, by the issuer's name. Who answers for a program never approves what it asks.",
        },
        Key {
            name: "tell",
            shape: Shape::Section(&TELL),
            absent: Absent::Is("{}"),
            doc: "Who is told of them.",
        },
    ],
};

const OWNER: Section = Section {
    name: "owner",
    doc: "The claim that names who answers for a program, such as who started a CI job.",
    keys: &[
        Key {
            name: "claim",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The claim, by its name in the issuer's `carry`.",
        },
        Key {
            name: "subject_of",
            shape: Shape::One(Kind::Name),
            absent: Absent::Nothing("the claim is an e-mail address"),
            doc: "Whose subject it is: an issuer's name, or a name that `people` uses in `identities`.",
        },
    ],
};

pub(super) const PERSON: Section = Section {
    name: "person",
    doc: "One person. Identities with the same verified e-mail address are one person without being named here.",
    keys: &[
        Key {
            name: "identities",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "Their names: `ISSUER#SUBJECT` with the issuer's name here, or an e-mail address. Under a name that is no issuer's they are known by a claim in `approvals.owners`.",
        },
        Key {
            name: "owns",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "The programs they answer for: `ISSUER#SUBJECT`.",
        },
    ],
};
