//! The client against a peer whose every frame the test writes: reconnecting, repeating, credit,
//! GOAWAY, pinned servers, broken frames. The peer speaks the real codec over real sockets and
//! keeps no state of its own.

use addrd_client::protocol::codec::{
    Direction, FrameBounds, decode_request, encode_failure, encode_goaway, encode_reply,
    split_frame,
};
use addrd_client::protocol::message::Cursor;
use addrd_client::protocol::message::{
    Failure, GoAway, GoAwayReason, Hello, HelloReply, HostLease, HostLeaseList, HostLeasePage,
    HostLeaseState, ManagerList, ManagerPage, ManagerUse, Network, NetworkDelete, NetworkPage,
    OnEnd, Reply, Request, RequestHeader,
};
use addrd_client::protocol::{
    Incarnation, NetworkId, Opcode, OwnerId, ProjectId, Revision, Seq, ServerId, Status, Text,
};
use addrd_client::{
    BackoffLimits, Client, Deleted, Error, Sessions, Settings, Tls, TlsFailure, Trust, of_owner,
    plain_allocate,
};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SERVER: ServerId = ServerId::from_u128(0x51);

struct Peer {
    listener: TcpListener,
}

impl Peer {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn settings(&self) -> Settings {
        let place = self.listener.local_addr().unwrap().to_string();
        let backoff =
            BackoffLimits { first: Duration::from_millis(1), most: Duration::from_millis(5) };
        Settings { backoff, ..Settings::to([place.as_str()]).unwrap() }
    }

    /// The next connection, its HELLO read and not answered.
    async fn accept(&self) -> (Line, Hello) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut line = Line { stream, input: BytesMut::new() };
        match line.next().await {
            Some((_, Request::Hello(hello))) => (line, *hello),
            other => panic!("{other:?} instead of HELLO"),
        }
    }

    /// The next connection with HELLO answered and the PING of `Client::connect` too, if it comes.
    async fn welcome(&self, credit: u32) -> (Line, Hello) {
        let (mut line, hello) = self.accept().await;
        line.reply(Opcode::HELLO, 1, &Reply::Hello(Box::new(server(SERVER, credit)))).await;
        (line, hello)
    }

    async fn client(&self, settings: Settings, credit: u32) -> (Client, Line, Hello) {
        let connecting = spawn(Client::connect(settings));
        let (mut line, hello) = self.welcome(credit).await;
        let (header, request) = line.request().await;
        assert!(matches!(request, Request::Ping(_)));
        line.reply(header.opcode, header.request_id, &Reply::Empty).await;
        (connecting.await.unwrap().unwrap(), line, hello)
    }
}

struct Line {
    stream: TcpStream,
    input: BytesMut,
}

