//! T7: malformed frames over TCP to a live server. Each kind gets the answer that SPEC promises;
//! in great numbers they disturb no good client, cost no memory and leave nothing in the log.

use crate::support::good::Good;
use crate::support::hostile::{
    CANARY, Frames, bytes_of, dial_from, hello_bytes, malformed, one_frame, ping_bytes, provoke,
};
use crate::support::line::dial;
use crate::support::network::network;
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::{run, say, scale};
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{Hello, Reply, Request};
use addrd_client::protocol::{NetworkId, Opcode, OwnerId, ServerId, Status};
use addrd_client::{plain_allocate, plain_hello};
use bytes::BytesMut;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(300);

/// A PING with some of its bytes replaced.
fn ping_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut ping = ping_bytes(7);
    ping[at..at + bytes.len()].copy_from_slice(bytes);
    ping
}

fn status_of(frame: &ReplyOrFailure) -> Status {
    match frame {
        ReplyOrFailure::Reply(_) => Status::OK,
        ReplyOrFailure::Failure(failure) => failure.status,
        ReplyOrFailure::GoAway(goaway) => panic!("{goaway:?}"),
    }
}

fn message_of(frame: &ReplyOrFailure) -> &str {
    match frame {
        ReplyOrFailure::Failure(failure) => &failure.message,
        _ => "",
    }
}

async fn provoked(site: &Site, bytes: &[u8]) -> Frames {
    provoke(dial(site.listen()).await.expect("a connection"), bytes).await
}

#[test]
fn broken_framing_gets_one_error_frame_and_the_end() {
    run(LIMIT, async {
        let site = Site::new();
        let _server = site.start().await;
        let long = |length: u32| ping_with(0, &length.to_be_bytes());
        let first: [(Vec<u8>, Status); 11] = [
            (long(0), Status::MALFORMED),
            (long(4), Status::MALFORMED),
            (long(63), Status::MALFORMED),
            (long(1 + (1 << 10)), Status::FRAME_TOO_LONG),
            (long(1 << 20), Status::FRAME_TOO_LONG),
            (long(u32::MAX), Status::FRAME_TOO_LONG),
            (ping_with(4, &[0]), Status::UNSUPPORTED_VERSION),
            (ping_with(4, &[2]), Status::UNSUPPORTED_VERSION),
            (ping_with(8, &[0; 8]), Status::MALFORMED),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Status::MALFORMED),
            (vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], Status::MALFORMED),
        ];
        for (bytes, status) in &first {
            let frames = provoked(&site, bytes).await;
            must_be_one_error(&frames, *status, bytes);
            // The same behind a HELLO, where the bounds are wider.
            if *status != Status::FRAME_TOO_LONG {
                let frames = provoked(&site, &[hello_bytes(), bytes.clone()].concat()).await;
                must_be_one_error(&frames[1..], *status, bytes);
            }
        }
        for length in [1 + (64 << 10), 1 << 20, u32::MAX] {
            let frames = provoked(&site, &[hello_bytes(), long(length)].concat()).await;
            must_be_one_error(&frames[1..], Status::FRAME_TOO_LONG, &long(length));
        }
        let http = provoked(&site, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(message_of(&http[0].1).contains("HTTP"), "{http:?}");
        let tls = provoked(&site, &[0x16, 3, 1, 2, 0, 1, 0, 1]).await;
        assert!(message_of(&tls[0].1).contains("TLS"), "{tls:?}");
    });
}

fn must_be_one_error(
    frames: &[(addrd_client::protocol::header::ReplyHeader, ReplyOrFailure)],
    status: Status,
    bytes: &[u8],
) {
    let [(header, frame)] = frames else { panic!("{bytes:02x?} got {frames:?}") };
    assert_eq!((header.opcode, header.request_id), (Opcode::ERROR, 0), "{bytes:02x?}");
    assert_eq!(status_of(frame), status, "{bytes:02x?} got {frame:?}");
}

