//! What opens an upstream: its secret is read where it lies, kept for a moment, shown as the upstream wants
//! it, refreshed when the upstream says no, and replaced on request.
//!
//! A [`Keeper`] keeps the credential of one resource. [`Keeper::current`] gives what is to be shown now, as
//! [`Shown`]: whoever sends requests puts it into them. [`Keeper::anew`] is asked when an upstream refused
//! it, and [`Keeper::rotate`] when an operator wants another. The gateway and its agents use the same code.
//!
//! Nothing here prints a secret: no error, no log line and no `Debug` holds any part of one, and what is let
//! go of is overwritten.

mod command;
mod error;
mod grant;
mod keeper;
mod needles;
mod rotation;
mod shown;
mod source;
mod vault;

pub use error::CredentialError;
pub use keeper::Keeper;
pub use needles::{Needles, SHORTEST};
pub use rotation::{NotRotated, Turning};
pub use shown::{Shown, Way};

#[cfg(test)]
mod tests;
