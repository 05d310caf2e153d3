//! Measures the masker in processor time (Linux only), on one core, so that a busy machine matters less:
//! `cargo xtask bench mask`, or `cargo run --profile dist -p mask --example speed [--only NAME] [--rounds N [--size N]] [FILE]`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::{DataClass, Encoding, ExchangeId, Lane, Layout, LayoutFault, Piece, Reveal, Unmasked};

struct Nothing;

impl Reveal for Nothing {
    fn reveals(&self, _class: &DataClass) -> bool {
        false
    }
}

/// All that comes is one lane's text.
struct OneText(Encoding);

impl Layout for OneText {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::Text { lane: Lane(0), encoding: self.0, raw: bytes });
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::End { lane: Lane(0), before: Bytes::new(), after: Bytes::new() });
        Ok(())
    }
}

const VIEWS: [(&str, Encoding); 2] = [("plain text", Encoding::Plain), ("JSON string", Encoding::JsonString)];

fn main() {
    let begun = cpu_time();
    let rules = mask::Rules::standard().expect("the rules build");
    println!("{rules:?}, ready in {:?} (bar: 64 MB, 1 s)", cpu_time() - begun);
    let mut texts = vec![
        ("English".to_owned(), english()),
        ("JSON".to_owned(), json()),
        ("code".to_owned(), CODE.repeat(8_000).into_bytes()),
        ("JSON in JSON".to_owned(), escaped(&CODE.repeat(4_000)).into_bytes()),
        ("percent".to_owned(), english_sample().replace(' ', "%20").into_bytes()),
        ("base64".to_owned(), base64(&english_sample()).into_bytes()),
    ];
    let mut arguments = std::env::args().skip(1).peekable();
    let only = arguments.next_if(|word| word == "--only").and_then(|_| arguments.next());
    let rounds = arguments.next_if(|word| word == "--rounds").and_then(|_| arguments.next()?.parse().ok());
    let size = arguments.next_if(|word| word == "--size").and_then(|_| arguments.next()?.parse().ok());
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    if only.is_none() {
        asked(&rules);
    }
    if let Some(file) = arguments.next() {
        texts.push((file.clone(), std::fs::read(file).expect("the file can be read")));
    }
    texts.retain(|(name, _)| wanted(name));
    if let Some(rounds) = rounds {
        return again(&rules, &texts, &wanted, rounds, size.unwrap_or(4096));
    }
    println!(
        "\nordinary text (bar: 100 MB/s at 4 KiB on English and JSON in plain text; 4-byte pushes 150 ns; hold p99 64 B)"
    );
    for (name, text) in &texts {
        let finds = rules.find(text).len();
        for (view, encoding) in VIEWS {
            let text = Bytes::from(text.clone());
            let fast = megabytes(&text, whole(&rules, encoding, &text, 4096));
            let Tiny { push, late, clock, holds: [half, most] } =
                tiny(&rules, encoding, &text.slice(..text.len().min(1 << 20)));
            println!(
                "{name:>10}, {view:<11}: {fast:>4.0} MB/s, push of 4 bytes {:?} median, {:?} p99 ({push:?} and {late:?} with the {clock:?} that reading the clock takes), holds p50 {half} p99 {most} bytes, {finds} finds in {} KB",
                push.saturating_sub(clock),
                late.saturating_sub(clock),
                text.len() / 1000
            );
        }
    }
    println!("\nadversarial text (bar: 20 MB/s)");
    for (name, unit) in ADVERSARIAL.into_iter().filter(|(name, _)| wanted(name)) {
        let text = Bytes::from(unit.repeat(1_000_000 / unit.len()));
        let [plain, string] =
            VIEWS.map(|(_, encoding)| megabytes(&text, whole(&rules, encoding, &text, 4096)));
        println!("{name:>18}: {plain:>4.0} MB/s plain text, {string:>4.0} MB/s JSON string");
    }
}

/// The plain view in chunks of one size, again and again: for a profiler.
fn again(
    rules: &Arc<mask::Rules>,
    texts: &[(String, Vec<u8>)],
    wanted: &impl Fn(&str) -> bool,
    rounds: usize,
    size: usize,
) {
    let adversarial = ADVERSARIAL.into_iter().filter(|(name, _)| wanted(name));
    let adversarial = adversarial.map(|(_, unit)| unit.repeat(1_000_000 / unit.len()).into_bytes());
    for text in texts.iter().map(|(_, text)| text.clone()).chain(adversarial) {
        let text = Bytes::from(text);
        let best = (0..rounds).map(|_| once(rules, Encoding::Plain, &text, size)).min().unwrap_or_default();
        println!("{:>4.0} MB/s", megabytes(&text, best));
    }
}

