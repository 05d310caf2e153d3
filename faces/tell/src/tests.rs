//! The whole teller: over a real store, to real listeners on loopback.

mod receiver;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::{SecretRef, Tell, TellEvent};
use http::StatusCode;
use model::{Clock, SystemClock};
use serde_json::Value;
use store::{SqliteStore, Store, Write};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::matter::tests::matter;
use crate::teller::Pace;
use crate::{Matter, Settings, Source, Stage, Teller};
use receiver::{Answer, Receiver};

/// A store in a folder of its own, and secrets beside it.
struct Ground {
    folder: TempDir,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// A teller that runs. Dropped, it is gone as after `kill -9`: nothing is released or written any more.
struct Running(JoinHandle<()>, CancellationToken);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    async fn stop(mut self) {
        self.1.cancel();
        (&mut self.0).await.unwrap();
    }
}

async fn opened(folder: &Path, clock: &Arc<dyn Clock>) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&folder.join("state"), Arc::clone(clock)).await.unwrap())
}

impl Ground {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        for (name, byte) in [("old", 1u8), ("new", 2)] {
            let secret = format!("whsec_{}\n", STANDARD.encode([byte; 32]));
            fs::write(folder.path().join(name), secret).unwrap();
        }
        fs::write(folder.path().join("token"), ["xoxb", "-made-up"].concat()).unwrap();
        let store = opened(folder.path(), &clock).await;
        Self { folder, store, clock }
    }

    fn secret(&self, name: &str) -> SecretRef {
        SecretRef::File(self.folder.path().join(name))
    }

    /// The same store, opened again as by another process.
    async fn again(self) -> Self {
        let Self { folder, store, clock } = self;
        drop(store);
        let store = opened(folder.path(), &clock).await;
        Self { folder, store, clock }
    }

    fn hooked(&self, name: &str, url: &str) -> Tell {
        let webhook = config::Webhook {
            name: name.to_owned(),
            url: url.parse().unwrap(),
            secrets: vec![self.secret("new"), self.secret("old")],
            events: TellEvent::ALL.into_iter().collect(),
            ca_file: None,
            timeout: Duration::from_secs(5),
        };
        Tell { webhooks: vec![webhook], ..Tell::default() }
    }

    fn slacked(&self, url: &str) -> Tell {
        let slack = config::Slack {
            channel: "C0123456789".to_owned(),
            token: self.secret("token"),
            api: format!("{url}/api"),
            ca_file: None,
        };
        Tell { slack: Some(slack), ..Tell::default() }
    }

    fn tell(&self, tell: Tell) -> Running {
        let source = Source {
            name: "matters",
            prefix: "matters/",
            read: Box::new(|entry| entry.read::<Matter>().map(Some)),
        };
        let settings = Settings { tell, origin: Some("https://portcullis.example.test".to_owned()) };
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let mut teller = Teller::new(store, clock, vec![source], move || settings.clone());
        teller.pace = Pace {
            follow: Duration::from_millis(20),
            lease: Duration::from_millis(600),
            again: Duration::from_millis(50),
            end: Duration::from_secs(5),
        };
        let stop = CancellationToken::new();
        let told = stop.clone();
        Running(tokio::spawn(async move { teller.run(told).await }), stop)
    }

    async fn put(&self, approval: &str, stage: Stage, given: u8) {
        let mut now = matter(approval, stage, given);
        now.asked = self.clock.now();
        let write = Write::put(format!("matters/{approval}"), &now).unwrap();
        assert!(self.store.commit(vec![write]).await.unwrap().is_done());
    }

    async fn waiting(&self) -> u64 {
        self.store.count("tell/spool/").await.unwrap()
    }

    async fn settled(&self) {
        for _ in 0..1000 {
            if self.waiting().await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} notices still wait", self.waiting().await);
    }
}

/// What a webhook's receiver was told, in order: approval and event, each id once.
fn told(receiver: &Receiver) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let mut told = Vec::new();
    for got in receiver.accepted() {
        let message: Value = serde_json::from_slice(&got.body).unwrap();
        if seen.insert(got.header("webhook-id")) {
            let approval = message["data"]["approval"].as_str().unwrap().to_owned();
            told.push((approval, message["type"].as_str().unwrap().to_owned()));
        }
    }
    told
}

fn pair(approval: &str, event: &str) -> (String, String) {
    (approval.to_owned(), format!("approval.{event}"))
}

