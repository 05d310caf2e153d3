//! Words that announce a secret: `aws_secret_access_key = "` before forty bytes that say nothing of
//! themselves.
//!
//! The words are looked for leftwards from where a value could begin, in bytes that may have left long
//! ago, so they are never held.

/// How many bytes before a value may decide about it.
pub(crate) const LEFT: usize = 80;

/// The longest stretch of quotes, spaces and signs between the words and the value.
const LONGEST_GAP: usize = 16;

/// The longest stretch of words that is looked at.
const LONGEST_PHRASE: usize = 48;

/// What was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// A secret key or session token of AWS.
    Aws = 1,
    /// Some other secret: a key, a token, a password.
    Secret = 2,
}

/// A set of [`Context`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contexts(u8);

impl Contexts {
    /// Whether nothing is announced.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `context` is announced.
    pub(crate) fn has(self, context: Context) -> bool {
        self.0 & context as u8 != 0
    }

    fn with(self, context: Context, holds: bool) -> Self {
        if holds { Self(self.0 | context as u8) } else { self }
    }
}

/// Whether an announced value may follow `byte` directly.
pub(crate) fn may_precede(byte: u8) -> bool {
    is_strong(byte) || b" \t\"'`\\[".contains(&byte)
}

/// Whether `byte` says that what stands before it names what follows.
fn is_strong(byte: u8) -> bool {
    b"=:>,(".contains(&byte)
}

/// Endings of names whose value is a secret, lower case, without `_`, `-`, `.` and spaces.
const SECRET_NAMES: [&[u8]; 14] = [
    b"apikey",
    b"secret",
    b"secretkey",
    b"accesskey",
    b"authkey",
    b"privatekey",
    b"signingkey",
    b"token",
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"credential",
    b"credentials",
];

/// What the bytes before a possible value announce. Reads the last [`LEFT`] bytes at most.
pub(crate) fn announced(left: &[u8]) -> Contexts {
    let gap = left.iter().rev().take(LONGEST_GAP).take_while(|b| may_precede(**b)).count();
    let (phrase, gap) = left.split_at_checked(left.len() - gap).unwrap_or((&[], &[]));
    if !gap.iter().any(|b| is_strong(*b)) {
        return Contexts::default();
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
    let aws = name.ends_with(b"secretaccesskey")
        || name.ends_with(b"secretkey")
        || says(b"aws") && (says(b"secret") || says(b"token"));
    Contexts::default()
        .with(Context::Aws, aws)
        .with(Context::Secret, !aws && SECRET_NAMES.iter().any(|ending| name.ends_with(ending)))
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
            "\\\"secretKey\\\":\\\"",
            "foo.aws.secretkey=",
        ] {
            assert!(announced(left.as_bytes()).has(Context::Aws), "{left}");
        }
        for left in
            ["api_key=", "X-Api-Key: ", "client_secret: '", "password => \"", "<token>", "--password="]
        {
            assert!(announced(left.as_bytes()).has(Context::Secret), "{left}");
            assert!(!announced(left.as_bytes()).has(Context::Aws), "{left}");
        }
    }

    #[test]
    fn prose_and_other_names_announce_nothing() {
        for left in
            ["", " ", "the secret ", "monkey = ", "kms_key_id: ", "a = b\n= ", "password\n= ", "secret; x="]
        {
            assert!(announced(left.as_bytes()).is_empty(), "{left:?}");
        }
    }
}