const ADVERSARIAL: [(&str, &str); 30] = [
    ("card digits", "4111 1234 5678 9012 "),
    ("digits", "1234567890"),
    ("dotted digits", "1.2.3.4."),
    ("dashed digits", "1-2-3-4-"),
    ("spaced digits", "1 2 3 4 "),
    ("slashed digits", "12/34/56/"),
    ("worded digits", "tel cpf card id sin 1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7 "),
    ("phone-like", "(212) 555-01 +1 (2"),
    ("a.a.a.", "a."),
    ("a@", "a@"),
    ("a@a.a.", "a@a.a."),
    ("eyJ", "eyJ"),
    ("eyJ-", "eyJ-"),
    ("sk-", "sk-"),
    ("sk_live_", "sk_live_"),
    ("://a:", "://a:"),
    ("-----BEGIN ", "-----BEGIN RSA "),
    ("-----BEGIN", "-----BEGIN PRIVATE KEY-----"),
    ("IBAN look-alikes", "DE11 "),
    ("AA11 ", "AA11 "),
    ("key=", "key=a1b2c3d4e5f6 "),
    ("key=key=", "key="),
    ("token-", "token-a1b2c3d4 "),
    ("token-token-", "token-"),
    ("password=", "password=aaaaaa;"),
    ("hex", "0123456789abcdef-"),
    ("colons", "ab:cd:ef:01:"),
    ("percent", "%41%4"),
    ("backslashes", "\\\\n\\u0041"),
    ("base64 of eyJ", "ZXlKZXlK"),
];

/// Prose with names, numbers and days, different in every sentence.
fn english() -> Vec<u8> {
    let who = [
        "The committee",
        "A neighbour",
        "Her brother",
        "The engineer on call",
        "Nobody",
        "The model",
        "Our reviewer",
    ];
    let did = [
        "met on Tuesday",
        "agreed with the proposal",
        "read section 4.2 again",
        "waited for seven years",
        "wrote a longer report",
        "asked for the key points",
        "found 12 mistakes",
    ];
    let why = [
        "because the weather had changed",
        "although it was late",
        "before the end of March 2023",
        "as \u{201c}high time\u{201d} demands",
        "in spite of everything",
        "to understand the access pattern",
    ];
    let mut text = String::new();
    for n in 0..40_000usize {
        let pick = |list: &[&'static str], by: usize| {
            list.get((n / by + n * by) % list.len()).copied().unwrap_or("")
        };
        text.push_str(pick(&who, 3));
        text.push(' ');
        text.push_str(pick(&did, 5));
        text.push_str(", ");
        text.push_str(pick(&why, 7));
        text.push_str(". ");
    }
    text.into_bytes()
}

/// Some of it.
fn english_sample() -> String {
    String::from_utf8_lossy(&english()).chars().take(400_000).collect()
}

/// Log lines with what such lines hold, different in every line.
fn json() -> Vec<u8> {
    let mut text = String::new();
    let mut seed = 7u64;
    for n in 0..12_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (a, b) = (seed >> 33, seed >> 12);
        text.push_str(&format!(
            "{{\"ts\":\"2023-11-{:02}T{:02}:{:02}:10.{:03}Z\",\"level\":\"info\",\"msg\":\"request completed\",\"request_id\":\"{a:08x}-{:04x}-4{:03x}-a{:03x}-{b:012x}\",\"status\":200,\"duration_ms\":{}.{:03},\"bytes\":{},\"path\":\"/v1/chat/completions\",\"tokens\":{{\"prompt\":{},\"completion\":{}}},\"host\":\"web-{:02}.prod.internal\"}}\n",
            n % 28 + 1, n % 24, n % 60, a % 1000, a % 65_536, b % 4096, a % 4096, a % 900, b % 1000, a % 1_000_000, a % 9000, b % 900, n % 40,
            b = b % (1 << 48),
        ));
    }
    text.into_bytes()
}

