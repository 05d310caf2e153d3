//! Who takes part in a question: the caller with its groups, and the resource with what it is in.
//!
//! They are the same for every request of one token on one model, and making Cedar's entities of them
//! costs more than deciding; so those of late are kept.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};
use lru::LruCache;
use model::{Identity, ResourceName};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::facts::{self, UidJson, Value};
use crate::judge::{attributes, raw};
use crate::reads::Memory;
use crate::schema::Vocabulary;

/// How many are kept.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2048 - 1);
/// A model's name that is longer than this is not kept: callers choose it.
const LONGEST: usize = 256;

/// The entities of one question.
pub(crate) struct Players {
    /// The caller, then its groups.
    pub(crate) principals: Vec<EntityUid>,
    /// The resource, then everything it is in.
    pub(crate) resources: Vec<EntityUid>,
    pub(crate) entities: Entities,
    /// The caller's and the resource's id, as Cedar spells them.
    pub(crate) names: (String, String),
    /// The same in Cedar's JSON, for the record.
    pub(crate) written: Box<RawValue>,
    /// What policies said of them.
    pub(crate) memory: Memory,
}

/// An entity on its way to both forms.
pub(crate) struct Other {
    pub(crate) uid: EntityUid,
    pub(crate) attrs: Vec<(&'static str, Value)>,
    pub(crate) parents: Vec<EntityUid>,
}

/// An entity in Cedar's JSON.
#[derive(Serialize)]
struct EntityJson<'a> {
    uid: UidJson<'a>,
    attrs: BTreeMap<&'static str, &'a Value>,
    parents: Vec<UidJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a BTreeMap<String, String>>,
}

impl Players {
    pub(crate) fn new(
        words: &Vocabulary,
        identity: &Identity,
        resources: Vec<EntityUid>,
        others: Vec<Other>,
    ) -> Result<Self, String> {
        Self::above(words, identity, Vec::new(), resources, others)
    }

    /// The same where the caller is in more than its groups.
    pub(crate) fn above(
        words: &Vocabulary,
        identity: &Identity,
        above: Vec<EntityUid>,
        resources: Vec<EntityUid>,
        others: Vec<Other>,
    ) -> Result<Self, String> {
        let me = words.caller(&identity.entity_id());
        let groups = identity.groups.iter().map(|group| words.group(group));
        let groups: Vec<EntityUid> = groups.chain(above).collect();
        let about = facts::caller(identity);
        let mut written = vec![EntityJson {
            uid: UidJson::of(&me),
            attrs: about.iter().map(|(name, value)| (*name, value)).collect(),
            parents: groups.iter().map(UidJson::of).collect(),
            tags: Some(&identity.token.claims),
        }];
        written.extend(others.iter().map(|Other { uid, attrs, parents }| EntityJson {
            uid: UidJson::of(uid),
            attrs: attrs.iter().map(|(name, value)| (*name, value)).collect(),
            parents: parents.iter().map(UidJson::of).collect(),
            tags: None,
        }));
        let written = raw(&written)?;
        let claims = identity.token.claims.iter();
        let tags = claims.map(|(name, text)| (name.clone(), RestrictedExpression::new_string(text.clone())));
        let mut entities = vec![entity(me.clone(), about, groups.clone(), tags)?];
        for Other { uid, attrs, parents } in others {
            entities.push(entity(uid, attrs, parents, std::iter::empty())?);
        }
        let entities = words.actions.clone().add_entities(entities, None).map_err(|e| e.to_string())?;
        let what = resources.first().map(ToString::to_string).unwrap_or_default();
        let names = (me.to_string(), what);
        let principals = std::iter::once(me).chain(groups).collect();
        Ok(Self { principals, resources, entities, names, written, memory: Memory::default() })
    }

    /// The caller.
    pub(crate) fn principal(&self) -> Result<&EntityUid, String> {
        self.principals.first().ok_or_else(|| "the request names nobody".to_owned())
    }

    /// What it is about.
    pub(crate) fn resource(&self) -> Result<&EntityUid, String> {
        self.resources.first().ok_or_else(|| "the request names nothing".to_owned())
    }
}

fn entity(
    uid: EntityUid,
    attrs: Vec<(&'static str, Value)>,
    parents: Vec<EntityUid>,
    tags: impl IntoIterator<Item = (String, RestrictedExpression)>,
) -> Result<Entity, String> {
    Entity::new_with_tags(uid, attributes(attrs)?, parents, tags).map_err(|e| e.to_string())
}

/// Tells players apart. The token's digest stands for the identity, which is compared as well.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    token: String,
    resource: ResourceName,
    kind: String,
    model: String,
}

/// Players of late.
pub(crate) struct Known(Mutex<LruCache<Key, (Identity, Arc<Players>)>>);

impl Known {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }

    /// Those of before, or new ones.
    pub(crate) fn get_or_make(
        &self,
        identity: &Identity,
        resource: &ResourceName,
        kind: &str,
        model: &str,
        make: impl FnOnce() -> Result<Players, String>,
    ) -> Result<Arc<Players>, String> {
        if model.len() > LONGEST {
            return make().map(Arc::new);
        }
        let key = Key {
            token: identity.token.digest.clone(),
            resource: resource.clone(),
            kind: kind.to_owned(),
            model: model.to_owned(),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((whose, players)) = known.get(&key)
            && whose == identity
        {
            return Ok(Arc::clone(players));
        }
        drop(known);
        let players = Arc::new(make()?);
        known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(key, (identity.clone(), Arc::clone(&players)));
        Ok(players)
    }
}
