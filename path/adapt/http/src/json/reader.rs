//! The reader itself: one pass, one level of recursion a level of nesting.

use std::borrow::Cow;

use super::{Flaw, JsonFault, Member, Node, Number, Rules, Value, decode, fold};

/// Reads one JSON text.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    rules: Rules,
    nodes: usize,
}

type Read<T> = Result<T, JsonFault>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8], rules: Rules) -> Self {
        Self { text, at: 0, rules, nodes: 0 }
    }

    /// The one value of the text.
    pub(super) fn whole(mut self) -> Read<Node<'a>> {
        let node = self.value(0)?;
        self.space();
        if self.at < self.text.len() { self.fault(Flaw::Trailing) } else { Ok(node) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault<T>(&self, flaw: Flaw) -> Read<T> {
        Err(JsonFault { at: self.at, flaw })
    }

    fn unexpected<T>(&self) -> Read<T> {
        self.fault(self.peek().map_or(Flaw::Ended, Flaw::Unexpected))
    }

    fn counted(&mut self) -> Read<()> {
        self.nodes += 1;
        if self.nodes > self.rules.nodes { self.fault(Flaw::TooMany) } else { Ok(()) }
    }

    /// Positions fit: [`super::MAX_JSON_BYTES`] is below `u32::MAX`.
    fn place(at: usize) -> u32 {
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn value(&mut self, depth: usize) -> Read<Node<'a>> {
        self.space();
        self.counted()?;
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word(b"true", Value::Bool(true))?,
            Some(b'f') => self.word(b"false", Value::Bool(false))?,
            Some(b'n') => self.word(b"null", Value::Null)?,
            Some(b'N') if !self.rules.strict => self.word(b"NaN", Value::Number(Number::Other))?,
            Some(b'I') if !self.rules.strict => self.word(b"Infinity", Value::Number(Number::Other))?,
            _ => return self.unexpected(),
        };
        Ok(Node { start: Self::place(start), end: Self::place(self.at), value })
    }

    fn word(&mut self, word: &[u8], value: Value<'a>) -> Read<Value<'a>> {
        for letter in word {
            if self.peek() != Some(*letter) {
                return self.unexpected();
            }
            self.at += 1;
        }
        Ok(value)
    }

    /// After an item: whether another follows, or `close`.
    fn more(&mut self, close: u8) -> Read<bool> {
        self.space();
        let more = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == close => false,
            _ => return self.unexpected(),
        };
        self.at += 1;
        Ok(more)
    }

    /// After an opening bracket: whether the container is empty.
    fn opens_empty(&mut self, depth: usize, close: u8) -> Read<bool> {
        if depth >= self.rules.depth {
            return self.fault(Flaw::TooDeep);
        }
        self.at += 1;
        self.space();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        Ok(empty)
    }

    fn array(&mut self, depth: usize) -> Read<Value<'a>> {
        let mut items = Vec::new();
        if self.opens_empty(depth, b']')? {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.more(b']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Read<Value<'a>> {
        let mut members = Vec::new();
        if self.opens_empty(depth, b'}')? {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            self.counted()?;
            if self.peek() != Some(b'"') {
                return self.unexpected();
            }
            let start = self.at;
            let key = self.string()?;
            let end = self.at;
            self.space();
            if self.peek() != Some(b':') {
                return self.unexpected();
            }
            self.at += 1;
            let node = self.value(depth + 1)?;
            members.push(Member { key, start: Self::place(start), end: Self::place(end), node });
            if !self.more(b'}')? {
                break;
            }
        }
        match self.rules.strict.then(|| fold::collision(&members)).flatten() {
            Some((place, equal)) => {
                let at = members.get(place).map_or(self.at, |member| member.start as usize);
                Err(JsonFault { at, flaw: if equal { Flaw::DuplicateKey } else { Flaw::CollidingKeys } })
            }
            None => Ok(Value::Object(members)),
        }
    }

    fn string(&mut self) -> Read<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let run = memchr::memchr2(b'"', b'\\', rest);
            let plain = rest.get(..run.unwrap_or(rest.len())).unwrap_or_default();
            // Whole runs are looked through at once: bytes one by one are the dearest part of reading.
            if self.rules.strict && plain.iter().any(|byte| *byte < 0x20) {
                self.at += plain.iter().position(|byte| *byte < 0x20).unwrap_or_default();
                return self.fault(Flaw::Control);
            }
            self.at += plain.len();
            match self.peek() {
                Some(b'"') => break,
                Some(_) if self.at + 1 < self.text.len() => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return self.fault(Flaw::Ended),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        decode::decode(raw, escaped, self.rules.strict)
            .map_err(|(place, flaw)| JsonFault { at: start + place, flaw })
    }

    fn digits(&mut self) -> Read<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.unexpected();
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Read<Number> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        if self.peek() == Some(b'I') && !self.rules.strict {
            self.word(b"Infinity", Value::Null)?;
            return Ok(Number::Other);
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = self.text.get(start..self.at).and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or("");
        match measure(text, integer) {
            Number::Other if self.rules.strict => Err(JsonFault { at: start, flaw: Flaw::BadNumber }),
            number => Ok(number),
        }
    }
}

/// The number that a JSON number's text spells.
fn measure(text: &str, integer: bool) -> Number {
    if integer && text != "-0" {
        let signed = || text.parse().map(Number::Signed);
        return text.parse().map(Number::Unsigned).or_else(|_| signed()).unwrap_or(Number::Other);
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Number::Float(float),
        _ => Number::Other,
    }
}
