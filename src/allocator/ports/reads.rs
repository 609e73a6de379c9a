//! Ports as replies show them, one and many. Reads only.

use crate::allocator::Shard;
use crate::allocator::pages::{Cursor, Kind, Page};
use crate::allocator::refusal::Refused;
use crate::allocator::shard::At;
use crate::allocator::subnets::check_page_limit;
use crate::model::Family;
use addrd_protocol::codec::{ITEMS_BYTES_MAX, port_bytes};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::port::BATCH_FIXED_IPS_MAX;
use addrd_protocol::message::{FixedIp, Port, PortFilter, PortGet, PortList, PortPage};
use std::ops::Bound;

impl Shard {
    /// A port as it is.
    pub(in crate::allocator) fn port(&self, at: u32) -> Port {
        let port = self.ports.at(at);
        let texts = port.texts();
        let fixed = |had: super::addresses::Had| {
            let record = self.ledger.at(had.record);
            let subnet = self.subnets.at(had.subnet);
            FixedIp {
                ip_address: had.address,
                subnet_length: subnet.row.prefix.length(),
                subnet_id: subnet.row.id,
                slot: had.slot,
                revision: record.revision,
                automatic: had.automatic,
            }
        };
        Port {
            port_id: port.id,
            network_id: self.networks.at(port.network).id,
            revision: port.revision,
            mac: port.mac,
            ip_allocation: port.ip_allocation,
            repeated: false,
            more: false,
            fixed_ips: self.had(at).into_iter().map(fixed).collect(),
            host: texts.host.clone(),
            device_owner: texts.device_owner.clone(),
            description: texts.description.clone(),
        }
    }

    /// Reads a port.
    pub(in crate::allocator) fn port_get(
        &self,
        network: u32,
        request: &PortGet,
    ) -> Result<Port, Refused> {
        let found = self.find_port(network, request.port_id);
        found.map(|at| self.port(at)).ok_or_else(|| super::create::no_port(request.port_id))
    }

    /// Ports of a network in the order in which they were made.
    pub(in crate::allocator) fn port_list(
        &self,
        at: &At,
        network: u32,
        request: &PortList,
    ) -> Result<PortPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        let from = match Cursor::read(Kind::Port, at, &request.page)? {
            None => Bound::Unbounded,
            Some(cursor) => Bound::Excluded(cursor.key as u64),
        };
        let mut page = Page::new(most);
        let mut bytes = 0;
        for (&created, &port) in self.networks.at(network).ports.range((from, Bound::Unbounded)) {
            let item = self.matches_port(port, &request.filter).then(|| self.port(port));
            bytes += item.as_ref().map_or(0, port_bytes);
            if bytes > ITEMS_BYTES_MAX && page.is_begun() {
                page.cut();
                break;
            }
            if !page.look_at(created.into(), item) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Port, at, Family::V4);
        Ok(PortPage { position: at.position, items, next })
    }

    fn matches_port(&self, at: u32, filter: &PortFilter) -> bool {
        let port = self.ports.at(at);
        let texts = port.texts();
        port.guest() == self.acting
            && filter.mac.is_none_or(|mac| mac == port.mac)
            && filter.changed_since.is_none_or(|since| port.revision > since)
            && (filter.host.is_none() || filter.host == texts.host)
            && (filter.device_owner.is_none() || filter.device_owner == texts.device_owner)
    }
}

/// A port as the result of a batch.
pub(in crate::allocator) fn short(mut port: Port) -> Port {
    (port.host, port.device_owner, port.description) = (None, None, None);
    port.more = port.fixed_ips.len() > BATCH_FIXED_IPS_MAX;
    port.fixed_ips.truncate(BATCH_FIXED_IPS_MAX);
    port
}
