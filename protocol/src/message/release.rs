//! Release: the other hot request, with its fences (SPEC.md section 9).

use super::allocation::AllocationState;
use crate::id::{Instance, OwnerId, Revision, Slot, SubnetId};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which allocation of the network of the header is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// By key.
    Key {
        /// Who holds it.
        owner: OwnerId,
        /// Ordinal.
        slot: Slot,
    },
    /// By address (of a block: its first); at least one fence must be given.
    Address(IpAddr),
}

/// What must be so, else nothing happens (`STALE`, `NOT_HOLDER`).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fences {
    /// Exactly this revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// This owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// This instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// This manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
}

impl Fences {
    /// Whether no fence is given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.revision.is_none()
            && self.owner.is_none()
            && self.instance.is_none()
            && self.manager.is_none()
    }
}

/// Releases one allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which.
    pub target: Target,
    /// What must be so.
    #[serde(default, flatten)]
    pub fences: Fences,
    /// Release by address without a fence: whoever holds it (`release any`).
    #[serde(default)]
    pub any: bool,
}

/// What was released. With status `NOT_HELD` the reply is empty instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The address (of a block: its first).
    pub address: IpAddr,
    /// Prefix length of what was held.
    pub length: u8,
    /// The subnet.
    pub subnet_id: SubnetId,
    /// Revision of the release itself.
    pub revision: Revision,
    /// State now: free, or quarantined.
    pub state: AllocationState,
}
