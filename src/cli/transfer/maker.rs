//! Makes the objects of lines on a server, in their order: what follows from an object is made
//! behind it, and what is independent goes in batches, several on their way. Checks nothing.

use super::faults::Faults;
use super::identity::{self, Net};
use super::line::{Held, Line};
use crate::cli::fault::Fault;
use addrd_client::{Client, Error};
use addrd_protocol::message::batch::BATCH_ITEMS_MAX;
use addrd_protocol::message::{
    Allocate, AllocateExtras, AllocateFlags, Batch, BatchItem, BatchMode, BatchResult, Failure,
    FamilyChoice, PortCreate, SegmentHosts, Strategy,
};
use addrd_protocol::{NetworkId, ProjectId, Retry, Text};
use tokio::task::JoinSet;

/// Requests on their way at once.
const FLIGHTS_MAX: usize = 8;
/// Items of a batch of ports: each may have all its addresses and texts in one frame.
const PORTS_MAX: usize = 128;

/// What a batch is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Allocations,
    Ports,
    /// The id is that of their subnet pool, not of a network.
    Prefixes,
}

/// What became of lines.
enum Done {
    Made,
    There,
    Refused(Box<Failure>),
}

type Flight = Result<Vec<(u64, Done)>, Error>;

/// Bytes of the records of one batch: the server takes 256 KiB less its headers in one step of its
/// journal, and refuses the whole of what is more.
const CHUNK_BYTES_MAX: usize = 192 << 10;

/// What the lines of a chunk have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ChunkOf {
    /// Whose they are; the network may be of another one.
    project: ProjectId,
    net: Net,
    kind: Kind,
}

/// Takes lines and makes objects.
pub(super) struct Maker {
    client: Client,
    /// Lines of one network and one kind.
    chunk: Vec<(u64, BatchItem)>,
    /// Bytes that the chunk's records have at most.
    chunk_bytes: usize,
    chunk_of: Option<ChunkOf>,
    flights: JoinSet<Flight>,
    faults: Faults,
    made: u64,
    there: u64,
}

