//! The gateway's own file, clock, issuers, disk, and whether it runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authenticate::{Authenticator, Standing};
use authorize::PolicySet;
use config::{Config, Issuer};
use dial::Fetcher;
use http::header::DATE;
use http::{HeaderMap, Uri};
use jiff::SignedDuration;
use model::{Clock, SystemClock};
use serde_json::Value;

use crate::doctor::finding::Finding;
use crate::doctor::upstreams;
use crate::told::Told;

/// How long one document may take, and how large it may be.
const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST: usize = 4 << 20;
/// A clock that is off by less is right: the header that tells it has whole seconds.
const RIGHT: SignedDuration = SignedDuration::from_secs(5);

/// Looks at everything a gateway needs.
pub(crate) async fn examine(file: &Path) -> Vec<Finding> {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(faults) => return vec![Finding::bad("config", file.display(), faults.render(false))],
    };
    let mut found =
        vec![Finding::good("config", file.display(), format!("{} resources", config.resources.len()))];
    found.push(policies(&config));
    for issuer in &config.issuers {
        found.push(clock(issuer).await);
    }
    found.extend(issuers(&config).await);
    found.push(ledger(&config.ledger.dir));
    found.extend(running(&config).await);
    for resource in &config.resources {
        match &resource.agent {
            None => found.extend(upstreams::examine(resource).await),
            Some(_) => found.push(
                Finding::good("upstream", &resource.name, "an agent reaches it")
                    .advice("Run `portcullis doctor --agent agent.yaml` where the agent stands."),
            ),
        }
    }
    found
}

fn policies(config: &Config) -> Finding {
    let dir = config.policies.dir.display();
    match PolicySet::load(&config.policies.dir) {
        Ok(set) => Finding::good("policies", dir, format!("{} policies", set.report().policies.len())),
        Err(faults) => Finding::bad("policies", dir, faults),
    }
}

/// Where an issuer's own clock can be read.
fn place(issuer: &Issuer) -> Option<Uri> {
    let discovery = || format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'));
    let place = issuer.jwks.clone().or_else(|| issuer.discovery.clone()).unwrap_or_else(discovery);
    place.parse().ok()
}

/// Compares this machine's clock with the issuer's: tokens are believed by both.
async fn clock(issuer: &Issuer) -> Finding {
    let untold = |why: String| Finding::caution("clock", &issuer.name, format!("cannot be compared: {why}"));
    let Some(url) = place(issuer) else { return untold("its URL cannot be read".to_owned()) };
    let fetcher = Fetcher::choose(issuer.allow_http, issuer.ca_file.as_deref(), PATIENCE);
    let fetched = match fetcher {
        Ok(fetcher) => fetcher.get(&url, &HeaderMap::new(), LARGEST).await,
        Err(fault) => Err(fault),
    };
    let headers = match fetched {
        Ok(fetched) => fetched.headers,
        Err(fault) => return untold(fault.to_string()),
    };
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else {
        return untold("it does not tell the time".to_owned());
    };
    told(issuer, SystemClock::default().now().duration_since(theirs.timestamp()))
}

fn told(issuer: &Issuer, ahead: SignedDuration) -> Finding {
    let off = ahead.abs();
    let skew = SignedDuration::try_from(issuer.skew).unwrap_or(SignedDuration::MAX);
    let way = if ahead.is_negative() { "behind" } else { "ahead of" };
    let what = format!("this machine's clock is {} s {way} the issuer's", off.as_secs());
    if off <= RIGHT {
        Finding::good("clock", &issuer.name, "agrees with the issuer's")
    } else if off <= skew {
        Finding::caution("clock", &issuer.name, what).advice("Keep the time by NTP: `timedatectl status`.")
    } else {
        Finding::bad(
            "clock",
            &issuer.name,
            format!("{what}, more than `skew` allows: good tokens are refused"),
        )
        .advice("Keep the time by NTP: `timedatectl set-ntp true`.")
    }
}

async fn issuers(config: &Config) -> Vec<Finding> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let standing = Standing::stateless(Arc::clone(&clock));
    let authenticator = match Authenticator::build(&config.issuers, &config.limits, clock, standing) {
        Ok(authenticator) => authenticator,
        Err(fault) => return vec![Finding::bad("issuer", "all", fault)],
    };
    authenticator.warm().await;
    let one = |issuer: authenticate::IssuerHealth| match (issuer.usable, issuer.failure) {
        (true, None) => {
            Finding::good("issuer", issuer.name, format!("{} keys from {}", issuer.keys, issuer.issuer))
        }
        (_, why) => {
            let why = why.unwrap_or_else(|| "its keys could not be had".to_owned());
            Finding::bad("issuer", issuer.name, why)
                .advice(format!("Look whether this machine reaches {}.", issuer.issuer))
        }
    };
    authenticator.issuers().into_iter().map(one).collect()
}

