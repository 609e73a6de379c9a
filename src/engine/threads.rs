//! Thread shells around the step functions: sleep, wake, stop, and end the process when a loop
//! fails. Decides nothing.

use super::Progress;
use super::auditor::Auditor;
use super::committer::Committer;
use super::feeder::Feeder;
use super::fold::Fold;
use super::handle::Door;
use super::historian::Historian;
use super::history::Librarian;
use super::sequencer::{Agenda, Lent, Sequencer, loan};
use super::worker::{Work, Worker};
use crate::limits;
use addrd_sync::{Class, Cost, Flag, Waiter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Longest sleep of a loop: each turns at least this often, which `/livez` relies on.
const SLEEP_MAX: Duration = Duration::from_millis(SLEEP_MAX_MS);
const SLEEP_MAX_MS: u64 = 1_000;
/// Sleep of a loop that waits for room in the next thread's ring, unless it is woken before.
const BLOCKED_SLEEP: Duration = Duration::from_millis(BLOCKED_SLEEP_MS);
const BLOCKED_SLEEP_MS: u64 = 1;

/// Longest time that the committer waits for room in the journal. What was handed over has an unknown
/// outcome then, and the next start begins with what is on the disk.
const BLOCKED_MAX: Duration = Duration::from_millis(limits::JOURNAL_BLOCKED_MS_MAX);
/// Pause of the committer between two rounds while the journal is nearly full.
const CROWDED_PAUSE: Duration = Duration::from_millis(limits::CROWDED_PAUSE_MS);

/// Pause of the feeder between two pieces.
const FEED_PAUSE: Duration = Duration::from_millis(limits::FEED_PAUSE_MS);
/// Its pause when it has to begin anew.
const FEED_RETRY: Duration = Duration::from_millis(limits::FEED_RETRY_MS);

/// Called once when a thread cannot go on; must not return to a state in which requests are served.
pub type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts a thread whose panic or error stops the process.
pub(super) fn spawn(
    name: &str,
    on_failure: OnFailure,
    body: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let thread_name = name.to_owned();
    Builder::new().name(thread_name.clone()).spawn(move || {
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => {}
            Ok(Err(text)) => on_failure(&format!("{thread_name}: {text}")),
            Err(_) => {
                on_failure(&format!("{thread_name}: a broken invariant (see the panic above)"))
            }
        }
    })
}

/// Runs a worker until its ring is closed and empty.
pub(super) fn run_worker(mut worker: Worker, mut waiter: Waiter, stop: &Flag) {
    loop {
        if stop.is_raised() {
            worker.close();
        }
        match worker.step() {
            Progress::Worked => {}
            Progress::Idle => {
                worker.turned();
                let wake = || worker.has_work() || stop.is_raised() && !worker.is_closed();
                // A second, or until the next lease ends; those whose drains are waited for don't ring.
                let most = if worker.waits_for_others() { BLOCKED_SLEEP_MS } else { SLEEP_MAX_MS };
                let sleep = Duration::from_millis(worker.sleep_ms(most));
                waiter.wait_until_timeout(sleep, wake);
                worker.turned();
            }
            Progress::Blocked => {
                waiter.wait_until_timeout(BLOCKED_SLEEP, || worker.has_room());
            }
            Progress::Finished => return,
        }
    }
}

/// Runs the sequencer until its ring is closed and empty. The workers must outlive it.
pub(super) fn run_sequencer(
    mut sequencer: Sequencer,
    mut waiter: Waiter,
    doors: &[Door],
    stop: &Flag,
) {
    loop {
        if stop.is_raised() {
            sequencer.close();
        }
        match sequencer.take() {
            Ok(agenda) if agenda.needs_workers() => rendezvous(&mut sequencer, agenda, doors),
            Ok(agenda) => {
                sequencer.decide(agenda, &mut []);
            }
            Err(Progress::Finished) => return,
            Err(Progress::Blocked) => {
                waiter.wait_until_timeout(BLOCKED_SLEEP, || false);
            }
            Err(Progress::Idle | Progress::Worked) => {
                sequencer.turned();
                let wake = || sequencer.has_work() || stop.is_raised() && !sequencer.is_closed();
                // A second, or until the next lease ends.
                let sleep = Duration::from_millis(sequencer.sleep_ms(SLEEP_MAX_MS));
                waiter.wait_until_timeout(sleep, wake);
                sequencer.turned();
            }
        }
    }
}

/// Borrows the states of all workers, decides, gives them back.
fn rendezvous(sequencer: &mut Sequencer, agenda: Agenda, doors: &[Door]) {
    let borrowings: Vec<_> = doors
        .iter()
        .map(|door| {
            let (worker_end, own_end) = loan();
            ask(door, Work::Lend(worker_end));
            own_end
        })
        .collect();
    let mut lent: Vec<Lent> = borrowings.iter().map(super::sequencer::Borrowing::take).collect();
    let mut shards: Vec<_> = lent.iter_mut().map(|lent| &mut *lent.shard).collect();
    let number = sequencer.decide(agenda, &mut shards);
    for (borrowing, mut lent) in borrowings.into_iter().zip(lent) {
        lent.sequenced = number;
        borrowing.give_back(lent);
    }
}

