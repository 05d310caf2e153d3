//! How long bodies are kept.

use crate::reader::Mapping;
use crate::usable::{Keep, Retention};

/// The ledger's own rule, for every resource without one.
pub(super) fn retention(ledger: &Mapping<'_>) -> Option<Retention> {
    let section = ledger.section("retention")?;
    let (compress, after) = (section.flag("compress"), section.duration("compress_after"));
    let compress_after = compress.then_some(after);
    Some(Retention { keep: keep(&section), compress_after, pace: section.number("pace") })
}

/// A rule: either limit, both or none.
pub(super) fn keep(section: &Mapping<'_>) -> Keep {
    Keep {
        age: section.has("age").then(|| section.duration("age")),
        size: section.has("size").then(|| section.number("size")),
    }
}

/// A class is a folder with the resource's name, and one name is taken.
pub(super) fn own(resource: &Mapping<'_>, name: &str) -> Option<Keep> {
    let section = resource.section("retention").filter(|_| resource.has("retention"))?;
    if name == "default" {
        section.fault(
            "a resource called `default` has no retention of its own: that is the name of all others' class",
            "another name for the resource, or `ledger.retention`",
        );
    }
    Some(keep(&section))
}
