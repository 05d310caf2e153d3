//! What comes and what becomes of it, while it happens.

use std::collections::VecDeque;

use approve::{Approval, ApproveError, Which};
use model::Refusal;
use store::{Cursor, StoreError};
use tokio::sync::watch;

use crate::desk::{Desk, Only};
use crate::looker::Looker;
use crate::shown::Shown;

/// Approvals read at once.
const PAGE: usize = 100;

/// The news of the book, for one looker: first all that is open, then every change.
pub struct News<'d> {
    desk: &'d Desk,
    looker: Looker,
    only: Only,
    ticks: watch::Receiver<u64>,
    cursor: Option<Cursor>,
    /// What is read and not told yet.
    waiting: VecDeque<Approval>,
}

impl Desk {
    /// Begins to follow.
    pub fn news(&self, looker: Looker, only: Only) -> News<'_> {
        let ticks = self.approvals().ticks();
        News { desk: self, looker, only, ticks, cursor: None, waiting: VecDeque::new() }
    }
}

impl News<'_> {
    /// The next approval that came or changed. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// A refusal when the book cannot be read.
    pub async fn next(&mut self) -> Result<Shown, Refusal> {
        loop {
            while let Some(approval) = self.waiting.pop_front() {
                let of_resource = Only { state: None, ..self.only.clone() };
                if of_resource.fits(&approval)
                    && let Some(shown) = self.desk.seen(&self.looker, &approval)
                {
                    return Ok(shown);
                }
            }
            match self.cursor {
                None => self.begin().await.map_err(|fault| fault.refusal())?,
                Some(cursor) => {
                    if !self.read(cursor).await.map_err(|fault| fault.refusal())? {
                        // The book lives as long as the desk.
                        let _ = self.ticks.changed().await;
                    }
                }
            }
        }
    }

    /// All that is open. What changes meanwhile is told again.
    async fn begin(&mut self) -> Result<(), ApproveError> {
        let cursor = self.desk.approvals().cursor().await?;
        let (mut all, mut after) = (VecDeque::new(), None::<String>);
        loop {
            let page = self.desk.approvals().list(Which::Open, after.as_deref(), PAGE).await?;
            all.extend(page.approvals.into_iter().filter(|approval| approval.state.is_open()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        (self.waiting, self.cursor) = (all, Some(cursor));
        Ok(())
    }

    /// What changed since; whether there may be more.
    async fn read(&mut self, since: Cursor) -> Result<bool, ApproveError> {
        // Marked before it is read, so that no change falls between.
        self.ticks.mark_unchanged();
        let changes = match self.desk.approvals().changes(since, PAGE).await {
            Ok(changes) => changes,
            Err(ApproveError::Store(StoreError::CursorLost)) => {
                self.cursor = None;
                return Ok(true);
            }
            Err(fault) => return Err(fault),
        };
        let any = changes.more || !changes.approvals.is_empty();
        self.cursor = Some(changes.next);
        self.waiting = changes.approvals.into();
        Ok(any)
    }
}
