//! Which identities are one person's, and who answers for a program: so that nobody consents to what they
//! ask themselves, whichever way they come in.
//!
//! A person is known by *marks*: the issuer and subject of a token, the name the configuration gives the
//! person, a verified e-mail address. Two identities with a mark in common are taken for one person. To see
//! one person where there are two only refuses more.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CallerKind, Identity};

/// What tells that somebody is a certain person.
pub type Marks = BTreeSet<String>;

/// Another name of a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alias {
    /// A subject of an issuer, by the issuer's URL, or under a name that no issuer has.
    Subject(String, String),
    /// An e-mail address that an issuer vouches for, without regard to case.
    Email(String),
}

impl Alias {
    /// The mark it leaves.
    fn mark(&self) -> String {
        match self {
            Self::Subject(issuer, subject) => format!("id:{issuer}#{subject}"),
            Self::Email(address) => format!("mail:{}", address.to_lowercase()),
        }
    }
}

/// How a program's token names who answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerClaim {
    /// The claim, as the issuer's configuration carries it.
    pub claim: String,
    /// Whose subject the claim names: an issuer's URL, or a name that `people` uses. None when it is an
    /// e-mail address.
    pub subject_of: Option<String>,
}

/// One person, as the configuration knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonAliases {
    /// Their names at issuers.
    pub aliases: BTreeSet<Alias>,
    /// The programs they answer for.
    pub owns: BTreeSet<Alias>,
}

/// Who is who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    persons: BTreeMap<String, PersonAliases>,
    /// By the issuer's URL.
    claims: BTreeMap<String, OwnerClaim>,
    by_mark: BTreeMap<String, BTreeSet<String>>,
    owners: BTreeMap<String, BTreeSet<String>>,
    /// Names that a claim's subject can be of.
    known: BTreeSet<String>,
}

impl People {
    /// Who is who by the configuration: persons by name, and by issuer's URL how its programs name their
    /// owners. `issuers` are the URLs at which people can sign in.
    pub fn new(
        persons: BTreeMap<String, PersonAliases>,
        claims: BTreeMap<String, OwnerClaim>,
        issuers: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut people = Self { persons, claims, known: issuers.into_iter().collect(), ..Self::default() };
        for (name, person) in &people.persons {
            for alias in &person.aliases {
                people.by_mark.entry(alias.mark()).or_default().insert(name.clone());
            }
            for program in &person.owns {
                people.owners.entry(program.mark()).or_default().insert(name.clone());
            }
        }
        people
    }

    /// The marks of somebody.
    pub fn marks(&self, issuer: &str, subject: &str, email: Option<&str>) -> Marks {
        let subject = Alias::Subject(issuer.to_owned(), subject.to_owned());
        let email = email.map(|email| Alias::Email(email.to_owned()));
        self.of(std::iter::once(subject).chain(email))
    }

    /// The marks of the bearer of a token.
    pub fn of_identity(&self, identity: &Identity) -> Marks {
        self.marks(&identity.issuer, &identity.subject, identity.email.as_deref())
    }

    /// The marks of everybody who asks when the bearer of this token does: the bearer, and who answers for
    /// it.
    pub fn behind(&self, identity: &Identity) -> Marks {
        let mut marks = self.of_identity(identity);
        marks.extend(self.owning(identity));
        marks
    }

    /// Who answers for a program, by a name for people to read. None for a person, and where nobody is
    /// known who could be told from an approver.
    pub fn owner(&self, identity: &Identity) -> Option<String> {
        if identity.kind != CallerKind::Workload {
            return None;
        }
        let marks = self.owning(identity);
        let named = marks.iter().find_map(|mark| mark.strip_prefix("person:"));
        let other = marks.iter().find_map(|mark| mark.split_once(':').map(|(_, name)| name));
        named.or(other).map(str::to_owned)
    }

    fn of(&self, aliases: impl IntoIterator<Item = Alias>) -> Marks {
        let mut marks = Marks::new();
        for mark in aliases.into_iter().map(|alias| alias.mark()) {
            let persons = self.by_mark.get(&mark).into_iter().flatten();
            marks.extend(persons.map(|name| format!("person:{name}")));
            marks.insert(mark);
        }
        marks
    }

