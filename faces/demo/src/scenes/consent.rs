//! Scene five: an export hangs until somebody consents; or is denied, and says why.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::expect;
use crate::client;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::model_server::WEIGHTS;
use crate::screen::Screen;

/// Who consents: not Alice, who asks.
const APPROVER: &str = "carol";
/// How often it is looked for what waits, and how many times.
const LOOK: (Duration, u32) = (Duration::from_millis(50), 400);
const WHY_NOT: &str = "Not before the review is signed.";

/// What became of the export: its status, and what the client got.
type Export = JoinHandle<Result<(StatusCode, Vec<u8>), DemoError>>;

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    match ground.keys.and_then(|listen| listen()) {
        Some(keys) => at_a_terminal(ground, screen, keys).await,
        None => {
            let (export, approval) = asked(ground, screen).await?;
            decide(ground, &approval, "approve", "The review is signed.").await?;
            screen.plain("Carol:           portcullis approvals approve …")?;
            told(screen, export).await?;
            let (export, approval) = asked(ground, screen).await?;
            decide(ground, &approval, "deny", WHY_NOT).await?;
            screen.plain(&format!("Carol:           portcullis approvals deny … --reason '{WHY_NOT}'"))?;
            told(screen, export).await
        }
    }
}

/// Somebody presses a key, or decides on the page.
async fn at_a_terminal(
    ground: &Ground,
    screen: &mut Screen<'_>,
    mut keys: Box<dyn crate::Keys>,
) -> Result<(), DemoError> {
    let (mut export, approval) = asked(ground, screen).await?;
    let page = approval.get("url").and_then(Value::as_str).unwrap_or_default();
    screen.title("Press a to approve as Carol, or d to deny. Or open the page, and sign in as carol:")?;
    screen.plain(page)?;
    loop {
        let key = tokio::select! {
            ended = &mut export => return tell(screen, joined(ended)?),
            key = keys.next() => key,
        };
        match key {
            b'a' => decide(ground, &approval, "approve", "A key was pressed.").await?,
            b'd' => decide(ground, &approval, "deny", WHY_NOT).await?,
            _ => continue,
        }
        return told(screen, export).await;
    }
}

/// Asks for the weights, as Alice, and waits until that waits.
async fn asked(ground: &Ground, screen: &mut Screen<'_>) -> Result<(Export, Value), DemoError> {
    let (url, token) = (ground.weights.clone(), ground.issuer.token("alice")?);
    screen.plain(&format!("Alice's client:  GET {url}"))?;
    let export: Export = tokio::spawn(async move {
        let answer = client::send_as(Method::GET, &url, &token, None).await?;
        Ok((answer.status, answer.whole().await?.to_vec()))
    });
    for _ in 0..LOOK.1 {
        let waiting = ground.administration(APPROVER, Method::GET, "/approvals?state=waiting", None).await?;
        if let Some(approval) = waiting.pointer("/approvals/0") {
            expect(!export.is_finished(), "Alice's client waits", approval)?;
            let sentence =
                approval.pointer("/policies/0/sentence").and_then(Value::as_str).unwrap_or_default();
            screen.plain("                 … and nothing comes back: it is held, byte for byte.")?;
            screen.faint(&format!("                 “{sentence}”"))?;
            return Ok((export, approval.clone()));
        }
        tokio::time::sleep(LOOK.0).await;
    }
    export.abort();
    Err(DemoError::new("holding an export", "nothing waits for consent"))
}

async fn decide(ground: &Ground, approval: &Value, verb: &str, reason: &str) -> Result<(), DemoError> {
    let id = approval.get("id").and_then(Value::as_str).unwrap_or_default();
    let (path, body) = (format!("/approvals/{id}/{verb}"), json!({ "reason": reason }));
    ground.administration(APPROVER, Method::POST, &path, Some(&body)).await.map(drop)
}

async fn told(screen: &mut Screen<'_>, export: Export) -> Result<(), DemoError> {
    tell(screen, joined(export.await)?)
}

type Ended = (StatusCode, Vec<u8>);

fn joined(ended: Result<Result<Ended, DemoError>, tokio::task::JoinError>) -> Result<Ended, DemoError> {
    ended.map_err(|fault| DemoError::new("waiting for the export", fault))?
}

/// What Alice's client got in the end.
fn tell(screen: &mut Screen<'_>, (status, body): Ended) -> Result<(), DemoError> {
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        expect(text.contains(WEIGHTS), "the weights came through", &text)?;
        screen.plain(&format!("Alice's client:  {status}, {} bytes", body.len()))?;
        return Ok(screen
            .good("With consent it went through, once. The record says who consented to which bytes.")?);
    }
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = told.pointer("/error/message").and_then(Value::as_str).unwrap_or(&text).to_owned();
    screen.plain(&format!("Alice's client:  {status}: {message}"))?;
    let denied = status == StatusCode::FORBIDDEN && message.contains(':');
    expect(denied, "the refusal names its reason", &message)?;
    Ok(screen.good("Denied at once, and Alice was told why.")?)
}
