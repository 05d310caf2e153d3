//! Logging in on another screen: the device authorization grant (RFC 8628).

use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use secrecy::{ExposeSecret, SecretString};

use crate::answer::{self, Answered};
use crate::{Client, LoginError, Provider, Tokens};

/// The grant's name at the token endpoint (RFC 8628, section 3.4).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long to wait between two questions when the provider does not say (section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// What `slow_down` adds to it (section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The longest pause between two questions: a provider that wants more gets no more.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest a person has, whatever the provider says.
const LIFE: Duration = Duration::from_secs(30 * 60);

/// What the person must do, and what the program waits with.
#[derive(Debug)]
pub struct DeviceLogin {
    /// What the person types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, if the provider makes one.
    pub verification_uri_complete: Option<String>,
    /// How long the person has.
    pub lives: Duration,
    device_code: SecretString,
    interval: Duration,
    began: Duration,
}

/// Asks the provider for a code that a person can type in elsewhere.
///
/// # Errors
/// [`LoginError::NotOffered`] when the provider has no such flow; else why it gave no code.
pub async fn begin(
    provider: &Provider,
    client: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<DeviceLogin, LoginError> {
    let uri = provider.device.as_ref().ok_or_else(|| LoginError::NotOffered {
        issuer: provider.issuer.clone(),
        what: "logging in on another screen",
        advice: "leave out `--device` and log in by the browser on this machine",
    })?;
    let what = format!("the provider's device endpoint at {uri}");
    let scope = client.scopes.join(" ");
    let mut form = vec![("scope", scope.as_str())];
    for (name, value) in [("resource", &client.resource), ("audience", &client.audience)] {
        form.extend(value.as_deref().map(|value| (name, value)));
    }
    // The id belongs in the form even when a secret says it too (section 3.1).
    if client.secret.is_some() {
        form.push(("client_id", &client.id));
    }
    let answered = provider.ask(uri, client, &form, &what).await?;
    if let Some(refusal) = answered.refusal() {
        return Err(refusal);
    }
    read(&answered, clock).ok_or_else(|| LoginError::Answer {
        what,
        why: format!("status {} without the codes of RFC 8628", answered.status),
    })
}

fn read(answered: &Answered, clock: &Arc<dyn Clock>) -> Option<DeviceLogin> {
    let page = |name: &str| answered.text(name).filter(|text| is_page(text)).map(answer::shown);
    // One provider in use since before the standard says `verification_url`.
    let verification_uri = page("verification_uri").or_else(|| page("verification_url"))?;
    Some(DeviceLogin {
        user_code: answer::shown(answered.text("user_code")?),
        verification_uri,
        verification_uri_complete: page("verification_uri_complete"),
        lives: Duration::from_secs(answered.seconds("expires_in")?).min(LIFE),
        device_code: answered.secret("device_code")?,
        interval: answered.seconds("interval").map_or(INTERVAL, Duration::from_secs).min(LONGEST),
        began: clock.elapsed(),
    })
}

fn is_page(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

impl DeviceLogin {
    /// Waits until the person has said yes or no, or the time is over.
    ///
    /// # Errors
    /// [`LoginError::Denied`], [`LoginError::Expired`], or why the provider gave no tokens.
    pub async fn wait(
        self,
        provider: &Provider,
        client: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Result<Tokens, LoginError> {
        let form = [("grant_type", GRANT), ("device_code", self.device_code.expose_secret())];
        let mut pause = self.interval;
        loop {
            tokio::time::sleep(pause).await;
            if clock.elapsed().saturating_sub(self.began) > self.lives {
                return Err(LoginError::Expired);
            }
            match provider.tokens(client, &form, None, clock).await {
                Ok(tokens) => return Ok(tokens),
                Err(fault) => pause = next(fault, pause)?,
            }
        }
    }
}

/// How long to wait before the next question, when there is one (RFC 8628, section 3.5).
fn next(fault: LoginError, pause: Duration) -> Result<Duration, LoginError> {
    match fault {
        LoginError::Refused { code, description } => match code.as_str() {
            "authorization_pending" => Ok(pause),
            "slow_down" => Ok((pause + SLOWER).min(LONGEST)),
            "expired_token" => Err(LoginError::Expired),
            "access_denied" => Err(LoginError::Denied(description)),
            _ => Err(LoginError::Refused { code, description }),
        },
        // A provider that does not answer is asked less often: twice the pause each time.
        LoginError::Dial { what, source: dial::DialError::Url { url, why } } => {
            Err(LoginError::Dial { what, source: dial::DialError::Url { url, why } })
        }
        LoginError::Dial { .. } => Ok(pause.max(Duration::from_secs(1)).saturating_mul(2).min(LONGEST)),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> LoginError {
        LoginError::Refused { code: code.to_owned(), description: None }
    }

    #[test]
    fn each_answer_means_what_the_standard_says() {
        let five = Duration::from_secs(5);
        assert_eq!(next(refused("authorization_pending"), five).unwrap(), five);
        assert_eq!(next(refused("slow_down"), five).unwrap(), Duration::from_secs(10));
        assert!(matches!(next(refused("expired_token"), five), Err(LoginError::Expired)));
        assert!(matches!(next(refused("access_denied"), five), Err(LoginError::Denied(None))));
        assert!(matches!(next(refused("invalid_client"), five), Err(LoginError::Refused { .. })));
        let away = LoginError::Dial {
            what: "the provider".to_owned(),
            source: dial::DialError::Timeout { host: "h".to_owned(), after: five },
        };
        assert_eq!(next(away, five).unwrap(), Duration::from_secs(10));
    }

    #[test]
    fn no_provider_makes_us_wait_for_ever_or_hurry() {
        let mut pause = INTERVAL;
        for _ in 0..100 {
            pause = next(refused("slow_down"), pause).unwrap();
        }
        assert_eq!(pause, LONGEST);
    }

    #[test]
    fn what_is_no_page_is_not_shown() {
        assert!(is_page("https://login.example.test/device") && !is_page("javascript:alert(1)"));
        assert!(!is_page("file:///etc/passwd"));
    }
}
