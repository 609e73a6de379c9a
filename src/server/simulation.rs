//! T14: connections, sessions and the engine with its journal in one thread, on virtual time, a disk that
//! loses power or fails and a network that cuts, splits and delays. Each loop and each connection is
//! polled when a seed says so, so the same seed gives the same run.
//!
//! `ADDRD_SIMULATIONS` sets how many seeds are tried, `ADDRD_SIMULATION_SEED` tries that one alone.

mod controller;
mod owners;

use super::access::Doorkeeper;
use super::admission::Peer;
use super::connection;
use super::origin::Origin;
use super::shared::Shared;
use crate::config::Config;
use crate::engine::tests::stage::{
    DiskOperation, Failure, FakeDisk, Fault, Random, Stage, Whole, blank_disk,
};
use crate::engine::{Clock, Engine};
use crate::model::AllocationRow;
use addrd_protocol::message::AllocationState;
use controller::Controller;
use owners::{End, Held, Key};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::DuplexStream;

/// Networks, each with five usable addresses.
const NETWORKS: u128 = 2;
const CONTROLLERS: u128 = 4;
/// Moves of connections and controllers behind a failure of the disk.
const MOVES_AFTER_FAILURE: u64 = 400;
/// Lives of the server in one run.
const LIVES: u64 = 3;

type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// A server without threads and sockets, and the connections that it serves.
struct House {
    stage: Stage,
    shared: Arc<Shared<Engine>>,
    connections: Vec<Serving>,
    /// What the clients' clock is ahead of the server's.
    ahead_ms: u64,
}

impl House {
    fn recover(disk: FakeDisk, workers: u16) -> Self {
        let stage = Stage::recover(disk, workers);
        let config = Config { data_directory: "/".into(), ..Config::default() };
        let doorkeeper = Doorkeeper::new(&config, None);
        let shared =
            Shared::new(stage.engine.clone(), &config, None, Arc::default(), None, doorkeeper);
        Self { stage, shared, connections: Vec::new(), ahead_ms: 0 }
    }

    /// The clients' time, ms.
    fn now(&self) -> u64 {
        self.ahead_ms.saturating_add(self.stage.clock.tick().0)
    }

    /// The client's end of a new connection; `None` = there is no seat.
    fn connect(&mut self, pipe_bytes: usize) -> Option<DuplexStream> {
        let seats = self.shared.admission.admit(Peer::Local).ok()?;
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let (shared, origin) = (Arc::clone(&self.shared), Origin::of(Peer::Local));
        self.connections.push(Box::pin(connection::serve(theirs, shared, seats, origin)));
        Some(ours)
    }

    /// One of the connections goes on as far as it can.
    fn poll_one(&mut self, random: &mut Random) {
        if self.connections.is_empty() {
            return;
        }
        let which = random.below(self.connections.len() as u64) as usize;
        let serving = self.connections[which].as_mut();
        if serving.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            drop(self.connections.swap_remove(which));
        }
    }
}

/// What the networks hold, by network and owner.
fn held(whole: &Whole) -> BTreeMap<Key, Held> {
    let state = &whole.state;
    let networks: BTreeMap<_, _> =
        state.networks.iter().map(|(row, _)| (row.network, row.id.0.as_u128())).collect();
    let bases: BTreeMap<_, _> = state
        .subnets
        .iter()
        .map(|(row, _)| ((row.network, row.subnet), row.prefix.base()))
        .collect();
    let rows = state.allocations.iter().filter_map(|row| {
        let base = bases[&(row.place.network, row.place.subnet)];
        let key = (networks[&row.place.network], row.owner.0.as_u128());
        Some((
            key,
            Held { address: base + row.place.offset, revision: row.revision, end: end(row)? },
        ))
    });
    rows.collect()
}

/// What ends a row; `None` = nobody has it.
fn end(row: &AllocationRow) -> Option<End> {
    let extras = row.extras.as_deref();
    let deadline = extras.and_then(|extras| extras.deadline);
    match (row.state, deadline) {
        (AllocationState::Allocated, None) => Some(End::Never),
        (AllocationState::Allocated, Some(_)) => Some(End::Lease),
        (AllocationState::Held, _) => {
            Some(End::Hold(extras.and_then(|extras| extras.token).expect("a hold has a token")))
        }
        _ => None,
    }
}

