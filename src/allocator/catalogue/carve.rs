//! Subnets from pools, and subnets in address scopes: what a subnet has to do with the catalogue.
//! The subnet itself is made and deleted by its network's shard.
//!
//! Source: protocol/SPEC.md, subnet_create; the rules of affinity are Neutron's.

use super::blocks::Block;
use super::choose::{Wanted, choice};
use super::pool::{Pool, block_of};
use super::projects::lost;
use super::{Catalogue, Tee};
use crate::allocator::Shard;
use crate::allocator::network::family_index;
use crate::allocator::order::Key;
use crate::allocator::refusal::{Refused, refuse_field, with};
use crate::allocator::subnets::rules;
use crate::limits::JOB_SLICE_OBJECTS;
use crate::model::{
    EffectSink, Family, NetworkHandle, ObjectRef, OwnerId, PoolId, Prefix, ProjectId, Setting,
    Status, SubnetId,
};
use addrd_protocol::message::{FromPool, PrefixChoice, Reply, Subnet, SubnetCreate, SubnetDelete};

/// Where a new subnet's prefix comes from.
struct Source {
    pool: ObjectRef,
    block: Block,
}

impl Catalogue {
    /// Creates a subnet, or shows the one that exists; `quota` says whether the project may have one
    /// more, if nothing else stands in the way.
    pub(super) fn subnet_create(
        &mut self,
        shard: &mut Shard,
        network: u32,
        project: ProjectId,
        request: &SubnetCreate,
        quota: Result<(), Refused>,
        sink: &mut impl EffectSink,
    ) -> Result<Subnet, Refused> {
        if let Some(known) = shard.find_subnet(network, request.subnet_id) {
            let cidr = Self::check_repeat(shard, known, request)?;
            let asked = SubnetCreate { cidr, ..request.clone() };
            return shard.subnet_create(network, &asked, None, Ok(()), sink);
        }
        if shard.networks.at(network).deleting {
            return Err(rules::deleting("network"));
        }
        let source = match request.from_pool.as_deref() {
            Some(from) => Some(self.source(shard, network, project, request, from)?),
            None => {
                self.check_unpooled(shard, network, project, &request.cidr)?;
                None
            }
        };
        let Some(Source { pool, block }) = source else {
            let (made, kept) =
                Tee::of(sink, |tee| shard.subnet_create(network, request, None, quota, tee))?;
            self.note_all(&kept);
            return Ok(made);
        };
        let cidr = self.pools.get(&pool.handle).and_then(|pool| pool.prefix(block));
        let asked = SubnetCreate { cidr: cidr.ok_or_else(lost)?, ..request.clone() };
        self.prefixes.check_room_for_records()?;
        self.check_slots(pool.handle, project, OwnerId(request.subnet_id.0), 1)?;
        let (made, kept) =
            Tee::of(sink, |tee| shard.subnet_create(network, &asked, Some(pool), quota, tee))?;
        self.note_all(&kept);
        self.take_for_subnet(pool.handle, shard, network, project, request.subnet_id, block, sink);
        Ok(made)
    }

    /// Takes the block of a subnet, which is its owner.
    #[expect(clippy::too_many_arguments, reason = "a subnet's place, and a pool's")]
    pub(super) fn take_for_subnet(
        &mut self,
        pool: NetworkHandle,
        shard: &Shard,
        network: u32,
        project: ProjectId,
        subnet: SubnetId,
        block: Block,
        sink: &mut impl EffectSink,
    ) {
        let network = shard.networks.at(network).id;
        let text = format!("subnet:{network}/{subnet}");
        self.take(pool, block, project, OwnerId(subnet.0), network.0, &text, sink);
    }

    /// Whether the subnet that exists is what the request asks for; gives its prefix if the request
    /// leaves that to the pool.
    ///
    /// What may change after the creation is not compared: a subnet from no pool may have been taken
    /// into one (subnet_onboard), and another pool may be the default one by now.
    fn check_repeat(shard: &Shard, known: u32, request: &SubnetCreate) -> Result<Prefix, Refused> {
        let row = &shard.subnets.at(known).row;
        let differs = |field: &str| {
            let message =
                format_args!("subnet {} exists with another {field}: {}", row.id, row.prefix);
            Err(with(refuse_field(Status::ID_IN_USE, field, message), shard.other(known)))
        };
        let Some(from) = request.from_pool.as_deref() else { return Ok(request.cidr) };
        let is_from = |pool: ObjectRef| {
            from.subnet_pool_id.is_nil() || from.subnet_pool_id == PoolId(pool.id)
        };
        if !row.pool.is_some_and(is_from) {
            return differs("from_pool");
        }
        match from.by {
            PrefixChoice::Exact => Ok(request.cidr),
            PrefixChoice::Length if request.cidr.length() != row.prefix.length() => differs("cidr"),
            _ if request.cidr.family() != row.prefix.family() => differs("cidr"),
            PrefixChoice::Length | PrefixChoice::DefaultLength => Ok(row.prefix),
        }
    }

