//! From what is written to what is used: every section is checked and becomes its struct.

mod admin;
mod agents;
mod approvals;
mod asked;
mod checkpoints;
mod console;
mod credential;
mod fields;
mod identity;
mod login;
mod masking;
mod resource;
mod retention;
mod seal;
mod state;
mod tell;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::fault::{Gathered, shown};
use crate::keys::FILE;
use crate::reader::{Item, Mapping, WordOr};
use crate::usable::{
    Config, DenyList, Durability, Finding, Ledger, Limits, Listener, Policies, Resource, Tls,
};
use crate::{value, yaml};

pub(crate) use agents::agent_file;

pub use age::x25519::Recipient as AgeRecipient;
pub use seal::recipient as age_recipient;

/// Most entries of a deny-list: patterns, which are searched together, and words.
const MOST_PATTERNS: usize = 1000;
const MOST_WORDS: usize = 10_000;
const MOST_WORD: usize = 200;

/// Where relative paths begin.
pub(crate) struct Base(PathBuf);

impl Base {
    /// The folder of `file`, absolute where the system can tell.
    pub(crate) fn of(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Self(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()))
    }

    /// The path at `key`, resolved.
    fn path(&self, mapping: &Mapping<'_>, key: &'static str) -> Option<PathBuf> {
        mapping.parse(key, |text| Ok(self.0.join(value::text(text)?)))
    }

    /// The same, of a file that must be there.
    fn file(&self, mapping: &Mapping<'_>, key: &'static str) -> Option<PathBuf> {
        let path = self.path(mapping, key)?;
        if !path.is_file() {
            mapping.item(key)?.fault(format!("no file {} is there", seen(&path)), "a file that can be read");
        }
        Some(path)
    }

    /// The same, of a folder that must be there.
    fn folder(&self, mapping: &Mapping<'_>, key: &'static str) -> Option<PathBuf> {
        let path = self.path(mapping, key)?;
        if !path.is_dir() {
            mapping.item(key)?.fault(format!("no folder {} is there", seen(&path)), "a folder that is there");
        }
        Some(path)
    }
}

fn seen(path: &Path) -> String {
    format!("`{}`", path.display().to_string().escape_debug())
}

/// Reads a whole file's text. None when anything is wrong; then it is noted.
pub(crate) fn config(text: &str, base: Base, faults: &Gathered) -> Option<Config> {
    let root = yaml::read(text, faults)?;
    let file = Mapping::file(root, &FILE, faults)?;
    let listeners = listeners(&file, &base);
    let observe = observe(&file, &listeners);
    let public_url = file.parse("public_url", public_url);
    let admin = admin::admin(&file, &base, &listeners, observe);
    let of_admin = admin.as_ref().and_then(|admin| admin.listener.as_ref()).map(|listener| listener.address);
    let taken = listeners.iter().map(|listener| listener.address).chain(observe).chain(of_admin);
    let agents = agents::agents(&file, &base, taken);
    let issuers = identity::issuers(&file, &base);
    let resources = resource::resources(&file, &base);
    agents::have_a_door(&file, &resources, agents.as_ref());
    agents::workloads_are_known(&file, agents.as_ref(), &issuers, &resources);
    let policies = policies(&file, &base);
    let ledger = ledger(&file, &base);
    let state = state::state(&file, &base, ledger.as_ref());
    let limits = file.section("limits").map(|limits| self::limits(&limits));
    if let Some(limits) = &limits {
        fits(&file, &resources, limits);
    }
    let deny_lists = deny_lists(&file);
    let console = console::console(&file, &base, &issuers, admin.as_ref());
    let masking = masking::masking(&file);
    let approvals = approvals::approvals(&file, &base, console.as_ref().and_then(Option::as_ref));
    let people = approvals::people(&file, &issuers);
    if faults.any() {
        return None;
    }
    Some(Config {
        listeners,
        public_url,
        observe,
        admin,
        agents,
        issuers,
        resources,
        policies: policies?,
        ledger: ledger?,
        state: state?,
        limits: limits?,
        approvals: approvals?,
        people,
        deny_lists,
        console: console?,
        masking,
        base_dir: base.0,
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.parse::<std::net::IpAddr>() {
        Ok(_) => format!("{} has no port", shown(text)),
        Err(_) => format!("{} is no address with a port", shown(text)),
    })
}

/// The gateway's own address: `https` beyond this machine, and nothing below it.
fn public_url(text: &str) -> Result<String, String> {
    let uri = value::url(text)?;
    if uri.scheme_str() == Some("http") && !uri.host().is_some_and(value::is_loopback) {
        return Err("plain HTTP would show callers' tokens to the network; use `https`".to_owned());
    }
    match uri.path() {
        "" | "/" => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(format!("{} has a path; resources stand right below the host", shown(text))),
    }
}

/// Whether the system would refuse to open both.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip()
        || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified()));
    a.port() == b.port() && a.port() != 0 && overlap
}

