//! The steps stand in the same order in the workspace's list and in the tables for readers.

use super::{Breach, Source};

/// Stands in a page right above the table of steps.
const MARK: &str = "<!-- steps -->";

pub(super) fn judge(sources: &[Source]) -> Vec<Breach> {
    let Some(root) = sources.iter().find(|source| source.path == "Cargo.toml") else { return Vec::new() };
    let members = steps(
        root.text.lines().skip_while(|line| !line.starts_with("members")).take_while(|line| *line != "]"),
        '"',
    );
    let mut breaches = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        // The mark alone on its line: a page may also talk about it.
        let Some(mark) = source.text.lines().position(|line| line.trim() == MARK) else { continue };
        let table = source.text.lines().skip(mark + 1).skip_while(|line| line.trim().is_empty());
        let told = steps(table.take_while(|line| line.starts_with('|')), '`');
        if told != members {
            let why = format!(
                "the steps are told in another order than the workspace lists them:\n    here:  {}\n    there: {}",
                told.join(", "),
                members.join(", ")
            );
            breaches.push(Breach::at(&source.path, mark + 1, why));
        }
    }
    breaches
}

/// The first path/… between `quote`s of each line that has one.
fn steps<'a>(lines: impl Iterator<Item = &'a str>, quote: char) -> Vec<&'a str> {
    lines.filter_map(|line| line.split(quote).find(|word| word.starts_with("path/"))).collect()
}
