//! Tests of the whole shard: what protocol/SPEC.md promises, and (`machine`) random operations against a
//! naive model.

mod adoption;
mod basics;
mod carving;
mod catalogue;
mod costs;
mod deletion;
mod dice;
mod fencing;
mod hold_items;
mod holds;
mod host_leases;
mod host_lives;
mod host_machine;
mod leases;
mod levels;
mod live_machine;
mod machine;
mod naive;
mod onboarding;
mod places;
mod polling;
mod pool_machine;
mod port_machine;
mod ports;
mod prefix_leases;
mod principals;
mod quota_machine;
mod quotas;
mod reads;
mod reconcile;
mod recovery;
mod refused_parts;
mod restoring;
mod rests;
mod shared;
mod shared_machine;
mod shared_storm;
mod subnets;
mod survey;
mod suspects;
mod transactions;
mod transfers;

use super::*;
use crate::model::{
    Effect, EffectSink, Incarnation, NetworkId, OwnerId, ProjectId, Seq, Slot, Status, SubnetId,
    Text, Tick, worker_of,
};
use addrd_protocol::message::{
    Allocate, AllocateExtras, Allocated, Fences, NetworkCreate, NetworkDelete, Release, Reply,
    Request, Subnet, SubnetCreate, Target,
};
use std::net::IpAddr;

/// Collects effects, as they are read back from their records: what the encoding loses is missing in
/// every state that is made of them. Each counts as many bytes as a plain record.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) effects: Vec<Effect>,
}

/// An effect as its record says it.
pub(super) fn read_back(effect: &Effect) -> Effect {
    let mut record = Vec::new();
    crate::journal::encode(effect, &mut record);
    let (read, bytes) = crate::journal::decode(&record).unwrap();
    assert_eq!(bytes, record.len(), "{effect:?}");
    read
}

impl EffectSink for Log {
    fn push(&mut self, effect: &Effect) {
        self.effects.push(read_back(effect));
    }

    fn bytes(&self) -> usize {
        self.effects.len() * 48
    }

    fn truncate(&mut self, bytes: usize) {
        self.effects.truncate(bytes / 48);
    }
}

/// Shards with all their effects.
pub(super) struct World {
    pub(super) shards: Vec<Shard>,
    pub(super) log: Log,
    pub(super) catalogue: Catalogue,
    pub(super) at: At,
    /// How often each status was answered.
    pub(super) tally: std::collections::BTreeMap<Status, u64>,
}

pub(super) fn network_id(number: u128) -> NetworkId {
    NetworkId::from_u128(number)
}

pub(super) fn subnet_id(number: u128) -> SubnetId {
    SubnetId::from_u128(number)
}

pub(super) fn owner(number: u128) -> OwnerId {
    OwnerId::from_u128(number)
}

pub(super) fn scope(network: u128) -> Scope {
    Scope {
        project: ProjectId::DEFAULT,
        network: network_id(network),
        pool: false,
        network_project: None,
        restoring: false,
    }
}

