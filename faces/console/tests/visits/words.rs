//! Words on what waits: whose they are, when they count, and when a session's time is over for them.

use std::sync::Arc;

use approve::{Approval, ApprovalId, Asked, Digest, Petition, State, Via, Wanted};
use http::StatusCode;
use model::{Class, ExchangeId, Facts, Identity, Operation, PolicyReason, ResourceName};
use serde_json::json;

use crate::stand::{Stand, Visitor, location};

fn requester(stand: &Stand, subject: &str) -> Identity {
    serde_json::from_value(json!({
        "issuer": stand.provider.issuer, "issuer_name": "panva", "subject": subject, "kind": "human",
        "groups": ["analysts"], "email": format!("{subject}@example.test"), "display": "Bob <b>",
        "token": {
            "digest": "00", "issued_at": null, "expires_at": "2100-01-01T00:00:00Z", "authenticated_at": null,
            "audiences": [], "client": null, "methods": [], "context_class": null, "scopes": [], "mfa": false,
            "claims": {},
        },
    }))
    .unwrap()
}

/// Something that somebody asks.
async fn asked(stand: &Stand, subject: &str) -> ApprovalId {
    let requester = requester(stand, subject);
    let operation =
        Operation { class: Class::Infer, name: "openai.chat".into(), facts: Facts::plain("POST", "/v1/x") };
    let petition = Petition {
        exchange: Some(ExchangeId::at(jiff::Timestamp::UNIX_EPOCH)),
        digest: Digest::of_membership(&requester, "made up", 1),
        requester: Arc::new(requester),
        wanted: Wanted::Request {
            resource: ResourceName::new("llama").unwrap(),
            kind: "model".into(),
            operations: vec![operation],
        },
        needed: 1,
        policies: vec![PolicyReason { policy: "p".into(), sentence: Some("Only <with> consent.".into()) }],
    };
    match stand.approvals.ask(&petition).await.unwrap() {
        Asked::Open(mut watch) => watch.now().id,
        Asked::Denied(_) => panic!("denied already"),
    }
}

async fn now(stand: &Stand, id: ApprovalId) -> Approval {
    stand.approvals.get(id).await.unwrap().unwrap()
}

/// What stands in a page's form at `name`.
fn field(page: &str, name: &str) -> String {
    let found =
        page.split(&format!("name=\"{name}\" value=\"")).nth(1).and_then(|rest| rest.split('"').next());
    found.unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
}

async fn engineer() -> (Stand, Visitor, ApprovalId) {
    let stand = Stand::new().await;
    let id = asked(&stand, "bob").await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    (stand, alice, id)
}

#[tokio::test]
async fn a_word_is_given_once_with_its_reason_by_whom_the_session_stands_for() {
    let (stand, mut alice, id) = engineer().await;
    let page = alice.get(&stand, &format!("/approvals/{id}")).await.text();
    for shown in ["Only &#60;with&#62; consent.", "Bob &#60;b&#62;", "openai.chat", "0 of 1 consents"] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let form = format!("token={}&digest={}&reason=all+right", field(&page, "token"), field(&page, "digest"));
    for wrong in [
        form.replacen("token=", "token=x", 1),
        form.replacen("digest=", "digest=x", 1),
        form.replacen("&digest=", "&other=", 1),
        format!("reason={}&{form}", "x".repeat(5000)),
    ] {
        let refused = alice.post(&stand, &format!("/approvals/{id}/approve"), &wrong).await;
        assert!(refused.status.is_client_error(), "{} {}", refused.status, refused.text());
    }
    assert_eq!(now(&stand, id).await.state, State::Waiting);
    let given = alice.post(&stand, &format!("/approvals/{id}/approve"), &form).await;
    assert_eq!(
        (given.status, location(&given)),
        (StatusCode::SEE_OTHER, format!("/approvals/{id}").as_str())
    );
    let approval = now(&stand, id).await;
    let by = &approval.consents[0];
    assert_eq!((&approval.state, by.subject.as_str(), by.via), (&State::Approved, "alice", Via::Page));
    assert_eq!((by.reason.as_str(), by.token.len()), ("all right", 64));
    let page = alice.get(&stand, &format!("/approvals/{id}")).await.text();
    assert!(page.contains("all right") && !page.contains("/approve\""), "{page}");
    // Approved, it can still be denied; denied, nothing.
    let form = form.replace("all+right", "not+so");
    assert!(alice.post(&stand, &format!("/approvals/{id}/deny"), &form).await.status.is_redirection());
    let late = alice.post(&stand, &format!("/approvals/{id}/deny"), &form).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("denied already"), "{}", late.text());
}

