//! Resources: what is protected, where it stands, and what it may take and give.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method, Uri};
use model::{AgentName, Class, FieldRule, ResourceName, ServerKind, UnknownStreams};

use super::credential::Credential;
use super::fields::Disclose;
use super::retention::Keep;

/// One protected endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its name, which is also its first path segment.
    pub name: ResourceName,
    /// What it is.
    pub kind: ResourceKind,
    /// Which program serves it: which catalogue of operations holds.
    pub server: ServerKind,
    /// Host names that address it, lower case, without port.
    pub hosts: Vec<String>,
    /// Where it stands, `http` or `https`, with a host, without query. Empty where agents reach it.
    pub upstreams: Vec<Uri>,
    /// Which agents reach it; empty: any that is enrolled for it. None: the gateway itself does.
    pub agent: Option<Vec<AgentName>>,
    /// What opens it.
    pub credential: Option<Credential>,
    /// How its upstreams prove themselves, and this gateway to them.
    pub upstream_tls: UpstreamTls,
    /// What may be asked of an `http` resource, first match first. Empty for a model.
    pub routes: Vec<Route>,
    /// Request headers that go upstream besides the standing allow-list.
    pub forward_headers: Vec<HeaderName>,
    /// Answer headers that go to callers besides the standing allow-list.
    pub return_headers: Vec<HeaderName>,
    /// How long each part of an exchange may take.
    pub timeouts: Timeouts,
    /// The largest request body, in bytes.
    pub max_request_bytes: usize,
    /// The largest answer that is held whole: JSON documents and single events, in bytes.
    pub max_held_answer_bytes: usize,
    /// What happens to a running exchange when its token ends.
    pub on_token_expiry: OnTokenExpiry,
    /// What happens to a stream whose shape is unknown.
    pub unknown_streams: UnknownStreams,
    /// Parts of its answers whose class is known by their place.
    pub fields: Vec<FieldRule>,
    /// What becomes of values in requests that policy does not disclose.
    pub disclose: Disclose,
    /// How long a request waits for its approval before it is told to come again.
    pub hold: Duration,
    /// How often each upstream is asked without a caller. Zero: never.
    pub probe_every: Duration,
    /// Whether the record keeps bodies, or only their digests and lengths.
    pub record_bodies: bool,
    /// How long they are kept; none as all others.
    pub retention: Option<Keep>,
}

impl Resource {
    /// A model served by `server` at `upstream`, everything else as by default.
    pub fn model(name: ResourceName, server: ServerKind, upstream: Uri) -> Self {
        Self {
            name,
            kind: ResourceKind::Model,
            server,
            hosts: Vec::new(),
            upstreams: vec![upstream],
            agent: None,
            credential: None,
            upstream_tls: UpstreamTls::default(),
            routes: Vec::new(),
            forward_headers: Vec::new(),
            return_headers: Vec::new(),
            timeouts: Timeouts::default(),
            max_request_bytes: 16 << 20,
            max_held_answer_bytes: 16 << 20,
            on_token_expiry: OnTokenExpiry::Finish,
            unknown_streams: UnknownStreams::Hold,
            fields: Vec::new(),
            disclose: Disclose::Mask,
            hold: Duration::from_secs(240),
            probe_every: Duration::from_secs(15),
            record_bodies: true,
            retention: None,
        }
    }

    /// An internal HTTP interface at `upstream`, everything else as by default.
    pub fn http(name: ResourceName, upstream: Uri, routes: Vec<Route>) -> Self {
        Self { kind: ResourceKind::Http, routes, ..Self::model(name, ServerKind::Plain, upstream) }
    }
}

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A model server.
    Model,
    /// An internal HTTP interface.
    Http,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Model, Self::Http];

    /// The word in the file, and in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Http => "http",
        }
    }
}

/// How upstreams prove themselves, and this gateway to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The gateway's certificate chain, in PEM. There exactly when the key is.
    pub client_certificate: Option<PathBuf>,
    /// The gateway's private key, in PEM.
    pub client_key: Option<PathBuf>,
}

/// One thing that may be asked of an `http` resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The methods, upper case. Never empty.
    pub methods: Vec<Method>,
    /// The path below the resource, with its leading slash. `{x}` is one whole segment, a last `{x...}`
    /// the rest, at least one segment of it.
    pub path: String,
    /// What it does.
    pub class: Class,
    /// Its name in policies and in the record.
    pub name: String,
}

/// How long each part of an exchange may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the answer's first.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// The whole exchange.
    pub exchange: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(120),
            exchange: Duration::from_secs(3600),
        }
    }
}

/// What happens to a running exchange when its token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTokenExpiry {
    /// It may end by itself, within its own timeout.
    Finish,
    /// It is cut.
    Cut,
}
