//! The book of approvals: what it promises, and every history it can have.

mod book;
mod machine;
mod races;
mod scripted;
