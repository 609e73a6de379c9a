//! What a connection spends of its principal's rate, and what happens when that is used up: some requests are
//! refused, and who goes on sending isn't read until there is room again.
//!
//! What is shared is looked at once a read and written once a read, however many requests it brought.
//!
//! Source: docs/decisions/0041-rates-and-shares.md.

use super::super::accounts::{Bound, Crowded, Customer, Outstanding, Part, Payer, Room};
use super::super::answers::{busy, failure, text};
use super::super::cost::lets_go;
use super::super::decider::Decider;
use super::Connection;
use super::intake::{address_of, in_use};
use super::watching::WATCHERS_SHARE;
use crate::engine::{QUESTIONS_SHARE, Route};
use crate::limits;
use crate::model::Tick;
use crate::planted::{Bug, is_planted};
use crate::telemetry::reactors::Count;
use addrd_protocol::header::REQUEST_HEADER_BYTES;
use addrd_protocol::message::{Detail, Failure};
use addrd_protocol::{FrameError, Opcode, Status};
use std::time::Duration;
use tokio::time::Instant;

/// What a connection may spend in one read, and how often it was refused.
#[derive(Debug)]
pub(super) struct Purse {
    room: Room,
    spent: u64,
    /// Requests refused since the peer was last quiet while there was room.
    refused: u32,
    /// Nothing is taken before.
    held_until: Option<Instant>,
    /// When what lies here since the hold was read, for its time-outs.
    held_tick: Option<Tick>,
    /// Holds since something was taken.
    holds: u32,
    /// What it may have without reply; beyond it nothing is taken in this read.
    part: Part,
}

impl Default for Purse {
    fn default() -> Self {
        let room = Room { units: u64::MAX, reserved: u64::MAX, bound: Bound::Principal };
        Self {
            room,
            spent: 0,
            refused: 0,
            held_until: None,
            held_tick: None,
            holds: 0,
            part: Part::ALL,
        }
    }
}

impl Purse {
    /// Whether what comes now is beyond the rate.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.spent >= self.room.units
    }

    /// The same for an operation: what frees something or lets it go on has a second burst.
    #[inline]
    pub(super) fn is_empty_for(&self, opcode: Opcode) -> bool {
        self.is_empty() && (self.spent >= self.room.reserved || !lets_go(opcode))
    }

    /// Something was asked for that costs so much. The last one may cost more than there is; that is missing later.
    #[inline]
    pub(super) fn pay(&mut self, units: u64) {
        self.spent = self.spent.saturating_add(units);
    }

    /// Whether another request may be refused; counts it.
    pub(super) fn may_refuse(&mut self) -> bool {
        let may = self.refused < limits::RATE_REFUSALS_MAX;
        self.refused += u32::from(may);
        may
    }

    /// All that came is taken.
    #[inline]
    pub(super) fn is_read_empty(&mut self) {
        if !self.is_empty() {
            self.refused = 0;
        }
    }

    /// When the connection is read again, while it isn't.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// It is read again.
    pub(super) fn let_go(&mut self) {
        self.held_until = None;
    }
}

impl<D: Decider> Connection<D> {
    /// Opens the account of whoever said HELLO, unless it has more than its share of all connections.
    pub(super) fn open_account(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let payer = Payer::of(&identity.actor, &self.origin);
        let shared = &self.shared;
        let account = shared.accounts.open(payer, shared.elapsed_ns(now));
        let all = Crowded {
            connections: shared.admission.connections(),
            connections_max: shared.bounds.connections_max.into(),
        };
        if shared.accounts.is_crowding(&account, all) {
            self.count_refused(CONNECTIONS_SHARE, 1);
            return Err(busy(CONNECTIONS_SHARE, CONNECTIONS_RETRY_MS));
        }
        self.customer = Some(Customer::of(account));
        Ok(())
    }

