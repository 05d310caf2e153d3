//! What masking asks of the allocator: nothing at a push of ordinary text, and little for a lane at rest.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]
#![allow(clippy::indexing_slicing, clippy::string_slice, reason = "made-up words are ASCII")]

#[path = "ordinary/one.rs"]
mod one;
#[path = "ordinary/text.rs"]
mod text;

use allocation_counter::measure;
use bytes::Bytes;
use mask::Masker;
use model::{Encoding, Unmasked};

use one::{id, lanes, masker};
use text::{KINDS, Kind, text};

/// Pushes the text in pieces of `size`, and drops what comes out, as a caller who has it.
fn push(masker: &mut Masker, mut rest: Bytes, size: usize) {
    while !rest.is_empty() {
        let bytes = rest.split_to(size.min(rest.len()));
        masker.push(Unmasked { exchange: id(), bytes }).unwrap();
    }
}

/// Prose without signs that begin an escape.
fn prose(bytes: usize) -> Bytes {
    Bytes::from(text(Kind::English, bytes).replace(['\\', '%'], " per cent"))
}

#[test]
fn no_push_of_plain_text_allocates() {
    for encoding in [Encoding::Plain, Encoding::JsonString] {
        for size in [4, 7, 16, 64, 256, 1000, 4096] {
            let (mut masker, text) = (masker(encoding), prose(200_000));
            // Shared once, so that pieces of it are not the first to be.
            let (warm, text) = (text.slice(..100_000), text.slice(100_000..));
            push(&mut masker, warm, size);
            let info = measure(|| push(&mut masker, text, size));
            assert_eq!(info.count_total, 0, "{encoding:?} by {size}: {info:?}");
        }
    }
}

#[test]
fn a_lane_at_rest_keeps_at_most_four_kibibytes() {
    const LANES: u32 = 64;
    // The rules are shared by all.
    drop(masker(Encoding::Plain));
    for kind in KINDS {
        for encoding in [Encoding::Plain, Encoding::JsonString] {
            for size in [4, 100, 4096] {
                let text = text(kind, 3_000 * usize::try_from(LANES).unwrap());
                let text = match encoding {
                    Encoding::JsonString => {
                        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
                    }
                    _ => text,
                };
                let text = Bytes::from(text);
                let mut kept = None;
                // Everything that is kept: the lanes themselves, and all they point to.
                let info = measure(|| {
                    let mut all = lanes(encoding, LANES);
                    push(&mut all, text.clone(), size);
                    kept = Some(all);
                });
                let each = info.bytes_current / i64::from(LANES);
                println!("{kind:?} as {encoding:?} by {size}: {each} bytes a lane");
                assert!(each <= 4096, "{kind:?} as {encoding:?} by {size}: {each} bytes a lane");
                drop(kept);
            }
        }
    }
}
