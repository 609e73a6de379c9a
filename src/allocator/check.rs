//! What must hold between the parts of a shard, recounted from the allocations.
//! Changes nothing; takes time proportional to everything, for `check` and tests.

use super::Shard;
use super::order::Key;
use super::record::Holder;
use super::slab::NIL;
use super::subnet::{Subnet, last_of};
use super::totals::Totals;
use crate::model::{Family, ProjectId};
use std::collections::BTreeMap;

impl Shard {
    /// What does not hold, in words; empty = everything does.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (at, subnet) in self.subnets.iter() {
            self.check_subnet(at, subnet, &mut found);
        }
        let mut allocations = 0;
        for (at, network) in self.networks.iter() {
            allocations += network.allocations;
            self.check_network(at, &mut found);
        }
        if allocations != self.allocations() {
            found.push(format!("networks count {allocations} of {}", self.allocations()));
        }
        if self.ordered.len() != self.networks.count() as usize
            || self.everywhere.len() != self.subnets.count() as usize
        {
            found.push("an order has other objects than the shard".to_owned());
        }
        self.ledger.check(&mut found);
        self.check_ports(&mut found);
        self.check_guests(&mut found);
        self.check_accounts(&mut found);
        self.check_rests(&mut found);
        self.check_holds(&mut found);
        found
    }

    /// Ports are found by id, MAC and place; whatever is not for everybody is noted, and nothing
    /// else.
    fn check_ports(&self, found: &mut Vec<String>) {
        let count = self.ports.count() as usize;
        if self.ports.indexed() != (count, count) {
            found.push(format!("indexes have {:?} of {count} ports", self.ports.indexed()));
        }
        for (at, port) in self.ports.iter() {
            let network = self.networks.at(port.network);
            let here = self.find_port_of(port.network, port.guest(), port.id) == Some(at)
                && self.find_mac(port.network, port.mac) == Some(at)
                && network.ports.get(&port.created.0) == Some(&at);
            if !here {
                found.push(format!("port {} is not found", port.id));
            }
        }
        for (at, network) in self.networks.iter() {
            let keys = network.order.iter_from(Key::before(Family::V4, 0));
            let closed = keys.filter(|key| !self.subnets.at(key.subnet()).row.service.is_open());
            let noted =
                network.plan.as_deref().map_or(0, |plan| plan.special.len() + plan.on_segments());
            let pins = network.plan.as_deref().map_or(0, |plan| plan.pins.len());
            let cut: usize = self
                .subnets
                .iter()
                .filter(|(_, subnet)| subnet.network == at)
                .map(|(_, subnet)| subnet.pins.len())
                .sum();
            if closed.count() != noted || cut != pins || network.pinned != (pins > 0) {
                found.push(format!("the plan of network {} is wrong", network.id));
            }
        }
    }

    /// What projects have on networks of others is counted, and shared networks are known.
    fn check_guests(&self, found: &mut Vec<String>) {
        let mut counts: BTreeMap<(u32, ProjectId), u64> = BTreeMap::new();
        let allocations = self.ledger.live().filter_map(|at| {
            let record = self.ledger.at(at);
            let guest = self.ledger.extras_row(record).and_then(|row| row.project)?;
            (!record.rests()).then_some((self.subnets.at(record.subnet).network, guest))
        });
        let ports = self.ports.iter().filter_map(|(_, port)| Some((port.network, port.guest()?)));
        for place in allocations.chain(ports) {
            *counts.entry(place).or_default() += 1;
        }
        let mut sums: BTreeMap<ProjectId, u64> = BTreeMap::new();
        for ((_, guest), count) in &counts {
            *sums.entry(*guest).or_default() += count;
        }
        let noted = self.networks.iter().flat_map(|(at, network)| {
            network.guests.iter().map(move |(guest, count)| ((at, *guest), *count))
        });
        if counts != noted.collect() || sums != self.guests {
            found.push("what guests have is counted wrong".to_owned());
        }
        let shared = self.networks.iter().filter(|(_, network)| network.shared);
        let shared = shared.map(|(at, network)| ((network.id, network.project), at));
        if self.lent != shared.collect() {
            found.push("shared networks are not those that are known as such".to_owned());
        }
        let foreign = counts.keys().any(|(at, guest)| self.networks.at(*at).project == *guest);
        if foreign {
            found.push("a project is its own guest".to_owned());
        }
    }

    fn check_network(&self, at: u32, found: &mut Vec<String>) {
        let network = self.networks.at(at);
        let keys: Vec<Key> = network.order.iter_from(Key::before(Family::V4, 0)).collect();
        let sum: u64 = keys.iter().map(|key| self.subnets.at(key.subnet()).allocations).sum();
        if sum != network.allocations {
            found.push(format!("network {}: {sum} of {}", network.id, network.allocations));
        }
        for family in [Family::V4, Family::V6] {
            let index = super::network::family_index(family);
            let of = keys.iter().filter(|key| key.family == family);
            let open = of.clone().find(|key| self.subnets.at(key.subnet()).room > 0);
            if open.copied() != network.first_open[index] {
                found.push(format!("network {}: wrong first open subnet", network.id));
            }
            let subnets = of.clone().map(|key| self.subnets.at(key.subnet()));
            let sums =
                subnets.map(|subnet| Totals::of(subnet, &self.maps)).reduce(|mut sum, one| {
                    sum.add(&one);
                    sum
                });
            if sums != network.totals[index].as_deref().copied() {
                found.push(format!("network {}: wrong sums of counts", network.id));
            }
            let usable = of.filter(|key| self.subnets.at(key.subnet()).is_usable()).count();
            if usable != network.usable[index] as usize {
                found.push(format!("network {}: wrong count of usable subnets", network.id));
            }
        }
        let here = self.find_network(network.project, network.id) == Some(at)
            && self.find_network_handle(network.handle) == Some(at)
            && network
                .name
                .as_deref()
                .is_none_or(|name| self.find_network_name(network.project, name) == Some(at));
        if !here {
            found.push(format!("network {} is not found", network.id));
        }
    }

    fn check_subnet(&self, at: u32, subnet: &Subnet, found: &mut Vec<String>) {
        let name = subnet.row.id;
        let (mut from, mut live, mut blocks, mut covered) = (0, 0, 0, 0_u128);
        let (mut of_ports, mut of_yielding) = (0, 0);
        let mut in_pieces = vec![0_u128; subnet.pieces.all().len()];
        while let Some(offset) = subnet.map.next_taken(&self.maps, from) {
            let Some(handle) = self.ledger.find_at(at, offset) else {
                found.push(format!("subnet {name}: offset {offset} is taken by nobody"));
                break;
            };
            let record = self.ledger.at(handle);
            let last = last_of(offset, record.block_bits);
            let size = last - offset + 1;
            live += u64::from(!record.rests());
            if !self.is_rest_noted(at, handle) {
                found
                    .push(format!("subnet {name}: the rest of offset {offset} is noted otherwise"));
            }
            blocks += u64::from(record.block_bits > 0);
            // Two halves of IPv6, in a pool that has both, are 2^128.
            covered = covered.wrapping_add(size);
            let port = self.port_of(handle).map(|port| self.ports.at(port).class.holder());
            let holder = port.unwrap_or_default();
            of_ports += u32::from(holder == Holder::Port);
            of_yielding += u32::from(holder == Holder::Yielding);
            if record.holder() != holder {
                found.push(format!("subnet {name}: offset {offset} is noted as another holder's"));
            }
            if subnet.map.count(&self.maps, offset, last) != size {
                found.push(format!("subnet {name}: the block at {offset} is not wholly taken"));
            }
            for (sum, piece) in in_pieces.iter_mut().zip(subnet.pieces.all()) {
                let (first, last) = (piece.first.max(offset), piece.last.min(last));
                *sum += (last + 1).saturating_sub(first);
            }
            let project = self.ledger.project_of(&self.subnets, record);
            let key = self.key_for(subnet.network, Some(project), record.owner(), record.slot);
            if !record.rests() && self.ledger.find_key(&self.subnets, &key) != Some(handle) {
                found.push(format!("subnet {name}: offset {offset} is not found by its key"));
            }
            let Some(next) = last.checked_add(1) else { break };
            from = next;
        }
        if (live, blocks) != (subnet.allocations, subnet.blocks) {
            found.push(format!("subnet {name}: {live} of {} allocations", subnet.allocations));
        }
        if (of_ports, of_yielding) != (subnet.of_ports, subnet.of_yielding) {
            found.push(format!("subnet {name}: {of_ports} and {of_yielding} of ports"));
        }
        if covered != subnet.map.taken(&self.maps) {
            found.push(format!("subnet {name}: {covered} offsets are not what the map counts"));
        }
        check_pieces(subnet, &in_pieces, found);
        let here = self.find_subnet(subnet.network, name) == Some(at)
            && self.find_subnet_handle(subnet.network, subnet.handle) == Some(at)
            && subnet.room == subnet.room_now(&self.maps);
        if !here {
            found.push(format!("subnet {name} is not found, or has another room"));
        }
    }
}

