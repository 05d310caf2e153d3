//! What a batch of leaves adds to the index: each table's rows go in as one statement, because each
//! statement costs a trip to the database's thread.

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use crate::index::{hex, number};
use crate::leaf::{Finding, Leaf, Refused, Sealed, What};
use crate::opened::Opened;
use crate::segment::Position;

/// Rows, each as the array of its columns.
#[derive(Default)]
pub(crate) struct Rows {
    leaves: Vec<Value>,
    opened: Vec<Value>,
    sealed: Vec<Value>,
    refused: Vec<Value>,
}

const LEAVES: &str = "INSERT OR IGNORE INTO leaves SELECT value->>0, value->>1, value->>2 FROM json_each(?)";

const OPENED: &str = "
INSERT INTO exchanges (id, arrived, client, caller, issuer, subject, email, kind, groups, resource, model,
  classes, operations, method, path, ruling, policies)
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8,
  value->>9, value->>10, value->>11, value->>12, value->>13, value->>14, value->>15, value->>16
FROM json_each(?) WHERE true ON CONFLICT (id) DO NOTHING";

const SEALED: &str = "
INSERT INTO exchanges (id, outcome, code, status, first_byte, total, input_tokens, output_tokens, masked,
  revealed)
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8,
  value->>9
FROM json_each(?) WHERE true ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome,
  code = excluded.code, status = excluded.status, first_byte = excluded.first_byte, total = excluded.total,
  input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, masked = excluded.masked,
  revealed = excluded.revealed";

const REFUSED: &str = "
INSERT INTO exchanges (id, arrived, client, method, path, outcome, code, status, caller, issuer, subject,
  email, kind, groups)
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, 'refused', value->>5, value->>6, value->>7,
  value->>8, value->>9, value->>10, value->>11, value->>12
FROM json_each(?) WHERE true ON CONFLICT (id) DO NOTHING";

impl Rows {
    /// Adds what `leaf`, which lies at `at`, says of its exchange.
    pub(crate) fn take(&mut self, at: Position, leaf: Leaf) {
        let id = match &leaf.what {
            Some(What::Opened(opened)) => hex(&opened.exchange),
            Some(What::Part(part)) => hex(&part.exchange),
            Some(What::Sealed(sealed)) => hex(&sealed.exchange),
            Some(What::Refused(refused)) => hex(&refused.exchange),
            _ => return,
        };
        self.leaves.push(json!([id, number(at.segment), number(at.offset)]));
        match leaf.what {
            Some(What::Opened(leaf)) => self.opened.push(opened(&id, &leaf)),
            Some(What::Sealed(leaf)) => self.sealed.push(sealed(&id, &leaf)),
            Some(What::Refused(leaf)) => self.refused.push(refused(&id, &leaf)),
            _ => {}
        }
    }

    /// Enters all rows. What was opened comes before what was sealed, as in the ledger.
    pub(crate) async fn enter(self, all: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let tables =
            [(LEAVES, self.leaves), (OPENED, self.opened), (SEALED, self.sealed), (REFUSED, self.refused)];
        for (statement, rows) in tables {
            if !rows.is_empty() {
                let rows = Value::Array(rows).to_string();
                sqlx::query(statement).bind(rows).execute(&mut *all).await?;
            }
        }
        Ok(())
    }
}

fn opened(id: &str, opened: &Opened) -> Value {
    let caller = opened.caller.clone().unwrap_or_default();
    let request = opened.request.clone().unwrap_or_default();
    let decision = opened.decision.as_ref();
    let model = opened.operations.iter().map(|o| &o.model).find(|model| !model.is_empty());
    let judgements = decision.into_iter().flat_map(|decision| &decision.judgements);
    let policies: Vec<&str> =
        judgements.flat_map(|judgement| &judgement.reasons).map(|reason| reason.policy.as_str()).collect();
    json!([
        id,
        opened.arrived,
        opened.client,
        format!("{}#{}", caller.issuer, caller.subject),
        caller.issuer,
        caller.subject,
        caller.email,
        caller.kind,
        json!(caller.groups).to_string(),
        opened.resource,
        model,
        spaced(opened.operations.iter().map(|o| o.class.as_str())),
        spaced(opened.operations.iter().map(|o| o.name.as_str())),
        request.method,
        request.path,
        decision.map(|decision| &decision.ruling),
        json!(policies).to_string(),
    ])
}

fn sealed(id: &str, sealed: &Sealed) -> Value {
    let times = sealed.times.clone().unwrap_or_default();
    let counts = |count: fn(&Finding) -> u64| {
        let found = sealed.findings.iter().filter(|finding| count(finding) > 0);
        Value::Object(found.map(|f| (f.class.clone(), count(f).into())).collect()).to_string()
    };
    json!([
        id,
        sealed.outcome,
        sealed.refusal.as_ref().map(|refusal| &refusal.code),
        sealed.status,
        times.first_byte_after,
        times.total,
        sealed.usage.as_ref().map(|usage| number(usage.input)),
        sealed.usage.as_ref().map(|usage| number(usage.output)),
        counts(|finding| finding.masked),
        counts(|finding| finding.revealed),
    ])
}

fn refused(id: &str, refused: &Refused) -> Value {
    let code = refused.refusal.as_ref().map(|refusal| &refusal.code);
    let caller = refused.caller.as_ref();
    json!([
        id,
        refused.arrived,
        refused.client,
        refused.method,
        refused.path,
        code,
        refused.status,
        caller.map(|caller| format!("{}#{}", caller.issuer, caller.subject)),
        caller.map(|caller| &caller.issuer),
        caller.map(|caller| &caller.subject),
        caller.and_then(|caller| caller.email.as_ref()),
        caller.map(|caller| &caller.kind),
        caller.map(|caller| json!(caller.groups).to_string()),
    ])
}

/// Words between spaces, each once, so that one can be looked for.
fn spaced<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: std::collections::BTreeSet<&str> = words.collect();
    words.into_iter().fold(String::from(" "), |text, word| text + word + " ")
}
