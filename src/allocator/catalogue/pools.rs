//! Subnet pools: create, change, delete, read, preview.
//!
//! Source: protocol/SPEC.md, pool_create and pool_update: Neutron's rules for subnet pools.

use super::blocks::{Block, compacted, without};
use super::choose::{Wanted, check_quota_of, choice, family_name, other_family};
use super::pool::{Pool, block_of, prefix_of};
use super::projects::{check_expected, lost};
use super::scopes::{behind, switch};
use super::{Catalogue, Named, Occupant, Scope, objects};
use crate::allocator::pages::{Cursor, Kind, Page};
use crate::allocator::refusal::{Refused, limit, out_of_range, refuse, refuse_field, with};
use crate::allocator::release::write;
use crate::allocator::shard::{Answer, At};
use crate::allocator::subnets::check_page_limit;
use crate::limits::SUBNET_POOLS_MAX;
use crate::model::{
    AddressScopeId, Effect, EffectSink, Family, NetworkHandle, NetworkId, ObjectRef, OwnerId,
    PoolId, PoolRow, Prefix, ProjectId, Revision, Setting, Status, SubnetId,
};
use addrd_protocol::codec::PAGE_POOLS_MAX;
use addrd_protocol::message::pool::POOL_PREFIXES_MAX;
use addrd_protocol::message::{
    Detail, PoolCreate, PoolDelete, PoolGet, PoolList, PoolPage, PoolPreview, PoolPreviewed,
    PoolUpdate, Reply, SubnetPool,
};

impl Catalogue {
    pub(super) fn pool_create(
        &mut self,
        at: &At,
        project: ProjectId,
        id: PoolId,
        request: &PoolCreate,
        sink: &mut impl EffectSink,
    ) -> Result<SubnetPool, Refused> {
        self.check_project(project)?;
        let own = self.pool_ids.get(&(project, id));
        if let Some(pool) = own.and_then(|handle| self.pools.get(handle)) {
            return repeated(pool, project, request);
        }
        let mut row = self.first_row(at, project, id, request)?;
        let count = self.pools.len() as u128;
        if count >= SUBNET_POOLS_MAX.into() {
            return Err(limit("SUBNET_POOLS_MAX", count + 1, SUBNET_POOLS_MAX.into()));
        }
        if let Some(parent) = row.parent {
            self.prefixes.check_room_for_records()?;
            row.prefixes = self.prefixes_of_parent(project, parent.handle, request)?;
            let needed = row.prefixes.len();
            self.check_slots(parent.handle, project, OwnerId(row.id.0), needed)?;
        }
        check_prefix_count(row.prefixes.len())?;
        self.check_scope(project, &row)?;
        row.handle = self.take_handle();
        self.take_from_parent(&row, sink);
        let handle = row.handle;
        self.commit(&Effect::PoolPut(Box::new(row)), sink);
        self.pools.get(&handle).map(|pool| objects::pool(pool, project)).ok_or_else(lost)
    }

