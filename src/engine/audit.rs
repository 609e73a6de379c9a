//! Where attempts are told that leave nothing in the journal: what was denied, and what operators asked for without an
//! effect. Waits for nobody; what is too much is counted.

use super::operation::Operation;
use crate::access::{Authorized, is_administrative};
use crate::audit::Attempt;
use crate::limits::{AUDIT_ATTEMPTS_MAX, AUDIT_ATTEMPTS_PER_SECOND, AUDIT_DENIALS_PER_SECOND};
use crate::model::{Asker, Status, Tick};
use addrd_protocol::Retry;
use addrd_sync::Level;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Attempts on their way to their lines, and what operators see of the log.
#[derive(Debug, Default)]
pub struct AuditDesk {
    /// A log is kept.
    is_on: bool,
    waiting: Mutex<Waiting>,
    figures: Kept,
}

#[derive(Debug, Default)]
struct Waiting {
    attempts: VecDeque<Attempt>,
    /// Those of this second that are told or wait: denied ones, and others, which they leave room for.
    counts: [u32; 2],
    /// Those of this second that have a line and were denied, by who asked: nobody has all of them.
    denied: Vec<(Asker, u32)>,
    second: u64,
    /// Attempts that got no line.
    missed: u64,
}

#[derive(Debug, Default)]
struct Kept {
    lines: Level,
    bytes: Level,
    missed: Level,
    gap: Level,
    is_paused: Level,
}

/// What operators see of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFigures {
    /// Lines written since the start.
    pub lines: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Attempts that have no line.
    pub missed: u64,
    /// Hand-overs that have no lines.
    pub gap: u64,
    /// Nothing is written for now.
    pub is_paused: bool,
}

impl AuditDesk {
    /// Of a server that keeps an audit log.
    #[must_use]
    pub fn kept() -> Arc<Self> {
        Arc::new(Self { is_on: true, ..Self::default() })
    }

    /// Whether a log is kept.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// What operators see; `None`: no log is kept.
    #[must_use]
    pub fn figures(&self) -> Option<AuditFigures> {
        let Kept { lines, bytes, missed, gap, is_paused } = &self.figures;
        self.is_on.then(|| AuditFigures {
            lines: lines.get(),
            bytes: bytes.get(),
            missed: missed.get(),
            gap: gap.get(),
            is_paused: is_paused.get() != 0,
        })
    }

    /// Takes an attempt, or counts it if there are too many.
    pub fn note(&self, attempt: Attempt) {
        if !self.is_on {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let second = attempt.tick.0 / 1_000;
        if second != waiting.second {
            (waiting.second, waiting.counts) = (second, [0; 2]);
            waiting.denied.clear();
        }
        let is_denied = attempt.result.retry() == Retry::Denied;
        let (most, waiting_max) = match is_denied {
            true => (AUDIT_DENIALS_PER_SECOND, AUDIT_ATTEMPTS_MAX / 2),
            false => (AUDIT_ATTEMPTS_PER_SECOND, AUDIT_ATTEMPTS_MAX),
        };
        let is_too_many =
            (is_denied && !waiting.admit(attempt.by)) || !waiting.count(is_denied, most);
        if is_too_many || waiting.attempts.len() >= waiting_max {
            waiting.missed = waiting.missed.saturating_add(1);
            self.figures.missed.add(1);
        } else {
            waiting.attempts.push_back(attempt);
        }
    }

    /// Tells of an administrative operation that changed nothing: what is changed tells of itself.
    #[inline]
    pub(super) fn decided(&self, operation: &Authorized<Operation>, status: Status, now: Tick) {
        if self.is_on() && !status.is_done() && is_administrative(&**operation) {
            self.note(attempt_of(operation, status, now));
        }
    }

    /// All that wait.
    pub(crate) fn take(&self) -> VecDeque<Attempt> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut waiting.attempts)
    }

    /// How many there were that got no line.
    pub(super) fn take_missed(&self) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut waiting.missed)
    }

    /// Some that were taken got no line; those that were counted before are still to be told.
    pub(super) fn give_back(&self, attempts: u64, missed: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.missed = waiting.missed.saturating_add(attempts).saturating_add(missed);
        self.figures.missed.add(attempts);
    }

    pub(super) fn count_lines(&self, lines: u64, bytes: u64) {
        self.figures.lines.add(lines);
        self.figures.bytes.set(bytes);
    }

    pub(super) fn count_gap(&self, hand_overs: u64) {
        self.figures.gap.add(hand_overs);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.figures.is_paused.get() != 0
    }

    pub(super) fn note_paused(&self, is_paused: bool) {
        self.figures.is_paused.set(u64::from(is_paused));
    }
}

