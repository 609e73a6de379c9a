//! What a peer is promised: order, credit, bounds, time-outs, last words. Paused time, no sockets.

use super::super::testing::{
    FakeDecider, SERVER_ID, Stage, TestPeer, allocate_request, frame, frame_with, hello,
    hello_in_session, hello_of, network, ping, release, release_request, settle,
};
use crate::config::Bounds;
use crate::engine::Route;
use crate::limits;
use crate::model::{NetworkId, ProjectId, Revision, ServerId, Tick};
use crate::telemetry::reactors::Count;
use addrd_protocol::codec::{BATCH_BYTES_MAX, CREDIT, REQUEST_BYTES_MAX, ReplyOrFailure};
use addrd_protocol::message::{
    Batch, BatchItem, BatchMode, Detail, GoAwayReason, NetworkDelete, Reply, Request,
};
use addrd_protocol::{Opcode, Status, Text};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, advance};

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn batch(request_id: u64, items: usize) -> Vec<u8> {
    let Request::Release(release) = release_request() else { unreachable!() };
    let items = vec![BatchItem::Release(release); items];
    let request = Request::Batch(Box::new(Batch { mode: BatchMode::Independent, items }));
    frame(request_id, network(0), &request)
}

async fn ends_within(peer: &mut TestPeer, least: Duration, most: Duration, since: Instant) {
    peer.ends().await;
    let took = since.elapsed();
    assert!(least <= took && took <= most, "{took:?} is not in {least:?} ..= {most:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_may_follow_hello_without_waiting() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.connect();
    let sent = [hello(1), ping(2), release(3, 0), release(4, 1), ping(5)].concat();
    peer.send(&sent).await;
    let (header, ReplyOrFailure::Reply(Reply::Hello(told))) = peer.reply().await else {
        panic!("HELLO is answered first");
    };
    assert_eq!((header.request_id, told.server_id, told.position.0), (1, SERVER_ID, 17));
    assert_eq!((told.credit, told.idle_ms, told.frame_bytes_max), (256, 300_000, 65_536));
    let mut answered = Vec::new();
    for _ in 0..4 {
        answered.push(peer.status().await);
    }
    answered.sort_unstable();
    assert_eq!(
        answered,
        [(2, Status::OK), (3, Status::NOT_HELD), (4, Status::NOT_HELD), (5, Status::OK)]
    );
}

#[tokio::test(start_paused = true)]
async fn without_hello_nothing_is_served() {
    let stage = Stage::new(FakeDecider::answering());
    for first in [ping(9), release(9, 0)] {
        let mut peer = stage.connect();
        peer.send(&[first, release(10, 0)].concat()).await;
        assert_eq!(peer.status().await, (9, Status::HELLO_EXPECTED));
        peer.ends().await;
    }
    assert!(stage.decider.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn hello_is_refused_for_its_version_server_or_project() {
    let stage = Stage::new(FakeDecider::answering());
    let versions = hello_of(|hello| (hello.version_min, hello.version_max) = (2, 9));
    let pinned = hello_of(|hello| hello.server_id = Some(ServerId::from_u128(1)));
    for (request, status) in
        [(versions, Status::UNSUPPORTED_VERSION), (pinned, Status::WRONG_SERVER)]
    {
        let mut peer = stage.connect();
        peer.send(&frame(1, NetworkId::NIL, &request)).await;
        assert_eq!(peer.status().await, (1, status));
        peer.ends().await;
    }
    let mut peer = stage.connect();
    let other = |header: &mut addrd_protocol::message::RequestHeader| {
        header.project = ProjectId::from_u128(5);
    };
    peer.send(&frame_with(1, NetworkId::NIL, &hello_of(|_| {}), other)).await;
    let (_, failure) = peer.failure().await;
    assert_eq!((failure.status, failure.field), (Status::UNSUPPORTED, Some(text("project"))));
    peer.ends().await;

    let mut peer = stage.connect();
    let right = hello_of(|hello| hello.server_id = Some(SERVER_ID));
    peer.send(&frame(1, NetworkId::NIL, &right)).await;
    assert_eq!(peer.status().await, (1, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_and_another_project_are_refused_and_the_connection_goes_on() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&hello(2)).await;
    assert_eq!(peer.status().await, (2, Status::HELLO_EXPECTED));
    let other = frame_with(3, network(0), &release_request(), |header| {
        header.project = ProjectId::from_u128(5);
    });
    peer.send(&other).await;
    let (header, failure) = peer.failure().await;
    assert_eq!((header.request_id, failure.status), (3, Status::UNSUPPORTED));
    assert_eq!(failure.field, Some(text("project")));
    let named = frame_with(4, network(0), &release_request(), |header| {
        header.project = ProjectId::DEFAULT;
    });
    peer.send(&named).await;
    assert_eq!(peer.status().await, (4, Status::NOT_HELD));
    assert_eq!(stage.decider.seen(), [(Route::Worker(0), 4)]);
}

#[tokio::test(start_paused = true)]
async fn frames_may_be_split_anywhere() {
    let stage = Stage::new(FakeDecider::answering());
    let all = [hello(1), release(2, 0), batch(3, 30), ping(4)].concat();
    for at in 1..all.len() {
        let mut peer = stage.connect();
        let (head, tail) = all.split_at(at);
        peer.send(head).await;
        settle().await;
        peer.send(tail).await;
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(peer.status().await.0);
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4], "split at {at}");
    }
    let mut slow = stage.connect();
    for byte in &all {
        slow.send(&[*byte]).await;
        settle().await;
    }
    for _ in 0..4 {
        slow.status().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_in_flight_cannot_be_used_again_until_it_is_answered() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[release(5, 0), release(5, 0), ping(5)].concat()).await;
    assert_eq!(peer.status().await, (5, Status::REQUEST_ID_IN_USE));
    assert_eq!(peer.status().await, (5, Status::REQUEST_ID_IN_USE));
    stage.decider.answer_all();
    assert_eq!(peer.status().await, (5, Status::NOT_HELD));
    peer.send(&release(5, 0)).await;
    settle().await;
    stage.decider.answer_all();
    assert_eq!(peer.status().await, (5, Status::NOT_HELD));
    assert_eq!(stage.decider.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn unknown_operations_and_bad_bodies_are_answered_and_the_connection_goes_on() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    for opcode in [0x0999_u16, Opcode::GOAWAY.0, Opcode::ERROR.0] {
        let mut unknown = release(6, 0);
        unknown[6..8].copy_from_slice(&opcode.to_be_bytes());
        peer.send(&unknown).await;
        assert_eq!(peer.status().await, (6, Status::UNSUPPORTED), "{opcode:#x}");
    }
    let mut short = release(7, 0);
    short.truncate(70);
    short[..4].copy_from_slice(&70u32.to_be_bytes());
    peer.send(&short).await;
    assert_eq!(peer.status().await, (7, Status::MALFORMED));
    peer.is_served().await;
}

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
async fn broken_framing_gets_one_error_frame_behind_what_was_asked_before() {
    let too_long = REQUEST_BYTES_MAX + 1;
    let mut plain = release(9, 0);
    plain[..4].copy_from_slice(&too_long.to_be_bytes());
    let mut huge = batch(9, 1);
    huge[..4].copy_from_slice(&(BATCH_BYTES_MAX + 1).to_be_bytes());
    let mut version = ping(9);
    version[4] = 9;
    let tls = [&[0x16, 3, 1, 2, 0][..], &[0; 100]].concat();
    let cases = [
        (plain, Status::FRAME_TOO_LONG, "longer"),
        (huge, Status::FRAME_TOO_LONG, "longer"),
        (vec![0; 64], Status::MALFORMED, "shorter"),
        (vec![0xff; 64], Status::FRAME_TOO_LONG, "longer"),
        (version, Status::UNSUPPORTED_VERSION, "version"),
        (ping(0), Status::MALFORMED, "request id 0"),
        (b"GET / HTTP/1.1\r\nHost: addrd\r\n\r\n".to_vec(), Status::MALFORMED, "HTTP"),
        (tls, Status::MALFORMED, "TLS"),
    ];
    for is_greeted in [false, true] {
        for (bytes, status, says) in &cases {
            let stage = Stage::new(FakeDecider::holding());
            let mut peer = if is_greeted { stage.greeted().await } else { stage.connect() };
            let before = if is_greeted { release(8, 0) } else { Vec::new() };
            peer.send(&[&before[..], bytes, &release(10, 0)].concat()).await;
            let (header, failure) = peer.failure().await;
            assert_eq!((header.opcode, header.request_id), (Opcode::ERROR, 0));
            assert_eq!(failure.status, *status, "{failure:?}");
            assert!(failure.message.contains(says), "{failure:?}");
            if is_greeted {
                stage.decider.answer_all();
                assert_eq!(peer.status().await, (8, Status::NOT_HELD));
            }
            peer.ends().await;
            assert_eq!(stage.decider.seen().len(), usize::from(is_greeted));
        }
    }
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

fn list(request_id: u64) -> Vec<u8> {
    let request = Request::NetworkList(Box::default());
    frame(request_id, NetworkId::NIL, &request)
}

fn delete_network(request_id: u64, on: u8) -> Vec<u8> {
    let request = Request::NetworkDelete(NetworkDelete { force: false, expected: Revision(0) });
    frame(request_id, network(on), &request)
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_what_spans_workers_on_the_same_network() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    let (even, odd) = (Route::Worker(0), Route::Worker(1));
    let sent = [
        release(1, 0),
        release(2, 1),
        delete_network(3, 0),
        release(4, 0),
        release(5, 1),
        release(7, 2),
    ];
    peer.send(&sent.concat()).await;
    settle().await;
    let seen = stage.decider.seen();
    let at = |id| seen.iter().position(|(_, other)| *other == id).unwrap();
    let route = |id| seen[at(id)].0;
    assert_eq!([route(1), route(2), route(5), route(7)], [even, odd, odd, even]);
    assert_eq!([route(3), route(4)], [Route::Sequencer; 2]);
    assert!(at(1) < at(3) && at(2) < at(3) && at(3) < at(4) && at(2) < at(5), "{seen:?}");
    // Answered, the network is its worker's again.
    stage.decider.answer_all();
    for _ in 0..6 {
        peer.status().await;
    }
    peer.send(&[release(8, 0), list(9)].concat()).await;
    settle().await;
    assert_eq!(stage.decider.seen().last(), Some(&(even, 8)));
    stage.decider.answer_all();
    settle().await;
    assert_eq!(stage.decider.seen().last(), Some(&(Route::Gather, 9)));
}

#[tokio::test(start_paused = true)]
async fn hello_sets_manager_and_host_of_allocations_that_name_none() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.connect();
    let greeting = hello_of(|hello| {
        hello.manager = Some(text("cluster-a"));
        hello.host = Some(text("node-1"));
    });
    peer.send(&frame(1, NetworkId::NIL, &greeting)).await;
    peer.status().await;
    let mut named = allocate_request();
    if let Request::Allocate(allocate) = &mut named {
        allocate.extras.get_or_insert_default().manager = Some(text("cluster-b"));
    }
    let later = frame_with(3, network(0), &named, |header| header.timeout_ms = 250);
    peer.send(&[frame(2, network(0), &allocate_request()), later].concat()).await;
    settle().await;
    let parcels = stage.decider.take();
    let operations = &parcels[0].1.operations;
    let told = |at: usize| match &operations[at].request {
        Request::Allocate(allocate) => {
            let extras = allocate.extras.clone().unwrap();
            (extras.manager.unwrap().to_string(), extras.host.unwrap().to_string())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told(0), ("cluster-a".to_owned(), "node-1".to_owned()));
    assert_eq!(told(1), ("cluster-b".to_owned(), "node-1".to_owned()));
    assert_eq!(operations[0].expires, None);
    assert_eq!(operations[1].expires, Some(Tick(1_250)));
    assert_eq!(operations[1].scope.project, ProjectId::DEFAULT);
    assert_eq!(parcels[0].1.outstanding, 2);
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
    stage.decider.answer_all();
    assert_eq!(old.status().await, (2, Status::NOT_HELD));
    old.ends().await;
    assert_eq!(new.status().await, (1, Status::OK));
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
async fn beyond_the_bytes_of_all_connections_requests_are_busy_and_the_rest_goes_on() {
    let step = limits::BYTES_IN_FLIGHT_STEP;
    let bounds = Bounds { bytes_in_flight_max: 2 * step, ..Bounds::default() };
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
    assert!(stage.shared.bytes_in_flight.used() <= 2 * step);
    assert!(stage.decider.held() > 0);
    stage.decider.answer_all();
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
