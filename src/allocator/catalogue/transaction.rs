//! Transactions: items of a batch on several networks and pools, all or nothing. Decides only whether
//! to go on; the items are the shards' and the catalogue's.
//!
//! Nothing is provisional, since every state that it needs is lent: it is done, or what was done is
//! taken back before anybody else can look.
//!
//! Source: docs/decisions/0022-transactions-through-the-sequencer.md.

use super::apply::owner_of;
use super::projects::lost;
use super::{Catalogue, Tee};
use crate::allocator::Shard;
use crate::allocator::accounts::{bring_credit, pay_together};
use crate::allocator::batch::{check_count, run_items};
use crate::allocator::refusal::Refused;
use crate::allocator::shard::{Answer, At, Scope};
use crate::allocator::undo::Savepoint;
use crate::limits::REST_SLICE_OBJECTS;
use crate::model::{EffectSink, NetworkHandle, PoolId, ProjectId, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{
    BatchItem, BatchReply, BatchResult, Reply, Transaction, TransactionItem,
};
use std::collections::{BTreeMap, BTreeSet};

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A network in a shard, and the project that asks if it is another's.
    Network { shard: usize, network: u32, guest: Option<ProjectId> },
    /// A pool, and its network in the catalogue's shard.
    Pool { handle: NetworkHandle, network: u32 },
}

/// One transaction on its way, and how to take it back.
struct Course<'a, 'b> {
    catalogue: &'a mut Catalogue,
    shards: &'a mut [&'b mut Shard],
    project: ProjectId,
    /// Places that can be taken back.
    begun: BTreeSet<Place>,
    /// How networks in shards were, in the order in which items came to them.
    networks: Vec<(usize, Savepoint)>,
    /// The same for pools.
    pools: Vec<Savepoint>,
    /// Where prefixes of pools came or went.
    touched: BTreeMap<NetworkHandle, Vec<u128>>,
}

/// Applies a transaction. `shards` are all shards, by worker.
///
/// # Errors
/// The refusal of the first item in the way, with its number, or of the whole; state and sink are
/// then as before.
pub(super) fn apply_transaction(
    catalogue: &mut Catalogue,
    shards: &mut [&mut Shard],
    at: &At,
    scope: &Scope,
    request: &Transaction,
    sink: &mut impl EffectSink,
) -> Answer {
    check_count(request.items.len())?;
    let start = sink.bytes();
    let prefixes = catalogue.prefixes_of(scope.project);
    let mut course = Course::begin(catalogue, shards, at, scope.project);
    let run = |item: &TransactionItem, sink: &mut _| course.run(item, sink);
    let done = run_items(true, &request.items, sink, run);
    let done = done.and_then(|results| course.pay(prefixes).map(|()| results));
    match done {
        Ok(results) => {
            course.end();
            Ok((Status::OK, Reply::Batch(Box::new(BatchReply { results }))))
        }
        Err(refused) => {
            course.take_back()?;
            sink.truncate(start);
            Err(refused)
        }
    }
}

impl<'a, 'b> Course<'a, 'b> {
    fn begin(
        catalogue: &'a mut Catalogue,
        shards: &'a mut [&'b mut Shard],
        at: &At,
        project: ProjectId,
    ) -> Self {
        let budget = REST_SLICE_OBJECTS / shards.len().max(1);
        for shard in shards.iter_mut() {
            shard.set_time(at);
            shard.rest_budget = budget;
            shard.undo.is_whole = true;
        }
        catalogue.set_time(at);
        catalogue.prefixes.undo.is_whole = true;
        Self {
            catalogue,
            shards,
            project,
            begun: BTreeSet::new(),
            networks: Vec::new(),
            pools: Vec::new(),
            touched: BTreeMap::new(),
        }
    }

    fn run(
        &mut self,
        item: &TransactionItem,
        sink: &mut impl EffectSink,
    ) -> Result<BatchResult, Refused> {
        let place = self.place_of(item)?;
        let is_new = self.begun.insert(place);
        match place {
            Place::Network { shard: at, network, guest } => {
                if let BatchItem::Transfer(transfer) = &item.operation
                    && let Some(project) = transfer.to_project.filter(|to| *to != self.project)
                {
                    // It pays at once, also with what was freed in another shard.
                    bring_credit(self.shards, at, project);
                }
                let shard = &mut *self.shards[at];
                shard.act_for(guest);
                if is_new {
                    self.networks.push((at, shard.begin_undo(network)));
                }
                shard.batch_item(network, &item.operation, sink)
            }
            Place::Pool { handle, network } => {
                let catalogue = &mut *self.catalogue;
                catalogue.prefixes.act_for(Some(self.project));
                if is_new {
                    self.pools.push(catalogue.prefixes.begin_undo(network));
                }
                let mut tee = Tee::new(sink);
                let operation = &item.operation;
                let done = catalogue.batch_item(handle, network, self.project, operation, &mut tee);
                self.touched.entry(handle).or_default().extend(tee.bases());
                done
            }
        }
    }

    fn place_of(&self, item: &TransactionItem) -> Result<Place, Refused> {
        if item.pool {
            let id = PoolId(item.network.0);
            self.catalogue.check_project(self.project)?;
            let handle = self.catalogue.pool_of(self.project, "network", id)?.row.handle;
            let network = self.catalogue.prefixes.find_network_handle(handle).ok_or_else(lost)?;
            return Ok(Place::Pool { handle, network });
        }
        let scope = Scope::of_item(self.project, item);
        let shard = owner_of(self.shards, &scope)?;
        let network = self.shards[shard].network_of(&scope)?;
        Ok(Place::Network { shard, network, guest: scope.guest() })
    }

    /// Takes the units of all that was done; the project had so many prefixes before.
    fn pay(&mut self, prefixes: u64) -> Result<(), Refused> {
        self.catalogue.check_prefix_quota_since(self.project, prefixes)?;
        let paid = if is_planted(Bug::TransactionPaidInPart) { 1 } else { self.networks.len() };
        let paid = self.networks.get(..paid).unwrap_or_default();
        pay_together(self.shards, self.project, paid)
    }

    fn end(mut self) {
        while let Some((shard, savepoint)) = self.networks.pop() {
            self.shards[shard].end_undo(savepoint);
        }
        while let Some(savepoint) = self.pools.pop() {
            self.catalogue.prefixes.end_undo(savepoint);
        }
        self.rest();
    }

    /// Takes back what came last first.
    fn take_back(mut self) -> Result<(), Refused> {
        while let Some((shard, savepoint)) = self.networks.pop() {
            if is_planted(Bug::TransactionKeptInPart) && !self.networks.is_empty() {
                self.shards[shard].end_undo(savepoint);
                continue;
            }
            self.shards[shard].take_back(savepoint);
        }
        while let Some(savepoint) = self.pools.pop() {
            self.catalogue.prefixes.take_back(savepoint);
        }
        for (pool, bases) in &self.touched {
            self.catalogue.forget(*pool, bases)?;
        }
        self.rest();
        Ok(())
    }

    /// Nobody is acted for any more, and what follows stands for itself.
    fn rest(self) {
        self.catalogue.prefixes.undo.is_whole = false;
        self.catalogue.prefixes.act_for(None);
        for shard in self.shards {
            shard.undo.is_whole = false;
            shard.act_for(None);
        }
    }
}
