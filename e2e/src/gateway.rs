//! The gateway as it is shipped: the built program, with files, signals and its own command line.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client;
use crate::parts::portcullis;
use crate::plan::Plan;
use crate::process::{PATIENCE, Part, eventually, free_address};
use crate::through;

/// How often a start is tried: between finding a free port and taking it, another test may be faster.
const TRIES: usize = 3;

/// A running gateway with a folder of its own.
#[derive(Debug)]
pub struct Gateway {
    /// Where callers come in.
    pub address: SocketAddr,
    /// Where health and metrics are read.
    pub observe: SocketAddr,
    /// Its ledger's folder.
    pub ledger: PathBuf,
    folder: TempDir,
    plan: Plan,
    part: Part,
    /// The agent it reaches its upstreams through, in that mode of the tests.
    agent: Option<Part>,
}

impl Gateway {
    /// Writes the plan's files, starts `portcullis serve` and waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// When it does not come up, with what it said.
    pub async fn start(plan: Plan) -> Self {
        Self::start_until(plan, "/readyz").await
    }

    /// The same, but waits until `page` of the operator's listener answers 200.
    pub(crate) async fn start_until(mut plan: Plan, page: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ledger = plan.ledger.clone().unwrap_or_else(|| folder.path().join("ledger"));
        let beside = if plan.through_agent { through::split(&mut plan) } else { None };
        write(folder.path(), &plan);
        if let Some(beside) = &beside {
            through::invite(folder.path(), &ledger, &plan, beside).await;
        }
        for rest in (0..TRIES).rev() {
            let (address, observe) = (free_address(), free_address());
            configure(folder.path(), &plan, &ledger, address, observe);
            let mut part = Part::start("the gateway", &mut serve(folder.path(), &plan));
            if came_up(&mut part, &format!("http://{observe}{page}"), rest == 0).await {
                let agent = beside.as_ref().map(|beside| through::start(folder.path(), beside));
                let gateway = Self { address, observe, ledger, folder, plan, part, agent };
                gateway.has_its_agent().await;
                return gateway;
            }
        }
        panic!("the gateway found no free port in {TRIES} tries");
    }

    /// Starts it again on the same files and ports, after [`Gateway::kill`] or [`Gateway::stop`].
    pub async fn restart(&mut self) {
        self.part = Part::start("the gateway", &mut serve(self.folder.path(), &self.plan));
        self.part.answers(&format!("http://{}/readyz", self.observe)).await;
        self.has_its_agent().await;
    }

