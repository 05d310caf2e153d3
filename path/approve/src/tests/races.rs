//! Every history: two replicas over one store, and calls that come between each other at every reading and
//! writing. What comes of them is held against a model that knows only what the callers were answered.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use model::{Alias, Clock, People, PersonAliases};
use proptest::prelude::*;
use store::Store;

use super::book::petition;
use super::scripted::Scripted;
use crate::book::{Approvals, Asked};
use crate::sample::{digest, identity, noon, said};
use crate::told::Witness;
use crate::{Approval, ApprovalId, ApproveError, Refused, Settings, State};

/// How long an approval lasts here, in seconds.
const LASTS: u64 = 60;
/// Who answers. `bob` and `robert` are one person, `ada` asks.
const APPROVERS: [&str; 4] = ["bob", "robert", "joe", "ada"];

/// One call, or time that goes by.
#[derive(Clone, Debug)]
enum Call {
    Ask {
        of: u32,
        exchange: u8,
        needed: u8,
    },
    Consent {
        of: u32,
        who: usize,
    },
    Deny {
        of: u32,
        who: usize,
    },
    Release {
        of: u32,
        consents: u8,
    },
    Need {
        of: u32,
        needed: u8,
    },
    Sweep,
    Pass(u64),
    /// The caller of a call under way leaves, and it is dropped where it stands.
    Leave(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let of = 0u32..2;
    let who = 0..APPROVERS.len();
    prop_oneof![
        4 => (of.clone(), any::<u8>(), 1u8..3).prop_map(|(of, exchange, needed)| Call::Ask { of, exchange, needed }),
        5 => (of.clone(), who.clone()).prop_map(|(of, who)| Call::Consent { of, who }),
        1 => (of.clone(), who).prop_map(|(of, who)| Call::Deny { of, who }),
        5 => (of.clone(), 1u8..3).prop_map(|(of, consents)| Call::Release { of, consents }),
        1 => (of, 1u8..4).prop_map(|(of, needed)| Call::Need { of, needed }),
        1 => Just(Call::Sweep),
        1 => (1u64..40).prop_map(Call::Pass),
        1 => any::<usize>().prop_map(Call::Leave),
    ]
}

/// What a call was answered.
enum Told {
    Asked(u32, ApprovalId),
    Standing(ApprovalId),
    Consented(ApprovalId, usize),
    Denied(ApprovalId),
    Released(ApprovalId, u8),
    No,
}

type Running<'a> = Pin<Box<dyn Future<Output = Told> + 'a>>;

struct History {
    store: Arc<Scripted>,
    books: [Arc<Approvals>; 2],
    people: Arc<People>,
    /// The approval last heard of for each request.
    latest: BTreeMap<u32, ApprovalId>,
    begun: BTreeMap<ApprovalId, BTreeSet<usize>>,
    consented: BTreeMap<ApprovalId, BTreeSet<usize>>,
    denied: BTreeSet<ApprovalId>,
    released: BTreeMap<ApprovalId, (u8, Timestamp)>,
}

fn people() -> People {
    let subject = |name: &str| Alias::Subject("https://id.example".to_owned(), name.to_owned());
    let bob = PersonAliases { aliases: [subject("bob"), subject("robert")].into(), owns: [].into() };
    People::new([("bob".to_owned(), bob)].into(), BTreeMap::new(), [])
}

/// Polls to the end: each answer of the store takes a turn.
fn drive<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
    panic!("it never ends");
}

impl History {
    fn new() -> Self {
        let store = Scripted::at(noon());
        let people = Arc::new(people());
        let settings = Settings {
            expires: Duration::from_secs(LASTS),
            people: Arc::clone(&people),
            ..Settings::default()
        };
        let book = || {
            let store = Arc::clone(&store) as Arc<dyn Store>;
            drive(Approvals::with(store, Witness::Nobody, settings.clone())).unwrap()
        };
        let books = [book(), book()];
        Self {
            store,
            books,
            people,
            latest: BTreeMap::new(),
            begun: BTreeMap::new(),
            consented: BTreeMap::new(),
            denied: BTreeSet::new(),
            released: BTreeMap::new(),
        }
    }

