//! Reconciliation: what is suspected, what is released, and what never is. Random hosts against what truly lives
//! lie in `live_machine`.

use super::*;
use crate::model::{Instance, Setting};
use addrd_protocol::message::reconcile::{GRACE_MS_DEFAULT, GRACE_MS_MAX, RECONCILE_LIVE_MAX};
use addrd_protocol::message::{
    AllocationGet, AllocationUpdate, HoldRelease, Live, ManagerList, ManagerPage, ManagerUse,
    Reconcile, Reconciled, Renew, Suspects,
};

const GRACE: u64 = GRACE_MS_DEFAULT as u64;

/// Networks 1 and 2 on two workers or one, each with a subnet.
pub(super) fn world(workers: usize) -> World {
    let mut world = World::new(workers);
    for network in [1, 2] {
        world.done(network, Request::NetworkCreate(Box::default()));
        let cidr = format!("10.0.{network}.0/24");
        world.done(network, Request::SubnetCreate(Box::new(subnet(network, &cidr))));
    }
    world
}

/// A request for an address of a host.
pub(super) fn on(number: u128, manager: &str, host: &str) -> Allocate {
    allocate_with(number, |extras| {
        (extras.manager, extras.host) = (Some(text(manager)), Some(text(host)));
    })
}

pub(super) fn live(number: u128) -> Live {
    Live { owner: owner(number), slot: Slot(0), instance: Instance(0) }
}

/// A call of one part.
pub(super) fn call(number: u64, manager: &str, host: &str, live: &[Live]) -> Reconcile {
    Reconcile {
        manager: text(manager),
        host: text(host),
        call: number,
        part: 0,
        parts: 1,
        grace_ms: GRACE_MS_DEFAULT,
        dry_run: false,
        live: live.to_vec(),
    }
}

impl World {
    /// The reply to a part, in a network or (0) in all.
    pub(super) fn reconcile(&mut self, network: u128, request: &Reconcile) -> Reconciled {
        match self.done(network, Request::Reconcile(Box::new(request.clone()))) {
            Reply::Reconciled(reconciled) => *reconciled,
            other => panic!("{other:?}"),
        }
    }

    fn reconcile_refusal(&mut self, request: &Reconcile) -> (Status, Option<Text>) {
        let refused = self.refused(0, Request::Reconcile(Box::new(request.clone())));
        (refused.status, refused.field)
    }

    /// Works releases off, as idle workers do; how many there were.
    pub(super) fn release_suspects(&mut self) -> u32 {
        let Self { shards, at, log, .. } = self;
        let mut released = 0;
        for shard in shards {
            while shard.has_suspects_to_release() {
                released += shard.step_reconcile(at, 3, log);
            }
        }
        released
    }

    /// Host n1 of "cni" lists nothing, which releases nothing.
    fn misses_in_vain(&mut self, number: u64) {
        self.reconcile(0, &call(number, "cni", "n1", &[]));
        self.wait(GRACE);
        assert_eq!(self.release_suspects(), 0);
    }

    /// Whether an owner holds something in a network.
    pub(super) fn has(&mut self, network: u128, number: u128) -> bool {
        let target = Target::Key { owner: owner(number), slot: Slot(0) };
        self.apply(network, &Request::AllocationGet(Box::new(AllocationGet { target }))).is_ok()
    }