impl Maker {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            chunk: Vec::new(),
            chunk_bytes: 0,
            chunk_of: None,
            flights: JoinSet::new(),
            faults: Faults::default(),
            made: 0,
            there: 0,
        }
    }

    /// The next line. `Err` if the server can't be asked any more: the same file can be given again.
    pub(super) async fn line(&mut self, number: u64, line: Line) -> Result<(), Fault> {
        let net = identity::net_of(&line);
        match (line, net) {
            (Line::Allocation(line), Some(net)) => {
                let of = ChunkOf { project: line.project_id, net, kind: Kind::Allocations };
                let item = BatchItem::Allocate(allocate(line.object));
                self.add(number, item, of, BATCH_ITEMS_MAX).await
            }
            (Line::Port(line), Some(net)) => {
                let of = ChunkOf { project: line.project_id, net, kind: Kind::Ports };
                let item = BatchItem::PortCreate(Box::new(line.object));
                self.add(number, item, of, PORTS_MAX).await
            }
            (Line::Prefix(line), _) => {
                let project = line.project_id;
                let net = Net(project, NetworkId(line.subnet_pool_id.0));
                let of = ChunkOf { project, net, kind: Kind::Prefixes };
                let item = BatchItem::Allocate(allocate(line.object));
                self.add(number, item, of, BATCH_ITEMS_MAX).await
            }
            (Line::Export(_) | Line::End(_), _) => Ok(()),
            (line, _) => {
                self.land_all().await?;
                let done = one(number, make(&self.client, line).await);
                self.count(done)
            }
        }
    }

    /// Waits for everything. Gives made, there already, and what was refused.
    pub(super) async fn end(mut self) -> Result<(u64, u64, Faults), Fault> {
        self.land_all().await?;
        Ok((self.made, self.there, self.faults))
    }

    async fn add(
        &mut self,
        number: u64,
        item: BatchItem,
        of: ChunkOf,
        most: usize,
    ) -> Result<(), Fault> {
        let bytes = record_bytes(&item);
        let is_full = self.chunk.len() >= most || self.chunk_bytes + bytes > CHUNK_BYTES_MAX;
        if self.chunk_of != Some(of) || is_full {
            self.send_chunk().await?;
            self.chunk_of = Some(of);
            self.chunk_bytes = 0;
        }
        self.chunk_bytes += bytes;
        self.chunk.push((number, item));
        Ok(())
    }

    async fn send_chunk(&mut self) -> Result<(), Fault> {
        let Some(ChunkOf { project, net, kind }) = self.chunk_of.take() else { return Ok(()) };
        let Net(home, network) = net;
        // Ports are listed in the order in which they were made; allocations by address.
        if kind == Kind::Ports {
            self.land_flights().await?;
        }
        let chunk = std::mem::take(&mut self.chunk);
        let client = self.client.in_project(project).on_networks_of(home);
        let client = if kind == Kind::Prefixes { client.for_pools() } else { client };
        self.fly(async move { batch(&client, network, chunk).await }).await
    }

    async fn fly(
        &mut self,
        flight: impl Future<Output = Flight> + Send + 'static,
    ) -> Result<(), Fault> {
        while self.flights.len() >= FLIGHTS_MAX {
            self.land_one().await?;
        }
        self.flights.spawn(flight);
        Ok(())
    }

    async fn land_all(&mut self) -> Result<(), Fault> {
        self.send_chunk().await?;
        self.land_flights().await
    }

    async fn land_flights(&mut self) -> Result<(), Fault> {
        while !self.flights.is_empty() {
            self.land_one().await?;
        }
        Ok(())
    }

    async fn land_one(&mut self) -> Result<(), Fault> {
        match self.flights.join_next().await {
            None => Ok(()),
            Some(Ok(done)) => self.count(done),
            Some(Err(error)) => Err(Fault::Internal(error.to_string())),
        }
    }

    fn count(&mut self, flight: Flight) -> Result<(), Fault> {
        for (line, done) in flight? {
            match done {
                Done::Made => self.made += 1,
                Done::There => self.there += 1,
                Done::Refused(failure) => {
                    let what = format!("{}: {}", failure.status, failure.message);
                    self.faults.add(format_args!("line {line}"), what);
                }
            }
        }
        Ok(())
    }
}

fn one(number: u64, repeated: Result<bool, Error>) -> Flight {
    match repeated {
        Ok(true) => Ok(vec![(number, Done::There)]),
        Ok(false) => Ok(vec![(number, Done::Made)]),
        Err(Error::Refused(failure)) if !is_later(&failure) => {
            Ok(vec![(number, Done::Refused(failure))])
        }
        Err(error) => Err(error),
    }
}

/// Whether the server would do it at another time: no fault of a line.
fn is_later(failure: &Failure) -> bool {
    failure.status.retry() == Retry::Later
}

/// Bytes that the records of an item have at most: what is fixed, its texts, and for a port each of
/// its addresses. Automatic ones aren't known here: few.
fn record_bytes(item: &BatchItem) -> usize {
    const FIXED: usize = 192;
    const ADDRESS: usize = 128;
    let texts = |all: &[Option<&Text>]| all.iter().flatten().map(|text| text.len()).sum::<usize>();
    FIXED
        + match item {
            BatchItem::Allocate(item) => item.extras.as_deref().map_or(0, |extras| {
                let AllocateExtras { manager, host, label, owner_name, .. } = extras;
                texts(&[manager.as_ref(), host.as_ref(), label.as_ref(), owner_name.as_ref()])
            }),
            BatchItem::PortCreate(item) => {
                let addresses = item.fixed_ips.value().map_or(2, Vec::len);
                let PortCreate { host, device_owner, description, .. } = &**item;
                texts(&[host.as_ref(), device_owner.as_ref(), description.as_ref()])
                    + ADDRESS * (addresses + 4)
            }
            _ => 0,
        }
}

