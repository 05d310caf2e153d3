//! The spine: one exchange from a verified caller to a sealed record.
//!
//! operations → authorize → disclose → open record → approve → forward → mask → record → respond → seal.
//!
//! Read it downward; every step takes the proof the step before it made. The exchange runs in a task of
//! its own that owns the record, so it is sealed however the exchange ends.

use std::sync::Arc;

use approve::Cleared;
use authorize::Surroundings;
use model::{Outcome, Question, Understood};
use record::{Opening, Record};

use crate::Gateway;
use crate::came::Came;
use crate::hold::{self, Held};
use crate::refuse::Unjudged;
use crate::reply::Reply;
use crate::said::Wishes;
use crate::seal::{Ending, seal};
use crate::session::{self, Arrival, Entered, Heard, Turned};
use crate::setup::{Place, Setup};
use crate::stream::Sight;
use crate::{disclose, metadata, refuse, ride, stream};

/// Carries one request from its arrival to its seal. Refusals are boxed: a request that waits for people
/// should not hold room for what it is not told.
pub(crate) async fn carry(gateway: Arc<Gateway>, arrival: Arrival, reply: Reply) {
    let came = arrival.came;
    let setup = gateway.setup();
    let Some(_room) = gateway.room_for_one() else {
        let turned = Turned { refusal: refuse::overloaded(), identity: None };
        return Box::pin(refuse::stranger(&gateway, &came, &arrival.head, &turned, reply)).await;
    };
    if metadata::is_asked(&arrival.head) {
        return Box::pin(metadata::answer(&gateway, &came, &arrival.head, reply)).await;
    }
    match session::enter(&setup, &arrival).await {
        Ok(entered) => hear(&gateway, &setup, entered, arrival, reply).await,
        Err(turned) => Box::pin(refuse::stranger(&gateway, &came, &arrival.head, &turned, reply)).await,
    }
}

async fn hear(gateway: &Gateway, setup: &Setup, entered: Entered, arrival: Arrival, reply: Reply) {
    let came = arrival.came;
    let Entered { caller, place, path } = entered;
    match session::hear(setup, &gateway.memory, &place, path, arrival).await {
        Ok(Heard { question, session, wishes, memory: _memory }) => {
            let mut waits = None;
            Box::pin(exchange(gateway, &place, caller, (&question, &session), &came, (reply, &mut waits)))
                .await;
            if let Some(waits) = waits {
                Box::pin(once_approved(gateway, &place, (&question, wishes), &came, waits)).await;
            }
        }
        Err(no) => {
            let asked = Unjudged { place: &place, caller: &caller, question: &no.question };
            Box::pin(refuse::unjudged(gateway, asked, &came, &no.refusal, reply)).await;
        }
    }
}

