//! Says in the log which subnets and pools have crossed a level of use, and keeps the counts for the
//! metrics. Decides nothing.

use crate::allocator::{Crossed, Crossing, LevelCounts};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the last counts of a deciding thread hang.
#[derive(Clone, Debug, Default)]
pub(super) struct LevelBoard(Arc<Mutex<LevelCounts>>);

impl LevelBoard {
    pub(super) fn counts(&self) -> LevelCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hang(&self, counts: LevelCounts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

/// A line for each; the log leaves out what is more than a few a second.
pub(super) fn log(crossings: &[Crossing]) {
    crossings.iter().for_each(log_one);
}

fn log_one(crossing: &Crossing) {
    let Crossing { of, project, level, before, used, size } = *crossing;
    match of {
        Crossed::Subnet(network, subnet) if level > before => tracing::warn!(
            %project, %network, %subnet, level, used, size,
            "a subnet has reached a level of use"
        ),
        Crossed::Subnet(network, subnet) => tracing::info!(
            %project, %network, %subnet, level, before, used, size,
            "a subnet has fallen below a level of use"
        ),
        Crossed::Pool(pool) if level > before => tracing::warn!(
            %project, %pool, level, used, size,
            "a subnet pool has reached a level of use"
        ),
        Crossed::Pool(pool) => tracing::info!(
            %project, %pool, level, before, used, size,
            "a subnet pool has fallen below a level of use"
        ),
    }
}