/// Puts the request behind everything that the worker's ring holds. Waits for a slot if need be:
/// the worker empties its ring meanwhile.
fn ask(door: &Door, mut work: Work) {
    while let Err(full) = door.ring.try_push(work, Cost::new(0, 0), Class::Reserved) {
        assert!(full.bound.may_pass(), "a worker ended before the sequencer: {}", full.bound);
        work = full.item;
        door.bell.ring();
        std::thread::sleep(BLOCKED_SLEEP);
    }
    door.bell.ring();
}

/// Runs the committer until every hand-over is durable and none can come.
pub(super) fn run_committer(mut committer: Committer, mut waiter: Waiter) -> Result<(), String> {
    let mut blocked_since = None;
    loop {
        let progress = committer.step().map_err(|error| error.to_string())?;
        if progress != Progress::Blocked {
            blocked_since = None;
        }
        match progress {
            Progress::Worked if committer.is_crowded() => {
                waiter.wait_until_timeout(CROWDED_PAUSE, || !committer.is_crowded());
            }
            Progress::Worked => {}
            Progress::Idle => {
                committer.turned();
                waiter.wait_until_timeout(SLEEP_MAX, || committer.has_work());
                committer.turned();
                if !committer.has_work() {
                    committer.settle().map_err(|error| error.to_string())?;
                }
            }
            Progress::Blocked => {
                if blocked_since.get_or_insert_with(Instant::now).elapsed() > BLOCKED_MAX {
                    return Err("the journal is full and the fold makes no room".to_owned());
                }
                committer.turned();
                waiter.wait_until_timeout(SLEEP_MAX, || committer.has_room());
            }
            Progress::Finished => return Ok(()),
        }
    }
}

/// Runs the fold until it is told to stop, then folds what is left.
pub(super) fn run_fold(mut fold: Fold, mut waiter: Waiter, stop: &Flag) -> Result<(), String> {
    loop {
        if stop.is_raised() {
            return fold.finish().map_err(|error| error.to_string());
        }
        let pause = fold.step().map_err(|error| error.to_string())?;
        if !pause.is_zero() {
            waiter.wait_until_timeout(pause, || stop.is_raised() || fold.is_wanted());
        }
    }
}

/// Runs the historian until it is told to stop, then takes what is left.
pub(super) fn run_historian(mut historian: Historian, mut waiter: Waiter, stop: &Flag) {
    let pause = Duration::from_millis(limits::HISTORY_PAUSE_MS);
    let idle = Duration::from_millis(limits::HISTORY_IDLE_MS);
    while !stop.is_raised() {
        let pause = match historian.step() {
            Progress::Worked | Progress::Blocked => pause,
            Progress::Idle | Progress::Finished => idle,
        };
        waiter.wait_until_timeout(pause, || historian.is_wanted() || stop.is_raised());
    }
    historian.finish();
}

/// Runs the auditor until it is told to stop; then it writes what is durable.
pub(super) fn run_auditor(mut auditor: Auditor, mut waiter: Waiter, stop: &Flag) {
    let pause = Duration::from_millis(limits::AUDIT_PAUSE_MS);
    while !stop.is_raised() {
        let pause = match auditor.step() {
            Progress::Worked if auditor.has_work() => Duration::ZERO,
            _ => pause,
        };
        if !pause.is_zero() {
            waiter.wait_until_timeout(pause, || stop.is_raised());
        }
    }
    auditor.finish();
}

/// Runs the librarian until it is told to stop and no question waits.
pub(super) fn run_librarian(mut librarian: Librarian, mut waiter: Waiter, stop: &Flag) {
    while librarian.has_work() || !stop.is_raised() {
        if librarian.step() {
            waiter.wait_until_timeout(BLOCKED_SLEEP, || false);
        } else {
            waiter.wait_until_timeout(SLEEP_MAX, || librarian.has_work() || stop.is_raised());
        }
    }
}

/// Runs the feeder until it is told to stop.
pub(super) fn run_feeder(mut feeder: Feeder, mut waiter: Waiter, stop: &Flag) {
    while !stop.is_raised() {
        let pause = match feeder.step() {
            Progress::Worked => FEED_PAUSE,
            Progress::Blocked => FEED_RETRY,
            Progress::Idle | Progress::Finished => Duration::ZERO,
        };
        if pause.is_zero() {
            waiter.wait_until_timeout(SLEEP_MAX, || feeder.has_work() || stop.is_raised());
        } else {
            waiter.wait_until_timeout(pause, || stop.is_raised());
        }
    }
}
