//! From a request that spans networks, or belongs to none, to an answer. The caller has stopped every
//! worker that the request needs; nothing here waits.

use super::Catalogue;
use super::transaction::apply_transaction;
use crate::allocator::Shard;
use crate::allocator::host_leases::{end_host, renew_host};
use crate::allocator::refusal::{Refused, refuse, unsupported, with};
use crate::allocator::shard::{Answer, At, Scope};
use crate::model::{
    AddressScopeId, Effect, EffectSink, JobRow, NetworkHandle, PoolId, ProjectId, Status, worker_of,
};
use addrd_protocol::message::{Detail, JobKind, Reply, Request};

/// Applies a request for which [`crate::allocator::is_spanning`] holds. `shards` are all shards, by
/// worker; none are needed where [`crate::allocator::needs_no_shard`] holds.
///
/// # Errors
/// A refusal; state and sink are then as before.
pub fn apply_spanning(
    catalogue: &mut Catalogue,
    shards: &mut [&mut Shard],
    at: &At,
    scope: &Scope,
    request: &Request,
    sink: &mut impl EffectSink,
) -> Answer {
    if let Request::ServerAdopt(request) = request {
        let adoption = catalogue.adopt(shards, at, request.action, sink);
        return Ok((Status::OK, Reply::Adoption(adoption)));
    }
    if let Request::RenewHost(request) = request {
        let renewed = renew_host(shards, scope.project, request, at, sink)?;
        return Ok((Status::OK, Reply::RenewedHost(renewed)));
    }
    if let Request::EndHost(request) = request {
        let ended = end_host(shards, scope.project, request, at, sink)?;
        return Ok((Status::OK, Reply::EndedHost(ended)));
    }
    catalogue.restoring = scope.restoring;
    if let Request::Transaction(request) = request {
        return apply_transaction(catalogue, shards, at, scope, request, sink);
    }
    if scope.pool {
        return catalogue.apply_to_pool(at, scope, request, sink);
    }
    if crate::allocator::needs_no_shard(scope, request) {
        return catalogue.apply_alone(at, scope, request, sink);
    }
    if is_of_project(request) {
        return catalogue.apply_to_project(shards, at, scope.project, request, sink);
    }
    crate::allocator::classify::check_guest(scope, request)?;
    let quota = match request {
        Request::SubnetCreate(_) => catalogue.check_subnet_quota(scope.home(), shards),
        _ => Ok(()),
    };
    let owner = owner_of(shards, scope)?;
    let shard = &mut *shards[owner];
    shard.act_for(None);
    shard.restoring = scope.restoring;
    let reply = match request {
        Request::NetworkCreate(request) => {
            Reply::Network(Box::new(catalogue.network_create(shard, at, scope, request, sink)?))
        }
        Request::NetworkUpdate(request) => {
            Reply::Network(Box::new(catalogue.network_update(shard, scope, request, sink)?))
        }
        Request::NetworkDelete(request) => catalogue.network_delete(shard, scope, request, sink)?,
        Request::SubnetCreate(request) => {
            let network = shard.network_of(scope)?;
            let made =
                catalogue.subnet_create(shard, network, scope.project, request, quota, sink)?;
            Reply::Subnet(Box::new(made))
        }
        Request::SubnetOnboard(request) => {
            let network = shard.network_of(scope)?;
            let pool = catalogue.subnet_onboard(shard, network, scope.project, request, sink)?;
            Reply::Pool(Box::new(pool))
        }
        Request::SubnetDelete(request) => {
            let network = shard.network_of(scope)?;
            catalogue.subnet_delete(shard, network, request, sink)?
        }
        _ => return Err(unsupported("opcode", "this operation over all workers")),
    };
    Ok((Status::OK, reply))
}

