//! Acts on Portcullis itself, decided by the same policies as operations.
//!
//! Only a permit that names the action, or the group `administration`, allows an act: a permit for every
//! action was written for models, and must not open the record of what everybody said to them.

use std::sync::Arc;

use authenticate::Caller;
use cedar_policy::EntityUid;
use model::{
    Act, Area, Class, Code, Decision, Facts, Identity, Judgement, Operation, Refusal, ResourceName, Reveal,
    Ruling,
};

use crate::authorizer::{Authorizer, Surroundings, Target};
use crate::facts::{self, Value};
use crate::judge::{self, Cast, Inquiry};
use crate::players::{Other, Players};
use crate::proof::{self, Denied, Permit};
use crate::schema::{Vocabulary, vocabulary};
use crate::set::PolicySet;
use crate::viewer::{Question, Viewer};

/// The resource that acts on none are said to be on, where a permit must name one.
pub(crate) const PORTCULLIS: &str = "portcullis";

/// The target of what is on no resource.
pub(crate) fn portcullis() -> Result<Target<'static>, String> {
    Ok(Target { name: ResourceName::new(PORTCULLIS)?, kind: PORTCULLIS })
}

/// What an act is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// All of a noun, or what has no smaller part.
    Area(Area),
    /// A resource, in the area of resources.
    Resource {
        /// Its name.
        name: ResourceName,
        /// Its kind as configured.
        kind: String,
    },
    /// A caller, in the area of callers.
    Caller(Person),
    /// A recorded exchange or a list of them, in the area of sessions.
    Session {
        /// The request id, or `list`.
        id: String,
        /// What was asked for, with its kind as configured.
        resource: Option<(ResourceName, String)>,
        /// The model that was asked for, if one was.
        model: Option<String>,
        /// Who asked.
        caller: Option<Person>,
    },
}

/// A caller as an act's object: what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The issuer's URL.
    pub issuer: String,
    /// The issuer's name in the configuration.
    pub issuer_name: String,
    /// The subject.
    pub subject: String,
    /// `human` or `workload`, or empty.
    pub kind: String,
    /// The e-mail address, or empty.
    pub email: String,
    /// The client its token was issued to, or empty.
    pub client: String,
    /// The groups when it was last seen.
    pub groups: Vec<String>,
}

impl Person {
    /// As its token says.
    pub fn of(identity: &Identity) -> Self {
        Self {
            issuer: identity.issuer.clone(),
            issuer_name: identity.issuer_name.clone(),
            subject: identity.subject.clone(),
            kind: identity.kind.as_str().to_owned(),
            email: identity.email.clone().unwrap_or_default(),
            client: identity.token.client.clone().unwrap_or_default(),
            groups: identity.groups.iter().cloned().collect(),
        }
    }

    /// The caller's id in policies: `issuer#subject`.
    pub fn entity_id(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }

    /// What policies may read of it.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        vec![
            ("kind", text(&self.kind)),
            ("issuer", text(&self.issuer)),
            ("issuer_name", text(&self.issuer_name)),
            ("subject", text(&self.subject)),
            ("email", text(&self.email)),
            ("client", text(&self.client)),
        ]
    }
}

impl Object {
    /// What a person is told it is.
    pub(crate) fn spoken(&self) -> String {
        match self {
            Self::Area(area) => format!("the {area}"),
            Self::Resource { name, .. } => format!("resource `{name}`"),
            Self::Caller(_) => "this caller".to_owned(),
            Self::Session { id, .. } if id == "list" => "this list of sessions".to_owned(),
            Self::Session { .. } => "this session".to_owned(),
        }
    }

    /// The resource whose answers' classes the permit will be asked about.
    fn target(&self) -> Result<(ResourceName, String), String> {
        match self {
            Self::Resource { name, kind } | Self::Session { resource: Some((name, kind)), .. } => {
                Ok((name.clone(), kind.clone()))
            }
            _ => portcullis().map(|target| (target.name, target.kind.to_owned())),
        }
    }
}

