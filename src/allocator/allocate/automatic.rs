//! Addresses that are not drawn: those that follow from a MAC, those that are pinned; and the way in
//! for ports. Commits only what `allocate` commits.

use super::request::{Asked, Limit, Want};
use super::{Choice, Decision, FamilyChoice, Resting};
use crate::allocator::Shard;
use crate::allocator::order::Key;
use crate::allocator::quarantine::Claim;
use crate::allocator::refusal::{Refused, refuse};
use crate::allocator::subnet::{Subnet, last_of};
use crate::limits::{CHOICE_SUBNETS_MAX, RESTING_LOOKS_MAX};
use crate::model::{EffectSink, Family, OwnerId, Slot, Status, SubnetId};
use addrd_protocol::message::{Allocate, AllocateExtras, Strategy};
use std::net::IpAddr;

/// One address that a port wants for a slot.
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct Single<'a> {
    pub(in crate::allocator) owner: OwnerId,
    pub(in crate::allocator) slot: Slot,
    /// `None` = that of the subnets.
    pub(in crate::allocator) family: Option<Family>,
    pub(in crate::allocator) strategy: Strategy,
    pub(in crate::allocator) allow_gateway: bool,
    pub(in crate::allocator) exact: Option<IpAddr>,
    /// Candidates in order; empty = those for everybody.
    pub(in crate::allocator) subnets: &'a [SubnetId],
}

/// A key that may be pinned, and what it asks for.
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct PinSeeker<'a> {
    pub(in crate::allocator) owner: OwnerId,
    pub(in crate::allocator) slot: Slot,
    asked: &'a Asked<'a>,
    want: &'a Want,
}

impl PinSeeker<'_> {
    /// Whether what is asked for allows an address of a subnet.
    pub(in crate::allocator) fn takes(&self, subnet: &Subnet, address: &IpAddr) -> bool {
        let Self { asked, want, .. } = self;
        let named = asked.names(subnet.row.id)
            && (subnet.open || !asked.extras.subnets.is_empty() || asked.exact(want).is_some());
        let inside = match asked.limit(subnet.family) {
            Limit::None => true,
            limit => limit.has(address, 0),
        };
        let is_gateway = subnet.row.gateway == Some(*address);
        want.takes(subnet.family)
            && asked.order(subnet.family) == Some(0)
            && asked.request.strategy != Strategy::Eui64
            && asked.exact(want).is_none_or(|exact| exact == *address)
            && (!is_gateway || asked.request.flags.allow_gateway)
            && named
            && inside
    }
}

impl Shard {
    /// The address that is pinned for a key, if it satisfies the request and is free.
    pub(super) fn pinned_choice(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        sink: &mut impl EffectSink,
    ) -> Option<Choice> {
        let (owner, slot) = (asked.request.owner, want.slot);
        let (subnet, offset) =
            self.pinned_place(network, &PinSeeker { owner, slot, asked, want })?;
        self.end_rests_in(subnet, (offset, offset), sink);
        let key = self.key_of(network, owner, slot);
        let (token, anybodys) = (asked.extras.hold_token, self.restoring);
        let claim = Claim { token, anybodys, holds: anybodys };
        let over = self.resting_for(subnet, (offset, 0), &key, &claim);
        let is_free = over.is_some() || self.subnets.at(subnet).map.is_free(&self.maps, offset, 0);
        is_free.then_some(Choice { subnet, offset, order: 0, moves_cursor: false, over })
    }

    /// The address that a key let go last and that rests still, if it satisfies the request and an
    /// automatic choice may have it.
    pub(super) fn own_resting_choice(
        &self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
    ) -> Option<Choice> {
        let claim = Claim { token: asked.extras.hold_token, ..Claim::default() };
        let handle = self.own_rest(network, (asked.request.owner, want.slot), &claim)?;
        let record = self.ledger.at(handle);
        let (at, offset) = (record.subnet, self.ledger.offset(record));
        let subnet = self.subnets.at(at);
        let (order, last) = (record.block_bits, last_of(offset, record.block_bits));
        let fits = self.suits(at, asked, want, (offset, order))
            && asked.names(subnet.row.id)
            && (subnet.open || !asked.extras.subnets.is_empty())
            && asked.order(subnet.family) == Some(order)
            && !self.is_pinned_for_other(at, (offset, last), asked.request.owner, want.slot);
        let over = Some(handle);
        fits.then_some(Choice { subnet: at, offset, order, moves_cursor: false, over })
    }

