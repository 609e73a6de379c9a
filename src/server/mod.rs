//! The way in and out: sockets, connections, sessions, HTTP for operators, shutdown.
//!
//! Waits and moves; decides nothing about addresses and touches no file but its sockets.

mod admission;
mod answers;
mod budget;
mod connection;
pub mod decider;
mod figures;
mod http;
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

pub use decider::{Decider, DeciderStatus, Figures, Identity, Readiness, SubnetFill};

use crate::config::Config;
use crate::telemetry::log::Log;
use addrd_protocol::message::GoAwayReason;
use http::serve_http;
use listener::{Listener, LocalListener, accept_all, bind_tcp};
use shared::Shared;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server whose sockets are bound and that accepts nothing yet.
#[derive(Debug)]
pub struct Server<D> {
    shared: Arc<Shared<D>>,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    http: Option<TcpListener>,
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
    log: Option<Log>,
    shutdown: impl Future<Output = ()>,
) -> Result<Report, ServeError> {
    Ok(Server::bind(decider, config, log)?.run(shutdown).await)
}

impl<D: Decider> Server<D> {
    /// Binds every socket.
    ///
    /// # Errors
    /// [`ServeError`]; what was bound is closed again.
    pub fn bind(decider: D, config: &Config, log: Option<Log>) -> Result<Self, ServeError> {
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
        let http = config.http.map(|address| {
            let failed = |source| ServeError::Bind { place: address.to_string(), source };
            bind_tcp(address).map_err(failed)
        });
        let (http, is_insecure) = (http.transpose()?, exposed.is_some());
        let shared = Shared::new(decider, config, log);
        Ok(Self { shared, listeners, addresses, http, is_insecure })
    }

    /// The TCP addresses that are listened on, as the system chose them.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The HTTP address, as the system chose it.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown` is ready; then accepts nothing more, tells every connection its last
    /// request (GOAWAY), answers what is in flight, and closes.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        let Self { shared, listeners, http, is_insecure, .. } = self;
        let connections = TaskTracker::new();
        let listening = TaskTracker::new();
        let stop = CancellationToken::new();
        for listener in listeners {
            let (shared, connections) = (Arc::clone(&shared), connections.clone());
            listening.spawn(accept_all(listener, shared, connections, stop.clone()));
        }
        let stop_http = CancellationToken::new();
        if let Some(listener) = http {
            listening.spawn(serve_http(listener, Arc::clone(&shared), stop_http.clone()));
        }
        listening.close();
        tokio::select! {
            () = shutdown => {}
            () = keep_house(&shared, is_insecure) => {}
        }
        stop.cancel();
        // Operators see it stopping until the end.
        let report = close_all(&shared, &connections).await;
        stop_http.cancel();
        listening.wait().await;
        report
    }
}

/// Ends all connections; those that have not ended in time are left to the end of the runtime.
async fn close_all<D: Decider>(shared: &Shared<D>, connections: &TaskTracker) -> Report {
    shared.is_stopping.raise();
    shared.crowd.close_all(GoAwayReason::Shutdown);
    connections.close();
    let own = crate::limits::CLOSING_DECIDED_MS + crate::limits::LINGER_MS;
    let most = shared.bounds.shutdown + Duration::from_millis(own);
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
        shared.house_turned_ns.set(shared.decider.clock().monotonic_ns());
        figures::fold(shared);
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
