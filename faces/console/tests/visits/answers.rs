//! Answers that are not to this sign-in, addresses that lead elsewhere, and what a page shows to whom.

use http::{Method, Request, StatusCode, header};

use crate::stand::{ATTEMPT, SESSION, Stand, Visitor, location};

/// A sign-in that is back from the provider and not yet finished.
async fn back(stand: &Stand, visitor: &mut Visitor) -> String {
    let onward = visitor.get(stand, "/sign-in?issuer=panva").await;
    visitor.at_provider(stand, location(&onward), "alice").await
}

async fn refused(stand: &Stand, visitor: &mut Visitor, path: &str, status: StatusCode, said: &str) {
    let answer = visitor.get(stand, path).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    assert!(answer.text().contains(said), "{path}: {}", answer.text());
    assert!(!visitor.here.contains_key(SESSION), "{path}");
}

#[tokio::test]
async fn only_the_answer_to_this_browsers_own_sign_in_counts() {
    let stand = Stand::new().await;
    let out = StatusCode::UNAUTHORIZED;
    let mut alice = Visitor::default();
    let good = back(&stand, &mut alice).await;

    // Somebody else's browser, and one that has begun another sign-in since (login CSRF).
    refused(&stand, &mut Visitor::default(), &good, out, "No sign-in is under way").await;
    let mut mallory = Visitor::default();
    let theirs = back(&stand, &mut mallory).await;
    refused(&stand, &mut alice.clone(), &theirs, out, "not begun by this browser").await;

    let swap = |from: &str, to: &str| good.replace(from, to);
    let without = |name: &str| {
        let (path, query) = good.split_once('?').unwrap();
        let rest: Vec<&str> =
            query.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
        format!("{path}?{}", rest.join("&"))
    };
    for (path, status, said) in [
        (without("state"), out, "not begun by this browser"),
        (swap("state=", "state=x"), out, "not begun by this browser"),
        (without("iss"), out, "does not say which issuer"),
        (swap("iss=http", "iss=https"), out, "Another issuer answered"),
        (swap("/callback/panva", "/callback/other"), out, "Another issuer answered"),
        (without("code"), out, "holds no code"),
        (swap("code=", "code=x"), out, "did not confirm"),
        (swap("code=", "error=access_denied&code="), out, "declined the sign-in"),
        (format!("{good}&code=twice"), StatusCode::BAD_REQUEST, "holds a name twice"),
    ] {
        refused(&stand, &mut alice.clone(), &path, status, said).await;
    }
    // A cookie that was changed carries another state.
    let mut changed = alice.clone();
    let cookie = changed.here[ATTEMPT].replace('.', ".1");
    changed.here.insert(ATTEMPT.to_owned(), cookie);
    assert_eq!(changed.get(&stand, &good).await.status, out);

    // The control: the answer itself is good, once.
    let mut again = alice.clone();
    assert_eq!(location(&alice.get(&stand, &good).await), "/");
    alice.page(&stand).await;
    refused(&stand, &mut again, &good, out, "did not confirm").await;
}

#[tokio::test]
async fn a_sign_in_ends_after_ten_minutes() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    let path = back(&stand, &mut alice).await;
    stand.pass(11);
    refused(&stand, &mut alice, &path, StatusCode::UNAUTHORIZED, "took too long").await;
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    for elsewhere in
        ["//evil.test", "https://evil.test", "/%5Cevil.test", "/a//b", "javascript:1", "/sign-in"]
    {
        let place = format!("/sign-in?return_to={}", elsewhere.replace('%', "%25"));
        let answer = alice.get(&stand, &place).await;
        assert_ne!(answer.status, StatusCode::SEE_OTHER, "{elsewhere}");
        let begun = alice.get(&stand, &format!("{place}&issuer=panva")).await;
        if elsewhere == "/%5Cevil.test" {
            // A browser keeps it a path: `%5C` is no backslash to it.
            continue;
        }
        assert_eq!(begun.status, StatusCode::BAD_REQUEST, "{elsewhere}");
    }
    let answer = alice.get(&stand, "/sign-in?issuer=nobody").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let away = alice.get(&stand, "/sign-in?issuer=other").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "an issuer that is away");
}

