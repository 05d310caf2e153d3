//! The strict reader against hand-picked texts and against `serde_json`.

use proptest::prelude::*;

use super::*;

fn flaw(text: &[u8]) -> Option<(usize, Flaw)> {
    strict_json(text).err().map(|fault| (fault.at, fault.flaw))
}

#[test]
fn what_two_readers_could_disagree_on_is_refused_with_its_place() {
    use Flaw as F;
    for (text, at, flaw_expected) in [
        (&b"\xef\xbb\xbf{}"[..], 0, F::ByteOrderMark),
        (b"{\x00\"a\":1}", 1, F::Unexpected(0)),
        (b"\xff\xfe{\0}\0", 0, F::NotUtf8),
        (b"{\"a\":\"\xc3\"}", 6, F::NotUtf8),
        (br#"{"model":"a","model":"b"}"#, 13, F::DuplicateKey),
        (br#"{"model":"a","mode\u006c":"b"}"#, 13, F::DuplicateKey),
        (br#"{"a":{"b":[{"c":1,"c":1}]}}"#, 18, F::DuplicateKey),
        (br#"{"model":"a","Model":"b"}"#, 13, F::CollidingKeys),
        ("{\"messages\":1,\"me\u{17f}sages\":2}".as_bytes(), 14, F::CollidingKeys),
        ("{\"token\":1,\"to\u{212a}en\":2}".as_bytes(), 11, F::CollidingKeys),
        (b"{} {}", 3, F::Trailing),
        (b"{}\0", 2, F::Trailing),
        (b"{}//", 2, F::Trailing),
        (b"[NaN]", 1, F::Unexpected(b'N')),
        (b"[Infinity]", 1, F::Unexpected(b'I')),
        (b"[-Infinity]", 2, F::Unexpected(b'I')),
        (b"[18446744073709551616]", 1, F::BadNumber),
        (b"[-9223372036854775809]", 1, F::BadNumber),
        (b"[1e400]", 1, F::BadNumber),
        (b"[01]", 2, F::Unexpected(b'1')),
        (b"[+1]", 1, F::Unexpected(b'+')),
        (b"[.5]", 1, F::Unexpected(b'.')),
        (b"[1.]", 3, F::Unexpected(b']')),
        (b"[1,]", 3, F::Unexpected(b']')),
        (b"{\"a\":1,}", 7, F::Unexpected(b'}')),
        (b"{'a':1}", 1, F::Unexpected(b'\'')),
        (b"{a:1}", 1, F::Unexpected(b'a')),
        (b"[\"\n\"]", 2, F::Control),
        (br#"["\x41"]"#, 2, F::BadEscape),
        (br#"["\u12"]"#, 2, F::BadEscape),
        (br#"["\ud800"]"#, 2, F::LoneSurrogate),
        (br#"["\udc00\ud800"]"#, 2, F::LoneSurrogate),
        (br#"["\ud800\u0041"]"#, 2, F::LoneSurrogate),
        (br#"["a"#, 3, F::Ended),
        (br#"["a\"#, 3, F::Ended),
        (b"", 0, F::Ended),
        (b"tru", 3, F::Ended),
    ] {
        assert_eq!(flaw(text), Some((at, flaw_expected)), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn depth_and_count_are_bounded() {
    let nest = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(strict_json(nest(64).as_bytes()).is_ok());
    assert_eq!(flaw(nest(65).as_bytes()).map(|(_, flaw)| flaw), Some(Flaw::TooDeep));
    assert_eq!(flaw(nest(100_000).as_bytes()), Some((64, Flaw::TooDeep)));
    let many = format!("[{}0]", "0,".repeat(1_000_000));
    assert_eq!(flaw(many.as_bytes()).map(|(_, flaw)| flaw), Some(Flaw::TooMany));
}

#[test]
fn many_keys_are_compared_as_well_as_few() {
    let mut object: String = (0..50).map(|n| format!("\"key{n}\":{n},")).collect();
    object = format!("{{{object}\"KEY7\":0}}");
    assert!(matches!(flaw(object.as_bytes()), Some((_, Flaw::CollidingKeys))));
}

#[test]
fn spans_lie_on_the_values() {
    let text = br#" {"a" : ["x\n", -12 ] } "#;
    let root = strict_json(text).unwrap();
    let a = root.get("a").unwrap();
    assert_eq!(&text[a.span()], br#"["x\n", -12 ]"#);
    assert_eq!(&text[a.items()[0].inner()], br"x\n");
    assert_eq!(&text[a.items()[1].span()], b"-12");
    assert_eq!(&text[root.members()[0].key_inner()], b"a");
}

#[test]
fn the_lenient_rules_pass_what_clients_may_read() {
    for text in [
        &br#"{"a":NaN,"a":-Infinity,"b":[Infinity,1e999,123456789012345678901234567890]}"#[..],
        b"[\"\x01\xff\"]",
        br#"["\ud800"]"#,
    ] {
        assert!(lenient_json(text).is_ok(), "{}", String::from_utf8_lossy(text));
        assert!(strict_json(text).is_err());
    }
    assert_eq!(lenient_json(br#""\ud800x""#).unwrap().text(), Some("\u{fffd}x"));
    for text in [&b"{"[..], b"<html>", br#"["\q"]"#, b"{} {}"] {
        assert!(lenient_json(text).is_err());
    }
}

/// Whether `ours` says what serde_json's `theirs` says.
fn agree(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::String(a), Theirs::String(b)) => a == b,
        (Value::Number(Number::Unsigned(a)), Theirs::Number(b)) => b.as_u64() == Some(*a),
        (Value::Number(Number::Signed(a)), Theirs::Number(b)) => b.as_i64() == Some(*a),
        // serde_json's quick float reading may differ in the last bit.
        (Value::Number(Number::Float(a)), Theirs::Number(b)) => {
            b.is_f64() && b.as_f64().is_some_and(|b| (a - b).abs() <= a.abs() * 1e-15)
        }
        (Value::Array(a), Theirs::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(&a.value, b))
        }
        (Value::Object(a), Theirs::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|member| b.get(&*member.key).is_some_and(|b| agree(&member.node.value, b)))
        }
        _ => false,
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e300..1e300).prop_map(|float: f64| float.into()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts near JSON: pieces of it in any order, and JSON with bytes exchanged.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"A\"",
        "\\u0061",
        "\\ud83d\\ude00",
        "\\",
        "1",
        "-",
        "-0",
        "0.5",
        "e",
        "E+9",
        "1e309",
        "null",
        "true",
        " ",
        "\n",
        "NaN",
        "\u{e9}",
        "\u{7f}",
        "99999999999999999999",
    ]);
    let soup = prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat().into_bytes());
    let bent = (json(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        text
    });
    prop_oneof![soup, bent, json().prop_map(|value| value.to_string().into_bytes())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_strict_accepts_serde_json_reads_alike(text in near_json()) {
        if let Ok(ours) = strict_json(&text) {
            let theirs: serde_json::Value = serde_json::from_slice(&text).unwrap();
            prop_assert!(agree(&ours.value, &theirs), "{}", String::from_utf8_lossy(&text));
            prop_assert!(lenient_json(&text).is_ok());
        }
    }

    #[test]
    fn good_json_is_accepted(value in json()) {
        let text = value.to_string();
        let ours = strict_json(text.as_bytes());
        prop_assert!(ours.is_ok_and(|ours| agree(&ours.value, &value)));
    }

    #[test]
    fn no_input_panics(text in any::<Vec<u8>>()) {
        let _ = strict_json(&text);
        let _ = lenient_json(&text);
    }
}
