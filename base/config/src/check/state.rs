//! The state.

use super::{Base, seen};
use crate::reader::Mapping;
use crate::usable::{Ledger, State};

pub(super) fn state(file: &Mapping<'_>, base: &Base, ledger: Option<&Ledger>) -> Option<State> {
    let section = file.section("state")?;
    let state = match section.has("dir") {
        true => State { dir: base.path(&section, "dir")? },
        false => State::beside(&ledger?.dir),
    };
    if state.dir.exists() && !state.dir.is_dir() {
        section.fault(format!("{} is there, and is no folder", seen(&state.dir)), "a folder");
    }
    if let Some(ledger) = ledger
        && state.dir.starts_with(&ledger.dir)
    {
        section.fault("the state lies in the ledger's folder", "a folder of its own");
    }
    Some(state)
}
