//! Every rule, broken and kept.

use super::{Breach, Source, judge};

const LINTS: &str = "[lints]\nworkspace = true\n";

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn breaches(sources: &[(&str, &str)]) -> Vec<Breach> {
    let sources: Vec<Source> = sources.iter().map(|(path, text)| source(path, text)).collect();
    judge(&sources)
}

/// The only breach must be at this line and hold these words.
fn only(sources: &[(&str, &str)], line: usize, words: &str) {
    let found = breaches(sources);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line, line, "{found:?}");
    assert!(found[0].why.contains(words), "{found:?}");
}

fn crate_of(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\n\n{LINTS}\n{dependencies}")
}

#[test]
fn a_file_says_what_it_is_for() {
    assert_eq!(breaches(&[("base/model/src/lib.rs", "//! Words.\nfn f() {}\n")]), []);
    only(&[("base/model/src/lib.rs", "fn f() {}\n//! Words.\n")], 1, "does not begin");
}

#[test]
fn files_stay_short_and_tests_a_little_longer() {
    let long = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
    assert_eq!(breaches(&[("a/src/lib.rs", &long(500)), ("a/src/tests.rs", &long(800))]), []);
    only(&[("a/src/lib.rs", &long(501))], 500, "501 lines");
    only(&[("a/src/tests.rs", &long(801))], 800, "801 lines");
    // Not every file with tests in its name.
    only(&[("a/src/contests.rs", &long(501))], 500, "501 lines");
}

#[test]
fn nothing_is_called_by_a_name_that_says_nothing() {
    only(&[("a/src/utils.rs", "//! All sorts.\n")], 1, "`utils`");
    only(&[("a/src/common/parse.rs", "//! All sorts.\n")], 1, "`common`");
    only(&[("a/src/lib.rs", "//! A.\npub(crate) mod helpers;\n")], 2, "`helpers`");
    only(&[("base/util/Cargo.toml", &crate_of("util", ""))], 2, "util");
    assert_eq!(breaches(&[("a/src/utility_bill.rs", "//! Bills.\nmod commoner;\n")]), []);
}

#[test]
fn every_crate_is_under_the_law() {
    only(&[("base/model/Cargo.toml", "[package]\nname = \"model\"\n")], 1, "lints");
    // A key of that name elsewhere does not count.
    only(
        &[("base/model/Cargo.toml", "[package]\nname = \"model\"\n[dependencies]\nworkspace = true\n")],
        1,
        "lints",
    );
}

#[test]
fn an_ignored_test_has_a_reason() {
    let without = format!("//! A.\n#[ig{}\nfn f() {{}}\n", "nore]");
    only(&[("a/src/lib.rs", &without)], 2, "without a reason");
    let with = format!("//! A.\n#[ig{}\nfn f() {{}}\n", "nore = \"needs a cluster\"]");
    assert_eq!(breaches(&[("a/src/lib.rs", &with)]), []);
}

#[test]
fn addresses_of_registries_and_machines_stay_out() {
    let host = ["registry.npm", "js.org"].concat();
    only(
        &[("e2e/parts/node/package-lock.json", &format!("{{\n  \"resolved\": \"https://{host}/a\"\n}}"))],
        2,
        &host,
    );
    let path = ["/work", "/shared/x"].concat();
    only(&[("docs/a.md", &path)], 1, "one machine");
}

#[test]
fn arrows_lead_down() {
    let model = crate_of("model", "");
    let config = crate_of("config", "[dependencies]\nmodel.workspace = true\n");
    let gateway =
        crate_of("gateway", "[dependencies]\nmodel.workspace = true\nconfig = { workspace = true }\n");
    let good = [
        ("base/model/Cargo.toml", model.as_str()),
        ("base/config/Cargo.toml", &config),
        ("faces/gateway/Cargo.toml", &gateway),
    ];
    assert_eq!(breaches(&good), []);
    let back = crate_of("model", "[dependencies]\n# gateway = 1\ngateway.workspace = true\n");
    only(&[("base/model/Cargo.toml", &back), ("faces/gateway/Cargo.toml", &gateway)], 9, "arrows lead down");
    let table = crate_of("model", "[dependencies.gateway]\nworkspace = true\n");
    only(&[("base/model/Cargo.toml", &table), ("faces/gateway/Cargo.toml", &gateway)], 7, "arrows lead down");
    let tests = crate_of("model", "[dev-dependencies]\ngateway.workspace = true\n");
    only(&[("base/model/Cargo.toml", &tests), ("faces/gateway/Cargo.toml", &gateway)], 8, "arrows lead down");
}

#[test]
fn a_step_imports_another_for_its_proof_alone() {
    let mask = crate_of("mask", "");
    let accept = crate_of("accept", "");
    let record = crate_of("record", "[dependencies]\nmask.workspace = true\n");
    assert_eq!(breaches(&[("path/mask/Cargo.toml", &mask), ("path/record/Cargo.toml", &record)]), []);
    let record = crate_of("record", "[dependencies]\naccept.workspace = true\n");
    only(&[("path/accept/Cargo.toml", &accept), ("path/record/Cargo.toml", &record)], 8, "proof");
    // A test may stand a step up beside another.
    let record = crate_of("record", "[dev-dependencies]\naccept.workspace = true\n");
    assert_eq!(breaches(&[("path/accept/Cargo.toml", &accept), ("path/record/Cargo.toml", &record)]), []);
}

#[test]
fn tables_tell_the_steps_in_the_order_of_the_workspace() {
    let root = "[workspace]\nmembers = [\n  \"bin/p\",\n  \"path/accept\",\n  \"path/mask\",\n]\n";
    let table = |one: &str, two: &str| {
        format!(
            "# Map\n\n<!-- steps -->\n\n| step | crate |\n|---|---|\n| 1 | `path/{one}` |\n| 2 | `path/{two}` |\n\n`path/z`\n"
        )
    };
    assert_eq!(breaches(&[("Cargo.toml", root), ("ARCHITECTURE.md", &table("accept", "mask"))]), []);
    only(&[("Cargo.toml", root), ("ARCHITECTURE.md", &table("mask", "accept"))], 3, "another order");
    assert_eq!(breaches(&[("Cargo.toml", root), ("README.md", "No table.\n")]), []);
}

#[test]
fn the_patch_that_measures_the_record_fits() {
    let patch = "--- a/x.md\n+++ b/x.md\n@@ -1 +1 @@\n-one\n+two\n";
    assert_eq!(breaches(&[("benches/unrecorded.patch", patch), ("x.md", "one\n")]), []);
    only(&[("benches/unrecorded.patch", patch), ("x.md", "two\n")], 1, "does not fit x.md");
}
