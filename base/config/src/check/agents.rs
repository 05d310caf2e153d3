//! Agents: the gateway's section, a resource's choice, and the agent's own file.

use std::net::SocketAddr;

use http::Uri;
use model::{AgentName, ResourceName};

use super::{Base, address, collide, resource};
use crate::fault::{Gathered, shown};
use crate::keys::AGENT_FILE;
use crate::reader::Mapping;
use crate::usable::{AgentConfig, Agents, Resource, ServerKind};
use crate::{value, yaml};

/// The word for any agent.
const ANY: &str = "any";

pub(super) fn agents(
    file: &Mapping<'_>,
    base: &Base,
    taken: impl Iterator<Item = SocketAddr>,
) -> Option<Agents> {
    if !file.has("agents") {
        return None;
    }
    let section = file.section("agents")?;
    let at = section.parse("address", address);
    let dir = base.path(&section, "dir");
    let at = at?;
    for other in taken.filter(|other| collide(at, *other)) {
        section.fault(format!("{at} is taken already by {other}"), "each address and port once");
    }
    Some(Agents { address: at, dir: dir? })
}

/// Which agents reach a resource: none when the gateway does itself, and no name for any.
pub(super) fn choice(section: &Mapping<'_>) -> Option<Vec<AgentName>> {
    if !section.has("agent") {
        if !section.has("upstreams") {
            section.fault("neither `upstreams` nor `agent` is here, so it stands nowhere", "one of the two");
        }
        return None;
    }
    for key in ["upstreams", "credential", "upstream_plain", "upstream_tls"] {
        if section.has(key) {
            section.fault(
                format!("`{key}` is the agent's to know: it stands in the agent's own file"),
                format!("`agent` without `{key}`"),
            );
        }
    }
    let names = section.list("agent", AgentName::new);
    match names.iter().any(|name| name.as_str() == ANY) {
        true if names.len() > 1 => {
            section.fault("`any` stands beside names", "`any`, or names alone");
            None
        }
        true => Some(Vec::new()),
        false => Some(names),
    }
}

/// Notes resources that no agent could come in for.
pub(super) fn have_a_door(file: &Mapping<'_>, resources: &[Resource], agents: Option<&Agents>) {
    if let Some(resource) = resources.iter().find(|resource| resource.agent.is_some())
        && agents.is_none()
        && !file.has("agents")
    {
        let message =
            format!("{} is reached by an agent, and none can come in", shown(resource.name.as_str()));
        file.fault(message, "an address under `agents`");
    }
}

/// Reads a whole agent's file. None when anything is wrong; then it is noted.
pub(crate) fn agent_file(text: &str, base: &Base, faults: &Gathered) -> Option<AgentConfig> {
    let root = yaml::read(text, faults)?;
    let file = Mapping::file(root, &AGENT_FILE, faults)?;
    let gateways = file.list("gateways", gateway);
    let join = if file.has("join") { Some(resource::secret(&file, "join", base)) } else { None };
    let dir = base.path(&file, "dir");
    let resources = file.named("resources");
    if resources.is_empty() {
        file.fault("no resource is here, so there is nothing to serve", "at least one under `resources`");
    }
    let resources: Vec<Resource> = resources
        .into_iter()
        .filter_map(|(name, item)| beside(ResourceName::new(&name).ok()?, &item.section()?, base))
        .collect();
    let limits = file.section("limits");
    if faults.any() {
        return None;
    }
    let limits = limits?;
    Some(AgentConfig {
        gateways,
        join: match join {
            Some(join) => Some(join?),
            None => None,
        },
        dir: dir?,
        resources,
        requests_in_flight: limits.number("requests_in_flight"),
        body_bytes_in_flight: limits.number("body_bytes_in_flight"),
        drain: limits.duration("drain"),
    })
}

/// A resource as it stands beside the agent.
fn beside(name: ResourceName, section: &Mapping<'_>, base: &Base) -> Option<Resource> {
    let credential =
        section.section("credential").map(|credential| super::credential::credential(&credential, base));
    let upstreams = resource::upstreams(section, credential.is_some());
    resource::identity(section, credential.as_ref().and_then(Option::as_ref), &upstreams);
    let upstream_tls = section.section("upstream_tls").map(|tls| resource::upstream_tls(&tls, base));
    let timeouts = section.section("timeouts").map(|timeouts| resource::timeouts(&timeouts));
    let max_request_bytes = section.number("max_request_bytes");
    let first = upstreams.first().cloned().unwrap_or_else(|| Uri::from_static("http://127.0.0.1"));
    Some(Resource {
        upstreams,
        // A credential that is written but wrong must not become none at all.
        credential: match credential {
            Some(credential) => Some(credential?),
            None => None,
        },
        upstream_tls: upstream_tls?,
        timeouts: timeouts?,
        max_request_bytes,
        ..Resource::model(name, ServerKind::Plain, first)
    })
}

fn gateway(text: &str) -> Result<String, String> {
    let odd = || format!("{} is no host with a port, as `gateway.example.test:8444`", shown(text));
    let (host, port) = text.rsplit_once(':').ok_or_else(odd)?;
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => value::host(host).is_ok(),
    };
    if !known {
        return Err(odd());
    }
    match port.parse::<u16>() {
        Ok(port) if port != 0 => Ok(text.to_owned()),
        _ => Err(odd()),
    }
}
