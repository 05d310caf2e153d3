//! Approvals: what waits for consent, and giving one's word. Who may approve something sees it, and so does
//! who asked it; the desk knows how.

mod schemas;

use std::sync::Arc;
use std::time::Duration;

use approve::{Approval, Cleared, Digest, Via};
use bytes::Bytes;
use desk::{Desk, Looker, Named, Only, Verb, Verdict};
use http::Method;
use jiff::Timestamp;
use model::{Act, Area, Code, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::exchange::{Answer, Asked, Asks, Ready, Sight};
use crate::recall::Recall;
use crate::table::{CURSOR, Call, Kind, LIMIT, Param, Payload, Route, Shape};
use crate::{Admin, input, paging};

pub(crate) use schemas::schemas;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Approvals {
    List,
    Follow,
    Show,
    Approve,
    Deny,
}

/// How many lines may wait for a slow reader.
const WAITING: usize = 16;

const ALL: &str =
    "`Area::\"approvals\"`; or, without such a policy, what you may `approve` and what you asked yourself";
const ONE: &str =
    "`Area::\"approvals\"`; or, without such a policy, if you may `approve` it or asked it yourself";
const WORD: &str = "the `Resource` or `Model` of each operation that was asked for";

const STATE: Param = Param {
    name: "state",
    shape: Shape::Word(&["waiting", "approved", "denied", "released", "expired"]),
    doc: "Only in this state. All of them when left out: those that are open first.",
};
const RESOURCE: Param = Param {
    name: "resource",
    shape: Shape::Text,
    doc: "Only for this resource; `group/NAME` for memberships.",
};

/// After that long whoever follows shows a token again.
const FOR: Param = Param { name: "for", shape: Shape::Count(1, 900, 900), doc: "For so many seconds." };

const fn read(
    (path, name, call): (&'static str, &'static str, Approvals),
    (on, summary): (&'static str, &'static str),
    answer: Kind,
    (query, faults): (&'static [Param], &'static [Code]),
) -> Route {
    Route {
        method: Method::GET,
        path,
        name,
        call: Call::Approvals(call),
        area: Area::Approvals,
        act: Act::View,
        on,
        summary,
        query,
        body: None,
        answer,
        faults,
        keeps_bodies: false,
    }
}

const fn word(
    (path, name, call): (&'static str, &'static str, Approvals),
    summary: &'static str,
    (schema, required): (&'static str, bool),
) -> Route {
    Route {
        method: Method::POST,
        path,
        name,
        call: Call::Approvals(call),
        area: Area::Approvals,
        act: Act::Approve,
        on: WORD,
        summary,
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema, required }),
        answer: Kind::Json("Approval"),
        faults: &[Code::NotFound, Code::ApprovalConflict, Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    }
}

pub(crate) const ROUTES: &[Route] = &[
    read(
        ("/approvals", "approvals.list", Approvals::List),
        (
            ALL,
            "List what waits for consent, the oldest first, then what was settled of late, the latest first.",
        ),
        Kind::Json("ApprovalList"),
        (&[LIMIT, CURSOR, STATE, RESOURCE], &[]),
    ),
    read(
        ("/approvals/follow", "approvals.follow", Approvals::Follow),
        (
            ALL,
            "What is open now, then each approval that comes or changes. It ends after a while: ask again.",
        ),
        Kind::Lines("Approval"),
        (&[RESOURCE, FOR], &[]),
    ),
    read(
        ("/approvals/{approval}", "approvals.show", Approvals::Show),
        (ONE, "Show an approval with what was asked, masked by what you may see of answers there."),
        Kind::Json("WholeApproval"),
        (&[], &[Code::NotFound]),
    ),
    word(
        ("/approvals/{approval}/approve", "approvals.approve", Approvals::Approve),
        "Consent to exactly what was asked.",
        ("Consent", false),
    ),
    word(
        ("/approvals/{approval}/deny", "approvals.deny", Approvals::Deny),
        "Deny it, at once and for all; or take back what you asked yourself. Whoever asked is told the reason.",
        ("Denial", true),
    ),
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    reason: Option<String>,
    digest: Option<String>,
    via: Option<Said>,
}

/// How a word is given, as its client says.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Api,
    Cli,
}

