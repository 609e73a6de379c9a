//! The server with the real engine over real sockets, in one process: order of what is sent without
//! waiting, what operators see, peers that misbehave while a good one works, stop and start.

#[path = "end_to_end/house.rs"]
mod house;
#[path = "end_to_end/liveness.rs"]
mod liveness;

use addrd::config::Bounds;
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{
    AllocationFilter, AllocationList, Fences, NetworkDelete, NetworkGet, Ping, Release, Reply,
    Request, SubnetCreate, SubnetKind, Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Setting, Slot, Status, SubnetId};
use addrd_client::{Connection, plain_allocate, plain_hello};
use house::House;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

fn network(number: u128) -> NetworkId {
    NetworkId::from_u128(0xa000 + number)
}

fn owner(number: u64) -> OwnerId {
    OwnerId::from_u128(0xb000 + u128::from(number))
}

fn create_network() -> Request {
    Request::NetworkCreate(Box::default())
}

fn create_subnet(cidr: &str) -> Request {
    Request::SubnetCreate(Box::new(SubnetCreate {
        subnet_id: SubnetId::from_u128(1),
        cidr: cidr.parse().unwrap(),
        kind: SubnetKind::Routed,
        strategy: addrd_client::protocol::message::Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Null,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: Some(0),
        service: Default::default(),
    }))
}

fn allocate(number: u64) -> Request {
    Request::Allocate(plain_allocate(owner(number)))
}

fn release(number: u64) -> Request {
    let target = Target::Key { owner: owner(number), slot: Slot(0) };
    Request::Release(Release { target, fences: Fences::default(), any: false })
}

/// Sends all requests at once, numbered from 1, and gives the statuses by number.
async fn exchange(
    connection: &mut Connection<TcpStream>,
    requests: &[(NetworkId, Request)],
) -> BTreeMap<u64, Status> {
    for (number, (on, request)) in (1..).zip(requests) {
        connection.queue(&house::header(number, *on, request), request).unwrap();
    }
    connection.flush().await.unwrap();
    let mut statuses = BTreeMap::new();
    while statuses.len() < requests.len() {
        let (header, _) = connection.receive().await.unwrap();
        assert_eq!(statuses.insert(header.request_id, header.status), None, "answered twice");
    }
    statuses
}

