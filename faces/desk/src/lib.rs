//! The approver's desk: what waits for consent, who may see it, what was asked, and giving one's word. The
//! administration's interface and the console's pages stand on it, so that neither can show or allow what
//! the other would not.
//!
//! Whoever may approve something sees it; so does whoever asked it. The prompt is read from the ledger and
//! masked by what the looker may see. A word takes the proof that an act was judged, recorded and cleared.

mod asked;
mod desk;
mod follow;
mod looker;
mod prompt;
mod reading;
mod shown;

pub use asked::Prompted;
pub use desk::{Desk, Listing, Named, Only, Verb, Verdict};
pub use follow::News;
pub use looker::{Looker, docket};
pub use prompt::{Part, Prompt, plain};
pub use reading::{Everything, Reading, question};
pub use shown::{Fact, Given, PersonShown, Shown, Whole, WordShown, You};
