//! What the ledger costs the one who waits for it: the same exchanges recorded in the clear, and sealed
//! to one and to three recipients, in turns on the same disk; then short exchanges by themselves, and beside
//! streams that are recorded at the same time. With `alone` and `crowd`, short exchanges in one task or
//! in many, as fast as it goes: to see what changes do, and where a profiler says the time goes.
//!
//! `cargo run --release -p record --example cost [-- alone|crowd]`
#![allow(clippy::expect_used, reason = "a measurement that can't be made has nothing else to say")]

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use age::x25519::Identity as Secret;
use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use model::{
    CallerKind, Class, Clock, Decision, ExchangeId, Facts, Findings, Identity, Operation, Outcome,
    PolicySetHash, Question, QuestionParts, ResourceName, Ruling, SystemClock, TokenFacts,
};
use record::{Ledger, LedgerError, Opening, Record, Sealing, Settings, Spoken};

const EXCHANGES: usize = 400;
const PIECES: usize = 20;
/// About what one event of a stream has.
const PIECE: usize = 300;
/// About what a short answer has.
const ANSWER: usize = 1200;
const LARGE: usize = 64 << 10;
const LARGE_PIECES: usize = 512;

#[derive(Default)]
struct Measured {
    opens: Vec<Duration>,
    appends: Vec<Duration>,
    large: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("alone") => return at_once(1),
        Some("crowd") => return at_once(32),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let secrets: Vec<Secret> = (0..3).map(|_| Secret::generate()).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "recipients   open µs   append of {PIECE} bytes µs   MB/s of large pieces")?;
    for round in 0..3 {
        for count in [0, 1, 3] {
            let dir = tempfile::tempdir()?;
            let mut settings = Settings::new(dir.path().join("ledger"), dir.path().join("digest.key"));
            settings.seal_to = secrets.iter().take(count).map(Secret::to_public).collect();
            let mut measured = runtime.block_on(measure(settings))?;
            if round == 0 {
                continue;
            }
            let bytes = f64::from(u32::try_from(LARGE * LARGE_PIECES)?);
            let rate = bytes / 1e6 / measured.large.as_secs_f64();
            let (open, append) = (median(&mut measured.opens), median(&mut measured.appends));
            writeln!(out, "{count:>10}   {open:>7.1}   {append:>24.1}   {rate:>20.0}")?;
        }
    }
    drop(runtime);
    writeln!(
        out,
        "streams   open µs   answer µs   seal µs   a whole exchange µs (median, 99th)   stream events/s"
    )?;
    for streams in [0, 16, 64, 0, 16, 64] {
        beside(streams, &mut out)?;
    }
    Ok(())
}

/// How often a stream says something: about what a model does.
const EVENT: Duration = Duration::from_millis(20);
/// Short exchanges that are measured.
const SHORT: usize = 4000;
/// And those that come as fast as it goes, a round.
const AT_ONCE: u32 = 64_000;
/// Between one of the measured ones and the next.
const APART: Duration = Duration::from_micros(500);

/// Short exchanges as the gateway records them, beside so many streams, on two threads as a small gateway has.
fn beside(streams: usize, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let dir = tempfile::tempdir()?;
    let settings = Settings::new(dir.path().join("ledger"), dir.path().join("digest.key"));
    let (mut parts, said) = runtime.block_on(async {
        let clock = Arc::new(SystemClock::default());
        let ledger = Ledger::open(settings, clock.clone())?;
        let (tell, ended) = tokio::sync::watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..streams {
            tasks.spawn(stream(ledger.clone(), clock.clone(), ended.clone()));
        }
        let measured =
            tokio::spawn(short(ledger.clone(), clock.clone())).await?.map_err(std::io::Error::other)?;
        let _ = tell.send(true);
        let mut said = 0u64;
        while let Some(events) = tasks.join_next().await {
            said = said.saturating_add(events?);
        }
        ledger.close().await?;
        Ok::<_, Box<dyn Error>>((measured, said))
    })?;
    let lasted = parts.lasted.as_secs_f64();
    let whole: Vec<f64> = parts.whole();
    let [open, answer, seal] = [&mut parts.open, &mut parts.answer, &mut parts.seal].map(|all| median(all));
    let middle = whole.get(whole.len() / 2).copied().unwrap_or_default();
    let late = whole.get(whole.len().saturating_mul(99) / 100).copied().unwrap_or_default();
    let said = f64::from(u32::try_from(said)?) / lasted;
    writeln!(
        out,
        "{streams:>7}   {open:>7.1}   {answer:>9.1}   {seal:>7.1}   {middle:>19.1}, {late:>7.1}   {said:>24.0}"
    )?;
    Ok(())
}

