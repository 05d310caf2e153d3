//! TLS, with both sides proven, and HTTP/2 on it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use config::{Resource, Timeouts};
use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use model::{Code, Outcome};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::server::{ask, clock, next, read, resource, soon};
use crate::{ForwardError, Upstreams};

/// An authority with what it issued, in files.
pub(super) struct Files(tempfile::TempDir);

impl Files {
    pub(super) fn write() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write("ca.pem", params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        for name in ["server", "client", "next"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let issued: Certificate = params.signed_by(&key, &issuer).unwrap();
            write(&format!("{name}.pem"), issued.pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self(dir)
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn resource(&self, address: SocketAddr) -> Resource {
        let mut resource = resource(&[format!("https://localhost:{}", address.port())]);
        resource.upstream_tls.ca_file = Some(self.path("ca.pem"));
        resource.upstream_tls.client_certificate = Some(self.path("client.pem"));
        resource.upstream_tls.client_key = Some(self.path("client.key"));
        resource
    }
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// A server that asks for a client certificate and speaks these protocols.
pub(super) fn server_tls(files: &Files, alpn: &[&[u8]]) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&files.path("ca.pem"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate(&files.path("server.pem"))],
            PrivateKeyDer::from_pem_file(files.path("server.key")).unwrap(),
        )
        .unwrap();
    server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(server))
}

struct Secure {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Told when an endless answer was taken back.
    left: mpsc::Receiver<()>,
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Tells when it is dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

async fn start(files: &Files, alpn: &[&[u8]]) -> Secure {
    let (acceptor, connections) = (server_tls(files, alpn), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, left) = mpsc::channel(8);
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, tell, counted) = (acceptor.clone(), tell.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(move |request| answer(request, tell.clone()));
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Secure { address, connections, left }
}

async fn answer(
    request: Request<Incoming>,
    tell: mpsc::Sender<()>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let first = match request.version() {
        Version::HTTP_2 => format!("2 {}", request.uri()),
        _ => format!("1 {}", request.uri()),
    };
    let endless = request.uri().path() == "/endless";
    let frames = stream::unfold((Some(first), Told(tell)), move |(mut first, told)| async move {
        match first.take() {
            Some(text) => Some((Ok(Frame::data(Bytes::from(text))), (None, told))),
            None if endless => std::future::pending().await,
            None => None,
        }
    });
    Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
}

#[tokio::test]
async fn http2_with_both_sides_proven_on_one_connection() {
    let files = Files::write();
    let server = start(&files, &[b"h2", b"http/1.1"]).await;
    let upstreams = Upstreams::build(&files.resource(server.address), clock()).unwrap();
    let wanted = format!("2 https://localhost:{}/x", server.address.port());
    assert_eq!(read(ask(&upstreams, "/x").await.unwrap().body).await.unwrap(), wanted);
    let answers = join_all((0..50).map(|_| ask(&upstreams, "/x"))).await;
    for answer in answers {
        assert_eq!(read(answer.unwrap().body).await.unwrap(), wanted);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dropped_answer_resets_its_stream_alone() {
    let files = Files::write();
    let mut server = start(&files, &[b"h2"]).await;
    let upstreams = Upstreams::build(&files.resource(server.address), clock()).unwrap();
    let mut dropped = ask(&upstreams, "/endless").await.unwrap();
    assert!(next(&mut dropped.body).await.unwrap().is_ok());
    drop(dropped);
    soon(server.left.recv()).await.unwrap();
    assert!(ask(&upstreams, "/x").await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http1_where_the_server_speaks_no_other() {
    let files = Files::write();
    let server = start(&files, &[b"http/1.1"]).await;
    let upstreams = Upstreams::build(&files.resource(server.address), clock()).unwrap();
    assert_eq!(read(ask(&upstreams, "/x").await.unwrap().body).await.unwrap(), "1 /x");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_nothing() {
    let (files, others) = (Files::write(), Files::write());
    let server = start(&files, &[b"h2"]).await;
    let mut resource = files.resource(server.address);
    resource.upstream_tls.ca_file = Some(others.path("ca.pem"));
    let upstreams = Upstreams::build(&resource, clock()).unwrap();
    let error = ask(&upstreams, "/x").await.unwrap_err();
    assert!(matches!(error, ForwardError::Unreachable(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::Refused);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_a_connect_timeout() {
    let files = Files::write();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut resource = files.resource(listener.local_addr().unwrap());
    resource.timeouts = Timeouts { connect: Duration::from_millis(50), ..Timeouts::default() };
    let upstreams = Upstreams::build(&resource, clock()).unwrap();
    let error = ask(&upstreams, "/x").await.unwrap_err();
    assert!(matches!(error, ForwardError::ConnectTimeout(_)), "{error}");
    assert_eq!((error.refusal().code, error.outcome()), (Code::UpstreamUnavailable, Outcome::Refused));
}
