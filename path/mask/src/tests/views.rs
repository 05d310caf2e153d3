//! What is hidden in escapes and base64, against whole texts read the slow way.

use std::ops::Range;

use bytes::BytesMut;
use proptest::prelude::*;

use super::oracle::Oracle;
use super::splits::{cases, cut, cuts, oracle, shown, stream, text};
use super::{ALNUM, Shows, noise, planted, rules};
use crate::escapes::{self, Next};
use crate::lane::{Bench, Judge, LaneText};

/// A view of a text: its bytes, and where each lies in the text.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) bytes: Vec<u8>,
    pub(crate) places: Vec<Range<usize>>,
}

impl View {
    fn push(&mut self, byte: u8, place: Range<usize>) {
        self.bytes.push(byte);
        self.places.push(place);
    }
}

/// The text with the escapes in it resolved, and the escapes.
pub(crate) fn resolved(text: &[u8]) -> (View, Vec<Range<usize>>) {
    let (mut view, mut units, mut at) = (View::default(), Vec::new(), 0);
    while at < text.len() {
        match escapes::next(&text[at..], true) {
            Next::Unit(unit) => {
                let place = at..at + unit.length;
                unit.bytes().iter().for_each(|byte| view.push(*byte, place.clone()));
                units.push(place);
                at += unit.length;
            }
            _ => {
                view.push(text[at], at..at + 1);
                at += 1;
            }
        }
    }
    (view, units)
}

fn worth(byte: u8) -> Option<u32> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let byte = match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    };
    letters.iter().position(|letter| *letter == byte).map(|place| place as u32)
}

/// One letter: what it is worth, whether a run may be glued together there, and where it lies.
type Letter = (u32, bool, Range<usize>);

/// Decodes letters, each byte with the letters it is made of.
fn decoded(letters: &[Letter]) -> View {
    let bits: Vec<(u32, &Range<usize>)> = letters
        .iter()
        .flat_map(|(worth, _, place)| (0..6).rev().map(move |bit| (worth >> bit & 1, place)))
        .collect();
    let mut view = View::default();
    for byte in bits.chunks_exact(8) {
        let value = byte.iter().fold(0u32, |value, (bit, _)| value << 1 | bit);
        view.push(value as u8, byte[0].1.start..byte[7].1.end);
    }
    view
}

fn is_text(bytes: &[u8]) -> bool {
    let lossy = String::from_utf8_lossy(bytes);
    let whole = lossy.trim_end_matches('\u{fffd}');
    let broken = std::str::from_utf8(bytes).err().is_some_and(|fault| fault.error_len().is_some());
    !broken && !whole.chars().any(|c| c.is_ascii_control() && !"\t\n\r".contains(c))
}

/// What the runs of base64 in a text decode to.
pub(crate) fn in_base64(text: &[u8]) -> Vec<View> {
    let (view, _) = resolved(text);
    let mut views = Vec::new();
    let (mut run, mut line, mut breaks): (Vec<Letter>, usize, u8) = (Vec::new(), 0, 0);
    let mut end = |run: &mut Vec<Letter>, padded: bool| {
        let starts = (0..run.len()).filter(|at| *at == 0 || run[at - 1].1);
        let mut events: Vec<(usize, usize, bool)> = starts.map(|at| (at + 16, at, true)).collect();
        events.push((64, 64, false));
        events.sort_by_key(|(when, at, looks)| (*when, !looks, *at));
        let mut taken = Vec::new();
        for (when, at, looks) in events {
            let enough = if looks { padded && run.len() - at >= 14 } else { false };
            if when > run.len() && !enough {
                continue;
            }
            let head = &run[at..run.len().min(at + if when > run.len() { 14 } else { 16 })];
            if taken.contains(&(at % 4)) || looks && !is_text(&decoded(head).bytes) {
                continue;
            }
            taken.push(at % 4);
            views.push(decoded(&run[at..]));
        }
        run.clear();
    };
    for (byte, place) in view.bytes.iter().zip(&view.places) {
        // A character of several bytes, or of one escape, ends a run as one byte does.
        if let Some(worth) = worth(*byte) {
            run.push((worth, b"/+-_".contains(byte), place.clone()));
            line += 1;
            breaks = 0;
        } else if !run.is_empty() && b"\r\n".contains(byte) && (line >= 20 || breaks == 1) {
            breaks += 1;
            line = 0;
        } else {
            end(&mut run, *byte == b'=');
            (line, breaks) = (0, 0);
        }
    }
    end(&mut run, false);
    views
}

