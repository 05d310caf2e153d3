//! The record as an auditor meets it: verified, proven, held against kept checkpoints, by our verifier and
//! by one that others wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use e2e::ask::chat;
use e2e::gateway::Gateway;
use e2e::parts::{portcullis, require};
use e2e::plan::Plan;
use e2e::process::{PATIENCE, eventually};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use serde_json::{Value, json};

/// A gateway that has recorded `count` exchanges.
async fn recorded(plan: impl FnOnce(Plan) -> Plan, count: usize) -> (Gateway, Provider, FakeUpstream) {
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(|_| Reply::json(
            &json!({ "id": "1", "object": "chat.completion", "choices": [] })
        ))
    );
    let gateway = plan(Plan::before(&provider, &upstream.url())).start().await;
    more(&gateway, &provider, count).await;
    (gateway, provider, upstream)
}

async fn more(gateway: &Gateway, provider: &Provider, count: usize) {
    let token = provider.login("alice").await;
    for _ in 0..count {
        assert!(chat(gateway, &token).await.status.is_success());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// `portcullis audit …`, which must end with this code.
fn audit(code: i32, arguments: &[&str]) -> String {
    let output = Command::new(portcullis()).arg("audit").args(arguments).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "audit {arguments:?}: {said}");
    said
}

fn verified(ledger: &Path, code: i32, more: &[&str]) -> Value {
    let ledger = ledger.to_str().unwrap();
    let said = audit(code, &[&["verify", ledger, "--json"], more].concat());
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
}

/// The verifier in Python, which must end with this code.
fn second(ledger: &Path, code: i32, more: &[&str]) -> String {
    let parts = require();
    let mut python = Command::new(parts.python());
    python.arg(parts.root.join("examples/verify/verify.py")).arg(ledger).args(more);
    let output = python.output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[tokio::test]
async fn two_verifiers_agree_on_a_whole_a_flipped_and_a_rolled_back_ledger() {
    let (mut gateway, provider, _upstream) = recorded(|plan| plan, 3).await;
    gateway.sealed(3).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(gateway.stop().await.success());
    copy(&gateway.ledger, &at("older"));
    gateway.restart().await;
    more(&gateway, &provider, 2).await;
    assert!(gateway.stop().await.success());
    copy(&gateway.ledger, &at("whole"));
    let kept = at("kept");
    let newest = gateway.cli(&["audit", "checkpoint"]);
    fs::write(&kept, &newest.stdout).unwrap();
    let kept = ["--against", kept.to_str().unwrap()];

    let report = verified(&at("whole"), 0, &kept);
    assert_eq!(
        (&report["exchanges"], &report["open"], &report["flaw"]),
        (&json!(5), &json!(0), &Value::Null)
    );
    assert_eq!(report["covered"], report["leaves"], "stopping signs the last one");
    let other = second(&at("whole"), 0, &kept);
    assert!(other.contains(report["root"].as_str().unwrap()), "{other}");
    let key = report["keys"][0]["key"].as_str().unwrap();
    verified(&at("whole"), 0, &["--key", key]);

    // By itself the older one is whole; against what was kept it is found.
    verified(&at("older"), 0, &[]);
    second(&at("older"), 0, &[]);
    let report = verified(&at("older"), 1, &kept);
    assert!(report["flaw"]["problem"].as_str().unwrap().contains("rolled back"), "{report}");
    assert!(second(&at("older"), 1, &kept).contains("rolled back"));

    flipped_anywhere_both_find_it(&at("whole"));
}

/// Some bytes of every file; all of them are flipped in the ledger's own tests.
fn flipped_anywhere_both_find_it(ledger: &Path) {
    for file in ["leaves/00000001.seg", "bodies/default/00000001.seg", "checkpoints"] {
        let path = ledger.join(file);
        let whole = fs::read(&path).unwrap();
        for at in (3..whole.len()).step_by(whole.len() / 7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&path, bytes).unwrap();
            let report = verified(ledger, 1, &[]);
            assert_eq!(report["flaw"]["file"], file, "byte {at}: {report}");
            second(ledger, 1, &[]);
        }
        fs::write(&path, whole).unwrap();
    }
    verified(ledger, 0, &[]);
    second(ledger, 0, &[]);
}

#[tokio::test]
async fn an_exchange_is_proven_to_whoever_has_only_the_key() {
    let (gateway, provider, _upstream) = recorded(|plan| plan, 2).await;
    let exchanges = gateway.sealed(2).await;
    let old = gateway.cli(&["audit", "checkpoint", "--now"]);
    assert!(old.status.success(), "{}", said(&old));
    more(&gateway, &provider, 2).await;
    let new = gateway.cli(&["audit", "checkpoint", "--now"]);
    assert_ne!(old.stdout, new.stdout);
    let key = String::from_utf8(gateway.cli(&["audit", "key"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("old"), &old.stdout).unwrap();
    fs::write(file("new"), &new.stdout).unwrap();

    for exchange in &exchanges {
        let proven = gateway.cli(&["audit", "prove", exchange.id(), "--out", &file("proof")]);
        assert!(proven.status.success(), "{}", said(&proven));
        let checked = audit(0, &["check", &file("proof"), "--key", key.trim(), "--json"]);
        assert!(checked.contains(exchange.id()) && checked.contains("completed"), "{checked}");
        assert!(fs::metadata(file("proof")).unwrap().len() < 64 << 10);
        let mut bytes = fs::read(file("proof")).unwrap();
        bytes[100] = if bytes[100] == b'A' { b'B' } else { b'A' };
        fs::write(file("proof"), bytes).unwrap();
        audit(1, &["check", &file("proof"), "--key", key.trim()]);
    }
    let grown = gateway.cli(&["audit", "consistency", &file("old"), &file("new"), "--out", &file("growth")]);
    assert!(grown.status.success(), "{}", said(&grown));
    audit(0, &["check", &file("growth"), "--key", key.trim()]);
    let back = gateway.cli(&["audit", "consistency", &file("new"), &file("old")]);
    assert_eq!(back.status.code(), Some(1), "{}", said(&back));
}

/// The checkpoints that a witness was sent.
async fn witness() -> (FakeUpstream, Arc<Mutex<Vec<String>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notes);
    let witness = FakeUpstream::start(move |request| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        heard.lock().unwrap().push(text);
        Reply::json(&json!({}))
    });
    (witness.await, notes)
}

#[tokio::test]
async fn checkpoints_reach_a_witness_and_standard_output() {
    let (outside, notes) = witness().await;
    let url = format!("{}/checkpoints", outside.url());
    let with = |mut plan: Plan| {
        let checkpoints = json!({ "every": "1s", "to": ["stdout", url] });
        plan.config["ledger"] = json!({ "dir": "ledger", "checkpoints": checkpoints });
        plan
    };
    let (mut gateway, _provider, _upstream) = recorded(with, 2).await;
    assert!(gateway.stop().await.success());
    let last = String::from_utf8(gateway.cli(&["audit", "checkpoint"]).stdout).unwrap();
    let arrived = eventually(PATIENCE, || notes.lock().unwrap().contains(&last).then_some(())).await;
    assert!(arrived.is_some(), "{:?}\n{last}", notes.lock().unwrap());
    assert!(gateway.log().contains(last.lines().last().unwrap()), "{}", gateway.log());
    let kept = gateway.file("kept");
    fs::write(&kept, notes.lock().unwrap().concat()).unwrap();
    let report = verified(&gateway.ledger, 0, &["--against", kept.to_str().unwrap()]);
    assert_eq!(report["against"].as_array().unwrap().last(), Some(&report["leaves"]));
}

#[tokio::test]
async fn a_witness_that_is_away_holds_up_nobody() {
    let with = |mut plan: Plan| {
        let nobody = format!("http://{}/", e2e::process::free_address());
        let checkpoints = json!({ "every": "1s", "to": nobody });
        plan.config["ledger"] = json!({ "dir": "ledger", "checkpoints": checkpoints });
        plan
    };
    let (gateway, _provider, _upstream) = recorded(with, 3).await;
    gateway.sealed(3).await;
    let failed = eventually(PATIENCE, || gateway.log().contains("was not taken").then_some(())).await;
    assert!(failed.is_some(), "{}", gateway.log());
    assert!(gateway.cli(&["audit", "checkpoint", "--now"]).status.success());
}

#[tokio::test]
async fn a_key_is_rotated_between_two_starts() {
    let (mut gateway, provider, _upstream) = recorded(|plan| plan, 1).await;
    let key = String::from_utf8(gateway.cli(&["audit", "key"]).stdout).unwrap();
    assert!(gateway.stop().await.success());
    let rotated = gateway.cli(&["audit", "rotate"]);
    assert!(rotated.status.success(), "{}", said(&rotated));
    gateway.restart().await;
    more(&gateway, &provider, 1).await;
    assert!(gateway.stop().await.success());
    let report = verified(&gateway.ledger, 0, &["--key", key.trim()]);
    assert_eq!(report["keys"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["keys"][1]["handed_over"], true);
    second(&gateway.ledger, 0, &[]);
    let former: PathBuf = gateway.ledger.with_extension("signing-key.former");
    assert!(!former.exists(), "the old key is removed once it has handed over");
}
