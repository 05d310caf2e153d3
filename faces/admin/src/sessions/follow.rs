//! An answer while it runs: its frames are given on as they are recorded, until it is sealed.

use std::time::Duration;

use bytes::Bytes;
use model::{ExchangeId, Refusal};
use record::{Exchange, Filter, Reader};
use tokio::sync::mpsc;

use super::export::Each;
use super::listed::filter;
use super::played::{Screen, Utf8, WAITING, damaged, ended, line, readable};
use crate::exchange::{Answer, Asked, Sight};
use crate::recall::Recalled;
use crate::remask::Seen;
use crate::{Admin, recall};

/// How often it is looked for more.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is looked for an exchange that fits.
const LOOK_FOR_ONE: Duration = Duration::from_millis(250);
/// and how many times: an answer without an end and without a line would look like a fault to whoever waits.
const LOOKS: usize = 80;

type Lines = mpsc::Sender<Result<Bytes, Refusal>>;

/// One exchange, to its end.
///
/// # Errors
/// `recording_sealed`, as for a replay.
pub(super) fn one(admin: &Admin, recalled: Recalled, sight: &Sight) -> Result<Answer, Refusal> {
    readable(&recalled.exchange)?;
    let screen = Screen::new(admin, sight);
    let (lines, waiting) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let Recalled { id, exchange, reader } = recalled;
        follow(&reader, &screen, (id, exchange), &lines).await;
    });
    Ok(Answer::Lines(waiting))
}

/// The newest that fits and runs, or the first that comes.
pub(super) async fn next(admin: &Admin, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    let running = Some("running".to_owned());
    let filter = Filter { outcome: running, limit: Some(20), ..filter("follow", asked, sight)? };
    let each = Each::new(admin, asked, sight);
    let reader = recall::reader(&admin.gateway).await?;
    let (lines, waiting) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        match wait(&reader, &each, &filter, &lines).await {
            Ok(Some((screen, id, exchange))) => follow(&reader, &screen, (id, exchange), &lines).await,
            Ok(None) => {}
            // The reader may have left: then nobody needs to know.
            Err(refusal) => drop(lines.send(Err(refusal)).await),
        }
    });
    Ok(Answer::Lines(waiting))
}

/// Waits a while for an exchange that may be followed; none if none came, or the reader leaves.
async fn wait(
    reader: &Reader,
    each: &Each,
    filter: &Filter,
    lines: &Lines,
) -> Result<Option<(Screen, ExchangeId, Exchange)>, Refusal> {
    for _ in 0..LOOKS {
        let page = reader.list(filter).await.map_err(|fault| recall::unreadable(&fault))?;
        for listed in page.exchanges {
            let id = listed.exchange;
            let exchange = reader.show(id).await.map_err(|fault| recall::unreadable(&fault))?;
            // An act on Portcullis itself, such as this one, is no stream.
            let act = exchange.opened.as_ref().is_none_or(|opened| opened.resource.contains('/'));
            if let Some(screen) = each.screen(id, &exchange).filter(|_| !act && exchange.sealed.is_none()) {
                return Ok(Some((screen, id, exchange)));
            }
        }
        tokio::select! {
            () = lines.closed() => return Ok(None),
            () = tokio::time::sleep(LOOK_FOR_ONE) => {}
        }
    }
    Ok(None)
}

async fn follow(reader: &Reader, screen: &Screen, (id, exchange): (ExchangeId, Exchange), lines: &Lines) {
    if let Err(refusal) = frames(reader, screen, (id, exchange), lines).await {
        // The reader may have left: then nobody needs to know.
        let _ = lines.send(Err(refusal)).await;
    }
}

async fn frames(
    reader: &Reader,
    screen: &Screen,
    (id, mut exchange): (ExchangeId, Exchange),
    lines: &Lines,
) -> Result<(), Refusal> {
    readable(&exchange)?;
    let began = exchange.opened.as_ref().map_or(0, |opened| opened.arrived);
    let (mut remask, mut frames) = (screen.remask(id, &exchange), reader.frames(id, &exchange));
    let (mut text, mut last) = (Utf8::default(), began);
    loop {
        let sealed = exchange.sealed.is_some() || exchange.refused.is_some();
        loop {
            // A file is read for at most a frame at a time: a moment, as for a list.
            let (next, rest) = tokio::task::spawn_blocking(move || (frames.next(), frames))
                .await
                .map_err(|fault| Refusal::new(model::Code::Internal).detail(fault))?;
            frames = rest;
            let Some(frame) = next else { break };
            let frame = frame.map_err(damaged)?;
            last = frame.time;
            if send(lines, began, id, &remask.take(frame), &mut text).await.is_err() {
                return Ok(());
            }
        }
        if sealed {
            remask.ends(ended(&exchange));
            // Whoever leaves now misses nothing that was to come.
            let _ = send(lines, began, id, &remask.finish(last), &mut text).await;
            return Ok(());
        }
        tokio::select! {
            () = lines.closed() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
        exchange = reader.show(id).await.map_err(|fault| recall::unreadable(&fault))?;
        frames.again(&exchange);
    }
}

async fn send(
    lines: &Lines,
    began: i64,
    id: ExchangeId,
    seen: &[Seen],
    text: &mut Utf8,
) -> Result<(), mpsc::error::SendError<Result<Bytes, Refusal>>> {
    for seen in seen {
        lines.send(Ok(line(Some(id), began, seen, text))).await?;
    }
    Ok(())
}
