//! Agents: which there are, how they do, who is let in, who is put out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use authorize::Object;
use http::Method;
use model::{Act, AgentName, Area, Code, Refusal, ResourceName};
use serde::Deserialize;
use serde_json::{Value, json};
use tunnel::{AgentState, Agents as Connected, INVITED_FOR, Member, TunnelError};

use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::table::{Call, Kind, Payload, Route};
use crate::{Admin, input};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agents {
    List,
    Invite,
    Revoke,
}

const ON: &str = "`Area::\"agents\"`";
const FAULTS: &[Code] = &[Code::NotFound, Code::RequestTooLarge, Code::EncodingUnsupported];

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/agents",
        name: "agents.list",
        call: Call::Agents(Agents::List),
        area: Area::Agents,
        act: Act::View,
        on: ON,
        summary: "List the agents, those who were put out too, how each does here, and who is invited.",
        query: &[],
        body: None,
        answer: Kind::Json("AgentList"),
        faults: &[Code::NotFound],
        keeps_bodies: false,
    },
    Route {
        method: Method::POST,
        path: "/agents/invitations",
        name: "agents.invite",
        call: Call::Agents(Agents::Invite),
        area: Area::Agents,
        act: Act::Invite,
        on: ON,
        summary: "Invite an agent. The answer holds its join token, which is good once and told nowhere else.",
        query: &[],
        body: Some(Payload { limit: 16 << 10, schema: "AgentWanted", required: true }),
        answer: Kind::Json("AgentInvitation"),
        faults: FAULTS,
        // The token is in the answer.
        keeps_bodies: false,
    },
    Route {
        method: Method::POST,
        path: "/agents/{agent}/revoke",
        name: "agents.revoke",
        call: Call::Agents(Agents::Revoke),
        area: Area::Agents,
        act: Act::Invite,
        on: ON,
        summary: "Put an agent out: its tunnels close within a second, and what runs in them is cut.",
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema: "Reason", required: false }),
        answer: Kind::Json("Agent"),
        faults: FAULTS,
        keeps_bodies: true,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: Option<AgentName>,
    resources: BTreeSet<ResourceName>,
    lasts_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

pub(crate) fn look() -> Ready {
    Ready::on(Object::Area(Area::Agents))
}

pub(crate) async fn act(
    admin: &Admin,
    call: Agents,
    asked: &Asked,
    sight: &Sight,
) -> Result<Answer, Refusal> {
    let agents = admin.gateway.agents().ok_or_else(|| {
        Refusal::new(Code::NotFound)
            .because("No agent can come in here: the gateway's configuration has no `agents`.")
    })?;
    let by = sight.identity.entity_id();
    let answer = match call {
        Agents::List => list(agents).await?,
        Agents::Invite => invite(admin, agents, asked, &by).await?,
        Agents::Revoke => revoke(agents, asked, &by).await?,
    };
    Ok(Answer::Json(answer))
}

async fn list(agents: &Arc<Connected>) -> Result<Value, Refusal> {
    let (members, waiting) = (agents.roster().members().await, agents.roster().waiting().await);
    let states: BTreeMap<AgentName, AgentState> =
        agents.states().into_iter().map(|state| (state.name.clone(), state)).collect();
    let members = members.map_err(|fault| told(&fault))?;
    let shown: Vec<Value> = members.iter().map(|member| shown(member, states.get(&member.name))).collect();
    let waiting: Vec<Value> = waiting
        .map_err(|fault| told(&fault))?
        .iter()
        .map(|waiting| {
            json!({
                "agent": waiting.agent, "resources": waiting.resources, "by": waiting.by,
                "at": waiting.at, "expires_at": waiting.expires,
            })
        })
        .collect();
    Ok(json!({ "agents": shown, "invitations": waiting, "authority": agents.roster().authority() }))
}

async fn invite(admin: &Admin, agents: &Arc<Connected>, asked: &Asked, by: &str) -> Result<Value, Refusal> {
    let Wanted { name, resources, lasts_seconds } = input::json(&asked.body)?;
    let lasts = lasts_seconds.map_or(INVITED_FOR, Duration::from_secs);
    if let Some(unknown) = resources.iter().find(|name| admin.gateway.place(name).is_none()) {
        let reason = format!("There is no resource `{unknown}` in the gateway's configuration.");
        return Err(Refusal::new(Code::RequestMalformed).because(reason));
    }
    let invited = agents.roster().invite(name, resources, lasts, by).await.map_err(|fault| told(&fault))?;
    Ok(json!({
        "agent": invited.agent, "resources": invited.resources,
        "expires_at": invited.expires, "join": invited.hand_over(),
    }))
}

