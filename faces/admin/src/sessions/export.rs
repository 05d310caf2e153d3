//! Whole exchanges, one a line, as many as fit: each asked for by itself, and masked for who asks.

use std::sync::Arc;

use authorize::Surroundings;
use bytes::{Bytes, BytesMut};
use mask::{Masker, Part};
use model::{Act, Code, ExchangeId, Facts, Identity, Refusal, Unmasked};
use record::{Exchange, Filter, Reader};
use serde_json::Value;
use tokio::sync::mpsc;

use super::listed::filter;
use super::played::{Screen, WAITING};
use crate::document::Document;
use crate::exchange::{Answer, Asked, Sight};
use crate::{Admin, recall};

/// Exchanges looked up at once.
const PAGE: u32 = 100;

/// Asks of one exchange after another whether it may be replayed.
pub(super) struct Each {
    screen: Screen,
    identity: Arc<Identity>,
    surroundings: Surroundings,
    facts: Facts,
}

impl Each {
    pub(super) fn new(admin: &Admin, asked: &Asked, sight: &Sight) -> Self {
        Self {
            screen: Screen::new(admin, sight),
            identity: Arc::clone(&sight.identity),
            surroundings: Surroundings { client: sight.client },
            facts: Facts::plain(asked.route.method.as_str(), asked.route.path),
        }
    }

    /// Through what an exchange is seen; none if it may not be.
    pub(super) fn screen(&self, id: ExchangeId, exchange: &Exchange) -> Option<Screen> {
        let object = recall::object(id, exchange, &self.screen.gateway);
        let asked = (&self.facts, self.surroundings);
        let viewer = self.screen.gateway.authorizer().also(&self.identity, Act::Replay, &object, asked)?;
        Some(Screen { viewer, ..self.screen.clone() })
    }
}

pub(super) async fn export(admin: &Admin, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    let filter = Filter { limit: Some(PAGE), ..filter("export", asked, sight)? };
    let reader = recall::reader(&admin.gateway).await?;
    let each = Each::new(admin, asked, sight);
    let (lines, waiting) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if let Err(refusal) = all(&each, &reader, filter, &lines).await {
            // The reader may have left: then nobody needs to know.
            let _ = lines.send(Err(refusal)).await;
        }
    });
    Ok(Answer::Lines(waiting))
}

async fn all(
    each: &Each,
    reader: &Reader,
    mut filter: Filter,
    lines: &mpsc::Sender<Result<Bytes, Refusal>>,
) -> Result<(), Refusal> {
    loop {
        let page = reader.list(&filter).await.map_err(|fault| recall::unreadable(&fault))?;
        for listed in page.exchanges {
            let id = listed.exchange;
            let exchange = reader.show(id).await.map_err(|fault| recall::unreadable(&fault))?;
            let Some(screen) = each.screen(id, &exchange) else { continue };
            let (rules, viewer) = (Arc::clone(screen.gateway.rules()), Arc::clone(&screen.viewer));
            let whole = screen.whole(reader, id, &exchange).await?;
            let line = masked(Masker::begin(id, rules, viewer, Box::new(Document::default())), id, &whole)?;
            if lines.send(Ok(line)).await.is_err() {
                return Ok(());
            }
        }
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// A line, masked by what may be seen of its own resource. The call masks again by what it was judged on.
fn masked(mut masker: Masker, exchange: ExchangeId, whole: &Value) -> Result<Bytes, Refusal> {
    let fault = |fault: model::LayoutFault| Refusal::new(Code::Internal).detail(fault);
    let bytes = Bytes::from(format!("{whole}\n"));
    let parts = [masker.push(Unmasked { exchange, bytes }).map_err(fault)?, masker.finish().map_err(fault)?];
    let mut line = BytesMut::new();
    for part in parts {
        if let Part::Body { bytes, .. } = part.into_part() {
            line.extend_from_slice(&bytes);
        }
    }
    Ok(line.freeze())
}
