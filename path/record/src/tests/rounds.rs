//! What goes in comes out: whole exchanges, opaque and withheld bytes, strangers, dropped records.

use http::StatusCode;
use mask::{Opaque, Part};
use model::{Code, DataClass, FixedClock, PolicySetHash, Refusal};

use super::*;
use crate::body::{Direction, Kind};
use crate::{Reader, Spoken, Stranger};

#[tokio::test]
async fn an_exchange_is_read_back_whole() {
    let place = Place::new();
    let ledger = place.open();
    let case = case(&*place.clock, "ada", "{\"model\":\"llama\"}");
    let mut record = ledger.open_exchange(case.opening()).await.unwrap();
    record.unmasked(b"mail bob@");
    record.unmasked(b"example.test");
    let Part::Head { status, .. } = put(&mut record, head()).await.unwrap() else { panic!() };
    assert_eq!(status, StatusCode::OK);
    let Part::Body { bytes, .. } = put(&mut record, data("mail [pii.email]")).await.unwrap() else {
        panic!()
    };
    assert_eq!(bytes, "mail [pii.email]");
    let said = record.say(Spoken::Body("cut".into())).await.unwrap();
    assert_eq!(said.exchange(), case.exchange);
    complete(record).await.unwrap();
    ledger.close().await.unwrap();

    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(case.exchange).await.unwrap();
    let opened = shown.opened.clone().unwrap();
    let caller = opened.caller.unwrap();
    assert_eq!((caller.subject.as_str(), caller.kind.as_str()), ("ada", "human"));
    assert_eq!(caller.token.unwrap().claims["team"], "blue");
    assert_eq!(opened.decision.unwrap().judgements[0].context, "{\"approvals\":0}");
    let headers = opened.request.unwrap().headers;
    assert!(headers.iter().all(|h| h.value != b"canary"));
    assert!(headers.iter().any(|h| h.value == b"application/json"));
    assert_eq!(opened.request_body.as_ref().unwrap().bytes, 17);
    let sealed = shown.sealed.clone().unwrap();
    assert_eq!((sealed.outcome.as_str(), sealed.status), ("completed", 200));
    assert_eq!(sealed.request, opened.request_body);
    assert_eq!(sealed.response.as_ref().unwrap().bytes, 19);
    assert_eq!(sealed.findings.len(), 2);
    assert_eq!(sealed.unmasked_bytes, 21);
    let key = crate::digest::DigestKey::load(&place.settings().digest_key, &place.ledger()).unwrap();
    assert_eq!(sealed.unmasked_digest, key.of(b"mail bob@example.test"));
    let times = sealed.times.unwrap();
    assert!(times.opened_after <= times.head_after && times.head_after <= times.first_byte_after);
    assert!(times.first_byte_after <= times.total && times.opened_after.is_some());

    let frames: Vec<_> = reader.frames(case.exchange, &shown).map(Result::unwrap).collect();
    let kinds: Vec<_> = frames.iter().map(|f| (f.direction(), f.kind())).collect();
    assert_eq!(
        kinds,
        [
            (Direction::Request, Kind::Data),
            (Direction::Response, Kind::Head),
            (Direction::Response, Kind::Data),
            (Direction::Response, Kind::SpokenData)
        ]
    );
    assert_eq!(frames[0].data, "{\"model\":\"llama\"}");
    assert_eq!(frames[3].data, "cut");
    assert!(frames.iter().enumerate().all(|(n, f)| f.sequence == n as u64));
    reader.check(case.exchange, &shown).unwrap();
}

