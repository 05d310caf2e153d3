//! Every defect a token may have, each beside a token without it: the one is refused by the right
//! check, the other accepted.

use serde_json::{Value, json};

use super::sampled::{Draft, KeyPair, encode, raw, signed};
use super::{World, secs};
use crate::Verdict;

/// A defect: what it is, the check that finds it, a token that has it and one that has not.
type Row = (&'static str, &'static str, String, String);

struct Keys {
    rsa: KeyPair,
    ps: KeyPair,
    rs512: KeyPair,
    ec: KeyPair,
    ec2: KeyPair,
    ed: KeyPair,
}

async fn world() -> (World, Keys) {
    let keys = Keys {
        rsa: KeyPair::rsa(0, "RS256"),
        ps: KeyPair::rsa(0, "PS256"),
        rs512: KeyPair::rsa(0, "RS512"),
        ec: KeyPair::ec(),
        ec2: KeyPair::ec(),
        ed: KeyPair::ed(),
    };
    let world = World::with(&[], |_| {}).await;
    let mut enc = keys.rsa.jwk("enc");
    enc["use"] = json!("enc");
    let mut sealing = keys.rsa.jwk("sealing");
    sealing["key_ops"] = json!(["encrypt"]);
    let mut weak = keys.rsa.jwk("weak");
    weak["n"] = json!(encode([0xc5; 128]));
    let mut leaked = keys.ed.jwk("leaked");
    leaked["d"] = json!(encode([7; 32]));
    world.site.publish_json(&json!({"keys": [
        keys.rsa.jwk("rsa"), keys.ps.jwk("ps"), keys.rs512.jwk("rs512"), keys.ec.jwk("ec"), keys.ec2.jwk("ec2"),
        keys.ed.jwk("ed"), enc, sealing, weak, leaked,
        {"kty": "oct", "kid": "oct", "alg": "HS256", "k": encode([1; 32])},
        {"kty": "EC", "kid": "p521", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-65", "pub": "AA"},
    ]}));
    (world, keys)
}

async fn judge(world: &World, rows: Vec<Row>) {
    for (what, check, bad, good) in rows {
        assert_eq!(world.check(&good).await, "accepted", "without: {what}");
        assert_eq!(world.check(&bad).await, check, "{what}");
        // A second look must not be kinder, and inspection must agree with the request path.
        assert_eq!(world.check(&bad).await, check, "again: {what}");
        let inspection = world.authenticator.inspect(&bad).await;
        assert!(!inspection.accepted, "inspected: {what}");
        let failed: Vec<_> = inspection
            .checks
            .iter()
            .filter(|checked| matches!(checked.verdict, Verdict::Failed { .. }))
            .map(|checked| checked.check)
            .collect();
        assert_eq!(failed, [check], "inspected: {what}");
    }
}

#[tokio::test]
async fn every_key_type_verifies() {
    let (world, keys) = world().await;
    let pairs =
        [("rsa", &keys.rsa), ("ps", &keys.ps), ("ec", &keys.ec), ("ec2", &keys.ec2), ("ed", &keys.ed)];
    for (id, pair) in pairs {
        assert_eq!(world.check(&world.draft().sign(id, pair)).await, "accepted", "{id}");
        for (other, _) in pairs.iter().filter(|(other, _)| *other != id) {
            let check = world.check(&world.draft().sign(other, pair)).await;
            assert!(["key", "signature"].contains(&check), "{id} as {other}: {check}");
        }
    }
}

#[tokio::test]
async fn the_encoding() {
    let (world, keys) = world().await;
    let key = &keys.ed;
    let draft = world.draft();
    let good = draft.sign("ed", key);
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let resigned = |header: &str, payload: &str| signed(&format!("{header}.{payload}"), key);
    // 64 bytes of signature leave four bits over in the last letter.
    let last = signature.chars().last().unwrap();
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    let trailing = format!("{header}.{payload}.{}{next}", &signature[..signature.len() - 1]);
    let question = |text: &str| format!("{}?{}", &text[..4], &text[4..]);
    let padded = |length: usize| {
        let empty = json!({"alg": "EdDSA", "kid": "ed", "x": ""}).to_string().len();
        draft.clone().header("x", "x".repeat(length - empty)).sign("ed", key)
    };
    let claim = |length: usize| draft.clone().claim("x", "x".repeat(length)).sign("ed", key);
    let rows: Vec<Row> = vec![
        ("`?` in the header", "structure", resigned(&question(header), payload), good.clone()),
        ("`?` in the payload", "structure", resigned(header, &question(payload)), good.clone()),
        (
            "`?` in the signature",
            "structure",
            format!("{header}.{payload}.{}", question(signature)),
            good.clone(),
        ),
        ("padding", "structure", resigned(&format!("{header}="), payload), good.clone()),
        ("a space", "structure", resigned(header, &format!("{payload} ")), good.clone()),
        (
            "the other base64 alphabet",
            "structure",
            format!("{header}.{payload}.{}+/", &signature[2..]),
            good.clone(),
        ),
        ("bits left over", "structure", trailing, good.clone()),
        ("no dots", "structure", good.replace('.', ""), good.clone()),
        ("two parts", "structure", format!("{header}.{payload}"), good.clone()),
        ("four parts", "structure", format!("{good}.{signature}"), good.clone()),
        ("five parts", "structure", format!("{good}.{signature}.{signature}"), good.clone()),
        ("a header over 16 KiB", "size", padded((16 << 10) + 1), padded(16 << 10)),
        ("a token over 64 KiB", "size", claim(49_000), claim(48_000)),
        (
            "a `sub` of 1 MB",
            "size",
            draft.clone().claim("sub", "x".repeat(1 << 20)).sign("ed", key),
            good.clone(),
        ),
    ];
    judge(&world, rows).await;
}

#[tokio::test]
async fn the_header() {
    let (world, keys) = world().await;
    let key = &keys.ed;
    let draft = world.draft();
    let good = draft.sign("ed", key);
    let claims = Value::Object(draft.claims.clone()).to_string();
    let with = |name: &str, value: Value| draft.clone().header(name, value).sign("ed", key);
    let written = |header: &str| raw(header, &claims, key);
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims));
    let rows: Vec<Row> = vec![
        ("not JSON", "header", written("alg"), written(r#"{"alg":"EdDSA","kid":"ed"}"#)),
        ("no object", "header", written(r#"["EdDSA"]"#), good.clone()),
        ("no `alg`", "header", written(r#"{"kid":"ed"}"#), good.clone()),
        ("`alg` twice", "header", written(r#"{"alg":"EdDSA","kid":"ed","alg":"EdDSA"}"#), good.clone()),
        (
            "`alg` twice, once escaped",
            "header",
            written(r#"{"alg":"EdDSA","kid":"ed","\u0061lg":"none"}"#),
            good.clone(),
        ),
        ("`alg` in an array", "header", with("alg", json!(["EdDSA"])), good.clone()),
        ("`kid` no text", "header", with("kid", json!(7)), good.clone()),
        ("`kid` of 2 KiB", "header", with("kid", json!("k".repeat(2048))), good.clone()),
        ("`typ` no text", "header", with("typ", json!(["JWT"])), with("typ", json!("jwt"))),
        (
            "`crit` of something known",
            "critical",
            with("crit", json!(["exp"])),
            with("extra", json!(["exp"])),
        ),
        ("`crit` empty", "critical", with("crit", json!([])), good.clone()),
        ("`b64`", "critical", with("b64", json!(false)), good.clone()),
        ("a logout token", "type", with("typ", json!("logout+jwt")), with("typ", json!("at+jwt"))),
        ("a DPoP proof", "type", with("typ", json!("dpop+jwt")), with("typ", json!("application/AT+JWT"))),
        ("alg none, unsigned", "algorithm", unsigned, good.clone()),
        ("alg none, signed", "algorithm", with("alg", json!("none")), good.clone()),
        ("alg NONE", "algorithm", with("alg", json!("NoNe")), good.clone()),
        ("HMAC", "algorithm", with("alg", json!("HS256")), good.clone()),
        (
            "HMAC by a published key",
            "algorithm",
            draft.clone().header("alg", "HS256").sign("oct", key),
            good.clone(),
        ),
        (
            "an algorithm not configured",
            "algorithm",
            draft.sign("rs512", &keys.rs512),
            draft.sign("rsa", &keys.rsa),
        ),
        ("the right algorithm in small letters", "algorithm", with("alg", json!("eddsa")), good.clone()),
    ];
    judge(&world, rows).await;
}

#[tokio::test]
async fn the_key() {
    let (world, keys) = world().await;
    let draft = world.draft();
    let sign = |id: &str, key: &KeyPair| draft.sign(id, key);
    let nameless = |key: &KeyPair| draft.clone().header("kid", Value::Null).sign("", key);
    let (stranger, rsa2) = (KeyPair::ed(), KeyPair::rsa(1, "RS256"));
    let embedded = draft.clone().header("jwk", stranger.jwk("ed")).header("jku", "http://127.0.0.1:1/");
    let good = sign("ed", &keys.ed);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let es = sign("ec", &keys.ec);
    let (es_message, _) = es.rsplit_once('.').unwrap();
    let mut flipped = signature.to_owned().into_bytes();
    flipped[9] = if flipped[9] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let as_ps = draft.clone().header("alg", "PS256");
    let rows: Vec<Row> = vec![
        ("a key nobody published", "key", sign("new", &keys.ed), good.clone()),
        ("a key for encryption", "key", sign("enc", &keys.rsa), sign("rsa", &keys.rsa)),
        ("a key not for verifying", "key", sign("sealing", &keys.rsa), sign("rsa", &keys.rsa)),
        ("a key of another algorithm", "key", sign("rs512", &keys.rsa), sign("rsa", &keys.rsa)),
        ("a key of another kind", "key", sign("ec", &keys.rsa), sign("rsa", &keys.rsa)),
        ("a weak key", "key", sign("weak", &keys.rsa), sign("rsa", &keys.rsa)),
        ("a secret key, published", "key", sign("leaked", &keys.ed), good.clone()),
        ("no `kid`, two keys", "key", nameless(&keys.ec), nameless(&keys.ed)),
        ("a stranger's signature", "signature", sign("ed", &stranger), good.clone()),
        ("a stranger's RSA signature", "signature", sign("rsa", &rsa2), sign("rsa", &keys.rsa)),
        (
            "a key the token brings",
            "signature",
            embedded.sign("ed", &stranger),
            embedded.sign("ed", &keys.ed),
        ),
        ("a flipped bit", "signature", format!("{message}.{flipped}"), good.clone()),
        ("no signature", "signature", format!("{message}."), good.clone()),
        ("half a signature", "signature", format!("{message}.{}", &signature[..40]), good.clone()),
        ("zeros as r and s", "signature", format!("{es_message}.{}", encode([0; 64])), es.clone()),
        ("another token's signature", "signature", format!("{es_message}.{signature}"), es.clone()),
        ("PKCS#1 as PSS", "signature", as_ps.sign("ps", &keys.rsa), sign("ps", &keys.ps)),
    ];
    judge(&world, rows).await;
}

#[tokio::test]
async fn the_claims() {
    let (world, keys) = world().await;
    let key = &keys.ed;
    let draft = world.draft();
    let good = draft.sign("ed", key);
    let header = r#"{"alg":"EdDSA","kid":"ed"}"#;
    let claims = Value::Object(draft.claims.clone()).to_string();
    let body = &claims[1..claims.len() - 1];
    let written = |claims: &[u8]| raw(header, claims, key);
    let with = |name: &str, value: Value| draft.clone().claim(name, value).sign("ed", key);
    let without = |name: &str| draft.clone().without(name).sign("ed", key);
    let url = &world.site.url;
    let extra = |extra: &str| written(format!("{{{body},{extra}}}").as_bytes());
    let nested = |depth: usize| extra(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let list = |name: &str| json!([name, "other"]);
    let rows: Vec<Row> = vec![
        ("a claim twice", "claims", extra(r#""aud":"gateway""#), extra(r#""AUD":"other""#)),
        (
            "a claim twice, once escaped",
            "claims",
            extra(r#""\u0073ub":"root""#),
            extra(r#""\u0073ubs":"root""#),
        ),
        ("a nested claim twice", "claims", extra(r#""x":{"a":1,"a":1}"#), extra(r#""x":{"a":1,"b":1}"#)),
        (
            "invalid UTF-8",
            "claims",
            written(&[claims.as_bytes(), b"\xff"].concat()),
            written(claims.as_bytes()),
        ),
        (
            "a byte order mark",
            "claims",
            written(&[b"\xef\xbb\xbf", claims.as_bytes()].concat()),
            good.clone(),
        ),
        ("something behind", "claims", written(format!("{claims}{claims}").as_bytes()), good.clone()),
        ("NUL behind", "claims", written(format!("{claims}\0").as_bytes()), good.clone()),
        ("no object", "claims", written(format!("[{claims}]").as_bytes()), good.clone()),
        ("NaN", "claims", extra(r#""x":NaN"#), extra(r#""x":0"#)),
        ("deep nesting", "claims", nested(200), nested(8)),
        ("`iss` as array", "issuer", with("iss", json!([url])), with("iss", json!(url))),
        ("no `iss`", "issuer", without("iss"), good.clone()),
        ("`iss` with a slash more", "issuer", with("iss", json!(format!("{url}/"))), good.clone()),
        ("`iss` in other letters", "issuer", with("iss", json!(url.to_uppercase())), good.clone()),
        ("no `aud`", "audience", without("aud"), good.clone()),
        ("another `aud`", "audience", with("aud", json!("other")), with("aud", list("gateway"))),
        ("`aud` null", "audience", with("aud", Value::Null), good.clone()),
        ("`aud` empty", "audience", with("aud", json!([])), with("aud", json!(["gateway"]))),
        ("`aud` holding a number", "audience", with("aud", json!(["gateway", 1])), good.clone()),
        ("`aud` a list in one text", "audience", with("aud", json!("openid gateway")), good.clone()),
        ("no `sub`", "subject", without("sub"), good.clone()),
        ("`sub` empty", "subject", with("sub", json!("")), with("sub", json!("a"))),
        ("`sub` with NUL", "subject", with("sub", json!("alice\0")), with("sub", json!("alice 0"))),
        ("`sub` with CRLF", "subject", with("sub", json!("alice\r\nbob")), with("sub", json!("Älice"))),
        (
            "`sub` of 256 bytes",
            "subject",
            with("sub", json!("x".repeat(256))),
            with("sub", json!("x".repeat(255))),
        ),
        ("`sub` a number", "subject", with("sub", json!(7)), with("sub", json!("7"))),
    ];
    judge(&world, rows).await;
}

#[tokio::test]
async fn the_times() {
    let (world, keys) = world().await;
    let draft = world.draft();
    let with = |name: &str, value: Value| draft.clone().claim(name, value).sign("ed", &keys.ed);
    let without = |name: &str| draft.clone().without(name).sign("ed", &keys.ed);
    let now = super::now().as_second();
    let good = draft.sign("ed", &keys.ed);
    let rows: Vec<Row> = vec![
        ("no `exp`", "expiry", without("exp"), good.clone()),
        ("`exp` 2^63", "expiry", with("exp", json!(1_u64 << 63)), with("exp", json!(253_402_207_199_i64))),
        ("`exp` 2^64", "expiry", with("exp", json!(18_446_744_073_709_551_616_f64)), good.clone()),
        ("`exp` beyond the year 9999", "expiry", with("exp", json!(253_402_300_800_i64)), good.clone()),
        (
            "`exp` with a fraction",
            "expiry",
            with("exp", json!(now as f64 + 60.5)),
            with("exp", json!(now + 60)),
        ),
        ("`exp` as text", "expiry", with("exp", json!((now + 60).to_string())), good.clone()),
        ("`exp` null", "expiry", with("exp", Value::Null), good.clone()),
        ("`exp` negative", "expiry", with("exp", json!(-1)), good.clone()),
        ("past, skew too", "expired", with("exp", json!(now - 30)), with("exp", json!(now - 29))),
        ("`nbf` as text", "not-before", with("nbf", json!("0")), with("nbf", json!(0))),
        ("`nbf` null", "not-before", with("nbf", Value::Null), good.clone()),
        ("`nbf` to come", "not-before", with("nbf", json!(now + 31)), with("nbf", json!(now + 30))),
        ("`nbf` 2^63", "not-before", with("nbf", json!(1_u64 << 63)), good.clone()),
        (
            "`iat` as text",
            "issued-at",
            with("iat", json!(now.to_string())),
            with("iat", json!(now as f64 - 0.5)),
        ),
        ("`iat` to come", "issued-at", with("iat", json!(now + 31)), with("iat", json!(now + 30))),
        ("`iat` before 1970", "issued-at", with("iat", json!(-5)), without("iat")),
    ];
    judge(&world, rows).await;
}

#[tokio::test]
async fn the_type_where_only_access_tokens_count() {
    let key = KeyPair::ed();
    let strict = |settings: &mut config::Issuer| settings.token_types = vec!["at+jwt".to_owned()];
    let world = World::with(&[("k", &key)], strict).await;
    let typed = |kind: Value| world.draft().header("typ", kind).sign("k", &key);
    let good = typed(json!("at+jwt"));
    judge(
        &world,
        vec![
            ("no `typ`, which counts as JWT", "type", typed(Value::Null), good.clone()),
            ("an ID token", "type", typed(json!("JWT")), good),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_age() {
    let key = KeyPair::ed();
    let aged = |settings: &mut config::Issuer| settings.max_token_age = Some(secs(60));
    let world = World::with(&[("k", &key)], aged).await;
    let now = super::now().as_second();
    let issued = |at: i64| world.draft().claim("iat", at).sign("k", &key);
    judge(
        &world,
        vec![
            ("too old", "age", issued(now - 90), issued(now - 89)),
            ("of unknown age", "age", world.draft().without("iat").sign("k", &key), issued(now)),
        ],
    )
    .await;
}

#[tokio::test]
async fn outsiders_learn_no_more_than_they_must() {
    let (world, keys) = world().await;
    let told = async |draft: Draft, id: &str, key: &KeyPair| {
        world.caller(&draft.sign(id, key)).await.unwrap_err().refusal()
    };
    let late = world.draft().claim("exp", super::now().as_second() - 60);
    let mine = told(late.clone(), "ed", &keys.ed).await;
    assert_eq!((mine.code.name(), mine.code.status().as_u16()), ("token_expired", 401));
    let forged = told(late, "ed", &KeyPair::ed()).await;
    let foreign = told(world.draft().claim("aud", "x"), "ed", &keys.ed).await;
    let unknown = told(world.draft().claim("iss", "https://evil.test"), "ed", &keys.ed).await;
    assert_eq!(forged.code.name(), "token_invalid");
    assert!(forged.reason == foreign.reason && foreign.reason == unknown.reason);
    assert!(forged.detail.unwrap().starts_with("signature: "));
    assert!(foreign.detail.unwrap().starts_with("audience: "));
    let none = world.authenticator.caller(model::ExchangeId::at(super::now()), &http::HeaderMap::new()).await;
    assert_eq!(none.unwrap_err().refusal().code.name(), "token_missing");
}
