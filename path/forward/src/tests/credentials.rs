//! Credentials at real servers: shown in every way, refreshed when refused, replaced under load.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use config::{Credential, CredentialScheme, Resource, Rotation, SecretCommand, SecretRef};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model::{Code, ExchangeId, Outcome, Question, QuestionParts, SystemClock};
use tokio::net::TcpListener;

use super::secure::{Files, server_tls};
use super::server::{Server, ask, clock, echo, read, resource, soon};
use crate::{NotRotated, Upstreams};

struct Stand {
    dir: tempfile::TempDir,
    /// What the server takes.
    good: Arc<Mutex<Vec<String>>>,
    server: Server,
}

impl Stand {
    /// A server that answers with what it was sent to whom it knows, and to all under `/open`.
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let good = Arc::new(Mutex::new(vec!["Bearer first-secret".to_owned()]));
        let known = Arc::clone(&good);
        let server = Server::start(move |request: Request<Incoming>| {
            let shown =
                request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let known = shown.is_some_and(|shown| known.lock().unwrap().contains(&shown));
            if known || request.uri().path() == "/open" {
                return echo(request);
            }
            let mut refused = echo(request);
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            refused
        })
        .await;
        let stand = Self { dir, good, server };
        stand.write("first-secret");
        stand
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    fn write(&self, secret: &str) {
        fs::write(self.key(), secret).unwrap();
    }

    fn takes(&self, secrets: &[&str]) {
        *self.good.lock().unwrap() =
            secrets.iter().map(|secret| format!("Bearer {secret}")).collect::<Vec<_>>();
    }

    fn resource(&self, credential: Credential) -> Resource {
        let mut resource = resource(&[format!("http://{}", self.server.address)]);
        resource.credential = Some(credential);
        resource
    }

    fn upstreams(&self, credential: Credential) -> Arc<Upstreams> {
        Upstreams::build(&self.resource(credential), clock()).unwrap()
    }

    fn file(&self) -> Credential {
        Credential::bearer(SecretRef::File(self.key()))
    }

    /// With a command that writes a new secret, and this path to prove it.
    fn rotating(&self, script: &str, probe: &str) -> Credential {
        let dir = self.dir.path().display();
        let run = ["/bin/sh", "-c", &format!("cd {dir}; {script}")].map(str::to_owned).to_vec();
        let command = SecretCommand { run, timeout: Duration::from_secs(20), environment: Vec::new() };
        Credential { rotate: Some(Rotation { command, probe: Some(probe.to_owned()) }), ..self.file() }
    }
}

fn posted(body: &'static str) -> Question {
    Question::new(QuestionParts {
        exchange: ExchangeId::at(jiff::Timestamp::UNIX_EPOCH),
        method: http::Method::POST,
        path: "/v1/chat".to_owned(),
        query: Some("a=b".to_owned()),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    })
}

