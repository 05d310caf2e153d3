//! Answers that are not what they say, or that clients read in more than one way.

use model::{LayoutFault, Piece};

use super::{layout, layout_with, pieces, spec, written};
use crate::ServerKind::LlamaCpp;

const CHAT: &str = "/v1/chat/completions";
const EVENTS: &str = "text/event-stream";

fn read(content_type: Option<&str>, status: u16, answer: &str) -> Result<Vec<Piece>, LayoutFault> {
    let mut layout = layout_with(spec(LlamaCpp), ("POST", CHAT), status, content_type);
    pieces(&mut *layout, &[answer.as_bytes()])
}

fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn events_of_another_type_are_read_as_events() {
    let answer = format!(": hello\n\n{}{}data: [DONE]\n\n", delta("AB"), delta("CD"));
    for content_type in [None, Some("text/plain"), Some("application/json"), Some("text/html")] {
        let pieces = read(content_type, 200, &answer).unwrap();
        let lanes: Vec<_> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Text { lane, raw, .. } if matches!(&raw[..], b"AB" | b"CD") => Some(*lane),
                _ => None,
            })
            .collect();
        assert_eq!(lanes.len(), 2, "{content_type:?}");
        assert_eq!(lanes[0], lanes[1], "{content_type:?}");
    }
}

#[test]
fn yaml_with_a_data_key_stays_one_text() {
    let text = "kind: Secret\ndata:\n  key: a\n  b\n";
    let laid = written(&read(Some("text/plain"), 200, text).unwrap());
    assert_eq!(laid, format!("‹0:{text}›‹/0›"));
}

#[test]
fn json_of_another_type_is_read_as_json() {
    for answer in [r#"[{"a":"\u0041"}]"#, r#""\u0041""#, "\u{feff}{\"a\":\"\\u0041\"}"] {
        for content_type in [None, Some("text/plain"), Some("application/json"), Some("application/xml")] {
            let laid = written(&read(content_type, 200, answer).unwrap());
            assert!(laid.contains(r"«\u0041»"), "{content_type:?}: {laid}");
        }
    }
    // An error of a server that labels it as it was asked.
    let laid = written(&read(Some(EVENTS), 500, r#"{"error":{"message":"\u0041"}}"#).unwrap());
    assert!(laid.contains(r"«\u0041»"), "{laid}");
}

#[test]
fn bare_json_in_an_event_stream_is_a_fault() {
    for answer in [r#"{"a":"b"}"#, r#"["a"]"#, r#" "a""#] {
        assert!(matches!(read(Some(EVENTS), 200, answer), Err(LayoutFault::Malformed(_))), "{answer}");
    }
    assert!(read(Some(EVENTS), 200, "x-note: a\n\ndata: [DONE]\n\n").is_ok());
}

#[test]
fn a_byte_order_mark_stands_only_at_the_beginning() {
    let first = format!("\u{feff}{}", delta("a"));
    assert!(read(Some(EVENTS), 200, &first).is_ok());
    let later = format!("{}\u{feff}{}", delta("a"), delta("b"));
    assert!(matches!(read(Some(EVENTS), 200, &later), Err(LayoutFault::Malformed(_))));
}

#[test]
fn a_text_does_not_go_on_after_its_end() {
    for end in [FINISH, "data: [DONE]\n\n"] {
        let on = format!("{}{end}{}", delta("AB"), delta("CD"));
        assert!(matches!(read(Some(EVENTS), 200, &on), Err(LayoutFault::Malformed(_))), "{end}");
        // Servers report usage in a last chunk with an empty delta.
        let empty = format!("{}{end}{}", delta("AB"), delta(""));
        assert!(read(Some(EVENTS), 200, &empty).is_ok(), "{end}");
    }
}

#[test]
fn a_key_twice_in_a_message_is_a_fault() {
    for event in [
        r#"{"choices":[{"index":0,"delta":{"content":"x","content":"AB"}}]}"#,
        r#"{"choices":[{"index":0,"index":1,"delta":{"content":"AB"}}]}"#,
        r#"{"choices":[],"choices":[{"delta":{"cont\u0065nt":"AB"}}]}"#,
        r#"{"choices":[],"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"a":2}"#,
    ] {
        let answer = format!("data: {event}\n\n");
        assert!(matches!(read(Some(EVENTS), 200, &answer), Err(LayoutFault::Malformed(_))), "{event}");
    }
}

#[test]
fn pieces_of_a_message_are_joined_like_those_of_a_delta() {
    let event = |text| format!("data: {{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let mut layout = layout(LlamaCpp, CHAT, EVENTS);
    let laid = written(
        &pieces(&mut *layout, &[event("AB").as_bytes(), event("CD").as_bytes(), FINISH.as_bytes()]).unwrap(),
    );
    assert!(laid.contains("‹0:AB›") && laid.contains("‹0:CD›"), "{laid}");
    assert!(laid.contains(r#""message":{"content":""#), "{laid}");
}

#[test]
fn only_the_protocols_own_signature_passes_unread() {
    let start = |block: &str| {
        format!(
            "data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{block}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    };
    let laid = |block: &str| written(&read(Some(EVENTS), 200, &start(block)).unwrap());
    assert!(laid(r#"{"type":"tool_use","input":{"signature":"AB"}}"#).contains("«AB»"));
    assert!(!laid(r#"{"type":"thinking","thinking":"","signature":"AB"}"#).contains("«AB»"));
}

#[test]
fn long_floats_may_be_numbers_of_cards() {
    let laid = written(&read(Some("application/json"), 200, r#"{"a":4111111111111111.0,"b":0.5}"#).unwrap());
    assert_eq!(laid, r#"{"«a»":«4111111111111111.0»,"«b»":0.5}"#);
}
