//! Requests forwarded to real servers in this process.

mod answers;
mod choice;
mod credentials;
mod requests;
mod secure;
mod server;
mod times;