#[test]
fn hello_comes_first_once_and_must_fit() {
    run(LIMIT, async {
        let site = Site::new();
        let _server = site.start().await;
        let early = provoked(&site, &ping_bytes(7)).await;
        assert_eq!(early.len(), 1, "{early:?}");
        assert_eq!(status_of(&early[0].1), Status::HELLO_EXPECTED);

        let hello = |hello: Hello| bytes_of(NetworkId::NIL, 1, &Request::Hello(Box::new(hello)));
        let newer = hello(Hello { version_min: 2, version_max: 9, ..plain_hello() });
        let refused = provoked(&site, &newer).await;
        assert_eq!(status_of(&refused[0].1), Status::UNSUPPORTED_VERSION);
        let pinned = hello(Hello { server_id: Some(ServerId::from_u128(5)), ..plain_hello() });
        let refused = provoked(&site, &pinned).await;
        assert_eq!(status_of(&refused[0].1), Status::WRONG_SERVER);

        let mut twice = hello_bytes();
        twice[15] = 9;
        let frames = provoked(&site, &[hello_bytes(), twice].concat()).await;
        assert_eq!(status_of(&frames[0].1), Status::OK);
        assert_eq!(status_of(&frames[1].1), Status::HELLO_EXPECTED);
    });
}

#[test]
fn a_wrong_body_is_answered_and_the_connection_goes_on() {
    run(LIMIT, async {
        let site = Site::new();
        let _server = site.start().await;
        let network = network(&site.client().await, 1, &["10.0.0.0/24"]).await;
        let allocate = Request::Allocate(plain_allocate(OwnerId::from_u128(1)));
        let plain = bytes_of(network, 7, &allocate);
        let with = |at: usize, bytes: &[u8]| {
            let mut frame = plain.clone();
            frame[at..at + bytes.len()].copy_from_slice(bytes);
            frame
        };
        let resized = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut frame = plain.clone();
            change(&mut frame);
            let length = frame.len() as u32;
            frame[..4].copy_from_slice(&length.to_be_bytes());
            frame
        };
        let tail = |tag: u16| {
            let mut frame = resized(&|frame| {
                frame.extend_from_slice(&tag.to_be_bytes());
                frame.extend_from_slice(&[0, 1, 0]);
            });
            frame[5] = 1;
            frame
        };
        let cases: [(Vec<u8>, Status); 10] = [
            (with(6, &[0x7f, 0xff]), Status::UNSUPPORTED),
            (with(5, &[0x80]), Status::UNSUPPORTED),
            (with(20, &[1]), Status::MALFORMED),
            (with(56, &[1]), Status::MALFORMED),
            (with(40, &[0; 16]), Status::MALFORMED),
            (resized(&|frame| frame.truncate(70)), Status::MALFORMED),
            (resized(&|frame| frame.push(0)), Status::MALFORMED),
            (tail(0xfffe), Status::UNSUPPORTED_FIELD),
            (with(66, &[99]), Status::UNSUPPORTED),
            // A tag that may be ignored is.
            (tail(0x7ffe), Status::OK),
        ];
        for (bytes, status) in cases {
            let stream = dial(site.listen()).await.expect("a connection");
            let sent = [hello_bytes(), bytes.clone(), ping_bytes(8)].concat();
            let mut frames = provoke(stream, &sent).await.split_off(1);
            frames.sort_by_key(|(header, _)| header.request_id);
            let [(first, answer), (second, pong)] = frames.as_slice() else {
                panic!("{bytes:02x?} got {frames:?}");
            };
            assert_eq!((first.request_id, second.request_id), (7, 8));
            assert_eq!(status_of(answer), status, "{bytes:02x?} got {answer:?}");
            assert_eq!(status_of(pong), Status::OK);
        }
    });
}

#[test]
fn a_stream_cut_at_any_byte_reads_the_same() {
    run(LIMIT, async {
        let site = Site::new();
        let _server = site.start().await;
        let network = network(&site.client().await, 1, &["10.0.0.0/24"]).await;
        let allocate = Request::Allocate(plain_allocate(OwnerId::from_u128(1)));
        let whole = [hello_bytes(), bytes_of(network, 2, &allocate), ping_bytes(3)].concat();
        let mut address = None;
        for cut in 0..whole.len() {
            let mut stream = dial(site.listen()).await.expect("a connection");
            let mut input = BytesMut::new();
            let mut answers = Vec::new();
            for (at, piece) in [&whole[..cut], &whole[cut..]].into_iter().enumerate() {
                stream.write_all(piece).await.expect("the server reads on");
                // What is whole by now is answered before the rest is there.
                let whole_frames = match at {
                    0 => usize::from(cut >= hello_bytes().len()),
                    _ => 3,
                };
                while answers.len() < whole_frames {
                    answers.push(one_frame(&mut stream, &mut input).await.expect("an answer"));
                }
            }
            assert!(answers.iter().all(|(_, answer)| status_of(answer) == Status::OK));
            let found = answers.iter().find_map(|(_, answer)| match answer {
                ReplyOrFailure::Reply(Reply::Allocated(got)) => Some(got.first.address),
                _ => None,
            });
            assert!(found.is_some() && *address.get_or_insert(found) == found, "cut at {cut}");
        }
    });
}

