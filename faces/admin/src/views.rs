//! What was recorded, as JSON: the same for the API and for an operator's direct look at the files.

use std::borrow::Cow;

use jiff::Timestamp;
use model::ExchangeId;
use record::body::{Body, Kind};
use record::{Exchange, Listed, Reader};
use serde_json::{Map, Value, json};

/// The bodies of one exchange, as they may be shown.
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    /// The request's.
    pub request: Vec<u8>,
    /// The answer's.
    pub response: Vec<u8>,
    /// The answer's headers.
    pub headers: Vec<(String, String)>,
    /// How many frames there are.
    pub frames: u64,
    /// Whether a part of them is not shown.
    pub cut: bool,
    /// What is not there any more, in sentences.
    pub gone: Vec<String>,
    /// Whether they are sealed, and nothing of them is shown.
    pub encrypted: bool,
}

/// How a session is spelt: it is named by its first exchange.
fn session(first: ExchangeId) -> String {
    format!("s-{first}")
}

/// The first exchange of a session that is spelt so.
pub fn session_named(text: &str) -> Option<ExchangeId> {
    ExchangeId::parse(text.strip_prefix("s-")?)
}

/// One line of a list of sessions: told by the exchange it begins with.
pub fn begun(listed: &Listed) -> Value {
    let begins = listed.begins.as_ref();
    json!({
        "session": session(listed.exchange),
        "began": listed.arrived.to_string(),
        "ended": begins.map(|begins| begins.ended.to_string()),
        "exchanges": begins.map(|begins| begins.exchanges),
        "session_name": begins.and_then(|begins| begins.name.as_ref()),
        "client": listed.client,
        "issuer": listed.issuer,
        "subject": listed.subject,
        "email": listed.email,
        "kind": listed.kind,
        "groups": listed.groups,
        "resource": listed.resource,
        "model": listed.model,
    })
}

fn headers<'a>(all: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> Value {
    all.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// One line of a list.
pub fn listed(listed: &Listed) -> Value {
    let counts = |pairs: &[(String, u64)]| {
        pairs.iter().map(|(class, count)| (class.clone(), json!(count))).collect::<Map<_, _>>()
    };
    json!({
        "exchange": listed.exchange.to_string(),
        "session": listed.session.map(session),
        "arrived": listed.arrived.to_string(),
        "client": listed.client,
        "issuer": listed.issuer,
        "subject": listed.subject,
        "email": listed.email,
        "kind": listed.kind,
        "groups": listed.groups,
        "resource": listed.resource,
        "model": listed.model,
        "classes": listed.classes,
        "operations": listed.operations,
        "method": listed.method,
        "path": listed.path,
        "ruling": listed.ruling,
        "policies": listed.policies,
        "outcome": listed.outcome,
        "code": listed.code,
        "status": listed.status,
        "first_byte_ns": listed.first_byte_after,
        "total_ns": listed.total,
        "input_tokens": listed.tokens.map(|(input, _)| input),
        "output_tokens": listed.tokens.map(|(_, output)| output),
        "masked": counts(&listed.masked),
        "revealed": counts(&listed.revealed),
    })
}

/// One frame of a replay, `began` nanoseconds being its exchange's arrival.
pub fn frame(began: i64, frame: &Body) -> Value {
    let opaque = frame.opaque.as_ref().map(|opaque| (opaque.class.as_str(), opaque.length));
    let text = String::from_utf8_lossy(&frame.data);
    shown_frame(frame.time.saturating_sub(began), frame.kind(), frame.status, &text, opaque)
}

/// The first line of a replay whose bodies are not all there any more.
pub fn gone_frame(gone: &str) -> Value {
    json!({ "after_ns": 0, "kind": "gone", "status": Value::Null, "data": gone, "opaque": Value::Null })
}

/// The same from its parts.
pub(crate) fn shown_frame(
    after: i64,
    kind: Kind,
    status: u32,
    data: &str,
    opaque: Option<(&str, u64)>,
) -> Value {
    json!({
        "after_ns": after,
        "kind": format!("{kind:?}").to_lowercase(),
        "status": if status == 0 { Value::Null } else { json!(status) },
        "data": data,
        "opaque": opaque.map(|(class, length)| json!({ "class": class, "length": length })),
    })
}

