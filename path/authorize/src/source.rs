//! Where each policy stands in its file, and the sentence above it.

use crate::fault::Place;

/// The longest line shown with a fault.
const LINE: usize = 200;

/// The place of a byte offset.
pub(crate) fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
    }
}

/// The line that a byte offset lies in, without its end, cut to what can be shown.
pub(crate) fn line(text: &str, offset: usize) -> String {
    let start = text.get(..offset).unwrap_or(text).rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..).unwrap_or("").lines().next().unwrap_or("");
    line.chars().take(LINE).collect()
}

/// The offset of each of `policies`, which are all the statements of `text` in order. Between
/// statements there is only space and comments, so a policy quoted in a comment is not mistaken for
/// the policy. `None` when that is not how the text reads.
pub(crate) fn locate(text: &str, policies: &[String]) -> Option<Vec<usize>> {
    let mut at = 0;
    let mut found = Vec::with_capacity(policies.len());
    for policy in policies {
        at = skip_blank(text, at);
        if policy.is_empty() || !text.get(at..)?.starts_with(policy.as_str()) {
            return None;
        }
        found.push(at);
        at += policy.len();
    }
    (skip_blank(text, at) == text.len()).then_some(found)
}

/// The offset after the space and comments at `at`.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or("");
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with("//") {
            return at;
        }
        at += trimmed.find('\n').unwrap_or(trimmed.len());
    }
}

/// The sentence for people: the comment lines directly above the statement at `offset`, or else those
/// between its annotations and its effect.
pub(crate) fn sentence(text: &str, offset: usize, policy: &str) -> Option<String> {
    let above = text.get(..offset)?;
    let own_line = above.rfind('\n').map_or(0, |at| at + 1);
    let mut lines: Vec<&str> =
        above.get(..own_line)?.lines().rev().map_while(|line| line.trim().strip_prefix("//")).collect();
    lines.reverse();
    if lines.is_empty() {
        lines = policy
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("permit") && !line.starts_with("forbid"))
            .filter_map(|line| line.strip_prefix("//"))
            .collect();
    }
    let words: Vec<&str> =
        lines.iter().flat_map(|line| line.trim_start_matches('/').split_whitespace()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_quoted_in_a_comment_is_not_taken_for_the_policy() {
        let policy = "permit(principal, action, resource);";
        let text = format!("// {policy}\n\n{policy}\n// the end");
        assert_eq!(locate(&text, &[policy.to_owned()]), Some(vec![policy.len() + 5]));
        assert_eq!(locate(&text, &[]), None);
        assert_eq!(locate("// nothing\n", &[]), Some(vec![]));
    }

    #[test]
    fn the_sentence_is_the_comment_directly_above() {
        let policy = "@id(\"x\")\npermit(a);";
        let text = format!("// About the file.\n\n// Researchers may\n///  ask models.\n{policy}");
        let at = text.find('@').unwrap();
        assert_eq!(sentence(&text, at, policy).as_deref(), Some("Researchers may ask models."));
        assert_eq!(sentence(&format!("// far\n\n{policy}"), 8, policy), None);
        let inside = "@id(\"x\")\n// Inside.\npermit(a);";
        assert_eq!(sentence(inside, 0, inside).as_deref(), Some("Inside."));
    }

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(place("é\nxéy", 6), Place { line: 2, column: 3 });
        assert_eq!(line("one\ntwo\nthree", 5), "two");
        assert_eq!(place("ab", 99), Place { line: 1, column: 3 });
    }
}
