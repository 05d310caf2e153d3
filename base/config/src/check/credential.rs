//! Credentials.

use http::Uri;
use http::header::AUTHORIZATION;

use super::Base;
use super::resource::secret;
use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{
    ClientAuth, Credential, CredentialScheme, Rotation, SecretCommand, SecretSource, TokenGrant, VaultEngine,
    VaultSecret,
};
use crate::value;

/// The keys of which each gives the secret,
const SOURCES: [&str; 3] = ["value", "command", "vault"];
/// and of which each says how it is shown.
const SHOWN: [&str; 4] = ["user", "query", "client_certificate", "oauth2"];
/// The longest path of a probe, in bytes.
const MOST_PROBE: usize = 1024;

/// A whole credential.
pub(super) fn credential(section: &Mapping<'_>, base: &Base) -> Option<Credential> {
    let source = source(section, base);
    let scheme = scheme(section, base);
    let (cache, stale) = (section.duration("cache"), section.duration("stale"));
    let rotate = match section.section("rotate") {
        Some(rotate) => Some(rotation(&rotate, base)?),
        None if section.has("rotate") => return None,
        None => None,
    };
    Some(Credential { source: source?, scheme: scheme?, cache, stale, rotate })
}

fn source(section: &Mapping<'_>, base: &Base) -> Option<SecretSource> {
    let given: Vec<&str> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    match given.as_slice() {
        [] => section.fault("nothing says where the secret comes from", "`value`, `command` or `vault`"),
        [_] => {}
        [first, second, ..] => {
            section.fault(format!("`{first}` and `{second}` exclude each other"), "one of the two");
        }
    }
    if section.has("value") {
        return secret(section, "value", base).map(SecretSource::Place);
    }
    if section.has("command") {
        return command(&section.section("command")?, base).map(SecretSource::Command);
    }
    if section.has("vault") {
        return vault(&section.section("vault")?, base).map(SecretSource::Vault);
    }
    None
}

fn scheme(section: &Mapping<'_>, base: &Base) -> Option<CredentialScheme> {
    let certificate = section.flag("client_certificate");
    let given: Vec<&str> = SHOWN
        .into_iter()
        .filter(|key| section.has(key) && (*key != "client_certificate" || certificate))
        .chain(["header", "scheme"].into_iter().filter(|key| section.has(key)).take(1))
        .collect();
    if let [first, second, ..] = given.as_slice() {
        section.fault(format!("`{first}` and `{second}` exclude each other"), "one of the two");
        return None;
    }
    if certificate {
        return Some(CredentialScheme::Certificate);
    }
    match given.first() {
        Some(&"user") => Some(CredentialScheme::Basic { user: section.parse("user", user)? }),
        Some(&"query") => Some(CredentialScheme::Query { name: section.parse("query", value::name)? }),
        Some(&"oauth2") => {
            let grant = grant(&section.section("oauth2")?, base)?;
            Some(CredentialScheme::OAuth2(Box::new(grant)))
        }
        _ => header(section),
    }
}

fn header(section: &Mapping<'_>) -> Option<CredentialScheme> {
    let name = section.parse("header", value::header);
    let written = section.parse("scheme", word);
    if let Some(item) = section.item("scheme")
        && written.is_none()
    {
        item.hide();
        return None;
    }
    let name = name?;
    let word = match written {
        Some(word) if word == "none" => None,
        Some(word) => Some(word),
        None if name == AUTHORIZATION => Some("Bearer".to_owned()),
        None => None,
    };
    Some(CredentialScheme::Header { name, word })
}

fn word(text: &str) -> Result<String, String> {
    match (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        true => Ok(text.to_owned()),
        // A long one may be the secret itself: it is not repeated.
        false => Err("this is no word that could stand before a secret".to_owned()),
    }
}

/// A user of HTTP Basic (RFC 7617, section 2).
fn user(text: &str) -> Result<String, String> {
    let user = value::text(text)?;
    match user.contains(':') {
        // What stands after it may be the password: it is not repeated.
        true => Err("a user's name holds no colon; the password is the secret".to_owned()),
        false => Ok(user),
    }
}

