//! `portcullis login`: a person gets a token, by the browser here or on another screen.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use login::{Folder, GatewayLogins, Kept, Loopback, Offer, Presented, Profile, Provider, Tokens};
use model::{Clock, SystemClock};
use serde_json::json;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;

/// How long a person has to log in by the browser.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Where the browser comes back to, unless the provider wants another place.
const REDIRECT: &str = "http://127.0.0.1/callback";
/// What is asked for, unless somebody says otherwise.
const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

#[derive(Args)]
pub(crate) struct Login {
    /// The gateway: it says where its people log in
    #[arg(long, value_name = "URL", env = "PORTCULLIS_GATEWAY")]
    gateway: Option<String>,
    /// The provider, where the gateway names several or none
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// This program's registration with the provider: a public client
    #[arg(long, value_name = "ID", requires = "issuer")]
    client_id: Option<String>,
    /// A scope to ask for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", requires = "client_id")]
    scopes: Vec<String>,
    /// The resource to ask a token for (RFC 8707)
    #[arg(long, requires = "client_id")]
    resource: Option<String>,
    /// The audience to ask a token for, where the provider takes it by that name
    #[arg(long, requires = "client_id")]
    audience: Option<String>,
    /// Which token to show the gateway
    #[arg(long, value_enum, requires = "client_id")]
    token: Option<Which>,
    /// What the provider shall ask each time: consent, login, select_account
    #[arg(long, requires = "client_id")]
    prompt: Option<String>,
    /// Where the browser comes back to, as registered: http on 127.0.0.1 or localhost
    #[arg(long, value_name = "URL", requires = "client_id")]
    redirect_uri: Option<String>,
    /// Log in on another screen: type a code in there
    #[arg(long)]
    device: bool,
    /// Only print the page's address
    #[arg(long, conflicts_with = "device")]
    no_browser: bool,
    /// What to call this login; by default the gateway's or provider's host
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_PROFILE")]
    profile: Option<String>,
    /// Certificates to trust for the gateway instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Certificates to trust for the provider instead of the system's
    #[arg(long, value_name = "FILE")]
    issuer_ca_file: Option<PathBuf>,
    /// Print lines of JSON: what to open or type in, then who is logged in
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Access,
    Id,
}

