//! What an allocate request must be answered.

use super::place::end_of;
use super::{Held, Naive, Net, Sub, Verdict, no, no_field};
use crate::model::{Family, NetworkId, Range, Slot, Status, SubnetId};
use addrd_protocol::message::{Allocate, AllocateExtras, FamilyChoice, Strategy};
use addrd_protocol::prefix::number_of;
use std::net::IpAddr;

/// One address of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::allocator::tests) enum Given {
    /// Held before.
    Repeat(usize),
    /// Taken over.
    TakeOver(usize),
    /// A free place in a subnet.
    New { subnet: SubnetId, first: u128, bits: u8, moves: bool, random: bool, over: Over },
}

/// What rests at a place that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::allocator::tests) enum Over {
    /// Nothing.
    Free,
    /// Exactly the block that is given.
    Rest,
    /// Any block of this size of the subnet in the limit whose rest ends first.
    Longest,
}

/// What is given for each slot.
pub(in crate::allocator::tests) type Expected = Vec<(Slot, Given)>;

impl Naive {
    /// Decides; changes nothing.
    pub(in crate::allocator::tests) fn allocate(
        &self,
        network: NetworkId,
        request: &Allocate,
    ) -> Verdict<Expected> {
        let net = self.net(network)?;
        let plain = AllocateExtras::default();
        let extras = request.extras.as_deref().unwrap_or(&plain);
        check(request, extras)?;
        let placed = net.placed(request, extras, self.now);
        let ask = Ask { net, request: &placed, extras, now: self.now };
        let mut all = Vec::new();
        for (family, slot) in ask.wants()? {
            all.push((slot, ask.decide(family, slot)?));
        }
        Ok(all)
    }

    /// Carries out what was decided (and what the server chose where chance does).
    pub(in crate::allocator::tests) fn carry_out(
        &mut self,
        network: NetworkId,
        request: &Allocate,
        expected: &Expected,
    ) -> Vec<Held> {
        let now = self.now;
        let net = self.net_mut(network).unwrap();
        let plain = AllocateExtras::default();
        let extras = request.extras.as_deref().unwrap_or(&plain);
        let mut result = Vec::new();
        for (slot, given) in expected {
            let at = match given {
                Given::Repeat(at) => {
                    if net.held[*at].release_token(now).is_some() {
                        let changed = net.tick();
                        let held = &mut net.held[*at];
                        (held.changed, held.releasing) = (changed, None);
                    }
                    *at
                }
                Given::TakeOver(at) => {
                    let revision = net.tick();
                    let held = &mut net.held[*at];
                    (held.revision, held.changed) = (revision, revision);
                    held.instance = request.instance;
                    (held.releasing, held.rested) = (None, None);
                    if held.token.take().is_some() {
                        (held.end, held.item) = (None, None);
                    }
                    write_extras(held, extras, now);
                    *at
                }
                Given::New { subnet, first, bits, moves, over, .. } => {
                    let mut rested = None;
                    if *over != Over::Free {
                        rested = net.end_rest(*subnet, *first);
                    }
                    let revision = net.tick();
                    let sub = net.subnets.iter_mut().find(|sub| sub.id == *subnet).unwrap();
                    let family = sub.prefix.family();
                    let last = end_of(*first, *bits);
                    if *moves {
                        sub.last = Some(last);
                    }
                    let mut held = Held {
                        subnet: *subnet,
                        family,
                        first: *first,
                        last,
                        length: family.bits() - bits,
                        owner: request.owner,
                        slot: *slot,
                        instance: request.instance,
                        revision,
                        changed: revision,
                        manager: None,
                        host: None,
                        label: None,
                        owner_name: None,
                        end: extras.hold_token.map(|_| now + extras.hold_ms.unwrap_or(60_000)),
                        token: extras.hold_token,
                        item: extras.hold_item,
                        rested: rested.filter(|_| extras.hold_token.is_some()),
                        releasing: None,
                    };
                    write_extras(&mut held, extras, now);
                    net.held.push(held);
                    net.held.len() - 1
                }
            };
            result.push(net.held[at].clone());
        }
        result
    }
}

