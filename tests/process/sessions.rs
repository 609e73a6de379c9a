//! The race of a repeat against its first copy, which is still on its way on an old connection:
//! the session's epoch decides, once (P4, P5, I7). And what the session's rules promise besides.

use crate::support::line::{Answer, Line, dial, header, hello_of};
use crate::support::network::{held, network};
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::{run, say, scale, soon};
use addrd_client::protocol::codec::{ReplyDecoder, ReplyOrFailure, encode_request};
use addrd_client::protocol::message::{
    Fences, GoAway, GoAwayReason, Release, Reply, Request, Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Retry, SessionId, Slot, Status};
use addrd_client::{Client, ConnectionError, plain_allocate};
use bytes::BytesMut;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::Decoder;

const LIMIT: Duration = Duration::from_secs(300);

fn allocate(owner: OwnerId) -> Request {
    Request::Allocate(plain_allocate(owner))
}

fn release(owner: OwnerId) -> Request {
    let target = Target::Key { owner, slot: Slot(0) };
    Request::Release(Release { target, fences: Fences::default(), any: false })
}

/// What came back on a connection that nobody waited for.
#[derive(Debug, Default)]
struct Heard {
    answers: Vec<(u64, Answer)>,
    goaway: Option<GoAway>,
}

/// Reads everything until the server closes, or until `wanted` answers are there.
async fn hear(mut stream: TcpStream, mut input: BytesMut, wanted: usize) -> Heard {
    let mut heard = Heard::default();
    let mut decoder = ReplyDecoder::default();
    loop {
        while let Some((header, body)) = decoder.decode(&mut input).expect("frames are whole") {
            match body.expect("a reply can be read") {
                ReplyOrFailure::GoAway(goaway) => heard.goaway = Some(goaway),
                ReplyOrFailure::Reply(reply) => {
                    heard.answers.push((header.request_id, Ok(reply)));
                }
                ReplyOrFailure::Failure(failure) => {
                    heard.answers.push((header.request_id, Err(failure)));
                }
            }
        }
        if heard.answers.len() >= wanted {
            return heard;
        }
        match soon("the end of a connection", stream.read_buf(&mut input)).await {
            Ok(0) | Err(_) => return heard,
            Ok(_) => {}
        }
    }
}

/// HELLO and requests in one write, without waiting for anything.
async fn blind(
    site: &Site,
    session: SessionId,
    epoch: u64,
    network: NetworkId,
    requests: &[Request],
) -> TcpStream {
    let mut out = BytesMut::new();
    let hello = Request::Hello(Box::new(hello_of(session, epoch)));
    encode_request(&header(NetworkId::NIL, 1), &hello, &mut out).expect("HELLO fits");
    for (id, request) in (2..).zip(requests) {
        encode_request(&header(network, id), request, &mut out).expect("a request fits");
    }
    let mut stream = dial(site.listen()).await.expect("a connection");
    stream.write_all(&out).await.expect("the socket's buffer has room");
    stream
}

/// Requests that a connection sends before the one that counts.
const CROWD_MAX: u64 = 200;
/// Races of one round, each with its own session.
const RACES: u64 = 32;

/// One session with two connections, the old one with something on its way.
struct Race {
    owner: OwnerId,
    session: SessionId,
    old: TcpStream,
    new: TcpStream,
    crowd: usize,
    second: Second,
}

/// What the new connection asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    /// The same again.
    Repeat,
    /// The opposite: the late first copy must not undo it.
    Undo,
}

#[test]
fn a_repeat_beside_its_first_copy_has_one_effect() {
    let rounds = scale("ADDRD_ROUNDS", 20).div_ceil(2);
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("sessions");
        let site = Site::new();
        let mut server = site.start().await;
        let client = site.client().await;
        let network = network(&client, 1, &["10.0.0.0/12"]).await;
        let mut seen = Seen::default();
        for round in 0..rounds {
            let races = set_up(&site, &mut server, network, round, &mut choices).await;
            server.go_on();
            if choices.one_in(4) {
                server = die(&site, server, races, network, &mut choices).await;
                continue;
            }
            for race in races {
                decide(&client, network, race, &mut seen).await;
            }
        }
        say(&format!("{seen:?}"));
        server.stop().await;
        site.check_is_clean();
    });
}

