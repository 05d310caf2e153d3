//! What is held of an answer until its end, within a bound.

use bytes::{Bytes, BytesMut};
use model::LayoutFault;

/// Bytes of an answer, so many at most.
#[derive(Debug)]
pub(super) struct Kept {
    limit: usize,
    bytes: BytesMut,
}

impl Kept {
    /// Takes `limit` bytes at most.
    pub(super) fn within(limit: usize) -> Self {
        Self { limit, bytes: BytesMut::new() }
    }

    /// Takes more.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Result<(), LayoutFault> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(LayoutFault::TooLarge { limit: self.limit });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Gives all of it away.
    pub(super) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }
}
