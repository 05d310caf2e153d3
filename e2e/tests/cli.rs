//! The command line, as an operator meets it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use e2e::llama::LlamaServer;
use e2e::parts::portcullis;
use e2e::provider::Provider;

fn run(folder: &Path, arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(portcullis());
    command.args(arguments).current_dir(folder).env("LLAMA_KEY", "key").env("NO_COLOR", "1");
    let output = command.output().expect("portcullis runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

const FAULTY: &str = r#"listeners:
  - address: 127.0.0.1:18443
issuers:
  panva:
    issuer: http://127.0.0.1:19999
    audiences: [portcullis]
    skew: 2 fortnights
resources:
  llama:
    server: lama-cpp
    upstreams: ["http://127.0.0.1:19998"]
    credentials: env:LLAMA_KEY
"#;

#[test]
fn every_fault_is_told_at_once_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.yaml"), FAULTY).unwrap();
    let (output, said) = run(folder.path(), &["config", "check", "--config", "portcullis.yaml"]);
    assert!(!output.status.success(), "{said}");
    for (line, word) in [(7, "skew"), (10, "lama-cpp"), (12, "credentials")] {
        assert!(
            said.contains(&format!("portcullis.yaml:{line}")) && said.contains(word),
            "{line} {word}: {said}"
        );
    }
    // What was probably meant.
    assert!(said.contains("llama-cpp") && said.contains("credential"), "{said}");
}

#[test]
fn a_gateway_does_not_start_on_a_faulty_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("portcullis.yaml"), FAULTY).unwrap();
    let (output, said) = run(folder.path(), &["serve", "--config", "portcullis.yaml"]);
    assert!(!output.status.success() && said.contains("skew"), "{said}");
}

#[tokio::test]
async fn init_writes_a_short_file_that_works() {
    let (provider, llama) = tokio::join!(Provider::start(), LlamaServer::start());
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["init", "--issuer", &provider.issuer, "--audience", "portcullis", "--upstream", &llama.url];
    let (output, said) = run(folder.path(), &arguments);
    assert!(output.status.success(), "{said}");
    let text =
        fs::read_to_string(folder.path().join("portcullis.yaml")).expect("init writes portcullis.yaml");
    let lines =
        text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).count();
    assert!(lines <= 15, "{lines} lines:\n{text}");
    let (output, said) = run(folder.path(), &["config", "check", "--config", "portcullis.yaml"]);
    assert!(output.status.success(), "{said}\n{text}");
    let (output, said) = run(folder.path(), &["policy", "check", "--config", "portcullis.yaml"]);
    assert!(output.status.success(), "{said}\n{text}");
    let (output, said) = run(folder.path(), &arguments);
    assert!(!output.status.success(), "init wrote over a file that was there: {said}");
}

#[test]
fn policy_check_tells_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = FAULTY
        .replace("    skew: 2 fortnights\n", "")
        .replace("lama-cpp", "llama-cpp")
        .replace("credentials", "credential");
    fs::write(folder.path().join("portcullis.yaml"), text).unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    let check = ["policy", "check", "--config", "portcullis.yaml"];
    fs::write(policies.join("one.cedar"), r#"permit(principal, action == Action::"infer", resource);"#)
        .unwrap();
    let (output, said) = run(folder.path(), &check);
    assert!(output.status.success(), "{said}");
    fs::write(
        policies.join("two.cedar"),
        "// words\npermit(principal, action == Action::\"infre\", resource);\n",
    )
    .unwrap();
    let (output, said) = run(folder.path(), &check);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("two.cedar:2") && said.contains("infre"), "{said}");
}
