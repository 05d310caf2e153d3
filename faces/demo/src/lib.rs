//! The first run: an embedded identity provider and model, and scenes that show the main job.
//!
//! The gateway of the demo is the real one, in a process of its own, so that it can be killed. Only the
//! issuer and the model are embedded, and they listen on loopback alone.

mod client;
mod error;
mod gateway;
mod ground;
mod issuer;
mod model_server;
mod scenes;
mod screen;
mod tap;

use std::io::Write;
use std::path::PathBuf;

pub use error::DemoError;
use ground::Ground;
use screen::Screen;

/// What the demo is asked for.
#[derive(Debug)]
pub struct Options {
    /// Run all scenes without waiting for anybody, then stop.
    pub check: bool,
    /// Where everything is kept; a temporary folder when absent.
    pub dir: Option<PathBuf>,
    /// A real model server instead of the embedded one, with an OpenAI-compatible interface.
    pub upstream: Option<http::Uri>,
    /// Where that server's key lies, as `env:NAME` or `file:PATH`.
    pub upstream_key: Option<String>,
    /// The program to run as the gateway: this one.
    pub program: PathBuf,
    /// Whether the output is a terminal: then there is colour, and the streams are drawn as they come.
    pub terminal: bool,
}

/// Runs every scene; then, unless `check` was asked for, stays up until interrupted.
///
/// # Errors
/// [`DemoError`] names the scene that failed and what it saw.
pub async fn run(options: Options, output: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let mut screen = Screen::new(output, options.terminal);
    let mut ground = Ground::prepare(&options).await?;
    screen.title("Portcullis stands between callers and a model.")?;
    screen.faint(&format!("Everything of this demo lies in {}", ground.dir().display()))?;
    for (number, scene) in scenes::ALL.iter().enumerate() {
        screen.scene(number + 1, scene.title, scene.explains)?;
        (scene.play)(&mut ground, &mut screen).await.map_err(|fault| fault.in_scene(number + 1))?;
        screen.gap()?;
    }
    if options.check {
        screen.good("All scenes passed.")?;
        return ground.end().await;
    }
    stay(&ground, &mut screen).await?;
    ground.end().await
}

async fn stay(ground: &Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    screen.title("It stays up. Try it:")?;
    for line in ground.lines_to_try() {
        screen.plain(&line)?;
    }
    screen.faint("Ctrl-C ends it.")?;
    tokio::signal::ctrl_c().await.map_err(|fault| DemoError::new("waiting for Ctrl-C", fault))
}
