//! Opaque tokens: shown to one issuer, believed for a moment, refused whenever its answer is not plain.

use std::sync::atomic::Ordering;

use config::{ClientAuth, Introspection, SecretRef, Userinfo};
use model::Code;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::sampled::KeyPair;
use super::*;
use crate::ask::REFUSED_KEPT;
use crate::issuer::Issuer;
use crate::opaque::meant;

/// A token that no one can read, made at run time.
fn opaque(name: &str) -> String {
    format!("at_{name}{}", "0aZ-_".repeat(5))
}

fn introspection(folder: &tempfile::TempDir) -> Introspection {
    let secret = folder.path().join("secret");
    std::fs::write(&secret, ["se cret", "/+&"].concat()).unwrap();
    Introspection {
        url: None,
        client_id: "gate way".to_owned(),
        client_secret: SecretRef::File(secret),
        client_auth: ClientAuth::Basic,
        prefix: None,
        clients: Vec::new(),
        cache: secs(30),
    }
}

struct Opaque {
    world: World,
    key: KeyPair,
    _folder: tempfile::TempDir,
}

impl Opaque {
    async fn start(change: impl FnOnce(&mut config::Issuer)) -> Self {
        let (key, folder) = (KeyPair::ed(), tempfile::tempdir().unwrap());
        let asked = introspection(&folder);
        let world = World::with(&[("k", &key)], |settings| {
            settings.introspection = Some(asked);
            change(settings);
        })
        .await;
        Self { world, key, _folder: folder }
    }

    fn says(&self, answer: &Value) {
        *self.world.site.introspection.lock().unwrap() = (200, answer.to_string());
    }

    fn knows(&self, status: u16, answer: &Value) {
        *self.world.site.userinfo.lock().unwrap() = (status, answer.to_string());
    }

    /// What an issuer says of a good token.
    fn good(&self) -> Value {
        let now = self.world.clock.now().as_second();
        json!({
            "active": true, "token_type": "Bearer", "sub": "alice", "aud": "gateway", "client_id": "agent",
            "iss": self.world.site.url, "exp": now + 300, "iat": now, "groups": ["ml"],
        })
    }

