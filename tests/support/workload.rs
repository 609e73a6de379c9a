//! Clients that allocate, release, relabel and batch over raw connections, several requests in
//! flight, until their connection ends or they are told to stop; each keeps a [`Book`].

use super::book::{Book, Span};
use super::line::{Line, hello_of};
use super::network::{LENT, POOLED, PROJECTS, create, prefix, subnet, text};
use super::operation::{By, How, Operation};
use super::seed::Choices;
use super::state::{Hold, Key, Unknown};
use addrd_client::protocol::message::{
    BatchMode, NetworkCreate, PoolCreate, ProjectCreate, Strategy,
};
use addrd_client::protocol::{Family, NetworkId, OwnerId, PoolId, ProjectId, SessionId, Slot};
use addrd_client::{Client, ConnectionError};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Big, with both families: nothing on it is ever refused.
pub(crate) const WIDE: NetworkId = NetworkId::from_u128(0x11);
/// 29 usable addresses, more clients than that: often exhausted.
pub(crate) const TIGHT: NetworkId = NetworkId::from_u128(0x12);
/// Clients fight for the same exact addresses, which rest in between.
pub(crate) const CONTESTED: NetworkId = NetworkId::from_u128(0x13);
/// Big, used in batches.
pub(crate) const BATCHED: NetworkId = NetworkId::from_u128(0x14);
/// Big, with both families: only ports have addresses there.
pub(crate) const PORTED: NetworkId = NetworkId::from_u128(0x16);
/// All of them, and the pool.
pub(crate) const NETWORKS: [NetworkId; 7] = [WIDE, TIGHT, CONTESTED, BATCHED, POOLED, PORTED, LENT];
/// Usable addresses of [`TIGHT`]: a /27 without network, broadcast and gateway.
pub(crate) const TIGHT_SIZE: usize = 29;

/// How long an address of [`CONTESTED`] rests, ms.
pub(crate) const CONTESTED_REST_MS: u64 = 20;
/// What a server and a client that count may find different, ms: one rounds, and a start takes the wall
/// clock.
pub(crate) const CLOCKS_DIFFER_MS: u64 = 5;
/// Exact addresses that are fought for.
const CONTESTED_ADDRESSES: u64 = 24;
/// Most requests in flight of a client.
const BURST_MAX: u64 = 4;
/// Owners of a client on [`BATCHED`].
const BATCH_OWNERS: u64 = 12;
/// Most items of a batch.
const BATCH_MAX: u64 = 8;

/// Makes the networks; harmless when they are there.
///
/// # Panics
/// When the server refuses.
pub(crate) async fn make_networks(client: &Client) {
    make_networks_resting(client, CONTESTED_REST_MS).await;
}

/// The same with another rest on [`CONTESTED`].
///
/// # Panics
/// When the server refuses.
pub(crate) async fn make_networks_resting(client: &Client, rest_ms: u64) {
    let all: [(NetworkId, &str, &[&str], Strategy); 6] = [
        (WIDE, "wide", &["10.1.0.0/20", "fd00:1::/64"], Strategy::Next),
        (TIGHT, "tight", &["10.2.0.0/27"], Strategy::Random),
        (CONTESTED, "contested", &["10.3.0.0/22"], Strategy::Lowest),
        (BATCHED, "batched", &["10.4.0.0/20"], Strategy::Hashed),
        (PORTED, "ported", &["10.6.0.0/20", "fd00:6::/64"], Strategy::Next),
        (LENT, "lent", &["10.7.0.0/20", "fd00:7::/64"], Strategy::Next),
    ];
    let pool = PoolCreate::of(Family::V4, vec![prefix("10.5.0.0/16")]);
    client.pool_create(PoolId(POOLED.0), pool).await.expect("a pool is made");
    for project in &PROJECTS[1..] {
        let create = ProjectCreate::default();
        client.in_project(*project).project_create(create).await.expect("a project is made");
    }
    let lent = NetworkCreate { name: Some(text("lent")), shared: true, ..NetworkCreate::default() };
    client.network_create(LENT, lent).await.expect("a network is made");
    for (network, name, cidrs, strategy) in all {
        create(client, network, name).await.expect("a network is made");
        for cidr in cidrs {
            let mut create = subnet(network, cidr, strategy);
            if network == CONTESTED {
                create.quarantine_ms = Some(rest_ms);
            }
            let made = client.subnet_create(network, create).await;
            made.expect("a subnet is made");
        }
    }
}

