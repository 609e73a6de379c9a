//! What the numbers in records stand for: networks, subnets with their exclusions, pools, scopes,
//! projects, hosts. Follows the records; holds no allocation and no port.

use crate::model::{
    AllocationPlace, Effect, ExclusionRow, Family, HostRow, NetworkHandle, NetworkRow, PoolRow,
    Prefix, PrincipalId, ProjectId, ProjectRow, Revision, ScopeRow, SegmentId, SubnetHandle,
    SubnetId, SubnetRow, Text, Thing,
};
use addrd_protocol::message::Exclusion;
use foldhash::HashMap;
use std::net::IpAddr;
use uuid::Uuid;

/// A record is about something that no record before it made: some are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unnamed(pub NetworkHandle);

impl std::fmt::Display for Unnamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a record is about the unknown object {}", self.0.0)
    }
}

impl std::error::Error for Unnamed {}

/// A network, or a subnet pool, where it holds prefixes as a network holds addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) project: ProjectId,
    pub(crate) id: Uuid,
    pub(crate) is_pool: bool,
    pub(crate) is_shared: bool,
    pub(crate) is_deleting: bool,
    /// Of a pool's prefixes.
    pub(crate) family: Family,
}

/// An address scope or a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Scope {
        project: ProjectId,
        id: Uuid,
        is_shared: bool,
    },
    Project(ProjectId),
    /// Of which nobody who watches is told.
    Principal(PrincipalId),
}

/// A subnet as its records say.
#[derive(Clone, Debug)]
pub(crate) struct SubnetName {
    pub(crate) row: SubnetRow,
    pub(crate) exclusions: Vec<Exclusion>,
}

/// Where an allocation is, in addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    /// Zero in a pool.
    pub(crate) subnet: SubnetId,
    pub(crate) prefix: Prefix,
    pub(crate) address: IpAddr,
    pub(crate) length: u8,
    pub(crate) is_deleting: bool,
}

/// The names at one position.
///
/// Shape: about 0.2 KiB a network and 0.5 KiB a subnet.
#[derive(Clone, Debug, Default)]
pub struct Names {
    places: HashMap<NetworkHandle, Place>,
    subnets: HashMap<(NetworkHandle, SubnetHandle), Box<SubnetName>>,
    hosts: HashMap<(NetworkHandle, Revision), (SegmentId, Text)>,
    others: HashMap<NetworkHandle, Other>,
}

