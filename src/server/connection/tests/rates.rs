//! What is promised of rates: who stays below is served, who goes beyond is told when to come again, and who doesn't
//! listen costs the server nothing.

use super::super::super::testing::{
    FakeDecider, Stage, TestPeer, allocate_request, frame, hello, network, ping, release, settle,
};
use super::{batch, delete_network, list, text};
use crate::config::Bounds;
use crate::limits;
use crate::model::NetworkId;
use crate::server::admission::Peer;
use crate::server::origin::Origin;
use crate::telemetry::reactors::Count;
use addrd_protocol::Status;
use addrd_protocol::message::{Detail, Failure, GoAwayReason, Request};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Ten operations a second, ten at once.
fn slow(decider: FakeDecider) -> Stage {
    Stage::bounded(decider, Bounds { rate_principal: Some(10), ..Bounds::default() })
}

/// Something that has no part of the rate for itself.
fn ask(id: u64) -> Vec<u8> {
    frame(id, network(0), &allocate_request())
}

pub(super) fn asks(ids: impl IntoIterator<Item = u64>) -> Vec<u8> {
    ids.into_iter().flat_map(ask).collect()
}

pub(super) fn from(address: &str) -> Origin {
    Origin::of(Peer::of(address.parse().unwrap()))
}

pub(super) async fn greeted_from(stage: &Stage, origin: Origin) -> TestPeer {
    let mut peer = stage.connect_from(origin);
    peer.send(&hello(1)).await;
    assert_eq!(peer.status().await, (1, Status::OK));
    peer
}

/// The next so many answers: status by request id.
async fn answers(peer: &mut TestPeer, count: usize) -> BTreeMap<u64, Status> {
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        let (id, status) = peer.status().await;
        assert_eq!(answers.insert(id, status), None, "{id} was answered twice");
    }
    answers
}

fn count_of(answers: &BTreeMap<u64, Status>, status: Status) -> usize {
    answers.values().filter(|one| **one == status).count()
}

/// Sends requests that are refused for the rate, and gives the last answer.
async fn refused(peer: &mut TestPeer, id: u64) -> Failure {
    peer.send(&ask(id)).await;
    let (header, failure) = peer.failure().await;
    assert_eq!((header.request_id, failure.status), (id, Status::RATE_LIMITED));
    failure
}

