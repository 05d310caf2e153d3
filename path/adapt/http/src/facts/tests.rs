//! Operations and facts of whole requests.

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;
use model::{Adapter, Class, ExchangeId, Operation, QuestionParts};
use proptest::prelude::*;
use std::sync::Arc;

use super::*;
use crate::{AdapterSpec, HttpAdapter, RouteSpec, ServerKind};

fn question(method: &str, target: &str, content_type: Option<&str>, body: &[u8]) -> Question {
    let mut headers = HeaderMap::new();
    if let Some(kind) = content_type {
        headers.insert("content-type", HeaderValue::from_str(kind).unwrap());
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Question::new(QuestionParts {
        exchange: ExchangeId::from_bytes([0; 16]),
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers,
        body: Bytes::copy_from_slice(body),
    })
}

fn adapter(server: ServerKind) -> HttpAdapter {
    let lists = [("weights".to_owned(), vec![r"state_dict\b".to_owned()], vec!["bluebird".to_owned()])];
    let patterns = Arc::new(Patterns::build(&lists).unwrap());
    HttpAdapter::build(AdapterSpec { patterns, ..AdapterSpec::new(server) }).unwrap()
}

fn post(server: ServerKind, target: &str, body: &str) -> Result<Vec<Operation>, Refusal> {
    adapter(server).operations(&question("POST", target, Some("application/json"), body.as_bytes()))
}

/// The one operation of a request to an OpenAI-compatible server.
fn one(target: &str, body: &str) -> Operation {
    let mut all = post(ServerKind::OpenAi, target, body).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn code(server: ServerKind, target: &str, body: &str) -> Code {
    post(server, target, body).unwrap_err().code
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn a_chat_request_yields_its_facts() {
    let body = r#"{"model":"llama-3","stream":true,"n":2,"max_tokens":100,"max_completion_tokens":300,
        "tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"Model":{"type":"image"}}}}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"the Blue\u0062ird state_dict"},
            {"type":"image_url","image_url":{"url":"data:"}},{"type":"input_audio","input_audio":{"data":""}}]}]}"#;
    let operation = one(CHAT, body);
    assert_eq!((operation.class, operation.name.as_str()), (Class::Infer, "openai.chat"));
    let facts = operation.facts;
    assert_eq!(facts.model, "llama-3");
    assert!(facts.stream && facts.tools);
    assert_eq!((facts.batch, facts.max_tokens, facts.images, facts.audio), (2, 600, 1, 1));
    assert_eq!(facts.request_bytes, i64::try_from(body.len()).unwrap());
    assert_eq!(facts.matches.into_iter().collect::<Vec<_>>(), ["weights"]);
    assert_eq!((facts.method.as_str(), facts.path.as_str()), ("POST", CHAT));
}