    /// What rests longest where a request may draw from, if it takes that: of the first candidate that
    /// has something.
    ///
    /// Shape: looks at no more than [`CHOICE_SUBNETS_MAX`] subnets and [`RESTING_LOOKS_MAX`] rests.
    pub(super) fn longest_resting_choice(
        &self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
    ) -> Option<Choice> {
        if !asked.request.flags.allow_resting {
            return None;
        }
        let mut looks = RESTING_LOOKS_MAX;
        let choose = |at: u32| {
            let subnet = self.subnets.at(at);
            let (span, order) = self.eligible(subnet, asked, want).ok()?;
            let Resting { handle, offset } = self.longest_resting(at, span, order, &mut looks)?;
            let over = Some(handle);
            Some(Choice { subnet: at, offset, order, moves_cursor: false, over })
        };
        let named = &asked.extras.subnets;
        if !named.is_empty() {
            let of = |family| {
                let found = named.iter().filter_map(|&id| self.find_subnet(network, id));
                found.filter(move |&at| self.subnets.at(at).family == family)
            };
            return of(Family::V4).chain(of(Family::V6)).find_map(choose);
        }
        let order = &self.networks.at(network).order;
        let keys = order.iter_from(Key::before(Family::V4, 0));
        let wanted = keys.filter(|key| want.takes(key.family)).take(CHOICE_SUBNETS_MAX);
        wanted.map(|key| key.subnet()).find_map(choose)
    }

    /// The address that follows from the request's MAC in the first candidate in which it is free.
    pub(super) fn eui64_choice(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        sink: &mut impl EffectSink,
    ) -> Result<Choice, Refused> {
        let Some(mac) = asked.extras.mac else {
            return Err(refuse(Status::CONFLICTING_FIELDS, format_args!("mac is missing")));
        };
        let mut first_refusal = None;
        for at in self.eui64_candidates(network, asked) {
            let Some(address) = self.eui64_address(at, mac) else { continue };
            self.end_rests_at(network, asked, &address, sink);
            match self.exactly(network, asked, want, address) {
                Ok(choice) => return Ok(choice),
                Err(refused) => _ = first_refusal.get_or_insert(refused),
            }
        }
        Err(first_refusal.unwrap_or_else(|| {
            let message = match asked.extras.subnets.is_empty() {
                true => {
                    "the network has no auto-address subnet; a request can name another IPv6 \
                     subnet of 64 host bits"
                }
                false => "none of the subnets named is an IPv6 subnet of 64 host bits",
            };
            refuse(Status::NO_MATCHING_SUBNET, format_args!("{message}"))
        }))
    }

    fn eui64_candidates(&self, network: u32, asked: &Asked<'_>) -> Vec<u32> {
        let named = &asked.extras.subnets;
        if !named.is_empty() {
            return named.iter().filter_map(|&id| self.find_subnet(network, id)).collect();
        }
        let plan = self.networks.at(network).plan.as_deref();
        let special = plan.into_iter().flat_map(|plan| &plan.special);
        let automatic = |at: &u32| self.subnets.at(*at).row.service.is_auto_address();
        special.map(|key| key.subnet()).filter(automatic).collect()
    }

    /// Decides one address for a port's slot, which holds nothing, and carries it out.
    ///
    /// Returns the record.
    pub(in crate::allocator) fn allocate_single(
        &mut self,
        network: u32,
        single: &Single<'_>,
        sink: &mut impl EffectSink,
    ) -> Result<u32, Refused> {
        let mut request = Allocate {
            owner: single.owner,
            slot: single.slot,
            instance: Default::default(),
            family: match single.family {
                None => FamilyChoice::One,
                Some(Family::V4) => FamilyChoice::V4,
                Some(Family::V6) => FamilyChoice::V6,
            },
            strategy: single.strategy,
            length: None,
            flags: Default::default(),
            extras: None,
        };
        request.flags.allow_gateway = single.allow_gateway;
        let is_plain = single.subnets.is_empty() && single.exact.is_none();
        let extras = (!is_plain).then(|| AllocateExtras {
            subnets: single.subnets.to_vec(),
            exact: single.exact,
            ..AllocateExtras::default()
        });
        let asked = Asked::trusted(&request, extras.as_ref());
        let want = Want { family: single.family, slot: single.slot };
        let decision: Decision = self.decide(network, &asked, &want, sink)?;
        Ok(self.carry_out(network, &asked, &want, decision, sink).record)
    }
}
