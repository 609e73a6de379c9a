//! The state of a server as lines, in the order of SPEC.md section 12. Writes no file and changes
//! nothing.

use super::line::Line;
use super::shape::{self, Place};
use crate::cli::fault::Fault;
use addrd_client::{Client, Error, Pages};
use addrd_protocol::message::{
    Allocation, AllocationFilter, AllocationState, FixedIp, Network, PortFilter, Subnet, SubnetPool,
};
use addrd_protocol::{Instance, NetworkId, PoolId, Prefix, ProjectId, Status};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// Takes the lines that a reader makes.
pub(super) trait Sink {
    /// The next line.
    fn object(&mut self, line: &Line) -> Result<(), Fault>;
}

impl<S: Sink> Sink for &mut S {
    fn object(&mut self, line: &Line) -> Result<(), Fault> {
        S::object(self, line)
    }
}

/// Reads lists and makes lines.
pub(super) struct Reader<S> {
    pub(super) client: Client,
    pub(super) sink: S,
    /// Networks and subnets that a job is deleting.
    pub(super) left_out: u64,
    /// What is held under a token has no line: it is nobody's yet.
    pub(super) leaves_out_holds: bool,
    /// So many are held.
    pub(super) holds: u64,
    /// A line tells how long a lease still goes on.
    pub(super) with_leases: bool,
    /// Allocations that end.
    pub(super) leases: u64,
    /// Addresses of pools that rest, which are nobody's and have no line.
    pub(super) resting: u128,
    /// What subnets and pools that were read have of pools: it follows from their lines.
    carved: HashMap<PoolId, BTreeMap<IpAddr, Prefix>>,
}

impl<S: Sink> Reader<S> {
    pub(super) fn new(client: Client, sink: S) -> Self {
        Self {
            client,
            sink,
            left_out: 0,
            leaves_out_holds: false,
            holds: 0,
            with_leases: false,
            leases: 0,
            resting: 0,
            carved: HashMap::new(),
        }
    }

    /// Everything, of all projects or of one. Gives the count of projects.
    pub(super) async fn all(&mut self, only: Option<ProjectId>) -> Result<usize, Fault> {
        let ids = self.catalogue(only).await?;
        let guests = if only.is_none() { &ids[..] } else { &[] };
        for id in &ids {
            self.networks(*id, guests).await?;
        }
        if let Some(only) = only {
            self.as_guest(only).await?;
        }
        for id in &ids {
            self.prefixes(*id).await?;
        }
        Ok(ids.len())
    }

    /// Projects with their scopes and pools. Gives the projects.
    pub(super) async fn catalogue(
        &mut self,
        only: Option<ProjectId>,
    ) -> Result<Vec<ProjectId>, Fault> {
        let mut ids = Vec::new();
        let mut projects = self.client.projects(None);
        while let Some(project) = projects.next().await? {
            if only.is_none_or(|only| only == project.project_id) {
                ids.push(project.project_id);
                self.sink.object(&shape::project(project))?;
            }
        }
        // What is shared must be there before those that use it.
        for id in &ids {
            self.scopes(*id).await?;
        }
        self.pools(&ids).await?;
        Ok(ids)
    }

    async fn scopes(&mut self, project: ProjectId) -> Result<(), Fault> {
        let mut scopes = self.client.in_project(project).scopes(None);
        while let Some(scope) = scopes.next().await? {
            if scope.project_id == project {
                self.sink.object(&shape::scope(scope))?;
            }
        }
        Ok(())
    }

