//! Hosts of a schedule that have leases, and what follows them in two networks, so with more than one worker: begun,
//! renewed, ended, left alone. While a lease is certain, so is what follows its life, also across restarts; when
//! nobody renews it any more, all of it ends.

use super::requests::release_of;
use super::*;
use crate::engine::tests::stage::GRACE_MS;
use crate::model::AllocationRow;
use addrd_protocol::message::{
    AllocateExtras, AllocationGet, AllocationState, EndHost, OnEnd, RenewHost,
};
use addrd_protocol::prefix::number_of;
use std::collections::BTreeMap;

/// The networks of what follows.
const FOLLOWED: [u128; 2] = [9, 10];
/// Owners from this number on are of the first host, and so on.
const FIRST_OWNER: u128 = 800;
const OWNERS: u64 = 3;
const HOSTS: [&str; 2] = ["l1", "l2"];
const MANAGER: &str = "lets";
/// Always the same: a renewal never makes a lease shorter, ms.
const LEASE_MS: u64 = 2_500;

/// Network and owner.
type Key = (u128, u128);
/// Address and revision.
type Has = (u128, Revision);

#[derive(Clone, Copy, Debug)]
enum Asked {
    Begin(usize),
    Renew(usize),
    End(usize),
    /// With the count of what ended lives of its host before.
    Follow(Key, u64),
    Release(Key),
    Look(Key, Option<Has>),
    Nothing,
}

#[derive(Debug, Default)]
struct Host {
    /// The last number that it began a life with.
    life: u64,
    /// Its lease goes on for certain until then.
    sure_until: u64,
    /// Lives of it that it ended or began.
    turns: u64,
    is_asking: bool,
    /// What it asks for ends the present, or began it.
    is_turning: bool,
}

#[derive(Debug, Default)]
struct Follower {
    has: Option<Has>,
    /// The count of its host's turns when it began to follow; another one = it follows nothing for certain.
    turns: Option<u64>,
    is_asking: bool,
    /// It is to be released.
    lets_go: bool,
}

#[derive(Default)]
pub(super) struct Followers {
    desk: Arc<Desk>,
    next_id: u64,
    waiting: BTreeMap<u64, (Asked, u64)>,
    hosts: [Host; HOSTS.len()],
    followers: BTreeMap<Key, Follower>,
    /// The hosts' clock goes on while the server's stands: what is to be added to the server's.
    ahead_ms: u64,
    now: u64,
    /// How often something was seen that followed for certain.
    pub(super) seen: u64,
}

fn host_of((_, owner): Key) -> usize {
    ((owner - FIRST_OWNER) / u128::from(OWNERS)) as usize
}

