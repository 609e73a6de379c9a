//! Which allocations are suspect: what the last calls about their hosts missed, a bounded piece at a time. Releases nothing.
//!
//! A list goes from worker to worker, in each from host to host and network to network, and there from what nobody
//! touched for longest on. What is suspect all the time keeps its place in that: whatever is touched goes to the end and
//! is no suspect there.
//!
//! Source: docs/decisions/0036-suspects-in-pages.md.

use super::Shard;
use super::hosts::{CallScope, GroupKey, HostPlace};
use super::pages::{HEAD_BYTES, Kind, behind_head, foreign, head};
use super::reconcile::behind;
use super::refusal::{Refused, refuse_field};
use super::shard::{At, Scope};
use super::slab::NIL;
use crate::limits::LIST_OBJECTS_MAX;
use crate::model::{ProjectId, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::list::CURSOR_BYTES_MAX;
use addrd_protocol::message::reconcile::SUSPECTS_MAX;
use addrd_protocol::message::{Allocation, Cursor, Reply, SuspectList, Suspects};

/// Where a list stands in a shard: what is in front of it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    host: HostPlace,
    group: GroupKey,
    /// The member of that group that was looked at last, and its stamp then.
    member: u32,
    stamp: u64,
    /// What has a stamp up to this one was looked at, whatever became of that member.
    seen: u64,
}

/// Bytes of a cursor: what each begins with, shard, run, era, manager, host, network, life, member, stamp, what was seen.
const CURSOR_BYTES: usize = HEAD_BYTES + 2 + 8 + 8 + 4 + 4 + 4 + 8 + 4 + 8 + 8;
const _: () = assert!(CURSOR_BYTES <= CURSOR_BYTES_MAX);

impl Place {
    const FIRST: Self = Self::at_host((0, 0));
    /// Behind everything.
    const END: Self = Self::at_host((NIL, NIL));

    const fn at_host(host: HostPlace) -> Self {
        Self::at_group(host, (0, 0))
    }

    const fn at_group(host: HostPlace, group: GroupKey) -> Self {
        Self { host, group, member: NIL, stamp: 0, seen: 0 }
    }

    fn write(&self, at: &At, shard: u16, (run, era): (u64, u64)) -> Cursor {
        let mut bytes = head(Kind::Suspect, at);
        bytes.extend_from_slice(&shard.to_be_bytes());
        bytes.extend_from_slice(&run.to_be_bytes());
        bytes.extend_from_slice(&era.to_be_bytes());
        for number in [self.host.0, self.host.1, self.group.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.group.1.to_be_bytes());
        bytes.extend_from_slice(&self.member.to_be_bytes());
        bytes.extend_from_slice(&self.stamp.to_be_bytes());
        bytes.extend_from_slice(&self.seen.to_be_bytes());
        Cursor(bytes.into())
    }