fn all_ok(statuses: &BTreeMap<u64, Status>) {
    let bad: Vec<_> = statuses.iter().filter(|(_, status)| **status != Status::OK).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_without_waiting_is_decided_in_the_order_sent() {
    let house = House::start(3, Bounds::default());
    let mut connection = house.connect().await;
    // Creation and deletion span workers, the rest does not: nothing may overtake on a network.
    for round in 0..5 {
        let mut requests = Vec::new();
        for number in 0..6 {
            let on = network(number);
            requests.push((on, create_network()));
            requests.push((on, create_subnet("10.0.0.0/24")));
            requests.extend((0..8).map(|number| (on, allocate(number))));
            requests.extend((0..8).map(|number| (on, release(number))));
            requests.push((on, allocate(99)));
        }
        all_ok(&exchange(&mut connection, &requests).await);
        let force = NetworkDelete { force: true, ..NetworkDelete::default() };
        let mut requests = Vec::new();
        for number in 0..6 {
            let on = network(number);
            requests.push((on, Request::Usage(Box::default())));
            requests.push((on, Request::NetworkDelete(force)));
            requests.push((on, allocate(5)));
        }
        let statuses = exchange(&mut connection, &requests).await;
        for (number, status) in statuses {
            let is_last = number % 3 == 0;
            let gone = [Status::NOT_FOUND, Status::DELETING];
            let is_right = if is_last { gone.contains(&status) } else { status == Status::OK };
            assert!(is_right, "round {round}: {number} got {status}");
        }
        until_gone(&mut connection, 6).await;
    }
    house.stop().await;
}

/// Asks for the first `networks` networks until the jobs that delete them are done.
async fn until_gone(connection: &mut Connection<TcpStream>, networks: u128) {
    let get = |number| (network(number), Request::NetworkGet(NetworkGet {}));
    let requests: Vec<_> = (0..networks).map(get).collect();
    loop {
        let statuses = exchange(connection, &requests).await;
        if statuses.values().all(|status| *status == Status::NOT_FOUND) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_once_when_more_come_than_the_credit() {
    let house = House::start(2, Bounds::default());
    let mut connection = house.connect().await;
    let on = network(0);
    all_ok(
        &exchange(&mut connection, &[(on, create_network()), (on, create_subnet("10.0.0.0/16"))])
            .await,
    );
    let requests: Vec<_> = (0..20_000).map(|number| (on, allocate(number))).collect();
    all_ok(&exchange(&mut connection, &requests).await);
    house.wait_for_metric("addrd_allocations", 20_000.0).await;
    let requests: Vec<_> = (0..20_000).map(|number| (on, release(number))).collect();
    all_ok(&exchange(&mut connection, &requests).await);
    house.wait_for_metric("addrd_allocations", 0.0).await;
    house.wait_for_metric("addrd_bytes_in_flight", 0.0).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_what_happens() {
    let house = House::start(2, Bounds::default());
    assert_eq!(house.get("/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(house.get("/readyz").await, (200, "ready\n".to_owned()));
    let mut connection = house.connect().await;
    let on = network(0);
    let made = [(on, create_network()), (on, create_subnet("10.0.0.0/30"))];
    all_ok(&exchange(&mut connection, &made).await);
    let requests = [allocate(1), allocate(1), allocate(2), release(9)];
    exchange(&mut connection, &requests.map(|request| (on, request))).await;
    let text = house.next_fold().await;
    let value = |line: &str| house::metric(&text, line);
    assert_eq!(value("addrd_operations_total{operation=\"allocate\"}"), Some(3.0));
    assert_eq!(value("addrd_operations_total{operation=\"hello\"}"), Some(1.0));
    assert_eq!(value("addrd_answers_total{status=\"NOT_HELD\"}"), Some(1.0));
    assert_eq!(value("addrd_networks"), Some(1.0));
    assert_eq!(value("addrd_subnets"), Some(1.0));
    assert_eq!(value("addrd_connections"), Some(1.0));
    assert_eq!(value("addrd_ready"), Some(1.0));
    for stage in ["decode", "ring", "apply", "commit_wait", "commit"] {
        let count = value(&format!("addrd_stage_seconds_count{{stage=\"{stage}\"}}")).unwrap();
        assert!(count > 0.0, "{stage}");
    }
    for name in ["worker-0", "worker-1", "sequencer", "committer", "fold"] {
        let age = value(&format!("addrd_loop_age_seconds{{loop=\"{name}\"}}")).unwrap();
        assert!(age < 10.0, "{name}: {age}");
    }
    assert!(value("addrd_disk_free_bytes").unwrap() > 0.0);
    assert!(value("addrd_limit{name=\"memory_records_max\"}").unwrap() > 0.0);
    assert!(value("addrd_position").unwrap() > 0.0);
    assert!(value("addrd_drain_operations_sum").unwrap() >= 4.0);
    assert!(value("addrd_commit_operations_count").unwrap() > 0.0);
    // Counted by the worker about once a second.
    house.wait_for_metric("addrd_subnets_by_fill{percent=\"100\"}", 0.0).await;
    house.wait_for_metric("addrd_subnets_by_fill{percent=\"50-79\"}", 1.0).await;
    // Nothing that a peer chose is shown.
    assert!(!text.contains("00000000-0000"), "{text}");
    house.stop().await;
}

/// Holds still while others are served.
async fn serve_the_good(house: &House, rounds: u64) {
    let mut good = house.connect().await;
    let on = network(7);
    exchange(&mut good, &[(on, create_network()), (on, create_subnet("10.7.0.0/16"))]).await;
    for round in 0..rounds {
        let both = [(on, allocate(round)), (on, release(round))];
        all_ok(&exchange(&mut good, &both).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_never_read_or_trickle_end_and_a_good_one_notices_nothing() {
    let bounds = Bounds {
        stall: Duration::from_millis(800),
        frame: Duration::from_millis(800),
        ..Bounds::default()
    };
    let house = House::start(2, bounds);
    let mut setting = house.connect().await;
    let on = network(1);
    exchange(&mut setting, &[(on, create_network()), (on, create_subnet("10.0.0.0/16"))]).await;
    let fill: Vec<_> = (0..2_000).map(|number| (on, allocate(number))).collect();
    all_ok(&exchange(&mut setting, &fill).await);

    // One asks for long lists for ever and reads nothing.
    let (mut deaf, _, _) = house.connect().await.into_parts();
    let list = Request::AllocationList(Box::new(AllocationList {
        filter: AllocationFilter::default(),
        ..AllocationList::default()
    }));
    let mut lists = bytes::BytesMut::new();
    for number in 1..=512 {
        house::encode(number, on, &list, &mut lists);
    }
    let deafness = async { while deaf.write_all(&lists).await.is_ok() {} };
    // One sends a byte now and then.
    let (mut slow, _, _) = house.connect().await.into_parts();
    let mut ping = bytes::BytesMut::new();
    house::encode(1, NetworkId::NIL, &Request::Ping(Ping {}), &mut ping);
    let slowness = async {
        for byte in ping.iter().take(60) {
            if slow.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The end of the stream, or the reason and then the end.
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
    };
    tokio::join!(deafness, slowness, serve_the_good(&house, 200));
    house.wait_for_metric("addrd_connections_ended_total{reason=\"slow_reader\"}", 1.0).await;
    house.wait_for_metric("addrd_connections_ended_total{reason=\"time_out\"}", 1.0).await;
    drop(setting);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanishes_has_had_its_requests_decided() {
    let house = House::start(2, Bounds::default());
    let mut setting = house.connect().await;
    let on = network(1);
    exchange(&mut setting, &[(on, create_network()), (on, create_subnet("10.0.0.0/16"))]).await;
    let (mut stream, _, _) = house.connect().await.into_parts();
    let mut requests = bytes::BytesMut::new();
    for number in 1..=100 {
        house::encode(number, on, &allocate(number), &mut requests);
    }
    stream.write_all(&requests).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).await.unwrap();
    assert!(!replies.is_empty());
    drop(stream);
    house.wait_for_metric("addrd_allocations", 100.0).await;
    house.wait_for_metric("addrd_connections", 1.0).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_starts_again_with_all_it_said() {
    // Behind the ids of what goes before.
    const FIRST: u64 = 1_000;
    let mut house = House::start(2, Bounds::default());
    let on = network(1);
    let mut connection = house.connect().await;
    exchange(&mut connection, &[(on, create_network()), (on, create_subnet("10.0.0.0/16"))]).await;
    let mut held = BTreeSet::new();
    for number in 0..300 {
        let request = allocate(number);
        connection.queue(&house::header(FIRST + number, on, &request), &request).unwrap();
    }
    connection.flush().await.unwrap();
    // The stop comes in the middle: what is answered is done, the rest is told apart by GOAWAY.
    let stopping = house.begin_stop();
    let mut last = None;
    while let Ok((header, body)) = connection.receive().await {
        match body.unwrap() {
            ReplyOrFailure::GoAway(goaway) => last = Some(goaway.last_request_id),
            ReplyOrFailure::Reply(_) => assert!(held.insert(header.request_id - FIRST)),
            ReplyOrFailure::Failure(failure) => panic!("{failure:?}"),
        }
    }
    let last = last.expect("GOAWAY");
    // A stop that is quicker than the first of them names a request from before.
    let read = (last + 1).saturating_sub(FIRST);
    assert_eq!(held, (0..read).collect(), "exactly what GOAWAY names is answered");
    stopping.await;

    house = house.start_again(4);
    let mut connection = house.connect().await;
    let pings = [(NetworkId::NIL, Request::NetworkList(Box::default()))];
    all_ok(&exchange(&mut connection, &pings).await);
    house.wait_for_metric("addrd_allocations", held.len() as f64).await;
    let again: Vec<_> = held.iter().map(|number| (on, allocate(*number))).collect();
    if !again.is_empty() {
        all_ok(&exchange(&mut connection, &again).await);
    }
    house.wait_for_metric("addrd_allocations", held.len() as f64).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unix_socket_speaks_the_same() {
    let house = House::start(1, Bounds::default());
    let stream = UnixStream::connect(house.socket()).await.unwrap();
    let mut connection = Connection::hello(stream, &plain_hello()).await.unwrap();
    let request = Request::ServerStatus;
    connection.queue(&house::header(1, NetworkId::NIL, &request), &request).unwrap();
    connection.flush().await.unwrap();
    let (_, body) = connection.receive().await.unwrap();
    let ReplyOrFailure::Reply(Reply::ServerStatus(status)) = body.unwrap() else {
        panic!("a status");
    };
    assert_eq!((status.workers, status.connections, &*status.state), (1, 1, "ready"));
    house.stop().await;
}
