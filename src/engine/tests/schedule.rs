//! Random schedules (T12): workers, sequencer, committer and fold are stepped one at a time in an order
//! drawn from a seed, a rendezvous in its single moves, on a disk that loses power in between.
//! What was answered is there afterwards, nothing is given twice, every request is answered once,
//! and every state that was lent comes back.
//!
//! `ADDRD_SCHEDULES` sets how many seeds are tried, `ADDRD_SCHEDULE_SEED` tries that one alone. A
//! failing seed is named in the panic.

mod chronicle;
mod clients;
mod hosts;
mod oracle;
mod quotas;
mod requests;
mod sharing;
mod terms;
mod watching;

use super::stage::{DiskOperation, Failure, FakeDisk, Fault, Random, Stage, Whole, blank_disk};
use super::*;
use chronicle::Chronicle;
use clients::Clients;
use hosts::Hosts;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use terms::Terms;
use watching::Watcher;

/// Lives of one engine, one after the other, from one seed. How often who watched had the exact state, how much was
/// released by reconciliations, and how many entries of history were compared.
fn run(blank: &FakeDisk, seed: u64) -> [u64; 3] {
    let random = &mut Random::new(seed);
    let mut disk = blank.fork().restart();
    let (mut clients, mut terms) = (Clients::default(), Terms::default());
    let (mut watcher, mut hosts) = (Watcher::default(), Hosts::default());
    let mut chronicle = Chronicle::new(random);
    let mut history = FakeDisk::new();
    for life in 0..3 {
        let workers = 1 + random.below(3) as u16;
        let mut stage = Stage::recover_with(disk, workers, (history, chronicle.settings));
        chronicle.begin(&mut stage, random);
        clients.recovered(&stage.whole());
        terms.recovered(&stage.whole(), stage.clock.tick());
        watcher.recovered(&mut stage);
        hosts.recovered(&stage.whole());
        clients.set_up(&stage.engine);
        terms.set_up(&stage.engine);
        hosts.set_up(&stage.engine);
        stage.settle().expect("nothing fails yet");
        clients.take_answers(stage.clock.tick());
        hosts.take_answers(stage.clock.tick());
        if random.below(3) == 0 {
            let failure = if random.below(2) == 0 { Failure::Power } else { Failure::Error(5) };
            let at = stage.disk.count(DiskOperation::Any) + 1 + random.below(400);
            let operation = DiskOperation::Any;
            stage.disk.plan(Fault { operation, at, failure, for_good: true });
        }
        let tenants = (&mut clients, &mut terms, &mut hosts);
        let lived = live(&mut stage, tenants, &mut chronicle, random);
        let at_rest = match lived {
            // Half of the lives end in the middle of things.
            Ok(true) if random.below(2) == 0 => stage.settle().is_ok().then(|| stage.whole()),
            _ => None,
        };
        clients.take_answers(stage.clock.tick());
        terms.take_answers(stage.clock.tick());
        hosts.take_answers(stage.clock.tick());
        watcher.take();
        if let Some(whole) = &at_rest {
            if stage.read_feed() {
                watcher.check(whole);
            }
            let waiting = clients.waiting() + terms.waiting() + hosts.waiting();
            assert_eq!(waiting, 0, "every request is answered once, life {life}");
            terms::check_ends(whole, stage.clock.tick());
            hosts.check(whole);
            stage.read_history();
        }
        hosts.count(&stage);
        chronicle.check(&stage, random);
        (disk, history) = stage.crash_both(random);
        clients.cut_off();
        terms.cut_off();
        hosts.cut_off();
        watcher.cut_off();
        if let Some(before) = at_rest {
            let again = Stage::recover(disk.fork().restart(), 1 + random.below(3) as u16);
            assert_eq!(again.whole(), before, "at rest everything is on the disk");
        }
    }
    let mut last = Stage::recover_with(disk, 2, (history, chronicle.settings));
    last.read_history();
    chronicle.check(&last, random);
    clients.recovered(&last.whole());
    terms.recovered(&last.whole(), last.clock.tick());
    hosts.recovered(&last.whole());
    hosts.end(&mut last);
    hosts.count(&last);
    [watcher.agreed, hosts.released, chronicle.compared]
}

/// Some hundred moves. False: it ends in the middle of things, on purpose.
fn live(
    stage: &mut Stage,
    (clients, terms, hosts): (&mut Clients, &mut Terms, &mut Hosts),
    chronicle: &mut Chronicle,
    random: &mut Random,
) -> Result<bool, StoreError> {
    for _ in 0..200 + random.below(1_000) {
        match random.below(14) {
            0..4 => clients.send(&stage.engine, random),
            4 | 5 => terms.send(&stage.engine, random),
            6 | 7 => hosts.send(&stage.engine, random),
            _ => {}
        }
        stage.step(random)?;
        chronicle.note(stage);
        if random.below(100) == 0 {
            chronicle.check(stage, random);
        }
        clients.take_answers(stage.clock.tick());
        terms.take_answers(stage.clock.tick());
        hosts.take_answers(stage.clock.tick());
        if std::mem::take(&mut clients.has_seen_unanswered) && random.below(4) == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn random_schedules_lose_nothing_and_give_nothing_twice() {
    let blank = blank_disk();
    let seeds = match number("ADDRD_SCHEDULE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ADDRD_SCHEDULES").unwrap_or(60),
    };
    let count = seeds.end - seeds.start;
    let mut sums = [0; 3];
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(&blank, seed))) {
            Ok(counts) => sums.iter_mut().zip(counts).for_each(|(sum, one)| *sum += one),
            Err(panic) => {
                // Said here, since the panic itself does not know it.
                report(seed);
                resume_unwind(panic);
            }
        }
    }
    let [agreed, released, compared] = sums;
    assert!(count < 20 || released >= count, "hosts had {released} released in {count} seeds");
    assert!(count < 20 || compared >= count * 10, "{compared} entries of history in {count} seeds");
    assert!(count < 20 || agreed >= count / 2, "who watches had {agreed} states in {count} seeds");
}

#[expect(clippy::print_stderr, reason = "the seed of a failing run is read in its output")]
fn report(seed: u64) {
    eprintln!("ADDRD_SCHEDULE_SEED={seed} fails");
}
