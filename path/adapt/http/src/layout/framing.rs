//! Cutting a stream into its messages: server-sent events (WHATWG HTML, section 9.2) or lines.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use model::{Encoding, Lane, LayoutFault};

use super::marks::{Kind, Mark, Template};

/// How messages follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Sse,
    /// JSON texts, one a line.
    Lines,
}

impl Framing {
    /// A message of its own that carries a lane's last text: the bytes before and after the text.
    pub(crate) fn message(self, template: Template) -> (Bytes, Bytes) {
        let Template { event, before, after } = template;
        match (self, event) {
            (Self::Sse, Some(name)) => {
                (format!("event: {name}\ndata: {before}").into(), format!("{after}\n\n").into())
            }
            (Self::Sse, None) => (format!("data: {before}").into(), format!("{after}\n\n").into()),
            (Self::Lines, _) => (before.into(), format!("{after}\n").into()),
        }
    }

    /// What ends a message that broke off before its own end.
    pub(crate) fn terminator(self) -> &'static str {
        match self {
            Self::Sse => "\n\n",
            Self::Lines => "\n",
        }
    }
}

/// The lane of comments and of fields that nobody knows.
pub(crate) const ASIDE: Lane = Lane(u32::MAX);

/// What servers say to keep a connection open.
const KEEP_ALIVE: &[&[u8]] = &[b"heartbeat", b"keep-alive", b"keepalive", b"ping", b"OPENROUTER PROCESSING"];

/// Collects bytes until a message is whole.
#[derive(Debug)]
pub(crate) struct Splitter {
    framing: Framing,
    limit: usize,
    buffer: BytesMut,
    /// Bytes of the buffer already looked at.
    seen: usize,
    line_is_empty: bool,
    after_cr: bool,
}

impl Splitter {
    /// `limit` bounds one message, in bytes.
    pub(crate) fn new(framing: Framing, limit: usize) -> Self {
        Self { framing, limit, buffer: BytesMut::new(), seen: 0, line_is_empty: true, after_cr: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message with its end, if it is all there.
    ///
    /// # Errors
    /// [`LayoutFault::TooLarge`] when it outgrows the limit.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, LayoutFault> {
        let end = match self.framing {
            Framing::Sse => self.event_end(),
            Framing::Lines => {
                let from = self.seen;
                self.seen = self.buffer.len();
                memchr::memchr(b'\n', self.buffer.get(from..).unwrap_or_default()).map(|at| from + at + 1)
            }
        };
        if end.unwrap_or(self.buffer.len()) > self.limit {
            return Err(LayoutFault::TooLarge { limit: self.limit });
        }
        Ok(end.map(|end| {
            self.seen = 0;
            self.buffer.split_to(end).freeze()
        }))
    }

    /// The end of the first event: after its empty line. Of `\r\n` in that line the `\n` goes to the
    /// next event, so that nothing waits for it.
    fn event_end(&mut self) -> Option<usize> {
        while let Some(rest) = self.buffer.get(self.seen..).filter(|rest| !rest.is_empty()) {
            let Some(at) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line_is_empty = false;
                self.after_cr = false;
                self.seen = self.buffer.len();
                return None;
            };
            let byte = rest.get(at).copied();
            self.seen += at + 1;
            if at > 0 {
                self.line_is_empty = false;
                self.after_cr = false;
            }
            if byte == Some(b'\n') && self.after_cr {
                self.after_cr = false;
                continue;
            }
            self.after_cr = byte == Some(b'\r');
            if self.line_is_empty {
                return Some(self.seen);
            }
            self.line_is_empty = true;
        }
        None
    }

    /// What is left at the end of the stream.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.seen = 0;
        self.buffer.copy_to_bytes(self.buffer.len())
    }
}

/// A message taken apart.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// Where its data lies: one range a line.
    pub(crate) data: Vec<Range<usize>>,
    /// Texts beside the data: comments, ids, unknown fields.
    pub(crate) beside: Vec<Mark>,
    /// Why it can't be read as every client would.
    pub(crate) odd: Option<&'static str>,
}

