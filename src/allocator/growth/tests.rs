//! Growth from samples: what grows, shrinks, comes and goes; gaps of the clock; what isn't known.

use super::super::tests::{World, allocate, ip, release, subnet, subnet_id};
use super::*;
use addrd_protocol::message::{
    Exclusion, ExclusionMode, Request, SubnetCreate, SubnetExclude, SubnetInclude,
};
use addrd_protocol::{Range, Setting};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// 1,000 addresses in one subnet, and the time.
struct House {
    world: World,
    now: u64,
    used: u128,
}

impl House {
    fn new() -> Self {
        let pool = Range::new(ip("10.0.0.1"), ip("10.0.3.232")).unwrap();
        let create = SubnetCreate {
            pools: Setting::Value(vec![pool]),
            gateway: Setting::Null,
            ..subnet(1, "10.0.0.0/16")
        };
        Self { world: World::with_subnet(create), now: 1_000, used: 0 }
    }

    fn to(&mut self, used: u128) {
        while self.used < used {
            self.used += 1;
            self.world.allocate(allocate(self.used));
        }
        while self.used > used {
            self.world.release(release(self.used));
            self.used -= 1;
        }
    }

    /// Time passes; a worker looks once a minute.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.now = end.min(self.now + MINUTE);
            self.sample();
        }
    }

    fn sample(&mut self) {
        while self.world.shards[0].sample_use(Tick(self.now), 1) {}
    }

    fn outlook(&self) -> Outlook {
        let shard = &self.world.shards[0];
        let at = (0..shard.subnets.high()).find(|at| shard.subnets.get(*at).is_some()).unwrap();
        shard.outlook(at, Tick(self.now))
    }

    fn hour(&self) -> Option<(i128, Option<u64>)> {
        self.outlook().hour.map(|growth| (growth.net, growth.exhausted_in_ms))
    }

    fn day(&self) -> Option<(i128, Option<u64>)> {
        self.outlook().day.map(|growth| (growth.net, growth.exhausted_in_ms))
    }
}

fn about(ms: Option<u64>, wanted: u64) {
    let ms = ms.unwrap();
    assert!(ms.abs_diff(wanted) <= wanted / 8, "{ms} ms, not about {wanted}");
}

#[test]
fn growth_is_unknown_until_a_sample_is_old_enough() {
    let mut house = House::new();
    assert_eq!(house.outlook(), Outlook::default(), "before the first look nothing is known");
    house.sample();
    house.to(100);
    house.pass(50 * MINUTE);
    assert_eq!((house.hour(), house.day()), (None, None));
    assert_eq!(house.outlook().watched_ms, 50 * MINUTE);
    house.pass(10 * MINUTE);
    let (net, ms) = house.hour().unwrap();
    assert_eq!(net, 100);
    about(ms, 9 * HOUR);
    assert_eq!(house.day(), None);
    house.pass(23 * HOUR);
    assert_eq!(house.day().unwrap().0, 100);
    assert_eq!(house.hour(), Some((0, None)), "it grew a day ago, and not since");
    assert_eq!(house.outlook().watched_ms, 24 * HOUR);
}

#[test]
fn steady_growth_says_when_nothing_is_free_any_more() {
    let mut house = House::new();
    house.sample();
    for hour in 1..=30 {
        house.to(20 * hour);
        house.pass(HOUR);
    }
    assert_eq!(house.used, 600);
    let (net, ms) = house.hour().unwrap();
    assert!((0..=20).contains(&net), "{net}");
    if net > 0 {
        about(ms, 20 * HOUR);
    }
    let (net, ms) = house.day().unwrap();
    assert!((440..=520).contains(&net), "{net}");
    about(ms, 20 * HOUR);
}

#[test]
fn what_comes_and_goes_is_no_growth_and_what_shrinks_is_never_full() {
    let mut house = House::new();
    house.to(500);
    house.sample();
    for _ in 0..26 {
        house.to(600);
        house.pass(HOUR / 2);
        house.to(500);
        house.pass(HOUR / 2);
    }
    assert_eq!(house.hour().unwrap(), (0, None));
    house.to(400);
    let (net, ms) = house.hour().unwrap();
    assert!(net <= -100, "{net}");
    assert_eq!(ms, None);
    house.to(1_000);
    assert_eq!(house.hour().unwrap().1, Some(0), "nothing is free");
}

#[test]
fn a_gap_of_the_clock_makes_growth_unknown_not_wrong() {
    let mut house = House::new();
    house.sample();
    house.to(10);
    house.pass(2 * HOUR);
    house.to(20);
    assert_eq!(house.hour().unwrap().0, 10);
    house.now += 3 * 24 * HOUR;
    house.sample();
    assert_eq!((house.hour(), house.day()), (None, None), "no sample is an hour or a day old");
    house.to(30);
    house.pass(HOUR);
    assert_eq!(house.hour().unwrap().0, 10, "since the gap");
}

