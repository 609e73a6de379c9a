//! The naive state: maps, and the rules that effects of a correct server keep. It refuses what
//! doesn't fit, so a recovered state of two positions at once is found out.

use addrd::model::{
    AllocationPlace, AllocationRow, Effect, ExclusionRow, HostLeaseRow, HostName, JobRow, LevelRow,
    NetworkHandle, NetworkRow, Revision, SubnetHandle, SubnetRow, Thing, Tick,
};
use addrd::store::Restore;
use addrd_protocol::prefix::number_of;
use std::collections::{BTreeMap, BTreeSet};

type SubnetKey = (u32, u32);

/// Everything that must survive.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) networks: BTreeMap<u32, NetworkRow>,
    /// Projects, scopes and pools as they were put.
    pub(crate) objects: BTreeMap<u32, Effect>,
    pub(crate) subnets: BTreeMap<SubnetKey, SubnetRow>,
    pub(crate) exclusions: BTreeMap<(u32, u32, u128), ExclusionRow>,
    pub(crate) cells: BTreeMap<(u32, u32, u128), AllocationRow>,
    pub(crate) keys: BTreeSet<(u32, u128, u16)>,
    /// Segments, hosts, ports and pins, by kind, network and the revision at which they were made.
    pub(crate) things: BTreeMap<(Thing, u32, u64), Effect>,
    pub(crate) jobs: BTreeMap<u64, JobRow>,
    pub(crate) revisions: BTreeMap<u32, u64>,
    pub(crate) cursors: BTreeMap<SubnetKey, u128>,
    /// Host leases, by what names the host.
    pub(crate) host_leases: BTreeMap<(u128, String, String), HostLeaseRow>,
    /// When adoption mode began.
    pub(crate) adoption: Tick,
}

