//! One recorded body as a file of its own, for somebody who has no ledger: sealed to age recipients as
//! age itself does it, so that the stock tool opens it.

use std::io::{self, Write};

use age::Encryptor;
use age::x25519::Recipient;

use crate::body::{Direction, Kind};
use crate::{Frames, LedgerError};

/// What a body that was handed over comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// Bytes of it that were written.
    pub bytes: u64,
    /// Bytes that are not in the record, which has their digests only.
    pub missing: u64,
}

impl Frames {
    /// Writes the body that went in `direction` to `out`: in an age file for `recipients`, or in the clear if
    /// there are none. Encrypted frames must have their key. What the record holds as a digest is left out
    /// and counted.
    ///
    /// # Errors
    /// [`LedgerError`] when a frame is damaged, does not open, or cannot be written; `out` is of no use then.
    pub fn hand_over(
        self,
        direction: Direction,
        recipients: &[Recipient],
        mut out: impl Write,
    ) -> Result<Handed, LedgerError> {
        if recipients.is_empty() {
            return self.pour(direction, &mut out);
        }
        let sealing = |fault: &dyn std::fmt::Display| failed(io::Error::other(fault.to_string()));
        let all = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let sealed = Encryptor::with_recipients(all).map_err(|fault| sealing(&fault))?;
        let mut sealed = sealed.wrap_output(&mut out).map_err(failed)?;
        let handed = self.pour(direction, &mut sealed)?;
        sealed.finish().map_err(failed)?;
        Ok(handed)
    }

    fn pour(self, direction: Direction, out: &mut impl Write) -> Result<Handed, LedgerError> {
        let mut handed = Handed::default();
        for frame in self {
            let frame = frame?;
            if frame.direction() != direction {
                continue;
            }
            if !frame.encrypted.is_empty() {
                let problem = "is needed: what was said here is sealed".to_owned();
                return Err(LedgerError::Identity { problem });
            }
            let opaque = frame.opaque.as_ref().map_or(0, |opaque| opaque.length);
            handed.missing = handed.missing.saturating_add(opaque);
            if matches!(frame.kind(), Kind::Data | Kind::SpokenData) {
                out.write_all(&frame.data).map_err(failed)?;
                let length = u64::try_from(frame.data.len()).unwrap_or(u64::MAX);
                handed.bytes = handed.bytes.saturating_add(length);
            }
        }
        out.flush().map_err(failed)?;
        Ok(handed)
    }
}

fn failed(source: io::Error) -> LedgerError {
    LedgerError::HandOver { source: source.into() }
}