/// How races ended.
#[derive(Debug, Default)]
struct Seen {
    first_copy_applied: u64,
    first_copy_fenced: u64,
    told_to_come_later: u64,
}

/// While the server is held: the old connection's requests, then the new connection's.
async fn set_up(
    site: &Site,
    server: &mut Server<'_>,
    network: NetworkId,
    round: u64,
    choices: &mut Choices,
) -> Vec<Race> {
    let mut lines = Vec::new();
    for number in 0..RACES {
        let session = SessionId::from_u128(choices.id());
        let line = Line::open(site.listen(), &hello_of(session, 1)).await.expect("a line");
        let owner = OwnerId::from_u128(u128::from(round + 1) << 64 | u128::from(number) << 16);
        lines.push((owner, session, line));
    }
    server.hold();
    let mut races = Vec::new();
    for (owner, session, mut line) in lines {
        let crowd = choices.below(0..CROWD_MAX);
        for at in 1..=crowd {
            let other = OwnerId::from_u128(owner.0.as_u128() + u128::from(at));
            line.queue(network, &allocate(other));
        }
        line.queue(network, &allocate(owner));
        line.flush().await.expect("the socket's buffer has room");
        let second = *choices.pick(&[Second::Repeat, Second::Undo]);
        let request = match second {
            Second::Repeat => allocate(owner),
            Second::Undo => release(owner),
        };
        let new = blind(site, session, 2, network, &[request]).await;
        let (old, input) = line.into_stream();
        assert!(input.is_empty(), "a held server says nothing");
        races.push(Race { owner, session, old, new, crowd: crowd as usize, second });
    }
    races
}

