//! A Slack channel that is told: one message an approval, changed when it is decided.
//!
//! The message links to the approval's page and asks for nothing: a click in a chat carries no token, so
//! nobody can consent by it, and no request of Slack's ever comes in here.

mod blocks;

use bytes::Bytes;
use config::{SecretRef, TellEvent};
use dial::{Fetched, Fetcher};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use store::{Store, Until, Write};

use crate::TellError;
use crate::notice::Notice;
use crate::outlet::{Sent, quiet};
use blocks::message;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const ANSWER: usize = 256 << 10;
/// How long it is remembered which message is an approval's.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// What Slack says of a message that is not there any more, or that nobody may change now.
const MESSAGE_LOST: &[&str] = &["message_not_found", "cant_update_message", "edit_window_closed"];
/// What Slack says of a message that no repetition mends.
const UNFIT: &[&str] =
    &["invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text"];

/// Which message is an approval's.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Posted {
    channel: String,
    ts: String,
}

/// The channel.
pub(crate) struct Slack {
    channel: String,
    token: SecretRef,
    post: Uri,
    update: Uri,
    fetcher: Fetcher,
    origin: Option<String>,
}

impl Slack {
    /// What it is called in the spool, in logs and metrics.
    pub(crate) const NAME: &'static str = "slack";

    /// The channel that `settings` name. `origin` is where people find pages.
    pub(crate) fn new(settings: &config::Slack, origin: Option<String>) -> Result<Self, TellError> {
        let method = |name: &str| {
            let url = format!("{}/{name}", settings.api);
            url.parse::<Uri>()
                .map_err(|_| dial::DialError::Url { url, why: "it is no URL of a method of Slack's" })
        };
        let plain = settings.api.starts_with("http://");
        Ok(Self {
            channel: settings.channel.clone(),
            token: settings.token.clone(),
            post: method("chat.postMessage")?,
            update: method("chat.update")?,
            fetcher: Fetcher::choose(plain, settings.ca_file.as_deref(), PATIENCE)?,
            origin,
        })
    }

    pub(crate) async fn send(&self, notice: &Notice, store: &dyn Store) -> Sent {
        let key = format!("tell/slack/{}", notice.matter.approval);
        let posted = match store.get(&key).await.map(|entry| entry.map(|entry| entry.read::<Posted>())) {
            // What cannot be read is of another version: a second message does less harm than none.
            Ok(posted) => posted.and_then(Result::ok).filter(|posted| posted.channel == self.channel),
            Err(fault) => return Sent::later(fault),
        };
        let message = message(&notice.matter, notice.event, self.origin.as_deref());
        let outcome = match &posted {
            // It stands there already: the sending before this one was not noted.
            Some(_) if notice.event == TellEvent::Requested => return Sent::Taken(None),
            Some(posted) => self.call(&self.update, message, Some(&posted.ts)).await,
            None => self.call(&self.post, message, None).await,
        };
        let answer = match outcome {
            Ok(answer) => answer,
            Err(fault) => return Sent::later(fault),
        };
        self.understand(&answer, &key, posted.is_some())
    }

    async fn call(&self, method: &Uri, mut message: Value, ts: Option<&str>) -> Result<Fetched, TellError> {
        if let Some(message) = message.as_object_mut() {
            message.insert("channel".to_owned(), self.channel.as_str().into());
            if let Some(ts) = ts {
                message.insert("ts".to_owned(), ts.into());
            }
        }
        let token = self.token.read()?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| TellError::NotAToken)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        Ok(self.fetcher.post(method, &headers, Bytes::from(message.to_string()), ANSWER).await?)
    }

    /// Slack answers 200 with `ok`, or with `error`; 429 when it wants less.
    fn understand(&self, answer: &Fetched, key: &str, updated: bool) -> Sent {
        if let Some(quiet) = quiet(answer) {
            let why = format!("Slack asks for {} s of quiet", quiet.as_secs());
            return Sent::Later { why, quiet: Some(quiet) };
        }
        let said: Value = match serde_json::from_slice(&answer.body) {
            Ok(said) if answer.status.is_success() => said,
            _ => return Sent::later(format!("Slack answers {}", answer.status)),
        };
        if said.get("ok") == Some(&Value::Bool(true)) {
            let Some(ts) = said.get("ts").and_then(Value::as_str).filter(|_| !updated) else {
                return Sent::Taken(None);
            };
            let posted = Posted { channel: self.channel.clone(), ts: ts.to_owned() };
            return Sent::Taken(Write::put(key, &posted).ok().map(|write| write.lasting(Until::After(KEPT))));
        }
        // Slack's words for errors are short; what else stands there is not repeated.
        let error: String = said.get("error").and_then(Value::as_str).unwrap_or("no reason").into();
        let error: String = error
            .chars()
            .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
            .take(60)
            .collect();
        match error.as_str() {
            lost if updated && MESSAGE_LOST.contains(&lost) => {
                // How it ended is in the ledger; nobody looks for it in a message that was taken away.
                Sent::Never(format!("Slack cannot change the message any more: `{lost}`"))
            }
            unfit if UNFIT.contains(&unfit) => {
                Sent::Never(format!("Slack does not take the message: `{unfit}`"))
            }
            // Also a token or a channel that does not fit: whoever reads the log can mend it.
            other => Sent::later(format!("Slack answers `{other}`")),
        }
    }
}
