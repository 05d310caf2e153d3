//! Where the browser comes back to: a port on this machine, open for one login (RFC 8252, section 7.3).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::LoginError;

/// Connections at once: a browser opens a few.
const CONNECTIONS: usize = 16;
/// How long a browser has for the head of its request.
const HEAD: Duration = Duration::from_secs(10);
/// How long the browser has to read the page that says it may be closed.
const LAST_PAGE: Duration = Duration::from_millis(500);

/// A port that waits for one browser. It is on 127.0.0.1 alone, whatever name the browser uses.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    redirect_uri: String,
    path: String,
}

impl Loopback {
    /// Opens the port for `redirect_uri`: `http`, on 127.0.0.1 or `localhost`. Without a port in it the
    /// system chooses one, which a provider must allow (RFC 8252, section 7.3).
    ///
    /// # Errors
    /// [`LoginError`] when it names no loopback address, or the port is taken.
    pub async fn bind(redirect_uri: &str) -> Result<Self, LoginError> {
        let wrong = |why: &str| LoginError::Url { url: redirect_uri.to_owned(), why: why.to_owned() };
        let uri: Uri = redirect_uri.parse().map_err(|_| wrong("it is no URL"))?;
        let host = uri.host().filter(|host| ["127.0.0.1", "localhost"].contains(host));
        let (Some("http"), Some(host), None) = (uri.scheme_str(), host, uri.query()) else {
            return Err(wrong("a redirect URI here is `http` on 127.0.0.1 or localhost, without a query"));
        };
        let port = uri.port_u16().unwrap_or_default();
        let failed = |source| LoginError::Machine { what: "cannot open a port for the browser", source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        // As it was registered: some providers compare text.
        let path = redirect_uri.splitn(4, '/').nth(3).map_or(String::new(), |rest| format!("/{rest}"));
        let redirect_uri = format!("http://{host}:{port}{path}");
        Ok(Self { listener, redirect_uri, path: uri.path().to_owned() })
    }

    /// The redirect URI with its port.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the one request that `is_answer` says is the answer, and gives its query. Others are
    /// turned away: any page on this machine could send them.
    ///
    /// # Errors
    /// [`LoginError::Expired`] when none comes in time.
    pub async fn answer(
        self,
        is_answer: impl Fn(&str) -> bool + Send + Sync + 'static,
        within: Duration,
    ) -> Result<String, LoginError> {
        let (tell, mut told) = mpsc::channel(1);
        let page = Arc::new(Page { path: self.path.clone(), is_answer: Box::new(is_answer), tell });
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        let found = tokio::time::timeout(within, async {
            loop {
                let (stream, permit) = tokio::select! {
                    query = told.recv() => return query,
                    accepted = accept(&self.listener, &room) => accepted,
                };
                let page = Arc::clone(&page);
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let response = page.respond(&request);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD)
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service);
                    // A browser that breaks off comes again.
                    let _ = connection.await;
                    drop(permit);
                });
            }
        });
        let query = found.await.map_err(|_| LoginError::Expired)?.ok_or(LoginError::Expired)?;
        // The page that says all is well is still on its way.
        let _ =
            tokio::time::timeout(LAST_PAGE, async { while connections.join_next().await.is_some() {} }).await;
        Ok(query)
    }
}

type Accepted = (tokio::net::TcpStream, Option<tokio::sync::OwnedSemaphorePermit>);

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Accepted {
    loop {
        let permit = Arc::clone(room).acquire_owned().await.ok();
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

struct Page {
    path: String,
    is_answer: Box<dyn Fn(&str) -> bool + Send + Sync>,
    tell: mpsc::Sender<String>,
}

impl Page {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let query = request.uri().query().unwrap_or_default();
        if request.method() != http::Method::GET || request.uri().path() != self.path {
            return page(StatusCode::NOT_FOUND, "Nothing is here.");
        }
        if !(self.is_answer)(query) {
            return page(StatusCode::BAD_REQUEST, "This is no answer to the login that is running.");
        }
        // The first counts.
        let _ = self.tell.try_send(query.to_owned());
        page(StatusCode::OK, "Go back to the terminal: it says how the login ended. You may close this page.")
    }
}

fn page(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Portcullis</title><p>{words}</p></html>\n"
    );
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        // The code stands in this page's address.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(redirect_uri: &str, rest: &str) -> u16 {
        let uri: Uri = format!("{redirect_uri}{rest}").parse().unwrap();
        let fetcher = dial::Fetcher::loopback(Duration::from_secs(10));
        fetcher.get(&uri, &http::HeaderMap::new(), 4096).await.unwrap().status.as_u16()
    }

    #[tokio::test]
    async fn only_the_answer_ends_the_wait() {
        let loopback = Loopback::bind("http://127.0.0.1/callback").await.unwrap();
        let at = loopback.redirect_uri().to_owned();
        let wait =
            tokio::spawn(loopback.answer(|query| query.contains("state=mine"), Duration::from_secs(60)));
        assert_eq!(get(&at, "?code=1&state=theirs").await, 400);
        assert_eq!(get(&at, "/favicon.ico").await, 404);
        assert_eq!(get(&at, "").await, 400);
        assert!(!wait.is_finished());
        assert_eq!(get(&at, "?code=1&state=mine").await, 200);
        assert_eq!(wait.await.unwrap().unwrap(), "code=1&state=mine");
    }

    #[tokio::test]
    async fn it_opens_on_this_machine_only() {
        for bad in [
            "http://0.0.0.0/callback",
            "http://gateway.example.test/callback",
            "https://127.0.0.1/callback",
            "http://127.0.0.1/callback?x=1",
            "callback",
        ] {
            assert!(Loopback::bind(bad).await.is_err(), "{bad}");
        }
        let bare = Loopback::bind("http://localhost").await.unwrap();
        assert!(bare.redirect_uri().starts_with("http://localhost:"), "{}", bare.redirect_uri());
        assert!(bare.listener.local_addr().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn nobody_comes() {
        let loopback = Loopback::bind("http://127.0.0.1/callback").await.unwrap();
        let waited = loopback.answer(|_| true, Duration::from_millis(10)).await;
        assert!(matches!(waited, Err(LoginError::Expired)));
    }
}
