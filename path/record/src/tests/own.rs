//! What one caller finds of their own, and of nobody else's.

use super::*;
use crate::{Cursor, Reader};

async fn record(ledger: &Ledger, case: &Case) {
    let mut record = ledger.open_exchange(case.opening()).await.unwrap();
    put(&mut record, head()).await.unwrap();
    complete(record).await.unwrap();
}

#[tokio::test]
async fn a_caller_finds_their_own_alone() {
    let place = Place::new();
    let ledger = place.open();
    let (mut own, me) = (Vec::new(), case(&*place.clock, "ada", "q").identity);
    for n in 0..30 {
        let mut case = case(&*place.clock, if n % 3 == 0 { "ada" } else { "bob" }, "q");
        match n {
            // Others may bear the same subject, or one that reads like the whole id.
            1 => case.identity.issuer = "https://other.test".to_owned(),
            2 => case.identity.subject = me.entity_id(),
            4 => case.identity.email.clone_from(&me.email),
            6 => case.operations[0].name = "a.look".to_owned(),
            _ => {}
        }
        record(&ledger, &case).await;
        if n % 3 == 0 && n != 6 {
            own.push(case.exchange);
        }
    }
    ledger.close().await.unwrap();
    own.reverse();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let (mut found, mut cursor): (Vec<ExchangeId>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = reader.own(&me, "a.look", cursor.as_ref(), 4).await.unwrap();
        assert!(page.exchanges.len() <= 4);
        found.extend(page.exchanges.iter().map(|line| line.exchange));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(found, own);
    let all = reader.own(&me, "nothing", None, 1000).await.unwrap().exchanges;
    assert_eq!(all.len(), own.len() + 1, "control: the look is left out by its name");
}