fn listeners(file: &Mapping<'_>, base: &Base) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for item in file.many("listeners") {
        let Some(section) = item.section() else { continue };
        let Some(address) = section.parse("address", address) else { continue };
        let tls = match section.item("tls") {
            None => Some(Tls::Plain),
            Some(item) => tls(&item, address, base),
        };
        if section.has("plain") && section.has("tls") {
            section.fault("`plain` and `tls` exclude each other", "one of the two");
        }
        let allowed = section.choice("plain").is_some();
        if tls == Some(Tls::Plain) && !address.ip().is_loopback() && !allowed {
            section.fault(
                format!("plain HTTP on {address} would show callers' tokens to the network"),
                "`tls: local`, `tls` with a certificate and its key, or `plain: allowed`",
            );
        }
        if let Some(other) = listeners.iter().find(|other| collide(other.address, address)) {
            section.fault(format!("{} takes this port already", other.address), "each address and port once");
        }
        listeners.extend(tls.map(|tls| Listener { address, tls }));
    }
    listeners
}

fn tls(item: &Item<'_>, address: SocketAddr, base: &Base) -> Option<Tls> {
    let section = match item.word_or_section()? {
        WordOr::Section(section) => section,
        WordOr::Word(_) => item.empty_section()?,
    };
    let brought = section.has("certificate") || section.has("key");
    if !brought {
        let mut names = section.list("names", value::host);
        if names.is_empty() {
            names.push("localhost".to_owned());
            if !address.ip().is_unspecified() {
                names.push(address.ip().to_string());
            }
        }
        return Some(Tls::Local { dir: base.path(&section, "dir")?, names });
    }
    if !(section.has("certificate") && section.has("key")) {
        section.fault("`certificate` and `key` go together", "both, or neither");
    }
    if section.has("dir") || section.has("names") {
        section.fault("`dir` and `names` are for the local authority", "`certificate` and `key` alone");
    }
    let (certificate, key) = (base.file(&section, "certificate"), base.file(&section, "key"));
    Some(Tls::Files { certificate: certificate?, key: key? })
}

fn observe(file: &Mapping<'_>, listeners: &[Listener]) -> Option<SocketAddr> {
    let section = file.section("observe")?;
    let address = section.parse("address", address)?;
    let allowed = section.choice("plain").is_some();
    if !address.ip().is_loopback() && !allowed {
        section.fault(
            format!("{address} would show health and metrics to the network"),
            "a loopback address, or `plain: allowed`",
        );
    }
    if let Some(listener) = listeners.iter().find(|listener| collide(listener.address, address)) {
        section.fault(format!("{} takes this port already", listener.address), "each address and port once");
    }
    Some(address)
}

fn policies(file: &Mapping<'_>, base: &Base) -> Option<Policies> {
    let section = file.section("policies")?;
    let dir = base.folder(&section, "dir");
    let timezone = section.parse("timezone", value::timezone);
    Some(Policies { dir: dir?, timezone: timezone? })
}

