//! The adapter: the catalogue, the facts and the layouts behind the one seam.

use std::sync::Arc;

use http::Method;
use model::{
    Adapter, AnswerHead, Class, FieldRule, Layout, MaySee, Operation, Question, Refusal, ServerKind,
    Understood, UnknownStreams,
};

use crate::catalogue::{AnswerShape, CatalogueEntry, CatalogueFault, Pattern, entries};
use crate::facts::{Body, Profile, Query, facts, texts};
use crate::layout::{self, Reading};
use crate::patterns::Patterns;

/// Why an adapter could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdaptError {
    /// A catalogue built into the program is broken.
    #[error(transparent)]
    Catalogue(#[from] CatalogueFault),
    /// A configured route's path is none.
    #[error("route `{name}`: {why}")]
    Route {
        /// The route's name.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// A route of a team's own HTTP interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Its methods; empty for any.
    pub methods: Vec<Method>,
    /// Its path, with `{name}` for one segment and a last `{name*}` for one or more.
    pub path: String,
    /// Its class.
    pub class: Class,
    /// Its name in records.
    pub name: String,
}

/// What an adapter is built from.
#[derive(Clone, Debug)]
pub struct AdapterSpec {
    /// The kind of server.
    pub server: ServerKind,
    /// Routes of the team's own, tried before the catalogue.
    pub routes: Vec<RouteSpec>,
    /// The deny-lists.
    pub patterns: Arc<Patterns>,
    /// The most of an answer that is held before it is judged, in bytes: whole JSON bodies.
    pub max_held_answer_bytes: usize,
    /// The most of one event of a stream, in bytes.
    pub max_event_bytes: usize,
    /// What becomes of streams of unknown shape.
    pub unknown_streams: UnknownStreams,
    /// Parts of answers whose class is known by their place.
    pub fields: Vec<FieldRule>,
}

impl AdapterSpec {
    /// The limits a configuration starts from: 16 MiB held, 1 MiB an event, unknown streams held.
    pub fn new(server: ServerKind) -> Self {
        Self {
            server,
            routes: Vec::new(),
            patterns: Arc::new(Patterns::none()),
            max_held_answer_bytes: 16 << 20,
            max_event_bytes: 1 << 20,
            unknown_streams: UnknownStreams::default(),
            fields: Vec::new(),
        }
    }
}

/// Reads requests to, and answers of, one resource over HTTP.
#[derive(Debug)]
pub struct HttpAdapter {
    entries: Vec<CatalogueEntry>,
    spec: AdapterSpec,
}

impl HttpAdapter {
    /// Builds the adapter of one resource.
    ///
    /// # Errors
    /// [`AdaptError`] when a route's path is none.
    pub fn build(spec: AdapterSpec) -> Result<Self, AdaptError> {
        let mut all = Vec::new();
        for route in &spec.routes {
            let fault = |why| AdaptError::Route { name: route.name.clone(), why };
            all.push(CatalogueEntry {
                server: spec.server,
                methods: route.methods.iter().map(ToString::to_string).collect(),
                path: route.path.clone(),
                class: route.class,
                name: route.name.clone(),
                pattern: Pattern::parse(&route.path).map_err(fault)?,
                profile: Profile::FOREIGN,
                answer: AnswerShape::Foreign,
                model_from: None,
                conditions: Vec::new(),
            });
        }
        all.extend(entries(spec.server)?);
        Ok(Self { entries: all, spec })
    }

    fn fitting(&self, question: &Question) -> impl Iterator<Item = &CatalogueEntry> {
        let (method, path) = (question.method().clone(), question.path().to_owned());
        self.entries.iter().filter(move |entry| entry.fits(&method, &path))
    }

    /// An operation no table knows: its body must still be readable in one way.
    fn unknown(&self, question: &Question) -> Result<Understood, Refusal> {
        let profile = if self.spec.server == ServerKind::Plain { Profile::FOREIGN } else { Profile::ANY };
        let body = Body::read(question, profile.body)?;
        let query = Query::parse(question.query());
        let mut facts = facts(question, &body, &query, &profile, &self.spec.patterns)?;
        facts.model = body.models(&profile)?.into_iter().next().unwrap_or_default();
        let operations = vec![Operation { class: Class::Unknown, name: "unknown".to_owned(), facts }];
        Ok(Understood { operations, texts: texts(question, &body, &profile) })
    }
}

impl Adapter for HttpAdapter {
    fn read(&self, question: &Question) -> Result<Understood, Refusal> {
        let Some(first) = self.fitting(question).next() else {
            return self.unknown(question);
        };
        // Rows for one path differ by conditions on a body that all of them read alike.
        let body = Body::read(question, first.profile.body)?;
        let query = Query::parse(question.query());
        let mut chosen = None;
        for entry in self.fitting(question).filter(|entry| entry.profile.body == first.profile.body) {
            let mut holds = true;
            for condition in &entry.conditions {
                holds = holds && body.meets(condition, &query)?;
            }
            if holds {
                chosen = Some(entry);
                break;
            }
        }
        let Some(entry) = chosen else {
            return self.unknown(question);
        };
        let facts = facts(question, &body, &query, &entry.profile, &self.spec.patterns)?;
        let models = match &entry.model_from {
            Some(name) => {
                let captures = entry.pattern.captures(question.path()).unwrap_or_default();
                captures.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
            }
            None => body.models(&entry.profile)?,
        };
        let operation = |model| {
            let facts = model::Facts { model, ..facts.clone() };
            Operation { class: entry.class, name: entry.name.clone(), facts }
        };
        let operations = models.into_iter().map(operation).collect();
        Ok(Understood { operations, texts: texts(question, &body, &entry.profile) })
    }

    fn layout(&self, question: &Question, head: &AnswerHead, sees: MaySee) -> Box<dyn Layout> {
        let foreign = self.spec.server == ServerKind::Plain;
        let unlisted = if foreign { AnswerShape::Foreign } else { AnswerShape::Events };
        layout::begin(Reading {
            shape: self.fitting(question).next().map_or(unlisted, |entry| entry.answer),
            method: question.method(),
            head,
            sees,
            max_held: self.spec.max_held_answer_bytes,
            max_event: self.spec.max_event_bytes.min(self.spec.max_held_answer_bytes),
            unknown: self.spec.unknown_streams,
            fields: &self.spec.fields,
        })
    }
}
