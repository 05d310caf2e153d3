//! The ground that the end-to-end tests stand on: real parts, started on free ports and gone with the
//! test that started them.
//!
//! A part that is missing fails its test: a test that skips itself proves nothing. Run
//! `cargo xtask setup` first.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "everything here runs inside tests: what goes wrong must stop the test and say where"
)]

pub mod admin;
pub mod agent;
pub mod apart;
pub mod approvals;
pub mod ask;
pub mod client;
pub mod gateway;
pub mod llama;
pub mod memory;
pub mod narrow;
pub mod parts;
pub mod person;
pub mod plan;
pub mod process;
pub mod provider;
pub mod script;
pub mod through;
pub mod upstream;
pub mod vault;
