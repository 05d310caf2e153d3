//! A few bytes, looked at all at once: what each is to every way of looking at a text, a bit each.
//!
//! Answers come in pieces of a few bytes. To ask each byte of such a piece the same few questions one after the other
//! takes longer than all else that is done with it; so one table answers all of them.

use crate::base64::is_letter;
use crate::context::is_strong;
use crate::escapes::is_sign;
use crate::rules::ReadyAround;

/// So many bytes are a few.
const MOST: usize = 8;

/// The lanes of a [`Few`], one a question.
#[derive(Clone, Copy)]
pub(crate) enum Lane {
    /// A letter of base64.
    Letter,
    /// Begins an escape, or is the sign that a rule lies around.
    Apart,
    /// Goes on a word of which nothing is known before it ends, or is long.
    Word,
    /// Stands in an announced value.
    Inside,
    /// An announced value may follow it.
    Before,
    /// Says that an announced value follows.
    Strong,
    /// May stand before the sign that a rule lies around.
    Run,
    /// May begin what stands there.
    First,
}

/// What each byte is: a bit in each lane.
pub(crate) struct Kinds([u64; 256]);

impl Kinds {
    /// By what an announced value may hold, and what it may follow, and by the rule around a sign.
    pub(crate) fn new(
        inside: impl Fn(u8) -> bool,
        before: impl Fn(u8) -> bool,
        around: Option<&ReadyAround>,
    ) -> Self {
        let mut kinds = [0; 256];
        for (byte, kind) in (0..=255).zip(kinds.iter_mut()) {
            let apart = is_sign(byte) || around.is_some_and(|around| around.sign == byte);
            let [run, first] = around.map_or([false; 2], |around| around.holds(byte));
            let mut is = |lane: Lane, holds: bool| *kind |= u64::from(holds) << (MOST * lane as usize);
            is(Lane::Letter, is_letter(byte));
            is(Lane::Apart, apart);
            is(Lane::Word, byte.is_ascii_alphanumeric() && inside(byte) && !apart);
            is(Lane::Inside, inside(byte));
            is(Lane::Before, before(byte));
            is(Lane::Strong, is_strong(byte));
            is(Lane::Run, run);
            is(Lane::First, first);
        }
        Self(kinds)
    }

    /// What these bytes are; none when they are more than a few.
    #[inline]
    pub(crate) fn of(&self, bytes: &[u8]) -> Option<Few> {
        if bytes.len() > MOST {
            return None;
        }
        let kind = |byte: u8| self.0.get(usize::from(byte)).copied().unwrap_or(0);
        let bits = bytes.iter().enumerate().fold(0, |all, (n, byte)| all | kind(*byte) << n);
        Some(Few { bits, count: bytes.len() })
    }
}

/// What a few bytes are.
#[derive(Clone, Copy)]
pub(crate) struct Few {
    bits: u64,
    /// How many there are.
    pub(crate) count: usize,
}

impl Few {
    /// A bit for each byte, the first one lowest.
    #[inline]
    pub(crate) fn lane(self, lane: Lane) -> u64 {
        self.bits >> (MOST * lane as usize) & 0xff
    }

    /// Whether all of them are this.
    #[inline]
    pub(crate) fn all(self, lane: Lane) -> bool {
        self.first(lane) == self.count
    }

    /// Whether any of them is this.
    #[inline]
    pub(crate) fn any(self, lane: Lane) -> bool {
        self.lane(lane) != 0
    }

    /// How many are this before the first that is not.
    #[inline]
    pub(crate) fn first(self, lane: Lane) -> usize {
        usize::try_from(self.lane(lane).trailing_ones()).unwrap_or(0)
    }

    /// How many are this behind the last that is not.
    #[inline]
    pub(crate) fn last(self, lane: Lane) -> usize {
        let ends = self.lane(lane).checked_shl(u32::try_from(64 - self.count).unwrap_or(64)).unwrap_or(0);
        usize::try_from(ends.leading_ones()).unwrap_or(0)
    }

    /// What the last 64 bytes are, behind those that were before.
    #[inline]
    pub(crate) fn behind(self, before: u64, lane: Lane) -> u64 {
        match self.count {
            0 => before,
            count => before >> count | self.lane(lane) << (64 - count),
        }
    }
}

/// What the last 64 bytes that came by a few are to the rule around a sign, the last one highest.
#[derive(Clone, Copy, Default)]
pub(crate) struct Last {
    /// From here on they are known.
    from: usize,
    /// The place behind them.
    end: usize,
    run: u64,
    first: u64,
}

impl Last {
    /// A few bytes more, which come at `end`.
    #[inline]
    pub(crate) fn few(&mut self, few: Few, end: usize) {
        if self.end != end {
            self.from = end;
        }
        self.end = end + few.count;
        self.run = few.behind(self.run, Lane::Run);
        self.first = few.behind(self.first, Lane::First);
    }

    /// The first byte from `begin` on that may begin the run that ends before `end`, or `end`. None where these bytes
    /// are not all known.
    #[inline]
    pub(crate) fn first_of_run(&self, begin: usize, end: usize) -> Option<usize> {
        if self.end != end || begin < self.from || end - begin >= 64 {
            return None;
        }
        let last = |count: u32| u64::MAX.checked_shl(64 - count).unwrap_or(0);
        let window = last(u32::try_from(end - begin).unwrap_or(0));
        let first = self.first & last((self.run & window).leading_ones());
        let ago = 64_usize.saturating_sub(usize::try_from(first.trailing_zeros()).unwrap_or(0));
        Some(end - ago)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::Rules;

    proptest! {
        #[test]
        fn all_at_once_is_as_one_by_one(text in "[a-z0-9 %@\\\\+=é-]{0,9}", before in any::<u64>()) {
            let rules = Rules::standard().unwrap();
            let bytes = text.as_bytes();
            let few = rules.few.of(bytes);
            prop_assert_eq!(few.is_some(), bytes.len() <= MOST);
            let Some(few) = few else { return Ok(()) };
            let count = |run: &mut dyn Iterator<Item = &u8>| run.take_while(|b| is_letter(**b)).count();
            prop_assert_eq!(few.first(Lane::Letter), count(&mut bytes.iter()));
            prop_assert_eq!(few.last(Lane::Letter), count(&mut bytes.iter().rev()));
            prop_assert_eq!(few.all(Lane::Letter), bytes.iter().all(|b| is_letter(*b)));
            prop_assert_eq!(few.any(Lane::Apart), bytes.iter().any(|b| matches!(b, b'%' | b'\\' | b'@')));
            let mut last = before;
            for byte in bytes {
                last = last >> 1 | u64::from(is_strong(*byte)) << 63;
            }
            prop_assert_eq!(few.behind(before, Lane::Strong), last);
        }

        #[test]
        fn the_run_before_a_sign_is_as_long_as_byte_by_byte(
            text in "[a-z.-]{0,60}[ a-z.@-]{0,30}[a-z.-]{0,40}",
            cuts in prop::collection::vec(1usize..12, 1..40),
            back in 0usize..70,
        ) {
            let rules = Rules::standard().unwrap();
            let around = rules.around.as_ref().unwrap();
            let (mut last, mut end) = (Last::default(), 0);
            for cut in cuts {
                let from = end;
                end = text.len().min(from + cut);
                if let Some(few) = rules.few.of(&text.as_bytes()[from..end]) {
                    last.few(few, from);
                }
                let begin = end.saturating_sub(back);
                let slowly = end - around.run_length(&text.as_bytes()[begin..end]);
                prop_assert!(last.first_of_run(begin, end).is_none_or(|first| first == slowly));
            }
        }
    }
}
