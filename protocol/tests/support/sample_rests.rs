//! Samples of quarantine: how long the addresses of a subnet rest, and how many of a project may.

use super::sample_replies::{failure, subnet};
use super::*;

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0800;

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let create = |quarantine_ms| SubnetCreate { quarantine_ms, ..subnet_create() };
    let update = |quarantine_ms| SubnetUpdate { quarantine_ms, ..subnet_update() };
    let quotas = Quotas { resting: Some(2_048), ..Quotas::default() };
    let project = ProjectCreate { quotas, ..ProjectCreate::default() };
    let quotas = QuotaSettings { resting: Setting::Null, ..QuotaSettings::default() };
    let change = ProjectUpdate { quotas, ..ProjectUpdate::default() };
    let all = vec![
        ("subnet_create_rests", Request::SubnetCreate(Box::new(create(Some(600_000))))),
        ("subnet_create_without_rests", Request::SubnetCreate(Box::new(create(Some(0))))),
        ("subnet_update_rests", Request::SubnetUpdate(Box::new(update(Setting::Value(1_500))))),
        ("subnet_update_default_rests", Request::SubnetUpdate(Box::new(update(Setting::Null)))),
        ("project_create_resting", Request::ProjectCreate(Box::new(project))),
        ("project_update_resting", Request::ProjectUpdate(Box::new(change))),
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
    let rested = Subnet { quarantine_ms: 30_000, ..subnet() };
    let quota =
        Detail::Quota { resource: QuotaResource::Resting, limit: 1_024, used: 1_025, asked: 1 };
    let refused = |status, details| {
        let refused = Failure { retry_after_ms: 29_500, ..failure(status, details) };
        (status, ReplyOrFailure::Failure(Box::new(refused)))
    };
    let done = (Status::OK, ReplyOrFailure::Reply(Reply::Subnet(Box::new(rested))));
    let all = vec![
        ("subnet_rests", Opcode::SUBNET_GET, done),
        ("failure_resting", Opcode::ALLOCATE, refused(Status::ADDRESS_RESTING, Vec::new())),
        ("failure_resting_limit", Opcode::ALLOCATE, refused(Status::RESTING_LIMIT, vec![quota])),
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