    /// The pool that a request names, or the default one of the family.
    fn pool_for(
        &self,
        project: ProjectId,
        from: &FromPool,
        family: Family,
    ) -> Result<&Pool, Refused> {
        if !from.subnet_pool_id.is_nil() {
            return self.pool_of(project, "subnet_pool_id", from.subnet_pool_id);
        }
        let is_default = |pool: &&Pool| pool.row.is_default && pool.row.family == family;
        let last = PoolId::from_u128(u128::MAX);
        let own = self.pool_ids.range((project, PoolId::NIL)..=(project, last));
        let own = own.filter_map(|(_, handle)| self.pools.get(handle)).find(is_default);
        let shared = self.shared_pools.iter().filter_map(|(_, handle)| self.pools.get(handle));
        own.or_else(|| shared.into_iter().find(is_default)).ok_or_else(|| {
            let name = super::choose::family_name(family);
            let message = format_args!(
                "no subnet pool is named, and the project sees no default one of {name}"
            );
            refuse_field(Status::NOT_FOUND, "subnet_pool_id", message)
        })
    }

    /// Chooses the prefix of a subnet from a pool.
    fn source(
        &self,
        shard: &Shard,
        network: u32,
        project: ProjectId,
        request: &SubnetCreate,
        from: &FromPool,
    ) -> Result<Source, Refused> {
        let family = request.cidr.family();
        let pool = self.pool_for(project, from, family)?;
        if pool.row.family != family {
            let name = super::choose::family_name(pool.row.family);
            let message = format_args!("the pool is of {name}, and the subnet is not");
            return Err(refuse_field(Status::FAMILY_MISMATCH, "cidr", message));
        }
        let exact = exact_prefix(request, from, pool)?;
        self.check_affinity(shard, network, pool)?;
        let allowed = choice(family, "allowed", &from.allowed)?;
        let wanted = Wanted {
            exact,
            field: "cidr",
            length: (from.by == PrefixChoice::Length).then(|| request.cidr.length()),
            allowed: (!allowed.is_empty()).then_some(allowed),
            disallowed: choice(family, "disallowed", &from.disallowed)?,
            lowest: false,
        };
        let block = self.choose(pool, project, &wanted)?;
        Ok(Source { pool: ObjectRef { handle: pool.row.handle, id: pool.row.id.0 }, block })
    }

    /// The pool that a network's subnets of a family come from; `None` if there are no subnets.
    fn pool_of_network(
        shard: &Shard,
        network: u32,
        family: Family,
    ) -> Option<Option<NetworkHandle>> {
        let mut keys = shard.networks.at(network).order.iter_from(Key::before(family, 0));
        let first = keys.next().filter(|key| key.family == family)?;
        Some(shard.subnets.at(first.subnet()).row.pool.map(|pool| pool.handle))
    }

    /// Subnets of one family in a network come from one pool, or from one scope.
    fn check_affinity(&self, shard: &Shard, network: u32, pool: &Pool) -> Result<(), Refused> {
        let family = pool.row.family;
        let own = pool.row.scope.map(|scope| scope.handle);
        let of = self.networks.get(&shard.networks.at(network).handle).ok_or_else(lost)?;
        let first = Self::pool_of_network(shard, network, family);
        let derived = first.flatten().and_then(|pool| self.pools.get(&pool)?.row.scope);
        let scope = of.scopes[family_index(family)].or(derived.map(|scope| scope.handle));
        if scope.is_some() {
            if scope == own {
                return Ok(());
            }
            let message = format_args!(
                "the network's subnets of this family are in another address scope than pool {}",
                pool.row.id
            );
            return Err(refuse_field(Status::SCOPE_AFFINITY, "subnet_pool_id", message));
        }
        match first {
            None => Ok(()),
            Some(other) if other == Some(pool.row.handle) => Ok(()),
            Some(other) => {
                let what =
                    if other.is_some() { "come from another pool" } else { "come from no pool" };
                let message = format_args!("the network's subnets of this family {what}");
                Err(refuse_field(Status::POOL_AFFINITY, "subnet_pool_id", message))
            }
        }
    }

