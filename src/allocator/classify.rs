//! Which way a request goes. Looks at no state.

use super::refusal::{Refused, refuse_field};
use super::shard::Scope;
use crate::model::{NetworkId, ProjectId, Setting, Status};
use addrd_protocol::message::{BatchItem, NetworkUpdate, ProjectUpdate, Request};

/// Whether the request needs the catalogue: networks' names, projects, address scopes, subnet pools
/// and what is taken from them. Run [`super::apply_spanning`].
#[must_use]
pub fn is_spanning(scope: &Scope, request: &Request) -> bool {
    match request {
        Request::Allocate(_) | Request::Release(_) => scope.pool,
        Request::NetworkCreate(_) | Request::NetworkDelete(_) => true,
        Request::SubnetCreate(_) | Request::SubnetDelete(_) | Request::SubnetOnboard(_) => true,
        Request::NetworkUpdate(request) => is_spanning_update(request),
        // Every shard knows which projects there are, for guests of shared networks, and what
        // they have.
        Request::ProjectCreate(_) | Request::ProjectDelete(_) | Request::ProjectGet(_) => true,
        Request::ProjectUpdate(_) | Request::Transaction(_) => true,
        // Every shard behaves otherwise from then on.
        Request::ServerAdopt(_) => true,
        // What follows the host may be in any of them.
        Request::RenewHost(_) | Request::EndHost(_) => true,
        _ => needs_no_shard(scope, request),
    }
}

/// Whether the request needs the catalogue and no network's shard.
#[must_use]
pub fn needs_no_shard(scope: &Scope, request: &Request) -> bool {
    // New quotas are shared out to every shard.
    let is_renaming = |request: &ProjectUpdate| request.quotas.is_unset();
    scope.pool
        || matches!(request, Request::ProjectUpdate(request) if is_renaming(request))
        || matches!(
            request,
            Request::ProjectList(_)
                | Request::PrincipalCreate(_)
                | Request::PrincipalGet(_)
                | Request::PrincipalList(_)
                | Request::PrincipalUpdate(_)
                | Request::PrincipalDelete(_)
                | Request::TokenCreate(_)
                | Request::TokenRevoke(_)
                | Request::ScopeCreate(_)
                | Request::ScopeGet(_)
                | Request::ScopeList(_)
                | Request::ScopeUpdate(_)
                | Request::ScopeDelete(_)
                | Request::PoolCreate(_)
                | Request::PoolGet(_)
                | Request::PoolList(_)
                | Request::PoolUpdate(_)
                | Request::PoolDelete(_)
                | Request::PoolPreview(_)
        )
}

/// Refuses, on a network that another project shares, what its guests may not do. The decoder lets
/// nothing of the kind in.
pub(super) fn check_guest(scope: &Scope, request: &Request) -> Result<(), Refused> {
    if scope.network_project.is_none() || request.opcode().may_be_shared() {
        return Ok(());
    }
    let message = format_args!("only its own project may do this to a network");
    Err(refuse_field(Status::UNSUPPORTED, "flags", message))
}

/// Whether an update of a network changes its name.
pub(super) fn is_spanning_update(request: &NetworkUpdate) -> bool {
    !matches!(request.name, Setting::Unset)
}

/// Projects to which a request would transfer something.
pub fn projects_given(request: &Request) -> impl Iterator<Item = ProjectId> {
    let items: &[BatchItem] = match request {
        Request::Batch(batch) => &batch.items,
        _ => &[],
    };
    let in_batch = items.iter().filter_map(|item| match item {
        BatchItem::Transfer(transfer) => transfer.to_project,
        _ => None,
    });
    let alone = match request {
        Request::Transfer(transfer) => transfer.to_project,
        _ => None,
    };
    alone.into_iter().chain(in_batch)
}

/// Whether every shard answers its part, to be joined by [`super::merge`].
#[must_use]
pub fn is_gathered(scope: &Scope, request: &Request) -> bool {
    match request {
        Request::NetworkFind(_) | Request::NetworkList(_) | Request::ManagerList(_) => true,
        Request::HostLeaseList(_) => true,
        Request::Lookup(_)
        | Request::JobGet(_)
        | Request::JobList(_)
        | Request::Reconcile(_)
        | Request::RenewOwner(_)
        | Request::SuspectList(_) => scope.network == NetworkId::NIL,
        _ => false,
    }
}

