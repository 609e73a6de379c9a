//! What a user is promised, one promise a test.

use super::*;
use crate::model::{Instance, Revision};
use addrd_protocol::message::{AllocateFlags, FamilyChoice, Strategy};

#[test]
fn the_first_address_of_a_broadcast_subnet_is_behind_the_gateway() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let first = world.allocate(allocate(1)).first;
    assert_eq!((first.address, first.length, first.subnet_length), (ip("10.0.0.2"), 32, 24));
    assert_eq!(world.address(2), ip("10.0.0.3"));
    world.check();
}

#[test]
fn a_repeat_gets_the_same_answer_and_changes_nothing() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let first = world.allocate(allocate(1)).first;
    let effects = world.log.effects.len();
    let again = world.allocate(Allocate { strategy: Strategy::Random, ..allocate(1) }).first;
    assert!(again.repeated);
    assert_eq!((again.address, again.revision), (first.address, first.revision));
    assert_eq!(world.log.effects.len(), effects);
    let other = Allocate { family: FamilyChoice::V6, ..allocate(1) };
    assert_eq!(world.refusal(other), Status::KEY_IN_USE);
}

#[test]
fn a_late_release_of_a_former_life_is_harmless() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let life = |instance| Allocate { instance: Instance(instance), ..allocate(1) };
    let take = AllocateFlags { takeover: true, ..Default::default() };
    let first = world.allocate(life(1)).first;
    assert_eq!(world.refusal(life(2)), Status::HELD_BY_OTHER_INSTANCE);
    let second = world.allocate(Allocate { flags: take, ..life(2) }).first;
    assert_eq!(second.address, first.address);
    assert!(second.revision > first.revision && second.taken_over);
    let fenced = |instance, revision: Option<Revision>| {
        let fences = Fences { instance: Some(Instance(instance)), revision, ..Fences::default() };
        Release { fences, ..super::release(1) }
    };
    assert_eq!(world.release(fenced(1, None)), Status::STALE);
    assert_eq!(world.release(fenced(2, Some(first.revision))), Status::STALE);
    assert_eq!(world.release(fenced(2, Some(second.revision))), Status::OK);
    assert_eq!(world.release(fenced(2, Some(second.revision))), Status::NOT_HELD);
    world.check();
}

#[test]
fn exhausted_is_said_exactly_when_nothing_is_free() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    let addresses: Vec<IpAddr> = (1..=5).map(|n| world.address(n)).collect();
    assert_eq!(addresses.last(), Some(&ip("10.0.0.6")));
    assert_eq!(world.refusal(allocate(6)), Status::EXHAUSTED);
    assert_eq!(world.release(release(3)), Status::OK);
    assert_eq!(world.address(6), ip("10.0.0.4"));
    assert_eq!(world.refusal(allocate(7)), Status::EXHAUSTED);
    world.check();
}

#[test]
fn each_takes_one_of_every_family_that_the_network_has() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let each = |n| Allocate { family: FamilyChoice::Each, ..allocate(n) };
    let both = |n| Allocate { family: FamilyChoice::Both, ..allocate(n) };
    assert_eq!(world.allocate(each(1)).second, None);
    assert_eq!(world.refusal(both(2)), Status::NO_MATCHING_SUBNET);
    world.subnet(subnet(2, "fd00::/64"));
    let two = world.allocate(each(1));
    assert!(two.first.repeated);
    let second = two.second.unwrap();
    assert_eq!((second.address, second.slot), (ip("fd00::2"), Slot(1)));
    assert_eq!(world.allocate(both(2)).first.address, ip("10.0.0.3"));
    world.check();
}

