//! What is known of one thing that one client makes, changes and unmakes, and what must be so.

use super::Whole;
use crate::model::{NetworkHandle, ProjectId, Revision, SubnetHandle, Tick};
use addrd_protocol::Family;
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::{AllocationState, BatchResult, Port, Reply};
use addrd_protocol::prefix::number_of;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Owners from this number on are ports.
pub(super) const PORTS: u128 = 1_000;

/// What a client makes. Projects are numbered, the default one is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// An address of a network, by project and owner.
    Address(u128, u128, u128),
    /// A port of a network, by project and id.
    Port(u128, u128, u128),
    /// A subnet of a network.
    Subnet(u128, u128),
    /// A prefix straight from the pool, by owner.
    Prefix(u128),
}

impl Thing {
    /// The network that it is in.
    pub(super) const fn network(&self) -> Option<u128> {
        match self {
            Self::Address(_, network, _) | Self::Port(_, network, _) | Self::Subnet(network, _) => {
                Some(*network)
            }
            Self::Prefix(_) => None,
        }
    }

    /// Whether it is of a project that uses another one's network.
    pub(super) const fn is_guests(&self) -> bool {
        matches!(self, Self::Address(1.., ..) | Self::Port(1.., ..))
    }
}

/// What a port is asked to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// No address.
    Bare,
    /// One of IPv6.
    Six,
    /// One of each family.
    Pair,
}

impl Shape {
    /// Whether a port is so.
    pub(super) fn fits(self, made: &Made) -> bool {
        let is_six = |(first, _): &(u128, u8)| *first > u128::from(u32::MAX);
        match (self, &made.places[..]) {
            (Self::Bare, []) => true,
            (Self::Six, [one]) => is_six(one),
            (Self::Pair, [one, other]) => !is_six(one) && is_six(other),
            _ => false,
        }
    }
}

/// How a thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// First address of each place and how many bits of it are free to vary, by address.
    pub(super) places: Vec<(u128, u8)>,
    /// Of what has one.
    pub(super) revision: Option<Revision>,
    /// A subnet that the pool has.
    pub(super) is_pooled: bool,
}

impl Made {
    fn new(mut places: Vec<(u128, u8)>, revision: Option<Revision>) -> Self {
        places.sort_unstable();
        Self { places, revision, is_pooled: false }
    }

    fn of_address(got: &AllocatedAddress) -> Self {
        let bits = Family::of(&got.address).bits() - got.length;
        Self::new(vec![(number_of(&got.address), bits)], Some(got.revision))
    }

    fn of_port(port: &Port) -> Self {
        let places = port.fixed_ips.iter().map(|ip| (number_of(&ip.ip_address), 0));
        Self::new(places.collect(), Some(port.revision))
    }

    /// What a lookup shows.
    pub(super) fn seen(found: &addrd_protocol::message::Allocation) -> Self {
        Self::new(vec![(number_of(&found.address), 0)], Some(found.revision))
    }

    /// What an answer shows.
    pub(super) fn told(reply: &Reply) -> Option<Self> {
        Some(match reply {
            Reply::Allocated(got) => Self::of_address(&got.first),
            Reply::Port(port) => Self::of_port(port),
            Reply::Subnet(got) => {
                let places = vec![(got.cidr.base(), got.cidr.host_bits())];
                Self { is_pooled: got.subnet_pool_id.is_some(), ..Self::new(places, None) }
            }
            _ => return None,
        })
    }

    /// What an item of a batch shows.
    pub(super) fn told_by_item(result: &BatchResult) -> Option<Self> {
        Some(match result {
            BatchResult::Allocated(got) => Self::of_address(&got.first),
            BatchResult::Port(port) => Self::of_port(port),
            _ => return None,
        })
    }
}

/// What the client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not there.
    Absent,
    /// It is there, so.
    Present(Made),
    /// Something was asked that was not answered.
    Unsure,
}

/// What somebody asks of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Make,
    Unmake,
    /// A port gets other addresses.
    Change(Shape),
}

/// What is asked of one thing, and what was known of it before.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) thing: Thing,
    pub(super) how: How,
    pub(super) before: Known,
    /// When it was asked for.
    pub(super) at: Tick,
}

impl Wish {
    /// Whether a thing may be so after this was done.
    pub(super) fn is_done(&self, is: &Known) -> bool {
        match (self.how, is) {
            (How::Unmake, is) => *is == Known::Absent,
            (How::Make, Known::Present(made)) => match (self.thing, &self.before) {
                (_, Known::Present(before)) => made == before,
                (Thing::Port(..), Known::Absent) => Shape::Pair.fits(made),
                _ => true,
            },
            (How::Change(shape), Known::Present(made)) => shape.fits(made),
            _ => false,
        }
    }