/// Everything of one exchange.
pub fn shown(id: ExchangeId, exchange: &Exchange, bodies: &Bodies) -> Value {
    let sealed = exchange.sealed.as_ref();
    let refused = exchange.refused.as_ref();
    let times = sealed.and_then(|sealed| sealed.times.as_ref());
    let head = exchange.opened.as_ref().and_then(|opened| opened.request.as_ref());
    json!({
        "exchange": id.to_string(),
        "arrived": arrived(exchange).map(|at| at.to_string()),
        "client": exchange.opened.as_ref().map(|opened| &opened.client).or(refused.map(|refused| &refused.client)),
        "session_name": exchange.opened.as_ref().map(|opened| &opened.session_name).filter(|name| !name.is_empty()),
        "open": sealed.is_none() && refused.is_none(),
        "caller": crate::recall::caller(exchange).map(|caller| json!({
            "issuer": caller.issuer, "subject": caller.subject, "kind": caller.kind, "groups": caller.groups,
            "email": caller.email,
        })),
        "resource": exchange.opened.as_ref().map(|opened| &opened.resource),
        "operations": exchange.opened.as_ref().map(|opened| opened.operations.iter().map(|operation| json!({
            "class": operation.class, "name": operation.name, "model": operation.model, "batch": operation.batch,
            "max_tokens": operation.max_tokens, "stream": operation.stream, "matches": operation.matches,
        })).collect::<Vec<_>>()),
        "judgements": exchange.judgements(),
        "request": head.map(|head| json!({
            "method": head.method, "path": head.path, "query": head.query,
            "headers": headers(head.headers.iter().map(|header| {
                (header.name.as_str(), String::from_utf8_lossy(&header.value))
            })),
            "body": String::from_utf8_lossy(&bodies.request),
        })),
        "response": {
            "status": sealed.map(|sealed| sealed.status).or(refused.map(|refused| refused.status)),
            "headers": headers(bodies.headers.iter().map(|(name, value)| (name.as_str(), value.into()))),
            "body": String::from_utf8_lossy(&bodies.response),
        },
        "cut": bodies.cut,
        "gone": bodies.gone,
        "encrypted": bodies.encrypted,
        "disclosed": exchange.opened.as_ref().map(|opened| opened.disclosed.iter().map(|finding| json!({
            "class": finding.class, "masked": finding.masked, "revealed": finding.revealed,
        })).collect::<Vec<_>>()),
        "outcome": sealed.map(|sealed| sealed.outcome.as_str()).or_else(|| refused.map(at_the_door)),
        "refusal": refusal(exchange),
        "usage": sealed.and_then(|sealed| sealed.usage.as_ref()).map(|usage| json!({
            "input": usage.input, "output": usage.output,
        })),
        "findings": sealed.map(|sealed| sealed.findings.iter().map(|finding| json!({
            "class": finding.class, "masked": finding.masked, "revealed": finding.revealed,
        })).collect::<Vec<_>>()),
        "first_byte_ns": times.and_then(|times| times.first_byte_after),
        "total_ns": times.and_then(|times| times.total),
        "frames": bodies.frames,
        "note": sealed.map(|sealed| sealed.note.clone()).filter(|note| !note.is_empty()),
    })
}

/// When it arrived.
fn arrived(exchange: &Exchange) -> Option<Timestamp> {
    let opened = exchange.opened.as_ref().map(|opened| opened.arrived);
    let at = opened.or(exchange.refused.as_ref().map(|refused| refused.arrived))?;
    Timestamp::from_nanosecond(i128::from(at)).ok()
}

/// How an exchange ended that came no further than the door: not all that is said there is a refusal.
fn at_the_door(refused: &record::leaf::Refused) -> &'static str {
    if refused.refusal.is_some() { "refused" } else { "completed" }
}

fn refusal(exchange: &Exchange) -> Option<Value> {
    let sealed = exchange.sealed.as_ref().and_then(|sealed| sealed.refusal.as_ref());
    let refusal = sealed.or_else(|| exchange.refused.as_ref()?.refusal.as_ref())?;
    Some(json!({
        "code": refusal.code, "reason": refusal.reason, "policies": refusal.policies, "detail": refusal.detail,
    }))
}

/// Why an exchange came out as it did, by the set of policies that judged it.
///
/// # Errors
/// Why the record, or the set in it, can't be read.
pub async fn why(reader: &Reader, id: ExchangeId, exchange: &Exchange) -> Result<Value, WhyError> {
    let decided = exchange.opened.as_ref().and_then(|opened| opened.decision.as_ref());
    let text = match decided {
        Some(decision) => reader.policy_set(&decision.policy_set).await?,
        None => None,
    };
    let set = text.map(|text| authorize::PolicySet::read_back(&text)).transpose()?;
    let explained: Vec<(authorize::Explanation, String)> = set
        .iter()
        .flat_map(|set| {
            exchange.judgements().into_iter().map(move |judgement| authorize::explain(set, &judgement))
        })
        .map(|explanation| {
            let text = explanation.render();
            (explanation, text)
        })
        .collect();
    let mut explanations = Vec::new();
    for (explanation, text) in explained {
        let mut value = json!(explanation);
        if let Some(value) = value.as_object_mut() {
            value.insert("rendered".to_owned(), json!(text));
        }
        explanations.push(value);
    }
    Ok(json!({ "exchange": id.to_string(), "explanations": explanations, "refusal": refusal(exchange) }))
}

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// The record can't be read.
    #[error(transparent)]
    Ledger(#[from] record::LedgerError),
    /// The set in the record is not valid under this version.
    #[error(transparent)]
    Policies(#[from] authorize::PolicyFaults),
}
