//! Holds: who may confirm and cancel, what runs out, and what is left of it.

use super::quotas::{addresses, limited};
use super::shared::{guest, lent};
use super::*;
use crate::limits::{EXPIRY_SLICE_OBJECTS, HOLD_REST_MS, OPEN_HOLDS_MAX, RESTART_GRACE_MS};
use crate::model::{Instance, Revision};
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::hold::HOLD_MS_DEFAULT;
use addrd_protocol::message::{
    Allocation, AllocationGet, AllocationState, AllocationUpdate, Batch, BatchItem, BatchMode,
    BatchResult, Detail, FamilyChoice, HoldEnd, HoldEnded, HoldRelease, Lookup, Renew, Strategy,
    SubnetDelete, Usage,
};
use addrd_protocol::{Mac, Setting};
use uuid::Uuid;

const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn world() -> World {
    World::with_subnet(subnet(1, "10.0.0.0/24"))
}

fn held(number: u128, token: Uuid) -> Allocate {
    allocate_with(number, |extras| extras.hold_token = Some(token))
}

fn key(number: u128) -> Target {
    Target::Key { owner: owner(number), slot: Slot(0) }
}

fn end(number: u128, of: &AllocatedAddress, token: Uuid) -> HoldEnd {
    HoldEnd { target: key(number), revision: of.revision, token, release: false }
}

impl World {
    fn hold(&mut self, number: u128, token: Uuid) -> AllocatedAddress {
        let given = self.allocate(held(number, token)).first;
        assert_eq!(given.state, AllocationState::Held);
        given
    }

    fn confirm(&mut self, end: HoldEnd) -> Result<HoldEnded, Status> {
        match self.apply(1, &Request::HoldConfirm(end)) {
            Ok((Status::OK, Reply::HoldEnded(ended))) => Ok(ended),
            Ok((Status::NOT_HELD, Reply::Empty)) => Err(Status::NOT_HELD),
            Err(refused) => Err(refused.status),
            other => panic!("{other:?}"),
        }
    }

    /// `None` = there was nothing to cancel.
    fn cancel(&mut self, end: HoldEnd) -> Result<Option<HoldEnded>, Status> {
        match self.apply(1, &Request::HoldCancel(end)) {
            Ok((Status::OK, Reply::HoldEnded(ended))) => Ok(Some(ended)),
            Ok((Status::NOT_HELD, Reply::Empty)) => Ok(None),
            Err(refused) => Err(refused.status),
            other => panic!("{other:?}"),
        }
    }

    fn release_under(&mut self, number: u128, token: Uuid) -> Result<Option<HoldEnded>, Status> {
        let (target, fences) = (key(number), Fences::default());
        let release = HoldRelease { target, fences, token, hold_ms: None };
        match self.apply(1, &Request::HoldRelease(Box::new(release))) {
            Ok((Status::OK, Reply::HoldEnded(ended))) => Ok(Some(ended)),
            Ok((Status::NOT_HELD, Reply::Empty)) => Ok(None),
            Err(refused) => Err(refused.status),
            other => panic!("{other:?}"),
        }
    }

    /// Time passes, and what is over by then is ended.
    fn run_out(&mut self, ms: u64) {
        self.wait(ms);
        let Self { shards, at, log, .. } = self;
        shards.iter_mut().for_each(|shard| while shard.step_expiry(at, 8, log) {});
        shards.iter_mut().for_each(|shard| while shard.step_rests(at, 8, log) {});
    }

    fn at_address(&mut self, address: &str) -> Option<Allocation> {
        match self.done(0, Request::Lookup(Box::new(Lookup::Address(ip(address))))) {
            Reply::Lookups(mut found) => found.allocations.pop(),
            other => panic!("{other:?}"),
        }
    }

    /// Free, held, allocated, quarantined.
    fn counts(&mut self) -> [u128; 4] {
        let Reply::Usage(usage) = self.done(1, Request::Usage(Box::<Usage>::default())) else {
            panic!("usage is told")
        };
        let of = &usage.subnets[0];
        [of.free, of.held, of.allocated, of.quarantined]
    }
}

