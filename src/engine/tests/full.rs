//! A worker's ring that fills up while nothing moves: who still gets in, who is told to come later,
//! and that what got in is answered once.

use super::rig::Rig;
use super::*;
use crate::access::Authorized;
use crate::limits;
use addrd_protocol::message::RenewOwner;

/// Operations of a parcel.
const PARCEL: u32 = 256;
/// Operations that ordinary requests may fill a ring to.
const ORDINARY: u32 = limits::RING_OPERATIONS_MAX - limits::RING_OPERATIONS_RESERVED;

/// An engine that stands still, and how many answers it owes.
struct Still {
    rig: Rig,
    desk: Arc<Desk>,
    accepted: usize,
    owner: u128,
    /// What the principal of the next parcels has under way.
    principal: u32,
}

impl Still {
    fn new() -> Self {
        let rig = Rig::new("fd00::/64");
        Self { rig, desk: Arc::default(), accepted: 0, owner: 0, principal: 0 }
    }

    fn owners(&mut self, count: u32) -> std::ops::Range<u128> {
        let from = self.owner;
        self.owner += u128::from(count);
        from..self.owner
    }

    /// One parcel of a connection that has `outstanding` operations without reply; the bound that
    /// it met, if it did.
    fn submit(&mut self, operations: Vec<Operation>, outstanding: u32) -> Result<(), &'static str> {
        let count = operations.len();
        let engine = &self.rig.engine;
        let route = engine.route(&operations[0].scope, &operations[0].request);
        let outlet: Arc<dyn Outlet> = Arc::clone(&self.desk) as Arc<dyn Outlet>;
        let operations = Authorized::in_test(operations);
        let parcel = Parcel {
            outlet,
            operations,
            bytes: 96,
            outstanding,
            principal_outstanding: self.principal,
            pushed_ns: 0,
        };
        let result = engine.submit(route, parcel);
        let rejected = result.as_ref().err().map_or(0, |rejected| rejected.operations.len());
        self.accepted += count - rejected;
        result.map_err(|rejected| rejected.bound)
    }

    fn allocate(&mut self, count: u32, outstanding: u32) -> Result<(), &'static str> {
        let owners = self.owners(count);
        self.submit(owners.map(|owner| allocate(1, 1, owner)).collect(), outstanding)
    }

    fn release(&mut self, count: u32) -> Result<(), &'static str> {
        let owners = self.owners(count);
        self.submit(owners.map(|owner| release(1, 1, owner)).collect(), count)
    }

    /// Everything that got in is answered, once, and then there is room again.
    fn end(mut self) {
        self.rig.settle();
        self.desk.take(self.accepted);
        assert!(self.desk.frames.lock().unwrap().is_empty(), "answered twice");
        assert_eq!(self.rig.waiting(), 0);
        assert_eq!(self.allocate(PARCEL, PARCEL), Ok(()));
    }
}

fn renew_owner() -> Request {
    let owner = OwnerId::from_u128(1);
    Request::RenewOwner(RenewOwner { owner, instance: None, lease_ms: 90_000 })
}

#[test]
fn a_quarter_of_a_full_ring_is_kept_for_releases() {
    let mut still = Still::new();
    while still.rig.waiting() < ORDINARY {
        assert_eq!(still.allocate(PARCEL, PARCEL), Ok(()));
    }
    assert_eq!(still.rig.waiting(), ORDINARY);
    assert_eq!(still.allocate(1, 1), Err("ring_operations_max"));
    // Releases get in; in a parcel those that stand first, so that order is kept.
    assert_eq!(still.release(PARCEL), Ok(()));
    let owners: Vec<u128> = still.owners(4).collect();
    let mixed = vec![
        release(1, 1, owners[0]),
        release(2, 1, owners[1]),
        allocate(3, 1, owners[2]),
        release(4, 1, owners[3]),
    ];
    assert_eq!(still.submit(mixed, 4), Err("ring_operations_max"));
    assert_eq!(still.rig.waiting(), ORDINARY + PARCEL + 2);
    while still.rig.waiting() + PARCEL <= limits::RING_OPERATIONS_MAX {
        assert_eq!(still.release(PARCEL), Ok(()));
    }
    assert_eq!(still.release(PARCEL), Err("ring_operations_max"));
    assert!(still.rig.waiting() <= limits::RING_OPERATIONS_MAX);
    still.end();
}

/// Long before a ring is full it is told that whoever comes has to wait, by requests and by bytes.
#[test]
fn more_than_two_drains_before_a_worker_is_a_crowd() {
    let mut still = Still::new();
    let none = Fair { workers: None, sequencer: None };
    assert_eq!(still.rig.engine.fair(), none);
    while still.rig.waiting() < limits::FAIR_OPERATIONS {
        let count = PARCEL.min(limits::FAIR_OPERATIONS - still.rig.waiting());
        assert_eq!(still.allocate(count, count), Ok(()));
        assert_eq!(still.rig.engine.fair(), none);
    }
    assert_eq!(still.allocate(1, 1), Ok(()));
    let workers = u32::try_from(still.rig.engine.workers()).unwrap();
    let all = Some(limits::FAIR_OPERATIONS * workers);
    assert_eq!(still.rig.engine.fair(), Fair { workers: all, sequencer: None });
    still.end();
}

