//! Sealed recordings: what was said is nowhere in the folder, who holds an identity reads all of it, and
//! whoever has none can still verify, find and close what is there.

use std::fs;

use age::secrecy::ExposeSecret;
use age::x25519::Identity as Secret;
use http::HeaderName;
use mask::Opaque;
use model::{Code, Refusal};
use proptest::prelude::*;

use super::recovery::copy;
use super::*;
use crate::audit::tests::flaw;
use crate::body::{Body, Direction, Kind};
use crate::envelope::{Envelope, content};
use crate::{Exchange, Filter, Identities, Reader, Spoken};

const CANARY: &str = "canary-5f1e";

fn secret() -> (Secret, Identities) {
    let secret = Secret::generate();
    let file = format!("# made for a test\n\n{}\n", secret.to_string().expose_secret());
    (secret, Identities::parse(file.as_bytes()).unwrap())
}

fn sealed_to(place: &Place, recipients: &[&Secret]) -> Settings {
    let mut settings = place.settings();
    settings.seal_to = recipients.iter().map(|secret| secret.to_public()).collect();
    settings
}

/// An exchange that says the canary wherever something can be said.
async fn say_everything(ledger: &Ledger, clock: &dyn Clock, end: bool) -> ExchangeId {
    let mut asked = case(clock, "ada", format!("{{\"prompt\":\"{CANARY} asked\"}}"));
    let mut headers = asked.question.headers().clone();
    headers.insert("x-note", HeaderValue::from_str(&format!("{CANARY} in a header")).unwrap());
    asked.question = Question::new(QuestionParts {
        exchange: asked.exchange,
        method: Method::POST,
        path: "/v1/chat/completions".into(),
        query: Some(format!("q={CANARY}")),
        headers,
        body: asked.question.body().clone(),
    });
    let mut record = ledger.open_exchange(asked.opening()).await.unwrap();
    let exchange = record.exchange();
    let name = HeaderName::from_static("x-said");
    let fields = HeaderMap::from_iter([(name, HeaderValue::from_static(CANARY))]);
    put(&mut record, Part::Head { status: StatusCode::OK, headers: fields.clone() }).await.unwrap();
    put(&mut record, data(format!("{CANARY} answered"))).await.unwrap();
    let class = DataClass::new(format!("opaque.{CANARY}").as_str()).unwrap();
    let opaque = vec![Opaque { range: 0..4, class }];
    put(&mut record, Part::Body { bytes: Bytes::from("blob"), opaque }).await.unwrap();
    put(&mut record, Part::Trailers(fields)).await.unwrap();
    let _ = record.say(Spoken::Body(Bytes::from(format!("{CANARY} spoken")))).await.unwrap();
    if !end {
        std::mem::forget(record);
        return exchange;
    }
    let refusal = Refusal::new(Code::RequestMalformed)
        .because(format!("`{CANARY}` stands twice in the body."))
        .detail(CANARY);
    let findings = findings();
    let sealing =
        Sealing { outcome: Outcome::Cut, refusal: Some(&refusal), usage: None, findings: &findings };
    record.seal(sealing).await.unwrap();
    exchange
}

/// Every file below `dir` that holds `needle`, as bytes.
fn holders(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else if fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle) {
            found.push(path);
        }
    }
    found
}

async fn shown(place: &Place, exchange: ExchangeId) -> (Reader, Exchange) {
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(exchange).await.unwrap();
    reader.check(exchange, &shown).unwrap();
    (reader, shown)
}

/// The frames of an exchange as `identities` read them.
fn read(reader: &Reader, exchange: ExchangeId, shown: &Exchange, identities: &Identities) -> Vec<Body> {
    let key = identities.key(shown).unwrap();
    reader.frames(exchange, shown).opened_with(key).collect::<Result<_, _>>().unwrap()
}

/// What a frame says, without when and which.
fn said(frame: &Body) -> Body {
    Body { exchange: Vec::new(), time: 0, sequence: 0, ..frame.clone() }
}

