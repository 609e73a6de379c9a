//! What a request needs, and whether a grant has it. The one place that lets a request through: [`Authorized`] can be
//! made nowhere else.

use super::Actor;
use crate::model::{Asker, ProjectId, Text};
use addrd_protocol::message::{BatchItem, Grant, Release, Request, Verb};
use std::ops::Deref;

/// Something that is asked for: the ids that the decision is made on.
pub trait Ask {
    /// The project that asks.
    fn project(&self) -> ProjectId;
    /// Whether it makes again what was there before.
    fn is_restoring(&self) -> bool;
    /// What is asked for.
    fn request(&self) -> &Request;
}

/// What was allowed. Whoever decides or answers takes this, so nothing is decided that was not allowed.
#[derive(Clone, Debug)]
pub struct Authorized<T> {
    what: T,
    by: Asker,
}

impl<T> Authorized<T> {
    /// What was allowed, to be taken apart.
    pub fn into_inner(self) -> T {
        self.what
    }

    /// Who asked for it.
    #[must_use]
    pub const fn by(&self) -> Asker {
        self.by
    }

    /// Without a question, in tests.
    #[cfg(test)]
    pub fn in_test(allowed: impl IntoIterator<Item = T>) -> Vec<Self> {
        Self::in_test_by(Asker::Nobody, allowed)
    }

    /// As somebody, in tests.
    #[cfg(test)]
    pub fn in_test_by(by: Asker, allowed: impl IntoIterator<Item = T>) -> Vec<Self> {
        allowed.into_iter().map(|what| Self { what, by }).collect()
    }
}

impl<T> Deref for Authorized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

/// What no grant has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The verb that is missing.
    pub verb: Verb,
    /// Where; `None` = on the server.
    pub project: Option<ProjectId>,
    /// For which manager.
    pub manager: Option<Text>,
    /// Nobody has it where the request came from, whatever his grants.
    pub elsewhere: bool,
}

/// What may be asked for where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything.
    Everything,
    /// All that doesn't need the verb `administer`.
    NoAdministration,
}

/// What one part of a request needs: a verb, where, and for which manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs<'a> {
    /// The verb.
    pub verb: Verb,
    /// In which project; `None` = without one, so only a grant of all projects has it.
    pub project: Option<ProjectId>,
    /// The manager that the request names.
    pub manager: Option<&'a Text>,
}

impl Actor {
    /// Lets something through, or says what is missing.
    ///
    /// # Errors
    /// [`Denied`] and what was asked for: nothing was looked up for it.
    pub fn authorize<T: Ask>(&self, ask: T, reach: Reach) -> Result<Authorized<T>, (Denied, T)> {
        if reach == Reach::NoAdministration && needs_one_of(&ask, &[Verb::Administer]) {
            let verb = Verb::Administer;
            return Err((Denied { verb, project: None, manager: None, elsewhere: true }, ask));
        }
        let grants = match self {
            Self::Anybody | Self::Operator => {
                return Ok(Authorized { what: ask, by: self.asker() });
            }
            Self::Principal(known) => &known.grants,
        };
        let mut missing = None;
        needs_of(&ask, &mut |needs| {
            if missing.is_none() && !grants.iter().any(|grant| has(grant, &needs)) {
                let Needs { verb, project, manager } = needs;
                let manager = manager.cloned();
                missing = Some(Denied { verb, project, manager, elsewhere: false });
            }
        });
        match missing {
            None => Ok(Authorized { what: ask, by: self.asker() }),
            Some(denied) => Err((denied, ask)),
        }
    }
}

fn has(grant: &Grant, needs: &Needs<'_>) -> bool {
    let in_project = grant.project_id.is_none() || grant.project_id == needs.project;
    let for_manager = match (&grant.manager, needs.manager) {
        (None, _) | (Some(_), None) => true,
        (Some(granted), Some(named)) => granted == named,
    };
    grant.verbs.has(needs.verb) && in_project && for_manager
}

