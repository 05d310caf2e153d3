//! `portcullis why`: why a request was allowed or refused, and what would allow it.

use std::process::ExitCode;

use authorize::PolicySet;
use clap::Args;
use record::Reader;
use serde_json::json;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;
use crate::sessions::Where;

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
        let reader = Reader::open(&self.at.dir(out.colour())?).await?;
        let id = reader.find(&self.request).await?;
        let exchange = reader.show(id).await?;
        let decided_by = exchange.opened.as_ref().and_then(|opened| opened.decision.as_ref());
        let policies = match decided_by {
            Some(decision) => {
                reader.policy_set(&decision.policy_set).await?.map(|text| PolicySet::read_back(&text))
            }
            None => None,
        }
        .transpose()?;
        let explained: Vec<_> = policies
            .iter()
            .flat_map(|set| {
                exchange.judgements().into_iter().map(move |judgement| authorize::explain(set, &judgement))
            })
            .collect();
        let refusal = exchange
            .sealed
            .as_ref()
            .and_then(|sealed| sealed.refusal.as_ref())
            .or_else(|| exchange.refused.as_ref().and_then(|refused| refused.refusal.as_ref()));
        if self.json {
            out.json(&json!({
                "exchange": id.to_string(),
                "explanations": explained,
                "refusal": refusal.map(|refusal| json!({
                    "code": refusal.code, "reason": refusal.reason, "detail": refusal.detail,
                })),
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        out.line(out.tone(Tone::Title, id))?;
        for explanation in &explained {
            out.line(explanation.render())?;
        }
        if let Some(refusal) = refusal {
            if !explained.is_empty() {
                out.line("")?;
            }
            out.line(format_args!(
                "refused with {}: {}",
                out.tone(Tone::Bad, &refusal.code),
                refusal.reason
            ))?;
            if let Some(detail) = &refusal.detail {
                out.line(format_args!("because: {detail}"))?;
            }
        } else if explained.is_empty() {
            out.line("nothing of this request was judged; `sessions show` tells what is recorded of it")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
