//! Three leaks of Neutron's, replayed with holds: an outer transaction that fails after its addresses were
//! given, one that is tried again after deadlocks, and a deletion that is rolled back. The caller is killed at each
//! step, and the server with kill -9 meanwhile. Afterwards what is allocated is what the outer
//! database has, address by address: nothing leaked, nothing was freed while in use.

use crate::support::line::{Answer, Line, hello_of};
use crate::support::network::{network, text};
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::{eventually, run, say, scale};
use addrd_client::plain_allocate;
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, Allocation, AllocationFilter, AllocationState, Fences, HoldEnd,
    HoldRelease, Release, Reply, Request, Strategy, Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Retry, Revision, SessionId, Slot, Status};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How long a hold lasts, ms: long enough for a caller that lives, short enough to run out here.
const HOLD_MS: u64 = 3_000;
/// Those who take and let go whatever is free, all the time.
const GRABBERS: u64 = 4;
/// How often a transaction is tried before it gets through.
const TRIES: u64 = 3;

/// How far a caller comes before it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It asked for an address and is killed before the answer.
    Asked,
    /// Its outer transaction is tried again, and it is killed before the answer.
    Retrying,
    /// It has the answer.
    Answered,
    /// Its outer transaction has ended.
    Decided,
    /// It confirmed or cancelled, and is killed before the answer.
    Told,
    /// It lives.
    Done,
}

const STEPS: [Step; 6] =
    [Step::Asked, Step::Retrying, Step::Answered, Step::Decided, Step::Told, Step::Done];

/// What happens to the outer transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Commits,
    Fails,
}

/// A port as the outer database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    address: IpAddr,
    revision: Revision,
    token: Uuid,
}

/// The outer database and what was noticed.
#[derive(Debug, Default)]
struct Outer {
    ports: BTreeMap<OwnerId, Port>,
    /// Ports that are deleted there, and the tokens under which they were released.
    deleted: Vec<(OwnerId, Port)>,
    faults: Vec<String>,
    grabbed: u64,
    is_over: bool,
}

type Shared = Arc<Mutex<Outer>>;

fn lock(outer: &Shared) -> std::sync::MutexGuard<'_, Outer> {
    outer.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Caller {
    owner: OwnerId,
    network: NetworkId,
    place: SocketAddr,
    session: SessionId,
    epoch: u64,
    line: Option<Line>,
    outer: Shared,
}

