//! Step two: a verified caller from a short-lived token, every time.
//!
//! [`Authenticator::caller`] takes the one token out of a request's headers, reads it strictly, finds
//! the issuer it claims and the key that issuer publishes, checks signature and claims, and maps what
//! the token says to an [`model::Identity`]. A [`Caller`] is the proof that all of it passed; only this
//! crate can make one. Each way to fail is one [`AuthenticateError`] and one [`Check`] with a stable
//! name, which goes to the operator and not to the stranger who sent the token.
//!
//! The signature itself is verified by `jsonwebtoken`; nothing else of it is used, because it accepts
//! tokens that a gate must not: without `aud` or `iss`, with `crit`, with members given twice.

mod ask;
mod authenticator;
mod bearer;
mod cache;
mod check;
mod claims;
mod compact;
mod digest;
mod error;
mod inspect;
mod issuer;
mod keys;
mod logout;
mod mapping;
mod opaque;
mod provider;
mod sign_in;
pub mod standing;
mod strict;
mod userinfo;

pub use authenticator::{Authenticator, Caller};
pub use check::Check;
pub use compact::{MAX_HEADER_BYTES, MAX_TOKEN_BYTES, front_end};
pub use error::AuthenticateError;
pub use inspect::{Checked, Inspection, Verdict};
pub use logout::{LoggedOut, LogoutError};
pub use provider::IssuerHealth;
pub use sign_in::{Expected, SignedIn};
pub use standing::{Live, Standing};

#[cfg(test)]
mod tests;
