//! The record as whoever looks for something meets it: found, followed, exported, and judged again by other
//! policies.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use e2e::admin::{ADMINS_ADMINISTER, call};
use e2e::ask::{chat, chat_body, code, joined, say, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::parts::portcullis;
use e2e::plan::Plan;
use e2e::process::{PATIENCE, eventually};
use e2e::provider::Provider;
use e2e::script::node_part;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const MAIL: &str = "zorba.quill@kestrelpost.com";

fn plan(provider: &Provider, upstream: &FakeUpstream) -> Plan {
    let words = json!({ "ledger": { "dir": "ledger", "full_text": true } });
    Plan::before(provider, &upstream.url())
        .policy("admin.cedar", ADMINS_ADMINISTER)
        .administered()
        .with(words)
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn listed(gateway: &Gateway, token: &str, more: &[&str]) -> Value {
    let output = gateway.cli_as(Some(token), &[&["sessions", "list", "--json"], more].concat());
    serde_json::from_str(&said(&output)).unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    list["exchanges"].as_array().unwrap().iter().map(|one| one["exchange"].as_str().unwrap()).collect()
}

/// Asks with a header that says which session it belongs to.
async fn in_session(gateway: &Gateway, token: &str, name: &str, text: &str) -> client::Answer {
    let url = gateway.url("/llama/v1/chat/completions");
    let mut request = client::request(Method::POST, &url, Some(token), Some(&chat_body(text)));
    request.headers_mut().insert("x-portcullis-session", name.parse().unwrap());
    client::try_send(request).await.unwrap()
}

#[tokio::test]
async fn a_recording_is_found_by_whatever_is_known_of_it() {
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(|_| Reply::chat(["the purple ", "giraffe wrote to ", MAIL]))
    );
    let gateway = plan(&provider, &upstream).start().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let id = |answer: &client::Answer| answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let first = id(&in_session(&gateway, &alice, "run 17", "what of the quetzal").await);
    let second = id(&in_session(&gateway, &alice, "run 17", "and then").await);
    let (third, fourth) = (id(&chat(&gateway, &alice).await), id(&chat(&gateway, &alice).await));
    let denied = id(&say(&gateway, &bob, "quetzal too").await);
    gateway.sealed(5).await;
    assert!(upstream.received().iter().all(|asked| !asked.headers.contains_key("x-portcullis-session")));

    let mut own = [&first, &second, &third, &fourth].map(String::as_str).to_vec();
    own.reverse();
    for (more, wanted) in [
        (&["--group", "ml-engineers", "--resource", "llama"][..], own.clone()),
        (&["--masked", "pii", "--resource", "llama"], own.clone()),
        (&["--masked", "pii.email", "--outcome", "refused"], vec![]),
        (&["--revealed", "pii"], vec![]),
        (&["--decision", "denied", "--class", "infer"], vec![denied.as_str()]),
        (&["--caller", "me", "--class", "infer", "--since", "1h"], own.clone()),
        (&["--class", "infer", "--until", "1h"], vec![]),
        (&["--text", "quetzal"], vec![denied.as_str(), first.as_str()]),
        (&["--text", "\"purple giraffe\" quetzal"], vec![first.as_str()]),
        (&["--text", "\"giraffe purple\""], vec![]),
        (&["--text", "kestrelpost"], vec![]),
    ] {
        let list = listed(&gateway, &alice, more);
        assert_eq!(ids(&list), wanted, "{more:?}: {list}");
    }

    // What the client says belongs together is one session, and the rest of the token's another.
    let grouped = listed(&gateway, &alice, &["--grouped", "--caller", "me"]);
    let sessions = grouped["sessions"].as_array().unwrap();
    let told = |session: &Value| (session["session"].clone(), session["exchanges"].clone());
    assert_eq!(
        sessions.iter().map(told).collect::<Vec<_>>(),
        [(json!(format!("s-{third}")), json!(2)), (json!(format!("s-{first}")), json!(2)),]
    );
    assert_eq!(sessions[1]["session_name"], "run 17");
    let shown = gateway.cli_as(Some(&alice), &["sessions", "show", &format!("s-{first}"), "--json"]);
    let shown: Value = serde_json::from_str(&said(&shown)).unwrap();
    assert_eq!(ids(&shown), [first.as_str(), &second]);

    // A name that would group by what is kept of it in part is refused; nobody else finds anything.
    let long = in_session(&gateway, &alice, &"x".repeat(129), "hi").await;
    assert_eq!((long.status, code(&long)), (StatusCode::BAD_REQUEST, "header_refused".to_owned()));
    for path in ["/sessions/search?text=quetzal", "/sessions/export?text=quetzal", "/sessions/grouped"] {
        let refused = call(&gateway, Method::GET, path, Some(&bob), None).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
    // Made anew, it holds the same.
    assert!(said(&gateway.cli_as(None, &["sessions", "index"])).contains("made anew"));
    let again = gateway.cli_as(None, &["sessions", "list", "--local", "--json", "--text", "purple quetzal"]);
    let again: Value = serde_json::from_str(&said(&again)).unwrap();
    assert_eq!(ids(&again), [first.as_str()]);
}

#[tokio::test]
async fn an_answer_is_followed_while_it_runs() {
    let go = Arc::new(Semaphore::new(0));
    let hold = Arc::clone(&go);
    let slow = move |_: &_| {
        Reply::of_type("text/event-stream")
            .send(format!("data: {}\n\n", chat_delta("first words of it, ")))
            .then(Step::Wait(Arc::clone(&hold)))
            .send(format!("data: {}\n\ndata: [DONE]\n\n", chat_delta("and the last")))
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(slow));
    let gateway = plan(&provider, &upstream).start().await;
    let alice = provider.login("alice").await;
    let mut answer = stream(&gateway, &alice, "hello").await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let follow = |more: &[&str]| {
        let mut command = Command::new(portcullis());
        command.args(["sessions", "follow"]).args(more).arg("--config").arg(gateway.file("portcullis.yaml"));
        command
            .env("PORTCULLIS_TOKEN", &alice)
            .env("LLAMA_KEY", "key")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let followers = [
        follow(&[&id]),
        follow(&["--caller", "me"]),
        follow(&["--ledger", gateway.file("ledger").to_str().unwrap(), &id]),
    ];
    let mut readers = Vec::new();
    for mut follower in followers {
        let mut out = BufReader::new(follower.stdout.take().unwrap());
        let first = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            (line, out)
        });
        let (line, out) = tokio::time::timeout(PATIENCE, first).await.unwrap().unwrap();
        assert!(line.contains("first words"), "{line}");
        readers.push((follower, line, out));
    }
    go.add_permits(1);
    let (raw, _) = client::drain(answer.body_mut()).await;
    for (mut follower, line, out) in readers {
        let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
        let all = format!("{line}{}", rest.join("\n"));
        assert_eq!(joined(all.as_bytes()), joined(&raw));
        assert!(follower.wait().unwrap().success());
    }
    let asked = listed(&gateway, &alice, &["--class", "replay"]);
    let names: Vec<_> = asked["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["operations"][0].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{asked}");
    assert!(names.contains(&"sessions.follow") && names.contains(&"sessions.follow_next"), "{names:?}");
    let bob = provider.login("bob").await;
    let refused = call(&gateway, Method::GET, &format!("/sessions/{id}/follow"), Some(&bob), None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn exports_hold_what_their_reader_may_see() {
    const SEES: &str = r#"
@id("seers-see")
permit (principal in Group::"ml-engineers", action == Action::"reveal", resource in DataClass::"pii");
"#;
    // Admins may read everything of llama but what carol asked, and never see personal data.
    const READS: &str = r#"
@id("bob-reads")
permit (principal, action in Action::"administration", resource)
when { principal.subject == "bob" };
@id("not-of-alice")
forbid (principal, action == Action::"replay", resource is Session)
when { resource has caller && resource.caller.subject == "carol" };
"#;
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(|_| Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices":
            [{ "index": 0, "message": { "role": "assistant", "content": format!("ask {MAIL}") } }] })))
    );
    let gateway =
        plan(&provider, &upstream).policy("sees.cedar", SEES).policy("reads.cedar", READS).start().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    assert!(chat(&gateway, &alice).await.text().contains(MAIL), "alice sees it");
    chat(&gateway, &alice).await;
    let refused = chat(&gateway, &bob).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    gateway.sealed(3).await;
    let export = |token: &str, format: &str| {
        said(&gateway.cli_as(Some(token), &["sessions", "export", "--format", format, "--resource", "llama"]))
    };
    let lines =
        |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    // Each reader is shown what it may see.
    let (own, other) = (export(&alice, "jsonl"), export(&bob, "jsonl"));
    assert_eq!((lines(&own).len(), lines(&other).len()), (3, 3));
    assert!(own.contains(MAIL) && !other.contains(MAIL) && other.contains("ask "), "{other}");
    for event in lines(&export(&bob, "ocsf")) {
        assert_eq!((&event["class_uid"], &event["category_uid"]), (&json!(6003), &json!(6)));
        assert_eq!(event["type_uid"], json!(600_399));
        assert!(event["metadata"]["version"].is_string() && event["actor"]["user"]["uid"].is_string());
        assert!(event["src_endpoint"]["ip"].is_string() && event["api"]["operation"].is_string());
    }
    let archive = export(&bob, "har");
    is_served_by_a_browser(&archive).await;
    let archive: Value = serde_json::from_str(&archive).unwrap();
    let entries = archive["log"]["entries"].as_array().unwrap();
    assert_eq!((&archive["log"]["version"], entries.len()), (&json!("1.2"), 3));
    for entry in entries {
        for place in [
            "/startedDateTime",
            "/time",
            "/request/method",
            "/request/url",
            "/request/httpVersion",
            "/request/headers",
            "/request/queryString",
            "/request/cookies",
            "/request/headersSize",
            "/request/bodySize",
            "/response/status",
            "/response/statusText",
            "/response/headers",
            "/response/cookies",
            "/response/content/size",
            "/response/content/mimeType",
            "/response/redirectURL",
            "/cache",
            "/timings/send",
            "/timings/wait",
            "/timings/receive",
        ] {
            assert!(entry.pointer(place).is_some_and(|value| !value.is_null()), "{place}: {entry}");
        }
        assert!(entry["request"]["url"].as_str().unwrap().starts_with("http://llama/v1/chat"));
    }
    let exports = listed(&gateway, &alice, &["--resource", "api/sessions", "--class", "replay"]);
    assert_eq!(ids(&exports).len(), 4, "each was recorded: {exports}");
}