async fn batch(client: &Client, network: NetworkId, chunk: Vec<(u64, BatchItem)>) -> Flight {
    let (lines, items): (Vec<u64>, Vec<BatchItem>) = chunk.into_iter().unzip();
    let reply = match client.batch(network, Batch { mode: BatchMode::Independent, items }).await {
        Ok(reply) => reply,
        Err(Error::Refused(failure)) if !is_later(&failure) => {
            let refused = |line| (line, Done::Refused(failure.clone()));
            return Ok(lines.into_iter().map(refused).collect());
        }
        Err(error) => return Err(error),
    };
    if reply.results.len() != lines.len() {
        let counts = format!("{} results for {} items", reply.results.len(), lines.len());
        return Err(Error::Protocol(counts));
    }
    let done = |result| match result {
        BatchResult::Allocated(got) if got.first.repeated => Done::There,
        BatchResult::Port(port) if port.repeated => Done::There,
        BatchResult::Failed(failure) => Done::Refused(failure),
        _ => Done::Made,
    };
    Ok(lines.into_iter().zip(reply.results.into_iter().map(done)).collect())
}

/// Exactly what the line says.
fn allocate(held: Held) -> Allocate {
    let family = if held.address.is_ipv4() { FamilyChoice::V4 } else { FamilyChoice::V6 };
    Allocate {
        owner: held.owner,
        slot: held.slot,
        instance: held.instance,
        family,
        strategy: Strategy::Exact,
        length: held.length,
        flags: AllocateFlags { allow_gateway: true, ..AllocateFlags::default() },
        extras: Some(Box::new(AllocateExtras {
            exact: Some(held.address),
            manager: held.manager,
            host: held.host,
            label: held.label,
            owner_name: held.owner_name,
            ..AllocateExtras::default()
        })),
    }
}

/// Makes what is rare. Gives whether it was there already.
async fn make(client: &Client, line: Line) -> Result<bool, Error> {
    let in_project = |project: ProjectId| client.in_project(project);
    match (identity::net_of(&line), line) {
        (None, Line::Project(line)) => {
            Ok(in_project(line.project_id).project_create(line.object).await?.repeated)
        }
        (None, Line::Scope(line)) => {
            let client = in_project(line.project_id);
            Ok(client.scope_create(line.address_scope_id, line.object).await?.repeated)
        }
        (None, Line::Pool(line)) => {
            let client = in_project(line.project_id);
            Ok(client.pool_create(line.subnet_pool_id, line.object).await?.repeated)
        }
        (Some(Net(project, network)), line) => {
            make_inside(&in_project(project), network, line).await
        }
        (None, line) => Err(goes_in_flights(&line)),
    }
}

/// The same for a network and what is in it.
async fn make_inside(client: &Client, network: NetworkId, line: Line) -> Result<bool, Error> {
    Ok(match line {
        Line::Network(line) => client.network_create(network, line.object).await?.repeated,
        Line::Segment(line) => client.segment_create(network, line.object).await?.repeated,
        Line::Host(line) => {
            let (segment_id, add) = (line.object.segment_id, vec![line.object.host]);
            let hosts = SegmentHosts { segment_id, add, remove: Vec::new() };
            client.segment_hosts(network, hosts).await?.repeated
        }
        Line::Subnet(line) => client.subnet_create(network, line.object).await?.repeated,
        Line::Pin(line) => client.pin_create(network, line.object).await?.repeated,
        Line::Exclusion(line) => client.subnet_exclude(network, line.object).await?.repeated,
        line => return Err(goes_in_flights(&line)),
    })
}

/// A fault of ours: nobody must believe that it was made.
fn goes_in_flights(line: &Line) -> Error {
    Error::Request(format!("not made one by one: {line:?}"))
}
