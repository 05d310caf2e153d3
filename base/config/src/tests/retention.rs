//! How long bodies are kept.

use super::Folder;

fn with(own: &str, ledger: &str) -> String {
    format!(
        "listeners: [{{address: 127.0.0.1:8080}}]\nissuers:\n  main:\n    issuer: https://login.example.test\n    \
         audiences: [portcullis]\nresources:\n  llama:\n    kind: model\n    server: vllm\n    upstreams: \
         [http://127.0.0.1:8000]\n{own}ledger:\n  dir: ledger\n  retention: {ledger}\n"
    )
}

#[test]
fn everything_is_kept_unless_somebody_says_otherwise() {
    let folder = Folder::new();
    let plain = folder.parse(&with("", "{}")).unwrap();
    assert_eq!(plain.ledger.retention, crate::Retention::default());
    assert_eq!(plain.resources[0].retention, None);
    let all = folder
        .parse(&with("    retention: {age: 30d}\n", "{age: 90d, size: 2TiB, compress: false, pace: 1MiB}"))
        .unwrap();
    let own = all.resources[0].retention.unwrap();
    assert_eq!((own.age.unwrap().as_secs(), own.size), (30 * 86400, None));
    let kept = all.ledger.retention;
    assert_eq!((kept.keep.age.unwrap().as_secs(), kept.keep.size), (90 * 86400, Some(2 << 40)));
    assert_eq!((kept.compress_after, kept.pace), (None, 1 << 20));
}

#[test]
fn what_cannot_be_a_rule_is_a_fault() {
    let folder = Folder::new();
    for (own, ledger, told) in [
        ("", "{age: 0s}", "age"),
        ("", "{age: forever}", "age"),
        ("", "{size: 10}", "size"),
        ("", "{pace: 0B}", "pace"),
        ("", "{keep: 1d}", "no key here"),
        ("    retention: {age: 1d, compress: true}\n", "{}", "no key here"),
        (
            "  default:\n    kind: model\n    server: vllm\n    upstreams: [http://127.0.0.1:8001]\n    retention: {age: 1d}\n",
            "{}",
            "all others",
        ),
    ] {
        let faults = folder.parse(&with(own, ledger)).expect_err(ledger).to_string();
        assert!(faults.contains(told), "{own}{ledger}: {faults}");
    }
}
