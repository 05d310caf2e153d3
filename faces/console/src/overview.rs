//! What the one page says: who you are, what you may use, what is shown to you, what you asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use authenticate::{Caller, SignedIn};
use authorize::{Object, Person, Surroundings, Target};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::{Act, Area, Class, DataClass, Decision, Facts, Identity, Outcome, Ruling};
use record::{Cursor, Listed, Reader};

use crate::reply::Answer;
use crate::serve::{Console, Scene, taken_apart};
use crate::sessions::Live;
use crate::visit::Deed;
use crate::{ConsoleError, guard, pages};

/// Exchanges on one page.
const ROWS: usize = 20;
/// The name by which a look at this page is recorded.
const NAME: &str = "console.overview";

/// Everything the page says.
pub(crate) struct Overview {
    pub(crate) person: PersonView,
    pub(crate) session: SessionView,
    pub(crate) resources: Vec<ResourceView>,
    pub(crate) recent: Recent,
    pub(crate) zone: String,
    /// For the sign-out form.
    pub(crate) token: String,
}

/// Who it is.
pub(crate) struct PersonView {
    /// What to call them.
    pub(crate) name: String,
    pub(crate) initial: String,
    pub(crate) email: Option<String>,
    pub(crate) issuer_name: String,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) groups: Vec<String>,
    pub(crate) groups_from: Vec<String>,
    pub(crate) from_userinfo: bool,
    /// What the issuer says of the login: methods and class.
    pub(crate) login: Vec<String>,
    pub(crate) mfa: bool,
}

/// When the session does what.
pub(crate) struct SessionView {
    pub(crate) began: When,
    pub(crate) renewed: When,
    pub(crate) ends: When,
}

/// What may be done on one resource.
pub(crate) struct ResourceView {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) address: String,
    pub(crate) classes: Vec<Chip>,
    pub(crate) models: Vec<ModelView>,
    pub(crate) reveals: Vec<Family>,
}

/// One model that policies treat otherwise than the resource.
pub(crate) struct ModelView {
    pub(crate) name: String,
    pub(crate) classes: Vec<Chip>,
}

/// One class of operation.
pub(crate) struct Chip {
    pub(crate) name: &'static str,
    pub(crate) risky: bool,
    /// How many humans must consent.
    pub(crate) approvals: u8,
}

/// Data classes that lie in one class.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

/// The person's own exchanges.
pub(crate) enum Recent {
    /// As recorded, newest first.
    Shown {
        rows: Vec<Row>,
        /// The way to older ones.
        older: Option<String>,
        /// Whether these are not the newest.
        further: bool,
    },
    /// Policy does not show them.
    Hidden(String),
    /// The record cannot be read just now.
    Unread,
}

/// One exchange.
pub(crate) struct Row {
    pub(crate) at: When,
    pub(crate) id: String,
    pub(crate) resource: String,
    pub(crate) model: Option<String>,
    pub(crate) operation: String,
    pub(crate) decision: Mark,
    pub(crate) outcome: Mark,
    pub(crate) policies: String,
    pub(crate) took: String,
    pub(crate) masked: u64,
}

/// A word with a colour of its own.
pub(crate) struct Mark {
    pub(crate) word: String,
    /// `good`, `wait`, `bad` or `plain`.
    pub(crate) tone: &'static str,
}

/// A time for machines and for people.
pub(crate) struct When {
    pub(crate) exact: String,
    pub(crate) day: String,
    pub(crate) time: String,
}

impl When {
    pub(crate) fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let local = at.to_zoned(zone.clone());
        Self {
            exact: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            day: local.strftime("%-d %b %Y").to_string(),
            time: local.strftime("%H:%M:%S").to_string(),
        }
    }
}

