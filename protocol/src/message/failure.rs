//! Every answer that is not done: status, where, and details by tag (SPEC.md section 10).

use super::allocation::Allocation;
use crate::id::{Instance, NetworkId, Revision, SubnetId};
use crate::prefix::Prefix;
use crate::status::Status;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Most candidates that a failure lists.
pub const FAILURE_CANDIDATES_MAX: usize = 16;
/// Most details of a failure; more are left out.
pub const DETAILS_MAX: usize = 32;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened; its class tells what to do.
    pub status: Status,
    /// Try again after this, ms; 0 = no advice.
    #[serde(default)]
    pub retry_after_ms: u32,
    /// 0-based number of the item in a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u16>,
    /// Name of the field, as in the JSON of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Text>,
    /// For people, never parsed; at most 255 bytes.
    pub message: Text,
    /// For programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// Numbers and objects behind a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// A value and its bounds (inclusive). Decimal strings in JSON.
    Bounds {
        /// What was given.
        #[serde(with = "super::usage::decimal")]
        value: u128,
        /// Least allowed.
        #[serde(with = "super::usage::decimal")]
        least: u128,
        /// Most allowed.
        #[serde(with = "super::usage::decimal")]
        most: u128,
    },
    /// What is held, if the caller may see it.
    Held(Box<Allocation>),
    /// The revision and instance held now.
    Current {
        /// Fencing token now.
        revision: Revision,
        /// Instance now.
        instance: Instance,
    },
    /// The other subnet, if visible.
    Other {
        /// Its network.
        network_id: NetworkId,
        /// Its id; all zero for a network.
        subnet_id: SubnetId,
        /// Its prefix; absent for a network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cidr: Option<Prefix>,
    },
    /// A count that stands in the way (live allocations, objects).
    Count {
        /// How many.
        #[serde(with = "super::usage::decimal")]
        count: u128,
    },
    /// One candidate subnet.
    Candidate(Candidate),
    /// A quota, in its units. Decimal strings in JSON.
    Quota {
        /// What it limits.
        resource: QuotaResource,
        /// Most that the project may use.
        #[serde(with = "super::usage::decimal")]
        limit: u128,
        /// What it uses now, rounded up.
        #[serde(with = "super::usage::decimal")]
        used: u128,
        /// What the request asks for, rounded up.
        #[serde(with = "super::usage::decimal")]
        asked: u128,
    },
    /// Name of a bound of the server.
    Bound {
        /// As in docs and metrics.
        name: Text,
    },
}

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum QuotaResource {
    /// What a project uses of a subnet pool, in units of /32 or /64.
    Pool = 1,
    /// Addresses of a project.
    Addresses = 2,
    /// Prefixes of a project.
    Prefixes = 3,
    /// Networks of a project.
    Networks = 4,
    /// Subnets of a project.
    Subnets = 5,
    /// Ports of a project.
    Ports = 6,
    /// Resting addresses of a project.
    Resting = 7,
}

/// Why one candidate subnet gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The subnet.
    pub subnet_id: SubnetId,
    /// Why.
    pub reason: CandidateReason,
    /// Addresses in its pools.
    #[serde(with = "super::usage::decimal")]
    pub pool_size: u128,
    /// Allocated in them.
    #[serde(with = "super::usage::decimal")]
    pub allocated: u128,
    /// Held in them.
    #[serde(with = "super::usage::decimal")]
    pub held: u128,
    /// Resting in them.
    #[serde(with = "super::usage::decimal")]
    pub quarantined: u128,
    /// Excluded in them.
    #[serde(with = "super::usage::decimal")]
    pub excluded: u128,
    /// The next resting address is free in, ms; 0 = none rests.
    pub next_free_in_ms: u64,
}

/// Why a candidate fell out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum CandidateReason {
    /// All addresses are used.
    Exhausted = 1,
    /// Another family.
    Family = 2,
    /// The limit does not touch its pools.
    Limit = 3,
    /// Being deleted.
    Deleting = 4,
    /// It has no pools.
    NoPools = 5,
    /// The block is larger than the subnet.
    Length = 6,
    /// No such subnet in the network.
    NotFound = 7,
    /// Free addresses exist, but no aligned free block of the length.
    Fragmented = 8,
    /// It gives only addresses that follow from a MAC, and was not named.
    AutoAddress = 9,
    /// It is for other services than the one that asks.
    ServiceType = 10,
    /// It is on a segment that does not reach the one that asks.
    Segment = 11,
}
