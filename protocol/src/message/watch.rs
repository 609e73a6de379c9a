//! The change feed: watches, events, their end (SPEC.md section 9).

use super::allocation::Allocation;
use super::job::Job;
use super::network::Network;
use super::pin::Pin;
use super::pool::SubnetPool;
use super::port::Port;
use super::project::Project;
use super::scope::AddressScope;
use super::segment::{HostMapping, Segment};
use super::subnet::Subnet;
use crate::id::{
    Incarnation, NetworkId, OwnerId, PoolId, ProjectId, Revision, Seq, Slot, SubnetId,
};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// Most events of one frame.
pub const EVENTS_MAX: usize = 1_000;

/// Most watches of a connection.
pub const WATCHES_MAX: usize = 16;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EventKind {
    /// A project.
    Project = 1,
    /// An address scope.
    Scope = 2,
    /// A subnet pool.
    Pool = 3,
    /// A network.
    Network = 4,
    /// A segment.
    Segment = 5,
    /// A host that reaches a segment.
    Host = 6,
    /// A subnet with its exclusions.
    Subnet = 7,
    /// A port without its addresses, which are allocations.
    Port = 8,
    /// A pin.
    Pin = 9,
    /// An address or prefix that is held.
    Allocation = 10,
    /// A job.
    Job = 11,
    /// A level of use that a subnet or subnet pool has crossed.
    Level = 12,
}

impl EventKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Project,
        Self::Scope,
        Self::Pool,
        Self::Network,
        Self::Segment,
        Self::Host,
        Self::Subnet,
        Self::Port,
        Self::Pin,
        Self::Allocation,
        Self::Job,
        Self::Level,
    ];

    /// The bits of the kinds that a watch gets which names none: a client knows what it asks for, and
    /// kinds that came later have to be asked for.
    pub const FIRST: u16 = 0x0ffe;

    /// Name in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Scope => "scope",
            Self::Pool => "pool",
            Self::Network => "network",
            Self::Segment => "segment",
            Self::Host => "host",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Pin => "pin",
            Self::Allocation => "allocation",
            Self::Job => "job",
            Self::Level => "level",
        }
    }

    /// Its bit in the mask of a watch.
    #[must_use]
    pub const fn bit(self) -> u16 {
        1 << (self as u8)
    }
}

/// A place in the order of all changes: which life of the data, and up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FeedPosition {
    /// Restores that the data had seen.
    pub incarnation: Incarnation,
    /// Everything up to here is known, inclusive.
    pub position: Seq,
}

impl FeedPosition {
    /// Before everything, of no life of the data.
    pub const NONE: Self = Self { incarnation: Incarnation(0), position: Seq(0) };
}

/// Asks for the changes from now on, or from a position on; every given filter must match.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// Changes behind this; none = behind the position at which the watch begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<FeedPosition>,
    /// Allocations that a forced deletion releases are told one by one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub singles: bool,
    /// Only these kinds, without order; empty = all but levels, which have to be asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<EventKind>,
    /// Only this subnet and what is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetId>,
    /// Only allocations and pins of this owner, and the port of the same id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// Only allocations with this label, or this `key=value` pair of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
}

/// A watch has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {
    /// Where it begins: events follow of what is behind.
    #[serde(flatten)]
    pub begins: FeedPosition,
    /// A frame comes at least so often, ms.
    pub heartbeat_ms: u32,
}

/// Ends a watch of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwatch {
    /// Request id of the watch. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub watch: u64,
}

/// Changes that a watch asked for, in order; none = a sign of life. The server's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// Request id of the watch. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub watch: u64,
    /// Everything up to here was told: from here the watch can be taken up again.
    #[serde(flatten)]
    pub resume: FeedPosition,
    /// When this was sent, nothing else was known.
    pub up_to_date: bool,
    /// The changes.
    pub items: Vec<Event>,
}

/// One change: the object as it is behind it, or what is left of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position of the change.
    pub position: Seq,
    /// Revision of the change: of two events of one object the one with the higher revision is the
    /// later one.
    pub revision: Revision,
    /// The server's time of the change, ms since the Unix epoch, not before the change and little
    /// later.
    pub time_ms: u64,
    /// The object. What is counted, and what stands in records of its own, is not in it: counts are
    /// 0, a pin is not `held`, a port has `more` and no addresses.
    #[serde(flatten)]
    pub object: EventObject,
}

