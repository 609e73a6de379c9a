//! Suspects in pages: each exactly once, over hosts, lives, networks and workers, whatever comes and goes in between.

use super::dice::Dice;
use super::host_leases::{follower, lease};
use super::reconcile::{call, live, on};
use super::*;
use crate::limits::LIST_OBJECTS_MAX;
use addrd_protocol::message::reconcile::SUSPECTS_MAX;
use addrd_protocol::message::{
    AllocationList, Cursor, JobList, OnEnd, PageRequest, SuspectList, Suspects,
};
use std::collections::{BTreeMap, BTreeSet};

/// More pages than any list here has.
const PAGES_MAX: usize = 1_000;

/// Networks from 1 on, each with room for 60,000.
pub(super) fn roomy(workers: usize, networks: u128) -> World {
    let mut world = World::new(workers);
    for network in 1..=networks {
        world.done(network, Request::NetworkCreate(Box::default()));
        let cidr = format!("10.{network}.0.0/16");
        world.done(network, Request::SubnetCreate(Box::new(subnet(network, &cidr))));
    }
    world
}

/// Only of this manager, and of this host.
fn only(manager: Option<&str>, host: Option<&str>) -> SuspectList {
    SuspectList { manager: manager.map(text), host: host.map(text), cursor: None }
}

fn at(cursor: &[u8]) -> SuspectList {
    SuspectList { cursor: Some(Cursor(cursor.to_vec().into())), ..SuspectList::default() }
}

impl World {
    fn suspect_page(&mut self, network: u128, request: &SuspectList) -> Suspects {
        match self.done(network, Request::SuspectList(Box::new(request.clone()))) {
            Reply::Suspects(page) => *page,
            other => panic!("{other:?}"),
        }
    }

    /// The whole list, page by page, with something in between; no page is too long, and all of them end.
    fn suspects_with(
        &mut self,
        network: u128,
        request: SuspectList,
        mut between: impl FnMut(&mut Self, &[u128]),
    ) -> Vec<u128> {
        let (mut all, mut request) = (Vec::new(), request);
        for _ in 0..PAGES_MAX {
            let page = self.suspect_page(network, &request);
            assert!(page.allocations.len() <= SUSPECTS_MAX);
            assert_eq!(page.more, page.next.is_some());
            all.extend(page.allocations.iter().map(|one| one.owner.0.as_u128()));
            request.cursor = page.next;
            if request.cursor.is_none() {
                return all;
            }
            between(self, &all);
        }
        panic!("{PAGES_MAX} pages, and no end");
    }

    fn all_suspects(&mut self, network: u128, request: SuspectList) -> Vec<u128> {
        self.suspects_with(network, request, |_, _| {})
    }
}

fn sorted(mut all: Vec<u128>) -> Vec<u128> {
    all.sort_unstable();
    all
}

