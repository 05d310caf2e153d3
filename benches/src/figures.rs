//! From samples to figures, and how they are told.

use std::time::Duration;

use serde_json::{Value, json};

/// One kind of load.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) stream: bool,
}

/// What the requests of one slice took.
#[derive(Default)]
pub(crate) struct Samples {
    /// Until the first byte of the body.
    pub(crate) first: Vec<Duration>,
    /// Until its last.
    pub(crate) whole: Vec<Duration>,
    /// How long the slice was.
    pub(crate) seconds: f64,
}

impl Samples {
    pub(crate) fn join(&mut self, other: Self) {
        self.first.extend(other.first);
        self.whole.extend(other.whole);
        self.seconds += other.seconds;
    }
}

/// All samples of one target in one scenario.
pub(crate) struct Figures {
    scenario: Scenario,
    target: String,
    samples: Samples,
}

/// A name, its unit, and the figure.
type Row = (&'static str, f64);

impl Figures {
    pub(crate) fn new(scenario: Scenario, target: &str) -> Self {
        Self { scenario, target: target.to_owned(), samples: Samples::default() }
    }

    pub(crate) fn add(&mut self, samples: Samples) {
        self.samples.join(samples);
    }

    fn rows(&self) -> Vec<Row> {
        let Samples { first, whole, seconds } = &self.samples;
        let rate = ("requests/s", whole.len() as f64 / seconds);
        if self.scenario.stream {
            return vec![
                rate,
                ("first token p50 µs", percentile(first, 50)),
                ("first token p99 µs", percentile(first, 99)),
            ];
        }
        vec![rate, ("latency p50 µs", percentile(whole, 50)), ("latency p99 µs", percentile(whole, 99))]
    }
}

/// In microseconds; the nearest rank.
pub(crate) fn percentile(samples: &[Duration], percent: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e6)
}

/// Scenario by scenario, with each target's ratio to the first.
pub(crate) fn table(all: &[Figures]) -> String {
    let mut text = String::new();
    for group in all.chunk_by(|one, other| one.scenario.name == other.scenario.name) {
        let base = group[0].rows();
        text.push_str(&format!("\n{}\n{:22}", group[0].scenario.name, ""));
        for figures in group {
            text.push_str(&format!("{:>20}", figures.target));
        }
        for (index, (name, base)) in base.iter().enumerate() {
            text.push_str(&format!("\n  {name:20}"));
            for figures in group {
                let value = figures.rows()[index].1;
                text.push_str(&format!("{value:>12.0} {:>6.2}x", value / base));
            }
        }
        text.push('\n');
    }
    text
}

/// The same for machines.
pub(crate) fn json(all: &[Figures]) -> String {
    let list: Vec<Value> = all
        .iter()
        .map(|figures| {
            let rows: serde_json::Map<String, Value> =
                figures.rows().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            json!({ "scenario": figures.scenario.name, "target": figures.target, "requests": figures.samples.whole.len(),
                "figures": rows })
        })
        .collect();
    format!("{}\n", json!(list))
}