pub(super) fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A subnet create request with defaults.
pub(super) fn subnet(id: u128, cidr: &str) -> SubnetCreate {
    SubnetCreate {
        subnet_id: subnet_id(id),
        cidr: cidr.parse().unwrap(),
        kind: Default::default(),
        strategy: Default::default(),
        enable_dhcp: false,
        gateway: Default::default(),
        pools: Default::default(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        // What is released is free at once, but where a test says otherwise.
        quarantine_ms: Some(0),
        service: Default::default(),
    }
}

/// A plain allocate request.
pub(super) fn allocate(number: u128) -> Allocate {
    Allocate {
        owner: owner(number),
        slot: Slot(0),
        instance: Default::default(),
        family: Default::default(),
        strategy: Default::default(),
        length: None,
        flags: Default::default(),
        extras: None,
    }
}

/// The same with rare fields.
pub(super) fn allocate_with(number: u128, set: impl FnOnce(&mut AllocateExtras)) -> Allocate {
    let mut extras = AllocateExtras::default();
    set(&mut extras);
    Allocate { extras: Some(Box::new(extras)), ..allocate(number) }
}

/// A release by key.
pub(super) fn release(number: u128) -> Release {
    let target = Target::Key { owner: owner(number), slot: Slot(0) };
    Release { target, fences: Fences::default(), any: false }
}

/// Whether an effect is of what is taken from a pool, which no worker's shard keeps.
fn is_of_pool(catalogue: &Catalogue, effect: &Effect) -> bool {
    match effect {
        Effect::AllocationPut(row) => catalogue.is_pool(row.place.network),
        Effect::AllocationGone { place, .. } => catalogue.is_pool(place.network),
        _ => false,
    }
}

impl World {
    pub(super) fn new(shards: usize) -> Self {
        let settings = |n: usize| ShardSettings { seed: n as u64, records_max: 1 << 20 };
        Self {
            shards: (0..shards).map(|n| Shard::numbered(settings(n), n as u16)).collect(),
            log: Log::default(),
            catalogue: Catalogue::new(settings(77)),
            at: At { tick: Tick(1_000), position: Seq(7), incarnation: Incarnation(1) },
            tally: Default::default(),
        }
    }

    /// One network (id 1) with one subnet (id 1).
    pub(super) fn with_subnet(create: SubnetCreate) -> Self {
        let mut world = Self::new(1);
        world.done(1, Request::NetworkCreate(Box::default()));
        world.done(1, Request::SubnetCreate(Box::new(create)));
        world
    }

    /// Applies a request as an engine would.
    pub(super) fn apply(&mut self, network: u128, request: &Request) -> Answer {
        let answer = self.route(network, request);
        let status = answer.as_ref().map_or_else(|refused| refused.status, |done| done.0);
        *self.tally.entry(status).or_default() += 1;
        answer
    }

    fn route(&mut self, network: u128, request: &Request) -> Answer {
        self.apply_as(&scope(network), request)
    }

    /// Applies a request of any project, on a network or a pool.
    pub(super) fn apply_as(&mut self, scope: &Scope, request: &Request) -> Answer {
        let answer = self.decide(scope, request);
        self.shards.iter_mut().for_each(Shard::settle_quotas);
        answer
    }

    /// The same inside of a drain: what is freed is not given back yet.
    pub(super) fn decide(&mut self, scope: &Scope, request: &Request) -> Answer {
        let Self { shards, log, catalogue, at, .. } = self;
        let workers = shards.len() as u16;
        if is_spanning(scope, request) {
            let mut lent: Vec<&mut Shard> = shards.iter_mut().collect();
            return apply_spanning(catalogue, &mut lent, at, scope, request, log);
        }
        if is_gathered(scope, request) {
            let parts = shards.iter_mut().map(|shard| shard.apply(at, scope, request, log));
            let parts = parts.collect();
            return merge(at, request, scope, parts);
        }
        let worker = worker_of(scope.home(), scope.network, workers);
        shards[usize::from(worker.0)].apply(at, scope, request, log)
    }

    /// Applies a request that must succeed.
    pub(super) fn done(&mut self, network: u128, request: Request) -> Reply {
        self.apply(network, &request).unwrap_or_else(|refused| panic!("{request:?}: {refused:?}")).1
    }

    /// Applies a request that must be refused.
    pub(super) fn refused(
        &mut self,
        network: u128,
        request: Request,
    ) -> addrd_protocol::message::Failure {
        let before = self.log.effects.len();
        let refused = *self.apply(network, &request).expect_err("must be refused");
        assert_eq!(self.log.effects.len(), before, "a refusal leaves no effects");
        refused
    }

    pub(super) fn allocate(&mut self, request: Allocate) -> Allocated {
        match self.done(1, Request::Allocate(request)) {
            Reply::Allocated(allocated) => allocated,
            other => panic!("{other:?}"),
        }
    }

    /// The address that a plain request gets.
    pub(super) fn address(&mut self, number: u128) -> IpAddr {
        self.allocate(allocate(number)).first.address
    }

    pub(super) fn refusal(&mut self, request: Allocate) -> Status {
        self.refused(1, Request::Allocate(request)).status
    }

    pub(super) fn release(&mut self, request: Release) -> Status {
        match self.apply(1, &Request::Release(request)) {
            Ok((status, _)) => status,
            Err(refused) => refused.status,
        }
    }

    pub(super) fn subnet(&mut self, create: SubnetCreate) -> Subnet {
        match self.done(1, Request::SubnetCreate(Box::new(create))) {
            Reply::Subnet(subnet) => *subnet,
            other => panic!("{other:?}"),
        }
    }

    /// Works all jobs off, in slices of `objects`.
    pub(super) fn work(&mut self, objects: usize) {
        loop {
            let Self { shards, log, at, catalogue, .. } = self;
            let steps: Vec<_> =
                shards.iter_mut().map(|shard| shard.step_jobs(at, objects, log)).collect();
            let mut idle = true;
            for step in steps {
                if let JobProgress::NeedsFinish(network) = step {
                    let mut lent: Vec<&mut Shard> = shards.iter_mut().collect();
                    finish_network(catalogue, &mut lent, at, network, log);
                }
                idle &= step == JobProgress::Idle;
            }
            if idle {
                return;
            }
        }
    }

    /// Checks invariants, and that replaying all effects gives an equal state.
    pub(super) fn check(&self) {
        let mut again = Shard::new(ShardSettings { seed: 99, records_max: 1 << 20 });
        let mut catalogue = Catalogue::new(ShardSettings { seed: 98, records_max: 1 << 20 });
        for effect in &self.log.effects {
            catalogue.absorb(effect).unwrap();
            if !is_of_pool(&catalogue, effect) {
                again.absorb(effect).unwrap();
            }
        }
        assert_eq!(again.snapshot(), self.snapshot());
        assert_eq!(catalogue.snapshot(), self.catalogue.snapshot());
        for catalogue in [&catalogue, &self.catalogue] {
            assert_eq!(catalogue.check(), Vec::<String>::new());
        }
        for shard in self.shards.iter().chain([&again]) {
            assert_eq!(shard.check(), Vec::<String>::new());
        }
    }

    /// The state of all shards together.
    pub(super) fn snapshot(&self) -> Snapshot {
        let parts = self.shards.iter().map(Shard::snapshot);
        parts.reduce(Snapshot::join).unwrap()
    }
}
