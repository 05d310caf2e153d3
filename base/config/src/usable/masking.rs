//! What a team has masked besides what the rules that ship find.

use model::DataClass;

/// Rules and words of a team's own. Whether they can be built, and what they cost, the masking step says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masking {
    /// Rules by pattern, in the file's order.
    pub rules: Vec<MaskingRule>,
    /// Lists of words, in the file's order.
    pub words: Vec<MaskingWords>,
    /// What stands in the place of values, by class, in the file's order.
    pub placeholders: Vec<(DataClass, Placeholder)>,
}

/// What stands in the place of a masked value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// Its class.
    Class,
    /// Its class and its last characters.
    Partial,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskingRule {
    /// Its name in findings.
    pub name: String,
    /// Where it stands in the file, line and column, as `12:5`.
    pub place: String,
    /// The regular expression.
    pub pattern: String,
    /// The data class of its finds.
    pub class: String,
    /// What a match must pass besides: `none`, `luhn`, `varied`, `random`, `mod97` or `verhoeff`.
    pub validator: &'static str,
    /// Words of which one must stand before; none when it is empty.
    pub keywords: Vec<String>,
    /// The least bits of entropy a byte.
    pub entropy: u32,
}

/// One list of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskingWords {
    /// Its name in findings.
    pub name: String,
    /// Where it stands in the file.
    pub place: String,
    /// The data class of its finds.
    pub class: String,
    /// The words.
    pub words: Vec<String>,
}
