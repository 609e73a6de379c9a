//! From endpoints to a connection: failover, back-off, HELLO, the pinned server. Sends no request
//! of a caller.

use super::run::Shared;
use crate::backoff::Backoff;
use crate::connection::{Connection, ConnectionError, is_pinned, plain_hello};
use crate::endpoint::Transport;
use crate::error::Error;
use crate::session::Lane;
use addrd_protocol::message::{GoAwayReason, Hello};
use addrd_protocol::{Retry, Status};
use std::time::Duration;

/// Where a lane connects to next, and how often that failed.
#[derive(Debug)]
pub(crate) struct Route {
    lane: Lane,
    /// Index of the endpoint to try.
    next: usize,
    /// Tries since the last success.
    failures: usize,
    /// Endpoints in a row that failed over TLS.
    tls_failures: usize,
    backoff: Backoff,
    /// Least wait before the next try.
    pause: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// Another try may help, not sooner than the server's advice.
    Again(Error, Duration),
    /// It would not.
    Final(Error),
}

impl Route {
    pub(crate) fn new(lane: Lane, shared: &Shared) -> Self {
        Self {
            lane,
            next: 0,
            failures: 0,
            tls_failures: 0,
            backoff: Backoff::new(shared.settings.backoff),
            pause: Duration::ZERO,
        }
    }

    /// The connection worked: the next failure is a first one.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
        self.tls_failures = 0;
        self.backoff.reset();
    }

    /// The connection was lost or is going away; the next one may be elsewhere.
    pub(crate) fn lost(&mut self, shared: &Shared, after: Duration) {
        self.next = (self.next + 1) % shared.settings.endpoints.len();
        self.pause = self.backoff.after_failure(after);
    }

    /// How often all endpoints failed in a row.
    pub(crate) fn rounds(&self, shared: &Shared) -> usize {
        self.failures / shared.settings.endpoints.len()
    }

    /// Waits as long as earlier failures demand, then tries one endpoint once.
    pub(crate) async fn connect(
        &mut self,
        shared: &Shared,
    ) -> Result<Connection<Transport>, ConnectError> {
        tokio::time::sleep(std::mem::take(&mut self.pause)).await;
        let result = self.attempt(shared).await;
        let result = self.judged(result, shared);
        if let Err(ConnectError::Again(_, after)) = &result {
            self.failures += 1;
            self.next = (self.next + 1) % shared.settings.endpoints.len();
            // Other endpoints are tried at once, the same ones only after a wait.
            if self.failures.is_multiple_of(shared.settings.endpoints.len()) || !after.is_zero() {
                self.pause = self.backoff.after_failure(*after);
            }
        }
        result
    }

    /// What TLS refuses at one endpoint may be let in at another: it is final only after all of them
    /// in a row.
    fn judged<T>(
        &mut self,
        result: Result<T, ConnectError>,
        shared: &Shared,
    ) -> Result<T, ConnectError> {
        match result {
            Err(ConnectError::Final(error @ Error::Tls { .. })) => {
                self.tls_failures += 1;
                if self.tls_failures < shared.settings.endpoints.len() {
                    return Err(ConnectError::Again(error, Duration::ZERO));
                }
                self.tls_failures = 0;
                Err(ConnectError::Final(error))
            }
            other => {
                self.tls_failures = 0;
                other
            }
        }
    }

    async fn attempt(&mut self, shared: &Shared) -> Result<Connection<Transport>, ConnectError> {
        let settings = &shared.settings;
        let Some(endpoint) = settings.endpoints.get(self.next) else {
            return Err(ConnectError::Final(Error::Closed));
        };
        let place = endpoint.to_string();
        let hello = self.hello(shared);
        let attempt = async {
            let stream = endpoint.open_with(settings.tls.as_ref()).await?;
            Connection::hello(stream, &hello).await
        };
        let connection = match tokio::time::timeout(settings.connect_timeout, attempt).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(failed(error, &place, shared)),
            Err(_) => return Err(again(&place, "no answer in time", Duration::ZERO)),
        };
        let server = connection.server();
        if !is_pinned(shared.pinned(), server) {
            let found = Some(server.server_id);
            return Err(ConnectError::Final(wrong_server(&place, found, shared)));
        }
        shared.met(server);
        Ok(connection)
    }

    fn hello(&mut self, shared: &Shared) -> Hello {
        let settings = &shared.settings;
        let session = self.lane.session;
        let epoch = if session.is_nil() { 0 } else { self.lane.next_epoch() };
        let plain = plain_hello();
        Hello {
            session,
            epoch,
            server_id: shared.pinned(),
            client: settings.client.clone().or_else(|| plain.client.clone()),
            manager: settings.manager.clone(),
            host: settings.host.clone(),
            ..plain
        }
    }
}

fn again(endpoint: &str, cause: &str, after: Duration) -> ConnectError {
    let error = Error::Unreachable { endpoint: endpoint.to_owned(), cause: cause.to_owned() };
    ConnectError::Again(error, after)
}

fn wrong_server(endpoint: &str, found: Option<addrd_protocol::ServerId>, shared: &Shared) -> Error {
    let expected = shared.pinned().unwrap_or_default();
    Error::WrongServer { expected, found, endpoint: endpoint.to_owned() }
}

/// What a failed HELLO means for the next try.
fn failed(error: ConnectionError, endpoint: &str, shared: &Shared) -> ConnectError {
    match error {
        ConnectionError::Refused(failure) => match (failure.status, failure.status.retry()) {
            (Status::WRONG_SERVER, _) => ConnectError::Final(wrong_server(endpoint, None, shared)),
            (Status::SESSION_STALE | Status::SESSION_REPLACED, _) => {
                ConnectError::Final(Error::SessionReplaced)
            }
            (_, Retry::Later | Retry::Unknown | Retry::Done) => {
                let after = Duration::from_millis(failure.retry_after_ms.into());
                again(endpoint, &format!("{}: {}", failure.status, failure.message), after)
            }
            (_, Retry::Refused | Retry::Invalid | Retry::Denied) => {
                ConnectError::Final(Error::Refused(failure))
            }
        },
        ConnectionError::GoAway(goaway) if goaway.reason == GoAwayReason::SessionReplaced => {
            ConnectError::Final(Error::SessionReplaced)
        }
        ConnectionError::Tls(failure) => {
            ConnectError::Final(Error::Tls { endpoint: endpoint.to_owned(), failure })
        }
        ConnectionError::Protocol(text) => {
            ConnectError::Final(Error::Protocol(format!("{endpoint}: {text}")))
        }
        other => again(endpoint, &other.to_string(), Duration::ZERO),
    }
}
