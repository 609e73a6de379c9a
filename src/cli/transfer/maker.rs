//! Makes the objects of lines on a server, in their order: what follows from an object is made
//! behind it, and what is independent goes in batches, several on their way. Checks nothing.

use super::faults::Faults;
use super::line::Line;
use super::request::{Asked, Place};
use crate::cli::fault::Fault;
use addrd_client::{Client, Error};
use addrd_protocol::message::batch::BATCH_ITEMS_MAX;
use addrd_protocol::message::{
    AllocateExtras, Batch, BatchItem, BatchMode, BatchResult, Failure, PortCreate, Reply, Request,
};
use addrd_protocol::{NetworkId, Retry, Text};
use tokio::task::JoinSet;

/// Requests on their way at once.
const FLIGHTS_MAX: usize = 8;
/// Items of a batch of ports: each may have all its addresses and texts in one frame.
const PORTS_MAX: usize = 128;

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
    place: Place,
    are_ports: bool,
}

/// Takes lines and makes objects.
pub(super) struct Maker {
    client: Client,
    /// Lines of one network and one kind.
    chunk: Vec<(u64, BatchItem)>,
    /// Bytes that the chunk's records have at most.
    chunk_bytes: usize,
    chunk_of: Option<ChunkOf>,
    are_ports_flying: bool,
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
            are_ports_flying: false,
            flights: JoinSet::new(),
            faults: Faults::default(),
            made: 0,
            there: 0,
        }
    }

    /// The next line. `Err` if the server can't be asked any more: the same file can be given again.
    pub(super) async fn line(&mut self, number: u64, line: Line) -> Result<(), Fault> {
        let Some(asked) = Asked::of(line) else { return Ok(()) };
        let of = |are_ports| ChunkOf { place: asked.place, are_ports };
        match asked.request {
            Request::Allocate(item) => {
                self.add(number, BatchItem::Allocate(item), of(false), BATCH_ITEMS_MAX).await
            }
            Request::PortCreate(item) => {
                self.add(number, BatchItem::PortCreate(item), of(true), PORTS_MAX).await
            }
            _ => {
                self.land_all().await?;
                let done = one(number, make(&self.client, &asked).await);
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
        let Some(ChunkOf { place, are_ports }) = self.chunk_of.take() else { return Ok(()) };
        // Ports are listed in the order in which they were made, allocations by address; and what an
        // address of a port has besides comes when the port is there.
        if are_ports || self.are_ports_flying {
            self.land_flights().await?;
        }
        self.are_ports_flying = are_ports;
        let chunk = std::mem::take(&mut self.chunk);
        let client = at(&self.client, &place).restoring();
        self.fly(async move { batch(&client, place.network, chunk).await }).await
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

/// Makes what is rare. Gives whether it was there already.
async fn make(client: &Client, asked: &Asked) -> Result<bool, Error> {
    let mut client = at(client, &asked.place);
    if asked.is_restoring() {
        client = client.restoring();
    }
    match client.call(&client.scope(asked.place.network), &asked.request).await? {
        Reply::Project(made) => Ok(made.repeated),
        Reply::Scope(made) => Ok(made.repeated),
        Reply::Pool(made) => Ok(made.repeated),
        Reply::Network(made) => Ok(made.repeated),
        Reply::Segment(made) => Ok(made.repeated),
        Reply::Subnet(made) => Ok(made.repeated),
        Reply::Pin(made) => Ok(made.repeated),
        other => Err(Error::Protocol(format!("{other:?} answers the making of an object"))),
    }
}

/// A client for what is there.
fn at(client: &Client, place: &Place) -> Client {
    let client = client.in_project(place.project);
    let client = if place.pool { client.for_pools() } else { client };
    place.home.map_or_else(|| client.clone(), |home| client.on_networks_of(home))
}
