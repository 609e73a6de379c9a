//! Leases of hosts beside what they have: one deadline each, and what follows a life that its host's lease is not
//! of, which has ended. Decides nothing, reads no clock.
//!
//! Source: docs/decisions/0032-host-leases.md.

use super::deadlines::Lease;
use super::hosts::{Host, Hosts};
use super::slab::NIL;
use crate::model::{HostLeaseRow, HostName, ProjectId, Tick};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::OnEnd;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The lease of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostTerm {
    /// The first life of which what follows is of the present, and the last one that began.
    pub(super) since: u64,
    pub(super) life: u64,
    pub(super) on_end: OnEnd,
    /// Its end was told.
    pub(super) overdue: bool,
    /// Its end; in no order any more once it is overdue.
    pub(super) lease: Lease,
    deadline: u64,
}

impl HostTerm {
    /// Whether what follows a life goes on with this lease.
    pub(super) fn has(&self, life: u64) -> bool {
        (self.since..=self.life).contains(&life) || is_planted(Bug::FormerLifeGoesOn)
    }
}

/// Lives that nothing is of: without a lease there is no present.
pub(super) const NO_PRESENT: (u64, u64) = (1, 0);

impl Host {
    /// Whether what follows a life is counted as following the present.
    fn is_present(&self, life: u64) -> bool {
        (self.present.0..=self.present.1).contains(&life)
    }

    /// The first life of a range, and the network, in which something follows it.
    fn first_following(&self, lives: RangeInclusive<u64>) -> Option<(u64, u32)> {
        let places = (*lives.start(), 0)..=(*lives.end(), u32::MAX);
        self.following.range(places).next().copied()
    }

    fn follows_any(&self, lives: RangeInclusive<u64>) -> bool {
        self.first_following(lives).is_some()
    }

    /// Counts what follows the present once that is another one.
    ///
    /// Shape: a renewal looks at nothing; a present that widens at the lives that are new in it, and one that begins anew, at
    /// its own: one as a rule, since a life has followers only from its begin on.
    fn count_present(&mut self, (since, life): (u64, u64)) {
        let (old_since, old_life) = self.present;
        let is_wider = old_since <= old_life && since == old_since && life >= old_life;
        let (from, start) =
            if is_wider { (old_life.saturating_add(1), self.present_count) } else { (since, 0) };
        self.present = (since, life);
        self.present_count = start;
        if from <= life && (!is_wider || life > old_life) {
            self.present_count +=
                self.lives.range(from..=life).map(|(_, count)| count).sum::<u64>();
        }
    }
}

/// Ranges of lives, of which none has what another has.
///
/// Shape: as many as something follows at most, since a range is put only where something does, and looked up in their logarithm.
#[derive(Debug, Default)]
pub(super) struct Lives(BTreeMap<u64, u64>);

impl Lives {
    fn has(&self, life: u64) -> bool {
        self.0.range(..=life).next_back().is_some_and(|(_, last)| *last >= life)
    }

    /// The lowest of them.
    fn first(&self) -> Option<RangeInclusive<u64>> {
        self.0.first_key_value().map(|(first, last)| *first..=*last)
    }

    /// Puts a range, one with those that it meets.
    fn insert(&mut self, lives: RangeInclusive<u64>) {
        let (mut first, mut last) = lives.into_inner();
        while let Some((at, end)) = self.meeting(first, last) {
            (first, last) = (first.min(at), last.max(end));
            self.0.remove(&at);
        }
        self.0.insert(first, last);
    }

    /// Takes a range out of whatever it meets.
    fn remove(&mut self, lives: RangeInclusive<u64>) {
        let (first, last) = lives.into_inner();
        while let Some((at, end)) = self.meeting(first, last) {
            self.0.remove(&at);
            if at < first {
                self.0.insert(at, first - 1);
            }
            if end > last {
                self.0.insert(last + 1, end);
            }
        }
    }

    /// The last of them that has anything of a range.
    fn meeting(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let (at, end) = self.0.range(..=last).next_back()?;
        (*end >= first).then_some((*at, *end))
    }
}

impl Hosts {
    /// Hosts that have a lease.
    pub(super) const fn leased(&self) -> u64 {
        self.leased
    }

    /// Hosts whose lease is over, and that was told.
    pub(super) const fn overdue(&self) -> u64 {
        self.overdue
    }

    /// Hosts of a project that have a lease.
    pub(super) fn leased_of(&self, project: ProjectId) -> u64 {
        self.leased_by.get(&project).copied().unwrap_or(0)
    }

    /// When the lease of a host ends, with whatever grace it has.
    pub(super) fn term_end(&self, term: &HostTerm) -> u64 {
        if term.overdue { term.deadline } else { self.terms.end_of(&term.lease) }
    }

