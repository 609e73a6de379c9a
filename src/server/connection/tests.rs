//! What a peer is promised of a conversation: order, answers, errors that end it and errors that
//! do not. Paused time, no sockets.

mod access;
mod bounds;
mod endings;
mod flushing;
mod rates;
mod slow;
mod strangers;
mod turns;

use super::super::testing::{
    FakeDecider, SERVER_ID, Stage, TestPeer, allocate_request, frame, frame_with, hello, hello_of,
    network, ping, release, release_request, settle,
};
use crate::engine::Route;
use crate::model::{NetworkId, ProjectId, Revision, ServerId, Tick};
use addrd_protocol::codec::{BATCH_BYTES_MAX, REQUEST_BYTES_MAX, ReplyOrFailure, decode_reply};
use addrd_protocol::message::{
    Batch, BatchItem, BatchMode, ClockAccept, NetworkDelete, NetworkFind, Reply, Request,
    Transaction, TransactionItem,
};
use addrd_protocol::{Opcode, Status, Text};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

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

fn list(request_id: u64) -> Vec<u8> {
    let request = Request::NetworkList(Box::default());
    frame(request_id, NetworkId::NIL, &request)
}

fn transaction(request_id: u64, on: &[u8]) -> Vec<u8> {
    let Request::Release(release) = release_request() else { unreachable!() };
    let item = |on: &u8| TransactionItem {
        network: network(*on),
        pool: false,
        network_project: None,
        operation: BatchItem::Release(release.clone()),
    };
    let items = on.iter().map(item).collect();
    let request = Request::Transaction(Box::new(Transaction { items }));
    frame(request_id, NetworkId::NIL, &request)
}

fn delete_network(request_id: u64, on: u8) -> Vec<u8> {
    let request = Request::NetworkDelete(NetworkDelete { force: false, expected: Revision(0) });
    frame(request_id, network(on), &request)
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
async fn hello_is_refused_for_its_version_or_server() {
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
    let right = hello_of(|hello| hello.server_id = Some(SERVER_ID));
    peer.send(&frame(1, NetworkId::NIL, &right)).await;
    assert_eq!(peer.status().await, (1, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_is_refused_and_the_connection_goes_on_in_any_project() {
    let stage = Stage::new(FakeDecider::answering());
    let mut peer = stage.greeted().await;
    peer.send(&hello(2)).await;
    assert_eq!(peer.status().await, (2, Status::HELLO_EXPECTED));
    let other = frame_with(3, network(0), &release_request(), |header| {
        header.project = ProjectId::from_u128(5);
    });
    peer.send(&other).await;
    assert_eq!(peer.status().await, (3, Status::NOT_HELD));
    let named = frame_with(4, network(0), &release_request(), |header| {
        header.project = ProjectId::DEFAULT;
    });
    peer.send(&named).await;
    assert_eq!(peer.status().await, (4, Status::NOT_HELD));
    assert_eq!(stage.decider.seen(), [(Route::Worker(0), 3), (Route::Worker(0), 4)]);
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
    let accept = |id| frame(id, NetworkId::NIL, &Request::ClockAccept(ClockAccept {}));
    peer.send(&[release(5, 0), release(5, 0), ping(5), accept(5)].concat()).await;
    for _ in 0..3 {
        assert_eq!(peer.status().await, (5, Status::REQUEST_ID_IN_USE));
    }
    assert_eq!(stage.decider.attempts().len(), 0, "what was refused was done");
    stage.decider.answer_all();
    assert_eq!(peer.status().await, (5, Status::NOT_HELD));
    peer.send(&release(5, 0)).await;
    settle().await;
    stage.decider.answer_all();
    assert_eq!(peer.status().await, (5, Status::NOT_HELD));
    assert_eq!(stage.decider.seen().len(), 2);
    peer.send(&accept(6)).await;
    assert_eq!(peer.status().await, (6, Status::OK));
    assert_eq!(stage.decider.attempts().len(), 1);
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
async fn nothing_overtakes_a_transaction_on_any_of_its_networks() {
    let stage = Stage::new(FakeDecider::holding());
    let mut peer = stage.greeted().await;
    peer.send(&[transaction(1, &[0, 1]), release(2, 1), release(3, 2)].concat()).await;
    // One on more networks than are told apart holds back everything that follows it.
    let many: Vec<u8> = (0..9).collect();
    peer.send(&[transaction(4, &many), release(5, 77)].concat()).await;
    settle().await;
    let sequenced = |id| (Route::Sequencer, id);
    let worker = (Route::Worker(0), 3);
    let seen = stage.decider.seen();
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!([1, 2, 4, 5].iter().all(|id| seen.contains(&sequenced(*id))), "{seen:?}");
    assert!(seen.contains(&worker), "{seen:?}");
    stage.decider.answer_all();
    for _ in 0..5 {
        peer.status().await;
    }
    peer.send(&release(6, 1)).await;
    settle().await;
    assert_eq!(stage.decider.seen().last(), Some(&(Route::Worker(1), 6)));
    stage.decider.answer_all();
    peer.status().await;
    // A question about all networks is one about these too.
    let find = Request::NetworkFind(Box::new(NetworkFind { name: text("blue") }));
    let find = frame(8, NetworkId::NIL, &find);
    peer.send(&[transaction(7, &[0]), find].concat()).await;
    settle().await;
    assert_eq!(stage.decider.seen().last(), Some(&sequenced(8)));
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

/// Wrong bytes with the answer to each, as clients in any language have them.
const BAD: &str = include_str!("../../../protocol/vectors/bad.json");

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_bad_vector_gets_its_answer() {
    let vectors: Vec<serde_json::Value> = serde_json::from_str(BAD).unwrap();
    let requests = vectors.iter().filter(|vector| vector["direction"] == "request");
    let mut count = 0;
    for vector in requests {
        let (name, expect) = (vector["name"].as_str().unwrap(), &vector["expect"]);
        let stage = Stage::new(FakeDecider::answering());
        let mut peer = match vector["state"].as_str().unwrap() {
            "open" => stage.greeted().await,
            "before_hello" => stage.connect(),
            other => panic!("{name}: there is no state {other}"),
        };
        peer.send(&unhex(vector["hex"].as_str().unwrap())).await;
        // What ends in the middle is judged at the end of the stream.
        if expect["connection"] == "closes" {
            settle().await;
            peer.io.shutdown().await.unwrap();
        }
        let (header, body) = decode_reply(&peer.frame().await.unwrap()).unwrap();
        assert_eq!(header.status.name(), expect["status"].as_str().unwrap(), "{name}");
        if expect["connection"] == "closes" {
            peer.ends().await;
        } else {
            let request_id = header.request_id.to_string();
            assert_eq!(Some(&*request_id), expect["request_id"].as_str(), "{name}");
            if let (Some(field), Ok(ReplyOrFailure::Failure(failure))) =
                (expect["field"].as_str(), body)
            {
                assert_eq!(failure.field.as_deref(), Some(field), "{name}");
            }
            peer.is_served().await;
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}