/// What all clients of a run share: one clock, one count, and whether to go on.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    began: Instant,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    answers: u64,
    goes_on: bool,
}

impl Run {
    pub(crate) fn new() -> Self {
        let shared = Shared { answers: 0, goes_on: true };
        Self { began: Instant::now(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// ns since the run began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("a run ends before 500 years")
    }

    /// Answers that all clients got so far.
    pub(crate) fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// Tells all clients to stop after what is in flight.
    pub(crate) fn stop(&self) {
        self.lock().goes_on = false;
    }

    fn goes_on(&self) -> bool {
        self.lock().goes_on
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a client stopped.
#[derive(Debug)]
pub(crate) enum End {
    /// It was told to.
    Told,
    /// Its connection ended.
    Lost(ConnectionError),
}

/// One client with its own owners; it never shares a key with another.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) book: Book,
    /// Requests whose reply never came, with the time of their sending, in the order sent.
    pub(crate) unknown: Vec<(Unknown, u64)>,
    /// The same as they were sent, to be sent again.
    again: Vec<Operation>,
    number: u64,
    choices: Choices,
    session: SessionId,
    epoch: u64,
    labels: u64,
    /// Holds of the past, for late releases.
    past: Vec<(Key, Hold)>,
}

impl Worker {
    pub(crate) fn new(number: u64, choices: &mut Choices) -> Self {
        let mut choices = choices.fork();
        Self {
            book: Book::default(),
            unknown: Vec::new(),
            again: Vec::new(),
            number,
            session: SessionId::from_u128(choices.id()),
            choices,
            epoch: 0,
            labels: 0,
            past: Vec::new(),
        }
    }

    /// Opens the session's next connection.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) async fn connect(&mut self, address: SocketAddr) -> Result<Line, ConnectionError> {
        self.epoch += 1;
        Line::open(address, &hello_of(self.session, self.epoch)).await
    }

    /// Works until the connection ends or the run stops. First it repeats half of what had no
    /// reply on the connection before.
    pub(crate) async fn work(&mut self, line: &mut Line, run: &Run) -> End {
        let mut again = std::mem::take(&mut self.again);
        again.retain(|_| self.choices.one_in(2));
        for operation in again {
            // What others took meanwhile may be refused now.
            if let Err(error) = self.flight(line, run, vec![operation]).await {
                return End::Lost(error);
            }
        }
        while run.goes_on() && line.goaway.is_none() {
            let flight = self.choose_flight();
            if let Err(error) = self.flight(line, run, flight).await {
                return End::Lost(error);
            }
        }
        End::Told
    }

    /// Sends operations on different keys at once and enters every answer.
    async fn flight(
        &mut self,
        line: &mut Line,
        run: &Run,
        operations: Vec<Operation>,
    ) -> Result<(), ConnectionError> {
        let mut waiting: BTreeMap<u64, Operation> = BTreeMap::new();
        for operation in operations {
            let (project, network) = (operation.project(), operation.network());
            let id = line.queue_as(project, network, &operation.request());
            waiting.insert(id, operation);
        }
        let sent = run.now();
        let mut end = line.flush().await;
        while end.is_ok() && !waiting.is_empty() {
            end = match line.next().await {
                Err(error) => Err(error),
                Ok((header, answer)) => {
                    let span = Span { sent, answered: run.now() };
                    let operation = waiting.remove(&header.request_id);
                    let operation = operation.expect("a reply belongs to a request in flight");
                    self.note_past(&operation);
                    self.book.enter(&operation, &answer, span);
                    run.lock().answers += 1;
                    Ok(())
                }
            };
        }
        // Ids rise in the order of sending.
        for operation in waiting.into_values() {
            self.unknown.push((operation.unknown(&self.book.known), sent));
            self.again.push(operation);
        }
        end
    }

    fn note_past(&mut self, operation: &Operation) {
        if let Operation::Drop { key, .. } = operation
            && let Some(hold) = self.book.hold(key)
        {
            self.past.push((*key, hold.clone()));
            let most = 64;
            if self.past.len() > most {
                self.past.swap_remove(0);
            }
        }
    }

    /// One to four operations on different keys.
    fn choose_flight(&mut self) -> Vec<Operation> {
        let count = self.choices.below(1..BURST_MAX + 1);
        let mut used: Vec<Key> = Vec::new();
        let mut flight = Vec::new();
        for _ in 0..count {
            let operation = match self.choices.below(0..19) {
                0..=3 => self.on_wide(),
                4..=5 => self.on_tight(),
                6..=7 => self.on_contested(),
                8 => self.on_batched(BATCHED),
                9 => self.on_one_of(POOLED),
                10 => self.on_batched(POOLED),
                11 => self.on_one_of(PORTED),
                12 => self.on_batched(PORTED),
                13 | 14 => self.on_lent(),
                15 => self.on_batched(LENT),
                16 | 17 => self.across(),
                _ => self.late_release(),
            };
            let keys = keys_of(&operation);
            if keys.iter().all(|key| !used.contains(key)) {
                used.extend(keys);
                flight.push(operation);
            }
        }
        flight
    }

    /// On [`LENT`] one of each project has the same owners; elsewhere nobody has another's.
    fn key(&self, network: NetworkId, owner: u64, slot: u16) -> Key {
        let projects = PROJECTS.len() as u64;
        let (project, number) = match network == LENT {
            true => (PROJECTS[(self.number % projects) as usize], self.number / projects),
            false => (ProjectId::DEFAULT, self.number),
        };
        let owner = OwnerId::from_u128(u128::from(number + 1) << 64 | u128::from(owner + 1));
        Key { project, network, owner, slot: Slot(slot) }
    }

    fn on_wide(&mut self) -> Operation {
        let owner = self.choices.below(0..3);
        let key = self.key(WIDE, owner, 0);
        if owner == 0 {
            // A pair: taken together, dropped one by one, second first.
            return match (self.book.hold(&key), self.book.hold(&key.second())) {
                (None, None) => Operation::TakeEach { key },
                (Some(_), Some(_)) if self.choices.one_in(4) => Operation::TakeEach { key },
                (Some(_), Some(_)) => self.on_held(key.second(), false),
                (Some(_), None) => self.on_held(key, true),
                (None, Some(_)) => self.on_held(key.second(), true),
            };
        }
        let how = match self.choices.below(0..5) {
            0 => How::V6,
            1 => How::Any(Strategy::Lowest),
            2 => How::Any(Strategy::Random),
            3 => How::Any(Strategy::Hashed),
            _ => How::Any(Strategy::Default),
        };
        match self.book.hold(&key) {
            None => Operation::Take { key, how, may_fail: false },
            Some(_) => self.on_held(key, false),
        }
    }

    /// Drop, relabel, or ask again for what is held. A pair of which one is left is only dropped:
    /// asking again for both is another request.
    fn on_held(&mut self, key: Key, only_drop: bool) -> Operation {
        let hold = self.book.hold(&key).cloned().expect("the caller looked");
        let revision = hold.revision;
        match self.choices.below(0..8) {
            0 if !only_drop => {
                self.labels += 1;
                let label = format!("n={}-{}", self.number, self.labels);
                Operation::Label { key, revision, label }
            }
            1 if !only_drop => {
                let how = How::Any(Strategy::Default);
                Operation::Take { key, how, may_fail: false }
            }
            2 => Operation::Drop { key, revision, by: By::Address(hold.address) },
            _ => Operation::Drop { key, revision, by: By::Key },
        }
    }

    fn on_tight(&mut self) -> Operation {
        let key = self.key(TIGHT, 0, 0);
        match self.book.hold(&key) {
            None => Operation::Take { key, how: How::Any(Strategy::Default), may_fail: true },
            Some(_) => self.on_held(key, false),
        }
    }

    fn on_contested(&mut self) -> Operation {
        let owner = self.choices.below(0..3);
        let key = self.key(CONTESTED, owner, 0);
        match self.book.hold(&key) {
            Some(_) => self.on_held(key, false),
            None if owner == 0 => {
                let how = How::Any(Strategy::Default);
                Operation::Take { key, how, may_fail: false }
            }
            None => {
                let last = 10 + self.choices.below(0..CONTESTED_ADDRESSES);
                let address = IpAddr::V4(Ipv4Addr::new(10, 3, 0, last as u8));
                Operation::Take { key, how: How::Exact(address), may_fail: true }
            }
        }
    }

    /// As a guest, or beside guests; some fight for the same addresses.
    fn on_lent(&mut self) -> Operation {
        if self.choices.one_in(2) {
            return self.on_one_of(LENT);
        }
        let owner = BATCH_OWNERS + self.choices.below(0..2);
        let key = self.key(LENT, owner, 0);
        if self.book.hold(&key).is_some() {
            return self.on_held(key, false);
        }
        let last = 10 + self.choices.below(0..CONTESTED_ADDRESSES);
        let address = IpAddr::V4(Ipv4Addr::new(10, 7, 8, last as u8));
        Operation::Take { key, how: How::Exact(address), may_fail: true }
    }

    /// One key of a network on which batches are used too.
    fn on_one_of(&mut self, network: NetworkId) -> Operation {
        let owner = self.choices.below(0..BATCH_OWNERS);
        let key = self.key(network, owner, 0);
        self.make_or_end(key)
    }

    /// Takes what a key doesn't hold, or does something with what it does.
    fn make_or_end(&mut self, key: Key) -> Operation {
        match (self.book.hold(&key), is_port(&key)) {
            (None, true) => Operation::MakePort { key },
            (Some(_), true) if self.choices.one_in(4) => Operation::MakePort { key },
            (Some(_), true) => Operation::EndPort { key },
            (None, false) => {
                let how = How::Any(Strategy::Default);
                Operation::Take { key, how, may_fail: false }
            }
            (Some(_), false) => self.on_held(key, false),
        }
    }

    fn on_batched(&mut self, network: NetworkId) -> Operation {
        let first = self.choices.below(0..BATCH_OWNERS);
        let count = self.choices.below(1..BATCH_MAX + 1);
        let mut items = Vec::new();
        for at in 0..count {
            let key = self.key(network, (first + at) % BATCH_OWNERS, 0);
            items.push(self.make_or_end(key));
        }
        let mode = *self.choices.pick(&[BatchMode::Independent, BatchMode::AllOrNothing]);
        if self.choices.one_in(4)
            && let Some(Operation::Drop { revision, .. }) = items.last_mut()
        {
            // The fence of the last item stops it, or all of them.
            revision.0 ^= 1;
        }
        Operation::Batch { network, mode, items }
    }

    /// On several networks at once. The owners of [`LENT`] are some project's; elsewhere the default
    /// one's.
    fn across(&mut self) -> Operation {
        let lent = self.key(LENT, 0, 0);
        let is_at_home = lent.project == ProjectId::DEFAULT;
        let networks = [BATCHED, PORTED, POOLED, LENT];
        let networks = if is_at_home { &networks[..] } else { &networks[..3] };
        let first = self.choices.below(0..BATCH_OWNERS);
        let count = self.choices.below(2..BATCH_MAX + 1);
        let mut items = Vec::new();
        for at in 0..count {
            let network = *self.choices.pick(networks);
            let key = self.key(network, (first + at) % BATCH_OWNERS, 0);
            items.push(self.make_or_end(key));
        }
        if self.choices.one_in(4)
            && let Some(Operation::Drop { revision, .. }) = items.last_mut()
        {
            revision.0 ^= 1;
        }
        Operation::Transaction { items }
    }

    /// A release of a former life: it must never touch what came after (P5).
    fn late_release(&mut self) -> Operation {
        if self.past.is_empty() {
            return self.on_wide();
        }
        let (key, hold) = self.choices.pick(&self.past).clone();
        let by = if self.choices.one_in(2) { By::Key } else { By::Address(hold.address) };
        Operation::Drop { key, revision: hold.revision, by }
    }

    /// Enters what a list showed once the server that had the open requests was gone.
    pub(crate) fn settle(&mut self, listed: &BTreeMap<Key, Hold>, listed_at: u64) {
        let unknown = std::mem::take(&mut self.unknown);
        self.book.settle(&unknown, listed, listed_at);
    }

    /// The open requests without their times.
    pub(crate) fn open_requests(&self) -> Vec<Unknown> {
        self.unknown.iter().map(|(request, _)| request.clone()).collect()
    }
}

/// Whether a key is that of a port's address: on [`LENT`] every other owner is a port.
pub(crate) fn is_port(key: &Key) -> bool {
    let number = key.owner.0.as_u128() as u64;
    let is_batched = number <= BATCH_OWNERS;
    key.network == PORTED || (key.network == LENT && is_batched && number.is_multiple_of(2))
}

/// Every key that an operation touches.
fn keys_of(operation: &Operation) -> Vec<Key> {
    match operation {
        Operation::Take { key, .. }
        | Operation::Drop { key, .. }
        | Operation::Label { key, .. } => vec![*key],
        Operation::TakeEach { key } | Operation::MakePort { key } | Operation::EndPort { key } => {
            vec![*key, key.second()]
        }
        Operation::Batch { items, .. } | Operation::Transaction { items } => {
            items.iter().flat_map(keys_of).collect()
        }
    }
}
