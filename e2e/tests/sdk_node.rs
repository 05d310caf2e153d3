//! OpenAI's SDK for Node, unmodified.

use e2e::gateway::Gateway;
use e2e::llama::LlamaServer;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::script;
use serde_json::Value;

const BEGIN: &str = r#"
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.TOKEN, maxRetries: 0 });
const ask = { model: 'tiny-llama', max_tokens: 8, messages: [{ role: 'user', content: 'hello' }] };
"#;

async fn node(gateway: &Gateway, token: &str, program: &str) -> Value {
    let base = gateway.base("llama");
    script::node(&format!("{BEGIN}{program}"), &[("BASE", &base), ("TOKEN", token)]).await
}

#[tokio::test]
async fn chat_streams_and_a_refusal_raises() {
    let (provider, llama) = tokio::join!(Provider::start(), LlamaServer::start());
    let gateway = Plan::usual(&provider, &llama).start().await;
    let told = node(
        &gateway,
        &provider.login("alice").await,
        r#"
const whole = await client.chat.completions.create(ask);
let streamed = '', chunks = 0, finish;
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
  chunks += 1;
  streamed += chunk.choices[0]?.delta?.content ?? '';
  finish = chunk.choices[0]?.finish_reason ?? finish;
}
console.log(JSON.stringify({ whole: whole.choices[0].message.content, streamed, chunks, finish }));
"#,
    )
    .await;
    assert_eq!(told["finish"], "length", "{told}");
    assert!(told["chunks"].as_u64().unwrap() > 2, "{told}");
    assert!(
        !told["whole"].as_str().unwrap().is_empty() && !told["streamed"].as_str().unwrap().is_empty(),
        "{told}"
    );

    let told = node(
        &gateway,
        &provider.login("mallory").await,
        r#"
try {
  await client.chat.completions.create(ask);
  console.log(JSON.stringify({ raised: null }));
} catch (error) {
  console.log(JSON.stringify({ raised: error.constructor.name, status: error.status, code: error.code, id: error.requestID }));
}
"#,
    )
    .await;
    assert_eq!(told["raised"], "PermissionDeniedError", "{told}");
    assert_eq!(told["code"], "policy_denied", "{told}");
    assert_eq!(told["id"].as_str(), Some(gateway.sealed(3).await[2].id()), "{told}");
}
