//! Placeholders that show the end of a value, against whole texts read the slow way.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use model::{AskedText, DataClass, Encoding};
use proptest::prelude::*;

use super::splits::{cut, cuts, oracle, shown, text};
use super::views::{disguised, in_base64, resolved};
use super::{ALNUM, Shows, noise, planted, rules};
use crate::lane::{Bench, Judge, LaneText};
use crate::{Mark, Marks, Rules, disclose, mask_text};

/// Which classes show their end here, besides what may never.
const PARTIAL: [&str; 2] = ["pii", "credential"];

fn marks() -> Marks {
    PARTIAL.iter().map(|class| (DataClass::new(class).unwrap(), Mark::Partial)).collect()
}

fn partial() -> Arc<Rules> {
    static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
    RULES.get_or_init(|| Rules::with(&[], &marks()).unwrap().0).clone()
}

/// The last letters and digits that may be shown, counted anew.
fn end_of(class: &str, value: &[u8]) -> String {
    let signs: Vec<char> =
        value.iter().filter(|b| b.is_ascii_alphanumeric()).map(|b| char::from(*b)).collect();
    let shown = match signs.len() {
        _ if class.starts_with("credential") => 0,
        ..12 => 0,
        12..16 => 3,
        16.. => 4,
    };
    signs[signs.len() - shown..].iter().collect()
}

/// A value as one way of reading the text finds it: where it lies, its class, and its end.
type Seen = (Range<usize>, u8, String, String);

/// What the whole text must become.
fn expected(text: &[u8], hidden: impl Fn(&str) -> bool) -> Vec<u8> {
    let (view, units) = resolved(text);
    let mut seen: Vec<Seen> = Vec::new();
    for value in oracle().redact(text, &hidden).1 {
        let end = end_of(&value.class, &text[value.range.clone()]);
        seen.push((value.range, 0, value.class, end));
    }
    for (rank, view) in std::iter::once((1, view)).chain(in_base64(text).into_iter().map(|view| (2, view))) {
        for value in oracle().redact(&view.bytes, &hidden).1 {
            let place = view.places[value.range.start].start..view.places[value.range.end - 1].end;
            seen.push((place, rank, value.class.clone(), end_of(&value.class, &view.bytes[value.range])));
        }
    }
    seen.sort_by_key(|(range, rank, ..)| (range.start, *rank));
    let around = |at: usize| units.iter().find(move |unit| unit.start < at && at < unit.end);
    let (mut out, mut at) = (Vec::new(), 0);
    for (index, (range, _, class, end)) in seen.iter().enumerate() {
        let start = around(range.start).map_or(range.start, |u| u.start);
        let stop = around(range.end).map_or(range.end, |u| u.end);
        if start >= at || at == 0 {
            out.extend_from_slice(&text[at..start]);
            let alone = seen
                .iter()
                .skip(index + 1)
                .take_while(|other| other.0.start < range.end)
                .all(|(other, _, _, others)| other.end == range.end && others == end);
            let end = if alone && !end.is_empty() { format!(":..{end}") } else { String::new() };
            out.extend_from_slice(format!("[{class}{end}]").as_bytes());
        }
        at = at.max(stop);
    }
    out.extend_from_slice(&text[at..]);
    out
}

fn stream(chunks: &[&[u8]], json: bool, shows: &Shows) -> Vec<u8> {
    let rules = partial();
    let (mut judge, mut out, mut lane) = (Judge::default(), BytesMut::new(), LaneText::default());
    for chunk in chunks {
        let mut bench = Bench { rules: &rules, reveal: shows, judge: &mut judge, out: &mut out };
        if json { lane.json(chunk, false, &mut bench) } else { lane.plain(chunk, false, &mut bench) }
    }
    lane.end(&mut Bench { rules: &rules, reveal: shows, judge: &mut judge, out: &mut out });
    out.to_vec()
}

fn card() -> String {
    ["4111", "1111", "1111", "1111"].concat()
}

#[test]
fn the_end_of_a_value_is_shown_at_every_cut() {
    let text =
        format!("card {}, IBAN {}. ok", card(), ["DE89", "3704", "0044", "0532", "0130", "00"].join(" "));
    let masked = "card [pii.credit-card:..1111], IBAN [pii.iban:..3000]. ok";
    for at in 0..=text.len() {
        let (a, b) = text.as_bytes().split_at(at);
        assert_eq!(String::from_utf8(stream(&[a, b], false, &Shows(vec![]))).unwrap(), masked, "cut at {at}");
    }
    assert_eq!(mask_text(&partial(), &Shows(vec![]), &text).0, masked);
    assert_eq!(mask_text(&rules(), &Shows(vec![]), &text).0, "card [pii.credit-card], IBAN [pii.iban]. ok");
}

