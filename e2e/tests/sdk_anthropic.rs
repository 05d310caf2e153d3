//! Anthropic's SDK for Python against the same model server: the token goes where its key goes.

use e2e::llama::LlamaServer;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::script;

const BEGIN: &str = r#"
import json, os, anthropic
client = anthropic.Anthropic(base_url=os.environ["BASE"], api_key=os.environ["TOKEN"], max_retries=0)
ask = dict(model="tiny-llama", max_tokens=8, messages=[{"role": "user", "content": "hello"}])
"#;

#[tokio::test]
async fn messages_whole_and_streamed() {
    let (provider, llama) = tokio::join!(Provider::start(), LlamaServer::start());
    let gateway = Plan::usual(&provider, &llama).start().await;
    let program = r#"
whole = client.messages.create(**ask)
with client.messages.stream(**ask) as stream:
    text = "".join(stream.text_stream)
    last = stream.get_final_message()
print(json.dumps({"whole": whole.content[0].text, "used": whole.usage.output_tokens, "streamed": text, "stop": last.stop_reason}))
"#;
    let environment = [("BASE", gateway.url("/llama")), ("TOKEN", provider.login("alice").await)];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let told = script::python(&format!("{BEGIN}{program}"), &environment).await;
    assert_eq!(told["used"], 8, "{told}");
    assert_eq!(told["stop"], "max_tokens", "{told}");
    assert!(
        !told["whole"].as_str().unwrap().is_empty() && !told["streamed"].as_str().unwrap().is_empty(),
        "{told}"
    );
    let exchanges = gateway.sealed(2).await;
    assert!(exchanges.iter().all(|exchange| exchange.outcome() == Some("completed")), "{exchanges:?}");
}

#[tokio::test]
async fn a_refusal_raises_the_sdks_own_error() {
    let (provider, llama) = tokio::join!(Provider::start(), LlamaServer::start());
    let gateway = Plan::usual(&provider, &llama).start().await;
    let program = r#"
try:
    client.messages.create(**ask)
    print(json.dumps({"raised": None}))
except anthropic.APIStatusError as error:
    print(json.dumps({"raised": type(error).__name__, "kind": error.body["error"]["type"], "id": error.request_id}))
"#;
    let environment = [("BASE", gateway.url("/llama")), ("TOKEN", provider.login("mallory").await)];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let told = script::python(&format!("{BEGIN}{program}"), &environment).await;
    assert_eq!(told["raised"], "PermissionDeniedError", "{told}");
    assert_eq!(told["kind"], "permission_error", "{told}");
    assert_eq!(told["id"].as_str(), Some(gateway.sealed(1).await[0].id()), "{told}");
}