impl Console {
    /// The page for a caller, recorded.
    pub(crate) async fn overview(
        &self,
        scene: &Scene<'_>,
        live: &Live,
        caller: Caller,
    ) -> Result<Answer, ConsoleError> {
        let query = guard::query(scene.head)?;
        let before = query.get("before").and_then(|text| Cursor::parse(text));
        let identity = Arc::clone(caller.identity());
        let surroundings = Surroundings { client: scene.visit.client.ip() };
        let (decision, recent) = self.recent(caller, scene, before, surroundings).await;
        let zone = TimeZone::get(&scene.view.config.policies.timezone).unwrap_or(TimeZone::UTC);
        let signed_in = &live.kept.signed_in;
        let overview = Overview {
            person: person(signed_in),
            session: SessionView {
                began: When::new(live.kept.began, &zone),
                renewed: When::new(signed_in.believed_until, &zone),
                ends: When::new(live.ends(&scene.config.session), &zone),
            },
            resources: self.resources(scene, &identity, surroundings),
            recent: recent.map_or(Recent::Unread, |recent| recent.view(&zone)),
            zone: scene.view.config.policies.timezone.clone(),
            token: live.form_token(),
        };
        let page = pages::overview(&overview)?;
        let deed = Deed {
            identity: &identity,
            act: Act::View,
            area: Area::Sessions,
            name: NAME,
            decision: &decision,
            outcome: Outcome::Completed,
            refusal: None,
        };
        Ok(scene.visit.say(&self.ground.ledger, deed, taken_apart(page).await).await?)
    }

    /// The caller's own exchanges, if policy shows them, and what policy said. The page itself needs no
    /// policy, so the decision is to allow it; what was judged stands in it.
    async fn recent(
        &self,
        caller: Caller,
        scene: &Scene<'_>,
        before: Option<Cursor>,
        surroundings: Surroundings,
    ) -> (Decision, Option<Found>) {
        let identity = Arc::clone(caller.identity());
        let own = Object::Session {
            id: "list".to_owned(),
            resource: None,
            model: None,
            caller: Some(Person::of(&identity)),
        };
        let facts = Facts::plain("GET", scene.head.uri.path());
        let decided = self.ground.authorizer.decide_act(caller, Act::View, &own, &facts, surroundings);
        let allowed = |decision: &Decision| Decision { ruling: Ruling::Allowed, ..decision.clone() };
        match decided {
            Ok(permit) if permit.approvals_needed() == 0 => {
                let found = self.own_exchanges(&identity, before).await;
                let found =
                    found.inspect_err(|fault| tracing::warn!(%fault, "the record cannot be read")).ok();
                (allowed(permit.decision()), found)
            }
            Ok(permit) => {
                let why = "Policy shows you your own record only with approval.".to_owned();
                (allowed(permit.decision()), Some(Found::Hidden(why)))
            }
            Err(denied) => (allowed(denied.decision()), Some(Found::Hidden(denied.refusal().reason))),
        }
    }

    async fn own_exchanges(
        &self,
        identity: &Identity,
        before: Option<Cursor>,
    ) -> Result<Found, record::LedgerError> {
        let reader = Reader::open(&self.ground.ledger_dir).await?;
        // Looks at this page are recorded too; they would soon be all there is to see.
        let page = reader.own(identity, NAME, before.as_ref(), ROWS).await?;
        Ok(Found::Page { exchanges: page.exchanges, next: page.next, further: before.is_some() })
    }

    fn resources(
        &self,
        scene: &Scene<'_>,
        identity: &Arc<Identity>,
        surroundings: Surroundings,
    ) -> Vec<ResourceView> {
        let classes = scene.view.rules.classes();
        let told = scene.view.config.resources.iter().filter_map(|resource| {
            let kind = resource.kind.as_str();
            let target = Target { name: resource.name.clone(), kind };
            let outlook = self.ground.authorizer.outlook(identity, &target, classes, surroundings);
            (!outlook.is_empty()).then(|| ResourceView {
                name: resource.name.to_string(),
                kind,
                address: resource.hosts.first().cloned().unwrap_or_else(|| format!("/{}", resource.name)),
                classes: chips(&outlook.classes),
                models: outlook
                    .models
                    .iter()
                    .map(|(name, classes)| ModelView { name: name.clone(), classes: chips(classes) })
                    .collect(),
                reveals: families(&outlook.reveals),
            })
        });
        told.collect()
    }
}

