//! Words that announce a secret: `aws_secret_access_key = "` before forty bytes that say nothing of
//! themselves.
//!
//! The words are looked for leftwards from where a value could begin, in bytes that may have left long
//! ago, so they are never held.

/// How many bytes before a value may decide about it.
pub(crate) const LEFT: usize = 80;

/// The longest stretch of quotes, spaces and signs between the words and the value.
pub(crate) const LONGEST_GAP: usize = 24;

/// The longest stretch of words that is looked at.
const LONGEST_PHRASE: usize = 48;

/// How far before a value a word may stand that says secret.
pub(crate) const REACH: usize = 44;

/// The fewest bytes of a value that only a word near it gives away.
pub(crate) const NEAR_SHORTEST: usize = 12;

/// The fewest bytes of a value that needs no announcing.
pub(crate) const LONG: usize = 28;

/// What was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// A secret key or session token of AWS.
    Aws = 1,
    /// A word that says key, token or secret stands shortly before, or names the value.
    Near = 2,
    /// A name that says password is given the value.
    Password = 4,
    /// Nothing, but the run of bytes is longer than words are.
    Long = 8,
}

/// A set of [`Context`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contexts(u8);

impl Contexts {
    /// Whether nothing is announced.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any of `others` is announced.
    pub(crate) fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// What one of the two announces.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `context` is announced.
    pub(crate) fn has(self, context: Context) -> bool {
        self.0 & context as u8 != 0
    }

    pub(crate) fn with(self, context: Context, holds: bool) -> Self {
        if holds { Self(self.0 | context as u8) } else { self }
    }
}

/// Whether an announced value may follow `byte` directly.
pub(crate) fn may_precede(byte: u8) -> bool {
    SIGNS.get(usize::from(byte)).is_some_and(|sign| *sign > 0)
}

/// Of each byte, whether an announced value may follow it (1), and whether it says so (2).
static SIGNS: [u8; 256] = signs();

const fn signs() -> [u8; 256] {
    let mut signs = [0; 256];
    let (mut weak, mut strong): (&[u8], &[u8]) = (b" \t\n\r\"'`\\[-", b"=:>,(");
    while let [byte, rest @ ..] = weak {
        #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
        {
            signs[*byte as usize] = 1;
        }
        weak = rest;
    }
    while let [byte, rest @ ..] = strong {
        #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
        {
            signs[*byte as usize] = 2;
        }
        strong = rest;
    }
    signs
}

/// Whether `byte` says that what stands before it names what follows.
pub(crate) fn is_strong(byte: u8) -> bool {
    SIGNS.get(usize::from(byte)) == Some(&2)
}

/// Endings of names whose value is a password, lower case, without `_`, `-`, `.` and spaces.
const PASSWORD_NAMES: [&[u8]; 6] = [b"password", b"passwd", b"passphrase", b"pwd", b"dbpass", b"userpass"];

/// With which letters a word that says secret begins.
const LETTERS: &[u8] = b"tspackblmo";

/// Words that say secret, in lower case, wherever they begin; those with this first letter.
fn distinct(first: u8) -> &'static [&'static [u8]] {
    match first {
        b's' => &[b"secretkey", b"secretaccesskey", b"secret"],
        b'p' => &[b"privatekey", b"password", b"passwd", b"passphrase"],
        b'm' => &[b"masterkey"],
        b't' => &[b"token"],
        b'a' => &[b"apikey", b"accesskey", b"authkey"],
        b'c' => &[b"credential"],
        _ => &[],
    }
}

/// Words that say secret where a word begins.
fn words(first: u8) -> &'static [&'static [u8]] {
    match first {
        b'k' => &[b"key", b"keys"],
        b'a' => &[b"access", b"auth", b"authorization"],
        b'p' => &[b"private", b"pwd", b"pass", b"pat"],
        b'b' => &[b"bearer"],
        b'c' => &[b"client"],
        b's' => &[b"sid"],
        b'l' => &[b"licensekey", b"login"],
        b'o' => &[b"oauth"],
        _ => &[],
    }
}

