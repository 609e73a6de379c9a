//! Quarantine: who gets what was released, when, and what a rest stands in the way of.

use super::catalogue::of;
use super::places::change_of;
use super::ports::{port, slaac};
use super::quotas::{addresses, batch, limited};
use super::shared::guest;
use super::*;
use crate::limits::{CLOCK_JUMP_MS_MAX, DELETION_AT_ONCE_MAX, REST_SLICE_OBJECTS};
use addrd_protocol::message::{
    Allocation, AllocationState, BatchItem, BatchMode, BatchResult, CandidateReason, Detail,
    FamilyChoice, JobKind, Lookup, NetworkDelete, NetworkUpdate, PinCreate, PortCreate, PortDelete,
    QuotaResource, QuotaSettings, Released, SubnetDelete, SubnetUpdate,
};
use addrd_protocol::{PortId, Setting};

const REST_MS: u64 = 30_000;

/// A subnet whose addresses rest.
fn resting(id: u128, cidr: &str) -> SubnetCreate {
    SubnetCreate { quarantine_ms: Some(REST_MS), ..subnet(id, cidr) }
}

fn world(cidr: &str) -> World {
    World::with_subnet(resting(1, cidr))
}

fn exact(number: u128, address: &str) -> Allocate {
    allocate_with(number, |extras| extras.exact = Some(ip(address)))
}

fn taking_rests(mut request: Allocate) -> Allocate {
    request.flags.allow_resting = true;
    request
}

impl World {
    fn let_go(&mut self, number: u128) -> Released {
        match self.done(1, Request::Release(release(number))) {
            Reply::Released(released) => released,
            other => panic!("{other:?}"),
        }
    }

    /// Takes away what has rested, as a worker does.
    fn end_rests(&mut self) {
        let Self { shards, at, log, .. } = self;
        shards.iter_mut().for_each(|shard| while shard.step_rests(at, 8, log) {});
    }

    fn resting_at(&mut self, address: &str) -> Option<Allocation> {
        match self.done(0, Request::Lookup(Box::new(Lookup::Address(ip(address))))) {
            Reply::Lookups(mut found) => found.allocations.pop(),
            other => panic!("{other:?}"),
        }
    }

    fn lost_memory(&mut self) {
        let mut again = Shard::new(ShardSettings { seed: 5, records_max: 1 << 20 });
        self.log.effects.iter().for_each(|effect| again.absorb(effect).unwrap());
        self.shards = vec![again];
    }
}

#[test]
fn what_is_released_rests_until_its_end_and_not_longer() {
    let mut world = world("10.0.0.0/30");
    assert_eq!(world.address(1), ip("10.0.0.2"));
    assert_eq!(world.let_go(1).state, AllocationState::Quarantined);
    let refused = world.refused(1, Request::Allocate(allocate(2)));
    assert_eq!((refused.status, refused.retry_after_ms), (Status::EXHAUSTED, 30_000));
    let [Detail::Candidate(candidate)] = &refused.details[..] else { panic!("{refused:?}") };
    assert_eq!(candidate.reason, CandidateReason::Exhausted);
    assert_eq!((candidate.allocated, candidate.quarantined), (0, 1));
    assert_eq!(candidate.next_free_in_ms, 30_000);
    world.at.tick.0 += REST_MS - 1;
    assert_eq!(world.refusal(allocate(2)), Status::EXHAUSTED);
    assert_eq!(world.resting_at("10.0.0.2").unwrap().time_left_ms, 1);
    world.at.tick.0 += 1;
    assert_eq!(world.resting_at("10.0.0.2"), None, "it is over for whoever looks");
    let given = world.allocate(allocate(2)).first;
    assert_eq!((given.address, given.from_quarantine), (ip("10.0.0.2"), false));
    world.check();
}

/// An end that nobody journalled: the state comes back as it was, and the first request finds out.
#[test]
fn a_rest_goes_on_over_a_restart_and_ends_by_its_record_alone() {
    let mut world = world("10.0.0.0/30");
    world.address(1);
    world.let_go(1);
    world.lost_memory();
    assert_eq!(world.shards[0].resting(), 1);
    assert_eq!(world.refusal(allocate(2)), Status::EXHAUSTED);
    world.at.tick.0 += REST_MS;
    world.lost_memory();
    assert_eq!(world.address(2), ip("10.0.0.2"));
    world.check();
}

