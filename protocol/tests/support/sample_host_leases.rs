//! Samples of host leases, and of what follows a host.

use super::sample_replies::{allocation, failure};
use super::*;

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0a00;

fn renew() -> RenewHost {
    RenewHost {
        manager: text("cni"),
        host: text("n1"),
        lease_ms: 600_000,
        on_end: OnEnd::Report,
        begin: 0,
        life: 0,
    }
}

fn end(on_end: OnEnd) -> EndHost {
    EndHost { manager: text("cni"), host: text("n1"), on_end, life: 7 }
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let begin = RenewHost { on_end: OnEnd::Release, begin: 7, ..renew() };
    let list = HostLeaseList { manager: text("cni"), limit: 10, after: some("n0") };
    let follow = AllocateExtras {
        manager: some("cni"),
        host: some("n1"),
        follow_host: true,
        ..AllocateExtras::default()
    };
    let allocate = Allocate {
        owner: OWNER,
        slot: Slot(0),
        instance: Instance(0),
        family: Default::default(),
        strategy: Default::default(),
        length: None,
        flags: Default::default(),
        extras: Some(Box::new(follow)),
    };
    let update = AllocationUpdate {
        target: Target::Key { owner: OWNER, slot: Slot(0) },
        fences: Fences::default(),
        label: Setting::Unset,
        host: Setting::Unset,
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: Some(false),
    };
    let all = vec![
        ("renew_host", Request::RenewHost(Box::new(renew()))),
        ("renew_host_begin", Request::RenewHost(Box::new(begin))),
        ("end_host", Request::EndHost(Box::new(end(OnEnd::Report)))),
        ("end_host_release", Request::EndHost(Box::new(end(OnEnd::Release)))),
        ("host_lease_list", Request::HostLeaseList(Box::new(list))),
        ("allocate_follow_host", Request::Allocate(allocate)),
        ("allocation_update_follow_host", Request::AllocationUpdate(Box::new(update))),
    ];
    let sample = |(number, (name, request)): (u64, (&str, Request))| RequestSample {
        name: name.to_owned(),
        header: header(request.opcode(), number),
        request,
    };
    (FIRST..).zip(all).map(sample).collect()
}

/// Replies of this room.
pub(super) fn replies() -> Vec<ReplySample> {
    let was = HostLeaseState::Overdue;
    let renewed = RenewedHost { time_left_ms: 600_000, following: 2, life: 7, was };
    let ended = EndedHost { following: 2, was: HostLeaseState::Running, more: true };
    let item = HostLease {
        host: text("n1"),
        time_left_ms: 600_000,
        following: 2,
        life: 7,
        state: HostLeaseState::Running,
        on_end: OnEnd::Release,
    };
    let leases = HostLeasePage { items: vec![item], more: true };
    let follower = Allocation { follows_host: true, ..allocation() };
    let done = |reply| (Status::OK, ReplyOrFailure::Reply(reply));
    let refused = |status| (status, ReplyOrFailure::Failure(Box::new(failure(status, Vec::new()))));
    let all = vec![
        ("renewed_host", Opcode::RENEW_HOST, done(Reply::RenewedHost(renewed))),
        ("ended_host", Opcode::END_HOST, done(Reply::EndedHost(ended))),
        ("host_leases", Opcode::HOST_LEASE_LIST, done(Reply::HostLeases(Box::new(leases)))),
        ("allocation_follows", Opcode::ALLOCATION_GET, done(Reply::Allocation(Box::new(follower)))),
        ("failure_no_host_lease", Opcode::RENEW_HOST, refused(Status::NO_HOST_LEASE)),
        ("failure_host_lease_over", Opcode::ALLOCATE, refused(Status::HOST_LEASE_OVER)),
        ("failure_host_life_stale", Opcode::RENEW_HOST, refused(Status::HOST_LIFE_STALE)),
    ];
    let sample = |(request_id, (name, opcode, (status, body)))| ReplySample {
        name: str::to_owned(name),
        opcode,
        request_id,
        status,
        body,
    };
    (FIRST..).zip(all).map(sample).collect()
}