/// Exchanges one after another in each of so many tasks, on two threads as a small gateway has.
fn at_once(tasks: u32) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let dir = tempfile::tempdir()?;
    let settings = Settings::new(dir.path().join("ledger"), dir.path().join("digest.key"));
    runtime.block_on(async {
        let clock = Arc::new(SystemClock::default());
        let ledger = Ledger::open(settings, clock.clone())?;
        for _ in 0..4 {
            let began = clock.elapsed();
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..tasks {
                all.spawn(quick(ledger.clone(), clock.clone(), AT_ONCE / tasks));
            }
            while let Some(done) = all.join_next().await {
                done?;
            }
            let each = clock.elapsed().saturating_sub(began) / AT_ONCE;
            writeln!(std::io::stdout(), "{:.1} µs an exchange", each.as_secs_f64() * 1e6)?;
        }
        Ok(ledger.close().await?)
    })
}

async fn quick(ledger: Ledger, clock: Arc<SystemClock>, exchanges: u32) {
    let answer = Bytes::from(vec![b'x'; ANSWER]);
    for _ in 0..exchanges {
        let mut record = Case::new(&*clock).open(&ledger).await.expect("a record");
        let _ = record.say(Spoken::Body(answer.clone())).await.expect("it is written");
        seal(record).await.expect("a seal");
        // Other tasks have their turn, as where there is a network.
        tokio::task::yield_now().await;
    }
}

/// What each part of the short exchanges took.
#[derive(Default)]
struct Short {
    open: Vec<Duration>,
    answer: Vec<Duration>,
    seal: Vec<Duration>,
    lasted: Duration,
}

impl Short {
    /// What each took as a whole, in microseconds, rising. Before the parts are sorted by themselves.
    fn whole(&self) -> Vec<f64> {
        let parts = self.open.iter().zip(&self.answer).zip(&self.seal);
        let mut whole: Vec<f64> =
            parts.map(|((open, answer), seal)| (*open + *answer + *seal).as_secs_f64() * 1e6).collect();
        whole.sort_unstable_by(f64::total_cmp);
        whole
    }
}

async fn short(ledger: Ledger, clock: Arc<SystemClock>) -> Result<Short, String> {
    let mut measured = Short::default();
    let answer = Bytes::from(vec![b'x'; ANSWER]);
    let start = clock.elapsed();
    for _ in 0..SHORT {
        let case = Case::new(&*clock);
        let began = clock.elapsed();
        let mut record = case.open(&ledger).await.map_err(|error| error.to_string())?;
        let opened = clock.elapsed();
        let _ = record.say(Spoken::Body(answer.clone())).await.map_err(|error| error.to_string())?;
        let answered = clock.elapsed();
        seal(record).await.map_err(|error| error.to_string())?;
        let sealed = clock.elapsed();
        measured.open.push(opened.saturating_sub(began));
        measured.answer.push(answered.saturating_sub(opened));
        measured.seal.push(sealed.saturating_sub(answered));
        // Not as fast as it goes: beside others, as it comes.
        while clock.elapsed().saturating_sub(sealed) < APART {
            tokio::task::yield_now().await;
        }
    }
    measured.lasted = clock.elapsed().saturating_sub(start);
    Ok(measured)
}