#[test]
fn the_end_of_a_rest_takes_row_and_memory_away() {
    let mut world = world("10.0.0.0/24");
    for number in 1..=20 {
        world.address(number);
        world.let_go(number);
        world.at.tick.0 += 1;
    }
    let shard = &world.shards[0];
    assert_eq!((shard.resting(), shard.allocations(), shard.records()), (20, 0, 42));
    assert_eq!(shard.next_rest_end(), Some(Tick(1_000 + REST_MS)));
    world.at.tick.0 += REST_MS - 11;
    world.end_rests();
    assert_eq!(world.shards[0].resting(), 10, "what has not ended stays");
    world.at.tick.0 += REST_MS;
    world.end_rests();
    let gone = |effect: &&Effect| matches!(effect, Effect::AllocationGone { .. });
    assert_eq!(world.log.effects.iter().filter(gone).count(), 20);
    assert_eq!((world.shards[0].resting(), world.shards[0].next_rest_end()), (0, None));
    world.check();
}

#[test]
fn who_comes_back_gets_its_own_and_nobody_else_does() {
    let mut world = world("10.0.0.0/24");
    let first = world.allocate(allocate(1)).first;
    world.let_go(1);
    assert_eq!(world.address(2), ip("10.0.0.3"), "the lowest is somebody's rest");
    let refused = world.refused(1, Request::Allocate(exact(2_000, "10.0.0.2")));
    assert_eq!((refused.status, refused.retry_after_ms), (Status::ADDRESS_RESTING, 30_000));
    assert!(matches!(&refused.details[..], [Detail::Held(held)] if held.owner == owner(1)));
    let back = world.allocate(allocate_with(1, |extras| extras.preferred = Some(ip("10.0.0.9"))));
    assert_eq!((back.first.address, back.first.from_quarantine), (first.address, true));
    assert!(back.first.revision > first.revision, "it is a new allocation");
    world.let_go(1);
    let slot = Slot(7);
    let other_slot = Allocate { slot, ..exact(1, "10.0.0.2") };
    assert!(world.allocate(other_slot).first.from_quarantine, "the owner asks by name");
    world.check();
}

#[test]
fn the_last_one_released_comes_back_first() {
    let mut world = world("10.0.0.0/24");
    for address in ["10.0.0.7", "10.0.0.5"] {
        world.allocate(exact(1, address));
        world.let_go(1);
    }
    assert_eq!(world.address(1), ip("10.0.0.5"));
    assert_eq!(world.shards[0].resting(), 1);
    world.check();
}

#[test]
fn what_rests_longest_is_taken_if_that_is_asked_for_and_nothing_is_free() {
    let mut world = world("10.0.0.0/29");
    for number in 1..=5 {
        world.address(number);
    }
    for number in [3, 1, 5] {
        world.let_go(number);
        world.at.tick.0 += 1;
    }
    assert_eq!(world.refusal(allocate(9)), Status::EXHAUSTED);
    let given = world.allocate(taking_rests(allocate(9))).first;
    assert_eq!((given.address, given.from_quarantine), (ip("10.0.0.4"), true));
    let given = world.allocate(taking_rests(exact(10, "10.0.0.6"))).first;
    assert!(given.from_quarantine);
    world.done(1, Request::SubnetCreate(Box::new(subnet(2, "10.0.1.0/24"))));
    let given = world.allocate(taking_rests(allocate(11))).first;
    assert_eq!((given.address, given.from_quarantine), (ip("10.0.1.2"), false));
    world.check();
}

/// More have ended at once than a worker takes away in a step: whoever needs one finds it anyway.
#[test]
fn what_has_ended_is_free_before_anybody_took_it_away() {
    let mut world = world("10.0.0.0/22");
    world.done(1, Request::SubnetCreate(Box::new(resting(2, "10.1.0.0/30"))));
    let full: Vec<u128> = (1..=1_022).collect();
    full.iter().for_each(|&number| _ = world.address(number));
    full.iter().for_each(|&number| _ = world.let_go(number));
    world.at.tick.0 += REST_MS;
    let mut last = allocate(5_000);
    last.extras = Some(Box::default());
    last.extras.as_mut().unwrap().subnets = vec![subnet_id(2)];
    assert_eq!(world.allocate(last).first.address, ip("10.1.0.2"));
    assert_eq!(world.address(5_001), ip("10.0.0.2"));
    world.check();
}

