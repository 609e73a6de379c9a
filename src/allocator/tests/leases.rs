//! Leases: when they end, who may renew them, and what nobody may see.

use super::*;
use crate::journal::RecordBuffer;
use crate::limits::{
    BUSY_GRACE_MS, CLOCK_GAP_MS_MAX, EXPIRY_SLICE_OBJECTS, HAND_OVER_RECORD_BYTES_MAX,
    RESTART_GRACE_MS,
};
use crate::model::{Instance, Revision};
use addrd_protocol::Setting;
use addrd_protocol::message::{
    Allocation, AllocationGet, AllocationList, AllocationUpdate, Batch, BatchItem, BatchMode,
    BatchResult, Failure, Lookup, Renew, RenewOwner, Renewed, RenewedOwner,
};

fn world() -> World {
    World::with_subnet(subnet(1, "10.0.0.0/24"))
}

/// A lease of so many ms.
fn leased(number: u128, lease_ms: u64) -> Allocate {
    allocate_with(number, |extras| extras.lease_ms = Some(lease_ms))
}

fn key(number: u128) -> Target {
    Target::Key { owner: owner(number), slot: Slot(0) }
}

fn renew(number: u128, lease_ms: u64) -> Renew {
    Renew { target: key(number), fences: Fences::default(), lease_ms }
}

impl World {
    /// Time passes as it does while a worker turns: with readings in between.
    pub(super) fn wait(&mut self, ms: u64) {
        let end = self.at.tick.0 + ms;
        while self.at.tick.0 < end {
            self.at.tick.0 = end.min(self.at.tick.0 + CLOCK_GAP_MS_MAX);
            self.shards.iter_mut().for_each(|shard| shard.notice_time(&self.at, Tick(0)));
            self.catalogue.notice_time(&self.at, Tick(0));
        }
    }

    /// Ends what is over, as an idle worker does.
    fn expire(&mut self) {
        let Self { shards, at, log, .. } = self;
        shards.iter_mut().for_each(|shard| while shard.step_expiry(at, 8, log) {});
    }

    fn renew(&mut self, request: Renew) -> Result<Renewed, Box<Failure>> {
        match self.apply(1, &Request::Renew(request)) {
            Ok((_, Reply::Renewed(renewed))) => Ok(renewed),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused),
        }
    }

    fn renewal_refusal(&mut self, request: Renew) -> Status {
        let before = self.log.effects.len();
        let status = self.renew(request).expect_err("must be refused").status;
        assert_eq!(self.log.effects.len(), before, "a refusal leaves no effects");
        status
    }

    fn held(&mut self, number: u128) -> Option<Allocation> {
        let get = Request::AllocationGet(Box::new(AllocationGet { target: key(number) }));
        match self.apply(1, &get) {
            Ok((_, Reply::Allocation(held))) => Some(*held),
            Err(refused) if refused.status == Status::NOT_FOUND => None,
            other => panic!("{other:?}"),
        }
    }

    /// The memory is lost and comes back from all effects.
    fn restart(&mut self) {
        let mut again = Shard::new(ShardSettings { seed: 5, records_max: 1 << 20 });
        self.log.effects.iter().for_each(|effect| again.absorb(effect).unwrap());
        again.grant_grace(Tick(self.at.tick.0 + RESTART_GRACE_MS));
        self.shards = vec![again];
    }
}

/// What hurts most: an address that two hold, since its lease was over before the journal knew.
#[test]
fn an_address_is_free_only_behind_the_effect_that_ends_its_lease() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/30"));
    world.allocate(leased(1, 1_000));
    world.wait(1_000);
    assert_eq!(world.refusal(allocate(3)), Status::EXHAUSTED, "its end isn't journalled");
    let before = world.log.effects.len();
    world.expire();
    let ended = &world.log.effects[before..];
    assert!(matches!(ended, [Effect::AllocationGone { .. }]), "{ended:?}");
    assert_eq!(world.address(3), ip("10.0.0.2"));
    world.check();
}

