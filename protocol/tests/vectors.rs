//! `protocol/vectors/*.json`: every message both ways as bytes and as fields, and wrong bytes with
//! their answer. A vector that exists is a promise: this test fails if it changes.
//!
//! `ADDRD_VECTORS=write` writes the files anew from the samples; look at the difference before it
//! is committed: only additions may be in it.

#[path = "support/faults.rs"]
mod faults;
#[path = "support/samples.rs"]
mod samples;
#[path = "support/session.rs"]
mod session;

use addrd_protocol::codec::{
    DecodedReply, DecodedRequest, Direction, FrameBounds, ReplyDecoder, ReplyOrFailure,
    RequestDecoder, decode_reply, decode_request, encode_failure, encode_goaway, encode_reply,
    encode_request,
};
use addrd_protocol::message::{Failure, GoAway, Reply, Request, RequestHeader};
use addrd_protocol::{Opcode, Status};
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio_util::codec::Decoder;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// A body as (kind, fields): the variant of an enumeration and what is in it.
fn kind_and_body(value: Value) -> (String, Value) {
    match value {
        Value::String(kind) => (kind, json!({})),
        Value::Object(map) => map.into_iter().next().unwrap(),
        other => panic!("{other}"),
    }
}

/// The enumeration again.
fn tagged(kind: &Value, body: &Value) -> Value {
    let kind = kind.as_str().unwrap();
    match kind {
        "server_status" if *body == json!({}) => json!(kind),
        "empty" => json!(kind),
        _ => json!({ kind: body }),
    }
}

fn request_fields((header, body): DecodedRequest) -> Value {
    let (_, body) = kind_and_body(serde_json::to_value(body.unwrap()).unwrap());
    json!({ "header": header, "body": body })
}

fn reply_fields((header, body): DecodedReply) -> Value {
    let (kind, body) = match body.unwrap() {
        ReplyOrFailure::Reply(reply) => kind_and_body(serde_json::to_value(reply).unwrap()),
        ReplyOrFailure::Failure(failure) => {
            ("failure".to_owned(), serde_json::to_value(failure).unwrap())
        }
        ReplyOrFailure::GoAway(goaway) => {
            ("goaway".to_owned(), serde_json::to_value(goaway).unwrap())
        }
    };
    json!({ "header": header, "kind": kind, "body": body })
}

fn named(name: &str, direction: Direction, bytes: &[u8], fields: Value) -> Value {
    let direction = if direction == Direction::Request { "request" } else { "reply" };
    let mut vector = json!({ "name": name, "direction": direction, "hex": hex(bytes) });
    vector.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    vector
}

fn request_vectors() -> Vec<Value> {
    let vector = |sample: samples::RequestSample| {
        let mut out = BytesMut::new();
        encode_request(&sample.header, &sample.request, &mut out).unwrap();
        let fields = request_fields((sample.header, Ok(sample.request)));
        named(&sample.name, Direction::Request, &out, fields)
    };
    samples::requests().into_iter().map(vector).collect()
}

fn encode_any_reply(
    opcode: Opcode,
    request_id: u64,
    status: Status,
    body: &ReplyOrFailure,
) -> BytesMut {
    let mut out = BytesMut::new();
    match body {
        ReplyOrFailure::Reply(reply) => encode_reply(opcode, request_id, status, reply, &mut out),
        ReplyOrFailure::Failure(failure) => encode_failure(opcode, request_id, failure, &mut out),
        ReplyOrFailure::GoAway(goaway) => encode_goaway(goaway, &mut out),
    }
    out
}

fn reply_vectors() -> Vec<Value> {
    let vector = |sample: samples::ReplySample| {
        let bytes = encode_any_reply(sample.opcode, sample.request_id, sample.status, &sample.body);
        let (header, _) = decode_reply(&bytes.clone().freeze()).unwrap();
        named(&sample.name, Direction::Reply, &bytes, reply_fields((header, Ok(sample.body))))
    };
    samples::replies().into_iter().map(vector).collect()
}

