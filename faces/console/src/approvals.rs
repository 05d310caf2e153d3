//! What waits for consent: the inbox, the page of one approval, and giving one's word on it.
//!
//! The consent is that of the session's person, whose identity an ID token proved at the last sign-in and
//! which is believed for no longer than that token holds: so each word stands on groups that the issuer named
//! at most `recheck` ago, on a standing that is asked at each request, and on the policies of the moment. A
//! session whose time is over decides nothing: it goes to the issuer first.

mod view;

use std::sync::Arc;

use approve::{Approval, Digest, Via};
use authenticate::Caller;
use authorize::{Denied, Docket, Permit, Surroundings};
use bytes::Bytes;
use desk::{Looker, Named, Only, Verb, Verdict};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use jiff::tz::TimeZone;
use model::{Act, Area, Code, Decision, Facts, Findings, Identity, Outcome, Refusal, Ruling};
use record::{Record, Sealing};

use crate::reply::{self, Answer};
use crate::serve::{Console, Scene, read_form, taken_apart};
use crate::sessions::Live;
use crate::visit::Deed;
use crate::{ConsoleError, guard, pages};

pub(crate) use view::{ApprovalView, InboxView};

/// Approvals in each part of the inbox.
const ROWS: usize = 50;
/// Below this all of it lies.
const ROOT: &str = "/approvals";
/// The longest reason that a form may hold, in letters.
pub(crate) const REASON: usize = 1000;

/// A page of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'p> {
    /// Everything.
    Inbox,
    /// One approval.
    One(&'p str),
    /// A word on it.
    Word(&'p str, Verb),
}

impl<'p> Place<'p> {
    /// The page that a path names, if it names one here.
    pub(crate) fn of(path: &'p str) -> Option<Self> {
        let below = path.strip_prefix(ROOT)?;
        let mut parts = below.split('/').skip(1);
        let place = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) if below.is_empty() => Self::Inbox,
            (Some(id), None, None) if !id.is_empty() => Self::One(id),
            (Some(id), Some("approve"), None) if !id.is_empty() => Self::Word(id, Verb::Approve),
            (Some(id), Some("deny"), None) if !id.is_empty() => Self::Word(id, Verb::Deny),
            _ => return None,
        };
        Some(place)
    }
}

/// Where an approval's page is.
pub(crate) fn page_of(id: &str) -> String {
    format!("{ROOT}/{id}")
}

/// What came of looking somebody's place up.
struct Judged {
    permit: Permit,
    /// Whether policy shows them everything that waits.
    all: bool,
}

impl Console {
    /// Answers a request to what waits.
    pub(crate) async fn approvals(
        &self,
        scene: &Scene<'_>,
        place: Place<'_>,
        body: Incoming,
    ) -> Result<Answer, ConsoleError> {
        let reads = matches!(scene.head.method, Method::GET | Method::HEAD);
        match (place, reads) {
            // Whoever comes back from the issuer with a form that was never sent.
            (Place::Word(id, _), true) => return onward(&format!("{}?again=1", page_of(id))),
            (Place::Word(..), false) if scene.head.method == Method::POST => {}
            (Place::Inbox | Place::One(_), true) => {}
            _ => return Err(Refusal::new(Code::MethodRefused).into()),
        }
        let (live, caller) = match self.known(scene).await? {
            Ok(known) => known,
            Err(answer) => return Ok(answer),
        };
        let form = match place {
            Place::Word(..) => {
                let form = read_form(body).await?;
                guard::form(&form, &live.form_token())?;
                form
            }
            Place::Inbox | Place::One(_) => Bytes::new(),
        };
        let _room = self.take_room()?;
        self.sessions.used(&live, &scene.config.session).await?;
        match place {
            Place::Inbox => self.inbox(scene, &live, caller).await,
            Place::One(id) => match self.desk().find(id).await? {
                Named::Found(approval) => self.one(scene, &live, caller, &approval).await,
                Named::Missing => self.missing(scene, caller).await,
            },
            Place::Word(id, verb) => match self.desk().find(id).await? {
                Named::Found(approval) => {
                    let word = Word::read(&form, verb)?;
                    Box::pin(self.word(scene, &live, caller, (&approval, word))).await
                }
                Named::Missing => self.missing(scene, caller).await,
            },
        }
    }