#[test]
fn a_lease_ends_at_its_deadline_and_not_before() {
    let mut world = world();
    let first = world.allocate(leased(1, 5_000)).first;
    assert_eq!(first.time_left_ms, 5_000);
    world.wait(4_999);
    world.expire();
    assert_eq!(world.held(1).unwrap().time_left_ms, 1);
    world.wait(1);
    assert_eq!(world.held(1), None, "from its deadline on nobody sees it");
    assert_eq!(world.renewal_refusal(renew(1, 5_000)), Status::EXPIRED);
    world.expire();
    assert_eq!(world.shards[0].allocations(), 0);
    assert_eq!(world.shards[0].next_expiry(), None);
    assert_eq!(world.renewal_refusal(renew(1, 5_000)), Status::EXPIRED, "the same answer");
    world.check();
}

#[test]
fn a_renewal_counts_from_when_it_is_read_and_keeps_the_revision() {
    let mut world = world();
    let first = world.allocate(leased(1, 10_000)).first;
    for _ in 0..10 {
        world.wait(4_000);
        let renewed = world.renew(renew(1, 10_000)).unwrap();
        assert_eq!(renewed.time_left_ms, 10_000);
        assert_eq!((renewed.address, renewed.revision), (first.address, first.revision));
        world.expire();
    }
    let shorter = world.renew(renew(1, 1_000)).unwrap();
    assert_eq!(shorter.time_left_ms, 1_000, "it may be shorter as well");
    assert_eq!(world.shards[0].next_expiry(), Some(Tick(world.at.tick.0 + 1_000)));
    world.check();
    world.wait(1_000);
    world.expire();
    assert_eq!(world.shards[0].allocations(), 0);
    world.check();
}

#[test]
fn a_renewal_moves_nothing_in_the_order_until_the_old_deadline_comes() {
    let mut world = world();
    world.allocate(leased(1, 10_000));
    let first = world.shards[0].next_expiry();
    world.wait(1_000);
    world.renew(renew(1, 60_000)).unwrap();
    assert_eq!(world.shards[0].next_expiry(), first);
    world.wait(9_000);
    world.expire();
    assert_eq!(world.shards[0].next_expiry(), Some(Tick(world.at.tick.0 + 51_000)));
    assert!(world.held(1).is_some());
    world.check();
}

#[test]
fn what_speaks_against_a_renewal() {
    let mut world = world();
    let held = world.allocate(leased(1, 10_000)).first;
    let by = |target, fences| Renew { target, fences, lease_ms: 10_000 };
    let address = Target::Address(held.address);
    let none = Fences::default();
    let revision = |n| Fences { revision: Some(Revision(n)), ..Fences::default() };
    let instance = Fences { instance: Some(Instance(9)), ..Fences::default() };
    let other = Fences { owner: Some(owner(2)), ..Fences::default() };
    for (request, status) in [
        (by(address, none.clone()), Status::CONFLICTING_FIELDS),
        (by(address, revision(held.revision.0 + 1)), Status::STALE),
        (by(key(1), instance), Status::STALE),
        (by(address, other), Status::NOT_HOLDER),
        (by(key(2), none.clone()), Status::EXPIRED),
        (renew(1, 999), Status::OUT_OF_RANGE),
        (renew(1, 315_360_000_001), Status::OUT_OF_RANGE),
    ] {
        assert_eq!(world.renewal_refusal(request.clone()), status, "{request:?}");
    }
    assert_eq!(world.refusal(leased(2, 999)), Status::OUT_OF_RANGE);
    assert!(world.renew(by(address, revision(held.revision.0))).is_ok());
    world.check();
}

