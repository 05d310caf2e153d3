//! A copy of the tree whose gateway records nothing, to measure what the record costs. The product has no
//! switch for that, not even one that is left out of releases: what can't be asked for can't be asked for by
//! mistake or by an intruder. So the change is a patch in `benches/`, applied to a copy under `target/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{Failure, Met, answer};

/// The change, as `diff -u` tells it, from the root.
pub(crate) const PATCH: &str = "benches/unrecorded.patch";

/// Makes the copy in `tree`, or brings it up to what `root` is now.
pub(crate) fn plant(root: &Path, tree: &Path) -> Result<(), Failure> {
    let mut list = Command::new("git");
    list.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files =
        answer(&mut list).ok_or_else(|| Failure::new("`git ls-files` does not tell what the tree holds"))?;
    let patch = fs::read_to_string(root.join(PATCH)).met(PATCH)?;
    let changes = changes(&patch);
    for path in files.lines().filter(|path| root.join(path).is_file()) {
        let mut bytes = fs::read(root.join(path)).met(path)?;
        for change in changes.iter().filter(|change| change.path == path) {
            let text = String::from_utf8(bytes).met(path)?;
            let changed = change.applied(&text).ok_or_else(|| Failure::new(change.misfit()))?;
            bytes = changed.into_bytes();
        }
        write(&tree.join(path), &bytes)?;
    }
    Ok(())
}

/// Writes a file unless it is so already: what is older than what was made of it is not built again.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).met(folder.display())?;
    }
    fs::write(file, bytes).met(file.display())
}

/// One stretch of a file, as it is and as it shall be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The file's path from the root.
    pub(crate) path: String,
    before: String,
    after: String,
}

impl Change {
    /// `text` with this change; `None` unless it fits in exactly one place.
    pub(crate) fn applied(&self, text: &str) -> Option<String> {
        let (start, end) = text.split_once(&self.before)?;
        // Empty, or there twice: nobody can tell where it belongs.
        let once = !self.before.is_empty() && !end.contains(&self.before);
        once.then(|| format!("{start}{}{end}", self.after))
    }

    /// Why it is of no use.
    pub(crate) fn misfit(&self) -> String {
        let line = self.before.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        format!("{PATCH} does not fit {} any more, near `{line}`: make it anew", self.path)
    }
}

/// The changes of a patch, in its order.
pub(crate) fn changes(patch: &str) -> Vec<Change> {
    let (mut all, mut path) = (Vec::<Change>::new(), "");
    for line in patch.lines() {
        if let Some(file) = line.strip_prefix("+++ ") {
            path = file.strip_prefix("b/").unwrap_or(file).split('\t').next().unwrap_or_default();
        } else if line.starts_with("@@") {
            all.push(Change { path: path.to_owned(), ..Change::default() });
        } else if !line.starts_with("--- ")
            && let Some(change) = all.last_mut()
        {
            let (sign, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
            let text = format!("{rest}\n");
            if sign != "+" {
                change.before.push_str(&text);
            }
            if sign != "-" {
                change.after.push_str(&text);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";

    #[test]
    fn a_change_fits_in_one_place_or_not_at_all() {
        let all = changes(PATCH);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].path, "x.rs");
        assert_eq!(
            all[0].applied("zero\none\ntwo\nthree\nfour\n").as_deref(),
            Some("zero\none\n2\nthree\nfour\n")
        );
        assert_eq!(all[0].applied("one\n2\nthree\n"), None);
        assert_eq!(all[0].applied("one\ntwo\nthree\none\ntwo\nthree\n"), None);
        assert!(all[0].misfit().contains("x.rs any more, near `one`"));
    }
}