/// Whether an action is one of administration.
pub(crate) fn is_administration(action: &EntityUid) -> bool {
    Act::ALL.iter().any(|act| *act.as_str() == *action.id().unescaped())
}

impl Authorizer {
    /// Decides an act. `facts` tell the method, the path and the bytes of the request to the API.
    ///
    /// # Errors
    /// [`Denied`] as [`Authorizer::decide`].
    pub fn decide_act(
        self: &Arc<Self>,
        caller: Caller,
        act: Act,
        object: &Object,
        facts: &Facts,
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        let set = self.current();
        let policy_set = set.hash();
        let judged = self.judge_act(&set, caller.identity(), act, object, (facts, surroundings));
        match judged.and_then(|judgement| object.target().map(|(name, kind)| (judgement, name, kind))) {
            Ok((judgement, name, kind)) if judgement.ruling != Ruling::Denied => {
                let decision = Decision { ruling: judgement.ruling, judgements: vec![judgement], policy_set };
                let target = Target { name, kind: &kind };
                Ok(Permit::new(Arc::clone(self), set, caller, &target, surroundings, decision))
            }
            Ok((judgement, ..)) => {
                let refusal = refusal(&set, act, object, &judgement);
                let decision = Decision { ruling: Ruling::Denied, judgements: vec![judgement], policy_set };
                Err(Denied::worded(caller, decision, refusal))
            }
            Err(fault) => {
                let refusal = Refusal::new(Code::PolicyDenied)
                    .because("This act cannot be judged by policy, so it is refused.")
                    .detail(fault);
                let decision = Decision { ruling: Ruling::Denied, judgements: Vec::new(), policy_set };
                Err(Denied::worded(caller, decision, refusal))
            }
        }
    }

    /// What the caller would see of `object`, if it might do an act on it too without any consent: for what is
    /// asked of many at once. The call it is asked in was decided as an act of its own.
    pub fn also(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        act: Act,
        object: &Object,
        (facts, surroundings): (&Facts, Surroundings),
    ) -> Option<Arc<dyn Reveal>> {
        let set = self.current();
        let judged = self.judge_act(&set, identity, act, object, (facts, surroundings)).ok()?;
        let (name, kind) = object.target().ok()?;
        let identity = Arc::clone(identity);
        let viewer = || Viewer::new(Question::Reveal, Arc::clone(self), set, identity, name, kind);
        (judged.ruling == Ruling::Allowed).then(viewer).map(|viewer| Arc::new(viewer) as Arc<dyn Reveal>)
    }

    /// The judgement on an act. It is not counted in `recent`.
    pub(crate) fn judge_act(
        &self,
        set: &PolicySet,
        identity: &Identity,
        act: Act,
        object: &Object,
        (facts, surroundings): (&Facts, Surroundings),
    ) -> Result<Judgement, String> {
        let scene = self.scene(identity, surroundings.client);
        let context = facts::operation(identity, facts, &scene);
        let (inquiry, judgement) = question(identity, act, (object, None), context)?;
        Ok(judge::with_ruling(set, &inquiry, judgement))
    }

    /// Which classes of operation the caller may do on a resource as such: with no model named, nothing
    /// heavy asked, and with up to three consents. A policy on a single model is not found this way.
    pub fn classes(
        &self,
        identity: &Identity,
        resource: &Target<'_>,
        surroundings: Surroundings,
    ) -> Vec<Class> {
        let set = self.current();
        let scene = self.scene(identity, surroundings.client);
        let Ok(cast) = Cast::new(identity, &resource.name, resource.kind) else { return Vec::new() };
        let may = |class: &Class| {
            let mildest =
                Operation { class: *class, name: class.to_string(), facts: Facts::plain("POST", "/") };
            judge::operation(&set, &cast, &mildest, &scene)
                .is_ok_and(|judgement| judgement.ruling != Ruling::Denied)
        };
        Class::ALL.into_iter().filter(may).collect()
    }
}

