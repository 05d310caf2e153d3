//! What the pages say of approvals, in words and times for people.

use desk::{Listing, Shown, Whole, WordShown};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Person, page_of};
use crate::overview::{Mark, When};

/// The inbox.
pub(crate) struct InboxView {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) waiting: Vec<RowView>,
    pub(crate) more_waiting: Option<String>,
    pub(crate) settled: Vec<RowView>,
    pub(crate) more_settled: Option<String>,
    pub(crate) zone: String,
}

/// One approval in a list.
pub(crate) struct RowView {
    pub(crate) page: String,
    pub(crate) title: Title,
    pub(crate) mark: Mark,
    pub(crate) asked: When,
    pub(crate) waits: String,
    pub(crate) left: String,
    pub(crate) consents: String,
    /// Who decided, and why.
    pub(crate) outcome: String,
    pub(crate) own: bool,
    /// Whether it is this person who is waited for.
    pub(crate) yours: bool,
}

/// Who wants what.
pub(crate) struct Title {
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) on: String,
}

/// The page of one approval.
pub(crate) struct ApprovalView {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) whole: Whole,
    pub(crate) title: Title,
    pub(crate) mark: Mark,
    pub(crate) asked: When,
    pub(crate) ends: When,
    pub(crate) waited: String,
    pub(crate) left: String,
    /// How it stands, in a sentence.
    pub(crate) stands: String,
    /// One for each consent that is needed: whether it is given.
    pub(crate) steps: Vec<bool>,
    pub(crate) words: Vec<WordView>,
    pub(crate) page: String,
    pub(crate) note: Option<String>,
    pub(crate) zone: String,
}

/// One person's word.
pub(crate) struct WordView {
    pub(crate) mark: Mark,
    pub(crate) who: String,
    pub(crate) id: String,
    pub(crate) reason: Option<String>,
    pub(crate) at: When,
    pub(crate) via: &'static str,
    pub(crate) client: String,
}

impl InboxView {
    pub(crate) fn new(
        person: &Person,
        (waiting, settled): (&Listing, &Listing),
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let rows = |listing: &Listing| listing.approvals.iter().map(|shown| row(shown, now, zone)).collect();
        let more = |name: &str, listing: &Listing| {
            listing.next.as_ref().map(|next| crate::provider::with_query("/approvals", &[(name, next)]))
        };
        Self {
            name: person.name.clone(),
            token: person.token.clone(),
            waiting: rows(waiting),
            more_waiting: more("open", waiting),
            settled: rows(settled),
            more_settled: more("closed", settled),
            zone: spoken(zone),
        }
    }
}

impl ApprovalView {
    pub(crate) fn new(
        person: &Person,
        whole: Whole,
        now: Timestamp,
        zone: &TimeZone,
        note: Option<&str>,
    ) -> Self {
        let shown = &whole.shown;
        let given = usize::from(shown.given);
        Self {
            name: person.name.clone(),
            token: person.token.clone(),
            title: title(shown),
            mark: mark(shown.state),
            asked: When::new(shown.asked_at, zone),
            ends: When::new(shown.expires_at, zone),
            waited: span(shown.asked_at, now),
            left: span(now, shown.expires_at),
            stands: stands(shown),
            steps: (0..usize::from(shown.needed)).map(|at| at < given).collect(),
            words: shown.decisions.iter().map(|word| said(word, zone)).collect(),
            page: page_of(&shown.id),
            note: note.map(str::to_owned),
            zone: spoken(zone),
            whole,
        }
    }

    /// Whether anything can still happen to it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.whole.shown.state, "waiting" | "approved")
    }

    pub(crate) fn may_decide(&self) -> bool {
        self.whole.shown.you.may_approve || self.whole.shown.you.may_deny
    }
}

fn spoken(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

fn title(shown: &Shown) -> Title {
    let who = shown.requester.name().to_owned();
    if shown.wanted == "membership" {
        let group = shown.resource.strip_prefix("group/").unwrap_or(&shown.resource).to_owned();
        return Title { who, what: "join".to_owned(), on: group };
    }
    let mut names: Vec<&str> = shown.operations.iter().map(|one| one.name.as_str()).collect();
    names.dedup();
    let model = shown.operations.iter().map(|one| one.model.as_str()).find(|model| !model.is_empty());
    let on = match model {
        Some(model) => format!("{model} of {}", shown.resource),
        None => shown.resource.clone(),
    };
    Title { who, what: names.join(", "), on }
}

fn mark(state: &str) -> Mark {
    let (word, tone) = match state {
        "waiting" => ("waits", "wait"),
        "approved" => ("approved", "good"),
        "released" => ("approved and used", "good"),
        "denied" => ("denied", "bad"),
        _ => ("expired", "plain"),
    };
    Mark { word: word.to_owned(), tone }
}

fn row(shown: &Shown, now: Timestamp, zone: &TimeZone) -> RowView {
    let last = shown.decisions.last();
    let reason = last.and_then(|word| word.reason.as_ref());
    let outcome = match (last, shown.state) {
        (Some(word), "denied") => format!("by {}: {}", word.by.name(), reason.map_or("", String::as_str)),
        (Some(word), "approved" | "released") => format!("by {}", word.by.name()),
        _ => String::new(),
    };
    RowView {
        page: page_of(&shown.id),
        title: title(shown),
        mark: mark(shown.state),
        asked: When::new(shown.asked_at, zone),
        waits: span(shown.asked_at, now),
        left: span(now, shown.expires_at),
        consents: format!("{} of {}", shown.given, shown.needed),
        outcome,
        own: shown.you.own,
        yours: shown.you.may_approve,
    }
}

fn said(word: &WordShown, zone: &TimeZone) -> WordView {
    let (spoken, tone) = if word.decision == "denied" { ("denied", "bad") } else { ("consented", "good") };
    WordView {
        mark: Mark { word: spoken.to_owned(), tone },
        who: word.by.name().to_owned(),
        id: word.by.id.clone(),
        reason: word.reason.clone(),
        at: When::new(word.at, zone),
        via: match word.via {
            "page" => "on this page",
            "cli" => "by command line",
            _ => "by interface",
        },
        client: word.client.clone(),
    }
}

fn stands(shown: &Shown) -> String {
    let missing = shown.needed.saturating_sub(shown.given);
    match (shown.state, missing) {
        ("waiting", 1) => "One consent is missing.".to_owned(),
        ("waiting", missing) => format!("{missing} consents are missing."),
        ("approved", _) => {
            "Enough people have consented. It goes on its way when its client waits or asks again.".to_owned()
        }
        ("released", _) => "Enough people consented, and it went on its way, once.".to_owned(),
        ("denied", _) => "It was denied, and whoever asked was told why.".to_owned(),
        _ => "Its time ran out before enough people consented.".to_owned(),
    }
}

/// The time between, as people say it.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_largest_units() {
        let from = Timestamp::UNIX_EPOCH;
        let after = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(from, after(seconds)), said);
        }
        assert_eq!(span(after(5), from), "0 s");
    }
}
