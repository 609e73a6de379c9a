//! How the historian gives way: to a disk with little space, to names that don't fit, to a disk that
//! refuses, to a clock that may be wrong. Serving never waits for it.

use super::stage::{DiskOperation, Failure, FakeDisk, Fault, HISTORY, Stage, blank_disk};
use super::*;
use crate::limits::{
    HISTORY_FREE_BYTES_MIN, HISTORY_RETRY_MS, HISTORY_SYNC_MS, HISTORY_TOO_SMALL_RETRY_MS,
};
use crate::model::Seq;
use crate::store::Disk;
use crate::store::fake_disk::Random;
use crate::store::history::{HistorySettings, JournalEnds, Shelf, open};
use addrd_protocol::message::NetworkDelete;

const AGE_MS: u64 = HISTORY.age_ms_max;

/// A stage with networks of five addresses.
fn stage(settings: HistorySettings) -> Stage {
    let mut stage = Stage::recover_with(blank_disk().restart(), 1, (FakeDisk::new(), settings));
    stage.set_up(3);
    stage
}

/// Changes, and time: each round ends in a volume of its own.
fn grow(stage: &mut Stage, rounds: usize) {
    for _ in 0..rounds {
        let desk = Arc::new(Desk::default());
        let both = (1..=5).flat_map(|owner| [allocate(0, 1, owner), release(0, 1, owner)]);
        send(&stage.engine, &desk, both.collect());
        stage.settle().expect("nothing of the journal fails");
        assert_eq!(desk.take(10).len(), 10, "everything is answered");
        // It takes, syncs, and ends what is old.
        for _ in 0..3 {
            stage.historian.step();
            stage.clock.advance(HISTORY_SYNC_MS);
        }
        stage.clock.advance(AGE_MS / 32);
        stage.historian.step();
    }
}

fn bytes(stage: &Stage) -> u64 {
    stage.shelf.figures().bytes
}

#[test]
fn history_stops_growing_while_little_is_free() {
    let mut stage = stage(HISTORY);
    stage.history_disk.set_free_bytes(Some(100 << 30));
    grow(&mut stage, 12);
    let figures = stage.shelf.figures();
    assert!(figures.volumes >= 12, "{figures:?}");
    // Below the line it goes on with what is new, and the oldest goes for that.
    stage.history_disk.set_free_bytes(Some(HISTORY_FREE_BYTES_MIN - 1));
    grow(&mut stage, 1);
    let most = bytes(&stage);
    for _ in 0..8 {
        grow(&mut stage, 1);
        // What is written at the moment comes on top.
        assert!(bytes(&stage) <= most + most / 8, "{} of {most}", bytes(&stage));
    }
    let reach = stage.shelf.figures().reach;
    assert!(reach > figures.reach, "what went is told");
    // A little more space is no reason to grow again, twice as much is.
    stage.history_disk.set_free_bytes(Some(HISTORY_FREE_BYTES_MIN + 1));
    grow(&mut stage, 4);
    assert!(bytes(&stage) <= most + most / 8);
    stage.history_disk.set_free_bytes(Some(2 * HISTORY_FREE_BYTES_MIN));
    grow(&mut stage, 6);
    assert!(bytes(&stage) > most + most / 8);
    assert!(!stage.shelf.is_paused());
}

#[test]
fn names_that_do_not_fit_are_waited_for_by_nobody() {
    let settings = HistorySettings { bytes_max: 5_000, ..HISTORY };
    let mut stage = stage(settings);
    grow(&mut stage, 3);
    assert!(
        stage.shelf.is_paused(),
        "names of three networks and subnets take more than a sixteenth"
    );
    assert_eq!(stage.kept.get(), stage.engine.inner.position.get(), "the fold goes on");
    assert_eq!(stage.historian.step(), Progress::Idle, "it doesn't read all names each time");
    // It is looked again, and then nothing is as if it had been there.
    let desk = Arc::new(Desk::default());
    let deleted = (2..=3).map(|network| {
        let delete = NetworkDelete { force: true, expected: Revision(0) };
        operation(0, network, Opcode::NETWORK_DELETE, Request::NetworkDelete(delete))
    });
    send(&stage.engine, &desk, deleted.collect());
    stage.settle().unwrap();
    while stage.engine.inner.folded.get() < stage.engine.inner.position.get() {
        stage.fold_all();
    }
    stage.clock.advance(HISTORY_TOO_SMALL_RETRY_MS);
    let since = stage.clock.tick();
    grow(&mut stage, 2);
    let figures = stage.shelf.figures();
    assert!(!figures.is_paused && figures.volumes > 0, "{figures:?}");
    assert!(figures.reach >= since, "what is missing is told: {figures:?}");
}

