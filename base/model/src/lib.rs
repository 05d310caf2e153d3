//! The words every step of the path shares, and nothing else: no input, no output, no policy.
//!
//! A word lives here when two steps must mean the same thing by it: an [`ExchangeId`], an
//! [`Identity`], an [`Operation`] with its [`Facts`], a [`Refusal`], the [`Question`] that was judged
//! and the [`Piece`]s an answer is laid out in. Proofs do not live here: each is made by its own step.

mod act;
mod adapter;
mod agent;
mod bytes;
mod class;
mod clock;
mod decision;
mod exchange;
mod field;
mod identity;
mod layout;
mod operation;
mod outcome;
mod people;
mod question;
mod refusal;
mod server;
mod understood;

pub use act::{Act, Area};
pub use adapter::{Adapter, MaySee, Reveal, Usable};
pub use agent::AgentName;
pub use bytes::{from_hex, hex, same};
pub use class::{DataClass, DataClassError};
pub use clock::{Clock, FixedClock, SystemClock};
pub use decision::{Decision, Judgement, PolicyReason, PolicySetHash, Ruling};
pub use exchange::{ExchangeId, ResourceName};
pub use field::{FieldPlace, FieldRule};
pub use identity::{CallerKind, GroupName, Identity, TokenFacts};
pub use layout::{Encoding, HeaderField, Lane, Layout, LayoutFault, Piece, Unmasked};
pub use operation::{Class, Facts, Operation};
pub use outcome::{Durability, Findings, Outcome, Usage};
pub use people::{Alias, Marks, OwnerClaim, People, PersonAliases, persons};
pub use question::{AnswerHead, Question, QuestionParts};
pub use refusal::{Awaited, Code, Fault, Refusal};
pub use server::{ServerKind, UnknownStreams};
pub use understood::{AskedText, Understood};
