//! Effects: what a decision changed, absolute ("this cell is now .."). The journal stores them as
//! records; absorbing one again changes nothing. They never ask for a decision.

use super::asked::Asked;
use super::catalogue::{ObjectRef, PoolRow, PrincipalRow, ProjectRow, ScopeRow};
use super::departed::{HeldBy, ThingWas};
use super::handle::{NetworkHandle, SubnetHandle};
use super::host_lease::{HostLeaseRow, HostName};
use super::port::{HostRow, PinRow, PortRow, SegmentRow};
use super::tick::Tick;
use addrd_protocol::message::{
    AllocationState, Exclusion, JobKind, Route, Service, Strategy, SubnetKind,
};
use addrd_protocol::{
    Instance, JobId, NetworkId, OwnerId, Prefix, ProjectId, Range, Revision, Slot, SubnetId, Text,
};
use std::net::IpAddr;

/// One change of state, absolute.
///
/// Each carries the revision that it has in its network (+1 an effect).
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The network is now so.
    NetworkPut(Box<NetworkRow>),
    /// The network is gone; it has no subnets any more.
    NetworkGone {
        /// Which.
        network: NetworkHandle,
        /// Its last revision.
        revision: Revision,
    },
    /// The subnet is now so (its exclusions stand apart).
    SubnetPut(Box<SubnetRow>),
    /// The subnet is gone with its exclusions; it has no allocations any more.
    SubnetGone {
        /// Its network.
        network: NetworkHandle,
        /// Which.
        subnet: SubnetHandle,
        /// Revision of this change.
        revision: Revision,
    },
    /// The range is excluded from now on; replaces one of exactly the same range.
    ExclusionPut(Box<ExclusionRow>),
    /// The exclusion of exactly this range is over.
    ExclusionGone {
        /// Its network.
        network: NetworkHandle,
        /// Its subnet.
        subnet: SubnetHandle,
        /// Revision of this change.
        revision: Revision,
        /// First offset of its range.
        first: u128,
    },
    /// The cell is now held so.
    AllocationPut(AllocationRow),
    /// The cell is now free.
    AllocationGone {
        /// Where it was.
        place: AllocationPlace,
        /// Revision of the release.
        revision: Revision,
        /// Who held it. `None`: nobody; it has rested.
        held_by: Option<HeldBy>,
    },
    /// The segment is now so.
    SegmentPut(Box<SegmentRow>),
    /// The host reaches the segment from now on.
    HostPut(Box<HostRow>),
    /// The port is now so (its addresses stand apart).
    PortPut(Box<PortRow>),
    /// The address is kept from now on.
    PinPut(Box<PinRow>),
    /// A segment, host, port or pin is gone.
    ThingGone {
        /// Its network.
        network: NetworkHandle,
        /// Revision of this change.
        revision: Revision,
        /// Revision at which it was made.
        created: Revision,
        /// What it was.
        was: ThingWas,
    },
    /// The job is now so.
    JobPut(JobRow),
    /// The job is forgotten.
    JobGone {
        /// The network that it worked on.
        network: NetworkHandle,
        /// Revision of this change; 0 once its network is gone.
        revision: Revision,
        /// Which.
        job: JobId,
    },
    /// The project is now so.
    ProjectPut(Box<ProjectRow>),
    /// The address scope is now so.
    ScopePut(Box<ScopeRow>),
    /// The subnet pool is now so.
    PoolPut(Box<PoolRow>),
    /// The principal is now so, its tokens among it.
    PrincipalPut(Box<PrincipalRow>),
    /// The project, scope, pool or principal is gone; nothing is taken from it any more.
    ObjectGone {
        /// Which.
        object: NetworkHandle,
        /// Its last revision.
        revision: Revision,
    },
    /// The use of a subnet or subnet pool has crossed a level.
    LevelPut(LevelRow),
    /// The lease of a host is now so.
    HostLeasePut(Box<HostLeaseRow>),
    /// The host has no lease any more: what followed it has ended.
    HostLeaseGone {
        /// Whose.
        of: Box<HostName>,
        /// The last life that began; a lease of a later one is not meant.
        life: u64,
    },
    /// Who asked for what stands behind it in the batch. Changes nothing.
    Asked(Asked),
    /// Adoption mode is now so: begun at this tick, or not on (0).
    Adoption {
        /// When it began.
        since: Tick,
    },
}

