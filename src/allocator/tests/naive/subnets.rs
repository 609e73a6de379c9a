//! Subnets: create, change, exclude, delete. Rules are those of protocol/SPEC.md, subnet_create.

use super::networks::Deleted;
use super::place::numbers;
use super::{Held, Naive, Net, Sub, Verdict, no, no_field};
use crate::model::{Family, NetworkId, Prefix, Range, Setting, Status, SubnetId, Text};
use addrd_protocol::message::{
    Route, Strategy, SubnetCreate, SubnetDelete, SubnetExclude, SubnetInclude, SubnetKind,
    SubnetUpdate,
};
use std::net::IpAddr;

impl Naive {
    /// True if it existed.
    pub(in crate::allocator::tests) fn subnet_create(
        &mut self,
        network: NetworkId,
        request: &SubnetCreate,
    ) -> Verdict<bool> {
        let net = self.net_mut(network)?;
        if let Some(sub) = net.sub(request.subnet_id) {
            if sub.prefix != request.cidr {
                return no_field(Status::ID_IN_USE, "cidr");
            }
            if sub.kind != request.kind {
                return no_field(Status::ID_IN_USE, "kind");
            }
            return if sub.deleting { no(Status::DELETING) } else { Ok(true) };
        }
        if net.deleting {
            return no(Status::DELETING);
        }
        let (prefix, kind) = (request.cidr, request.kind);
        prefix_is_fine(&prefix, request.enable_dhcp)?;
        let strategy = strategy_of(request.strategy)?;
        let gateway = match &request.gateway {
            Setting::Unset => automatic_gateway(&prefix, kind),
            Setting::Null => None,
            Setting::Value(gateway) => Some(gateway_is_fine(&prefix, kind, gateway)?),
        };
        let pools = match &request.pools {
            Setting::Unset | Setting::Null => all_but_gateway(&prefix, kind, gateway),
            Setting::Value(pools) => pools_are_fine(&prefix, kind, gateway, pools)?,
        };
        lists_are_fine(&request.dns_servers, &request.routes)?;
        rest_is_fine(request.quarantine_ms.unwrap_or(0))?;
        name_is_fine(net, request.name.as_ref(), request.subnet_id)?;
        if net.subnets.iter().any(|other| other.prefix.overlaps(&prefix)) {
            return no_field(Status::PREFIX_OVERLAP, "cidr");
        }
        let revision = net.tick();
        net.subnets.push(Sub {
            id: request.subnet_id,
            prefix,
            kind,
            strategy,
            dhcp: request.enable_dhcp,
            gateway,
            pools,
            exclusions: Vec::new(),
            dns: request.dns_servers.clone(),
            routes: request.routes.clone(),
            name: request.name.clone(),
            description: request.description.clone(),
            revision,
            deleting: false,
            quarantine: request.quarantine_ms.unwrap_or(30_000),
            last: None,
        });
        Ok(false)
    }

    /// True if it was so already.
    pub(in crate::allocator::tests) fn subnet_update(
        &mut self,
        network: NetworkId,
        request: &SubnetUpdate,
    ) -> Verdict<bool> {
        let net = self.net_mut(network)?;
        let at = usable(net, request.subnet_id)?;
        let old = net.subnets[at].clone();
        let mut sub = old.clone();
        match request.strategy {
            Setting::Unset => {}
            Setting::Null => sub.strategy = Strategy::Next,
            Setting::Value(strategy) => sub.strategy = strategy_of(strategy)?,
        }
        match request.enable_dhcp {
            Setting::Unset => {}
            Setting::Null => sub.dhcp = false,
            Setting::Value(dhcp) => sub.dhcp = dhcp,
        }
        prefix_is_fine(&sub.prefix, sub.dhcp)?;
        match &request.gateway {
            Setting::Unset => {}
            Setting::Null => sub.gateway = None,
            Setting::Value(gateway) => {
                sub.gateway = Some(gateway_is_fine(&sub.prefix, sub.kind, gateway)?);
            }
        }
        match &request.pools {
            Setting::Unset => {
                if sub.pools.iter().any(|pool| sub.gateway.is_some_and(|g| pool.contains(&g))) {
                    return no_field(Status::GATEWAY_IN_POOL, "gateway");
                }
            }
            Setting::Null => sub.pools = all_but_gateway(&sub.prefix, sub.kind, sub.gateway),
            Setting::Value(pools) => {
                sub.pools = pools_are_fine(&sub.prefix, sub.kind, sub.gateway, pools)?;
            }
        }
        match &request.dns_servers {
            Setting::Unset => {}
            Setting::Null => sub.dns = Vec::new(),
            Setting::Value(dns) => sub.dns = dns.clone(),
        }
        match &request.routes {
            Setting::Unset => {}
            Setting::Null => sub.routes = Vec::new(),
            Setting::Value(routes) => sub.routes = routes.clone(),
        }
        match request.quarantine_ms {
            Setting::Unset => {}
            Setting::Null => sub.quarantine = 30_000,
            Setting::Value(ms) => sub.quarantine = ms,
        }
        rest_is_fine(sub.quarantine)?;
        lists_are_fine(&sub.dns, &sub.routes)?;
        match &request.name {
            Setting::Unset => {}
            Setting::Null => sub.name = None,
            Setting::Value(name) => sub.name = Some(name.clone()),
        }
        match &request.description {
            Setting::Unset => {}
            Setting::Null => sub.description = None,
            Setting::Value(text) => sub.description = Some(text.clone()),
        }
        name_is_fine(net, request.name.value(), sub.id)?;
        if same(&sub, &old) {
            return Ok(true);
        }
        if request.expected.0 != 0 && request.expected.0 != old.revision {
            return no_field(Status::STALE, "expected");
        }
        sub.revision = net.tick();
        net.subnets[at] = sub;
        Ok(false)
    }

