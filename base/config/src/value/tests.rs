//! Single values.

use proptest::prelude::*;

use super::*;

#[test]
fn lengths_of_time() {
    let read = |text| duration(text).map(|d| d.as_millis());
    assert_eq!(read("250ms"), Some(250));
    assert_eq!(read("30s"), Some(30_000));
    assert_eq!(read("5 m"), Some(300_000));
    assert_eq!(read("1h"), Some(3_600_000));
    assert_eq!(read("7d"), Some(7 * 86_400_000));
    for bad in ["", "s", "30", "-1s", "1.5h", "30S", "1h30m", "999999999999999999d", "٣s"] {
        assert_eq!(duration(bad), None, "{bad}");
    }
}

#[test]
fn numbers() {
    assert_eq!(size("512"), Some(512));
    assert_eq!(size("16MiB"), Some(16 << 20));
    assert_eq!(size("1 GiB"), Some(1 << 30));
    for bad in ["16MB", "1k", "-1", "0x10", "99999999999TiB", ""] {
        assert_eq!(size(bad), None, "{bad}");
    }
    assert_eq!(count("10_000"), Some(10_000));
    for bad in ["", "_1", "1_", "1e3", "+1", "1.0", "99999999999999999999"] {
        assert_eq!(count(bad), None, "{bad}");
    }
}

#[test]
fn pointers() {
    for good in ["/groups", "/realm_access/roles", "/https:~1~1example.test~1groups", "/a/0", "/"] {
        assert_eq!(pointer(good).as_deref(), Ok(good));
    }
    assert!(pointer("groups").unwrap_err().contains("did you mean `/groups`?"));
    for bad in ["", "a~2", "/a~", "/a~x"] {
        assert!(pointer(bad).is_err(), "{bad}");
    }
}

#[test]
fn algorithms_that_prove_nothing_are_refused_with_the_reason() {
    for good in ALGORITHMS {
        assert!(algorithm(good).is_ok());
    }
    for bad in ["HS256", "hs512", "HS"] {
        assert!(algorithm(bad).unwrap_err().contains("shared secret"), "{bad}");
    }
    for bad in ["none", "None", "NONE"] {
        assert!(algorithm(bad).unwrap_err().contains("unsigned"), "{bad}");
    }
    assert!(algorithm("RS265").unwrap_err().contains("did you mean `RS256`?"));
    assert!(algorithm("rs256").is_err());
}

#[test]
fn urls() {
    for good in ["https://a.test", "http://127.0.0.1:80/v1", "https://[::1]:8443/", "http://localhost"] {
        assert!(url(good).is_ok(), "{good}");
    }
    for bad in [
        "a.test",
        "/v1",
        "https://",
        "https:///a",
        "ftp://a.test",
        "https://a.test:0",
        "https://a.test:65536",
        "https://a.test:",
        "https://a.test/?q",
        "https://a.test/#f",
        "https://u@a.test",
        "https://a b.test",
        "",
    ] {
        assert!(url(bad).is_err(), "{bad}");
    }
}

#[test]
fn links_may_have_a_query() {
    for good in ["https://a.test/keys?p=one&q=two", "https://a.test/keys"] {
        assert_eq!(link(good).unwrap().to_string(), good);
    }
    for bad in
        ["https://a.test/?a@b", "https://a.test/?a#b", "https://a.test/?a?b", "https://u@a.test/?a", "?a"]
    {
        assert!(link(bad).is_err(), "{bad}");
    }
}

#[test]
fn loopback_is_told_by_name_or_number_alone() {
    for here in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "::1"] {
        assert!(is_loopback(here), "{here}");
    }
    for elsewhere in
        ["localhost.example.test", "127.0.0.1.nip.test", "0.0.0.0", "[::]", "10.0.0.1", "127.1", ""]
    {
        assert!(!is_loopback(elsewhere), "{elsewhere}");
    }
}

#[test]
fn hosts_domains_and_headers() {
    assert_eq!(host("Llama.Example.test").as_deref(), Ok("llama.example.test"));
    for bad in ["", "a..b", "-a.test", "a.test:80", "a_b.test", "*.test", "a.test."] {
        assert!(host(bad).is_err(), "{bad}");
    }
    assert_eq!(domain("Example.test").as_deref(), Ok("example.test"));
    assert!(domain("@example.test").unwrap_err().contains("without `@`"));
    assert!(domain("example").is_err());
    assert_eq!(header("X-Trace-Id").unwrap().as_str(), "x-trace-id");
    for bad in
        ["", "a b", "x_y", "Host", "transfer-encoding", "Connection", "content-length", "x-forwarded-for"]
    {
        assert!(header(bad).is_err(), "{bad}");
    }
}

#[test]
fn routes() {
    let (methods, path) = route("GET,HEAD /orders/{id}/items/{rest...}").unwrap();
    assert_eq!((methods.len(), path.as_str()), (2, "/orders/{id}/items/{rest...}"));
    for good in ["GET /", "POST /a/", "DELETE /a/{x}/b"] {
        assert!(route(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "GET",
        "GET  /a",
        "get /a",
        "GET,GET /a",
        "TRACE /a",
        "GET a",
        "GET //",
        "GET /a//b",
        "GET /a/../b",
        "GET /./a",
        "GET /a%2Fb",
        "GET /a?b",
        "GET /a#b",
        "GET /a\\b",
        "GET /{x...}/b",
        "GET /a{x}",
        "GET /{}",
        "GET /{...}",
        "GET /{x}/{x}",
        "GET /{x y}",
        "GET /ä",
    ] {
        assert!(route(bad).is_err(), "{bad}");
    }
}

#[test]
fn time_zones() {
    assert_eq!(timezone("UTC").as_deref(), Ok("UTC"));
    for bad in ["", "Mars/Olympus", "../../etc/passwd", "Europe/Bad Place"] {
        assert!(timezone(bad).is_err(), "{bad}");
    }
}

#[test]
fn patterns() {
    assert!(pattern(r"(?i)\bproject[- ]x\b").is_ok());
    assert!(pattern("(").unwrap_err().contains("does not compile"));
    assert!(pattern("a|").unwrap_err().contains("matches empty text"));
    assert!(pattern(&"a".repeat(1001)).is_err());
}

#[test]
fn suggestions_are_near_or_none() {
    assert_eq!(suggestion("llamacpp", ["llama-cpp", "vllm"]), "; did you mean `llama-cpp`?");
    assert_eq!(suggestion("upstream", ["upstreams", "hosts"]), "; did you mean `upstreams`?");
    assert_eq!(suggestion("zebra", ["vllm", "ollama"]), "");
}

proptest! {
    #[test]
    fn what_is_written_is_read(number in 0_u64..1_000_000) {
        prop_assert_eq!(duration(&format!("{number}s")), Some(Duration::from_secs(number)));
        prop_assert_eq!(size(&format!("{number}KiB")), Some(number << 10));
        prop_assert_eq!(count(&number.to_string()), Some(number));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,80}") {
        let _ = (duration(&text), size(&text), count(&text), pointer(&text), algorithm(&text), timezone(&text));
        let _ = (url(&text), host(&text), domain(&text), header(&text), route(&text), pattern(&text), name(&text));
        let _ = suggestion(&text, ["a", "llama-cpp"]);
    }
}
