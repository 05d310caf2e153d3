//! The catalogues against a list kept apart from them, written from the servers' own routes.

use std::collections::BTreeSet;

use super::*;

/// The first row that fits, without regard to conditions.
fn class(server: ServerKind, method: &str, path: &str) -> Class {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let all = entries(server).unwrap();
    all.iter().find(|entry| entry.fits(&method, path)).map_or(Class::Unknown, |entry| entry.class)
}

fn check(server: ServerKind, class_expected: Class, method: &str, paths: &str) {
    for path in paths.split_whitespace() {
        assert_eq!(class(server, method, path), class_expected, "{server:?} {method} {path}");
    }
}

#[test]
fn every_catalogue_reads() {
    for server in ServerKind::ALL {
        entries(server).unwrap();
        assert_eq!(ServerKind::from_name(server.as_str()), Some(server));
    }
    assert!(catalogue().count() > 200);
}

#[test]
fn openai_operations_are_complete_for_every_server_that_speaks_it() {
    use Class::*;
    for server in [ServerKind::OpenAi, ServerKind::Vllm, ServerKind::LlamaCpp, ServerKind::Ollama] {
        let check = |class, method: &str, paths: &str| check(server, class, method, paths);
        check(Infer, "POST", "/v1/chat/completions /v1/completions /v1/responses /v1/messages");
        check(Infer, "POST", "/v1/audio/transcriptions /v1/audio/translations /v1/audio/speech");
        check(Infer, "POST", "/v1/images/generations /v1/images/edits /v1/images/variations");
        check(Infer, "GET", "/v1/responses/resp_1 /v1/realtime");
        check(Infer, "POST", "/v1/responses/resp_1/cancel");
        check(Embed, "POST", "/v1/embeddings /v1/score /v1/rerank /v2/rerank /v1/classify");
        check(Batch, "POST", "/v1/batches /v1/chat/completions/batch");
        check(Batch, "GET", "/v1/batches /v1/batches/b1 /v1/batches/b1/output");
        check(
            Tokenize,
            "POST",
            "/tokenize /detokenize /v1/tokenize /v1/detokenize /v1/messages/count_tokens",
        );
        check(Tokenize, "GET", "/tokenizer_info");
        check(Inspect, "GET", "/v1/models /v1/models/a /health /ping /version /metrics /load");
        check(Train, "POST", "/v1/fine_tuning/jobs /v1/fine_tuning/jobs/j/cancel");
        check(Export, "GET", "/v1/files/f/content");
        check(Manage, "POST", "/v1/files /v1/uploads /v1/uploads/u/parts /v1/files/f");
        check(Manage, "DELETE", "/v1/files/f");
    }
}

#[test]
fn vllm_operations_are_complete() {
    let check = |class, paths: &str| check(ServerKind::Vllm, class, "POST", paths);
    check(Class::Infer, "/invocations /generative_scoring /inference/v1/generate");
    check(Class::Embed, "/pooling /classify /score /rerank /v2/embed");
    check(Class::Manage, "/v1/load_lora_adapter /v1/unload_lora_adapter");
    let administer = "/start_profile /stop_profile /scale_elastic_ep /fault_tolerance/apply /abort_requests \
        /collective_rpc /sleep /wake_up /release_kv_cache_memory /reset_prefix_cache /reset_mm_cache \
        /reset_encoder_cache /server_info /pause /resume /init_weight_transfer_engine \
        /shutdown_weight_transfer_engine /start_weight_update /update_weights /finish_weight_update \
        /update_weight_version /weight_checker";
    check(Class::Administer, administer);
    super::tests::check(ServerKind::Vllm, Class::Administer, "GET", administer);
}

