//! Frames to messages and back: plain functions, and the same for `tokio_util`'s `Framed`.
//!
//! No I/O. A length is checked before anything is reserved; a body that can't be read does not
//! break the framing.

use crate::error::{DecodeError, EncodeError, FrameError};
use crate::header::{
    FLAG_NETWORK_PROJECT, FLAG_TAIL, REPLY_HEADER_BYTES, REQUEST_HEADER_BYTES, ReplyHeader,
    VERSION, read_reply, read_request, reply_bytes, request_bytes,
};
use crate::layout::failure::FAILURE_DETAILS_BYTES_MAX;
use crate::layout::watch::write_events_head;
use crate::layout::{
    ALLOCATION_BYTES_MAX, HISTORY_ENTRY_BYTES_MAX, Layout, POOL_BYTES_MAX, PORT_BYTES_MAX,
    PRINCIPAL_BYTES_MAX, SUBNET_BYTES_MAX, failure, reply,
};
use crate::message::list::{CURSOR_BYTES_MAX, PAGE_OBJECTS_MAX};
use crate::message::principal::PAGE_PRINCIPALS_MAX;
use crate::message::{
    Event, Failure, FeedPosition, GoAway, Port, Reply, Request, RequestHeader, Subnet,
};
use crate::opcode::Opcode;
use crate::status::Status;
use crate::text::Text;
use crate::wire::{ITEM_HEADER_BYTES, Reader, Writer};
use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// Longest request before HELLO was answered, bytes. SPEC.md section 11.
pub const HELLO_BYTES_MAX: u32 = 1 << 10;
/// Longest request of any operation but a batch, bytes.
pub const REQUEST_BYTES_MAX: u32 = 64 << 10;
/// Longest batch, bytes.
pub const BATCH_BYTES_MAX: u32 = 1 << 20;
/// Longest reply of any operation, bytes. Pages of [`PAGE_OBJECTS_MAX`] objects always fit, except
/// those of subnets and ports: see [`subnet_bytes`].
pub const REPLY_BYTES_MAX: u32 = 1 << 20;
/// Longest failure, bytes; details that do not fit are left out.
pub const FAILURE_BYTES_MAX: usize = 4 << 10;
/// Longest reply with one subnet, bytes.
pub const SUBNET_REPLY_BYTES_MAX: usize = 24 << 10;
/// Longest reply with one port, bytes.
pub const PORT_REPLY_BYTES_MAX: usize = 6 << 10;
/// Bytes that a batch's reply may have for each item.
pub const BATCH_RESULT_BYTES_MAX: usize = 1_020;
/// Bytes that it may have beyond: for the details of failures.
const BATCH_DETAILS_BYTES_MAX: usize = 2 << 10;
/// Longest reply with one principal, bytes.
pub const PRINCIPAL_REPLY_BYTES_MAX: usize = 8 << 10;
/// Requests of a connection that may be without reply at once.
pub const CREDIT: u32 = 256;
/// Bytes that a decoder reserves ahead of what came, at most.
const RESERVE_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(
    BATCH_BYTES_MAX < 0x1603_0000 && REPLY_BYTES_MAX < 0x1603_0000,
    "no length that is allowed looks like TLS or a line of HTTP"
);

/// Longest reply to a batch of so many items, bytes; details of failures that do not fit are left
/// out.
#[must_use]
pub const fn batch_reply_bytes_max(items: usize) -> usize {
    items
        .saturating_mul(BATCH_RESULT_BYTES_MAX)
        .saturating_add(REPLY_HEADER_BYTES + 8 + BATCH_DETAILS_BYTES_MAX)
}

const _: () = assert!(
    REPLY_HEADER_BYTES + SUBNET_BYTES_MAX <= SUBNET_REPLY_BYTES_MAX,
    "a subnet with all that it may have fits"
);

const _: () = assert!(
    REPLY_HEADER_BYTES + PORT_BYTES_MAX <= PORT_REPLY_BYTES_MAX,
    "a port with all that it may have fits"
);

/// Bytes of a page or of the counts in front of its items, and of the place to go on.
const PAGE_BYTES_MAX: usize = REPLY_HEADER_BYTES + 24 + 4 + CURSOR_BYTES_MAX;

