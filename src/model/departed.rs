//! What a record still says of what is gone: enough to name it to those who watch, without a look at
//! what was there before.

use super::handle::SubnetHandle;
use super::port::Thing;
use addrd_protocol::{OwnerId, PortId, ProjectId, SegmentId, Slot};

/// Who held a cell that is free now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// The owner.
    pub owner: OwnerId,
    /// Ordinal.
    pub slot: Slot,
    /// The project, if it was not that of the network or pool.
    pub project: Option<ProjectId>,
}

/// A segment, host, port or pin that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThingWas {
    /// A segment.
    Segment(SegmentId),
    /// A host that reached a segment; which, only its own record says: a text is too long to say twice.
    Host,
    /// A port.
    Port {
        /// Its id.
        id: PortId,
        /// Its project, if it was not that of the network.
        project: Option<ProjectId>,
    },
    /// A pin.
    Pin {
        /// Its subnet.
        subnet: SubnetHandle,
        /// 0-based offset of the address in the subnet's prefix.
        offset: u128,
        /// For whom it was.
        owner: OwnerId,
        /// Ordinal.
        slot: Slot,
    },
}

impl ThingWas {
    /// Which kind of thing it was.
    #[must_use]
    pub const fn thing(&self) -> Thing {
        match self {
            Self::Segment(_) => Thing::Segment,
            Self::Host => Thing::Host,
            Self::Port { .. } => Thing::Port,
            Self::Pin { .. } => Thing::Pin,
        }
    }
}
