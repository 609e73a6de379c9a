//! Holds: confirm and cancel what was allocated under a token.

use super::unexpected;
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::{
    Batch, BatchItem, BatchMode, BatchReply, BatchResult, HoldEnd, HoldEnded, HoldRelease, Reply,
    Request,
};
use std::collections::BTreeMap;

/// Holds that are ended in one batch. Confirming writes what is held with its texts, and a server has room for
/// the records of 218 of the longest in one step (SPEC.md section 9, "Holds").
const HOLDS_PER_BATCH: usize = 200;

/// What has become of one of many holds: `None` = there was nothing to cancel any more.
pub type HoldOutcome = Result<Option<HoldEnded>, Error>;

impl Client {
    /// Makes a hold an allocation, or carries a held release out. Sent again it says `repeated`, or `None`
    /// where a release was confirmed before.
    ///
    /// A hold that ran out is confirmed all the same while its address rests for it, for at least 10
    /// minutes; the reply says `late`.
    ///
    /// # Errors
    /// Refused: `HOLD_OVER` (nothing keeps its address any more), `OTHER_TOKEN`, `STALE`, `KEY_IN_USE`
    /// (late, and the key holds another address), `QUOTA` (late), `NOT_FOUND` (the network); others see
    /// [`Error`].
    pub async fn hold_confirm(
        &self,
        network: NetworkId,
        hold: HoldEnd,
    ) -> Result<Option<HoldEnded>, Error> {
        self.end_hold(network, &Request::HoldConfirm(hold)).await
    }

    /// Ends a hold: frees its address at once, or leaves to its owner what was to be released. `None`: there
    /// is none any more.
    ///
    /// # Errors
    /// Refused: `HOLD_CONFIRMED`, `OTHER_TOKEN`, `STALE`, `NOT_FOUND` (the network); others see
    /// [`Error`].
    pub async fn hold_cancel(
        &self,
        network: NetworkId,
        hold: HoldEnd,
    ) -> Result<Option<HoldEnded>, Error> {
        self.end_hold(network, &Request::HoldCancel(hold)).await
    }

    /// Releases an allocation once that is confirmed; until then, and if it is cancelled or nobody confirms it
    /// in time, its owner keeps it. `None`: nothing is held there.
    ///
    /// # Errors
    /// Refused: `OTHER_TOKEN`, `STALE`, `NOT_HOLDER`, `NOT_FOUND` (the network); others see [`Error`].
    pub async fn hold_release(
        &self,
        network: NetworkId,
        release: HoldRelease,
    ) -> Result<Option<HoldEnded>, Error> {
        self.end_hold(network, &Request::HoldRelease(Box::new(release))).await
    }

    async fn end_hold(
        &self,
        network: NetworkId,
        request: &Request,
    ) -> Result<Option<HoldEnded>, Error> {
        match self.call(&self.scope(network), request).await? {
            Reply::HoldEnded(ended) => Ok(Some(ended)),
            Reply::Empty => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Confirms holds on any number of networks, each for itself, as many as can be: whoever calls has
    /// committed already. Outcomes stand in the order of the holds.
    pub async fn holds_confirm(&self, holds: &[(NetworkId, HoldEnd)]) -> Vec<HoldOutcome> {
        self.end_holds(holds, BatchItem::HoldConfirm).await
    }

    /// Cancels holds on any number of networks, each for itself. Outcomes stand in the order of the
    /// holds.
    pub async fn holds_cancel(&self, holds: &[(NetworkId, HoldEnd)]) -> Vec<HoldOutcome> {
        self.end_holds(holds, BatchItem::HoldCancel).await
    }

    async fn end_holds(
        &self,
        holds: &[(NetworkId, HoldEnd)],
        item: fn(HoldEnd) -> BatchItem,
    ) -> Vec<HoldOutcome> {
        let mut of_networks: BTreeMap<NetworkId, Vec<usize>> = BTreeMap::new();
        for (place, (network, _)) in holds.iter().enumerate() {
            of_networks.entry(*network).or_default().push(place);
        }
        let mut outcomes: Vec<(usize, HoldOutcome)> = Vec::with_capacity(holds.len());
        for (network, places) in of_networks {
            for places in places.chunks(HOLDS_PER_BATCH) {
                let named = places.iter().filter_map(|place| holds.get(*place));
                let items = named.map(|(_, hold)| item(*hold)).collect();
                let batch = Batch { mode: BatchMode::Independent, items };
                let reply = self.batch(network, batch).await;
                outcomes.extend(places.iter().copied().zip(of_items(reply, places.len())));
            }
        }
        outcomes.sort_by_key(|(place, _)| *place);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// The outcome of each item: a batch that got no answer is every item's.
fn of_items(reply: Result<BatchReply, Error>, count: usize) -> Vec<HoldOutcome> {
    let all = |error: Error| vec![Err(error); count];
    match reply {
        Ok(reply) if reply.results.len() == count => {
            reply.results.into_iter().map(of_item).collect()
        }
        Ok(reply) => all(unexpected(&Reply::Batch(Box::new(reply)))),
        Err(error) => all(error),
    }
}

fn of_item(result: BatchResult) -> HoldOutcome {
    match result {
        BatchResult::HoldEnded(ended) => Ok(Some(ended)),
        BatchResult::NotHeld => Ok(None),
        BatchResult::Failed(failure) => Err(Error::Refused(failure)),
        other => {
            let reply = BatchReply { results: vec![other] };
            Err(unexpected(&Reply::Batch(Box::new(reply))))
        }
    }
}