/// The inquiry for an act, with its record; `about` is whoever else the context speaks of.
pub(crate) fn question(
    identity: &Identity,
    act: Act,
    (object, about): (&Object, Option<&Person>),
    context: Value,
) -> Result<(Inquiry, Judgement), String> {
    let words = vocabulary()?;
    let me = identity.entity_id();
    let mut scene = Scenery { words, me: &me, resources: Vec::new(), others: Vec::new(), above: Vec::new() };
    scene.place(object);
    if let Some(person) = about {
        scene.person(person, None);
    }
    let Scenery { resources, others, above, .. } = scene;
    let players = Players::above(words, identity, above, resources, others)?;
    let (name, kind) = object.target()?;
    Cast::new(identity, &name, &kind)?.inquiry(words.act(act), Arc::new(players), context)
}

/// The entities around an object.
struct Scenery<'a> {
    words: &'a Vocabulary,
    /// The asking caller's entity id: nobody is described twice.
    me: &'a str,
    resources: Vec<EntityUid>,
    others: Vec<Other>,
    /// What the asking caller is in, beside its groups.
    above: Vec<EntityUid>,
}

impl Scenery<'_> {
    fn place(&mut self, object: &Object) {
        match object {
            Object::Area(area) => {
                let uid = self.area(*area);
                self.resources.push(uid);
            }
            Object::Resource { name, kind } => {
                let area = self.area(Area::Resources);
                let uid = self.resource(name, kind, vec![area.clone()]);
                self.resources.extend([uid, area]);
            }
            Object::Caller(person) => {
                let area = self.area(Area::Callers);
                let uid = self.person(person, Some(&area));
                let groups = person.groups.iter().map(|group| self.words.group(group));
                self.resources.extend([uid, area].into_iter().chain(groups));
            }
            Object::Session { id, resource, model, caller } => {
                self.session(id, resource.as_ref(), model.as_deref(), caller.as_ref());
            }
        }
    }

    fn session(
        &mut self,
        id: &str,
        resource: Option<&(ResourceName, String)>,
        model: Option<&str>,
        caller: Option<&Person>,
    ) {
        let mut parents = vec![self.area(Area::Sessions)];
        if let Some((name, kind)) = resource {
            let home = self.resource(name, kind, Vec::new());
            if let Some(model) = model.filter(|model| !model.is_empty()) {
                let uid = self.words.model(name, model);
                let attrs = vec![("name", Value::Text(model.to_owned()))];
                self.others.push(Other { uid: uid.clone(), attrs, parents: vec![home.clone()] });
                parents.push(uid);
            }
            parents.push(home);
        }
        let attrs = caller.map(|person| ("caller", Value::Entity(self.person(person, None))));
        let uid = self.words.session(id);
        self.others.push(Other {
            uid: uid.clone(),
            attrs: attrs.into_iter().collect(),
            parents: parents.clone(),
        });
        self.resources.push(uid);
        self.resources.extend(parents);
    }

    fn area(&mut self, area: Area) -> EntityUid {
        let uid = self.words.area(area);
        self.others.push(Other { uid: uid.clone(), attrs: Vec::new(), parents: Vec::new() });
        uid
    }

    fn resource(&mut self, name: &ResourceName, kind: &str, parents: Vec<EntityUid>) -> EntityUid {
        let uid = self.words.resource(name);
        let attrs = vec![("kind", Value::Text(kind.to_owned()))];
        self.others.push(Other { uid: uid.clone(), attrs, parents });
        uid
    }

    fn person(&mut self, person: &Person, area: Option<&EntityUid>) -> EntityUid {
        let id = person.entity_id();
        let uid = self.words.caller(&id);
        if id == self.me {
            self.above.extend(area.cloned());
            return uid;
        }
        let attrs = person.attributes();
        let groups = person.groups.iter().map(|group| self.words.group(group));
        let parents = groups.chain(area.cloned()).collect();
        self.others.push(Other { uid: uid.clone(), attrs, parents });
        uid
    }
}

/// The refusal for an act that was denied.
pub(crate) fn refusal(set: &PolicySet, act: Act, object: &Object, judgement: &Judgement) -> Refusal {
    proof::denial(set, judgement, "the act", &format!("`{act}` {}", object.spoken()))
}

#[cfg(test)]
mod tests;
