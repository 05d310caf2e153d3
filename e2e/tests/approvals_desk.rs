//! The approver's desk: what waits, looked at and decided by a browser, the interface and the command line,
//! while a real SDK waits for its answer.

use std::process::Command;

use e2e::admin::{ADMINS_ADMINISTER, call, get};
use e2e::client::Answer;
use e2e::gateway::Gateway;
use e2e::parts::{portcullis, require};
use e2e::plan::Plan;
use e2e::process::{PATIENCE, Part, free_address};
use e2e::provider::Provider;
use e2e::script;
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Analysts and mallory may ask with the consent of an admin; so may admins, with that of another.
const POLICIES: &str = r#"
// Analysts may ask the model when an administrator agrees.
@id("with-consent")
permit(principal in Group::"analysts", action == Action::"infer", resource in Resource::"llama")
when { context.approvals >= 1 };

// Administrators themselves need two others.
@id("two-for-admins")
permit(principal in Group::"admins", action == Action::"embed", resource in Resource::"llama")
when { context.approvals >= 2 };

// Administrators decide what waits.
@id("admins-approve")
permit(principal in Group::"admins", action == Action::"approve", resource in Resource::"llama");

// Administrators see people's addresses, and no card numbers.
@id("admins-see-addresses")
permit(principal in Group::"admins", action == Action::"reveal", resource == DataClass::"pii.email");
"#;

struct Stand {
    gateway: Gateway,
    provider: Provider,
    origin: String,
    upstream: FakeUpstream,
}

async fn stand(more: &str) -> Stand {
    let answer = json!({ "id": "1", "object": "chat.completion", "model": "tiny-llama", "created": 1,
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": "the quarter was good" } }] });
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(move |_| Reply::json(&answer)));
    let admin = free_address();
    let origin = format!("https://localhost:{}", admin.port());
    let secret = provider.console(&origin).await;
    let console = json!({
        "url": origin,
        "sign_in": { "panva": {
            "client_id": "console", "client_secret": "env:CONSOLE_SECRET",
            "scopes": ["openid", "profile", "email", "groups"],
        } },
    });
    let admin = json!({ "address": admin.to_string(), "tls": "local", "socket": "admin.sock" });
    let plan = Plan::before(&provider, &upstream.url())
        .policy("engineers.cedar", POLICIES)
        .policy("more.cedar", more)
        .environment("CONSOLE_SECRET", &secret)
        .with(json!({ "admin": admin, "console": console }));
    let gateway = plan.start().await;
    Stand { gateway, provider, origin, upstream }
}

const ASK: &str = r#"
import json, os, openai
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["TOKEN"], max_retries=0)
ask = [{"role": "system", "content": "You are an analyst."}, {"role": "user", "content": os.environ["PROMPT"]}]
try:
    got = client.chat.completions.create(model="tiny-llama", messages=ask, max_tokens=400)
    print(json.dumps({"said": got.choices[0].message.content}))
except openai.APIStatusError as error:
    print(json.dumps({"status": error.status_code, "code": error.code, "message": error.message}))
"#;

impl Stand {
    /// Somebody's SDK asks, and waits.
    fn ask(&self, token: &str, prompt: &str) -> JoinHandle<Value> {
        let (base, token, prompt) = (self.gateway.base("llama"), token.to_owned(), prompt.to_owned());
        tokio::spawn(async move {
            script::python(ASK, &[("BASE", &base), ("TOKEN", &token), ("PROMPT", &prompt)]).await
        })
    }

