//! What the storage still allows: a fuller and fuller journal, and a disk that is nearly full.

use super::rig::Rig;
use super::*;
use crate::engine::fold::pause_at;
use crate::limits;
use crate::model::Range;
use addrd_protocol::message::{
    AllocateExtras, Exclusion, ExclusionMode, RenewOwner, SubnetExclude,
};

/// Sets the fill of the journal, percent of what drains may fill.
fn fill(rig: &Rig, percent: u64) {
    let own = 2 * u64::from(limits::COMMIT_RING_RECORDS_MAX);
    let whole = rig.pressure.journal_records_max - own;
    rig.pressure.journal_records.set((whole * percent).div_ceil(100));
    assert_eq!(rig.pressure.journal_percent(), percent);
}

fn usage(id: u64) -> Operation {
    operation(id, 1, Opcode::USAGE, Request::Usage(Box::default()))
}

/// A change of the subnet, which its worker decides.
fn exclude(id: u64) -> Operation {
    let range = Range::new("10.0.0.9".parse().unwrap(), "10.0.0.19".parse().unwrap()).unwrap();
    let exclusion = Exclusion { range, mode: ExclusionMode::Automatic, reason: None };
    let body = SubnetExclude { subnet_id: SubnetId::from_u128(7), exclusion };
    operation(id, 1, Opcode::SUBNET_EXCLUDE, Request::SubnetExclude(Box::new(body)))
}

#[test]
fn at_80_percent_the_fold_runs_without_pause_and_before_it_makes_room_for_others() {
    let took = Duration::from_millis(10);
    assert_eq!(pause_at(0, took), 3 * took);
    assert_eq!(pause_at(49, took), 3 * took);
    assert_eq!(pause_at(50, took), took);
    assert_eq!(pause_at(79, took), took);
    assert_eq!(pause_at(80, took), Duration::ZERO);
    assert_eq!(pause_at(130, took), Duration::ZERO);
}

#[test]
fn at_95_percent_drains_are_smaller_and_the_committer_takes_its_time() {
    let mut rig = Rig::new("10.0.0.0/16");
    let mut drained = |percent| {
        fill(&rig, percent);
        let desk = Arc::new(Desk::default());
        let owners = 0..u128::from(limits::DRAIN_OPERATIONS_MAX);
        send(&rig.engine, &desk, owners.map(|owner| allocate(1, 1, owner)).collect());
        let before = rig.figures().drains.sum;
        assert_eq!(rig.workers[0].step(), Progress::Worked);
        let count = rig.figures().drains.sum - before;
        assert_eq!(rig.committer.is_crowded(), percent >= 95);
        // The journal that counts notes its own fill.
        rig.settle();
        count as u32
    };
    assert_eq!(drained(94), limits::DRAIN_OPERATIONS_MAX);
    assert_eq!(drained(95), limits::DRAIN_OPERATIONS_CROWDED);
    assert_eq!(drained(99), limits::DRAIN_OPERATIONS_CROWDED);
    assert_eq!(drained(10), limits::DRAIN_OPERATIONS_MAX);
}

#[test]
fn at_100_percent_every_change_is_busy_and_reads_go_on() {
    let mut rig = Rig::new("10.0.0.0/24");
    assert_eq!(rig.statuses(vec![allocate(1, 1, 1)]), [Status::OK]);
    fill(&rig, 100);
    let changes =
        vec![allocate(1, 1, 2), release(2, 1, 1), exclude(3), batch(4, 1, vec![release(0, 1, 1)])];
    assert_eq!(rig.statuses(changes), [Status::BUSY; 4]);
    assert_eq!(rig.statuses(vec![usage(1)]), [Status::OK]);
    assert!(matches!(rig.engine.readiness(), Readiness::NotReady(_)));
    fill(&rig, 99);
    assert_eq!(rig.statuses(vec![release(1, 1, 1)]), [Status::OK]);
    assert_eq!(rig.engine.readiness(), Readiness::Ready);
}

#[test]
fn on_a_full_disk_reads_and_releases_are_served_and_nothing_else_is_begun() {
    let mut rig = Rig::new("10.0.0.0/24");
    let taken = (1..=4).map(|owner| allocate(1, 1, owner)).collect();
    assert_eq!(rig.statuses(taken), [Status::OK; 4]);
    rig.pressure.storage_full.set(1);
    let refused =
        vec![allocate(1, 1, 9), exclude(2), batch(3, 1, vec![release(0, 1, 1), allocate(0, 1, 9)])];
    assert_eq!(rig.statuses(refused), [Status::STORAGE_FULL; 3]);
    let served = vec![
        usage(1),
        release(2, 1, 1),
        batch(3, 1, vec![release(0, 1, 2), release(0, 1, 3)]),
        // Of the refused batch nothing was done.
        release(4, 1, 1),
    ];
    assert_eq!(rig.statuses(served), [Status::OK, Status::OK, Status::OK, Status::NOT_HELD]);
    assert!(matches!(rig.engine.readiness(), Readiness::NotReady(_)));
    rig.pressure.storage_full.set(0);
    assert_eq!(rig.statuses(vec![allocate(1, 1, 9)]), [Status::OK]);
}

/// A renewal in all networks is a part for each worker, which waits for room as any change does.
#[test]
fn a_renewal_in_all_networks_is_refused_by_a_full_journal_and_served_on_a_full_disk() {
    let mut rig = Rig::new("10.0.0.0/24");
    let Operation { request: Request::Allocate(mut body), .. } = allocate(1, 1, 1) else {
        unreachable!("made so")
    };
    let extras = AllocateExtras { lease_ms: Some(60_000), ..AllocateExtras::default() };
    body.extras = Some(Box::new(extras));
    let leased = operation(1, 1, Opcode::ALLOCATE, Request::Allocate(body));
    assert_eq!(rig.statuses(vec![leased]), [Status::OK]);
    let renew = |owner| {
        let body =
            RenewOwner { owner: OwnerId::from_u128(owner), instance: None, lease_ms: 90_000 };
        operation(2, 0, Opcode::RENEW_OWNER, Request::RenewOwner(body))
    };
    fill(&rig, 100);
    assert_eq!(rig.pressure.renewal_refused.get(), 0);
    assert_eq!(rig.statuses(vec![renew(1)]), [Status::BUSY]);
    assert_ne!(rig.pressure.renewal_refused.get(), 0, "leases go on for a while");
    fill(&rig, 10);
    rig.pressure.storage_full.set(1);
    assert_eq!(rig.statuses(vec![renew(1)]), [Status::OK]);
    assert_eq!(rig.statuses(vec![renew(9)]), [Status::EXPIRED]);
}