    /// A pool that others take from comes before them, whichever projects they are in.
    async fn pools(&mut self, projects: &[ProjectId]) -> Result<(), Fault> {
        let mut waiting = Vec::new();
        for project in projects {
            let mut pools = self.client.in_project(*project).pools(None);
            while let Some(pool) = pools.next().await? {
                if pool.project_id == *project {
                    waiting.push(pool);
                }
            }
        }
        while !waiting.is_empty() {
            let later: HashSet<PoolId> = waiting.iter().map(|pool| pool.subnet_pool_id).collect();
            let is_later = |pool: &SubnetPool| pool.parent_id.is_some_and(|id| later.contains(&id));
            let (rest, now): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_later);
            if now.is_empty() {
                return Err(Fault::Internal("pools take from each other in a circle".to_owned()));
            }
            for pool in now {
                if let Some(parent) = pool.parent_id {
                    self.carve(parent, &pool.prefixes);
                }
                self.sink.object(&shape::pool(pool))?;
            }
            waiting = rest;
        }
        Ok(())
    }

    /// What owners of the project hold of the pools that it sees.
    pub(super) async fn prefixes(&mut self, project: ProjectId) -> Result<(), Fault> {
        let client = self.client.in_project(project);
        let mut visible = Vec::new();
        let mut pools = client.pools(None);
        while let Some(pool) = pools.next().await? {
            visible.push((pool.project_id, pool.subnet_pool_id));
        }
        // The list has pools of several projects in the order in which they were made, which an
        // import doesn't keep.
        visible.sort_unstable();
        for (_, id) in visible {
            let id = NetworkId(id.0);
            let mut held = client.for_pools().allocations(id, AllocationFilter::default());
            while let Some(held) = there(held.next().await)? {
                if held.project_id == project && !self.is_carved(PoolId(id.0), &held) {
                    self.leases += u64::from(held.time_left_ms > 0);
                    self.sink.object(&shape::prefix(PoolId(id.0), held, self.with_leases))?;
                }
            }
        }
        Ok(())
    }

    fn carve(&mut self, pool: PoolId, prefixes: &[Prefix]) {
        let carved = self.carved.entry(pool).or_default();
        carved.extend(prefixes.iter().map(|prefix| (prefix.first(), *prefix)));
    }

    /// Whether a subnet or a pool that was read has it: nobody else can have a part of theirs.
    fn is_carved(&self, pool: PoolId, held: &Allocation) -> bool {
        let carved = self.carved.get(&pool);
        let before = carved.and_then(|carved| carved.range(..=held.address).next_back());
        before.is_some_and(|(_, prefix)| prefix.contains(&held.address))
    }

    /// What a project has on networks of others.
    async fn as_guest(&mut self, project: ProjectId) -> Result<(), Fault> {
        let mut networks = self.client.in_project(project).networks(None);
        while let Some(network) = networks.next().await? {
            if network.project_id != project && !network.deleting {
                self.guest(project, network.project_id, network.network_id).await?;
            }
        }
        Ok(())
    }

    /// What a project has on one network of another.
    pub(super) async fn guest(
        &mut self,
        project_id: ProjectId,
        home: ProjectId,
        network_id: NetworkId,
    ) -> Result<(), Fault> {
        let client = self.client.in_project(project_id).on_networks_of(home);
        let place = Place { project_id, network_id, network_project: Some(home) };
        let gateways = self.gateways(&client, network_id).await?;
        self.held(&client, place, &gateways).await
    }

    async fn networks(&mut self, project: ProjectId, guests: &[ProjectId]) -> Result<(), Fault> {
        let client = self.client.in_project(project);
        let mut networks = client.networks(None);
        while let Some(network) = self.next_own(project, &mut networks).await? {
            self.network(&client, network, guests).await?;
        }
        Ok(())
    }

    /// All networks of a project, and the subnets of those that must be disjoint from others': what
    /// objects of other networks can collide with.
    pub(super) async fn outline(&mut self, project: ProjectId) -> Result<(), Fault> {
        let client = self.client.in_project(project);
        let mut networks = client.networks(None);
        while let Some(network) = self.next_own(project, &mut networks).await? {
            let place = Place::home(&network);
            let is_scoped = network.scope_v4.is_some() || network.scope_v6.is_some();
            self.sink.object(&place.network(network))?;
            if is_scoped {
                self.segments_and_subnets(&client, place).await?;
            }
        }
        Ok(())
    }

    /// The next network of a project that is not being deleted.
    async fn next_own(
        &mut self,
        project: ProjectId,
        networks: &mut Pages<Network>,
    ) -> Result<Option<Network>, Fault> {
        while let Some(network) = networks.next().await? {
            match (network.project_id == project, network.deleting) {
                (true, false) => return Ok(Some(network)),
                (true, true) => self.left_out += 1,
                (false, _) => {}
            }
        }
        Ok(None)
    }

    /// In the order in which it can be made again: nothing is kept back before what lies in it, be
    /// it of the network's project or of a guest.
    pub(super) async fn network(
        &mut self,
        client: &Client,
        network: Network,
        guests: &[ProjectId],
    ) -> Result<(), Fault> {
        let (id, home, shared) = (network.network_id, network.project_id, network.shared);
        let place = Place::home(&network);
        self.sink.object(&place.network(network))?;
        let subnets = self.segments_and_subnets(client, place).await?;
        let gateways = subnets.iter().filter_map(|subnet| subnet.gateway).collect();
        self.held(client, place, &gateways).await?;
        for guest in guests.iter().filter(|guest| shared && **guest != home) {
            self.guest(*guest, home, id).await?;
        }
        self.each(client.pins(id, None), |pin| Some(place.pin(pin))).await?;
        for line in subnets.iter().flat_map(|subnet| place.exclusions(subnet)) {
            self.sink.object(&line)?;
        }
        Ok(())
    }

    async fn segments_and_subnets(
        &mut self,
        client: &Client,
        place: Place,
    ) -> Result<Vec<Subnet>, Fault> {
        let id = place.network_id;
        let segments = client.segments(id);
        self.each(segments, |segment| Some(place.segment(segment))).await?;
        let hosts = client.hosts(id, None, None);
        self.each(hosts, |host| Some(place.host(host))).await?;
        self.subnets(client, place).await
    }

    /// Ports and allocations of one project.
    async fn held(
        &mut self,
        client: &Client,
        place: Place,
        gateways: &HashSet<IpAddr>,
    ) -> Result<(), Fault> {
        if place.network_project.is_none() {
            let usage = there(client.usage_totals(place.network_id).await.map(Some))?;
            let totals = usage.into_iter().flat_map(|usage| usage.totals);
            self.resting += totals.map(|of_family| of_family.quarantined).sum::<u128>();
        }
        let of_ports = self.ports(client, place, gateways).await?;
        let held = client.allocations(place.network_id, AllocationFilter::default());
        let (leaves_out_holds, with_leases) = (self.leaves_out_holds, self.with_leases);
        let (leases, holds) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let own = |held: Allocation| {
            if leaves_out_holds && held.state == AllocationState::Held {
                holds.set(holds.get() + u64::from(held.project_id == place.project_id));
                return None;
            }
            leases.set(leases.get() + u64::from(held.time_left_ms > 0));
            let has_lease_line = with_leases && held.time_left_ms > 0;
            let is_of_port = of_ports.contains(&held.address);
            let says_nothing = is_of_port && is_plain(&held) && !has_lease_line;
            let is_line = held.project_id == place.project_id && !says_nothing;
            is_line.then(|| place.allocation(held, with_leases))
        };
        self.each(held, own).await?;
        self.leases += leases.get();
        self.holds += holds.get();
        Ok(())
    }

    async fn gateways(
        &mut self,
        client: &Client,
        network: NetworkId,
    ) -> Result<HashSet<IpAddr>, Fault> {
        let mut gateways = HashSet::new();
        let mut subnets = client.subnets(network);
        while let Some(subnet) = there(subnets.next().await)? {
            gateways.extend(subnet.gateway);
        }
        Ok(gateways)
    }

    async fn subnets(&mut self, client: &Client, place: Place) -> Result<Vec<Subnet>, Fault> {
        let mut all = Vec::new();
        let mut subnets = client.subnets(place.network_id);
        while let Some(subnet) = there(subnets.next().await)? {
            if subnet.deleting {
                self.left_out += 1;
                continue;
            }
            if let Some(pool) = subnet.subnet_pool_id {
                self.carve(pool, &[subnet.cidr]);
            }
            self.sink.object(&place.subnet(subnet.clone()))?;
            all.push(subnet);
        }
        Ok(all)
    }

    /// Gives the addresses of all ports, which are lines of their own only if they have more.
    async fn ports(
        &mut self,
        client: &Client,
        place: Place,
        gateways: &HashSet<IpAddr>,
    ) -> Result<HashSet<IpAddr>, Fault> {
        let is_gateway = |address: &FixedIp| gateways.contains(&address.ip_address);
        let mut addresses = HashSet::new();
        let mut ports = client.ports(place.network_id, PortFilter::default());
        while let Some(port) = there(ports.next().await)? {
            addresses.extend(port.fixed_ips.iter().map(|address| address.ip_address));
            self.sink.object(&place.port(port, is_gateway))?;
        }
        Ok(addresses)
    }

    async fn each<T>(
        &mut self,
        mut objects: Pages<T>,
        line: impl Fn(T) -> Option<Line>,
    ) -> Result<(), Fault> {
        while let Some(object) = there(objects.next().await)? {
            if let Some(line) = line(object) {
                self.sink.object(&line)?;
            }
        }
        Ok(())
    }
}

/// Whether an address of a port has nothing that its port doesn't say.
fn is_plain(held: &Allocation) -> bool {
    let texts = [&held.owner_name, &held.label, &held.host, &held.manager];
    held.instance == Instance::default() && texts.into_iter().all(Option::is_none)
}

/// What was deleted since its list was read has nothing in it.
fn there<T>(next: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match next {
        Err(error) if error.is(Status::NOT_FOUND) => Ok(None),
        next => next,
    }
}
