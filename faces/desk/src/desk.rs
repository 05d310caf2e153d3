//! What waits, listed, looked at and decided.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapt_http::{AdaptError, AdapterSpec, HttpAdapter, ServerKind};
use approve::{Approval, ApprovalId, Approvals, Cleared, Digest, Said, Via, Which};
use authenticate::Caller;
use authorize::{Authorizer, Denied, Permit, Surroundings, Target};
use mask::Rules;
use model::{Code, People, Refusal};

use crate::asked::{Prompted, Request};
use crate::looker::{Looker, docket, petition};
use crate::reading::Reading;
use crate::shown::{Shown, Whole};

/// The most approvals that are looked through for one page of a list.
const LOOKED_THROUGH: usize = 2_000;

/// The desk of one gateway.
pub struct Desk {
    approvals: Arc<Approvals>,
    authorizer: Arc<Authorizer>,
    ledger_dir: PathBuf,
    plain: Arc<HttpAdapter>,
}

/// Which approvals are wanted.
#[derive(Clone, Debug, Default)]
pub struct Only {
    /// In this state.
    pub state: Option<String>,
    /// For this resource, or `group/NAME`.
    pub resource: Option<String>,
}

/// Some approvals.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// In their order: those that are open, the oldest first; then the others, the latest first.
    pub approvals: Vec<Shown>,
    /// Where the next page begins, if there may be one.
    pub next: Option<String>,
}

/// What an id leads to.
#[derive(Clone, Debug)]
pub enum Named {
    /// An approval.
    Found(Box<Approval>),
    /// Nothing.
    Missing,
}

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Consents.
    Approve,
    /// Denies.
    Deny,
}

/// Somebody's word.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// For or against.
    pub verb: Verb,
    /// Why.
    pub reason: &'a str,
    /// The digest they were shown, if they were shown one.
    pub digest: Option<Digest>,
    /// How it is given.
    pub via: Via,
}

impl Only {
    pub(crate) fn fits(&self, approval: &Approval) -> bool {
        let state = approval.state.as_str();
        self.state.as_deref().is_none_or(|wanted| match wanted {
            "settled" => state != "waiting",
            wanted => wanted == state,
        }) && self.resource.as_ref().is_none_or(|resource| *resource == approval.wanted.name())
    }

    /// The lists that may hold what is wanted, in their order.
    fn lists(&self) -> &'static [(Which, &'static str)] {
        const OPEN: (Which, &str) = (Which::Open, "open");
        const CLOSED: (Which, &str) = (Which::Closed, "closed");
        match self.state.as_deref() {
            Some("waiting" | "approved") => &[OPEN],
            // What has had its time a moment ago lies with the open ones still.
            Some("denied" | "released") => &[CLOSED],
            _ => &[OPEN, CLOSED],
        }
    }
}

impl Desk {
    /// The desk over `approvals`; what was asked is read from the ledger in `ledger_dir`.
    ///
    /// # Errors
    /// [`AdaptError`] never happens with the adapter that ships; it is told, not hidden.
    pub fn new(
        approvals: Arc<Approvals>,
        authorizer: Arc<Authorizer>,
        ledger_dir: PathBuf,
    ) -> Result<Self, AdaptError> {
        let plain = Arc::new(HttpAdapter::build(AdapterSpec::new(ServerKind::Plain))?);
        Ok(Self { approvals, authorizer, ledger_dir, plain })
    }

    /// The book.
    pub fn approvals(&self) -> &Arc<Approvals> {
        &self.approvals
    }

    pub(crate) fn ledger_dir(&self) -> &Path {
        &self.ledger_dir
    }

    fn people(&self) -> Arc<People> {
        Arc::clone(&self.approvals.settings().people)
    }

    /// The approval that `text` names.
    ///
    /// # Errors
    /// A refusal when the book cannot be read.
    pub async fn find(&self, text: &str) -> Result<Named, Refusal> {
        let Some(id) = ApprovalId::parse(text) else { return Ok(Named::Missing) };
        let found = self.approvals.get(id).await.map_err(|fault| fault.refusal())?;
        Ok(found.map_or(Named::Missing, |approval| Named::Found(Box::new(approval))))
    }

    /// An approval as `looker` sees it. None if it is not to be seen.
    pub fn seen(&self, looker: &Looker, approval: &Approval) -> Option<Shown> {
        let people = self.people();
        let place = looker.place(&self.authorizer, approval, &people);
        let you = place.is_seen(looker).then(|| place.you(looker, approval, &people))?;
        Some(Shown::of(approval, &people, self.approvals.url(approval.id), you))
    }

