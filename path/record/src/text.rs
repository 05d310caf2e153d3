//! Words that were said, for the full-text index.

/// What somebody looks for, as FTS5 takes it: every word must be there, and what stands in quotes as a phrase.
/// Empty if there is no word in it. Nothing of it is syntax to the index.
pub(crate) fn query(asked: &str) -> String {
    let mut phrases = Vec::new();
    for (at, part) in asked.split('"').enumerate() {
        let quoted = at % 2 == 1;
        let words: Vec<&str> =
            part.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        if quoted && !words.is_empty() {
            phrases.push(format!("\"{}\"", words.join(" ")));
        } else {
            phrases.extend(words.into_iter().map(|word| format!("\"{word}\"")));
        }
    }
    phrases.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words_and_never_syntax() {
        for (asked, query_text) in [
            ("red fox", "\"red\" \"fox\""),
            ("\"red fox\" den", "\"red fox\" \"den\""),
            ("a OR b* NEAR(c) said:x", "\"a\" \"OR\" \"b\" \"NEAR\" \"c\" \"said\" \"x\""),
            ("ana@example.test", "\"ana\" \"example\" \"test\""),
            ("  \"\" ' ", ""),
        ] {
            assert_eq!(query(asked), query_text);
        }
    }
}
