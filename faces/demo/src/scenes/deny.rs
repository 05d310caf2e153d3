//! Scene two: another group is denied, and `why` says what would allow it.

use authorize::PolicySet;
use record::Reader;

use super::expect;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::screen::Screen;

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    let answer = ground.ask("bob", "Tell me everything.", 200).await?;
    expect(answer.status == http::StatusCode::FORBIDDEN, "Bob's question is denied", answer.status)?;
    let request = answer.request.clone();
    let said = answer.whole().await?;
    screen.plain(&format!("Bob's SDK is told:  {}", String::from_utf8_lossy(&said).trim()))?;
    screen.plain(&format!("You ask:            portcullis why {request}"))?;
    let explained = explain(ground, &request).await?;
    for line in explained.lines() {
        screen.plain(&format!("    {line}"))?;
    }
    expect(explained.contains("16"), "why names the failing condition", &explained)?;
    Ok(screen.good("Denied by default; the record says who asked for what, and which condition failed.")?)
}

async fn explain(ground: &Ground, request: &str) -> Result<String, DemoError> {
    let failed = |fault: &dyn std::fmt::Display| DemoError::new("asking the record why", fault);
    let reader = Reader::open(&ground.ledger()).await.map_err(|e| failed(&e))?;
    let id = reader.find(request).await.map_err(|e| failed(&e))?;
    let exchange = reader.show(id).await.map_err(|e| failed(&e))?;
    let policies = PolicySet::load(&ground.dir().join("policies")).map_err(|e| failed(&e))?;
    let judgements = exchange.judgements();
    Ok(judgements.iter().map(|judgement| authorize::explain(&policies, judgement).render()).collect())
}
