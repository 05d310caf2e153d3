//! Every key of the file. What stands here is what can be written.

mod admin;
mod agents;
mod approvals;
mod asked;
mod checkpoints;
mod console;
mod credential;
mod fields;
mod identity;
mod login;
mod masking;
mod resource;
mod retention;
mod seal;
mod state;
mod tell;

use admin::ADMIN;
pub(crate) use agents::AGENT_FILE;
use agents::AGENTS;
use approvals::{APPROVALS, PERSON};
use checkpoints::CHECKPOINTS;
use console::CONSOLE;
use identity::ISSUER;
use masking::MASKING;
use resource::RESOURCE;
use retention::RETENTION;
use state::STATE;

use crate::table::{Absent, Key, Kind, Section, Shape, Word};

const ALLOWED: &[Word] = &[("allowed", "the traffic can be read on the way; the operator takes that on")];

/// The whole file.
pub(crate) const FILE: Section = Section {
    name: "file",
    doc: "The whole file. Relative paths are taken from the file's folder.",
    keys: &[
        Key {
            name: "listeners",
            shape: Shape::Many(1, &Shape::Short("address", &LISTENER)),
            absent: Absent::Fault,
            doc: "Where callers come in.",
        },
        Key {
            name: "public_url",
            shape: Shape::One(Kind::Url),
            absent: Absent::Nothing("as the request names it"),
            doc: "Where callers reach this gateway, when that is not what their requests say: behind a proxy that ends TLS or changes `Host`. It is told to callers that need a login.",
        },
        Key {
            name: "observe",
            shape: Shape::Short("address", &OBSERVE),
            absent: Absent::Nothing("no such listener"),
            doc: "Where the operator's tools read health and metrics.",
        },
        Key {
            name: "admin",
            shape: Shape::Short("address", &ADMIN),
            absent: Absent::Nothing("no administration over the network or a socket"),
            doc: "Where Portcullis itself is administered: `docs/admin-api.md`.",
        },
        Key {
            name: "agents",
            shape: Shape::Short("address", &AGENTS),
            absent: Absent::Nothing("no agents"),
            doc: "Where agents come in.",
        },
        Key {
            name: "issuers",
            shape: Shape::Named(Kind::Name, &Shape::Section(&ISSUER)),
            absent: Absent::Fault,
            doc: "Whose tokens are accepted, each under a name for the record.",
        },
        Key {
            name: "resources",
            shape: Shape::Named(Kind::ResourceName, &Shape::Section(&RESOURCE)),
            absent: Absent::Fault,
            doc: "What is protected. The name is the first path segment of a caller's base URL.",
        },
        Key {
            name: "policies",
            shape: Shape::Short("dir", &POLICIES),
            absent: Absent::Is("policies"),
            doc: "Where the Cedar policies lie.",
        },
        Key {
            name: "ledger",
            shape: Shape::Short("dir", &LEDGER),
            absent: Absent::Is("ledger"),
            doc: "Where every exchange is recorded.",
        },
        Key {
            name: "state",
            shape: Shape::Short("dir", &STATE),
            absent: Absent::Is("{}"),
            doc: "Where the gateway keeps what it must remember.",
        },
        Key {
            name: "limits",
            shape: Shape::Section(&LIMITS),
            absent: Absent::Is("{}"),
            doc: "What this gateway takes on at once.",
        },
        Key {
            name: "approvals",
            shape: Shape::Section(&APPROVALS),
            absent: Absent::Is("{}"),
            doc: "How requests wait for the consent of people.",
        },
        Key {
            name: "people",
            shape: Shape::Named(Kind::Name, &Shape::Section(&PERSON)),
            absent: Absent::Is("{}"),
            doc: "Which identities are one person's, and which programs they answer for: nobody approves what they ask themselves, whichever way they come in.",
        },
        Key {
            name: "deny_lists",
            shape: Shape::Named(Kind::Name, &Shape::Section(&DENY_LIST)),
            absent: Absent::Is("{}"),
            doc: "Named patterns. A policy sees in `context.matches` which of them a request holds.",
        },
        Key {
            name: "masking",
            shape: Shape::Section(&MASKING),
            absent: Absent::Is("{}"),
            doc: "Values of your own that are masked too.",
        },
        Key {
            name: "console",
            shape: Shape::Section(&CONSOLE),
            absent: Absent::Nothing("no pages for browsers"),
            doc: "The pages for people, on the admin listener.",
        },
    ],
};

