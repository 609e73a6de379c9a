//! Tests of the ring: order, bounds, closing, dropping.

use super::*;
use crate::DurableMark;
use crate::testing::{model, pass, size, spawn};

const ONE: Cost = Cost::new(1, 1);

fn bounds(slots: u32) -> Bounds {
    Bounds { slots, operations_max: 1_000, operations_reserved: 0, bytes_max: 1_000_000 }
}

fn push_until_taken<T>(producer: &Producer<T>, mut item: T, cost: Cost) {
    while let Err(full) = producer.try_push(item, cost, Class::Ordinary) {
        assert!(full.bound.may_pass(), "{full:?}");
        item = full.item;
        pass();
    }
}

fn items<T: Send>(consumer: &mut Consumer<T>) -> Vec<T> {
    std::iter::from_fn(|| consumer.pop()).map(|(item, _)| item).collect()
}

/// Pushes from `producers` threads, pops in this one until all are gone, checks that each
/// producer's items arrive once and in order, and that the depth is within the bounds throughout.
fn exchange(producers: u64, each: u64, bounds: Bounds) {
    let (producer, mut consumer) = ring(bounds);
    let threads: Vec<_> = (0..producers)
        .map(|number| {
            let producer = producer.clone();
            spawn(move || {
                for count in 0..each {
                    let cost = Cost::new(1 + (count % 3) as u32, (count % 7) as u32);
                    push_until_taken(&producer, (number, count), cost);
                }
            })
        })
        .collect();
    drop(producer);
    let mut next = vec![0; producers as usize];
    let mut batch = Vec::new();
    while !consumer.is_finished() {
        let depth = consumer.depth();
        assert!(depth.slots <= bounds.slots && depth.operations <= bounds.operations_max);
        assert!(depth.bytes <= bounds.bytes_max);
        consumer.pop_many(Cost::new(5, 20), &mut batch);
        if batch.is_empty() {
            pass();
        }
        for ((number, count), cost) in batch.drain(..) {
            assert_eq!(count, next[number as usize], "an item is lost, doubled or out of order");
            assert_eq!(cost, Cost::new(1 + (count % 3) as u32, (count % 7) as u32));
            next[number as usize] += 1;
        }
    }
    assert!(next.iter().all(|&count| count == each), "items are missing: {next:?}");
    assert_eq!(consumer.depth(), Depth::default());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn loom_items_of_one_producer_arrive_once_and_in_order() {
    model(|| exchange(1, size(3, 100_000), bounds(1)));
}

#[test]
fn loom_items_of_two_producers_arrive_once_and_in_order() {
    model(|| exchange(2, size(1, 100_000), bounds(2)));
}

/// Stress only: where everybody waits for everybody in a loop, loom finds no end. With doorbells
/// instead of loops it does, see the tests of the doorbell.
#[test]
#[cfg(not(loom))]
fn items_of_two_producers_through_one_slot_arrive_once_and_in_order() {
    model(|| exchange(2, size(1, 50_000), bounds(1)));
}

#[test]
#[cfg(not(loom))]
fn many_producers_under_tight_bounds_lose_nothing() {
    let bounds = Bounds { slots: 61, operations_max: 40, operations_reserved: 10, bytes_max: 100 };
    exchange(8, size(0, 20_000), bounds);
}

/// Three threads meet at the cell that is given back: one admitted before it was emptied, another
/// after. See the module doc, "why a claimed position is free".
#[test]
fn loom_a_cell_emptied_for_one_producer_may_be_filled_by_another() {
    for _ in 0..size(1, 1_000) {
        model(|| {
            let (producer, mut consumer) = ring(bounds(2));
            producer.try_push(0, ONE, Class::Ordinary).unwrap();
            let pushers: Vec<_> = (1..=2)
                .map(|item| {
                    let producer = producer.clone();
                    spawn(move || producer.try_push(item, ONE, Class::Ordinary).is_ok())
                })
                .collect();
            let mut seen = items(&mut consumer);
            let pushed = pushers.into_iter().map(|pusher| pusher.join().unwrap());
            let pushed = 1 + pushed.filter(|&is_pushed| is_pushed).count();
            seen.extend(items(&mut consumer));
            assert_eq!(seen[0], 0);
            assert_eq!(seen.len(), pushed);
            assert!(pushed >= 2);
        });
    }
}

#[test]
fn loom_a_push_that_returned_before_another_began_is_popped_before_it() {
    for _ in 0..size(1, 1_000) {
        model(|| {
            let (producer, mut consumer) = ring(bounds(4));
            let is_pushed = Arc::new(DurableMark::new(0));
            let first = {
                let (producer, is_pushed) = (producer.clone(), Arc::clone(&is_pushed));
                spawn(move || {
                    producer.try_push("first", ONE, Class::Ordinary).unwrap();
                    is_pushed.raise(1);
                })
            };
            let third = {
                let producer = producer.clone();
                spawn(move || producer.try_push("beside", ONE, Class::Ordinary).unwrap())
            };
            if is_pushed.covers(1) {
                producer.try_push("second", ONE, Class::Ordinary).unwrap();
                // Whatever else is under way, the second never shows up without the first.
                let seen = items(&mut consumer);
                let place = |item| seen.iter().position(|&other| other == item);
                assert!(place("second").is_none() || place("first") < place("second"));
                assert!(place("second").is_none() || place("first").is_some());
            }
            first.join().unwrap();
            third.join().unwrap();
        });
    }
}

/// Everybody pushes until refused: what gets in is exactly what fits.
fn race_for_room(bounds: Bounds, cost: Cost, class: Class, fits: usize) {
    for _ in 0..size(1, 500) {
        model(move || {
            let (producer, mut consumer) = ring(bounds);
            let pushers: Vec<_> = (0..size(2, 4))
                .map(|_| {
                    let producer = producer.clone();
                    spawn(move || {
                        (0..2).filter(|_| producer.try_push((), cost, class).is_ok()).count()
                    })
                })
                .collect();
            let pushed: usize = pushers.into_iter().map(|pusher| pusher.join().unwrap()).sum();
            assert_eq!(pushed, fits);
            assert_eq!(items(&mut consumer).len(), fits);
        });
    }
}

#[test]
fn loom_racing_producers_fill_each_bound_exactly() {
    let wide = bounds(100);
    race_for_room(Bounds { slots: 3, ..wide }, ONE, Class::Ordinary, 3);
    race_for_room(Bounds { operations_max: 7, ..wide }, Cost::new(2, 0), Class::Ordinary, 3);
    race_for_room(Bounds { bytes_max: 20, ..wide }, Cost::new(0, 9), Class::Ordinary, 2);
}

#[test]
fn loom_ordinary_items_leave_the_reserve_alone() {
    let bounds = Bounds { slots: 8, operations_max: 4, operations_reserved: 1, bytes_max: 100 };
    race_for_room(bounds, Cost::new(1, 0), Class::Ordinary, 3);
    race_for_room(bounds, Cost::new(1, 0), Class::Reserved, 4);
}

#[test]
fn a_refused_push_gives_the_item_back_and_names_the_bound() {
    model(|| {
        let bounds = Bounds { slots: 2, operations_max: 10, operations_reserved: 0, bytes_max: 10 };
        let (producer, mut consumer) = ring(bounds);
        let refused = |cost| {
            let full = producer.try_push('x', cost, Class::Ordinary).unwrap_err();
            assert_eq!(full.item, 'x');
            full.bound
        };
        assert_eq!(refused(Cost::new(11, 0)), NoRoom::TooLarge);
        producer.try_push('a', Cost::new(4, 9), Class::Ordinary).unwrap();
        assert_eq!(refused(Cost::new(7, 0)), NoRoom::Operations);
        assert_eq!(refused(Cost::new(6, 2)), NoRoom::Bytes);
        assert!(!producer.has_room(Cost::new(6, 2), Class::Ordinary));
        assert!(producer.has_room(Cost::new(6, 1), Class::Ordinary));
        producer.try_push('b', Cost::new(6, 1), Class::Ordinary).unwrap();
        assert_eq!(refused(Cost::new(0, 0)), NoRoom::Slots);
        assert_eq!((producer.slots(), producer.operations(), producer.bytes()), (2, 10, 10));
        assert!(producer.is_past_half() && producer.gauge().depth() == consumer.depth());
        assert_eq!(consumer.peek(), Some(Cost::new(4, 9)));
        assert_eq!(consumer.pop(), Some(('a', Cost::new(4, 9))));
        drop(consumer);
        assert_eq!(refused(Cost::new(0, 0)), NoRoom::Closed);
        assert!(producer.is_closed());
    });
}

#[test]
fn pop_many_stops_at_its_limit_but_takes_at_least_one() {
    model(|| {
        let (producer, mut consumer) = ring(bounds(8));
        for (item, cost) in [(1, (9, 1)), (2, (2, 1)), (3, (2, 1)), (4, (1, 8)), (5, (1, 1))] {
            producer.try_push(item, Cost::new(cost.0, cost.1), Class::Ordinary).unwrap();
        }
        let mut take = |operations, bytes| {
            let mut out = Vec::new();
            let sum = consumer.pop_many(Cost::new(operations, bytes), &mut out);
            (out.into_iter().map(|(item, _)| item).collect::<Vec<_>>(), sum)
        };
        assert_eq!(take(4, 4), (vec![1], Cost::new(9, 1)));
        assert_eq!(take(4, 4), (vec![2, 3], Cost::new(4, 2)));
        assert_eq!(take(4, 9), (vec![4, 5], Cost::new(2, 9)));
        assert_eq!(take(4, 4), (vec![], Cost::default()));
        assert_eq!(producer.depth(), Depth::default());
    });
}

#[test]
fn loom_a_permit_keeps_room_and_gives_back_what_it_does_not_use() {
    for _ in 0..size(1, 500) {
        model(|| {
            let bounds =
                Bounds { slots: 3, operations_max: 4, operations_reserved: 0, bytes_max: 4 };
            let (producer, mut consumer) = ring(bounds);
            let other = {
                let producer = producer.clone();
                spawn(move || {
                    let permit = producer.admit(Cost::new(2, 2), Class::Ordinary).unwrap();
                    assert!(producer.depth().operations <= 4);
                    permit.push_smaller("small", Cost::new(1, 0));
                })
            };
            let unused = producer.admit(Cost::new(2, 2), Class::Ordinary).unwrap();
            assert_eq!(unused.cost(), Cost::new(2, 2));
            drop(unused);
            other.join().unwrap();
            assert_eq!(producer.depth(), Depth { slots: 1, operations: 1, bytes: 0 });
            assert_eq!(consumer.pop(), Some(("small", Cost::new(1, 0))));
            assert_eq!(producer.depth(), Depth::default());
        });
    }
}

#[test]
#[should_panic(expected = "larger than its permit")]
fn an_item_larger_than_its_permit_is_refused() {
    model(|| {
        let (producer, _consumer) = ring(bounds(1));
        let permit = producer.admit(ONE, Class::Ordinary).unwrap();
        permit.push_smaller((), Cost::new(1, 2));
    });
}

#[test]
fn loom_a_ring_is_finished_when_its_producers_are_gone_and_not_before_the_last_item() {
    for _ in 0..size(1, 500) {
        model(|| {
            let (producer, mut consumer) = ring(bounds(2));
            let pusher = {
                let producer = producer.clone();
                spawn(move || producer.try_push(7, ONE, Class::Ordinary).unwrap())
            };
            drop(producer);
            let mut seen = Vec::new();
            while !consumer.is_finished() {
                match consumer.pop() {
                    Some((item, _)) => seen.push(item),
                    None => pass(),
                }
            }
            assert_eq!(seen, [7]);
            assert!(consumer.is_empty());
            pusher.join().unwrap();
        });
    }
}

#[test]
fn loom_a_closed_ring_refuses_and_still_yields_what_was_admitted() {
    for _ in 0..size(1, 500) {
        model(|| {
            let (producer, mut consumer) = ring(bounds(4));
            let pusher = spawn(move || {
                let permit = producer.admit(ONE, Class::Ordinary);
                let is_admitted = permit.is_ok();
                if let Ok(permit) = permit {
                    permit.push(());
                }
                let second = producer.try_push((), ONE, Class::Ordinary);
                assert!(is_admitted || second.is_err(), "a closed ring doesn't open again");
                u32::from(is_admitted) + u32::from(second.is_ok())
            });
            consumer.close();
            let mut popped = 0;
            while !consumer.is_finished() {
                match consumer.pop() {
                    Some(_) => popped += 1,
                    None => pass(),
                }
            }
            assert_eq!(pusher.join().unwrap(), popped);
            assert_eq!(consumer.pop(), None);
        });
    }
}

#[test]
fn loom_every_item_is_dropped_once_whoever_goes_first() {
    for _ in 0..size(1, 500) {
        model(|| {
            let witness = std::sync::Arc::new(());
            let (producer, mut consumer) = ring(bounds(2));
            let pusher = {
                let witness = std::sync::Arc::clone(&witness);
                spawn(move || {
                    for _ in 0..2 {
                        let item = std::sync::Arc::clone(&witness);
                        if let Err(full) = producer.try_push(item, ONE, Class::Ordinary) {
                            assert_eq!(full.bound, NoRoom::Closed);
                        }
                    }
                })
            };
            drop(consumer.pop());
            drop(consumer);
            pusher.join().unwrap();
            assert_eq!(std::sync::Arc::strong_count(&witness), 1);
        });
    }
}

/// An item whose own drop panics must not be dropped again by the ring's.
#[test]
fn a_panic_in_the_drop_of_an_item_drops_no_other_item_twice() {
    struct Bomb(std::sync::Arc<std::sync::atomic::AtomicU32>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            // Relaxed: one thread.
            let drops = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert_ne!(drops, 0, "the first drop panics");
        }
    }
    model(|| {
        let drops = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let (producer, consumer) = ring(bounds(4));
        for _ in 0..3 {
            producer.try_push(Bomb(drops.clone()), ONE, Class::Ordinary).unwrap();
        }
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(consumer)));
        assert!(outcome.is_err());
        drop(producer);
        assert_eq!(drops.load(std::sync::atomic::Ordering::Relaxed), 3);
    });
}

#[test]
fn positions_go_round_the_cells_many_times_in_order() {
    model(|| {
        let (producer, mut consumer) = ring(bounds(3));
        for round in 0..size(3, 1_000) {
            for item in 0..3 {
                producer.try_push((round, item), ONE, Class::Ordinary).unwrap();
            }
            assert!(producer.try_push((round, 3), ONE, Class::Ordinary).is_err());
            assert_eq!(items(&mut consumer), [(round, 0), (round, 1), (round, 2)]);
        }
    });
}
