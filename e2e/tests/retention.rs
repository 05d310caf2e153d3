//! Retention as an operator meets it: bodies go when their time has come, holds keep them, copies verify, and
//! an auditor gets a page.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::admin::{ADMINS_ADMINISTER, call, get};
use e2e::ask::chat;
use e2e::gateway::Gateway;
use e2e::parts::{portcullis, require};
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};

async fn stand(change: Value) -> (Provider, FakeUpstream, Gateway) {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["one ", "two"])));
    let plan =
        Plan::before(&provider, &upstream.url()).policy("admin.cedar", ADMINS_ADMINISTER).administered();
    let gateway = plan.with(change).start().await;
    (provider, upstream, gateway)
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// `portcullis …`, which must end with this code.
fn run(code: i32, arguments: &[&str]) -> String {
    let output = Command::new(portcullis()).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn verified(ledger: &Path) -> Value {
    serde_json::from_str(&run(0, &["audit", "verify", ledger.to_str().unwrap(), "--json"])).unwrap()
}

/// The verifier in Python agrees.
fn second(ledger: &Path) {
    let parts = require();
    let mut python = Command::new(parts.python());
    let output = python.arg(parts.root.join("examples/verify/verify.py")).arg(ledger).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

async fn asked(gateway: &Gateway, token: &str) -> String {
    chat(gateway, token).await.headers["x-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn bodies_go_when_their_time_has_come_and_everybody_is_told() {
    let keep = json!({
        "resources": { "llama": { "retention": { "age": "2s" } } },
        "ledger": { "dir": "ledger", "retention": { "compress_after": "0s" } },
    });
    let (provider, _upstream, mut gateway) = stand(keep).await;
    let alice = provider.login("alice").await;
    let id = asked(&gateway, &alice).await;
    let shown = gateway.show(&id);
    assert_eq!(shown["gone"], json!([]), "{shown}");
    let gone = gateway
        .eventually(|| {
            let shown = gateway.show(&id);
            // Request and answer may lie in two segments, of which one goes first.
            let all = shown["request"]["body"] == "" && shown["response"]["body"] == "";
            shown["gone"][0].as_str().filter(|_| all).map(|gone| (gone.to_owned(), shown.clone()))
        })
        .await;
    assert!(gone.0.contains("its body was dropped on ") && gone.0.contains("rule `age`"), "{}", gone.0);
    // What was asked by whom is still there.
    assert_eq!((&gone.1["caller"]["subject"], &gone.1["outcome"]), (&json!("alice"), &json!("completed")));
    let over = get(&gateway, &format!("/sessions/{id}/replay"), &alice).await.text();
    assert!(over.lines().next().unwrap().contains("\"kind\":\"gone\""), "{over}");
    let replayed = gateway.cli(&["sessions", "replay", &id, "--ledger", gateway.ledger.to_str().unwrap()]);
    assert!(said(&replayed).contains("its body was dropped on"), "{}", said(&replayed));

    let report = verified(&gateway.ledger);
    assert_eq!(report["dropped"]["sums"][0]["class"], "llama", "{report}");
    second(&gateway.ledger);
    gateway.eventually(|| gateway.ledger.join("leaves").read_dir().ok()).await;
    let ready = gateway.readiness(StatusCode::OK).await;
    let stored = ready["ledger"]["stored"].as_array().unwrap();
    let llama = stored.iter().find(|class| class["class"] == "llama").unwrap();
    assert!(llama["last_drop"].is_string() && llama["bytes"].is_u64(), "{ready}");
    let metrics = gateway.metrics().await;
    for name in [
        "portcullis_ledger_segments",
        "portcullis_ledger_stored_bytes",
        "portcullis_ledger_dropped_segments_total",
    ] {
        assert!(metrics.contains(name), "{name}\n{metrics}");
    }
    // A start reads on, with what is gone and what is compressed.
    assert!(gateway.stop().await.success());
    gateway.restart().await;
    asked(&gateway, &alice).await;
    verified(&gateway.ledger);
}

#[tokio::test]
async fn a_hold_is_an_act_that_is_judged_and_recorded_and_keeps_bodies() {
    let keep = json!({ "resources": { "llama": { "retention": { "age": "1s" } } } });
    let (provider, _upstream, mut gateway) = stand(keep).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let body = json!({ "reason": "case 12", "resource": "llama" });
    let denied = call(&gateway, Method::POST, "/holds", Some(&bob), Some(&body)).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    for wrong in [
        json!({ "reason": "all" }),
        json!({ "resource": "llama" }),
        json!({ "reason": " ", "resource": "llama" }),
    ] {
        let answer = call(&gateway, Method::POST, "/holds", Some(&alice), Some(&wrong)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}: {}", answer.text());
    }
    let held = gateway.cli_as(
        Some(&alice),
        &["ledger", "hold", "add", "--resource", "llama", "--reason", "case 12", "--json"],
    );
    assert!(held.status.success(), "{}", said(&held));
    let held: Value = serde_json::from_slice(&held.stdout).unwrap();
    let id = asked(&gateway, &alice).await;
    let list = gateway.cli_as(Some(&alice), &["ledger", "hold", "list"]);
    assert!(said(&list).contains("resource llama") && said(&list).contains("case 12"), "{}", said(&list));
    // It outlives a kill.
    gateway.kill();
    gateway.restart().await;
    let files = run(0, &["ledger", "hold", "list", "--ledger", gateway.ledger.to_str().unwrap(), "--json"]);
    assert!(files.contains("case 12"), "{files}");
    let other = asked(&gateway, &alice).await;
    // Long enough for a segment to end, and another one to be looked at.
    let ended = || gateway.ledger.join("bodies/llama/00000002.seg").exists().then_some(());
    gateway.eventually(ended).await;
    assert_eq!(gateway.show(&id)["gone"], json!([]));
    let released = gateway.cli_as(
        Some(&alice),
        &["ledger", "hold", "remove", held["id"].as_str().unwrap(), "--reason", "closed"],
    );
    assert!(released.status.success(), "{}", said(&released));
    gateway.eventually(|| (gateway.show(&id)["gone"] != json!([])).then_some(())).await;
    gateway.eventually(|| (gateway.show(&other)["gone"] != json!([])).then_some(())).await;
    let acts: Vec<String> = gateway.cli_json(&[
        "sessions",
        "list",
        "--ledger",
        gateway.ledger.to_str().unwrap(),
        "--resource",
        "api/sessions",
        "--class",
        "hold",
        "--json",
    ])["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| act["operations"][0].as_str().unwrap().to_owned())
        .collect();
    assert!(acts.contains(&"holds.add".to_owned()) && acts.contains(&"holds.release".to_owned()), "{acts:?}");
    verified(&gateway.ledger);
}

#[tokio::test]
async fn a_copy_taken_under_load_verifies_and_moves_to_another_disk() {
    let keep = json!({
        "ledger": { "dir": "ledger", "segment_bytes": "1MiB", "retention": { "age": "1s", "compress_after": "0s" } },
    });
    let (provider, _upstream, mut gateway) = stand(keep).await;
    let alice = provider.login("alice").await;
    let over = Arc::new(AtomicBool::new(false));
    let (address, stop) = (&gateway, Arc::clone(&over));
    // The first copy may be taken before the load has begun: something is to be in it.
    let _ = asked(address, &alice).await;
    let load = async {
        while !stop.load(Ordering::SeqCst) {
            let _ = asked(address, &alice).await;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let ledger = gateway.ledger.to_str().unwrap().to_owned();
    let script = format!(
        "set -e; touch {ledger}/still; mkdir -p {copy}\n\
         cp {ledger}/checkpoints {ledger}/bookmark {copy}\n\
         cp -r {ledger}/leaves {copy}\ncp -r {ledger}/bodies {copy}\n\
         test ! -d {ledger}/aside || cp -r {ledger}/aside {copy}\nrm {ledger}/still",
        copy = "$1"
    );
    let copies: Vec<_> = (0..6).map(|n| folder.path().join(n.to_string())).collect();
    let ends = Arc::clone(&over);
    let taken = copies.clone();
    let copying = tokio::task::spawn_blocking(move || {
        for to in &taken {
            let status = Command::new("sh").args(["-c", &script, "sh", to.to_str().unwrap()]).status();
            assert!(status.unwrap().success());
        }
        ends.store(true, Ordering::SeqCst);
    });
    let (_, copied) = tokio::join!(load, copying);
    copied.unwrap();
    for copy in &copies {
        let report = verified(copy);
        assert!(report["exchanges"].as_u64().unwrap() > 0, "{report}");
    }
    second(copies.last().unwrap());

    // Moved: stopped, moved, started where the configuration now says.
    assert!(gateway.stop().await.success());
    let before = verified(&gateway.ledger);
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for name in ["ledger", "ledger.digest-key", "ledger.signing-key", "ledger.state"] {
        let status = Command::new("mv").arg(gateway.file(name)).arg(&elsewhere).status();
        assert!(status.unwrap().success(), "{name}");
    }
    gateway.ledger = elsewhere.join("ledger");
    assert_eq!(verified(&gateway.ledger)["root"], before["root"]);
    let file = gateway.file("portcullis.yaml");
    let moved = fs::read_to_string(&file).unwrap();
    let moved = moved.replace("\"dir\": \"ledger\"", &format!("\"dir\": {:?}", gateway.ledger));
    fs::write(&file, moved).unwrap();
    gateway.restart().await;
    let id = asked(&gateway, &alice).await;
    assert_eq!(gateway.show(&id)["outcome"], "completed");
    let after = verified(&gateway.ledger);
    assert!(after["leaves"].as_u64() > before["leaves"].as_u64());
    assert_eq!(after["keys"], before["keys"], "the keys came along");

    // Restored: a copy where the configuration says, with the keys. What was open is sealed.
    assert!(gateway.stop().await.success());
    fs::remove_dir_all(&gateway.ledger).unwrap();
    fs::rename(&copies[0], &gateway.ledger).unwrap();
    gateway.restart().await;
    asked(&gateway, &alice).await;
    assert!(gateway.stop().await.success());
    let restored = verified(&gateway.ledger);
    assert_eq!(restored["open"], 0, "{restored}");
    second(&gateway.ledger);
}

#[tokio::test]
async fn an_auditor_gets_a_page_that_no_caller_writes_in() {
    let (provider, _upstream, gateway) = stand(json!({})).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    for _ in 0..3 {
        asked(&gateway, &alice).await;
    }
    asked(&gateway, &bob).await;
    call(&gateway, Method::GET, "/resources", Some(&alice), None).await;
    let hostile = json!({ "reason": "<script>alert(1)</script>", "resource": "llama" });
    call(&gateway, Method::POST, "/holds", Some(&alice), Some(&hostile)).await;
    gateway.sealed(6).await;
    let ledger = gateway.ledger.to_str().unwrap();
    let file = gateway.file("report.html");
    let report =
        ["audit", "report", ledger, "--from", "2020-01-01", "--json", "--out", file.to_str().unwrap()];
    let told: Value = serde_json::from_str(&run(0, &report)).unwrap();
    let uses = told["report"]["uses"].as_array().unwrap();
    let of = |who: &str| uses.iter().find(|row| row["caller"].as_str().unwrap().ends_with(who)).unwrap();
    assert_eq!((&of("#alice")["exchanges"], &of("#alice")["completed"]), (&json!(3), &json!(3)), "{told}");
    assert_eq!((&of("#bob")["refused"], &told["report"]["denials_in_all"]), (&json!(1), &json!(1)));
    assert_eq!(told["ledger"]["ok"], true);
    assert_eq!(told["report"]["holds"][0]["holds"], "resource llama");
    let acts = told["report"]["acts"].as_array().unwrap();
    assert!(acts.iter().any(|act| act["act"] == "holds.add"), "{told}");
    let html = fs::read_to_string(&file).unwrap();
    assert!(html.contains("The record is whole") && html.contains("#alice"));
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
    // Nothing of another time.
    let earlier = ["audit", "report", ledger, "--from", "2020-01-01", "--to", "2020-02-01", "--json"];
    let told: Value = serde_json::from_str(&run(0, &earlier)).unwrap();
    assert_eq!((&told["report"]["exchanges"], &told["report"]["uses"]), (&json!(0), &json!([])));
    run(2, &["audit", "report", ledger, "--from", "2020-02-01", "--to", "2020-01-01"]);
    // A ledger that was changed is told on the page too.
    let changed = gateway.file("changed");
    assert!(Command::new("cp").arg("-r").arg(ledger).arg(&changed).status().unwrap().success());
    let leaves = changed.join("leaves/00000001.seg");
    let mut bytes = fs::read(&leaves).unwrap();
    bytes[900] ^= 1;
    fs::write(&leaves, bytes).unwrap();
    let page = run(1, &["audit", "report", changed.to_str().unwrap(), "--from", "2020-01-01"]);
    assert!(page.contains("The record does not verify"), "{page}");
}
