//! How a worker ends rests: when it wakes, what of a start finds, and when it holds back.

use super::rig::Rig;
use super::*;
use crate::limits;
use addrd_protocol::message::{AllocationState, SubnetUpdate};

const OK: Status = Status::OK;
const REST_MS: u64 = 2_000;

/// A rig whose addresses rest.
fn rig(cidr: &str) -> Rig {
    let mut rig = Rig::new(cidr);
    let quarantine_ms = Setting::Value(REST_MS);
    let update = SubnetUpdate { quarantine_ms, ..SubnetUpdate::of(SubnetId::from_u128(7)) };
    let request = Request::SubnetUpdate(Box::new(update));
    assert_eq!(rig.statuses(vec![operation(1, 1, Opcode::SUBNET_UPDATE, request)]), [OK]);
    rig
}

fn resting(rig: &Rig) -> u64 {
    rig.workers[0].state().unwrap().resting()
}

#[test]
fn an_idle_worker_sleeps_until_the_next_rest_ends_and_then_takes_it_away() {
    let mut rig = rig("10.0.0.0/30");
    assert_eq!(rig.statuses(vec![allocate(1, 1, 1), release(2, 1, 1)]), [OK; 2]);
    assert!(!rig.workers[0].has_work());
    assert_eq!(rig.statuses(vec![allocate(3, 1, 2)]), [Status::EXHAUSTED]);
    rig.clock.advance(REST_MS - 400);
    rig.settle();
    assert_eq!(rig.workers[0].sleep_ms(1_000), 400);
    assert_eq!(rig.figures().scalars[Scalar::Resting as usize], 1);
    rig.clock.advance(400);
    assert!(rig.workers[0].has_work(), "it is woken by no bell");
    let before = rig.committed();
    rig.settle();
    assert_eq!((resting(&rig), rig.committed() - before), (0, 1), "its row goes by a record");
    assert_eq!(rig.statuses(vec![allocate(4, 1, 2)]), [OK]);
}

/// The journal is full: nothing of what has ended can be written, so it stays, and nobody gets it.
#[test]
fn what_has_rested_waits_for_room_in_the_journal() {
    let mut rig = rig("10.0.0.0/30");
    assert_eq!(rig.statuses(vec![allocate(1, 1, 1), release(2, 1, 1)]), [OK; 2]);
    let fill =
        |records| JournalFill { records, records_max: 4 << 20, bytes: 0, bytes_max: 1 << 40 };
    rig.pressure.note_journal(&fill(4 << 20));
    rig.clock.advance(REST_MS);
    assert!(!rig.workers[0].has_work(), "there is no room for it");
    assert_eq!(rig.statuses(vec![allocate(3, 1, 2)]), [Status::BUSY]);
    assert_eq!(resting(&rig), 1);
    rig.pressure.note_journal(&fill(0));
    assert_eq!(rig.statuses(vec![allocate(4, 1, 2)]), [OK]);
    assert_eq!(resting(&rig), 0);
}

/// Many end at once: no drain takes away more than its share, and the next request finds a free one.
#[test]
fn many_rests_end_in_slices_and_the_first_request_gets_an_address() {
    let mut rig = rig("10.0.0.0/21");
    let count = 4 * limits::REST_SLICE_OBJECTS as u64;
    for owner in 0..count {
        let both = vec![allocate(1, 1, owner.into()), release(2, 1, owner.into())];
        assert_eq!(rig.statuses(both), [OK; 2]);
    }
    assert_eq!(resting(&rig), count);
    rig.clock.advance(REST_MS);
    let desk = Arc::new(Desk::default());
    send(&rig.engine, &desk, vec![allocate(1, 1, u128::MAX)]);
    assert_eq!(rig.workers[0].step(), Progress::Worked);
    let left = count - resting(&rig);
    assert!((256..=512).contains(&left), "{left} in one step");
    rig.settle();
    assert_eq!(desk.take(1)[0].1, OK);
    assert_eq!(resting(&rig), 0);
}

#[test]
fn what_rests_rests_on_after_a_restart_and_is_free_at_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let Operation { request: Request::SubnetCreate(mut subnet), .. } =
        create_subnet(0, 1, "10.0.0.0/30")
    else {
        unreachable!("made so")
    };
    subnet.quarantine_ms = Some(600_000);
    let subnet = operation(2, 1, Opcode::SUBNET_CREATE, Request::SubnetCreate(subnet));
    let booted = boot_at(&path, 2);
    for made in [create_network(1, 1), subnet, allocate(3, 1, 1)] {
        assert_eq!(call(booted.running.engine(), made).0, OK);
    }
    let (_, released) = call(booted.running.engine(), release(4, 1, 1));
    let Some(Reply::Released(released)) = released else { panic!("{released:?}") };
    assert_eq!(released.state, AllocationState::Quarantined);
    booted.running.stop();
    let booted = boot_at(&path, 1);
    assert_eq!(call(booted.running.engine(), allocate(5, 1, 2)).0, Status::EXHAUSTED);
    let (_, back) = call(booted.running.engine(), allocate(6, 1, 1));
    let Some(Reply::Allocated(back)) = back else { panic!("{back:?}") };
    assert!(back.first.from_quarantine);
    booted.running.stop();
}
