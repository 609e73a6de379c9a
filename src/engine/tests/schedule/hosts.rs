//! A cluster of a schedule: pods on two hosts that start, move and vanish, and agents that list what lives in parts, of which
//! some are lost, some come twice and some late, with dry runs in between. What lives keeps its address; what is dead is
//! gone after two complete calls behind the last crash.

use super::*;
use crate::model::Instance;
use addrd_protocol::Family;
use addrd_protocol::message::{
    AllocateExtras, AllocateFlags, AllocationGet, AllocationState, AllocationUpdate, Live,
    Reconcile, Transfer,
};
use addrd_protocol::prefix::number_of;
use std::collections::BTreeMap;

/// The network of the cluster.
const HOSTED: u128 = 8;
/// Owners from this number on are its pods.
const FIRST_OWNER: u128 = 700;
const PODS: u64 = 10;
const MANAGER: &str = "cni";
const HOSTS: [&str; 2] = ["n1", "n2"];
/// Longer than a request waits for its decision, which the clock of a stage allows half a standstill.
const GRACE_MS: u64 = 5_000;
/// From then on an agent sends no part of a list.
const LATE_MS: u64 = 1_000;
/// Calls of a dry run are so far ahead: had one any effect, each later call would be refused.
const DRY_AHEAD: u64 = 1_000_000;

/// What is held: address and revision.
type Has = (u128, Revision);

#[derive(Debug, Default)]
struct Pod {
    /// What it has for certain, while it lives.
    has: Option<Has>,
    host: usize,
    instance: u64,
    is_asking: bool,
    /// The server is to be told where it runs.
    must_tell: bool,
    /// Who is to have its address, once that is answered.
    heir: Option<u128>,
}

#[derive(Debug, Default)]
struct Agent {
    call: u64,
    /// The last call about the network, and about all.
    last: BTreeMap<u128, u64>,
    asking: Option<Asking>,
    /// Parts that arrive when a later call has begun.
    late: Vec<(u64, u128, Reconcile)>,
    in_flight: u64,
}

/// A call that is being made.
#[derive(Clone, Debug)]
struct Asking {
    network: u128,
    made: u64,
    parts: Vec<Reconcile>,
}

#[derive(Clone, Debug)]
enum Asked {
    Start(u128),
    Release(u128),
    Tell(u128),
    Look(u128, Option<Has>),
    Give(u128, u128),
    Part(usize, u64, bool),
    Nothing,
}

#[derive(Default)]
pub(super) struct Hosts {
    desk: Arc<Desk>,
    next_id: u64,
    waiting: BTreeMap<u64, Asked>,
    pods: BTreeMap<u128, Pod>,
    agents: [Agent; HOSTS.len()],
    now: u64,
    /// How much was released by calls.
    pub(super) released: u64,
}

