//! A request sent again across kill -9 has one effect and one answer (P4, I4), wherever the kill
//! falls: before the request was read, between reading and commit, after the commit and before the
//! reply was read. The fourth race, against the first copy on an old connection, is in
//! `sessions.rs`.
//!
//! The first and the last moment are hit on purpose, by a server that is held and by an effect
//! that another connection has seen; between them the kill falls at random, and the test says what
//! it saw.

use crate::support::book::{Book, Span};
use crate::support::line::{Answer, Line, hello_of};
use crate::support::network::held;
use crate::support::operation::{By, How, Operation};
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::state::{Hold, Key, Listed, Verdict};
use crate::support::terms::Term;
use crate::support::workload::{CONTESTED, NETWORKS, WIDE, make_networks_resting};
use crate::support::{eventually, run, say, scale};
use addrd_client::protocol::message::{BatchMode, Reply, Strategy};
use addrd_client::protocol::{OwnerId, ProjectId, SessionId, Slot};
use addrd_client::{Client, plain_allocate};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Trials of a round: each kind of operation eight times.
const TRIALS: u64 = 64;
/// Kinds of operation.
const KINDS: u64 = 8;

/// One operation with a connection, a session and a book of its own.
struct Trial {
    book: Book,
    operation: Operation,
    session: SessionId,
    line: Line,
    /// The reply that was read after the kill, if one had arrived.
    first: Option<Answer>,
}

/// When the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    /// It was held before anything was sent.
    BeforeRead,
    /// Some time after everything was sent.
    AtRandom,
    /// Once a list shows every effect.
    AfterCommit,
}

/// Trials by what was seen: a reply to read after the kill; in without one; not in.
#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    in_without_reply: u64,
    out: u64,
}

#[test]
fn a_repeat_across_a_kill_has_one_effect_and_one_answer() {
    let rounds = scale("ADDRD_ROUNDS", 20).div_ceil(2);
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("repeats");
        let site = Site::new();
        let mut server = site.start().await;
        // Trials ask for addresses that others had just before.
        make_networks_resting(&site.client().await, 0).await;
        let fixed = [Kill::BeforeRead, Kill::AfterCommit];
        let kills = fixed.into_iter().chain((0..rounds).map(|_| Kill::AtRandom));
        let mut seen = Seen::default();
        for (round, kill) in (0..).zip(kills) {
            let mut trials = prepare(&site, round, &mut choices).await;
            server = strike(&site, server, &mut trials, kill, &mut choices).await;
            let listed = everything(&site.client().await).await.into();
            for trial in &mut trials {
                settle(trial, &listed, kill, &mut seen);
            }
            let trials = repeat_twice(site.listen(), trials).await;
            clear(&site, &trials).await;
        }
        say(&format!("{seen:?}"));
        server.stop().await;
        site.check_is_clean();
    });
}

/// Fresh owners; those that release or relabel hold something.
async fn prepare(site: &Site, round: u64, choices: &mut Choices) -> Vec<Trial> {
    let mut trials = JoinSet::new();
    for number in 0..TRIALS {
        let id = u128::from(round + 1) << 64 | u128::from(number + 1) << 8;
        let (to, session) = (site.listen(), SessionId::from_u128(choices.id()));
        trials.spawn(async move {
            let mut line = Line::open(to, &hello_of(session, 1)).await.expect("a line");
            let mut book = Book::default();
            for first in holds_first(number % KINDS, id) {
                send(&mut line, &first, &mut book).await;
            }
            must_be_lawful(&book);
            let operation = operation(number, id, &book);
            Trial { book, operation, session, line, first: None }
        });
    }
    trials.join_all().await
}

async fn send(line: &mut Line, operation: &Operation, book: &mut Book) {
    let answer = line.call(operation.network(), &operation.request()).await;
    book.enter(operation, &answer.expect("an answer"), Span { sent: 0, answered: 0 });
}

fn key(id: u128, slot: u16) -> Key {
    let project = ProjectId::DEFAULT;
    Key { project, network: WIDE, owner: OwnerId::from_u128(id), slot: Slot(slot) }
}

fn take(id: u128, slot: u16) -> Operation {
    Operation::Take {
        key: key(id, slot),
        how: How::Any(Strategy::Default),
        may_fail: false,
        term: Term::Endless,
    }
}

/// What a kind of operation needs to find.
fn holds_first(kind: u64, id: u128) -> Vec<Operation> {
    match kind {
        0..=2 => Vec::new(),
        3..=5 => vec![take(id, 0)],
        _ => vec![take(id, 0), take(id, 1)],
    }
}

