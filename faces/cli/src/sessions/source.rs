//! Where recorded exchanges are read: from a gateway, or from the files here.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use admin::views::{self, Bodies};
use clap::Args;
use model::ExchangeId;
use record::body::{Direction, Kind};
use record::{Exchange, Filter, Frames, Identities, Reader};
use serde_json::{Value, json};

use super::narrow::pairs;
use crate::config_verb;
use crate::failure::Failure;
use crate::out::Out;
use crate::remote::{self, Client, Lines, Remote};
use crate::told::Told;

/// How often it is looked for more of what runs.
const LOOK: Duration = Duration::from_millis(50);

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
}

/// Recorded exchanges.
pub(crate) enum Source {
    /// As a gateway shows them.
    Remote(Client),
    /// As they lie in the files here, with what opens those that are sealed.
    Local(Box<Reader>, Option<Identities>),
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
            return Ok(Source::Remote(self.remote.client().await?));
        }
        Out::stderr().line(LOCAL)?;
        let dir = match &self.ledger {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.remote.config, out.colour())?.ledger.dir,
        };
        Ok(Source::Local(Box::new(Self::reader(&dir).await?), identities))
    }

    async fn reader(dir: &Path) -> Result<Reader, Failure> {
        Ok(Reader::open(dir).await?)
    }
}

impl Source {
    /// A page: `exchanges`, or `sessions` of those that begin some, and `next`.
    pub(crate) async fn list(&self, filter: &Filter, cursor: Option<&str>) -> Result<Value, Failure> {
        let key = if filter.begins { "sessions" } else { "exchanges" };
        match self {
            Self::Remote(client) => {
                let path = match filter {
                    Filter { begins: true, .. } => "/sessions/grouped",
                    Filter { text: Some(_), .. } => "/sessions/search",
                    _ => "/sessions",
                };
                let page = client.get(&remote::query(path, &pairs(filter, cursor))).await?;
                Ok(json!({ key: page.at("sessions"), "next": page.at("next") }))
            }
            Self::Local(reader, _) => {
                let cursor = cursor.map(|text| {
                    record::Cursor::parse(text).ok_or_else(|| {
                        let wrong = "--cursor: this is no cursor; take it from the end of the page before";
                        Failure::Said(wrong.to_owned())
                    })
                });
                let page = reader.list(&Filter { cursor: cursor.transpose()?, ..filter.clone() }).await?;
                let line = if filter.begins { views::begun } else { views::listed };
                let lines: Vec<Value> = page.exchanges.iter().map(line).collect();
                Ok(json!({ key: lines, "next": page.next.map(|next| next.to_string()) }))
            }
        }
    }

    /// Everything of all exchanges that fit, one after another.
    pub(crate) async fn export(self, filter: Filter) -> Result<Exported, Failure> {
        Ok(match self {
            Self::Remote(client) => {
                let path = remote::query("/sessions/export", &pairs(&filter, None));
                Exported::Remote(Box::new(client.lines(&path).await?))
            }
            Self::Local(reader, identities) => {
                let filter = Some(Filter { limit: Some(100), ..filter });
                Exported::Local(Box::new(Export { reader, identities, filter, waiting: VecDeque::new() }))
            }
        })
    }

    /// The frames of one exchange's answer, until it is sealed.
    pub(crate) async fn follow(self, id: &str) -> Result<Played, Failure> {
        Ok(match self {
            Self::Remote(client) => {
                let path = format!("/sessions/{}/follow", remote::segment(id));
                Played::Remote(Box::new(client.lines(&path).await?))
            }
            Self::Local(reader, identities) => {
                let id = reader.find(id).await?;
                Played::following(reader, identities.as_ref(), id).await?
            }
        })
    }

