//! People log in: by the browser and on another screen, at two providers of different make.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use e2e::ask::{chat, code};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::person::{Person, login_settings};
use e2e::plan::{ENGINEERS_MAY_USE, Plan, model_at};
use e2e::process::{PATIENCE, Part, eventually, free_address};
use e2e::provider::{Glewlwyd, Provider};
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};

async fn upstream() -> FakeUpstream {
    FakeUpstream::start(|_| Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })))
        .await
}

fn with_login(provider: &Provider, upstream: &FakeUpstream) -> Plan {
    Plan::before(provider, &upstream.url())
        .with(json!({ "issuers": { "panva": { "login": login_settings(), "skew": "0s" } } }))
}

async fn world() -> (Provider, FakeUpstream, Gateway) {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = with_login(&provider, &upstream).start().await;
    (provider, upstream, gateway)
}

/// What a part said last is read a moment after its end.
async fn complained(part: &Part, words: &str) {
    let said = eventually(PATIENCE, || part.log().contains(words).then_some(())).await;
    assert!(said.is_some(), "{}", part.log());
}

async fn post_form(url: &str, form: &str) -> client::Answer {
    let request = http::Request::post(url).header("content-type", "application/x-www-form-urlencoded");
    client::try_send(request.body(http_body_util::Full::new(form.to_owned().into())).unwrap()).await.unwrap()
}

#[tokio::test]
async fn by_the_browser_and_out_again() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    let (output, said) = person.run(&["whoami"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("you are not logged in"), "{said}");
    let (output, said) = person.run(&["token"]);
    assert!(!output.status.success() && said.contains("portcullis login"), "{said}");

    let who = person.log_in(&gateway, &provider, "alice").await;
    assert_eq!((who["subject"].as_str(), who["name"].as_str()), (Some("alice"), Some("alice@example.test")));
    assert_eq!(who["refreshed"], true, "{who}");
    assert_eq!(who["groups"], json!(["ml-engineers", "admins"]));
    assert_eq!(person.json(&["whoami", "--json"]), who);
    assert_eq!(chat(&gateway, &person.token()).await.status, StatusCode::OK);

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&person.logins()), mode(&person.file())), (0o700, 0o600));
    let refresh = person.kept()["refresh"].as_str().unwrap().to_owned();
    for said in [who.to_string(), person.run(&["whoami"]).1] {
        assert!(!said.contains(&refresh) && !said.contains(&person.token()), "{said}");
    }

    fs::set_permissions(person.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let (output, said) = person.run(&["token"]);
    assert!(!output.status.success() && said.contains("others can use it"), "{said}");
    fs::set_permissions(person.file(), fs::Permissions::from_mode(0o600)).unwrap();

    let out = person.json(&["logout", "--json"]);
    assert_eq!((out["revoked"].as_bool(), out["forgotten"].as_bool()), (Some(true), Some(true)), "{out}");
    assert_eq!(person.run(&["whoami"]).0.status.code(), Some(1));
    let form = format!("grant_type=refresh_token&client_id=cli&refresh_token={refresh}");
    let refused = post_form(&format!("{}/token", provider.issuer), &form).await;
    assert_eq!(refused.json()["error"], "invalid_grant", "the provider knows that it is over");
}

