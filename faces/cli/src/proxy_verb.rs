//! `portcullis proxy`: a local address and key for tools that cannot keep a token fresh.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use config::SecretRef;
use login::{Client, LoginError};
use model::{ResourceName, SystemClock};
use proxy::{Listen, Proxy as Local, Source, TOKEN_COMMAND_TIMEOUT, Target};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::whoami::Whose;
use crate::{log, serve};

#[derive(Args)]
pub(crate) struct Proxy {
    /// The resource at the gateway
    #[arg(long, value_parser = ResourceName::new)]
    resource: ResourceName,
    #[command(flatten)]
    whose: Whose,
    /// Listen on 127.0.0.1 at this port; the system chooses one when absent
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Listen on this Unix socket instead; then no key is needed
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    socket: Option<PathBuf>,
    /// Take the token from this file, which somebody else keeps fresh
    #[arg(long, value_name = "FILE", group = "source", requires = "gateway")]
    token_file: Option<PathBuf>,
    /// Take the token that this shell command prints
    #[arg(long, value_name = "COMMAND", group = "source", requires = "gateway")]
    token_command: Option<String>,
    /// How long that command may run, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TOKEN_COMMAND_TIMEOUT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=600))]
    token_command_timeout: u64,
    /// Get tokens by a program's own credentials with this issuer
    #[arg(long, value_name = "URL", group = "source", requires_all = ["gateway", "client_id", "client_secret"])]
    issuer: Option<String>,
    /// The program's id with the issuer
    #[arg(long, value_name = "ID", requires = "issuer")]
    client_id: Option<String>,
    /// Where its secret lies, as env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", requires = "issuer", value_parser = secret)]
    client_secret: Option<SecretRef>,
    /// A scope to ask for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", requires = "issuer")]
    scopes: Vec<String>,
    /// The resource to ask a token for (RFC 8707)
    #[arg(long, value_name = "RESOURCE", requires = "issuer")]
    token_resource: Option<String>,
    /// The audience to ask a token for
    #[arg(long, value_name = "AUDIENCE", requires = "issuer")]
    token_audience: Option<String>,
    /// Certificates to trust for the gateway instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Certificates to trust for the issuer instead of the system's
    #[arg(long, value_name = "FILE", requires = "issuer")]
    issuer_ca_file: Option<PathBuf>,
    /// Also write the variables to this file, for your eyes only
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Print a line of JSON instead of shell lines
    #[arg(long)]
    json: bool,
    /// Run this command with the variables set, and end with it
    #[arg(last = true)]
    command: Vec<OsString>,
}

fn secret(text: &str) -> Result<SecretRef, String> {
    match text.split_once(':') {
        Some(("env", name)) if !name.is_empty() => Ok(SecretRef::Env(name.to_owned())),
        Some(("file", path)) if !path.is_empty() => Ok(SecretRef::File(path.into())),
        _ => Err("write env:NAME or file:PATH; the secret itself would be seen by others".to_owned()),
    }
}

