//! Holds: what an allocate reserved under a token is confirmed or cancelled (SPEC.md section 9).

use super::allocation::AllocationState;
use super::release::{Fences, Target};
use crate::id::Revision;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How long a hold lasts that says nothing else, ms.
pub const HOLD_MS_DEFAULT: u64 = 60_000;
/// Shortest hold, ms.
pub const HOLD_MS_MIN: u64 = 1_000;
/// Longest hold, ms: 10 years of 365 days, as of a lease.
pub const HOLD_MS_MAX: u64 = super::renew::LEASE_MS_MAX;

/// Releases one allocation under a token: it stays its owner's until the release is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRelease {
    /// Which; by address at least one fence must be given.
    pub target: Target,
    /// What must be so.
    #[serde(default, flatten)]
    pub fences: Fences,
    /// The token.
    pub token: uuid::Uuid,
    /// How long it can be confirmed, ms ([`HOLD_MS_MIN`] to [`HOLD_MS_MAX`]); `None` =
    /// [`HOLD_MS_DEFAULT`]. (On the wire 0 = none.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
}

/// One hold of the network of the header: what confirm and cancel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnd {
    /// Which; no further fence is needed, since token and revision are fences.
    pub target: Target,
    /// The revision that the hold was answered with.
    pub revision: Revision,
    /// The token under which it is held.
    pub token: uuid::Uuid,
    /// What is held is a release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub release: bool,
}

/// What has become of it. Where nothing is left to end it is `NOT_HELD` with an empty reply instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnded {
    /// The address (of a block: its first).
    pub address: IpAddr,
    /// Prefix length of what is or was held.
    pub length: u8,
    /// Fencing token: that of the hold.
    pub revision: Revision,
    /// State now: allocated; of what is gone free, or quarantined.
    pub state: AllocationState,
    /// Bit 0: it was so already.
    pub repeated: bool,
    /// Bit 1: the hold had run out, and its address was still there for it.
    pub late: bool,
}