#[tokio::test]
async fn the_browser_is_opened_where_there_is_one_and_a_strangers_answer_is_not_taken() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    // What opens pages on this machine: notes which.
    let bin = person.home().join("bin");
    let noted = person.home().join("opened");
    fs::create_dir(&bin).unwrap();
    let opener = bin.join("xdg-open");
    fs::write(&opener, format!("#!/bin/sh\nprintf '%s\\n' \"$1\" > '{}'\n", noted.display())).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = person.command(&["login", "--json", "--gateway", &gateway.url("")]);
    let path = person.environment().into_iter().find(|(name, _)| *name == "PATH").unwrap().1;
    command.env("PATH", format!("{}:{path}", bin.display()));
    let mut part = Part::start("portcullis login", &mut command);
    let told = part.ready().await;
    assert_eq!(told["opened"], true, "{told}");
    let page = told["open"].as_str().unwrap();
    let opened =
        gateway.eventually(|| fs::read_to_string(&noted).ok().filter(|text| text.ends_with('\n'))).await;
    assert_eq!(opened.trim(), page);

    // Any page could send its own code to the port that waits.
    let redirect = page.split("redirect_uri=").nth(1).unwrap().split('&').next().unwrap();
    let redirect = redirect.replace("%3A", ":").replace("%2F", "/");
    assert!(redirect.starts_with("http://127.0.0.1:"), "{redirect}");
    for query in ["code=stolen&state=guessed", "code=stolen", ""] {
        let refused = client::try_get(&format!("{redirect}?{query}")).await.unwrap();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert!(part.ended().is_none(), "{}", part.log());
    let last = provider.browse(page, "bob").await;
    assert_eq!(last["status"], 200, "{last}");
    assert_eq!(part.ready().await["subject"], "bob");
    assert!(part.end().await.success());
}

#[tokio::test]
async fn who_says_no_at_the_provider_is_told_so() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    let (mut part, told) = person.begin(&["--gateway", &gateway.url(""), "--no-browser"]).await;
    provider.browse_and_deny(told["open"].as_str().unwrap()).await;
    assert!(!part.end().await.success());
    complained(&part, "denied at the provider").await;
    assert!(!person.logins().join("default").exists());
}

#[tokio::test]
async fn on_another_screen() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    let device = ["--gateway", &gateway.url(""), "--device"];
    let (mut part, told) = person.begin(&device).await;
    assert!(told["open"].as_str().unwrap().starts_with(&provider.issuer), "{told}");
    assert!(told["open_complete"].as_str().unwrap().contains(told["code"].as_str().unwrap()), "{told}");
    provider.type_in(told["code"].as_str().unwrap(), "alice").await;
    assert_eq!(part.ready().await["subject"], "alice", "{}", part.log());
    assert!(part.end().await.success(), "{}", part.log());
    assert_eq!(chat(&gateway, &person.token()).await.status, StatusCode::OK);

    // Another one says no; and for a third it takes too long. What is kept stays.
    let (mut denied, told) = person.begin(&device).await;
    provider.type_in_and_deny(told["code"].as_str().unwrap()).await;
    provider.device_codes_live(2).await;
    let (mut late, _) = person.begin(&device).await;
    assert!(!denied.end().await.success());
    complained(&denied, "denied at the provider").await;
    assert!(!late.end().await.success());
    complained(&late, "nobody finished the login in time").await;
    assert_eq!(person.json(&["whoami", "--json"])["subject"], "alice");
}

