//! Watching changes: a connection of its own, taken up again where it stood after it was lost. Knows
//! nothing of what the changes are about.

use crate::connection::{Connection, ConnectionError};
use crate::endpoint::Transport;
use crate::error::Error;
use crate::lane::{ConnectError, Route, Shared};
use crate::session::{Lane, Sessions};
use crate::{Client, Scope};
use addrd_protocol::codec::ReplyOrFailure;
use addrd_protocol::message::{
    Detail, Event, Events, Failure, FeedPosition, Reply, Request, RequestHeader, Watch, WatchEnd,
    WatchEndReason,
};
use addrd_protocol::{NetworkId, Opcode, Retry, Status, Text};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Signs of life that may be missed before the connection is taken for lost.
const HEARTBEATS_MISSED_MAX: u32 = 4;
/// Time between two signs of life, until the server has said its own.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What comes from a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Something changed.
    Event(Box<Event>),
    /// Everything up to [`Changes::position`] was told, and there was nothing else. Comes now and
    /// then while nothing happens.
    UpToDate,
}

/// Changes as they become durable, in their order.
///
/// After a lost connection, a restart of the server or a pause in which nobody called
/// [`Changes::next`], it goes on where it stood; then what was told last may come again. Two states of
/// one object are told apart by the revision of their events.
///
/// Concurrency: one user. Dropping it ends the watch.
#[derive(Debug)]
pub struct Changes {
    shared: Arc<Shared>,
    scope: Scope,
    watch: Watch,
    route: Route,
    connection: Option<Connection<Transport>>,
    /// Request id of the watch on this connection.
    request_id: u64,
    is_open: bool,
    silence: Duration,
    /// Events of the last frame that were not given out yet.
    waiting: VecDeque<Event>,
    /// Everything up to here was given out, once nothing waits.
    reached: Option<FeedPosition>,
    /// The last frame said that there is nothing else.
    is_up_to_date: bool,
}

impl Client {
    /// Watches changes: of this client's project, and only those of `network` unless that is all zero.
    /// With `watch.from` those behind a position, such as that of a list; else those from now on.
    ///
    /// ```
    /// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), addrd_client::Error> {
    /// # let place = peer::start();
    /// # let client = addrd_client::Client::connect(addrd_client::Settings::to([place.as_str()])?).await?;
    /// use addrd_client::Change;
    /// use addrd_client::protocol::NetworkId;
    /// use addrd_client::protocol::message::Watch;
    ///
    /// let mut changes = client.watch(NetworkId::NIL, Watch::default()).await?;
    /// loop {
    ///     match changes.next().await? {
    ///         Change::Event(event) => println!("{:?}", event.object),
    ///         Change::UpToDate => break,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]; [`Status::RELIST`] if what follows `watch.from` is not kept any more: list anew, and
    /// watch from the position of that list.
    pub async fn watch(&self, network: NetworkId, watch: Watch) -> Result<Changes, Error> {
        let shared = self.shared();
        let route = Route::new(Lane::new(Sessions::None), shared);
        let mut changes = Changes {
            shared: Arc::clone(shared),
            scope: self.scope(network),
            reached: watch.from,
            watch,
            route,
            connection: None,
            request_id: 1,
            is_open: false,
            silence: HEARTBEAT * HEARTBEATS_MISSED_MAX,
            waiting: VecDeque::new(),
            is_up_to_date: false,
        };
        changes.open().await?;
        Ok(changes)
    }
}

