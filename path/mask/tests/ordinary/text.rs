//! Ordinary text, made up: the same for the same seed. Prose, source code and logs, with all that such texts
//! hold and that looks like a secret to whoever looks too quickly.
#![allow(dead_code, reason = "each test uses a part")]

#[path = "code.rs"]
mod code;
#[path = "logs.rs"]
mod logs;

/// A kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    English,
    Code,
    Logs,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::English, Kind::Code, Kind::Logs];

/// At least so many bytes of it.
pub(crate) fn text(kind: Kind, bytes: usize) -> String {
    let (mut chance, mut out) = (Chance(kind as u64 * 77 + 11), String::with_capacity(bytes + 4096));
    while out.len() < bytes {
        match kind {
            Kind::English => paragraph(&mut chance, &mut out),
            Kind::Code => code::snippet(&mut chance, &mut out),
            Kind::Logs => logs::line(&mut chance, &mut out),
        }
    }
    out
}

pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    pub(crate) fn of(&mut self, alphabet: &str, len: usize) -> String {
        let all: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| all[usize::try_from(self.below(all.len() as u64)).unwrap()]).collect()
    }

    pub(crate) fn hex(&mut self, len: usize) -> String {
        self.of("0123456789abcdef", len)
    }

    pub(crate) fn uuid(&mut self) -> String {
        format!("{}-{}-4{}-a{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }

    pub(crate) fn base64(&mut self, len: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", len)
    }

    pub(crate) fn word(&mut self) -> &'static str {
        self.pick(WORDS)
    }

    pub(crate) fn name(&mut self) -> String {
        format!("{}_{}", self.word(), self.word())
    }

    pub(crate) fn camel(&mut self) -> String {
        let mut name = self.word().to_owned();
        for _ in 0..=self.below(3) {
            let word = self.word();
            name.push_str(&word[..1].to_uppercase());
            name.push_str(&word[1..]);
        }
        name
    }

    pub(crate) fn version(&mut self) -> String {
        format!("{}.{}.{}", self.below(12), self.below(40), self.below(30))
    }

    pub(crate) fn date(&mut self) -> String {
        format!("20{}-{:02}-{:02}", 19 + self.below(7), 1 + self.below(12), 1 + self.below(28))
    }
}

const WORDS: &[&str] = &[
    "account",
    "answer",
    "batch",
    "border",
    "branch",
    "bridge",
    "buffer",
    "build",
    "cache",
    "candidate",
    "chapter",
    "client",
    "cluster",
    "column",
    "commit",
    "config",
    "counter",
    "country",
    "cursor",
    "customer",
    "default",
    "delivery",
    "device",
    "driver",
    "element",
    "engine",
    "entry",
    "event",
    "factor",
    "field",
    "filter",
    "folder",
    "format",
    "frame",
    "garden",
    "graph",
    "handler",
    "header",
    "history",
    "image",
    "index",
    "input",
    "island",
    "journal",
    "kernel",
    "key",
    "language",
    "layer",
    "letter",
    "level",
    "library",
    "list",
    "market",
    "matrix",
    "memory",
    "message",
    "metric",
    "model",
    "module",
    "monitor",
    "network",
    "number",
    "object",
    "offset",
    "option",
    "order",
    "output",
    "owner",
    "package",
    "page",
    "paper",
    "parser",
    "pattern",
    "people",
    "person",
    "picture",
    "pipeline",
    "planet",
    "player",
    "pointer",
    "policy",
    "portal",
    "prefix",
    "price",
    "process",
    "product",
    "project",
    "queue",
    "reader",
    "reason",
    "record",
    "region",
    "release",
    "report",
    "request",
    "result",
    "river",
    "router",
    "sample",
    "schema",
    "season",
    "section",
    "segment",
    "server",
    "session",
    "shadow",
    "signal",
    "socket",
    "source",
    "stage",
    "state",
    "station",
    "storage",
    "stream",
    "string",
    "subject",
    "summary",
    "surface",
    "symbol",
    "system",
    "table",
    "target",
    "teacher",
    "template",
    "thread",
    "ticket",
    "token",
    "topic",
    "tracker",
    "traffic",
    "value",
    "vector",
    "version",
    "vessel",
    "village",
    "volume",
    "weather",
    "window",
    "winter",
    "worker",
    "writer",
];

