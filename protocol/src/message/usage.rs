//! Counts and free ranges; 128-bit, in JSON decimal strings.

use super::subnet::SubnetName;
use crate::id::{NetworkId, Revision, SubnetId};
use crate::prefix::{Family, Prefix, Range};
use serde::{Deserialize, Serialize};

/// Most free ranges in a reply.
pub const FREE_RANGES_MAX: u32 = 1_000;
/// Most subnets in a usage reply.
pub const USAGE_SUBNETS_MAX: usize = 1_000;
/// Most deleted subnets that a usage reply names; if there are more, it is whole.
pub const USAGE_GONE_MAX: usize = 1_000;
/// Most sums in a usage reply: one for each family.
pub const USAGE_TOTALS_MAX: usize = 2;

/// Counts of the network of the header, or of one subnet of it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Only this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetName>,
    /// Where to go on with the subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<super::list::Cursor>,
    /// Only subnets whose counts may have changed behind this revision of the network; with all of
    /// them only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<Revision>,
    /// Only subnets and sums of this family; with all of them only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Only the sums, without subnets; with neither of the above but a family.
    #[serde(default, skip_serializing_if = "is_false")]
    pub totals_only: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
const fn is_false(set: &bool) -> bool {
    !*set
}

/// Counts of a subnet. Inside the pools `free + held + allocated + quarantined + excluded +
/// pinned = pool_size`; what is used outside them is counted apart (SPEC.md section 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetUsage {
    /// Its id.
    pub subnet_id: SubnetId,
    /// Its prefix.
    pub cidr: Prefix,
    /// Addresses in the prefix.
    #[serde(with = "decimal")]
    pub size: u128,
    /// Addresses in the pools.
    #[serde(with = "decimal")]
    pub pool_size: u128,
    /// Free in the pools.
    #[serde(with = "decimal")]
    pub free: u128,
    /// Held in the pools.
    #[serde(with = "decimal")]
    pub held: u128,
    /// Allocated in the pools.
    #[serde(with = "decimal")]
    pub allocated: u128,
    /// Resting in the pools.
    #[serde(with = "decimal")]
    pub quarantined: u128,
    /// Excluded in the pools and not used.
    #[serde(with = "decimal")]
    pub excluded: u128,
    /// Pinned in the pools and not held.
    #[serde(with = "decimal")]
    pub pinned: u128,
    /// Allocated, held or resting outside the pools.
    #[serde(with = "decimal")]
    pub used_outside: u128,
    /// Growth over the last hour; none = unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_1h: Option<Growth>,
    /// Growth over the last day; none = unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_24h: Option<Growth>,
    /// How long its use has been watched, ms: growth over a time is unknown before that has passed. None = not
    /// yet, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_ms: Option<u64>,
}

/// Net growth of what is used of a subnet's pools, without what is excluded or pinned, over a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Addresses that more are used now; negative = fewer. In JSON a decimal string.
    #[serde(with = "decimal")]
    pub net: i128,
    /// When nothing is free any more if it goes on like that, ms from now; none = it isn't growing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted_in_ms: Option<u64>,
}

fn is_zero(revision: &Revision) -> bool {
    revision.0 == 0
}

/// Sums over all subnets of a network (of a pool: prefixes) that are of one family, each as in
/// [`SubnetUsage`]. None reaches 2^128: the subnets are disjoint and none begins at `::`; the sums of a
/// pool of all IPv6 stop at 2^128 - 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTotals {
    /// Of all of these subnets.
    pub family: Family,
    /// How many subnets these are.
    pub subnets: u32,
    /// Addresses in the prefixes.
    #[serde(with = "decimal")]
    pub size: u128,
    /// Addresses in the pools.
    #[serde(with = "decimal")]
    pub pool_size: u128,
    /// Free in the pools.
    #[serde(with = "decimal")]
    pub free: u128,
    /// Held in the pools.
    #[serde(with = "decimal")]
    pub held: u128,
    /// Allocated in the pools.
    #[serde(with = "decimal")]
    pub allocated: u128,
    /// Resting in the pools.
    #[serde(with = "decimal")]
    pub quarantined: u128,
    /// Excluded in the pools and not used.
    #[serde(with = "decimal")]
    pub excluded: u128,
    /// Pinned in the pools and not held.
    #[serde(with = "decimal")]
    pub pinned: u128,
    /// Allocated, held or resting outside the pools.
    #[serde(with = "decimal")]
    pub used_outside: u128,
}

impl UsageTotals {
    /// Those of no subnet.
    #[must_use]
    pub const fn none(family: Family) -> Self {
        Self {
            family,
            subnets: 0,
            size: 0,
            pool_size: 0,
            free: 0,
            held: 0,
            allocated: 0,
            quarantined: 0,
            excluded: 0,
            pinned: 0,
            used_outside: 0,
        }
    }

    /// With one subnet more; stops at the highest number.
    #[must_use]
    pub const fn with(self, usage: &SubnetUsage) -> Self {
        Self {
            family: self.family,
            subnets: self.subnets.saturating_add(1),
            size: self.size.saturating_add(usage.size),
            pool_size: self.pool_size.saturating_add(usage.pool_size),
            free: self.free.saturating_add(usage.free),
            held: self.held.saturating_add(usage.held),
            allocated: self.allocated.saturating_add(usage.allocated),
            quarantined: self.quarantined.saturating_add(usage.quarantined),
            excluded: self.excluded.saturating_add(usage.excluded),
            pinned: self.pinned.saturating_add(usage.pinned),
            used_outside: self.used_outside.saturating_add(usage.used_outside),
        }
    }
}

/// Counts of a network: the sums of its subnets, and the subnets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkUsage {
    /// Its id.
    pub network_id: NetworkId,
    /// The subnets of all pages are all that there are, not only those that changed: whoever polls
    /// forgets all others.
    #[serde(default)]
    pub whole: bool,
    /// Sums of the families that there are, IPv4 first; none if one subnet was asked for.
    #[serde(default)]
    pub totals: Vec<UsageTotals>,
    /// Ordered by family and prefix.
    pub subnets: Vec<SubnetUsage>,
    /// Where to go on; none = complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<super::list::Cursor>,
    /// Revision of the network when these were counted: what to ask for changes behind, taken from
    /// the first page.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: Revision,
    /// Subnets that were deleted behind the revision asked with, in the first page; one of the same id
    /// may be there again.
    #[serde(default)]
    pub gone: Vec<SubnetId>,
}

/// Asks for free ranges of a subnet's pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeRanges {
    /// Which subnet.
    pub subnet: SubnetName,
    /// Most ranges wanted, 1 to [`FREE_RANGES_MAX`]; 0 = as many as the server likes.
    #[serde(default)]
    pub limit: u32,
    /// Only at or after this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<std::net::IpAddr>,
}

/// Free ranges in rising order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeRangesReply {
    /// The subnet.
    pub subnet_id: SubnetId,
    /// Maximal free ranges inside the pools and outside the exclusions.
    pub ranges: Vec<Range>,
    /// There are more, at or after this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<std::net::IpAddr>,
}

/// Numbers that can pass 2^53 as decimal strings (SPEC.md section 12).
pub mod decimal {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    /// Writes a decimal string.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a decimal string.
    ///
    /// # Errors
    /// A text that is no number of this width.
    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