#[tokio::test]
async fn requests_of_other_sites_and_names_are_refused() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    let token = alice.form_token(&stand).await;
    let cookie = format!("{SESSION}={}", alice.here[SESSION]);
    let own = stand.origin.as_str();
    let form = "application/x-www-form-urlencoded";
    for headers in [
        vec![("origin", "https://evil.test"), ("content-type", form)],
        vec![("origin", "null"), ("content-type", form)],
        vec![("content-type", form)],
        vec![("origin", own), ("content-type", form), ("sec-fetch-site", "same-site")],
        vec![("origin", own), ("content-type", "text/plain")],
        vec![("origin", own), ("content-type", form), ("host", "evil.test")],
    ] {
        let mut request = Request::builder().method(Method::POST).uri(format!("{own}/sign-out"));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let body = http_body_util::Full::from(format!("token={token}"));
        let request = request.header(header::COOKIE, &cookie).body(body).unwrap();
        let answer = e2e::client::try_send(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{headers:?}: {}", answer.text());
    }
    alice.page(&stand).await;
    assert_eq!(alice.get(&stand, "/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get(&stand, "/sign-out").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_shows_what_is_the_persons_own() {
    let stand = Stand::new().await;
    let (mut alice, mut bob, mut mallory) = (Visitor::default(), Visitor::default(), Visitor::default());
    alice.sign_in(&stand, "alice").await;
    bob.sign_in(&stand, "bob").await;
    mallory.sign_in(&stand, "mallory").await;
    let page = alice.page(&stand).await;
    assert_eq!(page.matches("console.sign-in").count(), 1, "her own alone");
    assert!(page.contains("<h3>llama") && !page.contains("closed-book") && !page.contains("bob"));
    let page = bob.page(&stand).await;
    assert!(page.contains("analysts") && page.contains("No policy lets you use anything"));
    let page = mallory.page(&stand).await;
    assert!(page.contains("You are in no group"), "{page}");
}

#[tokio::test]
async fn without_a_policy_the_record_stays_shut_and_the_page_open() {
    let stand = Stand::with(r#"permit(principal, action == Action::"infer", resource);"#).await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    let page = alice.page(&stand).await;
    assert!(page.contains("alice@example.test") && page.contains("ml-engineers"));
    assert!(page.contains("No policy permits you") && !page.contains("console.sign-in"), "{page}");
}

#[tokio::test]
async fn pages_say_nothing_to_whoever_is_not_signed_in() {
    let stand = Stand::new().await;
    let mut nobody = Visitor::default();
    let answer = nobody.get(&stand, "/?before=1-a").await;
    assert_eq!(
        (answer.status, location(&answer)),
        (StatusCode::SEE_OTHER, "/sign-in?return_to=%2F%3Fbefore%3D1-a")
    );
    let text = nobody.get(&stand, "/sign-in").await.text();
    assert!(
        text.contains("Continue with") && !text.contains("llama") && !text.contains(&stand.provider.issuer)
    );
    for file in ["/style.css", "/mark.svg"] {
        let answer = nobody.get(&stand, file).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    assert!(nobody.here.is_empty());
}

#[tokio::test]
async fn without_a_record_nothing_is_shown_and_nobody_gets_in() {
    let stand = Stand::new().await;
    let mut alice = Visitor::default();
    alice.sign_in(&stand, "alice").await;
    let mut bob = Visitor::default();
    let path = back(&stand, &mut bob).await;
    stand.ledger.clone().close().await.unwrap();
    let page = alice.get(&stand, "/").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!page.text().contains("Alice") && !page.text().contains("ml-engineers"), "{}", page.text());
    let arrived = bob.get(&stand, &path).await;
    assert_eq!(arrived.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!bob.here.contains_key(SESSION));
    // Not even a refusal leaves with words of its own.
    let refused = bob.get(&stand, "/nothing").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
}
