//! Base64 inside a text: what its runs decode to is a text of its own, scanned by scanners of its own.
//!
//! A run is looked into from wherever its letters decode to text: from its beginning, and behind each
//! sign that could have been glued to it, as in a path. A long run is looked into in any case, from its
//! 64th letter on. Letters of either alphabet count (RFC 4648, sections 4 and 5), in one line or many.
//! Only whole letters are masked: those that hold any bit of the value.

use crate::cover::{Found, Places};
use crate::few::{Few, Lane};
use crate::map::Map;
use crate::near::Stretch;
use crate::scan::Scanner;

/// How many letters are decoded to see whether they are text: twelve bytes.
const LOOK: usize = 16;
/// So many are enough if padding follows.
const LOOK_PADDED: usize = 14;
/// From so many letters on a run is looked into whatever it decodes to.
const LONG: usize = 64;
/// A line of a run that goes on in the next line has so many letters at least.
const LINE: usize = 20;

/// No letter of base64.
const NONE: u8 = 0xff;

/// What each byte is worth.
static SEXTETS: [u8; 256] = sextets();

const fn sextets() -> [u8; 256] {
    let mut table = [NONE; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
        {
            table[letters[at] as usize] = at as u8;
        }
        at += 1;
    }
    #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
    {
        table[b'-' as usize] = 62;
        table[b'_' as usize] = 63;
    }
    table
}

#[inline]
fn sextet(byte: u8) -> u8 {
    SEXTETS.get(usize::from(byte)).copied().unwrap_or(NONE)
}

/// Whether it is a letter of base64.
#[inline]
pub(crate) fn is_letter(byte: u8) -> bool {
    sextet(byte) != NONE
}

/// Whether this letter is a sign, which could have been glued to what stands behind it.
#[inline]
fn is_sign(worth: u8) -> bool {
    worth >= 62
}

/// Whether nothing in a whole run of letters is to be decided, nor by the byte behind it: it is no text from any
/// letter on from which it is looked into, as nearly no run is.
fn is_quiet(run: &[u8], behind: u8) -> bool {
    if run.len() < LOOK_PADDED {
        return true;
    }
    let ends = !matches!(behind, b'=' | b'\n' | b'\r');
    let looked = |at: usize| {
        at.checked_sub(1).is_none_or(|before| run.get(before).is_some_and(|byte| is_sign(sextet(*byte))))
    };
    let text = |letters: &[u8]| {
        let bits = letters.iter().fold(0, |bits, byte| bits << 6 | u128::from(sextet(*byte)));
        is_text(bits, LOOK)
    };
    ends && run.len() < LONG
        && !run.windows(LOOK).enumerate().any(|(at, letters)| looked(at) && text(letters))
}

/// Follows the runs of one text.
#[derive(Default)]
pub(crate) struct Runs {
    /// Letters of the run so far; none between runs.
    length: usize,
    /// Letters of its line.
    line: usize,
    /// Bytes of the line's end since its last letter.
    breaks: u8,
    map: Map,
    /// The last letters' worth, six bits each, the last one lowest.
    recent: u128,
    /// From which letters the run may turn out to be text, not decided yet: a bit each, by how many letters ago
    /// it was.
    open: u32,
    inner: Vec<Inner>,
    /// A run that is too short yet for anything to be decided. Nothing else is kept of it: most end so.
    word: Word,
}

/// The beginning of a run, of fewer letters than [`LOOK_PADDED`].
#[derive(Default)]
struct Word {
    count: usize,
    /// The place behind it.
    end: usize,
}

impl Word {
    fn start(&self) -> usize {
        self.end - self.count
    }
}

/// The search in a run, from one of its letters.
struct Inner {
    scanner: Scanner,
    first: usize,
    bits: u32,
    count: u32,
}

/// Where the bytes of an [`Inner`] lie.
struct Letters<'a> {
    map: &'a Map,
    first: usize,
}