    /// When what follows a host ends because of that; `None` = it doesn't. What is of no present life ends as soon as
    /// no grace goes on: not everybody who has it may have been heard.
    pub(super) fn end_of_member(&self, member: u32) -> Option<u64> {
        let (host, life) = self.life_of(member);
        if life == 0 {
            return None;
        }
        match &self.host(host).term {
            Some(term) if term.has(life) => match term.on_end {
                OnEnd::Report => None,
                OnEnd::Release => Some(self.term_end(term)),
            },
            _ if self.host(host).ended.has(life) => Some(0),
            _ => Some(self.terms.granted_until()),
        }
    }

    /// The lease of a host is now so, unless a later life of it is known.
    pub(super) fn put_lease(&mut self, row: &HostLeaseRow) {
        let host = self.host_of(row.of.project, (&row.of.manager, Some(&row.of.host)));
        if self.host(host).term.is_some_and(|term| term.life > row.life) {
            return;
        }
        let old = self.take_term(host);
        let lease = match row.overdue {
            true => {
                self.terms.forget(host, &old);
                self.overdue += 1;
                Lease::default()
            }
            false => self.terms.set(host, old, row.deadline),
        };
        self.leased += 1;
        *self.leased_by.entry(row.of.project).or_default() += 1;
        let HostLeaseRow { since, life, on_end, overdue, deadline, .. } = *row;
        let of = self.host_mut(host);
        of.term = Some(HostTerm { since, life, on_end, overdue, lease, deadline });
        of.count_present((since, life));
        // A number that was used before, of which nothing is left, may begin again.
        of.ended.remove(since..=life);
        self.look_for_ended(host);
        self.enlist(host);
    }

    /// The host has no lease any more, unless that is of a later life than this.
    pub(super) fn drop_lease(&mut self, of: &HostName, life: u64) {
        let manager = self.find_manager(of.project, &of.manager);
        let host = manager.and_then(|manager| self.find_host(manager, Some(&of.host)));
        let Some(host) = host else { return };
        if self.host(host).term.is_none_or(|term| term.life > life) {
            return;
        }
        let old = self.take_term(host);
        self.terms.forget(host, &old);
        self.host_mut(host).count_present(NO_PRESENT);
        self.look_for_ended(host);
        self.enlist(host);
        self.drop_if_idle(host);
    }

    fn take_term(&mut self, host: u32) -> Lease {
        let Some(old) = self.host_mut(host).term.take() else { return Lease::default() };
        let project = self.manager(self.host(host).manager).project;
        self.leased -= 1;
        self.overdue -= u64::from(old.overdue);
        if let Some(count) = self.leased_by.get_mut(&project) {
            *count -= 1;
            if *count == 0 {
                self.leased_by.remove(&project);
            }
        }
        old.lease
    }

    /// Its end is known here, though no record of it is written here.
    pub(super) fn note_overdue(&mut self, host: u32) {
        let Some(mut term) = self.host_mut(host).term.take() else { return };
        term.deadline = self.term_end(&term);
        self.terms.forget(host, &term.lease);
        self.overdue += u64::from(!term.overdue);
        (term.lease, term.overdue) = (Lease::default(), true);
        self.host_mut(host).term = Some(term);
    }

    /// Moves a deadline whose time has come to where the lease ends.
    pub(super) fn move_term(&mut self, host: u32) {
        let Some(mut term) = self.host_mut(host).term.take() else { return };
        self.terms.move_on(host, &mut term.lease);
        self.host_mut(host).term = Some(term);
    }

    /// Something may follow a life of the host that has ended.
    fn look_for_ended(&mut self, host: u32) {
        if self.ended_place(host).is_some() {
            self.ending.insert(host);
        }
    }

    /// A life that has ended and a network in which something follows it.
    fn ended_place(&self, host: u32) -> Option<(u64, u32)> {
        let of = self.host(host);
        let Some(term) = &of.term else { return of.following.first().copied() };
        let before = of.following.range(..(term.since, 0)).next();
        let behind =
            term.life.checked_add(1).and_then(|life| of.following.range((life, 0)..).next());
        before.or(behind).copied().filter(|(life, _)| !term.has(*life))
    }

    /// What of a host has ended with a life of it: an allocation. Its end has to be written.
    pub(super) fn next_ended(&self, host: u32) -> Option<u32> {
        self.first_of(host, self.ended_place(host)?)
    }

    /// The lease of a host has ended, and with it its present: what followed has had all the grace there was. What
    /// is of no present is not of it, and goes on as long as a grace does.
    pub(super) fn end_present(&mut self, host: u32, term: &HostTerm) {
        let since = if is_planted(Bug::FormerLifeEndsWithLease) { 0 } else { term.since };
        let of = self.host_mut(host);
        if of.follows_any(since..=term.life) {
            of.ended.insert(since..=term.life);
        }
        self.ended.insert(host);
    }

