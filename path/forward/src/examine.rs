//! Looking at an upstream from here, for operators: whether it answers, takes the credential, and whether it
//! answers without one too. What does, guards nothing: whoever reaches it needs no Portcullis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use credential::{NotRotated, Shown};
use http::StatusCode;
use model::ExchangeId;

use crate::health::Probed;
use crate::rotate::{Told, is_refusal, told};
use crate::upstreams::{Upstream, Upstreams, Way};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server said when it was asked for [`Examined::path`]. Texts name hosts: they are for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saw {
    /// It answered.
    Status(StatusCode),
    /// It did not, and why.
    Nothing(String),
}

/// One upstream, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its URL, as configured.
    pub upstream: String,
    /// What was asked for with GET: what only who has the credential is answered.
    pub path: String,
    /// What it says to the credential; or to nothing, where none is configured.
    pub with: Saw,
    /// How long that took, from dialling on.
    pub took: Duration,
    /// What it says without the credential, where one is configured.
    pub without: Option<Saw>,
}

impl Saw {
    /// Whether it said that the credential is not good, or that there is none.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status(status) if is_refusal(*status))
    }

    /// What is wrong with a server that said this to its credential, asked for `path`.
    fn fault(&self, path: &str) -> Option<String> {
        match self {
            Self::Nothing(why) => Some(why.clone()),
            Self::Status(status) if self.is_refusal() => {
                Some(format!("it answers {status} to `{path}`: it does not take the credential"))
            }
            Self::Status(status) if status.is_server_error() => {
                Some(format!("it answers {status} to `{path}`"))
            }
            Self::Status(_) => None,
        }
    }
}

impl fmt::Display for Saw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Nothing(why) => f.write_str(why),
        }
    }
}

impl Examined {
    /// What is wrong with it, in a sentence for operators; nothing when it answers and takes the credential.
    pub fn fault(&self) -> Option<String> {
        self.with.fault(&self.path)
    }
}

impl Upstreams {
    /// Whether a credential is configured, and could be had now.
    ///
    /// # Errors
    /// Why not, without any part of it.
    pub async fn credential_read(&self) -> Result<bool, String> {
        match self.keeper() {
            None => Ok(false),
            Some(keeper) => keeper.current().await.map(|_| true).map_err(|error| error.to_string()),
        }
    }

    /// Looks at every upstream that is reached from here. None is told of those behind agents.
    pub async fn examine(&self) -> Vec<Examined> {
        let mut seen = Vec::new();
        for upstream in self.all().filter(|upstream| matches!(upstream.way(), Way::Direct(_))) {
            seen.push(self.look_at(upstream).await);
        }
        seen
    }

    /// Looks at every upstream, as [`Upstreams::examine`] but only with the credential, and keeps what it saw for
    /// [`Upstreams::health`]. Those beyond agents are looked at by them. It puts none out: requests learn that by
    /// themselves.
    pub async fn probe_all(&self) {
        for upstream in self.all() {
            let began = self.elapsed();
            let (took, fault) = match upstream.way() {
                Way::Beyond(beyond) => beyond.look(ExchangeId::at(self.now())).await,
                Way::Direct(_) => {
                    let with = self.with_credential(upstream).await;
                    (self.elapsed().saturating_sub(began), with.fault(self.probe()))
                }
            };
            upstream.probed(Probed { at: self.now(), took, fault });
        }
    }

    async fn with_credential(&self, upstream: &Upstream) -> Saw {
        match self.keeper() {
            None => saw(upstream, self.probe(), None).await,
            Some(keeper) => match keeper.current().await {
                Ok(shown) => saw(upstream, self.probe(), Some(&shown)).await,
                Err(error) => Saw::Nothing(format!("it was not asked, for there is no credential: {error}")),
            },
        }
    }

    async fn look_at(&self, upstream: &Upstream) -> Examined {
        let path = self.probe().to_owned();
        let began = self.elapsed();
        let with = self.with_credential(upstream).await;
        let took = self.elapsed().saturating_sub(began);
        let without = match self.keeper() {
            None => None,
            Some(_) => Some(saw(upstream, &path, None).await),
        };
        Examined { upstream: upstream.shown().to_owned(), path, with, took, without }
    }
}

async fn saw(upstream: &Upstream, path: &str, shown: Option<&Arc<Shown>>) -> Saw {
    match tokio::time::timeout(PATIENCE, Box::pin(told(upstream, path, shown))).await {
        Ok(Ok(Told::Status(status))) => Saw::Status(status),
        Ok(Ok(Told::Nothing(error))) => Saw::Nothing(error.to_string()),
        Ok(Err(NotRotated::Unproved(why))) => Saw::Nothing(why),
        Ok(Err(why)) => Saw::Nothing(why.to_string()),
        Err(_) => Saw::Nothing(format!("it did not answer within {PATIENCE:?}")),
    }
}
