//! One line of a list, as the index has it.

use jiff::Timestamp;
use model::ExchangeId;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::index::unsigned;

/// One line of a list. What an exchange does not have yet, or never had, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub exchange: ExchangeId,
    /// When it arrived.
    pub arrived: Timestamp,
    /// The session it belongs to, which is named by its first exchange.
    pub session: Option<ExchangeId>,
    /// The session that begins with it.
    pub begins: Option<Begun>,
    /// From where.
    pub client: Option<String>,
    /// The caller's issuer.
    pub issuer: Option<String>,
    /// The caller's subject.
    pub subject: Option<String>,
    /// The caller's e-mail address.
    pub email: Option<String>,
    /// `human` or `workload`.
    pub kind: Option<String>,
    /// The caller's groups.
    pub groups: Vec<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The operations' classes.
    pub classes: Vec<String>,
    /// The operations' names.
    pub operations: Vec<String>,
    /// The method.
    pub method: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// What policy ruled.
    pub ruling: Option<String>,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// How it ended; `None` while it is open.
    pub outcome: Option<String>,
    /// The refusal's code.
    pub code: Option<String>,
    /// The status the caller got.
    pub status: Option<u16>,
    /// Nanoseconds from arrival to the first byte of the answer's body.
    pub first_byte_after: Option<u64>,
    /// Nanoseconds from arrival to the end.
    pub total: Option<u64>,
    /// Tokens read and written.
    pub tokens: Option<(u64, u64)>,
    /// Values masked, by class.
    pub masked: Vec<(String, u64)>,
    /// Values revealed, by class.
    pub revealed: Vec<(String, u64)>,
}

/// A session, told with the exchange it begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// How many exchanges it has so far.
    pub exchanges: u64,
    /// When the last of them ended, or arrived if it did not end yet.
    pub ended: Timestamp,
    /// As the client calls it, if it does.
    pub name: Option<String>,
}

pub(crate) fn listed(row: &SqliteRow) -> Option<Listed> {
    let words = |column: &str| -> Vec<String> {
        let text: Option<String> = row.get(column);
        text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let list = |column: &str| -> Vec<String> {
        let text: Option<String> = row.get(column);
        serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default()
    };
    let counts = |column: &str| -> Vec<(String, u64)> {
        let text: Option<String> = row.get(column);
        let counts: std::collections::BTreeMap<String, u64> =
            serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
        counts.into_iter().collect()
    };
    let id = |column: &str| -> Option<ExchangeId> {
        let id: Option<&[u8]> = row.get(column);
        Some(ExchangeId::from_bytes(id?.try_into().ok()?))
    };
    let begins = |exchanges: i64| Begun {
        exchanges: unsigned(exchanges),
        ended: Timestamp::from_nanosecond(i128::from(row.get::<i64, _>("session_ended"))).unwrap_or_default(),
        name: row.get("session_name"),
    };
    let arrived: i64 = row.get("arrived");
    let count = |column: &str| row.get::<Option<i64>, _>(column).map(unsigned);
    Some(Listed {
        exchange: id("id")?,
        session: id("session_id"),
        begins: row.get::<Option<i64>, _>("session_count").map(begins),
        arrived: Timestamp::from_nanosecond(i128::from(arrived)).ok()?,
        client: row.get("client"),
        issuer: row.get("issuer"),
        subject: row.get("subject"),
        email: row.get("email"),
        kind: row.get("kind"),
        groups: list("groups"),
        resource: row.get("resource"),
        model: row.get("model"),
        classes: words("classes"),
        operations: words("operations"),
        method: row.get("method"),
        path: row.get("path"),
        ruling: row.get("ruling"),
        policies: list("policies"),
        outcome: row.get("outcome"),
        code: row.get("code"),
        status: count("status").and_then(|status| u16::try_from(status).ok()).filter(|status| *status > 0),
        first_byte_after: count("first_byte"),
        total: count("total"),
        tokens: count("input_tokens").zip(count("output_tokens")),
        masked: counts("masked"),
        revealed: counts("revealed"),
    })
}
