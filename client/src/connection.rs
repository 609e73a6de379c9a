//! One connection: HELLO, then frames in both directions. Never reconnects, repeats or waits for
//! anything but its peer; [`crate::Client`] does.

use crate::tls::TlsFailure;
use addrd_protocol::codec::{
    DecodedReply, REPLY_BYTES_MAX, ReplyDecoder, ReplyOrFailure, encode_request,
};
use addrd_protocol::header::{REPLY_HEADER_BYTES, VERSION};
use addrd_protocol::message::{Failure, GoAway, Hello, HelloReply, Reply, Request, RequestHeader};
use addrd_protocol::{
    EncodeError, FrameError, NetworkId, Opcode, ProjectId, ServerId, SessionId, Text,
};
use bytes::BytesMut;
use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::Decoder;

/// Room that is made for a read, bytes.
const READ_BYTES: usize = 16 << 10;
/// Request id of HELLO; a connection's own requests follow it.
const HELLO_REQUEST_ID: u64 = 1;

/// Why a connection is of no further use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The transport failed.
    Io {
        /// How.
        kind: io::ErrorKind,
        /// What the system says, such as that a host name has no address.
        text: String,
    },
    /// The peer closed it.
    Closed,
    /// HELLO was refused, or an ERROR frame came.
    Refused(Box<Failure>),
    /// The server is going away and says up to where it read.
    GoAway(GoAway),
    /// TLS failed, or is spoken on one side only.
    Tls(TlsFailure),
    /// The bytes are not what the protocol says.
    Protocol(String),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { text, .. } => f.write_str(text),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Refused(failure) => write!(f, "{}: {}", failure.status, failure.message),
            Self::GoAway(goaway) => {
                write!(f, "the server ends the connection: {:?}", goaway.reason)
            }
            Self::Tls(failure) => failure.fmt(f),
            Self::Protocol(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ConnectionError {}

impl From<io::Error> for ConnectionError {
    /// A server that refuses a certificate says so in place of its first reply.
    fn from(error: io::Error) -> Self {
        if let Some(failure) = TlsFailure::of(&error) {
            return Self::Tls(failure);
        }
        Self::Io { kind: error.kind(), text: error.to_string() }
    }
}

impl From<FrameError> for ConnectionError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(kind) => Self::Io { kind, text: kind.to_string() },
            FrameError::Truncated => Self::Closed,
            error => Self::Protocol(error.to_string()),
        }
    }
}

/// A connection whose HELLO was answered.
///
/// ```
/// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use addrd_client::protocol::message::{Ping, Request, RequestHeader};
/// use addrd_client::protocol::{NetworkId, Opcode, ProjectId};
/// use addrd_client::{Connection, Endpoint, plain_hello};
///
/// let place = Endpoint::default();
/// # let place: Endpoint = peer::start().parse()?;
/// let stream = place.open().await?;
/// let mut connection = Connection::hello(stream, &plain_hello()).await?;
/// let header = RequestHeader {
///     opcode: Opcode::PING,
///     request_id: 2,
///     timeout_ms: 0,
///     project: ProjectId::DEFAULT,
///     network: NetworkId::NIL,
///     pool: false,
///     network_project: None,
///     restoring: false,
/// };
/// connection.queue(&header, &Request::Ping(Ping {}))?;
/// connection.flush().await?;
/// let (reply, _body) = connection.receive().await?;
/// assert_eq!(reply.request_id, 2);
/// # Ok(())
/// # }
/// ```
///
/// Concurrency: one user; requests may be queued while earlier ones have no reply yet, up to the
/// credit of [`Connection::server`].
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    server: HelloReply,
}