/// Ends what jobs have emptied and what is not for one worker alone
/// ([`crate::allocator::JobProgress::NeedsFinish`]): subnets from pools or in scopes, and a network
/// without subnets. Does nothing if it is gone or not empty.
pub fn finish_network(
    catalogue: &mut Catalogue,
    shards: &mut [&mut Shard],
    _at: &At,
    network: NetworkHandle,
    sink: &mut impl EffectSink,
) {
    for shard in shards {
        let Some(at) = shard.find_network_handle(network) else { continue };
        shard.act_for(None);
        catalogue.finish_subnets(shard, at, sink);
        let of = shard.networks.at(at);
        let all = of.deleting && shard.is_bare(at);
        let running: Vec<JobRow> = shard
            .jobs
            .values()
            .filter(|job| job.network == network && !job.finished)
            .copied()
            .collect();
        for row in running {
            let gone =
                row.kind == JobKind::SubnetDelete && shard.find_subnet(at, row.subnet_id).is_none();
            if all || gone {
                let revision = shard.networks.at(at).next_revision();
                let row = JobRow { revision, finished: true, ..row };
                shard.commit(&Effect::JobPut(row), sink);
            }
        }
        if all {
            let revision = shard.networks.at(at).next_revision();
            let gone = Effect::NetworkGone { network, revision };
            shard.commit(&gone, sink);
            catalogue.note(&gone);
        }
        shard.forget_finished(sink);
        return;
    }
}

impl Catalogue {
    /// Requests on a project that concern every shard: each learns which projects there are and what
    /// quotas they have, and says what a project has.
    fn apply_to_project(
        &mut self,
        shards: &mut [&mut Shard],
        at: &At,
        project: ProjectId,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let (answer, exists) = match request {
            Request::ProjectGet(request) => {
                let mut found = self.project_get(project, request)?;
                found.used = self.used_by(found.project_id, shards);
                return Ok((Status::OK, Reply::Project(Box::new(found))));
            }
            Request::ProjectUpdate(request) => {
                let changed = self.project_update(at, project, request, sink)?;
                self.share_quotas(project, shards);
                return Ok((Status::OK, Reply::Project(Box::new(changed))));
            }
            Request::ProjectCreate(request) => {
                let made = self.project_create(at, project, request, sink)?;
                self.share_quotas(project, shards);
                ((Status::OK, Reply::Project(Box::new(made))), true)
            }
            Request::ProjectDelete(request) => {
                let as_guest = shards.iter().map(|shard| shard.guest_count(project)).sum();
                let leases = |shard: &&mut Shard| shard.ledger.hosts.leased_of(project);
                let leased = shards.iter().map(leases).max().unwrap_or(0);
                check_no_host_leases(leased)?;
                (self.project_delete(project, as_guest, request, sink)?, false)
            }
            _ => return Err(unsupported("opcode", "this operation over all workers")),
        };
        if !exists {
            self.prefixes.close_account(project);
        }
        for shard in shards {
            shard.know_project(project, exists);
        }
        Ok(answer)
    }

    /// Projects that exist, besides the default one.
    pub fn project_ids(&self) -> impl Iterator<Item = ProjectId> {
        self.projects.keys().copied()
    }

    /// Requests that concern the catalogue alone.
    fn apply_alone(
        &mut self,
        at: &At,
        scope: &Scope,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let project = scope.project;
        let reply = match request {
            Request::ProjectList(request) => {
                Reply::Projects(Box::new(self.project_list(at, request)?))
            }
            Request::ProjectUpdate(request) => {
                Reply::Project(Box::new(self.project_update(at, project, request, sink)?))
            }
            _ if is_of_principal(request) => return self.apply_to_principal(at, request, sink),
            _ => return self.apply_to_scope_or_pool(at, scope, request, sink),
        };
        Ok((Status::OK, reply))
    }

