//! What a verified token's claims become: groups of every shape, kinds, e-mail, factors.

use std::collections::BTreeSet;

use config::{ClaimRule, ClaimTest, GroupRule, IssuerKind};
use model::CallerKind;
use serde_json::{Value, json};

use super::World;
use super::sampled::KeyPair;

fn rule(claim: &str, test: ClaimTest) -> ClaimRule {
    ClaimRule { claim: claim.to_owned(), test }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The groups that `claims` give under `change`d settings, or the check that refused them.
async fn groups(
    change: impl FnOnce(&mut config::Issuer),
    claims: Value,
) -> Result<Vec<String>, &'static str> {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], change).await;
    let mut draft = world.draft();
    for (name, value) in claims.as_object().unwrap() {
        draft = draft.claim(name, value.clone());
    }
    match world.caller(&draft.sign("k", &key)).await {
        Ok(caller) => Ok(caller.identity().groups.iter().cloned().collect()),
        Err(error) => Err(error.check().unwrap().name()),
    }
}

#[tokio::test]
async fn groups_come_in_every_shape_issuers_send() {
    let cases = [
        (json!({"groups": ["ml", "ops"]}), Ok(owned(&["ml", "ops"]))),
        (json!({"groups": "ml,ops"}), Ok(owned(&["ml", "ops"]))),
        (json!({"groups": "ml, ops,"}), Ok(owned(&["ml", "ops"]))),
        (json!({"groups": "ml; ops"}), Ok(owned(&["ml", "ops"]))),
        (json!({"groups": "ml ops"}), Ok(owned(&["ml", "ops"]))),
        (json!({"groups": ["ML Engineers", "a,b"]}), Ok(owned(&["ML Engineers", "a,b"]))),
        (json!({"groups": [["ml"], ["ops", ["dev"]]]}), Ok(owned(&["dev", "ml", "ops"]))),
        (json!({"groups": [17, "ml", "ml"]}), Ok(owned(&["17", "ml"]))),
        (json!({"groups": []}), Ok(vec![])),
        (json!({"groups": ""}), Ok(vec![])),
        (json!({"groups": null}), Ok(vec![])),
        (json!({}), Ok(vec![])),
        // What cannot be read is not left out: a policy may forbid by it.
        (json!({"groups": {"name": "ml"}}), Err("groups")),
        (json!({"groups": ["ml", {"name": "ops"}]}), Err("groups")),
        (json!({"groups": ["ml", null]}), Err("groups")),
        (json!({"groups": true}), Err("groups")),
        (json!({"groups": 1.5}), Err("groups")),
        (json!({"groups": ["ml", ""]}), Err("groups")),
        (json!({"groups": ["ml\nops"]}), Err("groups")),
        (json!({"groups": ["x".repeat(256)]}), Err("groups")),
    ];
    for (claims, expected) in cases {
        assert_eq!(groups(|_| {}, claims.clone()).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn groups_are_read_where_the_configuration_points() {
    let nested = |issuer: &mut config::Issuer| {
        issuer.groups.claims = owned(&["/realm_access/roles", "/https:~1~1x.test~1groups"]);
    };
    let claims = json!({
        "groups": ["ignored"], "realm_access": {"roles": ["user"]}, "https://x.test/groups": "ml"
    });
    assert_eq!(groups(nested, claims).await, Ok(owned(&["ml", "user"])));
    let named = |issuer: &mut config::Issuer| {
        issuer.groups.aliases.insert("3f2a".to_owned(), "research".to_owned());
        issuer.groups.aliases.insert("ML Engineers".to_owned(), "ml".to_owned());
        issuer.groups.prefix = Some("corp/".to_owned());
    };
    assert_eq!(
        groups(named, json!({"groups": ["3f2a", "research"]})).await,
        Ok(owned(&["corp/research", "research"]))
    );
    assert_eq!(groups(named, json!({"groups": "ML Engineers"})).await, Ok(owned(&["ml"])));
}

#[tokio::test]
async fn required_groups_must_be_there() {
    let required = |issuer: &mut config::Issuer| issuer.groups.required = true;
    assert_eq!(groups(required, json!({})).await, Err("groups"));
    assert_eq!(groups(required, json!({"groups": null})).await, Err("groups"));
    assert_eq!(groups(required, json!({"groups": []})).await, Ok(vec![]));
}

#[tokio::test]
async fn overage_is_refused_and_not_read_as_no_groups() {
    let names = json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.test"}}});
    assert_eq!(groups(|_| {}, names.clone()).await, Err("overage"));
    assert_eq!(groups(|_| {}, json!({"hasgroups": true})).await, Err("overage"));
    assert_eq!(groups(|_| {}, json!({"hasgroups": "true", "groups": ["a"]})).await, Err("overage"));
    assert_eq!(groups(|_| {}, json!({"hasgroups": false})).await, Ok(vec![]));
    // Whoever reads app roles does not miss the groups.
    let roles = |issuer: &mut config::Issuer| issuer.groups.claims = owned(&["/roles"]);
    let mut with_roles = names;
    with_roles["roles"] = json!(["operator"]);
    assert_eq!(groups(roles, with_roles).await, Ok(owned(&["operator"])));
}

#[tokio::test]
async fn groups_follow_from_other_claims() {
    let rules = |issuer: &mut config::Issuer| {
        issuer.groups.prefix = Some("corp/".to_owned());
        let given = |when, group: &str| GroupRule { when, groups: owned(&[group]) };
        issuer.groups.from = vec![
            given(rule("/email", ClaimTest::Domain("example.test".to_owned())), "staff"),
            given(rule("/hd", ClaimTest::Equals("example.test".to_owned())), "workspace"),
            given(rule("/sub", ClaimTest::StartsWith("repo:org/".to_owned())), "ci"),
            given(rule("/ref", ClaimTest::EndsWith("/main".to_owned())), "main"),
            given(rule("/roles", ClaimTest::Equals("admin".to_owned())), "admins"),
            given(rule("/level", ClaimTest::Equals("3".to_owned())), "three"),
            given(rule("/device", ClaimTest::Present), "managed"),
        ];
    };
    let cases = [
        (json!({"email": "a@example.test"}), &["staff"][..]),
        (json!({"email": "a@EXAMPLE.test", "email_verified": true}), &["staff"]),
        (json!({"email": "a@example.test", "email_verified": "true"}), &["staff"]),
        (json!({"email": "a@example.test", "email_verified": false}), &[]),
        (json!({"email": "a@example.test", "email_verified": "false"}), &[]),
        (json!({"email": "a@example.test", "email_verified": null}), &[]),
        (json!({"email": "a@sub.example.test"}), &[]),
        (json!({"email": "a@example.test@evil.test"}), &[]),
        (json!({"email": "example.test"}), &[]),
        (json!({"hd": "example.test", "sub": "repo:org/app"}), &["ci", "workspace"]),
        (json!({"sub": "repo:org2/app", "ref": "refs/heads/main"}), &["main"]),
        (
            json!({"roles": ["user", "admin"], "level": 3, "device": {"id": 1}}),
            &["admins", "managed", "three"],
        ),
        (json!({"roles": "administrator", "level": 33, "device": null}), &[]),
        (json!({"hd": ["example.test"], "groups": ["ml"]}), &["corp/ml", "workspace"]),
    ];
    for (claims, expected) in cases {
        assert_eq!(groups(rules, claims.clone()).await, Ok(owned(expected)), "{claims}");
    }
}

#[tokio::test]
async fn a_kind_by_configuration_or_by_claim() {
    let by_claim = rule("/idtyp", ClaimTest::Equals("app".to_owned()));
    let cases = [
        (IssuerKind::Human, [CallerKind::Human; 2]),
        (IssuerKind::Workload, [CallerKind::Workload; 2]),
        (IssuerKind::WorkloadWhen(by_claim.clone()), [CallerKind::Workload, CallerKind::Human]),
        (IssuerKind::HumanWhen(by_claim), [CallerKind::Human, CallerKind::Workload]),
    ];
    let key = KeyPair::ed();
    for (kind, expected) in cases {
        let world = World::with(&[("k", &key)], |issuer| issuer.kind = kind.clone()).await;
        let app = world.identity(&world.draft().claim("idtyp", "app").sign("k", &key)).await.kind;
        let other = world.identity(&world.draft().sign("k", &key)).await.kind;
        assert_eq!([app, other], expected, "{kind:?}");
    }
}

#[tokio::test]
async fn the_facts_of_a_token() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |issuer| {
        issuer.mfa.amr = owned(&["otp", "mfa"]);
        issuer.mfa.acr = owned(&["urn:strong"]);
        issuer.carry.insert("repository".to_owned(), "/repository".to_owned());
        issuer.carry.insert("cluster".to_owned(), "/kubernetes.io/namespace".to_owned());
        issuer.carry.insert("attempt".to_owned(), "/run_attempt".to_owned());
    })
    .await;
    let now = super::now().as_second();
    let token = world
        .draft()
        .claim("aud", json!(["gateway", "other"]))
        .claim("email", "alice@example.test")
        .claim("name", "Alice\u{7}")
        .claim("preferred_username", "alice")
        .claim("auth_time", now - 60)
        .claim("azp", "laptop-client")
        .claim("amr", json!(["pwd", "otp"]))
        .claim("acr", "1")
        .claim("scope", "openid models:read")
        .claim("scp", json!(["models:write"]))
        .claim("repository", "org/app")
        .claim("kubernetes.io", json!({"namespace": "jobs"}))
        .claim("run_attempt", 2)
        .sign("k", &key);
    let identity = world.identity(&token).await;
    let set = |words: &[&str]| owned(words).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(identity.canonical(), format!("{}\nalice", world.site.url));
    assert_eq!(identity.email.as_deref(), Some("alice@example.test"));
    // A name with a control character is no name to show.
    assert_eq!(identity.display.as_deref(), Some("alice"));
    let facts = identity.token;
    assert_eq!(facts.digest.len(), 64);
    assert_eq!(facts.issued_at, Some(super::now()));
    assert_eq!(facts.expires_at.as_second(), now + 300);
    assert_eq!(facts.authenticated_at.map(|at| at.as_second()), Some(now - 60));
    assert_eq!(facts.audiences, ["gateway", "other"]);
    assert_eq!(facts.client.as_deref(), Some("laptop-client"));
    assert_eq!((facts.methods, facts.context_class.as_deref()), (set(&["pwd", "otp"]), Some("1")));
    assert!(facts.mfa);
    assert_eq!(facts.scopes, set(&["openid", "models:read", "models:write"]));
    let carried: Vec<(&str, &str)> = facts.claims.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(carried, [("attempt", "2"), ("cluster", "jobs"), ("repository", "org/app")]);

    let strong = world.draft().claim("acr", "urn:strong").sign("k", &key);
    let weak = world.draft().claim("amr", "pwd").claim("auth_time", "now").sign("k", &key);
    assert!(world.identity(&strong).await.token.mfa);
    let weak = world.identity(&weak).await;
    assert!(!weak.token.mfa && weak.token.authenticated_at.is_none() && weak.email.is_none());

    let long = world.draft().claim("repository", "x".repeat(4097)).sign("k", &key);
    assert_eq!(world.check(&long).await, "carried");
    let unvouched = world.draft().claim("email", "alice@example.test").claim("email_verified", false);
    assert_eq!(world.identity(&unvouched.sign("k", &key)).await.email, None);
}
