//! Quotas of projects: what of them only the sequencer can use up (networks, subnets, prefixes) is
//! judged here; what workers take at once (addresses, ports) is shared out to them.
//!
//! Source: docs/decisions/0020-quotas-of-projects.md; protocol/SPEC.md, "Quotas".

use super::Catalogue;
use crate::allocator::Shard;
use crate::allocator::accounts::{Holdings, SharedQuotas, over_quota};
use crate::allocator::refusal::Refused;
use crate::model::ProjectId;
use addrd_protocol::message::{ProjectUse, QUOTA_MAX, QuotaResource, Quotas};
use addrd_sync::{Over, QuotaCell};
use std::sync::Arc;

impl Catalogue {
    /// The quotas of a project; one without a row has none.
    pub(super) fn quotas_of(&self, project: ProjectId) -> Quotas {
        self.projects.get(&project).map(|row| row.quotas).unwrap_or_default()
    }

    /// At the end of recovery: shares out every project's quotas.
    pub fn share_all_quotas(&self, shards: &mut [&mut Shard]) {
        self.projects.keys().for_each(|project| self.share_quotas(*project, shards));
    }

    /// Gives every shard the cells from which a project takes what workers take at once, with what it
    /// has in all of them. All workers have lent their states.
    pub(super) fn share_quotas(&self, project: ProjectId, shards: &mut [&mut Shard]) {
        let quotas = self.quotas_of(project);
        let shared = [quotas.addresses, quotas.ports, quotas.resting_limit()];
        let cells = shared.iter().any(Option::is_some).then(|| {
            let limits = shared.map(|quota| quota.unwrap_or(QuotaCell::UNLIMITED));
            Arc::new(SharedQuotas::new(limits, holdings_in(project, shards).shared))
        });
        shards.iter_mut().for_each(|shard| shard.share_quotas(project, cells.clone()));
    }

    /// What a project has of what its quotas limit.
    pub(super) fn used_by(&self, project: ProjectId, shards: &[&mut Shard]) -> ProjectUse {
        let holds = holdings_in(project, shards);
        let [addresses, ports, resting] = holds.shared.map(|count| Some(count.min(QUOTA_MAX)));
        let (prefixes, subnets) = (Some(self.prefixes_of(project)), Some(holds.subnets));
        ProjectUse { addresses, prefixes, subnets, ports, resting }
    }

    /// Refuses one network too many.
    pub(super) fn check_network_quota(&self, project: ProjectId) -> Result<(), Refused> {
        let used = self.counts.get(&project).map_or(0, |counts| counts.networks.into());
        self.check_one(QuotaResource::Networks, self.quotas_of(project).networks, used)
    }

    /// Refuses one subnet too many.
    pub(super) fn check_subnet_quota(
        &self,
        project: ProjectId,
        shards: &[&mut Shard],
    ) -> Result<(), Refused> {
        let Some(limit) = self.quotas_of(project).subnets else { return Ok(()) };
        self.check_one(QuotaResource::Subnets, Some(limit), holdings_in(project, shards).subnets)
    }

    /// Refuses one prefix too many, unless a whole is judged at its end.
    pub(super) fn check_prefix_quota(&self, project: ProjectId) -> Result<(), Refused> {
        if self.prefixes.undo.is_whole {
            return Ok(());
        }
        let limit = self.quotas_of(project).prefixes;
        self.check_one(QuotaResource::Prefixes, limit, self.prefixes_of(project))
    }

    /// Refuses a whole that brought a project, which had so many, beyond its prefixes.
    pub(super) fn check_prefix_quota_since(
        &self,
        project: ProjectId,
        before: u64,
    ) -> Result<(), Refused> {
        let Some(limit) = self.quotas_of(project).prefixes else { return Ok(()) };
        let asked = self.prefixes_of(project).saturating_sub(before);
        if asked == 0 || self.restoring || before.saturating_add(asked) <= limit {
            return Ok(());
        }
        Err(over_quota(QuotaResource::Prefixes, Over { limit, used: before, asked }))
    }

    /// Refuses one more, unless it was there before.
    fn check_one(
        &self,
        resource: QuotaResource,
        limit: Option<u64>,
        used: u64,
    ) -> Result<(), Refused> {
        match limit {
            Some(limit) if used >= limit && !self.restoring => {
                Err(over_quota(resource, Over { limit, used, asked: 1 }))
            }
            _ => Ok(()),
        }
    }

    /// Prefixes that a project holds straight from pools.
    pub(super) fn prefixes_of(&self, project: ProjectId) -> u64 {
        self.prefixes.holdings(project).prefixes
    }
}

fn holdings_in(project: ProjectId, shards: &[&mut Shard]) -> Holdings {
    let all = shards.iter().map(|shard| shard.holdings(project));
    all.fold(Holdings::default(), Holdings::and)
}
