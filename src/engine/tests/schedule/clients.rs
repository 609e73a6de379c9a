//! Clients of a schedule: each makes, changes and unmakes one thing, one request at a time, alone or
//! with others in a batch, and knows from the answers what must be so. Beside them, some who tear
//! whole networks down, some who share one or take subnets into the pool, and some who ask.

use super::oracle::{How, Known, Made, PORTS, Rest, Shape, Thing, Wish, clash, things};
use super::quotas::{self, PROJECTS, Quotas};
use super::requests::{
    REST_MS, SIX, all_or_nothing, does_rest, limit, look, new_pool, new_project, onboard, share,
    wish,
};
use super::sharing::Sharing;
use super::*;
use addrd_protocol::message::{Lookups, NetworkDelete};
use std::collections::{BTreeMap, BTreeSet};

/// Networks with a subnet of each family whose things are watched.
const WATCHED: u128 = 3;
/// The one of them that other projects may use at times.
const SHARED: u128 = WATCHED;
/// A watched network whose subnets go into the pool; the two behind it come and go.
const ONBOARDED: u128 = 4;
const FLEETING: u128 = 5;
/// Tenants of a network: more than its first subnet has addresses.
const TENANTS: u64 = 6;
/// The subnet of IPv4 that each watched network always has.
const FIRST: u128 = 7;

/// Which requests for several things are about more than one place, of eight kinds.
const ACROSS: u128 = 5;

/// What a request was about.
#[derive(Clone, Debug)]
enum About {
    /// One thing, or several of which all or none are done.
    Wishes(Vec<Wish>),
    /// What an owner of a project has, everywhere; and the transactions that were on their way then,
    /// which workers that answer know nothing of.
    Seeing((u128, u128), BTreeSet<u64>),
    Sharing(bool),
    /// Subnets, as they were known before.
    Onboarding(Vec<(Thing, Known)>),
    Nothing,
}

#[derive(Default)]
pub(super) struct Clients {
    desk: Arc<Desk>,
    next_id: u64,
    waiting: BTreeMap<u64, About>,
    /// Those of them that go through the sequencer, whatever networks they are about.
    across: BTreeSet<u64>,
    /// What was not answered when the process ended.
    open: Vec<About>,
    known: BTreeMap<Thing, Known>,
    rests: Vec<Rest>,
    /// The time at which answers are taken.
    now: Tick,
    /// The last request that unmade a thing, answered or not.
    unmaking: BTreeMap<Thing, u64>,
    sharing: Sharing,
    quotas: Quotas,
    /// A look showed what its maker has no answer for yet: a good moment to lose the power.
    pub(super) has_seen_unanswered: bool,
}

