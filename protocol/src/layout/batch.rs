//! Layouts of batches. A reply always fits its frame: details of failures give way first.

use super::allocation::ALLOCATION_BYTES_MAX;
use super::failure::{FAILURE_BYTES_BARE_MAX, read_failure, write_failure};
use super::{Layout, Read};
use crate::codec::{BATCH_RESULT_BYTES_MAX, REPLY_BYTES_MAX, batch_reply_bytes_max};
use crate::error::{DecodeError, Fault};
use crate::header::REPLY_HEADER_BYTES;
use crate::message::batch::{BATCH_ITEMS_MAX, Batch, BatchItem, BatchReply, BatchResult};
use crate::message::{
    Allocate, Allocated, AllocationUpdate, HoldEnd, HoldEnded, HoldRelease, Release, Released,
    Renew, Renewed, Transfer,
};
use crate::status::Status;
use crate::wire::{ITEM_HEADER_BYTES, Reader, Writer, limit, within};

/// Least bytes of an item: kind, reserved, and a release.
const ITEM_BYTES_MIN: usize = 2 + 32;
/// Least bytes of a result: kind and reserved.
const RESULT_BYTES_MIN: usize = 2;
/// Bytes before the first item of a batch or its reply.
const BATCH_BYTES: usize = 8;
/// Most bytes of a result with its length, without details of a failure.
const RESULT_BYTES_BARE_MAX: usize = ITEM_HEADER_BYTES + RESULT_BYTES_MIN + ALLOCATION_BYTES_MAX;

const _: () = assert!(
    batch_reply_bytes_max(BATCH_ITEMS_MAX) <= REPLY_BYTES_MAX as usize,
    "the reply to a batch always fits one frame"
);
const _: () = assert!(
    RESULT_BYTES_BARE_MAX <= BATCH_RESULT_BYTES_MAX,
    "every result fits, if a failure without details"
);
const _: () = assert!(
    FAILURE_BYTES_BARE_MAX + 8 <= ALLOCATION_BYTES_MAX && 2 * 56 <= ALLOCATION_BYTES_MAX,
    "an updated allocation is the longest result"
);

const _: () = assert!(
    super::port::PORT_RESULT_BYTES_MAX <= ALLOCATION_BYTES_MAX,
    "an updated allocation is longer than the result of a port"
);

const ALLOCATE: u8 = 1;
const RELEASE: u8 = 2;
const UPDATE: u8 = 3;
const NOT_HELD: u8 = 4;
const FAILED: u8 = 5;
const PORT: u8 = 6;
const PORT_DELETED: u8 = 7;
const RENEWED: u8 = 8;
const HOLD_ENDED: u8 = 9;

const PORT_CREATE: u8 = 4;
const PORT_UPDATE: u8 = 5;
const PORT_DELETE: u8 = 6;
const RENEW: u8 = 7;
const HOLD_CONFIRM: u8 = 8;
const HOLD_CANCEL: u8 = 9;
const HOLD_RELEASE: u8 = 10;
const TRANSFER: u8 = 11;

fn unknown_kind<T>(kind: u8) -> Read<T> {
    Err(DecodeError::new(Fault::Unknown { value: kind.into() }, "kind"))
}

/// Reads the body of an item of this kind, and everything up to its end.
pub(super) fn read_operation(kind: u8, reader: &mut Reader<'_>) -> Read<BatchItem> {
    match kind {
        ALLOCATE => {
            let allocate = Allocate::read(reader)?;
            if allocate.flags.want_subnet {
                // Settings of 1,024 subnets would not fit the reply.
                return Err(DecodeError::new(Fault::Conflict, "want_subnet"));
            }
            Ok(BatchItem::Allocate(allocate))
        }
        RELEASE => Release::read(reader).map(BatchItem::Release),
        UPDATE => Box::<AllocationUpdate>::read(reader).map(BatchItem::Update),
        PORT_CREATE => Layout::read(reader).map(BatchItem::PortCreate),
        PORT_UPDATE => Layout::read(reader).map(BatchItem::PortUpdate),
        PORT_DELETE => Layout::read(reader).map(BatchItem::PortDelete),
        RENEW => Renew::read(reader).map(BatchItem::Renew),
        HOLD_CONFIRM => HoldEnd::read(reader).map(BatchItem::HoldConfirm),
        HOLD_CANCEL => HoldEnd::read(reader).map(BatchItem::HoldCancel),
        HOLD_RELEASE => Box::<HoldRelease>::read(reader).map(BatchItem::HoldRelease),
        TRANSFER => Box::<Transfer>::read(reader).map(BatchItem::Transfer),
        kind => unknown_kind(kind),
    }
}

/// Appends the body of an item.
pub(super) fn write_operation(item: &BatchItem, writer: &mut Writer<'_>) {
    match item {
        BatchItem::Allocate(allocate) => allocate.write(writer),
        BatchItem::Release(release) => release.write(writer),
        BatchItem::Update(update) => update.write(writer),
        BatchItem::PortCreate(create) => create.write(writer),
        BatchItem::PortUpdate(update) => update.write(writer),
        BatchItem::PortDelete(delete) => delete.write(writer),
        BatchItem::Renew(renew) => renew.write(writer),
        BatchItem::HoldConfirm(end) | BatchItem::HoldCancel(end) => end.write(writer),
        BatchItem::HoldRelease(release) => release.write(writer),
        BatchItem::Transfer(transfer) => transfer.write(writer),
    }
}

