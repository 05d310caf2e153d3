//! A fresh token for whoever is logged in, or for the machine.

use std::sync::Arc;

use config::{SecretError, SecretRef};
use model::Clock;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::fresh::claims;
use crate::{Folder, Kept, LoginError, Profile, Provider, gateway};

/// The variable that holds a machine's token. It wins over every login.
const MACHINE: &str = "PORTCULLIS_TOKEN";

/// Which login is meant. By default the one that was made last.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By its name.
    pub profile: Option<String>,
    /// By the gateway it is for.
    pub gateway: Option<String>,
}

/// Whose token it is.
#[derive(Clone, Debug)]
pub enum Choice {
    /// A machine's, from `PORTCULLIS_TOKEN`.
    Machine,
    /// A person's, by the name of the login.
    Person(String),
}

/// A source of fresh tokens. Cheap to clone; its clones refresh one at a time.
#[derive(Clone)]
pub struct Login {
    choice: Choice,
    folder: Folder,
    clock: Arc<dyn Clock>,
    refreshing: Arc<Mutex<()>>,
}

impl Login {
    /// The login that is wanted, from the person's own folder; or the machine's token, when
    /// `PORTCULLIS_TOKEN` is set.
    ///
    /// # Errors
    /// [`LoginError`] when nobody is logged in, or several logins fit.
    pub fn choose(wanted: &Wanted, clock: Arc<dyn Clock>) -> Result<Self, LoginError> {
        if machine().read().is_ok() {
            // A machine has no need of a folder.
            let folder = Folder::of_person().unwrap_or_else(|_| Folder::at("/nonexistent"));
            return Ok(Self::new(Choice::Machine, folder, clock));
        }
        let folder = Folder::of_person()?;
        let name = find(&folder, wanted)?;
        Ok(Self::new(Choice::Person(name), folder, clock))
    }

    /// The login `name` of `folder`.
    pub fn of(folder: Folder, name: &str, clock: Arc<dyn Clock>) -> Self {
        Self::new(Choice::Person(name.to_owned()), folder, clock)
    }

    fn new(choice: Choice, folder: Folder, clock: Arc<dyn Clock>) -> Self {
        Self { choice, folder, clock, refreshing: Arc::default() }
    }

    /// Whose token it is.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// What is kept of a person's login; nothing for a machine.
    ///
    /// # Errors
    /// [`LoginError`] when it cannot be read or is not there any more.
    pub fn kept(&self) -> Result<Option<Kept>, LoginError> {
        match &self.choice {
            Choice::Machine => Ok(None),
            Choice::Person(name) => read(&self.folder, name).map(Some),
        }
    }

    /// Where and how this person logs in; nothing for a machine.
    ///
    /// # Errors
    /// As [`Login::kept`].
    pub fn profile(&self) -> Result<Option<Profile>, LoginError> {
        Ok(self.kept()?.map(|kept| kept.profile))
    }

    /// What the token says, unverified, when it is one that says something.
    ///
    /// # Errors
    /// As [`Login::kept`].
    pub fn claims(&self) -> Result<Option<Value>, LoginError> {
        match self.kept()? {
            Some(kept) => Ok(kept.claims()),
            None => Ok(claims(&machine().read()?)),
        }
    }

    /// A token that is good for a while: the kept one, or a refreshed one when its end is near. However
    /// many ask, in however many processes, a refresh token is spent once.
    ///
    /// # Errors
    /// [`LoginError::Ended`] when only logging in again helps; else why there is none now.
    pub async fn token(&self) -> Result<SecretString, LoginError> {
        let name = match &self.choice {
            Choice::Machine => return machine().read().map_err(LoginError::from),
            Choice::Person(name) => name,
        };
        let now = self.clock.now();
        if let Some(token) = read(&self.folder, name)?.fresh(now) {
            return Ok(token.clone());
        }
        // In a task of its own: whoever waits may leave, and a token that is spent but not written down
        // would end the login.
        let refresh =
            Refresh { folder: self.folder.clone(), name: name.clone(), clock: Arc::clone(&self.clock) };
        let turn = Arc::clone(&self.refreshing);
        let task = tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            refresh.run().await
        });
        task.await.map_err(|_| LoginError::Machine {
            what: "cannot refresh the login",
            source: std::io::Error::other("the refresh was lost"),
        })?
    }

    /// Ends a person's login: forgets its tokens, and tells the provider, where it can be told (RFC 7009).
    /// Says whether the provider made the refresh token worthless.
    ///
    /// # Errors
    /// [`LoginError`] when the files cannot be removed; and when the provider could not be told, after
    /// they were.
    pub async fn end(&self) -> Result<bool, LoginError> {
        let Choice::Person(name) = &self.choice else {
            return Err(LoginError::Choice(format!(
                "the token comes from `{MACHINE}`: unset it, there is no login to end"
            )));
        };
        let _lock = self.folder.lock(name).await?;
        let kept = read(&self.folder, name)?;
        self.folder.remove(name)?;
        let Some(refresh) = kept.refresh() else { return Ok(false) };
        let profile = &kept.profile;
        let provider = Provider::discover(&profile.offer.issuer, profile.issuer_ca_file.as_deref()).await?;
        provider.revoke(&profile.client(), refresh).await
    }
}

