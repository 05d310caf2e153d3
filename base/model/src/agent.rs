//! What an agent is called.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ResourceName;

/// The name of a part that runs beside the models: 1 to 63 of `a-z`, `0-9`, `-`, as a resource's.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(ResourceName);

impl AgentName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// Says what a name may be when `name` is not one.
    pub fn new(name: &str) -> Result<Self, String> {
        ResourceName::new(name).map(Self).map_err(|_| {
            format!("`{name}` cannot name an agent: use 1 to 63 of a-z, 0-9 and -, not first or last")
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for AgentName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name)
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
