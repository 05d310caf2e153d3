//! Any filter finds what reading everything would find; sessions are told apart; words are found, and none
//! that a rule masks.

use prost::Message;

use super::*;
use crate::leaf::{Finding, Sealed};
use crate::opened::{Caller, Opened, Token};
use crate::{Filter, Header, Indexing, Reader, frame};

/// A second, and when it all began, in nanoseconds.
const SECOND: i64 = 1_000_000_000;
const BEGAN: i64 = 1_790_000_000 * SECOND;

/// A ledger's leaves, written as they are.
fn write(dir: &Path, leaves: impl IntoIterator<Item = Leaf>) {
    let series = Series::leaves(dir);
    std::fs::create_dir_all(&series.dir).unwrap();
    let family = crate::Family::Leaves;
    let header =
        Header { family, number: 1, node: [7; 16], created: BEGAN, first_leaf: 0, class: String::new() };
    let mut bytes = header.encode();
    for leaf in leaves {
        frame::put(&mut bytes, &leaf);
    }
    std::fs::write(series.path(1), bytes).unwrap();
}

/// What is known of one exchange, and how it lies in the ledger.
struct Known {
    opened: Opened,
    sealed: Option<Sealed>,
}

impl Known {
    fn id(&self) -> ExchangeId {
        ExchangeId::from_bytes(self.opened.exchange.as_slice().try_into().unwrap())
    }

    fn fits(&self, filter: &Filter) -> bool {
        let caller = self.opened.caller.as_ref().unwrap();
        let is = |wanted: &Option<String>, have: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| have.contains(&wanted.as_str()))
        };
        let groups: Vec<&str> = caller.groups.iter().map(String::as_str).collect();
        let whole = format!("{}#{}", caller.issuer, caller.subject);
        let outcome = self.sealed.as_ref().map_or("running", |sealed| &sealed.outcome);
        let findings = self.sealed.iter().flat_map(|sealed| &sealed.findings).chain(&self.opened.disclosed);
        let found = |count: fn(&Finding) -> u64, wanted: &Option<String>| {
            let inside = |class: &str, wanted: &str| {
                class == wanted || class.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
            };
            wanted.as_ref().is_none_or(|wanted| {
                findings.clone().any(|finding| count(finding) > 0 && inside(&finding.class, wanted))
            })
        };
        let arrived = Timestamp::from_nanosecond(i128::from(self.opened.arrived)).unwrap();
        is(&filter.caller, &[&caller.subject, caller.email.as_ref().unwrap(), &whole])
            && is(&filter.group, &groups)
            && is(&filter.resource, &[&self.opened.resource])
            && is(&filter.outcome, &[outcome])
            && found(|finding| finding.masked, &filter.masked)
            && found(|finding| finding.revealed, &filter.revealed)
            && filter.since.is_none_or(|since| arrived >= since)
            && filter.until.is_none_or(|until| arrived < until)
    }
}

/// The same numbers each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn made(n: u64, dice: &mut Dice) -> Known {
    let arrived = BEGAN + i64::try_from(n).unwrap() * SECOND;
    let who = dice.roll(5);
    let mut exchange = [0u8; 16];
    exchange[..8].copy_from_slice(&n.to_be_bytes());
    let finding = |dice: &mut Dice| Finding {
        class: ["pii.email", "pii.phone", "credential"][usize::try_from(dice.roll(3)).unwrap()].to_owned(),
        masked: dice.roll(2),
        revealed: dice.roll(2),
    };
    let disclosed = if dice.roll(10) == 0 { vec![finding(dice)] } else { vec![] };
    let opened = Opened {
        exchange: exchange.to_vec(),
        arrived,
        caller: Some(Caller {
            issuer: format!("https://issuer-{}.test", who % 2),
            subject: format!("user-{}", who / 2),
            email: Some(format!("user-{who}@example.test")),
            groups: (0..dice.roll(3)).map(|_| format!("group-{}", dice.roll(4))).collect(),
            token: Some(Token { digest: format!("{who}"), ..Token::default() }),
            ..Caller::default()
        }),
        resource: format!("resource-{}", dice.roll(3)),
        disclosed,
        ..Opened::default()
    };
    let outcome = ["completed", "refused", "cut"][usize::try_from(dice.roll(3)).unwrap()].to_owned();
    let findings = if dice.roll(3) == 0 { vec![finding(dice)] } else { vec![] };
    let sealed = Sealed { exchange: exchange.to_vec(), outcome, findings, ..Sealed::default() };
    Known { opened, sealed: (dice.roll(20) > 0).then_some(sealed) }
}

