//! Address scopes: create, change, delete, read; what overlaps in one.

use super::projects::{check_expected, lost, next_revision};
use super::{Catalogue, Named, Occupant, Scope, objects};
use crate::allocator::pages::{Cursor, Kind, Page};
use crate::allocator::refusal::{Refused, limit, refuse, refuse_field, with};
use crate::allocator::release::write;
use crate::allocator::shard::{Answer, At};
use crate::allocator::subnets::check_page_limit;
use crate::limits::ADDRESS_SCOPES_MAX;
use crate::model::{
    AddressScopeId, Effect, EffectSink, Family, NetworkHandle, ProjectId, Revision, ScopeRow,
    Setting, Status,
};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{
    AddressScope, Detail, Reply, ScopeCreate, ScopeDelete, ScopeGet, ScopeList, ScopePage,
    ScopeUpdate,
};
use std::ops::Bound;

impl Catalogue {
    pub(super) fn scope_create(
        &mut self,
        at: &At,
        project: ProjectId,
        id: AddressScopeId,
        request: &ScopeCreate,
        sink: &mut impl EffectSink,
    ) -> Result<AddressScope, Refused> {
        self.check_project(project)?;
        let own = self.scope_ids.get(&(project, id));
        if let Some(scope) = own.and_then(|handle| self.scopes.get(handle)) {
            if scope.row.family != request.family {
                let message = format_args!("address scope {id} exists with the other family");
                return Err(refuse_field(Status::ID_IN_USE, "family", message));
            }
            return Ok(AddressScope { repeated: true, ..objects::scope(scope) });
        }
        if let Some(name) = &request.name {
            self.check_name(Named::Scope, project, name)?;
        }
        let count = self.scopes.len() as u128;
        if count >= ADDRESS_SCOPES_MAX.into() {
            return Err(limit("ADDRESS_SCOPES_MAX", count + 1, ADDRESS_SCOPES_MAX.into()));
        }
        let handle = self.take_handle();
        let row = ScopeRow {
            handle,
            revision: Revision(at.tick.first_revision() + 1),
            project,
            id,
            family: request.family,
            shared: request.shared,
            name: request.name.clone(),
            description: request.description.clone(),
        };
        self.commit(&Effect::ScopePut(Box::new(row)), sink);
        self.scopes.get(&handle).map(objects::scope).ok_or_else(lost)
    }

    /// Changes are for the scope's own project.
    fn own_scope(&self, project: ProjectId, id: AddressScopeId) -> Result<&Scope, Refused> {
        let own = self.scope_ids.get(&(project, id)).and_then(|handle| self.scopes.get(handle));
        own.ok_or_else(|| {
            refuse(Status::NOT_FOUND, format_args!("the project has no address scope {id}"))
        })
    }

