//! A controller that was restarted (P5): what its former life still sends, in whatever order, however
//! often and on whichever of its connections, never touches what the new life holds. Also across
//! kill -9, after which both repeat what had no answer.

use crate::support::line::{Answer, Line, hello_of};
use crate::support::network::network;
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::{run, say, scale};
use addrd_client::plain_allocate;
use addrd_client::protocol::message::allocate::AllocatedAddress;
use addrd_client::protocol::message::{
    Allocate, AllocateFlags, AllocationFilter, Fences, Release, Reply, Request, Target, Transfer,
};
use addrd_client::protocol::{Instance, NetworkId, OwnerId, Revision, SessionId, Slot, Status};
use std::collections::BTreeMap;
use std::time::Duration;

/// Connections of each life.
const POOL: u64 = 3;
/// Owners of one round.
const OWNERS: u64 = 32;

/// Which life of the controller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Former,
    New,
}

/// One message about an owner.
#[derive(Clone, Debug)]
struct Message {
    life: Life,
    owner: OwnerId,
    request: Request,
}

/// How the answers came out.
#[derive(Debug, Default)]
struct Seen {
    released: u64,
    fenced: u64,
    found_nothing: u64,
    refused_to_the_former: u64,
    taken_over: u64,
    kills: u64,
}

/// No two owners have lives of one name.
fn instance(life: Life, owner: OwnerId) -> Instance {
    Instance((owner.0.as_u128() as u64) << 1 | u64::from(life == Life::New))
}

fn allocate(life: Life, owner: OwnerId) -> Request {
    let flags = AllocateFlags { takeover: life == Life::New, ..AllocateFlags::default() };
    Request::Allocate(Allocate { instance: instance(life, owner), flags, ..plain_allocate(owner) })
}

/// A release of the former life, by what it can know: its instance, or what it was told.
fn release(owner: OwnerId, known: Option<&AllocatedAddress>, choices: &mut Choices) -> Request {
    let by_key = Target::Key { owner, slot: Slot(0) };
    let target = match known {
        Some(known) if choices.one_in(2) => Target::Address(known.address),
        _ => by_key,
    };
    let fences = match known {
        Some(known) if choices.one_in(2) => {
            Fences { revision: Some(known.revision), ..Fences::default() }
        }
        _ => Fences { instance: Some(instance(Life::Former, owner)), ..Fences::default() },
    };
    Request::Release(Release { target, fences, any: false })
}

/// The connections of a controller's life, each a lane of its own.
struct Controller {
    lines: Vec<Line>,
    /// What has no answer yet, by connection and request.
    open: BTreeMap<(usize, u64), Message>,
}

impl Controller {
    async fn connect(site: &Site, choices: &mut Choices) -> Self {
        let mut lines = Vec::new();
        for _ in 0..POOL {
            let hello = hello_of(SessionId::from_u128(choices.id()), 1);
            lines.push(Line::open(site.listen(), &hello).await.expect("a connection"));
        }
        Self { lines, open: BTreeMap::new() }
    }

    /// Sends on some connection and waits for nothing. What meets a dead server stays open.
    async fn send(&mut self, network: NetworkId, message: Message, choices: &mut Choices) {
        let at = choices.below(0..POOL) as usize;
        let id = self.lines[at].queue(network, &message.request);
        self.open.insert((at, id), message);
        // A server that is gone shows when its answers don't come.
        _ = self.lines[at].flush().await;
    }

    /// Everything that is answered; the rest stays open.
    async fn hear(&mut self) -> Vec<(Message, Answer)> {
        let mut heard = Vec::new();
        for (at, line) in self.lines.iter_mut().enumerate() {
            while self.open.keys().any(|(of, _)| *of == at) {
                let Ok((header, answer)) = line.next().await else { break };
                let message = self.open.remove(&(at, header.request_id));
                heard.push((message.expect("an answer to a question"), answer));
            }
        }
        heard
    }
}

/// What the new life was told it holds.
type Held = BTreeMap<OwnerId, AllocatedAddress>;

/// Enters an answer, and checks that it is lawful.
fn enter(message: &Message, answer: &Answer, told: &mut Held, seen: &mut Seen) {
    match (message.life, &message.request, answer) {
        (Life::New, _, Ok(Reply::Allocated(got))) => {
            let first = told.entry(message.owner).or_insert(got.first);
            let (place, now) = ((first.address, first.revision), got.first);
            assert_eq!(place, (now.address, now.revision), "{message:?} is answered in two ways");
            seen.taken_over += u64::from(now.taken_over);
        }
        (Life::Former, Request::Allocate(_), Ok(Reply::Allocated(_))) => {}
        (Life::Former, Request::Allocate(_), Err(refused)) => {
            assert_eq!(refused.status, Status::HELD_BY_OTHER_INSTANCE, "{message:?}");
            seen.refused_to_the_former += 1;
        }
        (Life::Former, Request::Release(_), Ok(Reply::Released(_))) => seen.released += 1,
        (Life::Former, Request::Release(_), Ok(Reply::Empty)) => seen.found_nothing += 1,
        (Life::Former, Request::Release(_), Err(refused)) => {
            let fences = [Status::STALE, Status::NOT_HOLDER];
            assert!(fences.contains(&refused.status), "{message:?}: {refused:?}");
            seen.fenced += 1;
        }
        _ => panic!("{message:?} is answered with {answer:?}"),
    }
}