#[tokio::test]
async fn what_was_said_is_nowhere_but_behind_an_identity() {
    let (place, plain) = (Place::new(), Place::new());
    let ((ada, ada_reads), (bob, bob_reads), (_, eve_reads)) = (secret(), secret(), secret());
    let ledger = Ledger::open(sealed_to(&place, &[&ada, &bob]), place.clock.clone()).unwrap();
    let exchange = say_everything(&ledger, &*place.clock, true).await;
    ledger.close().await.unwrap();
    let open = plain.open();
    let in_clear = say_everything(&open, &*plain.clock, true).await;
    open.close().await.unwrap();

    // The search finds what is there to be found: in the clear it is in bodies, leaves and nowhere less.
    assert!(holders(&plain.ledger(), CANARY.as_bytes()).len() >= 2);
    assert_eq!(holders(&place.ledger(), CANARY.as_bytes()), Vec::<PathBuf>::new());
    assert_eq!(flaw(&place.ledger()), None);

    let (reader, mut sealed) = shown(&place, exchange).await;
    assert!(sealed.is_encrypted());
    assert!(reader.frames(exchange, &sealed).all(|frame| {
        let frame = frame.unwrap();
        frame.data.is_empty() && frame.headers.is_empty() && frame.opaque.is_none() && frame.query.is_none()
    }));
    let (open, clear) = shown(&plain, in_clear).await;
    let expected: Vec<Body> = open.frames(in_clear, &clear).map(|frame| said(&frame.unwrap())).collect();
    for identities in [&ada_reads, &bob_reads] {
        let frames = read(&reader, exchange, &sealed, identities);
        assert_eq!(frames[0].kind(), Kind::Head, "the request's head comes first");
        sealed.restore_head(&frames[0]);
        assert_eq!(frames[1..].iter().map(said).collect::<Vec<_>>(), expected);
        assert_eq!(frames.iter().map(|frame| frame.sequence).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    }
    let head = |exchange: &Exchange| exchange.opened.clone().unwrap().request.unwrap();
    assert_eq!(head(&sealed), head(&clear), "with the identity the head is whole again");

    let refused = eve_reads.key(&sealed).unwrap_err().to_string();
    assert!(refused.contains("does not open this recording"), "{refused}");
    assert!(matches!(eve_reads.key(&clear), Ok(None)), "what is not sealed needs none");
}

#[tokio::test]
async fn what_is_known_of_an_exchange_stays_to_be_found() {
    let place = Place::new();
    let (ada, _) = secret();
    let ledger = Ledger::open(sealed_to(&place, &[&ada]), place.clock.clone()).unwrap();
    let exchange = say_everything(&ledger, &*place.clock, true).await;
    ledger.close().await.unwrap();
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let filter = Filter {
        caller: Some("ada@example.test".into()),
        model: Some("llama".into()),
        class: Some("infer".into()),
        outcome: Some("cut".into()),
        ..Filter::default()
    };
    let page = reader.list(&filter).await.unwrap();
    assert_eq!(page.exchanges.iter().map(|listed| listed.exchange).collect::<Vec<_>>(), [exchange]);
    assert_eq!(page.exchanges[0].status, Some(200));
    assert_eq!(page.exchanges[0].masked, [("pii.email".to_owned(), 2)]);
    let (_, shown) = shown(&place, exchange).await;
    let refusal = shown.sealed.unwrap().refusal.unwrap();
    assert_eq!(
        (refusal.code.as_str(), refusal.reason.as_str()),
        ("request_malformed", Code::RequestMalformed.meaning())
    );
    assert_eq!(shown.opened.unwrap().decision.unwrap().judgements[0].reasons[0].policy, "may-infer");
}

#[tokio::test]
async fn one_that_a_kill_left_open_is_closed_without_the_key() {
    let place = Place::new();
    let (ada, ada_reads) = secret();
    let ledger = Ledger::open(sealed_to(&place, &[&ada]), place.clock.clone()).unwrap();
    let exchange = say_everything(&ledger, &*place.clock, false).await;
    let left = place.root().join("left");
    copy(&place.ledger(), &left);
    drop(ledger);
    // The next start names nobody: what was sealed before stays sealed, and is closed all the same.
    let mut settings = place.settings();
    settings.dir.clone_from(&left);
    Ledger::open(settings.clone(), place.clock.clone()).unwrap().close().await.unwrap();
    assert_eq!(outcomes(&left)[&exchange].as_deref(), Some("interrupted"));
    assert_eq!(flaw(&left), None);
    let reader = Reader::open(&left).await.unwrap();
    let shown = reader.show(exchange).await.unwrap();
    reader.check(exchange, &shown).unwrap();
    assert_eq!(shown.sealed.as_ref().unwrap().status, 200, "the status stands outside the box");
    assert_eq!(read(&reader, exchange, &shown, &ada_reads).len(), 7);
    assert_eq!(holders(&left, CANARY.as_bytes()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn every_flipped_byte_of_a_sealed_ledger_is_found() {
    let place = Place::new();
    let (ada, ada_reads) = secret();
    let ledger = Ledger::open(sealed_to(&place, &[&ada]), place.clock.clone()).unwrap();
    let exchange = say_everything(&ledger, &*place.clock, true).await;
    ledger.close().await.unwrap();
    let (reader, shown) = shown(&place, exchange).await;
    let written = read(&reader, exchange, &shown, &ada_reads);
    for file in ["leaves/00000001.seg", "bodies/default/00000001.seg"] {
        let path = place.ledger().join(file);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(flaw(&place.ledger()).is_some(), "{file} at byte {at}");
            // Whoever reads on all the same reads what was written, or nothing.
            let key = ada_reads.key(&shown).unwrap();
            let frames = reader.frames(exchange, &shown).opened_with(key);
            for frame in frames.filter_map(Result::ok) {
                assert!(written.contains(&frame), "{file} at byte {at}");
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(flaw(&place.ledger()), None);
}

#[test]
fn an_identity_file_says_what_is_wrong_and_no_secret() {
    let (secret, _) = secret();
    let key = secret.to_string();
    let key = key.expose_secret();
    let two = Identities::parse(format!("{key}\r\n{key}\n").as_bytes()).unwrap();
    assert_eq!(two.recipients(), [secret.to_public(), secret.to_public()]);
    let armored = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n";
    for (file, told) in [
        ("".to_owned(), "holds no identity"),
        ("# nothing\n".to_owned(), "holds no identity"),
        ("age-encryption.org/v1\n-> scrypt".to_owned(), "is itself encrypted"),
        (armored.to_owned(), "is itself encrypted"),
        (secret.to_public().to_string(), "the public half"),
        (format!("{key}\n{}", key.get(..key.len() - 1).unwrap()), "no age identity, on line 2"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ".to_owned(), "plugin"),
    ] {
        let fault = Identities::parse(file.as_bytes()).unwrap_err().to_string();
        assert!(fault.contains(told), "{file:?}: {fault}");
        assert!(!fault.contains(key.get(20..40).unwrap()), "{fault}");
    }
    assert!(Identities::parse(&[0xff, 0xfe]).unwrap_err().to_string().contains("no text"));
}

#[test]
fn a_recording_whose_wrapping_is_broken_says_so() {
    let (secret, identities) = secret();
    let (_, wrapped) = Envelope::begin(&[secret.to_public()]).unwrap().unwrap();
    let with = |wrapped: Vec<Vec<u8>>| Exchange {
        opened: Some(crate::opened::Opened { wrapped_keys: wrapped, ..Default::default() }),
        ..Exchange::default()
    };
    assert!(identities.key(&with(vec![wrapped.clone()])).unwrap().is_some());
    assert!(identities.key(&with(vec![b"another kind".to_vec(), wrapped.clone()])).unwrap().is_some());
    for at in 0..wrapped.len() {
        let mut bytes = wrapped.clone();
        bytes[at] ^= 1;
        let fault = identities.key(&with(vec![bytes])).unwrap_err().to_string();
        assert!(fault.contains("broken") || fault.contains("does not open"), "{at}: {fault}");
        assert!(identities.key(&with(vec![wrapped[..at].to_vec()])).is_err(), "{at}");
    }
}

fn frame(sequence: u64, data: Vec<u8>) -> Body {
    Body {
        exchange: vec![7; 16],
        sequence,
        time: 1_700_000_000_000_000_000,
        direction: Direction::Response.into(),
        kind: Kind::Data.into(),
        data: data.into(),
        ..Body::default()
    }
}

/// An envelope with the key that opens it.
fn pair() -> (Envelope, crate::DataKey) {
    let (secret, identities) = secret();
    let (envelope, wrapped) = Envelope::begin(&[secret.to_public()]).unwrap().unwrap();
    let opened = crate::opened::Opened { wrapped_keys: vec![wrapped], ..Default::default() };
    let shown = Exchange { opened: Some(opened), ..Exchange::default() };
    (envelope, identities.key(&shown).unwrap().unwrap())
}

#[test]
fn a_box_opens_in_its_own_frame_alone() {
    let (envelope, key) = pair();
    let whole = frame(3, b"said".to_vec());
    let mut closed = whole.clone();
    envelope.close(&mut closed).unwrap();
    assert_eq!(key.open(closed.clone()), Some(whole));
    assert_eq!(key.open(frame(3, b"said".to_vec())), None, "none of its frames is without a box");
    let elsewhere: [fn(&mut Body); 9] = [
        |it| it.exchange = vec![8; 16],
        |it| it.sequence = 4,
        |it| it.time += 1,
        |it| it.direction = Direction::Request.into(),
        |it| it.channel = 1,
        |it| it.kind = Kind::SpokenData.into(),
        |it| it.status = 200,
        |it| it.data = Bytes::from("beside"),
        |it| it.encrypted = it.encrypted.slice(..it.encrypted.len() - 1),
    ];
    for change in elsewhere {
        let mut moved = closed.clone();
        change(&mut moved);
        assert_eq!(key.open(moved.clone()), None, "{moved:?}");
    }
    assert_eq!(pair().1.open(closed), None, "another exchange's key does not open it");
}

#[test]
fn the_length_of_a_word_is_not_told() {
    let (envelope, _) = pair();
    let length = |count: usize| {
        let mut body = frame(count as u64, vec![b'x'; count]);
        envelope.close(&mut body).unwrap();
        body.encrypted.len()
    };
    assert_eq!(length(0), 256 + 16);
    assert!((1..200).all(|count| length(count) == 256 + 16));
    assert_eq!((length(1000) - 16) % 256, 0);
}

proptest! {
    #[test]
    fn what_goes_into_a_box_comes_out(data in proptest::collection::vec(any::<u8>(), 0..1200), sequence in any::<u64>()) {
        let (envelope, key) = pair();
        let whole = frame(sequence, data);
        let mut closed = whole.clone();
        envelope.close(&mut closed).unwrap();
        prop_assert!(closed.data.is_empty());
        prop_assert_eq!(key.open(closed), Some(whole));
    }

    #[test]
    fn any_bytes_are_a_box_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..900), stated in 0u32..1200) {
        let (_, key) = pair();
        let body = Body { encrypted: bytes.clone().into(), ..frame(0, Vec::new()) };
        prop_assert_eq!(key.open(body), None);
        let mut plain = stated.to_le_bytes().to_vec();
        plain.extend_from_slice(&bytes);
        if let Some(content) = content(&plain) {
            prop_assert_eq!(content.len(), stated as usize);
            prop_assert!(plain.len().is_multiple_of(256));
        }
    }

    #[test]
    fn any_identity_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Identities::parse(&bytes);
    }
}

#[test]
fn the_published_box_is_the_one_that_is_written() {
    let key: Vec<u8> = (0..32).collect();
    let envelope = Envelope::with_key(key.as_slice().try_into().unwrap());
    let mut body = Body {
        exchange: (0x40..0x50).collect(),
        time: 1_767_225_600_000_000_000,
        ..frame(5, b"said".to_vec())
    };
    envelope.close(&mut body).unwrap();
    let hex = |bytes: &[u8]| model::hex(bytes);
    let page = include_str!("../../../../docs/record-format.md");
    assert!(page.contains(&hex(&crate::digest::sha256(&body.encrypted))), "the hash is another one");
    assert!(page.contains(&hex(&body.encrypted[256..])), "the tag is another one");
}
