//! Pins: addresses kept for an owner's slot, held or not.
//!
//! A pin is a closed piece of its subnet: no automatic choice sees it, and its owner's request is
//! led to it before any other.

use super::Shard;
use super::allocate::PinSeeker;
use super::pages::Kind;
use super::refusal::{Refused, limit, refuse_field};
use super::segments::reads::pages;
use super::shard::At;
use crate::limits::PINS_PER_SUBNET_MAX;
use crate::model::{Effect, EffectSink, Family, OwnerId, PinRow, Revision, Slot, Status, Thing};
use addrd_protocol::message::{Pin, PinCreate, PinDelete, PinList, PinPage};
use std::net::IpAddr;

impl Shard {
    /// Keeps an address for an owner's slot; whoever holds it keeps it.
    pub(super) fn pin_create(
        &mut self,
        network: u32,
        request: &PinCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Pin, Refused> {
        let (at, offset) = self.pin_place(network, &request.address)?;
        let key = (request.owner, request.slot);
        let by_place = self.pin_at(network, at, offset);
        let by_key = self.pin_of(network, key);
        match (by_place, by_key) {
            (None, None) => {}
            (Some(place), Some(key)) if place == key => {
                return Ok(Pin { repeated: true, ..self.pin(network, place) });
            }
            (Some(_), _) => return Err(pinned(&request.address, "address")),
            (None, Some(other)) => {
                let message = format_args!(
                    "slot {} of the owner has a pin already, on {}; pin_delete would end it",
                    request.slot.0,
                    self.pin(network, other).address
                );
                return Err(refuse_field(Status::PINNED, "slot", message));
            }
        }
        self.check_living(network)?;
        self.check_pinnable(at, offset, &request.address)?;
        self.check_room_for_records()?;
        let subnet = self.subnets.at(at);
        let created = self.networks.at(network).next_revision();
        let row = PinRow {
            network: subnet.network_handle,
            created,
            subnet: subnet.handle,
            offset,
            owner: request.owner,
            slot: request.slot,
            owner_name: request.owner_name.clone(),
        };
        self.commit(&Effect::PinPut(Box::new(row)), sink);
        Ok(self.pin(network, created.0))
    }

    fn check_pinnable(&self, at: u32, offset: u128, address: &IpAddr) -> Result<(), Refused> {
        let subnet = self.subnets.at(at);
        if subnet.deleting {
            return Err(super::subnets::rules::deleting("subnet"));
        }
        if subnet.has_reserved(offset, offset) {
            let message =
                format_args!("{address} is the network or broadcast address of its subnet");
            return Err(refuse_field(Status::INVALID_ADDRESS, "address", message));
        }
        if let Some(exclusion) = subnet.excluded_for_everyone(offset, offset) {
            let message =
                format_args!("{address} lies in {}, excluded for everyone", exclusion.range);
            return Err(refuse_field(Status::EXCLUDED, "address", message));
        }
        let count = subnet.pins.len();
        if count >= PINS_PER_SUBNET_MAX {
            let most = PINS_PER_SUBNET_MAX as u128;
            return Err(limit("PINS_PER_SUBNET_MAX", count as u128 + 1, most));
        }
        Ok(())
    }

    /// Ends the pin of an address.
    pub(super) fn pin_delete(
        &mut self,
        network: u32,
        request: &PinDelete,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let place = self.pin_place(network, &request.address);
        let found = place.ok().and_then(|(at, offset)| self.pin_at(network, at, offset));
        let Some(created) = found else {
            let message = format_args!("{} is not pinned", request.address);
            return Err(refuse_field(Status::NOT_FOUND, "address", message));
        };
        self.commit_thing_gone(network, Thing::Pin, Revision(created), sink);
        Ok(())
    }

    /// Whether addresses of a subnet are pinned.
    pub(super) fn has_pins_in(&self, at: u32) -> bool {
        let plan = self.networks.at(self.subnets.at(at).network).plan.as_deref();
        plan.is_some_and(|plan| plan.pin_places.range((at, 0)..=(at, u128::MAX)).next().is_some())
    }

    /// Ends at most `most` pins of a subnet; gives how many.
    pub(super) fn end_pins_in(
        &mut self,
        at: u32,
        most: usize,
        sink: &mut impl EffectSink,
    ) -> usize {
        let network = self.subnets.at(at).network;
        let Some(plan) = self.networks.at(network).plan.as_deref() else { return 0 };
        let inside = plan.pin_places.range((at, 0)..=(at, u128::MAX)).take(most);
        let inside: Vec<u64> = inside.map(|(_, created)| *created).collect();
        for &created in &inside {
            self.commit_thing_gone(network, Thing::Pin, Revision(created), sink);
        }
        inside.len()
    }

    /// Pins of a network in the order in which they were made.
    pub(super) fn pin_list(
        &self,
        at: &At,
        network: u32,
        request: &PinList,
    ) -> Result<PinPage, Refused> {
        let empty = Default::default();
        let plan = self.networks.at(network).plan.as_deref();
        let all = plan.map_or(&empty, |plan| &plan.pins);
        let page = pages(at, Kind::Pin, &request.page, all, |pin| {
            let id = self.subnets.at(pin.subnet).row.id;
            let shown = request.subnet_id.is_none_or(|wanted| wanted == id);
            shown.then(|| self.pin(network, pin.row.created.0))
        })?;
        let (items, next) = page.finish(Kind::Pin, at, Family::V4);
        Ok(PinPage { position: at.position, items, next })
    }

    /// The place that a pinned key leads to, if what is asked for allows it.
    pub(super) fn pinned_place(&self, network: u32, seeker: &PinSeeker<'_>) -> Option<(u32, u128)> {
        // Pins are for owners of the network's own project.
        if self.acting.is_some() {
            return None;
        }
        let created = self.pin_of(network, (seeker.owner, seeker.slot))?;
        let pin = self.networks.at(network).plan.as_deref()?.pins.get(&created)?;
        let (at, offset) = (pin.subnet, pin.row.offset);
        let subnet = self.subnets.at(at);
        let fits = !subnet.deleting
            && subnet.excluded_for_everyone(offset, offset).is_none()
            && seeker.takes(subnet, &subnet.address(offset));
        fits.then_some((at, offset))
    }

    /// Whether another key than this one has a pin inside a block.
    pub(super) fn is_pinned_for_other(
        &self,
        at: u32,
        span: (u128, u128),
        owner: OwnerId,
        slot: Slot,
    ) -> bool {
        self.is_pinned_beside(at, span, (owner, slot), self.acting.is_some())
    }

    /// The same for whom the request at hand names; what a guest has is never pinned for it.
    pub(super) fn is_pinned_beside(
        &self,
        at: u32,
        (first, last): (u128, u128),
        key: (OwnerId, Slot),
        is_guest: bool,
    ) -> bool {
        let subnet = self.subnets.at(at);
        if subnet.pins.is_empty() {
            return false;
        }
        let Some(plan) = self.networks.at(subnet.network).plan.as_deref() else { return false };
        let mut inside = plan.pin_places.range((at, first)..=(at, last));
        inside.any(|(_, created)| {
            let pin = plan.pins.get(created);
            pin.is_some_and(|pin| is_guest || (pin.row.owner, pin.row.slot) != key)
        })
    }

    /// Whether an address is somebody's.
    fn is_held(&self, at: u32, offset: u128) -> bool {
        let covering = self.find_covering(at, offset);
        covering.is_some_and(|record| !self.ledger.at(record).rests())
    }

    fn pin_place(&self, network: u32, address: &IpAddr) -> Result<(u32, u128), Refused> {
        let found = self.find_subnet_with(network, address);
        let place = found.and_then(|at| {
            let offset = self.subnets.at(at).row.prefix.offset_of(address)?;
            Some((at, offset))
        });
        place.ok_or_else(|| {
            let message = format_args!("{address} lies in no subnet of the network");
            refuse_field(Status::INVALID_ADDRESS, "address", message)
        })
    }

    fn pin_at(&self, network: u32, at: u32, offset: u128) -> Option<u64> {
        let plan = self.networks.at(network).plan.as_deref()?;
        plan.pin_places.get(&(at, offset)).copied()
    }

    fn pin_of(&self, network: u32, key: (OwnerId, Slot)) -> Option<u64> {
        let plan = self.networks.at(network).plan.as_deref()?;
        plan.pin_keys.get(&key).copied()
    }

    /// A pin as it is.
    fn pin(&self, network: u32, created: u64) -> Pin {
        let plan = self.networks.at(network).plan.as_deref();
        let pin = &plan.expect("a pin that was found has a plan around it").pins[&created];
        let subnet = self.subnets.at(pin.subnet);
        Pin {
            address: subnet.address(pin.row.offset),
            subnet_id: subnet.row.id,
            owner: pin.row.owner,
            slot: pin.row.slot,
            revision: pin.row.created,
            held: self.is_held(pin.subnet, pin.row.offset),
            repeated: false,
            owner_name: pin.row.owner_name.clone(),
        }
    }
}

/// An address that is kept for another owner.
#[cold]
pub(super) fn pinned(address: &IpAddr, field: &str) -> Refused {
    let message =
        format_args!("{address} is or has an address that is kept for another owner's slot");
    refuse_field(Status::PINNED, field, message)
}
