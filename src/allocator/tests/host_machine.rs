//! Random hosts, lives and followers against a naive server: what follows lives exactly as long as its host's
//! lease does under the same life, whoever writes its end, in whatever order, over restarts; and no number of a life
//! that is used again brings anything back.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing one tells its seed.

use super::dice::Dice;
use super::host_leases::{follower, key, lease, update, world_of};
use super::*;
use crate::limits::RESTART_GRACE_MS;
use crate::model::Setting;
use addrd_protocol::message::{AllocationUpdate, HostLeaseState, OnEnd, RenewedHost};
use std::collections::{BTreeMap, BTreeSet};

const HOSTS: [&str; 3] = ["n1", "n2", "n3"];
const OWNERS: u64 = 12;
const STEPS: usize = 600;

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
    /// The last number that began a life.
    life: u64,
    /// The last life of the lease that a host had, since the last restart.
    former: [u64; HOSTS.len()],
    /// Lives that ended with their lease, by host: what followed them has had all grace.
    over: BTreeSet<(usize, u64)>,
    /// What is of no present life, and ended without its lease, goes on until then.
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
            None => {
                let is_over =
                    given.life.is_some_and(|life| self.over.contains(&(given.host, life)));
                !is_over && now < self.grace_until
            }
        }
    }

    /// The lease of a host is over or ended, and its present with it.
    fn end(&mut self, host: usize) {
        if let Some(Lease { since, life, .. }) = self.leases[host].take() {
            self.former[host] = life;
            self.over.extend((since..=life).map(|life| (host, life)));
        }
    }

    /// A life begins: nothing of one with the same number is there, and none of it is over.
    fn begin(&mut self, host: usize, now: u64, lease: Lease) {
        let gone = self.given.iter().filter(|(_, given)| !self.is_there(given, now));
        let of = |given: &Given| {
            given.host == host && given.life.is_some_and(|life| life >= lease.since)
        };
        let used: Vec<_> = gone.filter(|(_, given)| of(given)).map(|(key, _)| *key).collect();
        self.given.retain(|key, _| !used.contains(key));
        self.over.retain(|(of, life)| *of != host || *life < lease.since || *life > lease.life);
    }

    /// Forgets what has ended, as everybody may.
    fn settle(&mut self, now: u64) {
        let gone: Vec<_> = self
            .given
            .iter()
            .filter(|(_, given)| !self.is_there(given, now))
            .map(|(key, _)| *key)
            .collect();
        self.given.retain(|key, _| !gone.contains(key));
        for host in 0..HOSTS.len() {
            if self.leases[host].is_some_and(|lease| lease.has_ended(now)) {
                self.end(host);
            }
        }
    }
}

