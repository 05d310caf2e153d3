//! What the verbs say of rules, texts and samples.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::*;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a verb says, or why it fails.
fn said(verb: MaskVerb, colour: bool) -> Result<String, String> {
    let kept = Kept::default();
    verb.run(&mut Out::into(Box::new(kept.clone()), colour)).map_err(|fault| fault.to_string())?;
    let bytes = kept.0.lock().unwrap().clone();
    Ok(String::from_utf8(bytes).unwrap())
}

fn json(verb: MaskVerb) -> Value {
    serde_json::from_str(&said(verb, false).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A whole configuration with this section about masking.
fn config(folder: &Path, masking: &str) -> PathBuf {
    std::fs::create_dir_all(folder.join("policies")).unwrap();
    let text = format!(
        "listeners: [127.0.0.1:8080]\nissuers:\n  corp: {{issuer: \"https://login.example.test\", audiences: portcullis}}\n\
         resources:\n  llama: {{server: vllm, upstreams: \"http://127.0.0.1:8000\"}}\npolicies: policies\nledger: ledger\n\
         masking:\n{masking}"
    );
    write(folder, "portcullis.yaml", text.as_bytes())
}

fn card() -> String {
    ["4111", "1111", "1111", "1111"].concat()
}

fn token() -> String {
    format!("{}{}", "ghp_", "q7Zf3D0LXCM3EIMbgJpUNnK2vR9sT1wY8aB4")
}

fn attempt(file: PathBuf, json: bool, config: Option<PathBuf>) -> MaskVerb {
    MaskVerb::Try(Try { file: Some(file), json, config })
}

#[test]
fn a_text_is_masked_and_what_was_found_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let percent: String = token().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let text = format!("pay {} for {percent}", card());
    let file = write(folder.path(), "text", text.as_bytes());
    let plain = said(attempt(file.clone(), false, None), false).unwrap();
    assert!(plain.starts_with("pay [pii.credit-card] for [credential.github]\n"), "{plain}");
    assert!(plain.contains("pii.credit-card  credit-card  bytes 4-20\n"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "no colour but on a terminal: {plain}");
    let coloured = said(attempt(file.clone(), false, None), true).unwrap();
    assert!(coloured.contains("\u{1b}[33m[pii.credit-card]"), "{coloured}");
    let told = json(attempt(file, true, None));
    assert_eq!(told["masked"], "pay [pii.credit-card] for [credential.github]");
    assert_eq!(told["findings"][1]["class"], "credential.github");
    assert_eq!(told["findings"][1]["rule"], "github-token");
    assert_eq!(
        (told["findings"][1]["start"].as_u64(), told["findings"][1]["end"].as_u64()),
        (Some(25), Some(145))
    );
}

#[test]
fn the_end_of_a_value_is_shown_where_the_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "text", format!("pay {} by {}", card(), token()).as_bytes());
    let config = config(folder.path(), "  placeholders: {pii: partial}\n");
    let told = json(attempt(file, true, Some(config)));
    assert_eq!(told["masked"], "pay [pii.credit-card:..1111] by [credential.github]");
    assert_eq!(told["findings"][0]["placeholder"], "[pii.credit-card:..1111]");
}

fn list(json: bool, config: Option<PathBuf>) -> MaskVerb {
    MaskVerb::Rules(List { json, config })
}

#[test]
fn rules_are_listed_with_their_class_check_and_source() {
    let table = said(list(false, None), false).unwrap();
    assert!(table.contains("github-token") && table.contains("credential.github"), "{table}");
    let told = json(list(true, None));
    let rules = told["rules"].as_array().unwrap();
    assert!(rules.len() >= 300, "{}", rules.len());
    for rule in rules {
        for key in ["name", "class", "check", "source"] {
            assert!(rule[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {rule}");
        }
    }
    assert!(told["bytes"].as_u64().unwrap() <= 64 << 20 && told["max_hold"].as_u64().unwrap() <= 1024);
    assert_eq!(told["own"], json!([]));
}

#[test]
fn a_rule_of_ones_own_is_listed_with_its_cost_or_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |pattern: &str| format!("  rules:\n    staff: {{pattern: '{pattern}', class: pii.staff}}\n");
    let good = config(folder.path(), &rule(r"\bE[0-9]{6}\b"));
    let told = json(list(true, Some(good.clone())));
    assert_eq!(told["own"][0]["name"], "staff");
    assert!(
        told["own"][0]["states"].as_u64().unwrap() > 5 && told["own"][0]["bytes"].as_u64().unwrap() > 100
    );
    let table = said(list(false, Some(good)), false).unwrap();
    assert!(
        table.contains("staff: ") && table.contains("states") && table.contains("holds at most 8 bytes"),
        "{table}"
    );
    for (pattern, reason) in
        [("E[0-9]+", "no longest match"), ("(?:a|b|c)[a-z]{0,400}(?:x|y)[a-z]{0,400}z", "does not fit")]
    {
        let fault = said(list(false, Some(config(folder.path(), &rule(pattern)))), false).unwrap_err();
        assert!(
            fault.contains(reason) && fault.contains("`staff`") && fault.contains("10:"),
            "{pattern}: {fault}"
        );
    }
}

#[test]
fn samples_are_measured_compressed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let token = token();
    let lines = [
        json!({ "text": format!("t={token};"), "spans": [[2, 2 + token.len(), "CRED/github"]], "source": "made" }),
        json!({ "text": "t=nothing", "spans": [[2, 9, "CRED/github"]] }),
        json!({ "text": format!("card {}", card()), "spans": [[5, 21, "PII/CREDIT_CARD"]] }),
        json!({ "text": "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "neg_for": "CRED/github" }),
        json!({ "text": format!("{token} is one"), "neg_for": "CRED/github" }),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    for (name, bytes) in [("plain.jsonl", text.into_bytes()), ("small.jsonl.gz", gzip.finish().unwrap())] {
        let file = write(folder.path(), name, &bytes);
        let eval = |json| MaskVerb::Eval(Eval { file: file.clone(), json, config: None });
        let told = json(eval(true));
        assert_eq!(told["credential_recall"], 0.5);
        assert_eq!(told["pii_recall"], 1.0);
        // The second near-miss is labelled a value elsewhere: it says nothing.
        assert_eq!((told["near_miss_rate"].as_f64(), told["contradictions"].as_u64()), (Some(0.0), Some(1)));
        let github = &told["families"]["CRED/github"];
        assert_eq!((github["values"].as_u64(), github["found"].as_u64()), (Some(2), Some(1)));
        assert_eq!((github["near_misses"].as_u64(), github["flagged"].as_u64()), (Some(1), Some(0)));
        let table = said(eval(false), false).unwrap();
        assert!(table.contains("CRED/github") && table.contains("credential recall 0.500"), "{table}");
    }
    let broken = write(folder.path(), "broken.jsonl", b"{\"text\":\"a\"}\n{}\n");
    let fault = said(MaskVerb::Eval(Eval { file: broken, json: true, config: None }), false).unwrap_err();
    assert!(fault.contains("line 2") && fault.contains("`text`"), "{fault}");
}
