//! Opens the administration of a gateway that serves: the interface for programs, and the pages for people
//! beside it.

use std::sync::Arc;

use accept::Peer;
use admin::{Admin, ConsoleAnswer, Running};
use console::{Console, Ground, View};
use gateway::Gateway;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;

use crate::failure::Failure;

/// The console behind the administration's listener.
struct Pages(Arc<Console>);

impl admin::Console for Pages {
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> ConsoleAnswer {
        // A visit is recorded to its end, whether or not the browser waits for it.
        let visit = tokio::spawn(async move { self.0.answer(request, peer).await });
        Box::pin(async move {
            match visit.await {
                Ok(answer) => answer.map(|body| body.map_err(|never| match never {}).boxed_unsync()),
                Err(fault) => {
                    tracing::error!(%fault, "a page was lost");
                    let empty = Empty::new().map_err(|never| match never {});
                    let mut lost = Response::new(empty.boxed_unsync());
                    *lost.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    lost
                }
            }
        })
    }
}

/// Opens what the configuration names under `admin`, if anything.
pub(crate) fn open(gateway: &Arc<Gateway>) -> Result<Running, Failure> {
    let admin = Admin::of(Arc::clone(gateway), Some(pages(gateway)))
        .map_err(|fault| Failure::Said(fault.to_string()))?;
    let running = admin.open().map_err(|fault| Failure::Said(fault.to_string()))?;
    if let Some(address) = running.address() {
        tracing::info!(%address, "open to administrators");
    }
    if let Some(socket) = running.socket() {
        tracing::info!(socket = %socket.display(), "open to administrators");
    }
    Ok(running)
}

/// The console, which asks the gateway for its configuration at each request.
fn pages(gateway: &Arc<Gateway>) -> Arc<Pages> {
    let ground = Ground {
        ledger: gateway.ledger().clone(),
        ledger_dir: gateway.config().ledger.dir,
        authorizer: Arc::clone(gateway.authorizer()),
        rules: Arc::clone(gateway.rules()),
        store: Arc::clone(gateway.store()),
        clock: Arc::clone(gateway.clock()),
    };
    let source = Arc::clone(gateway);
    let view = move || View { config: Arc::new(source.config()), authenticator: source.authenticator() };
    Arc::new(Pages(Console::build(ground, view)))
}
