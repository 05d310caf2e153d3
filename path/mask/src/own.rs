//! A team's own rules and words, made of the same parts as those that ship.

use std::sync::Arc;

use crate::check::{ANY, LUHN, MOD_97, RANDOM, VARIED, VERHOEFF};
use crate::mark::Marks;
use crate::rule::{Check, Rule, Words};
use crate::rules::{MaskError, Rules};

/// A rule of a team's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRule {
    /// Its name in findings; no other rule's.
    pub name: String,
    /// Where it stands, for whoever wrote it: goes into errors.
    pub place: String,
    /// The data class of its finds.
    pub class: String,
    /// How its values look.
    pub form: OwnForm,
    /// Words of which one must stand in the bytes before a value; none when empty.
    pub keywords: Vec<String>,
    /// The least bits of entropy a byte, in the first 64 bytes.
    pub entropy: u32,
}

/// How values of a team's own look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnForm {
    /// A regular expression over bytes, with a longest match, and what a match must pass besides.
    Pattern {
        /// The expression.
        pattern: String,
        /// `none`, `luhn`, `varied`, `random`, `mod97` or `verhoeff`.
        validator: String,
    },
    /// Any of these words, by itself, in any case of its ASCII letters.
    Words(Vec<String>),
}

/// What one rule adds to the automata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Its name.
    pub name: String,
    /// States of its own automaton. Together with others it may need more, or share some.
    pub states: usize,
    /// The bytes these take.
    pub bytes: usize,
    /// The most bytes it holds back.
    pub hold: usize,
}

fn check(validator: &str) -> Option<Check> {
    Some(match validator {
        "none" => ANY,
        "luhn" => LUHN,
        "varied" => VARIED,
        "random" => RANDOM,
        "mod97" => MOD_97,
        "verhoeff" => VERHOEFF,
        _ => return None,
    })
}

/// The most bytes that a rule of a team's own may hold back, and that its automaton alone may take.
const MOST_HOLD: usize = 1024;
const HEAVIEST: usize = 16 << 20;

impl OwnRule {
    fn rule(&self) -> Result<Rule, MaskError> {
        let fault =
            |fault: String| MaskError::Own { rule: self.name.clone(), place: self.place.clone(), fault };
        let (pattern, check) = match &self.form {
            OwnForm::Pattern { pattern, validator } => {
                let check =
                    check(validator).ok_or_else(|| fault(format!("`{validator}` is no validator")))?;
                (pattern.clone(), check)
            }
            OwnForm::Words(words) => (alternatives(words), ANY),
        };
        let properties =
            regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(&pattern);
        let properties = properties.map_err(|e| fault(e.to_string()))?.properties().clone();
        if properties.minimum_len().unwrap_or(0) == 0 {
            return Err(fault("it matches empty text, so it would match everywhere".to_owned()));
        }
        match properties.maximum_len() {
            None => {
                return Err(fault(
                    "it has no longest match: write `{1,40}` instead of `*` or `+`".to_owned(),
                ));
            }
            Some(longest) if longest > MOST_HOLD => {
                return Err(fault(format!(
                    "it may match {longest} bytes, which would be held back; the most is {MOST_HOLD}"
                )));
            }
            Some(_) => {}
        }
        let near =
            Words::Own(self.keywords.iter().map(|w| w.to_ascii_lowercase()).collect::<Vec<_>>().into());
        let entropy = f32::from(u8::try_from(self.entropy.min(8)).unwrap_or(8));
        let rule = Rule::spelled(self.name.clone(), self.class.clone(), pattern, check, "your own");
        Ok(Rule { near, entropy, ..rule })
    }
}

/// A pattern of any of `words`, each by itself.
fn alternatives(words: &[String]) -> String {
    let one = |word: &String| {
        let edge = |byte: Option<&u8>| {
            if byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') { r"\b" } else { "" }
        };
        let bytes: String = word.bytes().map(|b| format!(r"\x{b:02x}")).collect();
        let (first, last) = (edge(word.as_bytes().first()), edge(word.as_bytes().last()));
        format!("{first}(?i:{bytes}){last}")
    };
    words.iter().map(one).collect::<Vec<_>>().join("|")
}