/// A browser answers each recorded request from the archive, and nothing else.
async fn is_served_by_a_browser(archive: &str) {
    let file = tempfile::NamedTempFile::with_suffix(".har").unwrap();
    std::fs::write(file.path(), archive).unwrap();
    let served = node_part("archive.mjs", &[("ARCHIVE", file.path().to_str().unwrap())]).await;
    let archive: Value = serde_json::from_str(archive).unwrap();
    let entries = archive["log"]["entries"].as_array().unwrap();
    let answers = served["answers"].as_array().unwrap();
    assert_eq!(answers.len(), entries.len());
    let said = |entry: &Value| {
        let answer = &entry["response"];
        json!({ "status": answer["status"], "text": answer["content"]["text"] })
    };
    // Where the same was asked twice, either answer will do.
    let recorded: Vec<Value> = entries.iter().map(said).collect();
    for answer in answers {
        assert!(recorded.contains(answer), "{answer} is not among {recorded:?}");
    }
    assert_eq!(served["absent"], "aborted");
}

#[tokio::test]
async fn a_proposed_set_is_compared_with_what_happened() {
    const PROPOSED: &str = r#"
@id("short-only")
permit (principal in Group::"ml-engineers", action == Action::"infer", resource in Resource::"llama")
when { context.max_tokens <= 4 || context.approvals >= 1 };
@id("everybody-infers-little")
permit (principal, action == Action::"infer", resource in Resource::"llama")
when { principal.subject == "bob" };
"#;
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["hi"])));
    let gateway = plan(&provider, &upstream).start().await;
    std::fs::create_dir(gateway.file("proposed")).unwrap();
    std::fs::write(gateway.file("proposed/all.cedar"), PROPOSED).unwrap();
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    for _ in 0..3 {
        assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    }
    assert_eq!(chat(&gateway, &bob).await.status, StatusCode::FORBIDDEN);
    gateway.sealed(4).await;
    let replay = |policies: &str, more: &[&str]| {
        let arguments = [&["policy", "replay", "--policies", policies, "--since", "7d"], more].concat();
        gateway.cli_as(None, &arguments)
    };
    // By the set that judged, everything comes out as it did.
    let same: Value =
        serde_json::from_str(&said(&replay("policies", &["--json", "--fail-on-change"]))).unwrap();
    assert_eq!((&same["judged"], &same["changed"], &same["unreadable"]), (&json!(4), &json!(0), &json!(0)));
    let other: Value = serde_json::from_str(&said(&replay("proposed", &["--json"]))).unwrap();
    assert_eq!((&other["judged"], &other["changed"]), (&json!(4), &json!(4)), "{other}");
    let changes = other["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{other}");
    let of = |change: &Value| {
        let keys = ["count", "resource", "class", "was", "becomes", "approvals", "by"];
        Value::Array(keys.map(|key| change[key].clone()).to_vec())
    };
    assert_eq!(of(&changes[0]), json!([3, "llama", "infer", "allowed", "held", 1, ["short-only"]]));
    assert_eq!(
        of(&changes[1]),
        json!([1, "llama", "infer", "denied", "allowed", 0, ["everybody-infers-little"]])
    );
    assert!(gateway.exchanges().iter().any(|one| one.id() == changes[1]["example"]));
    let fails = replay("proposed", &["--fail-on-change"]);
    assert_eq!(fails.status.code(), Some(1));
    let text = String::from_utf8_lossy(&fails.stdout).into_owned();
    assert!(text.contains("held for 1") && text.contains("4 of 4 exchanges"), "{text}");
    let future: Value =
        serde_json::from_str(&said(&replay("proposed", &["--json", "--until", "1h"]))).unwrap();
    assert_eq!(future["judged"], 0);
    let looked = eventually(PATIENCE, || Some(replay("nowhere", &[]).status.code()));
    assert_eq!(looked.await, Some(Some(2)));
}
