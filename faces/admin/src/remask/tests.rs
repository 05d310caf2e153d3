//! Masking again what was recorded, however it was cut.

use adapt_http::{AdapterSpec, ServerKind};
use model::DataClass;
use record::body::{Header, Opaque};
use serde_json::{Value, json};

use super::*;

struct Sees(bool);

impl Reveal for Sees {
    fn reveals(&self, _class: &DataClass) -> bool {
        self.0
    }
}

const MAIL: &str = "zorba.quill@kestrelpost.com";

fn adapter(kind: ServerKind) -> Arc<HttpAdapter> {
    Arc::new(HttpAdapter::build(AdapterSpec::new(kind)).unwrap())
}

fn begin(shape: Shape, sees: bool) -> Remask {
    ending(shape, Ended::Whole, sees)
}

fn ending(shape: Shape, ended: Ended, sees: bool) -> Remask {
    let exchange = ExchangeId::at(jiff::Timestamp::UNIX_EPOCH);
    let head = RequestHead {
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        query: None,
        headers: vec![Header { name: "content-type".into(), value: b"application/json".to_vec() }],
    };
    let parts = (Rules::standard().unwrap(), adapter(ServerKind::Plain));
    Remask::begin(exchange, head, (shape, ended), parts, Arc::new(Sees(sees)))
}

fn openai() -> Shape {
    Shape::Of(adapter(ServerKind::OpenAi))
}

fn head(kind: &str) -> Body {
    let header = Header { name: "content-type".into(), value: kind.as_bytes().to_vec() };
    Body {
        direction: Direction::Response.into(),
        kind: Kind::Head.into(),
        status: 200,
        headers: vec![header],
        ..Body::default()
    }
}

fn data(direction: Direction, bytes: &[u8]) -> Body {
    let data = Bytes::copy_from_slice(bytes);
    Body { direction: direction.into(), kind: Kind::Data.into(), data, ..Body::default() }
}

/// What an answer of these bytes, cut into pieces of `size`, shows.
fn shown(mut remask: Remask, kind: &str, bytes: &[u8], size: usize) -> (String, Remask) {
    let mut text = Vec::new();
    let frames =
        std::iter::once(head(kind)).chain(bytes.chunks(size).map(|piece| data(Direction::Response, piece)));
    let seen: Vec<Seen> = frames.flat_map(|frame| remask.take(frame)).collect();
    for seen in seen.into_iter().chain(remask.finish(0)) {
        text.extend_from_slice(&seen.data);
    }
    (String::from_utf8(text).unwrap(), remask)
}

fn event(content: &str) -> String {
    let chunk = json!({ "id": "1", "object": "chat.completion.chunk", "choices": [
        { "index": 0, "delta": { "content": content }, "finish_reason": null } ] });
    format!("data: {chunk}\n\n")
}

