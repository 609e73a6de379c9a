//! Release and update of what is held.

use super::{Held, Naive, Net, Verdict, no, no_field};
use crate::model::{NetworkId, Setting, Status, Text, Tick};
use addrd_protocol::message::{AllocationUpdate, Fences, Release, Renew, Target};
use addrd_protocol::prefix::number_of;

impl Naive {
    /// What is released, and the revision of that; `None` = nothing was held.
    pub(in crate::allocator::tests) fn release(
        &mut self,
        network: NetworkId,
        request: &Release,
    ) -> Verdict<Option<(Held, u64)>> {
        let now = self.now;
        let net = self.net_mut(network)?;
        let by_address = matches!(request.target, Target::Address(_));
        if by_address && !request.any && request.fences.is_empty() {
            return no(Status::CONFLICTING_FIELDS);
        }
        let Some(at) = target(net, &request.target)? else { return Ok(None) };
        check_fences(&net.held[at], &request.fences)?;
        let revision = net.tick();
        let held = net.held.remove(at);
        net.rest(&held, now);
        Ok(Some((held, revision)))
    }

    /// What is held after an update, and whether it was so already.
    pub(in crate::allocator::tests) fn update(
        &mut self,
        network: NetworkId,
        request: &AllocationUpdate,
    ) -> Verdict<(Held, bool)> {
        let now = self.now;
        let net = self.net_mut(network)?;
        if matches!(request.target, Target::Address(_)) && request.fences.is_empty() {
            return no(Status::CONFLICTING_FIELDS);
        }
        let Some(at) = target(net, &request.target)? else { return no(Status::NOT_FOUND) };
        check_fences(&net.held[at], &request.fences)?;
        if !request.lease_ms.is_unset() && net.held[at].token.is_some() {
            return no_field(Status::CONFLICTING_FIELDS, "lease_ms");
        }
        let before = net.held[at].clone();
        let held = &mut net.held[at];
        set(&mut held.label, &request.label);
        set(&mut held.host, &request.host);
        set(&mut held.manager, &request.manager_name);
        set(&mut held.owner_name, &request.owner_name);
        match request.lease_ms {
            Setting::Unset => {}
            Setting::Null => held.end = None,
            Setting::Value(ms) => held.end = Some(now + ms),
        }
        if *held == before {
            return Ok((before, true));
        }
        let revision = net.tick();
        net.held[at].changed = revision;
        Ok((net.held[at].clone(), false))
    }
}

impl Naive {
    /// What is held after a renewal.
    pub(in crate::allocator::tests) fn renew(
        &mut self,
        network: NetworkId,
        request: &Renew,
    ) -> Verdict<Held> {
        let now = self.now;
        let net = self.net_mut(network)?;
        if matches!(request.target, Target::Address(_)) && request.fences.is_empty() {
            return no(Status::CONFLICTING_FIELDS);
        }
        let Some(at) = target(net, &request.target)? else { return no(Status::EXPIRED) };
        check_fences(&net.held[at], &request.fences)?;
        if net.held[at].end.is_some() && net.held[at].token.is_none() {
            let revision = net.tick();
            let held = &mut net.held[at];
            (held.changed, held.end) = (revision, Some(now + request.lease_ms));
        }
        Ok(net.held[at].clone())
    }

    /// Time passes; gives what is over by then, which nobody holds any more.
    pub(in crate::allocator::tests) fn wait(&mut self, ms: u64) -> Vec<(NetworkId, Held)> {
        self.now += ms;
        self.first_revision = Tick(self.now).first_revision();
        let now = self.now;
        let mut over = Vec::new();
        for net in &mut self.networks {
            let is_over = |held: &mut Held| held.end.is_some_and(|end| end <= now);
            let ended: Vec<_> = net.held.extract_if(.., is_over).collect();
            ended.iter().for_each(|held| net.run_out(held, now));
            over.extend(ended.into_iter().map(|held| {
                net.tick();
                (net.id, held)
            }));
        }
        over
    }

    /// What has rested is free; gives how many that are.
    pub(in crate::allocator::tests) fn end_rests(&mut self) -> usize {
        let now = self.now;
        let mut count = 0;
        for net in &mut self.networks {
            let ended = net.resting.extract_if(.., |rest| rest.end <= now).count();
            net.counter += ended as u64;
            count += ended;
        }
        count
    }

    /// The server starts again: what has a lease keeps it for a while.
    pub(in crate::allocator::tests) fn restart(&mut self, grace_ms: u64) {
        let until = self.now + grace_ms;
        let leases = self.networks.iter_mut().flat_map(|net| &mut net.held);
        leases.filter_map(|held| held.end.as_mut()).for_each(|end| *end = until.max(*end));
    }
}

fn set(field: &mut Option<Text>, setting: &Setting<Text>) {
    match setting {
        Setting::Unset => {}
        Setting::Null => *field = None,
        Setting::Value(text) => *field = Some(text.clone()),
    }
}

pub(in crate::allocator::tests) fn target(net: &Net, target: &Target) -> Verdict<Option<usize>> {
    match target {
        Target::Key { owner, slot } => Ok(net.by_key(*owner, *slot)),
        Target::Address(address) => match net.by_address(address) {
            Some(at) if net.held[at].first != number_of(address) => no(Status::INVALID_ADDRESS),
            found => Ok(found),
        },
    }
}

pub(super) fn check_fences(held: &Held, fences: &Fences) -> Verdict<()> {
    if fences.owner.is_some_and(|owner| owner != held.owner) {
        return no(Status::NOT_HOLDER);
    }
    if fences.manager.is_some() && fences.manager != held.manager {
        return no(Status::NOT_HOLDER);
    }
    if fences.revision.is_some_and(|revision| revision.0 != held.revision)
        || fences.instance.is_some_and(|instance| instance != held.instance)
    {
        return no(Status::STALE);
    }
    Ok(())
}
