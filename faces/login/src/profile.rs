//! One login, as it is kept between two runs of the program.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fresh::{claims, is_fresh, life};
use crate::{Client, LoginError, Offer, Presented, Tokens};

/// How long a token counts as fresh whose life nobody states.
const UNKNOWN_LIFE: Duration = Duration::from_secs(5 * 60);

/// Where and how somebody logs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The gateway the token is for: scheme, host and port. None for a login made by `--issuer` alone.
    #[serde(default)]
    pub gateway: Option<String>,
    /// How people log in there.
    #[serde(flatten)]
    pub offer: Offer,
    /// Certificates to trust for the provider instead of the system's.
    #[serde(default)]
    pub issuer_ca_file: Option<PathBuf>,
    /// Certificates to trust for the gateway instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Profile {
    /// This program, as the provider knows it.
    pub fn client(&self) -> Client {
        Client {
            id: self.offer.client_id.clone(),
            secret: None,
            scopes: self.offer.scopes.clone(),
            resource: self.offer.resource.clone(),
            audience: self.offer.audience.clone(),
        }
    }
}

/// A login with its tokens. The one form in which tokens are written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Where and how.
    pub profile: Profile,
    /// Who: `sub`, when an ID token said it.
    #[serde(default)]
    pub subject: Option<String>,
    /// The e-mail address or name in the ID token, for people to read.
    #[serde(default)]
    pub display: Option<String>,
    /// When the tokens came, by this machine's clock.
    pub received: Timestamp,
    /// When the shown token ends, by this machine's clock.
    pub ends: Timestamp,
    #[serde(with = "exposed")]
    shown: SecretString,
    #[serde(default, with = "exposed_if_any")]
    refresh: Option<SecretString>,
}

impl Kept {
    /// What is kept of the tokens that a login gave.
    ///
    /// # Errors
    /// [`LoginError::IdToken`] when the ID token is to be shown and there is none.
    pub fn new(profile: Profile, tokens: Tokens) -> Result<Self, LoginError> {
        let (shown, lives) = shown(&profile, &tokens)?;
        let claim = |name: &str| {
            let text = tokens.id.as_ref()?.claims().get(name)?.as_str()?;
            Some(crate::answer::shown(text))
        };
        Ok(Self {
            subject: tokens.id.as_ref().map(|id| id.subject().to_owned()),
            display: claim("email").or_else(|| claim("preferred_username")).or_else(|| claim("name")),
            received: tokens.received,
            ends: after(tokens.received, lives),
            shown,
            refresh: tokens.refresh,
            profile,
        })
    }

    /// The same with the tokens of a refresh. What was not given anew stays.
    ///
    /// # Errors
    /// [`LoginError::IdToken`] when the new ID token is another person's (OpenID Connect Core 1.0, section
    /// 12.2), or the ID token is to be shown and the provider gives none on a refresh.
    pub(crate) fn renewed(&self, tokens: Tokens) -> Result<Self, LoginError> {
        if let (Some(id), Some(subject)) = (&tokens.id, &self.subject)
            && id.subject() != subject
        {
            return Err(LoginError::IdToken("it is another person's than at the login".to_owned()));
        }
        let (shown, lives) = shown(&self.profile, &tokens)?;
        Ok(Self {
            received: tokens.received,
            ends: after(tokens.received, lives),
            shown,
            refresh: tokens.refresh.or_else(|| self.refresh.clone()),
            ..self.clone()
        })
    }

    /// The same with another refresh token, or with none when it cannot be used again.
    pub(crate) fn with_refresh(&self, refresh: Option<SecretString>) -> Self {
        Self { refresh, ..self.clone() }
    }

    /// The refresh token, when there is one.
    pub fn refresh(&self) -> Option<&SecretString> {
        self.refresh.as_ref()
    }

    /// The token that is shown, while its end is far enough: a minute, or a quarter of a short life.
    pub fn fresh(&self, now: Timestamp) -> Option<&SecretString> {
        is_fresh(self.received, self.ends, now).then_some(&self.shown)
    }

    /// The token that is shown, whatever its age.
    pub fn shown(&self) -> &SecretString {
        &self.shown
    }

    /// The same until its very end.
    pub(crate) fn living(&self, now: Timestamp) -> Option<&SecretString> {
        (now < self.ends).then_some(&self.shown)
    }

    /// What the shown token says, when it is one that says something. Not verified: that is the gateway's.
    pub fn claims(&self) -> Option<Value> {
        claims(&self.shown)
    }
}

/// The token to show, and how long it lives.
fn shown(profile: &Profile, tokens: &Tokens) -> Result<(SecretString, Duration), LoginError> {
    match (profile.offer.token, &tokens.id) {
        (Presented::Access, _) => {
            let lives = tokens.lives.or_else(|| life(&tokens.access));
            Ok((tokens.access.clone(), lives.unwrap_or(UNKNOWN_LIFE)))
        }
        (Presented::Id, Some(id)) => Ok((id.token().clone(), life(id.token()).unwrap_or(UNKNOWN_LIFE))),
        (Presented::Id, None) => Err(LoginError::IdToken(
            "the gateway wants the ID token, and the provider gave none; ask its operator for `token: access`, or \
             log in again"
                .to_owned(),
        )),
    }
}

