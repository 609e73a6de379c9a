//! How a worker ends leases: when it wakes, how much it does at once, and when it holds back.

use super::rig::Rig;
use super::*;
use crate::access::Authorized;
use crate::limits;
use crate::model::worker_of;
use addrd_protocol::Family;
use addrd_protocol::message::{
    AllocateExtras, Allocation, AllocationGet, PoolCreate, Renew, RenewOwner,
};
use addrd_sync::Level;

const OK: Status = Status::OK;

fn leased(id: u64, owner: u128, lease_ms: u64) -> Operation {
    let Operation { request: Request::Allocate(mut body), .. } = allocate(id, 1, owner) else {
        unreachable!("made so")
    };
    let extras = AllocateExtras { lease_ms: Some(lease_ms), ..AllocateExtras::default() };
    body.extras = Some(Box::new(extras));
    operation(id, 1, Opcode::ALLOCATE, Request::Allocate(body))
}

fn renew(id: u64, owner: u128, lease_ms: u64) -> Operation {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    let body = Renew { target, fences: Fences::default(), lease_ms };
    operation(id, 1, Opcode::RENEW, Request::Renew(body))
}

fn held(rig: &Rig) -> u64 {
    rig.workers[0].state().unwrap().allocations()
}

#[test]
fn an_idle_worker_sleeps_until_the_next_lease_ends_and_then_ends_it() {
    let mut rig = Rig::new("10.0.0.0/24");
    assert_eq!(rig.statuses(vec![leased(1, 1, 1_500), leased(2, 2, 9_000)]), [OK; 2]);
    assert!(!rig.workers[0].has_work());
    assert_eq!(rig.workers[0].sleep_ms(1_000), 1_000, "it turns once a second anyway");
    rig.clock.advance(1_000);
    rig.settle();
    assert_eq!(rig.workers[0].sleep_ms(1_000), 500);
    rig.clock.advance(499);
    assert!(!rig.workers[0].has_work());
    rig.clock.advance(1);
    assert!(rig.workers[0].has_work(), "it is woken by no bell");
    let before = rig.committed();
    rig.settle();
    assert_eq!((held(&rig), rig.committed() - before), (1, 1), "its end is in the journal");
    assert_eq!(rig.statuses(vec![allocate(3, 1, 3)]), [OK]);
    let figures = rig.figures().scalars;
    assert_eq!(figures[Scalar::LeasesEnded as usize], 1);
    assert_eq!(figures[Scalar::Leases as usize], 1);
}

#[test]
fn many_leases_end_in_slices_with_requests_in_between() {
    let mut rig = Rig::new("10.0.0.0/16");
    let count = 8 * limits::EXPIRY_SLICE_OBJECTS as u64;
    for owner in 0..count {
        assert_eq!(rig.statuses(vec![leased(1, owner.into(), 1_000)]), [OK]);
    }
    rig.clock.advance(1_000);
    let desk = Arc::new(Desk::default());
    for drain in 1..=8 {
        send(&rig.engine, &desk, vec![allocate(drain, 1, u128::MAX - u128::from(drain))]);
        assert_eq!(rig.workers[0].step(), Progress::Worked);
        let left = count - drain * limits::EXPIRY_SLICE_OBJECTS as u64 + drain;
        assert_eq!(held(&rig), left, "a slice and an answer a drain");
    }
    rig.settle();
    assert_eq!(desk.take(8).len(), 8);
    assert_eq!(held(&rig), 8);
}

