//! Looks ahead for places where a spelled rule could match, without starting a search at every word.
//!
//! Nearly every word could begin some value by its first byte, and nearly none by its first four. So the
//! automaton over all spelled rules is run from every possible start at once, for its first few bytes,
//! and these joint runs are worked out beforehand: one table says, byte by byte, how long ago the oldest
//! start that is still alive was, and whether one has lived long enough to be looked at by itself. What
//! the table passes over has no match: it makes the search faster and changes nothing.

use std::collections::HashMap;

use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use crate::rules::{BEGINNING, Machine, MaskError};

/// How long a start is followed at most; less when that takes too many states.
const LONGEST: u8 = 8;

/// The same of what begins with no letter.
const SHORTEST: u8 = 5;

/// How many states the table may have.
const MOST_STATES: usize = 30_000;

/// The table.
pub(crate) struct Ahead {
    /// The column of each byte.
    columns: [u8; 256],
    /// The width of a row is two to this power.
    shift: u32,
    /// Rows of following states.
    next: Vec<u16>,
    /// How many bytes ago the oldest live start was, by state; zero when none lives.
    age: Vec<u8>,
    /// States from here on have a start that must be looked at.
    alarm: u16,
    /// The state to begin in after each byte, and at the beginning of a text.
    fresh: Vec<u16>,
}

/// A place in the text with the table's state there.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) at: usize,
    pub(crate) state: u16,
}

impl Ahead {
    /// Works out the joint runs through both machines.
    ///
    /// # Errors
    /// [`MaskError::Automaton`] when even starts of two bytes take too many states.
    pub(crate) fn build(machines: [&Machine; 2]) -> Result<Self, MaskError> {
        (2..=LONGEST)
            .rev()
            .find_map(|longest| Builder::new(machines, longest).run())
            .ok_or_else(|| MaskError::Automaton("too many ways to begin".to_owned()))
    }

    /// The state to begin in behind `prev`, 256 meaning the beginning of the text.
    #[inline]
    pub(crate) fn fresh(&self, prev: usize) -> u16 {
        self.fresh.get(prev).copied().unwrap_or(0)
    }

    /// How many bytes before its place the oldest live start of `state` lies.
    #[inline]
    pub(crate) fn age(&self, state: u16) -> usize {
        usize::from(self.age.get(usize::from(state)).copied().unwrap_or(0))
    }

    /// Whether a start has lived long enough.
    #[inline]
    pub(crate) fn alarms(&self, state: u16) -> bool {
        state >= self.alarm
    }

    /// One byte on.
    #[inline]
    pub(crate) fn step(&self, state: u16, byte: u8) -> u16 {
        let column = self.columns.get(usize::from(byte)).copied().unwrap_or(0);
        self.next.get((usize::from(state) << self.shift) + usize::from(column)).copied().unwrap_or(self.alarm)
    }

    /// Goes on through `text` until an alarm. Gives the state, and how many bytes were read.
    #[inline]
    pub(crate) fn skip(&self, mut state: u16, text: &[u8]) -> (u16, usize) {
        let mut read = 0;
        for byte in text {
            state = self.step(state, *byte);
            read += 1;
            if state >= self.alarm {
                break;
            }
        }
        (state, read)
    }

    /// The weight of the table in bytes.
    pub(crate) fn memory(&self) -> usize {
        2 * self.next.len() + self.age.len()
    }
}

/// A start that lives: its states in both machines, dead or alive; how many bytes it has read; and how many
/// it may read.
type Live = ([StateID; 2], u8, u8);

/// The starts that live, oldest first; and the states to begin with at the next byte.
type Joint = ([StateID; 2], Vec<Live>);

struct Builder<'a> {
    machines: [&'a Machine; 2],
    longest: u8,
    columns: [u8; 256],
    /// One byte of each column.
    bytes: Vec<u8>,
    known: HashMap<Joint, usize>,
    list: Vec<Joint>,
    /// Rows; an alarm is written as `ALARM` and its age.
    rows: Vec<usize>,
}

