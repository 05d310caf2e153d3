//! Every shape of stream with a secret cut at every byte: it is neither in the bytes that come out nor in
//! the text a client joins from them, and the text around it is whole.

use std::sync::Arc;

use http::{Method, StatusCode};
use mask::{Masker, Part, Rules};
use model::{Findings, Unmasked, Usage};
use serde_json::Value;

use super::*;
use crate::ServerKind::{Kserve, LlamaCpp, Ollama, OpenAi, Sglang, Tgi, Triton, Vllm};

pub(super) const SSE: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const BEFORE: &str = "the key is ";
const AFTER: &str = " and that is \\\"all\\\"";

/// Made up, and put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat()
}

/// An answer as a caller gets it who may see these classes.
pub(super) struct Got {
    pub(super) text: String,
    pub(super) findings: Findings,
    pub(super) usage: Option<Usage>,
    pub(super) headers: HeaderMap,
}

struct Sees(&'static [&'static str]);

impl Reveal for Sees {
    fn reveals(&self, class: &DataClass) -> bool {
        self.0
            .iter()
            .any(|known| class.as_str() == *known || class.as_str().starts_with(&format!("{known}.")))
    }
}

pub(super) fn got(
    spec: AdapterSpec,
    path: &str,
    headers: &[(&'static str, &str)],
    sees: &'static [&'static str],
    chunks: &[&[u8]],
) -> Result<Got, LayoutFault> {
    let exchange = ExchangeId::from_bytes([0; 16]);
    let question = Question::new(QuestionParts {
        exchange,
        method: Method::POST,
        path: path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: Bytes::new(),
    });
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let head = AnswerHead { status: StatusCode::OK, headers: map };
    let viewer: Arc<dyn Reveal> = Arc::new(Sees(sees));
    let may_see = MaySee { usable: Arc::new(OnlyOk), viewer: Arc::clone(&viewer) };
    let layout = HttpAdapter::build(spec).unwrap().layout(&question, &head, may_see);
    let mut masker = Masker::begin(exchange, Rules::standard().unwrap(), viewer, layout);
    let Part::Head { headers, .. } = masker.head(&head).into_part() else { panic!("no head") };
    let mut bytes = Vec::new();
    let mut take = |masked: mask::Masked| {
        let Part::Body { bytes: more, .. } = masked.into_part() else { panic!("no body") };
        bytes.extend_from_slice(&more);
    };
    for chunk in chunks {
        take(masker.push(Unmasked { exchange, bytes: Bytes::copy_from_slice(chunk) })?);
    }
    take(masker.finish()?);
    let text = String::from_utf8(bytes).expect("UTF-8");
    Ok(Got { text, findings: masker.findings().clone(), usage: masker.usage(), headers })
}

/// A shape of stream.
struct Shape {
    server: ServerKind,
    path: &'static str,
    kind: &'static str,
    /// A message with the next run of text, written as inside JSON; and everything so far.
    message: fn(&str, &str) -> String,
    /// What comes last; `@@` stands for the whole text, where the shape repeats it.
    last: &'static str,
    /// Where a message's text is.
    text: &'static str,
    /// Whether each message repeats the text so far.
    repeats: bool,
}

const CHAT_END: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";

fn shape(
    server: ServerKind,
    path: &'static str,
    message: fn(&str, &str) -> String,
    last: &'static str,
    text: &'static str,
) -> Shape {
    Shape { server, path, kind: SSE, message, last, text, repeats: false }
}

fn shapes() -> Vec<Shape> {
    vec![
        shape(
            OpenAi,
            "/v1/chat/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{t}\"}},\"finish_reason\":null}}]}}\n\n"
                )
            },
            CHAT_END,
            "/choices/0/delta/content",
        ),
        shape(
            Vllm,
            "/v1/chat/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"reasoning_content\":\"{t}\"}},\"logprobs\":{{\"content\":[{{\"token\":\"{t}\",\"logprob\":-0.1,\"bytes\":[65],\"top_logprobs\":[]}}]}},\"finish_reason\":null}}]}}\n\n"
                )
            },
            CHAT_END,
            "/choices/0/delta/reasoning_content",
        ),
        shape(
            Vllm,
            "/v1/chat/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"reasoning\":\"{t}\"}}}}]}}\n\n"
                )
            },
            CHAT_END,
            "/choices/0/delta/reasoning",
        ),
        shape(
            OpenAi,
            "/v1/chat/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"refusal\":\"{t}\"}}}}]}}\n\n"
                )
            },
            CHAT_END,
            "/choices/0/delta/refusal",
        ),
        shape(
            OpenAi,
            "/v1/chat/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"function_call\":{{\"arguments\":\"{t}\"}}}}}}]}}\n\n"
                )
            },
            CHAT_END,
            "/choices/0/delta/function_call/arguments",
        ),
        shape(
            LlamaCpp,
            "/v1/chat/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":\"{t}\"}}}}]}}}}]}}\n\n"
                )
            },
            CHAT_END,
            "/choices/0/delta/tool_calls/0/function/arguments",
        ),
        shape(
            Vllm,
            "/v1/completions",
            |t, _| {
                format!(
                    "data: {{\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{{\"index\":0,\"text\":\"{t}\",\"logprobs\":{{\"tokens\":[\"{t}\"],\"top_logprobs\":[{{\"{t}\":-0.1}}],\"text_offset\":[0]}},\"finish_reason\":null}}]}}\n\n"
                )
            },
            "data: [DONE]\n\n",
            "/choices/0/text",
        ),
        shape(
            OpenAi,
            "/v1/responses",
            |t, _| {
                format!(
                    "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"{t}\"}}\n\n"
                )
            },
            "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"text\":\"@@\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"@@\"}]}],\"usage\":{\"input_tokens\":7,\"output_tokens\":9}}}\n\n",
            "/delta",
        ),
        shape(
            OpenAi,
            "/v1/responses",
            |t, _| {
                format!(
                    "event: response.function_call_arguments.delta\ndata: {{\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"f\",\"output_index\":1,\"delta\":\"{t}\"}}\n\n"
                )
            },
            "event: response.function_call_arguments.done\ndata: {\"type\":\"response.function_call_arguments.done\",\"item_id\":\"f\",\"output_index\":1,\"arguments\":\"@@\"}\n\n",
            "/delta",
        ),
        shape(
            OpenAi,
            "/v1/messages",
            |t, _| {
                format!(
                    "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{t}\"}}}}\n\n"
                )
            },
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
            "/delta/text",
        ),
        shape(
            LlamaCpp,
            "/v1/messages",
            |t, _| {
                format!(
                    "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{{\"type\":\"thinking_delta\",\"thinking\":\"{t}\"}}}}\n\n"
                )
            },
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
            "/delta/thinking",
        ),
        shape(
            OpenAi,
            "/v1/messages",
            |t, _| {
                format!(
                    "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":2,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":\"{t}\"}}}}\n\n"
                )
            },
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
            "/delta/partial_json",
        ),
        Shape {
            kind: LINES,
            ..shape(
                Ollama,
                "/api/generate",
                |t, _| {
                    format!(
                        "{{\"model\":\"m\",\"created_at\":\"2026-11-20T10:00:00Z\",\"response\":\"{t}\",\"done\":false}}\n"
                    )
                },
                "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"prompt_eval_count\":7,\"eval_count\":9}\n",
                "/response",
            )
        },
        Shape {
            kind: LINES,
            ..shape(
                Ollama,
                "/api/chat",
                |t, _| {
                    format!(
                        "{{\"model\":\"m\",\"created_at\":\"2026-11-20T10:00:00Z\",\"message\":{{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"{t}\"}},\"done\":false}}\n"
                    )
                },
                "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n",
                "/message/thinking",
            )
        },
        shape(
            LlamaCpp,
            "/completion",
            |t, _| {
                format!(
                    "data: {{\"index\":0,\"content\":\"{t}\",\"tokens\":[11],\"stop\":false,\"id_slot\":0,\"tokens_predicted\":3,\"tokens_evaluated\":5}}\n\n"
                )
            },
            "data: {\"index\":0,\"content\":\"\",\"stop\":true,\"timings\":{\"prompt_n\":7,\"predicted_n\":9}}\n\n",
            "/content",
        ),
        shape(
            Tgi,
            "/generate_stream",
            |t, _| {
                format!(
                    "data:{{\"index\":1,\"token\":{{\"id\":42,\"text\":\"{t}\",\"logprob\":-0.5,\"special\":false}},\"top_tokens\":[{{\"id\":42,\"text\":\"{t}\",\"logprob\":-0.5,\"special\":false}}],\"generated_text\":null,\"details\":null}}\n\n"
                )
            },
            "data:{\"index\":9,\"token\":{\"id\":2,\"text\":\"</s>\",\"logprob\":-0.1,\"special\":true},\"generated_text\":\"@@\",\"details\":{\"finish_reason\":\"eos_token\",\"generated_tokens\":9,\"input_length\":7,\"seed\":null}}\n\n",
            "/token/text",
        ),
        shape(
            Triton,
            "/v2/models/ensemble/generate_stream",
            |t, _| {
                format!(
                    "data: {{\"cum_log_probs\":0.0,\"model_name\":\"ensemble\",\"model_version\":\"1\",\"output_log_probs\":[0.0],\"sequence_end\":false,\"sequence_id\":0,\"sequence_start\":false,\"text_output\":\"{t}\"}}\n\n"
                )
            },
            "",
            "/text_output",
        ),
        shape(
            Kserve,
            "/v2/models/llama/generate_stream",
            |t, _| format!("data: {{\"model_name\":\"llama\",\"text_output\":\"{t}\"}}\n\n"),
            "",
            "/text_output",
        ),
        shape(
            Sglang,
            "/generate",
            |t, _| {
                format!(
                    "data: {{\"text\":\"{t}\",\"meta_info\":{{\"id\":\"a\",\"finish_reason\":null}}}}\n\n"
                )
            },
            "data: {\"text\":\"\",\"meta_info\":{\"id\":\"a\",\"finish_reason\":{\"type\":\"stop\",\"matched\":2},\"prompt_tokens\":7,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n",
            "/text",
        ),
        Shape {
            repeats: true,
            ..shape(
                Sglang,
                "/generate",
                |_, all| {
                    format!(
                        "data: {{\"text\":\"{all}\",\"output_ids\":[1],\"meta_info\":{{\"id\":\"a\",\"finish_reason\":null}}}}\n\n"
                    )
                },
                "data: {\"text\":\"@@\",\"output_ids\":[1],\"meta_info\":{\"id\":\"a\",\"finish_reason\":{\"type\":\"stop\",\"matched\":2},\"prompt_tokens\":7,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n",
                "/text",
            )
        },
    ]
}

