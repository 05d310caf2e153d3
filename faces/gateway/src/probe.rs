//! Looks at the upstreams now and then, so that operators know of a fault before a caller meets it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forward::Upstreams;
use model::ResourceName;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Gateway;

/// How often it is seen what is due.
const TICK: Duration = Duration::from_secs(1);

/// Looks again and again until `drain`. Each resource is looked at by itself: one that hangs holds up no other,
/// and is not looked at twice at a time.
pub(crate) async fn keep(gateway: Arc<Gateway>, drain: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut looked) = (JoinSet::new(), HashMap::new());
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            // One that panicked has told its log, and is due again later.
            Some(_) = looks.join_next() => {}
            now = ticks.tick() => begin(&gateway, now, &mut looks, &mut looked),
        }
    }
}

/// Begins the looks that are due.
fn begin(
    gateway: &Gateway,
    now: Instant,
    looks: &mut JoinSet<()>,
    looked: &mut HashMap<ResourceName, (Instant, tokio::task::AbortHandle)>,
) {
    let setup = gateway.setup();
    for resource in &setup.config.resources {
        let every = resource.probe_every;
        let waits = looked
            .get(&resource.name)
            .is_some_and(|(last, look)| !look.is_finished() || now.duration_since(*last) < every);
        if every.is_zero() || waits {
            continue;
        }
        let Some(place) = setup.find(&resource.name) else { continue };
        let look = looks.spawn(look(resource.name.clone(), Arc::clone(&place.upstreams)));
        looked.insert(resource.name.clone(), (now, look));
    }
}

async fn look(name: ResourceName, upstreams: Arc<Upstreams>) {
    upstreams.probe_all().await;
    for upstream in upstreams.health() {
        let Some(probed) = upstream.probed else { continue };
        let labels = [("resource", name.to_string()), ("upstream", upstream.url)];
        let up = if probed.fault.is_none() { 1.0 } else { 0.0 };
        metrics::gauge!("portcullis_upstream_up", &labels).set(up);
        metrics::gauge!("portcullis_upstream_probe_seconds", &labels).set(probed.took.as_secs_f64());
    }
}
