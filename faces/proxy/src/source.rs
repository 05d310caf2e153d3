//! Where the proxy's tokens come from.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use config::SecretRef;
use jiff::Timestamp;
use login::{Client, Login, Provider};
use model::Clock;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::ProxyError;

/// How long a command for a token may run.
pub const TOKEN_COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest token a command may print, in bytes.
const MAX_TOKEN: u64 = 64 << 10;

/// A source of tokens.
pub enum Source {
    /// Whoever is logged in.
    Login(Login),
    /// A file that somebody else keeps fresh, as Kubernetes does with projected tokens. Read each time.
    File(PathBuf),
    /// What a command prints.
    Command(TokenCommand),
    /// A program's own credentials with the issuer.
    Client(Box<Credentials>),
}

/// A shell command that prints a token, and what it printed last.
pub struct TokenCommand {
    line: String,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

/// A program's credentials with an issuer, and the token they gave last.
pub struct Credentials {
    issuer: String,
    ca_file: Option<PathBuf>,
    client: Client,
    /// Read at each use, so that it may be replaced while the proxy runs.
    secret: SecretRef,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: SecretString,
    received: Timestamp,
    ends: Timestamp,
}

impl Held {
    /// What is worth holding: a token whose life is known.
    fn of(token: &SecretString, lives: Option<Duration>, received: Timestamp) -> Option<Self> {
        let ends = received.checked_add(lives?).ok()?;
        Some(Self { token: token.clone(), received, ends })
    }

    fn fresh(held: Option<&Self>, now: Timestamp) -> Option<SecretString> {
        held.filter(|held| login::is_fresh(held.received, held.ends, now)).map(|held| held.token.clone())
    }
}

impl Source {
    /// What `line` prints, run by `sh`. It is run again shortly before the token ends; every time, when the
    /// token does not say how long it lives.
    pub fn command(line: &str, timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        Self::Command(TokenCommand { line: line.to_owned(), timeout, clock, held: Mutex::default() })
    }

    /// What the issuer gives `client` for its `secret` (RFC 6749, section 4.4).
    pub fn client(
        issuer: &str,
        ca_file: Option<&Path>,
        client: Client,
        secret: SecretRef,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::Client(Box::new(Credentials {
            issuer: issuer.to_owned(),
            ca_file: ca_file.map(Path::to_owned),
            client,
            secret,
            clock,
            held: Mutex::default(),
        }))
    }

    /// A token that is good for a while. However many ask, one fetches.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn token(&self) -> Result<SecretString, ProxyError> {
        match self {
            Self::Login(login) => Ok(login.token().await?),
            Self::File(path) => Ok(SecretRef::File(path.clone()).read()?),
            Self::Command(command) => command.token().await,
            Self::Client(credentials) => credentials.token().await,
        }
    }
}

impl TokenCommand {
    async fn token(&self) -> Result<SecretString, ProxyError> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(token) = Held::fresh(held.as_ref(), now) {
            return Ok(token);
        }
        let token = tokio::time::timeout(self.timeout, self.run())
            .await
            .map_err(|_| ProxyError::CommandTimeout(self.timeout))??;
        *held = Held::of(&token, login::left(&token, now), now);
        Ok(token)
    }

    async fn run(&self) -> Result<SecretString, ProxyError> {
        let wrong = |why: String| ProxyError::Command { why };
        let mut command = Command::new("sh");
        // What it complains of goes where the proxy's own complaints go.
        command.args(["-c", &self.line]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|fault| wrong(format!("cannot be run: {fault}")))?;
        let mut group = Group::of(&child);
        let mut text = zeroize::Zeroizing::new(String::new());
        if let Some(output) = child.stdout.take() {
            let read = output.take(MAX_TOKEN + 1).read_to_string(&mut text).await;
            read.map_err(|fault| wrong(format!("printed what cannot be read: {fault}")))?;
        }
        if text.len() as u64 > MAX_TOKEN {
            return Err(wrong(format!("printed more than {MAX_TOKEN} bytes")));
        }
        let ended = child.wait().await.map_err(|fault| wrong(format!("was lost: {fault}")))?;
        group.0 = None;
        if !ended.success() {
            return Err(wrong(format!("failed ({ended})")));
        }
        let token = text.trim();
        match !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(token.into()),
            false => Err(wrong("printed no token: one word on one line is expected".to_owned())),
        }
    }
}

/// A running command with all that it started. Ended when it is dropped before it is done.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Credentials {
    async fn token(&self) -> Result<SecretString, ProxyError> {
        let mut held = self.held.lock().await;
        if let Some(token) = Held::fresh(held.as_ref(), self.clock.now()) {
            return Ok(token);
        }
        let client = Client { secret: Some(self.secret.read()?), ..self.client.clone() };
        let provider = Provider::discover(&self.issuer, self.ca_file.as_deref()).await?;
        let tokens = provider.client_credentials(&client, &self.clock).await?;
        let lives = tokens.lives.or_else(|| login::left(&tokens.access, tokens.received));
        *held = Held::of(&tokens.access, lives, tokens.received);
        Ok(tokens.access)
    }
}

#[cfg(test)]
mod tests {
    use model::FixedClock;
    use secrecy::ExposeSecret;

    use super::*;

    fn clock() -> Arc<FixedClock> {
        Arc::new(FixedClock::at(Timestamp::from_second(1_800_000_000).unwrap()))
    }

    async fn told(line: &str) -> Result<String, String> {
        let source = Source::command(line, TOKEN_COMMAND_TIMEOUT, clock());
        source.token().await.map(|token| token.expose_secret().to_owned()).map_err(|fault| fault.to_string())
    }

    #[tokio::test]
    async fn a_command_prints_one_word_and_succeeds() {
        assert_eq!(told("echo a.b.c").await.unwrap(), "a.b.c");
        assert_eq!(told("printf ' a.b.c \\r\\n'").await.unwrap(), "a.b.c");
        for (line, words) in [
            ("echo a.b.c; exit 3", "failed"),
            ("true", "printed no token"),
            ("echo a b", "printed no token"),
            ("printf 'a\\nb'", "printed no token"),
            ("head -c 70000 /dev/zero | tr '\\0' x", "printed more than"),
            ("printf '\\377'", "cannot be read"),
        ] {
            let fault = told(line).await.unwrap_err();
            assert!(fault.contains(words), "{line}: {fault}");
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended() {
        let source = Source::command("sleep 600", Duration::from_millis(50), clock());
        assert!(matches!(source.token().await, Err(ProxyError::CommandTimeout(_))));
    }

    #[tokio::test]
    async fn a_command_is_run_again_when_its_token_nears_its_end() {
        let place = tempfile::tempdir().unwrap();
        let count = place.path().join("count");
        // {"iat":1800000000,"exp":1800000300}
        let token = "h.eyJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMDMwMH0.s";
        let clock = clock();
        let runs = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
        let line = format!("echo run >> '{}'; echo {token}", count.display());
        let source = Source::command(&line, TOKEN_COMMAND_TIMEOUT, clock.clone());
        for (second, expected) in [(0, 1), (200, 1), (245, 2), (280, 2), (300, 3)] {
            clock.set(Timestamp::from_second(1_800_000_000 + second).unwrap());
            assert_eq!(source.token().await.unwrap().expose_secret(), token);
            assert_eq!(runs(), expected, "after {second} s");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_each_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("token");
        let source = Source::File(path.clone());
        assert!(source.token().await.is_err());
        for token in ["first", "second"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            assert_eq!(source.token().await.unwrap().expose_secret(), token);
        }
    }
}
