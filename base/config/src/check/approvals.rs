//! Approvals, and who is who.

use std::collections::{BTreeMap, BTreeSet};

use model::{Alias, OwnerClaim, People, PersonAliases};

use super::{Base, public_url, tell};
use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{Approvals, Console, Issuer};
use crate::value;

pub(super) fn approvals(file: &Mapping<'_>, base: &Base, console: Option<&Console>) -> Option<Approvals> {
    let section = file.section("approvals")?;
    let url = match section.has("url") {
        true => Some(section.parse("url", public_url)?),
        false => console.map(|console| console.origin.clone()),
    };
    Some(Approvals {
        expires: section.duration("expires"),
        url,
        open: section.number("open"),
        open_per_caller: section.number("open_per_caller"),
        held: section.number("held"),
        held_per_caller: section.number("held_per_caller"),
        held_bytes: section.number("held_bytes"),
        held_bytes_per_caller: section.number("held_bytes_per_caller"),
        tell: tell::tell(&section, base)?,
    })
}

/// Who is who, and who answers for whom.
pub(super) fn people(file: &Mapping<'_>, issuers: &[Issuer]) -> People {
    let mut persons = BTreeMap::new();
    for (name, item) in file.named("people") {
        let Some(person) = item.section() else { continue };
        let aliases: BTreeSet<Alias> =
            person.list("identities", |text| alias(text, issuers)).into_iter().collect();
        let owns: BTreeSet<Alias> = person.list("owns", |text| program(text, issuers)).into_iter().collect();
        if aliases.is_empty() {
            person.fault("this person has no identity, so nobody can be told to be them", "`identities`");
        }
        persons.insert(name, PersonAliases { aliases, owns });
    }
    let mut claims = BTreeMap::new();
    let owners = file.section("approvals").map(|section| section.named("owners")).unwrap_or_default();
    for (name, item) in owners {
        let Some(section) = item.section() else { continue };
        let claim = section.text("claim");
        let subject_of = section.text("subject_of");
        let Some(issuer) = issuers.iter().find(|issuer| issuer.name == name) else {
            section.fault(format!("no issuer is called {}", shown(&name)), "a name from `issuers`");
            continue;
        };
        let Some(claim) = claim else { continue };
        if !issuer.carry.contains_key(&claim) {
            section.fault(
                format!("the issuer {} carries no claim {}", shown(&name), shown(&claim)),
                "a name from the issuer's `carry`",
            );
        }
        let subject_of = subject_of.map(|of| url(&of, issuers));
        claims.insert(issuer.issuer.clone(), OwnerClaim { claim, subject_of });
    }
    People::new(persons, claims, issuers.iter().map(|issuer| issuer.issuer.clone()))
}

/// The URL of an issuer, or the name itself where no issuer has it.
fn url(name: &str, issuers: &[Issuer]) -> String {
    let found = issuers.iter().find(|issuer| issuer.name == name);
    found.map_or_else(|| name.to_owned(), |issuer| issuer.issuer.clone())
}

fn alias(text: &str, issuers: &[Issuer]) -> Result<Alias, value::Wrong> {
    let text = value::text(text)?;
    match text.split_once('#') {
        Some((issuer, subject)) if !issuer.is_empty() && !subject.is_empty() => {
            Ok(Alias::Subject(url(issuer, issuers), subject.to_owned()))
        }
        None if text.contains('@') => Ok(Alias::Email(text)),
        _ => Err(format!("{} is no identity: `ISSUER#SUBJECT`, or an e-mail address", shown(&text))),
    }
}

fn program(text: &str, issuers: &[Issuer]) -> Result<Alias, value::Wrong> {
    let text = value::text(text)?;
    let named = text.split_once('#');
    let known = named.filter(|(name, _)| issuers.iter().any(|issuer| issuer.name == *name));
    match known {
        Some((issuer, subject)) if !subject.is_empty() => {
            Ok(Alias::Subject(url(issuer, issuers), subject.to_owned()))
        }
        _ => Err(format!("{} is no program: `ISSUER#SUBJECT`, with a name from `issuers`", shown(&text))),
    }
}
