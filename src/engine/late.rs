//! Refusals that a worker may not hand over yet: a quota was used up by what other workers decided,
//! and their hand-overs must come first. Waits for nobody: it is asked again and again.
//!
//! What is refused in one drain waits together, until every other worker has left the drain that it
//! was in then. The records of the refusing drain itself do not wait, so two workers that refuse
//! because of each other both go on.
//!
//! Source: docs/decisions/0020-quotas-of-projects.md.

use super::handover::Delivery;
use crate::limits::LATE_DRAINS_MAX;
use addrd_sync::{DrainSnapshot, DrainWatch};
use std::collections::VecDeque;

/// Refusals of one drain.
struct Late {
    behind: DrainSnapshot,
    deliveries: Vec<Delivery>,
}

/// Refusals that wait, those of the first drain first.
pub(super) struct LateRefusals {
    watch: DrainWatch,
    source: usize,
    waiting: VecDeque<Late>,
}

impl LateRefusals {
    /// None wait. `source` is the worker's own number.
    pub(super) const fn new(watch: DrainWatch, source: usize) -> Self {
        Self { watch, source, waiting: VecDeque::new() }
    }

    /// Keeps the refusals of a drain, if there are any. Call it when all of them were decided.
    pub(super) fn keep(&mut self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            let behind = self.watch.snapshot(Some(self.source));
            self.waiting.push_back(Late { behind, deliveries });
        }
    }

    /// Whether none wait.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether so many wait that no drain should add to them.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= LATE_DRAINS_MAX
    }

    /// Whether the first of them may be handed over.
    pub(super) fn is_due(&self) -> bool {
        self.waiting.front().is_some_and(|late| self.watch.has_passed(&late.behind))
    }

    /// The first of them, if they may be handed over now.
    pub(super) fn take_due(&mut self) -> Option<Vec<Delivery>> {
        if !self.is_due() {
            return None;
        }
        self.waiting.pop_front().map(|late| late.deliveries)
    }
}
