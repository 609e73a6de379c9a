//! Networks and what is in them as lines: segments, hosts, subnets and ports with their addresses.
//! Holds everything against the rest of the tables; the other rules are the server's.

use super::catalogue::{self, Catalogue, told};
use super::net::{Net, device_owner};
use super::rows;
use super::tables::{At, Parts, Tables};
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::faults::Faults;
use crate::cli::transfer::line::Line;
use addrd_protocol::message::subnet::{
    DNS_SERVERS_MAX, POOLS_MAX, QUARANTINE_MS_DEFAULT, ROUTES_MAX, Route, SERVICE_TYPES_MAX,
};
use addrd_protocol::message::{
    FromPool, HostMapping, SegmentCreate, Service, Strategy, SubnetCreate, SubnetKind,
};
use addrd_protocol::{PoolId, Prefix, SegmentId, Setting, SubnetId, Text};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What a subnet has in the place of a pool while its prefix comes from a router.
const DELEGATED: &str = "prefix_delegation";
/// Where faults and remarks go.
pub(super) struct Told<'a> {
    file: &'a str,
    faults: &'a mut Faults,
    pub(super) account: &'a mut Account,
}

impl Told<'_> {
    pub(super) fn fault(&mut self, line: u64, what: impl std::fmt::Display) {
        self.faults.add(format_args!("{}:{line}", self.file), what);
    }
}

/// Gives the lines of all networks to `out`, by project and network id, as an export has them.
pub(super) fn networks(
    mut tables: Tables,
    catalogue: &Catalogue,
    file: &str,
    out: &mut Vec<Line>,
    faults: &mut Faults,
    account: &mut Account,
) {
    let mut told = Told { file, faults, account };
    let mut nets: HashMap<Uuid, Net> = HashMap::new();
    for (id, network) in &tables.networks {
        let project_id = catalogue::project_id(network.row.project_id.as_deref());
        let is_shared = catalogue::is_shared(&tables, *id, "network", told.account);
        nets.insert(*id, Net::new(project_id, *id, is_shared));
    }
    let on = subnets(&mut tables, catalogue, &mut nets, &mut told);
    segments(&tables, &mut nets, &mut told);
    for net in nets.values_mut() {
        net.subnet_lines();
    }
    ports(&mut tables, &on, &mut nets, &mut told);
    let mut networks: Vec<_> = tables.networks.iter().collect();
    networks.sort_by_key(|(id, _)| nets.get(*id).map(|net| (net.project_id, **id)));
    for (id, network) in networks {
        let Some(net) = nets.remove(id) else { continue };
        out.push(net.line(network, catalogue, told.account));
        out.extend(net.all_lines());
    }
    orphans(tables, &mut told);
}

/// What belongs to nothing that there is.
fn orphans(tables: Tables, told: &mut Told<'_>) {
    for subnet in tables.parts.keys() {
        told.faults.add(told.file, format_args!("rows of subnet {subnet}, which is not there"));
    }
    let pools: HashSet<Uuid> = tables.pools.iter().map(|pool| pool.row.id).collect();
    for pool in tables.pool_prefixes.keys().filter(|pool| !pools.contains(pool)) {
        told.faults
            .add(told.file, format_args!("prefixes of subnet pool {pool}, which is not there"));
    }
    for _ in tables.port_hosts {
        told.account.leave_out("hosts of ports that are not there");
    }
    for row in tables.allocations.into_values().flatten() {
        let (address, port) = (row.row.ip_address, row.row.port_id.unwrap_or_default());
        told.fault(row.line, format_args!("{address}: there is no port {port}"));
    }
}

/// Puts subnets into their networks. Gives where each is: its network and prefix.
fn subnets(
    tables: &mut Tables,
    catalogue: &Catalogue,
    nets: &mut HashMap<Uuid, Net>,
    told: &mut Told<'_>,
) -> HashMap<Uuid, (Uuid, Prefix)> {
    let mut on = HashMap::new();
    for At { line, row } in std::mem::take(&mut tables.subnets) {
        let parts = tables.parts.remove(&row.id).unwrap_or_default();
        let (id, network, cidr) = (row.id, row.network_id, row.cidr);
        let Some(net) = nets.get_mut(&network) else {
            told.fault(line, format_args!("subnet {id}: there is no network {network}"));
            continue;
        };
        let made = subnet(row, parts, catalogue, told.account);
        match made.and_then(|subnet| net.add_subnet(subnet)) {
            Ok(()) => {
                on.insert(id, (network, cidr));
            }
            Err(what) => told.fault(line, format_args!("subnet {id}: {what}")),
        }
    }
    on
}

