//! Who may import whom: bin → faces → path → base, never back, and between the steps of the path only
//! for a proof.

use std::collections::BTreeMap;

use super::{Breach, Source};

/// The layers, from the top. A crate may import from its own layer (but see [`PROOFS`]) and below.
const LAYERS: &[&str] = &["bin", "faces", "path", "base"];
/// Which step may import which, and only for its proof type.
const PROOFS: &[(&str, &[&str])] = &[
    ("authorize", &["authenticate"]),
    ("record", &["mask"]),
    ("approve", &["authorize", "record"]),
    ("forward", &["approve"]),
];

/// One line of a manifest that names a crate of this workspace.
struct Import<'a> {
    line: usize,
    name: &'a str,
    /// Only tests see it.
    for_tests: bool,
}

pub(super) fn judge(sources: &[Source]) -> Vec<Breach> {
    let manifests: Vec<&Source> =
        sources.iter().filter(|source| source.path.ends_with("/Cargo.toml")).collect();
    let layers: BTreeMap<&str, usize> = manifests
        .iter()
        .filter_map(|manifest| Some((package(&manifest.text)?, layer(&manifest.path)?)))
        .collect();
    let mut breaches = Vec::new();
    for manifest in manifests {
        let (Some(name), Some(from)) = (package(&manifest.text), layer(&manifest.path)) else { continue };
        for import in imports(&manifest.text) {
            let Some(to) = layers.get(import.name) else { continue };
            if let Some(why) = forbidden(name, from, &import, *to) {
                breaches.push(Breach::at(&manifest.path, import.line, why));
            }
        }
    }
    breaches
}

fn forbidden(name: &str, from: usize, import: &Import<'_>, to: usize) -> Option<String> {
    let layer_name = |index: usize| LAYERS.get(index).copied().unwrap_or_default();
    if to < from {
        let (below, above) = (layer_name(from), layer_name(to));
        return Some(format!(
            "`{name}` in {below}/ imports `{}` in {above}/: arrows lead down only",
            import.name
        ));
    }
    let steps = layer_name(from) == "path" && layer_name(to) == "path";
    if !steps || import.for_tests {
        return None;
    }
    let allowed = PROOFS.iter().find(|(step, _)| *step == name).map_or(&[][..], |(_, proofs)| proofs);
    (!allowed.contains(&import.name))
        .then(|| format!("step `{name}` imports step `{}`, whose proof it does not consume", import.name))
}

fn layer(path: &str) -> Option<usize> {
    let top = path.split('/').next()?;
    LAYERS.iter().position(|layer| *layer == top)
}

/// The crate's name.
fn package(manifest: &str) -> Option<&str> {
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[package]"
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "name"
        {
            return Some(value.trim().trim_matches('"'));
        }
    }
    None
}

/// What the manifest depends on, in tables and in lines.
fn imports(manifest: &str) -> Vec<Import<'_>> {
    let mut found = Vec::new();
    let (mut inside, mut for_tests) = (false, false);
    for (index, line) in manifest.lines().enumerate() {
        let (line, number) = (line.trim(), index + 1);
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            // [target.'cfg(…)'.dependencies] and [dependencies.NAME] too.
            let (list, name) = match section.rsplit_once('.') {
                Some((list, name)) if list.ends_with("dependencies") => (list, Some(name)),
                _ => (section, None),
            };
            for_tests = list.ends_with("dev-dependencies");
            inside = list.ends_with("dependencies") && name.is_none();
            if let Some(name) = name {
                found.push(Import { line: number, name, for_tests });
            }
        } else if inside && let Some((key, _)) = line.split_once('=') {
            let name = key.split('.').next().unwrap_or_default().trim();
            if !name.starts_with('#') {
                found.push(Import { line: number, name, for_tests });
            }
        }
    }
    found
}