#[test]
fn without_a_lease_there_is_nothing_to_renew_and_nothing_ends() {
    let mut world = world();
    let held = world.allocate(allocate(1)).first;
    assert_eq!(held.time_left_ms, 0);
    let before = world.log.effects.len();
    assert_eq!(world.renew(renew(1, 10_000)).unwrap().time_left_ms, 0);
    assert_eq!(world.log.effects.len(), before);
    assert_eq!(world.shards[0].leases(), 0);
    world.wait(1_000_000);
    world.expire();
    assert!(world.held(1).is_some());
}

#[test]
fn an_owner_that_comes_back_after_its_lease_gets_a_new_allocation() {
    let mut world = world();
    let first = world.allocate(leased(1, 1_000)).first;
    world.wait(1_000);
    let again = world.allocate(leased(1, 1_000)).first;
    assert!(!again.repeated && again.revision > first.revision, "{again:?}");
    let kept = world.allocate(leased(1, 9_000)).first;
    assert!(kept.repeated, "while it lasts, a repeat finds it");
    assert_eq!(kept.time_left_ms, 1_000, "and changes nothing");
    world.check();
}

#[test]
fn an_exact_address_is_had_as_soon_as_its_lease_is_over() {
    let mut world = world();
    let address = world.allocate(leased(1, 1_000)).first.address;
    let exact = allocate_with(2, |extras| extras.exact = Some(address));
    assert_eq!(world.refusal(exact.clone()), Status::ADDRESS_TAKEN);
    world.wait(1_000);
    assert_eq!(world.allocate(exact).first.address, address);
    world.check();
}

#[test]
fn a_release_finds_nothing_of_a_lease_that_is_over() {
    let mut world = world();
    world.allocate(leased(1, 1_000));
    world.wait(1_000);
    assert_eq!(world.release(release(1)), Status::NOT_HELD);
    assert_eq!(world.shards[0].allocations(), 0, "and it is gone at once");
    world.check();
}

#[test]
fn lists_and_lookups_agree_with_renewals() {
    let mut world = world();
    let over = world.allocate(leased(1, 1_000)).first.address;
    world.allocate(leased(2, 2_000));
    world.wait(1_000);
    let Reply::Allocations(page) =
        world.done(1, Request::AllocationList(Box::<AllocationList>::default()))
    else {
        panic!()
    };
    let owners: Vec<_> = page.items.iter().map(|held| held.owner).collect();
    assert_eq!(owners, [owner(2)]);
    for lookup in [Lookup::Address(over), Lookup::Owner(owner(1))] {
        let Reply::Lookups(found) = world.done(1, Request::Lookup(Box::new(lookup))) else {
            panic!()
        };
        assert_eq!(found.allocations, []);
    }
}

#[test]
fn a_lease_is_given_and_taken_away_by_an_update() {
    let mut world = world();
    world.allocate(allocate(1));
    let update = |lease_ms| {
        Request::AllocationUpdate(Box::new(AllocationUpdate {
            target: key(1),
            fences: Fences::default(),
            label: Setting::Unset,
            host: Setting::Unset,
            manager_name: Setting::Unset,
            owner_name: Setting::Unset,
            lease_ms,
            follow_host: None,
        }))
    };
    let Reply::Allocation(given) = world.done(1, update(Setting::Value(5_000))) else { panic!() };
    assert_eq!((given.time_left_ms, given.repeated), (5_000, false));
    world.wait(1_000);
    let Reply::Allocation(unset) = world.done(1, update(Setting::Unset)) else { panic!() };
    assert_eq!((unset.time_left_ms, unset.repeated), (4_000, true));
    let Reply::Allocation(taken) = world.done(1, update(Setting::Null)) else { panic!() };
    assert_eq!((taken.time_left_ms, taken.repeated), (0, false));
    assert_eq!(world.shards[0].leases(), 0);
    world.check();
}