impl Places for Letters<'_> {
    fn start(&self, at: usize) -> usize {
        self.map.start(self.first + 4 * at / 3)
    }

    fn end(&self, end: usize) -> usize {
        self.map.end(self.first + (4 * end).div_ceil(3))
    }
}

impl Inner {
    fn new(first: usize) -> Self {
        Self { scanner: Scanner::default(), first, bits: 0, count: 0 }
    }

    fn push(&mut self, sextet: u8) {
        self.bits = self.bits << 6 | u32::from(sextet);
        self.count += 6;
        if self.count >= 8 {
            self.count -= 8;
            self.scanner.add(&[u8::try_from(self.bits >> self.count & 0xff).unwrap_or(0)]);
        }
    }
}

impl Runs {
    /// Takes bytes of the text that mean themselves, which begin at `at`. The text from where a run began is there.
    pub(crate) fn plain(&mut self, text: Stretch<'_>, bytes: &[u8], at: usize, found: &mut Found<'_>) {
        let mut done = 0;
        if self.word.count > 0 {
            let room = LOOK_PADDED - self.word.count;
            done = bytes.iter().take(room).take_while(|b| is_letter(**b)).count();
            (self.word.count, self.word.end) = (self.word.count + done, at + done);
            if done == room {
                self.read_word(text);
            } else if done < bytes.len() {
                self.word.count = 0;
            }
        }
        if self.length > 0 {
            done = self.go_on(bytes, done, at, found);
        }
        // A run long enough to matter covers one byte of every so many.
        while let Some(byte) = bytes.get(done + LOOK_PADDED - 1) {
            let probe = done + LOOK_PADDED - 1;
            if sextet(*byte) == NONE {
                done = probe + 1;
                continue;
            }
            let left = bytes.get(done..probe).unwrap_or_default();
            let begin = probe - left.iter().rev().take_while(|b| sextet(**b) != NONE).count();
            let right = bytes.get(probe..).unwrap_or_default();
            let end = probe + right.iter().take_while(|b| sextet(**b) != NONE).count();
            let run = bytes.get(begin..end).unwrap_or_default();
            let quiet = bytes.get(end).is_some_and(|behind| is_quiet(run, *behind));
            done = if quiet { end } else { self.go_on(bytes, begin, at, found) };
        }
        let rest = bytes.get(done..).unwrap_or_default();
        // Shorter than a run that matters.
        let begin = bytes.len() - rest.iter().rev().take_while(|b| sextet(**b) != NONE).count();
        if begin < bytes.len() {
            self.word = Word { count: bytes.len() - begin, end: at + bytes.len() };
        }
    }

    /// Takes the letters of a word that may become more.
    fn read_word(&mut self, text: Stretch<'_>) {
        let Word { count, end } = std::mem::take(&mut self.word);
        if count > 0 {
            self.letters(text.slice(end - count, end), end - count);
        }
    }

    /// Whether nothing can be decided by a few bytes more if all of them are letters.
    #[inline]
    pub(crate) fn waits(&self, few: Few) -> bool {
        self.length == 0 && self.word.count + few.count < LOOK_PADDED
    }

    /// Takes a few bytes of the text that mean themselves, which begin at `at`: as [`Self::plain`].
    #[inline]
    pub(crate) fn few(&mut self, few: Few, text: Stretch<'_>, at: usize, found: &mut Found<'_>) {
        if self.length > 0 || self.word.count + few.first(Lane::Letter) >= LOOK_PADDED {
            return self.plain(text, text.slice(at, at + few.count), at, found);
        }
        let before = if few.all(Lane::Letter) { self.word.count } else { 0 };
        self.word = Word { count: before + few.last(Lane::Letter), end: at + few.count };
    }

