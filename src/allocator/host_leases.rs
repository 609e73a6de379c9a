//! Host leases: begun, renewed, ended, listed; and the job that ends what followed. Reads no clock: the time is
//! that of the request or slice at hand.
//!
//! Every shard has every host's lease and decides for itself, as it does with reconciliation. What follows a
//! host names a life of it, so that nothing of a former life is ever taken for one of the present.
//!
//! Source: docs/decisions/0032-host-leases.md.

use super::Shard;
use super::host_terms::HostTerm;
use super::leases::check_lease;
use super::refusal::{Refused, limit, refuse, refuse_field};
use super::release::check_manager;
use super::shard::{At, Scope};
use super::subnets::check_page_limit;
use crate::limits::{EXPIRY_SLICE_RECORD_BYTES_MAX, HOST_LEASES_MAX, RECORD_BYTES_MAX};
use crate::model::{
    AllocationExtras, Effect, EffectSink, HostLeaseRow, HostName, ProjectId, Status, Text, Tick,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{
    EndHost, EndedHost, HostLease, HostLeaseList, HostLeasePage, HostLeaseState, OnEnd, RenewHost,
    RenewedHost,
};

/// The end of a host's lease, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd {
    /// Whose.
    pub of: HostName,
    /// What comes of it.
    pub on_end: OnEnd,
    /// Allocations that followed it here.
    pub following: u64,
}

/// Manager and host that something names.
type Place<'a> = (Option<&'a Text>, Option<&'a Text>);

impl Shard {
    /// Whether this shard tells of ends and writes what only one has to.
    pub const fn tell_hosts(&mut self, tells: bool) {
        self.tells_hosts = tells;
    }

    /// Host leases, and those that are overdue, of the shard that tells of them; of others nothing.
    #[must_use]
    pub const fn host_leases(&self) -> (u64, u64) {
        match self.tells_hosts {
            true => (self.ledger.hosts.leased(), self.ledger.hosts.overdue()),
            false => (0, 0),
        }
    }

    /// Whether any host has a lease.
    #[must_use]
    pub const fn has_host_leases(&self) -> bool {
        self.ledger.hosts.leased() > 0
    }

    /// Ends of host leases since the last call, if this shard tells of them.
    pub fn take_host_ends(&mut self) -> Vec<HostEnd> {
        std::mem::take(&mut self.host_ends)
    }

