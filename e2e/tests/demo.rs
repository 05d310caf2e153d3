//! The demonstration that a newcomer sees first.

use std::path::Path;
use std::process::Command;

use e2e::llama::LlamaServer;
use e2e::parts::portcullis;
use e2e::process::{PATIENCE, Part, eventually};

#[test]
fn the_demo_does_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(portcullis()).args(["demo", "--check"]).current_dir(folder.path()).output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(!said.is_empty(), "a check that says nothing convinces nobody");
}

/// With a real model behind, as SDKs' base URL names it, and its key by reference.
#[tokio::test]
async fn the_demo_plays_before_a_real_model() {
    let llama = LlamaServer::start().await;
    let mut demo = tokio::process::Command::new(portcullis());
    demo.args([
        "demo",
        "--check",
        "--upstream",
        &format!("{}/v1", llama.url),
        "--upstream-key",
        "env:REAL_KEY",
    ]);
    let output = demo.env("REAL_KEY", &llama.key).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("All scenes passed") && !said.contains(&llama.key), "{said}");
}

/// Told to end, it leaves no gateway and no folder.
#[tokio::test]
async fn the_demo_takes_everything_with_it() {
    let mut demo = Part::start("the demo", Command::new(portcullis()).arg("demo"));
    eventually(PATIENCE, || demo.log().contains("Ctrl-C ends it").then_some(())).await.expect("it stays up");
    let log = demo.log();
    let folder = log.lines().find_map(|line| line.split(" lies in ").nth(1)).expect("it names its folder");
    assert!(Path::new(folder).join("ledger").is_dir());
    let base = log.lines().find_map(|line| line.split("curl -sN ").nth(1)?.split('/').nth(2)).unwrap();
    assert!(std::net::TcpStream::connect(base).is_ok(), "{base}");
    demo.signal(rustix::process::Signal::TERM);
    assert!(demo.end().await.success());
    assert!(!Path::new(folder).exists() && std::net::TcpStream::connect(base).is_err());
}
