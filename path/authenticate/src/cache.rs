//! Tokens that were verified a moment ago, so that a conversation does not cost a signature a word.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;

use crate::claims::Window;
use crate::digest::Digest;
use crate::keys::Fingerprint;
use crate::standing::Seen;

/// What verifying a token gave, and what it rested on: it counts only while that stands.
#[derive(Clone)]
pub(crate) struct Verified {
    /// Who bears it.
    pub(crate) seen: Arc<Seen>,
    /// Which of the configured issuers.
    pub(crate) issuer: usize,
    /// The key that verified the signature; none for an opaque token.
    pub(crate) key: Option<Fingerprint>,
    /// Up to when the issuer's answer about it is believed, where it was asked, on the clock that never
    /// steps backward.
    pub(crate) until: Option<Duration>,
    /// When the token holds.
    pub(crate) window: Window,
}

/// A bounded memory of verified tokens; the longest unused go first.
pub(crate) struct Cache(Option<Mutex<LruCache<Digest, Verified>>>);

impl Cache {
    /// Remembers at most `entries` tokens; 0 remembers none.
    pub(crate) fn new(entries: usize) -> Self {
        Self(NonZeroUsize::new(entries).map(|entries| Mutex::new(LruCache::new(entries))))
    }

    pub(crate) fn get(&self, token: &Digest) -> Option<Verified> {
        self.lock()?.get(token).cloned()
    }

    pub(crate) fn put(&self, token: Digest, verified: Verified) {
        if let Some(mut entries) = self.lock() {
            entries.put(token, verified);
        }
    }

    pub(crate) fn forget(&self, token: &Digest) {
        if let Some(mut entries) = self.lock() {
            entries.pop(token);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, LruCache<Digest, Verified>>> {
        self.0.as_ref().map(|entries| entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
