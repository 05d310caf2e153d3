//! Rules a file can break by itself.

use super::{Breach, Source};

/// A file that is longer has more than one thing to say.
const LINES: usize = 500;
/// Tests beside their module may be longer: they are read one at a time.
const TEST_LINES: usize = 800;
/// Names that say nothing, so that everything ends up there.
const SAY_NOTHING: &[&str] = &["common", "util", "utils", "helper", "helpers", "misc"];
/// What must not be in the tree. Written in two halves, or this file would break its own rule.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("crates.io", "/api"), "the address of a package registry"),
    (concat!("index.crates", ".io"), "the address of a package registry"),
    (concat!("registry.npm", "js.org"), "the address of a package registry"),
    (concat!("pypi.org", "/simple"), "the address of a package registry"),
    (concat!("files.python", "hosted.org"), "the address of a package registry"),
    (concat!("/work", "/shared"), "a path of one machine"),
    (concat!("/work", "/wt"), "a path of one machine"),
];

pub(super) fn judge(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let path = source.path.as_str();
    if path.ends_with(".rs") {
        rust(source, &mut breaches);
    }
    if path.ends_with("Cargo.toml") && path != "Cargo.toml" {
        manifest(source, &mut breaches);
    }
    for (number, line) in numbered(&source.text) {
        for (word, what) in FORBIDDEN {
            if line.contains(word) {
                breaches.push(Breach::at(path, number, format!("holds {what} (`{word}`)")));
            }
        }
    }
    breaches
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn rust(source: &Source, breaches: &mut Vec<Breach>) {
    let path = source.path.as_str();
    if !source.text.starts_with("//!") {
        breaches.push(Breach::at(path, 1, "does not begin with `//!`: say what the file is for"));
    }
    let lines = source.text.lines().count();
    let most = if path.ends_with("/tests.rs") { TEST_LINES } else { LINES };
    if lines > most {
        breaches.push(Breach::at(
            path,
            most,
            format!("has {lines} lines, and at most {most} are allowed: split it"),
        ));
    }
    let mut names = path.trim_end_matches(".rs").split('/');
    if let Some(name) = names.find(|name| SAY_NOTHING.contains(name)) {
        breaches.push(Breach::at(
            path,
            1,
            format!("`{name}` says nothing: name the module by what it knows"),
        ));
    }
    for (number, line) in numbered(&source.text) {
        let line = line.trim_start();
        let ignored = line.starts_with(concat!("#[ig", "nore]"));
        if ignored {
            breaches.push(Breach::at(path, number, "a test is ignored without a reason: #[ignore = \"…\"]"));
        }
        let inline = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("mod ");
        let name = inline.and_then(|rest| rest.split([' ', ';', '{']).next()).unwrap_or_default();
        if SAY_NOTHING.contains(&name) {
            breaches.push(Breach::at(
                path,
                number,
                format!("`{name}` says nothing: name the module by what it knows"),
            ));
        }
    }
}

fn manifest(source: &Source, breaches: &mut Vec<Breach>) {
    let path = source.path.as_str();
    let mut section = "";
    let mut lints = false;
    for (number, line) in numbered(&source.text) {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        } else if section == "[lints]" && line.replace(' ', "") == "workspace=true" {
            lints = true;
        } else if section == "[package]"
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "name"
            && SAY_NOTHING.contains(&value.trim().trim_matches('"'))
        {
            breaches.push(Breach::at(
                path,
                number,
                format!("{} says nothing: name the crate by what it knows", value.trim()),
            ));
        }
    }
    // The fuzz crate is a workspace of its own: its macro writes what our lints forbid.
    if !lints && !path.starts_with("fuzz/") {
        breaches.push(Breach::at(path, 1, "lacks `[lints] workspace = true`: the law is for every crate"));
    }
}
