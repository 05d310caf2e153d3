//! Tells people that something waits for them: signed webhooks, and a Slack channel.
//!
//! [`Teller::run`] follows the approvals in the store ([`follow`](mod@follow)), puts a notice for each
//! receiver into the spool beside them (`spool`), and sends it until it is taken or given up (`send`). One
//! replica does so at a time, by a lease. Nothing on the request path waits for any of it, and nothing that
//! comes back decides anything: consent is given on the approval's page, with the command line or by the
//! administration's interface, where a token says who gives it.
//!
//! Receivers get a notice at least once, in the order of what happened to an approval; a repetition has
//! the same id. No notice holds a prompt, a token or a secret.

mod approvals;
mod error;
mod follow;
mod line;
mod matter;
mod notice;
mod outlet;
mod pause;
mod send;
mod sign;
mod slack;
mod spool;
mod teller;
mod webhook;

pub use error::TellError;
pub use follow::{Read, Source};
pub use matter::{About, Matter, Stage, Who};
pub use teller::{Settings, Teller, Telling};

#[cfg(test)]
mod tests;