#[test]
fn a_lease_waits_for_room_in_the_journal_and_for_whoever_was_refused() {
    let mut rig = Rig::new("10.0.0.0/24");
    assert_eq!(rig.statuses(vec![leased(1, 1, 2_000)]), [OK]);
    let fill =
        |records| JournalFill { records, records_max: 4 << 20, bytes: 0, bytes_max: 1 << 40 };
    rig.pressure.note_journal(&fill(4 << 20));
    rig.clock.advance(1_000);
    assert_eq!(rig.statuses(vec![renew(2, 1, 2_000)]), [Status::BUSY]);
    rig.clock.advance(1_000);
    assert!(!rig.workers[0].has_work(), "there is no room for its end");
    rig.pressure.note_journal(&fill(0));
    rig.settle();
    assert_eq!(held(&rig), 1, "its renewal was refused a second ago");
    assert_eq!(rig.statuses(vec![renew(3, 1, 2_000)]), [OK]);
    rig.clock.advance(2_000);
    rig.settle();
    assert_eq!(held(&rig), 0, "what was renewed since has no need of it");
}

#[test]
fn who_finds_no_slot_for_a_renewal_keeps_the_lease() {
    let mut rig = Rig::new("10.0.0.0/24");
    assert_eq!(rig.statuses(vec![leased(1, 1, 2_000)]), [OK]);
    let desk: Arc<dyn Outlet> = Arc::new(Desk::default());
    let submit = |operations: Vec<Operation>| {
        let (outlet, outstanding) = (Arc::clone(&desk), operations.len() as u32);
        let operations = Authorized::in_test(operations);
        let parcel = Parcel {
            outlet,
            operations,
            bytes: 96,
            outstanding,
            principal_outstanding: 0,
            pushed_ns: 0,
        };
        rig.engine.submit(Route::Worker(0), parcel)
    };
    // The last quarter is for those who release or renew.
    while submit((0..64).map(|id| allocate(id, 1, 7)).collect()).is_ok() {}
    assert!(submit(vec![renew(2, 1, 2_000)]).is_ok(), "there is a place kept for it");
    while submit(vec![release(3, 1, 99)]).is_ok() {}
    assert_eq!(rig.pressure.renewal_refused.get(), 0);
    assert!(submit(vec![renew(4, 1, 2_000)]).is_err());
    assert_eq!(rig.pressure.renewal_refused.get(), rig.clock.tick().0);
}

/// What an idle engine does with its threads, on the system's clock.
#[test]
fn an_idle_engine_frees_what_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 1);
    let engine = booted.running.engine().clone();
    assert_eq!(call(&engine, create_network(1, 1)).0, OK);
    assert_eq!(call(&engine, create_subnet(2, 1, "10.0.0.0/30")).0, OK);
    assert_eq!(call(&engine, leased(3, 1, 1_000)).0, OK);
    assert_eq!(call(&engine, allocate(4, 1, 2)).0, Status::EXHAUSTED);
    let patience = std::time::Instant::now();
    while engine.status().allocations > 0 {
        assert!(patience.elapsed() < PATIENCE, "nobody asks, and it ends all the same");
        std::thread::yield_now();
    }
    assert_eq!(call(&engine, allocate(5, 1, 2)).0, OK);
    booted.running.stop();
}

