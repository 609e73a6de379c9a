//! How fast one shard allocates and releases: JSON lines on standard output.
//!
//! `cargo bench --bench allocator [-- FILTER]`; `ADDRD_BENCH_PAIRS` sets how many pairs. A pair is the release of a random live allocation
//! and a new one for the same owner; effects are written into a buffer as records of 48 bytes.

#[path = "support/pairs.rs"]
mod pairs;

use addrd::allocator::Shard;
use addrd::model::{Effect, EffectSink};
use addrd_protocol::message::Strategy;
use pairs::{DRAIN, Emptied, Pairs};
use std::time::Instant;

type Bench = Pairs<Buffer>;

/// Writes what a record of a plain allocation has, and forgets it after each drain.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl EffectSink for Buffer {
    fn push(&mut self, effect: &Effect) {
        let mut record = [0_u8; 48];
        match effect {
            Effect::AllocationPut(row) => {
                record[..16].copy_from_slice(row.owner.as_bytes());
                record[16..24].copy_from_slice(&row.revision.0.to_le_bytes());
                record[24..28].copy_from_slice(&(row.place.offset as u32).to_le_bytes());
                record[28..32].copy_from_slice(&row.place.subnet.0.to_le_bytes());
            }
            Effect::AllocationGone { place, revision, .. } => {
                record[16..24].copy_from_slice(&revision.0.to_le_bytes());
                record[24..28].copy_from_slice(&(place.offset as u32).to_le_bytes());
            }
            _ => {}
        }
        self.0.extend_from_slice(&record);
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }
}

impl Emptied for Buffer {
    fn empty(&mut self) {
        self.0.clear();
    }
}

/// Nanoseconds a pair, over `pairs` of them, in drains.
fn pairs_ns(bench: &mut Bench, owners: u64, pairs: u64) -> f64 {
    let mut spent = 0;
    for _ in 0..pairs.div_ceil(DRAIN / 2) {
        let requests = bench.drain(owners);
        let start = Instant::now();
        bench.run(&requests);
        spent += start.elapsed().as_nanos();
    }
    spent as f64 / pairs as f64
}

#[expect(clippy::print_stdout, reason = "the results are what this program is for")]
fn report(name: &str, live: u64, pair_ns: f64, shard: &Shard, empty_bytes: usize) {
    let bytes = (shard.memory_bytes() - empty_bytes) as f64 / live as f64;
    println!(
        "{{\"name\":\"{name}\",\"live\":{live},\"pair_ns\":{pair_ns:.1},\
         \"pairs_per_s\":{:.0},\"bytes_each\":{bytes:.1}}}",
        1e9 / pair_ns
    );
}

fn measure(name: &str, mut bench: Bench, owners: u64) {
    let set = std::env::var("ADDRD_BENCH_PAIRS").ok().and_then(|text| text.parse().ok());
    let pairs = set.unwrap_or(4_000_000);
    let empty_bytes = bench.shard.memory_bytes();
    bench.fill(owners);
    pairs_ns(&mut bench, owners, pairs / 4);
    let pair_ns = pairs_ns(&mut bench, owners, pairs);
    report(name, owners, pair_ns, &bench.shard, empty_bytes);
}

fn main() {
    let filter = std::env::args().nth(1).filter(|text| !text.starts_with('-')).unwrap_or_default();
    let wanted = |name: &str| name.starts_with(&filter);
    for (name, length, owners) in
        [("churn_64k", 15, 1 << 16), ("churn_1m", 11, 1_000_000), ("churn_10m", 8, 10_000_000)]
    {
        if wanted(name) {
            measure(name, Bench::new(1, 1, length, Strategy::Next), owners);
        }
    }
    for percent in [1, 50, 90, 99] {
        for (text, strategy) in
            [("next", Strategy::Next), ("lowest", Strategy::Lowest), ("random", Strategy::Random)]
        {
            let name = format!("fill_{percent}_{text}");
            if wanted(&name) {
                let owners = 65_536 * percent / 100;
                measure(&name, Bench::new(1, 1, 16, strategy), owners);
            }
        }
    }
    for subnets in [1, 100, 100_000] {
        let name = format!("subnets_{subnets}");
        if wanted(&name) {
            // All but the last subnets are full.
            let owners = u64::from(subnets) * 4 - 3;
            measure(&name, Bench::new(1, subnets, 30, Strategy::Next), owners);
        }
    }
    if wanted("networks_100000") {
        let bench = Bench::new(100_000, 1, 24, Strategy::Next);
        measure("networks_100000", bench, 1_000_000);
    }
}
