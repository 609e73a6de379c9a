//! Rows of what lives in a network beside subnets: ports, segments, hosts, pins. Each is named by
//! the revision at which it was made, which its network never gives again.

use super::handle::{NetworkHandle, SubnetHandle};
use addrd_protocol::message::IpAllocation;
use addrd_protocol::{Mac, OwnerId, PortId, ProjectId, Revision, SegmentId, Slot, Text};

/// What kind of thing a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Thing {
    /// A [`SegmentRow`].
    Segment = 1,
    /// A [`HostRow`].
    Host = 2,
    /// A [`PortRow`].
    Port = 3,
    /// A [`PinRow`].
    Pin = 4,
}

impl Thing {
    /// Every kind, in the order in which recovery gives them: what others need comes first.
    pub const ALL: [Self; 4] = [Self::Segment, Self::Host, Self::Port, Self::Pin];

    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Segment,
            2 => Self::Host,
            3 => Self::Port,
            4 => Self::Pin,
            _ => return None,
        })
    }
}

/// A segment of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its network.
    pub network: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Revision at which it was made.
    pub created: Revision,
    /// Its id.
    pub id: SegmentId,
    /// For people.
    pub description: Option<Text>,
}

/// A host that reaches a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRow {
    /// The network.
    pub network: NetworkHandle,
    /// Revision at which it was made.
    pub created: Revision,
    /// The segment.
    pub segment: SegmentId,
    /// The host.
    pub host: Text,
}

/// Attributes of a port. Its addresses are allocations of the owner with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRow {
    /// Its network.
    pub network: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Revision at which it was made.
    pub created: Revision,
    /// Its id.
    pub id: PortId,
    /// Its MAC, unique in the network.
    pub mac: Mac,
    /// Whether it has its addresses.
    pub ip_allocation: IpAllocation,
    /// Slots that its addresses were given, a bit each. One whose allocation is gone may stay.
    pub slots: u128,
    /// Its project, if it is not that of the network.
    pub project: Option<ProjectId>,
    /// The machine that it lives on.
    pub host: Option<Text>,
    /// Who uses it.
    pub device_owner: Option<Text>,
    /// For people.
    pub description: Option<Text>,
}

/// An address kept for an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRow {
    /// Its network.
    pub network: NetworkHandle,
    /// Revision at which it was made.
    pub created: Revision,
    /// Its subnet.
    pub subnet: SubnetHandle,
    /// 0-based offset of the address in the subnet's prefix.
    pub offset: u128,
    /// For whom.
    pub owner: OwnerId,
    /// Ordinal.
    pub slot: Slot,
    /// The text that the owner id was made of.
    pub owner_name: Option<Text>,
}