/// How a listener is secured.
const SECURED: Key = Key {
    name: "tls",
    shape: Shape::WordOr(
        &[("local", "a certificate authority of the gateway's own, made on first start")],
        &TLS,
    ),
    absent: Absent::Nothing("plain HTTP"),
    doc: "How it is secured. Plain HTTP is for loopback only, unless `plain: allowed`.",
};

/// Whether a listener may do without TLS where others can reach it.
const PLAIN: Key = Key {
    name: "plain",
    shape: Shape::Choice(ALLOWED),
    absent: Absent::Nothing("refused beyond loopback"),
    doc: "Allows plain HTTP on an address that others can reach: tokens travel readable.",
};

const LISTENER: Section = Section {
    name: "listener",
    doc: "One address to listen on. May be written as the address alone.",
    keys: &[
        Key {
            name: "address",
            shape: Shape::One(Kind::Address),
            absent: Absent::Fault,
            doc: "The address. Port 0 lets the system choose.",
        },
        SECURED,
        PLAIN,
    ],
};

const TLS: Section = Section {
    name: "tls",
    doc: "Either `certificate` and `key`, or `dir` and `names` for the local authority.",
    keys: &[
        Key {
            name: "certificate",
            shape: Shape::One(Kind::Path),
            absent: Absent::Nothing("the local authority"),
            doc: "The certificate chain in PEM, leaf first. The file must be there.",
        },
        Key {
            name: "key",
            shape: Shape::One(Kind::Path),
            absent: Absent::Nothing("the local authority"),
            doc: "The private key in PEM. The file must be there.",
        },
        Key {
            name: "dir",
            shape: Shape::One(Kind::Path),
            absent: Absent::Is("tls"),
            doc: "Where the local authority keeps its key and certificates.",
        },
        Key {
            name: "names",
            shape: Shape::Many(1, &Shape::One(Kind::Host)),
            absent: Absent::Nothing("`localhost` and the listener's address"),
            doc: "The host names and addresses the local certificate is for.",
        },
    ],
};

const OBSERVE: Section = Section {
    name: "observe",
    doc: "Where the operator's tools read health and metrics, over plain HTTP. May be written as the address alone.",
    keys: &[
        Key { name: "address", shape: Shape::One(Kind::Address), absent: Absent::Fault, doc: "The address." },
        Key {
            name: "plain",
            shape: Shape::Choice(ALLOWED),
            absent: Absent::Nothing("refused beyond loopback"),
            doc: "Allows an address that others can reach.",
        },
    ],
};

const POLICIES: Section = Section {
    name: "policies",
    doc: "Where the policies lie. May be written as the folder alone.",
    keys: &[
        Key {
            name: "dir",
            shape: Shape::One(Kind::Path),
            absent: Absent::Is("policies"),
            doc: "The folder that holds `*.cedar`. It must be there.",
        },
        Key {
            name: "timezone",
            shape: Shape::One(Kind::Timezone),
            absent: Absent::Is("UTC"),
            doc: "The time zone in which policies read weekday and minute.",
        },
    ],
};