impl Effect {
    /// Number and revision of what it puts, if that is something with a number of the one sequence.
    #[must_use]
    pub fn numbered(&self) -> Option<(NetworkHandle, Revision)> {
        match self {
            Self::NetworkPut(row) => Some((row.network, row.revision)),
            Self::ProjectPut(row) => Some((row.handle, row.revision)),
            Self::ScopePut(row) => Some((row.handle, row.revision)),
            Self::PoolPut(row) => Some((row.handle, row.revision)),
            Self::PrincipalPut(row) => Some((row.handle, row.revision)),
            _ => None,
        }
    }
}

/// Attributes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRow {
    /// Its number.
    pub network: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: NetworkId,
    /// A job is deleting it.
    pub deleting: bool,
    /// Other projects may use it.
    pub shared: bool,
    /// Unique in the project.
    pub name: Option<Text>,
    /// For people.
    pub description: Option<Text>,
    /// Address scope of its IPv4 subnets.
    pub scope_v4: Option<ObjectRef>,
    /// Address scope of its IPv6 subnets.
    pub scope_v6: Option<ObjectRef>,
}

/// Attributes of a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetRow {
    /// Its network.
    pub network: NetworkHandle,
    /// Its number.
    pub subnet: SubnetHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its id.
    pub id: SubnetId,
    /// Its prefix.
    pub prefix: Prefix,
    /// What is kept back.
    pub kind: SubnetKind,
    /// Strategy of requests that name none; never `Default`.
    pub strategy: Strategy,
    /// Stored, decides nothing.
    pub enable_dhcp: bool,
    /// A job is deleting it.
    pub deleting: bool,
    /// Its gateway.
    pub gateway: Option<IpAddr>,
    /// Its pools in drawing order, disjoint, inside the prefix.
    pub pools: Vec<Range>,
    /// DNS servers.
    pub dns_servers: Vec<IpAddr>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Unique in the network.
    pub name: Option<Text>,
    /// For people.
    pub description: Option<Text>,
    /// The subnet pool that its prefix is taken from.
    pub pool: Option<ObjectRef>,
    /// How long what is released rests, ms; 0 = not at all.
    pub quarantine_ms: u64,
    /// Whom it serves and how.
    pub service: Service,
    /// The highest level of use that it was told to be at, percent; 0 = none.
    pub level: u8,
}

/// A level that the use of a subnet or subnet pool has crossed.
///
/// Source: docs/decisions/0029-usage-levels.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelRow {
    /// The network of the subnet, or the pool.
    pub network: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// The subnet; `None` = the pool.
    pub subnet: Option<SubnetHandle>,
    /// The highest level that it is at now, percent; 0 = below all of them.
    pub level: u8,
    /// The same before.
    pub before: u8,
    /// Addresses in use when that was noticed.
    pub used: u128,
    /// Of how many.
    pub size: u128,
}

/// An excluded range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExclusionRow {
    /// Its network.
    pub network: NetworkHandle,
    /// Its subnet.
    pub subnet: SubnetHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Range, mode and reason.
    pub exclusion: Exclusion,
}

/// Where an allocation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationPlace {
    /// Its network.
    pub network: NetworkHandle,
    /// Its subnet.
    pub subnet: SubnetHandle,
    /// 0-based offset of its (first) address in the subnet's prefix.
    pub offset: u128,
    /// It covers `2^block_bits` addresses, aligned; 0 = a single address.
    pub block_bits: u8,
}

impl AllocationPlace {
    /// Where `next` goes on behind this place: what [`AllocationRow::moves_cursor`] stores.
    ///
    /// Units: 0-based offset; one past the place, 0 past the top of IPv6.
    #[must_use]
    pub fn cursor_behind(&self) -> u128 {
        let size = 1_u128.checked_shl(self.block_bits.into()).unwrap_or(0);
        self.offset.wrapping_add(size)
    }
}

