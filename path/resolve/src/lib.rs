//! Step three: the normalised path, and the resource it names.
//!
//! A path is read once, here. [`NormalPath`] is the one string that is judged and forwarded, so no two
//! servers on the way can take it for two different things. [`Table`] finds the resource it names.

mod path;
mod table;

pub use path::{NormalPath, PathFault};
pub use table::{ResolveError, Resolved, Table};
