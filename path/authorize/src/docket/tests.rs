//! Who sees what waits, and whom a list is opened to.

use model::{CallerKind, Class, Operation};

use super::*;
use crate::sample::{authorizer, identity, llama, operation, surroundings};

const POLICIES: &str = r#"
    permit(principal in Group::"leads", action == Action::"approve", resource in Resource::"llama")
    when { context.requester in Group::"ml" };
    permit(principal in Group::"watchers", action == Action::"view", resource == Area::"approvals");
    permit(principal in Group::"wide", action, resource);
    forbid(principal in Group::"shut", action == Action::"approve", resource);
"#;

/// Whether somebody sees what another asked, and whether a list is opened to them.
fn sees(who: &Identity, requester: &Identity) -> (bool, bool) {
    let (authorizer, _) = authorizer(POLICIES);
    let set = authorizer.current();
    let (resource, train) = (llama(), operation(Class::Train, "tiny"));
    let asked = Some((&resource, "model", std::slice::from_ref::<Operation>(&train)));
    let petition = Petition { requester, owner: None, asked, act: None, membership: None };
    let concerns = |docket: &Docket<'_>| authorizer.concerns(&set, who, docket, surroundings()).is_some();
    (concerns(&Docket::One(petition)), concerns(&Docket::All))
}

#[test]
fn who_may_approve_it_sees_it_and_so_does_who_asked() {
    let ana = identity("ana", &["ml"]);
    assert_eq!(sees(&identity("lead", &["leads"]), &ana), (true, true));
    assert_eq!(sees(&ana, &ana), (true, false), "her own, and no list");
    assert_eq!(sees(&identity("bob", &["ml"]), &ana), (false, false));
    assert_eq!(sees(&identity("all", &["wide"]), &ana), (false, false), "a permit for every action");
    assert_eq!(sees(&identity("shut", &["shut"]), &ana), (false, false), "a forbid makes nobody an approver");
    // The list is open to whoever could approve something; what is shown of it is asked one by one.
    assert_eq!(sees(&identity("lead", &["leads"]), &identity("eve", &["other"])), (false, true));
}

#[test]
fn what_is_no_request_is_seen_by_who_asked_it() {
    let (authorizer, _) = authorizer(POLICIES);
    let set = authorizer.current();
    let (ana, mut job) = (identity("ana", &["ml"]), identity("job", &[]));
    job.kind = CallerKind::Workload;
    let concerns = |who: &Identity, of: &Identity| {
        let petition = Petition { requester: of, owner: None, asked: None, act: None, membership: None };
        authorizer.concerns(&set, who, &Docket::One(petition), surroundings()).is_some()
    };
    assert!(concerns(&ana, &ana) && !concerns(&ana, &job));
    assert!(!concerns(&identity("lead", &["leads"]), &ana));
}