impl Clients {
    /// What every life begins with, again each time: repeats say so and change nothing.
    pub(super) fn set_up(&mut self, engine: &Engine) {
        self.post(engine, new_pool(), About::Nothing);
        for project in [1, 2] {
            self.post(engine, new_project(project), About::Nothing);
        }
        for project in PROJECTS {
            self.post(engine, limit(project), About::Nothing);
        }
        for network in 1..=ONBOARDED {
            self.post(engine, create_network(0, network), About::Nothing);
        }
        for network in 1..=WATCHED {
            for subnet in [FIRST, SIX] {
                self.ask(engine, &[(Thing::Subnet(network, subnet), How::Make)]);
            }
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn post(&mut self, engine: &Engine, operation: Operation, about: About) {
        self.next_id += 1;
        let operation = Operation { request_id: self.next_id, ..operation };
        self.waiting.insert(self.next_id, about);
        self.quotas.asked(self.next_id);
        self.quotas.look(&self.known);
        if operation.opcode == Opcode::TRANSACTION {
            self.across.insert(self.next_id);
        }
        send(engine, &self.desk, vec![operation]);
    }

    fn is_waiting_for(&self, thing: Thing) -> bool {
        self.waiting.values().any(|about| match about {
            About::Wishes(wishes) => wishes.iter().any(|wish| wish.thing == thing),
            About::Onboarding(subnets) => subnets.iter().any(|(subnet, _)| *subnet == thing),
            About::Seeing(..) | About::Sharing(_) | About::Nothing => false,
        })
    }

    fn known(&self, thing: Thing) -> Known {
        self.known.get(&thing).cloned().unwrap_or(Known::Absent)
    }

    /// Asks for some things at once, unless something was asked of one of them already.
    fn ask(&mut self, engine: &Engine, all: &[(Thing, How)]) {
        if self.waiting.len() > 40 || all.iter().any(|(thing, _)| self.is_waiting_for(*thing)) {
            return;
        }
        let operation = match all {
            [(thing, how)] => wish(*thing, *how),
            _ => all_or_nothing(all),
        };
        let mut wishes = Vec::new();
        for (thing, how) in all {
            let before = self.known(*thing);
            if *how == How::Unmake {
                self.unmaking.insert(*thing, self.next_id + 1);
            }
            // What is there is not touched by asking for it again.
            if *how != How::Make || !matches!(before, Known::Present(_)) {
                self.known.insert(*thing, Known::Unsure);
            }
            if thing.is_guests() {
                self.sharing.guest_asks();
            }
            wishes.push(Wish { thing: *thing, how: *how, before, at: engine.inner.clock.tick() });
        }
        self.post(engine, operation, About::Wishes(wishes));
    }

    /// Somebody sends something.
    pub(super) fn send(&mut self, engine: &Engine, random: &mut Random) {
        let mut below = |most: u64| u128::from(random.below(most));
        let network = 1 + below(WATCHED as u64);
        match below(16) {
            0..4 => {
                let thing = Thing::Address(0, network, 1 + below(TENANTS));
                self.ask(engine, &[(thing, make_or_not(below(2)))]);
            }
            4 | 5 => {
                let thing = Thing::Port(0, network, PORTS + below(4));
                let how = self.any_how(thing, below(5));
                self.ask(engine, &[(thing, how)]);
            }
            6 | 7 => {
                let thing = self.of_guest(&mut below);
                let how = self.any_how(thing, below(4));
                self.ask(engine, &[(thing, how)]);
            }
            8 => {
                let thing = Thing::Subnet(network, 100 + below(3));
                self.ask(engine, &[(thing, make_or_not(below(2)))]);
            }
            9 => self.ask(engine, &[(Thing::Prefix(50 + below(4)), make_or_not(below(2)))]),
            10 | 11 => self.ask_for_several(engine, network, &mut below),
            12 => self.onboard_or_fill(engine, &mut below),
            13 => {
                self.share(engine, below(2) == 0);
                self.tear_down(engine, FLEETING + below(2), below(8));
            }
            _ => {
                let (project, owner) = (below(3), 1 + below(TENANTS));
                let about = About::Seeing((project, owner), self.across.clone());
                self.post(engine, look(project, owner), about);
            }
        }
    }

    /// What can be asked of a thing: of a port that is there also that it changes.
    fn any_how(&self, thing: Thing, which: u128) -> How {
        let is_port = matches!((thing, self.known(thing)), (Thing::Port(..), Known::Present(_)));
        match which {
            0 => How::Unmake,
            1 if is_port => How::Change(Shape::Bare),
            2 if is_port => How::Change(Shape::Six),
            3 if is_port => How::Change(Shape::Pair),
            _ => How::Make,
        }
    }

    fn of_guest(&self, below: &mut impl FnMut(u64) -> u128) -> Thing {
        let project = 1 + below(2);
        match below(3) {
            // Ids of another project's ports and owners are nothing to it.
            0 => Thing::Port(project, SHARED, PORTS + below(2)),
            _ => Thing::Address(project, SHARED, 1 + below(2)),
        }
    }

    /// All or nothing: a batch on the pool or on a network for one project, or a transaction over some
    /// of them.
    fn ask_for_several(
        &mut self,
        engine: &Engine,
        network: u128,
        below: &mut impl FnMut(u64) -> u128,
    ) {
        let of_guest = self.of_guest(below);
        let mut all: BTreeMap<Thing, How> = BTreeMap::new();
        let place = below(8);
        for _ in 0..2 + below(3) {
            let network = if place < ACROSS { network } else { 1 + below(WATCHED as u64) };
            let thing = match (place, of_guest) {
                (0 | 1, _) => Thing::Prefix(50 + below(4)),
                (ACROSS.., _) if below(4) == 0 => Thing::Prefix(50 + below(4)),
                (2, Thing::Address(project, network, _) | Thing::Port(project, network, _)) => {
                    match below(2) {
                        0 => Thing::Address(project, network, 1 + below(3)),
                        _ => Thing::Port(project, network, PORTS + below(2)),
                    }
                }
                _ if below(2) == 0 => Thing::Address(0, network, 1 + below(TENANTS)),
                _ => Thing::Port(0, network, PORTS + below(4)),
            };
            let how = match self.any_how(thing, below(5)) {
                // The deletion of a port that is not there refuses the whole.
                How::Unmake if matches!(thing, Thing::Port(..)) => {
                    let is_there = matches!(self.known(thing), Known::Present(_));
                    if is_there { How::Unmake } else { How::Make }
                }
                how => how,
            };
            all.insert(thing, how);
        }
        self.ask(engine, &all.into_iter().collect::<Vec<_>>());
    }

    /// Subnets that are from no pool, until their network is onboarded.
    fn onboard_or_fill(&mut self, engine: &Engine, below: &mut impl FnMut(u64) -> u128) {
        let subnets = [200, 201].map(|subnet| Thing::Subnet(ONBOARDED, subnet));
        match below(4) {
            0 => {
                if subnets.iter().any(|subnet| self.is_waiting_for(*subnet)) {
                    return;
                }
                let before = subnets.map(|subnet| (subnet, self.known(subnet)));
                for (subnet, known) in &before {
                    if *known != Known::Absent {
                        self.known.insert(*subnet, Known::Unsure);
                    }
                }
                self.post(engine, onboard(ONBOARDED), About::Onboarding(before.to_vec()));
            }
            1 => {
                let thing = Thing::Address(0, ONBOARDED, 1 + below(2));
                self.ask(engine, &[(thing, make_or_not(below(2)))]);
            }
            _ => {
                let thing = subnets[below(2) as usize];
                self.ask(engine, &[(thing, make_or_not(below(3)))]);
            }
        }
    }

    fn share(&mut self, engine: &Engine, shared: bool) {
        if self.waiting.values().any(|about| matches!(about, About::Sharing(_))) {
            return;
        }
        let of_guests = self.known.iter().filter(|(thing, _)| thing.is_guests());
        let is_quiet = of_guests.clone().all(|(_, known)| *known == Known::Absent);
        self.sharing.asked(is_quiet);
        self.post(engine, share(SHARED, shared), About::Sharing(shared));
    }

    /// A network comes, fills up, and goes with all that is in it, as a job: what it has of the pool
    /// goes back there.
    fn tear_down(&mut self, engine: &Engine, network: u128, which: u128) {
        if self.waiting.len() > 40 {
            return;
        }
        let operation = match which {
            0 => create_network(0, network),
            1 => create_subnet(0, network, "10.9.0.0/24"),
            2 => wish(Thing::Subnet(network, 100), How::Make),
            3..6 => {
                let owners = (1..=20).map(|owner| allocate(0, network, 100 * which + owner));
                batch(0, network, owners.collect())
            }
            6 => {
                let subnet_id = SubnetId::from_u128(100);
                let delete = SubnetDelete { subnet_id, force: true, expected: Revision(0) };
                operation(0, network, Opcode::SUBNET_DELETE, Request::SubnetDelete(delete))
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
    pub(super) fn take_answers(&mut self, now: Tick) {
        self.now = now;
        self.rests.retain(|rest| rest.until > now);
        let count = self.desk.frames.lock().unwrap().len();
        for (id, status, reply) in self.desk.take(count) {
            let about = self.waiting.remove(&id).expect("each request is answered once");
            self.across.remove(&id);
            let may_be_over = match &about {
                About::Wishes(wishes) => self.quotas.answered(id, wishes),
                _ => self.quotas.answered(id, &[]),
            };
            assert!(status != Status::QUOTA || may_be_over, "{about:?}: {status}");
            match (about, status, reply) {
                (About::Nothing, ..) => {}
                (About::Seeing(whose, across), _, Some(Reply::Lookups(found))) => {
                    self.seen(id, whose, &across, &found);
                }
                (About::Sharing(shared), Status::OK, _) => {
                    if !shared {
                        self.unshared();
                    }
                    self.sharing.is(shared, self.next_id + 1);
                }
                (About::Sharing(false), Status::IN_USE, _) => self.sharing.in_use(self.next_id + 1),
                (About::Onboarding(subnets), status, _) => self.onboarded(subnets, status),
                (About::Wishes(wishes), Status::OK, Some(Reply::Batch(batch))) => {
                    for (wish, result) in wishes.iter().zip(&batch.results) {
                        self.done(wish, Made::told_by_item(result));
                    }
                }
                (About::Wishes(wishes), Status::OK | Status::NOT_HELD, reply) => {
                    self.done(&wishes[0], reply.as_ref().and_then(Made::told));
                }
                (About::Wishes(wishes), status, _) => self.refused(id, &wishes, status),
                other => panic!("{other:?}"),
            }
            self.quotas.look(&self.known);
        }
    }

    /// A wish came true.
    fn done(&mut self, wish: &Wish, told: Option<Made>) {
        if wish.how == How::Unmake {
            assert_eq!(told, None, "{wish:?}");
            self.begin_rest(wish);
            self.end_rests_in(wish);
            self.known.insert(wish.thing, Known::Absent);
            return;
        }
        let now = Known::Present(told.unwrap_or_else(|| panic!("{wish:?} has no answer")));
        assert!(wish.is_done(&now), "{wish:?} is answered with {now:?}");
        // A look may have shown it before.
        if wish.how == How::Make
            && let Known::Present(_) = self.known(wish.thing)
        {
            assert_eq!(self.known(wish.thing), now, "a repeat is answered alike: {wish:?}");
        }
        if wish.thing.is_guests() {
            self.sharing.is_used();
        }
        self.present(wish.thing, now);
    }

    /// What was unmade rests, if it lies where addresses do: at least for so long after it was asked for.
    fn begin_rest(&mut self, wish: &Wish) {
        let Known::Present(made) = &wish.before else { return };
        let is_address = matches!(wish.thing, Thing::Address(..) | Thing::Port(..));
        if is_address && wish.thing.network().is_some_and(does_rest) {
            let until = Tick(wish.at.0 + REST_MS);
            self.rests.push(Rest { thing: wish.thing, made: made.clone(), until });
        }
    }

    /// No deletion minds what rests: where a subnet goes, or may have gone, its prefix can come again with everything free.
    fn end_rests_in(&mut self, wish: &Wish) {
        let (Thing::Subnet(network, _), How::Unmake) = (wish.thing, wish.how) else { return };
        let gone = match &wish.before {
            Known::Present(made) => Some(&made.places),
            Known::Absent | Known::Unsure => None,
        };
        let lies_in = |(address, _): &(u128, u8)| {
            let holds = |(first, bits): &(u128, u8)| address >> bits == first >> bits;
            gone.is_none_or(|places| places.iter().any(holds))
        };
        self.rests.retain(|rest| {
            rest.thing.network() != Some(network) || !rest.made.places.iter().any(lies_in)
        });
    }

    /// A thing is there now; nothing else may have what it has.
    fn present(&mut self, thing: Thing, now: Known) {
        let Known::Present(made) = &now else { return };
        for rest in self.rests.iter().filter(|rest| rest.until > self.now) {
            let is_early = rest.thing != thing && clash((&thing, made), (&rest.thing, &rest.made));
            assert!(!is_early, "{thing:?} has {made:?} while it rests: {rest:?}");
        }
        for (other, known) in &self.known {
            let Known::Present(held) = known else { continue };
            let is_twice = *other != thing && clash((&thing, made), (other, held));
            assert!(!is_twice, "{thing:?} and {other:?} have {made:?} and {held:?}");
        }
        self.known.insert(thing, now);
    }

    /// Nothing of it was done: everything is as it was.
    fn refused(&mut self, id: u64, wishes: &[Wish], status: Status) {
        let is_single = wishes.len() == 1;
        for wish in wishes {
            let before = wish.before.clone();
            let now = self.known(wish.thing);
            match (status, wish.how) {
                (Status::EXHAUSTED | Status::POOL_EXHAUSTED | Status::QUOTA, _) => {}
                (Status::NO_MATCHING_SUBNET | Status::POOL_AFFINITY, How::Make) => {
                    assert_eq!(wish.thing.network(), Some(ONBOARDED), "{wish:?}: {status}");
                }
                // It stays, as it was; what that is, the next answer tells.
                (Status::IN_USE, How::Unmake) if matches!(wish.thing, Thing::Subnet(..)) => {
                    continue;
                }
                (Status::NOT_FOUND, How::Unmake) if is_single && !wish.thing.is_guests() => {
                    assert!(!matches!(before, Known::Present(_)), "{wish:?} was there");
                    self.known.insert(wish.thing, Known::Absent);
                    continue;
                }
                (Status::NOT_FOUND, how) if wish.thing.is_guests() => {
                    let may_be_no_port =
                        how == How::Unmake && matches!(wish.thing, Thing::Port(..));
                    if !may_be_no_port {
                        self.sharing.is_hidden_from(id);
                    }
                    assert!(!matches!(before, Known::Present(_)), "{wish:?} was there");
                }
                _ => panic!("{wish:?}: {status}"),
            }
            let is_absent = is_single && wish.how == How::Make;
            assert!(
                !(is_absent && matches!(before, Known::Present(_))),
                "{wish:?} was there and is {status}"
            );
            let is_seen = matches!(&now, Known::Present(_)) && now != before;
            assert!(!is_seen, "{wish:?} was seen so: {now:?}, and is {status}");
            self.known.insert(wish.thing, if is_absent { Known::Absent } else { before });
        }
    }

    /// Nobody may have anything of it: who has could have got it only before.
    fn unshared(&self) {
        let held = self.known.iter().filter(|(thing, _)| thing.is_guests());
        let held: Vec<_> = held.filter(|(_, known)| matches!(known, Known::Present(_))).collect();
        assert!(held.is_empty(), "unshared, and guests have {held:?}");
    }

    /// All of them went into the pool, or none did.
    fn onboarded(&mut self, subnets: Vec<(Thing, Known)>, status: Status) {
        assert!(matches!(status, Status::OK | Status::PREFIX_TAKEN), "{status}");
        for (subnet, known) in subnets {
            match (status, known) {
                (Status::OK, Known::Present(made)) => {
                    self.present(subnet, Known::Present(Made { is_pooled: true, ..made }));
                }
                (_, known) => _ = self.known.insert(subnet, known),
            }
        }
    }

    /// What a look showed is on the disk, even if who asked for it has no answer yet.
    fn seen(
        &mut self,
        id: u64,
        (project, owner): (u128, u128),
        across: &BTreeSet<u64>,
        found: &Lookups,
    ) {
        for one in &found.allocations {
            let of = match one.project_id {
                ProjectId::DEFAULT => 0,
                ProjectId(other) => other.as_u128(),
            };
            assert_eq!(of, project, "what others have is shown: {one:?}");
            let thing = Thing::Address(project, one.network_id.0.as_u128(), owner);
            let is_old = self.unmaking.get(&thing).is_some_and(|unmaking| {
                *unmaking > id || self.waiting.contains_key(unmaking) || across.contains(unmaking)
            });
            if is_watched(&thing) && !is_old {
                let now = Known::Present(Made::seen(one));
                let before = self.known.insert(thing, now.clone());
                self.has_seen_unanswered |= before == Some(Known::Unsure);
                let is_same =
                    !matches!(&before, Some(Known::Present(_))) || before.as_ref() == Some(&now);
                assert!(is_same, "{thing:?} was {before:?} and is seen as {now:?}");
            }
        }
    }

    /// The process is gone: what was not answered stays unknown.
    pub(super) fn cut_off(&mut self) {
        self.open = std::mem::take(&mut self.waiting).into_values().collect();
        self.across.clear();
        self.quotas.cut_off();
        self.desk = Arc::default();
    }

    /// What was answered must be so; what was not is now seen, all of a request or nothing of it.
    pub(super) fn recovered(&mut self, whole: &Whole) {
        let found = things(whole);
        quotas::check(&found);
        let is = |thing: &Thing| {
            found.get(thing).map_or(Known::Absent, |made| Known::Present(made.clone()))
        };
        for about in std::mem::take(&mut self.open) {
            if let About::Wishes(wishes) = &about {
                let is_done = wishes.iter().all(|wish| wish.is_done(&is(&wish.thing)));
                let is_undone = wishes.iter().all(|wish| wish.is_undone(&is(&wish.thing)));
                let now: Vec<_> = wishes.iter().map(|wish| is(&wish.thing)).collect();
                assert!(is_done || is_undone, "{wishes:?} are in part: {now:?}");
                wishes.iter().for_each(|wish| self.end_rests_in(wish));
            }
            if let About::Onboarding(subnets) = &about {
                let before = subnets.iter().filter(|(_, known)| matches!(known, Known::Present(_)));
                let now = before.map(|(subnet, known)| is(subnet) == *known);
                let now: Vec<bool> = now.collect();
                let is_whole = now.windows(2).all(|pair| pair[0] == pair[1]);
                // One that was the pool's before is so whatever became of the rest.
                let all_new = subnets
                    .iter()
                    .all(|(_, known)| !matches!(known, Known::Present(made) if made.is_pooled));
                assert!(is_whole || !all_new, "{subnets:?} went into the pool in part");
            }
        }
        for (thing, known) in &mut self.known {
            let is = is(thing);
            if *known != Known::Unsure {
                assert_eq!(is, *known, "{thing:?} after recovery");
            }
            *known = is;
        }
        let all: Vec<_> = found.iter().collect();
        for (at, one) in all.iter().enumerate() {
            let twice = all[..at].iter().find(|other| clash(**other, *one));
            assert_eq!(twice, None, "given twice with {one:?}");
        }
        for thing in found.keys().filter(|thing| is_watched(thing)) {
            assert!(self.known.contains_key(thing), "nobody asked for {thing:?}");
        }
        let mut networks = whole.state.networks.iter();
        let lent = networks.find(|(row, _)| row.id == NetworkId::from_u128(SHARED));
        self.sharing.recovered(lent.is_some_and(|(row, _)| row.shared), self.next_id + 1);
    }
}

const fn make_or_not(which: u128) -> How {
    if which == 0 { How::Unmake } else { How::Make }
}

/// Things of networks that come and go belong to nobody here.
fn is_watched(thing: &Thing) -> bool {
    thing.network().is_none_or(|network| network <= ONBOARDED)
}
