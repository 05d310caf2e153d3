//! Opening the record of an act on Portcullis itself: like any exchange, before the act.

use std::net::SocketAddr;

use jiff::Timestamp;
use model::{Act, Area, Decision, Identity, Question};

use crate::describe::{self, nanoseconds};
use crate::opened::{Opened, Operation};
use crate::{Ledger, LedgerError, Record};

/// What is known of an act when its record is opened.
#[derive(Debug)]
pub struct Administering<'a> {
    /// When the request arrived.
    pub arrived: Timestamp,
    /// From where.
    pub client: SocketAddr,
    /// Who acts.
    pub identity: &'a Identity,
    /// In which area.
    pub area: Area,
    /// What it is.
    pub act: Act,
    /// The call's stable name, such as `sessions.list`.
    pub name: &'a str,
    /// What policy said of it.
    pub decision: &'a Decision,
    /// The request as it was judged.
    pub question: &'a Question,
    /// Whether bodies are kept. If not, their lengths and keyed digests are: what is shown of the record
    /// is in the record already.
    pub bodies: bool,
}

impl Ledger {
    /// Opens the record of an act: its request is in the ledger, with all that was judged, when this
    /// returns.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not: nothing may be done.
    pub async fn open_act(&self, act: Administering<'_>) -> Result<Record, LedgerError> {
        let (question, arrived, bodies) = (act.question, act.arrived, act.bodies);
        self.open_described(question, arrived, bodies, |request| Opened {
            exchange: question.exchange().as_bytes().to_vec(),
            arrived: nanoseconds(arrived),
            client: act.client.to_string(),
            caller: Some(describe::caller(act.identity)),
            resource: act.area.recorded().to_owned(),
            operations: vec![operation(&act)],
            decision: Some(describe::decision(act.decision)),
            request: Some(describe::request(question)),
            request_body: Some(request.message()),
            disclosed: Vec::new(),
            session: Vec::new(),
            wrapped_keys: Vec::new(),
            session_name: String::new(),
        })
        .await
    }
}

fn operation(act: &Administering<'_>) -> Operation {
    Operation {
        class: act.act.as_str().to_owned(),
        name: act.name.to_owned(),
        method: act.question.method().as_str().to_owned(),
        path: act.question.path().to_owned(),
        batch: 1,
        request_bytes: i64::try_from(act.question.body().len()).unwrap_or(i64::MAX),
        ..Operation::default()
    }
}
