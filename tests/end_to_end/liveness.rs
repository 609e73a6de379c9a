//! `/livez` of a server one of whose loops stands still: a real engine, real threads, and a journal
//! that hangs.

use super::house::{self, House};
use addrd::allocator::ShardSettings;
use addrd::config::Config;
use addrd::engine::{FakeClock, Identity, Recovery, Running, Start, start};
use addrd::limits::LOOP_AGE_MS;
use addrd::model::{Seq, ServerId, Tick};
use addrd::server::Server;
use addrd::store::{
    Disk, Journal, JournalFill, JournalPosition, RealDisk, RingJournal, Round, Settings, Store,
    StoreError,
};
use addrd_client::protocol::message::Request;
use addrd_client::protocol::{NetworkId, Status};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Shut: appending waits.
#[derive(Debug, Default)]
struct Gate {
    is_shut: Mutex<bool>,
    /// Somebody came to the shut gate.
    is_waited_at: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let shut = self.is_shut.lock().unwrap();
        *self.is_waited_at.lock().unwrap() = *shut;
        drop(self.opened.wait_while(shut, |shut| *shut).unwrap());
    }
}

#[derive(Debug)]
struct HangingJournal {
    inner: RingJournal,
    gate: Arc<Gate>,
}

impl Journal for HangingJournal {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        if !round.rows.is_empty() {
            self.gate.pass();
        }
        self.inner.append(round)
    }

    fn position(&self) -> JournalPosition {
        self.inner.position()
    }

    fn fill(&self) -> JournalFill {
        self.inner.fill()
    }

    fn room_bytes(&self, trim_to: Seq) -> u64 {
        self.inner.room_bytes(trim_to)
    }
}

fn engine(path: &std::path::Path, gate: Arc<Gate>, clock: Arc<FakeClock>) -> Running {
    RealDisk::make(path).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(path));
    let settings =
        Settings { journal_records_max: 256 << 10, reserve_bytes: 0, ..Settings::default() };
    let server_id = ServerId::from_u128(1);
    let mut store = Store::create(disk, &settings, server_id).unwrap();
    let shards = ShardSettings { seed: 1, records_max: 1 << 20 };
    let mut recovery = Recovery::new(1, shards, Arc::default());
    let recovered = store.recover(&mut recovery).unwrap();
    let sealer = store.journal.sealer(store.identity());
    let identity = Identity { server_id, incarnation: store.format().incarnation };
    let (inner, checkpointer, disk) = store.split();
    let (shards, catalogue) = recovery.finish(recovered.network_handle_max);
    let started = start(Start {
        shards,
        catalogue,
        journal: Box::new(HangingJournal { inner, gate }),
        sealer,
        checkpointer,
        directory: None,
        disk,
        history: None,
        audit: None,
        identity,
        memory_records_max: 1 << 20,
        clock,
        on_failure: Arc::new(|what| panic!("the engine failed: {what}")),
    });
    started.unwrap()
}

/// Until `/livez` says this.
async fn wait_for(house: &House, wanted: (u16, &str)) {
    let asking = async {
        loop {
            let (status, body) = house.get("/livez").await;
            if status == wanted.0 && body.starts_with(wanted.1) && body.lines().count() == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let said = tokio::time::timeout(house::WAIT_MAX, asking).await;
    assert!(said.is_ok(), "not {wanted:?} but {:?}", house.get("/livez").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_hangs_is_named_and_only_that() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, clock) = (Arc::new(Gate::default()), Arc::new(FakeClock::new(Tick(1_000_000))));
    let data = directory.path().join("data");
    let running = engine(&data, Arc::clone(&gate), Arc::clone(&clock));
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        data_directory: data,
        listen: vec![anywhere],
        http: Some(anywhere),
        ..Config::default()
    };
    let server = Server::bind(running.engine().clone(), &config, None).unwrap();
    let mut house = House::around(directory, config.bounds.clone(), running, server);
    wait_for(&house, (200, "alive")).await;

    gate.set(true);
    let mut connection = house.connect().await;
    let create = Request::NetworkCreate(Box::default());
    let header = house::header(1, NetworkId::from_u128(1), &create);
    connection.queue(&header, &create).unwrap();
    connection.flush().await.unwrap();
    while !*gate.is_waited_at.lock().unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clock.advance(LOOP_AGE_MS - 1_000);
    wait_for(&house, (200, "alive")).await;
    // All loops look late until they turn again, which each does within a second but one.
    clock.advance(2_000);
    wait_for(&house, (503, "committer has not turned for")).await;

    gate.set(false);
    let (answer, _) = connection.receive().await.unwrap();
    assert_eq!(answer.status, Status::OK, "what was held up is answered");
    wait_for(&house, (200, "alive")).await;
    drop(connection);
    house.begin_stop().await;
}
