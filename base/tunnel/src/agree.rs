//! Which version both sides speak, and what both can do.

use crate::error::{Refused, Why};
use crate::wire::{Accepted, Hello, Refusal, Welcome};

/// The oldest version of the tunnel spoken here.
pub(crate) const OLDEST: u32 = 1;
/// The newest.
pub(crate) const NEWEST: u32 = 1;
/// Requests and answers of HTTP.
pub(crate) const HTTP: &str = "http";
/// Stretches of bytes, by extended CONNECT (RFC 8441).
pub(crate) const STRETCH: &str = "stretch";
/// Orders to the agent itself.
pub(crate) const ORDER: &str = "order";
/// The order to look at upstreams, which came after the first.
pub(crate) const LOOK: &str = "look";
/// What is spoken here.
const FEATURES: &[&str] = &[HTTP, STRETCH, ORDER, LOOK];
/// The most features one side may tell of.
const MOST: usize = 64;
/// The longest name of a program that is kept.
const LONGEST_NAME: usize = 64;

/// This program, as the other side is told.
pub(crate) fn software() -> String {
    concat!("portcullis/", env!("CARGO_PKG_VERSION")).to_owned()
}

/// What this side says of itself.
pub(crate) fn hello() -> Hello {
    let features = FEATURES.iter().map(|name| (*name).to_owned()).collect();
    Hello { oldest: OLDEST, newest: NEWEST, features, software: software() }
}

/// What a gateway knows of an agent's program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spoken {
    pub(crate) version: u32,
    pub(crate) stretches: bool,
    pub(crate) orders: bool,
    pub(crate) looks: bool,
    pub(crate) software: String,
}

/// What both speak, by what the agent says; or why nothing comes of it.
pub(crate) fn agree(theirs: &Hello) -> Result<Spoken, Refused> {
    let version = NEWEST.min(theirs.newest);
    if version < OLDEST.max(theirs.oldest) || theirs.oldest > theirs.newest {
        let older = if theirs.newest < OLDEST { "agent" } else { "gateway" };
        let sentence = format!(
            "the gateway speaks versions {OLDEST} to {NEWEST} of the tunnel, the agent {} to {}: update the {older}",
            theirs.oldest, theirs.newest
        );
        return Err(Refused::new(Why::Version, sentence));
    }
    let has = |name: &str| theirs.features.iter().take(MOST).any(|known| known == name);
    if !has(HTTP) {
        let sentence = "the agent does not say that it can carry HTTP requests, which the gateway relies on: update the agent";
        return Err(Refused::new(Why::Feature, sentence));
    }
    let shown = theirs.software.chars().filter(|letter| !letter.is_control());
    let software = shown.take(LONGEST_NAME).collect();
    Ok(Spoken { version, stretches: has(STRETCH), orders: has(ORDER), looks: has(LOOK), software })
}

impl Spoken {
    /// How the agent is told.
    pub(crate) fn welcome(&self) -> Welcome {
        let both = [(HTTP, true), (STRETCH, self.stretches), (ORDER, self.orders), (LOOK, self.looks)];
        let features = both.into_iter().filter(|(_, both)| *both).map(|(name, _)| name.to_owned()).collect();
        let accepted = Accepted { version: self.version, features, software: software() };
        Welcome { accepted: Some(accepted), refused: None }
    }
}

impl Refused {
    /// As it is said.
    pub(crate) fn said(&self) -> Refusal {
        Refusal { why: self.why.number(), sentence: self.sentence.clone() }
    }

    /// As it was heard.
    pub(crate) fn heard(said: &Refusal) -> Self {
        let sentence: String =
            said.sentence.chars().filter(|letter| !letter.is_control()).take(500).collect();
        Self::new(Why::from_number(said.why), sentence)
    }
}

/// What an agent makes of a gateway's answer.
pub(crate) fn welcomed(welcome: &Welcome) -> Result<(), Refused> {
    if let Some(refused) = &welcome.refused {
        return Err(Refused::heard(refused));
    }
    match &welcome.accepted {
        Some(accepted) if (OLDEST..=NEWEST).contains(&accepted.version) => Ok(()),
        Some(accepted) => {
            let sentence = format!(
                "the gateway chose version {} of the tunnel, which this agent did not offer",
                accepted.version
            );
            Err(Refused::new(Why::Version, sentence))
        }
        None => Err(Refused::new(Why::Malformed, "the gateway neither accepted nor refused the tunnel")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_speak() {
        assert_eq!(agree(&hello()).unwrap().version, NEWEST);
        let newer = Hello { newest: 9, ..hello() };
        assert_eq!(agree(&newer).unwrap().version, NEWEST);
        assert!(welcomed(&agree(&newer).unwrap().welcome()).is_ok());
    }

    #[test]
    fn nothing_in_common_says_who_is_behind() {
        let agent = agree(&Hello { oldest: NEWEST + 1, newest: NEWEST + 2, ..hello() }).unwrap_err();
        assert!(agent.why == Why::Version && agent.sentence.ends_with("update the gateway"), "{agent}");
        let gateway = agree(&Hello { oldest: 0, newest: 0, ..hello() }).unwrap_err();
        assert!(gateway.sentence.ends_with("update the agent"), "{gateway}");
        assert!(agree(&Hello { oldest: 2, newest: 1, ..hello() }).is_err());
    }

    #[test]
    fn what_is_relied_on_must_be_there_and_what_is_new_is_passed_over() {
        let without = Hello { features: vec![STRETCH.to_owned()], ..hello() };
        assert_eq!(agree(&without).unwrap_err().why, Why::Feature);
        let more = Hello { features: vec![HTTP.to_owned(), "dreams".to_owned()], ..hello() };
        assert_eq!(
            agree(&more),
            Ok(Spoken { version: 1, stretches: false, orders: false, looks: false, software: software() })
        );
    }

    #[test]
    fn a_refusal_is_heard_as_it_was_said() {
        let refused = Refused::new(Why::Revoked, "the agent was revoked");
        let welcome = Welcome { accepted: None, refused: Some(refused.said()) };
        assert_eq!(welcomed(&welcome), Err(refused));
        assert_eq!(welcomed(&Welcome::default()).unwrap_err().why, Why::Malformed);
        assert_eq!(Why::from_number(99), Why::Unavailable);
    }
}
