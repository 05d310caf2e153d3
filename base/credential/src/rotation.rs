//! Replacing a credential: the new one is made, read, and has to prove itself before the old one is let go.

use std::sync::Arc;

use secrecy::SecretString;

use crate::error::CredentialError;
use crate::keeper::Keeper;
use crate::shown::Shown;

/// Why a credential was not replaced. The one that was used before goes on being used.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    /// There is no credential at all.
    #[error("the resource has no credential")]
    NoCredential,
    /// Nothing says how.
    #[error("the configuration has no `credential.rotate`, which says how to make a new secret")]
    NoCommand,
    /// It is under way already.
    #[error("it is being replaced at this moment")]
    Busy,
    /// The command failed.
    #[error("the rotation command failed: {0}")]
    Command(#[source] CredentialError),
    /// The new value can't be had.
    #[error("the command ended well, but the new secret cannot be had: {0}")]
    Source(#[source] CredentialError),
    /// The source gives what it gave before.
    #[error("the command ended well, but the source still gives the old secret")]
    Same,
    /// It could not be shown that the new value works.
    #[error("{0}")]
    Unproved(String),
}

/// A replacement under way: the new credential is there and has to prove itself. Meanwhile everybody else is
/// given the old one. Dropped, it has failed: then what the source gives is not used until it gives another,
/// or an upstream that refuses the old one takes it.
#[derive(Debug)]
pub struct Turning<'a> {
    new: Option<SecretString>,
    shown: Arc<Shown>,
    pinned: Pinned<'a>,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Keeper {
    /// Runs the command that makes a new secret, and reads it.
    ///
    /// # Errors
    /// [`NotRotated`]; the old one is used on.
    pub async fn rotate(&self) -> Result<Turning<'_>, NotRotated> {
        let rotation = self.rotation().ok_or(NotRotated::NoCommand)?;
        let turn = self.turning().try_lock().map_err(|_| NotRotated::Busy)?;
        // What is used until then. A source that gives nothing yet may do so after the command.
        let before = self.current().await;
        let pinned = Pinned::begin(self);
        crate::command::run(&rotation.command, self.resource()).await.map_err(NotRotated::Command)?;
        let (secret, shown) = self.fetched().await.map_err(NotRotated::Source)?;
        if before.is_ok() && self.holds(&secret) {
            return Err(NotRotated::Same);
        }
        Ok(Turning { new: Some(secret), shown, pinned, _turn: turn })
    }
}

impl Turning<'_> {
    /// The new credential.
    pub fn shown(&self) -> &Arc<Shown> {
        &self.shown
    }

    /// It has proved itself: from now on it is used, and the old one no more.
    pub fn settle(mut self) {
        if let Some(secret) = self.new.take() {
            self.pinned.0.settle(secret, &self.shown);
        }
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        if let Some(secret) = self.new.take() {
            self.pinned.0.distrust(secret);
        }
    }
}

/// Holds on to the old one until it is dropped.
#[derive(Debug)]
struct Pinned<'a>(&'a Keeper);

impl<'a> Pinned<'a> {
    fn begin(keeper: &'a Keeper) -> Self {
        keeper.pin();
        Self(keeper)
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.0.unpin();
    }
}
