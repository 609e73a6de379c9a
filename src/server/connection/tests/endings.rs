//! How connections end, what is still answered then, and how sessions hand over.

use super::super::super::testing::{
    FakeDecider, Stage, TestPeer, hello, hello_in_session, release, settle,
};
use super::{batch, ends_within, text};
use crate::config::Bounds;
use crate::limits;
use crate::telemetry::reactors::Count;
use addrd_protocol::message::{Detail, GoAwayReason};
use addrd_protocol::{Opcode, Status};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn who_shuts_its_side_still_gets_its_answers() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[release(2, 0), release(3, 1)].concat()).await;
    peer.io.shutdown().await.unwrap();
    settle().await;
    stage.decider.answer_all();
    let mut ids = [peer.status().await.0, peer.status().await.0];
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    peer.ends().await;
    peer.task.await.unwrap();
    assert_eq!(stage.shared.admission.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_ends_inside_a_frame_is_told() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&[&release(2, 0)[..], &release(3, 0)[..50]].concat()).await;
    peer.io.shutdown().await.unwrap();
    let mut got = [peer.reply().await.0, peer.reply().await.0];
    got.sort_by_key(|header| header.request_id);
    assert_eq!((got[0].opcode, got[0].status), (Opcode::ERROR, Status::MALFORMED));
    assert_eq!((got[1].request_id, got[1].status), (2, Status::NOT_HELD));
    peer.ends().await;
    assert_eq!(stage.decider.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_vanishes_ends_when_what_it_pushed_is_decided() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[release(2, 0), release(3, 0)].concat()).await;
    settle().await;
    let TestPeer { io, task, .. } = peer;
    drop(io);
    settle().await;
    assert!(!task.is_finished());
    stage.decider.answer_all();
    task.await.unwrap();
    assert_eq!(stage.shared.admission.connections(), 0);
    assert_eq!(stage.shared.bytes_in_flight.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn last_words_are_read_even_if_the_peer_still_sends() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&[0; 64]).await;
    settle().await;
    // The server reads on for a while and throws it away.
    peer.send(&[7; 10_000]).await;
    assert_eq!(peer.failure().await.1.status, Status::MALFORMED);
    peer.ends().await;
    let since = Instant::now();
    peer.task.await.unwrap();
    assert!(since.elapsed() <= Duration::from_millis(limits::LINGER_MS + 10));
}

#[tokio::test(start_paused = true)]
async fn shutdown_tells_the_last_request_and_answers_what_was_read() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[release(20, 0), release(7, 0)].concat()).await;
    settle().await;
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    settle().await;
    peer.send(&release(8, 0)).await;
    let goaway = peer.goaway().await;
    assert_eq!((goaway.reason, goaway.last_request_id), (GoAwayReason::Shutdown, 7));
    stage.decider.answer_all();
    assert_eq!((peer.status().await.0, peer.status().await.0), (20, 7));
    peer.ends().await;
    assert_eq!(stage.decider.seen().len(), 2);
}

/// A disk that is busy with other things once made an answer later than the time that peers have
/// to read: it was cut off, though GOAWAY had named its request and the change was made.
#[tokio::test(start_paused = true)]
async fn what_goaway_names_is_answered_however_slow_the_disk_is() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[release(2, 0), release(3, 1)].concat()).await;
    settle().await;
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    assert_eq!(peer.goaway().await.last_request_id, 3);
    tokio::time::sleep(4 * Duration::from_millis(limits::SHUTDOWN_MS)).await;
    stage.decider.answer_all();
    let mut ids = [peer.status().await.0, peer.status().await.0];
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    peer.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_closing_connection_is_cut_off_when_the_disk_hangs_or_the_peer_never_reads() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&release(2, 0)).await;
    settle().await;
    let since = Instant::now();
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    assert_eq!(peer.goaway().await.last_request_id, 2);
    let most = Duration::from_millis(limits::CLOSING_DECIDED_MS);
    ends_within(&mut peer, most, most + Duration::from_millis(10), since).await;
    stage.decider.answer_all();

    // Its answers are there, and it takes a byte of them now and then.
    let stage = Stage::new(FakeDecider::answering());
    stage.decider.set_reply_bytes(100_000);
    let mut peer = stage.connect_with(1_024);
    peer.send(&hello(1)).await;
    peer.status().await;
    peer.send(&release(2, 0)).await;
    settle().await;
    let since = Instant::now();
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    let most = Duration::from_millis(limits::SHUTDOWN_MS);
    while !peer.task.is_finished() {
        assert!(since.elapsed() <= most + most / 20, "a slow reader keeps a stopping server");
        peer.io.read_exact(&mut [0]).await.unwrap();
        tokio::time::sleep(most / 20).await;
    }
    assert!(since.elapsed() >= most);
}