fn machine() -> SecretRef {
    SecretRef::Env(MACHINE.to_owned())
}

fn read(folder: &Folder, name: &str) -> Result<Kept, LoginError> {
    folder.read(name)?.ok_or_else(|| LoginError::LoggedOut(Some(name.to_owned())))
}

/// The name of the login that is wanted.
fn find(folder: &Folder, wanted: &Wanted) -> Result<String, LoginError> {
    // A variable that is set must not be ignored because it cannot be used.
    match machine().read() {
        Ok(_) | Err(SecretError::Unset(_)) => {}
        Err(fault) => return Err(fault.into()),
    }
    let gateway = wanted.gateway.as_deref().map(gateway::origin).transpose()?;
    if let Some(name) = &wanted.profile {
        return Ok(name.clone());
    }
    let Some(gateway) = gateway else {
        let names = folder.names()?;
        return match (folder.default_name()?, names.as_slice()) {
            (Some(name), _) => Ok(name),
            (None, []) => Err(LoginError::LoggedOut(None)),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(LoginError::Choice(format!(
                "there are several logins; choose one with `--profile`: {}",
                names.join(", ")
            ))),
        };
    };
    let mut fitting = Vec::new();
    for name in folder.names()? {
        if folder.read(&name)?.is_some_and(|kept| kept.profile.gateway.as_ref() == Some(&gateway)) {
            fitting.push(name);
        }
    }
    let default = folder.default_name()?.filter(|name| fitting.contains(name));
    match (default, fitting.as_slice()) {
        (Some(name), _) => Ok(name),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(LoginError::Choice(format!(
            "you are not logged in at {gateway}: run `portcullis login --gateway {gateway}`"
        ))),
        (None, _) => Err(LoginError::Choice(format!(
            "there are several logins at {gateway}; choose one with `--profile`: {}",
            fitting.join(", ")
        ))),
    }
}

struct Refresh {
    folder: Folder,
    name: String,
    clock: Arc<dyn Clock>,
}

impl Refresh {
    async fn run(self) -> Result<SecretString, LoginError> {
        let Self { folder, name, clock } = &self;
        let _lock = folder.lock(name).await?;
        // Another process may have been faster.
        let kept = read(folder, name)?;
        if let Some(token) = kept.fresh(clock.now()) {
            return Ok(token.clone());
        }
        match self.renewed(kept.clone()).await {
            Ok(renewed) => {
                folder.write(name, &renewed)?;
                Ok(renewed.shown().clone())
            }
            Err(fault) => {
                if fault.is_final() {
                    folder.write(name, &kept.with_refresh(None))?;
                }
                match kept.living(clock.now()) {
                    Some(token) => {
                        tracing::warn!(%fault, "the login could not be refreshed; its token serves to its end");
                        Ok(token.clone())
                    }
                    None if fault.is_final() => {
                        Err(LoginError::Ended { name: name.clone(), why: fault.to_string() })
                    }
                    None => Err(fault),
                }
            }
        }
    }