/// A held cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationRow {
    /// Where.
    pub place: AllocationPlace,
    /// Fencing token: the revision at which it was created or changed hands.
    pub revision: Revision,
    /// Revision of this change; equal to `revision` except for updates that keep the token.
    pub changed: Revision,
    /// Who holds it.
    pub owner: OwnerId,
    /// Ordinal.
    pub slot: Slot,
    /// Which life of the owner; 0 = unused.
    pub instance: Instance,
    /// Never `Free`.
    pub state: AllocationState,
    /// The cursor of `next` of the subnet stands behind this block from now on
    /// ([`AllocationPlace::cursor_behind`]).
    pub moves_cursor: bool,
    /// What is rare; `None` costs nothing.
    pub extras: Option<Box<AllocationExtras>>,
}

/// Rare fields of an allocation. Those of operations that are not built yet have their place.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AllocationExtras {
    /// End of lease or hold, ms since the Unix epoch.
    pub deadline: Option<u64>,
    /// End of quarantine, ms since the Unix epoch; of what is held, that of a rest before it; of what is
    /// allocated, with a token, the time until which its release can be confirmed.
    pub quarantine_end: Option<u64>,
    /// The project, if it is not that of the network.
    pub project: Option<ProjectId>,
    /// The object that it belongs to: a port; of a prefix of a pool a network (then its subnet is the
    /// owner) or another pool.
    pub port: Option<uuid::Uuid>,
    /// Token of its hold.
    pub token: Option<uuid::Uuid>,
    /// Which item of its hold it is, where the server chose the slot; only beside a token.
    pub item: Option<u16>,
    /// Number of the principal that asked.
    pub principal: Option<u32>,
    /// Trace id of the request; in the journal only, not in the state.
    pub trace: Option<uuid::Uuid>,
    /// Who held it until this record, if it was transferred; in the journal only, not in the state.
    pub former: Option<Box<HeldBy>>,
    /// The life of its host whose lease it follows, never 0: it ends with that at the latest.
    pub follows: Option<u64>,
    /// The system that keeps it here.
    pub manager: Option<Text>,
    /// The machine that it lives on.
    pub host: Option<Text>,
    /// Label.
    pub label: Option<Text>,
    /// The text that the owner id was made of.
    pub owner_name: Option<Text>,
}

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// The network that it works on.
    pub network: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its number.
    pub job: JobId,
    /// Project of the network (kept for readers after the network is gone).
    pub project: ProjectId,
    /// Id of the network.
    pub network_id: NetworkId,
    /// What it does.
    pub kind: JobKind,
    /// The subnet that it works on; all zero = the network.
    pub subnet_id: SubnetId,
    /// It is finished.
    pub finished: bool,
    /// Objects done.
    pub done: u64,
    /// Objects there were at its start.
    pub total: u64,
    /// Of a job that goes through ports: the revision at which the last one looked at was made.
    pub cursor: Revision,
    /// Of such a job: ports made later than at this revision are none of its business.
    pub until: Revision,
}

/// Where deciding code puts its effects; the journal's encoder is one.
pub trait EffectSink {
    /// Appends an effect.
    fn push(&mut self, effect: &Effect);
    /// Bytes so far; a place to go back to.
    fn bytes(&self) -> usize;
    /// Forgets everything behind a place that [`EffectSink::bytes`] gave.
    fn truncate(&mut self, bytes: usize);
    /// Appends an effect that nobody asked for, though it comes up while somebody asks for something.
    fn push_unasked(&mut self, effect: &Effect) {
        self.push(effect);
    }
}

/// A sink for what nobody asked for, in front of another.
#[derive(Debug)]
pub struct Unasked<'a, S>(pub &'a mut S);

impl<S: EffectSink> EffectSink for Unasked<'_, S> {
    fn push(&mut self, effect: &Effect) {
        self.0.push_unasked(effect);
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }
}
