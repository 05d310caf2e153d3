//! The one YAML file: read with places, checked whole, turned into what each step uses.
//!
//! [`load`] gives either a [`Config`] whose every value can be used as it stands, or every fault of the
//! file at once, each with its place. `docs/config.md` is made from the same tables that the file is read
//! by.

mod check;
mod fault;
mod keys;
mod person;
mod reader;
mod reference;
mod schema;
mod secret;
mod starter;
mod table;
mod usable;
mod value;
mod watch;
mod yaml;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use check::{AgeRecipient, age_recipient};
pub use fault::{Fault, Faults};
pub use person::person_folder;
pub use reference::reference_markdown;
pub use schema::json_schema;
pub use secret::{MAX_SECRET_BYTES, SecretError, SecretRef, variable};
pub use starter::{StarterAnswers, StarterFiles, starter};
pub use usable::{
    Admin, AgentConfig, Agents, Approvals, BackchannelLogout, Checkpoints, ClientAuth, Finding,
    Introspection, Join, Userinfo, Workload,
};
pub use usable::{
    ClaimRule, ClaimTest, Config, Credential, DenyList, Disclose, Durability, FieldPlace, FieldRule,
    GroupRule, Groups, Issuer, IssuerKind, IssuerLogin, LOGIN_METADATA_PATH, Ledger, Limits, Listener, Mfa,
    OnTokenExpiry, Policies, Resource, ResourceKind, Route, ServerKind, State, Timeouts, Tls, UnknownStreams,
    UpstreamTls,
};
pub use usable::{Console, Session, SignIn};
pub use usable::{
    CredentialScheme, Rotation, SecretCommand, SecretSource, TokenGrant, VaultEngine, VaultSecret,
};
pub use usable::{Keep, Retention};
pub use usable::{Masking, MaskingRule, MaskingWords, Placeholder};
pub use usable::{Slack, Tell, TellEvent, Webhook};
pub use watch::Watched;

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads and checks the file at `path`.
///
/// # Errors
/// Every fault of it, or the one that keeps it from being read.
pub fn load(path: &Path) -> Result<Config, Faults> {
    parse(&text_of(path)?, path)
}

/// Reads and checks an agent's file at `path`.
///
/// # Errors
/// Every fault of it, or the one that keeps it from being read.
pub fn load_agent(path: &Path) -> Result<AgentConfig, Faults> {
    parse_agent(&text_of(path)?, path)
}

fn text_of(path: &Path) -> Result<String, Faults> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    if let Err(cause) = read {
        return Err(Faults::of_file(path, format!("the file cannot be read: {cause}"), "a readable file"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) if bytes.len() as u64 <= MAX_FILE_BYTES => Ok(text.to_owned()),
        Ok(_) => Err(too_large(path)),
        // A cut inside a character is no fault of the encoding.
        Err(_) if bytes.len() as u64 > MAX_FILE_BYTES => Err(too_large(path)),
        Err(fault) => {
            let line = bytes.iter().take(fault.valid_up_to()).filter(|&&byte| byte == b'\n').count() + 1;
            Err(Faults::of_file(path, format!("line {line} is not UTF-8"), "UTF-8 text"))
        }
    }
}

/// Checks the text of a file. `file` is named in faults, and relative paths are taken from its folder;
/// files and folders that the text names are looked for, secrets are not.
///
/// # Errors
/// Every fault of it.
pub fn parse(text: &str, file: &Path) -> Result<Config, Faults> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(file));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let faults = fault::Gathered::default();
    let config = check::config(text, check::Base::of(file), &faults);
    judged(faults, config, file, text)
}

/// The same of an agent's file.
///
/// # Errors
/// Every fault of it.
pub fn parse_agent(text: &str, file: &Path) -> Result<AgentConfig, Faults> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(file));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let faults = fault::Gathered::default();
    let config = check::agent_file(text, &check::Base::of(file), &faults);
    judged(faults, config, file, text)
}

fn judged<T>(faults: fault::Gathered, read: Option<T>, file: &Path, text: &str) -> Result<T, Faults> {
    match (faults.into_faults(file, text), read) {
        (Some(faults), _) => Err(faults),
        (None, Some(config)) => Ok(config),
        (None, None) => {
            Err(Faults::of_file(file, "a value was refused without a reason: report this".into(), ""))
        }
    }
}

fn too_large(file: &Path) -> Faults {
    Faults::of_file(file, format!("the file is larger than {MAX_FILE_BYTES} bytes"), "a smaller file")
}
