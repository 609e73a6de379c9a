//! Managers and hosts, and which allocations are whose, those that nobody touched for longest first.
//! Releases nothing itself, reads no clock.
//!
//! A manager and a host are there while an allocation names them; their texts are kept once. The allocations of a host in a
//! network form a *group*: a list in which whatever is touched goes to the end with a new *stamp*. So those that nobody
//! touched since some stamp are the beginning of each list, and are found without looking at the others.
//!
//! What another host of the manager listed is *claimed* by it until a later list of that host lacks it: a manager that
//! moved something and has not said so yet loses nothing by it.
//!
//! Source: docs/decisions/0027-managers.md.

use super::calls::Calls;
use super::deadlines::Deadlines;
use super::former_lives::FormerLives;
use super::host_terms::{HostTerm, Lives, NO_PRESENT};
use super::slab::{Arena, NIL};
use crate::limits::{
    CALLS_WITHOUT_GROUP_MAX, CLAIM_MS_MAX, HOSTS_WITHOUT_ALLOCATIONS_MAX, RECONCILE_LOOKS_MAX,
};
use crate::model::{HostName, ProjectId, Text, Tick};
use crate::planted::{Bug, is_planted};
use std::collections::{BTreeMap, BTreeSet};

/// What names a host: its project and manager (by number), and its name; without one it stands for what the
/// manager keeps without a host.
type HostKey = (u32, Option<Text>);

/// The calls of a host: about one network, by its handle, or about all.
pub(super) type CallScope = Option<u32>;

/// The number of a manager and that of a host of it: in this order a project's hosts are gone through.
pub(super) type HostPlace = (u32, u32);

/// Which group of a host: a network, by its handle, and the life of the host that its members follow; 0 = they
/// follow none.
pub(super) type GroupKey = (u32, u64);

/// Managers, hosts, groups and members of a shard.
#[derive(Debug)]
pub(super) struct Hosts {
    managers: Arena<Manager>,
    managers_by_name: BTreeMap<(ProjectId, Text), u32>,
    hosts: Arena<Host>,
    hosts_by_name: BTreeMap<HostKey, u32>,
    /// The same by project and number: unlike a name, a number fits a cursor, and it stays as long as the host.
    hosts_by_number: BTreeSet<(ProjectId, HostPlace)>,
    groups: Arena<Group>,
    members: Arena<Member>,
    /// The last stamp that was given.
    stamp: u64,
    /// Members that another host listed than the one that has them.
    claims: BTreeMap<u32, Claim>,
    /// The same by host and stamp.
    claims_of: BTreeSet<(u32, u64, u32)>,
    /// Raised by whatever makes all marks worthless.
    pub(super) era: u64,
    /// Hosts without allocations, the one that has been so for longest first.
    empty: BTreeMap<u64, u32>,
    /// The last turn in that order.
    turn: u64,
    /// Calls of hosts because of which something is to be released.
    pub(super) releasing: BTreeSet<(u32, CallScope)>,
    /// Leases of hosts by their ends.
    pub(super) terms: Deadlines,
    /// Hosts of which something may follow a life that has ended.
    pub(super) ending: BTreeSet<u32>,
    /// Those of which a life has ended that had all the grace there was.
    pub(super) ended: BTreeSet<u32>,
    /// Hosts that have a lease, and those whose lease is over.
    pub(super) leased: u64,
    pub(super) overdue: u64,
    /// Hosts that have a lease, by project.
    pub(super) leased_by: BTreeMap<ProjectId, u64>,
    /// Hosts that have a lease, or of which something follows a life.
    pub(super) listed: BTreeMap<(u32, Text), u32>,
    /// The last lives of hosts whose leases have ended.
    pub(super) former: FormerLives,
    /// Groups whose members follow a life.
    pub(super) following_groups: usize,
    /// Calls of hosts, and hosts that have any.
    calls: usize,
    called: usize,
    /// Bytes of the names of managers and hosts.
    text_bytes: usize,
}

/// A manager of a project.
#[derive(Debug)]
pub(super) struct Manager {
    pub(super) project: ProjectId,
    pub(super) name: Text,
    /// Hosts that have allocations, what has no host not counted.
    pub(super) hosts: u64,
    pub(super) allocations: u64,
    /// Hosts that are known, also those without allocations.
    known: u64,
}

