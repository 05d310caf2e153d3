//! The keys of agents: the gateway's side of them, and the agent's own file.

use super::credential::CREDENTIAL;
use super::resource::{MAX_REQUEST_BYTES, TIMEOUTS, UPSTREAM_PLAIN, UPSTREAM_TLS};
use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const AGENTS: Section = Section {
    name: "agents",
    doc: "Where agents come in: the parts that run beside the models and hold their credentials. May be written as the address alone. See `docs/agent.md`.",
    keys: &[
        Key {
            name: "address",
            shape: Shape::One(Kind::Address),
            absent: Absent::Fault,
            doc: "The address of a listener of its own. TLS 1.3 with certificates of the gateway's own, always. Port 0 lets the system choose.",
        },
        Key {
            name: "dir",
            shape: Shape::One(Kind::Path),
            absent: Absent::Is("agents-ca"),
            doc: "Where the authority for agents keeps its key. It is made if it is not there, with mode 0700. Gateways of one state share it.",
        },
        Key {
            name: "workloads",
            shape: Shape::Named(Kind::ResourceName, &Shape::Section(&WORKLOAD)),
            absent: Absent::Is("{}"),
            doc: "Programs that become agents by a token of their own issuer, without an invitation. The name is the agent's.",
        },
    ],
};

const WORKLOAD: Section = Section {
    name: "workload",
    doc: "One program that may be this agent.",
    keys: &[
        Key {
            name: "issuer",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "Whose tokens prove it: a name from `issuers`. What that says of audiences, ages and algorithms holds here too.",
        },
        Key {
            name: "subject",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The token's `sub`, exactly: `system:serviceaccount:models:portcullis-agent`.",
        },
        Key {
            name: "resources",
            shape: Shape::Many(1, &Shape::One(Kind::ResourceName)),
            absent: Absent::Fault,
            doc: "What it may serve.",
        },
    ],
};

/// The key of a resource that an agent stands before.
pub(super) const AGENT: Key = Key {
    name: "agent",
    shape: Shape::Many(1, &Shape::One(Kind::ResourceName)),
    absent: Absent::Nothing("the gateway reaches `upstreams` itself"),
    doc: "Which agents reach it, by name; `any`: any that is enrolled for it. In place of `upstreams`: those, and the credential, are then in the agent's own file.",
};

/// The agent's own file.
pub(crate) const AGENT_FILE: Section = Section {
    name: "agent_file",
    doc: "The file of `portcullis agent`. Relative paths are taken from its folder.",
    keys: &[
        Key {
            name: "gateways",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Fault,
            doc: "The gateways' listeners for agents, `HOST:PORT` each. The agent keeps tunnels to all of them.",
        },
        Key {
            name: "join",
            shape: Shape::Short("token", &JOIN),
            absent: Absent::Nothing("needed once, to join"),
            doc: "How the agent becomes one. May be written as the join token's place alone. It is not read again while the agent is enrolled.",
        },
        Key {
            name: "dir",
            shape: Shape::One(Kind::Path),
            absent: Absent::Is("agent"),
            doc: "Where the agent keeps its key and certificate. It is made if it is not there, with mode 0700.",
        },
        Key {
            name: "resources",
            shape: Shape::Named(Kind::ResourceName, &Shape::Section(&AGENT_RESOURCE)),
            absent: Absent::Fault,
            doc: "What it serves, by the names that the gateway has. Only what it was enrolled for is ever asked.",
        },
        Key {
            name: "limits",
            shape: Shape::Section(&AGENT_LIMITS),
            absent: Absent::Is("{}"),
            doc: "What it takes on at once.",
        },
    ],
};

const JOIN: Section = Section {
    name: "join",
    doc: "How the agent becomes one: by `token`, or by `workload` with `authority`.",
    keys: &[
        Key {
            name: "token",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Nothing("`workload` in its place"),
            doc: "Where the join token lies that `portcullis agents invite` gave: `env:NAME` or `file:PATH`.",
        },
        Key {
            name: "workload",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Nothing("`token` in its place"),
            doc: "Where a token of this program's own issuer lies, as a Kubernetes service account's. The gateway's `agents.workloads` says which agent it is.",
        },
        Key {
            name: "authority",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("only with `workload`"),
            doc: "The SHA-256 of the certificate of the gateways' authority, 64 hexadecimal digits: how the agent knows them before it shows a token. `portcullis agents list` tells it.",
        },
    ],
};

const AGENT_RESOURCE: Section = Section {
    name: "agent_resource",
    doc: "One resource, as it stands beside the agent. The gateway can name no other address.",
    keys: &[
        Key {
            name: "upstreams",
            shape: Shape::Many(1, &Shape::One(Kind::Url)),
            absent: Absent::Fault,
            doc: "Where it stands. Several are taken in turn.",
        },
        Key {
            name: "credential",
            shape: Shape::Short("value", &CREDENTIAL),
            absent: Absent::Nothing("none"),
            doc: "What opens it. Neither callers nor the gateway ever see it.",
        },
        UPSTREAM_PLAIN,
        Key {
            name: "upstream_tls",
            shape: Shape::Section(&UPSTREAM_TLS),
            absent: Absent::Is("{}"),
            doc: "How the upstreams prove themselves, and the agent to them.",
        },
        Key {
            name: "timeouts",
            shape: Shape::Section(&TIMEOUTS),
            absent: Absent::Is("{}"),
            doc: "How long each part of an exchange may take. The gateway's own hold besides.",
        },
        MAX_REQUEST_BYTES,
    ],
};

const AGENT_LIMITS: Section = Section {
    name: "agent_limits",
    doc: "What one agent takes on at once. What is more is refused, and asked of another agent.",
    keys: &[
        Key {
            name: "requests_in_flight",
            shape: Shape::Count(1, 100_000),
            absent: Absent::Is("1024"),
            doc: "Requests under way.",
        },
        Key {
            name: "body_bytes_in_flight",
            shape: Shape::Size("1MiB", "64GiB"),
            absent: Absent::Is("256MiB"),
            doc: "Bytes of request bodies in memory, all requests together.",
        },
        Key {
            name: "drain",
            shape: Shape::Duration("0s", "1h"),
            absent: Absent::Is("30s"),
            doc: "Time that running requests have to end after a stop signal.",
        },
    ],
};
