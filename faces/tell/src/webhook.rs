//! A program that is told by signed webhooks.

use std::collections::BTreeSet;

use config::{SecretRef, TellEvent};
use dial::Fetcher;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use jiff::Timestamp;

use crate::TellError;
use crate::notice::Notice;
use crate::outlet::{Sent, quiet};
use crate::sign::{ID, Key, SIGNATURE, TIMESTAMP, signatures};

/// The most bytes of an answer that are read; they are read to nobody.
const ANSWER: usize = 64 << 10;

/// A program that is told.
pub(crate) struct Webhook {
    pub(crate) name: String,
    pub(crate) events: BTreeSet<TellEvent>,
    url: Uri,
    secrets: Vec<SecretRef>,
    fetcher: Fetcher,
    origin: Option<String>,
}

impl Webhook {
    /// The program that `settings` name. `origin` is where people find pages.
    pub(crate) fn new(settings: &config::Webhook, origin: Option<String>) -> Result<Self, TellError> {
        let plain = settings.url.scheme_str() == Some("http");
        Ok(Self {
            name: format!("webhook:{}", settings.name),
            events: settings.events.clone(),
            url: settings.url.clone(),
            secrets: settings.secrets.clone(),
            fetcher: Fetcher::choose(plain, settings.ca_file.as_deref(), settings.timeout)?,
            origin,
        })
    }

    /// The secrets are read at each sending: a file may have been replaced. All of them must be there, or
    /// a receiver that knows one alone could not verify.
    fn keys(&self) -> Result<Vec<Key>, TellError> {
        self.secrets.iter().map(|secret| Key::of(&secret.read()?)).collect()
    }

    fn headers(&self, notice: &Notice, now: Timestamp, body: &[u8]) -> Result<HeaderMap, TellError> {
        let seconds = now.as_second();
        let signed = signatures(&self.keys()?, &notice.id, seconds, body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        // Base64, blanks and letters: a header can always carry them.
        for (name, value) in [(ID, &notice.id), (SIGNATURE, &signed)] {
            headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
        }
        Ok(headers)
    }

    pub(crate) async fn send(&self, notice: &Notice, now: Timestamp) -> Sent {
        let body = notice.body(self.origin.as_deref());
        let headers = match self.headers(notice, now, &body) {
            Ok(headers) => headers,
            Err(fault) => return Sent::later(fault),
        };
        match self.fetcher.post(&self.url, &headers, body, ANSWER).await {
            Ok(answer) if answer.status.is_success() => Sent::Taken(None),
            Ok(answer) if answer.status == StatusCode::GONE => {
                Sent::Never("it answers 410 Gone: it wants no more".to_owned())
            }
            Ok(answer) => Sent::Later { why: format!("it answers {}", answer.status), quiet: quiet(&answer) },
            Err(fault) => Sent::later(fault),
        }
    }
}