fn renew(world: &mut World, naive: &mut Naive, dice: &mut Dice) {
    let host = dice.roll(3) as usize;
    let on_end = if dice.roll(3) == 0 { OnEnd::Report } else { OnEnd::Release };
    let begin = match dice.roll(6) {
        0 | 1 => {
            naive.life += 1;
            naive.life
        }
        // Somebody whose clock went back, or a frame of a former life.
        2 => 1 + dice.roll(naive.life.max(1)),
        _ => 0,
    };
    let now = world.at.tick.0;
    let answer = world.renew_host(lease(HOSTS[host], on_end, begin));
    let was = naive.leases[host];
    let goes_on = was.filter(|was| !was.has_ended(now));
    let (since, life) = match goes_on {
        Some(was) if begin != 0 && begin < was.life => {
            return assert_eq!(answer.unwrap_err().status, Status::HOST_LIFE_STALE);
        }
        Some(was) if begin == 0 || begin == was.life => (was.since, was.life),
        Some(was) if was.on_end == OnEnd::Report => (was.since, begin),
        Some(_) => (begin, begin),
        None => match begun_anew(
            naive,
            host,
            now,
            begin,
            answer.as_ref().map_err(|refused| refused.status),
        ) {
            true => (begin, begin),
            false => return,
        },
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
    if goes_on.is_none() {
        naive.end(host);
    }
    let lease = Lease { since, life, written, deadline, on_end };
    if goes_on.is_none_or(|was| was.since != since) {
        naive.begin(host, now, lease);
    }
    naive.leases[host] = Some(lease);
    let follows = |given: &&Given| given.host == host && naive.is_of_present(given);
    assert_eq!(renewed.following, naive.given.values().filter(follows).count() as u64);
}

/// Whether a life begins on a host without a lease; a record of the end of the one before may be written by now, or not,
/// and so may what releases the rest of it.
fn begun_anew(
    naive: &Naive,
    host: usize,
    now: u64,
    begin: u64,
    answer: Result<&RenewedHost, Status>,
) -> bool {
    let before = naive.leases[host].map_or(0, |was| was.life);
    let former = before.max(naive.former[host]);
    let of: Vec<_> = naive.given.values().filter(|given| given.host == host).collect();
    let later = |given: &&Given| given.life.is_some_and(|life| life >= begin);
    match answer {
        Ok(_) => {
            assert_ne!(begin, 0, "a lease goes on that isn't there");
            assert!(begin > former, "life {begin} has begun again");
            let left = of.into_iter().filter(later).find(|given| naive.is_there(given, now));
            assert!(left.is_none(), "life {begin} has begun, and there is {left:?}");
            true
        }
        Err(Status::NO_HOST_LEASE) => {
            assert_eq!(begin, 0);
            false
        }
        Err(Status::EXPIRED) => {
            assert!(before != 0 && (begin == 0 || begin == before));
            false
        }
        Err(status) => {
            assert_eq!(status, Status::HOST_LIFE_STALE);
            assert!(begin <= former || of.iter().any(later), "{begin} isn't of a former life");
            false
        }
    }
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
    let answer = world.end_host(HOSTS[host], on_end);
    if naive.leases[host].is_some_and(|lease| lease.has_ended(now)) {
        // Worked off or not: nothing of it comes back.
        match answer {
            Ok(ended) => assert_eq!((ended.was, ended.more), (HostLeaseState::Ended, false)),
            Err(refused) => assert_eq!(refused.status, Status::NO_HOST_LEASE),
        }
        compare(world, naive);
        world.end_all();
        return naive.settle(now);
    }
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
    naive.end(host);
}

/// The memory is lost, at any point of what is ended. What was not written yet is not so: a lease whose end nobody wrote goes
/// on, and what had ended and wasn't released has the grace of the restart. What was written stays so.
fn restart(world: &mut World, naive: &mut Naive) {
    let now = world.at.tick.0;
    let ended = naive.given.iter().filter(|(_, given)| !naive.is_there(given, now));
    let ended: Vec<_> = ended.map(|(key, _)| *key).collect();
    world.lose_memory();
    naive.grace_until = now + RESTART_GRACE_MS;
    naive.over.clear();
    // What is on its way goes with its connection.
    naive.former = [0; HOSTS.len()];
    let listed = world.leases();
    for (host, name) in HOSTS.iter().enumerate() {
        let found = listed.iter().find(|lease| lease.host == text(name));
        let found = found.filter(|lease| lease.state != HostLeaseState::Ended);
        match &mut naive.leases[host] {
            Some(lease) if lease.has_ended(now) && found.is_none() => naive.leases[host] = None,
            Some(lease) => {
                assert_eq!(found.map(|found| found.life), Some(lease.life));
                lease.deadline = lease.deadline.max(naive.grace_until);
            }
            None => assert_eq!(found, None, "a lease comes back"),
        }
    }
    for (network, number) in ended {
        if world.shown(network, number).is_none() {
            naive.given.remove(&(network, number));
        }
    }
}

fn compare(world: &mut World, naive: &Naive) {
    let now = world.at.tick.0;
    let mut addresses = BTreeSet::new();
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
    let (given, over) = (BTreeMap::new(), BTreeSet::new());
    let mut naive =
        Naive { leases: [None; 3], given, life: 0, former: [0; 3], over, grace_until: 0 };
    for _ in 0..STEPS {
        match dice.roll(20) {
            0..=4 => renew(&mut world, &mut naive, &mut dice),
            5..=11 => allocate_one(&mut world, &mut naive, &mut dice),
            12 | 13 => move_one(&mut world, &mut naive, &mut dice),
            14 => end_one(&mut world, &mut naive, &mut dice),
            15 | 16 => world.wait(500 + dice.roll(9_000)),
            17 if dice.roll(4) == 0 => restart(&mut world, &mut naive),
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
                    restart(&mut world, &mut naive);
                }
            }
        }
        compare(&mut world, &naive);
    }
}

#[test]
fn what_follows_lives_exactly_as_long_as_its_host() {
    let given = std::env::var("ADDRD_PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases: u64 = given.unwrap_or(100);
    for seed in 0..cases {
        if std::panic::catch_unwind(|| run(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))).is_err() {
            panic!("seed {seed}, see above");
        }
    }
}
