//! What loads, what does not, and where the faults point.

use std::fs;

use super::*;
use crate::PolicyFault;
use crate::sample::set;

fn faults(text: &str) -> Vec<PolicyFault> {
    match PolicySet::parse(vec![("test.cedar".into(), text.into())]) {
        Ok(set) => panic!("{set:?} loads"),
        Err(faults) => faults.iter().cloned().collect(),
    }
}

fn only(text: &str) -> PolicyFault {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.into_iter().next().unwrap()
}

#[test]
fn ids_places_and_sentences_are_read() {
    let set = set(r#"// A header.

// Researchers may
// ask models.
@id("ask")
permit(principal in Group::"research", action == Action::"infer", resource);

@reason("Nobody trains.")
forbid(principal, action == Action::"train", resource);
"#);
    let report = set.report();
    let lines: Vec<_> = report
        .policies
        .iter()
        .map(|p| (p.id.as_str(), p.place.line, p.effect.as_str(), p.sentence.as_deref()))
        .collect();
    assert_eq!(
        lines,
        [
            ("ask", 5, "permit", Some("Researchers may ask models.")),
            ("test.cedar#2", 8, "forbid", Some("Nobody trains.")),
        ]
    );
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn a_syntax_fault_names_its_line_and_shows_it() {
    let fault = only("// ok\npermit(principal, action, resource)\nwhen { context.batch << 3 };\n");
    assert_eq!(fault.place, Some(Place { line: 3, column: 23 }), "{fault}");
    insta::assert_snapshot!(fault, @r"
    test.cedar:3:23: unexpected token `<` (expected `!`, `(`, `-`, `[`, `{`, `false`, identifier, `if`, number, `?principal`, `?resource`, string literal, or `true`)
      3 | when { context.batch << 3 };
        |                       ^
    ");
}

#[test]
fn faults_of_every_file_and_policy_come_at_once() {
    let files = vec![
        ("a.cedar".to_owned(), "permit(principal, action == Action::\"inferr\", resource);".to_owned()),
        (
            "b.cedar".to_owned(),
            "permit(principal, action == Action::\"infer\", resource) when { context.batsch < 3 };\n\
             permit(principal, action == Action::\"infer\", resource) when { context.batch < \"3\" };"
                .to_owned(),
        ),
        ("c.cedar".to_owned(), "permit(".to_owned()),
    ];
    let faults = PolicySet::parse(files).unwrap_err();
    let places: Vec<_> =
        faults.iter().map(|f| (f.file.as_str(), f.place.map(|p| (p.line, p.column)))).collect();
    for file in ["a.cedar", "b.cedar", "c.cedar"] {
        assert!(places.iter().any(|(f, place)| *f == file && place.is_some()), "{faults}");
    }
    assert!(places.contains(&("b.cedar", Some((1, 63)))), "{faults}");
    assert!(places.contains(&("b.cedar", Some((2, 79)))), "{faults}");
}

#[test]
fn validator_warnings_are_faults() {
    // A policy that can never hold: a caller is never equal to a group.
    let fault = only("permit(principal == Group::\"research\", action == Action::\"infer\", resource);");
    assert!(fault.to_string().contains("replacing `==` with `in`"), "{fault}");
    assert!(fault.place.is_some(), "{fault}");
    let never =
        only("permit(principal, action == Action::\"infer\", resource) when { context.batch > 3 && false };");
    assert!(never.message.contains("impossible"), "{never}");
    // Two scripts in one string: one of the letters is not what it looks like.
    let mixed = "permit(principal in Group::\"rese\u{430}rch\", action == Action::\"infer\", resource);";
    assert!(only(mixed).message.contains("mixed scripts"), "{}", only(mixed));
}

#[test]
fn a_condition_on_operations_must_hold_off_reveal() {
    let fault = &faults("forbid(principal, action, resource) when { context.batch > 3 };")[0];
    assert!(fault.message.contains("batch"), "{fault}");
    set("forbid(principal, action in Action::\"operation\", resource) when { context.batch > 3 };");
}

#[test]
fn equality_on_a_resource_is_a_fault_wherever_it_stands() {
    for policy in [
        "permit(principal, action == Action::\"infer\", resource == Resource::\"llama\");",
        "forbid(principal, action in Action::\"operation\", resource) when { resource == Resource::\"llama\" };",
        "forbid(principal, action in Action::\"operation\", resource) unless { Resource::\"llama\" != resource };",
        "forbid(principal, action in Action::\"operation\", resource) \
         when { [Resource::\"llama\", Resource::\"qwen\"].contains(resource) };",
    ] {
        let faults = faults(policy);
        assert!(
            faults
                .iter()
                .any(|f| f.advice.as_deref().is_some_and(|a| a.contains("resource in Resource::\"llama\""))),
            "{policy}"
        );
    }
    set("permit(principal, action == Action::\"infer\", resource in Resource::\"llama\");");
    set("permit(principal, action == Action::\"infer\", resource == Model::\"llama/a/b\");");
    set(
        "permit(principal, action == Action::\"reveal\", resource) when { context.resource == Resource::\"llama\" };",
    );
}

#[test]
fn ids_that_nothing_can_have_are_faults() {
    for (policy, word) in [
        ("permit(principal, action == Action::\"infer\", resource in Resource::\"Llama\");", "Resource"),
        ("permit(principal, action == Action::\"infer\", resource == Model::\"llama\");", "resource/model"),
        ("permit(principal, action == Action::\"reveal\", resource in DataClass::\"pii.*\");", "DataClass"),
        ("permit(principal == Caller::\"ana\", action == Action::\"infer\", resource);", "issuer#subject"),
        (
            "permit(principal, action == Action::\"reveal\", resource) when { resource in DataClass::\"\" };",
            "DataClass",
        ),
    ] {
        let fault = only(policy);
        assert!(fault.to_string().contains(word), "{fault}");
    }
}

#[test]
fn ids_are_unique_over_all_files_and_readable() {
    let policy = "@id(\"x\") permit(principal, action == Action::\"infer\", resource);";
    let files = ["a.cedar", "b.cedar"].map(|name| (name.to_owned(), policy.to_owned()));
    let faults = PolicySet::parse(files.to_vec()).unwrap_err();
    assert!(faults.to_string().contains("already taken at a.cedar:1"), "{faults}");
    for id in ["", "a\\nb", "`"] {
        let fault = only(&format!("@id(\"{id}\") permit(principal, action == Action::\"infer\", resource);"));
        assert!(fault.message.contains("cannot be a policy's id"), "{fault}");
    }
}

#[test]
fn templates_are_refused() {
    let fault = only("permit(principal in ?principal, action == Action::\"infer\", resource);");
    assert!(fault.message.contains("templates"), "{fault}");
}

#[test]
fn a_folder_is_read_in_order_and_nothing_else_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let policy = |id: &str| {
        format!("// Says so.\n@id(\"{id}\")\npermit(principal, action == Action::\"infer\", resource);\n")
    };
    fs::write(dir.path().join("b.cedar"), policy("second")).unwrap();
    fs::write(dir.path().join("a.cedar"), policy("first")).unwrap();
    fs::write(dir.path().join(".hidden.cedar"), "nonsense").unwrap();
    fs::write(dir.path().join("readme.md"), "nonsense").unwrap();
    let set = PolicySet::load(dir.path()).unwrap();
    let ids: Vec<_> = set.report().policies.into_iter().map(|p| p.id).collect();
    assert_eq!(ids, ["first", "second"]);
    assert_eq!(set.report().files, ["a.cedar", "b.cedar"]);
}

#[test]
fn what_cannot_be_read_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.cedar"), [0xff, 0xfe]).unwrap();
    fs::create_dir(dir.path().join("b.cedar")).unwrap();
    fs::write(dir.path().join("c.cedar"), vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
    let faults = PolicySet::load(dir.path()).unwrap_err();
    let said: Vec<_> = faults.iter().map(|f| format!("{}: {}", f.file, f.message)).collect();
    assert!(said[0].contains("not UTF-8") && said[1].contains("not a file") && said[2].contains("larger"));
    assert_eq!(said.len(), 3);
    assert!(PolicySet::load(&dir.path().join("absent")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn an_empty_folder_denies_everything_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let set = PolicySet::load(dir.path()).unwrap();
    assert_eq!(set.report().warnings, ["there is no policy, so everything is denied"]);
}

#[test]
fn warnings_name_policies_without_sentence_and_those_that_permit_everything() {
    let warnings = set("permit(principal, action, resource);").report().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].contains("high-risk"), "{warnings:?}");
}

#[test]
fn the_hash_is_over_names_and_exact_contents() {
    let one = |name: &str, text: &str| PolicySet::parse(vec![(name.into(), text.into())]).unwrap();
    let policy = "permit(principal, action == Action::\"infer\", resource);";
    let set = one("a.cedar", policy);
    assert_eq!(set.hash(), one("a.cedar", policy).hash());
    assert_ne!(set.hash(), one("b.cedar", policy).hash());
    assert_ne!(set.hash(), one("a.cedar", &format!("{policy}\n")).hash());
    // Where a file ends is part of what is hashed.
    let files = |parts: [&str; 2]| {
        let files = parts.iter().enumerate().map(|(n, text)| (format!("{n}.cedar"), (*text).to_owned()));
        PolicySet::parse(files.collect()).unwrap()
    };
    assert_ne!(files([policy, ""]).hash(), files(["", policy]).hash());
}

#[test]
fn a_set_is_read_back_from_its_text() {
    let files = vec![
        ("a.cedar".to_owned(), "// é\npermit(principal, action == Action::\"infer\", resource);".to_owned()),
        ("b c.cedar".to_owned(), "// file 3 x\n".to_owned()),
    ];
    let set = PolicySet::parse(files).unwrap();
    let again = PolicySet::read_back(set.text()).unwrap();
    assert_eq!((again.hash(), again.text()), (set.hash(), set.text()));
    let cut = set.text().strip_suffix('\n').unwrap();
    for broken in ["", "x", cut, &format!("{}x", set.text())] {
        assert!(PolicySet::read_back(broken).is_err(), "{broken:?}");
    }
}

proptest::proptest! {
    /// No text makes loading panic, and what loads reads back the same.
    #[test]
    fn any_text_loads_or_is_refused(text in "(permit|forbid|\\(|\\)|principal|action|resource|//|\n| |,|;|@id\\(\"x\"\\)|when|\\{|\\}|true|é|\\PC){0,12}") {
        if let Ok(set) = PolicySet::parse(vec![("t.cedar".into(), text)]) {
            let again = PolicySet::read_back(set.text()).unwrap();
            proptest::prop_assert_eq!(again.hash(), set.hash());
        }
    }
}
