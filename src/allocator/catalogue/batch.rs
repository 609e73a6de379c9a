//! Batches on the prefixes of a pool: the loop is the shard's, the items are the catalogue's.
//! Decides only whether to go on.

use super::pool::Pool;
use super::projects::lost;
use super::{Catalogue, Tee};
use crate::allocator::batch::{check_count, run_items};
use crate::allocator::refusal::{Refused, unsupported};
use crate::allocator::shard::Answer;
use crate::model::{AllocationRow, Effect, EffectSink, NetworkHandle, ProjectId, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{Batch, BatchMode, BatchReply, BatchResult, Reply};

impl Catalogue {
    /// Applies a batch on a pool. On a refusal of the whole nothing is left behind.
    pub(super) fn batch(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        project: ProjectId,
        request: &Batch,
        sink: &mut impl EffectSink,
    ) -> Answer {
        check_count(request.items.len())?;
        let start = sink.bytes();
        let savepoint = self.prefixes.begin_undo(network);
        let before = self.prefixes_of(project);
        let is_whole = request.mode == BatchMode::AllOrNothing;
        self.prefixes.undo.is_whole = is_whole;
        let mut touched = Vec::new();
        let outcome = run_items(is_whole, &request.items, sink, |item, sink| {
            let mut tee = Tee::new(sink);
            let result = self.batch_item(pool, network, project, item, &mut tee);
            touched.extend(tee.bases());
            result
        });
        self.prefixes.undo.is_whole = false;
        let outcome = match outcome {
            Ok(results) if is_whole => {
                self.check_prefix_quota_since(project, before).map(|()| results)
            }
            outcome => outcome,
        };
        match outcome {
            Ok(results) => {
                self.prefixes.end_undo(savepoint);
                Ok((Status::OK, Reply::Batch(Box::new(BatchReply { results }))))
            }
            Err(refused) => {
                self.prefixes.take_back(savepoint);
                if !is_planted(Bug::RefusedBatchJournalled) {
                    sink.truncate(start);
                }
                self.forget(pool, &touched)?;
                Err(refused)
            }
        }
    }

    /// Applies one item.
    pub(super) fn batch_item(
        &mut self,
        pool: NetworkHandle,
        network: u32,
        project: ProjectId,
        item: &BatchItem,
        sink: &mut impl EffectSink,
    ) -> Result<BatchResult, Refused> {
        match item {
            BatchItem::Allocate(item) => {
                self.allocate_prefix(pool, network, project, item, sink).map(BatchResult::Allocated)
            }
            BatchItem::Release(item) => {
                let released = self.release_prefix(pool, network, item, sink)?;
                Ok(released.map_or(BatchResult::NotHeld, BatchResult::Released))
            }
            BatchItem::Update(item) => {
                let updated = self.update_prefix(pool, network, item, sink)?;
                Ok(BatchResult::Updated(Box::new(updated)))
            }
            BatchItem::Transfer(item) => {
                let transferred = self.transfer_prefix(pool, network, item, sink)?;
                Ok(BatchResult::Updated(Box::new(transferred)))
            }
            BatchItem::PortCreate(_) | BatchItem::PortUpdate(_) | BatchItem::PortDelete(_) => {
                Err(unsupported("items", "a port on a subnet pool"))
            }
            BatchItem::Renew(item) => {
                self.renew_prefix(pool, network, item, sink).map(BatchResult::Renewed)
            }
            BatchItem::HoldConfirm(_) | BatchItem::HoldCancel(_) | BatchItem::HoldRelease(_) => {
                Err(unsupported("items", "a hold of a prefix of a subnet pool"))
            }
        }
    }

    /// After prefixes were taken back: what the pool notes of them follows from what is held now.
    pub(super) fn forget(&mut self, pool: NetworkHandle, bases: &[u128]) -> Result<(), Refused> {
        let held: Vec<AllocationRow> =
            bases.iter().filter_map(|base| self.row_at(pool, *base)).collect();
        let noted: &mut Pool = self.pools.get_mut(&pool).ok_or_else(lost)?;
        // First all go: what was there before may overlap what came.
        bases.iter().for_each(|base| noted.note_gone(*base));
        held.iter().for_each(|row| self.note_prefix(row));
        Ok(())
    }
}

impl<S> Tee<'_, S> {
    /// Where the prefixes begin that came or went.
    pub(super) fn bases(&self) -> impl Iterator<Item = u128> {
        self.kept.iter().filter_map(|(_, effect)| base_of(effect))
    }
}

/// Where the prefix of an effect begins.
fn base_of(effect: &Effect) -> Option<u128> {
    match effect {
        Effect::AllocationPut(row) => Some(row.place.offset),
        Effect::AllocationGone { place, .. } => Some(place.offset),
        _ => None,
    }
}
