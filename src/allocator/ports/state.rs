//! Ports in memory and how they are found: by id, by MAC, in the order in which they were made.
//! Decides nothing.

use crate::allocator::index::{Hasher, Index};
use crate::allocator::record::Holder;
use crate::allocator::slab::Arena;
use crate::allocator::undo::Step;
use crate::allocator::{Shard, owned};
use crate::model::{
    Effect, EffectSink, Mac, OwnerId, PortId, PortRow, ProjectId, Revision, Slot, Text, ThingWas,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::IpAllocation;

/// What a device owner means for the rules (protocol/SPEC.md, port_create and subnet_delete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::allocator) enum Class {
    /// Nothing.
    Plain,
    /// A DHCP server: sees all subnets with `enable_dhcp`, yields to the deletion of a subnet.
    Dhcp,
    /// On every host: yields, and may be on several segments.
    Distributed,
    /// Yields.
    Agent,
    /// A router's: gets no automatic addresses, never yields, may have the network address.
    Router,
}

impl Class {
    /// Of a device owner.
    pub(in crate::allocator) fn of(device_owner: Option<&Text>) -> Self {
        match device_owner.map_or("", |text| text.as_str()) {
            "network:dhcp" => Self::Dhcp,
            "network:distributed" => Self::Distributed,
            "network:floatingip_agent_gateway" => Self::Agent,
            "network:router_interface"
            | "network:router_interface_distributed"
            | "network:ha_router_replicated_interface"
            | "network:router_centralized_snat" => Self::Router,
            _ => Self::Plain,
        }
    }

    /// What its addresses are to the deletion of their subnet.
    pub(in crate::allocator) const fn holder(self) -> Holder {
        match self {
            Self::Plain => Holder::Port,
            Self::Dhcp | Self::Distributed | Self::Agent => Holder::Yielding,
            Self::Router => Holder::Router,
        }
    }
}

/// Texts of a port; most have some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::allocator) struct Texts {
    pub(in crate::allocator) host: Option<Text>,
    pub(in crate::allocator) device_owner: Option<Text>,
    pub(in crate::allocator) description: Option<Text>,
    /// Its project, if it is not that of its network; no text, but as rare.
    project: Option<ProjectId>,
}

/// A port of the shard.
#[derive(Debug)]
pub(in crate::allocator) struct Port {
    /// Its network in the shard.
    pub(in crate::allocator) network: u32,
    pub(in crate::allocator) created: Revision,
    pub(in crate::allocator) revision: Revision,
    pub(in crate::allocator) id: PortId,
    pub(in crate::allocator) mac: Mac,
    pub(in crate::allocator) ip_allocation: IpAllocation,
    pub(in crate::allocator) class: Class,
    /// Slots that its addresses were given; one whose allocation is gone may stay.
    pub(in crate::allocator) slots: u128,
    /// Its project is not that of its network; it stands with the texts, which few looks need.
    is_guest: bool,
    texts: Option<Box<Texts>>,
}

const NO_TEXTS: &Texts =
    &Texts { host: None, device_owner: None, description: None, project: None };

impl Port {
    pub(in crate::allocator) fn texts(&self) -> &Texts {
        self.texts.as_deref().unwrap_or(NO_TEXTS)
    }

    /// Its project, if it is not that of its network.
    #[inline]
    pub(in crate::allocator) fn guest(&self) -> Option<ProjectId> {
        if self.is_guest { self.texts().project } else { None }
    }

    /// The owner of its addresses.
    pub(in crate::allocator) const fn owner(&self) -> OwnerId {
        OwnerId(self.id.0)
    }
}

/// All ports of a shard.
#[derive(Debug)]
pub(in crate::allocator) struct Ports {
    all: Arena<Port>,
    pub(super) by_id: Index,
    pub(super) by_mac: Index,
}

impl Ports {
    pub(in crate::allocator) fn new() -> Self {
        Self { all: Arena::new(), by_id: Index::new(), by_mac: Index::new() }
    }