/// Every frame of a stream as fields.
fn frames_of(direction: Direction, bytes: &[u8]) -> Vec<Value> {
    let mut buffer = BytesMut::from(bytes);
    let mut frames = Vec::new();
    match direction {
        Direction::Request => {
            let mut decoder = RequestDecoder { bounds: FrameBounds::REQUESTS };
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                frames.push(request_fields(frame));
            }
        }
        Direction::Reply => {
            let mut decoder = ReplyDecoder::default();
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                frames.push(reply_fields(frame));
            }
        }
    }
    assert!(buffer.is_empty());
    frames
}

fn stream_vectors() -> Vec<Value> {
    let vector = |sample: faults::StreamSample| {
        let frames = frames_of(sample.direction, &sample.bytes);
        named(sample.name, sample.direction, &sample.bytes, json!({ "frames": frames }))
    };
    faults::streams().into_iter().map(vector).collect()
}

/// What a peer is told about wrong bytes, and whether the connection goes on.
fn verdict(direction: Direction, bounds: FrameBounds, bytes: &[u8]) -> Value {
    let mut buffer = BytesMut::from(bytes);
    let decoded = match direction {
        Direction::Request => {
            let decoded = RequestDecoder { bounds }.decode_eof(&mut buffer);
            decoded.map(|frame| frame.map(|(header, body)| (header.request_id, body.err())))
        }
        Direction::Reply => {
            let decoded = ReplyDecoder { bounds }.decode_eof(&mut buffer);
            decoded.map(|frame| frame.map(|(header, body)| (header.request_id, body.err())))
        }
    };
    let (failure, request_id, connection) = match decoded {
        Err(error) => (error.to_failure(), 0, "closes"),
        Ok(Some((request_id, Some(error)))) => (error.to_failure(), request_id, "continues"),
        other => panic!("{other:?} is not wrong: {}", hex(bytes)),
    };
    let mut expected = json!({ "status": failure.status, "connection": connection });
    let map = expected.as_object_mut().unwrap();
    if connection == "continues" {
        map.insert("request_id".to_owned(), json!(request_id.to_string()));
    }
    if let Some(field) = failure.field {
        map.insert("field".to_owned(), json!(field));
    }
    if let Some(item) = failure.item {
        map.insert("item".to_owned(), json!(item));
    }
    expected
}

fn bad_vectors() -> Vec<Value> {
    let vector = |sample: faults::BadSample| {
        let expect = verdict(sample.direction, sample.bounds, &sample.bytes);
        let early = sample.bounds == FrameBounds::BEFORE_HELLO;
        let state = if early { "before_hello" } else { "open" };
        let fields = json!({ "state": state, "expect": expect });
        named(&sample.name, sample.direction, &sample.bytes, fields)
    };
    faults::bad().into_iter().map(vector).collect()
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file)
}

fn stored(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(file)).unwrap_or_else(|_| "[]".to_owned());
    serde_json::from_str(&text).unwrap()
}

