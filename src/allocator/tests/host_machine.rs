//! Random hosts, lives and followers against a naive server: what follows lives exactly as long as its host's
//! lease does under the same life, whoever writes its end, in whatever order, over restarts.

use super::host_leases::{follower, key, lease, update, world_of};
use super::*;
use crate::limits::RESTART_GRACE_MS;
use crate::model::Setting;
use addrd_protocol::message::{AllocationUpdate, HostLeaseState, OnEnd};
use std::collections::BTreeMap;

const HOSTS: [&str; 3] = ["n1", "n2", "n3"];
const OWNERS: u64 = 12;
const STEPS: usize = 600;
const SEEDS: u64 = 24;

/// Numbers that depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % below
    }
}

/// A lease as a naive server has it.
#[derive(Clone, Copy, Debug)]
struct Lease {
    since: u64,
    life: u64,
    /// The deadline that was written, and when it ends with whatever grace it has.
    written: u64,
    deadline: u64,
    on_end: OnEnd,
}

/// Something that was given.
#[derive(Clone, Debug)]
struct Given {
    host: usize,
    /// `None` = it follows nothing.
    life: Option<u64>,
}

struct Naive {
    leases: [Option<Lease>; HOSTS.len()],
    given: BTreeMap<(u128, u128), Given>,
    life: u64,
    /// What of no present life ends only then.
    grace_until: u64,
}

impl Lease {
    fn has_ended(&self, now: u64) -> bool {
        self.on_end == OnEnd::Release && self.deadline <= now
    }
}

impl Naive {
    fn is_of_present(&self, given: &Given) -> bool {
        let has = |lease: Lease| {
            given.life.is_some_and(|life| (lease.since..=lease.life).contains(&life))
        };
        self.leases[given.host].is_some_and(has)
    }

    /// Whether what was given is there still.
    fn is_there(&self, given: &Given, now: u64) -> bool {
        if given.life.is_none() {
            return true;
        }
        match self.leases[given.host].filter(|_| self.is_of_present(given)) {
            Some(lease) => !lease.has_ended(now),
            None => now < self.grace_until,
        }
    }

    /// Forgets what has ended, as everybody may.
    fn settle(&mut self, now: u64) {
        let gone: Vec<_> = self
            .given
            .iter()
            .filter(|(_, given)| !self.is_there(given, now))
            .map(|(key, _)| *key)
            .collect();
        gone.iter().for_each(|key| drop(self.given.remove(key)));
        for host in 0..HOSTS.len() {
            if self.leases[host].is_some_and(|lease| lease.has_ended(now)) {
                self.leases[host] = None;
            }
        }
    }
}

fn renew(world: &mut World, naive: &mut Naive, dice: &mut Dice) {
    let host = dice.roll(3) as usize;
    let on_end = if dice.roll(3) == 0 { OnEnd::Report } else { OnEnd::Release };
    let begins = dice.roll(3) == 0;
    naive.life += u64::from(begins);
    let begin = if begins { naive.life } else { 0 };
    let now = world.at.tick.0;
    let answer = world.renew_host(lease(HOSTS[host], on_end, begin));
    let was = naive.leases[host];
    let (since, life) = match was {
        // A record of the end may be written by now, or not.
        _ if !begins && was.is_none_or(|was| was.has_ended(now)) => {
            let status = answer.unwrap_err().status;
            assert!(matches!(status, Status::NO_HOST_LEASE | Status::EXPIRED), "{status:?}");
            return;
        }
        Some(was) if !begins => (was.since, was.life),
        Some(was) if was.on_end == OnEnd::Report => (was.since, begin),
        _ => (begin, begin),
    };
    let renewed = answer.unwrap();
    assert_eq!(renewed.life, life);
    let written = now + renewed.time_left_ms;
    // A deadline that is what it was keeps the grace that it had.
    let same = was.filter(|was| was.written == written);
    let deadline = same.map_or(written, |was| was.deadline);
    if was.is_some_and(|was| was.on_end == OnEnd::Report && was.deadline <= now) {
        assert_eq!(renewed.was, HostLeaseState::Overdue);
    }
    naive.leases[host] = Some(Lease { since, life, written, deadline, on_end });
    let follows = |given: &&Given| given.host == host && naive.is_of_present(given);
    assert_eq!(renewed.following, naive.given.values().filter(follows).count() as u64);
}

fn allocate_one(world: &mut World, naive: &mut Naive, dice: &mut Dice) {
    let (network, number) = (1 + u128::from(dice.roll(2)), 1 + u128::from(dice.roll(OWNERS)));
    let host = dice.roll(3) as usize;
    let mut request = follower(number, HOSTS[host]);
    let follows = dice.roll(4) > 0;
    request.extras.as_mut().unwrap().follow_host = follows;
    let now = world.at.tick.0;
    let answer = world.try_take(network, request);
    let held = naive.given.get(&(network, number)).filter(|given| naive.is_there(given, now));
    if let Some(held) = held.cloned() {
        assert!(answer.unwrap().first.repeated);
        let present = naive.leases[held.host].filter(|lease| !lease.has_ended(now));
        if let Some(lease) = present.filter(|_| follows && held.life.is_some()) {
            let given = Given { life: Some(lease.life), ..held };
            naive.given.insert((network, number), given);
        }
        return;
    }
    let life = match naive.leases[host] {
        _ if !follows => None,
        None => return assert_eq!(answer, Err(Status::NO_HOST_LEASE)),
        Some(lease) if lease.has_ended(now) => {
            let status = answer.unwrap_err();
            assert!(matches!(status, Status::HOST_LEASE_OVER | Status::NO_HOST_LEASE));
            return;
        }
        Some(lease) => Some(lease.life),
    };
    assert!(!answer.unwrap().first.repeated);
    naive.given.insert((network, number), Given { host, life });
}

