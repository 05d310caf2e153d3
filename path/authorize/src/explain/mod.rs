//! Why a decision came out as it did, for an operator: the facts, the policies that decided, and for
//! a default deny the nearest permit, what it lacked, and a permit that would have been enough.

mod condition;
mod nearest;
mod paste;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use model::{Judgement, Ruling};
use serde::Serialize;

use crate::judge::Inquiry;
use crate::set::PolicySet;

pub use nearest::{Failing, Nearest};
pub use paste::Paste;

/// Why one operation was allowed, held or denied.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The ruling as recorded.
    pub ruling: Ruling,
    /// The caller, as `Caller::"…"`.
    pub caller: String,
    /// The caller's groups at the time.
    pub groups: Vec<String>,
    /// The action's name, such as `infer`.
    pub action: String,
    /// The resource, as `Model::"…"` or `Resource::"…"`.
    pub resource: String,
    /// Every fact of the context, flattened: `token.mfa` to `true`.
    pub facts: BTreeMap<String, String>,
    /// The policies that decided, if any did.
    pub deciding: Vec<Deciding>,
    /// Evaluation errors. Any error denies.
    pub errors: Vec<String>,
    /// When nothing permitted it: the permit that came nearest.
    pub nearest: Option<Nearest>,
    /// A permit to paste, or why none is offered.
    pub paste: Paste,
}

/// A policy that decided.
#[derive(Clone, Debug, Serialize)]
pub struct Deciding {
    /// Its id.
    pub policy: String,
    /// `permit` or `forbid`; `None` when the set does not hold the policy.
    pub effect: Option<String>,
    /// `file:line`.
    pub place: Option<String>,
    /// The sentence above it.
    pub sentence: Option<String>,
    /// The policy as written.
    pub text: Option<String>,
}

/// Explains a judgement by the set that made it. With another set, what is told of the policies is
/// that set's, while the ruling and the ids stay the recorded ones.
pub fn explain(set: &PolicySet, judgement: &Judgement) -> Explanation {
    let deciding = judgement.reasons.iter().map(|reason| {
        let policy = set.named(&reason.policy);
        Deciding {
            policy: reason.policy.clone(),
            effect: policy.map(|p| if p.forbids() { "forbid" } else { "permit" }.to_owned()),
            place: policy.map(|p| format!("{}:{}", p.file, p.place.line)),
            sentence: reason.sentence.clone(),
            text: policy.map(|p| p.cedar.to_string()),
        }
    });
    let mut explanation = Explanation {
        ruling: judgement.ruling,
        caller: judgement.principal.clone(),
        groups: Vec::new(),
        action: judgement.action.clone(),
        resource: judgement.resource.clone(),
        facts: facts(judgement.context.get()),
        deciding: deciding.collect(),
        errors: judgement.errors.clone(),
        nearest: None,
        paste: Paste::Withheld("the recorded request cannot be read".to_owned()),
    };
    let inquiry = match Inquiry::recorded(judgement) {
        Ok(inquiry) => inquiry,
        Err(e) => {
            explanation.errors.push(format!("the recorded request cannot be read: {e}"));
            return explanation;
        }
    };
    let groups = inquiry.players.principals.iter().skip(1);
    explanation.groups = groups.map(|uid| uid.id().unescaped().to_owned()).collect();
    explanation.groups.sort();
    inquiry.action.id().unescaped().clone_into(&mut explanation.action);
    if judgement.ruling == Ruling::Denied && explanation.deciding.is_empty() && judgement.errors.is_empty() {
        explanation.nearest = nearest::find(set, &inquiry, nearest::PATIENT);
    }
    explanation.paste = paste::offer(&inquiry, judgement, explanation.nearest.as_ref());
    explanation
}

/// The permit that came nearest to a request that was denied by default, for its refusal.
pub(crate) fn nearest(set: &PolicySet, judgement: &Judgement) -> Option<Nearest> {
    nearest::find(set, &Inquiry::recorded(judgement).ok()?, nearest::QUICK)
}

/// The context's JSON as dotted names and short values.
fn facts(context: &str) -> BTreeMap<String, String> {
    fn flatten(name: &str, value: &serde_json::Value, out: &mut BTreeMap<String, String>) {
        use serde_json::Value as J;
        match value {
            J::Object(fields) => {
                let call = fields.get("__extn").and_then(|call| call.get("arg"));
                if let Some(J::String(argument)) = call {
                    out.insert(name.to_owned(), argument.clone());
                    return;
                }
                for (key, inner) in fields {
                    let key = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    flatten(&key, inner, out);
                }
            }
            other => {
                out.insert(name.to_owned(), other.to_string());
            }
        }
    }
    let mut out = BTreeMap::new();
    if let Ok(value) = serde_json::from_str(context) {
        flatten("", &value, &mut out);
    }
    out
}