/// The samples as they are, and the file as it is, must be the same.
fn compare(file: &str, made: &[Value]) {
    let names: BTreeSet<&str> =
        made.iter().map(|vector| vector["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), made.len(), "{file}: a name stands twice");
    if std::env::var("ADDRD_VECTORS").is_ok_and(|what| what == "write") {
        let lines: Vec<String> = made.iter().map(Value::to_string).collect();
        std::fs::write(path(file), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    for vector in stored(file) {
        let name = &vector["name"];
        let same = made.iter().find(|made| made["name"] == *name);
        let same = same.unwrap_or_else(|| panic!("{file}: {name} is stored and no longer made"));
        assert_eq!(*same, vector, "{file}: {name} changed");
    }
    assert_eq!(stored(file).len(), made.len(), "{file}: new vectors are not stored yet");
}

#[test]
fn vectors_are_what_they_were() {
    compare("requests.json", &request_vectors());
    compare("replies.json", &reply_vectors());
    compare("frames.json", &stream_vectors());
    compare("bad.json", &bad_vectors());
}

#[test]
fn stored_requests_decode_and_encode_to_their_bytes() {
    for vector in stored("requests.json") {
        let bytes = unhex(&vector["hex"]);
        let decoded = decode_request(&Bytes::from(bytes.clone())).unwrap();
        let fields = request_fields(decoded);
        assert_eq!(fields["header"], vector["header"], "{}", vector["name"]);
        assert_eq!(fields["body"], vector["body"], "{}", vector["name"]);
        let header: RequestHeader = serde_json::from_value(vector["header"].clone()).unwrap();
        let kind = json!(header.opcode.name());
        let request: Request = serde_json::from_value(tagged(&kind, &vector["body"])).unwrap();
        let mut out = BytesMut::new();
        encode_request(&header, &request, &mut out).unwrap();
        assert_eq!(hex(&out), hex(&bytes), "{}", vector["name"]);
    }
}

#[test]
fn stored_replies_decode_and_encode_to_their_bytes() {
    for vector in stored("replies.json") {
        let bytes = unhex(&vector["hex"]);
        let (header, body) = decode_reply(&Bytes::from(bytes.clone())).unwrap();
        let fields = reply_fields((header, body));
        for key in ["header", "kind", "body"] {
            assert_eq!(fields[key], vector[key], "{}", vector["name"]);
        }
        let body = vector["body"].clone();
        let body = match vector["kind"].as_str().unwrap() {
            "failure" => {
                ReplyOrFailure::Failure(Box::new(serde_json::from_value::<Failure>(body).unwrap()))
            }
            "goaway" => ReplyOrFailure::GoAway(serde_json::from_value::<GoAway>(body).unwrap()),
            _ => {
                let reply = tagged(&vector["kind"], &body);
                ReplyOrFailure::Reply(serde_json::from_value::<Reply>(reply).unwrap())
            }
        };
        let again = encode_any_reply(header.opcode, header.request_id, header.status, &body);
        assert_eq!(hex(&again), hex(&bytes), "{}", vector["name"]);
    }
}

#[test]
fn every_operation_has_vectors_in_both_directions() {
    let opcodes = |file: &str| -> BTreeSet<String> {
        let opcode = |vector: &Value| vector["header"]["opcode"].as_str().unwrap().to_owned();
        stored(file).iter().filter(|vector| vector["kind"] != "failure").map(opcode).collect()
    };
    let mut all: BTreeSet<String> = Opcode::ALL.iter().map(|code| code.name().to_owned()).collect();
    all.remove("error");
    let mut replies = all.clone();
    for own in ["goaway", "events", "watch_end"] {
        all.remove(own);
    }
    assert_eq!(opcodes("requests.json"), all);
    replies.retain(|name| name != "error");
    assert_eq!(opcodes("replies.json"), replies);
}

/// Operations whose wrong bytes are told, by their direction; a frame's own faults don't count.
fn wrong_operations(direction: &str) -> BTreeSet<Opcode> {
    stored("bad.json")
        .iter()
        .filter(|vector| vector["direction"] == direction)
        .filter(|vector| vector["expect"]["connection"] == "continues")
        .map(|vector| {
            let bytes = unhex(&vector["hex"]);
            Opcode(u16::from_be_bytes([bytes[6], bytes[7]]))
        })
        .collect()
}

#[test]
fn every_operation_has_wrong_bytes_in_both_directions() {
    let (requests, replies) = (wrong_operations("request"), wrong_operations("reply"));
    for opcode in Opcode::ALL {
        let is_servers =
            matches!(*opcode, Opcode::GOAWAY | Opcode::ERROR | Opcode::EVENTS | Opcode::WATCH_END);
        assert!(requests.contains(opcode) || is_servers, "no wrong request {}", opcode.name());
        assert!(replies.contains(opcode), "no wrong reply {}", opcode.name());
    }
}

#[test]
fn every_status_and_every_detail_has_a_vector() {
    let replies = stored("replies.json");
    let statuses: BTreeSet<&str> =
        replies.iter().map(|vector| vector["header"]["status"].as_str().unwrap()).collect();
    for status in Status::ALL {
        assert!(statuses.contains(status.name()), "{status}");
    }
    let details: BTreeSet<String> = replies
        .iter()
        .filter_map(|vector| vector["body"]["details"].as_array())
        .flatten()
        .flat_map(|detail| detail.as_object().unwrap().keys().cloned())
        .collect();
    let kinds = ["bound", "bounds", "candidate", "count", "current", "held", "other", "quota"];
    assert_eq!(details, kinds.map(str::to_owned).into());
}