#[tokio::test]
async fn a_refused_request_is_sent_again_once_with_what_is_there_now() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&bodies);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let later = key.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (heard, later) = (Arc::clone(&heard), later.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (heard, later) = (Arc::clone(&heard), later.clone());
                async move {
                    let shown = request.headers()["authorization"].to_str().unwrap().to_owned();
                    let path = request.uri().to_string();
                    #[expect(clippy::disallowed_methods, reason = "it is limited")]
                    let body = Limited::new(request.into_body(), 1 << 20).collect().await.unwrap().to_bytes();
                    heard.lock().unwrap().push((shown.clone(), path, body));
                    // Whoever replaces the key does so while the request with the old one is under way.
                    fs::write(&later, "second-secret").unwrap();
                    let status = if shown == "Bearer first-secret" { 401 } else { 200 };
                    Ok::<_, std::convert::Infallible>(
                        Response::builder()
                            .status(status)
                            .body(Full::new(Bytes::from_static(b"done")))
                            .unwrap(),
                    )
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    fs::write(&key, "first-secret").unwrap();
    let mut resource = resource(&[format!("http://{address}")]);
    resource.credential = Some(Credential::bearer(SecretRef::File(key)));
    let upstreams = Upstreams::build(&resource, clock()).unwrap();
    let question = posted("{\"the\":\"same bytes\"}");
    let answer = soon(upstreams.send_cleared(question.exchange(), &question)).await.unwrap();
    assert_eq!(answer.head.status, StatusCode::OK);
    assert_eq!(read(answer.body).await.unwrap(), "done");
    let heard = bodies.lock().unwrap().clone();
    let sent: Vec<_> = heard.iter().map(|(shown, ..)| shown.as_str()).collect();
    assert_eq!(sent, ["Bearer first-secret", "Bearer second-secret"]);
    assert_eq!(heard[0].1, heard[1].1);
    assert_eq!(
        (&heard[0].2[..], &heard[1].2[..]),
        (&b"{\"the\":\"same bytes\"}"[..], &b"{\"the\":\"same bytes\"}"[..])
    );
}

#[tokio::test]
async fn it_is_never_sent_a_third_time_nor_again_with_the_same() {
    let stand = Stand::start().await;
    stand.takes(&[]);
    let upstreams = stand.upstreams(stand.file());
    assert_eq!(ask(&upstreams, "/").await.unwrap().head.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stand.server.requests(), 1, "there is no other credential to try");
    stand.write("second-secret");
    assert_eq!(ask(&upstreams, "/").await.unwrap().head.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stand.server.requests(), 2);
    // A command that gives another secret each time.
    let run = ["/bin/sh", "-c", "echo asked >> count; wc -l < count; "].map(str::to_owned).to_vec();
    let run = vec![run[0].clone(), run[1].clone(), format!("cd {}; {}", stand.dir.path().display(), run[2])];
    let command = SecretCommand { run, timeout: Duration::from_secs(20), environment: Vec::new() };
    let source = config::SecretSource::Command(command);
    let upstreams = stand.upstreams(Credential { source, ..stand.file() });
    assert_eq!(ask(&upstreams, "/").await.unwrap().head.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stand.server.requests(), 4, "twice, never three times");
}

#[tokio::test]
async fn a_query_parameter_is_added_and_nobody_else_brings_it() {
    let stand = Stand::start().await;
    stand.write("p@ss+word/1");
    let scheme = CredentialScheme::Query { name: "key".to_owned() };
    let upstreams = stand.upstreams(Credential { scheme, ..stand.file() });
    let seen = read(ask(&upstreams, "/open").await.unwrap().body).await.unwrap();
    // What came back of it is overwritten, and everything around it is not.
    let line = seen.lines().next().unwrap();
    assert_eq!(line, format!("POST /open?key={}", "*".repeat("p%40ss%2Bword%2F1".len())));
    let with = |query: &str| {
        Question::new(QuestionParts {
            exchange: ExchangeId::at(jiff::Timestamp::UNIX_EPOCH),
            method: http::Method::GET,
            path: "/open".to_owned(),
            query: Some(query.to_owned()),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        })
    };
    let question = with("a=b");
    let answer = soon(upstreams.send_cleared(question.exchange(), &question)).await.unwrap();
    assert!(read(answer.body).await.unwrap().starts_with("GET /open?a=b&key=***"));
    let before = stand.server.requests();
    for query in ["key=mine", "a=b&%6Bey=mine", "KEY=mine"] {
        let question = with(query);
        let error = soon(upstreams.send_cleared(question.exchange(), &question)).await.unwrap_err();
        assert_eq!((error.refusal().code, error.outcome()), (Code::RequestMalformed, Outcome::Refused));
        assert!(error.refusal().reason.contains("the parameter `key`"), "{error}");
    }
    assert_eq!(stand.server.requests(), before);
}

#[tokio::test]
async fn what_comes_back_is_masked_in_every_spelling_before_and_after_a_change() {
    let stand = Stand::start().await;
    let secrets = ["old \"secret\"/1", "new \"secret\"/2"];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Says everything that anybody could make of both.
    let told = Arc::new(Mutex::new(String::new()));
    let said = Arc::clone(&told);
    let server = Server::listen(listener, move |request: Request<Incoming>| {
        let shown = request.headers()["authorization"].to_str().unwrap().to_owned();
        let mut text = said.lock().unwrap();
        text.push_str(&format!("{shown} "));
        let mut answer = Response::new(Full::from(text.clone()));
        answer.headers_mut().insert("x-seen", text.trim().parse().unwrap());
        answer
    });
    let mut resource = stand.resource(stand.file());
    resource.upstreams = vec![format!("http://{}", server.address).parse().unwrap()];
    resource.credential.as_mut().unwrap().scheme = CredentialScheme::Basic { user: "ada".to_owned() };
    let upstreams = Upstreams::build(&resource, clock()).unwrap();
    for secret in secrets {
        stand.write(secret);
        told.lock().unwrap().push_str(&format!("{secret} {} ", serde_json::to_string(secret).unwrap()));
        let answer = ask(&upstreams, "/").await.unwrap();
        let header = answer.head.headers["x-seen"].to_str().unwrap().to_owned();
        let body = read(answer.body).await.unwrap();
        for text in [header, body] {
            let left: Vec<&str> =
                text.split([' ', '*', '"']).filter(|part| !part.is_empty() && *part != "Basic").collect();
            assert_eq!(left, Vec::<&str>::new(), "{text}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_changed_with_its_file() {
    let files = Files::write();
    let acceptor = server_tls(&files, &[b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let seen = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                let service = service_fn(move |_| {
                    let seen = seen.clone();
                    async move {
                        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from(format!(
                            "{seen:?}"
                        ))))
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let whole = |name: &str| {
        let text = |end: &str| fs::read_to_string(files.path(&format!("{name}.{end}"))).unwrap();
        text("pem") + &text("key")
    };
    let certificate = |path: &Path| {
        use rustls::pki_types::pem::PemObject;
        format!("{:?}", rustls::pki_types::CertificateDer::from_pem_file(path).unwrap().to_vec())
    };
    let together = files.path("together.pem");
    let mut resource = resource(&[format!("https://localhost:{}", address.port())]);
    resource.upstream_tls.ca_file = Some(files.path("ca.pem"));
    let scheme = CredentialScheme::Certificate;
    resource.credential =
        Some(Credential { scheme, ..Credential::bearer(SecretRef::File(together.clone())) });
    let upstreams = Upstreams::build(&resource, clock()).unwrap();
    for name in ["client", "next", "client"] {
        fs::write(&together, whole(name)).unwrap();
        for _ in 0..2 {
            let seen = read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
            assert_eq!(seen, certificate(&files.path(&format!("{name}.pem"))), "{name}");
        }
    }
    // A certificate with another's key is no credential.
    let mixed = fs::read_to_string(files.path("client.pem")).unwrap()
        + &fs::read_to_string(files.path("next.key")).unwrap();
    fs::write(&together, mixed).unwrap();
    let error = ask(&upstreams, "/").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused);
    assert!(!format!("{error}").contains("PRIVATE"), "{error}");
}

#[tokio::test]
async fn a_replacement_under_load_fails_no_request() {
    let stand = Stand::start().await;
    // The server is switched over between the new secret's being written and its proof, while the gateway still
    // shows the old one.
    let (written, switched) = (stand.dir.path().join("written"), stand.dir.path().join("switched"));
    let script = "printf second-secret > next; mv next key; touch written; \
                  while [ ! -e switched ]; do sleep 0.01; done";
    let mut resource = stand.resource(stand.rotating(script, "/v1/models"));
    resource.upstreams = vec![format!("http://{}", stand.server.address).parse().unwrap()];
    let upstreams = Upstreams::build(&resource, Arc::new(SystemClock::default())).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (upstreams, stop) = (Arc::clone(&upstreams), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0_usize;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    let answer = ask(&upstreams, "/v1/chat").await.unwrap();
                    assert_eq!(answer.head.status, StatusCode::OK);
                    read(answer.body).await.unwrap();
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let rotating = {
        let upstreams = Arc::clone(&upstreams);
        tokio::spawn(async move { upstreams.rotate_here().await })
    };
    while !written.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = stand.server.requests();
    stand.takes(&["second-secret"]);
    // Some requests meet the switch with the old secret in hand.
    while stand.server.requests() < before + 50 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fs::write(switched, "").unwrap();
    let rotated = soon(rotating).await.unwrap().unwrap();
    assert_eq!(rotated.probe, "/v1/models");
    assert_eq!(rotated.proved, [(format!("http://{}/", stand.server.address), StatusCode::OK)]);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut answered = 0;
    for one in load {
        answered += one.await.unwrap();
    }
    assert!(answered > 50, "{answered}");
}

#[tokio::test]
async fn a_new_secret_that_is_not_taken_is_not_used() {
    let stand = Stand::start().await;
    let upstreams = stand.upstreams(stand.rotating("printf bad-secret > key", "/v1/models"));
    assert_eq!(ask(&upstreams, "/").await.unwrap().head.status, StatusCode::OK);
    let failed = soon(upstreams.rotate_here()).await.unwrap_err();
    let told = failed.to_string();
    assert!(told.contains("answers 401 Unauthorized to the new secret; the old one is used on"), "{told}");
    assert!(!told.contains("secret\""), "{told}");
    for _ in 0..3 {
        assert_eq!(ask(&upstreams, "/").await.unwrap().head.status, StatusCode::OK);
    }
    // The server comes to take it after all, and no more the old one.
    stand.takes(&["bad-secret"]);
    for _ in 0..3 {
        assert_eq!(ask(&upstreams, "/").await.unwrap().head.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_could_not_be_proved_is_not_begun() {
    let stand = Stand::start().await;
    let upstreams = stand.upstreams(stand.rotating("printf new-secret > key", "/open"));
    let failed = soon(upstreams.rotate_here()).await.unwrap_err();
    assert!(failed.to_string().contains("`/open` of http://"), "{failed}");
    assert!(failed.to_string().contains("without any credential"), "{failed}");
    assert_eq!(fs::read_to_string(stand.key()).unwrap(), "first-secret", "the command did not run");
    let plain = stand.upstreams(stand.file());
    assert!(matches!(soon(plain.rotate_here()).await, Err(NotRotated::NoCommand)));
    let none = Upstreams::build(&resource(&["http://127.0.0.1:9".to_owned()]), clock()).unwrap();
    assert!(matches!(soon(none.rotate_here()).await, Err(NotRotated::NoCredential)));
    let mut away = stand.resource(stand.rotating("printf new-secret > key", "/v1/models"));
    away.upstreams.push("http://127.0.0.1:9/".parse().unwrap());
    let away = Upstreams::build(&away, clock()).unwrap();
    let failed = soon(away.rotate_here()).await.unwrap_err();
    assert!(failed.to_string().contains("http://127.0.0.1:9/ cannot be asked"), "{failed}");
    assert_eq!(fs::read_to_string(stand.key()).unwrap(), "first-secret");
}