impl Line {
    /// `None`: the client closed.
    async fn next(&mut self) -> Option<(RequestHeader, Request)> {
        loop {
            let frame = split_frame(&mut self.input, Direction::Request, FrameBounds::REQUESTS);
            if let Some(frame) = frame.unwrap() {
                let (header, body) = decode_request(&frame).unwrap();
                return Some((header, body.unwrap()));
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn request(&mut self) -> (RequestHeader, Request) {
        self.next().await.expect("a request, not the end")
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn reply(&mut self, opcode: Opcode, request_id: u64, reply: &Reply) {
        let mut out = BytesMut::new();
        encode_reply(opcode, request_id, Status::OK, reply, &mut out);
        self.send(&out).await;
    }

    async fn refuse(&mut self, opcode: Opcode, request_id: u64, status: Status) {
        let mut out = BytesMut::new();
        encode_failure(opcode, request_id, &failure(status), &mut out);
        self.send(&out).await;
    }

    async fn goaway(&mut self, last_request_id: u64) {
        let mut out = BytesMut::new();
        encode_goaway(&GoAway { reason: GoAwayReason::Shutdown, last_request_id }, &mut out);
        self.send(&out).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that fails leaves tasks to its runtime")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

fn server(server_id: ServerId, credit: u32) -> HelloReply {
    HelloReply {
        version: 1,
        role: 0,
        adopting: false,
        features: 0,
        server_id,
        incarnation: Incarnation(0),
        position: Seq(0),
        frame_bytes_max: 64 << 10,
        batch_bytes_max: 1 << 20,
        batch_items_max: 1_024,
        credit,
        idle_ms: 300_000,
        server: None,
    }
}

fn failure(status: Status) -> Failure {
    Failure {
        status,
        retry_after_ms: 1,
        item: None,
        field: None,
        message: Text::new("no").unwrap(),
        details: Vec::new(),
    }
}

fn network(number: u128) -> Network {
    Network {
        network_id: NetworkId::from_u128(number),
        project_id: ProjectId::DEFAULT,
        revision: Revision(1),
        subnets: 0,
        allocations: 0,
        deleting: false,
        repeated: false,
        shared: false,
        name: None,
        description: None,
        scope_v4: None,
        scope_v6: None,
    }
}

fn get(client: &Client, number: u128) -> JoinHandle<Result<Network, Error>> {
    let client = client.clone();
    spawn(async move { client.network_get(NetworkId::from_u128(number)).await })
}

fn delete(client: &Client, number: u128) -> JoinHandle<Result<Deleted, Error>> {
    let client = client.clone();
    let delete = NetworkDelete::default();
    spawn(async move { client.network_delete(NetworkId::from_u128(number), delete).await })
}

async fn answer(line: &mut Line, header: &RequestHeader) {
    let reply = Reply::Network(Box::new(network(header.network.0.as_u128())));
    line.reply(header.opcode, header.request_id, &reply).await;
}

#[tokio::test]
async fn replies_out_of_order_reach_their_callers() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let calls: Vec<_> = (1..=3).map(|number| get(&client, number)).collect();
    let mut headers = Vec::new();
    for _ in &calls {
        headers.push(line.request().await.0);
    }
    for header in headers.iter().rev() {
        assert!(header.timeout_ms > 0 && header.timeout_ms <= 30_000);
        answer(&mut line, header).await;
    }
    for (call, number) in calls.into_iter().zip(1..) {
        assert_eq!(call.await.unwrap().unwrap().network_id, NetworkId::from_u128(number));
    }
}

#[tokio::test]
async fn no_more_than_the_credit_is_outstanding() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 3).await;
    let calls: Vec<_> = (1..=4).map(|number| get(&client, number)).collect();
    let first = line.request().await.0;
    let second = line.request().await.0;
    // One of the three is kept for a PING, so the third comes only after an answer.
    let more = tokio::time::timeout(Duration::from_millis(50), line.next()).await;
    assert!(more.is_err(), "a third request came");
    answer(&mut line, &first).await;
    let third = line.request().await.0;
    answer(&mut line, &second).await;
    answer(&mut line, &third).await;
    let fourth = line.request().await.0;
    answer(&mut line, &fourth).await;
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn what_was_lost_is_repeated_on_the_next_connection_of_the_session_under_a_higher_epoch() {
    let peer = Peer::new().await;
    let (client, mut line, first) = peer.client(peer.settings(), 100).await;
    let call = get(&client, 7);
    let _unanswered = line.request().await;
    drop(line);
    let (mut line, second) = peer.welcome(100).await;
    assert_eq!(first.session, second.session);
    assert!(!first.session.is_nil() && first.epoch < second.epoch);
    assert_eq!(second.server_id, Some(SERVER), "the server that answered first is pinned");
    let (header, _) = line.request().await;
    answer(&mut line, &header).await;
    assert_eq!(call.await.unwrap().unwrap().network_id, NetworkId::from_u128(7));
}

#[tokio::test]
async fn a_deletion_that_was_lost_and_is_not_found_is_done() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let call = delete(&client, 7);
    let (header, _) = line.request().await;
    line.refuse(header.opcode, header.request_id, Status::NOT_FOUND).await;
    assert!(call.await.unwrap().unwrap_err().is(Status::NOT_FOUND), "never there");
    let call = delete(&client, 8);
    let _unanswered = line.request().await;
    drop(line);
    let (mut line, _) = peer.welcome(100).await;
    let (header, _) = line.request().await;
    line.refuse(header.opcode, header.request_id, Status::NOT_FOUND).await;
    assert_eq!(call.await.unwrap(), Ok(Deleted::Now));
}

#[tokio::test]
async fn later_is_repeated_and_refused_is_not() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let call = get(&client, 1);
    for later in [Status::BUSY, Status::RATE_LIMITED, Status::BUSY] {
        let (header, _) = line.request().await;
        line.refuse(header.opcode, header.request_id, later).await;
    }
    let (header, _) = line.request().await;
    answer(&mut line, &header).await;
    assert!(call.await.unwrap().is_ok());
    for status in [Status::NOT_FOUND, Status::MALFORMED, Status::WRONG_SERVER] {
        let call = get(&client, 1);
        let (header, _) = line.request().await;
        line.refuse(header.opcode, header.request_id, status).await;
        assert!(call.await.unwrap().unwrap_err().is(status));
    }
}

#[tokio::test]
async fn later_ends_after_the_allowed_tries_with_the_servers_answer() {
    let peer = Peer::new().await;
    let settings = Settings { sends_max: 2, ..peer.settings() };
    let (client, mut line, _) = peer.client(settings, 100).await;
    let call = get(&client, 1);
    for _ in 0..2 {
        let (header, _) = line.request().await;
        line.refuse(header.opcode, header.request_id, Status::BUSY).await;
    }
    assert!(call.await.unwrap().unwrap_err().is(Status::BUSY));
}

#[tokio::test]
async fn later_after_a_lost_connection_leaves_the_outcome_unknown() {
    let peer = Peer::new().await;
    let settings = Settings { sends_max: 2, ..peer.settings() };
    let (client, mut line, _) = peer.client(settings, 100).await;
    let call = delete(&client, 1);
    let _unanswered = line.request().await;
    drop(line);
    let (mut line, _) = peer.welcome(100).await;
    for _ in 0..2 {
        let (header, _) = line.request().await;
        line.refuse(header.opcode, header.request_id, Status::BUSY).await;
    }
    assert!(matches!(call.await.unwrap(), Err(Error::OutcomeUnknown { .. })));
    // And a deletion that is not found in the end was done by the send that was lost.
    let call = delete(&client, 2);
    let _unanswered = line.request().await;
    drop(line);
    let (mut line, _) = peer.welcome(100).await;
    for status in [Status::BUSY, Status::NOT_FOUND] {
        let (header, _) = line.request().await;
        line.refuse(header.opcode, header.request_id, status).await;
    }
    assert_eq!(call.await.unwrap(), Ok(Deleted::Now));
}

#[tokio::test]
async fn an_outcome_stays_unknown_when_every_connection_is_lost() {
    let peer = Peer::new().await;
    let settings = Settings { sends_max: 3, ..peer.settings() };
    let (client, mut line, _) = peer.client(settings, 100).await;
    let call = delete(&client, 1);
    let _ = line.request().await;
    drop(line);
    for _ in 1..3 {
        let (mut line, _) = peer.welcome(100).await;
        let _ = line.request().await;
    }
    assert!(matches!(call.await.unwrap(), Err(Error::OutcomeUnknown { .. })));
}

#[tokio::test]
async fn after_goaway_promised_replies_are_awaited_and_the_rest_goes_elsewhere_once() {
    let peer = Peer::new().await;
    let settings = Settings { sends_max: 1, ..peer.settings() };
    let (client, mut line, _) = peer.client(settings, 100).await;
    let calls = [delete(&client, 1), delete(&client, 2)];
    let (first, _) = line.request().await;
    let (second, _) = line.request().await;
    line.goaway(first.request_id).await;
    line.reply(first.opcode, first.request_id, &Reply::Empty).await;
    assert!(line.next().await.is_none(), "nothing is sent after GOAWAY, and the client closes");
    let (mut line, _) = peer.welcome(100).await;
    let (again, _) = line.request().await;
    assert_eq!(again.network, second.network);
    line.reply(again.opcode, again.request_id, &Reply::Empty).await;
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(Deleted::Now));
    }
}