impl Proxy {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        log::start("warn");
        serve::runtime()?.block_on(self.stand(out))
    }

    async fn stand(mut self, out: &mut Out) -> Result<ExitCode, Failure> {
        let command = std::mem::take(&mut self.command);
        let (env_file, json) = (self.env_file.take(), self.json);
        let listen = self.socket.take().map_or(Listen::Loopback(self.port), Listen::Socket);
        let (target, source) = self.source()?;
        let local = Local::open(&listen, &target, source).await.map_err(said)?;
        let environment = local.environment();
        if let Some(file) = &env_file {
            write_private(file, &lines(&environment, local.socket().is_some()))?;
        }
        if command.is_empty() {
            tell(&local, json, out)?;
        }
        let stop = CancellationToken::new();
        let serving = tokio::spawn(local.serve(stop.clone()));
        let ended = match command.split_first() {
            Some((program, arguments)) => run(program, arguments, &environment).await,
            None => serve::until_told_to_stop().await.map(|()| ExitCode::SUCCESS),
        };
        stop.cancel();
        // Lost or done, it serves no more.
        let _ = serving.await;
        ended
    }

    /// Where it leads, and with whose token.
    fn source(self) -> Result<(Target, Source), Failure> {
        let clock = Arc::new(SystemClock::default());
        let resource = self.resource.clone();
        let gateway = self.whose.gateway().map(login::origin).transpose()?;
        let given = |ca_file| {
            let gateway =
                gateway.clone().ok_or_else(|| Failure::Said("name the gateway: `--gateway URL`".to_owned()));
            gateway.map(|gateway| Target { gateway, resource: resource.clone(), ca_file })
        };
        if let Some(file) = self.token_file {
            return Ok((given(self.ca_file)?, Source::File(file)));
        }
        if let Some(line) = self.token_command {
            let timeout = Duration::from_secs(self.token_command_timeout);
            return Ok((given(self.ca_file)?, Source::command(&line, timeout, clock)));
        }
        if let (Some(issuer), Some(id), Some(secret)) = (self.issuer, self.client_id, self.client_secret) {
            let client = Client {
                id,
                secret: None,
                scopes: self.scopes,
                resource: self.token_resource,
                audience: self.token_audience,
            };
            let source = Source::client(&issuer, self.issuer_ca_file.as_deref(), client, secret, clock);
            return Ok((given(self.ca_file)?, source));
        }
        let login = self.whose.choose()?;
        let profile = login.profile()?;
        let (kept, ca_file) = profile.map_or((None, None), |profile| (profile.gateway, profile.ca_file));
        // Never to another gateway than the login is for.
        if let (Some(kept), Some(named)) = (&kept, &gateway)
            && kept != named
        {
            return Err(LoginError::Choice(format!("this login is for {kept}, not for {named}")).into());
        }
        let gateway = gateway.clone().or(kept);
        let gateway = gateway
            .ok_or_else(|| Failure::Said("this login names no gateway: add `--gateway URL`".to_owned()))?;
        Ok((Target { gateway, resource, ca_file: self.ca_file.or(ca_file) }, Source::Login(login)))
    }
}

fn said(fault: proxy::ProxyError) -> Failure {
    Failure::Said(fault.to_string())
}

/// What a shell can read. On a socket the address says nothing: a tool must be told the socket by a way of
/// its own.
fn lines(environment: &[(&'static str, String)], socket: bool) -> String {
    let environment = environment.iter().filter(|_| !socket);
    // Neither address nor key holds a character that a shell reads.
    environment.map(|(name, value)| format!("export {name}='{value}'\n")).collect()
}

fn tell(local: &Local, as_json: bool, out: &mut Out) -> Result<(), Failure> {
    let environment = local.environment();
    if as_json {
        let environment: serde_json::Map<_, _> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        out.line(json!({ "socket": local.socket(), "base": local.base(), "environment": environment }))?;
        return Ok(());
    }
    match local.socket() {
        Some(socket) => out.line(format_args!(
            "# listening on {}; only your own programs may connect\n# for example: curl --unix-socket {} {}/v1/models",
            socket.display(),
            socket.display(),
            local.base()
        ))?,
        None => {
            out.line(out.tone(Tone::Faint, "# set these where the tool starts; the key is good while this runs"))?;
            out.raw(lines(&environment, false).as_bytes())?;
        }
    }
    Ok(())
}

fn write_private(file: &PathBuf, text: &str) -> Result<(), Failure> {
    let write = || {
        // A file that is there keeps its mode, so it is made anew.
        match std::fs::remove_file(file) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        File::options().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
    };
    write().map_err(|fault| Failure::Said(format!("cannot write {}: {fault}", file.display())))
}

/// Runs the tool, and ends as it does.
async fn run(
    program: &OsString,
    arguments: &[OsString],
    environment: &[(&'static str, String)],
) -> Result<ExitCode, Failure> {
    // The terminal sends Ctrl-C to the tool too; whether it ends then is the tool's business.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut tool = tokio::process::Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .kill_on_drop(true)
        .spawn()
        .map_err(|fault| Failure::Said(format!("cannot run `{}`: {fault}", program.display())))?;
    loop {
        tokio::select! {
            ended = tool.wait() => {
                let status = ended.map_err(|fault| Failure::Said(format!("the command was lost: {fault}")))?;
                return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => return Ok(ExitCode::from(1)),
        }
    }
}

fn deaf(fault: std::io::Error) -> Failure {
    Failure::Said(format!("cannot hear signals: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_not_given() {
        assert_eq!(secret("env:KEY"), Ok(SecretRef::Env("KEY".to_owned())));
        assert_eq!(secret("file:/run/key"), Ok(SecretRef::File("/run/key".into())));
        for bad in ["the-secret-itself", "env:", "file:", ""] {
            assert!(secret(bad).is_err(), "{bad}");
        }
    }
}