fn operation(number: u64, id: u128, book: &Book) -> Operation {
    let hold = |slot| book.hold(&key(id, slot)).cloned().expect("it was taken before");
    let drop = |slot, by| Operation::Drop { key: key(id, slot), revision: hold(slot).revision, by };
    let label = |slot| Operation::Label {
        key: key(id, slot),
        revision: hold(slot).revision,
        label: format!("of={id}"),
    };
    let batch = |mode| {
        let items = vec![drop(0, By::Key), take(id, 2), label(1)];
        Operation::Batch { network: WIDE, mode, items }
    };
    match number % KINDS {
        0 => take(id, 0),
        1 => Operation::TakeEach { key: key(id, 0) },
        2 => {
            let address = IpAddr::V4(Ipv4Addr::new(10, 3, 1, number as u8));
            let key = Key { network: CONTESTED, ..key(id, 0) };
            Operation::Take { key, how: How::Exact(address), may_fail: false, term: Term::Endless }
        }
        3 => drop(0, By::Key),
        4 => drop(0, By::Address(hold(0).address)),
        5 => label(0),
        6 => batch(BatchMode::AllOrNothing),
        _ => batch(BatchMode::Independent),
    }
}

/// Sends every trial's request, kills the server when asked, and starts it again.
async fn strike<'a>(
    site: &'a Site,
    mut server: Server<'a>,
    trials: &mut [Trial],
    kill: Kill,
    choices: &mut Choices,
) -> Server<'a> {
    if kill == Kill::BeforeRead {
        server.hold();
    }
    for Trial { line, operation, .. } in trials.iter_mut() {
        line.queue(operation.network(), &operation.request());
        line.flush().await.expect("a request fits the socket's buffer");
    }
    match kill {
        Kill::BeforeRead => {}
        Kill::AtRandom => linger(choices),
        Kill::AfterCommit => wait_for_effects(site, trials).await,
    }
    server.kill();
    for Trial { line, first, .. } in trials {
        let (left, _) = line.drain().await;
        assert!(left.len() <= 1, "one request, {left:?}");
        *first = left.into_iter().next().map(|(_, answer)| answer);
    }
    site.start().await
}

/// A random time between 0.1 and 30 ms, short ones as likely as long ones: the disk decides how
/// long the way to the commit is.
fn linger(choices: &mut Choices) {
    let most = 100 << choices.below(0..9);
    let until = Instant::now() + Duration::from_micros(choices.below(0..most));
    while Instant::now() < until {
        std::thread::yield_now();
    }
}

async fn wait_for_effects(site: &Site, trials: &[Trial]) {
    let client = site.client().await;
    eventually("every effect in a list", async || {
        let listed: Listed = everything(&client).await.into();
        let is_in = |trial: &Trial| {
            let unknown = trial.operation.unknown(&trial.book.known, Span::default());
            unknown.verdict(&listed) == Verdict::In
        };
        trials.iter().all(is_in).then_some(())
    })
    .await;
}

async fn everything(client: &Client) -> BTreeMap<Key, Hold> {
    let mut listed = BTreeMap::new();
    for network in NETWORKS {
        listed.extend(held(client, network).await);
    }
    listed
}

/// Compares the list with the moment of the kill and with the reply that was left, if one was.
fn settle(trial: &mut Trial, listed: &Listed, kill: Kill, seen: &mut Seen) {
    let Trial { book, operation, first, .. } = trial;
    let unknown = operation.unknown(&book.known, Span::default());
    match unknown.verdict(listed) {
        Verdict::In => {
            assert_ne!(kill, Kill::BeforeRead, "nobody read it, and it is in: {operation:?}");
            match first {
                Some(_) => seen.answered += 1,
                None => seen.in_without_reply += 1,
            }
        }
        Verdict::Out | Verdict::Open | Verdict::Unseen => {
            assert_ne!(kill, Kill::AfterCommit, "a list had shown it: {operation:?}");
            assert!(first.is_none(), "lost: {operation:?} {first:?}");
            seen.out += 1;
        }
    }
    book.settle(0, &[(unknown, 0)], listed);
}

/// Repeats each request on two more connections of its session.
async fn repeat_twice(to: SocketAddr, trials: Vec<Trial>) -> Vec<Trial> {
    let mut repeats = JoinSet::new();
    for mut trial in trials {
        repeats.spawn(async move {
            for epoch in 2..4 {
                let hello = hello_of(trial.session, epoch);
                let mut line = Line::open(to, &hello).await.expect("a line");
                send(&mut line, &trial.operation, &mut trial.book).await;
            }
            must_be_lawful(&trial.book);
            if let Some(first) = &trial.first {
                must_agree(&trial.operation, &trial.book, first);
            }
            trial
        });
    }
    repeats.join_all().await
}