impl Caller {
    async fn open(&mut self) -> Option<&mut Line> {
        if self.line.is_none() {
            self.epoch += 1;
            let hello = hello_of(self.session, self.epoch);
            self.line = Line::open(self.place, &hello).await.ok();
        }
        if self.line.is_none() {
            // Nobody listens: the server is being started again.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.line.as_mut()
    }

    /// Asks until there is an answer that isn't "later".
    async fn ask(&mut self, request: &Request) -> Answer {
        loop {
            let network = self.network;
            let Some(line) = self.open().await else { continue };
            line.queue(network, request);
            let answer = match line.flush().await {
                Ok(()) => line.next().await,
                Err(error) => Err(error),
            };
            match answer {
                Ok((_, Err(failure))) if failure.status.retry() == Retry::Later => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok((_, answer)) => return answer,
                Err(_) => self.line = None,
            }
        }
    }

    /// Sends a request and is killed: its socket closes, nobody reads the answer.
    async fn ask_and_die(&mut self, request: &Request) {
        let network = self.network;
        if let Some(line) = self.open().await {
            line.queue(network, request);
            // It may be dead already, and then so is the request.
            let _ = line.flush().await;
        }
        self.line = None;
    }

    fn fault(&self, what: String) {
        lock(&self.outer).faults.push(format!("{}: {what}", self.owner));
    }

    fn hold(&self, token: Uuid) -> Request {
        let extras = AllocateExtras {
            hold_token: Some(token),
            hold_ms: Some(HOLD_MS),
            ..AllocateExtras::default()
        };
        let extras = Some(Box::new(extras));
        let strategy = Strategy::Lowest;
        Request::Allocate(Allocate { extras, strategy, ..plain_allocate(self.owner) })
    }

    fn end(&self, port: &Port) -> HoldEnd {
        let target = Target::Key { owner: self.owner, slot: Slot(0) };
        HoldEnd { target, revision: port.revision, token: port.token, release: false }
    }

    /// Creates a port inside an outer transaction.
    async fn create(&mut self, token: Uuid, tries: u64, fate: Fate, until: Step) {
        let hold = self.hold(token);
        if until == Step::Asked {
            return self.ask_and_die(&hold).await;
        }
        let mut port = None;
        for attempt in 0..tries {
            // A deadlock undoes what the attempt before wrote in the outer database, and nothing else: the
            // request has one token, so that the next attempt finds what the first one got.
            if attempt > 0 && until == Step::Retrying {
                return self.ask_and_die(&hold).await;
            }
            let Ok(Reply::Allocated(got)) = self.ask(&hold).await else {
                return self.fault("no address".to_owned());
            };
            let got = got.first;
            let now = Port { address: got.address, revision: got.revision, token };
            if attempt > 0 && port != Some(now) {
                self.fault(format!("attempt {attempt} got {now:?} after {port:?}"));
            }
            port = Some(now);
        }
        let Some(port) = port.filter(|_| until > Step::Answered) else { return };
        if fate == Fate::Commits {
            lock(&self.outer).ports.insert(self.owner, port);
        }
        let end = self.end(&port);
        let told = match fate {
            Fate::Commits => Request::HoldConfirm(end),
            Fate::Fails => Request::HoldCancel(end),
        };
        match until {
            Step::Asked | Step::Retrying | Step::Answered | Step::Decided => {}
            Step::Told => self.ask_and_die(&told).await,
            Step::Done => match self.ask(&told).await {
                Ok(Reply::HoldEnded(_)) => {}
                // It was cancelled, and the answer was lost with the server.
                Ok(Reply::Empty) if fate == Fate::Fails => {}
                other => self.fault(format!("{told:?} got {other:?}")),
            },
        }
    }

    /// Deletes a port that is there inside an outer transaction.
    async fn delete(&mut self, token: Uuid, fate: Fate, until: Step) {
        self.create(Uuid::from_u128(token.as_u128() ^ 1), 1, Fate::Commits, Step::Done).await;
        let Some(port) = lock(&self.outer).ports.get(&self.owner).copied() else { return };
        let port = Port { token, ..port };
        let HoldEnd { target, revision, .. } = self.end(&port);
        let fences = Fences { revision: Some(revision), ..Fences::default() };
        let hold = HoldRelease { target, fences, token, hold_ms: Some(HOLD_MS) };
        let hold = Request::HoldRelease(Box::new(hold));
        if until == Step::Asked {
            return self.ask_and_die(&hold).await;
        }
        match self.ask(&hold).await {
            Ok(Reply::HoldEnded(ended)) if ended.state == AllocationState::Allocated => {}
            other => return self.fault(format!("a held release got {other:?}")),
        }
        if until == Step::Retrying {
            return self.ask_and_die(&hold).await;
        }
        if until == Step::Answered {
            return;
        }
        if fate == Fate::Commits {
            let mut outer = lock(&self.outer);
            outer.ports.remove(&self.owner);
            outer.deleted.push((self.owner, port));
        }
        let end = HoldEnd { release: true, ..self.end(&port) };
        let told = match fate {
            Fate::Commits => Request::HoldConfirm(end),
            Fate::Fails => Request::HoldCancel(end),
        };
        match until {
            Step::Asked | Step::Retrying | Step::Answered | Step::Decided => {}
            Step::Told => self.ask_and_die(&told).await,
            Step::Done => match self.ask(&told).await {
                Ok(Reply::HoldEnded(_)) => {}
                // It was confirmed, and the answer was lost with the server.
                Ok(Reply::Empty) if fate == Fate::Commits => {}
                other => self.fault(format!("{told:?} got {other:?}")),
            },
        }
    }

    /// Takes what is free and lets it go again; nothing of it may be in the outer database.
    async fn grab(mut self) {
        while !lock(&self.outer).is_over {
            let request = Request::Allocate(Allocate {
                strategy: Strategy::Lowest,
                ..plain_allocate(self.owner)
            });
            match self.ask(&request).await {
                Ok(Reply::Allocated(got)) => {
                    let got = got.first;
                    let mut outer = lock(&self.outer);
                    outer.grabbed += 1;
                    let whose = outer.ports.iter().find(|(_, port)| port.address == got.address);
                    if let Some((owner, port)) = whose {
                        let fault = format!("{owner} has {port:?}, and {} got it", self.owner);
                        outer.faults.push(fault);
                    }
                }
                Err(failure) if failure.status == Status::EXHAUSTED => {}
                other => return self.fault(format!("grabbing got {other:?}")),
            }
            let target = Target::Key { owner: self.owner, slot: Slot(0) };
            let release = Release { target, fences: Fences::default(), any: false };
            if let Err(failure) = self.ask(&Request::Release(release)).await {
                return self.fault(format!("letting go got {failure:?}"));
            }
        }
    }

    /// What the outer system does when it starts again: whatever it has committed, it confirms. What comes too
    /// late for a held release it releases at the revision that it knows.
    async fn confirm_late(mut self) {
        let all: Vec<(OwnerId, Port)> =
            lock(&self.outer).ports.iter().map(|(owner, port)| (*owner, *port)).collect();
        for (owner, port) in all {
            self.owner = owner;
            let end = self.end(&port);
            match self.ask(&Request::HoldConfirm(end)).await {
                Ok(Reply::HoldEnded(ended)) => {
                    if (ended.address, ended.revision) != (port.address, port.revision) {
                        self.fault(format!("{port:?} became {ended:?}"));
                    }
                }
                other => self.fault(format!("confirming {port:?} got {other:?}")),
            }
        }
        let deleted = lock(&self.outer).deleted.clone();
        for (owner, port) in deleted {
            self.owner = owner;
            let end = HoldEnd { release: true, ..self.end(&port) };
            match self.ask(&Request::HoldConfirm(end)).await {
                Ok(Reply::HoldEnded(_) | Reply::Empty) => {}
                Err(failure) if failure.status == Status::HOLD_OVER => {
                    let fences = Fences { revision: Some(port.revision), ..Fences::default() };
                    let release = Release { target: end.target, fences, any: false };
                    if let Err(failure) = self.ask(&Request::Release(release)).await {
                        self.fault(format!("releasing {port:?} got {failure:?}"));
                    }
                }
                other => self.fault(format!("confirming {port:?} got {other:?}")),
            }
        }
    }
}

/// What is allocated is what the outer database has, with the same revisions.
fn assert_is_what_was_committed(outer: &Outer, held: &[Allocation], rounds: u64) {
    say(&format!("{} ports, {} grabbed meanwhile", outer.ports.len(), outer.grabbed));
    assert_eq!(outer.faults, Vec::<String>::new());
    assert!(held.iter().all(|held| held.state == AllocationState::Allocated));
    let of_port = |port: &Port| (port.address, port.revision);
    let real: BTreeMap<_, _> =
        held.iter().map(|held| (held.owner, (held.address, held.revision))).collect();
    let ports: BTreeMap<_, _> =
        outer.ports.iter().map(|(owner, port)| (*owner, of_port(port))).collect();
    assert_eq!(real, ports);
    // In each round those that committed, whether they lived on or not, and those that are not deleted.
    assert_eq!(ports.len() as u64, rounds * (3 * 2 + 9));
    assert_eq!(outer.deleted.len() as u64, rounds * 3);
    assert!(outer.grabbed > 0);
}

#[test]
fn nothing_leaks_and_nothing_in_use_is_freed_wherever_the_caller_is_killed() {
    let rounds = scale("ADDRD_ROUNDS", 3);
    run(Duration::from_secs(240 + 60 * rounds), async {
        let mut choices = Choices::of_test("holding");
        let config = "restart_grace = \"0s\"\njournal_records_max = 262144\n";
        let site = Site::new().with_config(config);
        let mut server = site.start().await;
        let client = site.client().await;
        let network = network(&client, 1, &["10.0.0.0/23"]).await;
        let outer = Shared::default();
        let mut number = 0;
        let mut caller = |choices: &mut Choices| {
            number += 1;
            Caller {
                owner: OwnerId::from_u128(number),
                network,
                place: site.listen(),
                session: SessionId::from_u128(choices.id()),
                epoch: 0,
                line: None,
                outer: Arc::clone(&outer),
            }
        };
        let mut grabbers = tokio::task::JoinSet::new();
        for _ in 0..GRABBERS {
            grabbers.spawn(caller(&mut choices).grab());
        }
        for _ in 0..rounds {
            let mut callers = tokio::task::JoinSet::new();
            for until in STEPS {
                for fate in [Fate::Commits, Fate::Fails] {
                    for tries in [1, TRIES] {
                        let token = Uuid::from_u128(choices.id());
                        let mut one = caller(&mut choices);
                        callers.spawn(async move { one.create(token, tries, fate, until).await });
                    }
                    let (token, mut one) = (Uuid::from_u128(choices.id()), caller(&mut choices));
                    callers.spawn(async move { one.delete(token, fate, until).await });
                }
            }
            tokio::time::sleep(Duration::from_millis(choices.below(0..20))).await;
            server.kill();
            server = site.start().await;
            while let Some(done) = callers.join_next().await {
                done.expect("a caller ends");
            }
        }
        // What its caller left behind runs out.
        let none_held = async || {
            let usage = client.usage(network, None).await.ok()?;
            (usage.totals[0].held == 0).then_some(())
        };
        eventually("holds to run out", none_held).await;
        caller(&mut choices).confirm_late().await;
        server.kill();
        server = site.start().await;
        lock(&outer).is_over = true;
        while let Some(done) = grabbers.join_next().await {
            done.expect("a grabber ends");
        }
        let held = client.allocations(network, AllocationFilter::default());
        let held = held.take(10_000).await.expect("a list");
        assert_is_what_was_committed(&lock(&outer), &held, rounds);
        server.stop().await;
        site.check_is_clean();
    });
}

/// What is confirmed is written with its texts: many long ones are more than one step has room for.
#[test]
fn many_holds_on_several_networks_are_confirmed_in_one_call() {
    run(Duration::from_secs(120), async {
        let site = Site::new();
        let server = site.start().await;
        let client = site.client().await;
        let networks = [
            network(&client, 1, &["10.1.0.0/16"]).await,
            network(&client, 2, &["10.2.0.0/16"]).await,
        ];
        let token = Uuid::from_u128(9);
        let long = text(&"x".repeat(255));
        let mut holds = Vec::new();
        for number in 0..700_u128 {
            let owner = OwnerId::from_u128(number / 2 + 1);
            let extras = AllocateExtras {
                hold_token: Some(token),
                host: Some(long.clone()),
                label: Some(long.clone()),
                owner_name: Some(long.clone()),
                ..AllocateExtras::default()
            };
            let hold = Allocate { extras: Some(Box::new(extras)), ..plain_allocate(owner) };
            let network = networks[(number % 2) as usize];
            let got = client.allocate(network, hold).await.expect("an address").first;
            let target = Target::Address(got.address);
            holds
                .push((network, HoldEnd { target, revision: got.revision, token, release: false }));
        }
        // One that never was, in the middle.
        holds[350].1.revision = Revision(1);
        let outcomes = client.holds_confirm(&holds).await;
        assert_eq!(outcomes.len(), holds.len());
        for (number, ((_, hold), outcome)) in holds.iter().zip(outcomes).enumerate() {
            match outcome {
                Ok(Some(ended)) => assert_eq!(Target::Address(ended.address), hold.target),
                Err(error) if number == 350 => assert!(error.is(Status::STALE), "{error}"),
                other => panic!("{number}: {other:?}"),
            }
        }
        server.stop().await;
    });
}
