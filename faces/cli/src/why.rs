//! `portcullis why`: why a request was allowed or refused, and what would allow it.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;
use crate::sessions::Where;
use crate::told::Told;

#[derive(Args)]
pub(crate) struct Why {
    #[command(flatten)]
    at: Where,
    /// The request id, or enough of its beginning
    request: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(self.explain(out))
    }

    async fn explain(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let told = self.at.open(out).await?.why(&self.request).await?;
        if self.json {
            out.json(&told)?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        out.line(out.tone(Tone::Title, text(told.at("exchange"))))?;
        let explanations = told.list("explanations");
        for explanation in explanations {
            out.line(text(explanation.at("rendered")))?;
        }
        let refusal = told.at("refusal");
        if refusal.is_object() {
            if !explanations.is_empty() {
                out.line("")?;
            }
            let code = out.tone(Tone::Bad, text(refusal.at("code")));
            out.line(format_args!("refused with {code}: {}", text(refusal.at("reason"))))?;
            if let Some(detail) = refusal.at("detail").as_str() {
                out.line(format_args!("because: {detail}"))?;
            }
        } else if explanations.is_empty() {
            out.line("nothing of this request was judged; `sessions show` tells what is recorded of it")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