    /// A page of what `looker` may see, from where `after` says.
    ///
    /// # Errors
    /// A refusal when `after` is no place, or the book cannot be read.
    pub async fn list(
        &self,
        looker: &Looker,
        only: &Only,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, Refusal> {
        let lists = only.lists();
        let (mut at, mut place) = match after {
            None => (0, None),
            Some(text) => begins(lists, text).ok_or_else(|| {
                Refusal::new(Code::RequestMalformed).because("The cursor is no place of this list.")
            })?,
        };
        let (mut listing, mut looked) = (Listing::default(), 0_usize);
        while let Some((which, name)) = lists.get(at) {
            let wanted = limit.saturating_sub(listing.approvals.len());
            if wanted == 0 || looked >= LOOKED_THROUGH {
                listing.next = Some(format!("{name}:{}", place.unwrap_or_default()));
                return Ok(listing);
            }
            let page = self.approvals.list(*which, place.as_deref(), wanted).await;
            let page = page.map_err(|fault| fault.refusal())?;
            looked = looked.saturating_add(page.approvals.len().max(1));
            let fits = page.approvals.iter().filter(|approval| only.fits(approval));
            listing.approvals.extend(fits.filter_map(|approval| self.seen(looker, approval)));
            match page.next {
                Some(next) => place = Some(next),
                None => (at, place) = (at.saturating_add(1), None),
            }
        }
        Ok(listing)
    }

    /// What was settled of late, of what `looker` may see: the latest first.
    ///
    /// # Errors
    /// As [`Desk::list`].
    pub async fn settled(
        &self,
        looker: &Looker,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing, Refusal> {
        let only = Only { state: Some("settled".to_owned()), resource: None };
        self.list(looker, &only, after, limit).await
    }

    /// Judges whether the caller may give that word: by policy; to take one's own back needs none.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn judge(
        &self,
        caller: Caller,
        approval: &Approval,
        verb: Verb,
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        let own = approval.is_asked_by(caller.identity(), &self.people());
        match own && verb == Verb::Deny {
            true => self.authorizer.decide_own(caller, docket(approval), surroundings),
            false => self.authorizer.decide_consent(caller, &petition(approval), surroundings),
        }
    }

    /// An approval with what was asked, masked by what `looker` may see of answers there. Whoever may
    /// neither approve it nor asked it sees how it was asked, and not what.
    pub async fn whole(&self, looker: &Looker, approval: &Approval, rules: Arc<Rules>) -> Option<Whole> {
        let people = self.people();
        let place = looker.place(&self.authorizer, approval, &people);
        let you = place.is_seen(looker).then(|| place.you(looker, approval, &people))?;
        let shown = Shown::of(approval, &people, self.approvals.url(approval.id), you);
        if approval.exchanges.is_empty() {
            let prompt = Prompted::default();
            return Some(Whole { shown, method: None, path: None, held: false, prompt });
        }
        // Their own they have seen already; what they may see of answers is asked all the same.
        let own_viewer = || {
            let asked = petition(approval);
            let Target { name, kind } = asked.matter.target().ok().filter(|_| place.own)?;
            Some(self.authorizer.viewer_of(&looker.identity, &name, kind))
        };
        let viewer = place.may.clone().or_else(own_viewer);
        let reading = viewer.map(|viewer| Reading { rules, plain: Arc::clone(&self.plain), viewer });
        let may_read = reading.is_some();
        let Request { method, path, held, prompted } = self.asked(approval, reading).await;
        let prompt = match may_read {
            true => prompted,
            false => Prompted::absent("Policy shows you that this waits, and not what was said."),
        };
        let text = |text: String| (!text.is_empty()).then(|| crate::prompt::plain(&text));
        Some(Whole {
            shown,
            method: text(method),
            path: text(path),
            held: held && approval.state.is_open(),
            prompt,
        })
    }

    /// Gives `looker`'s word. `cleared` is the proof that the act was judged, recorded and cleared.
    ///
    /// # Errors
    /// A refusal when it does not count, saying how the approval stands.
    pub async fn decide(
        &self,
        looker: &Looker,
        approval: &Approval,
        verdict: Verdict<'_>,
        cleared: &Cleared,
    ) -> Result<Approval, Refusal> {
        let said = Said {
            client: looker.client,
            via: verdict.via,
            reason: verdict.reason,
            digest: verdict.digest,
            act: Some(cleared.exchange()),
        };
        let decided = match verdict.verb {
            Verb::Approve => self.approvals.consent(approval.id, &looker.identity, said).await,
            Verb::Deny => self.approvals.deny(approval.id, &looker.identity, said).await,
        };
        decided.map(|approval| Approval::clone(&approval)).map_err(|fault| fault.refusal())
    }
}

/// Where a list goes on: in which list, after which key.
fn begins(lists: &[(Which, &str)], text: &str) -> Option<(usize, Option<String>)> {
    let (list, after) = text.split_once(':')?;
    let at = lists.iter().position(|(_, name)| *name == list)?;
    let plain = after.len() <= 64 && after.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    plain.then(|| (at, Some(after.to_owned()).filter(|after| !after.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[(Which, &str)] = &[(Which::Open, "open"), (Which::Closed, "closed")];

    #[test]
    fn a_place_is_one_of_its_lists_and_no_key_of_others() {
        assert_eq!(begins(BOTH, "open:0190-ab"), Some((0, Some("0190-ab".to_owned()))));
        assert_eq!(begins(BOTH, "closed:"), Some((1, None)));
        assert_eq!(begins(&BOTH[..1], "closed:"), None);
        for odd in ["", "open", "other:00", "open:../../x", "open:g", &format!("open:{}", "0".repeat(65))] {
            assert_eq!(begins(BOTH, odd), None, "{odd}");
        }
    }
}