/// The object of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventObject {
    /// A project is now so.
    Project(Box<Project>),
    /// An address scope is now so.
    Scope(Box<AddressScope>),
    /// A subnet pool is now so.
    Pool(Box<SubnetPool>),
    /// A network is now so.
    Network(Box<Network>),
    /// A segment is now so.
    Segment(Box<Segment>),
    /// A host reaches a segment.
    Host(Box<HostEvent>),
    /// A subnet is now so.
    Subnet(Box<Subnet>),
    /// A port is now so.
    Port(Box<Port>),
    /// An address is kept.
    Pin(Box<PinEvent>),
    /// An address or prefix is now held so.
    Allocation(Box<Allocation>),
    /// A job is now so.
    Job(Box<Job>),
    /// A subnet or subnet pool has crossed a level of use.
    Level(Box<LevelEvent>),
    /// It is gone, or is not among what the watch asks for any more.
    Gone(Box<Gone>),
}

/// A host that reaches a segment, with the network that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEvent {
    /// Its network.
    pub network_id: NetworkId,
    /// Segment and host.
    #[serde(flatten)]
    pub mapping: HostMapping,
}

/// A pin with the network that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinEvent {
    /// Its network.
    pub network_id: NetworkId,
    /// The pin.
    #[serde(flatten)]
    pub pin: Pin,
}

/// A subnet or subnet pool has crossed a level of use. Told once, and again only after use has fallen
/// clearly below the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelEvent {
    /// The network of the subnet; zero of a pool.
    pub network_id: NetworkId,
    /// The subnet; zero of a pool.
    pub subnet_id: SubnetId,
    /// The pool; zero of a subnet.
    pub subnet_pool_id: PoolId,
    /// The project of the network or pool.
    pub project_id: ProjectId,
    /// The highest level that use is at now, percent; 0 = below all. Above `before`: use has risen.
    pub level: u8,
    /// The same before.
    pub before: u8,
    /// Addresses in use when that was noticed. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub used: u128,
    /// Of how many: those that may be handed out, or those of the pool's prefixes. In JSON a decimal
    /// string.
    #[serde(with = "super::usage::decimal")]
    pub size: u128,
}

/// What names an object that is gone. What the kind doesn't have is zero or absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// What it was.
    pub kind: EventKind,
    /// Id of a project, scope, pool, network, segment (also that of a host), subnet or port.
    pub id: Uuid,
    /// The network that it was in; of a prefix its subnet pool. Zero for what is in none.
    pub network_id: NetworkId,
    /// Its project.
    pub project_id: ProjectId,
    /// The subnet that it was in.
    pub subnet_id: SubnetId,
    /// Who held an allocation last, or had a pin; zero = not told.
    pub owner: OwnerId,
    /// With the owner.
    pub slot: Slot,
    /// Of an allocation or pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Prefix length of an allocation or pin; 0 of anything else.
    pub length: u8,
    /// The host that reached a segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// The project of its network, if that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_project: Option<ProjectId>,
}

/// Why a watch has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum WatchEndReason {
    /// The client reads too slowly; it may take up the watch again from where it stands.
    Slow = 1,
    /// What follows is not kept any more: list anew.
    Relist = 2,
}

/// A watch has ended. The server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchEnd {
    /// Request id of the watch. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub watch: u64,
    /// Everything up to here was told.
    #[serde(flatten)]
    pub resume: FeedPosition,
    /// Why.
    pub reason: WatchEndReason,
    /// The oldest position from which a watch can begin now.
    pub oldest: Seq,
}

impl EventObject {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Project(_) => EventKind::Project,
            Self::Scope(_) => EventKind::Scope,
            Self::Pool(_) => EventKind::Pool,
            Self::Network(_) => EventKind::Network,
            Self::Segment(_) => EventKind::Segment,
            Self::Host(_) => EventKind::Host,
            Self::Subnet(_) => EventKind::Subnet,
            Self::Port(_) => EventKind::Port,
            Self::Pin(_) => EventKind::Pin,
            Self::Allocation(_) => EventKind::Allocation,
            Self::Job(_) => EventKind::Job,
            Self::Level(_) => EventKind::Level,
            Self::Gone(gone) => gone.kind,
        }
    }
}