    fn suspects(&mut self, network: u128) -> Vec<OwnerId> {
        match self.done(network, Request::SuspectList(Box::default())) {
            Reply::Suspects(found) => {
                let Suspects { allocations, more, .. } = *found;
                assert!(!more);
                allocations.into_iter().map(|allocation| allocation.owner).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn managers(&mut self, manager: Option<&str>) -> Vec<(Option<String>, u64, u64)> {
        let list = ManagerList { manager: manager.map(text), ..ManagerList::default() };
        match self.done(0, Request::ManagerList(Box::new(list))) {
            Reply::Managers(page) => {
                let ManagerPage { items, more } = *page;
                assert!(!more);
                let plain = |item: ManagerUse| {
                    (item.name.map(|name| name.to_string()), item.hosts, item.allocations)
                };
                items.into_iter().map(plain).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn give(&mut self, network: u128, request: Allocate) {
        self.done(network, Request::Allocate(request));
    }
}

fn in_network(mut request: Reconcile, number: u64) -> Reconcile {
    request.call = number;
    request
}

/// Two calls in two networks; nothing after the first, and only what both missed after the second.
#[test]
fn what_two_calls_miss_is_released_and_nothing_else() {
    for workers in [1, 2] {
        let mut world = world(workers);
        for number in 1..=4 {
            world.give(1 + number % 2, on(number, "cni", "n1"));
        }
        world.give(1, on(5, "cni", "n2"));
        world.give(1, on(6, "other", "n1"));
        world.give(1, allocate(7));
        let first = world.reconcile(0, &call(1, "cni", "n1", &[live(1), live(2)]));
        assert_eq!((first.complete, first.listed, first.suspects), (true, 2, 2));
        assert!(!first.releasing && world.release_suspects() == 0);
        assert_eq!(world.suspects(0), [owner(4), owner(3)].map(|o| o), "by network");
        world.wait(GRACE);
        let second = world.reconcile(0, &call(2, "cni", "n1", &[live(1), live(3)]));
        assert!(second.releasing && !second.too_early);
        assert_eq!(world.release_suspects(), 1);
        let left: Vec<u128> = (1..=7).filter(|&n| world.has(1, n) || world.has(2, n)).collect();
        assert_eq!(left, [1, 2, 3, 5, 6, 7]);
        let again = world.reconcile(0, &call(2, "cni", "n1", &[live(1), live(3)]));
        assert_eq!((again.released, again.suspects, again.releasing), (1, 1, false));
        assert_eq!(world.suspects(0), [owner(2)], "the second call missed it");
        world.check();
    }
}

#[test]
fn a_second_call_before_the_grace_is_over_releases_nothing() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    world.wait(GRACE - 1);
    let early = world.reconcile(0, &call(2, "cni", "n1", &[]));
    assert_eq!((early.too_early, early.suspects, early.releasing), (true, 1, false));
    world.wait(1);
    let late = world.reconcile(0, &call(3, "cni", "n1", &[]));
    assert_eq!((late.too_early, late.releasing), (false, true), "the first one counts");
    assert_eq!(world.release_suspects(), 1);
    assert!(!world.has(1, 1));
    world.check();
}

/// Whatever shows that something lives clears the mark.
#[test]
fn whatever_touches_a_suspect_clears_it() {
    let key = Target::Key { owner: owner(1), slot: Slot(0) };
    let fences = Fences::default();
    let update = AllocationUpdate {
        target: key,
        fences: fences.clone(),
        label: Setting::Value(text("a")),
        host: Setting::Unset,
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    };
    let same = AllocationUpdate { label: Setting::Null, ..update.clone() };
    let takeover = Allocate {
        instance: Instance(5),
        flags: addrd_protocol::message::AllocateFlags { takeover: true, ..Default::default() },
        ..allocate(1)
    };
    let touches = [
        Request::Allocate(allocate(1)),
        Request::Allocate(takeover),
        Request::AllocationUpdate(Box::new(update)),
        Request::AllocationUpdate(Box::new(same)),
        Request::Renew(Renew { target: key, fences, lease_ms: 60_000 }),
        Request::Reconcile(Box::new(call(1, "cni", "n2", &[live(1)]))),
    ];
    for touch in touches {
        let mut world = world(1);
        world.give(1, on(1, "cni", "n1"));
        world.give(1, on(2, "cni", "n1"));
        world.reconcile(1, &call(1, "cni", "n1", &[]));
        assert_eq!(world.suspects(1).len(), 2);
        world.done(1, touch.clone());
        assert_eq!(world.suspects(1), [owner(2)], "{touch:?}");
        world.wait(GRACE);
        world.reconcile(1, &call(2, "cni", "n1", &[]));
        assert_eq!(world.release_suspects(), 1, "{touch:?}");
        assert!(world.has(1, 1), "{touch:?}");
        world.check();
    }
}

#[test]
fn a_call_is_complete_once_all_its_parts_came_in_any_order() {
    let mut world = world(1);
    (1..=3).for_each(|number| world.give(1, on(number, "cni", "n1")));
    let part = |number, part, dry_run, who: &[Live]| Reconcile {
        part,
        parts: 3,
        dry_run,
        ..call(number, "cni", "n1", who)
    };
    for number in [1, 2] {
        let third = world.reconcile(0, &part(number, 2, false, &[live(2)]));
        assert_eq!((third.complete, third.parts_missing, third.suspects), (false, 2, 0));
        let twice = world.reconcile(0, &part(number, 2, false, &[live(2)]));
        assert_eq!((twice.complete, twice.parts_missing), (false, 2));
        world.give(1, on(10 + u128::from(number), "cni", "n1"));
        world.reconcile(0, &part(number, 0, false, &[live(1)]));
        assert_eq!(world.suspects(0).len(), if number == 1 { 0 } else { 1 });
        let last = world.reconcile(0, &part(number, 1, false, &[]));
        assert!(last.complete);
        world.wait(GRACE);
    }
    assert_eq!(world.release_suspects(), 1, "what came between the parts has to be missed twice");
    assert!(!world.has(1, 3) && world.has(1, 11) && world.has(1, 12));
    let parts = Reconcile { parts: 2, ..part(2, 0, false, &[]) };
    let differs = Status::RECONCILE_DIFFERS;
    assert_eq!(world.reconcile_refusal(&parts), (differs, Some(text("parts"))));
    let dry = part(2, 0, true, &[]);
    assert_eq!(world.reconcile_refusal(&dry).0, Status::UNSUPPORTED);
    let before = call(1, "cni", "n1", &[live(11)]);
    assert_eq!(world.reconcile_refusal(&before), (Status::RECONCILE_STALE, Some(text("call"))));
    assert_eq!(world.suspects(0), [owner(11)], "a refused part keeps nothing");
    world.check();
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let mut world = world(2);
    (1..=3).for_each(|number| world.give(1, on(number, "cni", "n1")));
    let dry = |number, who: &[Live]| Reconcile { dry_run: true, ..call(number, "cni", "n1", who) };
    let told = world.reconcile(0, &dry(1, &[live(1)]));
    assert_eq!((told.complete, told.suspects, told.released), (true, 2, 0));
    assert_eq!(world.suspects(0), []);
    world.reconcile(0, &call(2, "cni", "n1", &[live(1), live(2)]));
    world.wait(GRACE);
    for number in [1, 3] {
        let told = world.reconcile(0, &dry(number, &[live(1)]));
        assert_eq!((told.suspects, told.released, told.releasing), (2, 1, false));
        assert_eq!(world.release_suspects(), 0);
        assert_eq!(world.suspects(0), [owner(3)]);
    }
    world.reconcile(0, &dry(9, &[live(3)]));
    assert_eq!(world.suspects(0), [owner(3)], "who is listed by it is not touched");
    world.reconcile(0, &call(3, "cni", "n1", &[live(1), live(2)]));
    assert_eq!(world.release_suspects(), 1, "it is no call");
    world.check();
}

#[test]
fn an_entry_names_a_life_of_its_owner() {
    let mut world = world(1);
    let life =
        |number, instance| Allocate { instance: Instance(instance), ..on(number, "cni", "n1") };
    world.give(1, life(1, 7));
    world.give(1, life(2, 7));
    world.give(1, life(3, 0));
    let of = |number, instance| Live { instance: Instance(instance), ..live(number) };
    let told = world.reconcile(0, &call(1, "cni", "n1", &[of(1, 8), of(2, 0), of(3, 9), of(4, 1)]));
    assert_eq!((told.listed, told.other_instance, told.suspects), (2, 1, 1));
    assert_eq!(world.suspects(0), [owner(1)]);
}

/// A host that lists what the record says is elsewhere keeps it, until a list of its own lacks it.
#[test]
fn what_another_host_lists_is_not_released() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    let told = world.reconcile(0, &call(1, "cni", "n2", &[live(1)]));
    assert_eq!((told.listed, told.elsewhere), (0, 1));
    for number in 1..4 {
        world.misses_in_vain(number);
        assert_eq!(world.suspects(0), []);
    }
    world.check();
    world.reconcile(0, &call(2, "cni", "n2", &[]));
    for number in 4..6 {
        world.reconcile(0, &call(number, "cni", "n1", &[]));
        world.wait(GRACE);
    }
    assert_eq!(world.release_suspects(), 1);
    assert_eq!(world.managers(None), [], "a host is there while something names it");
    world.check();
}

#[test]
fn marks_end_with_a_standstill_a_restart_and_in_adoption_mode() {
    let forgetful: [fn(&mut World); 3] = [
        |world| world.at.tick.0 += GRACE,
        |world| {
            let mut again = Shard::new(ShardSettings { seed: 5, records_max: 1 << 20 });
            world.log.effects.iter().for_each(|effect| again.absorb(effect).unwrap());
            world.shards = vec![again];
            world.wait(GRACE);
        },
        |world| {
            world.shards[0].set_adopting(true);
            world.wait(GRACE);
        },
    ];
    for forget in forgetful {
        let mut world = world(1);
        world.give(1, on(1, "cni", "n1"));
        world.reconcile(0, &call(1, "cni", "n1", &[]));
        forget(&mut world);
        let told = world.reconcile(0, &call(2, "cni", "n1", &[]));
        assert_eq!((told.complete, told.releasing), (true, false));
        assert_eq!(world.release_suspects(), 0);
        if world.shards[0].is_adopting() {
            assert_eq!(told.suspects, 0);
            world.shards[0].set_adopting(false);
            world.reconcile(0, &call(3, "cni", "n1", &[]));
        }
        world.wait(GRACE);
        world.reconcile(0, &call(4, "cni", "n1", &[]));
        assert_eq!(world.release_suspects(), 1);
    }
}

#[test]
fn a_call_about_one_network_concerns_no_other() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.give(2, on(2, "cni", "n1"));
    world.reconcile(1, &call(7, "cni", "n1", &[]));
    assert_eq!((world.suspects(1), world.suspects(2)), (vec![owner(1)], vec![]));
    world.wait(GRACE);
    let all = world.reconcile(0, &call(1, "cni", "n1", &[]));
    assert_eq!((all.suspects, all.releasing), (2, false), "calls about all have their own marks");
    world.reconcile(1, &in_network(call(0, "cni", "n1", &[]), 8));
    assert_eq!(world.release_suspects(), 1);
    assert!(!world.has(1, 1) && world.has(2, 2));
    world.check();
}

#[test]
fn wrong_parts_are_refused_and_change_nothing() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    let good = call(1, "cni", "n1", &[]);
    let cases = [
        (Reconcile { parts: 0, ..good.clone() }, Status::OUT_OF_RANGE, "parts"),
        (Reconcile { part: 1, ..good.clone() }, Status::OUT_OF_RANGE, "part"),
        (Reconcile { grace_ms: 999, ..good.clone() }, Status::OUT_OF_RANGE, "grace_ms"),
    ];
    for (request, status, field) in cases {
        assert_eq!(world.reconcile_refusal(&request), (status, Some(text(field))));
    }
    let long = Reconcile { live: vec![live(1); RECONCILE_LIVE_MAX + 1], ..good.clone() };
    assert_eq!(world.reconcile_refusal(&long).0, Status::LIMIT);
    let nowhere = world.refused(9, Request::Reconcile(Box::new(good)));
    assert_eq!(nowhere.status, Status::NOT_FOUND);
    assert_eq!(world.suspects(0), []);
    world.check();
}

#[test]
fn managers_and_hosts_are_counted_while_something_names_them() {
    let mut world = world(2);
    world.give(1, on(1, "b", "n1"));
    world.give(2, on(2, "b", "n1"));
    world.give(1, on(3, "a", "n2"));
    world.give(1, allocate_with(4, |extras| extras.manager = Some(text("b"))));
    world.give(1, allocate_with(5, |extras| extras.host = Some(text("n9"))));
    let named = |name: &str| Some(name.to_owned());
    let hosts = world.managers(Some("b"));
    assert_eq!(hosts, [(None, 0, 1), (named("n1"), 0, 2)]);
    let of: Vec<_> =
        world.managers(None).into_iter().map(|(name, _, count)| (name, count)).collect();
    assert_eq!(of, [(named("a"), 1), (named("b"), 3)]);
    let target = Target::Key { owner: owner(3), slot: Slot(0) };
    let moved = AllocationUpdate {
        target,
        fences: Fences::default(),
        label: Setting::Unset,
        host: Setting::Unset,
        manager_name: Setting::Value(text("b")),
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    };
    world.done(1, Request::AllocationUpdate(Box::new(moved)));
    assert_eq!(world.managers(Some("b")).len(), 3);
    world.release(release(3));
    world.release(release(4));
    world.release(release(1));
    assert_eq!(world.managers(None), [(named("b"), 1, 1)]);
    world.check();
    let page =
        |after: Option<&str>| ManagerList { limit: 1, after: after.map(text), manager: None };
    world.give(1, on(3, "a", "n2"));
    let listed = world.done(0, Request::ManagerList(Box::new(page(None))));
    assert!(matches!(listed, Reply::Managers(page) if page.more && page.items.len() == 1));
    let listed = world.done(0, Request::ManagerList(Box::new(page(Some("a")))));
    assert!(matches!(listed, Reply::Managers(page)
        if !page.more && page.items[0].name == Some(text("b"))));
}

/// Those that nobody calls about any more take no room.
#[test]
fn calls_about_hosts_without_allocations_are_forgotten() {
    use crate::limits::HOSTS_WITHOUT_ALLOCATIONS_MAX;
    let mut world = world(1);
    for number in 0..HOSTS_WITHOUT_ALLOCATIONS_MAX + 10 {
        let part = Reconcile { parts: 2, ..call(1, "cni", &format!("n{number}"), &[]) };
        assert_eq!(world.reconcile(0, &part).parts_missing, 1);
        world.reconcile(0, &part);
    }
    assert_eq!(world.shards[0].hosts(), HOSTS_WITHOUT_ALLOCATIONS_MAX as u64);
    let whole = world.reconcile(0, &call(2, "cni", "n20", &[]));
    assert!(whole.complete);
    // Many times over: what is forgotten leaves nothing behind.
    for number in 0..3 * HOSTS_WITHOUT_ALLOCATIONS_MAX as u64 {
        let host = format!("n{}", number % 7_000);
        let whole = Reconcile { parts: 2, ..call(number + 9, "cni", &host, &[]) };
        world.reconcile(0, &whole);
        assert!(world.reconcile(0, &Reconcile { part: 1, ..whole }).complete, "{number}");
    }
    assert_eq!(world.shards[0].hosts(), HOSTS_WITHOUT_ALLOCATIONS_MAX as u64);
    world.check();
}

/// Calls about networks in which a host has nothing take bounded room.
#[test]
fn calls_about_networks_without_allocations_are_forgotten() {
    use crate::limits::CALLS_WITHOUT_GROUP_MAX;
    let mut world = World::new(1);
    let networks = 3 * CALLS_WITHOUT_GROUP_MAX as u128;
    for network in 1..=networks {
        world.done(network, Request::NetworkCreate(Box::default()));
        let part = Reconcile { parts: 2, ..call(5, "cni", "n1", &[]) };
        assert_eq!(world.reconcile(network, &part).parts_missing, 1);
    }
    let again = |network: u128| (network, call(4, "cni", "n1", &[]));
    let (last, stale) = again(networks);
    let refused = world.refused(last, Request::Reconcile(Box::new(stale)));
    assert_eq!(refused.status, Status::RECONCILE_STALE, "the last ones are known");
    let (first, forgotten) = again(1);
    assert!(world.reconcile(first, &forgotten).complete, "the first is forgotten");
    world.check();
}

/// It runs on n2, which lists it, then moves on: n1, which has it in the records, has missed it once before that, and
/// whoever has it now has not spoken yet.
#[test]
fn what_a_host_lists_no_more_has_to_be_missed_twice_again() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.reconcile(0, &call(1, "cni", "n2", &[live(1)]));
    world.reconcile(0, &call(1, "cni", "n1", &[]));
    world.wait(GRACE - 1);
    world.reconcile(0, &call(2, "cni", "n2", &[]));
    world.wait(1);
    let missed = world.reconcile(0, &call(2, "cni", "n1", &[]));
    assert_eq!((missed.releasing, missed.suspects), (true, 1));
    assert_eq!(world.release_suspects(), 0);
    world.reconcile(0, &call(1, "cni", "n3", &[live(1)]));
    world.wait(GRACE);
    world.reconcile(0, &call(3, "cni", "n1", &[]));
    assert_eq!(world.release_suspects(), 0, "a third host has it now");
    world.reconcile(0, &call(2, "cni", "n3", &[]));
    for number in 4..7 {
        world.reconcile(0, &call(number, "cni", "n1", &[]));
        world.wait(GRACE);
    }
    assert_eq!(world.release_suspects(), 1);
    world.check();
}

/// A repeat changes no host, but the server was told where it is.
#[test]
fn who_asks_again_from_another_host_keeps_it() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.give(1, on(1, "cni", "n2"));
    for number in 1..4 {
        world.misses_in_vain(number);
    }
    world.reconcile(0, &call(1, "cni", "n2", &[live(1)]));
    world.reconcile(0, &call(9, "cni", "n1", &[]));
    world.check();
    assert!(world.has(1, 1));
}

