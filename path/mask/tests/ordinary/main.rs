//! Ordinary text passes: hardly anything in it is taken for a value, and hardly anything of it is held.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(clippy::indexing_slicing, clippy::string_slice, reason = "made-up words are ASCII")]

mod one;
mod text;

use bytes::Bytes;
use mask::Rules;
use model::{Encoding, Unmasked};

use one::{id, masker};
use text::{KINDS, Kind, text};

/// How many bytes of ordinary text there are for each false mark at least.
const PER_MARK: usize = 100_000;

/// Looks for values in `bytes` of each kind of text, a part at a time, and tells what it finds.
fn false_marks(bytes: usize) {
    let rules = Rules::standard().unwrap();
    for kind in KINDS {
        let text = text(kind, bytes);
        let found = rules.hidden(text.as_bytes());
        let told: Vec<String> = found
            .iter()
            .take(12)
            .map(|h| {
                let from = text.floor_char_boundary(h.find.range.start.saturating_sub(40));
                format!("{}: …{}", h.find.rule, &text[from..h.find.range.end])
            })
            .collect();
        println!("{kind:?}: {} marks in {} bytes", found.len(), text.len());
        assert!(
            found.len() * PER_MARK <= text.len(),
            "{kind:?}: {} in {} bytes: {told:#?}",
            found.len(),
            text.len()
        );
    }
}

#[test]
fn a_megabyte_of_ordinary_text_has_hardly_a_false_mark() {
    false_marks(400_000);
}

/// `cargo nextest run -p mask --run-ignored only -E 'test(ten_megabytes)' --no-capture`
#[test]
#[ignore = "takes its time"]
fn ten_megabytes_of_ordinary_text_have_hardly_a_false_mark() {
    false_marks(3_400_000);
}

#[test]
fn little_of_ordinary_text_is_held() {
    for kind in KINDS {
        for encoding in [Encoding::Plain, Encoding::JsonString] {
            let mut held = held_after_each(kind, encoding);
            held.sort_unstable();
            let p99 = held[held.len() * 99 / 100];
            println!(
                "{kind:?} as {encoding:?}: p50 {} p99 {p99} most {}",
                held[held.len() / 2],
                held[held.len() - 1]
            );
            assert!(p99 <= 64, "{kind:?} as {encoding:?}: {p99} bytes");
        }
    }
}

/// How many bytes are held after each push of four bytes.
fn held_after_each(kind: Kind, encoding: Encoding) -> Vec<usize> {
    let text = text(kind, 200_000);
    let text = match encoding {
        Encoding::JsonString => text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"),
        _ => text,
    };
    let (mut masker, mut rest) = (masker(encoding), Bytes::from(text));
    let mut held = Vec::new();
    while !rest.is_empty() {
        let bytes = rest.split_to(4.min(rest.len()));
        masker.push(Unmasked { exchange: id(), bytes }).unwrap();
        held.push(masker.held());
    }
    held
}
