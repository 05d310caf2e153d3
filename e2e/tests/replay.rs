//! A recorded answer at a real terminal: paused, stepped through, played fast, and left.

use std::sync::Arc;

use e2e::ask::stream;
use e2e::client;
use e2e::parts::{portcullis, require};
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::script::python;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use serde_json::json;
use tokio::sync::Semaphore;

/// What the answer says, piece by piece.
const PIECES: [&str; 9] =
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];

#[tokio::test]
async fn keys_pause_step_hurry_and_end_it() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let slow = move |_: &_| {
        let begun = Reply::of_type("text/event-stream");
        let paced = PIECES.iter().fold(begun, |reply, piece| {
            let event = format!("data: {}\n\n", chat_delta(&format!("the {piece} of them, ")));
            reply.send(event).then(Step::Wait(Arc::clone(&hold)))
        });
        paced.send("data: [DONE]\n\n")
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(slow));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    // So that there are pauses to step over.
    let giver = tokio::spawn(async move {
        for _ in PIECES {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            go.add_permits(1);
        }
    });
    let mut answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (_, whole) = client::drain(answer.body_mut()).await;
    assert_eq!(whole, Ok(()));
    giver.await.unwrap();
    gateway.sealed(1).await;

    let ledger = gateway.file("ledger");
    let command = [
        portcullis().to_str().unwrap(),
        "sessions",
        "replay",
        "--ledger",
        ledger.to_str().unwrap(),
        "--local",
        "--speed",
        "0.0625",
        &id,
    ]
    .map(str::to_owned);
    let terminal = std::fs::read_to_string(require().script("python/terminal.py")).unwrap();
    let environment = [("COMMAND", json!(command).to_string()), ("PIECES", json!(PIECES).to_string())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let seen = python(&terminal, &environment).await;

    assert_eq!(seen["paused"], json!([]), "{seen}");
    let stepped = seen["stepped"].as_array().unwrap();
    assert!((1..PIECES.len()).contains(&stepped.len()), "{seen}");
    assert_eq!((&seen["played"], &seen["exit"]), (&json!(PIECES), &json!(0)));
    assert_eq!(seen["quit"]["exit"], 0);
    assert!(!seen["quit"]["shown"].as_array().unwrap().contains(&json!("ninth")), "{seen}");
}
