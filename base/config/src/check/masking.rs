//! `masking`: a team's own rules and words.

use crate::reader::Mapping;
use crate::usable::{Masking, MaskingRule, MaskingWords};
use crate::value;

/// Most rules, words in a list, and bytes of a pattern or a word.
const MOST_RULES: usize = 500;
const MOST_WORDS: usize = 5_000;
const MOST_PATTERN: usize = 2_000;
const MOST_WORD: usize = 200;

/// Reads the section.
pub(super) fn masking(file: &Mapping<'_>) -> Masking {
    let Some(section) = file.section("masking") else { return Masking::default() };
    let (rules, words) = (section.named("rules"), section.named("words"));
    if rules.len() + words.len() > MOST_RULES {
        section.fault(format!("there are more than {MOST_RULES} rules and lists"), "fewer");
        return Masking::default();
    }
    let rules = rules.into_iter().filter_map(|(name, item)| {
        let rule = item.section()?;
        let pattern = rule.parse("pattern", |text| bounded(text, MOST_PATTERN));
        let class = rule.parse("class", class);
        let keywords = rule.list("keywords", |text| bounded(text, 40));
        let validator = rule.choice("validator").unwrap_or("none");
        let entropy = rule.number("entropy");
        let place = item.place();
        Some(MaskingRule { name, place, pattern: pattern?, class: class?, validator, keywords, entropy })
    });
    let rules = rules.collect();
    let words = words.into_iter().filter_map(|(name, item)| {
        let list = item.section()?;
        if list.many("words").len() > MOST_WORDS {
            list.fault(format!("the list has more than {MOST_WORDS} words"), "fewer");
            return None;
        }
        let class = list.parse("class", class);
        let words = list.list("words", |text| bounded(text, MOST_WORD));
        Some(MaskingWords { name, place: item.place(), class: class?, words })
    });
    Masking { rules, words: words.collect() }
}

fn class(text: &str) -> Result<String, String> {
    model::DataClass::new(text).map(|class| class.as_str().to_owned()).map_err(|fault| fault.to_string())
}

fn bounded(text: &str, most: usize) -> Result<String, String> {
    let text = value::text(text)?;
    match !text.is_empty() && text.len() <= most {
        true => Ok(text),
        false => Err(format!("it has 1 to {most} bytes")),
    }
}
