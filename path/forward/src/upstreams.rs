//! The servers behind one resource, and the choice among them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use approve::Cleared;
use config::{Credential, Resource, Timeouts};
use dial::Trust;
use http::header::HeaderValue;
use http::uri::{PathAndQuery, Scheme};
use http::{Response, Uri};
use hyper::body::Incoming;
use model::{Clock, ExchangeId, Question, ResourceName};
use rustls::ClientConfig;
use tokio::time::sleep;
use tunnel::{Agents, Delegated};

use crate::answer::{Answer, Deadline};
use crate::beyond::{self, Beyond, Carrier};
use crate::echo::Echo;
use crate::headers::outgoing;
use crate::health::{Health, UpstreamHealth};
use crate::line::Outgoing;
use crate::pool::{Pool, Unanswered};
use crate::{ForwardError, credential};

/// The servers behind one resource.
#[derive(Debug)]
pub struct Upstreams {
    resource: ResourceName,
    all: Vec<Arc<Upstream>>,
    credential: Option<Credential>,
    timeouts: Timeouts,
    clock: ClockHandle,
    /// Where the search for the least busy begins, so that equals take turns.
    turn: AtomicUsize,
}

/// A clock that can stand in a `Debug` struct.
struct ClockHandle(Arc<dyn Clock>);

impl std::fmt::Debug for ClockHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// One server.
#[derive(Debug)]
struct Upstream {
    /// As operators know it.
    shown: String,
    url: Uri,
    /// The base URL's path without its last slash.
    base: String,
    way: Way,
    health: Health,
}

/// How a server is reached.
#[derive(Debug)]
enum Way {
    /// By connections of this process.
    Direct(Box<Pool>),
    /// Through an agent.
    Beyond(Beyond),
}

impl Way {
    async fn send(
        &self,
        exchange: ExchangeId,
        outgoing: &Outgoing,
    ) -> Result<(Response<Incoming>, Carrier), Unanswered> {
        match self {
            Self::Direct(pool) => {
                pool.send(outgoing).await.map(|(response, line)| (response, Carrier::Line(line)))
            }
            Self::Beyond(beyond) => beyond.send(exchange, outgoing).await,
        }
    }
}

/// A request under way at an upstream. Dropped, it is no longer.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    tries: bool,
}

/// A request that was answered.
struct Asked {
    response: Response<Incoming>,
    line: Carrier,
    busy: Busy,
    /// Looks for the credential that went with it.
    echo: Option<Echo>,
}

impl Busy {
    fn begin(upstream: &Arc<Upstream>) -> Self {
        upstream.health.in_flight().fetch_add(1, Ordering::Relaxed);
        Self { upstream: Arc::clone(upstream), tries: upstream.health.chosen() }
    }

    /// Keeps a line whose answer was read whole.
    pub(crate) fn give_back(self, line: Carrier) {
        if let (Way::Direct(pool), Carrier::Line(line)) = (&self.upstream.way, line) {
            pool.give_back(line);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.upstream.health.in_flight().fetch_sub(1, Ordering::Relaxed);
        if self.tries {
            self.upstream.health.tried();
        }
    }
}

impl Upstreams {
    /// Makes ready to reach a resource's upstreams: reads the certificates it trusts and shows. Connects
    /// to none of them yet.
    ///
    /// # Errors
    /// [`ForwardError`] when a URL can't be dialled or a certificate can't be used.
    pub fn build(resource: &Resource, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ForwardError> {
        let secure = resource.upstreams.iter().any(|url| url.scheme() == Some(&Scheme::HTTPS));
        let tls = if secure { Some(tls(resource)?) } else { None };
        let all = resource
            .upstreams
            .iter()
            .map(|url| Upstream::new(url, tls.clone(), &resource.timeouts, Arc::clone(&clock)).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            return Err(ForwardError::NoUpstream);
        }
        Ok(Self::of(resource, all, resource.credential.clone(), clock))
    }

    /// Makes ready to reach a resource through agents, as its configuration says. The credential is
    /// theirs, whatever the configuration holds.
    pub fn beyond(resource: &Resource, agents: &Arc<Agents>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let names = resource.agent.as_deref().unwrap_or_default();
        let upstream = Upstream::beyond(Beyond::new(Arc::clone(agents), resource, names));
        Self::of(resource, vec![Arc::new(upstream)], None, clock)
    }

    fn of(
        resource: &Resource,
        all: Vec<Arc<Upstream>>,
        credential: Option<Credential>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            resource: resource.name.clone(),
            all,
            credential,
            timeouts: resource.timeouts.clone(),
            clock: ClockHandle(clock),
            turn: AtomicUsize::new(0),
        })
    }

