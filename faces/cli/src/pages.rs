//! The pages for people, behind the listener of the administration.

use std::sync::Arc;

use accept::Peer;
use admin::ConsoleAnswer;
use console::{Console, Ground, View};
use desk::Desk;
use gateway::Gateway;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;

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

/// The desk for what waits for consent, which the administration and the console share.
///
/// # Errors
/// What [`Desk::new`] says.
pub(crate) fn desk(gateway: &Gateway) -> Result<Arc<Desk>, admin::AdminError> {
    let (approvals, authorizer) = (Arc::clone(gateway.approvals()), Arc::clone(gateway.authorizer()));
    Ok(Arc::new(Desk::new(approvals, authorizer, gateway.config().ledger.dir)?))
}

/// The console, if the configuration has one. It asks the gateway for the configuration at each request.
pub(crate) fn of(gateway: &Arc<Gateway>, desk: &Arc<Desk>) -> Option<Arc<dyn admin::Console>> {
    gateway.config().console.as_ref()?;
    let ground = Ground {
        ledger: gateway.ledger().clone(),
        ledger_dir: gateway.config().ledger.dir,
        authorizer: Arc::clone(gateway.authorizer()),
        desk: Arc::clone(desk),
        store: Arc::clone(gateway.store()),
        clock: Arc::clone(gateway.clock()),
    };
    let source = Arc::clone(gateway);
    let view = move || View {
        config: Arc::new(source.config()),
        authenticator: source.authenticator(),
        rules: source.rules(),
    };
    Some(Arc::new(Pages(Console::build(ground, view))))
}