    /// Looks at what may be spent in this read. False: nothing is to be taken yet.
    #[inline]
    pub(super) fn open_purse(&mut self, now: Instant) -> bool {
        if self.purse.held_until.is_some_and(|until| now < until) {
            return false;
        }
        self.purse.held_until = None;
        // Its time-outs began when it was read, not now.
        self.intake.tick = self.purse.held_tick.take();
        let Some(customer) = &self.customer else { return true };
        let (accounts, decider) = (&self.shared.accounts, &self.shared.decider);
        // Who has little has all of it: no look at what waits, which all connections write to.
        let here = self.input.unread().len() / limits::PLAIN_FRAME_BYTES;
        let is_little = customer.weight() as usize + here <= limits::FAIR_LEAST as usize;
        let active = accounts.active();
        self.purse.part = match is_little || active == 1 || is_planted(Bug::TurnsIgnored) {
            true => Part::ALL,
            false => customer.part_of(decider.fair(), active),
        };
        self.purse.room = accounts.room(customer.account(), self.shared.elapsed_ns(now));
        if self.purse.room.units != u64::MAX {
            // Also who pushes nothing spends of what is for all.
            accounts.note(customer.account());
        }
        true
    }

    /// Pays for what this read brought.
    #[inline]
    pub(super) fn close_purse(&mut self, now: Instant) {
        let spent = std::mem::take(&mut self.purse.spent);
        if spent == 0 || self.purse.room.units == u64::MAX {
            return;
        }
        if let Some(customer) = &self.customer {
            let now_ns = self.shared.elapsed_ns(now);
            self.shared.accounts.spend(customer.account(), spent, now_ns);
        }
    }

    /// Stops reading until there is room: what the peer sends waits on its own side.
    #[cold]
    pub(super) fn hold(&mut self, now: Instant) {
        let clock = self.shared.decider.clock();
        self.purse.held_tick = Some(self.intake.tick.unwrap_or_else(|| clock.tick()));
        let wait = Duration::from_nanos(self.wait_ns(1, now));
        let purse = &mut self.purse;
        if purse.spent > 0 {
            purse.holds = 0;
        }
        let most = Duration::from_millis(limits::RATE_HOLD_MS_MOST);
        let least = limits::RATE_HOLD_MS_LEAST << purse.holds.min(HOLDS_DOUBLED_MAX);
        let hold = wait.max(Duration::from_millis(least)).min(most);
        purse.holds += 1;
        purse.held_until = Some(now + hold);
        self.is_paused = true;
        self.timing.awaits_frame(false, false, now);
        self.shared.reactors.count(Count::RateHolds, 1);
    }

    /// What a request beyond the rate is answered: when there is room for it and for those that were refused
    /// before it.
    #[cold]
    pub(super) fn rate_failure(&self, now: Instant) -> Failure {
        let bound = self.purse.room.bound;
        let count = match bound {
            Bound::Principal => Count::RefusedRatePrincipal,
            Bound::Total => Count::RefusedRateTotal,
        };
        self.shared.reactors.count(count, 1);
        let wait_ms = self.wait_ns(self.purse.refused.max(1).into(), now).div_ceil(1_000_000);
        let retry_after_ms = u32::try_from(wait_ms).unwrap_or(u32::MAX).max(1);
        let message = format!("{} is used up; try again later", bound.name());
        let details = vec![Detail::Bound { name: text(bound.name()) }];
        Failure { retry_after_ms, details, ..failure(Status::RATE_LIMITED, &message) }
    }

    /// Time until there are so many units beside what this read has spent already.
    fn wait_ns(&self, units: u64, now: Instant) -> u64 {
        let Some(customer) = &self.customer else { return 0 };
        let units = units.saturating_add(self.purse.spent);
        self.shared.accounts.wait_ns(customer.account(), units, self.shared.elapsed_ns(now))
    }

