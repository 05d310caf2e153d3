//! From claims to an identity: person or program, groups, e-mail, and what policies may read besides.
//! The rules are the issuer's configuration; what the rules do not name decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use config::{ClaimRule, ClaimTest, GroupRule, IssuerKind};
use model::{CallerKind, GroupName, Identity, TokenFacts};
use serde_json::Value;

use crate::claims::Times;
use crate::error::quote;
use crate::inspect::Reading;
use crate::{AuthenticateError, Check};

/// The longest name of a group, in bytes.
const MAX_GROUP_BYTES: usize = 255;

/// The longest e-mail address (RFC 5321, section 4.5.3.1), in bytes.
const MAX_EMAIL_BYTES: usize = 320;

/// The longest carried claim, in bytes of text.
const MAX_CARRIED_BYTES: usize = 4096;

/// How one issuer's claims are read.
pub(crate) struct Mapping {
    kind: IssuerKind,
    groups: config::Groups,
    email: String,
    mfa: config::Mfa,
    carry: BTreeMap<String, String>,
}

/// Who a token is about, before its claims are mapped.
pub(crate) struct Bearer<'t> {
    pub(crate) issuer: &'t str,
    pub(crate) issuer_name: &'t str,
    pub(crate) subject: &'t str,
    pub(crate) digest: String,
    pub(crate) audiences: Vec<&'t str>,
    pub(crate) times: &'t Times,
}

impl Mapping {
    /// Takes the rules over once every pointer in them is one.
    pub(crate) fn compile(settings: &config::Issuer) -> Result<Self, String> {
        let groups = &settings.groups;
        let ruled = groups.from.iter().map(|rule| &rule.when.claim);
        let kinded = match &settings.kind {
            IssuerKind::WorkloadWhen(rule) | IssuerKind::HumanWhen(rule) => Some(&rule.claim),
            IssuerKind::Human | IssuerKind::Workload => None,
        };
        let pointers = groups.claims.iter().chain(ruled).chain(kinded).chain(settings.carry.values());
        for pointer in pointers.chain([&settings.email_claim]) {
            if !pointer.starts_with('/') {
                return Err(format!(
                    "`{pointer}` is no JSON pointer (RFC 6901): write `/groups`, `/realm_access/roles`"
                ));
            }
        }
        Ok(Self {
            kind: settings.kind.clone(),
            groups: groups.clone(),
            email: settings.email_claim.clone(),
            mfa: settings.mfa.clone(),
            carry: settings.carry.clone(),
        })
    }

    /// What the claims of a verified token say of its bearer.
    pub(crate) fn identity(
        &self,
        bearer: Bearer<'_>,
        claims: &Value,
        reading: &mut Reading,
    ) -> Result<Identity, AuthenticateError> {
        self.overage(claims)?;
        reading.pass(Check::Overage);
        let groups = self.groups(claims)?;
        reading.pass(Check::Groups);
        let carried = self.carried(claims)?;
        reading.pass(Check::Carried);
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let methods = words(claims.get("amr"));
        let context_class = text("acr").map(str::to_owned);
        Ok(Identity {
            issuer: bearer.issuer.to_owned(),
            issuer_name: bearer.issuer_name.to_owned(),
            subject: bearer.subject.to_owned(),
            kind: self.kind(claims),
            groups,
            email: self.email(claims).map(str::to_owned),
            display: ["name", "preferred_username", "upn"].into_iter().filter_map(text).find_map(display),
            token: TokenFacts {
                digest: bearer.digest,
                issued_at: bearer.times.issued_at,
                expires_at: bearer.times.expires_at,
                authenticated_at: bearer.times.authenticated_at,
                audiences: bearer.audiences.into_iter().map(str::to_owned).collect(),
                client: ["azp", "client_id", "cid", "appid"].into_iter().find_map(text).map(str::to_owned),
                mfa: methods.iter().any(|method| self.mfa.amr.contains(method))
                    || context_class.as_ref().is_some_and(|class| self.mfa.acr.contains(class)),
                methods,
                context_class,
                scopes: words(claims.get("scope")).into_iter().chain(words(claims.get("scp"))).collect(),
                claims: carried,
            },
        })
    }