/// A host of a manager.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) manager: u32,
    pub(super) name: Option<Text>,
    pub(super) allocations: u64,
    groups: BTreeMap<GroupKey, u32>,
    /// Those whose members follow it, by life.
    pub(super) following: BTreeSet<(u64, u32)>,
    /// How many follow each life.
    pub(super) lives: BTreeMap<u64, u64>,
    /// How many follow any life, and how many one of the present of its lease: a renewal counts nothing.
    pub(super) following_count: u64,
    pub(super) present_count: u64,
    /// The first and the last life of that present; see [`NO_PRESENT`].
    pub(super) present: (u64, u64),
    /// Lives that ended with their lease and may be followed still: they had all the grace there was.
    pub(super) ended: Lives,
    /// Its lease.
    pub(super) term: Option<HostTerm>,
    /// What it was told of what lives.
    pub(super) calls: BTreeMap<CallScope, Calls>,
    /// What other hosts have and it lists.
    claims: u64,
    /// Its turn among those without allocations.
    queued: Option<u64>,
}

/// Which list of another host a member was in last.
#[derive(Clone, Copy, Debug)]
struct Claim {
    host: u32,
    /// The last stamp when it listed it, and when that was.
    stamp: u64,
    at: Tick,
}

/// What a host has in a network.
#[derive(Debug)]
struct Group {
    host: u32,
    network: u32,
    /// The life of the host that its members follow; 0 = they follow none.
    life: u64,
    /// The member that was touched longest ago.
    first: u32,
    last: u32,
    members: u32,
}

/// An allocation in its group.
#[derive(Debug)]
struct Member {
    allocation: u32,
    group: u32,
    next: u32,
    previous: u32,
    /// When it was touched last.
    stamp: u64,
}

/// Bytes of orders (B-trees) that have so many entries together, about: the first entry of each takes a node, and behind that nodes
/// are two thirds full.
const fn order_bytes<T>(orders: usize, entries: usize) -> usize {
    /// Entries of a node of the standard library's B-trees.
    const NODE_ENTRIES: usize = 11;
    let orders = if orders < entries { orders } else { entries };
    (orders * NODE_ENTRIES + (entries - orders) * 3 / 2) * size_of::<T>()
}

impl Hosts {
    pub(super) fn new() -> Self {
        Self {
            managers: Arena::new(),
            managers_by_name: BTreeMap::new(),
            hosts: Arena::new(),
            hosts_by_name: BTreeMap::new(),
            hosts_by_number: BTreeSet::new(),
            groups: Arena::new(),
            members: Arena::new(),
            stamp: 0,
            claims: BTreeMap::new(),
            era: 0,
            empty: BTreeMap::new(),
            turn: 0,
            claims_of: BTreeSet::new(),
            releasing: BTreeSet::new(),
            terms: Deadlines::default(),
            ending: BTreeSet::new(),
            ended: BTreeSet::new(),
            leased: 0,
            overdue: 0,
            leased_by: BTreeMap::new(),
            listed: BTreeMap::new(),
            former: FormerLives::default(),
            following_groups: 0,
            calls: 0,
            called: 0,
            text_bytes: 0,
        }
    }

    /// Hosts that are known.
    pub(super) const fn count(&self) -> u32 {
        self.hosts.count()
    }

    /// Bytes of all that is known of managers and hosts, their texts too.
    ///
    /// Shape: counts nothing; an order that a host has of its own takes a whole node as soon as one thing is in it, so few things on
    /// many hosts take more than many on few.
    pub(super) fn bytes(&self) -> usize {
        /// What the allocator and the sharing of a text take beside its bytes.
        const TEXT_BYTES: usize = 56;
        let (managers, hosts) = (self.managers.count() as usize, self.hosts.count() as usize);
        let (followed, places) = (self.listed.len(), self.following_groups);
        self.managers.bytes()
            + self.hosts.bytes()
            + self.groups.bytes()
            + self.members.bytes()
            + self.terms.bytes()
            + self.text_bytes
            + (managers + hosts) * TEXT_BYTES
            + order_bytes::<((ProjectId, Text), u32)>(1, managers)
            + order_bytes::<(HostKey, u32)>(1, hosts)
            + order_bytes::<(ProjectId, HostPlace)>(1, hosts)
            + order_bytes::<(GroupKey, u32)>(hosts, self.groups.count() as usize)
            + order_bytes::<((u32, Text), u32)>(1, followed)
            + order_bytes::<(u64, u32)>(followed, places)
            + order_bytes::<(u64, u64)>(followed, places)
            + order_bytes::<(CallScope, Calls)>(self.called, self.calls)
            + self.calls * Calls::PARTS_BYTES
            + order_bytes::<(u32, Claim)>(1, self.claims.len())
            + order_bytes::<(u32, u64, u32)>(1, self.claims_of.len())
            + order_bytes::<(u64, u32)>(1, self.empty.len())
            + order_bytes::<(HostName, HostName, u64)>(1, self.former.count())
    }

