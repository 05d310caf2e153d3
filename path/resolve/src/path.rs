//! The path of a request, normalised once.

use std::fmt::Write as _;

use model::{Code, Refusal};

/// A path that every server on the way reads alike: absolute, ASCII, without empty, `.` or `..`
/// segments, with escapes only where a character needs one, and those in upper case (RFC 3986,
/// section 6.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NormalPath(String);

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It does not begin with `/`.
    #[error("the path does not begin with `/`")]
    Relative,
    /// It is longer than [`NormalPath::LIMIT`].
    #[error("the path is longer than {} bytes", NormalPath::LIMIT)]
    TooLong,
    /// It holds an empty segment: some servers drop it, some do not.
    #[error("the path holds `//`")]
    EmptySegment,
    /// It holds a `.` or `..` segment, perhaps with a parameter after `;`.
    #[error("the path holds a `.` or `..` segment")]
    DotSegment,
    /// It holds a character that may not stand in a path as it is.
    #[error("the path holds the byte {0:#04x}, which may not stand in a path unescaped")]
    Character(u8),
    /// It holds a `%` without two hexadecimal digits after it.
    #[error("the path holds a `%` that begins no escape")]
    BadEscape,
    /// It holds an escape that servers read in more than one way: of `/`, `\`, `%` or a control
    /// character.
    #[error("the path holds the escape %{0:02X}, which servers read in more than one way")]
    RefusedEscape(u8),
    /// Its escapes spell no UTF-8.
    #[error("the escapes in the path spell no UTF-8")]
    NotUtf8,
}

impl PathFault {
    /// What the caller is told.
    pub fn refusal(self) -> Refusal {
        Refusal::new(Code::PathRefused).because(format!("{self}."))
    }
}

impl From<PathFault> for Refusal {
    fn from(fault: PathFault) -> Self {
        fault.refusal()
    }
}

impl NormalPath {
    /// The longest path taken, in bytes, before normalising.
    pub const LIMIT: usize = 4096;

    /// Reads a path as it stands in the request line, without its query.
    ///
    /// Escapes of unreserved characters, `:` and `@` are decoded: they stand for themselves in a
    /// segment, and a rule on the one spelling must hold for the other. Parsing what it returns
    /// gives the same path.
    ///
    /// # Errors
    /// [`PathFault`] when the path can be read in more than one way.
    pub fn parse(raw: &str) -> Result<Self, PathFault> {
        if raw.len() > Self::LIMIT {
            return Err(PathFault::TooLong);
        }
        let Some(below) = raw.strip_prefix('/') else {
            return Err(PathFault::Relative);
        };
        let mut normal = String::with_capacity(raw.len());
        let mut segments = below.split('/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && (segments.peek().is_some() || (normal.is_empty() && raw.len() > 1)) {
                return Err(PathFault::EmptySegment);
            }
            normal.push('/');
            push_segment(&mut normal, segment)?;
        }
        Ok(Self(normal))
    }

    /// The normal spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment and what follows it, with its slash: `/llama/v1` is `llama` and `/v1`;
    /// `/llama` is `llama` and `/`.
    pub(crate) fn split_first(&self) -> (&str, &str) {
        let below = self.0.strip_prefix('/').unwrap_or(&self.0);
        match below.find('/').and_then(|at| below.split_at_checked(at)) {
            Some((first, rest)) => (first, rest),
            None => (below, "/"),
        }
    }
}

/// Appends one segment in its normal spelling.
fn push_segment(normal: &mut String, segment: &str) -> Result<(), PathFault> {
    let begin = normal.len();
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !stands_raw(byte) {
                return Err(PathFault::Character(byte));
            }
            normal.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex)) else {
            return Err(PathFault::BadEscape);
        };
        let byte = high << 4 | low;
        match byte {
            b'/' | b'\\' | b'%' | 0..0x20 | 0x7f => return Err(PathFault::RefusedEscape(byte)),
            _ if is_decoded(byte) => normal.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(normal, "%{byte:02X}");
            }
        }
        decoded.push(byte);
    }
    let Ok(decoded) = std::str::from_utf8(&decoded) else {
        return Err(PathFault::NotUtf8);
    };
    // C1 controls and the like are as invisible as the ASCII ones.
    if decoded.chars().any(char::is_control) {
        return Err(PathFault::RefusedEscape(0xc2));
    }
    // Servers that know segment parameters take `..;x` for `..`.
    let name = decoded.split(';').next().unwrap_or(decoded);
    if matches!(name, "." | "..") {
        normal.truncate(begin);
        return Err(PathFault::DotSegment);
    }
    Ok(())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// `pchar` of RFC 3986 without escapes.
