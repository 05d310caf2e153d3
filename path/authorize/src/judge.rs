//! One question to the policies: may this caller do this, here, with these facts?

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use cedar_policy::{Context, Entities, EntityUid, Request, RestrictedExpression};
use model::{Class, DataClass, Identity, Judgement, Operation, ResourceName, Ruling};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::facts::{self, Scene, Value};
use crate::players::{Known, Other, Players};
use crate::reads::{Field, Memory, Sees};
use crate::schema::{Vocabulary, vocabulary};
use crate::set::{Policy, PolicySet};

/// The most humans whose consent a policy may ask for.
pub(crate) const MAX_APPROVALS: u8 = 3;

static CEDAR: LazyLock<cedar_policy::Authorizer> = LazyLock::new(cedar_policy::Authorizer::new);

/// A question in Cedar's terms, and as the record keeps it.
pub(crate) struct Inquiry {
    pub(crate) players: Arc<Players>,
    pub(crate) action: EntityUid,
    pub(crate) context: Circumstances,
}

/// The context of a question.
pub(crate) enum Circumstances {
    /// Of a live one, in our own terms: a policy is shown what it reads of them.
    Live(Vec<(&'static str, Value)>),
    /// Of a recorded one, as Cedar read it.
    Recorded(Context),
}

/// What the policies say to one inquiry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The permits that hold, by their place in the set.
    pub(crate) permits: Vec<usize>,
    /// The forbids that hold.
    pub(crate) forbids: Vec<usize>,
    /// Evaluation errors.
    pub(crate) errors: Vec<String>,
}

impl Verdict {
    /// Cedar's rule, and one more: an error denies, whichever policy it is in. Cedar alone would skip
    /// a forbid that can't be evaluated.
    pub(crate) fn allows(&self) -> bool {
        self.errors.is_empty() && self.forbids.is_empty() && !self.permits.is_empty()
    }
}

/// A ruling with the policies behind it.
#[derive(Debug)]
pub(crate) struct Ruled {
    pub(crate) ruling: Ruling,
    pub(crate) deciding: Vec<usize>,
    pub(crate) errors: Vec<String>,
}

/// The caller and what it asks for, as entities; shared by the operations of an exchange.
pub(crate) struct Cast<'a> {
    words: &'static Vocabulary,
    identity: &'a Identity,
    resource: &'a ResourceName,
    kind: &'a str,
    known: Option<&'a Known>,
}

impl<'a> Cast<'a> {
    pub(crate) fn new(
        identity: &'a Identity,
        resource: &'a ResourceName,
        kind: &'a str,
    ) -> Result<Self, String> {
        Ok(Self { words: vocabulary()?, identity, resource, kind, known: None })
    }

    /// The same, looking first among the players that are known already.
    pub(crate) fn with_known(self, known: &'a Known) -> Self {
        Self { known: Some(known), ..self }
    }

    /// The inquiry for one operation, with its record. Judged on the model if it names one.
    pub(crate) fn operation(
        &self,
        operation: &Operation,
        scene: &Scene,
    ) -> Result<(Inquiry, Judgement), String> {
        let model = operation.facts.model.as_str();
        let make = || self.players_for_model(model);
        let players = match self.known {
            Some(known) => known.get_or_make(self.identity, self.resource, self.kind, model, make)?,
            None => Arc::new(make()?),
        };
        let context = facts::operation(self.identity, &operation.facts, scene);
        self.inquiry(self.words.class(operation.class), players, context)
    }

    fn players_for_model(&self, model: &str) -> Result<Players, String> {
        let (resources, others) = self.place(model);
        Players::new(self.words, self.identity, resources, others)
    }

    /// What an operation on `model` is on, or on the resource if it names none; and everything that is in.
    pub(crate) fn place(&self, model: &str) -> (Vec<EntityUid>, Vec<Other>) {
        let home = self.home();
        let mut resources = vec![home.uid.clone()];
        let mut others = vec![home];
        if !model.is_empty() {
            let uid = self.words.model(self.resource, model);
            let attrs = vec![("name", Value::Text(model.to_owned()))];
            others.push(Other { uid: uid.clone(), attrs, parents: resources.clone() });
            resources.insert(0, uid);
        }
        (resources, others)
    }

