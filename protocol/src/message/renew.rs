//! Renew: leases that go on, one or all that an owner has in a network (SPEC.md section 9).

use super::release::{Fences, Target};
use crate::id::{Instance, OwnerId, Revision};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Shortest lease, ms.
pub const LEASE_MS_MIN: u64 = 1_000;
/// Longest lease, ms: 10 years of 365 days.
pub const LEASE_MS_MAX: u64 = 315_360_000_000;
/// Most allocations that are renewed by naming their owner alone.
pub const RENEW_OWNER_MAX: usize = 1_024;

/// Lets the lease of one allocation end so long after the server reads this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// Which; by address at least one fence must be given.
    pub target: Target,
    /// What must be so.
    #[serde(default, flatten)]
    pub fences: Fences,
    /// [`LEASE_MS_MIN`] to [`LEASE_MS_MAX`].
    pub lease_ms: u64,
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The address (of a block: its first).
    pub address: IpAddr,
    /// Prefix length of what is held.
    pub length: u8,
    /// Fencing token, which a renewal keeps.
    pub revision: Revision,
    /// Time left, ms; 0 = it has no lease and was left so.
    pub time_left_ms: u64,
}

/// Renews all leases that an owner has in the network of the header, or without one in all networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewOwner {
    /// Whose.
    pub owner: OwnerId,
    /// Only what this instance holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// [`LEASE_MS_MIN`] to [`LEASE_MS_MAX`].
    pub lease_ms: u64,
}

/// How many of each kind the owner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RenewedOwner {
    /// Leases that were renewed.
    pub renewed: u32,
    /// Allocations without a lease; nothing was to be done.
    pub endless: u32,
    /// Leases that have ended.
    pub expired: u32,
    /// Held by another instance than the one given.
    pub stale: u32,
}