#[test]
fn what_is_held_is_nobodys_until_it_is_confirmed() {
    let mut world = world();
    let given = world.hold(1, ONE);
    assert_eq!((given.address, given.time_left_ms), (ip("10.0.0.2"), HOLD_MS_DEFAULT));
    assert_eq!(world.counts(), [252, 1, 0, 0]);
    assert_eq!(world.at_address("10.0.0.2").unwrap().state, AllocationState::Held);
    assert_eq!(world.address(2), ip("10.0.0.3"), "nobody else gets it");

    let end = end(1, &given, ONE);
    assert_eq!(world.confirm(HoldEnd { token: OTHER, ..end }), Err(Status::OTHER_TOKEN));
    let stale = HoldEnd { revision: Revision(given.revision.0 + 1), ..end };
    assert_eq!(world.confirm(stale), Err(Status::STALE));
    assert_eq!(world.cancel(stale), Err(Status::STALE));
    assert_eq!(world.confirm(HoldEnd { target: key(9), ..end }), Err(Status::HOLD_OVER));
    assert_eq!(world.counts(), [251, 1, 1, 0], "a refusal changes nothing");

    let done = world.confirm(end).unwrap();
    assert_eq!((done.address, done.revision), (given.address, given.revision));
    assert_eq!((done.state, done.repeated, done.late), (AllocationState::Allocated, false, false));
    assert_eq!(world.confirm(end), Ok(HoldEnded { repeated: true, ..done }), "the same answer");
    world.run_out(2 * HOLD_MS_DEFAULT);
    assert_eq!(world.at_address("10.0.0.2").unwrap().time_left_ms, 0, "it has no end any more");
    assert_eq!(world.counts(), [251, 0, 2, 0]);
    world.check();
}

#[test]
fn what_is_cancelled_is_free_at_once_whatever_its_subnet_says() {
    let create = SubnetCreate { quarantine_ms: Some(30_000), ..subnet(1, "10.0.0.0/30") };
    let mut world = World::with_subnet(create);
    let given = world.hold(1, ONE);
    let end = end(1, &given, ONE);
    assert_eq!(world.cancel(HoldEnd { token: OTHER, ..end }), Err(Status::OTHER_TOKEN));
    let gone = world.cancel(end).unwrap().unwrap();
    assert_eq!((gone.address, gone.state), (given.address, AllocationState::Free));
    assert_eq!(world.counts(), [1, 0, 0, 0]);
    assert_eq!(world.cancel(end), Ok(None), "sent again there is nothing");
    assert_eq!(world.confirm(end), Err(Status::HOLD_OVER));
    assert_eq!(world.hold(2, OTHER).address, given.address);
    let by_address = HoldEnd { target: Target::Address(given.address), ..end };
    assert_eq!(
        world.cancel(by_address),
        Ok(None),
        "what another holds there is none of its business"
    );
    assert_eq!(world.confirm(by_address), Err(Status::STALE));
    world.check();
}

/// A transaction that found its address held already, and fails: undoing it must not free what its owner
/// had before.
#[test]
fn who_undoes_frees_nothing_that_was_there_before() {
    let mut world = world();
    let before = world.allocate(allocate(1)).first;
    let again = world.allocate(held(1, ONE)).first;
    assert_eq!((again.repeated, again.state), (true, AllocationState::Allocated));
    assert_eq!(again.revision, before.revision);
    assert_eq!(world.cancel(end(1, &again, ONE)), Err(Status::HOLD_CONFIRMED));
    assert!(world.confirm(end(1, &again, ONE)).unwrap().repeated);

    let mine = world.hold(2, ONE);
    world.confirm(end(2, &mine, ONE)).unwrap();
    assert_eq!(world.cancel(end(2, &mine, ONE)), Err(Status::HOLD_CONFIRMED));
    assert_eq!(world.counts(), [251, 0, 2, 0]);
    world.check();
}

