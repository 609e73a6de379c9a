//! Holds: what an allocate reserved under a token is confirmed or cancelled (SPEC.md section 9).

use super::allocation::AllocationState;
use super::release::Target;
use crate::id::Revision;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How long a hold lasts that says nothing else, ms.
pub const HOLD_MS_DEFAULT: u64 = 60_000;
/// Shortest hold, ms.
pub const HOLD_MS_MIN: u64 = 1_000;
/// Longest hold, ms: 10 years of 365 days, as of a lease.
pub const HOLD_MS_MAX: u64 = super::renew::LEASE_MS_MAX;

/// One hold of the network of the header: what confirm and cancel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnd {
    /// Which; no further fence is needed, since token and revision are fences.
    pub target: Target,
    /// The revision that the hold was answered with.
    pub revision: Revision,
    /// The token under which it is held.
    pub token: uuid::Uuid,
}

/// What has become of it. A cancellation that finds nothing is `NOT_HELD` with an empty reply instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnded {
    /// The address (of a block: its first).
    pub address: IpAddr,
    /// Prefix length of what is or was held.
    pub length: u8,
    /// Fencing token: that of the hold.
    pub revision: Revision,
    /// State now: allocated, or free.
    pub state: AllocationState,
    /// Bit 0: it was so already.
    pub repeated: bool,
    /// Bit 1: the hold had run out, and its address was still there for it.
    pub late: bool,
}