    /// Sends a cleared request to the least busy upstream and waits for the head of its answer. Another
    /// upstream is asked only when nothing was sent. Dropping the future takes the request back.
    ///
    /// # Errors
    /// [`ForwardError`]; [`ForwardError::outcome`] tells whether anything was sent.
    pub async fn send(&self, cleared: Cleared, question: &Question) -> Result<Answer, ForwardError> {
        self.send_cleared(cleared.exchange(), question).await
    }

    /// The same in an agent's process: what was cleared at the gateway came out of its tunnel. The
    /// question is what the gateway sent.
    ///
    /// # Errors
    /// [`ForwardError`], and [`ForwardError::Mismatch`] when the request is for another exchange.
    pub async fn send_delegated(
        &self,
        delegated: &Delegated,
        question: &Question,
    ) -> Result<Answer, ForwardError> {
        if *delegated.resource() != self.resource {
            return Err(ForwardError::NoUpstream);
        }
        self.send_cleared(delegated.exchange(), question).await
    }

    pub(crate) async fn send_cleared(
        &self,
        cleared: ExchangeId,
        question: &Question,
    ) -> Result<Answer, ForwardError> {
        let asked = question.exchange();
        if cleared != asked {
            return Err(ForwardError::Mismatch { cleared, asked });
        }
        let mut end = Box::pin(sleep(self.timeouts.exchange));
        let began = self.clock.0.elapsed();
        let answered = tokio::select! {
            biased;
            answered = self.answered(question) => answered,
            () = end.as_mut() => Err(ForwardError::ExchangeTimeout(self.timeouts.exchange)),
        };
        let outcome = if answered.is_ok() { "answered" } else { "failed" };
        let resource = self.resource.to_string();
        metrics::counter!("portcullis_upstream_requests_total", "resource" => resource, "outcome" => outcome)
            .increment(1);
        let Asked { response, line, busy, echo } = answered?;
        let took = self.clock.0.elapsed().saturating_sub(began);
        metrics::histogram!("portcullis_upstream_first_byte_seconds").record(took.as_secs_f64());
        let deadline = Deadline { idle: self.timeouts.idle, exchange: self.timeouts.exchange, end };
        Answer::begin(asked, response, line, busy, deadline, echo)
    }

    /// How each upstream does.
    pub fn health(&self) -> Vec<UpstreamHealth> {
        let now = self.clock.0.elapsed();
        self.all.iter().map(|upstream| upstream.report(now)).collect()
    }