#[test]
fn half_a_frame_and_then_the_end_has_no_effect() {
    run(LIMIT, async {
        let site = Site::new();
        let _server = site.start().await;
        let client = site.client().await;
        let network = network(&client, 1, &["10.0.0.0/24"]).await;
        let allocate = Request::Allocate(plain_allocate(OwnerId::from_u128(1)));
        let frame = bytes_of(network, 2, &allocate);
        for kept in (1..frame.len()).step_by(7) {
            let frames = provoked(&site, &[&hello_bytes(), &frame[..kept]].concat()).await;
            let replies = frames.iter().filter(|(header, _)| header.request_id == 2);
            assert_eq!(replies.count(), 0, "{frames:?}");
        }
        let network = client.network_get(network).await.expect("the network is there");
        assert_eq!(network.allocations, 0);
    });
}

/// Connections that talk nonsense at once.
pub(crate) const ENEMIES: u64 = 16;
/// Frames that an enemy sends in one write at most.
const BURST_MAX: u64 = 64;
/// Memory that the flood may cost, bytes: buffers of the enemies, and what the allocator keeps.
pub(crate) const FLOOD_BYTES_MAX: u64 = 64 << 20;

#[test]
fn a_flood_of_malformed_frames_disturbs_no_good_client() {
    let frames = scale("ADDRD_FRAMES", 100_000);
    run(Duration::from_secs(300 + frames / 500), async {
        let mut choices = Choices::of_test("flood");
        let site = Site::new();
        let server = site.start().await;
        let good = Good::start(&site, 4, CANARY).await;
        let before = server.resident_bytes();
        let mut enemies = JoinSet::new();
        for number in 0..ENEMIES {
            let (choices, to) = (choices.fork(), site.listen());
            let from = Ipv4Addr::new(127, 0, 1, 1 + number as u8);
            enemies.spawn(flood(choices, from, to, frames.div_ceil(ENEMIES)));
        }
        let (mut connections, mut highest) = (0, before);
        while let Some(done) = enemies.join_next().await {
            connections += done.expect("the server sends frames and closes");
            highest = highest.max(server.resident_bytes());
        }
        let work = good.end().await;
        say(&format!(
            "{frames} frames on {connections} connections; good clients: {work}; \
             memory {before} then at most {highest} bytes"
        ));
        assert!(highest < before + FLOOD_BYTES_MAX, "from {before} to {highest} bytes");
        must_be_well(&site, server).await;
    });
}

/// Sends so many of them and returns on how many connections.
///
/// # Panics
/// When the server sends what is no frame, or does not close.
pub(crate) async fn flood(
    mut choices: Choices,
    from: Ipv4Addr,
    to: std::net::SocketAddr,
    frames: u64,
) -> u64 {
    let (mut sent, mut connections) = (0, 0);
    while sent < frames {
        // An address that talks nonsense may be kept out for a while: that is an answer too.
        let Ok(stream) = dial_from(from, to).await else { continue };
        connections += 1;
        let mut bytes = if choices.one_in(8) { Vec::new() } else { hello_bytes() };
        let burst = choices.below(1..BURST_MAX + 1);
        for number in 0..burst {
            bytes.extend(malformed(2 + number, &mut choices));
        }
        sent += burst;
        provoke(stream, &bytes).await;
    }
    connections
}

/// Ready, stops cleanly, never panicked, and said nothing of what it was sent.
///
/// # Panics
/// When it is not so.
pub(crate) async fn must_be_well(site: &Site, server: Server<'_>) {
    let ready = site.get("/readyz").await.expect("an answer");
    assert_eq!(ready.status, 200, "{}", ready.body);
    server.stop().await;
    let log = site.log();
    assert!(!log.contains("panicked"), "the server panicked");
    assert!(!log.contains(CANARY), "the log holds what was sent");
    site.check_is_clean();
}