const _: () = assert!(
    PAGE_BYTES_MAX + PAGE_OBJECTS_MAX as usize * (ITEM_HEADER_BYTES + ALLOCATION_BYTES_MAX)
        <= REPLY_BYTES_MAX as usize,
    "a page of allocations with all their texts fits; only subnets and ports are longer"
);

/// Most entries of history in a page: its reply leaves room for others.
pub const PAGE_HISTORY_MAX: usize = 256;
/// Bytes of a page of history.
pub const HISTORY_REPLY_BYTES_MAX: usize =
    PAGE_BYTES_MAX + PAGE_HISTORY_MAX * (ITEM_HEADER_BYTES + HISTORY_ENTRY_BYTES_MAX);
const _: () = assert!(HISTORY_REPLY_BYTES_MAX <= REPLY_BYTES_MAX as usize);

/// Most subnet pools of a page: with all their prefixes they always fit.
pub const PAGE_POOLS_MAX: u32 = 256;
const _: () = assert!(
    PAGE_BYTES_MAX + PAGE_POOLS_MAX as usize * (ITEM_HEADER_BYTES + POOL_BYTES_MAX)
        <= REPLY_BYTES_MAX as usize,
    "a page of pools with all their prefixes fits"
);

const _: () = assert!(REPLY_HEADER_BYTES + PRINCIPAL_BYTES_MAX <= PRINCIPAL_REPLY_BYTES_MAX);
const _: () = assert!(
    PAGE_BYTES_MAX + PAGE_PRINCIPALS_MAX as usize * (ITEM_HEADER_BYTES + PRINCIPAL_BYTES_MAX)
        <= REPLY_BYTES_MAX as usize,
    "a page of principals with all their grants fits"
);

/// Bytes that a subnet takes in a page, its length included. A page may take
/// [`ITEMS_BYTES_MAX`] of them.
#[must_use]
pub fn subnet_bytes(subnet: &Subnet) -> usize {
    item_bytes(subnet)
}

/// Bytes that a port takes in a page, as [`subnet_bytes`].
#[must_use]
pub fn port_bytes(port: &Port) -> usize {
    item_bytes(port)
}

fn item_bytes(object: &impl Layout) -> usize {
    let mut out = BytesMut::new();
    Writer::new(&mut out).item(|writer| object.write(writer));
    out.len()
}

/// Bytes that the items of a page may take.
pub const ITEMS_BYTES_MAX: usize = REPLY_BYTES_MAX as usize - PAGE_BYTES_MAX;

/// A request whose frame was whole; its body may be wrong.
pub type DecodedRequest = (RequestHeader, Result<Request, DecodeError>);
/// A reply whose frame was whole; its body may be wrong.
pub type DecodedReply = (ReplyHeader, Result<ReplyOrFailure, DecodeError>);

/// What a client gets.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyOrFailure {
    /// Status class done. With a status other than `OK` it is [`Reply::Empty`].
    Reply(Reply),
    /// Any other class; with [`Opcode::ERROR`] and request id 0 the connection ends.
    Failure(Box<Failure>),
    /// The server's own [`Opcode::GOAWAY`], request id 0.
    GoAway(GoAway),
}

/// Longest frames, in bytes and inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameBounds {
    /// Of every operation but a batch and a transaction.
    pub plain: u32,
    /// Of a batch, or of a transaction.
    pub batch: u32,
}

impl FrameBounds {
    /// Requests before HELLO was answered.
    pub const BEFORE_HELLO: Self = Self { plain: HELLO_BYTES_MAX, batch: HELLO_BYTES_MAX };
    /// Requests after it.
    pub const REQUESTS: Self = Self { plain: REQUEST_BYTES_MAX, batch: BATCH_BYTES_MAX };
    /// Replies.
    pub const REPLIES: Self = Self { plain: REPLY_BYTES_MAX, batch: REPLY_BYTES_MAX };

    const fn of(self, opcode: Opcode) -> u32 {
        if opcode.has_items() { self.batch } else { self.plain }
    }
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Client to server: a header of 64 bytes.
    Request,
    /// Server to client: a header of 24 bytes.
    Reply,
}

