//! What a request for a port's addresses means, checked against the network before anything is
//! done. Changes nothing.

use super::seeker::{Candidates, Seeker};
use super::state::Class;
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, out_of_range, refuse_field, with};
use crate::allocator::subnets::no_subnet;
use crate::limits::PORT_AUTOMATIC_MAX;
use crate::model::{Family, SegmentId, Setting, Slot, Status};
use addrd_protocol::message::port::{FIXED_IPS_MAX, PORT_ADDRESSES_MAX};
use addrd_protocol::message::{Detail, FixedIpWanted, IpAllocation, SubnetKind};
use addrd_protocol::prefix::number_of;
use std::net::{IpAddr, Ipv6Addr};

/// One address that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// This one, in this subnet of the shard.
    Exact(IpAddr, u32),
    /// Any of this subnet.
    Any(u32),
    /// Any of this family.
    Family(Family),
}

/// Everything that a port wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// In the order of the request.
    pub(super) list: Vec<Wish>,
    /// Auto-address subnets in which it wants the address that follows from its MAC.
    pub(super) automatic: Vec<u32>,
    /// Of a request that restores: the slots that addresses had.
    pub(super) slots: Vec<(IpAddr, Slot)>,
    pub(super) candidates: Candidates,
    pub(super) ip_allocation: IpAllocation,
}

impl Wishes {
    /// The slot that an exact address had.
    pub(super) fn slot_of(&self, wish: &Wish) -> Option<Slot> {
        let Wish::Exact(address, _) = wish else { return None };
        self.slots.iter().find(|(named, _)| named == address).map(|(_, slot)| *slot)
    }
}

impl Shard {
    /// What a port wants.
    pub(super) fn wishes(
        &self,
        seeker: &Seeker<'_>,
        fixed_ips: &Setting<Vec<FixedIpWanted>>,
    ) -> Result<Wishes, Refused> {
        let candidates = self.candidates(seeker);
        let mut wishes = Wishes { candidates, ..Wishes::default() };
        match fixed_ips {
            Setting::Unset | Setting::Null => {
                if self.without_candidates(seeker, &wishes.candidates)? {
                    wishes.ip_allocation = IpAllocation::Deferred;
                }
                let families = [Family::V4, Family::V6].into_iter();
                let has = |family: &Family| self.has_family(&wishes.candidates, *family);
                wishes.list = families.filter(has).map(Wish::Family).collect();
            }
            Setting::Value(list) if list.is_empty() => {
                wishes.ip_allocation = IpAllocation::Unaddressed;
            }
            Setting::Value(list) => self.listed_wishes(seeker, list, &mut wishes)?,
        }
        let all_named = seeker.restoring && fixed_ips.value().is_some();
        if seeker.class != Class::Router && !all_named {
            wishes.automatic.extend(&wishes.candidates.automatic);
        }
        wishes.automatic.sort_unstable();
        wishes.automatic.dedup();
        let automatic = wishes.automatic.len();
        if automatic > PORT_AUTOMATIC_MAX {
            let most = PORT_AUTOMATIC_MAX as u128;
            return Err(crate::allocator::refusal::limit(
                "PORT_AUTOMATIC_MAX",
                automatic as u128,
                most,
            ));
        }
        Ok(wishes)
    }

    fn listed_wishes(
        &self,
        seeker: &Seeker<'_>,
        list: &[FixedIpWanted],
        wishes: &mut Wishes,
    ) -> Result<(), Refused> {
        let most = if seeker.restoring { PORT_ADDRESSES_MAX } else { FIXED_IPS_MAX };
        if list.len() > most {
            return Err(out_of_range("fixed_ips", list.len() as u128, 0, most as u128));
        }
        check_doubles(list)?;
        let mut segments: Option<Option<SegmentId>> = None;
        for wanted in list {
            if let Some(wish) = self.restored_wish(seeker, wanted, &mut wishes.slots)? {
                wishes.list.push(wish);
                continue;
            }
            let wish = self.wish(seeker, wanted)?;
            let (Wish::Exact(_, at) | Wish::Any(at)) = wish else { continue };
            let segment = self.subnets.at(at).row.service.segment_id;
            if *segments.get_or_insert(segment) != segment && seeker.class != Class::Distributed {
                return Err(segments_differ());
            }
            if self.is_automatic_for(seeker, at) {
                self.check_automatic(seeker, &wish)?;
                wishes.automatic.push(at);
            } else {
                wishes.list.push(wish);
            }
        }
        Ok(())
    }

