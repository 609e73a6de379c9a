//! Gives what the store remembers to the shards that will own it. Decides nothing: it absorbs.

use crate::allocator::{Catalogue, Shard, ShardSettings};
use crate::model::{Effect, NetworkHandle, Revision, SubnetHandle, WorkerId, worker_of};
use crate::store::Restore;
use addrd_sync::Level;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Shards being filled from disk.
pub struct Recovery {
    shards: Vec<Shard>,
    catalogue: Box<Catalogue>,
    owners: HashMap<NetworkHandle, WorkerId>,
    effects: u64,
    progress: Arc<StartProgress>,
}

/// How far a start is, for operators.
#[derive(Debug, Default)]
pub struct StartProgress(Level);

impl StartProgress {
    /// Nothing is left to be read.
    #[must_use]
    pub fn done() -> Self {
        Self(Level::new(100))
    }

    /// `part` of `whole` is read.
    pub fn set(&self, part: u64, whole: u64) {
        let percent = u128::from(part) * 100 / u128::from(whole.max(1));
        self.0.set(percent.min(100) as u64);
    }

    /// What is read, percent, rounded down.
    #[must_use]
    pub fn percent(&self) -> u32 {
        self.0.get().min(100) as u32
    }
}

impl Recovery {
    /// Empty shards, one for each worker.
    ///
    /// # Panics
    /// Without workers.
    #[must_use]
    pub fn new(workers: u16, settings: ShardSettings, progress: Arc<StartProgress>) -> Self {
        assert!(workers > 0, "at least one worker");
        let shards = (0..workers).map(|number| Shard::numbered(settings, number)).collect();
        let catalogue = Box::new(Catalogue::new(settings));
        Self { shards, catalogue, owners: HashMap::new(), effects: 0, progress }
    }

    /// The filled shards and the catalogue; `highest` is the highest number that any network, pool,
    /// scope or project ever had.
    #[must_use]
    pub fn finish(mut self, highest: u32) -> (Vec<Shard>, Box<Catalogue>) {
        self.catalogue.restore_handles(highest);
        for shard in &mut self.shards {
            self.catalogue.project_ids().for_each(|project| shard.know_project(project, true));
        }
        let mut all: Vec<&mut Shard> = self.shards.iter_mut().collect();
        self.catalogue.share_all_quotas(&mut all);
        (self.shards, self.catalogue)
    }

    /// Effects absorbed so far.
    #[must_use]
    pub const fn effects(&self) -> u64 {
        self.effects
    }

    fn owner_of(&mut self, effect: &Effect) -> Option<WorkerId> {
        let workers = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        match effect {
            Effect::NetworkPut(row) => {
                let owner = worker_of(row.project, row.id, workers);
                self.owners.insert(row.network, owner);
                Some(owner)
            }
            // Jobs outlive their network, whose number may belong to another by now.
            Effect::JobPut(row) => Some(worker_of(row.project, row.network_id, workers)),
            Effect::ProjectPut(_)
            | Effect::ScopePut(_)
            | Effect::PoolPut(_)
            | Effect::PrincipalPut(_)
            | Effect::ObjectGone { .. }
            | Effect::HostLeasePut(_)
            | Effect::HostLeaseGone { .. }
            | Effect::Asked(_)
            | Effect::Adoption { .. } => None,
            Effect::NetworkGone { network, .. } => self.owners.remove(network),
            Effect::SubnetPut(row) => self.owners.get(&row.network).copied(),
            Effect::ExclusionPut(row) => self.owners.get(&row.network).copied(),
            Effect::SegmentPut(row) => self.owners.get(&row.network).copied(),
            Effect::LevelPut(row) => {
                row.subnet.and_then(|_| self.owners.get(&row.network).copied())
            }
            Effect::HostPut(row) => self.owners.get(&row.network).copied(),
            Effect::PortPut(row) => self.owners.get(&row.network).copied(),
            Effect::PinPut(row) => self.owners.get(&row.network).copied(),
            Effect::AllocationPut(row) => self.owners.get(&row.place.network).copied(),
            Effect::AllocationGone { place, .. } => self.owners.get(&place.network).copied(),
            Effect::SubnetGone { network, .. }
            | Effect::ExclusionGone { network, .. }
            | Effect::ThingGone { network, .. }
            | Effect::JobGone { network, .. } => self.owners.get(network).copied(),
        }
    }
}

impl Restore for Recovery {
    fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        self.effects += 1;
        self.catalogue.absorb(effect).map_err(|error| error.to_string())?;
        if matches!(effect, Effect::HostLeasePut(_) | Effect::HostLeaseGone { .. }) {
            // A host may have something in any network: every shard has all leases.
            let mut all = self.shards.iter_mut();
            return all.try_for_each(|shard| shard.absorb(effect)).map_err(|e| e.to_string());
        }
        match self.owner_of(effect).and_then(|owner| self.shards.get_mut(usize::from(owner.0))) {
            Some(shard) => shard.absorb(effect).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn revision(&mut self, network: NetworkHandle, revision: Revision) {
        if self.catalogue.is_pool(network) {
            self.catalogue.restore_marks(network, revision);
        } else if let Some(shard) = self.shard_of(network) {
            shard.restore_marks(network, revision);
        }
    }

    fn progress(&mut self, part: u64, whole: u64) {
        self.progress.set(part, whole);
    }

    fn cursor(&mut self, network: NetworkHandle, subnet: SubnetHandle, offset: u128) {
        if let Some(shard) = self.shard_of(network) {
            shard.restore_cursor(network, subnet, offset);
        }
    }
}

impl Recovery {
    fn shard_of(&mut self, network: NetworkHandle) -> Option<&mut Shard> {
        let owner = self.owners.get(&network)?;
        self.shards.get_mut(usize::from(owner.0))
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").field("effects", &self.effects).finish_non_exhaustive()
    }
}
