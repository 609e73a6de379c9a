//! Items of a token: the server chooses the slot, and the same item is the same allocation.

use super::*;
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::{
    AllocationState, Batch, BatchItem, BatchMode, BatchResult, FamilyChoice, HoldEnd,
};
use uuid::Uuid;

const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn item(number: u128, token: Uuid, item: u16) -> Allocate {
    allocate_with(number, |extras| {
        (extras.hold_token, extras.hold_item) = (Some(token), Some(item));
    })
}

fn end(number: u128, of: &AllocatedAddress, token: Uuid) -> HoldEnd {
    let target = Target::Key { owner: owner(number), slot: of.slot };
    HoldEnd { target, revision: of.revision, token, release: false }
}

impl World {
    fn item(&mut self, request: Allocate) -> AllocatedAddress {
        let given = self.allocate(request).first;
        assert_eq!(given.state, AllocationState::Held);
        given
    }
}

#[test]
fn items_get_the_slots_that_are_free_and_the_same_ones_again() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.allocate(Allocate { slot: Slot(1), ..allocate(1) });
    let slots = |world: &mut World, token| {
        [0, 1, 2].map(|number| world.item(item(1, token, number))).map(|given| given.slot.0)
    };
    assert_eq!(slots(&mut world, ONE), [0, 2, 3]);
    assert_eq!(slots(&mut world, OTHER), [4, 5, 6], "another transaction has items of its own");
    // Sent again, in any order, also after a crash.
    let before = world.log.effects.len();
    let again = world.item(item(1, ONE, 2));
    assert_eq!((again.slot, again.repeated), (Slot(3), true));
    assert_eq!(slots(&mut world, ONE), [0, 2, 3]);
    assert_eq!(world.log.effects.len(), before);
    // Another owner counts for itself.
    assert_eq!(world.item(item(2, ONE, 0)).slot, Slot(0));
    // What is cancelled is free for whatever comes next.
    let cancelled = world.item(item(1, ONE, 0));
    world.done(1, Request::HoldCancel(end(1, &cancelled, ONE)));
    assert_eq!(world.item(item(1, ONE, 9)).slot, Slot(0));
    world.check();
}

#[test]
fn confirmed_items_are_allocations_like_others_and_their_numbers_are_forgotten() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let items = (0..3).map(|number| BatchItem::Allocate(item(1, ONE, number))).collect();
    let batch = Batch { mode: BatchMode::AllOrNothing, items };
    let Reply::Batch(reply) = world.done(1, Request::Batch(Box::new(batch))) else { panic!() };
    let given: Vec<AllocatedAddress> = reply
        .results
        .iter()
        .map(|result| match result {
            BatchResult::Allocated(given) => given.first,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given.iter().map(|one| one.slot.0).collect::<Vec<_>>(), [0, 1, 2]);
    for one in &given {
        world.done(1, Request::HoldConfirm(end(1, one, ONE)));
        assert!(world.log.effects.last().is_some_and(|effect| match effect {
            Effect::AllocationPut(row) => row.extras.is_none(),
            _ => false,
        }));
    }
    // A late duplicate holds something new, which nobody confirms.
    let late = world.item(item(1, ONE, 0));
    assert_eq!((late.slot, late.repeated), (Slot(3), false));
    world.check();
}

#[test]
fn an_item_of_both_families_has_two_slots_side_by_side() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(subnet(2, "fd00::/64"));
    world.allocate(Allocate { slot: Slot(1), ..allocate(1) });
    let pair = |number, family| Allocate { family, ..item(1, ONE, number) };
    for _ in 0..2 {
        let given = world.allocate(pair(0, FamilyChoice::Each));
        assert_eq!([given.first.slot, given.second.unwrap().slot], [Slot(2), Slot(3)]);
    }
    // Where one family is alone, its slot is the one that it has beside the other.
    let mut world = World::with_subnet(subnet(2, "fd00::/64"));
    for repeated in [false, true] {
        let given = world.allocate(pair(7, FamilyChoice::Each)).first;
        assert_eq!((given.slot, given.repeated), (Slot(1), repeated));
    }
    world.check();
}

#[test]
fn an_item_without_a_token_or_with_a_slot_is_refused() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let bare = allocate_with(1, |extras| extras.hold_item = Some(0));
    let slotted = Allocate { slot: Slot(1), ..item(1, ONE, 0) };
    for (request, field) in [(bare, "hold_item"), (slotted, "slot")] {
        let refused = world.refused(1, Request::Allocate(request));
        assert_eq!(
            (refused.status, refused.field),
            (Status::CONFLICTING_FIELDS, Some(text(field)))
        );
    }
}

#[test]
fn what_ran_out_as_an_item_stays_for_that_item() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let given = [0, 1].map(|number| world.item(item(1, ONE, number)));
    world.wait(60_000);
    let World { shards, at, log, .. } = &mut world;
    shards.iter_mut().for_each(|shard| while shard.step_expiry(at, 8, log) {});
    // Another item of the token, and an owner that comes without one, keep away from both.
    let other = world.item(item(1, ONE, 2));
    assert_eq!(other.slot, Slot(2));
    assert!(given.iter().all(|rests| rests.address != other.address));
    // The second comes back first, and gets its own place; the first is confirmed late.
    let again = world.item(item(1, ONE, 1));
    assert_eq!((again.slot, again.address), (Slot(1), given[1].address));
    let late = world.done(1, Request::HoldConfirm(end(1, &given[0], ONE)));
    let Reply::HoldEnded(late) = late else { panic!("{late:?}") };
    assert!(late.late && late.address == given[0].address);
    world.check();
}

#[test]
fn what_an_item_does_not_have_is_no_repeat_of_it() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(subnet(2, "fd00::/64"));
    let pair = Allocate { family: FamilyChoice::Both, ..item(1, ONE, 1) };
    let first = world.allocate(pair.clone()).first;
    world.done(1, Request::HoldCancel(end(1, &first, ONE)));
    assert_eq!(world.item(item(1, ONE, 2)).slot, Slot(0));
    // Half of the first item is gone, and in its place is another.
    let refused = world.refused(1, Request::Allocate(pair));
    assert_eq!((refused.status, refused.field), (Status::KEY_IN_USE, Some(text("hold_item"))));
    world.check();
}
