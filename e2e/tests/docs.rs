//! Every published example is a test. A fenced block is run when its first line says so:
//! ` ```yaml tested ` must be a configuration without faults, ` ```json tested ` must be JSON,
//! ` ```cedar tested ` must be a policy set that loads, ` ```sh tested ` must run and succeed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::parts::portcullis;

struct Block {
    place: String,
    kind: String,
    text: String,
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The blocks that are marked, with where they stand.
fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(open.take().filter(|block| !block.kind.is_empty())),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(info)) => {
                let (kind, rest) = info.split_once(' ').unwrap_or((info, ""));
                let tested = rest.split_whitespace().any(|word| word == "tested");
                let kind = if tested { kind.to_owned() } else { String::new() };
                open = Some(Block { place: format!("{page}:{}", index + 1), kind, text: String::new() });
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    found
}

fn ran(output: &Output) -> Result<(), String> {
    let said = [&output.stdout[..], &output.stderr[..]]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat();
    if output.status.success() { Ok(()) } else { Err(format!("{}\n{said}", output.status)) }
}

fn try_block(block: &Block) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let file = folder.path().join(name);
        fs::write(&file, &block.text).unwrap();
        file
    };
    match block.kind.as_str() {
        "yaml" => {
            fs::create_dir(folder.path().join("policies")).map_err(|error| error.to_string()).and_then(|()| {
                config::parse(&block.text, &file("portcullis.yaml"))
                    .map(|_| ())
                    .map_err(|faults| faults.render(false))
            })
        }
        "json" => serde_json::from_str::<serde_json::Value>(&block.text)
            .map(|_| ())
            .map_err(|error| error.to_string()),
        "cedar" => {
            file("example.cedar");
            let mut check = Command::new(portcullis());
            ran(&check.args(["policy", "check"]).arg(folder.path()).output().unwrap())
        }
        "sh" => {
            let beside = portcullis().parent().unwrap().to_owned();
            let path = std::env::join_paths(
                [beside].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
            );
            let mut shell = Command::new("bash");
            shell.args(["-euo", "pipefail"]).arg(file("example.sh")).env("PATH", path.unwrap());
            ran(&shell.current_dir(folder.path()).output().unwrap())
        }
        other => Err(format!("nobody knows how to test `{other}`")),
    }
}

#[test]
fn every_marked_example_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![root.join("README.md")];
    pages(&root.join("docs"), &mut files);
    pages(&root.join("examples"), &mut files);
    let mut faults = Vec::new();
    let mut tested = 0;
    for file in files {
        let page = file.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
        for block in blocks(&page, &text) {
            tested += 1;
            if let Err(fault) = try_block(&block) {
                faults.push(format!("{}: {fault}", block.place));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(tested > 0, "no example is marked as tested");
}

/// The `portcullis …` lines of every shell block, with where they stand.
fn commands(page: &str, text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut shell = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(info) => shell = !shell && info.starts_with("sh"),
            None if shell && line.starts_with("portcullis ") => {
                let words = line.split(" #").next().unwrap_or_default().split_whitespace().skip(1);
                // What the shell does with the output is its own affair.
                let words = words.take_while(|word| !matches!(*word, ">" | ">>" | "|"));
                found.push((format!("{page}:{}", index + 1), words.map(str::to_owned).collect()));
            }
            None => {}
        }
    }
    found
}

/// With `--help` behind them, arguments are read and nothing is done.
fn reads(arguments: &[String]) -> Result<(), String> {
    ran(&Command::new(portcullis()).args(arguments).arg("--help").output().unwrap())
}

#[test]
fn every_command_in_the_docs_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    pages(&root.join("docs"), &mut files);
    let mut read = 0;
    for file in files {
        let page = file.strip_prefix(root).unwrap().display().to_string();
        for (place, arguments) in commands(&page, &fs::read_to_string(&file).unwrap()) {
            reads(&arguments).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            read += 1;
        }
    }
    assert!(read > 5, "only {read} commands were found");
    assert!(reads(&["sessions".to_owned(), "list".to_owned(), "--colour".to_owned()]).is_err());
}

#[test]
fn the_readme_shows_what_init_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let written = config::starter(&config::StarterAnswers {
        issuer: "https://login.example.test",
        audience: "portcullis",
        resource: &model::ResourceName::new("llama").unwrap(),
        server: config::ServerKind::Vllm,
        upstream: "http://127.0.0.1:8000",
        credential: Some("env:MODEL_KEY"),
        group: Some("ml-engineers"),
    });
    for text in [&written.yaml, &written.policy] {
        assert!(readme.contains(text.as_str()), "README.md does not hold:\n{text}");
    }
}

#[test]
fn blocks_are_found_by_their_mark() {
    let text = "```sh tested\ntrue\n```\n\n```sh\nfalse\n```\n\n```yaml not-tested\na: 1\n```\n";
    let found = blocks("page.md", text);
    assert_eq!(found.iter().map(|block| block.place.as_str()).collect::<Vec<_>>(), ["page.md:1"]);
    assert_eq!((found[0].kind.as_str(), found[0].text.as_str()), ("sh", "true\n"));
}