/// What makes a name one of something else: `key_id`, `token_count`.
const OTHERS: [&[u8]; 26] = [
    b"id",
    b"name",
    b"file",
    b"path",
    b"url",
    b"uri",
    b"type",
    b"size",
    b"length",
    b"len",
    b"version",
    b"count",
    b"limit",
    b"ring",
    b"store",
    b"sum",
    b"checksum",
    b"fingerprint",
    b"thumbprint",
    b"hash",
    b"pair",
    b"word",
    b"board",
    b"log",
    b"point",
    b"down",
];

/// How the bytes before a value name it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Naming {
    /// A word that says secret stands before it.
    pub(crate) found: bool,
    /// Nothing but signs, quotes and spaces stands between.
    pub(crate) direct: bool,
    /// Only `key` by itself says it, which is also what maps have.
    pub(crate) plain: bool,
    /// Only `client` says it, which has an id too.
    pub(crate) client: bool,
}

static BEGINNINGS: [bool; 256] = beginnings();

const fn beginnings() -> [bool; 256] {
    let mut table = [false; 256];
    let mut letters = LETTERS;
    while let [letter, rest @ ..] = letters {
        #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
        {
            table[*letter as usize] = true;
        }
        letters = rest;
    }
    table
}

/// Looks for the last word that says secret in the last [`REACH`] bytes of `left`.
pub(crate) fn naming(left: &[u8]) -> Naming {
    naming_before(left, 1)
}

/// The same where no such word begins in the last bytes: the last one that may is this many bytes before the end.
fn naming_before(left: &[u8], last: usize) -> Naming {
    let from = left.len().saturating_sub(REACH);
    let text = left.get(from..).unwrap_or(left);
    let mut best = Naming::default();
    for at in (0..(text.len() + 1).saturating_sub(last)).rev() {
        let rest = text.get(at..).unwrap_or(&[]);
        let Some(first) = rest.first().map(u8::to_ascii_lowercase) else { break };
        if !BEGINNINGS.get(usize::from(first)).is_some_and(|begins| *begins) {
            continue;
        }
        let is = |word: &&&[u8]| rest.get(..word.len()).is_some_and(|r| r.eq_ignore_ascii_case(word));
        let before = at.checked_sub(1).and_then(|n| text.get(n)).or_else(|| left.get(from.checked_sub(1)?));
        let begins = before.is_none_or(|b| {
            !b.is_ascii_alphabetic()
                || b.is_ascii_lowercase() && rest.first().is_some_and(u8::is_ascii_uppercase)
        });
        let word = distinct(first).iter().find(is);
        let Some(word) = word.or_else(|| words(first).iter().filter(|_| begins).find(is)) else { continue };
        let behind = rest.get(word.len()..).unwrap_or(&[]);
        if !ends(rest, word.len()) || names_another(word, behind) || harmless(text.get(..at).unwrap_or(&[])) {
            continue;
        }
        let given =
            behind.len() <= 16 && behind.iter().any(|b| b"=:".contains(b)) && !behind.contains(&b'\n');
        let direct = given || behind.iter().all(|b| may_precede(*b) || b"*]|;/?".contains(b));
        let plain = word == b"key"
            && begins
            && before.is_none_or(|b| !b"_-. ".contains(b) && !b.is_ascii_alphabetic());
        let client = word == b"client";
        best = Naming {
            client,
            found: true,
            direct: best.direct || direct,
            plain: plain && (best.plain || !best.found),
        };
        if !plain {
            return best;
        }
    }
    best
}

/// Words that make the key or token behind them nobody's secret.
const HARMLESS: [&[u8]; 10] = [
    b"public",
    b"primary",
    b"foreign",
    b"csrf",
    b"authenticity",
    b"partition",
    b"cache",
    b"sort",
    b"idempotency",
    b"page",
];

/// Whether a name goes on from a word that makes it harmless.
fn harmless(before: &[u8]) -> bool {
    let before = match before {
        [name @ .., b'_' | b'-' | b'.' | b' '] => name,
        _ => before,
    };
    HARMLESS.iter().any(|word| {
        let Some(start) = before.len().checked_sub(word.len()) else { return false };
        let begins = start.checked_sub(1).and_then(|n| before.get(n)).is_none_or(|b| {
            !b.is_ascii_alphabetic()
                || before.get(start).is_some_and(u8::is_ascii_uppercase) && b.is_ascii_lowercase()
        });
        begins && before.get(start..).is_some_and(|b| b.eq_ignore_ascii_case(word))
    })
}

