//! Keys that some readers take for one: Go's `encoding/json` matches struct fields under Unicode case
//! folding, so `meſsages` is `messages` to it.

use std::collections::HashSet;

use unicase::UniCase;

use super::Member;

/// Objects up to this many keys are compared key by key.
const FEW: usize = 8;

/// Whether two keys are one to a reader that ignores case.
pub(crate) fn same_folded(left: &str, right: &str) -> bool {
    UniCase::new(left) == UniCase::new(right)
}

/// The first of `names` that `key` is not, but would be taken for by a reader that ignores case.
pub(crate) fn folds_to<'n>(key: &str, names: &[&'n str]) -> Option<&'n str> {
    // Lower-case ASCII folds to itself alone.
    if key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return None;
    }
    names.iter().copied().find(|name| *name != key && same_folded(name, key))
}

/// The place of the first member whose key collides with an earlier one, and whether it equals it.
pub(crate) fn collision(members: &[Member<'_>]) -> Option<(usize, bool)> {
    let place = if members.len() <= FEW {
        members.iter().enumerate().position(|(at, member)| {
            members.iter().take(at).any(|earlier| same_folded(&earlier.key, &member.key))
        })
    } else {
        let mut seen = HashSet::with_capacity(members.len());
        members.iter().position(|member| !seen.insert(UniCase::new(&*member.key)))
    }?;
    let key = &members.get(place)?.key;
    Some((place, members.iter().take(place).any(|earlier| earlier.key == *key)))
}