/// What a look at a request costs in which nothing is found.
fn asked(rules: &mask::Rules) {
    for words in [1, 40, 4000] {
        let body = Bytes::from(format!(
            "{{\"model\":\"llama-3\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}",
            "why does it rain? ".repeat(words)
        ));
        let start = body.len() - 4 - 18 * words;
        let range = |start: usize, end: usize| model::AskedText {
            range: start..end,
            encoding: Encoding::JsonString,
            fixed: false,
        };
        let texts = [range(10, 17), range(start, body.len() - 4)];
        let times = 2_000;
        let begun = cpu_time();
        for _ in 0..times {
            assert!(mask::disclose(rules, &Nothing, &body, &texts).is_none());
        }
        println!("a request of {} bytes: {:?}", body.len(), (cpu_time() - begun) / times);
    }
}

/// As the inside of a JSON string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn base64(text: &str) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = text.bytes().flat_map(|byte| (0..8).rev().map(move |bit| usize::from(byte >> bit & 1)));
    let bits: Vec<usize> = bits.collect();
    let letter = |six: &[usize]| six.iter().fold(0, |worth, bit| worth << 1 | bit);
    bits.chunks_exact(6).map(|six| char::from(letters.get(letter(six)).copied().unwrap_or(b'A'))).collect()
}

/// Time this thread has spent on a processor.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    Duration::from_nanos(
        stat.split(' ').next().and_then(|n| n.parse().ok()).expect("it starts with a number"),
    )
}

fn megabytes(text: &Bytes, took: Duration) -> f64 {
    u32::try_from(text.len()).map_or(0.0, f64::from) / took.as_secs_f64() / 1e6
}

fn masker(rules: &Arc<mask::Rules>, encoding: Encoding) -> mask::Masker {
    mask::Masker::begin(
        ExchangeId::from_bytes([0; 16]),
        rules.clone(),
        Arc::new(Nothing),
        Box::new(OneText(encoding)),
    )
}

/// The best of three runs: what else runs here can only make one slower.
fn whole(rules: &Arc<mask::Rules>, encoding: Encoding, text: &Bytes, size: usize) -> Duration {
    (0..3).map(|_| once(rules, encoding, text, size)).min().unwrap_or_default()
}

fn once(rules: &Arc<mask::Rules>, encoding: Encoding, text: &Bytes, size: usize) -> Duration {
    let exchange = ExchangeId::from_bytes([0; 16]);
    let mut masker = masker(rules, encoding);
    let mut rest = text.clone();
    let begun = cpu_time();
    // The clock of a running thread advances when it is switched; a yield makes it current.
    std::thread::yield_now();
    while !rest.is_empty() {
        let bytes = rest.split_to(size.min(rest.len()));
        masker.push(Unmasked { exchange, bytes }).expect("one text is never a fault");
    }
    masker.finish().expect("one text is never a fault");
    std::thread::yield_now();
    cpu_time() - begun
}

/// What pushes of four bytes take.
struct Tiny {
    /// The median, from one reading of the clock to the next.
    push: Duration,
    /// The 99th percentile.
    late: Duration,
    /// The median where nothing lies between the two readings.
    clock: Duration,
    /// The median of what is held between two pushes, and the 99th percentile, in bytes.
    holds: [usize; 2],
}

fn tiny(rules: &Arc<mask::Rules>, encoding: Encoding, text: &Bytes) -> Tiny {
    let exchange = ExchangeId::from_bytes([0; 16]);
    let mut masker = masker(rules, encoding);
    let (mut times, mut clock, mut holds) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text.clone();
    while !rest.is_empty() {
        let bytes = rest.split_to(4.min(rest.len()));
        let begun = Instant::now();
        clock.push(begun.elapsed());
        let begun = Instant::now();
        masker.push(Unmasked { exchange, bytes }).expect("one text is never a fault");
        times.push(begun.elapsed());
        holds.push(masker.held());
    }
    times.sort_unstable();
    clock.sort_unstable();
    holds.sort_unstable();
    let time = |all: &[Duration], share| all.get(all.len() * share / 100).copied().unwrap_or_default();
    let hold = |share| holds.get(holds.len() * share / 100).copied().unwrap_or_default();
    Tiny {
        push: time(&times, 50),
        late: time(&times, 99),
        clock: time(&clock, 50),
        holds: [hold(50), hold(99)],
    }
}

const CODE: &str = "fn load(path: &Path) -> Result<Config, Error> {\n    let text = \
 std::fs::read_to_string(path)?;\n    let config: Config = serde_json::from_str(&text)?;\n    \
 if config.version != 3 { return Err(Error::Version(config.version)); }\n    Ok(config)\n}\n";
