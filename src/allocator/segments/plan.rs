//! What only some networks have: segments with their hosts and subnets, subnets that are not for
//! everybody, pins. Kept in step by absorbing effects; decides nothing.

use crate::allocator::order::Key;
use crate::allocator::subnet::Subnet;
use crate::allocator::{AbsorbError, Shard, owned};
use crate::model::{
    HostRow, OwnerId, PinRow, Revision, SegmentId, SegmentRow, Slot, SubnetHandle, Text, Thing,
    ThingWas,
};
use std::collections::{BTreeMap, BTreeSet};

/// A pin and the subnet of the shard that it lies in.
#[derive(Clone, Debug)]
pub(in crate::allocator) struct Pin {
    pub(in crate::allocator) subnet: u32,
    pub(in crate::allocator) row: PinRow,
}

/// The plan of a network; a network that has nothing of it has none.
#[derive(Debug, Default)]
pub(in crate::allocator) struct Plan {
    /// Segments by the revision at which they were made, and that revision by id.
    pub(in crate::allocator) segments: BTreeMap<u64, SegmentRow>,
    pub(in crate::allocator) segment_ids: BTreeMap<SegmentId, u64>,
    /// Mappings by the revision at which they were made, and that revision by host and segment.
    pub(in crate::allocator) hosts: BTreeMap<u64, HostRow>,
    pub(in crate::allocator) host_segments: BTreeMap<Text, BTreeMap<SegmentId, u64>>,
    pub(in crate::allocator) segment_hosts: BTreeMap<SegmentId, BTreeSet<u64>>,
    /// Subnets on each segment.
    pub(in crate::allocator) segment_subnets: BTreeMap<SegmentId, BTreeSet<Key>>,
    /// Subnets on no segment that are not for everybody.
    pub(in crate::allocator) special: BTreeSet<Key>,
    /// Of these, the ones that may be on no segment though others are on one.
    pub(in crate::allocator) exempt: usize,
    /// Pins by the revision at which they were made, and that revision by key and by place.
    pub(in crate::allocator) pins: BTreeMap<u64, Pin>,
    pub(in crate::allocator) pin_keys: BTreeMap<(OwnerId, Slot), u64>,
    pub(in crate::allocator) pin_places: BTreeMap<(u32, u128), u64>,
}

/// The service type of subnets that need be on no segment.
const ROUTED: &str = "network:routed";

impl Plan {
    fn is_empty(&self) -> bool {
        self.segments.is_empty()
            && self.hosts.is_empty()
            && self.pins.is_empty()
            && self.special.is_empty()
            && self.segment_subnets.is_empty()
    }

    /// What a segment, host or pin is, for the record that ends it.
    pub(in crate::allocator) fn was(&self, thing: Thing, created: Revision) -> Option<ThingWas> {
        match thing {
            Thing::Segment => self.segments.get(&created.0).map(|row| ThingWas::Segment(row.id)),
            Thing::Host => self.hosts.get(&created.0).map(|_| ThingWas::Host),
            Thing::Pin => self.pins.get(&created.0).map(|pin| {
                let PinRow { subnet, offset, owner, slot, .. } = pin.row;
                ThingWas::Pin { subnet, offset, owner, slot }
            }),
            Thing::Port => None,
        }
    }

    /// Subnets on any segment.
    pub(in crate::allocator) fn on_segments(&self) -> usize {
        self.segment_subnets.values().map(BTreeSet::len).sum()
    }

    /// Segments that a host reaches.
    pub(in crate::allocator) fn reached(&self, host: &Text) -> impl Iterator<Item = SegmentId> {
        self.host_segments.get(host).into_iter().flat_map(|all| all.keys().copied())
    }

