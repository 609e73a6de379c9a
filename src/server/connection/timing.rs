//! Deadlines of a connection, kept by one timer that is set anew only when it rings or when an
//! earlier deadline appears.

use super::super::decider::Decider;
use super::{Connection, Phase, too_late};
use crate::limits;
use crate::telemetry::reactors::Count;
use addrd_protocol::message::GoAwayReason;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Points in time of a connection.
#[derive(Debug)]
pub(super) struct Timing {
    /// When the phase began: connected, first byte, waiting, closing, lingering.
    since: Instant,
    /// When the last whole frame came or the last reply was made.
    active: Instant,
    /// When the first byte of the frame at the front came, while the rest is awaited.
    frame_begun: Option<Instant>,
    /// What a quiet connection does not need is given back already.
    is_shrunk: bool,
    /// Since when the peer has taken nothing of what waits.
    stalled: Option<Instant>,
    /// A sampled delivery: end in the output, when handed over, its operations.
    sample: Option<(u64, u64, u32)>,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
}

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    FirstByte,
    Hello,
    Session,
    Refusal,
    Rate,
    Frame,
    Stall,
    Idle,
    Heartbeat,
    Shrink,
    Closing,
    Linger,
}

impl Timing {
    pub(super) fn new(now: Instant) -> Self {
        let armed = now + Duration::from_millis(limits::FIRST_BYTE_MS);
        Self {
            since: now,
            active: now,
            frame_begun: None,
            is_shrunk: false,
            stalled: None,
            sample: None,
            timer: Box::pin(tokio::time::sleep_until(armed)),
            armed,
        }
    }

    /// A phase begins.
    pub(super) fn begins(&mut self, now: Instant) {
        self.since = now;
        self.active = now;
        self.frame_begun = None;
    }

    pub(super) fn closes(&mut self, now: Instant) {
        self.begins(now);
    }

    pub(super) fn active(&mut self, now: Instant) {
        self.active = now;
        self.is_shrunk = false;
    }

    /// The frame at the front is not whole and its rest is awaited, or not.
    pub(super) fn awaits_frame(&mut self, is_awaited: bool, is_new: bool, now: Instant) {
        match (is_awaited, self.frame_begun) {
            (false, _) => self.frame_begun = None,
            (true, Some(_)) if !is_new => {}
            (true, _) => self.frame_begun = Some(now),
        }
    }

    /// The transport takes nothing more, after it took something or not.
    pub(super) fn stalls(&mut self, has_written: bool, now: Instant) {
        if has_written || self.stalled.is_none() {
            self.stalled = Some(now);
        }
    }

    /// Nothing waits.
    pub(super) fn flows(&mut self) {
        self.stalled = None;
    }

    /// A delivery that ends at byte `end` of the output; one at a time is followed.
    pub(super) fn delivered(&mut self, delivered_ns: u64, operations: u32, end: u64) {
        self.sample.get_or_insert((end, delivered_ns, operations));
    }

    /// When the followed delivery was handed over and its operations, once all of it is written.
    pub(super) fn sent(&mut self, written: u64) -> Option<(u64, u32)> {
        let (_, delivered_ns, operations) = self.sample.take_if(|sample| sample.0 <= written)?;
        Some((delivered_ns, operations))
    }
}