impl Waiting {
    /// Counts one of this second. False: there were as many already as may be.
    fn count(&mut self, is_denied: bool, most: u32) -> bool {
        let [denials, others] = &mut self.counts;
        let count = if is_denied { denials } else { others };
        *count = count.saturating_add(1);
        *count <= most
    }

    /// Whether somebody has less than may be his of the denials of this second.
    ///
    /// Shape: of those who were denied in it the first ones are kept, no more than there are lines.
    fn admit(&mut self, by: Asker) -> bool {
        if let Some((_, count)) = self.denied.iter_mut().find(|(other, _)| *other == by) {
            *count = count.saturating_add(1);
            return *count <= most_of(by);
        }
        if self.denied.len() < AUDIT_DENIALS_PER_SECOND as usize {
            self.denied.push((by, 1));
        }
        true
    }
}

/// Lines of one second for what somebody was denied: half of all, or fewer for all strangers together, so that who has one
/// token leaves some.
const fn most_of(by: Asker) -> u32 {
    match by {
        Asker::Nobody => AUDIT_DENIALS_PER_SECOND * 3 / 10,
        _ => AUDIT_DENIALS_PER_SECOND / 2,
    }
}

#[cold]
fn attempt_of(operation: &Authorized<Operation>, result: Status, now: Tick) -> Attempt {
    Attempt {
        tick: now,
        by: operation.by(),
        origin: String::new(),
        project: Some(operation.scope.project),
        opcode: operation.opcode,
        result,
        why: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PrincipalId;
    use addrd_protocol::Opcode;

    fn denied(tick: u64) -> Attempt {
        Attempt {
            tick: Tick(tick),
            by: Asker::Nobody,
            origin: "10.0.0.1:5".to_owned(),
            project: None,
            opcode: Opcode::HELLO,
            result: Status::UNAUTHENTICATED,
            why: String::new(),
        }
    }

    fn refused(tick: u64) -> Attempt {
        Attempt { opcode: Opcode::TOKEN_CREATE, result: Status::NOT_FOUND, ..denied(tick) }
    }

    #[test]
    fn a_flood_is_counted_and_leaves_room_for_others_and_for_the_next_second() {
        let desk = AuditDesk::kept();
        let (most, half) = (AUDIT_DENIALS_PER_SECOND, AUDIT_DENIALS_PER_SECOND / 2);
        let strangers = most_of(Asker::Nobody);
        let somebodys = |number: u32, tick| Attempt {
            by: Asker::Principal(PrincipalId::from_u128(u128::from(number))),
            ..denied(tick)
        };
        (0..strangers + 50).for_each(|_| desk.note(denied(1_500)));
        (0..half + 50).for_each(|_| desk.note(somebodys(1, 1_500)));
        (2..2 + most - half - strangers).for_each(|number| desk.note(somebodys(number, 1_500)));
        desk.note(refused(1_500));
        desk.note(denied(2_000));
        let attempts = desk.take();
        assert_eq!(
            attempts.iter().filter(|one| one.by == Asker::Nobody).count(),
            strangers as usize + 2
        );
        assert_eq!(attempts.len(), most as usize + 2, "something is left for others");
        assert_eq!((desk.take_missed(), desk.figures().unwrap().missed), (100, 100));
        // While nobody writes, a bounded number waits; what is denied leaves half of the room.
        for second in 3..1_000 {
            (0..most).for_each(|number| desk.note(somebodys(number, second * 1_000)));
        }
        desk.note(refused(1_000_000));
        let attempts = desk.take();
        assert_eq!(attempts.len(), AUDIT_ATTEMPTS_MAX / 2 + 1);
        let missed = desk.take_missed();
        assert_eq!(attempts.len() as u64 - 1 + missed, 997 * u64::from(most));
        // What couldn't be written is counted, and told once.
        desk.give_back(attempts.len() as u64, missed);
        assert_eq!(desk.take_missed(), attempts.len() as u64 + missed);
    }

    #[test]
    fn where_no_log_is_kept_nothing_is() {
        let desk = AuditDesk::default();
        desk.note(denied(1));
        assert_eq!((desk.take().len(), desk.take_missed()), (0, 0));
        assert_eq!(desk.figures(), None);
    }
}
