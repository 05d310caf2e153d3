//! Networks of their own: the agent in one, the model in another, and the gateway in neither.
//!
//! ```text
//! the test, the gateway ── a link that can lose and delay ── the agent ── the model
//!        10.231.N.1                                10.231.N.2   10.232.N.1   10.232.N.2
//! ```
//!
//! Nothing is forwarded between the two links. The namespaces are called `portcullis-…` and are gone when
//! the handle is.

use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;

use crate::parts::require;
use crate::process::Part;

/// The networks. Dropped, they are gone, with every process in them.
#[derive(Debug)]
pub struct Apart {
    /// The agent's namespace.
    pub agent: String,
    /// The model's.
    pub model: String,
    /// Where the agent can reach the gateway.
    pub gateway_at: String,
    /// Where the gateway could reach the agent, if anything listened there.
    pub agent_at: String,
    /// Where the agent can reach the model.
    pub model_at: String,
    link: Part,
}

impl Apart {
    /// Makes the networks. None, and a word about it, where this may not be done.
    ///
    /// # Panics
    /// When a step fails that should not.
    pub async fn make() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(std::io::stderr(), "left out: network namespaces need root");
            return None;
        }
        // One number for each process: tests run side by side.
        let pid = std::process::id();
        let number = pid % 250;
        let [agent, model] = ["agent", "model"].map(|part| format!("portcullis-{part}-{pid}"));
        for name in [&agent, &model] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        let [net, inner] = [format!("10.231.{number}"), format!("10.232.{number}")];
        let (near, far) = (format!("pcn{pid}"), format!("pcf{pid}"));
        ip(&["-n", &agent, "link", "add", &near, "type", "veth", "peer", "name", &far]);
        ip(&["-n", &agent, "link", "set", &far, "netns", &model]);
        for (name, device, address) in [(&agent, &near, 1), (&model, &far, 2)] {
            ip(&["-n", name, "address", "add", &format!("{inner}.{address}/30"), "dev", device]);
            ip(&["-n", name, "link", "set", device, "up"]);
        }
        let parts = require();
        let mut command = Command::new(parts.python());
        command.arg(parts.script("python/link.py"));
        command.args([&format!("pcg{pid}"), &format!("{net}.1/30"), "-"]);
        command.args([&format!("pca{pid}"), &format!("{net}.2/30"), agent.as_str()]);
        let link = Part::start("the link", &mut command);
        let mut apart = Self {
            gateway_at: format!("{net}.1"),
            agent_at: format!("{net}.2"),
            model_at: format!("{inner}.2"),
            agent,
            model,
            link,
        };
        apart.link.ready().await;
        Some(apart)
    }

    /// From now on every packet between gateway and agent takes so long, each way, and this share is lost.
    pub async fn impair(&mut self, delay: Duration, loss: f64) {
        self.link.tell(&json!({ "delay": delay.as_secs_f64(), "loss": loss })).await;
    }

    /// A listener in the model's network.
    ///
    /// # Panics
    /// When it cannot be had.
    pub fn listen_beside_the_model(&self) -> TcpListener {
        let address = format!("{}:0", self.model_at);
        within(&self.model, move || TcpListener::bind(address).expect("a listener of another network"))
    }

    /// A command that runs in the agent's network.
    pub fn in_agents_network(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.agent]).arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// Whether somebody in the agent's network can connect to `address`.
    pub fn agent_reaches(&self, address: SocketAddr) -> bool {
        within(&self.agent, move || reaches(address))
    }

    /// What listens in the agent's network: the local address of each.
    ///
    /// # Panics
    /// When the kernel does not tell.
    pub fn listeners_beside_the_agent(&self) -> Vec<String> {
        let told = within(&self.agent, || {
            ["tcp", "tcp6", "udp", "udp6"].map(|kind| {
                let table = std::fs::read_to_string(format!("/proc/thread-self/net/{kind}"));
                (kind, table.unwrap_or_default())
            })
        });
        // The fourth column is the state: 0A is LISTEN for TCP (proc_net_tcp.txt), and any socket of
        // UDP that is bound can be sent to.
        let open = |kind: &str, line: &str| {
            let mut columns = line.split_whitespace().skip(1);
            let local = columns.next()?.to_owned();
            let state = columns.nth(1)?;
            (kind.starts_with("udp") || state == "0A").then(|| format!("{kind} {local}"))
        };
        let lines =
            told.iter().flat_map(|(kind, table)| table.lines().skip(1).map(move |line| (*kind, line)));
        lines.filter_map(|(kind, line)| open(kind, line)).collect()
    }
}

/// Whether this process can connect to `address` within a moment.
pub fn reaches(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
}

impl Drop for Apart {
    fn drop(&mut self) {
        for name in [&self.agent, &self.model] {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

/// Does something in a thread that has moved into another network. What it opens stays there.
fn within<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(format!("/run/netns/{namespace}")).expect("a namespace");
    let moved = std::thread::spawn(move || {
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))
            .expect("the right to move");
        work()
    });
    moved.join().expect("the work was done")
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("`ip` of iproute2 is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ip {arguments:?}: {said}");
}