async fn revoke(agents: &Arc<Connected>, asked: &Asked, by: &str) -> Result<Value, Refusal> {
    let Reason { reason } = if asked.body.is_empty() { Reason::default() } else { input::json(&asked.body)? };
    let nobody = || Refusal::new(Code::NotFound).because("There is no agent of this name.");
    let name = AgentName::new(asked.segment()).map_err(|_| nobody())?;
    let revoked = agents.roster().revoke(&name, reason.as_deref(), by).await;
    // What runs here ends now; other gateways of the same state follow.
    let looked = agents.look_again(&name).await;
    let member = revoked.map_err(|fault| told(&fault))?.ok_or_else(nobody)?;
    looked.map_err(|fault| told(&fault))?;
    Ok(shown(&member, None))
}

fn shown(member: &Member, state: Option<&AgentState>) -> Value {
    let connected = state.map(|state| {
        json!({
            "connections": state.connections, "streams": state.streams,
            "address": state.address.to_string(), "since": state.since, "software": state.software,
        })
    });
    json!({
        "name": member.name, "resources": member.resources, "by": member.by, "joined": member.joined,
        "expires_at": member.certificates.last().map(|held| held.expires),
        "revoked": member.revoked.as_ref().map(|revoked| {
            json!({ "by": revoked.by, "at": revoked.at, "reason": revoked.reason })
        }),
        "connected": connected,
    })
}

fn told(fault: &TunnelError) -> Refusal {
    match fault {
        TunnelError::Unfit(why) => Refusal::new(Code::RequestMalformed).because(sentence(why)),
        fault => {
            Refusal::new(Code::StateUnavailable).because("The state cannot be read or changed.").detail(fault)
        }
    }
}

/// With a capital letter and a full stop, as answers have it.
fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    let revoked = json!({
        "type": ["object", "null"],
        "required": ["by", "at", "reason"],
        "properties": { "by": text(), "at": time(), "reason": { "type": ["string", "null"] } },
    });
    let connected = json!({
        "type": ["object", "null"],
        "description": "How it does at the gateway that was asked; null when it is not connected there.",
        "required": ["connections", "streams", "address", "since", "software"],
        "properties": {
            "connections": { "type": "integer" }, "streams": { "type": "integer" },
            "address": text(), "since": time(), "software": text(),
        },
    });
    let agent = json!({
        "type": "object",
        "required": ["name", "resources", "by", "joined", "expires_at", "revoked", "connected"],
        "properties": {
            "name": text(), "resources": names(), "by": text(), "joined": time(),
            "expires_at": { "type": ["string", "null"], "format": "date-time", "description": "When its certificate ends." },
            "revoked": revoked, "connected": connected,
        },
    });
    let waiting = json!({
        "type": "object",
        "required": ["agent", "resources", "by", "at", "expires_at"],
        "properties": {
            "agent": text(), "resources": names(), "by": text(), "at": time(),
            "expires_at": { "type": ["string", "null"], "format": "date-time" },
        },
    });
    vec![
        ("Agent", agent),
        (
            "AgentList",
            json!({
                "type": "object",
                "required": ["agents", "invitations", "authority"],
                "properties": {
                    "authority": { "type": "string", "description": "The SHA-256 of the certificate of the agents' authority, in hexadecimal." },
                    "agents": { "type": "array", "items": { "$ref": "#/components/schemas/Agent" } },
                    "invitations": { "type": "array", "items": waiting },
                },
            }),
        ),
        (
            "AgentWanted",
            json!({
                "type": "object", "additionalProperties": false, "required": ["resources"],
                "properties": {
                    "name": { "type": ["string", "null"], "description": "What it will be called; made up when left out." },
                    "resources": { "type": "array", "minItems": 1, "maxItems": 64, "items": { "type": "string" } },
                    "lasts_seconds": { "type": ["integer", "null"], "minimum": 1, "maximum": 86400 },
                },
            }),
        ),
        (
            "AgentInvitation",
            json!({
                "type": "object", "required": ["agent", "resources", "expires_at", "join"],
                "properties": {
                    "agent": text(), "resources": names(), "expires_at": time(),
                    "join": { "type": "string", "description": "The join token. It is told here and nowhere else." },
                },
            }),
        ),
    ]
}
