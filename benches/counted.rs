//! The hot paths one at a time, for benches/counted.py, which counts what they cost: `counted PATH DRAINS` does one path
//! so many times over and prints nothing. What one drain costs is the difference between two runs.
//!
//! A drain is 1,024 requests: releases of random addresses of 65,536 that live, and allocations for the same owners.

#[path = "support/pairs.rs"]
mod pairs;

use addrd::allocator::Scope;
use addrd::journal::RecordBuffer;
use addrd::model::{Effect, EffectSink};
use addrd_protocol::codec::{decode_request_slice, encode_reply, encode_request};
use addrd_protocol::message::{Reply, Request, RequestHeader, Strategy};
use addrd_protocol::{Opcode, Status};
use bytes::BytesMut;
use pairs::{Emptied, Pairs};
use std::hint::black_box;

impl Emptied for RecordBuffer {
    fn empty(&mut self) {
        self.clear();
    }
}

const OWNERS: u64 = 1 << 16;

/// A shard with all of them, which has been at work for a while.
fn steady<S: Emptied>() -> Pairs<S> {
    let mut bench = Pairs::new(1, 1, 15, Strategy::Next);
    bench.fill(OWNERS);
    for _ in 0..64 {
        let requests = bench.drain(OWNERS);
        bench.run(&requests);
    }
    bench
}

/// The frames of a drain.
fn frames() -> Vec<BytesMut> {
    let requests = steady::<RecordBuffer>().drain(OWNERS);
    let frame = |(at, (scope, request)): (usize, (Scope, Request))| {
        let header = RequestHeader {
            opcode: request.opcode(),
            request_id: at as u64 + 1,
            timeout_ms: 0,
            project: scope.project,
            network: scope.network,
            pool: false,
            network_project: None,
            restoring: false,
        };
        let mut frame = BytesMut::new();
        encode_request(&header, &request, &mut frame).expect("it has a place in a frame");
        frame
    };
    requests.into_iter().enumerate().map(frame).collect()
}

/// The answers of a drain.
fn answers() -> Vec<(Opcode, Status, Reply)> {
    let mut bench = steady::<RecordBuffer>();
    let requests = bench.drain(OWNERS);
    let answers = requests.iter().map(|(scope, request)| {
        let (status, reply) = bench.answer(scope, request);
        (request.opcode(), status, reply)
    });
    answers.collect()
}

/// The effects of a drain.
fn effects() -> Vec<Effect> {
    let mut bench = steady::<Kept>();
    for (scope, request) in bench.drain(OWNERS) {
        bench.answer(&scope, &request);
    }
    bench.sink.0
}

/// Keeps effects.
#[derive(Default)]
struct Kept(Vec<Effect>);

impl EffectSink for Kept {
    fn push(&mut self, effect: &Effect) {
        self.0.push(effect.clone());
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }
}

impl Emptied for Kept {
    fn empty(&mut self) {
        self.0.clear();
    }
}

fn decode(drains: u64) {
    let frames = frames();
    for _ in 0..drains {
        for frame in &frames {
            let (header, request) = decode_request_slice(black_box(frame)).expect("a frame");
            assert!(black_box(request).is_ok() && header.request_id > 0);
        }
    }
}

/// What comes next is made beforehand: it isn't counted.
fn apply(drains: u64) {
    let mut bench = steady::<RecordBuffer>();
    let requests: Vec<_> = (0..APPLY_DRAINS_MAX).map(|_| bench.drain(OWNERS)).collect();
    for requests in requests.iter().take(drains as usize) {
        bench.run(black_box(requests));
    }
}

fn encode(drains: u64) {
    let (answers, mut out) = (answers(), BytesMut::with_capacity(1 << 20));
    for _ in 0..drains {
        for (at, (opcode, status, reply)) in black_box(&answers).iter().enumerate() {
            encode_reply(*opcode, at as u64 + 1, *status, reply, &mut out);
        }
        out.clear();
    }
}

fn record(drains: u64) {
    let (effects, mut buffer) = (effects(), RecordBuffer::with_capacity(1 << 20));
    for _ in 0..drains {
        black_box(&effects).iter().for_each(|effect| buffer.push(effect));
        buffer.clear();
    }
}

/// Drains that `apply` makes beforehand.
const APPLY_DRAINS_MAX: u64 = 64;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|text| text != "--bench");
    let (path, drains) = (arguments.next(), arguments.next());
    let Some(path) = path else { return };
    let drains: u64 = drains.and_then(|text| text.parse().ok()).expect("counted PATH DRAINS");
    match path.as_str() {
        "decode" => decode(drains),
        "apply" => apply(drains),
        "encode" => encode(drains),
        "record" => record(drains),
        other => panic!("{other}: decode, apply, encode or record"),
    }
}
