//! Tokens of a provider that runs in the test: made right, made wrong, and in bad times.

#![allow(clippy::string_slice, reason = "tokens and their JSON are ASCII here")]

mod defects;
mod grants;
mod guides;
mod inspection;
mod logouts;
mod mapping;
mod mutations;
mod opaque;
mod outages;
mod sampled;
mod sign_in;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use model::{Clock, ExchangeId, FixedClock, Identity};

use crate::{AuthenticateError, Authenticator, Caller};
use sampled::{Draft, KeyPair, Site};

/// A provider, a clock that stands still, and an authenticator that knows both.
struct World {
    site: Arc<Site>,
    clock: Arc<FixedClock>,
    authenticator: Arc<Authenticator>,
}

impl World {
    /// A provider with `keys` (name and pair), its issuer's settings changed by `change`.
    async fn with(keys: &[(&str, &KeyPair)], change: impl FnOnce(&mut config::Issuer)) -> Self {
        let site = Site::start().await;
        site.publish(keys);
        let mut settings = config::Issuer::new("site", &site.url, "gateway");
        settings.allow_http = true;
        change(&mut settings);
        Self::of(site, &[settings])
    }

    fn of(site: Arc<Site>, issuers: &[config::Issuer]) -> Self {
        let clock = Arc::new(FixedClock::at(now()));
        let standing = crate::Standing::stateless(Arc::clone(&clock) as Arc<dyn Clock>);
        Self::judged(site, issuers, clock, standing)
    }

    /// The same, whoever `standing` shuts out being refused.
    fn judged(
        site: Arc<Site>,
        issuers: &[config::Issuer],
        clock: Arc<FixedClock>,
        standing: Arc<crate::Standing>,
    ) -> Self {
        let limits = config::Limits { token_cache: 16, ..config::Limits::default() };
        let authenticator =
            Authenticator::build(issuers, &limits, Arc::clone(&clock) as Arc<dyn Clock>, standing).unwrap();
        Self { site, clock, authenticator }
    }

    /// A token of this provider that passes every check, before it is signed.
    fn draft(&self) -> Draft {
        Draft::new(&self.site.url, self.clock.now())
    }

    async fn caller(&self, token: &str) -> Result<Caller, AuthenticateError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        self.authenticator.caller(ExchangeId::at(self.clock.now()), &headers).await
    }

    async fn identity(&self, token: &str) -> Identity {
        Identity::clone(self.caller(token).await.unwrap().identity())
    }

    /// The name of the check that `token` fails, or `accepted`.
    async fn check(&self, token: &str) -> &'static str {
        match self.caller(token).await {
            Ok(_) => "accepted",
            Err(error) => error.check().unwrap().name(),
        }
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
