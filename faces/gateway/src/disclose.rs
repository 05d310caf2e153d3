//! The step between authorize and open record: what policy does not let the caller send to the resource
//! is masked in the request, or refuses it.
//!
//! What comes out is the request that is recorded, approved and forwarded. One in which nothing is found
//! goes on as it came, after one look at its texts.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use authenticate::Caller;
use bytes::Bytes;
use config::Disclose;
use model::{AskedText, Code, DataClass, Encoding, Findings, Identity, Question, Refusal, Reveal};

use crate::Gateway;
use crate::setup::Place;

/// What was found in a request that may not go as it came.
pub(crate) struct Disclosed {
    /// The request with what may not go masked.
    pub(crate) question: Question,
    pub(crate) findings: Findings,
    /// Whether something was found that policy judged by: a model's name, a key.
    pub(crate) fixed: bool,
    /// Set where the resource takes no request with such values, or where one can't be masked.
    pub(crate) refusal: Option<Refusal>,
}

/// Nothing found.
pub(crate) static NOTHING: Findings = Findings { masked: BTreeMap::new(), revealed: BTreeMap::new() };

/// Looks through a request that was understood. None if it goes as it came.
pub(crate) fn disclose(
    gateway: &Gateway,
    place: &Place,
    identity: &Arc<Identity>,
    question: &Question,
    texts: Vec<AskedText>,
) -> Option<Box<Disclosed>> {
    let allowed = Allowed { gateway, place, identity, policies: OnceLock::new() };
    let found = mask::disclose(&gateway.rules, &allowed, question.body(), &texts);
    let query = question.query().map(|query| {
        let bytes = Bytes::copy_from_slice(query.as_bytes());
        let whole = AskedText { range: 0..bytes.len(), encoding: Encoding::Plain, fixed: true };
        mask::disclose(&gateway.rules, &allowed, &bytes, &[whole])
    });
    let query = query.flatten();
    if found.is_none() && query.is_none() {
        return None;
    }
    let mut findings = Findings::default();
    let mut fixed = None;
    for part in [&found, &query].into_iter().flatten() {
        fixed = fixed.or(part.fixed.clone());
        findings.add(&part.findings);
    }
    for (class, count) in &findings.masked {
        let class = class.as_str().to_owned();
        metrics::counter!("portcullis_disclosures_stopped_total", "class" => class).increment(*count);
    }
    let refused = match (&fixed, place.disclose) {
        (Some(class), _) => {
            Some((class.as_str(), "where nothing can be masked without changing what was judged"))
        }
        (None, Disclose::Refuse) => {
            findings.masked.keys().next().map(|class| (class.as_str(), "in its text"))
        }
        (None, Disclose::Mask) => None,
    };
    let refusal = refused.map(|(class, place)| {
        Refusal::new(Code::DisclosureRefused).because(format!(
            "The request holds a value of the class `{class}` {place}, and policy does not let you send it here."
        ))
    });
    let body = found.map_or_else(|| question.body().clone(), |found| found.body);
    let query = match &query {
        Some(masked) => Some(String::from_utf8_lossy(&masked.body).into_owned()),
        None => question.query().map(str::to_owned),
    };
    let fixed = fixed.is_some();
    Some(Box::new(Disclosed { question: question.disclosing(query, body), findings, fixed, refusal }))
}

/// Asks the policies, but only once something is found: most requests hold nothing to ask about.
struct Allowed<'a> {
    gateway: &'a Gateway,
    place: &'a Place,
    identity: &'a Arc<Identity>,
    policies: OnceLock<Arc<dyn Reveal>>,
}

impl Reveal for Allowed<'_> {
    fn reveals(&self, class: &DataClass) -> bool {
        let policies = || self.gateway.authorizer.discloser(self.identity, &self.place.target);
        self.policies.get_or_init(policies).reveals(class)
    }
}

/// A request that could not be understood, as it may be recorded: all of it is one text.
pub(crate) fn as_text(
    gateway: &Gateway,
    place: &Place,
    caller: &Caller,
    question: &Question,
) -> Option<Question> {
    let texts = vec![AskedText { range: 0..question.body().len(), encoding: Encoding::Plain, fixed: false }];
    disclose(gateway, place, caller.identity(), question, texts).map(|disclosed| disclosed.question)
}
