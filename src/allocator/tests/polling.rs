//! Who polls usage with `changed_since` and merges what comes always has the counts that there are: over
//! random operations, looked at now and then, and after recovery from rows that tell of no release.

use super::dice::Dice;
use super::machine::{Machine, cases};
use super::recovery::Rows;
use super::*;
use crate::model::Revision;
use addrd_protocol::message::{NetworkUsage, SubnetUsage, Usage};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Networks that the machine makes.
const NETWORKS: std::ops::RangeInclusive<u128> = 1..=4;

/// What somebody knows of one network.
#[derive(Default)]
struct Poller {
    counts: BTreeMap<SubnetId, SubnetUsage>,
    revision: Option<Revision>,
}

/// All pages; the revision is that of the first. `None`: there is no such network.
fn usage(world: &mut World, network: u128, since: Option<Revision>) -> Option<NetworkUsage> {
    let mut asked = Usage { changed_since: since, ..Usage::default() };
    let mut whole: Option<NetworkUsage> = None;
    loop {
        let page = match world.apply(network, &Request::Usage(Box::new(asked.clone()))) {
            Ok((_, Reply::Usage(page))) => *page,
            Err(refused) if refused.status == Status::NOT_FOUND => return None,
            other => panic!("{other:?}"),
        };
        asked.cursor = page.next.clone();
        match &mut whole {
            Some(whole) => whole.subnets.extend(page.subnets),
            None => whole = Some(page),
        }
        if asked.cursor.is_none() {
            return whole;
        }
    }
}

impl Poller {
    /// Asks for what changed, merges it, and compares with everything. Gives how much came.
    fn poll(&mut self, world: &mut World, network: u128) -> usize {
        let Some(changed) = usage(world, network, self.revision) else {
            *self = Self::default();
            return 0;
        };
        let came = changed.subnets.len();
        self.counts.extend(changed.subnets.into_iter().map(|one| (one.subnet_id, one)));
        self.revision = Some(changed.revision);
        let all = usage(world, network, None).unwrap();
        let all: BTreeMap<_, _> = all.subnets.into_iter().map(|one| (one.subnet_id, one)).collect();
        self.counts.retain(|id, _| all.contains_key(id));
        assert_eq!(self.counts, all);
        came
    }
}

fn run(steps: &[u64]) {
    let mut machine = Machine::new(1);
    let mut pollers: BTreeMap<u128, Poller> =
        NETWORKS.map(|network| (network, Poller::default())).collect();
    for &seed in steps {
        machine.step(seed);
        for (network, poller) in &mut pollers {
            // A network that was deleted and made again between two looks is another one.
            let gone = usage(&mut machine.world, *network, None).is_none();
            if gone || Dice(seed ^ *network as u64).once_in(3) {
                poller.poll(&mut machine.world, *network);
            }
        }
    }
    machine.world.shards = vec![Rows::of(&machine.world.snapshot()).load()];
    for (network, poller) in &mut pollers {
        poller.poll(&mut machine.world, *network);
        assert_eq!(poller.poll(&mut machine.world, *network), 0, "nothing changed since");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn polled_counts_are_those_that_there_are(
        steps in prop::collection::vec(any::<u64>(), 1..80),
    ) {
        run(&steps);
    }
}

#[test]
fn only_what_changed_is_told() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(subnet(2, "10.0.1.0/24"));
    let before = usage(&mut world, 1, None).unwrap();
    assert_eq!(usage(&mut world, 1, Some(before.revision)).unwrap().subnets, []);
    let changed = |world: &mut World, since| -> Vec<SubnetId> {
        let usage = usage(world, 1, Some(since)).unwrap();
        usage.subnets.iter().map(|one| one.subnet_id).collect()
    };
    world.allocate(allocate_with(1, |extras| extras.subnets = vec![subnet_id(2)]));
    assert_eq!(changed(&mut world, before.revision), [subnet_id(2)]);
    let between = usage(&mut world, 1, None).unwrap().revision;
    world.release(release(1));
    assert_eq!(changed(&mut world, between), [subnet_id(2)]);
    let one = Usage {
        subnet: Some(addrd_protocol::message::SubnetName::Id(subnet_id(1))),
        changed_since: Some(between),
        ..Usage::default()
    };
    let refused = world.refused(1, Request::Usage(Box::new(one)));
    assert_eq!(refused.status, Status::CONFLICTING_FIELDS);
}
