//! Host leases over several workers: what a restart keeps.

use super::*;
use addrd_protocol::message::{
    AllocateExtras, HostLeaseList, HostLeasePage, HostLeaseState, OnEnd, RenewHost,
};

const OK: Status = Status::OK;

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn follower(id: u64, network: u128, owner: u128, host: &str) -> Operation {
    let Operation { request: Request::Allocate(mut body), .. } = allocate(id, network, owner)
    else {
        unreachable!("made so")
    };
    let (manager, host) = (Some(text("cni")), Some(text(host)));
    let extras = AllocateExtras { manager, host, follow_host: true, ..AllocateExtras::default() };
    body.extras = Some(Box::new(extras));
    operation(id, network, Opcode::ALLOCATE, Request::Allocate(body))
}

fn lease(id: u64, host: &str, on_end: OnEnd, begin: u64, lease_ms: u64) -> Operation {
    let body =
        RenewHost { manager: text("cni"), host: text(host), lease_ms, on_end, begin, life: 0 };
    operation(id, 0, Opcode::RENEW_HOST, Request::RenewHost(Box::new(body)))
}

fn list(id: u64) -> Operation {
    let body = HostLeaseList { manager: text("cni"), limit: 0, after: None };
    operation(id, 0, Opcode::HOST_LEASE_LIST, Request::HostLeaseList(Box::new(body)))
}

/// Leases are there again with any number of workers, and what follows too.
#[test]
fn leases_and_what_follows_are_there_after_a_restart_with_other_workers() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    let day = 86_400_000;
    assert_eq!(call(&engine, lease(1, "n1", OnEnd::Release, 5, day)).0, OK);
    assert_eq!(call(&engine, lease(2, "n2", OnEnd::Report, 5, day)).0, OK);
    for network in 1..=4_u128 {
        let at = network as u64 * 10;
        assert_eq!(call(&engine, create_network(at, network)).0, OK);
        assert_eq!(call(&engine, create_subnet(at + 1, network, "10.0.0.0/24")).0, OK);
        assert_eq!(call(&engine, follower(at + 2, network, 1, "n1")).0, OK);
    }
    booted.running.stop();
    let booted = boot_at(folder.path(), 3);
    let engine = booted.running.engine().clone();
    let Some(Reply::HostLeases(leases)) = call(&engine, list(1)).1 else { panic!("answered") };
    let HostLeasePage { items, more } = *leases;
    let told: Vec<_> = items.iter().map(|one| (one.life, one.following, one.state)).collect();
    assert_eq!(told, [(5, 4, HostLeaseState::Running), (5, 0, HostLeaseState::Running)]);
    assert!(!more && items.iter().all(|one| one.time_left_ms > day / 2));
    booted.running.stop();
}
