//! What the documented interface answers, recorded from its documentation
//! (<https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>), and what is made of it.

use std::time::Duration;

use bytes::Bytes;
use config::SecretRef;
use proptest::prelude::*;

use super::*;

const V1: &str = r#"{"request_id":"a2b5","lease_id":"","renewable":false,"lease_duration":2764800,
  "data":{"api_key":"sample-v1","ttl":"1h"},"wrap_info":null,"warnings":null,"auth":null}"#;
const V2: &str = r#"{"request_id":"c3d6","data":{"data":{"api_key":"sample-v2","more":{"a":1}},
  "metadata":{"created_time":"2018-03-22T02:24:06.945319214Z","custom_metadata":{"owner":"jdoe"},
  "deletion_time":"","destroyed":false,"version":2}}}"#;
const V2_DELETED: &str = r#"{"data":{"data":null,"metadata":{"created_time":"2018-03-22T02:36:43.986212308Z",
  "deletion_time":"2018-03-22T02:36:33.954880664Z","destroyed":false,"version":1}}}"#;

fn vault(engine: VaultEngine) -> VaultSecret {
    VaultSecret {
        url: "https://vault.test:8200".parse().unwrap(),
        engine,
        mount: "secret".to_owned(),
        path: "models/llama".to_owned(),
        field: "api_key".to_owned(),
        token: SecretRef::Env("VAULT_TOKEN".to_owned()),
        namespace: Some("ml/team".to_owned()),
        ca_file: None,
        timeout: Duration::from_secs(1),
    }
}

fn answered(status: u16, body: &str) -> Fetched {
    Fetched {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn read_of(engine: VaultEngine, status: u16, body: &str) -> Result<String, String> {
    field(&vault(engine), &answered(status, body), Form::Line)
        .map(|secret| secret.expose_secret().to_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn each_engine_is_asked_where_it_is() {
    assert_eq!(url(&vault(VaultEngine::V1)).unwrap(), "https://vault.test:8200/v1/secret/models/llama");
    assert_eq!(url(&vault(VaultEngine::V2)).unwrap(), "https://vault.test:8200/v1/secret/data/models/llama");
    let headers = headers(&vault(VaultEngine::V2), &"sample-token".into()).unwrap();
    assert_eq!(headers["x-vault-token"], "sample-token");
    assert!(headers["x-vault-token"].is_sensitive());
    assert_eq!(
        (&headers["x-vault-namespace"], &headers["x-vault-request"]),
        (&"ml/team".parse().unwrap(), &"true".parse().unwrap())
    );
}

#[test]
fn the_field_is_read_from_either_engine() {
    assert_eq!(read_of(VaultEngine::V1, 200, V1).unwrap(), "sample-v1");
    assert_eq!(read_of(VaultEngine::V2, 200, V2).unwrap(), "sample-v2");
}

#[test]
fn a_refusal_says_what_to_look_at_and_nothing_of_a_secret() {
    for (engine, status, body, told) in [
        (VaultEngine::V2, 403, r#"{"errors":["permission denied"]}"#, "may not read this"),
        (VaultEngine::V2, 404, V2_DELETED, "no secret is there, or it is deleted"),
        (VaultEngine::V2, 200, V2_DELETED, "it holds no secret"),
        (VaultEngine::V2, 503, r#"{"errors":["Vault is sealed"]}"#, "it is sealed"),
        (VaultEngine::V2, 200, V1, "it holds no secret; look at `engine`"),
        (VaultEngine::V1, 200, V2, "no such field"),
        (VaultEngine::V1, 200, r#"{"data":{"api_key":5}}"#, "the field is no text"),
        (VaultEngine::V1, 200, r#"{"data":{"api_key":""}}"#, "is empty"),
        (VaultEngine::V1, 200, r#"{"data":{"api_key":"a\nb"}}"#, "is not one line"),
        (VaultEngine::V1, 200, "<html>", "it holds no secret"),
        (VaultEngine::V1, 307, "", "no secret came"),
    ] {
        let error = read_of(engine, status, body).unwrap_err();
        assert!(error.contains(told) && !error.contains("sample"), "{status} {body}: {error}");
    }
}

proptest! {
    #[test]
    fn whatever_is_answered_is_read_or_refused(body in ".{0,200}", two in any::<bool>()) {
        let engine = if two { VaultEngine::V2 } else { VaultEngine::V1 };
        let _ = read_of(engine, 200, &body);
    }

    #[test]
    fn every_secret_of_one_line_arrives(secret in "[ -~äß語]{1,80}", two in any::<bool>()) {
        let data = serde_json::json!({ "api_key": secret, "a": { "b": [1, null] } });
        let (engine, whole) = match two {
            true => (VaultEngine::V2, serde_json::json!({ "data": { "data": data, "metadata": {} } })),
            false => (VaultEngine::V1, serde_json::json!({ "data": data })),
        };
        let read = read_of(engine, 200, &whole.to_string());
        match secret.trim() {
            "" => prop_assert!(read.is_err()),
            trimmed => prop_assert_eq!(read.unwrap(), trimmed),
        }
    }
}
