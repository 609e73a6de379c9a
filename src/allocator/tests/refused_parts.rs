//! One worker refuses its part of what goes to all of them: it has changed nothing, others may have, and sent again it does what it
//! would have done.

use super::host_leases::key;
use super::reconcile::{call, live, on};
use super::suspects::roomy;
use super::*;
use crate::limits::RECONCILE_LOOKS_MAX;
use addrd_protocol::message::RenewOwner;
use addrd_protocol::message::renew::RENEW_OWNER_MAX;

const LEASE: u64 = 60_000;
const GRACE: u64 = 60_000;

/// A network of a worker, of two.
fn network_of(worker: usize) -> u128 {
    let place = |network| worker_of(ProjectId::DEFAULT, network_id(network), 2).0;
    (1..=8).find(|&network| usize::from(place(network)) == worker).expect("eight on two workers")
}

fn slot(request: &Allocate, slot: usize) -> Allocate {
    Allocate { slot: Slot(slot as u16), ..request.clone() }
}

#[test]
fn a_worker_that_renews_nothing_of_an_owner_leaves_what_others_renew() {
    for crowded in [0, 1] {
        let mut world = roomy(2, 8);
        let (few, many) = (network_of(1 - crowded), network_of(crowded));
        let leased = allocate_with(1, |extras| extras.lease_ms = Some(LEASE));
        for at in 0..=RENEW_OWNER_MAX {
            world.give(many, slot(&leased, at));
        }
        (0..3).for_each(|at| world.give(few, slot(&leased, at)));
        world.wait(LEASE / 2);
        let renew =
            Request::RenewOwner(RenewOwner { owner: owner(1), instance: None, lease_ms: LEASE });
        let refused = world.apply(0, &renew).expect_err("one of them has too many");
        assert_eq!(refused.status, Status::LIMIT);
        let left = |world: &mut World, network| world.shown(network, 1).unwrap().time_left_ms;
        assert_eq!((left(&mut world, few), left(&mut world, many)), (LEASE, LEASE / 2));
        world.check();
        let Target::Key { owner, .. } = key(1) else { panic!("a key") };
        let target = Target::Key { owner, slot: Slot(RENEW_OWNER_MAX as u16) };
        world.done(many, Request::Release(Release { target, ..release(1) }));
        let Reply::RenewedOwner(renewed) = world.done(0, renew) else { panic!("it is renewed") };
        assert_eq!(renewed.renewed as usize, RENEW_OWNER_MAX + 3, "it counts anew");
        assert_eq!((left(&mut world, few), left(&mut world, many)), (LEASE, LEASE));
        world.check();
    }
}

/// A call that a worker refuses is complete in others. What those miss twice is released, since the calls were whole there;
/// of the one that refused nothing is even suspect.
#[test]
fn a_worker_that_takes_no_part_of_a_call_suspects_nothing() {
    for crowded in [0, 1] {
        let mut world = roomy(2, 8);
        let (few, many) = (network_of(1 - crowded), network_of(crowded));
        let of_host = on(1, "cni", "n1");
        for at in 0..=RECONCILE_LOOKS_MAX {
            world.give(many, slot(&of_host, at));
        }
        world.give(few, of_host);
        for network in [few, many] {
            world.give(network, on(2, "cni", "n1"));
        }
        for number in [1, 2] {
            let request = Request::Reconcile(Box::new(call(number, "cni", "n1", &[live(1)])));
            let refused = world.apply(0, &request).expect_err("one of them looks at too many");
            assert_eq!(refused.status, Status::LIMIT);
            world.wait(GRACE);
        }
        assert_eq!(world.release_suspects(), 1);
        assert!(!world.has(few, 2) && world.has(many, 2));
        assert!(world.has(few, 1) && world.has(many, 1));
        // By one that it can look through, the same host loses what it lacks, after two calls as ever.
        world.done(many, Request::Release(release(1)));
        for (number, left) in [(3, true), (4, false)] {
            let lives = [live(1)];
            let told = world.reconcile(0, &call(number, "cni", "n1", &lives));
            assert!(told.complete);
            world.wait(GRACE);
            world.release_suspects();
            assert_eq!(world.has(many, 2), left, "call {number}");
        }
        assert!(world.has(few, 1));
        world.check();
    }
}
