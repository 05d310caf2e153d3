//! Where recorded exchanges are read: from a gateway, or from the files here.

use std::path::{Path, PathBuf};

use admin::views::{self, Bodies};
use clap::Args;
use record::body::{Direction, Kind};
use record::{Filter, Frames, Reader};
use serde_json::{Value, json};

use crate::config_verb;
use crate::failure::Failure;
use crate::out::Out;
use crate::remote::{self, Client, Lines, Remote};
use crate::told::Told;

/// What a reading of the files here is told to be, on standard error.
const LOCAL: &str = "reading the ledger's files here as their operator: no policy is asked, nothing is masked \
                     again, and nothing is recorded";

/// Which ledger to read.
#[derive(Args)]
pub(crate) struct Where {
    #[command(flatten)]
    remote: Remote,
    /// Read the ledger's files on this machine, as their operator
    #[arg(long, conflicts_with = "admin")]
    local: bool,
    /// The ledger's folder, for --local; taken from the configuration when absent
    #[arg(long, conflicts_with = "admin")]
    ledger: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

/// Recorded exchanges.
pub(crate) enum Source {
    /// As a gateway shows them.
    Remote(Client),
    /// As they lie in the files here.
    Local(Reader),
}

impl Where {
    /// Opens it. That the files are read directly is said on standard error.
    pub(crate) async fn open(&self, out: &Out) -> Result<Source, Failure> {
        if !self.local && self.ledger.is_none() {
            return Ok(Source::Remote(self.remote.client(&self.config).await?));
        }
        Out::stderr().line(LOCAL)?;
        let dir = match &self.ledger {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.config, out.colour())?.ledger.dir,
        };
        Self::reader(&dir).await.map(Source::Local)
    }

    async fn reader(dir: &Path) -> Result<Reader, Failure> {
        Ok(Reader::open(dir).await?)
    }
}

impl Source {
    /// A page: `exchanges` and `next`.
    pub(crate) async fn list(&self, filter: &Filter, cursor: Option<&str>) -> Result<Value, Failure> {
        match self {
            Self::Remote(client) => {
                let page = client.get(&remote::query("/sessions", &pairs(filter, cursor))).await?;
                Ok(json!({ "exchanges": page.at("sessions"), "next": page.at("next") }))
            }
            Self::Local(reader) => {
                let cursor = cursor.map(|text| {
                    record::Cursor::parse(text).ok_or_else(|| {
                        let wrong = "--cursor: this is no cursor; take it from the end of the page before";
                        Failure::Said(wrong.to_owned())
                    })
                });
                let page = reader.list(&Filter { cursor: cursor.transpose()?, ..filter.clone() }).await?;
                let exchanges: Vec<Value> = page.exchanges.iter().map(views::listed).collect();
                Ok(json!({ "exchanges": exchanges, "next": page.next.map(|next| next.to_string()) }))
            }
        }
    }

    /// Everything of one exchange.
    pub(crate) async fn show(&self, id: &str) -> Result<Value, Failure> {
        match self {
            Self::Remote(client) => Ok(client.get(&format!("/sessions/{}", remote::segment(id))).await?),
            Self::Local(reader) => {
                let id = reader.find(id).await?;
                let exchange = reader.show(id).await?;
                let mut bodies = bodies(reader.frames(id, &exchange))?;
                bodies.gone = gone(reader, &exchange).await?;
                Ok(views::shown(id, &exchange, &bodies))
            }
        }
    }

    /// Why one exchange came out as it did.
    pub(crate) async fn why(&self, id: &str) -> Result<Value, Failure> {
        match self {
            Self::Remote(client) => Ok(client.get(&format!("/sessions/{}/why", remote::segment(id))).await?),
            Self::Local(reader) => {
                let id = reader.find(id).await?;
                let exchange = reader.show(id).await?;
                Ok(views::why(reader, id, &exchange).await?)
            }
        }
    }

    /// The frames of one exchange's answer.
    pub(crate) async fn replay(&self, id: &str) -> Result<Played, Failure> {
        match self {
            Self::Remote(client) => {
                let path = format!("/sessions/{}/replay", remote::segment(id));
                Ok(Played::Remote(Box::new(client.lines(&path).await?)))
            }
            Self::Local(reader) => {
                let id = reader.find(id).await?;
                let exchange = reader.show(id).await?;
                let began = exchange.opened.as_ref().map_or(0, |opened| opened.arrived);
                let gone = gone(reader, &exchange).await?;
                Ok(Played::Local(gone, began, Box::new(reader.frames(id, &exchange))))
            }
        }
    }
}

/// An answer, frame by frame.
pub(crate) enum Played {
    /// As a gateway sends them.
    Remote(Box<Lines>),
    /// As they lie in the files, with what is gone and the exchange's beginning.
    Local(Vec<String>, i64, Box<Frames>),
}

impl Played {
    /// The next frame, with its bytes as they are.
    pub(crate) async fn next(&mut self) -> Result<Option<(Value, Vec<u8>)>, Failure> {
        match self {
            Self::Remote(lines) => Ok(lines.next().await?.map(|line| {
                let data = line.at("data").as_str().unwrap_or_default().as_bytes().to_vec();
                (line, data)
            })),
            Self::Local(gone, began, frames) => {
                if let Some(gone) = gone.pop() {
                    return Ok(Some((views::gone_frame(&gone), Vec::new())));
                }
                for frame in frames.by_ref() {
                    let frame = frame.map_err(record::LedgerError::from)?;
                    if frame.direction() == Direction::Response {
                        return Ok(Some((views::frame(*began, &frame), frame.data.to_vec())));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// What of the bodies is not there any more, in sentences.
async fn gone(reader: &Reader, exchange: &record::Exchange) -> Result<Vec<String>, Failure> {
    Ok(reader.gone(exchange).await?.iter().map(ToString::to_string).collect())
}

/// Reads all frames.
fn bodies(frames: Frames) -> Result<Bodies, Failure> {
    let mut bodies = Bodies::default();
    for frame in frames {
        let frame = frame.map_err(record::LedgerError::from)?;
        bodies.frames = bodies.frames.saturating_add(1);
        let into = match frame.direction() {
            Direction::Request => &mut bodies.request,
            _ => &mut bodies.response,
        };
        match (&frame.opaque, frame.kind()) {
            (Some(opaque), _) => {
                let note = format!("[{} bytes {}, kept as a digest]", opaque.length, opaque.class);
                into.extend_from_slice(note.as_bytes());
            }
            (None, Kind::Data | Kind::SpokenData) => into.extend_from_slice(&frame.data),
            (None, _) => {}
        }
    }
    Ok(bodies)
}

fn pairs<'a>(filter: &Filter, cursor: Option<&str>) -> Vec<(&'a str, Option<String>)> {
    vec![
        ("caller", filter.caller.clone()),
        ("resource", filter.resource.clone()),
        ("model", filter.model.clone()),
        ("class", filter.class.clone()),
        ("ruling", filter.ruling.clone()),
        ("outcome", filter.outcome.clone()),
        ("since", filter.since.map(|at| at.to_string())),
        ("limit", filter.limit.map(|limit| limit.to_string())),
        ("cursor", cursor.map(str::to_owned)),
    ]
}