/// Every subnet has values of its own, also of those passes that are not through yet.
#[test]
fn a_pass_that_is_not_through_takes_nothing_away() {
    let mut house = House::new();
    for number in 2..=5 {
        house.world.subnet(subnet(number, &format!("10.{number}.0.0/24")));
    }
    house.sample();
    house.pass(10 * MINUTE);
    house.to(50);
    house.pass(50 * MINUTE);
    assert_eq!(house.hour().unwrap().0, 50);
    house.now += 5 * MINUTE;
    let more = house.world.shards[0].sample_use(Tick(house.now), 1);
    assert!(more, "four subnets are left");
    let shard = &house.world.shards[0];
    let nets: Vec<_> = (0..shard.subnets.high())
        .filter(|at| shard.subnets.get(*at).is_some())
        .map(|at| shard.outlook(at, Tick(house.now)).hour.unwrap().net)
        .collect();
    assert_eq!(nets.iter().sum::<i128>(), 50, "{nets:?}");
}

#[test]
fn times_far_beyond_any_are_none_and_large_numbers_fit() {
    let never = growth(0, 1, u128::MAX, HOUR);
    assert_eq!((never.net, never.exhausted_in_ms), (1, None));
    let fast = growth(0, 1 << 100, 1 << 100, HOUR);
    assert_eq!(fast.exhausted_in_ms, Some(HOUR));
    assert_eq!(growth(7, 3, 5, HOUR), Growth { net: -4, exhausted_in_ms: None });
    assert_eq!(growth(7, 3, 0, HOUR), Growth { net: -4, exhausted_in_ms: Some(0) });
}

/// A subnet that is made at any time is known an hour later, and says for how long it is watched.
#[test]
fn a_subnet_that_comes_between_two_long_samples_is_watched_from_then_on() {
    for minutes in [1, 7, 61, 119] {
        let mut house = House::new();
        house.world.release(release(1));
        house.pass(minutes * MINUTE);
        let made = house.world.subnet(subnet(2, "10.2.0.0/24")).subnet_id;
        house.pass(26 * HOUR);
        let shard = &house.world.shards[0];
        let at = (0..shard.subnets.high())
            .find(|at| shard.subnets.get(*at).is_some_and(|subnet| subnet.row.id == made));
        let outlook = shard.outlook(at.unwrap(), Tick(house.now));
        assert!(outlook.hour.is_some() && outlook.day.is_some(), "{minutes}: {outlook:?}");
        let watched = outlook.watched_ms;
        assert!((26 * HOUR - 6 * MINUTE..=26 * HOUR).contains(&watched), "{minutes}: {watched}");
    }
}

/// What is excluded, or let in again, moves what counts as used; nothing has grown by that.
#[test]
fn exclusions_are_no_growth() {
    let mut house = House::new();
    house.to(200);
    house.sample();
    house.pass(HOUR);
    let range = Range::new(ip("10.0.0.1"), ip("10.0.0.100")).unwrap();
    let exclusion = Exclusion { range, mode: ExclusionMode::Automatic, reason: None };
    let request = SubnetExclude { subnet_id: subnet_id(1), exclusion };
    house.world.done(1, Request::SubnetExclude(Box::new(request)));
    assert_eq!(house.hour(), Some((0, None)));
    house.to(210);
    house.pass(30 * MINUTE);
    assert_eq!(house.hour().unwrap().0, 10);
    let include = SubnetInclude { subnet_id: subnet_id(1), range };
    house.world.done(1, Request::SubnetInclude(Box::new(include)));
    assert_eq!(house.hour().unwrap().0, 10);
}

#[test]
fn without_addresses_to_hand_out_nothing_is_full() {
    let mut house = House::new();
    let create = SubnetCreate { pools: Setting::Value(Vec::new()), ..subnet(2, "10.2.0.0/24") };
    house.world.subnet(create);
    house.sample();
    house.pass(HOUR);
    let shard = &house.world.shards[0];
    for at in (0..shard.subnets.high()).filter(|at| shard.subnets.get(*at).is_some()) {
        let growth = shard.outlook(at, Tick(house.now)).hour.unwrap();
        assert_eq!((growth.net, growth.exhausted_in_ms), (0, None));
    }
}

/// 100,000 subnets of which none changes stay below 4 MB, of which all do below 25 MB.
#[test]
fn samples_of_a_subnet_are_small() {
    assert_eq!(size_of::<Samples>(), 32);
    assert_eq!(size_of::<Values>(), 208);
}
