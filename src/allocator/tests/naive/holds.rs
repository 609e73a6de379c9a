//! Confirming and cancelling what is held under a token.

use super::release::{check_fences, target};
use super::{Held, Naive, Net, Rest, Verdict, no, no_field};
use crate::model::{Family, NetworkId, Status, SubnetId};
use addrd_protocol::message::{HoldEnd, HoldRelease, Target};
use addrd_protocol::prefix::number_of;

/// How long what ran out rests at least, ms.
const HOLD_REST: u64 = 600_000;

/// What a request is about: a place in the list of what is held, or in that of what rests.
enum Place {
    Held(usize),
    Rests(usize),
    Nowhere,
}

impl Naive {
    /// What is held after a confirmation, whether it was so already, and whether it came late.
    pub(in crate::allocator::tests) fn hold_confirm(
        &mut self,
        network: NetworkId,
        request: &HoldEnd,
    ) -> Verdict<(Held, bool, bool)> {
        let net = self.net_mut(network)?;
        match net.place(request)? {
            Place::Nowhere => no(Status::HOLD_OVER),
            Place::Held(at) => {
                let held = &net.held[at];
                if held.revision != request.revision.0 {
                    return no_field(Status::STALE, "revision");
                }
                match held.token {
                    None => return Ok((held.clone(), true, false)),
                    Some(token) if token != request.token => {
                        return no_field(Status::OTHER_TOKEN, "token");
                    }
                    Some(_) => {}
                }
                let changed = net.tick();
                let held = &mut net.held[at];
                (held.changed, held.token, held.end, held.rested) = (changed, None, None, None);
                Ok((held.clone(), false, false))
            }
            Place::Rests(at) => {
                let rest = &net.resting[at];
                if net.deleting || net.sub(rest.subnet).is_some_and(|sub| sub.deleting) {
                    return no(Status::DELETING);
                }
                if net.by_key(rest.owner, rest.slot).is_some() {
                    return no_field(Status::KEY_IN_USE, "target");
                }
                let changed = net.tick();
                let hold = net.resting.remove(at).hold.expect("a hold ran out here");
                let held =
                    Held { changed, token: None, item: None, end: None, rested: None, ..*hold };
                net.held.push(held.clone());
                Ok((held, false, true))
            }
        }
    }

    /// What was held until it was cancelled, and whether it had run out; `None` = nothing.
    pub(in crate::allocator::tests) fn hold_cancel(
        &mut self,
        network: NetworkId,
        request: &HoldEnd,
    ) -> Verdict<Option<(Held, bool)>> {
        let now = self.now;
        let net = self.net_mut(network)?;
        match net.place(request)? {
            Place::Nowhere => Ok(None),
            Place::Held(at) => {
                let held = &net.held[at];
                if held.revision != request.revision.0 {
                    return match held.token == Some(request.token) {
                        true => no_field(Status::STALE, "revision"),
                        false => Ok(None),
                    };
                }
                match held.token {
                    None => return no_field(Status::HOLD_CONFIRMED, "revision"),
                    Some(token) if token != request.token => {
                        return no_field(Status::OTHER_TOKEN, "token");
                    }
                    Some(_) => {}
                }
                net.tick();
                let held = net.held.remove(at);
                net.give_back(&held, now);
                Ok(Some((held, false)))
            }
            Place::Rests(at) => {
                net.tick();
                let hold = net.resting.remove(at).hold.expect("a hold ran out here");
                Ok(Some((*hold, true)))
            }
        }
    }
}

impl Naive {
    /// What is to be released if that is confirmed, and whether it was so already or is gone at once; `None` =
    /// nothing is held.
    pub(in crate::allocator::tests) fn hold_release(
        &mut self,
        network: NetworkId,
        request: &HoldRelease,
    ) -> Verdict<Option<(Held, bool, bool)>> {
        let now = self.now;
        let net = self.net_mut(network)?;
        let hold_ms = request.hold_ms.unwrap_or(60_000);
        if !(1_000..=315_360_000_000).contains(&hold_ms) {
            return no_field(Status::OUT_OF_RANGE, "hold_ms");
        }
        if matches!(request.target, Target::Address(_)) && request.fences.is_empty() {
            return no(Status::CONFLICTING_FIELDS);
        }
        let Some(at) = target(net, &request.target)? else { return Ok(None) };
        check_fences(&net.held[at], &request.fences)?;
        let held = &net.held[at];
        match held.token.or(held.release_token(now)) {
            Some(token) if token != request.token => return no_field(Status::OTHER_TOKEN, "token"),
            Some(_) if held.token.is_some() => {
                net.tick();
                let held = net.held.remove(at);
                net.give_back(&held, now);
                return Ok(Some((held, false, true)));
            }
            Some(_) => return Ok(Some((held.clone(), true, false))),
            None => {}
        }
        let changed = net.tick();
        let held = &mut net.held[at];
        (held.changed, held.releasing) = (changed, Some((request.token, now + hold_ms)));
        Ok(Some((held.clone(), false, false)))
    }

