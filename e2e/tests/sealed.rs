//! Sealed recordings as an auditor meets them: nothing of what was said is in the ledger's files, an
//! identity made by the stock `age` tool reads it, and what is handed over opens with that tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::admin::{ADMINS_ADMINISTER, get};
use e2e::ask::{chat, joined, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::parts::{portcullis, require};
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ASKED: &str = "canary-asked-41c9";
const SAID: &str = "canary-said-77d2";

/// An auditor with a key of the stock tool's making.
struct Auditor {
    key: PathBuf,
    recipient: String,
}

impl Auditor {
    fn new(folder: &Path, name: &str) -> Self {
        let key = folder.join(name);
        let made = Command::new("age-keygen").arg("-o").arg(&key).output().expect("age-keygen runs");
        assert!(made.status.success(), "{made:?}");
        let public = Command::new("age-keygen").arg("-y").arg(&key).output().unwrap();
        Self { key, recipient: String::from_utf8(public.stdout).unwrap().trim().to_owned() }
    }

    fn key(&self) -> &str {
        self.key.to_str().unwrap()
    }

    /// What the stock tool makes of a file.
    fn decrypt(&self, file: &Path) -> Output {
        Command::new("age").args(["--decrypt", "--identity", self.key()]).arg(file).output().unwrap()
    }
}

struct Stand {
    folder: tempfile::TempDir,
    gateway: Gateway,
    provider: Provider,
    _upstream: FakeUpstream,
    ada: Auditor,
    bob: Auditor,
}

async fn stand() -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let (ada, bob) = (Auditor::new(folder.path(), "ada.key"), Auditor::new(folder.path(), "bob.key"));
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat([SAID, " and ", "more"])));
    let mut plan =
        Plan::before(&provider, &upstream.url()).policy("admin.cedar", ADMINS_ADMINISTER).administered();
    plan.config["ledger"] = json!({ "dir": "ledger", "seal_to": [ada.recipient, bob.recipient] });
    let gateway = plan.start().await;
    Stand { folder, gateway, provider, _upstream: upstream, ada, bob }
}

