//! Issuers.

use super::{Base, asked, by_name, login};
use crate::fault::shown;
use crate::reader::{Mapping, WordOr};
use crate::usable::{ClaimRule, ClaimTest, GroupRule, Groups, Issuer, IssuerKind, Mfa};
use crate::value;

pub(super) fn issuers(file: &Mapping<'_>, base: &Base) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    let named = file.named("issuers");
    if let Some(item) = file.item("issuers")
        && item.is_empty()
    {
        item.fault("no issuer is here, so nobody could be let in", "at least one");
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    for (name, item) in named {
        let Some(section) = item.section() else { continue };
        if let Some(url) = section.parse("issuer", value::url).map(|url| url.to_string()) {
            if let Some((other, _)) = seen.iter().find(|(_, other)| *other == url) {
                section.fault(
                    format!("{} has this issuer already", shown(other)),
                    "each issuer once, with all its audiences",
                );
            }
            seen.push((name.clone(), url));
        }
        issuers.extend(issuer(name, &section, base));
    }
    asked::told_apart(file, &issuers);
    issuers
}

fn issuer(name: String, section: &Mapping<'_>, base: &Base) -> Option<Issuer> {
    let urls = ["issuer", "discovery", "jwks"].map(|key| url(section, key));
    if section.has("discovery") && section.has("jwks") {
        section.fault("`discovery` and `jwks` exclude each other", "one of the two");
    }
    let introspection = asked::introspection(section, base);
    let userinfo = asked::userinfo(section);
    let also_plain = introspection.as_ref().is_some_and(|(_, plain)| *plain)
        || userinfo.as_ref().is_some_and(|(_, plain)| *plain);
    let allow_http = also_plain || urls.iter().flatten().any(|(_, plain)| *plain);
    let [issuer, discovery, jwks] = urls.map(|url| url.map(|(url, _)| url));
    let issuer_kind = kind(section);
    let groups = section.section("groups").and_then(|groups| self::groups(&groups));
    let mfa = section
        .section("mfa")
        .map(|mfa| Mfa { amr: mfa.list("amr", value::text), acr: mfa.list("acr", value::text) });
    let email_claim = section.parse("email_claim", value::pointer);
    let audiences = section.list("audiences", value::text);
    let algorithms = section.list("algorithms", value::algorithm);
    let token_types = section.list("token_types", value::text);
    let carry = by_name(section, "carry", value::pointer);
    let max_token_age = section.has("max_token_age").then(|| section.duration("max_token_age"));
    let login = section.section("login").map(|section| login::login(&section, &audiences));
    Some(Issuer {
        login: login.flatten(),
        audiences,
        algorithms,
        token_types,
        carry,
        skew: section.duration("skew"),
        max_token_age,
        stale_keys: section.duration("stale_keys"),
        introspection: introspection.map(|(introspection, _)| introspection),
        userinfo: userinfo.map(|(userinfo, _)| userinfo),
        backchannel_logout: asked::backchannel_logout(section),
        ca_file: base.file(section, "ca_file"),
        kind: issuer_kind?,
        groups: groups?,
        email_claim: email_claim?,
        mfa: mfa?,
        name,
        issuer: issuer?,
        discovery,
        jwks,
        allow_http,
    })
}

/// An URL of an issuer as it is written, and whether it is plain HTTP.
pub(super) fn url(section: &Mapping<'_>, key: &'static str) -> Option<(String, bool)> {
    let url = |text: &str| {
        let uri = if key == "issuer" { value::url(text) } else { value::link(text) }?;
        let plain = uri.scheme_str() == Some("http");
        if plain && !uri.host().is_some_and(value::is_loopback) {
            let why = "who controls the network could put in keys of their own";
            return Err(format!("this URL is plain HTTP: {why}; use `https`"));
        }
        Ok((text.to_owned(), plain))
    };
    section.parse(key, url)
}

fn kind(section: &Mapping<'_>) -> Option<IssuerKind> {
    let rules = match section.item("kind")?.word_or_section()? {
        WordOr::Word("workload") => return Some(IssuerKind::Workload),
        WordOr::Word(_) => return Some(IssuerKind::Human),
        WordOr::Section(rules) => rules,
    };
    match (rules.section("workload_when"), rules.section("human_when")) {
        (Some(rule), None) => Some(IssuerKind::WorkloadWhen(claim_rule(&rule)?)),
        (None, Some(rule)) => Some(IssuerKind::HumanWhen(claim_rule(&rule)?)),
        _ => {
            rules.fault("one rule tells people from programs", "`workload_when` or `human_when`");
            None
        }
    }
}

fn claim_rule(rule: &Mapping<'_>) -> Option<ClaimRule> {
    let claim = rule.parse("claim", value::pointer);
    let written: Vec<&'static str> = ["equals", "starts_with", "ends_with", "domain", "present"]
        .into_iter()
        .filter(|test| rule.has(test))
        .collect();
    let &[key] = written.as_slice() else {
        rule.fault(
            if written.is_empty() { "no test is here" } else { "several tests are here" },
            "one of `equals`, `starts_with`, `ends_with`, `domain`, `present: true`",
        );
        return None;
    };
    let test = match key {
        "equals" => ClaimTest::Equals(rule.text(key)?),
        "starts_with" => ClaimTest::StartsWith(rule.text(key)?),
        "ends_with" => ClaimTest::EndsWith(rule.text(key)?),
        "domain" => ClaimTest::Domain(rule.parse(key, value::domain)?),
        _ => {
            let item = rule.item(key)?;
            if !item.flag()? {
                item.fault("`present: false` is no test", "`present: true`");
            }
            ClaimTest::Present
        }
    };
    Some(ClaimRule { claim: claim?, test })
}

fn groups(section: &Mapping<'_>) -> Option<Groups> {
    let from = section.many("from");
    let from = from.iter().filter_map(|item| {
        let rule = item.section()?;
        let groups = rule.list("groups", value::text);
        Some(GroupRule { when: claim_rule(&rule)?, groups })
    });
    let from = from.collect();
    let claims = section.list("claims", value::pointer);
    let required = section.flag("required");
    if required && claims.is_empty() {
        section.fault("groups are required, but no claim is named that holds them", "`claims`");
    }
    Some(Groups {
        claims,
        required,
        aliases: by_name(section, "aliases", value::text),
        prefix: section.text("prefix"),
        from,
    })
}
