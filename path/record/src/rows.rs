//! What a batch of leaves adds to the index: each table's rows go in as one statement, because each
//! statement costs a trip to the database's thread. What exchanges are found by is in `facets`.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::index::number;
use crate::leaf::{Dropped, Finding, Refused, Sealed};
use crate::opened::Opened;
use crate::segment::Position;
use crate::terms;

/// One column of a row.
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Vec<u8>),
}

pub(crate) type Row = Vec<Cell>;

/// Rows for each table.
#[derive(Default)]
pub(crate) struct Rows {
    leaves: Vec<Row>,
    opened: Vec<Row>,
    /// Where in `opened` an exchange is, by its number,
    places: HashMap<i64, usize>,
    /// and those that were sealed in the same batch: one row in place of two.
    whole: Vec<Row>,
    sealed: Vec<Row>,
    refused: Vec<Row>,
    dropped: Vec<Row>,
}

/// A statement around its rows.
pub(crate) struct Statement {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

const LEAVES: Statement = Statement { before: "INSERT OR IGNORE INTO leaves ", after: "" };

const OPENED: Statement = Statement {
    before:
        "INSERT INTO exchanges (n, id, arrived, session, client, caller, issuer, subject, email, kind, groups,
      resource, model, classes, operations, method, path, ruling, policies) ",
    after: " ON CONFLICT DO NOTHING",
};

const WHOLE: Statement = Statement {
    before:
        "INSERT INTO exchanges (n, id, arrived, session, client, caller, issuer, subject, email, kind, groups,
      resource, model, classes, operations, method, path, ruling, policies, outcome, code, status, first_byte,
      total, input_tokens, output_tokens, masked, revealed) ",
    after: " ON CONFLICT DO NOTHING",
};

const SEALED: Statement = Statement {
    before:
        "INSERT INTO exchanges (n, id, outcome, code, status, first_byte, total, input_tokens, output_tokens,
      masked, revealed) ",
    after: " ON CONFLICT (n) DO UPDATE SET outcome = excluded.outcome, code = excluded.code,
      status = excluded.status, first_byte = excluded.first_byte, total = excluded.total,
      input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
      masked = excluded.masked, revealed = excluded.revealed
      ON CONFLICT (id) DO NOTHING",
};

const REFUSED: Statement = Statement {
    before:
        "INSERT INTO exchanges (n, id, arrived, client, method, path, outcome, code, status, caller, issuer,
      subject, email, kind, groups) ",
    after: " ON CONFLICT DO NOTHING",
};

const DROPPED: Statement = Statement {
    before: "INSERT INTO dropped (class, segment, time, rule, reason) ",
    after: " ON CONFLICT (class, segment) DO NOTHING",
};

/// Rows in one statement, the most first: SQLite takes 32,766 values in one, and no row here has more
/// than 28. Few sizes, so that it need not parse each batch anew.
const SIZES: [usize; 4] = [1000, 64, 8, 1];

impl Rows {
    /// Notes that a leaf of exchange `n` lies at `at`.
    pub(crate) fn leaf(&mut self, n: i64, at: Position) {
        self.leaves.push(vec![count(n), count(number(at.segment)), count(number(at.offset))]);
    }

    /// Adds what was opened, and the number of the exchange its session began with.
    pub(crate) fn opened(&mut self, n: i64, session: Option<i64>, leaf: Opened) {
        self.places.insert(n, self.opened.len());
        self.opened.push(opened(n, session, leaf));
    }

    /// Adds how it ended.
    pub(crate) fn sealed(&mut self, n: i64, leaf: Sealed) {
        let begun = self.places.remove(&n).and_then(|at| self.opened.get_mut(at)).map(std::mem::take);
        match begun {
            Some(mut row) => {
                row.extend(end(leaf));
                self.whole.push(row);
            }
            None => {
                let whose = [count(n), Cell::Bytes(leaf.exchange.clone())];
                self.sealed.push(whose.into_iter().chain(end(leaf)).collect());
            }
        }
    }

    /// Adds what came no further than the door.
    pub(crate) fn refused(&mut self, n: i64, leaf: Refused) {
        self.refused.push(refused(n, leaf));
    }

    /// Adds which bodies went, and why.
    pub(crate) fn dropped(&mut self, time: i64, leaf: Dropped) {
        self.dropped.push(dropped(time, leaf));
    }

