//! What the console's section becomes, and what is said of a bad one.

use super::Folder;
use crate::reference::{SMALL, WHOLE};
use crate::*;

#[test]
fn it_arrives_whole_and_its_defaults_are_the_structs() {
    let folder = Folder::new();
    let console = folder.parse(WHOLE).unwrap().console.unwrap();
    assert_eq!(console.origin, "https://portcullis.example.test:8443");
    let [corp] = console.sign_in.as_slice() else { panic!("one issuer") };
    assert_eq!((corp.issuer.as_str(), corp.client_id.as_str()), ("corp", "portcullis-console"));
    assert_eq!(corp.client_secret, Some(SecretRef::Env("CONSOLE_SECRET".to_owned())));
    assert_eq!(corp.scopes, ["openid", "profile", "email", "groups"]);
    assert_eq!(console.session, Session::default());

    let small = format!(
        "{SMALL}admin: 127.0.0.1:8443\nconsole: {{url: HTTP://LocalHost:80, sign_in: {{corp: {{client_id: web}}}}}}\n"
    );
    let console = folder.parse(&small).unwrap().console.unwrap();
    assert_eq!(console.origin, "http://localhost");
    assert_eq!(console.session, Session::default());
    assert_eq!(console.sign_in[0].client_secret, None);
    assert_eq!(console.sign_in[0].scopes, ["openid", "profile", "email"]);
    assert_eq!(folder.parse(SMALL).unwrap().console, None);
}

#[test]
fn what_would_not_hold_is_refused() {
    let folder = Folder::new();
    for (section, said) in [
        ("url: http://portcullis.test, sign_in: {corp: {client_id: a}}", "would travel readable"),
        ("url: https://portcullis.test/console, sign_in: {corp: {client_id: a}}", "a host of its own"),
        ("url: https://portcullis.test, sign_in: {}", "nobody could sign in"),
        ("url: https://portcullis.test, sign_in: {corq: {client_id: a}}", "no issuer is called `corq`"),
        ("url: https://portcullis.test, sign_in: {corp: {client_id: a, scopes: [email]}}", "no ID token"),
        ("url: https://portcullis.test, sign_in: {corp: {client_id: a, scopes: ['a b']}}", "is no scope"),
        (
            "url: https://portcullis.test, sign_in: {corp: {client_id: a, client_secret: x}}",
            "a secret may not",
        ),
        (
            "url: https://portcullis.test, sign_in: {corp: {client_id: a}}, session: {idle: 2h, absolute: 1h}",
            "would end nothing",
        ),
    ] {
        let faults = folder.faults_with(&format!("admin: 127.0.0.1:8443\nconsole: {{{section}}}\n"));
        assert!(faults.contains(said), "{section}: {faults}");
    }
    let programs = SMALL.replace("audiences: portcullis", "audiences: portcullis, kind: workload");
    let text = format!(
        "{programs}admin: 127.0.0.1:8443\nconsole: {{url: https://a.test, sign_in: {{corp: {{client_id: a}}}}}}\n"
    );
    assert!(folder.faults(&text).contains("issuer for programs"), "{}", folder.faults(&text));
}

#[test]
fn it_needs_a_listener_that_browsers_reach() {
    let folder = Folder::new();
    let console = "console: {url: https://a.test, sign_in: {corp: {client_id: a}}}\n";
    for admin in ["", "admin: {socket: admin.sock}\n"] {
        let faults = folder.faults_with(&format!("{admin}{console}"));
        assert!(faults.contains("no listener that browsers could reach"), "{faults}");
    }
}
