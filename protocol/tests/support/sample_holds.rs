//! Samples of holds: reserved under a token, then confirmed or cancelled.

use super::sample_replies::failure;
use super::*;

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0900;

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let hold = |hold_ms| {
        let extras = AllocateExtras { hold_token: Some(TOKEN), hold_ms, ..Default::default() };
        Allocate { extras: Some(Box::new(extras)), ..plain_allocate() }
    };
    let of_token = |item| {
        let hold_item = Some(item);
        let extras = AllocateExtras { hold_token: Some(TOKEN), hold_item, ..Default::default() };
        Allocate { slot: Slot(0), extras: Some(Box::new(extras)), ..plain_allocate() }
    };
    let by_address = Target::Address(read("fd00:64::2"));
    let end = |target| HoldEnd { target, revision: REVISION, token: TOKEN, release: false };
    let release = |target, fences, hold_ms| HoldRelease { target, fences, token: TOKEN, hold_ms };
    let of_release = |target| HoldEnd { release: true, ..end(target) };
    let released =
        |target, fences, hold_ms| Request::HoldRelease(Box::new(release(target, fences, hold_ms)));
    let items = vec![
        BatchItem::Allocate(hold(None)),
        BatchItem::HoldConfirm(end(key())),
        BatchItem::HoldCancel(end(by_address)),
    ];
    let batch = Batch { mode: BatchMode::Independent, items };
    let held = Box::new(release(key(), Fences::default(), None));
    let items = vec![BatchItem::HoldRelease(held), BatchItem::HoldConfirm(of_release(key()))];
    let releases = Batch { mode: BatchMode::AllOrNothing, items };
    let all = vec![
        ("allocate_held", Request::Allocate(hold(None))),
        ("allocate_held_for_long", Request::Allocate(hold(Some(315_360_000_000)))),
        ("hold_confirm_by_key", Request::HoldConfirm(end(key()))),
        ("hold_confirm_by_address", Request::HoldConfirm(end(by_address))),
        ("hold_cancel_by_key", Request::HoldCancel(end(key()))),
        ("hold_cancel_by_address", Request::HoldCancel(end(by_address))),
        ("batch_holds", Request::Batch(Box::new(batch))),
        ("hold_release", released(key(), Fences::default(), None)),
        ("hold_release_all_fences", released(by_address, all_fences(), Some(30_000))),
        ("hold_confirm_release", Request::HoldConfirm(of_release(key()))),
        ("hold_cancel_release", Request::HoldCancel(of_release(by_address))),
        ("batch_hold_release", Request::Batch(Box::new(releases))),
        ("allocate_held_item", Request::Allocate(of_token(7))),
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
    let confirmed = HoldEnded {
        address: read("10.0.0.2"),
        length: 32,
        revision: REVISION,
        state: AllocationState::Allocated,
        repeated: false,
        late: true,
    };
    let cancelled = HoldEnded {
        address: read("fd00:64::2"),
        length: 128,
        state: AllocationState::Free,
        late: false,
        ..confirmed
    };
    let gone = HoldEnded { state: AllocationState::Quarantined, ..cancelled };
    let again = HoldEnded { repeated: true, late: false, ..confirmed };
    let quota = Detail::Bounds { value: 65_537, least: 0, most: 65_536 };
    let done = |ended| (Status::OK, ReplyOrFailure::Reply(Reply::HoldEnded(ended)));
    let refused = |status, details, retry_after_ms| {
        let refused = Failure { retry_after_ms, ..failure(status, details) };
        (status, ReplyOrFailure::Failure(Box::new(refused)))
    };
    let over = Failure { item: Some(1), ..failure(Status::HOLD_OVER, Vec::new()) };
    let results = vec![BatchResult::HoldEnded(cancelled), BatchResult::Failed(Box::new(over))];
    let batch = Reply::Batch(Box::new(BatchReply { results }));
    let all = vec![
        ("hold_confirm_late", Opcode::HOLD_CONFIRM, done(confirmed)),
        ("hold_confirm_again", Opcode::HOLD_CONFIRM, done(again)),
        ("hold_cancel", Opcode::HOLD_CANCEL, done(cancelled)),
        ("batch_holds", Opcode::BATCH, (Status::OK, ReplyOrFailure::Reply(batch))),
        ("hold_release", Opcode::HOLD_RELEASE, done(again)),
        ("hold_confirm_release", Opcode::HOLD_CONFIRM, done(gone)),
        ("failure_hold_over", Opcode::HOLD_CONFIRM, refused(Status::HOLD_OVER, Vec::new(), 0)),
        ("failure_other_token", Opcode::ALLOCATE, refused(Status::OTHER_TOKEN, Vec::new(), 500)),
        ("failure_confirmed", Opcode::HOLD_CANCEL, refused(Status::HOLD_CONFIRMED, Vec::new(), 0)),
        ("failure_hold_limit", Opcode::ALLOCATE, refused(Status::HOLD_LIMIT, vec![quota], 0)),
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