/// Nothing of a block is free by chance: what stands in its way has ended, but for too many at once.
#[test]
fn a_block_is_busy_while_more_ends_than_a_request_takes_away() {
    let mut world = world("10.0.0.0/22");
    (1..=1_021).for_each(|number| _ = world.address(number));
    (1..=1_021).for_each(|number| _ = world.let_go(number));
    world.at.tick.0 += REST_MS;
    let block = |number| Allocate { length: Some(24), ..allocate(number) };
    let mut busy = 0;
    let given = loop {
        match world.apply(1, &Request::Allocate(block(5_000))) {
            Ok((_, Reply::Allocated(given))) => break given,
            Err(refused) => assert_eq!(refused.status, Status::BUSY, "{refused:?}"),
            other => panic!("{other:?}"),
        }
        busy += 1;
    };
    assert_eq!(busy, 510 / REST_SLICE_OBJECTS);
    assert_eq!((given.first.address, given.first.length), (ip("10.0.1.0"), 24));
    world.check();
}

#[test]
fn a_lease_that_ends_rests_too() {
    let mut world = world("10.0.0.0/30");
    world.allocate(allocate_with(1, |extras| extras.lease_ms = Some(1_000)));
    world.wait(1_000);
    let World { shards, at, log, .. } = &mut world;
    shards[0].step_expiry(at, 8, log);
    assert_eq!((shards[0].resting(), shards[0].leases()), (1, 0));
    assert_eq!(world.refusal(allocate(2)), Status::EXHAUSTED);
    assert!(world.allocate(allocate(1)).first.from_quarantine);
    world.check();
}

#[test]
fn deletions_mind_no_rest() {
    let mut world = world("10.0.0.0/22");
    let few = DELETION_AT_ONCE_MAX as u128;
    (1..=few + 1).for_each(|number| _ = world.address(number));
    (1..=few).for_each(|number| _ = world.let_go(number));
    let delete =
        |force| SubnetDelete { subnet_id: subnet_id(1), force, expected: Default::default() };
    let refused = world.refused(1, Request::SubnetDelete(delete(false)));
    assert_eq!(refused.status, Status::IN_USE);
    let Detail::Held(held) = &refused.details[1] else { panic!("{refused:?}") };
    assert_eq!(held.owner, owner(few + 1), "what is shown is held");
    world.let_go(few + 1);
    match world.done(1, Request::SubnetDelete(delete(false))) {
        Reply::Job(job) => assert_eq!(job.kind, JobKind::SubnetDelete, "too many for once"),
        other => panic!("{other:?}"),
    }
    world.work(7);
    assert_eq!(world.shards[0].resting(), 0);
    world.done(1, Request::SubnetCreate(Box::new(resting(2, "10.0.0.0/24"))));
    world.address(1);
    world.let_go(1);
    world.done(1, Request::SubnetDelete(SubnetDelete { subnet_id: subnet_id(2), ..delete(false) }));
    world.done(1, Request::SubnetCreate(Box::new(resting(3, "10.0.0.0/24"))));
    world.address(1);
    world.let_go(1);
    let delete = NetworkDelete { force: false, expected: Default::default() };
    world.done(1, Request::NetworkDelete(delete));
    assert_eq!((world.shards[0].resting(), world.shards[0].records()), (0, 0));
    world.check();
}

/// What a job frees does not rest, since the subnet goes.
#[test]
fn a_forced_deletion_leaves_no_rests() {
    let mut world = world("10.0.0.0/24");
    (1..=10).for_each(|number| _ = world.address(number));
    let delete =
        SubnetDelete { subnet_id: subnet_id(1), force: true, expected: Default::default() };
    world.done(1, Request::SubnetDelete(delete));
    assert_eq!(world.let_go(1).state, AllocationState::Free);
    world.work(3);
    assert_eq!(world.shards[0].records(), 1);
    world.check();
}

#[test]
fn a_pin_waits_for_a_rest_of_others_and_not_for_its_own() {
    let mut world = world("10.0.0.0/30");
    world.address(1);
    let pin = |number| PinCreate {
        address: ip("10.0.0.2"),
        owner: owner(number),
        slot: Slot(0),
        owner_name: None,
    };
    world.let_go(1);
    let Reply::Pin(made) = world.done(1, Request::PinCreate(Box::new(pin(2)))) else { panic!() };
    assert!(!made.held, "what rests is nobody's");
    assert_eq!(world.refusal(allocate(2)), Status::EXHAUSTED);
    assert_eq!(world.refusal(allocate(1)), Status::EXHAUSTED, "it is another's now");
    world.at.tick.0 += REST_MS;
    assert_eq!(world.address(2), ip("10.0.0.2"));
    world.let_go(2);
    assert!(world.allocate(allocate(2)).first.from_quarantine);
    world.check();
}