    /// A new pool's row without number, and of one with a parent without prefixes.
    fn first_row(
        &self,
        at: &At,
        project: ProjectId,
        id: PoolId,
        request: &PoolCreate,
    ) -> Result<PoolRow, Refused> {
        let family = request.family;
        let prefixes = merged(family, "prefixes", &request.prefixes)?;
        let parent = match request.parent_id {
            None if prefixes.is_empty() => return Err(no_prefixes()),
            None => None,
            Some(parent) => Some(self.pool_of(project, "parent_id", parent)?),
        };
        if let Some(parent) = parent.filter(|parent| parent.row.family != family) {
            return Err(wrong_family("parent_id", "parent", parent.row.family));
        }
        if parent.is_none() && request.parent_length.is_some() {
            let message = format_args!("parent_length is given, and no parent");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "parent_length", message));
        }
        let inherited = parent.and_then(|parent| parent.row.scope);
        let scope = match request.address_scope_id {
            None => inherited,
            Some(id) => Some(self.scope_for(project, family, id)?),
        };
        if parent.is_some() && scope != inherited {
            return Err(not_of_parent());
        }
        let (min_length, max_length) = default_bounds(family);
        let min_length = request.min_length.unwrap_or(min_length);
        let row = PoolRow {
            handle: NetworkHandle(0),
            revision: Revision(at.tick.first_revision() + 1),
            project,
            id,
            family,
            prefixes,
            min_length,
            max_length: request.max_length.unwrap_or(max_length),
            default_length: request.default_length.unwrap_or(min_length),
            quota: request.default_quota,
            scope,
            parent: parent
                .map(|parent| ObjectRef { handle: parent.row.handle, id: parent.row.id.0 }),
            is_default: request.is_default,
            shared: request.shared,
            name: request.name.clone(),
            description: request.description.clone(),
            level: 0,
        };
        check_bounds(&row)?;
        self.check_default(&row)?;
        if let Some(name) = &row.name {
            self.check_name(Named::Pool, project, name)?;
        }
        Ok(row)
    }

    fn scope_for(
        &self,
        project: ProjectId,
        family: Family,
        id: AddressScopeId,
    ) -> Result<ObjectRef, Refused> {
        let scope = self.scope_of(project, "address_scope_id", id)?;
        if scope.row.family != family {
            return Err(wrong_family("address_scope_id", "address scope", scope.row.family));
        }
        Ok(ObjectRef { handle: scope.row.handle, id: scope.row.id.0 })
    }

    /// Refuses a second default pool of a family.
    fn check_default(&self, row: &PoolRow) -> Result<(), Refused> {
        if !row.is_default {
            return Ok(());
        }
        let own = self.pool_ids.range((row.project, PoolId::NIL)..=(row.project, last_id()));
        let mut own = own.filter_map(|(_, handle)| self.pools.get(handle));
        let other = own.find(|pool| {
            pool.row.is_default && pool.row.family == row.family && pool.row.id != row.id
        });
        let Some(other) = other else { return Ok(()) };
        let family = family_name(row.family);
        let message =
            format_args!("subnet pool {} is the default one of {family} already", other.row.id);
        let refused = refuse_field(Status::DEFAULT_POOL_EXISTS, "is_default", message);
        Err(with(refused, other_pool(other)))
    }

    /// Refuses prefixes that overlap what is in the scope. A pool with a parent lies in the parent's.
    fn check_scope(&self, project: ProjectId, row: &PoolRow) -> Result<(), Refused> {
        let scope = row.scope.and_then(|scope| self.scopes.get(&scope.handle));
        let Some(scope) = scope.filter(|_| row.parent.is_none()) else { return Ok(()) };
        let own = Some(row.handle);
        for prefix in &row.prefixes {
            let block = block_of(prefix);
            if let Some(found) = scope.overlapping(block.base, block.last(), own) {
                let status = Status::SCOPE_OVERLAP;
                return Err(self.overlaps(project, scope, status, "prefixes", prefix, found));
            }
        }
        Ok(())
    }

    /// What overlaps in a scope, named if the project may see it.
    pub(super) fn overlaps(
        &self,
        project: ProjectId,
        scope: &Scope,
        status: Status,
        field: &str,
        given: &Prefix,
        (base, last, occupant): (u128, u128, Occupant),
    ) -> Refused {
        let order = (last - base + 1).checked_ilog2().unwrap_or(127) as u8;
        let taken = prefix_of(scope.row.family, Block::new(base, order));
        let shown = taken.map_or_else(String::new, |prefix| prefix.to_string());
        let (whose, network_id) = match occupant {
            Occupant::Pool(handle) => {
                let row = self.pools.get(&handle).map(|pool| &pool.row);
                let visible = row.filter(|row| row.project == project || row.shared);
                (visible.is_some(), visible.map(|row| NetworkId(row.id.0)))
            }
            Occupant::Subnet(handle, _) => {
                let network = self.networks.get(&handle).filter(|other| other.project == project);
                (network.is_some(), network.map(|network| network.id))
            }
        };
        let what = match (occupant, whose) {
            (Occupant::Pool(_), true) => format!("{shown} of a subnet pool"),
            (Occupant::Subnet(..), true) => format!("the subnet {shown}"),
            (_, false) => "what another project has".to_owned(),
        };
        let message = format_args!("{given} overlaps {what} in the address scope {}", scope.row.id);
        let refused = refuse_field(status, field, message);
        match network_id {
            None => refused,
            Some(network_id) => {
                with(refused, Detail::Other { network_id, subnet_id: SubnetId::NIL, cidr: taken })
            }
        }
    }

    /// The prefixes that a new pool takes from its parent.
    fn prefixes_of_parent(
        &self,
        project: ProjectId,
        parent: NetworkHandle,
        request: &PoolCreate,
    ) -> Result<Vec<Prefix>, Refused> {
        let parent = self.pools.get(&parent).ok_or_else(lost)?;
        if request.prefixes.is_empty() {
            let wanted = Wanted { length: request.parent_length, ..Wanted::default() };
            let block = self.choose(parent, project, &wanted)?;
            return Ok(parent.prefix(block).into_iter().collect());
        }
        if request.parent_length.is_some() {
            let message = format_args!("prefixes and parent_length exclude each other");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "parent_length", message));
        }
        let prefixes = merged(request.family, "prefixes", &request.prefixes)?;
        self.check_in_parent(parent, project, &prefixes, &[])?;
        Ok(prefixes)
    }

    /// Refuses prefixes that the parent can't give; `own` is what the pool has of it already. The
    /// whole sum counts for the quota.
    fn check_in_parent(
        &self,
        parent: &Pool,
        project: ProjectId,
        prefixes: &[Prefix],
        own: &[Block],
    ) -> Result<(), Refused> {
        if own.is_empty() {
            // The prefixes are merged, so none is in another's way: only their sum is new.
            let mut asked = 0_u128;
            for prefix in prefixes {
                let wanted =
                    Wanted { exact: Some(*prefix), field: "prefixes", ..Wanted::default() };
                asked = asked.saturating_add(self.choose(parent, project, &wanted)?.size());
            }
            return self.check_quota(parent, project, asked);
        }
        let blocks: Vec<Block> = prefixes.iter().map(block_of).collect();
        prefixes.iter().try_for_each(|prefix| self.check_length(parent, prefix.length()))?;
        // What it has and keeps is its own; the rest must be free.
        for part in without(&blocks, own) {
            let part = parent.prefix(part).ok_or_else(lost)?;
            let wanted = Wanted { field: "prefixes", ..Wanted::default() };
            self.exactly(parent, project, &part, &wanted)?;
        }
        let size = |blocks: &[Block]| blocks.iter().map(Block::size).sum::<u128>();
        let others = parent.used_by(project).saturating_sub(size(own));
        check_quota_of(parent, others, size(&blocks))
    }

    /// Gives back to the parent what a pool has no more, and takes what it has now.
    fn take_from_parent(&mut self, row: &PoolRow, sink: &mut impl EffectSink) {
        let Some(parent) = row.parent else { return };
        let now: Vec<Block> = row.prefixes.iter().map(block_of).collect();
        let before = self.blocks_of_parent(row.handle);
        for block in before.iter().filter(|block| !now.contains(block)) {
            self.give(parent.handle, block.base, sink);
        }
        for block in now.iter().filter(|block| !before.contains(block)) {
            let text = format!("pool:{}", row.id);
            self.take(parent.handle, *block, row.project, OwnerId(row.id.0), row.id.0, &text, sink);
        }
    }

    /// What a pool has of its parent: its prefixes, each of them one.
    fn blocks_of_parent(&self, pool: NetworkHandle) -> Vec<Block> {
        let row = self.pools.get(&pool).map(|pool| &pool.row);
        let row = row.filter(|row| row.parent.is_some());
        row.map(|row| row.prefixes.iter().map(block_of).collect()).unwrap_or_default()
    }

    /// Changes are for the pool's own project.
    fn own_pool(&self, project: ProjectId, id: PoolId) -> Result<&Pool, Refused> {
        let own = self.pool_ids.get(&(project, id)).and_then(|handle| self.pools.get(handle));
        own.ok_or_else(|| {
            refuse(Status::NOT_FOUND, format_args!("the project has no subnet pool {id}"))
        })
    }

    pub(super) fn pool_update(
        &mut self,
        project: ProjectId,
        id: PoolId,
        request: &PoolUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<SubnetPool, Refused> {
        let pool = self.own_pool(project, id)?;
        let mut row = pool.row.clone();
        self.write_attributes(&mut row, request)?;
        row.prefixes = new_prefixes(pool, request)?;
        if row == pool.row {
            return Ok(SubnetPool { repeated: true, ..objects::pool(pool, project) });
        }
        check_expected(request.expected, row.revision)?;
        self.check_change(pool, &row)?;
        let handle = row.handle;
        // Those of a pool with a parent change hands first, so that nothing is ever in two pools.
        self.take_from_parent(&row, sink);
        row.revision = self.next_revision(handle);
        self.commit(&Effect::PoolPut(Box::new(row)), sink);
        self.pools.get(&handle).map(|pool| objects::pool(pool, project)).ok_or_else(lost)
    }

    fn write_attributes(&self, row: &mut PoolRow, request: &PoolUpdate) -> Result<(), Refused> {
        write(&mut row.name, &request.name);
        write(&mut row.description, &request.description);
        switch(&mut row.shared, &request.shared);
        switch(&mut row.is_default, &request.is_default);
        let (least, most) = default_bounds(row.family);
        length(&mut row.min_length, &request.min_length, least);
        length(&mut row.max_length, &request.max_length, most);
        let least = row.min_length;
        length(&mut row.default_length, &request.default_length, least);
        match request.default_quota {
            Setting::Unset => {}
            Setting::Null => row.quota = None,
            Setting::Value(quota) => row.quota = Some(quota),
        }
        match request.address_scope_id {
            Setting::Unset => {}
            Setting::Null => row.scope = None,
            Setting::Value(id) => {
                row.scope = Some(self.scope_for(row.project, row.family, id)?);
            }
        }
        Ok(())
    }

    /// Refuses what a change may not be.
    fn check_change(&self, pool: &Pool, row: &PoolRow) -> Result<(), Refused> {
        let (old, project) = (&pool.row, row.project);
        check_bounds(row)?;
        check_prefix_count(row.prefixes.len())?;
        if let Some(name) = row.name.as_ref().filter(|name| old.name.as_ref() != Some(*name)) {
            self.check_name(Named::Pool, project, name)?;
        }
        self.check_default(row)?;
        if row.scope != old.scope {
            if row.parent.is_some() {
                return Err(not_of_parent());
            }
            check_unused(pool, "address_scope_id", "its address scope changes")?;
        }
        if old.shared && !row.shared && pool.users().any(|other| other != project) {
            let message = format_args!("other projects use the pool");
            return Err(refuse_field(Status::POOL_IN_USE, "shared", message));
        }
        if row.prefixes != old.prefixes {
            self.check_scope(project, row)?;
            if let Some(parent) = row.parent {
                let parent = self.pools.get(&parent.handle).ok_or_else(lost)?;
                let own = self.blocks_of_parent(row.handle);
                self.prefixes.check_room_for_records()?;
                self.check_in_parent(parent, project, &row.prefixes, &own)?;
                let needed = slots_needed(&own, row);
                self.check_slots(parent.row.handle, project, OwnerId(row.id.0), needed)?;
            }
        } else if row.scope != old.scope {
            self.check_scope(project, row)?;
        }
        Ok(())
    }

    pub(super) fn pool_delete(
        &mut self,
        project: ProjectId,
        id: PoolId,
        request: &PoolDelete,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let pool = self.own_pool(project, id)?;
        check_expected(request.expected, pool.row.revision)?;
        check_unused(pool, "network", "it can be deleted")?;
        let (object, parent) = (pool.row.handle, pool.row.parent);
        for block in self.blocks_of_parent(object) {
            if let Some(parent) = parent {
                self.give(parent.handle, block.base, sink);
            }
        }
        let revision = self.next_revision(object);
        self.commit(&Effect::ObjectGone { object, revision }, sink);
        Ok((Status::OK, Reply::Empty))
    }

    pub(super) fn pool_get(
        &self,
        project: ProjectId,
        id: PoolId,
        request: &PoolGet,
    ) -> Result<SubnetPool, Refused> {
        let found = match &request.name {
            None => self.pool_of(project, "network", id)?,
            Some(name) => {
                let handle = self.named(Named::Pool, project, name)?;
                self.pools.get(&handle).ok_or_else(lost)?
            }
        };
        Ok(objects::pool(found, project))
    }

    pub(super) fn pool_list(
        &self,
        at: &At,
        project: ProjectId,
        request: &PoolList,
    ) -> Result<PoolPage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_POOLS_MAX)?;
        let cursor = Cursor::read(Kind::Pool, at, &request.page)?;
        let mut page = Page::new(most);
        for (handle, pool) in self.pools.range(behind(cursor)) {
            let name = pool.row.name.as_deref().unwrap_or_default();
            let shown = (pool.row.project == project || pool.row.shared)
                && request.name_prefix.as_deref().is_none_or(|start| name.starts_with(start));
            if !page.look_at(handle.0.into(), shown.then(|| objects::pool(pool, project))) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Pool, at, Family::V4);
        Ok(PoolPage { position: at.position, items, next })
    }

    /// What a request would get. A moment later it may be something else.
    pub(super) fn pool_preview(
        &self,
        project: ProjectId,
        id: PoolId,
        request: &PoolPreview,
    ) -> Result<PoolPreviewed, Refused> {
        let pool = self.pool_of(project, "network", id)?;
        let family = pool.row.family;
        let allowed = choice(family, "allowed", &request.allowed)?;
        if let (Some(exact), Some(length)) = (request.exact, request.length)
            && exact.length() != length
        {
            let message = format_args!("length is {length}, and exact is {exact}");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "length", message));
        }
        let wanted = Wanted {
            exact: request.exact,
            field: "exact",
            length: request.length,
            allowed: (!allowed.is_empty()).then_some(allowed),
            disallowed: choice(family, "disallowed", &request.disallowed)?,
            lowest: false,
        };
        let block = self.choose(pool, project, &wanted)?;
        let cidr = pool.prefix(block).ok_or_else(lost)?;
        Ok(PoolPreviewed { cidr })
    }
}

