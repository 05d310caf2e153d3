//! Masking does not depend on how an answer is cut: any chunks give what the whole gives at once. In every view:
//! as text, as the inside of a JSON string, escaped, percent-encoded and in base64 inside a text; with placeholders
//! of either kind.
#![no_main]

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use mask::{Mark, Marks, Masked, Masker, Part, Rules, mask_text};
use model::{DataClass, Encoding, ExchangeId, Lane, Layout, LayoutFault, Piece, Reveal, Unmasked};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    cuts: Vec<u8>,
    parts: Vec<(Disguise, &'a str, u8)>,
    /// Which of a few classes may be seen.
    shown: u8,
}

/// How a part of the text is written.
#[derive(Arbitrary, Debug)]
enum Disguise {
    Plain,
    Json,
    JsonInJson,
    Percent,
    Base64,
}

fuzz_target!(
    // Built before the first input, which would be blamed for the seconds it takes.
    init: {
        both();
        values();
    },
    |input: Input<'_>| judge(&input)
);

fn judge(input: &Input<'_>) {
    let text: String = input.parts.iter().map(written).collect();
    let viewer = Arc::new(Sees(input.shown));
    for rules in both() {
        for encoding in [Encoding::Plain, Encoding::JsonString] {
            let whole = masked(rules, &viewer, encoding, &text, &[]);
            assert_eq!(
                whole,
                masked(rules, &viewer, encoding, &text, &input.cuts),
                "cut by {:?}",
                input.cuts
            );
            assert_eq!(whole, masked(rules, &viewer, encoding, &text, &[0]), "byte by byte");
            assert!(std::str::from_utf8(&whole).is_ok(), "text stays text");
        }
        let (once, _) = mask_text(rules, &*viewer, &text);
        assert_eq!(once.as_bytes(), masked(rules, &viewer, Encoding::Plain, &text, &[]));
        // JSON stays JSON.
        let quoted = inside(&text, 1);
        let json = masked(rules, &viewer, Encoding::JsonString, &quoted, &input.cuts);
        let json = [b"\"", json.as_slice(), b"\""].concat();
        assert!(serde_json::from_slice::<String>(&json).is_ok(), "{}", String::from_utf8_lossy(&json));
    }
}

/// A part as it is written, with a made-up value before it where the number says so.
fn written((disguise, text, value): &(Disguise, &str, u8)) -> String {
    let text = format!("{}{text}", values().get(usize::from(*value)).map_or("", |value| value.as_str()));
    match disguise {
        Disguise::Plain => text,
        Disguise::Json => inside(&text, 1),
        Disguise::JsonInJson => inside(&text, 2),
        Disguise::Percent => text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        Disguise::Base64 => base64(text.as_bytes()),
    }
}

/// Values that no scanner may take for real ones, as they are put together here.
fn values() -> &'static [String] {
    static VALUES: OnceLock<Vec<String>> = OnceLock::new();
    VALUES.get_or_init(|| {
        let body = "q7Zf3D0LXCM3EIMbgJpUNnK2vR9sT1wY8aB4cD6eF5gH0iJ";
        vec![
            format!("{}{}", "ghp_", &body[..36]),
            format!("{}{}", "AKIA", "Q3EGRZ7XPLMNT5VW"),
            ["4111", "1111", "1111", "1111"].join(" "),
            ["DE89", "3704", "0044", "0532", "0130", "00"].join(" "),
            "ada.lovelace@example.org".to_owned(),
            format!("{}{}.{}{}.{}", "eyJ", &body[..24], "eyJ", &body[..40], &body[..43]),
            format!("-----BEGIN {}-----\n{body}{body}\n", "PRIVATE KEY"),
            format!("api_key = \"{body}\""),
            "password: hunter2!\n".to_owned(),
            format!("postgres://app:{}@db/x", &body[..12]),
            "phone: +49 151 23456789 ".to_owned(),
        ]
    })
}

fn inside(text: &str, times: u8) -> String {
    (0..times).fold(text.to_owned(), |text, _| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    })
}

fn base64(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            out.push(char::from(letters[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
    }
    out
}

/// The rules that ship, with placeholders by class alone and with the end of what is personal.
fn both() -> &'static [Arc<Rules>; 2] {
    static RULES: OnceLock<[Arc<Rules>; 2]> = OnceLock::new();
    RULES.get_or_init(|| {
        let pii = DataClass::new("pii").expect("a class");
        let marks: Marks = [(pii, Mark::Partial)].into_iter().collect();
        let partial = Rules::with(&[], &marks).expect("the rules that ship").0;
        [Rules::standard().expect("the rules that ship"), partial]
    })
}

fn masked(rules: &Arc<Rules>, viewer: &Arc<Sees>, encoding: Encoding, text: &str, cuts: &[u8]) -> Vec<u8> {
    let exchange = ExchangeId::from_bytes([7; 16]);
    let viewer: Arc<dyn Reveal> = viewer.clone();
    let mut masker = Masker::begin(exchange, Arc::clone(rules), viewer, Box::new(OneText(encoding)));
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1).min(rest.len());
        let (chunk, behind) = rest.split_at(length);
        rest = behind;
        let bytes = Bytes::copy_from_slice(chunk);
        take(&mut out, masker.push(Unmasked { exchange, bytes }).expect("a text has no faults"));
    }
    take(&mut out, masker.finish().expect("a text ends anywhere"));
    out
}

fn take(out: &mut Vec<u8>, masked: Masked) {
    if let Part::Body { bytes, .. } = masked.into_part() {
        out.extend_from_slice(&bytes);
    }
}

/// Sees some classes.
struct Sees(u8);

impl Reveal for Sees {
    fn reveals(&self, class: &DataClass) -> bool {
        let seen = ["pii", "credential", "pii.email", "credential.github"];
        let lies = |of: &str| class.as_str() == of || class.as_str().starts_with(&format!("{of}."));
        (0..4).zip(seen).any(|(bit, of)| self.0 >> bit & 1 == 1 && lies(of))
    }
}

/// All of it is one text.
struct OneText(Encoding);

impl Layout for OneText {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::Text { lane: Lane(0), encoding: self.0, raw: bytes });
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::End { lane: Lane(0), before: Bytes::new(), after: Bytes::new() });
        Ok(())
    }
}
