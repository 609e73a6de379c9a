//! Failures that connections answer by themselves, and how long replies may be. Sends nothing.

use addrd_protocol::codec::{
    HISTORY_REPLY_BYTES_MAX, PORT_REPLY_BYTES_MAX, PRINCIPAL_REPLY_BYTES_MAX, REPLY_BYTES_MAX,
    SUBNET_REPLY_BYTES_MAX, batch_reply_bytes_max,
};
use addrd_protocol::message::batch::BATCH_ITEMS_MAX;
use addrd_protocol::message::{Detail, Failure};
use addrd_protocol::{Opcode, Status, Text};

use crate::limits::{BACKUP_BLOCK_BYTES_MAX, REPLY_BYTES_PLAIN};

/// Most bytes of the reply to a request, from what its header tells.
///
/// Shape: a batch or transaction has one result for each item, and an item has at least 36 bytes; everything that
/// lists objects may fill a frame.
#[inline]
pub(super) fn reply_bytes_max(opcode: Opcode, frame_bytes: usize) -> usize {
    match opcode {
        Opcode::ALLOCATE | Opcode::RELEASE | Opcode::PING => REPLY_BYTES_PLAIN,
        Opcode::BATCH | Opcode::TRANSACTION => {
            let items = (frame_bytes / BATCH_ITEM_BYTES_MIN).clamp(1, BATCH_ITEMS_MAX);
            batch_reply_bytes_max(items).max(REPLY_BYTES_PLAIN)
        }
        Opcode::NETWORK_LIST
        | Opcode::SUBNET_LIST
        | Opcode::JOB_LIST
        | Opcode::USAGE
        | Opcode::FREE_RANGES
        | Opcode::ALLOCATION_LIST
        | Opcode::LOOKUP
        | Opcode::SEGMENT_LIST
        | Opcode::HOST_LIST
        | Opcode::PORT_LIST
        | Opcode::PIN_LIST
        | Opcode::PROJECT_LIST
        | Opcode::SCOPE_LIST
        | Opcode::POOL_LIST
        | Opcode::PRINCIPAL_LIST
        | Opcode::SUSPECT_LIST
        | Opcode::MANAGER_LIST
        | Opcode::HOST_LEASE_LIST => REPLY_BYTES_MAX as usize,
        Opcode::PRINCIPAL_CREATE
        | Opcode::PRINCIPAL_GET
        | Opcode::PRINCIPAL_UPDATE
        | Opcode::TOKEN_CREATE
        | Opcode::TOKEN_REVOKE => PRINCIPAL_REPLY_BYTES_MAX,
        Opcode::PORT_CREATE | Opcode::PORT_GET | Opcode::PORT_UPDATE => PORT_REPLY_BYTES_MAX,
        Opcode::HISTORY => HISTORY_REPLY_BYTES_MAX,
        Opcode::BACKUP_READ => REPLY_BYTES_PLAIN + BACKUP_BLOCK_BYTES_MAX,
        Opcode::SUBNET_CREATE
        | Opcode::SUBNET_GET
        | Opcode::SUBNET_UPDATE
        | Opcode::SUBNET_EXCLUDE
        | Opcode::SUBNET_INCLUDE => SUBNET_REPLY_BYTES_MAX,
        _ => REPLY_BYTES_PLAIN,
    }
}

/// Least bytes of a batch item with its length.
const BATCH_ITEM_BYTES_MIN: usize = 36;

/// A failure with a message for people.
pub(super) fn failure(status: Status, message: &str) -> Failure {
    Failure {
        status,
        retry_after_ms: 0,
        item: None,
        field: None,
        message: text(message),
        details: Vec::new(),
    }
}

/// A `BUSY` that names its bound.
pub(super) fn busy(bound: &str, retry_after_ms: u32) -> Failure {
    let message = format!("overload: {bound} is reached; try again later");
    let details = vec![Detail::Bound { name: text(bound) }];
    Failure { retry_after_ms, details, ..failure(Status::BUSY, &message) }
}

/// Our own sentences are short and without control characters.
pub(super) fn text(message: &str) -> Text {
    Text::new(message).unwrap_or_default()
}
