//! Visits to a console that stands alone: a certified provider, a real store and ledger, and a clock that
//! moves when told. The browser is played; the real one is in `e2e`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this is test code, and clippy knows only functions marked as tests"
)]

mod answers;
mod ends;
mod stand;
mod words;