#[test]
fn what_is_too_old_goes_also_while_the_disk_refuses() {
    let mut stage = stage(HISTORY);
    grow(&mut stage, 4);
    assert!(stage.shelf.figures().volumes >= 4);
    let at = stage.history_disk.count(DiskOperation::Write) + 1;
    let (operation, failure) = (DiskOperation::Write, Failure::Error(5));
    stage.history_disk.plan(Fault { operation, at, failure, for_good: true });
    grow(&mut stage, 1);
    stage.clock.advance(2 * AGE_MS);
    // It tries again, can't end what it had begun, and pauses.
    for _ in 0..5 {
        stage.historian.step();
        stage.clock.advance(HISTORY_SYNC_MS);
    }
    assert!(stage.shelf.is_paused());
    let figures = stage.shelf.figures();
    assert_eq!(figures.volumes, 0, "{figures:?}");
    assert!(stage.history_disk.contents().is_empty());
}

/// Something new that history has to take.
fn change(stage: &mut Stage) {
    let desk = Arc::new(Desk::default());
    let both = (1..=5).flat_map(|owner| [allocate(0, 2, owner), release(0, 2, owner)]);
    send(&stage.engine, &desk, both.collect());
    stage.settle().expect("nothing of the journal fails");
}

#[test]
fn a_disk_that_stays_full_costs_a_volume_now_and_then_and_not_all_at_once() {
    let mut stage = stage(HISTORY);
    grow(&mut stage, 10);
    let before = stage.shelf.figures().volumes;
    assert!(before >= 10);
    let at = stage.history_disk.count(DiskOperation::Write) + 1;
    let (operation, failure) = (DiskOperation::Write, Failure::Error(28));
    stage.history_disk.plan(Fault { operation, at, failure, for_good: true });
    change(&mut stage);
    for pauses in 0..4 {
        (0..30).for_each(|_| _ = stage.historian.step());
        let volumes = stage.shelf.figures().volumes;
        assert!(volumes < before, "it makes room");
        assert!(volumes + 1 + pauses >= before, "{volumes} of {before} after {pauses} pauses");
        assert!(stage.shelf.is_paused());
        stage.clock.advance(HISTORY_RETRY_MS);
    }
}

/// What a sync refuses the system may give to read and lose all the same: it doesn't count at the next start.
#[test]
fn what_the_last_sync_of_a_life_refuses_is_taken_from_the_journal_again() {
    for seed in 0..10 {
        let mut stage = stage(HISTORY);
        grow(&mut stage, 2);
        change(&mut stage);
        stage.historian.step();
        let (kept, durable) = (stage.kept.get(), stage.engine.inner.position.get());
        assert!(kept < durable && stage.shelf.taken().0 == durable, "it is taken, and not synced");
        let at = stage.history_disk.count(DiskOperation::Sync) + 1;
        let (operation, failure) = (DiskOperation::Sync, Failure::Forgotten(5));
        stage.history_disk.plan(Fault { operation, at, failure, for_good: false });
        stage.historian.finish();
        assert_eq!(stage.kept.get(), kept);
        let disks = (stage.disk.restart(), stage.history_disk.restart());
        let mut stage = Stage::recover_with(disks.0, 1, (disks.1, HISTORY));
        stage.read_history();
        stage.clock.advance(HISTORY_SYNC_MS);
        (0..3).for_each(|_| _ = stage.historian.step());
        // The journal may forget it now, and the power goes.
        let kept = stage.kept.get();
        assert!(kept >= durable);
        let disk = stage.history_disk.power_loss(&mut Random::new(seed));
        let journal = JournalEnds { first: Seq(kept + 1), last: Seq(kept) };
        let identity = stage.engine.inner.identity;
        let identity = (identity.server_id, identity.incarnation);
        let shelf = Arc::new(Shelf::default());
        let disk = Arc::new(disk) as Arc<dyn Disk>;
        open(disk, HISTORY, identity, Arc::clone(&shelf), journal, stage.clock.tick()).unwrap();
        assert_eq!(shelf.figures().dropped, 0, "seed {seed}: nothing is missing");
    }
}