/// What a text must look like after masking, whichever way it was written.
pub(crate) fn redact(
    oracle: &Oracle,
    text: &[u8],
    hidden: impl Fn(&str) -> bool,
) -> Vec<(Range<usize>, Option<String>)> {
    let (view, units) = resolved(text);
    let whole = |range: Range<usize>| {
        let around = |at: usize| units.iter().find(move |unit| unit.start < at && at < unit.end);
        around(range.start).map_or(range.start, |u| u.start)..around(range.end).map_or(range.end, |u| u.end)
    };
    let mut values: Vec<(usize, usize, Range<usize>, String)> = Vec::new();
    for value in oracle.redact(text, &hidden).1 {
        values.push((value.range.start, 0, value.range, value.class));
    }
    for (rank, view) in std::iter::once((1, view)).chain(in_base64(text).into_iter().map(|view| (2, view))) {
        for value in oracle.redact(&view.bytes, &hidden).1 {
            let place = view.places[value.range.start].start..view.places[value.range.end - 1].end;
            values.push((place.start, rank, place, value.class));
        }
    }
    values.sort_by_key(|(start, rank, ..)| (*start, *rank));
    let mut joined: Vec<(Range<usize>, Option<String>)> = Vec::new();
    for (_, _, range, class) in values {
        let range = whole(range);
        match joined.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push((range, Some(class))),
        }
    }
    joined
}