#[test]
fn blocks_are_aligned_and_found_by_the_addresses_inside_them() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let block = |n, length| Allocate { length: Some(length), ..allocate(n) };
    let first = world.allocate(block(1, 28)).first;
    assert_eq!((first.address, first.length), (ip("10.0.0.16"), 28));
    assert_eq!(world.allocate(block(2, 26)).first.address, ip("10.0.0.64"));
    let inside = allocate_with(3, |extras| extras.exact = Some(ip("10.0.0.20")));
    assert_eq!(world.refusal(inside), Status::ADDRESS_TAKEN);
    let found = match world.done(
        0,
        Request::Lookup(Box::new(addrd_protocol::message::Lookup::Address(ip("10.0.0.20")))),
    ) {
        Reply::Lookups(found) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found.allocations[0].address, ip("10.0.0.16"));
    assert_eq!(world.refusal(block(4, 24)), Status::EXHAUSTED);
    assert_eq!(world.refusal(block(4, 23)), Status::NO_MATCHING_SUBNET);
    world.check();
}

#[test]
fn a_network_with_allocations_is_deleted_only_by_force_and_as_a_job() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        for network in 1..=3 {
            let named = NetworkCreate {
                name: Some(text(&format!("n{network}"))),
                ..NetworkCreate::default()
            };
            world.done(network, Request::NetworkCreate(Box::new(named)));
            world.done(network, Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/16"))));
            for n in 0..1_000 {
                world.done(network, Request::Allocate(allocate(n)));
            }
        }
        let taken = NetworkCreate { name: Some(text("n2")), ..NetworkCreate::default() };
        let refused = world.refused(4, Request::NetworkCreate(Box::new(taken)));
        assert_eq!(refused.status, Status::NAME_IN_USE);
        let delete = |force| Request::NetworkDelete(NetworkDelete { force, ..Default::default() });
        assert_eq!(world.refused(2, delete(false)).status, Status::IN_USE);
        let reply = world.done(2, delete(true));
        assert!(matches!(reply, Reply::Job(_)));
        assert_eq!(world.done(2, delete(true)), reply, "asked again, the same job");
        assert_eq!(world.refused(2, Request::Allocate(allocate(5_000))).status, Status::DELETING);
        world.work(256);
        assert_eq!(world.refused(2, delete(true)).status, Status::NOT_FOUND);
        let taken = NetworkCreate { name: Some(text("n2")), ..NetworkCreate::default() };
        world.done(4, Request::NetworkCreate(Box::new(taken)));
        world.check();
    }
}

#[test]
fn prefixes_without_room_for_a_gateway_are_used_whole() {
    for (cidr, addresses) in [
        ("10.0.0.4/31", &["10.0.0.4", "10.0.0.5"][..]),
        ("10.0.0.9/32", &["10.0.0.9"]),
        // Its first address is the one of all routers, which is never chosen (RFC 4291).
        ("fd00::4/127", &["fd00::5"]),
        ("fd00::9/128", &["fd00::9"]),
    ] {
        let create = subnet(1, cidr);
        let first = create.cidr.first();
        let mut world = World::with_subnet(create);
        for (owner, wanted) in (1..).zip(addresses) {
            assert_eq!(world.address(owner), ip(wanted), "{cidr}");
        }
        assert_eq!(world.refusal(allocate(9)), Status::EXHAUSTED, "{cidr}");
        // Whoever asks for the first one gets it.
        world.release(release(1));
        let exact = allocate_with(8, |extras| extras.exact = Some(first));
        assert_eq!(world.allocate(exact).first.address, first, "{cidr}");
        world.check();
    }
}

