//! An engine with all its threads over a journal whose rounds wait at a gate, or fail, on a disk in
//! memory: what may be said when, and what is refused while nothing moves.

use super::*;
use crate::allocator::ShardSettings;
use crate::store::fake_disk::FakeDisk;
use crate::store::{RingJournal, Store};
use std::time::Instant;

/// Where rounds of the journal wait.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    is_shut: bool,
    fails: bool,
    waiting: bool,
}

impl Gate {
    fn shut(&self) {
        self.state.lock().unwrap().is_shut = true;
    }

    fn open(&self) {
        self.state.lock().unwrap().is_shut = false;
        self.moved.notify_all();
    }

    /// The round at the gate, and every later one, fails.
    fn break_down(&self) {
        let mut state = self.state.lock().unwrap();
        (state.is_shut, state.fails) = (false, true);
        self.moved.notify_all();
    }

    /// Waits until a round stands at the gate.
    fn wait_for_round(&self) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) =
            self.moved.wait_timeout_while(state, PATIENCE, |state| !state.waiting).unwrap();
        assert!(!timeout.timed_out(), "no round came");
    }

    /// Stands at the gate. False: the round fails.
    fn pass(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.waiting = true;
        self.moved.notify_all();
        let mut state = self.moved.wait_while(state, |state| state.is_shut).unwrap();
        state.waiting = false;
        !state.fails
    }
}

#[derive(Debug)]
struct Gated {
    journal: RingJournal,
    gate: Arc<Gate>,
}

impl Journal for Gated {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        // Only what somebody waits for waits at the gate.
        if round.rows.is_empty() || self.gate.pass() {
            return self.journal.append(round);
        }
        let (file, source) = ("journal.ring".to_owned(), std::io::Error::other("planned"));
        Err(StoreError::Io { file, doing: "writing", source })
    }

    fn position(&self) -> JournalPosition {
        self.journal.position()
    }

    fn fill(&self) -> JournalFill {
        self.journal.fill()
    }

    fn room_bytes(&self, trim_to: Seq) -> u64 {
        self.journal.room_bytes(trim_to)
    }
}

/// The engine, its gate, and what it reported.
struct Stand {
    running: Running,
    gate: Arc<Gate>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    fn new(workers: u16) -> Self {
        let settings = Settings {
            journal_records_max: 512 << 10,
            reserve_bytes: 0,
            state_bytes: 1 << 20,
            ..Settings::default()
        };
        let disk = Arc::new(FakeDisk::new());
        let mut store = Store::create(disk, &settings, ServerId::from_u128(9)).unwrap();
        let seeds = ShardSettings { seed: 1, records_max: 1 << 20 };
        let mut recovery = Recovery::new(workers, seeds, Arc::default());
        let recovered = store.recover(&mut recovery).unwrap();
        let sealer = store.journal.sealer(store.identity());
        let format = store.format();
        let (journal, checkpointer, disk) = store.split();
        let (gate, failures) = (Arc::<Gate>::default(), Arc::<Mutex<Vec<String>>>::default());
        let told = Arc::clone(&failures);
        let (shards, catalogue) = recovery.finish(recovered.network_handle_max);
        let running = start(Start {
            shards,
            catalogue,
            journal: Box::new(Gated { journal, gate: Arc::clone(&gate) }),
            sealer,
            checkpointer,
            directory: None,
            disk,
            history: None,
            audit: None,
            identity: Identity { server_id: format.server, incarnation: format.incarnation },
            memory_records_max: 1 << 20,
            clock: Arc::new(SystemClock::start(recovered.tick, u64::MAX, false)),
            on_failure: Arc::new(move |text| told.lock().unwrap().push(text.to_owned())),
        })
        .unwrap();
        Self { running, gate, failures }
    }

    fn engine(&self) -> &Engine {
        self.running.engine()
    }

    /// Network 1 with this subnet.
    fn with_network(workers: u16, cidr: &str) -> Self {
        let stand = Self::new(workers);
        assert_eq!(call(stand.engine(), create_network(1, 1)).0, Status::OK);
        assert_eq!(call(stand.engine(), create_subnet(2, 1, cidr)).0, Status::OK);
        stand.wait_for("both on disk", |stand| stand.engine().position() >= Seq(2));
        stand
    }

    /// Operations that all workers have decided.
    fn decided(&self) -> u64 {
        let figures = self.engine().figures();
        let sum = |one: &figures::WorkerSnapshot| one.operations.iter().sum::<u64>();
        figures.deciding.iter().map(sum).sum()
    }

