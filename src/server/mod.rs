//! The way in and out: sockets, connections, sessions, HTTP for operators, shutdown.
//!
//! Waits and moves; decides nothing about addresses and touches no file but its sockets.

mod access;
mod accounts;
mod admission;
mod answers;
mod budget;
mod connection;
mod cost;
pub mod decider;
mod figures;
mod http;
mod in_flight;
mod listener;
mod mailbox;
mod operators;
mod origin;
mod reading;
#[cfg(any(test, fuzzing))]
pub mod rehearsal;
mod sessions;
mod shared;
#[cfg(test)]
mod simulation;
mod sockets;
mod strangers;
mod supervisor;
#[cfg(any(test, fuzzing))]
mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod writing;

pub use decider::{Decider, DeciderStatus, Figures, Identity, Readiness};
pub use operators::Operators;
pub use sockets::Sockets;
pub use supervisor::{tell_ready, tell_stopping};
#[cfg(any(test, fuzzing))]
pub use tls::rehearsal as tls_rehearsal;
pub use tls::{CertificateName, Reload, Tls, TlsError};

use crate::config::Config;
use crate::engine::StartProgress;
use crate::telemetry::log::Log;
use access::Doorkeeper;
use addrd_protocol::message::GoAwayReason;
use listener::{Listener, accept_all};
use shared::Shared;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server whose sockets are bound and that accepts nothing yet.
#[derive(Debug)]
pub struct Server<D> {
    shared: Arc<Shared<D>>,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    /// Those that end with it.
    operators: Option<Operators>,
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
    /// An address that others could reach, and that asks nobody who he is.
    Insecure {
        /// Which.
        address: SocketAddr,
        /// What would make it lawful.
        why: String,
    },
    /// A certificate or key can't be used.
    Tls(TlsError),
    /// There is no operator's token where there should be one.
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
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
    /// Binds every socket and listens; operators are told that it serves for as long as it runs.
    ///
    /// # Errors
    /// [`ServeError`]; what was bound is closed again.
    pub fn bind(decider: D, config: &Config, log: Option<Log>) -> Result<Self, ServeError> {
        let mut sockets = Sockets::bind(config)?;
        let operators = sockets.tell_operators(Arc::new(StartProgress::done()));
        let server = Self::over(sockets, &operators, decider, config, log)?;
        Ok(Self { operators: Some(operators), ..server })
    }

    /// Listens on sockets that are bound, and becomes what operators are told about.
    ///
    /// # Errors
    /// [`ServeError`]; the sockets are closed.
    pub fn over(
        sockets: Sockets,
        operators: &Operators,
        decider: D,
        config: &Config,
        log: Option<Log>,
    ) -> Result<Self, ServeError> {
        let (addresses, is_insecure) = (sockets.addresses(), sockets.is_insecure);
        let doorkeeper = Doorkeeper::new(config, sockets.operator_token.as_ref());
        let tls = sockets.tls.clone();
        let listeners = sockets.listen()?;
        let connections = Arc::clone(&operators.front.connections);
        let shared = Shared::new(decider, config, log, connections, tls, doorkeeper);
        operators.front.serves(Arc::<Shared<D>>::clone(&shared));
        Ok(Self { shared, listeners, addresses, operators: None, is_insecure })
    }

    /// The TCP addresses that are listened on, as the system chose them.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What TCP addresses present, if they speak TLS; it can be told to read its files again.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.shared.tls.clone()
    }

    /// The HTTP address of [`Server::bind`], as the system chose it.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.operators.as_ref().and_then(Operators::address)
    }

    /// Serves until `shutdown` is ready; then accepts nothing more, tells every connection its last
    /// request (GOAWAY), answers what is in flight, and closes.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        let Self { shared, listeners, operators, is_insecure, .. } = self;
        let connections = TaskTracker::new();
        let listening = TaskTracker::new();
        let stop = CancellationToken::new();
        for listener in listeners {
            let (shared, connections) = (Arc::clone(&shared), connections.clone());
            listening.spawn(accept_all(listener, shared, connections, stop.clone()));
        }
        if let Some(tls) = shared.tls.clone() {
            listening.spawn(watch_files(tls, stop.clone()));
        }
        listening.close();
        let serve = async {
            shutdown.await;
            stop.cancel();
            // Figures go on meanwhile: operators see it stopping until the end.
            close_all(&shared, &connections).await
        };
        let report = tokio::select! {
            report = serve => report,
            never = keep_house(&shared, is_insecure) => match never {},
            never = access::watch_access(&shared) => match never {},
            never = access::watch_certificates(&shared) => match never {},
        };
        shared.is_closed.raise();
        listening.wait().await;
        if let Some(operators) = operators {
            operators.close().await;
        }
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

/// Looks now and then whether the files of TLS have changed, until told to stop.
async fn watch_files(tls: Arc<Tls>, stop: CancellationToken) {
    let pause = Duration::from_secs(crate::limits::TLS_WATCH_SECONDS);
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let tls = Arc::clone(&tls);
        // Reading files may take long; a panic in it was reported, and the next look tries again.
        // Nor does the end wait for a disk that doesn't answer.
        let _ = stop.run_until_cancelled(spawn_blocking(move || tls.reload_if_changed())).await;
    }
}

/// What is due once a second, for ever.
async fn keep_house<D: Decider>(shared: &Shared<D>, is_insecure: bool) -> Infallible {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count = 0_u64;
    loop {
        second.tick().await;
        shared.decider.active().set(shared.activity.turn());
        let now = Instant::now();
        let principals = shared.accounts.turn(shared.elapsed_ns(now));
        shared.decider.active_principals().set(principals);
        shared.sessions.sweep(now);
        shared.strangers.sweep(now);
        shared.house_turned_ns.set(shared.decider.clock().monotonic_ns());
        figures::fold(shared);
        if is_insecure && count.is_multiple_of(WARN_SECONDS) {
            tracing::warn!("insecure: others can reach this server, and it asks nobody who he is");
        }
        count += 1;
    }
}

/// Seconds between two warnings of an insecure server.
const WARN_SECONDS: u64 = 60;

impl ServeError {
    fn bind(place: String, source: io::Error) -> Self {
        Self::Bind { place, source }
    }
}

impl From<TlsError> for ServeError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure { address, why } => write!(f, "{address}: {why}"),
            Self::Tls(error) => error.fmt(f),
            Self::Token { path, why } => write!(f, "operator_token_file {}: {why}", path.display()),
            Self::Bind { place, source } => write!(f, "cannot listen on {place}: {source}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Insecure { .. } | Self::Tls(_) | Self::Token { .. } => None,
            Self::Bind { source, .. } => Some(source),
        }
    }
}
