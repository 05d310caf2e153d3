//! Approvals and grants as they lie in the store, read as what is told of them.

use std::sync::Arc;

use approve::{Approval, Signature, State, Wanted};
use authenticate::standing::Grant;
use gateway::Gateway;
use jiff::Timestamp;
use model::{DataClass, Reveal};
use store::{Entry, StoreError};

use crate::follow::Source;
use crate::matter::{About, Matter, Stage, Who, cut};
use crate::teller::{Settings, Teller};

/// Below this approvals lie, open and closed. What else lies there is no approval.
const APPROVALS: &str = "approvals/";
const OF_APPROVALS: [&str; 2] = ["approvals/open/", "approvals/closed/"];
/// Below this memberships lie.
const GRANTS: &str = "standing/grant/";

/// Sees nothing: what people wrote is told with everything masked that can be.
struct Nobody;

impl Reveal for Nobody {
    fn reveals(&self, _class: &DataClass) -> bool {
        false
    }
}

impl Teller {
    /// The teller of a gateway's approvals and grants, by the configuration in use.
    pub fn of(gateway: &Arc<Gateway>) -> Self {
        let (store, clock) = (Arc::clone(gateway.store()), Arc::clone(gateway.clock()));
        let settings = Arc::clone(gateway);
        Self::new(store, clock, sources(gateway), move || {
            let approvals = settings.config().approvals;
            Settings { tell: approvals.tell, origin: approvals.url }
        })
    }
}

fn sources(gateway: &Arc<Gateway>) -> Vec<Source> {
    let (of_approvals, of_grants) = (Arc::clone(gateway), Arc::clone(gateway));
    let approvals = move |entry: &Entry| {
        if !OF_APPROVALS.iter().any(|prefix| entry.key.starts_with(prefix)) {
            return Ok(None);
        }
        let approval: Approval = entry.read()?;
        Ok(Some(from_approval(&approval, &|text| masked(&of_approvals, text))))
    };
    let grants = move |entry: &Entry| -> Result<Option<Matter>, StoreError> {
        let grant: Grant = entry.read()?;
        Ok(Some(from_grant(&grant, &|text| masked(&of_grants, text))))
    };
    vec![
        Source { name: "approvals", prefix: APPROVALS, read: Box::new(approvals) },
        Source { name: "grants", prefix: GRANTS, read: Box::new(grants) },
    ]
}

/// What somebody wrote, masked and cut. None when they wrote nothing.
fn masked(gateway: &Gateway, text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| cut(&mask::mask_text(&gateway.rules(), &Nobody, text).0))
}

type Mask<'a> = &'a dyn Fn(&str) -> Option<String>;

fn from_approval(approval: &Approval, mask: Mask<'_>) -> Matter {
    let by: Option<&Signature> = match &approval.state {
        State::Denied { by } => Some(by),
        _ => approval.consents.last(),
    };
    let stage = match approval.state {
        State::Waiting => Stage::Waiting,
        State::Approved => Stage::Approved,
        State::Denied { .. } => Stage::Denied,
        State::Released { .. } => Stage::Released,
        State::Expired => Stage::Expired,
    };
    let asks = &approval.requester;
    let name = asks.email.as_deref().or(asks.display.as_deref());
    Matter {
        approval: approval.id.to_string(),
        about: about(&approval.wanted),
        requester: Who::new(&asks.issuer, &asks.subject, name),
        needed: approval.needed,
        given: u8::try_from(approval.consents.len()).unwrap_or(u8::MAX),
        stage,
        asked: approval.since,
        expires: approval.expires,
        decided_by: by
            .map(|by| Who::new(&by.issuer, &by.subject, by.email.as_deref().or(by.display.as_deref()))),
        reason: by.and_then(|by| mask(&by.reason)),
    }
}

fn about(wanted: &Wanted) -> About {
    match wanted {
        Wanted::Request { resource, operations, .. } => {
            About::request(resource.as_str(), operations.iter().map(|operation| operation.class.as_str()))
        }
        Wanted::Act { act, resource, .. } => About::request(resource.as_str(), [act.as_str()]),
        Wanted::Membership { group, minutes, .. } => {
            About::Grant { group: cut(group), seconds: u64::from(*minutes) * 60, ends: None }
        }
    }
}

fn from_grant(grant: &Grant, mask: Mask<'_>) -> Matter {
    let consents = u8::try_from(grant.consents.len()).unwrap_or(u8::MAX);
    let (stage, over) = match &grant.over {
        None => (Stage::Released, None),
        Some(over) if over.by.is_some() => (Stage::Revoked, Some(over)),
        Some(over) => (Stage::Ended, Some(over)),
    };
    let by = over.and_then(|over| over.by.as_deref());
    Matter {
        approval: grant.id.clone(),
        about: About::Grant { group: cut(&grant.group), seconds: seconds(grant), ends: Some(grant.ends) },
        requester: Who::new(&grant.issuer, &grant.subject, grant.name.as_deref()),
        needed: consents,
        given: consents,
        stage,
        asked: grant.began,
        expires: grant.ends,
        decided_by: by.map(|by| {
            let (issuer, subject) = by.split_once('#').unwrap_or(("", by));
            Who::new(issuer, subject, None)
        }),
        reason: over.and_then(|over| mask(over.reason.as_deref()?)),
    }
}

fn seconds(grant: &Grant) -> u64 {
    let (began, ends): (Timestamp, Timestamp) = (grant.began, grant.ends);
    u64::try_from(ends.duration_since(began).as_secs()).unwrap_or_default()
}
