//! The ledger's checkpoints.

use std::path::Path;

use super::{Base, seen};
use crate::reader::Mapping;
use crate::usable::Checkpoints;
use crate::value;

/// The word for standard output among the places a checkpoint goes to.
const STDOUT: &str = "stdout";

pub(super) fn checkpoints(ledger: &Mapping<'_>, dir: &Path, base: &Base) -> Option<Checkpoints> {
    let section = ledger.section("checkpoints")?;
    let key = match section.has("key") {
        true => base.path(&section, "key")?,
        false => Checkpoints::of(dir).key,
    };
    if key.starts_with(dir) {
        section.fault(
            format!("the signing key {} lies in the ledger's folder", seen(&key)),
            "a place outside, so that no copy of the ledger holds it",
        );
    }
    let places = section.list("to", place);
    Some(Checkpoints {
        every: section.duration("every"),
        leaves: section.number("leaves"),
        stdout: places.iter().any(Option::is_none),
        urls: places.into_iter().flatten().collect(),
        key,
    })
}

/// Where a checkpoint goes; none is standard output.
fn place(text: &str) -> Result<Option<http::Uri>, String> {
    if text == STDOUT {
        return Ok(None);
    }
    let uri = value::link(text)?;
    if uri.scheme_str() == Some("http") && !uri.host().is_some_and(value::is_loopback) {
        return Err(
            "this URL is plain HTTP: who controls the network could swallow what it shows; use `https`"
                .to_owned(),
        );
    }
    Ok(Some(uri))
}
