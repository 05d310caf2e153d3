//! Replacing a credential: what is new has to be taken by every upstream before the old one is let go.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use credential::{NotRotated, Shown};
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use crate::ForwardError;
use crate::line::Outgoing;
use crate::pool::Unanswered;
use crate::target::Target;
use crate::upstreams::{Upstream, Upstreams};

/// A credential that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The path that showed it.
    pub probe: String,
    /// Every upstream that took the new one, by its URL, with the status it answered.
    pub proved: Vec<(String, StatusCode)>,
}

/// What an upstream says to a probe.
enum Told {
    Status(StatusCode),
    /// It ended the connection, as servers do that miss a client certificate.
    Nothing(ForwardError),
}

impl Upstreams {
    /// Runs the configured command, reads the secret anew, and shows it to each upstream: only when all take
    /// it, it is used. Until then, and when it fails, requests go out with the old one.
    ///
    /// # Errors
    /// [`NotRotated`] says why not. It names hosts, so it is for operators.
    pub async fn rotate(&self) -> Result<Rotated, NotRotated> {
        let keeper = self.keeper().ok_or(NotRotated::NoCredential)?;
        let probe = self.probe().ok_or(NotRotated::NoCommand)?;
        // A path that answers everybody proves nothing, and it is better to know before there is a new one.
        for upstream in self.all() {
            let url = upstream.shown();
            match self.told(upstream, probe, None).await? {
                Told::Status(status) if is_refusal(status) => {}
                Told::Status(status) => {
                    return Err(NotRotated::Unproved(format!(
                        "`{probe}` of {url} answers {status} without any credential, so it could not prove that a new one \
                         works; name a path that needs one in `credential.rotate.probe`. Nothing was replaced"
                    )));
                }
                Told::Nothing(ForwardError::Lost(_)) => {}
                Told::Nothing(error) => {
                    return Err(NotRotated::Unproved(format!(
                        "{url} cannot be asked, so it could not prove that a new secret works: {error}. Nothing was replaced"
                    )));
                }
            }
        }
        let turning = keeper.rotate().await?;
        let mut proved = Vec::new();
        for upstream in self.all() {
            let url = upstream.shown();
            match self.told(upstream, probe, Some(turning.shown())).await? {
                Told::Status(status) if !is_refusal(status) && !status.is_server_error() => {
                    proved.push((url, status));
                }
                Told::Status(status) => {
                    return Err(NotRotated::Unproved(format!(
                        "{url} answers {status} to the new secret; the old one is used on"
                    )));
                }
                Told::Nothing(error) => {
                    return Err(NotRotated::Unproved(format!(
                        "{url} does not answer to the new secret: {error}; the old one is used on"
                    )));
                }
            }
        }
        turning.settle();
        Ok(Rotated { probe: probe.to_owned(), proved })
    }

    /// Asks one upstream for the probe's path.
    async fn told(
        &self,
        upstream: &Upstream,
        probe: &str,
        shown: Option<&Arc<Shown>>,
    ) -> Result<Told, NotRotated> {
        let unfit =
            |error: ForwardError| NotRotated::Unproved(format!("`{probe}` cannot be asked for: {error}"));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let shown = shown.map(Arc::as_ref);
        let Target { target, url } = upstream.target(probe, shown).map_err(unfit)?;
        crate::headers::show(&mut headers, shown);
        let outgoing = Outgoing { method: Method::GET, target, url, headers, body: Bytes::new() };
        let pool = upstream.pools().of(shown).map_err(unfit)?;
        let sent = pin!(pool.send(&outgoing));
        Ok(match sent.await {
            Ok((response, _line)) => Told::Status(response.status()),
            Err(Unanswered::Sent(error) | Unanswered::NotSent(error)) => Told::Nothing(error),
        })
    }
}

/// Whether it says that the credential is not good, or is none.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    )
}
