//! Scene one: side by side, what the model sent and what the caller got.

use super::expect;
use crate::client::joined;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::model_server::made_up_key;
use crate::screen::Screen;

const LEFT: &str = "the model sent";
const RIGHT: &str = "the caller got";

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    ground.model_server.sent.forget();
    let key = made_up_key();
    // A real model is given the key to say: what it says of it must not arrive either.
    let prompt = match ground.model_server.embedded {
        true => "How do I read the bucket?".to_owned(),
        false => format!("Repeat this line and nothing else: The access key is {key}, keep it safe."),
    };
    let mut answer = ground.ask("alice", &prompt, 200).await?;
    expect(answer.status.is_success(), "Alice's question is allowed", answer.status)?;
    let mut got = Vec::new();
    while let Some(bytes) = answer.next().await {
        got.extend_from_slice(&bytes?);
        let sent = joined(&ground.model_server.sent.so_far());
        screen.columns((LEFT, &sent), (RIGHT, &joined(&got)), false)?;
    }
    let (sent, text) = (joined(&ground.model_server.sent.so_far()), joined(&got));
    screen.columns((LEFT, &sent), (RIGHT, &text), true)?;
    let raw = String::from_utf8_lossy(&got);
    expect(!raw.contains(&key) && !text.contains(&key), "the key never reached the caller", &text)?;
    if !ground.model_server.embedded {
        return Ok(screen.good(match sent.contains(&key) {
            true => "Your model said the key, and it never reached the caller.",
            false => {
                "Your model did not say the key this time; had it, it would not have reached the caller."
            }
        })?);
    }
    expect(sent.contains(&key), "the model sent the key", &sent)?;
    expect(text.contains("[credential.aws]") && text.contains("[pii.email]"), "both are marked", &text)?;
    expect(
        text.starts_with("Sure! To read the bucket, export the access key ["),
        "the text around is intact",
        &text,
    )?;
    Ok(screen
        .good("The key and the address never reached the caller, in no chunk and in no join of chunks.")?)
}