/// The former life holds half of the owners' addresses already, and was told so.
async fn begin(
    controller: &mut Controller,
    network: NetworkId,
    owners: &[OwnerId],
    choices: &mut Choices,
) -> Held {
    for owner in owners.iter().step_by(2) {
        let request = allocate(Life::Former, *owner);
        let message = Message { life: Life::Former, owner: *owner, request };
        controller.send(network, message, choices).await;
    }
    let told = controller.hear().await.into_iter().map(|(message, answer)| match answer {
        Ok(Reply::Allocated(got)) => (message.owner, got.first),
        other => panic!("{message:?}: {other:?}"),
    });
    told.collect()
}

/// All messages about all owners: one to three copies of each, in any order.
fn messages(owners: &[OwnerId], known: &Held, choices: &mut Choices) -> Vec<Message> {
    let mut all = Vec::new();
    for &owner in owners {
        for kind in 0..3 {
            for _ in 0..choices.below(1..4) {
                let (life, request) = match kind {
                    0 => (Life::Former, allocate(Life::Former, owner)),
                    1 => (Life::New, allocate(Life::New, owner)),
                    _ => (Life::Former, release(owner, known.get(&owner), choices)),
                };
                all.push(Message { life, owner, request });
            }
        }
    }
    for at in (1..all.len()).rev() {
        all.swap(at, choices.below(0..at as u64 + 1) as usize);
    }
    all
}

fn controller_of<'a>(
    message: &Message,
    former: &'a mut Controller,
    new: &'a mut Controller,
) -> &'a mut Controller {
    match message.life {
        Life::Former => former,
        Life::New => new,
    }
}

#[test]
fn what_a_former_life_still_sends_never_touches_what_the_new_one_holds() {
    let rounds = scale("ADDRD_ROUNDS", 20);
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("fencing");
        let site = Site::new();
        let mut server = site.start().await;
        let network = network(&site.client().await, 1, &["10.0.0.0/16"]).await;
        let mut seen = Seen::default();
        for round in 0..rounds {
            let owner = |number| OwnerId::from_u128(u128::from(round << 16 | number) + 1);
            let owners: Vec<OwnerId> = (0..OWNERS).map(owner).collect();
            let mut former = Controller::connect(&site, &mut choices).await;
            let mut new = Controller::connect(&site, &mut choices).await;
            let known = begin(&mut former, network, &owners, &mut choices).await;
            let mut before = messages(&owners, &known, &mut choices);
            let after = before.split_off(choices.below(0..before.len() as u64) as usize);
            let mut told = Held::new();
            for message in before {
                controller_of(&message, &mut former, &mut new)
                    .send(network, message, &mut choices)
                    .await;
            }
            if choices.one_in(3) {
                seen.kills += 1;
                server.kill();
                server = site.start().await;
                for controller in [&mut former, &mut new] {
                    for (message, answer) in controller.hear().await {
                        enter(&message, &answer, &mut told, &mut seen);
                    }
                    let open = std::mem::take(&mut controller.open);
                    *controller = Controller::connect(&site, &mut choices).await;
                    for message in open.into_values() {
                        controller.send(network, message, &mut choices).await;
                    }
                }
            }
            for message in after {
                controller_of(&message, &mut former, &mut new)
                    .send(network, message, &mut choices)
                    .await;
            }
            for controller in [&mut former, &mut new] {
                for (message, answer) in controller.hear().await {
                    enter(&message, &answer, &mut told, &mut seen);
                }
                assert!(controller.open.is_empty(), "everything is answered in the end");
            }
            check(&site, network, &owners, &told).await;
        }
        say(&format!("{seen:?}"));
        assert!(seen.fenced > 0 && seen.released > 0 && seen.taken_over > 0, "{seen:?}");
        server.stop().await;
        site.check_is_clean();
    });
}

/// Every owner's address is the new life's, where and as it was told.
async fn check(site: &Site, network: NetworkId, owners: &[OwnerId], told: &Held) {
    let client = site.client().await;
    let listed = client.allocations(network, AllocationFilter::default());
    let listed = listed.take(usize::MAX).await.expect("a list goes on");
    for owner in owners {
        let told = told.get(owner).expect("the new life was answered");
        let found: Vec<_> = listed.iter().filter(|one| one.owner == *owner).collect();
        let [found] = found[..] else { panic!("{owner} holds {found:?}, was told {told:?}") };
        let is = (found.address, found.revision, found.instance);
        assert_eq!(is, (told.address, told.revision, instance(Life::New, *owner)));
    }
}

