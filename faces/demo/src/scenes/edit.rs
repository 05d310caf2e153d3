//! Scene three: one line of policy is edited, and the denied call passes.

use std::time::Duration;

use super::expect;
use crate::client;
use crate::error::DemoError;
use crate::ground::{Ground, TIGHT, WIDE};
use crate::screen::Screen;

/// How often the gateway is asked for its policy set, and how many times.
const POLL: (Duration, u32) = (Duration::from_millis(50), 200);

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    let failed = |fault| DemoError::new("editing the policy", fault);
    let before = policy_set(ground).await?;
    let file = ground.policy_file();
    let text = std::fs::read_to_string(&file).map_err(failed)?;
    std::fs::write(&file, text.replace(TIGHT, WIDE)).map_err(failed)?;
    screen.plain(&format!("  - {TIGHT}"))?;
    screen.plain(&format!("  + {WIDE}"))?;
    let mut now = before.clone();
    for _ in 0..POLL.1 {
        if now != before {
            break;
        }
        tokio::time::sleep(POLL.0).await;
        now = policy_set(ground).await?;
    }
    expect(now != before, "the gateway loads the edited policy", &now)?;
    let answer = ground.ask("bob", "Tell me everything.", 200).await?;
    expect(answer.status.is_success(), "Bob's question is allowed now", answer.status)?;
    answer.whole().await?;
    Ok(screen
        .good("The same call passes; both policy sets are in the record, each with who it decided for.")?)
}

async fn policy_set(ground: &Ground) -> Result<String, DemoError> {
    let (_, body) = client::get(&format!("http://{}/readyz", ground.observe)).await?;
    let report: serde_json::Value =
        serde_json::from_slice(&body).map_err(|fault| DemoError::new("reading /readyz", fault))?;
    Ok(report.get("policies").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
}
