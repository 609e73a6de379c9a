//! Transfer: an allocation that changes hands and keeps its address (SPEC.md section 9).

use super::release::Fences;
use crate::id::{Instance, OwnerId, ProjectId, Slot};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Gives an allocation another owner, slot, instance or project. What is not named stays; at least one
/// of the four is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Which (of a block: its first address). Never by key: that is what changes, so a repeat would not
    /// find it.
    pub address: IpAddr,
    /// What must be so; at least one.
    #[serde(default, flatten)]
    pub fences: Fences,
    /// Who holds it from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_owner: Option<OwnerId>,
    /// Ordinal from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_slot: Option<Slot>,
    /// Which life of the owner holds it from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_instance: Option<Instance>,
    /// Whose it is from now on; another one only on a network that is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_project: Option<ProjectId>,
    /// The text that the new owner id was made of; only beside `to_owner`. Without it the new owner has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Text>,
}

impl Transfer {
    /// Whether nothing would change hands, whatever is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.to_owner.is_none()
            && self.to_slot.is_none()
            && self.to_instance.is_none()
            && self.to_project.is_none()
    }
}
