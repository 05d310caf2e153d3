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
mod error;
mod facets;
mod find;
mod frame;
mod gone;
mod group;
mod health;
mod hold;
mod index;
mod judged;
mod keeper;
pub mod leaf;
mod ledger;
mod listed;
mod log;
pub mod note;
pub mod opened;
mod pack;
mod posting;
mod reader;
mod record;
mod recorded;
mod recover;
mod reserve;
mod retention;
mod rows;
mod segment;
mod settings;
mod shelves;
mod signing;
mod stock;
mod strangers;
mod table;
mod terms;
#[cfg(test)]
mod tests;
mod text;
pub mod tree;
mod work;
mod writer;

pub use administer::Administering;
pub use checkpoints::{ask_for_checkpoint, ask_no_more, is_asked, last_checkpoint};
pub use digest::Chain;
pub use error::LedgerError;
pub use find::{Cursor, Filter, Page};
pub use frame::{Damage, Fault, Frame, MAX_PAYLOAD};
pub use gone::{Gone, WhyGone};
pub use health::{Condition, LedgerHealth};
pub use hold::{Held, HoldFilter, holds};
pub use index::{Indexing, rebuild_index, rebuild_index_as};
pub use ledger::{Ledger, Stranger};
pub use listed::{Begun, Listed};
pub use model::Durability;
pub use reader::{Exchange, Frames, Reader, is_written};
pub use record::{Opening, Record, Sealing};
pub use recorded::{Recorded, Spoken, Words};
pub use retention::{Policy, Retention};
pub use segment::{DEFAULT_CLASS, Family, HEADER, Header, Position, Series, SeriesReader};
pub use settings::Settings;
pub use signing::rotate;
pub use stock::ClassStock;