    async fn list(&self, token: &str, query: &str) -> Vec<Value> {
        let answer = get(&self.gateway, &format!("/approvals{query}"), token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["approvals"].as_array().unwrap().clone()
    }

    /// The approvals that wait, once there are so many.
    async fn waiting(&self, token: &str, count: usize) -> Vec<Value> {
        let start = std::time::Instant::now();
        loop {
            let waiting = self.list(token, "?state=waiting").await;
            if waiting.len() == count {
                return waiting;
            }
            assert!(start.elapsed() < PATIENCE, "{waiting:?}\n{}", self.gateway.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn word(&self, token: &str, id: &Value, verb: &str, body: Value) -> Answer {
        let path = format!("/approvals/{}/{verb}", id.as_str().unwrap());
        call(&self.gateway, Method::POST, &path, Some(token), Some(&body)).await
    }

    /// `portcullis approvals` as somebody.
    fn command(&self, token: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(portcullis());
        let socket = format!("unix:{}", self.gateway.file("admin.sock").display());
        command.arg("approvals").args(arguments).args(["--admin", &socket]).env("PORTCULLIS_TOKEN", token);
        command
    }
}

/// Made up, and put together here so that no scanner takes it for a real one.
fn card() -> String {
    ["4111 1111", "1111 1111"].join(" ")
}

fn text<'v>(seen: &'v Value, key: &str) -> &'v str {
    seen[key].as_str().unwrap_or_else(|| panic!("no {key} in {seen}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_lists_shows_and_decides_what_waits() {
    let stand = stand("").await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    let mallory = stand.provider.login("mallory").await;
    let prompt = format!("Pay card {} of ana@example.com", card());
    let asked = stand.ask(&bob, &prompt);
    let waiting = stand.waiting(&alice, 1).await;
    let approval = &waiting[0];
    let id = approval["id"].as_str().unwrap().to_owned();
    assert_eq!(approval["requester"]["email"], "bob@example.test", "{approval}");
    assert_eq!((&approval["needed"], &approval["given"]), (&json!(1), &json!(0)));
    assert_eq!(approval["operations"][0]["name"], "openai.chat");
    let sentence = "Analysts may ask the model when an administrator agrees.";
    assert_eq!(approval["policies"], json!([{ "policy": "with-consent", "sentence": sentence }]));
    assert_eq!(approval["url"], format!("{}/approvals/{id}", stand.origin));
    assert_eq!(approval["you"]["may_approve"], true);

    // What was said, masked by what each may see; nothing for whom it does not concern.
    let path = format!("/approvals/{id}");
    let shown = get(&stand.gateway, &path, &alice).await.json();
    assert_eq!((&shown["held"], &shown["method"]), (&json!(true), &json!("POST")), "{shown}");
    let said = shown["prompt"]["parts"][1]["said"].as_str().unwrap();
    assert!(said.contains("ana@example.com") && !said.contains(&card()), "{shown}");
    assert_eq!(shown["prompt"]["masked"], json!({ "pii.credit-card": 1 }), "{shown}");
    let own = get(&stand.gateway, &path, &bob).await.json();
    assert_eq!((&own["you"]["own"], &own["you"]["may_approve"]), (&json!(true), &json!(false)), "{own}");
    assert!(!own["prompt"].to_string().contains("ana@"), "{own}");
    for (path, token) in [
        ("/approvals", &bob),
        ("/approvals", &mallory),
        (path.as_str(), &mallory),
        ("/approvals/0190f000-0000-7000-8000-000000000000", &mallory),
    ] {
        let answer = get(&stand.gateway, path, token).await;
        assert_eq!(answer.json()["code"], "policy_denied", "{path}: {}", answer.text());
    }
    let missing = get(&stand.gateway, "/approvals/0190f000-0000-7000-8000-000000000000", &alice).await;
    assert_eq!(missing.json()["code"], "not_found", "{}", missing.text());

    // Nobody approves their own; a word on something else than was shown counts for nothing.
    let ids = json!(id);
    for (token, body, code) in [
        (&bob, json!({}), "policy_denied"),
        (&mallory, json!({}), "policy_denied"),
        (&alice, json!({ "digest": "0".repeat(64) }), "approval_conflict"),
        (&alice, json!({ "digest": "0" }), "request_malformed"),
        (&alice, json!({ "consent": true }), "request_malformed"),
    ] {
        let answer = stand.word(token, &ids, "approve", body).await;
        assert_eq!(answer.json()["code"], code, "{}", answer.text());
    }
    let unreasoned = stand.word(&alice, &ids, "deny", json!({ "reason": " " })).await;
    assert_eq!(unreasoned.json()["code"], "request_malformed", "{}", unreasoned.text());
    assert!(stand.upstream.received().is_empty(), "nothing went out yet");

    let body = json!({ "reason": "agreed", "digest": approval["digest"] });
    let given = stand.word(&alice, &ids, "approve", body).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text());
    assert_eq!(asked.await.unwrap(), json!({ "said": "the quarter was good" }));
    assert_eq!(stand.upstream.received().len(), 1);
    let used = &stand.list(&alice, "?state=released").await[0];
    assert_eq!((&used["id"], &used["decisions"][0]["reason"]), (&ids, &json!("agreed")), "{used}");
    assert_eq!(used["decisions"][0]["via"], "api");
    let again = stand.word(&alice, &ids, "deny", json!({ "reason": "too late" })).await;
    assert_eq!(again.json()["code"], "approval_conflict", "{}", again.text());
    assert!(stand.list(&alice, "?resource=other").await.is_empty());

    // Who asks may take it back, and the client is told.
    let asked = stand.ask(&bob, "something else");
    let waiting = stand.waiting(&alice, 1).await;
    let taken = stand.word(&bob, &waiting[0]["id"], "deny", json!({ "reason": "a mistake" })).await;
    assert_eq!(taken.json()["state"], "denied", "{}", taken.text());
    let told = asked.await.unwrap();
    assert_eq!((&told["status"], &told["code"]), (&json!(403), &json!("approval_denied")), "{told}");
    assert!(told["message"].as_str().unwrap().contains("a mistake"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_cut_into_pages_that_miss_nothing() {
    let stand = stand(ADMINS_ADMINISTER).await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    let url = stand.gateway.url("/llama/v1/chat/completions");
    let mut asking = Vec::new();
    for number in 0..5 {
        let body = json!({ "model": "tiny-llama", "messages": [{ "role": "user", "content": format!("n {number}") }] });
        let (url, bob) = (url.clone(), bob.clone());
        asking.push(tokio::spawn(async move { e2e::client::post(&url, &bob, &body).await.status }));
    }
    let all: Vec<Value> =
        stand.waiting(&alice, 5).await.iter().map(|approval| approval["id"].clone()).collect();
    stand.word(&alice, &all[1], "deny", json!({ "reason": "no" })).await;
    stand.word(&alice, &all[3], "deny", json!({ "reason": "no" })).await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&stand.gateway, &format!("/approvals?limit=2{cursor}"), &alice).await.json();
        let approvals = page["approvals"].as_array().unwrap();
        assert!(approvals.len() <= 2);
        found.extend(approvals.iter().map(|approval| approval["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    // Open ones as they came, then the settled, the latest first.
    let wanted: Vec<Value> = [0, 2, 4, 3, 1].iter().map(|at| all[*at].clone()).collect();
    assert_eq!(found, wanted);
    for asked in asking {
        asked.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_shows_watches_and_decides() {
    let stand = stand("").await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    let run = |arguments: &[&str]| {
        let output = stand.command(&alice, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said + &String::from_utf8_lossy(&output.stderr))
    };
    assert_eq!(run(&["list"]), (Some(0), "nothing waits that you may see\n".to_owned()));
    let mut watch = Part::start("approvals watch", &mut stand.command(&alice, &["watch", "--json"]));
    let asked = stand.ask(&bob, "how was the quarter?\u{202e}\u{1b}[31m");
    let came = watch.ready().await;
    let id = came["id"].as_str().unwrap().to_owned();
    assert_eq!(came["state"], "waiting", "{came}");

    let (code, listed) = run(&["list"]);
    assert!(code == Some(0) && listed.contains(&id) && listed.contains("bob@example.test"), "{listed}");
    let (_, shown) = run(&["show", &id]);
    for line in [
        "because    Analysts may ask the model",
        "consents   0 of 1",
        "— user",
        "how was the quarter?⟨U+202E⟩⟨U+001B⟩[31m",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "nothing that a terminal obeys");
    let (code, said) = run(&["approve", &id, "--reason", "fine"]);
    assert!(code == Some(0) && said.starts_with("approved"), "{said}");
    assert_eq!(asked.await.unwrap()["said"], "the quarter was good");
    let mut states = vec![watch.ready().await["state"].clone()];
    while states.last() != Some(&json!("released")) {
        states.push(watch.ready().await["state"].clone());
    }
    let (code, said) = run(&["deny", &id, "--reason", "too late"]);
    assert!(code == Some(1) && said.contains("approved and used already"), "{code:?} {said}");
    let (code, released) = run(&["list", "--state", "released", "--json"]);
    let released: Value = serde_json::from_str(&released).unwrap();
    assert_eq!(
        (code, &released["approvals"][0]["decisions"][0]["via"]),
        (Some(0), &json!("cli")),
        "{released}"
    );
    let (code, missing) = run(&["show", "0190f000-0000-7000-8000-000000000000"]);
    assert!(code == Some(2) && missing.contains("not_found"), "{missing}");
}

/// A person at a terminal: Python's own, since a test has none.
const AT_A_TERMINAL: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
program, steps = json.loads(os.environ["PROGRAM"]), json.loads(os.environ["STEPS"])
pid, fd = pty.fork()
if pid == 0:
    os.execvpe(program[0], program, dict(os.environ, TERM="xterm"))
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
seen, shown, deadline = "", 0, time.time() + 60
def until(word):
    global seen
    while word not in seen[shown:]:
        if time.time() > deadline:
            sys.exit(f"never saw {word!r} in {seen[-3000:]!r}")
        ready, _, _ = select.select([fd], [], [], 0.2)
        if ready:
            try:
                seen += os.read(fd, 65536).decode("utf-8", "replace")
            except OSError:
                sys.exit(f"it ended before {word!r}: {seen[-3000:]!r}")
for wait, press in steps:
    until(wait)
    shown = len(seen)
    os.write(fd, press.encode())
while True:
    try:
        more = os.read(fd, 65536)
    except OSError:
        break
    if not more:
        break
    seen += more.decode("utf-8", "replace")
_, status = os.waitpid(pid, 0)
print(json.dumps({"seen": seen, "status": os.waitstatus_to_exitcode(status)}))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_decides_with_keys() {
    let stand = stand("").await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    let socket = format!("unix:{}", stand.gateway.file("admin.sock").display());
    let program = json!([portcullis(), "approvals", "watch", "--admin", socket]).to_string();
    let one = stand.ask(&bob, "the first");
    stand.waiting(&alice, 1).await;
    // Reads it whole, goes back, approves it with a reason; denies the next one.
    let steps = json!([
        ["for bob@example.test", "\r"],
        ["the first", "\u{1b}"],
        ["1 request waits", "a"],
        ["reason:", "fine\u{7f}e by me"],
        ["fine by me", "\r"],
        ["released", "x"],
        ["1 request waits", "d"],
        ["reason:", "not today\r"],
        ["denied", "q"],
    ]);
    let environment =
        [("PROGRAM", program), ("STEPS", steps.to_string()), ("PORTCULLIS_TOKEN", alice.clone())];
    let person = tokio::spawn(async move {
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        script::python(AT_A_TERMINAL, &environment).await
    });
    assert_eq!(one.await.unwrap()["said"], "the quarter was good");
    let two = stand.ask(&bob, "the second").await.unwrap();
    assert_eq!(two["code"], "approval_denied", "{two}");
    assert!(two["message"].as_str().unwrap().contains("not today"), "{two}");
    let person = person.await.unwrap();
    assert_eq!(person["status"], 0, "{person}");
    let seen = person["seen"].as_str().unwrap();
    assert!(seen.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "the terminal is as it was: {seen:?}");
    let settled = stand.list(&alice, "").await;
    assert_eq!(settled[1]["decisions"][0]["reason"], "fine by me", "{settled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_read_and_decided_on_a_phone() {
    let stand = stand("").await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    let prompt = format!(
        "Write to every customer who has not paid since March, among them ana.lima@example.com (card {}), \
         and say what they owe. Here is the list:\n{}",
        card(),
        "- a customer with a long name, 1,204.50 EUR, due on the first of the month\n".repeat(60)
    );
    let held = stand.ask(&bob, &prompt);
    let waits = stand.waiting(&alice, 1).await[0]["id"].clone();
    let denied = stand.ask(&bob, "<script>alert(1)</script> & take the weights out");
    let two = stand.waiting(&alice, 2).await;
    let denies = two.iter().map(|approval| &approval["id"]).find(|id| **id != waits).unwrap().clone();
    let embed = json!({ "model": "tiny-llama", "input": ["alpha", "beta"] });
    let (url, token) = (stand.gateway.url("/llama/v1/embeddings"), alice.clone());
    let own = tokio::spawn(async move { e2e::client::post(&url, &token, &embed).await.status });
    let own_id = loop {
        let open = stand.list(&alice, "?state=waiting").await;
        if let Some(own) = open.iter().find(|approval| approval["you"]["own"] == true) {
            break own["id"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let shots = require().root.join("target/approvals");
    std::fs::create_dir_all(&shots).unwrap();
    let page = |id: &Value| format!("/approvals/{}", id.as_str().unwrap());
    let seen = script::node_part(
        "approvals.mjs",
        &[
            ("ORIGIN", &stand.origin),
            ("WAITS", &page(&waits)),
            ("DENIES", &page(&denies)),
            ("OWN", &page(&own_id)),
            ("MISSING", "/approvals/0190f000-0000-7000-8000-000000000000"),
            ("SHOTS", shots.to_str().unwrap()),
        ],
    )
    .await;
    own.abort();

    // Through the sign-in, back to the page, and everything is on it.
    assert_eq!((text(&seen, "first"), text(&seen, "arrived")), ("/sign-in", page(&waits).as_str()));
    let waiting = text(&seen, "waiting");
    for shown in [
        "bob@example.test wants openai.chat",
        "tiny-llama of llama",
        "Analysts may ask the model when an administrator agrees.",
        "with-consent",
        "0 of 1 consents",
        "bob@example.test",
        "analysts",
        "You are an analyst.",
        "ana.lima@example.com",
        "[pii.credit-card]",
        "characters not shown",
        "the client waits now",
        "at most 400",
    ] {
        assert!(waiting.contains(shown), "{shown} is not on the page:\n{waiting}");
    }
    assert!(!waiting.contains(&card()), "{waiting}");
    assert_eq!((&seen["scripts"], &seen["unlabelled"]), (&json!(0), &json!(0)));
    assert_eq!(seen["complaints"], json!([]), "the browser complains");
    let inbox = text(&seen, "inbox");
    assert!(
        inbox.contains("Waiting for consent") && inbox.contains("bob@example.test wants openai.chat"),
        "{inbox}"
    );
    let own = text(&seen, "own");
    assert!(own.contains("You asked for this yourself") && own.contains("Take it back"), "{own}");
    assert!(!own.contains("Why it is all right"), "{own}");
    assert_eq!(seen["missing"], 404);

    // What others try.
    assert_eq!((&seen["forged"], &seen["guessed"]), (&json!(400), &json!(400)));
    assert_eq!((&seen["blind"], &seen["other"]), (&json!(400), &json!(409)));
    assert!(!text(&seen, "stranger").contains("bob@"), "{seen}");
    assert_eq!(seen["strangerStatus"], json!([403, 403]));
    assert!(text(&seen, "strangerInbox").contains("Nothing waits for you"), "{seen}");

    // Decided, and told.
    assert_eq!(text(&seen, "stillThere"), page(&denies));
    let told = denied.await.unwrap();
    assert_eq!(told["code"], "approval_denied", "{told}");
    assert!(told["message"].as_str().unwrap().contains("Not before the review <b>is</b> signed."), "{told}");
    assert!(text(&seen, "denied").contains("<script>alert(1)</script>"), "as text");
    assert_eq!(held.await.unwrap()["said"], "the quarter was good");
    assert_eq!(text(&seen, "approvedAt"), page(&waits));
    let approved = text(&seen, "approved");
    for shown in ["approved and used", "Agreed with the data owner.", "on this page", "Alice"] {
        assert!(approved.contains(shown), "{shown} is not on the page:\n{approved}");
    }
    assert_eq!(seen["again"], 409);
    assert!(text(&seen, "settled").contains("approved and used"), "{seen}");

    // All of it is in the record.
    let names: Vec<String> =
        stand.gateway.exchanges().iter().map(|exchange| exchange.0["operations"].to_string()).collect();
    for name in ["console.approval", "console.approvals", "console.approve", "console.deny"] {
        assert!(names.iter().any(|operations| operations.contains(name)), "{name} in {names:?}");
    }
}
