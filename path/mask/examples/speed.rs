//! Measures the masker, in processor time (Linux only), so that a busy machine does not matter: `cargo run --release -p mask --example speed [FILE]`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

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
    fn push(&mut self, bytes: &Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::Text { lane: Lane(0), encoding: self.0, raw: bytes.clone() });
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        out.push(Piece::End { lane: Lane(0), before: Bytes::new(), after: Bytes::new() });
        Ok(())
    }
}

fn main() {
    let begun = cpu_time();
    let rules = mask::Rules::standard().expect("the rules build");
    println!("{rules:?}, built in {:?}, holds at most {} bytes", (cpu_time() - begun), rules.max_hold());
    let mut texts: Vec<(String, Vec<u8>)> = vec![
        ("prose".into(), PROSE.repeat(20_000).into_bytes()),
        ("code".into(), CODE.repeat(20_000).into_bytes()),
        ("digits".into(), b"4111 1234 5678 9012 ".repeat(100_000)),
        ("a.a.a.".into(), b"a.".repeat(2_000_000)),
        ("a@a.a.".into(), b"a@a.a.".repeat(500_000)),
        ("eyJ-".into(), b"eyJ-".repeat(100_000)),
        ("://a:".into(), b"://a:".repeat(100_000)),
        ("-----BEGIN ".into(), b"-----BEGIN RSA ".repeat(100_000)),
        ("AA11 ".into(), b"AA11 ".repeat(100_000)),
        ("json in json".into(), escaped(&CODE.repeat(10_000)).into_bytes()),
        ("percent".into(), PROSE.replace(' ', "%20").repeat(10_000).into_bytes()),
        ("base64".into(), base64(&PROSE.repeat(10_000)).into_bytes()),
    ];
    asked(&rules);
    if let Some(file) = std::env::args().nth(1) {
        texts.push((file.clone(), std::fs::read(file).expect("the file can be read")));
    }
    for (name, text) in &texts {
        for encoding in [Encoding::Plain, Encoding::JsonString] {
            let text = Bytes::from(text.clone());
            let whole = run(&rules, encoding, &text, 4096);
            let small = text.slice(..text.len().min(1 << 20));
            let tiny = run(&rules, encoding, &small, 4);
            let pushes = u32::try_from(small.len() / 4).unwrap_or(u32::MAX);
            println!(
                "{name:>12} {encoding:?}: {:.0} MB/s at 4 KiB, {:?} a push of 4 bytes",
                megabytes(&text, whole),
                tiny / pushes
            );
        }
    }
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

fn run(rules: &Arc<mask::Rules>, encoding: Encoding, text: &Bytes, size: usize) -> Duration {
    let exchange = ExchangeId::from_bytes([0; 16]);
    let mut masker =
        mask::Masker::begin(exchange, rules.clone(), Arc::new(Nothing), Box::new(OneText(encoding)));
    let begun = cpu_time();
    let mut rest = text.clone();
    while !rest.is_empty() {
        let bytes = rest.split_to(size.min(rest.len()));
        masker.push(Unmasked { exchange, bytes }).expect("one text is never a fault");
    }
    masker.finish().expect("one text is never a fault");
    cpu_time() - begun
}

const PROSE: &str = "The committee met on Tuesday, 14 March 2023, and agreed that the \
 report (see section 4.2) should be published by the end of the month. Nobody objected; \
 \u{201c}it is high time\u{201d}, said the chair, who had waited for seven years. ";

const CODE: &str = "fn load(path: &Path) -> Result<Config, Error> {\n    let text = \
 std::fs::read_to_string(path)?;\n    let config: Config = serde_json::from_str(&text)?;\n    \
 if config.version != 3 { return Err(Error::Version(config.version)); }\n    Ok(config)\n}\n";
