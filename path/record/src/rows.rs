//! What a batch of leaves adds to the index: each table's rows go in as one statement, because each
//! statement costs a trip to the database's thread.

use serde_json::{Value, json};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::index::{hex, number};
use crate::leaf::{Dropped, Finding, Leaf, Refused, Sealed, What};
use crate::opened::Opened;
use crate::segment::Position;

/// One column of a row.
enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
}

type Row = Vec<Cell>;

/// Rows for each table.
#[derive(Default)]
pub(crate) struct Rows {
    leaves: Vec<Row>,
    opened: Vec<Row>,
    sealed: Vec<Row>,
    refused: Vec<Row>,
    dropped: Vec<Row>,
}

/// A statement around its rows.
struct Statement {
    before: &'static str,
    after: &'static str,
}

const LEAVES: Statement = Statement { before: "INSERT OR IGNORE INTO leaves ", after: "" };

const OPENED: Statement = Statement {
    before:
        "INSERT INTO exchanges (id, arrived, client, caller, issuer, subject, email, kind, groups, resource,
      model, classes, operations, method, path, ruling, policies) ",
    after: " ON CONFLICT (id) DO NOTHING",
};

const SEALED: Statement = Statement {
    before:
        "INSERT INTO exchanges (id, outcome, code, status, first_byte, total, input_tokens, output_tokens,
      masked, revealed) ",
    after: " ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, code = excluded.code,
      status = excluded.status, first_byte = excluded.first_byte, total = excluded.total,
      input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
      masked = excluded.masked, revealed = excluded.revealed",
};

const REFUSED: Statement = Statement {
    before: "INSERT INTO exchanges (id, arrived, client, method, path, outcome, code, status, caller, issuer,
      subject, email, kind, groups) ",
    after: " ON CONFLICT (id) DO NOTHING",
};

const DROPPED: Statement = Statement {
    before: "INSERT INTO dropped (class, segment, time, rule, reason) ",
    after: " ON CONFLICT (class, segment) DO NOTHING",
};

/// Rows in one statement, the most first: SQLite takes 32,766 values in one, and no row here has more
/// than 17. Few sizes, so that it need not parse each batch anew.
const SIZES: [usize; 4] = [1000, 64, 8, 1];

impl Rows {
    /// Adds what `leaf`, which lies at `at`, says of its exchange.
    pub(crate) fn take(&mut self, at: Position, leaf: Leaf) {
        let at_time = leaf.time;
        let id = match &leaf.what {
            Some(What::Opened(opened)) => hex(&opened.exchange),
            Some(What::Part(part)) => hex(&part.exchange),
            Some(What::Sealed(sealed)) => hex(&sealed.exchange),
            Some(What::Refused(refused)) => hex(&refused.exchange),
            Some(What::Dropped(leaf)) => return self.dropped.push(dropped(at_time, leaf)),
            _ => return,
        };
        self.leaves.push(vec![text(&*id), count(number(at.segment)), count(number(at.offset))]);
        match leaf.what {
            Some(What::Opened(leaf)) => self.opened.push(opened(&id, &leaf)),
            Some(What::Sealed(leaf)) => self.sealed.push(sealed(&id, &leaf)),
            Some(What::Refused(leaf)) => self.refused.push(refused(&id, &leaf)),
            _ => {}
        }
    }