impl Stand {
    /// Asks with the canary, streaming, and gives the exchange's id and the answer as the caller got it.
    async fn ask(&self) -> (String, Vec<u8>) {
        let token = self.provider.login("alice").await;
        let mut answer = stream(&self.gateway, &token, ASKED).await;
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (bytes, end) = client::drain(answer.body_mut()).await;
        end.unwrap();
        assert!(joined(&bytes).contains(SAID), "{}", joined(&bytes));
        (id, bytes)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn holds(&self, needle: &str) -> bool {
        self.gateway.ledger_bytes().windows(needle.len()).any(|window| window == needle.as_bytes())
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[tokio::test]
async fn what_was_said_is_read_with_an_identity_alone() {
    let stand = stand().await;
    let (id, answer) = stand.ask().await;
    let gateway = &stand.gateway;
    let listed = &gateway.sealed(1).await[0];
    assert_eq!((listed.id(), listed.outcome()), (id.as_str(), Some("completed")));
    assert_eq!(listed.0["email"], "alice@example.test", "who asked is told as ever");
    assert_eq!(listed.0["model"], "tiny-llama");
    assert!(!stand.holds(ASKED) && !stand.holds(SAID));

    let shown = gateway.show(&id);
    assert_eq!(shown["encrypted"], true);
    assert_eq!((&shown["request"]["body"], &shown["response"]["body"]), (&json!(""), &json!("")));
    let replayed = gateway.cli(&["sessions", "replay", &id, "--fast"]);
    assert!(!replayed.status.success() && said(&replayed).contains("--identity"), "{}", said(&replayed));

    for auditor in [&stand.ada, &stand.bob] {
        let opened = gateway.cli_json(&["sessions", "show", &id, "--json", "--identity", auditor.key()]);
        assert_eq!(opened["encrypted"], false);
        assert!(opened["request"]["body"].as_str().unwrap().contains(ASKED), "{opened}");
        assert_eq!(opened["response"]["body"].as_str().unwrap().as_bytes(), answer);
        let replayed = gateway.cli(&["sessions", "replay", &id, "--fast", "--identity", auditor.key()]);
        assert!(replayed.status.success(), "{}", said(&replayed));
        assert!(replayed.stdout.starts_with(&answer), "{}", said(&replayed));
    }
    let parts = require();
    let mut python = Command::new(parts.python());
    python.arg(parts.root.join("examples/verify/unseal.py")).arg(&gateway.ledger).arg(&id);
    let read = python.arg(stand.bob.key()).output().unwrap();
    assert_eq!(read.stdout, answer, "by the format's description alone: {}", said(&read));
    let exported = gateway.cli(&["sessions", "export", "--format", "jsonl"]);
    assert!(!said(&exported).contains(ASKED) && !said(&exported).contains(SAID), "{}", said(&exported));
    let key = stand.ada.key();
    let exported = gateway.cli(&["sessions", "export", "--format", "har", "--identity", key]);
    assert!(said(&exported).contains(ASKED) && said(&exported).contains(SAID), "{}", said(&exported));
    let eve = Auditor::new(stand.folder.path(), "eve.key");
    let refused = gateway.cli(&["sessions", "show", &id, "--identity", eve.key()]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("sealed to other recipients"), "{}", said(&refused));
}

#[tokio::test]
async fn a_body_that_is_handed_over_opens_with_the_stock_tool() {
    let stand = stand().await;
    let (id, answer) = stand.ask().await;
    stand.gateway.sealed(1).await;
    let body = |more: &[&str], out: &Path| {
        let all = [&["sessions", "body", &id, "--out", out.to_str().unwrap()], more].concat();
        stand.gateway.cli(&all)
    };
    let own = stand.at("answer.age");
    let handed = body(&["--identity", stand.ada.key()], &own);
    assert!(handed.status.success(), "{}", said(&handed));
    assert_eq!(stand.ada.decrypt(&own).stdout, answer);
    assert!(!stand.bob.decrypt(&own).status.success(), "it is for the one who opened it");

    let asked = stand.at("request.age");
    let to = stand.bob.recipient.clone();
    let handed = body(&["--request", "--identity", stand.ada.key(), "--to", &to], &asked);
    assert!(handed.status.success(), "{}", said(&handed));
    assert!(String::from_utf8(stand.bob.decrypt(&asked).stdout).unwrap().contains(ASKED));
    assert!(!stand.ada.decrypt(&asked).status.success());

    let plain = stand.at("answer.txt");
    assert!(body(&["--plain", "--identity", stand.bob.key()], &plain).status.success());
    assert_eq!(fs::read(&plain).unwrap(), answer);
    let again = body(&["--plain", "--identity", stand.bob.key()], &plain);
    assert!(!again.status.success(), "what is there is not written over");
    for (more, told) in
        [(vec!["--plain"], "is sealed"), (vec![], "--to"), (vec!["--to", "age1nobody"], "no age recipient")]
    {
        let refused = body(&more, &stand.at("nothing"));
        assert!(!refused.status.success() && said(&refused).contains(told), "{}", said(&refused));
        assert!(!stand.at("nothing").exists());
    }
}

#[tokio::test]
async fn both_verifiers_pass_over_a_sealed_ledger_and_find_a_flip() {
    let mut stand = stand().await;
    stand.ask().await;
    chat(&stand.gateway, &stand.provider.login("alice").await).await;
    stand.gateway.sealed(2).await;
    assert!(stand.gateway.stop().await.success());
    let ledger = stand.gateway.ledger.clone();
    let ours = || Command::new(portcullis()).args(["audit", "verify"]).arg(&ledger).output().unwrap();
    let parts = require();
    let theirs = || {
        let verifier = parts.root.join("examples/verify/verify.py");
        Command::new(parts.python()).arg(verifier).arg(&ledger).output().unwrap()
    };
    assert_eq!((ours().status.code(), theirs().status.code()), (Some(0), Some(0)), "{}", said(&theirs()));
    let path = ledger.join("bodies/default/00000001.seg");
    let whole = fs::read(&path).unwrap();
    for at in (150..whole.len()).step_by(whole.len() / 5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!((ours().status.code(), theirs().status.code()), (Some(1), Some(1)), "byte {at}");
    }
}

#[tokio::test]
async fn the_administration_tells_what_is_known_and_gives_out_nothing_sealed() {
    let stand = stand().await;
    let (id, _) = stand.ask().await;
    stand.gateway.sealed(1).await;
    let token = stand.provider.login("alice").await;
    let shown = get(&stand.gateway, &format!("/sessions/{id}"), &token).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    let told = shown.json();
    assert_eq!((&told["encrypted"], &told["caller"]["email"]), (&json!(true), &json!("alice@example.test")));
    assert_eq!((&told["request"]["body"], &told["response"]["body"]), (&json!(""), &json!("")));
    assert!(told["frames"].as_u64().unwrap() > 3, "{told}");
    let replayed = get(&stand.gateway, &format!("/sessions/{id}/replay"), &token).await;
    assert_eq!(
        (replayed.status, &replayed.json()["code"]),
        (StatusCode::CONFLICT, &json!("recording_sealed"))
    );
}

#[tokio::test]
async fn what_a_kill_left_open_is_closed_by_a_gateway_without_the_key() {
    let mut stand = stand().await;
    let token = stand.provider.login("alice").await;
    let (id, _) = stand.ask().await;
    let url = stand.gateway.url("/llama/v1/chat/completions");
    let refused =
        client::send(Method::POST, &url, Some(&token), Some(&json!({ ASKED: 1, "model": 7 }))).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    stand.gateway.kill();
    stand.gateway.restart().await;
    let all: Vec<Value> = stand.gateway.sealed(2).await.into_iter().map(|exchange| exchange.0).collect();
    assert_eq!(all.len(), 2);
    assert!(!stand.holds(ASKED) && !stand.holds(SAID), "not in a refusal either");
    let opened = stand.gateway.cli_json(&["sessions", "show", &id, "--json", "--identity", stand.bob.key()]);
    assert!(opened["response"]["body"].as_str().unwrap().contains(SAID), "{opened}");
}
