//! What an upstream might say back of a credential: every spelling of it that it has seen or can make.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

/// Shorter spellings are not looked for: they would be found in text that has nothing to do with them.
pub const SHORTEST: usize = 8;

/// Spellings of credentials to look for in answers. Overwritten when let go of.
#[derive(Default)]
pub struct Needles {
    spellings: Vec<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Needles({})", self.spellings.len())
    }
}

impl Needles {
    /// The spellings of all of these together, each once.
    pub fn of<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let distinct: BTreeSet<&[u8]> =
            all.into_iter().filter(|spelling| spelling.len() >= SHORTEST).collect();
        Self { spellings: distinct.into_iter().map(|spelling| Zeroizing::new(spelling.to_vec())).collect() }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.spellings.is_empty()
    }

    /// Each spelling. None is empty.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spellings.iter().map(|spelling| spelling.as_slice())
    }
}

/// How a secret may come back: as it is, as JSON writes it, and as a URL and a form write it.
pub(crate) fn spellings(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let json = serde_json::to_string(secret).map(Zeroizing::new).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    let url = Zeroizing::new(dial::form_encoded(secret));
    let mut all: Vec<Zeroizing<Vec<u8>>> = [
        secret.to_owned(),
        json.to_owned(),
        // PHP and others escape slashes, too.
        json.replace('/', "\\/"),
        url.to_string(),
        url.replace("%20", "+"),
        lower_escapes(&url),
    ]
    .map(|text| Zeroizing::new(text.into_bytes()))
    .into();
    all.sort_by(|one, other| one.as_slice().cmp(other.as_slice()));
    all.dedup();
    all
}

/// The same with `%2f` for `%2F`.
fn lower_escapes(url: &str) -> String {
    let mut digits = 0_u8;
    let lower = |c: char| {
        if c == '%' {
            digits = 2;
            return c;
        }
        let inside = digits > 0;
        digits = digits.saturating_sub(1);
        if inside { c.to_ascii_lowercase() } else { c }
    };
    url.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_in_every_spelling() {
        let told: Vec<String> =
            spellings("a/b \"c\"+Z").iter().map(|s| String::from_utf8(s.to_vec()).unwrap()).collect();
        for spelling in [
            "a/b \"c\"+Z",
            "a/b \\\"c\\\"+Z",
            "a\\/b \\\"c\\\"+Z",
            "a%2Fb%20%22c%22%2BZ",
            "a%2Fb+%22c%22%2BZ",
            "a%2fb%20%22c%22%2bZ",
        ] {
            assert!(told.iter().any(|known| known == spelling), "{spelling} in {told:?}");
        }
    }

    #[test]
    fn plain_letters_have_one_spelling_and_short_ones_are_left_out() {
        let spelt = spellings("abcdefgh1234");
        assert_eq!(spelt.len(), 1);
        let all: Vec<&[u8]> = vec![b"short", b"long enough", b"long enough"];
        let needles = Needles::of(all);
        assert_eq!(needles.iter().collect::<Vec<_>>(), [b"long enough"]);
        assert_eq!(format!("{needles:?}"), "Needles(1)");
    }
}
