//! Where the bytes of a decoded text lie in the text it was decoded from.

use std::collections::VecDeque;
use std::ops::Range;

/// Places of a decoded view in the text. Both are counted from their beginnings. One byte of the view is
/// one of the text, but for the units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    /// The view is the text from here on, one to one, up to the first unit, and before here as far back as
    /// anybody asks.
    view: usize,
    text: usize,
    units: VecDeque<Stretch>,
}

/// A unit: some bytes of the view that stand for some bytes of the text. Of no bytes in the view, if the
/// text has something there that the view leaves out.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    view: usize,
    view_length: usize,
    text: usize,
    text_length: usize,
}

impl Map {
    /// A view that begins at this place with the text at that.
    pub(crate) fn begin(view: usize, text: usize) -> Self {
        Self { view, text, units: VecDeque::new() }
    }

    /// Makes it a view that begins so.
    pub(crate) fn restart(&mut self, view: usize, text: usize) {
        (self.view, self.text) = (view, text);
        self.units.clear();
    }

    /// Whether the view is the text, byte by byte, as far back as anybody asks.
    #[inline]
    pub(crate) fn is_even(&self) -> bool {
        self.units.is_empty()
    }

    /// Adds a unit behind all that is there.
    pub(crate) fn unit(&mut self, view: Range<usize>, text: Range<usize>) {
        self.units.push_back(Stretch {
            view: view.start,
            view_length: view.len(),
            text: text.start,
            text_length: text.len(),
        });
    }

    /// Where the text of the view's byte at `at` begins.
    pub(crate) fn start(&self, at: usize) -> usize {
        match self.before(at) {
            Some(unit) if at < unit.view + unit.view_length => unit.text,
            Some(unit) => unit.text + unit.text_length + (at - unit.view - unit.view_length),
            None => (self.text + at).saturating_sub(self.view),
        }
    }

    /// Where the text of the view's bytes before `end` ends. There is one at least.
    pub(crate) fn end(&self, end: usize) -> usize {
        let last = end.saturating_sub(1);
        match self.before(last) {
            Some(unit) if last < unit.view + unit.view_length => unit.text + unit.text_length,
            _ => self.start(last) + 1,
        }
    }

    /// The last unit that begins at `at` or before; of several that begin there, the last.
    fn before(&self, at: usize) -> Option<&Stretch> {
        let count = self.units.partition_point(|unit| unit.view <= at);
        count.checked_sub(1).and_then(|last| self.units.get(last))
    }

    /// Forgets what lies before the view's place `at`.
    pub(crate) fn forget(&mut self, at: usize) {
        while let Some(unit) = self.units.front().copied().filter(|unit| unit.view + unit.view_length < at) {
            self.view = unit.view + unit.view_length;
            self.text = unit.text + unit.text_length;
            self.units.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_on_both_sides_of_units() {
        // The text `ab\nc%41-d`, without its dash in the view.
        let mut map = Map::begin(0, 0);
        map.unit(2..3, 2..4);
        map.unit(4..5, 5..8);
        map.unit(5..5, 8..9);
        for _ in 0..2 {
            let starts: Vec<_> = (2..7).map(|at| map.start(at)).collect();
            assert_eq!(starts, [2, 4, 5, 9, 10]);
            let ends: Vec<_> = (3..7).map(|end| map.end(end)).collect();
            assert_eq!(ends, [4, 5, 8, 10]);
            map.forget(2);
        }
        map.forget(6);
        assert_eq!((map.start(6), map.end(7)), (10, 11));
    }
}
