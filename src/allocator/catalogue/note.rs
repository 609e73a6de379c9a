//! What follows from an effect: indexes, counts, free blocks. The same live and at recovery; noting
//! an effect twice changes nothing.

use super::pool::{Pool, block_of};
use super::{Bound, Catalogue, Named, NetworkEntry, Occupant, Scope};
use crate::allocator::network::family_index;
use crate::allocator::owned;
use crate::model::{
    AllocationRow, Effect, Family, NetworkHandle, NetworkId, NetworkRow, PoolRow, Prefix,
    PrincipalRow, ProjectId, ProjectRow, Revision, ScopeRow, SubnetHandle, SubnetId, SubnetRow,
    Text,
};
use addrd_protocol::message::{Strategy, SubnetKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Catalogue {
    /// Notes all effects of a shard's decision.
    pub(super) fn note_all(&mut self, effects: &[Effect]) {
        effects.iter().for_each(|effect| self.note(effect));
    }

    pub(super) fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::ProjectPut(row) => self.note_project(row),
            Effect::PrincipalPut(row) => self.note_principal(row),
            Effect::ScopePut(row) => self.note_scope(row),
            Effect::PoolPut(row) => self.note_pool(row),
            Effect::ObjectGone { object, .. } => self.note_object_gone(*object),
            Effect::NetworkPut(row) => self.note_network(row),
            Effect::NetworkGone { network, .. } => self.note_network_gone(*network),
            Effect::SubnetPut(row) => self.note_subnet(row),
            Effect::SubnetGone { network, subnet, .. } => self.note_subnet_gone(*network, *subnet),
            Effect::AllocationPut(row) => self.note_prefix(row),
            Effect::AllocationGone { place, .. } => {
                if let Some(pool) = self.pools.get_mut(&place.network) {
                    pool.note_gone(place.offset);
                    self.levels.note(place.network.0, &mut pool.is_crossed);
                }
            }
            Effect::LevelPut(row) => self.note_level(row),
            Effect::ExclusionPut(_)
            | Effect::ExclusionGone { .. }
            | Effect::JobPut(_)
            | Effect::JobGone { .. }
            | Effect::SegmentPut(_)
            | Effect::HostPut(_)
            | Effect::PortPut(_)
            | Effect::PinPut(_)
            | Effect::ThingGone { .. }
            | Effect::HostLeasePut(_)
            | Effect::HostLeaseGone { .. }
            | Effect::Asked(_)
            | Effect::Adoption { .. } => {}
        }
    }

    pub(super) fn note_prefix(&mut self, row: &AllocationRow) {
        let Some(pool) = self.pools.get_mut(&row.place.network) else { return };
        let project = row.extras.as_deref().and_then(|extras| extras.project);
        let project = project.unwrap_or(pool.row.project);
        let block = super::blocks::Block::new(row.place.offset, row.place.block_bits);
        pool.note_taken(block, project);
        self.levels.note(row.place.network.0, &mut pool.is_crossed);
    }

    fn note_project(&mut self, row: &ProjectRow) {
        self.seen(row.handle);
        let old = self.projects.get(&row.id).and_then(|old| old.name.clone());
        self.rename(Named::Project, ProjectId::NIL, row.handle, old, row.name.as_ref());
        self.project_ids.insert(row.handle, row.id);
        let texts = (row.name.as_ref().map(owned), row.description.as_ref().map(owned));
        let row = ProjectRow { name: texts.0, description: texts.1, ..row.clone() };
        self.projects.insert(row.id, row);
    }

    fn note_scope(&mut self, row: &ScopeRow) {
        self.seen(row.handle);
        let old = self.scopes.get(&row.handle).and_then(|old| old.row.name.clone());
        self.rename(Named::Scope, row.project, row.handle, old, row.name.as_ref());
        if self.scope_ids.insert((row.project, row.id), row.handle).is_none() {
            self.counts.entry(row.project).or_default().scopes += 1;
        }
        let shared = (row.id, row.handle);
        if row.shared {
            self.shared_scopes.insert(shared);
        } else {
            self.shared_scopes.remove(&shared);
        }
        let texts = (row.name.as_ref().map(owned), row.description.as_ref().map(owned));
        let row = ScopeRow { name: texts.0, description: texts.1, ..row.clone() };
        match self.scopes.get_mut(&row.handle) {
            Some(scope) => scope.row = row,
            None => {
                // At recovery, pools with lower numbers may have been moved into it before.
                let mut scope = Scope { row, ranges: Default::default(), networks: 0, pools: 0 };
                for pool in self.pools.values() {
                    enter_pool(&mut scope, &pool.row);
                }
                self.scopes.insert(scope.row.handle, scope);
            }
        }
    }

    fn note_pool(&mut self, row: &PoolRow) {
        self.seen(row.handle);
        let old = self.pools.get(&row.handle).map(|pool| pool.row.clone());
        let name = old.as_ref().and_then(|old| old.name.clone());
        self.rename(Named::Pool, row.project, row.handle, name, row.name.as_ref());
        if self.pool_ids.insert((row.project, row.id), row.handle).is_none() {
            self.counts.entry(row.project).or_default().pools += 1;
        }
        let shared = (row.id, row.handle);
        if row.shared {
            self.shared_pools.insert(shared);
        } else {
            self.shared_pools.remove(&shared);
        }
        if let Some(old) = &old
            && let Some(scope) = old.scope.and_then(|scope| self.scopes.get_mut(&scope.handle))
        {
            leave_pool(scope, old);
        }
        if let Some(scope) = row.scope.and_then(|scope| self.scopes.get_mut(&scope.handle)) {
            enter_pool(scope, row);
        }
        self.keep_prefixes_of(row);
        let texts = (row.name.as_ref().map(owned), row.description.as_ref().map(owned));
        let row = PoolRow { name: texts.0, description: texts.1, ..row.clone() };
        let handle = row.handle;
        self.levels.moved(old.map_or(0, |old| old.level), row.level);
        match self.pools.get_mut(&handle) {
            Some(pool) => pool.change(row),
            None => _ = self.pools.insert(handle, Pool::new(row)),
        }
        if let Some(pool) = self.pools.get_mut(&handle) {
            self.levels.note(handle.0, &mut pool.is_crossed);
        }
    }

    /// The network and subnet in which the catalogue's shard keeps what is taken from a pool.
    fn keep_prefixes_of(&mut self, row: &PoolRow) {
        let network = NetworkRow {
            network: row.handle,
            revision: row.revision,
            project: row.project,
            id: NetworkId(row.id.0),
            deleting: false,
            shared: false,
            name: None,
            description: None,
            scope_v4: None,
            scope_v6: None,
        };
        let subnet = SubnetRow {
            network: row.handle,
            subnet: SubnetHandle(0),
            // Nobody sees it; one that is the same whichever record of the pool is read first.
            revision: Revision(0),
            id: SubnetId(row.id.0),
            prefix: whole(row.family),
            kind: SubnetKind::Routed,
            strategy: Strategy::Lowest,
            enable_dhcp: false,
            deleting: false,
            gateway: None,
            pools: Vec::new(),
            dns_servers: Vec::new(),
            routes: Vec::new(),
            name: None,
            description: None,
            pool: None,
            // Prefixes do not rest.
            quarantine_ms: 0,
            service: Default::default(),
            level: 0,
        };
        let known = self.pools.contains_key(&row.handle);
        let kept = self.prefixes.absorb(&Effect::NetworkPut(Box::new(network)));
        assert!(kept.is_ok(), "a network can always be made: {kept:?}");
        if !known {
            let kept = self.prefixes.absorb(&Effect::SubnetPut(Box::new(subnet)));
            assert!(kept.is_ok(), "its network was made just now: {kept:?}");
        }
    }

    fn note_principal(&mut self, row: &PrincipalRow) {
        self.seen(row.handle);
        let old = self.principals.get(row.id).and_then(|old| old.name.clone());
        self.rename(Named::Principal, ProjectId::NIL, row.handle, old, row.name.as_ref());
        self.principals.put(row);
    }

    fn note_object_gone(&mut self, object: NetworkHandle) {
        if let Some(row) = self.principals.remove(object) {
            self.rename(Named::Principal, ProjectId::NIL, object, row.name.clone(), None);
        }
        if let Some(id) = self.project_ids.remove(&object) {
            let name = self.projects.remove(&id).and_then(|row| row.name);
            self.rename(Named::Project, ProjectId::NIL, object, name, None);
        }
        if let Some(Scope { row, .. }) = self.scopes.remove(&object) {
            self.scope_ids.remove(&(row.project, row.id));
            self.shared_scopes.remove(&(row.id, object));
            self.rename(Named::Scope, row.project, object, row.name, None);
            self.counted(row.project, |counts| counts.scopes -= 1);
        }
        if let Some(Pool { row, .. }) = self.pools.remove(&object) {
            if let Some(scope) = row.scope.and_then(|scope| self.scopes.get_mut(&scope.handle)) {
                leave_pool(scope, &row);
            }
            self.levels.moved(row.level, 0);
            self.pool_ids.remove(&(row.project, row.id));
            self.shared_pools.remove(&(row.id, object));
            self.rename(Named::Pool, row.project, object, row.name, None);
            self.counted(row.project, |counts| counts.pools -= 1);
            let gone = Effect::NetworkGone { network: object, revision: row.revision };
            let kept = self.prefixes.absorb(&gone);
            assert!(kept.is_ok(), "a network can always go: {kept:?}");
        }
    }

    fn note_network(&mut self, row: &NetworkRow) {
        self.seen(row.network);
        let old = self.networks.get(&row.network);
        let (known, name) = (old.is_some(), old.and_then(|old| old.name.clone()));
        self.rename(Named::Network, row.project, row.network, name, row.name.as_ref());
        let scopes = [row.scope_v4, row.scope_v6].map(|scope| scope.map(|scope| scope.handle));
        if !known {
            self.counts.entry(row.project).or_default().networks += 1;
            for scope in scopes.iter().flatten() {
                if let Some(scope) = self.scopes.get_mut(scope) {
                    scope.networks += 1;
                }
            }
        }
        let name = row.name.as_ref().map(owned);
        let entry = NetworkEntry { project: row.project, id: row.id, name, scopes };
        self.networks.insert(row.network, entry);
    }

    fn note_network_gone(&mut self, network: NetworkHandle) {
        let Some(entry) = self.networks.remove(&network) else { return };
        let all = (network, SubnetHandle(0))..=(network, SubnetHandle(u32::MAX));
        let subnets: Vec<_> = self.bound.range(all).map(|(key, _)| *key).collect();
        subnets.into_iter().for_each(|(network, subnet)| self.note_subnet_gone(network, subnet));
        for scope in entry.scopes.iter().flatten() {
            if let Some(scope) = self.scopes.get_mut(scope) {
                scope.networks = scope.networks.saturating_sub(1);
            }
        }
        self.rename(Named::Network, entry.project, network, entry.name, None);
        self.counted(entry.project, |counts| counts.networks -= 1);
    }

    fn note_subnet(&mut self, row: &SubnetRow) {
        let network = self.networks.get(&row.network);
        let scope = network.and_then(|network| network.scopes[family_index(row.prefix.family())]);
        let pool = row.pool.map(|pool| pool.handle);
        let scope = if pool.is_some() { None } else { scope };
        if self.bound.get(&(row.network, row.subnet)).is_some_and(|old| old.scope != scope) {
            // It was in the scope by itself; now it is by its pool.
            self.note_subnet_gone(row.network, row.subnet);
        }
        if pool.is_none() && scope.is_none() {
            return;
        }
        let block = block_of(&row.prefix);
        if let Some(scope) = scope.and_then(|scope| self.scopes.get_mut(&scope)) {
            let occupant = Occupant::Subnet(row.network, row.subnet);
            scope.ranges.insert(block.base, (block.last(), occupant));
        }
        let bound = Bound { pool, scope, base: block.base };
        self.bound.insert((row.network, row.subnet), bound);
    }

    fn note_subnet_gone(&mut self, network: NetworkHandle, subnet: SubnetHandle) {
        let Some(bound) = self.bound.remove(&(network, subnet)) else { return };
        let Some(scope) = bound.scope.and_then(|scope| self.scopes.get_mut(&scope)) else { return };
        let own = Occupant::Subnet(network, subnet);
        if scope.ranges.get(&bound.base).is_some_and(|(_, occupant)| *occupant == own) {
            scope.ranges.remove(&bound.base);
        }
    }

    fn seen(&mut self, handle: NetworkHandle) {
        self.raise_handles(handle.0);
    }

    fn counted(&mut self, project: ProjectId, change: impl FnOnce(&mut super::Counts)) {
        if let Some(counts) = self.counts.get_mut(&project) {
            change(counts);
            if *counts == super::Counts::default() {
                self.counts.remove(&project);
            }
        }
    }

    /// Keeps the names in step: an object had one name and has another now.
    fn rename(
        &mut self,
        named: Named,
        project: ProjectId,
        handle: NetworkHandle,
        old: Option<Text>,
        new: Option<&Text>,
    ) {
        if old.as_ref() == new {
            return;
        }
        if let Some(old) = old {
            let key = (named, project, old);
            if self.names.get(&key) == Some(&handle) {
                self.names.remove(&key);
            }
        }
        if let Some(new) = new {
            self.names.insert((named, project, owned(new)), handle);
        }
    }
}

/// Enters a pool into its scope. One with a parent lies inside the parent's prefixes already.
fn enter_pool(scope: &mut Scope, row: &PoolRow) {
    if row.scope.is_none_or(|own| own.handle != scope.row.handle) {
        return;
    }
    scope.pools += 1;
    if row.parent.is_some() {
        return;
    }
    for block in row.prefixes.iter().map(block_of) {
        scope.ranges.insert(block.base, (block.last(), Occupant::Pool(row.handle)));
    }
}

fn leave_pool(scope: &mut Scope, row: &PoolRow) {
    scope.pools = scope.pools.saturating_sub(1);
    for block in row.prefixes.iter().map(block_of) {
        let own = Occupant::Pool(row.handle);
        if scope.ranges.get(&block.base).is_some_and(|(_, occupant)| *occupant == own) {
            scope.ranges.remove(&block.base);
        }
    }
}

/// All addresses of a family.
fn whole(family: Family) -> Prefix {
    let first = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let Some(prefix) = Prefix::truncated(first, 0) else {
        unreachable!("no bits are a length of every family")
    };
    prefix
}