impl Direction {
    const fn header_bytes(self) -> usize {
        match self {
            Self::Request => REQUEST_HEADER_BYTES,
            Self::Reply => REPLY_HEADER_BYTES,
        }
    }
}

/// The length of the frame that `bytes` begin with, or `None` while too few are there to judge.
///
/// Shape: looks at no more than 8 bytes.
/// Units: bytes, the header included.
///
/// # Errors
/// [`FrameError`]: the stream can't be followed any further.
#[inline]
pub fn frame_length(
    bytes: &[u8],
    direction: Direction,
    bounds: FrameBounds,
) -> Result<Option<usize>, FrameError> {
    let Some((length_bytes, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length_bytes);
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    if size < direction.header_bytes() {
        return Err(FrameError::TooShort { length });
    }
    if length > bounds.plain.max(bounds.batch) {
        return Err(too_long(*length_bytes, bounds.plain.max(bounds.batch)));
    }
    match rest.first() {
        None => return Ok(None),
        Some(&VERSION) => {}
        Some(&version) => return Err(FrameError::Version { version }),
    }
    let Some([_, _, high, low]) = rest.first_chunk() else {
        return Ok(None);
    };
    let most = bounds.of(Opcode(u16::from_be_bytes([*high, *low])));
    if length > most {
        return Err(FrameError::TooLong { length, most });
    }
    Ok(Some(size))
}

/// A length beyond every bound may be another protocol.
fn too_long(start: [u8; 4], most: u32) -> FrameError {
    match &start {
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"CONN" | b"TRAC"
        | b"PRI " => FrameError::Http,
        [0x16, 3, ..] => FrameError::Tls,
        _ => FrameError::TooLong { length: u32::from_be_bytes(start), most },
    }
}

/// Takes one whole frame off the front of `buffer`, or `None` while it is not whole.
///
/// Shape: reserves only for a length that was checked, and at most 64 KiB ahead.
///
/// # Errors
/// [`FrameError`]; `buffer` is unchanged.
pub fn split_frame(
    buffer: &mut BytesMut,
    direction: Direction,
    bounds: FrameBounds,
) -> Result<Option<Bytes>, FrameError> {
    match whole_frame(buffer, direction, bounds)? {
        Some(length) => Ok(Some(buffer.split_to(length).freeze())),
        None => Ok(None),
    }
}

/// The length of the frame at the front if it is whole; else room for more of it is made.
#[inline]
fn whole_frame(
    buffer: &mut BytesMut,
    direction: Direction,
    bounds: FrameBounds,
) -> Result<Option<usize>, FrameError> {
    let Some(length) = frame_length(buffer, direction, bounds)? else {
        return Ok(None);
    };
    let missing = length.saturating_sub(buffer.len());
    if missing > 0 {
        buffer.reserve(missing.min(RESERVE_BYTES_MAX));
        return Ok(None);
    }
    Ok(Some(length))
}

/// Reads one whole frame. Texts and cursors share its buffer: whoever keeps them, copies them.
///
/// Shape: allocates nothing for a plain allocate or release.
///
/// # Errors
/// [`FrameError`]: not one whole frame, or the reply could not be addressed. Bounds are not
/// looked at; see [`frame_length`].
pub fn decode_request(frame: &Bytes) -> Result<DecodedRequest, FrameError> {
    request_of(frame, Some(frame))
}

/// Like [`decode_request`], but texts and cursors are copies.
///
/// # Errors
/// As there.
pub fn decode_request_slice(frame: &[u8]) -> Result<DecodedRequest, FrameError> {
    request_of(frame, None)
}

#[inline]
fn request_of(frame: &[u8], source: Option<&Bytes>) -> Result<DecodedRequest, FrameError> {
    check_whole(frame, Direction::Request)?;
    let mut reader = Reader::body(source, frame, false);
    let (flags, header, verdict) = read_request(&mut reader).map_err(|_| FrameError::Truncated)?;
    if header.request_id == 0 {
        return Err(FrameError::RequestIdZero);
    }
    reader.expect_tail(flags & FLAG_TAIL != 0);
    let body = verdict.and_then(|()| Request::read(header.opcode, &mut reader));
    Ok((header, body))
}

/// Reads one whole frame. Texts and cursors share its buffer.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_reply(frame: &Bytes) -> Result<DecodedReply, FrameError> {
    reply_of(frame, Some(frame))
}

