//! Finds the policies whose scope could match a request, without looking at the others.
//!
//! Leaving a policy out is sound only if its scope can't match; a policy whose scope is not understood
//! here is always kept. Cedar evaluates the scope of what is kept again.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityUid, PrincipalConstraint, ResourceConstraint};

use crate::schema::vocabulary;
use crate::set::Policy;

/// The policies of one action by the entity their scope names, principal first. `None` is any.
type ByScope = HashMap<Option<EntityUid>, HashMap<Option<EntityUid>, Vec<usize>>>;

/// Policies by action and scope.
pub(crate) struct Index {
    by_action: HashMap<EntityUid, ByScope>,
}

impl Index {
    /// Indexes `policies` by their place in the slice.
    pub(crate) fn build(policies: &[Policy]) -> Result<Self, &'static str> {
        let words = vocabulary()?;
        let mut by_action: HashMap<EntityUid, ByScope> = HashMap::new();
        for action in words.schema.actions() {
            let scopes = by_action.entry(action.clone()).or_default();
            for (at, policy) in policies.iter().enumerate() {
                let matches = |uid: &EntityUid| uid == action || words.actions.is_ancestor_of(uid, action);
                let fits = match policy.cedar.action_constraint() {
                    ActionConstraint::Any => true,
                    ActionConstraint::Eq(uid) => uid == *action,
                    ActionConstraint::In(uids) => uids.iter().any(matches),
                };
                if fits {
                    let principal = match policy.cedar.principal_constraint() {
                        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
                        PrincipalConstraint::In(uid)
                        | PrincipalConstraint::Eq(uid)
                        | PrincipalConstraint::IsIn(_, uid) => Some(uid),
                    };
                    let resource = match policy.cedar.resource_constraint() {
                        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
                        ResourceConstraint::In(uid)
                        | ResourceConstraint::Eq(uid)
                        | ResourceConstraint::IsIn(_, uid) => Some(uid),
                    };
                    scopes.entry(principal).or_default().entry(resource).or_default().push(at);
                }
            }
        }
        Ok(Self { by_action })
    }

    /// The policies of `action` whose principal could match, on whatever resource.
    pub(crate) fn of_principals(&self, principals: &[EntityUid], action: &EntityUid) -> Vec<usize> {
        let Some(scopes) = self.by_action.get(action) else { return Vec::new() };
        let named = principals.iter().filter_map(|principal| scopes.get(&Some(principal.clone())));
        named.chain(scopes.get(&None)).flat_map(HashMap::values).flatten().copied().collect()
    }

    /// The policies that could match, in their order. `principals` is the caller and its groups,
    /// `resources` the resource and everything it is in.
    pub(crate) fn candidates(
        &self,
        principals: &[EntityUid],
        action: &EntityUid,
        resources: &[EntityUid],
    ) -> Vec<usize> {
        let Some(scopes) = self.by_action.get(action) else { return Vec::new() };
        let any = [None];
        let resources: Vec<Option<EntityUid>> =
            resources.iter().cloned().map(Some).chain(any.iter().cloned()).collect();
        let mut found = Vec::new();
        for principal in principals.iter().cloned().map(Some).chain(any) {
            if let Some(by_resource) = scopes.get(&principal) {
                for resource in &resources {
                    found.extend(by_resource.get(resource).into_iter().flatten().copied());
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
