//! How quick finding is: makes the leaves of many exchanges, builds their index, and times every filter and
//! every pair of filters on it.
//!
//! `million make DIR COUNT [words]`, `million rebuild DIR [words]`, `million find DIR`, `million verify DIR`, `million
//! open DIR`: each tells what memory it took at most. With `words` there are bodies too, and the index holds their words.
//! Written like `docs/record-format.md` says.

#![expect(
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "it makes its own numbers and measures time"
)]

use std::fs::{self, File};
use std::io::{BufWriter, Error, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use model::SystemClock;
use prost::Message;
use record::body::{Body, Direction, Kind};
use record::leaf::{Digest, Finding, Leaf, Sealed, Span, Times, Usage, What};
use record::opened::{Caller, Decision, Judgement, Opened, Operation, Reason, RequestHead, Token};
use record::{Chain, Filter, Indexing, Ledger, Reader, Settings};

/// A second between exchanges would be a quiet gateway; this is a busy one.
const APART: i64 = 7_000_000;
const BEGAN: i64 = 1_790_000_000_000_000_000;
const SEGMENT: usize = 256 << 20;

const CLASS: &str = "default";

type Failure = Box<dyn std::error::Error>;

/// A stream of numbers that is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
    /// Small numbers are likelier: what people do is not even.
    fn uneven(&mut self, sides: u64) -> u64 {
        let most = self.roll(sides) + 1;
        self.roll(most)
    }
}

struct Segments {
    dir: std::path::PathBuf,
    /// The retention class of bodies; empty for leaves.
    class: &'static str,
    file: Option<BufWriter<File>>,
    number: u64,
    size: usize,
    leaves: u64,
}

impl Segments {
    fn new(dir: std::path::PathBuf, class: &'static str) -> Result<Self, Error> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, class, file: None, number: 0, size: 0, leaves: 0 })
    }

    fn put(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.file.is_none() || self.size + payload.len() > SEGMENT {
            self.number += 1;
            let mut file = BufWriter::new(File::create(self.dir.join(format!("{:08}.seg", self.number)))?);
            let mut head = [0u8; 128];
            head[..8].copy_from_slice(b"\x89PCLEDG\n");
            head[8] = 1;
            head[10] = if self.class.is_empty() { 1 } else { 2 };
            head[11] = u8::try_from(self.class.len()).map_err(Error::other)?;
            head[56..56 + self.class.len()].copy_from_slice(self.class.as_bytes());
            head[16..24].copy_from_slice(&self.number.to_le_bytes());
            head[24..40].copy_from_slice(&[7; 16]);
            head[40..48].copy_from_slice(&BEGAN.to_le_bytes());
            let first = if self.class.is_empty() { self.leaves } else { 0 };
            head[48..56].copy_from_slice(&first.to_le_bytes());
            let sum = crc32c::crc32c(&head[..124]);
            head[124..].copy_from_slice(&sum.to_le_bytes());
            file.write_all(&head)?;
            self.file = Some(file);
            self.size = 128;
        }
        let length = u32::try_from(payload.len()).map_err(Error::other)?.to_le_bytes();
        let sum = crc32c::crc32c_append(crc32c::crc32c(&length), payload);
        let file = self.file.as_mut().ok_or_else(|| Error::other("no segment"))?;
        file.write_all(&length)?;
        file.write_all(&sum.to_le_bytes())?;
        file.write_all(payload)?;
        self.size += payload.len() + 8;
        self.leaves += 1;
        Ok(())
    }
}

/// The bodies of one exchange after another.
struct Bodies {
    segments: Segments,
    dice: Dice,
}

impl Bodies {
    /// Some words, a few of them seldom.
    fn text(&mut self, count: u64) -> String {
        let mut text = String::new();
        for _ in 0..count {
            let word = self.dice.uneven(20_000);
            let kind = if self.dice.roll(2000) == 0 { "rare" } else { "word" };
            text.push_str(&format!("{kind}{word} "));
        }
        text
    }

