//! The local proxy: who gets through it, where its tokens come from, and how it carries what streams.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use e2e::ask::{chat_body, stream_body};
use e2e::client::{self, Answer};
use e2e::gateway::Gateway;
use e2e::narrow::Narrow;
use e2e::person::{Person, interrupt, login_settings};
use e2e::plan::Plan;
use e2e::process::Part;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

struct World {
    provider: Provider,
    upstream: FakeUpstream,
    gateway: Gateway,
    person: Person,
}

impl World {
    async fn start(script: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        let upstream = FakeUpstream::start(move |_| script()).await;
        let url = upstream.url();
        Self::before(upstream, &url).await
    }

    /// Before an upstream that is reached at `url`.
    async fn before(upstream: FakeUpstream, url: &str) -> Self {
        let provider = Provider::start().await;
        let plan = Plan::before(&provider, url)
            .with(json!({ "issuers": { "panva": { "login": login_settings(), "skew": "0s" } } }));
        let gateway = plan.start().await;
        Self { provider, upstream, gateway, person: Person::default() }
    }

    async fn logged_in(script: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        let world = Self::start(script).await;
        world.person.log_in(&world.gateway, &world.provider, "alice").await;
        world
    }
}

fn answer() -> Reply {
    Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] }))
}

/// A running proxy on loopback.
struct Local {
    part: Part,
    base: String,
    key: String,
}

impl Local {
    async fn start(world: &World, arguments: &[&str]) -> Self {
        let mut all = vec!["--resource", "llama"];
        all.extend(arguments);
        let (part, told) = world.person.proxy(&all).await;
        let word = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        Self { part, base: word(&told["base"]), key: word(&told["environment"]["OPENAI_API_KEY"]) }
    }

