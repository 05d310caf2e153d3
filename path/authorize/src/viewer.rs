//! What a caller may see in answers and send in requests, and which models it may use.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use model::{
    Class, DataClass, Facts, Identity, Operation, PolicySetHash, ResourceName, Reveal, Ruling, Usable,
};

use crate::authorizer::Authorizer;
use crate::disclosure;
use crate::facts::Scene;
use crate::judge::{self, Cast};
use crate::set::PolicySet;

/// How many answers one exchange keeps: data classes seen, or models listed.
const MEMO: usize = 4_096;

/// What was decided in one exchange, so that it is decided once.
struct Memo<K>(Mutex<HashMap<K, bool>>);

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Memo<K> {
    /// What is known of `name`, or else what `decide` says. Nothing is locked meanwhile.
    fn of<N>(&self, name: &N, decide: impl FnOnce() -> bool) -> bool
    where
        K: Borrow<N>,
        N: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        known.unwrap_or_else(|| {
            let decided = decide();
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() < MEMO {
                known.insert(name.to_owned(), decided);
            }
            decided
        })
    }
}

/// One reveal decision's name. The token's digest tells the facts it was made from; the identity is
/// compared as well.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Sight {
    question: Question,
    token: String,
    resource: ResourceName,
    kind: String,
    class: DataClass,
    set: PolicySetHash,
}

/// Reveal decisions, shared by exchanges of the same caller.
pub(crate) struct Sights(Mutex<LruCache<Sight, (Arc<Identity>, bool)>>);

impl Sights {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(most)))
    }
}

/// What is asked of a data class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Whether the caller may see it in answers.
    Reveal,
    /// Whether it may reach the resource in the caller's requests.
    Disclose,
}

impl Question {
    fn action(self) -> &'static str {
        match self {
            Self::Reveal => "reveal",
            Self::Disclose => "disclose",
        }
    }
}

/// Decides lazily, class by class, what one caller may see, or send.
pub(crate) struct Viewer {
    question: Question,
    authorizer: Arc<Authorizer>,
    set: Arc<PolicySet>,
    identity: Arc<Identity>,
    resource: ResourceName,
    kind: String,
    seen: Memo<DataClass>,
}

impl Viewer {
    pub(crate) fn new(
        question: Question,
        authorizer: Arc<Authorizer>,
        set: Arc<PolicySet>,
        identity: Arc<Identity>,
        resource: ResourceName,
        kind: String,
    ) -> Self {
        Self { question, authorizer, set, identity, resource, kind, seen: Memo::default() }
    }

    /// The decision itself. Only a plain permit reveals: nobody can be asked in mid-answer.
    fn decide(&self, class: &DataClass) -> bool {
        let action = self.question.action();
        let inquiry =
            Cast::new(&self.identity, &self.resource, &self.kind).and_then(|cast| cast.data(action, class));
        match inquiry {
            Ok((inquiry, _)) => {
                let ruled = inquiry.rule(&self.set);
                for error in &ruled.errors {
                    tracing::warn!(%class, resource = %self.resource, action, error, "a policy fails; masked");
                }
                let nobody_says = ruled.errors.is_empty() && ruled.deciding.is_empty();
                ruled.ruling == Ruling::Allowed
                    || self.question == Question::Disclose
                        && nobody_says
                        && !self.set.rules_disclosure()
                        && disclosure::by_default(class, &self.kind)
            }
            Err(error) => {
                tracing::warn!(%class, resource = %self.resource, action, error, "a data class cannot be judged; masked");
                false
            }
        }
    }

    fn shared(&self, class: &DataClass) -> bool {
        let sight = Sight {
            question: self.question,
            token: self.identity.token.digest.clone(),
            resource: self.resource.clone(),
            kind: self.kind.clone(),
            class: class.clone(),
            set: self.set.hash(),
        };
        let sights = &self.authorizer.sights.0;
        if let Some((identity, reveals)) = sights.lock().unwrap_or_else(PoisonError::into_inner).get(&sight)
            && *identity == self.identity
        {
            return *reveals;
        }
        let reveals = self.decide(class);
        let entry = (Arc::clone(&self.identity), reveals);
        sights.lock().unwrap_or_else(PoisonError::into_inner).put(sight, entry);
        reveals
    }
}

impl Reveal for Viewer {
    fn reveals(&self, class: &DataClass) -> bool {
        self.seen.of(class, || self.shared(class))
    }
}

/// Decides which models one caller may use: whether the mildest request for an answer or an embedding
/// would be permitted, with up to three consents.
pub(crate) struct Chooser {
    set: Arc<PolicySet>,
    identity: Arc<Identity>,
    resource: ResourceName,
    kind: String,
    scene: Scene,
    known: Memo<String>,
}

impl Chooser {
    pub(crate) fn new(
        set: Arc<PolicySet>,
        identity: Arc<Identity>,
        resource: ResourceName,
        kind: String,
        scene: Scene,
    ) -> Self {
        Self { set, identity, resource, kind, scene, known: Memo::default() }
    }

    fn decide(&self, model: &str) -> bool {
        let Ok(cast) = Cast::new(&self.identity, &self.resource, &self.kind) else { return false };
        [(Class::Infer, "/v1/chat/completions"), (Class::Embed, "/v1/embeddings")].into_iter().any(
            |(class, path)| {
                let facts = Facts { model: model.to_owned(), ..Facts::plain("POST", path) };
                let mildest = Operation { class, name: class.to_string(), facts };
                judge::operation(&self.set, &cast, &mildest, &self.scene)
                    .is_ok_and(|judgement| judgement.ruling != Ruling::Denied)
            },
        )
    }
}

impl Usable for Chooser {
    fn may_use(&self, model: &str) -> bool {
        !model.is_empty() && self.known.of(model, || self.decide(model))
    }
}