/// Like [`decode_reply`], but texts and cursors are copies.
///
/// # Errors
/// As there.
pub fn decode_reply_slice(frame: &[u8]) -> Result<DecodedReply, FrameError> {
    reply_of(frame, None)
}

#[inline]
fn reply_of(frame: &[u8], source: Option<&Bytes>) -> Result<DecodedReply, FrameError> {
    check_whole(frame, Direction::Reply)?;
    let mut reader = Reader::body(source, frame, false);
    let (flags, header, verdict) = read_reply(&mut reader).map_err(|_| FrameError::Truncated)?;
    reader.expect_tail(flags & FLAG_TAIL != 0);
    let body = verdict.and_then(|()| reply_body(&header, &mut reader));
    Ok((header, body))
}

#[inline]
fn reply_body(
    header: &ReplyHeader,
    reader: &mut Reader<'_>,
) -> Result<ReplyOrFailure, DecodeError> {
    // A request with this number is refused like any that is not known, under the number that it had.
    if header.opcode == Opcode::GOAWAY && header.status.is_done() {
        return GoAway::read(reader).map(ReplyOrFailure::GoAway);
    }
    if !header.status.is_done() {
        return failure::read_failure(reader, header.status, header.retry_after_ms)
            .map(|failure| ReplyOrFailure::Failure(Box::new(failure)));
    }
    match header.status {
        Status::OK => reply::read_reply(header.opcode, reader).map(ReplyOrFailure::Reply),
        _ => reader.no_tags().map(|()| ReplyOrFailure::Reply(Reply::Empty)),
    }
}

/// The frame is as long as it says, and of a version that is spoken.
#[inline]
fn check_whole(frame: &[u8], direction: Direction) -> Result<(), FrameError> {
    let anything = FrameBounds { plain: u32::MAX, batch: u32::MAX };
    match frame_length(frame, direction, anything)? {
        Some(length) if length == frame.len() => Ok(()),
        _ => Err(FrameError::Truncated),
    }
}

/// Appends a request. `header.opcode` is not looked at: the body knows its operation.
///
/// Shape: no allocation but the growth of `out`.
///
/// # Errors
/// [`EncodeError`]: `out` is unchanged.
pub fn encode_request(
    header: &RequestHeader,
    request: &Request,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let opcode = request.opcode();
    let most = FrameBounds::REQUESTS.of(opcode);
    frame(out, &request_bytes(header, opcode), most, |writer| {
        if let Some(project) = &header.network_project {
            writer.slice(project.as_bytes());
        }
        request.write(writer);
    })
}

/// Appends a reply of class done: `OK`, or a status whose reply is [`Reply::Empty`].
///
/// A reply that does not belong to the operation or does not fit is a fault of the server's: the
/// client gets `OUTCOME_UNKNOWN` instead.
pub fn encode_reply(
    opcode: Opcode,
    request_id: u64,
    status: Status,
    reply: &Reply,
    out: &mut BytesMut,
) {
    if try_encode_reply(opcode, request_id, status, reply, out).is_err() {
        let message = Text::new("the reply could not be written").unwrap_or_default();
        let failure = Failure {
            status: Status::OUTCOME_UNKNOWN,
            retry_after_ms: 0,
            item: None,
            field: None,
            message,
            details: Vec::new(),
        };
        encode_failure(opcode, request_id, &failure, out);
    }
}

/// Like [`encode_reply`], but says what is wrong.
///
/// # Errors
/// [`EncodeError`]: `out` is unchanged.
#[inline]
pub fn try_encode_reply(
    opcode: Opcode,
    request_id: u64,
    status: Status,
    body: &Reply,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let header = ReplyHeader { opcode, request_id, status, retry_after_ms: 0 };
    let empty = status != Status::OK;
    if !status.is_done()
        || (empty && *body != Reply::Empty)
        || (!empty && !reply::belongs(opcode, body))
    {
        return Err(EncodeError::WrongReply);
    }
    frame(out, &reply_bytes(&header), REPLY_BYTES_MAX, |writer| {
        if !empty {
            reply::write_reply(opcode, body, writer);
        }
    })
}

