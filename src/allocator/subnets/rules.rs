//! What a subnet may be: prefix, gateway, pools, lists. Looks at no state.
//!
//! Source: protocol/SPEC.md, subnet_create: Neutron's rules for `broadcast`, every address usable
//! for `routed`.

use crate::allocator::refusal::{Refused, out_of_range, refuse, refuse_field, with};
use crate::allocator::subnet::last_of;
use crate::model::{Family, Prefix, Range, Status, Text};
use addrd_protocol::message::subnet::{DNS_SERVERS_MAX, POOLS_MAX, QUARANTINE_MS_MAX, ROUTES_MAX};
use addrd_protocol::message::{Detail, Route, Strategy, SubnetKind};
use std::net::IpAddr;

/// Refuses prefixes that can be no subnet.
pub(super) fn check_prefix(prefix: &Prefix, enable_dhcp: bool) -> Result<(), Refused> {
    let invalid = |why: &str| {
        let message = format_args!("{prefix} cannot be a subnet: {why}");
        Err(refuse_field(Status::INVALID_PREFIX, "cidr", message))
    };
    if prefix.length() == 0 {
        return invalid("the prefix length is 0; the shortest is 1");
    }
    if prefix.first() == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) {
        return invalid("it begins with the unspecified address ::");
    }
    if !enable_dhcp {
        return Ok(());
    }
    if prefix.host_bits() < 2 {
        return invalid("with enable_dhcp at least 2 host bits are needed (/30, /126)");
    }
    if prefix.first().is_multicast() || prefix.first().is_loopback() {
        return invalid("with enable_dhcp it is neither multicast nor loopback");
    }
    if prefix.first().is_unspecified() {
        return invalid("with enable_dhcp it does not begin with 0.0.0.0");
    }
    Ok(())
}

/// The gateway of a subnet whose creator did not mention one.
pub(super) fn default_gateway(prefix: &Prefix, kind: SubnetKind) -> Option<IpAddr> {
    if kind == SubnetKind::Routed || prefix.host_bits() < 2 {
        return None;
    }
    prefix.address_at(1)
}

/// Refuses gateways that cannot be used. Outside of the prefix is allowed (on-link).
pub(super) fn check_gateway(
    prefix: &Prefix,
    kind: SubnetKind,
    gateway: &IpAddr,
) -> Result<(), Refused> {
    let invalid = |why: &str| {
        let message = format_args!("{gateway} cannot be the gateway of {prefix}: {why}");
        Err(refuse_field(Status::INVALID_GATEWAY, "gateway", message))
    };
    if Family::of(gateway) != prefix.family() {
        return invalid("it is of the other family");
    }
    let keeps_ends = kind == SubnetKind::Broadcast && prefix.host_bits() >= 2;
    let is_end = *gateway == prefix.first() || *gateway == prefix.last();
    if keeps_ends && prefix.family() == Family::V4 && is_end {
        return invalid("it is the network or broadcast address");
    }
    Ok(())
}

/// Offsets that pools may have, inclusive.
fn usable(prefix: &Prefix, kind: SubnetKind) -> (u128, u128) {
    let last = last_of(0, prefix.host_bits());
    match (kind, prefix.family(), prefix.host_bits()) {
        (SubnetKind::Routed, ..) | (_, _, 0) | (_, Family::V4, 1) => (0, last),
        (SubnetKind::Broadcast, Family::V4, _) => (1, last - 1),
        (SubnetKind::Broadcast, Family::V6, _) => (1, last),
    }
}

/// The pools of a subnet that has none given: everything usable but the gateway.
pub(super) fn default_pools(
    prefix: &Prefix,
    kind: SubnetKind,
    gateway: Option<IpAddr>,
) -> Vec<Range> {
    let (first, last) = usable(prefix, kind);
    let gateway = gateway.and_then(|gateway| prefix.offset_of(&gateway));
    let parts = match gateway.filter(|at| (first..=last).contains(at)) {
        None => [Some((first, last)), None],
        Some(at) => [
            at.checked_sub(1).filter(|&end| end >= first).map(|end| (first, end)),
            (at < last).then(|| (at + 1, last)),
        ],
    };
    let range = |(first, last)| Range::new(prefix.address_at(first)?, prefix.address_at(last)?);
    parts.into_iter().flatten().filter_map(range).collect()
}

