//! One raw connection: requests out, replies in, in whatever order and amount a test wants.
//! Repeats nothing and hides nothing.

use super::network::POOLED;
use super::soon;
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::header::ReplyHeader;
use addrd_client::protocol::message::{Failure, GoAway, Hello, Reply, Request, RequestHeader};
use addrd_client::protocol::{NetworkId, Opcode, ProjectId, SessionId};
use addrd_client::{Connection, ConnectionError, plain_hello};
use bytes::BytesMut;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// What a request got.
pub(crate) type Answer = Result<Reply, Box<Failure>>;

/// A connection whose HELLO was answered.
#[derive(Debug)]
pub(crate) struct Line {
    connection: Connection<TcpStream>,
    last_id: u64,
    /// Set once the server said that it goes away.
    pub(crate) goaway: Option<GoAway>,
}

/// A HELLO with a session.
pub(crate) fn hello_of(session: SessionId, epoch: u64) -> Hello {
    Hello { session, epoch, ..plain_hello() }
}

/// A header for a request on a network of the default project, on the prefixes of [`POOLED`] if it names
/// that; the codec puts the operation in.
pub(crate) fn header(network: NetworkId, request_id: u64) -> RequestHeader {
    RequestHeader {
        opcode: Opcode::PING,
        request_id,
        timeout_ms: 0,
        project: ProjectId::DEFAULT,
        network,
        pool: network == POOLED,
        network_project: None,
        restoring: false,
    }
}

/// Opens a stream that sends small writes at once.
///
/// # Errors
/// Those of the socket.
pub(crate) async fn dial(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Line {
    /// Connects and says HELLO.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) async fn open(address: SocketAddr, hello: &Hello) -> Result<Self, ConnectionError> {
        Self::over(dial(address).await?, hello).await
    }

    /// Says HELLO over a stream.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) async fn over(stream: TcpStream, hello: &Hello) -> Result<Self, ConnectionError> {
        let connection = soon("an answer to HELLO", Connection::hello(stream, hello)).await?;
        Ok(Self { connection, last_id: 1, goaway: None })
    }

    /// Queues a request and returns its id.
    ///
    /// # Panics
    /// When it does not fit a frame.
    pub(crate) fn queue(&mut self, network: NetworkId, request: &Request) -> u64 {
        self.queue_as(ProjectId::DEFAULT, network, request)
    }

    /// The same for a project.
    ///
    /// # Panics
    /// When it does not fit a frame.
    pub(crate) fn queue_as(
        &mut self,
        project: ProjectId,
        network: NetworkId,
        request: &Request,
    ) -> u64 {
        self.last_id += 1;
        let home = ProjectId::DEFAULT;
        // Who asks about all networks names none.
        let is_guest = home != project && network != NetworkId::NIL;
        let network_project = Some(home).filter(|_| is_guest);
        let header = RequestHeader { project, network_project, ..header(network, self.last_id) };
        self.connection.queue(&header, request).expect("a request of a test fits its frame");
        self.last_id
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// [`ConnectionError::Io`].
    pub(crate) async fn flush(&mut self) -> Result<(), ConnectionError> {
        soon("room to write", self.connection.flush()).await
    }

    /// The next reply. GOAWAY is noted and passed over.
    ///
    /// # Errors
    /// [`ConnectionError`]: nothing more will come, or an ERROR frame came.
    ///
    /// # Panics
    /// When a reply cannot be read.
    pub(crate) async fn next(&mut self) -> Result<(ReplyHeader, Answer), ConnectionError> {
        loop {
            let (header, body) = soon("a reply", self.connection.receive()).await?;
            match body.unwrap_or_else(|error| panic!("{header:?} cannot be read: {error}")) {
                ReplyOrFailure::GoAway(goaway) => self.goaway = Some(goaway),
                ReplyOrFailure::Failure(failure) if header.opcode == Opcode::ERROR => {
                    return Err(ConnectionError::Refused(failure));
                }
                ReplyOrFailure::Reply(reply) => return Ok((header, Ok(reply))),
                ReplyOrFailure::Failure(failure) => return Ok((header, Err(failure))),
            }
        }
    }

    /// Sends one request and waits for its reply.
    ///
    /// # Errors
    /// [`ConnectionError`]: the outcome is unknown.
    ///
    /// # Panics
    /// When another request is answered.
    pub(crate) async fn call(
        &mut self,
        network: NetworkId,
        request: &Request,
    ) -> Result<Answer, ConnectionError> {
        let id = self.queue(network, request);
        self.flush().await?;
        let (header, answer) = self.next().await?;
        assert_eq!((header.request_id, header.opcode), (id, request.opcode()));
        Ok(answer)
    }

    /// The stream, and what was read from it and not yet taken.
    pub(crate) fn into_stream(self) -> (TcpStream, BytesMut) {
        let (stream, input, _) = self.connection.into_parts();
        (stream, input)
    }

    /// Reads replies until the server closes; returns them and how it ended.
    pub(crate) async fn drain(&mut self) -> (Vec<(ReplyHeader, Answer)>, ConnectionError) {
        let mut replies = Vec::new();
        loop {
            match self.next().await {
                Ok(reply) => replies.push(reply),
                Err(end) => return (replies, end),
            }
        }
    }
}