    /// Begins a call at one of the replicas.
    fn begin(&mut self, call: &Call, at: usize) -> Option<Running<'static>> {
        let book = Arc::clone(&self.books[at % 2]);
        let known = |of: &u32| self.latest.get(of).copied();
        Some(match call {
            Call::Ask { of, exchange, needed } => {
                let mut asked = petition("ada", *exchange, *of);
                asked.needed = *needed;
                let of = *of;
                async move {
                    match book.ask(&asked).await {
                        Ok(Asked::Open(mut watch)) => Told::Asked(of, watch.now().id),
                        Ok(Asked::Denied(approval)) => Told::Standing(approval.id),
                        Err(fault) => panic!("{fault}"),
                    }
                }
                .boxed_local()
            }
            Call::Consent { of, who } => {
                let (id, who) = (known(of)?, *who);
                self.begun.entry(id).or_default().insert(who);
                async move {
                    let told = book.consent(id, &identity(APPROVERS[who], &[]), said("yes")).await;
                    settled(told.map(|_| Told::Consented(id, who)))
                }
                .boxed_local()
            }
            Call::Deny { of, who } => {
                let (id, who) = (known(of)?, *who);
                async move {
                    let told = book.deny(id, &identity(APPROVERS[who], &[]), said("no")).await;
                    settled(told.map(|_| Told::Denied(id)))
                }
                .boxed_local()
            }
            Call::Release { of, consents } => {
                let (id, of, consents) = (known(of)?, *of, *consents);
                async move {
                    let told = book.begin(id, consents, &digest(of)).await;
                    settled(told.map(|()| Told::Released(id, consents)))
                }
                .boxed_local()
            }
            Call::Need { of, needed } => {
                let (id, needed) = (known(of)?, *needed);
                async move { settled(book.need(id, needed).await.map(|_| Told::No)) }.boxed_local()
            }
            Call::Sweep => async move {
                book.catch_up().await.unwrap();
                book.expire_due().await.unwrap();
                Told::No
            }
            .boxed_local(),
            Call::Pass(seconds) => {
                self.store.clock.advance(Duration::from_secs(*seconds));
                return None;
            }
            Call::Leave(_) => return None,
        })
    }

    fn heard(&mut self, told: Told) {
        match told {
            Told::Asked(of, id) => {
                self.latest.insert(of, id);
            }
            Told::Standing(id) => assert!(self.find(id).state != State::Waiting, "it is denied"),
            Told::Consented(id, who) => {
                self.consented.entry(id).or_default().insert(who);
            }
            Told::Denied(id) => assert!(self.denied.insert(id), "denied twice"),
            Told::Released(id, consents) => {
                let now = self.store.clock.now();
                assert!(self.released.insert(id, (consents, now)).is_none(), "used twice");
            }
            Told::No => {}
        }
    }

    fn find(&self, id: ApprovalId) -> Approval {
        drive(self.books[0].get(id)).unwrap().unwrap()
    }

    /// What must hold whatever happened.
    fn check(&self) {
        let open = drive(self.books[1].list(crate::Which::Open, None, 1000)).unwrap().approvals;
        let open: Vec<_> = open.iter().filter(|approval| approval.state.is_open()).collect();
        let bound: BTreeSet<_> = open.iter().map(|approval| approval.digest).collect();
        assert_eq!(bound.len(), open.len(), "one request has one open approval");
        let ids: BTreeSet<ApprovalId> = self
            .latest
            .values()
            .copied()
            .chain(self.begun.keys().copied())
            .chain(self.released.keys().copied())
            .collect();
        for id in ids {
            self.check_one(&self.find(id));
        }
    }

    fn check_one(&self, approval: &Approval) {
        let id = approval.id;
        let person = |who: &usize| if *who == 1 { 0 } else { *who };
        let given: BTreeSet<usize> = approval
            .consents
            .iter()
            .map(|by| APPROVERS.iter().position(|name| *name == by.subject).unwrap())
            .collect();
        assert!(!given.contains(&3), "her own");
        assert_eq!(given.len(), approval.consents.len(), "each once");
        let persons: BTreeSet<usize> = given.iter().map(person).collect();
        assert_eq!(persons.len(), given.len(), "each person once");
        assert_eq!(approval.given(&self.people), persons.len() as u8);
        let begun = self.begun.get(&id).cloned().unwrap_or_default();
        assert!(given.is_subset(&begun), "nobody who did not consent");
        let counted: BTreeSet<usize> = self.consented.get(&id).into_iter().flatten().map(person).collect();
        assert!(counted.is_subset(&persons), "nobody's word is lost");
        match &approval.state {
            State::Released { at, .. } => {
                assert!(persons.len() >= approval.needed.into(), "by enough");
                assert!(*at < approval.expires, "in time");
                assert!(!self.denied.contains(&id), "and not denied");
            }
            State::Denied { .. } => assert!(!self.released.contains_key(&id), "a denial wins"),
            State::Approved => assert!(persons.len() >= approval.needed.into()),
            State::Waiting => assert!(persons.len() < approval.needed.into()),
            State::Expired => {}
        }
        if self.denied.contains(&id) {
            assert!(matches!(approval.state, State::Denied { .. }), "a denial is final");
        }
        if let Some((consents, _)) = self.released.get(&id) {
            assert!(matches!(approval.state, State::Released { .. }), "a release is final");
            assert_eq!(usize::from(*consents), persons.len(), "policy was asked with what there was");
        }
    }
}

