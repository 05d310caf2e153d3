//! Scene two: another group is denied, and `why` says what would allow it.

use authorize::{Explanation, Paste, PolicySet};
use record::Reader;

use super::expect;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::screen::Screen;

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    let answer = ground.ask("bob", "Tell me everything.", 200).await?;
    expect(answer.status == http::StatusCode::FORBIDDEN, "Bob's question is denied", answer.status)?;
    let request = answer.request.clone();
    screen.plain(&format!("Bob's SDK says:  {}", message(&answer.whole().await?)))?;
    screen.plain(&format!("You ask:         portcullis why {request}"))?;
    let explained = explain(ground, &request).await?;
    let nearest = explained.nearest.as_ref();
    let findings: Vec<&str> =
        nearest.iter().flat_map(|near| &near.failing).map(|failing| failing.finding.as_str()).collect();
    expect(findings == ["max_tokens 200 > 16"], "why names the failing condition", findings.join("; "))?;
    if let Some(near) = nearest {
        screen.plain(&format!("    the nearest permit is `{}` ({})", near.policy, near.place))?;
    }
    for finding in findings {
        screen.plain(&format!("    what failed: {finding}"))?;
    }
    let Paste::Permit(permit) = &explained.paste else {
        return Err(DemoError::new("asking the record why", "it offers no permit"));
    };
    screen.plain("    what would allow it, to paste:")?;
    for line in permit.lines() {
        screen.faint(&format!("      {line}"))?;
    }
    Ok(screen.good("Denied by default; the record says who asked for what, and which condition failed.")?)
}

/// What an SDK would show of a refusal.
fn message(refusal: &[u8]) -> String {
    let told = serde_json::from_slice::<serde_json::Value>(refusal).unwrap_or_default();
    let message = told.pointer("/error/message").and_then(serde_json::Value::as_str);
    message.map_or_else(|| String::from_utf8_lossy(refusal).into_owned(), str::to_owned)
}

async fn explain(ground: &Ground, request: &str) -> Result<Explanation, DemoError> {
    let failed = |fault: &dyn std::fmt::Display| DemoError::new("asking the record why", fault);
    let reader = Reader::open(&ground.ledger()).await.map_err(|e| failed(&e))?;
    let id = reader.find(request).await.map_err(|e| failed(&e))?;
    let exchange = reader.show(id).await.map_err(|e| failed(&e))?;
    let policies = PolicySet::load(&ground.dir().join("policies")).map_err(|e| failed(&e))?;
    let judgements = exchange.judgements();
    let judgement = judgements.first().ok_or_else(|| failed(&"no judgement is recorded"))?;
    Ok(authorize::explain(&policies, judgement))
}
