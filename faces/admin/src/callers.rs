//! Callers: who asks, and who is kept out.

use authorize::Object;
use model::{Area, Identity, Refusal};
use serde_json::Value;

use crate::Admin;
use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::table::Route;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {}

pub(crate) const ROUTES: &[Route] = &[];

pub(crate) async fn look(
    _admin: &Admin,
    _call: Callers,
    _asked: &Asked,
    _identity: &Identity,
) -> Result<Ready, Refusal> {
    Ok(Ready::on(Object::Area(Area::Callers)))
}

pub(crate) async fn act(
    _admin: &Admin,
    call: Callers,
    _asked: &Asked,
    _sight: &Sight,
) -> Result<Answer, Refusal> {
    match call {}
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    Vec::new()
}
