//! A look from somewhere else: whether this machine reaches what only the gateway should.

use std::time::Duration;

use dial::Trust;
use http::Uri;
use http::uri::Scheme;

use crate::doctor::finding::Finding;
use crate::doctor::upstreams::shut;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries to reach a server. Anything that opens is too much, whatever it would answer.
pub(crate) async fn reach(url: &Uri) -> Finding {
    let tls = (url.scheme() == Some(&Scheme::HTTPS))
        .then(|| dial::client_tls(&Trust::of(None), None, &[b"http/1.1"]));
    let tls = match tls.transpose() {
        Ok(tls) => tls,
        Err(fault) => return Finding::bad("bypass", url, fault),
    };
    match dial::connect(url, tls.as_ref(), PATIENCE).await {
        Ok(_) => {
            let what = "this machine reaches it, and so need not go through Portcullis";
            Finding::bad("bypass", url, what).advice(shut(&url.to_string()))
        }
        Err(dial::DialError::Tls { .. }) => {
            let what = "this machine reaches it: a connection opened, though TLS did not agree";
            Finding::bad("bypass", url, what).advice(shut(&url.to_string()))
        }
        Err(fault) => Finding::good("bypass", url, format!("this machine does not reach it: {fault}")),
    }
}