    fn put_segment(&mut self, row: &SegmentRow) {
        if let Some(other) = self.segment_ids.insert(row.id, row.created.0)
            && other != row.created.0
        {
            self.segments.remove(&other);
        }
        let description = row.description.as_ref().map(owned);
        let old = self.segments.insert(row.created.0, SegmentRow { description, ..row.clone() });
        if let Some(old) = old.filter(|old| old.id != row.id) {
            self.segment_ids.remove(&old.id);
        }
    }

    fn put_host(&mut self, row: &HostRow) {
        self.drop_host(row.created);
        let of_host = self.host_segments.entry(owned(&row.host)).or_default();
        if let Some(other) = of_host.insert(row.segment, row.created.0) {
            self.hosts.remove(&other);
            self.segment_hosts.entry(row.segment).or_default().remove(&other);
        }
        self.segment_hosts.entry(row.segment).or_default().insert(row.created.0);
        self.hosts.insert(row.created.0, HostRow { host: owned(&row.host), ..row.clone() });
    }

    fn drop_host(&mut self, created: Revision) {
        let Some(row) = self.hosts.remove(&created.0) else { return };
        if let Some(of_host) = self.host_segments.get_mut(&row.host) {
            of_host.remove(&row.segment);
            if of_host.is_empty() {
                self.host_segments.remove(&row.host);
            }
        }
        if let Some(of_segment) = self.segment_hosts.get_mut(&row.segment) {
            of_segment.remove(&created.0);
            if of_segment.is_empty() {
                self.segment_hosts.remove(&row.segment);
            }
        }
    }

    fn put_pin(&mut self, subnet: u32, row: &PinRow) {
        let key = (row.owner, row.slot);
        let others = [
            self.pin_keys.get(&key).copied(),
            self.pin_places.get(&(subnet, row.offset)).copied(),
            Some(row.created.0),
        ];
        for other in others.into_iter().flatten() {
            self.drop_pin(Revision(other));
        }
        self.pin_keys.insert(key, row.created.0);
        self.pin_places.insert((subnet, row.offset), row.created.0);
        let owner_name = row.owner_name.as_ref().map(owned);
        self.pins.insert(row.created.0, Pin { subnet, row: PinRow { owner_name, ..row.clone() } });
    }

    fn drop_pin(&mut self, created: Revision) -> Option<u32> {
        let Pin { subnet, row } = self.pins.remove(&created.0)?;
        self.pin_keys.remove(&(row.owner, row.slot));
        self.pin_places.remove(&(subnet, row.offset));
        Some(subnet)
    }
}

/// Whether a subnet may be on no segment though others are on one.
fn is_exempt(subnet: &Subnet) -> bool {
    subnet.row.service.service_types.iter().any(|text| text.as_str() == ROUTED)
}

impl Shard {
    fn plan_mut(&mut self, network: u32) -> &mut Plan {
        self.networks.at_mut(network).plan.get_or_insert_default()
    }

    /// Forgets the plan if nothing is left of it, and notes whether there are pins.
    fn tidy_plan(&mut self, network: u32) {
        let of = self.networks.at_mut(network);
        of.pinned = of.plan.as_ref().is_some_and(|plan| !plan.pins.is_empty());
        of.plan = of.plan.take().filter(|plan| !plan.is_empty());
    }

    /// Notes a subnet that is not for everybody.
    pub(in crate::allocator) fn enter_plan(&mut self, at: u32) {
        let subnet = self.subnets.at(at);
        if subnet.row.service.is_open() {
            return;
        }
        let (network, key, exempt) = (subnet.network, subnet.key(at), is_exempt(subnet));
        let segment = subnet.row.service.segment_id;
        let plan = self.plan_mut(network);
        match segment {
            Some(segment) => {
                plan.segment_subnets.entry(segment).or_default().insert(key);
            }
            None => {
                plan.special.insert(key);
                plan.exempt += usize::from(exempt);
            }
        }
    }

