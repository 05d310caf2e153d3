//! llama.cpp's own server with the tiny model.

use std::process::Command;

use crate::parts::require;
use crate::process::{Part, free_address};

/// A running model server. It knows one model, `tiny-llama`, and asks for a key.
#[derive(Debug)]
pub struct LlamaServer {
    /// Its URL, without `/v1`.
    pub url: String,
    /// The key it asks for: what callers must never see.
    pub key: String,
    _part: Part,
}

impl LlamaServer {
    /// Starts it and waits until the model is loaded.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        let parts = require();
        let address = free_address();
        let key = format!("upstream-key-{}", address.port());
        let mut command = Command::new(parts.python());
        command.arg(parts.script("python/llama_server.py")).arg(parts.model());
        command.arg(address.port().to_string()).arg(&key);
        let mut part = Part::start("the model server", &mut command);
        let url = format!("http://{address}");
        part.answers(&format!("{url}/health")).await;
        Self { url, key, _part: part }
    }
}
