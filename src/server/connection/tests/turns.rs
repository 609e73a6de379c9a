//! What is promised of turns: while more waits than is worth waiting for, who isn't alone has its part of what is on the
//! way and the rest of it stays unread; nothing is refused, and all of it is answered.

use super::super::super::testing::{FakeDecider, Stage, TestPeer, settle};
use super::rates::{asks, from, greeted_from};
use super::{batch, delete_network};
use crate::limits;
use crate::server::admission::Peer;
use crate::server::origin::Origin;
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

/// Answers what is there and reads it; returns how many answers came to each.
async fn answered(stage: &Stage, peers: &mut [&mut TestPeer], waiting: &mut [usize]) {
    stage.decider.answer_all();
    for (peer, waiting) in peers.iter_mut().zip(waiting) {
        for _ in 0..std::mem::take(waiting) {
            assert_eq!(peer.status().await.1, Status::NOT_HELD);
        }
    }
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_alone_has_its_part_of_what_is_on_the_way() {
    let stage = Stage::new(FakeDecider::holding());
    let mut loud = greeted_from(&stage, from("192.0.2.1")).await;
    let mut louder = greeted_from(&stage, from("192.0.2.1")).await;
    let mut modest = greeted_from(&stage, from("192.0.2.2")).await;
    stage.decider.crowd(Some(FAIR));
    assert_eq!(pushed(&stage, &mut modest, &asks(2..=9)).await, 8, "alone one has all of it");

    let share = FAIR as usize / 2;
    assert_eq!(pushed(&stage, &mut loud, &asks(2..=201)).await, share, "of two, half");
    assert_eq!(pushed(&stage, &mut louder, &asks(2..=201)).await, share / 2, "by connections");
    assert_eq!(pushed(&stage, &mut modest, &asks(10..=19)).await, 10, "who has few has all of it");

    // What was answered makes room, and what waited unread comes in order.
    let mut waiting = [share, share / 2, 18];
    let mut left = [200 - share, 200 - share / 2, 0];
    while waiting.iter().sum::<usize>() > 0 {
        let before = stage.decider.seen().len();
        answered(&stage, &mut [&mut loud, &mut louder, &mut modest], &mut waiting).await;
        let came = stage.decider.seen().len() - before;
        assert!(came <= share + share / 2, "{came} at once");
        for (waiting, left) in waiting.iter_mut().zip(&mut left) {
            *waiting = (share / 2).min(*left);
            *left -= *waiting;
        }
        assert_eq!(came, waiting.iter().sum::<usize>());
    }
    assert_eq!(left, [0, 0, 0]);
    let ids: Vec<u64> = stage.decider.seen().iter().map(|(_, id)| *id).collect();
    assert_eq!(ids.len(), 200 + 200 + 18);
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
    let mut crowd = Vec::new();
    for host in 1..=3 {
        let mut peer = greeted_from(&stage, from(&format!("192.0.2.{host}"))).await;
        pushed(&stage, &mut peer, &asks(2..=2)).await;
        crowd.push(peer);
    }
    let mut many = Vec::new();
    for _ in 0..limits::FAIR_LEAST + 10 {
        let mut peer = greeted_from(&stage, from("192.0.2.9")).await;
        assert!(pushed(&stage, &mut peer, &asks(2..=3)).await >= 1);
        many.push(peer);
    }
}

/// One long request is much on the way, and the operator isn't held back.
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
    let came = pushed(&stage, &mut loud, &batches(2..12)).await;
    assert!((1..=most).contains(&came), "{came} of {most}");

    let operator = Origin { user: Some(0), ..Origin::of(Peer::Local) };
    let mut operator = greeted_from(&stage, operator).await;
    assert_eq!(pushed(&stage, &mut operator, &asks(2..=201)).await, 200);
    assert_eq!(pushed(&stage, &mut operator, &delete_network(202, 1)).await, 1);
}
