//! `masking`: a team's own rules and words.

use model::DataClass;

use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{Masking, MaskingRule, MaskingWords, Placeholder};
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
        let class = rule.parse("class", value::class);
        let keywords = rule.list("keywords", |text| bounded(text, 40));
        let validator = rule.choice("validator").unwrap_or("none");
        let entropy = rule.number("entropy");
        let place = item.place();
        let class = class?.as_str().to_owned();
        Some(MaskingRule { name, place, pattern: pattern?, class, validator, keywords, entropy })
    });
    let rules = rules.collect();
    let words = words.into_iter().filter_map(|(name, item)| {
        let list = item.section()?;
        if list.many("words").len() > MOST_WORDS {
            list.fault(format!("the list has more than {MOST_WORDS} words"), "fewer");
            return None;
        }
        let class = list.parse("class", value::class);
        let words = list.list("words", |text| bounded(text, MOST_WORD));
        let class = class?.as_str().to_owned();
        Some(MaskingWords { name, place: item.place(), class, words })
    });
    Masking { rules, words: words.collect(), placeholders: placeholders(&section) }
}

/// How the classes are marked. Credentials by their class alone, so nobody can think that they are not.
fn placeholders(section: &Mapping<'_>) -> Vec<(DataClass, Placeholder)> {
    let named = section.named("placeholders");
    if named.len() > MOST_RULES {
        section.fault(format!("there are more than {MOST_RULES} placeholders"), "fewer");
    }
    let marks = named.into_iter().filter_map(|(name, item)| {
        // A name that is no class was noted.
        let class = value::class(&name).ok()?;
        let mark = if item.choice()? == "partial" { Placeholder::Partial } else { Placeholder::Class };
        if mark == Placeholder::Partial && !class.may_show_end() {
            let why = match name.starts_with("credential") {
                true => "whoever makes a model print a key again and again, one letter shorter each time, would read all of it from the ends",
                false => "its values have no last characters",
            };
            item.fault(format!("{} can't be shown in part: {why}", shown(&name)), "`class`, or nothing");
            return None;
        }
        Some((class, mark))
    });
    marks.collect()
}

fn bounded(text: &str, most: usize) -> Result<String, String> {
    let text = value::text(text)?;
    match !text.is_empty() && text.len() <= most {
        true => Ok(text),
        false => Err(format!("it has 1 to {most} bytes")),
    }
}