    fn kind(&self, claims: &Value) -> CallerKind {
        match &self.kind {
            IssuerKind::Human => CallerKind::Human,
            IssuerKind::Workload => CallerKind::Workload,
            IssuerKind::WorkloadWhen(rule) if self.holds(rule, claims) => CallerKind::Workload,
            IssuerKind::WorkloadWhen(_) => CallerKind::Human,
            IssuerKind::HumanWhen(rule) if self.holds(rule, claims) => CallerKind::Human,
            IssuerKind::HumanWhen(_) => CallerKind::Workload,
        }
    }

    /// The claim at `pointer`. An e-mail address that the issuer does not vouch for is not there.
    fn claim<'c>(&self, pointer: &str, claims: &'c Value) -> Option<&'c Value> {
        let unvouched = (pointer == self.email || pointer == "/email") && !vouched(claims);
        claims.pointer(pointer).filter(|value| !value.is_null() && !unvouched)
    }

    fn email<'c>(&self, claims: &'c Value) -> Option<&'c str> {
        let email = self.claim(&self.email, claims)?.as_str()?;
        let (name, domain) = email.rsplit_once('@')?;
        let plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
        (plain && !name.is_empty() && !domain.is_empty() && email.len() <= MAX_EMAIL_BYTES).then_some(email)
    }

    fn holds(&self, rule: &ClaimRule, claims: &Value) -> bool {
        match self.claim(&rule.claim, claims) {
            None => false,
            Some(Value::Array(items)) => items.iter().any(|item| passes(&rule.test, item)),
            Some(value) => passes(&rule.test, value),
        }
    }

    /// Refuses tokens that say where groups could be asked for: read as they are, they would hold none.
    fn overage(&self, claims: &Value) -> Result<(), AuthenticateError> {
        let elsewhere =
            |name: &str| claims.get("_claim_names").is_some_and(|names| names.get(name).is_some());
        for name in self.group_members() {
            let flagged = name == "groups"
                && claims.get("hasgroups").is_some_and(|flag| *flag != Value::Bool(false) && flag != "false");
            if elsewhere(&name) || flagged {
                return Err(AuthenticateError::Overage(format!(
                    "the caller is in more groups than fit into a token, so `{name}` only says where to ask; let the \
                     issuer send fewer (in Entra: groups assigned to the application, or app roles)"
                )));
            }
        }
        Ok(())
    }

    /// Whether any of the claims that hold groups is there.
    pub(crate) fn has_groups(&self, claims: &Value) -> bool {
        self.groups.claims.iter().any(|pointer| self.claim(pointer, claims).is_some())
    }

    /// The members of the claims below which groups are looked for.
    pub(crate) fn group_members(&self) -> impl Iterator<Item = String> + '_ {
        let first = |pointer: &String| pointer.split('/').nth(1).unwrap_or_default().to_owned();
        self.groups.claims.iter().map(first).map(|name| name.replace("~1", "/").replace("~0", "~"))
    }

    /// The groups a token gives, after aliases, prefix and rules.
    pub(crate) fn groups(&self, claims: &Value) -> Result<BTreeSet<GroupName>, AuthenticateError> {
        let mut groups = BTreeSet::new();
        let mut found = false;
        for pointer in &self.groups.claims {
            let Some(value) = self.claim(pointer, claims) else { continue };
            found = true;
            let mut said = Vec::new();
            self.said(value, &mut said)
                .map_err(|why| AuthenticateError::Groups(format!("`{pointer}` {why}")))?;
            groups.extend(said);
        }
        if self.groups.required && !found {
            let looked = self.groups.claims.join("`, `");
            return Err(AuthenticateError::Groups(format!(
                "the token has none of the claims `{looked}`, and the issuer's configuration says `required: true`"
            )));
        }
        for GroupRule { when, groups: given } in &self.groups.from {
            if self.holds(when, claims) {
                groups.extend(given.iter().cloned());
            }
        }
        Ok(groups)
    }

    /// Where the groups of a token were read: the claims that are there, and those whose rules hold.
    pub(crate) fn sources(&self, claims: &Value) -> BTreeSet<String> {
        let read = self.groups.claims.iter().filter(|pointer| self.claim(pointer, claims).is_some());
        let ruled = self.groups.from.iter().filter(|rule| self.holds(&rule.when, claims));
        read.chain(ruled.map(|rule| &rule.when.claim)).cloned().collect()
    }

    /// The groups one claim says. What cannot be read refuses the token: a policy may forbid by the very
    /// group that was left out.
    fn said(&self, value: &Value, groups: &mut Vec<GroupName>) -> Result<(), String> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| match item {
                Value::String(text) => self.group(text).map(|group| groups.push(group)),
                item => self.said(item, groups),
            }),
            Value::Number(number) if !number.is_f64() => {
                self.group(&number.to_string()).map(|group| groups.push(group))
            }
            Value::String(text) if self.groups.aliases.contains_key(text) => {
                self.group(text).map(|group| groups.push(group))
            }
            Value::String(text) => joined(text).try_for_each(|word| {
                groups.push(self.group(word)?);
                Ok(())
            }),
            _ => Err(
                "holds something that is no group: groups are texts, in arrays or joined by commas or spaces"
                    .to_owned(),
            ),
        }
    }

    fn group(&self, said: &str) -> Result<GroupName, String> {
        if said.is_empty() || said.len() > MAX_GROUP_BYTES || said.chars().any(char::is_control) {
            return Err(format!(
                "holds {}, which can name no group: 1 to {MAX_GROUP_BYTES} bytes without control characters can",
                quote(said)
            ));
        }
        Ok(match (self.groups.aliases.get(said), &self.groups.prefix) {
            (Some(alias), _) => alias.clone(),
            (None, Some(prefix)) => format!("{prefix}{said}"),
            (None, None) => said.to_owned(),
        })
    }

    fn carried(&self, claims: &Value) -> Result<BTreeMap<String, String>, AuthenticateError> {
        let mut carried = BTreeMap::new();
        for (name, pointer) in &self.carry {
            let Some(value) = self.claim(pointer, claims) else { continue };
            let text = text(value);
            if text.len() > MAX_CARRIED_BYTES {
                return Err(AuthenticateError::Carried(format!(
                    "`{pointer}` is {} bytes long, at most {MAX_CARRIED_BYTES} are carried",
                    text.len()
                )));
            }
            carried.insert(name.clone(), text);
        }
        Ok(carried)
    }
}