/// An owner that goes to a cluster of another name: the record says the old one, and the new one lists it.
#[test]
fn who_asks_again_for_another_manager_keeps_it_as_long_as_that_one_lists_it() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.give(1, on(1, "other", "n1"));
    for number in 1..4 {
        let told = world.reconcile(0, &call(number, "other", "n1", &[live(1)]));
        assert_eq!((told.listed, told.elsewhere), (0, 1));
        world.misses_in_vain(number);
    }
    world.check();
    assert!(world.has(1, 1));
}

/// What it asked to release it takes again, on another host.
#[test]
fn who_takes_again_what_a_token_was_to_release_keeps_it() {
    let token = uuid::Uuid::from_u128(7);
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    let target = Target::Key { owner: owner(1), slot: Slot(0) };
    let release = HoldRelease { target, fences: Fences::default(), token, hold_ms: None };
    world.done(1, Request::HoldRelease(Box::new(release)));
    let mut again = on(1, "cni", "n2");
    again.extras.as_mut().unwrap().hold_token = Some(token);
    world.give(1, again);
    for number in 1..4 {
        world.misses_in_vain(number);
    }
    world.check();
    assert!(world.has(1, 1));
}

#[test]
fn an_entry_counts_once_however_often_it_is_there() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.give(2, on(1, "cni", "n1"));
    let entry = |instance| Live { instance: Instance(instance), ..live(1) };
    let mut part = vec![live(1); RECONCILE_LIVE_MAX - 100];
    part.extend((1..=100).map(entry));
    let told = world.reconcile(0, &call(1, "cni", "n1", &part));
    assert_eq!((told.listed, told.other_instance), (2, 0));
    world.check();
}