#[tokio::test]
async fn a_form_that_comes_after_the_session_is_believed_decides_nothing() {
    let (stand, mut alice, id) = engineer().await;
    let path = format!("/approvals/{id}");
    let page = alice.get(&stand, &path).await.text();
    let form = format!("token={}&digest={}", field(&page, "token"), field(&page, "digest"));
    stand.pass(16);
    let onward = alice.post(&stand, &format!("{path}/approve"), &form).await;
    let back = alice.at_provider(&stand, location(&onward), "alice").await;
    let arrived = alice.get(&stand, &back).await;
    assert_eq!(location(&arrived), format!("{path}/approve"));
    let page = alice.get(&stand, &format!("{path}/approve")).await;
    assert_eq!(location(&page), format!("{path}?again=1"));
    let page = alice.get(&stand, &format!("{path}?again=1")).await.text();
    assert!(page.contains("nothing was decided"), "{page}");
    assert_eq!(now(&stand, id).await.state, State::Waiting);
    // The form on the page that is read now counts; the one of the session before does not.
    let old = alice.post(&stand, &format!("{path}/approve"), &form).await;
    assert_eq!(old.status, StatusCode::BAD_REQUEST);
    let form = format!("token={}&digest={}", field(&page, "token"), field(&page, "digest"));
    assert!(alice.post(&stand, &format!("{path}/approve"), &form).await.status.is_redirection());
    assert_eq!(now(&stand, id).await.state, State::Approved);
}

#[tokio::test]
async fn who_is_shut_out_or_no_approver_decides_nothing() {
    let (stand, mut alice, id) = engineer().await;
    let path = format!("/approvals/{id}");
    let page = alice.get(&stand, &path).await.text();
    let form = format!("token={}&digest={}&reason=x", field(&page, "token"), field(&page, "digest"));
    let alices =
        authenticate::standing::CallerId::parse(&format!("{}#alice", stand.provider.issuer)).unwrap();
    stand.standing.block(&alices, None, "a test").await.unwrap();
    assert!(alice.post(&stand, &format!("{path}/approve"), &form).await.status.is_client_error());
    let mut mallory = Visitor::default();
    mallory.sign_in(&stand, "mallory").await;
    let token = mallory.form_token(&stand).await;
    let form = format!("token={token}&digest={}&reason=x", field(&page, "digest"));
    for verb in ["approve", "deny"] {
        let refused = mallory.post(&stand, &format!("{path}/{verb}"), &form).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    }
    assert_eq!(mallory.get(&stand, &path).await.status, StatusCode::FORBIDDEN);
    let inbox = mallory.get(&stand, "/approvals").await;
    assert!(inbox.status.is_success() && inbox.text().contains("Nothing waits for you"));
    assert_eq!(now(&stand, id).await.state, State::Waiting);
}

#[tokio::test]
async fn who_asks_sees_it_and_takes_it_back_but_never_approves_it() {
    let stand = Stand::new().await;
    let id = asked(&stand, "alice").await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    let path = format!("/approvals/{id}");
    let page = alice.get(&stand, &path).await.text();
    assert!(page.contains("Take it back") && !page.contains("/approve\""), "{page}");
    assert!(alice.get(&stand, "/approvals").await.text().contains("yours"));
    let form = format!("token={}&digest={}&reason=a+mistake", field(&page, "token"), field(&page, "digest"));
    let refused = alice.post(&stand, &format!("{path}/approve"), &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    assert!(alice.post(&stand, &format!("{path}/deny"), &form).await.status.is_redirection());
    let State::Denied { by } = now(&stand, id).await.state else { panic!("it is not denied") };
    assert_eq!(by.reason, "a mistake");
}

#[tokio::test]
async fn only_what_is_a_page_is_one() {
    let (stand, mut alice, id) = engineer().await;
    for path in ["/approvals/", "/approvals/x/y", "/approvalsx", "/approvals/x/approve/z"] {
        assert_eq!(alice.get(&stand, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/approvals/x", "/approvals/0190f000-0000-7000-8000-000000000000"] {
        assert_eq!(alice.get(&stand, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let posted = alice.post(&stand, &format!("/approvals/{id}"), "").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    let mut nobody = Visitor::default();
    let onward = nobody.get(&stand, &format!("/approvals/{id}")).await;
    assert!(location(&onward).starts_with("/sign-in?return_to="), "{}", location(&onward));
}
