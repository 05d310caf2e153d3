//! One running part: a process in a group of its own, that is gone when its handle is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tokio::sync::mpsc;

/// How long any part may take to come up on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a part's output is kept for the message of a failed test.
const LOG_BYTES: usize = 1 << 20;
/// How often something is looked at again.
const LOOK: Duration = Duration::from_millis(20);

/// A running process. Dropped, it and all it started are killed.
#[derive(Debug)]
pub struct Part {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    told: mpsc::Receiver<Value>,
}

impl Part {
    /// Starts `command` in a process group of its own. Its standard input stays open as long as the
    /// part is held, so scripts of ours end even when the test is killed.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let started = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            started.unwrap_or_else(|error| panic!("{name} cannot be started ({command:?}): {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, told) = mpsc::channel(16);
        follow(child.stdout.take().expect("piped"), &log, Some(tell));
        follow(child.stderr.take().expect("piped"), &log, None);
        Self { name: name.to_owned(), child, log, told }
    }

    /// Waits for the line of JSON that a script of ours prints when it is ready.
    ///
    /// # Panics
    /// When it ends or takes longer than [`PATIENCE`], with what it said.
    pub async fn ready(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.told.recv()).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended before it was ready:\n{}", self.name, self.log()),
            Err(_) => panic!("{} was not ready within {PATIENCE:?}:\n{}", self.name, self.log()),
        }
    }

    /// Hands the script a line of JSON and waits for its answer.
    ///
    /// # Panics
    /// When it does not listen or does not answer.
    pub async fn tell(&mut self, line: &Value) -> Value {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("it listens");
        self.ready().await
    }

    /// Waits until `url` answers 200.
    ///
    /// # Panics
    /// When the part ends, or does not answer within [`PATIENCE`].
    pub async fn answers(&mut self, url: &str) {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.ended() {
                panic!("{} ended ({status}) before {url} answered:\n{}", self.name, self.log());
            }
            match crate::client::try_get(url).await {
                Ok(answer) if answer.status == http::StatusCode::OK => return,
                Ok(answer) => last = format!("{} {}", answer.status, answer.text()),
                Err(error) => last = error,
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("{} does not answer at {url} within {PATIENCE:?}; last: {last}\n{}", self.name, self.log());
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends `signal` to the process alone.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Kills the whole group at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it still runs after [`PATIENCE`].
    pub async fn end(&mut self) -> ExitStatus {
        let name = self.name.clone();
        match eventually(PATIENCE, || self.ended()).await {
            Some(status) => status,
            None => panic!("{name} still runs after {PATIENCE:?}:\n{}", self.log()),
        }
    }

    /// What it has written so far, to both outputs.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}

fn follow(output: impl Read + Send + 'static, log: &Arc<Mutex<String>>, tell: Option<mpsc::Sender<Value>>) {
    let log = Arc::clone(log);
    // Ends with the process, whose end of the pipe closes.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let (Some(tell), Ok(value @ Value::Object(_))) = (&tell, serde_json::from_str(&line)) {
                let _ = tell.try_send(value);
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() < LOG_BYTES {
                log.push_str(&line);
                log.push('\n');
            }
        }
    });
}

/// Looks again and again until `look` finds something, at most for `within`.
pub async fn eventually<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() > within {
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An address on loopback that nobody listens on now. Another process may take it before its use.
///
/// # Panics
/// When the machine has none left.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}