/// Whether a word of `len` bytes ends where a part of a name ends.
fn ends(rest: &[u8], len: usize) -> bool {
    let last_upper = rest.get(len - 1).is_some_and(u8::is_ascii_uppercase);
    match rest.get(len) {
        Some(b's') => rest.get(len + 1).is_none_or(|b| !b.is_ascii_lowercase()),
        Some(b) if last_upper => !b.is_ascii_uppercase(),
        Some(b) => !b.is_ascii_lowercase(),
        None => true,
    }
}

fn names_another(word: &[u8], behind: &[u8]) -> bool {
    if word == b"client" {
        // The client's id belongs to its secret.
        return !behind.iter().take(12).any(|b| b"=:".contains(b)) && !behind.starts_with(b"_");
    }
    if word == b"secret"
        && behind.first() == Some(&b'_')
        && behind.get(1..3).is_some_and(|b| b.eq_ignore_ascii_case(b"id"))
    {
        // What HashiCorp calls a secret's id is the secret.
        return false;
    }
    let behind = match behind {
        [b's', rest @ ..] if !rest.first().is_some_and(u8::is_ascii_lowercase) => rest,
        _ => behind,
    };
    let behind = match behind.split_first() {
        Some((b'_' | b'-' | b'.', rest)) => rest,
        _ => behind,
    };
    OTHERS.iter().any(|other| {
        behind.get(..other.len()).is_some_and(|b| b.eq_ignore_ascii_case(other))
            && behind.get(other.len()).is_none_or(|b| !b.is_ascii_lowercase())
    })
}

/// The words that say secret, wherever they stand.
pub(crate) fn secret_words() -> impl Iterator<Item = &'static [u8]> {
    LETTERS.iter().flat_map(|first| distinct(*first).iter().chain(words(*first)).copied())
}

/// Whether the name before a value may be one of a password, or also of a key of AWS: asked first, as it is
/// quick.
pub(crate) fn may_be_given(left: &[u8], aws: bool) -> bool {
    let gap = left.iter().rev().take(LONGEST_GAP).take_while(|b| may_precede(**b)).count();
    let (phrase, gap) = left.split_at_checked(left.len() - gap).unwrap_or((left, &[]));
    let names = match phrase {
        // Mostly a name ends with two letters, and with none of these.
        [.., b, a] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => ends_a_name(*b, *a, aws),
        _ => {
            let mut name = phrase.iter().rev().take(LONGEST_PHRASE).filter(|b| !b"_-. ".contains(b));
            let [a, b] = [name.next(), name.next()].map(|b| b.copied().unwrap_or(0));
            ends_a_name(b, a, aws)
        }
    };
    if !(names || aws) || !gap.iter().any(|b| is_strong(*b)) {
        return false;
    }
    let named = |b: &&u8| b.is_ascii_alphanumeric() || b"_-. ".contains(*b);
    names || phrase.iter().rev().take(LONGEST_PHRASE).take_while(named).any(|b| matches!(b, b'w' | b'W'))
}

/// Whether the name of a password may end with these two letters, or also one of a key of AWS.
fn ends_a_name(last_but_one: u8, last: u8, aws: bool) -> bool {
    match last | 0x20 {
        b'd' => matches!(last_but_one | 0x20, b'r' | b'w'),
        b'e' | b's' => last_but_one | 0x20 == b's',
        b'y' => aws && last_but_one | 0x20 == b'e',
        _ => false,
    }
}

/// What the bytes before a possible value announce, and its run's length, up to [`LONG`]. Reads the last
/// [`LEFT`] bytes at most. Where no word says secret, only a password or a key of AWS is asked for, as for a run
/// too short for anything else; or else the last such word may begin `says` bytes before the value.
pub(crate) fn announced_quickly(left: &[u8], run: usize, says: Option<usize>) -> Contexts {
    if left.ends_with(b"-") {
        return announced(left, run);
    }
    if let Some(last) = says.filter(|_| run >= NEAR_SHORTEST) {
        return announced_before(left, run, last);
    }
    let given = if may_be_given(left, run >= NEAR_SHORTEST) {
        announced(left, NEAR_SHORTEST - 1)
    } else {
        Contexts::default()
    };
    given.with(Context::Long, run >= LONG)
}