fn move_one(world: &mut World, naive: &mut Naive, dice: &mut Dice) {
    let (number, to) = (1 + u128::from(dice.roll(OWNERS)), dice.roll(3) as usize);
    let now = world.at.tick.0;
    let request = AllocationUpdate { host: Setting::Value(text(HOSTS[to])), ..update(number) };
    let answer = world.try_change(request);
    let held = naive.given.get(&(1, number)).filter(|given| naive.is_there(given, now)).cloned();
    let Some(held) = held else { return assert_eq!(answer, Err(Status::NOT_FOUND)) };
    let life = match (held.life, naive.leases[to]) {
        (None, _) => None,
        (life, _) if held.host == to => life,
        (Some(_), Some(lease)) if !lease.has_ended(now) => Some(lease.life),
        (Some(_), _) => {
            let status = answer.unwrap_err();
            assert!(matches!(status, Status::HOST_LEASE_OVER | Status::NO_HOST_LEASE));
            return;
        }
    };
    assert_eq!(answer.unwrap().follows_host, life.is_some());
    naive.given.insert((1, number), Given { host: to, life });
}

fn end_one(world: &mut World, naive: &mut Naive, dice: &mut Dice) {
    let host = dice.roll(3) as usize;
    let on_end = if dice.roll(2) == 0 { OnEnd::Report } else { OnEnd::Release };
    let now = world.at.tick.0;
    if naive.leases[host].is_some_and(|lease| lease.has_ended(now)) {
        world.end_all();
        naive.settle(now);
    }
    let answer = world.end_host(HOSTS[host], on_end);
    if naive.leases[host].is_none() {
        return assert_eq!(answer.unwrap_err().status, Status::NO_HOST_LEASE);
    }
    assert!(!answer.unwrap().more);
    if on_end == OnEnd::Report {
        let of = |naive: &Naive, given: &Given| given.host == host && naive.is_of_present(given);
        let let_go: Vec<_> =
            naive.given.iter().filter(|(_, given)| of(naive, given)).map(|(key, _)| *key).collect();
        for key in let_go {
            naive.given.insert(key, Given { host, life: None });
        }
    }
    naive.leases[host] = None;
}

fn compare(world: &mut World, naive: &Naive) {
    let now = world.at.tick.0;
    let mut addresses = std::collections::BTreeSet::new();
    for network in [1, 2] {
        for number in 1..=u128::from(OWNERS) {
            let there =
                naive.given.get(&(network, number)).filter(|given| naive.is_there(given, now));
            let shown = world.shown(network, number);
            assert_eq!(shown.is_some(), there.is_some(), "{network} {:?}", key(number));
            if let (Some(shown), Some(there)) = (shown, there) {
                assert_eq!(shown.follows_host, there.life.is_some());
                assert!(addresses.insert((network, shown.address)), "held twice");
            }
        }
    }
}

fn run(seed: u64) {
    let (mut world, mut dice) = (world_of(2), Dice(seed));
    let mut naive = Naive { leases: [None; 3], given: BTreeMap::new(), life: 0, grace_until: 0 };
    for _ in 0..STEPS {
        match dice.roll(20) {
            0..=4 => renew(&mut world, &mut naive, &mut dice),
            5..=11 => allocate_one(&mut world, &mut naive, &mut dice),
            12 | 13 => move_one(&mut world, &mut naive, &mut dice),
            14 => end_one(&mut world, &mut naive, &mut dice),
            15 | 16 => world.wait(500 + dice.roll(9_000)),
            17 | 18 => {
                // One worker is further than the other.
                let (shard, at) = (dice.roll(2) as usize, world.at);
                world.shards[shard].step_expiry(&at, 1 + dice.roll(3) as usize, &mut world.log);
            }
            _ => {
                world.end_all();
                naive.settle(world.at.tick.0);
                assert_eq!(world.allocations(), naive.given.len() as u64);
                world.check();
                if dice.roll(2) == 0 {
                    world.lose_memory();
                    let until = world.at.tick.0 + RESTART_GRACE_MS;
                    naive.grace_until = until;
                    for lease in naive.leases.iter_mut().flatten() {
                        lease.deadline = lease.deadline.max(until);
                    }
                }
            }
        }
        compare(&mut world, &naive);
    }
}

#[test]
fn what_follows_lives_exactly_as_long_as_its_host() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        run(seed);
    }
}
