//! The lanes of one answer, and which are open.

use std::collections::HashMap;

use model::{Lane, LayoutFault};

use super::marks::{Kind, LaneUse, Mark, Template};

/// The most lanes of one answer: more than any model writes, few enough to keep.
const MAX_LANES: usize = 1024;

/// Which lanes an event ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closes {
    /// None.
    Nothing,
    /// Those of the groups that begin so.
    Groups(Vec<String>),
    /// All.
    All,
}

/// An open lane.
#[derive(Debug)]
struct Open {
    group: String,
    template: Option<Template>,
}

/// Lanes by their key; numbers are given in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    numbers: HashMap<String, u32>,
    open: Vec<Option<Open>>,
}

impl Lanes {
    /// The lane that `lane` continues, open from now on.
    ///
    /// # Errors
    /// [`LayoutFault`] when text comes after the lane's end: clients join it to what went out, where
    /// nothing could be found in the two together any more.
    fn continues(&mut self, lane: LaneUse, is_empty: bool) -> Result<Lane, LayoutFault> {
        let open = Open { group: lane.group, template: lane.template };
        if let Some(number) = self.numbers.get(&lane.key).copied() {
            match self.open.get_mut(number as usize) {
                Some(None) if is_empty => {}
                Some(None) => {
                    return Err(LayoutFault::Malformed("a text goes on after its end".to_owned()));
                }
                Some(place) => *place = Some(open),
                None => {}
            }
            return Ok(Lane(number));
        }
        if self.open.len() >= MAX_LANES {
            return Err(LayoutFault::Malformed(format!("more than {MAX_LANES} texts in one answer")));
        }
        let number = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        self.numbers.insert(lane.key, number);
        self.open.push(Some(open));
        Ok(Lane(number))
    }

    /// Gives the marks of one event their lanes and ends those the event closes: inside the event,
    /// right after its last text, where the event has text of the lane; else before it. Returns what
    /// must end before the event.
    ///
    /// # Errors
    /// [`LayoutFault`] when the answer has more lanes than any answer should.
    pub(crate) fn settle(
        &mut self,
        marks: &mut [Mark],
        closes: &Closes,
    ) -> Result<Vec<(Lane, Template)>, LayoutFault> {
        let mut last: HashMap<Lane, usize> = HashMap::new();
        for (place, mark) in marks.iter_mut().enumerate() {
            if let Kind::Use(lane) = &mark.kind {
                let lane = self.continues(lane.clone(), mark.range.is_empty())?;
                mark.kind = Kind::Text { lane, ends: false };
                last.insert(lane, place);
            }
        }
        let mut before = Vec::new();
        for (lane, template) in self.close(closes) {
            match last.get(&lane).and_then(|place| marks.get_mut(*place)) {
                Some(mark) => mark.kind = Kind::Text { lane, ends: true },
                None => before.extend(template.map(|template| (lane, template))),
            }
        }
        Ok(before)
    }

    /// Takes a lane away: its text comes again as part of another.
    pub(crate) fn forget(&mut self, key: &str) -> Option<Lane> {
        let number = self.numbers.get(key).copied()?;
        self.open.get_mut(number as usize)?.take()?;
        Some(Lane(number))
    }

    /// Whether some lane has not ended.
    pub(crate) fn any_open(&self) -> bool {
        self.open.iter().any(Option::is_some)
    }

    /// Ends the lanes that `closes` names, in the order of their numbers.
    pub(crate) fn close(&mut self, closes: &Closes) -> Vec<(Lane, Option<Template>)> {
        if *closes == Closes::Nothing {
            return Vec::new();
        }
        let named = |group: &str| match closes {
            Closes::Nothing => false,
            Closes::Groups(groups) => groups.iter().any(|prefix| group.starts_with(prefix.as_str())),
            Closes::All => true,
        };
        let mut ended = Vec::new();
        for (number, place) in (0u32..).zip(&mut self.open) {
            if place.as_ref().is_some_and(|open| named(&open.group))
                && let Some(open) = place.take()
            {
                ended.push((Lane(number), open.template));
            }
        }
        ended
    }
}
