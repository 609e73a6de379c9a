//! Host leases: when what follows a host ends, what never does, and that lives of a host don't mix.

use super::reconcile::{on, world};
use super::*;
use crate::limits::RESTART_GRACE_MS;
use crate::model::Setting;
use addrd_protocol::message::{
    Allocation, AllocationGet, AllocationUpdate, EndHost, EndedHost, Failure, HoldEnd, HostLease,
    HostLeaseList, HostLeaseState, OnEnd, RenewHost, RenewOwner, RenewedHost, Transfer,
};
use uuid::Uuid;

const LEASE: u64 = 10_000;
const TOKEN: Uuid = Uuid::from_u128(77);

pub(super) fn lease(host: &str, on_end: OnEnd, begin: u64) -> RenewHost {
    RenewHost { manager: text("cni"), host: text(host), lease_ms: LEASE, on_end, begin, life: 0 }
}

/// A request for an address that follows its host.
pub(super) fn follower(number: u128, host: &str) -> Allocate {
    let mut request = on(number, "cni", host);
    request.extras.as_mut().unwrap().follow_host = true;
    request
}

pub(super) fn key(number: u128) -> Target {
    Target::Key { owner: owner(number), slot: Slot(0) }
}

pub(super) fn update(number: u128) -> AllocationUpdate {
    AllocationUpdate {
        target: key(number),
        fences: Fences::default(),
        label: Setting::Unset,
        host: Setting::Unset,
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    }
}