#[tokio::test]
async fn a_wrong_server_is_final() {
    let peer = Peer::new().await;
    let settings = Settings { server_id: Some(ServerId::from_u128(9)), ..peer.settings() };
    let connecting = spawn(Client::connect(settings.clone()));
    let (mut line, hello) = peer.accept().await;
    assert_eq!(hello.server_id, settings.server_id);
    line.refuse(Opcode::HELLO, 1, Status::WRONG_SERVER).await;
    let error = connecting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::WrongServer { found: None, .. }), "{error}");
    // A server that does not compare is caught by the client.
    let connecting = spawn(Client::connect(settings));
    let (_line, _) = peer.welcome(100).await;
    let error = connecting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::WrongServer { found: Some(SERVER), .. }), "{error}");
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_told_apart() {
    let answers: [(&[u8], &str); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP port"),
        (b"SSH-2.0-OpenSSH\r\n", "something else"),
    ];
    for (bytes, what) in answers {
        let peer = Peer::new().await;
        let connecting = spawn(Client::connect(peer.settings()));
        let (mut line, _) = peer.accept().await;
        line.send(bytes).await;
        let error = connecting.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error}");
        let place = peer.settings().endpoints[0].to_string();
        assert!(error.to_string().contains(&format!("{place}: {what} answers there")), "{error}");
    }
}