/// A host that is gone is no witness for ever.
#[test]
fn a_claim_lapses_after_a_day() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    world.reconcile(0, &call(1, "cni", "n2", &[live(1)]));
    let mut days = 0;
    for number in 1.. {
        world.reconcile(0, &call(number, "cni", "n1", &[]));
        if world.release_suspects() > 0 {
            break;
        }
        world.wait(6 * 3_600_000);
        days = number / 4;
        assert!(days < 3, "it ends one day");
    }
    assert_eq!(days, 1);
    world.check();
}

#[test]
fn the_longer_grace_of_both_calls_counts() {
    for (first, second) in [(GRACE_MS_DEFAULT, 1_000), (1_000, GRACE_MS_DEFAULT)] {
        let mut world = world(1);
        world.give(1, on(1, "cni", "n1"));
        let with = |number, grace_ms| Reconcile { grace_ms, ..call(number, "cni", "n1", &[]) };
        world.reconcile(0, &with(1, first));
        world.wait(GRACE - 1);
        assert!(world.reconcile(0, &with(2, second)).too_early);
        assert_eq!(world.release_suspects(), 0);
        world.wait(1);
        world.reconcile(0, &with(3, second));
        assert_eq!(world.release_suspects(), 1);
    }
}

/// A number above all others locks its host out for a day, not for ever.
#[test]
fn after_a_day_without_parts_a_lower_number_is_a_new_call() {
    let mut world = world(1);
    world.give(1, on(1, "cni", "n1"));
    assert!(world.reconcile(0, &call(u64::MAX, "cni", "n1", &[live(1)])).complete);
    let lower = call(7, "cni", "n1", &[]);
    world.wait(GRACE_MS_MAX.into());
    assert_eq!(world.reconcile_refusal(&lower).0, Status::RECONCILE_STALE);
    world.wait(1);
    let told = world.reconcile(0, &lower);
    assert_eq!((told.call, told.complete, told.suspects), (7, true, 1));
    assert!(world.has(1, 1), "one call releases nothing");
    let older = call(6, "cni", "n1", &[]);
    assert_eq!(world.reconcile_refusal(&older).0, Status::RECONCILE_STALE);
    world.wait(GRACE);
    assert!(world.reconcile(0, &call(8, "cni", "n1", &[live(1)])).complete);
    assert_eq!(world.release_suspects(), 0, "it was listed");
    world.check();
}

