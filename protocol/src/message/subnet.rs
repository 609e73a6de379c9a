//! Subnets and their excluded ranges.

use super::allocate::Strategy;
use super::list::{Cursor, PageRequest};
use super::pool::FromPool;
use crate::id::{JobId, NetworkId, PoolId, Revision, SegmentId, Seq, SubnetId};
use crate::prefix::{Prefix, Range};
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most allocation pools of a subnet.
pub const POOLS_MAX: usize = 64;
/// Most excluded ranges of a subnet.
pub const EXCLUSIONS_MAX: usize = 64;
/// Most DNS servers of a subnet (Neutron's default bound).
pub const DNS_SERVERS_MAX: usize = 5;
/// Most routes of a subnet (Neutron's default bound).
pub const ROUTES_MAX: usize = 20;
/// Most service types of a subnet.
pub const SERVICE_TYPES_MAX: usize = 8;
/// Most live allocations that the reply to an exclusion names.
pub const LIVE_INSIDE_MAX: usize = 64;
/// Most subnets that the reply to a creation names.
pub const OVERLAPS_MAX: usize = 16;

/// How long addresses of a subnet rest that says nothing, ms.
pub const QUARANTINE_MS_DEFAULT: u64 = 30_000;
/// Longest rest, ms: 365 days.
pub const QUARANTINE_MS_MAX: u64 = 365 * 24 * 3_600_000;

/// What is kept back in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum SubnetKind {
    /// Network, broadcast and gateway address are kept back (Neutron's rules).
    #[default]
    Broadcast = 1,
    /// Every address can be used, no gateway unless given.
    Routed = 2,
}

/// How hosts of an IPv6 subnet get their addresses. In JSON as Neutron writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Ipv6Mode {
    /// Each host makes its address from the prefix and its MAC.
    #[serde(rename = "slaac")]
    Slaac = 1,
    /// DHCPv6 gives the address.
    #[serde(rename = "dhcpv6-stateful")]
    Stateful = 2,
    /// Like `Slaac`; DHCPv6 gives what else there is.
    #[serde(rename = "dhcpv6-stateless")]
    Stateless = 3,
}

impl Ipv6Mode {
    /// Whether hosts make their addresses themselves.
    #[must_use]
    pub const fn is_automatic(self) -> bool {
        matches!(self, Self::Slaac | Self::Stateless)
    }
}

/// Whom a subnet serves and how. Members of the subnet's own object in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// What routers announce. Never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_ra_mode: Option<Ipv6Mode>,
    /// How addresses are given. Never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// Device owners that it is for, at most [`SERVICE_TYPES_MAX`]; empty = everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_types: Vec<Text>,
    /// The segment that it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<SegmentId>,
}

impl Service {
    /// Whether its addresses follow from MACs (one of the modes says so).
    #[must_use]
    pub fn is_auto_address(&self) -> bool {
        let modes = [self.ipv6_ra_mode, self.ipv6_address_mode];
        modes.into_iter().flatten().any(Ipv6Mode::is_automatic)
    }

    /// Whether any request of the network may draw from it without naming it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_auto_address() && self.service_types.is_empty() && self.segment_id.is_none()
    }
}

/// A route that clients of the subnet should have; stored, not interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: Prefix,
    /// By way of, same family.
    pub next_hop: IpAddr,
}

/// Creates a subnet in the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetCreate {
    /// Chosen by the client.
    pub subnet_id: SubnetId,
    /// The prefix.
    pub cidr: Prefix,
    /// What is kept back.
    #[serde(default)]
    pub kind: SubnetKind,
    /// Strategy of requests that name none.
    #[serde(default)]
    pub strategy: Strategy,
    /// Stored; decides nothing here.
    #[serde(default)]
    pub enable_dhcp: bool,
    /// Unset = automatic, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub gateway: Setting<IpAddr>,
    /// Unset or null = default pools, empty = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub pools: Setting<Vec<Range>>,
    /// At most [`DNS_SERVERS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_servers: Vec<IpAddr>,
    /// At most [`ROUTES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Unique in the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Taken from a subnet pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_pool: Option<Box<FromPool>>,
    /// How long an address rests once it was released, ms, at most [`QUARANTINE_MS_MAX`]; 0 = not at
    /// all, unset = [`QUARANTINE_MS_DEFAULT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_ms: Option<u64>,
    /// Whom it serves and how.
    #[serde(flatten)]
    pub service: Service,
}

/// How a request names a subnet of the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubnetName {
    /// By id.
    Id(SubnetId),
    /// By name.
    Name(Text),
    /// By its exact prefix.
    Cidr(Prefix),
}

