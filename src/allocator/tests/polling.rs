//! Who polls usage with `changed_since` and follows protocol/SPEC.md (usage) always has the counts and
//! the subnets that there are, and sums that are theirs: over random operations, looked at now and
//! then, and after a recovery from rows that a cut fold has mixed.

use super::dice::Dice;
use super::machine::{Machine, cases};
use super::reads::sums;
use super::recovery::Rows;
use super::*;
use crate::limits::DEPARTED_SUBNETS_MAX;
use crate::model::{Family, Revision};
use addrd_protocol::message::usage::USAGE_GONE_MAX;
use addrd_protocol::message::{
    NetworkUsage, PinCreate, PinDelete, SubnetDelete, SubnetName, SubnetUsage, Usage,
};
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

/// All pages as a client gathers them: what is told once is that of the first. `None`: there is no
/// such network.
fn usage_of(world: &mut World, network: u128, mut asked: Usage) -> Option<NetworkUsage> {
    let mut whole: Option<NetworkUsage> = None;
    loop {
        let page = match world.apply(network, &Request::Usage(Box::new(asked.clone()))) {
            Ok((_, Reply::Usage(page))) => *page,
            Err(refused) if refused.status == Status::NOT_FOUND => return None,
            other => panic!("{other:?}"),
        };
        asked.cursor = page.next.clone();
        match &mut whole {
            Some(whole) => {
                assert_eq!((page.totals, page.gone), (whole.totals.clone(), Vec::new()));
                whole.subnets.extend(page.subnets);
            }
            None => whole = Some(page),
        }
        if whole.as_ref().is_some_and(|first| first.whole) {
            asked.changed_since = None;
        }
        if asked.cursor.is_none() {
            return whole;
        }
    }
}

fn usage(world: &mut World, network: u128, since: Option<Revision>) -> Option<NetworkUsage> {
    usage_of(world, network, Usage { changed_since: since, ..Usage::default() })
}

impl Poller {
    /// Asks for what changed, merges it, and compares with everything. Gives what came.
    fn poll(&mut self, world: &mut World, network: u128) -> Option<NetworkUsage> {
        let changed = usage(world, network, self.revision)?;
        if changed.whole {
            self.counts.clear();
        }
        changed.gone.iter().for_each(|id| _ = self.counts.remove(id));
        self.counts.extend(changed.subnets.iter().map(|one| (one.subnet_id, one.clone())));
        self.revision = Some(changed.revision);
        let all = usage(world, network, None).unwrap();
        assert!(all.whole && all.gone.is_empty());
        assert_eq!(all.totals, sums(&all.subnets));
        assert_eq!(all.totals, changed.totals, "a poll tells the sums of all");
        let all: BTreeMap<_, _> = all.subnets.into_iter().map(|one| (one.subnet_id, one)).collect();
        assert_eq!(self.counts, all);
        Some(changed)
    }
}

