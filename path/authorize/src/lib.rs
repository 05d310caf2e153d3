//! Step five: Cedar decides each operation.
//!
//! A [`PolicySet`] is read, validated and indexed off the request path; an [`Authorizer`] asks it
//! about every operation of an exchange and gives a [`Permit`] or a [`Denied`]. What is not permitted
//! is denied, and so is whatever a policy fails to evaluate on. [`explain`] tells an operator why.

mod authorizer;
mod disclosure;
mod docket;
mod doing;
#[cfg(test)]
mod examples;
mod explain;
mod facts;
mod fault;
mod index;
mod judge;
mod lint;
mod membership;
mod office;
mod outlook;
mod parse;
mod petition;
mod players;
mod proof;
mod reads;
mod recent;
mod renewal;
#[cfg(test)]
mod sample;
mod schema;
mod set;
mod source;
mod viewer;

pub use authorizer::{Authorizer, MAX_OPERATIONS, Surroundings, Target};
pub use disclosure::DISCLOSED_BY_DEFAULT;
pub use docket::Docket;
pub use doing::Doing;
pub use explain::{Deciding, Explanation, Failing, Nearest, Paste, explain};
pub use fault::{AuthorizeError, Place, PolicyFault, PolicyFaults};
pub use judge::judge_again;
pub use membership::{Joined, Membership};
pub use office::{Object, Person};
pub use outlook::Outlook;
pub use petition::{Matter, Petition};
pub use proof::{Denied, Permit};
pub use renewal::{Renewal, Renewed};
pub use schema::SCHEMA;
pub use set::{MAX_FILE_BYTES, MAX_FILES, MAX_SET_BYTES, PolicySet, Report, Summary};
