//! Pairs of a release and an allocation on one shard, as a worker's drain has them: what the benches of the allocator
//! do. Measures nothing itself.

use addrd::allocator::{At, Catalogue, Scope, Shard, ShardSettings, apply_spanning};
use addrd::model::{
    EffectSink, Incarnation, NetworkId, OwnerId, ProjectId, Seq, Slot, Status, SubnetId, Tick,
};
use addrd_client::plain_allocate;
use addrd_protocol::message::{
    Fences, NetworkCreate, Release, Reply, Request, Strategy, SubnetCreate, SubnetKind, Target,
};
use std::hint::black_box;

/// Requests that are known before the first is applied, as in a worker's drain.
pub(crate) const DRAIN: u64 = 1_024;

/// Networks with pools, what was pushed, and a seed.
pub(crate) struct Pairs<S> {
    pub(crate) shard: Shard,
    pub(crate) sink: S,
    at: At,
    networks: u64,
    random: u64,
}

/// A sink that can be emptied.
pub(crate) trait Emptied: EffectSink + Default {
    /// Forgets what was pushed and keeps its memory.
    fn empty(&mut self);
}

impl<S: Emptied> Pairs<S> {
    /// `networks` networks, each with `subnets` subnets of this length.
    pub(crate) fn new(networks: u64, subnets: u32, length: u8, strategy: Strategy) -> Self {
        let settings = ShardSettings { seed: 42, records_max: u64::MAX };
        let at = At { tick: Tick(1), position: Seq(0), incarnation: Incarnation(0) };
        let shard = Shard::new(settings);
        let mut bench = Self { shard, sink: S::default(), at, networks, random: 1 };
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
        let (status, _) = self.answer(scope, request);
        assert_eq!(status, Status::OK);
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((u128::from(self.random.rotate_left(32)) * u128::from(sides)) >> 64) as u64
    }

    /// Allocates for so many owners.
    pub(crate) fn fill(&mut self, owners: u64) {
        for owner in 0..owners {
            let scope = scope(owner % self.networks);
            self.apply(&scope, &allocate(owner));
            self.sink.empty();
        }
    }

    /// The requests of one drain: releases of random owners and allocations for the same ones.
    pub(crate) fn drain(&mut self, owners: u64) -> Vec<(Scope, Request)> {
        let mut requests = Vec::with_capacity(DRAIN as usize);
        for _ in 0..DRAIN / 2 {
            let owner = self.roll(owners);
            let scope = scope(owner % self.networks);
            requests.push((scope, release(owner)));
            requests.push((scope, allocate(owner)));
        }
        requests
    }

    /// Applies one request.
    pub(crate) fn answer(&mut self, scope: &Scope, request: &Request) -> (Status, Reply) {
        self.shard.apply(&self.at, scope, request, &mut self.sink).expect("it is done")
    }

    /// Applies a drain and forgets its effects.
    pub(crate) fn run(&mut self, requests: &[(Scope, Request)]) {
        self.shard.read_ahead(requests.iter().map(|(scope, request)| (scope, request)));
        for (scope, request) in requests {
            black_box(self.answer(scope, request));
        }
        self.sink.empty();
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
    Request::Allocate(plain_allocate(owner(number)))
}

fn release(number: u64) -> Request {
    let target = Target::Key { owner: owner(number), slot: Slot(0) };
    Request::Release(Release { target, fences: Fences::default(), any: false })
}