#[test]
fn only_its_token_repeats_a_hold() {
    let mut world = world();
    let given = world.hold(1, ONE);
    world.wait(10_000);
    let again = world.allocate(held(1, ONE)).first;
    assert_eq!(
        (again.address, again.revision, again.repeated),
        (given.address, given.revision, true)
    );
    assert_eq!(again.time_left_ms, HOLD_MS_DEFAULT - 10_000, "its end stays");
    for request in [held(1, OTHER), allocate(1)] {
        let refused = world.refused(1, Request::Allocate(request));
        assert_eq!((refused.status, refused.retry_after_ms), (Status::OTHER_TOKEN, 50_000));
        assert!(matches!(&refused.details[..], [Detail::Held(held)] if held.owner == owner(1)));
    }
    // Another life of the owner takes over, and is no hold.
    let mut taker = Allocate { instance: Instance(7), ..allocate(1) };
    taker.flags.takeover = true;
    let taken = world.allocate(taker).first;
    assert_eq!((taken.taken_over, taken.state), (true, AllocationState::Allocated));
    assert_eq!(taken.time_left_ms, 0);
    assert_eq!(world.cancel(end(1, &given, ONE)), Ok(None));
    assert_eq!(world.confirm(end(1, &given, ONE)), Err(Status::STALE));
    world.check();
}

#[test]
fn what_ran_out_rests_for_its_token_and_is_taken_back() {
    let mut world = world();
    let request = allocate_with(1, |extras| {
        extras.hold_token = Some(ONE);
        extras.hold_ms = Some(5_000);
        extras.label = Some(text("app=web"));
        extras.owner_name = Some(text("web-1"));
    });
    let given = world.allocate(Allocate { instance: Instance(3), ..request }).first;
    world.run_out(5_000);
    assert_eq!(world.counts(), [252, 0, 0, 1]);
    let rests = world.at_address("10.0.0.2").unwrap();
    assert_eq!((rests.state, rests.time_left_ms), (AllocationState::Quarantined, HOLD_REST_MS));

    // Neither another nor the same key under another token gets it meanwhile.
    let exact = |number, token| {
        allocate_with(number, |extras| {
            extras.exact = Some(ip("10.0.0.2"));
            extras.hold_token = token;
        })
    };
    let mut eager = exact(2, None);
    eager.flags.allow_resting = true;
    for request in [eager, exact(1, Some(OTHER))] {
        assert_eq!(world.refusal(request), Status::ADDRESS_RESTING);
    }
    let other = world.hold(1, OTHER);
    assert_eq!(other.address, ip("10.0.0.3"));
    let late = end(1, &given, ONE);
    assert_eq!(world.confirm(late), Err(Status::KEY_IN_USE));
    world.cancel(end(1, &other, OTHER)).unwrap().unwrap();

    let back = world.confirm(late).unwrap();
    assert_eq!((back.address, back.revision, back.late), (given.address, given.revision, true));
    let whole = world.at_address("10.0.0.2").unwrap();
    assert_eq!((whole.state, whole.instance), (AllocationState::Allocated, Instance(3)));
    assert_eq!((whole.label, whole.owner_name), (Some(text("app=web")), Some(text("web-1"))));
    assert_eq!(world.counts(), [252, 0, 1, 0]);
    assert!(world.confirm(late).unwrap().repeated);
    world.check();
}

#[test]
fn after_ten_minutes_it_is_too_late() {
    let create = SubnetCreate { quarantine_ms: Some(1_000), ..subnet(1, "10.0.0.0/30") };
    let mut world = World::with_subnet(create);
    let given = world.hold(1, ONE);
    world.run_out(HOLD_MS_DEFAULT);
    world.run_out(HOLD_REST_MS - 1);
    assert_eq!(world.refusal(allocate(2)), Status::EXHAUSTED, "whatever the subnet says");
    world.run_out(1);
    assert_eq!(world.confirm(end(1, &given, ONE)), Err(Status::HOLD_OVER));
    assert_eq!(world.cancel(end(1, &given, ONE)), Ok(None));
    assert_eq!(world.address(2), given.address);
    world.check();
}