    /// What is released; `None` = nothing is held at that revision.
    pub(in crate::allocator::tests) fn confirm_release(
        &mut self,
        network: NetworkId,
        request: &HoldEnd,
    ) -> Verdict<Option<Held>> {
        let now = self.now;
        let net = self.net_mut(network)?;
        let found = target(net, &request.target)?;
        let Some(at) = found.filter(|&at| net.held[at].revision == request.revision.0) else {
            return Ok(None);
        };
        let held = &net.held[at];
        match (held.token, held.release_token(now)) {
            (Some(token), _) | (None, Some(token)) if token != request.token => {
                return no_field(Status::OTHER_TOKEN, "token");
            }
            (None, Some(_)) => {}
            _ => return no(Status::HOLD_OVER),
        }
        net.tick();
        let held = net.held.remove(at);
        net.rest(&held, now);
        Ok(Some(held))
    }

    /// What its owner keeps, and whether it was so already.
    pub(in crate::allocator::tests) fn cancel_release(
        &mut self,
        network: NetworkId,
        request: &HoldEnd,
    ) -> Verdict<(Held, bool)> {
        let now = self.now;
        let net = self.net_mut(network)?;
        let found = target(net, &request.target)?;
        let Some(at) = found.filter(|&at| net.held[at].revision == request.revision.0) else {
            return no(Status::HOLD_OVER);
        };
        let held = &net.held[at];
        match held.token.or(held.release_token(now)) {
            Some(token) if token != request.token => return no_field(Status::OTHER_TOKEN, "token"),
            Some(_) if held.token.is_some() => return no(Status::HOLD_OVER),
            _ => {}
        }
        if held.releasing.is_none() {
            return Ok((held.clone(), true));
        }
        let changed = net.tick();
        let held = &mut net.held[at];
        (held.changed, held.releasing) = (changed, None);
        Ok((held.clone(), false))
    }
}

impl Net {
    fn place(&self, request: &HoldEnd) -> Verdict<Place> {
        let live = target(self, &request.target)?;
        if let Some(at) = live.filter(|&at| self.held[at].revision == request.revision.0) {
            return Ok(Place::Held(at));
        }
        let named = |rest: &Rest| match &request.target {
            Target::Key { owner, slot } => (rest.owner, rest.slot) == (*owner, *slot),
            Target::Address(address) => {
                (rest.family, rest.first) == (Family::of(address), number_of(address))
            }
        };
        let is_it = |rest: &Rest| {
            let hold = rest.hold.as_ref();
            named(rest)
                && hold.is_some_and(|hold| hold.revision == request.revision.0)
                && rest.token() == Some(request.token)
        };
        let rests = self.resting.iter().position(is_it);
        Ok(rests.map(Place::Rests).or(live.map(Place::Held)).unwrap_or(Place::Nowhere))
    }

    /// What rests there goes first; until when it would have rested, if it was no hold.
    pub(super) fn end_rest(&mut self, subnet: SubnetId, first: u128) -> Option<u64> {
        let is_it = |rest: &Rest| (rest.subnet, rest.first) == (subnet, first);
        let at = self.resting.iter().position(is_it).expect("something rests there");
        self.tick();
        let rest = self.resting.remove(at);
        rest.hold.is_none().then_some(rest.end)
    }

    /// What a hold interrupted rests on.
    fn give_back(&mut self, held: &Held, now: u64) {
        let Some(end) = held.rested.filter(|end| *end > now) else { return };
        if self.deleting || self.sub(held.subnet).is_none_or(|sub| sub.deleting) {
            return;
        }
        let &Held { subnet, family, first, last, owner, slot, .. } = held;
        self.resting.push(Rest { subnet, family, first, last, owner, slot, end, hold: None });
    }

    /// What is over: a lease is let go; a hold rests, long enough to be confirmed late.
    pub(super) fn run_out(&mut self, held: &Held, now: u64) {
        if held.token.is_none() {
            return self.rest(held, now);
        }
        let Some(sub) = self.sub(held.subnet) else { return };
        if sub.deleting || self.deleting {
            return;
        }
        let end = (now + sub.quarantine.max(HOLD_REST)).max(held.rested.unwrap_or(0));
        let &Held { subnet, family, first, last, owner, slot, .. } = held;
        let hold = Some(Box::new(held.clone()));
        self.resting.push(Rest { subnet, family, first, last, owner, slot, end, hold });
    }
}
