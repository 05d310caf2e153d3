//! OpenAI's SDK for Python, as its users write it: only the base URL and the key are ours.

use e2e::gateway::Gateway;
use e2e::llama::LlamaServer;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::script;
use e2e::upstream::{FakeUpstream, Reply};
use serde_json::{Value, json};

const BEGIN: &str = r#"
import json, os, openai
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["TOKEN"], max_retries=0)
hello = [{"role": "user", "content": "hello"}]
def refused(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"raised": type(error).__name__, "status": error.status_code, "code": error.code, "message": error.message}
    return {"raised": None}
"#;

async fn python(gateway: &Gateway, token: &str, program: &str) -> Value {
    let base = gateway.base("llama");
    script::python(&format!("{BEGIN}{program}"), &[("BASE", &base), ("TOKEN", token)]).await
}

async fn real() -> (Provider, LlamaServer) {
    tokio::join!(Provider::start(), LlamaServer::start())
}

#[tokio::test]
async fn chat_whole_and_streamed() {
    let (provider, llama) = real().await;
    let gateway = Plan::usual(&provider, &llama).start().await;
    let told = python(
        &gateway,
        &provider.login("alice").await,
        r#"
whole = client.chat.completions.create(model="tiny-llama", messages=hello, max_tokens=8)
stream = client.chat.completions.create(model="tiny-llama", messages=hello, max_tokens=8, stream=True, stream_options={"include_usage": True})
chunks = list(stream)
print(json.dumps({
    "whole": whole.choices[0].message.content, "used": whole.usage.completion_tokens,
    "chunks": len(chunks), "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
    "finish": [c.choices[0].finish_reason for c in chunks if c.choices][-1],
    "stream_used": [c.usage.completion_tokens for c in chunks if c.usage],
}))
"#,
    )
    .await;
    assert_eq!(told["used"], 8, "{told}");
    assert_eq!(told["finish"], "length", "{told}");
    assert_eq!(told["stream_used"], json!([8]), "{told}");
    assert!(told["chunks"].as_u64().unwrap() > 2, "{told}");
    assert!(
        !told["whole"].as_str().unwrap().is_empty() && !told["streamed"].as_str().unwrap().is_empty(),
        "{told}"
    );
    let exchanges = gateway.sealed(2).await;
    assert!(exchanges.iter().all(|exchange| exchange.outcome() == Some("completed")), "{exchanges:?}");
}

#[tokio::test]
async fn responses() {
    let (provider, llama) = real().await;
    let gateway = Plan::usual(&provider, &llama).start().await;
    let told = python(
        &gateway,
        &provider.login("alice").await,
        r#"
whole = client.responses.create(model="tiny-llama", input="hello", max_output_tokens=8)
kinds, text = [], ""
for event in client.responses.create(model="tiny-llama", input="hello", max_output_tokens=8, stream=True):
    kinds.append(event.type)
    if event.type == "response.output_text.delta":
        text += event.delta
print(json.dumps({"whole": whole.output_text, "streamed": text, "last": kinds[-1]}))
"#,
    )
    .await;
    assert!(
        !told["whole"].as_str().unwrap().is_empty() && !told["streamed"].as_str().unwrap().is_empty(),
        "{told}"
    );
    assert!(told["last"].as_str().unwrap().starts_with("response."), "{told}");
    assert_eq!(gateway.sealed(2).await[1].outcome(), Some("completed"));
}

#[tokio::test]
async fn embeddings_pass_byte_for_byte_to_those_who_may_see_them() {
    let (provider, llama) = real().await;
    let plan = Plan::usual(&provider, &llama).policy(
        "vectors.cedar",
        r#"permit(principal in Group::"ml-engineers", action == Action::"reveal", resource in DataClass::"opaque");"#,
    );
    let gateway = plan.start().await;
    // The SDK asks for base64 unless told otherwise, and decodes it.
    let program = r#"print(json.dumps(client.embeddings.create(model="tiny-llama", input="hello world").data[0].embedding))"#;
    let through = python(&gateway, &provider.login("alice").await, program).await;
    let direct = format!("{}/v1", llama.url);
    let direct =
        script::python(&format!("{BEGIN}{program}"), &[("BASE", &direct), ("TOKEN", &llama.key)]).await;
    assert_eq!(through.as_array().unwrap().len(), 64);
    assert_eq!(through, direct);
}

#[tokio::test]
async fn a_list_shows_only_what_the_caller_may_use() {
    let (provider, llama) = real().await;
    let gateway = Plan::usual(&provider, &llama)
        .policy(
            "look.cedar",
            r#"permit(principal, action == Action::"inspect", resource in Resource::"llama");"#,
        )
        .start()
        .await;
    let program = r#"print(json.dumps([model.id for model in client.models.list()]))"#;
    assert_eq!(python(&gateway, &provider.login("alice").await, program).await, json!(["tiny-llama"]));
    assert_eq!(python(&gateway, &provider.login("bob").await, program).await, json!([]));
}

