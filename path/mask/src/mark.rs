//! What stands in the place of a masked value: its class, or its class and its last characters.
//!
//! `[pii.credit-card]`, or `[pii.credit-card:..1111]`. Both are plain ASCII without quotes, spaces and
//! backslashes, so they mean themselves in JSON, in headers, in Markdown and in a percent-encoded text, and
//! no class has a `:` in its name, so neither is ever taken for the other.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use model::DataClass;

/// How values of a class are marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// By the class alone.
    #[default]
    Class,
    /// By the class and the value's last letters and digits, as many as may be shown.
    Partial,
}

/// Which classes are marked how. Classes nest: the nearest class around one decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<DataClass, Mark>);

impl FromIterator<(DataClass, Mark)> for Marks {
    fn from_iter<T: IntoIterator<Item = (DataClass, Mark)>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl Marks {
    /// Whether every class is marked by itself alone.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.values().all(|mark| *mark == Mark::Class)
    }

    /// How values of `class` are marked. Of a class whose values' ends may never be shown, by the class.
    pub(crate) fn of(&self, class: &DataClass) -> Mark {
        let named = std::iter::successors(Some(class.clone()), DataClass::parent)
            .find_map(|class| self.0.get(&class).copied());
        named.filter(|_| class.may_show_end()).unwrap_or_default()
    }
}

/// The most characters of a value that are shown.
const MOST: usize = 4;

/// The fewest letters and digits of a value of which any is shown.
const SHORTEST: usize = 12;

/// The last letters and digits of a value, as many as may be shown: at most four, at most a quarter of the
/// value's, and none of a value that has fewer than twelve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    bytes: [u8; MOST],
    count: u8,
}

impl End {
    /// The end of `value`.
    pub(crate) fn of(value: &[u8]) -> Self {
        let signs = value.iter().filter(|b| b.is_ascii_alphanumeric()).count();
        let shown = if signs < SHORTEST { 0 } else { (signs / 4).min(MOST) };
        let mut end = Self { bytes: [0; MOST], count: u8::try_from(shown).unwrap_or(0) };
        let last = value.iter().rev().filter(|b| b.is_ascii_alphanumeric());
        for (slot, byte) in end.bytes.iter_mut().take(shown).rev().zip(last) {
            *slot = *byte;
        }
        end
    }

    /// Whether nothing is shown.
    pub(crate) fn is_empty(self) -> bool {
        self.count == 0
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.count)).unwrap_or(&[])
    }
}

/// Writes what stands for a masked value of `class` that ends so.
pub(crate) fn placeholder(class: &DataClass, end: End, out: &mut BytesMut) {
    out.put_u8(b'[');
    out.put_slice(class.as_str().as_bytes());
    if !end.is_empty() {
        out.put_slice(b":..");
        out.put_slice(end.bytes());
    }
    out.put_u8(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let mut out = BytesMut::new();
        placeholder(&DataClass::new("pii.x").unwrap(), End::of(value.as_bytes()), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn never_more_than_a_quarter_and_nothing_of_what_is_short() {
        for (value, expected) in [
            ("4111 1111 1111 1234", "[pii.x:..1234]"),
            ("4111-1111-1111-123", "[pii.x:..123]"),
            ("536-90-43991234", "[pii.x:..234]"),
            ("536-90-4399", "[pii.x]"),
            ("a-b-c-d-e-f-g-h-i-j-k", "[pii.x]"),
            ("ada.lovelace@example.org", "[pii.x:..eorg]"),
            ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}12345678901", "[pii.x]"),
            ("", "[pii.x]"),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
        for length in 0..64 {
            let value = "9".repeat(length);
            let nines = shown(&value).matches('9').count();
            assert!(nines * 4 <= length && nines <= 4 && (length >= 12 || nines == 0), "{length}");
        }
    }

    #[test]
    fn the_nearest_class_decides_and_some_never_show_their_end() {
        let class = |name: &str| DataClass::new(name).unwrap();
        let marks: Marks = [
            (class("pii"), Mark::Partial),
            (class("pii.email"), Mark::Class),
            (class("credential"), Mark::Partial),
        ]
        .into_iter()
        .collect();
        assert_eq!(marks.of(&class("pii.credit-card")), Mark::Partial);
        assert_eq!(marks.of(&class("pii.credit-card.debit")), Mark::Partial);
        assert_eq!(marks.of(&class("pii.email")), Mark::Class);
        assert_eq!(marks.of(&class("pii.email.work")), Mark::Class);
        assert_eq!(marks.of(&class("secret.project")), Mark::Class);
        assert_eq!(marks.of(&class("credential.aws")), Mark::Class, "never, whatever is asked for");
        assert!(!marks.is_plain() && Marks::default().is_plain());
    }
}
