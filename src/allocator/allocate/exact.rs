//! A named address: exact, or preferred if it is free. Changes nothing.

use super::Choice;
use super::request::{Asked, Want};
use crate::allocator::Shard;
use crate::allocator::pins::pinned;
use crate::allocator::refusal::{Refused, refuse, refuse_field};
use crate::allocator::subnet::last_of;
use crate::model::{EffectSink, Family, Status};
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
        if !subnet.map.is_free(&self.maps, offset, order) {
            return Err(self.taken(at, exact, offset));
        }
        Ok(Choice { subnet: at, offset, order, moves_cursor: false })
    }

    /// Ends the lease of what has an address, if it is over.
    pub(super) fn end_at(&mut self, network: u32, exact: &IpAddr, sink: &mut impl EffectSink) {
        let Some(at) = self.find_subnet_with(network, exact) else { return };
        let offset = self.subnets.at(at).row.prefix.offset_of(exact).unwrap_or_default();
        if let Some(held) = self.find_covering(at, offset) {
            self.end_if_over(held, sink);
        }
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
        let fits = want.takes(subnet.family)
            && !subnet.deleting
            && offset & last_of(0, order) == 0
            && asked.limit(subnet.family).has(&preferred, order)
            && subnet.excluded(offset, last).next().is_none()
            && !subnet.has_reserved(offset, last)
            && (asked.request.flags.allow_gateway || !subnet.has_gateway(offset, last))
            && !self.is_pinned_for_other(at, (offset, last), asked.request.owner, want.slot)
            && subnet.map.is_free(&self.maps, offset, order);
        fits.then_some(Choice { subnet: at, offset, order, moves_cursor: false })
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