#[tokio::test]
async fn a_model_that_policy_denies_raises_the_sdks_own_error() {
    let provider = Provider::start().await;
    let upstream = FakeUpstream::start(|_| Reply::json(&json!({}))).await;
    let policy = r#"permit(principal, action == Action::"infer", resource == Model::"llama/tiny-llama");"#;
    let gateway = Plan::before(&provider, &upstream.url()).policy("engineers.cedar", policy).start().await;
    let told = python(
        &gateway,
        &provider.login("alice").await,
        r#"print(json.dumps(refused(lambda: client.chat.completions.create(model="another-model", messages=hello, max_tokens=8))))"#,
    )
    .await;
    assert_eq!(told["raised"], "PermissionDeniedError", "{told}");
    assert_eq!((&told["status"], &told["code"]), (&json!(403), &json!("policy_denied")), "{told}");
    let exchange = &gateway.sealed(1).await[0];
    assert!(told["message"].as_str().unwrap().contains(exchange.id()), "{told}");
    assert_eq!((exchange.outcome(), exchange.code()), (Some("refused"), Some("policy_denied")));
    assert!(upstream.received().is_empty(), "a refused request reached the upstream");
}

#[tokio::test]
async fn a_batch_over_the_limit_is_denied_however_it_is_written() {
    let provider = Provider::start().await;
    let embedding = json!({ "object": "list", "model": "tiny-llama", "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }], "usage": { "prompt_tokens": 1, "total_tokens": 1 } });
    let upstream = FakeUpstream::start(move |_| Reply::json(&embedding)).await;
    let gateway = Plan::before(&provider, &upstream.url())
        .policy("bulk.cedar", r#"@id("no-bulk") forbid(principal, action in Action::"operation", resource) when { context.batch > 4 };"#)
        .start()
        .await;
    let told = python(
        &gateway,
        &provider.login("alice").await,
        r#"
ask = lambda **more: client.chat.completions.create(model="tiny-llama", messages=hello, max_tokens=8, **more)
embed = lambda count: client.embeddings.create(model="tiny-llama", input=["word"] * count, encoding_format="float")
print(json.dumps({
    "four": refused(lambda: embed(4)), "five": refused(lambda: embed(5)), "answers": refused(lambda: ask(n=5)),
    "prompts": refused(lambda: client.completions.create(model="tiny-llama", prompt=["a", "b", "c"], n=2, max_tokens=4)),
}))
"#,
    )
    .await;
    assert_eq!(told["four"]["raised"], json!(null), "{told}");
    for which in ["five", "answers", "prompts"] {
        assert_eq!(told[which]["code"], "policy_denied", "{which}: {told}");
    }
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn loading_and_unloading_is_not_for_those_who_may_infer() {
    let provider = Provider::start().await;
    let upstream = FakeUpstream::start(|_| Reply::json(&json!({ "success": true }))).await;
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let told = python(
        &gateway,
        &provider.login("alice").await,
        r#"
root = client.with_options(base_url=os.environ["BASE"].removesuffix("/v1"))
model = {"model": "tiny-llama"}
print(json.dumps([refused(lambda path=path: root.post(path, body=model, cast_to=object)) for path in ("/models/load", "/models/unload", "/props", "/slots/0?action=erase")]))
"#,
    )
    .await;
    for refusal in told.as_array().unwrap() {
        assert_eq!((&refusal["status"], &refusal["code"]), (&json!(403), &json!("policy_denied")), "{told}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

#[tokio::test]
async fn a_stream_that_breaks_off_raises_and_is_no_short_answer() {
    use e2e::upstream::Step;
    let provider = Provider::start().await;
    let event = format!("data: {}\n\n", e2e::upstream::chat_delta("half of "));
    let upstream = FakeUpstream::start(move |_| {
        Reply::of_type("text/event-stream").send(event.clone()).then(Step::Abort)
    })
    .await;
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let told = python(
        &gateway,
        &provider.login("alice").await,
        r#"
text, raised = "", None
try:
    for chunk in client.chat.completions.create(model="tiny-llama", messages=hello, max_tokens=8, stream=True):
        text += chunk.choices[0].delta.content or ""
except Exception as error:
    raised = type(error).__name__
print(json.dumps({"text": text, "raised": raised}))
"#,
    )
    .await;
    assert!(told["raised"].is_string(), "{told}");
    assert_eq!(gateway.sealed(1).await[0].outcome(), Some("upstream-lost"));
}