    fn put(
        &mut self,
        (exchange, sequence): (&[u8], u64),
        way: Direction,
        text: String,
        chain: &mut Chain,
    ) -> Result<(), Failure> {
        let (bytes, data) = (u64::try_from(text.len())?, text.into());
        let body = Body {
            exchange: exchange.to_vec(),
            sequence,
            direction: way.into(),
            kind: Kind::Data.into(),
            data,
            ..Body::default()
        };
        let payload = body.encode_to_vec();
        self.segments.put(&payload)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &payload);
        chain.push(digest.as_ref().try_into()?, bytes);
        Ok(())
    }

    fn end(&self) -> (u64, u64) {
        (self.segments.number.max(1), u64::try_from(self.segments.size.max(128)).unwrap_or(0))
    }

    fn question(&mut self, opened: &mut Opened, chain: &mut Chain) -> Result<(u64, u64), Failure> {
        let text = self.text(60);
        let text = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        self.put((&opened.exchange, 0), Direction::Request, text, chain)?;
        opened.request_body = Some(message(chain));
        Ok(self.end())
    }

    /// An answer, streamed in eight events.
    fn answer(&mut self, exchange: &[u8], chain: &mut Chain) -> Result<(u64, u64), Failure> {
        for event in 1..=8 {
            let text = self.text(15);
            let text =
                format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
            self.put((exchange, event), Direction::Response, text, chain)?;
        }
        Ok(self.end())
    }
}

fn message(chain: &Chain) -> Digest {
    Digest { frames: chain.frames, bytes: chain.bytes, chain: chain.link.to_vec() }
}

fn span(first: (u64, u64), end: (u64, u64)) -> Option<Span> {
    let ((first_segment, first_offset), (end_segment, end_offset)) = (first, end);
    Some(Span { class: CLASS.to_owned(), first_segment, first_offset, end_segment, end_offset })
}

fn id(arrived: i64, dice: &mut Dice) -> Vec<u8> {
    let mut id = vec![0u8; 16];
    let millis = u64::try_from(arrived / 1_000_000).unwrap_or(0);
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id[6..14].copy_from_slice(&dice.roll(1 << 50).to_be_bytes());
    id[14..].copy_from_slice(&[1, 2]);
    id[6] = 0x70 | (id[6] & 15);
    id[8] = 0x80 | (id[8] & 63);
    id
}

