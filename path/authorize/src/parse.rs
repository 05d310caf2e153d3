//! From files to policies: syntax, ids, places, sentences, and what Cedar's validator says.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    ParseErrors, PolicyId, ValidationMode, ValidationWarning, Validator, ffi::DetailedError, pst,
};

use crate::fault::{Place, PolicyFault, PolicyFaults};
use crate::lint::Complaint;
use crate::schema::vocabulary;
use crate::source;

/// The longest id of a policy, in bytes.
const MAX_ID: usize = 200;

/// A policy as found in its file.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) place: Place,
    pub(crate) line: String,
    pub(crate) sentence: Option<String>,
    pub(crate) cedar: cedar_policy::Policy,
    pub(crate) body: pst::Template,
}

impl Found {
    /// A fault of this policy, at its place.
    pub(crate) fn fault(&self, complaint: Complaint) -> PolicyFault {
        PolicyFault {
            file: self.file.clone(),
            place: Some(self.place),
            text: Some(self.line.clone()),
            message: format!("`{}`: {}", self.id, complaint.message),
            advice: Some(complaint.advice),
        }
    }
}

/// Every policy of `files` that can be read, in order, and every fault of every file: syntax,
/// templates, ids, validation. The validator's warnings are faults too: each tells of a policy that
/// can't mean what it says.
///
/// # Errors
/// Only when there is no schema to check against.
pub(crate) fn files(files: &[(String, String)]) -> Result<(Vec<Found>, Vec<PolicyFault>), PolicyFaults> {
    let words = vocabulary().map_err(|e| PolicyFaults::of("schema", e, None))?;
    let validator = Validator::new(words.schema.clone());
    let mut faults = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    let mut taken: HashMap<String, String> = HashMap::new();
    for (name, text) in files {
        let policies = match one_file(name, text) {
            Ok(policies) => policies,
            Err(more) => {
                faults.extend(more);
                continue;
            }
        };
        let mut set = cedar_policy::PolicySet::new();
        for policy in policies {
            let here = format!("{name}:{}", policy.place.line);
            if let Some(first) = taken.insert(policy.id.clone(), here) {
                faults.push(policy.fault(Complaint {
                    message: format!("this id is already taken at {first}"),
                    advice: "Give each policy an @id of its own.".to_owned(),
                }));
                continue;
            }
            if let Err(e) = set.add(policy.cedar.clone()) {
                faults.push(policy.fault(Complaint { message: e.to_string(), advice: String::new() }));
            }
            found.push(policy);
        }
        faults.extend(validate(&validator, name, text, &set, &found));
    }
    Ok((found, faults))
}

/// What the validator says of one file, in the order of places.
fn validate(
    validator: &Validator,
    name: &str,
    text: &str,
    set: &cedar_policy::PolicySet,
    found: &[Found],
) -> Vec<PolicyFault> {
    let result = validator.validate(set, ValidationMode::Strict);
    let mut said: Vec<(String, bool, PolicyFault)> = Vec::new();
    for error in result.validation_errors() {
        said.push((error.policy_id().to_string(), false, diagnostic(name, text, &error.into())));
    }
    for warning in result.validation_warnings() {
        let vague = matches!(warning, ValidationWarning::ImpossiblePolicy(_));
        said.push((warning.policy_id().to_string(), vague, diagnostic(name, text, &warning.into())));
    }
    // A policy with any other fault is also called impossible, which says nothing more.
    let precise: HashSet<String> =
        said.iter().filter(|(_, vague, _)| !vague).map(|(id, _, _)| id.clone()).collect();
    said.retain(|(id, vague, _)| !vague || !precise.contains(id));
    let mut faults = Vec::with_capacity(said.len());
    for (id, _, mut fault) in said {
        if fault.place.is_none()
            && let Some(policy) = found.iter().find(|policy| policy.id == id)
        {
            fault.place = Some(policy.place);
            fault.text = Some(policy.line.clone());
        }
        faults.push(fault);
    }
    faults.sort_by_key(|fault| fault.place.map(|place| (place.line, place.column)));
    faults
}

fn one_file(name: &str, text: &str) -> Result<Vec<Found>, Vec<PolicyFault>> {
    let fault = |message: &str, advice: &str| {
        let advice = (!advice.is_empty()).then_some(advice);
        PolicyFaults::of(name, message, advice).iter().cloned().collect::<Vec<_>>()
    };
    let set: cedar_policy::PolicySet = text
        .parse()
        .map_err(|e: ParseErrors| e.iter().map(|e| diagnostic(name, text, &e.into())).collect::<Vec<_>>())?;
    if set.num_of_templates() > 0 {
        return Err(fault(
            "templates (`?principal`, `?resource`) are not linked here, so they would decide nothing",
            "Write the policy out for each group or resource.",
        ));
    }
    // Cedar numbers the policies of a text `policy0`, `policy1`, …
    let mut numbered: Vec<(usize, &cedar_policy::Policy)> = set
        .policies()
        .filter_map(|p| Some((AsRef::<str>::as_ref(p.id()).strip_prefix("policy")?.parse().ok()?, p)))
        .collect();
    numbered.sort_by_key(|(n, _)| *n);
    let texts: Vec<String> = numbered.iter().map(|(_, p)| p.to_string()).collect();
    let offsets = source::locate(text, &texts).filter(|o| o.len() == set.num_of_policies());
    let Some(offsets) = offsets else {
        return Err(fault("the policies' places in the file cannot be found", ""));
    };
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for (n, ((_, policy), (offset, own))) in numbered.iter().zip(offsets.iter().zip(&texts)).enumerate() {
        let id = policy.annotation("id").map_or_else(|| format!("{name}#{}", n + 1), str::to_owned);
        let at = (source::place(text, *offset), source::line(text, *offset));
        let bad = |message: String, advice: &str| PolicyFault {
            file: name.to_owned(),
            place: Some(at.0),
            text: Some(at.1.clone()),
            message,
            advice: Some(advice.to_owned()),
        };
        if id.is_empty() || id.len() > MAX_ID || id.chars().any(|c| c.is_control() || c == '`') {
            let message = format!("{id:?} cannot be a policy's id");
            faults.push(bad(message, "Write 1 to 200 printable characters in @id, without backquotes."));
            continue;
        }
        let body = match policy.to_pst() {
            Ok(pst) => pst.body().clone(),
            Err(e) => {
                faults.push(bad(e.to_string(), "Write the policy in a simpler form."));
                continue;
            }
        };
        let reason = policy.annotation("reason").map(str::trim).filter(|r| !r.is_empty());
        found.push(Found {
            sentence: reason.map(str::to_owned).or_else(|| source::sentence(text, *offset, own)),
            cedar: policy.new_id(PolicyId::new(&id)),
            body,
            id,
            file: name.to_owned(),
            place: at.0,
            line: at.1,
        });
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn diagnostic(file: &str, text: &str, said: &DetailedError) -> PolicyFault {
    let at = said.source_locations.first().map(|label| label.loc.start);
    let label = said.source_locations.first().and_then(|label| label.label.clone());
    PolicyFault {
        file: file.to_owned(),
        place: at.map(|at| source::place(text, at)),
        text: at.map(|at| source::line(text, at)),
        message: match label {
            Some(label) if !said.message.contains(&label) => format!("{} ({label})", said.message),
            _ => said.message.clone(),
        },
        advice: said.help.clone(),
    }
}
