//! Batches: items in order, each for itself or all or nothing. Decides only whether to go on.

use super::Shard;
use super::ports::short;
use super::refusal::{Refused, limit, out_of_range};
use crate::limits::HAND_OVER_RECORD_BYTES_MAX;
use crate::model::EffectSink;
use addrd_protocol::message::batch::{BATCH_ITEMS_MAX, BatchItem};
use addrd_protocol::message::{Batch, BatchMode, BatchReply, BatchResult};

impl Shard {
    /// Applies a batch. On a refusal nothing is left behind: neither state, nor effects, nor
    /// revisions.
    pub(super) fn batch(
        &mut self,
        network: u32,
        request: &Batch,
        sink: &mut impl EffectSink,
    ) -> Result<BatchReply, Refused> {
        check_count(request.items.len())?;
        let start = sink.bytes();
        let savepoint = self.begin_undo(network);
        self.undo.is_whole = request.mode == BatchMode::AllOrNothing;
        let is_whole = self.undo.is_whole;
        let run = |item: &BatchItem, sink: &mut _| self.batch_item(network, item, sink);
        let outcome = run_items(is_whole, &request.items, sink, run);
        self.undo.is_whole = false;
        let outcome = match outcome {
            Ok(results) if is_whole => self.pay_step(&savepoint).map(|()| results),
            outcome => outcome,
        };
        match outcome {
            Ok(results) => {
                self.end_undo(savepoint);
                Ok(BatchReply { results })
            }
            Err(refused) => {
                self.take_back(savepoint);
                sink.truncate(start);
                Err(refused)
            }
        }
    }

    /// Applies one item.
    pub(super) fn batch_item(
        &mut self,
        network: u32,
        item: &BatchItem,
        sink: &mut impl EffectSink,
    ) -> Result<BatchResult, Refused> {
        match item {
            BatchItem::Allocate(item) => {
                self.allocate(network, item, sink).map(BatchResult::Allocated)
            }
            BatchItem::Release(item) => {
                let released = self.release(network, item, sink)?;
                Ok(released.map_or(BatchResult::NotHeld, BatchResult::Released))
            }
            BatchItem::Update(item) => {
                let updated = self.allocation_update(network, item, sink)?;
                Ok(BatchResult::Updated(Box::new(updated)))
            }
            BatchItem::Transfer(item) => {
                let transferred = self.transfer(network, item, sink)?;
                Ok(BatchResult::Updated(Box::new(transferred)))
            }
            BatchItem::Renew(item) => self.renew(network, item, sink).map(BatchResult::Renewed),
            BatchItem::HoldConfirm(item) => {
                let ended = self.hold_confirm(network, item, sink)?;
                Ok(ended.map_or(BatchResult::NotHeld, BatchResult::HoldEnded))
            }
            BatchItem::HoldRelease(item) => {
                let ended = self.hold_release(network, item, sink)?;
                Ok(ended.map_or(BatchResult::NotHeld, BatchResult::HoldEnded))
            }
            BatchItem::HoldCancel(item) => {
                let ended = self.hold_cancel(network, item, sink)?;
                Ok(ended.map_or(BatchResult::NotHeld, BatchResult::HoldEnded))
            }
            BatchItem::PortCreate(item) => self
                .port_create(network, item, sink)
                .map(|port| BatchResult::Port(Box::new(short(port)))),
            BatchItem::PortUpdate(item) => self
                .port_update(network, item, sink)
                .map(|port| BatchResult::Port(Box::new(short(port)))),
            BatchItem::PortDelete(item) => {
                self.port_delete(network, item, sink).map(|()| BatchResult::PortDeleted)
            }
        }
    }
}

/// Refuses a batch without items, or with too many.
pub(super) fn check_count(count: usize) -> Result<(), Refused> {
    if (1..=BATCH_ITEMS_MAX).contains(&count) {
        return Ok(());
    }
    Err(out_of_range("items", count as u128, 1, BATCH_ITEMS_MAX as u128))
}

/// Does the items in order. On a refusal of the whole, the caller takes back what was done.
pub(super) fn run_items<I, S: EffectSink>(
    is_whole: bool,
    items: &[I],
    sink: &mut S,
    mut run: impl FnMut(&I, &mut S) -> Result<BatchResult, Refused>,
) -> Result<Vec<BatchResult>, Refused> {
    let start = sink.bytes();
    let mut results = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        match run(item, sink) {
            Ok(result) => results.push(result),
            Err(mut refused) => {
                refused.item = u16::try_from(number).ok();
                if is_whole {
                    return Err(refused);
                }
                results.push(BatchResult::Failed(refused));
            }
        }
        let bytes = sink.bytes() - start;
        if bytes > HAND_OVER_RECORD_BYTES_MAX {
            let most = HAND_OVER_RECORD_BYTES_MAX as u128;
            let mut refused = limit("HAND_OVER_RECORD_BYTES_MAX", bytes as u128, most);
            refused.item = u16::try_from(number).ok();
            return Err(refused);
        }
    }
    Ok(results)
}
