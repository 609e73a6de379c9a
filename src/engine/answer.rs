//! Decides one operation on a shard, around what only the engine knows (time-outs, pressure), and
//! encodes the answer. Never delivers it.

use super::operation::Operation;
use super::pressure::{Pressure, Refuse};
use crate::allocator::{self, Answer, At, Shard};
use crate::limits;
use crate::model::{EffectSink, Status, Text};
use addrd_protocol::codec;
use addrd_protocol::message::{BatchItem, Detail, Failure, Request};
use bytes::BytesMut;

/// Decides `operation` on the one shard that owns its network.
pub(super) fn decide(
    shard: &mut Shard,
    at: &At,
    refuse: Refuse,
    operation: &Operation,
    sink: &mut impl EffectSink,
) -> Answer {
    admit(at, refuse, operation)?;
    shard.apply(at, &operation.scope, &operation.request, sink)
}

/// Refuses what came too late, or what the storage has no room for. Nothing is changed.
///
/// # Errors
/// `TIMED_OUT`, `BUSY` or `STORAGE_FULL`.
pub(super) fn admit(at: &At, refuse: Refuse, operation: &Operation) -> Result<(), Box<Failure>> {
    if operation.expires.is_some_and(|expires| expires < at.tick) {
        return Err(failure(Status::TIMED_OUT, 0, timed_out(operation)));
    }
    if refuse == Refuse::Nothing || !allocator::is_mutation(&operation.request) {
        return Ok(());
    }
    match refuse {
        Refuse::Growth if !allocator::is_freeing(&operation.request) => Err(failure(
            Status::STORAGE_FULL,
            Pressure::FULL_RETRY_MS,
            "the disk is nearly full: only reads, releases and deletions are served until there is \
             room",
        )),
        Refuse::Nothing | Refuse::Growth => Ok(()),
        Refuse::Mutations => Err(busy("journal_records_max", Pressure::JOURNAL_RETRY_MS)),
    }
}

/// What to tell of an operation that came too late. Each worker judges its own part of what all of them
/// change, so another may have been in time.
fn timed_out(operation: &Operation) -> &'static str {
    let Operation { scope, request, .. } = operation;
    if allocator::is_gathered(scope, request) && allocator::is_mutation(request) {
        "the time-out of the request passed while it waited; some workers may have done their part"
    } else {
        "the time-out of the request passed while it waited; nothing was done"
    }
}

/// Whether the records of an operation certainly fit behind `bytes` of records in one hand-over.
/// Only a batch or transaction, and many subnets that go into a pool, can need more than a drain keeps free.
#[must_use]
pub(super) fn fits(operation: &Operation, bytes: usize) -> bool {
    let most: usize = match &operation.request {
        Request::Batch(batch) => batch.items.iter().map(item_record_bytes_max).sum(),
        Request::Transaction(all) => {
            all.items.iter().map(|item| item_record_bytes_max(&item.operation)).sum()
        }
        Request::SubnetOnboard(_) | Request::RenewOwner(_) | Request::EndHost(_) => {
            limits::HAND_OVER_RECORD_BYTES_MAX
        }
        _ => return true,
    };
    let beside = limits::ENDED_RECORD_BYTES_MAX + limits::ASKED_RECORD_BYTES;
    let most = most.saturating_add(beside);
    bytes.saturating_add(most) <= limits::HAND_OVER_RECORD_BYTES_MAX
}

/// Bytes that the records of a batch item have at most.
fn item_record_bytes_max(item: &BatchItem) -> usize {
    match item {
        BatchItem::Allocate(_)
        | BatchItem::Release(_)
        | BatchItem::Update(_)
        | BatchItem::Renew(_)
        | BatchItem::HoldConfirm(_)
        | BatchItem::HoldCancel(_)
        | BatchItem::HoldRelease(_)
        | BatchItem::Transfer(_) => limits::BATCH_ITEM_RECORD_BYTES_MAX,
        BatchItem::PortCreate(_) | BatchItem::PortUpdate(_) | BatchItem::PortDelete(_) => {
            limits::PORT_RECORD_BYTES_MAX
        }
    }
}

/// A `BUSY` failure that names its bound.
#[must_use]
pub(super) fn busy(bound: &'static str, retry_after_ms: u32) -> Box<Failure> {
    let message = format!("overload: {bound} is reached; try again later");
    let mut refused = failure(Status::BUSY, retry_after_ms, &message);
    refused.details = vec![Detail::Bound { name: text(bound) }];
    refused
}

/// Appends the reply frame of one operation.
///
/// Panics: if the encoder refuses an answer of our own: a broken invariant stops the process.
pub(super) fn encode(operation: &Operation, answer: &Answer, frames: &mut BytesMut) {
    match answer {
        Ok((status, reply)) => {
            codec::encode_reply(operation.opcode, operation.request_id, *status, reply, frames);
        }
        Err(failure) => {
            codec::encode_failure(operation.opcode, operation.request_id, failure, frames);
        }
    }
}

/// Whether the answer is anything but done.
#[must_use]
pub(super) fn status_of(answer: &Answer) -> Status {
    match answer {
        Ok((status, _)) => *status,
        Err(failure) => failure.status,
    }
}

/// A failure with nothing but a message.
#[must_use]
pub(super) fn refusal(status: Status, message: &str) -> Box<Failure> {
    failure(status, 0, message)
}

fn failure(status: Status, retry_after_ms: u32, message: &str) -> Box<Failure> {
    Box::new(Failure {
        status,
        retry_after_ms,
        item: None,
        field: None,
        message: text(message),
        details: Vec::new(),
    })
}

fn text(message: &str) -> Text {
    // Our own sentences are short and without control characters.
    Text::new(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Scope;
    use crate::model::{Incarnation, NetworkId, OwnerId, ProjectId, Seq, Tick};
    use addrd_protocol::message::RenewOwner;
    use addrd_protocol::opcode::Opcode;

    fn renewal(network: u128) -> Operation {
        let owner = OwnerId::from_u128(7);
        Operation {
            request_id: 1,
            opcode: Opcode::RENEW_OWNER,
            scope: Scope {
                project: ProjectId::DEFAULT,
                network: NetworkId::from_u128(network),
                pool: false,
                network_project: None,
                restoring: false,
            },
            expires: Some(Tick(9)),
            request: Request::RenewOwner(RenewOwner { owner, instance: None, lease_ms: 5_000 }),
        }
    }

    #[test]
    fn only_what_one_worker_decides_is_told_that_nothing_was_done() {
        let at = At { tick: Tick(10), position: Seq(1), incarnation: Incarnation(1) };
        let told = |network| {
            let refused = admit(&at, Refuse::Nothing, &renewal(network)).unwrap_err();
            assert_eq!(refused.status, Status::TIMED_OUT);
            refused.message.ends_with("nothing was done")
        };
        assert!(told(1));
        assert!(!told(0), "other workers may have renewed theirs");
    }
}