/// The text without these values.
pub(crate) fn without(text: &[u8], values: &[(Range<usize>, Option<String>)]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for (range, class) in values {
        out.extend_from_slice(&text[at..range.start]);
        out.extend_from_slice(format!("[{}]", class.clone().unwrap_or_default()).as_bytes());
        at = range.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Base64 with or without padding, in this or that alphabet, in lines or not.
fn base64(bytes: &[u8], way: u8) -> String {
    let letters: &[u8; 64] = if way & 1 == 0 {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    } else {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    };
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            out.push(char::from(letters[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
        if way & 2 == 0 {
            out.push_str(&"=".repeat(3 - three.len()));
        }
    }
    if way & 4 == 0 {
        return out;
    }
    let lines: Vec<String> =
        out.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join(if way & 8 == 0 { "\n" } else { "\r\n" })
}

fn percent(text: &str, all: bool) -> String {
    let plain = |b: u8| !all && (b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The inside of a JSON string, so many times over.
fn json(text: &str, times: usize) -> String {
    (0..times).fold(text.to_owned(), |text, _| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap().to_owned()
    })
}

fn bare(marked: &str) -> String {
    marked.chars().filter(|c| !"«»".contains(*c)).collect()
}

/// Everything that hides each value, and how much of the value may be seen in the output at most.
fn hidden_values() -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    for (rule, marked) in planted() {
        let text = bare(&marked);
        let value = marked.split(['«', '»']).nth(1).unwrap().to_owned();
        all.push((rule, format!("to {} so", percent(&text, false)), value.clone()));
        all.push((rule, format!("to {} so", percent(&text, true)), value.clone()));
        for times in 1..4 {
            all.push((rule, format!("{{\"a\":\"{}\"}}", json(&text, times)), value.clone()));
        }
        for way in 0..16 {
            all.push((rule, format!("see {} so", base64(text.as_bytes(), way)), value.clone()));
        }
        all.push((rule, format!("/files/{}?x=1", base64(text.as_bytes(), 3)), value.clone()));
    }
    all
}

#[test]
fn every_value_is_found_in_every_disguise() {
    for (rule, text, value) in hidden_values() {
        let out = stream(&[text.as_bytes()], false, &Shows(vec![]));
        let seen = String::from_utf8(out).unwrap();
        assert!(seen.contains('['), "{rule}: nothing masked in {text}");
        // Whichever way the output is read, no eight bytes of the value are left in it.
        let views = std::iter::once(resolved(seen.as_bytes()).0).chain(in_base64(seen.as_bytes()));
        let readings = views.map(|view| view.bytes).chain([seen.clone().into_bytes()]);
        for reading in readings {
            let leaks = value
                .as_bytes()
                .windows(8.min(value.len()))
                .filter(|w| w.iter().any(u8::is_ascii_alphanumeric));
            for piece in leaks {
                let known = [&b"-----END"[..], b"Private-", b"-----BEG"];
                let common = known.iter().any(|k| piece.windows(4).any(|w| k.windows(4).any(|v| v == w)));
                assert!(
                    common || !reading.windows(piece.len()).any(|window| window == piece),
                    "{rule}: {} is left in {seen}, of {text}",
                    String::from_utf8_lossy(piece)
                );
            }
        }
    }
}

#[test]
fn every_disguise_survives_every_cut() {
    for (rule, text, _) in hidden_values().into_iter().step_by(7) {
        let expected = without(text.as_bytes(), &redact(oracle(), text.as_bytes(), |_| true));
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            let out = stream(&[a, b], false, &Shows(vec![]));
            assert_eq!(
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(&expected),
                "{rule} cut at {at}"
            );
        }
    }
}

#[test]
fn json_inside_a_text_stays_json() {
    let token = format!("{}{}", "ghp_", noise(1, 36, ALNUM));
    for text in [
        json(&format!("{{\"a\":\"line\\n{token}\\n\"}}"), 0),
        json(&format!("{{\"password\":\"abc\\\"{token}\\u0041\"}}"), 0),
        format!(
            "{{\"a\":\"{}\"}}",
            token.chars().map(|c| format!("\\u{:04x}", c as u32)).collect::<String>()
        ),
    ] {
        let out = stream(&[text.as_bytes()], false, &Shows(vec![]));
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains(token.strip_prefix("ghp_").unwrap()), "{out}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|e| panic!("{e}: {out} of {text}"));
    }
}

/// Texts with disguised values among other text.
pub(crate) fn disguised() -> impl Strategy<Value = String> {
    let part = (text(), 0..12u8, any::<u8>()).prop_map(|(text, kind, way)| match kind {
        0 | 1 => percent(&text, kind == 0),
        2..=4 => json(&text, usize::from(kind) - 1),
        5..=8 => base64(text.as_bytes(), way),
        9 => format!("/x/{}", base64(text.as_bytes(), way)),
        10 => base64(json(&text, 1).as_bytes(), way),
        _ => text,
    });
    let glue =
        prop::sample::select(vec!["", " ", "\"", "\\n", "%20", "=", "/", "\\\\", "\\", "%", "\n", "\\u00"]);
    prop::collection::vec((part, glue), 1..5)
        .prop_map(|parts| parts.into_iter().map(|(part, glue)| part + glue).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_cut_changes_what_is_found_in_disguise(
        text in disguised(), all_cuts in prop::collection::vec(cuts(), 4), shown in shown(),
    ) {
        let shows = Shows(shown);
        let hidden = |class: &str| !shows.0.iter().any(|c| class == *c || class.starts_with(&format!("{c}.")));
        let expected = without(text.as_bytes(), &redact(oracle(), text.as_bytes(), hidden));
        let mut counted = Vec::new();
        for cuts in all_cuts.iter().chain([&vec![usize::MAX]]) {
            let chunks = cut(text.as_bytes(), cuts);
            let (mut judge, mut out, mut lane) = (Judge::default(), BytesMut::new(), LaneText::default());
            for chunk in chunks {
                let mut bench = Bench { rules: &rules(), reveal: &shows, judge: &mut judge, out: &mut out };
                lane.plain(chunk, false, &mut bench);
            }
            lane.end(&mut Bench { rules: &rules(), reveal: &shows, judge: &mut judge, out: &mut out });
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
            prop_assert!(std::str::from_utf8(&out).is_ok());
            counted.push(judge.findings);
        }
        prop_assert!(counted.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", counted);
    }
}
