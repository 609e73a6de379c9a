//! Joins the parts of a request that every shard answers. Looks at no state.

use super::leases::any_left;
use super::pages::{Cursor, Kind};
use super::refusal::{Refused, refuse, unsupported};
use super::shard::{Answer, At, Scope};
use super::suspects;
use crate::model::{Family, Status, Text};
use addrd_protocol::message::allocation::LOOKUPS_MAX;
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{
    Cursor as CursorBytes, HostLease, HostLeasePage, HostLeaseState, JobPage, Lookups, ManagerPage,
    ManagerUse, NetworkPage, Reconciled, RenewedOwner, Reply, Request,
};
use std::collections::BTreeMap;

/// The whole answer of a request for which [`super::is_gathered`] holds, from each shard's part.
///
/// # Errors
/// A refusal of any part, but `NOT_FOUND` only if every part says so.
pub fn merge(at: &At, request: &Request, _scope: &Scope, parts: Vec<Answer>) -> Answer {
    let mut replies = Vec::with_capacity(parts.len());
    let mut not_found = None;
    for part in parts {
        match part {
            Ok((_, reply)) => replies.push(reply),
            Err(refused) if refused.status == Status::NOT_FOUND => not_found = Some(refused),
            Err(refused) => return Err(refused),
        }
    }
    if replies.is_empty() {
        let nobody = || refuse(Status::NOT_FOUND, format_args!("nothing was found"));
        return Err(not_found.unwrap_or_else(nobody));
    }
    let reply = match request {
        Request::NetworkFind(_) | Request::JobGet(_) => replies.swap_remove(0),
        Request::NetworkList(request) => {
            Reply::Networks(Box::new(networks(at, replies, most(request.page.limit))))
        }
        Request::JobList(request) => {
            Reply::Jobs(Box::new(jobs(at, replies, most(request.page.limit))))
        }
        Request::RenewOwner(_) => Reply::RenewedOwner(renewed(replies)?),
        Request::Reconcile(_) => Reply::Reconciled(Box::new(reconciled(replies))),
        Request::SuspectList(_) => Reply::Suspects(Box::new(suspects::join(replies))),
        Request::ManagerList(request) => {
            Reply::Managers(Box::new(managers(replies, most(request.limit))))
        }
        Request::HostLeaseList(request) => {
            Reply::HostLeases(Box::new(host_leases(replies, most(request.limit))))
        }
        Request::Lookup(_) => Reply::Lookups(Box::new(lookups(replies))),
        _ => return Err(unsupported("opcode", "this operation over all workers")),
    };
    Ok((Status::OK, reply))
}

fn most(limit: u32) -> usize {
    if limit == 0 { PAGE_OBJECTS_MAX as usize } else { limit as usize }
}

fn networks(at: &At, replies: Vec<Reply>, most: usize) -> NetworkPage {
    let mut position = None;
    let mut pages = Pages::new();
    for reply in replies {
        if let Reply::Networks(page) = reply {
            let so_far = position.unwrap_or(page.position);
            position = Some(so_far.min(page.position));
            pages.add(page.items, page.next);
        }
    }
    let (items, next) = pages.join(Kind::Network, at, most, |network| {
        (network.network_id.0.as_u128(), network.project_id.0.as_u128())
    });
    NetworkPage { position: position.unwrap_or_default(), items, next }
}

fn jobs(at: &At, replies: Vec<Reply>, most: usize) -> JobPage {
    let mut pages = Pages::new();
    for reply in replies {
        if let Reply::Jobs(page) = reply {
            pages.add(page.items, page.next);
        }
    }
    let (items, next) = pages.join(Kind::Job, at, most, |job| (u128::from(job.job_id.0), 0));
    JobPage { items, next }
}

/// Pages of all shards, each complete up to its cursor.
struct Pages<T> {
    items: Vec<T>,
    /// The lowest cursor: behind it some shard has not looked.
    next: Option<CursorBytes>,
}

impl<T> Pages<T> {
    const fn new() -> Self {
        Self { items: Vec::new(), next: None }
    }

    fn add(&mut self, items: Vec<T>, next: Option<CursorBytes>) {
        self.items.extend(items);
        if let Some(cursor) = next {
            let lower = self.next.as_ref().is_none_or(|old| key(&cursor) < key(old));
            if lower {
                self.next = Some(cursor);
            }
        }
    }

    fn join(
        mut self,
        kind: Kind,
        at: &At,
        most: usize,
        key_of: impl Fn(&T) -> (u128, u128),
    ) -> (Vec<T>, Option<CursorBytes>) {
        self.items.sort_unstable_by_key(&key_of);
        if let Some(cursor) = &self.next {
            let end = key(cursor);
            self.items.retain(|item| key_of(item) <= end);
        }
        if self.items.len() <= most {
            return (self.items, self.next);
        }
        self.items.truncate(most);
        let (key, beside) = self.items.last().map(key_of).unwrap_or_default();
        let cursor = Cursor { family: Family::V4, key, beside };
        (self.items, Some(cursor.write(kind, at)))
    }
}

