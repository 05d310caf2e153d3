//! Where checkpoints go and what signs them.

use super::Folder;

fn with(checkpoints: &str) -> String {
    format!(
        "listeners: [{{address: 127.0.0.1:8080}}]\nissuers:\n  main:\n    issuer: https://login.example.test\n    \
         audiences: [portcullis]\nresources:\n  llama:\n    kind: model\n    server: vllm\n    upstreams: \
         [http://127.0.0.1:8000]\nledger:\n  dir: here/ledger\n  checkpoints: {checkpoints}\n"
    )
}

#[test]
fn checkpoints_have_defaults_and_places() {
    let folder = Folder::new();
    let plain = folder.parse(&with("{}")).unwrap().ledger.checkpoints;
    assert!(plain.key.ends_with("here/ledger.signing-key"), "{plain:?}");
    assert_eq!((plain.stdout, plain.urls.len(), plain.leaves), (false, 0, 10_000));
    let all =
        "{every: 5s, leaves: 3, to: [stdout, https://witness.example.test/a, http://127.0.0.1:9/], key: k}";
    let all = folder.parse(&with(all)).unwrap().ledger.checkpoints;
    assert_eq!((all.stdout, all.urls.len(), all.leaves, all.every.as_secs()), (true, 2, 3, 5));
    assert!(folder.parse(&with("{to: stdout}")).unwrap().ledger.checkpoints.stdout);
}

#[test]
fn what_would_give_the_key_away_or_lose_checkpoints_is_a_fault() {
    let folder = Folder::new();
    for (checkpoints, told) in [
        ("{key: here/ledger/key}", "lies in the ledger's folder"),
        ("{to: http://witness.example.test/}", "plain HTTP"),
        ("{to: [stderr]}", "URL"),
        ("{every: 0s}", "every"),
    ] {
        let faults = folder.parse(&with(checkpoints)).expect_err(checkpoints).to_string();
        assert!(faults.contains(told), "{checkpoints}: {faults}");
    }
}
