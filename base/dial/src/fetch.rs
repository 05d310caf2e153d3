//! One small document, read whole: discovery, keys, a token endpoint's answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use crate::connect::authority;
use crate::{DialError, Trust, client_tls, connect, is_loopback};

/// The most bytes a server's head may have.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Reads small documents over HTTP/1.1: one connection each, no redirects, everything bounded. The
/// scheme is `https`, or `http` towards this machine.
#[derive(Clone, Debug)]
pub struct Fetcher {
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

/// What a server answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status. A redirect is not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Fetcher {
    /// A fetcher that trusts `trust` and gives each document `timeout`, from dialling to the last byte.
    ///
    /// # Errors
    /// [`DialError`] when there is nothing to trust.
    pub fn new(trust: &Trust, timeout: Duration) -> Result<Self, DialError> {
        Ok(Self { tls: Some(client_tls(trust, None, &[b"http/1.1"])?), timeout })
    }

    /// A fetcher for plain HTTP on this machine alone: it needs no certificates, and refuses `https`.
    pub fn loopback(timeout: Duration) -> Self {
        Self { tls: None, timeout }
    }

    /// A fetcher for what lies at `plain` HTTP on this machine, or else behind TLS. `ca_file` holds
    /// certificates to trust instead of the system's; with one, `https` is never refused.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn choose(plain: bool, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, DialError> {
        match ca_file {
            None if plain => Ok(Self::loopback(timeout)),
            ca_file => Self::new(&Trust::of(ca_file), timeout),
        }
    }

    /// Reads the document at `url`, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`DialError`] when the URL is not one to dial, or the whole answer did not come in time or within
    /// `limit`. An answer of any status is no error.
    pub async fn get(&self, url: &Uri, headers: &HeaderMap, limit: usize) -> Result<Fetched, DialError> {
        self.exchange(Method::GET, url, headers, Bytes::new(), limit).await
    }

    /// Posts `form`, which is already `application/x-www-form-urlencoded`, and reads the answer.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn post_form(
        &self,
        url: &Uri,
        headers: &HeaderMap,
        form: Bytes,
        limit: usize,
    ) -> Result<Fetched, DialError> {
        let mut headers = headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.exchange(Method::POST, url, &headers, form, limit).await
    }

    /// Posts `body`, of the type that `headers` say, and reads the answer.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn post(
        &self,
        url: &Uri,
        headers: &HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<Fetched, DialError> {
        self.exchange(Method::POST, url, headers, body, limit).await
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Uri,
        headers: &HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<Fetched, DialError> {
        let host = authority(url)?;
        if url.scheme() == Some(&Scheme::HTTP) && !is_loopback(url) {
            let why = "plain HTTP is for this machine alone; write `https`";
            return Err(DialError::Url { url: url.to_string(), why });
        }
        let request = request(method, url, &host, headers, body)?;
        tokio::time::timeout(self.timeout, self.converse(url, &host, request, limit))
            .await
            .map_err(|_| DialError::Timeout { host, after: self.timeout })?
    }

    #[expect(clippy::disallowed_methods, reason = "the body is limited on the same line")]
    async fn converse(
        &self,
        url: &Uri,
        host: &str,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Fetched, DialError> {
        let unread = |source| DialError::Http { host: host.to_owned(), source };
        let stream = connect(url, self.tls.as_ref(), self.timeout).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unread)?;
        // The connection moves only while it is polled; it ends with this fetch, however that ends.
        let _connection = AbortOnDrop(tokio::spawn(connection));
        let (head, body) = sender.send_request(request).await.map_err(unread)?.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| DialError::Body {
            host: host.to_owned(),
            limit,
            why: error.to_string(),
        })?;
        Ok(Fetched { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

fn request(
    method: Method,
    url: &Uri,
    host: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, DialError> {
    let refuse = |why| DialError::Url { url: url.to_string(), why };
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(body))
        .map_err(|_| refuse("bad path"))?;
    let map = request.headers_mut();
    *map = headers.clone();
    map.insert(HOST, HeaderValue::from_str(host).map_err(|_| refuse("bad host"))?);
    map.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    map.entry(USER_AGENT).or_insert(HeaderValue::from_static("portcullis"));
    Ok(request)
}

/// Ends a task when nobody waits for it any more.
struct AbortOnDrop(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
