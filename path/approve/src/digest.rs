//! What an approval binds: a digest of everything that decides what would be done.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use http::header;
use model::{Act, Identity, Question, ResourceName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first bytes under the digest of a request,
const REQUEST: &[u8] = b"portcullis approval of a request 1\n";
/// of a membership,
const MEMBERSHIP: &[u8] = b"portcullis approval of a membership 1\n";
/// and of an act on Portcullis itself.
const ACT: &[u8] = b"portcullis approval of an act 1\n";

/// SHA-256 over what is asked, by whom: the same for the same request again, and for no other.
///
/// Of a request it covers the caller's canonical id, the resource, method, path, query, content type and the
/// body that would be forwarded; each with its length before it (64 bits, little end first), so that no two
/// requests run into each other. A form with files counts by its parts, for its boundary changes with each
/// try. Headers that clients vary from try to try are left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A body as it is bound.
#[derive(Clone, Copy, Debug)]
pub enum BoundBody<'a> {
    /// As it is, with the content type as it is.
    Whole,
    /// A form's parts, each as its bytes between two boundaries, with the content type but for the boundary.
    Parts(&'a [&'a [u8]]),
}

impl Digest {
    /// The digest of a request as it would be forwarded.
    pub fn of_request(
        caller: &Identity,
        resource: &ResourceName,
        question: &Question,
        body: BoundBody<'_>,
    ) -> Self {
        let mut sum = Sum::new(REQUEST);
        sum.field(caller.canonical().as_bytes());
        sum.field(resource.as_str().as_bytes());
        sum.field(question.method().as_str().as_bytes());
        sum.field(question.path().as_bytes());
        match question.query() {
            Some(query) => {
                sum.field(b"?");
                sum.field(query.as_bytes());
            }
            None => sum.field(b""),
        }
        let kinds = question.headers().get_all(header::CONTENT_TYPE);
        match body {
            BoundBody::Whole => {
                sum.count(kinds.iter().count());
                kinds.iter().for_each(|kind| sum.field(kind.as_bytes()));
                sum.field(b"whole");
                sum.field(question.body());
            }
            BoundBody::Parts(parts) => {
                sum.field(b"multipart/form-data");
                sum.field(b"parts");
                sum.count(parts.len());
                parts.iter().for_each(|part| sum.field(part));
            }
        }
        sum.done()
    }

    /// The digest of a wish to be in a group for so many minutes.
    pub fn of_membership(caller: &Identity, group: &str, minutes: u32) -> Self {
        let mut sum = Sum::new(MEMBERSHIP);
        sum.field(caller.canonical().as_bytes());
        sum.field(group.as_bytes());
        sum.field(&minutes.to_le_bytes());
        sum.done()
    }

    /// The digest of an act on a resource.
    pub fn of_act(caller: &Identity, act: Act, resource: &ResourceName) -> Self {
        let mut sum = Sum::new(ACT);
        sum.field(caller.canonical().as_bytes());
        sum.field(act.as_str().as_bytes());
        sum.field(resource.as_str().as_bytes());
        sum.done()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest that 64 hex digits spell.
    pub fn parse(text: &str) -> Option<Self> {
        model::from_hex(text).map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&model::hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest has 64 hex digits"))
    }
}

/// The first 16 bytes of a caller's own digest, in hex: a key for what is theirs.
pub(crate) fn of_caller(canonical: &str) -> String {
    let Digest(whole) = Sum::new(canonical.as_bytes()).done();
    model::hex(whole.get(..16).unwrap_or_default())
}

/// A digest in the making.
struct Sum(Context);

impl Sum {
    fn new(domain: &[u8]) -> Self {
        let mut sum = Context::new(&SHA256);
        sum.update(domain);
        Self(sum)
    }

    fn count(&mut self, count: usize) {
        self.0.update(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn done(self) -> Digest {
        Digest(self.0.finish().as_ref().first_chunk::<32>().copied().unwrap_or([0; 32]))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};
    use model::{ExchangeId, QuestionParts};

    use super::*;
    use crate::sample::identity;

    #[derive(Clone, Copy, Debug)]
    struct Asked<'a> {
        who: &'a str,
        resource: &'a str,
        method: &'a str,
        path: &'a str,
        query: Option<&'a str>,
        kind: &'a str,
        body: &'a str,
    }

    const PLAIN: Asked<'_> = Asked {
        who: "ada",
        resource: "llama",
        method: "POST",
        path: "/v1/x",
        query: None,
        kind: "application/json",
        body: "{}",
    };

    fn question(asked: Asked<'_>, noise: &'static str) -> Question {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(asked.kind).unwrap());
        headers.insert("x-stainless-retry-count", HeaderValue::from_static(noise));
        Question::new(QuestionParts {
            exchange: ExchangeId::from_bytes([noise.len() as u8; 16]),
            method: Method::from_bytes(asked.method.as_bytes()).unwrap(),
            path: asked.path.to_owned(),
            query: asked.query.map(str::to_owned),
            headers,
            body: Bytes::copy_from_slice(asked.body.as_bytes()),
        })
    }

    fn digest(asked: Asked<'_>, noise: &'static str) -> Digest {
        let resource = ResourceName::new(asked.resource).unwrap();
        Digest::of_request(&identity(asked.who, &[]), &resource, &question(asked, noise), BoundBody::Whole)
    }

    #[test]
    fn a_retry_is_the_same_and_everything_else_is_another() {
        let one = digest(PLAIN, "0");
        assert_eq!(digest(PLAIN, "12"), one, "what clients vary is left out");
        let others = [
            Asked { who: "bob", ..PLAIN },
            Asked { resource: "other", ..PLAIN },
            Asked { method: "PUT", ..PLAIN },
            Asked { path: "/v1/y", ..PLAIN },
            Asked { query: Some(""), ..PLAIN },
            Asked { query: Some("a=1"), ..PLAIN },
            Asked { kind: "text/plain", ..PLAIN },
            Asked { body: "{ }", ..PLAIN },
            // Nothing runs over into its neighbour.
            Asked { path: "/v1/x?", ..PLAIN },
            Asked { method: "POS", path: "T/v1/x", ..PLAIN },
        ];
        let mut all: Vec<Digest> = others.iter().map(|asked| digest(*asked, "0")).collect();
        all.push(one);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn a_form_counts_by_its_parts() {
        let resource = ResourceName::new("llama").unwrap();
        let of = |boundary: &str, parts: &[&[u8]]| {
            let kind = format!("multipart/form-data; boundary={boundary}");
            let asked = Asked { kind: &kind, body: boundary, ..PLAIN };
            let parts = BoundBody::Parts(parts);
            Digest::of_request(&identity("ada", &[]), &resource, &question(asked, "0"), parts)
        };
        assert_eq!(of("a", &[b"x", b"y"]), of("b", &[b"x", b"y"]));
        assert_ne!(of("a", &[b"x", b"y"]), of("a", &[b"xy"]));
        assert_ne!(of("a", &[b"x", b"y"]), of("a", &[b"y", b"x"]));
        assert_ne!(of("a", &[]), digest(PLAIN, "0"));
    }

    #[test]
    fn it_is_written_in_hex() {
        let one = digest(PLAIN, "0");
        assert_eq!(Digest::parse(&one.to_string()), Some(one));
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), one);
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
        assert_ne!(
            Digest::of_membership(&identity("ada", &[]), "g", 60),
            Digest::of_membership(&identity("ada", &[]), "g", 61)
        );
    }
}
