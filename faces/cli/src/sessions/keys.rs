//! Keys pressed while an answer is played: read from a terminal that is told to give each at once.

use crate::terminal::Terminal;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Stop here, or go on.
    Pause,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
    /// The next piece now.
    Next,
    /// No more.
    Quit,
}

/// Keys of somebody at a terminal.
pub(crate) struct Keys {
    terminal: Terminal,
    reading: Reading,
}

impl Keys {
    /// Keys, if somebody sits at a terminal.
    pub(crate) fn listen() -> Option<Self> {
        Some(Self { terminal: Terminal::listen()?, reading: Reading::default() })
    }

    /// The next key; never, once the terminal is gone.
    pub(crate) async fn next(&mut self) -> Key {
        loop {
            let byte = self.terminal.next().await;
            if let Some(key) = self.reading.take(byte) {
                return key;
            }
        }
    }
}

/// Keys from bytes: an arrow is three of them.
#[derive(Debug, Default)]
struct Reading {
    escape: u8,
}

impl Reading {
    fn take(&mut self, byte: u8) -> Option<Key> {
        self.escape = match (self.escape, byte) {
            (_, 0x1b) => 1,
            (1, b'[' | b'O') => 2,
            (2, b'C') => {
                self.escape = 0;
                return Some(Key::Next);
            }
            // Another key with an escape before it, such as an arrow upward.
            (2, _) => {
                self.escape = 0;
                return None;
            }
            _ => 0,
        };
        match byte {
            _ if self.escape > 0 => None,
            b' ' => Some(Key::Pause),
            b'+' | b'=' => Some(Key::Faster),
            b'-' => Some(Key::Slower),
            b'n' => Some(Key::Next),
            b'q' | 3 | 4 => Some(Key::Quit),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        let mut reading = Reading::default();
        let keys: Vec<Key> = b" +=-n\x1b[C\x1b[A\x1bOCxq\x1b\x1b[Cn\x03"
            .iter()
            .filter_map(|byte| reading.take(*byte))
            .collect();
        use Key::{Faster, Next, Pause, Quit, Slower};
        let wanted = [Pause, Faster, Faster, Slower, Next, Next, Next, Quit, Next, Next, Quit];
        assert_eq!(keys, wanted);
    }
}
