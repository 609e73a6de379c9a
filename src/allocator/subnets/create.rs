//! Creates a subnet.

use super::{rules, service};
use crate::allocator::Shard;
use crate::allocator::network::family_index;
use crate::allocator::order::Key;
use crate::allocator::refusal::{Refused, limit, refuse, refuse_field, with};
use crate::allocator::shard::Everywhere;
use crate::limits::SUBNETS_PER_NETWORK_MAX;
use crate::model::{
    Effect, EffectSink, ObjectRef, Prefix, Setting, Status, SubnetHandle, SubnetRow,
};
use addrd_protocol::Range;
use addrd_protocol::message::subnet::{OVERLAPS_MAX, QUARANTINE_MS_DEFAULT};
use addrd_protocol::message::{Detail, Strategy, Subnet, SubnetCreate};
use std::net::IpAddr;

impl Shard {
    /// Creates a subnet, of a prefix that is taken from a pool if one is given, or shows the one that
    /// exists with the same unchangeable fields. `quota` is whether the project may have one more.
    pub(in crate::allocator) fn subnet_create(
        &mut self,
        network: u32,
        request: &SubnetCreate,
        pool: Option<ObjectRef>,
        quota: Result<(), Refused>,
        sink: &mut impl EffectSink,
    ) -> Result<Subnet, Refused> {
        if let Some(at) = self.find_subnet(network, request.subnet_id) {
            return self.repeated_subnet(at, request);
        }
        if self.networks.at(network).deleting {
            return Err(rules::deleting("network"));
        }
        let row = SubnetRow { pool, ..self.checked_row(network, request)? };
        self.check_overlap(network, &request.cidr)?;
        self.check_place(network, None, &request.service)?;
        self.check_room_for_subnet(network)?;
        // Ports that are there had no address of a subnet that was there before.
        let fills = !self.restoring
            && request.service.is_auto_address()
            && !self.networks.at(network).ports.is_empty();
        if fills {
            self.check_room_for_job()?;
        }
        quota?;
        let overlaps = self.overlaps(network, &request.cidr);
        self.commit(&Effect::SubnetPut(Box::new(row)), sink);
        let Some(at) = self.find_subnet(network, request.subnet_id) else {
            return Err(refuse(Status::OUTCOME_UNKNOWN, format_args!("the subnet was not made")));
        };
        let mut made = Subnet { overlaps, ..self.subnet(at) };
        if fills {
            made.filling = self.start_filling(network, request.subnet_id, sink);
        }
        Ok(made)
    }

    fn repeated_subnet(&self, at: u32, request: &SubnetCreate) -> Result<Subnet, Refused> {
        let subnet = self.subnets.at(at);
        let differs = if subnet.row.prefix != request.cidr {
            Some("cidr")
        } else if subnet.row.kind != request.kind {
            Some("kind")
        } else if subnet.row.service.ipv6_ra_mode != request.service.ipv6_ra_mode {
            Some("ipv6_ra_mode")
        } else if subnet.row.service.ipv6_address_mode != request.service.ipv6_address_mode {
            Some("ipv6_address_mode")
        } else {
            None
        };
        if let Some(field) = differs {
            let message = format_args!(
                "subnet {} exists with another {field}: {}",
                request.subnet_id, subnet.row.prefix
            );
            return Err(with(refuse_field(Status::ID_IN_USE, field, message), self.other(at)));
        }
        if subnet.deleting {
            return Err(rules::deleting("subnet"));
        }
        Ok(Subnet { repeated: true, ..self.subnet(at) })
    }

    fn checked_row(&self, network: u32, request: &SubnetCreate) -> Result<SubnetRow, Refused> {
        let Alone { strategy, gateway, pools } = alone(request)?;
        if let Some(name) = &request.name
            && let Some(other) = self.find_subnet_name(network, name)
        {
            return Err(rules::name_in_use(name, self.other(other)));
        }
        let of = self.networks.at(network);
        Ok(SubnetRow {
            network: of.handle,
            subnet: self.free_subnet_handle(network),
            revision: of.next_revision(),
            id: request.subnet_id,
            prefix: request.cidr,
            kind: request.kind,
            strategy,
            enable_dhcp: request.enable_dhcp,
            deleting: false,
            gateway,
            pools,
            dns_servers: request.dns_servers.clone(),
            routes: request.routes.clone(),
            name: request.name.clone(),
            description: request.description.clone(),
            pool: None,
            quarantine_ms: request.quarantine_ms.unwrap_or(QUARANTINE_MS_DEFAULT),
            service: request.service.clone(),
            level: 0,
        })
    }