fn opened(n: u64, arrived: i64, dice: &mut Dice) -> Opened {
    let who = dice.uneven(2000);
    let issuer = "https://login.example.test".to_owned();
    let (resource, model) = (dice.uneven(20), dice.uneven(3));
    // Whoever has an even number never trains, so that a pair of common filters fits nothing.
    let class = ["infer", "embed", "inspect", "read", "train"]
        [usize::try_from(dice.uneven(if who.is_multiple_of(2) { 4 } else { 5 })).unwrap_or(0)];
    let ruling = if dice.roll(20) == 0 { "denied" } else { "allowed" };
    let subject = format!("user-{who:05}");
    let groups: Vec<String> =
        (0..4).map(|part| format!("group-{:03}", (who * 7 + part * 13) % 200)).collect();
    let entities = format!(
        r#"[{{"uid":{{"type":"Caller","id":"{issuer}#{subject}"}},"attrs":{{"kind":"human","email":"{subject}@example.test","subject":"{subject}","issuer":"{issuer}","issuer_name":"main","client":"cli"}},"parents":[{}]}}]"#,
        groups
            .iter()
            .map(|group| format!(r#"{{"type":"Group","id":"{group}"}}"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    Opened {
        exchange: id(arrived, dice),
        arrived,
        client: "192.0.2.7:40000".to_owned(),
        caller: Some(Caller {
            issuer: issuer.clone(),
            issuer_name: "main".to_owned(),
            kind: if who.is_multiple_of(5) { "workload" } else { "human" }.to_owned(),
            groups,
            email: Some(format!("{subject}@example.test")),
            token: Some(Token { digest: format!("{:064x}", who * 1000 + n / 20_000), ..Token::default() }),
            subject: subject.clone(),
            ..Caller::default()
        }),
        resource: format!("resource-{resource:02}"),
        operations: vec![Operation {
            class: class.to_owned(),
            name: format!("openai.{class}"),
            model: format!("model-{resource:02}-{model}"),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            batch: 1,
            max_tokens: 256,
            ..Operation::default()
        }],
        decision: Some(Decision {
            ruling: ruling.to_owned(),
            policy_set: vec![9; 32],
            judgements: vec![Judgement {
                ruling: ruling.to_owned(),
                reasons: vec![Reason { policy: format!("policy-{}", resource % 7), sentence: None }],
                principal: format!("Caller::\"{issuer}#{subject}\""),
                action: format!("Action::\"{class}\""),
                resource: format!("Resource::\"resource-{resource:02}\""),
                context: r#"{"approvals":0,"batch":1,"bytes":900,"max_tokens":256,"matches":[],"stream":true,"time":{"hour":9,"weekday":"monday"}}"#.to_owned(),
                entities,
                ..Judgement::default()
            }],
            ..Decision::default()
        }),
        request: Some(RequestHead { method: "POST".to_owned(), path: "/v1/chat/completions".to_owned(), ..RequestHead::default() }),
        ..Opened::default()
    }
}

fn sealed(exchange: Vec<u8>, ruling: &str, dice: &mut Dice) -> Sealed {
    const CLASSES: [&str; 6] =
        ["pii.email", "pii.phone", "credential.aws", "pii.iban", "network.ip", "credential.jwt"];
    let outcome = match (ruling, dice.roll(100)) {
        ("denied", _) => "refused",
        (_, 0) => "cut",
        (_, 1) => "upstream-lost",
        (_, 2 | 3) => "caller-gone",
        _ => "completed",
    };
    let findings = if dice.roll(10) < 3 {
        let class = CLASSES[usize::try_from(dice.uneven(6)).unwrap_or(0)];
        vec![Finding { class: class.to_owned(), masked: dice.roll(3), revealed: dice.roll(2) }]
    } else {
        Vec::new()
    };
    Sealed {
        exchange,
        outcome: outcome.to_owned(),
        times: Some(Times {
            first_byte_after: Some(90_000_000),
            total: Some(900_000_000),
            ..Times::default()
        }),
        usage: Some(Usage { input: 100, output: 200 }),
        findings,
        status: 200,
        ..Sealed::default()
    }
}

fn make(dir: &Path, count: u64, words: bool) -> Result<(), Failure> {
    let mut segments = Segments::new(dir.join("leaves"), "")?;
    let mut bodies = Bodies {
        segments: Segments::new(dir.join("bodies").join(CLASS), CLASS)?,
        dice: Dice(0x9876_5432_1fed_cba1),
    };
    let mut dice = Dice(0x1234_5678_9abc_def1);
    for n in 0..count {
        let arrived = BEGAN + i64::try_from(n)? * APART;
        let mut opened = opened(n, arrived, &mut dice);
        let ruling = opened.decision.as_ref().map(|decision| decision.ruling.clone()).unwrap_or_default();
        let mut sealed = sealed(opened.exchange.clone(), &ruling, &mut dice);
        let (mut asked, mut answered) = (Chain::default(), Chain::default());
        let (first, mut spans) = (bodies.end(), (None, None));
        if words {
            spans.0 = span(first, bodies.question(&mut opened, &mut asked)?);
            spans.1 = span(first, bodies.answer(&sealed.exchange, &mut answered)?);
            (sealed.request, sealed.response) = (Some(message(&asked)), Some(message(&answered)));
        }
        let leaf = Leaf { time: arrived, bodies: spans.0, what: Some(What::Opened(opened)) };
        segments.put(&leaf.encode_to_vec())?;
        let leaf = Leaf { time: arrived + 900_000_000, bodies: spans.1, what: Some(What::Sealed(sealed)) };
        segments.put(&leaf.encode_to_vec())?;
    }
    Ok(())
}

type Narrow = (&'static str, fn(&mut Filter));

const FILTERS: &[Narrow] = &[
    ("caller, often", |f| f.caller = Some("user-00000".to_owned())),
    ("caller, seldom", |f| f.caller = Some("user-01990@example.test".to_owned())),
    ("group", |f| f.group = Some("group-014".to_owned())),
    ("resource, often", |f| f.resource = Some("resource-00".to_owned())),
    ("resource, seldom", |f| f.resource = Some("resource-19".to_owned())),
    ("model", |f| f.model = Some("model-03-1".to_owned())),
    ("class, often", |f| f.class = Some("infer".to_owned())),
    ("class, seldom", |f| f.class = Some("train".to_owned())),
    ("ruling", |f| f.ruling = Some("denied".to_owned())),
    ("outcome, often", |f| f.outcome = Some("completed".to_owned())),
    ("outcome, seldom", |f| f.outcome = Some("cut".to_owned())),
    ("outcome, never", |f| f.outcome = Some("interrupted".to_owned())),
    ("masked", |f| f.masked = Some("pii".to_owned())),
    ("revealed", |f| f.revealed = Some("credential.jwt".to_owned())),
    ("since", |f| f.since = at(990_000)),
    ("until", |f| f.until = at(1000)),
    ("an hour", |f| (f.since, f.until) = (at(300_000), at(300_500))),
    ("begins", |f| f.begins = true),
    ("text, often", |f| f.text = Some("word1".to_owned())),
    ("text, seldom", |f| f.text = Some("rare77".to_owned())),
];

fn at(n: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(BEGAN + n * APART)).ok()
}

/// The slowest of three first pages, and how many it holds.
async fn time(reader: &Reader, filter: &Filter) -> Result<(f64, usize), Failure> {
    let (mut worst, mut found) = (0.0f64, 0);
    for _ in 0..3 {
        let began = Instant::now();
        found = reader.list(filter).await?.exchanges.len();
        worst = worst.max(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok((worst, found))
}

async fn find(dir: &Path) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let reader = Reader::open(dir).await?;
    let mut pairs = Vec::new();
    for (at, (name, narrow)) in FILTERS.iter().enumerate() {
        let mut filter = Filter::default();
        narrow(&mut filter);
        let (worst, found) = time(&reader, &filter).await?;
        writeln!(out, "{worst:8.2} ms  {found:4}  {name}")?;
        for (other, more) in &FILTERS[at + 1..] {
            let mut both = filter.clone();
            more(&mut both);
            let (worst, found) = time(&reader, &both).await?;
            pairs.push((worst, found, format!("{name} + {other}")));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    writeln!(out, "the slowest of {} pairs:", pairs.len())?;
    for (worst, found, name) in pairs.iter().take(8) {
        writeln!(out, "{worst:8.2} ms  {found:4}  {name}")?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let mut out = std::io::stdout();
    let began = Instant::now();
    match words.as_slice() {
        ["make", dir, count] => make(Path::new(dir), count.parse()?, false)?,
        ["make", dir, count, "words"] => make(Path::new(dir), count.parse()?, true)?,
        ["rebuild", dir, more @ ..] => {
            let indexing = Indexing { full_text: more.contains(&"words"), ..Indexing::default() };
            record::rebuild_index_as(Path::new(dir), Some(indexing), |_, _| ()).await?;
        }
        ["verify", dir] => verify(Path::new(dir))?,
        ["open", dir] => {
            let mut settings = Settings::new(*dir, Path::new(dir).with_extension("digest-key"));
            settings.indexing.full_text = false;
            let ledger = Ledger::open(settings, Arc::new(SystemClock::default()))?;
            writeln!(out, "opened in {:?}", began.elapsed())?;
            ledger.close().await?;
        }
        ["find", dir] => find(Path::new(dir)).await?,
        _ => writeln!(
            out,
            "million make DIR COUNT [words] | rebuild DIR [words] | find DIR | verify DIR | open DIR"
        )?,
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    writeln!(out, "{:?}, {most}", began.elapsed())?;
    Ok(())
}

fn verify(dir: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    let report = record::audit::verify(dir, &record::audit::Expected::default(), &mut |_, _| ())?;
    let rate = f64::from(u32::try_from(report.bytes / 1_000_000)?) / began.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{} leaves, {} frames, {rate:.0} MB/s, flaw: {:?}",
        report.leaves,
        report.frames,
        report.flaw.map(|flaw| flaw.to_string())
    )?;
    Ok(())
}
