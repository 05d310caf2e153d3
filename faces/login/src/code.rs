//! Logging in by a browser: the authorization code grant with PKCE (RFC 6749, section 4.1; RFC 7636;
//! OpenID Connect Core 1.0, section 3.1).
//!
//! [`begin`] gives the URL for the browser and a [`Pending`] to keep; [`Pending::redeem`] takes what came
//! back. A program keeps it while it waits on a loopback port; a server keeps it with the browser's
//! session, found again by [`Pending::state`].

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Clock, same};
use secrecy::ExposeSecret;

use crate::answer::{encoded, shown};
use crate::{Client, LoginError, Pkce, Provider, Tokens, random};

/// The longest answer by a browser that is read, in bytes.
const MAX_ANSWER: usize = 8 << 10;

/// A login that has begun: what its end is checked against. Good for one answer.
#[derive(Clone, Debug)]
pub struct Pending {
    state: String,
    nonce: String,
    pkce: Pkce,
    redirect_uri: String,
}

/// Begins a login. The answer comes to `redirect_uri`. `extra` parameters, such as `prompt`, are added.
///
/// # Errors
/// [`LoginError::NotOffered`] when the provider has no such flow.
pub fn begin(
    provider: &Provider,
    client: &Client,
    redirect_uri: &str,
    extra: &[(&str, &str)],
) -> Result<(String, Pending), LoginError> {
    let page = provider.authorization.as_deref().ok_or_else(|| LoginError::NotOffered {
        issuer: provider.issuer.clone(),
        what: "logging in by a browser",
        advice: "try `--device`",
    })?;
    let pending = Pending {
        state: random()?,
        nonce: random()?,
        pkce: Pkce::new()?,
        redirect_uri: redirect_uri.to_owned(),
    };
    let (scope, challenge) = (client.scopes.join(" "), pending.pkce.challenge());
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", redirect_uri),
        ("scope", &scope),
        ("state", &pending.state),
        ("nonce", &pending.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in [("resource", &client.resource), ("audience", &client.audience)] {
        pairs.extend(value.as_deref().map(|value| (name, value)));
    }
    pairs.extend(extra);
    let joint = if page.contains('?') { '&' } else { '?' };
    Ok((format!("{page}{joint}{}", encoded(&pairs)), pending))
}

impl Pending {
    /// What the answer will carry as `state`: the key under which to find this again.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether `query` is an answer to this login. Others are none of its business.
    pub fn is_answered_by(&self, query: &str) -> bool {
        parameters(query).is_ok_and(|found| found.get("state").is_some_and(|said| same(said, &self.state)))
    }

    /// Checks the answer that came back and redeems its code.
    ///
    /// # Errors
    /// [`LoginError::Mixed`] when it is no answer to this login by this provider;
    /// [`LoginError::Denied`] when the person or the provider said no; else why there are no tokens.
    pub async fn redeem(
        self,
        provider: &Provider,
        client: &Client,
        query: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Tokens, LoginError> {
        let code = self.code(provider, query)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", self.pkce.verifier().expose_secret()),
        ];
        let tokens = provider.tokens(client, &form, Some(&self.nonce), clock).await?;
        if tokens.id.is_none() && client.scopes.iter().any(|scope| scope == "openid") {
            return Err(LoginError::IdToken("there is none".to_owned()));
        }
        Ok(tokens)
    }

    /// The code in an answer, once it is known whose answer it is.
    fn code(&self, provider: &Provider, query: &str) -> Result<String, LoginError> {
        let found = parameters(query)?;
        if !found.get("state").is_some_and(|said| same(said, &self.state)) {
            return Err(LoginError::Mixed("its `state` is not the one of this login"));
        }
        match found.get("iss") {
            Some(issuer) if *issuer != provider.issuer => {
                return Err(LoginError::Mixed("its `iss` names another provider"));
            }
            None if provider.says_iss => {
                return Err(LoginError::Mixed("it lacks `iss`, which this provider always sends"));
            }
            _ => {}
        }
        match (found.get("error"), found.get("code")) {
            (Some(error), _) => {
                let description = found.get("error_description").map(|text| shown(text));
                Err(match error.as_str() {
                    "access_denied" => LoginError::Denied(description),
                    _ => LoginError::Refused { code: shown(error), description },
                })
            }
            (None, Some(code)) if !code.is_empty() => Ok(code.clone()),
            _ => Err(LoginError::Mixed("it holds neither a code nor an error")),
        }
    }
}

/// The parameters of a query, each at most once.
fn parameters(query: &str) -> Result<BTreeMap<String, String>, LoginError> {
    if query.len() > MAX_ANSWER {
        return Err(LoginError::Mixed("it is too long"));
    }
    let mut found = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if found.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(LoginError::Mixed("it says something twice"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::tests::provider;

    fn begun(says_iss: bool) -> (Provider, Pending, String) {
        let provider = provider(says_iss);
        let client = Client {
            id: "cli".to_owned(),
            secret: None,
            scopes: vec!["openid".to_owned(), "groups".to_owned()],
            resource: Some("urn:a b&c".to_owned()),
            audience: None,
        };
        let (url, pending) =
            begin(&provider, &client, "http://127.0.0.1:7/callback", &[("prompt", "consent")]).unwrap();
        (provider, pending, url)
    }

    fn outcome(provider: &Provider, pending: &Pending, query: &str) -> String {
        match pending.code(provider, query) {
            Ok(code) => code,
            Err(LoginError::Mixed(why)) => format!("mixed: {why}"),
            Err(LoginError::Denied(_)) => "denied".to_owned(),
            Err(LoginError::Refused { code, .. }) => format!("refused: {code}"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_url_carries_what_the_answer_is_checked_against() {
        let (_, pending, url) = begun(false);
        let (page, query) = url.split_once('?').unwrap();
        assert_eq!(page, "https://login.example.test/auth");
        let found = parameters(query).unwrap();
        assert_eq!(found["state"], pending.state);
        assert_eq!(found["nonce"], pending.nonce);
        assert_eq!(found["code_challenge"], pending.pkce.challenge());
        assert_eq!(found["code_challenge_method"], "S256");
        assert_eq!(found["scope"], "openid groups");
        assert_eq!(found["resource"], "urn:a b&c");
        assert_eq!(found["prompt"], "consent");
        assert!(!url.contains(pending.pkce.verifier().expose_secret()));
    }

    #[test]
    fn only_its_own_answer_by_its_own_provider_is_taken() {
        for (says_iss, without_iss) in
            [(false, "c"), (true, "mixed: it lacks `iss`, which this provider always sends")]
        {
            let (provider, pending, _) = begun(says_iss);
            let state = pending.state.clone();
            let told = |query: String| outcome(&provider, &pending, &query);
            let iss = "iss=https%3A%2F%2Flogin.example.test";
            assert_eq!(told(format!("code=c&state={state}")), without_iss);
            assert_eq!(told(format!("code=c&state={state}&{iss}")), "c");
            assert!(told(format!("code=c&{iss}")).starts_with("mixed: its `state`"));
            assert!(told(format!("code=c&state={state}x&{iss}")).starts_with("mixed: its `state`"));
            assert!(told(format!("code=c&state=&{iss}")).starts_with("mixed: its `state`"));
            let other = "iss=https%3A%2F%2Fevil.example.test";
            assert!(told(format!("code=c&state={state}&{other}")).starts_with("mixed: its `iss`"));
            assert!(told(format!("code=c&code=d&state={state}&{iss}")).starts_with("mixed: it says"));
            assert!(told(format!("state={state}&state={state}&code=c&{iss}")).starts_with("mixed: it says"));
            assert_eq!(told(format!("error=access_denied&state={state}&{iss}")), "denied");
            assert_eq!(
                told(format!("error=server_error&code=c&state={state}&{iss}")),
                "refused: server_error"
            );
            assert!(told(format!("code=&state={state}&{iss}")).starts_with("mixed: it holds neither"));
            assert!(pending.is_answered_by(&format!("state={state}")) && !pending.is_answered_by("state=x"));
        }
    }

    #[test]
    fn a_terminal_is_shown_no_control_characters() {
        let (provider, pending, _) = begun(false);
        let query = format!("error=bad%1b%5b2J&error_description=%07x&state={}", pending.state);
        let said = pending.code(&provider, &query).unwrap_err().to_string();
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }

    proptest! {
        #[test]
        fn no_query_without_the_state_gives_a_code(query in "[ -~]{0,200}") {
            let (provider, pending, _) = begun(false);
            prop_assert!(pending.code(&provider, &query).is_err());
        }
    }
}
