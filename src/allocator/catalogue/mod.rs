//! The catalogue: projects, address scopes, subnet pools and what is taken from them, and what is
//! known of networks and subnets beyond one of them. Changed by the sequencer only; knows no thread.
//!
//! What is taken from a pool are allocations like those of a network: a shard of the catalogue's own
//! keeps them, in which each pool is a network with one subnet, all addresses of its family. So keys,
//! fences, repeats, texts, lists, records and recovery are the same code. Which blocks are free, who
//! uses how much, and what a scope has are derived from the effects, live and at recovery alike.
//! Source: docs/decisions/0008-catalogue.md.

mod adoption;
mod apply;
mod batch;
mod blocks;
mod carve;
mod choose;
mod leases;
mod levels;
mod networks;
mod note;
mod objects;
mod onboard;
mod pool;
mod pools;
mod prefixes;
mod principals;
mod projects;
mod quotas;
mod scopes;
mod transaction;

pub use apply::{apply_spanning, finish_network};
pub(super) use scopes::switch;

use super::Shard;
use super::absorb::AbsorbError;
use super::levels::Levels;
use super::refusal::Refused;
use super::shard::ShardSettings;
use super::snapshot::Snapshot;
use crate::model::{
    AddressScopeId, Effect, EffectSink, NetworkHandle, NetworkId, PoolId, PoolRow, PrincipalRow,
    ProjectId, ProjectRow, Revision, ScopeRow, SubnetHandle, Text, Tick,
};
use pool::Pool;
use principals::Principals;
use std::collections::{BTreeMap, BTreeSet};

/// What has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Project,
    Network,
    Scope,
    Pool,
    Principal,
}

/// An address scope.
#[derive(Clone, Debug)]
struct Scope {
    row: ScopeRow,
    /// What lies in it, by first address: last address and who.
    ranges: BTreeMap<u128, (u128, Occupant)>,
    /// Networks that were created in it.
    networks: u32,
    /// Pools in it.
    pools: u32,
}

/// What has addresses of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occupant {
    /// A pool without parent, by one of its prefixes.
    Pool(NetworkHandle),
    /// A subnet that is not from a pool.
    Subnet(NetworkHandle, SubnetHandle),
}

/// What the catalogue knows of a network.
#[derive(Clone, Debug)]
struct NetworkEntry {
    project: ProjectId,
    id: NetworkId,
    name: Option<Text>,
    /// Scopes that it was created in, of IPv4 and IPv6.
    scopes: [Option<NetworkHandle>; 2],
}

/// What a subnet has of the catalogue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound {
    pool: Option<NetworkHandle>,
    scope: Option<NetworkHandle>,
    /// First address.
    base: u128,
}

/// Counts of a project's things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    networks: u32,
    pools: u32,
    scopes: u32,
}

/// The catalogue.
#[derive(Debug)]
pub struct Catalogue {
    /// What is taken from pools.
    prefixes: Shard,
    projects: BTreeMap<ProjectId, ProjectRow>,
    project_ids: BTreeMap<NetworkHandle, ProjectId>,
    principals: Principals,
    scopes: BTreeMap<NetworkHandle, Scope>,
    scope_ids: BTreeMap<(ProjectId, AddressScopeId), NetworkHandle>,
    shared_scopes: BTreeSet<(AddressScopeId, NetworkHandle)>,
    pools: BTreeMap<NetworkHandle, Pool>,
    pool_ids: BTreeMap<(ProjectId, PoolId), NetworkHandle>,
    shared_pools: BTreeSet<(PoolId, NetworkHandle)>,
    networks: BTreeMap<NetworkHandle, NetworkEntry>,
    names: BTreeMap<(Named, ProjectId, Text), NetworkHandle>,
    counts: BTreeMap<ProjectId, Counts>,
    bound: BTreeMap<(NetworkHandle, SubnetHandle), Bound>,
    /// Above all numbers that were ever given.
    next_handle: u32,
    /// What the request at hand makes was there before.
    restoring: bool,
    /// When adoption mode began; 0 = it is not on.
    adoption: Tick,
    /// Levels of use of pools.
    levels: Levels,
}

/// Everything that the catalogue promises to keep, to compare two by.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueSnapshot {
    /// Projects by id.
    pub projects: Vec<ProjectRow>,
    /// Principals by id.
    pub principals: Vec<PrincipalRow>,
    /// Scopes by number.
    pub scopes: Vec<ScopeRow>,
    /// Pools by number.
    pub pools: Vec<PoolRow>,
    /// What is taken from pools.
    pub taken: Snapshot,
}

impl Catalogue {
    /// With nothing but the default project.
    #[must_use]
    pub fn new(settings: ShardSettings) -> Self {
        let mut prefixes = Shard::new(settings);
        prefixes.accounts.of_pools = true;
        Self {
            prefixes,
            projects: BTreeMap::new(),
            project_ids: BTreeMap::new(),
            principals: Principals::default(),
            scopes: BTreeMap::new(),
            scope_ids: BTreeMap::new(),
            shared_scopes: BTreeSet::new(),
            pools: BTreeMap::new(),
            pool_ids: BTreeMap::new(),
            shared_pools: BTreeSet::new(),
            networks: BTreeMap::new(),
            names: BTreeMap::new(),
            counts: BTreeMap::new(),
            bound: BTreeMap::new(),
            next_handle: 1,
            restoring: false,
            adoption: Tick(0),
            levels: Levels::default(),
        }
    }

