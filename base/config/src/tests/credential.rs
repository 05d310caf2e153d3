//! What is written of credentials, and what is wrong with it.

use std::time::Duration;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::Folder;
use crate::reference::WHOLE;
use crate::*;

fn faults(credential: &str) -> String {
    faults_of(credential, "https://a.test", "server: vllm")
}

fn faults_of(credential: &str, upstream: &str, more: &str) -> String {
    let folder = Folder::new();
    let text = format!(
        "listeners: [127.0.0.1:8080]\nissuers:\n  corp: {{issuer: https://login.example.test, audiences: portcullis}}\n\
         resources:\n  llama:\n    {more}\n    upstreams: {upstream}\n    credential: {credential}\n"
    );
    match folder.parse(&text) {
        Ok(_) => String::new(),
        Err(faults) => faults.render(false).replace(&format!("{}/", folder.file().display()), ""),
    }
}

#[test]
fn every_source_and_scheme_arrives_whole() {
    let folder = Folder::new();
    let config = folder.parse(WHOLE).unwrap();
    let of = |name: &str| {
        let found = config.resources.iter().find(|resource| resource.name.as_str() == name);
        found.and_then(|resource| resource.credential.clone()).unwrap()
    };
    let gemma = of("gemma");
    let vault = VaultSecret {
        url: "https://vault.internal.test:8200".parse().unwrap(),
        engine: VaultEngine::V2,
        mount: "secret".to_owned(),
        path: "models/gemma".to_owned(),
        field: "api_key".to_owned(),
        token: SecretRef::File(folder.path("secrets/vault-token")),
        namespace: Some("ml".to_owned()),
        ca_file: Some(folder.path("tls/internal-ca.pem")),
        timeout: Duration::from_secs(5),
    };
    assert_eq!(gemma.source, SecretSource::Vault(vault));
    assert_eq!((gemma.cache.as_secs(), gemma.stale.as_secs()), (10, 300));
    let rotate = gemma.rotate.unwrap();
    assert_eq!(rotate.command.run, ["new-gemma-key", "--quiet"]);
    assert_eq!((rotate.command.timeout.as_secs(), rotate.probe.as_deref()), (30, Some("/v1/models")));
    assert_eq!(rotate.command.environment, ["VAULT_ADDR"]);

    let warehouse = of("warehouse");
    let SecretSource::Command(command) = &warehouse.source else { panic!("{}", warehouse.source) };
    assert_eq!((command.run.len(), command.timeout.as_secs()), (4, 10));
    assert_eq!(warehouse.scheme, CredentialScheme::Basic { user: "portcullis".to_owned() });
    assert_eq!(warehouse.header(), Some(&AUTHORIZATION));
    assert_eq!(of("maps").scheme, CredentialScheme::Query { name: "key".to_owned() });
    assert_eq!(of("vectors").scheme, CredentialScheme::Certificate);
    let CredentialScheme::OAuth2(grant) = of("assistant").scheme else { panic!("a token is fetched") };
    assert_eq!((grant.client_id.as_str(), grant.scopes.len()), ("portcullis-upstream", 2));
    assert_eq!(grant.audience.as_deref(), Some("assistant"));
}

#[test]
fn the_short_form_is_a_bearer_token() {
    let folder = Folder::new();
    let config = folder.parse(WHOLE).unwrap();
    let scheme = &config.resources[0].credential.as_ref().unwrap().scheme;
    let bearer = CredentialScheme::Header { name: AUTHORIZATION, word: Some("Bearer".to_owned()) };
    assert_eq!(*scheme, bearer);
    let alone = CredentialScheme::Header { name: HeaderName::from_static("x-orders-key"), word: None };
    assert_eq!(config.resources[1].credential.as_ref().unwrap().scheme, alone);
}

