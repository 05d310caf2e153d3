//! The keys of the state.

use crate::table::{Absent, Key, Kind, Section, Shape};

pub(super) const STATE: Section = Section {
    name: "state",
    doc: "What must be remembered besides the record: who is blocked, who was seen. May be written as the folder alone.",
    keys: &[Key {
        name: "dir",
        shape: Shape::One(Kind::Path),
        absent: Absent::Nothing("beside the ledger's folder, with `.state` behind its name"),
        doc: "The folder. It is made if it is not there, with mode 0700; the file in it is `state.db`.",
    }],
};