    /// The inquiry for seeing a data class, or for letting it reach the resource.
    pub(crate) fn data(&self, action: &str, class: &DataClass) -> Result<(Inquiry, Judgement), String> {
        let home = self.home();
        let context = facts::reveal(self.identity, home.uid.clone());
        let mut others = vec![home];
        let mut resources = Vec::new();
        let mut next = Some(class.clone());
        while let Some(class) = next {
            next = class.parent();
            let parents = next.iter().map(|parent| self.words.data_class(parent)).collect();
            let uid = self.words.data_class(&class);
            others.push(Other { uid: uid.clone(), attrs: Vec::new(), parents });
            resources.push(uid);
        }
        let players = Players::new(self.words, self.identity, resources, others)?;
        self.inquiry(self.words.action(action), Arc::new(players), context)
    }

    fn home(&self) -> Other {
        let attrs = vec![("kind", Value::Text(self.kind.to_owned()))];
        Other { uid: self.words.resource(self.resource), attrs, parents: Vec::new() }
    }

    pub(crate) fn inquiry(
        &self,
        action: EntityUid,
        players: Arc<Players>,
        context: Value,
    ) -> Result<(Inquiry, Judgement), String> {
        let judgement = Judgement {
            ruling: Ruling::Denied,
            reasons: Vec::new(),
            errors: Vec::new(),
            principal: players.names.0.clone(),
            action: self.words.spelt(&action),
            resource: players.names.1.clone(),
            context: raw(&context)?,
            entities: players.written.clone(),
        };
        let Value::Record(fields) = context else { return Err("a context is a record".to_owned()) };
        Ok((Inquiry { players, action, context: Circumstances::Live(fields) }, judgement))
    }
}

pub(crate) fn attributes(
    fields: Vec<(&'static str, Value)>,
) -> Result<Vec<(String, RestrictedExpression)>, String> {
    fields.into_iter().map(|(name, value)| Ok((name.to_owned(), value.expression()?))).collect()
}

pub(crate) fn raw(value: &impl Serialize) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(value).map_err(|e| e.to_string())
}

impl Inquiry {
    /// Reads an inquiry from its record.
    pub(crate) fn recorded(judgement: &Judgement) -> Result<Self, String> {
        let words = vocabulary()?;
        let uid = |text: &str| text.parse::<EntityUid>().map_err(|e| e.to_string());
        let (principal, action, resource) =
            (uid(&judgement.principal)?, uid(&judgement.action)?, uid(&judgement.resource)?);
        let entities = Entities::from_json_str(judgement.entities.get(), Some(&words.schema))
            .map_err(|e| e.to_string())?;
        let context = Context::from_json_str(judgement.context.get(), Some((&words.schema, &action)))
            .map_err(|e| e.to_string())?;
        context.validate(&words.schema, &action).map_err(|e| e.to_string())?;
        let above = |uid: EntityUid| {
            let above: Vec<_> = entities.ancestors(&uid).into_iter().flatten().cloned().collect();
            std::iter::once(uid).chain(above).collect::<Vec<_>>()
        };
        let (principals, resources) = (above(principal), above(resource));
        let players = Players {
            principals,
            resources,
            entities,
            names: (judgement.principal.clone(), judgement.resource.clone()),
            written: judgement.entities.clone(),
            memory: Memory::default(),
        };
        Ok(Self { players: Arc::new(players), action, context: Circumstances::Recorded(context) })
    }

