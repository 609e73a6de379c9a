//! Allocate: the hot request. The plain body is 32 bytes; what is rare travels in the tail.

use super::allocation::AllocationState;
use super::subnet::Route;
use crate::id::{Instance, OwnerId, Revision, Slot, SubnetId};
use crate::mac::Mac;
use crate::prefix::Range;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most candidate subnets of a request.
pub const CANDIDATES_MAX: usize = 16;
/// Highest slot of a request that takes two.
pub const PAIR_SLOT_MAX: u16 = u16::MAX - 1;

/// Which families are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum FamilyChoice {
    /// Any single address, IPv4 first.
    #[default]
    One = 1,
    /// One IPv4 address.
    V4 = 4,
    /// One IPv6 address.
    V6 = 6,
    /// One for every family that the network has, all or nothing.
    Each = 2,
    /// One IPv4 and one IPv6 address, all or nothing.
    Both = 3,
}

/// How a free address is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Strategy {
    /// As the subnet says (in a subnet: `next`).
    #[default]
    Default = 0,
    /// The lowest free address.
    Lowest = 1,
    /// The first free one after the last that was handed out, wrapping.
    Next = 2,
    /// The first free one at or after a random place, wrapping.
    Random = 3,
    /// The first free one at or after a place derived from owner and slot, wrapping.
    Hashed = 4,
    /// Only the exact address given.
    Exact = 5,
    /// EUI-64 of the MAC given, in an IPv6 subnet of 64 bits.
    Eui64 = 6,
}

/// Switches of an allocate request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocateFlags {
    /// Bit 0: take over from another instance of the same key.
    pub takeover: bool,
    /// Bit 1: the exact address may be the gateway.
    pub allow_gateway: bool,
    /// Bit 2: take the longest-resting address when none is free; not built yet.
    pub allow_resting: bool,
    /// Bit 3: reply with gateway, DNS servers and routes.
    pub want_subnet: bool,
}

/// Allocates for (network of the header, owner, slot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocate {
    /// Who will hold it.
    pub owner: OwnerId,
    /// Ordinal among the owner's.
    #[serde(default)]
    pub slot: Slot,
    /// Which life of the owner asks; 0 = unused.
    #[serde(default)]
    pub instance: Instance,
    /// Which families.
    #[serde(default)]
    pub family: FamilyChoice,
    /// How to choose.
    #[serde(default)]
    pub strategy: Strategy,
    /// Prefix length of an aligned block; `None` = a single address. (On the wire 255 = none.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u8>,
    /// Switches.
    #[serde(default)]
    pub flags: AllocateFlags,
    /// What is rare; `None` = a plain request (and never a box in which nothing is set).
    #[serde(flatten, deserialize_with = "extras")]
    pub extras: Option<Box<AllocateExtras>>,
}

/// A flattened `Option` is never absent in serde's eyes: without a field it is `None` here.
fn extras<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Box<AllocateExtras>>, D::Error> {
    let extras = AllocateExtras::deserialize(from)?;
    Ok((extras != AllocateExtras::default()).then(|| Box::new(extras)))
}

/// The optional fields, each a critical tag of the tail.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocateExtras {
    /// Candidate subnets in order, at most [`CANDIDATES_MAX`]; empty = all of the network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<SubnetId>,
    /// Exactly this address (of a block: its first).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<IpAddr>,
    /// This address if it is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<IpAddr>,
    /// Only inside this range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Range>,
    /// Lease duration, ms ([`super::renew::LEASE_MS_MIN`] to [`super::renew::LEASE_MS_MAX`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// It is held under this token until it is confirmed; never all zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_token: Option<uuid::Uuid>,
    /// How long it is held, ms ([`super::hold::HOLD_MS_MIN`] to [`super::hold::HOLD_MS_MAX`]); unset =
    /// [`super::hold::HOLD_MS_DEFAULT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// Which item of the hold it is, for a caller that leaves the slot (0 in the request) to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_item: Option<u16>,
    /// Manager, at most 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// Host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// The text that the owner id was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Text>,
    /// MAC from which strategy `eui64` makes the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// It ends with the lease of its host at the latest; needs manager and host.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow_host: bool,
    /// Trace id for history; not a critical tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<uuid::Uuid>,
}

/// One address of the reply; 56 bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatedAddress {
    /// The address (of a block: its first).
    pub address: IpAddr,
    /// Prefix length of what is held: 32 or 128 for a single address.
    pub length: u8,
    /// Prefix length of the subnet.
    pub subnet_length: u8,
    /// The subnet.
    pub subnet_id: SubnetId,
    /// Ordinal.
    pub slot: Slot,
    /// Fencing token.
    pub revision: Revision,
    /// State.
    pub state: AllocationState,
    /// Time left of lease or hold, ms; 0 = without end.
    pub time_left_ms: u64,
    /// Bit 0: held before this request.
    pub repeated: bool,
    /// Bit 1: it is the preferred one.
    pub was_preferred: bool,
    /// Bit 2: taken out of quarantine.
    pub from_quarantine: bool,
    /// Bit 3: taken over from another instance.
    pub taken_over: bool,
}

/// What a CNI plugin needs besides the address.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubnetSettings {
    /// Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// DNS servers.
    #[serde(default)]
    pub dns_servers: Vec<IpAddr>,
    /// Routes.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// Reply of an allocation: one address, or two (`each`, `both`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    /// The first address.
    pub first: AllocatedAddress,
    /// The second (IPv6) address of `each` and `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<AllocatedAddress>,
    /// With `want_subnet`: settings for each address, in the same order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Box<[SubnetSettings; 2]>>,
}
