//! What the server needs of the engine, as a trait, so that connections also run on a fake clock
//! against a decider of a test. Decides nothing.

use crate::engine::{Clock, Engine, Parcel, Rejected, Route, Scope};
pub use crate::engine::{Identity, Readiness};
use crate::model::Seq;
use addrd_protocol::message::Request;
use addrd_sync::Level;
use std::sync::Arc;

/// The way into the deciding threads.
///
/// Concurrency: every method is called from many connections at once and never waits.
pub trait Decider: Clone + Send + Sync + 'static {
    /// Which thread decides a request.
    fn route(&self, scope: &Scope, request: &Request) -> Route;

    /// Pushes a parcel.
    ///
    /// # Errors
    /// [`Rejected`] with what found no room; what stood before it is on its way.
    fn submit(&self, to: Route, parcel: Parcel) -> Result<(), Rejected>;

    /// The server's time.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Identity of the data, told in HELLO.
    fn identity(&self) -> Identity;

    /// Durable position.
    fn position(&self) -> Seq;

    /// Whether requests are served.
    fn readiness(&self) -> Readiness;

    /// Numbers for people; the server adds its own.
    fn status(&self) -> DeciderStatus;

    /// Connections that were active in the last second: written by the server, the measure of fair
    /// shares of a ring.
    fn active(&self) -> &Level;
}

/// Numbers of the deciding threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeciderStatus {
    /// Workers.
    pub workers: u32,
    /// Networks.
    pub networks: u64,
    /// Live allocations.
    pub allocations: u64,
    /// Position up to which the journal is folded.
    pub folded: u64,
    /// Records in the journal that are not folded.
    pub journal_records: u64,
    /// Most records that the journal may hold.
    pub journal_records_max: u64,
}

impl Decider for Engine {
    fn route(&self, scope: &Scope, request: &Request) -> Route {
        Self::route(self, scope, request)
    }

    fn submit(&self, to: Route, parcel: Parcel) -> Result<(), Rejected> {
        Self::submit(self, to, parcel)
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        Self::clock(self)
    }

    fn identity(&self) -> Identity {
        Self::identity(self)
    }

    fn position(&self) -> Seq {
        Self::position(self)
    }

    fn readiness(&self) -> Readiness {
        Self::readiness(self)
    }

    fn status(&self) -> DeciderStatus {
        let status = Self::status(self);
        DeciderStatus {
            workers: u32::try_from(status.workers).unwrap_or(u32::MAX),
            networks: status.networks,
            allocations: status.allocations,
            folded: self.folded().0,
            journal_records: status.journal_records,
            journal_records_max: status.journal_records_max,
        }
    }

    fn active(&self) -> &Level {
        Self::active(self)
    }
}
