//! Gives a port its addresses and takes them away, inside an operation that can be taken back.
//! What is wanted was checked before.

use super::seeker::Seeker;
use super::state::{slot_bit, slots_of};
use super::wishes::{Wish, Wishes};
use crate::allocator::Shard;
use crate::allocator::allocate::Single;
use crate::allocator::network::family_index;
use crate::allocator::refusal::{Refused, limit, refuse_field};
use crate::model::{EffectSink, Family, PortRow, Slot, Status, SubnetId};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::Strategy;
use addrd_protocol::message::port::PORT_ADDRESSES_MAX;
use std::net::IpAddr;

/// An address that a port has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Had {
    pub(super) record: u32,
    pub(super) slot: Slot,
    pub(super) subnet: u32,
    pub(super) address: IpAddr,
    /// It follows from the MAC.
    pub(super) automatic: bool,
}

impl Shard {
    /// The addresses of a port by slot.
    pub(super) fn had(&self, port: u32) -> Vec<Had> {
        let (mac, class) = (self.ports.at(port).mac, self.ports.at(port).class);
        let of = |record: u32| {
            let held = self.ledger.at(record);
            let subnet = self.subnets.at(held.subnet);
            let address = subnet.address(self.ledger.offset(held));
            let automatic = class != super::Class::Router
                && subnet.row.service.is_auto_address()
                && self.eui64_address(held.subnet, mac) == Some(address);
            Had { record, slot: held.slot, subnet: held.subnet, address, automatic }
        };
        self.port_records(port).into_iter().map(of).collect()
    }

    /// Allocates what is wanted: exact addresses first, then the others, then those that follow
    /// from the MAC. Slots rise in the order of the wishes.
    ///
    /// Returns the slots, with `used`.
    pub(super) fn fulfil(
        &mut self,
        seeker: &Seeker<'_>,
        wishes: &Wishes,
        used: u128,
        sink: &mut impl EffectSink,
    ) -> Result<u128, Refused> {
        let named = wishes.slots.iter().map(|(_, slot)| slot_bit(*slot));
        let mut slots = named.fold(used, |all, bit| all | bit);
        let mut list: Vec<(Slot, Wish)> = Vec::with_capacity(wishes.list.len());
        for wish in &wishes.list {
            let slot = match wishes.slot_of(wish) {
                Some(slot) => self.named_slot(seeker, slot)?,
                None => self.free_slot(seeker, slots)?,
            };
            slots |= slot_bit(slot);
            list.push((slot, *wish));
        }
        // A wish for any address must not take one that another wish names.
        let is_exact = |(_, wish): &&(Slot, Wish)| matches!(wish, Wish::Exact(..));
        let exact = list.iter().filter(is_exact);
        for &(slot, wish) in exact.chain(list.iter().filter(|named| !is_exact(named))) {
            let record = self.fulfil_one(seeker, wishes, slot, wish, sink)?;
            self.set_holder(record, seeker.class.holder());
        }
        for &at in &wishes.automatic {
            let Some(address) = self.eui64_address(at, seeker.mac) else { continue };
            let slot = self.free_slot(seeker, slots)?;
            slots |= slot_bit(slot);
            let wish = Wish::Exact(address, at);
            let record = self.fulfil_one(seeker, wishes, slot, wish, sink)?;
            self.set_holder(record, seeker.class.holder());
        }
        Ok(slots)
    }

    /// A slot that a request names, unless its key is held without the port.
    fn named_slot(&self, seeker: &Seeker<'_>, slot: Slot) -> Result<Slot, Refused> {
        let key = self.key_of(seeker.network, seeker.owner, slot);
        let held = self.ledger.find_key(&self.subnets, &key);
        // What is over ends when the slot is filled.
        match held.filter(|&held| !self.is_over(self.ledger.at(held))) {
            None => Ok(slot),
            Some(_) => {
                let message =
                    format_args!("slot {} of owner {} is held already", slot.0, seeker.owner);
                Err(refuse_field(Status::KEY_IN_USE, "fixed_ips", message))
            }
        }
    }