fn filter(dice: &mut Dice) -> Filter {
    let mut filter = Filter::default();
    for _ in 0..dice.roll(4) {
        let word = |kind: &str, number: u64| Some(format!("{kind}-{number}"));
        let at = |n: u64| Timestamp::from_second(BEGAN / SECOND + i64::try_from(n).unwrap()).ok();
        match dice.roll(9) {
            0 => filter.caller = word("user", dice.roll(4)),
            1 => filter.caller = Some(format!("user-{}@example.test", dice.roll(6))),
            2 => filter.caller = Some(format!("https://issuer-{}.test#user-1", dice.roll(3))),
            3 => filter.group = word("group", dice.roll(5)),
            4 => filter.resource = word("resource", dice.roll(4)),
            5 => {
                filter.outcome = Some(
                    ["completed", "cut", "running", "interrupted"][usize::try_from(dice.roll(4)).unwrap()]
                        .to_owned(),
                )
            }
            6 => {
                filter.masked =
                    Some(["pii", "pii.email", "pi"][usize::try_from(dice.roll(3)).unwrap()].to_owned())
            }
            7 => filter.revealed = Some("credential".to_owned()),
            _ => (filter.since, filter.until) = (at(dice.roll(9500)), at(dice.roll(9500) + 500)),
        }
    }
    filter
}

#[tokio::test]
async fn any_filter_finds_what_reading_everything_finds() {
    // More than a block of the index, so that both its ends are walked over.
    const MANY: u64 = 9000;
    let place = Place::new();
    let mut dice = Dice(17);
    let all: Vec<Known> = (0..MANY).map(|n| made(n, &mut dice)).collect();
    let leaf = |what| Leaf { time: BEGAN, bodies: None, what: Some(what) };
    let opened = all.iter().map(|known| leaf(What::Opened(known.opened.clone())));
    let sealed =
        all.iter().rev().filter_map(|known| known.sealed.clone()).map(|sealed| leaf(What::Sealed(sealed)));
    write(&place.ledger(), opened.chain(sealed));
    let reader = Reader::open(&place.ledger()).await.unwrap();
    for round in 0..60 {
        let filter = filter(&mut dice);
        let wanted: Vec<ExchangeId> =
            all.iter().rev().filter(|known| known.fits(&filter)).map(Known::id).collect();
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let limit = Some(if round % 2 == 0 { 1000 } else { 333 });
            let page = reader.list(&Filter { limit, cursor, ..filter.clone() }).await.unwrap();
            found.extend(page.exchanges.iter().map(|line| line.exchange));
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        assert!(found == wanted, "{filter:?}: {} instead of {}", found.len(), wanted.len());
    }
}

#[tokio::test]
async fn sessions_are_what_a_client_says_or_a_token_without_a_pause() {
    let exchange = |n: u8, token: &str, name: &str, at: i64| {
        let opened = Opened {
            exchange: vec![n; 16],
            arrived: BEGAN + at * SECOND,
            caller: Some(Caller {
                subject: "ada".into(),
                token: Some(Token { digest: token.to_owned(), ..Token::default() }),
                ..Caller::default()
            }),
            resource: "llama".into(),
            session: crate::describe::session(name),
            session_name: name.to_owned(),
            ..Opened::default()
        };
        Leaf { time: BEGAN + at * SECOND, bodies: None, what: Some(What::Opened(opened)) }
    };
    let sealed = |n: u8, at: i64| {
        let sealed = Sealed { exchange: vec![n; 16], outcome: "completed".into(), ..Sealed::default() };
        Leaf { time: BEGAN + at * SECOND, bodies: None, what: Some(What::Sealed(sealed)) }
    };
    let leaves = || {
        vec![
            exchange(1, "one", "", 0),
            exchange(2, "two", "", 10),
            exchange(3, "one", "run", 20),
            // Not idle: what began at 0 ended later.
            sealed(1, 50),
            exchange(4, "one", "", 100),
            exchange(5, "one", "", 200),
            exchange(6, "three", "run", 9000),
        ]
    };
    let grouped = |reader: Reader| async move {
        let page = reader.list(&Filter { begins: true, ..Filter::default() }).await.unwrap();
        let mut all = Vec::new();
        for line in page.exchanges {
            let session = Some(line.exchange);
            let members = reader.list(&Filter { session, ..Filter::default() }).await.unwrap().exchanges;
            assert!(members.iter().all(|member| member.session == session));
            let begun = line.begins.unwrap();
            assert_eq!(usize::try_from(begun.exchanges).unwrap(), members.len());
            all.push(members.iter().map(|member| member.exchange.as_bytes()[0]).collect::<Vec<_>>());
        }
        all
    };
    let indexing = Indexing { session_idle: Duration::from_secs(60), ..Indexing::default() };
    let place = Place::new();
    write(&place.ledger(), leaves());
    crate::rebuild_index_as(&place.ledger(), Some(indexing), |_, _| ()).await.unwrap();
    let wanted = [vec![5], vec![6, 3], vec![2], vec![4, 1]];
    assert_eq!(grouped(Reader::open(&place.ledger()).await.unwrap()).await, wanted);
    // Leaf by leaf, as a gateway that starts anew each time would.
    let slow = Place::new();
    for count in 1..=leaves().len() {
        write(&slow.ledger(), leaves().into_iter().take(count));
        let index = crate::index::Index::open_as(&slow.ledger(), Some(indexing)).await.unwrap();
        index.catch_up(&slow.ledger(), None, &mut |_| ()).await.unwrap();
        index.pool.close().await;
    }
    assert_eq!(grouped(Reader::open(&slow.ledger()).await.unwrap()).await, wanted);
    // Another pause makes other sessions, once the index is made for it.
    let longer = Indexing { session_idle: Duration::from_secs(600), ..Indexing::default() };
    crate::index::Index::open_as(&slow.ledger(), Some(longer)).await.unwrap().pool.close().await;
    let longer = grouped(Reader::open(&slow.ledger()).await.unwrap()).await;
    assert_eq!(longer, [vec![6, 3], vec![2], vec![5, 4, 1]]);
}

