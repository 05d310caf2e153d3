//! Certificates: brought, renewed, made.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{h2, limits, open, rest, serve, serve_door, soon, told};

fn write_pair(dir: &Path, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
    certificate.pem()
}

fn files(dir: &Path) -> config::Listener {
    let tls = config::Tls::Files { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    config::Listener { address: "127.0.0.1:0".parse().unwrap(), tls }
}

async fn connect(
    address: SocketAddr,
    trusted: &str,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(client)).connect(name, stream)).await
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let trusted = write_pair(dir.path(), "localhost");
    let served = serve(&files(dir.path()), &limits());
    let stream = connect(served.address, &trusted, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (_, _, body) = told(&mut h2(stream).await, "/peer").await;
    assert!(body.contains("secure: true") && body.contains(&served.address.to_string()), "{body}");

    let stream = connect(served.address, &trusted, &[b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    write_pair(dir.path(), "localhost");
    let served = serve(&files(dir.path()), &limits());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_new_pair_is_taken_up_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path(), "localhost");
    let served = serve(&files(dir.path()), &limits());
    assert!(connect(served.address, &first, &[]).await.is_ok());

    let second = write_pair(dir.path(), "localhost");
    soon(async { while connect(served.address, &second, &[]).await.is_err() {} }).await;
    assert!(connect(served.address, &first, &[]).await.is_err());

    // A key that does not belong to the certificate, then one more good pair: the bad one was never shown.
    fs::write(dir.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(connect(served.address, &second, &[]).await.is_ok());
    let third = write_pair(dir.path(), "localhost");
    soon(async { while connect(served.address, &third, &[]).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_pair_that_does_not_fit_keeps_the_door_shut() {
    let dir = tempfile::tempdir().unwrap();
    write_pair(dir.path(), "localhost");
    fs::write(dir.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let clock = Arc::new(model::SystemClock::default());
    let fault = accept::Door::open(&files(dir.path()), &limits(), clock).unwrap_err().to_string();
    assert!(fault.contains("cert.pem"), "{fault}");
}

#[tokio::test]
async fn the_local_authority_is_made_once_and_trusted_alone() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("local");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let tls = config::Tls::Local { dir: kept.clone(), names };
    let listener = config::Listener { address: "127.0.0.1:0".parse().unwrap(), tls };
    let mut authorities = Vec::new();
    for _ in 0..2 {
        let door = open(&listener, &limits());
        let authority = fs::read_to_string(door.ca_path().unwrap()).unwrap();
        let served = serve_door(door);
        let stream = connect(served.address, &authority, &[b"h2"]).await.unwrap();
        assert_eq!(told(&mut h2(stream).await, "/x").await.2, "0 bytes to /x");
        authorities.push(authority);
    }
    assert_eq!(authorities[0], authorities[1]);
    let mode = fs::metadata(kept.join("ca-key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // A key of another authority beside it is a mistake, not a reason to make a third.
    fs::write(kept.join("ca-key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let clock = Arc::new(model::SystemClock::default());
    assert!(accept::Door::open(&listener, &limits(), clock).is_err());
}
