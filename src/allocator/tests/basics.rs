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
            let named =
                NetworkCreate { name: Some(text(&format!("n{network}"))), description: None };
            world.done(network, Request::NetworkCreate(Box::new(named)));
            world.done(network, Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/16"))));
            for n in 0..1_000 {
                world.done(network, Request::Allocate(allocate(n)));
            }
        }
        let taken = NetworkCreate { name: Some(text("n2")), description: None };
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
        let taken = NetworkCreate { name: Some(text("n2")), description: None };
        world.done(4, Request::NetworkCreate(Box::new(taken)));
        world.check();
    }
}
