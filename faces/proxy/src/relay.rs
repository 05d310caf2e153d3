//! One request: admitted, given a fresh token, sent on; the answer streamed back.
//!
//! Bodies are never held: each direction is read as fast as the other end takes it. When the tool goes
//! away hyper drops the answer's body, which closes the connection to the gateway and so cancels there.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use resolve::NormalPath;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::guard::{Guard, KEY_HEADERS, No};
use crate::line::Dialer;
use crate::{ProxyError, Source, Target};

/// What stays between two hops (RFC 9110, section 7.6.1), with what the proxy says itself.
const OWN: [HeaderName; 10] = [
    header::CONNECTION,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::EXPECT,
];
/// The same, without a name in the standard library of headers.
const OWN_TOO: [&str; 2] = ["keep-alive", "proxy-connection"];

/// An answer: the gateway's, or a few words of the proxy's own.
pub(crate) type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Sends requests on.
pub(crate) struct Relay {
    base: String,
    client: Client<Dialer, Incoming>,
    source: Source,
}

impl Relay {
    pub(crate) fn new(target: &Target, source: Source) -> Result<Self, ProxyError> {
        let tls = if target.gateway.starts_with("https://") {
            let trust = dial::Trust::of(target.ca_file.as_deref());
            Some(dial::client_tls(&trust, None, &[b"http/1.1"])?)
        } else {
            None
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(std::time::Duration::from_secs(20))
            .pool_max_idle_per_host(16)
            .build(Dialer { tls });
        Ok(Self { base: format!("{}/{}", target.gateway, target.resource), client, source })
    }

    /// Whether there is a token now: told when the proxy starts, not at the first request.
    pub(crate) async fn try_source(&self) -> Result<(), ProxyError> {
        self.source.token().await.map(drop)
    }

    /// Answers one request that came in at a listener with this guard.
    pub(crate) async fn answer(self: Arc<Self>, guard: Arc<Guard>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let target = guard.admit(&head).and_then(|()| self.target(&head));
        let target = match target {
            Ok(target) => target,
            Err(no) => {
                tracing::warn!(code = no.code(), "refused a request on this machine");
                return words(no.status(), no.code(), no.why());
            }
        };
        let token = match self.source.token().await {
            Ok(token) => token,
            Err(fault) => {
                tracing::error!(%fault, "there is no token");
                let why = format!("The proxy on this machine has no token: {fault}");
                return words(StatusCode::SERVICE_UNAVAILABLE, "no_token", &why);
            }
        };
        let Ok(mut bearer) = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())) else {
            return words(StatusCode::SERVICE_UNAVAILABLE, "no_token", "The token fits into no header.");
        };
        bearer.set_sensitive(true);
        let mut onward = Request::new(body);
        *onward.method_mut() = head.method;
        *onward.uri_mut() = target;
        *onward.headers_mut() = passed(&head.headers);
        for name in KEY_HEADERS {
            onward.headers_mut().remove(name);
        }
        // Framing is made anew from the body.
        onward.headers_mut().remove(header::CONTENT_LENGTH);
        onward.headers_mut().insert(header::AUTHORIZATION, bearer);
        match self.client.request(onward).await {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                head.headers = passed(&head.headers);
                Response::from_parts(head, Either::Left(body))
            }
            Err(fault) => {
                tracing::error!(fault = %told(&fault), "the gateway cannot be reached");
                let why = format!("The gateway cannot be reached from this machine: {}", told(&fault));
                words(StatusCode::BAD_GATEWAY, "gateway_unreachable", &why)
            }
        }
    }

    /// The same path below the resource. A path that could be read as leading out of it is refused here
    /// too: the key is for one resource.
    fn target(&self, head: &Parts) -> Result<Uri, No> {
        let path = NormalPath::parse(head.uri.path()).map_err(|_| No::Path)?;
        let query = head.uri.query().map_or(String::new(), |query| format!("?{query}"));
        format!("{}{}{query}", self.base, path.as_str()).parse().map_err(|_| No::Path)
    }
}

/// The headers that go from one hop to the next.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let listed: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let goes = |name: &HeaderName| {
        !OWN.contains(name)
            && !OWN_TOO.contains(&name.as_str())
            && !listed.iter().any(|other| other == name.as_str())
    };
    headers.iter().filter(|(name, _)| goes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A refusal in a shape that both vendors' SDKs raise their error from.
fn words(status: StatusCode, code: &'static str, why: &str) -> Answer {
    let body = json!({
        "type": "error",
        "error": { "type": "portcullis_proxy", "code": code, "message": why },
    });
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(body.to_string()))));
    *response.status_mut() = status;
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-should-retry", "false"),
        ("x-content-type-options", "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A fault with its causes.
fn told(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(fault) = cause {
        text = format!("{text}: {fault}");
        cause = fault.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> Relay {
        let target = Target {
            gateway: "http://127.0.0.1:1".to_owned(),
            resource: model::ResourceName::new("llama").unwrap(),
            ca_file: None,
        };
        Relay::new(&target, Source::File("/nonexistent".into())).unwrap()
    }

    #[tokio::test]
    async fn every_path_stays_below_the_resource() {
        let relay = relay();
        let head = |path: &str| Request::get(path).body(()).unwrap().into_parts().0;
        let to = |path: &str| relay.target(&head(path)).map(|uri| uri.to_string());
        assert_eq!(to("/v1/models").unwrap(), "http://127.0.0.1:1/llama/v1/models");
        assert_eq!(to("/v1/models?limit=2").unwrap(), "http://127.0.0.1:1/llama/v1/models?limit=2");
        for out in
            ["/../other/v1", "/v1/../../other", "/%2e%2e/other", "//other", "/v1%2f..%2fother", "/a\\..\\b"]
        {
            // What is no target at all is refused even earlier.
            let Ok(request) = Request::get(out).body(()) else { continue };
            assert_eq!(relay.target(&request.into_parts().0), Err(No::Path), "{out}");
        }
    }

    #[test]
    fn what_is_between_two_hops_stays_there() {
        let headers = HeaderMap::from_iter(
            [
                ("connection", "keep-alive, x-hop"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "chunked"),
                ("cookie", "a=b"),
                ("content-type", "application/json"),
                ("anthropic-version", "2023-06-01"),
            ]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
        );
        let passed = passed(&headers);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["anthropic-version", "content-type"]);
    }
}
