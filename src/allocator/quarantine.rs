//! Quarantine: what is released rests before somebody else may have it, and who may have it meanwhile.
//! Reads no clock: the time is that of the request or slice at hand.
//!
//! Where an address rests it is taken, but nobody's: its key is free, and neither guests nor the
//! deletion of a subnet know it. The end of a rest follows from the time that its record names and
//! decides nothing: from it on the address counts as free, for whatever request comes across it. The
//! record that takes the row away comes later, from a job of bounded steps ([`Shard::step_rests`]), or
//! from that request.
//!
//! Source: docs/decisions/0025-quarantine.md.

use super::Shard;
use super::allocate::{Resting, Want};
use super::free_map::MapStore;
use super::ledger::KeyOf;
use super::pieces::{Part, Span};
use super::record::Record;
use super::refusal::{Refused, refuse, refuse_field, with};
use super::rests::{SubnetRests, Turn};
use super::shard::{At, count_block};
use super::subnet::{Subnet, last_of};
use crate::limits::{
    CHOICE_SUBNETS_MAX, RECORD_BYTES_MAX, REST_SLICE_OBJECTS, REST_SLICE_RECORD_BYTES_MAX,
};
use crate::model::{
    AllocationExtras, Effect, EffectSink, Family, OwnerId, Revision, Slot, Status, SubnetId, Text,
    Tick,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{AllocationState, Detail};
use std::net::IpAddr;
use uuid::Uuid;

/// Which rests besides its own a request may end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim {
    /// The token that it asks with. A hold that ran out rests for its own token, and for who asks with
    /// none: another token's transaction may fail yet, and would free what the first one confirms late.
    pub(super) token: Option<Uuid>,
    /// What anybody released.
    pub(super) anybodys: bool,
    /// Also what rests for a hold that ran out.
    pub(super) holds: bool,
}

impl Claim {
    /// Whether it may have what its own key had under a token, or under none.
    fn suits(&self, token: Option<Uuid>) -> bool {
        token.is_none() || self.token.is_none() || self.token == token
    }
}

impl Shard {
    /// When [`Shard::step_rests`] has something to do next.
    #[must_use]
    pub fn next_rest_end(&self) -> Option<Tick> {
        if !self.rests.prolonged.is_empty() {
            return Some(Tick(0));
        }
        self.rests.networks.first().map(|(end, _)| Tick(end))
    }

    /// Writes down what was prolonged, and takes away rests that have ended: `objects` at most; whether
    /// there may be more.
    pub fn step_rests(&mut self, at: &At, objects: usize, sink: &mut impl EffectSink) -> bool {
        self.set_time(at);
        self.act_for(None);
        let start = sink.bytes();
        for _ in 0..objects {
            // What is left of a hold has the texts that it had.
            if sink.bytes() - start > REST_SLICE_RECORD_BYTES_MAX - RECORD_BYTES_MAX {
                return true;
            }
            if let Some((handle, changed)) = self.rests.prolonged.pop() {
                self.commit_prolonged(handle, changed, sink);
                continue;
            }
            let due = self.rests.networks.first().filter(|(end, _)| *end <= self.now.0);
            let Some((_, network)) = due else { return false };
            let Some(handle) = self.first_due(network, &[], |_| true) else { return false };
            self.commit_free(handle, sink);
        }
        true
    }

    /// The clock is believed although it went far ahead: what rests goes on to rest for as long as it had
    /// left, so that a wrong clock ends none too early. [`Shard::step_rests`] writes it down.
    pub fn prolong_rests(&mut self, ms: u64) {
        let all: Vec<u32> = self.rests.all().collect();
        self.rests.prolonged.clear();
        for handle in all {
            let end = self.ledger.rest_end(self.ledger.at(handle)).saturating_add(ms);
            self.prolong_rest(handle, end);
        }
    }

    /// Nobody could confirm until now: what rests for a token rests until then at least.
    pub(super) fn keep_rests_of_holds(&mut self, until: Tick) {
        let is_short = |&handle: &u32| {
            let record = self.ledger.at(handle);
            self.ledger.rest_end(record) < until.0 && self.token_of(record).is_some()
        };
        let short: Vec<u32> = self.rests.all().filter(is_short).collect();
        for handle in short {
            self.prolong_rest(handle, until.0);
        }
    }

