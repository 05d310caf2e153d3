//! What a policy may weigh of a request, read from its body in exactly one way.
//!
//! A field that carries a fact must have the type its interface documents: a number in a string, which
//! some servers take and others refuse, is refused here.

mod count;
mod form;
mod parts;
mod profile;
#[cfg(test)]
mod tests;
mod texts;

use std::borrow::Cow;

use http::{Method, header};
use model::{Code, Facts, Question, Refusal};

use crate::catalogue::Condition;
use crate::json::{Node, Value, strict_json};
use crate::media::Media;
use crate::patterns::{Finder, Patterns};
use form::Form;
pub(crate) use profile::{BodyKind, ModelRule, Profile};
pub(crate) use texts::texts;

/// A request's body as read.
pub(crate) enum Body<'q> {
    /// There is none.
    Empty,
    /// Strict JSON.
    Json(Node<'q>),
    /// A form.
    Form(Form<'q>),
    /// Bytes nobody reads.
    Opaque,
}

/// A form's parts, if it can be read in one way.
pub(crate) fn form_parts<'q>(bytes: &'q [u8], media: &crate::media::Media) -> Option<Vec<&'q [u8]>> {
    Form::parse(bytes, media).ok().map(Form::parts)
}

pub(crate) fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::RequestMalformed).because(why)
}

fn unsupported(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::EncodingUnsupported).because(why)
}

impl<'q> Body<'q> {
    /// Reads the body of `question` as `kind` says.
    ///
    /// # Errors
    /// A refusal when it is not of that kind or can be read in more than one way.
    pub(crate) fn read(question: &'q Question, kind: BodyKind) -> Result<Self, Refusal> {
        let bytes = question.body();
        let reads = matches!(*question.method(), Method::GET | Method::HEAD);
        match kind {
            BodyKind::Unsupported => Err(Refusal::new(Code::NotSupported)),
            BodyKind::Opaque => Ok(Self::Opaque),
            _ if bytes.is_empty() && kind != BodyKind::Json && !matches!(kind, BodyKind::Form(_)) => {
                Ok(Self::Empty)
            }
            BodyKind::Form(profile::FileKind::Data) if bytes.is_empty() => Ok(Self::Empty),
            BodyKind::None => Err(malformed("This operation takes no body, and the request has one.")),
            _ if reads => Err(malformed("A GET or HEAD request must not have a body.")),
            BodyKind::Json | BodyKind::OptionalJson => Self::json(question),
            BodyKind::Form(profile::FileKind::Data) if is_json(question) => Self::json(question),
            BodyKind::Form(_) => {
                let media = content_type(question)?;
                Form::parse(bytes, &media).map(Self::Form)
            }
        }
    }

    fn json(question: &'q Question) -> Result<Self, Refusal> {
        if !is_json(question) {
            return Err(unsupported("The body must be sent as `content-type: application/json` in UTF-8."));
        }
        match strict_json(question.body()) {
            Ok(root) => Ok(Self::Json(root)),
            Err(fault) => Err(malformed(format!("The body is not strict JSON: {fault}."))),
        }
    }

    fn root(&self) -> Option<&Node<'q>> {
        if let Self::Json(root) = self { Some(root) } else { None }
    }

    /// A field's text, from JSON or a form. Null counts as missing.
    fn text(&self, key: &str) -> Result<Option<Cow<'_, str>>, Refusal> {
        match self {
            Self::Form(form) => Ok(form.field(key).map(Cow::Borrowed)),
            Self::Json(root) => match root.get(key) {
                None => Ok(None),
                Some(node) if node.is_null() => Ok(None),
                Some(node) => match node.text() {
                    Some(text) => Ok(Some(Cow::Borrowed(text))),
                    None => Err(malformed(format!("`{key}` must be a string."))),
                },
            },
            Self::Empty | Self::Opaque => Ok(None),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        let bad = || malformed(format!("`{key}` must be true or false."));
        match self {
            Self::Form(form) => match form.field(key) {
                None => Ok(None),
                Some("true") => Ok(Some(true)),
                Some("false") => Ok(Some(false)),
                Some(_) => Err(bad()),
            },
            _ => match self.root().and_then(|root| root.get(key)).map(|node| &node.value) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Bool(flag)) => Ok(Some(*flag)),
                Some(_) => Err(bad()),
            },
        }
    }

    /// Whether body and query are as a catalogue's row asks.
    ///
    /// # Errors
    /// A refusal when the query says two things of one key.
    pub(crate) fn meets(&self, condition: &Condition, query: &Query) -> Result<bool, Refusal> {
        let node = |key: &str| self.root().and_then(|root| root.get(key));
        Ok(match condition {
            Condition::Empty(key) => node(key).is_none_or(|node| match &node.value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                _ => false,
            }),
            Condition::Zero(key) => node(key).is_some_and(count::is_zero_duration),
            Condition::Query(key, value) => query.one(key)?.is_some_and(|found| found == value),
        })
    }

    /// The models the request names, the one it asks for first. Never empty: an operation without a
    /// model names the empty one.
    ///
    /// # Errors
    /// [`Code::ModelMissing`] when it must name one and does not.
    pub(crate) fn models(&self, profile: &Profile) -> Result<Vec<String>, Refusal> {
        let keys = match profile.model {
            ModelRule::Absent => &[][..],
            ModelRule::Optional(keys) | ModelRule::Required(keys) => keys,
        };
        let mut named: Option<Cow<'_, str>> = None;
        for key in keys {
            // Optional rows read foreign bodies too, where the key may mean anything.
            let text = match self.text(key) {
                Err(_)
                    if matches!(profile.model, ModelRule::Optional(_))
                        && profile.body == BodyKind::OptionalJson =>
                {
                    None
                }
                text => text?,
            };
            match (&named, text) {
                (Some(first), Some(again)) if *first != again => {
                    return Err(malformed(format!("`{key}` names another model than the field before it.")));
                }
                (None, Some(text)) if !text.is_empty() => named = Some(text),
                _ => {}
            }
        }
        if named.is_none() && matches!(profile.model, ModelRule::Required(_)) {
            return Err(Refusal::new(Code::ModelMissing));
        }
        let mut models = vec![named.unwrap_or_default().into_owned()];
        for key in profile.also {
            models.extend(self.text(key)?.map(Cow::into_owned));
        }
        Ok(models)
    }
}

