//! Opening a page in the person's browser.

use std::process::Stdio;

use tokio::process::Command;

/// What opens a page, on one system or another.
const OPENERS: [&str; 3] =
    if cfg!(target_os = "macos") { ["open", "xdg-open", "wslview"] } else { ["xdg-open", "wslview", "open"] };

/// Tries to open `url` in the browser, and says whether a program took it. Whether a window came up
/// nobody knows, so the URL is to be printed all the same. Must be called within a runtime.
pub fn open(url: &str) -> bool {
    // An argument that begins with `-` would be an option.
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return false;
    }
    OPENERS.iter().any(|opener| {
        let mut command = Command::new(opener);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    })
}
