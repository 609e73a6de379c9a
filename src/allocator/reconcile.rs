//! What lives on a host, as its manager says, and what becomes of the rest. Reads no clock.
//!
//! Nothing of it is durable but the releases: who forgets a mark releases later, never sooner.
//!
//! Source: docs/decisions/0027-managers.md.

use super::Shard;
use super::calls::{Fit, Work};
use super::hosts::{CallScope, GroupKey};
use super::refusal::{Refused, limit, out_of_range, refuse_field, unsupported};
use super::release::check_manager;
use super::shard::{At, Scope};
use super::slab::NIL;
use super::subnets::check_page_limit;
use crate::limits::{LIST_OBJECTS_MAX, RECONCILE_LOOKS_MAX};
use crate::model::{EffectSink, OwnerId, ProjectId, Slot, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::reconcile::{
    GRACE_MS_MAX, GRACE_MS_MIN, Live, RECONCILE_LIVE_MAX, RECONCILE_PARTS_MAX,
};
use addrd_protocol::message::{
    AllocateExtras, ManagerList, ManagerPage, ManagerUse, Reconcile, Reconciled,
};
use std::collections::BTreeSet;

/// What a part names here.
#[derive(Default)]
struct Named {
    /// Members that are touched by it.
    members: Vec<u32>,
    other_instance: u64,
    looks: usize,
}

impl Shard {
    /// Takes a part of what lives on a host.
    ///
    /// Shape: one look for each entry in one network; in all, one for each allocation of the owners named, at most
    /// [`RECONCILE_LOOKS_MAX`]; and [`LIST_OBJECTS_MAX`] more for the counts.
    pub(super) fn reconcile(
        &mut self,
        scope: &Scope,
        network: Option<u32>,
        request: &Reconcile,
    ) -> Result<Reconciled, Refused> {
        check_part(request)?;
        let project = scope.project;
        let calls_of = network.map(|network| self.networks.at(network).handle.0);
        let manager = self.ledger.hosts.find_manager(project, &request.manager);
        let known = manager
            .and_then(|manager| self.ledger.hosts.find_host(manager, Some(&request.host)))
            .and_then(|host| self.ledger.hosts.host(host).calls.get(&calls_of));
        match known.map_or(Fit::New, |calls| calls.fit(request, self.now)) {
            _ if request.dry_run => {}
            Fit::New | Fit::Of => {}
            Fit::Stale(last) => return Err(stale(request.call, last)),
            Fit::Differs(field) => return Err(differs(field)),
        }
        let named = match (network, manager) {
            (_, None) => Named::default(),
            (Some(network), Some(manager)) => self.named_in(network, manager, &request.live),
            (None, Some(manager)) => self.named_anywhere(project, manager, &request.live)?,
        };
        if request.dry_run {
            let host = manager
                .and_then(|manager| self.ledger.hosts.find_host(manager, Some(&request.host)));
            return Ok(self.rehearse(host, calls_of, request, &named));
        }
        let (tick, is_adopting) = (self.now, self.adopting);
        let hosts = &mut self.ledger.hosts;
        let host = hosts.host_of(project, (&request.manager, Some(&request.host)));
        hosts.pin(host, true);
        hosts.make_room_for(host, calls_of);
        let (now, era) = (hosts.now(), hosts.era);
        let calls = hosts.calls_of(host, calls_of);
        let is_complete = calls.take(request, now, tick);
        let (mut listed, mut elsewhere) = (0, 0);
        for &member in &named.members {
            let here = hosts.place_of(member).1 == host;
            *if here { &mut listed } else { &mut elsewhere } += 1;
            hosts.touch(member);
            if !here {
                hosts.claim(member, host, tick);
            }
        }
        if is_complete {
            let calls = hosts.calls_of(host, calls_of);
            let began = calls.last.as_ref().map_or(0, |call| call.began);
            if !is_adopting {
                calls.complete(tick, era);
            }
            hosts.end_claims(host, calls_of, began);
            self.note_work(host, calls_of);
        }
        let other_instance = named.other_instance;
        let counts =
            Reconciled { listed, elsewhere, other_instance, ..self.standing(host, calls_of) };
        self.ledger.hosts.pin(host, false);
        self.ledger.hosts.drop_if_idle(host);
        Ok(counts)
    }

    /// What a call of one part would come to, if it was made now. Changes nothing.
    fn rehearse(
        &self,
        host: Option<u32>,
        calls_of: CallScope,
        request: &Reconcile,
        named: &Named,
    ) -> Reconciled {
        let hosts = &self.ledger.hosts;
        let mut told = Reconciled {
            call: request.call,
            complete: true,
            other_instance: named.other_instance,
            ..Reconciled::default()
        };
        for &member in &named.members {
            let here = Some(hosts.place_of(member).1) == host;
            *if here { &mut told.listed } else { &mut told.elsewhere } += 1;
        }
        let Some(host) = host else { return told };
        let calls = hosts.host(host).calls.get(&calls_of);
        let due = calls.and_then(|calls| calls.due_at(self.now, request.grace_ms, hosts.era));
        let marked = calls.and_then(|calls| calls.mark(hosts.era));
        told.too_early = marked.is_some() && due.is_none();
        let named: BTreeSet<u32> = named.members.iter().copied().collect();
        let mut looks = RECONCILE_LOOKS_MAX;
        let is_missed = |member: u32| !named.contains(&member);
        told.suspects = self.count_untouched(host, calls_of, hosts.now(), &mut looks, is_missed);
        if let Some(due) = due {
            told.released = self.count_untouched(host, calls_of, due, &mut looks, is_missed);
        }
        told.more = looks == 0;
        told
    }

    /// How the last call about a host stands.
    fn standing(&self, host: u32, calls_of: CallScope) -> Reconciled {
        let hosts = &self.ledger.hosts;
        let of = hosts.host(host);
        let Some(calls) = of.calls.get(&calls_of) else { return Reconciled::default() };
        let Some(call) = &calls.last else { return Reconciled::default() };
        let mut looks = LIST_OBJECTS_MAX;
        let mark = calls.mark(hosts.era).filter(|_| call.missing == 0);
        let suspects = mark.map_or(0, |mark| {
            self.count_untouched(host, calls_of, mark.until, &mut looks, |_| true)
        });
        Reconciled {
            call: call.number,
            complete: call.missing == 0,
            parts_missing: call.missing,
            too_early: call.too_early,
            releasing: calls.work.is_some(),
            more: looks == 0,
            suspects,
            released: call.released,
            ..Reconciled::default()
        }
    }

    /// Allocations of a host that nobody touched since a stamp, as far as the looks go.
    fn count_untouched(
        &self,
        host: u32,
        calls_of: CallScope,
        until: u64,
        looks: &mut usize,
        is_meant: impl Fn(u32) -> bool,
    ) -> u64 {
        let hosts = &self.ledger.hosts;
        let (mut count, mut from) = (0, (0, 0));
        while *looks > 0
            && let Some((key, group)) = hosts.group_from(host, calls_of, from)
        {
            *looks -= 1;
            for (member, _) in hosts.untouched(group, until).take(*looks) {
                *looks -= 1;
                count += u64::from(!hosts.is_claimed(member) && is_meant(member));
            }
            let Some(next) = behind(key) else { break };
            from = next;
        }
        count
    }

    /// What a part names in one network.
    fn named_in(&self, network: u32, manager: u32, live: &[Live]) -> Named {
        let mut named = Named::default();
        for one in live {
            let key = self.key_of(network, one.owner, one.slot);
            if let Some(found) = self.ledger.find_key(&self.subnets, &key) {
                self.name(found, manager, one, &mut named);
            }
        }
        named
    }

    /// What a part names in all networks.
    fn named_anywhere(
        &self,
        project: ProjectId,
        manager: u32,
        live: &[Live],
    ) -> Result<Named, Refused> {
        let mut sorted: Vec<&Live> = live.iter().collect();
        sorted.sort_unstable_by_key(|one| (one.owner, one.slot, one.instance));
        let salt = self.owner_salt(project);
        let mut named = Named::default();
        for of_owner in sorted.chunk_by(|a, b| a.owner == b.owner) {
            let owner: OwnerId = of_owner.first().map_or(OwnerId::NIL, |one| one.owner);
            let home = self.ledger.find_owner(&self.subnets, project, salt, owner);
            let ring = home.into_iter().flat_map(|home| self.ledger.ring(home));
            for found in ring {
                named.looks += 1;
                if named.looks > RECONCILE_LOOKS_MAX {
                    let most = RECONCILE_LOOKS_MAX as u128;
                    return Err(limit("RECONCILE_LOOKS_MAX", named.looks as u128, most));
                }
                let slot: Slot = self.ledger.at(found).slot;
                let first = of_owner.partition_point(|one| one.slot < slot);
                let last = of_owner.partition_point(|one| one.slot <= slot);
                // However often an entry is there, an allocation is named once.
                let entries = of_owner.get(first..last).unwrap_or_default();
                let instance = self.ledger.at(found).instance;
                let same = entries.binary_search_by_key(&instance, |one| one.instance).ok();
                if let Some(one) = same.and_then(|at| entries.get(at)).or(entries.first()) {
                    self.name(found, manager, one, &mut named);
                }
            }
        }
        Ok(named)
    }

    /// Notes what an entry names, if the manager keeps it, or a host of it asked for it last.
    fn name(&self, found: u32, manager: u32, one: &Live, named: &mut Named) {
        let record = self.ledger.at(found);
        let member = self.ledger.member_of(record);
        if member == NIL || !self.ledger.hosts.is_of(member, manager) {
            return;
        }
        let is_any = one.instance.0 == 0 || record.instance.0 == 0;
        if is_any || one.instance == record.instance {
            named.members.push(member);
        } else {
            named.other_instance += 1;
        }
    }

    fn note_work(&mut self, host: u32, calls_of: CallScope) {
        let calls = self.ledger.hosts.host(host).calls.get(&calls_of);
        if calls.is_some_and(|calls| calls.work.is_some()) {
            self.ledger.hosts.releasing.insert((host, calls_of));
        }
    }

    /// Something shows that an allocation lives: it is no suspect any more.
    pub(super) fn note_alive(&mut self, handle: u32) {
        if !is_planted(Bug::RepeatKeepsNothing) {
            self.ledger.touch(handle);
        }
    }

    /// Somebody asks again for what is held, and names another host: it may be there by now.
    pub(super) fn note_elsewhere(&mut self, handle: u32, asked: &AllocateExtras) {
        let (manager, host) = (asked.manager.as_ref(), asked.host.as_ref());
        let member = self.ledger.member_of(self.ledger.at(handle));
        let Some(host) = host.filter(|_| member != NIL && !is_planted(Bug::RepeatKeepsNothing))
        else {
            return;
        };
        let hosts = &mut self.ledger.hosts;
        let (held_by, at) = hosts.place_of(member);
        let of = hosts.manager(held_by);
        let (project, name) = (of.project, manager.unwrap_or(&of.name).clone());
        let asked = hosts.host_of(project, (&name, Some(host)));
        if asked != at {
            hosts.claim(member, asked, self.now);
        }
    }

    /// What calls missed so far can't be held against anybody: the server stood still, or learns anew what there is.
    pub(super) const fn forget_marks(&mut self) {
        self.ledger.hosts.era += 1;
    }

    /// Whether [`Shard::step_reconcile`] has something to do.
    #[must_use]
    pub fn has_suspects_to_release(&self) -> bool {
        !self.ledger.hosts.releasing.is_empty()
    }

    /// Hosts that are known, of all managers.
    #[must_use]
    pub fn hosts(&self) -> u64 {
        self.ledger.hosts.count().into()
    }

    /// Releases suspects that two calls missed, in at most `objects` steps; how many it released.
    pub fn step_reconcile(&mut self, at: &At, objects: usize, sink: &mut impl EffectSink) -> u32 {
        self.set_time(at);
        self.act_for(None);
        let mut released = 0;
        for _ in 0..objects {
            let Some(&(host, calls_of)) = self.ledger.hosts.releasing.first() else { break };
            if let Some(found) = self.next_overdue(host, calls_of) {
                self.commit_gone(found, sink);
                released += 1;
            }
        }
        released
    }

    /// The next one to be released because of a host's calls; `None` = this step looked at something else.
    fn next_overdue(&mut self, host: u32, calls_of: CallScope) -> Option<u32> {
        let (era, is_adopting) = (self.ledger.hosts.era, self.adopting);
        let work = self.ledger.hosts.host(host).calls.get(&calls_of)?.work;
        let work = work.filter(|work| work.era == era && !is_adopting);
        let next = work.and_then(|work| {
            let (key, group) = self.ledger.hosts.group_from(host, calls_of, work.from)?;
            Some((work, key, self.ledger.hosts.untouched(group, work.until).next()))
        });
        match next {
            Some((work, key, None)) if key != (u32::MAX, u64::MAX) => {
                let calls = self.ledger.hosts.host_mut(host).calls.get_mut(&calls_of)?;
                calls.work = Some(Work { from: behind(key)?, ..work });
                None
            }
            Some((_, _, Some((member, _)))) if self.ledger.hosts.is_claimed(member) => {
                if self.ledger.hosts.is_lapsed(member, self.now) {
                    self.ledger.hosts.unclaim(member);
                }
                self.ledger.hosts.touch(member);
                None
            }
            Some((work, from, Some((_, found)))) => {
                let calls = self.ledger.hosts.host_mut(host).calls.get_mut(&calls_of)?;
                calls.work = Some(Work { from, ..work });
                if let Some(call) = &mut calls.last {
                    call.released += 1;
                }
                Some(found)
            }
            _ => {
                let calls = self.ledger.hosts.host_mut(host).calls.get_mut(&calls_of)?;
                calls.work = None;
                self.ledger.hosts.releasing.remove(&(host, calls_of));
                self.ledger.hosts.drop_if_idle(host);
                None
            }
        }
    }

    /// Managers of a project, or hosts of one.
    pub(super) fn manager_list(
        &self,
        project: ProjectId,
        request: &ManagerList,
    ) -> Result<ManagerPage, Refused> {
        let most = check_page_limit(request.limit, PAGE_OBJECTS_MAX)? as usize;
        let (hosts, after) = (&self.ledger.hosts, request.after.as_ref());
        let mut items: Vec<ManagerUse> = match &request.manager {
            None => hosts
                .managers_behind(project, after)
                .filter(|manager| manager.allocations > 0)
                .take(most + 1)
                .map(|manager| ManagerUse {
                    name: Some(manager.name.clone()),
                    hosts: manager.hosts,
                    allocations: manager.allocations,
                })
                .collect(),
            Some(manager) => {
                let manager = hosts.find_manager(project, manager);
                let behind = manager.into_iter().flat_map(|at| hosts.hosts_behind(at, after));
                behind
                    .filter(|(_, host)| host.allocations > 0)
                    .take(most + 1)
                    .map(|(_, host)| ManagerUse {
                        name: host.name.clone(),
                        hosts: 0,
                        allocations: host.allocations,
                    })
                    .collect()
            }
        };
        let more = items.len() > most;
        items.truncate(most);
        Ok(ManagerPage { items, more })
    }
}

/// The place behind a group of a host.
pub(super) fn behind((network, life): GroupKey) -> Option<GroupKey> {
    match life.checked_add(1) {
        Some(life) => Some((network, life)),
        None => network.checked_add(1).map(|network| (network, 0)),
    }
}

fn check_part(request: &Reconcile) -> Result<(), Refused> {
    check_manager(&request.manager)?;
    for (field, value, least, most) in [
        ("parts", request.parts.into(), 1, u32::from(RECONCILE_PARTS_MAX)),
        ("part", request.part.into(), 0, u32::from(request.parts).saturating_sub(1)),
        ("grace_ms", request.grace_ms, GRACE_MS_MIN, GRACE_MS_MAX),
    ] {
        if !(least..=most).contains(&value) {
            return Err(out_of_range(field, value.into(), least.into(), most.into()));
        }
    }
    if request.dry_run && request.parts > 1 {
        return Err(unsupported("dry_run", "a dry run in several parts"));
    }
    if request.live.len() > RECONCILE_LIVE_MAX {
        let (count, most) = (request.live.len() as u128, RECONCILE_LIVE_MAX as u128);
        return Err(limit("RECONCILE_LIVE_MAX", count, most));
    }
    Ok(())
}

#[cold]
fn stale(call: u64, last: u64) -> Refused {
    let message =
        format_args!("call {last} of the host has begun, so that nothing comes of call {call}");
    refuse_field(Status::RECONCILE_STALE, "call", message)
}

#[cold]
fn differs(field: &str) -> Refused {
    let message = format_args!("a part of the same call said something else for {field}");
    refuse_field(Status::RECONCILE_DIFFERS, field, message)
}
