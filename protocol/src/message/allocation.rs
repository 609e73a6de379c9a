//! Allocations as objects: get, list, lookup, update.

use super::list::{Cursor, PageRequest};
use super::release::{Fences, Target};
use crate::id::{Instance, NetworkId, OwnerId, ProjectId, Revision, Seq, Slot, SubnetId};
use crate::prefix::Family;
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Life of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum AllocationState {
    /// Nobody's.
    Free = 0,
    /// Reserved under a token.
    Held = 1,
    /// Somebody's.
    Allocated = 2,
    /// Released and resting.
    Quarantined = 3,
}

/// An allocation as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// The address (of a block: its first).
    pub address: IpAddr,
    /// Prefix length of what is held: 32 or 128 for a single address.
    pub length: u8,
    /// Prefix length of the subnet.
    pub subnet_length: u8,
    /// State.
    pub state: AllocationState,
    /// Its network.
    pub network_id: NetworkId,
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// Its project.
    pub project_id: ProjectId,
    /// Who holds it.
    pub owner: OwnerId,
    /// Ordinal among the owner's.
    pub slot: Slot,
    /// Which life of the owner.
    pub instance: Instance,
    /// Fencing token.
    pub revision: Revision,
    /// Time left of lease or hold, ms; 0 = without end.
    pub time_left_ms: u64,
    /// An update found it so already.
    #[serde(default)]
    pub repeated: bool,
    /// The text that the owner id was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Text>,
    /// Label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// Host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// The project of its network or subnet pool, if that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_project: Option<ProjectId>,
    /// It ends with the lease of its host at the latest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows_host: bool,
}

impl Allocation {
    /// What other projects see of it: where it is and whose, never who holds it or what is said of it
    /// (SPEC.md section 9, "Shared networks").
    #[must_use]
    pub fn as_others_see(self) -> Self {
        Self {
            owner: OwnerId::NIL,
            slot: Slot(0),
            instance: Instance(0),
            time_left_ms: 0,
            owner_name: None,
            label: None,
            host: None,
            manager: None,
            follows_host: false,
            ..self
        }
    }
}

/// Reads one allocation of the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationGet {
    /// Which.
    pub target: Target,
}

/// Changes what is written beside an allocation; the revision stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationUpdate {
    /// Which.
    pub target: Target,
    /// What must be so; at least one by address.
    #[serde(default, flatten)]
    pub fences: Fences,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub label: Setting<Text>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub host: Setting<Text>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub manager_name: Setting<Text>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub owner_name: Setting<Text>,
    /// Unset = unchanged, null = without end; else the lease ends so many ms after the server reads
    /// this.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub lease_ms: Setting<u64>,
    /// Unset = unchanged; whether it ends with the lease of its host at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_host: Option<bool>,
}

/// What a list shows; every given field must match.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocationFilter {
    /// This subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetId>,
    /// This family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// This state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<AllocationState>,
    /// This owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// This manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// This host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// The whole label, or one exact `key=value` pair of it (pairs are separated by commas).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// A revision higher than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<Revision>,
}

/// Lists allocations of the network of the header, ordered by subnet and address.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AllocationList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Which ones.
    #[serde(flatten)]
    pub filter: AllocationFilter,
}

/// A page of allocations; it may be empty and still have a next one (the server looks at a bounded
/// number of objects for each page).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The allocations.
    pub items: Vec<Allocation>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// Finds allocations, in the network of the header or (network all zero) in all of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// What holds this address, and the subnets that contain it.
    Address(IpAddr),
    /// What this owner holds.
    Owner(OwnerId),
}

/// What a lookup found, at most [`LOOKUPS_MAX`] of each.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lookups {
    /// Allocations.
    pub allocations: Vec<Allocation>,
    /// By address: subnets that contain it, whether or not it is held.
    pub subnets: Vec<SubnetRef>,
    /// There are more than fit.
    pub more: bool,
}

/// Most objects of each kind in a lookup's reply.
pub const LOOKUPS_MAX: usize = 256;

/// Where a subnet is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRef {
    /// Its network.
    pub network_id: NetworkId,
    /// Its id.
    pub subnet_id: SubnetId,
    /// Its prefix.
    pub cidr: crate::prefix::Prefix,
    /// The project of its network, if that is not the one that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_project: Option<ProjectId>,
}
