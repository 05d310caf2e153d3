//! Lanes, wrappings and encodings through the masker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use model::{
    AnswerHead, DataClass, Encoding, ExchangeId, Lane, Layout, LayoutFault, Piece, Reveal, Unmasked,
};
use proptest::prelude::*;

use super::splits::{cut, cuts, oracle, shown, stream, text};
use super::{ALNUM, Shows, noise, planted, rules, views};
use crate::{Masker, Part};

/// Gives one prepared list of pieces a push.
struct Script(Vec<Vec<Piece>>);

impl Layout for Script {
    fn push(&mut self, _bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.extend(self.0.remove(0));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        self.0.drain(..).for_each(|pieces| out.extend(pieces));
        Ok(())
    }
}

fn id() -> ExchangeId {
    ExchangeId::from_bytes([7; 16])
}

fn masker(script: Vec<Vec<Piece>>, viewer: impl Reveal + 'static) -> Masker {
    Masker::begin(id(), rules(), Arc::new(viewer), Box::new(Script(script)))
}

fn body(part: crate::Masked) -> Bytes {
    match part.into_part() {
        Part::Body { bytes, .. } => bytes,
        other => panic!("{other:?}"),
    }
}

fn push(masker: &mut Masker) -> Bytes {
    body(masker.push(Unmasked { exchange: id(), bytes: Bytes::new() }).unwrap())
}

fn part(lane: u32, encoding: Encoding, raw: &str) -> Piece {
    Piece::Text { lane: Lane(lane), encoding, raw: Bytes::copy_from_slice(raw.as_bytes()) }
}

fn syntax(raw: &'static str) -> Piece {
    Piece::Syntax(Bytes::from_static(raw.as_bytes()))
}

fn end(lane: u32) -> Piece {
    Piece::End { lane: Lane(lane), before: Bytes::from_static(b"<"), after: Bytes::from_static(b">") }
}

fn whole(encoding: Encoding, raw: impl Into<Bytes>) -> Piece {
    Piece::Whole { encoding, raw: raw.into() }
}

#[test]
fn interleaved_lanes_keep_their_texts_apart_and_flush_at_their_end() {
    let token = format!("{}{}", "ghp_", noise(1, 36, ALNUM));
    let (head, tail) = token.split_at(11);
    let plain = |lane, raw| part(lane, Encoding::Plain, raw);
    let mut masker = masker(
        vec![
            vec![
                syntax("{"),
                plain(0, "see "),
                plain(0, head),
                syntax(","),
                plain(1, "see ghp_"),
                syntax("}"),
            ],
            vec![plain(0, tail), plain(0, "; "), plain(1, "no"), plain(2, "sk-")],
            vec![end(0), end(1), end(2), end(3)],
        ],
        Shows(vec![]),
    );
    assert_eq!(push(&mut masker), "{see ,see }");
    assert_eq!(masker.held(), 11 + 4);
    assert_eq!(push(&mut masker), "[credential.github]; ");
    assert_eq!(push(&mut masker), "<ghp_no><sk->", "a lane that holds nothing says nothing");
    assert_eq!(body(masker.finish().unwrap()), "");
    assert_eq!(masker.findings().masked.values().sum::<u64>(), 1);
}

#[test]
fn a_value_held_at_the_end_is_masked_in_its_wrapping() {
    let text = format!("id {}{}", "AKIA", noise(3, 16, "ABCDEFGH234567"));
    let script = vec![vec![part(0, Encoding::JsonString, &text)], vec![end(0)]];
    let mut masker = masker(script, Shows(vec![]));
    assert_eq!(push(&mut masker), "id ");
    assert_eq!(push(&mut masker), "<[credential.aws]>");
}

#[test]
fn a_lane_that_never_ends_is_a_fault_that_stays() {
    let mut masker = masker(vec![vec![part(0, Encoding::Plain, "ghp_")], vec![]], Shows(vec![]));
    assert_eq!(push(&mut masker), "");
    assert!(masker.finish().is_err());
    assert!(masker.push(Unmasked { exchange: id(), bytes: Bytes::new() }).is_err());
}

#[test]
fn bytes_of_another_exchange_are_refused() {
    let mut masker = masker(vec![vec![syntax("x")]], Shows(vec![]));
    let bytes = Unmasked { exchange: ExchangeId::from_bytes([8; 16]), bytes: Bytes::new() };
    assert!(masker.push(bytes).is_err());
}

#[test]
fn numbers_become_strings_only_when_masked() {
    let card = ["4111", "1111", "1111", "1111"].concat();
    let number = |raw: String| whole(Encoding::JsonNumber, raw);
    let script =
        vec![vec![number("0.25".into()), syntax(" "), number(card.clone()), number(format!("-{card}"))]];
    let mut masked = masker(script.clone(), Shows(vec![]));
    assert_eq!(push(&mut masked), r#"0.25 "[pii.credit-card]""-[pii.credit-card]""#);
    let mut shown = masker(script, Shows(vec!["pii"]));
    assert_eq!(push(&mut shown), format!("0.25 {card}-{card}"));
}

/// Counts how often it is asked.
struct Asked(Arc<AtomicUsize>, bool);

impl Reveal for Asked {
    fn reveals(&self, _class: &DataClass) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1
    }
}

