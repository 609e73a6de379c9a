//! One network while its lines are made: its subnets, and its ports with their addresses, which it
//! holds against each other. Knows no other network.

use super::catalogue::{Catalogue, project_id, told};
use super::inside::Told;
use super::rows;
use super::tables::At;
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::line::{InNetwork, Line};
use addrd_protocol::message::port::FIXED_IPS_MAX;
use addrd_protocol::message::{FixedIpWanted, NetworkCreate, PortCreate, Service, SubnetCreate};
use addrd_protocol::{Family, Mac, NetworkId, PortId, Prefix, ProjectId, Setting, SubnetId, Text};
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
/// Bytes of a device owner.
const DEVICE_OWNER_BYTES_MAX: usize = 64;

/// A network while its lines are made.
pub(super) struct Net {
    pub(super) project_id: ProjectId,
    pub(super) id: Uuid,
    subnets: BTreeMap<Prefix, SubnetCreate>,
    /// Segments that subnets are on.
    pub(super) segments: HashSet<Uuid>,
    gateways: HashSet<IpAddr>,
    macs: HashSet<Mac>,
    /// Addresses that follow from MACs and that Neutron did not have.
    pub(super) made: u64,
    taken: HashSet<IpAddr>,
    lines: Vec<Line>,
    is_shared: bool,
    /// Ports of other projects.
    guests: Vec<(ProjectId, Line)>,
}

impl Net {
    pub(super) fn new(project_id: ProjectId, id: Uuid, is_shared: bool) -> Self {
        Self {
            project_id,
            id,
            subnets: BTreeMap::new(),
            segments: HashSet::new(),
            gateways: HashSet::new(),
            macs: HashSet::new(),
            made: 0,
            taken: HashSet::new(),
            lines: Vec::new(),
            is_shared,
            guests: Vec::new(),
        }
    }

    pub(super) fn of<T>(&self, object: T) -> Box<InNetwork<T>> {
        let (project_id, network_id) = (self.project_id, NetworkId(self.id));
        Box::new(InNetwork { project_id, network_id, network_project: None, object })
    }

    /// Everything inside, ports of guests behind the others, by project, as an export has them.
    pub(super) fn all_lines(mut self) -> impl Iterator<Item = Line> {
        self.guests.sort_by_key(|(project, _)| *project);
        self.lines.into_iter().chain(self.guests.into_iter().map(|(_, line)| line))
    }

    pub(super) fn push(&mut self, line: impl FnOnce(&Self) -> Line) {
        let line = line(self);
        self.lines.push(line);
    }

    pub(super) fn line(
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
            shared: self.is_shared,
        }))
    }

    pub(super) fn add_subnet(&mut self, subnet: SubnetCreate) -> Result<(), String> {
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

    pub(super) fn subnet_lines(&mut self) {
        let lines: Vec<Line> =
            self.subnets.values().map(|subnet| Line::Subnet(self.of(subnet.clone()))).collect();
        self.lines.extend(lines);
    }

    pub(super) fn port(
        &mut self,
        row: rows::Port,
        allocations: Vec<At<rows::Allocation>>,
        host: Option<&str>,
        on: &HashMap<Uuid, (Uuid, Prefix)>,
        notes: &mut Told<'_>,
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
        let mut following = 0;
        for At { line, row: allocation } in allocations {
            match self.address(&allocation, on) {
                Ok(cidr) if self.follows(&allocation, &cidr, row.mac_address, is_router) => {
                    notes
                        .account
                        .leave_out("addresses that follow from MACs (the server makes them)");
                    following += 1;
                }
                Ok(_) => addresses.push((allocation.ip_address, allocation.subnet_id)),
                Err(what) => notes.fault(line, what),
            }
        }
        if !is_router {
            self.made += self.automatic(owner).saturating_sub(following);
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
            description: told(row.name.as_deref(), notes.account),
        };
        match self.guest(row.project_id.as_deref(), notes) {
            None => self.push(|net| Line::Port(net.of(port))),
            Some(guest) => {
                let mut line = self.of(port);
                (line.project_id, line.network_project) = (guest, Some(self.project_id));
                self.guests.push((guest, Line::Port(line)));
            }
        }
        Ok(())
    }

    /// The project of a port, if it is another one than the network's and may use it.
    fn guest(&self, project: Option<&str>, notes: &mut Told<'_>) -> Option<ProjectId> {
        let project = project.filter(|project| !project.is_empty());
        let guest = Some(project_id(project)).filter(|guest| *guest != self.project_id);
        let guest = guest.filter(|_| project.is_some())?;
        if !self.is_shared {
            notes.account.leave_out("projects of ports on a network that is not shared");
            return None;
        }
        Some(guest)
    }

    /// How many addresses the server makes of the MAC of a port, at the least.
    fn automatic(&self, owner: Option<&str>) -> u64 {
        let serves = |subnet: &&SubnetCreate| {
            let Service { service_types, segment_id, .. } = &subnet.service;
            let mut types = service_types.iter();
            let serves_it = types.any(|text| owner.is_some_and(|owner| text.as_str() == owner));
            subnet.service.is_auto_address()
                && segment_id.is_none()
                && (service_types.is_empty() || serves_it)
        };
        self.subnets.values().filter(serves).count() as u64
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

pub(super) fn device_owner(text: &str) -> Result<Text, String> {
    let fits = Text::new(text).ok().filter(|_| text.len() <= DEVICE_OWNER_BYTES_MAX);
    fits.ok_or_else(|| {
        format!("\"{text}\" is no text of 1 to {DEVICE_OWNER_BYTES_MAX} bytes: a device owner")
    })
}