    /// Everything that waits and concerns the person, and what was decided of late.
    async fn inbox(&self, scene: &Scene<'_>, live: &Live, caller: Caller) -> Result<Answer, ConsoleError> {
        let identity = Arc::clone(caller.identity());
        // The page itself needs no policy: who has nothing to approve sees that. What was judged stands in it.
        let (all, decision) = match self.look(scene, caller, Docket::All) {
            Ok(judged) => (judged.all, judged.permit.decision().clone()),
            Err(denied) => (false, denied.decision().clone()),
        };
        let decision = Decision { ruling: Ruling::Allowed, ..decision };
        let looker = Looker { identity: Arc::clone(&identity), client: scene.visit.client.ip(), all };
        let query = guard::query(scene.head)?;
        let (open, closed) = (query.get("open").map(String::as_str), query.get("closed").map(String::as_str));
        let list = |state: Option<&str>| Only { state: state.map(str::to_owned), resource: None };
        let waiting = self.desk().list(&looker, &list(Some("waiting")), open, ROWS).await?;
        let settled = self.desk().settled(&looker, closed, ROWS).await?;
        let zone = zone(scene);
        let view = InboxView::new(&Person::of(live), (&waiting, &settled), self.ground.clock.now(), &zone);
        let page = pages::inbox(&view)?;
        let deed = self.deed(&identity, &decision, "console.approvals");
        Ok(scene.visit.say(&self.ground.ledger, deed, taken_apart(page).await).await?)
    }

    /// The page of one approval.
    async fn one(
        &self,
        scene: &Scene<'_>,
        live: &Live,
        caller: Caller,
        approval: &Approval,
    ) -> Result<Answer, ConsoleError> {
        let identity = Arc::clone(caller.identity());
        let judged = match self.look(scene, caller, desk::docket(approval)) {
            Ok(judged) => judged,
            Err(denied) => return self.denied(scene, &identity, &denied).await,
        };
        if judged.permit.approvals_needed() > 0 {
            let refusal = Refusal::new(Code::ApprovalRequired);
            return Ok(self.refused(scene, &refusal, Some(&identity)).await?);
        }
        let decision = judged.permit.decision().clone();
        let looker =
            Looker { identity: Arc::clone(&identity), client: scene.visit.client.ip(), all: judged.all };
        let query = guard::query(scene.head)?;
        let note = query
            .contains_key("again")
            .then_some("Your sign-in was renewed on the way, so nothing was decided. Look, and decide now.");
        let page = self.page(scene, live, (&looker, approval), (StatusCode::OK, note)).await?;
        let deed = self.deed(&identity, &decision, "console.approval");
        Ok(scene.visit.say(&self.ground.ledger, deed, taken_apart(page).await).await?)
    }

    /// The page, filled.
    async fn page(
        &self,
        scene: &Scene<'_>,
        live: &Live,
        (looker, approval): (&Looker, &Approval),
        (status, note): (StatusCode, Option<&str>),
    ) -> Result<Answer, ConsoleError> {
        let rules = Arc::clone(&scene.view.rules);
        let Some(whole) = self.desk().whole(looker, approval, rules).await else {
            return Err(nothing().into());
        };
        let view = ApprovalView::new(&Person::of(live), whole, self.ground.clock.now(), &zone(scene), note);
        pages::approval(status, &view)
    }

    /// Somebody's word: judged and recorded, then given.
    async fn word(
        &self,
        scene: &Scene<'_>,
        live: &Live,
        caller: Caller,
        (approval, word): (&Approval, Word),
    ) -> Result<Answer, ConsoleError> {
        let identity = Arc::clone(caller.identity());
        let surroundings = Surroundings { client: scene.visit.client.ip() };
        let decided = self.desk().judge(caller, approval, word.verb, surroundings);
        let permit = match decided {
            Ok(permit) => permit,
            Err(denied) => return self.denied(scene, &identity, &denied).await,
        };
        let decision = permit.decision().clone();
        let deed = Deed { act: Act::Approve, ..self.deed(&identity, &decision, word.name()) };
        let mut record = scene.visit.open(&self.ground.ledger, &deed).await?;
        let looker = Looker { identity: Arc::clone(&identity), client: scene.visit.client.ip(), all: false };
        let given = match approve::clear(permit, &record) {
            Ok(cleared) => self.desk().decide(&looker, approval, word.verdict(), &cleared).await,
            Err(refusal) => Err(refusal),
        };
        // The page that is read next says how it stands.
        let (page, outcome, refusal) = match given {
            Ok(given) => (onward(&page_of(&given.id.to_string())), Outcome::Completed, None),
            Err(refusal) => {
                let now = self.desk().find(&approval.id.to_string()).await?;
                let now = match &now {
                    Named::Found(now) => now,
                    Named::Missing => approval,
                };
                let status = refusal.code.status();
                let page = self.page(scene, live, (&looker, now), (status, Some(&refusal.reason))).await;
                (page, Outcome::Refused, Some(refusal))
            }
        };
        let said = match page {
            Ok(page) => taken_apart(page).await,
            Err(fault) => {
                let page = pages::refused(&fault.refusal(), &scene.visit.exchange.to_string())?;
                taken_apart(page).await
            }
        };
        let answer = scene.visit.give(&mut record, said).await?;
        seal(record, outcome, refusal.as_ref()).await?;
        Ok(answer)
    }

