//! Lines of a plan and its holders, in the order in which an export of them comes. Judges nothing.

use super::MS_PER_S;
use super::holders::{Book, Holder, Holders};
use super::plan::{Net, Plan, Sub};
use crate::cli::fault::Fault;
use crate::cli::transfer::line::{Held, IMPORTED_LEASE_MS_MIN, InNetwork, Line, Pool, Prefix};
use addrd_protocol::message::renew::LEASE_MS_MAX;
use addrd_protocol::message::subnet::QUARANTINE_MS_DEFAULT;
use addrd_protocol::message::{
    NetworkCreate, PinCreate, PoolCreate, Strategy, SubnetCreate, SubnetKind,
};
use addrd_protocol::{Family, Instance, NetworkId, PoolId, ProjectId, Setting, SubnetId, Text};
use std::net::IpAddr;
use uuid::Uuid;

/// Under which the ids of what Kea has no ids for are made of names, so that the same is the same
/// again.
const NAMESPACE: Uuid = Uuid::from_u128(0x6164_6472_6400_5000_8000_6b65_6100_0000);

/// Gives each line to `out`. With a time (s since the Unix epoch) leases end after what they have left then.
pub(super) fn write(
    plan: &Plan,
    holders: Holders,
    (project_id, project): (ProjectId, Line),
    ends_from: Option<u64>,
    out: &mut dyn FnMut(Line) -> Result<(), Fault>,
) -> Result<(), Fault> {
    out(project)?;
    let ids = Ids { project_id, ends_from };
    for net in &plan.nets {
        ids.pool(net).map_or(Ok(()), &mut *out)?;
    }
    let mut nets: Vec<_> = plan.nets.iter().enumerate().zip(holders.addresses).collect();
    nets.sort_by_key(|((_, net), _)| network_id(net));
    for ((at, net), book) in nets {
        let subnets = plan.subnets.iter().filter(|sub| sub.net == at);
        ids.network(net, subnets, book, out)?;
    }
    for (net, book) in plan.nets.iter().zip(holders.prefixes) {
        for (address, holder) in book.held {
            out(ids.prefix(net, address, holder))?;
        }
    }
    Ok(())
}

struct Ids {
    project_id: ProjectId,
    ends_from: Option<u64>,
}

fn id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{kind} {name}").as_bytes())
}

fn network_id(net: &Net) -> NetworkId {
    NetworkId(id("network", &net.name))
}

fn pool_id(net: &Net) -> PoolId {
    PoolId(id("pool", &net.name))
}

impl Ids {
    fn of<T>(&self, net: &Net, object: T) -> Box<InNetwork<T>> {
        Box::new(InNetwork {
            project_id: self.project_id,
            network_id: network_id(net),
            network_project: None,
            object,
        })
    }

    fn network<'a>(
        &self,
        net: &Net,
        subnets: impl Iterator<Item = &'a Sub>,
        book: Book,
        out: &mut dyn FnMut(Line) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let name = Some(net.name.clone());
        out(Line::Network(self.of(net, NetworkCreate { name, ..NetworkCreate::default() })))?;
        let mut subnets: Vec<&Sub> = subnets.collect();
        subnets.sort_by_key(|sub| sub.cidr);
        for sub in subnets {
            out(self.subnet(net, sub))?;
        }
        for (address, holder) in book.held {
            out(Line::Allocation(self.of(net, held(address, holder, self.ends_from))))?;
        }
        for (address, pin) in book.pins {
            let Holder { owner, slot, .. } = pin;
            let pin = PinCreate { address, owner: owner.id, slot, owner_name: owner.name };
            out(Line::Pin(self.of(net, pin)))?;
        }
        Ok(())
    }

    fn subnet(&self, net: &Net, sub: &Sub) -> Line {
        let kind = if sub.is_routed { SubnetKind::Routed } else { SubnetKind::Broadcast };
        let description = (sub.id != 0).then(|| format!("Kea subnet {}", sub.id));
        Line::Subnet(self.of(
            net,
            SubnetCreate {
                subnet_id: SubnetId(id("subnet", &format!("{} {}", net.name.as_str(), sub.cidr))),
                cidr: sub.cidr,
                kind,
                strategy: Strategy::Next,
                // addrd serves no DHCP where there is no room for it.
                enable_dhcp: sub.cidr.host_bits() > 1,
                gateway: sub.gateway.map_or(Setting::Null, Setting::Value),
                pools: Setting::Value(sub.pools.clone()),
                dns_servers: sub.dns_servers.clone(),
                routes: Vec::new(),
                name: None,
                description: description.and_then(|text| Text::new(&text).ok()),
                from_pool: None,
                quarantine_ms: Some(QUARANTINE_MS_DEFAULT),
                service: addrd_protocol::message::Service::default(),
            },
        ))
    }

    /// What prefixes of the network's subnets are delegated from.
    fn pool(&self, net: &Net) -> Option<Line> {
        let delegated = net.delegated.as_ref()?;
        let object = PoolCreate {
            family: Family::V6,
            prefixes: delegated.prefixes.clone(),
            min_length: Some(delegated.shortest),
            max_length: Some(delegated.longest),
            default_length: Some(delegated.default),
            default_quota: None,
            address_scope_id: None,
            parent_id: None,
            parent_length: None,
            is_default: false,
            shared: false,
            name: super::plan::named(&format!("{}-pd", net.name.as_str())),
            description: None,
        };
        let subnet_pool_id = pool_id(net);
        Some(Line::Pool(Box::new(Pool { project_id: self.project_id, subnet_pool_id, object })))
    }

    fn prefix(&self, net: &Net, address: IpAddr, holder: Holder) -> Line {
        Line::Prefix(Box::new(Prefix {
            project_id: self.project_id,
            subnet_pool_id: pool_id(net),
            object: held(address, holder, self.ends_from),
        }))
    }
}

/// A lease that has so many s left.
fn lease_of(left: u64) -> u64 {
    left.saturating_mul(MS_PER_S).clamp(IMPORTED_LEASE_MS_MIN, LEASE_MS_MAX)
}

fn held(address: IpAddr, holder: Holder, ends_from: Option<u64>) -> Held {
    let Holder { owner, slot, length, label, expire } = holder;
    let left = expire.zip(ends_from).map(|(expire, from)| expire.saturating_sub(from));
    Held {
        address,
        length,
        owner: owner.id,
        slot,
        instance: Instance(0),
        owner_name: owner.name,
        label,
        host: None,
        manager: None,
        lease_ms: left.map(lease_of),
    }
}
