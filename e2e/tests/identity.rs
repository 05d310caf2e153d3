//! Who asks: keys that move, providers that go away, tokens that are not for us.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::ask::{chat, chat_body, code};
use e2e::client::{self, Answer};
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::{Glewlwyd, Provider};
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::json;

async fn upstream() -> FakeUpstream {
    FakeUpstream::start(|_| Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })))
        .await
}

/// Asks until the answer has this status: keys are fetched again no oftener than the gateway lets
/// strangers make it.
async fn until(gateway: &Gateway, token: &str, status: StatusCode) -> Answer {
    for _ in 0..600 {
        let answer = chat(gateway, token).await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never {status}; the gateway said:\n{}", gateway.log());
}

#[tokio::test]
async fn a_new_key_is_taken_up_and_an_old_one_dropped() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let old = provider.login("alice").await;
    let old_unused = provider.login("alice").await;
    assert_eq!(chat(&gateway, &old).await.status, StatusCode::OK);

    provider.keys("add").await;
    until(&gateway, &provider.login("alice").await, StatusCode::OK).await;
    assert_eq!(chat(&gateway, &old).await.status, StatusCode::OK, "both generations are published");

    provider.keys("replace").await;
    until(&gateway, &provider.login("alice").await, StatusCode::OK).await;
    let refused = chat(&gateway, &old_unused).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::UNAUTHORIZED, "token_invalid"));
}

#[tokio::test]
async fn the_last_good_keys_serve_while_the_provider_is_away() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let first = provider.login("alice").await;
    let second = provider.login("alice").await;
    assert_eq!(chat(&gateway, &first).await.status, StatusCode::OK);
    provider.away(true).await;
    assert_eq!(chat(&gateway, &second).await.status, StatusCode::OK, "{}", gateway.log());
    provider.away(false).await;
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let plan =
        Plan::before(&provider, &upstream.url()).with(json!({ "issuers": { "panva": { "skew": "0s" } } }));
    let gateway = plan.start().await;
    provider.access_lives(3).await;
    let token = provider.login("alice").await;
    let refused = until(&gateway, &token, StatusCode::UNAUTHORIZED).await;
    assert_eq!(code(&refused), "token_expired");
}

#[tokio::test]
async fn a_token_for_another_audience_opens_nothing_and_learns_nothing() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    for token in [provider.login_for("alice", "elsewhere").await, provider.id_token("alice").await] {
        let refused = chat(&gateway, &token).await;
        assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::UNAUTHORIZED, "token_invalid"));
        assert!(!refused.text().contains("audience"), "{}", refused.text());
        assert!(!refused.text().contains(&token));
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_token_that_was_touched_opens_nothing() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("bob").await;
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let promoted = encode(&claims.replace("analysts", "ml-engineers"));
    let touched = [
        format!("{}.{promoted}.{}", parts[0], parts[2]),
        format!("{}.{promoted}.", encode(r#"{"alg":"none","typ":"at+jwt"}"#)),
        format!("{}.{promoted}.{}", encode(r#"{"alg":"HS256","typ":"at+jwt"}"#), parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], encode("no signature")),
        "not a token".replace(' ', "."),
    ];
    for token in touched {
        let refused = chat(&gateway, &token).await;
        assert_eq!(
            (refused.status, code(&refused).as_str()),
            (StatusCode::UNAUTHORIZED, "token_invalid"),
            "{token}"
        );
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_token_is_taken_from_each_place_an_sdk_puts_it_and_from_one_only() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let (token, other) = (provider.login("alice").await, provider.login("bob").await);
    let ask = |headers: Vec<(&'static str, String)>| {
        let url = gateway.url("/llama/v1/chat/completions");
        let mut request = client::request(Method::POST, &url, None, Some(&chat_body("hello")));
        for (name, value) in headers {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        client::try_send(request)
    };
    for header in ["x-api-key", "api-key"] {
        assert_eq!(ask(vec![(header, token.clone())]).await.unwrap().status, StatusCode::OK, "{header}");
    }
    let none = ask(vec![]).await.unwrap();
    assert_eq!((none.status, code(&none).as_str()), (StatusCode::UNAUTHORIZED, "token_missing"));
    assert!(none.headers.contains_key("www-authenticate"));
    let before = upstream.received().len();
    let two = ask(vec![("authorization", format!("Bearer {token}")), ("x-api-key", other)]).await.unwrap();
    assert!(two.status.is_client_error(), "{} {}", two.status, two.text());
    assert_eq!(upstream.received().len(), before);
}

#[tokio::test]
async fn groups_that_are_joined_with_commas_are_groups() {
    let (provider, upstream) = tokio::join!(Glewlwyd::start(), upstream());
    let gateway = Plan::default()
        .glewlwyd(&provider)
        .resource("llama", e2e::plan::model_at(&upstream.url()))
        .environment("LLAMA_KEY", "key")
        .policy("engineers.cedar", e2e::plan::ENGINEERS_MAY_USE)
        .start()
        .await;
    // One after the other: this provider's database takes one writer at a time.
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    for kind in ["access_token", "id_token"] {
        let may = chat(&gateway, alice[kind].as_str().unwrap()).await;
        assert_eq!(may.status, StatusCode::OK, "{kind}: {}", may.text());
        let may_not = chat(&gateway, bob[kind].as_str().unwrap()).await;
        assert_eq!(code(&may_not), "policy_denied", "{kind}");
    }
}

#[tokio::test]
async fn people_of_two_providers_stay_two_people() {
    let (panva, glewlwyd, upstream) = tokio::join!(Provider::start(), Glewlwyd::start(), upstream());
    let policy = format!(
        r#"permit(principal, action == Action::"infer", resource) when {{ principal.issuer == "{}" }};"#,
        panva.issuer
    );
    let gateway = Plan::before(&panva, &upstream.url())
        .glewlwyd(&glewlwyd)
        .policy("engineers.cedar", &policy)
        .start()
        .await;
    let (one, other) = tokio::join!(panva.login("alice"), glewlwyd.login("alice"));
    assert_eq!(chat(&gateway, &one).await.status, StatusCode::OK);
    assert_eq!(code(&chat(&gateway, other["access_token"].as_str().unwrap()).await), "policy_denied");
}
