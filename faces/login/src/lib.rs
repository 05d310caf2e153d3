//! The OpenID client for people: logging in, keeping tokens, keeping them fresh.
//!
//! [`Login::token`] is what most callers want: a fresh token of whoever is logged in, refreshed before
//! its end under a lock. The flows that get the first tokens stand in modules of their own: [`device`]
//! for a person with another screen, [`code`] for a browser (a server that signs people in uses it too).
//! [`Provider`] knows an identity provider's endpoints, [`Token`](Tokens) what came of them. Nothing here
//! is on the path of a request.

mod answer;
mod browser;
pub mod code;
pub mod device;
mod error;
mod folder;
mod fresh;
mod gateway;
mod id_token;
mod login;
mod loopback;
mod pkce;
mod profile;
mod provider;
mod tokens;

pub use browser::open as open_browser;
pub use error::LoginError;
pub use folder::{Folder, is_a_name};
pub use fresh::{is_fresh, left};
pub use gateway::{GatewayLogins, Offer, Presented, origin};
pub use id_token::IdToken;
pub use login::{Choice, Login, Wanted};
pub use loopback::Loopback;
pub use pkce::{Pkce, random};
pub use profile::{Kept, Profile};
pub use provider::{Client, Provider};
pub use tokens::{Tokens, Unverified};