#[test]
fn llama_cpp_operations_are_complete_with_and_without_v1() {
    let check = |class, method: &str, paths: &str| check(ServerKind::LlamaCpp, class, method, paths);
    check(Class::Infer, "POST", "/completion /completions /chat/completions /infill /responses /v1/messages");
    check(Class::Embed, "POST", "/embedding /embeddings /rerank /reranking");
    check(Class::Tokenize, "POST", "/tokenize /detokenize /apply-template");
    check(Class::Inspect, "GET", "/health /models /props /metrics");
    check(Class::Manage, "POST", "/models /models/load /models/unload /lora-adapters");
    check(Class::Manage, "DELETE", "/models");
    check(Class::Administer, "POST", "/props /slots/0 /cors-proxy /tools");
    check(Class::Administer, "GET", "/slots /cors-proxy");
}

#[test]
fn ollama_operations_are_complete() {
    let check = |class, method: &str, paths: &str| check(ServerKind::Ollama, class, method, paths);
    check(Class::Embed, "POST", "/api/embed /api/embeddings");
    check(Class::Inspect, "GET", "/api/tags /api/ps /api/version");
    check(Class::Inspect, "POST", "/api/show");
    check(Class::Manage, "POST", "/api/pull /api/create /api/copy /api/blobs/sha256:00");
    check(Class::Manage, "DELETE", "/api/delete");
    check(Class::Export, "POST", "/api/push");
    check(Class::Administer, "POST", "/api/me /api/signout /api/experimental/x/y");
}

#[test]
fn what_is_not_listed_is_unknown() {
    for (server, method, path) in [
        (ServerKind::OpenAi, "POST", "/v1/chat/completions/"),
        (ServerKind::OpenAi, "POST", "/x/v1/chat/completions"),
        (ServerKind::OpenAi, "GET", "/v1/chat/completions"),
        (ServerKind::OpenAi, "post", "/v1/chat/completions"),
        (ServerKind::OpenAi, "POST", "/V1/chat/completions"),
        (ServerKind::OpenAi, "POST", "/chat/completions"),
        (ServerKind::OpenAi, "GET", "/v1/models/a/b"),
        (ServerKind::OpenAi, "GET", "/v1/models/"),
        (ServerKind::OpenAi, "POST", "/sleep"),
        (ServerKind::OpenAi, "DELETE", "/v1/models/a"),
        (ServerKind::Ollama, "OPTIONS", "/api/chat"),
        (ServerKind::Plain, "POST", "/v1/chat/completions"),
        (ServerKind::OpenAi, "GET", "/"),
    ] {
        assert_eq!(class(server, method, path), Class::Unknown, "{server:?} {method} {path}");
    }
}

#[test]
fn names_are_stable_words_and_head_goes_with_get() {
    for entry in catalogue() {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        assert!(entry.name.bytes().all(word), "{}", entry.name);
    }
    assert_eq!(class(ServerKind::OpenAi, "HEAD", "/v1/models"), Class::Inspect);
    // One name never stands for two classes.
    let pairs: BTreeSet<_> = catalogue().map(|entry| (entry.name.clone(), entry.class)).collect();
    let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), pairs.len());
}

#[test]
fn patterns_capture_decoded_segments() {
    let pattern = Pattern::parse("/v1/models/{model}").unwrap();
    assert_eq!(pattern.captures("/v1/models/a%20b"), Some(vec![("model", "a b".to_owned())]));
    let rest = Pattern::parse("/a/{rest*}").unwrap();
    assert_eq!(rest.captures("/a/b/c"), Some(vec![("rest", "b/c".to_owned())]));
    assert_eq!(rest.captures("/a"), None);
    assert_eq!(rest.captures("/a/"), None);
    for bad in ["a", "/{a*}/b", "/a{b}", "/*"] {
        assert!(Pattern::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_broken_row_is_told_with_its_line() {
    for (text, why) in [
        ("\nPOST /a", "at least"),
        ("\nPOST /a infer a.b body=nothing", "no body"),
        ("\nPOST /a infers a.b", "no class"),
        ("\nPOST /a infer a.b colour=red", "no option"),
        ("\ninclude nothing", "no catalogue"),
    ] {
        let text: &'static str = text;
        let fault = rows::read(ServerKind::OpenAi, &|_| text).unwrap_err();
        assert_eq!(fault.line, 2);
        assert!(fault.why.contains(why), "{fault}");
    }
}
