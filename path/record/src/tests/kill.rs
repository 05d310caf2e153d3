//! `kill -9` at random instants loses nothing acknowledged, and leaves nothing open.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::{Reader, Spoken};

/// What writes at once.
const TASKS: usize = 8;

/// Writes until it is killed: the child of the test below. By hand it finds no folder and ends.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    let Some((place, how)) = line.trim().split_once(' ') else { return };
    let (place, sealed) = (PathBuf::from(place), how == "sealed");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let mut settings = settings(&place);
        if sealed {
            settings.seal_to = vec![age::x25519::Identity::generate().to_public()];
        }
        settings.segment_bytes = 256 << 10;
        // What the child before left is compressed while this one writes and is killed.
        settings.retention.compress_after = Some(Duration::ZERO);
        let ledger = Ledger::open(settings, clock.clone()).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (ledger, clock) = (ledger.clone(), clock.clone());
            tasks.spawn(async move {
                loop {
                    let mut record = opened(&ledger, &*clock, "question").await;
                    let id = record.exchange();
                    println!("\nacked {id} opened 0");
                    for n in 1..=(3 + task) {
                        let body = Bytes::from(vec![b'x'; 10 + 1000 * task]);
                        let _ = record.say(Spoken::Body(body)).await.unwrap();
                        println!("\nacked {id} frames {n}");
                    }
                    complete(record).await.unwrap();
                    println!("\nacked {id} sealed 0");
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
}

#[tokio::test]
async fn kill_9_loses_nothing_acknowledged() {
    killed(10, u64::MAX).await;
}

/// `cargo test -p record a_thousand_times -- --ignored`
#[tokio::test]
#[ignore = "takes minutes: run it by hand before a release"]
async fn kill_9_a_thousand_times_loses_nothing() {
    // A ledger is verified whole after each kill, so the rounds are spread over many ledgers, and kept short.
    for fifty in 0..50 {
        killed(20, 700 + fifty).await;
    }
}

/// What was acknowledged of an exchange.
#[derive(Clone, Copy, Default)]
struct Acked {
    frames: usize,
    /// The number of the acknowledgement of its seal.
    sealed: Option<usize>,
}

/// A seal goes with what is written next. Of each task one thing was under way when a seal was acknowledged, and
/// its next may be a seal too: whatever is acknowledged after so many more shows that the seal was written.
const AFTER_A_SEAL: usize = 2 * TASKS + 1;

async fn killed(rounds: u64, most: u64) {
    let place = Place::new();
    let (mut acked, mut count): (HashMap<ExchangeId, Acked>, usize) = Default::default();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::kill::child", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // What is sealed is closed by a start that has no key to it.
        let how = if round % 2 == 0 { "clear" } else { "sealed" };
        writeln!(child.stdin.take().unwrap(), "{} {how}", place.root.path().display()).unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after so many acknowledgements: at whatever instant that is inside the child.
        // In the last round after so many that seals wait for each other by then.
        let many = if round + 1 == rounds { 6_000 } else { 0 };
        let (mut left, mut killed) = (many + 50 + round * 211 % most, false);
        while let Some(Ok(line)) = out.next() {
            let words: Vec<&str> = line.split(' ').collect();
            let ["acked", id, what, frames] = words.as_slice() else { continue };
            let Some(id) = ExchangeId::parse(id) else { continue };
            let entry = acked.entry(id).or_default();
            match *what {
                "frames" => entry.frames = entry.frames.max(frames.parse().unwrap_or(0)),
                "sealed" => entry.sealed = Some(count),
                _ => {}
            }
            count += 1;
            left = left.saturating_sub(1);
            if left == 0 && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "the child ended by itself");
        // The last seals may have waited for what was never written.
        for entry in
            acked.values_mut().filter(|acked| acked.sealed.is_some_and(|at| at + AFTER_A_SEAL >= count))
        {
            entry.sealed = None;
        }
        place.open().close().await.unwrap();
        let outcomes = outcomes(&place.ledger());
        for (id, acked) in &acked {
            let outcome = outcomes[id].as_deref().unwrap();
            assert!(outcome == "completed" || outcome == "interrupted" && acked.sealed.is_none());
        }
        assert!(outcomes.values().all(Option::is_some));
        assert_eq!(crate::audit::tests::flaw(&place.ledger()), None);
    }
    let reader = Reader::open(&place.ledger()).await.unwrap();
    for (id, Acked { frames, .. }) in &acked {
        let shown = reader.show(*id).await.unwrap();
        reader.check(*id, &shown).unwrap();
        let kept = shown.sealed.unwrap().response.unwrap().frames;
        assert!(kept >= *frames as u64, "{id} kept {kept} of {frames}");
    }
    assert!(acked.len() > 100);
    assert!(Series::bodies(&place.ledger(), "default").packed_path(1).exists());
}