fn repeated(pool: &Pool, project: ProjectId, request: &PoolCreate) -> Result<SubnetPool, Refused> {
    let differs = if pool.row.family != request.family {
        Some("family")
    } else if pool.row.parent.map(|parent| PoolId(parent.id)) != request.parent_id {
        Some("parent_id")
    } else {
        None
    };
    let Some(field) = differs else {
        return Ok(SubnetPool { repeated: true, ..objects::pool(pool, project) });
    };
    let message = format_args!("subnet pool {} exists with another {field}", pool.row.id);
    Err(with(refuse_field(Status::ID_IN_USE, field, message), other_pool(pool)))
}

/// Prefixes of one family, merged.
fn merged(family: Family, field: &str, prefixes: &[Prefix]) -> Result<Vec<Prefix>, Refused> {
    for prefix in prefixes {
        if prefix.family() != family {
            return Err(other_family(field, family, prefix));
        }
        if prefix.length() == 0 {
            let message = format_args!("{field} has {prefix}; at least 1 bit is accepted");
            return Err(refuse_field(Status::INVALID_PREFIX, field, message));
        }
    }
    let blocks = compacted(prefixes.iter().map(block_of));
    Ok(blocks.into_iter().filter_map(|block| prefix_of(family, block)).collect())
}

/// The prefixes that an update leaves.
fn new_prefixes(pool: &Pool, request: &PoolUpdate) -> Result<Vec<Prefix>, Refused> {
    let family = pool.row.family;
    let old: Vec<Block> = pool.row.prefixes.iter().map(block_of).collect();
    let blocks = |field: &str, prefixes: &[Prefix]| -> Result<Vec<Block>, Refused> {
        Ok(merged(family, field, prefixes)?.iter().map(block_of).collect())
    };
    let mut now = old.clone();
    if !request.prefixes.is_empty() {
        now = blocks("prefixes", &request.prefixes)?;
        if let Some(gone) = without(&old, &now).first().and_then(|gone| prefix_of(family, *gone)) {
            let message = format_args!(
                "{gone} would vanish; prefixes must have all that are there (remove_prefixes removes)"
            );
            return Err(refuse_field(Status::POOL_PREFIX_UPDATE, "prefixes", message));
        }
    }
    now.extend(blocks("add_prefixes", &request.add_prefixes)?);
    let removed = blocks("remove_prefixes", &request.remove_prefixes)?;
    for block in &removed {
        if let Some((taken, _)) = pool.overlapping(*block) {
            let shown = prefix_of(family, *block).map_or_else(String::new, |p| p.to_string());
            let taken = pool.prefix(taken).map_or_else(String::new, |p| p.to_string());
            let message = format_args!("{shown} can't be removed: {taken} of it is in use");
            let refused = refuse_field(Status::POOL_PREFIX_UPDATE, "remove_prefixes", message);
            return Err(refused);
        }
    }
    let left = compacted(without(&compacted(now), &removed));
    if left.is_empty() {
        return Err(no_prefixes());
    }
    Ok(left.into_iter().filter_map(|block| prefix_of(family, block)).collect())
}

