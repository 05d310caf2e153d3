//! How much of the administration one caller may hold: it must stay open to whoever has to shut out
//! another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls at once of one caller.
const EACH: usize = 8;

/// Who has how many calls under way.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, usize>>);

/// One call under way. Counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    caller: String,
}

impl Turns {
    /// A turn for `caller`; none while it holds as many as it may.
    pub(crate) fn take(self: &Arc<Self>, caller: &str) -> Option<Turn> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(caller.to_owned()).or_default();
        if *count >= EACH {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Turn { turns: Arc::clone(self), caller: caller.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut held = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.caller) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            // Nobody is remembered who holds nothing.
            _ => drop(held.remove(&self.caller)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_leaves_room_for_others_and_nothing_behind() {
        let turns = Arc::new(Turns::default());
        let held: Vec<Turn> = (0..EACH).map(|_| turns.take("a").unwrap()).collect();
        assert!(turns.take("a").is_none());
        let other = turns.take("b").unwrap();
        drop(held);
        assert!(turns.take("a").is_some());
        drop(other);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
