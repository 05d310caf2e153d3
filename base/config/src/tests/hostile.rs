//! Files made to hurt: nothing panics, nothing grows without bound.

use proptest::prelude::*;

use super::Folder;
use crate::reference::{SMALL, WHOLE};

#[test]
fn aliases_cannot_unfold_without_bound() {
    let folder = Folder::new();
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..30 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    assert!(folder.faults(&text).contains("unfolds to more than 100000 values"));
    let merges: String =
        (1..40).map(|i| format!("m{i}: &m{i} {{<<: [*m{0}, *m{0}, *m{0}]}}\n", i - 1)).collect();
    assert!(folder.faults(&format!("m0: &m0 {{a: b}}\n{merges}")).contains("unfolds"));
    assert!(folder.faults("a: &a [*a]").contains("stands inside the value that it stands for"));
}

#[test]
fn depth_and_width_are_bounded() {
    let folder = Folder::new();
    assert!(folder.faults(&"[".repeat(200_000)).contains("not YAML"));
    assert!(folder.faults(&"- ".repeat(200_000)).contains("not YAML"));
    let keys: String = (0..40_000).map(|i| format!("k{i}: 1\n")).collect();
    let faults = folder.parse(&keys).unwrap_err();
    assert!(faults.count() > 30_000);
    assert!(faults.iter().count() <= 200);
    assert!(faults.render(false).ends_with(" more\n"));
    let list = format!("listeners: [{}]\n", "x, ".repeat(200_000));
    assert!(folder.faults(&list).contains("unfolds to more than"));
}

#[test]
fn a_pattern_cannot_compile_without_bound() {
    let folder = Folder::new();
    let told = folder.faults(&format!("{SMALL}deny_lists: {{a: {{patterns: ['(\\w{{1000}}){{1000}}']}}}}\n"));
    assert!(told.contains("compiles to more than 1048576 bytes"), "{told}");
    let patterns = vec!["a"; 600].join(", ");
    let lists =
        format!("{SMALL}deny_lists: {{a: {{patterns: [{patterns}]}}, b: {{patterns: [{patterns}]}}}}\n");
    assert!(folder.faults(&lists).contains("all lists together have more than 1000 patterns"));
}

/// The whole example with some of its bytes cut out, doubled or replaced.
fn damaged() -> impl Strategy<Value = String> {
    let edit = (
        0..WHOLE.len(),
        0..40_usize,
        prop::sample::select(vec!["", ": ", "{", "[", "*a", "&a ", "\n", "  ", "'", "é"]),
    );
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (at, length, put) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, put.bytes());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Folder::new().parse(&text).map_err(|faults| faults.render(true));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let folder = Folder::new();
        let file = folder.path("portcullis.yaml");
        std::fs::write(&file, bytes).unwrap();
        if let Err(faults) = crate::load(&file) {
            prop_assert!(faults.count() > 0);
        }
    }

    #[test]
    fn no_yaml_like_text_panics(text in "[-a-c:*&{}\\[\\], \n'\"|>?#!%<~.0-9]{0,120}") {
        let _ = Folder::new().parse(&text).map_err(|faults| faults.render(false));
    }

    #[test]
    fn damage_gives_a_configuration_or_faults_with_places(text in damaged()) {
        let folder = Folder::new();
        if let Err(faults) = folder.parse(&text) {
            prop_assert!(faults.count() > 0);
            let lines = text.lines().count() + 1;
            for fault in faults.iter() {
                prop_assert!((1..=lines).contains(&fault.line), "{}", fault);
                prop_assert!(fault.column >= 1 && !fault.message.is_empty());
            }
            let rendered = faults.render(true);
            prop_assert!(rendered.len() < 2000 * (faults.count() + 1));
        }
    }
}
