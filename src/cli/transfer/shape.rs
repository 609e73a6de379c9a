//! From what a server shows of an object to the line that makes it again. Pure.

use super::line::{Held, IMPORTED_LEASE_MS_MIN, InNetwork, InProject, Line, Pool, Prefix, Scope};
use addrd_protocol::message::{
    AddressScope, Allocation, FixedIp, FixedIpWanted, FromPool, HostMapping, IpAllocation, Network,
    NetworkCreate, Pin, PinCreate, PoolCreate, Port, PortCreate, Project, ProjectCreate,
    ScopeCreate, Segment, SegmentCreate, Subnet, SubnetCreate, SubnetExclude, SubnetPool,
};
use addrd_protocol::{NetworkId, PoolId, ProjectId, Setting};

/// Where the objects of a network are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) project_id: ProjectId,
    pub(super) network_id: NetworkId,
    /// The project of the network, if it is not the one whose objects they are.
    pub(super) network_project: Option<ProjectId>,
}

impl Place {
    /// In a network, of its own project.
    pub(super) fn home(network: &Network) -> Self {
        let Network { project_id, network_id, .. } = *network;
        Self { project_id, network_id, network_project: None }
    }

    fn of<T>(self, object: T) -> Box<InNetwork<T>> {
        let Self { project_id, network_id, network_project } = self;
        Box::new(InNetwork { project_id, network_id, network_project, object })
    }

    pub(super) fn network(self, network: Network) -> Line {
        let Network { name, description, scope_v4, scope_v6, shared, .. } = network;
        Line::Network(self.of(NetworkCreate { name, description, scope_v4, scope_v6, shared }))
    }

    pub(super) fn segment(self, segment: Segment) -> Line {
        let Segment { segment_id, description, .. } = segment;
        Line::Segment(self.of(SegmentCreate { segment_id, description }))
    }

    pub(super) fn host(self, mapping: HostMapping) -> Line {
        Line::Host(self.of(mapping))
    }

    /// The subnet alone.
    pub(super) fn subnet(self, subnet: Subnet) -> Line {
        let gateway = subnet.gateway.map_or(Setting::Null, Setting::Value);
        let from_pool = subnet
            .subnet_pool_id
            .map(|subnet_pool_id| Box::new(FromPool { subnet_pool_id, ..FromPool::default() }));
        Line::Subnet(self.of(SubnetCreate {
            subnet_id: subnet.subnet_id,
            cidr: subnet.cidr,
            kind: subnet.kind,
            strategy: subnet.strategy,
            enable_dhcp: subnet.enable_dhcp,
            gateway,
            pools: Setting::Value(subnet.pools),
            dns_servers: subnet.dns_servers,
            routes: subnet.routes,
            name: subnet.name,
            description: subnet.description,
            from_pool,
            quarantine_ms: Some(subnet.quarantine_ms),
            service: subnet.service,
        }))
    }

    /// What the subnet keeps back.
    pub(super) fn exclusions(self, subnet: &Subnet) -> impl Iterator<Item = Line> {
        let subnet_id = subnet.subnet_id;
        let line =
            move |exclusion| Line::Exclusion(self.of(SubnetExclude { subnet_id, exclusion }));
        subnet.exclusions.clone().into_iter().map(line)
    }

    /// `is_gateway` says of an address whether it is a gateway of the network.
    pub(super) fn port(self, port: Port, is_gateway: impl Fn(&FixedIp) -> bool) -> Line {
        let had = &port.fixed_ips;
        let in_order = had.iter().map(|had| usize::from(had.slot.0)).eq(0..had.len());
        let wanted = had.iter().map(|had| FixedIpWanted {
            subnet_id: Some(had.subnet_id),
            ip_address: Some(had.ip_address),
            slot: (!in_order).then_some(had.slot),
        });
        Line::Port(self.of(PortCreate {
            port_id: port.port_id,
            mac: Some(port.mac),
            allow_gateway: had.iter().any(is_gateway),
            ip_allocation: unusual(port.ip_allocation, had.is_empty()),
            fixed_ips: Setting::Value(wanted.collect()),
            host: port.host,
            device_owner: port.device_owner,
            description: port.description,
        }))
    }

    pub(super) fn allocation(self, allocation: Allocation, with_lease: bool) -> Line {
        Line::Allocation(self.of(held(allocation, with_lease)))
    }

    pub(super) fn pin(self, pin: Pin) -> Line {
        let Pin { address, owner, slot, owner_name, .. } = pin;
        Line::Pin(self.of(PinCreate { address, owner, slot, owner_name }))
    }
}

/// Whether a port has its addresses, unless a server would say so itself of a port that is made with
/// its addresses, or with none.
pub(super) fn unusual(kind: IpAllocation, is_bare: bool) -> Option<IpAllocation> {
    let usual = if is_bare { IpAllocation::Unaddressed } else { IpAllocation::Immediate };
    Some(kind).filter(|kind| *kind != usual)
}

pub(super) fn project(project: Project) -> Line {
    let Project { project_id, name, description, quotas, .. } = project;
    let object = ProjectCreate { name, description, quotas };
    Line::Project(InProject { project_id, object })
}

pub(super) fn scope(scope: AddressScope) -> Line {
    let AddressScope { project_id, address_scope_id, family, shared, name, description, .. } =
        scope;
    let object = ScopeCreate { family, shared, name, description };
    Line::Scope(Box::new(Scope { project_id, address_scope_id, object }))
}

pub(super) fn pool(pool: SubnetPool) -> Line {
    let object = PoolCreate {
        family: pool.family,
        prefixes: pool.prefixes,
        min_length: Some(pool.min_length),
        max_length: Some(pool.max_length),
        default_length: Some(pool.default_length),
        default_quota: pool.default_quota,
        address_scope_id: pool.address_scope_id,
        parent_id: pool.parent_id,
        parent_length: None,
        is_default: pool.is_default,
        shared: pool.shared,
        name: pool.name,
        description: pool.description,
    };
    let (project_id, subnet_pool_id) = (pool.project_id, pool.subnet_pool_id);
    Line::Pool(Box::new(Pool { project_id, subnet_pool_id, object }))
}

pub(super) fn prefix(subnet_pool_id: PoolId, allocation: Allocation, with_lease: bool) -> Line {
    let project_id = allocation.project_id;
    let object = held(allocation, with_lease);
    Line::Prefix(Box::new(Prefix { project_id, subnet_pool_id, object }))
}

fn held(allocation: Allocation, with_lease: bool) -> Held {
    let has_lease = with_lease && allocation.time_left_ms > 0;
    let single = if allocation.address.is_ipv4() { 32 } else { 128 };
    Held {
        address: allocation.address,
        length: Some(allocation.length).filter(|length| *length != single),
        owner: allocation.owner,
        slot: allocation.slot,
        instance: allocation.instance,
        owner_name: allocation.owner_name,
        label: allocation.label,
        host: allocation.host,
        manager: allocation.manager,
        lease_ms: has_lease.then(|| allocation.time_left_ms.max(IMPORTED_LEASE_MS_MIN)),
    }
}
