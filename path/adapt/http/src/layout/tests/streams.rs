//! Golden pieces of every known stream.

use model::{LayoutFault, Usage};

use super::*;

const SSE: &str = "text/event-stream; charset=utf-8";
const LINES: &str = "application/x-ndjson";

fn sse(path: &str, answer: &str) -> String {
    laid(ServerKind::OpenAi, path, SSE, answer)
}

const HEAD: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1731000000,"model":"llama-3","choices":[{"index":0,"#;

#[test]
fn chat_text_is_ended_before_the_finish() {
    let answer = format!(
        "data: {HEAD}\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
         data: {HEAD}\"delta\":{{\"content\":\"Hel\\u006co\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
         data: {HEAD}\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"stop\"}}]}}\n\n\
         data: [DONE]\n\n"
    );
    let expected = format!(
        "data: {HEAD}\"delta\":{{\"role\":\"assistant\",\"content\":\"‹0:›\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
         data: {HEAD}\"delta\":{{\"content\":\"‹0:Hel\\u006co›\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n\
         ‹/0 data: {HEAD}\"delta\":{{\"content\":\"|\"}},\"finish_reason\":null}}]}}\n\n›\
         data: {HEAD}\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"stop\"}}]}}\n\n\
         data: [DONE]\n\n"
    );
    assert_eq!(sse("/v1/chat/completions", &answer), expected);
}

#[test]
fn text_in_the_finishing_event_is_ended_inside_it() {
    let answer = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"reasoning_content\":\"r\"}}]}\n\n\
         data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}]}\n\n";
    let expected = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"‹0:a›\",\"reasoning_content\":\"‹1:r›\"}}]}\n\n\
         ‹/1 data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"|\"},\"finish_reason\":null}]}\n\n›\
         data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"‹0:b›‹/0›\"},\"finish_reason\":\"length\"}]}\n\n";
    assert_eq!(sse("/v1/chat/completions", answer), expected);
}

#[test]
fn every_choice_and_tool_call_has_a_lane_of_its_own() {
    let call = |choice: u8, call: u8, more: &str, arguments: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{choice},\"delta\":{{\"tool_calls\":[{{\"index\":{call},{more}\"function\":{{{}\"arguments\":\"{arguments}\"}}}}]}},\"finish_reason\":null}}]}}\n\n",
            if more.is_empty() { "" } else { "\"name\":\"read\"," },
        )
    };
    let first = "\"id\":\"call_1\",\"type\":\"function\",";
    let answer = call(0, 0, first, "") + &call(0, 1, "", "{\\\"a\\\":") + &call(1, 0, "", "x");
    let laid = sse("/v1/chat/completions", &answer);
    assert!(laid.contains("\"id\":\"«call_1»\",\"type\":\"function\",\"function\":{\"name\":\"«read»\",\"arguments\":\"‹0:›\"}"), "{laid}");
    assert!(laid.contains("\"arguments\":\"‹1:{\\\"a\\\":›\""), "{laid}");
    assert!(laid.contains("\"arguments\":\"‹2:x›\""), "{laid}");
    let end = "‹/1 data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"|\"}}]},\"finish_reason\":null}]}\n\n›";
    assert!(laid.contains(end), "{laid}");
}

#[test]
fn one_choices_finish_leaves_the_others_open() {
    let answer = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}},{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n\
         data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"c\"}}]}\n\n";
    let expected = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"‹0:b›\"}},{\"index\":0,\"delta\":{\"content\":\"‹1:a›‹/1›\"},\"finish_reason\":\"stop\"}]}\n\n\
         data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"‹0:c›\"}}]}\n\n\
         ‹/0 data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"|\"},\"finish_reason\":null}]}\n\n›";
    assert_eq!(sse("/v1/chat/completions", answer), expected);
}