fn subnet(
    row: rows::Subnet,
    parts: Parts,
    catalogue: &Catalogue,
    account: &mut Account,
) -> Result<SubnetCreate, String> {
    let Parts { mut pools, mut dns_servers, routes, service_types } = parts;
    pools.sort_by_key(addrd_protocol::Range::first);
    if pools.len() > POOLS_MAX {
        return Err(format!("{} pools; a subnet has at most {POOLS_MAX}", pools.len()));
    }
    if let Some(pool) = pools
        .iter()
        .find(|pool| !row.cidr.contains(&pool.first()) || !row.cidr.contains(&pool.last()))
    {
        return Err(format!("pool {pool} lies outside {}", row.cidr));
    }
    let mut routes: Vec<Route> = routes
        .into_iter()
        .map(|route| Route { destination: route.destination, next_hop: route.nexthop })
        .collect();
    for (count, most, what) in
        [(dns_servers.len(), DNS_SERVERS_MAX, "DNS servers"), (routes.len(), ROUTES_MAX, "routes")]
    {
        if count > most {
            account.remark(format!("subnet {}: {count} {what}: the first {most} are kept", row.id));
        }
    }
    dns_servers.truncate(DNS_SERVERS_MAX);
    routes.truncate(ROUTES_MAX);
    let description = told(row.name.as_deref(), account);
    let from_pool = from_pool(&row, catalogue)?;
    Ok(SubnetCreate {
        subnet_id: SubnetId(row.id),
        cidr: row.cidr,
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Next,
        enable_dhcp: row.enable_dhcp,
        gateway: row.gateway_ip.map_or(Setting::Null, Setting::Value),
        pools: Setting::Value(pools),
        dns_servers,
        routes,
        name: None,
        description,
        from_pool,
        quarantine_ms: Some(QUARANTINE_MS_DEFAULT),
        service: service(&row, service_types)?,
    })
}

fn from_pool(row: &rows::Subnet, catalogue: &Catalogue) -> Result<Option<Box<FromPool>>, String> {
    let pool = row.subnetpool_id.as_deref().filter(|pool| *pool != DELEGATED);
    let Some(pool) = pool else { return Ok(None) };
    let id = Uuid::try_parse(pool).ok().filter(|id| catalogue.pools.contains_key(id));
    let id = id.ok_or_else(|| format!("there is no subnet pool {pool}"))?;
    Ok(Some(Box::new(FromPool { subnet_pool_id: PoolId(id), ..FromPool::default() })))
}

fn service(row: &rows::Subnet, service_types: Vec<String>) -> Result<Service, String> {
    if service_types.len() > SERVICE_TYPES_MAX {
        let count = service_types.len();
        return Err(format!("{count} service types; a subnet has at most {SERVICE_TYPES_MAX}"));
    }
    let types = service_types.iter().map(|text| device_owner(text)).collect::<Result<_, _>>()?;
    Ok(Service {
        ipv6_ra_mode: row.ipv6_ra_mode,
        ipv6_address_mode: row.ipv6_address_mode,
        service_types: types,
        segment_id: row.segment_id.map(SegmentId),
    })
}

/// Segments that subnets are on, with the hosts that reach them. Every network of Neutron has a
/// segment; the others say nothing about addresses.
fn segments(tables: &Tables, nets: &mut HashMap<Uuid, Net>, told: &mut Told<'_>) {
    let mut kept: HashMap<Uuid, Uuid> = HashMap::new();
    for At { row, .. } in &tables.segments {
        let net = nets.get_mut(&row.network_id);
        let Some(net) = net.and_then(|net| net.segments.remove(&row.id).then_some(net)) else {
            told.account.leave_out("segments without subnets");
            continue;
        };
        kept.insert(row.id, row.network_id);
        let description = catalogue::told(row.name.as_deref(), told.account);
        let object = SegmentCreate { segment_id: SegmentId(row.id), description };
        net.push(|net| Line::Segment(net.of(object)));
    }
    for At { line, row } in &tables.hosts {
        let net = kept.get(&row.segment_id).and_then(|net| nets.get_mut(net));
        let (Some(net), Ok(host)) = (net, Text::new(&row.host)) else {
            match Text::new(&row.host) {
                Ok(_) => told.account.leave_out("hosts of segments without subnets"),
                Err(error) => told.fault(*line, format_args!("host \"{}\" {error}", row.host)),
            }
            continue;
        };
        let mapping = HostMapping { segment_id: SegmentId(row.segment_id), host };
        net.push(|net| Line::Host(net.of(mapping)));
    }
    for segment in nets.values().flat_map(|net| &net.segments) {
        told.faults.add(told.file, format_args!("there is no segment {segment}"));
    }
}

fn ports(
    tables: &mut Tables,
    on: &HashMap<Uuid, (Uuid, Prefix)>,
    nets: &mut HashMap<Uuid, Net>,
    told: &mut Told<'_>,
) {
    for At { line, row } in std::mem::take(&mut tables.ports) {
        let allocations = tables.allocations.remove(&row.id).unwrap_or_default();
        let host = tables.port_hosts.remove(&row.id);
        let (id, network) = (row.id, row.network_id);
        let Some(net) = nets.get_mut(&network) else {
            told.fault(line, format_args!("port {id}: there is no network {network}"));
            continue;
        };
        if let Err(what) = net.port(row, allocations, host.as_deref(), on, told) {
            told.fault(line, format_args!("port {id}: {what}"));
        }
    }
}