    /// The calls of a host about a network, or all; made if there were none.
    pub(super) fn calls_of(&mut self, host: u32, scope: CallScope) -> &mut Calls {
        let of = self.hosts.at_mut(host);
        self.called += usize::from(of.calls.is_empty());
        of.calls.entry(scope).or_insert_with(|| {
            self.calls += 1;
            Calls::default()
        })
    }

    /// The last stamp that was given.
    pub(super) const fn now(&self) -> u64 {
        self.stamp
    }

    // Finding.

    pub(super) fn find_manager(&self, project: ProjectId, name: &Text) -> Option<u32> {
        self.managers_by_name.get(&(project, name.clone())).copied()
    }

    pub(super) fn find_host(&self, manager: u32, name: Option<&Text>) -> Option<u32> {
        self.hosts_by_name.get(&(manager, name.cloned())).copied()
    }

    pub(super) fn host(&self, host: u32) -> &Host {
        self.hosts.at(host)
    }

    pub(super) fn host_mut(&mut self, host: u32) -> &mut Host {
        self.hosts.at_mut(host)
    }

    pub(super) fn manager(&self, manager: u32) -> &Manager {
        self.managers.at(manager)
    }

    /// A host is at hand, and is not forgotten meanwhile.
    pub(super) fn pin(&mut self, host: u32, is_pinned: bool) {
        let claims = &mut self.hosts.at_mut(host).claims;
        *claims = if is_pinned { *claims + 1 } else { *claims - 1 };
    }

    /// Manager and host of a member.
    pub(super) fn place_of(&self, member: u32) -> (u32, u32) {
        let host = self.groups.at(self.members.at(member).group).host;
        (self.hosts.at(host).manager, host)
    }

