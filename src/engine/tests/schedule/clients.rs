//! Clients of a schedule: each makes and unmakes one thing, one request at a time, and knows from the
//! answers what must be so. Beside them, some who tear whole networks down, and some who ask.

use super::oracle::{Known, Made, Thing, clash, things};
use super::*;
use addrd_protocol::message::{Lookup, NetworkDelete};
use addrd_protocol::prefix::number_of;
use addrd_protocol::{OwnerId, PoolId};
use std::collections::BTreeMap;

/// Networks whose things are watched; the two behind them come and go.
const WATCHED: u128 = 3;
/// Tenants of a network: more than its first subnet has addresses.
const TENANTS: u128 = 6;
const POOL: u128 = 900;
/// The subnet that each watched network always has.
const FIRST: u128 = 7;

/// What a request was about.
#[derive(Clone, Copy, Debug)]
enum About {
    Making(Thing),
    Unmaking(Thing),
    /// What an owner has, everywhere.
    Seeing(u128),
    Nothing,
}

#[derive(Default)]
pub(super) struct Clients {
    desk: Arc<Desk>,
    next_id: u64,
    waiting: BTreeMap<u64, About>,
    known: BTreeMap<Thing, Known>,
    /// The last request that unmade a thing, answered or not.
    unmaking: BTreeMap<Thing, u64>,
    /// A look showed what its maker has no answer for yet: a good moment to lose the power.
    pub(super) has_seen_unanswered: bool,
}

fn carve(network: u128, subnet: u128) -> Operation {
    let mut operation = super::super::carve_subnet(0, network);
    if let Request::SubnetCreate(body) = &mut operation.request {
        body.subnet_id = SubnetId::from_u128(subnet);
        body.cidr = "0.0.0.0/29".parse().unwrap();
        body.from_pool = Some(Box::new(FromPool {
            subnet_pool_id: PoolId::from_u128(POOL),
            by: PrefixChoice::Length,
            ..FromPool::default()
        }));
    }
    operation
}

fn uncarve(network: u128, subnet: u128) -> Operation {
    let subnet_id = SubnetId::from_u128(subnet);
    let delete = SubnetDelete { subnet_id, force: false, expected: Revision(0) };
    operation(0, network, Opcode::SUBNET_DELETE, Request::SubnetDelete(delete))
}

/// The same request on the prefixes of the pool.
fn in_pool(mut operation: Operation) -> Operation {
    operation.scope = Scope { pool: true, ..scope(POOL) };
    if let Request::Allocate(body) = &mut operation.request {
        body.length = Some(29);
    }
    operation
}

