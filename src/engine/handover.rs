//! Hand-overs: what a deciding thread gives to the committer at once. A reply exists nowhere else
//! between its decision and the commit, so none can leave early (promise P1). Decides nothing.

use super::access::AccessDesk;
use super::gather::Gather;

use super::operation::{Outlet, Stages};
use crate::access::Table;
use crate::allocator::{Answer, At};
use crate::journal::RecordBuffer;
use crate::limits;
use crate::model::Tick;
use addrd_sync::Level;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Records of one drain and the replies that reveal them.
#[derive(Debug)]
pub struct HandOver {
    /// Who decided: worker number, or the number of workers for the sequencer.
    pub source: usize,
    /// Counts the hand-overs of its source, from 1.
    pub number: u64,
    /// The tick at which everything in it was decided.
    pub tick: Tick,
    /// What changed.
    pub records: RecordBuffer,
    /// The journal is told its tick even if it has no records.
    pub marks_time: bool,
    /// What may be said once it is durable.
    pub deliveries: Vec<Delivery>,
    /// Operations answered.
    pub operations: u32,
    /// When its drain began, monotonic ns.
    pub began_ns: u64,
    /// When it was pushed, monotonic ns.
    pub pushed_ns: u64,
}

impl HandOver {
    /// Lets its answers go; call it only when it is durable.
    ///
    /// Units: when its commit began and ended, monotonic ns.
    pub fn release(self, commit_ns: u64, durable_ns: u64) {
        let (began_ns, handed_ns) = (self.began_ns, self.pushed_ns);
        let stages = Stages { pushed_ns: began_ns, began_ns, handed_ns, commit_ns, durable_ns };
        self.deliveries.into_iter().for_each(|delivery| delivery.release(stages));
    }
}

/// An answer that waits for its hand-over to be durable.
pub enum Delivery {
    /// Encoded replies for one connection.
    Frames {
        /// The connection.
        outlet: Arc<dyn Outlet>,
        /// Whole reply frames.
        frames: Bytes,
        /// How many.
        operations: u32,
        /// When they went into the ring, monotonic ns.
        pushed_ns: u64,
    },
    /// Adoption mode has begun or ended, for those who only tell of it.
    Adoption {
        /// Where they read it.
        level: Arc<Level>,
        /// The tick at which it began; 0 = it is not on.
        since: Tick,
    },
    /// Somebody may do something else from now on.
    Access {
        /// Where connections read it.
        desk: Arc<AccessDesk>,
        /// Who may do what.
        table: Arc<Table>,
    },
    /// One worker's part of a gathered operation.
    Part {
        /// The operation.
        gather: Arc<Gather>,
        /// When and where it was decided.
        at: At,
        /// This worker's answer.
        answer: Box<Answer>,
    },
}

impl Delivery {
    /// Lets the answer go. Call it only when its hand-over is durable. `stages` are those of its
    /// hand-over; only the delivery knows how long it was in the ring.
    pub fn release(self, stages: Stages) {
        match self {
            Self::Frames { outlet, frames, operations, pushed_ns } => {
                outlet.deliver(frames, operations, Stages { pushed_ns, ..stages });
            }
            Self::Access { desk, table } => desk.put(table),
            Self::Adoption { level, since } => {
                level.set(since.0);
                let is_on = since != Tick(0);
                tracing::warn!(is_on, "an operator switched adoption mode");
            }
            Self::Part { gather, at, answer } => gather.complete(at, *answer, stages),
        }
    }

    /// Bytes that it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Frames { frames, .. } => frames.len(),
            Self::Adoption { .. } | Self::Access { .. } => 0,
            Self::Part { .. } => limits::REPLY_FRAME_BYTES_MAX,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames { operations, .. } => write!(f, "Frames({operations})"),
            Self::Access { .. } => f.write_str("Access"),
            Self::Adoption { since, .. } => write!(f, "Adoption({})", since.0),
            Self::Part { .. } => write!(f, "Part"),
        }
    }
}
