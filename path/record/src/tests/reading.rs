//! Lists, searches, copies, rebuilt indexes.

use sqlx::Row;

use super::*;
use crate::{Cursor, Filter, Reader, rebuild_index};

async fn some(ledger: &Ledger, clock: &dyn Clock, count: usize) -> Vec<ExchangeId> {
    let mut made = Vec::new();
    for n in 0..count {
        let case = case(clock, if n % 3 == 0 { "ada" } else { "bob" }, "q");
        let mut record = ledger.open_exchange(case.opening()).await.unwrap();
        put(&mut record, head()).await.unwrap();
        put(&mut record, data("a")).await.unwrap();
        complete(record).await.unwrap();
        made.push(case.exchange);
    }
    made
}

async fn listed(reader: &Reader, filter: Filter) -> Vec<ExchangeId> {
    reader.list(&filter).await.unwrap().exchanges.into_iter().map(|line| line.exchange).collect()
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let place = Place::new();
    let ledger = place.open();
    let made = some(&ledger, &*place.clock, 30).await;
    ledger.close().await.unwrap();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let word = |text: &str| Some(text.to_owned());
    let whole = listed(&reader, Filter::default()).await;
    assert_eq!(whole, made.iter().rev().copied().collect::<Vec<_>>());
    for caller in ["ada", "ada@example.test", "https://issuer.test#ada"] {
        assert_eq!(listed(&reader, Filter { caller: word(caller), ..Filter::default() }).await.len(), 10);
    }
    for (filter, count) in [
        (Filter { class: word("infer"), model: word("llama"), ..Filter::default() }, 30),
        (Filter { class: word("inf"), ..Filter::default() }, 0),
        (Filter { outcome: word("completed"), ruling: word("allowed"), ..Filter::default() }, 30),
        (Filter { outcome: word("cut"), ..Filter::default() }, 0),
        (Filter { resource: word("llama' OR 1=1 --"), ..Filter::default() }, 0),
        (Filter { since: Some(place.clock.now()), ..Filter::default() }, 0),
        (Filter { until: Some(place.clock.now()), ..Filter::default() }, 30),
    ] {
        assert_eq!(listed(&reader, filter.clone()).await.len(), count, "{filter:?}");
    }
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let page = reader.list(&Filter { limit: Some(7), cursor, ..Filter::default() }).await.unwrap();
        paged.extend(page.exchanges.iter().map(|line| line.exchange));
        let Some(next) = page.next else { break };
        assert_eq!(Cursor::parse(&next.to_string()).as_ref(), Some(&next));
        cursor = Some(next);
    }
    assert_eq!(paged, whole);
    let line =
        reader.list(&Filter { limit: Some(1), ..Filter::default() }).await.unwrap().exchanges.remove(0);
    assert_eq!((line.status, line.tokens, line.groups[0].as_str()), (Some(200), Some((3, 5)), "research"));
    assert_eq!(line.masked, [("pii.email".to_owned(), 2)]);
    assert_eq!(line.policies, ["may-infer"]);
    assert!(line.total >= line.first_byte_after && line.first_byte_after.is_some());
}

