//! The keys of resources.

use super::ALLOWED;
use super::agents::AGENT;
use super::credential::{CA_FILE, CREDENTIAL};
use super::fields::{DISCLOSE, FIELD};
use super::retention::KEEP;
use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const RESOURCE: Section = Section {
    name: "resource",
    doc: "One protected endpoint.",
    keys: &[
        Key {
            name: "kind",
            shape: Shape::Choice(&[
                ("model", "a model server"),
                ("http", "an internal HTTP interface, whose `routes` say what may be asked"),
            ]),
            absent: Absent::Is("model"),
            doc: "What it is.",
        },
        Key {
            name: "server",
            shape: Shape::Choice(&[
                ("openai", "any server that speaks OpenAI's interface"),
                ("vllm", "vLLM"),
                ("llama-cpp", "llama.cpp's server"),
                ("ollama", "Ollama"),
                ("tgi", "Text Generation Inference"),
                ("sglang", "SGLang"),
                ("kserve", "KServe's own server"),
                ("triton", "Triton Inference Server"),
            ]),
            absent: Absent::Nothing("a fault for a model"),
            doc: "Which program serves a model: which operations are known. Not for `http`.",
        },
        Key {
            name: "upstreams",
            shape: Shape::Many(1, &Shape::One(Kind::Url)),
            absent: Absent::Nothing("an agent reaches it"),
            doc: "Where it stands. Several are taken in turn. Either this or `agent`.",
        },
        AGENT,
        Key {
            name: "hosts",
            shape: Shape::Many(0, &Shape::One(Kind::Host)),
            absent: Absent::Is("[]"),
            doc: "Host names that address it, besides the first path segment.",
        },
        Key {
            name: "credential",
            shape: Shape::Short("value", &CREDENTIAL),
            absent: Absent::Nothing("none"),
            doc: "What opens it. Callers never see it.",
        },
        UPSTREAM_PLAIN,
        Key {
            name: "upstream_tls",
            shape: Shape::Section(&UPSTREAM_TLS),
            absent: Absent::Is("{}"),
            doc: "How the upstreams prove themselves, and the gateway to them.",
        },
        Key {
            name: "routes",
            shape: Shape::Many(0, &Shape::Section(&ROUTE)),
            absent: Absent::Is("[]"),
            doc: "What may be asked of an `http` resource; the first match holds. Not for models.",
        },
        Key {
            name: "forward_headers",
            shape: Shape::Many(0, &Shape::One(Kind::Header)),
            absent: Absent::Is("[]"),
            doc: "Request headers that go upstream, besides the few that always do.",
        },
        Key {
            name: "return_headers",
            shape: Shape::Many(0, &Shape::One(Kind::Header)),
            absent: Absent::Is("[]"),
            doc: "Answer headers that go to callers, besides the few that always do.",
        },
        Key {
            name: "timeouts",
            shape: Shape::Section(&TIMEOUTS),
            absent: Absent::Is("{}"),
            doc: "How long each part of an exchange may take.",
        },
        MAX_REQUEST_BYTES,
        Key {
            name: "max_held_answer_bytes",
            shape: Shape::Size("1KiB", "1GiB"),
            absent: Absent::Is("16MiB"),
            doc: "The largest answer that is held whole: JSON documents and single events.",
        },
        Key {
            name: "on_token_expiry",
            shape: Shape::Choice(&[
                ("finish", "it may end by itself, within `timeouts.exchange`"),
                ("cut", "it is cut"),
            ]),
            absent: Absent::Is("finish"),
            doc: "What happens to a running exchange when its token ends.",
        },
        Key {
            name: "unknown_streams",
            shape: Shape::Choice(&[
                ("hold", "held whole, up to `max_held_answer_bytes`, then masked as text"),
                ("refuse", "refused"),
            ]),
            absent: Absent::Is("hold"),
            doc: "What happens to a stream whose shape is unknown.",
        },
        Key {
            name: "fields",
            shape: Shape::Named(Kind::Field, &Shape::Short("class", &FIELD)),
            absent: Absent::Is("{}"),
            doc: "Parts of its answers whose data class is known by their place. See `docs/masking.md`.",
        },
        Key {
            name: "disclose",
            shape: Shape::Choice(DISCLOSE),
            absent: Absent::Is("mask"),
            doc: "What becomes of values in requests that policy does not let the caller `disclose` to it.",
        },
        Key {
            name: "hold",
            shape: Shape::Duration("0s", "24h"),
            absent: Absent::Is("4m"),
            doc: "How long a request waits for its approval before it is answered with 409 and told to come again. Keep it below what clients and load balancers wait for a first byte (often 60s). Streams of events (SSE) wait until the approval expires, with comments that keep the connection alive.",
        },
        Key {
            name: "probe_every",
            shape: Shape::Duration("0s", "1h"),
            absent: Absent::Is("15s"),
            doc: "How often the gateway asks each upstream itself, with its credential, for what only who has it is answered: so that a fault is known before a caller meets it. `0s` never asks. What agents reach, they look at when the gateway asks them to.",
        },
        Key {
            name: "record_bodies",
            shape: Shape::Flag,
            absent: Absent::Is("true"),
            doc: "Whether the record keeps bodies, or only their digests and lengths.",
        },
        Key {
            name: "retention",
            shape: Shape::Section(&KEEP),
            absent: Absent::Nothing("as `ledger.retention` says"),
            doc: "How long its bodies are kept. A change holds from the next start.",
        },
    ],
};