    /// Whether a thing may be so if this was not done.
    pub(super) fn is_undone(&self, is: &Known) -> bool {
        self.before == Known::Unsure || self.before == *is
    }
}

/// What a state has, by thing.
pub(super) fn things(whole: &Whole) -> BTreeMap<Thing, Made> {
    let mut found = BTreeMap::new();
    let networks: BTreeMap<NetworkHandle, u128> =
        whole.state.networks.iter().map(|(row, _)| (row.network, number(row.id.0))).collect();
    let mut bases: BTreeMap<(NetworkHandle, SubnetHandle), u128> = BTreeMap::new();
    let mut pooled = Vec::new();
    for (row, _) in &whole.state.subnets {
        bases.insert((row.network, row.subnet), row.prefix.base());
        let place = (row.prefix.base(), row.prefix.host_bits());
        let made = Made { is_pooled: row.pool.is_some(), ..Made::new(vec![place], None) };
        if made.is_pooled {
            pooled.push((place, number(row.id.0)));
        }
        found.insert(Thing::Subnet(networks[&row.network], number(row.id.0)), made);
    }
    let mut slots = BTreeMap::new();
    for row in &whole.state.ports {
        let thing = Thing::Port(project(row.project), networks[&row.network], number(row.id.0));
        found.insert(thing, Made::new(Vec::new(), Some(row.revision)));
        slots.insert(thing, row.slots);
    }
    for row in &whole.state.allocations {
        // What rests is nobody's.
        if row.state == AllocationState::Quarantined {
            continue;
        }
        let network = networks[&row.place.network];
        let base = bases[&(row.place.network, row.place.subnet)];
        let place = (base + row.place.offset, row.place.block_bits);
        let guest = row.extras.as_deref().and_then(|extras| extras.project);
        let (project, owner) = (project(guest), number(row.owner.0));
        if owner >= PORTS {
            let port = Thing::Port(project, network, owner);
            let own = slots.get(&port).copied().unwrap_or_default();
            assert_ne!(own & (1 << row.slot.0), 0, "{row:?} is of no port");
            let places = found.get_mut(&port).map(|port| &mut port.places).unwrap();
            places.push(place);
            places.sort_unstable();
            continue;
        }
        let made = Made::new(vec![place], Some(row.revision));
        let before = found.insert(Thing::Address(project, network, owner), made);
        assert_eq!(before, None, "one key holds one address");
    }
    let mut taken = Vec::new();
    for row in &whole.catalogue.taken.allocations {
        let (place, owner) = ((row.place.offset, row.place.block_bits), number(row.owner.0));
        if row.extras.as_deref().is_some_and(|extras| extras.port.is_some()) {
            taken.push((place, owner));
        } else {
            found.insert(Thing::Prefix(owner), Made::new(vec![place], Some(row.revision)));
        }
    }
    taken.sort_unstable();
    pooled.sort_unstable();
    assert_eq!(taken, pooled, "the pool has for subnets what they say, and nothing else");
    found
}

fn number(id: Uuid) -> u128 {
    id.as_u128()
}

fn project(id: Option<ProjectId>) -> u128 {
    id.map_or(0, |id| number(id.0))
}

/// What a thing let go: until then nobody else may have it.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) thing: Thing,
    pub(super) made: Made,
    pub(super) until: Tick,
}

/// Two that may not be at once: addresses of one network, subnets of one, prefixes of the pool.
pub(super) fn clash(one: (&Thing, &Made), other: (&Thing, &Made)) -> bool {
    let is_of_pool = |(thing, made): (&Thing, &Made)| match thing {
        Thing::Prefix(_) => true,
        Thing::Subnet(..) => made.is_pooled,
        Thing::Address(..) | Thing::Port(..) => false,
    };
    let is_same = one.0.network().is_some() && one.0.network() == other.0.network();
    let is_shared = match (one.0, other.0) {
        (Thing::Address(..) | Thing::Port(..), Thing::Address(..) | Thing::Port(..)) => is_same,
        (Thing::Subnet(..), Thing::Subnet(..)) if is_same => true,
        _ => is_of_pool(one) && is_of_pool(other),
    };
    let last = |(first, bits): &(u128, u8)| first + ((1_u128 << bits) - 1);
    let overlap = |a: &(u128, u8), b: &(u128, u8)| a.0 <= last(b) && b.0 <= last(a);
    is_shared && one.1.places.iter().any(|a| other.1.places.iter().any(|b| overlap(a, b)))
}