    /// What a port had, if the request restores and names it wholly: whom the subnet serves and
    /// which hosts it reaches may have changed since.
    fn restored_wish(
        &self,
        seeker: &Seeker<'_>,
        wanted: &FixedIpWanted,
        slots: &mut Vec<(IpAddr, Slot)>,
    ) -> Result<Option<Wish>, Refused> {
        let (true, Some(id), Some(address)) =
            (seeker.restoring, wanted.subnet_id, wanted.ip_address)
        else {
            return check_no_slot(wanted).map(|()| None);
        };
        let at = self.find_subnet(seeker.network, id).ok_or_else(|| no_subnet(id))?;
        if !self.subnets.at(at).row.prefix.contains(&address) {
            return Err(self.unusable(at, &address));
        }
        if let Some(slot) = wanted.slot {
            check_slot(slot, slots)?;
            slots.push((address, slot));
        }
        Ok(Some(Wish::Exact(address, at)))
    }

    fn wish(&self, seeker: &Seeker<'_>, wanted: &FixedIpWanted) -> Result<Wish, Refused> {
        let network = seeker.network;
        let fits = |at: u32| {
            seeker.is_served_by(self.subnets.at(at)) && self.is_reached(seeker.host, network, at)
        };
        match (wanted.subnet_id, wanted.ip_address) {
            (None, None) => {
                let message = format_args!(
                    "an entry of fixed_ips names neither a subnet nor an address; one of the two, or \
                     both, are accepted"
                );
                Err(refuse_field(Status::FIXED_IP_EMPTY, "fixed_ips", message))
            }
            (Some(id), address) => {
                let at = self.find_subnet(network, id).ok_or_else(|| no_subnet(id))?;
                if !fits(at) {
                    return Err(self.no_match(seeker, at));
                }
                let Some(address) = address else { return Ok(Wish::Any(at)) };
                let lies_inside = self.subnets.at(at).row.prefix.contains(&address);
                if !lies_inside || self.is_kept_network_address(seeker, at, &address) {
                    return Err(self.unusable(at, &address));
                }
                Ok(Wish::Exact(address, at))
            }
            (None, Some(address)) => {
                let found = self.find_subnet_with(network, &address);
                let usable = |at: &u32| fits(*at) && self.is_usable_for(seeker, *at, &address);
                let at = found.filter(usable).ok_or_else(|| address_outside(&address))?;
                Ok(Wish::Exact(address, at))
            }
        }
    }

    fn is_usable_for(&self, seeker: &Seeker<'_>, at: u32, address: &IpAddr) -> bool {
        let subnet = self.subnets.at(at);
        let offset = subnet.row.prefix.offset_of(address);
        offset.is_some_and(|offset| !subnet.has_reserved(offset, offset))
            && !self.is_kept_network_address(seeker, at, address)
    }

    /// Whether an address is the network address of an IPv6 subnet and the port none that may have
    /// it.
    fn is_kept_network_address(&self, seeker: &Seeker<'_>, at: u32, address: &IpAddr) -> bool {
        let row = &self.subnets.at(at).row;
        row.kind == SubnetKind::Broadcast
            && row.prefix.family() == Family::V6
            && row.prefix.host_bits() > 1
            && *address == row.prefix.first()
            && seeker.class != Class::Router
            && seeker.device_owner.is_some()
    }

    /// Whether a subnet gives a port only the address that follows from its MAC.
    pub(super) fn is_automatic_for(&self, seeker: &Seeker<'_>, at: u32) -> bool {
        seeker.class != Class::Router && self.subnets.at(at).row.service.is_auto_address()
    }