impl World {
    pub(super) fn renew_host(&mut self, request: RenewHost) -> Result<RenewedHost, Box<Failure>> {
        match self.apply(0, &Request::RenewHost(Box::new(request))) {
            Ok((_, Reply::RenewedHost(renewed))) => Ok(renewed),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused),
        }
    }

    pub(super) fn host_refusal(&mut self, request: RenewHost) -> Status {
        self.renew_host(request).expect_err("must be refused").status
    }

    pub(super) fn end_host(
        &mut self,
        host: &str,
        on_end: OnEnd,
    ) -> Result<EndedHost, Box<Failure>> {
        let request = EndHost { manager: text("cni"), host: text(host), on_end, life: 0 };
        match self.apply(0, &Request::EndHost(Box::new(request))) {
            Ok((_, Reply::EndedHost(ended))) => Ok(ended),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused),
        }
    }

    pub(super) fn leases(&mut self) -> Vec<HostLease> {
        let list = HostLeaseList { manager: text("cni"), limit: 0, after: None };
        match self.done(0, Request::HostLeaseList(Box::new(list))) {
            Reply::HostLeases(page) => page.items,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn try_take(
        &mut self,
        network: u128,
        request: Allocate,
    ) -> Result<Allocated, Status> {
        match self.apply(network, &Request::Allocate(request)) {
            Ok((_, Reply::Allocated(allocated))) => Ok(allocated),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.status),
        }
    }

    pub(super) fn shown(&mut self, network: u128, number: u128) -> Option<Allocation> {
        let get = Request::AllocationGet(Box::new(AllocationGet { target: key(number) }));
        match self.apply(network, &get) {
            Ok((_, Reply::Allocation(held))) => Some(*held),
            Err(refused) if refused.status == Status::NOT_FOUND => None,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn try_change(&mut self, request: AllocationUpdate) -> Result<Allocation, Status> {
        match self.apply(1, &Request::AllocationUpdate(Box::new(request))) {
            Ok((_, Reply::Allocation(held))) => Ok(*held),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused.status),
        }
    }

    /// Ends what is over, as idle workers do; how many records that took.
    pub(super) fn end_all(&mut self) -> usize {
        let before = self.log.effects.len();
        let Self { shards, at, log, .. } = self;
        shards.iter_mut().for_each(|shard| while shard.step_expiry(at, 4, log) {});
        self.log.effects.len() - before
    }

    pub(super) fn allocations(&self) -> u64 {
        self.shards.iter().map(Shard::allocations).sum()
    }

    /// The memory is lost and comes back from all effects, in as many shards.
    pub(super) fn lose_memory(&mut self) {
        let workers = self.shards.len();
        let settings = ShardSettings { seed: 5, records_max: 1 << 20 };
        self.shards = (0..workers).map(|n| Shard::numbered(settings, n as u16)).collect();
        let mut owners = std::collections::BTreeMap::new();
        for effect in &self.log.effects {
            let network = match effect {
                Effect::HostLeasePut(_) | Effect::HostLeaseGone { .. } => {
                    self.shards.iter_mut().for_each(|shard| shard.absorb(effect).unwrap());
                    continue;
                }
                Effect::NetworkPut(row) => {
                    let owner = worker_of(row.project, row.id, workers as u16);
                    owners.insert(row.network, usize::from(owner.0));
                    row.network
                }
                Effect::SubnetPut(row) => row.network,
                Effect::AllocationPut(row) => row.place.network,
                Effect::AllocationGone { place, .. } => place.network,
                other => panic!("{other:?}"),
            };
            self.shards[owners[&network]].absorb(effect).unwrap();
        }
        for (number, shard) in self.shards.iter_mut().enumerate() {
            shard.tell_hosts(number == 0);
            shard.grant_restart_grace(self.at.tick);
        }
    }
}

/// One shard tells, as in an engine.
pub(super) fn world_of(workers: usize) -> World {
    let mut world = world(workers);
    for (number, shard) in world.shards.iter_mut().enumerate() {
        shard.tell_hosts(number == 0);
    }
    world
}

#[test]
fn what_follows_ends_with_the_lease_of_its_host() {
    let mut world = world_of(2);
    assert_eq!(world.try_take(1, follower(1, "n1")), Err(Status::NO_HOST_LEASE));
    assert_eq!(world.host_refusal(lease("n1", OnEnd::Release, 0)), Status::NO_HOST_LEASE);
    let begun = world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    assert_eq!((begun.was, begun.life, begun.time_left_ms), (HostLeaseState::Absent, 1, LEASE));
    let first = world.try_take(1, follower(1, "n1")).unwrap().first;
    world.try_take(2, follower(2, "n1")).unwrap();
    world.try_take(2, on(3, "cni", "n1")).unwrap();
    assert_eq!(first.time_left_ms, LEASE);
    assert!(world.shown(1, 1).unwrap().follows_host);
    world.wait(LEASE - 1);
    let renewed = world.renew_host(lease("n1", OnEnd::Release, 0)).unwrap();
    assert_eq!((renewed.was, renewed.following), (HostLeaseState::Running, 2));
    world.wait(LEASE - 1);
    assert_eq!(world.end_all(), 0);
    assert_eq!(world.shown(1, 1).unwrap().time_left_ms, 1);
    world.wait(1);
    assert_eq!(world.shown(1, 1), None, "from the deadline on nobody sees it");
    let renew = RenewOwner { owner: owner(1), instance: None, lease_ms: LEASE };
    assert_eq!(world.refused(1, Request::RenewOwner(renew)).status, Status::EXPIRED);
    assert_eq!(world.host_refusal(lease("n1", OnEnd::Release, 0)), Status::EXPIRED);
    assert_eq!(world.try_take(1, follower(4, "n1")), Err(Status::HOST_LEASE_OVER));
    world.end_all();
    assert_eq!(world.allocations(), 1, "what does not follow stays");
    assert_eq!(world.leases(), []);
    world.check();
}

/// A host that can't reach the server may still use its addresses.
#[test]
fn a_lease_that_only_reports_ends_nothing_and_is_told_once() {
    let mut world = world_of(2);
    world.renew_host(lease("n1", OnEnd::Report, 1)).unwrap();
    world.try_take(1, follower(1, "n1")).unwrap();
    world.wait(LEASE);
    assert_eq!(world.end_all(), 1, "one record says so, of all shards");
    let ends: Vec<_> = world.shards.iter_mut().flat_map(Shard::take_host_ends).collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(world.shards[0].host_leases(), (1, 1));
    assert_eq!(world.shown(1, 1).unwrap().time_left_ms, 0);
    assert_eq!(world.leases()[0].state, HostLeaseState::Overdue);
    world.try_take(1, follower(2, "n1")).unwrap();
    world.lose_memory();
    world.wait(RESTART_GRACE_MS + LEASE);
    assert_eq!(world.end_all(), 0, "it was told");
    assert_eq!(world.shards.iter_mut().map(|s| s.take_host_ends().len()).sum::<usize>(), 0);
    let renewed = world.renew_host(lease("n1", OnEnd::Report, 9)).unwrap();
    assert_eq!((renewed.was, renewed.life), (HostLeaseState::Overdue, 9), "the lease goes on");
    assert_eq!(renewed.following, 2, "what followed is of the next life too");
    assert_eq!(world.shards[0].host_leases(), (1, 0));
    world.check();
}

#[test]
fn what_followed_a_former_life_never_reaches_the_next_one() {
    for ended_before in [false, true] {
        let mut world = world_of(2);
        world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
        let old = world.try_take(1, follower(1, "n1")).unwrap().first;
        world.wait(LEASE);
        if ended_before {
            world.end_all();
        }
        let begun = world.renew_host(lease("n1", OnEnd::Release, 2)).unwrap();
        assert_eq!((begun.life, begun.following), (2, 0));
        assert_eq!(world.shown(1, 1), None);
        let stale = world.host_refusal(lease("n1", OnEnd::Release, 1));
        assert_eq!(stale, Status::HOST_LIFE_STALE);
        // The key ends what it had, and takes something of the present life.
        let new = world.try_take(1, follower(1, "n1")).unwrap().first;
        assert!(!new.repeated && new.revision > old.revision);
        world.end_all();
        assert!(world.shown(1, 1).is_some());
        world.lose_memory();
        world.end_all();
        assert!(world.shown(1, 1).is_some());
        world.check();
    }
}

/// A host that starts anew while its lease goes on has left what it had.
#[test]
fn a_new_life_of_a_running_lease_ends_what_followed_the_one_before() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    world.try_take(1, follower(1, "n1")).unwrap();
    assert_eq!(world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap().following, 1, "repeated");
    assert_eq!(world.renew_host(lease("n1", OnEnd::Release, 5)).unwrap().following, 0);
    assert_eq!(world.shown(1, 1), None);
    assert_eq!(world.leases()[0].following, 1, "it is still to be released");
    world.end_all();
    assert_eq!((world.allocations(), world.leases()[0].following), (0, 0));
    world.check();
}

