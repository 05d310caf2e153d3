//! Showing and replaying one exchange: frames are read, masked again and given on as they come, off the
//! threads that carry requests.

use std::sync::Arc;

use bytes::Bytes;
use model::{Adapter, Code, Outcome, Refusal, ResourceName};
use record::{Exchange, Frames};
use serde_json::json;
use tokio::sync::mpsc;

use crate::Admin;
use crate::exchange::{Answer, Sight};
use crate::recall::Recalled;
use crate::remask::{Ended, LONGEST_SHOWN, Remask, Seen, Shape};
use crate::views::{self, Bodies};

/// How many lines may wait for a slow reader.
const WAITING: usize = 4;

/// Everything of one exchange.
pub(super) async fn show(admin: &Admin, recalled: Recalled, sight: &Sight) -> Result<Answer, Refusal> {
    let mut remask = remask(admin, &recalled, sight);
    let frames = recalled.reader.frames(recalled.id, &recalled.exchange);
    let read = tokio::task::spawn_blocking(move || {
        let mut bodies = Bodies::default();
        gather(frames, &mut remask, &mut bodies).map(|()| (bodies, remask))
    });
    let (bodies, remask) = read.await.map_err(|fault| Refusal::new(Code::Internal).detail(fault))??;
    let masked: serde_json::Map<_, _> =
        remask.findings().masked.iter().map(|(class, count)| (class.to_string(), json!(count))).collect();
    let mut shown = views::shown(recalled.id, &recalled.exchange, &bodies);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("masked_again".to_owned(), masked.into());
    }
    Ok(Answer::Json(shown))
}

fn gather(frames: Frames, remask: &mut Remask, bodies: &mut Bodies) -> Result<(), Refusal> {
    for frame in frames {
        bodies.frames = bodies.frames.saturating_add(1);
        for seen in remask.take(frame.map_err(damaged)?) {
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
pub(super) fn replay(admin: &Admin, recalled: Recalled, sight: &Sight) -> Answer {
    let mut remask = remask(admin, &recalled, sight);
    let frames = recalled.reader.frames(recalled.id, &recalled.exchange);
    let (began, mut last) = (super::began(&recalled), super::began(&recalled));
    let (lines, reader) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut text = Utf8::default();
        let mut send = |seen: Vec<Seen>| {
            seen.iter().try_for_each(|seen| lines.blocking_send(Ok(line(began, seen, &mut text)))).is_ok()
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
    Answer::Lines(reader)
}

fn line(began: i64, seen: &Seen, text: &mut Utf8) -> Bytes {
    let opaque = seen.opaque.as_ref().map(|(class, length)| (class.as_str(), *length));
    let data = text.take(&seen.data);
    let after = seen.time.saturating_sub(began);
    let line = views::shown_frame(after, seen.kind, seen.status, &data, opaque);
    Bytes::from(format!("{line}\n"))
}

fn damaged(damage: record::Damage) -> Refusal {
    Refusal::new(Code::Internal).because("The record is damaged.").detail(damage)
}

fn remask(admin: &Admin, recalled: &Recalled, sight: &Sight) -> Remask {
    let head = recalled.exchange.opened.as_ref().and_then(|opened| opened.request.clone());
    let rules = admin.gateway.rules();
    let parts = (rules, Arc::clone(&admin.plain));
    let completed =
        recalled.exchange.sealed.as_ref().is_some_and(|sealed| sealed.outcome == Outcome::Completed.as_str());
    let ended = if completed { Ended::Whole } else { Ended::Cut };
    let shape = (shape(admin, &recalled.exchange), ended);
    Remask::begin(recalled.id, head.unwrap_or_default(), shape, parts, Arc::clone(&sight.viewer))
}

/// How the answers of an exchange are read: by its resource's adapter as it is now.
fn shape(admin: &Admin, exchange: &Exchange) -> Shape {
    let Some(opened) = &exchange.opened else { return Shape::Unknown };
    if opened.resource.starts_with("api/") {
        return Shape::Of(Arc::clone(&admin.plain) as Arc<dyn Adapter>);
    }
    let place = ResourceName::new(&opened.resource).ok().and_then(|name| admin.gateway.place(&name));
    place.map_or(Shape::Unknown, |place| Shape::Of(place.adapter))
}

/// Text from bytes that are cut anywhere: a character that is cut waits for its rest.
#[derive(Default)]
struct Utf8(Vec<u8>);

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