    /// What is not there is told to whoever could see something, and denied to all others as if it were.
    async fn missing(&self, scene: &Scene<'_>, caller: Caller) -> Result<Answer, ConsoleError> {
        let identity = Arc::clone(caller.identity());
        match self.look(scene, caller, Docket::All) {
            Ok(_) => Ok(self.refused(scene, &nothing(), Some(&identity)).await?),
            Err(denied) => self.denied(scene, &identity, &denied).await,
        }
    }

    fn look(&self, scene: &Scene<'_>, caller: Caller, docket: Docket<'_>) -> Result<Judged, Denied> {
        let facts = Facts::plain(scene.head.method.as_str(), scene.head.uri.path());
        let surroundings = Surroundings { client: scene.visit.client.ip() };
        let (permit, all) = self.ground.authorizer.decide_docket(caller, docket, &facts, surroundings)?;
        Ok(Judged { permit, all })
    }

    /// Tells a person that policy says no, and records what it said.
    async fn denied(
        &self,
        scene: &Scene<'_>,
        identity: &Identity,
        denied: &Denied,
    ) -> Result<Answer, ConsoleError> {
        let refusal = denied.refusal();
        let page = pages::refused(&refusal, &scene.visit.exchange.to_string())?;
        let (outcome, decision) = (Outcome::Refused, denied.decision().clone());
        let deed =
            Deed { outcome, refusal: Some(&refusal), ..self.deed(identity, &decision, "console.approval") };
        Ok(scene.visit.say(&self.ground.ledger, deed, taken_apart(page).await).await?)
    }

    fn deed<'d>(&self, identity: &'d Identity, decision: &'d Decision, name: &'static str) -> Deed<'d> {
        Deed {
            identity,
            act: Act::View,
            area: Area::Approvals,
            name,
            decision,
            outcome: Outcome::Completed,
            refusal: None,
        }
    }
}

/// Whose page it is, for its frame.
pub(crate) struct Person {
    pub(crate) name: String,
    /// For the forms.
    pub(crate) token: String,
}

impl Person {
    pub(crate) fn of(live: &Live) -> Self {
        let identity = &live.kept.signed_in.identity;
        let name = identity.display.as_ref().or(identity.email.as_ref()).unwrap_or(&identity.subject);
        Self { name: name.clone(), token: live.form_token() }
    }
}

/// A word as a form holds it.
struct Word {
    verb: Verb,
    reason: String,
    digest: Option<Digest>,
}

impl Word {
    /// Reads a form whose token is checked.
    fn read(form: &[u8], verb: Verb) -> Result<Self, Refusal> {
        let mut word = Self { verb, reason: String::new(), digest: None };
        for (name, value) in form_urlencoded::parse(form) {
            match &*name {
                // Browsers send a text's line ends as CR LF.
                "reason" => word.reason = value.replace("\r\n", "\n"),
                "digest" => word.digest = Digest::parse(&value),
                _ => {}
            }
        }
        // The page is of one request, and so is the word.
        if word.digest.is_none() {
            return Err(Refusal::new(Code::RequestMalformed)
                .because("The form does not say what it is about. Read the page anew, and try again."));
        }
        Ok(word)
    }

    fn name(&self) -> &'static str {
        match self.verb {
            Verb::Approve => "console.approve",
            Verb::Deny => "console.deny",
        }
    }

    fn verdict(&self) -> Verdict<'_> {
        Verdict { verb: self.verb, reason: &self.reason, digest: self.digest, via: Via::Page }
    }
}

fn zone(scene: &Scene<'_>) -> TimeZone {
    TimeZone::get(&scene.view.config.policies.timezone).unwrap_or(TimeZone::UTC)
}

fn nothing() -> Refusal {
    Refusal::new(Code::NotFound)
        .because("No approval has this address. What was decided can be looked at for a week.")
}

fn onward(place: &str) -> Result<Answer, ConsoleError> {
    let headers = reply::onward(place).ok_or(ConsoleError::Machine)?;
    Ok(reply::answer(StatusCode::SEE_OTHER, headers, Bytes::new()))
}

async fn seal(record: Record, outcome: Outcome, refusal: Option<&Refusal>) -> Result<(), ConsoleError> {
    let findings = Findings::default();
    Ok(record.seal(Sealing { outcome, refusal, usage: None, findings: &findings }).await?)
}
