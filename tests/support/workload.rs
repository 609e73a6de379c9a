//! Clients that allocate, release, relabel and batch over raw connections, several requests in
//! flight, until their connection ends or they are told to stop; each keeps a [`Book`].

use super::book::{Book, Span};
use super::line::{Line, hello_of};
use super::network::{LENT, POOLED, PROJECTS, create, prefix, subnet, text};
use super::operation::Operation;
use super::seed::Choices;
use super::state::{Hold, Key, Listed, Unknown};
use addrd_client::protocol::message::{NetworkCreate, PoolCreate, ProjectCreate, Strategy};
use addrd_client::protocol::{Family, NetworkId, PoolId, SessionId};
use addrd_client::{Client, ConnectionError};
use std::collections::BTreeMap;
use std::net::SocketAddr;
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
/// Big: what is held there has leases, is held under tokens, or follows its client's host.
pub(crate) const LEASED: NetworkId = NetworkId::from_u128(0x18);
/// All of them, and the pool.
pub(crate) const NETWORKS: [NetworkId; 8] =
    [WIDE, TIGHT, CONTESTED, BATCHED, POOLED, PORTED, LENT, LEASED];
/// Where something ends by itself.
pub(crate) const ENDING: [NetworkId; 5] = [TIGHT, CONTESTED, BATCHED, POOLED, LEASED];
/// Usable addresses of [`TIGHT`]: a /27 without network, broadcast and gateway.
pub(crate) const TIGHT_SIZE: usize = 29;

/// How long an address of [`CONTESTED`] rests, ms.
pub(crate) const CONTESTED_REST_MS: u64 = 20;
/// The same of [`LEASED`].
const LEASED_REST_MS: u64 = 200;
/// What a server and a client that count may find different, ms: one rounds, and a start takes the wall
/// clock.
pub(crate) const CLOCKS_DIFFER_MS: u64 = 5;
/// Owners of a client on [`BATCHED`].
pub(super) const BATCH_OWNERS: u64 = 12;

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
    let all: [(NetworkId, &str, &[&str], Strategy); 7] = [
        (WIDE, "wide", &["10.1.0.0/20", "fd00:1::/64"], Strategy::Next),
        (TIGHT, "tight", &["10.2.0.0/27"], Strategy::Random),
        (CONTESTED, "contested", &["10.3.0.0/22"], Strategy::Lowest),
        (BATCHED, "batched", &["10.4.0.0/20"], Strategy::Hashed),
        (PORTED, "ported", &["10.6.0.0/20", "fd00:6::/64"], Strategy::Next),
        (LENT, "lent", &["10.7.0.0/20", "fd00:7::/64"], Strategy::Next),
        (LEASED, "leased", &["10.8.0.0/20"], Strategy::Next),
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
            match network {
                CONTESTED => create.quarantine_ms = Some(rest_ms),
                LEASED => create.quarantine_ms = Some(LEASED_REST_MS),
                _ => {}
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
    pub(super) number: u64,
    pub(super) choices: Choices,
    session: SessionId,
    epoch: u64,
    pub(super) labels: u64,
    /// Lives of its host.
    pub(super) lives: u64,
    /// Holds of the past, for late messages.
    pub(super) past: Vec<(Key, Hold)>,
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
            lives: 0,
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
            let flight = self.choose_flight(run.now());
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
        let span = Span { sent, answered: run.now() };
        for operation in waiting.into_values() {
            self.unknown.push((operation.unknown(&self.book.known, span), sent));
            self.again.push(operation);
        }
        end
    }

    fn note_past(&mut self, operation: &Operation) {
        if let Operation::Drop { key, .. }
        | Operation::Renew { key, .. }
        | Operation::Settle { key, .. } = operation
            && let Some(hold) = self.book.hold(key)
        {
            self.past.push((*key, hold.clone()));
            let most = 64;
            if self.past.len() > most {
                self.past.swap_remove(0);
            }
        }
    }

    /// Enters what a list showed once the server that had the open requests was gone.
    pub(crate) fn settle(&mut self, listed: &Listed) {
        let unknown = std::mem::take(&mut self.unknown);
        self.book.settle(self.number, &unknown, listed);
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