    pub(in crate::allocator) const fn count(&self) -> u32 {
        self.all.count()
    }

    /// Bytes, with an estimate of texts and places in orders.
    pub(in crate::allocator) fn bytes(&self) -> usize {
        /// A place in the order of its network, and one text of 16 bytes.
        const PORT_BYTES: usize = 24 + 48;
        self.all.bytes()
            + self.by_id.bytes()
            + self.by_mac.bytes()
            + self.all.count() as usize * PORT_BYTES
    }

    #[inline]
    pub(in crate::allocator) fn at(&self, port: u32) -> &Port {
        self.all.at(port)
    }

    pub(in crate::allocator) fn iter(&self) -> impl Iterator<Item = (u32, &Port)> {
        self.all.iter()
    }

    /// Entries of the indexes, by id and by MAC.
    pub(in crate::allocator) fn indexed(&self) -> (usize, usize) {
        (self.by_id.count(), self.by_mac.count())
    }
}

/// Salts of the hashes of MACs, apart from those of ids.
const MAC_SALT: u64 = 1 << 40;
/// Salts of the hashes of guests' ids.
const GUEST_SALT: u64 = 1 << 41;

#[inline]
fn port_hash(hasher: &Hasher, network: u32, guest: Option<ProjectId>, id: PortId) -> u64 {
    let own = u64::from(network);
    let salt = guest.map_or(own, |guest| hasher.hash(guest.0.as_u128(), GUEST_SALT + own));
    hasher.hash(id.0.as_u128(), salt)
}

fn hash_of(hasher: &Hasher, port: &Port) -> u64 {
    port_hash(hasher, port.network, port.guest(), port.id)
}

pub(super) fn mac_hash(hasher: &Hasher, network: u32, mac: Mac) -> u64 {
    hasher.hash(mac.number().into(), MAC_SALT + u64::from(network))
}

impl Shard {
    #[inline]
    pub(super) fn port_hash(&self, network: u32, guest: Option<ProjectId>, id: PortId) -> u64 {
        port_hash(&self.ledger.hasher, network, guest, id)
    }

    /// The port of the project that the request at hand acts for.
    #[inline]
    pub(in crate::allocator) fn find_port(&self, network: u32, id: PortId) -> Option<u32> {
        self.find_port_of(network, self.acting, id)
    }

    /// The same of a guest, or of the network's own project.
    #[inline]
    pub(in crate::allocator) fn find_port_of(
        &self,
        network: u32,
        guest: Option<ProjectId>,
        id: PortId,
    ) -> Option<u32> {
        let hash = self.port_hash(network, guest, id);
        self.ports.by_id.find(hash, |at| {
            let port = self.ports.at(at);
            port.id == id && port.network == network && port.guest() == guest
        })
    }

    pub(in crate::allocator) fn find_mac(&self, network: u32, mac: Mac) -> Option<u32> {
        let hash = mac_hash(&self.ledger.hasher, network, mac);
        self.ports.by_mac.find(hash, |at| {
            let port = self.ports.at(at);
            port.mac == mac && port.network == network
        })
    }

    /// The port that an allocation belongs to.
    pub(in crate::allocator) fn port_of(&self, record: u32) -> Option<u32> {
        let of = self.ledger.at(record);
        if of.block_bits > 0 || of.rests() {
            return None;
        }
        let guest = self.ledger.extras_row(of).and_then(|row| row.project);
        let network = self.subnets.at(of.subnet).network;
        let port = self.find_port_of(network, guest, PortId(of.owner().0))?;
        has_slot(self.ports.at(port).slots, of.slot).then_some(port)
    }

    /// The allocations of a port by slot.
    pub(in crate::allocator) fn port_records(&self, port: u32) -> Vec<u32> {
        self.port_records_in(port, u128::MAX)
    }

