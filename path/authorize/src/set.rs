//! A policy set: files parsed, validated, linted, hashed and indexed once, off the request path.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

use cedar_policy::Effect;
use model::{PolicyReason, PolicySetHash};
use serde::Serialize;

use crate::fault::{Place, PolicyFaults};
use crate::index::Index;
use crate::lint;
use crate::parse;
use crate::reads::{self, Field};

/// The most policy files in a folder.
pub const MAX_FILES: usize = 1_000;
/// The largest policy file, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// The most bytes of policy text together.
pub const MAX_SET_BYTES: usize = 8 * 1024 * 1024;

/// The first line of the canonical text.
const CANON: &str = "portcullis policies 1\n";

/// One policy, ready to be evaluated by itself.
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) place: Place,
    pub(crate) sentence: Option<String>,
    pub(crate) cedar: cedar_policy::Policy,
    /// The policy as a set of its own, for Cedar's authorizer.
    pub(crate) alone: cedar_policy::PolicySet,
    /// The fields of the context it reads; `None` for all.
    pub(crate) reads: Option<Vec<Field>>,
    /// Whether its scope names `Action::"unknown"` itself.
    pub(crate) names_unknown: bool,
    /// Whether its scope names an action, or a group of them.
    pub(crate) names_action: bool,
}

impl Policy {
    /// Whether what it says may depend on `context.approvals`.
    pub(crate) fn reads_approvals(&self) -> bool {
        self.reads.as_ref().is_none_or(|fields| fields.iter().any(|field| field.is_in("approvals")))
    }
}

impl Policy {
    pub(crate) fn forbids(&self) -> bool {
        self.cedar.effect() == Effect::Forbid
    }

    pub(crate) fn reason(&self) -> PolicyReason {
        PolicyReason { policy: self.id.clone(), sentence: self.sentence.clone() }
    }
}

/// Every policy that decides, validated against [`crate::SCHEMA`]. Never changes once made.
pub struct PolicySet {
    pub(crate) policies: Vec<Policy>,
    pub(crate) index: Index,
    files: Vec<String>,
    hash: PolicySetHash,
    text: String,
    warnings: Vec<String>,
}

impl PolicySet {
    /// Reads every `*.cedar` file of a folder, in the order of their names. Hidden files and other
    /// names are passed over; links are followed, as Kubernetes mounts need. A folder without policies
    /// gives a set that denies everything, with a warning.
    ///
    /// # Errors
    /// [`PolicyFaults`] with everything that is wrong: unreadable or too large files, syntax, faults and
    /// warnings of Cedar's validator, lints, ids used twice.
    pub fn load(dir: &Path) -> Result<Self, PolicyFaults> {
        let folder = dir.display().to_string();
        let unreadable = |e: std::io::Error| {
            PolicyFaults::of(
                &folder,
                format!("the folder cannot be read: {e}"),
                Some("Name a folder of *.cedar files."),
            )
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(".cedar") && !name.starts_with('.') {
                names.push(name.to_owned());
            }
            if names.len() > MAX_FILES {
                return Err(PolicyFaults::of(
                    &folder,
                    format!("the folder holds more than {MAX_FILES} policy files"),
                    None,
                ));
            }
        }
        names.sort();
        let mut faults = Vec::new();
        let mut files = Vec::new();
        for name in names {
            match read(&dir.join(&name)) {
                Ok(text) => files.push((name, text)),
                Err(message) => faults.extend(PolicyFaults::of(&name, message, None).iter().cloned()),
            }
        }
        if faults.is_empty() { Self::parse(files) } else { Err(PolicyFaults::new(faults)) }
    }

    /// Makes a set of files given as names and texts, in that order.
    ///
    /// # Errors
    /// As [`PolicySet::load`].
    pub fn parse(files: Vec<(String, String)>) -> Result<Self, PolicyFaults> {
        let text = canonical(&files)?;
        let (parsed, mut faults) = parse::files(&files)?;
        let mut policies = Vec::with_capacity(parsed.len());
        for found in parsed {
            let complaints = lint::faults(&found.body);
            faults.extend(complaints.into_iter().map(|complaint| found.fault(complaint)));
            let mut alone = cedar_policy::PolicySet::new();
            alone.add(found.cedar.clone()).map_err(|e| PolicyFaults::of(&found.file, e.to_string(), None))?;
            policies.push(Policy {
                reads: reads::reads(&found.body),
                names_unknown: lint::names_unknown(&found.cedar),
                names_action: lint::names_action(&found.cedar),
                id: found.id,
                file: found.file,
                place: found.place,
                sentence: found.sentence,
                cedar: found.cedar,
                alone,
            });
        }
        if !faults.is_empty() {
            faults.sort_by_key(|f| files.iter().position(|(name, _)| *name == f.file));
            return Err(PolicyFaults::new(faults));
        }
        let index = Index::build(&policies).map_err(|e| PolicyFaults::of("schema", e, None))?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Ok(Self {
            warnings: warnings(&policies),
            files: files.into_iter().map(|(name, _)| name).collect(),
            policies,
            index,
            hash: PolicySetHash(hash),
            text,
        })
    }