const NAMES: &[&str] = &[
    "Amara", "Bjorn", "Chen", "Dolores", "Emil", "Farah", "Gustav", "Hana", "Ines", "Jonas", "Katya", "Liam",
];

fn paragraph(c: &mut Chance, out: &mut String) {
    for _ in 0..3 + c.below(4) {
        let sentence = match c.below(22) {
            0 => format!(
                "On {}, {} paid ${}.{:02} for {} and asked for order {}-{} again.",
                c.date(),
                c.pick(NAMES),
                10 + c.below(900),
                c.below(100),
                c.word(),
                1000 + c.below(9000),
                c.below(90_000)
            ),
            1 => format!(
                "Version {} of the {} came out in {}, after {} release candidates.",
                c.version(),
                c.word(),
                1990 + c.below(35),
                c.below(9)
            ),
            2 => format!(
                "The key to the {} is that every {} has a {} of its own.",
                c.word(),
                c.word(),
                c.word()
            ),
            3 => format!(
                "See https://www.{}-{}.example/{}/{}?page={} for the {}.",
                c.word(),
                c.word(),
                c.word(),
                c.word(),
                c.below(40),
                c.word()
            ),
            4 => format!(
                "About {}% of the {} and {} of {} were lost at {}:{:02} p.m.",
                c.below(100),
                c.word(),
                c.below(300),
                300 + c.below(900),
                1 + c.below(12),
                c.below(60)
            ),
            5 => format!(
                "\u{201c}A {} without a {} is no {},\u{201d} said {}; nobody else had a password to that {}.",
                c.word(),
                c.word(),
                c.word(),
                c.pick(NAMES),
                c.word()
            ),
            6 => format!(
                "Chapter {} (pp. {}\u{2013}{}) treats the {} of the {}: see also section {}.{}.",
                c.below(30),
                c.below(200),
                200 + c.below(200),
                c.word(),
                c.word(),
                c.below(9),
                c.below(9)
            ),
            7 => format!(
                "It weighs {}.{} kg, measures {} x {} x {} mm, and has the part number {}-{}{}.",
                c.below(90),
                c.below(10),
                c.below(900),
                c.below(900),
                c.below(90),
                c.of("ABCDEFGH", 2),
                100 + c.below(900),
                c.of("XYZ", 1)
            ),
            8 => format!(
                "Flight {}{} leaves gate {}{} at {:02}:{:02}; the booking is {}.",
                c.of("ABLK", 2),
                100 + c.below(900),
                c.of("ABC", 1),
                c.below(60),
                c.below(24),
                c.below(60),
                c.of("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 6)
            ),
            9 => format!(
                "The ISBN of the {} is 978-{}-{}-{}-{}, and it costs \u{20ac}{},{:02}.",
                c.word(),
                c.below(9),
                1000 + c.below(9000),
                1000 + c.below(9000),
                c.below(10),
                c.below(90),
                c.below(100)
            ),
            10 => format!(
                "Commit {} fixed the {} that {} had reported in #{}.",
                c.hex(7),
                c.word(),
                c.pick(NAMES),
                c.below(9000)
            ),
            11 => format!(
                "The tracking number {} and the invoice {}/{} belong to one {}.",
                c.of("0123456789", 9),
                2019 + c.below(7),
                1000 + c.below(9000),
                c.word()
            ),
            _ => format!(
                "The {} of the {} was {} than the {} in every {}, and {} knew it.",
                c.word(),
                c.word(),
                c.pick(&["older", "larger", "better", "slower"]),
                c.word(),
                c.word(),
                c.pick(NAMES)
            ),
        };
        out.push_str(&sentence);
        out.push(' ');
    }
    out.push_str("\n\n");
}