#[tokio::test]
async fn ids_are_found_by_their_beginning() {
    let place = Place::new();
    let ledger = place.open();
    let made = some(&ledger, &*place.clock, 2).await;
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let text = made[0].to_string();
    assert_eq!(reader.find(&text).await.unwrap(), made[0]);
    assert_eq!(reader.find(text.get(..30).unwrap()).await.unwrap(), made[0]);
    assert!(matches!(reader.find(text.get(..3).unwrap()).await, Err(LedgerError::Ambiguous { .. })));
    assert!(matches!(reader.find("ffff").await, Err(LedgerError::NotFound { .. })));
    assert!(matches!(reader.find("%").await, Err(LedgerError::NotFound { .. })));
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn an_exchange_newer_than_the_index_is_shown() {
    let place = Place::new();
    let ledger = place.open();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    // The index cannot follow while another holds it.
    let blocked = crate::index::Index::open(&place.ledger()).await.unwrap();
    let hold = blocked.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut record = opened(&ledger, &*place.clock, "q").await;
    put(&mut record, data("answer")).await.unwrap();
    let exchange = record.exchange();
    let shown = reader.show(exchange).await.unwrap();
    assert!(shown.opened.is_some() && shown.sealed.is_none());
    assert_eq!(reader.frames(exchange, &shown).map(Result::unwrap).count(), 2);
    complete(record).await.unwrap();
    assert!(reader.show(exchange).await.unwrap().sealed.is_some());
    assert_eq!(reader.find(exchange.to_string().get(..33).unwrap()).await.unwrap(), exchange);
    drop(hold);
    ledger.close().await.unwrap();
}

async fn dump(dir: &Path) -> Vec<String> {
    const TABLES: [&str; 7] = [
        "SELECT * FROM exchanges ORDER BY n",
        "SELECT * FROM leaves ORDER BY n, segment, offset",
        "SELECT * FROM terms ORDER BY t",
        "SELECT * FROM people ORDER BY name, t",
        "SELECT * FROM postings ORDER BY key",
        "SELECT * FROM blocks ORDER BY block",
        "SELECT * FROM sessions ORDER BY first",
    ];
    let index = crate::index::Index::open(dir).await.unwrap();
    let mut lines = Vec::new();
    for query in TABLES {
        for row in sqlx::query(query).fetch_all(&index.pool).await.unwrap() {
            let cell = |n| {
                row.try_get::<Option<String>, _>(n)
                    .map(|text| format!("{text:?}"))
                    .or_else(|_| row.try_get::<Option<i64>, _>(n).map(|number| format!("{number:?}")))
                    .unwrap_or_else(|_| format!("{:?}", row.get::<Option<Vec<u8>>, _>(n)))
            };
            lines.push((0..row.len()).map(cell).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

#[tokio::test]
async fn a_rebuilt_index_is_the_live_one() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 16 << 10;
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    let made = some(&ledger, &*place.clock, 40).await;
    let end = ledger.end();
    let index = crate::index::Index::open(&place.ledger()).await.unwrap();
    while index.place().await.unwrap().0 < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let live = dump(&place.ledger()).await;
    assert!(live.len() > 40 + 80, "{live:?}");
    let mut told = (0, 0);
    rebuild_index(&place.ledger(), |done, total| told = (done, total)).await.unwrap();
    assert_eq!(dump(&place.ledger()).await, live);
    assert!(told.0 == told.1 && told.1 > 16 << 10);
    ledger.close().await.unwrap();
    // A copy without an index, and one with the index of another ledger.
    let (bare, foreign) = (Place::new(), Place::new());
    foreign.open().close().await.unwrap();
    Reader::open(&foreign.ledger()).await.unwrap();
    super::recovery::copy(&place.ledger(), &bare.ledger());
    std::fs::remove_dir_all(foreign.ledger().join("leaves")).unwrap();
    super::recovery::copy(&place.ledger(), &foreign.ledger());
    for copied in [&bare, &foreign] {
        let reader = Reader::open(&copied.ledger()).await.unwrap();
        assert_eq!(listed(&reader, Filter::default()).await.len(), 40);
        let shown = reader.show(made[7]).await.unwrap();
        reader.check(made[7], &shown).unwrap();
        assert_eq!(dump(&copied.ledger()).await, live);
    }
}

#[tokio::test]
async fn an_index_that_is_no_database_is_replaced() {
    let place = Place::new();
    std::fs::create_dir_all(place.ledger()).unwrap();
    std::fs::write(place.ledger().join("index.sqlite"), vec![b'x'; 5000]).unwrap();
    let ledger = place.open();
    some(&ledger, &*place.clock, 3).await;
    ledger.close().await.unwrap();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    assert_eq!(listed(&reader, Filter::default()).await.len(), 3);
    assert!(dump(&place.ledger()).await.len() > 3 + 6);
}
