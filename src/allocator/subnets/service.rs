//! Whom a subnet serves and how: IPv6 modes, service types, segments. Changes nothing.
//!
//! Source: protocol/SPEC.md, subnet_create and subnet_update.

use crate::allocator::Shard;
use crate::allocator::ports::Class;
use crate::allocator::refusal::{Refused, limit, out_of_range, refuse_field, with};
use crate::allocator::segments::operations::no_segment;
use crate::limits::{SEGMENT_SUBNETS_MAX, SPECIAL_SUBNETS_MAX};
use crate::model::{Family, Prefix, Setting, Status, SubnetRow, Text};
use addrd_protocol::message::subnet::SERVICE_TYPES_MAX;
use addrd_protocol::message::{Detail, Service, SubnetUpdate};
use addrd_protocol::text::DEVICE_OWNER_BYTES_MAX;
use std::net::IpAddr;

/// Host bits of a subnet whose addresses follow from MACs.
const AUTO_HOST_BITS: u8 = 64;
/// The service type of subnets that need be on no segment.
const ROUTED: &str = "network:routed";

/// Refuses modes that do not fit each other or the subnet, and service types beyond their bounds.
pub(super) fn check_service(
    prefix: &Prefix,
    enable_dhcp: bool,
    service: &Service,
) -> Result<(), Refused> {
    check_modes(prefix, enable_dhcp, service)?;
    let types = &service.service_types;
    if types.len() > SERVICE_TYPES_MAX {
        let most = SERVICE_TYPES_MAX as u128;
        return Err(out_of_range("service_types", types.len() as u128, 0, most));
    }
    let most = DEVICE_OWNER_BYTES_MAX;
    if let Some(wrong) = types.iter().find(|text| !(1..=most).contains(&text.len())) {
        return Err(out_of_range("service_types", wrong.len() as u128, 1, most as u128));
    }
    match types.iter().enumerate().find(|(at, text)| types[..*at].contains(text)) {
        None => Ok(()),
        Some((_, text)) => {
            let message = format_args!("the service type {text} is given twice");
            Err(refuse_field(Status::CONFLICTING_FIELDS, "service_types", message))
        }
    }
}

fn check_modes(prefix: &Prefix, enable_dhcp: bool, service: &Service) -> Result<(), Refused> {
    let (ra, address) = (service.ipv6_ra_mode, service.ipv6_address_mode);
    let field = if ra.is_some() { "ipv6_ra_mode" } else { "ipv6_address_mode" };
    let invalid = |field: &str, why: &str| {
        let message = format_args!("{prefix} can't have this mode: {why}");
        Err(refuse_field(Status::INVALID_IPV6_MODE, field, message))
    };
    if ra.is_none() && address.is_none() {
        return Ok(());
    }
    if prefix.family() == Family::V4 {
        return invalid(field, "modes are for IPv6");
    }
    if !enable_dhcp {
        return invalid(field, "modes need enable_dhcp, and keep it on");
    }
    if ra.is_some() && address.is_some() && ra != address {
        return invalid("ipv6_address_mode", "ipv6_ra_mode and ipv6_address_mode differ");
    }
    if service.is_auto_address() && prefix.host_bits() != AUTO_HOST_BITS {
        return invalid(field, "slaac and dhcpv6-stateless need a prefix of 64 bits");
    }
    Ok(())
}

fn is_exempt(service: &Service) -> bool {
    service.service_types.iter().any(|text: &Text| text.as_str() == ROUTED)
}