#[tokio::test]
async fn words_are_found_and_none_that_a_rule_masks() {
    let place = Place::new();
    let indexing = Indexing { full_text: true, ..Indexing::default() };
    let ledger = Ledger::open(Settings { indexing, ..place.settings() }, place.clock.clone()).unwrap();
    let first = case(&*place.clock, "ada", r#"{"messages":[{"content":"where does the quetzal live"}]}"#);
    let mut record = ledger.open_exchange(first.opening()).await.unwrap();
    put(&mut record, head()).await.unwrap();
    // Another one runs meanwhile, so that their frames lie between each other.
    let mut other = opened(&ledger, &*place.clock, "plain words of a heron").await;
    for piece in ["in the clo", "ud forest, ask zorba@kestrelpost", ".com"] {
        let event =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n");
        put(&mut record, data(event)).await.unwrap();
        put(&mut other, data("heron again ")).await.unwrap();
    }
    let (quetzal, heron) = (record.exchange(), other.exchange());
    complete(record).await.unwrap();
    complete(other).await.unwrap();
    let end = ledger.end();
    ledger.close().await.unwrap();
    // Making the rules takes longer than whoever closes waits for the index.
    let index = crate::index::Index::open(&place.ledger()).await.unwrap();
    while index.place().await.unwrap().0 < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(index);
    let finds = |dir: PathBuf| async move {
        let reader = Reader::open(&dir).await.unwrap();
        for (text, wanted) in [
            ("quetzal", vec![quetzal]),
            ("\"cloud forest\"", vec![quetzal]),
            ("heron words", vec![heron]),
            ("kestrelpost", vec![]),
            ("quetzal heron", vec![]),
            ("content", vec![]),
        ] {
            for caller in [None, Some("ada".to_owned())] {
                let filter = Filter { text: Some(text.to_owned()), caller, ..Filter::default() };
                let found = reader.list(&filter).await.unwrap().exchanges;
                let found: Vec<ExchangeId> = found.iter().map(|line| line.exchange).collect();
                assert_eq!(found, wanted, "{text}");
            }
        }
    };
    finds(place.ledger()).await;
    crate::rebuild_index(&place.ledger(), |_, _| ()).await.unwrap();
    finds(place.ledger()).await;
    // Without it there are no words, and none are left.
    crate::rebuild_index_as(&place.ledger(), Some(Indexing::default()), |_, _| ()).await.unwrap();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let filter = Filter { text: Some("quetzal".to_owned()), ..Filter::default() };
    assert!(reader.list(&filter).await.unwrap().exchanges.is_empty());
}

/// A leaf's payload is read as it was written.
#[test]
fn a_leaf_is_read_or_none() {
    let leaf = Leaf { time: 7, bodies: None, what: None };
    assert_eq!(Leaf::read(&leaf.encode_to_vec()), Some(leaf));
    assert_eq!(Leaf::read(b"\xff\xff"), None);
}
