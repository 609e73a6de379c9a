//! Managers and their hosts: which there are, and which of what they hold still lives (SPEC.md section 9).

use super::allocation::Allocation;
use super::list::Cursor;
use crate::id::{Instance, OwnerId, Slot};
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Most entries of one part of a list of what lives.
pub const RECONCILE_LIVE_MAX: usize = 2_048;
/// Most parts of a call.
pub const RECONCILE_PARTS_MAX: u16 = 1_024;
/// Shortest grace between two calls, ms.
pub const GRACE_MS_MIN: u32 = 1_000;
/// Longest grace between two calls, ms: a day.
pub const GRACE_MS_MAX: u32 = 86_400_000;
/// Grace of those who name none, ms.
pub const GRACE_MS_DEFAULT: u32 = 60_000;

/// Something that lives on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Its owner.
    pub owner: OwnerId,
    /// Ordinal among the owner's.
    #[serde(default)]
    pub slot: Slot,
    /// Which life of the owner; 0 = whichever holds it.
    #[serde(default)]
    pub instance: Instance,
}

/// A part of a list of everything that lives on a host, in the network of the header or (network all
/// zero) in all networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// The manager, at most 64 bytes.
    pub manager: Text,
    /// The host.
    pub host: Text,
    /// Number of the call, not 0: that of a later one is higher. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub call: u64,
    /// Which part, 0-based.
    #[serde(default)]
    pub part: u16,
    /// How many parts the call has, 1 to [`RECONCILE_PARTS_MAX`].
    #[serde(default = "one_part")]
    pub parts: u16,
    /// Time between the end of one call and the beginning of the next that releases, ms,
    /// [`GRACE_MS_MIN`] to [`GRACE_MS_MAX`]; the longest of both calls counts.
    #[serde(default = "default_grace")]
    pub grace_ms: u32,
    /// Changes nothing, only tells what would be; one part only.
    #[serde(default)]
    pub dry_run: bool,
    /// What lives, at most [`RECONCILE_LIVE_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<Live>,
}

const fn default_grace() -> u32 {
    GRACE_MS_DEFAULT
}

const fn one_part() -> u16 {
    1
}

/// What became of a part and of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reconciled {
    /// Number of the call. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub call: u64,
    /// All parts of the call have come.
    pub complete: bool,
    /// Parts that are missing.
    pub parts_missing: u16,
    /// There are suspects of an earlier call, whose grace this one came too early for.
    pub too_early: bool,
    /// Releases that this call brought about are still worked off; ask again with any part.
    pub releasing: bool,
    /// `suspects` and, of a dry run, `released` are at least so many.
    pub more: bool,
    /// Allocations of the host that the part named.
    pub listed: u64,
    /// Allocations of other hosts of the manager that the part named.
    pub elsewhere: u64,
    /// Allocations that it named, held by another instance than it said: they don't count as listed.
    pub other_instance: u64,
    /// Suspects of the host, once the call is complete.
    pub suspects: u64,
    /// Released because of this call so far; of a dry run: what would be.
    pub released: u64,
}

/// Lists suspects of the network of the header or (network all zero) of all networks.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SuspectList {
    /// Of this manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// Of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Where the page before said to go on; the filters stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// Most suspects of a reply.
pub const SUSPECTS_MAX: usize = 256;

/// Suspects, at most [`SUSPECTS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Suspects {
    /// The suspects.
    pub allocations: Vec<Allocation>,
    /// There are more than fit, or than were looked for.
    pub more: bool,
    /// The cursor of the next page; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// Lists the managers that keep allocations of the project, or the hosts of one.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManagerList {
    /// Most that are wanted, 1 to [`super::list::PAGE_OBJECTS_MAX`]; 0 = as many as the server likes.
    #[serde(default)]
    pub limit: u32,
    /// The hosts of this manager; none = managers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// Only names behind this one, in the order of their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Text>,
}

/// A manager, or a host of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerUse {
    /// Its name; of hosts none = allocations of the manager that name no host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Of a manager: hosts that have allocations. Of a host: 0.
    pub hosts: u64,
    /// Allocations that it keeps.
    pub allocations: u64,
}

/// Managers or hosts by name.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManagerPage {
    /// The managers, or the hosts.
    pub items: Vec<ManagerUse>,
    /// There are more behind the last one.
    pub more: bool,
}
