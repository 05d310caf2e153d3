//! The guides in `docs/idp` hold set-ups that work: every one is read as configuration, built, and given a
//! token of the shape its provider sends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{CallerKind, Identity};
use serde_json::{Value, json};

use super::World;
use super::sampled::{KeyPair, Site};
use crate::Authenticator;

/// The issuers in each YAML block of a guide, in order.
fn issuers(guide: &str) -> Vec<config::Issuer> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/idp");
    let text = std::fs::read_to_string(docs.join(guide)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tls")).unwrap();
    let authority = rcgen::generate_simple_self_signed(vec!["kubernetes.default.svc".to_owned()]).unwrap();
    std::fs::write(dir.path().join("tls/cluster-ca.pem"), authority.cert.pem()).unwrap();
    let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let issuers = blocks.map(|block| {
        let rest = "listeners: [127.0.0.1:8080]\nresources:\n  llama: {server: vllm, upstreams: http://127.0.0.1:1}\n";
        let file: PathBuf = dir.path().join("portcullis.yaml");
        std::fs::create_dir_all(dir.path().join("policies")).unwrap();
        let config = config::parse(&format!("{rest}{block}"), &file);
        let config = config.unwrap_or_else(|faults| panic!("{guide}: {faults:?}\n{block}"));
        let clock = Arc::new(model::FixedClock::at(super::now()));
        Authenticator::build(&config.issuers, &config.limits, clock.clone(), crate::Standing::stateless(clock))
            .unwrap_or_else(|error| panic!("{guide}: {error}"));
        config.issuers
    });
    issuers.flatten().collect()
}

/// Who `claims` are to `issuer`, signed as its provider signs, the keys published on this machine.
async fn identity(mut issuer: config::Issuer, claims: Value) -> Identity {
    let key = KeyPair::rsa(0, "RS256");
    let site = Site::start().await;
    site.publish(&[("k", &key)]);
    issuer.jwks = Some(format!("{}/keys", site.url));
    (issuer.discovery, issuer.ca_file, issuer.allow_http) = (None, None, true);
    let world = World::of(site, &[issuer.clone()]);
    let mut draft = world.draft().claim("iss", issuer.issuer).claim("aud", issuer.audiences[0].clone());
    for (name, value) in claims.as_object().unwrap() {
        draft = draft.claim(name, value.clone());
    }
    world.identity(&draft.sign("k", &key)).await
}

fn groups(identity: &Identity) -> Vec<&str> {
    identity.groups.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn okta() {
    let [custom, org] = issuers("okta.md").try_into().unwrap();
    let person = json!({"sub": "alice@example.com", "uid": "00u1", "cid": "0oa1", "scp": ["models"], "groups": ["ml"]});
    let person = identity(custom.clone(), person).await;
    assert_eq!((person.kind, groups(&person)), (CallerKind::Human, vec!["ml"]));
    let service = identity(custom, json!({"sub": "0oa1", "cid": "0oa1", "scp": ["models"]})).await;
    assert_eq!((service.kind, service.token.client.as_deref()), (CallerKind::Workload, Some("0oa1")));
    let person = identity(org, json!({"sub": "00u1", "groups": ["ml"], "amr": ["mfa", "otp", "pwd"]})).await;
    assert!(person.kind == CallerKind::Human && person.token.mfa);
}

#[tokio::test]
async fn entra() {
    let [roles, aliased] = issuers("entra.md").try_into().unwrap();
    let service = json!({"idtyp": "app", "roles": ["training"], "tid": "t", "oid": "o", "_claim_names": {"groups": "src1"}});
    let service = identity(roles, service).await;
    assert_eq!((service.kind, groups(&service)), (CallerKind::Workload, vec!["training"]));
    assert_eq!(service.token.claims["object"], "o");
    let person = json!({"groups": ["6f1c2a9e-0000-4000-8000-000000000001", "other"]});
    let person = identity(aliased, person).await;
    assert_eq!((person.kind, groups(&person)), (CallerKind::Human, vec!["other", "research"]));
}

#[tokio::test]
async fn google() {
    let [google] = issuers("google.md").try_into().unwrap();
    let person = json!({"hd": "example.com", "email": "alice@example.com", "email_verified": true});
    assert_eq!(groups(&identity(google.clone(), person).await), ["research", "staff"]);
    let consumer = json!({"email": "alice@example.com", "email_verified": false});
    assert!(identity(google.clone(), consumer).await.groups.is_empty());
    let account = json!({"email": "trainer@my-project.iam.gserviceaccount.com", "email_verified": true});
    let account = identity(google, account).await;
    assert_eq!((account.kind, groups(&account)), (CallerKind::Workload, vec!["training-jobs"]));
}

#[tokio::test]
async fn keycloak() {
    let [plain, roles] = issuers("keycloak.md").try_into().unwrap();
    let person =
        identity(plain.clone(), json!({"groups": ["ml"], "acr": "2", "typ": "Bearer", "azp": "web"})).await;
    assert_eq!((person.kind, person.token.mfa, groups(&person)), (CallerKind::Human, true, vec!["ml"]));
    assert_eq!(identity(plain, json!({"client_id": "ci"})).await.kind, CallerKind::Workload);
    let nested =
        json!({"realm_access": {"roles": ["user"]}, "resource_access": {"portcullis": {"roles": ["ops"]}}});
    assert_eq!(groups(&identity(roles, nested).await), ["kc:ops", "kc:user"]);
}

#[tokio::test]
async fn kubernetes() {
    let [public, private] = issuers("kubernetes.md").try_into().unwrap();
    let pod = |namespace: &str, name: &str| {
        json!({
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u"}, "pod": {"name": "p"}},
        })
    };
    let job = identity(public.clone(), pod("training", "default")).await;
    assert_eq!((job.kind, groups(&job)), (CallerKind::Workload, vec!["training-jobs"]));
    assert_eq!(job.token.claims["service_account"], "default");
    assert_eq!(groups(&identity(public, pod("agents", "reviewer")).await), ["agents"]);
    assert_eq!(groups(&identity(private, pod("training", "default")).await), ["training-jobs"]);
}

#[tokio::test]
async fn github_actions() {
    let [github] = issuers("github-actions.md").try_into().unwrap();
    let job = json!({
        "sub": "repo:example/app:ref:refs/heads/main", "repository": "example/app", "repository_owner_id": "1234567",
        "ref": "refs/heads/main", "event_name": "push", "actor": "alice", "run_id": "77",
    });
    let job = identity(github.clone(), job).await;
    assert_eq!((job.kind, groups(&job)), (CallerKind::Workload, vec!["our-ci", "release-ci"]));
    assert_eq!(job.token.claims["repository"], "example/app");
    let stranger = json!({"sub": "repo:evil/app:ref:refs/heads/main", "repository_owner_id": "666"});
    assert!(identity(github, stranger).await.groups.is_empty());
}

#[test]
fn every_guide_is_tried() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/idp");
    let mut found: Vec<String> = std::fs::read_dir(docs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        ["entra.md", "github-actions.md", "google.md", "keycloak.md", "kubernetes.md", "okta.md"]
    );
}