#[test]
fn odds_and_token_numbers_are_classed() {
    let answer = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[{\"token\":\"a\",\"bytes\":[97]}]},\"token_ids\":[5]}],\"prompt_token_ids\":[1,2]}\n\n";
    let laid = sse("/v1/chat/completions", answer);
    assert!(
        laid.contains("\"logprobs\":⟦model.logprobs:{\"content\":[{\"token\":\"a\",\"bytes\":[97]}]}⟧"),
        "{laid}"
    );
    assert!(laid.contains("⟦model.tokens:[5]⟧") && laid.contains("⟦model.tokens:[1,2]⟧"), "{laid}");
}

#[test]
fn legacy_completions_have_a_lane_a_choice() {
    let answer = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"text\":\" a\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\ndata: [DONE]\n\n";
    let expected = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"text\":\"‹0: a›\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\n\
         ‹/0 data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"|\",\"logprobs\":null,\"finish_reason\":null}]}\n\n›data: [DONE]\n\n";
    assert_eq!(sse("/v1/completions", answer), expected);
}

#[test]
fn responses_end_a_text_before_it_is_repeated_whole() {
    let answer = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi\",\"logprobs\":[]}\n\n\
         event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_1\",\"output_index\":1,\"delta\":\"{\"}\n\n\
         event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_number\":5,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"text\":\"Hi\"}\n\n\
         event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"arguments\":\"{\"}}\n\n\
         event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n";
    let expected = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"‹0:Hi›\",\"logprobs\":[]}\n\n\
         event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_1\",\"output_index\":1,\"delta\":\"‹1:{›\"}\n\n\
         ‹/0 event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"|\",\"logprobs\":[]}\n\n›\
         event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_number\":5,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"text\":\"«Hi»\"}\n\n\
         ‹/1 event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_1\",\"output_index\":1,\"delta\":\"|\"}\n\n›\
         event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"arguments\":\"«{»\"}}\n\n\
         event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n";
    assert_eq!(sse("/v1/responses", answer), expected);
}

#[test]
fn anthropic_blocks_end_with_their_stop() {
    let answer = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n\
         event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n\
         event: ping\ndata: {\"type\": \"ping\"}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"Eq Q==\"}}\n\n\
         event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\"}}\n\n\
         event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n\
         event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n";
    let mut expected = answer.replace("\"thinking\":\"\"", "\"thinking\":\"‹0:›\"");
    expected = expected.replace("\"thinking\":\"hm\"", "\"thinking\":\"‹0:hm›\"");
    expected = expected.replace("\"partial_json\":\"{\\\"a\"", "\"partial_json\":\"‹1:{\\\"a›\"");
    let end = |lane: u8, kind: &str, field: &str| {
        format!(
            "‹/{lane} event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{lane},\"delta\":{{\"type\":\"{kind}\",\"{field}\":\"|\"}}}}\n\n›"
        )
    };
    let stop = |index: u8| {
        format!("event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{index}}}")
    };
    expected = expected.replace(&stop(0), &(end(0, "thinking_delta", "thinking") + &stop(0)));
    expected = expected.replace(&stop(1), &(end(1, "input_json_delta", "partial_json") + &stop(1)));
    assert_eq!(sse("/v1/messages", answer), expected);
}

#[test]
fn ollama_lines_end_inside_the_last_one() {
    let line = |text: &str, more: &str| {
        format!(
            "{{\"model\":\"llama3\",\"created_at\":\"2026-11-20T10:00:00.123456789Z\",\"response\":\"{text}\",\"done\":{more}}}\n"
        )
    };
    let answer = line("Hi", "false")
        + &line(
            "",
            "true,\"done_reason\":\"stop\",\"context\":[1,2],\"total_duration\":123456789012345,\"eval_count\":2",
        );
    let expected = line("‹0:Hi›", "false")
        + &line(
            "‹0:›‹/0›",
            "true,\"done_reason\":\"stop\",\"context\":⟦model.tokens:[1,2]⟧,\"total_duration\":123456789012345,\"eval_count\":2",
        );
    let laid = laid(ServerKind::Ollama, "/api/generate", LINES, &answer);
    assert_eq!(laid, expected);
}

#[test]
fn ollama_chat_has_lanes_for_content_and_thinking() {
    let answer = "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n\
         {\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"p\":\"x\"}}}]},\"done\":true}\n";
    let expected = "{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"‹0:›\",\"thinking\":\"‹1:hm›\"},\"done\":false}\n\
         ‹/1 {\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"|\"},\"done\":false}\n›\
         {\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\",\"content\":\"‹0:a›‹/0›\",\"tool_calls\":[{\"function\":{\"name\":\"«f»\",\"arguments\":{\"«p»\":\"«x»\"}}}]},\"done\":true}\n";
    assert_eq!(laid(ServerKind::Ollama, "/api/chat", LINES, answer), expected);
}

#[test]
fn llama_cpp_streams_its_own_events() {
    let answer = "data: {\"index\":0,\"content\":\" a\",\"tokens\":[],\"stop\":false}\n\n\
         data: {\"index\":0,\"content\":\"\",\"stop\":true,\"prompt\":\"p\",\"tokens_evaluated\":4,\"tokens_predicted\":2}\n\n";
    let laid = laid(ServerKind::LlamaCpp, "/completion", SSE, answer);
    assert!(
        laid.starts_with("data: {\"index\":0,\"content\":\"‹0: a›\",\"tokens\":[],\"stop\":false}\n\n"),
        "{laid}"
    );
    assert!(laid.contains("\"content\":\"‹0:›‹/0›\",\"stop\":true,\"prompt\":\"«p»\""), "{laid}");
}

#[test]
fn usage_is_read_from_every_form() {
    let usage = |path: &str, server, kind, answer: &str| {
        let mut layout = layout(server, path, kind);
        pieces(&mut *layout, &[answer.as_bytes()]).unwrap();
        layout.usage()
    };
    let used = |input, output| Some(Usage { input, output });
    let chat = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
    assert_eq!(usage("/v1/chat/completions", ServerKind::OpenAi, SSE, chat), used(7, 5));
    let anthropic = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\n";
    assert_eq!(usage("/v1/messages", ServerKind::OpenAi, SSE, anthropic), used(9, 15));
    let ollama = "{\"response\":\"\",\"done\":true,\"prompt_eval_count\":3,\"eval_count\":4}\n";
    assert_eq!(usage("/api/generate", ServerKind::Ollama, LINES, ollama), used(3, 4));
    let body = "{\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}";
    assert_eq!(usage("/v1/embeddings", ServerKind::OpenAi, "application/json", body), used(1, 0));
}

#[test]
fn comments_ids_and_strange_fields_are_looked_into() {
    let answer = "\u{feff}: ping\r\nid: 7\r\nretry: 300\r\nevent: a\r\nevent: A secret\r\nother: x\r\ndata: {\"choices\":\r\ndata: []}\r\n\r\n";
    let expected = "\u{feff}: ping\r\nid: «7»\r\nretry: 300\r\nevent: a\r\nevent: «A secret»\r\nother: ‹4294967295:x›\r\ndata: {\"choices\":\r\ndata: []}\r\n\r\n‹0/4294967295›";
    assert_eq!(sse("/v1/chat/completions", answer), expected);
}

#[test]
fn data_over_several_lines_keeps_its_marks() {
    let answer = "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"}\ndata:}]}\n\n";
    let laid = sse("/v1/chat/completions", answer);
    assert!(
        laid.starts_with("data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"‹0:a›\"}\ndata:}]}\n\n"),
        "{laid}"
    );
}

