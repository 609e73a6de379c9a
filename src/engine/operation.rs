//! What travels from a connection to the deciding threads, and how answers find their way back.
//! Never decodes, decides or waits.

use crate::access::{Ask, Authorized};
pub use crate::allocator::Scope;
use crate::model::{ProjectId, Tick};
use addrd_protocol::message::Request;
use addrd_protocol::opcode::Opcode;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A decoded request on its way to be decided.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Chosen by the client; the reply carries it.
    pub request_id: u64,
    /// Kind of the request; the reply carries it.
    pub opcode: Opcode,
    /// Where it belongs.
    pub scope: Scope,
    /// Not applied after this; `None` = no limit.
    pub expires: Option<Tick>,
    /// The request.
    pub request: Request,
}

impl Ask for Operation {
    fn project(&self) -> ProjectId {
        self.scope.project
    }

    fn is_restoring(&self) -> bool {
        self.scope.restoring
    }

    fn request(&self) -> &Request {
        &self.request
    }
}

/// Where encoded replies of one connection go.
///
/// Concurrency: called by the committer (and by a worker whose state is durable already), never
/// blocks, never fails: a connection that is gone drops what it gets.
pub trait Outlet: Send + Sync {
    /// Takes whole reply frames, `operations` of them, and wakes the connection once.
    fn deliver(&self, frames: Bytes, operations: u32, stages: Stages);
}

/// When the operations of a delivery passed the stages of their way, ns on the engine's monotonic
/// clock, rising.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// They went into the ring.
    pub pushed_ns: u64,
    /// Their drain began.
    pub began_ns: u64,
    /// They were decided, and handed over.
    pub handed_ns: u64,
    /// Their commit began.
    pub commit_ns: u64,
    /// They are durable.
    pub durable_ns: u64,
}

impl Stages {
    /// All at one moment.
    #[must_use]
    pub const fn at(ns: u64) -> Self {
        Self { pushed_ns: ns, began_ns: ns, handed_ns: ns, commit_ns: ns, durable_ns: ns }
    }
}

/// Operations of one connection for one deciding thread, in the order sent.
pub struct Parcel {
    /// Where the answers go.
    pub outlet: Arc<dyn Outlet>,
    /// The operations, each allowed; at most `limits::CONNECTION_OPERATIONS_MAX`.
    pub operations: Vec<Authorized<Operation>>,
    /// Bytes of the frames that they were decoded from.
    pub bytes: u32,
    /// Operations that the connection has without reply, these included.
    pub outstanding: u32,
    /// The same of the principal over all its connections, and only what goes the way of this parcel: to the
    /// sequencer, or to the workers. 0 = it is not counted.
    pub principal_outstanding: u32,
    /// When the parcel was complete, ns on the engine's monotonic clock (for the ring histogram).
    pub pushed_ns: u64,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("operations", &self.operations.len()).finish_non_exhaustive()
    }
}

/// Which thread decides an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// The worker that owns the network.
    Worker(u16),
    /// The sequencer: it spans networks. While a connection has an operation on a network there,
    /// its later ones on that network must follow it to the sequencer, which decides any operation,
    /// else they would overtake it. The other way round nothing is needed: a rendezvous stands
    /// behind what the workers' rings hold.
    Sequencer,
    /// Every worker, and their parts merged.
    Gather,
    /// The thread that looks things up in history.
    History,
}

/// A parcel that found no room; nothing of it was or will be applied.
#[derive(Debug)]
pub struct Rejected {
    /// The operations that did not fit, in order; those before them were taken.
    pub operations: Vec<Authorized<Operation>>,
    /// Name of the bound, as in docs and metrics.
    pub bound: &'static str,
    /// Advice for the client, ms.
    pub retry_after_ms: u32,
}
