//! Hand-overs: what a deciding thread gives to the committer at once. A reply exists nowhere else
//! between its decision and the commit, so none can leave early (promise P1). Decides nothing.

use super::gather::Gather;
use super::operation::Outlet;
use crate::allocator::{Answer, At};
use crate::journal::RecordBuffer;
use crate::limits;
use crate::model::Tick;
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
    /// What may be said once it is durable.
    pub deliveries: Vec<Delivery>,
    /// Operations answered.
    pub operations: u32,
    /// When it was pushed, monotonic ns.
    pub pushed_ns: u64,
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
    /// Lets the answer go. Call it only when its hand-over is durable.
    pub fn release(self) {
        match self {
            Self::Frames { outlet, frames, operations } => outlet.deliver(frames, operations),
            Self::Part { gather, at, answer } => gather.complete(at, *answer),
        }
    }

    /// Bytes that it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Frames { frames, .. } => frames.len(),
            Self::Part { .. } => limits::REPLY_FRAME_BYTES_MAX,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames { operations, .. } => write!(f, "Frames({operations})"),
            Self::Part { .. } => write!(f, "Part"),
        }
    }
}
