//! The policies we give to people load and say what their sentences say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{CallerKind, Class, DataClass, FixedClock, Identity, Operation, Reveal, Ruling};

use crate::sample::{identity, llama, noon, operation, surroundings, target};
use crate::viewer::{Question, Viewer};
use crate::{Authorizer, PolicySet};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn examples() -> Arc<Authorizer> {
    let set = PolicySet::load(&root().join("examples/policies")).unwrap_or_else(|e| panic!("{e}"));
    Authorizer::new(set, "UTC", Arc::new(FixedClock::at(noon()))).unwrap()
}

#[test]
fn every_example_stands_by_itself_with_ids_and_sentences() {
    let folder = root().join("examples/policies");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "cedar") {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let set = PolicySet::parse(vec![(name, text)]).unwrap_or_else(|e| panic!("{e}"));
            let report = set.report();
            assert!(report.warnings.is_empty(), "{:?}", report.warnings);
            assert!(report.policies.iter().all(|p| !p.id.contains('#')), "{path:?}: give each an @id");
            seen += 1;
        }
    }
    assert!(seen >= 4);
}

#[test]
fn every_policy_of_the_cookbook_loads() {
    let text = std::fs::read_to_string(root().join("docs/policy.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 15, "{}", blocks.len());
    for block in &blocks {
        let set =
            PolicySet::parse(vec![("policy.md".into(), (*block).into())]).unwrap_or_else(|e| panic!("{e}"));
        assert!(!set.report().policies.is_empty(), "{block}");
    }
    // They also stand together.
    let files = blocks.iter().enumerate().map(|(n, block)| (format!("{n}.cedar"), (*block).to_owned()));
    PolicySet::parse(files.collect()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_cookbook_names_every_fact_and_action() {
    let text = std::fs::read_to_string(root().join("docs/policy.md")).unwrap();
    for class in Class::ALL {
        assert!(text.contains(&format!("`{class}`")), "{class}");
    }
    let schema = crate::SCHEMA;
    let fields = schema.split("type Operation = {").nth(1).unwrap().split("};").next().unwrap();
    let names = fields.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name);
    let names: Vec<_> =
        names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).collect();
    assert!(names.len() >= 16, "{names:?}");
    for name in names {
        assert!(
            text.contains(&format!("`context.{name}`"))
                || text.contains(&format!("`.{name}`"))
                || text.contains(&format!("`context.{name}.")),
            "{name}"
        );
    }
}

#[test]
fn the_examples_decide_as_their_sentences_say() {
    let authorizer = examples();
    let ruling = |who: &Identity, op: &Operation| {
        let set = authorizer.current();
        authorizer.decide_identity(&set, who, &target(), std::slice::from_ref(op), surroundings()).0.ruling
    };
    let ana = identity("ana", &["research"]);
    let mut secure = identity("omar", &["operators", "research"]);
    secure.token.mfa = true;
    secure.token.authenticated_at = Some(noon());
    let mut job = identity("job", &["services"]);
    job.kind = CallerKind::Workload;
    let ask = operation(Class::Infer, "llama-3");
    let change = |change: &dyn Fn(&mut Operation)| {
        let mut op = ask.clone();
        change(&mut op);
        op
    };
    for (who, op, expected) in [
        (&ana, ask.clone(), Ruling::Allowed),
        (&ana, change(&|op| op.facts.batch = 17), Ruling::Denied),
        (&ana, change(&|op| op.facts.max_tokens = 8193), Ruling::Denied),
        (&ana, change(&|op| _ = op.facts.matches.insert("project-names".into())), Ruling::Denied),
        (&identity("eve", &[]), operation(Class::Inspect, ""), Ruling::Allowed),
        (&identity("eve", &[]), ask.clone(), Ruling::Denied),
        (&job, operation(Class::Embed, "llama-3"), Ruling::Allowed),
        (&identity("ben", &["services"]), operation(Class::Embed, "llama-3"), Ruling::Denied),
        (&secure, operation(Class::Manage, ""), Ruling::Allowed),
        (&identity("omar", &["operators"]), operation(Class::Manage, ""), Ruling::Denied),
        (&secure, operation(Class::Train, "llama-3"), Ruling::NeedsApprovals(1)),
        (&secure, operation(Class::Export, "llama-3"), Ruling::NeedsApprovals(2)),
        (&secure, operation(Class::Administer, ""), Ruling::Denied),
        (&secure, operation(Class::Unknown, ""), Ruling::Denied),
    ] {
        assert_eq!(ruling(who, &op), expected, "{} {op:?}", who.subject);
    }
}

#[test]
fn the_examples_reveal_as_their_sentences_say() {
    let authorizer = examples();
    let mut agent = identity("sam", &["support"]);
    agent.token.mfa = true;
    let viewer = |who: Identity| {
        Viewer::new(
            Question::Reveal,
            Arc::clone(&authorizer),
            authorizer.current(),
            Arc::new(who),
            llama(),
            "model".into(),
        )
    };
    let (sam, eve) = (viewer(agent), viewer(identity("eve", &["support"])));
    for (class, by_sam, by_eve) in [
        ("opaque.image", true, true),
        ("pii.email", true, false),
        ("pii.phone", false, false),
        ("credential.aws", false, false),
    ] {
        let class = DataClass::new(class).unwrap();
        assert_eq!((sam.reveals(&class), eve.reveals(&class)), (by_sam, by_eve), "{class}");
    }
}

#[test]
fn the_examples_let_into_groups_as_their_sentences_say() {
    let authorizer = examples();
    let needs = |who: &Identity, minutes| {
        let wanted = crate::Membership { group: "on-call", minutes };
        (0..=3).find(|consents| {
            let joined = authorizer.join_again(who, wanted, surroundings().client, *consents);
            matches!(joined, crate::Joined::Permitted(_))
        })
    };
    let (ana, lead) = (identity("ana", &["ml-engineers"]), identity("lin", &["leads"]));
    assert_eq!((needs(&ana, 240), needs(&ana, 241)), (Some(1), None));
    assert_eq!((needs(&lead, 60), needs(&lead, 61)), (Some(0), None));
    assert_eq!(needs(&identity("eve", &["research"]), 1), None);
}
