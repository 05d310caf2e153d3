//! What a caller may do where, asked ahead of any request: for people who look at what they have.
//!
//! Each class of operation is asked in its mildest form, as `GET /v1/models` is filtered by. A request that
//! asks for more may still be refused, and one that a policy ties to facts of its own may be allowed though
//! it is not listed here. Nothing asked here counts as a request.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::EntityUid;
use model::{Class, DataClass, Facts, Identity, Operation, ResourceName, Reveal, Ruling};

use crate::authorizer::{Authorizer, Surroundings, Target};
use crate::facts::Scene;
use crate::judge::{self, Cast};
use crate::set::PolicySet;
use crate::viewer::{Question, Viewer};

/// The most models asked about for one resource.
const MODELS: usize = 64;

/// What one caller may do on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The resource.
    pub resource: ResourceName,
    /// Classes that may be asked of the whole resource, so of every model of it.
    pub classes: Vec<(Class, Ruling)>,
    /// Models that policies name and treat otherwise than the whole, each with all that may be asked of it.
    pub models: Vec<(String, Vec<(Class, Ruling)>)>,
    /// Data classes that are not masked in its answers.
    pub reveals: Vec<DataClass>,
}

impl Outlook {
    /// Whether there is nothing the caller may do there.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty() && self.models.is_empty()
    }
}

impl Authorizer {
    /// What the bearer of `identity` may do on `target`, and which of `data_classes` it would see there.
    pub fn outlook(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        target: &Target<'_>,
        data_classes: &[DataClass],
        surroundings: Surroundings,
    ) -> Outlook {
        let set = self.current();
        let scene = self.scene(identity, surroundings.client);
        let asked = |model: &str| classes(&set, identity, target, model, &scene);
        let classes = asked("");
        let models = named_models(&set, &target.name).into_iter().filter_map(|model| {
            let of_it = asked(&model);
            (of_it != classes).then_some((model, of_it))
        });
        let models = models.collect();
        let viewer = Viewer::new(
            Question::Reveal,
            Arc::clone(self),
            Arc::clone(&set),
            Arc::clone(identity),
            target.name.clone(),
            target.kind.to_owned(),
        );
        let reveals = data_classes.iter().filter(|class| viewer.reveals(class)).cloned().collect();
        Outlook { resource: target.name.clone(), classes, models, reveals }
    }
}

/// The classes that would not be refused in their mildest form.
fn classes(
    set: &PolicySet,
    identity: &Identity,
    target: &Target<'_>,
    model: &str,
    scene: &Scene,
) -> Vec<(Class, Ruling)> {
    let Ok(cast) = Cast::new(identity, &target.name, target.kind) else { return Vec::new() };
    // What no catalogue knows has no mildest form.
    let known = Class::ALL.into_iter().filter(|class| *class != Class::Unknown);
    let ruled = known.filter_map(|class| {
        let judgement = judge::operation(set, &cast, &mildest(class, model), scene).ok()?;
        (judgement.ruling != Ruling::Denied).then_some((class, judgement.ruling))
    });
    ruled.collect()
}

fn mildest(class: Class, model: &str) -> Operation {
    let (method, path) = match class {
        Class::Infer => ("POST", "/v1/chat/completions"),
        Class::Embed => ("POST", "/v1/embeddings"),
        Class::Inspect => ("GET", "/v1/models"),
        Class::Read => ("GET", "/"),
        _ => ("POST", "/"),
    };
    let facts = Facts { model: model.to_owned(), ..Facts::plain(method, path) };
    Operation { class, name: class.to_string(), facts }
}

/// The models of a resource that some policy names.
fn named_models(set: &PolicySet, resource: &ResourceName) -> BTreeSet<String> {
    let of_resource = |uid: EntityUid| {
        if uid.type_name().to_string() != "Model" {
            return None;
        }
        let (home, model) = uid.id().unescaped().split_once('/')?;
        (home == resource.as_str() && !model.is_empty()).then(|| model.to_owned())
    };
    let literals = set.policies.iter().flat_map(|policy| policy.cedar.entity_literals());
    literals.filter_map(of_resource).take(MODELS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{authorizer, identity, surroundings, target};

    const POLICIES: &str = r#"
        @id("use") permit(principal in Group::"ml", action in [Action::"infer", Action::"inspect"],
                          resource in Resource::"llama");
        @id("train") permit(principal in Group::"ml", action == Action::"train", resource == Model::"llama/tiny")
          when { context.approvals >= 2 };
        @id("never-big") forbid(principal, action == Action::"infer", resource == Model::"llama/big");
        @id("elsewhere") permit(principal, action, resource == Model::"other/secret");
        @id("see") permit(principal in Group::"ml", action == Action::"reveal", resource in DataClass::"pii")
          when { context.resource == Resource::"llama" };
    "#;

    fn data_classes() -> Vec<DataClass> {
        ["pii.email", "pii.phone", "credential.aws"].map(|name| DataClass::new(name).unwrap()).to_vec()
    }

    #[test]
    fn it_tells_what_policy_would_say() {
        let (authorizer, _) = authorizer(POLICIES);
        let alice = Arc::new(identity("alice", &["ml"]));
        let told = authorizer.outlook(&alice, &target(), &data_classes(), surroundings());
        assert_eq!(told.classes, [(Class::Infer, Ruling::Allowed), (Class::Inspect, Ruling::Allowed)]);
        let inspect = (Class::Inspect, Ruling::Allowed);
        let train = (Class::Train, Ruling::NeedsApprovals(2));
        let tiny = vec![(Class::Infer, Ruling::Allowed), inspect, train];
        assert_eq!(told.models, [("big".to_owned(), vec![inspect]), ("tiny".to_owned(), tiny)]);
        let seen: Vec<&str> = told.reveals.iter().map(DataClass::as_str).collect();
        assert_eq!(seen, ["pii.email", "pii.phone"]);
        assert!(!told.is_empty());
    }

    #[test]
    fn who_may_nothing_is_told_nothing() {
        let (authorizer, _) = authorizer(POLICIES);
        let mallory = Arc::new(identity("mallory", &[]));
        let told = authorizer.outlook(&mallory, &target(), &data_classes(), surroundings());
        assert!(told.is_empty() && told.reveals.is_empty(), "{told:?}");
    }

    #[test]
    fn asking_counts_as_no_request() {
        let (authorizer, _) = authorizer(
            r#"permit(principal, action == Action::"infer", resource) when { context.recent.requests_hour < 1 };"#,
        );
        let alice = Arc::new(identity("alice", &["ml"]));
        for _ in 0..3 {
            let told = authorizer.outlook(&alice, &target(), &[], surroundings());
            assert_eq!(told.classes, [(Class::Infer, Ruling::Allowed)]);
        }
    }
}