fn fault(spec: AdapterSpec, path: &str, kind: &str, answer: &[u8]) -> LayoutFault {
    pieces(&mut *layout_with(spec, ("POST", path), 200, Some(kind)), &[answer]).unwrap_err()
}

#[test]
fn what_can_not_be_judged_is_cut() {
    let chat = |answer: &[u8]| fault(spec(ServerKind::OpenAi), "/v1/chat/completions", SSE, answer);
    assert!(matches!(chat(b"data: {\"choices\":[\n\n"), LayoutFault::Malformed(_)));
    assert!(matches!(chat(b"data: {\"choices\":[{\"delta\":{\"content\":\"a"), LayoutFault::Malformed(_)));
    assert!(matches!(chat(b"data: {\"foo\":\"text\"}\n\n"), LayoutFault::Unknown(_)));
    assert!(matches!(chat(b"data: plain\n\n"), LayoutFault::Malformed(_)));
    assert!(matches!(chat(b"data: \"text\"\n\n"), LayoutFault::Unknown(_)));
    assert!(matches!(
        chat(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\ndata: b\"}}]}\n\n"),
        LayoutFault::Malformed(_)
    ));
    let long =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "a".repeat(20_000));
    assert_eq!(chat(long.as_bytes()), LayoutFault::TooLarge { limit: 16 << 10 });
    let lanes: String = (0..2000)
        .map(|n| format!("data: {{\"choices\":[{{\"index\":{n},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n"))
        .collect();
    assert!(matches!(chat(lanes.as_bytes()), LayoutFault::Malformed(_)));
}

#[test]
fn errors_inside_a_stream_are_passed_after_what_was_held() {
    let answer = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"no\",\"type\":\"x\"}}\n\n";
    let laid = sse("/v1/chat/completions", answer);
    assert!(laid.contains("\n\n›data: {\"error\":{\"message\":\"«no»\",\"type\":\"«x»\"}}\n\n"), "{laid}");
}

#[test]
fn unknown_streams_are_held_and_joined_by_place_or_refused() {
    let answer =
        "data: {\"type\":\"t\",\"part\":\"AK\"}\n\ndata: {\"type\":\"t\",\"part\":\"IA\"}\n\ndata: end\n\n";
    let expected = "data: {\"type\":\"«t»\",\"part\":\"‹0:AK›\"}\n\ndata: {\"type\":\"«t»\",\"part\":\"‹0:IA›‹/0›\"}\n\ndata: ‹1:end›‹/1›\n\n";
    assert_eq!(laid(ServerKind::Plain, "/events", SSE, answer), expected);
    let mut held = layout(ServerKind::Plain, "/events", SSE);
    let mut out = Vec::new();
    held.push(Bytes::from_static(b"data: a\n\n"), &mut out).unwrap();
    assert!(out.is_empty());
    let refused = fault(refusing(ServerKind::Plain), "/events", SSE, answer.as_bytes());
    assert_eq!(refused, LayoutFault::Unknown("text/event-stream".to_owned()));
    let long = "data: a\n\n".repeat(10_000);
    assert_eq!(
        fault(spec(ServerKind::Plain), "/events", SSE, long.as_bytes()),
        LayoutFault::TooLarge { limit: 64 << 10 }
    );
}

#[test]
fn progress_comes_message_by_message() {
    let answer = "{\"status\":\"pulling manifest\"}\n{\"status\":\"success\",\"total\":123456789012}\n";
    let expected =
        "{\"status\":\"«pulling manifest»\"}\n{\"status\":\"success\",\"«total»\":«123456789012»}\n";
    assert_eq!(laid(ServerKind::Ollama, "/api/pull", LINES, answer), expected);
}
