//! What is promised of turns: while more waits than is worth waiting for, who isn't alone has its part of what is on the
//! way and the rest of it stays unread; nothing is refused, and all of it is answered.

use super::super::super::testing::{
    FakeDecider, Stage, TestPeer, allocate_request, frame_with, network, settle,
};
use super::rates::{asks, from, greeted_from};
use super::{batch, delete_network};
use crate::limits;
use crate::model::Tick;
use crate::server::admission::Peer;
use crate::server::origin::Origin;
use crate::telemetry::reactors::Count;
use addrd_protocol::Status;

/// What may be on the way of all together.
const FAIR: u32 = 256;

/// Sends something and tells how many requests came to the deciding threads of it.
async fn pushed(stage: &Stage, peer: &mut TestPeer, bytes: &[u8]) -> usize {
    let before = stage.decider.seen().len();
    peer.send(bytes).await;
    settle().await;
    stage.decider.seen().len() - before
}

/// Reads so many answers.
async fn read(peer: &mut TestPeer, count: usize) {
    for _ in 0..count {
        assert_eq!(peer.status().await.1, Status::NOT_HELD);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_alone_has_its_part_of_what_is_on_the_way() {
    let stage = Stage::new(FakeDecider::holding());
    let mut loud = greeted_from(&stage, from("192.0.2.1")).await;
    let mut louder = greeted_from(&stage, from("192.0.2.1")).await;
    let mut modest = greeted_from(&stage, from("192.0.2.2")).await;
    stage.decider.crowd(Some(100));
    assert_eq!(pushed(&stage, &mut modest, &asks(2..=201)).await, 200, "alone one has all of it");
    stage.decider.answer_all();
    read(&mut modest, 200).await;

    stage.decider.crowd(Some(FAIR));
    let share = FAIR as usize / 2;
    assert_eq!(pushed(&stage, &mut loud, &asks(2..=201)).await, share, "of two, half");
    assert_eq!(pushed(&stage, &mut louder, &asks(2..=201)).await, share / 2, "by connections");
    assert_eq!(pushed(&stage, &mut modest, &asks(2..=19)).await, 18, "who has few has all of it");
    assert_eq!(stage.shared.reactors.snapshot().count(Count::TurnPauses), 2);

    // What was answered makes room, and all that waited unread comes.
    loop {
        let before = stage.decider.seen().len();
        stage.decider.answer_all();
        settle().await;
        let came = stage.decider.seen().len() - before;
        assert!(came <= share, "{came} at once");
        if came == 0 {
            break;
        }
    }
    read(&mut loud, 200).await;
    read(&mut louder, 200).await;
    read(&mut modest, 18).await;
}

/// What lies read in a connection that waits for its turn is not applied after its time.
#[tokio::test(start_paused = true)]
async fn time_outs_of_what_waits_for_its_turn_go_on() {
    let stage = Stage::new(FakeDecider::holding());
    let mut other = greeted_from(&stage, from("192.0.2.2")).await;
    pushed(&stage, &mut other, &asks(2..=2)).await;
    let mut loud = greeted_from(&stage, from("192.0.2.1")).await;
    stage.decider.crowd(Some(FAIR));
    let timed =
        |id| frame_with(id, network(0), &allocate_request(), |header| header.timeout_ms = 1_000);
    let all: Vec<u8> = (2..=201).flat_map(timed).collect();
    assert_eq!(pushed(&stage, &mut loud, &all).await, FAIR as usize / 2);
    let read_at = stage.decider.tick();
    stage.decider.advance(700);
    stage.decider.answer_all();
    settle().await;
    let expires: Vec<_> = stage
        .decider
        .take()
        .iter()
        .flat_map(|(_, parcel)| parcel.operations.iter().map(|one| one.expires))
        .collect();
    assert_eq!(expires, vec![Some(Tick(read_at.0 + 1_000)); 72], "from when it was read");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_held_back_where_nothing_waits() {
    let stage = Stage::new(FakeDecider::holding());
    let mut one = greeted_from(&stage, from("192.0.2.1")).await;
    let mut other = greeted_from(&stage, from("192.0.2.2")).await;
    assert_eq!(pushed(&stage, &mut one, &asks(2..=257)).await, 256);
    assert_eq!(pushed(&stage, &mut other, &asks(2..=257)).await, 256);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_nothing_on_the_way_gets_something_whatever_the_crowd() {
    let stage = Stage::new(FakeDecider::holding());
    stage.decider.crowd(Some(1));
    let mut other = greeted_from(&stage, from("192.0.2.2")).await;
    pushed(&stage, &mut other, &asks(2..=2)).await;
    let mut many = Vec::new();
    for _ in 0..limits::FAIR_LEAST + 10 {
        let mut peer = greeted_from(&stage, from("192.0.2.9")).await;
        assert!(pushed(&stage, &mut peer, &asks(2..=3)).await >= 1);
        many.push(peer);
    }
}

/// One long request is much on the way, what goes to the sequencer has turns of its own, and the operator isn't held back.
#[tokio::test(start_paused = true)]
async fn large_requests_weigh_what_they_are_long() {
    let stage = Stage::new(FakeDecider::holding());
    let mut other = greeted_from(&stage, from("192.0.2.2")).await;
    pushed(&stage, &mut other, &asks(2..=2)).await;
    let mut loud = greeted_from(&stage, from("192.0.2.1")).await;
    stage.decider.crowd(Some(FAIR));
    let batches = |ids: std::ops::Range<u64>| ids.flat_map(|id| batch(id, 500)).collect::<Vec<_>>();
    let weight = batch(2, 500).len() / limits::PLAIN_FRAME_BYTES;
    let most = (FAIR as usize / 2).div_ceil(weight);
    assert!((1..=4).contains(&most), "{weight}");
    assert_eq!(pushed(&stage, &mut loud, &batches(2..12)).await, most);

    let mut planner = greeted_from(&stage, from("192.0.2.3")).await;
    let deletes: Vec<u8> = (2..=201).flat_map(|id| delete_network(id, 1)).collect();
    assert_eq!(pushed(&stage, &mut planner, &deletes).await, FAIR as usize / 3);

    let operator = Origin { user: Some(0), ..Origin::of(Peer::Local) };
    let mut operator = greeted_from(&stage, operator).await;
    assert_eq!(pushed(&stage, &mut operator, &asks(2..=201)).await, 200);
    assert_eq!(pushed(&stage, &mut operator, &delete_network(202, 1)).await, 1);
}