#[test]
fn the_earlier_of_both_ends_counts() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    for (number, lease_ms) in [(1, LEASE / 2), (2, 3 * LEASE)] {
        let mut request = follower(number, "n1");
        request.extras.as_mut().unwrap().lease_ms = Some(lease_ms);
        world.try_take(1, request).unwrap();
    }
    assert_eq!(world.shown(1, 1).unwrap().time_left_ms, LEASE / 2);
    assert_eq!(world.shown(1, 2).unwrap().time_left_ms, LEASE);
    world.wait(LEASE / 2);
    world.end_all();
    assert_eq!((world.shown(1, 1), world.allocations()), (None, 1));
    world.wait(LEASE / 2);
    world.end_all();
    assert_eq!(world.allocations(), 0);
    world.check();
}

#[test]
fn what_moves_to_another_host_follows_that_one() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    world.try_take(1, follower(1, "n1")).unwrap();
    let to = |host: &str| AllocationUpdate { host: Setting::Value(text(host)), ..update(1) };
    assert_eq!(world.try_change(to("n2")), Err(Status::NO_HOST_LEASE));
    world.wait(LEASE / 2);
    world.renew_host(lease("n2", OnEnd::Release, 7)).unwrap();
    assert_eq!(world.try_change(to("n2")).unwrap().time_left_ms, LEASE);
    world.wait(LEASE / 2);
    world.end_all();
    assert!(world.shown(1, 1).is_some(), "the former host is nothing to it");
    assert_eq!(world.try_change(to("n1")), Err(Status::NO_HOST_LEASE));
    let alone = AllocationUpdate { follow_host: Some(false), ..update(1) };
    assert!(!world.try_change(alone).unwrap().follows_host);
    world.wait(LEASE);
    world.end_all();
    assert!(world.shown(1, 1).is_some());
    let again = AllocationUpdate { follow_host: Some(true), ..update(1) };
    assert_eq!(world.try_change(again), Err(Status::NO_HOST_LEASE));
    world.check();
}

#[test]
fn the_end_of_a_host_releases_what_follows_or_lets_it_go() {
    for (on_end, left) in [(OnEnd::Release, 0), (OnEnd::Report, 2)] {
        let mut world = world_of(2);
        world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
        world.try_take(1, follower(1, "n1")).unwrap();
        world.try_take(2, follower(2, "n1")).unwrap();
        let ended = world.end_host("n1", on_end).unwrap();
        assert_eq!((ended.following, ended.more), (2, false));
        assert_eq!(world.end_host("n1", on_end).unwrap_err().status, Status::NO_HOST_LEASE);
        world.lose_memory();
        world.wait(RESTART_GRACE_MS);
        world.end_all();
        assert_eq!(world.allocations(), left);
        assert_eq!(world.leases(), []);
        world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
        world.end_all();
        assert_eq!(world.allocations(), left);
        world.check();
    }
}

