//! An open door with a small server behind it, and ways to knock.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use accept::{Door, Peer};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use model::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes: ends a test that hangs.
const HANG: Duration = Duration::from_secs(20);

pub(crate) type Answer = UnsyncBoxBody<Bytes, std::io::Error>;

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) drain: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    /// Lets `/held` answers end.
    pub(crate) release: Arc<Notify>,
}

pub(crate) fn limits() -> config::Limits {
    config::Limits { header_timeout: Duration::from_millis(500), ..config::Limits::default() }
}

pub(crate) fn plain() -> config::Listener {
    config::Listener { address: "127.0.0.1:0".parse().unwrap(), tls: config::Tls::Plain }
}

pub(crate) fn open(listener: &config::Listener, limits: &config::Limits) -> Door {
    Door::open(listener, limits, Arc::new(SystemClock::default())).unwrap()
}

pub(crate) fn serve(listener: &config::Listener, limits: &config::Limits) -> Served {
    serve_door(open(listener, limits))
}

pub(crate) fn serve_door(door: Door) -> Served {
    let (address, drain, release) = (door.address(), CancellationToken::new(), Arc::new(Notify::new()));
    let handler = {
        let release = Arc::clone(&release);
        move |request, peer| handle(request, peer, Arc::clone(&release))
    };
    let task = tokio::spawn(door.serve(handler, drain.clone()));
    Served { address, drain, task, release }
}

fn full(text: impl Into<Bytes>) -> Answer {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

async fn handle(request: Request<Incoming>, peer: Peer, release: Arc<Notify>) -> Response<Answer> {
    let (head, body) = request.into_parts();
    if let Err(refusal) = accept::framing(&head) {
        let mut response = Response::new(full(format!("refused: {}", refusal.reason)));
        *response.status_mut() = refusal.code.status();
        return response;
    }
    let event = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let answer = match head.uri.path() {
        "/panic" => panic!("on purpose"),
        "/cut" => {
            let cut = Err(std::io::Error::other("on purpose"));
            let frames = stream::iter([event("data: one\n\n"), event("event: error\n\n"), cut]);
            StreamBody::new(frames).boxed_unsync()
        }
        "/held" => {
            let end = stream::once(async move {
                release.notified().await;
                event("data: last\n\n")
            });
            StreamBody::new(stream::iter([event("data: first\n\n")]).chain(end)).boxed_unsync()
        }
        "/peer" => full(format!("{peer:?}")),
        _ => full(format!("{} bytes to {}", read(body).await.len(), head.uri.path())),
    };
    Response::new(answer)
}

#[expect(clippy::disallowed_methods, reason = "it is limited")]
pub(crate) async fn read<B>(body: B) -> Bytes
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    soon(Limited::new(body, 1 << 20).collect()).await.unwrap().to_bytes()
}

/// What a future gives, unless it hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(HANG, future).await.expect("it hangs")
}

/// Writes bytes to a new connection and reads until it is closed.
pub(crate) async fn exchange(address: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

/// Reads until the other side closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    // A reset counts as closed.
    let _ = soon(stream.read_to_end(&mut received)).await;
    String::from_utf8_lossy(&received).into_owned()
}

/// Reads until `text` has come.
pub(crate) async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut received = String::new();
    let mut buffer = [0; 1024];
    while !received.contains(text) {
        let n = soon(stream.read(&mut buffer)).await.unwrap();
        assert!(n > 0, "closed before {text:?} came: {received:?}");
        received.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    received
}

pub(crate) type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// An HTTP/2 connection over any stream.
pub(crate) async fn h2<S>(stream: S) -> H2
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Asks over HTTP/2 and waits for the head.
pub(crate) async fn ask(sender: &mut H2, path: &str) -> hyper::Result<Response<Incoming>> {
    let request = Request::get(format!("https://localhost{path}")).body(Full::default()).unwrap();
    soon(sender.send_request(request)).await
}

/// Asks over HTTP/2 and reads the whole answer.
pub(crate) async fn told(sender: &mut H2, path: &str) -> (StatusCode, HeaderMap, String) {
    let (head, body) = ask(sender, path).await.unwrap().into_parts();
    (head.status, head.headers, String::from_utf8(read(body).await.to_vec()).unwrap())
}
