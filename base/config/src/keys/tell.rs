//! The keys of who is told about approvals.

use crate::table::{Absent, Key, Kind, Section, Shape, Word};

const EVENTS: &[Word] = &[
    ("requested", "it waits for people"),
    ("consented", "one of several people consented"),
    ("approved", "as many consented as it needs"),
    ("denied", "somebody said no"),
    ("expired", "nobody decided in time"),
    ("released", "what was approved was done"),
    ("ended", "a grant came to its end"),
    ("revoked", "a grant was taken back"),
];

const CA_FILE: Key = Key {
    name: "ca_file",
    shape: Shape::One(Kind::Path),
    absent: Absent::Nothing("the system's"),
    doc: "Certificates (PEM) to trust instead of the system's.",
};

pub(super) const TELL: Section = Section {
    name: "tell",
    doc: "Who is told when something waits for an approval, and how that ends: [telling.md](telling.md). What is told holds no prompt, no token and no secret.",
    keys: &[
        Key {
            name: "webhooks",
            shape: Shape::Named(Kind::Name, &Shape::Section(&WEBHOOK)),
            absent: Absent::Is("{}"),
            doc: "Programs that are told by signed webhooks, each under a name for logs and metrics. At most 16.",
        },
        Key {
            name: "slack",
            shape: Shape::Section(&SLACK),
            absent: Absent::Nothing("no channel"),
            doc: "A Slack channel that is told.",
        },
        Key {
            name: "give_up",
            shape: Shape::Duration("1m", "7d"),
            absent: Absent::Is("24h"),
            doc: "What could not be delivered for this long is given up, with a line in the log and `portcullis_tell_given_up_total`.",
        },
    ],
};

const WEBHOOK: Section = Section {
    name: "webhook",
    doc: "A program that is told. Messages are signed by the Standard Webhooks scheme.",
    keys: &[
        Key {
            name: "url",
            shape: Shape::One(Kind::Link),
            absent: Absent::Fault,
            doc: "Where messages are sent by POST. `https`, unless on loopback. Redirects are not followed.",
        },
        Key {
            name: "secrets",
            shape: Shape::Many(1, &Shape::One(Kind::Secret)),
            absent: Absent::Fault,
            doc: "Where the secrets lie that messages are signed with, at most 4: each is `whsec_` and 24 to 64 bytes in base64. A message carries a signature for each, so a secret is replaced by adding the new one, changing the receiver, and removing the old one.",
        },
        Key {
            name: "events",
            shape: Shape::Many(1, &Shape::Choice(EVENTS)),
            absent: Absent::Is("[requested, consented, approved, denied, expired, released, ended, revoked]"),
            doc: "What it is told of.",
        },
        Key {
            name: "timeout",
            shape: Shape::Duration("1s", "60s"),
            absent: Absent::Is("10s"),
            doc: "How long it may take to answer.",
        },
        CA_FILE,
    ],
};

const SLACK: Section = Section {
    name: "slack",
    doc: "A Slack channel. One message an approval, with a link to its page; it is changed when the approval is decided. Nothing can be decided in Slack.",
    keys: &[
        Key {
            name: "channel",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The channel's id, as `C0123456789`. The bot must be a member of it.",
        },
        Key {
            name: "token",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Fault,
            doc: "Where the bot's token lies (`xoxb-…`). It needs the scope `chat:write`.",
        },
        Key {
            name: "api",
            shape: Shape::One(Kind::Url),
            absent: Absent::Is("https://slack.com/api"),
            doc: "Below which the methods lie, for a proxy or another workspace host. `https`, unless on loopback.",
        },
        CA_FILE,
    ],
};