/// No two may have one address.
fn check_apart(held: &BTreeMap<Key, Held>) {
    let mut seen = BTreeMap::new();
    for ((network, owner), held) in held {
        let other = seen.insert((network, held.address), owner);
        assert_eq!(other, None, "{owner} of {network} has {held:?} as well");
    }
}

/// Several lives of one server and the controllers that outlive it; what everybody was told, in order.
async fn run(blank: &FakeDisk, seed: u64) -> Vec<String> {
    let random = &mut Random::new(seed);
    let mut disk = blank.fork().restart();
    let mut controllers: Vec<Controller> = (1..=CONTROLLERS).map(Controller::new).collect();
    let mut trace = Vec::new();
    // The clients' clock, ms: it goes on while the server's stands.
    let (mut now, mut ahead_ms) = (0, 0);
    for _ in 0..LIVES {
        let mut house = House::recover(disk, 1 + random.below(3) as u16);
        house.stage.set_up(NETWORKS);
        // A start begins a tick behind the last record, where the clock may not have been yet: what is ahead never falls.
        ahead_ms = u64::saturating_sub(now, house.stage.clock.tick().0).max(ahead_ms);
        house.ahead_ms = ahead_ms;
        recovered(&mut controllers, &held(&house.stage.whole()), house.now());
        if random.below(3) == 0 {
            let failure = if random.below(2) == 0 { Failure::Power } else { Failure::Error(5) };
            let at = house.stage.disk.count(DiskOperation::Any) + 1 + random.below(300);
            let fault = Fault { operation: DiskOperation::Any, at, failure, for_good: true };
            house.stage.disk.plan(fault);
        }
        live(&mut house, &mut controllers, &mut trace, random).await;
        for controller in &mut controllers {
            controller.cut_off();
        }
        now = house.now();
        disk = house.stage.crash(random);
    }
    let last = held(&House::recover(disk, 2).stage.whole());
    recovered(&mut controllers, &last, now);
    trace.push(format!("{last:?}"));
    trace
}

fn recovered(controllers: &mut [Controller], held: &BTreeMap<Key, Held>, now: u64) {
    check_apart(held);
    controllers.iter_mut().for_each(|controller| controller.recovered(held, now));
}

/// Until the disk fails or the seed ends it.
async fn live(
    house: &mut House,
    controllers: &mut [Controller],
    trace: &mut Vec<String>,
    random: &mut Random,
) {
    // The moment behind an answer is the worst one to lose the power.
    let is_short = random.below(2) == 0;
    let mut moves = 500 + random.below(4_000);
    let mut has_failed = false;
    while moves > 0 {
        moves -= 1;
        let before = house.stage.clock.tick();
        match random.below(4) {
            // What has left before the disk failed still comes to its readers.
            0 if !has_failed && house.stage.step(random).is_err() => {
                (has_failed, moves) = (true, MOVES_AFTER_FAILURE);
            }
            0 => {}
            1 => house.poll_one(random),
            _ => {
                let which = random.below(controllers.len() as u64) as usize;
                let now = house.now();
                let connect = &mut |bytes| house.connect(bytes);
                let is_answered = controllers[which].turn(connect, random, trace, now);
                let kept = controllers[which].kept(now);
                for other in controllers.iter().enumerate().filter(|(at, _)| *at != which) {
                    other.1.must_not_have(&kept, now);
                }
                if is_answered && is_short && random.below(10) == 0 {
                    return;
                }
            }
        }
        // Connections and the engine live in one time.
        let passed = house.stage.clock.tick().since(before);
        tokio::time::advance(Duration::from_millis(passed)).await;
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A run in a time of its own.
fn simulate(blank: &FakeDisk, seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime starts");
    runtime.block_on(run(blank, seed))
}

#[test]
fn a_server_in_one_thread_keeps_its_promises_and_repeats_itself() {
    let blank = blank_disk();
    let seeds = match number("ADDRD_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ADDRD_SIMULATIONS").unwrap_or(60),
    };
    for seed in seeds {
        let twice = || [simulate(&blank, seed), simulate(&blank, seed)];
        match catch_unwind(AssertUnwindSafe(twice)) {
            Ok([one, other]) => {
                let differs = one.iter().zip(&other).position(|(one, other)| one != other);
                assert_eq!((differs, one.len()), (None, other.len()), "seed {seed} runs twice");
            }
            Err(panic) => {
                report(seed);
                resume_unwind(panic);
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "the seed of a failing run is read in its output")]
fn report(seed: u64) {
    eprintln!("ADDRD_SIMULATION_SEED={seed} fails");
}
