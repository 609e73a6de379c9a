//! Samples of transfers: what changes hands.

use super::sample_replies::{allocation, failure};
use super::*;

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0b00;

/// To another owner, under a revision.
fn transfer() -> Transfer {
    Transfer {
        address: read("10.0.0.2"),
        fences: Fences { revision: Some(REVISION), ..Fences::default() },
        to_owner: Some(OWNER),
        to_slot: None,
        to_instance: None,
        to_project: None,
        owner_name: None,
    }
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let whole = Transfer {
        address: read("fd00:64::2"),
        fences: all_fences(),
        to_slot: Some(Slot(0)),
        to_instance: Some(Instance(9)),
        to_project: Some(PROJECT),
        owner_name: some("web-2"),
        ..transfer()
    };
    let migrated = Transfer {
        to_owner: None,
        to_slot: Some(Slot(3)),
        to_instance: Some(Instance(0)),
        ..transfer()
    };
    let items = vec![
        BatchItem::Transfer(Box::new(transfer())),
        BatchItem::Transfer(Box::new(migrated.clone())),
    ];
    let batch = Batch { mode: BatchMode::AllOrNothing, items };
    let all = vec![
        ("transfer", Request::Transfer(Box::new(transfer()))),
        ("transfer_full", Request::Transfer(Box::new(whole))),
        ("transfer_instance", Request::Transfer(Box::new(migrated))),
        ("batch_transfer", Request::Batch(Box::new(batch))),
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
    let done = Allocation { repeated: false, ..allocation() };
    let again = Allocation { repeated: true, ..allocation() };
    let reply = |one| (Status::OK, ReplyOrFailure::Reply(Reply::Allocation(Box::new(one))));
    let refused = |status| (status, ReplyOrFailure::Failure(Box::new(failure(status, Vec::new()))));
    let all = vec![
        ("transfer", reply(done)),
        ("transfer_again", reply(again)),
        ("failure_transfer_stale", refused(Status::STALE)),
        ("failure_transfer_key_in_use", refused(Status::KEY_IN_USE)),
    ];
    let sample = |(request_id, (name, (status, body)))| ReplySample {
        name: str::to_owned(name),
        opcode: Opcode::TRANSFER,
        request_id,
        status,
        body,
    };
    (FIRST..).zip(all).map(sample).collect()
}