impl Followers {
    /// The networks, again in each life.
    pub(super) fn set_up(&mut self, engine: &Engine) {
        for network in FOLLOWED {
            self.post(engine, create_network(0, network), Asked::Nothing);
            self.post(engine, create_subnet(0, network, "10.9.0.0/28"), Asked::Nothing);
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn post(&mut self, engine: &Engine, operation: Operation, asked: Asked) {
        self.next_id += 1;
        self.waiting.insert(self.next_id, (asked, self.now));
        send(engine, &self.desk, vec![Operation { request_id: self.next_id, ..operation }]);
    }

    pub(super) fn send(&mut self, engine: &Engine, random: &mut Random) {
        let which = random.below(HOSTS.len() as u64) as usize;
        if random.below(3) == 0 {
            return self.host_acts(engine, which, random.below(8));
        }
        let owner = random.below(OWNERS * HOSTS.len() as u64);
        let network = FOLLOWED[random.below(2) as usize];
        self.follower_acts(engine, (network, FIRST_OWNER + u128::from(owner)), random);
    }

    fn host_acts(&mut self, engine: &Engine, which: usize, what: u64) {
        let now = self.now;
        let host = &mut self.hosts[which];
        if host.is_asking {
            return;
        }
        host.is_asking = true;
        let is_there = host.sure_until > now;
        match what {
            0 if is_there => {
                (host.is_turning, host.turns) = (true, host.turns + 1);
                host.sure_until = now;
                self.post(engine, end(which), Asked::End(which));
            }
            2.. if is_there => self.post(engine, renew(which, 0), Asked::Renew(which)),
            1 | 2 => {
                (host.is_turning, host.turns) = (true, host.turns + 1);
                (host.sure_until, host.life) = (now, host.life + 1);
                let begin = host.life;
                self.post(engine, renew(which, begin), Asked::Begin(which));
            }
            _ => host.is_asking = false,
        }
    }

    fn follower_acts(&mut self, engine: &Engine, key: Key, random: &mut Random) {
        let host = &self.hosts[host_of(key)];
        let (turns, is_turning) = (host.turns, host.is_turning);
        let follower = self.followers.entry(key).or_default();
        let has = follower.has;
        match (has, random.below(6)) {
            _ if follower.is_asking => {}
            (Some((_, revision)), 0) => {
                (follower.is_asking, follower.lets_go) = (true, true);
                self.post(engine, release_of(key.0, key.1, revision), Asked::Release(key));
            }
            (Some(_), _) => self.post(engine, look(key), Asked::Look(key, has)),
            // Which life it would follow then is not known.
            (None, _) if is_turning => {}
            (None, _) => {
                follower.is_asking = true;
                self.post(engine, follow(key), Asked::Follow(key, turns));
            }
        }
    }

    /// What a key has for certain.
    fn sure(&self, key: Key) -> Option<Has> {
        let (follower, host) = (self.followers.get(&key)?, &self.hosts[host_of(key)]);
        let is_sure = follower.turns == Some(host.turns) && host.sure_until > self.now;
        follower.has.filter(|_| is_sure && !follower.lets_go)
    }

    /// Takes what was answered, and checks it.
    pub(super) fn take_answers(&mut self, now: Tick) {
        self.now = self.ahead_ms + now.0;
        let count = self.desk.frames.lock().unwrap().len();
        for (id, status, reply) in self.desk.take(count) {
            let (asked, at) = self.waiting.remove(&id).expect("answered once");
            let what = format!("{at} to {}: {asked:?}, {status}, {reply:?}", self.now);
            match asked {
                Asked::Begin(which) | Asked::Renew(which) | Asked::End(which) => {
                    self.host_answered(which, asked, at, (status, reply), &what);
                }
                Asked::Follow(key, turns) => self.followed(key, turns, (status, reply), &what),
                Asked::Release(key) => {
                    let follower = self.followers.get_mut(&key).expect("it asked");
                    (follower.is_asking, follower.lets_go, follower.has) = (false, false, None);
                    assert!(matches!(status, Status::OK | Status::NOT_HELD), "{what}");
                }
                Asked::Look(key, had) => {
                    let found = match reply {
                        Some(Reply::Allocation(is)) => Some((number_of(&is.address), is.revision)),
                        _ => None,
                    };
                    if let Some(has) = self.sure(key).filter(|has| Some(*has) == had) {
                        self.seen += 1;
                        assert_eq!(found, Some(has), "{what}");
                    }
                    let follower = self.followers.get_mut(&key).expect("it looked");
                    if found.is_none() && follower.has == had && !follower.is_asking {
                        follower.has = None;
                    }
                }
                Asked::Nothing => {}
            }
        }
    }

    fn host_answered(
        &mut self,
        which: usize,
        asked: Asked,
        at: u64,
        (status, reply): (Status, Option<Reply>),
        what: &str,
    ) {
        let now = self.now;
        let host = &mut self.hosts[which];
        (host.is_asking, host.is_turning) = (false, false);
        match (asked, status, reply) {
            (Asked::Begin(_) | Asked::Renew(_), Status::OK, Some(Reply::RenewedHost(got))) => {
                assert_eq!(got.life, host.life, "{what}");
                host.sure_until = at + got.time_left_ms;
            }
            (Asked::Renew(_), Status::NO_HOST_LEASE | Status::EXPIRED, _) => {
                assert!(host.sure_until <= now, "it has a lease: {what}");
            }
            (Asked::End(_), Status::OK, Some(Reply::EndedHost(got))) => {
                assert!(!got.more, "{what}");
            }
            // It had run out by then.
            (Asked::End(_), Status::NO_HOST_LEASE, _) => {}
            _ => panic!("{what}"),
        }
    }

    fn followed(
        &mut self,
        key: Key,
        turns: u64,
        (status, reply): (Status, Option<Reply>),
        what: &str,
    ) {
        let host = &self.hosts[host_of(key)];
        let is_same = host.turns == turns && !host.is_turning;
        let is_there = is_same && host.sure_until > self.now;
        match (status, reply) {
            (Status::OK, Some(Reply::Allocated(got))) => {
                let got = got.first;
                let has = (number_of(&got.address), got.revision);
                let others =
                    self.followers.keys().filter(|other| other.0 == key.0 && **other != key);
                let taken = others.filter_map(|other| self.sure(*other)).find(|is| is.0 == has.0);
                assert_eq!(taken, None, "two have it: {what}");
                let follower = self.followers.get_mut(&key).expect("it asked");
                // What was there already may be of a former life.
                let follows = (is_same && !got.repeated).then_some(turns);
                (follower.has, follower.turns) = (Some(has), follows);
            }
            (Status::NO_HOST_LEASE | Status::HOST_LEASE_OVER, _) => {
                assert!(!is_there, "there is a lease: {what}");
            }
            _ => panic!("{what}"),
        }
        self.followers.get_mut(&key).expect("it asked").is_asking = false;
    }

    /// The process is gone.
    pub(super) fn cut_off(&mut self) {
        self.waiting.clear();
        self.desk = Arc::default();
    }

    /// What is certain must be there; what is not is looked at.
    pub(super) fn recovered(&mut self, whole: &Whole, now: Tick) {
        // A start begins a tick behind the last record, where the clock may not have been yet: what is ahead never falls.
        self.ahead_ms = self.ahead_ms.max(self.now.saturating_sub(now.0));
        self.now = self.ahead_ms + now.0;
        let rows = held(whole);
        let keys: Vec<Key> = self.followers.keys().copied().collect();
        for key in keys {
            let (found, sure) = (rows.get(&key).copied(), self.sure(key));
            assert!(sure.is_none() || found == sure, "{key:?} has {found:?}, not {sure:?}");
            let follower = self.followers.get_mut(&key).expect("it is there");
            if sure.is_none() || found != follower.has {
                (follower.has, follower.turns) = (found, None);
            }
            (follower.is_asking, follower.lets_go) = (false, false);
        }
        let unknown = rows.keys().find(|key| !self.followers.contains_key(key));
        assert_eq!(unknown, None, "nobody asked for it");
        for host in &mut self.hosts {
            // Whether a life began or ended is not known: the next one will.
            host.turns += u64::from(host.is_turning);
            (host.is_asking, host.is_turning) = (false, false);
        }
    }

    /// Nobody renews anything any more: all that follows ends. No standstill comes of the wait, which would let it go on.
    pub(super) fn end(&mut self, stage: &mut Stage) {
        self.set_up(&stage.engine);
        for which in 0..HOSTS.len() {
            // Over a lease that reports nothing ends: each is made one that releases.
            let life = self.hosts[which].life + 1;
            self.post(&stage.engine, renew(which, life), Asked::Nothing);
        }
        for _ in 0..=(LEASE_MS + GRACE_MS) / 1_000 + 1 {
            stage.settle().expect("nothing fails any more");
            stage.clock.advance(1_000);
        }
        stage.settle().expect("nothing fails any more");
        assert_eq!(held(&stage.whole()), BTreeMap::new(), "it ends with its host");
    }
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn renew(which: usize, begin: u64) -> Operation {
    let (manager, host) = (text(MANAGER), text(HOSTS[which]));
    let on_end = OnEnd::Release;
    let body = RenewHost { manager, host, lease_ms: LEASE_MS, on_end, begin, life: 0 };
    operation(0, 0, Opcode::RENEW_HOST, Request::RenewHost(Box::new(body)))
}

fn end(which: usize) -> Operation {
    let (manager, host) = (text(MANAGER), text(HOSTS[which]));
    let body = EndHost { manager, host, on_end: OnEnd::Release, life: 0 };
    operation(0, 0, Opcode::END_HOST, Request::EndHost(Box::new(body)))
}

fn follow(key: Key) -> Operation {
    let mut operation = allocate(0, key.0, key.1);
    if let Request::Allocate(body) = &mut operation.request {
        let (manager, host) = (Some(text(MANAGER)), Some(text(HOSTS[host_of(key)])));
        let extras = AllocateExtras { manager, host, follow_host: true, ..Default::default() };
        body.extras = Some(Box::new(extras));
    }
    operation
}

fn look((network, owner): Key) -> Operation {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    let request = Request::AllocationGet(Box::new(AllocationGet { target }));
    operation(0, network, Opcode::ALLOCATION_GET, request)
}

/// What is held in the networks.
fn held(whole: &Whole) -> BTreeMap<Key, Has> {
    let state = &whole.state;
    let networks: BTreeMap<_, _> = state
        .networks
        .iter()
        .map(|(row, _)| (row.network, row.id.0.as_u128()))
        .filter(|(_, id)| FOLLOWED.contains(id))
        .collect();
    let bases: BTreeMap<_, _> =
        state.subnets.iter().map(|(row, _)| (row.network, row.prefix.base())).collect();
    let is_held = |row: &&AllocationRow| row.state == AllocationState::Allocated;
    let rows = state.allocations.iter().filter(is_held).filter_map(|row| {
        let network = row.place.network;
        let key = (*networks.get(&network)?, row.owner.0.as_u128());
        Some((key, (bases[&network] + row.place.offset, row.revision)))
    });
    rows.collect()
}