/// Looks up what a call is on. It is judged by the desk's rules, not by an act's alone.
pub(crate) async fn look(admin: &Admin, call: Approvals, asked: &Asked) -> Result<Ready, Refusal> {
    let found = match call {
        Approvals::List | Approvals::Follow => Recall::Nothing,
        Approvals::Show | Approvals::Approve | Approvals::Deny => {
            match admin.desk.find(asked.segment()).await? {
                Named::Found(approval) => Recall::Approval(approval),
                Named::Missing => Recall::Missing,
            }
        }
    };
    let asks = match call {
        Approvals::List | Approvals::Follow | Approvals::Show => Asks::Docket,
        Approvals::Approve => Asks::Word(Verb::Approve),
        Approvals::Deny => Asks::Word(Verb::Deny),
    };
    Ok(Ready { recalled: found, asks, ..Ready::on(authorize::Object::Area(Area::Approvals)) })
}

pub(crate) async fn act(
    admin: &Admin,
    call: Approvals,
    asked: &Asked,
    (ready, sight): (Ready, &Sight),
    cleared: &Cleared,
) -> Result<Answer, Refusal> {
    let looker = Looker { identity: Arc::clone(&sight.identity), client: sight.client, all: sight.all };
    let desk = &admin.desk;
    match call {
        Approvals::List => list(desk, &looker, asked).await,
        Approvals::Follow => Ok(follow(Arc::clone(desk), looker, asked, admin.gateway.clock().now())),
        Approvals::Show => {
            let approval = approval(ready.recalled)?;
            let whole = desk.whole(&looker, &approval, admin.gateway.rules()).await;
            Ok(Answer::Json(json!(whole.ok_or_else(missing)?)))
        }
        Approvals::Approve => decide(desk, &looker, (asked, ready, Verb::Approve), cleared).await,
        Approvals::Deny => decide(desk, &looker, (asked, ready, Verb::Deny), cleared).await,
    }
}

async fn list(desk: &Desk, looker: &Looker, asked: &Asked) -> Result<Answer, Refusal> {
    let place = asked.query.text("cursor").map(|cursor| paging::place("approvals", cursor)).transpose()?;
    let limit = usize::try_from(asked.query.count(&LIMIT)).unwrap_or(1);
    let page = desk.list(looker, &only(asked), place.as_deref(), limit).await?;
    let next = page.next.map(|next| paging::cursor("approvals", &next));
    Ok(Answer::Json(json!({ "approvals": page.approvals, "next": next })))
}

fn only(asked: &Asked) -> Only {
    let text = |name: &str| asked.query.text(name).map(str::to_owned);
    Only { state: text("state"), resource: text("resource") }
}

/// Tells the news until the reader leaves, its token ends, or so long has passed.
fn follow(desk: Arc<Desk>, looker: Looker, asked: &Asked, now: Timestamp) -> Answer {
    let (lines, waiting) = mpsc::channel(WAITING);
    let only = Only { state: None, ..only(asked) };
    let left = looker.identity.token.expires_at.duration_since(now);
    let wanted = Duration::from_secs(asked.query.count(&FOR).into());
    let time = Duration::try_from(left).unwrap_or_default().min(wanted);
    tokio::spawn(async move {
        let mut news = desk.news(looker, only);
        let telling = async {
            loop {
                let line = news.next().await.map(|shown| Bytes::from(format!("{}\n", json!(shown))));
                let failed = line.is_err();
                if lines.send(line).await.is_err() || failed {
                    return;
                }
            }
        };
        tokio::select! {
            () = telling => {}
            () = tokio::time::sleep(time) => {}
            () = lines.closed() => {}
        }
    });
    Answer::Lines(waiting)
}

async fn decide(
    desk: &Desk,
    looker: &Looker,
    (asked, ready, verb): (&Asked, Ready, Verb),
    cleared: &Cleared,
) -> Result<Answer, Refusal> {
    let approval = approval(ready.recalled)?;
    let word: Word = if asked.body.is_empty() { Word::default() } else { input::json(&asked.body)? };
    let digest = word.digest.as_deref().map(|digest| Digest::parse(digest).ok_or_else(odd)).transpose()?;
    let via = match word.via {
        Some(Said::Cli) => Via::Cli,
        Some(Said::Api) | None => Via::Api,
    };
    let reason = word.reason.unwrap_or_default();
    let verdict = Verdict { verb, reason: &reason, digest, via };
    let decided = desk.decide(looker, &approval, verdict, cleared).await?;
    let shown: Option<Value> = desk.seen(looker, &decided).map(|shown| json!(shown));
    Ok(Answer::Json(shown.ok_or_else(missing)?))
}

fn approval(recalled: Recall) -> Result<Box<Approval>, Refusal> {
    match recalled {
        Recall::Approval(approval) => Ok(approval),
        _ => Err(missing()),
    }
}

fn missing() -> Refusal {
    Refusal::new(Code::NotFound)
        .because("No approval has this id. What was decided can be looked up for a week.")
}

fn odd() -> Refusal {
    Refusal::new(Code::RequestMalformed).because("A digest has 64 hex digits.")
}
