//! Fencing (P5), exhaustively: every order of two copies each of "the first life allocates", "the second
//! takes over" and "the first releases" leaves the second life its address, also if the server starts
//! anew from its records between any two of them.

use super::*;
use addrd_protocol::Instance;

const FIRST: Instance = Instance(1);
const SECOND: Instance = Instance(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Allocate,
    TakeOver,
    Release,
}

/// How the first life names what it releases.
#[derive(Clone, Copy, Debug)]
enum By {
    Instance,
    /// What it was told when it allocated; before that its instance.
    Revision,
    /// The same, by address.
    AddressAndRevision,
    AddressAndInstance,
}

/// Every order of what is left, each once, behind what is there so far.
pub(super) fn orders<M: Copy + Ord>(left: &mut Vec<M>, so_far: &mut Vec<M>, all: &mut Vec<Vec<M>>) {
    if left.is_empty() {
        return all.push(so_far.clone());
    }
    let mut kinds = left.clone();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let at = left.iter().position(|one| *one == kind).unwrap();
        let message = left.remove(at);
        so_far.push(message);
        orders(left, so_far, all);
        so_far.pop();
        left.push(message);
    }
}

fn release_of(by: By, told: Option<&Allocated>) -> Release {
    let key = Target::Key { owner: owner(7), slot: Slot(0) };
    let address = |got: &Allocated| Target::Address(got.first.address);
    let of_life = Fences { instance: Some(FIRST), ..Fences::default() };
    let of_told =
        |got: &Allocated| Fences { revision: Some(got.first.revision), ..Fences::default() };
    let (target, fences) = match (by, told) {
        (By::Instance, _) | (_, None) => (key, of_life),
        (By::Revision, Some(got)) => (key, of_told(got)),
        (By::AddressAndRevision, Some(got)) => (address(got), of_told(got)),
        (By::AddressAndInstance, Some(got)) => (address(got), of_life),
    };
    Release { target, fences, any: false }
}

/// The state made of its records.
fn started_anew(world: &World) -> World {
    let mut again = World::new(1);
    for effect in &world.log.effects {
        again.catalogue.absorb(effect).unwrap();
        again.shards[0].absorb(effect).unwrap();
        again.log.push(effect);
    }
    again
}

fn run(order: &[Message], by: By, restart_before: usize) {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    // Somebody else, so that addresses move on.
    world.address(1);
    let (mut told, mut held): (Option<Allocated>, Option<Allocated>) = (None, None);
    for (number, message) in order.iter().enumerate() {
        if number == restart_before {
            world = started_anew(&world);
        }
        let allocate_as = |instance, takeover| {
            let mut request = Allocate { instance, ..allocate(7) };
            request.flags.takeover = takeover;
            Request::Allocate(request)
        };
        match message {
            Message::Allocate => match world.apply(1, &allocate_as(FIRST, false)) {
                Ok((_, Reply::Allocated(got))) => told = Some(got),
                Err(refused) => {
                    assert_eq!(refused.status, Status::HELD_BY_OTHER_INSTANCE, "{order:?}");
                }
                other => panic!("{other:?}"),
            },
            Message::TakeOver => match world.done(1, allocate_as(SECOND, true)) {
                Reply::Allocated(got) => {
                    let first = held.get_or_insert_with(|| got.clone());
                    assert_eq!(first.first.address, got.first.address, "{order:?}");
                    assert_eq!(first.first.revision, got.first.revision, "{order:?}");
                }
                other => panic!("{other:?}"),
            },
            Message::Release => {
                let request = Request::Release(release_of(by, told.as_ref()));
                match world.apply(1, &request) {
                    Ok((Status::OK, _)) => {
                        assert!(held.is_none(), "{order:?}: it was the second's")
                    }
                    Ok((status, _)) => assert_eq!(status, Status::NOT_HELD, "{order:?}"),
                    Err(refused) => {
                        let fences = [Status::STALE, Status::NOT_HOLDER];
                        assert!(fences.contains(&refused.status), "{order:?}: {refused:?}");
                    }
                }
            }
        }
    }
    let held = held.expect("the second life was answered");
    match world.done(1, Request::Allocate(Allocate { instance: SECOND, ..allocate(7) })) {
        Reply::Allocated(got) => {
            assert!(got.first.repeated, "{order:?} by {by:?}: it was lost");
            let is = (got.first.address, got.first.revision);
            assert_eq!(is, (held.first.address, held.first.revision), "{order:?}");
        }
        other => panic!("{other:?}"),
    }
    world.check();
}

#[test]
fn in_every_order_the_second_life_keeps_its_address() {
    let mut all = Vec::new();
    let kinds = [Message::Allocate, Message::TakeOver, Message::Release];
    let mut left: Vec<Message> = kinds.iter().flat_map(|kind| [*kind; 2]).collect();
    orders(&mut left, &mut Vec::new(), &mut all);
    assert_eq!(all.len(), 90, "6! / (2! 2! 2!)");
    for order in &all {
        for by in [By::Instance, By::Revision, By::AddressAndRevision, By::AddressAndInstance] {
            for restart_before in 0..=order.len() {
                run(order, by, restart_before);
            }
        }
    }
}