    /// The request as Cedar takes it, with so many consents.
    pub(crate) fn request(&self, approvals: u8) -> Result<Request, String> {
        let context = match &self.context {
            Circumstances::Live(_) => {
                let fields = self.with_consents(approvals).into_owned();
                Context::from_pairs(attributes(fields)?).map_err(|e| e.to_string())?
            }
            Circumstances::Recorded(context) if approvals == 0 => context.clone(),
            Circumstances::Recorded(context) => {
                let consents = RestrictedExpression::new_long(approvals.into());
                let others = context.clone().into_iter().filter(|(name, _)| name != "approvals");
                Context::from_pairs(others.chain([("approvals".to_owned(), consents)]))
                    .map_err(|e| e.to_string())?
            }
        };
        self.about(context)
    }

    fn about(&self, context: Context) -> Result<Request, String> {
        let (principal, resource) = (self.players.principal()?, self.players.resource()?);
        Request::new(principal.clone(), self.action.clone(), resource.clone(), context, None)
            .map_err(|e| e.to_string())
    }

    /// A live question's context with so many consents.
    fn with_consents(&self, approvals: u8) -> Cow<'_, [(&'static str, Value)]> {
        let Circumstances::Live(fields) = &self.context else { return Cow::Borrowed(&[]) };
        let mut fields = Cow::Borrowed(fields.as_slice());
        if approvals > 0
            && let Some(at) = fields.iter().position(|(name, _)| *name == "approvals")
            && let Some((_, consents)) = fields.to_mut().get_mut(at)
        {
            *consents = Value::Long(approvals.into());
        }
        fields
    }

    fn is_unknown(&self) -> bool {
        self.action.id().unescaped() == Class::Unknown.as_str()
    }

    /// The policies of `set` that may have a say.
    pub(crate) fn candidates(&self, set: &PolicySet) -> Vec<usize> {
        let mut found = set.index.candidates(&self.players.principals, &self.action, &self.players.resources);
        if crate::office::is_administration(&self.action) {
            found.retain(|at| set.policy(*at).is_some_and(|p| p.forbids() || p.names_action));
        }
        if self.is_unknown() {
            found.retain(|at| set.policy(*at).is_some_and(|p| p.forbids() || p.names_unknown));
        }
        found
    }

    /// What the candidates say with so many consents.
    pub(crate) fn weigh(
        &self,
        set: &PolicySet,
        candidates: &[usize],
        approvals: u8,
    ) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        let mut whole = None;
        let fields = self.with_consents(approvals);
        for at in candidates {
            let policy = set.policy(*at).ok_or("the index is not of this set")?;
            let said = match (&policy.reads, &self.context) {
                (Some(reads), Circumstances::Live(_)) => self.ask(set, *at, policy, reads, &fields)?,
                _ => {
                    let request = match &whole {
                        Some(request) => request,
                        None => whole.insert(self.request(approvals)?),
                    };
                    evaluate(policy, request, &self.players)
                }
            };
            match said {
                Ok(false) => {}
                Ok(true) if policy.forbids() => verdict.forbids.push(*at),
                Ok(true) => verdict.permits.push(*at),
                Err(errors) => verdict.errors.extend(errors),
            }
        }
        Ok(verdict)
    }

    /// What a policy says, from memory if it was asked the same before.
    fn ask(
        &self,
        set: &PolicySet,
        at: usize,
        policy: &Policy,
        reads: &[Field],
        fields: &[(&'static str, Value)],
    ) -> Result<Said, String> {
        let memory = &self.players.memory;
        let sees = Sees { fields: reads, context: fields };
        if let Some(holds) = memory.recall(set.hash(), at, &self.action, sees) {
            return Ok(Ok(holds));
        }
        let request = self.about(sees.alone()?)?;
        let said = evaluate(policy, &request, &self.players);
        if let Ok(holds) = said {
            memory.keep(set.hash(), at, &self.action, sees, holds);
        }
        Ok(said)
    }

    /// The ruling: allowed without consent, or with the fewest that some policy asks for, or not. Any
    /// error on the way denies.
    pub(crate) fn rule(&self, set: &PolicySet) -> Ruled {
        let memory = &self.players.memory;
        let candidates = memory.candidates(set.hash(), &self.action, || self.candidates(set));
        let reads = candidates.iter().any(|at| set.policy(*at).is_some_and(|p| p.reads_approvals()));
        let most = if reads { MAX_APPROVALS } else { 0 };
        let mut forbids = Vec::new();
        for approvals in 0..=most {
            match self.weigh(set, &candidates, approvals) {
                Ok(verdict) if verdict.allows() => {
                    let ruling =
                        if approvals == 0 { Ruling::Allowed } else { Ruling::NeedsApprovals(approvals) };
                    return Ruled { ruling, deciding: verdict.permits, errors: Vec::new() };
                }
                Ok(verdict) if verdict.errors.is_empty() => forbids = verdict.forbids,
                Ok(verdict) => {
                    return Ruled {
                        ruling: Ruling::Denied,
                        deciding: verdict.forbids,
                        errors: verdict.errors,
                    };
                }
                Err(e) => return Ruled { ruling: Ruling::Denied, deciding: Vec::new(), errors: vec![e] },
            }
        }
        // The forbids that stand however many consent.
        Ruled { ruling: Ruling::Denied, deciding: forbids, errors: Vec::new() }
    }
}

/// Whether a policy holds, or the errors on the way to know.
type Said = Result<bool, Vec<String>>;

fn evaluate(policy: &Policy, request: &Request, players: &Players) -> Said {
    let response = CEDAR.is_authorized(request, &policy.alone, &players.entities);
    let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
    if errors.is_empty() { Ok(response.diagnostics().reason().next().is_some()) } else { Err(errors) }
}

/// Judges one operation and writes down what was asked.
pub(crate) fn operation(
    set: &PolicySet,
    cast: &Cast<'_>,
    operation: &Operation,
    scene: &Scene,
) -> Result<Judgement, String> {
    let (inquiry, judgement) = cast.operation(operation, scene)?;
    Ok(with_ruling(set, &inquiry, judgement))
}

/// Judges one operation with the consents there are: its judgement, and whether it is permitted with exactly
/// so many. If it is not, the ruling says how many it would take.
pub(crate) fn operation_with(
    set: &PolicySet,
    cast: &Cast<'_>,
    operation: &Operation,
    scene: &Scene,
    consents: u8,
) -> Result<(Judgement, bool), String> {
    let (inquiry, judgement) = cast.operation(operation, scene)?;
    with_consents(set, &inquiry, judgement, consents)
}

/// The same of any question.
pub(crate) fn with_consents(
    set: &PolicySet,
    inquiry: &Inquiry,
    mut judgement: Judgement,
    consents: u8,
) -> Result<(Judgement, bool), String> {
    let verdict = inquiry.weigh(set, &inquiry.candidates(set), consents)?;
    if !verdict.allows() {
        return Ok((with_ruling(set, inquiry, judgement), false));
    }
    judgement.context = raw(&Value::Record(inquiry.with_consents(consents).into_owned()))?;
    judgement.ruling = if consents == 0 { Ruling::Allowed } else { Ruling::NeedsApprovals(consents) };
    let permits = verdict.permits.iter().filter_map(|at| set.policy(*at));
    judgement.reasons = permits.map(crate::set::Policy::reason).collect();
    Ok((judgement, true))
}

/// Judges a recorded question again, by the policies of `set`.
///
/// # Errors
/// Why the record can't be read.
pub fn judge_again(set: &PolicySet, recorded: &Judgement) -> Result<Judgement, String> {
    let inquiry = Inquiry::recorded(recorded)?;
    Ok(with_ruling(set, &inquiry, recorded.clone()))
}

pub(crate) fn with_ruling(set: &PolicySet, inquiry: &Inquiry, mut judgement: Judgement) -> Judgement {
    let ruled = inquiry.rule(set);
    judgement.ruling = ruled.ruling;
    judgement.reasons =
        ruled.deciding.iter().filter_map(|at| set.policy(*at)).map(crate::set::Policy::reason).collect();
    judgement.errors = ruled.errors;
    judgement
}

#[cfg(test)]
mod tests;
