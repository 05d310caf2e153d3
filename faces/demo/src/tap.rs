//! Passes a request on to a real model server and remembers what came back.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::DemoError;
use crate::model_server::{Body, Sent};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends the request to `real` and gives its answer as it comes.
pub(crate) async fn pass(
    real: &Uri,
    head: &Parts,
    body: Bytes,
    sent: Sent,
) -> Result<Response<Body>, DemoError> {
    let failed = |fault: &dyn std::fmt::Display| DemoError::new("asking your model server", fault);
    let stream = connect(real).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
    tokio::spawn(connection);
    // SDKs want `/v1` in their base URL, so many will give it; the paths that are asked for have it.
    let base = real.path().trim_end_matches('/').trim_end_matches("/v1");
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = Request::builder().method(head.method.clone()).uri(format!("{base}{target}"));
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != header::HOST) {
        request = request.header(name, value);
    }
    let host = real.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let request = request.header(header::HOST, host).body(Full::new(body)).map_err(|e| failed(&e))?;
    let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
    Ok(response.map(|body| {
        body.map_frame(move |frame| {
            if let Some(bytes) = frame.data_ref() {
                sent.add(bytes);
            }
            frame
        })
        .map_err(io::Error::other)
        .boxed_unsync()
    }))
}

async fn connect(real: &Uri) -> Result<Box<dyn Stream>, DemoError> {
    let failed = |fault: &dyn std::fmt::Display| DemoError::new("connecting to your model server", fault);
    let secure = real.scheme_str() == Some("https");
    let host = real.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = real.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|e| failed(&e))?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let tls = dial::client_tls(&dial::Trust::System, None, &[b"http/1.1"]).map_err(|e| failed(&e))?;
    let name = ServerName::try_from(host).map_err(|e| failed(&e))?;
    let stream = TlsConnector::from(Arc::clone(&tls)).connect(name, stream).await.map_err(|e| failed(&e))?;
    Ok(Box::new(stream))
}
