//! Drain counters: has every other worker left the drain that it was in? It waits for nobody and
//! wakes nobody; who wants to know asks again.
//!
//! A refusal that rests on what other workers did (a quota that they used up) must not reach the
//! journal before their hand-overs. The refusing worker takes a snapshot, and hands its refusal
//! over once the snapshot has passed: then each of those hand-overs was pushed.

use crate::padded::Padded;
use crate::prim::{Arc, AtomicU64, Ordering};

/// Makes one counter for each of `workers` workers, and the watch over all of them.
///
/// Units: the place in the list is the worker's number, 0-based.
#[must_use]
pub fn drains(workers: usize) -> (Vec<DrainCounter>, DrainWatch) {
    let counters: Arc<Counters> =
        Arc::new((0..workers).map(|_| Padded(AtomicU64::new(0))).collect());
    let each = (0..workers)
        .map(|worker| DrainCounter { counters: Arc::clone(&counters), worker, count: 0 })
        .collect();
    (each, DrainWatch { counters })
}

type Counters = Vec<Padded<AtomicU64>>;

/// One worker's counter, odd while it is inside a drain. There is one a worker.
#[derive(Debug)]
pub struct DrainCounter {
    counters: Arc<Counters>,
    worker: usize,
    /// This end's own copy of the counter, which nobody else writes.
    count: u64,
}

impl DrainCounter {
    /// Says that a drain begins: call it before the first operation is applied.
    ///
    /// Panics: inside a drain.
    pub fn enter(&mut self) {
        assert!(!self.is_inside(), "a drain begins inside a drain");
        self.count += 1;
        // Relaxed: who must see it is led here by something that the drain did later, such as a
        // quota it took, and that publishes it.
        self.counters[self.worker].store(self.count, Ordering::Relaxed);
    }

    /// Says that a drain is over: call it after its hand-over was pushed.
    ///
    /// Panics: outside of a drain.
    pub fn leave(&mut self) {
        assert!(self.is_inside(), "a drain ends that never began");
        self.count += 1;
        // Release: pairs with the acquire in `DrainWatch::has_passed`; the hand-over is in the
        // ring before the drain counts as left.
        self.counters[self.worker].store(self.count, Ordering::Release);
    }

    /// True between [`DrainCounter::enter`] and [`DrainCounter::leave`].
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.count % 2 == 1
    }

    /// This worker's number.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }
}

/// Sees the counters of all workers.
#[derive(Clone, Debug)]
pub struct DrainWatch {
    counters: Arc<Counters>,
}

/// Which drains were under way at one moment. Empty, and free of memory, if there were none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainSnapshot {
    inside: Vec<(usize, u64)>,
}

impl DrainWatch {
    /// The drains under way now, without those of worker `except`.
    ///
    /// Concurrency: it includes each drain that took from a quota cell before this thread was
    /// refused by that cell.
    #[must_use]
    pub fn snapshot(&self, except: Option<usize>) -> DrainSnapshot {
        let inside = self
            .counters
            .iter()
            .enumerate()
            .filter(|&(worker, _)| Some(worker) != except)
            // Acquire: pairs with the release in `leave`. A drain that is over already is left out,
            // and its hand-over must come before ours none the less.
            .map(|(worker, counter)| (worker, counter.load(Ordering::Acquire)))
            .filter(|&(_, count)| count % 2 == 1)
            .collect();
        DrainSnapshot { inside }
    }

    /// True if every drain of the snapshot is over, hand-over included.
    #[must_use]
    pub fn has_passed(&self, snapshot: &DrainSnapshot) -> bool {
        snapshot
            .inside
            .iter()
            // Acquire: pairs with the release in `leave`.
            .all(|&(worker, count)| self.counters[worker].load(Ordering::Acquire) > count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Shelf, model, pass, size, spawn};
    use crate::{Bounds, Class, Cost, QuotaCell, ring};

    #[test]
    fn a_snapshot_passes_when_each_drain_in_it_is_left() {
        model(|| {
            let (mut counters, watch) = drains(3);
            assert!(watch.has_passed(&watch.snapshot(None)));
            counters[0].enter();
            counters[2].enter();
            let of_others = watch.snapshot(Some(0));
            let of_all = watch.snapshot(None);
            assert!(!watch.has_passed(&of_others));
            counters[2].leave();
            assert!(watch.has_passed(&of_others));
            assert!(!watch.has_passed(&of_all));
            counters[2].enter();
            assert!(watch.has_passed(&of_others), "a later drain doesn't count");
            counters[0].leave();
            assert!(watch.has_passed(&of_all));
        });
    }

    #[test]
    #[should_panic(expected = "inside a drain")]
    fn drains_do_not_nest() {
        model(|| {
            let (mut counters, _) = drains(1);
            counters[0].enter();
            counters[0].enter();
        });
    }

    #[test]
    fn loom_what_a_drain_did_is_seen_once_it_has_passed() {
        let rounds = size(1, 10_000);
        model(move || {
            let (mut counters, watch) = drains(1);
            let mut counter = counters.remove(0);
            let shelf = Arc::new(Shelf::new());
            let worker = {
                let shelf = Arc::clone(&shelf);
                spawn(move || {
                    for round in 1..=rounds {
                        counter.enter();
                        shelf.put(round);
                        counter.leave();
                    }
                })
            };
            let snapshot = watch.snapshot(None);
            let expected = snapshot.inside.first().map_or(0, |&(_, count)| count.div_ceil(2));
            while !watch.has_passed(&snapshot) {
                pass();
            }
            assert!(shelf.look() >= expected);
            worker.join().unwrap();
        });
    }

    /// The use that the counters were made for: what a refusal reveals is in the ring before it.
    #[test]
    fn loom_a_quota_refusal_is_handed_over_behind_what_it_reveals() {
        const ITEM: Cost = Cost::new(1, 1);
        let bounds = Bounds { slots: 4, operations_max: 4, operations_reserved: 0, bytes_max: 4 };
        for _ in 0..size(1, 2_000) {
            model(move || {
                let (mut counters, watch) = drains(2);
                let (mut second, mut first) = (counters.remove(1), counters.remove(0));
                let quota = Arc::new(QuotaCell::new(1));
                let (producer, mut consumer) = ring(bounds);
                let taker = {
                    let (quota, producer) = (Arc::clone(&quota), producer.clone());
                    spawn(move || {
                        first.enter();
                        let verdict = if quota.take(1).is_ok() { "taken" } else { "refused" };
                        if verdict == "taken" {
                            producer.try_push(verdict, ITEM, Class::Ordinary).unwrap();
                        }
                        first.leave();
                    })
                };
                second.enter();
                let refused = quota.take(1).is_err();
                let snapshot = watch.snapshot(Some(second.worker()));
                second.leave();
                if refused {
                    while !watch.has_passed(&snapshot) {
                        pass();
                    }
                    producer.try_push("refused", ITEM, Class::Ordinary).unwrap();
                    assert_eq!(consumer.pop().map(|(verdict, _)| verdict), Some("taken"));
                    assert_eq!(consumer.pop().map(|(verdict, _)| verdict), Some("refused"));
                }
                taker.join().unwrap();
            });
        }
    }
}
