//! Confirming and cancelling what is held under a token.

use super::release::target;
use super::{Held, Naive, Net, Rest, Verdict, no, no_field};
use crate::model::{Family, NetworkId, Status};
use addrd_protocol::message::{HoldEnd, Target};
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
                (held.changed, held.token, held.end) = (changed, None, None);
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
                let held = Held { changed, token: None, end: None, ..*hold };
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
                Ok(Some((net.held.remove(at), false)))
            }
            Place::Rests(at) => {
                net.tick();
                let hold = net.resting.remove(at).hold.expect("a hold ran out here");
                Ok(Some((*hold, true)))
            }
        }
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

    /// What is over: a lease is let go; a hold rests, long enough to be confirmed late.
    pub(super) fn run_out(&mut self, held: &Held, now: u64) {
        if held.token.is_none() {
            return self.rest(held, now);
        }
        let Some(sub) = self.sub(held.subnet) else { return };
        if sub.deleting || self.deleting {
            return;
        }
        let end = now + sub.quarantine.max(HOLD_REST);
        let &Held { subnet, family, first, last, owner, slot, .. } = held;
        let hold = Some(Box::new(held.clone()));
        self.resting.push(Rest { subnet, family, first, last, owner, slot, end, hold });
    }
}