/// A part each worker renews alone is renewed by the sequencer too, together with as much of another.
#[test]
fn what_each_worker_renews_the_sequencer_renews_for_all_of_them() {
    const EACH: u16 = 300;
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    let worker = |network: u128| worker_of(ProjectId::DEFAULT, NetworkId::from_u128(network), 2);
    let second = (2..).find(|network| worker(*network) != worker(1)).unwrap();
    let long = Text::new(&"x".repeat(255)).unwrap();
    for network in [1, second] {
        assert_eq!(call(&engine, create_network(1, network)).0, OK);
        assert_eq!(call(&engine, create_subnet(2, network, "10.0.0.0/16")).0, OK);
        for slot in 0..EACH {
            let mut one = leased(3, 1, HOUR);
            one.scope = scope(network);
            let Request::Allocate(body) = &mut one.request else { unreachable!("made so") };
            body.slot = Slot(slot);
            let extras = body.extras.as_mut().unwrap();
            (extras.label, extras.host) = (Some(long.clone()), Some(long.clone()));
            extras.manager = Some(Text::new("cni").unwrap());
            assert_eq!(call(&engine, one).0, OK);
        }
    }
    let body = RenewOwner { owner: OwnerId::from_u128(1), instance: None, lease_ms: DAY };
    let renewal = || operation(4, 0, Opcode::RENEW_OWNER, Request::RenewOwner(body));
    for route in [Route::Gather, Route::Sequencer] {
        let desk = Arc::new(Desk::default());
        let outlet = Arc::clone(&desk) as Arc<dyn Outlet>;
        let operations = vec![renewal()];
        let operations = Authorized::in_test(operations);
        let parcel = Parcel {
            outlet,
            operations,
            bytes: 96,
            outstanding: 1,
            principal_outstanding: 0,
            pushed_ns: 0,
        };
        assert!(engine.submit(route, parcel).is_ok());
        let (_, status, reply) = desk.take(1).remove(0);
        assert_eq!(status, OK, "{route:?}: {reply:?}");
        let Some(Reply::RenewedOwner(counts)) = reply else { panic!("{reply:?}") };
        assert_eq!(counts.renewed, 2 * u32::from(EACH), "{route:?}");
    }
    booted.running.stop();
    let booted = boot_at(folder.path(), 2);
    for network in [1, second] {
        for slot in 0..EACH {
            let target = Target::Key { owner: OwnerId::from_u128(1), slot: Slot(slot) };
            let get = Request::AllocationGet(Box::new(AllocationGet { target }));
            let get = operation(5, network, Opcode::ALLOCATION_GET, get);
            let (_, Some(Reply::Allocation(held))) = call(booted.running.engine(), get) else {
                panic!("slot {slot} in network {network} is lost")
            };
            assert!(held.time_left_ms > HOUR, "its renewal is in the journal");
        }
    }
    booted.running.stop();
}

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// Hands that move when told to; what is measured is real.
#[derive(Clone, Debug, Default)]
struct Hand {
    wall: Arc<Level>,
    boot: Arc<Level>,
}

impl Hands for Hand {
    fn wall_ms(&self) -> u64 {
        self.wall.get()
    }

    fn boot_ms(&self) -> u64 {
        self.boot.get()
    }

    fn monotonic_ns(&self) -> u64 {
        SystemHands.monotonic_ns()
    }
}

fn lookup(engine: &Engine, owner: u128) -> Option<Allocation> {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    let get = Request::AllocationGet(Box::new(AllocationGet { target }));
    match call(engine, operation(9, 1, Opcode::ALLOCATION_GET, get)) {
        (Status::OK, Some(Reply::Allocation(held))) => Some(*held),
        (Status::NOT_FOUND, _) => None,
        other => panic!("{other:?}"),
    }
}

/// Time passes while somebody asks now and then, so that it is no standstill.
fn pass(engine: &Engine, hand: &Hand, ms: u64) {
    for _ in 0..ms.div_ceil(limits::CLOCK_GAP_MS_MAX) {
        hand.boot.add(limits::CLOCK_GAP_MS_MAX);
        lookup(engine, 0);
    }
}

/// The setting holds for a start and for a standstill; none ends what is overdue at once.
#[test]
fn leases_go_on_for_the_restart_grace_that_is_set() {
    for grace in [0, 5 * 60_000] {
        let folder = tempfile::tempdir().unwrap();
        let hand = Hand::default();
        hand.wall.set(1_000 * DAY);
        let boot = || {
            let settings = settings(folder.path(), 1, Box::new(hand.clone()));
            boot(Boot { restart_grace_ms: grace, ..settings }).unwrap()
        };
        let booted = boot();
        let engine = booted.running.engine().clone();
        assert_eq!(call(&engine, create_network(1, 1)).0, OK);
        assert_eq!(call(&engine, create_subnet(2, 1, "10.0.0.0/24")).0, OK);
        assert_eq!(call(&engine, leased(3, 1, 60_000)).0, OK);
        assert_eq!(call(&engine, leased(4, 2, 120_000)).0, OK);
        booted.running.stop();

        hand.wall.add(90_000);
        let booted = boot();
        let engine = booted.running.engine().clone();
        let left = |owner| lookup(&engine, owner).map(|held| held.time_left_ms);
        let none = grace == 0;
        assert_eq!(left(1), (!none).then_some(grace), "after a start");
        assert_eq!(left(2), Some(if none { 30_000 } else { grace }));
        hand.boot.add(10 * 60_000);
        assert_eq!(left(2), (!none).then_some(grace), "after a standstill");
        booted.running.stop();
    }
}