    /// A subnet that isn't from a pool: in a network whose other subnets aren't either, and disjoint
    /// from all that its network's scope has.
    fn check_unpooled(
        &self,
        shard: &Shard,
        network: u32,
        project: ProjectId,
        prefix: &Prefix,
    ) -> Result<(), Refused> {
        let family = prefix.family();
        let of = self.networks.get(&shard.networks.at(network).handle).ok_or_else(lost)?;
        let scope = of.scopes[family_index(family)].and_then(|scope| self.scopes.get(&scope));
        let Some(scope) = scope else {
            if Self::pool_of_network(shard, network, family).flatten().is_some() {
                let message = format_args!(
                    "the network's subnets of this family come from a subnet pool; name it"
                );
                return Err(refuse_field(Status::POOL_AFFINITY, "subnet_pool_id", message));
            }
            return Ok(());
        };
        let block = block_of(prefix);
        match scope.overlapping(block.base, block.last(), None) {
            None => Ok(()),
            Some(found) => {
                let status = Status::PREFIX_OVERLAP;
                Err(self.overlaps(project, scope, status, "cidr", prefix, found))
            }
        }
    }

    pub(super) fn subnet_delete(
        &mut self,
        shard: &mut Shard,
        network: u32,
        request: &SubnetDelete,
        sink: &mut impl EffectSink,
    ) -> Result<Reply, Refused> {
        let subnet = shard.find_subnet(network, request.subnet_id);
        let carved = subnet.and_then(|at| {
            let row = &shard.subnets.at(at).row;
            Some((row.pool?.handle, row.prefix.base()))
        });
        let (reply, kept) = Tee::of(sink, |tee| shard.subnet_delete(network, request, tee))?;
        self.note_all(&kept);
        if let (Reply::Empty, Some((pool, base))) = (&reply, carved) {
            self.give(pool, base, sink);
        }
        Ok(reply)
    }

    /// Deletes subnets that a job has emptied and that the catalogue has a part in: at most a slice
    /// of them.
    pub(super) fn finish_subnets(
        &mut self,
        shard: &mut Shard,
        network: u32,
        sink: &mut impl EffectSink,
    ) {
        for _ in 0..JOB_SLICE_OBJECTS {
            let Some(subnet) = shard.emptied_subnet(network) else { return };
            let row = &shard.subnets.at(subnet).row;
            let carved = row.pool.map(|pool| (pool.handle, row.prefix.base()));
            let gone = shard.commit_subnet_gone(subnet, sink);
            self.note(&gone);
            if let Some((pool, base)) = carved {
                self.give(pool, base, sink);
            }
        }
    }
}

/// The prefix that a request names, or that its gateway means.
fn exact_prefix(
    request: &SubnetCreate,
    from: &FromPool,
    pool: &Pool,
) -> Result<Option<Prefix>, Refused> {
    if from.by == PrefixChoice::Exact {
        return Ok(Some(request.cidr));
    }
    let is_plain =
        request.cidr.base() == 0 && (from.by == PrefixChoice::Length || request.cidr.length() == 0);
    if !is_plain {
        let message =
            format_args!("a prefix by length has an address, and a length if any, of zero");
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "cidr", message));
    }
    if matches!(request.pools, Setting::Value(_)) {
        let message = format_args!("allocation pools can be given only with an exact prefix");
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "pools", message));
    }
    let Setting::Value(gateway) = &request.gateway else { return Ok(None) };
    let length = match from.by {
        PrefixChoice::Length => request.cidr.length(),
        _ => pool.row.default_length,
    };
    let named = Prefix::truncated(*gateway, length);
    let named = named.filter(|prefix| prefix.family() == pool.row.family && length > 0);
    named.map(Some).ok_or_else(|| {
        let message =
            format_args!("the gateway {gateway} lies in no /{length} of the pool's family");
        refuse_field(Status::INVALID_GATEWAY, "gateway", message)
    })
}
