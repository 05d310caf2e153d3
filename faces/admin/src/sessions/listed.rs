//! Lists of exchanges and of sessions.

use model::{Code, Refusal};
use record::{Cursor, Filter, Listed, Page};
use serde_json::{Value, json};

use super::export::Each;
use super::narrowed;
use crate::exchange::{Answer, Asked, Sight};
use crate::table::LIMIT;
use crate::{Admin, paging, recall, views};

/// What a call's query asks for. Parameters that the call does not take are not there.
///
/// # Errors
/// A refusal for a cursor or a session that is none.
pub(super) fn filter(list: &str, asked: &Asked, sight: &Sight) -> Result<Filter, Refusal> {
    let query = &asked.query;
    let text = |name: &str| query.text(name).map(str::to_owned);
    let exactly = narrowed(asked, &sight.identity);
    let session = match query.text("session") {
        Some(text) => Some(views::session_named(text).ok_or_else(|| {
            Refusal::new(Code::RequestMalformed)
                .because("A session is spelt `s-` and the id of its first exchange.")
        })?),
        None => None,
    };
    let cursor = match query.text("cursor") {
        Some(cursor) => Some(place(list, cursor)?),
        None => None,
    };
    Ok(Filter {
        // Whose they are decides, not how it is spelt: a subject may look like another caller's id.
        caller: text("caller").filter(|_| exactly.is_none()),
        exactly,
        group: text("group"),
        resource: text("resource"),
        model: text("model"),
        class: text("class"),
        ruling: text("ruling"),
        outcome: text("outcome"),
        masked: text("masked"),
        revealed: text("revealed"),
        session,
        text: text("text"),
        since: query.time("since"),
        until: query.time("until"),
        begins: false,
        without: None,
        limit: Some(query.count(&LIMIT)),
        cursor,
    })
}

fn place(list: &str, cursor: &str) -> Result<Cursor, Refusal> {
    let place = paging::place(list, cursor)?;
    Cursor::parse(&place).ok_or_else(|| Refusal::new(Code::RequestMalformed).because("The cursor is broken."))
}

async fn page(admin: &Admin, filter: &Filter) -> Result<Page, Refusal> {
    let reader = recall::reader(&admin.gateway).await?;
    reader.list(filter).await.map_err(|fault| recall::unreadable(&fault))
}

fn told(list: &str, page: &Page, line: fn(&Listed) -> Value) -> Answer {
    let next = page.next.as_ref().map(|next| paging::cursor(list, &next.to_string()));
    let sessions: Vec<Value> = page.exchanges.iter().map(line).collect();
    Answer::Json(json!({ "sessions": sessions, "next": next }))
}

pub(super) async fn list(admin: &Admin, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    let page = page(admin, &filter("sessions", asked, sight)?).await?;
    Ok(told("sessions", &page, views::listed))
}

/// What was said tells something to whoever looks for it, so each is asked for by itself.
pub(super) async fn search(admin: &Admin, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    if !admin.gateway.config().ledger.finding.full_text {
        return Err(Refusal::new(Code::NotSupported)
            .because("Words are not indexed here: the configuration says `full_text: false` in `ledger`."));
    }
    let filter = filter("search", asked, sight)?;
    let reader = recall::reader(&admin.gateway).await?;
    let mut page = reader.list(&filter).await.map_err(|fault| recall::unreadable(&fault))?;
    let each = Each::new(admin, asked, sight);
    let mut allowed = Vec::new();
    for listed in page.exchanges {
        let exchange = reader.show(listed.exchange).await.map_err(|fault| recall::unreadable(&fault))?;
        if each.screen(listed.exchange, &exchange).is_some() {
            allowed.push(listed);
        }
    }
    page.exchanges = allowed;
    Ok(told("search", &page, views::listed))
}

pub(super) async fn grouped(admin: &Admin, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    let filter = Filter { begins: true, ..filter("grouped", asked, sight)? };
    Ok(told("grouped", &page(admin, &filter).await?, views::begun))
}