    /// Managers of a project behind a name, by name.
    pub(super) fn managers_behind(
        &self,
        project: ProjectId,
        after: Option<&Text>,
    ) -> impl Iterator<Item = &Manager> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = (project, after.cloned().unwrap_or_default());
        let from = if after.is_some() { Excluded(from) } else { Included(from) };
        let range = self.managers_by_name.range((from, Unbounded));
        range.take_while(move |((of, _), _)| *of == project).map(|(_, &at)| self.managers.at(at))
    }

    /// Hosts of a manager behind a name, by name.
    pub(super) fn hosts_behind(
        &self,
        manager: u32,
        after: Option<&Text>,
    ) -> impl Iterator<Item = (u32, &Host)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = (manager, after.cloned());
        let from = if after.is_some() { Excluded(from) } else { Included(from) };
        let range = self.hosts_by_name.range((from, Unbounded));
        range.take_while(move |((of, _), _)| *of == manager).map(|(_, &at)| (at, self.hosts.at(at)))
    }

    /// The first host of a project from one number on up to another.
    pub(super) fn next_host(
        &self,
        project: ProjectId,
        from: HostPlace,
        to: HostPlace,
    ) -> Option<HostPlace> {
        if from > to {
            return None;
        }
        let range = self.hosts_by_number.range((project, from)..=(project, to));
        range.map(|&(_, place)| place).next()
    }

    /// The texts of a member, which all of its host share.
    pub(super) fn texts_of(&self, member: u32) -> (Option<Text>, Option<Text>) {
        let (manager, host) = self.place_of(member);
        (Some(self.managers.at(manager).name.clone()), self.hosts.at(host).name.clone())
    }

    /// The first group of a host at or behind a place, if it is about this network or about all.
    pub(super) fn group_from(
        &self,
        host: u32,
        scope: CallScope,
        from: GroupKey,
    ) -> Option<(GroupKey, u32)> {
        let to = (scope.unwrap_or(u32::MAX), u64::MAX);
        let from = from.max((scope.unwrap_or(0), 0));
        if from > to {
            return None;
        }
        self.hosts.at(host).groups.range(from..=to).next().map(|(&key, &group)| (key, group))
    }

    /// Host and life that a member follows; life 0 = it follows none.
    pub(super) fn life_of(&self, member: u32) -> (u32, u64) {
        let group = self.groups.at(self.members.at(member).group);
        (group.host, group.life)
    }

    fn group_of(&self, host: u32, (life, network): (u64, u32)) -> Option<&Group> {
        let of = self.hosts.at(host).groups.get(&(network, life))?;
        Some(self.groups.at(*of))
    }

    /// The first allocation of what follows a life of a host in a network.
    pub(super) fn first_of(&self, host: u32, place: (u64, u32)) -> Option<u32> {
        self.group_of(host, place).map(|group| self.members.at(group.first).allocation)
    }

    /// How many follow a life of a host in a network.
    pub(super) fn count_of(&self, host: u32, place: (u64, u32)) -> u64 {
        self.group_of(host, place).map_or(0, |group| group.members.into())
    }

    /// Whether another host lists a member.
    pub(super) fn is_claimed(&self, member: u32) -> bool {
        self.claims.contains_key(&member) && !is_planted(Bug::ClaimsIgnored)
    }

    /// Whether a manager keeps a member, or a host of it claims it.
    pub(super) fn is_of(&self, member: u32, manager: u32) -> bool {
        let claims = || self.claims.get(&member).map(|claim| self.hosts.at(claim.host).manager);
        self.place_of(member).0 == manager || claims() == Some(manager)
    }

    /// A claim is so old that its host is no witness any more.
    pub(super) fn is_lapsed(&self, member: u32, now: Tick) -> bool {
        self.claims.get(&member).is_some_and(|claim| now.since(claim.at) > CLAIM_MS_MAX)
    }

    /// What of a group nobody touched since a stamp, the one touched longest ago first.
    ///
    /// Gives members and their allocations.
    pub(super) fn untouched(&self, group: u32, until: u64) -> impl Iterator<Item = (u32, u32)> {
        let first = Some(self.groups.at(group).first).filter(|&first| first != NIL);
        let next = |&at: &u32| Some(self.members.at(at).next).filter(|&next| next != NIL);
        std::iter::successors(first, next)
            .map(|at| (at, self.members.at(at)))
            .take_while(move |(_, member)| member.stamp <= until)
            .map(|(at, member)| (at, member.allocation))
    }

    /// The members of a group behind one of them, if that is where it was at a stamp; else all of them. The one touched
    /// longest ago comes first.
    ///
    /// Gives members, their allocations and stamps.
    pub(super) fn members_behind(
        &self,
        group: u32,
        member: u32,
        stamp: u64,
    ) -> impl Iterator<Item = (u32, u32, u64)> {
        let is_there = |one: &&Member| (one.group, one.stamp) == (group, stamp);
        let behind = self.members.get(member).filter(is_there);
        let first = behind.map_or_else(|| self.groups.at(group).first, |one| one.next);
        let next = |at: u32| Some(at).filter(|&at| at != NIL);
        std::iter::successors(next(first), move |&at| next(self.members.at(at).next))
            .map(|at| (at, self.members.at(at)))
            .map(|(at, member)| (at, member.allocation, member.stamp))
    }

    // Changing.

    /// Whether a member is where these texts say.
    pub(super) fn is_at(
        &self,
        member: u32,
        network: u32,
        project: ProjectId,
        texts: (&Text, Option<&Text>),
        life: u64,
    ) -> bool {
        let group = self.groups.at(self.members.at(member).group);
        let host = self.hosts.at(group.host);
        let manager = self.managers.at(host.manager);
        (group.network, group.life) == (network, life)
            && manager.project == project
            && manager.name == *texts.0
            && host.name.as_ref() == texts.1
    }

    /// Takes an allocation in, as touched now; gives its member.
    pub(super) fn enter(
        &mut self,
        network: u32,
        project: ProjectId,
        texts: (&Text, Option<&Text>),
        life: u64,
        allocation: u32,
    ) -> u32 {
        let host = self.host_of(project, texts);
        if life != 0 {
            self.follow(host, life, network);
        }
        let of = self.hosts.at_mut(host);
        of.allocations += 1;
        let manager = self.managers.at_mut(of.manager);
        manager.allocations += 1;
        if of.allocations == 1 && of.name.is_some() {
            manager.hosts += 1;
        }
        let groups = &mut self.groups;
        let group = *of.groups.entry((network, life)).or_insert_with(|| {
            let (first, last) = (NIL, NIL);
            groups.insert(Group { host, network, life, first, last, members: 0 })
        });
        groups.at_mut(group).members += 1;
        let stamp = 0;
        let member =
            self.members.insert(Member { allocation, group, next: NIL, previous: NIL, stamp });
        self.append(member);
        member
    }

    /// A host, made if it isn't known.
    pub(super) fn host_of(
        &mut self,
        project: ProjectId,
        (manager, host): (&Text, Option<&Text>),
    ) -> u32 {
        let found = self.find_manager(project, manager);
        let of = found.unwrap_or_else(|| {
            let name = super::owned(manager);
            self.text_bytes += name.len();
            let made = Manager { project, name: name.clone(), hosts: 0, allocations: 0, known: 0 };
            let at = self.managers.insert(made);
            self.managers_by_name.insert((project, name), at);
            at
        });
        self.find_host(of, host).unwrap_or_else(|| {
            let name = host.map(super::owned);
            self.text_bytes += name.as_ref().map_or(0, |name| name.len());
            let (groups, calls) = (BTreeMap::new(), BTreeMap::new());
            let (name_of, claims) = (name.clone(), 0);
            let made = Host {
                manager: of,
                name: name_of,
                allocations: 0,
                groups,
                calls,
                claims,
                queued: None,
                following: BTreeSet::new(),
                lives: BTreeMap::new(),
                following_count: 0,
                present_count: 0,
                present: NO_PRESENT,
                ended: Lives::default(),
                term: None,
            };
            let at = self.hosts.insert(made);
            self.hosts_by_name.insert((of, name), at);
            self.hosts_by_number.insert((project, (of, at)));
            self.managers.at_mut(of).known += 1;
            at
        })
    }

    /// Another host than the one that has a member lists it, or asked for it.
    pub(super) fn claim(&mut self, member: u32, host: u32, at: Tick) {
        let stamp = self.stamp;
        self.hosts.at_mut(host).claims += 1;
        self.claims_of.insert((host, stamp, member));
        if let Some(old) = self.claims.insert(member, Claim { host, stamp, at }) {
            self.end_claim(member, old);
        }
    }

    /// No host but its own has a member any more, as far as is known.
    pub(super) fn unclaim(&mut self, member: u32) {
        if let Some(claim) = self.claims.remove(&member) {
            self.end_claim(member, claim);
        }
    }

    fn end_claim(&mut self, member: u32, claim: Claim) {
        self.claims_of.remove(&(claim.host, claim.stamp, member));
        self.hosts.at_mut(claim.host).claims -= 1;
        self.drop_if_idle(claim.host);
    }

    /// A call of a host is complete that began at a stamp: what it claimed before that and did not list in this call is
    /// not claimed any more. It may be anywhere now: the host that has it has to miss it twice from here on.
    ///
    /// Shape: looks at no more than [`RECONCILE_LOOKS_MAX`]; the rest ends with later calls, or lapses.
    pub(super) fn end_claims(&mut self, host: u32, scope: CallScope, began: u64) {
        let all = (host, 0, 0)..=(host, began, u32::MAX);
        let first = self.claims_of.range(all).take(RECONCILE_LOOKS_MAX);
        let ended: Vec<u32> = first.map(|&(_, _, member)| member).collect();
        for member in ended {
            let network = self.groups.at(self.members.at(member).group).network;
            if scope.is_none_or(|scope| scope == network) {
                self.unclaim(member);
                if !is_planted(Bug::EndedClaimKeepsNothing) {
                    self.touch(member);
                }
            }
        }
    }

    /// Takes an allocation out.
    pub(super) fn leave(&mut self, member: u32) {
        if !self.claims.is_empty() {
            self.unclaim(member);
        }
        self.unlink(member);
        let group = self.members.at(member).group;
        self.members.remove(member);
        let Group { host, network, life, first, .. } = *self.groups.at(group);
        self.groups.at_mut(group).members -= 1;
        let of = self.hosts.at_mut(host);
        of.allocations -= 1;
        let manager = self.managers.at_mut(of.manager);
        manager.allocations -= 1;
        if of.allocations == 0 && of.name.is_some() {
            manager.hosts -= 1;
        }
        self.unfollow(host, (life, network), first == NIL);
        if first != NIL {
            return;
        }
        self.hosts.at_mut(host).groups.remove(&(network, life));
        self.groups.remove(group);
        self.drop_if_idle(host);
    }

    /// Something shows that an allocation lives.
    pub(super) fn touch(&mut self, member: u32) {
        self.unlink(member);
        self.append(member);
    }

    /// A host without allocations is kept while there is room, so that a late part of an old call is known as such;
    /// of those that have no more than calls the oldest is forgotten.
    pub(super) fn drop_if_idle(&mut self, host: u32) {
        let of = self.hosts.at(host);
        if of.allocations > 0 || of.claims > 0 || of.term.is_some() {
            return;
        }
        if of.calls.is_empty() {
            self.forget(host);
            return;
        }
        if of.queued.is_none() {
            self.turn += 1;
            self.hosts.at_mut(host).queued = Some(self.turn);
            self.empty.insert(self.turn, host);
        }
        if self.empty.len() > HOSTS_WITHOUT_ALLOCATIONS_MAX
            && let Some((_, oldest)) = self.empty.pop_first()
        {
            let of = self.hosts.at_mut(oldest);
            of.queued = None;
            if of.allocations == 0 && of.claims == 0 && of.term.is_none() {
                self.forget(oldest);
            }
        }
    }

    /// Room for a call of a host: of those about networks in which it has nothing the first is forgotten once there are too
    /// many.
    pub(super) fn make_room_for(&mut self, host: u32, scope: CallScope) {
        let of = self.hosts.at_mut(host);
        let most = of.groups.len() + CALLS_WITHOUT_GROUP_MAX;
        if of.calls.len() < most || of.calls.contains_key(&scope) {
            return;
        }
        let is_bare = |scope: &CallScope| {
            let has =
                |network| of.groups.range((network, 0)..=(network, u64::MAX)).next().is_some();
            scope.is_some_and(|network| !has(network))
        };
        if let Some(bare) = of.calls.keys().copied().find(is_bare) {
            of.calls.remove(&bare);
            self.calls -= 1;
            self.called -= usize::from(of.calls.is_empty());
            self.releasing.remove(&(host, bare));
        }
    }

    fn forget(&mut self, host: u32) {
        let of = self.hosts.at(host);
        let (manager, key) = (of.manager, (of.manager, of.name.clone()));
        for scope in of.calls.keys() {
            self.releasing.remove(&(host, *scope));
        }
        self.calls -= of.calls.len();
        self.called -= usize::from(!of.calls.is_empty());
        self.text_bytes -= of.name.as_ref().map_or(0, |name| name.len());
        if let Some(turn) = of.queued {
            self.empty.remove(&turn);
        }
        self.hosts_by_name.remove(&key);
        self.ending.remove(&host);
        self.ended.remove(&host);
        self.hosts.remove(host);
        let of = self.managers.at_mut(manager);
        self.hosts_by_number.remove(&(of.project, (manager, host)));
        of.known -= 1;
        if of.known == 0 {
            self.text_bytes -= of.name.len();
            self.managers_by_name.remove(&(of.project, of.name.clone()));
            self.managers.remove(manager);
        }
    }

    /// Puts a member at the end of its group, with a new stamp.
    fn append(&mut self, member: u32) {
        self.stamp += 1;
        let group = self.groups.at_mut(self.members.at(member).group);
        let last = std::mem::replace(&mut group.last, member);
        if last == NIL {
            group.first = member;
        } else {
            self.members.at_mut(last).next = member;
        }
        let of = self.members.at_mut(member);
        (of.previous, of.next, of.stamp) = (last, NIL, self.stamp);
    }

    fn unlink(&mut self, member: u32) {
        let Member { group, next, previous, .. } = *self.members.at(member);
        let group = self.groups.at_mut(group);
        if next == NIL {
            group.last = previous;
        } else {
            self.members.at_mut(next).previous = previous;
        }
        if previous == NIL {
            group.first = next;
        } else {
            self.members.at_mut(previous).next = next;
        }
    }

    /// What does not hold: counts and orders. `of` gives the member of an allocation.
    pub(super) fn check(&self, of: impl Fn(u32) -> u32, found: &mut Vec<String>) {
        let mut members = 0;
        for (at, host) in self.hosts.iter() {
            let mut count = 0;
            for (&(network, life), &group) in &host.groups {
                let group = self.groups.at(group);
                let (mut member, mut previous, mut stamp) = (group.first, NIL, 0);
                while member != NIL {
                    let one = self.members.at(member);
                    if of(one.allocation) != member
                        || one.stamp <= stamp
                        || one.previous != previous
                    {
                        found.push(format!("a member of host {:?} is out of place", host.name));
                    }
                    count += 1;
                    (previous, stamp, member) = (member, one.stamp, one.next);
                }
                let place = (group.host, group.network, group.life);
                let follows = host.following.contains(&(life, network));
                if group.last != previous || place != (at, network, life) || follows != (life != 0)
                {
                    found.push(format!("a group of host {:?} is wrong", host.name));
                }
            }
            if count != host.allocations {
                found.push(format!("host {:?} counts {} of {count}", host.name, host.allocations));
            }
            let numbered = (self.managers.at(host.manager).project, (host.manager, at));
            if !self.hosts_by_number.contains(&numbered) {
                found.push(format!("host {:?} is not in the order of numbers", host.name));
            }
            members += count;
            let claims = self.claims.values().filter(|claim| claim.host == at).count() as u64;
            self.check_terms(at, host, found);
            let queued = host.queued.is_none_or(|turn| self.empty.get(&turn) == Some(&at));
            if claims != host.claims || !queued {
                found.push(format!("host {:?} claims {} of {claims}", host.name, host.claims));
            }
        }
        let calls: Vec<usize> = self.hosts.iter().map(|(_, host)| host.calls.len()).collect();
        let called = calls.iter().filter(|count| **count > 0).count();
        let follow = self.groups.iter().filter(|(_, group)| group.life != 0).count();
        let of_hosts = self.hosts.iter().filter_map(|(_, host)| host.name.as_ref());
        let names = self.managers.iter().map(|(_, manager)| &manager.name).chain(of_hosts);
        let figures = (calls.iter().sum(), called, follow, names.map(|name| name.len()).sum());
        if figures != (self.calls, self.called, self.following_groups, self.text_bytes) {
            found.push(format!("what hosts take is counted wrong: it is {figures:?}"));
        }
        if self.hosts_by_number.len() != self.hosts.count() as usize {
            found.push("the order of numbers has hosts that are not there".to_owned());
        }
        if members != u64::from(self.members.count()) {
            found.push(format!("hosts have {members} of {} members", self.members.count()));
        }
        let terms: Vec<&HostTerm> =
            self.hosts.iter().filter_map(|(_, host)| host.term.as_ref()).collect();
        let overdue = terms.iter().filter(|term| term.overdue).count() as u64;
        let leased = terms.len() as u64;
        let timed = self.terms.count() as u64;
        if (leased, overdue, timed) != (self.leased, self.overdue, leased - overdue) {
            found.push(format!("{leased} host leases, {overdue} overdue, {timed} in order"));
        }
        let queued = self.hosts.iter().filter(|(_, host)| host.queued.is_some()).count();
        if (self.claims.len(), queued) != (self.claims_of.len(), self.empty.len()) {
            found.push("claims or hosts without allocations are in an order twice".to_owned());
        }
        self.check_managers(found);
    }

    fn check_managers(&self, found: &mut Vec<String>) {
        for (at, manager) in self.managers.iter() {
            let (mut sum, mut named, mut known) = (0, 0, 0);
            for (_, host) in self.hosts.iter().filter(|(_, host)| host.manager == at) {
                sum += host.allocations;
                named += u64::from(host.name.is_some() && host.allocations > 0);
                known += 1;
            }
            if (sum, named, known) != (manager.allocations, manager.hosts, manager.known) {
                found.push(format!("manager {} counts wrong", manager.name));
            }
        }
    }
}