    /// Makes the set again from its canonical text, as the ledger keeps it.
    ///
    /// # Errors
    /// [`PolicyFaults`] when `text` is not what [`PolicySet::text`] gave, or is not valid under the
    /// schema of this version.
    pub fn read_back(text: &str) -> Result<Self, PolicyFaults> {
        let odd = || PolicyFaults::of("record", "this is not the recorded text of a policy set", None);
        let mut rest = text.strip_prefix(CANON).ok_or_else(odd)?;
        let mut files = Vec::new();
        while !rest.is_empty() {
            let (head, body) = rest.split_once('\n').ok_or_else(odd)?;
            let (length, name) =
                head.strip_prefix("file ").and_then(|h| h.split_once(' ')).ok_or_else(odd)?;
            let length: usize = length.parse().map_err(|_| odd())?;
            let (content, after) = body.split_at_checked(length).ok_or_else(odd)?;
            files.push((name.to_owned(), content.to_owned()));
            rest = after.strip_prefix('\n').ok_or_else(odd)?;
        }
        Self::parse(files)
    }

    /// SHA-256 over [`PolicySet::text`].
    pub fn hash(&self) -> PolicySetHash {
        self.hash
    }

    /// The canonical text: a line that names the form, then for each file `file LENGTH NAME`, its exact
    /// bytes and a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is in the set, for `policy check`.
    pub fn report(&self) -> Report {
        Report {
            hash: self.hash.to_string(),
            files: self.files.clone(),
            policies: self.policies.iter().map(Summary::of).collect(),
            warnings: self.warnings.clone(),
        }
    }

    pub(crate) fn policy(&self, at: usize) -> Option<&Policy> {
        self.policies.get(at)
    }

    pub(crate) fn named(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == id)
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicySet({} policies, {})", self.policies.len(), self.hash)
    }
}

/// What a policy set holds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The set's hash, in hex.
    pub hash: String,
    /// The files, in order.
    pub files: Vec<String>,
    /// The policies, in order.
    pub policies: Vec<Summary>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

/// One policy of a [`Report`].
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// The file it stands in.
    pub file: String,
    /// Where it begins.
    pub place: Place,
    /// `permit` or `forbid`.
    pub effect: String,
    /// The sentence above it.
    pub sentence: Option<String>,
}

impl Summary {
    fn of(policy: &Policy) -> Self {
        Self {
            id: policy.id.clone(),
            file: policy.file.clone(),
            place: policy.place,
            effect: if policy.forbids() { "forbid" } else { "permit" }.to_owned(),
            sentence: policy.sentence.clone(),
        }
    }
}

fn warnings(policies: &[Policy]) -> Vec<String> {
    if policies.is_empty() {
        return vec!["there is no policy, so everything is denied".to_owned()];
    }
    let at = |policy: &Policy| format!("{}:{}", policy.file, policy.place.line);
    let mut warnings = Vec::new();
    for policy in policies {
        if policy.sentence.is_none() {
            warnings.push(format!(
                "{}: `{}` has no sentence; write above it what it means, for the people it refuses",
                at(policy),
                policy.id
            ));
        }
        if lint::permits_everything(&policy.cedar) {
            warnings.push(format!(
                "{}: `{}` permits every caller everything, high-risk operations and masked values too",
                at(policy),
                policy.id
            ));
        }
    }
    warnings
}

fn canonical(files: &[(String, String)]) -> Result<String, PolicyFaults> {
    let mut text = CANON.to_owned();
    for (name, content) in files {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(PolicyFaults::of(&format!("{name:?}"), "this cannot name a policy file", None));
        }
        text.push_str(&format!("file {} {name}\n{content}\n", content.len()));
        if text.len() > MAX_SET_BYTES {
            let message = format!("the policies hold more than {MAX_SET_BYTES} bytes together");
            return Err(PolicyFaults::of(name, message, None));
        }
    }
    Ok(text)
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("the file cannot be read: {e}");
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("this is not a file".to_owned());
    }
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(format!("the file is larger than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests;
