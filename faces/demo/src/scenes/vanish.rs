//! Scene one: side by side, what the model sent and what the caller got.

use std::collections::BTreeMap;

use super::expect;
use crate::client::joined;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::model_server::made_up_key;
use crate::screen::Screen;

const LEFT: &str = "the model sent";
const RIGHT: &str = "the caller got";
/// Made up; nobody reads mail there.
const ADDRESS: &str = "ana.lima@example.com";

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    ground.model_server.sent.forget();
    let key = made_up_key();
    // A real model is given something to say. The key is masked before it gets there, the address after.
    let prompt = match ground.model_server.embedded {
        true => "How do I read the bucket?".to_owned(),
        false => format!("Repeat this line and nothing else: Ask {ADDRESS} for the access key {key}."),
    };
    let mut answer = ground.ask("alice", &prompt, 200).await?;
    expect(answer.status.is_success(), "Alice's question is allowed", answer.status)?;
    let mut got = Vec::new();
    while let Some(bytes) = answer.next().await {
        got.extend_from_slice(&bytes?);
        let sent = joined(&ground.model_server.sent.so_far());
        let text = joined(&got);
        screen.columns((LEFT, &sent), (&title(&text), &text), false)?;
    }
    let (sent, text) = (joined(&ground.model_server.sent.so_far()), joined(&got));
    screen.columns((LEFT, &sent), (&title(&text), &text), true)?;
    for (class, count) in caught(&text) {
        screen.faint(&format!("  {count} × {class}"))?;
    }
    let raw = String::from_utf8_lossy(&got);
    expect(!raw.contains(&key) && !text.contains(&key), "the key never reached the caller", &text)?;
    if !ground.model_server.embedded {
        expect(!sent.contains(&key) && !text.contains(ADDRESS), "neither reached the other side", &text)?;
        return Ok(screen.good(match sent.contains(ADDRESS) {
            true => {
                "The key never reached your model. It said the address, and that never reached the caller."
            }
            false => "The key never reached your model, which did not say the address this time.",
        })?);
    }
    expect(sent.contains(&key), "the model sent the key", &sent)?;
    let expected =
        [("credential.aws", 2), ("credential.gitlab", 1), ("pii.credit-card", 1), ("pii.email", 2)];
    let found = caught(&text);
    let all = expected.iter().all(|(class, count)| found.get(*class) == Some(count));
    expect(all && found.len() == expected.len(), "each is marked by its class", &text)?;
    expect(
        text.starts_with("Sure! To read the bucket, export the access key ["),
        "the text around is intact",
        &text,
    )?;
    Ok(screen
        .good("None of it reached the caller, in no chunk and in no join of chunks, base64 included.")?)
}

/// The right column's title, with how much was caught so far.
fn title(text: &str) -> String {
    match caught(text).values().sum::<usize>() {
        0 => RIGHT.to_owned(),
        count => format!("{RIGHT}, {count} caught"),
    }
}

/// What stands in a text in place of values: by class, how many.
fn caught(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for part in text.split('[').skip(1) {
        let Some((class, _)) = part.split_once(']') else { continue };
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if class.contains('.') && class.bytes().all(word) {
            *found.entry(class.to_owned()).or_default() += 1;
        }
    }
    found
}