#[tokio::test]
async fn opaque_and_withheld_bytes_leave_only_digests() {
    let place = Place::new();
    let ledger = place.open();
    let case = case(&*place.clock, "ada", "secret question");
    let mut record = ledger.open_exchange(Opening { bodies: false, ..case.opening() }).await.unwrap();
    let class = DataClass::new("opaque.embedding").unwrap();
    let part = Part::Body {
        bytes: "[\"AAAA\",\"BBBB\"]".into(),
        opaque: vec![Opaque { range: 2..6, class: class.clone() }, Opaque { range: 9..13, class }],
    };
    put(&mut record, part).await.unwrap();
    let _ = record.say(Spoken::Body("gateway".into())).await.unwrap();
    complete(record).await.unwrap();
    ledger.close().await.unwrap();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(case.exchange).await.unwrap();
    let frames: Vec<_> = reader.frames(case.exchange, &shown).map(Result::unwrap).collect();
    let kinds: Vec<_> = frames.iter().map(crate::body::Body::kind).collect();
    let (o, w) = (Kind::Opaque, Kind::Withheld);
    assert_eq!(kinds, [w, w, o, w, o, w, Kind::SpokenData]);
    assert_eq!(frames[2].opaque.as_ref().unwrap().digest, crate::digest::sha256(b"AAAA"));
    assert_ne!(frames[0].opaque.as_ref().unwrap().digest, crate::digest::sha256(b"secret question"));
    assert_eq!(shown.sealed.as_ref().unwrap().response.as_ref().unwrap().bytes, 15 + 7);
    reader.check(case.exchange, &shown).unwrap();
    let stored = std::fs::read(Series::bodies(&place.ledger(), "default").path(1)).unwrap();
    for kept_out in ["secret", "AAAA", "BBBB"] {
        assert!(!stored.windows(kept_out.len()).any(|w| w == kept_out.as_bytes()));
    }
}

#[tokio::test]
async fn ranges_that_do_not_fit_are_an_error() {
    let place = Place::new();
    let ledger = place.open();
    let mut record = opened(&ledger, &*place.clock, "").await;
    let class = || DataClass::new("opaque.image").unwrap();
    for ranges in [&[(0, 9)][..], &[(2, 3), (1, 2)]] {
        let opaque = ranges.iter().map(|(from, to)| Opaque { range: *from..*to, class: class() }).collect();
        let outcome = put(&mut record, Part::Body { bytes: "12345".into(), opaque }).await;
        assert!(matches!(outcome, Err(LedgerError::Misfit { .. })));
    }
    complete(record).await.unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_long_answer_is_certified_on_the_way() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 3 << 20;
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    let case = case(&*place.clock, "ada", vec![b'q'; 3 << 20]);
    let mut record = ledger.open_exchange(case.opening()).await.unwrap();
    for _ in 0..20 {
        put(&mut record, data(vec![b'x'; 1 << 20])).await.unwrap();
    }
    complete(record).await.unwrap();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(case.exchange).await.unwrap();
    let parts: Vec<_> =
        shown.parts.iter().map(|p| (p.number, p.response.as_ref().unwrap().bytes >> 20)).collect();
    assert_eq!(parts, [(1, 8), (2, 16)]);
    assert!(Series::bodies(&place.ledger(), "default").numbers().unwrap().len() > 4);
    reader.check(case.exchange, &shown).unwrap();
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_dropped_record_is_sealed_as_cut() {
    let place = Place::new();
    let ledger = place.open();
    let mut record = opened(&ledger, &*place.clock, "q").await;
    put(&mut record, data("half")).await.unwrap();
    let exchange = record.exchange();
    drop(record);
    // One whose task panics, and one whose opening is given up while it is written.
    let (other, clock) = (ledger.clone(), place.clock.clone());
    let task = tokio::spawn(async move {
        let _record = opened(&other, &*clock, "q").await;
        panic!("a step failed");
    });
    assert!(task.await.is_err());
    let given_up = case(&*place.clock, "ada", "q");
    {
        let opening = ledger.open_exchange(given_up.opening());
        tokio::select! { biased; record = opening => drop(record), () = std::future::ready(()) => {} }
    }
    eventually(|| ledger.health().open_exchanges == 0 && outcomes(&place.ledger()).len() >= 2).await;
    ledger.close().await.unwrap();
    let outcomes = outcomes(&place.ledger());
    assert!(outcomes.values().all(|outcome| outcome.as_deref() == Some("cut")), "{outcomes:?}");
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(exchange).await.unwrap();
    reader.check(exchange, &shown).unwrap();
    assert_eq!(shown.sealed.unwrap().response.unwrap().bytes, 4);
}

#[tokio::test]
async fn closing_seals_what_is_open_and_refuses_the_rest() {
    let place = Place::new();
    let ledger = place.open();
    let mut record = opened(&ledger, &*place.clock, "q").await;
    let late = ledger.clone();
    ledger.close().await.unwrap();
    assert!(matches!(put(&mut record, data("x")).await, Err(LedgerError::Closed)));
    assert!(late.open_exchange(case(&*place.clock, "ada", "q").opening()).await.is_err());
    assert!(!late.health().is_ready());
    assert_eq!(outcomes(&place.ledger())[&record.exchange()].as_deref(), Some("interrupted"));
}

#[tokio::test]
async fn only_a_failed_write_lets_an_answer_out_without_a_record() {
    let place = Place::new();
    let ledger = place.open();
    let late = ledger.clone();
    ledger.close().await.unwrap();
    let case = case(&*place.clock, "ada", "q");
    let failed = late.open_exchange(case.opening()).await.unwrap_err();
    let reading = Reader::open(&place.ledger()).await.unwrap().show(case.exchange).await.unwrap_err();
    let say = |error: &LedgerError, size| {
        let body = Bytes::from(vec![b'n'; size]);
        late.unrecorded(error, case.exchange, StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), body)
    };
    assert!(say(&failed, 100).is_some());
    assert!(say(&failed, 5000).is_none());
    assert!(say(&reading, 100).is_none());
    assert_eq!(late.health().unrecorded, 1);
}

