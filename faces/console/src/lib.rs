//! The pages for people: signing in by browser, sessions, the page that says who you are here, and what waits
//! for consent.
//!
//! [`Console::answer`] serves every path of the admin listener that is not the API's. A person signs in at
//! their issuer by the authorization code flow with PKCE (`flow`); what comes of it is a session
//! that holds no token, named by a cookie of which only the hash is kept. No page needs a script.
//!
//! What a page says of a person is recorded before it leaves, as every exchange is. Only what says nothing
//! of anybody leaves without: the page with the sign-in buttons, the stylesheet and the mark.

mod approvals;
mod attempt;
mod cookies;
mod error;
mod flow;
mod guard;
mod look;
mod overview;
mod pages;
mod provider;
mod reply;
mod secret;
mod serve;
mod sessions;
mod visit;

pub use error::ConsoleError;
pub use serve::{Console, Ground, View};
