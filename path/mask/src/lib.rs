//! Step eight and a half: what policy does not reveal is masked, exactly, however it is cut into chunks.
//!
//! A [`Masker`] takes an answer as its layout reads it and gives [`Masked`] parts, which nothing else can
//! make. Each text is masked as if it had come whole: the output is byte-identical for every way to cut
//! it, every byte leaves as soon as no value could still begin at or before it, and at most
//! [`Rules::max_hold`] bytes of a text are ever held.
//!
//! A value whose class policy reveals neither hides itself nor anything it overlaps: what is masked is
//! exactly what would be masked if its class had no rules.

mod ahead;
mod automaton;
mod base64;
mod catalogue;
mod check;
mod context;
mod cover;
mod disclose;
mod escapes;
mod eval;
mod few;
mod lane;
mod machine;
mod map;
mod mark;
mod masker;
mod near;
mod offer;
mod own;
mod page;
mod quoted;
mod rule;
mod rules;
mod runs;
mod scan;
mod seek;
mod sieve;
#[cfg(test)]
mod tests;
mod text;

pub use disclose::{Disclosed, disclose};
pub use eval::{Case, Evaluation, Family};
pub use mark::{Mark, Marks};
pub use masker::{Masked, Masker, Opaque, Part};
pub use own::{Cost, OwnForm, OwnRule};
pub use page::rules_markdown;
pub use rules::{Entry, MaskError, Rules};
pub use text::{Find, Hidden, mask_text};