/// A restart is not the fault of who would have renewed; what was told to be over stays so.
#[test]
fn a_restart_gives_grace_to_leases_and_none_to_their_hosts_whose_end_is_known() {
    let mut world = world_of(2);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    world.renew_host(lease("n2", OnEnd::Release, 1)).unwrap();
    for number in 1..=8 {
        world.try_take(1 + number % 2, follower(number, "n1")).unwrap();
    }
    world.try_take(1, follower(9, "n2")).unwrap();
    world.wait(LEASE / 2);
    world.renew_host(lease("n2", OnEnd::Release, 0)).unwrap();
    world.wait(LEASE / 2);
    // The first record of the end, and some of what follows.
    let at = world.at;
    world.shards[0].step_expiry(&at, 3, &mut world.log);
    world.lose_memory();
    world.wait(RESTART_GRACE_MS - 1);
    assert_eq!(world.host_refusal(lease("n1", OnEnd::Release, 0)), Status::NO_HOST_LEASE);
    world.renew_host(lease("n2", OnEnd::Release, 0)).unwrap();
    world.wait(1);
    world.end_all();
    assert_eq!(world.allocations(), 1);
    assert!(world.shown(1, 9).is_some());
    world.check();
}

/// What followed a former life went with the short lease of the next one, in the middle of the grace of a restart, before
/// all who have it could have been heard: whatever ended a lease also ended the lives before it.
#[test]
fn the_end_of_a_lease_leaves_the_grace_of_former_lives() {
    for how in [None, Some(OnEnd::Report), Some(OnEnd::Release)] {
        let mut world = world_of(2);
        world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
        world.try_take(1, follower(1, "n1")).unwrap();
        world.try_take(2, follower(2, "n1")).unwrap();
        world.lose_memory();
        // The same deadline as before would keep the grace that it has.
        world.wait(1);
        world.renew_host(lease("n1", OnEnd::Release, 2)).unwrap();
        world.try_take(2, follower(3, "n1")).unwrap();
        match how {
            None => world.wait(LEASE),
            Some(on_end) => assert_eq!(world.end_host("n1", on_end).unwrap().following, 1),
        }
        world.end_all();
        assert!(world.shown(1, 1).is_some() && world.shown(2, 2).is_some(), "{how:?}");
        // Of the lease that ended there is nothing, or it follows nothing.
        let left = world.shown(2, 3).map(|held| held.follows_host);
        assert_eq!(left, (how == Some(OnEnd::Report)).then_some(false));
        // Nor does any number that was used bring it into a present.
        for begin in [1, 0] {
            let refused = world.host_refusal(lease("n1", OnEnd::Release, begin));
            let stale = if begin == 1 { Status::HOST_LIFE_STALE } else { Status::NO_HOST_LEASE };
            assert_eq!(refused, stale);
        }
        world.wait(RESTART_GRACE_MS);
        world.end_all();
        assert_eq!((world.shown(1, 1), world.shown(2, 2)), (None, None));
        world.check();
    }
}

/// It was set to report, and what followed was there again, half of it released.
#[test]
fn what_has_ended_does_not_come_back_by_an_end_that_reports() {
    let mut world = world_of(2);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    world.try_take(1, follower(1, "n1")).unwrap();
    world.try_take(2, follower(2, "n1")).unwrap();
    world.wait(LEASE);
    let ended = world.end_host("n1", OnEnd::Report).unwrap();
    assert_eq!((ended.was, ended.more), (HostLeaseState::Ended, false));
    assert_eq!((world.shown(1, 1), world.shown(2, 2)), (None, None));
    world.end_all();
    assert_eq!((world.shown(1, 1), world.shown(2, 2), world.allocations()), (None, None, 0));
    world.check();
}

#[test]
fn nothing_ends_while_the_clock_is_in_doubt_or_owners_retake_theirs() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    world.try_take(1, follower(1, "n1")).unwrap();
    world.shards[0].set_adopting(true);
    world.wait(5 * LEASE);
    assert_eq!(world.end_all(), 0);
    assert_eq!(world.shown(1, 1).unwrap().time_left_ms, 1);
    // The host lives on under another number, and says what it has.
    world.renew_host(lease("n1", OnEnd::Release, 2)).unwrap();
    assert!(world.try_take(1, follower(1, "n1")).unwrap().first.repeated);
    world.shards[0].set_adopting(false);
    world.end_all();
    assert!(world.shown(1, 1).is_some(), "it was taken again under the present life");
    world.check();
}

