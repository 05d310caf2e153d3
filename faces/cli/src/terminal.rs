//! A terminal that gives each key at once, as bytes.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

/// A terminal that gives keys. It is as it was before when this is dropped.
pub(crate) struct Terminal {
    before: Termios,
    pressed: mpsc::Receiver<u8>,
}

impl Terminal {
    /// The terminal, if somebody sits at one. An interrupt comes as a key too, so that the terminal is put
    /// right before the end.
    pub(crate) fn listen() -> Option<Self> {
        Self::with(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// The same, where interrupts stay signals.
    pub(crate) fn beside_signals() -> Option<Self> {
        Self::with(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn with(without: LocalModes) -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut each = before.clone();
        each.local_modes.remove(without);
        each.special_codes[SpecialCodeIndex::VMIN] = 1;
        each.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &each).ok()?;
        let (press, pressed) = mpsc::channel(64);
        // It waits for a key until the process ends: nothing else can end a read from a terminal.
        std::thread::spawn(move || {
            let mut byte = [0u8];
            while io::stdin().read_exact(&mut byte).is_ok() {
                if press.blocking_send(byte[0]).is_err() {
                    break;
                }
            }
        });
        Some(Self { before, pressed })
    }

    /// The next byte; never, once the terminal is gone.
    pub(crate) async fn next(&mut self) -> u8 {
        match self.pressed.recv().await {
            Some(byte) => byte,
            None => std::future::pending().await,
        }
    }

    /// How wide and how high it is now, in letters.
    pub(crate) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