#[tokio::test]
async fn an_alert_of_tls_says_that_tls_is_needed() {
    let peer = Peer::new().await;
    let connecting = spawn(Client::connect(peer.settings()));
    let (mut line, _) = peer.accept().await;
    line.send(&[0x15, 3, 3, 0, 2, 2, 70]).await;
    let error = connecting.await.unwrap().unwrap_err();
    let needed = matches!(&error, Error::Tls { failure: TlsFailure::Needed, .. });
    let place = peer.settings().endpoints[0].to_string();
    assert!(needed && error.to_string().contains(&place), "{error}");
}

/// TLS that believes a certificate which nobody has.
fn distrustful() -> Tls {
    let pinned = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    Tls::new(Trust::Pinned(pinned), None, None).unwrap()
}

/// Alert, fatal: unknown_ca (RFC 8446 section 6).
const UNKNOWN_CA: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 48];

impl Peer {
    /// The next connection, something of its handshake read.
    async fn accept_tls(&self) -> TcpStream {
        let accepted = tokio::time::timeout(Duration::from_secs(60), self.listener.accept());
        let (mut stream, _) = accepted.await.expect("the client to try again").unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 0x16);
        stream
    }
}

#[tokio::test]
async fn a_handshake_that_is_cut_off_is_tried_again_and_one_that_is_refused_is_not() {
    let peer = Peer::new().await;
    let settings = Settings { tls: Some(distrustful()), ..peer.settings() };
    let connecting = spawn(Client::connect(settings));
    // Bytes that are unread reset it, else it just ends: a server that starts anew does both.
    for is_reset in [true, false, true, false] {
        let mut stream = peer.accept_tls().await;
        if !is_reset {
            let _ = stream.read(&mut [0; 4_096]).await.unwrap();
        }
    }
    let mut stream = peer.accept_tls().await;
    stream.write_all(&UNKNOWN_CA).await.unwrap();
    let error = connecting.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Tls { failure: TlsFailure::Refused(_), .. }), "{error}");
}

#[tokio::test]
async fn tls_fails_for_good_only_when_it_failed_at_every_endpoint() {
    let (first, second) = (Peer::new().await, Peer::new().await);
    let endpoints = [first.settings().endpoints, second.settings().endpoints].concat();
    let settings = Settings { tls: Some(distrustful()), endpoints, ..first.settings() };
    let connecting = spawn(Client::connect(settings));
    first.accept_tls().await.write_all(&UNKNOWN_CA).await.unwrap();
    // That the second doesn't answer says nothing of its certificate.
    drop(second.accept_tls().await);
    first.accept_tls().await.write_all(&UNKNOWN_CA).await.unwrap();
    second.accept_tls().await.write_all(&UNKNOWN_CA).await.unwrap();
    let error = connecting.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Tls { failure: TlsFailure::Refused(_), .. }), "{error}");
}

#[tokio::test]
async fn broken_replies_cost_the_connection_and_not_the_request() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let call = get(&client, 1);
    let _ = line.request().await;
    line.send(&[0xff; 64]).await;
    assert!(line.next().await.is_none());
    let (mut line, _) = peer.welcome(100).await;
    let (header, _) = line.request().await;
    // Split at every byte.
    let mut out = BytesMut::new();
    let reply = Reply::Network(Box::new(network(1)));
    encode_reply(header.opcode, header.request_id, Status::OK, &reply, &mut out);
    for byte in out {
        line.send(&[byte]).await;
    }
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test]
async fn the_next_endpoint_is_tried_when_one_does_not_answer() {
    let peer = Peer::new().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = gone.local_addr().unwrap().to_string();
    drop(gone);
    let mut settings = peer.settings();
    settings.endpoints.insert(0, place.parse().unwrap());
    let (_client, _line, _) = peer.client(settings, 100).await;
}

#[tokio::test]
async fn an_unreachable_server_is_reported_after_the_allowed_rounds() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = gone.local_addr().unwrap().to_string();
    drop(gone);
    let settings = Settings { connect_rounds_max: 1, ..Settings::to([place.as_str()]).unwrap() };
    let error = Client::connect(settings).await.unwrap_err();
    let Error::Unreachable { endpoint, .. } = &error else { panic!("{error}") };
    assert_eq!(*endpoint, place);
}

