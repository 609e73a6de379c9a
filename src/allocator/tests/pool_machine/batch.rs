//! Batches on a pool, each for itself and all or nothing.

use super::*;
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{Batch, BatchMode, BatchResult};

/// What an item does to the model.
enum Planned {
    Refused,
    Given { cells: Cells, repeated: bool },
    Released(bool),
}

impl Machine {
    /// Some allocates and releases on one pool, of few owners, so that items meet each other.
    pub(super) fn batch(&mut self) {
        let (number, project) = (self.a_pool(), self.number(PROJECTS));
        let Some(mut known) = self.model.pools.get(&number).cloned() else { return };
        let (mut items, mut planned) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.dice.roll(6) {
            let owner = self.number(6);
            if self.dice.once_in(3) {
                items.push(BatchItem::Release(release(1_000 + owner)));
                planned.push(Planned::Released(known.release(project, owner)));
                continue;
            }
            let (request, got) = self.one_prefix(&known, project, owner);
            let until = self.until(&request);
            items.push(BatchItem::Allocate(request));
            planned.push(got.map_or(Planned::Refused, |(cells, repeated)| {
                if !repeated {
                    known.taken.push(Taken { cells, project, by: By::Owner(owner), until });
                }
                Planned::Given { cells, repeated }
            }));
        }
        let mode = match self.dice.once_in(2) {
            true => BatchMode::AllOrNothing,
            false => BatchMode::Independent,
        };
        let refused = planned.iter().any(|one| matches!(one, Planned::Refused));
        let is_whole = mode == BatchMode::Independent || !refused;
        let expected = known.is_seen_by(project) && is_whole;
        let request = Request::Batch(Box::new(Batch { mode, items }));
        let Some(reply) = self.ask(&in_pool(project, number), &request, expected) else { return };
        let Reply::Batch(reply) = reply else { panic!("{reply:?}") };
        assert_eq!(reply.results.len(), planned.len());
        for (result, planned) in reply.results.iter().zip(&planned) {
            agree(result, planned);
        }
        self.model.pools.insert(number, known);
    }
}

fn agree(result: &BatchResult, planned: &Planned) {
    match (result, planned) {
        (BatchResult::Failed(_), Planned::Refused)
        | (BatchResult::NotHeld, Planned::Released(false))
        | (BatchResult::Released(_), Planned::Released(true)) => {}
        (BatchResult::Allocated(done), Planned::Given { cells, repeated }) => {
            let given = Prefix::new(done.first.address, done.first.length).unwrap();
            assert_eq!((cells_of(&given), done.first.repeated), (*cells, *repeated), "{given}");
        }
        (result, _) => panic!("another result was expected: {result:?}"),
    }
}