#[tokio::test(start_paused = true)]
async fn goaway_names_what_was_refused_before_it_was_whole_and_no_hello_that_waits() {
    let bounds = Bounds { bytes_in_flight_max: 4 << 10, ..Bounds::default() };
    let stage = Stage::bounded(FakeDecider::answering(), bounds);
    let mut peer = stage.greeted().await;
    let long = batch(9, 1_024);
    peer.send(&long[..limits::READ_BUFFER_BYTES_MIN]).await;
    assert_eq!(peer.status().await, (9, Status::BUSY));
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    assert_eq!(peer.goaway().await.last_request_id, 9);
    peer.ends().await;

    let stage = Stage::new(FakeDecider::holding());
    let mut old = stage.connect();
    old.send(&[hello_in_session(1, 9, 4), release(2, 0)].concat()).await;
    old.status().await;
    let mut new = stage.connect();
    new.send(&hello_in_session(1, 9, 5)).await;
    assert_eq!(old.goaway().await.reason, GoAwayReason::SessionReplaced);
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    assert_eq!(new.goaway().await.last_request_id, 0);
    new.ends().await;
    stage.decider.answer_all();
    assert_eq!(old.status().await, (2, Status::NOT_HELD));
    old.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_waits_until_the_older_ones_work_is_decided() {
    let stage = Stage::new(FakeDecider::holding());
    let mut old = stage.connect();
    old.send(&[hello_in_session(1, 9, 4), release(2, 0)].concat()).await;
    assert_eq!(old.status().await, (1, Status::OK));
    let mut new = stage.connect();
    new.send(&[hello_in_session(1, 9, 5), release(3, 0)].concat()).await;
    assert_eq!(old.goaway().await.reason, GoAwayReason::SessionReplaced);
    new.hears_nothing().await;
    assert_eq!(stage.decider.held(), 1, "the newer one pushes nothing before");
    let since = Instant::now();
    stage.decider.answer_all();
    assert_eq!(new.status().await, (1, Status::OK));
    assert_eq!(since.elapsed(), Duration::ZERO, "it goes on at once");
    assert_eq!(old.status().await, (2, Status::NOT_HELD));
    old.ends().await;
    settle().await;
    stage.decider.answer_all();
    assert_eq!(new.status().await, (3, Status::NOT_HELD));

    for epoch in [4, 5] {
        let mut stale = stage.connect();
        stale.send(&hello_in_session(1, 9, epoch)).await;
        let (_, failure) = stale.failure().await;
        assert_eq!(failure.status, Status::SESSION_STALE);
        stale.ends().await;
    }
    new.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_an_older_connection_ends_busy_and_fences_all_the_same() {
    let stage = Stage::new(FakeDecider::holding());
    let mut old = stage.connect();
    old.send(&[hello_in_session(1, 9, 1), release(2, 0)].concat()).await;
    old.status().await;
    drop(old);
    settle().await;
    let since = Instant::now();
    let mut second = stage.connect();
    second.send(&hello_in_session(1, 9, 2)).await;
    let (_, failure) = second.failure().await;
    assert_eq!(failure.status, Status::BUSY);
    assert_eq!(failure.details, [Detail::Bound { name: text("session_wait_ms") }]);
    assert!(since.elapsed() >= Duration::from_millis(limits::SESSION_WAIT_MS));
    second.ends().await;
    drop(second);
    // The one before is gone, but not what the first one pushed.
    let mut third = stage.connect();
    third.send(&hello_in_session(1, 9, 3)).await;
    third.hears_nothing().await;
    stage.decider.answer_all();
    assert_eq!(third.status().await, (1, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_remembered_for_ten_minutes_after_its_connection() {
    let stage = Stage::new(FakeDecider::answering());
    let mut first = stage.connect();
    first.send(&hello_in_session(1, 9, 7)).await;
    first.status().await;
    drop(first);
    settle().await;
    tokio::time::sleep(Duration::from_millis(limits::SESSION_KEEP_MS - 1_000)).await;
    stage.shared.sessions.sweep(Instant::now());
    assert_eq!(stage.shared.sessions.count(), 1);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    stage.shared.sessions.sweep(Instant::now());
    assert_eq!(stage.shared.sessions.count(), 0);
    let mut again = stage.connect();
    again.send(&hello_in_session(1, 9, 1)).await;
    assert_eq!(again.status().await, (1, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_panics_ends_alone() {
    let stage = Stage::new(FakeDecider::answering());
    let mut good = stage.greeted().await;
    let mut bad = stage.connect();
    bad.send(&hello_in_session(1, 9, 1)).await;
    bad.status().await;
    stage.decider.panic_next();
    bad.send(&release(2, 0)).await;
    bad.ends().await;
    bad.task.await.unwrap();
    assert_eq!(stage.shared.reactors.snapshot().count(Count::EndedByPanic), 1);
    good.is_served().await;
    let mut next = stage.connect();
    next.send(&hello_in_session(1, 9, 2)).await;
    assert_eq!(next.status().await, (1, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn garbage_on_other_connections_does_not_touch_a_good_one() {
    let stage = Stage::new(FakeDecider::answering());
    let mut good = stage.greeted().await;
    let rounds = std::env::var("ADDRD_TEST_GARBAGE").ok().and_then(|text| text.parse().ok());
    let seed = std::env::var("ADDRD_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand_seed);
    say_seed(seed);
    let mut state = seed;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for round in 0..rounds.unwrap_or(2_000_u64) {
        let mut bad = stage.connect_with(1 << 20);
        let mut bytes = if next() % 4 == 0 { Vec::new() } else { hello(1) };
        for _ in 0..next() % 6 {
            bytes.extend(match next() % 3 {
                0 => batch(2 + next() % 4, 3),
                _ => release(2 + next() % 4, 0),
            });
        }
        for _ in 0..=next() % 8 {
            let at = usize::try_from(next()).unwrap() % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = (next() & 0xff) as u8;
            }
        }
        let _ = bad.io.write_all(&bytes).await;
        let _ = bad.io.shutdown().await;
        let task = bad.task;
        tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
        if round % 16 == 0 {
            good.is_served().await;
        }
    }
    good.is_served().await;
    let snapshot = stage.shared.reactors.snapshot();
    assert_eq!(snapshot.count(Count::EndedByPanic), 0);
    assert_eq!(stage.shared.admission.connections(), 1);
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
fn say_seed(seed: u64) {
    eprintln!("ADDRD_TEST_SEED={seed}");
}
