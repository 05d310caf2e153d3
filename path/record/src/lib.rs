//! Step six and nine: the exchange is opened in the ledger before the act, and every byte before it leaves.
//!
//! [`Ledger`] writes, [`Reader`] reads, also from another process or a copy. Files are described in
//! `docs/record-format.md` and `proto/ledger.proto`.

mod administer;
pub mod audit;
pub mod body;
mod bookmark;
mod checkpoints;
mod describe;
mod desk;
mod digest;
mod disk;
mod envelope;
mod error;
mod frame;
mod group;
mod handover;
mod health;
mod identity;
mod index;
mod judged;
pub mod leaf;
mod ledger;
mod log;
pub mod note;
pub mod opened;
mod own;
mod reader;
mod record;
mod recorded;
mod recover;
mod reserve;
mod rows;
mod segment;
mod settings;
mod signing;
mod strangers;
mod table;
#[cfg(test)]
mod tests;
pub mod tree;
mod work;
mod writer;

pub use administer::Administering;
pub use checkpoints::{ask_for_checkpoint, ask_no_more, is_asked, last_checkpoint};
pub use digest::Chain;
pub use error::LedgerError;
pub use frame::{Damage, Fault, Frame, MAX_PAYLOAD};
pub use handover::Handed;
pub use health::{Condition, LedgerHealth};
pub use identity::{DataKey, Identities, MAX_IDENTITY_BYTES};
pub use index::rebuild_index;
pub use ledger::{Ledger, Stranger};
pub use reader::{Cursor, Exchange, Filter, Frames, Listed, Page, Reader, is_written};
pub use record::{Opening, Record, Sealing};
pub use recorded::{Recorded, Spoken, Words};
pub use segment::{DEFAULT_CLASS, Family, HEADER, Header, Position, Series, SeriesReader};
pub use settings::{Durability, Settings};
pub use signing::rotate;
