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
use std::pin::Pin;

pub use error::DemoError;
use ground::Ground;
use screen::Screen;
use tokio::signal::unix::{SignalKind, signal};

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
    /// Listens to somebody's keys, if somebody is there.
    pub keys: Option<Listen>,
}

/// Begins to listen to somebody's keys; none if nobody is there.
pub type Listen = fn() -> Option<Box<dyn Keys>>;

/// Somebody's keys, as bytes, each as it is pressed.
pub trait Keys: Send {
    /// The next one.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = u8> + Send + '_>>;
}

/// Runs every scene; then, unless `check` was asked for, stays up until interrupted.
///
/// # Errors
/// [`DemoError`] names the scene that failed and what it saw.
pub async fn run(options: Options, output: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let mut screen = Screen::new(output, options.terminal);
    let mut ground = Ground::prepare(&options).await?;
    let shown = tokio::select! {
        shown = show(&options, &mut ground, &mut screen) => shown,
        told = told_to_end() => told,
    };
    // The gateway's process and the temporary folder go in any case.
    let ended = ground.end().await;
    shown.and(ended)
}

async fn show(options: &Options, ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    screen.title("Portcullis stands between callers and a model.")?;
    screen.faint(&format!("Everything of this demo lies in {}", ground.dir().display()))?;
    for (number, scene) in scenes::ALL.iter().enumerate() {
        screen.scene(number + 1, scene.title, scene.explains)?;
        (scene.play)(ground, screen).await.map_err(|fault| fault.in_scene(number + 1))?;
    }
    screen.gap()?;
    if options.check {
        return Ok(screen.good("All scenes passed.")?);
    }
    screen.title("It stays up. Try it, in another terminal:")?;
    screen.gap()?;
    for line in ground.lines_to_try() {
        screen.plain(&line)?;
    }
    screen.gap()?;
    screen.faint("Ctrl-C ends it.")?;
    std::future::pending().await
}

/// Waits for Ctrl-C, or for being asked to end.
async fn told_to_end() -> Result<(), DemoError> {
    let failed = |fault: std::io::Error| DemoError::new("waiting for Ctrl-C", fault);
    let mut asked = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(failed),
        _ = asked.recv() => Ok(()),
    }
}
