//! Replacing a credential: what is new has to be taken by every upstream before the old one is let go. Where an
//! agent holds it, the agent does so, and says what came of it.

use std::pin::pin;
use std::sync::Arc;

use approve::Cleared;
use bytes::Bytes;
use credential::{Keeper, NotRotated, Shown};
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tunnel::Delegated;

use crate::ForwardError;
use crate::line::Outgoing;
use crate::pool::Unanswered;
use crate::pools::Pools;
use crate::target::Target;
use crate::upstreams::{Upstream, Upstreams, Way};

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
    /// it, it is used. Until then, and when it fails, requests go out with the old one. Of several agents one
    /// does it.
    ///
    /// # Errors
    /// [`NotRotated`] says why not. It names hosts, so it is for operators.
    pub async fn rotate(&self, cleared: &Cleared) -> Result<Rotated, NotRotated> {
        for upstream in self.all() {
            if let Way::Beyond(beyond) = upstream.way() {
                return beyond.rotate(cleared.exchange()).await;
            }
        }
        self.rotate_here().await
    }

    /// The same in an agent's process.
    ///
    /// # Errors
    /// As [`Upstreams::rotate`], and when the order is for another resource.
    pub async fn rotate_delegated(&self, delegated: &Delegated) -> Result<Rotated, NotRotated> {
        if !self.is_of(delegated.resource()) {
            return Err(NotRotated::NoCredential);
        }
        self.rotate_here().await
    }

    pub(crate) async fn rotate_here(&self) -> Result<Rotated, NotRotated> {
        let keeper = self.keeper().ok_or(NotRotated::NoCredential)?;
        let probe = self.probe().ok_or(NotRotated::NoCommand)?;
        self.tells(probe).await?;
        let proved = Box::pin(self.proved(keeper, probe)).await?;
        Ok(Rotated { probe: probe.to_owned(), proved })
    }

    /// Whether the probe can prove anything: a path that answers everybody can't, and it is better to know before
    /// there is a new secret.
    async fn tells(&self, probe: &str) -> Result<(), NotRotated> {
        for upstream in self.all() {
            let url = upstream.shown();
            let why = match told(upstream, probe, None).await? {
                Told::Status(status) if is_refusal(status) => continue,
                Told::Nothing(ForwardError::Lost(_)) => continue,
                Told::Status(status) => format!(
                    "`{probe}` of {url} answers {status} without any credential, so it could not prove that a new one \
                     works; name a path that needs one in `credential.rotate.probe`"
                ),
                Told::Nothing(error) => {
                    format!("{url} cannot be asked, so it could not prove that a new secret works: {error}")
                }
            };
            return Err(NotRotated::Unproved(format!("{why}. Nothing was begun")));
        }
        Ok(())
    }

    async fn proved(&self, keeper: &Keeper, probe: &str) -> Result<Vec<(String, StatusCode)>, NotRotated> {
        let turning = keeper.rotate().await?;
        let mut proved = Vec::new();
        for upstream in self.all() {
            let url = upstream.shown();
            let why = match told(upstream, probe, Some(turning.shown())).await? {
                Told::Status(status) if !is_refusal(status) && !status.is_server_error() => {
                    proved.push((url.to_owned(), status));
                    continue;
                }
                Told::Status(status) => format!("{url} answers {status} to the new secret"),
                Told::Nothing(error) => format!("{url} does not answer to the new secret: {error}"),
            };
            return Err(NotRotated::Unproved(format!("{why}; the old one is used on")));
        }
        turning.settle();
        Ok(proved)
    }
}

/// Asks one upstream for the probe's path.
async fn told(upstream: &Upstream, probe: &str, shown: Option<&Arc<Shown>>) -> Result<Told, NotRotated> {
    let unfit = |error: ForwardError| NotRotated::Unproved(format!("`{probe}` cannot be asked for: {error}"));
    let Way::Direct(pools) = upstream.way() else { return Err(NotRotated::NoCredential) };
    let pools: &Pools = pools;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let shown = shown.map(Arc::as_ref);
    let Target { target, url } = upstream.target(probe, shown).map_err(unfit)?;
    crate::headers::show(&mut headers, shown);
    let outgoing = Outgoing { method: Method::GET, target, url, headers, body: Bytes::new() };
    let pool = pools.of(shown).map_err(unfit)?;
    let sent = pin!(pool.send(&outgoing));
    Ok(match sent.await {
        Ok((response, _line)) => Told::Status(response.status()),
        Err(Unanswered::Sent(error) | Unanswered::NotSent(error) | Unanswered::Unready(error)) => {
            Told::Nothing(error)
        }
    })
}

/// Whether it says that the credential is not good, or is none.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    )
}

/// What an agent answers its gateway.
pub fn rotation_told(rotated: &Result<Rotated, NotRotated>) -> Bytes {
    let told = match rotated {
        Ok(Rotated { probe, proved }) => {
            let proved: Vec<Value> =
                proved.iter().map(|(url, status)| json!({ "url": url, "status": status.as_u16() })).collect();
            json!({ "probe": probe, "proved": proved })
        }
        Err(why) => json!({ "why": why.to_string() }),
    };
    Bytes::from(told.to_string())
}

/// What a gateway hears of it. None: it is no such answer.
pub(crate) fn rotation_heard(bytes: &[u8]) -> Option<Result<Rotated, String>> {
    let told: Value = serde_json::from_slice(bytes).ok()?;
    if let Some(why) = told.get("why") {
        return Some(Err(why.as_str()?.to_owned()));
    }
    let probe = told.get("probe")?.as_str()?.to_owned();
    let one = |one: &Value| {
        let status = u16::try_from(one.get("status")?.as_u64()?).ok()?;
        Some((one.get("url")?.as_str()?.to_owned(), StatusCode::from_u16(status).ok()?))
    };
    let proved = told.get("proved")?.as_array()?.iter().map(one).collect::<Option<Vec<_>>>()?;
    Some(Ok(Rotated { probe, proved }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_an_agent_tells_is_heard() {
        let proved =
            vec![("http://a/".to_owned(), StatusCode::OK), ("http://b/".to_owned(), StatusCode::NOT_FOUND)];
        let rotated = Rotated { probe: "/v1/models".to_owned(), proved };
        assert_eq!(rotation_heard(&rotation_told(&Ok(rotated.clone()))), Some(Ok(rotated)));
        let why = NotRotated::Same.to_string();
        assert_eq!(rotation_heard(&rotation_told(&Err(NotRotated::Same))), Some(Err(why)));
    }

    proptest! {
        #[test]
        fn anything_else_is_no_answer(text in ".{0,100}") {
            prop_assert_eq!(rotation_heard(text.as_bytes()), None);
        }
    }
}