    /// Those of them in some slots.
    fn port_records_in(&self, port: u32, slots: u128) -> Vec<u32> {
        let of = self.ports.at(port);
        let (network, owner) = (of.network, of.owner());
        let key = |slot| self.key_for(network, of.guest(), owner, slot);
        let held = |slot| self.ledger.find_key(&self.subnets, &key(slot));
        // Who released an address by itself may have put a block into its slot: that is no port's.
        let is_single = |record: &u32| self.ledger.at(*record).block_bits == 0;
        slots_of(of.slots & slots).filter_map(held).filter(is_single).collect()
    }

    /// Notes who holds an allocation that was put just now.
    #[inline]
    pub(in crate::allocator) fn seek_holder(&mut self, network: u32, record: u32) {
        if !self.networks.at(network).ports.is_empty() {
            let port = self.port_of(record).map(|port| self.ports.at(port).class.holder());
            self.set_holder(record, port.unwrap_or_default());
        }
    }

    /// Notes who holds an allocation, with the counts of its subnet.
    pub(in crate::allocator) fn set_holder(&mut self, record: u32, holder: Holder) {
        let (subnet, before) = self.ledger.set_holder(record, holder);
        if before != holder {
            let subnet = self.subnets.at_mut(subnet);
            subnet.count_holder(before, false);
            subnet.count_holder(holder, true);
        }
    }

    fn set_holder_of(&mut self, port: u32, slots: u128, holder: Holder) {
        for record in self.port_records_in(port, slots) {
            self.set_holder(record, holder);
        }
    }

    /// Takes a port into the state; whatever has its id or MAC goes, which in live operation
    /// nothing has.
    pub(in crate::allocator) fn put_port(&mut self, network: u32, row: &PortRow) {
        let old = self.networks.at(network).ports.get(&row.created.0).copied();
        let named = self.find_port_of(network, row.project, row.id);
        let stale = [named, self.find_mac(network, row.mac), old];
        let mut same = (0, Holder::Other);
        for other in stale.into_iter().flatten() {
            let Some(port) = self.ports.all.get(other) else { continue };
            let (slots, holder) = (port.slots, port.class.holder());
            let is_same = port.id == row.id && port.created == row.created;
            if is_same && port.guest() == row.project {
                same = (slots, holder);
                self.set_holder_of(other, !row.slots, Holder::Other);
            } else {
                self.set_holder_of(other, u128::MAX, Holder::Other);
            }
            self.remove_port(other);
        }
        let port = self.put_fresh_port(network, row);
        let holder = self.ports.at(port).class.holder();
        // What keeps its slot and its holder is noted so already.
        let slots = if same.1 == holder { !same.0 } else { u128::MAX };
        self.set_holder_of(port, slots, holder);
    }

    /// Takes in a port whose id, MAC and revision no other has; gives its place.
    fn put_fresh_port(&mut self, network: u32, row: &PortRow) -> u32 {
        let texts = Texts {
            host: row.host.as_ref().map(owned),
            device_owner: row.device_owner.as_ref().map(owned),
            description: row.description.as_ref().map(owned),
            project: row.project,
        };
        let port = Port {
            network,
            created: row.created,
            revision: row.revision,
            id: row.id,
            mac: row.mac,
            ip_allocation: row.ip_allocation,
            class: Class::of(row.device_owner.as_ref()),
            slots: row.slots,
            is_guest: row.project.is_some(),
            texts: (texts != *NO_TEXTS).then(|| Box::new(texts)),
        };
        let Ports { all, by_id, by_mac } = &mut self.ports;
        let at = all.insert(port);
        let hasher = self.ledger.hasher;
        let hash = |at| hash_of(&hasher, all.at(at));
        by_id.insert(hash(at), at, hash);
        let hash = |at| mac_hash(&hasher, all.at(at).network, all.at(at).mac);
        by_mac.insert(hash(at), at, hash);
        self.networks.at_mut(network).ports.insert(row.created.0, at);
        if let Some(guest) = row.project {
            self.count_guest(network, guest, true);
        }
        self.count_port(network, row.project, true);
        at
    }

