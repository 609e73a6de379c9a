//! Takes the subnets that a network has into a subnet pool, all of a family or none.
//!
//! Source: protocol/SPEC.md, subnet_onboard; Neutron's onboard_network_subnets.

use super::Catalogue;
use super::blocks::{Block, compacted};
use super::choose::Wanted;
use super::pool::{Pool, block_of, prefix_of};
use super::pools::check_prefix_count;
use super::projects::{check_expected, lost};
use crate::allocator::Shard;
use crate::allocator::network::family_index;
use crate::allocator::order::Key;
use crate::allocator::refusal::{Refused, limit, refuse_field};
use crate::allocator::subnets::rules;
use crate::limits::{ONBOARD_ROW_BYTES_MAX, ONBOARD_SUBNETS_MAX};
use crate::model::{
    Effect, EffectSink, ObjectRef, OwnerId, PoolRow, Prefix, ProjectId, Status, SubnetRow,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{SubnetOnboard, SubnetPool};

impl Catalogue {
    pub(super) fn subnet_onboard(
        &mut self,
        shard: &mut Shard,
        network: u32,
        project: ProjectId,
        request: &SubnetOnboard,
        sink: &mut impl EffectSink,
    ) -> Result<SubnetPool, Refused> {
        if shard.networks.at(network).deleting {
            return Err(rules::deleting("network"));
        }
        let pool = self.pool_of(project, "subnet_pool_id", request.subnet_pool_id)?;
        let moving = moving(shard, network, pool)?;
        if moving.is_empty() {
            return Ok(SubnetPool { repeated: true, ..super::objects::pool(pool, project) });
        }
        check_expected(request.expected, pool.row.revision)?;
        let is_scoped = self.check_scope_of(shard, network, pool)?;
        let mut added = Vec::new();
        for at in &moving {
            let prefix = &shard.subnets.at(*at).row.prefix;
            self.check_length(pool, prefix.length())?;
            let owner = OwnerId(shard.subnets.at(*at).row.id.0);
            self.check_slots(pool.row.handle, project, owner, 1)?;
            if !self.has_room_for(pool, project, prefix)? {
                self.check_addition(pool, project, prefix, is_scoped)?;
                added.push(block_of(prefix));
            }
        }
        let blocks = moving.iter().map(|at| block_of(&shard.subnets.at(*at).row.prefix));
        self.check_quota(
            pool,
            project,
            blocks.map(|block| block.size()).fold(0, u128::saturating_add),
        )?;
        self.prefixes.check_room_for_records()?;
        let row = with_prefixes(&pool.row, &added)?;
        let handle = row.handle;
        check_bytes(shard, &moving, sink)?;
        self.move_all(shard, network, project, row, &moving, sink);
        self.pools.get(&handle).map(|pool| super::objects::pool(pool, project)).ok_or_else(lost)
    }

    /// Refuses a network that is in another address scope than the pool; gives whether it is in one.
    fn check_scope_of(&self, shard: &Shard, network: u32, pool: &Pool) -> Result<bool, Refused> {
        let of = self.networks.get(&shard.networks.at(network).handle).ok_or_else(lost)?;
        let scope = of.scopes[family_index(pool.row.family)];
        if scope.is_some() && scope != pool.row.scope.map(|scope| scope.handle) {
            let message =
                format_args!("the network is in another address scope than pool {}", pool.row.id);
            return Err(refuse_field(Status::SCOPE_AFFINITY, "subnet_pool_id", message));
        }
        Ok(scope.is_some())
    }

    /// Whether a prefix lies in the pool and is free; refused if it is not free.
    fn has_room_for(
        &self,
        pool: &Pool,
        project: ProjectId,
        prefix: &Prefix,
    ) -> Result<bool, Refused> {
        let block = block_of(prefix);
        if pool.free.around(block).is_some() {
            return Ok(true);
        }
        if pool.overlapping(block).is_some() {
            self.exactly(pool, project, prefix, &Wanted::default())?;
        }
        Ok(false)
    }

    /// Refuses to add a prefix to a pool that somebody else has to add it to, or that others have.
    fn check_addition(
        &self,
        pool: &Pool,
        project: ProjectId,
        prefix: &Prefix,
        is_scoped: bool,
    ) -> Result<(), Refused> {
        let whose = match pool.row.parent {
            _ if pool.row.project != project => "is another project's",
            Some(_) => "takes its prefixes from a pool: add it there first (pool_update)",
            None => {
                return match is_scoped {
                    // It is in the scope already, as the subnet's, so nobody else has it.
                    true => Ok(()),
                    false => self.check_addition_to_scope(pool, project, prefix),
                };
            }
        };
        let message = format_args!("{prefix} is not in the pool, which {whose}");
        Err(refuse_field(Status::OUTSIDE_POOL, "subnet_pool_id", message))
    }

    fn check_addition_to_scope(
        &self,
        pool: &Pool,
        project: ProjectId,
        prefix: &Prefix,
    ) -> Result<(), Refused> {
        let scope = pool.row.scope.and_then(|scope| self.scopes.get(&scope.handle));
        let Some(scope) = scope else { return Ok(()) };
        let block = block_of(prefix);
        match scope.overlapping(block.base, block.last(), Some(pool.row.handle)) {
            None => Ok(()),
            Some(found) => {
                let (status, field) = (Status::SCOPE_OVERLAP, "subnet_pool_id");
                Err(self.overlaps(project, scope, status, field, prefix, found))
            }
        }
    }

    /// The pool's new prefixes, then for each subnet its prefix in the pool and its own row.
    fn move_all(
        &mut self,
        shard: &mut Shard,
        network: u32,
        project: ProjectId,
        row: PoolRow,
        moving: &[u32],
        sink: &mut impl EffectSink,
    ) {
        let pool = ObjectRef { handle: row.handle, id: row.id.0 };
        if self.pools.get(&row.handle).is_some_and(|pool| pool.row.prefixes != row.prefixes) {
            let revision = self.next_revision(row.handle);
            self.commit(&Effect::PoolPut(Box::new(PoolRow { revision, ..row })), sink);
        }
        for at in moving {
            let subnet = SubnetRow::clone(&shard.subnets.at(*at).row);
            let block = block_of(&subnet.prefix);
            if !is_planted(Bug::OnboardedPrefixNotTaken) {
                self.take_for_subnet(pool.handle, shard, network, project, subnet.id, block, sink);
            }
            let revision = shard.networks.at(network).next_revision();
            let row = SubnetRow { pool: Some(pool), revision, ..subnet };
            let effect = Effect::SubnetPut(Box::new(row));
            shard.commit(&effect, sink);
            self.note(&effect);
        }
    }
}

/// Subnets of the pool's family that aren't from the pool.
fn moving(shard: &Shard, network: u32, pool: &Pool) -> Result<Vec<u32>, Refused> {
    let family = pool.row.family;
    let keys = shard.networks.at(network).order.iter_from(Key::before(family, 0));
    let mut moving = Vec::new();
    for key in keys.take_while(|key| key.family == family) {
        let subnet = shard.subnets.at(key.subnet());
        match subnet.row.pool {
            Some(own) if own.handle == pool.row.handle => continue,
            Some(_) => {
                let message = format_args!("subnet {} comes from another pool", subnet.row.prefix);
                return Err(refuse_field(Status::POOL_AFFINITY, "subnet_pool_id", message));
            }
            None if subnet.deleting => return Err(rules::deleting("subnet")),
            None if moving.len() == ONBOARD_SUBNETS_MAX => {
                let most = ONBOARD_SUBNETS_MAX as u128;
                return Err(limit("ONBOARD_SUBNETS_MAX", most + 1, most));
            }
            None => moving.push(key.subnet()),
        }
    }
    Ok(moving)
}

/// A pool's row with more prefixes.
fn with_prefixes(row: &PoolRow, added: &[Block]) -> Result<PoolRow, Refused> {
    let all = compacted(row.prefixes.iter().map(block_of).chain(added.iter().copied()));
    check_prefix_count(all.len())?;
    let prefixes = all.into_iter().filter_map(|block| prefix_of(row.family, block)).collect();
    Ok(PoolRow { prefixes, ..row.clone() })
}

/// Refuses subnets whose records have no room in one hand-over.
fn check_bytes(shard: &Shard, moving: &[u32], sink: &mut impl EffectSink) -> Result<(), Refused> {
    let start = sink.bytes();
    for at in moving {
        sink.push(&Effect::SubnetPut(shard.subnets.at(*at).row.clone()));
    }
    let bytes = sink.bytes() - start;
    sink.truncate(start);
    if bytes <= ONBOARD_ROW_BYTES_MAX {
        return Ok(());
    }
    Err(limit("ONBOARD_ROW_BYTES_MAX", bytes as u128, ONBOARD_ROW_BYTES_MAX as u128))
}