fn run(steps: &[u64], seed: u64) {
    let mut machine = Machine::new(1);
    let mut pollers: BTreeMap<u128, Poller> =
        NETWORKS.map(|network| (network, Poller::default())).collect();
    let mut states = vec![(0, machine.world.snapshot())];
    for &seed in steps {
        // A network that is made again begins behind every revision of the one before.
        machine.wait(1);
        machine.step(seed);
        states.push((machine.world.log.effects.len(), machine.world.snapshot()));
        for (network, poller) in &mut pollers {
            if Dice(seed ^ *network as u64).once_in(3) {
                poller.poll(&mut machine.world, *network);
            }
        }
    }
    let mut dice = Dice(seed);
    let from = dice.roll(states.len() as u64) as usize;
    let to = from + dice.roll((states.len() - from) as u64) as usize;
    let ((start, old), (_, new)) = (&states[from], &states[to]);
    let mut shard = Rows::mixed(Rows::of(old), Rows::of(new), &mut dice).load();
    for effect in &machine.world.log.effects[*start..] {
        _ = shard.absorb(effect);
    }
    machine.world.shards = vec![shard];
    for (network, poller) in &mut pollers {
        poller.poll(&mut machine.world, *network);
        if let Some(again) = poller.poll(&mut machine.world, *network) {
            let nothing = (again.whole, again.subnets.len(), again.gone.len());
            assert_eq!(nothing, (false, 0, 0), "nothing changed since");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn polled_counts_are_those_that_there_are(
        steps in prop::collection::vec(any::<u64>(), 1..80),
        seed in any::<u64>(),
    ) {
        run(&steps, seed);
    }
}

fn delete(world: &mut World, number: u128) {
    let delete = SubnetDelete { subnet_id: subnet_id(number), force: true, expected: Revision(0) };
    world.done(1, Request::SubnetDelete(delete));
    world.work(1);
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
}

#[test]
fn what_does_not_go_together_is_refused() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let one = Some(SubnetName::Id(subnet_id(1)));
    let since = Some(usage(&mut world, 1, None).unwrap().revision);
    let cases = [
        (Usage { subnet: one.clone(), changed_since: since, ..Usage::default() }, "changed_since"),
        (Usage { subnet: one.clone(), family: Some(Family::V4), ..Usage::default() }, "family"),
        (Usage { subnet: one, totals_only: true, ..Usage::default() }, "totals_only"),
        (Usage { changed_since: since, totals_only: true, ..Usage::default() }, "totals_only"),
    ];
    for (request, field) in cases {
        let refused = world.refused(1, Request::Usage(Box::new(request)));
        assert_eq!(refused.status, Status::CONFLICTING_FIELDS);
        assert!(refused.message.starts_with(field), "{}", refused.message);
    }
}

#[test]
fn a_family_alone_and_sums_alone() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(subnet(2, "10.0.1.0/24"));
    world.subnet(subnet(3, "fd00::/64"));
    world.address(1);
    let all = usage(&mut world, 1, None).unwrap();
    let [v4, v6] = &all.totals[..] else { panic!("{all:?}") };
    assert_eq!((v4.subnets, v4.size, v4.allocated), (2, 512, 1));
    assert_eq!((v6.subnets, v6.size, v6.allocated), (1, 1 << 64, 0));
    for (family, totals, ids) in [(Family::V4, v4, vec![1, 2]), (Family::V6, v6, vec![3])] {
        let family = Some(family);
        let one = usage_of(&mut world, 1, Usage { family, ..Usage::default() }).unwrap();
        assert_eq!(one.totals, std::slice::from_ref(totals));
        let shown: Vec<_> = one.subnets.iter().map(|one| one.subnet_id).collect();
        assert_eq!(shown, ids.into_iter().map(subnet_id).collect::<Vec<_>>());
        let sums = Usage { family, totals_only: true, ..Usage::default() };
        let sums = usage_of(&mut world, 1, sums).unwrap();
        assert_eq!((&sums.totals, &sums.subnets), (&one.totals, &Vec::new()));
    }
    delete(&mut world, 3);
    let gone = usage(&mut world, 1, Some(all.revision)).unwrap();
    assert_eq!((gone.totals.len(), gone.gone), (1, vec![subnet_id(3)]));
    let only =
        Usage { changed_since: Some(all.revision), family: Some(Family::V4), ..Usage::default() };
    assert_eq!(usage_of(&mut world, 1, only).unwrap().gone, []);
}

#[test]
fn sums_follow_pins_exclusions_pools_and_blocks() {
    use addrd_protocol::message::{Exclusion, ExclusionMode, SubnetExclude, SubnetUpdate};
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(subnet(2, "10.0.1.0/24"));
    let pin = |address: &str| PinCreate {
        address: ip(address),
        owner: owner(9),
        slot: Slot(0),
        owner_name: None,
    };
    let mut poller = Poller::default();
    let mut compare = |world: &mut World| {
        let told = poller.poll(world, 1).unwrap();
        world.check();
        let [sums] = &told.totals[..] else { panic!("{told:?}") };
        (sums.free, sums.allocated, sums.excluded, sums.pinned, sums.used_outside)
    };
    assert_eq!(compare(&mut world), (506, 0, 0, 0, 0));
    world.done(1, Request::PinCreate(Box::new(pin("10.0.0.9"))));
    assert_eq!(compare(&mut world), (505, 0, 0, 1, 0));
    assert_eq!(world.address(9), ip("10.0.0.9"));
    assert_eq!(compare(&mut world), (505, 1, 0, 0, 0));
    let range = crate::model::Range::new(ip("10.0.0.8"), ip("10.0.0.15")).unwrap();
    let exclusion = Exclusion { range, mode: ExclusionMode::Automatic, reason: None };
    let exclude = SubnetExclude { subnet_id: subnet_id(1), exclusion };
    world.done(1, Request::SubnetExclude(Box::new(exclude)));
    assert_eq!(compare(&mut world), (498, 1, 7, 0, 0));
    world.release(release(9));
    assert_eq!(compare(&mut world), (498, 0, 8, 0, 0), "an excluded pin is excluded");
    let block = Allocate {
        length: Some(28),
        strategy: addrd_protocol::message::Strategy::Exact,
        ..allocate_with(1, |extras| extras.exact = Some(ip("10.0.1.16")))
    };
    world.allocate(block);
    assert_eq!(compare(&mut world), (482, 16, 8, 0, 0));
    let pools = crate::model::Range::new(ip("10.0.1.20"), ip("10.0.1.29")).unwrap();
    let update = SubnetUpdate {
        pools: addrd_protocol::Setting::Value(vec![pools]),
        ..super::places::change_of(2)
    };
    world.done(1, Request::SubnetUpdate(Box::new(update)));
    assert_eq!(compare(&mut world), (245, 10, 8, 0, 6));
    world.done(1, Request::PinDelete(PinDelete { address: ip("10.0.0.9") }));
    delete(&mut world, 2);
    assert_eq!(compare(&mut world), (245, 0, 8, 0, 0));
}