impl Message {
    /// Takes a message apart.
    pub(crate) fn parse(framing: Framing, raw: &[u8], first: bool) -> Self {
        let mut message = Self::default();
        match framing {
            Framing::Lines => {
                let body = raw.trim_ascii();
                if !body.is_empty() {
                    let start = raw.len() - raw.trim_ascii_start().len();
                    message.data.push(start..start + body.len());
                }
            }
            Framing::Sse => {
                let mut start = if first && raw.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
                while start < raw.len() {
                    let rest = raw.get(start..).unwrap_or_default();
                    let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    message.line(raw, start..start + length);
                    start += length + 1;
                }
            }
        }
        message
    }

    fn line(&mut self, raw: &[u8], line: Range<usize>) {
        let text = raw.get(line.clone()).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        let colon = memchr::memchr(b':', text).unwrap_or(text.len());
        let space = usize::from(text.get(colon + 1) == Some(&b' '));
        let value = (line.start + colon + 1 + space).min(line.end)..line.end;
        let content = raw.get(value.clone()).unwrap_or_default();
        match text.get(..colon) {
            Some(b"data") => self.data.push(value),
            // Some clients skip the mark, others skip the line.
            _ if text.starts_with(b"\xef\xbb\xbf") => self.odd = Some("a byte order mark inside the stream"),
            // Some clients read it as an answer of its own.
            _ if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) => {
                self.odd = Some("JSON outside the events of the stream");
            }
            Some(b"event") if is_word(content) => {}
            Some(b"retry") if content.iter().all(u8::is_ascii_digit) => {}
            Some(b"" | b"event" | b"id" | b"retry") if content.is_empty() => {}
            Some(b"") if KEEP_ALIVE.contains(&content) => {}
            Some(b"") => self.aside(value),
            Some(b"event" | b"id" | b"retry") => self.text(value),
            // Every client leaves it out.
            Some(name) if is_word(name) => self.aside(value),
            _ => self.odd = Some("a field that is no word in an event"),
        }
    }

    /// What clients leave out: each such text continues the last, so that none carries a value in pieces.
    fn aside(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.beside.push(Mark { range, kind: Kind::Text { lane: ASIDE, ends: false } });
        }
    }

    fn text(&mut self, range: Range<usize>) {
        self.beside.push(Mark { range, kind: Kind::Whole(Encoding::Plain) });
    }

    /// The data as one text: lines joined by line feeds.
    pub(crate) fn joined(&self, raw: &Bytes) -> Bytes {
        match self.data.as_slice() {
            [] => Bytes::new(),
            [one] => raw.slice(one.clone()),
            many => {
                let mut text = BytesMut::new();
                for (at, line) in many.iter().enumerate() {
                    if at > 0 {
                        text.extend_from_slice(b"\n");
                    }
                    text.extend_from_slice(raw.get(line.clone()).unwrap_or_default());
                }
                text.freeze()
            }
        }
    }

    /// Moves marks on the joined data to where they lie in the message, and joins them with the texts
    /// beside it.
    ///
    /// # Errors
    /// [`LayoutFault::Malformed`] when a value spans lines of data, or clients would read the message in
    /// different ways.
    pub(crate) fn place(self, mut marks: Vec<Mark>) -> Result<Vec<Mark>, LayoutFault> {
        if let Some(odd) = self.odd {
            return Err(LayoutFault::Malformed(odd.to_owned()));
        }
        let (mut line, mut before) = (0, 0);
        for mark in &mut marks {
            loop {
                let Some(place) = self.data.get(line) else {
                    return Err(LayoutFault::Malformed("a value lies outside its event".to_owned()));
                };
                let length = place.len();
                if mark.range.start > before + length {
                    line += 1;
                    before += length + 1;
                    continue;
                }
                if mark.range.end > before + length {
                    return Err(LayoutFault::Malformed("a value spans lines of an event".to_owned()));
                }
                mark.range =
                    (mark.range.start - before + place.start)..(mark.range.end - before + place.start);
                break;
            }
        }
        if !self.beside.is_empty() {
            marks.extend(self.beside);
            marks.sort_by_key(|mark| mark.range.start);
        }
        Ok(marks)
    }
}

/// An event's name as every protocol writes them.
fn is_word(text: &[u8]) -> bool {
    text.len() <= 64 && text.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.' | b'-'))
}