#[test]
fn past_half_of_a_ring_every_active_connection_has_its_share() {
    let mut still = Still::new();
    // A share of 64 operations.
    still.rig.engine.active().set(u64::from(ORDINARY / 64));
    while still.rig.waiting() <= limits::RING_OPERATIONS_MAX / 2 {
        assert_eq!(still.allocate(PARCEL, PARCEL), Ok(()), "below half everybody gets in");
    }
    assert_eq!(still.allocate(PARCEL, PARCEL), Err("ring_share"));
    assert_eq!(still.allocate(1, 65), Err("ring_share"), "what it has without reply counts");
    assert_eq!(still.allocate(64, 64), Ok(()));
    assert_eq!(still.allocate(1, 1), Ok(()));
    // Alone, one may have all of it.
    still.rig.engine.active().set(1);
    assert_eq!(still.allocate(PARCEL, PARCEL), Ok(()));
    still.end();
}

/// One principal at full blast, by however many connections, leaves the others their share; it has its own once what
/// it has under way is less.
#[test]
fn past_half_of_a_ring_every_active_principal_has_its_share() {
    let mut still = Still::new();
    still.rig.engine.active().set(1);
    // A share of 64 operations.
    still.rig.engine.active_principals().set(u64::from(ORDINARY / 64));
    still.principal = 0;
    while still.rig.waiting() <= limits::RING_OPERATIONS_MAX / 2 {
        assert_eq!(still.allocate(PARCEL, PARCEL), Ok(()), "below half everybody gets in");
    }
    // Each of its connections has little under way, all of them much.
    still.principal = 65;
    assert_eq!(still.allocate(1, 1), Err("principal_share"));
    let renewed = vec![operation(1, 0, Opcode::RENEW_OWNER, renew_owner())];
    assert_eq!(still.submit(renewed, 1), Ok(()), "what lets something go on has a part of its own");
    assert_eq!(still.release(1), Ok(()));
    still.principal = 64;
    assert_eq!(still.allocate(1, 1), Ok(()));
    still.principal = 0;
    assert_eq!(still.allocate(PARCEL, PARCEL), Ok(()), "who isn't counted is never refused");
    // Alone, one may have all of it.
    still.rig.engine.active_principals().set(1);
    still.principal = 40_000;
    assert_eq!(still.allocate(1, 1), Ok(()));
    still.principal = 0;
    still.end();
}

/// The same of what spans workers: one that fills the sequencer's ring leaves others theirs.
#[test]
fn past_half_of_the_sequencers_ring_every_active_principal_has_its_share() {
    let mut still = Still::new();
    still.rig.engine.active_principals().set(2);
    let share = (limits::SEQUENCER_OPERATIONS_MAX - limits::SEQUENCER_OPERATIONS_MAX / 4) / 2;
    let mut sent = 0_u32;
    let mut create = |still: &mut Still, principal| {
        sent += 1;
        still.principal = principal;
        let network = 1_000 + u128::from(sent);
        still.submit(vec![create_network(sent.into(), network)], 1)
    };
    for at in 0..=limits::SEQUENCER_OPERATIONS_MAX / 2 {
        assert_eq!(create(&mut still, at + 1), Ok(()));
    }
    assert_eq!(create(&mut still, share + 1), Err("principal_share"));
    assert_eq!(create(&mut still, share), Ok(()));
    assert_eq!(create(&mut still, 0), Ok(()));
}

#[test]
fn a_drain_is_bounded_in_operations_and_in_bytes() {
    let mut still = Still::new();
    for _ in 0..8 {
        assert_eq!(still.allocate(PARCEL, PARCEL), Ok(()));
    }
    let hand_over = |still: &mut Still| {
        assert_eq!(still.rig.workers[0].step(), Progress::Worked);
        still.rig.engine.figures().commit_ring.operations
    };
    // One record an operation.
    assert_eq!(hand_over(&mut still), limits::DRAIN_OPERATIONS_MAX);
    assert_eq!(hand_over(&mut still), 2 * limits::DRAIN_OPERATIONS_MAX);
    // Batches of 1,024 records each: what is over the bytes of a drain waits for the next one.
    let batches: Vec<_> = (0..8)
        .map(|id| {
            let owners = still.owners(1_024);
            batch(id, 1, owners.map(|owner| allocate(0, 1, owner)).collect())
        })
        .collect();
    assert_eq!(still.submit(batches, 8), Ok(()));
    let before = still.rig.engine.figures().commit_ring.bytes;
    assert_eq!(still.rig.workers[0].step(), Progress::Worked);
    let bytes = (still.rig.engine.figures().commit_ring.bytes - before) as usize;
    let most = limits::HAND_OVER_RECORD_BYTES_MAX + limits::DRAIN_REPLY_BYTES_MAX;
    assert!(bytes <= most, "{bytes}");
    assert!(still.rig.figures().drains.sum < 2_048 + 8);
    still.end();
}