/// Whether the issuer stands by the e-mail address (OpenID Connect Core 1.0, section 5.1). Many issuers
/// leave `email_verified` out; some write it as text.
fn vouched(claims: &Value) -> bool {
    match claims.get("email_verified") {
        None | Some(Value::Bool(true)) => true,
        Some(said) => said == "true",
    }
}

fn passes(test: &ClaimTest, value: &Value) -> bool {
    let text = text(value);
    match test {
        ClaimTest::Present => true,
        ClaimTest::Equals(wanted) => text == *wanted,
        ClaimTest::StartsWith(begin) => value.is_string() && text.starts_with(begin.as_str()),
        ClaimTest::EndsWith(end) => value.is_string() && text.ends_with(end.as_str()),
        ClaimTest::Domain(domain) => {
            value.is_string()
                && text.rsplit_once('@').is_some_and(|(_, said)| said.eq_ignore_ascii_case(domain))
        }
    }
}

/// A claim as text: text as it is, anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The members of a joined text: between commas or semicolons if it has any, else between spaces.
fn joined(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.contains([',', ';']);
    text.split(move |c: char| if marked { c == ',' || c == ';' } else { c.is_whitespace() })
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// Words of a claim that is one text joined by spaces, or an array of texts.
fn words(value: Option<&Value>) -> BTreeSet<String> {
    match value {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

fn display(name: &str) -> Option<String> {
    let fits = (1..=255).contains(&name.len()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
}
