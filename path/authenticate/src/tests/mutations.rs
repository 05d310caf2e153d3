//! Arbitrary bytes and damaged tokens: nothing panics, and nothing but the token that was signed passes.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::World;
use super::sampled::{KeyPair, encode, raw};
use crate::{front_end, strict};

struct Range {
    runtime: Runtime,
    world: World,
    key: KeyPair,
}

/// One world for every case: its keys are fetched once.
fn range() -> &'static Range {
    static RANGE: OnceLock<Range> = OnceLock::new();
    RANGE.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let key = KeyPair::ec();
        let world = runtime.block_on(async {
            let world = World::with(&[("k", &key)], |_| {}).await;
            world.authenticator.warm().await;
            world
        });
        Range { runtime, world, key }
    })
}

fn check(token: &str) -> &'static str {
    let range = range();
    let inspection = range.runtime.block_on(range.world.authenticator.inspect(token));
    match inspection.checks.iter().find(|checked| checked.verdict != crate::Verdict::Passed) {
        Some(checked) => checked.check,
        None => "accepted",
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,6}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(front_end(&bytes).is_err());
    }

    #[test]
    fn text_is_no_token(text in "[A-Za-z0-9_.?=-]{0,120}") {
        prop_assert!(front_end(text.as_bytes()).is_err());
        prop_assert_ne!(check(&text), "accepted");
    }

    #[test]
    fn a_damaged_token_does_not_pass(at in any::<prop::sample::Index>(), byte in 0x21_u8..0x7f, act in 0..4) {
        let range = range();
        let good = range.world.draft().sign("k", &range.key);
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        match act {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
        let damaged = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(check(&damaged) == "accepted", damaged == good, "{}", damaged);
    }

    #[test]
    fn claims_of_any_type_never_panic(
        name in prop::sample::select(vec![
            "iss", "aud", "sub", "exp", "nbf", "iat", "groups", "email", "email_verified", "amr", "acr", "scope",
            "_claim_names", "hasgroups", "auth_time", "azp",
        ]),
        value in json(),
    ) {
        let range = range();
        let name: &str = name;
        let check = check(&range.world.draft().claim(name, value.clone()).sign("k", &range.key));
        // The strict claims are refused unless they are of their very shape.
        if ["iss", "aud", "exp"].contains(&name) {
            prop_assert_ne!(check, "accepted");
        }
        if name == "sub" && check == "accepted" {
            prop_assert!(value.as_str().is_some_and(|sub| !sub.is_empty()));
        }
    }

    #[test]
    fn any_header_and_payload_never_panic(header in json(), payload in json()) {
        let token = raw(header.to_string(), payload.to_string(), &range().key);
        prop_assert_ne!(check(&token), "accepted");
    }

    #[test]
    fn strict_json_reads_what_json_is(value in json()) {
        let text = value.to_string();
        let read = strict::object(text.as_bytes());
        match serde_json::from_str(&text).unwrap() {
            Value::Object(members) => prop_assert_eq!(read, Ok(members)),
            _ => prop_assert!(read.is_err()),
        }
    }

    #[test]
    fn a_member_twice_is_found_wherever_it_is(name in "[a-z]{1,4}", before in json(), after in json()) {
        let twice = format!("{{\"x\":[{{\"{name}\":{before},\"{name}\":{after}}}]}}");
        prop_assert!(strict::object(twice.as_bytes()).is_err());
        let once = format!("{{\"x\":[{{\"{name}\":{before},\"{name}2\":{after}}}]}}");
        prop_assert!(strict::object(once.as_bytes()).is_ok());
    }

    #[test]
    fn the_front_end_passes_what_is_well_made(members in prop::collection::btree_map("[a-z]{1,8}", json(), 0..6)) {
        let token = format!("{}.{}.{}", encode(r#"{"alg":"ES256"}"#), encode(json!(members).to_string()), encode("x"));
        prop_assert!(front_end(token.as_bytes()).is_ok());
    }
}
