//! How many items a second the ring carries, beside a lock around a deque with the same bounds:
//! the safe version that its unsafe code must beat. Prints figures; asserts nothing.
//!
//! `cargo bench -p addrd-sync`; `ADDRD_BENCH_ITEMS` sets the items of a run (default 2,000,000).
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use addrd_sync::{Bounds, Class, Cost, ring};

const BOUNDS: Bounds = Bounds {
    slots: 16 * 1024,
    operations_max: 64 * 1024,
    operations_reserved: 16 * 1024,
    bytes_max: 64 << 20,
};
const COST: Cost = Cost::new(1, 64);
const DRAIN: Cost = Cost::new(1_024, 192 * 1024);

/// About as large as what a connection pushes.
type Item = [u64; 7];

fn main() {
    let items = std::env::var("ADDRD_BENCH_ITEMS").ok().and_then(|text| text.parse().ok());
    let items = items.unwrap_or(2_000_000);
    for producers in [1, 2, 4] {
        let each = items / producers;
        report("ring", producers, each, ring_run);
        report("lock and deque", producers, each, lock_run);
    }
}

fn report(name: &str, producers: u64, each: u64, run: fn(u64, u64)) {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            run(producers, each);
            (producers * each) as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{name}, {producers} producers: {:.1} M items/s (median of 5)", rates[2]);
}

fn start(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(body).expect("a thread can be started");
}

fn ring_run(producers: u64, each: u64) {
    let (producer, mut consumer) = ring::<Item>(BOUNDS);
    for _ in 0..producers {
        let producer = producer.clone();
        start(move || {
            for count in 0..each {
                while producer.try_push([count; 7], COST, Class::Ordinary).is_err() {
                    thread::yield_now();
                }
            }
        });
    }
    drop(producer);
    let mut drain = Vec::with_capacity(1_024);
    while !consumer.is_finished() {
        consumer.pop_many(DRAIN, &mut drain);
        if drain.is_empty() {
            thread::yield_now();
        }
        drain.clear();
    }
}

fn lock_run(producers: u64, each: u64) {
    let queue = Arc::new(Mutex::new(VecDeque::<(Item, Cost)>::with_capacity(16 * 1024)));
    for _ in 0..producers {
        let queue = Arc::clone(&queue);
        start(move || {
            for count in 0..each {
                loop {
                    let mut queue = queue.lock().expect("nobody panics");
                    if queue.len() < 12 * 1024 {
                        queue.push_back(([count; 7], COST));
                        break;
                    }
                    drop(queue);
                    thread::yield_now();
                }
            }
        });
    }
    let mut drain = Vec::with_capacity(1_024);
    let mut popped = 0;
    while popped < producers * each {
        {
            let mut queue = queue.lock().expect("nobody panics");
            let count = queue.len().min(1_024);
            drain.extend(queue.drain(..count));
        }
        if drain.is_empty() {
            thread::yield_now();
        }
        popped += drain.len() as u64;
        drain.clear();
    }
}