#[tokio::test]
async fn lanes_are_sessions_and_an_owner_keeps_to_one() {
    let peer = Peer::new().await;
    let settings = Settings { lanes: 4, ..peer.settings() };
    let (client, first_line, first) = peer.client(settings, 100).await;
    let owner = (0..).map(OwnerId::from_u128).find(|owner| client.lane_of(owner) == 3).unwrap();
    let network = NetworkId::from_u128(1);
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            spawn(async move { client.allocate(network, plain_allocate(owner)).await })
        })
        .collect();
    let (mut line, second) = peer.welcome(100).await;
    assert_ne!(first.session, second.session);
    for _ in &calls {
        let (header, request) = line.request().await;
        assert!(matches!(request, Request::Allocate(allocate) if allocate.owner == owner));
        line.refuse(header.opcode, header.request_id, Status::EXHAUSTED).await;
    }
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is(Status::EXHAUSTED));
    }
    drop(first_line);
}

#[tokio::test]
async fn a_one_shot_client_uses_the_session_of_its_owner() {
    let peer = Peer::new().await;
    let owner = OwnerId::from_text("web-1");
    let sessions = Sessions::OfOwner(owner);
    let (_one, _line, first) = peer.client(Settings { sessions, ..peer.settings() }, 100).await;
    let (_two, _line, second) = peer.client(Settings { sessions, ..peer.settings() }, 100).await;
    assert_eq!((first.session, second.session), (of_owner(owner), of_owner(owner)));
    assert!(first.epoch < second.epoch);
}

#[tokio::test]
async fn a_stale_epoch_is_said_and_not_fought() {
    let peer = Peer::new().await;
    let connecting = spawn(Client::connect(peer.settings()));
    let (mut line, _) = peer.accept().await;
    line.refuse(Opcode::HELLO, 1, Status::SESSION_STALE).await;
    assert_eq!(connecting.await.unwrap().unwrap_err(), Error::SessionReplaced);
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_tried_again() {
    let peer = Peer::new().await;
    let connecting = spawn(Client::connect(peer.settings()));
    let (mut line, _) = peer.accept().await;
    line.refuse(Opcode::HELLO, 1, Status::NOT_READY).await;
    let (mut line, _) = peer.welcome(100).await;
    let (header, _) = line.request().await;
    line.reply(header.opcode, header.request_id, &Reply::Empty).await;
    assert!(connecting.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_silent_peer_is_probed_and_left() {
    let peer = Peer::new().await;
    let settings = Settings { silence: Duration::from_millis(20), ..peer.settings() };
    let (client, mut line, _) = peer.client(settings, 100).await;
    let call = get(&client, 1);
    let _unanswered = line.request().await;
    let (probe, request) = line.request().await;
    assert!(matches!(request, Request::Ping(_)));
    // An answered probe keeps the connection; the next one is not answered.
    line.reply(probe.opcode, probe.request_id, &Reply::Empty).await;
    let (_, request) = line.request().await;
    assert!(matches!(request, Request::Ping(_)));
    let (mut line, _) = peer.welcome(100).await;
    let (header, _) = line.request().await;
    answer(&mut line, &header).await;
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_call_ends_in_time_and_says_whether_it_was_sent() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 2).await;
    let client = client.with_timeout(Duration::from_millis(50));
    let calls = [delete(&client, 1), delete(&client, 2)];
    let (header, _) = line.request().await;
    assert!(header.timeout_ms <= 50);
    let [first, second] = calls;
    assert!(matches!(first.await.unwrap(), Err(Error::OutcomeUnknown { .. })));
    assert_eq!(second.await.unwrap(), Err(Error::Expired));
    // The late reply gives its credit back.
    line.reply(header.opcode, header.request_id, &Reply::Empty).await;
    let call = get(&client.with_timeout(Duration::from_secs(30)), 3);
    let (header, _) = line.request().await;
    answer(&mut line, &header).await;
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test]
async fn lists_follow_their_cursors_over_empty_pages() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let all = spawn(async move { client.networks(None).take(usize::MAX).await });
    let cursor = |n: u8| Some(Cursor(Bytes::copy_from_slice(&[n])));
    let pages = [(vec![1, 2], cursor(1)), (vec![], cursor(2)), (vec![3], None)];
    let mut expected = None;
    for (numbers, next) in pages {
        let (header, request) = line.request().await;
        let Request::NetworkList(list) = request else { panic!("{request:?}") };
        assert_eq!(list.page.cursor, expected);
        expected.clone_from(&next);
        let items = numbers.into_iter().map(network).collect();
        let page = NetworkPage { position: Seq(1), items, next };
        line.reply(header.opcode, header.request_id, &Reply::Networks(Box::new(page))).await;
    }
    let ids: Vec<u128> =
        all.await.unwrap().unwrap().iter().map(|n| n.network_id.0.as_u128()).collect();
    assert_eq!(ids, [1, 2, 3]);
}

/// A server that goes round in a place would be asked for ever.
#[tokio::test]
async fn a_list_that_goes_on_where_it_was_is_an_error_and_no_loop() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let mut list = client.networks(None);
    let all = spawn(async move { (list.collect().await, list) });
    let next = Some(Cursor(Bytes::from_static(&[7])));
    let page = |next: &Option<Cursor>| {
        let page = NetworkPage { position: Seq(1), items: Vec::new(), next: next.clone() };
        Reply::Networks(Box::new(page))
    };
    for _ in 0..2 {
        let (header, _) = line.request().await;
        line.reply(header.opcode, header.request_id, &page(&next)).await;
    }
    let (ended, mut list) = all.await.unwrap();
    assert!(matches!(ended, Err(Error::Protocol(_))), "{ended:?}");
    // The same page is asked for again.
    let rest = spawn(async move { list.collect().await });
    let (header, request) = line.request().await;
    let Request::NetworkList(asked) = request else { panic!("{request:?}") };
    assert_eq!(asked.page.cursor, next);
    line.reply(header.opcode, header.request_id, &page(&None)).await;
    assert_eq!(rest.await.unwrap().unwrap(), []);
}