#[test]
fn the_model_is_required_and_taken_exactly() {
    for body in [r#"{"messages":[]}"#, r#"{"model":null}"#, r#"{"model":""}"#, "[]", "\"model\""] {
        assert_eq!(code(ServerKind::OpenAi, CHAT, body), Code::ModelMissing, "{body}");
    }
    assert_eq!(one(CHAT, r#"{"model":" Llama\u002D3 "}"#).facts.model, " Llama-3 ");
    assert_eq!(code(ServerKind::OpenAi, CHAT, r#"{"model":["a"]}"#), Code::RequestMalformed);
}

#[test]
fn unstated_limits_count_as_unbounded() {
    for (body, limit) in [
        (r#"{"model":"a"}"#, Facts::BOUND),
        (r#"{"model":"a","max_tokens":null}"#, Facts::BOUND),
        (r#"{"model":"a","max_tokens":-1}"#, Facts::BOUND),
        (r#"{"model":"a","max_tokens":0}"#, Facts::BOUND),
        (r#"{"model":"a","max_tokens":9223372036854775807,"n":9223372036854775807}"#, Facts::BOUND),
        (r#"{"model":"a","max_tokens":5.0}"#, 5),
        (r#"{"model":"a","max_output_tokens":7,"n_predict":6}"#, 7),
        (r#"{"model":"a","options":{"num_predict":9}}"#, 9),
    ] {
        assert_eq!(one(CHAT, body).facts.max_tokens, limit, "{body}");
    }
    assert_eq!(one("/v1/embeddings", r#"{"model":"a","input":"x"}"#).facts.max_tokens, 0);
}

#[test]
fn batches_are_counted_but_stay_in_their_class() {
    for (path, body, class, batch) in [
        ("/v1/completions", r#"{"model":"a","prompt":["a","b","c"],"n":2,"best_of":2}"#, Class::Infer, 12),
        ("/v1/completions", r#"{"model":"a","prompt":[1,2,3]}"#, Class::Infer, 1),
        ("/v1/completions", r#"{"model":"a","prompt":[[1,2],[3]]}"#, Class::Infer, 2),
        ("/v1/completions", r#"{"model":"a","prompt":[1,"b"]}"#, Class::Infer, 2),
        ("/v1/embeddings", r#"{"model":"a","input":["a","b"]}"#, Class::Embed, 2),
        (
            "/v1/rerank",
            r#"{"model":"a","query":"q","documents":[{"role":"x"},{"role":"y"}]}"#,
            Class::Embed,
            2,
        ),
        ("/v1/score", r#"{"model":"a","text_1":["a","b"],"text_2":["c","d","e"]}"#, Class::Embed, 6),
        (
            "/v1/chat/completions/batch",
            r#"{"model":"a","messages":[[{"role":"user"}],[{"role":"user"}]]}"#,
            Class::Batch,
            2,
        ),
        (CHAT, r#"{"model":"a","messages":[{"role":"user"},{"role":"user"}]}"#, Class::Infer, 1),
        (CHAT, r#"{"model":"a","n":-5}"#, Class::Infer, 1),
    ] {
        let operation = one(path, body);
        assert_eq!((operation.class, operation.facts.batch), (class, batch), "{body}");
    }
}

#[test]
fn facts_of_another_type_are_refused() {
    for field in [
        r#""n":"2""#,
        r#""n":true"#,
        r#""n":1.5"#,
        r#""max_tokens":"1""#,
        r#""stream":"true""#,
        r#""stream":1"#,
        r#""options":{"num_predict":"1"}"#,
        r#""Model":"b""#,
        r#""STREAM":true"#,
        r#""me\u017fsages":[]"#,
        r#""options":{"Num_Predict":1}"#,
        r#""messages":[{"Content":"x"}]"#,
        r#""messages":[{"content":[{"Image_URL":"x"}]}]"#,
    ] {
        let body = format!(r#"{{"x":1,{field},"messages2":[],"model2":"a"}}"#).replace("model2", "model");
        let body = if field.contains("Model") { body.replace(r#","model":"a""#, "") } else { body };
        assert_eq!(code(ServerKind::OpenAi, CHAT, &body), Code::RequestMalformed, "{body}");
    }
}

#[test]
fn ollama_streams_by_default_and_loads_without_words() {
    for (path, body, class, name) in [
        ("/api/generate", r#"{"model":"a","prompt":"hi"}"#, Class::Infer, "ollama.generate"),
        ("/api/generate", r#"{"model":"a"}"#, Class::Manage, "ollama.load"),
        ("/api/generate", r#"{"model":"a","prompt":"","keep_alive":-1}"#, Class::Manage, "ollama.load"),
        ("/api/generate", r#"{"model":"a","prompt":null,"keep_alive":0}"#, Class::Manage, "ollama.unload"),
        ("/api/generate", r#"{"model":"a","keep_alive":"0s"}"#, Class::Manage, "ollama.unload"),
        ("/api/generate", r#"{"model":"a","keep_alive":"0h0m"}"#, Class::Manage, "ollama.unload"),
        ("/api/generate", r#"{"model":"a","keep_alive":"10s"}"#, Class::Manage, "ollama.load"),
        ("/api/generate", r#"{"model":"a","prompt":"hi","keep_alive":0}"#, Class::Infer, "ollama.generate"),
        ("/api/chat", r#"{"model":"a","messages":[]}"#, Class::Manage, "ollama.load"),
        ("/api/chat", r#"{"model":"a","messages":[{"role":"user"}]}"#, Class::Infer, "ollama.chat"),
    ] {
        let operation = post(ServerKind::Ollama, path, body).unwrap().remove(0);
        assert_eq!((operation.class, operation.name.as_str()), (class, name), "{body}");
        assert!(operation.facts.stream);
    }
    let quiet = post(
        ServerKind::Ollama,
        "/api/chat",
        r#"{"model":"a","stream":false,"messages":[{"role":"user","images":["x","y"]}]}"#,
    );
    let facts = quiet.unwrap().remove(0).facts;
    assert_eq!((facts.stream, facts.images), (false, 2));
}

#[test]
fn every_model_a_request_names_is_an_operation() {
    let copy = post(ServerKind::Ollama, "/api/copy", r#"{"source":"a","destination":"b"}"#).unwrap();
    assert_eq!(copy.iter().map(|o| o.facts.model.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let pull = post(ServerKind::Ollama, "/api/pull", r#"{"name":"a"}"#).unwrap();
    assert_eq!(pull[0].facts.model, "a");
    assert_eq!(code(ServerKind::Ollama, "/api/pull", r#"{"name":"a","model":"b"}"#), Code::RequestMalformed);
}

#[test]
fn the_path_and_the_query_decide_too() {
    let get = |server, target: &str| {
        adapter(server).operations(&question("GET", target, None, b"")).unwrap().remove(0)
    };
    let model = get(ServerKind::OpenAi, "/v1/models/llama3:8b");
    assert_eq!((model.class, model.facts.model.as_str()), (Class::Inspect, "llama3:8b"));
    assert!(get(ServerKind::OpenAi, "/v1/responses/resp_1?stream=true").facts.stream);
    assert!(!get(ServerKind::OpenAi, "/v1/responses/resp_1").facts.stream);
    let slot = |target: &str| {
        adapter(ServerKind::LlamaCpp)
            .operations(&question("POST", target, None, b""))
            .map(|mut all| all.remove(0).name)
    };
    assert_eq!(slot("/slots/0?action=erase").unwrap(), "llama-cpp.slot.erase");
    assert_eq!(slot("/slots/0?action=%65rase").unwrap(), "llama-cpp.slot.erase");
    assert_eq!(slot("/slots/0?action=other").unwrap(), "llama-cpp.slot");
    assert_eq!(slot("/slots/0?action=save&action=erase").unwrap_err().code, Code::RequestMalformed);
    assert!(get(ServerKind::OpenAi, "/v1/models?q=blue%62ird").facts.matches.contains("weights"));
}

#[test]
fn unlisted_operations_are_unknown_and_still_read_strictly() {
    let unknown = post(ServerKind::OpenAi, "/v9/new", r#"{"model":"a"}"#).unwrap().remove(0);
    assert_eq!((unknown.class, unknown.facts.model.as_str()), (Class::Unknown, "a"));
    assert_eq!(code(ServerKind::OpenAi, "/v9/new", r#"{"a":1,"a":2}"#), Code::RequestMalformed);
    let form = question("POST", "/v9/new", Some("application/x-www-form-urlencoded"), b"a=b");
    assert_eq!(adapter(ServerKind::OpenAi).operations(&form).unwrap_err().code, Code::EncodingUnsupported);
}

#[test]
fn bodies_of_another_kind_are_refused() {
    let refused = |method, target, kind, body: &[u8]| {
        adapter(ServerKind::OpenAi).operations(&question(method, target, kind, body)).unwrap_err().code
    };
    let body = br#"{"model":"a"}"#;
    assert_eq!(refused("POST", CHAT, None, body), Code::EncodingUnsupported);
    assert_eq!(refused("POST", CHAT, Some("text/plain"), body), Code::EncodingUnsupported);
    assert_eq!(
        refused("POST", CHAT, Some("application/json; charset=utf-16"), body),
        Code::EncodingUnsupported
    );
    assert_eq!(refused("GET", "/v1/models", Some("application/json"), body), Code::RequestMalformed);
    assert_eq!(refused("GET", "/v9/new", Some("application/json"), body), Code::RequestMalformed);
    assert_eq!(refused("GET", "/v1/realtime", None, b""), Code::NotSupported);
    assert_eq!(
        refused("POST", CHAT, Some("application/json"), br#"{"model":"a"} "#.repeat(2).as_slice()),
        Code::RequestMalformed
    );
}

#[test]
fn a_teams_own_routes_need_no_model() {
    let mut spec = AdapterSpec::new(ServerKind::Plain);
    spec.routes.push(RouteSpec {
        methods: vec![Method::GET],
        path: "/orders/{id}".to_owned(),
        class: Class::Read,
        name: "orders.read".to_owned(),
    });
    spec.routes.push(RouteSpec {
        methods: vec![Method::POST],
        path: "/orders".to_owned(),
        class: Class::Write,
        name: "orders.place".to_owned(),
    });
    let adapter = HttpAdapter::build(spec).unwrap();
    let ask = |method, path, body: &[u8]| {
        adapter
            .operations(&question(method, path, Some("application/json"), body))
            .map(|mut all| all.remove(0))
    };
    assert_eq!(ask("GET", "/orders/7", b"").unwrap().class, Class::Read);
    let place = ask("POST", "/orders", br#"{"Model":"T","model":3,"n":"x"}"#);
    assert!(place.is_err(), "keys that differ only in case");
    let place = ask("POST", "/orders", br#"{"Name":"T","model":3,"n":"x"}"#).unwrap();
    assert_eq!((place.class, place.facts.model.as_str()), (Class::Write, ""));
    assert_eq!(ask("DELETE", "/orders/7", b"").unwrap().class, Class::Unknown);
    assert!(
        HttpAdapter::build(AdapterSpec {
            routes: vec![RouteSpec {
                methods: vec![],
                path: "orders".into(),
                class: Class::Read,
                name: "x".into()
            }],
            ..AdapterSpec::new(ServerKind::Plain)
        })
        .is_err()
    );
}

/// A form with the given parts, each headers and content.
fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (head, content) in parts {
        body.push_str(&format!("--XyZ\r\n{head}\r\n\r\n{content}\r\n"));
    }
    (body + "--XyZ--\r\n").into_bytes()
}

const MODEL_PART: (&str, &str) = ("Content-Disposition: form-data; name=\"model\"", "whisper-1");
const FILE_PART: (&str, &str) = (
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav",
    "RIFF\r\n--X",
);

fn transcribe(body: &[u8]) -> Result<Operation, Code> {
    let question =
        question("POST", "/v1/audio/transcriptions", Some("multipart/form-data; boundary=XyZ"), body);
    adapter(ServerKind::OpenAi)
        .operations(&question)
        .map(|mut all| all.remove(0))
        .map_err(|refusal| refusal.code)
}

#[test]
fn forms_are_read_for_their_facts() {
    let prompt = ("content-disposition: form-data; name=\"prompt\"", "about bluebird");
    let lists = ("Content-Disposition: form-data; name=\"timestamp_granularities[]\"", "word");
    let facts = transcribe(&form(&[FILE_PART, MODEL_PART, prompt, lists, lists])).unwrap().facts;
    assert_eq!((facts.model.as_str(), facts.audio, facts.stream), ("whisper-1", 1, false));
    assert!(facts.matches.contains("weights"));
    let stream = ("Content-Disposition: form-data; name=\"stream\"", "true");
    let map = (
        "Content-Disposition: form-data; name=\"chunking_strategy[type]\"\r\nContent-Type: text/plain",
        "auto",
    );
    assert!(transcribe(&form(&[FILE_PART, MODEL_PART, map])).is_ok());
    assert!(transcribe(&form(&[FILE_PART, MODEL_PART, stream])).unwrap().facts.stream);
}

#[test]
fn forms_that_read_in_two_ways_are_refused() {
    let upper = ("Content-Disposition: form-data; name=\"Model\"", "other");
    let escaped = ("Content-Disposition: form-data; name=\"mo\\del\"", "other");
    let star = ("Content-Disposition: form-data; name*=utf-8''model", "other");
    let unquoted = ("Content-Disposition: form-data; name=model", "other");
    let encoded =
        ("Content-Disposition: form-data; name=\"prompt\"\r\nContent-Transfer-Encoding: base64", "YQ==");
    let twice = ("Content-Disposition: form-data; name=\"a\"; name=\"model\"", "x");
    let feed = ("Content-Disposition: form-data; name=\"a\"\nX: y", "x");
    let inner = ("Content-Disposition: form-data; name=\"a\"", "x\r\n--XyZw\r\n");
    let stream = ("Content-Disposition: form-data; name=\"stream\"", "1");
    let list = ("Content-Disposition: form-data; name=\"model[]\"", "x");
    let foreign =
        ("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=utf-16", "x");
    for part in
        [MODEL_PART, upper, escaped, star, unquoted, encoded, twice, feed, inner, stream, list, foreign]
    {
        assert_eq!(
            transcribe(&form(&[FILE_PART, MODEL_PART, part])),
            Err(Code::RequestMalformed),
            "{part:?}"
        );
    }
    assert_eq!(transcribe(&form(&[FILE_PART])), Err(Code::ModelMissing));
    let good = form(&[MODEL_PART]);
    assert!(transcribe(&good).is_ok());
    assert_eq!(transcribe(&[b"preamble\r\n".as_slice(), &good].concat()), Err(Code::RequestMalformed));
    assert_eq!(transcribe(&[good.as_slice(), b"epilogue"].concat()), Err(Code::RequestMalformed));
    assert_eq!(transcribe(&good[..good.len() - 4]), Err(Code::RequestMalformed));
    let question = question(
        "POST",
        "/v1/audio/transcriptions",
        Some("multipart/form-data; boundary=a; boundary=b"),
        &good,
    );
    assert_eq!(
        adapter(ServerKind::OpenAi).operations(&question).unwrap_err().code,
        Code::EncodingUnsupported
    );
}

proptest! {
    #[test]
    fn no_body_panics(body in any::<Vec<u8>>(), kind in prop::sample::select(vec![
        "application/json", "multipart/form-data; boundary=XyZ", "text/plain", "",
    ])) {
        for path in [CHAT, "/v1/audio/transcriptions", "/v1/files", "/v9/new"] {
            let _ = adapter(ServerKind::OpenAi).operations(&question("POST", path, Some(kind), &body));
        }
    }

    #[test]
    fn near_forms_do_not_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "--XyZ", "--", "\r\n", "\n", "Content-Disposition: form-data; name=\"model\"", "; filename=\"", ":", "a", "\"",
    ]), 0..20)) {
        let _ = transcribe(parts.concat().as_bytes());
    }
}