/// Whether the request may change state.
#[must_use]
pub fn is_mutation(request: &Request) -> bool {
    matches!(
        request,
        Request::NetworkCreate(_)
            | Request::NetworkUpdate(_)
            | Request::NetworkDelete(_)
            | Request::SubnetCreate(_)
            | Request::SubnetUpdate(_)
            | Request::SubnetDelete(_)
            | Request::SubnetExclude(_)
            | Request::SubnetInclude(_)
            | Request::SubnetOnboard(_)
            | Request::Allocate(_)
            | Request::Release(_)
            | Request::AllocationUpdate(_)
            | Request::Renew(_)
            | Request::RenewOwner(_)
            | Request::RenewHost(_)
            | Request::EndHost(_)
            | Request::HoldConfirm(_)
            | Request::HoldCancel(_)
            | Request::HoldRelease(_)
            | Request::Transfer(_)
            | Request::Batch(_)
            | Request::Transaction(_)
            | Request::ProjectCreate(_)
            | Request::ProjectUpdate(_)
            | Request::ProjectDelete(_)
            | Request::PrincipalCreate(_)
            | Request::PrincipalUpdate(_)
            | Request::PrincipalDelete(_)
            | Request::TokenCreate(_)
            | Request::TokenRevoke(_)
            | Request::ScopeCreate(_)
            | Request::ScopeUpdate(_)
            | Request::ScopeDelete(_)
            | Request::PoolCreate(_)
            | Request::PoolUpdate(_)
            | Request::PoolDelete(_)
            | Request::SegmentCreate(_)
            | Request::SegmentUpdate(_)
            | Request::SegmentDelete(_)
            | Request::SegmentHosts(_)
            | Request::PortCreate(_)
            | Request::PortUpdate(_)
            | Request::PortDelete(_)
            | Request::PinCreate(_)
            | Request::PinDelete(_)
            | Request::ServerAdopt(_)
    )
}

/// Whether the request can only make the state smaller, or keeps its size: it is served when disk or
/// memory are nearly full, since it is the way out, and since nobody may lose a lease by that.
#[must_use]
pub fn is_freeing(request: &Request) -> bool {
    match request {
        Request::Release(_) | Request::SubnetDelete(_) | Request::NetworkDelete(_) => true,
        Request::ProjectDelete(_) | Request::ScopeDelete(_) | Request::PoolDelete(_) => true,
        Request::PortDelete(_) | Request::PinDelete(_) | Request::SegmentDelete(_) => true,
        Request::Renew(_) | Request::RenewOwner(_) | Request::ServerAdopt(_) => true,
        Request::RenewHost(_) | Request::EndHost(_) => true,
        // Who is to lose access loses it, however full the disk is.
        Request::PrincipalUpdate(_) | Request::PrincipalDelete(_) | Request::TokenRevoke(_) => true,
        Request::HoldConfirm(_) | Request::HoldCancel(_) | Request::HoldRelease(_) => true,
        Request::Batch(batch) => batch.items.iter().all(frees),
        Request::Transaction(all) => all.items.iter().all(|item| frees(&item.operation)),
        _ => false,
    }
}

const fn frees(item: &BatchItem) -> bool {
    matches!(item, BatchItem::Release(_) | BatchItem::PortDelete(_) | BatchItem::Renew(_))
        || ends_hold(item)
}

/// Who confirms has committed already, who cancels gives back, and who would release is about to.
const fn ends_hold(item: &BatchItem) -> bool {
    matches!(item, BatchItem::HoldConfirm(_) | BatchItem::HoldCancel(_) | BatchItem::HoldRelease(_))
}

const fn renews(item: &BatchItem) -> bool {
    matches!(item, BatchItem::Renew(_))
}

/// Whether the request may use the ring slots that are kept for what frees or keeps addresses.
#[must_use]
pub fn is_reserved_class(request: &Request) -> bool {
    match request {
        Request::Release(_) => true,
        Request::HoldConfirm(_) | Request::HoldCancel(_) | Request::HoldRelease(_) => true,
        Request::Batch(batch) if batch.items.iter().all(ends_hold) => true,
        _ => is_renewal(request),
    }
}

/// Whether the request renews leases, and nothing else.
#[must_use]
pub fn is_renewal(request: &Request) -> bool {
    match request {
        Request::Renew(_) | Request::RenewOwner(_) | Request::RenewHost(_) => true,
        Request::Batch(batch) => batch.items.iter().all(renews),
        Request::Transaction(all) => all.items.iter().all(|item| renews(&item.operation)),
        _ => false,
    }
}