#[test]
fn what_is_held_comes_before_the_exact_then_the_preferred_then_the_strategy() {
    let range = |first, last| crate::model::Range::new(ip(first), ip(last)).unwrap();
    let pools = vec![range("10.0.0.100", "10.0.0.101"), range("10.0.0.10", "10.0.0.19")];
    let pools = crate::model::Setting::Value(pools);
    let strategy = Strategy::Lowest;
    let mut world =
        World::with_subnet(SubnetCreate { pools, strategy, ..subnet(1, "10.0.0.0/24") });
    let prefers =
        |owner, address| allocate_with(owner, |extras| extras.preferred = Some(ip(address)));
    let first = world.allocate(prefers(1, "10.0.0.15")).first;
    assert_eq!((first.address, first.was_preferred), (ip("10.0.0.15"), true));
    // It is taken, so the strategy decides: pools in the order of their list.
    let second = world.allocate(prefers(2, "10.0.0.15")).first;
    assert_eq!((second.address, second.was_preferred), (ip("10.0.0.100"), false));
    assert_eq!(world.address(3), ip("10.0.0.101"));
    assert_eq!(world.address(4), ip("10.0.0.10"));
    // Held by the key: neither the preferred address nor the strategy is looked at.
    let again = world.allocate(prefers(2, "10.0.0.16")).first;
    assert_eq!((again.address, again.repeated), (ip("10.0.0.100"), true));
    // The exact one or nothing, also outside the pools.
    let exact = |owner, address| allocate_with(owner, |extras| extras.exact = Some(ip(address)));
    assert_eq!(world.allocate(exact(5, "10.0.0.200")).first.address, ip("10.0.0.200"));
    assert_eq!(world.refusal(exact(6, "10.0.0.15")), Status::ADDRESS_TAKEN);
    assert_eq!(world.refusal(exact(2, "10.0.0.16")), Status::KEY_IN_USE);
    world.check();
}

#[test]
fn each_strategy_begins_where_it_says() {
    let of = |strategy, owner| Allocate { strategy, ..allocate(owner) };
    let world = || World::with_subnet(subnet(1, "10.0.0.0/16"));
    let mut next = world();
    assert_eq!(next.allocate(of(Strategy::Next, 1)).first.address, ip("10.0.0.2"));
    next.release(release(1));
    assert_eq!(next.allocate(of(Strategy::Next, 2)).first.address, ip("10.0.0.3"), "not at once");
    assert_eq!(next.allocate(of(Strategy::Lowest, 3)).first.address, ip("10.0.0.2"));
    // The same owner finds the same place in another life of the server.
    let hashed = |owner| world().allocate(of(Strategy::Hashed, owner)).first.address;
    assert_eq!(hashed(7), hashed(7));
    let places: std::collections::BTreeSet<_> = (0..50).map(hashed).collect();
    assert!(places.len() > 45, "{places:?}");
    let mut random = world();
    let address = |owner| random.allocate(of(Strategy::Random, owner)).first.address;
    let places: std::collections::BTreeSet<_> = (0..50).map(address).collect();
    let spread = places.iter().filter(|place| **place > ip("10.0.128.0")).count();
    assert!((5..45).contains(&spread), "{places:?}");
    assert_eq!(random.refusal(of(Strategy::Exact, 99)), Status::CONFLICTING_FIELDS);
}

#[test]
fn a_limit_and_exclusions_bound_what_is_chosen() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let range = |first, last| crate::model::Range::new(ip(first), ip(last)).unwrap();
    let within = |owner| {
        let limit = Some(range("10.0.0.50", "10.0.0.53"));
        allocate_with(owner, |extras| extras.limit = limit)
    };
    let exclusion = addrd_protocol::message::Exclusion {
        range: range("10.0.0.51", "10.0.0.52"),
        mode: addrd_protocol::message::ExclusionMode::Everyone,
        reason: None,
    };
    let exclude = addrd_protocol::message::SubnetExclude { subnet_id: subnet_id(1), exclusion };
    world.done(1, Request::SubnetExclude(Box::new(exclude)));
    assert_eq!(world.allocate(within(1)).first.address, ip("10.0.0.50"));
    assert_eq!(world.allocate(within(2)).first.address, ip("10.0.0.53"));
    assert_eq!(world.refusal(within(3)), Status::EXHAUSTED);
    let exact = allocate_with(4, |extras| extras.exact = Some(ip("10.0.0.51")));
    assert_eq!(world.refusal(exact), Status::EXCLUDED);
    world.check();
}
