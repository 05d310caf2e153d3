//! The ID token: who logged in, verified before it is believed (OpenID Connect Core 1.0, section 3.1.3.7).

use std::sync::Arc;

use authenticate::{Authenticator, Standing, Verdict};
use model::{Clock, same};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{Client, LoginError, Provider};

/// A verified ID token.
#[derive(Clone, Debug)]
pub struct IdToken {
    token: SecretString,
    claims: Value,
    subject: String,
}

impl IdToken {
    /// Verifies `token` with the very checks the gateway makes: signature by the provider's keys, issuer,
    /// audience (this client), times; then `nonce`, and `azp` where there are several audiences.
    pub(crate) async fn verified(
        provider: &Provider,
        client: &Client,
        token: SecretString,
        nonce: Option<&str>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, LoginError> {
        let refused = |why: String| LoginError::IdToken(why);
        let mut settings = config::Issuer::new("the provider", &provider.issuer, &client.id);
        settings.jwks = Some(provider.jwks.clone());
        settings.token_types = vec!["JWT".to_owned()];
        settings.groups.claims = Vec::new();
        settings.ca_file = provider.ca_file().map(std::path::Path::to_owned);
        settings.allow_http = provider.jwks.starts_with("http://");
        let standing = Standing::stateless(Arc::clone(clock));
        let authenticator =
            Authenticator::build(&[settings], &config::Limits::default(), Arc::clone(clock), standing)
                .map_err(|fault| refused(fault.to_string()))?;
        let inspection = authenticator.inspect(token.expose_secret()).await;
        let (Some(identity), Some(claims)) = (inspection.identity, inspection.claims) else {
            let failed = inspection.checks.iter().find_map(|checked| match &checked.verdict {
                Verdict::Failed { why } => Some(format!("{}: {why}", checked.check)),
                _ => None,
            });
            return Err(refused(failed.unwrap_or_else(|| "it cannot be verified".to_owned())));
        };
        let claim = |name: &str| claims.get(name).and_then(Value::as_str);
        if let Some(nonce) = nonce
            && !claim("nonce").is_some_and(|said| same(said, nonce))
        {
            return Err(refused("its `nonce` is not the one of this login".to_owned()));
        }
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|list| list.len() > 1);
        if (several || claims.get("azp").is_some()) && claim("azp") != Some(&client.id) {
            return Err(refused("it was made for another client (`azp`)".to_owned()));
        }
        Ok(Self { token, subject: identity.subject.clone(), claims })
    }

    /// The token itself.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// What it says.
    pub fn claims(&self) -> &Value {
        &self.claims
    }

    /// Whose it is: `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}
