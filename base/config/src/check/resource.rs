//! Resources.

use std::path::PathBuf;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, Uri};
use model::{Class, ResourceName};

use super::credential::credential;
use super::{Base, agents, fields, login, retention};
use crate::SecretRef;
use crate::fault::shown;
use crate::reader::{Item, Mapping};
use crate::usable::{
    Credential, CredentialScheme, OnTokenExpiry, Resource, ResourceKind, Route, ServerKind, Timeouts,
    UnknownStreams, UpstreamTls,
};
use crate::value;

pub(super) fn resources(file: &Mapping<'_>, base: &Base) -> Vec<Resource> {
    let named = file.named("resources");
    if let Some(item) = file.item("resources")
        && item.is_empty()
    {
        item.fault("no resource is here, so there is nothing to protect", "at least one");
    }
    let mut resources: Vec<Resource> = Vec::new();
    let mut seen: Vec<(ResourceName, String)> = Vec::new();
    for (name, item) in named {
        let Some(section) = item.section() else { continue };
        // A name that is none was noted; what stands below it is checked all the same.
        let Ok(name) = ResourceName::new(&name).or_else(|_| ResourceName::new("unnamed")) else { continue };
        for host in section.list("hosts", value::host) {
            match seen.iter().find(|(_, other)| *other == host) {
                Some((other, _)) if *other != name => {
                    let message = format!("{} addresses {} already", shown(&host), shown(other.as_str()));
                    section.fault(message, "each host once");
                }
                _ => seen.push((name.clone(), host)),
            }
        }
        resources.extend(resource(name, &section, base));
    }
    resources
}

fn resource(name: ResourceName, section: &Mapping<'_>, base: &Base) -> Option<Resource> {
    let kind = match section.choice("kind") {
        Some("http") => Some(ResourceKind::Http),
        Some(_) => Some(ResourceKind::Model),
        None => None,
    };
    let server = server(section, kind);
    let routes = routes(section, kind);
    let credential = section.section("credential").map(|credential| self::credential(&credential, base));
    let upstreams = upstreams(section, credential.is_some());
    let good = credential.as_ref().and_then(Option::as_ref);
    identity(section, good, &upstreams);
    provable(section, good, kind);
    let agent = agents::choice(section);
    let forward_headers = forward_headers(section, good);
    let on_token_expiry = match section.choice("on_token_expiry") {
        Some("cut") => OnTokenExpiry::Cut,
        _ => OnTokenExpiry::Finish,
    };
    let unknown_streams = match section.choice("unknown_streams") {
        Some("refuse") => UnknownStreams::Refuse,
        _ => UnknownStreams::Hold,
    };
    let upstream_tls = section.section("upstream_tls").map(|tls| upstream_tls(&tls, base));
    let timeouts = section.section("timeouts").map(|timeouts| self::timeouts(&timeouts));
    let mut hosts = section.list("hosts", value::host);
    hosts.sort();
    hosts.dedup();
    if !hosts.is_empty() {
        for route in routes.iter().filter(|route| login::is_metadata(&route.path)) {
            let message =
                format!("{} would never be asked: the gateway itself answers there", shown(&route.path));
            section.fault(message, "another path, or a resource without `hosts`");
        }
    }
    Some(Resource {
        hosts,
        upstreams,
        agent,
        forward_headers,
        return_headers: section.list("return_headers", value::header),
        max_request_bytes: section.number("max_request_bytes"),
        max_held_answer_bytes: section.number("max_held_answer_bytes"),
        on_token_expiry,
        unknown_streams,
        fields: fields::fields(section),
        disclose: fields::disclose(section),
        hold: section.duration("hold"),
        probe_every: section.duration("probe_every"),
        record_bodies: section.flag("record_bodies"),
        retention: retention::own(section, name.as_str()),
        name,
        kind: kind?,
        server: server?,
        // A credential that is written but wrong must not become none at all.
        credential: match credential {
            Some(credential) => Some(credential?),
            None => None,
        },
        upstream_tls: upstream_tls?,
        routes,
        timeouts: timeouts?,
    })
}

pub(super) fn timeouts(section: &Mapping<'_>) -> Timeouts {
    Timeouts {
        connect: section.duration("connect"),
        first_byte: section.duration("first_byte"),
        idle: section.duration("idle"),
        exchange: section.duration("exchange"),
    }
}

fn server(section: &Mapping<'_>, kind: Option<ResourceKind>) -> Option<ServerKind> {
    let named = section.choice("server");
    match (kind?, section.has("server")) {
        (ResourceKind::Model, true) => ServerKind::models().find(|kind| Some(kind.as_str()) == named),
        (ResourceKind::Model, false) => {
            section.fault(
                "`server` is missing: it says which operations a model has",
                "`openai`, `vllm`, `llama-cpp`, `ollama`, `tgi`, `sglang`, `kserve` or `triton`",
            );
            None
        }
        (ResourceKind::Http, false) => Some(ServerKind::Plain),
        (ResourceKind::Http, true) => {
            section.item("server")?.fault("`server` is for models", "`kind: model`, or no `server`");
            None
        }
    }
}

pub(super) fn upstreams(section: &Mapping<'_>, with_credential: bool) -> Vec<Uri> {
    let allowed = section.choice("upstream_plain").is_some();
    let mut upstreams: Vec<Uri> = Vec::new();
    for item in section.many("upstreams") {
        let Some(upstream) = item.parse(value::url) else { continue };
        let shows = upstream.scheme_str() == Some("http") && !upstream.host().is_some_and(value::is_loopback);
        if shows && with_credential && !allowed {
            item.fault(
                "the credential would travel over plain HTTP to another machine",
                "an `https` URL, or `upstream_plain: allowed`",
            );
        }
        if upstreams.contains(&upstream) {
            item.fault("this upstream is written twice", "each upstream once");
        }
        upstreams.push(upstream);
    }
    upstreams
}

