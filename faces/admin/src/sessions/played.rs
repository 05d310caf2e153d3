//! Showing and replaying one exchange: frames are read, masked again and given on as they come, off the
//! threads that carry requests.

use std::sync::Arc;

use adapt_http::HttpAdapter;
use bytes::Bytes;
use gateway::Gateway;
use model::{Adapter, Code, ExchangeId, Outcome, Refusal, ResourceName, Reveal};
use record::body::{Header, Kind};
use record::{Exchange, Frames, Reader};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Admin;
use crate::exchange::{Answer, Sight};
use crate::recall::Recalled;
use crate::remask::{Ended, LONGEST_SHOWN, Remask, Seen, Shape};
use crate::views::{self, Bodies};

/// How many lines may wait for a slow reader.
pub(super) const WAITING: usize = 4;

/// Everything of one exchange.
pub(super) async fn show(admin: &Admin, recalled: Recalled, sight: &Sight) -> Result<Answer, Refusal> {
    Screen::new(admin, sight).whole(&recalled.reader, recalled.id, &recalled.exchange).await.map(Answer::Json)
}

/// How many frames the leaves certify.
fn counted(exchange: &Exchange) -> u64 {
    let request = exchange.opened.as_ref().and_then(|opened| opened.request_body.as_ref());
    let response = exchange.sealed.as_ref().and_then(|sealed| sealed.response.as_ref());
    [request, response].into_iter().flatten().fold(0, |sum, digest| sum.saturating_add(digest.frames))
}

fn gather(frames: Frames, remask: &mut Remask, bodies: &mut Bodies) -> Result<(), Refusal> {
    for frame in frames {
        bodies.frames = bodies.frames.saturating_add(1);
        let frame = frame.map_err(damaged)?;
        if matches!(frame.kind(), Kind::Head | Kind::SpokenHead) {
            let text = |header: &Header| String::from_utf8_lossy(&header.value).into_owned();
            bodies.headers = frame.headers.iter().map(|header| (header.name.clone(), text(header))).collect();
        }
        for seen in remask.take(frame) {
            add(bodies, &seen);
        }
    }
    for seen in remask.finish(0) {
        add(bodies, &seen);
    }
    let (request, cut) = remask.request();
    bodies.request = request.to_vec();
    bodies.cut |= cut;
    Ok(())
}

fn add(bodies: &mut Bodies, seen: &Seen) {
    let room = LONGEST_SHOWN.saturating_sub(bodies.response.len());
    let note = seen.opaque.as_ref().map(|(class, length)| {
        let what = if class.is_empty() { "not shown" } else { class.as_str() };
        Bytes::from(format!("[{length} bytes {what}]"))
    });
    let data = note.as_ref().unwrap_or(&seen.data);
    let taken = data.get(..room).unwrap_or(data);
    bodies.cut |= taken.len() < data.len();
    bodies.response.extend_from_slice(taken);
}

/// The answer, frame by frame.
///
/// # Errors
/// `recording_sealed`: what can't be read here can't be masked for its reader either, so it is not given
/// out, opened or not.
pub(super) async fn replay(admin: &Admin, recalled: Recalled, sight: &Sight) -> Result<Answer, Refusal> {
    readable(&recalled.exchange)?;
    let gone = gone(&recalled.reader, &recalled.exchange).await?;
    let mut remask = Screen::new(admin, sight).remask(recalled.id, &recalled.exchange);
    let frames = recalled.reader.frames(recalled.id, &recalled.exchange);
    let (began, mut last) = (super::began(&recalled), super::began(&recalled));
    let (lines, reader) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut text = Utf8::default();
        for gone in gone {
            let line = Bytes::from(format!("{}\n", views::gone_frame(&gone)));
            if lines.blocking_send(Ok(line)).is_err() {
                return;
            }
        }
        let mut send = |seen: Vec<Seen>| {
            seen.iter()
                .try_for_each(|seen| lines.blocking_send(Ok(line(None, began, seen, &mut text))))
                .is_ok()
        };
        for frame in frames {
            let seen = match frame {
                Ok(frame) => {
                    last = frame.time;
                    remask.take(frame)
                }
                Err(damage) => {
                    // The reader may have left: then nobody needs to know.
                    let _ = lines.blocking_send(Err(damaged(damage)));
                    return;
                }
            };
            if !send(seen) {
                return;
            }
        }
        send(remask.finish(last));
    });
    Ok(Answer::Lines(reader))
}

/// What is sealed is read by its auditors alone.
pub(super) fn readable(exchange: &Exchange) -> Result<(), Refusal> {
    if exchange.is_encrypted() { Err(Refusal::new(Code::RecordingSealed)) } else { Ok(()) }
}

/// What of its bodies is not there any more, in sentences.
async fn gone(reader: &Reader, exchange: &Exchange) -> Result<Vec<String>, Refusal> {
    let gone = reader.gone(exchange).await;
    gone.map(|gone| gone.iter().map(ToString::to_string).collect())
        .map_err(|fault| Refusal::new(Code::Internal).because("The record cannot be read.").detail(fault))
}

