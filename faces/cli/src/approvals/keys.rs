//! Keys of a person who decides: single ones in the list, letters in a reason.

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A letter, also one of several bytes.
    Letter(char),
    /// The return key.
    Enter,
    /// Takes the last letter back.
    Backspace,
    /// Escape, alone.
    Escape,
    /// Ctrl-C or Ctrl-D.
    Interrupt,
    /// Arrows, and pages.
    Up,
    /// Downward.
    Down,
}

/// Keys from bytes: an arrow is three of them, a letter up to four.
#[derive(Debug, Default)]
pub(super) struct Reading {
    bytes: Vec<u8>,
}

impl Reading {
    /// Takes a byte, and gives a key when it is whole.
    pub(super) fn take(&mut self, byte: u8) -> Option<Key> {
        self.bytes.push(byte);
        let key = match self.bytes.as_slice() {
            // An arrow's beginning waits for its end.
            [0x1b] | [0x1b, b'[' | b'O'] => return None,
            [0x1b, b'[' | b'O', b'A'] => Some(Key::Up),
            [0x1b, b'[' | b'O', b'B'] => Some(Key::Down),
            // Longer sequences go on to a letter or a tilde.
            [0x1b, b'[', .., last]
                if !(last.is_ascii_alphabetic() || *last == b'~') && self.bytes.len() < 8 =>
            {
                return None;
            }
            [0x1b, ..] => None,
            [3 | 4] => Some(Key::Interrupt),
            [b'\r' | b'\n'] => Some(Key::Enter),
            [8 | 127] => Some(Key::Backspace),
            [0..=31] => None,
            bytes => match std::str::from_utf8(bytes) {
                Ok(text) => text.chars().next().map(Key::Letter),
                Err(fault) if fault.error_len().is_none() && bytes.len() < 4 => return None,
                Err(_) => None,
            },
        };
        self.bytes.clear();
        key
    }

    /// Whether an escape stands alone so far: it is a key when nothing follows soon.
    pub(super) fn may_be_escape(&self) -> bool {
        self.bytes == [0x1b]
    }

    /// Nothing followed it.
    pub(super) fn escape(&mut self) -> Key {
        self.bytes.clear();
        Key::Escape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        let mut reading = Reading::default();
        let bytes = "aé€😀\r\x7f\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x01\x03".bytes();
        let keys: Vec<Key> = bytes.filter_map(|byte| reading.take(byte)).collect();
        let letters = ['a', 'é', '€', '😀'].map(Key::Letter);
        let others = [Key::Enter, Key::Backspace, Key::Up, Key::Down, Key::Interrupt];
        assert_eq!(keys, letters.into_iter().chain(others).collect::<Vec<_>>());
        assert_eq!(reading.take(0x1b), None);
        assert!(reading.may_be_escape());
        assert_eq!(reading.escape(), Key::Escape);
        assert_eq!(reading.take(b'x'), Some(Key::Letter('x')));
        // What is no text is no key, and what follows it is one again.
        assert_eq!([0xff, b'y'].map(|byte| reading.take(byte)), [None, Some(Key::Letter('y'))]);
    }
}
