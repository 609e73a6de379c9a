//! T1: the power goes at any operation, also inside creation, recovery and the fold.

use crate::oracle::{End, Met, Oracle, Violation, settings};
use crate::setting;
use addrd::store::check;
use addrd::store::fake_disk::{Failure, FakeDisk, Fault, Lies, Operation, Random};
use std::panic::catch_unwind;
use std::sync::Arc;

/// Crashes of one disk before a new one is made.
const CRASHES_OF_A_DISK: u64 = 40;

/// What a chain of crashes did.
#[derive(Debug, Default)]
struct Counts {
    crashes: u64,
    met: Met,
}

/// One disk through a number of crashes.
fn chain(
    seed: u64,
    crashes: u64,
    lies: Lies,
    trims_ahead: bool,
    counts: &mut Counts,
) -> Result<(), Violation> {
    let mut random = Random::new(seed);
    let mut disk = FakeDisk::new();
    disk.lie(lies);
    let mut oracle = Oracle::new(trims_ahead);
    for _ in 0..crashes {
        let at = 1 + match random.below(4) {
            0 => random.below(40),
            1 => random.below(120),
            _ => random.below(900),
        };
        let failure = Failure::Power;
        disk.plan(Fault { operation: Operation::Any, at, failure, for_good: true });
        let rounds = random.below(30);
        match oracle.run(&disk, rounds, &mut random)? {
            // Closed in order, or not at all: dropped while it may write, or after the power went.
            End::Done(store) if random.one_in(2) => drop(store),
            End::Done(store) => {
                disk = disk.power_loss(&mut random);
                drop(store);
                counts.crashes += 1;
                continue;
            }
            End::Failed => {}
        }
        // Now and then only the process is killed: what it wrote stays in memory.
        let killed = random.one_in(8);
        disk = if killed { disk.restart() } else { disk.power_loss(&mut random) };
        counts.crashes += 1;
    }
    let end = oracle.run(&disk, 1, &mut random).map(|_| ());
    counts.met.add(&oracle.met);
    end.and_then(|()| sound(&disk.restart()))
}

/// A check of the directory finds nothing.
fn sound(disk: &FakeDisk) -> Result<(), Violation> {
    let settings = settings(&mut Random::new(0));
    let before = disk.contents();
    let report = check(Arc::new(disk.clone()), &settings, &mut |_| ());
    let report = report.map_err(|error| error.to_string())?;
    if disk.contents() != before {
        return Err("a check changed something".to_owned());
    }
    if report.findings.is_empty() { Ok(()) } else { Err(format!("{:?}", report.findings)) }
}

/// Chains from `first` on, in two threads.
fn chains(first: u64, count: u64) -> Counts {
    let half = |start: u64| {
        move || {
            let mut counts = Counts::default();
            for seed in (start..first + count).step_by(2) {
                let end = chain(seed, CRASHES_OF_A_DISK, Lies::default(), false, &mut counts);
                if let Err(violation) = end {
                    panic!("ADDRD_SEED={seed}: {violation}");
                }
            }
            counts
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(half(first + 1));
        let mut counts = half(first)();
        let other = other.join().expect("the other half");
        counts.crashes += other.crashes;
        counts.met.add(&other.met);
        counts
    })
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let crashes = setting("ADDRD_CRASHES", 5_000);
    match setting("ADDRD_SEED", 0) {
        0 => {
            let counts = chains(1, crashes.div_ceil(CRASHES_OF_A_DISK));
            assert!(counts.crashes >= crashes);
            println!("{} crashes; {:?}", counts.crashes, counts.met);
            // A run that doesn't meet with what it is for proves nothing.
            let Met { unfinished_folds, unknown_rounds, folds, trimmed_rows, .. } = counts.met;
            let Met { creations_cut, recoveries_cut, folds_cut, .. } = counts.met;
            let folds = [unfinished_folds, folds, folds_cut, trimmed_rows];
            for met in folds.into_iter().chain([unknown_rounds, creations_cut]) {
                assert!(met * 200 >= crashes, "{:?}", counts.met);
            }
            assert!(recoveries_cut * 10 >= crashes, "{:?}", counts.met);
        }
        seed => {
            let mut counts = Counts::default();
            chain(seed, CRASHES_OF_A_DISK, Lies::default(), false, &mut counts).unwrap();
        }
    }
}

/// How many of ten chains find a planted bug, by a broken promise or a panic of the library.
fn found(lies: Lies, trims_ahead: bool) -> usize {
    let is_found = |seed: &u64| {
        let run = || chain(*seed, 40, lies, trims_ahead, &mut Counts::default());
        !matches!(catch_unwind(run), Ok(Ok(())))
    };
    (1..=10).filter(is_found).count()
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    for name in ["journal", "state"] {
        let lies = Lies { sync_of: Some(name), ..Lies::default() };
        assert!(found(lies, false) >= 5, "{name}");
    }
}

#[test]
fn a_journal_that_is_trimmed_ahead_of_the_fold_is_found_out() {
    assert!(found(Lies::default(), true) >= 5);
}