    /// Takes an escape that stands for these bytes, from `start` to `end` of the text.
    pub(crate) fn unit(
        &mut self,
        text: Stretch<'_>,
        bytes: &[u8],
        (start, end): (usize, usize),
        found: &mut Found<'_>,
    ) {
        self.read_word(text);
        match bytes {
            [byte] => {
                self.byte(*byte, start, end, found);
            }
            _ => self.stop(false, found),
        }
    }

    /// Takes bytes from `from` on until the run ends, and says behind which byte it did.
    fn go_on(&mut self, bytes: &[u8], from: usize, at: usize, found: &mut Found<'_>) -> usize {
        let mut place = from;
        while let Some(byte) = bytes.get(place) {
            let letters = self.letters(bytes.get(place..).unwrap_or_default(), at + place);
            place += letters;
            if letters > 0 {
                continue;
            }
            if !self.byte(*byte, at + place, at + place + 1, found) {
                return place + 1;
            }
            place += 1;
        }
        bytes.len()
    }

    /// Takes letters while nothing is to be decided about them. Gives how many: mostly all of a word.
    fn letters(&mut self, bytes: &[u8], at: usize) -> usize {
        if !self.inner.is_empty() {
            return 0;
        }
        let (mut open, mut length, mut recent) = (self.open, self.length, self.recent);
        if length == 0 {
            open = 1;
        }
        let mut taken = 0;
        for byte in bytes {
            let worth = sextet(*byte);
            // The next letter is the one that decides.
            if worth == NONE || open >> (LOOK - 1) != 0 || length + 1 >= LONG {
                break;
            }
            recent = recent << 6 | u128::from(worth);
            length += 1;
            open = open << 1 | u32::from(is_sign(worth));
            taken += 1;
        }
        if taken > 0 {
            if self.length == 0 {
                self.map.restart(0, at);
            }
            (self.open, self.length, self.recent) = (open, length, recent);
            self.line += taken;
            self.breaks = 0;
        }
        taken
    }

    /// Takes one byte; false when no run goes on behind it.
    #[inline]
    fn byte(&mut self, byte: u8, start: usize, end: usize, found: &mut Found<'_>) -> bool {
        let worth = sextet(byte);
        if worth != NONE {
            self.letter(worth, start, end);
            return true;
        }
        if self.length == 0 {
            return false;
        }
        let breaks = matches!(byte, b'\n' | b'\r');
        if breaks && (self.line >= LINE || self.breaks == 1) {
            self.breaks += 1;
            self.line = 0;
            self.map.unit(self.length..self.length, start..end);
            return true;
        }
        self.stop(byte == b'=', found);
        false
    }

    #[inline]
    fn letter(&mut self, worth: u8, start: usize, end: usize) {
        if self.length == 0 {
            self.map.restart(0, start);
            self.open = 1;
        }
        let place = self.length;
        self.length += 1;
        self.line += 1;
        self.breaks = 0;
        if end - start != 1 {
            self.map.unit(place..place + 1, start..end);
        }
        for inner in &mut self.inner {
            inner.push(worth);
        }
        self.recent = self.recent << 6 | u128::from(worth);
        self.open <<= 1;
        if self.open >> LOOK != 0 {
            self.decide(LOOK);
        }
        self.open |= u32::from(is_sign(worth));
        if self.length == LONG && !self.is_open_at(LONG) {
            self.begin(Inner::new(LONG));
        }
    }

    /// The first letter from which the run may turn out to be text, if there is one that is not decided.
    fn first_open(&self) -> Option<usize> {
        let ago = usize::try_from(self.open.checked_ilog2()?).ok()?;
        self.length.checked_sub(ago)
    }

    /// Whether a search goes on that reads the letter at `place` as the first of four.
    fn is_open_at(&self, place: usize) -> bool {
        self.inner.iter().any(|inner| inner.first % 4 == place % 4)
    }