    /// Answers a frame that is too large to lie here until there is room, without a look at what is in it.
    #[cold]
    pub(super) fn refuse_unread(&mut self, length: usize, now: Instant) -> Result<(), FrameError> {
        let Some(header) = self.input.unread().first_chunk::<REQUEST_HEADER_BYTES>() else {
            return Ok(());
        };
        let (opcode, request_id) = address_of(header);
        if request_id == 0 {
            return Err(FrameError::RequestIdZero);
        }
        self.intake.last_request_id = request_id;
        let failure = if self.is_used(request_id) { in_use() } else { self.rate_failure(now) };
        self.answer_failure(opcode, request_id, &failure);
        self.skip = length;
        self.take_skipped();
        Ok(())
    }

    /// Whether the connection has its part of what is on the way, while there is more than that. What it has is answered,
    /// and then it is read again.
    #[inline]
    pub(super) fn has_its_part(&self) -> bool {
        let (has, part) = (self.without_reply(), self.purse.part);
        has.weight >= part.weight || has.sequenced >= part.sequenced
    }

    /// Stops reading until something was answered or read. The time-outs of what lies here began when it was read.
    pub(super) fn pause(&mut self, now: Instant) {
        let clock = self.shared.decider.clock();
        self.purse.held_tick = Some(self.intake.tick.unwrap_or_else(|| clock.tick()));
        self.timing.awaits_frame(false, false, now);
        if std::mem::replace(&mut self.is_paused, true) {
            return;
        }
        self.shared.reactors.count(Count::Pauses, 1);
        if let Some(customer) = self.customer.as_ref().filter(|_| self.has_its_part()) {
            self.shared.reactors.count(Count::TurnPauses, 1);
            // It asks for something, though nothing of it is pushed.
            self.shared.accounts.note(customer.account());
        }
    }

    /// Tells the account what is without reply now.
    #[inline]
    pub(super) fn report(&mut self) {
        let now = self.without_reply();
        if let Some(customer) = &mut self.customer {
            customer.tell(now);
        }
    }

    /// What the connection has without reply.
    #[inline]
    fn without_reply(&self) -> Outstanding {
        let in_flight = self.in_flight.count();
        let plain =
            u32::try_from(self.intake.bytes / limits::PLAIN_FRAME_BYTES).unwrap_or(u32::MAX);
        let weight = if in_flight == 0 { 0 } else { in_flight.max(plain) };
        Outstanding { in_flight, weight, sequenced: self.intake.sequenced_count() }
    }

    /// What the principal has under way on the way of a parcel; its connection pushes something.
    #[inline]
    pub(super) fn principal_outstanding(&mut self, route: Route) -> u32 {
        self.report();
        let Some(customer) = &self.customer else { return 0 };
        if self.shared.accounts.note(customer.account()) {
            // Whoever comes anew makes the shares of others smaller at once.
            self.shared.decider.active_principals().raise(self.shared.accounts.active());
        }
        match route {
            Route::Sequencer => customer.sequenced(),
            _ => customer.in_flight(),
        }
    }

    /// Requests were refused for want of room.
    #[cold]
    pub(super) fn count_refused(&self, bound: &str, count: usize) {
        let what = match bound {
            "principal_share" => Count::RefusedPrincipalShare,
            "ring_share" => Count::RefusedConnectionShare,
            CONNECTIONS_SHARE => Count::RefusedConnectionsShare,
            WATCHERS_SHARE => Count::RefusedWatchersShare,
            QUESTIONS_SHARE => Count::RefusedQuestionsShare,
            _ => return,
        };
        self.shared.reactors.count(what, count as u64);
    }
}

/// The bound on what a principal may have of all connections.
const CONNECTIONS_SHARE: &str = "connections_share";

/// Advice to who has as many connections as it may, ms.
const CONNECTIONS_RETRY_MS: u32 = 1_000;

/// So often the least time of a hold doubles.
const HOLDS_DOUBLED_MAX: u32 = 7;
