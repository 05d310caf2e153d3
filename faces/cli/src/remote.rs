//! Asking a gateway's administration: over a socket or the network, with a token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use login::{Login, Wanted};
use model::SystemClock;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// The most bytes of one answer, and of one line of a stream.
const LARGEST: usize = 128 << 20;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer's head, and all of an answer that is no stream, may take.
const ANSWER: Duration = Duration::from_secs(60);

/// Which gateway is asked, and as whom.
#[derive(Args)]
pub(crate) struct Remote {
    /// Where the gateway is administered: https://HOST:PORT or unix:PATH; taken from the configuration
    /// when absent
    #[arg(long, value_name = "URL", env = "PORTCULLIS_ADMIN")]
    admin: Option<String>,
    /// Certificates to trust there instead of the system's
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_ADMIN_CA")]
    admin_ca: Option<PathBuf>,
    /// The login whose token is sent, by its name; PORTCULLIS_TOKEN wins over every login
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The login for this gateway, where there are several
    #[arg(long, value_name = "URL", env = "PORTCULLIS_GATEWAY")]
    gateway: Option<String>,
    /// The configuration file, which names the gateway's administration and its folders
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    pub(crate) config: PathBuf,
}

/// Which gateway is asked, and how its answer is shown.
#[derive(Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Why the administration could not be asked, or what it said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// Nobody said where it is.
    #[error(
        "it is not known where the gateway is administered: give --admin URL or set PORTCULLIS_ADMIN, or name a \
         configuration that has `admin`; `--local` reads the files here"
    )]
    Nowhere,
    /// What was said is no address.
    #[error("`{0}` is no address: write https://HOST:PORT, http://HOST:PORT on this machine, or unix:PATH")]
    Address(String),
    /// It can't be reached.
    #[error("cannot reach the gateway's administration at {at}: {why}")]
    Unreachable {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// There is no token to send.
    #[error("there is no token to ask with: {0}; or set PORTCULLIS_TOKEN")]
    Token(#[from] login::LoginError),
    /// It said no.
    #[error("{0}")]
    Refused(Refused),
    /// What it answered is not what was expected.
    #[error("the gateway's answer cannot be read: {0}")]
    Odd(String),
}

/// A refusal, as problem details have it.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The status.
    pub(crate) status: StatusCode,
    problem: Value,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |key: &str| self.problem.get(key).and_then(Value::as_str).unwrap_or_default();
        let request = text("instance").trim_start_matches("urn:uuid:");
        if text("code").is_empty() {
            return write!(f, "the gateway answered {}", self.status);
        }
        let approval = self.problem.get("approval").and_then(|approval| approval.get("id")?.as_str());
        let approval = approval.map(|id| format!(", approval {id}")).unwrap_or_default();
        write!(f, "{} {} ({}, request {request}{approval})", text("detail"), text("advice"), text("code"))
    }
}

/// Where the administration is.
enum At {
    Socket(PathBuf),
    Url(Uri, dial::Trust),
}

/// Asks one gateway.
pub(crate) struct Client {
    at: At,
    token: SecretString,
    /// How long an answer's head, and all of an answer that is no stream, may take.
    patience: Duration,
}

impl Remote {
    /// Who to ask, with a fresh token.
    pub(crate) async fn client(&self) -> Result<Client, RemoteError> {
        let at = self.at()?;
        let wanted = Wanted { profile: self.profile.clone(), gateway: self.gateway.clone() };
        let token = Login::choose(&wanted, Arc::new(SystemClock::default()))?.token().await?;
        Ok(Client { at, token, patience: ANSWER })
    }

    fn at(&self) -> Result<At, RemoteError> {
        if let Some(text) = &self.admin {
            if let Some(path) = text.strip_prefix("unix:") {
                return Ok(At::Socket(PathBuf::from(path)));
            }
            let url: Uri = text.parse().map_err(|_| RemoteError::Address(text.clone()))?;
            let fits = url.host().is_some()
                && match url.scheme_str() {
                    Some("https") => true,
                    // A token must not travel readable.
                    Some("http") => dial::is_loopback(&url),
                    _ => false,
                };
            let at = At::Url(url, dial::Trust::of(self.admin_ca.as_deref()));
            return if fits { Ok(at) } else { Err(RemoteError::Address(text.clone())) };
        }
        let admin =
            config::load(&self.config).ok().and_then(|config| config.admin).ok_or(RemoteError::Nowhere)?;
        if let Some(socket) = admin.socket {
            return Ok(At::Socket(socket));
        }
        let listener = admin.listener.ok_or(RemoteError::Nowhere)?;
        let (scheme, ca) = match listener.tls {
            config::Tls::Plain => ("http", None),
            config::Tls::Local { dir, .. } => ("https", Some(dir.join("ca.pem"))),
            config::Tls::Files { .. } => ("https", None),
        };
        let url = format!("{scheme}://{}", listener.address);
        let url = url.parse().map_err(|_| RemoteError::Address(url))?;
        Ok(At::Url(url, dial::Trust::of(self.admin_ca.as_deref().or(ca.as_deref()))))
    }
}

