//! How sessions go on, and every way they end.

use authenticate::standing::CallerId;
use http::StatusCode;
use model::Clock;

use crate::stand::{ATTEMPT, SESSION, Stand, Visitor, location};

/// Without a session one is led to the sign-in.
async fn is_out(stand: &Stand, visitor: &mut Visitor) {
    let answer = visitor.get(stand, "/").await;
    assert_eq!((answer.status, location(&answer)), (StatusCode::SEE_OTHER, "/sign-in?ended=1"));
    assert!(!visitor.here.contains_key(SESSION), "the cookie is taken back");
    assert!(visitor.get(stand, "/sign-in?ended=1").await.text().contains("Your session has ended"));
}

#[tokio::test]
async fn groups_are_asked_again_while_the_session_goes_on() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    assert!(alice.page(&stand).await.contains("ml-engineers"));
    let (before, began) = (alice.clone(), stand.clock.now().strftime("%H:%M:%S").to_string());

    stand.pass(14);
    assert!(alice.page(&stand).await.contains("ml-engineers"), "believed for a quarter of an hour");
    stand.pass(1);
    let again = alice.get(&stand, "/?before=1-00000000000000000000000000000000").await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert!(
        location(&again).starts_with(&format!("{}/auth?", stand.provider.issuer)),
        "{}",
        location(&again)
    );
    let back = alice.at_provider(&stand, location(&again), "alice").await;
    let arrived = alice.get(&stand, &back).await;
    assert_eq!(location(&arrived), "/?before=1-00000000000000000000000000000000");
    assert_ne!(alice.here[SESSION], before.here[SESSION], "a new name");
    assert!(alice.page(&stand).await.contains(&began), "and the old age");
    is_out(&stand, &mut before.clone()).await;
}

#[tokio::test]
async fn left_alone_it_ends() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    stand.pass(30);
    is_out(&stand, &mut alice).await;
}

#[tokio::test]
async fn used_all_day_it_ends_at_its_age() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    for _ in 0..(12 * 60 / 10 - 1) {
        stand.pass(10);
        let answer = alice.get(&stand, "/").await;
        if answer.status == StatusCode::SEE_OTHER {
            let back = alice.at_provider(&stand, location(&answer), "alice").await;
            alice.get(&stand, &back).await;
        }
        alice.page(&stand).await;
    }
    stand.pass(10);
    is_out(&stand, &mut alice).await;
}

#[tokio::test]
async fn signing_out_ends_it_for_whoever_has_the_cookie() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    let mut thief = alice.clone();
    let token = alice.form_token(&stand).await;
    for wrong in ["", "token=", "token=guess", &format!("token={token}&token={token}")] {
        assert_eq!(alice.post(&stand, "/sign-out", wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let mut other = Visitor::default();
    other.sign_in(&stand, "alice").await;
    let foreign = other.form_token(&stand).await;
    let wrong = alice.post(&stand, "/sign-out", &format!("token={foreign}")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "another session's token");
    let out = alice.post(&stand, "/sign-out", &format!("token={token}")).await;
    assert_eq!(out.status, StatusCode::OK);
    assert!(out.text().contains(&format!("{}/session/end?client_id=console", stand.provider.issuer)));
    assert!(!alice.here.contains_key(SESSION));
    is_out(&stand, &mut thief).await;
    other.page(&stand).await;
}

#[tokio::test]
async fn whoever_is_shut_out_is_out_at_the_next_request() {
    let stand = Stand::new().await;
    let caller = CallerId::parse(&format!("{}#alice", stand.provider.issuer)).unwrap();
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    let kept = alice.clone();
    stand.standing.block(&caller, Some("left the house"), "test").await.unwrap();
    let answer = alice.get(&stand, "/").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("caller_blocked") && !answer.text().contains("left the house"));
    // Nor is there a way in.
    let onward = alice.get(&stand, "/sign-in?issuer=panva").await;
    let back = alice.at_provider(&stand, location(&onward), "alice").await;
    assert_eq!(alice.get(&stand, &back).await.status, StatusCode::FORBIDDEN);
    assert!(!alice.here.contains_key(SESSION));
    stand.standing.unblock(&caller, "test").await.unwrap();
    is_out(&stand, &mut kept.clone()).await;

    alice.sign_in(&stand, "alice").await;
    stand.pass(10);
    stand.standing.revoke(&caller, stand.clock.now(), None, "test").await.unwrap();
    let answer = alice.get(&stand, "/").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("token_revoked"));
    let mut bob = Visitor::default();
    bob.sign_in(&stand, "bob").await;
}

#[tokio::test]
async fn nothing_that_opens_anything_is_kept() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    let onward = alice.get(&stand, "/sign-in?issuer=panva").await;
    let attempt = alice.here[ATTEMPT].clone();
    let back = alice.at_provider(&stand, location(&onward), "alice").await;
    alice.get(&stand, &back).await;
    let form = alice.form_token(&stand).await;
    let query = back.split_once('?').unwrap().1.to_owned();
    let code =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code").unwrap().1.into_owned();
    let bytes = stand.kept();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("console.sign-in") && holds("alice@example.test"), "control");
    for (what, secret) in [
        ("the session's name", alice.here[SESSION].as_str()),
        ("the sign-in's secret", attempt.split('.').next().unwrap()),
        ("the form's token", &form),
        ("the code", &code),
        ("a token", "eyJ"),
    ] {
        assert!(!holds(secret), "{what} is kept");
    }
}