/// What is taken in each piece, and the sums and bounds over all of them.
fn check_pieces(subnet: &Subnet, in_pieces: &[u128], found: &mut Vec<String>) {
    let name = subnet.row.id;
    for (piece, taken) in subnet.pieces.all().iter().zip(in_pieces) {
        if piece.free + taken != piece.size() {
            found.push(format!("subnet {name}: {piece:?} has {taken} taken"));
        }
    }
    let open = subnet.pieces.all().iter().filter(|piece| piece.is_open());
    if open.map(|piece| piece.free).sum::<u128>() != subnet.pieces.free() {
        found.push(format!("subnet {name}: the free sum is wrong"));
    }
    if open_size(subnet) != subnet.pieces.open() {
        found.push(format!("subnet {name}: the open sum is wrong"));
    }
    if subnet.bounds.is_passed(subnet.pieces.free()) && !subnet.is_crossed {
        found.push(format!("subnet {name}: a level is crossed and nobody looks at it"));
    }
}

fn open_size(subnet: &Subnet) -> u128 {
    let open = subnet.pieces.all().iter().filter(|piece| piece.is_open());
    open.map(super::pieces::Piece::size).sum()
}

impl super::ledger::Ledger {
    /// Rings and indexes have each allocation once.
    fn check(&self, found: &mut Vec<String>) {
        let count = self.count() as usize;
        let resting = self.live().filter(|&handle| self.at(handle).rests()).count();
        if self.indexed() != (count - resting, count) {
            found.push(format!("indexes have {:?} of {count} allocations", self.indexed()));
        }
        self.hosts.check(|handle| self.member_of(self.at(handle)), found);
        let mut leases = 0;
        for handle in self.live() {
            let record = self.at(handle);
            if let Some(extras) = self.extras(record)
                && extras.lease.deadline != 0
            {
                leases += 1;
                if !self.deadlines.has(handle, &extras.lease) {
                    found.push(format!("a lease of owner {} is out of order", record.owner()));
                }
            }
            let (next, previous) = (self.at(record.next), self.at(record.previous));
            let whole = record.next != NIL
                && next.previous == handle
                && previous.next == handle
                && next.owner() == record.owner();
            if !whole {
                found.push(format!("the ring of owner {} is broken", record.owner()));
            }
        }
        if leases != self.deadlines.count() {
            found.push(format!("{} deadlines of {leases} leases", self.deadlines.count()));
        }
    }
}