fn need(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl Model {
    pub(crate) fn absorb(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::NetworkPut(row) => {
                self.networks.insert(row.network.0, (**row).clone());
                self.revise(row.network, row.revision)
            }
            Effect::ProjectPut(_)
            | Effect::ScopePut(_)
            | Effect::PoolPut(_)
            | Effect::PrincipalPut(_) => self.put_object(effect),
            Effect::ObjectGone { object, .. } => self.object_gone(*object),
            Effect::NetworkGone { network, .. } => {
                let left = self.subnets.range((network.0, 0)..=(network.0, u32::MAX)).count();
                need(left == 0, "a network goes with subnets")?;
                let things = self.things.keys().any(|(_, of, _)| *of == network.0);
                need(!things, "a network goes with ports, segments, hosts or pins")?;
                self.revisions.remove(&network.0);
                need(self.networks.remove(&network.0).is_some(), "no network goes")
            }
            Effect::SubnetPut(row) => {
                need(self.networks.contains_key(&row.network.0), "a subnet without network")?;
                self.subnets.insert((row.network.0, row.subnet.0), (**row).clone());
                self.revise(row.network, row.revision)
            }
            Effect::SubnetGone { network, subnet, revision } => {
                self.subnet_gone((network.0, subnet.0))?;
                self.revise(*network, *revision)
            }
            Effect::ExclusionPut(row) => {
                let key = (row.network.0, row.subnet.0);
                need(self.subnets.contains_key(&key), "an exclusion without subnet")?;
                let first = number_of(&row.exclusion.range.first());
                self.exclusions.insert((key.0, key.1, first), (**row).clone());
                self.revise(row.network, row.revision)
            }
            Effect::ExclusionGone { network, subnet, revision, first } => {
                let row = self.subnets.get(&(network.0, subnet.0));
                let base = row.ok_or("an exclusion goes without subnet")?.prefix.base();
                let gone = self.exclusions.remove(&(network.0, subnet.0, base + first));
                need(gone.is_some(), "no exclusion goes")?;
                self.revise(*network, *revision)
            }
            Effect::AllocationPut(row) => self.put(row),
            Effect::AllocationGone { place, revision, .. } => {
                let gone = self.cells.remove(&cell_key(place)).ok_or("no allocation goes")?;
                need(gone.place == *place, "a block goes as another")?;
                self.keys.remove(&owner_key(&gone));
                self.revise(place.network, *revision)
            }
            Effect::SegmentPut(_)
            | Effect::HostPut(_)
            | Effect::PortPut(_)
            | Effect::PinPut(_)
            | Effect::ThingGone { .. } => self.absorb_thing(effect),
            Effect::LevelPut(row) => self.put_level(row),
            Effect::HostLeasePut(_) | Effect::HostLeaseGone { .. } | Effect::Asked(_) => {
                self.absorb_host_lease(effect)
            }
            Effect::Adoption { since } => {
                self.adoption = *since;
                Ok(())
            }
            Effect::JobPut(row) => {
                self.jobs.insert(row.job.0, *row);
                self.revise_for_job(row.network, row.revision)
            }
            Effect::JobGone { network, revision, job } => {
                need(self.jobs.remove(&job.0).is_some(), "no job goes")?;
                self.revise_for_job(*network, *revision)
            }
        }
    }

    /// What is of an earlier life than what is known changes nothing, nor does who asked.
    fn absorb_host_lease(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::HostLeasePut(row) => {
                let known = self.host_leases.get(&host_key(&row.of));
                if known.is_none_or(|known| known.life <= row.life) {
                    self.host_leases.insert(host_key(&row.of), (**row).clone());
                }
            }
            Effect::HostLeaseGone { of, life } => {
                let gone = host_key(of);
                self.host_leases.retain(|key, known| *key != gone || known.life > *life);
            }
            _ => {}
        }
        Ok(())
    }

    fn object_gone(&mut self, object: NetworkHandle) -> Result<(), String> {
        let left = self.cells.range((object.0, 0, 0)..=(object.0, u32::MAX, u128::MAX));
        need(left.count() == 0, "a pool goes with what is taken from it")?;
        self.revisions.remove(&object.0);
        need(self.objects.remove(&object.0).is_some(), "no object goes")
    }

    fn put_level(&mut self, row: &LevelRow) -> Result<(), String> {
        if let Some(subnet) = row.subnet {
            let found = self.subnets.get_mut(&(row.network.0, subnet.0));
            found.ok_or("a level without subnet")?.level = row.level;
        } else if let Some(Effect::PoolPut(pool)) = self.objects.get_mut(&row.network.0) {
            pool.level = row.level;
        } else {
            return Err("a level without pool".to_owned());
        }
        self.revise(row.network, row.revision)
    }

    fn absorb_thing(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::SegmentPut(row) => {
                self.thing(Thing::Segment, (row.network, row.created, row.revision), effect)
            }
            Effect::HostPut(row) => {
                self.thing(Thing::Host, (row.network, row.created, row.created), effect)
            }
            Effect::PortPut(row) => {
                self.thing(Thing::Port, (row.network, row.created, row.revision), effect)
            }
            Effect::PinPut(row) => {
                self.thing(Thing::Pin, (row.network, row.created, row.created), effect)
            }
            Effect::ThingGone { network, revision, created, was } => {
                let gone = self.things.remove(&(was.thing(), network.0, created.0));
                need(gone.is_some(), "nothing of this kind goes")?;
                self.revise(*network, *revision)
            }
            _ => Err("no segment, host, port or pin".to_owned()),
        }
    }

    fn put_object(&mut self, effect: &Effect) -> Result<(), String> {
        let (handle, revision) = effect.numbered().ok_or("an object without a number")?;
        self.objects.insert(handle.0, effect.clone());
        self.revise(handle, revision)
    }

    fn is_pool(&self, handle: NetworkHandle) -> bool {
        matches!(self.objects.get(&handle.0), Some(Effect::PoolPut(_)))
    }

    fn thing(
        &mut self,
        thing: Thing,
        (network, created, revision): (NetworkHandle, Revision, Revision),
        effect: &Effect,
    ) -> Result<(), String> {
        self.things.insert((thing, network.0, created.0), effect.clone());
        self.revise(network, revision)
    }

    fn put(&mut self, row: &AllocationRow) -> Result<(), String> {
        let AllocationPlace { network, subnet, .. } = row.place;
        let key = (network.0, subnet.0);
        let there = self.subnets.contains_key(&key) || self.is_pool(network);
        need(there, "an allocation without subnet")?;
        if let Some(old) = self.cells.remove(&cell_key(&row.place)) {
            self.keys.remove(&owner_key(&old));
        }
        need(self.keys.insert(owner_key(row)), "a key is held twice")?;
        if row.moves_cursor {
            self.cursors.insert(key, row.place.offset + (1 << row.place.block_bits));
        }
        self.cells.insert(cell_key(&row.place), settled(row));
        self.revise(network, row.changed)
    }

    fn subnet_gone(&mut self, key: SubnetKey) -> Result<(), String> {
        let all = (key.0, key.1, 0)..=(key.0, key.1, u128::MAX);
        need(self.cells.range(all.clone()).count() == 0, "a subnet goes with allocations")?;
        let exclusions: Vec<_> = self.exclusions.range(all).map(|(key, _)| *key).collect();
        for key in exclusions {
            self.exclusions.remove(&key);
        }
        self.cursors.remove(&key);
        need(self.subnets.remove(&key).is_some(), "no subnet goes")
    }

    fn revise(&mut self, network: NetworkHandle, revision: Revision) -> Result<(), String> {
        let there = self.networks.contains_key(&network.0) || self.objects.contains_key(&network.0);
        need(there, "a change without network")?;
        self.revisions.insert(network.0, revision.0);
        Ok(())
    }

    fn revise_for_job(&mut self, network: NetworkHandle, revision: Revision) -> Result<(), String> {
        // A job may outlive its network.
        if revision != Revision(0) && self.networks.contains_key(&network.0) {
            self.revisions.insert(network.0, revision.0);
        }
        Ok(())
    }
}

/// The state keeps neither the trace id nor the former holder, nor that a cursor moved.
fn settled(row: &AllocationRow) -> AllocationRow {
    let mut row = AllocationRow { moves_cursor: false, ..row.clone() };
    if let Some(extras) = &mut row.extras {
        (extras.trace, extras.former) = (None, None);
        if **extras == addrd::model::AllocationExtras::default() {
            row.extras = None;
        }
    }
    row
}

fn cell_key(place: &AllocationPlace) -> (u32, u32, u128) {
    (place.network.0, place.subnet.0, place.offset)
}

fn owner_key(row: &AllocationRow) -> (u32, u128, u16) {
    (row.place.network.0, row.owner.0.as_u128(), row.slot.0)
}

impl Restore for Model {
    fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        self.absorb(effect)
    }

    fn revision(&mut self, network: NetworkHandle, revision: Revision) {
        self.revisions.insert(network.0, revision.0);
    }

    fn cursor(&mut self, network: NetworkHandle, subnet: SubnetHandle, cursor: u128) {
        self.cursors.insert((network.0, subnet.0), cursor);
    }
}

/// What names a host.
fn host_key(of: &HostName) -> (u128, String, String) {
    (of.project.0.as_u128(), of.manager.to_string(), of.host.to_string())
}
