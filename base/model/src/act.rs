//! Acts on Portcullis itself: the actions of administration, and the areas they are in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody does to Portcullis, or sees of it: an action in policies, beside the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// See lists, states, settings and who asked what, without what was said.
    View,
    /// Read what was said in a recorded exchange.
    Replay,
    /// Make the gateway read its configuration and policies again.
    Reload,
    /// Change a key or a credential for a new one.
    Rotate,
    /// Let a new part of Portcullis join, and put one out.
    Invite,
    /// End what a caller holds now: its tokens, sessions and streams.
    Revoke,
    /// Keep a caller out, or let it in again.
    Block,
    /// Keep recordings past their retention, or let them go.
    Hold,
    /// Consent to another caller's request, or deny it. Not in the group `administration`.
    Approve,
    /// Be in a group for a while. Not in the group `administration`.
    Join,
}

impl Act {
    /// Every act, in the order above.
    pub const ALL: [Self; 10] = [
        Self::View,
        Self::Replay,
        Self::Reload,
        Self::Rotate,
        Self::Invite,
        Self::Revoke,
        Self::Block,
        Self::Hold,
        Self::Approve,
        Self::Join,
    ];

    /// The action's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Replay => "replay",
            Self::Reload => "reload",
            Self::Rotate => "rotate",
            Self::Invite => "invite",
            Self::Revoke => "revoke",
            Self::Block => "block",
            Self::Hold => "hold",
            Self::Approve => "approve",
            Self::Join => "join",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A noun of the administration: what an act is in, and `Area::"…"` in policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// What was recorded.
    Sessions,
    /// What is protected.
    Resources,
    /// What decides.
    Policies,
    /// Who asks.
    Callers,
    /// What waits for consent.
    Approvals,
    /// The parts that run beside the models.
    Agents,
    /// The administration's own description.
    Api,
}

impl Area {
    /// Every area, in the order above.
    pub const ALL: [Self; 7] = [
        Self::Sessions,
        Self::Resources,
        Self::Policies,
        Self::Callers,
        Self::Approvals,
        Self::Agents,
        Self::Api,
    ];

    /// The noun, as in policies and paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Resources => "resources",
            Self::Policies => "policies",
            Self::Callers => "callers",
            Self::Approvals => "approvals",
            Self::Agents => "agents",
            Self::Api => "api",
        }
    }

    /// What stands in the record where an exchange names its resource. No resource's name holds a slash.
    pub fn recorded(self) -> &'static str {
        match self {
            Self::Sessions => "api/sessions",
            Self::Resources => "api/resources",
            Self::Policies => "api/policies",
            Self::Callers => "api/callers",
            Self::Approvals => "api/approvals",
            Self::Agents => "api/agents",
            Self::Api => "api/api",
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