#[tokio::test]
async fn a_receiver_is_told_once_in_order_and_can_verify() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    ground.put("before", Stage::Denied, 0).await;
    ground.put("waits", Stage::Waiting, 0).await;
    let running = ground.tell(ground.hooked("a", &receiver.url("/hook")));
    receiver.got(1).await;
    ground.put("waits", Stage::Waiting, 1).await;
    receiver.got(2).await;
    ground.put("waits", Stage::Released, 2).await;
    let got = receiver.got(4).await;
    ground.settled().await;
    running.stop().await;
    // What was decided before anybody was told of anything is nobody's news.
    let expected = ["requested", "consented", "approved", "released"].map(|event| pair("waits", event));
    assert_eq!(told(&receiver), expected);
    for one in &got {
        assert_eq!(one.target, "/hook");
        assert_eq!(one.header("content-type"), "application/json");
        assert!(receiver::verifies(&one.clone(), [1; 32]) && receiver::verifies(one, [2; 32]));
        assert!(!receiver::verifies(one, [3; 32]));
    }
    assert_eq!(receiver.all().len(), 4, "nothing came twice");
}

#[tokio::test]
async fn what_waits_survives_the_death_of_the_teller_and_of_the_receiver() {
    let mut receiver = Receiver::start().await;
    let ground = Ground::new().await;
    receiver.say(|_| Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    let tell = ground.hooked("a", &receiver.url("/"));
    let running = ground.tell(tell.clone());
    ground.put("x", Stage::Waiting, 0).await;
    receiver.got(1).await;
    ground.put("x", Stage::Denied, 0).await;
    while ground.waiting().await < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(running);
    let ground = ground.again().await;
    // Nobody listens while the next one comes up, and while something else happens.
    receiver.close().await;
    let running = ground.tell(tell);
    ground.put("y", Stage::Waiting, 0).await;
    while ground.waiting().await < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    receiver.say(|_| Answer::ok());
    receiver.open().await;
    ground.settled().await;
    running.stop().await;
    let told = told(&receiver);
    let of = |name: &str| told.iter().filter(|(approval, _)| approval == name).cloned().collect::<Vec<_>>();
    assert_eq!(of("x"), [pair("x", "requested"), pair("x", "denied")]);
    assert_eq!(of("y"), [pair("y", "requested")]);
    let ids: Vec<String> = receiver.got(1).await.iter().map(|got| got.header("webhook-id")).collect();
    assert!(ids.iter().filter(|id| **id == ids[0]).count() > 1, "the same id however often: {ids:?}");
}

#[tokio::test]
async fn only_one_of_two_replicas_tells() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    let tell = ground.hooked("a", &receiver.url("/"));
    let (first, second) = (ground.tell(tell.clone()), ground.tell(tell));
    for n in 0..20 {
        ground.put(&format!("n{n:02}"), Stage::Waiting, 0).await;
    }
    receiver.got(20).await;
    // Whichever it was: the other goes on where it stopped.
    first.stop().await;
    for n in 0..20 {
        ground.put(&format!("n{n:02}"), Stage::Denied, 0).await;
    }
    receiver.got(40).await;
    ground.settled().await;
    drop(second);
    assert_eq!(receiver.all().len(), 40, "nothing came twice");
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    let ground = Ground::new().await;
    slow.say(|_| Answer::never());
    let mut tell = ground.hooked("slow", &slow.url("/"));
    tell.webhooks.extend(ground.hooked("quick", &quick.url("/")).webhooks);
    let running = ground.tell(tell);
    for n in 0..8 {
        ground.put(&format!("n{n}"), Stage::Waiting, 0).await;
    }
    quick.got(8).await;
    slow.got(4).await;
    assert!(slow.got(4).await.len() <= 4, "no more than four are out at once");
    drop(running);
}

#[tokio::test]
async fn what_is_given_up_is_gone_and_what_follows_is_told() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    receiver.say(|got| match String::from_utf8_lossy(&got.body).contains("requested") {
        true => Answer::status(StatusCode::BAD_GATEWAY),
        false => Answer::ok(),
    });
    let mut tell = ground.hooked("a", &receiver.url("/"));
    tell.give_up = Duration::from_millis(1200);
    let running = ground.tell(tell);
    ground.put("x", Stage::Waiting, 0).await;
    receiver.got(1).await;
    ground.put("x", Stage::Denied, 0).await;
    ground.settled().await;
    running.stop().await;
    let last = receiver.all().pop().unwrap();
    assert!(String::from_utf8_lossy(&last.body).contains("approval.denied"));
    assert!(receiver.all().len() >= 3, "it was tried more than once");
}

