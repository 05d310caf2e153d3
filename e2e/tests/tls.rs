//! Callers come in over TLS: with the gateway's own authority, and with certificate files that change.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::script;
use e2e::upstream::{FakeUpstream, Reply};
use serde_json::{Value, json};

async fn upstream() -> FakeUpstream {
    FakeUpstream::start(|_| {
        Reply::json(&json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": "tiny-llama",
            "choices": [{ "index": 0, "finish_reason": "stop",
                          "message": { "role": "assistant", "content": "over TLS" } }],
        }))
    })
    .await
}

const PYTHON: &str = r#"
import json, os, openai
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["TOKEN"], max_retries=0)
try:
    answer = client.chat.completions.create(model="tiny-llama", messages=[{"role": "user", "content": "hello"}])
    print(json.dumps({"said": answer.choices[0].message.content}))
except openai.APIConnectionError as error:
    print(json.dumps({"refused": repr(error.__cause__)}))
"#;

const NODE: &str = r#"
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.TOKEN, maxRetries: 0 });
const answer = await client.chat.completions.create(
  { model: 'tiny-llama', messages: [{ role: 'user', content: 'hello' }] });
console.log(JSON.stringify({ said: answer.choices[0].message.content }));
"#;

#[tokio::test]
async fn unmodified_sdks_trust_the_local_authority_by_its_variable_alone() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).secured(json!("local")).start().await;
    let authority = gateway.file("tls/ca.pem").display().to_string();
    let log = gateway.log();
    for variable in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"] {
        assert!(log.contains(&format!("{variable}={authority}")), "{variable} is not told: {log}");
    }
    let (base, token) = (gateway.base("llama"), provider.login("alice").await);
    let usual = [("BASE", base.as_str()), ("TOKEN", token.as_str())];
    let told = script::python(PYTHON, &usual).await;
    assert!(told["refused"].as_str().unwrap_or_default().contains("CERTIFICATE_VERIFY_FAILED"), "{told}");
    let trusting = |variable| [usual[0], usual[1], (variable, authority.as_str())];
    assert_eq!(script::python(PYTHON, &trusting("SSL_CERT_FILE")).await["said"], "over TLS");
    assert_eq!(script::node(NODE, &trusting("NODE_EXTRA_CA_CERTS")).await["said"], "over TLS");
    gateway.sealed(2).await;
}

/// Writes a certificate of its own for 127.0.0.1, with its key, under this name.
fn certify(folder: &Path, name: &str) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1"])
        .arg("-keyout")
        .arg(folder.join(format!("{name}-key.pem")))
        .arg("-out")
        .arg(folder.join(format!("{name}.pem")))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The common name that the gateway shows, by a plain handshake.
async fn shown(address: &str) -> Value {
    let program = r#"
import json, os, ssl, subprocess
host, port = os.environ["ADDRESS"].split(":")
shown = ssl.get_server_certificate((host, int(port)))
name = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=shown, capture_output=True, text=True)
print(json.dumps({"name": name.stdout.strip()}))
"#;
    script::python(program, &[("ADDRESS", address)]).await["name"].clone()
}

#[tokio::test]
async fn changed_certificate_files_are_taken_up_and_bad_ones_are_not() {
    let made = tempfile::tempdir().unwrap();
    for name in ["first", "second"] {
        certify(made.path(), name);
    }
    let text = |name: &str| fs::read_to_string(made.path().join(name)).unwrap();
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url())
        .file("cert.pem", &text("first.pem"))
        .file("key.pem", &text("first-key.pem"))
        .secured(json!({ "certificate": "cert.pem", "key": "key.pem" }))
        .start()
        .await;
    let address = gateway.address.to_string();
    assert!(shown(&address).await.as_str().unwrap().ends_with("first"));

    // A certificate that its key does not fit: as when only one of two files was copied yet.
    fs::write(gateway.file("cert.pem"), text("second.pem")).unwrap();
    gateway.eventually(|| gateway.log().contains("kept the certificate").then_some(())).await;
    assert!(shown(&address).await.as_str().unwrap().ends_with("first"));

    fs::write(gateway.file("key.pem"), text("second-key.pem")).unwrap();
    gateway.eventually(|| gateway.log().contains("the certificate was renewed").then_some(())).await;
    assert!(shown(&address).await.as_str().unwrap().ends_with("second"));
}
