//! The last step: how an exchange ended goes into the record, the metrics and the log.

use model::{Findings, Outcome, Refusal, Usage};
use record::{Record, Sealing};

use crate::Gateway;
use crate::came::Came;

/// How an exchange ended.
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) usage: Option<Usage>,
    pub(crate) findings: Findings,
}

impl Ending {
    /// An ending of which nothing else is to be said.
    pub(crate) fn of(outcome: Outcome) -> Self {
        Self { outcome, refusal: None, usage: None, findings: Findings::default() }
    }

    /// A refusal.
    pub(crate) fn refused(outcome: Outcome, refusal: &Refusal) -> Self {
        Self { refusal: Some(refusal.clone()), ..Self::of(outcome) }
    }
}

/// Seals the record. A seal that can't be written is retried by the ledger at its next start, as an
/// interrupted exchange; here it can only be told.
pub(crate) async fn seal(gateway: &Gateway, record: Record, came: &Came, ending: Ending) {
    let took = gateway.clock.elapsed().saturating_sub(came.began);
    let code = ending.refusal.as_ref().map(|refusal| refusal.code);
    tell(came, &ending, code, took);
    metrics::counter!("portcullis_exchanges_total", "outcome" => ending.outcome.as_str(), "code" => code.map_or("", model::Code::name)).increment(1);
    metrics::histogram!("portcullis_exchange_seconds").record(took.as_secs_f64());
    for (class, count) in &ending.findings.masked {
        metrics::counter!("portcullis_masked_total", "class" => class.as_str().to_owned()).increment(*count);
    }
    let sealing = Sealing {
        outcome: ending.outcome,
        refusal: ending.refusal.as_ref(),
        usage: ending.usage,
        findings: &ending.findings,
    };
    if let Err(fault) = record.seal(sealing).await {
        tracing::error!(request = %came.exchange, %fault, "the record could not be sealed");
    }
}

/// What went as it should is told at debug level only: the record holds it, and a line for each would
/// cost more than the record does.
fn tell(came: &Came, ending: &Ending, code: Option<model::Code>, took: std::time::Duration) {
    let (outcome, request) = (ending.outcome.as_str(), came.exchange);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if ending.outcome == Outcome::Completed {
        return tracing::debug!(%request, outcome, took_us, "exchange sealed");
    }
    let detail = ending.refusal.as_ref().and_then(|refusal| refusal.detail.as_deref());
    tracing::info!(%request, outcome, code = code.map(model::Code::name), detail, took_us, "exchange sealed");
}