pub(super) const UPSTREAM_PLAIN: Key = Key {
    name: "upstream_plain",
    shape: Shape::Choice(ALLOWED),
    absent: Absent::Nothing("refused beyond loopback"),
    doc: "Allows a credential to travel over plain HTTP to another machine.",
};

pub(super) const MAX_REQUEST_BYTES: Key = Key {
    name: "max_request_bytes",
    shape: Shape::Size("1KiB", "1GiB"),
    absent: Absent::Is("16MiB"),
    doc: "The largest request body.",
};

pub(super) const UPSTREAM_TLS: Section = Section {
    name: "upstream_tls",
    doc: "How upstreams prove themselves, and the gateway to them. The files must be there.",
    keys: &[
        CA_FILE,
        Key {
            name: "client_certificate",
            shape: Shape::One(Kind::Path),
            absent: Absent::Nothing("none"),
            doc: "The gateway's certificate chain, in PEM. Goes with `client_key`.",
        },
        Key {
            name: "client_key",
            shape: Shape::One(Kind::Path),
            absent: Absent::Nothing("none"),
            doc: "The gateway's private key, in PEM. Goes with `client_certificate`.",
        },
    ],
};

pub(super) const TIMEOUTS: Section = Section {
    name: "timeouts",
    doc: "How long each part of an exchange may take.",
    keys: &[
        Key {
            name: "connect",
            shape: Shape::Duration("100ms", "1m"),
            absent: Absent::Is("5s"),
            doc: "To connect, TLS included.",
        },
        Key {
            name: "first_byte",
            shape: Shape::Duration("1s", "1h"),
            absent: Absent::Is("10m"),
            doc: "From the request's last byte to the answer's first.",
        },
        Key {
            name: "idle",
            shape: Shape::Duration("1s", "1h"),
            absent: Absent::Is("2m"),
            doc: "Between two pieces of an answer.",
        },
        Key {
            name: "exchange",
            shape: Shape::Duration("1s", "24h"),
            absent: Absent::Is("1h"),
            doc: "The whole exchange.",
        },
    ],
};

const ROUTE: Section = Section {
    name: "route",
    doc: "One thing that may be asked of an `http` resource.",
    keys: &[
        Key {
            name: "match",
            shape: Shape::One(Kind::Match),
            absent: Absent::Fault,
            doc: "Methods joined by commas, and a path below the resource. `{x}` is one whole segment, a last `{x...}` the rest.",
        },
        Key {
            name: "class",
            shape: Shape::Choice(&[
                ("infer", "ask a model for an answer"),
                ("embed", "embed, score, rerank, classify or pool"),
                ("batch", "jobs for many inputs"),
                ("tokenize", "count or turn text into tokens, and back"),
                ("inspect", "list, health, metadata, metrics"),
                ("read", "read"),
                ("write", "write"),
                ("manage", "load, unload, adapt, scale"),
                ("train", "train or fine-tune"),
                ("export", "take weights or artifacts out"),
                ("administer", "debug, profile, log and process control"),
                ("unknown", "denied unless a policy names it"),
            ]),
            absent: Absent::Fault,
            doc: "What it does: the action that a policy permits.",
        },
        Key {
            name: "name",
            shape: Shape::One(Kind::Name),
            absent: Absent::Fault,
            doc: "Its name in policies and in the record, as `orders.get`.",
        },
    ],
};