    /// What followed a life that has ended so: an allocation.
    ///
    /// Shape: looks at each range of lives that nothing follows any more once.
    pub(super) fn next_without_grace(&mut self, host: u32) -> Option<u32> {
        loop {
            let of = self.host_mut(host);
            let lives = of.ended.first()?;
            if let Some(place) = of.first_following(lives.clone()) {
                return self.first_of(host, place);
            }
            of.ended.remove(lives);
        }
    }

    /// One of those that follow the present of a host.
    pub(super) fn next_following(&self, host: u32, term: &HostTerm) -> Option<u32> {
        let place = self.host(host).first_following(term.since..=term.life)?;
        self.first_of(host, place)
    }

    /// The highest life of the host that something follows; 0 = nothing does.
    pub(super) fn highest_life(&self, host: u32) -> u64 {
        self.host(host).following.last().map_or(0, |(life, _)| *life)
    }

    /// Allocations that follow the present of a host: those that its lease ends, or lets go on.
    pub(super) fn following(&self, host: u32) -> u64 {
        self.host(host).present_count
    }

    /// Allocations that follow any life of a host.
    pub(super) fn following_any(&self, host: u32) -> u64 {
        self.host(host).following_count
    }

    /// Something follows a life of a host from now on.
    pub(super) fn follow(&mut self, host: u32, life: u64, network: u32) {
        let is_first = self.host_mut(host).following.insert((life, network));
        self.following_groups += usize::from(is_first);
        let of = self.host_mut(host);
        *of.lives.entry(life).or_default() += 1;
        of.following_count += 1;
        of.present_count += u64::from(of.is_present(life));
        if !of.term.is_some_and(|term| term.has(life)) {
            self.ending.insert(host);
        }
        self.enlist(host);
    }

    /// Something that followed a life of a host is gone; whether it was the last one there.
    pub(super) fn unfollow(&mut self, host: u32, (life, network): (u64, u32), is_last: bool) {
        if life == 0 {
            return;
        }
        self.following_groups -= usize::from(is_last);
        let of = self.host_mut(host);
        if is_last {
            of.following.remove(&(life, network));
        }
        let is_present = of.is_present(life);
        if let Some(count) = of.lives.get_mut(&life) {
            *count -= 1;
            of.following_count -= 1;
            of.present_count -= u64::from(is_present);
            if *count == 0 {
                of.lives.remove(&life);
            }
        }
        self.enlist(host);
    }

    /// Puts a host among those that have to do with leases, or takes it out.
    pub(super) fn enlist(&mut self, host: u32) {
        let of = self.host(host);
        let is_listed = of.term.is_some() || !of.following.is_empty();
        let Some(key) = of.name.clone().map(|name| (of.manager, name)) else { return };
        if is_listed {
            self.listed.insert(key, host);
        } else {
            self.listed.remove(&key);
        }
    }

    /// Hosts of a manager that have to do with leases, behind a name.
    pub(super) fn listed_behind(
        &self,
        manager: u32,
        after: Option<&crate::model::Text>,
    ) -> impl Iterator<Item = (u32, &Host)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match after {
            Some(after) => Excluded((manager, after.clone())),
            None => Included((manager, Default::default())),
        };
        let all = self.listed.range((from, Unbounded));
        all.take_while(move |((of, _), _)| *of == manager).map(|(_, &at)| (at, self.host(at)))
    }

    /// The first host in the order of ends, and when it must be looked at.
    pub(super) fn next_term(&self) -> Option<(Tick, u32)> {
        self.terms.first().map(|(at, host)| (Tick(at), host))
    }

    /// What names a host that has a name.
    pub(super) fn name_of(&self, host: u32) -> Option<HostName> {
        let of = self.host(host);
        let manager = self.manager(of.manager);
        let host = of.name.clone()?;
        Some(HostName { project: manager.project, manager: manager.name.clone(), host })
    }

    /// What does not hold of leases.
    pub(super) fn check_terms(&self, at: u32, host: &Host, found: &mut Vec<String>) {
        let is_timed = |term: &HostTerm| term.overdue || self.terms.has(at, &term.lease);
        let (since, life) = host.term.map_or(NO_PRESENT, |term| (term.since, term.life));
        let present = host.lives.iter().filter(|(of, _)| (since..=life).contains(*of));
        let present: u64 = present.map(|(_, count)| count).sum();
        let counted: u64 = host.following.iter().map(|place| self.count_of(at, *place)).sum();
        let key = host.name.clone().map(|name| (host.manager, name));
        let listed = key.is_some_and(|key| self.listed.get(&key) == Some(&at));
        let wanted = host.term.is_some() || !host.following.is_empty();
        if !host.term.as_ref().is_none_or(is_timed)
            || counted != host.lives.values().sum::<u64>()
            || counted != host.following_count
            || present != host.present_count
            || (since, life) != host.present
            || listed != wanted
        {
            found.push(format!("the lease of host {:?} is out of place", host.name));
        }
        debug_assert_ne!(at, NIL);
    }
}