#[test]
fn a_secret_comes_from_one_place_and_is_shown_in_one_way() {
    for (credential, told) in [
        ("{header: x-key}", "nothing says where the secret comes from"),
        ("{value: env:A, command: [a]}", "`value` and `command` exclude each other"),
        (
            "{command: [a], vault: {url: https://v.test, path: a, token: env:T}}",
            "`command` and `vault` exclude",
        ),
        ("{value: env:A, user: u, query: key}", "`user` and `query` exclude each other"),
        ("{value: env:A, query: key, header: x-key}", "`query` and `header` exclude each other"),
        (
            "{value: env:A, client_certificate: true, scheme: Bearer}",
            "`client_certificate` and `scheme` exclude",
        ),
        ("{value: env:A, user: u, oauth2: {token_url: https://l.test, client_id: c}}", "`user` and `oauth2`"),
        ("{value: env:A, user: 'u:pass'}", "a user's name holds no colon"),
        ("{value: env:A, query: 'a b'}", "`a b` is no name"),
        ("{command: []}", "the list is empty"),
        ("{command: [./not-there]}", "no program `./not-there` is there"),
        ("{command: {run: [a], environment: ['A=b']}}", "this is no variable's name"),
        ("{command: {run: [a], timeout: 10m}}", "`10m` is out of bounds"),
        ("{vault: {url: 'http://v.test', path: a, token: env:T}}", "secrets would travel over plain HTTP"),
        ("{vault: {url: 'https://v.test/v1', path: a, token: env:T}}", "has a path"),
        ("{vault: {url: https://v.test, path: a/../b, token: env:T}}", "`a/../b` is no path in a vault"),
        ("{vault: {url: https://v.test, path: 'a%2Fb', token: env:T}}", "is no path in a vault"),
        ("{vault: {url: https://v.test, path: a, token: hvs.abcdef}}", "a secret may not stand in this file"),
        (
            "{value: env:A, oauth2: {token_url: 'http://l.test', client_id: c}}",
            "secrets would travel over plain",
        ),
        (
            "{value: env:A, oauth2: {token_url: https://l.test, client_id: c, scopes: ['a b']}}",
            "is not one scope",
        ),
        ("{value: env:A, rotate: {probe: /v1}}", "`command` is missing"),
        ("{value: env:A, rotate: {command: [a], probe: v1}}", "`v1` is no path below an upstream"),
    ] {
        let faults = faults(credential);
        assert!(faults.contains(told), "{credential}\n{faults}");
    }
    for (secret, credential) in [
        ("hvs.abcdef", "{vault: {url: https://v.test, path: a, token: hvs.abcdef}}"),
        ("u:pass", "{value: env:A, user: 'u:pass'}"),
        ("A=b", "{command: {run: [a], environment: ['A=b']}}"),
    ] {
        let message = faults(credential).lines().find(|line| line.contains("expected")).unwrap().to_owned();
        assert!(!message.contains(secret), "{message}");
    }
}

#[test]
fn a_certificate_needs_tls_and_is_written_once() {
    let one = "{value: file:a.pem, client_certificate: true}";
    assert!(faults_of(one, "http://127.0.0.1:1", "server: vllm").contains("an upstream has none"));
    let files = "upstream_tls: {client_certificate: tls/client.pem, client_key: tls/client-key.pem}";
    let faults = faults_of(one, "https://a.test", &format!("server: vllm\n    {files}"));
    assert!(faults.contains("the client certificate is written twice"), "{faults}");
    assert_eq!(faults_of(one, "https://a.test", "server: vllm"), "");
}

#[test]
fn a_rotation_must_be_provable_and_headers_stay_the_gateways() {
    let routes = "kind: http\n    routes: [{match: GET /a, class: read, name: a}]";
    let faults = faults_of("{value: env:A, rotate: {command: [a]}}", "https://a.test", routes);
    assert!(faults.contains("`credential.rotate` has no `probe`"), "{faults}");
    assert_eq!(faults_of("{value: env:A, rotate: {command: [a], probe: /a}}", "https://a.test", routes), "");
    let forwarded = format!("{routes}\n    forward_headers: [x-key]");
    assert!(
        faults_of("{value: env:A, header: x-key}", "https://a.test", &forwarded)
            .contains("carries the credential")
    );
}
