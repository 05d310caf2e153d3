//! How the file is described: sections of keys, each with its shape, default and meaning. The reader, the
//! JSON schema and the reference are all made from these tables, so that they cannot differ.

/// A mapping whose keys are known.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name in the reference and the schema.
    pub(crate) name: &'static str,
    /// What it is, in a sentence.
    pub(crate) doc: &'static str,
    /// Its keys, in the order of the reference.
    pub(crate) keys: &'static [Key],
}

/// One key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// What may stand there.
    pub(crate) shape: Shape,
    /// What holds when it is left out.
    pub(crate) absent: Absent,
    /// What it means.
    pub(crate) doc: &'static str,
}

/// What holds when a key is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Absent {
    /// It may not be left out.
    Fault,
    /// This, written as in the file.
    Is(&'static str),
    /// Nothing; the text says what that means, and may be empty.
    Nothing(&'static str),
}

/// A word with its meaning.
pub(crate) type Word = (&'static str, &'static str);

/// What may stand at a key.
#[derive(Debug)]
pub(crate) enum Shape {
    /// One value of this kind.
    One(Kind),
    /// One of these words.
    Choice(&'static [Word]),
    /// `true` or `false`.
    Flag,
    /// A length of time between these, written as they are.
    Duration(&'static str, &'static str),
    /// A number of bytes between these, written as they are.
    Size(&'static str, &'static str),
    /// A whole number between these.
    Count(u64, u64),
    /// A list of such values, with at least this many. A list of one may be written as the one value,
    /// if that is no mapping.
    Many(usize, &'static Shape),
    /// Names of the operator's choosing with such values.
    Named(Kind, &'static Shape),
    /// Known keys.
    Section(&'static Section),
    /// Known keys, or one value that stands for the section's key of this name.
    Short(&'static str, &'static Section),
    /// Known keys, or one of these words.
    WordOr(&'static [Word], &'static Section),
}

/// A kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A name: 1 to 63 of letters, digits, `-`, `_`, `.`.
    Name,
    /// A resource's name.
    ResourceName,
    /// An address with its port.
    Address,
    /// An `http` or `https` URL.
    Url,
    /// The same, which may have a query.
    Link,
    /// `stdout`, or such a URL.
    Outlet,
    /// A public key of age.
    Recipient,
    /// A path of a file or folder.
    Path,
    /// A JSON pointer.
    Pointer,
    /// A host name or address, without port.
    Host,
    /// A domain of e-mail addresses.
    Domain,
    /// A header's name.
    Header,
    /// Where a secret lies.
    Secret,
    /// A signature algorithm.
    Algorithm,
    /// A time zone.
    Timezone,
    /// A method and a path pattern.
    Match,
    /// A regular expression.
    Pattern,
    /// A data class.
    DataClass,
    /// A place in an answer.
    Field,
}

impl Kind {
    /// What to write, for people.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "1 to 63 of letters, digits, `-`, `_` and `.`",
            Self::ResourceName => "1 to 63 of a-z, 0-9 and `-`, which is neither first nor last",
            Self::Address => "an address with its port, as `127.0.0.1:8080` or `[::1]:8080`",
            Self::Url | Self::Link => "a URL, as `https://login.example.test`",
            Self::Outlet => "`stdout`, or a URL, as `https://witness.example.test/checkpoints`",
            Self::Recipient => "an age recipient, `age1` and 58 letters and digits, as `age-keygen` tells it",
            Self::Path => "a path; a relative one is taken from the file's folder",
            Self::Pointer => "a JSON pointer, as `/groups` or `/realm_access/roles`",
            Self::Host => "a host name without port, as `llama.example.test`",
            Self::Domain => "a domain, as `example.test`",
            Self::Header => "a header's name, as `x-trace-id`",
            Self::Secret => "where the secret lies: `env:NAME` or `file:PATH`",
            Self::Algorithm => "one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
            Self::Timezone => "an IANA time zone, as `Europe/Berlin`",
            Self::Match => "a method and a path, as `GET /orders/{id}`",
            Self::Pattern => "a regular expression",
            Self::DataClass => "a data class, as `pii.email`",
            Self::Field => "a JSON pointer, as `/choices/*/logprobs`, or `header:NAME`",
        }
    }

    /// The same in a word or two, for the reference.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::ResourceName => "resource name",
            Self::Address => "address with port",
            Self::Url | Self::Link => "URL",
            Self::Outlet => "`stdout` or URL",
            Self::Recipient => "age recipient",
            Self::Path => "path",
            Self::Pointer => "JSON pointer",
            Self::Host => "host name",
            Self::Domain => "domain",
            Self::Header => "header name",
            Self::Secret => "`env:NAME` or `file:PATH`",
            Self::Algorithm => "algorithm",
            Self::Timezone => "IANA time zone",
            Self::Match => "methods and path",
            Self::Pattern => "regular expression",
            Self::DataClass => "data class",
            Self::Field => "place in the answer",
        }
    }

    /// What to write as a regular expression, where one can say it, for the schema.
    pub(crate) fn regex(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("^[A-Za-z0-9._-]{1,63}$"),
            Self::ResourceName => Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
            Self::Url => Some("^https?://[^\\s@?#]+$"),
            Self::Link => Some("^https?://[^\\s@#]+$"),
            Self::Outlet => Some("^(stdout|https?://[^\\s@#]+)$"),
            Self::Recipient => Some("^[Aa][Gg][Ee]1[0-9A-Za-z]{58}$"),
            Self::Pointer => Some("^(/([^~]|~[01])*)+$"),
            Self::Secret => Some("^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"),
            Self::Algorithm => Some("^(RS(256|384|512)|PS(256|384|512)|ES(256|384)|EdDSA)$"),
            Self::Match => Some("^[A-Z]+(,[A-Z]+)* /.*$"),
            Self::DataClass => Some("^[a-z0-9-]{1,40}([.][a-z0-9-]{1,40}){0,3}$"),
            Self::Field => Some("^((/([^~]|~[01])*)+|header:.+)$"),
            Self::Text
            | Self::Address
            | Self::Path
            | Self::Host
            | Self::Domain
            | Self::Header
            | Self::Timezone
            | Self::Pattern => None,
        }
    }
}