impl Net {
    /// The request with the slot that an item of a token has, or gets.
    fn placed(&self, request: &Allocate, extras: &AllocateExtras, now: u64) -> Allocate {
        let Some(item) = extras.hold_item else { return request.clone() };
        let pair = matches!(request.family, FamilyChoice::Both | FamilyChoice::Each);
        let own = self.held.iter().filter(|held| {
            held.owner == request.owner
                && held.token == extras.hold_token
                && held.item == Some(item)
        });
        let first =
            |held: &Held| held.slot.0.saturating_sub(u16::from(pair && held.family == Family::V6));
        let is_own = |held: &Held| (held.token, held.item) == (extras.hold_token, Some(item));
        let free = |slot: u16| {
            let of_key = |rest: &&super::Rest| {
                (rest.owner, rest.slot) == (request.owner, Slot(slot)) && rest.end > now
            };
            let ran_out = self.resting.iter().rev().filter(of_key);
            let held = ran_out.filter_map(|rest| rest.hold.as_deref()).next();
            self.by_key(request.owner, Slot(slot)).is_none() && held.is_none_or(is_own)
        };
        let lowest = || (0..).find(|slot| free(*slot) && (!pair || free(*slot + 1))).unwrap();
        let slot = Slot(own.map(first).min().unwrap_or_else(lowest));
        Allocate { slot, ..request.clone() }
    }
}

fn write_extras(held: &mut Held, extras: &AllocateExtras, now: u64) {
    held.end = extras.lease_ms.map(|ms| now + ms).or(held.end);
    held.manager = extras.manager.clone().or(held.manager.take());
    held.host = extras.host.clone().or(held.host.take());
    held.label = extras.label.clone().or(held.label.take());
    held.owner_name = extras.owner_name.clone().or(held.owner_name.take());
}

/// What is wrong with a request in itself, in this order.
fn check(request: &Allocate, extras: &AllocateExtras) -> Verdict<()> {
    if extras.lease_ms.is_some_and(|ms| !(1_000..=315_360_000_000).contains(&ms)) {
        return no_field(Status::OUT_OF_RANGE, "lease_ms");
    }
    if extras.hold_ms.is_some_and(|ms| !(1_000..=315_360_000_000).contains(&ms)) {
        return no_field(Status::OUT_OF_RANGE, "hold_ms");
    }
    let unfit = match extras.hold_token {
        None if extras.hold_ms.is_some() => Some("hold_ms"),
        None => extras.hold_item.map(|_| "hold_item"),
        Some(_) if extras.lease_ms.is_some() => Some("lease_ms"),
        Some(_) if extras.hold_item.is_some() && request.slot.0 > 0 => Some("slot"),
        Some(_) => request.flags.takeover.then_some("takeover"),
    };
    if let Some(field) = unfit {
        return no_field(Status::CONFLICTING_FIELDS, field);
    }
    let wanted = match request.family {
        FamilyChoice::V4 => Some(Family::V4),
        FamilyChoice::V6 => Some(Family::V6),
        _ => None,
    };
    let other = |family: Family| wanted.is_some_and(|wanted| wanted != family);
    if extras.exact.is_some_and(|exact| other(Family::of(&exact))) {
        return no_field(Status::CONFLICTING_FIELDS, "exact");
    }
    if extras.limit.is_some_and(|limit| other(limit.family())) {
        return no_field(Status::CONFLICTING_FIELDS, "limit");
    }
    if let (Some(exact), Some(limit)) = (&extras.exact, &extras.limit)
        && Family::of(exact) == limit.family()
        && !limit.contains(exact)
    {
        return no_field(Status::CONFLICTING_FIELDS, "exact");
    }
    if request.strategy == Strategy::Exact && extras.exact.is_none() {
        return no_field(Status::CONFLICTING_FIELDS, "exact");
    }
    if request.strategy == Strategy::Eui64 {
        // These requests carry no MAC.
        return no_field(Status::CONFLICTING_FIELDS, "mac");
    }
    let pair = matches!(request.family, FamilyChoice::Both | FamilyChoice::Each);
    if pair && request.slot.0 == u16::MAX {
        return no_field(Status::OUT_OF_RANGE, "slot");
    }
    if pair && request.length.is_some() {
        return no_field(Status::CONFLICTING_FIELDS, "length");
    }
    let widest = if wanted == Some(Family::V4) { 32 } else { 128 };
    if request.length.is_some_and(|length| length > widest) {
        return no_field(Status::OUT_OF_RANGE, "length");
    }
    Ok(())
}

