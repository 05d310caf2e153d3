//! Reading all there is below a prefix, page by page.

use crate::{Entry, MAX_PAGE, Store, StoreError};

/// Gives every entry whose key begins with `prefix` to `take`, in the order of their keys, and keeps none of
/// them: what is there at once is one page. What is written meanwhile may be seen or not; who must not miss
/// it takes a cursor before.
///
/// # Errors
/// What the store says, and what `take` does, which ends it.
pub async fn every<E: From<StoreError>>(
    store: &dyn Store,
    prefix: &str,
    mut take: impl FnMut(Entry) -> Result<(), E> + Send,
) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = store.list(prefix, after.as_deref(), MAX_PAGE).await?;
        page.entries.into_iter().try_for_each(&mut take)?;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
