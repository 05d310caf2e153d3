//! The keys of the ledger's checkpoints.

use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const CHECKPOINTS: Section = Section {
    name: "checkpoints",
    doc: "Signed checkpoints of the record: whoever keeps them elsewhere can tell later that nothing before them was changed.",
    keys: &[
        Key {
            name: "every",
            shape: Shape::Duration("1s", "24h"),
            absent: Absent::Is("1m"),
            doc: "How long after the last one the next is signed, if anything was written.",
        },
        Key {
            name: "leaves",
            shape: Shape::Count(1, 1_000_000_000),
            absent: Absent::Is("10000"),
            doc: "The next one is signed sooner when so many leaves were written. An exchange has at least two.",
        },
        Key {
            name: "to",
            shape: Shape::Many(0, &Shape::One(Kind::Outlet)),
            absent: Absent::Is("[]"),
            doc: "Where each one goes besides the file `checkpoints` of the ledger: `stdout`, or URLs it is sent to by POST. One that cannot be delivered holds up nothing; the next one covers it too.",
        },
        Key {
            name: "key",
            shape: Shape::One(Kind::Path),
            absent: Absent::Nothing("beside the ledger's folder, with `.signing-key` behind its name"),
            doc: "The file of the key that signs, as PEM. It is made at the first start, with mode 0600. Not in the ledger's folder.",
        },
    ],
};