/// Appends the answer to a request that was not done, or with [`Opcode::ERROR`] and request id 0
/// the last frame of a connection.
///
/// A status of class done is a fault of the server's and becomes `OUTCOME_UNKNOWN`. Details beyond
/// [`FAILURE_BYTES_MAX`] are left out, the last ones first.
pub fn encode_failure(opcode: Opcode, request_id: u64, failure: &Failure, out: &mut BytesMut) {
    let status = if failure.status.is_done() { Status::OUTCOME_UNKNOWN } else { failure.status };
    let retry_after_ms = failure.retry_after_ms;
    let header = ReplyHeader { opcode, request_id, status, retry_after_ms };
    let with = |details_bytes, out: &mut BytesMut| {
        frame(out, &reply_bytes(&header), REPLY_BYTES_MAX, |writer| {
            failure::write_failure(failure, details_bytes, writer);
        })
    };
    // An object in the details may break a bound of its own; then all are left out.
    if with(FAILURE_DETAILS_BYTES_MAX, out).is_err() {
        let bare = with(0, out);
        debug_assert!(bare.is_ok(), "two texts fit");
    }
}

/// Appends the server's own GOAWAY.
pub fn encode_goaway(goaway: &GoAway, out: &mut BytesMut) {
    let (opcode, status) = (Opcode::GOAWAY, Status::OK);
    let header = ReplyHeader { opcode, request_id: 0, status, retry_after_ms: 0 };
    let written = frame(out, &reply_bytes(&header), REPLY_BYTES_MAX, |writer| goaway.write(writer));
    debug_assert!(written.is_ok(), "a body of 16 bytes fits");
}

