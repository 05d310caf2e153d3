//! Reads the head of an HTTP/1 request beside hyper, only to see what hyper resolves in silence.
//!
//! hyper drops a `content-length` that stands beside a `transfer-encoding`, folds equal lengths into
//! one and takes a bare line feed for a line end. All three are legal (RFC 9112, sections 2.2 and 6.3)
//! and all three are read differently by other servers, so they are noted here before hyper sees them.

use memchr::memchr;

/// Why a head can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ambiguity {
    /// Both `content-length` and `transfer-encoding`.
    LengthAndCoding,
    /// More than one `content-length`.
    Lengths,
    /// A `content-length` that is not digits alone.
    Length,
    /// More than one `transfer-encoding`, or another than `chunked`.
    Coding,
    /// A line that ends without a carriage return.
    LineEnd,
    /// A line that continues the one before it.
    Folded,
    /// White space around a field name.
    FieldName,
}

impl Ambiguity {
    /// What a caller is told.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::LengthAndCoding => "The request has both content-length and transfer-encoding.",
            Self::Lengths => "The request has more than one content-length.",
            Self::Length => "The request's content-length is not a plain number.",
            Self::Coding => "The request's transfer-encoding is not `chunked` alone.",
            Self::LineEnd => "A line of the request's head ends without a carriage return.",
            Self::Folded => "A header of the request is folded over several lines.",
            Self::FieldName => "A header name of the request has white space before its colon.",
        }
    }
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// A body of this many bytes, then the next head. Zero when there is no body.
    Body(u64),
    /// A chunked body, or a body whose length is in doubt: where the next head would begin is not
    /// followed, so the connection must carry no further request.
    Unknown,
    /// HTTP/2: this was its preface (RFC 9113, section 3.4).
    Http2,
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// The head goes on.
    More,
    /// The head ended.
    Done {
        /// What comes next.
        after: After,
        /// What is wrong with it.
        ambiguity: Option<Ambiguity>,
    },
}

/// Scans one head, in any chunking. Holds at most one line.
#[derive(Debug)]
pub(crate) struct HeadScan {
    line: Vec<u8>,
    limit: usize,
    seen: usize,
    first: bool,
    preface: bool,
    length: Option<u64>,
    chunked: bool,
    ambiguity: Option<Ambiguity>,
}