#[test]
fn what_is_held_follows_once_it_is_confirmed() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    let hold = |number| {
        let mut request = follower(number, "n1");
        let extras = request.extras.as_mut().unwrap();
        (extras.hold_token, extras.hold_ms) = (Some(TOKEN), Some(10 * LEASE));
        request
    };
    let held = world.try_take(1, hold(1)).unwrap().first;
    assert_eq!(held.time_left_ms, 10 * LEASE, "a hold has an end of its own");
    let confirm = |number, revision| {
        let target = key(number);
        Request::HoldConfirm(HoldEnd { target, token: TOKEN, revision, release: false })
    };
    world.wait(LEASE);
    world.end_all();
    // Its caller has committed already.
    world.done(1, confirm(1, held.revision));
    assert!(!world.shown(1, 1).unwrap().follows_host);
    let held = world.try_take(1, hold(2)).map(|allocated| allocated.first);
    assert_eq!(held, Err(Status::NO_HOST_LEASE));
    world.renew_host(lease("n1", OnEnd::Release, 2)).unwrap();
    let held = world.try_take(1, hold(2)).unwrap().first;
    world.done(1, confirm(2, held.revision));
    assert_eq!(world.shown(1, 2).unwrap().time_left_ms, LEASE);
    world.wait(LEASE);
    world.end_all();
    assert_eq!(world.allocations(), 1);
    world.check();
}

/// A frame that comes twice does what it does once.
#[test]
fn a_renewal_sent_twice_ends_nothing_that_it_left() {
    for (before, after) in [
        (OnEnd::Report, OnEnd::Release),
        (OnEnd::Report, OnEnd::Report),
        (OnEnd::Release, OnEnd::Release),
        (OnEnd::Release, OnEnd::Report),
    ] {
        let mut world = world_of(2);
        world.renew_host(lease("n1", before, 1)).unwrap();
        world.try_take(1, follower(1, "n1")).unwrap();
        let once = world.renew_host(lease("n1", after, 9)).unwrap();
        world.try_take(2, follower(2, "n1")).unwrap();
        world.end_all();
        let left = world.allocations();
        assert_eq!(left, if before == OnEnd::Report { 2 } else { 1 });
        let twice = world.renew_host(lease("n1", after, 9)).unwrap();
        assert_eq!((twice.life, twice.following), (once.life, left));
        world.end_all();
        assert_eq!(world.allocations(), left);
        world.check();
    }
}

/// What somebody sent before its host began anew reaches the next life by no way.
#[test]
fn requests_of_a_former_life_are_refused_by_its_number() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Report, 1)).unwrap();
    world.renew_host(lease("n1", OnEnd::Report, 2)).unwrap();
    world.try_take(1, follower(1, "n1")).unwrap();
    let late = RenewHost { life: 1, ..lease("n1", OnEnd::Release, 0) };
    assert_eq!(world.host_refusal(late), Status::HOST_LIFE_STALE);
    let end = EndHost { manager: text("cni"), host: text("n1"), on_end: OnEnd::Release, life: 1 };
    let refused = world.refused(0, Request::EndHost(Box::new(end)));
    assert_eq!(refused.status, Status::HOST_LIFE_STALE);
    assert!(world.shown(1, 1).is_some());
    world.check();
}

/// Who evacuates a host says whether what it takes over follows the next one.
#[test]
fn a_takeover_to_another_host_follows_only_if_it_asks_to() {
    for follows in [false, true] {
        let mut world = world_of(1);
        world.renew_host(lease("n1", OnEnd::Report, 1)).unwrap();
        world.try_take(1, follower(1, "n1")).unwrap();
        world.wait(LEASE);
        world.end_all();
        let mut request = on(1, "cni", "n2");
        request.instance = crate::model::Instance(7);
        request.flags.takeover = true;
        request.extras.as_mut().unwrap().follow_host = follows;
        if follows {
            assert_eq!(world.try_take(1, request.clone()), Err(Status::NO_HOST_LEASE));
            world.renew_host(lease("n2", OnEnd::Release, 1)).unwrap();
        }
        assert!(world.try_take(1, request).unwrap().first.taken_over);
        assert_eq!(world.shown(1, 1).unwrap().follows_host, follows);
        world.check();
    }
}

#[test]
fn who_follows_names_manager_and_host_and_a_transfer_keeps_that() {
    let mut world = world_of(1);
    world.renew_host(lease("n1", OnEnd::Release, 1)).unwrap();
    let bare = allocate_with(1, |extras| extras.follow_host = true);
    assert_eq!(world.try_take(1, bare), Err(Status::CONFLICTING_FIELDS));
    let first = world.try_take(1, follower(1, "n1")).unwrap().first;
    let fences = Fences { revision: Some(first.revision), ..Fences::default() };
    let transfer = Transfer {
        address: first.address,
        fences,
        to_owner: Some(owner(2)),
        to_slot: None,
        to_instance: None,
        to_project: None,
        owner_name: None,
    };
    world.done(1, Request::Transfer(Box::new(transfer)));
    assert!(world.shown(1, 2).unwrap().follows_host);
    world.wait(LEASE);
    world.end_all();
    assert_eq!(world.allocations(), 0);
    world.check();
}