    async fn has_its_agent(&self) {
        if let Some(agent) = &self.agent {
            through::connected(&self.observe_url("/metrics"), agent).await;
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.plan.tls.is_null() { "http" } else { "https" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The URL of a path of the operator's listener.
    pub fn observe_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.observe)
    }

    /// What an SDK takes as its base URL for this resource.
    pub fn base(&self, resource: &str) -> String {
        self.url(&format!("/{resource}/v1"))
    }

    /// A file of its folder: the configuration, `policies/…`, or one of the plan.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of its state.
    pub fn state(&self) -> PathBuf {
        through::state(self.folder.path(), &self.ledger, &self.plan)
    }

    /// The memory it has resident, in bytes.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn resident(&self) -> usize {
        let file = format!("/proc/{}/status", self.part.pid().as_raw_nonzero());
        let status = fs::read_to_string(file).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    /// The processor time it has used, in steps of a hundredth of a second.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn cpu(&self) -> Duration {
        let file = format!("/proc/{}/stat", self.pid());
        let stat = fs::read_to_string(file).expect("a running process");
        // Behind the name, which may hold spaces: the 14th and 15th of proc_pid_stat(5), in hundredths.
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks = rest.split_whitespace().skip(11).take(2).map(|text| text.parse::<u64>().expect("ticks"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.part.pid().as_raw_nonzero().get()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.part.kill();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.part.signal(Signal::TERM);
    }

    /// Waits until it has ended.
    pub async fn end(&mut self) -> ExitStatus {
        self.part.end().await
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.end().await
    }

    /// Lets it do nothing at all, until [`Gateway::resume`].
    pub fn pause(&self) {
        self.part.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.part.signal(Signal::CONT);
    }

    /// Asks it to read its files again.
    pub fn reload(&self) {
        self.part.signal(Signal::HUP);
    }

    /// Waits until `/readyz` answers with this status, and gives what it says.
    ///
    /// # Panics
    /// When that does not come.
    pub async fn readiness(&self, status: http::StatusCode) -> Value {
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(answer) = client::try_get(&self.observe_url("/readyz")).await
                && answer.status == status
            {
                return answer.json();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("/readyz never answered {status}; the gateway said:\n{}", self.log());
    }

    /// Its metrics, as text.
    pub async fn metrics(&self) -> String {
        client::try_get(&self.observe_url("/metrics")).await.expect("metrics answer").text()
    }

    /// What it has written to its outputs.
    pub fn log(&self) -> String {
        self.part.log()
    }

    /// Runs `portcullis` with these arguments and `--config`, in the environment of the gateway. What is
    /// recorded is read from the files, as by their operator.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let recorded = matches!(arguments.first(), Some(&("sessions" | "why")));
        let local = recorded && !arguments.contains(&"--local");
        self.cli_as(None, &[arguments, if local { &["--local"] } else { &[] }].concat())
    }

    /// Runs `portcullis` with these arguments and `--config`, with this token for the administration.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn cli_as(&self, token: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = Command::new(portcullis());
        command.envs(token.map(|token| ("PORTCULLIS_TOKEN", token)));
        command.args(arguments).arg("--config").arg(self.file("portcullis.yaml"));
        command.envs(self.plan.environment.iter().cloned()).current_dir(self.folder.path());
        command.output().expect("portcullis runs")
    }

    /// Runs a command that answers in JSON.
    ///
    /// # Panics
    /// When it fails or answers otherwise.
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(arguments);
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "portcullis {arguments:?}: {}\n{said}\n{complained}", output.status);
        read_json(&said)
            .unwrap_or_else(|| panic!("portcullis {arguments:?} answers no JSON:\n{said}\n{complained}"))
    }

    /// Every exchange in the ledger, oldest first.
    ///
    /// # Panics
    /// When the command's answer holds no list.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        let mut cursor = None;
        loop {
            let mut arguments = vec!["sessions", "list", "--json", "--limit", "1000"];
            arguments.extend(cursor.as_deref().into_iter().flat_map(|cursor| ["--cursor", cursor]));
            let page = self.cli_json(&arguments);
            let list = page["exchanges"].as_array().unwrap_or_else(|| panic!("no list in {page}"));
            exchanges.extend(list.iter().cloned().map(Exchange));
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        // Ids are time-ordered.
        exchanges.sort_by(|one, other| one.id().cmp(other.id()));
        exchanges
    }

    /// Waits until the ledger holds `count` exchanges, all of them sealed, and gives them.
    ///
    /// # Panics
    /// When that does not come, or more came.
    pub async fn sealed(&self, count: usize) -> Vec<Exchange> {
        let settled = eventually(PATIENCE, || {
            let exchanges = self.exchanges();
            (exchanges.len() >= count && exchanges.iter().all(|exchange| exchange.outcome().is_some()))
                .then_some(exchanges)
        });
        let exchanges = settled.await.unwrap_or_else(|| panic!("not {count} sealed: {:?}", self.exchanges()));
        assert_eq!(exchanges.len(), count, "{exchanges:?}");
        exchanges
    }

    /// Every text in what the ledger holds of one exchange, at any depth, joined.
    pub fn texts(&self, id: &str) -> String {
        let mut texts = String::new();
        gather_texts(&self.show(id), &mut texts);
        texts
    }

    /// Everything the ledger holds of one exchange.
    pub fn show(&self, id: &str) -> Value {
        self.cli_json(&["sessions", "show", id, "--json"])
    }

    /// Why an exchange was allowed or refused.
    pub fn why(&self, id: &str) -> Value {
        self.cli_json(&["why", id, "--json"])
    }

    /// Every byte of the ledger's files: what must not be in there is in none of them.
    pub fn ledger_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        gather(&self.ledger, &mut bytes);
        bytes
    }

    /// Waits until `look` finds something, as after a reload.
    pub async fn eventually<T>(&self, look: impl FnMut() -> Option<T>) -> T {
        let found = eventually(Duration::from_secs(20), look).await;
        found.unwrap_or_else(|| panic!("what was waited for did not come; the gateway said:\n{}", self.log()))
    }
}