const LEDGER: Section = Section {
    name: "ledger",
    doc: "Where and how the record is written. May be written as the folder alone.",
    keys: &[
        Key {
            name: "dir",
            shape: Shape::One(Kind::Path),
            absent: Absent::Is("ledger"),
            doc: "The folder. It is made if it is not there.",
        },
        Key {
            name: "durability",
            shape: Shape::Choice(&[
                ("process", "an acknowledged write survives the death of the process, by `kill -9` too"),
                ("disk", "it survives the death of the machine; each group of writes waits for the disk"),
            ]),
            absent: Absent::Is("process"),
            doc: "What an acknowledged write survives.",
        },
        Key {
            name: "segment_bytes",
            shape: Shape::Size("1MiB", "16GiB"),
            absent: Absent::Is("256MiB"),
            doc: "A segment is closed at this size.",
        },
        Key {
            name: "queue",
            shape: Shape::Count(16, 1_000_000),
            absent: Absent::Is("4096"),
            doc: "How many writes may wait. When it is full, requests are refused.",
        },
        Key {
            name: "write_timeout",
            shape: Shape::Duration("100ms", "60s"),
            absent: Absent::Is("5s"),
            doc: "How long a write may take before the ledger counts as gone and requests are refused.",
        },
        Key {
            name: "reserve_bytes",
            shape: Shape::Size("1MiB", "16GiB"),
            absent: Absent::Is("16MiB"),
            doc: "Kept free for seals, so that what was begun can be closed when the disk is full.",
        },
        Key {
            name: "session_idle",
            shape: Shape::Duration("1m", "24h"),
            absent: Absent::Is("30m"),
            doc: "Exchanges of one token on one resource are one session until it is silent for so long. A client that sends the header `x-portcullis-session` says itself what belongs together. Changed, the index is made anew at the next start.",
        },
        Key {
            name: "full_text",
            shape: Shape::Flag,
            absent: Absent::Is("false"),
            doc: "Whether words of requests and answers are indexed, for `sessions list --text`. What any masking rule finds in them is left out, for everybody, and so are sealed bodies. Whoever reads the file `index.sqlite` reads the words. Changed, the index is made anew at the next start.",
        },
        Key {
            name: "checkpoints",
            shape: Shape::Section(&CHECKPOINTS),
            absent: Absent::Is("{}"),
            doc: "Proof that the record is not changed later.",
        },
        Key {
            name: "retention",
            shape: Shape::Section(&RETENTION),
            absent: Absent::Is("{}"),
            doc: "How long bodies are kept.",
        },
        seal::SEAL_TO,
    ],
};

const LIMITS: Section = Section {
    name: "limits",
    doc: "What one gateway takes on at once. Beyond it, callers are refused and told when to come back.",
    keys: &[
        Key {
            name: "connections",
            shape: Shape::Count(1, 1_000_000),
            absent: Absent::Is("10000"),
            doc: "Open connections a listener.",
        },
        Key {
            name: "requests_in_flight",
            shape: Shape::Count(1, 1_000_000),
            absent: Absent::Is("4096"),
            doc: "Requests between their head and their seal.",
        },
        Key {
            name: "body_bytes_in_flight",
            shape: Shape::Size("1MiB", "1TiB"),
            absent: Absent::Is("1GiB"),
            doc: "Bodies in memory, all requests together.",
        },
        Key {
            name: "header_bytes",
            shape: Shape::Size("8KiB", "1MiB"),
            absent: Absent::Is("32KiB"),
            doc: "The head of one request.",
        },
        Key {
            name: "header_timeout",
            shape: Shape::Duration("1s", "5m"),
            absent: Absent::Is("10s"),
            doc: "Time for a request's head to arrive, and for a TLS handshake.",
        },
        Key {
            name: "body_timeout",
            shape: Shape::Duration("1s", "1h"),
            absent: Absent::Is("60s"),
            doc: "Time for a request's body to arrive.",
        },
        Key {
            name: "streams_per_connection",
            shape: Shape::Count(1, 10_000),
            absent: Absent::Is("100"),
            doc: "Streams an HTTP/2 connection.",
        },
        Key {
            name: "drain",
            shape: Shape::Duration("0s", "1h"),
            absent: Absent::Is("30s"),
            doc: "Time that running exchanges have to end after a stop signal.",
        },
        Key {
            name: "token_cache",
            shape: Shape::Count(0, 1_000_000),
            absent: Absent::Is("10000"),
            doc: "Verified tokens that are remembered.",
        },
    ],
};

const DENY_LIST: Section = Section {
    name: "deny_list",
    doc: "One named list. It denies nothing by itself: a policy does, that reads `context.matches`.",
    keys: &[
        Key {
            name: "patterns",
            shape: Shape::Many(0, &Shape::One(Kind::Pattern)),
            absent: Absent::Is("[]"),
            doc: "Regular expressions of at most 1,000 bytes, at most 1,000 in all lists. `(?i)` ignores case.",
        },
        Key {
            name: "words",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "Plain words of at most 200 bytes, at most 10,000 in all lists, found also inside longer words, without regard to case.",
        },
    ],
};
