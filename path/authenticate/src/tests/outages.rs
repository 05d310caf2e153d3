//! Rotation, providers that go away, floods: fetching is bounded both ways, and nothing that was once
//! verified outlives what it rested on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Clock, Code, ExchangeId};
use serde_json::json;
use tokio::task::JoinSet;

use super::sampled::KeyPair;
use super::{World, now, secs};
use crate::AuthenticateError;
use crate::provider::{BURST, WINDOW};

const DAY: u64 = 24 * 3600;

/// A world with one key `a`.
async fn world() -> (World, KeyPair) {
    let key = KeyPair::ed();
    (World::with(&[("a", &key)], |_| {}).await, key)
}

/// A token that outlasts every outage here.
fn lasting(world: &World, id: &str, key: &KeyPair) -> String {
    world.draft().claim("exp", world.clock.now().as_second() + 100 * DAY as i64).sign(id, key)
}

/// Waits until the server was asked for keys `times` times, without a clock.
async fn fetched(world: &World, times: usize) {
    while world.site.fetches() < times {
        world.site.asked.notified().await;
    }
}

/// Waits until no fetch is running.
async fn landed(world: &World, fetched_at: jiff::Timestamp) {
    while world.authenticator.issuers()[0].fetched_at != Some(fetched_at) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_fetch_serves_all_who_wait() {
    let (world, key) = world().await;
    let shut = world.site.gate.lock().await;
    let mut callers = JoinSet::new();
    for name in 0..50 {
        let token = world.draft().claim("sub", format!("caller-{name}")).sign("a", &key);
        let authenticator = Arc::clone(&world.authenticator);
        let headers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("x-api-key"),
            http::HeaderValue::from_str(&token).unwrap(),
        )]);
        callers.spawn(async move { authenticator.caller(ExchangeId::at(now()), &headers).await });
    }
    // All callers run on this thread, so once the server is asked all of them have come to wait.
    world.site.asked.notified().await;
    drop(shut);
    let known = callers.join_all().await;
    assert_eq!(known.iter().filter(|caller| caller.is_ok()).count(), 50);
    assert_eq!((world.site.discoveries.load(Ordering::SeqCst), world.site.fetches()), (1, 1));
}

