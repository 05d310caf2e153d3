//! The ledger as a whole, on real files, with a disk that can be made to fail.

mod faults;
mod finding;
mod format;
mod keeping;
mod kept_always;
mod kill;
mod one_by_one;
mod own;
mod reading;
pub(crate) mod recovery;
mod rounds;
mod sealed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use mask::Part;
use model::{
    CallerKind, Class, Clock, DataClass, Decision, ExchangeId, Facts, Findings, Identity, Judgement,
    Operation, Outcome, PolicyReason, PolicySetHash, Question, QuestionParts, ResourceName, Ruling,
    SystemClock, TokenFacts, Usage,
};
use serde_json::value::RawValue;

use crate::leaf::{Leaf, What};
use crate::{Ledger, LedgerError, Opening, Record, Sealing, Series, Settings};

pub(crate) struct Place {
    root: tempfile::TempDir,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Place {
    pub(crate) fn new() -> Self {
        // In memory where the system offers it: these tests open ledgers by the thousand.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { root: root.unwrap(), clock: Arc::new(SystemClock::default()) }
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.path().join("ledger")
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(self.root.path())
    }

    pub(crate) fn open(&self) -> Ledger {
        Ledger::open(self.settings(), self.clock.clone()).unwrap()
    }
}

pub(crate) fn settings(root: &Path) -> Settings {
    let mut settings = Settings::new(root.join("ledger"), root.join("digest.key"));
    settings.reserve_bytes = 256 << 10;
    settings
}

pub(crate) struct Case {
    pub(crate) exchange: ExchangeId,
    pub(crate) identity: Identity,
    pub(crate) resource: ResourceName,
    pub(crate) operations: Vec<Operation>,
    pub(crate) decision: Decision,
    pub(crate) question: Question,
    pub(crate) arrived: Timestamp,
}

pub(crate) fn case(clock: &dyn Clock, subject: &str, body: impl Into<Bytes>) -> Case {
    let arrived = clock.now();
    let exchange = ExchangeId::at(arrived);
    let token = TokenFacts {
        digest: "ab".repeat(32),
        issued_at: Some(arrived),
        audiences: vec!["portcullis".into()],
        client: Some("cli".into()),
        methods: BTreeSet::from(["mfa".into()]),
        mfa: true,
        claims: BTreeMap::from([("team".into(), "blue".into())]),
        ..TokenFacts::ending(arrived.checked_add(Duration::from_secs(600)).unwrap())
    };
    let identity = Identity {
        issuer: "https://issuer.test".into(),
        issuer_name: "main".into(),
        subject: subject.into(),
        kind: CallerKind::Human,
        groups: BTreeSet::from(["research".into()]),
        email: Some(format!("{subject}@example.test")),
        display: None,
        token,
    };
    let mut facts = Facts::plain("POST", "/v1/chat/completions");
    facts.model = "llama".into();
    let operations = vec![Operation { class: Class::Infer, name: "openai.chat".into(), facts }];
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let judgement = Judgement {
        ruling: Ruling::Allowed,
        reasons: vec![PolicyReason { policy: "may-infer".into(), sentence: Some("Researchers may.".into()) }],
        errors: vec![],
        principal: "Caller::\"x\"".into(),
        action: "Action::\"infer\"".into(),
        resource: "Model::\"llama\"".into(),
        context: raw("{\"approvals\":0}"),
        entities: raw("[]"),
    };
    let decision =
        Decision { ruling: Ruling::Allowed, judgements: vec![judgement], policy_set: PolicySetHash([9; 32]) };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("x-api-key", HeaderValue::from_static("canary"));
    let question = Question::new(QuestionParts {
        exchange,
        method: Method::POST,
        path: "/v1/chat/completions".into(),
        query: None,
        headers,
        body: body.into(),
    });
    let resource = ResourceName::new("llama").unwrap();
    Case { exchange, identity, resource, operations, decision, question, arrived }
}

static NOTHING: Findings = Findings { masked: BTreeMap::new(), revealed: BTreeMap::new() };

impl Case {
    pub(crate) fn opening(&self) -> Opening<'_> {
        Opening {
            exchange: self.exchange,
            arrived: self.arrived,
            client: "192.0.2.7:4000".parse().unwrap(),
            identity: &self.identity,
            resource: &self.resource,
            operations: &self.operations,
            decision: &self.decision,
            question: &self.question,
            disclosed: &NOTHING,
            bodies: true,
            session: "",
        }
    }
}

pub(crate) async fn opened(ledger: &Ledger, clock: &dyn Clock, body: &'static str) -> Record {
    ledger.open_exchange(case(clock, "ada", body).opening()).await.unwrap()
}

pub(crate) fn head() -> Part {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    Part::Head { status: StatusCode::OK, headers }
}

pub(crate) fn data(bytes: impl Into<Bytes>) -> Part {
    Part::Body { bytes: bytes.into(), opaque: vec![] }
}

pub(crate) async fn put(record: &mut Record, part: Part) -> Result<Part, LedgerError> {
    record.append_part(part, false).await.map(crate::Recorded::into_part)
}

pub(crate) fn findings() -> Findings {
    let class = |name| DataClass::new(name).unwrap();
    Findings {
        masked: BTreeMap::from([(class("pii.email"), 2)]),
        revealed: BTreeMap::from([(class("pii.phone"), 1)]),
    }
}

pub(crate) async fn complete(record: Record) -> Result<(), LedgerError> {
    let findings = findings();
    let usage = Some(Usage { input: 3, output: 5 });
    record.seal(Sealing { outcome: Outcome::Completed, refusal: None, usage, findings: &findings }).await
}

/// Every leaf, read from the files. Fails on any damage.
pub(crate) fn leaves(ledger: &Path) -> Vec<Leaf> {
    let mut reader = Series::leaves(ledger).read(crate::Position::default());
    let mut leaves = Vec::new();
    while let Some((_, frame)) = reader.next().unwrap() {
        leaves.push(prost::Message::decode(frame.payload.as_slice()).unwrap());
    }
    leaves
}

/// How each exchange stands: its outcome, or none while it is open. Fails if one is sealed twice, or
/// not opened.
pub(crate) fn outcomes(ledger: &Path) -> BTreeMap<ExchangeId, Option<String>> {
    let mut all = BTreeMap::new();
    let id = |bytes: &[u8]| ExchangeId::from_bytes(bytes.try_into().unwrap());
    for leaf in leaves(ledger) {
        match leaf.what.unwrap() {
            What::Opened(opened) => assert_eq!(all.insert(id(&opened.exchange), None), None),
            What::Sealed(sealed) => {
                assert_eq!(all.insert(id(&sealed.exchange), Some(sealed.outcome)), Some(None));
            }
            _ => {}
        }
    }
    all
}

/// Waits, up to ten seconds, until the ledger's threads have done what is expected of them.
pub(crate) async fn eventually(mut there: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what was expected did not happen");
}
