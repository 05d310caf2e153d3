//! The end-to-end tests: one binary, one module a theme. Every test starts the parts it needs, on free
//! ports, and leaves nothing behind. `cargo xtask setup` brings the parts.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "all of this is test code, and clippy knows only functions marked as tests"
)]

mod acts;
mod admin;
mod admin_cli;
mod admin_masking;
mod agents;
mod agents_apart;
mod ailing;
mod approvals_desk;
mod approvals_meanwhile;
mod approvals_sdks;
mod audit;
mod catalogue;
mod cli;
mod console;
mod credentials;
mod defects;
mod demo;
mod disclose;
mod docs;
mod doctor;
mod filling;
mod finding;
mod grants;
mod hostile;
mod identity;
mod ledger;
mod login;
mod login_sdks;
mod logout;
mod masking;
mod observe;
mod opaque;
mod operate;
mod operator;
mod parts;
mod proxy;
mod reload;
mod replay;
mod retention;
mod sdk_anthropic;
mod sdk_node;
mod sdk_openai;
mod sealed;
mod shapes;
mod standing;
mod telling;
mod tls;
mod upstreams;