#[tokio::test]
async fn however_many_ask_at_once_a_refresh_token_is_spent_once() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    provider.access_lives(6).await;
    person.log_in(&gateway, &provider, "alice").await;
    let mut last = person.token();
    for round in 1..=2 {
        // Until the token nears its end, asking gives the same one and asks nobody.
        let fresh = gateway.eventually(|| Some(person.token()).filter(|token| *token != last)).await;
        assert_eq!(provider.count("refresh_token").await, 2 * round - 1);
        let ends: jiff::Timestamp = person.kept()["ends"].as_str().unwrap().parse().unwrap();
        gateway.eventually(|| (jiff::Timestamp::now() >= ends).then_some(())).await;
        // Its end is over for all of them.
        let asking: Vec<_> = (0..8)
            .map(|_| {
                person.command(&["token"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let told: Vec<String> = asking
            .into_iter()
            .map(|child| {
                let output = child.wait_with_output().unwrap();
                let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{complaint}");
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            })
            .collect();
        assert!(told.iter().all(|token| *token == told[0] && *token != fresh), "{told:?}");
        // This provider rotates: a refresh token that comes twice ends the login.
        assert_eq!(provider.count("refresh_token").await, 2 * round);
        last = told[0].clone();
    }
    provider.access_lives(300).await;
    gateway.eventually(|| Some(person.token()).filter(|token| *token != last)).await;
    assert_eq!(chat(&gateway, &person.token()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_ended_login_says_what_to_do() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    provider.access_lives(1).await;
    person.log_in(&gateway, &provider, "alice").await;
    let refresh = person.kept()["refresh"].as_str().unwrap().to_owned();
    let form = format!("client_id=cli&token={refresh}");
    assert_eq!(
        post_form(&format!("{}/token/revocation", provider.issuer), &form).await.status,
        StatusCode::OK
    );
    let said = gateway
        .eventually(|| {
            let (output, said) = person.run(&["token"]);
            (!output.status.success()).then_some(said)
        })
        .await;
    assert!(said.contains("has ended") && said.contains("portcullis login --profile"), "{said}");
    // By the name alone everything is known, and the gateway is asked again.
    let name = person.json(&["whoami", "--json"])["profile"].as_str().unwrap().to_owned();
    provider.access_lives(300).await;
    let (mut part, told) = person.begin(&["--profile", &name, "--no-browser"]).await;
    provider.browse(told["open"].as_str().unwrap(), "alice").await;
    assert!(part.end().await.success(), "{}", part.log());
    assert_eq!(chat(&gateway, &person.token()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_id_token_is_shown_where_the_gateway_wants_it() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let mut login = login_settings();
    login["token"] = json!("id");
    let plan = with_login(&provider, &upstream)
        .with(json!({ "issuers": { "panva": { "audiences": ["cli"], "login": login } } }));
    let gateway = plan.start().await;
    let person = Person::default();
    let who = person.log_in(&gateway, &provider, "alice").await;
    assert_eq!(who["token"], "id");
    assert_eq!(chat(&gateway, &person.token()).await.status, StatusCode::OK);
    assert_eq!(code(&chat(&gateway, &provider.login("alice").await).await), "token_invalid");
}

#[tokio::test]
async fn a_token_that_the_gateway_refuses_is_told_at_the_login() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let mut login = login_settings();
    login["resource"] = json!("urn:elsewhere");
    let plan = with_login(&provider, &upstream).with(json!({ "issuers": { "panva": { "login": login } } }));
    let gateway = plan.start().await;
    let person = Person::default();
    let (mut part, told) = person.begin(&["--gateway", &gateway.url(""), "--no-browser"]).await;
    provider.browse(told["open"].as_str().unwrap(), "alice").await;
    assert_eq!(part.ready().await["subject"], "alice");
    assert_eq!(part.ready().await["known_to_gateway"], false);
    assert_eq!(part.end().await.code(), Some(1));
}

#[tokio::test]
async fn over_tls_by_an_authority_of_the_gateways_own() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = with_login(&provider, &upstream).secured(json!("local")).start().await;
    let person = Person::default();
    let (output, said) = person.run(&["login", "--gateway", &gateway.url(""), "--no-browser"]);
    assert!(!output.status.success() && said.contains("certificate"), "{said}");

    let ca = gateway.file("tls/ca.pem").display().to_string();
    let arguments = ["--gateway", &gateway.url("/llama/v1"), "--ca-file", &ca, "--no-browser"];
    let (mut part, told) = person.begin(&arguments).await;
    provider.browse(told["open"].as_str().unwrap(), "alice").await;
    assert_eq!(part.ready().await["gateway"], gateway.url(""));
    assert!(part.end().await.success(), "{}", part.log());

    // The proxy goes there by the same authority, as the login knows it.
    let (mut proxy, told) = person.proxy(&["--resource", "llama"]).await;
    let url = format!("{}/v1/chat/completions", told["base"].as_str().unwrap());
    let key = told["environment"]["OPENAI_API_KEY"].as_str().unwrap();
    for _ in 0..3 {
        let answer = client::post(&url, key, &e2e::ask::chat_body("hello")).await;
        assert_eq!(answer.status, StatusCode::OK, "{} {}", answer.text(), proxy.log());
    }
    assert!(e2e::person::interrupt(&mut proxy).await.success());
}

#[tokio::test]
async fn a_machines_token_wins_over_every_login() {
    let (provider, _upstream, gateway) = world().await;
    let person = Person::default();
    person.log_in(&gateway, &provider, "alice").await;
    let machine = provider.machine("agent-runner").await;
    let told = |arguments: &[&str], token: &str| {
        let output = person.command(arguments).env("PORTCULLIS_TOKEN", token).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert_eq!(told(&["token"], &machine), (true, machine.clone()));
    let who: Value = serde_json::from_str(&told(&["whoami", "--json"], &machine).1).unwrap();
    assert_eq!(
        (who["source"].as_str(), who["subject"].as_str()),
        (Some("PORTCULLIS_TOKEN"), Some("agent-runner"))
    );
    assert!(!told(&["logout"], &machine).0);
    // Set and unusable is not the same as unset.
    assert!(!told(&["token"], "").0);
}

#[tokio::test]
async fn several_gateways_several_logins() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let one = with_login(&provider, &upstream).start().await;
    let other = with_login(&provider, &upstream).start().await;
    let person = Person::default();
    person.log_in(&one, &provider, "alice").await;
    person.log_in(&other, &provider, "bob").await;
    let subject = |arguments: &[&str]| person.json(arguments)["subject"].as_str().unwrap().to_owned();
    assert_eq!(subject(&["whoami", "--json"]), "bob", "the last one is the one");
    assert_eq!(subject(&["whoami", "--json", "--gateway", &one.url("/llama/v1")]), "alice");
    assert_eq!(person.json(&["logout", "--json", "--gateway", &other.url("")])["revoked"], true);
    assert_eq!(subject(&["whoami", "--json"]), "alice");
    let (output, said) = person.run(&["token", "--gateway", &other.url("")]);
    assert!(!output.status.success() && said.contains("you are not logged in at"), "{said}");
}

#[tokio::test]
async fn at_a_provider_of_another_make() {
    let (provider, upstream) = tokio::join!(Glewlwyd::start(), upstream());
    let gateway = Plan::default()
        .glewlwyd(&provider)
        .resource("llama", model_at(&upstream.url()))
        .environment("LLAMA_KEY", "key")
        .policy("engineers.cedar", ENGINEERS_MAY_USE)
        .start()
        .await;
    // It compares redirect URIs with their port.
    let redirect = format!("http://127.0.0.1:{}/callback", free_address().port());
    provider.register(&redirect).await;
    let person = Person::default();
    let arguments = [
        "--issuer",
        &provider.issuer,
        "--client-id",
        "cli",
        "--scope",
        "openid",
        "--scope",
        "groups",
        "--scope",
        "api",
        "--redirect-uri",
        &redirect,
        "--profile",
        "other-make",
        "--no-browser",
    ];
    let (mut part, told) = person.begin(&arguments).await;
    let last = provider.browse(told["open"].as_str().unwrap(), "alice").await;
    assert_eq!(last["status"], 200, "{last} {}", part.log());
    let who = part.ready().await;
    assert!(part.end().await.success(), "{}", part.log());
    assert_eq!(
        (who["profile"].as_str(), who["refreshed"].as_bool()),
        (Some("other-make"), Some(true)),
        "{who}"
    );
    let first = person.token();
    let may = chat(&gateway, &first).await;
    assert_eq!(may.status, StatusCode::OK, "{}", may.text());

    // As if its end were near: only the file knows.
    let mut kept = person.kept();
    kept["ends"] = kept["received"].clone();
    fs::write(person.file(), kept.to_string()).unwrap();
    let second = person.token();
    assert_ne!(first, second);
    assert_ne!(person.kept()["refresh"], kept["refresh"], "it rotates");
    assert_eq!(chat(&gateway, &second).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_401_says_where_to_log_in_and_no_resource_stands_in_the_way() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let orders = json!({
        "kind": "http", "upstreams": [upstream.url()], "hosts": ["orders.example.test"],
        "routes": [{ "match": "GET /{rest...}", "class": "read", "name": "orders.all" }],
    });
    let gateway = with_login(&provider, &upstream).resource("orders", orders).start().await;
    let at = "/.well-known/oauth-protected-resource";

    let refused = client::try_get(&gateway.url("/llama/v1/models")).await.unwrap();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert_eq!(challenge, format!(r#"Bearer resource_metadata="{}{at}""#, gateway.url("")));
    let invalid = client::get(&gateway.url("/llama/v1/models"), "no.such.token").await;
    let challenge = invalid.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with(r#"Bearer error="invalid_token", resource_metadata="#), "{challenge}");

    let told = client::try_get(&gateway.url(at)).await.unwrap();
    assert_eq!(told.status, StatusCode::OK, "{}", told.text());
    assert_eq!(told.headers["cache-control"], "no-store");
    let document = told.json();
    assert_eq!(document["resource"], gateway.url(""));
    assert_eq!(document["authorization_servers"], json!([provider.issuer]));
    assert_eq!(document["portcullis_logins"][0]["client_id"], "cli");

    // On a resource's own host, in every spelling, with a token too: never the resource's.
    let token = provider.login("alice").await;
    for path in [at.to_owned(), "/%2ewell-known/oauth%2Dprotected-resource".to_owned(), format!("{at}/x")] {
        for token in [None, Some(token.as_str())] {
            let mut request = client::request(Method::GET, &gateway.url(&path), token, None);
            request.headers_mut().insert("host", "orders.example.test".parse().unwrap());
            let answer = client::try_send(request).await.unwrap();
            match path.ends_with("/x") {
                true => assert_eq!(code(&answer), "resource_unknown"),
                false => assert_eq!(answer.json()["resource"], "http://orders.example.test", "{path}"),
            }
        }
    }
    let head = client::send(Method::HEAD, &gateway.url(at), None, None).await;
    assert!(head.status == StatusCode::OK && head.body.is_empty());
    let posted = client::send(Method::POST, &gateway.url(at), None, Some(&json!({}))).await;
    assert_eq!(posted.status, StatusCode::NOT_FOUND);
    let mut odd = client::request(Method::GET, &gateway.url(at), None, None);
    odd.headers_mut().insert("host", "a\"b".parse().unwrap());
    assert!(client::try_send(odd).await.unwrap().status.is_client_error());
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());

    // Recorded like all that is said.
    let exchanges = gateway.exchanges();
    let told = exchanges.iter().filter(|exchange| exchange.outcome() == Some("completed")).count();
    assert_eq!((told, exchanges.len()), (6, 12), "{exchanges:?}");
}

#[tokio::test]
async fn a_gateway_without_logins_says_so_and_one_behind_a_proxy_says_its_name() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let refused = client::try_get(&gateway.url("/llama/v1/models")).await.unwrap();
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    let person = Person::default();
    let (output, said) = person.run(&["login", "--gateway", &gateway.url("")]);
    assert!(!output.status.success() && said.contains("--issuer URL --client-id ID"), "{said}");

    let plan = with_login(&provider, &upstream).with(json!({ "public_url": "https://gateway.example.test" }));
    let gateway = plan.start().await;
    let refused = client::try_get(&gateway.url("/llama/v1/models")).await.unwrap();
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(r#""https://gateway.example.test/.well-known/"#), "{challenge}");
    let (output, said) = person.run(&["login", "--gateway", &gateway.url("")]);
    assert!(!output.status.success() && said.contains("https://gateway.example.test"), "{said}");
}