/// One exchange as `sessions list --json` tells it.
#[derive(Clone, Debug)]
pub struct Exchange(pub Value);

impl Exchange {
    /// Its id: what `x-request-id` told the caller.
    ///
    /// # Panics
    /// When it has none.
    pub fn id(&self) -> &str {
        let id = ["exchange", "id"].iter().find_map(|key| self.0[*key].as_str());
        id.unwrap_or_else(|| panic!("no id in {}", self.0))
    }

    /// How it ended, as `completed`; nothing while it is open.
    pub fn outcome(&self) -> Option<&str> {
        self.0["outcome"].as_str()
    }

    /// The refusal's code, as `policy_denied`.
    pub fn code(&self) -> Option<&str> {
        self.0["code"]
            .as_str()
            .or_else(|| self.0["refusal"]["code"].as_str())
            .or_else(|| self.0["refusal"].as_str())
    }
}

async fn came_up(part: &mut Part, url: &str, last: bool) -> bool {
    if last {
        part.answers(url).await;
        return true;
    }
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if part.ended().is_some() {
            // Only a taken port is worth another try; anything else fails the same way, and says why.
            return false;
        }
        if client::try_get(url).await.is_ok_and(|answer| answer.status == http::StatusCode::OK) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

fn serve(folder: &Path, plan: &Plan) -> Command {
    let mut command = Command::new(plan.binary.clone().unwrap_or_else(portcullis));
    command.arg("serve").arg("--config").arg(folder.join("portcullis.yaml"));
    command.envs(plan.environment.iter().cloned()).current_dir(folder);
    command
}

fn write(folder: &Path, plan: &Plan) {
    let policies = folder.join("policies");
    fs::create_dir_all(&policies).expect("a folder for policies");
    for (name, text) in &plan.policies {
        fs::write(policies.join(name), text).expect("a policy file");
    }
    for (name, text) in &plan.files {
        fs::write(folder.join(name), text).expect("a file");
    }
}

fn configure(folder: &Path, plan: &Plan, ledger: &Path, address: SocketAddr, observe: SocketAddr) {
    let mut listener = json!({ "address": address.to_string() });
    if !plan.tls.is_null() {
        listener["tls"] = plan.tls.clone();
    }
    let mut config = json!({
        "listeners": [listener],
        "observe": observe.to_string(),
        "policies": "policies",
        "ledger": ledger,
    });
    if let (Some(config), Some(planned)) = (config.as_object_mut(), plan.config.as_object()) {
        config.extend(planned.clone());
    }
    let text = serde_json::to_string_pretty(&config).expect("JSON");
    fs::write(folder.join("portcullis.yaml"), text).expect("a configuration file");
}

/// One document, or one on each line.
fn read_json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<Vec<_>>>().map(Value::Array)
    })
}

fn gather_texts(value: &Value, texts: &mut String) {
    match value {
        Value::String(text) => texts.push_str(text),
        Value::Array(values) => values.iter().for_each(|value| gather_texts(value, texts)),
        Value::Object(map) => map.values().for_each(|value| gather_texts(value, texts)),
        _ => (),
    }
}

fn gather(folder: &Path, bytes: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, bytes);
        } else {
            bytes.extend(fs::read(&path).unwrap_or_default());
        }
    }
}