impl Changes {
    /// The next change. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`Error`]: the watch has ended. [`Status::RELIST`]: what follows is not kept any more.
    pub async fn next(&mut self) -> Result<Change, Error> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Change::Event(Box::new(event)));
            }
            if std::mem::take(&mut self.is_up_to_date) {
                return Ok(Change::UpToDate);
            }
            if !self.is_open {
                self.open().await?;
            }
            self.receive().await?;
        }
    }

    /// From here a later watch can go on: everything up to it was given out, and perhaps more.
    #[must_use]
    pub fn position(&self) -> Option<FeedPosition> {
        if self.waiting.is_empty() { self.reached } else { self.watch.from }
    }

    /// Connects if need be, and begins the watch where it stands.
    async fn open(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + self.scope.timeout;
        loop {
            let error = match self.try_open().await {
                Ok(()) => return Ok(()),
                Err(ConnectError::Final(error)) => return Err(error),
                Err(ConnectError::Again(error, after)) => {
                    // Without a connection the route has moved on by itself.
                    if self.connection.is_some() {
                        self.lost(after);
                    }
                    error
                }
            };
            if Instant::now() >= deadline {
                return Err(error);
            }
        }
    }

    async fn try_open(&mut self) -> Result<(), ConnectError> {
        if self.connection.is_none() {
            self.connection = Some(self.route.connect(&self.shared).await?);
        }
        self.watch.from = self.reached;
        self.request_id += 1;
        let header = RequestHeader {
            opcode: Opcode::WATCH,
            request_id: self.request_id,
            timeout_ms: 0,
            project: self.scope.project,
            network: self.scope.network,
            pool: self.scope.pool,
            network_project: self.scope.network_project,
            restoring: false,
        };
        let request = Request::Watch(Box::new(self.watch.clone()));
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection
            .queue(&header, &request)
            .map_err(|error| ConnectError::Final(Error::Request(error.to_string())))?;
        let asked = async {
            connection.flush().await?;
            loop {
                let (header, body) = connection.receive().await?;
                // What is left of a watch that ended stands in front of the answer.
                if header.request_id == self.request_id {
                    return Ok(body);
                }
                if let Ok(ReplyOrFailure::GoAway(goaway)) = body {
                    return Err(ConnectionError::GoAway(goaway));
                }
            }
        };
        let answer = tokio::time::timeout(self.scope.timeout, asked).await;
        let answer = answer.map_err(|_| again("no answer in time", Duration::ZERO))?;
        match answer.map_err(|error| again(&error.to_string(), Duration::ZERO))? {
            Ok(ReplyOrFailure::Reply(Reply::Watching(begun))) => {
                let heartbeat = Duration::from_millis(begun.heartbeat_ms.max(1).into());
                self.silence = heartbeat * HEARTBEATS_MISSED_MAX;
                self.reached = Some(begun.begins);
                self.watch.from = self.reached;
                self.is_open = true;
                self.route.worked();
                Ok(())
            }
            Ok(ReplyOrFailure::Failure(failure)) if failure.status.retry() == Retry::Later => {
                let after = Duration::from_millis(failure.retry_after_ms.into());
                Err(ConnectError::Again(Error::Refused(failure), after))
            }
            Ok(ReplyOrFailure::Failure(failure)) => {
                Err(ConnectError::Final(Error::Refused(failure)))
            }
            other => Err(ConnectError::Final(Error::Protocol(format!("to a watch: {other:?}")))),
        }
    }

    /// Takes one frame. A connection that is lost is noted, and no error.
    async fn receive(&mut self) -> Result<(), Error> {
        let Some(connection) = &mut self.connection else {
            self.is_open = false;
            return Ok(());
        };
        let frame = match tokio::time::timeout(self.silence, connection.receive()).await {
            Ok(Ok((_, Ok(frame)))) => frame,
            Ok(Ok((_, Err(error)))) => return Err(Error::Protocol(error.to_string())),
            Ok(Err(ConnectionError::Protocol(text))) => return Err(Error::Protocol(text)),
            Ok(Err(_)) | Err(_) => {
                self.lost(Duration::ZERO);
                return Ok(());
            }
        };
        match frame {
            ReplyOrFailure::Reply(Reply::Events(events)) => {
                self.take(*events);
                Ok(())
            }
            ReplyOrFailure::Reply(Reply::WatchEnd(end)) => self.ended(end),
            ReplyOrFailure::GoAway(_) | ReplyOrFailure::Failure(_) => {
                self.lost(Duration::ZERO);
                Ok(())
            }
            ReplyOrFailure::Reply(_) => Ok(()),
        }
    }

    fn take(&mut self, events: Events) {
        if events.watch == self.request_id {
            // All events of the frame before were given out.
            self.watch.from = self.reached;
            self.waiting = events.items.into();
            self.reached = Some(events.resume);
            self.is_up_to_date = events.up_to_date;
        }
    }

    fn ended(&mut self, end: WatchEnd) -> Result<(), Error> {
        if end.watch != self.request_id {
            return Ok(());
        }
        self.is_open = false;
        self.reached = Some(end.resume);
        match end.reason {
            WatchEndReason::Slow => Ok(()),
            WatchEndReason::Relist => Err(Error::Refused(Box::new(relist(&end)))),
        }
    }

    fn lost(&mut self, after: Duration) {
        self.connection = None;
        self.is_open = false;
        self.route.lost(&self.shared, after);
    }
}

fn again(cause: &str, after: Duration) -> ConnectError {
    ConnectError::Again(Error::OutcomeUnknown { cause: cause.to_owned() }, after)
}

/// The same that the server says to a watch that can't begin.
fn relist(end: &WatchEnd) -> Failure {
    let message = "what follows is not kept any more: list anew, then watch from there";
    let (value, least) = (end.resume.position.0.into(), end.oldest.0.into());
    Failure {
        status: Status::RELIST,
        retry_after_ms: 0,
        item: None,
        field: None,
        message: Text::new(message).unwrap_or_default(),
        details: vec![Detail::Bounds { value, least, most: u64::MAX.into() }],
    }
}
