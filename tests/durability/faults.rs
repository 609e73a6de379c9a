//! T2: every operation on the disk fails once, in every way, at creation, in rounds, folds and
//! recovery; then the system goes on with its page cache, or the power goes.

use crate::oracle::{End, Oracle};
use crate::setting;
use addrd::store::fake_disk::{Failure, FakeDisk, Fault, Lies, Operation, Random};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Rounds of the workload: about 500 operations on the disk.
const ROUNDS: u64 = 20;
const SEED: u64 = 77;

/// What may happen to an operation of each kind.
const FAILURES: [(Operation, &[Failure]); 5] = [
    (Operation::Read, &[Failure::Error(EIO)]),
    (Operation::Write, &[Failure::Error(EIO), Failure::Error(ENOSPC), Failure::Short(ENOSPC)]),
    (Operation::Sync, &[Failure::Error(EIO), Failure::Forgotten(EIO)]),
    (Operation::SetLen, &[Failure::Error(ENOSPC)]),
    (Operation::Name, &[Failure::Error(EIO), Failure::Error(ENOSPC)]),
];

/// Where a fault strikes: a disk with its history, and what was promised.
#[derive(Clone)]
struct Start {
    disk: FakeDisk,
    oracle: Oracle,
}

/// A disk with some history.
fn prepared(lies: Lies) -> Start {
    let mut oracle = Oracle::new(false);
    let disk = FakeDisk::new();
    disk.lie(lies);
    let mut random = Random::new(SEED);
    let end = oracle.run(&disk, ROUNDS, &mut random).expect("no fault");
    assert!(matches!(end, End::Done(_)));
    drop(end);
    Start { disk: disk.restart(), oracle }
}

/// One fault, then two processes more.
fn strike(start: &Start, fault: Fault, power_goes: bool) -> Result<(), String> {
    let mut disk = start.disk.fork();
    let mut oracle = start.oracle.clone();
    let mut random = Random::new(SEED);
    disk.plan(fault);
    let end = oracle.run(&disk, ROUNDS, &mut random)?;
    disk = if power_goes { disk.power_loss(&mut random) } else { disk.restart() };
    drop(end);
    let end = oracle.run(&disk, 3, &mut random)?;
    let End::Done(store) = end else { return Err("no fault, but an end".to_owned()) };
    disk = disk.power_loss(&mut random);
    drop(store);
    oracle.run(&disk, 1, &mut random).map(|_| ())
}

fn operations(start: &Start, kind: Operation) -> u64 {
    let disk = start.disk.fork();
    let end = start.oracle.clone().run(&disk, ROUNDS, &mut Random::new(SEED));
    assert!(matches!(end, Ok(End::Done(_))));
    disk.count(kind)
}

/// All faults at every `ADDRD_FAULT_STRIDE`th operation.
fn strikes(start: &Start) {
    let stride = setting("ADDRD_FAULT_STRIDE", 1) as usize;
    let mut runs = 0;
    for (operation, failures) in FAILURES {
        for at in (1..=operations(start, operation)).step_by(stride) {
            for failure in failures {
                // What comes after differs from operation to operation.
                let (for_good, power_goes) = (at % 4 == 0, at % 2 == 1);
                let fault = Fault { operation, at, failure: *failure, for_good };
                runs += 1;
                let run = AssertUnwindSafe(|| strike(start, fault, power_goes));
                let end = catch_unwind(run).unwrap_or_else(|_| Err("a panic".to_owned()));
                if let Err(story) = end {
                    panic!("{fault:?}, power goes: {power_goes}: {story}");
                }
            }
        }
    }
    println!("{runs} faults");
    assert!(runs * stride >= 300);
}

#[test]
fn a_disk_that_fails_during_creation_breaks_no_promise() {
    strikes(&Start { disk: FakeDisk::new(), oracle: Oracle::new(false) });
}

#[test]
fn a_disk_that_fails_during_recovery_and_after_breaks_no_promise() {
    strikes(&prepared(Lies::default()));
}

/// Whether a process after a failed sync reads what is on the disk.
fn reads_the_disk(lies: Lies) -> bool {
    let Start { disk, mut oracle } = prepared(lies);
    let syncs = operations(&Start { disk: disk.fork(), oracle: oracle.clone() }, Operation::Sync);
    let failure = Failure::Forgotten(EIO);
    disk.plan(Fault { operation: Operation::Sync, at: syncs - 3, failure, for_good: true });
    let end = oracle.run(&disk, ROUNDS, &mut Random::new(SEED));
    assert!(matches!(end, Ok(End::Failed)));
    let readable = disk.restart().contents();
    assert!(readable.contains_key("distrust"), "the mark is left");
    let durable = disk.fork().power_loss(&mut Random::new(SEED)).contents();
    // The marks of the journal's end may be durable or not: they promise nothing.
    let journal = |files: &BTreeMap<String, Vec<u8>>| {
        let journal = &files["journal.ring"];
        [&journal[..4_096], &journal[12_288..]].concat()
    };
    readable["state.redb"] == durable["state.redb"] && journal(&readable) == journal(&durable)
}

#[test]
fn a_page_cache_is_not_believed_after_a_failed_sync() {
    assert!(reads_the_disk(Lies::default()));
    // Planted: the page cache is believed.
    assert!(!reads_the_disk(Lies { drop_cache: true, ..Lies::default() }));
}

#[test]
fn the_mark_of_distrust_is_heeded_once() {
    let Start { disk, mut oracle } = prepared(Lies::default());
    let failure = Failure::Forgotten(EIO);
    disk.plan(Fault { operation: Operation::Sync, at: 9, failure, for_good: true });
    assert!(matches!(oracle.run(&disk, ROUNDS, &mut Random::new(SEED)), Ok(End::Failed)));
    let disk = disk.restart();
    let end = oracle.run(&disk, 1, &mut Random::new(SEED));
    assert!(matches!(end, Ok(End::Done(_))));
    assert!(!disk.contents().contains_key("distrust"));
}
