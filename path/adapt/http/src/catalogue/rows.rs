//! Reads the catalogue's rows.

use std::fmt;

use model::{Class, ServerKind};

use super::{AnswerShape, CatalogueEntry};
use crate::facts::Profile;

/// Where a catalogue or a route is not well written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalogue `{catalogue}`, line {line}: {why}")]
pub struct CatalogueFault {
    /// The server kind's name.
    pub catalogue: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// A path pattern taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
    /// How every path begins that fits; the whole of it where nothing is captured. Most rows end here.
    fixed: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    One(String),
    /// A segment that ends so, as `{model}:predict` does.
    Before(String, String),
    Rest(String),
}

impl Pattern {
    /// Reads `/v1/models/{model}`.
    ///
    /// # Errors
    /// Says what is wrong with the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let below = text.strip_prefix('/').ok_or_else(|| format!("`{text}` does not begin with `/`"))?;
        let mut segments = Vec::new();
        for part in below.split('/') {
            if matches!(segments.last(), Some(Segment::Rest(_))) {
                return Err(format!("something follows the `*` of `{text}`"));
            }
            let name = part.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            segments.push(match name {
                Some(name) => match name.strip_suffix('*') {
                    Some(name) => Segment::Rest(name.to_owned()),
                    None => Segment::One(name.to_owned()),
                },
                None if part.starts_with('{') && part.contains("}:") && !part.contains('*') => {
                    let (name, verb) = part.split_once('}').unwrap_or((part, ""));
                    if verb.contains(['{', '}']) {
                        return Err(format!("`{part}` in `{text}` names more than one thing"));
                    }
                    Segment::Before(name.replace('{', ""), verb.to_owned())
                }
                None if part.contains(['{', '}', '*']) => {
                    return Err(format!("`{part}` in `{text}` is neither a segment nor a whole `{{name}}`"));
                }
                None => Segment::Fixed(part.to_owned()),
            });
        }
        let fixed = match text.find('{') {
            Some(at) => text.get(..at).unwrap_or_default(),
            None => text,
        };
        Ok(Self { segments, fixed: fixed.to_owned() })
    }

    /// Whether `path` fits.
    pub(crate) fn fits(&self, path: &str) -> bool {
        let captures = self.segments.iter().any(|segment| !matches!(segment, Segment::Fixed(_)));
        match path.strip_prefix(self.fixed.as_str()) {
            Some(rest) if captures => !rest.is_empty() && self.captures(path).is_some(),
            Some(rest) => rest.is_empty(),
            None => false,
        }
    }

    /// What the pattern's names stand for in `path`, escapes resolved; none if it does not fit.
    pub(crate) fn captures(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut found = Vec::new();
        let mut rest = Some(path.strip_prefix('/')?);
        for segment in &self.segments {
            let all = rest?;
            if let Segment::Fixed(text) = segment {
                let after = all.strip_prefix(text.as_str())?;
                rest = if after.is_empty() { None } else { Some(after.strip_prefix('/')?) };
                continue;
            }
            let (part, after) = match all.split_once('/') {
                Some((part, after)) => (part, Some(after)),
                None => (all, None),
            };
            rest = after;
            match segment {
                Segment::Fixed(_) => {}
                Segment::One(_) if part.is_empty() => return None,
                Segment::One(name) => found.push((name.as_str(), decode(part))),
                Segment::Before(name, verb) => {
                    let part = part.strip_suffix(verb.as_str()).filter(|part| !part.is_empty())?;
                    found.push((name.as_str(), decode(part)));
                }
                Segment::Rest(_) if all.is_empty() => return None,
                Segment::Rest(name) => {
                    found.push((name.as_str(), decode(all)));
                    rest = None;
                }
            }
        }
        rest.is_none().then_some(found)
    }
}

/// What a row asks of body and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The body's top-level key is missing, null, an empty string or an empty array.
    Empty(String),
    /// The body's top-level key is a duration of zero.
    Zero(String),
    /// The query's key has this value.
    Query(String, String),
}