    /// Forgets a subnet that was noted.
    pub(in crate::allocator) fn leave_plan(&mut self, at: u32) {
        let subnet = self.subnets.at(at);
        let (network, key, exempt) = (subnet.network, subnet.key(at), is_exempt(subnet));
        let segment = subnet.row.service.segment_id;
        let Some(plan) = self.networks.at_mut(network).plan.as_mut() else { return };
        match segment {
            Some(segment) => {
                if let Some(on) = plan.segment_subnets.get_mut(&segment) {
                    on.remove(&key);
                    if on.is_empty() {
                        plan.segment_subnets.remove(&segment);
                    }
                }
            }
            None => {
                let was = plan.special.remove(&key);
                plan.exempt -= usize::from(was && exempt);
            }
        }
        self.tidy_plan(network);
    }

    /// Forgets the pins of a subnet that goes; in live operation it has none any more.
    pub(in crate::allocator) fn drop_pins_in(&mut self, at: u32) {
        let network = self.subnets.at(at).network;
        let Some(plan) = self.networks.at_mut(network).plan.as_mut() else { return };
        let inside = plan.pin_places.range((at, 0)..=(at, u128::MAX));
        let inside: Vec<u64> = inside.map(|(_, created)| *created).collect();
        for created in inside {
            plan.drop_pin(Revision(created));
        }
        self.tidy_plan(network);
    }

    pub(in crate::allocator) fn put_segment(&mut self, network: u32, row: &SegmentRow) {
        self.plan_mut(network).put_segment(row);
    }

    pub(in crate::allocator) fn put_host(&mut self, network: u32, row: &HostRow) {
        self.plan_mut(network).put_host(row);
    }

    pub(in crate::allocator) fn put_pin(
        &mut self,
        network: u32,
        row: &PinRow,
    ) -> Result<(), AbsorbError> {
        let at = self.subnet_for_pin(network, row.subnet, row)?;
        self.plan_mut(network).put_pin(at, row);
        self.networks.at_mut(network).pinned = true;
        self.recut_pins(network, at);
        Ok(())
    }

    fn subnet_for_pin(
        &self,
        network: u32,
        handle: SubnetHandle,
        row: &PinRow,
    ) -> Result<u32, AbsorbError> {
        let unknown = AbsorbError::UnknownSubnet(row.network, handle);
        let at = self.find_subnet_handle(network, handle).ok_or(unknown)?;
        if row.offset > self.subnets.at(at).offset_max() {
            return Err(AbsorbError::RangeOutside(row.network, handle));
        }
        Ok(at)
    }

    /// Takes a segment, host or pin out; what is gone already may go again.
    pub(in crate::allocator) fn drop_planned(
        &mut self,
        network: u32,
        thing: Thing,
        created: Revision,
    ) {
        let mut none = Plan::default();
        let plan = self.networks.at_mut(network).plan.as_deref_mut().unwrap_or(&mut none);
        let mut freed = None;
        match thing {
            Thing::Segment => {
                if let Some(row) = plan.segments.remove(&created.0) {
                    plan.segment_ids.remove(&row.id);
                }
            }
            Thing::Host => plan.drop_host(created),
            Thing::Pin => freed = plan.drop_pin(created),
            Thing::Port => {}
        }
        self.tidy_plan(network);
        match (thing, freed) {
            (_, Some(at)) => self.recut_pins(network, at),
            // It had gone from the rows before this revision was reached.
            (Thing::Pin, None) => {
                let of = self.networks.at_mut(network);
                of.forget_before(of.revision);
            }
            _ => {}
        }
    }

    /// Cuts the pieces of a subnet anew after its pins changed.
    fn recut_pins(&mut self, network: u32, at: u32) {
        let plan = self.networks.at(network).plan.as_ref();
        let pins = plan.map(|plan| {
            let inside = plan.pin_places.range((at, 0)..=(at, u128::MAX));
            inside.map(|((_, offset), _)| *offset).collect()
        });
        self.subnets.at_mut(at).pins = pins.unwrap_or_default();
        self.recut(at);
    }
}