    /// Asks with these headers besides the key.
    async fn ask(&self, headers: &[(&'static str, &str)]) -> Answer {
        self.ask_with(Some(&self.key), headers).await
    }

    async fn ask_with(&self, key: Option<&str>, headers: &[(&'static str, &str)]) -> Answer {
        let url = format!("{}/v1/chat/completions", self.base);
        let mut request = client::request(Method::POST, &url, key, Some(&chat_body("hello")));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        client::try_send(request).await.unwrap()
    }
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn only_the_key_opens_it_and_never_a_web_page() {
    let world = World::logged_in(answer).await;
    let mut local = Local::start(&world, &[]).await;
    for header in ["authorization", "x-api-key", "api-key"] {
        let value =
            if header == "authorization" { format!("Bearer {}", local.key) } else { local.key.clone() };
        let let_in = local.ask_with(None, &[(header, &value)]).await;
        assert_eq!(let_in.status, StatusCode::OK, "{header}: {}", let_in.text());
    }
    let before = world.upstream.received().len();

    let port = local.base.rsplit(':').next().unwrap().to_owned();
    let rebound = format!("evil.example.test:{port}");
    let own = format!("http://127.0.0.1:{port}");
    let token = world.person.token();
    for (what, refused, expected) in [
        ("a page", local.ask(&[("origin", "https://evil.example.test")]).await, "browser_refused"),
        ("a page of a file", local.ask(&[("origin", "null")]).await, "browser_refused"),
        ("a page of its own address", local.ask(&[("origin", &own)]).await, "browser_refused"),
        ("a browser's request", local.ask(&[("sec-fetch-site", "none")]).await, "browser_refused"),
        ("DNS rebinding", local.ask(&[("host", &rebound)]).await, "host_refused"),
        ("a host without port", local.ask(&[("host", "127.0.0.1")]).await, "host_refused"),
        ("no key", local.ask_with(None, &[]).await, "key_refused"),
        ("another key", local.ask_with(Some("local-guess"), &[]).await, "key_refused"),
        ("a token instead of the key", local.ask_with(Some(&token), &[]).await, "key_refused"),
        ("the key and another", local.ask(&[("x-api-key", "other")]).await, "key_refused"),
    ] {
        assert_eq!(code(&refused), expected, "{what}: {}", refused.text());
        assert!(refused.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{what}");
        assert!(!refused.text().contains(&local.key) && !refused.text().contains(&token), "{what}");
    }
    // Its preflight is refused too, and no page is told what it may do.
    let preflight = http::Request::options(format!("{}/v1/models", local.base))
        .header("origin", "https://evil.example.test")
        .header("access-control-request-method", "POST");
    let preflight = client::try_send(preflight.body(http_body_util::Full::default()).unwrap()).await.unwrap();
    assert_eq!(code(&preflight), "browser_refused");
    // Nothing of all this went further than this machine.
    assert_eq!(world.upstream.received().len(), before);

    // Out of its resource leads no path.
    for path in ["/../other/v1/models", "/%2e%2e/other/v1/models", "/v1/..%2f..%2fother"] {
        let out = client::get(&format!("{}{path}", local.base), &local.key).await;
        assert_eq!(out.status, StatusCode::BAD_REQUEST, "{path}: {}", out.text());
    }
    assert!(interrupt(&mut local.part).await.success(), "{}", local.part.log());
}

/// Runs a program as another user: `nobody`, on every Linux. None where the test itself is no root.
#[expect(clippy::print_stdout, reason = "what is skipped must be told")]
async fn as_nobody(program: &str) -> Option<Output> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start a program as another user");
        return None;
    }
    let python = std::fs::canonicalize(e2e::parts::require().python()).unwrap();
    let mut command = tokio::process::Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(python)
        .args(["-I", "-c", program]);
    Some(command.current_dir("/").output().await.expect("setpriv runs"))
}

fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn another_user_of_this_machine_gets_nothing() {
    let world = World::logged_in(answer).await;
    let socket = world.person.home().join("llama.sock");
    let (mut part, told) =
        world.person.proxy(&["--resource", "llama", "--socket", socket.to_str().unwrap()]).await;
    assert_eq!(told["socket"], socket.to_str().unwrap());
    assert_eq!(std::fs::symlink_metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |path: &Path| {
        let path = path.display();
        format!(
            "import socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ntry:\n    s.connect('{path}')\n    \
             s.sendall(b'GET /v1/models HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n')\n    print('got', s.recv(64))\n\
             except OSError as error:\n    print('kept out', error)\n"
        )
    };
    // The person's own program gets an answer.
    let python = e2e::parts::require().python();
    let own = tokio::process::Command::new(python).args(["-c", &ask(&socket)]).output().await.unwrap();
    let said = String::from_utf8_lossy(&own.stdout);
    assert!(said.starts_with("got b'HTTP/1.1 "), "{said} {}", part.log());

    // The folder is closed to others; and were it open, and the socket too, its peer would be seen.
    let before = world.upstream.received().len();
    for (folder, mode, expected) in
        [(0o700, 0o600, "kept out"), (0o755, 0o600, "kept out"), (0o755, 0o666, "got b''")]
    {
        open_to_all(world.person.home(), folder);
        open_to_all(&socket, mode);
        let Some(other) = as_nobody(&ask(&socket)).await else { break };
        let said = String::from_utf8_lossy(&other.stdout);
        // A peer that is cut off sees the end, or a reset.
        let kept_out = said.starts_with(expected) || said.starts_with("kept out");
        assert!(kept_out, "{folder:o} {mode:o}: {said} {}", String::from_utf8_lossy(&other.stderr));
    }
    assert!(interrupt(&mut part).await.success(), "{}", part.log());
    assert!(!socket.exists());

    // On loopback anybody can connect, and nobody has the key.
    let local = Local::start(&world, &[]).await;
    let port = local.base.rsplit(':').next().unwrap();
    let ask = format!(
        "import urllib.request, urllib.error\ntry:\n    urllib.request.urlopen('http://127.0.0.1:{port}/v1/models')\n    \
         print('got')\nexcept urllib.error.HTTPError as error:\n    print('refused', error.code)\n"
    );
    if let Some(other) = as_nobody(&ask).await {
        let said = String::from_utf8_lossy(&other.stdout);
        assert_eq!(said.trim(), "refused 401", "{}", String::from_utf8_lossy(&other.stderr));
    }
    // Nor may others read the login or the key.
    for file in [world.person.file(), world.person.logins()] {
        let read = format!(
            "import os\nprint(os.access('{0}', os.R_OK) or os.access('{0}', os.X_OK))",
            file.display()
        );
        if let Some(other) = as_nobody(&read).await {
            assert_eq!(String::from_utf8_lossy(&other.stdout).trim(), "False", "{}", file.display());
        }
    }
    assert_eq!(world.upstream.received().len(), before);
}

#[tokio::test]
async fn it_streams_as_it_comes_and_a_tool_that_leaves_cancels_upstream() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let world = World::logged_in(move || {
        Reply::of_type("text/event-stream")
            .send(format!("data: {}\n\n", chat_delta("first ")))
            .then(Step::Wait(Arc::clone(&waiting)))
            .send(format!("data: {}\n\n", chat_delta("second ")))
            .then(Step::Wait(Arc::clone(&waiting)))
    })
    .await;
    let local = Local::start(&world, &[]).await;
    let url = format!("{}/v1/chat/completions", local.base);
    let request = client::request(Method::POST, &url, Some(&local.key), Some(&stream_body("hello")));
    let response = client::try_open(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let mut read = Vec::new();
    // Each arrives while the upstream waits for the next.
    for words in ["first ", "second "] {
        while !String::from_utf8_lossy(&read).contains(words) {
            read.extend(client::next(&mut body).await.unwrap().unwrap());
        }
        if words == "first " {
            gate.add_permits(1);
        }
    }
    assert!(!world.upstream.was_left(Duration::ZERO).await);
    drop(body);
    assert!(world.upstream.was_left(Duration::from_secs(20)).await);
    let outcome = || {
        let exchanges = world.gateway.exchanges();
        let asked = exchanges.iter().find(|exchange| exchange.0["resource"] == "llama")?;
        asked.outcome().map(str::to_owned)
    };
    assert_eq!(world.gateway.eventually(outcome).await, "caller-gone");
}

#[tokio::test]
async fn a_tool_that_reads_slowly_slows_the_upstream_too() {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 512;
    let upstream = FakeUpstream::start(|_| {
        let event = format!("data: {}\n\n", chat_delta(&"x ".repeat(PIECE / 2)));
        Reply::of_type("text/event-stream").then(Step::Repeat(event.into(), PIECES))
    })
    .await;
    // Each of the three connections is a narrow one, so that what goes ahead is what the programs take.
    let to_upstream = Narrow::before(upstream.address);
    let world = World::before(upstream, &to_upstream.url()).await;
    let (to_gateway, file) = (Narrow::before(world.gateway.address), world.person.home().join("token"));
    std::fs::write(&file, world.provider.login("alice").await).unwrap();
    let token = ["--gateway", &to_gateway.url(), "--token-file", file.to_str().unwrap()];
    let local = Local::start(&world, &token).await;
    let host = local.base.trim_start_matches("http://").split('/').next().unwrap();
    let to_proxy = Narrow::before(host.parse().unwrap());
    let url = local.base.replace(host, &to_proxy.address.to_string()) + "/v1/chat/completions";
    let mut request = client::request(Method::POST, &url, Some(&local.key), Some(&stream_body("hello")));
    request.headers_mut().insert("host", HeaderValue::from_str(host).unwrap());
    let mut body = client::try_open(request).await.unwrap().into_body();
    client::next(&mut body).await.unwrap().unwrap();
    // It stands still when every buffer on the way is full.
    let mut last = 0;
    let mut still = 0;
    while still < 25 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        let sent = world.upstream.sent();
        still = if sent == last { still + 1 } else { 0 };
        last = sent;
    }
    assert!(last < PIECE * PIECES / 2, "{last} bytes went ahead of a reader that stands still");
    let (rest, end) = client::drain(&mut body).await;
    assert!(end.is_ok(), "{end:?} after {} bytes", rest.len());
    assert!(rest.len() > PIECE * (PIECES - 2), "{}", rest.len());
}

#[tokio::test]
async fn a_large_request_goes_through_whole() {
    let world = World::logged_in(answer).await;
    let local = Local::start(&world, &[]).await;
    let text = "word ".repeat(1 << 19);
    let url = format!("{}/v1/chat/completions", local.base);
    let request = client::request(Method::POST, &url, Some(&local.key), Some(&chat_body(&text)));
    assert_eq!(client::try_send(request).await.unwrap().status, StatusCode::OK);
    let received = world.upstream.received().pop().unwrap();
    assert!(received.body.len() > text.len() && received.target == "/v1/chat/completions");
    // The upstream's own key, never the proxy's or the token.
    let seen = format!("{:?}", received.headers);
    assert!(!seen.contains(&local.key) && !seen.contains(&world.person.token()), "{seen}");
}

#[tokio::test]
async fn a_token_file_is_read_again_and_a_command_is_run_again() {
    let world = World::start(answer).await;
    let (alice, bob) = (world.provider.login("alice").await, world.provider.login("bob").await);
    let file = world.person.home().join("projected");
    std::fs::write(&file, format!("{alice}\n")).unwrap();
    let gateway = world.gateway.url("");
    let by_file =
        Local::start(&world, &["--gateway", &gateway, "--token-file", file.to_str().unwrap()]).await;
    assert_eq!(by_file.ask(&[]).await.status, StatusCode::OK);
    // As Kubernetes does: another file in its place.
    let next = file.with_extension("next");
    std::fs::write(&next, bob).unwrap();
    std::fs::rename(&next, &file).unwrap();
    assert_eq!(code(&by_file.ask(&[]).await), "policy_denied");
    std::fs::remove_file(&file).unwrap();
    let without = by_file.ask(&[]).await;
    assert_eq!((without.status, code(&without).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "no_token"));

    let count = world.person.home().join("runs");
    let line = format!("echo run >> '{}'; echo {alice}", count.display());
    let by_command = Local::start(&world, &["--gateway", &gateway, "--token-command", &line]).await;
    for _ in 0..3 {
        assert_eq!(by_command.ask(&[]).await.status, StatusCode::OK);
    }
    assert_eq!(std::fs::read_to_string(&count).unwrap().lines().count(), 1, "its token is good for a while");
    let hangs = ["proxy", "--resource", "llama", "--gateway", &gateway, "--token-command", "sleep 600"];
    let (output, said) = world.person.run(&[&hangs[..], &["--token-command-timeout", "1"]].concat());
    assert!(!output.status.success() && said.contains("still ran after 1s"), "{said}");
}

#[tokio::test]
async fn a_program_gets_its_own_token_by_its_own_credentials() {
    let world = World::start(answer).await;
    world.provider.access_lives(3).await;
    let secret = world.person.home().join("secret");
    std::fs::write(&secret, world.provider.secret().await).unwrap();
    let (gateway, reference) = (world.gateway.url(""), format!("file:{}", secret.display()));
    let arguments = [
        "--gateway",
        &gateway,
        "--issuer",
        &world.provider.issuer,
        "--client-id",
        "agent-runner",
        "--client-secret",
        &reference,
        "--scope",
        "api",
        "--token-resource",
        "urn:portcullis",
    ];
    let local = Local::start(&world, &arguments).await;
    let mut calls = 0;
    while world.provider.count("client_credentials").await < 3 {
        let answer = local.ask(&[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{} {}", answer.text(), local.part.log());
        calls += 1;
    }
    assert!(calls > 3, "a token serves several requests");
    let exchanges = world.gateway.exchanges();
    assert!(exchanges.iter().all(|exchange| exchange.0["subject"] == "agent-runner"), "{exchanges:?}");
    // The secret itself on the command line would be seen by every user of the machine.
    let given = world.provider.secret().await;
    let (output, said) = world.person.run(&[
        "proxy",
        "--resource",
        "llama",
        "--gateway",
        &gateway,
        "--issuer",
        &world.provider.issuer,
        "--client-id",
        "x",
        "--client-secret",
        &given,
    ]);
    assert!(!output.status.success() && said.contains("env:NAME or file:PATH"), "{said}");
}

#[tokio::test]
async fn it_tells_what_is_wrong_before_it_starts() {
    let world = World::start(answer).await;
    let (output, said) = world.person.run(&["proxy", "--resource", "llama"]);
    assert!(!output.status.success() && said.contains("portcullis login"), "{said}");
    world.person.log_in(&world.gateway, &world.provider, "alice").await;
    let elsewhere = ["proxy", "--resource", "llama", "--gateway", "https://gateway.example.test"];
    let (output, said) = world.person.run(&elsewhere);
    assert!(!output.status.success() && said.contains("you are not logged in at"), "{said}");
    let profile = world.person.json(&["whoami", "--json"])["profile"].as_str().unwrap().to_owned();
    let (output, said) = world.person.run(&[&elsewhere[..], &["--profile", &profile]].concat());
    assert!(!output.status.success() && said.contains("this login is for"), "{said}");
    let file = world.person.home().join("env");
    let arguments = ["--env-file", file.to_str().unwrap()];
    let local = Local::start(&world, &arguments).await;
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains(&format!("export OPENAI_API_KEY='{}'", local.key)), "{written}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
