//! Everything that a server says to one side, byte for byte: a relay that a client speaks through, and a
//! connection that asks with frames as they are. Judges nothing.

use super::line::dial;
use super::soon;
use addrd_client::plain_hello;
use addrd_client::protocol::codec::{ReplyOrFailure, decode_reply, encode_request};
use addrd_client::protocol::message::{Hello, Request, RequestHeader};
use addrd_client::protocol::{NetworkId, Opcode, ProjectId, Status, Token};
use bytes::{Buf, Bytes, BytesMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What was heard, one piece for each connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Heard {
    fn begin(&self) -> usize {
        let mut pieces = self.0.lock().expect("nobody panicked in between");
        pieces.push(Vec::new());
        pieces.len() - 1
    }

    fn note(&self, at: usize, bytes: &[u8]) {
        let mut pieces = self.0.lock().expect("nobody panicked in between");
        pieces[at].extend_from_slice(bytes);
    }

    /// Bytes in all.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("nobody panicked in between").iter().map(Vec::len).sum()
    }

    /// Where a mark was heard, with what stands around it; empty: it wasn't.
    pub(crate) fn of(&self, mark: &[u8]) -> Vec<String> {
        let pieces = self.0.lock().expect("nobody panicked in between");
        let mut found = Vec::new();
        for piece in pieces.iter() {
            if let Some(at) = piece.windows(mark.len()).position(|window| window == mark) {
                let around = &piece[at.saturating_sub(96)..piece.len().min(at + 96)];
                found.push(around.escape_ascii().to_string());
            }
        }
        found
    }
}

/// Passes on what clients say to a server, and keeps what it answers.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// In front of a server.
    ///
    /// # Panics
    /// When the system gives no port.
    pub(crate) async fn start(to: SocketAddr, heard: Heard) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = dial(to).await else { continue };
                streams.spawn(pass(near, far, heard.clone()));
            }
        });
        Self { address, _tasks: tasks }
    }
}

/// Ends with either side.
async fn pass(near: TcpStream, far: TcpStream, heard: Heard) {
    let at = heard.begin();
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
        (near.into_split(), far.into_split());
    let ask = async { tokio::io::copy(&mut near_in, &mut far_out).await };
    let answer = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            match far_in.read(&mut bytes).await {
                Ok(count @ 1..) => {
                    heard.note(at, &bytes[..count]);
                    near_out.write_all(&bytes[..count]).await?;
                }
                other => return other.map(|_| ()),
            }
        }
    };
    tokio::select! {
        _ = ask => {}
        _ = answer => {}
    }
}

/// A connection that asks one frame at a time and is told the reply as it came.
#[derive(Debug)]
pub(crate) struct Asking {
    stream: TcpStream,
    input: BytesMut,
    last_id: u64,
    heard: Heard,
    at: usize,
}

/// Where the header of a request has its id and its time-out.
const REQUEST_ID: std::ops::Range<usize> = 8..16;
const TIMEOUT: std::ops::Range<usize> = 16..20;

impl Asking {
    /// Says HELLO with a token.
    ///
    /// # Panics
    /// When it isn't let in.
    pub(crate) async fn open(to: SocketAddr, token: &Token, heard: &Heard) -> Self {
        let stream = dial(to).await.expect("a connection");
        let (heard, at) = (heard.clone(), heard.begin());
        let mut asking = Self { stream, input: BytesMut::new(), last_id: 0, heard, at };
        let hello = Hello { token: Some(token.clone()), ..plain_hello() };
        let hello = Request::Hello(Box::new(hello));
        let frame = frame(ProjectId::DEFAULT, NetworkId::NIL, false, None, &hello);
        let answer = asking.ask(&frame).await;
        assert!(answer.is_done(), "{answer:?}");
        asking
    }

    /// Sends a frame under a new id and waits for its reply; what a watch tells meanwhile is heard, and passed over.
    ///
    /// # Panics
    /// When none comes.
    pub(crate) async fn ask(&mut self, frame: &[u8]) -> Told {
        self.last_id += 1;
        let mut frame = frame.to_vec();
        frame[REQUEST_ID].copy_from_slice(&self.last_id.to_be_bytes());
        frame[TIMEOUT].fill(0);
        soon("room to write", self.stream.write_all(&frame)).await.expect("the server reads");
        loop {
            let reply = self.frame().await;
            let (header, body) = decode_reply(&reply).expect("a frame");
            if header.request_id == self.last_id && header.opcode != Opcode::EVENTS {
                let body = body.unwrap_or_else(|error| panic!("{header:?}: {error}"));
                return Told { status: header.status, frame: reply, body };
            }
            assert_ne!(header.opcode, Opcode::ERROR, "{body:?}");
            assert_ne!(header.opcode, Opcode::GOAWAY, "{body:?}");
        }
    }

    async fn frame(&mut self) -> Bytes {
        loop {
            if let Some(length) = self.input.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.input.remaining() >= length {
                    return self.input.split_to(length).freeze();
                }
            }
            let before = self.input.len();
            let count = soon("a reply", self.stream.read_buf(&mut self.input)).await;
            assert!(count.expect("the server answers") > 0, "the server hung up");
            self.heard.note(self.at, &self.input[before..]);
        }
    }
}

/// What a request was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) frame: Bytes,
    pub(crate) body: ReplyOrFailure,
}

impl Told {
    /// Whether it was done, or what was asked for is so.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.body, ReplyOrFailure::Reply(_))
    }
}

/// A request as a frame of any id.
///
/// # Panics
/// When it does not fit.
pub(crate) fn frame(
    project: ProjectId,
    network: NetworkId,
    pool: bool,
    network_project: Option<ProjectId>,
    request: &Request,
) -> Vec<u8> {
    let (opcode, request_id) = (request.opcode(), 1);
    let header = RequestHeader {
        opcode,
        request_id,
        timeout_ms: 0,
        project,
        network,
        pool,
        network_project,
        restoring: false,
    };
    let mut bytes = BytesMut::new();
    encode_request(&header, request, &mut bytes).expect("a request of a test fits its frame");
    bytes.to_vec()
}