impl Login {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(self.log_in(out))
    }

    async fn log_in(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let folder = Folder::of_person()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (name, profile) = self.plan(&folder).await?;
        // Before anybody logs in: whether it could be kept at all.
        folder.read(&name)?;
        let provider = Provider::discover(&profile.offer.issuer, profile.issuer_ca_file.as_deref()).await?;
        let tokens = match self.device {
            true => self.by_device(&provider, &profile, &clock, out).await?,
            false => self.by_browser(&provider, &profile, &clock, out).await?,
        };
        let kept = Kept::new(profile, tokens)?;
        folder.write(&name, &kept)?;
        folder.make_default(&name)?;
        self.tell(&name, &kept, out)?;
        if self.is_known(&kept, out).await? { Ok(ExitCode::SUCCESS) } else { Ok(ExitCode::from(1)) }
    }

    /// Whether the gateway takes the token: what is wrong with a login is best told now.
    async fn is_known(&self, kept: &Kept, out: &mut Out) -> Result<bool, Failure> {
        let Some(gateway) = &kept.profile.gateway else { return Ok(true) };
        let note = out.tone(Tone::Caution, "note:");
        match GatewayLogins::knows(gateway, kept.profile.ca_file.as_deref(), kept.shown()).await {
            Ok(true) => Ok(true),
            Ok(false) => {
                let why = "refuses this token; `portcullis token inspect` tells its operator the failing check, most \
                           often the audience";
                if self.json {
                    out.line(json!({ "known_to_gateway": false }))?;
                } else {
                    out.line(format_args!("{note} the gateway {gateway} {why}"))?;
                }
                Ok(false)
            }
            // It may be away for now; the login is good all the same.
            Err(fault) => {
                if !self.json {
                    out.line(format_args!(
                        "{note} could not ask whether the gateway takes this token: {fault}"
                    ))?;
                }
                Ok(true)
            }
        }
    }

    /// Where and how to log in, and under which name to keep it.
    async fn plan(&self, folder: &Folder) -> Result<(String, Profile), Failure> {
        let named = match &self.profile {
            Some(name) => Some(name.clone()),
            None if self.gateway.is_none() && self.issuer.is_none() => folder.default_name()?,
            None => None,
        };
        let before = named.as_deref().map(|name| folder.read(name)).transpose()?.flatten();
        let before = before.map(|kept| kept.profile);
        let mut profile = match (&self.client_id, &self.issuer, before) {
            (Some(client_id), Some(issuer), _) => self.by_hand(issuer, client_id)?,
            (None, Some(_), None) if self.gateway.is_none() => {
                return Err(Failure::Said(
                    "`--issuer` alone does not say who asks: add `--client-id`, or `--gateway`".to_owned(),
                ));
            }
            // The gateway's word counts, each time: its configuration may have changed.
            (_, _, before) => match (&self.gateway, before) {
                (Some(gateway), _) => self.as_the_gateway_says(gateway, self.ca_file.clone()).await?,
                (None, Some(Profile { gateway: Some(gateway), ca_file, .. })) => {
                    self.as_the_gateway_says(&gateway, self.ca_file.clone().or(ca_file)).await?
                }
                (None, Some(profile))
                    if self.issuer.as_ref().is_none_or(|issuer| *issuer == profile.offer.issuer) =>
                {
                    profile
                }
                (None, Some(_)) => {
                    return Err(Failure::Said(
                        "this login is with another provider: add `--client-id`, or choose another `--profile`".to_owned(),
                    ));
                }
                (None, None) => {
                    return Err(Failure::Said(
                        "name the gateway: `portcullis login --gateway URL`; or a provider: `--issuer URL --client-id ID`"
                            .to_owned(),
                    ));
                }
            },
        };
        if self.issuer_ca_file.is_some() {
            profile.issuer_ca_file.clone_from(&self.issuer_ca_file);
        }
        profile.issuer_ca_file = absolute(profile.issuer_ca_file)?;
        profile.ca_file = absolute(profile.ca_file)?;
        let place = profile.gateway.as_deref().unwrap_or(&profile.offer.issuer);
        let name = named.unwrap_or_else(|| name_of(place));
        Ok((name, profile))
    }

    async fn as_the_gateway_says(&self, gateway: &str, ca_file: Option<PathBuf>) -> Result<Profile, Failure> {
        let logins = GatewayLogins::ask(gateway, ca_file.as_deref()).await?;
        let offer = logins.choose(self.issuer.as_deref())?.clone();
        Ok(Profile { gateway: Some(logins.gateway), offer, issuer_ca_file: None, ca_file })
    }

    fn by_hand(&self, issuer: &str, client_id: &str) -> Result<Profile, Failure> {
        let scopes = match self.scopes.as_slice() {
            [] => SCOPES.map(str::to_owned).to_vec(),
            given => given.iter().flat_map(|words| words.split_whitespace().map(str::to_owned)).collect(),
        };
        let offer = Offer {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            scopes,
            resource: self.resource.clone(),
            audience: self.audience.clone(),
            token: match self.token {
                Some(Which::Id) => Presented::Id,
                _ => Presented::Access,
            },
            prompt: self.prompt.clone(),
            redirect_uri: self.redirect_uri.clone(),
        };
        let gateway = self.gateway.as_deref().map(login::origin).transpose()?;
        Ok(Profile { gateway, offer, issuer_ca_file: None, ca_file: self.ca_file.clone() })
    }

    async fn by_browser(
        &self,
        provider: &Provider,
        profile: &Profile,
        clock: &Arc<dyn Clock>,
        out: &mut Out,
    ) -> Result<Tokens, Failure> {
        let client = profile.client();
        let loopback = Loopback::bind(profile.offer.redirect_uri.as_deref().unwrap_or(REDIRECT)).await?;
        let prompt: Vec<_> = profile.offer.prompt.iter().map(|prompt| ("prompt", prompt.as_str())).collect();
        let (url, pending) = login::code::begin(provider, &client, loopback.redirect_uri(), &prompt)?;
        let opened = !self.no_browser && login::open_browser(&url);
        if self.json {
            out.line(json!({ "open": url, "opened": opened }))?;
        } else {
            let lead = if opened {
                "your browser opens this page to log in; if it does not, open it yourself:"
            } else {
                "open this page to log in:"
            };
            out.line(format_args!("{lead}\n\n  {url}\n"))?;
        }
        let mine = pending.clone();
        let query = loopback.answer(move |query| mine.is_answered_by(query), PATIENCE).await?;
        Ok(pending.redeem(provider, &client, &query, clock).await?)
    }

    async fn by_device(
        &self,
        provider: &Provider,
        profile: &Profile,
        clock: &Arc<dyn Clock>,
        out: &mut Out,
    ) -> Result<Tokens, Failure> {
        let client = profile.client();
        let device = login::device::begin(provider, &client, clock).await?;
        if self.json {
            out.line(json!({
                "open": device.verification_uri,
                "open_complete": device.verification_uri_complete,
                "code": device.user_code,
                "seconds": device.lives.as_secs(),
            }))?;
        } else {
            let code = out.tone(Tone::Title, &device.user_code);
            out.line(format_args!(
                "on any screen, open\n\n  {}\n\nand type in the code\n\n  {code}\n",
                device.verification_uri
            ))?;
            if let Some(complete) = &device.verification_uri_complete {
                out.line(format_args!("or open, with the code in it,\n\n  {complete}\n"))?;
            }
            let minutes = device.lives.as_secs().div_ceil(60);
            out.line(out.tone(Tone::Faint, format_args!("it is good for {minutes} minutes; waiting")))?;
        }
        Ok(device.wait(provider, &client, clock).await?)
    }

    fn tell(&self, name: &str, kept: &Kept, out: &mut Out) -> Result<(), Failure> {
        let renewed = kept.refresh().is_some();
        if self.json {
            out.line(crate::whoami::described(name, kept))?;
            return Ok(());
        }
        let who = kept.display.as_deref().or(kept.subject.as_deref()).unwrap_or("somebody");
        let good = out.tone(Tone::Good, "logged in");
        out.line(format_args!("{good} as {who} ({}), kept as `{name}`", kept.profile.offer.issuer))?;
        if !renewed {
            let note = out.tone(Tone::Caution, "note:");
            out.line(format_args!(
                "{note} the provider gave no refresh token, so this login ends at {}; the scope `offline_access` often \
                 brings one, with some providers only with `prompt: consent`",
                kept.ends.strftime("%H:%M:%S UTC")
            ))?;
        }
        Ok(())
    }
}

/// A later run may have another working folder.
fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    path.map(std::path::absolute)
        .transpose()
        .map_err(|fault| Failure::Said(format!("the certificates' file has no absolute path: {fault}")))
}

/// A name for a login, from the host of a URL.
fn name_of(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or_default();
    let name: String =
        host.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c.to_ascii_lowercase() } else { '-' }
            })
            .take(63)
            .collect();
    let name = name.trim_matches(['-', '.']);
    if login::is_a_name(name) { name.to_owned() } else { "login".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_called_by_its_host() {
        for (url, name) in [
            ("https://gateway.example.test", "gateway.example.test"),
            ("https://Gateway.example.test:8443", "gateway.example.test-8443"),
            ("http://[::1]:8080", "1--8080"),
            ("https://login.example.test/realms/corp", "login.example.test"),
            ("https://", "login"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
        assert_eq!(name_of(&format!("https://{}", "x".repeat(300))).len(), 63);
    }
}