    fn check_automatic(&self, seeker: &Seeker<'_>, wish: &Wish) -> Result<(), Refused> {
        let Wish::Exact(address, at) = *wish else { return Ok(()) };
        let automatic = self.eui64_address(at, seeker.mac);
        if automatic == Some(address) {
            return Ok(());
        }
        let prefix = &self.subnets.at(at).row.prefix;
        let message = format_args!(
            "{prefix} gives a port only the address that follows from its MAC, not {address}; of MAC \
             {} it is {}",
            seeker.mac,
            automatic.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        );
        Err(refuse_field(Status::AUTO_ADDRESS_ONLY, "fixed_ips", message))
    }

    /// The address that follows from a MAC in a subnet of 64 host bits.
    pub(in crate::allocator) fn eui64_address(
        &self,
        at: u32,
        mac: crate::model::Mac,
    ) -> Option<IpAddr> {
        let prefix = &self.subnets.at(at).row.prefix;
        let fits = prefix.family() == Family::V6 && prefix.host_bits() == 64;
        let number = number_of(&prefix.first()) | u128::from(mac.eui64());
        fits.then(|| IpAddr::V6(Ipv6Addr::from_bits(number)))
    }

    #[cold]
    fn no_match(&self, seeker: &Seeker<'_>, at: u32) -> Refused {
        let reason = self.why_not(seeker, at);
        let subnet = self.subnets.at(at);
        let message = format_args!(
            "subnet {} does not serve the port's device owner or does not reach its host",
            subnet.row.prefix
        );
        let refused = refuse_field(Status::NO_MATCHING_SUBNET, "fixed_ips", message);
        with(refused, Detail::Candidate(self.bare_candidate(at, reason)))
    }

    #[cold]
    fn unusable(&self, at: u32, address: &IpAddr) -> Refused {
        let prefix = &self.subnets.at(at).row.prefix;
        let message =
            format_args!("{address} can't be had in {prefix}: it is another subnet's, or kept");
        refuse_field(Status::INVALID_ADDRESS, "fixed_ips", message)
    }
}

/// Refuses a slot where the server gives it.
fn check_no_slot(wanted: &FixedIpWanted) -> Result<(), Refused> {
    if wanted.slot.is_none() {
        return Ok(());
    }
    let message = format_args!(
        "a slot is named only by a request that restores, beside the subnet and the address"
    );
    Err(refuse_field(Status::CONFLICTING_FIELDS, "fixed_ips", message))
}

/// Refuses a slot that no port has, or that is named already.
fn check_slot(slot: Slot, named: &[(IpAddr, Slot)]) -> Result<(), Refused> {
    let most = PORT_ADDRESSES_MAX as u128 - 1;
    if u128::from(slot.0) > most {
        return Err(out_of_range("fixed_ips", slot.0.into(), 0, most));
    }
    if named.iter().any(|(_, other)| *other == slot) {
        let message = format_args!("slot {} is named twice", slot.0);
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "fixed_ips", message));
    }
    Ok(())
}

/// Refuses the same address twice.
fn check_doubles(list: &[FixedIpWanted]) -> Result<(), Refused> {
    let mut addresses: Vec<IpAddr> = list.iter().filter_map(|wanted| wanted.ip_address).collect();
    addresses.sort_unstable();
    match addresses.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => {
            let message = format_args!("{} is asked for twice; once is enough", pair[0]);
            Err(refuse_field(Status::CONFLICTING_FIELDS, "fixed_ips", message))
        }
    }
}

#[cold]
fn address_outside(address: &IpAddr) -> Refused {
    let message = format_args!(
        "{address} can be had in no subnet of the network that serves the port and reaches its host"
    );
    refuse_field(Status::ADDRESS_OUTSIDE, "fixed_ips", message)
}

#[cold]
fn segments_differ() -> Refused {
    let message = format_args!(
        "the addresses lie on different segments; all on one, or all on none, are accepted"
    );
    refuse_field(Status::SEGMENTS_DIFFER, "fixed_ips", message)
}
