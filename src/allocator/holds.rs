//! Holds: what an allocate reserved under a token, until it is confirmed, cancelled, or runs out. Reads
//! no clock: the time is that of the request at hand.
//!
//! A hold is an allocation in the state `held`, with its token and its end beside it. Confirming keeps
//! its revision and forgets the token, so that no table of finished tokens is needed: token and revision
//! say which hold is meant, the revision alone says that it was confirmed. A hold that runs out rests
//! with all that it had, and whoever confirms it late takes it back.
//!
//! A held release is a token and a time beside an allocation, which stays its owner's. Nothing happens when
//! the time is over: the token then counts for nothing.
//!
//! Source: docs/decisions/0026-holds.md.

use super::Shard;
use super::allocate::owner_text;
use super::free_map::{FreeMap, MapStore};
use super::ledger::KeyOf;
use super::quarantine::retry_after;
use super::record::Record;
use super::refusal::{Refused, refuse, refuse_field, with};
use super::release::no_fence;
use super::subnet::{Subnet, last_of};
use crate::limits::{HOLD_REST_MS, OPEN_HOLDS_MAX, RESTING_LOOKS_MAX};
use crate::model::{AllocationExtras, EffectSink, Revision, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::hold::{HOLD_MS_DEFAULT, HOLD_MS_MAX, HOLD_MS_MIN};
use addrd_protocol::message::release::Target;
use addrd_protocol::message::{AllocationState, Detail, HoldEnd, HoldEnded, HoldRelease};
use uuid::Uuid;

/// Which addresses of a subnet are held.
#[derive(Debug)]
pub(super) struct SubnetHolds {
    /// All of them are taken in the map of the subnet too.
    pub(super) map: FreeMap,
    count: u64,
}

/// Where a hold is that a request names.
enum Place {
    /// Its key or address has something live.
    Live(u32),
    /// It ran out, and its address rests for it.
    Rests(u32),
    Nowhere,
}

impl Shard {
    /// Open holds.
    #[must_use]
    pub const fn holds(&self) -> u64 {
        self.holds
    }

    /// Makes a hold an allocation; its revision stays.
    pub(super) fn hold_confirm(
        &mut self,
        network: u32,
        request: &HoldEnd,
        sink: &mut impl EffectSink,
    ) -> Result<Option<HoldEnded>, Refused> {
        if request.release {
            return self.confirm_release(network, request, sink);
        }
        let at = match self.place_of(network, request)? {
            Place::Live(at) => at,
            Place::Rests(at) => return self.take_back_hold(network, at, sink).map(Some),
            Place::Nowhere => return Err(hold_over("nothing is held there")),
        };
        self.check_own(at)?;
        let record = self.ledger.at(at);
        if record.revision != request.revision {
            return Err(self.stale(at, "revision"));
        }
        let late = self.is_over(record);
        if record.state() == AllocationState::Allocated {
            // A lease of what was confirmed may have ended since.
            return match late {
                true => Err(hold_over("what was confirmed has ended since")),
                false => {
                    self.note_alive(at);
                    Ok(Some(HoldEnded { repeated: true, ..self.hold_ended(at, false) }))
                }
            };
        }
        self.check_token(at, Some(request.token), "token")?;
        let mut row = self.ledger.row_of(&self.subnets, at);
        row.changed = self.networks.at(network).next_revision();
        row.state = AllocationState::Allocated;
        row.extras = self.confirmed_following(network, confirmed(row.extras));
        self.commit_changed(at, row, sink);
        Ok(Some(self.hold_ended(at, late)))
    }

    /// Rare fields of what is confirmed: if it is to follow its host, then the life that the host has by now. Its caller has
    /// committed already, so without a lease it follows nothing.
    fn confirmed_following(
        &self,
        network: u32,
        mut extras: Option<Box<AllocationExtras>>,
    ) -> Option<Box<AllocationExtras>> {
        if let Some(extras) = extras.as_mut().filter(|extras| extras.follows.is_some()) {
            let place = (extras.manager.as_ref(), extras.host.as_ref());
            extras.follows = self.life_to_follow(self.project_asking(network), place).ok();
        }
        extras
    }

    /// Ends a hold and frees its address at once; `None` = there is none any more.
    pub(super) fn hold_cancel(
        &mut self,
        network: u32,
        request: &HoldEnd,
        sink: &mut impl EffectSink,
    ) -> Result<Option<HoldEnded>, Refused> {
        if request.release {
            return self.cancel_release(network, request, sink).map(Some);
        }
        let (at, late) = match self.place_of(network, request)? {
            Place::Live(at) => (at, false),
            Place::Rests(at) => (at, true),
            Place::Nowhere => return Ok(None),
        };
        if !late {
            self.check_own(at)?;
            let record = self.ledger.at(at);
            let is_held = record.state() == AllocationState::Held;
            if record.revision != request.revision {
                // What has another revision and another token is none of this hold's business.
                return match is_held && self.token_of(record) == Some(request.token) {
                    true => Err(self.stale(at, "revision")),
                    false => Ok(None),
                };
            }
            if !is_held && !is_planted(Bug::ConfirmedCancelled) {
                return Err(self.no_hold_any_more(at));
            }
            if is_held {
                self.check_token(at, Some(request.token), "token")?;
            }
        }
        let ended = self.hold_ended(at, late);
        let state = self.commit_given_back(at, sink);
        Ok(Some(HoldEnded { state, ..ended }))
    }

    /// Holds a release: what is held stays its owner's until that is confirmed. `None` = nothing is held.
    pub(super) fn hold_release(
        &mut self,
        network: u32,
        request: &HoldRelease,
        sink: &mut impl EffectSink,
    ) -> Result<Option<HoldEnded>, Refused> {
        let hold_ms = request.hold_ms.unwrap_or(HOLD_MS_DEFAULT);
        check_hold(hold_ms)?;
        if matches!(request.target, Target::Address(_)) && request.fences.is_empty() {
            return Err(no_fence(""));
        }
        let Some(at) = self.find_target(network, &request.target)? else { return Ok(None) };
        self.check_own(at)?;
        if self.end_if_over(at, sink) {
            return Ok(None);
        }
        self.check_fences(at, &request.fences)?;
        self.check_token(at, Some(request.token), "token")?;
        let record = self.ledger.at(at);
        if record.state() == AllocationState::Held {
            // What a transaction took and gives back is nobody's, however it ends.
            let ended = self.hold_ended(at, false);
            let state = self.commit_given_back(at, sink);
            return Ok(Some(HoldEnded { state, ..ended }));
        }
        if self.release_token(record).is_some() {
            return Ok(Some(HoldEnded { repeated: true, ..self.hold_ended(at, false) }));
        }
        let end = self.deadline_of(hold_ms);
        let mut row = self.ledger.row_of(&self.subnets, at);
        row.changed = self.networks.at(network).next_revision();
        let extras = row.extras.get_or_insert_default();
        (extras.token, extras.quarantine_end) = (Some(request.token), Some(end));
        self.commit_changed(at, row, sink);
        Ok(Some(self.hold_ended(at, false)))
    }

    /// Carries a held release out; `None` = nothing is held at that revision any more.
    fn confirm_release(
        &mut self,
        network: u32,
        request: &HoldEnd,
        sink: &mut impl EffectSink,
    ) -> Result<Option<HoldEnded>, Refused> {
        let Some(at) = self.released_at(network, request)? else { return Ok(None) };
        self.check_own(at)?;
        if self.end_if_over(at, sink) {
            return Ok(None);
        }
        self.check_token(at, Some(request.token), "token")?;
        if self.release_token(self.ledger.at(at)).is_none()
            && !is_planted(Bug::LateReleaseConfirmed)
        {
            return Err(hold_over("nobody confirmed in time that it is released"));
        }
        let ended = self.hold_ended(at, false);
        let state = match self.rest_of(at) {
            0 => AllocationState::Free,
            _ => AllocationState::Quarantined,
        };
        self.commit_gone(at, sink);
        Ok(Some(HoldEnded { state, ..ended }))
    }

    /// Leaves to its owner what was to be released.
    fn cancel_release(
        &mut self,
        network: u32,
        request: &HoldEnd,
        sink: &mut impl EffectSink,
    ) -> Result<HoldEnded, Refused> {
        let found = self.released_at(network, request)?;
        let at = found.ok_or_else(|| hold_over("nothing is held there at that revision"))?;
        self.check_own(at)?;
        self.check_token(at, Some(request.token), "token")?;
        let record = self.ledger.at(at);
        if record.state() != AllocationState::Allocated || self.is_over(record) {
            return Err(hold_over("nothing is allocated there any more"));
        }
        let repeated = self.token_of(record).is_none();
        if !repeated {
            self.commit_kept(at, sink);
        }
        Ok(HoldEnded { repeated, ..self.hold_ended(at, false) })
    }

    /// What is live at the revision that a request about a release names.
    fn released_at(&self, network: u32, request: &HoldEnd) -> Result<Option<u32>, Refused> {
        let found = self.find_target(network, &request.target)?;
        Ok(found.filter(|&at| self.ledger.at(at).revision == request.revision))
    }

    /// Pushes and absorbs that an allocation is not released.
    pub(super) fn commit_kept(&mut self, at: u32, sink: &mut impl EffectSink) {
        let network = self.subnets.at(self.ledger.at(at).subnet).network;
        let mut row = self.ledger.row_of(&self.subnets, at);
        row.changed = self.networks.at(network).next_revision();
        row.extras = kept(row.extras);
        self.commit_changed(at, row, sink);
    }

    /// The token under which an allocation is to be released, while that can be confirmed.
    pub(super) fn release_token(&self, record: &Record) -> Option<Uuid> {
        let is_live = record.state() == AllocationState::Allocated;
        let end = if is_live { self.ledger.rest_end(record) } else { 0 };
        if end > self.now.0 { self.token_of(record) } else { None }
    }

    /// A hold ran out, and its address is still there for it.
    fn take_back_hold(
        &mut self,
        network: u32,
        at: u32,
        sink: &mut impl EffectSink,
    ) -> Result<HoldEnded, Refused> {
        let record = self.ledger.at(at);
        let (subnet, offset) = (record.subnet, self.ledger.offset(record));
        let (owner, slot, order) = (record.owner(), record.slot, record.block_bits);
        if self.subnets.at(subnet).deleting || self.networks.at(network).deleting {
            return Err(refuse(Status::DELETING, format_args!("the subnet is being deleted")));
        }
        let key = self.key_of(network, owner, slot);
        let held = self.ledger.find_key(&self.subnets, &key);
        if let Some(held) = held
            && !self.end_if_over(held, sink)
        {
            return Err(self.key_taken_since(held));
        }
        let last = last_of(offset, order);
        if self.is_pinned_for_other(subnet, (offset, last), owner, slot) {
            let address = self.subnets.at(subnet).address(offset);
            return Err(super::pins::pinned(&address, "target"));
        }
        let mut row = self.ledger.row_of(&self.subnets, at);
        row.extras = self.confirmed_following(network, confirmed(row.extras));
        self.pay_for(network, [order].into_iter())?;
        row.changed = self.networks.at(network).next_revision();
        row.state = AllocationState::Allocated;
        if is_planted(Bug::LateConfirmRenumbers) {
            row.revision = row.changed;
        }
        self.commit_changed(at, row, sink);
        let at = self.ledger.find_at(subnet, offset).expect("what was put is there");
        Ok(self.hold_ended(at, true))
    }

    /// Where the hold is that a request names.
    ///
    /// Shape: of what rests for a key, it looks at the last [`RESTING_LOOKS_MAX`]; by address at one.
    fn place_of(&self, network: u32, request: &HoldEnd) -> Result<Place, Refused> {
        let live = self.find_target(network, &request.target)?;
        let is_it = |&at: &u32| self.ledger.at(at).revision == request.revision;
        if let Some(at) = live.filter(is_it) {
            return Ok(Place::Live(at));
        }
        let resting = match &request.target {
            Target::Key { owner, slot } => {
                let key = self.key_of(network, *owner, *slot);
                let hash = self.ledger.key_hash(*owner, *slot, key.key_salt);
                let mut of_key = self.rests.of_key(hash).take(RESTING_LOOKS_MAX);
                of_key.find(|&at| self.keeps(at, &key) && self.rests_for(at, request))
            }
            Target::Address(address) => {
                let subnet = self.find_subnet_with(network, address);
                subnet.and_then(|subnet| {
                    let offset = self.subnets.at(subnet).row.prefix.offset_of(address)?;
                    let found = self.ledger.find_at(subnet, offset)?;
                    (self.is_own(self.ledger.at(found)) && self.rests_for(found, request))
                        .then_some(found)
                })
            }
        };
        Ok(match (resting, live) {
            (Some(at), _) => Place::Rests(at),
            (None, Some(at)) => Place::Live(at),
            (None, None) => Place::Nowhere,
        })
    }

    /// Whether something rests that a key had.
    fn keeps(&self, at: u32, key: &KeyOf) -> bool {
        let record = self.ledger.at(at);
        record.owner() == key.owner
            && record.slot == key.slot
            && self.subnets.at(record.subnet).network == key.network
            && self.ledger.project_of(&self.subnets, record) == key.project
    }

    /// Whether something rests for the hold that a request names.
    fn rests_for(&self, at: u32, request: &HoldEnd) -> bool {
        let record = self.ledger.at(at);
        self.still_rests(record)
            && record.revision == request.revision
            && self.token_of(record) == Some(request.token)
    }

    /// The token under which something is held, or was when it ran out.
    pub(super) fn token_of(&self, record: &Record) -> Option<Uuid> {
        self.ledger.extras_row(record)?.token
    }

    /// Refuses what has another token than that under which something is held, or is to be released.
    pub(super) fn check_token(
        &self,
        at: u32,
        token: Option<Uuid>,
        field: &str,
    ) -> Result<(), Refused> {
        let record = self.ledger.at(at);
        let own = match record.state() {
            AllocationState::Held => self.token_of(record),
            _ => self.release_token(record),
        };
        if own.is_none() || own == token || is_planted(Bug::TokenNotCompared) {
            return Ok(());
        }
        Err(self.other_token(at, field))
    }

    #[cold]
    fn other_token(&self, at: u32, field: &str) -> Refused {
        let record = self.ledger.at(at);
        let (what, left) = match record.state() {
            AllocationState::Held => ("held", self.time_left(record)),
            _ => {
                let end = self.ledger.rest_end(record);
                ("about to be released", end.saturating_sub(self.now.0).max(1))
            }
        };
        let (owner, slot) = (owner_text(record.owner()), record.slot.0);
        let message = format_args!(
            "slot {slot} of owner {owner} is {what} under another token for {left} ms more, unless that is \
             confirmed"
        );
        let mut refused = refuse_field(Status::OTHER_TOKEN, field, message);
        refused.retry_after_ms = retry_after(left);
        self.shown(refused, at)
    }

    #[cold]
    fn no_hold_any_more(&self, at: u32) -> Refused {
        let message = format_args!("it was confirmed, so only a release frees it");
        self.shown(refuse_field(Status::HOLD_CONFIRMED, "revision", message), at)
    }

    #[cold]
    fn key_taken_since(&self, held: u32) -> Refused {
        let record = self.ledger.at(held);
        let message = format_args!(
            "the hold had run out, and slot {} of owner {} holds another address since",
            record.slot.0,
            owner_text(record.owner()),
        );
        self.shown(refuse_field(Status::KEY_IN_USE, "target", message), held)
    }

    /// An allocation as the reply to its confirmation.
    fn hold_ended(&self, at: u32, late: bool) -> HoldEnded {
        let record = self.ledger.at(at);
        let subnet = self.subnets.at(record.subnet);
        HoldEnded {
            address: subnet.address(self.ledger.offset(record)),
            length: subnet.family.bits() - record.block_bits,
            revision: record.revision,
            state: record.state(),
            repeated: false,
            late,
        }
    }

    /// Until when what a hold takes out of its rest would have rested, since it rests on if that is cancelled.
    /// What rested for a token nobody had used.
    pub(super) fn rest_to_go_on(&self, handle: u32) -> Option<u64> {
        let record = self.ledger.at(handle);
        let goes_on = self.still_rests(record) && self.token_of(record).is_none();
        goes_on.then(|| self.ledger.rest_end(record))
    }

    /// Ends a hold whose address nobody has used: it is free, or rests on as it did before; which of both.
    fn commit_given_back(&mut self, at: u32, sink: &mut impl EffectSink) -> AllocationState {
        let record = self.ledger.at(at);
        let end = self.ledger.rest_end(record);
        let subnet = self.subnets.at(record.subnet);
        let stays = !subnet.deleting && !self.networks.at(subnet.network).deleting;
        if record.state() != AllocationState::Held || end <= self.now.0 || !stays {
            self.commit_free(at, sink);
            return AllocationState::Free;
        }
        let project = self.ledger.extras_row(record).and_then(|row| row.project);
        let kept = AllocationExtras { project, quarantine_end: Some(end), ..Default::default() };
        self.commit_resting(at, kept, sink);
        AllocationState::Quarantined
    }

    /// Ends what is over: a lease is released, a hold rests, for 10 minutes at least, with all that it
    /// had, so that whoever confirms it late takes it back.
    pub(super) fn commit_ended(&mut self, handle: u32, sink: &mut impl EffectSink) -> Revision {
        let record = self.ledger.at(handle);
        if record.state() != AllocationState::Held || is_planted(Bug::HoldRunsOutFree) {
            return self.commit_gone(handle, sink);
        }
        let subnet = self.subnets.at(record.subnet);
        if subnet.deleting || self.networks.at(subnet.network).deleting {
            return self.commit_free(handle, sink);
        }
        let mut extras = self.ledger.extras_row(record).cloned().unwrap_or_default();
        let rest_ms = subnet.quarantine_ms.max(HOLD_REST_MS);
        let end = self.now.0.saturating_add(rest_ms);
        extras.quarantine_end = Some(end.max(self.ledger.rest_end(record)));
        self.commit_resting(handle, extras, sink)
    }

    /// Refuses a hold to a project that has as many as it may.
    pub(super) fn check_hold_limit(&self, network: u32, more: u64) -> Result<(), Refused> {
        let held = self.held_by_project(network);
        let value = u128::from(held.saturating_add(more));
        let most = u128::from(OPEN_HOLDS_MAX);
        if value <= most || self.restoring {
            return Ok(());
        }
        let message = format_args!(
            "the project would have {value} open holds on the networks of a worker; {most} is the most"
        );
        let refused = refuse_field(Status::HOLD_LIMIT, "hold_token", message);
        Err(with(refused, Detail::Bounds { value, least: 0, most }))
    }

    /// Counts a hold as there or gone, everywhere but in the ledger.
    pub(super) fn note_hold(&mut self, handle: u32, there: bool) {
        let record = self.ledger.at(handle);
        let (at, order) = (record.subnet, record.block_bits);
        let offset = self.ledger.offset(record);
        let guest = self.ledger.extras_row(record).and_then(|row| row.project);
        let subnet = self.subnets.at_mut(at);
        let network = self.networks.at_mut(subnet.network);
        let host_bits = subnet.host_bits;
        let holds = subnet.holds.get_or_insert_with(|| {
            Box::new(SubnetHolds { map: FreeMap::new(host_bits), count: 0 })
        });
        match there {
            true => holds.map.take(&mut self.maps, offset, order),
            false => holds.map.release(&mut self.maps, offset, order),
        }
        holds.count = if there { holds.count + 1 } else { holds.count - 1 };
        let is_last = holds.count == 0;
        let in_pools = subnet.pieces.overlap(offset, last_of(offset, order));
        network.totals_mut(subnet.family).count_held(in_pools, there);
        subnet.counted = network.revision;
        if is_last && let Some(mut holds) = subnet.holds.take() {
            holds.map.clear(&mut self.maps);
        }
        self.holds = if there { self.holds + 1 } else { self.holds - 1 };
        let network = subnet.network;
        let account = self.account_of(network, guest);
        self.count_held(account, there);
    }

    /// Everything about holds, counted afresh, for `check`.
    pub(super) fn check_holds(&self, found: &mut Vec<String>) {
        let is_held = |at: &u32| self.ledger.at(*at).state() == AllocationState::Held;
        let held = self.ledger.live().filter(is_held);
        let mut count = 0;
        for handle in held {
            count += 1;
            let record = self.ledger.at(handle);
            let (offset, order) = (self.ledger.offset(record), record.block_bits);
            let (last, subnet) = (last_of(offset, order), self.subnets.at(record.subnet));
            let noted = subnet.holds.as_deref();
            let noted = noted.map_or(0, |holds| holds.map.count(&self.maps, offset, last));
            let has_end = self.ledger.lease_end(record).is_some();
            if noted != last - offset + 1 || !has_end || self.token_of(record).is_none() {
                found.push(format!("a hold of owner {} is not whole", record.owner()));
            }
        }
        let of_subnets = self.subnets.iter().filter_map(|(_, subnet)| subnet.holds.as_deref());
        if [self.holds, of_subnets.map(|holds| holds.count).sum()] != [count; 2] {
            found.push(format!("{count} holds are counted otherwise"));
        }
    }
}

/// Addresses that are held in the pools of a subnet.
pub(super) fn held_in_pools(subnet: &Subnet, store: &MapStore) -> u128 {
    let Some(holds) = subnet.holds.as_deref() else { return 0 };
    let pieces = subnet.pieces.all().iter();
    pieces.map(|piece| holds.map.count(store, piece.first, piece.last)).sum()
}

/// Refuses a duration out of range.
pub(super) fn check_hold(hold_ms: u64) -> Result<(), Refused> {
    if (HOLD_MS_MIN..=HOLD_MS_MAX).contains(&hold_ms) {
        return Ok(());
    }
    let (least, most) = (HOLD_MS_MIN.into(), HOLD_MS_MAX.into());
    Err(super::refusal::out_of_range("hold_ms", hold_ms.into(), least, most))
}

/// Rare fields without what only a held release has.
pub(super) fn kept(extras: Option<Box<AllocationExtras>>) -> Option<Box<AllocationExtras>> {
    let mut extras = extras?;
    (extras.token, extras.item, extras.quarantine_end) = (None, None, None);
    (*extras != AllocationExtras::default()).then_some(extras)
}

/// Rare fields without what only a hold has.
pub(super) fn confirmed(extras: Option<Box<AllocationExtras>>) -> Option<Box<AllocationExtras>> {
    let mut extras = extras?;
    (extras.token, extras.item) = (None, None);
    (extras.deadline, extras.quarantine_end) = (None, None);
    (*extras != AllocationExtras::default()).then_some(extras)
}

#[cold]
fn hold_over(what: &str) -> Refused {
    refuse(
        Status::HOLD_OVER,
        format_args!("{what}: the hold is over, and was not confirmed in time"),
    )
}