fn key(cursor: &CursorBytes) -> (u128, u128) {
    Cursor::key_of(cursor)
}

/// What an owner has is in any of them, or in none any more.
fn renewed(replies: Vec<Reply>) -> Result<RenewedOwner, Refused> {
    let parts = replies.into_iter().filter_map(|reply| match reply {
        Reply::RenewedOwner(part) => Some(part),
        _ => None,
    });
    let all = parts.fold(RenewedOwner::default(), |all, part| RenewedOwner {
        renewed: all.renewed + part.renewed,
        endless: all.endless + part.endless,
        expired: all.expired + part.expired,
        stale: all.stale + part.stale,
    });
    any_left(all, "the owner holds nothing in any network any more")
}

/// A part is taken by every shard, and its call is complete when it is so in all of them.
fn reconciled(replies: Vec<Reply>) -> Reconciled {
    let parts = replies.into_iter().filter_map(|reply| match reply {
        Reply::Reconciled(part) => Some(*part),
        _ => None,
    });
    let all = parts.reduce(|all, part| Reconciled {
        call: all.call,
        complete: all.complete && part.complete,
        parts_missing: all.parts_missing.max(part.parts_missing),
        too_early: all.too_early || part.too_early,
        releasing: all.releasing || part.releasing,
        more: all.more || part.more,
        listed: all.listed + part.listed,
        elsewhere: all.elsewhere + part.elsewhere,
        other_instance: all.other_instance + part.other_instance,
        suspects: all.suspects + part.suspects,
        released: all.released + part.released,
    });
    all.unwrap_or_default()
}

/// Those of the same name are one. Behind the last name of a shard that has more, nothing is complete.
fn managers(replies: Vec<Reply>, most: usize) -> ManagerPage {
    let mut sums: BTreeMap<Option<Text>, (u64, u64)> = BTreeMap::new();
    let mut end: Option<Option<Text>> = None;
    for reply in replies {
        let Reply::Managers(page) = reply else { continue };
        let last = page.items.last().map(|item| item.name.clone());
        if page.more
            && let Some(last) = last
        {
            end = Some(end.map_or_else(|| last.clone(), |end| end.min(last.clone())));
        }
        for item in page.items {
            let (hosts, allocations) = sums.entry(item.name).or_default();
            *hosts += item.hosts;
            *allocations += item.allocations;
        }
    }
    let mut more = end.is_some();
    if let Some(end) = end {
        sums.retain(|name, _| *name <= end);
    }
    more |= sums.len() > most;
    let item = |(name, (hosts, allocations))| ManagerUse { name, hosts, allocations };
    ManagerPage { items: sums.into_iter().take(most).map(item).collect(), more }
}

/// Those of the same host are one. Behind the last host of a shard that has more, nothing is complete.
fn host_leases(replies: Vec<Reply>, most: usize) -> HostLeasePage {
    let mut all: BTreeMap<Text, HostLease> = BTreeMap::new();
    let mut end: Option<Text> = None;
    for reply in replies {
        let Reply::HostLeases(page) = reply else { continue };
        if page.more
            && let Some(last) = page.items.last().map(|item| item.host.clone())
        {
            end = Some(end.map_or_else(|| last.clone(), |end| end.min(last.clone())));
        }
        for item in page.items {
            let Some(so_far) = all.get_mut(&item.host) else {
                all.insert(item.host.clone(), item);
                continue;
            };
            let following = so_far.following + item.following;
            // A shard in which something is still to be released says less than one that has the lease.
            if so_far.life < item.life || so_far.state == HostLeaseState::Ended {
                *so_far = item;
            }
            so_far.following = following;
        }
    }
    let mut more = end.is_some();
    if let Some(end) = end {
        all.retain(|host, _| *host <= end);
    }
    more |= all.len() > most;
    HostLeasePage { items: all.into_values().take(most).collect(), more }
}

fn lookups(replies: Vec<Reply>) -> Lookups {
    let mut all = Lookups::default();
    for reply in replies {
        if let Reply::Lookups(part) = reply {
            all.more |= part.more;
            all.allocations.extend(part.allocations);
            all.subnets.extend(part.subnets);
        }
    }
    all.more |= all.allocations.len() > LOOKUPS_MAX || all.subnets.len() > LOOKUPS_MAX;
    all.allocations.truncate(LOOKUPS_MAX);
    all.subnets.truncate(LOOKUPS_MAX);
    all
}
