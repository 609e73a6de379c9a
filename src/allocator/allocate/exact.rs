//! A named address: exact, or preferred if it is free. Changes nothing.

use super::Choice;
use super::request::{Asked, Want};
use crate::allocator::Shard;
use crate::allocator::pins::pinned;
use crate::allocator::quarantine::Claim;
use crate::allocator::refusal::{Refused, refuse, refuse_field};
use crate::allocator::subnet::last_of;
use crate::model::{EffectSink, Family, Status};
use addrd_protocol::message::Strategy;
use std::net::IpAddr;

impl Shard {
    /// The place of an exact address, or why it cannot be had.
    pub(super) fn exactly(
        &self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        exact: IpAddr,
    ) -> Result<Choice, Refused> {
        let at = self.named_place(network, asked, &exact).ok_or_else(|| {
            invalid(&exact, "lies in none of the candidate subnets of the network")
        })?;
        let subnet = self.subnets.at(at);
        if subnet.deleting {
            let message = format_args!("subnet {} is being deleted", subnet.row.prefix);
            return Err(refuse(Status::DELETING, message));
        }
        let order = asked.order(subnet.family).filter(|&order| order <= subnet.host_bits);
        let order = order.ok_or_else(|| {
            let (least, most) = (subnet.row.prefix.length().into(), subnet.family.bits().into());
            let given = asked.request.length.unwrap_or_default().into();
            crate::allocator::refusal::out_of_range("length", given, least, most)
        })?;
        let offset = subnet.row.prefix.offset_of(&exact).unwrap_or_default();
        if offset & last_of(0, order) != 0 {
            return Err(invalid(&exact, "is not the first address of a block of this length"));
        }
        let last = last_of(offset, order);
        if !asked.limit(subnet.family).has(&exact, order) {
            let message = format_args!("the block at {exact} reaches out of the limit");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "exact", message));
        }
        self.check_usable(at, exact, offset, last, asked.request.flags.allow_gateway)?;
        if self.is_pinned_for_other(at, (offset, last), asked.request.owner, want.slot) {
            return Err(pinned(&exact, "exact"));
        }
        let flags = &asked.request.flags;
        // An address that follows from a MAC can only be that of whoever had it before; and what owners
        // say that they hold they may have got after the state at hand.
        let holds = self.restoring || self.adopting;
        let of_a_mac =
            asked.request.strategy == Strategy::Eui64 || subnet.row.service.is_auto_address();
        let token = asked.extras.hold_token;
        let claim = Claim { token, anybodys: holds || of_a_mac || flags.allow_resting, holds };
        let key = self.key_of(network, asked.request.owner, want.slot);
        let over = self.resting_for(at, (offset, order), &key, &claim);
        if over.is_none() && !subnet.map.is_free(&self.maps, offset, order) {
            return Err(self.taken(at, exact, offset));
        }
        Ok(Choice { subnet: at, offset, order, moves_cursor: false, over })
    }

    /// Takes away rests that have ended and that a request for a place comes across.
    pub(super) fn end_rests_at(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        address: &IpAddr,
        sink: &mut impl EffectSink,
    ) {
        if self.networks.at(network).rests.is_none() {
            return;
        }
        let Some(at) = self.find_subnet_with(network, address) else { return };
        let subnet = self.subnets.at(at);
        let Some(first) = subnet.row.prefix.offset_of(address) else { return };
        let order = asked.order(subnet.family).unwrap_or(0).min(subnet.host_bits);
        self.end_rests_in(at, (first, last_of(first, order)), sink);
    }

    /// Ends the lease of what has an address, if it is over, and takes away what has rested there.
    pub(super) fn end_at(
        &mut self,
        network: u32,
        asked: &Asked<'_>,
        exact: &IpAddr,
        sink: &mut impl EffectSink,
    ) {
        let Some(at) = self.find_subnet_with(network, exact) else { return };
        let offset = self.subnets.at(at).row.prefix.offset_of(exact).unwrap_or_default();
        if let Some(held) = self.find_covering(at, offset) {
            self.end_if_over(held, sink);
        }
        self.end_rests_at(network, asked, exact, sink);
    }

    /// The place of a preferred address, if it is free and nothing speaks against it. Unlike an
    /// exact one it never comes out of an excluded range, since the choice is still automatic.
    pub(super) fn preferably(
        &self,
        network: u32,
        asked: &Asked<'_>,
        want: &Want,
        preferred: IpAddr,
    ) -> Option<Choice> {
        let at = self.named_place(network, asked, &preferred)?;
        let subnet = self.subnets.at(at);
        let order = asked.order(subnet.family).filter(|&order| order <= subnet.host_bits)?;
        let offset = subnet.row.prefix.offset_of(&preferred)?;
        let last = last_of(offset, order);
        let fits = offset & last_of(0, order) == 0
            && self.suits(at, asked, want, (offset, order))
            && !self.is_pinned_for_other(at, (offset, last), asked.request.owner, want.slot)
            && subnet.map.is_free(&self.maps, offset, order);
        fits.then_some(Choice { subnet: at, offset, order, moves_cursor: false, over: None })
    }

    /// Whether nothing speaks against an automatic choice of a block, whoever has it now.
    pub(super) fn suits(
        &self,
        at: u32,
        asked: &Asked<'_>,
        want: &Want,
        (offset, order): (u128, u8),
    ) -> bool {
        let subnet = self.subnets.at(at);
        let last = last_of(offset, order);
        want.takes(subnet.family)
            && !subnet.deleting
            && asked.limit(subnet.family).has(&subnet.address(offset), order)
            && subnet.excluded(offset, last).next().is_none()
            && !subnet.has_reserved(offset, last)
            && (asked.request.flags.allow_gateway || !subnet.has_gateway(offset, last))
    }

    /// The candidate that has an address.
    fn named_place(&self, network: u32, asked: &Asked<'_>, address: &IpAddr) -> Option<u32> {
        let at = self.find_subnet_with(network, address)?;
        asked.names(self.subnets.at(at).row.id).then_some(at)
    }

    fn check_usable(
        &self,
        at: u32,
        exact: IpAddr,
        offset: u128,
        last: u128,
        allow_gateway: bool,
    ) -> Result<(), Refused> {
        let subnet = self.subnets.at(at);
        if subnet.has_reserved(offset, last) {
            return Err(invalid(
                &exact,
                "is or has the network or broadcast address of its subnet",
            ));
        }
        if !allow_gateway && subnet.has_gateway(offset, last) {
            let message = format_args!(
                "{exact} is or has the gateway of {}; the flag allow_gateway would allow it",
                subnet.row.prefix
            );
            return Err(refuse_field(Status::IS_GATEWAY, "exact", message));
        }
        match subnet.excluded_for_everyone(offset, last) {
            None => Ok(()),
            Some(exclusion) => {
                let message =
                    format_args!("{exact} lies in {}, excluded for everyone", exclusion.range);
                Err(refuse_field(Status::EXCLUDED, "exact", message))
            }
        }
    }

    #[cold]
    fn taken(&self, at: u32, exact: IpAddr, offset: u128) -> Refused {
        let taken = self.subnets.at(at).map.next_taken(&self.maps, offset);
        let record = taken.and_then(|taken| self.find_covering(at, taken));
        if let Some(resting) = record.filter(|&record| self.ledger.at(record).rests()) {
            if self.has_rested(self.ledger.at(resting)) {
                return self.rests_are_ending();
            }
            return self.address_resting(resting, &exact);
        }
        let message = format_args!("{exact} is held by another owner or slot");
        let refused = refuse_field(Status::ADDRESS_TAKEN, "exact", message);
        match record {
            Some(record) => self.shown(refused, record),
            None => refused,
        }
    }
}

fn invalid(address: &IpAddr, why: &str) -> Refused {
    let family = match Family::of(address) {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let message = format_args!("the {family} address {address} {why}");
    refuse_field(Status::INVALID_ADDRESS, "exact", message)
}