/// Cuts a text written inside JSON between characters, at these places or, without any, everywhere.
fn parts(text: &str, at: Option<usize>) -> Vec<&str> {
    let mut units = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (one, more) = rest.split_at(if rest.starts_with('\\') { 2 } else { 1 });
        units.push(one);
        rest = more;
    }
    match at {
        None => units,
        Some(at) => {
            let cut: usize = units.iter().take(at).map(|unit| unit.len()).sum();
            let (a, b) = text.split_at(cut);
            [a, b].into_iter().filter(|part| !part.is_empty()).collect()
        }
    }
}

fn stream(shape: &Shape, text: &str, at: Option<usize>) -> String {
    let mut all = String::new();
    let mut stream = String::new();
    for part in parts(text, at) {
        all.push_str(part);
        stream += &(shape.message)(part, &all);
    }
    stream + &shape.last.replace("@@", text)
}

/// What a client joins from the messages.
fn joined(shape: &Shape, got: &str) -> String {
    let mut text = String::new();
    for line in got.lines() {
        let data = line.strip_prefix("data:").unwrap_or(line).trim();
        let Ok(message) = serde_json::from_str::<Value>(data) else { continue };
        if let Some(part) = message.pointer(shape.text).and_then(Value::as_str) {
            if shape.repeats {
                assert!(part.starts_with(&text), "{part} goes back behind {text}");
                text = part.to_owned();
            } else {
                text.push_str(part);
            }
        }
    }
    text
}

