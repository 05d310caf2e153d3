//! What was recorded, as text for people and JSON for machines.

use model::{ExchangeId, PolicyReason, Ruling};
use record::body::{Body, Direction, Kind};
use record::{Exchange, Frames, Listed};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};

/// The bodies of one exchange, as the ledger keeps them.
#[derive(Default)]
pub(crate) struct Bodies {
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    frames: u64,
}

/// Reads all frames.
pub(crate) fn bodies(frames: Frames) -> Result<Bodies, Failure> {
    let mut bodies = Bodies::default();
    for frame in frames {
        let frame = frame.map_err(record::LedgerError::from)?;
        bodies.frames += 1;
        let into = match frame.direction() {
            Direction::Request => &mut bodies.request,
            _ => &mut bodies.response,
        };
        match (&frame.opaque, frame.kind()) {
            (Some(opaque), _) => {
                let note = format!("[{} bytes {}, kept as a digest]", opaque.length, opaque.class);
                into.extend_from_slice(note.as_bytes());
            }
            (None, Kind::Data | Kind::SpokenData) => into.extend_from_slice(&frame.data),
            (None, _) => {}
        }
    }
    Ok(bodies)
}

/// One line of a list.
pub(crate) fn listed(listed: &Listed) -> Value {
    let counts = |pairs: &[(String, u64)]| {
        pairs.iter().map(|(class, count)| (class.clone(), json!(count))).collect::<serde_json::Map<_, _>>()
    };
    json!({
        "exchange": listed.exchange.to_string(),
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

/// One frame of a replay.
pub(crate) fn frame(began: i64, frame: &Body) -> Value {
    json!({
        "after_ns": frame.time.saturating_sub(began),
        "kind": format!("{:?}", frame.kind()).to_lowercase(),
        "status": if frame.status == 0 { Value::Null } else { json!(frame.status) },
        "data": String::from_utf8_lossy(&frame.data),
        "opaque": frame.opaque.as_ref().map(|opaque| json!({ "class": opaque.class, "length": opaque.length })),
    })
}

/// Who asked, also where it came no further than the door.
fn caller(exchange: &Exchange) -> Option<&record::opened::Caller> {
    let opened = exchange.opened.as_ref().and_then(|opened| opened.caller.as_ref());
    opened.or_else(|| exchange.refused.as_ref()?.caller.as_ref())
}

/// Everything of one exchange.
pub(crate) fn shown(id: ExchangeId, exchange: &Exchange, bodies: &Bodies) -> Value {
    let sealed = exchange.sealed.as_ref();
    let refusal = sealed
        .and_then(|sealed| sealed.refusal.as_ref())
        .or_else(|| exchange.refused.as_ref().and_then(|refused| refused.refusal.as_ref()));
    json!({
        "exchange": id.to_string(),
        "open": sealed.is_none() && exchange.refused.is_none(),
        "caller": caller(exchange).map(|caller| json!({
            "issuer": caller.issuer, "subject": caller.subject, "kind": caller.kind, "groups": caller.groups,
            "email": caller.email,
        })),
        "resource": exchange.opened.as_ref().map(|opened| &opened.resource),
        "operations": exchange.opened.as_ref().map(|opened| opened.operations.iter().map(|operation| json!({
            "class": operation.class, "name": operation.name, "model": operation.model, "batch": operation.batch,
            "max_tokens": operation.max_tokens, "stream": operation.stream, "matches": operation.matches,
        })).collect::<Vec<_>>()),
        "judgements": exchange.judgements(),
        "request": exchange.opened.as_ref().and_then(|opened| opened.request.as_ref()).map(|head| json!({
            "method": head.method, "path": head.path, "query": head.query,
            "body": String::from_utf8_lossy(&bodies.request),
        })),
        "response": { "status": sealed.map(|sealed| sealed.status), "body": String::from_utf8_lossy(&bodies.response) },
        "disclosed": exchange.opened.as_ref().map(|opened| opened.disclosed.iter().map(|finding| json!({
            "class": finding.class, "masked": finding.masked, "revealed": finding.revealed,
        })).collect::<Vec<_>>()),
        "outcome": sealed.map(|sealed| sealed.outcome.clone()).or_else(|| exchange.refused.as_ref().map(|door| if door.refusal.is_some() { "refused" } else { "completed" }.to_owned())),
        "refusal": refusal.map(|refusal| json!({
            "code": refusal.code, "reason": refusal.reason, "policies": refusal.policies, "detail": refusal.detail,
        })),
        "usage": sealed.and_then(|sealed| sealed.usage.as_ref()).map(|usage| json!({
            "input": usage.input, "output": usage.output,
        })),
        "findings": sealed.map(|sealed| sealed.findings.iter().map(|finding| json!({
            "class": finding.class, "masked": finding.masked, "revealed": finding.revealed,
        })).collect::<Vec<_>>()),
        "first_byte_ns": sealed.and_then(|sealed| sealed.times.as_ref()).and_then(|times| times.first_byte_after),
        "total_ns": sealed.and_then(|sealed| sealed.times.as_ref()).and_then(|times| times.total),
        "frames": bodies.frames,
        "note": sealed.map(|sealed| sealed.note.clone()).filter(|note| !note.is_empty()),
    })
}

/// The same for people.
pub(crate) fn print(
    out: &mut Out,
    id: ExchangeId,
    exchange: &Exchange,
    bodies: &Bodies,
) -> Result<(), Failure> {
    out.line(out.tone(Tone::Title, id))?;
    if let Some(opened) = &exchange.opened {
        if let Some(caller) = &opened.caller {
            out.line(format_args!("caller     {} at {} ({})", caller.subject, caller.issuer, caller.kind))?;
            out.line(format_args!("groups     {}", caller.groups.join(", ")))?;
        }
        out.line(format_args!("resource   {}", opened.resource))?;
        for operation in &opened.operations {
            let model = if operation.model.is_empty() { "-" } else { operation.model.as_str() };
            out.line(format_args!(
                "operation  {} ({}), model {model}, batch {}",
                operation.name, operation.class, operation.batch
            ))?;
        }
        for judgement in exchange.judgements() {
            let reasons = judgement
                .reasons
                .iter()
                .map(|PolicyReason { policy, .. }| policy.as_str())
                .collect::<Vec<_>>();
            let tone = if judgement.ruling == Ruling::Allowed { Tone::Good } else { Tone::Bad };
            let ruling = match (judgement.ruling, reasons.is_empty()) {
                (Ruling::Allowed, _) => format!("allowed by {}", reasons.join(", ")),
                (Ruling::NeedsApprovals(n), _) => format!("needs {n} approval(s), by {}", reasons.join(", ")),
                (Ruling::Denied, true) => "denied: no policy permits it".to_owned(),
                (Ruling::Denied, false) => format!("denied by {}", reasons.join(", ")),
            };
            out.line(format_args!("ruling     {}", out.tone(tone, ruling)))?;
        }
        if let Some(head) = &opened.request {
            out.line(format_args!("request    {} {}", head.method, head.path))?;
        }
        for finding in &opened.disclosed {
            out.line(format_args!(
                "asked with {}: {} masked, {} sent",
                finding.class, finding.masked, finding.revealed
            ))?;
        }
    }
    for refusal in exchange
        .sealed
        .iter()
        .filter_map(|sealed| sealed.refusal.as_ref())
        .chain(exchange.refused.iter().filter_map(|refused| refused.refusal.as_ref()))
    {
        out.line(format_args!("refusal    {}: {}", out.tone(Tone::Bad, &refusal.code), refusal.reason))?;
        if let Some(detail) = &refusal.detail {
            out.line(format_args!("detail     {detail}"))?;
        }
    }
    if let Some(sealed) = &exchange.sealed {
        out.line(format_args!("outcome    {} (status {})", sealed.outcome, sealed.status))?;
        for finding in &sealed.findings {
            out.line(format_args!(
                "found      {}: {} masked, {} revealed",
                finding.class, finding.masked, finding.revealed
            ))?;
        }
        if let Some(usage) = &sealed.usage {
            out.line(format_args!("tokens     {} in, {} out", usage.input, usage.output))?;
        }
        if let Some(times) = &sealed.times {
            let took = |span: Option<i64>| span.map_or_else(|| "-".to_owned(), milliseconds);
            let (first, total) = (took(times.first_byte_after), took(times.total));
            out.line(format_args!("times      first byte after {first}, whole after {total}"))?;
        }
    }
    let refused = exchange.sealed.as_ref().is_some_and(|sealed| sealed.outcome == "refused");
    let asked = if refused { "— request as asked" } else { "— request as forwarded" };
    out.line(out.tone(Tone::Faint, asked))?;
    out.line(String::from_utf8_lossy(&bodies.request))?;
    out.line(out.tone(Tone::Faint, "— answer as the caller saw it"))?;
    out.line(String::from_utf8_lossy(&bodies.response))?;
    Ok(())
}

/// A span of nanoseconds, for people.
fn milliseconds(nanoseconds: i64) -> String {
    let micros = nanoseconds.max(0) / 1000;
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}
