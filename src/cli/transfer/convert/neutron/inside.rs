//! Networks and what is in them as lines: segments, hosts, subnets and ports with their addresses.
//! Holds everything against the rest of the tables; the other rules are the server's.

use super::catalogue::{self, Catalogue, told};
use super::rows;
use super::tables::{At, Parts, Tables};
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::faults::Faults;
use crate::cli::transfer::line::{InNetwork, Line};
use addrd_protocol::message::port::FIXED_IPS_MAX;
use addrd_protocol::message::subnet::{
    DNS_SERVERS_MAX, POOLS_MAX, ROUTES_MAX, Route, SERVICE_TYPES_MAX,
};
use addrd_protocol::message::{
    FixedIpWanted, FromPool, HostMapping, NetworkCreate, PortCreate, SegmentCreate, Service,
    Strategy, SubnetCreate, SubnetKind,
};
use addrd_protocol::{
    Family, Mac, NetworkId, PoolId, PortId, Prefix, ProjectId, SegmentId, Setting, SubnetId, Text,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use uuid::Uuid;

/// Device owners whose ports get no address that follows from their MAC.
const ROUTERS: [&str; 4] = [
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
    "network:router_centralized_snat",
];
/// What a subnet has in the place of a pool while its prefix comes from a router.
const DELEGATED: &str = "prefix_delegation";
/// Bytes of a device owner.
const DEVICE_OWNER_BYTES_MAX: usize = 64;

/// A network while its lines are made.
struct Net {
    project_id: ProjectId,
    id: Uuid,
    subnets: BTreeMap<Prefix, SubnetCreate>,
    /// Segments that subnets are on.
    segments: HashSet<Uuid>,
    gateways: HashSet<IpAddr>,
    macs: HashSet<Mac>,
    taken: HashSet<IpAddr>,
    lines: Vec<Line>,
}

/// Where faults and remarks go.
struct Told<'a> {
    file: &'a str,
    faults: &'a mut Faults,
    account: &'a mut Account,
}

impl Told<'_> {
    fn fault(&mut self, line: u64, what: impl std::fmt::Display) {
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
        nets.insert(*id, Net::new(project_id, *id));
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
        if tables.shared.contains_key(id) {
            told.account.leave_out("sharing of networks");
        }
        out.push(net.line(network, catalogue, told.account));
        out.extend(net.lines);
    }
    // What belongs to nothing that there is.
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