    /// Enters all rows. What was opened comes before what was sealed, as in the ledger.
    pub(crate) async fn enter(self, all: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let tables = [
            (LEAVES, self.leaves),
            (OPENED, self.opened),
            (SEALED, self.sealed),
            (REFUSED, self.refused),
            (DROPPED, self.dropped),
        ];
        for (statement, mut rows) in tables {
            while !rows.is_empty() {
                let size = SIZES.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
                let rest = rows.split_off(size);
                let mut query = QueryBuilder::<Sqlite>::new(statement.before);
                query.push_values(rows, |mut into, row| {
                    for cell in row {
                        match cell {
                            Cell::Text(text) => into.push_bind(text),
                            Cell::Number(number) => into.push_bind(number),
                        };
                    }
                });
                query.push(statement.after).build().execute(&mut *all).await?;
                rows = rest;
            }
        }
        Ok(())
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(Some(text.into()))
}

fn maybe(text: Option<&String>) -> Cell {
    Cell::Text(text.cloned())
}

fn count(value: impl Into<i64>) -> Cell {
    Cell::Number(Some(value.into()))
}

fn opened(id: &str, opened: &Opened) -> Row {
    let caller = opened.caller.clone().unwrap_or_default();
    let request = opened.request.clone().unwrap_or_default();
    let decision = opened.decision.as_ref();
    let model = opened.operations.iter().map(|o| &o.model).find(|model| !model.is_empty());
    let judgements = decision.into_iter().flat_map(|decision| &decision.judgements);
    let policies: Vec<&str> =
        judgements.flat_map(|judgement| &judgement.reasons).map(|reason| reason.policy.as_str()).collect();
    vec![
        text(id),
        count(opened.arrived),
        text(&*opened.client),
        text(format!("{}#{}", caller.issuer, caller.subject)),
        text(caller.issuer),
        text(caller.subject),
        Cell::Text(caller.email),
        text(caller.kind),
        text(json!(caller.groups).to_string()),
        text(&*opened.resource),
        maybe(model),
        text(spaced(opened.operations.iter().map(|o| o.class.as_str()))),
        text(spaced(opened.operations.iter().map(|o| o.name.as_str()))),
        text(request.method),
        text(request.path),
        maybe(decision.map(|decision| &decision.ruling)),
        text(json!(policies).to_string()),
    ]
}

fn sealed(id: &str, sealed: &Sealed) -> Row {
    let times = sealed.times.clone().unwrap_or_default();
    let counts = |count: fn(&Finding) -> u64| {
        let found = sealed.findings.iter().filter(|finding| count(finding) > 0);
        Value::Object(found.map(|f| (f.class.clone(), count(f).into())).collect()).to_string()
    };
    let usage = sealed.usage.as_ref();
    vec![
        text(id),
        text(&*sealed.outcome),
        maybe(sealed.refusal.as_ref().map(|refusal| &refusal.code)),
        count(sealed.status),
        Cell::Number(times.first_byte_after),
        Cell::Number(times.total),
        Cell::Number(usage.map(|usage| number(usage.input))),
        Cell::Number(usage.map(|usage| number(usage.output))),
        text(counts(|finding| finding.masked)),
        text(counts(|finding| finding.revealed)),
    ]
}

fn dropped(time: i64, dropped: &Dropped) -> Row {
    let place = [text(&*dropped.class), count(number(dropped.segment)), count(time)];
    place.into_iter().chain([text(&*dropped.rule), text(&*dropped.reason)]).collect()
}

fn refused(id: &str, refused: &Refused) -> Row {
    let caller = refused.caller.as_ref();
    vec![
        text(id),
        count(refused.arrived),
        text(&*refused.client),
        text(&*refused.method),
        text(&*refused.path),
        text(if refused.refusal.is_some() { "refused" } else { "completed" }),
        maybe(refused.refusal.as_ref().map(|refusal| &refusal.code)),
        count(refused.status),
        Cell::Text(caller.map(|caller| format!("{}#{}", caller.issuer, caller.subject))),
        maybe(caller.map(|caller| &caller.issuer)),
        maybe(caller.map(|caller| &caller.subject)),
        maybe(caller.and_then(|caller| caller.email.as_ref())),
        maybe(caller.map(|caller| &caller.kind)),
        Cell::Text(caller.map(|caller| json!(caller.groups).to_string())),
    ]
}

/// Words between spaces, each once, so that one can be looked for.
fn spaced<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: std::collections::BTreeSet<&str> = words.collect();
    words.into_iter().fold(String::from(" "), |text, word| text + word + " ")
}
