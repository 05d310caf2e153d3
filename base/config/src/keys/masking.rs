//! The keys of `masking`: a team's own rules and words.

use crate::table::{Absent, Key, Kind, Section, Shape, Word};

/// What is masked besides what the rules that ship find.
pub(super) const MASKING: Section = Section {
    name: "masking",
    doc: "Rules of a team's own, on top of those that ship (`portcullis mask rules` lists all). They are built when the file is loaded; a set that grows too large is refused.",
    keys: &[
        Key {
            name: "rules",
            shape: Shape::Named(Kind::Name, &Shape::Section(&RULE)),
            absent: Absent::Is("{}"),
            doc: "Rules by pattern, each under a name for findings.",
        },
        Key {
            name: "words",
            shape: Shape::Named(Kind::Name, &Shape::Section(&WORDS)),
            absent: Absent::Is("{}"),
            doc: "Lists of words, each under a name for findings.",
        },
        Key {
            name: "placeholders",
            shape: Shape::Named(Kind::DataClass, &Shape::Choice(PLACEHOLDERS)),
            absent: Absent::Is("{}"),
            doc: "What stands in the place of a masked value, by data class. Classes nest, and the nearest one named counts: `pii: partial` holds for `pii.credit-card` too.",
        },
    ],
};

const PLACEHOLDERS: &[Word] = &[
    ("class", "the class, as `[pii.credit-card]`; what holds where nothing is said"),
    (
        "partial",
        "the class and the value's last letters and digits, as `[pii.credit-card:..1111]`: at most four, at most a quarter of them, and none of a value that has fewer than twelve. Not for credentials",
    ),
];

const RULE: Section = Section {
    name: "masking_rule",
    doc: "One rule. What it finds is masked for callers whom policy does not reveal its class.",
    keys: &[
        Key {
            name: "pattern",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "A regular expression over ASCII with a longest match: `*` and `+` are refused, `{1,40}` is taken. `(?i)` ignores case.",
        },
        Key {
            name: "class",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The data class of what it finds, as `pii.employee-number`.",
        },
        Key {
            name: "validator",
            shape: Shape::Choice(&[
                ("none", "the pattern is enough"),
                ("luhn", "the digits end in Luhn's check digit"),
                ("varied", "it is not one character again and again"),
                ("random", "it looks drawn by chance"),
                ("mod97", "ISO 7064 mod 97-10, as in IBANs, the check digits in front"),
                ("verhoeff", "the digits end in Verhoeff's check digit"),
            ]),
            absent: Absent::Is("none"),
            doc: "What a match must pass besides.",
        },
        Key {
            name: "keywords",
            shape: Shape::Many(0, &Shape::One(Kind::Text)),
            absent: Absent::Is("[]"),
            doc: "One of these must stand in the 80 bytes before a match, as a word or as a part of a name, without regard to case.",
        },
        Key {
            name: "entropy",
            shape: Shape::Count(0, 6),
            absent: Absent::Is("0"),
            doc: "How many bits of entropy a byte of the match has at least, in its first 64 bytes.",
        },
    ],
};

const WORDS: Section = Section {
    name: "masking_words",
    doc: "A list of words that are masked wherever they stand by themselves, as the names of projects or customers.",
    keys: &[
        Key {
            name: "class",
            shape: Shape::One(Kind::Text),
            absent: Absent::Fault,
            doc: "The data class of the words.",
        },
        Key {
            name: "words",
            shape: Shape::Many(1, &Shape::One(Kind::Text)),
            absent: Absent::Fault,
            doc: "The words, of at most 200 bytes, at most 5,000; without regard to case in ASCII.",
        },
    ],
};