/// Both connections to their end; then the state must be what the new connection was told.
async fn decide(client: &Client, network: NetworkId, race: Race, seen: &mut Seen) {
    let Race { owner, old, new, crowd, second, .. } = race;
    let (old, new) =
        tokio::join!(hear(old, BytesMut::new(), crowd + 1), hear(new, BytesMut::new(), 2));
    let first =
        old.answers.iter().find(|(id, _)| *id == 2 + crowd as u64).map(|(_, answer)| answer);
    if first.is_none() {
        let reason = old.goaway.map(|goaway| goaway.reason);
        assert!(matches!(reason, Some(GoAwayReason::SessionReplaced) | None), "{old:?}");
    }
    let Some((_, answer)) = new.answers.iter().find(|(id, _)| *id == 2) else {
        // HELLO itself may be told to come later; nothing of this connection happened then.
        let hello = new.answers.first().map(|(_, answer)| answer);
        assert!(is_later(hello), "{new:?}");
        seen.told_to_come_later += 1;
        return;
    };
    let found = client.allocation_get(network, Target::Key { owner, slot: Slot(0) }).await;
    match (second, answer) {
        (Second::Repeat, Ok(Reply::Allocated(got))) => {
            let found = found.expect("the repeat holds it");
            let told = (got.first.address, got.first.revision);
            assert_eq!((found.address, found.revision), told);
            match first {
                Some(Ok(Reply::Allocated(one))) => {
                    assert_eq!((one.first.address, one.first.revision), told);
                    assert_ne!(one.first.repeated, got.first.repeated, "one effect");
                }
                None => {}
                other => panic!("the first copy got {other:?}"),
            }
            match got.first.repeated {
                true => seen.first_copy_applied += 1,
                false => seen.first_copy_fenced += 1,
            }
        }
        (Second::Undo, Ok(reply)) => {
            let gone = found.expect_err("released, whatever the late first copy did");
            assert!(gone.is(Status::NOT_FOUND), "{gone}");
            match reply {
                Reply::Released(_) => seen.first_copy_applied += 1,
                Reply::Empty => seen.first_copy_fenced += 1,
                other => panic!("the release got {other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn is_later(answer: Option<&Answer>) -> bool {
    matches!(answer, Some(Err(failure)) if failure.status.retry() == Retry::Later)
}

/// The server dies at a random point of the races; the third copy, after the restart, agrees with
/// every answer that was left.
async fn die<'a>(
    site: &'a Site,
    server: Server<'a>,
    races: Vec<Race>,
    network: NetworkId,
    choices: &mut Choices,
) -> Server<'a> {
    tokio::time::sleep(Duration::from_micros(choices.below(0..4_000))).await;
    server.kill();
    let server = site.start().await;
    for Race { owner, session, old, new, crowd, second } in races {
        let old = hear(old, BytesMut::new(), crowd + 1).await;
        let new = hear(new, BytesMut::new(), 2).await;
        let mut line = Line::open(site.listen(), &hello_of(session, 3)).await.expect("a line");
        let third = line.call(network, &allocate(owner)).await.expect("an answer");
        let Ok(Reply::Allocated(third)) = third else { panic!("{third:?}") };
        if second == Second::Undo {
            continue;
        }
        let all = old.answers.iter().chain(&new.answers);
        for (_, answer) in all.filter(|(id, _)| *id != 1) {
            if let Ok(Reply::Allocated(got)) = answer
                && got.first.address == third.first.address
            {
                assert_eq!(got.first.revision, third.first.revision);
                assert!(third.first.repeated, "it was acknowledged: {third:?}");
            }
        }
        let told = new.answers.iter().find(|(id, _)| *id == 2);
        if let Some((_, Ok(Reply::Allocated(got)))) = told {
            assert_eq!(got.first.address, third.first.address, "lost");
        }
    }
    server
}

#[test]
fn what_an_old_connection_sends_after_its_successor_has_no_effect() {
    run(LIMIT, async {
        let site = Site::new();
        let server = site.start().await;
        let client = site.client().await;
        let network = network(&client, 1, &["10.0.0.0/16"]).await;
        let mut waits = Vec::new();
        for number in 1..=51 {
            let (session, owner) = (SessionId::from_u128(number), OwnerId::from_u128(number));
            let mut old = Line::open(site.listen(), &hello_of(session, 1)).await.expect("a line");
            old.call(network, &allocate(owner)).await.expect("an answer").expect("an address");
            let began = Instant::now();
            let mut new = Line::open(site.listen(), &hello_of(session, 2)).await.expect("a line");
            waits.push(began.elapsed());
            // The successor's HELLO is answered: from here on the old one counts for nothing.
            old.queue(network, &release(owner));
            let _ = old.flush().await;
            let (answers, _) = old.drain().await;
            assert!(answers.iter().all(|(_, answer)| answer.is_err()), "{answers:?}");
            if let Some(goaway) = old.goaway {
                assert_eq!(goaway.reason, GoAwayReason::SessionReplaced);
            }
            let again = new.call(network, &allocate(owner)).await.expect("an answer");
            let Ok(Reply::Allocated(again)) = again else { panic!("{again:?}") };
            assert!(again.first.repeated, "the late release was applied");
        }
        assert_eq!(held(&client, network).await.len(), 51);
        // Nothing was in flight. A successor that waits for the end of its time, 5 s, does so each
        // time; a slow machine does not.
        waits.sort();
        assert!(waits[25] < Duration::from_millis(2_500), "successors waited {:?}", waits[25]);
        server.stop().await;
    });
}

#[test]
fn an_epoch_that_does_not_rise_is_refused_and_harms_nobody() {
    run(LIMIT, async {
        let site = Site::new();
        let _server = site.start().await;
        let session = SessionId::from_u128(9);
        let mut live = Line::open(site.listen(), &hello_of(session, 5)).await.expect("a line");
        for epoch in [5, 4, 1] {
            let refused = Line::open(site.listen(), &hello_of(session, epoch)).await;
            match refused {
                Err(ConnectionError::Refused(failure)) => {
                    assert_eq!(failure.status, Status::SESSION_STALE, "epoch {epoch}");
                }
                other => panic!("epoch {epoch}: {other:?}"),
            }
        }
        let answer = live.call(NetworkId::NIL, &Request::ServerStatus).await.expect("an answer");
        assert!(matches!(answer, Ok(Reply::ServerStatus(_))), "{answer:?}");
    });
}
