//! Host leases: begun, renewed, ended, listed; and the job that ends what followed. Reads no clock: the time is
//! that of the request or slice at hand.
//!
//! Every shard has every host's lease. What begins it or lets it go on is decided over all of them; each ends what it has
//! itself. What follows a host names a life of it, so that nothing of a former life is taken for one of the present.
//!
//! Source: docs/decisions/0032-host-leases.md.

use super::Shard;
use super::host_terms::HostTerm;
use super::leases::check_lease;
use super::refusal::{Refused, limit, refuse, refuse_field};
use super::release::check_manager;
use super::shard::At;
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

    /// Allocations that ended with a lease since the last call.
    pub const fn take_ended(&mut self) -> u32 {
        std::mem::replace(&mut self.ended, 0)
    }

    /// Ends of host leases since the last call, if this shard tells of them.
    pub fn take_host_ends(&mut self) -> Vec<HostEnd> {
        std::mem::take(&mut self.host_ends)
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

    /// The lease of a host here.
    fn term_of(&self, of: &HostName) -> Option<HostTerm> {
        self.find_leased(of).and_then(|host| self.ledger.hosts.host(host).term)
    }

    fn find_leased(&self, of: &HostName) -> Option<u32> {
        let manager = self.ledger.hosts.find_manager(of.project, &of.manager)?;
        self.ledger.hosts.find_host(manager, Some(&of.host))
    }

    /// Ends what is over of hosts, one of it; whether there was something to look at.
    pub(super) fn step_host(&mut self, sink: &mut impl EffectSink) -> bool {
        if let Some(&host) = self.ledger.hosts.ended.first() {
            match self.ledger.hosts.next_without_grace(host) {
                Some(found) => {
                    self.commit_ended(found, sink);
                    self.ended += 1;
                }
                None => {
                    self.ledger.hosts.ended.remove(&host);
                    self.ledger.hosts.drop_if_idle(host);
                }
            }
            return true;
        }
        let is_granted = self.ledger.hosts.terms.granted_until() > self.now.0;
        if let Some(&host) = self.ledger.hosts.ending.first().filter(|_| !is_granted) {
            match self.ledger.hosts.next_ended(host) {
                Some(found) => {
                    self.commit_ended(found, sink);
                    self.ended += 1;
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
        let HostTerm { since, life, on_end, .. } = *term;
        let following = self.ledger.hosts.following(host);
        if self.tells_hosts {
            self.host_ends.push(HostEnd { of: of.clone(), on_end, following });
        }
        if on_end == OnEnd::Release {
            // Whoever is first writes it: from here on it is so for all of them, also after a restart.
            self.ledger.hosts.end_present(host, term);
            self.ledger.hosts.drop_lease(&of, life);
            self.ledger.hosts.former.note(&of, life);
            sink.push(&Effect::HostLeaseGone { of: Box::new(of), life });
        } else if self.tells_hosts {
            let deadline = self.ledger.hosts.term_end(term);
            let row = HostLeaseRow { of, since, life, deadline, on_end, overdue: true };
            self.ledger.hosts.put_lease(&row);
            sink.push(&Effect::HostLeasePut(Box::new(row)));
        } else {
            self.ledger.hosts.note_overdue(host);
        }
    }

    /// When [`Shard::step_host`] has something to do next.
    pub(super) fn next_host_end(&self) -> Option<Tick> {
        let hosts = &self.ledger.hosts;
        let ending = (!hosts.ending.is_empty()).then_some(Tick(hosts.terms.granted_until()));
        let ended = (!hosts.ended.is_empty()).then_some(Tick(0));
        ending.into_iter().chain(ended).chain(hosts.next_term().map(|(at, _)| at)).min()
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
        let term = self.term_of(&of).ok_or_else(|| no_lease(host))?;
        match self.state_of_term(Some(&term)) {
            // Nothing ends with a lease that only reports.
            HostLeaseState::Running | HostLeaseState::Overdue => Ok(term.life),
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
        let listed = |at| hosts.listed_behind(at, request.after.as_ref());
        let mut items: Vec<HostLease> = manager
            .into_iter()
            .flat_map(listed)
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
            following: hosts.following_any(host),
            life: term.map_or_else(|| hosts.highest_life(host), |term| term.life),
            state,
            on_end: term.map_or(OnEnd::Release, |term| term.on_end),
        }
    }

    /// Lets go what follows a host, as much as fits behind `start` bytes of records; whether that was all.
    fn let_all_go(&mut self, of: &HostName, start: usize, sink: &mut impl EffectSink) -> bool {
        let Some(host) = self.find_leased(of) else { return true };
        while let Some(term) = self.ledger.hosts.host(host).term
            && let Some(found) = self.ledger.hosts.next_following(host, &term)
        {
            if sink.bytes() - start > EXPIRY_SLICE_RECORD_BYTES_MAX - RECORD_BYTES_MAX {
                return false;
            }
            self.let_go(found, sink);
        }
        true
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

/// What all shards have of a host.
struct Whole {
    of: HostName,
    /// Its lease, where there is one.
    term: Option<HostTerm>,
    /// How that stands: it has ended if it has in one of them.
    was: HostLeaseState,
    /// Allocations that follow it.
    following: u64,
    /// The highest life that something follows, or the last one of a lease that ended not long ago.
    highest: u64,
}

impl Whole {
    fn look(
        shards: &mut [&mut Shard],
        project: ProjectId,
        (manager, host): (&Text, &Text),
        at: &At,
    ) -> Result<Self, Refused> {
        check_manager(manager)?;
        let (manager, host) = (super::owned(manager), super::owned(host));
        let of = HostName { project, manager, host };
        let (mut term, mut was, mut following, mut highest) = (None, HostLeaseState::Absent, 0, 0);
        let mut is_missing = false;
        for shard in shards.iter_mut() {
            shard.set_time(at);
            shard.act_for(None);
            highest = highest.max(shard.ledger.hosts.former.last_of(&of));
            let Some(host) = shard.find_leased(&of) else {
                is_missing = true;
                continue;
            };
            let here = shard.ledger.hosts.host(host).term;
            highest = highest.max(shard.ledger.hosts.highest_life(host));
            let Some(found) = here else {
                is_missing = true;
                continue;
            };
            following += shard.ledger.hosts.following(host);
            let state = shard.state_of_term(here.as_ref());
            if state as u8 > was as u8 {
                was = state;
            }
            term = Some(found);
        }
        if term.is_some() && is_missing {
            was = HostLeaseState::Ended;
        }
        Ok(Self { of, term, was, following, highest })
    }

    /// Refuses a request about another life than the one that goes on.
    fn check_life(&self, life: u64) -> Result<(), Refused> {
        match &self.term {
            Some(term) if life != 0 && life != term.life => Err(stale_life(term.life)),
            _ => Ok(()),
        }
    }

    /// The lives of which what follows is of the present from now on.
    fn lives(&self, request: &RenewHost, leased: u64) -> Result<(u64, u64), Refused> {
        let begin = request.begin;
        let Some(term) = &self.term else {
            if begin == 0 {
                return Err(no_lease(&request.host));
            }
            if begin <= self.highest && !is_planted(Bug::UsedLifeBegins) {
                return Err(stale_life(self.highest));
            }
            if leased >= HOST_LEASES_MAX {
                let value = u128::from(leased) + 1;
                return Err(limit("HOST_LEASES_MAX", value, HOST_LEASES_MAX.into()));
            }
            return Ok((begin, begin));
        };
        if begin != 0 && begin < term.life {
            return Err(stale_life(term.life));
        }
        if begin > term.life {
            // Nothing ends with a lease that only reports: what followed it is of the next life too.
            let since = if term.on_end == OnEnd::Report { term.since } else { begin };
            return Ok((since, begin));
        }
        if self.was == HostLeaseState::Ended && !is_planted(Bug::HostRenewedTooLate) {
            let message = format_args!(
                "the lease of the host has ended, and with it what followed: begin a later life"
            );
            return Err(refuse(Status::EXPIRED, message));
        }
        Ok((term.since, term.life))
    }
}

fn put(shards: &mut [&mut Shard], row: HostLeaseRow, sink: &mut impl EffectSink) {
    shards.iter_mut().for_each(|shard| shard.ledger.hosts.put_lease(&row));
    sink.push(&Effect::HostLeasePut(Box::new(row)));
}

/// Begins the lease of a host in all shards, or lets it go on.
pub(super) fn renew_host(
    shards: &mut [&mut Shard],
    project: ProjectId,
    request: &RenewHost,
    at: &At,
    sink: &mut impl EffectSink,
) -> Result<RenewedHost, Refused> {
    check_lease(request.lease_ms)?;
    let is_there = |shard: &&mut Shard| shard.projects.contains(&project);
    if project != ProjectId::DEFAULT && !shards.iter().all(is_there) {
        return Err(refuse(Status::NOT_FOUND, format_args!("there is no project {project}")));
    }
    let whole = Whole::look(shards, project, (&request.manager, &request.host), at)?;
    whole.check_life(request.life)?;
    let leased = shards.iter().map(|shard| shard.ledger.hosts.leased()).max().unwrap_or(0);
    let (since, life) = whole.lives(request, leased)?;
    if let Some(term) = whole.term.filter(|_| whole.was == HostLeaseState::Ended) {
        // What followed it had all the grace there was.
        for shard in shards.iter_mut() {
            if let Some(host) = shard.find_leased(&whole.of) {
                shard.ledger.hosts.end_present(host, &term);
            }
        }
    }
    let goes_on = whole.term.is_some_and(|term| term.since == since);
    let row = HostLeaseRow {
        of: whole.of,
        since,
        life,
        deadline: at.tick.0.saturating_add(request.lease_ms),
        on_end: request.on_end,
        overdue: false,
    };
    put(shards, row, sink);
    let following = if goes_on { whole.following } else { 0 };
    Ok(RenewedHost { time_left_ms: request.lease_ms, following, life, was: whole.was })
}

/// Ends the lease of a host in all shards.
pub(super) fn end_host(
    shards: &mut [&mut Shard],
    project: ProjectId,
    request: &EndHost,
    at: &At,
    sink: &mut impl EffectSink,
) -> Result<EndedHost, Refused> {
    let whole = Whole::look(shards, project, (&request.manager, &request.host), at)?;
    let Some(term) = whole.term else { return Err(no_lease(&request.host)) };
    whole.check_life(request.life)?;
    let Whole { of, was, following, .. } = whole;
    let HostTerm { since, life, .. } = term;
    // What has ended stays so: some of it may be released already, and all of it was told to be over.
    if request.on_end == OnEnd::Report && was != HostLeaseState::Ended {
        if term.on_end == OnEnd::Release {
            // First of all nothing of it ends any more, whatever comes in between.
            let deadline = shards.first().map_or(0, |shard| shard.ledger.hosts.term_end(&term));
            let (of, on_end) = (of.clone(), OnEnd::Report);
            let row = HostLeaseRow { of, since, life, deadline, on_end, overdue: false };
            put(shards, row, sink);
        }
        let start = sink.bytes();
        for shard in shards.iter_mut() {
            if !shard.let_all_go(&of, start, sink) {
                return Ok(EndedHost { following, was, more: true });
            }
        }
    }
    for shard in shards.iter_mut() {
        // Whoever ends it means now: what followed needs no grace.
        if let Some(host) = shard.find_leased(&of) {
            shard.ledger.hosts.end_present(host, &term);
        }
        shard.ledger.hosts.drop_lease(&of, life);
        shard.ledger.hosts.former.note(&of, life);
    }
    sink.push(&Effect::HostLeaseGone { of: Box::new(of), life });
    Ok(EndedHost { following, was, more: false })
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
