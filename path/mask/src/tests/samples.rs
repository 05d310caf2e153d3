//! Each rule finds its made-up value; near misses stay.

use super::made::value;
use super::{ALNUM, Shows, noise, planted, rules};
use crate::{Rules, catalogue, mask_text};

#[test]
fn every_rule_finds_values_of_its_form() {
    let rules = rules();
    let mut faults = Vec::new();
    for rule in catalogue::standard() {
        assert!(!rule.source.is_empty(), "{} names no source", rule.name);
        for seed in 1..3 {
            let Some((text, range)) = value(&rule, seed, true) else {
                faults.push(format!("{}: no value was made", rule.name));
                break;
            };
            let finds = rules.find(text.as_bytes());
            // Another rule may know the form more closely, and a tail may go on.
            if !finds.iter().any(|f| f.range.start <= range.start + 3 && f.range.end + 3 >= range.end) {
                faults.push(format!("{}: not found in {text:?}: {finds:?}", rule.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Texts that are nearly one with a value of a rule.
fn nearly(text: &str, value: &std::ops::Range<usize>) -> Vec<String> {
    let (before, rest) = text.split_at(value.start);
    let (value, after) = rest.split_at(value.len());
    let other = |byte: u8| {
        if byte == b'7' || byte == b'q' {
            'Z'
        } else if byte.is_ascii_digit() {
            '7'
        } else {
            'q'
        }
    };
    let changed = |at: usize| {
        let mut bytes = value.as_bytes().to_vec();
        bytes[at] = u8::try_from(other(bytes[at])).unwrap();
        format!("{before}{}{after}", String::from_utf8_lossy(&bytes))
    };
    let shorter: String = value.chars().take(value.chars().count() - 1).collect();
    let mut all = vec![changed(value.len() - 1), changed(0), format!("{before}{shorter}{after}")];
    all.push(format!("see {value}{after}"));
    all.push(format!("{before}{}{after}", "x".repeat(value.len())));
    all.push(format!("{before}{}{after}", value.replace(|c: char| c.is_ascii_punctuation(), "")));
    all
}

#[test]
fn every_rule_has_near_misses_that_it_leaves() {
    let (rules, mut faults) = (rules(), Vec::new());
    for rule in catalogue::standard() {
        let Some((text, range)) = value(&rule, 1, true) else { continue };
        let mut misses = nearly(&text, &range);
        misses.extend(value(&rule, 1, false).map(|(text, _)| text));
        let left =
            misses.iter().filter(|text| rules.find(text.as_bytes()).iter().all(|f| *f.rule != *rule.name));
        // What was changed may be of its form still; not each time.
        if left.count() < 2 {
            faults.push(format!("{}: finds something in nearly all of {misses:?}", rule.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_fails_a_check_is_not_found_by_its_rule() {
    let rules = rules();
    let mut made = 0;
    for rule in catalogue::standard() {
        for seed in 1..2 {
            let Some((text, range)) = value(&rule, seed, false) else { continue };
            made += 1;
            let finds = rules.find(text.as_bytes());
            let same = finds.iter().find(|f| *f.rule == *rule.name && f.range == range);
            assert!(same.is_none(), "{} in {text:?}", rule.name);
        }
    }
    assert!(made > 100, "{made} near-misses");
}

#[test]
fn planted_values_are_found_whole() {
    let rules = rules();
    for (rule, marked) in planted() {
        let text: String = marked.chars().filter(|c| !"«»".contains(*c)).collect();
        let expected: Vec<&str> =
            marked.split('«').skip(1).map(|part| part.split('»').next().unwrap()).collect();
        let finds = rules.find(text.as_bytes());
        let found: Vec<&str> = finds.iter().map(|f| text.get(f.range.clone()).unwrap()).collect();
        assert_eq!(found, expected, "{rule} in {text}");
        assert!(finds.iter().all(|f| *f.rule == *rule), "{rule}: {finds:?}");
    }
}

#[test]
fn near_misses_stay() {
    let near = [
        "0.4111111111111111 and 4111111111111112".to_owned(),
        "x".repeat(40) + " ghp_" + &"x".repeat(36),
        format!("AKIA{} XAKIA{}", noise(1, 15, "ABCDEF23"), noise(1, 16, "ABCDEF23")),
        "see http://localhost:8080/a@b and postgres://u:${PASSWORD}@h and //a:b@c".to_owned(),
        "git@github.com:a/b.git, react@18.2.0, a@b, @someone, x@y.c0m".to_owned(),
        "-----BEGIN PRIVATE KEY-----\nanything\n-----END PRIVATE KEY-----".to_owned(),
        "the line -----BEGIN PRIVATE KEY----- and then some base64 text follows it".to_owned(),
        "password: correct horse, token = settings_value_name, api_key = os.environ".to_owned(),
        format!("commit {} of it", noise(2, 40, "0123456789abcdef")),
        "000-12-3456, 536-90-43991, DE89370400440532013001".to_owned(),
        "eyJ0eXAi.eyJh and hf_ and sk-learn, sk-test-case-name".to_owned(),
        "2023-11-20T10:15:30.123Z 1700000000000 pid=12345 127.0.0.1:8080 v1.2.3.4".to_owned(),
        "id d57bc177-3141-5371-3764-0a1b2c3d4e5f, KeyStrength128, P256SigningKey".to_owned(),
    ];
    for text in near {
        assert_eq!(rules().find(text.as_bytes()), [], "{text}");
    }
}

#[test]
fn placeholders_are_never_matched_again() {
    let rules = rules();
    for class in rules.classes() {
        for around in
            ["{}", "x {} y", "https://{}@h", "https://u:{}@h", "password=\"{}\"", "a{}@b.org", "4111 {}"]
        {
            let text = around.replace("{}", &format!("[{class}]"));
            assert_eq!(rules.find(text.as_bytes()), [], "{text}");
        }
    }
    for (_, marked) in planted() {
        let text: String = marked.chars().filter(|c| !"«»".contains(*c)).collect();
        let (once, _) = mask_text(&rules, &Shows(vec![]), &text);
        let (twice, findings) = mask_text(&rules, &Shows(vec![]), &once);
        assert_eq!(once, twice);
        assert!(findings.masked.is_empty());
    }
}

#[test]
fn what_is_revealed_hides_nothing_else() {
    let token = format!("{}{}", "ghp_", noise(5, 36, ALNUM));
    let text = format!("{token}@example.org and ada@example.org");
    let (masked, findings) = mask_text(&rules(), &Shows(vec!["pii"]), &text);
    assert_eq!(masked, "[credential.github]@example.org and ada@example.org");
    assert_eq!(findings.revealed.values().sum::<u64>(), 1);
    let (masked, _) = mask_text(&rules(), &Shows(vec!["credential"]), &text);
    assert_eq!(masked, "[pii.email] and [pii.email]");
    let (masked, findings) = mask_text(&rules(), &Shows(vec!["credential", "pii"]), &text);
    assert_eq!(masked, text);
    assert_eq!(findings.revealed.values().sum::<u64>(), 2, "the token and the second address");
}

#[test]
fn a_tail_is_cut_at_its_cap() {
    let begin = ["-----BEGIN", " PRI", "VATE KEY-----\n"].concat();
    let text = format!("{begin}{}", noise(1, 70_000, ALNUM));
    let finds = rules().find(text.as_bytes());
    assert_eq!(finds[0].range, 0..begin.len() + 24 + 65_535);
}

#[test]
fn the_automata_keep_to_their_budget() {
    let rules = Rules::standard().unwrap();
    assert!(rules.memory() <= 64 << 20, "{} bytes", rules.memory());
    assert!(rules.max_hold() <= 1024, "{} bytes", rules.max_hold());
}