/// The same of lists that go on behind a name: one that is not further, and none at all.
#[tokio::test]
async fn names_that_go_on_where_they_were_are_an_error_and_no_loop() {
    let peer = Peer::new().await;
    let (client, mut line, _) = peer.client(peer.settings(), 100).await;
    let managers = |name: Option<&str>| {
        let name = name.map(|name| Text::new(name).unwrap());
        let item = |name| ManagerUse { name: Some(name), hosts: 1, allocations: 1 };
        let page = ManagerPage { items: name.map(item).into_iter().collect(), more: true };
        Reply::Managers(Box::new(page))
    };
    let leases = |host: &str| {
        let item = HostLease {
            host: Text::new(host).unwrap(),
            time_left_ms: 1,
            following: 0,
            life: 1,
            state: HostLeaseState::Running,
            on_end: OnEnd::Report,
        };
        Reply::HostLeases(Box::new(HostLeasePage { items: vec![item], more: true }))
    };
    for second in [Some("b"), Some("a"), None] {
        let client = client.clone();
        let all = spawn(async move { client.managers(ManagerList::default()).await });
        for name in [Some("b"), second] {
            let (header, _) = line.request().await;
            line.reply(header.opcode, header.request_id, &managers(name)).await;
        }
        let ended = all.await.unwrap();
        assert!(matches!(ended, Err(Error::Protocol(_))), "{second:?}: {ended:?}");
    }
    let list = HostLeaseList { manager: Text::new("cni").unwrap(), after: None, limit: 0 };
    let all = spawn(async move { client.host_leases(list).await });
    for _ in 0..2 {
        let (header, _) = line.request().await;
        line.reply(header.opcode, header.request_id, &leases("b")).await;
    }
    assert!(matches!(all.await.unwrap(), Err(Error::Protocol(_))));
}

#[tokio::test]
async fn unix_sockets_work_too() {
    let folder = std::env::temp_dir().join(format!("addrd-client-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let endpoint = format!("unix:{}", path.display());
    let connecting =
        spawn(async move { Client::connect(Settings::to([endpoint.as_str()]).unwrap()).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut input = BytesMut::new();
    for id in [1, 2] {
        let frame = loop {
            let frame = split_frame(&mut input, Direction::Request, FrameBounds::REQUESTS);
            match frame.unwrap() {
                Some(frame) => break frame,
                None => assert!(stream.read_buf(&mut input).await.unwrap() > 0),
            }
        };
        let (header, _) = decode_request(&frame).unwrap();
        assert_eq!(header.request_id, id);
        let reply = match header.opcode {
            Opcode::HELLO => Reply::Hello(Box::new(server(SERVER, 100))),
            _ => Reply::Empty,
        };
        let mut out = BytesMut::new();
        encode_reply(header.opcode, id, Status::OK, &reply, &mut out);
        stream.write_all(&out).await.unwrap();
    }
    assert!(connecting.await.unwrap().is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}
