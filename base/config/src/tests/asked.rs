//! What issuers are asked: which files say where a token may be shown, and which leave it open.

use super::Folder;

/// A file with these lines for each of two issuers.
fn two(corp: &str, ci: &str) -> String {
    format!(
        "
listeners: [127.0.0.1:8080]
issuers:
  corp: {{issuer: https://login.example.test, audiences: portcullis{corp}}}
  ci: {{issuer: https://ci.example.test, audiences: portcullis{ci}}}
resources:
  llama: {{server: vllm, upstreams: http://127.0.0.1:1}}
"
    )
}

fn asked(prefix: &str) -> String {
    format!(", introspection: {{client_id: gate, client_secret: env:GATE_SECRET{prefix}}}")
}

#[test]
fn a_token_that_could_go_to_two_issuers_is_a_fault() {
    let folder = Folder::new();
    for (corp, ci) in [
        ("", ""),
        (", prefix: co_", ""),
        (", prefix: co_", ", prefix: co_at_"),
        (", prefix: x", ", prefix: x"),
    ] {
        let faults = folder.faults(&two(&asked(corp), &asked(ci)));
        assert!(faults.contains("an opaque token could be meant for `corp` and for `ci`"), "{faults}");
    }
    for (corp, ci) in [(asked(", prefix: co_"), asked(", prefix: ci_")), (asked(""), String::new())] {
        let config = folder.parse(&two(&corp, &ci)).unwrap_or_else(|faults| panic!("{faults}"));
        assert!(config.issuers[0].introspection.is_some());
        assert_eq!(config.issuers[1].introspection.is_some(), !ci.is_empty());
    }
}

#[test]
fn a_place_to_ask_must_be_known_and_safe() {
    let folder = Folder::new();
    let faults = |corp: &str| folder.faults(&two(corp, ""));
    let keys = ", jwks: https://login.example.test/keys";
    assert!(faults(&format!("{keys}{}", asked(""))).contains("there is no discovery"));
    assert!(faults(&format!("{keys}, userinfo: groups")).contains("there is no discovery"));
    assert!(faults(", userinfo: {url: http://login.example.test/me}").contains("plain HTTP"));
    assert!(faults(&asked(", url: http://login.example.test/ask")).contains("plain HTTP"));
    assert!(faults(&asked(", prefix: \"a b\"")).contains("not what a token begins with"));
    assert!(faults(&asked(", cache: 2m")).contains("0s to 60s"));
    assert!(faults(", backchannel_logout: []").contains("empty"));
    let real = ["hush", "hush"].concat();
    let told = faults(&format!(", introspection: {{client_id: gate, client_secret: {real}}}"));
    assert!(told.contains("may not stand in this file") && !told.contains(&real), "{told}");
    let own = format!(
        "{keys}{}, userinfo: {{url: https://a.example.test/me}}",
        asked(", url: https://a.example.test/ask")
    );
    assert!(folder.parse(&two(&own, "")).is_ok());
    let logout = folder.parse(&two(", backchannel_logout: cli", "")).unwrap();
    let logout = logout.issuers[0].backchannel_logout.as_ref().unwrap();
    assert_eq!(
        (logout.audiences.as_slice(), logout.token_types.as_slice()),
        (&["cli".to_owned()][..], &["logout+jwt".to_owned()][..])
    );
}

#[test]
fn the_state_lies_beside_the_ledger_and_never_in_it() {
    let folder = Folder::new();
    let with = |line: &str| format!("{}{line}", two("", ""));
    let dir = |line: &str| folder.parse(&with(line)).unwrap().state.dir;
    assert_eq!(dir(""), folder.path("ledger.state"));
    assert_eq!(dir("ledger: var/log.d\n"), folder.path("var/log.d.state"));
    assert_eq!(dir("state: kept\n"), folder.path("kept"));
    assert!(folder.faults(&with("state: ledger/state\n")).contains("in the ledger's folder"));
}
