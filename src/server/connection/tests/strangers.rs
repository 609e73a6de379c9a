//! What is promised where wrong tokens are shown: the address waits longer and longer for its refusals, and whoever
//! is somebody doesn't wait, whatever his neighbours do.

use super::super::super::testing::{FakeDecider, Stage, TestPeer, hello, hello_of, settle};
use super::ends_within;
use crate::config::{Bounds, Config};
use crate::limits;
use crate::model::NetworkId;
use crate::server::admission::Peer;
use crate::server::origin::Origin;
use crate::telemetry::reactors::Count;
use addrd_protocol::message::GoAwayReason;
use addrd_protocol::{Status, Token, TokenId};
use std::time::Duration;
use tokio::time::Instant;

fn from(address: &str) -> Origin {
    Origin::of(Peer::of(address.parse().unwrap()))
}

fn wrong() -> Vec<u8> {
    let token = Token::new(TokenId(7), [7; 32]);
    super::frame(1, NetworkId::NIL, &hello_of(|hello| hello.token = Some(token)))
}

/// Shows a wrong token from there; how long the answer takes.
async fn refused(stage: &Stage, address: &str) -> Duration {
    let since = Instant::now();
    let mut peer = stage.connect_from(from(address));
    peer.send(&wrong()).await;
    assert_eq!(peer.status().await, (1, Status::UNAUTHENTICATED));
    let took = since.elapsed();
    peer.ends().await;
    took
}

async fn is_let_in(stage: &Stage, address: &str) -> TestPeer {
    let since = Instant::now();
    let mut peer = stage.connect_from(from(address));
    peer.send(&hello(1)).await;
    assert_eq!(peer.status().await, (1, Status::OK));
    assert_eq!(since.elapsed(), Duration::ZERO, "a good client waited");
    peer
}

#[tokio::test(start_paused = true)]
async fn an_address_that_shows_wrong_tokens_waits_and_its_good_clients_do_not() {
    let stage = Stage::new(FakeDecider::answering());
    let free = limits::STRANGER_REFUSALS_FREE;
    for _ in 0..free {
        assert_eq!(refused(&stage, "192.0.2.1").await, Duration::ZERO);
    }
    for seconds in [1, 2, 4, 4] {
        let took = refused(&stage, "192.0.2.1").await;
        let least = Duration::from_secs(seconds);
        assert!(took >= least && took < least + Duration::from_millis(10), "{took:?}");
        is_let_in(&stage, "192.0.2.1").await.is_served().await;
    }
    assert_eq!(refused(&stage, "192.0.2.2").await, Duration::ZERO);
    let counts = stage.shared.reactors.snapshot();
    assert_eq!(counts.count(Count::StrangersDelayed), 4);
    assert_eq!(stage.shared.strangers.count(), 2);
    // The places before HELLO came back.
    settle().await;
    assert_eq!(stage.shared.admission.ungreeted(), 0);
    // A minute without is enough.
    tokio::time::sleep(Duration::from_millis(limits::STRANGER_WINDOW_MS)).await;
    assert_eq!(refused(&stage, "192.0.2.1").await, Duration::ZERO);
}

/// Who waits for a refusal has one of the places that his address has before HELLO, sends into nothing, and ends with
/// the server.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_refusal_keeps_his_place_and_ends_with_the_server() {
    let bounds = Bounds { connections_ungreeted_peer_max: 2, ..Bounds::default() };
    let stage = Stage::bounded(FakeDecider::answering(), bounds);
    for _ in 0..limits::STRANGER_REFUSALS_FREE + 3 {
        refused(&stage, "192.0.2.1").await;
    }
    let since = Instant::now();
    let mut peer = stage.connect_from(from("192.0.2.1"));
    peer.send(&[wrong(), super::release(2, 0)].concat()).await;
    peer.hears_nothing().await;
    assert_eq!(stage.shared.admission.ungreeted(), 1);
    stage.shared.crowd.close_all(GoAwayReason::Shutdown);
    let goaway = peer.goaway().await;
    assert_eq!((goaway.reason, goaway.last_request_id), (GoAwayReason::Shutdown, 0));
    ends_within(&mut peer, Duration::ZERO, Duration::from_secs(1), since).await;
    assert!(stage.decider.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_a_stranger() {
    let stage = Stage::guarded(FakeDecider::answering());
    assert!(Config::default().local_operator);
    for _ in 0..10 {
        let mut peer = stage.connect();
        let other = hello_of(|hello| (hello.version_min, hello.version_max) = (2, 9));
        peer.send(&super::frame(1, NetworkId::NIL, &other)).await;
        assert_eq!(peer.status().await, (1, Status::UNSUPPORTED_VERSION));
    }
    assert_eq!(stage.shared.strangers.count(), 0);
}
