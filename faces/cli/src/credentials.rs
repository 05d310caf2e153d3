//! `portcullis credentials`: replacing what opens a resource.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{Asked, Client, Refused, RemoteError, segment};
use crate::serve;
use crate::told::Told;

/// How long the gateway may take: the longest command there may be, and the upstreams' answers.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often a call that waits for consent is made again.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Subcommand)]
pub(crate) enum CredentialsVerb {
    /// Make a new credential for a resource; the old one is used until every upstream takes the new
    Rotate(Rotate),
}

#[derive(Args)]
pub(crate) struct Rotate {
    /// The resource
    resource: String,
    #[command(flatten)]
    at: Asked,
    /// Where policy asks for consent, wait until people gave it or denied it
    #[arg(long)]
    wait: bool,
}

impl CredentialsVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let Self::Rotate(rotate) = self;
        serve::runtime()?.block_on(rotate.run(out))
    }
}

impl Rotate {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let path = format!("/resources/{}/credential/rotate", segment(&self.resource));
        let mut told = false;
        loop {
            // A wait may outlast a token.
            let client = self.at.client().await?.patient(PATIENCE);
            match rotated(&client, &path).await? {
                Ok(answer) => return self.done(&answer, out),
                Err(refused) if self.wait && refused.code() == "approval_pending" => {
                    if !std::mem::replace(&mut told, true) {
                        Out::stderr().line(&refused)?;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
                Err(refused) => {
                    Out::stderr().error(&refused);
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    }

    fn done(&self, answer: &Value, out: &mut Out) -> Result<ExitCode, Failure> {
        if self.at.json {
            out.json(answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let done = format!("The credential of {} was replaced.", text(answer.at("name")));
        out.line(out.tone(Tone::Good, done))?;
        for upstream in answer.list("upstreams") {
            let (url, status) = (text(upstream.at("url")), upstream.at("status"));
            out.line(format_args!("{url} took the new one ({}: {status})", text(answer.at("probe"))))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks once. The inner error is a no that says why; the outer one that it could not be asked.
async fn rotated(client: &Client, path: &str) -> Result<Result<Value, Refused>, RemoteError> {
    match client.send(Method::POST, path, None).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(RemoteError::Refused(refused)) if is_no(&refused) => Ok(Err(refused)),
        Err(fault) => Err(fault),
    }
}

fn is_no(refused: &Refused) -> bool {
    matches!(
        refused.code(),
        "rotation_failed" | "approval_pending" | "approval_denied" | "approval_expired" | "approval_void"
    )
}
