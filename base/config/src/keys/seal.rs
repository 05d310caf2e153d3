//! The key that says whom recordings are sealed to.

use crate::table::{Absent, Key, Kind, Shape};

pub(super) const SEAL_TO: Key = Key {
    name: "seal_to",
    shape: Shape::Many(0, &Shape::One(Kind::Recipient)),
    absent: Absent::Is("[]"),
    doc: "If anybody is named, what is said is recorded encrypted, and only these age recipients can read it; the gateway can't.",
};
