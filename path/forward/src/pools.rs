//! The connections to one upstream, apart by the client certificate they were opened with: a connection
//! opened under one that was replaced would go on speaking for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use credential::{Shown, Way};
use dial::Trust;
use http::{HeaderValue, Uri};
use model::Clock;
use rustls::ClientConfig;

use crate::ForwardError;
use crate::pool::Pool;

/// How many are kept besides the newest: a credential that is being replaced is used beside its successor.
const MOST_BEFORE: usize = 1;
/// What ALPN offers.
pub(crate) const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What a pool is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) url: Uri,
    pub(crate) host: HeaderValue,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) trust: Trust,
    pub(crate) timeouts: config::Timeouts,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The pools of one upstream.
pub(crate) struct Pools {
    parts: Parts,
    /// For requests that show no certificate of a credential.
    plain: Arc<Pool>,
    /// By the credential's mark, the newest last.
    certified: Mutex<VecDeque<(u64, Arc<Pool>)>>,
}

impl std::fmt::Debug for Pools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plain.fmt(f)
    }
}

impl Pools {
    pub(crate) fn new(parts: Parts) -> Self {
        let plain = Arc::new(Pool::new(parts.clone()));
        Self { parts, plain, certified: Mutex::default() }
    }

    /// The one for requests with this credential.
    ///
    /// # Errors
    /// [`ForwardError::Tls`] when its certificate and key don't belong together.
    pub(crate) fn of(&self, shown: Option<&Shown>) -> Result<Arc<Pool>, ForwardError> {
        let Some((Way::Certificate(identity), mark)) = shown.map(|shown| (shown.way(), shown.mark())) else {
            return Ok(Arc::clone(&self.plain));
        };
        let mut certified = self.certified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = certified.iter().find(|(known, _)| *known == mark) {
            return Ok(Arc::clone(pool));
        }
        let tls = dial::client_tls_as(&self.parts.trust, identity, PROTOCOLS)?;
        let pool = Arc::new(Pool::new(Parts { tls: Some(tls), ..self.parts.clone() }));
        certified.push_back((mark, Arc::clone(&pool)));
        while certified.len() > MOST_BEFORE + 1 {
            certified.pop_front();
        }
        Ok(pool)
    }

    /// Whether a line is kept that its upstream has not closed.
    #[cfg(test)]
    pub(crate) fn keeps_open(&self) -> bool {
        self.plain.keeps_open()
    }
}
