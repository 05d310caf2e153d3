//! The table of rules. Where two rules match at one place the longer match wins, then the one further up.
//! A rule with a tail settles as soon as its head has matched, so no head may begin like another's.

mod credentials;
mod more;
mod nations;
mod people;
mod services;
mod written;

use crate::rule::{Rule, Tail};

/// Letters and digits go on.
const WORD: Option<Tail> = tail("[A-Za-z0-9_]*");
/// Letters, digits and dashes go on.
const DASHED: Option<Tail> = tail("[A-Za-z0-9_-]*");
/// Dashed words joined by dots go on. A dot that ends a sentence stays.
const DOTTED: Option<Tail> = tail(r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*");
/// Base64 goes on.
const BASE64: Option<Tail> = tail("[A-Za-z0-9+/_-]*={0,3}");
/// A key's body goes on to its end line, in one line or many, quoted or not.
const PEM: Option<Tail> = tail(concat!(r#"[A-Za-z0-9+/=\s"',\\]*"#, r"(?:-----END [A-Z0-9 ]{1,40}-----)?"));

/// The longest unbounded value. Tails are followed in constant state, so this bounds damage, not memory.
const CAP: usize = 64 * 1024;

const fn tail(pattern: &'static str) -> Option<Tail> {
    Some(Tail { pattern, cap: CAP })
}

/// Every rule there is, in order of precedence.
pub(crate) fn standard() -> Vec<Rule> {
    let mut rules = credentials::spelled();
    rules.extend(services::spelled());
    rules.extend(more::spelled());
    rules.extend(written::rules());
    rules.extend(credentials::announced());
    rules.extend(people::rules());
    rules.extend(nations::rules());
    rules.extend(people::phones());
    rules
}