    /// The marks of who answers for a program. Empty for a person.
    fn owning(&self, identity: &Identity) -> Marks {
        let mut marks = Marks::new();
        if identity.kind != CallerKind::Workload {
            return marks;
        }
        for mark in self.of_identity(identity) {
            let persons = self.owners.get(&mark).into_iter().flatten();
            marks.extend(persons.map(|name| format!("person:{name}")));
        }
        if let Some(claim) = self.claims.get(&identity.issuer)
            && let Some(text) = identity.token.claims.get(&claim.claim).filter(|text| !text.is_empty())
        {
            let alias = match &claim.subject_of {
                Some(of) => Alias::Subject(of.clone(), text.clone()),
                None => Alias::Email(text.clone()),
            };
            let named = self.of([alias]);
            // A name that leads to nobody who can sign in would hide its person.
            let leads = match &claim.subject_of {
                Some(of) => self.known.contains(of) || named.iter().any(|mark| mark.starts_with("person:")),
                None => text.contains('@'),
            };
            if leads {
                marks.extend(named);
            }
        }
        marks
    }
}

/// How many different persons these marks are of.
pub fn persons<'m>(all: impl IntoIterator<Item = &'m Marks>) -> usize {
    let mut known: Vec<Marks> = Vec::new();
    for marks in all {
        let (same, mut others): (Vec<Marks>, Vec<Marks>) =
            known.into_iter().partition(|other| !other.is_disjoint(marks));
        let mut joined = marks.clone();
        joined.extend(same.into_iter().flatten());
        others.push(joined);
        known = others;
    }
    known.len()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::TokenFacts;

    fn identity(issuer: &str, subject: &str, kind: CallerKind) -> Identity {
        Identity {
            issuer: issuer.to_owned(),
            issuer_name: "x".to_owned(),
            subject: subject.to_owned(),
            kind,
            groups: BTreeSet::new(),
            email: None,
            display: None,
            token: TokenFacts::ending(Timestamp::UNIX_EPOCH),
        }
    }

    const CORP: &str = "https://corp.example";
    const CI: &str = "https://ci.example";

    fn people() -> People {
        let subject = |issuer: &str, subject: &str| Alias::Subject(issuer.to_owned(), subject.to_owned());
        let ada = PersonAliases {
            aliases: [subject(CORP, "ada"), subject("github", "ada-l"), Alias::Email("Ada@x.test".into())]
                .into(),
            owns: [subject(CI, "nightly")].into(),
        };
        let claims = [(CI, OwnerClaim { claim: "actor".into(), subject_of: Some("github".into()) })];
        let claims = claims.map(|(issuer, claim)| (issuer.to_owned(), claim)).into();
        People::new([("ada".to_owned(), ada)].into(), claims, [CORP.to_owned(), CI.to_owned()])
    }

    #[test]
    fn a_person_is_one_at_every_issuer() {
        let people = people();
        let here = people.of_identity(&identity(CORP, "ada", CallerKind::Human));
        let mut there = identity("https://other.example", "17", CallerKind::Human);
        assert!(people.of_identity(&there).is_disjoint(&here));
        there.email = Some("ADA@X.test".to_owned());
        assert!(!people.of_identity(&there).is_disjoint(&here), "by her address");
        let bob = people.of_identity(&identity(CORP, "bob", CallerKind::Human));
        assert!(bob.is_disjoint(&here));
        assert_eq!(persons([&here, &bob, &people.of_identity(&there)]), 2);
    }

    #[test]
    fn who_answers_for_a_program_asks_with_it() {
        let people = people();
        let ada = people.of_identity(&identity(CORP, "ada", CallerKind::Human));
        let nightly = identity(CI, "nightly", CallerKind::Workload);
        assert!(!people.behind(&nightly).is_disjoint(&ada));
        assert_eq!(people.owner(&nightly).as_deref(), Some("ada"));
        let mut job = identity(CI, "job 4", CallerKind::Workload);
        assert_eq!(people.owner(&job), None);
        job.token.claims.insert("actor".into(), "ada-l".into());
        assert!(!people.behind(&job).is_disjoint(&ada), "by its claim");
        job.token.claims.insert("actor".into(), "stranger".into());
        assert_eq!(people.owner(&job), None, "a name that leads to nobody");
        assert!(people.behind(&job).is_disjoint(&ada));
        // Only programs have owners.
        assert_eq!(people.owner(&identity(CI, "nightly", CallerKind::Human)), None);
    }

    #[test]
    fn persons_that_a_third_one_joins_are_one() {
        let marks = |marks: &[&str]| marks.iter().map(|mark| (*mark).to_owned()).collect::<Marks>();
        let (a, b, both) = (marks(&["a"]), marks(&["b"]), marks(&["a", "b"]));
        assert_eq!(persons([&a, &b]), 2);
        assert_eq!(persons([&a, &b, &both]), 1);
        assert_eq!(persons([]), 0);
    }
}