impl Clients {
    /// What every life begins with, again each time: repeats say so and change nothing.
    pub(super) fn set_up(&mut self, engine: &Engine) {
        let mut pool = super::super::create_pool(0);
        if let Request::PoolCreate(body) = &mut pool.request {
            body.prefixes = vec!["10.0.0.0/26".parse().unwrap()];
            body.default_quota = None;
        }
        self.post(engine, pool, About::Nothing);
        for network in 1..=WATCHED {
            self.post(engine, create_network(0, network), About::Nothing);
            let first = Thing::Subnet(network, FIRST);
            self.post(engine, carve(network, FIRST), About::Making(first));
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn post(&mut self, engine: &Engine, operation: Operation, about: About) {
        self.next_id += 1;
        let operation = Operation { request_id: self.next_id, ..operation };
        self.waiting.insert(self.next_id, about);
        match about {
            About::Unmaking(thing) => {
                self.unmaking.insert(thing, self.next_id);
                self.known.insert(thing, Known::Unsure);
            }
            // What is there is not touched by asking for it again.
            About::Making(thing) if !matches!(self.known.get(&thing), Some(Known::Present(_))) => {
                self.known.insert(thing, Known::Unsure);
            }
            About::Making(_) | About::Seeing(_) | About::Nothing => {}
        }
        send(engine, &self.desk, vec![operation]);
    }

    fn is_waiting_for(&self, thing: Thing) -> bool {
        self.waiting.values().any(|about| match about {
            About::Making(other) | About::Unmaking(other) => *other == thing,
            About::Seeing(_) | About::Nothing => false,
        })
    }

    /// Somebody sends something.
    pub(super) fn send(&mut self, engine: &Engine, random: &mut Random) {
        let mut below = |most: u64| u128::from(random.below(most));
        let thing = match below(8) {
            0..4 => Thing::Address(1 + below(WATCHED as u64), 1 + below(TENANTS as u64)),
            4 => Thing::Subnet(1 + below(WATCHED as u64), 100 + below(3)),
            5 => Thing::Prefix(50 + below(4)),
            6 => return self.tear_down(engine, 4 + below(2), below(6)),
            _ => {
                let owner = 1 + below(TENANTS as u64);
                let ask = Request::Lookup(Box::new(Lookup::Owner(OwnerId::from_u128(owner))));
                let ask = operation(0, 0, Opcode::LOOKUP, ask);
                return self.post(engine, ask, About::Seeing(owner));
            }
        };
        if self.is_waiting_for(thing) || self.waiting.len() > 40 {
            return;
        }
        let makes = below(2) == 0;
        let operation = match (thing, makes) {
            (Thing::Address(network, owner), true) => allocate(0, network, owner),
            (Thing::Address(network, owner), false) => release(0, network, owner),
            (Thing::Subnet(network, subnet), true) => carve(network, subnet),
            (Thing::Subnet(network, subnet), false) => uncarve(network, subnet),
            (Thing::Prefix(owner), true) => in_pool(allocate(0, POOL, owner)),
            (Thing::Prefix(owner), false) => in_pool(release(0, POOL, owner)),
        };
        let about = if makes { About::Making(thing) } else { About::Unmaking(thing) };
        self.post(engine, operation, about);
    }

    /// A network comes, fills up, and goes with all that is in it, as a job.
    fn tear_down(&mut self, engine: &Engine, network: u128, which: u128) {
        if self.waiting.len() > 40 {
            return;
        }
        let operation = match which {
            0 => create_network(0, network),
            1 => create_subnet(0, network, "10.9.0.0/24"),
            2..5 => {
                let owners = (1..=20).map(|owner| allocate(0, network, 100 * which + owner));
                batch(0, network, owners.collect())
            }
            _ => {
                let delete = NetworkDelete { force: true, expected: Revision(0) };
                let request = Request::NetworkDelete(delete);
                operation(0, network, Opcode::NETWORK_DELETE, request)
            }
        };
        self.post(engine, operation, About::Nothing);
    }

    /// Takes what was answered, and checks it.
    pub(super) fn take_answers(&mut self) {
        let count = self.desk.frames.lock().unwrap().len();
        for (id, status, reply) in self.desk.take(count) {
            let about = self.waiting.remove(&id).expect("each request is answered once");
            match about {
                About::Nothing => {}
                About::Seeing(owner) => self.seen(id, owner, reply),
                About::Making(thing) => self.made(thing, status, reply),
                About::Unmaking(thing) => self.unmade(thing, status),
            }
        }
    }

    fn made(&mut self, thing: Thing, status: Status, reply: Option<Reply>) {
        let before = self.known.get(&thing).copied();
        let made: Made = match (status, reply) {
            (Status::OK, Some(Reply::Allocated(got))) => {
                let bits = 32 - got.first.length;
                (number_of(&got.first.address), bits, Some(got.first.revision))
            }
            (Status::OK, Some(Reply::Subnet(got))) => (got.cidr.base(), got.cidr.host_bits(), None),
            (Status::EXHAUSTED | Status::POOL_EXHAUSTED, _) => {
                assert!(!matches!(before, Some(Known::Present(_))), "{thing:?} was there");
                self.known.insert(thing, Known::Absent);
                return;
            }
            other => panic!("{thing:?}: {other:?}"),
        };
        if let Some(Known::Present(known)) = before {
            assert_eq!(made, known, "a repeat is answered alike: {thing:?}");
        }
        for (other, known) in &self.known {
            let Known::Present(held) = known else { continue };
            let is_twice = *other != thing && clash((&thing, &made), (other, held));
            assert!(!is_twice, "{thing:?} and {other:?} have {made:?} and {held:?}");
        }
        self.known.insert(thing, Known::Present(made));
    }

    /// What a look showed is on the disk, even if who asked for it has no answer yet.
    fn seen(&mut self, id: u64, owner: u128, reply: Option<Reply>) {
        let Some(Reply::Lookups(found)) = reply else { panic!("{reply:?}") };
        for one in &found.allocations {
            let thing = Thing::Address(one.network_id.0.as_u128(), owner);
            let is_old = self
                .unmaking
                .get(&thing)
                .is_some_and(|unmaking| *unmaking > id || self.waiting.contains_key(unmaking));
            if is_watched(&thing) && !is_old {
                let made = (number_of(&one.address), 0, Some(one.revision));
                let before = self.known.insert(thing, Known::Present(made));
                self.has_seen_unanswered |= before == Some(Known::Unsure);
                let is_same = !matches!(before, Some(Known::Present(known)) if known != made);
                assert!(is_same, "{thing:?} was {before:?} and is seen as {made:?}");
            }
        }
    }

    fn unmade(&mut self, thing: Thing, status: Status) {
        match status {
            Status::OK | Status::NOT_HELD | Status::NOT_FOUND => {
                self.known.insert(thing, Known::Absent);
            }
            // It stays, as it was; what that is, the next answer tells.
            Status::IN_USE => {}
            other => panic!("{thing:?}: {other:?}"),
        }
    }

    /// The process is gone: what was not answered stays unknown.
    pub(super) fn cut_off(&mut self) {
        self.waiting.clear();
        self.desk = Arc::default();
    }

    /// What was answered must be so; what was not is now seen.
    pub(super) fn recovered(&mut self, whole: &Whole) {
        let found = things(whole, POOL);
        for (thing, known) in &mut self.known {
            let is = found.get(thing).map_or(Known::Absent, |made| Known::Present(*made));
            if *known != Known::Unsure {
                assert_eq!(is, *known, "{thing:?} after recovery");
            }
            *known = is;
        }
        let all: Vec<_> = found.iter().collect();
        for (at, one) in all.iter().enumerate() {
            let twice = all[..at].iter().find(|other| clash(**other, *one) && is_watched(one.0));
            assert_eq!(twice, None, "given twice with {one:?}");
        }
    }
}

/// Subnets of networks that come and go are from no pool.
const fn is_watched(thing: &Thing) -> bool {
    match thing {
        Thing::Address(network, _) | Thing::Subnet(network, _) => *network <= WATCHED,
        Thing::Prefix(_) => true,
    }
}
