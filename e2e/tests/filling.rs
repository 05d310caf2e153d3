//! A disk that fills while an answer streams: the answer is cut, and nothing of it was seen that is not recorded.

use e2e::ask::{chat, joined, stream};
use e2e::client;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, chat_delta};
use http::StatusCode;
use serde_json::json;

use crate::operate::Disk;

#[tokio::test]
async fn a_stream_is_cut_when_the_disk_fills_and_all_that_was_seen_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match Disk::mount(folder.path(), 8) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("skipped: this machine lets nobody mount a small disk: {why}");
            return;
        }
    };
    let long = "word ".repeat(2_000);
    let deltas: Vec<String> = (0..1_200).map(|number| chat_delta(&format!("{number} {long}"))).collect();
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |asked| {
            // A caller who comes later gets a short answer.
            match String::from_utf8_lossy(&asked.body).contains("at length") {
                true => Reply::events(deltas.iter().map(String::as_str)),
                false => Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })),
            }
        })
    );
    let ledger = folder.path().join("ledger");
    let mut plan = Plan::before(&provider, &upstream.url())
        .with(json!({ "ledger": { "dir": ledger, "reserve_bytes": "1MiB", "segment_bytes": "1MiB" } }))
        .with(json!({ "state": "state" }));
    plan.ledger = Some(ledger);
    let mut gateway = plan.start().await;
    let token = provider.login("alice").await;
    let mut answer = stream(&gateway, &token, "tell me at length").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (seen, end) = client::drain(answer.body_mut()).await;
    assert!(end.is_err(), "{} bytes, and a good end", seen.len());
    let seen = joined(&seen);
    assert!(seen.len() > 1 << 20, "{} bytes were seen", seen.len());
    let missing = gateway.readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(missing["missing"].to_string().contains("ledger"), "{missing}");
    let writable = |metrics: &str| metrics.lines().any(|line| line == "portcullis_ledger_writable 0");
    assert!(writable(&gateway.metrics().await), "the metric says so too");

    disk.grow(64);
    gateway.readiness(StatusCode::OK).await;
    assert!(!writable(&gateway.metrics().await));
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK, "without a restart");
    let shown = gateway.show(&id);
    assert_eq!(shown["outcome"], "cut", "{}", shown["outcome"]);
    let recorded = joined(shown["response"]["body"].as_str().unwrap().as_bytes());
    assert!(recorded.starts_with(&seen), "{} recorded of {} seen", recorded.len(), seen.len());
    assert!(gateway.stop().await.success());
}
