//! What the section on telling becomes, and what is said of a bad one.

use super::Folder;
use crate::reference::{SMALL, WHOLE};
use crate::*;

#[test]
fn it_arrives_whole_and_its_defaults_are_the_structs() {
    let folder = Folder::new();
    let tell = folder.parse(WHOLE).unwrap().approvals.tell;
    let [incidents] = tell.webhooks.as_slice() else { panic!("one webhook") };
    assert_eq!(incidents.name, "incidents");
    assert_eq!(incidents.url.to_string(), "https://hooks.example.test/portcullis");
    assert_eq!(incidents.secrets[0], SecretRef::Env("WEBHOOK_SECRET".to_owned()), "the new one stands first");
    assert_eq!(incidents.secrets.len(), 2);
    assert_eq!(
        incidents.events.iter().copied().collect::<Vec<_>>(),
        [TellEvent::Requested, TellEvent::Approved, TellEvent::Denied]
    );
    let slack = tell.slack.unwrap();
    assert_eq!((slack.channel.as_str(), slack.api.as_str()), ("C0123456789", "https://slack.com/api"));
    assert_eq!(tell.give_up, Tell::default().give_up);

    assert_eq!(folder.parse(SMALL).unwrap().approvals.tell, Tell::default());
    let small = format!(
        "{SMALL}approvals: {{tell: {{webhooks: {{a: {{url: http://127.0.0.1:9/x?y=1, secrets: env:S}}}}}}}}\n"
    );
    let [webhook] = &folder.parse(&small).unwrap().approvals.tell.webhooks[..] else { panic!("one webhook") };
    assert_eq!(webhook.events.len(), TellEvent::ALL.len());
    assert_eq!(webhook.timeout.as_secs(), 10);
}

#[test]
fn every_event_can_be_written() {
    let words: Vec<&str> = TellEvent::ALL.into_iter().map(TellEvent::as_str).collect();
    let folder = Folder::new();
    let text = format!(
        "{SMALL}approvals: {{tell: {{webhooks: {{a: {{url: https://a.test, secrets: env:S, events: [{}]}}}}}}}}\n",
        words.join(", ")
    );
    let tell = folder.parse(&text).unwrap().approvals.tell;
    assert_eq!(tell.webhooks[0].events.iter().copied().collect::<Vec<_>>(), TellEvent::ALL);
}

#[test]
fn what_would_not_hold_is_refused() {
    let folder = Folder::new();
    let many = (0..17).map(|n| format!("w{n}: {{url: https://a.test, secrets: env:S}}"));
    let many = format!("webhooks: {{{}}}", many.collect::<Vec<_>>().join(", "));
    for (section, said) in [
        ("webhooks: {a: {url: http://a.test, secrets: env:S}}", "who asks for what could be read"),
        ("webhooks: {a: {url: https://a.test}}", "`secrets` is missing"),
        ("webhooks: {a: {url: https://a.test, secrets: []}}", "the list is empty"),
        ("webhooks: {a: {url: https://a.test, secrets: [hunter2]}}", "a secret may not stand in this file"),
        (
            "webhooks: {a: {url: https://a.test, secrets: [env:A, env:B, env:C, env:D, env:E]}}",
            "5 secrets sign",
        ),
        ("webhooks: {a: {url: https://a.test, secrets: env:S, events: [requestd]}}", "requested"),
        ("webhooks: {a: {url: https://a.test, secrets: env:S, events: []}}", "the list is empty"),
        ("slack: {channel: '#general', token: env:T}", "no channel's id"),
        ("slack: {channel: C0123456789}", "`token` is missing"),
        ("slack: {channel: C0123456789, token: xoxb-1}", "a secret may not stand in this file"),
        ("slack: {channel: C0123456789, token: env:T, api: http://a.test}", "token would travel readable"),
        ("give_up: 10s", "out of bounds"),
        (many.as_str(), "there are 17 webhooks"),
    ] {
        let faults = folder.faults_with(&format!("approvals: {{tell: {{{section}}}}}\n"));
        assert!(faults.contains(said), "{section}: {faults}");
        assert!(!faults.contains("hunter2") && !faults.contains("xoxb-1"), "{faults}");
    }
}
