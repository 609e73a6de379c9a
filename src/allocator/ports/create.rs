//! Creates and deletes ports.

use super::seeker::Seeker;
use super::state::Class;
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, adopting, limit, out_of_range, refuse_field};
use crate::allocator::subnets::rules;
use crate::limits::MAC_TRIES;
use crate::model::{EffectSink, Mac, OwnerId, PortId, PortRow, Revision, Status, Text};
use addrd_protocol::message::{IpAllocation, Port, PortCreate, PortDelete};
use addrd_protocol::text::DEVICE_OWNER_BYTES_MAX;

/// First byte of MACs that the server makes: of one interface, given locally (IEEE 802).
const MADE_MAC: u64 = 0xfa << 40;

impl Shard {
    /// Creates a port with its addresses, or shows the one that exists.
    pub(in crate::allocator) fn port_create(
        &mut self,
        network: u32,
        request: &PortCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Port, Refused> {
        if let Some(existing) = self.find_port(network, request.port_id) {
            return Ok(Port { repeated: true, ..self.port(existing) });
        }
        if self.networks.at(network).deleting {
            return Err(rules::deleting("network"));
        }
        if request.port_id.is_nil() {
            let message = format_args!("a port's id is not all zero");
            return Err(refuse_field(Status::OUT_OF_RANGE, "port_id", message));
        }
        check_device_owner(request.device_owner.as_ref())?;
        self.check_ip_allocation(request)?;
        let mac = match request.mac {
            Some(mac) => self.checked_mac(network, mac)?,
            // A port that the state at hand doesn't have may have it already.
            None if self.adopting => return Err(adopting("MAC")),
            None => self.made_mac(network)?,
        };
        self.check_room_for_records()?;
        let made = self.as_one_step(network, sink, |shard, sink| {
            let seeker = Seeker {
                network,
                owner: OwnerId(request.port_id.0),
                mac,
                class: Class::of(request.device_owner.as_ref()),
                device_owner: request.device_owner.as_ref(),
                host: request.host.as_ref(),
                allow_gateway: request.allow_gateway,
                restoring: shard.restoring,
            };
            let wishes = shard.wishes(&seeker, &request.fixed_ips)?;
            let slots = shard.fulfil(&seeker, &wishes, 0, sink)?;
            let ip_allocation = request.ip_allocation.unwrap_or(wishes.ip_allocation);
            let row = shard.new_row(network, request, mac, ip_allocation, slots);
            Ok(shard.commit_fresh_port(network, row, sink))
        })?;
        Ok(self.port(made))
    }

    fn new_row(
        &self,
        network: u32,
        request: &PortCreate,
        mac: Mac,
        ip_allocation: IpAllocation,
        slots: u128,
    ) -> PortRow {
        let of = self.networks.at(network);
        PortRow {
            network: of.handle,
            revision: of.next_revision(),
            created: of.next_revision(),
            id: request.port_id,
            mac,
            ip_allocation,
            slots,
            project: self.acting,
            host: request.host.clone(),
            device_owner: request.device_owner.clone(),
            description: request.description.clone(),
        }
    }

    /// Deletes a port and releases its addresses.
    pub(in crate::allocator) fn port_delete(
        &mut self,
        network: u32,
        request: &PortDelete,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let port = self.find_port(network, request.port_id);
        let port = port.ok_or_else(|| no_port(request.port_id))?;
        self.check_expected(port, request.expected)?;
        self.end_port(port, sink);
        Ok(())
    }

    /// Takes a port and its addresses out; gives how many records that took.
    pub(in crate::allocator) fn end_port(
        &mut self,
        port: u32,
        sink: &mut impl EffectSink,
    ) -> usize {
        let records = self.port_records(port);
        // The last one first: the lowest slot is mostly the one that the owner is found by, and if
        // that goes, the next one has to take its place.
        for &record in records.iter().rev() {
            self.commit_gone(record, sink);
        }
        self.commit_port_gone(port, sink);
        records.len() + 1
    }

    /// Refuses a revision that is not the port's.
    pub(super) fn check_expected(&self, port: u32, expected: Revision) -> Result<(), Refused> {
        let revision = self.ports.at(port).revision;
        if expected.0 != 0 && expected != revision {
            return Err(rules::stale(revision, expected));
        }
        Ok(())
    }

    /// Refuses to be told what follows from a port's addresses, unless it was so before.
    fn check_ip_allocation(&self, request: &PortCreate) -> Result<(), Refused> {
        if request.ip_allocation.is_none() || self.restoring {
            return Ok(());
        }
        let message = format_args!("ip_allocation is named only by a request that restores");
        Err(refuse_field(Status::CONFLICTING_FIELDS, "ip_allocation", message))
    }

    /// A MAC of a single interface that no other port of the network has.
    pub(super) fn checked_mac(&self, network: u32, mac: Mac) -> Result<Mac, Refused> {
        if !mac.is_unicast() {
            let message = format_args!(
                "{mac} is not the address of a single interface; the lowest bit of its first byte is 0"
            );
            return Err(refuse_field(Status::INVALID_MAC, "mac", message));
        }
        if self.find_mac(network, mac).is_some() {
            let message = format_args!("another port of the network has the MAC {mac}");
            return Err(refuse_field(Status::MAC_IN_USE, "mac", message));
        }
        Ok(mac)
    }

    fn made_mac(&mut self, network: u32) -> Result<Mac, Refused> {
        for _ in 0..MAC_TRIES {
            let drawn = crate::allocator::index::mix(self.random_state());
            let mac = Mac::from_number(MADE_MAC | drawn & (MADE_MAC_BITS - 1));
            if self.find_mac(network, mac).is_none() {
                return Ok(mac);
            }
        }
        Err(limit("MAC_TRIES", MAC_TRIES as u128 + 1, MAC_TRIES as u128))
    }
}

/// How many MACs the server may make.
const MADE_MAC_BITS: u64 = 1 << 40;

pub(super) fn check_device_owner(device_owner: Option<&Text>) -> Result<(), Refused> {
    let bytes = device_owner.map_or(0, |text| text.len());
    if bytes > DEVICE_OWNER_BYTES_MAX {
        let most = DEVICE_OWNER_BYTES_MAX as u128;
        return Err(out_of_range("device_owner", bytes as u128, 0, most));
    }
    Ok(())
}

/// No such port.
#[cold]
pub(super) fn no_port(id: PortId) -> Refused {
    refuse_field(Status::NOT_FOUND, "port_id", format_args!("the network has no port {id}"))
}
