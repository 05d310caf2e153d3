//! The second mode of every test: the gateway reaches its upstreams through an agent, and has neither
//! their addresses nor their credentials. `PORTCULLIS_E2E_THROUGH=agent` runs any test so.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{AgentName, Clock, ResourceName, SystemClock};
use serde_json::{Map, Value, json};
use store::SqliteStore;
use tunnel::{Authority, Roster};

use crate::client;
use crate::parts::portcullis;
use crate::plan::Plan;
use crate::process::{PATIENCE, Part, free_address};

/// What moves from a resource of the gateway's file to the agent's.
const MOVED: [&str; 4] = ["upstreams", "credential", "upstream_plain", "upstream_tls"];
/// What both have.
const SHARED: [&str; 2] = ["timeouts", "max_request_bytes"];

/// Whether this run of the tests goes through agents.
pub fn wanted() -> bool {
    std::env::var_os("PORTCULLIS_E2E_THROUGH").is_some_and(|way| way == "agent")
}

/// What the agent of a gateway is told.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    at: SocketAddr,
    resources: Map<String, Value>,
    /// The variables that hold credentials: the agent has them, and the gateway no longer.
    environment: Vec<(String, String)>,
}

/// Takes what only an agent may know out of a plan. None when nothing of it has an upstream.
pub(crate) fn split(plan: &mut Plan) -> Option<Beside> {
    let mut beside = Map::new();
    let resources = plan.config.get_mut("resources")?.as_object_mut()?;
    for (name, resource) in resources {
        let Some(resource) = resource.as_object_mut().filter(|resource| resource.contains_key("upstreams"))
        else {
            continue;
        };
        let moved = MOVED.iter().filter_map(|key| Some(((*key).to_owned(), resource.remove(*key)?)));
        let mut theirs: Map<String, Value> = moved.collect();
        let shared = SHARED.iter().filter_map(|key| Some(((*key).to_owned(), resource.get(*key)?.clone())));
        theirs.extend(shared);
        resource.insert("agent".to_owned(), json!("any"));
        beside.insert(name.clone(), Value::Object(theirs));
    }
    if beside.is_empty() {
        return None;
    }
    let (told, kept) = (Value::Object(beside.clone()).to_string(), plan.config.to_string());
    let moves = |name: &str| told.contains(&format!("env:{name}")) && !kept.contains(&format!("env:{name}"));
    let (environment, left) = plan.environment.drain(..).partition(|(name, _)| moves(name));
    plan.environment = left;
    let at = free_address();
    plan.config["agents"] = json!({ "address": at.to_string(), "dir": "agents-ca" });
    Some(Beside { at, resources: beside, environment })
}

/// Invites the agent as the gateway's own machine could: by its folders. The tests of this mode are of
/// everything else, and many of them have no administrator.
pub(crate) async fn invite(folder: &Path, ledger: &Path, plan: &Plan, beside: &Beside) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = SqliteStore::open(&state(folder, ledger, plan), Arc::clone(&clock)).await.expect("a store");
    let authority = Authority::open(&folder.join("agents-ca"), Arc::clone(&clock)).expect("an authority");
    let roster = Roster::new(Arc::new(store), authority, clock);
    let names = beside.resources.keys().map(|name| ResourceName::new(name).expect("a name")).collect();
    let name = AgentName::new("beside").expect("a name");
    let invited = roster.invite(Some(name), names, Duration::from_secs(600), "the test").await;
    fs::write(folder.join("join-token"), invited.expect("an invitation").hand_over()).expect("a token");
    let file = json!({
        "gateways": [beside.at.to_string()], "join": "file:join-token", "resources": beside.resources,
    });
    fs::write(folder.join("agent.yaml"), file.to_string()).expect("the agent's file");
}

/// Where a gateway of this plan keeps its state.
pub(crate) fn state(folder: &Path, ledger: &Path, plan: &Plan) -> PathBuf {
    let configured = &plan.config["state"];
    match configured["dir"].as_str().or(configured.as_str()) {
        Some(dir) => folder.join(dir),
        None => ledger.with_extension("state"),
    }
}

/// Starts the agent. Its file lies in the gateway's folder, so that what it names is found.
pub(crate) fn start(folder: &Path, beside: &Beside) -> Part {
    let mut command = Command::new(portcullis());
    command.arg("agent").arg("--config").arg(folder.join("agent.yaml"));
    command.envs(beside.environment.iter().cloned()).current_dir(folder);
    Part::start("the agent", &mut command)
}

/// Waits until the gateway has the agent.
///
/// # Panics
/// When it does not come.
pub(crate) async fn connected(metrics: &str, agent: &Part) {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let told = client::try_get(metrics).await.map(|answer| answer.text()).unwrap_or_default();
        if told.lines().any(|line| line == "portcullis_agents_connected 1") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the agent is not connected; it said:\n{}", agent.log());
}
