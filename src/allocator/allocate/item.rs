//! The slot of an item of a hold: that which it has, or the lowest that the owner has free. Changes nothing.
//!
//! Source: docs/decisions/0035-items-of-a-token.md.

use super::request::Asked;
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, limit};
use crate::limits::LIST_OBJECTS_MAX;
use crate::model::{Family, Slot};
use addrd_protocol::message::allocate::PAIR_SLOT_MAX;
use addrd_protocol::message::{AllocationState, FamilyChoice};
use std::collections::BTreeSet;

impl Shard {
    /// The slot that a request means by an item of its token.
    ///
    /// Shape: a look at each allocation of the owner in all networks of the project here, at most
    /// [`LIST_OBJECTS_MAX`].
    pub(super) fn slot_of_item(
        &self,
        network: u32,
        asked: &Asked<'_>,
        item: u16,
    ) -> Result<Slot, Refused> {
        let is_pair = matches!(asked.request.family, FamilyChoice::Each | FamilyChoice::Both);
        let key = self.key_of(network, asked.request.owner, Slot(0));
        let home =
            self.ledger.find_owner(&self.subnets, key.project, key.owner_salt, asked.request.owner);
        let ring = home.into_iter().flat_map(|home| self.ledger.ring(home));
        let (mut looks, mut own, mut taken) = (0_usize, None, BTreeSet::new());
        for at in ring {
            looks += 1;
            if looks > LIST_OBJECTS_MAX {
                let most = LIST_OBJECTS_MAX as u128;
                return Err(limit("LIST_OBJECTS_MAX", looks as u128, most));
            }
            let record = self.ledger.at(at);
            let subnet = self.subnets.at(record.subnet);
            if subnet.network != network {
                continue;
            }
            let slot = record.slot.0;
            taken.insert(slot);
            let extras = self.ledger.extras_row(record);
            let is_it = record.state() == AllocationState::Held
                && extras.is_some_and(|extras| {
                    extras.token == asked.extras.hold_token && extras.item == Some(item)
                });
            if is_it {
                // Of a pair the IPv6 address has the second slot, also where it is alone.
                let first = slot.saturating_sub(u16::from(is_pair && subnet.family == Family::V6));
                own = Some(own.map_or(first, |own: u16| own.min(first)));
            }
        }
        own.map_or_else(|| lowest_free(&taken, is_pair), |slot| Ok(Slot(slot)))
    }
}

/// The lowest slot that is free, of a pair with the next one.
fn lowest_free(taken: &BTreeSet<u16>, is_pair: bool) -> Result<Slot, Refused> {
    let most = if is_pair { PAIR_SLOT_MAX } else { u16::MAX };
    let is_free = |slot: &u16| {
        !taken.contains(slot) && !(is_pair && taken.contains(&slot.saturating_add(1)))
    };
    let found = (0..=most).find(is_free).map(Slot);
    found.ok_or_else(|| {
        let slots = u128::from(u16::MAX) + 1;
        limit("slots of an owner", taken.len() as u128 + 1, slots)
    })
}
