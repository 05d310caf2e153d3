//! TLS 1.3 between gateway and agent: whom each trusts, and what each shows.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use model::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::TunnelError;
use crate::authority::{Authority, GATEWAY, GatewayPair};
use crate::token::{Digest, sha256};

/// ALPN (RFC 7301) of a tunnel. Versions are agreed on after it, where a refusal can say why.
pub(crate) const TUNNEL: &[u8] = b"portcullis-tunnel";
/// ALPN of joining and renewing.
pub(crate) const JOIN: &[u8] = b"portcullis-join";
/// The label of what binds a proof to one connection (RFC 8446, section 7.5).
pub(crate) const BINDING: &[u8] = b"EXPORTER-portcullis-join";
/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn wrong(cause: impl std::fmt::Display) -> TunnelError {
    TunnelError::Certificate(cause.to_string())
}

/// The clock, as rustls asks it.
struct Time(Arc<dyn Clock>);

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// The certificate a gateway shows, made anew in time.
pub(crate) struct Shown {
    key: ArcSwap<CertifiedKey>,
    renew: ArcSwap<Timestamp>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl Shown {
    pub(crate) fn of(authority: &Authority) -> Result<Arc<Self>, TunnelError> {
        let (key, renew) = certified(authority)?;
        Ok(Arc::new(Self { key: ArcSwap::from_pointee(key), renew: ArcSwap::from_pointee(renew) }))
    }

    /// Makes the next certificate when it is time.
    pub(crate) fn look_again(&self, authority: &Authority, now: Timestamp) {
        if now < **self.renew.load() {
            return;
        }
        match certified(authority) {
            Ok((key, renew)) => {
                self.key.store(Arc::new(key));
                self.renew.store(Arc::new(renew));
            }
            Err(fault) => tracing::warn!(%fault, "the certificate for agents cannot be made anew"),
        }
    }
}

fn certified(authority: &Authority) -> Result<(CertifiedKey, Timestamp), TunnelError> {
    let GatewayPair { chain, key, renew } = authority.gateway()?;
    Ok((CertifiedKey::from_der(chain, key, &provider()).map_err(wrong)?, renew))
}

/// What a gateway serves agents with. A certificate is asked for; only who joins may do without.
pub(crate) fn gateway(
    authority: &Authority,
    shown: Arc<Shown>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, TunnelError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority.certificate())?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(wrong)?;
    let mut server = ServerConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(wrong)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    server.alpn_protocols = vec![TUNNEL.to_vec(), JOIN.to_vec()];
    // Each connection shows its certificate anew: what was revoked must not come back by a ticket.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

fn roots(certificate: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, TunnelError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).map_err(wrong)?;
    Ok(Arc::new(roots))
}

/// What an agent dials with, once it is one.
pub(crate) fn agent(
    authority: &CertificateDer<'static>,
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    alpn: &[u8],
    clock: Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, TunnelError> {
    let mut client = ClientConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(wrong)?
        .with_root_certificates(roots(authority)?)
        .with_client_auth_cert(vec![certificate], key)
        .map_err(wrong)?;
    client.alpn_protocols = vec![alpn.to_vec()];
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}

/// What somebody dials with to become an agent: the gateway is known by its authority's digest.
pub(crate) fn joining(authority: Digest, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TunnelError> {
    let mut client = ClientConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { authority, provider: provider() }))
        .with_no_client_auth();
    client.alpn_protocols = vec![JOIN.to_vec()];
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}

/// Trusts the one authority whose certificate has this digest and comes along.
#[derive(Debug)]
struct Pinned {
    authority: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = intermediates.iter().find(|known| sha256(known) == self.authority) else {
            return Err(rustls::Error::General(
                "it is not the gateway that the join token is for".to_owned(),
            ));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|fault| rustls::Error::General(fault.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Connects to a gateway, `HOST:PORT`.
pub(crate) async fn connect(at: &str, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, TunnelError> {
    let unreachable = |why: String| TunnelError::Unreachable { at: at.to_owned(), why };
    let name = ServerName::try_from(GATEWAY).map_err(wrong)?;
    let connected = async {
        let socket = TcpStream::connect(at).await?;
        socket.set_nodelay(true)?;
        TlsConnector::from(tls).connect(name, socket).await
    };
    match timeout(CONNECT, connected).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(cause)) => Err(unreachable(cause.to_string())),
        Err(_) => Err(unreachable(format!("it did not answer within {CONNECT:?}"))),
    }
}