    /// The lowest slot that is neither used nor held by somebody who took it without the port.
    pub(super) fn free_slot(&self, seeker: &Seeker<'_>, used: u128) -> Result<Slot, Refused> {
        let is_free = |slot: &Slot| {
            let key = self.key_of(seeker.network, seeker.owner, *slot);
            self.ledger.find_key(&self.subnets, &key).is_none()
        };
        let unused = slots_of(!used).take_while(|slot| usize::from(slot.0) < PORT_ADDRESSES_MAX);
        unused.into_iter().find(is_free).ok_or_else(|| {
            let most = PORT_ADDRESSES_MAX as u128;
            limit("PORT_ADDRESSES_MAX", most + 1, most)
        })
    }

    pub(super) fn fulfil_one(
        &mut self,
        seeker: &Seeker<'_>,
        wishes: &Wishes,
        slot: Slot,
        wish: Wish,
        sink: &mut impl EffectSink,
    ) -> Result<u32, Refused> {
        match wish {
            Wish::Exact(address, at) => {
                let subnets = [self.subnets.at(at).row.id];
                let exact = Some(address);
                let single = Single { exact, ..single(seeker, slot, &subnets) };
                self.allocate_single(seeker.network, &single, sink)
            }
            Wish::Any(at) => {
                let subnets = [self.subnets.at(at).row.id];
                self.allocate_single(seeker.network, &single(seeker, slot, &subnets), sink)
            }
            Wish::Family(family) => self.any_of_family(seeker, wishes, slot, family, sink),
        }
    }

    /// Any address of a family: in the listed candidates, then in the subnets for everybody.
    fn any_of_family(
        &mut self,
        seeker: &Seeker<'_>,
        wishes: &Wishes,
        slot: Slot,
        family: Family,
        sink: &mut impl EffectSink,
    ) -> Result<u32, Refused> {
        let open = wishes.candidates.open[family_index(family)];
        let listed = match wishes.candidates.listed.is_empty() {
            true => Vec::new(),
            false => self.listed_of(&wishes.candidates, family),
        };
        if !listed.is_empty() {
            let wanted = Single { family: Some(family), ..single(seeker, slot, &listed) };
            match self.allocate_single(seeker.network, &wanted, sink) {
                Err(_) if open => {}
                done => return done,
            }
        }
        let wanted = Single { family: Some(family), ..single(seeker, slot, &[]) };
        self.allocate_single(seeker.network, &wanted, sink)
    }

    /// Releases addresses of a port.
    pub(super) fn release_had(&mut self, had: &[Had], sink: &mut impl EffectSink) -> u128 {
        let mut slots = 0;
        // As in `end_port`.
        for address in had.iter().rev() {
            self.commit_gone(address.record, sink);
            slots |= slot_bit(address.slot);
        }
        slots
    }

    /// Runs an operation on a port as one step: a refusal leaves nothing behind.
    pub(super) fn as_one_step<S: EffectSink, T>(
        &mut self,
        network: u32,
        sink: &mut S,
        step: impl FnOnce(&mut Self, &mut S) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let start = sink.bytes();
        let savepoint = self.begin_undo(network);
        let done = step(self, sink).and_then(|done| self.pay_step(&savepoint).map(|()| done));
        match done {
            Ok(done) => {
                self.end_undo(savepoint);
                Ok(done)
            }
            Err(refused) if is_planted(Bug::PortMadeInPart) => {
                self.end_undo(savepoint);
                Err(refused)
            }
            Err(refused) => {
                self.take_back(savepoint);
                sink.truncate(start);
                Err(refused)
            }
        }
    }

    /// A port as it is, with the revision that its next record has.
    pub(super) fn next_port_row(&self, port: u32) -> PortRow {
        let network = self.ports.at(port).network;
        PortRow { revision: self.networks.at(network).next_revision(), ..self.port_row(port) }
    }
}

fn single<'a>(seeker: &Seeker<'_>, slot: Slot, subnets: &'a [SubnetId]) -> Single<'a> {
    let strategy: Strategy = seeker.strategy();
    Single {
        owner: seeker.owner,
        slot,
        family: None,
        strategy,
        allow_gateway: seeker.allow_gateway,
        exact: None,
        subnets,
    }
}