#[test]
fn sums_of_almost_all_addresses_do_not_overflow() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    for (id, cidr) in (1..).zip(["8000::/1", "4000::/2", "2000::/3", "1000::/4"]) {
        world.subnet(subnet(id, cidr));
    }
    let refused = world.refused(1, Request::SubnetCreate(Box::new(subnet(9, "::/4"))));
    assert_eq!(refused.status, Status::INVALID_PREFIX);
    let told = usage(&mut world, 1, None).unwrap();
    assert_eq!((told.totals[0].subnets, told.totals[0].size), (4, u128::MAX - (u128::MAX >> 4)));
    world.check();
}

/// A fold that was cut has written rows and not yet how far the network is: what is replayed then
/// finds its row as it will be, and still has changed the counts for whoever asked before it.
#[test]
fn what_a_cut_fold_has_written_ahead_is_told_after_the_restart() {
    let pin =
        PinCreate { address: ip("10.0.0.9"), owner: owner(9), slot: Slot(0), owner_name: None };
    let changes = [
        Request::Allocate(allocate(2)),
        Request::Release(release(1)),
        Request::PinDelete(PinDelete { address: ip("10.0.0.9") }),
    ];
    for change in changes {
        let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
        world.address(1);
        world.done(1, Request::PinCreate(Box::new(pin.clone())));
        let mut poller = Poller::default();
        poller.poll(&mut world, 1);
        let (before, old) = (world.log.effects.len(), Rows::of(&world.snapshot()));
        world.done(1, change.clone());
        let mut rows = Rows::of(&world.snapshot());
        rows.marks = old.marks;
        let mut shard = rows.load();
        for effect in &world.log.effects[before..] {
            shard.absorb(effect).unwrap();
        }
        world.shards = vec![shard];
        let told = poller.poll(&mut world, 1).unwrap();
        assert_eq!(told.subnets.len(), 1, "{change:?}");
    }
}

/// A subnet that is deleted and made again under its id is both gone and there; one that changed hands
/// with a network of the same id is of a whole reply.
#[test]
fn what_was_made_again_is_another_one() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let mut poller = Poller::default();
    poller.poll(&mut world, 1);
    delete(&mut world, 1);
    world.subnet(subnet(1, "10.0.9.0/24"));
    let told = poller.poll(&mut world, 1).unwrap();
    assert_eq!((told.whole, told.gone), (false, vec![subnet_id(1)]));
    let known = poller.revision;
    let force = NetworkDelete { force: true, expected: Revision(0) };
    world.done(1, Request::NetworkDelete(force));
    world.work(10);
    world.at.tick = Tick(5_000);
    world.done(1, Request::NetworkCreate(Box::default()));
    let told = usage(&mut world, 1, known).unwrap();
    assert_eq!((told.whole, told.subnets.len()), (true, 0), "the network is another one");
    let ahead = Some(Revision(told.revision.0 + 1));
    assert!(usage(&mut world, 1, ahead).unwrap().whole, "a revision of another life");
}

/// Deletions beyond what a reply or the shard can tell make the reply whole, never wrong.
#[test]
fn more_deletions_than_can_be_told_make_a_reply_whole() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let mut poller = Poller::default();
    poller.poll(&mut world, 1);
    let churn = |world: &mut World, times: usize| {
        for _ in 0..times {
            world.subnet(subnet(2, "10.0.1.0/30"));
            let id = subnet_id(2);
            let delete = SubnetDelete { subnet_id: id, force: false, expected: Revision(0) };
            world.done(1, Request::SubnetDelete(delete));
        }
    };
    churn(&mut world, USAGE_GONE_MAX);
    let told = poller.poll(&mut world, 1).unwrap();
    assert_eq!((told.whole, told.gone.len()), (false, USAGE_GONE_MAX));
    churn(&mut world, USAGE_GONE_MAX + 1);
    let told = poller.poll(&mut world, 1).unwrap();
    assert_eq!((told.whole, told.gone.len()), (true, 0));
    let known = poller.revision;
    churn(&mut world, DEPARTED_SUBNETS_MAX + 1);
    poller.poll(&mut world, 1);
    churn(&mut world, 3);
    assert_eq!(poller.poll(&mut world, 1).unwrap().gone.len(), 3, "the last ones are remembered");
    assert!(usage(&mut world, 1, known).unwrap().whole, "the first ones are not");
}
