//! The page about the rules, made from the rules.

use std::fmt::Write as _;

use crate::rules::{MaskError, Rules};

/// `docs/masking-rules.md`: every rule that ships, and what a team's own may be.
///
/// # Errors
/// [`MaskError`] when the rules can't be built.
pub fn rules_markdown() -> Result<String, MaskError> {
    let rules = Rules::standard()?;
    let mut page = String::from(HEAD);
    for entry in rules.catalogue() {
        let words = if entry.words { "yes" } else { "" };
        let unbounded = if entry.unbounded { "head, then all of it" } else { "whole" };
        // A String takes everything.
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {} | {words} | {unbounded} | {} |",
            entry.name, entry.class, entry.check, entry.source
        );
    }
    let count = rules.catalogue().count();
    let _ = write!(
        page,
        "\n{count} rules. A text is held back by at most {} bytes, and only while those bytes may still begin a value.\n",
        rules.max_hold()
    );
    page.push_str(OWN);
    Ok(page)
}

const HEAD: &str = "\
# Masking rules

Made from the rules by `cargo run -p mask --example write-rules`; a test says when it is old. `portcullis mask rules`
prints the same, `portcullis mask try` shows what becomes of a text, and `portcullis mask eval` measures recall and
near-misses on labelled samples.

A rule finds a value by its form. What has the form is then judged: check digits for numbers, variety for keys. A check
sum of a *credential* is never asked for: samples and revoked keys often fail it. Where a form alone would fit too much, a
word must stand in the 80 bytes before the value. Every value is masked, unless policy reveals its class.

| rule | class | what is checked | words before it | decided | source |
|---|---|---|---|---|---|
";

const OWN: &str = "
## What is not masked

Names, addresses and ages: no form gives them away. URLs, private and reserved addresses of machines, identifiers
such as UUIDs and hashes without a word that says secret. Secrets that a model spells another way, as in words.

## Rules of your own

```yaml
masking:
  rules:
    employee-number:
      pattern: '\\bE[0-9]{6}\\b'
      class: pii.employee-number
      keywords: [employee, staff]
  words:
    projects:
      class: secret.project
      words: [Bluebird, Project Heron]
```

A pattern is a regular expression over ASCII bytes that has a longest match of at most 1,024 bytes. `validator` asks
for more: `luhn`, `mod97`, `verhoeff`, `varied` or `random`. `portcullis mask rules --config portcullis.yaml` shows what
each costs in states and bytes. All rules together must fit in an automaton of 64 MB; one that does not is refused when
the file is loaded, with its place and the reason, and a reload keeps the rules that were there.
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_about_the_rules_is_current() {
        let page = include_str!("../../../docs/masking-rules.md");
        let made = super::rules_markdown().unwrap();
        assert!(page == made, "docs/masking-rules.md is old: run `cargo run -p mask --example write-rules`");
    }
}