/// 1,500 of three managers on seven hosts in four networks, some of which follow their host; every fifth lives.
fn crowd(workers: usize) -> (World, BTreeMap<u128, (u128, &'static str, String)>) {
    let mut world = roomy(workers, 4);
    for host in ["n0", "n1", "n2"] {
        world.renew_host(lease(host, OnEnd::Report, 5)).unwrap();
    }
    let mut missed = BTreeMap::new();
    let mut calls: BTreeMap<(&str, String), Vec<_>> = BTreeMap::new();
    for number in 1..=1_500_u128 {
        let (network, manager) = (1 + number % 4, ["cni", "vmm", "bare"][number as usize % 3]);
        let host = format!("n{}", number % 7);
        let follows = manager == "cni" && number % 7 < 3 && number % 2 == 0;
        let request = if follows { follower(number, &host) } else { on(number, manager, &host) };
        world.give(network, request);
        let lists = calls.entry((manager, host.clone())).or_default();
        if number % 5 == 0 {
            lists.push(live(number));
        } else {
            missed.insert(number, (network, manager, host));
        }
    }
    for ((manager, host), lists) in calls {
        world.reconcile(0, &call(1, manager, &host, &lists));
    }
    (world, missed)
}

#[test]
fn every_suspect_is_listed_once_over_networks_hosts_and_workers() {
    for workers in [1, 2, 5] {
        let (mut world, missed) = crowd(workers);
        let whose = |network: u128, manager: Option<&str>, host: Option<&str>| -> Vec<u128> {
            let is_meant = |(of, by, at): &(u128, &str, String)| {
                (network == 0 || network == *of)
                    && manager.is_none_or(|manager| manager == *by)
                    && host.is_none_or(|host| host == at)
            };
            missed.iter().filter(|(_, place)| is_meant(place)).map(|(&number, _)| number).collect()
        };
        assert_eq!(whose(0, None, None).len(), 1_200);
        for network in [0, 1, 2, 3, 4] {
            for manager in [None, Some("cni"), Some("vmm"), Some("nobody")] {
                for host in [None, Some("n1"), Some("n6"), Some("nowhere")] {
                    let found = world.all_suspects(network, only(manager, host));
                    let told = (workers, network, manager, host);
                    assert_eq!(sorted(found), whose(network, manager, host), "{told:?}");
                }
            }
        }
        world.check();
    }
}

/// What a client that doesn't know of cursors sees: as much as there is room for, and that there is more.
#[test]
fn the_first_page_says_whether_there_is_more() {
    let mut world = roomy(1, 1);
    for number in 1..=SUSPECTS_MAX as u128 {
        world.give(1, on(number, "cni", "n1"));
    }
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    for network in [0, 1] {
        let page = world.suspect_page(network, &SuspectList::default());
        assert_eq!((page.allocations.len(), page.more, page.next), (SUSPECTS_MAX, false, None));
    }
    world.give(1, on(999, "cni", "n1"));
    world.reconcile(0, &call(2, "cni", "n1", &[]));
    world.wait(60_000);
    world.reconcile(0, &call(3, "cni", "n1", &[]));
    for network in [0, 1] {
        let page = world.suspect_page(network, &SuspectList::default());
        assert_eq!((page.allocations.len(), page.more), (SUSPECTS_MAX, true));
        assert_eq!(world.all_suspects(network, SuspectList::default()).len(), SUSPECTS_MAX + 1);
    }
}

/// Between the pages allocations end, also the one at which a list goes on and all that a host has; others are asked for
/// again, claimed, and made, also where one ended.
#[test]
fn what_stays_suspect_is_listed_once_whatever_comes_and_goes() {
    for seed in 0..40 {
        let workers = 1 + seed as usize % 3;
        let (mut world, missed) = crowd(workers);
        let mut dice = Dice(seed);
        let mut stayed: BTreeSet<u128> = missed.keys().copied().collect();
        let (mut number, mut calls) = (10_000, 100);
        let all = world.suspects_with(0, SuspectList::default(), |world, shown| {
            let mut gone: Vec<u128> =
                (0..dice.roll(30)).map(|_| u128::from(1 + dice.roll(1_500))).collect();
            if dice.once_in(2) {
                // Where the list goes on, and those before it.
                gone.extend(shown.iter().rev().take(1 + dice.roll(3) as usize));
            }
            if dice.once_in(3) {
                let host = format!("n{}", dice.roll(7));
                gone.extend(missed.iter().filter(|(_, (.., at))| *at == host).map(|(&one, _)| one));
            }
            for one in gone {
                stayed.remove(&one);
                let Some((network, manager, host)) = missed.get(&one) else { continue };
                match dice.roll(4) {
                    0 => drop(world.apply(*network, &Request::Allocate(on(one, manager, host)))),
                    1 => {
                        calls += 1;
                        world.reconcile(0, &call(calls, manager, "elsewhere", &[live(one)]));
                    }
                    _ => drop(world.apply(*network, &Request::Release(release(one)))),
                }
            }
            for _ in 0..dice.roll(10) {
                number += 1;
                world.give(1 + number % 4, on(number, "cni", &format!("n{}", dice.roll(9))));
            }
        });
        let once: BTreeSet<u128> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len(), "seed {seed}: nothing became suspect again");
        assert!(once.is_superset(&stayed), "seed {seed}: {:?}", stayed.difference(&once));
        assert!(once.iter().all(|one| missed.contains_key(one)), "seed {seed}");
        world.check();
    }
}