#[test]
fn all_of_an_owner_are_renewed_at_once_and_counted() {
    let mut world = world();
    let slot = |slot, request: Allocate| Allocate { slot: Slot(slot), ..request };
    world.allocate(slot(0, leased(1, 10_000)));
    world.allocate(slot(1, leased(1, 10_000)));
    world.allocate(slot(2, allocate(1)));
    world.allocate(slot(3, leased(1, 2_000)));
    world.allocate(slot(4, Allocate { instance: Instance(3), ..leased(1, 10_000) }));
    world.wait(2_000);
    let request = RenewOwner { owner: owner(1), instance: Some(Instance(0)), lease_ms: 50_000 };
    let reply = world.done(1, Request::RenewOwner(request));
    let counts = RenewedOwner { renewed: 2, endless: 1, expired: 1, stale: 1 };
    assert_eq!(reply, Reply::RenewedOwner(counts));
    assert_eq!(world.held(1).unwrap().time_left_ms, 50_000);
    let nobody = RenewOwner { owner: owner(2), ..request };
    assert_eq!(world.refused(1, Request::RenewOwner(nobody)).status, Status::EXPIRED);
    world.check();
}

#[test]
fn all_of_an_owner_are_renewed_in_all_networks_that_several_workers_have() {
    let mut world = World::new(3);
    for network in 1..=9 {
        world.done(network, Request::NetworkCreate(Box::default()));
        world.done(network, Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/24"))));
        let lease = if network == 9 { allocate(1) } else { leased(1, 10_000) };
        world.done(network, Request::Allocate(lease));
        world.done(network, Request::Allocate(leased(2, 10_000)));
    }
    let request = RenewOwner { owner: owner(1), instance: None, lease_ms: 50_000 };
    let reply = world.done(0, Request::RenewOwner(request));
    let counts = RenewedOwner { renewed: 8, endless: 1, ..RenewedOwner::default() };
    assert_eq!(reply, Reply::RenewedOwner(counts));
    let lookup = |world: &mut World, number| match world
        .done(0, Request::Lookup(Box::new(Lookup::Owner(owner(number)))))
    {
        Reply::Lookups(found) => {
            let times = found.allocations.iter().map(|one| one.time_left_ms);
            let mut times: Vec<u64> = times.collect();
            times.sort_unstable();
            times
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(lookup(&mut world, 1), [[0].as_slice(), &[50_000; 8]].concat());
    assert_eq!(lookup(&mut world, 2), [10_000; 9], "another's are left alone");
    let nobody = RenewOwner { owner: owner(3), ..request };
    assert_eq!(world.refused(0, Request::RenewOwner(nobody)).status, Status::EXPIRED);
    let short = RenewOwner { lease_ms: 999, ..request };
    assert_eq!(world.refused(0, Request::RenewOwner(short)).status, Status::OUT_OF_RANGE);
    world.check();
}

/// Leases of owner 1 in networks 1 and 2, so many in each, with the longest texts.
fn in_two_networks(each: u16) -> World {
    let mut world = World::new(1);
    for network in [1, 2] {
        world.done(network, Request::NetworkCreate(Box::default()));
        world.done(network, Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/16"))));
        for slot in 0..each {
            let long = allocate_with(1, |extras| {
                extras.lease_ms = Some(10_000);
                extras.label = Some(text(&"x".repeat(255)));
                extras.manager = Some(text("cni"));
                extras.host = Some(text(&"n".repeat(255)));
            });
            world.done(network, Request::Allocate(Allocate { slot: Slot(slot), ..long }));
        }
    }
    world
}

#[test]
fn a_part_with_more_leases_than_may_be_is_refused_before_anything_is_done() {
    let mut world = in_two_networks(512);
    let before = world.snapshot();
    let request = RenewOwner { owner: owner(1), instance: None, lease_ms: 50_000 };
    // The log counts 48 bytes for each record, so only their number is bounded here.
    let reply = world.done(0, Request::RenewOwner(request));
    assert_eq!(reply, Reply::RenewedOwner(RenewedOwner { renewed: 1_024, ..Default::default() }));
    assert_ne!(world.snapshot(), before);
    world.done(2, Request::Allocate(Allocate { slot: Slot(512), ..leased(1, 10_000) }));
    let before = world.snapshot();
    assert_eq!(world.refused(0, Request::RenewOwner(request)).status, Status::LIMIT);
    assert_eq!(world.snapshot(), before, "nothing is left behind");
    world.check();
}

/// Into a buffer that counts real bytes: the first network's records fit a hand-over, those of both don't.
#[test]
fn a_part_whose_records_are_too_long_is_taken_back_in_all_its_networks() {
    let mut world = in_two_networks(400);
    let request = RenewOwner { owner: owner(1), instance: None, lease_ms: 50_000 };
    let mut records = RecordBuffer::default();
    let mut ask = |world: &mut World, network, lease_ms| {
        let request = Request::RenewOwner(RenewOwner { lease_ms, ..request });
        let World { shards, at, .. } = world;
        let answer = shards[0].apply(at, &scope(network), &request, &mut records);
        let count = records.record_count();
        (answer.map_err(|refused| refused.status), count, records.as_bytes().len())
    };
    // One alone would fit; it is from another request and stays in the buffer.
    let (alone, count, bytes) = ask(&mut world, 1, 10_000);
    let renewed = RenewedOwner { renewed: 400, ..Default::default() };
    assert_eq!(alone, Ok((Status::OK, Reply::RenewedOwner(renewed))));
    assert_eq!(count, 400);
    assert!(bytes <= HAND_OVER_RECORD_BYTES_MAX && 2 * bytes > HAND_OVER_RECORD_BYTES_MAX);
    let before = world.snapshot();
    let (both, left, left_bytes) = ask(&mut world, 0, 50_000);
    assert_eq!(both, Err(Status::LIMIT));
    assert_eq!((left, left_bytes), (count, bytes), "no record is left behind");
    assert_eq!(world.snapshot(), before, "nothing is left behind in either network");
    let empty = &mut RecordBuffer::default();
    let World { shards, at, .. } = &mut world;
    let answer = shards[0].apply(at, &scope(0), &Request::RenewOwner(request), empty);
    assert_eq!(answer.map_err(|refused| refused.status), Err(Status::LIMIT));
    assert!(empty.is_empty());
    assert_eq!(world.snapshot(), before, "nor where the first network's part fits");
    assert_eq!(world.shards[0].check(), Vec::<String>::new());
}

#[test]
fn more_than_the_bound_of_an_owner_are_not_renewed_at_once() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/16"));
    for slot in 0..=1_024 {
        world.allocate(Allocate { slot: Slot(slot), ..leased(1, 10_000) });
    }
    let request = RenewOwner { owner: owner(1), instance: None, lease_ms: 50_000 };
    assert_eq!(world.refused(1, Request::RenewOwner(request)).status, Status::LIMIT);
    world.release(Release { target: key(1), fences: Fences::default(), any: false });
    let reply = world.done(1, Request::RenewOwner(request));
    assert_eq!(reply, Reply::RenewedOwner(RenewedOwner { renewed: 1_024, ..Default::default() }));
    world.check();
}

#[test]
fn a_batch_renews_many_and_takes_all_back_if_one_is_refused() {
    let mut world = world();
    for number in 1..=3 {
        world.allocate(leased(number, 10_000));
    }
    world.wait(5_000);
    let items = |last| {
        let of = |number| BatchItem::Renew(renew(number, 20_000));
        vec![of(1), of(2), of(last)]
    };
    let batch = |mode, last| Request::Batch(Box::new(Batch { mode, items: items(last) }));
    let refused = world.refused(1, batch(BatchMode::AllOrNothing, 9));
    assert_eq!((refused.status, refused.item), (Status::EXPIRED, Some(2)));
    assert_eq!(world.held(1).unwrap().time_left_ms, 5_000);
    world.check();
    let Reply::Batch(reply) = world.done(1, batch(BatchMode::Independent, 9)) else { panic!() };
    let statuses: Vec<_> = reply.results.iter().map(BatchResult::status).collect();
    assert_eq!(statuses, [Status::OK, Status::OK, Status::EXPIRED]);
    world.check();
}

#[test]
fn downtime_is_nobodys_fault() {
    let mut world = world();
    world.allocate(leased(1, 10_000));
    world.allocate(leased(2, 100_000_000));
    world.at.tick.0 += 3_600_000;
    world.restart();
    assert_eq!(world.held(1).unwrap().time_left_ms, RESTART_GRACE_MS);
    assert_eq!(world.held(2).unwrap().time_left_ms, 100_000_000 - 3_600_000);
    let short = world.allocate(leased(3, 1_000)).first;
    assert_eq!(short.time_left_ms, 1_000, "what is new has no need of grace");
    world.wait(RESTART_GRACE_MS - 1);
    world.expire();
    assert!(world.held(1).is_some() && world.held(3).is_none());
    world.wait(1);
    world.expire();
    assert!(world.held(1).is_none() && world.held(2).is_some());
    world.check();
}

#[test]
fn a_refused_batch_leaves_a_lease_the_grace_that_it_had() {
    let mut world = world();
    world.allocate(leased(1, 10_000));
    world.at.tick.0 += 3_600_000;
    world.restart();
    let items = vec![BatchItem::Renew(renew(1, 1_000)), BatchItem::Renew(renew(9, 1_000))];
    world.refused(1, Request::Batch(Box::new(Batch { mode: BatchMode::AllOrNothing, items })));
    assert_eq!(world.held(1).unwrap().time_left_ms, RESTART_GRACE_MS);
    world.check();
}

#[test]
fn a_standstill_of_more_than_five_seconds_ends_no_lease() {
    let mut world = world();
    world.allocate(leased(1, 10_000));
    world.wait(4_000);
    world.at.tick.0 += 60_000;
    world.expire();
    assert_eq!(world.held(1).unwrap().time_left_ms, RESTART_GRACE_MS);
    assert!(world.renew(renew(1, 1_000)).is_ok());
    world.wait(1_000);
    world.expire();
    assert!(world.held(1).is_none(), "what was renewed since has no need of grace");
    world.check();
}

#[test]
fn no_lease_ends_while_renewals_find_no_room() {
    let mut world = world();
    world.allocate(leased(1, 2_000));
    world.wait(1_500);
    let refused = world.at.tick;
    world.at.tick.0 += 500;
    world.shards[0].notice_time(&world.at, refused);
    world.expire();
    assert_eq!(world.held(1).unwrap().time_left_ms, BUSY_GRACE_MS - 500);
    world.wait(BUSY_GRACE_MS - 500);
    world.expire();
    assert!(world.held(1).is_none());
}

#[test]
fn while_the_clock_is_in_doubt_nothing_ends() {
    let mut world = world();
    world.allocate(leased(1, 1_000));
    world.shards[0].stop_expiry(true);
    world.wait(5_000);
    world.expire();
    assert_eq!(world.held(1).unwrap().time_left_ms, 1, "0 would mean: without end");
    assert_eq!(world.shards[0].next_expiry(), None);
    assert!(world.renew(renew(1, 1_000)).is_ok());
    world.wait(5_000);
    world.shards[0].stop_expiry(false);
    world.expire();
    assert!(world.held(1).is_none());
    world.check();
}

#[test]
fn expiry_works_in_slices() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/16"));
    let count = 3 * EXPIRY_SLICE_OBJECTS as u128;
    for number in 0..count {
        world.allocate(leased(1 + number, 1_000));
    }
    world.wait(1_000);
    let World { shards, at, log, .. } = &mut world;
    let mut slices = 0;
    let mut before = log.effects.len();
    while shards[0].step_expiry(at, EXPIRY_SLICE_OBJECTS, log) {
        slices += 1;
        assert_eq!(log.effects.len() - before, EXPIRY_SLICE_OBJECTS);
        before = log.effects.len();
    }
    assert_eq!((slices, shards[0].allocations()), (3, 0));
    world.check();
}
