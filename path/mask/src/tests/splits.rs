//! However a text is cut, the output is what the oracle makes of the whole.

use std::sync::OnceLock;

use bytes::BytesMut;
use proptest::prelude::*;

use super::made::value;
use super::oracle::Oracle;
use super::{ALNUM, Shows, noise, planted, rules, views};
use crate::catalogue;
use crate::escapes::LONGEST_UNIT;
use crate::lane::{Bench, Judge, LaneText};

pub(crate) fn oracle() -> &'static Oracle {
    static ORACLE: OnceLock<Oracle> = OnceLock::new();
    ORACLE.get_or_init(Oracle::new)
}

/// Pushes the chunks of a text through one lane, and checks the hold on the way.
pub(crate) fn stream(chunks: &[&[u8]], json: bool, shows: &Shows) -> Vec<u8> {
    let rules = rules();
    let (mut judge, mut out, mut lane) = (Judge::default(), BytesMut::new(), LaneText::default());
    for (n, chunk) in chunks.iter().enumerate() {
        let mut bench = Bench { rules: &rules, reveal: shows, judge: &mut judge, out: &mut out };
        let last = n + 1 == chunks.len() && n % 2 == 0;
        if json {
            lane.json(chunk, last, &mut bench)
        } else {
            lane.plain(chunk, last, &mut bench)
        }
        assert!(lane.held() <= rules.max_hold() * LONGEST_UNIT, "{} bytes held", lane.held());
    }
    lane.end(&mut Bench { rules: &rules, reveal: shows, judge: &mut judge, out: &mut out });
    assert!(!lane.holds());
    out.to_vec()
}

/// Cuts `text` after each of `cuts`, in order, and begins anew at the first when they are used up.
pub(crate) fn cut<'a>(mut text: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for cut in cuts.iter().cycle() {
        if text.len() <= *cut {
            break;
        }
        let (chunk, rest) = text.split_at(*cut);
        chunks.push(chunk);
        text = rest;
    }
    chunks.push(text);
    chunks
}

/// Texts of prose, made-up values, beginnings of values and signs that matter, in any order.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let planted =
        planted().into_iter().map(|(_, text)| text.chars().filter(|c| !"«»".contains(*c)).collect());
    let made = catalogue::standard().into_iter().filter_map(|rule| Some(value(&rule, 7, true)?.0));
    let values: Vec<String> = planted.chain(made).collect();
    let value =
        (prop::sample::select(values), any::<prop::sample::Index>(), 0..4u8).prop_map(|(value, at, kind)| {
            let at = value.floor_char_boundary(at.index(value.len()));
            match kind {
                0 => value.split_at(at).0.to_owned(),
                1 => value.split_at(at).1.to_owned(),
                _ => value,
            }
        });
    let word = prop::sample::select(vec![
        " ",
        "\n",
        "the ",
        "a.b",
        "@",
        "@x.org",
        ".",
        "-",
        "_",
        "4111 ",
        "0.",
        "token=",
        "password: \"",
        "AKIA",
        "eyJ",
        "sk-",
        "://",
        ":",
        "=",
        "\"",
        "é",
        "😀",
        "\\n",
        "x@",
        "xn--",
        "-----BEGIN ",
        "DE89",
        "api_key = ",
        "token-",
        "cpf ",
        "phone: ",
        "0123456789abcdef",
        "\\n",
    ]);
    let part = prop_oneof![
        3 => value,
        4 => word.prop_map(str::to_owned),
        1 => "[a-z@.]{1,80}",
        1 => "[0-9 -]{1,30}",
    ];
    prop::collection::vec(part, 1..9).prop_map(|parts| parts.concat())
}

pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        prop::collection::vec(1..8usize, 1..9),
        prop::collection::vec(1..200usize, 1..9),
    ]
}

pub(crate) fn shown() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec!["pii"]),
        1 => Just(vec!["credential"]),
        1 => Just(vec!["pii.email", "credential.github"]),
    ]
}

/// Each case is cut in four ways, so at least 10,000 chunkings. For millions: `cargo xtask soak mask`.
pub(crate) fn cases() -> u32 {
    ProptestConfig::default().cases.saturating_mul(10)
}

#[test]
fn every_value_survives_every_single_cut() {
    for (rule, marked) in planted() {
        let text: String = marked.chars().filter(|c| !"«»".contains(*c)).collect();
        let values = views::redact(oracle(), text.as_bytes(), |_| true);
        let expected = views::without(text.as_bytes(), &values);
        assert!(!values.is_empty(), "{rule}");
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            let out = stream(&[a, b], false, &Shows(vec![]));
            assert_eq!(out, expected, "{rule} cut at {at}");
        }
    }
}

/// Texts that once came out otherwise in pieces than whole, and why.
#[test]
fn what_once_depended_on_the_cuts_does_no_more() {
    let noise = |len| noise(3, len, ALNUM);
    for text in [
        // Behind a dash a value begins with eight letters and digits, which may not all have come.
        format!("tskey-gujs-{}-{}", noise(8), noise(6)),
        format!("token-fat_{}", noise(24)),
        format!("\u{e9}token-fat_{}", noise(24)),
        // The same before a word that announces by itself.
        format!("key token-fat_{}", noise(24)),
        format!("token-{} token-{}", noise(7), noise(16)),
    ] {
        let expected = views::without(text.as_bytes(), &views::redact(oracle(), text.as_bytes(), |_| true));
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            let out = stream(&[a, b], false, &Shows(vec![]));
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected), "cut at {at}");
        }
        let out = stream(&cut(text.as_bytes(), &[1]), false, &Shows(vec![]));
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected), "byte by byte");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_changes_anything(
        text in text(),
        cuts in prop::collection::vec(cuts(), 4),
        shown in shown(),
    ) {
        let shows = Shows(shown);
        let hidden = |class: &str| !shows.0.iter().any(|c| class == *c || class.starts_with(&format!("{c}.")));
        let (_, values) = oracle().redact(text.as_bytes(), hidden);
        let expected = views::without(text.as_bytes(), &views::redact(oracle(), text.as_bytes(), hidden));
        if shows.0.is_empty() {
            let finds: Vec<_> = rules().find(text.as_bytes()).into_iter().map(|f| (f.rule.to_string(), f.range)).collect();
            let values: Vec<_> = values.into_iter().map(|v| (v.rule, v.range)).collect();
            prop_assert_eq!(finds, values);
        }
        for cuts in cuts {
            let out = stream(&cut(text.as_bytes(), &cuts), false, &shows);
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
        }
    }

    #[test]
    fn bytes_that_are_no_text_survive(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        let expected = views::without(&bytes, &views::redact(oracle(), &bytes, |_| true));
        prop_assert_eq!(stream(&cut(&bytes, &cuts), false, &Shows(vec![])), expected);
    }
}