    /// Decides whether the run is text from the first open letter on, by the next `letters`.
    fn decide(&mut self, letters: usize) {
        let Some(first) = self.first_open() else { return };
        let ago = self.length - first;
        self.open &= (1 << ago) - 1;
        let recent = self.recent;
        if is_text(recent >> (6 * (ago - letters)), letters) && !self.is_open_at(first) {
            let mut inner = Inner::new(first);
            let worth = |ago: usize| u8::try_from(recent >> (6 * ago) & 0x3f).unwrap_or(0);
            (0..ago).rev().for_each(|ago| inner.push(worth(ago)));
            self.begin(inner);
        }
    }

    /// Mostly there is one search only, and each takes some memory.
    fn begin(&mut self, inner: Inner) {
        self.inner.reserve_exact(1);
        self.inner.push(inner);
    }

    /// The run ended.
    fn stop(&mut self, padded: bool, found: &mut Found<'_>) {
        if self.length == 0 {
            return;
        }
        while padded && self.open >> LOOK_PADDED != 0 {
            self.decide(LOOK_PADDED);
        }
        if self.inner.is_empty() {
            // A word.
            return self.clear();
        }
        self.search(true, found);
    }

    /// Searches what has come. With `last`, nothing more comes.
    pub(crate) fn search(&mut self, last: bool, found: &mut Found<'_>) {
        if last {
            self.word.count = 0;
        }
        if self.length == 0 {
            return;
        }
        for inner in &mut self.inner {
            let letters = Letters { map: &self.map, first: inner.first };
            found.scan(&mut inner.scanner, last, 2, &letters);
        }
        if last {
            return self.clear();
        }
        if self.map.is_even() {
            return;
        }
        let settled = self.settled().unwrap_or(self.length);
        self.map.forget(settled.saturating_sub(1));
    }

    /// The first letter that is not decided about.
    fn settled(&self) -> Option<usize> {
        let inner = self.inner.iter().map(|inner| {
            let decided = inner.scanner.end() - inner.scanner.held();
            inner.first + 4 * decided / 3
        });
        inner.chain(self.first_open()).min()
    }

    /// Before which place of the text all is decided; none where no run is open.
    #[inline]
    pub(crate) fn frontier(&self) -> Option<usize> {
        if self.length == 0 {
            return (self.word.count > 0).then(|| self.word.start());
        }
        self.frontier_of_run()
    }

    fn frontier_of_run(&self) -> Option<usize> {
        let settled = self.settled()?;
        // A line's end goes with the letters behind it.
        let waits = settled < self.length || self.breaks > 0;
        waits.then(|| if settled == 0 { self.map.start(0) } else { self.map.end(settled) })
    }

    /// Makes it the state of another text.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
        self.line = 0;
        self.breaks = 0;
        self.open = 0;
        self.word.count = 0;
        self.inner.clear();
    }
}

/// Whether so many letters, the last ones of `bits`, decode to text: UTF-8 without control characters, perhaps
/// broken off.
#[inline]
fn is_text(bits: u128, letters: usize) -> bool {
    let bytes = (bits << (128 - 6 * letters)).to_be_bytes();
    let [first, second, ..] = bytes;
    // Nearly all that is no text shows it at once.
    let begins = match first {
        0x20..0x7f | b'\t' | b'\n' | b'\r' => {
            matches!(second, b'\t' | b'\n' | b'\r' | 0x20..0x7f | 0xc2..0xf5)
        }
        0xc2..0xf5 => second & 0xc0 == 0x80,
        _ => false,
    };
    begins && begins_text(&bytes, 6 * letters / 8)
}

fn begins_text(bytes: &[u8], length: usize) -> bool {
    let bytes = bytes.get(..length).unwrap_or(&[]);
    let control = |b: &u8| matches!(b, 0..=8 | 11 | 12 | 14..=31 | 127);
    !bytes.iter().any(control)
        && match std::str::from_utf8(bytes) {
            Ok(_) => true,
            Err(fault) => fault.error_len().is_none(),
        }
}