/// Where a list goes on is gone, and so much is in front of that place that one page does not get over it.
#[test]
fn a_list_goes_on_where_more_ended_than_a_page_looks_at() {
    let mut world = roomy(1, 1);
    let count = LIST_OBJECTS_MAX as u128 * 2;
    for number in 1..=count {
        world.give(1, on(number, "cni", "n1"));
    }
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    let (mut gone, mut empty, mut before) = (0, 0, 0);
    let all = world.suspects_with(0, SuspectList::default(), |world, shown| {
        empty += u64::from(shown.len() == before);
        // Those of an empty page are still there: only what was shown last goes.
        if shown.len() > LIST_OBJECTS_MAX && shown.len() != before {
            gone += 1;
            world.release(release(*shown.last().unwrap()));
        }
        before = shown.len();
    });
    assert_eq!(all, (1..=count).collect::<Vec<_>>());
    assert!(gone > 4 && empty >= gone, "{empty} of {gone}");
}

/// What is no suspect takes looks too: those that another host lists, and hosts that nobody spoke of.
#[test]
fn pages_without_suspects_go_on() {
    let mut world = roomy(2, 8);
    let on_worker = |worker: u16| {
        let place = |network: u128| worker_of(ProjectId::DEFAULT, network_id(network), 2).0;
        (1..=8).find(|&network| place(network) == worker).expect("eight networks on two workers")
    };
    let networks = [on_worker(0), on_worker(1)];
    // More than a page looks at in each of the workers.
    let count = 2 * LIST_OBJECTS_MAX as u128 + 1_000;
    for number in 1..=count {
        let network = networks[number as usize % 2];
        world.give(network, on(number, "cni", &format!("idle-{number}")));
        world.give(network, on(count + number, "cni", "n1"));
    }
    let all: Vec<u128> = (count + 1..=2 * count).collect();
    for (number, some) in (1..).zip(all.chunks(2_000)) {
        let listed: Vec<_> = some.iter().map(|&one| live(one)).collect();
        let mut part = call(1, "cni", "n2", &listed);
        (part.part, part.parts) = (number - 1, all.len().div_ceil(2_000) as u16);
        world.reconcile(0, &part);
    }
    for (network, number) in networks.into_iter().zip(9_999_991..) {
        world.give(network, on(number, "cni", "n1"));
    }
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    let page = world.suspect_page(0, &SuspectList::default());
    assert!(page.allocations.is_empty() && page.more, "{}", page.allocations.len());
    assert_eq!(world.all_suspects(0, SuspectList::default()), [9_999_991, 9_999_992]);
    let second = networks[1];
    assert_eq!(world.all_suspects(second, only(Some("cni"), Some("n1"))), [9_999_992]);
    assert_eq!(world.all_suspects(second, only(Some("cni"), Some("n2"))), []);
}

/// A lease that is over counts as ended, whether or not it is worked off.
#[test]
fn what_has_ended_is_no_suspect() {
    let mut world = roomy(1, 1);
    world.give(1, on(1, "cni", "n1"));
    let mut leased = on(2, "cni", "n1");
    leased.extras.as_mut().unwrap().lease_ms = Some(10_000);
    world.give(1, leased);
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    assert_eq!(world.all_suspects(1, SuspectList::default()), [1, 2]);
    world.wait(10_000);
    assert_eq!(world.all_suspects(1, SuspectList::default()), [1]);
}

/// Projects have hosts of the same names, and a list is of one of them.
#[test]
fn another_project_s_cursor_shows_nothing_of_it() {
    let (mut world, _) = crowd(2);
    let next = world.suspect_page(0, &SuspectList::default()).next;
    let other = Scope { project: ProjectId::from_u128(9), ..scope(0) };
    for cursor in [None, next] {
        let request = SuspectList { cursor, ..SuspectList::default() };
        let answer = world.apply_as(&other, &Request::SuspectList(Box::new(request)));
        let Ok((_, Reply::Suspects(page))) = answer else { panic!("{answer:?}") };
        assert_eq!(*page, Suspects::default());
    }
}