impl Condition {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("empty", key)) => Ok(Self::Empty(key.trim_start_matches('/').to_owned())),
            Some(("zero", key)) => Ok(Self::Zero(key.trim_start_matches('/').to_owned())),
            Some(("query", pair)) => match pair.split_once('=') {
                Some((key, value)) => Ok(Self::Query(key.to_owned(), value.to_owned())),
                None => Err(format!("`{pair}` has no `=`")),
            },
            _ => Err(format!("`{text}` is no condition")),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(key) => write!(f, "empty:/{key}"),
            Self::Zero(key) => write!(f, "zero:/{key}"),
            Self::Query(key, value) => write!(f, "query:{key}={value}"),
        }
    }
}

/// The rows of one server kind: its own, then those of the catalogue it includes.
pub(super) fn read(
    server: ServerKind,
    text: &dyn Fn(ServerKind) -> &'static str,
) -> Result<Vec<CatalogueEntry>, CatalogueFault> {
    let mut entries = Vec::new();
    for (at, line) in text(server).lines().enumerate() {
        let fault = |why| CatalogueFault { catalogue: server.as_str(), line: at + 1, why };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["include", name, without @ ..] => {
                let other = ServerKind::from_name(name)
                    .filter(|other| *other != server)
                    .ok_or_else(|| fault(format!("no catalogue `{name}` to include")))?;
                let prefix = match without {
                    [] => None,
                    ["without", prefix] => Some(*prefix),
                    _ => return Err(fault("`include NAME` or `include NAME without PREFIX`".to_owned())),
                };
                let included = read(other, text)?;
                entries.extend(adopt(server, &included, prefix).map_err(fault)?);
            }
            [methods, path, class, name, options @ ..] => {
                entries.push(entry(server, [methods, path, class, name], options).map_err(fault)?);
            }
            _ => return Err(fault("a row has at least methods, path, class and name".to_owned())),
        }
    }
    Ok(entries)
}

/// Rows of another catalogue for `server`, those under `prefix` also without it.
fn adopt(
    server: ServerKind,
    included: &[CatalogueEntry],
    prefix: Option<&str>,
) -> Result<Vec<CatalogueEntry>, String> {
    let mut entries: Vec<_> =
        included.iter().map(|entry| CatalogueEntry { server, ..entry.clone() }).collect();
    for entry in included {
        let Some(short) = prefix.and_then(|prefix| entry.path.strip_prefix(prefix)) else { continue };
        let pattern = Pattern::parse(short)?;
        entries.push(CatalogueEntry { server, path: short.to_owned(), pattern, ..entry.clone() });
    }
    Ok(entries)
}

fn entry(
    server: ServerKind,
    [methods, path, class, name]: [&str; 4],
    options: &[&str],
) -> Result<CatalogueEntry, String> {
    let class = Class::from_name(class).ok_or_else(|| format!("`{class}` is no class"))?;
    let methods: Vec<String> =
        if methods == "*" { Vec::new() } else { methods.split(',').map(str::to_owned).collect() };
    let bodiless = !methods.is_empty() && methods.iter().all(|method| method == "GET" || method == "HEAD");
    let mut entry = CatalogueEntry {
        server,
        methods,
        path: path.to_owned(),
        class,
        name: name.to_owned(),
        pattern: Pattern::parse(path)?,
        profile: if bodiless { Profile::NONE } else { Profile::ANY },
        answer: match class {
            Class::Infer | Class::Batch => AnswerShape::Events,
            _ => AnswerShape::Data,
        },
        model_from: None,
        conditions: Vec::new(),
    };
    for option in options {
        match option.split_once('=') {
            Some(("body", shape)) => {
                entry.profile = Profile::named(shape).ok_or_else(|| format!("`{shape}` is no body"))?;
            }
            Some(("answer", shape)) => entry.answer = answer(shape)?,
            Some(("model", param)) => {
                entry.model_from = Some(param.trim_matches(['{', '}']).to_owned());
            }
            Some(("when", all)) => {
                entry.conditions = all.split(',').map(Condition::parse).collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("`{option}` is no option")),
        }
    }
    Ok(entry)
}

fn answer(shape: &str) -> Result<AnswerShape, String> {
    match shape {
        "events" => Ok(AnswerShape::Events),
        "models" => Ok(AnswerShape::Models),
        "progress" => Ok(AnswerShape::Progress),
        "data" => Ok(AnswerShape::Data),
        _ => Err(format!("`{shape}` is no answer")),
    }
}