/// A port that is made again with its MAC gets the address that follows from it.
#[test]
fn a_port_is_kept_waiting_by_no_rest() {
    let mut world = world("10.0.0.0/29");
    let auto = SubnetCreate { quarantine_ms: Some(REST_MS), ..slaac(2, "fd00::/64") };
    world.done(1, Request::SubnetCreate(Box::new(auto)));
    let mac = "02:00:00:00:00:07".parse().ok();
    let create = |number| Request::PortCreate(Box::new(PortCreate { mac, ..port(number) }));
    let addresses = |reply: &Reply| match reply {
        Reply::Port(port) => port.fixed_ips.iter().map(|ip| ip.ip_address).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let first = addresses(&world.done(1, create(1)));
    assert_eq!(first.len(), 2);
    let delete = |number| {
        let expected = Default::default();
        Request::PortDelete(PortDelete { port_id: PortId::from_u128(number), expected })
    };
    world.done(1, delete(1));
    assert_eq!(world.shards[0].resting(), 2);
    let second = addresses(&world.done(1, create(2)));
    assert_eq!((second[0], second[1]), (ip("10.0.0.3"), first[1]));
    world.done(1, delete(2));
    assert_eq!(addresses(&world.done(1, create(1))), first, "the port's own come back");
    world.check();
}

#[test]
fn counts_and_pools_stay_right_around_what_rests() {
    let mut world = world("10.0.0.0/28");
    (1..=4).for_each(|number| _ = world.address(number));
    (1..=3).for_each(|number| _ = world.let_go(number));
    let pools = |first: &str, last: &str| {
        Setting::Value(vec![addrd_protocol::Range::new(ip(first), ip(last)).unwrap()])
    };
    let change = SubnetUpdate { pools: pools("10.0.0.3", "10.0.0.9"), ..change_of(1) };
    world.done(1, Request::SubnetUpdate(Box::new(change)));
    world.check();
    let usage = world.done(1, Request::Usage(Box::default()));
    let Reply::Usage(usage) = usage else { panic!("{usage:?}") };
    let one = &usage.subnets[0];
    assert_eq!((one.pool_size, one.free, one.allocated, one.quarantined), (7, 4, 1, 2));
    assert_eq!((one.used_outside, usage.totals[0].quarantined), (1, 2));
    let none = SubnetUpdate { quarantine_ms: Setting::Value(0), ..change_of(1) };
    world.done(1, Request::SubnetUpdate(Box::new(none)));
    assert_eq!(world.let_go(4).state, AllocationState::Free);
    assert_eq!(world.shards[0].resting(), 3, "what rests rests on");
    world.at.tick.0 += REST_MS;
    world.end_rests();
    world.check();
}

#[test]
fn a_batch_that_is_refused_leaves_rests_as_they_were() {
    let mut world = world("10.0.0.0/29");
    (1..=4).for_each(|number| _ = world.address(number));
    world.let_go(1);
    let before = world.snapshot();
    let items = |last| {
        let takes = BatchItem::Allocate(allocate(1));
        vec![BatchItem::Release(release(2)), takes, BatchItem::Allocate(last)]
    };
    let refused = batch(BatchMode::AllOrNothing, items(exact(9, "10.0.0.4")));
    assert_eq!(world.refused(1, refused).status, Status::ADDRESS_TAKEN);
    assert_eq!(world.snapshot(), before);
    world.check();
    world.done(1, batch(BatchMode::AllOrNothing, items(allocate(2))));
    assert_eq!(world.shards[0].resting(), 0, "both are back");
    world.check();
}

/// A release is never refused; whoever has too much resting gets nothing new.
#[test]
fn too_many_rests_bind_who_takes_and_not_who_releases() {
    let resting = Setting::Value(2);
    let mut world = limited(QuotaSettings { resting, ..QuotaSettings::default() });
    let on = SubnetUpdate { quarantine_ms: Setting::Value(REST_MS), ..change_of(1) };
    world.done_as(&of(0, 1), Request::SubnetUpdate(Box::new(on)));
    (1..=4).for_each(|number| _ = world.address(number));
    (1..=3).for_each(|number| _ = world.let_go(number));
    let used = world.project_of(0).used;
    assert_eq!((used.addresses, used.resting), (Some(1), Some(3)));
    let refused = world.refused(1, Request::Allocate(allocate(9)));
    assert_eq!((refused.status, refused.retry_after_ms), (Status::RESTING_LIMIT, 30_000));
    let detail = Detail::Quota { resource: QuotaResource::Resting, limit: 2, used: 3, asked: 1 };
    assert_eq!(refused.details, [detail]);
    assert!(world.allocate(allocate(1)).first.from_quarantine, "its own is no new one");
    assert_eq!(world.address(9), ip("10.0.0.6"), "two rest, as many as may");
    world.at.tick.0 += REST_MS;
    world.end_rests();
    assert_eq!(world.project_of(0).used.resting, Some(0));
    world.check();
}

#[test]
fn without_a_quota_of_rests_it_follows_from_that_of_addresses() {
    let mut world = limited(addresses(1_000));
    let on = SubnetUpdate { quarantine_ms: Setting::Value(REST_MS), ..change_of(1) };
    world.done_as(&of(0, 1), Request::SubnetUpdate(Box::new(on)));
    for number in 1..=2_001 {
        world.address(number);
        world.let_go(number);
    }
    assert_eq!(world.refusal(allocate(5_000)), Status::RESTING_LIMIT);
    world.set_quotas(0, QuotaSettings { addresses: Setting::Null, ..QuotaSettings::default() });
    world.address(5_000);
    world.check();
}

/// What guests let go binds neither the network nor them; their project can go, and the rest ends.
#[test]
fn the_rests_of_a_guest_bind_nobody() {
    let mut world = limited(QuotaSettings::default());
    let on = SubnetUpdate { quarantine_ms: Setting::Value(REST_MS), ..change_of(1) };
    world.done_as(&of(0, 1), Request::SubnetUpdate(Box::new(on)));
    let scope = guest(1);
    world.done_as(&scope, Request::Allocate(allocate(1)));
    world.done_as(&scope, Request::Release(release(1)));
    assert_eq!(world.project_of(1).used.resting, Some(1));
    let refused = world.refused_as(&of(0, 1), Request::Allocate(exact(7, "10.0.0.2")));
    assert_eq!((refused.status, &refused.details[..]), (Status::ADDRESS_RESTING, &[][..]));
    let unshare = NetworkUpdate { shared: Setting::Value(false), ..NetworkUpdate::default() };
    world.done_as(&of(0, 1), Request::NetworkUpdate(Box::new(unshare)));
    world.done_as(&of(1, 0), Request::ProjectDelete(Default::default()));
    assert_eq!(world.shards.iter().map(Shard::resting).sum::<u64>(), 1);
    world.at.tick.0 += REST_MS;
    world.end_rests();
    world.shards.iter().for_each(|shard| assert_eq!(shard.check(), Vec::<String>::new()));
}

#[test]
fn a_start_that_believes_a_clock_far_ahead_makes_up_for_what_had_not_rested() {
    let mut world = world("10.0.0.0/30");
    world.address(1);
    world.let_go(1);
    world.at.tick.0 += 10_000;
    world.lost_memory();
    let year = 365 * 24 * 3_600_000;
    world.at.tick.0 += year;
    world.shards[0].prolong_rests(year);
    assert_eq!(world.resting_at("10.0.0.2").unwrap().time_left_ms, 20_000);
    assert_eq!(world.shards[0].check(), Vec::<String>::new());
    world.end_rests();
    world.lost_memory();
    assert_eq!(world.resting_at("10.0.0.2").unwrap().time_left_ms, 20_000, "it was written down");
    world.at.tick.0 += 20_000;
    assert_eq!(world.address(2), ip("10.0.0.2"));
}

/// An operator accepts a clock that is far ahead.
#[test]
fn a_clock_that_leaps_while_the_server_runs_ends_no_rest() {
    let mut world = world("10.0.0.0/30");
    world.address(1);
    world.let_go(1);
    world.at.tick.0 += CLOCK_JUMP_MS_MAX + 1;
    assert_eq!(world.refusal(allocate(2)), Status::EXHAUSTED);
    assert_eq!(world.resting_at("10.0.0.2").unwrap().time_left_ms, REST_MS);
    world.end_rests();
    world.check();
}

fn ended(world: &World, from: usize) -> usize {
    let all = world.log.effects[from..].iter();
    all.filter(|effect| matches!(effect, Effect::AllocationGone { held_by: None, .. })).count()
}

/// What an operation takes away has room among its records, however many items it has.
#[test]
fn an_operation_takes_away_so_many_rests_in_all() {
    let mut world = world("10.0.0.0/21");
    (1..=2_045).for_each(|number| _ = world.address(number));
    (1..=2_045).for_each(|number| _ = world.let_go(number));
    world.at.tick.0 += REST_MS;
    let item = |number| BatchItem::Allocate(Allocate { length: Some(22), ..allocate(number) });
    let from = world.log.effects.len();
    match world.done(1, batch(BatchMode::Independent, (3_000..3_020).map(item).collect())) {
        Reply::Batch(done) => assert!(done.results.iter().all(|result| match result {
            BatchResult::Failed(refused) => refused.status == Status::BUSY,
            _ => false,
        })),
        other => panic!("{other:?}"),
    }
    assert_eq!(ended(&world, from), REST_SLICE_OBJECTS);
    world.check();
}

#[test]
fn rests_of_the_other_family_keep_nobody_waiting() {
    let mut world = world("10.0.0.0/24");
    world.done(1, Request::SubnetCreate(Box::new(subnet(2, "fd00::/126"))));
    (1..=20).for_each(|number| _ = world.address(number));
    (1..=20).for_each(|number| _ = world.let_go(number));
    let v6 = |number| Allocate { family: FamilyChoice::V6, ..allocate(number) };
    let mut given = 30..;
    while world.apply(1, &Request::Allocate(v6(given.next().unwrap()))).is_ok() {}
    world.at.tick.0 += REST_MS;
    let from = world.log.effects.len();
    assert_eq!(world.refusal(v6(99)), Status::EXHAUSTED);
    assert_eq!(ended(&world, from), 0);
}

/// Who tells of a holder, in an import or after a lost server, gets what it says, whatever size rests there.
#[test]
fn rests_of_any_size_give_way_to_holders_that_are_told_of() {
    for adopting in [true, false] {
        let mut world = world("10.0.0.0/24");
        world.allocate(exact(1, "10.0.0.66"));
        let block = |number, length| Allocate { length: Some(length), ..allocate(number) };
        let taken = world.allocate(block(2, 28)).first.address;
        [1, 2].into_iter().for_each(|number| _ = world.let_go(number));
        let tell = |world: &mut World, request: Allocate| {
            world.shards[0].set_adopting(adopting);
            let scope = Scope { restoring: !adopting, ..of(0, 1) };
            match world.done_as(&scope, Request::Allocate(request)) {
                Reply::Allocated(given) => given.first.address,
                other => panic!("{other:?}"),
            }
        };
        let at = |request: Allocate, address: &str| {
            let exact = Some(ip(address));
            let extras = AllocateExtras { exact, ..AllocateExtras::default() };
            Allocate { extras: Some(Box::new(extras)), ..request }
        };
        assert_eq!(tell(&mut world, at(block(3, 29), "10.0.0.64")), ip("10.0.0.64"));
        let inside = format!("10.0.0.{}", u32::from(v4(taken)) % 256 + 3);
        assert_eq!(tell(&mut world, exact(4, &inside)), ip(&inside));
        world.shards[0].set_adopting(false);
        world.check();
    }
}

fn v4(address: std::net::IpAddr) -> std::net::Ipv4Addr {
    match address {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(address) => panic!("{address}"),
    }
}

#[test]
fn what_has_rested_counts_towards_no_limit() {
    let mut world =
        limited(QuotaSettings { resting: Setting::Value(0), ..QuotaSettings::default() });
    let on = SubnetUpdate { quarantine_ms: Setting::Value(REST_MS), ..change_of(1) };
    world.done_as(&of(0, 1), Request::SubnetUpdate(Box::new(on)));
    let many = REST_SLICE_OBJECTS as u128 + 40;
    (1..=many).for_each(|number| _ = world.address(number));
    (1..=many).for_each(|number| _ = world.let_go(number));
    assert_eq!(world.refusal(allocate(5_000)), Status::RESTING_LIMIT);
    world.at.tick.0 += REST_MS;
    let refused = world.apply(1, &Request::Allocate(allocate(5_000))).unwrap_err();
    assert_eq!((refused.status, refused.retry_after_ms), (Status::BUSY, 1), "{refused:?}");
    world.address(5_000);
    world.check();
}

/// Counts of what rests in a project over two shards, whose drains end when chance says so.
struct Books {
    /// (network, owner), and when its rest ends.
    resting: std::collections::BTreeMap<(u128, u128), u64>,
    held: std::collections::BTreeSet<(u128, u128)>,
    /// What ended in a shard and was not settled.
    credit: [u64; 2],
}

impl Books {
    /// What counts as resting for a shard: also what others have ended and not handed over.
    fn seen(&self, shard: usize) -> u64 {
        self.resting.len() as u64 + self.credit[1 - shard]
    }
}

/// Two shards, and a network with resting addresses in each.
fn two_shards() -> (World, Vec<u128>) {
    let mut world = World::new(2);
    let networks: Vec<u128> = [0, 1]
        .map(|shard| (1..).find(|&id| worker_of(ProjectId::DEFAULT, network_id(id), 2).0 == shard))
        .into_iter()
        .flatten()
        .collect();
    for &network in &networks {
        world.done(network, Request::NetworkCreate(Box::default()));
        world.done(network, Request::SubnetCreate(Box::new(resting(1, "10.0.0.0/20"))));
    }
    (world, networks)
}

fn race(seed: u64) {
    const LIMIT: u64 = 4;
    let mut dice = super::dice::Dice(seed);
    let (mut world, networks) = two_shards();
    let resting = Setting::Value(LIMIT);
    world.set_quotas(0, QuotaSettings { resting, ..QuotaSettings::default() });
    let mut books = Books { resting: Default::default(), held: Default::default(), credit: [0; 2] };
    let mut refusals = 0;
    for _ in 0..400 {
        let shard = dice.roll(2) as usize;
        let (network, owner) = (networks[shard], 1 + u128::from(dice.roll(12)));
        let key = (network, owner);
        match dice.roll(8) {
            0..4 if !books.held.contains(&key) => {
                let is_back = books.resting.contains_key(&key);
                let is_over = !is_back && books.seen(shard) > LIMIT;
                let answer = world.decide(&scope(network), &Request::Allocate(allocate(owner)));
                match answer {
                    Ok((_, Reply::Allocated(given))) => {
                        assert!(!is_over, "seed {seed}: {given:?}");
                        assert_eq!(given.first.from_quarantine, is_back, "seed {seed}");
                        books.credit[shard] += u64::from(is_back);
                        books.resting.remove(&key);
                        books.held.insert(key);
                    }
                    Err(refused) => {
                        assert!(is_over, "seed {seed}: {refused:?}");
                        assert_eq!(refused.status, Status::RESTING_LIMIT);
                        refusals += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            4..6 if books.held.remove(&key) => {
                world.decide(&scope(network), &Request::Release(release(owner))).unwrap();
                books.resting.insert(key, world.at.tick.0 + REST_MS);
            }
            6 => {
                world.at.tick.0 += dice.roll(REST_MS / 2);
                let (at, log) = (world.at, &mut world.log);
                world.shards[shard].step_rests(&at, usize::MAX, log);
                let is_over =
                    |key: &(u128, u128), end: &mut u64| key.0 == network && *end <= at.tick.0;
                books.credit[shard] += books.resting.extract_if(.., is_over).count() as u64;
            }
            7 => {
                world.shards[shard].settle_quotas();
                books.credit[shard] = 0;
            }
            _ => {}
        }
        let other = 1 - shard;
        let (at, log) = (world.at, &mut world.log);
        // What has ended elsewhere is found by whoever comes across it: here nobody does before.
        world.shards[other].step_rests(&at, usize::MAX, log);
        let is_over = |key: &(u128, u128), end: &mut u64| key.0 != network && *end <= at.tick.0;
        books.credit[other] += books.resting.extract_if(.., is_over).count() as u64;
    }
    assert!(refusals > 0, "seed {seed} refuses nobody");
    world.shards.iter_mut().for_each(Shard::settle_quotas);
    let used = world.project_of(0).used;
    assert_eq!(used.resting, Some(books.resting.len() as u64), "seed {seed}");
    assert_eq!(used.addresses, Some(books.held.len() as u64), "seed {seed}");
    world.check();
}

#[test]
fn limits_of_rests_are_exact_whatever_workers_have_not_handed_over() {
    (0..50).for_each(race);
}