#[tokio::test]
async fn policy_sets_are_kept_with_their_text() {
    let place = Place::new();
    let ledger = place.open();
    ledger.policy_set(PolicySetHash([3; 32]), "permit(principal, action, resource);", "start").await.unwrap();
    ledger.close().await.unwrap();
    let Some(What::PolicySet(set)) = leaves(&place.ledger()).pop().unwrap().what else { panic!() };
    assert_eq!((set.hash, set.text.len(), set.loaded_by.as_str()), (vec![3; 32], 36, "start"));
}

fn stranger<'a>(refusal: &'a Refusal, clock: &dyn Clock, client: &str) -> Stranger<'a> {
    Stranger {
        exchange: ExchangeId::at(clock.now()),
        arrived: clock.now(),
        client: client.parse().unwrap(),
        listener: "127.0.0.1:8443".parse().unwrap(),
        caller: None,
        method: "POST",
        path: "/x",
        host: "gateway",
        refusal: Some(refusal),
        status: refusal.code.status(),
        headers: HeaderMap::new(),
        body: "no".into(),
    }
}

#[tokio::test]
async fn who_is_told_what_anybody_is_told_is_recorded_like_who_is_refused() {
    let place = Place::new();
    let ledger = place.open();
    let refusal = Refusal::new(Code::TokenMissing);
    let clock = FixedClock::at(Timestamp::UNIX_EPOCH);
    let told =
        Stranger { refusal: None, status: http::StatusCode::OK, ..stranger(&refusal, &clock, "192.0.2.1:9") };
    let words = ledger.refuse_stranger(told).await.unwrap();
    assert!(matches!(words.head.into_part(), Part::Head { status, .. } if status == 200));
    ledger.close().await.unwrap();
    let Some(What::Refused(leaf)) = leaves(&place.ledger()).pop().unwrap().what else { panic!() };
    assert!(leaf.refusal.is_none());
    assert_eq!((leaf.status, leaf.path.as_str()), (200, "/x"));
}

