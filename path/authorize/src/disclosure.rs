//! Which values of a request may reach a resource, where no policy says.

use cedar_policy::ActionConstraint;
use model::DataClass;

use crate::set::PolicySet;

/// What holds while no policy names `Action::"disclose"`, for people.
pub const DISCLOSED_BY_DEFAULT: &str = "Credentials may not be sent to a model; everything else may.";

impl PolicySet {
    /// Whether some policy names `Action::"disclose"` itself: then the policies alone decide.
    pub fn rules_disclosure(&self) -> bool {
        self.policies.iter().any(|policy| match policy.cedar.action_constraint() {
            ActionConstraint::Any => false,
            ActionConstraint::Eq(uid) => uid.id().unescaped() == "disclose",
            ActionConstraint::In(uids) => uids.iter().any(|uid| uid.id().unescaped() == "disclose"),
        })
    }
}

/// Whether values of `class` may reach a resource of this kind while no policy says.
pub(crate) fn by_default(class: &DataClass, kind: &str) -> bool {
    let name = class.as_str();
    kind != "model" || !(name == "credential" || name.starts_with("credential."))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::DataClass;

    use crate::sample::{authorizer, identity, target};
    use crate::{Authorizer, Target};

    fn may(authorizer: &Arc<Authorizer>, target: &Target<'_>, class: &str) -> bool {
        let who = Arc::new(identity("ana", &["research"]));
        authorizer.discloser(&who, target).reveals(&DataClass::new(class).unwrap())
    }

    #[test]
    fn credentials_stay_and_the_rest_goes_unless_a_policy_says() {
        let (quiet, _) = authorizer(r#"permit(principal, action == Action::"reveal", resource);"#);
        assert!(!may(&quiet, &target(), "credential.aws"));
        assert!(may(&quiet, &target(), "pii.email"));
        assert!(may(&quiet, &Target { kind: "http", ..target() }, "credential.aws"));
        // What may be seen is another question.
        let (strict, _) = authorizer(
            r#"permit(principal in Group::"research", action == Action::"disclose", resource in DataClass::"pii.email");"#,
        );
        assert!(may(&strict, &target(), "pii.email"));
        assert!(!may(&strict, &target(), "pii.iban"));
        assert!(!may(&strict, &Target { kind: "http", ..target() }, "credential.aws"));
    }

    #[test]
    fn a_forbid_or_a_fault_is_a_no() {
        let (no, _) = authorizer(
            r#"forbid(principal, action, resource) when { resource is DataClass && resource in DataClass::"pii" };"#,
        );
        assert!(!may(&no, &target(), "pii.email"));
        assert!(may(&no, &target(), "phi.note"));
    }
}