/// Reads a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetGet {
    /// Which.
    pub subnet: SubnetName,
}

/// Lists the subnets of a network, ordered by family and prefix.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubnetList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
}

/// Changes a subnet. The prefix, kind and family never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetUpdate {
    /// Which.
    pub subnet_id: SubnetId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// Null or value; unset = unchanged. Null on the strategy means the default one.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub strategy: Setting<Strategy>,
    /// Unset = unchanged, null = off.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub enable_dhcp: Setting<bool>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub gateway: Setting<IpAddr>,
    /// Unset = unchanged, null = default pools, empty = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub pools: Setting<Vec<Range>>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub dns_servers: Setting<Vec<IpAddr>>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub routes: Setting<Vec<Route>>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub name: Setting<Text>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
    /// Unset = unchanged, null or empty = everybody.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub service_types: Setting<Vec<Text>>,
    /// Unset = unchanged; a subnet that is on no segment can be put on the only one there is.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub segment_id: Setting<SegmentId>,
    /// Unset = unchanged, null = [`QUARANTINE_MS_DEFAULT`]. What rests already rests on as before.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub quarantine_ms: Setting<u64>,
}

impl SubnetUpdate {
    /// Nothing changes, whatever the revision is.
    #[must_use]
    pub const fn of(subnet_id: SubnetId) -> Self {
        Self {
            subnet_id,
            expected: Revision(0),
            strategy: Setting::Unset,
            enable_dhcp: Setting::Unset,
            gateway: Setting::Unset,
            pools: Setting::Unset,
            dns_servers: Setting::Unset,
            routes: Setting::Unset,
            name: Setting::Unset,
            description: Setting::Unset,
            service_types: Setting::Unset,
            segment_id: Setting::Unset,
            quarantine_ms: Setting::Unset,
        }
    }
}

/// Deletes a subnet. With live allocations only if forced, as a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetDelete {
    /// Which.
    pub subnet_id: SubnetId,
    /// Release what is live.
    #[serde(default)]
    pub force: bool,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// Whom an exclusion binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum ExclusionMode {
    /// Never handed out automatically; exact requests may have it.
    #[default]
    Automatic = 1,
    /// Not handed out at all.
    Everyone = 2,
}

/// A range that is kept back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The range; does not overlap another one of the subnet.
    #[serde(flatten)]
    pub range: Range,
    /// Whom it binds.
    #[serde(default)]
    pub mode: ExclusionMode,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// Adds an exclusion; the same range again replaces mode and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetExclude {
    /// Which subnet.
    pub subnet_id: SubnetId,
    /// What is kept back.
    #[serde(flatten)]
    pub exclusion: Exclusion,
}

/// Ends the exclusion of exactly this range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetInclude {
    /// Which subnet.
    pub subnet_id: SubnetId,
    /// Exactly the range of an exclusion.
    #[serde(flatten)]
    pub range: Range,
}

/// A subnet as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub subnet_id: SubnetId,
    /// Its network.
    pub network_id: NetworkId,
    /// Revision of its attributes.
    pub revision: Revision,
    /// The prefix.
    pub cidr: Prefix,
    /// What is kept back.
    pub kind: SubnetKind,
    /// Strategy of requests that name none.
    pub strategy: Strategy,
    /// Stored; decides nothing here.
    pub enable_dhcp: bool,
    /// A job is deleting it.
    pub deleting: bool,
    /// It existed before with the same unchangeable fields (only in the reply to a creation).
    #[serde(default)]
    pub repeated: bool,
    /// Live allocations.
    pub allocations: u64,
    /// Its gateway; none = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Its allocation pools, in drawing order.
    #[serde(default)]
    pub pools: Vec<Range>,
    /// DNS servers.
    #[serde(default)]
    pub dns_servers: Vec<IpAddr>,
    /// Routes.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Excluded ranges, ordered by address.
    #[serde(default)]
    pub exclusions: Vec<Exclusion>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// In the reply to an exclusion: live allocations inside the range, the first
    /// [`LIVE_INSIDE_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live_inside: Vec<IpAddr>,
    /// In the reply to a creation: visible subnets of other networks that it overlaps, the
    /// first [`OVERLAPS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<SubnetId>,
    /// How long an address rests once it was released, ms; 0 = not at all.
    #[serde(default)]
    pub quarantine_ms: u64,
    /// The subnet pool that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_pool_id: Option<PoolId>,
    /// Whom it serves and how.
    #[serde(flatten)]
    pub service: Service,
    /// In the reply to a creation: the job that gives existing ports their addresses in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<JobId>,
}

/// A page of subnets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The subnets, ordered by family and prefix.
    pub items: Vec<Subnet>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
