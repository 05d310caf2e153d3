//! Sessions: what was recorded, masked again for whoever reads it.

mod export;
mod follow;
mod listed;
mod played;
mod schemas;

use authorize::{Object, Person};
use http::Method;
use model::{Act, Area, Code, Identity, Outcome, Refusal};

use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::recall::{self, Recall};
use crate::table::{CURSOR, Call, Kind, LIMIT, Param, Route, Shape};
use crate::{Admin, views};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    List,
    Search,
    Grouped,
    Export,
    FollowNext,
    Show,
    Replay,
    Follow,
    Why,
}

impl Sessions {
    /// Whether it is asked of many at once.
    fn is_of_many(self) -> bool {
        matches!(self, Self::List | Self::Search | Self::Grouped | Self::Export | Self::FollowNext)
    }
}

const ONE: &str = "the `Session`, which is in `Area::\"sessions\"`, its resource and its model";

const MANY: &str = "`Session::\"list\"`, in `Area::\"sessions\"` and, as far as it is narrowed, in a resource and of a \
                    caller";
const MANY_EACH: &str = "`Session::\"list\"`, as `sessions.list` is, and then on each `Session`: what you may not replay is \
                         left out";

/// One parameter of a list of exchanges, by its name and meaning.
const fn text(name: &'static str, doc: &'static str) -> Param {
    Param { name, shape: Shape::Text, doc }
}

const CALLER: Param = text(
    "caller",
    "Only this caller's: `issuer#subject`, `me`, a subject or an e-mail address. Only the first two narrow the list for a \
     policy.",
);
const GROUP: Param = text("group", "Only of callers who were in this group.");
const RESOURCE: Param = text("resource", "Only on this resource.");
const SINCE: Param = Param { name: "since", shape: Shape::Time, doc: "Arrived at this time or later." };
const UNTIL: Param = Param { name: "until", shape: Shape::Time, doc: "Arrived before this time." };

/// What narrows exchanges, as `record::Filter` has it; `text` comes last.
const FILTERS: &[Param; 14] = &[
    LIMIT,
    CURSOR,
    CALLER,
    GROUP,
    RESOURCE,
    SINCE,
    UNTIL,
    text("session", "Only of this session, as `s-…`."),
    text("model", "Only for this model."),
    text("class", "Only with an operation or act of this class."),
    Param {
        name: "ruling",
        shape: Shape::Word(&["allowed", "needs-approvals", "denied"]),
        doc: "Only with this ruling.",
    },
    Param {
        name: "outcome",
        shape: Shape::Word(&OUTCOMES),
        doc: "Only with this outcome, or running still.",
    },
    text(
        "masked",
        "Only where a value of this data class was masked, or of one in it, in request or answer.",
    ),
    text("revealed", "Only where a value of this data class was let through, or of one in it."),
];

const SEARCH: &[Param] = &with_text();

const fn with_text() -> [Param; 15] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = *FILTERS;
    let words = "Only where these words were said in request or answer; words in quotes are a phrase.";
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, text("text", words)]
}

const GROUPED: &[Param] = &[LIMIT, CURSOR, CALLER, GROUP, RESOURCE, SINCE, UNTIL];

const OUTCOMES: [&str; 7] =
    ["completed", "refused", "caller-gone", "upstream-lost", "cut", "interrupted", "running"];
// The words stand above because a table can't call; this holds them to the vocabulary.
const _: () = assert!(OUTCOMES.len() == Outcome::ALL.len() + 1);