/// What was found of the caller's exchanges.
enum Found {
    Page { exchanges: Vec<Listed>, next: Option<Cursor>, further: bool },
    Hidden(String),
}

impl Found {
    fn view(self, zone: &TimeZone) -> Recent {
        match self {
            Self::Page { exchanges, next, further } => Recent::Shown {
                rows: exchanges.into_iter().map(|listed| row(listed, zone)).collect(),
                older: next.map(|next| format!("/?before={next}")),
                further,
            },
            Self::Hidden(why) => Recent::Hidden(why),
        }
    }
}

fn person(signed_in: &SignedIn) -> PersonView {
    let identity = &*signed_in.identity;
    let name = identity.display.as_ref().or(identity.email.as_ref()).unwrap_or(&identity.subject).clone();
    let token = &identity.token;
    PersonView {
        initial: name.chars().next().map(|c| c.to_uppercase().collect()).unwrap_or_default(),
        name,
        email: identity.email.clone(),
        issuer_name: identity.issuer_name.clone(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        groups: identity.groups.iter().cloned().collect(),
        groups_from: signed_in.groups_from.iter().cloned().collect(),
        from_userinfo: signed_in.from_userinfo,
        login: token.methods.iter().chain(&token.context_class).cloned().collect(),
        mfa: token.mfa,
    }
}

fn chips(classes: &[(Class, Ruling)]) -> Vec<Chip> {
    let chip = |(class, ruling): &(Class, Ruling)| Chip {
        name: class.as_str(),
        risky: class.is_high_risk(),
        approvals: match ruling {
            Ruling::NeedsApprovals(count) => *count,
            Ruling::Allowed | Ruling::Denied => 0,
        },
    };
    classes.iter().map(chip).collect()
}

/// Classes under the first word of their names.
fn families(classes: &[DataClass]) -> Vec<Family> {
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for class in classes {
        let (family, member) = class.as_str().split_once('.').unwrap_or((class.as_str(), ""));
        let members = families.entry(family.to_owned()).or_default();
        if !member.is_empty() && !members.iter().any(|known| known == member) {
            members.push(member.to_owned());
        }
    }
    families.into_iter().map(|(name, members)| Family { name, members }).collect()
}

fn row(listed: Listed, zone: &TimeZone) -> Row {
    let decision = match listed.ruling.as_deref() {
        Some("allowed") => Mark { word: "allowed".to_owned(), tone: "good" },
        Some("denied") => Mark { word: "denied".to_owned(), tone: "bad" },
        Some(other) => Mark { word: other.replace('-', " "), tone: "wait" },
        None => Mark { word: "not judged".to_owned(), tone: "plain" },
    };
    let outcome = match (listed.outcome.as_deref(), listed.code.as_deref()) {
        (None, _) => Mark { word: "under way".to_owned(), tone: "wait" },
        (Some("completed"), _) => Mark { word: "completed".to_owned(), tone: "plain" },
        (Some(_), Some(code)) => Mark { word: code.replace('_', " "), tone: "bad" },
        (Some(outcome), None) => Mark { word: outcome.replace('-', " "), tone: "wait" },
    };
    let operation = if listed.operations.is_empty() {
        listed.method.clone().unwrap_or_default()
    } else {
        listed.operations.join(", ")
    };
    let resource = listed.resource.unwrap_or_else(|| "—".to_owned());
    // Acts on Portcullis itself are recorded under the area they are in.
    let (resource, model) = match resource.strip_prefix("api/") {
        Some(area) => ("Portcullis".to_owned(), Some(area.to_owned())),
        None => (resource, listed.model.filter(|model| !model.is_empty())),
    };
    Row {
        at: When::new(listed.arrived, zone),
        id: listed.exchange.to_string(),
        resource,
        model,
        operation,
        decision,
        outcome,
        policies: listed.policies.join(", "),
        took: listed.total.map(took).unwrap_or_default(),
        masked: listed.masked.iter().map(|(_, count)| count).sum(),
    }
}

/// A length of time as people say it.
fn took(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds / 1_000_000;
    match milliseconds {
        0 => "under 1 ms".to_owned(),
        1..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests;