/// The story, once a caller at a resource has been heard to the end. What needs consent is put into `waits`: it
/// goes on by [`once_approved`], so that what is done with does not lie in memory meanwhile.
async fn exchange<'g>(
    gateway: &'g Gateway,
    place: &Place,
    caller: authenticate::Caller,
    (heard, session): (&Question, &str),
    came: &Came,
    (reply, waits): (Reply, &mut Option<Box<Waits<'g>>>),
) {
    // who was shut out while the request was read is not asked what they want
    let mut live = gateway.standing().live(&caller);
    if let Some(ended) = live.ended() {
        let asked = Unjudged { place, caller: &caller, question: heard };
        return Box::pin(refuse::unjudged(gateway, asked, came, &ended.refusal(), reply)).await;
    }

    // operations
    let Understood { operations, texts } = match place.adapter.read(heard) {
        Ok(understood) => understood,
        Err(refusal) => {
            let asked = Unjudged { place, caller: &caller, question: heard };
            return Box::pin(refuse::unjudged(gateway, asked, came, &refusal, reply)).await;
        }
    };

    // authorize
    let surroundings = Surroundings { client: came.client.ip() };
    let decided = gateway.authorizer.decide(caller, &place.target, &operations, surroundings);

    let (identity, decision) = match &decided {
        Ok(permit) => (permit.identity(), permit.decision()),
        Err(denied) => (denied.identity(), denied.decision()),
    };

    // disclose
    let disclosed = disclose::disclose(gateway, place, identity, heard, texts);
    let question = disclosed.as_ref().map_or(heard, |disclosed| &disclosed.question);

    let bare = disclosed
        .as_ref()
        .filter(|disclosed| disclosed.fixed)
        .map(|_| Box::new(refuse::no_judgement(gateway)));
    let (operations, decision) = match &bare {
        // What was judged holds the value itself.
        Some(bare) => (&[][..], &**bare),
        None => (&operations[..], decision),
    };

    // open record
    let resource = &place.target.name;
    let opening = Opening {
        exchange: came.exchange,
        arrived: came.at,
        client: came.client,
        identity,
        resource,
        operations,
        decision,
        question,
        disclosed: disclosed.as_ref().map_or(&disclose::NOTHING, |disclosed| &disclosed.findings),
        bodies: place.record_bodies,
        session,
    };
    let record = match gateway.ledger.open_exchange(opening).await {
        Ok(record) => record,
        Err(fault) => return refuse::unrecorded(gateway, came, &fault, reply).await,
    };
    let refused = disclosed.as_ref().and_then(|disclosed| disclosed.refusal.as_ref());
    let permitted = match (decided, refused) {
        // What policy said of such a request must not be told: the value is in what it was asked about.
        (_, Some(refused)) if bare.is_some() => Err(refused.clone()),
        (Err(denied), _) => Err(denied.refusal()),
        (Ok(_), Some(refused)) => Err(refused.clone()),
        (Ok(permit), None) => Ok(permit),
    };
    let permit = match permitted {
        Ok(permit) => permit,
        Err(refusal) => return refuse::caller(gateway, record, came, &refusal, reply).await,
    };

    // approve
    let sight = Sight::of(&permit, place, live);
    if permit.approvals_needed() > 0 {
        let operations = operations.to_vec();
        *waits = Some(Box::new(Waits { permit, record, reply, sight, operations, disclosed }));
        return;
    }
    match approve::clear(permit, &record) {
        Ok(cleared) => onward(gateway, place, question, came, (cleared, sight, record, reply)).await,
        Err(refusal) => refuse::caller(gateway, record, came, &refusal, reply).await,
    }
}

/// A request that needs consent, with its record open.
struct Waits<'g> {
    permit: authorize::Permit,
    record: Record,
    reply: Reply,
    sight: Sight<'g>,
    operations: Vec<model::Operation>,
    disclosed: Option<Box<disclose::Disclosed>>,
}

/// approve, where people must consent; then the rest of the story.
async fn once_approved(
    gateway: &Gateway,
    place: &Place,
    (heard, wishes): (&Question, Wishes),
    came: &Came,
    waits: Box<Waits<'_>>,
) {
    let Waits { permit, mut record, mut reply, mut sight, operations, disclosed } = *waits;
    let question = disclosed.as_ref().map_or(heard, |disclosed| &disclosed.question);
    let held = Held { gateway, place, came, permit, operations: &operations, heard, question, wishes };
    match hold::hold(held, &mut record, &mut reply, &mut sight.live).await {
        Ok(go) => {
            let hold::Released { cleared, place, viewer, usable } = *go;
            sight.renew(viewer, usable, &place);
            Box::pin(onward(gateway, &place, question, came, (cleared, sight, record, reply))).await;
        }
        Err(stopped) => Box::pin(hold::over(gateway, record, came, stopped, reply)).await,
    }
}

/// The end of the story: forward → mask → record → respond → seal.
async fn onward(
    gateway: &Gateway,
    place: &Place,
    question: &Question,
    came: &Came,
    (cleared, mut sight, mut record, mut reply): (Cleared, Sight<'_>, Record, Reply),
) {
    // forward
    let sent = tokio::select! {
        biased;
        () = reply.gone() => {
            return seal(gateway, record, came, Ending::of(Outcome::CallerGone)).await;
        }
        sent = place.upstreams.send(cleared, question) => sent,
        ended = sight.live.until_ended() => {
            return Box::pin(refuse::shut_out(gateway, record, came, &ended, reply)).await;
        }
    };
    // Kept until all is over: to let it go is work that nobody waits for.
    let mut answer = match sent {
        Ok(answer) => answer,
        Err(fault) => return Box::pin(refuse::failed(gateway, record, came, &fault, reply)).await,
    };

    // mask → record → respond, chunk by chunk; then seal
    let ending =
        stream::carry(gateway, place, question, &mut sight, &mut answer, &mut record, came, reply).await;
    ride::step_aside().await;
    seal(gateway, record, came, ending).await;
}
