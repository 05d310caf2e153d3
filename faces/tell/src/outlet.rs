//! A receiver: where a notice goes, and what became of it there.

use std::time::Duration;

use config::TellEvent;
use dial::Fetched;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use store::Store;

use crate::line::LONGEST_WAIT;
use crate::notice::Notice;
use crate::slack::Slack;
use crate::webhook::Webhook;

/// What became of a notice that was sent.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The receiver has it. What must be remembered with that, if anything.
    Taken(Option<store::Write>),
    /// Not now.
    Later {
        /// Why, for the log. Holds no secret.
        why: String,
        /// How long the receiver asks to be left alone.
        quiet: Option<Duration>,
    },
    /// The receiver will never take it, and said so.
    Never(String),
}

impl Sent {
    pub(crate) fn later(why: impl ToString) -> Self {
        Self::Later { why: why.to_string(), quiet: None }
    }
}

/// Somebody who is told.
pub(crate) enum Outlet {
    /// A program.
    Webhook(Webhook),
    /// A Slack channel.
    Slack(Slack),
}

impl Outlet {
    /// What it is called in the spool, in logs and metrics.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.name,
            Self::Slack(_) => Slack::NAME,
        }
    }

    /// Whether it is told of `event`.
    pub(crate) fn wants(&self, event: TellEvent) -> bool {
        match self {
            Self::Webhook(webhook) => webhook.events.contains(&event),
            Self::Slack(_) => true,
        }
    }

    /// How many notices it is sent at once.
    pub(crate) fn abreast(&self) -> usize {
        match self {
            Self::Webhook(_) => 4,
            // A channel takes about one message a second; two at once gain nothing.
            Self::Slack(_) => 1,
        }
    }

    /// Sends `notice`. Waits no longer than the receiver's own time limit.
    pub(crate) async fn send(&self, notice: &Notice, now: Timestamp, store: &dyn Store) -> Sent {
        match self {
            Self::Webhook(webhook) => webhook.send(notice, now).await,
            Self::Slack(slack) => Box::pin(slack.send(notice, store)).await,
        }
    }
}

/// How long the receiver asks to be left alone (RFC 9110, section 10.2.3), in seconds alone: the clock of
/// a date is its own. At most an hour is granted.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Whether an answer asks for less, and for how long.
pub(crate) fn quiet(answer: &Fetched) -> Option<Duration> {
    matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        .then(|| retry_after(&answer.headers))
        .flatten()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_receiver_is_left_alone_for_an_hour_at_most() {
        let headers = |value| HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))]);
        assert_eq!(retry_after(&headers(" 30 ")), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(&headers("99999999999")), Some(LONGEST_WAIT));
        for odd in ["", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999999"] {
            assert_eq!(retry_after(&headers(odd)), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