/// Above every number of a state.
const ALARM: usize = 1 << 20;

impl<'a> Builder<'a> {
    fn new(machines: [&'a Machine; 2], longest: u8) -> Self {
        let mut columns = [0u8; 256];
        let (mut kinds, mut bytes) = (Vec::new(), Vec::new());
        for (byte, column) in (0u8..=255).zip(columns.iter_mut()) {
            let kind = machines.map(|m| (m.dfa.byte_classes().get(byte), m.start(usize::from(byte))));
            let kind = (kind, byte.is_ascii_alphabetic());
            let known = kinds.iter().position(|k| *k == kind).unwrap_or_else(|| {
                kinds.push(kind);
                bytes.push(byte);
                kinds.len() - 1
            });
            *column = u8::try_from(known).unwrap_or(0);
        }
        let (known, list, rows) = (HashMap::new(), Vec::new(), Vec::new());
        Self { machines, longest, columns, bytes, known, list, rows }
    }

    fn run(mut self) -> Option<Ahead> {
        let fresh: Vec<usize> = (0..=BEGINNING)
            .map(|prev| self.number((self.machines.map(|m| m.start(prev)), Vec::new())))
            .collect();
        let mut done = 0;
        while let Some(joint) = self.list.get(done).cloned() {
            for byte in self.bytes.clone() {
                let next = self.follow(&joint, byte);
                self.rows.push(next);
            }
            done += 1;
            if self.list.len() > MOST_STATES {
                return None;
            }
        }
        Some(self.table(&fresh))
    }

    fn number(&mut self, joint: Joint) -> usize {
        let next = self.list.len();
        *self.known.entry(joint).or_insert_with_key(|joint| {
            self.list.push(joint.clone());
            next
        })
    }

    fn follow(&mut self, (start, live): &Joint, byte: u8) -> usize {
        let mut next: Vec<Live> = Vec::new();
        let mut alarm = false;
        // What begins with a letter is most often a word, which shows late; with a digit, soon a number.
        let most = if byte.is_ascii_alphabetic() { self.longest } else { self.longest.min(SHORTEST) };
        for (states, age, most) in live.iter().chain(&[(*start, 0, most)]) {
            let [a, b] = self.machines;
            let [left, right] = *states;
            let step = |m: &Machine, state| {
                if m.dfa.is_dead_state(state) { state } else { m.dfa.next_state(state, byte) }
            };
            let (left, right) = (step(a, left), step(b, right));
            let dead = a.dfa.is_dead_state(left) && b.dfa.is_dead_state(right);
            if dead {
                continue;
            }
            alarm |= a.dfa.is_match_state(left) || b.dfa.is_match_state(right) || age + 1 >= *most;
            next.push(([left, right], age + 1, *most));
        }
        if alarm {
            return ALARM + next.first().map_or(0, |(_, age, _)| usize::from(*age));
        }
        self.number((self.machines.map(|m| m.start(usize::from(byte))), next))
    }

    /// Puts the states that alarm behind the others: one for each age.
    fn table(self, fresh: &[usize]) -> Ahead {
        let states = self.list.len();
        let number = |state: usize| {
            let state = if state >= ALARM { states + state - ALARM } else { state };
            u16::try_from(state).unwrap_or(u16::MAX)
        };
        let shift = self.bytes.len().next_power_of_two().trailing_zeros();
        let mut next = vec![number(ALARM); states << shift];
        for (row, from) in next.chunks_mut(1 << shift).zip(self.rows.chunks(self.bytes.len())) {
            for (to, from) in row.iter_mut().zip(from) {
                *to = number(*from);
            }
        }
        let ages = self.list.iter().map(|(_, live)| live.first().map_or(0, |(_, age, _)| *age));
        Ahead {
            columns: self.columns,
            shift,
            next,
            age: ages.chain(0..=self.longest).collect(),
            alarm: number(ALARM),
            fresh: fresh.iter().map(|state| number(*state)).collect(),
        }
    }
}
