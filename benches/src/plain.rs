//! A plain proxy made of the libraries Portcullis is made of, and of nothing else: what is left above it
//! is what Portcullis itself costs.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use e2e::process::{Part, free_address};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// The first argument that makes this program the proxy.
pub(crate) const PROXY: &str = "--plain-proxy";

/// Starts it as a process of its own.
pub(crate) async fn start(upstream: SocketAddr) -> (SocketAddr, Part) {
    let address = free_address();
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    let arguments = [PROXY, &address.to_string(), &upstream.to_string()];
    let mut part = Part::start("plain", command.args(arguments));
    part.answers(&format!("http://{address}/jwks")).await;
    (address, part)
}

/// Is the proxy, until the process ends.
pub(crate) fn serve(listen: &str, upstream: &str) {
    let upstream: SocketAddr = upstream.parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.expect("a listener");
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(connection(stream, upstream));
        }
    });
}

async fn connection(stream: TcpStream, upstream: SocketAddr) {
    let Ok(behind) = TcpStream::connect(upstream).await else { return };
    let _ = behind.set_nodelay(true);
    let Ok((sender, line)) = http1::handshake(TokioIo::new(behind)).await else { return };
    tokio::spawn(line);
    let sender = Arc::new(Mutex::new(sender));
    let service = service_fn(move |request| pass(Arc::clone(&sender), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn pass(
    sender: Arc<Mutex<http1::SendRequest<Incoming>>>,
    request: Request<Incoming>,
) -> hyper::Result<Response<Incoming>> {
    let mut sender = sender.lock().await;
    sender.ready().await?;
    sender.send_request(request).await
}
