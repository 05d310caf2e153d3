//! The console as people meet it: a real browser, a real provider, the program as it is shipped.

use e2e::gateway::Gateway;
use e2e::parts::require;
use e2e::plan::Plan;
use e2e::process::free_address;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use e2e::{client, script};
use http::StatusCode;
use serde_json::{Value, json};

/// What alice may see and do, so that every part of the page has something to show.
const POLICIES: &str = r#"
// People may look at their own record.
@id("own-record")
permit(principal, action == Action::"view", resource is Session) when { resource has caller && resource.caller == principal };

// Engineers may train the tiny model when two colleagues consent.
@id("train-with-consent")
permit(principal in Group::"ml-engineers", action == Action::"train", resource == Model::"llama/tiny-llama")
when { context.approvals >= 2 };

// Engineers see addresses of people in answers.
@id("see-addresses")
permit(principal in Group::"ml-engineers", action == Action::"reveal", resource in DataClass::"pii");
"#;

struct Stand {
    gateway: Gateway,
    provider: Provider,
    origin: String,
    _upstream: FakeUpstream,
}

/// A gateway with an administration behind its own authority's TLS, and the console on it.
async fn stand() -> Stand {
    let answer = json!({ "id": "1", "object": "chat.completion", "choices": [{ "index": 0,
        "message": { "role": "assistant", "content": "ask alice@example.test or use 4111 1111 1111 1111" } }] });
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(move |_| Reply::json(&answer)));
    let admin = free_address();
    let origin = format!("https://localhost:{}", admin.port());
    let secret = provider.console(&origin).await;
    let console = json!({
        "url": origin,
        "sign_in": { "panva": {
            "client_id": "console", "client_secret": "env:CONSOLE_SECRET",
            "scopes": ["openid", "profile", "email", "groups"],
        } },
    });
    let plan = Plan::before(&provider, &upstream.url())
        .resource(
            "orders",
            json!({
                "kind": "http", "upstreams": [upstream.url()],
                "routes": [{ "match": "GET /orders/{id}", "class": "read", "name": "orders.get" }],
            }),
        )
        .policy("console.cedar", POLICIES)
        .environment("CONSOLE_SECRET", &secret)
        .with(json!({ "admin": { "address": admin.to_string(), "tls": "local" }, "console": console }));
    let gateway = plan.start().await;
    Stand { gateway, provider, origin, _upstream: upstream }
}

/// Requests of alice's that her page then lists.
async fn ask(stand: &Stand) {
    let token = stand.provider.login("alice").await;
    let url = stand.gateway.url("/llama/v1/chat/completions");
    let chat = json!({ "model": "tiny-llama", "messages": [{ "role": "user", "content": "hello" }] });
    for _ in 0..3 {
        assert_eq!(client::post(&url, &token, &chat).await.status, StatusCode::OK);
    }
    let refused = client::get(&stand.gateway.url("/orders/orders/1"), &token).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

fn text<'v>(seen: &'v Value, key: &str) -> &'v str {
    seen[key].as_str().unwrap_or_else(|| panic!("no {key} in {seen}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_browser_looks_and_signs_out() {
    let stand = stand().await;
    ask(&stand).await;
    let shots = require().root.join("target/console");
    std::fs::create_dir_all(&shots).unwrap();
    let shots = shots.to_str().unwrap();
    let seen = script::node_part("console.mjs", &[("ORIGIN", &stand.origin), ("SHOTS", shots)]).await;

    // In, with a cookie that says what it must.
    assert_eq!((text(&seen, "first"), text(&seen, "arrived")), ("/sign-in", "/"));
    let cookie = &seen["cookie"];
    assert_eq!(
        (&cookie["secure"], &cookie["httpOnly"], &cookie["sameSite"]),
        (&json!(true), &json!(true), &json!("Lax"))
    );
    assert_eq!((&cookie["path"], &cookie["domain"]), (&json!("/"), &json!("localhost")));
    assert_eq!((&cookie["letters"], &cookie["planted"]), (&json!(43), &json!(false)));

    // The page, and nothing that runs on it.
    let main = text(&seen, "main");
    for shown in [
        "Alice",
        "alice@example.test",
        &stand.provider.issuer,
        "ml-engineers",
        "admins",
        "/groups",
        "llama",
        "infer",
        "2 to approve",
        "email",
        "openai.chat",
        "engineers-use-llama",
        "policy denied",
    ] {
        assert!(main.contains(shown), "{shown} is not on the page:\n{main}");
    }
    assert_eq!((&seen["scripts"], &seen["unlabelled"]), (&json!(0), &json!(0)));
    assert_eq!(seen["complaints"], json!([]), "the browser complains");
    let headers = &seen["headers"];
    let policy = headers["content-security-policy"].as_str().unwrap();
    for rule in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }

    // What others try.
    assert_eq!((&seen["framed"], &seen["stillIn"]), (&json!(false), &json!(true)));
    assert_eq!((&seen["forged"], &seen["guessed"], &seen["alien"]), (&json!(400), &json!(400), &json!(401)));

    // Out, for everybody.
    assert_eq!(text(&seen, "signedOut"), "You are signed out");
    assert!(text(&seen, "further").starts_with(&stand.provider.issuer), "{seen}");
    assert_eq!((&seen["cookieAfter"], &seen["stolenCookie"]), (&Value::Null, &Value::Null));
    assert_eq!(text(&seen, "stolen"), "/sign-in");

    // All of it is in the record, and no secret is.
    let names: Vec<String> =
        stand.gateway.exchanges().iter().map(|exchange| exchange.0["operations"].to_string()).collect();
    for name in ["console.sign-in", "console.overview", "console.sign-out"] {
        assert!(names.iter().any(|operations| operations.contains(name)), "{name} in {names:?}");
    }
    let ledger = stand.gateway.ledger_bytes();
    let holds = |word: &str| ledger.windows(word.len()).any(|window| window == word.as_bytes());
    assert!(holds("console.sign-in"), "control");
    assert!(!holds("__Host-portcullis="), "a cookie is in the record");
}
