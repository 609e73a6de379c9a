//! Load at little cost: frames that were encoded before are written as fast as replies come, and
//! of each reply only length and status are read. Allocates and releases in turn.

use super::hostile::{bytes_of, hello_bytes, one_frame};
use super::line::dial;
use super::soon;
use addrd_client::plain_allocate;
use addrd_client::protocol::message::{
    Batch, BatchItem, BatchMode, Fences, Release, Request, Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Retry, Slot, Status};
use bytes::{Buf, BytesMut};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What pumps do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Valve {
    Open,
    /// Nothing is sent; what is in flight is waited for.
    Shut,
    /// As shut, and then the pump ends.
    Done,
}

/// How a group of connections pumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) network: NetworkId,
    /// Where its owners begin; no two groups may share any.
    pub(crate) owners: u128,
    pub(crate) connections: usize,
    /// Requests without reply of a connection: 1, or a multiple of 2.
    pub(crate) in_flight: usize,
    /// Items of each request; 1 = no batch.
    pub(crate) items: usize,
}

/// Answers so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    /// Of the class "later", by status.
    pub(crate) later: BTreeMap<u16, u64>,
    /// Pumps that wait for nothing behind a shut valve.
    pub(crate) at_rest: usize,
}

/// Connections that pump the same way.
#[derive(Debug)]
pub(crate) struct Pumps {
    tasks: JoinSet<()>,
    valve: watch::Sender<Valve>,
    counts: Arc<Mutex<Counts>>,
    connections: usize,
}

impl Pumps {
    /// Opens the connections; they pump when the valve is opened.
    ///
    /// # Panics
    /// When a connection fails.
    pub(crate) async fn start(to: SocketAddr, load: Load) -> Self {
        Self::start_as(to, load, &hello_bytes()).await
    }

    /// The same with this HELLO.
    ///
    /// # Panics
    /// When a connection fails.
    pub(crate) async fn start_as(to: SocketAddr, load: Load, hello: &[u8]) -> Self {
        let Load { connections, in_flight, .. } = load;
        let (valve, watched) = watch::channel(Valve::Shut);
        let counts = Arc::new(Mutex::new(Counts::default()));
        let mut tasks = JoinSet::new();
        for number in 0..connections {
            let mut stream = dial(to).await.expect("a connection");
            stream.write_all(hello).await.expect("the server reads");
            one_frame(&mut stream, &mut BytesMut::new()).await.expect("an answer to HELLO");
            let pump = Pump {
                stream,
                input: BytesMut::new(),
                chunks: chunks(&load, load.owners + ((number as u128) << 32)),
                in_flight: 0,
                in_flight_max: in_flight,
                counts: Arc::clone(&counts),
            };
            tasks.spawn(pump.run(watched.clone()));
        }
        Self { tasks, valve, counts, connections }
    }

    /// Lets them pump.
    pub(crate) fn open(&self) {
        self.rest(0);
        self.valve.send_replace(Valve::Open);
    }

    /// Holds them, and waits until nothing is in flight.
    ///
    /// # Panics
    /// When replies do not come.
    pub(crate) async fn shut(&self) {
        self.valve.send_replace(Valve::Shut);
        super::eventually("pumps at rest", async || {
            (self.counts().at_rest == self.connections).then_some(())
        })
        .await;
    }

    /// Ends them.
    ///
    /// # Panics
    /// When one got an answer that is neither done nor "later", or lost its connection.
    pub(crate) async fn end(mut self) -> Counts {
        self.valve.send_replace(Valve::Done);
        while let Some(ended) = soon("a pump to end", self.tasks.join_next()).await {
            ended.expect("a pump is answered");
        }
        self.counts()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn rest(&self, count: usize) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).at_rest = count;
    }
}

/// Frames in four groups that follow each other: allocate one half of the owners, allocate the
/// other, release the one, release the other. With one in flight: allocate, release.
fn chunks(load: &Load, owners: u128) -> Vec<(usize, Vec<u8>)> {
    let half = (load.in_flight / 2).max(1);
    let halves = if load.in_flight == 1 { 1 } else { 2 };
    let mut chunks = Vec::new();
    for (is_release, ids) in [(false, 10_000), (true, 20_000)] {
        for part in 0..halves {
            let mut bytes = Vec::new();
            for at in part * half..(part + 1) * half {
                let request = request(load.items, owners + (at * load.items) as u128, is_release);
                bytes.extend(bytes_of(load.network, ids + at as u64, &request));
            }
            chunks.push((half, bytes));
        }
    }
    chunks
}

fn request(items: usize, owners: u128, is_release: bool) -> Request {
    let owner = |at: usize| OwnerId::from_u128(owners + 1 + at as u128);
    match (items, is_release) {
        (1, false) => Request::Allocate(plain_allocate(owner(0))),
        (1, true) => Request::Release(release(owner(0))),
        _ => {
            let item = |at| match is_release {
                false => BatchItem::Allocate(plain_allocate(owner(at))),
                true => BatchItem::Release(release(owner(at))),
            };
            let items = (0..items).map(item).collect();
            Request::Batch(Box::new(Batch { mode: BatchMode::Independent, items }))
        }
    }
}

fn release(owner: OwnerId) -> Release {
    let target = Target::Key { owner, slot: Slot(0) };
    Release { target, fences: Fences::default(), any: false }
}

struct Pump {
    stream: TcpStream,
    input: BytesMut,
    chunks: Vec<(usize, Vec<u8>)>,
    in_flight: usize,
    in_flight_max: usize,
    counts: Arc<Mutex<Counts>>,
}

impl Pump {
    async fn run(mut self, mut valve: watch::Receiver<Valve>) {
        let chunks = std::mem::take(&mut self.chunks);
        for (count, bytes) in chunks.iter().cycle() {
            while self.in_flight + count > self.in_flight_max {
                self.read().await;
            }
            if *valve.borrow_and_update() != Valve::Open && !self.wait(&mut valve).await {
                return;
            }
            soon("room to write", self.stream.write_all(bytes)).await.expect("the server reads");
            self.in_flight += count;
        }
    }

    /// Waits for what is in flight, then for the valve. False: it is done.
    async fn wait(&mut self, valve: &mut watch::Receiver<Valve>) -> bool {
        while self.in_flight > 0 {
            self.read().await;
        }
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).at_rest += 1;
        loop {
            match *valve.borrow_and_update() {
                Valve::Open => return true,
                Valve::Done => return false,
                Valve::Shut => {}
            }
            if valve.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Reads once and counts what is whole.
    async fn read(&mut self) {
        let read = soon("a reply", self.stream.read_buf(&mut self.input)).await;
        assert!(read.is_ok_and(|count| count > 0), "the server closed a good connection");
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((length, status)) = front(&self.input) {
            self.input.advance(length);
            self.in_flight -= 1;
            match status.retry() {
                Retry::Done => counts.done += 1,
                Retry::Later => *counts.later.entry(status.0).or_default() += 1,
                _ => panic!("a pump got {status}"),
            }
        }
    }
}

/// Length and status of the reply at the front, if it is whole. SPEC section 2.
fn front(input: &[u8]) -> Option<(usize, Status)> {
    let length = u32::from_be_bytes(*input.first_chunk()?) as usize;
    let frame = input.get(..length)?;
    Some((length, Status(u16::from_be_bytes([*frame.get(16)?, *frame.get(17)?]))))
}
