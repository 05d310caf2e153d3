//! Requests that wait for consent, made by the real SDKs, unmodified: they are held, approved, denied, told to
//! come again, and come again by themselves.

use std::time::Duration;

use e2e::approvals::{SAID, Stand};
use e2e::script;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const PYTHON: &str = r#"
import json, os, openai
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["TOKEN"])
ask = dict(model="tiny-llama", max_tokens=8, messages=[{"role": "user", "content": os.environ["PROMPT"]}])
said = ""
try:
    if os.environ["STREAM"]:
        for chunk in client.chat.completions.create(stream=True, **ask):
            said += chunk.choices[0].delta.content or "" if chunk.choices else ""
    else:
        said = client.chat.completions.create(**ask).choices[0].message.content
    print(json.dumps({"said": said}))
except openai.APIError as error:
    status = getattr(error, "status_code", None)
    print(json.dumps({"raised": type(error).__name__, "status": status, "code": error.code, "message": error.message, "said": said}))
"#;

const NODE: &str = r#"
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.TOKEN });
const ask = { model: 'tiny-llama', max_tokens: 8, messages: [{ role: 'user', content: process.env.PROMPT }] };
let said = '';
try {
  if (process.env.STREAM) {
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) said += chunk.choices[0]?.delta?.content ?? '';
  } else {
    said = (await client.chat.completions.create(ask)).choices[0].message.content;
  }
  console.log(JSON.stringify({ said }));
} catch (error) {
  console.log(JSON.stringify({ raised: error.constructor.name, status: error.status ?? null, code: error.code, message: error.message, said }));
}
"#;

const ANTHROPIC: &str = r#"
import json, os, anthropic
client = anthropic.Anthropic(base_url=os.environ["BASE"].removesuffix("/v1"), api_key=os.environ["TOKEN"])
ask = dict(model="tiny-llama", max_tokens=8, messages=[{"role": "user", "content": os.environ["PROMPT"]}])
try:
    print(json.dumps({"said": client.messages.create(**ask).content[0].text}))
except anthropic.APIError as error:
    print(json.dumps({"raised": type(error).__name__, "status": getattr(error, "status_code", None), "message": error.message}))
"#;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sdk {
    Python,
    Node,
    Anthropic,
}

/// The SDK asks, and waits as it does by itself.
fn run(stand: &Stand, sdk: Sdk, token: &str, prompt: &str, stream: bool) -> JoinHandle<Value> {
    let (base, token, prompt) = (stand.gateway.base("llama"), token.to_owned(), prompt.to_owned());
    tokio::spawn(async move {
        let stream = if stream { "1" } else { "" };
        let environment = [("BASE", &*base), ("TOKEN", &*token), ("PROMPT", &*prompt), ("STREAM", stream)];
        match sdk {
            Sdk::Python => script::python(PYTHON, &environment).await,
            Sdk::Node => script::node(NODE, &environment).await,
            Sdk::Anthropic => script::python(ANTHROPIC, &environment).await,
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_approved_goes_on_its_way() {
    let stand = Stand::start(json!({}), json!({})).await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    let kinds = [
        (Sdk::Python, false),
        (Sdk::Python, true),
        (Sdk::Node, false),
        (Sdk::Node, true),
        (Sdk::Anthropic, false),
    ];
    for (count, (sdk, stream)) in kinds.into_iter().enumerate() {
        let asked = run(&stand, sdk, &bob, &format!("{sdk:?} {stream}"), stream);
        let waiting = stand.waiting(&alice, 1).await;
        assert_eq!(stand.reached(), count, "nothing reached the model before");
        stand.says(&alice, &waiting[0], "approve", "for the report").await;
        let told = asked.await.unwrap();
        assert_eq!(told["said"], SAID, "{sdk:?} {stream}: {told}");
        assert_eq!(stand.reached(), count + 1);
    }
    let exchanges = stand.gateway.exchanges();
    let done = exchanges.iter().filter(|exchange| exchange.outcome() == Some("completed"));
    assert!(done.count() >= kinds.len());
    let ledger = String::from_utf8_lossy(&stand.gateway.ledger_bytes()).into_owned();
    for word in ["asked", "consented", "released", "for the report"] {
        assert!(ledger.contains(word), "the ledger tells of `{word}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_raises_with_its_reason_and_is_final() {
    let stand = Stand::start(json!({}), json!({})).await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    for (sdk, stream) in [(Sdk::Python, false), (Sdk::Node, false), (Sdk::Python, true), (Sdk::Node, true)] {
        let prompt = format!("{sdk:?} {stream}");
        let asked = run(&stand, sdk, &bob, &prompt, stream);
        let waiting = stand.waiting(&alice, 1).await;
        stand.says(&alice, &waiting[0], "deny", "not with customers' data").await;
        let told = asked.await.unwrap();
        assert!(told["message"].as_str().unwrap().contains("not with customers' data"), "{told}");
        assert_eq!(told["code"], "approval_denied", "{told}");
        assert_eq!(told["said"], "", "{told}");
        if !stream {
            assert_eq!(told["raised"], "PermissionDeniedError", "{told}");
        }
        assert!(stand.approvals(&alice, "waiting").await.is_empty(), "no SDK came again by itself");
        // Who asks again is told the same at once.
        let again = run(&stand, sdk, &bob, &prompt, stream).await.unwrap();
        assert_eq!(again["code"], "approval_denied", "{again}");
    }
    assert_eq!(stand.reached(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_come_again_comes_again_and_finds_the_approval() {
    let stand = Stand::start(json!({ "hold": "1s" }), json!({})).await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    for (count, sdk) in [Sdk::Python, Sdk::Node, Sdk::Anthropic].into_iter().enumerate() {
        let before = stand.gateway.exchanges().len();
        let asked = run(&stand, sdk, &bob, &format!("{sdk:?}"), false);
        let waiting = stand.waiting(&alice, 1).await;
        let pending = || {
            let exchanges = stand.gateway.exchanges();
            exchanges.iter().skip(before).any(|one| one.code() == Some("approval_pending")).then_some(())
        };
        stand.gateway.eventually(pending).await;
        stand.says(&alice, &waiting[0], "approve", "").await;
        let told = asked.await.unwrap();
        assert_eq!(told["said"], SAID, "{sdk:?}: {told}");
        assert_eq!(stand.reached(), count + 1);
    }
    let released = stand.approvals(&alice, "released").await;
    assert_eq!(released.len(), 3, "one approval each, whatever the tries: {released:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_approves_raises_in_the_end() {
    let stand = Stand::start(json!({ "hold": "500ms" }), json!({ "approvals": { "expires": "4s" } })).await;
    let bob = stand.provider.login("bob").await;
    // Three tries of half a second each, then the last 409.
    let told = run(&stand, Sdk::Python, &bob, "nobody", false).await.unwrap();
    assert_eq!(
        (&told["raised"], &told["code"]),
        (&json!("ConflictError"), &json!("approval_pending")),
        "{told}"
    );
    // A stream waits until the approval ends, and is cut with the SDK's error.
    let started = std::time::Instant::now();
    let told = run(&stand, Sdk::Node, &bob, "a stream", true).await.unwrap();
    assert_eq!((&told["code"], &told["said"]), (&json!("approval_expired"), &json!("")), "{told}");
    assert!(started.elapsed() >= Duration::from_secs(3), "it waited");
    assert_eq!(stand.reached(), 0);
}
