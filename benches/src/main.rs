//! Measures what standing in the path costs: the same requests to the same upstream directly, through
//! nginx as a plain proxy, a plain proxy of our own libraries, and Portcullis with everything on, in one run. `cargo xtask bench`
//! builds and starts it.
//!
//! Everything shares one machine, so the figures are for comparing, not for quoting. The targets take
//! turns in short slices, so that what else the machine does hits all of them.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measuring tool: it reads clocks, and stops where something is not as it should be"
)]

mod agent;
mod door;
mod figures;
mod held;
mod load;
mod plain;
mod targets;
mod token;
mod upstream;

use std::io::Write;
use std::time::Duration;

use figures::{Figures, Scenario};
use targets::Targets;

const SCENARIOS: [Scenario; 3] = [
    Scenario { name: "chat, 1 connection", connections: 1, stream: false },
    Scenario { name: "chat, 32 connections", connections: 32, stream: false },
    Scenario { name: "stream, 1 connection", connections: 1, stream: true },
];
/// Each target gets its time in so many slices.
const SLICES: u32 = 3;
const SECONDS: u32 = 6;
/// The tail of others' requests, beside those that wait, takes longer to be seen than the machine keeps its speed.
const HELD_SECONDS: u32 = 18;
const USAGE: &str = "usage: cargo xtask bench [held [SECONDS]|agent [SECONDS]] [--json] [--seconds N] [--targets direct,nginx,plain,portcullis]";

struct Wanted {
    json: bool,
    seconds: u32,
    targets: Vec<String>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [plain::PROXY, listen, upstream] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return plain::serve(listen, upstream);
    }
    if words.first().is_some_and(|word| word == "held") {
        let seconds = words.get(1).and_then(|text| text.parse().ok()).unwrap_or(HELD_SECONDS);
        let _ = std::io::stdout().lock().write_all(held::measure(seconds).as_bytes());
        return;
    }
    if words.first().is_some_and(|word| word == "agent") {
        let seconds = words.get(1).and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
        let _ = std::io::stdout().lock().write_all(agent::measure(seconds).as_bytes());
        return;
    }
    let wanted = wanted().unwrap_or_else(|| panic!("{USAGE}"));
    let figures = measure(&wanted);
    let text = if wanted.json { figures::json(&figures) } else { figures::table(&figures) };
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn wanted() -> Option<Wanted> {
    let all = ["direct", "nginx", "plain", "portcullis"].map(str::to_owned).to_vec();
    let mut wanted = Wanted { json: false, seconds: SECONDS, targets: all };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => wanted.json = true,
            "--seconds" => {
                wanted.seconds = words.next()?.parse().ok().filter(|seconds| (1..=600).contains(seconds))?
            }
            "--targets" => wanted.targets = words.next()?.split(',').map(str::to_owned).collect(),
            _ => return None,
        }
    }
    Some(wanted)
}

/// One thread for what sends, one for what answers: the targets are processes of their own.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn measure(wanted: &Wanted) -> Vec<Figures> {
    let upstream = upstream::start();
    let runtime = runtime();
    let targets = runtime.block_on(Targets::start(&wanted.targets, &upstream));
    let slice = Duration::from_secs(wanted.seconds.into()) / SLICES;
    let mut figures = Vec::new();
    for scenario in SCENARIOS {
        let mut seen: Vec<Figures> =
            targets.list.iter().map(|target| Figures::new(scenario, &target.name)).collect();
        // The first slice warms caches, pools and branch predictors, and does not count.
        for round in 0..=SLICES {
            for (target, figures) in targets.list.iter().zip(&mut seen) {
                targets.only(&target.name);
                let length = if round == 0 { slice / 2 } else { slice };
                let samples = runtime.block_on(load::run(target, scenario, length));
                if round > 0 {
                    figures.add(samples);
                }
            }
        }
        figures.extend(seen);
    }
    figures
}