impl Names {
    /// Follows a record. What is gone is forgotten: whoever has to name it asks before.
    pub fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::NetworkPut(row) => self.put_network(row),
            Effect::PoolPut(row) => self.put_pool(row),
            Effect::ProjectPut(row) => self.put_project(row),
            Effect::ScopePut(row) => self.put_scope(row),
            Effect::PrincipalPut(row) => _ = self.others.insert(row.handle, Other::Principal(row.id)),
            Effect::NetworkGone { network, .. } | Effect::ObjectGone { object: network, .. } => {
                self.places.remove(network);
                self.others.remove(network);
            }
            Effect::SubnetPut(row) => self.put_subnet(row),
            Effect::SubnetGone { network, subnet, .. } => {
                self.subnets.remove(&(*network, *subnet));
            }
            Effect::ExclusionPut(row) => self.put_exclusion(row),
            Effect::ExclusionGone { network, subnet, first, .. } => {
                self.drop_exclusion((*network, *subnet), *first);
            }
            Effect::HostPut(row) => self.put_host(row),
            Effect::ThingGone { network, created, was, .. } if was.thing() == Thing::Host => {
                self.hosts.remove(&(*network, *created));
            }
            Effect::AllocationPut(_)
            | Effect::AllocationGone { .. }
            | Effect::SegmentPut(_)
            | Effect::PortPut(_)
            | Effect::PinPut(_)
            | Effect::ThingGone { .. }
            | Effect::JobPut(_)
            | Effect::JobGone { .. }
            // Events of it carry what they tell.
            | Effect::LevelPut(_)
            | Effect::HostLeasePut(_)
            | Effect::HostLeaseGone { .. }
            | Effect::Asked(_)
            | Effect::Adoption { .. } => {}
        }
    }

    /// Networks, subnets, pools, scopes and projects that it knows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len() + self.subnets.len() + self.others.len()
    }

    pub(crate) fn place(&self, handle: NetworkHandle) -> Result<&Place, Unnamed> {
        self.places.get(&handle).ok_or(Unnamed(handle))
    }

    pub(crate) fn known_place(&self, handle: NetworkHandle) -> Option<&Place> {
        self.places.get(&handle)
    }

    pub(crate) fn other(&self, handle: NetworkHandle) -> Option<&Other> {
        self.others.get(&handle)
    }

    pub(crate) fn subnet(
        &self,
        network: NetworkHandle,
        subnet: SubnetHandle,
    ) -> Result<&SubnetName, Unnamed> {
        self.subnets.get(&(network, subnet)).map(|name| &**name).ok_or(Unnamed(network))
    }

    pub(crate) fn host(
        &self,
        network: NetworkHandle,
        created: Revision,
    ) -> Result<&(SegmentId, Text), Unnamed> {
        self.hosts.get(&(network, created)).ok_or(Unnamed(network))
    }

    /// Where an allocation or a pin is.
    pub(crate) fn spot(&self, at: &AllocationPlace) -> Result<Spot, Unnamed> {
        let place = *self.place(at.network)?;
        if place.is_pool {
            let unnamed = Unnamed(at.network);
            let prefix = whole(place.family);
            let address = prefix.address_at(at.offset).ok_or(unnamed)?;
            let length = place.family.bits().saturating_sub(at.block_bits);
            let (subnet, is_deleting) = (SubnetId::NIL, false);
            return Ok(Spot { place, subnet, prefix, address, length, is_deleting });
        }
        let subnet = self.subnet(at.network, at.subnet)?;
        let prefix = subnet.row.prefix;
        let address = prefix.address_at(at.offset).ok_or(Unnamed(at.network))?;
        Ok(Spot {
            place,
            subnet: subnet.row.id,
            prefix,
            address,
            length: prefix.family().bits().saturating_sub(at.block_bits),
            is_deleting: place.is_deleting || subnet.row.deleting,
        })
    }

    fn put_network(&mut self, row: &NetworkRow) {
        let place = Place {
            project: row.project,
            id: row.id.0,
            is_pool: false,
            is_shared: row.shared,
            is_deleting: row.deleting,
            family: Family::V4,
        };
        self.places.insert(row.network, place);
    }

    fn put_pool(&mut self, row: &PoolRow) {
        let place = Place {
            project: row.project,
            id: row.id.0,
            is_pool: true,
            is_shared: row.shared,
            is_deleting: false,
            family: row.family,
        };
        self.places.insert(row.handle, place);
    }

    fn put_project(&mut self, row: &ProjectRow) {
        self.others.insert(row.handle, Other::Project(row.id));
    }

    fn put_scope(&mut self, row: &ScopeRow) {
        let scope = Other::Scope { project: row.project, id: row.id.0, is_shared: row.shared };
        self.others.insert(row.handle, scope);
    }

    fn put_subnet(&mut self, row: &SubnetRow) {
        let name = self
            .subnets
            .entry((row.network, row.subnet))
            .or_insert_with(|| Box::new(SubnetName { row: row.clone(), exclusions: Vec::new() }));
        name.row = row.clone();
    }

    fn put_exclusion(&mut self, row: &ExclusionRow) {
        let Some(name) = self.subnets.get_mut(&(row.network, row.subnet)) else { return };
        let range = row.exclusion.range;
        let overlaps = |other: &Exclusion| {
            other.range.first() <= range.last() && range.first() <= other.range.last()
        };
        name.exclusions.retain(|other| !overlaps(other));
        let place = name.exclusions.partition_point(|other| other.range.first() < range.first());
        name.exclusions.insert(place, row.exclusion.clone());
    }

    fn drop_exclusion(&mut self, key: (NetworkHandle, SubnetHandle), first: u128) {
        let Some(name) = self.subnets.get_mut(&key) else { return };
        if let Some(address) = name.row.prefix.address_at(first) {
            name.exclusions.retain(|exclusion| exclusion.range.first() != address);
        }
    }

    fn put_host(&mut self, row: &HostRow) {
        self.hosts.insert((row.network, row.created), (row.segment, row.host.clone()));
    }
}

/// All addresses of a family: what the prefixes of a pool are counted in.
fn whole(family: Family) -> Prefix {
    let first = family.address(0);
    let all = first.and_then(|first| Prefix::new(first, 0));
    all.expect("every family has a first address")
}
