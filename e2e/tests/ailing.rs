//! A disk that hangs, and one that answers with I/O errors, under the program as it is shipped: a file system of its
//! own on a loop device, frozen, or cut off behind its first MiB. Needs the rights of root; says so where they are missing.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use e2e::ask::{chat, code, joined, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::parts::portcullis;
use e2e::plan::Plan;
use e2e::process::PATIENCE;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Sectors of 512 bytes: all of the disk, and what is left of it when it is broken.
const WHOLE: &str = "120000";
const BROKEN: &str = "2048";

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(format!("{program}: {}", said(&output.stderr)))
    }
}

/// A small disk that can be made to ail, gone with the test.
struct Ailing {
    folder: TempDir,
    device: String,
    /// Thaws it, whatever becomes of the test: who waits for a frozen disk can't even be killed.
    watch: Option<Child>,
}

impl Ailing {
    fn make() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let image = folder.path().join("image");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(64 << 20).map_err(|error| error.to_string())?;
        // Another test may take the one that was found free.
        let find = || run("losetup", &["--find", "--show", &image.display().to_string()]);
        let device = find().or_else(|_| find()).or_else(|_| find())?;
        let disk = Self { folder, device, watch: None };
        // What a test that was killed left.
        let _ = run("delpart", &[&disk.device, "1"]);
        std::fs::create_dir(disk.at()).map_err(|error| error.to_string())?;
        run("addpart", &[&disk.device, "1", "2048", WHOLE])?;
        let (part, at) = (format!("{}p1", disk.device), disk.at().display().to_string());
        // No journal: one that breaks off makes a file system read-only until it is mounted again.
        run("mkfs.ext4", &["-q", "-O", "^has_journal", &part])?;
        run("mount", &["-o", "errors=continue", &part, &at])?;
        Ok(disk)
    }

    fn at(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn ledger(&self) -> PathBuf {
        self.at().join("ledger")
    }

    fn freeze(&mut self) {
        let at = self.at().display().to_string();
        let thaw = format!("sleep 60; fsfreeze --unfreeze '{at}'");
        self.watch = Some(
            Command::new("sh")
                .args(["-c", &thaw])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        run("fsfreeze", &["--freeze", &at]).unwrap();
    }

    fn thaw(&mut self) {
        let Some(mut watch) = self.watch.take() else { return };
        let thawed = run("fsfreeze", &["--unfreeze", &self.at().display().to_string()]);
        let _ = watch.kill();
        let _ = watch.wait();
        thawed.unwrap();
    }

    fn resize(&self, sectors: &str) {
        run("resizepart", &[&self.device, "1", sectors]).unwrap();
    }
}

impl Drop for Ailing {
    fn drop(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            let _ = run("fsfreeze", &["--unfreeze", &self.at().display().to_string()]);
            let _ = watch.kill();
            let _ = watch.wait();
        }
        let at = self.at().display().to_string();
        let _ = run("umount", &[&at]).or_else(|_| run("umount", &["--lazy", &at]));
        let _ = run("delpart", &[&self.device, "1"]);
        let _ = run("losetup", &["--detach", &self.device]);
    }
}

fn plan(provider: &Provider, upstream: &FakeUpstream, ledger: &Path, durability: &str) -> Plan {
    let settings =
        json!({ "dir": ledger, "reserve_bytes": "1MiB", "durability": durability, "write_timeout": "1s" });
    let mut plan = Plan::before(provider, &upstream.url())
        // The state is on another disk: what is told below is of the ledger's.
        .with(json!({ "ledger": settings, "state": "state" }));
    plan.ledger = Some(ledger.to_owned());
    plan
}

/// Waits until the metric says so too: it follows readiness within a moment.
async fn until_writable(gateway: &Gateway, writable: bool) {
    let wanted = format!("portcullis_ledger_writable {}", u8::from(writable));
    let start = std::time::Instant::now();
    while !gateway.metrics().await.lines().any(|line| line == wanted) {
        assert!(start.elapsed() < PATIENCE, "the metrics never said `{wanted}`");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What `audit verify` says of its ledger, and how it ends.
fn verified(gateway: &Gateway) {
    let output = Command::new(portcullis()).args(["audit", "verify"]).arg(&gateway.ledger).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_refuses_in_time_and_goes_on_when_it_comes_back() {
    let mut disk = match Ailing::make() {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: this machine lets nobody make a disk: {why}"),
    };
    let go_on = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&go_on);
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |asked| match String::from_utf8_lossy(&asked.body).contains("at length") {
            true => {
                let begun = Reply::events([chat_delta("it has begun, ").as_str()])
                    .then(Step::Wait(Arc::clone(&wait)));
                begun.send(format!("data: {}\n\ndata: [DONE]\n\n", chat_delta("and it is done")))
            }
            false => Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })),
        })
    );
    let mut gateway = plan(&provider, &upstream, &disk.ledger(), "process").start().await;
    let token = provider.login("alice").await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
    let mut answer = stream(&gateway, &token, "tell me at length").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();

    disk.freeze();
    // The stream's next write is the one that hangs; whoever comes after it is told so in time.
    go_on.add_permits(1);
    let missing = gateway.readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(missing["missing"].to_string().contains("ledger"), "{missing}");
    until_writable(&gateway, false).await;
    let asked = upstream.received().len();
    for _ in 0..3 {
        let refused = chat(&gateway, &token).await;
        assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (503, "ledger_unavailable"));
    }
    assert_eq!(upstream.received().len(), asked, "what could not be recorded was not forwarded");

    disk.thaw();
    gateway.readiness(StatusCode::OK).await;
    until_writable(&gateway, true).await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK, "without a restart");
    let (seen, _) = client::drain(answer.body_mut()).await;
    let shown =
        gateway.eventually(|| Some(gateway.show(&id)).filter(|shown| shown["outcome"].is_string())).await;
    let recorded = joined(shown["response"]["body"].as_str().unwrap().as_bytes());
    assert!(recorded.starts_with(&joined(&seen)), "{recorded} was recorded");
    assert!(gateway.stop().await.success());
    verified(&gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_errors_refuses_and_goes_on_when_it_is_mended() {
    let disk = match Ailing::make() {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: this machine lets nobody make a disk: {why}"),
    };
    let answer = json!({ "id": "1", "object": "chat.completion", "choices": [] });
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(move |_| Reply::json(&answer)));
    let mut gateway = plan(&provider, &upstream, &disk.ledger(), "disk").start().await;
    let token = provider.login("alice").await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);

    disk.resize(BROKEN);
    let refused = chat(&gateway, &token).await;
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (503, "ledger_unavailable"));
    let missing = gateway.readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(missing["missing"].to_string().contains("ledger"), "{missing}");
    until_writable(&gateway, false).await;
    assert_eq!(upstream.received().len(), 1, "what could not be recorded was not forwarded");

    disk.resize(WHOLE);
    gateway.readiness(StatusCode::OK).await;
    until_writable(&gateway, true).await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK, "without a restart");
    assert!(gateway.stop().await.success());
    verified(&gateway);
}