/// Refuses pools outside the usable part, overlapping ones, and ones with the gateway in them.
pub(super) fn check_pools(
    prefix: &Prefix,
    kind: SubnetKind,
    gateway: Option<IpAddr>,
    pools: &[Range],
) -> Result<(), Refused> {
    if pools.len() > POOLS_MAX {
        return Err(out_of_range("pools", pools.len() as u128, 0, POOLS_MAX as u128));
    }
    let (first, last) = usable(prefix, kind);
    for pool in pools {
        let ends = (prefix.offset_of(&pool.first()), prefix.offset_of(&pool.last()));
        let inside = matches!(ends, (Some(from), Some(to)) if from >= first && to <= last);
        if !inside {
            return Err(pool_outside(prefix, pool, (first, last)));
        }
        if gateway.is_some_and(|gateway| pool.contains(&gateway)) {
            return Err(gateway_in_pool(pool));
        }
    }
    let mut sorted: Vec<&Range> = pools.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0].overlaps(pair[1])) {
        None => Ok(()),
        Some(pair) => {
            let message = format_args!("the pools {} and {} overlap", pair[0], pair[1]);
            Err(refuse_field(Status::POOL_OVERLAP, "pools", message))
        }
    }
}

fn pool_outside(prefix: &Prefix, pool: &Range, (first, last): (u128, u128)) -> Refused {
    let message = match (prefix.address_at(first), prefix.address_at(last)) {
        (Some(first), Some(last)) => {
            format!("the pool {pool} lies outside of {first}-{last}, the usable part of {prefix}")
        }
        _ => format!("the pool {pool} lies outside of {prefix}"),
    };
    refuse_field(Status::POOL_OUTSIDE, "pools", format_args!("{message}"))
}

/// A pool that has the gateway.
pub(super) fn gateway_in_pool(pool: &Range) -> Refused {
    let message = format_args!("the gateway lies inside the pool {pool}");
    refuse_field(Status::GATEWAY_IN_POOL, "gateway", message)
}

/// The strategy of a subnet: never `Default`.
pub(super) fn check_strategy(strategy: Strategy) -> Result<Strategy, Refused> {
    match strategy {
        Strategy::Default => Ok(Strategy::Next),
        Strategy::Exact | Strategy::Eui64 => {
            let message = format_args!(
                "exact and eui64 can be no subnet's strategy; lowest, next, random and hashed are accepted"
            );
            Err(refuse_field(Status::OUT_OF_RANGE, "strategy", message))
        }
        named => Ok(named),
    }
}

/// Refuses too many DNS servers.
pub(super) fn check_dns_servers(servers: &[IpAddr]) -> Result<(), Refused> {
    if servers.len() > DNS_SERVERS_MAX {
        let (count, most) = (servers.len() as u128, DNS_SERVERS_MAX as u128);
        return Err(out_of_range("dns_servers", count, 0, most));
    }
    Ok(())
}

/// Refuses a rest that is too long.
pub(super) fn check_quarantine(quarantine_ms: u64) -> Result<(), Refused> {
    if quarantine_ms <= QUARANTINE_MS_MAX {
        return Ok(());
    }
    let most = QUARANTINE_MS_MAX.into();
    Err(out_of_range("quarantine_ms", quarantine_ms.into(), 0, most))
}

/// Refuses too many routes, and ones with two families.
pub(super) fn check_routes(routes: &[Route]) -> Result<(), Refused> {
    if routes.len() > ROUTES_MAX {
        return Err(out_of_range("routes", routes.len() as u128, 0, ROUTES_MAX as u128));
    }
    let mixed = |route: &&Route| route.destination.family() != Family::of(&route.next_hop);
    match routes.iter().find(mixed) {
        None => Ok(()),
        Some(route) => {
            let message = format_args!(
                "the route to {} goes by way of {}, which is of the other family",
                route.destination, route.next_hop
            );
            Err(refuse_field(Status::CONFLICTING_FIELDS, "routes", message))
        }
    }
}

/// Refuses texts that are no names.
pub(in crate::allocator) fn check_name(name: &Text) -> Result<(), Refused> {
    if name.is_name() {
        return Ok(());
    }
    let message = format_args!(
        "a name has 1 to 63 of A-Z a-z 0-9 . _ - and reads neither as an id, an address nor a prefix"
    );
    Err(refuse_field(Status::INVALID_NAME, "name", message))
}

/// The name of another object.
pub(in crate::allocator) fn name_in_use(name: &Text, other: Detail) -> Refused {
    let message = format_args!("the name {name} belongs to another");
    with(refuse_field(Status::NAME_IN_USE, "name", message), other)
}

/// A revision that is not the one held now.
pub(in crate::allocator) fn stale(
    now: crate::model::Revision,
    given: crate::model::Revision,
) -> Refused {
    let message = format_args!("the revision is {now}, not {given}");
    let refused = refuse_field(Status::STALE, "expected", message);
    with(refused, Detail::Current { revision: now, instance: Default::default() })
}

/// Something that is being deleted.
pub(in crate::allocator) fn deleting(what: &str) -> Refused {
    refuse(Status::DELETING, format_args!("the {what} is being deleted"))
}
