//! `portcullis whoami` and `portcullis logout`: whose token would be used, and the end of it.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use login::{Choice, Kept, Login, LoginError, Presented, Wanted};
use model::SystemClock;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;

/// Which login is meant.
#[derive(Args)]
pub(crate) struct Whose {
    /// The login, by the name it is kept under; the last one made when absent
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_PROFILE")]
    profile: Option<String>,
    /// The login at this gateway
    #[arg(long, value_name = "URL", env = "PORTCULLIS_GATEWAY")]
    gateway: Option<String>,
}

impl Whose {
    pub(crate) fn choose(self) -> Result<Login, LoginError> {
        let wanted = Wanted { profile: self.profile, gateway: self.gateway };
        Login::choose(&wanted, Arc::new(SystemClock::default()))
    }

    pub(crate) fn gateway(&self) -> Option<&str> {
        self.gateway.as_deref()
    }
}

#[derive(Args)]
pub(crate) struct Whoami {
    #[command(flatten)]
    whose: Whose,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    whose: Whose,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Whoami {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let login = self.whose.choose();
        let told = login.and_then(|login| match (login.choice(), login.kept()?) {
            (Choice::Person(name), Some(kept)) => Ok(described(name, &kept)),
            _ => Ok(machine(&login.claims()?.unwrap_or(Value::Null))),
        });
        let told = match told {
            Ok(told) => told,
            Err(nobody @ LoginError::LoggedOut(_)) => {
                match self.json {
                    true => out.json(&json!({ "logged_in": false }))?,
                    false => out.line(nobody)?,
                }
                return Ok(ExitCode::from(1));
            }
            Err(fault) => return Err(fault.into()),
        };
        if self.json {
            out.json(&told)?;
        } else {
            print(&told, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A login, without its tokens. What the token says is unverified: that is the gateway's to do.
pub(crate) fn described(name: &str, kept: &Kept) -> Value {
    let claims = kept.claims().unwrap_or(Value::Null);
    json!({
        "logged_in": true,
        "profile": name,
        "gateway": kept.profile.gateway,
        "issuer": kept.profile.offer.issuer,
        "subject": kept.subject.as_deref().or_else(|| claims.get("sub").and_then(Value::as_str)),
        "name": kept.display,
        "groups": claims.get("groups"),
        "token": match kept.profile.offer.token { Presented::Access => "access", Presented::Id => "id" },
        "ends": kept.ends.to_string(),
        "refreshed": kept.refresh().is_some(),
    })
}

fn machine(claims: &Value) -> Value {
    let second = claims.get("exp").and_then(Value::as_i64);
    let ends = second.and_then(|second| jiff::Timestamp::from_second(second).ok());
    json!({
        "logged_in": true,
        "profile": null,
        "source": "PORTCULLIS_TOKEN",
        "issuer": claims.get("iss"),
        "subject": claims.get("sub"),
        "name": claims.get("email"),
        "groups": claims.get("groups"),
        "ends": ends.map(|ends| ends.to_string()),
        "refreshed": false,
    })
}

fn print(told: &Value, out: &mut Out) -> Result<(), Failure> {
    for key in ["name", "subject", "groups", "issuer", "gateway", "profile", "source", "ends"] {
        let text = match told.get(key) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        // A token is a stranger's text, and a terminal obeys control characters.
        let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        out.line(format_args!("{key:<8} {text}"))?;
    }
    if told.get("refreshed") == Some(&Value::Bool(true)) {
        out.line(out.tone(Tone::Faint, "its token is refreshed by itself"))?;
    }
    Ok(())
}

impl Logout {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let login = self.whose.choose()?;
        let name = match login.choice() {
            Choice::Person(name) => name.clone(),
            Choice::Machine => String::new(),
        };
        let ended = serve::runtime()?.block_on(login.end());
        let (revoked, fault) = match ended {
            Ok(revoked) => (revoked, None),
            // Gone here all the same.
            Err(
                fault @ (LoginError::Dial { .. } | LoginError::Answer { .. } | LoginError::Refused { .. }),
            ) => (false, Some(fault.to_string())),
            Err(fault) => return Err(fault.into()),
        };
        if self.json {
            out.json(&json!({ "profile": name, "forgotten": true, "revoked": revoked, "fault": fault }))?;
        } else {
            let how = match (revoked, &fault) {
                (true, _) => "its tokens are forgotten here and revoked at the provider".to_owned(),
                (false, None) => {
                    "its tokens are forgotten here; there was nothing to revoke at the provider".to_owned()
                }
                (false, Some(fault)) => format!(
                    "its tokens are forgotten here, but not revoked at the provider: {fault}; end the session there"
                ),
            };
            out.line(format_args!("logged out of `{name}`: {how}"))?;
        }
        Ok(if fault.is_some() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}
