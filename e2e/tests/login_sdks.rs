//! Unmodified SDKs stay logged in: they ask the command line for a token, again and again, while tokens
//! end under them.

use e2e::client;
use e2e::gateway::Gateway;
use e2e::llama::LlamaServer;
use e2e::person::{Person, login_settings};
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::script;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Tokens live so long that a run sees several, and some end between two calls.
const LIFE: u32 = 4;
/// How many tokens a run must have been served with.
const TOKENS: u64 = 3;

struct World {
    provider: Provider,
    _llama: LlamaServer,
    gateway: Gateway,
    person: Person,
}

impl World {
    async fn start() -> Self {
        let (provider, llama) = tokio::join!(Provider::start(), LlamaServer::start());
        let plan = Plan::usual(&provider, &llama)
            .with(json!({ "issuers": { "panva": { "login": login_settings(), "skew": "0s" } } }));
        let gateway = plan.start().await;
        provider.access_lives(LIFE).await;
        let person = Person::default();
        person.log_in(&gateway, &provider, "alice").await;
        Self { provider, _llama: llama, gateway, person }
    }

    fn environment(&self, base: String) -> Vec<(&'static str, String)> {
        let mut environment = self.person.environment();
        environment.push(("BASE", base));
        environment.push(("TOKENS", TOKENS.to_string()));
        environment
    }

    async fn python(&self, base: String, program: &str) -> Value {
        let environment = self.environment(base);
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        script::python(program, &environment).await
    }

    /// Every call went through, none with a token that had ended, and the login was refreshed on the way.
    async fn check(&self, told: &Value) {
        assert!(told["tokens"].as_u64().unwrap() >= TOKENS, "{told}");
        let calls = usize::try_from(told["calls"].as_u64().unwrap()).unwrap();
        let exchanges = self.gateway.exchanges();
        let asked: Vec<_> = exchanges.iter().filter(|exchange| exchange.0["resource"] == "llama").collect();
        assert_eq!(asked.len(), calls, "none was tried again");
        // An SDK may leave right behind `[DONE]`: what counts is that none was refused.
        let refused: Vec<_> = asked.iter().filter(|exchange| exchange.code().is_some()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        assert!(self.provider.count("refresh_token").await >= TOKENS - 1);
    }
}

/// The example in docs/login.md whose fence says this, with the gateway it names in its place.
fn documented(fence: &str, gateway: &Gateway) -> String {
    let page = e2e::parts::require().root.join("docs/login.md");
    let text = std::fs::read_to_string(page).unwrap();
    let fence = format!("```{fence}\n");
    let block = text.split(&fence).nth(1).unwrap_or_else(|| panic!("docs/login.md has no block {fence}"));
    let block = block.split("```").next().unwrap();
    assert!(block.contains("https://gateway.example.test/llama"), "{block}");
    block.replace("https://gateway.example.test", &gateway.url(""))
}

#[tokio::test]
async fn openai_for_python_by_a_callable_key() {
    let world = World::start().await;
    let program = r#"
import json, os
ask = dict(model="tiny-llama", max_tokens=4, messages=[{"role": "user", "content": "hello"}])
seen, calls = set(), 0
while len(seen) < int(os.environ["TOKENS"]):
    if calls % 2:
        for chunk in client.chat.completions.create(**ask, stream=True):
            pass
    else:
        client.chat.completions.create(**ask)
    calls += 1
    seen.add(token())
print(json.dumps({"tokens": len(seen), "calls": calls}))
"#;
    let example = documented("python openai", &world.gateway);
    let told = world.python(world.gateway.base("llama"), &format!("{example}{program}")).await;
    world.check(&told).await;
}

#[tokio::test]
async fn openai_for_node_by_a_callable_key() {
    let world = World::start().await;
    let program = r#"
const ask = { model: 'tiny-llama', max_tokens: 4, messages: [{ role: 'user', content: 'hello' }] };
const seen = new Set();
let calls = 0;
while (seen.size < Number(process.env.TOKENS)) {
  if (calls % 2) for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) void chunk;
  else await client.chat.completions.create(ask);
  calls += 1;
  seen.add(await token());
}
console.log(JSON.stringify({ tokens: seen.size, calls }));
"#;
    let example = documented("js openai", &world.gateway);
    let environment = world.environment(world.gateway.base("llama"));
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let told = script::node(&format!("{example}{program}"), &environment).await;
    world.check(&told).await;
}

