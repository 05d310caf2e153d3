//! For each check of a token: one that fails it gets a 401 that tells a stranger nothing, and the
//! operator's `token inspect` names that check.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::ask::{chat, code};
use e2e::plan::{ENGINEERS_MAY_USE, Plan, model_at};
use e2e::upstream::{FakeUpstream, Reply};
use http::StatusCode;
use serde_json::{Value, json};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer of one key.
struct Issuer {
    key: Ed25519KeyPair,
    url: String,
}

impl Issuer {
    fn claims(&self) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.url, "aud": "portcullis", "sub": "alice", "iat": now, "exp": now + 300,
            "groups": ["ml-engineers"],
        })
    }

    /// A token of these claims with something changed in them and in the header.
    fn token(&self, header: Value, claims: Value) -> String {
        let mut all = [json!({ "alg": "EdDSA", "kid": "k", "typ": "at+jwt" }), self.claims()];
        for (all, change) in all.iter_mut().zip([header, claims]) {
            for (name, value) in change.as_object().into_iter().flatten() {
                match value {
                    Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                    value => all[name] = value.clone(),
                }
            }
        }
        let [header, claims] = all;
        self.signed(&header.to_string(), &claims.to_string())
    }

    fn signed(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// Every check that a token alone can fail, with tokens that do.
    fn defects(&self) -> Vec<(&'static str, String)> {
        let now = jiff::Timestamp::now().as_second();
        let none = || json!({});
        let good = self.token(none(), none());
        let (message, signature) = good.rsplit_once('.').unwrap();
        let claims = self.claims().to_string();
        let twice = format!("{},\"sub\":\"root\"}}", claims.strip_suffix('}').unwrap());
        let another = Ed25519KeyPair::generate().unwrap();
        vec![
            ("size", self.token(json!({ "x": "x".repeat(17_000) }), none())),
            ("structure", "an-opaque-token".to_owned()),
            ("structure", format!("{message}.{signature}=")),
            ("header", self.signed("[]", &claims)),
            ("critical", self.token(json!({ "crit": ["exp"] }), none())),
            ("claims", self.signed(r#"{"alg":"EdDSA","kid":"k"}"#, &twice)),
            ("issuer", self.token(none(), json!({ "iss": "https://evil.example.test" }))),
            ("type", self.token(json!({ "typ": "logout+jwt" }), none())),
            ("algorithm", self.token(json!({ "alg": "none" }), none())),
            ("algorithm", self.token(json!({ "alg": "HS256" }), none())),
            ("key", self.token(json!({ "kid": "unpublished" }), none())),
            ("signature", format!("{message}.{}", encode(another.sign(message.as_bytes())))),
            ("signature", format!("{message}.")),
            ("audience", self.token(none(), json!({ "aud": "elsewhere" }))),
            ("audience", self.token(none(), json!({ "aud": null }))),
            ("subject", self.token(none(), json!({ "sub": "" }))),
            ("expiry", self.token(none(), json!({ "exp": null }))),
            ("expired", self.token(none(), json!({ "exp": now - 120 }))),
            ("not-before", self.token(none(), json!({ "nbf": now + 120 }))),
            ("issued-at", self.token(none(), json!({ "iat": now + 120 }))),
            ("age", self.token(none(), json!({ "iat": now - 7200 }))),
            ("overage", self.token(none(), json!({ "groups": null, "_claim_names": { "groups": "src1" } }))),
            ("groups", self.token(none(), json!({ "groups": null }))),
            ("carried", self.token(none(), json!({ "department": "d".repeat(5000) }))),
        ]
    }
}

// The command line asks for the keys while the test waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_refused_and_named_to_the_operator_alone() {
    let key = Ed25519KeyPair::generate().unwrap();
    let published = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "use": "sig", "x": encode(key.public_key()),
    }] });
    let keys = FakeUpstream::start(move |_| Reply::json(&published)).await;
    let upstream = FakeUpstream::start(|_| {
        Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] }))
    })
    .await;
    let issuer = Issuer { key, url: keys.url() };
    let settings = json!({
        "issuer": issuer.url, "jwks": format!("{}/keys", issuer.url), "audiences": ["portcullis"], "algorithms": ["EdDSA"],
        "max_token_age": "1h", "carry": { "department": "/department" }, "groups": { "claims": ["/groups"], "required": true },
    });
    let gateway = Plan::default()
        .issuer("site", settings)
        .resource("llama", model_at(&upstream.url()))
        .environment("LLAMA_KEY", "key")
        .policy("engineers.cedar", ENGINEERS_MAY_USE)
        .start()
        .await;
    let good = issuer.token(json!({}), json!({}));
    let may = chat(&gateway, &good).await;
    assert_eq!(may.status, StatusCode::OK, "{}", may.text());
    let all = gateway.cli_json(&["token", "inspect", &good, "--json"]);
    let mut unseen: Vec<&str> =
        all["checks"].as_array().unwrap().iter().map(|c| c["check"].as_str().unwrap()).collect();
    // Without any token there is nothing to present; the others turn on what somebody else says.
    let not_the_tokens = ["presented", "keys", "introspection", "userinfo", "standing"];
    unseen.retain(|check| !not_the_tokens.contains(check));

    let mut reasons = Vec::new();
    for (check, token) in issuer.defects() {
        let refused = chat(&gateway, &token).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{check}: {}", refused.text());
        let expected = if ["expired", "age"].contains(&check) { "token_expired" } else { "token_invalid" };
        assert_eq!(code(&refused), expected, "{check}");
        if expected == "token_invalid" {
            reasons
                .push(refused.json()["error"]["message"].to_string().split(" (").next().unwrap().to_owned());
        }
        let inspected = gateway.cli(&["token", "inspect", &token, "--json"]);
        assert_eq!(inspected.status.code(), Some(1), "{check}");
        let told: Value = serde_json::from_slice(&inspected.stdout).unwrap();
        let failed: Vec<&str> = told["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|checked| checked["verdict"] == "failed")
            .map(|checked| checked["check"].as_str().unwrap())
            .collect();
        assert_eq!(failed, [check]);
        unseen.retain(|unseen| *unseen != check);
    }
    assert!(unseen.is_empty(), "no token here fails {unseen:?}");
    reasons.dedup();
    assert_eq!(reasons.len(), 1, "a stranger is told the same whatever the defect: {reasons:?}");
    assert_eq!(upstream.received().len(), 1, "only the good one went on");
}