impl Asked {
    /// Who to ask, with a fresh token.
    pub(crate) async fn client(&self) -> Result<Client, RemoteError> {
        self.remote.client().await
    }

    /// Gets a document.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, RemoteError> {
        self.client().await?.get(path).await
    }

    /// Posts a document, and reads the answer.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, RemoteError> {
        self.client().await?.send(Method::POST, path, Some(body)).await
    }
}

impl Refused {
    /// The stable name of why.
    pub(crate) fn code(&self) -> &str {
        self.problem.get("code").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Client {
    /// The same for calls that may take so long.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Gets a document.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, RemoteError> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a call and reads its answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RemoteError> {
        let response = self.open(method, path, body).await?;
        let bytes = self.whole(response.into_body()).await?;
        serde_json::from_slice(&bytes).map_err(|fault| RemoteError::Odd(fault.to_string()))
    }

    /// Begins to read an answer of lines.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, RemoteError> {
        let response = self.open(Method::GET, path, None).await?;
        Ok(Lines { body: response.into_body(), waiting: Vec::new() })
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, RemoteError> {
        #[expect(clippy::disallowed_methods, reason = "it is limited")]
        let read = tokio::time::timeout(self.patience, Limited::new(body, LARGEST).collect()).await;
        let read = read.map_err(|_| RemoteError::Odd("it did not end in time".to_owned()))?;
        Ok(read.map_err(|fault| RemoteError::Odd(fault.to_string()))?.to_bytes())
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, RemoteError> {
        let (host, at) = match &self.at {
            At::Socket(path) => ("localhost".to_owned(), format!("unix:{}", path.display())),
            At::Url(url, _) => {
                let host = url.authority().map(ToString::to_string).unwrap_or_default();
                (host, url.to_string())
            }
        };
        let unreachable =
            |why: &dyn std::fmt::Display| RemoteError::Unreachable { at: at.clone(), why: why.to_string() };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", admin::ROOT))
            .header(HOST, host)
            .header(ACCEPT, "application/json, application/x-ndjson, application/problem+json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose_secret()));
        let mut bytes = Bytes::new();
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json");
            bytes = Bytes::from(body.to_string());
        }
        let request = request.body(Full::new(bytes)).map_err(|fault| unreachable(&fault))?;
        let sent = match &self.at {
            At::Socket(path) => {
                let stream = tokio::time::timeout(CONNECT, UnixStream::connect(path)).await;
                let stream = stream.map_err(|_| unreachable(&"it took too long"))?;
                ask(stream.map_err(|fault| unreachable(&fault))?, request, self.patience).await
            }
            At::Url(url, trust) => {
                let tls = match url.scheme_str() {
                    Some("https") => {
                        let tls = dial::client_tls(trust, None, &[b"http/1.1"]);
                        Some(tls.map_err(|fault| unreachable(&fault))?)
                    }
                    _ => None,
                };
                let stream = dial::connect(url, tls.as_ref(), CONNECT).await;
                ask(stream.map_err(|fault| unreachable(&fault))?, request, self.patience).await
            }
        };
        let response = sent.map_err(|fault| unreachable(&fault))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem = self.whole(response.into_body()).await?;
        let problem = serde_json::from_slice(&problem).unwrap_or(Value::Null);
        Err(RemoteError::Refused(Refused { status, problem }))
    }
}

/// Sends one request over a connection of its own.
async fn ask<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    patience: Duration,
) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|fault| fault.to_string())?;
    tokio::spawn(async move {
        // What goes wrong with the connection is told to whoever reads from it.
        let _ = connection.await;
    });
    let answered = tokio::time::timeout(patience, sender.send_request(request)).await;
    answered.map_err(|_| "it does not answer".to_owned())?.map_err(|fault| fault.to_string())
}

/// An answer of lines, each of them JSON.
pub(crate) struct Lines {
    body: Incoming,
    waiting: Vec<u8>,
}

impl Lines {
    /// The next line; none when the answer ended as it should.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, RemoteError> {
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                let line = serde_json::from_slice(&line);
                return line.map(Some).map_err(|fault| RemoteError::Odd(fault.to_string()));
            }
            if self.waiting.len() > LARGEST {
                return Err(RemoteError::Odd("a line of it does not end".to_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.waiting.extend_from_slice(&data);
                    }
                }
                Some(Err(fault)) => return Err(RemoteError::Odd(format!("it was cut: {fault}"))),
                None => return Ok(None),
            }
        }
    }
}

/// A path with its query, each value escaped.
pub(crate) fn query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut out = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        out.push(mark);
        out.push_str(name);
        out.push('=');
        out.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
        mark = '&';
    }
    out
}

/// One segment of a path.
pub(crate) fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