#[tokio::test]
async fn a_fetch_outlives_the_request_that_began_it() {
    let (world, key) = world().await;
    let token = world.draft().sign("a", &key);
    let shut = world.site.gate.lock().await;
    tokio::select! {
        biased;
        _ = world.caller(&token) => panic!("the gate is shut"),
        () = world.site.asked.notified() => {}
    }
    drop(shut);
    assert_eq!(world.check(&token).await, "accepted");
    assert_eq!(world.site.fetches(), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_few_fetches() {
    let (world, key) = world().await;
    let forger = KeyPair::ed();
    for round in 1..=3 {
        for n in 0..40 {
            let forged = world.draft().sign(&format!("k{round}-{n}"), &forger);
            assert_eq!(world.check(&forged).await, "key");
        }
        assert_eq!(world.site.fetches(), BURST * round);
        assert_eq!(world.check(&world.draft().sign("a", &key)).await, "accepted");
        world.clock.advance(WINDOW);
    }
}

#[tokio::test]
async fn a_new_key_is_known_at_once_and_a_retired_one_forgotten() {
    let (world, old) = world().await;
    let new = KeyPair::ec();
    let by_old = lasting(&world, "a", &old);
    assert_eq!(world.check(&by_old).await, "accepted");

    world.site.publish(&[("a", &old), ("b", &new)]);
    assert_eq!(world.check(&world.draft().sign("b", &new)).await, "accepted");
    assert_eq!(world.check(&by_old).await, "accepted");

    // Retired: the token is remembered as verified, and must be forgotten with its key.
    world.site.publish(&[("b", &new)]);
    world.clock.advance(secs(11 * 60));
    assert_eq!(world.check(&by_old).await, "key");
    assert_eq!(world.check(&world.draft().sign("b", &new)).await, "accepted");

    // Another key under the same name is another key.
    world.site.publish(&[("b", &KeyPair::ec())]);
    let by_new = lasting(&world, "b", &new);
    assert_eq!(world.check(&by_new).await, "accepted");
    world.clock.advance(secs(11 * 60));
    assert_eq!(world.check(&by_new).await, "signature");
}

#[tokio::test]
async fn an_issuer_may_take_all_its_keys_back() {
    let (world, key) = world().await;
    let token = lasting(&world, "a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.site.publish(&[]);
    world.clock.advance(secs(11 * 60));
    assert_eq!(world.check(&token).await, "key");
}

#[tokio::test]
async fn getting_old_keys_are_fetched_behind_the_request() {
    let (world, key) = world().await;
    let token = lasting(&world, "a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.clock.advance(secs(6 * 60));
    let shut = world.site.gate.lock().await;
    // The provider hangs, and nobody waits for it.
    assert_eq!(world.check(&token).await, "accepted");
    drop(shut);
    fetched(&world, 2).await;
    landed(&world, world.clock.now()).await;
    assert_eq!(world.check(&token).await, "accepted");
    assert_eq!(world.site.fetches(), 2);
}

#[tokio::test]
async fn the_last_good_keys_serve_while_the_provider_is_away_then_nobody_is_known() {
    let (world, key) = world().await;
    let token = lasting(&world, "a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.site.go(false);
    for hours in [1, 22] {
        world.clock.advance(secs(hours * 3600));
        assert_eq!(world.check(&token).await, "accepted", "after {hours} h more");
        assert_eq!(world.check(&lasting(&world, "a", &key)).await, "accepted");
        let health = &world.authenticator.issuers()[0];
        assert!(health.usable && health.failure.is_some() && health.keys == 1);
    }
    world.clock.advance(secs(3601));
    let refusal = world.caller(&token).await.unwrap_err().refusal();
    assert_eq!((refusal.code, refusal.code.status().as_u16()), (Code::IdentityUnavailable, 503));
    assert!(refusal.retry_after.is_some_and(|seconds| (1..=11).contains(&seconds)));
    assert!(!world.authenticator.issuers()[0].usable);

    world.site.go(true);
    world.clock.advance(secs(11));
    assert_eq!(world.check(&token).await, "accepted");
    assert_eq!(world.authenticator.issuers()[0].failure, None);
}

#[tokio::test]
async fn where_no_stale_keys_are_tolerated_an_outage_ends_all_at_once() {
    let key = KeyPair::ed();
    let world = World::with(&[("a", &key)], |settings| settings.stale_keys = secs(0)).await;
    let token = lasting(&world, "a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.clock.advance(secs(29));
    assert_eq!(world.check(&token).await, "accepted");
    assert_eq!(world.site.fetches(), 1);
    world.site.go(false);
    world.clock.advance(secs(32));
    assert_eq!(world.check(&token).await, "keys");
    assert!(!world.authenticator.issuers()[0].usable);
    world.site.go(true);
    world.clock.advance(secs(1));
    assert_eq!(world.check(&token).await, "accepted");
}

#[tokio::test]
async fn keys_grow_old_by_whichever_clock_says_more() {
    let (world, key) = world().await;
    let token = lasting(&world, "a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.site.go(false);
    // The wall clock is set back a day; a day passes all the same.
    world.clock.set(now().checked_sub(secs(60)).unwrap());
    world.clock.advance(secs(DAY + 1));
    world.clock.set(now());
    assert_eq!(world.check(&token).await, "keys");

    // The machine sleeps a day; only the wall clock tells.
    let (world, key) = self::world().await;
    let token = lasting(&world, "a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.site.go(false);
    world.clock.set(now().checked_add(secs(DAY + 1)).unwrap());
    assert_eq!(world.check(&token).await, "keys");
}

#[tokio::test]
async fn an_unknown_key_while_the_provider_is_away_is_nobodys_fault() {
    let (world, key) = world().await;
    assert_eq!(world.check(&world.draft().sign("a", &key)).await, "accepted");
    world.site.go(false);
    let new = world.draft().sign("b", &KeyPair::ed());
    assert_eq!(world.check(&new).await, "keys");
    assert_eq!(world.check(&world.draft().sign("a", &key)).await, "accepted");
}

#[tokio::test]
async fn a_provider_that_is_down_from_the_start_is_asked_ever_more_rarely() {
    let (world, key) = world().await;
    let asked = || world.site.discoveries.load(Ordering::SeqCst);
    world.site.go(false);
    let token = lasting(&world, "a", &key);
    for (pause, times) in
        [(0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (3, 3), (1, 4), (8, 5), (9, 5), (1, 6), (10, 7)]
    {
        world.clock.advance(secs(pause));
        assert_eq!(world.check(&token).await, "keys");
        assert_eq!(asked(), times, "after {pause} s more");
    }
    world.site.go(true);
    world.clock.advance(secs(10));
    assert_eq!(world.check(&token).await, "accepted");
}

#[tokio::test]
async fn warming_fetches_before_the_first_caller() {
    let (world, key) = world().await;
    assert!(!world.authenticator.issuers()[0].usable);
    world.authenticator.warm().await;
    let health = &world.authenticator.issuers()[0];
    assert!(health.usable && health.keys == 1 && health.fetched_at == Some(now()));
    assert_eq!(world.check(&world.draft().sign("a", &key)).await, "accepted");
    assert_eq!(world.site.fetches(), 1);
}

#[tokio::test]
async fn nothing_but_the_issuers_own_documents_is_believed() {
    let (world, key) = world().await;
    let url = world.site.url.clone();
    let keys = format!("{url}/keys");
    let token = world.draft().sign("a", &key);
    let documents = [
        json!({"issuer": "https://other.test", "jwks_uri": keys}).to_string(),
        json!({"issuer": format!("{url}/"), "jwks_uri": keys}).to_string(),
        json!({"jwks_uri": keys}).to_string(),
        json!({"issuer": url}).to_string(),
        json!({"issuer": url, "jwks_uri": "http://192.0.2.1/keys"}).to_string(),
        json!({"issuer": url, "jwks_uri": "file:///etc/passwd"}).to_string(),
        format!(r#"{{"issuer":"{url}","jwks_uri":"{keys}","issuer":"{url}"}}"#),
        "<html>".to_owned(),
    ];
    for document in documents {
        *world.site.discovery.lock().unwrap() = Some(document.clone());
        world.clock.advance(secs(10));
        assert_eq!(world.check(&token).await, "keys", "{document}");
        assert!(world.authenticator.issuers()[0].failure.is_some(), "{document}");
    }
    *world.site.discovery.lock().unwrap() = None;
    for jwks in ["{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
        *world.site.jwks.lock().unwrap() = jwks.to_owned();
        world.clock.advance(secs(10));
        assert_eq!(world.check(&token).await, "keys", "{jwks}");
    }
    world.site.publish(&[("a", &key)]);
    world.clock.advance(secs(10));
    assert_eq!(world.check(&token).await, "accepted");
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_ends() {
    let (world, key) = world().await;
    let token = world.draft().sign("a", &key);
    let caller = world.caller(&token).await.unwrap();
    let again = world.caller(&token).await.unwrap();
    assert!(Arc::ptr_eq(caller.identity(), again.identity()), "remembered");
    // Five minutes, and 30 s of skew.
    world.clock.advance(secs(329));
    assert_eq!(world.check(&token).await, "accepted");
    world.clock.advance(secs(1));
    assert_eq!(world.check(&token).await, "expired");
    // A clock set back before the token's time does not let it in early either.
    let token = world.draft().sign("a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.clock.set(now());
    assert_eq!(world.check(&token).await, "issued-at");
}

#[tokio::test]
async fn a_remembered_token_is_not_older_than_accepted() {
    let key = KeyPair::ed();
    let aged = |settings: &mut config::Issuer| settings.max_token_age = Some(secs(60));
    let world = World::with(&[("a", &key)], aged).await;
    let token = world.draft().sign("a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    world.clock.advance(secs(89));
    assert_eq!(world.check(&token).await, "accepted");
    world.clock.advance(secs(1));
    assert_eq!(world.check(&token).await, "age");
}

#[tokio::test]
async fn the_memory_is_bounded_and_each_caller_is_their_own() {
    let (world, key) = world().await;
    let token = |n: usize| world.draft().claim("sub", format!("caller-{n}")).sign("a", &key);
    let first = world.caller(&token(0)).await.unwrap();
    for n in 0..40 {
        let exchange = ExchangeId::at(now());
        let headers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("api-key"),
            http::HeaderValue::from_str(&token(n)).unwrap(),
        )]);
        let caller = world.authenticator.caller(exchange, &headers).await.unwrap();
        assert_eq!((caller.exchange(), &caller.identity().subject), (exchange, &format!("caller-{n}")));
    }
    let again = world.caller(&token(0)).await.unwrap();
    assert!(!Arc::ptr_eq(first.identity(), again.identity()), "long forgotten");
    assert_eq!(first.identity(), again.identity());
}

#[tokio::test]
async fn explicit_keys_need_no_discovery() {
    let key = KeyPair::ed();
    let world = World::with(&[("a", &key)], |settings| {
        settings.jwks = Some(format!("{}/keys", settings.issuer));
        settings.issuer = "https://cluster.test".to_owned();
        settings.allow_http = true;
    })
    .await;
    let token = world.draft().claim("iss", "https://cluster.test").sign("a", &key);
    assert_eq!(world.check(&token).await, "accepted");
    assert_eq!(world.site.discoveries.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn issuers_that_share_an_url_are_told_apart_by_audience() {
    let key = KeyPair::ed();
    let site = super::sampled::Site::start().await;
    site.publish(&[("a", &key)]);
    let settings = |name: &str, audience: &str| {
        let mut settings = config::Issuer::new(name, &site.url, audience);
        settings.allow_http = true;
        settings
    };
    let two = [settings("people", "gateway"), settings("jobs", "ci")];
    let world = World::of(Arc::clone(&site), &two);
    let of = async |audience: &str| {
        world.identity(&world.draft().claim("aud", audience).sign("a", &key)).await.issuer_name
    };
    assert_eq!((of("gateway").await, of("ci").await), ("people".to_owned(), "jobs".to_owned()));

    let clash = [settings("people", "gateway"), settings("jobs", "gateway")];
    let built = crate::Authenticator::build(
        &clash,
        &config::Limits::default(),
        world.clock.clone(),
        crate::Standing::stateless(world.clock.clone()),
    );
    assert!(matches!(built.err(), Some(AuthenticateError::Settings { issuer, .. }) if issuer == "jobs"));
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    type Change = fn(&mut config::Issuer);
    let bad: [(&str, Change); 9] = [
        ("plain HTTP", |issuer| issuer.issuer = "http://id.test".to_owned()),
        ("plain HTTP to another machine", |issuer| {
            issuer.allow_http = true;
            issuer.issuer = "http://id.test".to_owned();
        }),
        ("plain keys", |issuer| issuer.jwks = Some("http://id.test/keys".to_owned())),
        ("a fragment", |issuer| issuer.issuer = "https://id.test/#x".to_owned()),
        ("HMAC", |issuer| issuer.algorithms = vec!["HS256".to_owned()]),
        ("none", |issuer| issuer.algorithms = vec!["none".to_owned()]),
        ("no audience", |issuer| issuer.audiences.clear()),
        ("no pointer", |issuer| issuer.groups.claims = vec!["groups".to_owned()]),
        ("no such file", |issuer| issuer.ca_file = Some("/nonexistent/ca.pem".into())),
    ];
    let build = |change: Change| {
        let mut issuer = config::Issuer::new("site", "https://127.0.0.1", "gateway");
        change(&mut issuer);
        let clock = Arc::new(model::FixedClock::at(now()));
        crate::Authenticator::build(
            &[issuer],
            &config::Limits::default(),
            clock.clone(),
            crate::Standing::stateless(clock),
        )
        .map(drop)
    };
    for (what, change) in bad {
        let error = build(change).unwrap_err();
        assert!(error.check().is_none(), "{what}: {error}");
        assert_eq!(error.refusal().code, Code::Internal, "{what}");
    }
    build(|issuer| {
        issuer.allow_http = true;
        issuer.issuer = "http://127.0.0.1:9".to_owned();
    })
    .unwrap();
}
