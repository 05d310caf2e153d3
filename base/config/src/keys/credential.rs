//! The keys of credentials.

use super::asked::CLIENT_AUTH;
use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const CREDENTIAL: Section = Section {
    name: "credential",
    doc: "What opens an upstream: a secret from one of `value`, `command` and `vault`, shown in `header`, or as `user`, `query`, `client_certificate` or `oauth2` say. May be written as the secret's place alone. See `docs/credentials.md`.",
    keys: &[
        Key {
            name: "value",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Nothing("`command` or `vault` gives the secret"),
            doc: "Where the secret lies: `env:NAME` or `file:PATH`. Read at each use, so it may rotate.",
        },
        Key {
            name: "command",
            shape: Shape::Short("run", &COMMAND),
            absent: Absent::Nothing("`value` or `vault` gives the secret"),
            doc: "A program whose standard output is the secret. May be written as `run` alone.",
        },
        Key {
            name: "vault",
            shape: Shape::Section(&VAULT),
            absent: Absent::Nothing("`value` or `command` gives the secret"),
            doc: "Where HashiCorp Vault or OpenBao keeps the secret.",
        },
        Key {
            name: "header",
            shape: Shape::One(Kind::Header),
            absent: Absent::Is("authorization"),
            doc: "The header it is sent in.",
        },
        Key {
            name: "scheme",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("`Bearer` in `authorization`, none elsewhere"),
            doc: "The word before it. `none` sends the secret alone.",
        },
        Key {
            name: "user",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("no HTTP Basic"),
            doc: "Sends HTTP Basic (RFC 7617): this user, with the secret as its password.",
        },
        Key {
            name: "query",
            shape: Shape::One(Kind::Name),
            absent: Absent::Nothing("not in the query"),
            doc: "Sends the secret in this parameter of the query. Requests that bring the parameter themselves are refused.",
        },
        Key {
            name: "client_certificate",
            shape: Shape::Flag,
            absent: Absent::Is("false"),
            doc: "The secret is a certificate chain with its private key, in PEM: the upstream sees it in the TLS handshake.",
        },
        Key {
            name: "oauth2",
            shape: Shape::Section(&OAUTH2),
            absent: Absent::Nothing("the secret itself is sent"),
            doc: "The secret is that of an OAuth client, and the access token it is given is what is sent (RFC 6749, section 4.4).",
        },
        Key {
            name: "cache",
            shape: Shape::Duration("0s", "1h"),
            absent: Absent::Is("10s"),
            doc: "How long what `command` or `vault` gave is used before it is asked again. A `value` is read at each use.",
        },
        Key {
            name: "stale",
            shape: Shape::Duration("0s", "24h"),
            absent: Absent::Is("5m"),
            doc: "How long the last value is used while the source gives none, counted from when it was last read. Then requests are refused.",
        },
        Key {
            name: "rotate",
            shape: Shape::Section(&ROTATE),
            absent: Absent::Nothing("`portcullis credentials rotate` is refused"),
            doc: "How `portcullis credentials rotate` makes a new secret.",
        },
    ],
};

const COMMAND: Section = Section {
    name: "command",
    doc: "A program, run without a shell. Nothing of what it writes to standard error is kept.",
    keys: &[
        Key {
            name: "run",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Fault,
            doc: "The program and its arguments. A relative path with a slash is taken from the file's folder; a bare name is looked for on the gateway's `PATH`.",
        },
        Key {
            name: "timeout",
            shape: Shape::Duration("100ms", "5m"),
            absent: Absent::Is("10s"),
            doc: "How long it may run. Then it is killed, with what it started.",
        },
        Key {
            name: "environment",
            shape: Shape::Many(0, &Shape::One(Kind::Name)),
            absent: Absent::Is("[]"),
            doc: "Variables of the gateway's that it gets, besides `PATH`, `HOME`, `LANG` and `PORTCULLIS_RESOURCE`.",
        },
    ],
};

pub(super) const CA_FILE: Key = Key {
    name: "ca_file",
    shape: Shape::One(Kind::Path),
    absent: Absent::Nothing("the system's"),
    doc: "Certificates to trust, in PEM.",
};

const ANSWER_TIMEOUT: Key = Key {
    name: "timeout",
    shape: Shape::Duration("100ms", "1m"),
    absent: Absent::Is("5s"),
    doc: "How long an answer may take.",
};

const VAULT: Section = Section {
    name: "vault",
    doc: "A secret in a key-value engine of HashiCorp Vault or OpenBao.",
    keys: &[
        Key {
            name: "url",
            shape: Shape::One(Kind::Url),
            absent: Absent::Fault,
            doc: "The server, without a path. `http` only on this machine.",
        },
        Key {
            name: "engine",
            shape: Shape::Choice(&[
                ("kv-v1", "without versions"),
                ("kv-v2", "with versions; the newest is read"),
            ]),
            absent: Absent::Is("kv-v2"),
            doc: "Which key-value engine is mounted there.",
        },
        Key {
            name: "mount",
            shape: Shape::One(Kind::Text),
            absent: Absent::Is("secret"),
            doc: "Where the engine is mounted.",
        },
        Key {
            name: "path",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The secret's path below the mount, as `vault kv get` takes it.",
        },
        Key {
            name: "field",
            shape: Shape::One(Kind::Text),
            absent: Absent::Is("value"),
            doc: "Which field of it.",
        },
        Key {
            name: "token",
            shape: Shape::One(Kind::Secret),
            absent: Absent::Fault,
            doc: "Where the token lies that Vault is asked with: `env:NAME` or `file:PATH`. Read each time, so an agent of Vault's may renew it.",
        },
        Key {
            name: "namespace",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("none"),
            doc: "The namespace, on servers that have them.",
        },
        CA_FILE,
        ANSWER_TIMEOUT,
    ],
};

const OAUTH2: Section = Section {
    name: "oauth2",
    doc: "Where an OAuth client's access token is fetched. It is kept until shortly before it ends.",
    keys: &[
        Key {
            name: "token_url",
            shape: Shape::One(Kind::Url),
            absent: Absent::Fault,
            doc: "The token endpoint. `http` only on this machine.",
        },
        Key { name: "client_id", shape: Shape::One(Kind::Text), absent: Absent::Fault, doc: "As whom." },
        CLIENT_AUTH,
        Key {
            name: "scopes",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "The scopes to ask for.",
        },
        Key {
            name: "resource",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("not asked for"),
            doc: "The resource the token is for, as a URI (RFC 8707).",
        },
        Key {
            name: "audience",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("not asked for"),
            doc: "The audience the token is for, for issuers that take this parameter instead.",
        },
        CA_FILE,
        ANSWER_TIMEOUT,
    ],
};

const ROTATE: Section = Section {
    name: "rotate",
    doc: "How a credential is replaced on request. The old one is used until the new one has proved itself.",
    keys: &[
        Key {
            name: "command",
            shape: Shape::Short("run", &COMMAND),
            absent: Absent::Fault,
            doc: "The program that makes the new secret, and puts it where the source reads it. What it writes is thrown away. May be written as `run` alone.",
        },
        Key {
            name: "probe",
            shape: Shape::One(Kind::Text),
            absent: Absent::Nothing("as the server says; needed for `kind: http`"),
            doc: "The path below each upstream that a GET of shows whether a secret is taken: anything but 401, 403 and a failure is a yes.",
        },
    ],
};