/// Between the end of a hold and the record that says so: nobody else gets anything out of it.
#[test]
fn a_hold_that_is_over_is_still_its_tokens_own() {
    let mut world = world();
    let given = world.hold(1, ONE);
    world.wait(HOLD_MS_DEFAULT);
    let get = Request::AllocationGet(Box::new(AllocationGet { target: key(1) }));
    assert_eq!(world.refused(1, get).status, Status::NOT_FOUND, "reads agree that it is over");
    assert_eq!(world.refusal(held(1, OTHER)), Status::OTHER_TOKEN);
    let exact = allocate_with(2, |extras| extras.exact = Some(given.address));
    assert_eq!(world.refusal(exact), Status::ADDRESS_TAKEN);
    let again = world.allocate(held(1, ONE)).first;
    assert_eq!((again.revision, again.time_left_ms), (given.revision, HOLD_MS_DEFAULT));
    world.wait(HOLD_MS_DEFAULT);
    assert!(world.confirm(end(1, &given, ONE)).unwrap().late);
    let given = world.hold(3, ONE);
    world.wait(HOLD_MS_DEFAULT);
    let gone = world.cancel(end(3, &given, ONE)).unwrap();
    assert_eq!(gone.unwrap().state, AllocationState::Free);
    world.check();
}

/// The owner that comes back without a token gets its own, and it is no hold any more.
#[test]
fn who_comes_back_without_a_token_gets_its_own() {
    let mut world = world();
    let given = world.hold(1, ONE);
    world.run_out(HOLD_MS_DEFAULT);
    let back = world.allocate(allocate(1)).first;
    assert_eq!((back.address, back.from_quarantine), (given.address, true));
    assert_eq!(world.confirm(end(1, &given, ONE)), Err(Status::STALE));
    assert_eq!(world.cancel(end(1, &given, ONE)), Ok(None));
    let given = world.hold(2, ONE);
    world.run_out(HOLD_MS_DEFAULT);
    let again = world.hold(2, ONE);
    assert_eq!((again.address, again.from_quarantine), (given.address, true), "its token does too");
    assert!(again.revision > given.revision);
    world.check();
}

#[test]
fn a_pair_is_held_and_many_are_confirmed_in_one_frame() {
    let mut world = world();
    world.subnet(subnet(2, "fd00::/64"));
    let pair = world.allocate(Allocate { family: FamilyChoice::Both, ..held(1, ONE) });
    let (v4, v6) = (pair.first, pair.second.unwrap());
    let single = world.hold(2, ONE);
    let by_address = |of: &AllocatedAddress| HoldEnd {
        target: Target::Address(of.address),
        revision: of.revision,
        token: ONE,
        release: false,
    };
    let items = vec![
        BatchItem::HoldConfirm(by_address(&v4)),
        BatchItem::HoldConfirm(end(9, &v4, ONE)),
        BatchItem::HoldConfirm(by_address(&v6)),
        BatchItem::HoldCancel(by_address(&single)),
    ];
    let batch = |mode| Request::Batch(Box::new(Batch { mode, items: items.clone() }));
    let refused = world.refused(1, batch(BatchMode::AllOrNothing));
    assert_eq!((refused.status, refused.item), (Status::HOLD_OVER, Some(1)));
    assert_eq!(world.shards[0].holds(), 3, "all or nothing");
    let Reply::Batch(reply) = world.done(1, batch(BatchMode::Independent)) else { panic!() };
    let statuses: Vec<_> = reply.results.iter().map(BatchResult::status).collect();
    assert_eq!(statuses, [Status::OK, Status::HOLD_OVER, Status::OK, Status::OK]);
    assert_eq!((world.shards[0].holds(), world.shards[0].allocations()), (0, 2));
    world.check();
}