#[test]
fn a_cursor_of_another_list_is_refused_and_a_forged_one_harms_nobody() {
    let (mut world, missed) = crowd(2);
    let good = world.suspect_page(0, &SuspectList::default()).next.unwrap().0.to_vec();
    let page = PageRequest { limit: 1, cursor: None };
    let list = AllocationList { page, ..AllocationList::default() };
    let Reply::Allocations(held) = world.done(1, Request::AllocationList(Box::new(list))) else {
        panic!("a page of allocations");
    };
    let foreign = held.next.unwrap().0.to_vec();
    let cut = good[..good.len() - 1].to_vec();
    let long = [&good[..], &[0]].concat();
    let one = good[..1].to_vec();
    for wrong in [Vec::new(), one, vec![7; 64], foreign, cut, long] {
        for network in [0, 1] {
            let refused = world.refused(network, Request::SuspectList(Box::new(at(&wrong))));
            assert_eq!(refused.status, Status::OUT_OF_RANGE, "{wrong:?}");
            assert_eq!(refused.field, Some(text("cursor")));
        }
    }
    let jobs = JobList { page: PageRequest { limit: 0, cursor: at(&good).cursor } };
    assert_eq!(world.refused(0, Request::JobList(Box::new(jobs))).status, Status::OUT_OF_RANGE);
    let mut dice = Dice(1);
    for _ in 0..500 {
        let mut forged = good.clone();
        for _ in 0..1 + dice.roll(12) {
            // Run and era stand behind kind, incarnation and shard: others are stale.
            let behind = 23 + dice.roll(forged.len() as u64 - 23) as usize;
            let place = if dice.once_in(8) { 5 + dice.roll(2) as usize } else { behind };
            forged[place] = dice.one_of(&[0, 1, 2, 3, 0x7f, 0xff, forged[place] ^ 1]);
        }
        for network in [0, 3] {
            let all = world.all_suspects(network, at(&forged));
            assert!(all.iter().all(|one| missed.contains_key(one)), "{forged:?}");
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        }
    }
    world.at.incarnation = Incarnation(2);
    let stale = world.refused(0, Request::SuspectList(Box::new(at(&good))));
    assert_eq!((stale.status, stale.field), (Status::STALE, Some(text("cursor"))));
}

/// A run of another server with the same data, and perhaps another number of workers: what numbers and stamps stand for is
/// something else there, so a list that went on would lack suspects and not say so.
#[test]
fn a_cursor_of_a_former_run_is_stale() {
    for (before, now) in [(3, 1), (1, 3), (2, 2)] {
        let (mut world, _) = crowd(before);
        world.shards.iter_mut().for_each(|shard| shard.set_run(1));
        let (mut again, missed) = crowd(now);
        again.shards.iter_mut().for_each(|shard| shard.set_run(2));
        for network in [0, 1, 2] {
            let old = world.suspect_page(network, &SuspectList::default()).next.unwrap();
            let old = SuspectList { cursor: Some(old), ..SuspectList::default() };
            let stale = again.refused(network, Request::SuspectList(Box::new(old)));
            assert_eq!((stale.status, stale.field), (Status::STALE, Some(text("cursor"))));
        }
        assert_eq!(again.all_suspects(0, SuspectList::default()).len(), missed.len());
    }
}

/// A standstill forgets the marks of a list that had begun: what is marked anew is listed from the start.
#[test]
fn a_cursor_of_forgotten_marks_is_stale() {
    let mut world = roomy(1, 1);
    for number in 1..=SUSPECTS_MAX as u128 + 2 {
        world.give(1, on(number, "cni", "n1"));
    }
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    for network in [0, 1] {
        let page = world.suspect_page(network, &SuspectList::default());
        world.shards[0].forget_marks();
        world.reconcile(0, &call(2 + network as u64, "cni", "n1", &[]));
        let next = SuspectList { cursor: page.next, ..SuspectList::default() };
        let stale = world.refused(network, Request::SuspectList(Box::new(next)));
        assert_eq!((stale.status, stale.field), (Status::STALE, Some(text("cursor"))));
        let all = world.all_suspects(network, SuspectList::default());
        assert_eq!(all.len(), SUSPECTS_MAX + 2);
    }
}

/// A worker behind the place of the list stood still: nothing of it was listed yet, and the list goes on.
#[test]
fn marks_forgotten_behind_a_list_do_not_end_it() {
    let (mut world, missed) = crowd(2);
    let first = world.suspect_page(0, &SuspectList::default());
    world.shards[1].forget_marks();
    let next = SuspectList { cursor: first.next, ..SuspectList::default() };
    let mut all: Vec<_> = first.allocations.iter().map(|one| one.owner.0.as_u128()).collect();
    all.extend(world.all_suspects(0, next));
    let of_first = |network: u128| worker_of(ProjectId::DEFAULT, network_id(network), 2).0 == 0;
    let kept = missed.iter().filter(|(_, (network, ..))| of_first(*network));
    assert_eq!(sorted(all), kept.map(|(&one, _)| one).collect::<Vec<_>>());
}