impl HeadScan {
    /// A scan that gives up following after `limit` bytes; hyper refuses such a head.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            limit,
            seen: 0,
            first: true,
            preface: false,
            length: None,
            chunked: false,
            ambiguity: None,
        }
    }

    /// Whether a head has begun.
    pub(crate) fn begun(&self) -> bool {
        self.seen > 0
    }

    /// Takes the next bytes; says how many of them belong to the head and where the scan stands. All
    /// do, unless the head ended among them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (usize, Scan) {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            self.seen += line.len();
            let ended = if self.line.is_empty() {
                self.line(line)
            } else {
                self.line.extend_from_slice(line);
                let whole = std::mem::take(&mut self.line);
                self.line(&whole)
            };
            if ended || self.seen > self.limit {
                return (bytes.len() - rest.len(), self.done(ended));
            }
        }
        self.seen += rest.len();
        if self.seen > self.limit {
            return (bytes.len(), self.done(false));
        }
        self.line.extend_from_slice(rest);
        (bytes.len(), Scan::More)
    }

    fn done(&self, whole: bool) -> Scan {
        let after = if self.preface {
            After::Http2
        } else if !whole || self.chunked || self.ambiguity.is_some() {
            After::Unknown
        } else {
            After::Body(self.length.unwrap_or(0))
        };
        Scan::Done { after, ambiguity: self.ambiguity }
    }

    /// Takes one line with its end; says whether it ended the head.
    fn line(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or_else(|| {
            self.note(Ambiguity::LineEnd);
            line
        });
        if line.is_empty() {
            // Empty lines before the request line are skipped, as RFC 9112, section 2.2 asks.
            return !self.first;
        }
        if self.first {
            self.first = false;
            self.preface = line == b"PRI * HTTP/2.0";
        } else {
            self.field(line);
        }
        false
    }

    fn field(&mut self, line: &[u8]) {
        if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            return self.note(Ambiguity::Folded);
        }
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = line.split_at(colon);
        if name.trim_ascii() != name {
            self.note(Ambiguity::FieldName);
        }
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if name.trim_ascii().eq_ignore_ascii_case(b"content-length") {
            self.content_length(value);
        } else if name.trim_ascii().eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                self.note(Ambiguity::Coding);
            }
            if self.length.is_some() {
                self.note(Ambiguity::LengthAndCoding);
            }
            self.chunked = true;
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        if self.length.is_some() {
            self.note(Ambiguity::Lengths);
        }
        if self.chunked {
            self.note(Ambiguity::LengthAndCoding);
        }
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|t| t.parse().ok());
        if number.is_none() {
            self.note(Ambiguity::Length);
        }
        self.length = Some(number.unwrap_or(0));
    }

    /// Keeps the first finding.
    fn note(&mut self, ambiguity: Ambiguity) {
        self.ambiguity.get_or_insert(ambiguity);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(text: &[u8]) -> (usize, Scan) {
        HeadScan::new(1 << 15).feed(text)
    }

    fn ambiguity(text: &str) -> Option<Ambiguity> {
        match scan(text.as_bytes()).1 {
            Scan::Done { ambiguity, .. } => ambiguity,
            Scan::More => panic!("the head did not end: {text:?}"),
        }
    }

    #[test]
    fn ends_at_the_empty_line_and_says_what_follows() {
        let text = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nhello";
        let (taken, scan) = scan(text);
        assert_eq!(text.len() - taken, 5);
        assert_eq!(scan, Scan::Done { after: After::Body(12), ambiguity: None });
    }

    #[test]
    fn knows_the_preface_of_http2() {
        let (_, scan) = scan(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(scan, Scan::Done { after: After::Http2, ambiguity: None });
    }

    #[test]
    fn names_each_ambiguity() {
        let head = |fields: &str| ambiguity(&format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n"));
        let both = Some(Ambiguity::LengthAndCoding);
        assert_eq!(head("content-length: 3\r\nTransfer-Encoding: chunked\r\n"), both);
        assert_eq!(head("transfer-encoding: chunked\r\ncontent-length: 3\r\n"), both);
        assert_eq!(head("content-length: 3\r\ncontent-length: 3\r\n"), Some(Ambiguity::Lengths));
        assert_eq!(head("content-length: +3\r\n"), Some(Ambiguity::Length));
        assert_eq!(head("content-length: 3, 3\r\n"), Some(Ambiguity::Length));
        assert_eq!(head("content-length: 99999999999999999999999\r\n"), Some(Ambiguity::Length));
        assert_eq!(head("transfer-encoding: gzip, chunked\r\n"), Some(Ambiguity::Coding));
        let twice = "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n";
        assert_eq!(head(twice), Some(Ambiguity::Coding));
        assert_eq!(head("a: b\n"), Some(Ambiguity::LineEnd));
        assert_eq!(head("a: b\r\n c\r\n"), Some(Ambiguity::Folded));
        assert_eq!(head("content-length : 3\r\n"), Some(Ambiguity::FieldName));
        assert_eq!(head("transfer-encoding: chunked\r\n"), None);
        assert_eq!(head("accept: */*\r\n"), None);
    }

    #[test]
    fn stops_following_beyond_its_limit() {
        let mut scan = HeadScan::new(64);
        let (taken, end) = scan.feed(&[b'a'; 65]);
        assert_eq!((taken, end), (65, Scan::Done { after: After::Unknown, ambiguity: None }));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            fields in proptest::collection::vec("[ -~]{0,20}(\r\n|\n)", 0..6),
            tail in "[a-z\r\n]{0,10}",
            cuts in proptest::collection::vec(1usize..9, 0..200),
        ) {
            let text = format!("GET / HTTP/1.1\r\n{}\r\n{tail}", fields.concat());
            let (taken, whole) = scan(text.as_bytes());
            let mut scan = HeadScan::new(1 << 15);
            let (mut rest, mut fed, mut last) = (text.as_bytes(), 0, Scan::More);
            let mut cuts = cuts.into_iter();
            while last == Scan::More && !rest.is_empty() {
                let (chunk, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                rest = after;
                let (n, now) = scan.feed(chunk);
                fed += n;
                last = now;
            }
            prop_assert_eq!((fed, last), (taken, whole));
        }
    }
}
