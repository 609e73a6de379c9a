//! Recovery: rows of the state, then the effects behind them, give the state that was (I3). Rows
//! may be ahead of the first effects, each by its own amount: a fold that was cut short is replayed
//! from its start. Both are read back from their records.

use super::dice::Dice;
use super::machine::{Machine, cases};
use super::*;
use crate::model::NetworkHandle;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Rows as a store has them, by key.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) objects: BTreeMap<(u32, u8, u32, u128), Effect>,
    cursors: BTreeMap<(u32, u32), u128>,
    pub(super) marks: BTreeMap<u32, u64>,
}

impl Rows {
    pub(super) fn of(state: &Snapshot) -> Self {
        let mut rows = Self::default();
        for (row, revision) in &state.networks {
            let key = (row.network.0, 0, 0, 0);
            rows.objects.insert(key, Effect::NetworkPut(Box::new(row.clone())));
            rows.marks.insert(row.network.0, revision.0);
        }
        for (row, cursor) in &state.subnets {
            let key = (row.network.0, 1, row.subnet.0, 0);
            rows.objects.insert(key, Effect::SubnetPut(Box::new(row.clone())));
            rows.cursors.insert((row.network.0, row.subnet.0), *cursor);
        }
        for row in &state.exclusions {
            let first = addrd_protocol::prefix::number_of(&row.exclusion.range.first());
            let key = (row.network.0, 2, row.subnet.0, first);
            rows.objects.insert(key, Effect::ExclusionPut(Box::new(row.clone())));
        }
        for row in &state.segments {
            let key = (row.network.0, 2, u32::MAX - 3, row.created.0.into());
            rows.objects.insert(key, Effect::SegmentPut(Box::new(row.clone())));
        }
        for row in &state.hosts {
            let key = (row.network.0, 2, u32::MAX - 2, row.created.0.into());
            rows.objects.insert(key, Effect::HostPut(Box::new(row.clone())));
        }
        for row in &state.ports {
            let key = (row.network.0, 2, u32::MAX - 1, row.created.0.into());
            rows.objects.insert(key, Effect::PortPut(Box::new(row.clone())));
        }
        for row in &state.pins {
            let key = (row.network.0, 2, u32::MAX, row.created.0.into());
            rows.objects.insert(key, Effect::PinPut(Box::new(row.clone())));
        }
        for row in &state.allocations {
            let key = (row.place.network.0, 3, row.place.subnet.0, row.place.offset);
            rows.objects.insert(key, Effect::AllocationPut(row.clone()));
        }
        for row in &state.jobs {
            let key = (row.network.0, 4, 0, row.job.0.into());
            rows.objects.insert(key, Effect::JobPut(*row));
        }
        rows
    }

    /// With those of projects, scopes, pools and what is taken from pools.
    pub(super) fn with_catalogue(mut self, state: &CatalogueSnapshot) -> Self {
        let mut put = |handle: NetworkHandle, effect| {
            self.objects.insert((handle.0, 0, 0, 0), effect);
        };
        for row in &state.projects {
            put(row.handle, Effect::ProjectPut(Box::new(row.clone())));
        }
        for row in &state.scopes {
            put(row.handle, Effect::ScopePut(Box::new(row.clone())));
        }
        for row in &state.pools {
            put(row.handle, Effect::PoolPut(Box::new(row.clone())));
        }
        for row in &state.taken.allocations {
            let key = (row.place.network.0, 3, row.place.subnet.0, row.place.offset);
            self.objects.insert(key, Effect::AllocationPut(row.clone()));
        }
        for (row, revision) in &state.taken.networks {
            self.marks.insert(row.network.0, revision.0);
        }
        self
    }

    /// Each row from one or the other.
    pub(super) fn mixed(old: Self, new: Self, dice: &mut Dice) -> Self {
        let mut all = Self { marks: old.marks.clone(), ..Self::default() };
        all.marks.extend(new.marks.iter().filter(|_| dice.once_in(2)));
        let keys: Vec<_> = old.objects.keys().chain(new.objects.keys()).copied().collect();
        for key in keys {
            let from = if dice.once_in(2) { &old } else { &new };
            all.objects.extend(from.objects.get(&key).map(|effect| (key, read_back(effect))));
        }
        let keys: Vec<_> = old.cursors.keys().chain(new.cursors.keys()).copied().collect();
        for key in keys {
            // The cursor stands in the row of its subnet.
            let row = all.objects.get(&(key.0, 1, key.1, 0));
            let from = if row == old.objects.get(&(key.0, 1, key.1, 0)) { &old } else { &new };
            all.cursors.extend(from.cursors.get(&key).map(|cursor| (key, *cursor)));
        }
        all
    }

