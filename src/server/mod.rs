//! The way in and out: sockets, connections, sessions, HTTP for operators, shutdown.
//!
//! Waits and moves; decides nothing about addresses and touches no file but its sockets.

mod admission;
mod answers;
mod budget;
mod connection;
pub mod decider;
mod in_flight;
mod listener;
mod mailbox;
mod reading;
mod sessions;
mod shared;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod writing;

pub use decider::{Decider, DeciderStatus, Identity, Readiness};

use crate::config::Config;
use addrd_protocol::message::GoAwayReason;
use listener::{Listener, LocalListener, accept_all, bind_tcp};
use shared::Shared;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server whose sockets are bound and that accepts nothing yet.
#[derive(Debug)]
pub struct Server<D> {
    shared: Arc<Shared<D>>,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    is_insecure: bool,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Connections that had not ended in time and were cut off.
    pub cut_off: u64,
}

/// Why a server can't start.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// An address that others could reach, without TLS and authentication.
    Insecure(SocketAddr),
    /// A socket could not be bound.
    Bind {
        /// Address or path.
        place: String,
        /// Why.
        source: io::Error,
    },
}

/// Binds, serves until `shutdown` is ready, answers what is in flight and closes.
///
/// Runs inside a tokio runtime. Afterwards no parcel of a connection is left in the engine, unless
/// the report says that some were cut off.
///
/// # Errors
/// [`ServeError`]; nothing was accepted.
pub async fn serve<D: Decider>(
    decider: D,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) -> Result<Report, ServeError> {
    Ok(Server::bind(decider, config)?.run(shutdown).await)
}

impl<D: Decider> Server<D> {
    /// Binds every socket.
    ///
    /// # Errors
    /// [`ServeError`]; what was bound is closed again.
    pub fn bind(decider: D, config: &Config) -> Result<Self, ServeError> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        let exposed = config.exposed();
        if let Some(address) = exposed.filter(|_| !config.insecure) {
            return Err(ServeError::Insecure(address));
        }
        for address in &config.listen {
            let failed = |source| ServeError::Bind { place: address.to_string(), source };
            let socket = bind_tcp(*address).map_err(failed)?;
            addresses.push(socket.local_addr().map_err(failed)?);
            listeners.push(Listener::Tcp(socket));
        }
        if let Some(path) = config.unix_socket_path() {
            let failed = |source| ServeError::Bind { place: path.display().to_string(), source };
            listeners.push(Listener::Local(LocalListener::bind(&path).map_err(failed)?));
        }
        let shared = Shared::new(decider, config.bounds.clone());
        Ok(Self { shared, listeners, addresses, is_insecure: exposed.is_some() })
    }

    /// The TCP addresses that are listened on, as the system chose them.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown` is ready; then accepts nothing more, tells every connection its last
    /// request (GOAWAY), answers what is in flight, and closes.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        let Self { shared, listeners, is_insecure, .. } = self;
        let connections = TaskTracker::new();
        let listening = TaskTracker::new();
        let stop = CancellationToken::new();
        for listener in listeners {
            let (shared, connections) = (Arc::clone(&shared), connections.clone());
            listening.spawn(accept_all(listener, shared, connections, stop.clone()));
        }
        listening.close();
        tokio::select! {
            () = shutdown => {}
            () = keep_house(&shared, is_insecure) => {}
        }
        stop.cancel();
        listening.wait().await;
        close_all(&shared, &connections).await
    }
}

/// Ends all connections; those that have not ended in time are left to the end of the runtime.
async fn close_all<D: Decider>(shared: &Shared<D>, connections: &TaskTracker) -> Report {
    shared.is_stopping.raise();
    shared.crowd.close_all(GoAwayReason::Shutdown);
    connections.close();
    let most = shared.bounds.shutdown + Duration::from_millis(crate::limits::LINGER_MS);
    if tokio::time::timeout(most, connections.wait()).await.is_err() {
        tracing::warn!(count = connections.len(), "connections were cut off");
    }
    Report { cut_off: connections.len() as u64 }
}

/// What is due once a second, for ever.
async fn keep_house<D: Decider>(shared: &Shared<D>, is_insecure: bool) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for count in 0_u64.. {
        second.tick().await;
        shared.decider.active().set(shared.activity.turn());
        shared.sessions.sweep(Instant::now());
        tracing::trace!(
            connections = shared.admission.connections(),
            ungreeted = shared.admission.ungreeted(),
            sessions = shared.sessions.count(),
            "a second has passed"
        );
        if is_insecure && count % WARN_SECONDS == 0 {
            tracing::warn!("insecure: others can reach this server, and it asks nobody who he is");
        }
    }
}

/// Seconds between two warnings of an insecure server.
const WARN_SECONDS: u64 = 60;

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure(address) => write!(
                f,
                "{address} can be reached by others, and TLS and authentication are not built yet: \
                 listen on a loopback address, or set insecure = true"
            ),
            Self::Bind { place, source } => write!(f, "cannot listen on {place}: {source}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Insecure(_) => None,
            Self::Bind { source, .. } => Some(source),
        }
    }
}