#[test]
fn fields_that_do_not_go_with_a_hold_are_refused() {
    let mut world = world();
    let refusal = |world: &mut World, request| {
        let refused = world.refused(1, Request::Allocate(request));
        (refused.status, refused.field.unwrap().to_string())
    };
    let conflict = |field: &str| (Status::CONFLICTING_FIELDS, field.to_owned());
    let alone = allocate_with(1, |extras| extras.hold_ms = Some(5_000));
    assert_eq!(refusal(&mut world, alone), conflict("hold_ms"));
    let leased = allocate_with(1, |extras| {
        (extras.hold_token, extras.lease_ms) = (Some(ONE), Some(5_000));
    });
    assert_eq!(refusal(&mut world, leased), conflict("lease_ms"));
    let mut taker = held(1, ONE);
    taker.flags.takeover = true;
    assert_eq!(refusal(&mut world, taker), conflict("takeover"));
    for hold_ms in [0, 999, 315_360_000_001] {
        let request = allocate_with(1, |extras| {
            (extras.hold_token, extras.hold_ms) = (Some(ONE), Some(hold_ms));
        });
        let range = (Status::OUT_OF_RANGE, "hold_ms".to_owned());
        assert_eq!(refusal(&mut world, request), range);
    }
    // A lease begins with what was confirmed, and renewing moves no hold's end.
    world.hold(1, ONE);
    let renew = Renew { target: key(1), fences: Fences::default(), lease_ms: 500_000 };
    let Reply::Renewed(renewed) = world.done(1, Request::Renew(renew)) else { panic!() };
    assert_eq!(renewed.time_left_ms, HOLD_MS_DEFAULT);
    let update = AllocationUpdate {
        target: key(1),
        fences: Fences::default(),
        label: Setting::Unset,
        host: Setting::Unset,
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Null,
        follow_host: None,
    };
    let refused = world.refused(1, Request::AllocationUpdate(Box::new(update)));
    assert_eq!(refused.status, Status::CONFLICTING_FIELDS);
    world.check();
}

#[test]
fn quotas_count_what_is_held_and_a_late_confirmation_asks_anew() {
    let mut world = limited(addresses(1));
    let given = world.hold(1, ONE);
    assert_eq!(world.refusal(allocate(2)), Status::QUOTA);
    world.confirm(end(1, &given, ONE)).unwrap();
    world.release(release(1));
    let given = world.hold(1, ONE);
    world.run_out(HOLD_MS_DEFAULT);
    world.shards.iter_mut().for_each(Shard::settle_quotas);
    world.address(2);
    let late = end(1, &given, ONE);
    assert_eq!(world.confirm(late), Err(Status::QUOTA));
    world.release(release(2));
    assert!(world.confirm(late).unwrap().late);
    assert_eq!(world.refusal(allocate(2)), Status::QUOTA);
    world.check();
}

#[test]
fn a_subnet_that_goes_takes_its_holds_along() {
    let mut world = world();
    let (given, late) = (world.hold(1, ONE), world.hold(2, ONE));
    let short = allocate_with(3, |extras| {
        (extras.hold_token, extras.hold_ms) = (Some(ONE), Some(1_000));
    });
    let short = world.allocate(short).first;
    world.run_out(1_000);
    let expected = Revision(world.shards[0].subnets.at(0).row.revision.0);
    let delete = SubnetDelete { subnet_id: subnet_id(1), force: true, expected };
    world.done(1, Request::SubnetDelete(delete));
    world.work(8);
    for (number, given) in [(1, given), (2, late), (3, short)] {
        assert_eq!(world.confirm(end(number, &given, ONE)), Err(Status::HOLD_OVER));
    }
    assert_eq!(world.shards[0].holds(), 0);
    world.check();
}

/// On a shared network nobody confirms or cancels what another project holds, or learns of it.
#[test]
fn what_another_project_holds_is_out_of_reach() {
    let (mut world, scope) = (lent(), guest(1));
    let answer = world.apply_as(&scope, &Request::Allocate(held(1, ONE))).unwrap().1;
    let Reply::Allocated(given) = answer else { panic!() };
    let by_address = HoldEnd {
        target: Target::Address(given.first.address),
        revision: given.first.revision,
        token: ONE,
        release: false,
    };
    assert_eq!(world.cancel(by_address), Err(Status::NOT_HOLDER), "the network's project sees it");
    assert_eq!(world.cancel(end(1, &given.first, ONE)), Ok(None));
    world.run_out(HOLD_MS_DEFAULT);
    assert_eq!(world.confirm(by_address), Err(Status::HOLD_OVER));
    let (_, reply) = world.apply_as(&scope, &Request::HoldConfirm(by_address)).unwrap();
    assert!(matches!(reply, Reply::HoldEnded(ended) if ended.late));
    world.check();
}

