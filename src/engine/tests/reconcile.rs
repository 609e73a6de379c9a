//! How workers release what two calls missed: in slices, durably, with nobody asking.

use super::rig::Rig;
use super::*;
use crate::limits;
use addrd_protocol::message::{AllocateExtras, Allocation, Live, Reconcile, SuspectList};

const OK: Status = Status::OK;
const GRACE_MS: u32 = 1_000;

fn on_host(id: u64, network: u128, owner: u128) -> Operation {
    let Operation { request: Request::Allocate(mut body), .. } = allocate(id, network, owner)
    else {
        unreachable!("made so")
    };
    let text = |text: &str| Some(Text::new(text).unwrap());
    let (manager, host) = (text("cni"), text("n1"));
    body.extras = Some(Box::new(AllocateExtras { manager, host, ..AllocateExtras::default() }));
    operation(id, network, Opcode::ALLOCATE, Request::Allocate(body))
}

/// A call of one part, in a network or (0) in all.
fn call_of(network: u128, number: u64, live: &[u128]) -> Operation {
    let entry = |owner: &u128| Live {
        owner: OwnerId::from_u128(*owner),
        slot: Slot(0),
        instance: Default::default(),
    };
    let body = Reconcile {
        manager: Text::new("cni").unwrap(),
        host: Text::new("n1").unwrap(),
        call: number,
        part: 0,
        parts: 1,
        grace_ms: GRACE_MS,
        dry_run: false,
        live: live.iter().map(entry).collect(),
    };
    operation(number, network, Opcode::RECONCILE, Request::Reconcile(Box::new(body)))
}

#[test]
fn suspects_are_released_in_slices_with_requests_in_between() {
    let mut rig = Rig::new("10.0.0.0/16");
    let count = 4 * limits::RECONCILE_SLICE_OBJECTS as u64;
    for owner in 0..count {
        assert_eq!(rig.statuses(vec![on_host(1, 1, 1 + u128::from(owner))]), [OK]);
    }
    assert_eq!(rig.statuses(vec![call_of(1, 1, &[7])]), [OK]);
    rig.clock.advance(GRACE_MS.into());
    let held = |rig: &Rig| rig.workers[0].state().unwrap().allocations();
    assert!(!rig.workers[0].has_work() && held(&rig) == count);
    let desk = Arc::new(Desk::default());
    send(&rig.engine, &desk, vec![call_of(1, 2, &[7])]);
    for slice in 1..=3 {
        assert_eq!(rig.workers[0].step(), Progress::Worked);
        let left = count - slice * limits::RECONCILE_SLICE_OBJECTS as u64;
        assert_eq!(held(&rig), left, "a slice a step");
        assert!(rig.workers[0].has_work(), "nobody has to ask");
    }
    rig.settle();
    assert_eq!((held(&rig), desk.take(1)[0].1), (1, OK));
    let figures = rig.figures().scalars;
    assert_eq!(figures[Scalar::SuspectsReleased as usize], count - 1);
    assert_eq!(figures[Scalar::Hosts as usize], 1);
}

/// All workers take part, what they release is durable, and a restart forgets marks only.
#[test]
fn what_was_released_stays_so_after_a_restart_and_marks_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    for network in 1..=4_u128 {
        let at = network as u64 * 10;
        assert_eq!(call(&engine, create_network(at, network)).0, OK);
        assert_eq!(call(&engine, create_subnet(at + 1, network, "10.0.0.0/24")).0, OK);
        assert_eq!(call(&engine, on_host(at + 2, network, 1)).0, OK);
        assert_eq!(call(&engine, on_host(at + 3, network, 2)).0, OK);
    }
    let patience = std::time::Instant::now();
    let mut number = 100;
    while engine.status().allocations > 4 {
        assert!(patience.elapsed() < PATIENCE, "two calls were a second apart long ago");
        number += 1;
        assert_eq!(call(&engine, call_of(0, number, &[1])).0, OK);
    }
    // Marks what is left, and no more than that.
    assert_eq!(call(&engine, call_of(0, number + 1, &[])).0, OK);
    booted.running.stop();
    let booted = boot_at(folder.path(), 3);
    let engine = booted.running.engine().clone();
    let told = call(&engine, call_of(0, 1, &[]));
    let Some(Reply::Reconciled(told)) = told.1 else { panic!("it was answered") };
    assert!(told.complete && !told.releasing && told.suspects == 4, "{told:?}");
    assert_eq!(engine.status().allocations, 4);
    booted.running.stop();
}

/// The whole list of suspects in a network or (0) in all, page by page: their networks and owners.
fn suspects_of(engine: &Engine, network: u128) -> Vec<(u128, u128)> {
    let (mut all, mut list) = (Vec::new(), SuspectList::default());
    for _ in 0..100 {
        let request = Request::SuspectList(Box::new(list.clone()));
        let told = call(engine, operation(1, network, Opcode::SUSPECT_LIST, request));
        let (OK, Some(Reply::Suspects(page))) = told else { panic!("{told:?}") };
        assert!(page.allocations.len() <= 256 && page.more == page.next.is_some());
        let place = |one: &Allocation| (one.network_id.0.as_u128(), one.owner.0.as_u128());
        all.extend(page.allocations.iter().map(place));
        list.cursor = page.next;
        if list.cursor.is_none() {
            return all;
        }
    }
    panic!("100 pages, and no end")
}

#[test]
fn all_workers_suspects_are_listed_in_pages_each_once() {
    for workers in [1, 4] {
        let folder = tempfile::tempdir().unwrap();
        let booted = boot_at(folder.path(), workers);
        let engine = booted.running.engine().clone();
        let desk = Arc::new(Desk::default());
        let mut expected = Vec::new();
        // Unequal parts: some are larger than a page, others fit beside their neighbours.
        for (network, count) in [(1, 600), (2, 20), (3, 150), (4, 5), (5, 257), (6, 1), (7, 90)] {
            assert_eq!(call(&engine, create_network(1, network)).0, OK);
            assert_eq!(call(&engine, create_subnet(2, network, "10.0.0.0/20")).0, OK);
            let all: Vec<u128> = (1..=count).collect();
            for some in all.chunks(50) {
                let ask = |owner: &u128| on_host(1, network, *owner);
                send(&engine, &desk, some.iter().map(ask).collect());
                assert!(desk.take(some.len()).iter().all(|answer| answer.1 == OK));
            }
            expected.extend(all.iter().map(|&owner| (network, owner)));
        }
        assert_eq!(suspects_of(&engine, 0), []);
        assert_eq!(call(&engine, call_of(0, 1, &[])).0, OK);
        for network in 0..=7 {
            let mut listed = suspects_of(&engine, network);
            listed.sort_unstable();
            let is_meant = |(of, _): &&(u128, u128)| network == 0 || network == *of;
            let expected: Vec<_> = expected.iter().filter(is_meant).copied().collect();
            assert_eq!(listed, expected, "{workers} workers, network {network}");
        }
        booted.running.stop();
    }
}
