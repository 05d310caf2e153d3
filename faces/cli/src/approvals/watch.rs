//! `portcullis approvals watch`: what comes and what becomes of it, while it happens.

use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use jiff::Timestamp;
use model::{Clock, SystemClock};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, Sleep, interval, sleep};

use super::describe::{self, short, text};
use super::inbox::{self, Inbox, Wish};
use super::keys::{Key, Reading};
use super::{path, send, settled};
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked, Lines, RemoteError};
use crate::terminal::Terminal;
use crate::told::Told;

/// How long it is waited before a gateway that is gone is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long after an escape an arrow's rest may come.
const ESCAPE: Duration = Duration::from_millis(60);
/// Into a screen of its own, without a cursor, and back.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    at: Asked,
    /// Only on this resource
    #[arg(long)]
    resource: Option<String>,
}

impl Watch {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        // The first connection tells what is wrong with the call; later ones are tried again.
        let lines = self.connect().await?;
        let terminal = if self.at.json { None } else { Terminal::listen() };
        match terminal {
            None => self.in_lines(lines, out).await,
            Some(terminal) => {
                out.raw(ENTER)?;
                let watched = self.on_screen(lines, terminal, out).await;
                out.raw(LEAVE)?;
                watched
            }
        }
    }

    async fn connect(&self) -> Result<Lines, RemoteError> {
        // A token of its own for each connection: one that ends, ends the connection.
        let client = self.at.client().await?;
        client.lines(&remote::query("/approvals/follow", &[("resource", self.resource.clone())])).await
    }

    /// One line, or one JSON value, for each that comes or changes.
    async fn in_lines(&self, mut lines: Lines, out: &mut Out) -> Result<ExitCode, Failure> {
        loop {
            match lines.next().await {
                Ok(Some(approval)) if self.at.json => out.line(approval)?,
                Ok(Some(approval)) => out.line(news(&approval, SystemClock::default().now(), out))?,
                Ok(None) | Err(_) => lines = self.connect_again().await?,
            }
        }
    }

    async fn connect_again(&self) -> Result<Lines, RemoteError> {
        loop {
            sleep(AGAIN).await;
            match self.connect().await {
                Err(fault) if !may_pass(&fault) => return Err(fault),
                Ok(lines) => return Ok(lines),
                Err(_) => {}
            }
        }
    }

    async fn on_screen(
        &self,
        lines: Lines,
        mut terminal: Terminal,
        out: &mut Out,
    ) -> Result<ExitCode, Failure> {
        let clock = SystemClock::default();
        let (mut inbox, mut reading) = (Inbox::default(), Reading::default());
        let (mut lines, mut again) = (Some(lines), None::<Pin<Box<Sleep>>>);
        let mut escape = None::<Pin<Box<Sleep>>>;
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            draw(&inbox, &terminal, clock.now(), out)?;
            let key = tokio::select! {
                byte = terminal.next() => {
                    let key = reading.take(byte);
                    escape = reading.may_be_escape().then(|| Box::pin(sleep(ESCAPE)));
                    key
                }
                () = over(&mut escape) => {
                    escape = None;
                    Some(reading.escape())
                }
                news = next(&mut lines) => {
                    match news {
                        Ok(Some(approval)) => inbox.hear(approval),
                        Ok(None) | Err(_) => {
                            (lines, again) = (None, Some(Box::pin(sleep(AGAIN))));
                            inbox.tell("The gateway is gone; trying again.".to_owned());
                        }
                    }
                    None
                }
                () = over(&mut again) => {
                    again = None;
                    match self.connect().await {
                        Ok(new) => {
                            inbox.begin_again();
                            inbox.tell(String::new());
                            lines = Some(new);
                        }
                        Err(fault) if !may_pass(&fault) => return Err(fault.into()),
                        Err(_) => again = Some(Box::pin(sleep(AGAIN))),
                    }
                    None
                }
                _ = tick.tick() => None,
            };
            if let Some(key) = key
                && self.pressed(key, &mut inbox, out).await == Then::End
            {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    async fn pressed(&self, key: Key, inbox: &mut Inbox, out: &Out) -> Then {
        match inbox.take(key) {
            Wish::Nothing => {}
            Wish::Quit => return Then::End,
            Wish::Show(approval) => match self.show(&approval).await {
                Ok(shown) => inbox.read(shown, SystemClock::default().now(), out),
                Err(fault) => inbox.tell(fault.to_string()),
            },
            Wish::Decide { approval, verb, reason } => {
                let told = match self.decide(&approval, verb, &reason).await {
                    Ok(decided) => settled(&decided, &out.without_colour()),
                    Err(fault) => fault.to_string(),
                };
                inbox.tell(told);
            }
        }
        Then::GoOn
    }

    async fn show(&self, approval: &str) -> Result<Value, RemoteError> {
        self.at.get(&path(approval)).await
    }

    async fn decide(&self, approval: &str, verb: &str, reason: &str) -> Result<Value, RemoteError> {
        send(&self.at.client().await?, approval, verb, Some(reason)).await
    }
}

#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

/// The next news; never, while there is no connection.
async fn next(lines: &mut Option<Lines>) -> Result<Option<Value>, RemoteError> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

/// When a time is over that somebody waits for; never, when nobody does.
async fn over(time: &mut Option<Pin<Box<Sleep>>>) {
    match time {
        Some(time) => time.as_mut().await,
        None => std::future::pending().await,
    }
}

fn draw(inbox: &Inbox, terminal: &Terminal, now: Timestamp, out: &mut Out) -> Result<(), Failure> {
    let size = terminal.size();
    let mut picture = String::from("\x1b[H");
    for line in inbox.draw(size, now, out).into_iter().take(size.1) {
        picture.push_str(&line);
        picture.push_str("\x1b[K\r\n");
    }
    // Without the last line's end, or a full screen would scroll.
    let picture = picture.strip_suffix("\r\n").unwrap_or(&picture);
    Ok(out.raw(format!("{picture}\x1b[J").as_bytes())?)
}

/// Whether asking again may help: a gateway that starts anew, a token that is renewed.
fn may_pass(fault: &RemoteError) -> bool {
    match fault {
        RemoteError::Unreachable { .. } | RemoteError::Odd(_) => true,
        RemoteError::Refused(refused) => {
            refused.status.is_server_error() || refused.status == StatusCode::TOO_MANY_REQUESTS
        }
        _ => false,
    }
}

/// What happened, in a line.
fn news(approval: &Value, now: Timestamp, out: &Out) -> String {
    let at = out.tone(Tone::Faint, now.strftime("%Y-%m-%d %H:%M:%S"));
    if approval.at("state") != "waiting" {
        return format!("{at} {}", inbox::came_to(approval, out));
    }
    let state = out.tone(describe::tone(approval), "waiting");
    let (given, needed) = (approval.at("given"), approval.at("needed"));
    let (what, on) = (describe::operations(approval), describe::on(approval));
    let (who, url) = (describe::who(approval.at("requester")), text(approval.at("url")));
    let id = short(text(approval.at("id")));
    format!("{at} {state} {id} {what} on {on}, for {who}: {given} of {needed} consents {url}")
}
