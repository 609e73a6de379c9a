//! A fold that gets no space: the reserve is given up for it and written again later, a stop ends
//! all the same, and nothing is lost.

use super::*;
use crate::allocator::ShardSettings;
use crate::engine::figures::CommitterFigures;
use crate::engine::fold::{Fold, FoldParts};
use crate::journal::RecordBuffer;
use crate::limits;
use crate::model::{Effect, EffectSink, NetworkHandle, NetworkRow, Revision};
use crate::store::fake_disk::{Failure, FakeDisk, Fault, Operation as DiskOperation};
use crate::store::{BatchRow, Disk, Store};
use addrd_sync::doorbell;

const ENOSPC: i32 = 28;

/// A fold and what a test looks at.
struct Unfolded {
    fold: Fold,
    folded: Arc<DurableMark>,
    clock: Arc<FakeClock>,
    pressure: Arc<Pressure>,
}

/// A directory whose journal holds changes that are not folded, and their fold.
fn unfolded(disk: &FakeDisk, reserve_bytes: u64) -> Unfolded {
    let settings = Settings {
        journal_records_max: 512,
        reserve_bytes,
        state_bytes: 64 << 10,
        fold_slice_bytes: 20_000,
        ..Settings::default()
    };
    let id = ServerId::from_u128(3);
    let mut store = Store::create(Arc::new(disk.clone()), &settings, id).unwrap();
    let seeds = ShardSettings { seed: 1, records_max: 1 << 10 };
    store.recover(&mut Recovery::new(1, seeds, Arc::default())).unwrap();
    let mut sealer = store.journal.sealer(store.identity());
    let mut records = RecordBuffer::default();
    // Enough for the state's file to grow.
    let text = addrd_protocol::Text::new(&"x".repeat(250)).unwrap();
    for number in 1..=300_u32 {
        records.push(&Effect::NetworkPut(Box::new(NetworkRow {
            network: NetworkHandle(number),
            revision: Revision(1),
            project: ProjectId::DEFAULT,
            id: NetworkId::from_u128(number.into()),
            deleting: false,
            shared: false,
            name: None,
            description: Some(text.clone()),
            scope_v4: None,
            scope_v6: None,
        })));
    }
    let parts = vec![records.as_bytes()];
    let header = sealer.seal(Tick(7), 1, records.record_count(), &parts);
    let rows = [BatchRow { header, parts }];
    store.journal.append(&Round { rows: &rows, trim_to: Seq(0) }).unwrap();
    let fill = store.journal.fill();
    let (_, checkpointer, disk) = store.split();
    let folded = Arc::new(DurableMark::new(0));
    let clock = Arc::new(FakeClock::new(Tick(8)));
    let pressure = Arc::new(Pressure::new(&fill));
    let fold = Fold::new(FoldParts {
        checkpointer,
        disk,
        directory: None,
        position: Arc::new(DurableMark::new(1)),
        folded: Arc::clone(&folded),
        pressure: Arc::clone(&pressure),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        committer_bell: doorbell().0,
        figures: CommitterFigures::new().0,
        backups: Arc::new(BackupDesk::new(doorbell().0, Arc::clone(&clock) as Arc<dyn Clock>)),
    });
    Unfolded { fold, folded, clock, pressure }
}

/// The write of this process, counted from now, that writes ahead of the state: the only one that
/// may find a full disk without an error.
fn write_ahead(reserve_bytes: u64) -> u64 {
    for at in 1..1_000 {
        let disk = FakeDisk::new();
        let mut fold = unfolded(&disk, reserve_bytes).fold;
        let at = disk.count(DiskOperation::Write) + at;
        let failure = Failure::Error(ENOSPC);
        disk.plan(Fault { operation: DiskOperation::Write, at, failure, for_good: false });
        let ended = fold.finish();
        if !disk.failed() {
            break;
        }
        if ended.is_ok() {
            return at;
        }
    }
    panic!("no write of the fold is made ahead");
}

#[test]
fn the_reserve_is_given_up_for_a_fold_that_gets_no_space_and_written_again() {
    let at = write_ahead(4_096);
    let failure = Failure::Error(ENOSPC);
    let fault = Fault { operation: DiskOperation::Write, at, failure, for_good: false };
    let disk = FakeDisk::new();
    let Unfolded { mut fold, folded, clock, pressure } = unfolded(&disk, 4_096);
    assert!(disk.has("reserve"));
    disk.plan(fault);
    fold.finish().unwrap();
    assert!(!disk.has("reserve"));
    assert_eq!(folded.get(), 1, "with its space the fold went on");
    // While the journal is nearly full, the disk is left to the fold.
    clock.advance(limits::RESERVE_RETRY_MS);
    pressure.journal_records.set(pressure.journal_records_max * 9 / 10);
    fold.step().unwrap();
    assert!(!disk.has("reserve"));
    // With that folded there is one again for the next time that the disk is full.
    pressure.journal_records.set(0);
    pressure.journal_bytes.set(0);
    for _ in 0..2 {
        clock.advance(limits::RESERVE_RETRY_MS);
        fold.step().unwrap();
    }
    assert_eq!(disk.open("reserve").and_then(|file| file.len()).unwrap(), 4_096);
}

#[test]
fn without_a_reserve_a_stop_leaves_the_rest_to_the_journal() {
    let at = write_ahead(0);
    let failure = Failure::Error(ENOSPC);
    let disk = FakeDisk::new();
    let Unfolded { mut fold, folded, .. } = unfolded(&disk, 0);
    disk.plan(Fault { operation: DiskOperation::Write, at, failure, for_good: true });
    fold.finish().unwrap();
    assert_eq!(folded.get(), 0);
    // While it serves it asks again now and then, and does not spin.
    assert_eq!(fold.step().unwrap(), Duration::from_secs(1));
}