#[tokio::test]
async fn a_flood_of_strangers_is_counted() {
    let mut place = Place::new();
    // A clock that stands still, so that no leaf's worth of tokens is gained on the way.
    let clock = Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH));
    place.clock = clock.clone();
    let ledger = place.open();
    let refusal = Refusal::new(Code::TokenInvalid);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let (ledger, refusal, clock) = (ledger.clone(), refusal.clone(), clock.clone());
        tasks.spawn(async move {
            let client = format!("192.0.2.{}:99", n % 40);
            ledger.refuse_stranger(stranger(&refusal, &*clock, &client)).await.unwrap()
        });
    }
    let mut told = 0;
    while told < 500 {
        let words = tokio::select! {
            words = tasks.join_next() => words.unwrap().unwrap(),
            () = tick(&clock) => continue,
        };
        let Part::Head { status, .. } = words.head.into_part() else { panic!() };
        assert_eq!(status, 401);
        told += 1;
    }
    assert_eq!(told, 500);
    ledger.close().await.unwrap();
    let (mut alone, mut counted, mut summaries) = (0, 0, 0);
    for leaf in leaves(&place.ledger()) {
        match leaf.what.unwrap() {
            What::Refused(refused) => {
                assert_eq!(refused.refusal.unwrap().code, "token_invalid");
                alone += 1;
            }
            What::Summary(summary) => {
                counted += summary.count;
                summaries += 1;
                assert!(summary.clients.len() <= 32);
                let clients: u64 = summary.clients.iter().map(|tally| tally.count).sum();
                assert_eq!(clients + summary.other_clients, summary.count);
                assert_eq!(summary.codes[0].count, summary.count);
            }
            What::Key(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(alone + counted, 500);
    assert!(alone >= 200 && summaries >= 1, "{alone} alone, {summaries} summaries");
}

async fn tick(clock: &FixedClock) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    clock.advance(Duration::from_millis(20));
}

/// By hand, on a machine with nothing else to do: what an append costs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn measure() {
    let root = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let ledger = Ledger::open(settings(root.path()), clock.clone()).unwrap();
    for (size, count) in [(200usize, 20_000usize), (64 << 10, 10_000)] {
        let mut record = opened(&ledger, &*clock, "q").await;
        let bytes = Bytes::from(vec![b'x'; size]);
        let mut times = Vec::with_capacity(count);
        let begun = clock.elapsed();
        for _ in 0..count {
            let from = clock.elapsed();
            put(&mut record, data(bytes.clone())).await.unwrap();
            times.push(clock.elapsed() - from);
        }
        let whole = (clock.elapsed() - begun).as_secs_f64();
        times.sort_unstable();
        let rate = (size * count) as f64 / whole / 1e6;
        println!(
            "{size} bytes: median {:?}, p99 {:?}, {rate:.0} MB/s",
            times[count / 2],
            times[count * 99 / 100]
        );
        complete(record).await.unwrap();
    }
    let begun = clock.elapsed();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (ledger, clock) = (ledger.clone(), clock.clone());
        tasks.spawn(async move {
            for _ in 0..500 {
                let mut record = opened(&ledger, &*clock, "q").await;
                put(&mut record, head()).await.unwrap();
                put(&mut record, data("answer")).await.unwrap();
                complete(record).await.unwrap();
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let each = (clock.elapsed() - begun).as_micros() / (16 * 500);
    println!("16 at once: {each} us for an exchange of four appends");
    ledger.close().await.unwrap();
    let begun = clock.elapsed();
    let dir = root.path().join("ledger");
    let report = crate::audit::verify(&dir, &Default::default(), &mut |_, _| ()).unwrap();
    assert_eq!(report.flaw, None);
    let rate = report.bytes as f64 / (clock.elapsed() - begun).as_secs_f64() / 1e6;
    println!("verify: {} bytes, {} leaves, {rate:.0} MB/s", report.bytes, report.leaves);
}