    fn questions(&self) -> Vec<String> {
        self.world.site.questions.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_token_is_asked_about_once_and_believed_for_a_moment() {
    let world = Opaque::start(|_| ()).await;
    world.says(&world.good());
    let token = opaque("alice");
    let identity = world.world.identity(&token).await;
    assert_eq!((identity.subject.as_str(), identity.token.client.as_deref()), ("alice", Some("agent")));
    assert_eq!(identity.groups.iter().map(String::as_str).collect::<Vec<_>>(), ["ml"]);
    let questions = world.questions();
    let [question] = questions.as_slice() else { panic!("{questions:?}") };
    // `gate%20way:se%20cret%2F%2B%26`, as RFC 6749 has it.
    assert!(question.contains("Basic Z2F0ZSUyMHdheTpzZSUyMGNyZXQlMkYlMkIlMjY="), "{question}");
    let body = question.split("\r\n\r\n").nth(1).unwrap();
    assert!(body.starts_with("token=at_alice") && body.ends_with("&token_type_hint=access_token"), "{body}");
    world.world.clock.advance(secs(29));
    assert_eq!(world.world.check(&token).await, "accepted");
    assert_eq!(world.questions().len(), 1);
    // The issuer has changed its mind meanwhile.
    world.says(&json!({ "active": false }));
    assert_eq!(world.world.check(&token).await, "accepted");
    world.world.clock.advance(secs(1));
    assert_eq!(world.world.check(&token).await, "introspection");
    assert_eq!(world.questions().len(), 2);
    // And a refusal is remembered for a shorter one.
    world.says(&world.good());
    assert_eq!(world.world.check(&token).await, "introspection");
    assert_eq!(world.questions().len(), 2);
    world.world.clock.advance(REFUSED_KEPT);
    assert_eq!(world.world.check(&token).await, "accepted");
}

#[tokio::test]
async fn an_answer_is_never_believed_past_its_end() {
    let world = Opaque::start(|settings| settings.skew = secs(0)).await;
    let mut answer = world.good();
    answer["exp"] = json!(world.world.clock.now().as_second() + 10);
    world.says(&answer);
    let token = opaque("short");
    assert_eq!(world.world.check(&token).await, "accepted");
    world.world.clock.advance(secs(10));
    assert_eq!(world.world.check(&token).await, "expired");
}

#[tokio::test]
async fn every_answer_that_is_not_plain_is_refused() {
    let world = Opaque::start(|_| ()).await;
    let with = |name: &str, value: Value| {
        let mut answer = world.good();
        answer[name] = value;
        answer
    };
    let without = |name: &str| {
        let mut answer = world.good();
        answer.as_object_mut().unwrap().remove(name);
        answer
    };
    let mut count = 0;
    for (answer, check) in [
        (world.good(), "accepted"),
        (without("iss"), "accepted"),
        (with("token_type", json!("access_token")), "accepted"),
        (with("active", json!(false)), "introspection"),
        (with("active", json!("true")), "introspection"),
        (with("active", json!(1)), "introspection"),
        (without("active"), "introspection"),
        (with("iss", json!("https://elsewhere.test")), "issuer"),
        (with("iss", json!([world.world.site.url])), "issuer"),
        (with("aud", json!("elsewhere")), "audience"),
        (with("aud", json!(["elsewhere", 7])), "audience"),
        (without("aud"), "audience"),
        (with("token_type", json!("DPoP")), "type"),
        (with("token_use", json!("refresh_token")), "type"),
        (with("typ", json!("Refresh")), "type"),
        (without("token_type"), "type"),
        (with("cnf", json!({ "jkt": "x" })), "type"),
        (without("sub"), "subject"),
        (with("sub", json!("a\u{0}")), "subject"),
        (without("exp"), "expiry"),
        (with("exp", json!("soon")), "expiry"),
        (with("exp", json!(1)), "expired"),
        (with("nbf", json!(world.world.clock.now().as_second() + 100)), "not-before"),
    ] {
        count += 1;
        world.says(&answer);
        assert_eq!(world.world.check(&opaque(&format!("n{count}"))).await, check, "{answer}");
        // Answers that cannot be used count as failures in a row, and would make questions pause.
        world.says(&json!({ "active": false }));
        world.world.check(&opaque(&format!("m{count}"))).await;
    }
}

#[tokio::test]
async fn clients_are_checked_where_they_are_listed() {
    let world = Opaque::start(|settings| {
        settings.introspection.as_mut().unwrap().clients = vec!["agent".to_owned()];
    })
    .await;
    let mut answer = world.good();
    answer.as_object_mut().unwrap().remove("aud");
    world.says(&answer);
    assert!(world.world.identity(&opaque("one")).await.token.audiences.is_empty());
    answer["client_id"] = json!("another");
    world.says(&answer);
    assert_eq!(world.world.check(&opaque("two")).await, "audience");
    answer["client_id"] = json!("agent");
    answer["aud"] = json!("elsewhere");
    world.says(&answer);
    assert_eq!(world.world.check(&opaque("three")).await, "audience");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_lets_nobody_in() {
    let world = Opaque::start(|_| ()).await;
    world.says(&world.good());
    // The keys are at hand: only the question fails.
    assert_eq!(world.world.check(&world.world.draft().sign("k", &world.key)).await, "accepted");
    let site = &world.world.site;
    for (at, answer) in ["{\"active\":true", "{\"active\":true,\"active\":true}", "[]", ""].iter().enumerate()
    {
        *site.introspection.lock().unwrap() = (200, (*answer).to_owned());
        let refusal = world.world.caller(&opaque(&format!("x{at}"))).await.unwrap_err().refusal();
        assert_eq!(refusal.code, Code::IdentityUnavailable, "{answer}");
        assert!(refusal.retry_after.unwrap() >= 1 && !refusal.reason.contains("active"));
        world.world.clock.advance(secs(20));
    }
    for status in [401, 302, 500] {
        *site.introspection.lock().unwrap() = (status, world.good().to_string());
        let refusal = world.world.caller(&opaque(&format!("s{status}"))).await.unwrap_err().refusal();
        assert_eq!(refusal.code, Code::IdentityUnavailable, "{status}");
        world.world.clock.advance(secs(20));
    }
    site.go(false);
    for at in 0..5 {
        world.world.caller(&opaque(&format!("d{at}"))).await.unwrap_err();
    }
    // It failed often enough: now nobody asks for a while.
    let asked = world.questions().len();
    assert_eq!(world.world.check(&opaque("paused")).await, "introspection");
    assert_eq!(world.questions().len(), asked);
    site.go(true);
    world.says(&world.good());
    world.world.clock.advance(secs(20));
    assert_eq!(world.world.check(&opaque("back")).await, "accepted");
}

#[tokio::test]
async fn one_question_at_a_time_is_asked_about_a_token() {
    let world = Arc::new(Opaque::start(|_| ()).await);
    world.says(&world.good());
    let held = world.world.site.gate.lock().await;
    let token = opaque("alice");
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (world, token) = (Arc::clone(&world), token.clone());
        callers.spawn(async move { world.world.check(&token).await });
    }
    // The first is asked while discovery waits too; let it through once it has asked.
    world.world.site.asked.notified().await;
    drop(held);
    assert_eq!(callers.join_all().await, ["accepted"; 8]);
    assert_eq!(world.questions().len(), 1);
}

#[tokio::test]
async fn what_begins_like_a_jwt_is_shown_to_nobody() {
    let world = Opaque::start(|_| ()).await;
    world.says(&world.good());
    let good = world.world.draft().sign("k", &world.key);
    let (head, rest) = good.split_once('.').unwrap();
    for token in [
        format!("{head}.{}", &rest[1..]),
        format!("{head}.x"),
        format!("{}.x.y", &head[1..]),
        format!("{good}.x.y"),
        format!("{head}~~.x.y"),
        format!("{}.x", head.replace('-', "+").replace('_', "/")),
        world.world.draft().claim("iss", "https://elsewhere.test").sign("k", &world.key),
    ] {
        assert_ne!(world.world.check(&token).await, "accepted", "{token}");
    }
    for token in ["bad\"token", "a=b", "===", "a b"] {
        assert_ne!(world.world.check(token).await, "accepted");
    }
    assert_ne!(world.world.check(&"x".repeat(9 << 10)).await, "accepted");
    assert!(world.questions().is_empty(), "{:?}", world.questions());
}

#[tokio::test]
async fn a_token_goes_to_the_issuer_whose_prefix_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at(now())) as Arc<dyn Clock>;
    let issuer = |name: &str, prefix: Option<&str>, asked: bool| {
        let mut settings = config::Issuer::new(name, &format!("https://{name}.test"), "gateway");
        let prefix = prefix.map(str::to_owned);
        settings.introspection = asked.then(|| Introspection { prefix, ..introspection(&folder) });
        Issuer::build(&settings, Arc::clone(&clock)).unwrap()
    };
    let prefixed =
        [issuer("none", None, false), issuer("a", Some("aa_"), true), issuer("b", Some("v2."), true)];
    let found = |issuers: &[Issuer], token: &str| meant(issuers, token).map(|(at, _)| at);
    assert_eq!(found(&prefixed, "aa_x"), Some(1));
    assert_eq!(found(&prefixed, "v2.local.x"), Some(2));
    assert_eq!(found(&prefixed, "zz_x"), None);
    let one = [issuer("none", None, false), issuer("any", None, true)];
    assert_eq!(found(&one, "zz_x"), Some(1));
    assert_eq!(found(&one, "ya29.x"), Some(1));
    // Three parts may be a JWT that lost its beginning.
    assert_eq!(found(&one, "v2.local.x"), None);
    let brace = super::sampled::encode("{\"alg\":1}");
    let blank = super::sampled::encode(" \n{");
    for token in [format!("{brace}.x"), format!("{blank}.x.y"), format!("{brace}.a.b.c.d")] {
        assert_eq!(found(&one, &token), None, "{token}");
    }
    assert_eq!(found(&[], "x"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No compact JWS whose header is a JSON object is ever shown to an issuer.
    #[test]
    fn no_jws_is_opaque(header in "[ \t\r\n]{0,9}\\{[ -~]{0,40}", rest in "[A-Za-z0-9_-]{0,20}(\\.[A-Za-z0-9_-]{0,20}){0,4}") {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(now())) as Arc<dyn Clock>;
        let mut settings = config::Issuer::new("any", "https://any.test", "gateway");
        settings.introspection = Some(introspection(&folder));
        let issuers = [Issuer::build(&settings, clock).unwrap()];
        let token = format!("{}.{rest}", super::sampled::encode(header));
        prop_assert!(meant(&issuers, &token).is_none(), "{}", token);
    }
}

#[tokio::test]
async fn groups_come_from_userinfo_where_a_token_has_none() {
    let world = Opaque::start(|settings| settings.userinfo = Some(Userinfo::default())).await;
    let me = json!({ "sub": "alice", "groups": ["from-userinfo"], "email": "a@example.test", "email_verified": false, "acr": "high" });
    world.knows(200, &me);
    let mut answer = world.good();
    world.says(&answer);
    assert!(world.world.identity(&opaque("full")).await.groups.contains("ml"));
    assert_eq!(world.questions().len(), 1, "it had groups");
    answer.as_object_mut().unwrap().remove("groups");
    world.says(&answer);
    let identity = world.world.identity(&opaque("bare")).await;
    assert!(identity.groups.contains("from-userinfo"));
    assert_eq!(
        (identity.email, identity.token.context_class),
        (None, None),
        "unvouched, and not userinfo's to say"
    );
    assert!(world.questions().last().unwrap().contains(&format!("Bearer {}", opaque("bare"))));

    // A JWT without groups too; and it is asked again after a minute.
    let token = world.world.draft().sign("k", &world.key);
    for _ in 0..2 {
        assert!(world.world.identity(&token).await.groups.contains("from-userinfo"));
    }
    let asked = world.questions().len();
    world.knows(200, &json!({ "sub": "alice", "groups": [] }));
    world.world.clock.advance(secs(60));
    assert!(world.world.identity(&token).await.groups.is_empty());
    assert_eq!(world.questions().len(), asked + 1);
    for (at, (status, me, code)) in [
        (200, json!({ "sub": "bob", "groups": ["admins"] }), Code::TokenInvalid),
        (200, json!({ "groups": ["admins"] }), Code::TokenInvalid),
        (401, me.clone(), Code::TokenInvalid),
        (403, me.clone(), Code::TokenInvalid),
        (500, me.clone(), Code::IdentityUnavailable),
        (200, json!("a signed userinfo"), Code::IdentityUnavailable),
    ]
    .into_iter()
    .enumerate()
    {
        world.knows(status, &me);
        let token = world.world.draft().claim("jti", at).sign("k", &world.key);
        let error = world.world.caller(&token).await.unwrap_err();
        assert_eq!(
            (error.refusal().code, error.check().unwrap().name()),
            (code, "userinfo"),
            "{status} {me}"
        );
    }
    world.world.site.up.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn inspection_shows_what_the_issuer_was_asked() {
    let world = Opaque::start(|settings| settings.userinfo = Some(Userinfo::default())).await;
    let mut answer = world.good();
    answer.as_object_mut().unwrap().remove("groups");
    world.says(&answer);
    world.knows(200, &json!({ "sub": "alice", "groups": ["ml"] }));
    let inspection = world.world.authenticator.inspect(&opaque("one")).await;
    assert!(inspection.accepted, "{inspection:?}");
    let names: Vec<&str> = inspection.checks.iter().map(|checked| checked.check).collect();
    for shown in ["presented", "size", "introspection", "issuer", "audience", "userinfo"] {
        assert!(names.contains(&shown), "{names:?}");
    }
    for hidden in ["structure", "header", "signature", "key"] {
        assert!(!names.contains(&hidden), "{names:?}");
    }
    assert!(
        inspection.checks.iter().all(|checked| checked.verdict == crate::Verdict::Passed),
        "{inspection:?}"
    );
    assert_eq!(inspection.issuer.as_deref(), Some("site"));
    world.says(&json!({ "active": false }));
    let inspection = world.world.authenticator.inspect(&opaque("two")).await;
    let failed: Vec<_> =
        inspection.checks.iter().filter(|c| matches!(c.verdict, crate::Verdict::Failed { .. })).collect();
    assert_eq!(failed.iter().map(|checked| checked.check).collect::<Vec<_>>(), ["introspection"]);
}
