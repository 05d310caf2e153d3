//! What holds of every layout and every chunking.

use std::collections::BTreeMap;

use model::Lane;
use proptest::prelude::*;

use super::*;

/// Answers as servers write them, each with where it would come from.
fn answers() -> Vec<(ServerKind, &'static str, &'static str, String)> {
    use ServerKind::{LlamaCpp, Ollama, OpenAi, Plain};
    const SSE: &str = "text/event-stream";
    const LINES: &str = "application/x-ndjson";
    let chat = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"one \\u00e9\\n\"}}]}\n\n\
        : ping\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"two\",\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\"}}]}},{\"index\":1,\"delta\":{\"content\":\"\u{1f600}x\"}}]}\n\n\
        data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"three\"},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let anthropic = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" you\"}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let responses = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"Hel\"}\n\n\
        event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"lo\"}\n\n\
        event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"output_index\":0,\"text\":\"Hello\"}\n\n";
    let ollama = "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"He\"},\"done\":false}\n{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"y\"},\"done\":true}\n";
    let llama = "data: {\"index\":0,\"content\":\"a\",\"stop\":false}\n\ndata: {\"index\":0,\"content\":\"b\",\"stop\":true}\n\n";
    vec![
        (OpenAi, "/v1/chat/completions", SSE, chat.to_owned()),
        (OpenAi, "/v1/chat/completions", SSE, chat.replace('\n', "\r\n")),
        (OpenAi, "/v1/chat/completions", SSE, chat.replace('\n', "\r")),
        (OpenAi, "/v1/messages", SSE, anthropic.to_owned()),
        (OpenAi, "/v1/responses", SSE, responses.to_owned()),
        (Ollama, "/api/chat", LINES, ollama.to_owned()),
        (Ollama, "/api/chat", LINES, ollama.trim_end().to_owned()),
        (LlamaCpp, "/completion", SSE, llama.to_owned()),
        (Plain, "/events", SSE, "data: one\ndata: two\n\nid: 4\ndata: {\"a\":\"b\"}\n\n".to_owned()),
        (Plain, "/events", LINES, "{\"a\":\"b\"}\n\n{\"a\":\"c\"}".to_owned()),
        (
            OpenAi,
            "/v1/chat/completions",
            "application/json",
            "{\"a\":[1,\"b\\\"\",{\"c\":4111111111111111}]}".to_owned(),
        ),
        (OpenAi, "/v1/models", "application/json", "{\"data\":[{\"id\":\"ok\"}]}".to_owned()),
        (OpenAi, "/v1/x", "text/plain", "  some text, \u{e9}\n".to_owned()),
        (OpenAi, "/v1/x", "text/plain", " {\"a\":\"b\"} ".to_owned()),
        (OpenAi, "/v1/x", "audio/wav", "RIFF0123".to_owned()),
    ]
}

/// Pieces with neighbouring syntax, and neighbouring text of one lane, joined.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (all.last_mut(), piece) {
            (Some(Piece::Syntax(before)), Piece::Syntax(raw)) => {
                *before = [&before[..], &raw[..]].concat().into()
            }
            (Some(Piece::Text { lane: a, raw: before, .. }), Piece::Text { lane: b, raw, .. }) if *a == b => {
                *before = [&before[..], &raw[..]].concat().into();
            }
            (
                Some(Piece::Classed { class: a, raw: before, .. }),
                Piece::Classed { class: b, raw, encoding: model::Encoding::Plain },
            ) if *a == b => *before = [&before[..], &raw[..]].concat().into(),
            (_, piece) => all.push(piece),
        }
    }
    all
}

/// `bytes` cut at the given places.
fn cut<'b>(bytes: &'b [u8], places: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut chunks = Vec::new();
    let mut from = 0;
    for to in places {
        chunks.push(&bytes[from..to]);
        from = to;
    }
    chunks.push(&bytes[from..]);
    chunks
}

/// Masks nothing, but holds back the last bytes of every lane as a masker would whose pattern might
/// still go on.
fn sluggish(pieces: Vec<Piece>, hold: usize) -> Vec<u8> {
    let (mut out, mut held) = (Vec::new(), BTreeMap::<Lane, Vec<u8>>::new());
    for piece in pieces {
        match piece {
            Piece::Syntax(raw) | Piece::Whole { raw, .. } | Piece::Classed { raw, .. } => {
                out.extend_from_slice(&raw)
            }
            Piece::SoFar { raw, .. } => out.extend_from_slice(&raw[..raw.len().saturating_sub(hold)]),
            Piece::Forget { lane } => drop(held.remove(&lane)),
            Piece::Dropped { .. } => {}
            Piece::Text { lane, raw, .. } => {
                let text = held.entry(lane).or_default();
                text.extend_from_slice(&raw);
                let rest = text.split_off(text.len().saturating_sub(hold));
                out.append(text);
                *text = rest;
            }
            Piece::End { lane, before, after } => {
                if let Some(text) = held.remove(&lane).filter(|text| !text.is_empty()) {
                    out.extend([&before[..], &text[..], &after[..]].concat());
                }
            }
        }
    }
    assert!(held.is_empty(), "a lane was never ended: {held:?}");
    out
}