/// How many more slots of its parent a pool has after a change: what it gives back comes first.
fn slots_needed(own: &[Block], row: &PoolRow) -> usize {
    let now: Vec<Block> = row.prefixes.iter().map(block_of).collect();
    let given = own.iter().filter(|block| !now.contains(block)).count();
    let taken = now.iter().filter(|block| !own.contains(block)).count();
    taken.saturating_sub(given)
}

fn no_prefixes() -> Refused {
    let message = format_args!("a subnet pool has at least one prefix");
    refuse_field(Status::NO_PREFIXES, "prefixes", message)
}

fn not_of_parent() -> Refused {
    let message = format_args!("a pool with a parent is in the address scope of its parent");
    refuse_field(Status::SCOPE_AFFINITY, "address_scope_id", message)
}

fn wrong_family(field: &str, what: &str, family: Family) -> Refused {
    let message = format_args!("the {what} is of {}, and the pool is not", family_name(family));
    refuse_field(Status::FAMILY_MISMATCH, field, message)
}

pub(super) fn check_prefix_count(count: usize) -> Result<(), Refused> {
    if count <= POOL_PREFIXES_MAX {
        return Ok(());
    }
    Err(limit("POOL_PREFIXES_MAX", count as u128, POOL_PREFIXES_MAX as u128))
}

