//! Keys pressed while an answer is played: read from a terminal that is told to give each at once.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

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

/// A terminal that gives keys. It is as it was before when this is dropped.
pub(crate) struct Keys {
    before: Termios,
    pressed: mpsc::Receiver<Key>,
}

impl Keys {
    /// Keys, if somebody sits at a terminal.
    pub(crate) fn listen() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut each = before.clone();
        // An interrupt comes as a key too, so that the terminal is put right before the end.
        each.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        each.special_codes[SpecialCodeIndex::VMIN] = 1;
        each.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &each).ok()?;
        let (press, pressed) = mpsc::channel(16);
        // It waits for a key until the process ends: nothing else can end a read from a terminal.
        std::thread::spawn(move || {
            let (mut reading, mut byte) = (Reading::default(), [0u8]);
            while io::stdin().read_exact(&mut byte).is_ok() {
                let Some(key) = reading.take(byte[0]) else { continue };
                if press.blocking_send(key).is_err() {
                    break;
                }
            }
        });
        Some(Self { before, pressed })
    }

    /// The next key; never, once the terminal is gone.
    pub(crate) async fn next(&mut self) -> Key {
        match self.pressed.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
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