    pub(super) fn scope_update(
        &mut self,
        at: &At,
        project: ProjectId,
        id: AddressScopeId,
        request: &ScopeUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<AddressScope, Refused> {
        let scope = self.own_scope(project, id)?;
        let mut row = scope.row.clone();
        let renamed = write(&mut row.name, &request.name);
        write(&mut row.description, &request.description);
        switch(&mut row.shared, &request.shared);
        if row == scope.row {
            return Ok(AddressScope { repeated: true, ..objects::scope(scope) });
        }
        check_expected(request.expected, row.revision)?;
        if renamed && let Some(name) = &row.name {
            self.check_name(Named::Scope, project, name)?;
        }
        if !row.shared && scope.row.shared && self.is_used_by_others(&row) {
            let message = format_args!("other projects have pools or networks in the scope");
            return Err(refuse_field(Status::IN_USE, "shared", message));
        }
        row.revision = next_revision(row.revision, at);
        let handle = row.handle;
        self.commit(&Effect::ScopePut(Box::new(row)), sink);
        self.scopes.get(&handle).map(objects::scope).ok_or_else(lost)
    }

    fn is_used_by_others(&self, row: &ScopeRow) -> bool {
        let own = |project: &ProjectId| *project == row.project;
        let pools = self
            .pools
            .values()
            .filter(|pool| pool.row.scope.is_some_and(|scope| scope.handle == row.handle));
        let networks =
            self.networks.values().filter(|network| network.scopes.contains(&Some(row.handle)));
        pools.into_iter().any(|pool| !own(&pool.row.project))
            || networks.into_iter().any(|network| !own(&network.project))
    }

    pub(super) fn scope_delete(
        &mut self,
        project: ProjectId,
        id: AddressScopeId,
        request: &ScopeDelete,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let scope = self.own_scope(project, id)?;
        check_expected(request.expected, scope.row.revision)?;
        let count = u128::from(scope.pools) + u128::from(scope.networks);
        if count > 0 {
            let message = format_args!(
                "{} subnet pools and {} networks are in the scope",
                scope.pools, scope.networks
            );
            return Err(with(refuse(Status::IN_USE, message), Detail::Count { count }));
        }
        let (object, revision) = (scope.row.handle, Revision(scope.row.revision.0 + 1));
        self.commit(&Effect::ObjectGone { object, revision }, sink);
        Ok((Status::OK, Reply::Empty))
    }

    pub(super) fn scope_get(
        &self,
        project: ProjectId,
        id: AddressScopeId,
        request: &ScopeGet,
    ) -> Result<AddressScope, Refused> {
        let Some(name) = &request.name else {
            return self.scope_of(project, "network", id).map(objects::scope);
        };
        let handle = self.named(Named::Scope, project, name)?;
        self.scopes.get(&handle).map(objects::scope).ok_or_else(lost)
    }

    pub(super) fn scope_list(
        &self,
        at: &At,
        project: ProjectId,
        request: &ScopeList,
    ) -> Result<ScopePage, Refused> {
        let most = check_page_limit(request.page.limit, PAGE_OBJECTS_MAX)?;
        let cursor = Cursor::read(Kind::Scope, at, &request.page)?;
        let mut page = Page::new(most);
        for (handle, scope) in self.scopes.range(behind(cursor)) {
            let name = scope.row.name.as_deref().unwrap_or_default();
            let shown = (scope.row.project == project || scope.row.shared)
                && request.name_prefix.as_deref().is_none_or(|start| name.starts_with(start));
            if !page.look_at(handle.0.into(), shown.then(|| objects::scope(scope))) {
                break;
            }
        }
        let (items, next) = page.finish(Kind::Scope, at, Family::V4);
        Ok(ScopePage { position: at.position, items, next })
    }
}

/// Where a list by number goes on.
pub(super) fn behind(cursor: Option<Cursor>) -> (Bound<NetworkHandle>, Bound<NetworkHandle>) {
    let last = cursor.map(|cursor| u32::try_from(cursor.key).unwrap_or(u32::MAX));
    let from = last.map_or(Bound::Unbounded, |last| Bound::Excluded(NetworkHandle(last)));
    (from, Bound::Unbounded)
}

impl Scope {
    /// What overlaps `first..=last` in the scope, apart from a pool's own prefixes.
    pub(super) fn overlapping(
        &self,
        first: u128,
        last: u128,
        own: Option<NetworkHandle>,
    ) -> Option<(u128, u128, Occupant)> {
        let before = self.ranges.range(..=last).rev();
        let mut before = before.take_while(|(_, (end, _))| *end >= first);
        before
            .find(|(_, (_, occupant))| own.is_none_or(|own| *occupant != Occupant::Pool(own)))
            .map(|(&base, &(end, occupant))| (base, end, occupant))
    }
}

/// Writes a setting of a switch; null is off.
pub(in crate::allocator) fn switch(field: &mut bool, setting: &Setting<bool>) {
    match setting {
        Setting::Unset => {}
        Setting::Null => *field = false,
        Setting::Value(on) => *field = *on,
    }
}