fn leaks(bytes: &str) -> bool {
    let secret = secret();
    let pieces: Vec<&[u8]> = secret.as_bytes().windows(5).skip(4).collect();
    bytes.as_bytes().windows(5).any(|window| pieces.contains(&window))
}

#[test]
fn a_secret_cut_at_any_byte_comes_out_of_no_shape() {
    let text = format!("{BEFORE}{}{AFTER}", secret());
    let shown = format!("{BEFORE}[credential.aws]{}", AFTER.replace('\\', ""));
    for shape in shapes() {
        let cuts = (1..parts(&text, None).len()).map(Some).chain([None]);
        for at in cuts {
            let sent = stream(&shape, &text, at);
            let spec = spec(shape.server);
            let chunks: Vec<&[u8]> = sent.as_bytes().chunks(if at.is_none() { 7 } else { 4096 }).collect();
            let got = got(spec, shape.path, &[("content-type", shape.kind)], &[], &chunks)
                .unwrap_or_else(|fault| panic!("{} cut at {at:?}: {fault}\n{sent}", shape.path));
            let place =
                format!("{:?} {} {} cut at {at:?}: {}", shape.server, shape.path, shape.text, got.text);
            assert!(!leaks(&got.text), "{place}");
            // The last token's own text may be one of its vocabulary's signs.
            let read = joined(&shape, &got.text).replace("</s>", "");
            assert_eq!(read, shown, "{place}");
            assert!(
                got.findings.masked.iter().any(|(class, _)| class.as_str() == "credential.aws"),
                "{place}"
            );
            // Nothing is reordered: ends stay at the end, and every message is JSON.
            for line in got.text.lines().filter_map(|line| line.strip_prefix("data:")) {
                let line = line.trim();
                assert!(line == "[DONE]" || serde_json::from_str::<Value>(line).is_ok(), "{place}: {line}");
            }
            if shape.last.contains("\"usage\"") && shape.last.contains("prompt") {
                assert_eq!(got.usage, Some(Usage { input: 7, output: 9 }), "{place}");
            }
        }
    }
}