struct Ask<'a> {
    net: &'a Net,
    request: &'a Allocate,
    extras: &'a AllocateExtras,
    now: u64,
}

impl Ask<'_> {
    fn named(&self, sub: &Sub) -> bool {
        self.extras.subnets.is_empty() || self.extras.subnets.contains(&sub.id)
    }

    fn wants(&self) -> Verdict<Vec<(Option<Family>, Slot)>> {
        let (first, second) = (self.request.slot, Slot(self.request.slot.0.saturating_add(1)));
        Ok(match self.request.family {
            FamilyChoice::One => vec![(None, first)],
            FamilyChoice::V4 => vec![(Some(Family::V4), first)],
            FamilyChoice::V6 => vec![(Some(Family::V6), first)],
            FamilyChoice::Both => vec![(Some(Family::V4), first), (Some(Family::V6), second)],
            FamilyChoice::Each => {
                let has = |family| {
                    let usable = self.net.subnets.iter().filter(|sub| !sub.deleting);
                    usable.filter(|s| self.named(s)).any(|s| s.prefix.family() == family)
                };
                let mut all = Vec::new();
                if has(Family::V4) {
                    all.push((Some(Family::V4), first));
                }
                if has(Family::V6) {
                    all.push((Some(Family::V6), second));
                }
                if all.is_empty() {
                    return no(Status::NO_MATCHING_SUBNET);
                }
                all
            }
        })
    }

    /// Free low bits of the block in a family.
    fn bits(&self, family: Family) -> Option<u8> {
        self.request.length.map_or(Some(0), |length| family.bits().checked_sub(length))
    }

    /// The limit for a family: `Err` = nothing is allowed.
    fn limit(&self, family: Family) -> Result<Option<&Range>, ()> {
        let pair = matches!(self.request.family, FamilyChoice::Both | FamilyChoice::Each);
        match &self.extras.limit {
            None => Ok(None),
            Some(limit) if limit.family() == family => Ok(Some(limit)),
            Some(_) if pair => Ok(None),
            Some(_) => Err(()),
        }
    }

    fn decide(&self, family: Option<Family>, slot: Slot) -> Verdict<Given> {
        let fits = |of: Family| family.is_none_or(|wanted| wanted == of);
        if let Some(at) = self.net.by_key(self.request.owner, slot) {
            return self.judge(at, family);
        }
        if self.net.deleting {
            return no(Status::DELETING);
        }
        if let Some(exact) = self.extras.exact.filter(|exact| fits(Family::of(exact))) {
            return self.exactly(&exact);
        }
        if let Some(given) = self.own_rest(family, slot) {
            return Ok(given);
        }
        if let Some(preferred) = self.extras.preferred.filter(|at| fits(Family::of(at)))
            && let Some(given) = self.preferably(&preferred)
        {
            return Ok(given);
        }
        self.automatically(family, slot)
    }

    fn judge(&self, at: usize, family: Option<Family>) -> Verdict<Given> {
        let held = &self.net.held[at];
        if self.extras.hold_item.is_some()
            && (held.token, held.item) != (self.extras.hold_token, self.extras.hold_item)
        {
            return no_field(Status::KEY_IN_USE, "hold_item");
        }
        let same = held.instance == self.request.instance;
        let takes_over = !same && self.request.flags.takeover;
        let token = held.token.or(held.release_token(self.now));
        if !takes_over && token.is_some() && token != self.extras.hold_token {
            return no_field(Status::OTHER_TOKEN, "hold_token");
        }
        if !same && !takes_over {
            return no_field(Status::HELD_BY_OTHER_INSTANCE, "instance");
        }
        let fits = |of: Family| family.is_none_or(|wanted| wanted == of);
        let inside = match self.limit(held.family) {
            Err(()) => false,
            Ok(None) => true,
            Ok(Some(limit)) => {
                limit.contains(&held.address()) && held.last <= number_of(&limit.last())
            }
        };
        let length = self.request.length.unwrap_or(held.family.bits());
        let exact = self.extras.exact.filter(|exact| fits(Family::of(exact)));
        let named = self.extras.subnets.is_empty() || self.extras.subnets.contains(&held.subnet);
        if !fits(held.family) {
            return no_field(Status::KEY_IN_USE, "family");
        }
        if length != held.length {
            return no_field(Status::KEY_IN_USE, "length");
        }
        if exact.is_some_and(|exact| exact != held.address()) {
            return no_field(Status::KEY_IN_USE, "exact");
        }
        if !named {
            return no_field(Status::KEY_IN_USE, "subnets");
        }
        if !inside {
            return no_field(Status::KEY_IN_USE, "limit");
        }
        Ok(if same { Given::Repeat(at) } else { Given::TakeOver(at) })
    }

    fn with(&self, address: &IpAddr) -> Option<&Sub> {
        let mut all = self.net.subnets.iter();
        all.find(|sub| sub.prefix.contains(address)).filter(|sub| self.named(sub))
    }

    fn exactly(&self, exact: &IpAddr) -> Verdict<Given> {
        let Some(sub) = self.with(exact) else { return no(Status::INVALID_ADDRESS) };
        if sub.deleting {
            return no(Status::DELETING);
        }
        let host_bits = sub.prefix.host_bits();
        let Some(bits) = self.bits(sub.prefix.family()).filter(|&bits| bits <= host_bits) else {
            return no_field(Status::OUT_OF_RANGE, "length");
        };
        let first = number_of(exact);
        let last = end_of(first, bits);
        if first & end_of(0, bits) != 0 {
            return no(Status::INVALID_ADDRESS);
        }
        let limit = self.limit(sub.prefix.family());
        if !matches!(limit, Ok(limit) if limit.is_none_or(|l| last <= number_of(&l.last()))) {
            return no_field(Status::CONFLICTING_FIELDS, "exact");
        }
        if sub.reserved(first, last) {
            return no(Status::INVALID_ADDRESS);
        }
        if sub.is_gateway(first, last) && !self.request.flags.allow_gateway {
            return no(Status::IS_GATEWAY);
        }
        if sub.forbidden(first, last) {
            return no(Status::EXCLUDED);
        }
        let given = |over| {
            Ok(Given::New { subnet: sub.id, first, bits, moves: false, random: false, over })
        };
        let overlaps = |of, a: u128, b: u128| of == sub.prefix.family() && a <= last && b >= first;
        let rests = self.net.resting.iter().filter(|r| overlaps(r.family, r.first, r.last));
        let rest = rests.min_by_key(|rest| rest.first);
        let held = self.net.held.iter().filter(|h| overlaps(h.family, h.first, h.last));
        let held = held.min_by_key(|held| held.first);
        match (rest, held) {
            (None, None) => given(Over::Free),
            (Some(rest), _)
                if (rest.first, rest.last) == (first, last)
                    && (rest.owner == self.request.owner && self.suits(rest)
                        || self.request.flags.allow_resting && rest.hold.is_none()) =>
            {
                given(Over::Rest)
            }
            (Some(rest), held) if held.is_none_or(|held| rest.first < held.first) => {
                no_field(Status::ADDRESS_RESTING, "exact")
            }
            _ => no(Status::ADDRESS_TAKEN),
        }
    }

    fn preferably(&self, preferred: &IpAddr) -> Option<Given> {
        let sub = self.with(preferred)?;
        let family = sub.prefix.family();
        let bits = self.bits(family).filter(|&bits| bits <= sub.prefix.host_bits())?;
        let first = number_of(preferred);
        let last = end_of(first, bits);
        let limit = self.limit(family).ok()?;
        let inside =
            limit.is_none_or(|limit| limit.contains(preferred) && last <= number_of(&limit.last()));
        let lawful = !sub.deleting
            && first & end_of(0, bits) == 0
            && inside
            && !sub.excluded(first, last)
            && !sub.reserved(first, last)
            && (self.request.flags.allow_gateway || !sub.is_gateway(first, last))
            && self.net.obstacle(family, first, last).is_none();
        let over = Over::Free;
        let given = Given::New { subnet: sub.id, first, bits, moves: false, random: false, over };
        lawful.then_some(given)
    }

    /// What ran out under a token is for that one, and for who comes without.
    fn suits(&self, rest: &super::Rest) -> bool {
        let asked = self.extras.hold_token;
        rest.hold.is_none() || asked.is_none() || asked == rest.token()
    }

    /// What the key let go last, if it rests and an automatic choice may have it.
    fn own_rest(&self, family: Option<Family>, slot: Slot) -> Option<Given> {
        let mine = |rest: &&super::Rest| {
            (rest.owner, rest.slot) == (self.request.owner, slot) && self.suits(rest)
        };
        let rest = self.net.resting.iter().rfind(mine)?;
        let sub = self.net.sub(rest.subnet)?;
        let bits = self.bits(rest.family)?;
        let limit = self.limit(rest.family).ok()?;
        let inside = limit.is_none_or(|limit| {
            let (a, b) = super::numbers(limit);
            a <= rest.first && rest.last <= b
        });
        let fits = family.is_none_or(|wanted| wanted == rest.family)
            && rest.last - rest.first == end_of(0, bits)
            && inside
            && self.named(sub)
            && !sub.deleting
            && !sub.excluded(rest.first, rest.last)
            && !sub.reserved(rest.first, rest.last)
            && (self.request.flags.allow_gateway || !sub.is_gateway(rest.first, rest.last));
        let (subnet, first, over) = (sub.id, rest.first, Over::Rest);
        fits.then_some(Given::New { subnet, first, bits, moves: false, random: false, over })
    }

    /// The block of a subnet that rests longest.
    fn longest_rest(&self, sub: &Sub, limit: Option<&Range>, bits: u8) -> Option<Given> {
        let pieces = sub.pieces(limit);
        let fits = |rest: &&super::Rest| {
            let inside = |&(a, b): &(u128, u128)| a <= rest.first && rest.last <= b;
            rest.last - rest.first == end_of(0, bits)
                && rest.hold.is_none()
                && pieces.iter().any(inside)
        };
        let rest = self.net.resting_in(sub.id).filter(fits).min_by_key(|rest| rest.end)?;
        let (subnet, first, over) = (sub.id, rest.first, Over::Longest);
        Some(Given::New { subnet, first, bits, moves: false, random: false, over })
    }

    /// Candidates in order: the named ones, or all by family and prefix; IPv4 first.
    fn candidates(&self, family: Option<Family>) -> Vec<&Sub> {
        let listed: Vec<&Sub> = if self.extras.subnets.is_empty() {
            self.net.sorted()
        } else {
            self.extras.subnets.iter().filter_map(|id| self.net.sub(*id)).collect()
        };
        let mut all = Vec::new();
        for wanted in [Family::V4, Family::V6] {
            if family.is_none_or(|family| family == wanted) {
                all.extend(listed.iter().filter(|sub| sub.prefix.family() == wanted));
            }
        }
        all
    }

    fn automatically(&self, family: Option<Family>, slot: Slot) -> Verdict<Given> {
        let mut was_full = false;
        let mut resting = None;
        for sub in self.candidates(family) {
            let of = sub.prefix.family();
            let Some(bits) = self.bits(of).filter(|&bits| bits <= sub.prefix.host_bits()) else {
                continue;
            };
            let Ok(limit) = self.limit(of) else { continue };
            let touches = sub.pools.iter().any(|pool| limit.is_none_or(|l| l.overlaps(pool)));
            if sub.deleting || !touches {
                continue;
            }
            let strategy = match self.request.strategy {
                Strategy::Default => sub.strategy,
                named => named,
            };
            was_full = true;
            resting = resting.or_else(|| self.longest_rest(sub, limit, bits));
            if strategy == Strategy::Exact {
                continue;
            }
            let (net, owner) = (self.net, self.request.owner);
            if let Some(first) = net.chosen(sub, limit, strategy, bits, owner, slot) {
                let random = strategy == Strategy::Random;
                let moves = strategy == Strategy::Next;
                let over = Over::Free;
                return Ok(Given::New { subnet: sub.id, first, bits, moves, random, over });
            }
        }
        if let Some(given) = resting.filter(|_| self.request.flags.allow_resting) {
            return Ok(given);
        }
        no(if was_full { Status::EXHAUSTED } else { Status::NO_MATCHING_SUBNET })
    }
}