    /// The same of the newest exchange that fits and runs, or of the first that comes.
    pub(crate) async fn follow_next(self, filter: &Filter) -> Result<Played, Failure> {
        let (reader, identities) = match self {
            Self::Remote(client) => {
                let path = remote::query("/sessions/follow", &pairs(filter, None));
                return Ok(Played::Remote(Box::new(client.lines(&path).await?)));
            }
            Self::Local(reader, identities) => (reader, identities),
        };
        let filter = Filter { outcome: Some("running".to_owned()), limit: Some(20), ..filter.clone() };
        loop {
            let page = reader.list(&filter).await?;
            let is_act = |name: &String| name.contains('/');
            let mut streams =
                page.exchanges.iter().filter(|listed| !listed.resource.as_ref().is_none_or(is_act));
            if let Some(listed) = streams.next() {
                return Played::following(reader, identities.as_ref(), listed.exchange).await;
            }
            tokio::time::sleep(LOOK).await;
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
                let mut bodies = bodies(frames, &mut exchange)?;
                bodies.gone = gone(reader, &exchange).await?;
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
                let gone = gone(reader, &exchange).await?;
                let frames = readable(reader.frames(id, &exchange), &exchange, identities.as_ref())?;
                Ok(Played::Local(gone, began, Box::new(frames)))
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

/// Exchanges, one after another.
pub(crate) enum Exported {
    /// As a gateway sends them.
    Remote(Box<Lines>),
    /// As they lie in the files.
    Local(Box<Export>),
}

/// An export of the files here.
pub(crate) struct Export {
    reader: Box<Reader>,
    identities: Option<Identities>,
    /// What is looked for next; none after the last page.
    filter: Option<Filter>,
    waiting: VecDeque<ExchangeId>,
}

impl Exported {
    /// The next one.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        let export = match self {
            Self::Remote(lines) => return Ok(lines.next().await?),
            Self::Local(export) => export,
        };
        if export.waiting.is_empty()
            && let Some(filter) = export.filter.take()
        {
            let page = export.reader.list(&filter).await?;
            export.waiting = page.exchanges.iter().map(|listed| listed.exchange).collect();
            export.filter = page.next.map(|next| Filter { cursor: Some(next), ..filter });
        }
        let Some(id) = export.waiting.pop_front() else { return Ok(None) };
        let mut exchange = export.reader.show(id).await?;
        let frames = opened(export.reader.frames(id, &exchange), &exchange, export.identities.as_ref())?;
        let mut bodies = bodies(frames, &mut exchange)?;
        bodies.gone = gone(&export.reader, &exchange).await?;
        Ok(Some(views::shown(id, &exchange, &bodies)))
    }
}

/// An answer, frame by frame.
pub(crate) enum Played {
    /// As a gateway sends them.
    Remote(Box<Lines>),
    /// As they lie in the files, with what is gone and the exchange's beginning.
    Local(Vec<String>, i64, Box<Frames>),
    /// As they are written to the files here.
    Following(Box<Following>),
}

/// An exchange that runs.
pub(crate) struct Following {
    reader: Box<Reader>,
    id: ExchangeId,
    exchange: Exchange,
    frames: Frames,
}

impl Played {
    async fn following(
        reader: Box<Reader>,
        identities: Option<&Identities>,
        id: ExchangeId,
    ) -> Result<Self, Failure> {
        let exchange = reader.show(id).await?;
        let frames = readable(reader.frames(id, &exchange), &exchange, identities)?;
        Ok(Self::Following(Box::new(Following { reader, id, exchange, frames })))
    }

    /// The next frame, with its bytes as they are.
    pub(crate) async fn next(&mut self) -> Result<Option<(Value, Vec<u8>)>, Failure> {
        match self {
            Self::Remote(lines) => Ok(lines.next().await?.map(|line| {
                let data = line.at("data").as_str().unwrap_or_default().as_bytes().to_vec();
                (line, data)
            })),
            Self::Local(gone, began, frames) => match gone.pop() {
                Some(gone) => Ok(Some((views::gone_frame(&gone), Vec::new()))),
                None => answer(*began, frames),
            },
            Self::Following(following) => loop {
                let Following { reader, id, exchange, frames } = &mut **following;
                let sealed = exchange.sealed.is_some() || exchange.refused.is_some();
                let began = exchange.opened.as_ref().map_or(0, |opened| opened.arrived);
                if let Some((mut frame, data)) = answer(began, frames)? {
                    if let Some(frame) = frame.as_object_mut() {
                        frame.insert("exchange".to_owned(), json!(id.to_string()));
                    }
                    return Ok(Some((frame, data)));
                }
                if sealed {
                    return Ok(None);
                }
                tokio::time::sleep(LOOK).await;
                *exchange = reader.show(*id).await?;
                frames.again(exchange);
            },
        }
    }
}

/// The next frame of the answer.
fn answer(began: i64, frames: &mut Frames) -> Result<Option<(Value, Vec<u8>)>, Failure> {
    for frame in frames {
        let frame = frame.map_err(record::LedgerError::from)?;
        if frame.direction() == Direction::Response {
            return Ok(Some((views::frame(began, &frame), frame.data.to_vec())));
        }
    }
    Ok(None)
}

/// What of the bodies is not there any more, in sentences.
async fn gone(reader: &Reader, exchange: &record::Exchange) -> Result<Vec<String>, Failure> {
    Ok(reader.gone(exchange).await?.iter().map(ToString::to_string).collect())
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
            (None, Kind::Head | Kind::SpokenHead) => {
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                let headers = frame.headers.iter();
                bodies.headers = headers.map(|header| (header.name.clone(), text(&header.value))).collect();
            }
            (None, _) => {}
        }
    }
    Ok(bodies)
}
