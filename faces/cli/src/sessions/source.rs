//! Where recorded exchanges are read: from a gateway, or from the files here.

use std::path::{Path, PathBuf};

use admin::views::{self, Bodies};
use clap::Args;
use record::body::{Direction, Kind};
use record::{Exchange, Filter, Frames, Identities, Reader};
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
    /// As they lie in the files here, with what opens those that are sealed.
    Local(Reader, Option<Identities>),
}

impl Where {
    /// Opens it. That the files are read directly is said on standard error.
    pub(crate) async fn open(&self, out: &Out) -> Result<Source, Failure> {
        self.open_with(out, None).await
    }

    /// The same, and what is sealed is opened with `identities`. Only the files here can be: a gateway has
    /// no key to what it recorded, so it could not mask it for its reader.
    pub(crate) async fn open_with(
        &self,
        out: &Out,
        identities: Option<Identities>,
    ) -> Result<Source, Failure> {
        if !self.local && self.ledger.is_none() && identities.is_none() {
            return Ok(Source::Remote(self.remote.client(&self.config).await?));
        }
        Out::stderr().line(LOCAL)?;
        let dir = match &self.ledger {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.config, out.colour())?.ledger.dir,
        };
        Ok(Source::Local(Self::reader(&dir).await?, identities))
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
            Self::Local(reader, _) => {
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
            Self::Local(reader, identities) => {
                let id = reader.find(id).await?;
                let mut exchange = reader.show(id).await?;
                let frames = opened(reader.frames(id, &exchange), &exchange, identities.as_ref())?;
                let bodies = bodies(frames, &mut exchange)?;
                Ok(views::shown(id, &exchange, &bodies))
            }
        }
    }

    /// Why one exchange came out as it did.
    pub(crate) async fn why(&self, id: &str) -> Result<Value, Failure> {
        match self {
            Self::Remote(client) => Ok(client.get(&format!("/sessions/{}/why", remote::segment(id))).await?),
            Self::Local(reader, _) => {
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
            Self::Local(reader, identities) => {
                let id = reader.find(id).await?;
                let exchange = reader.show(id).await?;
                let began = exchange.opened.as_ref().map_or(0, |opened| opened.arrived);
                let frames = readable(reader.frames(id, &exchange), &exchange, identities.as_ref())?;
                Ok(Played::Local(began, Box::new(frames)))
            }
        }
    }

    /// The frames of one exchange as they were recorded, which only the files here tell.
    pub(crate) async fn frames(&self, id: &str) -> Result<Frames, Failure> {
        let Self::Local(reader, identities) = self else {
            let problem = "a body as it was recorded is read from the ledger's files: add --local, --ledger or --identity";
            return Err(Failure::Said(problem.to_owned()));
        };
        let id = reader.find(id).await?;
        let exchange = reader.show(id).await?;
        readable(reader.frames(id, &exchange), &exchange, identities.as_ref())
    }
}

/// An answer, frame by frame.
pub(crate) enum Played {
    /// As a gateway sends them.
    Remote(Box<Lines>),
    /// As they lie in the files, with the exchange's beginning.
    Local(i64, Box<Frames>),
}

impl Played {
    /// The next frame, with its bytes as they are.
    pub(crate) async fn next(&mut self) -> Result<Option<(Value, Vec<u8>)>, Failure> {
        match self {
            Self::Remote(lines) => Ok(lines.next().await?.map(|line| {
                let data = line.at("data").as_str().unwrap_or_default().as_bytes().to_vec();
                (line, data)
            })),
            Self::Local(began, frames) => {
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

/// The frames of `exchange`, opened as far as there is something to open them with.
fn opened(frames: Frames, exchange: &Exchange, identities: Option<&Identities>) -> Result<Frames, Failure> {
    let key = identities.map(|identities| identities.key(exchange)).transpose()?.flatten();
    Ok(frames.opened_with(key))
}

/// The same, where nothing could be shown otherwise.
fn readable(frames: Frames, exchange: &Exchange, identities: Option<&Identities>) -> Result<Frames, Failure> {
    if exchange.is_encrypted() && identities.is_none() {
        let problem = "what was said in this exchange is sealed: read it with the identity of one of its \
                       recipients, --identity FILE";
        return Err(Failure::Said(problem.to_owned()));
    }
    opened(frames, exchange, identities)
}

/// Reads all frames, and what of the request's head lies in them.
fn bodies(frames: Frames, exchange: &mut Exchange) -> Result<Bodies, Failure> {
    let mut bodies = Bodies::default();
    for frame in frames {
        let frame = frame.map_err(record::LedgerError::from)?;
        bodies.frames = bodies.frames.saturating_add(1);
        bodies.encrypted |= !frame.encrypted.is_empty();
        exchange.restore_head(&frame);
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
