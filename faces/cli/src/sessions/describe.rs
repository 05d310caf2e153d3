//! One recorded exchange, as text for people.

use serde_json::Value;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::told::Told;

/// Everything of one exchange, as `admin::views::shown` has it.
pub(crate) fn print(out: &mut Out, shown: &Value) -> Result<(), Failure> {
    decided(out, shown)?;
    outcome(out, shown)?;
    request(out, shown)?;
    out.line(out.tone(Tone::Faint, "— answer as the caller saw it, as far as it may be seen here"))?;
    out.line(text(shown.at("response").at("body")))?;
    if shown.at("cut") == true {
        out.line(out.tone(Tone::Caution, "— a part of it is not shown"))?;
    }
    Ok(())
}

/// What was asked, and what was decided.
pub(crate) fn asked(out: &mut Out, shown: &Value) -> Result<(), Failure> {
    decided(out, shown)?;
    request(out, shown)
}

fn decided(out: &mut Out, shown: &Value) -> Result<(), Failure> {
    out.line(out.tone(Tone::Title, text(shown.at("exchange"))))?;
    let caller = shown.at("caller");
    if caller.is_object() {
        let (subject, issuer, kind) = (caller.at("subject"), caller.at("issuer"), caller.at("kind"));
        out.line(format_args!("caller     {} at {} ({})", text(subject), text(issuer), text(kind)))?;
        out.line(format_args!("groups     {}", words(caller.at("groups"))))?;
    }
    if let Some(resource) = shown.at("resource").as_str() {
        out.line(format_args!("resource   {resource}"))?;
    }
    for operation in list(shown.at("operations")) {
        let model = operation.at("model").as_str().filter(|model| !model.is_empty()).unwrap_or("-");
        let (name, class) = (text(operation.at("name")), text(operation.at("class")));
        out.line(format_args!(
            "operation  {name} ({class}), model {model}, batch {}",
            operation.at("batch")
        ))?;
    }
    for judgement in list(shown.at("judgements")) {
        let (tone, ruling) = ruling(judgement);
        out.line(format_args!("ruling     {}", out.tone(tone, ruling)))?;
    }
    let request = shown.at("request");
    if request.is_object() {
        out.line(format_args!("request    {} {}", text(request.at("method")), text(request.at("path"))))?;
    }
    for finding in list(shown.at("disclosed")) {
        let (class, masked, sent) = (text(finding.at("class")), finding.at("masked"), finding.at("revealed"));
        out.line(format_args!("asked with {class}: {masked} masked, {sent} sent"))?;
    }
    refusal(out, shown.at("refusal"))
}

fn request(out: &mut Out, shown: &Value) -> Result<(), Failure> {
    let refused = shown.at("outcome") == "refused";
    for gone in list(shown.at("gone")) {
        out.line(out.tone(Tone::Caution, format_args!("gone       {}", text(gone))))?;
    }
    let asked = if refused { "— request as asked" } else { "— request as forwarded" };
    if shown.at("encrypted") == true {
        let sealed = "— what was said is sealed: an auditor reads it with --identity";
        return Ok(out.line(out.tone(Tone::Caution, sealed))?);
    }
    out.line(out.tone(Tone::Faint, asked))?;
    out.line(text(shown.at("request").at("body")))?;
    Ok(())
}

fn ruling(judgement: &Value) -> (Tone, String) {
    let reasons: Vec<&str> =
        list(judgement.at("reasons")).filter_map(|reason| reason.at("policy").as_str()).collect();
    let reasons = reasons.join(", ");
    match judgement.at("ruling") {
        Value::String(word) if word == "allowed" => (Tone::Good, format!("allowed by {reasons}")),
        Value::Object(needs) => {
            let count = needs.values().next().and_then(Value::as_u64).unwrap_or_default();
            (Tone::Bad, format!("needs {count} approval(s), by {reasons}"))
        }
        _ if reasons.is_empty() => (Tone::Bad, "denied: no policy permits it".to_owned()),
        _ => (Tone::Bad, format!("denied by {reasons}")),
    }
}

fn refusal(out: &mut Out, refusal: &Value) -> Result<(), Failure> {
    if !refusal.is_object() {
        return Ok(());
    }
    let code = out.tone(Tone::Bad, text(refusal.at("code")));
    out.line(format_args!("refusal    {code}: {}", text(refusal.at("reason"))))?;
    if let Some(detail) = refusal.at("detail").as_str() {
        out.line(format_args!("detail     {detail}"))?;
    }
    Ok(())
}

fn outcome(out: &mut Out, shown: &Value) -> Result<(), Failure> {
    if let Some(outcome) = shown.at("outcome").as_str() {
        out.line(format_args!("outcome    {outcome} (status {})", shown.at("response").at("status")))?;
    }
    for finding in list(shown.at("findings")) {
        let (class, masked, revealed) =
            (text(finding.at("class")), finding.at("masked"), finding.at("revealed"));
        out.line(format_args!("found      {class}: {masked} masked, {revealed} revealed"))?;
    }
    for (class, count) in shown.at("masked_again").as_object().into_iter().flatten() {
        out.line(format_args!("hidden     {class}: {count} that this reader may not see"))?;
    }
    let usage = shown.at("usage");
    if usage.is_object() {
        out.line(format_args!("tokens     {} in, {} out", usage.at("input"), usage.at("output")))?;
    }
    if shown.at("outcome").is_string() {
        let (first, total) = (milliseconds(shown.at("first_byte_ns")), milliseconds(shown.at("total_ns")));
        out.line(format_args!("times      first byte after {first}, whole after {total}"))?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: &Value) -> String {
    list(value).filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// A span of nanoseconds, for people.
fn milliseconds(nanoseconds: &Value) -> String {
    let Some(nanoseconds) = nanoseconds.as_i64() else { return "-".to_owned() };
    let micros = nanoseconds.max(0) / 1000;
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}