/// Appends an event as an item of [`encode_events`].
///
/// # Errors
/// [`EncodeError`]: a bound of the object is broken; `out` is unchanged.
pub fn encode_event(event: &Event, out: &mut BytesMut) -> Result<(), EncodeError> {
    let start = out.len();
    let mut writer = Writer::new(out);
    writer.item(|writer| event.write(writer));
    let written = writer.finish().map(|_| ());
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends the server's own frame of events, whose items [`encode_event`] made: `count` of them.
///
/// # Errors
/// [`EncodeError::FrameTooLong`]: `out` is unchanged.
pub fn encode_events<'a>(
    head: (u64, FeedPosition, bool),
    (count, items): (usize, impl Iterator<Item = &'a [u8]>),
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let (opcode, status) = (Opcode::EVENTS, Status::OK);
    let header = ReplyHeader { opcode, request_id: 0, status, retry_after_ms: 0 };
    frame(out, &reply_bytes(&header), REPLY_BYTES_MAX, |writer| {
        write_events_head(head, count, writer);
        items.for_each(|item| writer.slice(item));
    })
}

/// Bytes of a frame of events before its items.
pub const EVENTS_HEAD_BYTES: usize = REPLY_HEADER_BYTES + 24;

/// Header, body, then length and flags put in their places.
#[inline]
fn frame<const N: usize>(
    out: &mut BytesMut,
    header: &[u8; N],
    most: u32,
    body: impl FnOnce(&mut Writer<'_>),
) -> Result<(), EncodeError> {
    let start = out.len();
    out.reserve(128);
    out.extend_from_slice(header);
    let mut writer = Writer::new(out);
    body(&mut writer);
    let result = writer.finish();
    let size = out.len().saturating_sub(start);
    let length = u32::try_from(size).ok().filter(|length| *length <= most);
    let result = match (result, length) {
        (Ok(has_tail), Some(length)) => Ok((has_tail, length)),
        (Ok(_), None) => Err(EncodeError::FrameTooLong { length: size }),
        (Err(error), _) => Err(error),
    };
    match result {
        Ok((has_tail, length)) => {
            if let Some([a, b, c, d, _, flags, ..]) = out.get_mut(start..) {
                [*a, *b, *c, *d] = length.to_be_bytes();
                *flags |= if has_tail { FLAG_TAIL } else { 0 };
            }
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// A server's decoder.
#[derive(Clone, Copy, Debug)]
pub struct RequestDecoder {
    /// Bounds that hold now; raised once HELLO is answered.
    pub bounds: FrameBounds,
}

impl Default for RequestDecoder {
    fn default() -> Self {
        Self { bounds: FrameBounds::BEFORE_HELLO }
    }
}

impl Decoder for RequestDecoder {
    type Item = DecodedRequest;
    type Error = FrameError;

    #[inline]
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<DecodedRequest>, FrameError> {
        let Some(length) = whole_frame(buffer, Direction::Request, self.bounds)? else {
            return Ok(None);
        };
        if !is_plain(buffer) {
            return decode_request(&buffer.split_to(length).freeze()).map(Some);
        }
        let decoded = decode_request_slice(buffer.get(..length).unwrap_or_default())?;
        buffer.advance(length);
        Ok(Some(decoded))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<DecodedRequest>, FrameError> {
        end_of(self.decode(buffer)?, buffer)
    }
}

/// A client's decoder.
#[derive(Clone, Copy, Debug)]
pub struct ReplyDecoder {
    /// Bounds that hold now.
    pub bounds: FrameBounds,
}

impl Default for ReplyDecoder {
    fn default() -> Self {
        Self { bounds: FrameBounds::REPLIES }
    }
}

impl Decoder for ReplyDecoder {
    type Item = DecodedReply;
    type Error = FrameError;

    #[inline]
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<DecodedReply>, FrameError> {
        let Some(length) = whole_frame(buffer, Direction::Reply, self.bounds)? else {
            return Ok(None);
        };
        if !is_plain(buffer) {
            return decode_reply(&buffer.split_to(length).freeze()).map(Some);
        }
        let decoded = decode_reply_slice(buffer.get(..length).unwrap_or_default())?;
        buffer.advance(length);
        Ok(Some(decoded))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<DecodedReply>, FrameError> {
        end_of(self.decode(buffer)?, buffer)
    }
}

/// Whether a frame has nothing to share, so that the buffer can stay in one piece: an allocate or
/// release (0x03, 0x01 or 0x02) without a tail.
#[inline]
fn is_plain(buffer: &BytesMut) -> bool {
    const SHARED: u8 = FLAG_NETWORK_PROJECT;
    matches!(buffer.first_chunk(), Some([_, _, _, _, _, 0 | SHARED, 3, 1 | 2]))
}

fn end_of<T>(decoded: Option<T>, buffer: &BytesMut) -> Result<Option<T>, FrameError> {
    match decoded {
        None if !buffer.is_empty() => Err(FrameError::Truncated),
        decoded => Ok(decoded),
    }
}

/// A client's encoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestEncoder;

impl Encoder<(&RequestHeader, &Request)> for RequestEncoder {
    type Error = std::io::Error;

    fn encode(
        &mut self,
        (header, request): (&RequestHeader, &Request),
        out: &mut BytesMut,
    ) -> Result<(), std::io::Error> {
        let invalid = |error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
        encode_request(header, request, out).map_err(invalid)
    }
}

/// A server's encoder: operation, request id, status (done) and reply.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyEncoder;

impl Encoder<(Opcode, u64, Status, &Reply)> for ReplyEncoder {
    type Error = std::io::Error;

    fn encode(
        &mut self,
        (opcode, request_id, status, reply): (Opcode, u64, Status, &Reply),
        out: &mut BytesMut,
    ) -> Result<(), std::io::Error> {
        encode_reply(opcode, request_id, status, reply, out);
        Ok(())
    }
}

impl Encoder<(Opcode, u64, &Failure)> for ReplyEncoder {
    type Error = std::io::Error;

    fn encode(
        &mut self,
        (opcode, request_id, failure): (Opcode, u64, &Failure),
        out: &mut BytesMut,
    ) -> Result<(), std::io::Error> {
        encode_failure(opcode, request_id, failure, out);
        Ok(())
    }
}
