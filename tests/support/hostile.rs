//! Bytes as an enemy sends them: from loopback addresses of its own, whole or in pieces, right or
//! wrong. Never speaks for a good client.

use super::line::header;
use super::network::text;
use super::seed::Choices;
use super::soon;
use addrd_client::protocol::codec::{ReplyDecoder, ReplyOrFailure, encode_request};
use addrd_client::protocol::header::ReplyHeader;
use addrd_client::protocol::message::{
    AllocateExtras, AllocationUpdate, Batch, BatchItem, BatchMode, Fences, Lookup, Ping, Release,
    Request, Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Setting, Slot};
use addrd_client::{plain_allocate, plain_hello};
use bytes::BytesMut;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::codec::Decoder;

/// A text that must appear in no log.
pub(crate) const CANARY: &str = "canary-5f1c";

/// Frames of the server, as they came.
pub(crate) type Frames = Vec<(ReplyHeader, ReplyOrFailure)>;

/// A connection that comes from another loopback address than good clients do.
///
/// # Errors
/// Those of the socket.
pub(crate) async fn dial_from(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request as bytes.
///
/// # Panics
/// When it does not fit a frame.
pub(crate) fn bytes_of(network: NetworkId, request_id: u64, request: &Request) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_request(&header(network, request_id), request, &mut out).expect("a request fits");
    out.to_vec()
}

/// HELLO without a session.
pub(crate) fn hello_bytes() -> Vec<u8> {
    bytes_of(NetworkId::NIL, 1, &Request::Hello(Box::new(plain_hello())))
}

/// PING.
pub(crate) fn ping_bytes(request_id: u64) -> Vec<u8> {
    bytes_of(NetworkId::NIL, request_id, &Request::Ping(Ping {}))
}

/// Sends bytes, ends its own direction and reads until the server ends the other. Errors of the
/// socket count as the end: a server may close on whoever talks nonsense.
///
/// # Panics
/// When the server sends what is no frame, or does not close.
pub(crate) async fn provoke(mut stream: TcpStream, bytes: &[u8]) -> Frames {
    let _ = soon("room to write", stream.write_all(bytes)).await;
    let _ = stream.shutdown().await;
    until_closed(&mut stream).await
}

/// Reads until the server closes.
///
/// # Panics
/// When the server sends what is no frame, or does not close.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> Frames {
    let mut input = BytesMut::new();
    let mut frames = Vec::new();
    loop {
        while let Some(frame) = one_of(&mut input) {
            frames.push(frame);
        }
        match soon("the server to close", stream.read_buf(&mut input)).await {
            Ok(0) | Err(_) => return frames,
            Ok(_) => {}
        }
    }
}

/// Reads one frame, or `None` when the server closes.
///
/// # Panics
/// When the server sends what is no frame, or says nothing.
pub(crate) async fn one_frame(
    stream: &mut TcpStream,
    input: &mut BytesMut,
) -> Option<(ReplyHeader, ReplyOrFailure)> {
    loop {
        if let Some(frame) = one_of(input) {
            return Some(frame);
        }
        match soon("a frame", stream.read_buf(input)).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn one_of(input: &mut BytesMut) -> Option<(ReplyHeader, ReplyOrFailure)> {
    let frame = ReplyDecoder::default().decode(input).expect("the server sends whole frames");
    frame.map(|(header, body)| (header, body.expect("the server's frames can be read")))
}

/// Requests of every kind that touch no network that exists; each carries the canary where it has
/// room for text.
pub(crate) fn requests(choices: &mut Choices) -> Vec<Request> {
    let owner = OwnerId::from_u128(choices.id());
    let canary = || Some(text(CANARY));
    let extras = AllocateExtras { label: canary(), host: canary(), ..AllocateExtras::default() };
    let mut allocate = plain_allocate(owner);
    allocate.extras = Some(Box::new(extras));
    let target = Target::Key { owner, slot: Slot(0) };
    let release = Release { target, fences: Fences::default(), any: false };
    let update = AllocationUpdate {
        target,
        fences: Fences::default(),
        label: Setting::Value(text(CANARY)),
        host: Setting::Unset,
        manager_name: Setting::Null,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    };
    let items = vec![
        BatchItem::Allocate(allocate.clone()),
        BatchItem::Release(release.clone()),
        BatchItem::Update(Box::new(update.clone())),
    ];
    vec![
        Request::Allocate(plain_allocate(owner)),
        Request::Allocate(allocate),
        Request::Release(release),
        Request::AllocationUpdate(Box::new(update)),
        Request::Batch(Box::new(Batch { mode: BatchMode::AllOrNothing, items })),
        Request::AllocationList(Box::default()),
        Request::Lookup(Box::new(Lookup::Owner(owner))),
        Request::Usage(Box::default()),
        Request::Ping(Ping {}),
    ]
}

/// A frame that is wrong somewhere; it may break the framing of everything behind it.
pub(crate) fn malformed(request_id: u64, choices: &mut Choices) -> Vec<u8> {
    let kinds = requests(choices);
    let request = choices.pick(&kinds);
    let network = match request {
        Request::Ping(_) => NetworkId::NIL,
        _ => NetworkId::from_u128(choices.id()),
    };
    let mut bytes = bytes_of(network, request_id, request);
    let size = bytes.len() as u64;
    match choices.below(0..9) {
        // A length that lies: zero, short, huge, one off.
        0 => {
            let lies = [0, 3, 63, 64, size as u32 - 1, size as u32 + 1, 1 << 16, 1 << 20, u32::MAX];
            bytes[..4].copy_from_slice(&choices.pick(&lies).to_be_bytes());
        }
        1 => bytes.truncate(choices.below(1..size) as usize),
        2 => bytes[4] = choices.next() as u8,
        3 => bytes[5] = choices.next() as u8,
        4 => bytes[6..8].copy_from_slice(&(choices.next() as u16 | 0x4000).to_be_bytes()),
        5 => bytes[20..24].fill(0xff),
        // Noise in the body, the frame as long as it says.
        6 if size > 64 => {
            for _ in 0..choices.below(1..9) {
                let at = choices.below(64..size) as usize;
                bytes[at] = choices.next() as u8;
            }
        }
        7 => {
            bytes.extend(choices.bytes(16));
            let size = bytes.len() as u32;
            bytes[..4].copy_from_slice(&size.to_be_bytes());
            bytes[5] |= choices.next() as u8 & 1;
        }
        _ => {
            let count = choices.below(1..200) as usize;
            bytes = choices.bytes(count);
        }
    }
    bytes
}
