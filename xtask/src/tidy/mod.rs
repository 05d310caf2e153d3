//! `cargo xtask tidy`: the house law that neither types nor clippy can say. Every broken rule is
//! named with its place and its reason, all of them at once.

mod arrows;
mod files;
mod order;
mod patches;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::Path;

use crate::Project;
use crate::run::{Failure, Met, say};

/// One place where the law is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    file: String,
    line: usize,
    why: String,
}

impl Breach {
    fn at(file: &str, line: usize, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, why: why.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// One text file of the tree.
pub(crate) struct Source {
    /// Its path from the root, with `/`.
    path: String,
    text: String,
}

/// Reads the tree and judges it.
pub(crate) fn tidy(project: &Project) -> Result<(), Failure> {
    let mut sources = Vec::new();
    read(&project.root, &project.root, &mut sources)?;
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    let breaches = judge(&sources);
    if breaches.is_empty() {
        say(&format!("{} files are tidy\n", sources.len()));
        return Ok(());
    }
    let list: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    Err(Failure::new(format!("{} breaches of house law\n  {}", list.len(), list.join("\n  "))))
}

/// Every breach in `sources`, in their order.
fn judge(sources: &[Source]) -> Vec<Breach> {
    let mut breaches: Vec<Breach> = sources.iter().flat_map(files::judge).collect();
    breaches.extend(arrows::judge(sources));
    breaches.extend(order::judge(sources));
    breaches.extend(patches::judge(sources));
    breaches
}

/// Folders that hold what was built or fetched, not what was written.
const NOT_OURS: &[&str] = &["target", "node_modules", ".git", ".testbed", "__pycache__"];

fn read(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).met(folder.display())? {
        let entry = entry.met(folder.display())?;
        let path = entry.path();
        let kind = entry.file_type().met(path.display())?;
        if kind.is_dir() && !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
            read(root, &path, sources)?;
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(fs::read(&path).met(path.display())?)
        {
            // What is not UTF-8 is an image or a seed: there is no text to judge.
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            sources.push(Source { path, text });
        }
    }
    Ok(())
}