    fn prolong_rest(&mut self, handle: u32, end: u64) {
        self.note_rest(handle, false);
        self.ledger.set_rest_end(handle, end);
        self.note_rest(handle, true);
        self.rests.prolonged.push((handle, self.ledger.changed(self.ledger.at(handle))));
    }

    /// Pushes and absorbs the later end of a rest, if it is still that one.
    fn commit_prolonged(&mut self, handle: u32, changed: Revision, sink: &mut impl EffectSink) {
        let record = self.ledger.at(handle);
        if !record.is_live() || !record.rests() || self.ledger.changed(record) != changed {
            return;
        }
        let network = self.subnets.at(record.subnet).network;
        let mut row = self.ledger.row_of(&self.subnets, handle);
        row.changed = self.networks.at(network).next_revision();
        self.commit(&Effect::AllocationPut(row), sink);
    }

    /// Pushes and absorbs a release: the address rests, if those of its subnet do and the subnet stays.
    pub(super) fn commit_gone(&mut self, handle: u32, sink: &mut impl EffectSink) -> Revision {
        match self.rest_of(handle) {
            0 => self.commit_free(handle, sink),
            rest_ms => self.commit_rest(handle, rest_ms, sink),
        }
    }

    /// How long an allocation would rest if it was released, ms; 0 = not at all.
    pub(super) fn rest_of(&self, handle: u32) -> u64 {
        let record = self.ledger.at(handle);
        let subnet = self.subnets.at(record.subnet);
        if subnet.quarantine_ms == 0 || subnet.deleting || record.rests() {
            return 0;
        }
        if self.networks.at(subnet.network).deleting { 0 } else { subnet.quarantine_ms }
    }

    /// Of what rests no more is kept than who had it: texts of an owner that is gone serve nobody.
    fn commit_rest(&mut self, handle: u32, rest_ms: u64, sink: &mut impl EffectSink) -> Revision {
        let row = self.ledger.extras_row(self.ledger.at(handle));
        let project = row.and_then(|extras| extras.project);
        let quarantine_end = Some(self.now.0.saturating_add(rest_ms));
        let kept = AllocationExtras { project, quarantine_end, ..Default::default() };
        self.commit_resting(handle, kept, sink)
    }

    /// Pushes and absorbs that an address rests, and what is kept of who had it.
    pub(super) fn commit_resting(
        &mut self,
        handle: u32,
        kept: AllocationExtras,
        sink: &mut impl EffectSink,
    ) -> Revision {
        self.remember(handle);
        let mut row = self.ledger.row_of(&self.subnets, handle);
        let network = self.subnets.at(self.ledger.at(handle).subnet).network;
        let revision = self.networks.at(network).next_revision();
        row.changed = revision;
        row.state = AllocationState::Quarantined;
        row.extras = Some(Box::new(kept));
        self.commit(&Effect::AllocationPut(row), sink);
        revision
    }

    /// Counts a rest as there or gone, everywhere but in the ledger.
    pub(super) fn note_rest(&mut self, handle: u32, there: bool) {
        let record = self.ledger.at(handle);
        let (at, order, owner, slot) =
            (record.subnet, record.block_bits, record.owner(), record.slot);
        let offset = self.ledger.offset(record);
        let turn = (self.ledger.rest_end(record), self.ledger.changed(record).0, handle);
        let guest = self.ledger.extras_row(record).and_then(|row| row.project);
        let network = self.subnets.at(at).network;
        let key = self.key_for(network, guest, owner, slot);
        let hash = self.ledger.key_hash(owner, slot, key.key_salt);
        let account = self.account_of(network, guest);
        self.rests.note(hash, account, turn, there);
        self.count_resting(account, order, there);
        self.note_place(at, (offset, order), turn, there);
    }