fn after(from: Timestamp, lives: Duration) -> Timestamp {
    from.checked_add(lives).unwrap_or(Timestamp::MAX)
}

/// The one place where a secret becomes text: the file with mode 0600.
mod exposed {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

mod exposed_if_any {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::gateway::tests::offer;

    pub(crate) fn profile() -> Profile {
        Profile {
            gateway: Some("https://gateway.example.test".to_owned()),
            offer: offer("https://login.example.test"),
            issuer_ca_file: None,
            ca_file: None,
        }
    }

    pub(crate) fn tokens(access: &str, refresh: Option<&str>, received: Timestamp, lives: u64) -> Tokens {
        Tokens {
            access: access.into(),
            id: None,
            refresh: refresh.map(SecretString::from),
            received,
            lives: Some(Duration::from_secs(lives)),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_token_counts_as_fresh_until_shortly_before_its_end() {
        let kept = Kept::new(profile(), tokens("a", Some("r"), at(0), 3600)).unwrap();
        assert!(kept.fresh(at(0)).is_some() && kept.fresh(at(3539)).is_some());
        assert!(kept.fresh(at(3541)).is_none() && kept.living(at(3541)).is_some());
        assert!(kept.living(at(3600)).is_none());
        let short = Kept::new(profile(), tokens("a", None, at(0), 8)).unwrap();
        assert!(short.fresh(at(5)).is_some() && short.fresh(at(6)).is_none());
        // A clock set back by an hour must not make a token live for an hour more.
        assert!(kept.fresh(at(-30)).is_some() && kept.fresh(at(-3600)).is_none());
    }

    #[test]
    fn a_refresh_without_a_refresh_token_leaves_the_old_one() {
        let kept = Kept::new(profile(), tokens("a", Some("r"), at(0), 60)).unwrap();
        let renewed = kept.renewed(tokens("b", None, at(50), 60)).unwrap();
        assert_eq!(renewed.refresh().unwrap().expose_secret(), "r");
        assert_eq!(renewed.fresh(at(60)).unwrap().expose_secret(), "b");
        let rotated = renewed.renewed(tokens("c", Some("s"), at(99), 60)).unwrap();
        assert_eq!(rotated.refresh().unwrap().expose_secret(), "s");
    }

    #[test]
    fn what_is_written_is_read_again_and_debug_tells_nothing() {
        let secret = "never-to-be-seen";
        let kept = Kept::new(profile(), tokens(secret, Some(secret), at(0), 60)).unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        let read: Kept = serde_json::from_str(&text).unwrap();
        assert_eq!(read.fresh(at(1)).unwrap().expose_secret(), secret);
        assert_eq!((read.profile, read.ends), (kept.profile.clone(), kept.ends));
        assert!(!format!("{kept:?}").contains(secret));
    }

    /// Files of logins outlive the program that wrote them.
    #[test]
    fn the_members_of_a_written_profile_stay_what_they_are() {
        let offer = Offer {
            scopes: vec!["openid".to_owned(), "groups".to_owned()],
            resource: Some("r".to_owned()),
            token: Presented::Id,
            ..offer("https://login.example.test")
        };
        let profile = Profile { ca_file: Some("/ca.pem".into()), offer, ..profile() };
        let text = concat!(
            r#"{"gateway":"https://gateway.example.test","issuer":"https://login.example.test","client_id":"cli","#,
            r#""scopes":["openid","groups"],"resource":"r","audience":null,"token":"id","prompt":null,"#,
            r#""redirect_uri":null,"issuer_ca_file":null,"ca_file":"/ca.pem"}"#,
        );
        assert_eq!(serde_json::to_string(&profile).unwrap(), text);
        assert_eq!(serde_json::from_str::<Profile>(text).unwrap(), profile);
        let least = r#"{"issuer":"https://login.example.test","client_id":"cli","scopes":["openid"]}"#;
        let read: Profile = serde_json::from_str(least).unwrap();
        assert_eq!((read.gateway, read.offer.token, read.offer.scopes.len()), (None, Presented::Access, 1));
        assert!(serde_json::from_str::<Profile>(r#"{"issuer":"https://login.example.test"}"#).is_err());
    }

    #[test]
    fn an_id_token_that_is_not_there_is_not_shown() {
        let offer = Offer { token: Presented::Id, ..profile().offer };
        let profile = Profile { offer, ..profile() };
        assert!(matches!(Kept::new(profile, tokens("a", None, at(0), 60)), Err(LoginError::IdToken(_))));
    }
}
