//! Health and metrics, on a listener of their own: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Gateway, SetupError};

pub(crate) async fn open(address: Option<SocketAddr>) -> Result<Option<TcpListener>, SetupError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|fault| SetupError::Observe { address, why: fault.to_string() })
}

/// Serves until the gateway drains. `readyz` says no from then on, so that a balancer looks elsewhere.
pub(crate) async fn serve(gateway: Arc<Gateway>, listener: TcpListener, drain: CancellationToken) {
    let handle = recorder();
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (gateway, handle) = (Arc::clone(&gateway), handle.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let response = respond(&gateway, handle.as_ref(), request.uri().path());
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service);
            // A prober that breaks off needs no answer.
            let _ = connection.await;
        });
    }
}

/// One recorder a process: the metrics crate knows no other. `None` when another one was installed.
fn recorder() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            PrometheusBuilder::new()
                .set_buckets(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0])
                .ok()
                .and_then(|builder| builder.install_recorder().ok())
        })
        .clone()
}

fn respond(gateway: &Gateway, handle: Option<&PrometheusHandle>, path: &str) -> Response<Full<Bytes>> {
    match path {
        "/healthz" => text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned()),
        "/readyz" => {
            let (ready, report) = readiness(gateway);
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            text(status, "application/json", format!("{report:#}\n"))
        }
        "/metrics" => match handle {
            Some(handle) => {
                handle.run_upkeep();
                text(StatusCode::OK, "text/plain; version=0.0.4", handle.render())
            }
            None => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "no metrics recorder\n".to_owned()),
        },
        _ => text(StatusCode::NOT_FOUND, "text/plain", "try /healthz, /readyz or /metrics\n".to_owned()),
    }
}

/// Whether requests can pass, and what is missing if not. An upstream that is down is told but leaves
/// the gateway ready: its other resources still answer.
fn readiness(gateway: &Gateway) -> (bool, Value) {
    let setup = gateway.setup();
    let mut missing = Vec::new();
    let ledger = gateway.ledger.health();
    if !ledger.is_ready() {
        missing.push(format!("ledger: {}", ledger.condition));
    }
    if !gateway.standing().is_current() {
        missing
            .push("state: it could not be read for too long, so it is not known who is blocked".to_owned());
    }
    let issuers = setup.authenticator.issuers();
    if !issuers.is_empty() && issuers.iter().all(|issuer| !issuer.usable) {
        missing.push("issuers: no issuer's keys could be had yet".to_owned());
    }
    let upstreams: serde_json::Map<String, Value> = setup
        .places()
        .into_iter()
        .map(|(name, place)| (name.to_string(), json!(place.upstreams.health())))
        .collect();
    let report = json!({
        "ready": missing.is_empty(),
        "missing": missing,
        "ledger": { "condition": ledger.condition.to_string(), "stored": ledger.stock.iter().map(stock).collect::<Vec<_>>() },
        "policies": gateway.authorizer.current().hash().to_string(),
        "issuers": issuers,
        "upstreams": upstreams,
    });
    (missing.is_empty(), report)
}

/// What one series of the ledger takes.
fn stock(stock: &record::ClassStock) -> Value {
    json!({
        "class": stock.class,
        "segments": stock.segments,
        "compressed": stock.compressed,
        "bytes": stock.bytes,
        "oldest": stock.oldest,
        "last_drop": stock.last_drop,
    })
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