    /// At the end of recovery: the highest number that was ever given.
    pub fn restore_handles(&mut self, highest: u32) {
        self.pools.values_mut().for_each(Pool::settle);
        self.raise_handles(highest);
    }

    fn raise_handles(&mut self, highest: u32) {
        self.next_handle = self.next_handle.max(highest.saturating_add(1));
    }

    /// At recovery: the last revision of a pool, which its last record may have lost.
    pub fn restore_marks(&mut self, pool: NetworkHandle, revision: Revision) {
        self.prefixes.restore_marks(pool, revision);
    }

    /// Whether a number is that of a pool.
    #[must_use]
    pub fn is_pool(&self, handle: NetworkHandle) -> bool {
        self.pools.contains_key(&handle)
    }

    /// Prefixes in use, over all pools.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.prefixes.allocations()
    }

    /// Takes an effect into the state. Those of networks and subnets are noted, whoever keeps them.
    ///
    /// # Errors
    /// [`AbsorbError`]; the state is then unchanged.
    pub fn absorb(&mut self, effect: &Effect) -> Result<(), AbsorbError> {
        match effect {
            Effect::AllocationPut(row) if self.is_pool(row.place.network) => {
                self.prefixes.absorb(effect)?;
            }
            Effect::AllocationGone { place, .. } if self.is_pool(place.network) => {
                self.prefixes.absorb(effect)?;
            }
            // Its revision is kept with what is taken from it.
            Effect::LevelPut(row) if self.is_pool(row.network) => self.prefixes.absorb(effect)?,
            _ => {}
        }
        self.note(effect);
        Ok(())
    }

    /// Pushes an effect and absorbs it.
    fn commit(&mut self, effect: &Effect, sink: &mut impl EffectSink) {
        sink.push(effect);
        let absorbed = self.absorb(effect);
        assert!(absorbed.is_ok(), "what was decided can be absorbed: {absorbed:?}");
    }

    /// The whole state as rows; takes time and memory proportional to it.
    #[must_use]
    pub fn snapshot(&self) -> CatalogueSnapshot {
        CatalogueSnapshot {
            projects: self.projects.values().cloned().collect(),
            principals: self.principals.rows().map(|row| PrincipalRow::clone(row)).collect(),
            scopes: self.scopes.values().map(|scope| scope.row.clone()).collect(),
            pools: self.pools.values().map(|pool| pool.row.clone()).collect(),
            taken: self.prefixes.snapshot(),
        }
    }

    /// What does not hold, in words; empty = everything does. Takes time proportional to everything.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut found = self.prefixes.check();
        let mut taken = 0;
        for pool in self.pools.values() {
            taken += pool.taken.len() as u64;
            pool.check(&mut found);
        }
        if taken != self.prefixes.allocations() {
            found.push(format!("pools have {taken} of {} prefixes", self.prefixes.allocations()));
        }
        for scope in self.scopes.values() {
            let ranges: Vec<_> = scope.ranges.iter().collect();
            if ranges.windows(2).any(|pair| pair[0].1.0 >= *pair[1].0) {
                found.push(format!("scope {}: prefixes overlap", scope.row.id));
            }
        }
        found
    }

    /// A number that nothing ever had.
    fn take_handle(&mut self) -> NetworkHandle {
        let handle = NetworkHandle(self.next_handle);
        self.next_handle = self.next_handle.saturating_add(1);
        handle
    }
}

/// Passes effects of a shard on and keeps them, to be noted once the shard has decided.
struct Tee<'a, S> {
    sink: &'a mut S,
    /// Each with the bytes that stood before it.
    kept: Vec<(usize, Effect)>,
}

impl<'a, S: EffectSink> Tee<'a, S> {
    const fn new(sink: &'a mut S) -> Self {
        Self { sink, kept: Vec::new() }
    }

    /// Runs a decision; gives what it gave, and its effects.
    fn of<T>(
        sink: &'a mut S,
        decide: impl FnOnce(&mut Self) -> Result<T, Refused>,
    ) -> Result<(T, Vec<Effect>), Refused> {
        let mut tee = Self::new(sink);
        let done = decide(&mut tee)?;
        Ok((done, tee.into_kept()))
    }

    /// What was pushed and not cut off again.
    fn into_kept(self) -> Vec<Effect> {
        self.kept.into_iter().map(|(_, effect)| effect).collect()
    }
}

impl<S: EffectSink> EffectSink for Tee<'_, S> {
    fn push(&mut self, effect: &Effect) {
        let before = self.sink.bytes();
        self.sink.push(effect);
        self.kept.push((before, effect.clone()));
    }

    fn push_unasked(&mut self, effect: &Effect) {
        let before = self.sink.bytes();
        self.sink.push_unasked(effect);
        self.kept.push((before, effect.clone()));
    }

    fn bytes(&self) -> usize {
        self.sink.bytes()
    }

    fn truncate(&mut self, bytes: usize) {
        self.sink.truncate(bytes);
        self.kept.retain(|(before, _)| *before < bytes);
    }
}