/// Whether the ledger's disk has room and takes writes.
fn ledger(dir: &Path) -> Finding {
    let shown = dir.display();
    // Before the first start it is not there, and is made beside what is.
    let there = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let about = match rustix::fs::statvfs(there) {
        Ok(about) => about,
        Err(fault) => return Finding::bad("ledger", shown, format!("its disk cannot be asked: {fault}")),
    };
    if about.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Finding::bad("ledger", shown, "its disk is read-only: every request is refused")
            .advice("Move `ledger.dir` to a disk that can be written, or mount this one so.");
    }
    let free = about.f_bavail.saturating_mul(about.f_frsize) >> 20;
    let what = format!("{free} MiB free");
    match free {
        0..64 => Finding::bad("ledger", shown, what)
            .advice("Full, every request is refused: see docs/retention.md."),
        64..2048 => Finding::caution("ledger", shown, what).advice("See docs/retention.md for what can go."),
        _ => Finding::good("ledger", shown, what),
    }
}

/// What a gateway that runs here says of itself, and its agents.
async fn running(config: &Config) -> Vec<Finding> {
    let Some(observe) = config.observe else {
        return vec![Finding::caution(
            "gateway",
            "here",
            "has no `observe` address, so nobody can ask how it is",
        )];
    };
    let at = match observe.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), observe.port()),
        false => observe,
    };
    let Some(ready) = document(at, "/readyz").await else {
        return vec![Finding::caution("gateway", at, "does not run here now")];
    };
    let ready: Value = serde_json::from_slice(&ready).unwrap_or(Value::Null);
    let mut found = vec![match ready.at("ready").as_bool() {
        Some(true) => Finding::good("gateway", at, "is ready"),
        _ => Finding::bad("gateway", at, format!("is not ready: {}", ready.at("missing"))),
    }];
    if config.agents.is_some() {
        found.push(agents(document(at, "/metrics").await.as_deref()));
    }
    found
}

async fn document(at: SocketAddr, path: &str) -> Option<bytes::Bytes> {
    let url: Uri = format!("http://{at}{path}").parse().ok()?;
    let fetched = Fetcher::loopback(PATIENCE).get(&url, &HeaderMap::new(), LARGEST).await.ok()?;
    Some(fetched.body)
}

fn agents(metrics: Option<&[u8]>) -> Finding {
    let text = String::from_utf8_lossy(metrics.unwrap_or_default());
    let count = text.lines().find_map(|line| line.strip_prefix("portcullis_agents_connected "));
    match count.and_then(|count| count.trim().parse::<f64>().ok()) {
        Some(count) if count >= 1.0 => Finding::good("agents", "all", format!("{count} connected")),
        _ => Finding::bad("agents", "all", "none is connected, so what they reach cannot be reached").advice(
            "`portcullis agents list` says who was there; run `portcullis doctor --agent agent.yaml` there.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_clock_is_judged_by_what_the_issuer_is_allowed() {
        let issuer =
            Issuer { skew: Duration::from_secs(60), ..Issuer::new("corp", "https://id.test", "api") };
        for (off, state) in
            [(0, State::Good), (-5, State::Good), (30, State::Caution), (-61, State::Bad), (3600, State::Bad)]
        {
            assert_eq!(told(&issuer, SignedDuration::from_secs(off)).state, state, "{off}");
        }
    }

    #[test]
    fn agents_are_counted_from_the_metrics() {
        assert_eq!(
            agents(Some(b"# TYPE portcullis_agents_connected gauge\nportcullis_agents_connected 2\n")).state,
            State::Good
        );
        for none in [None, Some(&b"portcullis_agents_connected 0\n"[..]), Some(&b"other 1\n"[..])] {
            assert_eq!(agents(none).state, State::Bad);
        }
    }

    #[test]
    fn a_ledgers_disk_is_asked_before_there_is_a_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let found = ledger(&dir.path().join("not/yet/there"));
        assert!(found.what.ends_with("MiB free"), "{found:?}");
    }
}