    pub(in crate::allocator::tests) fn subnet_delete(
        &mut self,
        network: NetworkId,
        request: &SubnetDelete,
    ) -> Verdict<Deleted> {
        let net = self.net_mut(network)?;
        let Some(at) = net.subnets.iter().position(|sub| sub.id == request.subnet_id) else {
            return no_field(Status::NOT_FOUND, "subnet_id");
        };
        if net.subnets[at].deleting {
            return Ok(Deleted::Job);
        }
        if request.expected.0 != 0 && request.expected.0 != net.subnets[at].revision {
            return no_field(Status::STALE, "expected");
        }
        if net.held_in(request.subnet_id).next().is_none() {
            let before = net.resting.len();
            net.resting.retain(|rest| rest.subnet != request.subnet_id);
            net.counter += (before - net.resting.len()) as u64;
            net.subnets.remove(at);
            net.tick();
            return Ok(Deleted::AtOnce);
        }
        if !request.force {
            return no(Status::IN_USE);
        }
        let revision = net.tick();
        net.subnets[at].revision = revision;
        net.subnets[at].deleting = true;
        net.tick();
        Ok(Deleted::Job)
    }

    /// Live addresses inside the range, lowest first.
    pub(in crate::allocator::tests) fn subnet_exclude(
        &mut self,
        network: NetworkId,
        request: &SubnetExclude,
    ) -> Verdict<Vec<IpAddr>> {
        let net = self.net_mut(network)?;
        let at = usable(net, request.subnet_id)?;
        let exclusion = &request.exclusion;
        let sub = &net.subnets[at];
        let range = exclusion.range;
        if !sub.prefix.contains(&range.first()) || !sub.prefix.contains(&range.last()) {
            return no_field(Status::OUT_OF_RANGE, "range");
        }
        if !sub.exclusions.contains(exclusion) {
            let other = |e: &&addrd_protocol::message::Exclusion| e.range != range;
            if sub.exclusions.iter().filter(other).any(|e| e.range.overlaps(&range)) {
                return no_field(Status::POOL_OVERLAP, "range");
            }
            net.tick();
            let list = &mut net.subnets[at].exclusions;
            list.retain(|old| old.range != range);
            list.push(exclusion.clone());
            list.sort_by_key(|exclusion| exclusion.range);
        }
        let (first, last) = numbers(&range);
        let mut inside: Vec<&Held> = net
            .held_in(request.subnet_id)
            .filter(|held| held.first <= last && held.last >= first)
            .collect();
        inside.sort_by_key(|held| held.first);
        Ok(inside.into_iter().map(Held::address).collect())
    }

    pub(in crate::allocator::tests) fn subnet_include(
        &mut self,
        network: NetworkId,
        request: &SubnetInclude,
    ) -> Verdict<()> {
        let net = self.net_mut(network)?;
        let at = usable(net, request.subnet_id)?;
        let before = net.subnets[at].exclusions.len();
        net.subnets[at].exclusions.retain(|old| old.range != request.range);
        if net.subnets[at].exclusions.len() == before {
            return no_field(Status::NOT_FOUND, "range");
        }
        net.tick();
        Ok(())
    }
}

fn same(a: &Sub, b: &Sub) -> bool {
    (a.strategy, a.dhcp, a.gateway, &a.pools) == (b.strategy, b.dhcp, b.gateway, &b.pools)
        && a.quarantine == b.quarantine
        && (&a.dns, &a.routes, &a.name, &a.description)
            == (&b.dns, &b.routes, &b.name, &b.description)
}

fn usable(net: &Net, id: SubnetId) -> Verdict<usize> {
    match net.subnets.iter().position(|sub| sub.id == id) {
        None => no_field(Status::NOT_FOUND, "subnet_id"),
        Some(at) if net.subnets[at].deleting || net.deleting => no(Status::DELETING),
        Some(at) => Ok(at),
    }
}