/// What `left` announces, without a quick look first.
pub(crate) fn announced(left: &[u8], run: usize) -> Contexts {
    announced_before(left, run, 1)
}

fn announced_before(left: &[u8], run: usize, last: usize) -> Contexts {
    if let Some(name) = left.strip_suffix(b"-") {
        // A dash lies within values too: only a name directly before it counts.
        return Contexts::default().with(Context::Near, run >= NEAR_SHORTEST && names(name));
    }
    let short = run < NEAR_SHORTEST;
    let gap = left.iter().rev().take(LONGEST_GAP).take_while(|b| may_precede(**b)).count();
    let (phrase, gap) = left.split_at_checked(left.len() - gap).unwrap_or((&[], &[]));
    let strong = gap.iter().any(|b| is_strong(*b));
    if !strong {
        let near = if short { Contexts::default() } else { near(left, last) };
        return near.with(Context::Long, run >= LONG);
    }
    let mut squeezed = [0u8; LONGEST_PHRASE];
    let mut slots = squeezed.iter_mut().rev();
    let mut len = 0;
    for byte in phrase.iter().rev().take(LONGEST_PHRASE) {
        match byte {
            b'_' | b'-' | b'.' | b' ' => {}
            b if b.is_ascii_alphanumeric() => {
                let Some(slot) = slots.next() else { break };
                *slot = b.to_ascii_lowercase();
                len += 1;
            }
            _ => break,
        }
    }
    let name = squeezed.get(LONGEST_PHRASE - len..).unwrap_or(&[]);
    let says = |word: &[u8]| name.windows(word.len()).any(|w| w == word);
    let aws = name.ends_with(b"secretaccesskey") || says(b"aws") && (says(b"secret") || says(b"token"));
    let password = PASSWORD_NAMES.iter().any(|ending| name.ends_with(ending));
    let near = if short { Contexts::default() } else { near(left, last) };
    near.with(Context::Aws, aws).with(Context::Password, password).with(Context::Long, run >= LONG)
}

/// Whether `name` ends with a word that says secret.
fn names(name: &[u8]) -> bool {
    let ends = |word: &'static [u8]| {
        name.len()
            .checked_sub(word.len())
            .and_then(|n| name.get(n..))
            .is_some_and(|n| n.eq_ignore_ascii_case(word))
    };
    name.last().is_some_and(|b| b"yYtTnNsSdDlLeE".contains(b)) && secret_words().any(ends)
}

fn near(left: &[u8], last: usize) -> Contexts {
    Contexts::default().with(Context::Near, naming_before(left, last).found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_announce_their_values() {
        for left in [
            "aws_secret_access_key = ",
            "\"awsSecretKey\":\"",
            "AWS Secret Access Key: ",
            "foo.aws.secretkey=",
        ] {
            assert!(announced(left.as_bytes(), 20).has(Context::Aws), "{left}");
        }
        for left in [
            "api_key=",
            "X-Api-Key: ",
            "client_secret: '",
            "<token>",
            "boxTOKEN ",
            "geocodifySECRET-",
            "setProperty(\"FOO_TOKEN\", \"",
            "var beamerToken string = \"",
            "my api key is ",
            "unsplash_client_id = '",
        ] {
            assert!(announced(left.as_bytes(), 20).has(Context::Near), "{left}");
        }
        for left in ["password => \"", "--password=", "DB_PASSWORD: ", "\\\"pwd\\\": \\\""] {
            assert!(announced(left.as_bytes(), 6).has(Context::Password), "{left}");
        }
    }

    #[test]
    fn prose_and_other_names_announce_nothing() {
        for left in
            ["", " ", "monkey = ", "kms_key_id: ", "a = b\n= ", "credentialId: ", "token_count=", "keyring "]
        {
            assert!(announced(left.as_bytes(), 20).is_empty(), "{left:?}");
        }
    }
}
