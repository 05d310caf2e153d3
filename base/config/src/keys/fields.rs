//! The keys of a resource's data: which class a part of an answer is, and what becomes of prompts.

use crate::table::{Absent, Key, Kind, Section, Shape, Word};

/// What may be written for `disclose`.
pub(super) const DISCLOSE: &[Word] = &[
    ("mask", "masked, before the request is recorded and forwarded"),
    ("refuse", "the request is refused, and its reason names the class"),
];

/// The key `fields` of a resource.
pub(super) const FIELD: Section = Section {
    name: "field",
    doc: "A part of an answer, at a JSON pointer in which `*` is any key or item, or `header:NAME`. May be written as the class alone.",
    keys: &[
        Key {
            name: "class",
            shape: Shape::One(Kind::DataClass),
            absent: Absent::Fault,
            doc: "Its data class, whatever its value looks like. Who may see it is a policy on `reveal`.",
        },
        Key {
            name: "masked",
            shape: Shape::Choice(&[
                ("replace", "the class stands in its place, or `null` for an object or a list"),
                ("drop", "it is left out, with its key"),
            ]),
            absent: Absent::Is("replace"),
            doc: "What callers get who may not see it.",
        },
    ],
};