    /// The shard that a cursor stands in, the run and the era in which it was made, and where it stands there.
    fn read(at: &At, cursor: &Cursor) -> Result<(u16, (u64, u64), Self), Refused> {
        let mut rest = behind_head(Kind::Suspect, at, cursor)?;
        let shard = u16::from_be_bytes(take(&mut rest)?);
        let made = (u64::from_be_bytes(take(&mut rest)?), u64::from_be_bytes(take(&mut rest)?));
        let host = (u32::from_be_bytes(take(&mut rest)?), u32::from_be_bytes(take(&mut rest)?));
        let group = (u32::from_be_bytes(take(&mut rest)?), u64::from_be_bytes(take(&mut rest)?));
        let member = u32::from_be_bytes(take(&mut rest)?);
        let stamp = u64::from_be_bytes(take(&mut rest)?);
        let seen = u64::from_be_bytes(take(&mut rest)?);
        let is_whole = rest.is_empty();
        let place = Self { host, group, member, stamp, seen };
        is_whole.then_some((shard, made, place)).ok_or_else(foreign)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Refused> {
    let (field, behind) = rest.split_first_chunk::<N>().ok_or_else(foreign)?;
    *rest = behind;
    Ok(*field)
}

/// A page that fills up.
struct Walk {
    viewer: ProjectId,
    calls_of: CallScope,
    found: Vec<Allocation>,
    looks: usize,
}

impl Walk {
    /// Counts one more look; false if there was one too many.
    const fn look(&mut self) -> bool {
        let is_left = self.looks > 0;
        self.looks = self.looks.saturating_sub(1);
        is_left
    }
}

impl Shard {
    /// Suspects of a project, in a network or in all: then as a part, which always has a cursor.
    ///
    /// Shape: a look for each host, each network of a host and each allocation there that has been suspect or is claimed,
    /// at most [`LIST_OBJECTS_MAX`]. Who goes on where an allocation went away looks again at those before it.
    pub(super) fn suspect_list(
        &self,
        at: &At,
        scope: &Scope,
        network: Option<u32>,
        request: &SuspectList,
    ) -> Result<Suspects, Refused> {
        let from = match &request.cursor {
            None => Place::FIRST,
            Some(cursor) => self.place_of_list(at, cursor)?,
        };
        let mut walk = Walk {
            viewer: scope.project,
            calls_of: network.map(|network| self.networks.at(network).handle.0),
            found: Vec::new(),
            looks: LIST_OBJECTS_MAX,
        };
        let end = self.walk_hosts(request, from, &mut walk);
        let more = end != Place::END;
        let made = (self.run, self.ledger.hosts.era);
        let next = (more || network.is_none()).then(|| end.write(at, self.number, made));
        Ok(Suspects { allocations: walk.found, more, next })
    }

    /// Where a list goes on in this shard.
    ///
    /// # Errors
    /// `STALE` if the marks that it went through were forgotten since: numbers and stamps of another run stand for
    /// something else, and what was marked anew may be behind what was seen. Only the shard in which the list stands
    /// says that of its own era: in one before it nothing is left to list, and in one behind it nothing was listed yet.
    fn place_of_list(&self, at: &At, cursor: &Cursor) -> Result<Place, Refused> {
        let (shard, (run, era), place) = Place::read(at, cursor)?;
        let is_here = shard == self.number;
        let is_of_now = run == self.run && (!is_here || era == self.ledger.hosts.era);
        if !is_of_now && !is_planted(Bug::SuspectsOfFormerRun) {
            let message = format_args!(
                "the server was restarted or forgot what calls missed since this list began; list again"
            );
            return Err(refuse_field(Status::STALE, "cursor", message));
        }
        Ok(match shard {
            _ if is_here => place,
            shard if shard < self.number => Place::FIRST,
            _ => Place::END,
        })
    }

    /// Looks at hosts from a place on; gives the place where the page ends.
    fn walk_hosts(&self, request: &SuspectList, from: Place, walk: &mut Walk) -> Place {
        let Some((first, last)) = self.hosts_asked_for(walk.viewer, request) else {
            return Place::END;
        };
        let hosts = &self.ledger.hosts;
        let mut from = if from.host < first { Place::at_host(first) } else { from };
        while let Some(place) = hosts.next_host(walk.viewer, from.host, last) {
            if place != from.host {
                from = Place::at_host(place);
            }
            if !walk.look() {
                return from;
            }
            let host = hosts.host(place.1);
            let is_wanted = request.host.is_none() || request.host == host.name;
            if is_wanted
                && !host.calls.is_empty()
                && let Err(end) = self.walk_groups(from, walk)
            {
                return end;
            }
            let Some(next) = place.1.checked_add(1) else { break };
            from = Place::at_host((place.0, next));
        }
        Place::END
    }

    /// The first and the last host that a request may be about.
    fn hosts_asked_for(
        &self,
        project: ProjectId,
        request: &SuspectList,
    ) -> Option<(HostPlace, HostPlace)> {
        let Some(manager) = &request.manager else { return Some(((0, 0), (NIL, NIL))) };
        let hosts = &self.ledger.hosts;
        let manager = hosts.find_manager(project, manager)?;
        let Some(host) = &request.host else { return Some(((manager, 0), (manager, NIL))) };
        let host = hosts.find_host(manager, Some(host))?;
        Some(((manager, host), (manager, host)))
    }

    /// Looks at what a host has from a place on; the error is the place where the page ends.
    fn walk_groups(&self, from: Place, walk: &mut Walk) -> Result<(), Place> {
        let (hosts, host) = (&self.ledger.hosts, from.host.1);
        let until = |of: CallScope| {
            let mark = hosts.host(host).calls.get(&of).and_then(|calls| calls.mark(hosts.era));
            mark.map_or(0, |mark| mark.until)
        };
        let mut from = from;
        while let Some((key, group)) = hosts.group_from(host, walk.calls_of, from.group) {
            if key != from.group {
                from = Place::at_group(from.host, key);
            }
            if !walk.look() {
                return Err(from);
            }
            self.walk_members(group, until(None).max(until(Some(key.0))), from, walk)?;
            let Some(next) = behind(key) else { break };
            from = Place::at_group(from.host, next);
        }
        Ok(())
    }

    /// Looks at the members of a group that nobody touched since a stamp, from a place on; the error is the place where the
    /// page ends.
    fn walk_members(
        &self,
        group: u32,
        until: u64,
        from: Place,
        walk: &mut Walk,
    ) -> Result<(), Place> {
        let hosts = &self.ledger.hosts;
        let mut place = from;
        for (member, allocation, stamp) in hosts.members_behind(group, from.member, from.stamp) {
            if stamp > until {
                break;
            }
            let is_seen = stamp <= place.seen && !is_planted(Bug::SeenSuspectsForgotten);
            let is_suspect =
                !is_seen && !hosts.is_claimed(member) && !self.is_over(self.ledger.at(allocation));
            if is_suspect && walk.found.len() >= SUSPECTS_MAX || !walk.look() {
                return Err(place);
            }
            if is_suspect {
                walk.found.push(self.allocation_for(allocation, walk.viewer));
            }
            place = Place { member, stamp, seen: place.seen.max(stamp), ..place };
        }
        Ok(())
    }
}

/// The page that begins with the parts of all shards, each from its place on: whole parts in the order of the shards, as
/// long as they fit, and none behind one that has more.
pub(super) fn join(replies: Vec<Reply>) -> Suspects {
    let mut parts: Vec<(u16, Suspects)> = Vec::with_capacity(replies.len());
    for reply in replies {
        if let Reply::Suspects(part) = reply {
            parts.push((shard_of(part.next.as_ref()), *part));
        }
    }
    parts.sort_unstable_by_key(|&(shard, _)| shard);
    let mut all = Suspects::default();
    for (_, part) in parts {
        // The first one is as large as a page at most: every page goes on.
        let has_more = all.more && !is_planted(Bug::SuspectsOfWorkerLeftOut);
        if has_more || all.allocations.len() + part.allocations.len() > SUSPECTS_MAX {
            all.more = true;
            return all;
        }
        all.allocations.extend(part.allocations);
        (all.more, all.next) = (part.more, part.next);
    }
    if !all.more {
        all.next = None;
    }
    all
}

/// The shard of a part's cursor.
fn shard_of(cursor: Option<&Cursor>) -> u16 {
    let field = cursor.and_then(|cursor| cursor.0.get(HEAD_BYTES..HEAD_BYTES + 2));
    field.and_then(|field| field.try_into().ok()).map_or(0, u16::from_be_bytes)
}
