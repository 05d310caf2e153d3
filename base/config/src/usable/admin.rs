//! Where Portcullis itself is administered.

use std::path::PathBuf;

use super::Listener;

/// Where Portcullis itself is administered: by a listener, a socket, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A listener of its own, if there is one.
    pub listener: Option<Listener>,
    /// A Unix socket, if there is one.
    pub socket: Option<PathBuf>,
    /// The socket's mode: 0600 or 0660.
    pub socket_mode: u32,
}