impl Shard {
    /// Refuses a service that does not go with the network's other subnets; `own` is the subnet
    /// itself, if it exists.
    pub(super) fn check_place(
        &self,
        network: u32,
        own: Option<u32>,
        service: &Service,
    ) -> Result<(), Refused> {
        let of = self.networks.at(network);
        let plan = of.plan.as_deref();
        let before = own.map(|at| &self.subnets.at(at).row.service);
        let on_segments = plan.map_or(0, |plan| plan.on_segments());
        let special = plan.map_or(0, |plan| plan.special.len());
        let exempt = plan.map_or(0, |plan| plan.exempt);
        let mut apart = of.order.count() as usize - on_segments - exempt;
        apart -= usize::from(before.is_some_and(|s| s.segment_id.is_none() && !is_exempt(s)));
        let others_on = on_segments - usize::from(before.is_some_and(|s| s.segment_id.is_some()));
        match service.segment_id {
            Some(id) => {
                self.segment_row(network, id).ok_or_else(|| no_segment(id))?;
                if apart > 0 && !is_exempt(service) && !self.restoring {
                    let message = format_args!("{apart} subnets of the network are on no segment");
                    return Err(refuse_field(Status::SEGMENT_MIX, "segment_id", message));
                }
                let on = plan.and_then(|plan| plan.segment_subnets.get(&id));
                let count = on.map_or(0, |on| on.len());
                let moves = before.is_none_or(|before| before.segment_id != Some(id));
                if moves && count >= SEGMENT_SUBNETS_MAX {
                    let most = SEGMENT_SUBNETS_MAX as u128;
                    return Err(limit("SEGMENT_SUBNETS_MAX", count as u128 + 1, most));
                }
            }
            None => {
                if others_on > 0 && !is_exempt(service) && !self.restoring {
                    let message = format_args!(
                        "{others_on} subnets of the network are on segments; segment_id would put \
                         this one on one"
                    );
                    return Err(refuse_field(Status::SEGMENT_MIX, "segment_id", message));
                }
                let becomes = before.is_none_or(|s| s.is_open() || s.segment_id.is_some());
                if !service.is_open() && becomes && special >= SPECIAL_SUBNETS_MAX {
                    let most = SPECIAL_SUBNETS_MAX as u128;
                    return Err(limit("SPECIAL_SUBNETS_MAX", special as u128 + 1, most));
                }
            }
        }
        Ok(())
    }

    /// Writes an update's service types and segment into a row.
    pub(super) fn change_service(
        &self,
        network: u32,
        row: &mut SubnetRow,
        request: &SubnetUpdate,
    ) -> Result<(), Refused> {
        match &request.service_types {
            Setting::Unset => {}
            Setting::Null => row.service.service_types.clear(),
            Setting::Value(types) => row.service.service_types.clone_from(types),
        }
        let wanted = match request.segment_id {
            Setting::Unset => return Ok(()),
            Setting::Null => None,
            Setting::Value(segment) => Some(segment),
        };
        if wanted == row.service.segment_id {
            return Ok(());
        }
        let plan = self.networks.at(network).plan.as_deref();
        let segments = plan.map_or(0, |plan| plan.segments.len());
        if let Some(id) = wanted {
            self.segment_row(network, id).ok_or_else(|| no_segment(id))?;
        }
        if row.service.segment_id.is_some() || wanted.is_none() || segments != 1 {
            let message = format_args!(
                "only a subnet that is on no segment can be put on one, and only on the single one of \
                 its network, which has {segments}"
            );
            return Err(refuse_field(Status::SEGMENT_FIXED, "segment_id", message));
        }
        row.service.segment_id = wanted;
        Ok(())
    }

    /// Refuses another gateway while a router's port holds the old one.
    pub(super) fn check_old_gateway(
        &self,
        at: u32,
        gateway: Option<IpAddr>,
    ) -> Result<(), Refused> {
        let row = &self.subnets.at(at).row;
        let Some(old) = row.gateway.filter(|old| Some(*old) != gateway) else { return Ok(()) };
        let Some(offset) = row.prefix.offset_of(&old) else { return Ok(()) };
        let holder = self.find_covering(at, offset);
        let is_router = |record: &u32| {
            self.port_of(*record).is_some_and(|port| self.ports.at(port).class == Class::Router)
        };
        match holder.filter(is_router) {
            None => Ok(()),
            Some(record) => {
                let message = format_args!(
                    "the gateway {old} is held by a router's port; once that has let it go it can change"
                );
                let refused = refuse_field(Status::GATEWAY_IN_USE, "gateway", message);
                Err(with(refused, Detail::Held(Box::new(self.allocation(record)))))
            }
        }
    }
}
