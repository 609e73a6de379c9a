//! Parts of a subnet of Kea's configuration as values: ranges without the gateway, addresses of
//! options, what a reservation keeps. Pure.

use super::config::{OptionData, Reservation, Subnet};
use addrd_protocol::message::subnet::POOLS_MAX;
use addrd_protocol::{Family, Prefix, Range};
use std::net::IpAddr;

/// Addresses and prefixes that a reservation keeps.
pub(super) fn wanted(reservation: &Reservation) -> Result<Vec<Result<IpAddr, Prefix>>, String> {
    let addresses = reservation.ip_address.iter().chain(&reservation.ip_addresses);
    let addresses = addresses.map(|text| {
        let address = text.parse::<IpAddr>().map_err(|_| format!("\"{text}\" is no address"));
        address.map(Ok)
    });
    let prefixes = reservation.prefixes.iter().map(|text| {
        let prefix = text.parse::<Prefix>().map_err(|error| format!("\"{text}\": {error}"));
        prefix.map(Err)
    });
    addresses.chain(prefixes).collect()
}

/// Addresses of an option: of the innermost list that has it.
pub(super) fn addresses(
    lists: &[&[OptionData]],
    name: &str,
    code: u32,
    family: Family,
) -> Result<Vec<IpAddr>, String> {
    let is_it = |option: &&OptionData| {
        let is_usual = option.space.as_ref().is_none_or(|space| space.starts_with("dhcp"));
        is_usual && (option.name.as_deref() == Some(name) || option.code == Some(code))
    };
    let Some(option) = lists.iter().find_map(|list| list.iter().find(is_it)) else {
        return Ok(Vec::new());
    };
    let data = option.data.as_deref().unwrap_or_default();
    if option.csv_format == Some(false) {
        return Err(format!("option {name}: \"{data}\" is not read: csv-format is false"));
    }
    let parts = data.split(',').map(str::trim).filter(|part| !part.is_empty());
    let address = |part: &str| {
        let address = part.parse().ok().filter(|address| Family::of(address) == family);
        address.ok_or_else(|| format!("option {name}: \"{part}\" is no address"))
    };
    parts.map(address).collect()
}

/// Ranges without the gateway, and whether one has an address that broadcast subnets keep back.
pub(super) fn pools(
    subnet: &Subnet,
    cidr: &Prefix,
    gateway: Option<IpAddr>,
) -> Result<(Vec<Range>, bool), String> {
    let mut pools: Vec<Range> = Vec::new();
    for pool in &subnet.pools {
        let range =
            range(&pool.pool).ok_or_else(|| format!("pool \"{}\" is no range", pool.pool))?;
        if !cidr.contains(&range.first()) || !cidr.contains(&range.last()) {
            return Err(format!("pool {range} lies outside {cidr}"));
        }
        let whole = || std::iter::once(range);
        match gateway.filter(|gateway| range.contains(gateway)) {
            None => pools.extend(whole()),
            Some(gateway) => pools.extend(without(cidr, &range, gateway)),
        }
    }
    if pools.len() > POOLS_MAX {
        return Err(format!("{} pools; a subnet has at most {POOLS_MAX}", pools.len()));
    }
    let ends = pools.iter().flat_map(|pool| [pool.first(), pool.last()]);
    let is_routed = ends.chain(gateway).any(|address| is_edge(cidr, &address));
    Ok((pools, is_routed))
}

fn range(text: &str) -> Option<Range> {
    match text.split_once('-') {
        Some((first, last)) => Range::new(first.trim().parse().ok()?, last.trim().parse().ok()?),
        None => text.trim().parse().ok().map(|prefix: Prefix| prefix.range()),
    }
}

/// What is left of a range beside an address in it.
fn without(cidr: &Prefix, range: &Range, address: IpAddr) -> Vec<Range> {
    let at = |step: fn(u128) -> Option<u128>| {
        cidr.offset_of(&address).and_then(step).and_then(|offset| cidr.address_at(offset))
    };
    let below = at(|offset| offset.checked_sub(1)).filter(|_| range.first() < address);
    let above = at(|offset| offset.checked_add(1)).filter(|_| address < range.last());
    let below = below.and_then(|last| Range::new(range.first(), last));
    below.into_iter().chain(above.and_then(|first| Range::new(first, range.last()))).collect()
}

/// Whether a broadcast subnet keeps an address back: the first one, and in IPv4 the last one.
pub(super) fn is_edge(cidr: &Prefix, address: &IpAddr) -> bool {
    let is_last = cidr.family() == Family::V4 && *address == cidr.last();
    cidr.host_bits() > 1 && (*address == cidr.first() || is_last)
}