/// Every section with where it stands, the file first, each once.
pub(crate) fn sections() -> Vec<(String, &'static Section)> {
    let mut found = Vec::new();
    gather(&crate::keys::FILE, String::new(), &mut found);
    found
}

/// The sections that only an agent's file has.
pub(crate) fn agent_sections() -> Vec<(String, &'static Section)> {
    let mut found = sections();
    let known = found.len();
    gather(&crate::keys::AGENT_FILE, "agent.yaml".to_owned(), &mut found);
    found.split_off(known)
}

fn gather(section: &'static Section, place: String, found: &mut Vec<(String, &'static Section)>) {
    if found.iter().any(|(_, known)| known.name == section.name) {
        return;
    }
    found.push((place.clone(), section));
    for key in section.keys {
        let at = if place.is_empty() { key.name.to_owned() } else { format!("{place}.{}", key.name) };
        if let Some((below, suffix)) = key.shape.section() {
            gather(below, format!("{at}{suffix}"), found);
        }
    }
}

impl Shape {
    /// The section below, if there is one, and what leads to it from the key.
    pub(crate) fn section(&self) -> Option<(&'static Section, String)> {
        match self {
            Self::Section(section) | Self::Short(_, section) | Self::WordOr(_, section) => {
                Some((section, String::new()))
            }
            Self::Many(_, shape) => shape.section().map(|(section, below)| (section, format!("[]{below}"))),
            Self::Named(_, shape) => {
                shape.section().map(|(section, below)| (section, format!(".NAME{below}")))
            }
            _ => None,
        }
    }
}
