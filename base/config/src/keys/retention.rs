//! The keys of how long bodies are kept.

use crate::table::{Absent, Key, Section, Shape};

const AGE: Key = Key {
    name: "age",
    shape: Shape::Duration("1s", "36500d"),
    absent: Absent::Nothing("for ever"),
    doc: "How long at least. Bodies go by whole segments, which end after a tenth of it, or a day: so much later they go at most.",
};

const SIZE: Key = Key {
    name: "size",
    shape: Shape::Size("1MiB", "1024TiB"),
    absent: Absent::Nothing("any"),
    doc: "How much about at most, on the disk. When it is more, the oldest goes, however young it is.",
};

/// What a resource says for itself.
pub(super) const KEEP: Section = Section {
    name: "keep",
    doc: "How long the bodies of this resource are kept. They lie apart from all others. Legal holds keep longer.",
    keys: &[AGE, SIZE],
};

pub(super) const RETENTION: Section = Section {
    name: "retention",
    doc: "How long bodies are kept, unless their resource says otherwise, and how the record is kept small. What was asked, by whom and with which outcome is kept for ever.",
    keys: &[
        AGE,
        SIZE,
        Key {
            name: "compress",
            shape: Shape::Flag,
            absent: Absent::Is("true"),
            doc: "Whether segments are compressed (zstd) once they do not grow any more.",
        },
        Key {
            name: "compress_after",
            shape: Shape::Duration("0s", "3650d"),
            absent: Absent::Is("10m"),
            doc: "How long after that.",
        },
        Key {
            name: "pace",
            shape: Shape::Size("64KiB", "16GiB"),
            absent: Absent::Is("32MiB"),
            doc: "How much of the record is read a second for all of this, at most.",
        },
    ],
};
