//! Scene four: the gateway is killed in mid-stream, and what the caller saw is in the record.

use model::Outcome;
use record::body::{Direction, Kind};
use record::{Frames, Reader};

use super::expect;
use crate::client::joined;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::model_server::COUNT;
use crate::screen::Screen;

/// The caller reads this many bytes before the gateway is killed.
const ENOUGH: usize = 4096;

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    let mut answer = ground.ask("alice", COUNT, 400).await?;
    let request = answer.request.clone();
    let mut got = Vec::new();
    while got.len() < ENOUGH {
        match answer.next().await {
            Some(bytes) => got.extend_from_slice(&bytes?),
            None => break,
        }
    }
    ground.gateway.kill().await?;
    // What was on its way when the gateway died was sent, so it counts as seen.
    while let Some(Ok(bytes)) = answer.next().await {
        got.extend_from_slice(&bytes);
    }
    let tail = joined(&got);
    let tail: String = tail.chars().rev().take(24).collect::<Vec<_>>().into_iter().rev().collect();
    screen.plain(&format!(
        "The caller saw {} bytes, up to …{tail:?}, when the gateway was killed.",
        got.len()
    ))?;
    ground.gateway.start().await?;
    let failed = |fault: &dyn std::fmt::Display| DemoError::new("reading the record", fault);
    let reader = Reader::open(&ground.ledger()).await.map_err(|e| failed(&e))?;
    let id = reader.find(&request).await.map_err(|e| failed(&e))?;
    let exchange = reader.show(id).await.map_err(|e| failed(&e))?;
    let recorded = answer_body(reader.frames(id, &exchange))?;
    let whole = recorded.starts_with(&got);
    expect(
        whole,
        "what the caller saw is in the record",
        format!("{} of {} bytes", recorded.len(), got.len()),
    )?;
    let outcome = exchange.sealed.map(|sealed| sealed.outcome).unwrap_or_default();
    expect(outcome == Outcome::Interrupted.as_str(), "the record is sealed", &outcome)?;
    Ok(screen.good("Every byte the caller saw is in the record, sealed as interrupted at the next start.")?)
}

/// The answer's bytes, as the record holds them.
fn answer_body(frames: Frames) -> Result<Vec<u8>, DemoError> {
    let mut bytes = Vec::new();
    for frame in frames {
        let frame = frame.map_err(|fault| DemoError::new("reading the record", fault))?;
        if frame.direction() == Direction::Response && frame.kind() == Kind::Data {
            bytes.extend_from_slice(&frame.data);
        }
    }
    Ok(bytes)
}
