//! Leases of hosts beside what they have: one deadline each, and what follows another life than that of its
//! host's lease, which has ended. Decides nothing, reads no clock.
//!
//! Source: docs/decisions/0032-host-leases.md.

use super::deadlines::Lease;
use super::hosts::Hosts;
use crate::model::{HostLeaseRow, HostName, Tick};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::OnEnd;

/// The lease of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostTerm {
    pub(super) life: u64,
    pub(super) on_end: OnEnd,
    /// Its end was told.
    pub(super) overdue: bool,
    /// Its end; in no order any more once it is overdue.
    pub(super) lease: Lease,
    deadline: u64,
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

    /// When the lease of a host ends, with whatever grace it has.
    pub(super) fn term_end(&self, term: &HostTerm) -> u64 {
        if term.overdue { term.deadline } else { self.terms.end_of(&term.lease) }
    }

    /// When what follows a life of a host ends because of that: 0 = it has; `None` = it doesn't.
    pub(super) fn end_of_following(&self, host: u32, life: u64) -> Option<u64> {
        match &self.host(host).term {
            Some(term) if term.life == life || is_planted(Bug::FormerLifeGoesOn) => {
                match term.on_end {
                    OnEnd::Report => None,
                    OnEnd::Release => Some(self.term_end(term)),
                }
            }
            _ => Some(0),
        }
    }

    /// The same for a member, if it follows its host.
    pub(super) fn end_of_member(&self, member: u32) -> Option<u64> {
        let (host, life) = self.life_of(member);
        if life == 0 { None } else { self.end_of_following(host, life) }
    }

    /// The lease of a host is now so.
    pub(super) fn put_lease(&mut self, row: &HostLeaseRow) {
        let host = self.host_of(row.of.project, (&row.of.manager, Some(&row.of.host)));
        let old = self.host_mut(host).term.take();
        let old = self.count_out(old);
        let lease = match row.overdue {
            true => {
                self.terms.forget(host, &old);
                self.overdue += 1;
                Lease::default()
            }
            false => self.terms.set(host, old, row.deadline),
        };
        self.leased += 1;
        let HostLeaseRow { life, on_end, overdue, deadline, .. } = *row;
        self.host_mut(host).term = Some(HostTerm { life, on_end, overdue, lease, deadline });
        self.look_for_ended(host);
    }

    /// The host has no lease any more.
    pub(super) fn drop_lease(&mut self, of: &HostName) {
        let manager = self.find_manager(of.project, &of.manager);
        let host = manager.and_then(|manager| self.find_host(manager, Some(&of.host)));
        let Some(host) = host else { return };
        let old = self.host_mut(host).term.take();
        let old = self.count_out(old);
        self.terms.forget(host, &old);
        self.look_for_ended(host);
        self.drop_if_idle(host);
    }

    fn count_out(&mut self, old: Option<HostTerm>) -> Lease {
        let Some(old) = old else { return Lease::default() };
        self.leased -= 1;
        self.overdue -= u64::from(old.overdue);
        old.lease
    }

    /// Its end is known here, though no record of it is written here.
    pub(super) fn note_overdue(&mut self, host: u32) {
        let Some(mut term) = self.host_mut(host).term.take() else { return };
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
        let of = self.host(host);
        let life = of.term.as_ref().map(|term| term.life);
        let ends = [of.following.first(), of.following.last()];
        if ends.into_iter().flatten().any(|(follows, _)| Some(*follows) != life) {
            self.ending.insert(host);
        }
    }

    /// What of a host has ended with a life of it: an allocation. Its end has to be written.
    pub(super) fn next_ended(&self, host: u32) -> Option<u32> {
        let of = self.host(host);
        let life = of.term.as_ref().map(|term| term.life);
        let ended = of.following.iter().find(|(follows, _)| Some(*follows) != life)?;
        self.first_of(host, *ended)
    }

    /// The highest life of the host that something follows; 0 = nothing does.
    pub(super) fn highest_life(&self, host: u32) -> u64 {
        self.host(host).following.last().map_or(0, |(life, _)| *life)
    }

    /// Allocations that follow a life of a host, or any of them.
    pub(super) fn following(&self, host: u32, life: Option<u64>) -> u64 {
        let all = self.host(host).following.iter();
        let meant = all.filter(|(follows, _)| life.is_none_or(|life| life == *follows));
        meant.map(|place| self.count_of(host, *place)).sum()
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
}
