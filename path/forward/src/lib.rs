//! Step eight: the judged bytes go upstream under a credential the caller never sees.
//!
//! [`Upstreams`] are the servers behind one resource. A request goes to the least busy one that can be
//! reached, and to another only when it provably never left. The answer comes back piece by piece, as its
//! reader pulls; dropping it ends the upstream's work at once. An upstream may stand beyond an agent's
//! tunnel; the agent then does the same by [`Upstreams::send_delegated`].

mod answer;
mod beyond;
mod decode;
mod echo;
mod error;
mod examine;
mod headers;
mod health;
mod incoming;
mod line;
mod look;
mod pool;
mod pools;
mod rotate;
mod target;
mod upstreams;

pub use answer::{Answer, AnswerBody, Arrived};
pub use error::ForwardError;
pub use examine::{Examined, Saw};
pub use health::{Probed, UpstreamHealth};
pub use rotate::{Rotated, rotation_told};
pub use upstreams::Upstreams;

pub use credential::NotRotated;

#[cfg(test)]
mod tests;