    /// Asks one upstream after another until one takes the request.
    async fn answered(&self, question: &Question) -> Result<Asked, ForwardError> {
        let credential = match &self.credential {
            Some(credential) => Some((&credential.header, credential::read(credential).await?)),
            None => None,
        };
        let mut echo = credential.as_ref().and_then(|(_, value)| Echo::of(value));
        let headers = outgoing(question, credential);
        let mut tried = Vec::new();
        let mut last = ForwardError::NoUpstream;
        while let Some((place, upstream)) = self.choose(&tried) {
            let busy = Busy::begin(upstream);
            let (target, url) = upstream.target(question)?;
            let outgoing = Outgoing {
                method: question.method().clone(),
                target,
                url,
                headers: headers.clone(),
                body: question.body().clone(),
            };
            let sent = pin!(upstream.way.send(question.exchange(), &outgoing));
            match sent.await {
                Ok((response, line)) => {
                    upstream.health.reached();
                    return Ok(Asked { response, line, busy, echo: echo.take() });
                }
                Err(Unanswered::Sent(error)) => {
                    upstream.health.reached();
                    return Err(error);
                }
                Err(Unanswered::NotSent(error)) => {
                    self.unreached(upstream, &error);
                    tried.push(place);
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Whether an upstream keeps a line that is not closed.
    #[cfg(test)]
    pub(crate) fn keeps_open(&self) -> bool {
        self.all.iter().any(|upstream| matches!(&upstream.way, Way::Direct(pool) if pool.keeps_open()))
    }

    fn unreached(&self, upstream: &Upstream, error: &ForwardError) {
        metrics::counter!("portcullis_upstream_connect_failures_total").increment(1);
        if upstream.health.failed(self.clock.0.elapsed(), &error.to_string()) {
            tracing::warn!(resource = %self.resource, upstream = %upstream.shown, %error,
                "the upstream is out until it can be reached again");
        }
    }

    /// The least busy of those not tried yet. When all are out, the one that rests the shortest: a
    /// request is never refused without a try.
    fn choose(&self, tried: &[usize]) -> Option<(usize, &Arc<Upstream>)> {
        let now = self.clock.0.elapsed();
        let count = self.all.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        (0..count)
            .map(|offset| (turn + offset) % count)
            .filter(|place| !tried.contains(place))
            .filter_map(|place| self.all.get(place).map(|upstream| (place, upstream)))
            .min_by_key(|(_, upstream)| upstream.health.standing(now))
    }
}

impl Upstream {
    fn new(
        url: &Uri,
        tls: Option<Arc<ClientConfig>>,
        timeouts: &Timeouts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ForwardError> {
        let refuse = |why| ForwardError::Url { url: url.clone(), why };
        let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else {
            return Err(refuse("it is not a whole URL"));
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(refuse("its scheme is neither `https` nor `http`"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("it holds a user name; use `credential`"));
        }
        if url.query().is_some() {
            return Err(refuse("it has a query"));
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| refuse("its host is no text"))?;
        let pool = Pool::new(url.clone(), host, tls, timeouts.clone(), clock);
        Ok(Self {
            shown: url.to_string(),
            url: url.clone(),
            base: url.path().trim_end_matches('/').to_owned(),
            way: Way::Direct(Box::new(pool)),
            health: Health::default(),
        })
    }

    fn beyond(beyond: Beyond) -> Self {
        Self {
            shown: beyond.shown(),
            url: beyond::base(),
            base: String::new(),
            way: Way::Beyond(beyond),
            health: Health::default(),
        }
    }

    /// How it does. One that agents reach is usable while one of them is connected.
    fn report(&self, now: Duration) -> UpstreamHealth {
        let report = self.health.report(self.shown.clone(), now);
        match &self.way {
            Way::Direct(_) => report,
            Way::Beyond(beyond) => UpstreamHealth { usable: beyond.is_there(), ..report },
        }
    }

    /// The judged path and query below the base URL's path, and the whole URL with them. What can't be
    /// written exactly as it was judged is not sent: a `#` would silently end the path.
    fn target(&self, question: &Question) -> Result<(PathAndQuery, Uri), ForwardError> {
        let judged = question.target();
        let wanted = format!("{}{judged}", self.base);
        let target: PathAndQuery = wanted.parse().map_err(|_| ForwardError::Target)?;
        if !judged.starts_with('/') || target.as_str() != wanted {
            return Err(ForwardError::Target);
        }
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query = Some(target.clone());
        let url = Uri::from_parts(parts).map_err(|_| ForwardError::Target)?;
        Ok((target, url))
    }
}

fn tls(resource: &Resource) -> Result<Arc<ClientConfig>, ForwardError> {
    let settings = &resource.upstream_tls;
    let trust = Trust::of(settings.ca_file.as_deref());
    let identity = settings.client_certificate.as_deref().zip(settings.client_key.as_deref());
    Ok(dial::client_tls(&trust, identity, &[b"h2", b"http/1.1"])?)
}