    /// Begins the lease of a host, or lets it go on.
    pub(super) fn renew_host(
        &mut self,
        scope: &Scope,
        request: &RenewHost,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedHost, Refused> {
        check_manager(&request.manager)?;
        check_lease(request.lease_ms)?;
        let of = self.host_named(scope.project, &request.manager, &request.host)?;
        let found = self.find_leased(&of);
        let term = found.and_then(|host| self.ledger.hosts.host(host).term);
        let was = self.state_of_term(term.as_ref());
        let life = match &term {
            None => self.life_begun(found, request)?,
            Some(term) => Self::life_renewed(term, was, request)?,
        };
        let row = HostLeaseRow {
            of,
            life,
            deadline: self.deadline_of(request.lease_ms),
            on_end: request.on_end,
            overdue: false,
        };
        // Where only the deadline moves, one record is enough for all.
        let is_same = |term: &HostTerm| {
            (term.life, term.on_end, term.overdue) == (life, row.on_end, row.overdue)
        };
        let is_more = !term.as_ref().is_some_and(is_same);
        let effect = Effect::HostLeasePut(Box::new(row));
        if self.tells_hosts || is_more {
            sink.push(&effect);
        }
        let Effect::HostLeasePut(row) = effect else { return Err(gone()) };
        self.ledger.hosts.put_lease(&row);
        let host = self.find_leased(&row.of).ok_or_else(gone)?;
        let following = self.ledger.hosts.following(host, Some(life));
        Ok(RenewedHost { time_left_ms: request.lease_ms, following, life, was })
    }

    /// The life that a first lease begins with.
    fn life_begun(&self, found: Option<u32>, request: &RenewHost) -> Result<u64, Refused> {
        if request.begin == 0 {
            return Err(no_lease(&request.host));
        }
        let before = found.map_or(0, |host| self.ledger.hosts.highest_life(host));
        if request.begin <= before {
            return Err(stale_life(before));
        }
        let leased = self.ledger.hosts.leased();
        if leased >= HOST_LEASES_MAX {
            let value = u128::from(leased) + 1;
            return Err(limit("HOST_LEASES_MAX", value, HOST_LEASES_MAX.into()));
        }
        Ok(request.begin)
    }

    /// The life that a lease goes on with.
    fn life_renewed(
        term: &HostTerm,
        was: HostLeaseState,
        request: &RenewHost,
    ) -> Result<u64, Refused> {
        if request.begin != 0 && request.begin < term.life {
            return Err(stale_life(term.life));
        }
        let is_new = request.begin > term.life;
        // Nothing ends with a lease that only reports, so a new life of the host has what the one before had.
        if term.on_end == OnEnd::Report {
            return Ok(term.life);
        }
        if is_new {
            return Ok(request.begin);
        }
        if was == HostLeaseState::Ended && !is_planted(Bug::HostRenewedTooLate) {
            let message = format_args!(
                "the lease of the host has ended, and with it what followed: begin a later life"
            );
            return Err(refuse(Status::EXPIRED, message));
        }
        Ok(term.life)
    }

    /// How a lease stands now.
    fn state_of_term(&self, term: Option<&HostTerm>) -> HostLeaseState {
        let Some(term) = term else { return HostLeaseState::Absent };
        let is_over = self.ledger.hosts.term_end(term) <= self.now.0;
        match term.on_end {
            OnEnd::Report if term.overdue || is_over && !self.ends_no_lease() => {
                HostLeaseState::Overdue
            }
            OnEnd::Release if is_over && !self.ends_no_lease() => HostLeaseState::Ended,
            _ => HostLeaseState::Running,
        }
    }

    fn find_leased(&self, of: &HostName) -> Option<u32> {
        let manager = self.ledger.hosts.find_manager(of.project, &of.manager)?;
        self.ledger.hosts.find_host(manager, Some(&of.host))
    }

    /// What names a host, if its project is there.
    fn host_named(
        &self,
        project: ProjectId,
        manager: &Text,
        host: &Text,
    ) -> Result<HostName, Refused> {
        if project != ProjectId::DEFAULT && !self.projects.contains(&project) {
            return Err(refuse(Status::NOT_FOUND, format_args!("there is no project {project}")));
        }
        let (manager, host) = (super::owned(manager), super::owned(host));
        Ok(HostName { project, manager, host })
    }

    /// Ends what is over of hosts, one of it; whether there was something to look at.
    pub(super) fn step_host(&mut self, sink: &mut impl EffectSink) -> bool {
        if let Some(&host) = self.ledger.hosts.ending.first() {
            match self.ledger.hosts.next_ended(host) {
                Some(found) => {
                    self.commit_ended(found, sink);
                }
                None => {
                    self.ledger.hosts.ending.remove(&host);
                    self.ledger.hosts.drop_if_idle(host);
                }
            }
            return true;
        }
        let Some((_, host)) = self.ledger.hosts.next_term().filter(|(at, _)| *at <= self.now)
        else {
            return false;
        };
        let term = self.ledger.hosts.host(host).term;
        match term.filter(|term| self.ledger.hosts.term_end(term) <= self.now.0) {
            Some(term) => self.end_term(host, &term, sink),
            None => self.ledger.hosts.move_term(host),
        }
        true
    }

    /// The lease of a host is over: it is told, or is gone, and with it what followed.
    fn end_term(&mut self, host: u32, term: &HostTerm, sink: &mut impl EffectSink) {
        let Some(of) = self.ledger.hosts.name_of(host) else { return };
        let (life, on_end) = (term.life, term.on_end);
        let following = self.ledger.hosts.following(host, Some(life));
        if self.tells_hosts {
            self.host_ends.push(HostEnd { of: of.clone(), on_end, following });
        }
        if on_end == OnEnd::Release {
            // Whoever is first writes it: from here on it is so for all of them, also after a restart.
            sink.push(&Effect::HostLeaseGone(Box::new(of.clone())));
            self.ledger.hosts.drop_lease(&of);
        } else if self.tells_hosts {
            let deadline = self.ledger.hosts.term_end(term);
            let row = HostLeaseRow { of, life, deadline, on_end, overdue: true };
            self.ledger.hosts.put_lease(&row);
            sink.push(&Effect::HostLeasePut(Box::new(row)));
        } else {
            self.ledger.hosts.note_overdue(host);
        }
    }

    /// When [`Shard::step_host`] has something to do next.
    pub(super) fn next_host_end(&self) -> Option<Tick> {
        if !self.ledger.hosts.ending.is_empty() {
            return Some(Tick(0));
        }
        self.ledger.hosts.next_term().map(|(at, _)| at)
    }

    /// The life of a host that something new of it follows.
    ///
    /// # Errors
    /// Without manager or host; if the host has no lease, or that is over.
    pub(super) fn life_to_follow(
        &self,
        project: ProjectId,
        (manager, host): Place<'_>,
    ) -> Result<u64, Refused> {
        let (Some(manager), Some(host)) = (manager, host) else {
            let message = format_args!("only what names its manager and host can follow a host");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "follow_host", message));
        };
        let of = HostName { project, manager: manager.clone(), host: host.clone() };
        let found = self.find_leased(&of);
        let term = found.and_then(|host| self.ledger.hosts.host(host).term);
        let term = term.ok_or_else(|| no_lease(host))?;
        match self.state_of_term(Some(&term)) {
            HostLeaseState::Running => Ok(term.life),
            _ => {
                let message =
                    format_args!("the lease of host {host} is over: it has to be renewed first");
                Err(refuse_field(Status::HOST_LEASE_OVER, "host", message))
            }
        }
    }

    /// Whose lease it is that something of a network follows: that of the project that asks.
    pub(super) fn project_asking(&self, network: u32) -> ProjectId {
        self.acting.unwrap_or_else(|| self.networks.at(network).project)
    }

    /// Sets which life rare fields follow, where they are changed from `was`; `asked` says whether they are to.
    pub(super) fn follow(
        &self,
        project: ProjectId,
        was: Place<'_>,
        asked: Option<bool>,
        extras: &mut AllocationExtras,
    ) -> Result<bool, Refused> {
        let before = extras.follows;
        if !asked.unwrap_or(before.is_some()) {
            extras.follows = None;
            return Ok(before.is_some());
        }
        let now = (extras.manager.as_ref(), extras.host.as_ref());
        if asked != Some(true) && now == was {
            return Ok(false);
        }
        extras.follows = Some(self.life_to_follow(project, now)?);
        Ok(extras.follows != before)
    }

    /// Hosts of a manager that have a lease, or had one and what followed it is still being released.
    pub(super) fn host_lease_list(
        &self,
        project: ProjectId,
        request: &HostLeaseList,
    ) -> Result<HostLeasePage, Refused> {
        check_manager(&request.manager)?;
        let most = check_page_limit(request.limit, PAGE_OBJECTS_MAX)? as usize;
        let hosts = &self.ledger.hosts;
        let manager = hosts.find_manager(project, &request.manager);
        let behind =
            manager.into_iter().flat_map(|at| hosts.hosts_behind(at, request.after.as_ref()));
        let shown = behind.filter(|(_, of)| of.term.is_some() || !of.following.is_empty());
        let mut items: Vec<HostLease> = shown
            .take(most + 1)
            .filter_map(|(host, of)| Some((of.name.clone()?, host, of.term)))
            .map(|(name, host, term)| self.shown_lease(name, host, term.as_ref()))
            .collect();
        let more = items.len() > most;
        items.truncate(most);
        Ok(HostLeasePage { items, more })
    }

    fn shown_lease(&self, name: Text, host: u32, term: Option<&HostTerm>) -> HostLease {
        let hosts = &self.ledger.hosts;
        let state = match term {
            None => HostLeaseState::Ended,
            some => self.state_of_term(some),
        };
        let left = term.map_or(0, |term| hosts.term_end(term).saturating_sub(self.now.0));
        HostLease {
            host: name,
            time_left_ms: if state == HostLeaseState::Running { left.max(1) } else { 0 },
            following: hosts.following(host, None),
            life: term.map_or_else(|| hosts.highest_life(host), |term| term.life),
            state,
            on_end: term.map_or(OnEnd::Release, |term| term.on_end),
        }
    }

    /// The lease of a host is about to be taken away: how it stood, and what follows. With `report` what follows
    /// is let go, as much as fits a hand-over.
    fn end_host_here(
        &mut self,
        of: &HostName,
        on_end: OnEnd,
        sink: &mut impl EffectSink,
    ) -> EndedHost {
        let found = self.find_leased(of);
        let found = found.and_then(|host| Some((host, self.ledger.hosts.host(host).term?)));
        let Some((host, term)) = found else { return EndedHost::default() };
        let was = self.state_of_term(Some(&term));
        let following = self.ledger.hosts.following(host, Some(term.life));
        let lets_go = on_end == OnEnd::Report && was != HostLeaseState::Ended;
        while lets_go
            && sink.bytes() <= EXPIRY_SLICE_RECORD_BYTES_MAX - RECORD_BYTES_MAX
            && let Some(found) = self.ledger.hosts.next_following(host, term.life)
        {
            self.let_go(found, sink);
        }
        let more = lets_go && self.ledger.hosts.next_following(host, term.life).is_some();
        EndedHost { following, was, more }
    }

    /// What follows a host does so no more.
    fn let_go(&mut self, handle: u32, sink: &mut impl EffectSink) {
        let network = self.subnets.at(self.ledger.at(handle).subnet).network;
        let mut row = self.ledger.row_of(&self.subnets, handle);
        row.changed = self.networks.at(network).next_revision();
        if let Some(extras) = &mut row.extras {
            extras.follows = None;
        }
        self.commit_changed(handle, row, sink);
    }
}