    fn note_place(&mut self, at: u32, (offset, order): (u128, u8), turn: Turn, there: bool) {
        let subnet = self.subnets.at_mut(at);
        let network = self.networks.at_mut(subnet.network);
        let host_bits = subnet.host_bits;
        let rests = subnet.rests.get_or_insert_with(|| Box::new(SubnetRests::new(host_bits)));
        for map in [&mut subnet.map, &mut rests.map] {
            match there {
                true => map.take(&mut self.maps, offset, order),
                false => map.release(&mut self.maps, offset, order),
            }
        }
        let ends = rests.note(turn, there);
        let is_last = rests.count() == 0;
        let totals = network.totals_mut(subnet.family);
        let in_pools = if order == 0 {
            let part = subnet.pieces.count_single(offset, there);
            totals.count_single(part, there);
            u128::from(part != Part::Outside)
        } else {
            let parts = subnet.pieces.count(offset, last_of(offset, order), there);
            totals.count(&parts, there);
            count_block(subnet, order, there);
            let [open, excluded, pinned, _] = parts;
            open + excluded + pinned
        };
        totals.count_resting(in_pools, there);
        if subnet.bounds.is_passed(subnet.pieces.free()) {
            self.levels.note(at, &mut subnet.is_crossed);
        }
        subnet.counted = network.revision;
        let room = subnet.room_now(&self.maps);
        if room != subnet.room {
            subnet.room = room;
            network.set_room(subnet.key(at), room);
        }
        if is_last && let Some(rests) = subnet.rests.take() {
            rests.clear(&mut self.maps);
        }
        let of = network.rests.get_or_insert_default();
        of.count = if there { of.count + 1 } else { of.count - 1 };
        let ends = of.subnets.shift(at, ends);
        if of.subnets.is_empty() {
            network.rests = None;
        }
        let network = subnet.network;
        self.rests.networks.shift(network, ends);
    }

    /// Whether a rest has ended; what has is free.
    pub(super) fn has_rested(&self, record: &Record) -> bool {
        self.ledger.rest_end(record) <= self.now.0 && !is_planted(Bug::EndedRestNotFree)
    }

    /// Whether an address is taken only because it rests still.
    pub(super) fn still_rests(&self, record: &Record) -> bool {
        record.rests() && !self.has_rested(record)
    }

    /// The rest of a network that has ended first, if one has; of the named subnets if there are any, else
    /// of those of the families that do.
    ///
    /// Shape: looks at no more than [`CHOICE_SUBNETS_MAX`] subnets.
    fn first_due(
        &self,
        network: u32,
        named: &[SubnetId],
        takes: impl Fn(Family) -> bool,
    ) -> Option<u32> {
        let first = |at: u32| {
            let (_, _, handle) = self.subnets.at(at).rests.as_deref()?.first()?;
            self.has_rested(self.ledger.at(handle)).then_some(handle)
        };
        if named.is_empty() {
            let rests = self.networks.at(network).rests.as_deref()?;
            let due = rests.subnets.all().take(CHOICE_SUBNETS_MAX).map(|(_, subnet)| subnet);
            let mut of_families = due.filter(|&at| takes(self.subnets.at(at).family));
            return of_families.next().and_then(first);
        }
        named.iter().filter_map(|&id| self.find_subnet(network, id)).find_map(first)
    }

    /// Takes away what has rested of a network, or of named subnets, in which nothing else is free;
    /// whether anything was.
    pub(super) fn end_due(
        &mut self,
        network: u32,
        named: &[SubnetId],
        want: &Want,
        sink: &mut impl EffectSink,
    ) -> bool {
        let mut has_ended = false;
        while let Some(handle) = self.first_due(network, named, |family| want.takes(family)) {
            if !self.end_rest(handle, sink) {
                break;
            }
            has_ended = true;
        }
        has_ended
    }

    /// Whether something of a network, or of named subnets, has rested and is not free yet.
    pub(super) fn is_any_due(&self, network: u32, named: &[SubnetId], want: &Want) -> bool {
        self.first_due(network, named, |family| want.takes(family)).is_some()
    }

    /// Takes away what a project let go and what has rested; whether there is more of it.
    pub(super) fn end_due_of(&mut self, account: u32, sink: &mut impl EffectSink) -> bool {
        while let Some((end, handle)) = self.rests.first_of(account) {
            if end > self.now.0 || is_planted(Bug::EndedRestNotFree) {
                return false;
            }
            if !self.end_rest(handle, sink) {
                return true;
            }
        }
        false
    }

    /// Takes a rest away, unless the operation at hand has taken away [`REST_SLICE_OBJECTS`] already: so
    /// many have room among its records.
    fn end_rest(&mut self, handle: u32, sink: &mut impl EffectSink) -> bool {
        let Some(left) = self.rest_budget.checked_sub(1) else { return false };
        self.rest_budget = left;
        self.commit_free(handle, sink);
        true
    }