fn device_owner(text: &str) -> Result<Text, String> {
    let fits = Text::new(text).ok().filter(|_| text.len() <= DEVICE_OWNER_BYTES_MAX);
    fits.ok_or_else(|| {
        format!("\"{text}\" is no text of 1 to {DEVICE_OWNER_BYTES_MAX} bytes: a device owner")
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
        if catalogue::project_id(row.project_id.as_deref()) != net.project_id {
            told.account.leave_out("projects of ports on another project's network");
        }
        if let Err(what) = net.port(row, allocations, host.as_deref(), on, told) {
            told.fault(line, format_args!("port {id}: {what}"));
        }
    }
}

impl Net {
    fn new(project_id: ProjectId, id: Uuid) -> Self {
        Self {
            project_id,
            id,
            subnets: BTreeMap::new(),
            segments: HashSet::new(),
            gateways: HashSet::new(),
            macs: HashSet::new(),
            taken: HashSet::new(),
            lines: Vec::new(),
        }
    }

    fn of<T>(&self, object: T) -> Box<InNetwork<T>> {
        let (project_id, network_id) = (self.project_id, NetworkId(self.id));
        Box::new(InNetwork { project_id, network_id, network_project: None, object })
    }

    fn push(&mut self, line: impl FnOnce(&Self) -> Line) {
        let line = line(self);
        self.lines.push(line);
    }

    fn line(
        &self,
        network: &At<rows::Network>,
        catalogue: &Catalogue,
        account: &mut Account,
    ) -> Line {
        let scope = |family| {
            let subnets = self.subnets.values().filter(|subnet| subnet.cidr.family() == family);
            let mut pools = subnets.filter_map(|subnet| subnet.from_pool.as_ref());
            pools.find_map(|pool| catalogue.pools.get(&pool.subnet_pool_id.0)?.1)
        };
        Line::Network(self.of(NetworkCreate {
            name: None,
            description: told(network.row.name.as_deref(), account),
            scope_v4: scope(Family::V4),
            scope_v6: scope(Family::V6),
            shared: false,
        }))
    }

    fn add_subnet(&mut self, subnet: SubnetCreate) -> Result<(), String> {
        let cidr = subnet.cidr;
        // What overlaps it and nothing else stands beside it.
        let before = self.subnets.range(..=cidr).next_back();
        let beside = before.into_iter().chain(self.subnets.range(cidr..).next());
        if let Some((other, _)) = beside.into_iter().find(|(other, _)| other.overlaps(&cidr)) {
            return Err(format!("{cidr} overlaps {other} of its network"));
        }
        if let Setting::Value(gateway) = subnet.gateway {
            self.gateways.insert(gateway);
        }
        self.segments.extend(subnet.service.segment_id.map(|segment| segment.0));
        self.subnets.insert(cidr, subnet);
        Ok(())
    }

    fn subnet_lines(&mut self) {
        let lines: Vec<Line> =
            self.subnets.values().map(|subnet| Line::Subnet(self.of(subnet.clone()))).collect();
        self.lines.extend(lines);
    }

    fn port(
        &mut self,
        row: rows::Port,
        allocations: Vec<At<rows::Allocation>>,
        host: Option<&str>,
        on: &HashMap<Uuid, (Uuid, Prefix)>,
        told: &mut Told<'_>,
    ) -> Result<(), String> {
        let owner = row.device_owner.as_deref().filter(|owner| !owner.is_empty());
        let device_owner = owner.map(device_owner).transpose()?;
        let host = host.map(|host| Text::new(host).map_err(|error| format!("host: {error}")));
        let host = host.transpose()?;
        if !row.mac_address.is_unicast() {
            return Err(format!("{} is no MAC of an interface", row.mac_address));
        }
        if !self.macs.insert(row.mac_address) {
            return Err(format!("MAC {} has another port of the network", row.mac_address));
        }
        let is_router = owner.is_some_and(|owner| ROUTERS.contains(&owner));
        let mut addresses = Vec::new();
        let is_empty = allocations.is_empty();
        for At { line, row: allocation } in allocations {
            match self.address(&allocation, on) {
                Ok(cidr) if self.follows(&allocation, &cidr, row.mac_address, is_router) => {
                    told.account
                        .leave_out("addresses that follow from MACs (the server makes them)");
                }
                Ok(_) => addresses.push((allocation.ip_address, allocation.subnet_id)),
                Err(what) => told.fault(line, what),
            }
        }
        addresses.sort_unstable();
        if addresses.len() > FIXED_IPS_MAX {
            let count = addresses.len();
            return Err(format!("{count} addresses; a port is made with at most {FIXED_IPS_MAX}"));
        }
        let allow_gateway = addresses.iter().any(|(address, _)| self.gateways.contains(address));
        let waits = is_empty && row.ip_allocation.as_deref() == Some("deferred");
        let wanted = addresses.into_iter().map(|(address, subnet)| FixedIpWanted {
            subnet_id: Some(SubnetId(subnet)),
            ip_address: Some(address),
        });
        let port = PortCreate {
            port_id: PortId(row.id),
            mac: Some(row.mac_address),
            allow_gateway,
            fixed_ips: if waits { Setting::Unset } else { Setting::Value(wanted.collect()) },
            host,
            device_owner,
            description: catalogue::told(row.name.as_deref(), told.account),
        };
        self.push(|net| Line::Port(net.of(port)));
        Ok(())
    }

    /// The prefix of an address that belongs here and that nobody else has.
    fn address(
        &mut self,
        allocation: &rows::Allocation,
        on: &HashMap<Uuid, (Uuid, Prefix)>,
    ) -> Result<Prefix, String> {
        let (address, subnet) = (allocation.ip_address, allocation.subnet_id);
        let (network, cidr) =
            on.get(&subnet).ok_or_else(|| format!("{address}: there is no subnet {subnet}"))?;
        if *network != self.id || allocation.network_id != self.id {
            return Err(format!("{address}: its port, subnet and network don't belong together"));
        }
        if !cidr.contains(&address) {
            return Err(format!("{address} lies outside its subnet {cidr}"));
        }
        if !self.taken.insert(address) {
            return Err(format!("{address} has two owners"));
        }
        Ok(*cidr)
    }

    /// Whether the server makes an address of a port's MAC.
    fn follows(
        &self,
        allocation: &rows::Allocation,
        cidr: &Prefix,
        mac: Mac,
        is_router: bool,
    ) -> bool {
        let subnet = self.subnets.get(cidr);
        !is_router
            && subnet.is_some_and(|subnet| subnet.service.is_auto_address())
            && cidr.offset_of(&allocation.ip_address) == Some(u128::from(mac.eui64()))
    }
}
