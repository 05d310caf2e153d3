//! Memberships for a while: who asks for one, who has one, and who takes one back.

use std::sync::Arc;

use approve::{Approval, Asking};
use authenticate::standing::{CallerId, Grant, StandingError};
use authorize::{Object, Person, Surroundings};
use gateway::{Wish, Wished};
use http::Method;
use model::{Act, Area, Code, Facts, Identity, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::recall::Recall;
use crate::table::{Call, Kind, Payload, Route};
use crate::{Admin, callers, input};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grants {
    Ask,
    List,
    Show,
    Revoke,
}

const ONE: &str =
    "the `Caller` whose it is, which is in `Area::\"callers\"` and in the groups it was last seen with";

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/grants",
        name: "grants.ask",
        call: Call::Grants(Grants::Ask),
        area: Area::Callers,
        act: Act::Join,
        on: "the `Group`, with `minutes` in the context",
        summary: "Ask to be in a group for a while. Where policy asks for consent, an approval waits; the time counts from it.",
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema: "NewGrant", required: true }),
        answer: Kind::Json("Wished"),
        faults: &[Code::ApprovalDenied, Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    },
    Route {
        method: Method::GET,
        path: "/grants",
        name: "grants.list",
        call: Call::Grants(Grants::List),
        area: Area::Callers,
        act: Act::View,
        on: "the caller itself, as a `Caller`; others' memberships are listed for whoever may `view` `Area::\"callers\"`",
        summary: "List memberships that live, or were over of late.",
        query: &[],
        body: None,
        answer: Kind::Json("GrantList"),
        faults: &[],
        keeps_bodies: false,
    },
    Route {
        method: Method::GET,
        path: "/grants/{grant}",
        name: "grants.show",
        call: Call::Grants(Grants::Show),
        area: Area::Callers,
        act: Act::View,
        on: ONE,
        summary: "Show one membership.",
        query: &[],
        body: None,
        answer: Kind::Json("Grant"),
        faults: &[Code::NotFound],
        keeps_bodies: false,
    },
    Route {
        method: Method::POST,
        path: "/grants/{grant}/revoke",
        name: "grants.revoke",
        call: Call::Grants(Grants::Revoke),
        area: Area::Callers,
        act: Act::Revoke,
        on: ONE,
        summary: "Take a membership back: it holds no more, and what runs with it ends within a second.",
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema: "Reason", required: false }),
        answer: Kind::Json("Grant"),
        faults: &[Code::NotFound, Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGrant {
    group: String,
    minutes: u32,
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

pub(crate) async fn look(
    admin: &Admin,
    call: Grants,
    asked: &Asked,
    identity: &Identity,
) -> Result<Ready, Refusal> {
    let own = || Object::Caller(Person::of(identity));
    match call {
        Grants::Ask => {
            let NewGrant { group, minutes, reason } = input::json(&asked.body)?;
            let wish = Wish::new(&group, minutes, &reason)
                .map_err(|why| Refusal::new(Code::RequestMalformed).because(format!("{why}.")))?;
            Ok(Ready { recalled: Recall::Wish(wish), ..Ready::on(own()) })
        }
        Grants::List => Ok(Ready::on(own())),
        Grants::Show | Grants::Revoke => {
            let standing = admin.gateway.standing();
            let found = standing.grant_by_id(asked.segment()).await.map_err(|fault| told(&fault))?;
            // Who may see none cannot tell what is there: what is not there is in the area of all callers.
            let Some(grant) = found else { return Ok(Ready::on(Object::Area(Area::Callers))) };
            let id = grant.caller().map_err(|fault| told(&fault))?;
            let object = match id == CallerId::of(identity) {
                true => own(),
                false => {
                    let known = standing.get(&id).await.map_err(|fault| told(&fault))?;
                    Object::Caller(callers::person(&id, known.as_ref()))
                }
            };
            Ok(Ready { recalled: Recall::Grant(Box::new(grant)), ..Ready::on(object) })
        }
    }
}

/// Asks. It takes the proof that it may be asked for.
pub(crate) async fn ask(
    admin: &Admin,
    recalled: Recall,
    (own, sight): (&Arc<Identity>, &Sight),
    asking: Asking,
) -> Result<Answer, Refusal> {
    let Recall::Wish(wish) = recalled else { return Err(Refusal::new(Code::Internal)) };
    let wished = admin.gateway.wish(&asking, own, wish, sight.client).await?;
    Ok(Answer::Json(match wished {
        Wished::Granted(grant) => json!({ "grant": shown(&grant), "approval": null }),
        Wished::Waits(approval) => json!({ "grant": null, "approval": waits(admin, &approval) }),
    }))
}

fn waits(admin: &Admin, approval: &Approval) -> Value {
    json!({
        "id": approval.id.to_string(),
        "state": approval.state.as_str(),
        "needed": approval.needed,
        "expires": approval.expires.to_string(),
        "url": admin.gateway.approvals().url(approval.id),
    })
}

pub(crate) async fn act(
    admin: &Admin,
    call: Grants,
    asked: &Asked,
    recalled: Recall,
    sight: &Sight,
) -> Result<Answer, Refusal> {
    let missing = || Refusal::new(Code::NotFound).because("No membership has this id.");
    match (call, recalled) {
        (Grants::List, _) => list(admin, sight).await,
        (Grants::Show, Recall::Grant(grant)) => Ok(Answer::Json(shown(&grant))),
        (Grants::Revoke, Recall::Grant(grant)) => {
            let Reason { reason } =
                if asked.body.is_empty() { Reason::default() } else { input::json(&asked.body)? };
            let by = (&*sight.identity, sight.client, sight.exchange);
            let ended = admin.gateway.revoke_grant(&grant.id, by, reason.as_deref()).await?;
            Ok(Answer::Json(shown(&ended)))
        }
        (Grants::Ask, _) => Err(Refusal::new(Code::Internal)),
        _ => Err(missing()),
    }
}

async fn list(admin: &Admin, sight: &Sight) -> Result<Answer, Refusal> {
    let facts = Facts::plain("GET", "/api/v1/callers");
    let surroundings = Surroundings { client: sight.client };
    let authorizer = admin.gateway.authorizer();
    let all = Object::Area(Area::Callers);
    let all = authorizer.also(&sight.identity, Act::View, &all, (&facts, surroundings)).is_some();
    let own = CallerId::of(&sight.identity);
    let grants = admin.gateway.standing().grants(if all { None } else { Some(&own) }).await;
    let mut grants = grants.map_err(|fault| told(&fault))?;
    grants.sort_by_key(|grant| std::cmp::Reverse(grant.began));
    let grants: Vec<Value> = grants.iter().map(shown).collect();
    Ok(Answer::Json(json!({ "grants": grants })))
}

fn told(fault: &StandingError) -> Refusal {
    Refusal::new(Code::StateUnavailable).because("The state cannot be read.").detail(fault)
}

/// A membership, as it is told.
fn shown(grant: &Grant) -> Value {
    json!({
        "id": grant.id,
        "caller": grant.entity_id(),
        "name": grant.name,
        "group": grant.group,
        "reason": grant.reason,
        "began": grant.began.to_string(),
        "ends": grant.ends.to_string(),
        "consents": grant.consents,
        "over": grant.over.as_ref().map(|over| json!({
            "at": over.at.to_string(), "by": over.by, "reason": over.reason,
        })),
    })
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let maybe = || json!({ "type": ["string", "null"] });
    let time = || json!({ "type": "string", "format": "date-time" });
    let grant = json!({
        "type": "object",
        "required": ["id", "caller", "group", "reason", "began", "ends", "consents", "over"],
        "properties": {
            "id": { "type": "string", "format": "uuid", "description": "That of its approval, if it needed one." },
            "caller": { "type": "string", "description": "Who is in the group, as `issuer#subject`." },
            "name": maybe(), "group": text(), "reason": text(), "began": time(),
            "ends": { "type": "string", "format": "date-time", "description": "Whatever happens." },
            "consents": {
                "type": "array", "items": text(), "description": "Who consented, as `issuer#subject`.",
            },
            "over": {
                "type": ["object", "null"], "description": "How it ended; `by` is null when its time was over.",
                "required": ["at", "by", "reason"],
                "properties": { "at": time(), "by": maybe(), "reason": maybe() },
            },
        },
    });
    let new = json!({
        "type": "object", "additionalProperties": false, "required": ["group", "minutes", "reason"],
        "properties": {
            "group": { "type": "string", "minLength": 1, "maxLength": 255 },
            "minutes": { "type": "integer", "minimum": 1, "maximum": gateway::MOST_MINUTES },
            "reason": { "type": "string", "minLength": 1, "maxLength": 1000, "description": "Approvers read it." },
        },
    });
    let wished = json!({
        "type": "object", "required": ["grant", "approval"],
        "description": "The membership, if nobody's consent is needed; else the approval that waits.",
        "properties": {
            "grant": { "oneOf": [{ "$ref": "#/components/schemas/Grant" }, { "type": "null" }] },
            "approval": {
                "type": ["object", "null"], "required": ["id", "state", "needed", "expires", "url"],
                "properties": {
                    "id": { "type": "string", "format": "uuid" }, "state": text(),
                    "needed": { "type": "integer" }, "expires": time(), "url": maybe(),
                },
            },
        },
    });
    let list = json!({
        "type": "object", "required": ["grants"],
        "properties": { "grants": { "type": "array", "items": { "$ref": "#/components/schemas/Grant" } } },
    });
    vec![("Grant", grant), ("GrantList", list), ("NewGrant", new), ("Wished", wished)]
}