/// Tells all that a request needs, part by part; a grant may have one part and another grant another.
pub fn needs_of<T: Ask>(ask: &T, tell: &mut impl FnMut(Needs<'_>)) {
    let (project, request) = (ask.project(), ask.request());
    if ask.is_restoring() {
        tell(Needs { verb: Verb::Manage, project: Some(project), manager: None });
    }
    match request {
        Request::Batch(batch) => {
            batch.items.iter().for_each(|item| needs_of_item(project, item, tell));
        }
        Request::Transaction(all) => {
            all.items.iter().for_each(|item| needs_of_item(project, &item.operation, tell));
        }
        Request::Allocate(request) => {
            let manager = request.extras.as_ref().and_then(|extras| extras.manager.as_ref());
            tell(Needs { verb: Verb::Allocate, project: Some(project), manager });
        }
        Request::AllocationUpdate(request) => {
            let manager = request.manager_name.value();
            tell(Needs { verb: Verb::Allocate, project: Some(project), manager });
        }
        Request::Release(request) => {
            tell(Needs { verb: verb_of_release(request), project: Some(project), manager: None });
        }
        Request::Transfer(request) => needs_of_transfer(project, request.to_project, tell),
        Request::Reconcile(request) => {
            // What it doesn't list is released.
            let manager = Some(&request.manager);
            tell(Needs { verb: Verb::ReleaseOwn, project: Some(project), manager });
        }
        Request::RenewHost(request) => {
            let manager = Some(&request.manager);
            tell(Needs { verb: Verb::Allocate, project: Some(project), manager });
        }
        Request::EndHost(request) => {
            let manager = Some(&request.manager);
            tell(Needs { verb: Verb::ReleaseOwn, project: Some(project), manager });
        }
        Request::SuspectList(request) => {
            let manager = request.manager.as_ref();
            tell(Needs { verb: Verb::Read, project: Some(project), manager });
        }
        Request::HostLeaseList(request) => {
            let manager = Some(&request.manager);
            tell(Needs { verb: Verb::Read, project: Some(project), manager });
        }
        other => needs_plain(project, other, tell),
    }
}

/// Whether a part of it needs leave to manage a project or to administer the server.
#[must_use]
pub fn is_administrative<T: Ask>(ask: &T) -> bool {
    needs_one_of(ask, &[Verb::Manage, Verb::Administer])
}

fn needs_one_of<T: Ask>(ask: &T, verbs: &[Verb]) -> bool {
    let mut found = false;
    needs_of(ask, &mut |needs| found |= verbs.contains(&needs.verb));
    found
}

fn needs_of_item(project: ProjectId, item: &BatchItem, tell: &mut impl FnMut(Needs<'_>)) {
    let (verb, manager) = match item {
        BatchItem::Allocate(request) => {
            let manager = request.extras.as_ref().and_then(|extras| extras.manager.as_ref());
            (Verb::Allocate, manager)
        }
        BatchItem::Update(request) => (Verb::Allocate, request.manager_name.value()),
        BatchItem::Release(request) => (verb_of_release(request), None),
        BatchItem::Transfer(request) => {
            return needs_of_transfer(project, request.to_project, tell);
        }
        BatchItem::PortCreate(_) | BatchItem::PortUpdate(_) => (Verb::Allocate, None),
        BatchItem::Renew(_) => (Verb::Allocate, None),
        BatchItem::HoldConfirm(_) | BatchItem::HoldCancel(_) => (Verb::Allocate, None),
        BatchItem::HoldRelease(_) | BatchItem::PortDelete(_) => (Verb::ReleaseOwn, None),
    };
    tell(Needs { verb, project: Some(project), manager });
}

/// A release that says `any` may end whatever is there.
const fn verb_of_release(request: &Release) -> Verb {
    if request.any { Verb::ReleaseAny } else { Verb::ReleaseOwn }
}

/// Within a project it is a change like others; from one to another it needs leave in both.
fn needs_of_transfer(
    project: ProjectId,
    to_project: Option<ProjectId>,
    tell: &mut impl FnMut(Needs<'_>),
) {
    let Some(to_project) = to_project.filter(|to_project| *to_project != project) else {
        return tell(Needs { verb: Verb::Allocate, project: Some(project), manager: None });
    };
    for project in [project, to_project] {
        tell(Needs { verb: Verb::Manage, project: Some(project), manager: None });
    }
}

/// Of what names no manager and has no parts.
fn needs_plain(project: ProjectId, request: &Request, tell: &mut impl FnMut(Needs<'_>)) {
    let verb = match request {
        // Of these everybody who is somebody may know.
        Request::Hello(_) | Request::Ping(_) | Request::Unwatch(_) => return,
        Request::ClockAccept(_)
        | Request::ServerAdopt(_)
        | Request::BackupRead(_)
        | Request::PrincipalCreate(_)
        | Request::PrincipalGet(_)
        | Request::PrincipalList(_)
        | Request::PrincipalUpdate(_)
        | Request::PrincipalDelete(_)
        | Request::TokenCreate(_)
        | Request::TokenRevoke(_)
        | Request::ProjectCreate(_)
        | Request::ProjectUpdate(_)
        | Request::ProjectDelete(_) => {
            return tell(Needs { verb: Verb::Administer, project: None, manager: None });
        }
        Request::ServerStatus | Request::ProjectList(_) => {
            return tell(Needs { verb: Verb::Read, project: None, manager: None });
        }
        // A name may be that of any project.
        Request::ProjectGet(request) if request.name.is_some() => {
            return tell(Needs { verb: Verb::Read, project: None, manager: None });
        }
        other => verb_in_project(other),
    };
    tell(Needs { verb, project: Some(project), manager: None });
}

/// The verb of what concerns one project. Every request stands here; a new one doesn't compile without.
#[expect(clippy::too_many_lines, reason = "a table with a line for each request")]
const fn verb_in_project(request: &Request) -> Verb {
    match request {
        Request::Watch(_)
        | Request::History(_)
        | Request::JobGet(_)
        | Request::JobList(_)
        | Request::NetworkGet(_)
        | Request::NetworkList(_)
        | Request::NetworkFind(_)
        | Request::SubnetGet(_)
        | Request::SubnetList(_)
        | Request::Usage(_)
        | Request::FreeRanges(_)
        | Request::AllocationGet(_)
        | Request::AllocationList(_)
        | Request::Lookup(_)
        | Request::SuspectList(_)
        | Request::ManagerList(_)
        | Request::HostLeaseList(_)
        | Request::ProjectGet(_)
        | Request::ScopeGet(_)
        | Request::ScopeList(_)
        | Request::PoolGet(_)
        | Request::PoolList(_)
        | Request::PoolPreview(_)
        | Request::SegmentGet(_)
        | Request::SegmentList(_)
        | Request::HostList(_)
        | Request::PortGet(_)
        | Request::PortList(_)
        | Request::PinList(_) => Verb::Read,
        Request::Allocate(_)
        | Request::AllocationUpdate(_)
        | Request::Renew(_)
        | Request::RenewOwner(_)
        | Request::RenewHost(_)
        | Request::HoldConfirm(_)
        | Request::HoldCancel(_)
        | Request::PortCreate(_)
        | Request::PortUpdate(_) => Verb::Allocate,
        Request::HoldRelease(_)
        | Request::PortDelete(_)
        | Request::Reconcile(_)
        | Request::EndHost(_)
        | Request::Release(_) => Verb::ReleaseOwn,
        Request::NetworkCreate(_)
        | Request::NetworkUpdate(_)
        | Request::NetworkDelete(_)
        | Request::SubnetCreate(_)
        | Request::SubnetUpdate(_)
        | Request::SubnetDelete(_)
        | Request::SubnetExclude(_)
        | Request::SubnetInclude(_)
        | Request::SubnetOnboard(_)
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
        | Request::PinCreate(_)
        | Request::PinDelete(_)
        | Request::Transfer(_)
        | Request::Batch(_)
        | Request::Transaction(_) => Verb::Manage,
        // Judged before.
        Request::Hello(_)
        | Request::Ping(_)
        | Request::Unwatch(_)
        | Request::ServerStatus
        | Request::ClockAccept(_)
        | Request::ServerAdopt(_)
        | Request::BackupRead(_)
        | Request::ProjectCreate(_)
        | Request::ProjectList(_)
        | Request::ProjectUpdate(_)
        | Request::ProjectDelete(_)
        | Request::PrincipalCreate(_)
        | Request::PrincipalGet(_)
        | Request::PrincipalList(_)
        | Request::PrincipalUpdate(_)
        | Request::PrincipalDelete(_)
        | Request::TokenCreate(_)
        | Request::TokenRevoke(_) => Verb::Administer,
    }
}
