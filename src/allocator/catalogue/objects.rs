//! Objects of the catalogue as replies show them, and how requests find them. Reads only.

use super::pool::{Pool, block_of};
use super::{Catalogue, Named, Scope};
use crate::allocator::refusal::{Refused, refuse, refuse_field};
use crate::model::{AddressScopeId, NetworkHandle, PoolId, ProjectId, Revision, Status, Text};
use addrd_protocol::message::{AddressScope, Project, SubnetPool};

impl Catalogue {
    /// A scope of the project, or a shared one.
    pub(super) fn find_scope(
        &self,
        project: ProjectId,
        id: AddressScopeId,
    ) -> Option<NetworkHandle> {
        let own = self.scope_ids.get(&(project, id)).copied();
        let all = (id, NetworkHandle(0))..=(id, NetworkHandle(u32::MAX));
        own.or_else(|| self.shared_scopes.range(all).next().map(|(_, handle)| *handle))
    }

    /// A pool of the project, or a shared one.
    pub(super) fn find_pool(&self, project: ProjectId, id: PoolId) -> Option<NetworkHandle> {
        let own = self.pool_ids.get(&(project, id)).copied();
        let all = (id, NetworkHandle(0))..=(id, NetworkHandle(u32::MAX));
        own.or_else(|| self.shared_pools.range(all).next().map(|(_, handle)| *handle))
    }

    /// The scope of a request.
    pub(super) fn scope_of(
        &self,
        project: ProjectId,
        field: &str,
        id: AddressScopeId,
    ) -> Result<&Scope, Refused> {
        let found = self.find_scope(project, id).and_then(|handle| self.scopes.get(&handle));
        found.ok_or_else(|| {
            let message = format_args!("the project sees no address scope {id}");
            refuse_field(Status::NOT_FOUND, field, message)
        })
    }

    /// The pool of a request.
    pub(super) fn pool_of(
        &self,
        project: ProjectId,
        field: &str,
        id: PoolId,
    ) -> Result<&Pool, Refused> {
        let found = self.find_pool(project, id).and_then(|handle| self.pools.get(&handle));
        found.ok_or_else(|| {
            let message = format_args!("the project sees no subnet pool {id}");
            refuse_field(Status::NOT_FOUND, field, message)
        })
    }

    /// The object that a project gave a name.
    pub(super) fn named(
        &self,
        named: Named,
        project: ProjectId,
        name: &Text,
    ) -> Result<NetworkHandle, Refused> {
        let found = self.names.get(&(named, project, name.clone())).copied();
        found.ok_or_else(|| {
            let what = match named {
                Named::Project => "project",
                Named::Network => "network",
                Named::Scope => "address scope",
                Named::Pool => "subnet pool",
                Named::Principal => "principal",
            };
            refuse(Status::NOT_FOUND, format_args!("there is no {what} with the name {name}"))
        })
    }

    /// A project as it is; the default one is there without a row.
    pub(super) fn project(&self, id: ProjectId) -> Option<Project> {
        let row = self.projects.get(&id);
        if row.is_none() && id != ProjectId::DEFAULT {
            return None;
        }
        let counts = self.counts.get(&id).copied().unwrap_or_default();
        let default_name = || Text::new("default").ok();
        Some(Project {
            project_id: id,
            revision: row.map_or(Revision(0), |row| row.revision),
            networks: counts.networks,
            subnet_pools: counts.pools,
            address_scopes: counts.scopes,
            repeated: false,
            name: row.map_or_else(default_name, |row| row.name.clone()),
            description: row.and_then(|row| row.description.clone()),
            quotas: row.map(|row| row.quotas).unwrap_or_default(),
            used: Default::default(),
        })
    }
}

/// A scope as it is.
pub(super) fn scope(scope: &Scope) -> AddressScope {
    AddressScope {
        address_scope_id: scope.row.id,
        project_id: scope.row.project,
        revision: scope.row.revision,
        subnet_pools: scope.pools,
        networks: scope.networks,
        family: scope.row.family,
        shared: scope.row.shared,
        repeated: false,
        name: scope.row.name.clone(),
        description: scope.row.description.clone(),
    }
}

/// A pool as a project sees it.
pub(super) fn pool(pool: &Pool, project: ProjectId) -> SubnetPool {
    let row = &pool.row;
    SubnetPool {
        subnet_pool_id: row.id,
        project_id: row.project,
        revision: row.revision,
        taken: pool.taken.len() as u64,
        size: row
            .prefixes
            .iter()
            .map(|prefix| block_of(prefix).size())
            .fold(0, u128::saturating_add),
        used: pool.used_by_all(),
        used_by_project: pool.used_by(project),
        family: row.family,
        min_length: row.min_length,
        max_length: row.max_length,
        default_length: row.default_length,
        is_default: row.is_default,
        shared: row.shared,
        repeated: false,
        prefixes: row.prefixes.clone(),
        default_quota: row.quota,
        address_scope_id: row.scope.map(|scope| AddressScopeId(scope.id)),
        parent_id: row.parent.map(|parent| PoolId(parent.id)),
        name: row.name.clone(),
        description: row.description.clone(),
    }
}