    /// Takes a port out; its addresses stay.
    pub(in crate::allocator) fn drop_port(&mut self, network: u32, created: Revision) {
        if let Some(&at) = self.networks.at(network).ports.get(&created.0) {
            self.set_holder_of(at, u128::MAX, Holder::Other);
            self.remove_port(at);
        }
    }

    fn remove_port(&mut self, at: u32) {
        let port = self.ports.at(at);
        let (network, created) = (port.network, port.created);
        let guest = port.guest();
        let by_id = hash_of(&self.ledger.hasher, port);
        let by_mac = mac_hash(&self.ledger.hasher, network, port.mac);
        self.ports.by_id.remove(by_id, at);
        self.ports.by_mac.remove(by_mac, at);
        self.ports.all.remove(at);
        self.networks.at_mut(network).ports.remove(&created.0);
        if let Some(guest) = guest {
            self.count_guest(network, guest, false);
        }
        self.count_port(network, guest, false);
    }

    /// A port as its effect would put it now.
    pub(in crate::allocator) fn port_row(&self, at: u32) -> PortRow {
        let port = self.ports.at(at);
        let texts = port.texts();
        PortRow {
            network: self.networks.at(port.network).handle,
            revision: port.revision,
            created: port.created,
            id: port.id,
            mac: port.mac,
            ip_allocation: port.ip_allocation,
            slots: port.slots,
            project: port.guest(),
            host: texts.host.clone(),
            device_owner: texts.device_owner.clone(),
            description: texts.description.clone(),
        }
    }

    /// Pushes and absorbs a port; gives its place.
    pub(in crate::allocator) fn commit_port(
        &mut self,
        network: u32,
        row: PortRow,
        sink: &mut impl EffectSink,
    ) -> u32 {
        let created = row.created;
        self.remember_port(network, created);
        let effect = Effect::PortPut(Box::new(row));
        let start = sink.bytes();
        self.commit(&effect, sink);
        if is_planted(Bug::PortChangeNotJournalled) {
            sink.truncate(start);
        }
        self.networks.at(network).ports[&created.0]
    }

    /// The same for a port that was checked to be new, and whose addresses note already who holds
    /// them: nothing is looked for again.
    pub(super) fn commit_fresh_port(
        &mut self,
        network: u32,
        row: PortRow,
        sink: &mut impl EffectSink,
    ) -> u32 {
        let created = row.created;
        let effect = Effect::PortPut(Box::new(row));
        sink.push(&effect);
        let Effect::PortPut(row) = &effect else { unreachable!("made two lines above") };
        if self.undo.active {
            self.undo.steps.push(Step::PortFresh { network, created });
        }
        self.networks.at_mut(network).mark(row.revision);
        self.put_fresh_port(network, row)
    }

    /// Pushes and absorbs that a port is gone, whose addresses were released.
    pub(super) fn commit_port_gone(&mut self, port: u32, sink: &mut impl EffectSink) {
        let of = self.ports.at(port);
        let (network, created) = (of.network, of.created);
        let was = ThingWas::Port { id: of.id, project: of.guest() };
        self.remember_port(network, created);
        let of = self.networks.at_mut(network);
        let revision = of.next_revision();
        of.mark(revision);
        let network = of.handle;
        sink.push(&Effect::ThingGone { network, revision, created, was });
        self.remove_port(port);
    }
}

/// Whether a slot is among those of a port.
pub(in crate::allocator) fn has_slot(slots: u128, slot: Slot) -> bool {
    slots.checked_shr(slot.0.into()).is_some_and(|rest| rest & 1 == 1)
}

/// The slots of a port in rising order.
pub(in crate::allocator) fn slots_of(slots: u128) -> impl Iterator<Item = Slot> {
    let next = |slots: &u128| Some(slots & (slots - 1)).filter(|rest| *rest != 0);
    let first = Some(slots).filter(|slots| *slots != 0);
    std::iter::successors(first, next).map(|slots| Slot(slots.trailing_zeros() as u16))
}

/// The bit of a slot.
pub(in crate::allocator) const fn slot_bit(slot: Slot) -> u128 {
    1 << slot.0
}
