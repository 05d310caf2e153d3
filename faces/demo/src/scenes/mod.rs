//! The scenes, in the order they are played. Each shows one promise, and fails when it is not kept.

mod consent;
mod deny;
mod edit;
mod flip;
mod kill;
mod vanish;

use std::future::Future;
use std::pin::Pin;

use crate::error::DemoError;
use crate::ground::Ground;
use crate::screen::Screen;

type Played<'a> = Pin<Box<dyn Future<Output = Result<(), DemoError>> + Send + 'a>>;

/// One scene.
pub(crate) struct Scene {
    pub(crate) title: &'static str,
    pub(crate) explains: &'static str,
    pub(crate) play: for<'a> fn(&'a mut Ground, &'a mut Screen<'_>) -> Played<'a>,
}

/// Every scene.
pub(crate) const ALL: &[Scene] = &[
    Scene {
        title: "Secrets split over the stream vanish",
        explains: "Alice, of the research group, asks for something that holds keys and people's data. It comes in pieces of a few letters.",
        play: |ground, screen| Box::pin(vanish::play(ground, screen)),
    },
    Scene {
        title: "Another group is denied, and you can see why",
        explains: "Bob, of the analysts, asks for a long answer. Policy allows his group short ones only.",
        play: |ground, screen| Box::pin(deny::play(ground, screen)),
    },
    Scene {
        title: "A policy line is edited, and the same call passes",
        explains: "No restart: the files are watched, and a set with a fault would never be loaded.",
        play: |ground, screen| Box::pin(edit::play(ground, screen)),
    },
    Scene {
        title: "kill -9 in mid-stream, and nothing is lost",
        explains: "What the caller saw must be in the record, because it was there before it was sent.",
        play: |ground, screen| Box::pin(kill::play(ground, screen)),
    },
    Scene {
        title: "An export hangs until somebody consents",
        explains: "Policy lets researchers take the weights out when somebody of the security group agrees. Alice asks.",
        play: |ground, screen| Box::pin(consent::play(ground, screen)),
    },
    Scene {
        title: "One bit of the record is flipped, and the audit names the place",
        explains: "The record is copied and audited; then somebody changes the copy, and it is audited again.",
        play: |ground, screen| Box::pin(flip::play(ground, screen)),
    },
];

/// `holds`, or the scene has failed.
fn expect(holds: bool, what: &str, saw: impl std::fmt::Display) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::new(what, format!("it does not hold; saw: {saw}"))) }
}
