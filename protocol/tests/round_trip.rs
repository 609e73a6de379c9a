//! What is sent arrives: random messages through bytes and through JSON, whole and split anywhere;
//! and what is damaged on the way is refused or another message.
//!
//! `ADDRD_PROTOCOL_CASES` sets the number of cases of each test (default 300). A failing case is
//! printed with its bytes; `PROPTEST_RNG_SEED` replays a run.

#[path = "support/arbitrary.rs"]
mod arbitrary;
#[path = "../../fuzz/checks/protocol.rs"]
#[expect(dead_code, reason = "frames in pieces are tested here in another way")]
mod checks;

use addrd_protocol::codec::{
    FrameBounds, ReplyDecoder, ReplyOrFailure, RequestDecoder, decode_reply, decode_request,
    encode_failure, encode_request, try_encode_reply,
};
use addrd_protocol::message::{Failure, RequestHeader};
use addrd_protocol::opcode::NetworkRule;
use addrd_protocol::{NetworkId, Opcode, ProjectId, Status};
use arbitrary::Source;
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio_util::codec::Decoder;

fn config() -> ProptestConfig {
    let cases = std::env::var("ADDRD_PROTOCOL_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(300), ..ProptestConfig::default() }
}

fn header(opcode: Opcode, source: &mut Source) -> RequestHeader {
    let network: NetworkId = source.make();
    let pool = opcode.may_name_pool() && source.make();
    let shared = opcode.may_be_shared() && !pool && source.make();
    let network_project: Option<ProjectId> = source.make();
    RequestHeader {
        opcode,
        request_id: source.make::<u64>().max(1),
        timeout_ms: source.make(),
        project: source.make::<ProjectId>(),
        network: match opcode.network_rule() {
            NetworkRule::None => NetworkId::NIL,
            _ => network,
        },
        pool,
        network_project: network_project.filter(|_| shared),
        restoring: opcode.may_restore() && source.make(),
    }
}

/// Bytes of which messages are made.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..3_000)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_arrive(bytes in bytes()) {
        for opcode in Opcode::ALL {
            let mut source = Source::new(bytes.clone());
            let header = header(*opcode, &mut source);
            let Some(request) = arbitrary::request(*opcode, &mut source) else { continue };
            let mut out = BytesMut::new();
            encode_request(&header, &request, &mut out).unwrap();
            let (got, body) = decode_request(&out.freeze()).unwrap();
            prop_assert_eq!(got, header);
            prop_assert_eq!(body.unwrap(), request.clone());
            let json = serde_json::to_string(&request).unwrap();
            prop_assert_eq!(serde_json::from_str::<addrd_protocol::message::Request>(&json).unwrap(), request, "{}", json);
        }
    }

    #[test]
    fn replies_arrive(bytes in bytes(), request_id: u64) {
        for opcode in Opcode::ALL {
            let mut source = Source::new(bytes.clone());
            let Some(reply) = arbitrary::reply(*opcode, &mut source) else { continue };
            let mut out = BytesMut::new();
            try_encode_reply(*opcode, request_id, Status::OK, &reply, &mut out).unwrap();
            let (header, body) = decode_reply(&out.freeze()).unwrap();
            prop_assert_eq!((header.opcode, header.request_id, header.status), (*opcode, request_id, Status::OK));
            prop_assert_eq!(body.unwrap(), ReplyOrFailure::Reply(reply.clone()));
            let json = serde_json::to_string(&reply).unwrap();
            prop_assert_eq!(serde_json::from_str::<addrd_protocol::message::Reply>(&json).unwrap(), reply, "{}", json);
        }
    }

    #[test]
    fn failures_arrive(bytes in bytes()) {
        let failure: Failure = Source::new(bytes).make();
        let mut out = BytesMut::new();
        encode_failure(Opcode::ALLOCATE, 1, &failure, &mut out);
        let (header, body) = decode_reply(&out.freeze()).unwrap();
        prop_assert_eq!(header.status, failure.status);
        prop_assert_eq!(body.unwrap(), ReplyOrFailure::Failure(Box::new(failure.clone())));
        let json = serde_json::to_string(&failure).unwrap();
        prop_assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), failure);
    }

    #[test]
    fn frames_may_come_in_pieces(bytes in bytes(), cuts in vec(1_usize..400, 1..40)) {
        let (mut requests, mut replies) = (BytesMut::new(), BytesMut::new());
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        for opcode in Opcode::ALL {
            let mut source = Source::new(bytes.clone());
            let header = header(*opcode, &mut source);
            if let Some(request) = arbitrary::request(*opcode, &mut source) {
                encode_request(&header, &request, &mut requests).unwrap();
                sent.push((header, Ok(request)));
            }
            if let Some(reply) = arbitrary::reply(*opcode, &mut source) {
                try_encode_reply(*opcode, 1, Status::OK, &reply, &mut replies).unwrap();
                answered.push(Ok(ReplyOrFailure::Reply(reply)));
            }
        }
        let decoder = RequestDecoder { bounds: FrameBounds::REQUESTS };
        prop_assert_eq!(in_pieces(decoder, &requests, &cuts), sent);
        let got = in_pieces(ReplyDecoder::default(), &replies, &cuts);
        prop_assert_eq!(got.into_iter().map(|(_, body)| body).collect::<Vec<_>>(), answered);
    }
}

/// A frame that was changed at one place or cut is read without a panic, and what is read of it
/// survives being written: the checks are those of the fuzz targets.
fn damaged(frame: &[u8], cut: Index, at: Index, change: u8, check: fn(&[u8])) {
    check(&frame[..cut.index(frame.len() + 1)]);
    let mut changed = frame.to_vec();
    changed[at.index(frame.len())] ^= change;
    check(&changed);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_messages_are_an_error_or_a_message(
        bytes in bytes(), cut: Index, at: Index, change in 1..=u8::MAX,
    ) {
        for opcode in Opcode::ALL {
            let mut source = Source::new(bytes.clone());
            let header = header(*opcode, &mut source);
            let mut out = BytesMut::new();
            if let Some(request) = arbitrary::request(*opcode, &mut source) {
                encode_request(&header, &request, &mut out).unwrap();
                damaged(&out, cut, at, change, checks::request);
            }
            if let Some(reply) = arbitrary::reply(*opcode, &mut source) {
                out.clear();
                try_encode_reply(*opcode, 1, Status::OK, &reply, &mut out).unwrap();
                damaged(&out, cut, at, change, checks::reply);
            }
        }
        let mut out = BytesMut::new();
        encode_failure(Opcode::ALLOCATE, 1, &Source::new(bytes).make(), &mut out);
        damaged(&out, cut, at, change, checks::reply);
    }
}

/// Everything that a decoder makes of a stream whose bytes come in pieces of these sizes.
fn in_pieces<D: Decoder<Error: std::fmt::Debug>>(
    mut decoder: D,
    mut stream: &[u8],
    cuts: &[usize],
) -> Vec<D::Item> {
    let (mut buffer, mut got) = (BytesMut::new(), Vec::new());
    for cut in cuts.iter().cycle() {
        let (piece, rest) = stream.split_at(stream.len().min(*cut));
        buffer.extend_from_slice(piece);
        stream = rest;
        while let Some(item) = decoder.decode(&mut buffer).unwrap() {
            got.push(item);
        }
        if stream.is_empty() {
            break;
        }
    }
    assert!(decoder.decode_eof(&mut buffer).unwrap().is_none());
    got
}