impl BatchItem {
    /// The number of its kind.
    pub(super) const fn kind(&self) -> u8 {
        match self {
            Self::Allocate(_) => ALLOCATE,
            Self::Release(_) => RELEASE,
            Self::Update(_) => UPDATE,
            Self::PortCreate(_) => PORT_CREATE,
            Self::PortUpdate(_) => PORT_UPDATE,
            Self::PortDelete(_) => PORT_DELETE,
            Self::Renew(_) => RENEW,
            Self::HoldConfirm(_) => HOLD_CONFIRM,
            Self::HoldCancel(_) => HOLD_CANCEL,
            Self::HoldRelease(_) => HOLD_RELEASE,
            Self::Transfer(_) => TRANSFER,
        }
    }
}

impl Layout for BatchItem {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let kind = reader.u8("kind")?;
        reader.zero::<1>("reserved")?;
        read_operation(kind, reader)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(&[self.kind(), 0]);
        write_operation(self, writer);
    }
}

impl Layout for Batch {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mode = reader.numbered("mode")?;
        reader.zero::<1>("reserved")?;
        let count = usize::from(reader.u16("items")?);
        reader.zero::<4>("reserved")?;
        limit(count, BATCH_ITEMS_MAX, "items")?;
        within(u64::from(count > 0), 1, 1, "items")?;
        let items = reader.items(count, ITEM_BYTES_MIN, BatchItem::read)?;
        reader.no_tags()?;
        Ok(Self { mode, items })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.numbered(self.mode);
        writer.u8(0);
        writer.count16(self.items.len());
        writer.u32(0);
        self.items.iter().for_each(|item| writer.item(|w| item.write(w)));
    }
}

fn read_result(reader: &mut Reader<'_>) -> Read<BatchResult> {
    let kind = reader.u8("kind")?;
    reader.zero::<1>("reserved")?;
    match kind {
        ALLOCATE => Allocated::read(reader).map(BatchResult::Allocated),
        RELEASE => Released::read(reader).map(BatchResult::Released),
        UPDATE => Layout::read(reader).map(BatchResult::Updated),
        NOT_HELD => reader.no_tags().map(|()| BatchResult::NotHeld),
        PORT => Layout::read(reader).map(BatchResult::Port),
        PORT_DELETED => reader.no_tags().map(|()| BatchResult::PortDeleted),
        RENEWED => Renewed::read(reader).map(BatchResult::Renewed),
        HOLD_ENDED => HoldEnded::read(reader).map(BatchResult::HoldEnded),
        FAILED => {
            let status = Status(reader.u16("status")?);
            reader.zero::<2>("reserved")?;
            let retry_after_ms = reader.u32("retry_after_ms")?;
            if status.is_done() {
                return Err(DecodeError::new(Fault::Conflict, "status"));
            }
            let failure = read_failure(reader, status, retry_after_ms)?;
            Ok(BatchResult::Failed(Box::new(failure)))
        }
        kind => unknown_kind(kind),
    }
}

fn write_result(result: &BatchResult, details_bytes: usize, writer: &mut Writer<'_>) {
    let mut kind = |kind: u8| writer.slice(&[kind, 0]);
    match result {
        BatchResult::Allocated(allocated) => {
            kind(ALLOCATE);
            allocated.write(writer);
        }
        BatchResult::Released(released) => {
            kind(RELEASE);
            released.write(writer);
        }
        BatchResult::Updated(allocation) => {
            kind(UPDATE);
            allocation.write(writer);
        }
        BatchResult::NotHeld => kind(NOT_HELD),
        BatchResult::Port(port) => {
            kind(PORT);
            port.write(writer);
        }
        BatchResult::PortDeleted => kind(PORT_DELETED),
        BatchResult::Renewed(renewed) => {
            kind(RENEWED);
            renewed.write(writer);
        }
        BatchResult::HoldEnded(ended) => {
            kind(HOLD_ENDED);
            ended.write(writer);
        }
        BatchResult::Failed(failure) => {
            kind(FAILED);
            writer.u16(failure.status.0);
            writer.u16(0);
            writer.u32(failure.retry_after_ms);
            write_failure(failure, details_bytes, writer);
        }
    }
}

impl Layout for BatchReply {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let count = usize::from(reader.u16("results")?);
        reader.zero::<6>("reserved")?;
        limit(count, BATCH_ITEMS_MAX, "results")?;
        let results = reader.items(count, RESULT_BYTES_MIN, read_result)?;
        reader.no_tags()?;
        Ok(Self { results })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.count16(self.results.len());
        writer.slice(&[0; 6]);
        let most = batch_reply_bytes_max(self.results.len());
        let mut left = most.saturating_sub(REPLY_HEADER_BYTES).saturating_sub(BATCH_BYTES);
        // What every result may need without details is kept for it.
        let mut kept = self.results.len().saturating_mul(RESULT_BYTES_BARE_MAX);
        for result in &self.results {
            let before = writer.len();
            writer.item(|w| write_result(result, left.saturating_sub(kept), w));
            left = left.saturating_sub(writer.len().saturating_sub(before));
            kept = kept.saturating_sub(RESULT_BYTES_BARE_MAX);
        }
    }
}