/// Refuses a pool of which something is in use.
fn check_unused(pool: &Pool, field: &str, when: &str) -> Result<(), Refused> {
    let count = pool.taken.len() as u128;
    if count == 0 {
        return Ok(());
    }
    let message = format_args!("{count} prefixes of the pool are in use; {when} only without any");
    Err(with(refuse_field(Status::POOL_IN_USE, field, message), Detail::Count { count }))
}

/// Shortest and longest length of a pool that doesn't say.
const fn default_bounds(family: Family) -> (u8, u8) {
    match family {
        Family::V4 => (8, 32),
        Family::V6 => (64, 128),
    }
}

/// Refuses lengths out of range or out of order.
fn check_bounds(row: &PoolRow) -> Result<(), Refused> {
    let (least, most) = (1, row.family.bits());
    let fields = [
        ("min_length", row.min_length),
        ("max_length", row.max_length),
        ("default_length", row.default_length),
    ];
    for (field, length) in fields {
        if !(least..=most).contains(&length) {
            return Err(out_of_range(field, length.into(), least.into(), most.into()));
        }
    }
    let (min, default, max) = (row.min_length, row.default_length, row.max_length);
    if min <= default && default <= max {
        return Ok(());
    }
    let field = if min > max { "min_length" } else { "default_length" };
    let message = format_args!(
        "lengths are /{min} (least), /{default} (default), /{max} (most); they must not fall"
    );
    Err(refuse_field(Status::POOL_BOUNDS, field, message))
}

fn length(field: &mut u8, setting: &Setting<u8>, default: u8) {
    match setting {
        Setting::Unset => {}
        Setting::Null => *field = default,
        Setting::Value(bits) => *field = *bits,
    }
}

/// A pool as the detail of a refusal.
fn other_pool(pool: &Pool) -> Detail {
    let cidr = pool.row.prefixes.first().copied();
    Detail::Other { network_id: NetworkId(pool.row.id.0), subnet_id: SubnetId::NIL, cidr }
}

const fn last_id() -> PoolId {
    PoolId::from_u128(u128::MAX)
}
