//! ID tokens as the answer to a sign-in: each defect beside the token without it, and what is kept.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::digest::{SHA512, digest};
use model::{Clock, ExchangeId};
use serde_json::{Value, json};

use super::sampled::{Draft, KeyPair, encode};
use super::{World, secs};
use crate::{AuthenticateError, Expected, SignedIn};

const EXPECTED: Expected<'static> = Expected {
    issuer: "site",
    client: "console",
    nonce: "n-0S6_WzA2Mj",
    access_token: Some("an access token"),
    max_age: Some(Duration::from_secs(600)),
    believe: Duration::from_secs(120),
};

fn draft(world: &World) -> Draft {
    world.draft().claim("aud", "console").claim("nonce", EXPECTED.nonce).claim("groups", json!(["ml"]))
}

fn at_hash(token: &str) -> String {
    encode(&digest(&SHA512, token.as_bytes()).as_ref()[..32])
}

async fn outcome(world: &World, token: &str) -> Result<SignedIn, String> {
    world.authenticator.sign_in(token, &EXPECTED).await.map_err(|error| match error {
        AuthenticateError::SignIn(why) => why,
        error => error.check().unwrap().name().to_owned(),
    })
}

#[tokio::test]
async fn an_id_token_answers_the_sign_in_it_was_asked_for() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |_| {}).await;
    let now = world.clock.now().as_second();
    let good = draft(&world).claim("at_hash", at_hash("an access token")).claim("auth_time", now - 600);
    outcome(&world, &good.clone().sign("k", &key)).await.unwrap();
    let both = good.clone().claim("aud", json!(["console", "gateway"])).claim("azp", "console");
    outcome(&world, &both.clone().sign("k", &key)).await.unwrap();
    let with = |name: &str, value: Value| good.clone().claim(name, value);
    for (what, said, bad) in [
        ("another client's", "audience", with("aud", json!("gateway"))),
        ("an unknown audience beside", "audience", both.clone().claim("aud", json!(["console", "other"]))),
        ("several audiences and no azp", "audience", both.clone().without("azp")),
        ("another party", "audience", with("azp", json!("gateway"))),
        ("another issuer's", "issuer", with("iss", json!("https://other.test"))),
        ("another nonce", "another sign-in", with("nonce", json!("n-0S6_WzA2Mk"))),
        ("no nonce", "no `nonce`", good.clone().without("nonce")),
        ("another access token", "`at_hash` differs", with("at_hash", json!(at_hash("another")))),
        ("an at_hash that is no text", "cannot be compared", with("at_hash", json!(1))),
        ("an old login", "longer ago", with("auth_time", json!(now - 631))),
        ("no iat", "issued-at", good.clone().without("iat")),
        ("expired", "expired", with("exp", json!(now - 31))),
        ("no subject", "subject", good.clone().without("sub")),
        ("an access token", "type", good.clone().header("typ", "at+jwt")),
        ("a logout token", "type", good.clone().header("typ", "logout+jwt")),
        ("unsigned", "algorithm", good.clone().header("alg", "none")),
        ("by an unknown key", "key", good.clone().header("kid", "other")),
    ] {
        let refused = outcome(&world, &bad.sign("k", &key)).await.expect_err(what);
        assert!(refused.contains(said), "{what}: {refused}");
    }
    let forged = good.sign("k", &KeyPair::ed());
    assert_eq!(outcome(&world, &forged).await.unwrap_err(), "signature");
}

#[tokio::test]
async fn it_is_no_callers_token_on_the_data_path() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |_| {}).await;
    assert_eq!(world.check(&draft(&world).sign("k", &key)).await, "audience");
}

#[tokio::test]
async fn what_is_kept_is_believed_for_its_time_and_holds_no_token() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |issuer| {
        issuer.groups.claims = vec!["/groups".to_owned(), "/roles".to_owned()];
    })
    .await;
    let token = draft(&world).claim("sid", "s-1").sign("k", &key);
    let signed_in = world.authenticator.sign_in(&token, &EXPECTED).await.unwrap();
    assert_eq!(signed_in.issuer_session.as_deref(), Some("s-1"));
    assert_eq!(signed_in.groups_from, BTreeSet::from(["/groups".to_owned()]));
    let kept = serde_json::to_string(&signed_in).unwrap();
    assert!(!kept.contains(&token) && !kept.contains(token.rsplit('.').next().unwrap()));
    let back: SignedIn = serde_json::from_str(&kept).unwrap();
    assert_eq!(back, signed_in);

    let exchange = ExchangeId::at(world.clock.now());
    let caller = world.authenticator.resume(exchange, &back).unwrap();
    assert_eq!((caller.exchange(), caller.identity()), (exchange, &signed_in.identity));
    world.clock.advance(secs(120));
    let late = world.authenticator.resume(exchange, &back).unwrap_err();
    assert!(late.to_string().contains("believed until"), "{late}");
}

#[tokio::test]
async fn the_tokens_end_counts_but_a_browser_may_arrive() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |_| {}).await;
    let now = world.clock.now();
    for (lives, believed) in [(300, 120), (90, 90), (5, 60)] {
        let token = draft(&world).claim("exp", now.as_second() + lives).sign("k", &key);
        let signed_in = world.authenticator.sign_in(&token, &EXPECTED).await.unwrap();
        assert_eq!(signed_in.believed_until.as_second() - now.as_second(), believed, "{lives}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_gone_ends_what_rests_on_it() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |_| {}).await;
    let signed_in = world.authenticator.sign_in(&draft(&world).sign("k", &key), &EXPECTED).await.unwrap();
    let exchange = ExchangeId::at(world.clock.now());
    let renamed = World::with(&[], |issuer| issuer.name = "other".to_owned()).await;
    assert!(renamed.authenticator.resume(exchange, &signed_in).is_err());
    let moved = World::with(&[], |_| {}).await;
    assert!(moved.authenticator.resume(exchange, &signed_in).is_err(), "another URL under the name");
}