    fn apply_to_principal(
        &mut self,
        at: &At,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let principal = match request {
            Request::PrincipalCreate(request) => self.principal_create(at, request, sink)?,
            Request::PrincipalGet(request) => self.principal_get(at, request)?,
            Request::PrincipalList(request) => {
                let page = self.principal_list(at, request)?;
                return Ok((Status::OK, Reply::Principals(Box::new(page))));
            }
            Request::PrincipalUpdate(request) => self.principal_update(at, request, sink)?,
            Request::PrincipalDelete(request) => {
                self.principal_delete(request, sink)?;
                return Ok((Status::OK, Reply::Empty));
            }
            Request::TokenCreate(request) => self.token_create(at, request, sink)?,
            Request::TokenRevoke(request) => self.token_revoke(at, request, sink)?,
            _ => return Err(unsupported("opcode", "this operation on principals")),
        };
        Ok((Status::OK, Reply::Principal(Box::new(principal))))
    }

    fn apply_to_scope_or_pool(
        &mut self,
        at: &At,
        scope: &Scope,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let (project, id) = (scope.project, AddressScopeId(scope.network.0));
        let pool = PoolId(scope.network.0);
        let reply = match request {
            Request::ScopeCreate(request) => {
                Reply::Scope(Box::new(self.scope_create(at, project, id, request, sink)?))
            }
            Request::ScopeGet(request) => {
                Reply::Scope(Box::new(self.scope_get(project, id, request)?))
            }
            Request::ScopeList(request) => {
                Reply::Scopes(Box::new(self.scope_list(at, project, request)?))
            }
            Request::ScopeUpdate(request) => {
                Reply::Scope(Box::new(self.scope_update(at, project, id, request, sink)?))
            }
            Request::ScopeDelete(request) => {
                return self.scope_delete(project, id, request, sink);
            }
            Request::PoolCreate(request) => {
                Reply::Pool(Box::new(self.pool_create(at, project, pool, request, sink)?))
            }
            Request::PoolGet(request) => {
                Reply::Pool(Box::new(self.pool_get(project, pool, request)?))
            }
            Request::PoolList(request) => {
                Reply::Pools(Box::new(self.pool_list(at, project, request)?))
            }
            Request::PoolUpdate(request) => {
                Reply::Pool(Box::new(self.pool_update(project, pool, request, sink)?))
            }
            Request::PoolDelete(request) => return self.pool_delete(project, pool, request, sink),
            Request::PoolPreview(request) => {
                Reply::Previewed(self.pool_preview(project, pool, request)?)
            }
            _ => return Err(unsupported("opcode", "this operation over all workers")),
        };
        Ok((Status::OK, reply))
    }
}

/// Refuses to delete a project whose hosts have leases.
fn check_no_host_leases(count: u64) -> Result<(), Refused> {
    if count == 0 {
        return Ok(());
    }
    let message = format_args!("{count} hosts of the project have leases: end them first");
    Err(with(refuse(Status::IN_USE, message), Detail::Count { count: count.into() }))
}

/// Whether a request is one on a project that concerns every shard.
fn is_of_project(request: &Request) -> bool {
    matches!(
        request,
        Request::ProjectCreate(_)
            | Request::ProjectGet(_)
            | Request::ProjectUpdate(_)
            | Request::ProjectDelete(_)
    )
}

/// Whether a request is one on principals or tokens.
const fn is_of_principal(request: &Request) -> bool {
    matches!(
        request,
        Request::PrincipalCreate(_)
            | Request::PrincipalGet(_)
            | Request::PrincipalList(_)
            | Request::PrincipalUpdate(_)
            | Request::PrincipalDelete(_)
            | Request::TokenCreate(_)
            | Request::TokenRevoke(_)
    )
}

/// The place of the shard that owns a network.
pub(super) fn owner_of(shards: &[&mut Shard], scope: &Scope) -> Result<usize, Refused> {
    let workers = u16::try_from(shards.len()).unwrap_or(u16::MAX);
    let owner = usize::from(worker_of(scope.home(), scope.network, workers).0);
    if owner >= shards.len() {
        return Err(refuse(Status::OUTCOME_UNKNOWN, format_args!("there is no worker")));
    }
    Ok(owner)
}