    /// Takes away rests that a request for a place comes across: what has rested, and if it tells of a
    /// holder, whatever rests there but in its very place.
    pub(super) fn end_rests_in(
        &mut self,
        at: u32,
        (first, last): Span,
        sink: &mut impl EffectSink,
    ) {
        let mut from = first;
        for _ in 0..REST_SLICE_OBJECTS {
            let Some(rests) = &self.subnets.at(at).rests else { return };
            let next = rests.map.next_taken(&self.maps, from).filter(|&next| next <= last);
            let Some(handle) = next.and_then(|next| self.find_covering(at, next)) else { return };
            let record = self.ledger.at(handle);
            let begin = self.ledger.offset(record);
            let end = last_of(begin, record.block_bits);
            let tells = (self.restoring || self.adopting) && (begin, end) != (first, last);
            if (tells || self.has_rested(record)) && !self.end_rest(handle, sink) {
                return;
            }
            let Some(next) = end.checked_add(1) else { return };
            from = next;
        }
    }

    /// What rests at exactly this place, if this request may have it: its own, or what its claim says.
    pub(super) fn resting_for(
        &self,
        at: u32,
        (offset, order): (u128, u8),
        key: &KeyOf,
        claim: &Claim,
    ) -> Option<u32> {
        self.subnets.at(at).rests.as_deref()?;
        let handle = self.ledger.find_at(at, offset)?;
        let record = self.ledger.at(handle);
        let is_there = self.still_rests(record) && record.block_bits == order;
        let is_own = record.owner() == key.owner
            && self.ledger.project_of(&self.subnets, record) == key.project;
        let token = self.token_of(record);
        let may = match token {
            None => is_own || claim.anybodys,
            Some(_) => claim.holds || (is_own && claim.suits(token)),
        };
        let may = may || is_planted(Bug::RestIgnored);
        (is_there && may).then_some(handle)
    }

    /// What a key let go last that rests still, if the claim suits it.
    pub(super) fn own_rest(
        &self,
        network: u32,
        key: (OwnerId, Slot),
        claim: &Claim,
    ) -> Option<u32> {
        self.rest_of_key(network, key, |token| claim.suits(token))
    }

    /// What a key had under a token that ran out, and what rests for that still.
    pub(super) fn rest_under_token(&self, network: u32, owner: OwnerId, slot: Slot) -> Option<u32> {
        self.rest_of_key(network, (owner, slot), |token| token.is_some())
    }

    /// What a key let go last that rests still, under a token that is wanted or under none.
    ///
    /// Shape: of what rests for the key it looks at the last [`REST_SLICE_OBJECTS`].
    fn rest_of_key(
        &self,
        network: u32,
        (owner, slot): (OwnerId, Slot),
        is_wanted: impl Fn(Option<Uuid>) -> bool,
    ) -> Option<u32> {
        self.networks.at(network).rests.as_deref()?;
        let key = self.key_of(network, owner, slot);
        let hash = self.ledger.key_hash(owner, slot, key.key_salt);
        self.rests.of_key(hash).take(REST_SLICE_OBJECTS).find(|&handle| {
            let record = self.ledger.at(handle);
            record.owner() == owner
                && record.slot == slot
                && self.subnets.at(record.subnet).network == network
                && self.ledger.project_of(&self.subnets, record) == key.project
                && is_wanted(self.token_of(record))
                && !self.has_rested(record)
        })
    }

    /// What rests longest in the part of a subnet that a request may draw from: the block of its size
    /// whose rest ends first. What rests for a hold that ran out is kept for it.
    ///
    /// Shape: looks at no more than `looks` of them, and takes those off.
    pub(super) fn longest_resting(
        &self,
        at: u32,
        span: Span,
        order: u8,
        looks: &mut usize,
    ) -> Option<Resting> {
        let subnet = self.subnets.at(at);
        let rests = subnet.rests.as_deref()?;
        rests.turns().take(*looks).find_map(|(_, _, handle)| {
            *looks -= 1;
            let record = self.ledger.at(handle);
            let first = self.ledger.offset(record);
            let last = last_of(first, record.block_bits);
            let is_inside = |(from, to): Span| from <= first && last <= to;
            let mut open = subnet.pieces.open_within(span);
            let fits = record.block_bits == order
                && self.token_of(record).is_none()
                && open.any(|piece| is_inside((piece.first, piece.last)));
            fits.then_some(Resting { handle, offset: first })
        })
    }