fn stands_raw(byte: u8) -> bool {
    is_decoded(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// Characters whose escape means the same as the character.
fn is_decoded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(raw: &str) -> Result<String, PathFault> {
        NormalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn plain_paths_stay_as_they_are() {
        for path in
            ["/", "/v1/chat/completions", "/v1/models/", "/a/b;c=d/e", "/v1/models/llama3:8b", "/a/..b/.c"]
        {
            assert_eq!(normal(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn escapes_of_plain_characters_are_decoded() {
        assert_eq!(normal("/%76%31/m%6fdels/llama3%3A8b").as_deref(), Ok("/v1/models/llama3:8b"));
        assert_eq!(normal("/a%c3%a9b%20").as_deref(), Ok("/a%C3%A9b%20"));
    }

    #[test]
    fn what_reads_in_two_ways_is_refused() {
        use PathFault as F;
        for (path, fault) in [
            ("", F::Relative),
            ("v1", F::Relative),
            ("*", F::Relative),
            ("//", F::EmptySegment),
            ("//v1", F::EmptySegment),
            ("/v1//models", F::EmptySegment),
            ("/v1/models//", F::EmptySegment),
            ("/v1/./models", F::DotSegment),
            ("/v1/..", F::DotSegment),
            ("/v1/%2e%2E/slots", F::DotSegment),
            ("/v1/.%2e/slots", F::DotSegment),
            ("/v1/..;a=b/slots", F::DotSegment),
            ("/v1/..%3b/slots", F::DotSegment),
            ("/v1%2Fmodels", F::RefusedEscape(b'/')),
            ("/v1%2fmodels", F::RefusedEscape(b'/')),
            ("/v1%5Cmodels", F::RefusedEscape(b'\\')),
            ("/v1%00", F::RefusedEscape(0)),
            ("/v1%0d%0a", F::RefusedEscape(13)),
            ("/v1%7F", F::RefusedEscape(0x7f)),
            ("/v1%252Fmodels", F::RefusedEscape(b'%')),
            ("/v1\\models", F::Character(b'\\')),
            ("/v1 models", F::Character(b' ')),
            ("/v1\u{1}", F::Character(1)),
            ("/caf\u{e9}", F::Character(0xc3)),
            ("/v1?x", F::Character(b'?')),
            ("/v1#x", F::Character(b'#')),
            ("/v1%", F::BadEscape),
            ("/v1%2", F::BadEscape),
            ("/v1%zz", F::BadEscape),
            ("/v1%+1", F::BadEscape),
            ("/%ff", F::NotUtf8),
            ("/%c0%af", F::NotUtf8),
            ("/%c2%85", F::RefusedEscape(0xc2)),
        ] {
            assert_eq!(normal(path), Err(fault), "{path:?}");
        }
        assert_eq!(normal(&format!("/{}", "a".repeat(NormalPath::LIMIT))), Err(F::TooLong));
        assert!(normal(&format!("/{}", "a".repeat(NormalPath::LIMIT - 1))).is_ok());
    }

    #[test]
    fn a_fault_is_told_to_the_caller_as_path_refused() {
        let refusal = PathFault::DotSegment.refusal();
        assert_eq!(refusal.code, Code::PathRefused);
        assert!(refusal.reason.contains("`..`"));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in "(/|[a-z.:@;%]|%[0-9a-fA-F]{2}|\\PC){0,40}") {
            if let Ok(once) = NormalPath::parse(&raw) {
                prop_assert_eq!(NormalPath::parse(once.as_str()), Ok(once));
            }
        }

        #[test]
        fn accepted_paths_hold_nothing_that_reads_in_two_ways(raw in "/(/|[a-z.]|%[0-9a-fA-F]{2}){0,24}") {
            if let Ok(path) = NormalPath::parse(&raw) {
                let path = path.as_str();
                prop_assert!(path.is_ascii() && path.starts_with('/') && !path.contains("//"));
                prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
                for escape in ["%2F", "%5C", "%00", "%25", "%2E"] {
                    prop_assert!(!path.contains(escape));
                }
            }
        }

        #[test]
        fn no_input_panics(raw in any::<String>()) {
            let _ = NormalPath::parse(&raw);
        }
    }
}