    /// A shard as it is read from these rows.
    pub(super) fn load(&self) -> Shard {
        let mut shard = Shard::new(ShardSettings { seed: 5, records_max: 1 << 20 });
        for effect in self.objects.values() {
            // A row whose network or subnet another row has already lost.
            _ = shard.absorb(effect);
        }
        for (network, revision) in &self.marks {
            let network = NetworkHandle(*network);
            shard.restore_marks(network, crate::model::Revision(*revision));
        }
        for ((network, subnet), cursor) in &self.cursors {
            let network = NetworkHandle(*network);
            shard.restore_cursor(network, crate::model::SubnetHandle(*subnet), *cursor);
        }
        shard
    }
}

/// The network whose worker keeps what an effect tells of.
pub(super) fn network_of(effect: &Effect) -> Option<NetworkHandle> {
    match effect {
        Effect::NetworkPut(row) => Some(row.network),
        Effect::SubnetPut(row) => Some(row.network),
        Effect::ExclusionPut(row) => Some(row.network),
        Effect::SegmentPut(row) => Some(row.network),
        Effect::HostPut(row) => Some(row.network),
        Effect::PortPut(row) => Some(row.network),
        Effect::PinPut(row) => Some(row.network),
        Effect::JobPut(row) => Some(row.network),
        Effect::LevelPut(row) => row.subnet.map(|_| row.network),
        Effect::AllocationPut(row) => Some(row.place.network),
        Effect::AllocationGone { place, .. } => Some(place.network),
        Effect::NetworkGone { network, .. }
        | Effect::SubnetGone { network, .. }
        | Effect::ExclusionGone { network, .. }
        | Effect::ThingGone { network, .. }
        | Effect::JobGone { network, .. } => Some(*network),
        Effect::ProjectPut(_)
        | Effect::PrincipalPut(_)
        | Effect::ScopePut(_)
        | Effect::PoolPut(_)
        | Effect::ObjectGone { .. }
        | Effect::HostLeasePut(_)
        | Effect::HostLeaseGone { .. }
        | Effect::Asked(_)
        | Effect::Adoption { .. } => None,
    }
}

fn run(steps: &[u64], seed: u64) {
    let mut machine = Machine::new(1);
    let mut states = vec![(0, machine.world.snapshot())];
    for &step in steps {
        machine.step(step);
        states.push((machine.world.log.effects.len(), machine.world.snapshot()));
    }
    mends(&machine.world.log.effects, &states, seed);
}

/// A fold that was cut between two of these states (each with the effects before it) is mended by
/// the effects behind the first of them.
pub(super) fn mends(effects: &[Effect], states: &[(usize, Snapshot)], seed: u64) {
    let mut dice = Dice(seed);
    let (_, last) = states.last().unwrap();
    let from = dice.roll(states.len() as u64) as usize;
    let to = from + dice.roll((states.len() - from) as u64) as usize;
    let whole = Rows::of(last).load();
    assert_eq!(&whole.snapshot(), last, "rows alone give the state");
    let ((start, old), (_, new)) = (&states[from], &states[to]);
    let mut shard = Rows::mixed(Rows::of(old), Rows::of(new), &mut dice).load();
    for effect in &effects[*start..] {
        _ = shard.absorb(effect);
    }
    assert_eq!(shard.check(), Vec::<String>::new());
    assert_eq!(&shard.snapshot(), last, "from {from} with rows up to {to}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_cut_fold_is_mended_by_replay(
        steps in prop::collection::vec(any::<u64>(), 1..80),
        seed in any::<u64>(),
    ) {
        run(&steps, seed);
    }
}

#[test]
fn absorbing_again_changes_nothing() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    (1..=20).for_each(|n| _ = world.address(n));
    let before = world.snapshot();
    let effects = world.log.effects.clone();
    effects.iter().for_each(|effect| world.shards[0].absorb(effect).unwrap());
    assert_eq!(world.snapshot(), before);
    assert_eq!(world.shards[0].check(), Vec::<String>::new());
}

#[test]
fn effects_of_unknown_objects_are_refused() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.address(1);
    let mut empty = Shard::new(ShardSettings { seed: 1, records_max: 10 });
    let put = world.log.effects.last().unwrap();
    let error = empty.absorb(put).unwrap_err();
    assert_eq!(error, AbsorbError::UnknownNetwork(NetworkHandle(1)));
    empty.absorb(&world.log.effects[0]).unwrap();
    assert!(matches!(empty.absorb(put), Err(AbsorbError::UnknownSubnet(..))));
    let Effect::AllocationPut(row) = put else { panic!("{put:?}") };
    let mut outside = row.clone();
    outside.place.offset = 256;
    let error = world.shards[0].absorb(&Effect::AllocationPut(outside)).unwrap_err();
    assert!(matches!(error, AbsorbError::OutsideSubnet(_)));
}