/// Who gets what an owner has.
fn heir(owner: OwnerId) -> OwnerId {
    OwnerId::from_u128(owner.0.as_u128() | 1 << 100)
}

/// One to three copies of a transfer to the heir, and of each way in which the old owner would release what it was told
/// that it holds.
fn hand_overs(owners: &[OwnerId], known: &Held, choices: &mut Choices) -> Vec<Message> {
    let mut all = Vec::new();
    for (&owner, told) in owners.iter().filter_map(|owner| known.get_key_value(owner)) {
        let fences = Fences { revision: Some(told.revision), ..Fences::default() };
        let release = |target| Release { target, fences: fences.clone(), any: false };
        let transfer = Transfer {
            address: told.address,
            fences: fences.clone(),
            to_owner: Some(heir(owner)),
            to_slot: None,
            to_instance: None,
            to_project: None,
            owner_name: None,
        };
        for request in [
            Request::Transfer(Box::new(transfer)),
            Request::Release(release(Target::Key { owner, slot: Slot(0) })),
            Request::Release(release(Target::Address(told.address))),
        ] {
            let message = Message { life: Life::Former, owner, request };
            all.extend((0..choices.below(1..4)).map(|_| message.clone()));
        }
    }
    for at in (1..all.len()).rev() {
        all.swap(at, choices.below(0..at as u64 + 1) as usize);
    }
    all
}

/// What became of an owner's address, as far as answers tell.
#[derive(Debug, Default)]
struct Fate {
    /// The revision of the heir.
    given: Option<Revision>,
    is_released: bool,
    was_nobodys: bool,
}

fn note(message: &Message, answer: &Answer, fates: &mut BTreeMap<OwnerId, Fate>) {
    let fate = fates.entry(message.owner).or_default();
    match (&message.request, answer) {
        (Request::Transfer(_), Ok(Reply::Allocation(now))) => {
            assert_eq!(*fate.given.get_or_insert(now.revision), now.revision, "{message:?}");
        }
        (Request::Transfer(_), Err(refused)) => {
            assert_eq!(refused.status, Status::NOT_FOUND, "{message:?}");
            fate.was_nobodys = true;
        }
        (Request::Release(_), Ok(Reply::Released(_))) => fate.is_released = true,
        (Request::Release(_), Ok(Reply::Empty)) => {}
        (Request::Release(_), Err(refused)) => {
            assert_eq!(refused.status, Status::STALE, "{message:?}");
        }
        _ => panic!("{message:?} is answered with {answer:?}"),
    }
}

#[test]
fn what_was_transferred_is_the_heirs_whatever_the_old_owner_still_sends() {
    let rounds = scale("ADDRD_ROUNDS", 20);
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("transferring");
        let site = Site::new();
        let mut server = site.start().await;
        let network = network(&site.client().await, 1, &["10.0.0.0/16"]).await;
        let (mut given, mut released) = (0, 0);
        for round in 0..rounds {
            let owner = |number| OwnerId::from_u128(u128::from(round << 16 | number) + 1);
            let owners: Vec<OwnerId> = (0..OWNERS).map(owner).collect();
            let mut controller = Controller::connect(&site, &mut choices).await;
            let known = begin(&mut controller, network, &owners, &mut choices).await;
            let mut before = hand_overs(&owners, &known, &mut choices);
            let after = before.split_off(choices.below(0..before.len() as u64) as usize);
            let mut fates = BTreeMap::new();
            for message in before {
                controller.send(network, message, &mut choices).await;
            }
            if choices.one_in(3) {
                server.kill();
                server = site.start().await;
                for (message, answer) in controller.hear().await {
                    note(&message, &answer, &mut fates);
                }
                let open = std::mem::take(&mut controller.open);
                controller = Controller::connect(&site, &mut choices).await;
                for message in open.into_values() {
                    controller.send(network, message, &mut choices).await;
                }
            }
            for message in after {
                controller.send(network, message, &mut choices).await;
            }
            for (message, answer) in controller.hear().await {
                note(&message, &answer, &mut fates);
            }
            assert!(controller.open.is_empty(), "everything is answered in the end");
            let listed = site.client().await.allocations(network, AllocationFilter::default());
            let listed = listed.take(usize::MAX).await.expect("a list goes on");
            for (owner, fate) in &fates {
                assert!(listed.iter().all(|one| one.owner != *owner), "{owner}: {fate:?}");
                let found = listed.iter().find(|one| one.owner == heir(*owner));
                assert_eq!(found.map(|one| one.revision), fate.given, "{owner}: {fate:?}");
                let is_heirs = fate.given.is_some();
                assert!(!is_heirs || !(fate.is_released || fate.was_nobodys), "{owner}: {fate:?}");
                *if is_heirs { &mut given } else { &mut released } += 1;
            }
        }
        say(&format!("{given} given, {released} released before"));
        assert!(given > 0 && released > 0);
        server.stop().await;
        site.check_is_clean();
    });
}