#[test]
fn text_without_secrets_passes_byte_for_byte() {
    for shape in shapes().into_iter().filter(|shape| !shape.repeats) {
        let sent = stream(&shape, "it rains, and \\u00e9 \\/ \\n it pours. ", Some(9));
        let got = got(
            spec(shape.server),
            shape.path,
            &[("content-type", shape.kind)],
            &["model"],
            &[sent.as_bytes()],
        )
        .unwrap();
        assert_eq!(got.text, sent, "{}", shape.path);
    }
}

#[test]
fn tokens_are_counted_also_where_only_the_times_tell() {
    let usage = |server, path, kind: &str, answer: &str| {
        got(spec(server), path, &[("content-type", kind)], &[], &[answer.as_bytes()]).unwrap().usage
    };
    let chat = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"timings\":{\"cache_n\":4,\"prompt_n\":3,\"prompt_ms\":1.5,\"predicted_n\":9,\"predicted_ms\":2.5}}\n\ndata: [DONE]\n\n";
    assert_eq!(usage(LlamaCpp, "/v1/chat/completions", SSE, chat), Some(Usage { input: 7, output: 9 }));
    for shape in shapes() {
        let expected =
            ["\"completion_tokens\":9", "eval_count", "timings", "input_length", "\"input_tokens\":7"];
        if expected.iter().any(|word| shape.last.contains(word)) {
            let sent = stream(&shape, "a b", Some(1));
            assert_eq!(
                usage(shape.server, shape.path, shape.kind, &sent),
                Some(Usage { input: 7, output: 9 }),
                "{}",
                shape.path
            );
        }
    }
}

#[test]
fn a_text_that_stops_repeating_itself_is_a_fault() {
    let event = |text: &str| {
        format!(
            "data: {{\"text\":\"{text}\",\"output_ids\":[1],\"meta_info\":{{\"finish_reason\":null}}}}\n\n"
        )
    };
    let sent = event("a b") + &event("a b c") + &event("x");
    let fault = got(spec(Sglang), "/generate", &[("content-type", SSE)], &[], &[sent.as_bytes()]);
    assert!(matches!(fault.err(), Some(LayoutFault::Malformed(_))));
}