fn name_is_fine(net: &Net, name: Option<&Text>, but: SubnetId) -> Verdict<()> {
    let Some(name) = name else { return Ok(()) };
    if !name.is_name() {
        return no_field(Status::INVALID_NAME, "name");
    }
    if net.subnets.iter().any(|sub| sub.id != but && sub.name.as_ref() == Some(name)) {
        return no_field(Status::NAME_IN_USE, "name");
    }
    Ok(())
}

fn strategy_of(strategy: Strategy) -> Verdict<Strategy> {
    match strategy {
        Strategy::Default => Ok(Strategy::Next),
        Strategy::Exact | Strategy::Eui64 => no_field(Status::OUT_OF_RANGE, "strategy"),
        fine => Ok(fine),
    }
}

fn rest_is_fine(ms: u64) -> Verdict<()> {
    if ms > 365 * 24 * 3_600_000 {
        return no_field(Status::OUT_OF_RANGE, "quarantine_ms");
    }
    Ok(())
}

fn lists_are_fine(dns: &[IpAddr], routes: &[Route]) -> Verdict<()> {
    if dns.len() > 5 {
        return no_field(Status::OUT_OF_RANGE, "dns_servers");
    }
    if routes.len() > 20 {
        return no_field(Status::OUT_OF_RANGE, "routes");
    }
    if routes.iter().any(|r| r.destination.family() != Family::of(&r.next_hop)) {
        return no_field(Status::CONFLICTING_FIELDS, "routes");
    }
    Ok(())
}

fn prefix_is_fine(prefix: &Prefix, dhcp: bool) -> Verdict<()> {
    let first = prefix.first();
    let bad = prefix.length() == 0 || (first.is_ipv6() && first.is_unspecified());
    let bad_for_dhcp = prefix.host_bits() < 2
        || first.is_multicast()
        || first.is_loopback()
        || first.is_unspecified();
    if bad || (dhcp && bad_for_dhcp) {
        return no_field(Status::INVALID_PREFIX, "cidr");
    }
    Ok(())
}

fn automatic_gateway(prefix: &Prefix, kind: SubnetKind) -> Option<IpAddr> {
    let wanted = kind == SubnetKind::Broadcast && prefix.host_bits() >= 2;
    prefix.family().address(prefix.base() + 1).filter(|_| wanted)
}

fn gateway_is_fine(prefix: &Prefix, kind: SubnetKind, gateway: &IpAddr) -> Verdict<IpAddr> {
    let ends = *gateway == prefix.first() || *gateway == prefix.last();
    let v4_ends =
        ends && gateway.is_ipv4() && kind == SubnetKind::Broadcast && prefix.length() <= 30;
    if Family::of(gateway) != prefix.family() || v4_ends {
        return no_field(Status::INVALID_GATEWAY, "gateway");
    }
    Ok(*gateway)
}

/// First and last number that pools may have.
fn pool_ends(prefix: &Prefix, kind: SubnetKind) -> (u128, u128) {
    let (first, last) = (prefix.base(), prefix.base() + prefix.offset_max());
    match prefix.family() {
        _ if kind == SubnetKind::Routed => (first, last),
        Family::V4 if prefix.length() >= 31 => (first, last),
        Family::V4 => (first + 1, last - 1),
        Family::V6 if prefix.length() == 128 => (first, last),
        Family::V6 => (first + 1, last),
    }
}

fn all_but_gateway(prefix: &Prefix, kind: SubnetKind, gateway: Option<IpAddr>) -> Vec<Range> {
    let (first, last) = pool_ends(prefix, kind);
    let address = |number| prefix.family().address(number).unwrap();
    let gateway =
        gateway.filter(|g| prefix.contains(g)).map(|g| addrd_protocol::prefix::number_of(&g));
    match gateway.filter(|g| (first..=last).contains(g)) {
        None => vec![Range::new(address(first), address(last)).unwrap()],
        Some(at) => {
            let mut pools = Vec::new();
            if at > first {
                pools.push(Range::new(address(first), address(at - 1)).unwrap());
            }
            if at < last {
                pools.push(Range::new(address(at + 1), address(last)).unwrap());
            }
            pools
        }
    }
}

fn pools_are_fine(
    prefix: &Prefix,
    kind: SubnetKind,
    gateway: Option<IpAddr>,
    pools: &[Range],
) -> Verdict<Vec<Range>> {
    let (first, last) = pool_ends(prefix, kind);
    for pool in pools {
        let (a, b) = numbers(pool);
        if pool.family() != prefix.family() || a < first || b > last {
            return no_field(Status::POOL_OUTSIDE, "pools");
        }
        if gateway.is_some_and(|gateway| pool.contains(&gateway)) {
            return no_field(Status::GATEWAY_IN_POOL, "gateway");
        }
    }
    for (at, pool) in pools.iter().enumerate() {
        if pools[at + 1..].iter().any(|other| other.overlaps(pool)) {
            return no_field(Status::POOL_OVERLAP, "pools");
        }
    }
    Ok(pools.to_vec())
}