    /// Enters all rows. What was opened comes before what was sealed, as in the ledger.
    pub(crate) async fn enter(self, all: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        enter(all, &LEAVES, self.leaves).await?;
        // A row that went with its seal left an empty one.
        enter(all, &OPENED, self.opened.into_iter().filter(|row| !row.is_empty()).collect()).await?;
        enter(all, &WHOLE, self.whole).await?;
        enter(all, &SEALED, self.sealed).await?;
        enter(all, &REFUSED, self.refused).await?;
        enter(all, &DROPPED, self.dropped).await
    }
}

/// Enters rows by a statement, as many at once as it takes.
pub(crate) async fn enter(
    all: &mut SqliteConnection,
    statement: &Statement,
    mut rows: Vec<Row>,
) -> Result<(), sqlx::Error> {
    while !rows.is_empty() {
        let size = SIZES.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let rest = rows.split_off(size);
        let mut query = QueryBuilder::<Sqlite>::new(statement.before);
        query.push_values(rows, |mut into, row| {
            for cell in row {
                match cell {
                    Cell::Text(text) => into.push_bind(text),
                    Cell::Number(number) => into.push_bind(number),
                    Cell::Bytes(bytes) => into.push_bind(bytes),
                };
            }
        });
        query.push(statement.after).build().execute(&mut *all).await?;
        rows = rest;
    }
    Ok(())
}

pub(crate) fn text(text: impl Into<String>) -> Cell {
    Cell::Text(Some(text.into()))
}

fn maybe(text: Option<&String>) -> Cell {
    Cell::Text(text.cloned())
}

pub(crate) fn count(value: impl Into<i64>) -> Cell {
    Cell::Number(Some(value.into()))
}

fn opened(n: i64, session: Option<i64>, opened: Opened) -> Row {
    let caller = opened.caller.unwrap_or_default();
    let request = opened.request.unwrap_or_default();
    let decision = opened.decision;
    let model = opened.operations.iter().map(|o| &o.model).find(|model| !model.is_empty());
    let judgements = decision.iter().flat_map(|decision| &decision.judgements);
    let policies: Vec<&str> =
        judgements.flat_map(|judgement| &judgement.reasons).map(|reason| reason.policy.as_str()).collect();
    let policies = json!(policies).to_string();
    vec![
        count(n),
        Cell::Bytes(opened.exchange),
        count(opened.arrived),
        Cell::Number(session),
        text(opened.client),
        text(terms::caller_id(&caller)),
        text(caller.issuer),
        text(caller.subject),
        Cell::Text(caller.email),
        text(caller.kind),
        text(json!(caller.groups).to_string()),
        text(opened.resource),
        maybe(model),
        text(spaced(opened.operations.iter().map(|o| o.class.as_str()))),
        text(spaced(opened.operations.iter().map(|o| o.name.as_str()))),
        text(request.method),
        text(request.path),
        Cell::Text(decision.map(|decision| decision.ruling)),
        text(policies),
    ]
}

/// The columns that tell how it ended.
fn end(sealed: Sealed) -> Row {
    let times = sealed.times.unwrap_or_default();
    let counts = |count: fn(&Finding) -> u64| {
        let found = sealed.findings.iter().filter(|finding| count(finding) > 0);
        Value::Object(found.map(|f| (f.class.clone(), count(f).into())).collect()).to_string()
    };
    let (masked, revealed) = (counts(|finding| finding.masked), counts(|finding| finding.revealed));
    let usage = sealed.usage.as_ref();
    vec![
        text(sealed.outcome),
        Cell::Text(sealed.refusal.map(|refusal| refusal.code)),
        count(sealed.status),
        Cell::Number(times.first_byte_after),
        Cell::Number(times.total),
        Cell::Number(usage.map(|usage| number(usage.input))),
        Cell::Number(usage.map(|usage| number(usage.output))),
        text(masked),
        text(revealed),
    ]
}

fn dropped(time: i64, dropped: Dropped) -> Row {
    let place = [text(dropped.class), count(number(dropped.segment)), count(time)];
    place.into_iter().chain([text(dropped.rule), text(dropped.reason)]).collect()
}

fn refused(n: i64, refused: Refused) -> Row {
    let outcome = terms::at_the_door(&refused);
    let caller = refused.caller.as_ref();
    vec![
        count(n),
        Cell::Bytes(refused.exchange),
        count(refused.arrived),
        text(refused.client),
        text(refused.method),
        text(refused.path),
        text(outcome),
        Cell::Text(refused.refusal.map(|refusal| refusal.code)),
        count(refused.status),
        Cell::Text(caller.map(terms::caller_id)),
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
