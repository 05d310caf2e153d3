//! Masking does not depend on how an answer is cut: any chunks give what the whole gives at once.
#![no_main]

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mask::{Masked, Masker, Part, Rules, mask_text};
use model::{DataClass, Encoding, ExchangeId, Lane, Layout, LayoutFault, Piece, Reveal, Unmasked};

fuzz_target!(|input: (Vec<u8>, &str)| {
    let (cuts, text) = input;
    let whole = masked(text, &[]);
    assert_eq!(whole, masked(text, &cuts), "cut by {cuts:?}");
    assert_eq!(whole, masked(text, &[0]), "byte by byte");
    assert_eq!(String::from_utf8_lossy(&whole), mask_text(rules(), &Blind, text).0);
});

fn rules() -> &'static Arc<Rules> {
    static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
    RULES.get_or_init(|| Rules::standard().expect("the rules that ship"))
}

fn masked(text: &str, cuts: &[u8]) -> Vec<u8> {
    let exchange = ExchangeId::from_bytes([7; 16]);
    let mut masker = Masker::begin(exchange, Arc::clone(rules()), Arc::new(Blind), Box::new(OneText));
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1).min(rest.len());
        let (chunk, behind) = rest.split_at(length);
        rest = behind;
        let bytes = Bytes::copy_from_slice(chunk);
        take(&mut out, masker.push(Unmasked { exchange, bytes }).expect("plain text has no faults"));
    }
    take(&mut out, masker.finish().expect("plain text ends anywhere"));
    out
}

fn take(out: &mut Vec<u8>, masked: Masked) {
    if let Part::Body { bytes, .. } = masked.into_part() {
        out.extend_from_slice(&bytes);
    }
}

/// Sees nothing.
struct Blind;

impl Reveal for Blind {
    fn reveals(&self, _: &DataClass) -> bool {
        false
    }
}

/// All of it is one text.
struct OneText;

impl Layout for OneText {
    fn push(&mut self, bytes: &Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::Text { lane: Lane(0), encoding: Encoding::Plain, raw: bytes.clone() });
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::End { lane: Lane(0), before: Bytes::new(), after: Bytes::new() });
        Ok(())
    }
}