/// Where the secret at `key` lies. What stands there instead is never shown: it may be the secret.
pub(super) fn secret(section: &Mapping<'_>, key: &'static str, base: &Base) -> Option<SecretRef> {
    secret_at(&section.item(key)?, base)
}

/// The same of one value.
pub(super) fn secret_at(item: &Item<'_>, base: &Base) -> Option<SecretRef> {
    let secret = item.parse(|text| {
        let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        if let Some(name) = text.strip_prefix("env:") {
            let good = name.bytes().next().is_some_and(first)
                && name.bytes().all(|b| first(b) || b.is_ascii_digit())
                && name.len() <= 255;
            let wrong = "`env:` is not followed by a variable's name (letters, digits and `_`)";
            return good.then(|| SecretRef::Env(name.to_owned())).ok_or_else(|| wrong.to_owned());
        }
        match text.strip_prefix("file:") {
            Some(path) if value::text(path).is_ok() => Ok(SecretRef::File(base.0.join(path))),
            Some(_) => Err("`file:` is not followed by a path".to_owned()),
            None => Err("a secret may not stand in this file: put it into a variable or a file of its own, \
                         and if it was real, replace it"
                .to_owned()),
        }
    });
    if secret.is_none() {
        item.hide();
    }
    secret
}

/// Whose token a request carries is the gateway's to read, and never goes upstream.
const OF_CALLERS: [HeaderName; 4] =
    [AUTHORIZATION, COOKIE, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

fn forward_headers(section: &Mapping<'_>, credential: Option<&Credential>) -> Vec<HeaderName> {
    let mut headers = Vec::new();
    for item in section.many("forward_headers") {
        let Some(header) = item.parse(value::header) else { continue };
        if OF_CALLERS.contains(&header) {
            item.fault(format!("{} carries callers' tokens", shown(header.as_str())), "another header");
        }
        if credential.is_some_and(|credential| credential.header() == Some(&header)) {
            item.fault(format!("{} carries the credential", shown(header.as_str())), "another header");
        }
        headers.push(header);
    }
    headers
}

/// Notes a client certificate that could not be shown, and a second one.
pub(super) fn identity(section: &Mapping<'_>, credential: Option<&Credential>, upstreams: &[Uri]) {
    if !credential.is_some_and(|credential| credential.scheme == CredentialScheme::Certificate) {
        return;
    }
    if upstreams.iter().any(|upstream| upstream.scheme_str() == Some("http")) {
        section.fault("a client certificate is shown in TLS, and an upstream has none", "`https` upstreams");
    }
    if section.section("upstream_tls").is_some_and(|tls| tls.has("client_certificate")) {
        section.fault(
            "the client certificate is written twice, under `credential` and under `upstream_tls`",
            "one of the two",
        );
    }
}

/// Notes a rotation of which nobody knows how to show that it worked.
fn provable(section: &Mapping<'_>, credential: Option<&Credential>, kind: Option<ResourceKind>) {
    let rotate = credential.and_then(|credential| credential.rotate.as_ref());
    if kind == Some(ResourceKind::Http) && rotate.is_some_and(|rotate| rotate.probe.is_none()) {
        section.fault(
            "`credential.rotate` has no `probe`, and of an `http` resource nobody knows what shows that a secret is taken",
            "a `probe`: a path that answers a GET only to who has the credential",
        );
    }
}

pub(super) fn upstream_tls(section: &Mapping<'_>, base: &Base) -> UpstreamTls {
    if section.has("client_certificate") != section.has("client_key") {
        section.fault("`client_certificate` and `client_key` go together", "both, or neither");
    }
    let file = |key| -> Option<PathBuf> { base.file(section, key) };
    UpstreamTls {
        ca_file: file("ca_file"),
        client_certificate: file("client_certificate"),
        client_key: file("client_key"),
    }
}

fn routes(section: &Mapping<'_>, kind: Option<ResourceKind>) -> Vec<Route> {
    let items = section.many("routes");
    match kind {
        Some(ResourceKind::Http) if items.is_empty() => {
            section.fault(
                "no `routes` are here, so nothing could be asked",
                "for `kind: http` a list of `{match: \"GET /orders/{id}\", class: read, name: orders.get}`",
            );
        }
        Some(ResourceKind::Model) if section.has("routes") => {
            section.fault(
                "`routes` are for `kind: http`; a model's operations follow from `server`",
                "no `routes`",
            );
        }
        _ => {}
    }
    let mut routes: Vec<Route> = Vec::new();
    for item in items {
        let Some(section) = item.section() else { continue };
        let matched = section.parse("match", value::route);
        let class = section.choice("class").and_then(Class::from_name);
        let name = section.parse("name", value::name);
        let (Some((methods, path)), Some(class), Some(name)) = (matched, class, name) else { continue };
        let hidden = |route: &Route| {
            shape(&route.path) == shape(&path) && methods.iter().all(|method| route.methods.contains(method))
        };
        if let Some(earlier) = routes.iter().find(|route| hidden(route)) {
            let message = format!("{} stands before it and matches the same", shown(&earlier.name));
            section.fault(message, "each route once");
        }
        routes.push(Route { methods, path, class, name });
    }
    routes
}

/// A pattern without the names of its parts.
fn shape(path: &str) -> Vec<&str> {
    let part = |part| match part {
        rest if str::ends_with(rest, "...}") => "{...}",
        one if str::starts_with(one, "{") => "{}",
        text => text,
    };
    path.split('/').map(part).collect()
}