    /// When the next address of the pools that rests is free, ms from now; 0 = none rests.
    ///
    /// Shape: looks at no more than [`REST_SLICE_OBJECTS`] rests.
    pub(super) fn next_free_in_ms(&self, subnet: &Subnet) -> u64 {
        let Some(rests) = subnet.rests.as_deref() else { return 0 };
        let next = rests.turns().take(REST_SLICE_OBJECTS).find(|(_, _, handle)| {
            let record = self.ledger.at(*handle);
            let first = self.ledger.offset(record);
            let span = (first, last_of(first, record.block_bits));
            subnet.pieces.open_within(span).next().is_some()
        });
        next.map_or(0, |(end, _, _)| end.saturating_sub(self.now.0).max(1))
    }

    /// The exact address was released by somebody else and rests.
    #[cold]
    pub(super) fn address_resting(&self, record: u32, exact: &IpAddr) -> Refused {
        let left = self.time_left(self.ledger.at(record));
        let what = match self.token_of(self.ledger.at(record)) {
            None => "was released and rests",
            Some(_) => "was held under a token and is kept for that",
        };
        let message = format_args!("{exact} {what} for {left} ms more");
        let mut refused = refuse_field(Status::ADDRESS_RESTING, "exact", message);
        refused.retry_after_ms = retry_after(left);
        self.shown(refused, record)
    }

    /// Ended rests are being taken away, and there are more than one request does.
    #[cold]
    pub(super) fn rests_are_ending(&self) -> Refused {
        let message = format_args!(
            "more than {REST_SLICE_OBJECTS} addresses have rested and are made free in these moments"
        );
        let mut refused = refuse(Status::BUSY, message);
        refused.retry_after_ms = 1;
        match Text::new("REST_SLICE_OBJECTS") {
            Ok(name) => with(refused, Detail::Bound { name }),
            Err(_) => refused,
        }
    }

    /// Everything about rests, counted afresh, for `check`.
    pub(super) fn check_rests(&self, found: &mut Vec<String>) {
        let resting = |at: &u32| self.ledger.at(*at).rests();
        let count = self.ledger.live().filter(resting).count() as u64;
        let of_networks: u64 = self.networks.iter().map(|(_, network)| network.resting()).sum();
        let of_subnets: u64 = self.subnets.iter().map(|(_, subnet)| subnet.resting()).sum();
        if [self.resting(), of_networks, of_subnets] != [count; 3] {
            found.push(format!("{count} rests are counted otherwise"));
        }
        for (at, network) in self.networks.iter() {
            let subnets = self.subnets.iter().filter(|(_, subnet)| subnet.network == at);
            let first = |subnet: &Subnet| Some(subnet.rests.as_deref()?.first()?.0);
            let first = subnets.filter_map(|(_, subnet)| first(subnet)).min();
            let noted = network.rests.as_deref().and_then(|rests| rests.subnets.first());
            if noted.map(|(end, _)| end) != first {
                found.push(format!("network {}: the first rest is another", network.id));
            }
        }
    }

    /// What rests in a subnet as its map has it, for `check`.
    pub(super) fn is_rest_noted(&self, at: u32, handle: u32) -> bool {
        let record = self.ledger.at(handle);
        let offset = self.ledger.offset(record);
        let rests = self.subnets.at(at).rests.as_deref();
        let has = rests.is_some_and(|rests| {
            rests.map.count(&self.maps, offset, last_of(offset, record.block_bits)) > 0
        });
        has == record.rests()
    }
}

/// Addresses that rest in the pools of a subnet.
pub(super) fn resting_in_pools(subnet: &Subnet, store: &MapStore) -> u128 {
    let Some(rests) = subnet.rests.as_deref() else { return 0 };
    let pieces = subnet.pieces.all().iter();
    pieces.map(|piece| rests.map.count(store, piece.first, piece.last)).sum()
}

/// A time left as advice when to try again.
pub(super) fn retry_after(left_ms: u64) -> u32 {
    u32::try_from(left_ms).unwrap_or(u32::MAX)
}
