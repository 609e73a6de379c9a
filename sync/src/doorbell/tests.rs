//! Tests of the doorbell alone, and of the ring and flags behind it. A lost wake-up shows as a
//! deadlock: loom reports it, a stress run hangs.
//!
//! Whoever waits does so in a thread of its own and ends afterwards: loom would take a late unpark
//! for the end of a join.

use super::*;
use crate::testing::{Shelf, model, size, spawn};
use crate::{Bounds, Class, Consumer, Cost, Flag, NoRoom, Producer, ring};

const ONE: Cost = Cost::new(1, 1);
const BOUNDS: Bounds = Bounds { slots: 2, operations_max: 2, operations_reserved: 0, bytes_max: 2 };

#[test]
fn loom_a_ring_wakes_whoever_is_about_to_sleep() {
    for _ in 0..size(1, 2_000) {
        model(|| {
            let (bell, mut waiter) = doorbell();
            let work = Arc::new(Shelf::new());
            let sleeper = {
                let work = Arc::clone(&work);
                spawn(move || waiter.wait_until(|| work.look() == 1))
            };
            work.put(1);
            bell.ring();
            sleeper.join().unwrap();
        });
    }
}

#[test]
fn loom_each_of_two_ringers_is_heard() {
    for _ in 0..size(1, 1_000) {
        model(|| {
            let (bell, mut waiter) = doorbell();
            let work = [Arc::new(Shelf::new()), Arc::new(Shelf::new())];
            let sleeper = {
                let [left, right] = work.clone();
                spawn(move || waiter.wait_until(|| left.look() + right.look() == 2))
            };
            let other = {
                let (bell, work) = (bell.clone(), Arc::clone(&work[0]));
                spawn(move || {
                    work.put(1);
                    bell.ring();
                })
            };
            work[1].put(1);
            bell.ring();
            other.join().unwrap();
            sleeper.join().unwrap();
        });
    }
}

#[test]
fn loom_a_waiter_can_wait_again() {
    let rounds = size(2, 20_000);
    model(move || {
        let (bell, mut waiter) = doorbell();
        let work = Arc::new(Shelf::new());
        let sleeper = {
            let work = Arc::clone(&work);
            spawn(move || (1..=rounds).for_each(|round| waiter.wait_until(|| work.look() >= round)))
        };
        for round in 1..=rounds {
            work.put(round);
            bell.ring();
        }
        sleeper.join().unwrap();
    });
}

/// The loop of a worker: pop what is there, sleep when nothing is, stop when nothing can come.
fn pop_all(mut consumer: Consumer<u64>, waiter: &mut Waiter) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        waiter.wait_until(|| !consumer.is_empty() || consumer.is_finished());
        match consumer.pop() {
            Some((item, _)) => seen.push(item),
            None if consumer.is_finished() => return seen,
            None => {}
        }
    }
}

/// Fields in the order of their drops: first the producer, then the bell.
struct Inlet {
    producer: Producer<u64>,
    bell: RingOnDrop,
}

impl Inlet {
    fn push(&self, item: u64) {
        self.producer.try_push(item, ONE, Class::Ordinary).unwrap();
        self.bell.0.ring();
    }
}

#[test]
fn loom_a_consumer_asleep_hears_every_push_and_the_end() {
    for _ in 0..size(1, 1_000) {
        model(|| {
            let (producer, consumer) = ring(BOUNDS);
            let (bell, mut waiter) = doorbell();
            let worker = spawn(move || pop_all(consumer, &mut waiter));
            let other = {
                let (producer, bell) = (producer.clone(), RingOnDrop(bell.clone()));
                spawn(move || Inlet { producer, bell }.push(1))
            };
            Inlet { producer, bell: RingOnDrop(bell) }.push(2);
            other.join().unwrap();
            let mut seen = worker.join().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
        });
    }
}

/// Backpressure both ways: the pusher sleeps until there is room, the popper until there is work.
#[test]
fn loom_a_pusher_asleep_hears_that_room_came_back() {
    let rounds = size(2, 20_000);
    model(move || {
        let one_slot = Bounds { slots: 1, ..BOUNDS };
        let (producer, mut consumer) = ring(one_slot);
        let (work_bell, mut worker) = doorbell();
        let (room_bell, mut pusher) = doorbell();
        let popping = spawn(move || {
            for expected in 0..rounds {
                worker.wait_until(|| !consumer.is_empty());
                assert_eq!(consumer.pop(), Some((expected, ONE)));
                room_bell.ring();
            }
        });
        let pushing = spawn(move || {
            for item in 0..rounds {
                pusher.wait_until(|| producer.has_room(ONE, Class::Ordinary));
                producer.try_push(item, ONE, Class::Ordinary).unwrap();
                work_bell.ring();
            }
        });
        pushing.join().unwrap();
        popping.join().unwrap();
    });
}

/// Shutdown: the flag is raised while operations are on their way; what was admitted is worked off,
/// what comes later is refused, and the worker ends.
#[test]
fn loom_a_worker_stops_when_told_and_loses_nothing_that_was_admitted() {
    for _ in 0..size(1, 1_000) {
        model(|| {
            let (producer, consumer) = ring::<u64>(BOUNDS);
            let (bell, mut waiter) = doorbell();
            let stop = Arc::new(Flag::new());
            let worker = {
                let stop = Arc::clone(&stop);
                spawn(move || {
                    waiter.wait_until(|| stop.is_raised() || !consumer.is_empty());
                    consumer.close();
                    pop_all(consumer, &mut waiter).len()
                })
            };
            let pusher = {
                let bell = RingOnDrop(bell.clone());
                spawn(move || {
                    let pushed = producer.try_push(1, ONE, Class::Ordinary);
                    assert!(pushed.as_ref().err().is_none_or(|full| full.bound == NoRoom::Closed));
                    bell.0.ring();
                    usize::from(pushed.is_ok())
                })
            };
            stop.raise();
            bell.ring();
            assert_eq!(pusher.join().unwrap(), worker.join().unwrap());
        });
    }
}

#[test]
#[cfg(not(loom))]
fn a_wait_with_a_deadline_ends_by_work_or_by_time() {
    use std::time::Duration;
    let (bell, mut waiter) = doorbell();
    assert!(!waiter.wait_until_timeout(Duration::ZERO, || false));
    assert!(waiter.wait_until_timeout(Duration::ZERO, || true));
    let work = Arc::new(Shelf::new());
    let sleeper = {
        let work = Arc::clone(&work);
        spawn(move || waiter.wait_until_timeout(Duration::MAX, || work.look() == 1))
    };
    work.put(1);
    bell.ring();
    assert!(sleeper.join().unwrap());
}

#[test]
#[cfg(not(loom))]
fn waits_with_deadlines_lose_no_wake_up() {
    let rounds = size(0, 20_000);
    let (bell, mut waiter) = doorbell();
    let work = Arc::new(Shelf::new());
    let sleeper = {
        let work = Arc::clone(&work);
        spawn(move || {
            (1..=rounds).all(|round| {
                waiter.wait_until_timeout(std::time::Duration::MAX, || work.look() >= round)
            })
        })
    };
    for round in 1..=rounds {
        work.put(round);
        bell.ring();
    }
    assert!(sleeper.join().unwrap());
}