    /// Spends the refresh token. What comes in its place is written down at once: whatever fails after
    /// that can be tried again.
    async fn renewed(&self, mut kept: Kept) -> Result<Kept, LoginError> {
        let (profile, client) = (kept.profile.clone(), kept.profile.client());
        let Some(refresh) = kept.refresh() else {
            return Err(LoginError::Ended {
                name: self.name.clone(),
                why: "the provider gave no refresh token, or it was spent; the scope `offline_access` often brings one"
                    .to_owned(),
            });
        };
        let provider = Provider::discover(&profile.offer.issuer, profile.issuer_ca_file.as_deref()).await?;
        let answer = provider.refresh(&client, refresh, &self.clock).await?;
        if let Some(new) = answer.refresh() {
            kept = kept.with_refresh(Some(new.clone()));
            self.folder.write(&self.name, &kept)?;
        }
        kept.renewed(provider.verify(&client, answer, &self.clock).await?)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use model::FixedClock;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::gateway::tests::offer;
    use crate::profile::tests::{profile, tokens};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn world() -> (tempfile::TempDir, Folder, Arc<FixedClock>) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path().join("logins"));
        (place, folder, Arc::new(FixedClock::at(at(0))))
    }

    fn keep(folder: &Folder, name: &str, gateway: &str, refresh: Option<&str>) {
        let profile =
            Profile { gateway: Some(gateway.to_owned()), offer: offer("https://127.0.0.1:1"), ..profile() };
        folder.write(name, &Kept::new(profile, tokens(name, refresh, at(0), 600)).unwrap()).unwrap();
    }

    fn wanted(profile: Option<&str>, gateway: Option<&str>) -> Wanted {
        Wanted { profile: profile.map(str::to_owned), gateway: gateway.map(str::to_owned) }
    }

    #[test]
    fn the_login_is_found_by_name_gateway_or_default() {
        let (_place, folder, _) = world();
        assert!(matches!(find(&folder, &wanted(None, None)), Err(LoginError::LoggedOut(None))));
        keep(&folder, "one", "https://one.test", None);
        assert_eq!(find(&folder, &wanted(None, None)).unwrap(), "one");
        keep(&folder, "two", "https://two.test", None);
        keep(&folder, "three", "https://two.test", None);
        assert!(matches!(find(&folder, &wanted(None, None)), Err(LoginError::Choice(_))));
        assert_eq!(find(&folder, &wanted(Some("two"), None)).unwrap(), "two");
        assert_eq!(find(&folder, &wanted(None, Some("https://one.test/llama/v1"))).unwrap(), "one");
        assert!(matches!(find(&folder, &wanted(None, Some("https://two.test"))), Err(LoginError::Choice(_))));
        folder.make_default("three").unwrap();
        assert_eq!(find(&folder, &wanted(None, Some("https://two.test"))).unwrap(), "three");
        assert_eq!(find(&folder, &wanted(None, None)).unwrap(), "three");
        let stranger = find(&folder, &wanted(None, Some("https://other.test"))).unwrap_err().to_string();
        assert!(stranger.contains("portcullis login --gateway https://other.test"), "{stranger}");
    }

    #[tokio::test]
    async fn a_fresh_token_is_given_without_asking_anybody() {
        let (_place, folder, clock) = world();
        keep(&folder, "one", "https://one.test", Some("r"));
        let login = Login::of(folder, "one", clock);
        assert_eq!(login.token().await.unwrap().expose_secret(), "one");
    }

    #[tokio::test]
    async fn while_the_provider_is_away_a_living_token_serves_to_its_end() {
        let (_place, folder, clock) = world();
        keep(&folder, "one", "https://one.test", Some("r"));
        let login = Login::of(folder.clone(), "one", clock.clone());
        clock.set(at(590));
        assert_eq!(login.token().await.unwrap().expose_secret(), "one");
        clock.set(at(600));
        assert!(matches!(login.token().await, Err(LoginError::Dial { .. })));
        // What could not be spent is still there.
        assert!(folder.read("one").unwrap().unwrap().refresh().is_some());
    }

    #[tokio::test]
    async fn without_a_refresh_token_the_end_is_told() {
        let (_place, folder, clock) = world();
        keep(&folder, "one", "https://one.test", None);
        clock.set(at(601));
        let fault = Login::of(folder, "one", clock).token().await.unwrap_err();
        assert!(matches!(fault, LoginError::Ended { .. }), "{fault}");
        assert!(fault.to_string().contains("portcullis login --profile one"), "{fault}");
    }

    /// A provider on loopback whose refreshes rotate, and whose ID tokens nobody can verify.
    async fn broken_provider() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let discovery = serde_json::json!({
            "issuer": issuer, "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/gone"),
        });
        let tokens = serde_json::json!({
            "token_type": "Bearer", "access_token": "new", "refresh_token": "rotated", "id_token": "a.b.c",
        });
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let asked = String::from_utf8_lossy(&head[..read]).into_owned();
                let body = match asked.split(' ').nth(1) {
                    Some("/token") => tokens.to_string(),
                    Some("/gone") => String::new(),
                    _ => discovery.to_string(),
                };
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        issuer
    }

    #[tokio::test]
    async fn what_fails_after_a_refresh_token_is_spent_does_not_lose_the_new_one() {
        let (_place, folder, clock) = world();
        let profile = Profile { offer: offer(&broken_provider().await), ..profile() };
        folder.write("one", &Kept::new(profile, tokens("old", Some("r"), at(0), 600)).unwrap()).unwrap();
        clock.set(at(601));
        let fault = Login::of(folder.clone(), "one", clock).token().await.unwrap_err();
        assert!(matches!(fault, LoginError::IdToken(_)), "{fault}");
        let kept = folder.read("one").unwrap().unwrap();
        assert_eq!(kept.refresh().unwrap().expose_secret(), "rotated");
        assert_eq!(kept.shown().expose_secret(), "old");
    }
}