/// A call that could not be done for a reason that is no fault.
fn settled(told: Result<Told, ApproveError>) -> Told {
    match told {
        Ok(told) => told,
        Err(ApproveError::Refused(why, approval)) => {
            assert!(why != Refused::Closed || !approval.state.is_open(), "{approval:?}");
            Told::No
        }
        Err(fault) => panic!("{fault}"),
    }
}

fn play(calls: &[Call], turns: &[u8]) {
    let mut history = History::new();
    let mut waiting = calls.iter().enumerate();
    let mut running: Vec<Running<'static>> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let (mut turns, mut round) = (turns.iter().copied(), 0usize);
    loop {
        let turn = usize::from(turns.next().unwrap_or_else(|| {
            round += 1;
            (round % 251) as u8
        }));
        if turn % 3 == 0 || running.is_empty() {
            match waiting.next() {
                Some((_, Call::Leave(which))) if !running.is_empty() => {
                    drop(running.swap_remove(which % running.len()));
                }
                Some((at, call)) => running.extend(history.begin(call, at.wrapping_add(turn))),
                None if running.is_empty() => break,
                None => {}
            }
        }
        if !running.is_empty() {
            let which = (turn / 3) % running.len();
            if let Poll::Ready(told) = running[which].as_mut().poll(&mut context) {
                drop(running.swap_remove(which));
                history.heard(told);
            }
        }
    }
    history.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12_000, failure_persistence: None, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_holds(
        calls in prop::collection::vec(call(), 2..18),
        turns in prop::collection::vec(any::<u8>(), 0..160),
    ) {
        play(&calls, &turns);
    }
}

#[test]
fn two_approvers_and_two_requests_at_once() {
    // Every way that two consents and two releases can come between each other, by small schedules.
    let calls = [
        Call::Ask { of: 0, exchange: 1, needed: 2 },
        Call::Consent { of: 0, who: 0 },
        Call::Consent { of: 0, who: 2 },
        Call::Release { of: 0, consents: 2 },
        Call::Release { of: 0, consents: 2 },
    ];
    for seed in 0u32..2000 {
        let turns: Vec<u8> =
            (0..40u32).map(|n| (seed.wrapping_mul(2_654_435_761).rotate_left(n) % 251) as u8).collect();
        play(&calls, &turns);
    }
}
