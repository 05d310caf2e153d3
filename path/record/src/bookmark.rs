//! Where the next start begins to read: the ends of the series at some moment, the tree, and what was open
//! then. Only a shortcut: without it, or if it is damaged, a start reads everything.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use model::ExchangeId;
use prost::Message;

use crate::digest::Chain;
use crate::frame::{self, FrameReader};
use crate::leaf::{self, Digest};
use crate::retention::Standing;
use crate::segment::{DEFAULT_CLASS, Position};
use crate::table::{Entry, Table};
use crate::tree::Tree;

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(message, optional, tag = "1")]
    leaves: Option<Place>,
    #[prost(uint64, tag = "2")]
    leaf_count: u64,
    #[prost(message, optional, tag = "3")]
    bodies: Option<Place>,
    #[prost(message, repeated, tag = "4")]
    open: Vec<Open>,
    /// The tree's perfect subtrees, the largest first.
    #[prost(bytes = "vec", repeated, tag = "5")]
    peaks: Vec<Vec<u8>>,
    /// The public keys of checkpoints recorded so far.
    #[prost(bytes = "vec", repeated, tag = "6")]
    keys: Vec<Vec<u8>>,
    /// Where the other retention classes end.
    #[prost(message, repeated, tag = "7")]
    classes: Vec<ClassEnd>,
    /// What decides what may be dropped.
    #[prost(message, optional, tag = "8")]
    retention: Option<leaf::Retention>,
    #[prost(message, repeated, tag = "9")]
    holds: Vec<leaf::Hold>,
}

#[derive(Clone, PartialEq, Message)]
struct ClassEnd {
    #[prost(string, tag = "1")]
    class: String,
    #[prost(message, optional, tag = "2")]
    end: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Place {
    #[prost(uint64, tag = "1")]
    segment: u64,
    #[prost(uint64, tag = "2")]
    offset: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Open {
    #[prost(bytes = "vec", tag = "1")]
    exchange: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    request: Option<Digest>,
    #[prost(message, optional, tag = "3")]
    response: Option<Digest>,
    #[prost(message, optional, tag = "4")]
    first: Option<Place>,
    #[prost(uint32, tag = "5")]
    status: u32,
    #[prost(uint64, tag = "6")]
    parts: u64,
    /// Empty for the default class.
    #[prost(string, tag = "7")]
    class: String,
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self { segment: at.segment, offset: at.offset }
    }
}

impl From<Place> for Position {
    fn from(at: Place) -> Self {
        Self { segment: at.segment, offset: at.offset }
    }
}

/// Where to begin to read.
#[derive(Debug, Default)]
pub(crate) struct Bookmark {
    pub(crate) leaves: Position,
    pub(crate) tree: Tree,
    /// The ends of the bodies, by retention class.
    pub(crate) bodies: Vec<(String, Position)>,
    pub(crate) standing: Standing,
    pub(crate) open: Table,
    /// The public keys of checkpoints recorded so far, in order.
    pub(crate) keys: Vec<Vec<u8>>,
}

impl Bookmark {
    /// Where the bodies of `class` end; their beginning, if they are not known.
    pub(crate) fn end(&self, class: &str) -> Position {
        self.bodies.iter().find(|(name, _)| name == class).map_or_else(Position::default, |(_, end)| *end)
    }

    /// Replaces the bookmark at `path` whole.
    pub(crate) fn write(&self, path: &Path, durable: bool) -> io::Result<()> {
        let open = self.open.iter().map(|(exchange, entry)| Open {
            exchange: exchange.as_bytes().to_vec(),
            request: Some(entry.request.message()),
            response: Some(entry.response.message()),
            first: Some(entry.first.into()),
            status: entry.status,
            parts: entry.parts,
            class: entry.class.as_deref().unwrap_or_default().to_owned(),
        });
        let others = self.bodies.iter().filter(|(class, _)| class != DEFAULT_CLASS);
        let stored = Stored {
            leaves: Some(self.leaves.into()),
            leaf_count: self.tree.size(),
            bodies: Some(self.end(DEFAULT_CLASS).into()),
            open: open.collect(),
            peaks: self.tree.peaks().iter().map(|peak| peak.to_vec()).collect(),
            keys: self.keys.clone(),
            classes: others
                .map(|(class, end)| ClassEnd { class: class.clone(), end: Some((*end).into()) })
                .collect(),
            retention: self.standing.retention.clone(),
            holds: self.standing.holds.clone(),
        };
        let mut bytes = Vec::new();
        frame::put(&mut bytes, &stored);
        let part = path.with_extension("new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&bytes)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&part, path)
    }

    /// Reads the bookmark at `path`; `None` if there is no whole one.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let file = fs::File::open(path).ok()?;
        let frame = FrameReader::new(file, path, 0).next().ok()??;
        let stored = Stored::decode(frame.payload.as_slice()).ok()?;
        let mut open = Table::new();
        for kept in stored.open {
            let exchange = ExchangeId::from_bytes(kept.exchange.try_into().ok()?);
            let entry = Entry {
                request: Chain::from_message(&kept.request?),
                response: Chain::from_message(&kept.response?),
                first: kept.first?.into(),
                status: kept.status,
                parts: kept.parts,
                class: (!kept.class.is_empty()).then(|| kept.class.into()),
                ..Entry::default()
            };
            open.insert(exchange, entry);
        }
        let peaks: Option<Vec<_>> = stored.peaks.into_iter().map(|peak| peak.try_into().ok()).collect();
        let mut bodies = vec![(DEFAULT_CLASS.to_owned(), stored.bodies?.into())];
        for other in stored.classes {
            bodies.push((other.class, other.end?.into()));
        }
        Some(Self {
            leaves: stored.leaves?.into(),
            tree: Tree::from_peaks(stored.leaf_count, peaks?)?,
            bodies,
            standing: Standing { retention: stored.retention, holds: stored.holds },
            open,
            keys: stored.keys,
        })
    }
}