fn content_type(question: &Question) -> Result<Media, Refusal> {
    let value = question.headers().get(header::CONTENT_TYPE);
    value.and_then(Media::parse).ok_or_else(|| unsupported("The request has no readable `content-type`."))
}

fn is_json(question: &Question) -> bool {
    content_type(question).is_ok_and(|media| media.is_plain_json())
}

/// A query taken apart: `a=b&c`, percent and plus resolved.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query apart.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = query.unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    fn one(&self, key: &str) -> Result<Option<&str>, Refusal> {
        let mut found = self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(malformed(format!("The query says `{key}` more than once."))),
        }
    }
}

/// The facts of a request whose body was read by `profile`, all but the model.
///
/// # Errors
/// A refusal when a field that carries a fact is not of its type.
pub(crate) fn facts(
    question: &Question,
    body: &Body<'_>,
    query: &Query,
    profile: &Profile,
    patterns: &Patterns,
) -> Result<Facts, Refusal> {
    let mut facts = Facts::plain(question.method().as_str(), question.path());
    facts.request_bytes = Facts::clamp(question.body().len().try_into().unwrap_or(i128::MAX));
    facts.matches = matches(question, body, query, patterns);
    if profile.guarded
        && let Some(root) = body.root()
    {
        parts::guard(root)?;
    }
    facts.stream = match profile.streams {
        Some(default) => body.flag("stream")?.unwrap_or(default),
        None => query.one("stream")?.is_some_and(|value| value != "false"),
    };
    if profile.guarded {
        let batch = count::batch(body, profile)?;
        facts.batch = Facts::clamp(batch).max(1);
        facts.max_tokens = if profile.generates { count::max_tokens(body, batch)? } else { 0 };
        let found = parts::count(body);
        facts.tools = found.tools;
        facts.images = Facts::clamp(found.images);
        facts.audio = Facts::clamp(found.audio);
    }
    if let (Body::Form(form), BodyKind::Form(kind)) = (body, profile.body) {
        let files = Facts::clamp(form.files().try_into().unwrap_or(i128::MAX));
        match kind {
            profile::FileKind::Audio => facts.audio = files,
            profile::FileKind::Image => facts.images = files,
            profile::FileKind::Data => {}
        }
    }
    Ok(facts)
}

/// Names of the deny-list patterns that match a key or a string of the body, the path or the query.
fn matches(
    question: &Question,
    body: &Body<'_>,
    query: &Query,
    patterns: &Patterns,
) -> std::collections::BTreeSet<String> {
    let mut finder = patterns.finder();
    finder.look(&percent_encoding::percent_decode_str(question.path()).decode_utf8_lossy());
    for (key, value) in &query.0 {
        finder.look(key);
        finder.look(value);
    }
    match body {
        Body::Json(root) => look(&mut finder, root),
        Body::Form(form) => form.texts().for_each(|text| finder.look(text)),
        Body::Empty | Body::Opaque => {}
    }
    finder.names()
}

fn look(finder: &mut Finder<'_>, node: &Node<'_>) {
    match &node.value {
        Value::String(text) => finder.look(text),
        Value::Array(items) => items.iter().for_each(|item| look(finder, item)),
        Value::Object(members) => members.iter().for_each(|member| {
            finder.look(&member.key);
            look(finder, &member.node);
        }),
        _ => {}
    }
}