#[tokio::test]
async fn gone_is_never_asked_again_and_a_strange_receiver_is_dropped() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    receiver.say(|_| Answer::status(StatusCode::GONE));
    let running = ground.tell(ground.hooked("a", &receiver.url("/")));
    ground.put("x", Stage::Waiting, 0).await;
    receiver.got(1).await;
    ground.settled().await;
    receiver.say(|_| Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    ground.put("y", Stage::Waiting, 0).await;
    receiver.got(2).await;
    drop(running);
    // The operator has renamed it: nobody can send what waits for the old name.
    let running = ground.tell(ground.hooked("b", &receiver.url("/")));
    ground.settled().await;
    running.stop().await;
    let of = |name: &str| {
        receiver.all().iter().filter(|got| String::from_utf8_lossy(&got.body).contains(name)).count()
    };
    assert_eq!(of(r#""approval":"x""#), 1);
    assert!(of(r#""approval":"y""#) >= 1);
}

#[tokio::test]
async fn slack_gets_one_message_that_is_changed_by_the_outcome() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    receiver.say(receiver::slack);
    let running = ground.tell(ground.slacked(&receiver.url("")));
    ground.put("0198", Stage::Waiting, 0).await;
    receiver.got(1).await;
    ground.put("0198", Stage::Approved, 2).await;
    let got = receiver.got(2).await;
    ground.settled().await;
    running.stop().await;
    assert_eq!(got[0].target, "/api/chat.postMessage");
    assert_eq!(got[1].target, "/api/chat.update");
    assert_eq!(got[0].header("authorization"), ["Bearer xoxb", "-made-up"].concat());
    let said: Vec<Value> = got.iter().map(|got| serde_json::from_slice(&got.body).unwrap()).collect();
    assert_eq!((&said[0]["channel"], &said[1]["channel"]), (&"C0123456789".into(), &"C0123456789".into()));
    assert_eq!(said[1]["ts"], "1700000000.000001");
    assert!(said[0]["text"].as_str().unwrap().starts_with("Approval needed: alice@example.test"));
    assert!(said[1]["text"].as_str().unwrap().starts_with("Approved: alice@example.test"));
    assert!(!got[0].body.windows(4).any(|four| four == b"xoxb"), "the token is in the header alone");
}

#[tokio::test]
async fn slack_that_asks_for_quiet_is_left_alone_so_long() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    receiver.say(move |got| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Answer::status(StatusCode::TOO_MANY_REQUESTS).with("retry-after", "2"),
        _ => receiver::slack(got),
    });
    let running = ground.tell(ground.slacked(&receiver.url("")));
    for n in 0..3 {
        ground.put(&format!("n{n}"), Stage::Waiting, 0).await;
    }
    let got = receiver.got(4).await;
    ground.settled().await;
    running.stop().await;
    let quiet = got[1].at.duration_since(got[0].at);
    assert!(quiet >= jiff::SignedDuration::from_millis(1900), "it was asked again after {quiet:?}");
    assert_eq!(receiver.all().len(), 4);
}

#[tokio::test]
async fn a_message_somebody_took_away_is_let_go() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    receiver.say(|got| match got.target.as_str() {
        "/api/chat.update" => Answer::json(r#"{"ok":false,"error":"message_not_found"}"#),
        _ => receiver::slack(got),
    });
    let running = ground.tell(ground.slacked(&receiver.url("")));
    ground.put("x", Stage::Waiting, 0).await;
    receiver.got(1).await;
    ground.put("x", Stage::Denied, 0).await;
    receiver.got(2).await;
    ground.settled().await;
    running.stop().await;
    assert_eq!(receiver.all().len(), 2);
}

#[tokio::test]
async fn nothing_is_told_of_the_time_when_nobody_was() {
    let (ground, receiver) = (Ground::new().await, Receiver::start().await);
    let tell = ground.hooked("a", &receiver.url("/"));
    let running = ground.tell(tell.clone());
    ground.put("first", Stage::Waiting, 0).await;
    receiver.got(1).await;
    ground.settled().await;
    running.stop().await;
    let silent = ground.tell(Tell::default());
    while ground.store.count("tell/cursor/").await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ground.put("missed", Stage::Denied, 0).await;
    silent.stop().await;
    let running = ground.tell(tell);
    ground.put("first", Stage::Expired, 0).await;
    receiver.got(2).await;
    ground.settled().await;
    running.stop().await;
    assert_eq!(told(&receiver), [pair("first", "requested"), pair("first", "expired")]);
}
