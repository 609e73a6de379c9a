//! Hosts of many lives: what is counted of them, what it takes, and which numbers begin no life again.

use super::host_leases::{follower, lease, world_of};
use super::reconcile::{call, live, on};
use super::suspects::roomy;
use super::*;
use addrd_protocol::message::{HostLeaseState, OnEnd};

const LEASE: u64 = 60_000;

/// A renewal looked at each life that something follows, so one host could make all of its renewals slow.
#[test]
fn what_follows_a_thousand_lives_is_counted() {
    let mut world = roomy(2, 2);
    for (number, shard) in world.shards.iter_mut().enumerate() {
        shard.tell_hosts(number == 0);
    }
    for life in 1..=1_500 {
        let begun = world.renew_host(lease("n1", OnEnd::Report, life)).unwrap();
        assert_eq!(begun.following, life - 1, "a lease that reports takes all over");
        world.give(1 + u128::from(life % 2), follower(life.into(), "n1"));
    }
    for number in (1..=1_500).step_by(3) {
        let gone = Request::Release(release(number));
        world.done(1 + number % 2, gone);
    }
    assert_eq!(world.renew_host(lease("n1", OnEnd::Release, 0)).unwrap().following, 1_000);
    world.check();
    // Over one that releases, a life that begins has nothing of those before.
    let begun = world.renew_host(lease("n1", OnEnd::Release, 5_000)).unwrap();
    assert_eq!((begun.was, begun.following), (HostLeaseState::Running, 0));
    world.give(1, follower(5_000, "n1"));
    assert_eq!(world.renew_host(lease("n1", OnEnd::Release, 0)).unwrap().following, 1);
    assert_eq!(world.leases()[0].following, 1_001, "those are still to be released");
    world.check();
    let ended = world.end_host("n1", OnEnd::Release).unwrap();
    assert_eq!(ended.following, 1);
    let mut left = world.allocations();
    while left > 0 {
        let at = world.at;
        for shard in 0..2 {
            world.shards[shard].step_expiry(&at, 100, &mut world.log);
        }
        assert!(world.allocations() < left, "{left} are left");
        left = world.allocations();
        world.check();
    }
    assert_eq!(world.leases(), []);
}

/// A late message of a life that is over would begin it again, and what lives and follows would end with a lease that
/// nobody renews.
#[test]
fn a_life_that_is_over_does_not_begin_again() {
    for how in [None, Some(OnEnd::Report), Some(OnEnd::Release)] {
        let mut world = world_of(2);
        world.renew_host(lease("n1", OnEnd::Release, 7)).unwrap();
        world.give(1, follower(1, "n1"));
        match how {
            None => world.wait(LEASE),
            Some(on_end) => drop(world.end_host("n1", on_end).unwrap()),
        }
        world.end_all();
        let of_another = world.renew_host(lease("n2", OnEnd::Release, 3)).unwrap();
        assert_eq!(of_another.was, HostLeaseState::Absent);
        for begin in [1, 6, 7] {
            let refused = world.host_refusal(lease("n1", OnEnd::Release, begin));
            assert_eq!(refused, Status::HOST_LIFE_STALE, "{how:?}, {begin}");
        }
        assert_eq!(world.try_take(1, follower(2, "n1")), Err(Status::NO_HOST_LEASE));
        let begun = world.renew_host(lease("n1", OnEnd::Release, 8)).unwrap();
        assert_eq!((begun.was, begun.following), (HostLeaseState::Absent, 0));
        world.end_host("n1", OnEnd::Release).unwrap();
        assert_eq!(world.host_refusal(lease("n1", OnEnd::Release, 8)), Status::HOST_LIFE_STALE);
        // With the process go the connections on which anything was late.
        world.lose_memory();
        let begun = world.renew_host(lease("n1", OnEnd::Release, 3)).unwrap();
        assert_eq!((begun.was, begun.life), (HostLeaseState::Absent, 3));
        world.check();
    }
}

/// The figure of memory left out names, calls and what each order of a host takes.
#[test]
fn what_a_host_takes_is_in_the_figure_of_memory() {
    const HOSTS: u128 = 1_000;
    let mut world = roomy(1, 1);
    let name = |number: u128| format!("{number:0>200}");
    let bytes = |world: &World| world.shards[0].memory_bytes();
    let grown = |world: &World, before: usize| (bytes(world) - before) / HOSTS as usize;
    let start = bytes(&world);
    for number in 1..=HOSTS {
        world.give(1, on(number, "cni", &name(number)));
    }
    // The name, the order of its groups, and what every allocation takes.
    let known = grown(&world, start);
    assert!((600..2_000).contains(&known), "{known}");
    let before = bytes(&world);
    for number in 1..=HOSTS {
        world.reconcile(0, &call(1, "cni", &name(number), &[live(number)]));
    }
    // A node of calls.
    let called = grown(&world, before);
    assert!((1_500..4_000).contains(&called), "{called}");
    let before = bytes(&world);
    for number in 1..=HOSTS {
        world.renew_host(lease(&name(number), OnEnd::Report, 1)).unwrap();
        world.give(1, follower(HOSTS + number, &name(number)));
    }
    // A place among leases, two orders of lives, and a second allocation.
    let leased = grown(&world, before);
    assert!((500..2_000).contains(&leased), "{leased}");
    world.check();
    let before = bytes(&world);
    for number in 1..=HOSTS {
        world.end_host(&name(number), OnEnd::Release).unwrap();
        world.done(1, Request::Release(release(number)));
    }
    world.end_all();
    assert_eq!(world.leases(), []);
    assert!(bytes(&world) < before, "what is gone takes nothing");
    world.check();
}
