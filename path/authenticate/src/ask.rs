//! Questions about one token that only its issuer can answer: introspection (RFC 7662) and userinfo
//! (OpenID Connect Core 1.0, section 5.3).
//!
//! However many requests carry a token, one question about it runs at a time; what was refused is
//! remembered for a moment; at most [`ASKING`] questions are open at once. While the issuer is away
//! questions pause, and nobody is let in by them.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dial::{DialError, Fetched};
use http::StatusCode;
use lru::LruCache;
use model::Clock;
use serde_json::{Map, Value};
use tokio::sync::{OnceCell, Semaphore};

use crate::digest::Digest;
use crate::{AuthenticateError, Check, strict};

/// How many questions may be open at once, to one issuer.
const ASKING: usize = 32;
/// How long a question may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a refusal is remembered.
pub(crate) const REFUSED_KEPT: Duration = Duration::from_secs(5);
/// How many refusals are remembered.
const REFUSALS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
/// After so many failures in a row questions pause,
const FAILURES: u32 = 3;
/// at the longest for this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 256 << 10;

/// What an issuer answered about a token.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// These claims.
    Claims(Arc<Map<String, Value>>),
    /// That the token is not good.
    No(String),
    /// Nothing that can be used.
    Nothing(String),
}

/// What is asked: two questions about one token are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    Introspection,
    Userinfo,
}

impl Question {
    fn check(self) -> Check {
        match self {
            Self::Introspection => Check::Introspection,
            Self::Userinfo => Check::Userinfo,
        }
    }
}

/// A question about the token of this digest.
type About = (Question, Digest);

/// One issuer's questions.
pub(crate) struct Asker {
    issuer: String,
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<About, Arc<OnceCell<Said>>>>,
    refused: Mutex<LruCache<About, (Duration, String)>>,
    room: Semaphore,
    away: Mutex<Away>,
}

/// How the issuer answered of late.
#[derive(Default)]
struct Away {
    failures: u32,
    last: Duration,
    why: String,
}

impl Away {
    fn pause(&self, now: Duration) -> Duration {
        let Some(over) = self.failures.checked_sub(FAILURES) else { return Duration::ZERO };
        let pause = Duration::from_secs(1 << over.min(4)).min(LONGEST_PAUSE);
        pause.saturating_sub(now.saturating_sub(self.last))
    }
}

impl Asker {
    pub(crate) fn new(issuer: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            clock,
            open: Mutex::default(),
            refused: Mutex::new(LruCache::new(REFUSALS)),
            room: Semaphore::new(ASKING),
            away: Mutex::default(),
        }
    }

    /// The answer about the token of this digest: by `ask`, unless the same is asked already or was
    /// refused a moment ago.
    ///
    /// # Errors
    /// [`AuthenticateError::Unanswered`] when the issuer cannot be asked, or says nothing that can be
    /// used; what it refuses is [`Said::No`].
    pub(crate) async fn ask<F: Future<Output = Said>>(
        &self,
        question: Question,
        token: &Digest,
        ask: impl FnOnce() -> F,
    ) -> Result<Said, AuthenticateError> {
        let about = (question, *token);
        if let Some(why) = self.refused_of_late(&about) {
            return Ok(Said::No(why));
        }
        let cell = Arc::clone(lock(&self.open).entry(about).or_default());
        // Whoever waits goes on with the question when the one who asked is gone.
        let said = cell.get_or_init(|| self.in_turn(question, ask)).await.clone();
        let mut open = lock(&self.open);
        if open.get(&about).is_some_and(|known| Arc::ptr_eq(known, &cell)) {
            open.remove(&about);
        }
        drop(open);
        match said {
            Said::Nothing(why) => Err(self.unanswered(question, why)),
            Said::No(why) => {
                let until = self.clock.elapsed().saturating_add(REFUSED_KEPT);
                lock(&self.refused).put(about, (until, why.clone()));
                Ok(Said::No(why))
            }
            said => Ok(said),
        }
    }

    async fn in_turn<F: Future<Output = Said>>(&self, question: Question, ask: impl FnOnce() -> F) -> Said {
        let paused = {
            let away = lock(&self.away);
            (!away.pause(self.clock.elapsed()).is_zero()).then(|| away.why.clone())
        };
        if let Some(why) = paused {
            return Said::Nothing(why);
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, self.room.acquire()).await else {
            return Said::Nothing(format!("{ASKING} questions are open already"));
        };
        let said = ask().await;
        let result = match &said {
            Said::Claims(_) => "ok",
            Said::No(_) => "refused",
            Said::Nothing(_) => "failed",
        };
        let question = question.check().name();
        metrics::counter!("portcullis_issuer_questions_total", "issuer" => self.issuer.clone(), "question" => question, "result" => result).increment(1);
        let mut away = lock(&self.away);
        match &said {
            Said::Nothing(why) => {
                tracing::warn!(issuer = self.issuer, question, why, "the issuer did not answer");
                *away = Away {
                    failures: away.failures.saturating_add(1),
                    last: self.clock.elapsed(),
                    why: why.clone(),
                };
            }
            _ => *away = Away::default(),
        }
        said
    }

    fn refused_of_late(&self, about: &About) -> Option<String> {
        let now = self.clock.elapsed();
        let mut refused = lock(&self.refused);
        match refused.get(about) {
            Some((until, why)) if now < *until => Some(why.clone()),
            Some(_) => {
                refused.pop(about);
                None
            }
            None => None,
        }
    }

    fn unanswered(&self, question: Question, why: String) -> AuthenticateError {
        let pause = lock(&self.away).pause(self.clock.elapsed()).as_secs().saturating_add(1);
        let retry_after = u32::try_from(pause).unwrap_or(u32::MAX);
        AuthenticateError::Unanswered {
            issuer: self.issuer.clone(),
            check: question.check(),
            why,
            retry_after,
        }
    }
}

/// The claims in an answer: one strict JSON object with status 200.
pub(crate) fn claims(answer: Result<Fetched, DialError>) -> Said {
    let fetched = match answer {
        Ok(fetched) => fetched,
        Err(error) => return Said::Nothing(error.to_string()),
    };
    if fetched.status != StatusCode::OK {
        return Said::Nothing(format!("it answered {}; redirects are not followed", fetched.status));
    }
    match object(&fetched.body) {
        Ok(members) => Said::Claims(Arc::new(members)),
        Err(why) => Said::Nothing(why),
    }
}

fn object(body: &Bytes) -> Result<Map<String, Value>, String> {
    strict::object(body).map_err(|why| format!("its answer cannot be read: {why}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
