//! What is promised about who asks: strangers learn nothing, nobody gets more than its grants, and who is nobody any
//! more is told so and served no more.

use super::super::super::access::watch_access;
use super::super::super::testing::{FakeDecider, Stage, TestPeer, frame_with, hello_of, ping};
use super::*;
use crate::access::{Table, hash_of};
use crate::model::{Asker, NetworkHandle, PrincipalId, PrincipalRow, TokenRow};
use crate::server::admission::Peer;
use crate::server::origin::Origin;
use crate::server::tls::CertificateName;
use addrd_protocol::codec::decode_request_slice;
use addrd_protocol::message::{ClockAccept, GoAwayReason, Grant, Hello, Verb, Verbs};
use addrd_protocol::{SessionId, Token, TokenId};
use std::sync::Arc;

const TEAM: ProjectId = ProjectId::from_u128(0x7ea);

fn token(id: u64) -> Token {
    Token::new(TokenId(id), [id as u8; 32])
}

/// A principal with a token of its number, its certificate and its user.
fn row(id: u64, grants: Vec<Grant>) -> PrincipalRow {
    let token = token(id);
    let kept = TokenRow { id: token.id, hash: hash_of(&token), created: 0, ends: 0 };
    PrincipalRow {
        handle: NetworkHandle(id as u32),
        revision: Revision(1),
        id: PrincipalId::from_u128(id.into()),
        disabled: false,
        name: Text::new(&format!("p{id}")).ok(),
        description: None,
        grants,
        certificate_names: vec![text(&format!("spiffe://p{id}"))],
        unix_users: vec![1_000 + id as u32],
        tokens: vec![kept],
    }
}

fn everything() -> Vec<Grant> {
    vec![Grant { project_id: None, verbs: Verbs::ALL, manager: None }]
}

fn in_team(verbs: &[Verb]) -> Vec<Grant> {
    let verbs = verbs.iter().copied().collect();
    vec![Grant { project_id: Some(TEAM), verbs, manager: None }]
}

/// A server that asks everybody, with these principals.
fn guarded(rows: &[PrincipalRow]) -> Stage {
    let stage = Stage::guarded(FakeDecider::answering());
    change(&stage, rows);
    stage
}

fn change(stage: &Stage, rows: &[PrincipalRow]) {
    stage.decider.access_desk().put(Arc::new(Table::of(rows)));
}

fn hello_with(change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    frame(1, NetworkId::NIL, &hello_of(change))
}

async fn greeted_with(stage: &Stage, id: u64) -> TestPeer {
    let mut peer = stage.connect();
    peer.send(&hello_with(|hello| hello.token = Some(token(id)))).await;
    assert_eq!(peer.status().await, (1, Status::OK));
    peer
}