/// A HELLO of this version of the protocol without session, manager, host or token.
#[must_use]
pub fn plain_hello() -> Hello {
    Hello {
        version_min: VERSION,
        version_max: VERSION,
        features: 0,
        session: SessionId::NIL,
        epoch: 0,
        server_id: None,
        client: Text::new(concat!("addrd-client ", env!("CARGO_PKG_VERSION"))).ok(),
        manager: None,
        host: None,
        token: None,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Says HELLO over a fresh stream and waits for the answer. The caller bounds the time.
    ///
    /// # Errors
    /// [`ConnectionError`]; nothing but HELLO was sent.
    pub async fn hello(mut stream: S, hello: &Hello) -> Result<Self, ConnectionError> {
        let mut output = BytesMut::new();
        let request = Request::Hello(Box::new(hello.clone()));
        let header = RequestHeader {
            opcode: Opcode::HELLO,
            request_id: HELLO_REQUEST_ID,
            timeout_ms: 0,
            project: ProjectId::NIL,
            network: NetworkId::NIL,
            pool: false,
            network_project: None,
            restoring: false,
        };
        encode_request(&header, &request, &mut output)
            .map_err(|error| ConnectionError::Protocol(error.to_string()))?;
        stream.write_all_buf(&mut output).await?;
        stream.flush().await?;
        let mut input = BytesMut::new();
        let answer = next_frame(&mut stream, &mut input).await;
        let answer = answer.map_err(|error| foreign(&input).unwrap_or(error))?;
        let server = hello_answer(answer)?;
        Ok(Self { stream, input, output, server })
    }

    /// Puts a request into the output buffer; [`Connection::flush`] sends it.
    ///
    /// # Errors
    /// [`EncodeError`]: the buffer is as it was.
    pub fn queue(&mut self, header: &RequestHeader, request: &Request) -> Result<(), EncodeError> {
        encode_request(header, request, &mut self.output)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// [`ConnectionError::Io`]: what was queued may have arrived in part.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        self.stream.write_all_buf(&mut self.output).await?;
        Ok(self.stream.flush().await?)
    }

    /// Waits for the next frame of the server.
    ///
    /// # Errors
    /// [`ConnectionError`]: nothing more will come.
    pub async fn receive(&mut self) -> Result<DecodedReply, ConnectionError> {
        next_frame(&mut self.stream, &mut self.input).await
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &HelloReply {
        &self.server
    }

    /// The stream, and bytes that were read from it and not yet taken.
    #[must_use]
    pub fn into_parts(self) -> (S, BytesMut, HelloReply) {
        (self.stream, self.input, self.server)
    }
}

async fn next_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
) -> Result<DecodedReply, ConnectionError> {
    loop {
        if let Some(frame) = ReplyDecoder::default().decode(input)? {
            return Ok(frame);
        }
        input.reserve(READ_BYTES);
        if stream.read_buf(input).await? == 0 {
            return Err(ConnectionError::Closed);
        }
    }
}

/// What answered HELLO, if its first bytes are the length of no reply: then they are none.
fn foreign(input: &[u8]) -> Option<ConnectionError> {
    let start: &[u8; 4] = input.first_chunk()?;
    let length = u32::from_be_bytes(*start);
    if (REPLY_HEADER_BYTES as u32..=REPLY_BYTES_MAX).contains(&length) {
        return None;
    }
    let what = match start {
        b"HTTP" => "an HTTP port",
        [0x15 | 0x16, 3, ..] => return Some(ConnectionError::Tls(TlsFailure::Needed)),
        _ => "something else",
    };
    let text = format!(
        "{what} answers there, not a port of addrd's protocol (the \"listen\" of a server)"
    );
    Some(ConnectionError::Protocol(text))
}

/// What answers HELLO: its reply, a refusal under its request id or as an ERROR frame.
fn hello_answer((header, body): DecodedReply) -> Result<HelloReply, ConnectionError> {
    let unexpected = |text: &str| Err(ConnectionError::Protocol(text.to_owned()));
    match body {
        Ok(ReplyOrFailure::Reply(Reply::Hello(reply))) if header.request_id == HELLO_REQUEST_ID => {
            match reply.version {
                VERSION => Ok(*reply),
                version => unexpected(&format!("the server chose version {version}")),
            }
        }
        Ok(ReplyOrFailure::Failure(failure)) => Err(ConnectionError::Refused(failure)),
        Ok(ReplyOrFailure::GoAway(goaway)) => Err(ConnectionError::GoAway(goaway)),
        Ok(_) => unexpected("something else answered HELLO"),
        Err(error) => unexpected(&format!("the answer to HELLO: {error}")),
    }
}

/// Whether a server is the pinned one.
pub(crate) fn is_pinned(pinned: Option<ServerId>, server: &HelloReply) -> bool {
    pinned.is_none_or(|pinned| pinned == server.server_id)
}