pub(super) fn line(whose: Option<ExchangeId>, began: i64, seen: &Seen, text: &mut Utf8) -> Bytes {
    let opaque = seen.opaque.as_ref().map(|(class, length)| (class.as_str(), *length));
    let data = text.take(&seen.data);
    let after = seen.time.saturating_sub(began);
    let mut line = views::shown_frame(after, seen.kind, seen.status, &data, opaque);
    if let (Some(line), Some(id)) = (line.as_object_mut(), whose) {
        line.insert("exchange".to_owned(), json!(id.to_string()));
    }
    Bytes::from(format!("{line}\n"))
}

pub(super) fn damaged(damage: record::Damage) -> Refusal {
    Refusal::new(Code::Internal).because("The record is damaged.").detail(damage)
}

/// Through what recorded exchanges are seen: the rules, the adapters, and who looks.
#[derive(Clone)]
pub(super) struct Screen {
    pub(super) gateway: Arc<Gateway>,
    pub(super) plain: Arc<HttpAdapter>,
    pub(super) viewer: Arc<dyn Reveal>,
}

impl Screen {
    pub(super) fn new(admin: &Admin, sight: &Sight) -> Self {
        Self {
            gateway: Arc::clone(&admin.gateway),
            plain: Arc::clone(&admin.plain),
            viewer: Arc::clone(&sight.viewer),
        }
    }

    pub(super) fn remask(&self, id: ExchangeId, exchange: &Exchange) -> Remask {
        let head = exchange.opened.as_ref().and_then(|opened| opened.request.clone());
        let parts = (Arc::clone(self.gateway.rules()), Arc::clone(&self.plain));
        let shape = (self.shape(exchange), ended(exchange));
        Remask::begin(id, head.unwrap_or_default(), shape, parts, Arc::clone(&self.viewer))
    }

    /// How the answers of an exchange are read: by its resource's adapter as it is now.
    fn shape(&self, exchange: &Exchange) -> Shape {
        let Some(opened) = &exchange.opened else { return Shape::Unknown };
        if opened.resource.starts_with("api/") {
            return Shape::Of(Arc::clone(&self.plain) as Arc<dyn Adapter>);
        }
        let place = ResourceName::new(&opened.resource).ok().and_then(|name| self.gateway.place(&name));
        place.map_or(Shape::Unknown, |place| Shape::Of(place.adapter))
    }

    /// Everything of one exchange.
    pub(super) async fn whole(
        self,
        reader: &Reader,
        id: ExchangeId,
        exchange: &Exchange,
    ) -> Result<Value, Refusal> {
        let gone = gone(reader, exchange).await?;
        if exchange.is_encrypted() {
            let bodies = Bodies { frames: counted(exchange), encrypted: true, gone, ..Bodies::default() };
            return Ok(views::shown(id, exchange, &bodies));
        }
        let mut remask = self.remask(id, exchange);
        let frames = reader.frames(id, exchange);
        let read = tokio::task::spawn_blocking(move || {
            let mut bodies = Bodies { gone, ..Bodies::default() };
            gather(frames, &mut remask, &mut bodies).map(|()| (bodies, remask))
        });
        let (bodies, remask) = read.await.map_err(|fault| Refusal::new(Code::Internal).detail(fault))??;
        let masked: serde_json::Map<_, _> =
            remask.findings().masked.iter().map(|(class, count)| (class.to_string(), json!(count))).collect();
        let mut shown = views::shown(id, exchange, &bodies);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("masked_again".to_owned(), masked.into());
        }
        Ok(shown)
    }
}

/// How the answer of an exchange ended, as far as it is known.
pub(super) fn ended(exchange: &Exchange) -> Ended {
    let completed =
        exchange.sealed.as_ref().is_some_and(|sealed| sealed.outcome == Outcome::Completed.as_str());
    if completed { Ended::Whole } else { Ended::Cut }
}

/// Text from bytes that are cut anywhere: a character that is cut waits for its rest.
#[derive(Default)]
pub(super) struct Utf8(Vec<u8>);

impl Utf8 {
    fn take(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let end = match std::str::from_utf8(&self.0) {
            Ok(_) => self.0.len(),
            // Only what may still become a character waits.
            Err(fault) if fault.error_len().is_none() => fault.valid_up_to(),
            Err(_) => self.0.len(),
        };
        let taken: Vec<u8> = self.0.drain(..end).collect();
        String::from_utf8_lossy(&taken).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_waits_for_its_rest() {
        let text = "aé€😀z".as_bytes();
        for cut in 0..=text.len() {
            let (one, other) = text.split_at(cut);
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.take(one) + &utf8.take(other), "aé€😀z", "{cut}");
        }
        assert_eq!(Utf8::default().take(b"a\xffb"), "a\u{fffd}b");
    }
}
