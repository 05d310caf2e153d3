//! A masker whose answer is one text.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;

use bytes::Bytes;
use mask::{Masker, Rules};
use model::{DataClass, Encoding, ExchangeId, Lane, Layout, LayoutFault, Piece, Reveal};

/// The exchange of all that is pushed here.
pub(crate) fn id() -> ExchangeId {
    ExchangeId::from_bytes([7; 16])
}

/// Sees nothing.
pub(crate) struct Nobody;

impl Reveal for Nobody {
    fn reveals(&self, _class: &DataClass) -> bool {
        false
    }
}

/// All that comes is one lane's text; each push is the next lane's, round and round.
pub(crate) struct Lanes(Encoding, u32, u32);

impl Layout for Lanes {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::Text { lane: Lane(self.2), encoding: self.0, raw: bytes });
        self.2 = (self.2 + 1) % self.1;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.extend((0..self.1).map(|n| Piece::End {
            lane: Lane(n),
            before: Bytes::new(),
            after: Bytes::new(),
        }));
        Ok(())
    }
}

pub(crate) fn masker(encoding: Encoding) -> Masker {
    lanes(encoding, 1)
}

pub(crate) fn lanes(encoding: Encoding, count: u32) -> Masker {
    let rules = Rules::standard().expect("the rules build");
    Masker::begin(id(), rules, Arc::new(Nobody), Box::new(Lanes(encoding, count, 0)))
}