/// What runs out is ended in slices of bounded size, whatever texts there are.
#[test]
fn what_runs_out_at_once_is_ended_in_slices() {
    let mut world = world();
    for number in 0..200 {
        world.hold(1_000 + number, ONE);
    }
    world.wait(HOLD_MS_DEFAULT);
    let World { shards, at, log, .. } = &mut world;
    assert!(shards[0].step_expiry(at, 100, log));
    assert_eq!((shards[0].holds(), shards[0].resting()), (100, 100));
    assert!(!shards[0].step_expiry(at, EXPIRY_SLICE_OBJECTS, log));
    assert_eq!(shards[0].holds(), 0);
    world.check();
}

#[test]
fn a_project_has_so_many_open_holds_and_no_more() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/14"));
    let first = world.hold(1, ONE);
    for number in 2..=u128::from(OPEN_HOLDS_MAX) {
        world.hold(number, ONE);
    }
    let refused = world.refused(1, Request::Allocate(held(0x10_0000, ONE)));
    assert_eq!(refused.status, Status::HOLD_LIMIT);
    let most = u128::from(OPEN_HOLDS_MAX);
    assert_eq!(refused.details, [Detail::Bounds { value: most + 1, least: 0, most }]);
    world.address(0x10_0000);
    world.confirm(end(1, &first, ONE)).unwrap();
    world.hold(0x10_0001, ONE);
}

/// A deletion whose transaction may still be undone: the address stays its owner's until it is confirmed.
#[test]
fn a_held_release_frees_only_once_it_is_confirmed() {
    let create = SubnetCreate { quarantine_ms: Some(30_000), ..subnet(1, "10.0.0.0/24") };
    let mut world = World::with_subnet(create);
    let given = world.allocate(allocate(1)).first;
    let of_release = HoldEnd { release: true, ..end(1, &given, ONE) };
    assert_eq!(world.release_under(9, ONE), Ok(None), "nothing is held there");
    let held = world.release_under(1, ONE).unwrap().unwrap();
    assert_eq!((held.state, held.revision), (AllocationState::Allocated, given.revision));
    assert!(world.release_under(1, ONE).unwrap().unwrap().repeated);
    assert_eq!(world.release_under(1, OTHER), Err(Status::OTHER_TOKEN));
    assert_eq!(world.refusal(allocate(1)), Status::OTHER_TOKEN, "it may be gone in a moment");
    assert_eq!(world.confirm(HoldEnd { token: OTHER, ..of_release }), Err(Status::OTHER_TOKEN));
    assert_eq!(world.counts(), [252, 0, 1, 0]);

    // It is undone, and the owner has what it had.
    let kept = world.cancel(of_release).unwrap().unwrap();
    assert_eq!((kept.state, kept.repeated), (AllocationState::Allocated, false));
    assert!(world.cancel(of_release).unwrap().unwrap().repeated);
    assert_eq!(world.confirm(of_release), Err(Status::HOLD_OVER));
    assert!(world.allocate(allocate(1)).first.repeated);

    // It is done, once; what another has there later is none of its business.
    world.release_under(1, ONE).unwrap();
    let gone = world.confirm(of_release).unwrap();
    assert_eq!((gone.state, gone.revision), (AllocationState::Quarantined, given.revision));
    assert_eq!(world.confirm(of_release), Err(Status::NOT_HELD), "class done");
    assert_eq!(world.cancel(of_release), Err(Status::HOLD_OVER), "it can't be undone any more");
    world.allocate(allocate(1));
    assert_eq!(world.confirm(of_release), Err(Status::NOT_HELD));
    assert_eq!(world.counts(), [252, 0, 1, 0]);
    world.check();
}