fn allocate_in(request_id: u64, project: ProjectId) -> Vec<u8> {
    frame_with(request_id, network(0), &allocate_request(), |header| header.project = project)
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_and_learns_nothing() {
    let ended = TokenRow { ends: 1_000, ..row(2, everything()).tokens[0] };
    let disabled = PrincipalRow { disabled: true, ..row(3, everything()) };
    let late = PrincipalRow { tokens: vec![ended], ..row(2, everything()) };
    let stage = guarded(&[row(1, everything()), late, disabled]);
    let wrong = Token::new(TokenId(1), [9; 32]);
    let shown = [None, Some(wrong), Some(token(2)), Some(token(3)), Some(token(4))];
    let mut told = Vec::new();
    for token in shown {
        let mut peer = stage.connect();
        let asks = [hello_with(|hello| hello.token = token), allocate_in(2, TEAM)].concat();
        peer.send(&asks).await;
        let (header, failure) = peer.failure().await;
        assert_eq!((header.request_id, failure.status), (1, Status::UNAUTHENTICATED));
        peer.ends().await;
        told.push(failure);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    assert_eq!(stage.decider.seen(), [], "what a stranger asked for was decided");
    greeted_with(&stage, 1).await.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn a_principal_gets_what_its_grants_allow_and_nothing_else_is_looked_at() {
    let stage = guarded(&[row(1, in_team(&[Verb::Allocate]))]);
    let mut peer = greeted_with(&stage, 1).await;
    peer.send(&allocate_in(2, TEAM)).await;
    assert_eq!(peer.status().await, (2, Status::NOT_HELD));
    assert_eq!(stage.decider.seen().len(), 1);
    peer.send(&allocate_in(3, ProjectId::from_u128(5))).await;
    let (header, failure) = peer.failure().await;
    assert_eq!((header.request_id, failure.status), (3, Status::NOT_ALLOWED));
    let message = failure.message.as_str();
    assert!(message.contains("allocate") && failure.details.is_empty(), "{failure:?}");
    let released = frame_with(4, network(0), &release_request(), |header| header.project = TEAM);
    peer.send(&released).await;
    assert_eq!(peer.status().await, (4, Status::NOT_ALLOWED));
    assert_eq!(stage.decider.seen().len(), 1, "a denied request was decided");
    peer.is_served().await;
}

/// Every operation of the vectors, asked by somebody without grants: the deciding threads, which alone look things up, are
/// asked for nothing.
#[tokio::test(start_paused = true)]
async fn who_has_no_grant_is_denied_everything_before_anything_is_looked_up() {
    let stage = guarded(&[row(1, Vec::new())]);
    let mut peer = greeted_with(&stage, 1).await;
    let vectors = include_str!("../../../../protocol/vectors/requests.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let mut denied = 0;
    for (number, vector) in (10..).zip(vectors.as_array().unwrap()) {
        let hex: Vec<u8> =
            vector["hex"].as_str().unwrap().bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
        let bytes = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1]));
        let bytes = bytes::Bytes::from(bytes.collect::<Vec<u8>>());
        let (header, request) = decode_request_slice(&bytes).unwrap();
        if header.opcode == Opcode::HELLO {
            continue;
        }
        let same = frame_with(number, header.network, &request.unwrap(), |own| {
            *own = addrd_protocol::message::RequestHeader { request_id: number, ..header };
        });
        peer.send(&same).await;
        let (request_id, status) = peer.status().await;
        let free = match header.opcode {
            Opcode::PING => Status::OK,
            Opcode::UNWATCH => Status::NOT_FOUND,
            _ => Status::NOT_ALLOWED,
        };
        assert_eq!((request_id, status), (number, free), "{}", vector["name"]);
        denied += u32::from(status == Status::NOT_ALLOWED);
    }
    assert!(denied > 100, "{denied}");
    assert_eq!(stage.decider.seen(), []);
}

#[tokio::test(start_paused = true)]
async fn connections_end_within_a_second_of_what_made_them_somebody() {
    let stage = guarded(&[row(1, everything()), row(2, everything()), row(3, everything())]);
    let shared = Arc::clone(&stage.shared);
    let mut watch = tokio::task::JoinSet::new();
    watch.spawn(async move { watch_access(&shared).await });
    let mut peers = Vec::new();
    for id in 1..=3 {
        peers.push(greeted_with(&stage, id).await);
    }
    // The first has no token any more, the second other grants, the third stays what it was.
    let revoked = PrincipalRow { tokens: Vec::new(), ..row(1, everything()) };
    change(&stage, &[revoked, row(2, in_team(&[Verb::Read])), row(3, everything())]);
    let since = Instant::now();
    for peer in &mut peers[..2] {
        assert_eq!(peer.goaway().await.reason, GoAwayReason::AccessEnded);
        ends_within(peer, Duration::ZERO, Duration::from_secs(1), since).await;
    }
    peers[2].hears_nothing().await;
    peers[2].is_served().await;
    // A token that ends by itself.
    let now = stage.decider.tick();
    let ending = TokenRow { ends: now.0 + 60_000, ..row(3, everything()).tokens[0] };
    change(&stage, &[PrincipalRow { tokens: vec![ending], ..row(3, everything()) }]);
    peers[2].hears_nothing().await;
    stage.decider.advance(60_000);
    assert_eq!(peers[2].goaway().await.reason, GoAwayReason::AccessEnded);
    watch.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_read_after_a_change_is_not_done() {
    // Nobody watches here: the connection sees it by itself.
    let stage = guarded(&[row(1, everything())]);
    let mut peer = greeted_with(&stage, 1).await;
    change(&stage, &[]);
    peer.send(&[allocate_in(2, TEAM), ping(3)].concat()).await;
    let goaway = peer.goaway().await;
    assert_eq!((goaway.reason, goaway.last_request_id), (GoAwayReason::AccessEnded, 1));
    peer.ends().await;
    assert_eq!(stage.decider.seen(), []);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_its_principals_alone() {
    let stage = guarded(&[row(1, everything()), row(2, everything())]);
    let session = SessionId::from_u128(77);
    let greet = |id: u64, epoch: u64| {
        hello_with(move |hello| {
            (hello.token, hello.session, hello.epoch) = (Some(token(id)), session, epoch);
        })
    };
    let (mut first, mut second) = (stage.connect(), stage.connect());
    first.send(&greet(1, 1)).await;
    assert_eq!(first.status().await, (1, Status::OK));
    second.send(&greet(2, 9)).await;
    assert_eq!(second.status().await, (1, Status::OK));
    first.is_served().await;
    let mut newer = stage.connect();
    newer.send(&greet(1, 2)).await;
    assert_eq!(first.goaway().await.reason, GoAwayReason::SessionReplaced);
    assert_eq!(newer.status().await, (1, Status::OK));
    second.is_served().await;
}

async fn greet_from(stage: &Stage, origin: Origin, token: Option<Token>) -> (TestPeer, Status) {
    let mut peer = stage.connect_from(origin);
    peer.send(&hello_with(|hello| hello.token = token)).await;
    let (_, status) = peer.status().await;
    (peer, status)
}

#[tokio::test(start_paused = true)]
async fn certificates_and_users_are_principals_too_and_a_token_goes_first() {
    let stage = guarded(&[row(1, in_team(&[Verb::Allocate])), row(2, everything())]);
    let named = |name: &str| Origin {
        name: Some(CertificateName::in_test(name)),
        ..Origin::of(Peer::of("192.0.2.1".parse().unwrap()))
    };
    let user = |user: u32| Origin { user: Some(user), ..Origin::of(Peer::Local) };
    let own = rustix::process::geteuid().as_raw();
    let known = [
        (named("spiffe://p2"), None),
        (user(1_002), None),
        // The operator of the machine.
        (user(0), None),
        (user(own), None),
        (named("spiffe://nobody"), Some(token(2))),
    ];
    for (origin, token) in known {
        let (mut peer, status) = greet_from(&stage, origin, token).await;
        assert_eq!(status, Status::OK);
        peer.send(&allocate_in(2, ProjectId::from_u128(9))).await;
        assert_eq!(peer.status().await, (2, Status::NOT_HELD));
    }
    let strangers = [
        (named("spiffe://nobody"), None),
        (user(1_777), None),
        // What is shown must be good, whoever else one could be.
        (named("spiffe://p2"), Some(token(7))),
        (user(0), Some(token(7))),
    ];
    for (origin, token) in strangers {
        let (_, status) = greet_from(&stage, origin, token).await;
        assert_eq!(status, Status::UNAUTHENTICATED);
    }
    // A token with few grants counts, though the user could do everything.
    let (mut peer, _) = greet_from(&stage, user(0), Some(token(1))).await;
    peer.send(&allocate_in(2, ProjectId::from_u128(9))).await;
    assert_eq!(peer.status().await, (2, Status::NOT_ALLOWED));
}

#[tokio::test(start_paused = true)]
async fn without_authentication_who_is_known_is_held_to_its_grants_all_the_same() {
    let stage = Stage::new(FakeDecider::answering());
    change(&stage, &[row(1, in_team(&[Verb::Allocate]))]);
    let mut anybody = stage.greeted().await;
    anybody.send(&allocate_in(2, ProjectId::from_u128(9))).await;
    assert_eq!(anybody.status().await, (2, Status::NOT_HELD));
    let mut known = greeted_with(&stage, 1).await;
    known.send(&allocate_in(2, ProjectId::from_u128(9))).await;
    assert_eq!(known.status().await, (2, Status::NOT_ALLOWED));
}

#[tokio::test(start_paused = true)]
async fn who_is_disabled_is_nobody_by_another_way_either() {
    let own = rustix::process::geteuid().as_raw();
    let bound = |disabled| PrincipalRow {
        disabled,
        unix_users: vec![own],
        ..row(1, in_team(&[Verb::Allocate]))
    };
    let user = || Origin { user: Some(own), ..Origin::of(Peer::Local) };
    let named = || Origin {
        name: Some(CertificateName::in_test("spiffe://p1")),
        ..Origin::of(Peer::of("192.0.2.1".parse().unwrap()))
    };
    for stage in [Stage::guarded(FakeDecider::answering()), Stage::new(FakeDecider::answering())] {
        for origin in [user(), named()] {
            change(&stage, &[bound(false)]);
            let (mut peer, status) = greet_from(&stage, origin.clone(), None).await;
            assert_eq!(status, Status::OK);
            change(&stage, &[bound(true)]);
            peer.send(&allocate_in(2, TEAM)).await;
            assert_eq!(peer.goaway().await.reason, GoAwayReason::AccessEnded);
            let (_, status) = greet_from(&stage, origin, None).await;
            assert_eq!(status, Status::UNAUTHENTICATED);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_becomes_a_principal_is_one_at_once_and_a_new_name_ends_nothing() {
    let stage = Stage::new(FakeDecider::answering());
    let user = Origin { user: Some(1_001), ..Origin::of(Peer::Local) };
    let (mut anybody, status) = greet_from(&stage, user.clone(), None).await;
    assert_eq!(status, Status::OK);
    change(&stage, &[row(1, in_team(&[Verb::Allocate]))]);
    anybody.send(&allocate_in(2, ProjectId::from_u128(9))).await;
    assert_eq!(anybody.goaway().await.reason, GoAwayReason::AccessEnded);
    let (mut known, _) = greet_from(&stage, user, None).await;
    let renamed = PrincipalRow { name: None, ..row(1, in_team(&[Verb::Allocate])) };
    change(&stage, &[renamed]);
    known.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_while_hello_waits_is_good_for_nothing() {
    let stage = Stage::guarded(FakeDecider::holding());
    let ends = stage.decider.tick().0 + 2_000;
    let ending = TokenRow { ends, ..row(1, everything()).tokens[0] };
    change(&stage, &[PrincipalRow { tokens: vec![ending], ..row(1, everything()) }]);
    let greet = |epoch: u64| {
        hello_with(|hello| {
            hello.token = Some(token(1));
            (hello.session, hello.epoch) = (SessionId::from_u128(5), epoch);
        })
    };
    let mut older = stage.connect();
    older.send(&[greet(1), allocate_in(2, TEAM)].concat()).await;
    assert_eq!(older.status().await, (1, Status::OK));
    let mut newer = stage.connect();
    newer.send(&[greet(2), allocate_in(3, TEAM)].concat()).await;
    newer.hears_nothing().await;
    stage.decider.advance(2_000);
    stage.decider.answer_all();
    assert_eq!(newer.status().await, (1, Status::OK));
    assert_eq!(newer.goaway().await.reason, GoAwayReason::AccessEnded);
    newer.ends().await;
    assert_eq!(stage.decider.seen().len(), 1, "only what the older connection asked for");
}

#[tokio::test(start_paused = true)]
async fn administration_can_be_for_the_unix_socket_alone() {
    let stage = Stage::administered_locally(FakeDecider::answering());
    change(&stage, &[row(1, everything())]);
    let accept = |id| frame_with(id, NetworkId::NIL, &Request::ClockAccept(ClockAccept {}), |_| ());
    let remote = Origin::of(Peer::of("192.0.2.1".parse().unwrap()));
    let (mut peer, _) = greet_from(&stage, remote, Some(token(1))).await;
    peer.send(&accept(2)).await;
    assert_eq!(peer.status().await, (2, Status::NOT_ALLOWED));
    peer.send(&allocate_in(3, TEAM)).await;
    assert_eq!(peer.status().await, (3, Status::NOT_HELD));
    let (mut local, _) = greet_from(&stage, Origin::of(Peer::Local), Some(token(1))).await;
    local.send(&accept(2)).await;
    assert_eq!(local.status().await, (2, Status::OK));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_told_to_the_audit_log_with_who_and_why() {
    let stage = guarded(&[row(1, in_team(&[Verb::Allocate]))]);
    let remote = || Origin::of(Peer::of("192.0.2.1".parse().unwrap()));
    let (mut peer, _) = greet_from(&stage, remote(), Some(token(1))).await;
    let other = ProjectId::from_u128(9);
    peer.send(&allocate_in(2, other)).await;
    assert_eq!(peer.status().await, (2, Status::NOT_ALLOWED));
    let (_, status) = greet_from(&stage, remote(), Some(Token::new(TokenId(1), [9; 32]))).await;
    assert_eq!(status, Status::UNAUTHENTICATED);
    let own = rustix::process::geteuid().as_raw();
    let user = Origin { user: Some(own), ..Origin::of(Peer::Local) };
    let (mut operator, _) = greet_from(&stage, user, None).await;
    operator
        .send(&frame_with(2, NetworkId::NIL, &Request::ClockAccept(ClockAccept {}), |_| ()))
        .await;
    assert_eq!(operator.status().await, (2, Status::OK));
    let told: Vec<_> = stage.decider.attempts();
    let short: Vec<_> =
        told.iter().map(|one| (one.by, one.opcode, one.result, one.project)).collect();
    let principal = Asker::Principal(PrincipalId::from_u128(1));
    let expected = [
        (principal, Opcode::ALLOCATE, Status::NOT_ALLOWED, Some(other)),
        (Asker::Nobody, Opcode::HELLO, Status::UNAUTHENTICATED, None),
        (Asker::Operator, Opcode::CLOCK_ACCEPT, Status::OK, None),
    ];
    assert_eq!(short, expected);
    assert!(told.iter().all(|one| one.origin.starts_with("192.0.2.1") || one.origin == "local"));
    // What was done or denied by what is decided is told where it is decided.
    assert!(told[1].why.contains("no good token has the id"), "{}", told[1].why);
}

/// One principal can't keep all others out by connecting; they are told apart by what they show, not by where they are.
#[tokio::test(start_paused = true)]
async fn a_principal_never_takes_all_connections() {
    let bounds = crate::config::Bounds { connections_max: 16, ..Default::default() };
    let stage = Stage::bounded(FakeDecider::answering(), bounds);
    change(&stage, &[row(1, everything()), row(2, everything())]);
    let mut peers = Vec::new();
    for _ in 0..12 {
        peers.push(greeted_with(&stage, 1).await);
    }
    let mut more = stage.connect();
    more.send(&hello_with(|hello| hello.token = Some(token(1)))).await;
    let (_, failure) = more.failure().await;
    assert_eq!(failure.status, Status::BUSY);
    let bound = addrd_protocol::message::Detail::Bound { name: text("connections_share") };
    assert_eq!(failure.details, [bound]);
    more.ends().await;
    greeted_with(&stage, 2).await.is_served().await;
    let last = peers.pop().unwrap();
    drop(last.io);
    last.task.await.unwrap();
    drop((peers.pop(), peers.pop(), peers.pop(), peers.pop(), peers.pop()));
    settle().await;
    greeted_with(&stage, 1).await.is_served().await;
}