    /// A handle that no live subnet of the network has.
    fn free_subnet_handle(&self, network: u32) -> SubnetHandle {
        let next = self.networks.at(network).next_subnet;
        if next < u32::MAX {
            return SubnetHandle(next);
        }
        // After 2^32 subnets: the lowest one that is free, among no more than live ones.
        let free = (0..).map(SubnetHandle);
        let mut free = free.filter(|&handle| self.find_subnet_handle(network, handle).is_none());
        free.next().unwrap_or_default()
    }

    fn check_overlap(&self, network: u32, prefix: &Prefix) -> Result<(), Refused> {
        let (family, base) = (prefix.family(), prefix.base());
        let order = &self.networks.at(network).order;
        let before = order.last_before(Key::behind(family, base));
        let behind = order.iter_from(Key::before(family, base)).next();
        let overlapping = [before, behind].into_iter().flatten().find(|key| {
            let other = self.subnets.at(key.subnet());
            other.row.prefix.overlaps(prefix)
        });
        match overlapping {
            None => Ok(()),
            Some(key) => {
                let other = self.subnets.at(key.subnet()).row.prefix;
                let message = format_args!("{prefix} overlaps {other} in the same network");
                let refused = refuse_field(Status::PREFIX_OVERLAP, "cidr", message);
                Err(with(refused, self.other(key.subnet())))
            }
        }
    }

    fn check_room_for_subnet(&self, network: u32) -> Result<(), Refused> {
        let count = self.networks.at(network).order.count();
        if count >= SUBNETS_PER_NETWORK_MAX {
            let most = SUBNETS_PER_NETWORK_MAX.into();
            return Err(limit("SUBNETS_PER_NETWORK_MAX", u128::from(count) + 1, most));
        }
        self.check_room_for_records()
    }

    /// Subnets of other networks of the project in this shard that share an address with a prefix:
    /// those around it, then those inside it.
    fn overlaps(&self, network: u32, prefix: &Prefix) -> Vec<crate::model::SubnetId> {
        let project = self.networks.at(network).project;
        let family = prefix.family();
        let place = |base, length, subnet| Everywhere { project, family, base, length, subnet };
        let lengths = &self.lengths[family_index(family)];
        let around = (0..prefix.length()).filter(|&length| lengths[usize::from(length)] > 0);
        let around = around.flat_map(|length| {
            let base = Prefix::truncated(prefix.first(), length).map_or(0, |wider| wider.base());
            self.everywhere.range(place(base, length, 0)..=place(base, length, u32::MAX))
        });
        let last = prefix.base() + crate::allocator::subnet::last_of(0, prefix.host_bits());
        let first = place(prefix.base(), prefix.length(), 0);
        let inside = self.everywhere.range(first..=place(last, u8::MAX, u32::MAX));
        around
            .chain(inside)
            .map(|place| self.subnets.at(place.subnet))
            .filter(|other| other.network != network)
            .map(|other| other.row.id)
            .take(OVERLAPS_MAX)
            .collect()
    }

    /// A subnet as the detail of a refusal.
    pub(in crate::allocator) fn other(&self, at: u32) -> Detail {
        let subnet = self.subnets.at(at);
        Detail::Other {
            network_id: self.networks.at(subnet.network).id,
            subnet_id: subnet.row.id,
            cidr: Some(subnet.row.prefix),
        }
    }
}

/// What a subnet has by the rules that concern it alone.
struct Alone {
    strategy: Strategy,
    gateway: Option<IpAddr>,
    pools: Vec<Range>,
}

fn alone(request: &SubnetCreate) -> Result<Alone, Refused> {
    let (prefix, kind) = (&request.cidr, request.kind);
    rules::check_prefix(prefix, request.enable_dhcp)?;
    let strategy = rules::check_strategy(request.strategy)?;
    let gateway = match &request.gateway {
        Setting::Unset => rules::default_gateway(prefix, kind),
        Setting::Null => None,
        Setting::Value(gateway) => {
            rules::check_gateway(prefix, kind, gateway)?;
            Some(*gateway)
        }
    };
    let pools = match &request.pools {
        Setting::Unset | Setting::Null => rules::default_pools(prefix, kind, gateway),
        Setting::Value(pools) => {
            rules::check_pools(prefix, kind, gateway, pools)?;
            pools.clone()
        }
    };
    service::check_service(prefix, request.enable_dhcp, &request.service)?;
    rules::check_dns_servers(&request.dns_servers)?;
    rules::check_routes(&request.routes)?;
    rules::check_quarantine(request.quarantine_ms.unwrap_or_default())?;
    if let Some(name) = &request.name {
        rules::check_name(name)?;
    }
    Ok(Alone { strategy, gateway, pools })
}