#[tokio::test]
async fn anthropic_for_python_by_its_credentials() {
    let world = World::start().await;
    let program = r#"
import json, os
ask = dict(model="tiny-llama", max_tokens=4, messages=[{"role": "user", "content": "hello"}])
seen, calls = set(), 0
while len(seen) < int(os.environ["TOKENS"]):
    if calls % 2:
        with client.messages.stream(**ask) as stream:
            stream.get_final_message()
    else:
        client.messages.create(**ask)
    calls += 1
    seen.add(token())
print(json.dumps({"tokens": len(seen), "calls": calls}))
"#;
    let example = documented("python anthropic", &world.gateway);
    let told = world.python(world.gateway.url("/llama"), &format!("{example}{program}")).await;
    world.check(&told).await;
}

#[tokio::test]
async fn a_coding_agents_key_helper_is_the_command_itself() {
    let world = World::start().await;
    let settings: Value = serde_json::from_str(&documented("json agent", &world.gateway)).unwrap();
    // As the agents run it: a line for the shell, whose output goes into both headers.
    let mut helper = std::process::Command::new("/bin/sh");
    helper.args(["-c", settings["apiKeyHelper"].as_str().unwrap()]).envs(world.person.environment());
    let output = helper.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();
    let token = token.strip_suffix('\n').expect("one line");
    assert!(!token.contains(char::is_whitespace));
    let body =
        json!({ "model": "tiny-llama", "max_tokens": 4, "messages": [{ "role": "user", "content": "hi" }] });
    let url = format!("{}/v1/messages", settings["env"]["ANTHROPIC_BASE_URL"].as_str().unwrap());
    let mut request = client::request(Method::POST, &url, Some(token), Some(&body));
    request.headers_mut().insert("x-api-key", token.parse().unwrap());
    request.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
    let answer = client::try_send(request).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let told = world.person.json(&["token", "--json"]);
    assert!(told["expires_at"].as_i64().is_some() && told["token"].as_str().is_some());
}

#[tokio::test]
async fn a_tool_that_knows_nothing_of_this_stays_logged_in_by_the_proxy() {
    let world = World::start().await;
    let program = r#"
import json, openai, anthropic
client, other = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0)
ask = dict(model="tiny-llama", max_tokens=4, messages=[{"role": "user", "content": "hello"}])
import os, subprocess
seen, calls = set(), 0
while len(seen) < int(os.environ["TOKENS"]):
    text = "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(**ask, stream=True) if c.choices)
    other.messages.create(**ask)
    calls += 2
    seen.add(subprocess.run(["portcullis", "token"], check=True, capture_output=True, text=True).stdout)
print(json.dumps({"tokens": len(seen), "calls": calls, "key": os.environ["OPENAI_API_KEY"], "text": text}))
"#;
    let file = world.person.home().join("tool.py");
    std::fs::write(&file, program).unwrap();
    let python = e2e::parts::require().python().display().to_string();
    let arguments = ["proxy", "--resource", "llama", "--", &python, file.to_str().unwrap()];
    let mut command = tokio::process::Command::from(world.person.command(&arguments));
    command.env("TOKENS", TOKENS.to_string()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{complaint}"));
    assert!(!told["text"].as_str().unwrap().is_empty());
    world.check(&told).await;
    // The key is the proxy's alone: neither the gateway nor the ledger ever saw it.
    let key = told["key"].as_str().unwrap();
    let bytes = world.gateway.ledger_bytes();
    assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
}
