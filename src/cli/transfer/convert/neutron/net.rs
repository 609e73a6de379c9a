//! One network while its lines are made: its subnets, and its ports with their addresses, which it
//! holds against each other. Knows no other network.

use super::catalogue::{Catalogue, project_id, told};
use super::inside::Told;
use super::rows;
use super::tables::At;
use crate::cli::transfer::convert::account::Account;
use crate::cli::transfer::line::{InNetwork, Line};
use crate::cli::transfer::shape::unusual;
use addrd_protocol::message::port::PORT_ADDRESSES_MAX;
use addrd_protocol::message::{
    FixedIpWanted, IpAllocation, NetworkCreate, PortCreate, SubnetCreate,
};
use addrd_protocol::{Family, Mac, NetworkId, PortId, Prefix, ProjectId, Setting, SubnetId, Text};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use uuid::Uuid;

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
        let mut addresses = Vec::new();
        for At { line, row: allocation } in allocations {
            match self.address(&allocation, on) {
                Ok(_) => addresses.push((allocation.ip_address, allocation.subnet_id)),
                Err(what) => notes.fault(line, what),
            }
        }
        addresses.sort_unstable();
        if addresses.len() > PORT_ADDRESSES_MAX {
            let count = addresses.len();
            return Err(format!("{count} addresses; a port has at most {PORT_ADDRESSES_MAX}"));
        }
        let allow_gateway = addresses.iter().any(|(address, _)| self.gateways.contains(address));
        let ip_allocation = match row.ip_allocation.as_deref() {
            Some("deferred") => IpAllocation::Deferred,
            Some("none") => IpAllocation::Unaddressed,
            _ if addresses.is_empty() => IpAllocation::Unaddressed,
            _ => IpAllocation::Immediate,
        };
        let ip_allocation = unusual(ip_allocation, addresses.is_empty());
        let wanted = addresses.into_iter().map(|(address, subnet)| FixedIpWanted {
            subnet_id: Some(SubnetId(subnet)),
            ip_address: Some(address),
            slot: None,
        });
        let port = PortCreate {
            port_id: PortId(row.id),
            mac: Some(row.mac_address),
            allow_gateway,
            ip_allocation,
            fixed_ips: Setting::Value(wanted.collect()),
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
}

pub(super) fn device_owner(text: &str) -> Result<Text, String> {
    let fits = Text::new(text).ok().filter(|_| text.len() <= DEVICE_OWNER_BYTES_MAX);
    fits.ok_or_else(|| {
        format!("\"{text}\" is no text of 1 to {DEVICE_OWNER_BYTES_MAX} bytes: a device owner")
    })
}
