//! Samples of questions about history, and of their answers.

use super::sample_replies::failure;
use super::*;

const OTHER: ProjectId = ProjectId::from_u128(0xbbbb_bbbb_bbbb_4bbb_8bbb_bbbb_bbbb_bbbb);
/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0a00;

fn by_address() -> History {
    History {
        subject: HistorySubject::Address(read("10.0.0.2")),
        slot: None,
        oldest_first: false,
        from_ms: 0,
        to_ms: 1_764_273_000_000,
        limit: 1,
        cursor: None,
    }
}

fn cursor() -> Cursor {
    Cursor(vec![0x68, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4, 0xd2, 0, 0, 0, 0].into())
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let by_owner = History {
        subject: HistorySubject::Owner(OWNER),
        slot: Some(Slot(3)),
        oldest_first: true,
        from_ms: 1_764_000_000_000,
        to_ms: 0,
        limit: 0,
        cursor: Some(cursor()),
    };
    let all = [("history", by_address()), ("history_of_owner", by_owner)];
    let sample = |(number, (name, request)): (u64, (&str, History))| RequestSample {
        name: name.to_owned(),
        header: header(Opcode::HISTORY, number),
        request: Request::History(Box::new(request)),
    };
    (FIRST..).zip(all).map(sample).collect()
}

fn entry() -> HistoryEntry {
    HistoryEntry {
        time_ms: 1_764_272_999_040,
        position: Seq(1_235),
        incarnation: Incarnation(2),
        kind: HistoryKind::Allocated,
        revision: REVISION,
        fence: REVISION,
        address: read("10.0.0.2"),
        length: 32,
        network_id: NETWORK,
        subnet_id: SUBNET,
        project_id: PROJECT,
        owner: OWNER,
        slot: Slot(3),
        instance: Instance(9),
        ends_ms: 1_764_273_059_040,
        owner_name: some("web-1"),
        label: None,
        host: some("n1"),
        manager: None,
        network_project: None,
        trace: Some(Uuid::from_u128(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
        token: None,
    }
}

/// Replies of this room.
pub(super) fn replies() -> Vec<ReplySample> {
    let page = |items, next| HistoryPage {
        position: Seq(1_300),
        reach_ms: 1_764_000_000_000,
        incomplete: false,
        items,
        next,
    };
    let whole = HistoryEntry {
        kind: HistoryKind::ReleaseHeld,
        label: some("app=web"),
        manager: some("cni"),
        network_project: Some(OTHER),
        token: Some(Uuid::from_u128(7)),
        ..entry()
    };
    let gone = HistoryEntry {
        kind: HistoryKind::RestEnded,
        fence: Revision(0),
        owner: OwnerId::NIL,
        slot: Slot(0),
        instance: Instance(0),
        ends_ms: 0,
        owner_name: None,
        host: None,
        trace: None,
        address: read("fd00:64::2"),
        length: 128,
        ..entry()
    };
    let more = HistoryPage { incomplete: true, ..page(vec![whole, gone], Some(cursor())) };
    let done = |page| (Status::OK, ReplyOrFailure::Reply(Reply::History(Box::new(page))));
    let off = failure(Status::HISTORY_OFF, Vec::new());
    let all = vec![
        ("history", done(page(vec![entry()], None))),
        ("history_more", done(more)),
        ("history_none", done(page(Vec::new(), None))),
        ("failure_history_off", (Status::HISTORY_OFF, ReplyOrFailure::Failure(Box::new(off)))),
    ];
    let sample = |(request_id, (name, (status, body)))| ReplySample {
        name: str::to_owned(name),
        opcode: Opcode::HISTORY,
        request_id,
        status,
        body,
    };
    (FIRST..).zip(all).map(sample).collect()
}
