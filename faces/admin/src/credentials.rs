//! Credentials: replacing one. What it is, nobody is told here.

use approve::Cleared;
use gateway::NotRotated;
use http::Method;
use model::{Act, Area, Code, Refusal, ResourceName};
use serde_json::{Value, json};

use crate::Admin;
use crate::exchange::{Answer, Asked, Ready};
use crate::resources;
use crate::table::{Call, Kind, Route};

pub(crate) const ROUTES: &[Route] = &[Route {
    method: Method::POST,
    path: "/resources/{resource}/credential/rotate",
    name: "credentials.rotate",
    call: Call::RotateCredential,
    area: Area::Resources,
    act: Act::Rotate,
    on: "the `Resource`, which is in `Area::\"resources\"`",
    summary: "Replace a resource's credential: run the configured command, read the new secret, show that every upstream takes it, and only then let go of the old one. Where policy asks for consent, the answer is 409 until people gave it: make the same call again.",
    query: &[],
    body: None,
    answer: Kind::Json("Rotated"),
    faults: &[
        Code::NotFound,
        Code::RotationFailed,
        Code::ApprovalPending,
        Code::ApprovalDenied,
        Code::ApprovalExpired,
        Code::ApprovalVoid,
    ],
    keeps_bodies: true,
}];

pub(crate) fn look(admin: &Admin, asked: &Asked) -> Ready {
    resources::one(admin, asked)
}

pub(crate) async fn act(admin: &Admin, asked: &Asked, cleared: &Cleared) -> Result<Answer, Refusal> {
    let missing = || Refusal::new(Code::NotFound).because("No resource has this name.");
    let name = ResourceName::new(asked.segment()).map_err(|_| missing())?;
    admin.gateway.place(&name).ok_or_else(missing)?;
    match admin.gateway.rotate(cleared, &name).await {
        Ok(rotated) => {
            let proved: Vec<Value> = rotated
                .proved
                .iter()
                .map(|(upstream, status)| json!({ "url": upstream, "status": status.as_u16() }))
                .collect();
            Ok(Answer::Json(json!({ "name": name, "probe": rotated.probe, "upstreams": proved })))
        }
        Err(why) => Err(told(&name, &why)),
    }
}

/// Whoever may rotate a credential operates it: they are told why it failed. No secret is in it.
fn told(name: &ResourceName, why: &NotRotated) -> Refusal {
    Refusal::new(Code::RotationFailed)
        .because(format!("The credential of resource `{name}` was not replaced: {why}."))
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let rotated = json!({
        "type": "object", "required": ["name", "probe", "upstreams"],
        "description": "The new credential is used from now on.",
        "properties": {
            "name": text(),
            "probe": { "type": "string", "description": "The path that only who has the credential is answered." },
            "upstreams": {
                "type": "array", "description": "Each took the new one.",
                "items": {
                    "type": "object", "required": ["url", "status"],
                    "properties": { "url": text(), "status": { "type": "integer" } },
                },
            },
        },
    });
    vec![("Rotated", rotated)]
}
