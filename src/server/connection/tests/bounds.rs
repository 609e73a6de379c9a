//! Credit, sizes, times: what happens at each bound and beyond it.

use super::super::super::testing::{FakeDecider, Stage, hello, ping, release, settle};
use super::{batch, ends_within, list, text};
use crate::config::Bounds;
use crate::limits;
use crate::telemetry::reactors::Count;
use addrd_protocol::codec::CREDIT;
use addrd_protocol::message::{Detail, GoAwayReason};
use addrd_protocol::{Opcode, Status};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn ten_protocol_errors_a_minute_are_forgiven_and_no_more() {
    let stage = Stage::new(FakeDecider::answering());
    let mut bad = release(7, 0);
    bad.truncate(70);
    bad[..4].copy_from_slice(&70u32.to_be_bytes());
    let mut peer = stage.greeted().await;
    for _ in 0..2 {
        for _ in 0..limits::PROTOCOL_ERRORS_MAX {
            peer.send(&bad).await;
            assert_eq!(peer.status().await, (7, Status::MALFORMED));
        }
        peer.is_served().await;
        advance(Duration::from_millis(limits::PROTOCOL_ERRORS_MS)).await;
    }
    for _ in 0..limits::PROTOCOL_ERRORS_MAX {
        peer.send(&bad).await;
        assert_eq!(peer.status().await, (7, Status::MALFORMED));
    }
    peer.send(&[bad, release(8, 0)].concat()).await;
    assert_eq!(peer.status().await, (7, Status::MALFORMED));
    let (header, failure) = peer.failure().await;
    assert_eq!((header.opcode, header.request_id), (Opcode::ERROR, 0));
    assert_eq!(failure.status, Status::RATE_LIMITED);
    peer.ends().await;
    assert!(stage.decider.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn before_hello_a_frame_has_at_most_one_kibibyte() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.connect();
    let mut long = release(1, 0);
    long[..4].copy_from_slice(&1_025u32.to_be_bytes());
    peer.send(&long).await;
    assert_eq!(peer.failure().await.1.status, Status::FRAME_TOO_LONG);
    peer.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_batch_is_read_whole_and_the_buffer_is_given_back() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    let long = batch(2, 1_024);
    assert!(long.len() > limits::READ_BUFFER_BYTES_MIN);
    peer.send(&[long, ping(3)].concat()).await;
    let mut ids = [peer.status().await.0, peer.status().await.0];
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    tokio::time::sleep(Duration::from_millis(2 * limits::SHRINK_MS)).await;
    assert_eq!(stage.shared.bytes_in_flight.used(), 0);
    peer.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn beyond_the_credit_requests_stay_unread_until_others_are_answered() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    let credit = u64::from(CREDIT);
    let all: Vec<u8> = (1..=credit + 100).flat_map(|id| release(id, 0)).collect();
    peer.send(&all).await;
    settle().await;
    assert_eq!(stage.decider.held(), CREDIT as usize);
    peer.send(&ping(9_999)).await;
    peer.hears_nothing().await;
    stage.decider.answer_all();
    let mut answered = 0;
    while answered < credit {
        if peer.status().await.1 == Status::NOT_HELD {
            answered += 1;
        }
    }
    settle().await;
    assert_eq!(stage.decider.held(), 100);
    stage.decider.answer_all();
    for _ in 0..101 {
        peer.status().await;
    }
    let order: Vec<u64> = stage.decider.seen().into_iter().map(|(_, id)| id).collect();
    assert_eq!(order, (1..=credit + 100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_busy_with_all_that_follows_it_to_the_same_worker() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    stage.decider.set_room(2);
    let sent: Vec<u8> = (1..=5).flat_map(|id| release(id, 0)).collect();
    peer.send(&sent).await;
    for id in 3..=5 {
        let (header, failure) = peer.failure().await;
        assert_eq!((header.request_id, failure.status), (id, Status::BUSY));
        assert_eq!(failure.retry_after_ms, 7);
        assert_eq!(failure.details, [Detail::Bound { name: text("fake_room") }]);
    }
    stage.decider.set_room(10);
    stage.decider.answer_all();
    assert_eq!((peer.status().await.0, peer.status().await.0), (1, 2));
    // Their ids and credit are free again.
    peer.send(&release(3, 0)).await;
    settle().await;
    stage.decider.answer_all();
    assert_eq!(peer.status().await, (3, Status::NOT_HELD));
}

#[tokio::test(start_paused = true)]
async fn silence_before_hello_ends_the_connection() {
    let stage = Stage::new(FakeDecider::answering());
    let (first, whole) = (limits::FIRST_BYTE_MS, limits::HELLO_MS);
    let since = Instant::now();
    let mut silent = stage.connect();
    assert_eq!(silent.failure().await.1.status, Status::TIMED_OUT);
    let most = Duration::from_millis(first + 10);
    ends_within(&mut silent, Duration::from_millis(first), most, since).await;

    let since = Instant::now();
    let mut half = stage.connect();
    advance(Duration::from_millis(first - 1_000)).await;
    half.send(&hello(1)[..20]).await;
    settle().await;
    for _ in 0..whole / 1_000 - 1 {
        advance(Duration::from_millis(1_000)).await;
        half.send(&[0]).await;
        settle().await;
    }
    assert_eq!(half.failure().await.1.status, Status::TIMED_OUT);
    let least = Duration::from_millis(first - 1_000 + whole);
    ends_within(&mut half, least, least + Duration::from_millis(10), since).await;
    silent.task.await.unwrap();
    half.task.await.unwrap();
    assert_eq!(stage.shared.reactors.snapshot().count(Count::EndedByTimeOut), 2);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_trickles_in_must_be_whole_in_time() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    advance(Duration::from_secs(60)).await;
    let since = Instant::now();
    let long = release(2, 0);
    let mut bytes = long.iter();
    while since.elapsed() < Duration::from_millis(limits::FRAME_MS) {
        peer.send(&[*bytes.next().unwrap()]).await;
        settle().await;
        advance(Duration::from_millis(500)).await;
    }
    let (header, failure) = peer.failure().await;
    assert_eq!((header.opcode, failure.status), (Opcode::ERROR, Status::TIMED_OUT));
    peer.ends().await;
    assert!(stage.decider.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_frame_begun_behind_whole_ones_has_its_own_time() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    let rounds = 40;
    let all = release(2, 0).repeat(rounds);
    let length = all.len() / rounds;
    // Each write ends one frame and begins the next, 28 s in all.
    peer.send(&all[..10]).await;
    for round in 0..rounds {
        settle().await;
        advance(Duration::from_millis(700)).await;
        let end = all.len().min((round + 1) * length + 10);
        peer.send(&all[round * length + 10..end]).await;
        assert_eq!(peer.status().await, (2, Status::NOT_HELD));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_told_and_closed_and_every_frame_counts() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    let idle = Duration::from_millis(limits::IDLE_MS);
    for _ in 0..3 {
        tokio::time::sleep(idle - Duration::from_secs(1)).await;
        peer.is_served().await;
    }
    let since = Instant::now();
    let goaway = peer.goaway().await;
    assert_eq!((goaway.reason, goaway.last_request_id), (GoAwayReason::Idle, u64::MAX));
    ends_within(&mut peer, idle, idle + Duration::from_millis(10), since).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_is_not_idle() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&release(2, 0)).await;
    tokio::time::sleep(Duration::from_millis(2 * limits::IDLE_MS)).await;
    stage.decider.answer_all();
    assert_eq!(peer.status().await, (2, Status::NOT_HELD));
    peer.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_stops_being_read_and_is_closed() {
    let stage = Stage::new(FakeDecider::answering());
    stage.decider.set_reply_bytes(3_000);
    let mut peer = stage.connect_with(64 << 10);
    peer.send(&hello(1)).await;
    peer.status().await;
    let since = Instant::now();
    let mut id = 1;
    loop {
        id += 1;
        // Well above what fits, far below what would hurt the machine.
        assert!(id < 4_000, "replies have no bound");
        let bytes = release(id, 0);
        let sent = tokio::time::timeout(Duration::from_secs(1), peer.io.write_all(&bytes)).await;
        if sent.is_err() {
            break;
        }
    }
    settle().await;
    let asked = stage.decider.seen().len();
    // What waits is bounded: replies up to half, and what was asked for before that.
    let half = limits::REPLY_BYTES_WAITING_PAUSE;
    let most = (half + (64 << 10)) / 3_024 + CREDIT as usize + 1;
    assert!(asked <= most, "{asked} replies of 3,024 bytes are more than {most}");
    assert!(stage.shared.bytes_in_flight.used() <= limits::REPLY_BYTES_WAITING_MAX as u64);
    tokio::time::sleep(Duration::from_millis(limits::STALL_MS)).await;
    peer.task.await.unwrap();
    assert!(since.elapsed() >= Duration::from_millis(limits::STALL_MS));
    assert_eq!(stage.shared.reactors.snapshot().count(Count::EndedSlowReader), 1);
    assert_eq!(stage.shared.bytes_in_flight.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn long_replies_are_asked_for_one_at_a_time() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[list(2), list(3), release(4, 0)].concat()).await;
    settle().await;
    assert_eq!(stage.decider.held(), 1);
    stage.decider.answer_all();
    assert_eq!(peer.status().await.0, 2);
    settle().await;
    assert_eq!(stage.decider.held(), 1);
    stage.decider.answer_all();
    assert_eq!(peer.status().await.0, 3);
    settle().await;
    stage.decider.answer_all();
    assert_eq!(peer.status().await.0, 4);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bytes_of_all_connections_requests_are_busy_and_the_rest_goes_on() {
    let step = limits::BYTES_IN_FLIGHT_STEP;
    let bounds = Bounds { bytes_in_flight_max: 8 * step, ..Bounds::default() };
    let stage = Stage::bounded(FakeDecider::holding(), bounds);
    let mut peer = stage.greeted().await;
    // A frame that would need a larger buffer than there is left for all.
    let long = batch(2, 1_024);
    let sent: Vec<u8> = [&long[..], &ping(3)].concat();
    peer.send(&sent).await;
    let (header, failure) = peer.failure().await;
    assert_eq!((header.request_id, header.opcode), (2, Opcode::BATCH));
    assert_eq!(failure.status, Status::BUSY);
    assert_eq!(failure.details, [Detail::Bound { name: text("bytes_in_flight_max") }]);
    assert_eq!(peer.status().await, (3, Status::OK));
    // Many small ones in flight.
    let many: Vec<u8> = (10..200).flat_map(|id| release(id, 0)).collect();
    peer.send(&many).await;
    assert_eq!(peer.status().await.1, Status::BUSY);
    assert!(stage.shared.bytes_in_flight.used() <= 8 * step);
    assert!(stage.decider.held() > 0);
    stage.decider.answer_all();
}
