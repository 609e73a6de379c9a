//! How fast one shard allocates and releases: JSON lines on standard output.
//!
//! `cargo bench --bench allocator [-- FILTER]`; `ADDRD_BENCH_PAIRS` sets how many pairs. A pair is the release of a random live allocation
//! and a new one for the same owner; effects are written into a buffer as records of 48 bytes.

use addrd::allocator::{At, Catalogue, Scope, Shard, ShardSettings, apply_spanning};
use addrd::model::{
    Effect, EffectSink, Incarnation, NetworkId, OwnerId, ProjectId, Seq, Slot, SubnetId, Tick,
};
use addrd_protocol::message::{
    Allocate, Fences, NetworkCreate, Release, Request, Strategy, SubnetCreate, SubnetKind, Target,
};
use std::hint::black_box;
use std::time::Instant;

/// Requests that are known before the first is applied, as in a worker's drain.
const DRAIN: u64 = 1_024;

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

struct Bench {
    shard: Shard,
    sink: Buffer,
    at: At,
    networks: u64,
    random: u64,
}

impl Bench {
    /// `networks` networks, each with `subnets` subnets of this length.
    fn new(networks: u64, subnets: u32, length: u8, strategy: Strategy) -> Self {
        let settings = ShardSettings { seed: 42, records_max: u64::MAX };
        let at = At { tick: Tick(1), position: Seq(0), incarnation: Incarnation(0) };
        let shard = Shard::new(settings);
        let mut bench = Self { shard, sink: Buffer::default(), at, networks, random: 1 };
        let mut catalogue = Catalogue::new(settings);
        for network in 0..networks {
            let scope = scope(network);
            let create = Request::NetworkCreate(Box::<NetworkCreate>::default());
            let subnets = (0..subnets).map(|number| subnet(number, length, strategy));
            let subnets = subnets.map(|create| Request::SubnetCreate(Box::new(create)));
            for request in std::iter::once(create).chain(subnets) {
                let lent = &mut [&mut bench.shard];
                apply_spanning(&mut catalogue, lent, &at, &scope, &request, &mut bench.sink)
                    .expect("a network or subnet is made");
            }
        }
        bench
    }

    fn apply(&mut self, scope: &Scope, request: &Request) {
        let answer = self.shard.apply(&self.at, scope, request, &mut self.sink);
        assert!(black_box(answer).is_ok_and(|(status, _)| status.0 == 0), "it is done");
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((u128::from(self.random.rotate_left(32)) * u128::from(sides)) >> 64) as u64
    }

    fn fill(&mut self, owners: u64) {
        for owner in 0..owners {
            let scope = scope(owner % self.networks);
            self.apply(&scope, &allocate(owner));
            self.sink.0.clear();
        }
    }

    /// Nanoseconds a pair, over `pairs` of them, in drains.
    fn pairs(&mut self, owners: u64, pairs: u64) -> f64 {
        let mut requests = Vec::new();
        let mut spent = 0;
        for _ in 0..pairs.div_ceil(DRAIN / 2) {
            requests.clear();
            for _ in 0..DRAIN / 2 {
                let owner = self.roll(owners);
                let scope = scope(owner % self.networks);
                requests.push((scope, release(owner)));
                requests.push((scope, allocate(owner)));
            }
            let start = Instant::now();
            self.shard.read_ahead(requests.iter().map(|(scope, request)| (scope, request)));
            for (scope, request) in &requests {
                let answer = self.shard.apply(&self.at, scope, request, &mut self.sink);
                assert!(black_box(answer).is_ok(), "it is done");
            }
            self.sink.0.clear();
            spent += start.elapsed().as_nanos();
        }
        spent as f64 / pairs as f64
    }
}

fn scope(network: u64) -> Scope {
    let network = NetworkId::from_u128(u128::from(network) + 1);
    Scope {
        project: ProjectId::DEFAULT,
        network,
        pool: false,
        network_project: None,
        restoring: false,
    }
}

fn owner(number: u64) -> OwnerId {
    let mixed = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    OwnerId::from_u128(mixed)
}

fn subnet(number: u32, length: u8, strategy: Strategy) -> SubnetCreate {
    let base = u64::from(number) << (32 - length) | 0x0a00_0000;
    let cidr = format!("{}/{length}", std::net::Ipv4Addr::from_bits(base as u32));
    SubnetCreate {
        subnet_id: SubnetId::from_u128(u128::from(number) + 1),
        cidr: cidr.parse().expect("a prefix"),
        kind: SubnetKind::Routed,
        strategy,
        enable_dhcp: false,
        gateway: Default::default(),
        pools: Default::default(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: Some(0),
        service: Default::default(),
    }
}

fn allocate(number: u64) -> Request {
    Request::Allocate(Allocate {
        owner: owner(number),
        slot: Slot(0),
        instance: Default::default(),
        family: Default::default(),
        strategy: Default::default(),
        length: None,
        flags: Default::default(),
        extras: None,
    })
}

fn release(number: u64) -> Request {
    let target = Target::Key { owner: owner(number), slot: Slot(0) };
    Request::Release(Release { target, fences: Fences::default(), any: false })
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
    bench.pairs(owners, pairs / 4);
    let pair_ns = bench.pairs(owners, pairs);
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