/// A stream, one after another, until it is told to end. How many events it said.
async fn stream(ledger: Ledger, clock: Arc<SystemClock>, ended: tokio::sync::watch::Receiver<bool>) -> u64 {
    let mut events = 0;
    while !*ended.borrow() {
        let mut record = Case::new(&*clock).open(&ledger).await.expect("a record");
        for _ in 0..200 {
            tokio::time::sleep(EVENT).await;
            let _ = record.say(Spoken::Body(Bytes::from(vec![b'x'; PIECE]))).await.expect("it is written");
            events += 1;
            if *ended.borrow() {
                break;
            }
        }
        seal(record).await.expect("a seal");
    }
    events
}

async fn measure(settings: Settings) -> Result<Measured, Box<dyn Error>> {
    let clock = Arc::new(SystemClock::default());
    let ledger = Ledger::open(settings, clock.clone())?;
    let mut measured = Measured::default();
    for _ in 0..EXCHANGES {
        let case = Case::new(&*clock);
        let began = clock.elapsed();
        let mut record = case.open(&ledger).await?;
        measured.opens.push(clock.elapsed().saturating_sub(began));
        for _ in 0..PIECES {
            let piece = Bytes::from(vec![b'x'; PIECE]);
            let began = clock.elapsed();
            let _ = record.say(Spoken::Body(piece)).await?;
            measured.appends.push(clock.elapsed().saturating_sub(began));
        }
        seal(record).await?;
    }
    let mut record = Case::new(&*clock).open(&ledger).await?;
    let began = clock.elapsed();
    for _ in 0..LARGE_PIECES {
        let _ = record.say(Spoken::Body(Bytes::from(vec![b'x'; LARGE]))).await?;
    }
    measured.large = clock.elapsed().saturating_sub(began);
    seal(record).await?;
    ledger.close().await?;
    Ok(measured)
}

async fn seal(record: Record) -> Result<(), LedgerError> {
    let findings = Findings::default();
    let (outcome, refusal, usage) = (Outcome::Completed, None, None);
    record.seal(Sealing { outcome, refusal, usage, findings: &findings }).await
}

/// All that is known of a request when it is recorded.
struct Case {
    exchange: ExchangeId,
    arrived: Timestamp,
    identity: Identity,
    resource: ResourceName,
    operations: [Operation; 1],
    decision: Decision,
    question: Question,
    disclosed: Findings,
}

impl Case {
    fn new(clock: &dyn Clock) -> Self {
        let arrived = clock.now();
        let exchange = ExchangeId::at(arrived);
        let facts = Facts { model: "llama".into(), ..Facts::plain("POST", "/v1/chat/completions") };
        let question = Question::new(QuestionParts {
            exchange,
            method: Method::POST,
            path: "/v1/chat/completions".into(),
            query: None,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'q'; 1000]),
        });
        Self {
            exchange,
            arrived,
            identity: identity(clock),
            resource: ResourceName::new("llama").expect("a name"),
            operations: [Operation { class: Class::Infer, name: "openai.chat".into(), facts }],
            decision: Decision {
                ruling: Ruling::Allowed,
                judgements: Vec::new(),
                policy_set: PolicySetHash([9; 32]),
            },
            question,
            disclosed: Findings::default(),
        }
    }

    async fn open(&self, ledger: &Ledger) -> Result<Record, LedgerError> {
        let opening = Opening {
            exchange: self.exchange,
            arrived: self.arrived,
            client: ([192, 0, 2, 7], 4000).into(),
            identity: &self.identity,
            session: "",
            resource: &self.resource,
            operations: &self.operations,
            decision: &self.decision,
            question: &self.question,
            disclosed: &self.disclosed,
            bodies: true,
        };
        ledger.open_exchange(opening).await
    }
}

fn identity(clock: &dyn Clock) -> Identity {
    let now = clock.now();
    let token = TokenFacts {
        digest: "ab".repeat(32),
        issued_at: Some(now),
        audiences: vec!["portcullis".into()],
        ..TokenFacts::ending(now)
    };
    Identity {
        issuer: "https://login.example.test".into(),
        issuer_name: "main".into(),
        subject: "ada".into(),
        kind: CallerKind::Human,
        groups: BTreeSet::from(["research".into()]),
        email: None,
        display: None,
        token,
    }
}

/// In microseconds.
fn median(all: &mut [Duration]) -> f64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
}