#[tokio::test(start_paused = true)]
async fn beyond_the_rate_requests_are_refused_undone_and_told_when_there_is_room() {
    let stage = slow(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    // HELLO was the first.
    peer.send(&asks(2..=13)).await;
    let (mut served, mut told) = (0, Vec::new());
    for _ in 0..12 {
        let frame = peer.frame().await.unwrap();
        let (header, body) = addrd_protocol::codec::decode_reply(&frame).unwrap();
        if header.status == Status::NOT_HELD {
            served += 1;
            continue;
        }
        let addrd_protocol::codec::ReplyOrFailure::Failure(failure) = body.unwrap() else {
            panic!("{header:?}");
        };
        assert_eq!(failure.details, [Detail::Bound { name: text("rate_principal") }]);
        told.push((header.request_id, failure.status, failure.retry_after_ms));
    }
    assert_eq!(served, 9);
    let limited = |id, ms| (id, Status::RATE_LIMITED, ms);
    assert_eq!(told, [limited(11, 100), limited(12, 200), limited(13, 300)]);
    assert_eq!(stage.decider.seen().len(), 9, "what was refused was decided");
    // Who comes when he was told to is served; earlier he isn't.
    sleep(Duration::from_millis(99)).await;
    assert!(refused(&mut peer, 20).await.retry_after_ms <= 5 * 100);
    sleep(Duration::from_millis(201)).await;
    peer.send(&asks(21..=23)).await;
    assert_eq!(count_of(&answers(&mut peer, 3).await, Status::NOT_HELD), 3);
    let reactors = stage.shared.reactors.snapshot();
    assert_eq!(reactors.count(Count::RefusedRatePrincipal), 4);
}

#[tokio::test(start_paused = true)]
async fn work_is_counted_and_not_frames_whatever_becomes_of_it() {
    let mut bad = release(7, 0);
    bad.truncate(70);
    bad[..4].copy_from_slice(&70u32.to_be_bytes());
    // A request, and how many units it takes.
    let costs: [(Vec<u8>, u64); 6] = [
        (batch(2, 7), 7),
        (list(2), 9),
        (delete_network(2, 0), 16),
        (frame(2, NetworkId::NIL, &Request::ServerStatus), 1),
        (ping(2), 1),
        (bad, 1),
    ];
    for (request, cost) in costs {
        let stage = slow(FakeDecider::answering());
        let mut peer = stage.greeted().await;
        peer.send(&request).await;
        peer.frame().await.unwrap();
        peer.send(&asks(10..10 + 10)).await;
        let answers = answers(&mut peer, 10).await;
        let left = 9_u64.saturating_sub(cost);
        assert_eq!(count_of(&answers, Status::NOT_HELD) as u64, left, "{cost}");
    }
}

/// A lease must not end because its holder asked for much else.
#[tokio::test(start_paused = true)]
async fn what_lets_go_or_goes_on_has_a_burst_of_its_own() {
    let stage = slow(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&asks(2..=10)).await;
    assert_eq!(count_of(&answers(&mut peer, 9).await, Status::NOT_HELD), 9);
    refused(&mut peer, 11).await;
    let releases: Vec<u8> = (20..=31).flat_map(|id| release(id, 0)).collect();
    peer.send(&releases).await;
    let answers = answers(&mut peer, 12).await;
    assert_eq!(count_of(&answers, Status::NOT_HELD), 10, "as many again, and no more");
    // They are missing to the rest: there is no way around the rate.
    sleep(Duration::from_millis(900)).await;
    refused(&mut peer, 40).await;
}

/// What would lie in a connection that isn't read isn't read whole.
#[tokio::test(start_paused = true)]
async fn a_large_frame_beyond_the_rate_is_refused_unread_and_frees_its_bytes() {
    let stage = slow(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&asks(2..=10)).await;
    answers(&mut peer, 9).await;
    for id in 20..30 {
        peer.send(&batch(id, 1_000)).await;
        assert_eq!(peer.status().await, (id, Status::RATE_LIMITED));
    }
    settle().await;
    assert_eq!(stage.decider.seen().len(), 9);
    sleep(Duration::from_secs(2)).await;
    peer.send(&ask(90)).await;
    assert_eq!(peer.status().await, (90, Status::NOT_HELD));
}

#[tokio::test(start_paused = true)]
async fn what_costs_more_than_there_is_passes_and_is_missing_later() {
    let stage = slow(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&batch(2, 59)).await;
    assert_eq!(peer.status().await.0, 2);
    assert_eq!(refused(&mut peer, 3).await.retry_after_ms, 5_100);
    sleep(Duration::from_millis(5_100)).await;
    peer.send(&ask(3)).await;
    assert_eq!(peer.status().await, (3, Status::NOT_HELD));
}

#[tokio::test(start_paused = true)]
async fn all_connections_of_one_spend_from_one_bucket_and_a_reconnect_fills_none() {
    let stage = slow(FakeDecider::answering());
    let mut one = greeted_from(&stage, from("192.0.2.1")).await;
    one.send(&asks(2..=7)).await;
    assert_eq!(count_of(&answers(&mut one, 6).await, Status::NOT_HELD), 6);
    let mut other = greeted_from(&stage, from("192.0.2.1")).await;
    other.send(&asks(2..=4)).await;
    assert_eq!(count_of(&answers(&mut other, 3).await, Status::NOT_HELD), 2);
    refused(&mut one, 9).await;
    drop((one, other));
    settle().await;
    let mut again = greeted_from(&stage, from("192.0.2.1")).await;
    refused(&mut again, 2).await;
    // A neighbour has its own.
    let mut neighbour = greeted_from(&stage, from("192.0.2.2")).await;
    neighbour.send(&asks(2..=10)).await;
    assert_eq!(count_of(&answers(&mut neighbour, 9).await, Status::NOT_HELD), 9);
}

#[tokio::test(start_paused = true)]
async fn the_operator_is_never_refused() {
    let stage = slow(FakeDecider::answering());
    let mut peer = greeted_from(&stage, Origin { user: Some(0), ..Origin::of(Peer::Local) }).await;
    peer.send(&asks(2..=200)).await;
    assert_eq!(count_of(&answers(&mut peer, 199).await, Status::NOT_HELD), 199);
}

/// A client that sends whatever it is told is refused a bounded number of times; then it is read as fast as its rate
/// allows, and nothing turns meanwhile.
#[tokio::test(start_paused = true)]
async fn who_does_not_listen_is_not_read_and_wakes_nobody() {
    let stage = slow(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    let since = Instant::now();
    let count = 200;
    peer.send(&asks(2..2 + count)).await;
    let answers = answers(&mut peer, count as usize).await;
    assert_eq!(count_of(&answers, Status::RATE_LIMITED), limits::RATE_REFUSALS_MAX as usize);
    let served = count_of(&answers, Status::NOT_HELD) as u64;
    assert_eq!(served + u64::from(limits::RATE_REFUSALS_MAX), count);
    // Ten a second: what was there at first, and what came since.
    let took = since.elapsed();
    assert!(took >= Duration::from_millis((served - 9) * 100), "{took:?} for {served}");
    let holds = stage.shared.reactors.snapshot().count(Count::RateHolds);
    assert!(holds <= served, "{holds} holds for {served} requests");
    // Order is kept all the same.
    let order: Vec<u64> = stage.decider.seen().into_iter().map(|(_, id)| id).collect();
    assert!(order.is_sorted());
    // When it has been quiet it is told again when to come.
    sleep(Duration::from_secs(2)).await;
    peer.send(&ask(1_000)).await;
    assert_eq!(peer.status().await.1, Status::NOT_HELD);
    peer.send(&asks(1_001..1_001 + 20)).await;
    let answers = self::answers(&mut peer, 20).await;
    assert_eq!(count_of(&answers, Status::RATE_LIMITED), 11);
}

#[tokio::test(start_paused = true)]
async fn whose_requests_wait_for_a_rate_is_not_idle_and_hears_of_a_shutdown() {
    let stage = Stage::bounded(
        FakeDecider::answering(),
        Bounds { rate_principal: Some(1), ..Bounds::default() },
    );
    let mut peer = stage.greeted().await;
    let refusals = u64::from(limits::RATE_REFUSALS_MAX);
    // A debt of longer than the idle time, and requests behind it.
    sleep(Duration::from_secs(1)).await;
    peer.send(&[batch(2, 1_000), asks(3..4 + refusals)].concat()).await;
    let refused = answers(&mut peer, 1 + refusals as usize).await;
    assert_eq!(count_of(&refused, Status::RATE_LIMITED), refusals as usize);
    let since = Instant::now();
    assert_eq!(peer.status().await, (3 + refusals, Status::NOT_HELD));
    assert!(since.elapsed() > 3 * Duration::from_millis(limits::IDLE_MS));
    peer.send(&asks(100..101)).await;
    settle().await;
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    let goaway = peer.goaway().await;
    assert_eq!((goaway.reason, goaway.last_request_id), (GoAwayReason::Shutdown, 3 + refusals));
    peer.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_in_use_is_told_so_also_beyond_the_rate() {
    let stage = slow(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[asks(2..=10), ask(2)].concat()).await;
    assert_eq!(peer.status().await, (2, Status::REQUEST_ID_IN_USE));
    settle().await;
    assert_eq!(stage.decider.held(), 9);
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_all_leaves_each_his_share() {
    let bounds = Bounds { rate_total: Some(100), ..Bounds::default() };
    let stage = Stage::bounded(FakeDecider::answering(), bounds);
    let mut greedy = greeted_from(&stage, from("192.0.2.1")).await;
    let mut modest = greeted_from(&stage, from("192.0.2.2")).await;
    modest.send(&ask(2)).await;
    modest.status().await;
    // Half of the burst is there for those below their share.
    greedy.send(&asks(2..=120)).await;
    let mut id = 120;
    for round in 0..40 {
        sleep(Duration::from_millis(250)).await;
        id += 1;
        modest.send(&asks(10 * round + 10..10 * round + 20)).await;
        let answers = answers(&mut modest, 10).await;
        assert_eq!(count_of(&answers, Status::NOT_HELD), 10, "40 a second of 100 are below half");
        greedy.send(&asks(1_000 * id..1_000 * id + 50)).await;
    }
    let counts = stage.shared.reactors.snapshot();
    assert!(counts.count(Count::RefusedRateTotal) > 0 && counts.count(Count::RateHolds) > 0);
    assert_eq!(counts.count(Count::RefusedRatePrincipal), 0);
}

/// What the deciding threads need to give each principal its share of a ring.
#[tokio::test(start_paused = true)]
async fn a_parcel_tells_what_its_principal_has_without_reply_over_all_connections() {
    let stage = Stage::new(FakeDecider::holding());
    let mut one = greeted_from(&stage, from("192.0.2.1")).await;
    let mut other = greeted_from(&stage, from("192.0.2.1")).await;
    let mut stranger = greeted_from(&stage, from("192.0.2.2")).await;
    let operator = Origin { user: Some(0), ..Origin::of(Peer::Local) };
    let mut operator = greeted_from(&stage, operator).await;
    let mut told = Vec::new();
    let mut tell = async |peer: &mut TestPeer, bytes: Vec<u8>| {
        peer.send(&bytes).await;
        settle().await;
        let parcels = stage.decider.take();
        told.push(parcels.last().unwrap().1.principal_outstanding);
        // They stay without reply.
        std::mem::forget(parcels);
    };
    tell(&mut one, asks(2..=4)).await;
    tell(&mut other, asks(2..=3)).await;
    tell(&mut stranger, asks(2..=2)).await;
    // To the sequencer only what goes there counts.
    tell(&mut other, delete_network(9, 1)).await;
    tell(&mut one, delete_network(9, 1)).await;
    tell(&mut operator, asks(2..=4)).await;
    assert_eq!(told, [3, 5, 1, 1, 2, 0]);
    assert_eq!(stage.shared.accounts.active(), 3);
    assert_eq!(stage.shared.accounts.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_counts_no_more() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[asks(2..=100), delete_network(101, 1)].concat()).await;
    settle().await;
    stage.decider.answer_all();
    answers(&mut peer, 100).await;
    peer.send(&[ask(2), delete_network(101, 1)].concat()).await;
    settle().await;
    let outstanding: Vec<u32> =
        stage.decider.take().iter().map(|(_, parcel)| parcel.principal_outstanding).collect();
    assert_eq!(outstanding, [1, 1]);
}