/// Ends the lease of a host in all shards.
pub(super) fn end_host(
    shards: &mut [&mut Shard],
    project: ProjectId,
    request: &EndHost,
    at: &At,
    sink: &mut impl EffectSink,
) -> Result<EndedHost, Refused> {
    check_manager(&request.manager)?;
    let (manager, host) = (super::owned(&request.manager), super::owned(&request.host));
    let of = HostName { project, manager, host };
    let mut all = EndedHost::default();
    for shard in shards.iter_mut() {
        shard.set_time(at);
        shard.act_for(None);
        let part = shard.end_host_here(&of, request.on_end, sink);
        all.following += part.following;
        all.more |= part.more;
        if all.was == HostLeaseState::Absent {
            all.was = part.was;
        }
    }
    if all.was == HostLeaseState::Absent {
        return Err(no_lease(&request.host));
    }
    if !all.more {
        sink.push(&Effect::HostLeaseGone(Box::new(of.clone())));
        shards.iter_mut().for_each(|shard| shard.ledger.hosts.drop_lease(&of));
    }
    Ok(all)
}

#[cold]
fn no_lease(host: &Text) -> Refused {
    let message = format_args!("host {host} has no lease: begin one");
    refuse_field(Status::NO_HOST_LEASE, "host", message)
}

#[cold]
fn stale_life(life: u64) -> Refused {
    let message = format_args!("life {life} of the host has begun: numbers of lives rise");
    refuse_field(Status::HOST_LIFE_STALE, "begin", message)
}

/// What was put just now is not there.
#[cold]
fn gone() -> Refused {
    refuse(Status::OUTCOME_UNKNOWN, format_args!("a host lease was lost"))
}
