//! The Cedar schema that ships with the product, and the names it declares.

use std::collections::HashMap;
use std::sync::LazyLock;

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema};
use model::{Act, Area, Class, DataClass, ResourceName};

/// The schema every policy is checked against, as text for people and editors.
pub const SCHEMA: &str = include_str!("../schema.cedarschema");

/// The schema and what it declares, parsed once.
pub(crate) struct Vocabulary {
    pub(crate) schema: Schema,
    /// The action entities with their groups.
    pub(crate) actions: Entities,
    caller: EntityTypeName,
    group: EntityTypeName,
    resource: EntityTypeName,
    model: EntityTypeName,
    data_class: EntityTypeName,
    area: EntityTypeName,
    session: EntityTypeName,
    action: EntityTypeName,
    /// Every action as Cedar spells it.
    spelt: HashMap<EntityUid, String>,
}

static VOCABULARY: LazyLock<Result<Vocabulary, String>> = LazyLock::new(|| {
    let fault = |e: &dyn std::fmt::Display| format!("the schema that ships with the product is broken: {e}");
    let (schema, warnings) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| fault(&e))?;
    if let Some(warning) = warnings.into_iter().next() {
        return Err(fault(&warning));
    }
    let name = |text: &str| text.parse::<EntityTypeName>().map_err(|e| fault(&e));
    Ok(Vocabulary {
        actions: schema.action_entities().map_err(|e| fault(&e))?,
        spelt: schema.actions().map(|action| (action.clone(), action.to_string())).collect(),
        schema,
        caller: name("Caller")?,
        group: name("Group")?,
        resource: name("Resource")?,
        model: name("Model")?,
        data_class: name("DataClass")?,
        area: name("Area")?,
        session: name("Session")?,
        action: name("Action")?,
    })
});

/// The vocabulary, or why there is none. A test shows that there is.
pub(crate) fn vocabulary() -> Result<&'static Vocabulary, &'static str> {
    VOCABULARY.as_ref().map_err(String::as_str)
}

impl Vocabulary {
    pub(crate) fn caller(&self, id: &str) -> EntityUid {
        uid(&self.caller, id)
    }

    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    pub(crate) fn resource(&self, name: &ResourceName) -> EntityUid {
        uid(&self.resource, name.as_str())
    }

    /// `Model::"resource/model"`. A resource's name holds no slash, so the first one separates.
    pub(crate) fn model(&self, resource: &ResourceName, model: &str) -> EntityUid {
        uid(&self.model, &format!("{resource}/{model}"))
    }

    pub(crate) fn data_class(&self, class: &DataClass) -> EntityUid {
        uid(&self.data_class, class.as_str())
    }

    pub(crate) fn area(&self, area: Area) -> EntityUid {
        uid(&self.area, area.as_str())
    }

    /// `Session::"request id"`, or `Session::"list"`.
    pub(crate) fn session(&self, id: &str) -> EntityUid {
        uid(&self.session, id)
    }

    pub(crate) fn act(&self, act: Act) -> EntityUid {
        self.action(act.as_str())
    }

    pub(crate) fn class(&self, class: Class) -> EntityUid {
        self.action(class.as_str())
    }

    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    /// An action as Cedar spells it.
    pub(crate) fn spelt(&self, action: &EntityUid) -> String {
        self.spelt.get(action).cloned().unwrap_or_else(|| action.to_string())
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_an_action_in_the_group_its_risk_says() {
        let words = vocabulary().unwrap();
        for class in Class::ALL {
            let action = words.class(class);
            assert!(words.schema.actions().any(|a| *a == action), "{class} is no action");
            let group = words.action(if class.is_high_risk() { "high-risk" } else { "ordinary" });
            let other = words.action(if class.is_high_risk() { "ordinary" } else { "high-risk" });
            assert!(words.actions.is_ancestor_of(&group, &action), "{class}");
            assert!(!words.actions.is_ancestor_of(&other, &action), "{class}");
            assert!(words.actions.is_ancestor_of(&words.action("operation"), &action), "{class}");
        }
        assert!(!words.actions.is_ancestor_of(&words.action("operation"), &words.action("reveal")));
        for act in Act::ALL {
            let action = words.act(act);
            assert!(words.schema.actions().any(|a| *a == action), "{act} is no action");
            // Whoever administers is no approver by that.
            let administers = words.actions.is_ancestor_of(&words.action("administration"), &action);
            assert_eq!(administers, !matches!(act, Act::Approve | Act::Join), "{act}");
            assert!(!words.actions.is_ancestor_of(&words.action("operation"), &action), "{act}");
            assert!(Class::from_name(act.as_str()).is_none(), "{act} would be two things");
        }
    }
}
