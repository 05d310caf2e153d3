//! Fetches from servers that behave, and from servers that do not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{DialError, Fetcher, Trust, client_tls, connect, is_loopback};

const LONG: Duration = Duration::from_secs(30);

/// Answers every connection with `answer` and returns the base URL and what was asked.
async fn server(answer: &'static str) -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, questions) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            asked.send(head(&mut socket).await).await.ok();
            socket.write_all(answer.as_bytes()).await.ok();
        }
    });
    (url, questions)
}

async fn head(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(read).unwrap()
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

async fn get(url: &str, limit: usize) -> Result<crate::Fetched, DialError> {
    Fetcher::loopback(LONG).get(&uri(url), &HeaderMap::new(), limit).await
}

#[tokio::test]
async fn reads_a_document() {
    let (url, mut asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("application/json"));
    let url = format!("{url}/a/b?c=d");
    let fetched = Fetcher::loopback(LONG).get(&uri(&url), &headers, 5).await.unwrap();
    assert_eq!((fetched.status, &fetched.body[..]), (StatusCode::OK, &b"hello"[..]));
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("accept: application/json\r\n") && asked.contains("host: 127.0.0.1:"), "{asked}");
}

#[tokio::test]
async fn posts_a_form() {
    let (url, mut asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let form = Bytes::from_static(b"grant_type=client_credentials");
    Fetcher::loopback(LONG).post_form(&uri(&url), &HeaderMap::new(), form, 100).await.unwrap();
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("POST / HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/x-www-form-urlencoded\r\n"), "{asked}");
}

#[tokio::test]
async fn follows_no_redirect() {
    let (url, _asked) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(get(&url, 10).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test]
async fn refuses_more_than_the_limit() {
    let (url, _asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello!").await;
    assert!(matches!(get(&url, 5).await, Err(DialError::Body { limit: 5, .. })));
    assert!(get(&url, 6).await.is_ok());
}

#[tokio::test]
async fn refuses_a_body_that_breaks_off() {
    let (url, _asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\nhello").await;
    assert!(matches!(get(&url, 100).await, Err(DialError::Body { .. })));
}

#[tokio::test]
async fn refuses_what_is_not_http() {
    let (url, _asked) = server("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert!(matches!(get(&url, 100).await, Err(DialError::Http { .. })));
}

#[tokio::test]
async fn gives_up_on_a_silent_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let after = Duration::from_millis(20);
    let fetched = Fetcher::loopback(after).get(&uri(&url), &HeaderMap::new(), 10).await;
    assert!(matches!(fetched, Err(DialError::Timeout { after: said, .. }) if said == after));
}

#[tokio::test]
async fn says_who_did_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&format!("http://{gone}"), 10).await.unwrap_err();
    assert!(matches!(&error, DialError::Connect { host, .. } if *host == gone.to_string()), "{error}");
}

#[tokio::test]
async fn dials_plain_http_on_this_machine_alone() {
    for url in
        ["http://10.0.0.1/", "http://example.test/", "http://localhost.example.test/", "ftp://127.0.0.1/"]
    {
        assert!(matches!(get(url, 10).await, Err(DialError::Url { .. })), "{url}");
    }
    let secret = format!("http://user:{}@127.0.0.1/", "x".repeat(8));
    assert!(matches!(get(&secret, 10).await, Err(DialError::Url { .. })));
    assert!(matches!(get("https://127.0.0.1/", 10).await, Err(DialError::Url { .. })));
    for (url, here) in [
        ("http://127.0.0.1:80/", true),
        ("http://127.9.9.9/", true),
        ("http://[::1]:9/", true),
        ("http://localhost:9/", true),
        ("http://127.0.0.1.example.test/", false),
        ("http://[::2]/", false),
    ] {
        assert_eq!(is_loopback(&uri(url)), here, "{url}");
    }
}

struct Authority {
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A TLS server that greets and closes; with `asks` it wants a client certificate of that authority.
    async fn serve(&self, asks: Option<&Authority>) -> String {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match asks {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(authority.file("cert.pem")).unwrap()).unwrap();
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_file(self.file("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok();
                stream.shutdown().await.ok();
            }
        });
        format!("https://{address}")
    }
}

#[tokio::test]
async fn trusts_the_named_authority_and_no_other() {
    let (ours, other) = (Authority::new(), Authority::new());
    let url = uri(&ours.serve(None).await);
    let fetch = async |trusted: &Authority| {
        let trust = Trust::File(trusted.file("cert.pem"));
        Fetcher::new(&trust, LONG).unwrap().get(&url, &HeaderMap::new(), 10).await
    };
    assert_eq!(&fetch(&ours).await.unwrap().body[..], b"ok");
    assert!(matches!(fetch(&other).await, Err(DialError::Tls { .. })));
}

#[tokio::test]
async fn shows_a_client_certificate_to_a_server_that_asks() {
    let (server, client) = (Authority::new(), Authority::new());
    let url = uri(&server.serve(Some(&client)).await);
    let trust = Trust::File(server.file("cert.pem"));
    let (chain, key) = (client.file("cert.pem"), client.file("key.pem"));
    let greet = async |identity| {
        let tls = client_tls(&trust, identity, &[]).unwrap();
        let mut stream = connect(&url, Some(&tls), LONG).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.ok()?;
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    };
    assert_eq!(greet(Some((&*chain, &*key))).await.as_ref().map(|a| &a[..]), Some(&b"HTTP/1.1 200 OK"[..]));
    assert_eq!(greet(None).await, None);
}

#[test]
fn says_which_file_is_no_good() {
    let ours = Authority::new();
    let (cert, key, empty) = (ours.file("cert.pem"), ours.file("key.pem"), ours.file("empty.pem"));
    std::fs::write(&empty, "").unwrap();
    for trust in [ours.file("missing.pem"), empty.clone(), key.clone()] {
        let error = client_tls(&Trust::File(trust.clone()), None, &[]).unwrap_err();
        assert!(matches!(&error, DialError::Pem { path, .. } if *path == trust), "{error}");
    }
    let trust = Trust::File(cert.clone());
    assert!(matches!(client_tls(&trust, Some((&empty, &key)), &[]), Err(DialError::Pem { .. })));
    assert!(matches!(client_tls(&trust, Some((&cert, &cert)), &[]), Err(DialError::Pem { .. })));
    let other = Authority::new();
    let stranger = client_tls(&trust, Some((&cert, &other.file("key.pem"))), &[]);
    assert!(matches!(stranger, Err(DialError::Settings(_))));
    let tls = client_tls(&trust, Some((&cert, &key)), &[b"h2"]).unwrap();
    assert_eq!(tls.alpn_protocols, [b"h2".to_vec()]);
}
