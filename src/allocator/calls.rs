//! What a host was told of what lives on it: the parts of a call, and what the calls before it missed. Knows no
//! allocations, reads no clock.
//!
//! Source: docs/decisions/0027-managers.md.

use super::hosts::GroupKey;
use crate::model::Tick;
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::Reconcile;
use addrd_protocol::message::reconcile::{GRACE_MS_MAX, RECONCILE_PARTS_MAX};

/// Words of a map of parts.
const PART_WORDS: usize = RECONCILE_PARTS_MAX as usize / 64;
const _: () = assert!(PART_WORDS * 64 == RECONCILE_PARTS_MAX as usize);

/// The calls about a host in a network, or in all.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// The last one of which a part came.
    pub(super) last: Option<Call>,
    /// What the last complete call missed, if it began late enough for that.
    pub(super) mark: Option<Mark>,
    /// What is to be released.
    pub(super) work: Option<Work>,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    parts: u16,
    /// The last stamp before the first of its parts came.
    pub(super) began: u64,
    began_at: Tick,
    /// When the last of its parts came.
    heard_at: Tick,
    /// The longest grace that one of its parts asked for, ms.
    grace_ms: u32,
    came: Box<[u64; PART_WORDS]>,
    pub(super) missing: u16,
    pub(super) too_early: bool,
    /// Released because of it.
    pub(super) released: u64,
}

/// What is untouched since a complete call began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Nobody touched it since this stamp.
    pub(super) until: u64,
    /// When the call was complete.
    complete_at: Tick,
    /// The longest grace that one of its parts asked for, ms.
    grace_ms: u32,
    era: u64,
}

/// What two calls missed, and how far it is released.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) until: u64,
    /// Groups in front of this one are done.
    pub(super) from: GroupKey,
    pub(super) era: u64,
}

/// How a part fits the calls that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The first part of a new call.
    New,
    /// A part of the last one.
    Of,
    /// Of a call before the last one, which has this number.
    Stale(u64),
    /// It contradicts the parts before it, in this field.
    Differs(&'static str),
}

impl Calls {
    /// Bytes that the map of parts takes beside the rest.
    pub(super) const PARTS_BYTES: usize = PART_WORDS * 8 + 16;

    /// How a part fits that comes at this time. No part is on its way for as long as the longest grace: after that a lower
    /// number is that of a new call, so a host whose numbers once were too high is not locked out for ever.
    pub(super) fn fit(&self, part: &Reconcile, at: Tick) -> Fit {
        match &self.last {
            Some(call) if part.call < call.number => {
                let is_forgotten = at.since(call.heard_at) > u64::from(GRACE_MS_MAX);
                if is_forgotten { Fit::New } else { Fit::Stale(call.number) }
            }
            Some(call) if part.call == call.number => {
                if part.parts == call.parts {
                    Fit::Of
                } else {
                    Fit::Differs("parts")
                }
            }
            _ => Fit::New,
        }
    }

    /// Takes a part that fits; whether the call is complete by that, and was not before. `now` is the last stamp.
    pub(super) fn take(&mut self, part: &Reconcile, now: u64, at: Tick) -> bool {
        if self.fit(part, at) == Fit::New {
            self.last = Some(Call {
                number: part.call,
                parts: part.parts,
                began: now,
                began_at: at,
                heard_at: at,
                grace_ms: 0,
                came: Box::new([0; PART_WORDS]),
                missing: part.parts,
                too_early: false,
                released: 0,
            });
        }
        let Some(call) = &mut self.last else { return false };
        call.heard_at = at;
        call.grace_ms = call.grace_ms.max(part.grace_ms);
        let bit = 1_u64 << (part.part % 64);
        let Some(word) = call.came.get_mut(usize::from(part.part / 64)) else { return false };
        if *word & bit != 0 || call.missing == 0 {
            return false;
        }
        *word |= bit;
        call.missing -= 1;
        if is_planted(Bug::PartNotAwaited) && call.missing == 1 {
            call.missing = 0;
        }
        call.missing == 0
    }

    /// The mark, if it is worth something still.
    pub(super) fn mark(&self, era: u64) -> Option<Mark> {
        self.mark.filter(|mark| mark.era == era)
    }

    /// What a call releases, if it is complete: what is untouched since this stamp.
    fn due(&self, era: u64) -> Option<u64> {
        let call = self.last.as_ref()?;
        (call.missing == 0).then(|| self.due_at(call.began_at, call.grace_ms, era))?
    }

    /// What a call would release that begins at this time and asks for this grace.
    pub(super) fn due_at(&self, began_at: Tick, grace_ms: u32, era: u64) -> Option<u64> {
        let mark = self.mark(era)?;
        let grace_ms = u64::from(grace_ms.max(mark.grace_ms));
        let is_late = began_at.since(mark.complete_at) >= grace_ms;
        (is_late || is_planted(Bug::GraceOfHostsIgnored)).then_some(mark.until)
    }

    /// The last call is complete now: what two calls missed is to be released, and what this one
    /// missed is marked.
    pub(super) fn complete(&mut self, at: Tick, era: u64) {
        let (due, old) = (self.due(era), self.mark(era));
        let Some(call) = &mut self.last else { return };
        call.too_early = old.is_some() && due.is_none();
        if call.too_early {
            return;
        }
        if let Some(until) = due {
            self.work = Some(Work { until, from: (0, 0), era });
        }
        let (until, grace_ms) = (call.began, call.grace_ms);
        self.mark = Some(Mark { until, complete_at: at, grace_ms, era });
    }
}