/// What an OpenAI client joins from a chat stream: the texts of each choice, and whether some came after
/// the choice's finish.
fn client(stream: &str) -> (BTreeMap<u64, String>, bool) {
    let (mut texts, mut finished, mut late) = (BTreeMap::<u64, String>::new(), Vec::new(), false);
    for event in stream.split("\n\n").filter(|event| event.starts_with("data: {")) {
        let event: serde_json::Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        for choice in event["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap();
            if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
                late |= finished.contains(&index);
                texts.entry(index).or_default().push_str(text);
            }
            if choice["finish_reason"].is_string() {
                finished.push(index);
            }
        }
    }
    (texts, late)
}

/// A chat stream whose text is `text`, cut into deltas; the last may share the event with the finish.
fn chat(text: &str, places: &[prop::sample::Index], finish_with_text: bool) -> String {
    let deltas: Vec<String> =
        cut(text.as_bytes(), places).iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
    let mut stream = String::new();
    for (at, delta) in deltas.iter().enumerate() {
        let finish = if finish_with_text && at + 1 == deltas.len() { "\"stop\"" } else { "null" };
        stream += &format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{delta}\"}},\"finish_reason\":{finish}}}]}}\n\n"
        );
    }
    if !finish_with_text {
        stream += "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    }
    stream + "data: [DONE]\n\n"
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_pieces_and_all_bytes(
        which in any::<prop::sample::Index>(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let all = answers();
        let (server, path, kind, answer) = &all[which.index(all.len())];
        let whole = pieces(&mut *layout(*server, path, kind), &[answer.as_bytes()]).unwrap();
        let chunked = pieces(&mut *layout(*server, path, kind), &cut(answer.as_bytes(), &places)).unwrap();
        prop_assert_eq!(identity(&chunked), answer.as_bytes());
        prop_assert_eq!(joined(chunked), joined(whole));
    }

    #[test]
    fn a_text_cut_anywhere_comes_out_whole_and_in_time(
        text in "[a-zA-Z0-9 .]{1,60}",
        deltas in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        chunks in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        hold in 0usize..70,
        finish_with_text in any::<bool>(),
    ) {
        let stream = chat(&text, &deltas, finish_with_text);
        let mut layout = layout(ServerKind::OpenAi, "/v1/chat/completions", "text/event-stream");
        let pieces = pieces(&mut *layout, &cut(stream.as_bytes(), &chunks)).unwrap();
        let lane: Vec<u8> = pieces.iter().filter_map(|piece| match piece {
            Piece::Text { raw, .. } => Some(raw.to_vec()),
            _ => None,
        }).flatten().collect();
        prop_assert_eq!(&lane, text.as_bytes());
        let out = String::from_utf8(sluggish(pieces, hold)).unwrap();
        let (texts, late) = client(&out);
        prop_assert_eq!(texts.get(&0).map(String::as_str), Some(text.as_str()));
        prop_assert!(!late, "{}", out);
        prop_assert!(out.ends_with("data: [DONE]\n\n"));
    }

    #[test]
    fn bent_answers_fault_or_keep_their_bytes(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        remove in any::<bool>(),
    ) {
        let all = answers();
        let (server, path, kind, answer) = &all[which.index(all.len())];
        let mut bytes = answer.as_bytes().to_vec();
        let at = at.index(bytes.len());
        if remove { bytes.truncate(at) } else { bytes[at] = byte }
        if path.ends_with("/models") {
            return Ok(());
        }
        if let Ok(pieces) = pieces(&mut *layout(*server, path, kind), &[&bytes]) {
            let kept = identity(&pieces);
            // A stream that breaks off between lines gets its line ended before held text comes out.
            prop_assert!(kept == bytes || kept.strip_prefix(&bytes[..]).is_some_and(|more| more.trim_ascii().is_empty()));
        }
    }

    #[test]
    fn no_answer_panics(bytes in any::<Vec<u8>>(), which in any::<prop::sample::Index>()) {
        let all = answers();
        let (server, path, kind, _) = &all[which.index(all.len())];
        let _ = pieces(&mut *layout(*server, path, kind), &[&bytes]);
    }
}

#[test]
fn every_lane_ends_in_every_answer() {
    for (server, path, kind, answer) in answers() {
        for hold in [0, 1, 100] {
            let pieces = pieces(&mut *layout(server, path, kind), &[answer.as_bytes()]).unwrap();
            sluggish(pieces, hold);
        }
    }
}

#[test]
fn a_stream_that_just_stops_still_says_what_was_held() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"secret\"}}]}";
    for end in ["", "\n", "\n\n", "\r\n\r\n"] {
        let stream = format!("{stream}{end}");
        let mut layout = layout(ServerKind::OpenAi, "/v1/chat/completions", "text/event-stream");
        let out = sluggish(pieces(&mut *layout, &[stream.as_bytes()]).unwrap(), 4);
        let out = String::from_utf8(out).unwrap().replace("\r\n", "\n").replace("\n\n\n", "\n\n");
        assert_eq!(client(&out).0[&0], "secret", "{out:?}");
    }
}