/// The reply that lay in the socket said what the repeats said.
fn must_agree(operation: &Operation, book: &Book, first: &Answer) {
    match first {
        Ok(Reply::Allocated(got)) => {
            let (Operation::Take { key, .. } | Operation::TakeEach { key }) = operation else {
                panic!("{operation:?} got {first:?}");
            };
            let hold = book.hold(key).expect("the repeat holds it");
            assert_eq!((got.first.address, got.first.revision), (hold.address, hold.revision));
        }
        Ok(Reply::Released(_)) => assert!(matches!(operation, Operation::Drop { .. })),
        Ok(Reply::Allocation(now)) => {
            let Operation::Label { key, .. } = operation else {
                panic!("{operation:?} got {first:?}");
            };
            let hold = book.hold(key).expect("the repeat holds it");
            assert_eq!((now.address, now.revision), (hold.address, hold.revision));
        }
        Ok(Reply::Batch(reply)) => assert_eq!(reply.results.len(), 3),
        other => panic!("{operation:?} was lawful and got {other:?}"),
    }
}

fn must_be_lawful(book: &Book) {
    assert!(book.findings.is_empty(), "{:#?}", book.findings);
}

/// Compares the books with a last list, and releases what the round holds.
async fn clear(site: &Site, trials: &[Trial]) {
    let client = site.client().await;
    let listed = everything(&client).await;
    let mut expected = BTreeMap::new();
    for trial in trials {
        let held = trial.book.known.keys.iter();
        expected.extend(held.filter_map(|(key, hold)| Some((*key, hold.clone()?))));
    }
    assert_eq!(listed, expected);
    let mut line = Line::open(site.listen(), &addrd_client::plain_hello()).await.expect("a line");
    for (key, hold) in &expected {
        let drop = Operation::Drop { key: *key, revision: hold.revision, by: By::Key };
        line.queue(key.network, &drop.request());
    }
    line.flush().await.expect("the server reads");
    for _ in &expected {
        let (_, answer) = line.next().await.expect("an answer");
        assert!(matches!(answer, Ok(Reply::Released(_))), "{answer:?}");
    }
}

/// Rides of clients that repeat by themselves.
const RIDERS: u64 = 16;

#[test]
fn clients_ride_through_kills_and_stops_without_an_error() {
    let rounds = scale("ADDRD_ROUNDS", 20).div_ceil(5);
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("riders");
        let site = Site::new();
        let mut server = site.start().await;
        let client = Client::connect(addrd_client::Settings { lanes: 4, ..site.settings() });
        let client = client.await.expect("the client connects");
        make_networks_resting(&client, 0).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut riders = JoinSet::new();
        for number in 1..=RIDERS {
            let (client, stopped) = (client.clone(), stopped.clone());
            riders.spawn(async move { ride(&client, number, &stopped).await });
        }
        for _ in 0..rounds {
            tokio::time::sleep(Duration::from_millis(choices.below(20..200))).await;
            // GOAWAY or none: a client that repeats by itself notices neither.
            match choices.one_in(2) {
                true => server.kill(),
                false => server.stop().await,
            }
            server = site.start().await;
        }
        stop.send_replace(true);
        let mut expected = BTreeMap::new();
        while let Some(rider) = riders.join_next().await {
            let (key, hold) = rider.expect("a rider sees no error");
            expected.insert(key, hold);
        }
        assert_eq!(held(&client, WIDE).await, expected);
        server.stop().await;
    });
}

/// Allocates and releases until told to stop; holds the last one.
async fn ride(
    client: &Client,
    number: u64,
    stopped: &tokio::sync::watch::Receiver<bool>,
) -> (Key, Hold) {
    let key = key(u128::from(number), 0);
    loop {
        let asked = client.allocate(WIDE, plain_allocate(key.owner)).await;
        let got = asked.expect("an allocation survives a restart").first;
        let again = client.allocate(WIDE, plain_allocate(key.owner)).await;
        let again = again.expect("a repeat survives a restart").first;
        assert!(again.repeated);
        assert_eq!((again.address, again.revision), (got.address, got.revision));
        let hold = Hold::endless(got.address, got.revision);
        if *stopped.borrow() {
            return (key, hold);
        }
        let drop = Operation::Drop { key, revision: hold.revision, by: By::Key };
        let request = drop.request();
        let reply = client.call(&client.scope(WIDE), &request).await;
        reply.expect("a release survives a restart");
    }
}