#[test]
fn opaque_values_pass_whole_or_not_at_all_and_policy_is_asked_once() {
    let class = DataClass::new("opaque.image").unwrap();
    let image =
        |encoding| Piece::Classed { class: class.clone(), encoding, raw: Bytes::from_static(b"ghp_\xff") };
    let script = vec![vec![
        syntax("a"),
        image(Encoding::JsonString),
        syntax("b"),
        image(Encoding::JsonNumber),
        whole(Encoding::Plain, "a@b.org c@d.org"),
    ]];
    let asked = Arc::new(AtomicUsize::new(0));
    let mut hidden = masker(script.clone(), Asked(asked.clone(), false));
    assert_eq!(push(&mut hidden), r#"a[opaque.image]b"[opaque.image]"[pii.email] [pii.email]"#);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(hidden.findings().masked[&class], 2);

    let mut shown = masker(script, Asked(asked, true));
    let part = shown.push(Unmasked { exchange: id(), bytes: Bytes::new() }).unwrap().into_part();
    let Part::Body { bytes, opaque } = part else { panic!() };
    assert_eq!(&bytes[..], b"aghp_\xffbghp_\xffa@b.org c@d.org");
    let ranges: Vec<_> = opaque.into_iter().map(|o| o.range).collect();
    assert_eq!(ranges, [1..6, 7..12]);
    assert_eq!(shown.findings().revealed.values().sum::<u64>(), 4);
}

#[test]
fn headers_and_trailers_are_masked_and_strange_bytes_hide_nothing() {
    let token = format!("{}{}", "npm_", noise(1, 36, ALNUM));
    let mut headers = HeaderMap::new();
    headers.append("x-note", HeaderValue::from_static("fine"));
    headers.append(
        "x-note",
        HeaderValue::from_bytes(&[b"\xff\xfe ", token.as_bytes(), b" \xe9"].concat()).unwrap(),
    );
    headers.append("x-raw", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    let mut masker = masker(vec![], Shows(vec![]));
    let head = AnswerHead { status: StatusCode::OK, headers: headers.clone() };
    let Part::Head { status, headers: out } = masker.head(&head).into_part() else { panic!() };
    assert_eq!(status, StatusCode::OK);
    let notes: Vec<_> = out.get_all("x-note").iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(notes, [&b"fine"[..], b"\xff\xfe [credential.npm] \xe9"]);
    assert_eq!(out["x-raw"].as_bytes(), b"\xff\xfe");
    let Part::Trailers(out) = masker.trailers(&headers).into_part() else { panic!() };
    assert_eq!(out.len(), 3);
    assert_eq!(masker.findings().masked.values().sum::<u64>(), 2);
}

/// Writes `text` as the inside of a JSON string, escaping now this way and now that. Gives the raw text
/// of each character.
fn write_json(text: &str, seed: u64) -> Vec<String> {
    let ways = noise(seed, text.chars().count(), "aaaaaaaaub");
    let hex = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect::<String>();
    let one = |(c, way): (char, char)| match (c, way) {
        ('"' | '\\' | '/', 'b') | ('"' | '\\', 'a') => format!("\\{c}"),
        ('\n', 'a' | 'b') => "\\n".to_owned(),
        (c, 'u') => hex(c),
        (c, _) if c.is_control() => hex(c).to_uppercase().replace("\\U", "\\u"),
        (c, _) => c.to_string(),
    };
    text.chars().zip(ways.chars()).map(one).collect()
}

#[test]
fn every_value_is_found_in_escapes() {
    for (rule, marked) in planted() {
        let text: String = marked.chars().filter(|c| !"«»".contains(*c)).collect();
        let expected = views::without(text.as_bytes(), &views::redact(oracle(), text.as_bytes(), |_| true));
        let raw: String = text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect();
        let out = stream(&[raw.as_bytes()], true, &Shows(vec![]));
        let read: String = serde_json::from_str(&format!("\"{}\"", String::from_utf8(out).unwrap())).unwrap();
        assert_eq!(read.as_bytes(), expected, "{rule}");
    }
}

#[test]
fn lone_surrogates_and_what_is_no_escape_leave_as_they_came() {
    for raw in [r"\ud83d", r"\ude00\ud83d x", r"\ud83d\ude00", r"\x \", r"\u12", r"\uZZZZ\u00e9"] {
        for at in 0..=raw.len() {
            let (a, b) = raw.as_bytes().split_at(at);
            assert_eq!(stream(&[a, b], true, &Shows(vec![])), raw.as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_strings_are_masked_in_place(
        text in text(), seed in any::<u64>(), cuts in cuts(), shown in shown(),
    ) {
        let shows = Shows(shown);
        let hidden = |class: &str| !shows.0.iter().any(|c| class == *c || class.starts_with(&format!("{c}.")));
        let values = views::redact(oracle(), text.as_bytes(), hidden);
        let written = write_json(&text, seed);
        // What must come out: each character as it was written, but for masked ones.
        let mut expected = String::new();
        for ((at, _), raw) in text.char_indices().zip(&written) {
            match values.iter().find(|(range, _)| range.contains(&at)) {
                Some((range, class)) if range.start == at => expected.push_str(&format!("[{}]", class.clone().unwrap())),
                Some(_) => {}
                None => expected.push_str(raw),
            }
        }
        let raw = written.concat();
        let out = stream(&cut(raw.as_bytes(), &cuts), true, &shows);
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