fn command(section: &Mapping<'_>, base: &Base) -> Option<SecretCommand> {
    let mut run = section.list("run", value::text);
    if let Some(program) = run.first_mut()
        && program.contains('/')
    {
        let whole = base.0.join(&*program);
        if !whole.is_file()
            && let Some(item) = section.many("run").first()
        {
            item.fault(format!("no program {} is there", super::seen(&whole)), "a program that can be run");
        }
        *program = whole.to_string_lossy().into_owned();
    }
    let environment = section.list("environment", variable);
    let timeout = section.duration("timeout");
    (!run.is_empty()).then_some(SecretCommand { run, timeout, environment })
}

fn variable(text: &str) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let good = text.bytes().next().is_some_and(first)
        && text.bytes().all(|b| first(b) || b.is_ascii_digit())
        && text.len() <= 255;
    // A value that was written here by mistake may be secret.
    good.then(|| text.to_owned()).ok_or_else(|| "this is no variable's name".to_owned())
}

fn vault(section: &Mapping<'_>, base: &Base) -> Option<VaultSecret> {
    let url = section.parse("url", value::url);
    if let Some(url) = &url {
        secure(section, "url", url);
        if !matches!(url.path(), "" | "/")
            && let Some(item) = section.item("url")
        {
            item.fault(
                format!("{} has a path; `mount` and `path` say what is read", shown(&url.to_string())),
                "the server alone",
            );
        }
    }
    let engine = match section.choice("engine") {
        Some("kv-v1") => VaultEngine::V1,
        _ => VaultEngine::V2,
    };
    let (mount, path) = (section.parse("mount", place), section.parse("path", place));
    let (field, token) = (section.text("field"), secret(section, "token", base));
    let namespace = section.parse("namespace", place);
    let ca_file = base.file(section, "ca_file");
    Some(VaultSecret {
        url: url?,
        engine,
        mount: mount?,
        path: path?,
        field: field?,
        token: token?,
        namespace,
        ca_file,
        timeout: section.duration("timeout"),
    })
}

/// A path in a vault: segments that stand in an URL as they are, and lead nowhere else.
fn place(text: &str) -> Result<String, String> {
    let path = value::text(text)?;
    let path = path.trim_matches('/');
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~@+".contains(&b);
    let segment = |part: &str| !part.is_empty() && part.bytes().all(fits) && part != "." && part != "..";
    match path.split('/').all(segment) {
        true => Ok(path.to_owned()),
        false => Err(format!(
            "{} is no path in a vault: segments of letters, digits and `-._~@+`, with `/` between them",
            shown(text)
        )),
    }
}

fn grant(section: &Mapping<'_>, base: &Base) -> Option<TokenGrant> {
    let url = section.parse("token_url", value::url);
    if let Some(url) = &url {
        secure(section, "token_url", url);
    }
    let client_auth = match section.choice("client_auth") {
        Some("post") => ClientAuth::Post,
        _ => ClientAuth::Basic,
    };
    let scopes = section.list("scopes", scope);
    let (resource, audience) = (section.text("resource"), section.text("audience"));
    let ca_file = base.file(section, "ca_file");
    Some(TokenGrant {
        url: url?,
        client_id: section.text("client_id")?,
        client_auth,
        scopes,
        resource,
        audience,
        ca_file,
        timeout: section.duration("timeout"),
    })
}

/// One scope (RFC 6749, section 3.3).
fn scope(text: &str) -> Result<String, String> {
    let scope = value::text(text)?;
    match scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        true => Ok(scope),
        false => Err(format!("{} is not one scope", shown(text))),
    }
}

/// Notes a URL where a secret would travel readable.
fn secure(section: &Mapping<'_>, key: &'static str, url: &Uri) {
    if url.scheme_str() == Some("http")
        && !url.host().is_some_and(value::is_loopback)
        && let Some(item) = section.item(key)
    {
        item.fault("secrets would travel over plain HTTP to another machine", "an `https` URL");
    }
}

fn rotation(section: &Mapping<'_>, base: &Base) -> Option<Rotation> {
    let command = section.section("command").and_then(|command| self::command(&command, base));
    let probe = match section.has("probe") {
        true => Some(section.parse("probe", probe)?),
        false => None,
    };
    Some(Rotation { command: command?, probe })
}

/// A path with a query, perhaps, as a request line has it.
fn probe(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'#';
    let whole = text.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == text);
    match text.starts_with('/') && text.len() <= MOST_PROBE && text.bytes().all(fits) && whole {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is no path below an upstream, as `/v1/models`", shown(text))),
    }
}
