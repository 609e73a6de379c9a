//! What must hold for any bytes at the protocol's door. Called by the fuzz targets, and on stable
//! by `protocol/tests/fuzz_replay.rs` for the committed corpus. Never expects an input to be valid.

use addrd_protocol::codec::{
    DecodedReply, DecodedRequest, FrameBounds, ReplyDecoder, ReplyOrFailure, RequestDecoder,
    decode_reply, decode_reply_slice, decode_request, decode_request_slice, encode_failure,
    encode_goaway, encode_request, try_encode_reply,
};
use addrd_protocol::error::FrameError;
use addrd_protocol::message::{Reply, Request};
use bytes::{Bytes, BytesMut};
use std::fmt::Debug;
use tokio_util::codec::Decoder;

/// Where the name of an operation stands in a header.
const OPCODE_AT: usize = 6;
/// Bytes of a request's header.
const REQUEST_HEADER_BYTES: usize = 64;
/// Bytes of a reply's header.
const REPLY_HEADER_BYTES: usize = 24;

/// A stream in pieces gives the same frames as in one piece, in both directions.
///
/// The first byte is the size of the pieces, less one; the rest is the stream.
pub(crate) fn frame(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let piece = usize::from(*size) + 1;
    for bounds in [FrameBounds::BEFORE_HELLO, FrameBounds::REQUESTS] {
        let decoder = RequestDecoder { bounds };
        assert_eq!(frames(decoder, stream, stream.len()), frames(decoder, stream, piece));
    }
    let decoder = ReplyDecoder::default();
    assert_eq!(frames(decoder, stream, stream.len()), frames(decoder, stream, piece));
}

/// Frames up to the end or the first fault.
fn frames<D: Decoder<Error = FrameError>>(
    mut decoder: D,
    stream: &[u8],
    piece: usize,
) -> (Vec<D::Item>, Option<FrameError>)
where
    D::Item: Debug,
{
    let (mut buffer, mut got) = (BytesMut::new(), Vec::new());
    for bytes in stream.chunks(piece.max(1)) {
        buffer.extend_from_slice(bytes);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(item)) => got.push(item),
                Ok(None) => break,
                Err(error) => return (got, Some(error)),
            }
        }
    }
    let rest = decoder.decode_eof(&mut buffer);
    (got, rest.err())
}

/// A frame of these bytes, with its length and version put right.
fn framed(data: &[u8], header_bytes: usize) -> Option<Bytes> {
    let mut frame = data.to_vec();
    if frame.len() < header_bytes {
        return None;
    }
    let length = u32::try_from(frame.len()).ok()?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame[4] = 1;
    Some(frame.into())
}

/// A request that can be read can be written, and reads the same again, from bytes and from JSON.
///
/// The data is a frame; its length and version are put right first.
pub(crate) fn request(data: &[u8]) {
    let Some(frame) = framed(data, REQUEST_HEADER_BYTES) else { return };
    let decoded = decode_request(&frame);
    assert_eq!(decoded, decode_request_slice(&frame), "shared and copied texts differ");
    if let Ok((header, Ok(body))) = decoded {
        assert_eq!(header.opcode.0.to_be_bytes(), frame[OPCODE_AT..OPCODE_AT + 2]);
        same_request(&(header, Ok(body)));
    } else if let Ok((_, Err(error))) = decoded {
        assert!(!error.to_failure().status.is_done());
    }
}

fn same_request(decoded: &DecodedRequest) {
    let (header, Ok(body)) = decoded else { return };
    let mut out = BytesMut::new();
    // Bodies that were long with unknown fields only get shorter; the bounds are not tested here.
    if encode_request(header, body, &mut out).is_ok() {
        assert_eq!(decode_request(&out.freeze()).as_ref(), Ok(decoded));
    }
    let json = serde_json::to_string(body).expect("every message has a JSON form");
    let again: Request = serde_json::from_str(&json).expect("and is read from it");
    assert_eq!(*body, again, "{json}");
}

/// The same for replies.
pub(crate) fn reply(data: &[u8]) {
    let Some(frame) = framed(data, REPLY_HEADER_BYTES) else { return };
    let decoded = decode_reply(&frame);
    assert_eq!(decoded, decode_reply_slice(&frame), "shared and copied texts differ");
    if let Ok((header, Ok(_))) = decoded {
        assert_eq!(header.opcode.0.to_be_bytes(), frame[OPCODE_AT..OPCODE_AT + 2]);
        same_reply(decoded.expect("seen above"), frame.len());
    }
}

/// Details of failures may be left out when they are written: there are bounds for them that a
/// reader does not know.
fn same_reply((header, body): DecodedReply, length: usize) {
    let Ok(body) = body else { return };
    let mut out = BytesMut::new();
    match &body {
        ReplyOrFailure::Reply(reply) => {
            if try_encode_reply(header.opcode, header.request_id, header.status, reply, &mut out)
                .is_err()
            {
                return;
            }
            let json = serde_json::to_string(reply).expect("every message has a JSON form");
            let again: Reply = serde_json::from_str(&json).expect("and is read from it");
            assert_eq!(*reply, again, "{json}");
        }
        ReplyOrFailure::Failure(failure) => {
            encode_failure(header.opcode, header.request_id, failure, &mut out);
        }
        ReplyOrFailure::GoAway(goaway) => encode_goaway(goaway, &mut out),
    }
    let out_bytes = out.len();
    let (_, again) = decode_reply(&out.freeze()).expect("what we write is whole");
    let again = again.expect("what we write can be read");
    if again != body {
        assert!(out_bytes < length, "nothing was left out and yet it differs");
    }
}
