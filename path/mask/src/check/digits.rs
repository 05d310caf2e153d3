//! Check digits: the sums that many kinds of number share.

use std::ops::Range;

/// The digits of a text, as numbers; at most 32 of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Digits {
    list: [u8; 32],
    count: usize,
    /// Whether they are not all the same.
    vary: bool,
    /// Luhn's sums: with the last digit as it is, and with it doubled.
    luhn: [u32; 2],
}

impl Digits {
    /// The digits of `text`, whatever stands between them. `None` for more than 32.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let mut digits = Self::default();
        digits.read(text).then_some(digits)
    }

    /// Takes the digits of `text` behind the others. False when there are more than 32.
    pub(crate) fn read(&mut self, text: &[u8]) -> bool {
        text.iter().filter(|b| b.is_ascii_digit()).all(|byte| self.push(byte - b'0'))
    }

    fn push(&mut self, digit: u8) -> bool {
        let first = self.list.first().copied();
        let Some(slot) = self.list.get_mut(self.count) else { return false };
        *slot = digit;
        self.vary |= self.count > 0 && first != Some(digit);
        self.count += 1;
        let [plain, doubled] = self.luhn;
        self.luhn = [doubled + u32::from(digit), plain + double(digit)];
        true
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[u8] {
        self.list.get(..self.count).unwrap_or(&[])
    }

    /// The digit at `at`, counted from the left; ten where there is none.
    pub(crate) fn at(&self, at: usize) -> u32 {
        self.all().get(at).map_or(10, |d| u32::from(*d))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Those in `range`, read as one number; none when there are fewer or it grows too large.
    pub(crate) fn number(&self, range: Range<usize>) -> u64 {
        self.all().get(range).unwrap_or(&[]).iter().fold(0, |n, d| n * 10 + u64::from(*d))
    }

    /// Whether all are the same.
    pub(crate) fn same(&self) -> bool {
        !self.vary
    }

    /// The sum of the first digits, each times its weight.
    pub(crate) fn sum(&self, weights: &[u32]) -> u32 {
        self.all().iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
    }

    /// Whether the weighted sum is a multiple of `modulus`.
    pub(crate) fn divides(&self, weights: &[u32], modulus: u32) -> bool {
        self.count == weights.len() && self.sum(weights).is_multiple_of(modulus)
    }

    /// The remainder that many national numbers call eleven minus the weighted sum: 0 to 10.
    pub(crate) fn eleven(&self, weights: &[u32]) -> u32 {
        (11 - self.sum(weights) % 11) % 11
    }

    /// ISO/IEC 7812-1, annex B.
    pub(crate) fn luhn(&self) -> bool {
        let [sum, _] = self.luhn;
        sum > 0 && sum.is_multiple_of(10)
    }

    /// A date of six digits from `at`, in this order of year, month and day, that the calendar has.
    pub(crate) fn date(&self, at: usize, order: Order) -> bool {
        let two = |n: usize| self.number(at + n..at + n + 2);
        let (month, day) = match order {
            Order::YearMonthDay => (two(2), two(4)),
            Order::DayMonthYear => (two(2), two(0)),
        };
        calendar(month, day)
    }
}

/// The order of a date's parts.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// As 850412.
    YearMonthDay,
    /// As 120485.
    DayMonthYear,
}

/// Whether some year has this day.
pub(crate) fn calendar(month: u64, day: u64) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=last).contains(&day)
}

/// The cross sum of a digit's double.
fn double(digit: u8) -> u32 {
    let digit = u32::from(digit);
    digit * 2 - if digit > 4 { 9 } else { 0 }
}

/// The check digit of ISO/IEC 7812-1, annex B, over any number of digits.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { double(*d) } else { u32::from(*d) })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|d| *d != 0)
}

/// The dihedral group's products, for [`verhoeff`].
const D: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

/// The permutation that the place of a digit applies to it, for [`verhoeff`].
const P: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// Verhoeff's check digit (J. Verhoeff, "Error Detecting Decimal Codes", 1969).
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    let at = |table: &[[u8; 10]], row: usize, column: u8| {
        table.get(row).and_then(|r| r.get(usize::from(column))).copied().unwrap_or(0)
    };
    let rest = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0u8, |rest, (i, digit)| at(&D, usize::from(rest), at(&P, i % 8, *digit)));
    rest == 0
}

/// ISO 7064 mod 11,10, the check digit last.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((last, digits)) = digits.split_last() else { return false };
    let product = digits.iter().fold(10u32, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*last)
}

/// The remainder by 97 of a text of digits and capitals, letters counting 10 to 35 (ISO 7064 mod 97-10).
pub(crate) fn mod_97(text: impl Iterator<Item = u8>) -> Option<u32> {
    text.into_iter().try_fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => Some((rest * 10 + u32::from(byte - b'0')) % 97),
        b'A'..=b'Z' => Some((rest * 100 + u32::from(byte - b'A') + 10) % 97),
        _ => None,
    })
}

/// The value of a digit or a letter: 0 to 35.
pub(crate) fn value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'Z' => u32::from(byte - b'A') + 10,
        b'a'..=b'z' => u32::from(byte - b'a') + 10,
        _ => 0,
    }
}

/// The check digit of machine-readable documents: weights 7, 3, 1 (ICAO Doc 9303-3, section 4.9).
pub(crate) fn icao(text: &[u8]) -> u32 {
    text.iter().zip([7u32, 3, 1].into_iter().cycle()).map(|(b, w)| value(*b) * w).sum::<u32>() % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_check() {
        assert!(luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]));
        for text in ["", "0", "00", "7992 7398 713", "7992-7398-714", "18", "1111", "4111111111111111", "91"]
        {
            let digits = Digits::of(text.as_bytes()).unwrap();
            assert_eq!(digits.luhn(), luhn(digits.all()), "{text}");
            assert_eq!(digits.same(), digits.all().iter().all(|d| Some(d) == digits.all().first()), "{text}");
        }
        assert!(Digits::of(&[b'1'; 32]).is_some() && Digits::of(&[b'1'; 33]).is_none());
        assert!(verhoeff(&[2, 3, 6, 3]));
        assert!(!verhoeff(&[2, 3, 6, 4]));
        assert!(mod_11_10(&[0, 7, 9, 4, 5]));
        assert_eq!(icao(b"AB2134<<<"), 5);
        assert!(calendar(2, 29) && !calendar(2, 30) && !calendar(13, 1));
    }
}