impl<D: Decider> Connection<D> {
    /// True: a deadline has passed and was acted upon. False: the timer will wake the task.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let (at, due) = self.next_deadline();
            if at < self.timing.armed {
                self.timing.timer.as_mut().reset(at);
                self.timing.armed = at;
            }
            if self.timing.timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            let now = Instant::now();
            if at <= now {
                self.is_due(due, now);
                return true;
            }
            self.timing.timer.as_mut().reset(at);
            self.timing.armed = at;
        }
    }

    fn next_deadline(&self) -> (Instant, Due) {
        let since = |ms| self.timing.since + Duration::from_millis(ms);
        let phase = match &self.phase {
            Phase::Fresh => (since(limits::FIRST_BYTE_MS), Due::FirstByte),
            Phase::Greeting => (since(limits::HELLO_MS), Due::Hello),
            Phase::Waiting(_) => (since(limits::SESSION_WAIT_MS), Due::Session),
            Phase::Refusing(refusing) => (refusing.until, Due::Refusal),
            Phase::Ready => self.next_of_ready(),
            Phase::Closing(_) => (self.end_of_closing(), Due::Closing),
            Phase::Lingering(_) => (since(limits::LINGER_MS), Due::Linger),
        };
        match self.timing.stalled.map(|since| since + self.shared.bounds.stall) {
            Some(at) if at < phase.0 => (at, Due::Stall),
            _ => phase,
        }
    }

    /// What was promised an answer waits for it: only a disk that hangs takes longer than this. The
    /// peer's own time begins with the last of its answers.
    fn end_of_closing(&self) -> Instant {
        if self.in_flight.count() > 0 {
            self.timing.since + Duration::from_millis(limits::CLOSING_DECIDED_MS)
        } else {
            self.timing.active + self.shared.bounds.shutdown
        }
    }

    fn next_of_ready(&self) -> (Instant, Due) {
        if let Some(begun) = self.timing.frame_begun {
            return (begun + self.shared.bounds.frame, Due::Frame);
        }
        match (self.watches.next_heartbeat(), self.purse.held_until()) {
            (Some(at), held) if held.is_none_or(|held| at <= held) => return (at, Due::Heartbeat),
            // Whose requests wait for a rate is not idle.
            (_, Some(held)) => return (held, Due::Rate),
            (_, None) => {}
        }
        let has_extra = self.input.extra_bytes() > 0 || self.output.is_large();
        let is_quiet = self.in_flight.count() == 0 && self.output.is_empty();
        if is_quiet && !self.timing.is_shrunk && (has_extra || self.budget.units() > 0) {
            return (self.timing.active + Duration::from_millis(limits::SHRINK_MS), Due::Shrink);
        }
        // Who waits for an answer is not idle.
        let from = if is_quiet { self.timing.active } else { Instant::now() };
        (from + self.shared.bounds.idle, Due::Idle)
    }

    fn is_due(&mut self, due: Due, now: Instant) {
        match due {
            Due::FirstByte => {
                self.break_off(&too_late("no byte came in time"), Count::EndedByTimeOut, now);
            }
            Due::Hello => {
                let failure = too_late("HELLO did not come whole in time");
                self.break_off(&failure, Count::EndedByTimeOut, now);
            }
            Due::Session => self.session_is_busy(now),
            Due::Refusal => self.end_refusal(now),
            Due::Rate => self.purse.let_go(),
            Due::Frame => {
                let failure = too_late("the frame did not come whole in time");
                self.break_off(&failure, Count::EndedByTimeOut, now);
            }
            Due::Idle => self.go_away(GoAwayReason::Idle, now),
            Due::Heartbeat => self.send_heartbeats(now),
            Due::Shrink => self.shrink(),
            Due::Stall => {
                // It reads nothing, so it would not read a reason either.
                self.output.clear();
                self.is_unflushed = false;
                self.timing.flows();
                (self.is_at_end, self.is_shut) = (true, true);
                self.phase = Phase::Lingering(Count::EndedSlowReader);
            }
            Due::Closing => {
                self.output.clear();
                self.is_unflushed = false;
                self.timing.flows();
                (self.is_at_end, self.is_shut) = (true, true);
                if let Phase::Closing(end) = self.phase {
                    self.phase = Phase::Lingering(end);
                }
            }
            Due::Linger => (self.is_at_end, self.is_shut) = (true, true),
        }
    }

    /// Gives back what a quiet connection does not need.
    fn shrink(&mut self) {
        self.input.shrink(0);
        self.output.shrink();
        self.in_flight.shrink();
        self.intake.shrink();
        self.budget.shrink(self.bytes_held());
        self.timing.is_shrunk = true;
    }
}