/// A worker that refuses its part of a call takes nothing back from the others.
#[test]
fn what_one_worker_refuses_of_a_call_others_have_taken() {
    let mut world = world(2);
    world.give(1, on(1, "cni", "n1"));
    let at = usize::from(worker_of(ProjectId::DEFAULT, network_id(1), 2).0);
    let ask = |world: &mut World, at: usize, number: u64| {
        let part = Request::Reconcile(Box::new(call(number, "cni", "n1", &[live(1)])));
        let World { shards, at: now, log, .. } = world;
        shards[at].apply(now, &scope(0), &part, log).map_err(|refused| refused.status)
    };
    // One of them knows of a later call, as after one that was BUSY elsewhere.
    assert!(ask(&mut world, at, 9).is_ok());
    let stale = call(5, "cni", "n1", &[live(1)]);
    assert_eq!(world.reconcile_refusal(&stale).0, Status::RECONCILE_STALE);
    let older = ask(&mut world, 1 - at, 4);
    assert_eq!(older.unwrap_err(), Status::RECONCILE_STALE, "the other one has taken call 5");
    assert!(ask(&mut world, at, 9).is_ok(), "and this one still has its own");
    // With a number above both, all have it again.
    let told = world.reconcile(0, &call(10, "cni", "n1", &[live(1)]));
    assert_eq!((told.complete, told.listed), (true, 1), "{told:?}");
    world.check();
}