impl Hosts {
    /// The network, again in each life; and agents that lose their server say anew what there is.
    pub(super) fn set_up(&mut self, engine: &Engine) {
        self.post(engine, create_network(0, HOSTED), Asked::Nothing);
        self.post(engine, create_subnet(0, HOSTED, "10.8.0.0/27"), Asked::Nothing);
        (0..HOSTS.len()).for_each(|host| self.announce(engine, host));
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn post(&mut self, engine: &Engine, operation: Operation, asked: Asked) {
        self.next_id += 1;
        self.waiting.insert(self.next_id, asked);
        send(engine, &self.desk, vec![Operation { request_id: self.next_id, ..operation }]);
    }

    /// A pod or an agent does something.
    pub(super) fn send(&mut self, engine: &Engine, random: &mut Random) {
        match random.below(5) {
            0 | 1 => self.pod_acts(engine, random),
            _ => self.agent_acts(engine, random),
        }
    }

    fn pod_acts(&mut self, engine: &Engine, random: &mut Random) {
        let owner = FIRST_OWNER + u128::from(random.below(PODS));
        let pod = self.pods.entry(owner).or_default();
        if pod.is_asking {
            return;
        }
        let Some((_, revision)) = pod.has else {
            if random.below(4) == 0 {
                (pod.instance, pod.host) = (pod.instance + 1, random.below(2) as usize);
                // What a former life left may say another host.
                (pod.is_asking, pod.must_tell) = (true, true);
                let operation = start(owner, pod);
                self.post(engine, operation, Asked::Start(owner));
            }
            return;
        };
        match random.below(10) {
            _ if pod.must_tell => {
                pod.is_asking = true;
                let operation = tell(owner, pod);
                self.post(engine, operation, Asked::Tell(owner));
            }
            // It vanishes without a word.
            0 | 1 => pod.has = None,
            2 => {
                (pod.has, pod.is_asking) = (None, true);
                let operation = super::requests::release_of(HOSTED, owner, revision);
                self.post(engine, operation, Asked::Release(owner));
            }
            3 => self.give(engine, owner, FIRST_OWNER + u128::from(random.below(PODS))),
            4 => (pod.host, pod.must_tell) = (1 - pod.host, true),
            // Nobody says that it moved but the host where it is now.
            5 => {
                pod.host = 1 - pod.host;
                let host = pod.host;
                self.announce(engine, host);
            }
            _ => {
                let asked = Asked::Look(owner, pod.has);
                self.post(engine, look(owner), asked);
            }
        }
    }

    /// A pod goes on as another one, which has its address from then on.
    fn give(&mut self, engine: &Engine, owner: u128, heir: u128) {
        let to = self.pods.entry(heir).or_default();
        if heir == owner || to.is_asking || to.has.is_some() {
            return;
        }
        to.is_asking = true;
        to.instance += 1;
        let to_instance = Some(Instance(to.instance));
        let pod = self.pods.get_mut(&owner).expect("it gives");
        let Some((address, revision)) = pod.has else { return };
        (pod.is_asking, pod.heir) = (true, Some(heir));
        let transfer = Transfer {
            address: Family::V4.address(address).expect("it is of IPv4"),
            fences: Fences { revision: Some(revision), ..Fences::default() },
            to_owner: Some(OwnerId::from_u128(heir)),
            to_slot: None,
            to_instance,
            to_project: None,
            owner_name: None,
        };
        let request = Request::Transfer(Box::new(transfer));
        self.post(
            engine,
            operation(0, HOSTED, Opcode::TRANSFER, request),
            Asked::Give(owner, heir),
        );
    }

    /// What was given is the heir's now, where the giver ran.
    fn given(&mut self, owner: u128, heir: u128, has: Has) {
        let pod = self.pods.get_mut(&owner).expect("it gave");
        let (before, host) = (pod.has.take(), pod.host);
        assert_eq!(before.map(|had| had.0), Some(has.0), "{owner} gave {heir} another address");
        let to = self.pods.get_mut(&heir).expect("it was given");
        (to.has, to.host) = (Some(has), host);
    }

    fn agent_acts(&mut self, engine: &Engine, random: &mut Random) {
        let host = random.below(2) as usize;
        if random.below(6) == 0 {
            let call = self.agents[host].call + DRY_AHEAD;
            let dry = Reconcile { dry_run: true, ..call_of(host, call, Vec::new()) };
            self.post(engine, part_of(0, dry), Asked::Nothing);
        }
        if self.agents[host].in_flight > 0 {
            return;
        }
        let now = self.now;
        let asking = match self.agents[host].asking.take() {
            Some(asking) if now - asking.made <= LATE_MS => asking,
            _ => {
                let network = [0, HOSTED][random.below(2) as usize];
                self.list(host, network, 1 + random.below(3) as usize)
            }
        };
        let made = asking.made;
        self.agents[host].asking = Some(asking.clone());
        let mut parts = asking.parts;
        while !parts.is_empty() {
            let part = parts.swap_remove(random.below(parts.len() as u64) as usize);
            for _ in 0..[0, 1, 1, 1, 2][random.below(5) as usize] {
                match random.below(10) {
                    0 => self.agents[host].late.push((made, asking.network, part.clone())),
                    _ => self.part(engine, host, asking.network, part.clone()),
                }
            }
        }
        let late = std::mem::take(&mut self.agents[host].late);
        let (older, own): (Vec<_>, Vec<_>) = late.into_iter().partition(|late| late.0 < made);
        self.agents[host].late = own;
        for (_, network, part) in older.into_iter().filter(|late| now - late.0 <= LATE_MS) {
            self.part(engine, host, network, part);
        }
    }

    fn part(&mut self, engine: &Engine, host: usize, network: u128, part: Reconcile) {
        let agent = &mut self.agents[host];
        agent.in_flight += 1;
        let is_stale = agent.last.get(&network).is_some_and(|last| *last > part.call);
        let asked = Asked::Part(host, part.call, is_stale);
        self.post(engine, part_of(network, part), asked);
    }

    /// What lives on a host now, as a call.
    fn list(&mut self, host: usize, network: u128, parts: usize) -> Asking {
        let here = self.pods.iter().filter(|(_, pod)| pod.has.is_some() && pod.host == host);
        let live: Vec<Live> = here.map(|(owner, pod)| entry(*owner, pod.instance)).collect();
        let agent = &mut self.agents[host];
        agent.call += 1;
        agent.last.insert(network, agent.call);
        let part = |part: usize| {
            let mine = live.iter().skip(part).step_by(parts).copied().collect();
            let call = call_of(host, agent.call, mine);
            Reconcile { part: part as u16, parts: parts as u16, ..call }
        };
        Asking { network, made: self.now, parts: (0..parts).map(part).collect() }
    }

    /// Says at once what lives on a host, and gives up what was begun.
    fn announce(&mut self, engine: &Engine, host: usize) {
        let asking = self.list(host, 0, 1);
        (self.agents[host].asking, self.agents[host].late) = (None, Vec::new());
        for part in asking.parts {
            self.part(engine, host, 0, part);
        }
    }

    /// Takes what was answered, and checks it.
    pub(super) fn take_answers(&mut self, now: Tick) {
        self.now = now.0;
        let count = self.desk.frames.lock().unwrap().len();
        for (id, status, reply) in self.desk.take(count) {
            let asked = self.waiting.remove(&id).expect("answered once");
            let what = format!("{asked:?} at {now:?} got {status}, {reply:?}");
            match (asked, status, reply) {
                (Asked::Nothing, ..) => {}
                (Asked::Start(owner), Status::OK, Some(Reply::Allocated(got))) => {
                    let place = (number_of(&got.first.address), got.first.revision);
                    let mut others = self.pods.values().filter_map(|pod| pod.has);
                    assert!(others.all(|has| has.0 != place.0), "two live there: {what}");
                    let pod = self.pods.get_mut(&owner).expect("it asked");
                    (pod.has, pod.is_asking) = (Some(place), false);
                }
                (Asked::Release(owner), Status::OK | Status::NOT_HELD, _) => {
                    self.pods.get_mut(&owner).expect("it asked").is_asking = false;
                }
                (Asked::Tell(owner), Status::OK, Some(Reply::Allocation(is))) => {
                    let pod = self.pods.get_mut(&owner).expect("it asked");
                    assert_eq!(pod.has, Some((number_of(&is.address), is.revision)), "{what}");
                    (pod.is_asking, pod.must_tell) = (false, false);
                }
                (Asked::Look(owner, had), status, reply) => {
                    let found = match (status, reply) {
                        (Status::OK, Some(Reply::Allocation(is))) => {
                            Some((number_of(&is.address), is.revision))
                        }
                        _ => None,
                    };
                    // It may have ended since it was asked for.
                    let pod = self.pods.get(&owner);
                    let lives = pod.is_some_and(|pod| pod.has == had && pod.heir.is_none());
                    assert!(!lives || found == had, "{what}");
                }
                (Asked::Give(owner, heir), status, reply) => {
                    for one in [owner, heir] {
                        self.pods.get_mut(&one).expect("it was asked of").is_asking = false;
                    }
                    self.pods.get_mut(&owner).expect("it gives").heir = None;
                    match (status, reply) {
                        (Status::OK, Some(Reply::Allocation(is))) => {
                            self.given(owner, heir, (number_of(&is.address), is.revision));
                        }
                        // What a former life of it left.
                        (Status::KEY_IN_USE, _) => {}
                        _ => panic!("{what}"),
                    }
                }
                (Asked::Part(host, call, _), Status::OK, Some(Reply::Reconciled(told))) => {
                    let agent = &mut self.agents[host];
                    agent.in_flight -= 1;
                    let own = agent.asking.as_ref().is_some_and(|own| own.parts[0].call == call);
                    if told.complete && own {
                        agent.asking = None;
                    }
                }
                (Asked::Part(host, _, true), Status::RECONCILE_STALE, _) => {
                    self.agents[host].in_flight -= 1;
                }
                _ => panic!("{what}"),
            }
        }
    }

    /// A life ends: what its workers released because of calls.
    pub(super) fn count(&mut self, stage: &Stage) {
        let figures = stage.engine.figures();
        let of = |one: &figures::WorkerSnapshot| one.scalars[Scalar::SuspectsReleased as usize];
        self.released += figures.deciding.iter().map(of).sum::<u64>();
    }

    /// The process is gone, and with it every call.
    pub(super) fn cut_off(&mut self) {
        self.waiting.clear();
        self.desk = Arc::default();
        for agent in &mut self.agents {
            (agent.asking, agent.late, agent.in_flight) = (None, Vec::new(), 0);
        }
    }

    /// What lives must be there. What had no answer is looked at.
    pub(super) fn recovered(&mut self, whole: &Whole) {
        let rows = held(whole);
        let gifts: Vec<_> = self
            .pods
            .iter_mut()
            .filter_map(|(owner, pod)| {
                let heir = pod.heir.take()?;
                Some((*owner, heir))
            })
            .collect();
        for (owner, heir) in gifts {
            let had = self.pods[&owner].has.map(|has| has.0);
            let is = rows.get(&heir).filter(|((address, _), _)| Some(*address) == had);
            if let (false, Some((has, instance))) = (rows.contains_key(&owner), is) {
                assert_eq!(*instance, self.pods[&heir].instance, "{owner} gave to {heir}");
                self.given(owner, heir, *has);
            }
        }
        for (owner, pod) in &mut self.pods {
            let is = rows.get(owner).copied();
            if let Some(has) = pod.has {
                assert_eq!(is, Some((has, pod.instance)), "{owner} lives: {pod:?}");
            } else if let (true, true, Some((has, instance))) = (pod.is_asking, pod.must_tell, is) {
                // It began, or its former life is there still: it goes on as what it finds.
                (pod.has, pod.instance) = (Some(has), instance);
            }
            pod.is_asking = false;
        }
        let unknown = rows.keys().find(|owner| !self.pods.contains_key(owner));
        assert_eq!(unknown, None, "nobody asked for it");
    }

    /// What lives is there.
    pub(super) fn check(&self, whole: &Whole) {
        let rows = held(whole);
        for (owner, pod) in self.pods.iter().filter(|(_, pod)| pod.has.is_some()) {
            let is = rows.get(owner).map(|(has, _)| *has);
            assert_eq!(is, pod.has, "{owner} lives: {pod:?}");
        }
    }

    /// All hosts say twice what lives on them, with the grace in between: nothing else is left. No standstill comes of the
    /// wait, which would make them begin anew.
    pub(super) fn end(&mut self, stage: &mut Stage) {
        self.set_up(&stage.engine);
        for _ in 0..2 {
            stage.settle().expect("nothing fails any more");
            self.take_answers(stage.clock.tick());
            for _ in 0..=GRACE_MS / 1_000 {
                stage.clock.advance(1_000);
                stage.settle().expect("nothing fails any more");
            }
            (0..HOSTS.len()).for_each(|host| self.announce(&stage.engine, host));
            stage.settle().expect("nothing fails any more");
            self.take_answers(stage.clock.tick());
        }
        let lives = self.pods.iter();
        let lives = lives.filter_map(|(owner, pod)| Some((*owner, (pod.has?, pod.instance))));
        assert_eq!(held(&stage.whole()), lives.collect(), "what died is gone, and nothing else");
    }
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn entry(owner: u128, instance: u64) -> Live {
    let owner = OwnerId::from_u128(owner);
    Live { owner, slot: Slot(0), instance: Instance(instance) }
}

/// A call of one part.
fn call_of(host: usize, call: u64, live: Vec<Live>) -> Reconcile {
    let (manager, host) = (text(MANAGER), text(HOSTS[host]));
    let grace_ms = GRACE_MS as u32;
    Reconcile { manager, host, call, part: 0, parts: 1, grace_ms, dry_run: false, live }
}

fn part_of(network: u128, part: Reconcile) -> Operation {
    operation(0, network, Opcode::RECONCILE, Request::Reconcile(Box::new(part)))
}

fn start(owner: u128, pod: &Pod) -> Operation {
    let mut operation = allocate(0, HOSTED, owner);
    if let Request::Allocate(body) = &mut operation.request {
        let (manager, host) = (Some(text(MANAGER)), Some(text(HOSTS[pod.host])));
        body.extras = Some(Box::new(AllocateExtras { manager, host, ..Default::default() }));
        body.instance = Instance(pod.instance);
        body.flags = AllocateFlags { takeover: true, ..AllocateFlags::default() };
    }
    operation
}

fn tell(owner: u128, pod: &Pod) -> Operation {
    let update = AllocationUpdate {
        target: Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) },
        fences: Fences { instance: Some(Instance(pod.instance)), ..Fences::default() },
        label: Setting::Unset,
        host: Setting::Value(text(HOSTS[pod.host])),
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    };
    let request = Request::AllocationUpdate(Box::new(update));
    operation(0, HOSTED, Opcode::ALLOCATION_UPDATE, request)
}

fn look(owner: u128) -> Operation {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    let request = Request::AllocationGet(Box::new(AllocationGet { target }));
    operation(0, HOSTED, Opcode::ALLOCATION_GET, request)
}

/// What the network's owners have, and which life of each.
fn held(whole: &Whole) -> BTreeMap<u128, (Has, u64)> {
    let id = NetworkId::from_u128(HOSTED);
    let networks = &whole.state.networks;
    let Some((network, _)) = networks.iter().find(|(row, _)| row.id == id) else {
        return BTreeMap::new();
    };
    let subnet = whole.state.subnets.iter().find(|(row, _)| row.network == network.network);
    let base = subnet.map_or(0, |(row, _)| row.prefix.base());
    let own = whole.state.allocations.iter().filter(|row| {
        row.place.network == network.network && row.state == AllocationState::Allocated
    });
    own.map(|row| {
        let has = (base + row.place.offset, row.revision);
        (row.owner.0.as_u128(), (has, row.instance.0))
    })
    .collect()
}
