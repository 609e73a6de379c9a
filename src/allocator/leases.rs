//! Leases: time left, renewals, and the job that ends what is over. Reads no clock: the time is that
//! of the request or slice at hand.
//!
//! An address is free only once the effect that ends its lease is absorbed, so it can't be handed
//! out before the end is journalled. From its deadline on a lease counts as ended even if no effect
//! says so yet: it is not shown, and can't be renewed.

use super::Shard;
use super::leniency::is_gap;
use super::record::Record;
use super::refusal::{Refused, limit, out_of_range, refuse};
use super::release::no_fence;
use super::shard::At;
use super::slab::NIL;
use super::undo::Savepoint;
use crate::limits::{
    CLOCK_JUMP_MS_MAX, EXPIRY_SLICE_RECORD_BYTES_MAX, HAND_OVER_RECORD_BYTES_MAX, LIST_OBJECTS_MAX,
    RECORD_BYTES_MAX, REST_SLICE_OBJECTS,
};
use crate::model::{EffectSink, Instance, ProjectId, Revision, Status, Tick, Unasked};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::release::Target;
use addrd_protocol::message::renew::{LEASE_MS_MAX, LEASE_MS_MIN, RENEW_OWNER_MAX};
use addrd_protocol::message::{AllocationState, Renew, RenewOwner, Renewed, RenewedOwner};

/// What has become of one allocation of an owner.
enum Case {
    Renewed,
    Endless,
    Expired,
    Stale,
}

impl Shard {
    /// The time of the request or slice at hand. Whoever could not renew because the server stood still
    /// keeps its lease.
    #[inline]
    pub(super) fn set_time(&mut self, at: &At) {
        if is_gap(self.now, at.tick) {
            self.notice_gap(at.tick.since(self.now), at.tick);
            self.forget_marks();
        }
        self.rest_budget = REST_SLICE_OBJECTS;
        self.now = at.tick;
        self.incarnation = at.incarnation;
    }

    #[cold]
    fn notice_gap(&mut self, gap_ms: u64, now: Tick) {
        self.grant_restart_grace(now);
        if gap_ms > CLOCK_JUMP_MS_MAX {
            self.prolong_rests(gap_ms);
        }
    }

    /// A reading of the clock without a request, and when a renewal was refused last for want of room.
    ///
    /// Concurrency: must come at least every [`crate::limits::CLOCK_GAP_MS_MAX`] while there are leases,
    /// else the next one is taken for the end of a standstill.
    pub fn notice_time(&mut self, at: &At, refused: Tick) {
        self.set_time(at);
        if let Some(until) = self.leniency.excuse(at.tick, refused) {
            self.grant_grace(until);
        }
    }

    /// From now on no lease ends, until it is told otherwise: the clock is in doubt.
    pub const fn stop_expiry(&mut self, stopped: bool) {
        self.expiry_stopped = stopped;
    }

    /// How long leases go on at least after a time in which nobody could renew, ms.
    pub const fn set_restart_grace(&mut self, ms: u64) {
        self.restart_grace_ms = ms;
    }

    /// Until now nobody could renew: what has a lease keeps it for the restart grace at least, and what ran out
    /// under a token can be confirmed for so long.
    pub fn grant_restart_grace(&mut self, now: Tick) {
        let until = Tick(now.0.saturating_add(self.restart_grace_ms));
        self.grant_grace(until);
        self.keep_rests_of_holds(until);
    }

    /// What has a lease by now keeps it at least until then.
    pub fn grant_grace(&mut self, until: Tick) {
        self.ledger.deadlines.grant(until.0);
        self.ledger.hosts.terms.grant(until.0);
    }

    /// Live allocations that have a lease.
    #[must_use]
    pub fn leases(&self) -> u64 {
        self.ledger.deadlines.count() as u64
    }

