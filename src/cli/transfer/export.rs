//! `addrd export`: the state of a server as JSON lines. Changes nothing.

use super::file::Writer;
use super::line::Line;
use super::shape::{self, Place};
use crate::cli::connect;
use crate::cli::fault::Fault;
use crate::cli::output;
use crate::cli::session::Session;
use addrd_client::{Client, Error, Pages};
use addrd_protocol::message::{Allocation, AllocationFilter, FixedIp, Network, PortFilter, Subnet};
use addrd_protocol::{NetworkId, PoolId, ProjectId, Seq, Status};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// Writes what a server holds as JSON lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All projects, or with --project one. What a server numbers and counts itself (revisions, counts) is
not in it: the same state gives the same bytes. Nothing is stopped meanwhile; if something changed
while it was read, that is said at the end.

Examples:
  addrd export state.jsonl
  addrd export | gzip > state.jsonl.gz
  addrd export --project blue blue.jsonl")]
pub(crate) struct Export {
    /// The file, which appears when it is whole [default: standard output]
    file: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, export: Export) -> Result<(), Fault> {
    let client = session.client().await?;
    let only = connect::named_project(&session.global)?;
    if let Some(only) = only {
        client.in_project(only).project_get(None).await?;
    }
    let begin = client.server_status().await?.position;
    let mut writer = Writer::begin(export.file.as_deref(), !session.output.is_quiet())?;
    let mut reader = Reader { client, writer: &mut writer, left_out: 0 };
    let read = reader.all(only).await?;
    let (end, left_out) = (reader.client.server_status().await?.position, reader.left_out);
    let objects = writer.end()?;
    if session.output.is_quiet() {
        return Ok(());
    }
    output::to_stderr(&format!("{objects} objects of {read} projects at position {}", begin.0));
    if left_out > 0 {
        output::to_stderr(&format!("left out, since they are being deleted: {left_out}"));
    }
    if begin != end {
        output::to_stderr(&moved(begin, end));
    }
    Ok(())
}

fn moved(begin: Seq, end: Seq) -> String {
    format!(
        "note: the state changed while it was read (positions {} to {}): what changed may be in it \
         as it was before or after",
        begin.0, end.0
    )
}

/// Reads lists and writes lines.
struct Reader<'a> {
    client: Client,
    writer: &'a mut Writer,
    /// Networks and subnets that a job is deleting.
    left_out: u64,
}

impl Reader<'_> {
    /// Gives the count of projects.
    async fn all(&mut self, only: Option<ProjectId>) -> Result<usize, Fault> {
        let mut ids = Vec::new();
        let mut projects = self.client.projects(None);
        while let Some(project) = projects.next().await? {
            if only.is_none_or(|only| only == project.project_id) {
                ids.push(project.project_id);
                self.writer.object(&shape::project(project))?;
            }
        }
        // What is shared must be there before those that use it.
        for id in &ids {
            self.scopes(*id).await?;
        }
        self.pools(&ids).await?;
        for id in &ids {
            self.networks(*id).await?;
        }
        for id in &ids {
            self.prefixes(*id).await?;
        }
        Ok(ids.len())
    }

    async fn scopes(&mut self, project: ProjectId) -> Result<(), Fault> {
        let mut scopes = self.client.in_project(project).scopes(None);
        while let Some(scope) = scopes.next().await? {
            if scope.project_id == project {
                self.writer.object(&shape::scope(scope))?;
            }
        }
        Ok(())
    }

    async fn pools(&mut self, projects: &[ProjectId]) -> Result<(), Fault> {
        for project in projects {
            let mut pools = self.client.in_project(*project).pools(None);
            while let Some(pool) = pools.next().await? {
                if pool.project_id == *project {
                    self.writer.object(&shape::pool(pool))?;
                }
            }
        }
        Ok(())
    }

    /// What owners of the project hold of the pools that it sees.
    async fn prefixes(&mut self, project: ProjectId) -> Result<(), Fault> {
        let client = self.client.in_project(project);
        let mut pools = client.pools(None);
        while let Some(pool) = pools.next().await? {
            let id = NetworkId(pool.subnet_pool_id.0);
            let mut held = client.for_pools().allocations(id, AllocationFilter::default());
            while let Some(held) = there(held.next().await)? {
                if held.project_id == project {
                    self.writer.object(&shape::prefix(PoolId(id.0), held))?;
                }
            }
        }
        Ok(())
    }

    async fn networks(&mut self, project: ProjectId) -> Result<(), Fault> {
        let client = self.client.in_project(project);
        let mut networks = client.networks(None);
        while let Some(network) = networks.next().await? {
            if network.deleting {
                self.left_out += 1;
            } else if network.project_id == project {
                self.network(&client, network).await?;
            }
        }
        Ok(())
    }

    /// In the order in which it can be made again: nothing is kept back before what lies in it.
    async fn network(&mut self, client: &Client, network: Network) -> Result<(), Fault> {
        let id = network.network_id;
        let place = Place { project_id: network.project_id, network_id: id };
        self.writer.object(&place.network(network))?;
        let segments = client.segments(id);
        self.each(segments, |segment| Some(place.segment(segment))).await?;
        let hosts = client.hosts(id, None, None);
        self.each(hosts, |host| Some(place.host(host))).await?;
        let subnets = self.subnets(client, place).await?;
        let of_ports = self.ports(client, place, &subnets).await?;
        let held = client.allocations(id, AllocationFilter::default());
        let own =
            |held: Allocation| (!of_ports.contains(&held.address)).then(|| place.allocation(held));
        self.each(held, own).await?;
        self.each(client.pins(id, None), |pin| Some(place.pin(pin))).await?;
        for line in subnets.iter().flat_map(|subnet| place.exclusions(subnet)) {
            self.writer.object(&line)?;
        }
        Ok(())
    }

    async fn subnets(&mut self, client: &Client, place: Place) -> Result<Vec<Subnet>, Fault> {
        let mut all = Vec::new();
        let mut subnets = client.subnets(place.network_id);
        while let Some(subnet) = there(subnets.next().await)? {
            if subnet.deleting {
                self.left_out += 1;
                continue;
            }
            self.writer.object(&place.subnet(subnet.clone()))?;
            all.push(subnet);
        }
        Ok(all)
    }

    /// Gives the addresses of all ports, which are no lines of their own.
    async fn ports(
        &mut self,
        client: &Client,
        place: Place,
        subnets: &[Subnet],
    ) -> Result<HashSet<IpAddr>, Fault> {
        let gateways: HashSet<IpAddr> =
            subnets.iter().filter_map(|subnet| subnet.gateway).collect();
        let is_gateway = |address: &FixedIp| gateways.contains(&address.ip_address);
        let mut addresses = HashSet::new();
        let mut ports = client.ports(place.network_id, PortFilter::default());
        while let Some(port) = there(ports.next().await)? {
            addresses.extend(port.fixed_ips.iter().map(|address| address.ip_address));
            self.writer.object(&place.port(port, is_gateway))?;
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
                self.writer.object(&line)?;
            }
        }
        Ok(())
    }
}

/// What was deleted since its list was read has nothing in it.
fn there<T>(next: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match next {
        Err(error) if error.is(Status::NOT_FOUND) => Ok(None),
        next => next,
    }
}
