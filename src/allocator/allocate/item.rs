//! The slot of an item of a hold: that which it has, or the lowest that the owner has free. Changes nothing.
//!
//! Source: docs/decisions/0035-items-of-a-token.md.

use super::request::Asked;
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, limit};
use crate::limits::LIST_OBJECTS_MAX;
use crate::model::{Family, Slot};
use addrd_protocol::message::AllocationState;
use addrd_protocol::message::allocate::PAIR_SLOT_MAX;
use std::collections::BTreeSet;

impl Shard {
    /// The slot that a request means by an item of its token.
    ///
    /// Shape: a look at each allocation of the owner in all networks of the project here, and at what rests
    /// for each slot that it tries, at most [`LIST_OBJECTS_MAX`] each.
    pub(super) fn slot_of_item(
        &self,
        network: u32,
        asked: &Asked<'_>,
        item: u16,
    ) -> Result<Slot, Refused> {
        let is_pair = asked.is_pair();
        let key = self.key_of(network, asked.request.owner, Slot(0));
        let home =
            self.ledger.find_owner(&self.subnets, key.project, key.owner_salt, asked.request.owner);
        let ring = home.into_iter().flat_map(|home| self.ledger.ring(home));
        let (mut looks, mut own, mut taken) = (0_usize, None, BTreeSet::new());
        for at in ring {
            looks += 1;
            if looks > LIST_OBJECTS_MAX {
                break;
            }
            let record = self.ledger.at(at);
            let subnet = self.subnets.at(record.subnet);
            if subnet.network != network {
                continue;
            }
            let slot = record.slot.0;
            taken.insert(slot);
            if record.state() == AllocationState::Held && self.is_item(at, asked, item) {
                // Of a pair the IPv6 address has the second slot, also where it is alone.
                let first = slot.saturating_sub(u16::from(is_pair && subnet.family == Family::V6));
                own = Some(own.map_or(first, |own: u16| own.min(first)));
            }
        }
        match own {
            Some(slot) => Ok(Slot(slot)),
            None if looks > LIST_OBJECTS_MAX => Err(too_many(looks)),
            None => self.lowest_free(network, asked, item, &taken),
        }
    }

    /// Whether something is held, or rests, as this item of the token.
    pub(super) fn is_item(&self, at: u32, asked: &Asked<'_>, item: u16) -> bool {
        let extras = self.ledger.extras_row(self.ledger.at(at));
        extras.is_some_and(|extras| {
            extras.token == asked.extras.hold_token && extras.item == Some(item)
        })
    }

    /// The lowest slot that is free, of a pair with the next one: nothing is held there, and nothing rests there
    /// under a token, which may be confirmed late, but this item itself.
    fn lowest_free(
        &self,
        network: u32,
        asked: &Asked<'_>,
        item: u16,
        taken: &BTreeSet<u16>,
    ) -> Result<Slot, Refused> {
        let is_pair = asked.is_pair();
        let is_free = |slot: u16| {
            let rest = self.rest_under_token(network, asked.request.owner, Slot(slot));
            !taken.contains(&slot) && rest.is_none_or(|rest| self.is_item(rest, asked, item))
        };
        let most = if is_pair { PAIR_SLOT_MAX } else { u16::MAX };
        for slot in (0..=most).take(2 * LIST_OBJECTS_MAX) {
            if is_free(slot) && (!is_pair || is_free(slot.saturating_add(1))) {
                return Ok(Slot(slot));
            }
        }
        Err(too_many(2 * LIST_OBJECTS_MAX + 1))
    }
}

#[cold]
fn too_many(looks: usize) -> Refused {
    limit("LIST_OBJECTS_MAX", looks as u128, LIST_OBJECTS_MAX as u128)
}
