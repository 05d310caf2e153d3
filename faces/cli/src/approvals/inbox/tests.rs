//! What the inbox shows on a terminal.
use serde_json::json;

use super::*;

fn out() -> Out {
    Out::into(Box::new(std::io::sink()), false)
}

fn approval(id: &str, state: &str) -> Value {
    json!({
        "id": id, "state": state, "needed": 2, "given": 1, "resource": "llama",
        "requester": { "email": "alice@example.test" },
        "operations": [{ "name": "export.weights", "class": "export", "model": "tiny" }],
        "asked_at": "2026-01-31T12:00:00Z",
        "decisions": [{ "decision": "denied", "by": { "email": "carol@example.test" }, "reason": "not today" }],
    })
}

fn now() -> Timestamp {
    "2026-01-31T12:01:05Z".parse().unwrap()
}

fn drawn(inbox: &Inbox) -> String {
    inbox.draw((100, 24), now(), &out()).join("\n")
}

fn inbox(ids: &[&str]) -> Inbox {
    let mut inbox = Inbox::default();
    for id in ids {
        inbox.hear(approval(id, "waiting"));
    }
    inbox
}

fn write(inbox: &mut Inbox, text: &str) {
    for letter in text.chars() {
        assert_eq!(inbox.take(Key::Letter(letter)), Wish::Nothing);
    }
}

#[test]
fn what_waits_is_shown_with_its_age_and_consents() {
    let picture = drawn(&inbox(&["one", "two"]));
    assert!(picture.contains("2 requests wait for consent"), "{picture}");
    let line = "›   1m 05s  1 of 2  export.weights (export) on llama/tiny, for alice@example.test";
    assert!(picture.contains(line), "{picture}");
    assert!(drawn(&Inbox::default()).contains("Nothing waits for you."));
}

#[test]
fn a_decision_goes_out_with_its_reason_for_the_one_that_was_marked() {
    let mut inbox = inbox(&["one", "two", "three"]);
    assert_eq!(inbox.take(Key::Down), Wish::Nothing);
    assert_eq!(inbox.take(Key::Letter('a')), Wish::Nothing);
    write(&mut inbox, "agreedd");
    inbox.take(Key::Backspace);
    // News of others, before and behind, moves nothing.
    inbox.hear(approval("one", "released"));
    inbox.hear(approval("four", "waiting"));
    assert!(drawn(&inbox).contains("reason: agreed"));
    let reason = "agreed".to_owned();
    assert_eq!(inbox.take(Key::Enter), Wish::Decide { approval: "two".into(), verb: "approve", reason });
    assert_eq!(inbox.take(Key::Enter), Wish::Show("two".into()));
}

#[test]
fn nobody_is_denied_without_a_reason_and_nothing_is_sent_that_was_left() {
    let mut inbox = inbox(&["one"]);
    inbox.take(Key::Letter('d'));
    write(&mut inbox, "  ");
    assert_eq!(inbox.take(Key::Enter), Wish::Nothing);
    assert!(drawn(&inbox).contains("write a reason"));
    write(&mut inbox, "q");
    assert_eq!(inbox.take(Key::Interrupt), Wish::Nothing);
    assert_eq!(inbox.take(Key::Interrupt), Wish::Quit);
    assert_eq!(inbox.take(Key::Letter('q')), Wish::Quit);
}

#[test]
fn what_is_settled_meanwhile_is_not_decided_and_its_end_is_told() {
    let mut inbox = inbox(&["one", "two"]);
    inbox.take(Key::Letter('a'));
    write(&mut inbox, "yes");
    inbox.hear(approval("one", "denied"));
    let picture = drawn(&inbox);
    assert!(picture.contains("It is settled") && !picture.contains("reason: yes"), "{picture}");
    assert!(picture.contains("denied one export.weights (export) on llama/tiny"), "{picture}");
    let wide = inbox.draw((140, 24), now(), &out()).join("\n");
    assert!(wide.contains("by carol@example.test: not today"), "{wide}");
    // The mark is on what is left.
    assert_eq!(inbox.take(Key::Enter), Wish::Show("two".into()));
    inbox.hear(approval("two", "expired"));
    assert_eq!(inbox.take(Key::Enter), Wish::Nothing);
}

#[test]
fn a_small_screen_shows_the_marked_one_and_no_line_is_too_wide() {
    let ids: Vec<String> = (0..40).map(|at| format!("id{at}")).collect();
    let mut inbox = inbox(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..39 {
        inbox.take(Key::Down);
    }
    inbox.hear(approval("another", "denied"));
    for size in [(80, 24), (30, 12), (10, 4), (1, 1), (0, 0)] {
        let lines = inbox.draw(size, now(), &out());
        assert!(lines.iter().any(|line| line.starts_with('›') || size.0 < 2), "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= size.0.max(1)), "{size:?} {lines:?}");
    }
}

#[test]
fn one_is_read_whole_and_decided_from_there() {
    let mut inbox = inbox(&["one"]);
    let mut shown = approval("one", "waiting");
    shown["prompt"] =
        json!({ "parts": [{ "label": "user", "said": "w ".repeat(400), "hidden": 7, "ending": "the end" }] });
    inbox.read(shown, now(), &out());
    let picture = drawn(&inbox);
    assert!(picture.contains("alice@example.test") && picture.contains("— user"), "{picture}");
    assert!(picture.lines().count() <= 24 && picture.lines().all(|line| line.chars().count() <= 100));
    inbox.take(Key::Letter('d'));
    write(&mut inbox, "no");
    let reason = "no".to_owned();
    assert_eq!(inbox.take(Key::Enter), Wish::Decide { approval: "one".into(), verb: "deny", reason });
}
