//! How many items a second the ring carries, beside a lock around a deque with the same bounds:
//! the safe version that its unsafe code must beat. Prints figures; asserts nothing.
//!
//! `cargo bench -p addrd-sync`; `ADDRD_BENCH_ITEMS` sets the items of a run (default 2,000,000).
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use addrd_sync::{Bounds, Class, Consumer, Cost, Doorbell, Producer, Waiter, doorbell, ring};

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

/// What both queues are asked for. Whoever can't go on sleeps at a doorbell, as in the server.
trait Queue: Clone + Send + 'static {
    fn push(&self, item: Item) -> bool;
    fn has_room(&self) -> bool;
}

trait Drain {
    fn is_empty(&self) -> bool;
    fn drain(&mut self, out: &mut Vec<(Item, Cost)>);
}

fn run(producers: u64, each: u64, queue: impl Queue, mut drain: impl Drain) {
    let (work, mut waiter) = doorbell();
    let room: Vec<_> = (0..producers)
        .map(|_| {
            let (room, waiter) = doorbell();
            let (queue, work) = (queue.clone(), work.clone());
            thread::Builder::new()
                .spawn(move || push_all(each, &queue, &work, waiter))
                .expect("a thread can be started");
            room
        })
        .collect();
    let mut batch = Vec::with_capacity(1_024);
    let mut popped = 0;
    while popped < producers * each {
        waiter.wait_until(|| !drain.is_empty());
        drain.drain(&mut batch);
        room.iter().for_each(Doorbell::ring);
        popped += batch.len() as u64;
        batch.clear();
    }
}

fn push_all(each: u64, queue: &impl Queue, work: &Doorbell, mut waiter: Waiter) {
    for count in 0..each {
        while !queue.push([count; 7]) {
            waiter.wait_until(|| queue.has_room());
        }
        work.ring();
    }
}

impl Queue for Producer<Item> {
    fn push(&self, item: Item) -> bool {
        self.try_push(item, COST, Class::Ordinary).is_ok()
    }

    fn has_room(&self) -> bool {
        Producer::has_room(self, COST, Class::Ordinary)
    }
}

impl Drain for Consumer<Item> {
    fn is_empty(&self) -> bool {
        Consumer::is_empty(self)
    }

    fn drain(&mut self, out: &mut Vec<(Item, Cost)>) {
        self.pop_many(DRAIN, out);
    }
}

fn ring_run(producers: u64, each: u64) {
    let (producer, consumer) = ring::<Item>(BOUNDS);
    run(producers, each, producer, consumer);
}

#[derive(Clone)]
struct Locked(Arc<Mutex<VecDeque<(Item, Cost)>>>);

impl Locked {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Item, Cost)>> {
        self.0.lock().expect("nobody panics")
    }
}

/// Three quarters of the slots, as for ordinary items in the ring.
const LOCKED_ITEMS_MAX: usize = 12 * 1024;

impl Queue for Locked {
    fn push(&self, item: Item) -> bool {
        let mut items = self.lock();
        let has_room = items.len() < LOCKED_ITEMS_MAX;
        if has_room {
            items.push_back((item, COST));
        }
        has_room
    }

    fn has_room(&self) -> bool {
        self.lock().len() < LOCKED_ITEMS_MAX
    }
}

impl Drain for Locked {
    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn drain(&mut self, out: &mut Vec<(Item, Cost)>) {
        let mut items = self.lock();
        let count = items.len().min(1_024);
        out.extend(items.drain(..count));
    }
}

fn lock_run(producers: u64, each: u64) {
    let queue = Locked(Arc::new(Mutex::new(VecDeque::with_capacity(LOCKED_ITEMS_MAX))));
    run(producers, each, queue.clone(), queue);
}
