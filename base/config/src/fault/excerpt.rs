//! The line a fault points at, with what must not be shown left out.

use std::ops::Range;

use super::{Place, visible};

/// The longest piece of a line that is shown, in characters.
const MOST_SHOWN: usize = 120;

/// One line of the file, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The text, hidden parts as `…`.
    pub(super) line: String,
    /// Characters before the caret.
    pub(super) column: usize,
    /// How many carets.
    pub(super) width: usize,
}

impl Excerpt {
    /// Cuts the line at `place` out of `text`. None when there is no such line, or when it is too long for
    /// the place to be seen in.
    pub(super) fn cut(text: &str, place: &Place, hidden: &[Range<usize>]) -> Option<Self> {
        let at = place.bytes.start;
        let start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = text.get(start..)?;
        let line = rest.split(['\n', '\r']).next()?;
        if place.line == 0 || at > start + line.len() {
            return None;
        }
        let end = start + line.len();
        let near: Vec<_> = hidden.iter().filter(|range| range.start < end && range.end > start).collect();
        let is_hidden = |byte: usize| near.iter().any(|range| range.contains(&byte));
        let mut shown = Self { line: String::new(), column: 0, width: 0 };
        let (mut count, mut in_hidden) = (0, false);
        for (offset, c) in line.char_indices() {
            let byte = start + offset;
            let written: Vec<char> = match (is_hidden(byte), in_hidden) {
                (true, true) => Vec::new(),
                (true, false) => vec!['…'],
                (false, _) if c == '\t' => vec![' '],
                (false, _) => visible(c).collect(),
            };
            in_hidden = is_hidden(byte);
            if byte < at {
                shown.column += written.len();
            } else if byte < place.bytes.end {
                shown.width += written.len();
            }
            count += written.len();
            if count > MOST_SHOWN {
                shown.line.push('…');
                break;
            }
            shown.line.extend(written);
        }
        // The caret may have to stand inside or after what is hidden: then it stands at its end.
        shown.width = shown.width.clamp(1, MOST_SHOWN);
        (shown.column <= MOST_SHOWN).then_some(shown)
    }
}
