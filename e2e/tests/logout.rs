//! Back-channel logout, told by a real provider.

use std::time::Duration;

use e2e::ask::{chat, code, stream};
use e2e::client;
use e2e::plan::Plan;
use e2e::provider::Provider;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::standing::{begun, endless};

#[tokio::test]
async fn a_logout_at_the_issuer_ends_what_runs_here() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let gateway = Plan::before(&provider, &upstream.url())
        .with(json!({ "issuers": { "panva": {
            "audiences": ["portcullis", "person"], "backchannel_logout": "person",
        } } }))
        .start()
        .await;
    provider.hear(&gateway.url("/.well-known/portcullis/backchannel-logout/panva")).await;
    let id_token = provider.id_token("alice").await;
    let alice = provider.login("alice").await;
    let agent = provider.machine("agent-runner").await;
    let mut cut = stream(&gateway, &alice, "hello").await;
    let mut other = stream(&gateway, &agent, "hello").await;
    begun(cut.body_mut()).await;
    begun(other.body_mut()).await;
    assert_eq!(chat(&gateway, &id_token).await.status, StatusCode::OK);

    provider.logout("alice").await;
    let (told, end) = client::drain(cut.body_mut()).await;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(end.is_err() && told.contains("token_revoked"), "{told}\n{}", gateway.log());
    let refused = chat(&gateway, &alice).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::UNAUTHORIZED, "token_revoked"));
    assert_eq!(chat(&gateway, &agent).await.status, StatusCode::OK);
    // The ID token is of an earlier session of hers, which it names: that one goes on.
    assert_eq!(chat(&gateway, &id_token).await.status, StatusCode::OK);
    // Whoever logs in again is let in; a token of the very second of the logout may be of before it.
    for _ in 0..20 {
        if chat(&gateway, &provider.login("alice").await).await.status == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("never let in again:\n{}", gateway.log());
}

#[tokio::test]
async fn only_a_good_logout_token_is_heard() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let gateway = Plan::before(&provider, &upstream.url())
        .with(json!({ "issuers": { "panva": { "backchannel_logout": "person" } } }))
        .start()
        .await;
    let alice = provider.login("alice").await;
    let url = gateway.url("/.well-known/portcullis/backchannel-logout/panva");
    let post = |url: &str, kind: &str, body: String| {
        let request = Request::builder().method(Method::POST).uri(url).header("content-type", kind);
        client::try_send(request.body(Full::new(body.into())).unwrap())
    };
    let form = "application/x-www-form-urlencoded";
    let as_logout = format!("logout_token={alice}");
    for (url, kind, body, status) in [
        (url.clone(), form, as_logout.clone(), StatusCode::BAD_REQUEST),
        (url.clone(), form, "logout_token=a.b.c".to_owned(), StatusCode::BAD_REQUEST),
        (url.clone(), form, String::new(), StatusCode::BAD_REQUEST),
        (url.clone(), "application/json", as_logout.clone(), StatusCode::BAD_REQUEST),
        (format!("{url}x"), form, as_logout.clone(), StatusCode::NOT_FOUND),
    ] {
        let answer = post(&url, kind, body.clone()).await.unwrap();
        assert_eq!(answer.status, status, "{url} {body}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(!answer.text().contains("portcullis"), "{}", answer.text());
    }
    let got = client::try_get(&url).await.unwrap();
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
}
