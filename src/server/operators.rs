//! What operators are told on the HTTP address, from before the data is read until the process
//! ends. Knows nothing by itself: it asks whoever is there by then.

use super::figures;
use super::http::serve_http;
use super::tls::Tls;
use crate::engine::StartProgress;
use crate::telemetry::Exporter;
use crate::telemetry::metrics as m;
use addrd_sync::Level;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server as operators see it.
pub(super) trait Operated: Send + Sync {
    /// Whether every loop turns.
    ///
    /// # Errors
    /// Those that don't, a line each.
    fn liveness(&self) -> Result<(), String>;

    /// Whether every request is served.
    ///
    /// # Errors
    /// Why not, a line.
    fn readiness(&self) -> Result<(), String>;

    /// What operators should know although every request is served: lines.
    fn notes(&self) -> String;

    /// The text of `/metrics`.
    fn metrics(&self) -> String;
}

/// What the HTTP connections share.
pub(super) struct Front {
    progress: Arc<StartProgress>,
    server: OnceLock<Arc<dyn Operated>>,
    pub(super) connections: Arc<Level>,
}

impl Front {
    pub(super) fn new(progress: Arc<StartProgress>) -> Arc<Self> {
        Arc::new(Self { progress, server: OnceLock::new(), connections: Arc::default() })
    }

    /// From now on it is asked.
    pub(super) fn serves(&self, server: Arc<dyn Operated>) {
        // A second one would be a second server of the same process: the first one stays.
        let _ = self.server.set(server);
    }

    /// While the data is read no loop has begun to turn.
    pub(super) fn liveness(&self) -> Result<(), String> {
        self.server.get().map_or(Ok(()), |server| server.liveness())
    }

    pub(super) fn readiness(&self) -> Result<(), String> {
        match self.server.get() {
            Some(server) => server.readiness(),
            None => Err(format!("recovering: {} %\n", self.progress.percent())),
        }
    }

    pub(super) fn notes(&self) -> String {
        self.server.get().map_or_else(String::new, |server| server.notes())
    }

    pub(super) fn metrics(&self) -> String {
        match self.server.get() {
            Some(server) => server.metrics(),
            None => early_metrics(&self.progress),
        }
    }
}

/// What can be told before there is a server.
fn early_metrics(progress: &StartProgress) -> String {
    let exporter = Exporter::new();
    figures::build(&exporter);
    exporter.gauge(&m::READY, &[], 0.0);
    exporter.gauge(&m::RECOVERED, &[], f64::from(progress.percent()) / 100.0);
    exporter.render()
}

/// The HTTP address, being served.
pub struct Operators {
    pub(super) front: Arc<Front>,
    address: Option<SocketAddr>,
    stop: CancellationToken,
    task: TaskTracker,
}

impl Operators {
    /// Serves `/metrics`, `/livez` and `/readyz` from now on, over TLS if it is given; without a
    /// listener nothing. Runs inside a tokio runtime.
    pub(super) fn open(
        listener: Option<TcpListener>,
        tls: Option<Arc<Tls>>,
        progress: Arc<StartProgress>,
    ) -> Self {
        let (front, stop, task) =
            (Front::new(progress), CancellationToken::new(), TaskTracker::new());
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = listener {
            task.spawn(serve_http(listener, tls, Arc::clone(&front), stop.clone()));
        }
        task.close();
        Self { front, address, stop, task }
    }

    /// Something else that goes on until the end.
    pub(super) fn spawn<F>(&self, what: impl FnOnce(Arc<Front>, CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.task.spawn(what(Arc::clone(&self.front), self.stop.clone()));
    }

    /// The address, as the system chose it.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends: nobody is told anything any more.
    pub async fn close(self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}

impl std::fmt::Debug for Operators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operators").field("address", &self.address).finish_non_exhaustive()
    }
}