    /// When [`Shard::step_expiry`] has something to look at next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Tick> {
        let first = self.ledger.deadlines.first().map(|(at, _)| Tick(at));
        let next = first.into_iter().chain(self.next_host_end()).min();
        next.filter(|_| !self.ends_no_lease())
    }

    /// Ends leases that are over, of at most `objects` that it looks at; whether there may be more.
    pub fn step_expiry(&mut self, at: &At, objects: usize, sink: &mut impl EffectSink) -> bool {
        self.set_time(at);
        self.act_for(None);
        let start = sink.bytes();
        for _ in 0..objects {
            // What is left of a hold has the texts that it had.
            if sink.bytes() - start > EXPIRY_SLICE_RECORD_BYTES_MAX - RECORD_BYTES_MAX {
                return true;
            }
            if self.ends_no_lease() {
                return false;
            }
            let own = self.ledger.deadlines.first().filter(|(end, _)| *end <= at.tick.0);
            let Some((_, handle)) = own else {
                if self.step_host(sink) {
                    continue;
                }
                return false;
            };
            if self.is_over(self.ledger.at(handle)) {
                self.commit_ended(handle, sink);
                self.ended += 1;
            } else {
                self.ledger.move_deadline(handle);
            }
        }
        true
    }

    /// Whether the lease of an allocation has ended.
    #[inline]
    pub(super) fn is_over(&self, record: &Record) -> bool {
        record.extras != NIL && self.end_of(record).is_some_and(|end| end <= self.now.0)
    }

    /// When the lease of an allocation ends, ms since the Unix epoch; `None` = never, or nobody knows
    /// since the clock is in doubt and its time is over.
    fn end_of(&self, record: &Record) -> Option<u64> {
        let end = self.ledger.lease_end(record)?;
        (!self.ends_no_lease() || end > self.now.0).then_some(end)
    }

    /// The clock is in doubt, or who holds what is.
    pub(super) const fn ends_no_lease(&self) -> bool {
        self.expiry_stopped || self.adopting
    }

    /// Time left of a lease or a rest, ms; 0 = it has none.
    pub(super) fn time_left(&self, record: &Record) -> u64 {
        if record.rests() {
            return self.ledger.rest_end(record).saturating_sub(self.now.0).max(1);
        }
        // What goes on only because the clock is in doubt has no time left, but 0 would say: for ever.
        let end = self.ledger.lease_end(record);
        end.map_or(0, |end| end.saturating_sub(self.now.0).max(1))
    }

    /// Ends the lease of what a request comes across, if it is over; whether it was. A hold is left to
    /// [`Shard::step_expiry`]: it would rest for its token, and be free for nobody.
    pub(super) fn end_if_over(&mut self, handle: u32, sink: &mut impl EffectSink) -> bool {
        let record = self.ledger.at(handle);
        let is_over = self.is_over(record) && record.state() != AllocationState::Held;
        if is_over {
            // Whoever comes across it didn't end it.
            self.commit_gone(handle, &mut Unasked(sink));
        }
        is_over
    }

    /// The deadline of a lease that begins now.
    pub(super) const fn deadline_of(&self, lease_ms: u64) -> u64 {
        self.now.0.saturating_add(lease_ms)
    }

    /// Renews one lease.
    pub(super) fn renew(
        &mut self,
        network: u32,
        request: &Renew,
        sink: &mut impl EffectSink,
    ) -> Result<Renewed, Refused> {
        check_lease(request.lease_ms)?;
        if matches!(request.target, Target::Address(_)) && request.fences.is_empty() {
            return Err(no_fence(""));
        }
        let found = self.find_target(network, &request.target)?;
        let at = found.ok_or_else(|| expired("nothing is held there any more"))?;
        self.check_own(at)?;
        self.check_fences(at, &request.fences)?;
        if self.is_over(self.ledger.at(at)) && !is_planted(Bug::RenewedTooLate) {
            return Err(expired("its lease has ended"));
        }
        if !self.prolong(network, at, request.lease_ms, sink) {
            self.note_alive(at);
        }
        let record = self.ledger.at(at);
        let subnet = self.subnets.at(record.subnet);
        Ok(Renewed {
            address: subnet.address(self.ledger.offset(record)),
            length: subnet.family.bits() - record.block_bits,
            revision: record.revision,
            time_left_ms: self.time_left(record),
        })
    }

    /// Renews what an owner has in a network. Nothing has changed if it is refused.
    ///
    /// Shape: a look at each allocation of the owner in all networks of the project here, at most
    /// [`LIST_OBJECTS_MAX`].
    pub(super) fn renew_owner(
        &mut self,
        network: u32,
        request: &RenewOwner,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedOwner, Refused> {
        check_lease(request.lease_ms)?;
        let start = sink.bytes();
        let savepoint = self.begin_undo(network);
        let outcome = self.renew_all(network, request, sink);
        if outcome.is_ok() {
            self.end_undo(savepoint);
        } else {
            self.take_back(savepoint);
            sink.truncate(start);
        }
        outcome
    }

    /// Renews what an owner has in all networks here. Nothing has changed if it is refused.
    ///
    /// Shape: a look at each allocation of the owner, at most [`RENEW_OWNER_MAX`].
    pub(super) fn renew_everywhere(
        &mut self,
        project: ProjectId,
        request: &RenewOwner,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedOwner, Refused> {
        check_lease(request.lease_ms)?;
        let salt = self.owner_salt(project);
        let home = self.ledger.find_owner(&self.subnets, project, salt, request.owner);
        let ring = home.into_iter().flat_map(|home| self.ledger.ring(home));
        let network_of = |at| self.subnets.at(self.ledger.at(at).subnet).network;
        let mut found: Vec<(u32, u32)> =
            ring.take(RENEW_OWNER_MAX + 1).map(|at| (network_of(at), at)).collect();
        if found.len() > RENEW_OWNER_MAX {
            let most = RENEW_OWNER_MAX as u128;
            return Err(limit("RENEW_OWNER_MAX", found.len() as u128, most));
        }
        found.sort_unstable();
        let start = sink.bytes();
        let mut savepoints = Vec::new();
        let outcome = self.renew_by_network(&found, request, &mut savepoints, sink);
        while let Some(savepoint) = savepoints.pop() {
            match outcome {
                Ok(_) => self.end_undo(savepoint),
                Err(_) => self.take_back(savepoint),
            }
        }
        if outcome.is_err() {
            sink.truncate(start);
        }
        outcome
    }

    /// Allocations with their networks, those of one network side by side.
    fn renew_by_network(
        &mut self,
        found: &[(u32, u32)],
        request: &RenewOwner,
        savepoints: &mut Vec<Savepoint>,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedOwner, Refused> {
        let mut counts = RenewedOwner::default();
        for of_network in found.chunk_by(|a, b| a.0 == b.0) {
            for (number, &(network, at)) in of_network.iter().enumerate() {
                if number == 0 {
                    savepoints.push(self.begin_undo(network));
                }
                self.renew_counted(network, at, request, &mut counts, sink);
                // What was decided before may be in the same hand-over.
                check_bytes(sink.bytes())?;
            }
        }
        Ok(counts)
    }

    fn renew_counted(
        &mut self,
        network: u32,
        at: u32,
        request: &RenewOwner,
        counts: &mut RenewedOwner,
        sink: &mut impl EffectSink,
    ) {
        let count = match self.renew_case(network, at, request, sink) {
            Case::Renewed => &mut counts.renewed,
            Case::Endless => &mut counts.endless,
            Case::Expired => &mut counts.expired,
            Case::Stale => &mut counts.stale,
        };
        *count += 1;
    }

    fn renew_all(
        &mut self,
        network: u32,
        request: &RenewOwner,
        sink: &mut impl EffectSink,
    ) -> Result<RenewedOwner, Refused> {
        let start = sink.bytes();
        let mut counts = RenewedOwner::default();
        for at in self.held_by(network, request)? {
            self.renew_counted(network, at, request, &mut counts, sink);
            check_bytes(sink.bytes() - start)?;
        }
        any_left(counts, "the owner holds nothing in this network any more")
    }

    /// The allocations of an owner in a network.
    fn held_by(&self, network: u32, request: &RenewOwner) -> Result<Vec<u32>, Refused> {
        let key = self.key_of(network, request.owner, crate::model::Slot(0));
        let home =
            self.ledger.find_owner(&self.subnets, key.project, key.owner_salt, request.owner);
        let ring = home.into_iter().flat_map(|home| self.ledger.ring(home));
        let (mut looks, mut found) = (0, Vec::new());
        for at in ring.take(LIST_OBJECTS_MAX + 1) {
            looks += 1;
            if self.subnets.at(self.ledger.at(at).subnet).network == network {
                found.push(at);
            }
        }
        for (bound, count, most) in [
            ("RENEW_OWNER_MAX", found.len(), RENEW_OWNER_MAX),
            ("LIST_OBJECTS_MAX", looks, LIST_OBJECTS_MAX),
        ] {
            if count > most {
                return Err(limit(bound, count as u128, most as u128));
            }
        }
        Ok(found)
    }

    fn renew_case(
        &mut self,
        network: u32,
        at: u32,
        request: &RenewOwner,
        sink: &mut impl EffectSink,
    ) -> Case {
        let record = self.ledger.at(at);
        if self.is_over(record) {
            return Case::Expired;
        }
        if request.instance.is_some_and(|instance: Instance| instance != record.instance) {
            return Case::Stale;
        }
        match self.prolong(network, at, request.lease_ms, sink) {
            true => Case::Renewed,
            false => {
                self.note_alive(at);
                Case::Endless
            }
        }
    }

    /// Lets a lease end so long after now; false if there is none: a hold has an end of its own.
    fn prolong(
        &mut self,
        network: u32,
        at: u32,
        lease_ms: u64,
        sink: &mut impl EffectSink,
    ) -> bool {
        let record = self.ledger.at(at);
        let is_held = record.state() == AllocationState::Held;
        if is_held || self.ledger.own_end(record).is_none() {
            return false;
        }
        let mut row = self.ledger.row_of(&self.subnets, at);
        row.changed = self.next_change(network);
        row.extras.get_or_insert_default().deadline = Some(self.deadline_of(lease_ms));
        self.commit_changed(at, row, sink);
        true
    }

    fn next_change(&self, network: u32) -> Revision {
        self.networks.at(network).next_revision()
    }
}

/// Refuses a lease out of range.
pub(super) fn check_lease(lease_ms: u64) -> Result<(), Refused> {
    if (LEASE_MS_MIN..=LEASE_MS_MAX).contains(&lease_ms) {
        return Ok(());
    }
    let (least, most) = (LEASE_MS_MIN.into(), LEASE_MS_MAX.into());
    Err(out_of_range("lease_ms", lease_ms.into(), least, most))
}

/// Refuses renewals whose records fit no hand-over.
fn check_bytes(bytes: usize) -> Result<(), Refused> {
    if bytes <= HAND_OVER_RECORD_BYTES_MAX {
        return Ok(());
    }
    let most = HAND_OVER_RECORD_BYTES_MAX as u128;
    Err(limit("HAND_OVER_RECORD_BYTES_MAX", bytes as u128, most))
}

/// The counts, unless nothing is held any more.
pub(super) fn any_left(counts: RenewedOwner, else_told: &str) -> Result<RenewedOwner, Refused> {
    if counts.renewed + counts.endless + counts.stale == 0 {
        return Err(expired(else_told));
    }
    Ok(counts)
}

#[cold]
fn expired(what: &str) -> Refused {
    refuse(Status::EXPIRED, format_args!("{what}: allocate again"))
}
