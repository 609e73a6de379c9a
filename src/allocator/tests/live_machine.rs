//! Random clusters against what truly lives: two managers with hosts of the same names, allocations that race
//! with calls, migrations, second lives, leaks, parts that are lost, doubled, late and out of order, restarts.
//! What lives is never freed; and in the end nothing else is left.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing one tells its seed.

use super::dice::Dice;
use super::reconcile::{call, live, on, world};
use super::*;
use crate::model::{Instance, Setting};
use addrd_protocol::message::{AllocateFlags, AllocationUpdate, Live, Reconcile};
use std::collections::BTreeMap;

const MANAGERS: [&str; 2] = ["east", "west"];
const HOSTS: [&str; 2] = ["n1", "n2"];
const GRACE_MS: u64 = 60_000;
/// No message is on its way for longer: a client gives up on it, and a connection ends.
const LATE_MS: u64 = 25_000;

/// Something that uses an address, or did.
#[derive(Clone, Copy, Debug)]
struct Pod {
    network: u128,
    manager: usize,
    /// Where it runs; what migrates runs here already.
    host: usize,
    instance: u64,
    alive: bool,
    /// From then on its host knows of it: the answer to its request has arrived.
    known: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
enum Message {
    Part(u128, Reconcile),
    /// Where a pod is now; sent again until it is done.
    Moved(u128),
    /// An agent says what lives on its host, in one part that arrives as soon as it is sent.
    Announced(usize, usize),
}

/// A call that a host makes.
#[derive(Debug)]
struct Asking {
    network: u128,
    parts: Vec<Reconcile>,
    tries: u64,
}

struct Clusters {
    world: World,
    dice: Dice,
    pods: BTreeMap<u128, Pod>,
    /// When each arrives.
    on_the_way: Vec<(u64, Message)>,
    asking: BTreeMap<(usize, usize), Asking>,
    calls: u64,
    released: u64,
    /// Nobody says where a pod has moved to but the host that lists it.
    is_silent: bool,
}

impl Clusters {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let workers = 1 + dice.roll(2) as usize;
        let (pods, on_the_way) = (BTreeMap::new(), Vec::new());
        let asking = BTreeMap::new();
        let (world, calls, is_silent) = (world(workers), 0, seed % 2 == 1);
        Self { world, dice, pods, on_the_way, asking, calls, released: 0, is_silent }
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0..4 => self.start(),
            4 => self.die(false),
            5 => self.die(true),
            6..8 => self.migrate(),
            8 => self.second_life(),
            9..15 => self.ask(),
            15 if self.dice.once_in(10) => self.restart(),
            _ => self.pass(),
        }
        let steps = self.dice.roll(3) as usize;
        let World { shards, at, log, .. } = &mut self.world;
        for shard in shards {
            self.released += u64::from(shard.step_reconcile(at, steps, log));
        }
        self.nobody_lost_anything();
    }

    /// A pod begins, under a new name or that of one that is gone.
    fn start(&mut self) {
        let number = u128::from(self.dice.roll(24)) + 1;
        if self.pods.get(&number).is_some_and(|pod| pod.alive) {
            return;
        }
        let (manager, host) = (self.dice.roll(2) as usize, self.dice.roll(2) as usize);
        let old = self.pods.get(&number).copied();
        // A name belongs to a manager and to a network.
        let manager = old.map_or(manager, |pod| pod.manager);
        let network = old.map_or(1 + u128::from(self.dice.roll(2)), |pod| pod.network);
        let instance = old.map_or(1, |pod| pod.instance + self.dice.roll(2));
        let known = self.world.at.tick.0 + self.dice.roll(LATE_MS);
        let pod = Pod { network, manager, host, instance, alive: true, known };
        self.take(number, pod);
        self.pods.insert(number, pod);
        // What a former life left may say another host.
        if old.is_some() {
            self.tell(number);
        }
    }

    /// Asks for the address of a pod.
    fn take(&mut self, number: u128, pod: Pod) {
        let request = Allocate {
            instance: Instance(pod.instance),
            flags: AllocateFlags { takeover: true, ..AllocateFlags::default() },
            ..on(number, MANAGERS[pod.manager], HOSTS[pod.host])
        };
        self.world.give(pod.network, request);
    }

    fn any_alive(&mut self) -> Option<u128> {
        let alive: Vec<u128> =
            self.pods.iter().filter(|(_, pod)| pod.alive).map(|(number, _)| *number).collect();
        (!alive.is_empty()).then(|| self.dice.one_of(&alive))
    }

    fn die(&mut self, properly: bool) {
        let Some(number) = self.any_alive() else { return };
        let pod = self.pods.get_mut(&number).unwrap();
        pod.alive = false;
        if properly {
            self.world.done(pod.network, Request::Release(release(number)));
        }
    }

    /// A pod runs elsewhere at once; the server learns of it later.
    fn migrate(&mut self) {
        let Some(number) = self.any_alive() else { return };
        let host = self.dice.roll(2) as usize;
        self.pods.get_mut(&number).unwrap().host = host;
        self.tell(number);
    }

    fn second_life(&mut self) {
        let Some(number) = self.any_alive() else { return };
        let pod = self.pods.get_mut(&number).unwrap();
        pod.instance += 1;
        let pod = *pod;
        self.take(number, pod);
    }

    /// The server will learn where a pod is.
    fn tell(&mut self, number: u128) {
        let pod = self.pods[&number];
        self.send(match self.is_silent {
            true => Message::Announced(pod.manager, pod.host),
            false => Message::Moved(number),
        });
    }

    fn send(&mut self, message: Message) {
        let most = self.dice.one_of(&[10, 10, 1_000, LATE_MS]);
        let arrives = self.world.at.tick.0 + self.dice.roll(most);
        self.on_the_way.push((arrives, message));
    }

    /// A host begins a call, sends what is missing of it, or gives it up.
    fn ask(&mut self) {
        let (manager, host) = (self.dice.roll(2) as usize, self.dice.roll(2) as usize);
        if !self.asking.contains_key(&(manager, host)) {
            let asking = self.list(manager, host);
            self.asking.insert((manager, host), asking);
        }
        let asking = &mut self.asking.get_mut(&(manager, host)).unwrap();
        asking.tries += 1;
        let gives_up = asking.tries > 4;
        let (network, mut parts) = (asking.network, asking.parts.clone());
        if gives_up {
            self.asking.remove(&(manager, host));
        }
        // In any order; some are lost, some come twice.
        while !parts.is_empty() {
            let part = parts.swap_remove(self.dice.roll(parts.len() as u64) as usize);
            for _ in 0..[0, 1, 1, 1, 2][self.dice.roll(5) as usize] {
                self.send(Message::Part(network, part.clone()));
            }
        }
    }

    /// What lives on a host now, as a call.
    fn list(&mut self, manager: usize, host: usize) -> Asking {
        let network = u128::from(self.dice.roll(3));
        let here = |pod: &Pod| {
            let is_asked = network == 0 || network == pod.network;
            let is_known = pod.known <= self.world.at.tick.0;
            pod.alive && is_known && (pod.manager, pod.host) == (manager, host) && is_asked
        };
        let all: Vec<Live> = (self.pods.iter().filter(|(_, pod)| here(pod)))
            .map(|(number, pod)| Live { instance: Instance(pod.instance), ..live(*number) })
            .collect();
        self.calls += 1;
        let parts = 1 + self.dice.roll(3) as u16;
        let part = |part: u16| {
            let mine = all
                .iter()
                .enumerate()
                .filter(|(at, _)| at % usize::from(parts) == usize::from(part));
            let mine: Vec<Live> = mine.map(|(_, one)| *one).collect();
            Reconcile { part, parts, ..call(self.calls, MANAGERS[manager], HOSTS[host], &mine) }
        };
        Asking { network, parts: (0..parts).map(part).collect(), tries: 0 }
    }

    /// Time passes, and what was on its way arrives.
    fn pass(&mut self) {
        let ms = [20, 2_000, 20_000, 61_000][self.dice.roll(4) as usize];
        let end = self.world.at.tick.0 + self.dice.roll(ms);
        while let Some(next) = self.next_arrival(end) {
            let (arrives, message) = self.on_the_way.swap_remove(next);
            self.world.wait(arrives.saturating_sub(self.world.at.tick.0));
            self.arrive(message);
            self.nobody_lost_anything();
        }
        self.world.wait(end.saturating_sub(self.world.at.tick.0));
    }

    fn next_arrival(&self, end: u64) -> Option<usize> {
        let due = self.on_the_way.iter().enumerate().filter(|(_, (at, _))| *at <= end);
        due.min_by_key(|(_, (at, _))| *at).map(|(place, _)| place)
    }

    fn arrive(&mut self, message: Message) {
        match message {
            Message::Moved(number) => self.moved(number),
            Message::Announced(manager, host) => self.announced(manager, host),
            Message::Part(network, part) => {
                let request = Request::Reconcile(Box::new(part.clone()));
                match self.world.apply(network, &request) {
                    Ok((_, Reply::Reconciled(told))) if told.complete => {
                        self.asking.retain(|_, asking| asking.parts[0].call != part.call);
                    }
                    Ok(_) => {}
                    Err(refused) => {
                        assert_eq!(refused.status, Status::RECONCILE_STALE, "{refused:?}");
                    }
                }
            }
        }
    }

    /// All that lives on a host now, known or not: who announces waits for no answer.
    fn announced(&mut self, manager: usize, host: usize) {
        let here = |pod: &Pod| pod.alive && (pod.manager, pod.host) == (manager, host);
        let pods = self.pods.iter().filter(|(_, pod)| here(pod));
        let whole: Vec<Live> = pods.map(|(number, _)| live(*number)).collect();
        self.calls += 1;
        let request = call(self.calls, MANAGERS[manager], HOSTS[host], &whole);
        self.world.reconcile(0, &request);
    }

    fn moved(&mut self, number: u128) {
        let pod = self.pods[&number];
        let update = AllocationUpdate {
            target: Target::Key { owner: owner(number), slot: Slot(0) },
            fences: Fences { instance: Some(Instance(pod.instance)), ..Fences::default() },
            label: Setting::Unset,
            host: Setting::Value(text(HOSTS[pod.host])),
            manager_name: Setting::Unset,
            owner_name: Setting::Unset,
            lease_ms: Setting::Unset,
            follow_host: None,
        };
        let answer = self.world.apply(pod.network, &Request::AllocationUpdate(Box::new(update)));
        assert!(answer.is_ok() || !pod.alive, "{answer:?}");
    }

    /// What is on its way is lost, but for updates, which are sent again.
    fn restart(&mut self) {
        self.on_the_way.retain(|(_, message)| !matches!(message, Message::Part(..)));
        if self.is_silent {
            // Agents that lose their server say anew what there is.
            for (manager, host) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                self.send(Message::Announced(manager, host));
            }
        }
        let workers = 1 + self.dice.roll(2) as usize;
        let settings = |n: usize| ShardSettings { seed: n as u64 + 50, records_max: 1 << 20 };
        let numbered = |n| Shard::numbered(settings(n), n as u16);
        let mut again: Vec<Shard> = (0..workers).map(numbered).collect();
        for effect in &self.world.log.effects {
            let of =
                |network: u128| worker_of(ProjectId::DEFAULT, network_id(network), workers as u16);
            let network = self.world.network_of(effect);
            again[usize::from(of(network).0)].absorb(effect).unwrap();
        }
        self.world.shards = again;
    }

    fn nobody_lost_anything(&mut self) {
        let alive: Vec<(u128, u128)> = (self.pods.iter().filter(|(_, pod)| pod.alive))
            .map(|(number, pod)| (*number, pod.network))
            .collect();
        for (number, network) in alive {
            assert!(self.world.has(network, number), "{number} lives: {:?}", self.pods[&number]);
        }
    }

    /// Everybody says what lives, twice: then nothing else is left.
    fn end(&mut self) {
        while let Some(next) = self.next_arrival(u64::MAX) {
            let (arrives, message) = self.on_the_way.swap_remove(next);
            self.world.wait(arrives.saturating_sub(self.world.at.tick.0));
            self.arrive(message);
        }
        for _ in 0..3 {
            for (manager, host) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let here = |pod: &Pod| pod.alive && (pod.manager, pod.host) == (manager, host);
                let pods = self.pods.iter().filter(|(_, pod)| here(pod));
                let whole: Vec<Live> = pods.map(|(number, _)| live(*number)).collect();
                self.calls += 1;
                let request = call(self.calls, MANAGERS[manager], HOSTS[host], &whole);
                self.world.reconcile(0, &request);
            }
            self.world.wait(GRACE_MS);
            self.released += u64::from(self.world.release_suspects());
        }
        self.nobody_lost_anything();
        let alive = self.pods.values().filter(|pod| pod.alive).count() as u64;
        let held: u64 = self.world.shards.iter().map(Shard::allocations).sum();
        assert_eq!(held, alive, "what died is released in the end");
        self.world.check();
    }
}

impl World {
    /// The network of an effect.
    fn network_of(&self, effect: &Effect) -> u128 {
        let handle = match effect {
            Effect::NetworkPut(row) => row.network,
            Effect::SubnetPut(row) => row.network,
            Effect::AllocationPut(row) => row.place.network,
            Effect::AllocationGone { place, .. } => place.network,
            other => panic!("{other:?}"),
        };
        let of = |effect: &Effect| match effect {
            Effect::NetworkPut(row) if row.network == handle => Some(row.id.0.as_u128()),
            _ => None,
        };
        self.log.effects.iter().find_map(of).unwrap()
    }
}

#[test]
fn what_lives_is_never_freed_and_what_died_is_in_the_end() {
    let given = std::env::var("ADDRD_PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases: u64 = given.unwrap_or(300);
    let mut released = 0;
    for seed in 0..cases {
        let ran = std::panic::catch_unwind(|| {
            let mut clusters = Clusters::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (0..300).for_each(|_| clusters.step());
            clusters.end();
            clusters.released
        });
        match ran {
            Ok(count) => released += count,
            Err(_) => panic!("seed {seed}, see above"),
        }
    }
    assert!(released > cases * 3, "{released} were released: the test shows something");
}