/// An hour of downtime, a clock set back, a year ahead, then right again.
#[test]
fn leases_outlive_whatever_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    hand.wall.set(1_000 * DAY);
    let boot = || {
        let booted = boot_with(folder.path(), 1, Box::new(hand.clone()));
        (booted.running.engine().clone(), booted)
    };
    let (engine, booted) = boot();
    assert_eq!(call(&engine, create_network(1, 1)).0, OK);
    assert_eq!(call(&engine, create_subnet(2, 1, "10.0.0.0/24")).0, OK);
    assert_eq!(call(&engine, leased(3, 1, 10 * 60_000)).0, OK);
    assert_eq!(call(&engine, leased(4, 2, 10 * DAY)).0, OK);
    pass(&engine, &hand, 5 * 60_000);
    booted.running.stop();

    hand.wall.add(5 * 60_000 + HOUR);
    let (engine, booted) = boot();
    assert_eq!(booted.recovered.tick, Tick(1_000 * DAY + 5 * 60_000), "the last mark of time");
    assert_eq!(lookup(&engine, 1).unwrap().time_left_ms, limits::RESTART_GRACE_MS);
    assert_eq!(lookup(&engine, 2).unwrap().time_left_ms, 10 * DAY - HOUR - 5 * 60_000);
    pass(&engine, &hand, limits::RESTART_GRACE_MS);
    assert_eq!(lookup(&engine, 1), None, "nobody renewed it");
    let left = lookup(&engine, 2).unwrap().time_left_ms;
    booted.running.stop();

    hand.wall.sub(DAY);
    let (engine, booted) = boot();
    assert!(booted.clock_behind_ms > DAY / 2);
    assert_eq!(lookup(&engine, 2).unwrap().time_left_ms, left - 1, "time goes on from there");
    booted.running.stop();

    hand.wall.add(365 * DAY);
    let (engine, booted) = boot();
    assert!(engine.clock().is_doubted());
    pass(&engine, &hand, 60_000);
    hand.boot.add(20 * DAY);
    assert_eq!(lookup(&engine, 2).unwrap().time_left_ms, limits::RESTART_GRACE_MS, "a standstill");
    pass(&engine, &hand, 2 * limits::RESTART_GRACE_MS);
    assert_eq!(lookup(&engine, 2).unwrap().time_left_ms, 1, "its time is over, and nobody knows");
    assert_eq!(call(&engine, renew(5, 2, 1_000)).0, OK);

    hand.wall.set(engine.clock().tick().0);
    assert!(lookup(&engine, 2).is_some());
    assert!(!engine.clock().is_doubted());
    pass(&engine, &hand, limits::RESTART_GRACE_MS);
    assert_eq!(lookup(&engine, 2), None);
    booted.running.stop();
}

fn in_pool(id: u64, opcode: Opcode, request: Request) -> Operation {
    let mut operation = operation(id, 5, opcode, request);
    operation.scope.pool = true;
    operation
}

fn prefix(id: u64, owner: u128, lease_ms: Option<u64>) -> Operation {
    let Operation { request: Request::Allocate(mut body), .. } = allocate(id, 5, owner) else {
        unreachable!("made so")
    };
    body.extras = Some(Box::new(AllocateExtras { lease_ms, ..AllocateExtras::default() }));
    in_pool(id, Opcode::ALLOCATE, Request::Allocate(body))
}

fn make_pool(engine: &Engine) {
    let prefixes = vec!["10.0.0.0/30".parse().unwrap()];
    let create = PoolCreate { default_length: Some(31), ..PoolCreate::of(Family::V4, prefixes) };
    let create = Request::PoolCreate(Box::new(create));
    assert_eq!(call(engine, operation(1, 5, Opcode::POOL_CREATE, create)).0, OK);
}