impl Rules {
    /// The rules that ship and a team's own with what each of these costs, and how values are marked.
    /// Without any of both it is [`Rules::standard`], shared.
    ///
    /// # Errors
    /// [`MaskError`] with the rule at fault, its place and why: a pattern that is none or has no longest
    /// match, a name that is taken, or a rule that takes the automata beyond their limit.
    pub fn with(own: &[OwnRule], marks: &Marks) -> Result<(Arc<Self>, Vec<Cost>), MaskError> {
        if own.is_empty() && marks.is_plain() {
            return Ok((Self::standard()?, Vec::new()));
        }
        let mut all = crate::catalogue::standard();
        let mut costs = Vec::new();
        for spec in own {
            let rule = spec.rule()?;
            let told =
                |fault: String| MaskError::Own { rule: spec.name.clone(), place: spec.place.clone(), fault };
            let (states, bytes, hold) = Self::weigh(&rule).map_err(|e| told(e.to_string()))?;
            if bytes > HEAVIEST {
                return Err(told(format!("its automaton alone takes {bytes} bytes; the most is {HEAVIEST}")));
            }
            costs.push(Cost { name: spec.name.clone(), states, bytes, hold });
            all.push(rule);
        }
        let build = |rules: &[Rule]| Self::build(rules);
        let rules = build(&all).map_err(|fault| match fault {
            MaskError::Rule { rule, fault } => {
                let place = own.iter().find(|o| o.name == rule).map(|o| o.place.clone()).unwrap_or_default();
                MaskError::Own { rule, place, fault }
            }
            MaskError::Automaton(why) => {
                let heaviest =
                    costs.iter().max_by_key(|c| c.bytes).map(|c| c.name.clone()).unwrap_or_default();
                let place =
                    own.iter().find(|o| o.name == heaviest).map(|o| o.place.clone()).unwrap_or_default();
                let fault =
                    format!("together with the others it does not fit: {why}; it is the heaviest of yours");
                MaskError::Own { rule: heaviest, place, fault }
            }
            other => other,
        })?;
        Ok((Arc::new(rules.marked(marks)), costs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, pattern: &str, keywords: &[&str]) -> OwnRule {
        let form = OwnForm::Pattern { pattern: pattern.into(), validator: "none".into() };
        let keywords = keywords.iter().map(|k| (*k).to_owned()).collect();
        OwnRule {
            name: name.into(),
            place: "7:3".into(),
            class: "pii.employee".into(),
            form,
            keywords,
            entropy: 0,
        }
    }

    #[test]
    fn own_rules_and_words_are_found_and_cost_what_is_told() {
        let words = OwnRule {
            form: OwnForm::Words(vec!["Project Bluebird".into(), "Zürich-7".into()]),
            class: "secret.project".into(),
            ..own("projects", "", &[])
        };
        let number = own("employee", r"\bE[0-9]{6}\b", &["employee", "staff"]);
        let (rules, costs) = Rules::with(&[number, words], &Marks::default()).unwrap();
        let finds = rules.find("staff E123456, part E123456 of\u{20}project bluebird in Zürich-7".as_bytes());
        let names: Vec<_> = finds.iter().map(|f| &*f.rule).collect();
        assert_eq!(names, ["employee", "employee", "projects", "projects"]);
        assert!(rules.find(b"part E123456").is_empty());
        assert_eq!(costs.len(), 2);
        assert!(costs[0].states > 5 && costs[0].hold == 8, "{costs:?}");
    }

    #[test]
    fn what_can_not_be_built_is_refused_with_its_place() {
        for (pattern, says) in [
            ("a+", "no longest match"),
            ("x{0,3}", "empty text"),
            ("(", "unclosed"),
            ("[a-z]{2000}", "held back"),
            ("(?:a|b|c)[a-z]{0,400}(?:x|y)[a-z]{0,400}z", "does not fit"),
        ] {
            let fault = Rules::with(&[own("mine", pattern, &[])], &Marks::default()).unwrap_err().to_string();
            assert!(fault.contains(says) && fault.contains("7:3"), "{pattern}: {fault}");
        }
        let taken = Rules::with(&[own("email", "abc", &[])], &Marks::default()).unwrap_err().to_string();
        assert!(taken.contains("taken") && taken.contains("7:3"), "{taken}");
    }
}