#[test]
fn it_is_the_end_of_what_was_written_not_of_how() {
    let escaped: String = card().chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let percent: String = card().bytes().map(|b| format!("%{b:02x}")).collect();
    // `card 4111111111111111 !` in base64.
    let base64 = ["Y2FyZCA0MTEx", "MTExMTExMTEx", "MTExICE="].concat();
    for (text, json, masked) in [
        (format!("a {escaped}."), true, "a [pii.credit-card:..1111].".to_owned()),
        (format!("a {escaped}."), false, "a [pii.credit-card:..1111].".to_owned()),
        (format!("a {percent}."), false, "a [pii.credit-card:..1111].".to_owned()),
        (base64, false, "Y2FyZC[pii.credit-card:..1111]ICE=".to_owned()),
    ] {
        for size in [1, 2, 3, 7, 1000] {
            let out =
                String::from_utf8(stream(&cut(text.as_bytes(), &[size]), json, &Shows(vec![]))).unwrap();
            assert_eq!(out, masked, "{text} by {size}");
            let quoted = format!("\"{out}\"");
            serde_json::from_str::<String>(&quoted).unwrap_or_else(|e| panic!("{e}: {quoted}"));
        }
    }
}

#[test]
fn no_credential_and_nothing_unbounded_shows_its_end() {
    let rules = partial();
    for (index, rule) in rules.list.iter().enumerate() {
        let class = rules.class(index).unwrap().as_str();
        assert_eq!(rules.shows_end(index), class.starts_with("pii."), "{}", rule.name);
        assert!(rule.tail.is_none() || class.starts_with("credential."), "{} has no known end", rule.name);
    }
    let token = format!("{}{}", "ghp_", noise(1, 36, ALNUM));
    assert_eq!(mask_text(&rules, &Shows(vec![]), &token).0, "[credential.github]");
}

#[test]
fn what_may_not_reach_a_model_does_not_in_part() {
    let body = Bytes::from(format!("{{\"x\":\"card {}\"}}", card()));
    let text = AskedText { range: 6..body.len() - 2, encoding: Encoding::JsonString, fixed: false };
    let some = disclose(&partial(), &Shows(vec![]), &body, &[text]).unwrap();
    assert_eq!(some.body, "{\"x\":\"card [pii.credit-card]\"}");
}

#[test]
fn placeholders_with_an_end_are_never_matched_again() {
    let rules = partial();
    for class in rules.classes() {
        for around in [
            "{}",
            "x {} y",
            "https://{}@h",
            "https://u:{}@h",
            "password=\"{}\"",
            "a{}@b.org",
            "4111 {}",
            "cvv {}",
            "api_key={}",
            "phone: {}",
            "card {} 4111",
            "{}1",
            "ssn{}",
        ] {
            for end in ["1111", "a1B2", "eorg", "987"] {
                let text = around.replace("{}", &format!("[{class}:..{end}]"));
                assert_eq!(rules.find(text.as_bytes()), [], "{text}");
            }
        }
    }
    for (_, marked) in planted() {
        let text: String = marked.chars().filter(|c| !"«»".contains(*c)).collect();
        let (once, _) = mask_text(&rules, &Shows(vec![]), &text);
        assert_eq!(mask_text(&rules, &Shows(vec![]), &once).0, once);
    }
}

#[test]
fn all_that_is_hidden_is_told_with_what_stands_for_it() {
    let percent: String = card().bytes().map(|b| format!("%{b:02x}")).collect();
    let text = format!("a@b.org {percent} {}", card());
    let hidden = partial().hidden(text.as_bytes());
    let told: Vec<_> =
        hidden.iter().map(|h| (text.get(h.find.range.clone()).unwrap(), &*h.placeholder)).collect();
    let ends = "[pii.credit-card:..1111]";
    assert_eq!(told, [("a@b.org", "[pii.email]"), (&*percent, ends), (&*card(), ends)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_changes_what_is_shown_of_a_value(
        text in prop_oneof![2 => disguised(), 1 => text()], all_cuts in prop::collection::vec(cuts(), 3), shown in shown(),
    ) {
        let shows = Shows(shown);
        let hidden = |class: &str| !shows.0.iter().any(|c| class == *c || class.starts_with(&format!("{c}.")));
        let expected = expected(text.as_bytes(), hidden);
        for cuts in all_cuts.iter().chain([&vec![usize::MAX]]) {
            let out = stream(&cut(text.as_bytes(), cuts), false, &shows);
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
            prop_assert!(std::str::from_utf8(&out).is_ok());
        }
    }
}