#[test]
fn a_held_release_that_nobody_confirms_in_time_is_none() {
    let mut world = world();
    let given = world.allocate(allocate(1)).first;
    world.release_under(1, ONE).unwrap();
    world.run_out(HOLD_MS_DEFAULT);
    let of_release = HoldEnd { release: true, ..end(1, &given, ONE) };
    assert_eq!(world.confirm(of_release), Err(Status::HOLD_OVER));
    assert!(world.allocate(allocate(1)).first.repeated, "its owner keeps it");
    assert_eq!(world.release_under(1, OTHER).unwrap().map(|held| held.repeated), Some(false));
    world.check();
}

/// In one transaction a port goes and comes again: its token gets the address back, and then nothing frees it.
#[test]
fn who_releases_under_a_token_may_take_it_again() {
    let mut world = world();
    let given = world.allocate(allocate(1)).first;
    world.release_under(1, ONE).unwrap();
    let again = world.allocate(held(1, ONE)).first;
    assert_eq!((again.revision, again.repeated), (given.revision, true));
    assert_eq!(again.state, AllocationState::Allocated);
    let of_release = HoldEnd { release: true, ..end(1, &given, ONE) };
    assert_eq!(world.confirm(of_release), Err(Status::HOLD_OVER));
    // What it took itself and releases is free at once, however the transaction ends.
    let mine = world.hold(2, ONE);
    let gone = world.release_under(2, ONE).unwrap().unwrap();
    assert_eq!((gone.state, gone.address), (AllocationState::Free, mine.address));
    assert_eq!(world.counts(), [252, 0, 1, 0]);
    world.check();
}

/// Else holding and cancelling would be a way round quarantine.
#[test]
fn a_hold_of_what_rested_rests_on_when_it_is_cancelled() {
    let create = SubnetCreate { quarantine_ms: Some(30_000), ..subnet(1, "10.0.0.0/30") };
    let mut world = World::with_subnet(create);
    world.address(1);
    world.release(release(1));
    world.wait(10_000);
    let mut eager = held(2, ONE);
    eager.flags.allow_resting = true;
    let given = world.allocate(eager).first;
    assert!(given.from_quarantine);
    let gone = world.cancel(end(2, &given, ONE)).unwrap().unwrap();
    assert_eq!(gone.state, AllocationState::Quarantined);
    assert_eq!(world.at_address("10.0.0.2").unwrap().time_left_ms, 20_000);
    assert_eq!(world.refusal(allocate(3)), Status::EXHAUSTED);
    world.check();
    world.run_out(20_000);
    assert_eq!(world.address(3), given.address);
    world.check();
}

/// An address that follows from a MAC is kept for the token all the same.
#[test]
fn what_ran_out_is_kept_from_who_has_its_mac() {
    let mut world = World::with_subnet(subnet(1, "fd00::/64"));
    let of_mac = |number, token| {
        let mut request = allocate_with(number, |extras| {
            extras.mac = Some(Mac([2, 0, 0, 0, 0, 1]));
            extras.subnets = vec![subnet_id(1)];
            extras.hold_token = token;
        });
        request.strategy = Strategy::Eui64;
        request
    };
    let given = world.allocate(of_mac(1, Some(ONE))).first;
    world.run_out(HOLD_MS_DEFAULT);
    assert_eq!(world.refusal(of_mac(2, None)), Status::ADDRESS_RESTING);
    assert!(world.confirm(end(1, &given, ONE)).unwrap().late);
    world.check();
}

/// Downtime must not eat the time for a late confirmation.
#[test]
fn after_a_standstill_there_is_time_left_to_confirm_late() {
    let mut world = world();
    let given = world.hold(1, ONE);
    world.run_out(HOLD_MS_DEFAULT);
    world.at.tick.0 += 2 * HOLD_REST_MS;
    world.shards[0].set_restart_grace(RESTART_GRACE_MS);
    world.shards[0].notice_time(&world.at, Tick(0));
    let left = world.at_address("10.0.0.2").unwrap().time_left_ms;
    assert!(left >= RESTART_GRACE_MS, "{left}");
    world.run_out(1);
    world.check();
    assert!(world.confirm(end(1, &given, ONE)).unwrap().late);
    world.check();
}