/// How each form writes a delta, and what ends its text.
type Form = (ServerKind, &'static str, &'static str, fn(&str) -> String, &'static str);

const FORMS: &[Form] = &[
    (
        ServerKind::OpenAi,
        "/v1/chat/completions",
        "text/event-stream",
        |text| {
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":2,\"function\":{{\"arguments\":\"{text}\"}}}}]}}}}]}}\n\n"
            )
        },
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    ),
    (
        ServerKind::Vllm,
        "/v1/completions",
        "text/event-stream",
        |text| format!("data: {{\"choices\":[{{\"index\":0,\"text\":\"{text}\"}}]}}\n\n"),
        "data: [DONE]\n\n",
    ),
    (
        ServerKind::OpenAi,
        "/v1/responses",
        "text/event-stream",
        |text| {
            format!(
                "event: response.reasoning_summary_text.delta\ndata: {{\"type\":\"response.reasoning_summary_text.delta\",\"item_id\":\"r\",\"output_index\":0,\"summary_index\":1,\"delta\":\"{text}\"}}\n\n"
            )
        },
        "event: response.reasoning_summary_text.done\ndata: {\"type\":\"response.reasoning_summary_text.done\",\"item_id\":\"r\",\"output_index\":0,\"summary_index\":1,\"text\":\"x\"}\n\n",
    ),
    (
        ServerKind::LlamaCpp,
        "/v1/messages",
        "text/event-stream",
        |text| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":3,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
            )
        },
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n",
    ),
    (
        ServerKind::Ollama,
        "/api/generate",
        "application/x-ndjson",
        |text| {
            format!(
                "{{\"model\":\"m\",\"created_at\":\"2026-11-20T10:00:00Z\",\"thinking\":\"{text}\",\"response\":\"\",\"done\":false}}\n"
            )
        },
        "{\"model\":\"m\",\"response\":\"\",\"done\":true}\n",
    ),
    (
        ServerKind::LlamaCpp,
        "/infill",
        "text/event-stream",
        |text| format!("data: {{\"content\":\"{text}\",\"stop\":false}}\n\n"),
        "data: {\"content\":\"\",\"stop\":true}\n\n",
    ),
];

/// The message a form's client would read `text` from is the one the layout makes up itself: lay its
/// output out again and read the lanes.
#[test]
fn in_every_form_a_text_cut_at_every_byte_comes_out_whole_before_its_end() {
    let text = "sk-0123456789 abc";
    for (server, path, kind, delta, finish) in FORMS {
        let stream: String =
            text.chars().map(|part| delta(&part.to_string())).chain([(*finish).to_owned()]).collect();
        let lanes = |stream: &str| {
            let mut texts = BTreeMap::<Lane, Vec<u8>>::new();
            let pieces = pieces(&mut *layout(*server, path, kind), &[stream.as_bytes()]).unwrap();
            for piece in &pieces {
                if let Piece::Text { lane, raw, .. } = piece {
                    texts.entry(*lane).or_default().extend_from_slice(raw);
                }
            }
            let all: Vec<_> = texts.into_values().filter(|text| !text.is_empty()).collect();
            (all, pieces)
        };
        let (texts, laid) = lanes(&stream);
        assert_eq!(texts, [text.as_bytes()], "{path}");
        for hold in [1, 5, 100] {
            let out = String::from_utf8(sluggish(laid.clone(), hold)).unwrap();
            // llama.cpp's last event has room for text itself.
            let last = if path == &"/infill" { "\"stop\":true}\n\n" } else { finish };
            assert!(out.ends_with(last) && out.matches(last).count() == 1, "{path}: {out}");
            assert_eq!(lanes(&out).0, [text.as_bytes()], "{path}: {out}");
        }
    }
}