/// Prefixes are the sequencer's: it wakes by itself, and others get what is over.
#[test]
fn an_idle_engine_frees_prefixes_that_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    make_pool(&engine);
    assert_eq!(call(&engine, prefix(2, 1, Some(1_000))).0, OK);
    assert_eq!(call(&engine, prefix(3, 2, None)).0, OK);
    assert_eq!(call(&engine, prefix(4, 3, None)).0, Status::POOL_EXHAUSTED);
    let ended = || {
        let deciding = engine.figures().deciding;
        deciding.iter().map(|one| one.scalars[Scalar::LeasesEnded as usize]).sum::<u64>()
    };
    let patience = std::time::Instant::now();
    while ended() == 0 {
        assert!(patience.elapsed() < PATIENCE, "nobody asks, and it ends all the same");
        std::thread::yield_now();
    }
    assert_eq!(call(&engine, prefix(5, 3, None)).0, OK);
    booted.running.stop();
}

/// An hour of downtime, a year ahead, then right again: as leases of addresses.
#[test]
fn leases_of_prefixes_outlive_whatever_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    hand.wall.set(1_000 * DAY);
    let boot = || {
        let booted = boot_with(folder.path(), 1, Box::new(hand.clone()));
        (booted.running.engine().clone(), booted)
    };
    let left = |engine: &Engine, owner: u128| {
        let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
        let get = Request::AllocationGet(Box::new(AllocationGet { target }));
        match call(engine, in_pool(9, Opcode::ALLOCATION_GET, get)) {
            (Status::OK, Some(Reply::Allocation(held))) => Some(held.time_left_ms),
            (Status::NOT_FOUND, _) => None,
            other => panic!("{other:?}"),
        }
    };
    let pass = |engine: &Engine, ms: u64| {
        for _ in 0..ms.div_ceil(limits::CLOCK_GAP_MS_MAX) {
            hand.boot.add(limits::CLOCK_GAP_MS_MAX);
            left(engine, 0);
        }
    };
    let (engine, booted) = boot();
    make_pool(&engine);
    assert_eq!(call(&engine, prefix(3, 1, Some(10 * 60_000))).0, OK);
    assert_eq!(call(&engine, prefix(4, 2, Some(10 * DAY))).0, OK);
    pass(&engine, 5 * 60_000);
    booted.running.stop();

    hand.wall.add(5 * 60_000 + HOUR);
    let (engine, booted) = boot();
    assert_eq!(booted.recovered.tick, Tick(1_000 * DAY + 5 * 60_000), "the last mark of time");
    assert_eq!(left(&engine, 1), Some(limits::RESTART_GRACE_MS));
    pass(&engine, limits::RESTART_GRACE_MS);
    assert_eq!(left(&engine, 1), None, "nobody renewed it");
    booted.running.stop();

    hand.wall.add(365 * DAY);
    let (engine, booted) = boot();
    assert!(engine.clock().is_doubted());
    pass(&engine, 60_000);
    hand.boot.add(20 * DAY);
    assert_eq!(left(&engine, 2), Some(limits::RESTART_GRACE_MS), "a standstill");
    pass(&engine, 2 * limits::RESTART_GRACE_MS);
    assert_eq!(left(&engine, 2), Some(1), "its time is over, and nobody knows");
    let target = Target::Key { owner: OwnerId::from_u128(2), slot: Slot(0) };
    let body = Renew { target, fences: Fences::default(), lease_ms: 1_000 };
    assert_eq!(call(&engine, in_pool(5, Opcode::RENEW, Request::Renew(body))).0, OK);

    hand.wall.set(engine.clock().tick().0);
    assert!(left(&engine, 2).is_some());
    assert!(!engine.clock().is_doubted());
    pass(&engine, limits::RESTART_GRACE_MS);
    assert_eq!(left(&engine, 2), None);
    booted.running.stop();
}
