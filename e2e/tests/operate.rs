//! What an operator sets, and what a machine does to it: a full disk, a deny-list, a token's end, a unit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use e2e::ask::{chat, code, joined, say, stream};
use e2e::client;
use e2e::parts::require;
use e2e::plan::{ENGINEERS_MAY_USE, Plan};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;

async fn upstream() -> FakeUpstream {
    FakeUpstream::start(|_| Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })))
        .await
}

/// A small disk, gone with the test.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn mount(at: &Path, mebibytes: u32) -> Result<Self, String> {
        let options = format!("size={mebibytes}m");
        let mut command = Command::new("mount");
        let output = command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        let output = output.map_err(|error| error.to_string())?;
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then(|| Self(at.to_owned())).ok_or(why)
    }

    pub(crate) fn grow(&self, mebibytes: u32) {
        let options = format!("remount,size={mebibytes}m");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_says_so_and_room_lets_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match Disk::mount(folder.path(), 8) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("skipped: this machine lets nobody mount a small disk: {why}");
            return;
        }
    };
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let ledger = folder.path().join("ledger");
    let mut plan = Plan::before(&provider, &upstream.url())
        .with(json!({ "ledger": { "dir": ledger, "reserve_bytes": "1MiB", "segment_bytes": "1MiB" } }))
        // On a disk of its own: what is told below is of the ledger's.
        .with(json!({ "state": "state" }));
    plan.ledger = Some(ledger);
    let mut gateway = plan.start().await;
    let token = provider.login("alice").await;
    let long = "words ".repeat(50_000);
    let mut allowed = 0;
    let mut refused = None;
    // Where no long one finds room any more, short ones still may.
    for (text, most) in [(long.as_str(), 100), ("hi", 4000)] {
        let before = allowed;
        refused = Some(loop {
            let answer = say(&gateway, &token, text).await;
            if answer.status != StatusCode::OK {
                break answer;
            }
            allowed += 1;
            assert!(allowed - before < most, "8 MiB took {allowed} requests");
        });
    }
    let refused = refused.unwrap();
    assert!(allowed > 0, "{}", refused.text());
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (503, "ledger_unavailable"));
    let asked = upstream.received().len();
    assert_eq!(asked, allowed, "what could not be recorded was not forwarded");
    let missing = gateway.readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(missing["missing"].to_string().contains("ledger"), "{missing}");

    disk.grow(64);
    gateway.readiness(StatusCode::OK).await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
    let completed = |exchange: &&e2e::gateway::Exchange| exchange.outcome() == Some("completed");
    let listed = gateway.eventually(|| {
        let exchanges = gateway.exchanges();
        (exchanges.iter().filter(completed).count() == allowed + 1).then_some(exchanges)
    });
    assert!(listed.await.iter().all(|exchange| exchange.outcome().is_some()), "one was left open");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_deny_list_that_matches_forbids_and_is_in_the_record() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let forbid = r#"
// Nobody asks about the project.
@id("project-names-stay-here")
forbid(principal, action in Action::"operation", resource) when { context.matches.contains("project-names") };
"#;
    let gateway = Plan::before(&provider, &upstream.url())
        .with(json!({ "deny_lists": { "project-names": { "words": ["bluebird"] } } }))
        .policy("names.cedar", forbid)
        .start()
        .await;
    let token = provider.login("alice").await;
    let passed = say(&gateway, &token, "what of blue birds?").await;
    assert_eq!(passed.status, StatusCode::OK, "{}", passed.text());
    let refused = say(&gateway, &token, "what of the Bluebirds?").await;
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (403, "policy_denied"));
    assert!(refused.text().contains("project-names-stay-here"), "{}", refused.text());
    let exchanges = gateway.sealed(2).await;
    let why = gateway.why(exchanges[1].id());
    assert_eq!(why["explanations"][0]["facts"]["matches"], r#"["project-names"]"#, "{why}");
    assert_eq!(upstream.received().len(), 1);
}

/// The same stream, on a resource that cuts and on one that lets finish.
#[tokio::test]
async fn a_stream_outlives_its_token_only_where_it_may() {
    let go_on = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&go_on);
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            let begun =
                Reply::events([chat_delta("it has begun, ").as_str()]).then(Step::Wait(Arc::clone(&wait)));
            begun.send(format!("data: {}\n\ndata: [DONE]\n\n", chat_delta("and it is done")))
        })
    );
    let gateway = Plan::before(&provider, &upstream.url())
        .with(json!({
            "issuers": { "panva": { "skew": "0s" } },
            "resources": { "llama": { "on_token_expiry": "cut" } },
        }))
        .policy("engineers.cedar", ENGINEERS_MAY_USE)
        .start()
        .await;
    provider.access_lives(3).await;
    let token = provider.login("alice").await;
    let mut answer = stream(&gateway, &token, "hello").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let (raw, end) = client::drain(answer.body_mut()).await;
    assert!(end.is_err(), "a cut stream must not end well");
    // The last word may be the beginning of something to mask, so it waits for what comes after.
    assert!(joined(&raw).starts_with("it has"), "{}", joined(&raw));
    let told = String::from_utf8_lossy(&raw);
    assert!(told.contains("token_expired") && !told.contains("[DONE]"), "{told}");
    assert!(upstream.was_left(Duration::from_secs(10)).await, "the upstream is let go");
    let exchanges = gateway.sealed(1).await;
    assert_eq!((exchanges[0].outcome(), exchanges[0].code()), (Some("cut"), Some("token_expired")));

    let gateway = Plan::before(&provider, &upstream.url())
        .with(json!({ "issuers": { "panva": { "skew": "0s" } } }))
        .start()
        .await;
    let token = provider.login("alice").await;
    let mut answer = stream(&gateway, &token, "hello").await;
    assert_eq!(answer.status(), StatusCode::OK);
    // Over when the gateway knows its bearer no more: until then it says only that there is no such place.
    while client::get(&gateway.url("/nowhere"), &token).await.status != StatusCode::UNAUTHORIZED {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    go_on.add_permits(1000);
    let (raw, end) = client::drain(answer.body_mut()).await;
    assert_eq!((end, joined(&raw).as_str()), (Ok(()), "it has begun, and it is done"));
}

/// By systemd itself where it is there; the file's own shape in any case.
#[test]
fn the_systemd_unit_is_one() {
    let unit = require().root.join("examples/systemd/portcullis.service");
    let text = fs::read_to_string(&unit).unwrap();
    let mut section = "";
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name,
            None => {
                let key = line.split_once('=').map(|(key, _)| key).unwrap_or_default();
                let named = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
                assert!(named && ["Unit", "Service", "Install"].contains(&section), "[{section}] {line}");
            }
        }
    }
    assert!(text.contains("ExecStart=/usr/local/bin/portcullis serve --config "), "{text}");
    // Systemd would miss a program that is not installed here.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("portcullis.service");
    fs::write(&copy, text.replace("/usr/local/bin/portcullis", "/bin/true")).unwrap();
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("portcullis.service:"), "{said}");
        }
        Err(missing) => {
            eprintln!("systemd-analyze is not here ({missing}); only the file's shape was checked")
        }
    }
}