fn ledger(file: &Mapping<'_>, base: &Base) -> Option<Ledger> {
    let section = file.section("ledger")?;
    let dir = base.path(&section, "dir");
    if let Some(dir) = &dir
        && dir.exists()
        && !dir.is_dir()
    {
        section.fault(format!("{} is there, and is no folder", seen(dir)), "a folder");
    }
    let durability = match section.choice("durability") {
        Some("disk") => Durability::Disk,
        _ => Durability::Process,
    };
    let (segment_bytes, reserve_bytes) = (section.number("segment_bytes"), section.number("reserve_bytes"));
    let queue = section.number("queue");
    let write_timeout = section.duration("write_timeout");
    let dir = dir?;
    let retention = retention::retention(&section)?;
    let checkpoints = checkpoints::checkpoints(&section, &dir, base)?;
    let finding =
        Finding { session_idle: section.duration("session_idle"), full_text: section.flag("full_text") };
    let seal_to = seal::seal_to(&section);
    Some(Ledger {
        dir,
        durability,
        segment_bytes,
        queue,
        write_timeout,
        reserve_bytes,
        checkpoints,
        finding,
        retention,
        seal_to,
    })
}

fn limits(section: &Mapping<'_>) -> Limits {
    Limits {
        connections: section.number("connections"),
        requests_in_flight: section.number("requests_in_flight"),
        body_bytes_in_flight: section.number("body_bytes_in_flight"),
        header_bytes: section.number("header_bytes"),
        header_timeout: section.duration("header_timeout"),
        body_timeout: section.duration("body_timeout"),
        streams_per_connection: section.number("streams_per_connection"),
        drain: section.duration("drain"),
        token_cache: section.number("token_cache"),
    }
}

/// Notes resources of which one request alone would be more than all may be together: it could never pass.
fn fits(file: &Mapping<'_>, resources: &[Resource], limits: &Limits) {
    for resource in resources {
        for (key, bytes) in [
            ("max_request_bytes", resource.max_request_bytes),
            ("max_held_answer_bytes", resource.max_held_answer_bytes),
        ] {
            if bytes > limits.body_bytes_in_flight
                && let Some(item) = file.item("limits")
            {
                item.fault(
                    format!(
                        "`{key}` of {} is more than `body_bytes_in_flight`",
                        shown(resource.name.as_str())
                    ),
                    "room for more than one request",
                );
            }
        }
    }
}

fn deny_lists(file: &Mapping<'_>) -> Vec<DenyList> {
    let mut lists = Vec::new();
    let (mut patterns_left, mut words_left) = (MOST_PATTERNS, MOST_WORDS);
    for (name, item) in file.named("deny_lists") {
        let Some(section) = item.section() else { continue };
        for (key, left, most) in
            [("patterns", &mut patterns_left, MOST_PATTERNS), ("words", &mut words_left, MOST_WORDS)]
        {
            let Some(rest) = left.checked_sub(section.many(key).len()) else {
                section.fault(format!("all lists together have more than {most} {key}"), "fewer");
                return lists;
            };
            *left = rest;
        }
        let patterns = section.list("patterns", value::pattern);
        let words = section.list("words", word);
        if !section.has("patterns") && !section.has("words") {
            section.fault("the list is empty: it would match nothing", "`patterns`, `words`, or both");
        }
        lists.push(DenyList { name, patterns, words });
    }
    lists
}

fn word(text: &str) -> Result<String, String> {
    let word = value::text(text)?;
    match word.trim() == word && word.len() <= MOST_WORD {
        true => Ok(word),
        false => Err(format!("a word has no blanks around it and at most {MOST_WORD} bytes")),
    }
}

/// Values by name, each read by `parse`.
fn by_name(
    mapping: &Mapping<'_>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<String, String>,
) -> BTreeMap<String, String> {
    let named = mapping.named(key).into_iter();
    named.filter_map(|(name, item)| Some((name, item.parse(&parse)?))).collect()
}
