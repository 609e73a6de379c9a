//! Random schedules (T12): workers, sequencer, committer and fold are stepped one at a time in an order
//! drawn from a seed, a rendezvous in its single moves, on a disk that loses power in between.
//! What was answered is there afterwards, nothing is given twice, every request is answered once,
//! and every state that was lent comes back.
//!
//! `ADDRD_SCHEDULES` sets how many seeds are tried, `ADDRD_SCHEDULE_SEED` tries that one alone. A
//! failing seed is named in the panic.

mod auditing;
mod chronicle;
mod clients;
mod followers;
mod hosts;
mod oracle;
mod quotas;
mod requests;
mod sharing;
mod terms;
mod watching;

use super::stage::{
    DiskOperation, Failure, FakeDisk, Fault, Random, Stage, Whole, blank_disk, plan_fault,
};
use super::*;
use chronicle::Chronicle;
use clients::Clients;
use followers::Followers;
use hosts::Hosts;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use terms::Terms;
use watching::Watcher;

/// Everybody who asks something of the engine.
#[derive(Default)]
struct Tenants {
    clients: Clients,
    terms: Terms,
    hosts: Hosts,
    followers: Followers,
}

impl Tenants {
    fn recovered(&mut self, stage: &Stage) {
        let (whole, now) = (stage.whole(), stage.clock.tick());
        self.clients.recovered(&whole);
        self.terms.recovered(&whole, now);
        self.hosts.recovered(&whole);
        self.followers.recovered(&whole, now);
    }

    fn set_up(&mut self, engine: &Engine) {
        self.clients.set_up(engine);
        self.terms.set_up(engine);
        self.hosts.set_up(engine);
        self.followers.set_up(engine);
    }

    fn send(&mut self, engine: &Engine, random: &mut Random) {
        match random.below(16) {
            0..4 => self.clients.send(engine, random),
            4 | 5 => self.terms.send(engine, random),
            6 | 7 => self.hosts.send(engine, random),
            8 | 9 => self.followers.send(engine, random),
            _ => {}
        }
    }

    fn take_answers(&mut self, now: Tick) {
        self.clients.take_answers(now);
        self.terms.take_answers(now);
        self.hosts.take_answers(now);
        self.followers.take_answers(now);
    }

    /// Everything is at rest.
    fn check(&self, whole: &Whole, now: Tick) {
        let waiting = self.clients.waiting() + self.terms.waiting();
        let waiting = waiting + self.hosts.waiting() + self.followers.waiting();
        assert_eq!(waiting, 0, "every request is answered once");
        terms::check_ends(whole, now);
        self.hosts.check(whole);
    }

    fn cut_off(&mut self) {
        self.clients.cut_off();
        self.terms.cut_off();
        self.hosts.cut_off();
        self.followers.cut_off();
    }
}

/// Lives of one engine, one after the other, from one seed. How often who watched had the exact state, how much was
/// released by reconciliations, how many entries of history were compared, and how often what follows a host was seen.
fn run(blank: &FakeDisk, seed: u64) -> [u64; 4] {
    let random = &mut Random::new(seed);
    let mut disk = blank.fork().restart();
    let (mut tenants, mut watcher) = (Tenants::default(), Watcher::default());
    let mut chronicle = Chronicle::new(random);
    let mut history = FakeDisk::new();
    for _ in 0..3 {
        let workers = 1 + random.below(3) as u16;
        let mut stage = Stage::recover_with(disk, workers, (history, chronicle.settings));
        chronicle.begin(&mut stage, random);
        tenants.recovered(&stage);
        watcher.recovered(&mut stage);
        tenants.set_up(&stage.engine);
        stage.settle().expect("nothing fails yet");
        tenants.take_answers(stage.clock.tick());
        if random.below(3) == 0 {
            let failure = if random.below(2) == 0 { Failure::Power } else { Failure::Error(5) };
            let at = stage.disk.count(DiskOperation::Any) + 1 + random.below(400);
            let operation = DiskOperation::Any;
            stage.disk.plan(Fault { operation, at, failure, for_good: true });
        }
        let lived = live(&mut stage, &mut tenants, &mut chronicle, random);
        let at_rest = match lived {
            // Half of the lives end in the middle of things.
            Ok(true) if random.below(2) == 0 => stage.settle().is_ok().then(|| stage.whole()),
            _ => None,
        };
        tenants.take_answers(stage.clock.tick());
        watcher.take();
        if let Some(whole) = &at_rest {
            if stage.read_feed() {
                watcher.check(whole);
            }
            tenants.check(whole, stage.clock.tick());
            stage.read_history();
        }
        tenants.hosts.count(&stage);
        chronicle.check(&stage, random);
        (disk, history) = stage.crash_both(random);
        tenants.cut_off();
        watcher.cut_off();
        if let Some(before) = at_rest {
            let again = Stage::recover(disk.fork().restart(), 1 + random.below(3) as u16);
            assert_eq!(again.whole(), before, "at rest everything is on the disk");
        }
    }
    let mut last = Stage::recover_with(disk, 2, (history, chronicle.settings));
    last.read_history();
    chronicle.check(&last, random);
    tenants.recovered(&last);
    tenants.hosts.end(&mut last);
    tenants.hosts.count(&last);
    tenants.followers.end(&mut last);
    [watcher.agreed, tenants.hosts.released, chronicle.compared, tenants.followers.seen]
}

/// Some hundred moves. False: it ends in the middle of things, on purpose.
fn live(
    stage: &mut Stage,
    tenants: &mut Tenants,
    chronicle: &mut Chronicle,
    random: &mut Random,
) -> Result<bool, StoreError> {
    for _ in 0..200 + random.below(1_000) {
        tenants.send(&stage.engine, random);
        stage.step(random)?;
        chronicle.note(stage);
        if random.below(100) == 0 {
            chronicle.check(stage, random);
        }
        tenants.take_answers(stage.clock.tick());
        if std::mem::take(&mut tenants.clients.has_seen_unanswered) && random.below(4) == 0 {
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
    let mut sums = [0; 4];
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
    let [agreed, released, compared, followed] = sums;
    assert!(count < 20 || released >= count, "hosts had {released} released in {count} seeds");
    assert!(count < 20 || compared >= count * 10, "{compared} entries of history in {count} seeds");
    assert!(count < 20 || followed >= count * 4, "{followed} followed a host in {count} seeds");
    assert!(count < 20 || agreed >= count / 2, "who watches had {agreed} states in {count} seeds");
}

#[expect(clippy::print_stderr, reason = "the seed of a failing run is read in its output")]
fn report(seed: u64) {
    eprintln!("ADDRD_SCHEDULE_SEED={seed} fails");
}