fn joined_text(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_value_split_over_a_stream_is_found_however_the_record_is_cut() {
    let pieces: String = MAIL.as_bytes().chunks(2).map(|p| event(std::str::from_utf8(p).unwrap())).collect();
    let stream = format!("{}{pieces}{}data: [DONE]\n\n", event("mail "), event(" ends"));
    for size in [1, 7, 64, 1000, stream.len()] {
        let (all, remask) = shown(begin(openai(), true), "text/event-stream", stream.as_bytes(), size);
        assert_eq!(joined_text(&all), format!("mail {MAIL} ends"), "{size}");
        assert!(remask.findings().masked.is_empty());
        let (some, remask) = shown(begin(openai(), false), "text/event-stream", stream.as_bytes(), size);
        assert_eq!(joined_text(&some), "mail [pii.email] ends", "{size}");
        assert!(some.ends_with("data: [DONE]\n\n"), "{some}");
        assert_eq!(remask.findings().masked.values().sum::<u64>(), 1, "{size}");
    }
}

#[test]
fn a_cut_stream_shows_nothing_of_what_was_still_held() {
    let stream = format!("{}{}", event("mail "), event("zorba.quill@kestrel"));
    let remask = ending(openai(), Ended::Cut, false);
    let (some, _) = shown(remask, "text/event-stream", stream.as_bytes(), 9);
    assert!(!some.contains("kestrel") && joined_text(&some).starts_with("mail"), "{some}");
}

#[test]
fn nothing_is_shown_of_an_answer_whose_shape_is_not_known() {
    let body = json!({ "content": MAIL }).to_string();
    for sees in [true, false] {
        let mut remask = begin(Shape::Unknown, sees);
        let seen: Vec<Seen> = [head("application/json"), data(Direction::Response, body.as_bytes())]
            .into_iter()
            .flat_map(|frame| remask.take(frame))
            .collect();
        assert!(seen.iter().all(|seen| seen.data.is_empty()), "{seen:?}");
        assert!(seen.iter().any(|seen| seen.kind == Kind::Withheld && seen.opaque.is_some()), "{seen:?}");
    }
}

#[test]
fn requests_are_masked_where_json_has_strings() {
    let escaped: String = MAIL.chars().map(|letter| format!("\\u{:04x}", letter as u32)).collect();
    let body = format!(r#"{{"messages":[{{"content":"a {MAIL} b"}},{{"content":"{escaped}"}}],"n":1}}"#);
    for (sees, wanted) in [(true, MAIL), (false, "[pii.email]")] {
        let mut remask = begin(openai(), sees);
        for piece in body.as_bytes().chunks(5) {
            assert!(remask.take(data(Direction::Request, piece)).is_empty());
        }
        let (bytes, cut) = remask.request();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["messages"][0]["content"], format!("a {wanted} b"));
        assert_eq!(value["messages"][1]["content"], wanted);
        assert!(!cut);
    }
}

#[test]
fn a_request_too_large_to_show_is_not_shown_in_part() {
    let mut remask = begin(openai(), false);
    remask.take(data(Direction::Request, b"{\"a\":\""));
    remask.take(data(Direction::Request, &vec![b'x'; LONGEST_SHOWN]));
    let (bytes, cut) = remask.request();
    assert!(cut && bytes.len() <= LONGEST_SHOWN);
}

#[test]
fn what_is_kept_as_a_digest_leaves_its_place_readable() {
    let opaque = |class: &str| Body {
        direction: Direction::Response.into(),
        kind: Kind::Opaque.into(),
        opaque: Some(Opaque { class: class.into(), length: 9, digest: Vec::new() }),
        ..Body::default()
    };
    for (before, class, after) in [
        (r#"{"data":[{"b64_json":""#, "opaque.image", "\"}]}"),
        (r#"{"data":[{"embedding":"#, "opaque.embedding", "}]}"),
    ] {
        let mut remask = begin(openai(), true);
        let frames = [
            head("application/json"),
            data(Direction::Response, before.as_bytes()),
            opaque(class),
            data(Direction::Response, after.as_bytes()),
        ];
        let mut seen: Vec<Seen> = frames.into_iter().flat_map(|frame| remask.take(frame)).collect();
        seen.extend(remask.finish(0));
        let bytes: Vec<u8> = seen.iter().flat_map(|seen| seen.data.to_vec()).collect();
        assert!(serde_json::from_slice::<Value>(&bytes).is_ok(), "{}", String::from_utf8_lossy(&bytes));
        let told = seen.iter().find_map(|seen| seen.opaque.clone()).unwrap();
        assert_eq!(told, (class.to_owned(), 9));
    }
}

#[test]
fn words_of_the_gateway_are_masked_as_text() {
    let mut remask = begin(openai(), false);
    let words = format!("no model `{MAIL}`");
    let frame = Body { kind: Kind::SpokenData.into(), ..data(Direction::Response, words.as_bytes()) };
    let seen = remask.take(frame);
    assert_eq!(seen.last().unwrap().data, "no model `[pii.email]`");
}
