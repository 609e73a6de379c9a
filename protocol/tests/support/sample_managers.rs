//! Samples of managers: what lives on a host, what is suspected, and which managers and hosts there are.

use super::sample_replies::{allocation, failure};
use super::*;

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0900;

/// A part of a list of two.
fn reconcile() -> Reconcile {
    let live =
        |slot, instance| Live { owner: OWNER, slot: Slot(slot), instance: Instance(instance) };
    Reconcile {
        manager: text("cni"),
        host: text("n1"),
        call: 7,
        part: 0,
        parts: 1,
        grace_ms: 60_000,
        dry_run: false,
        live: vec![live(0, 0), live(1, 9)],
    }
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let empty = Reconcile { live: Vec::new(), dry_run: true, part: 1, parts: 2, ..reconcile() };
    let suspects = SuspectList { manager: some("cni"), host: some("n1"), cursor: None };
    let suspects_next = SuspectList { cursor: cursor(), ..suspects.clone() };
    let hosts = ManagerList { limit: 10, manager: some("cni"), after: some("n1") };
    let all = vec![
        ("reconcile", Request::Reconcile(Box::new(reconcile()))),
        ("reconcile_dry_run", Request::Reconcile(Box::new(empty))),
        ("suspect_list_all", Request::SuspectList(Box::default())),
        ("suspect_list_of_host", Request::SuspectList(Box::new(suspects))),
        ("manager_list_all", Request::ManagerList(Box::default())),
        ("manager_list_hosts", Request::ManagerList(Box::new(hosts))),
        ("suspect_list_next", Request::SuspectList(Box::new(suspects_next))),
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
    let waiting = Reconciled { call: 7, parts_missing: 1, listed: 2, ..Reconciled::default() };
    let complete = Reconciled {
        complete: true,
        parts_missing: 0,
        releasing: true,
        elsewhere: 1,
        other_instance: 1,
        suspects: 3,
        released: 2,
        ..waiting
    };
    let suspects = Suspects { allocations: vec![allocation()], more: true, next: None };
    let suspects_more = Suspects { next: cursor(), ..suspects.clone() };
    let item = |name, hosts| ManagerUse { name, hosts, allocations: 5 };
    let managers = ManagerPage { items: vec![item(some("cni"), 2)], more: false };
    let hosts = ManagerPage { items: vec![item(None, 0), item(some("n1"), 0)], more: true };
    let done = |reply| (Status::OK, ReplyOrFailure::Reply(reply));
    let refused = |status| (status, ReplyOrFailure::Failure(Box::new(failure(status, Vec::new()))));
    let all = vec![
        ("reconcile_waiting", Opcode::RECONCILE, done(Reply::Reconciled(Box::new(waiting)))),
        ("reconcile_done", Opcode::RECONCILE, done(Reply::Reconciled(Box::new(complete)))),
        ("suspects", Opcode::SUSPECT_LIST, done(Reply::Suspects(Box::new(suspects)))),
        ("managers", Opcode::MANAGER_LIST, done(Reply::Managers(Box::new(managers)))),
        ("manager_hosts", Opcode::MANAGER_LIST, done(Reply::Managers(Box::new(hosts)))),
        ("failure_reconcile_stale", Opcode::RECONCILE, refused(Status::RECONCILE_STALE)),
        ("failure_reconcile_differs", Opcode::RECONCILE, refused(Status::RECONCILE_DIFFERS)),
        ("suspects_more", Opcode::SUSPECT_LIST, done(Reply::Suspects(Box::new(suspects_more)))),
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