    fn wait_for(&self, what: &str, mut look: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !look(self) {
            assert!(began.elapsed() < PATIENCE, "a hang: waited for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn held_by(id: u64, network: u128, owner: u128) -> Operation {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    let get = addrd_protocol::message::AllocationGet { target };
    operation(id, network, Opcode::ALLOCATION_GET, Request::AllocationGet(Box::new(get)))
}

/// P1: an answer leaves when everything that it reveals is on disk, whether it tells of a change,
/// shows one, or refuses because of one.
#[test]
fn no_answer_leaves_before_what_it_reveals_is_durable() {
    let stand = Stand::with_network(2, "10.0.0.0/30");
    let engine = stand.engine();
    // What is durable already is told at once, the disk may take its time.
    stand.gate.shut();
    assert_eq!(call(engine, held_by(1, 1, 1)).0, Status::NOT_FOUND);

    let before = stand.decided();
    let desks: Vec<_> = (0..5).map(|_| Arc::new(Desk::default())).collect();
    send(engine, &desks[0], vec![allocate(1, 1, 1)]);
    stand.gate.wait_for_round();
    // The change, its repeat, a look at it, a refusal because of it, and one that asks all workers.
    send(engine, &desks[1], vec![allocate(1, 1, 1)]);
    send(engine, &desks[2], vec![held_by(1, 1, 1)]);
    send(engine, &desks[3], vec![allocate(1, 1, 2)]);
    let lookup = addrd_protocol::message::Lookup::Owner(OwnerId::from_u128(1));
    let lookup = operation(1, 0, Opcode::LOOKUP, Request::Lookup(Box::new(lookup)));
    send(engine, &desks[4], vec![lookup]);
    // Parts of what asks all workers are counted by nobody; a last one says that they are decided.
    let last = Arc::new(Desk::default());
    send(engine, &last, vec![held_by(1, 1, 7)]);
    stand.wait_for("decisions", |stand| stand.decided() >= before + 5);
    for desk in desks.iter().chain([&last]) {
        assert!(desk.frames.lock().unwrap().is_empty(), "said before it was durable");
    }

    stand.gate.open();
    let status = |desk: &Arc<Desk>| desk.take(1)[0].1;
    assert_eq!(
        desks.iter().map(status).collect::<Vec<_>>(),
        [Status::OK, Status::OK, Status::OK, Status::EXHAUSTED, Status::OK]
    );
    stand.running.stop();
}

/// A failed write is not tried again: nothing of its round is answered, and the process ends.
#[test]
fn a_failed_write_answers_nobody_and_stops_the_process_once() {
    let stand = Stand::with_network(1, "10.0.0.0/24");
    let engine = stand.engine().clone();
    stand.gate.shut();
    let desk = Arc::new(Desk::default());
    send(&engine, &desk, vec![allocate(1, 1, 1)]);
    stand.gate.wait_for_round();
    stand.gate.break_down();
    stand.wait_for("the report", |stand| {
        assert!(desk.frames.lock().unwrap().is_empty(), "its outcome is unknown");
        !stand.failures.lock().unwrap().is_empty()
    });
    assert!(matches!(engine.readiness(), Readiness::NotReady(_)));
    stand.running.stop();
    assert!(desk.frames.lock().unwrap().is_empty(), "its outcome is unknown");
    let failures = stand.failures.lock().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("committer") && failures[0].contains("journal.ring"));
}

/// HELLO, the status and the metrics tell of adoption mode no earlier than the operator's answer does: else a crash would make
/// it untrue.
#[test]
fn adoption_mode_is_told_once_it_is_durable() {
    use addrd_protocol::message::{AdoptAction, ServerAdopt};
    let stand = Stand::with_network(2, "10.0.0.0/24");
    let engine = stand.engine();
    let adopt = |action| {
        let request = Request::ServerAdopt(ServerAdopt { action });
        operation(1, 0, Opcode::SERVER_ADOPT, request)
    };
    for (action, is_on) in [(AdoptAction::Begin, true), (AdoptAction::End, false)] {
        let desk = Arc::new(Desk::default());
        stand.gate.shut();
        send(engine, &desk, vec![adopt(action)]);
        stand.gate.wait_for_round();
        assert_eq!(engine.adoption().is_some(), !is_on, "nothing of it is on disk");
        stand.gate.open();
        assert_eq!(desk.take(1)[0].1, Status::OK);
        assert_eq!(engine.adoption().is_some(), is_on);
    }
    stand.running.stop();
}