/// A call that reads.
const fn read(
    (path, name, call): (&'static str, &'static str, Sessions),
    (act, on): (Act, &'static str),
    summary: &'static str,
    answer: Kind,
    (query, faults): (&'static [Param], &'static [Code]),
) -> Route {
    Route {
        method: Method::GET,
        path,
        name,
        call: Call::Sessions(call),
        area: Area::Sessions,
        act,
        on,
        summary,
        query,
        body: None,
        answer,
        faults,
        keeps_bodies: false,
    }
}

pub(crate) const ROUTES: &[Route] = &[
    read(
        ("/sessions", "sessions.list", Sessions::List),
        (Act::View, MANY),
        "List exchanges, the last recorded first, without what was said in them.",
        Kind::Json("SessionList"),
        (FILTERS, &[]),
    ),
    read(
        ("/sessions/search", "sessions.search", Sessions::Search),
        (Act::Replay, MANY_EACH),
        "List exchanges by words that were said in them, where words are indexed.",
        Kind::Json("SessionList"),
        (SEARCH, &[Code::NotSupported]),
    ),
    read(
        ("/sessions/grouped", "sessions.grouped", Sessions::Grouped),
        (Act::View, MANY),
        "List sessions: exchanges of one caller on one resource that belong together. Filters are of the first.",
        Kind::Json("GroupedList"),
        (GROUPED, &[]),
    ),
    read(
        ("/sessions/export", "sessions.export", Sessions::Export),
        (Act::Replay, MANY_EACH),
        "Everything recorded of exchanges, each a line, masked again by what you may see. `limit` does not bound it.",
        Kind::Lines("Session"),
        (SEARCH, &[]),
    ),
    read(
        ("/sessions/follow", "sessions.follow_next", Sessions::FollowNext),
        (Act::Replay, MANY_EACH),
        "Follow the newest exchange that fits and runs, or wait for one.",
        Kind::Lines("Frame"),
        (FILTERS, &[]),
    ),
    read(
        ("/sessions/{session}", "sessions.show", Sessions::Show),
        (Act::Replay, ONE),
        "Show everything recorded of one exchange, masked again by what you may see.",
        Kind::Json("Session"),
        (&[], &[Code::NotFound]),
    ),
    read(
        ("/sessions/{session}/replay", "sessions.replay", Sessions::Replay),
        (Act::Replay, ONE),
        "The recorded answer, piece by piece with its times, masked again by what you may see.",
        Kind::Lines("Frame"),
        (&[], &[Code::NotFound, Code::RecordingSealed]),
    ),
    read(
        ("/sessions/{session}/follow", "sessions.follow", Sessions::Follow),
        (Act::Replay, ONE),
        "The same while it runs, until it is sealed.",
        Kind::Lines("Frame"),
        (&[], &[Code::NotFound, Code::RecordingSealed]),
    ),
    read(
        ("/sessions/{session}/why", "sessions.why", Sessions::Why),
        (Act::View, ONE),
        "Why an exchange was allowed or refused, and what would allow it.",
        Kind::Json("Why"),
        (&[], &[Code::NotFound]),
    ),
];

pub(crate) async fn look(
    admin: &Admin,
    call: Sessions,
    asked: &Asked,
    identity: &Identity,
) -> Result<Ready, Refusal> {
    if call.is_of_many() {
        return Ok(Ready::on(list_object(admin, asked, identity)));
    }
    let recalled = recall::recall(&admin.gateway, asked.segment()).await?;
    let object = recalled.object(asked.segment(), &admin.gateway);
    Ok(Ready { recalled, ..Ready::on(object) })
}

/// A list is judged by what it is narrowed to.
fn list_object(admin: &Admin, asked: &Asked, identity: &Identity) -> Object {
    let resource = asked.query.text("resource").and_then(|name| recall::resource(name, &admin.gateway));
    let caller = narrowed(asked, identity).map(|(issuer, subject)| {
        if issuer == identity.issuer && subject == identity.subject {
            return Person::of(identity);
        }
        Person { issuer, subject, ..Person::default() }
    });
    let model = asked.query.text("model").filter(|_| resource.is_some()).map(str::to_owned);
    Object::Session { id: "list".to_owned(), resource, model, caller }
}

/// The one caller a list is narrowed to, as issuer and subject. An issuer is a URL without fragment, so
/// the first `#` separates.
fn narrowed(asked: &Asked, identity: &Identity) -> Option<(String, String)> {
    match asked.query.text("caller")? {
        "me" => Some((identity.issuer.clone(), identity.subject.clone())),
        text => text.split_once('#').map(|(issuer, subject)| (issuer.to_owned(), subject.to_owned())),
    }
}

pub(crate) async fn act(
    admin: &Admin,
    call: Sessions,
    asked: &Asked,
    ready: Ready,
    sight: &Sight,
) -> Result<Answer, Refusal> {
    match call {
        Sessions::List => listed::list(admin, asked, sight).await,
        Sessions::Search => listed::search(admin, asked, sight).await,
        Sessions::Grouped => listed::grouped(admin, asked, sight).await,
        Sessions::Export => export::export(admin, asked, sight).await,
        Sessions::FollowNext => follow::next(admin, asked, sight).await,
        Sessions::Show => played::show(admin, ready.recalled.found()?, sight).await,
        Sessions::Replay => played::replay(admin, ready.recalled.found()?, sight).await,
        Sessions::Follow => follow::one(admin, ready.recalled.found()?, sight),
        Sessions::Why => why(ready.recalled).await,
    }
}

async fn why(recalled: Recall) -> Result<Answer, Refusal> {
    let recalled = recalled.found()?;
    let told = views::why(&recalled.reader, recalled.id, &recalled.exchange).await;
    told.map(Answer::Json).map_err(|fault| {
        Refusal::new(Code::Internal).because("The record cannot be explained.").detail(fault)
    })
}

/// When an exchange began, in nanoseconds.
fn began(recalled: &recall::Recalled) -> i64 {
    recalled.exchange.opened.as_ref().map_or(0, |opened| opened.arrived)
}

pub(crate) use schemas::schemas;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcomes_are_those_of_the_vocabulary() {
        assert_eq!(OUTCOMES[..6], Outcome::ALL.map(Outcome::as_str));
    }
}
