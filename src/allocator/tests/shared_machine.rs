//! Random operations of three projects on one network that one of them shares, beside a naive model
//! (T13): an address has one holder over all projects, each finds its own and nobody else's, nothing
//! that is written beside an allocation ever reaches another project, and recovery gives the same.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing case prints its steps.

use super::catalogue::{of, project};
use super::dice::Dice;
use super::machine::cases;
use super::ports::port;
use super::recovery::mends;
use super::shared::{guest, lent, share};
use super::*;
use addrd_protocol::message::{
    Allocation, AllocationList, Lookup, Lookups, PortCreate, PortDelete, PortList, ProjectDelete,
};
use addrd_protocol::{Mac, PortId, Revision};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What automatic choices draw from: 10.0.0.0/29 without its gateway.
const POOL: std::ops::RangeInclusive<u8> = 2..=6;

/// An allocation as the model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    address: IpAddr,
    revision: Revision,
}

#[derive(Clone, Debug, Default)]
struct Model {
    shared: bool,
    /// By project and owner.
    held: BTreeMap<(u128, u128), Known>,
    /// MACs by project and id of the port.
    ports: BTreeMap<(u128, u128), Mac>,
}

impl Model {
    /// Who holds an address.
    fn holder(&self, address: IpAddr) -> Option<(u128, u128)> {
        self.held.iter().find(|(_, known)| known.address == address).map(|(key, _)| *key)
    }

    fn has_guests(&self) -> bool {
        self.held.keys().chain(self.ports.keys()).any(|(project, _)| *project != 0)
    }

    fn uses(&self, actor: u128) -> usize {
        self.held.keys().chain(self.ports.keys()).filter(|(project, _)| *project == actor).count()
    }

    fn is_full(&self) -> bool {
        POOL.map(|last| ip(&format!("10.0.0.{last}"))).all(|one| self.holder(one).is_some())
    }
}

struct Machine {
    world: World,
    model: Model,
    states: Vec<(usize, Snapshot)>,
}

/// The header of an actor's request on the network: 0 owns it.
fn on(actor: u128) -> Scope {
    if actor == 0 { of(0, 1) } else { guest(actor) }
}

/// Owners of ports' addresses lie apart from the others.
const PORT_OWNERS: u128 = 100;

impl Machine {
    fn new() -> Self {
        let world = lent();
        let model = Model { shared: true, ..Model::default() };
        let states = vec![(world.log.effects.len(), world.snapshot())];
        Self { world, model, states }
    }

    fn step(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        let actor = u128::from(dice.roll(3));
        match dice.roll(24) {
            0..8 => self.allocate(actor, &mut dice),
            8..12 => self.release(actor, &mut dice),
            12..14 => self.release_at(actor, &mut dice),
            14..17 => self.port_create(actor, &mut dice),
            17..19 => self.port_delete(actor, &mut dice),
            19 => self.share(&mut dice),
            20 => self.project_delete(actor),
            _ => self.read(actor, &mut dice),
        }
        self.states.push((self.world.log.effects.len(), self.world.snapshot()));
    }

    /// Applies a request, and sees that the answer tells nothing of others.
    fn apply(&mut self, actor: u128, scope: &Scope, request: &Request) -> Answer {
        let effects = self.world.log.effects.len();
        let answer = self.world.apply_as(scope, request);
        let text = format!("{answer:?}");
        for other in (0..3).filter(|other| *other != actor) {
            assert!(!text.contains(&secret(other)), "{actor} learns of {other}: {text}");
        }
        if answer.is_err() {
            assert_eq!(self.world.log.effects.len(), effects, "a refusal leaves no effects");
        }
        answer
    }

    /// Whether an actor may use the network; if not, it is as if there were none.
    fn is_admitted(&self, actor: u128, answer: &Answer) -> bool {
        let admitted = actor == 0 || self.model.shared;
        if !admitted {
            assert_eq!(answer.as_ref().unwrap_err().status, Status::NOT_FOUND);
        }
        admitted
    }

    fn allocate(&mut self, actor: u128, dice: &mut Dice) {
        let number = 1 + u128::from(dice.roll(4));
        let exact = dice.once_in(3).then(|| ip(&format!("10.0.0.{}", 2 + dice.roll(5))));
        let request = allocate_with(number, |extras| {
            extras.label = Some(text(&secret(actor)));
            extras.host = Some(text(&secret(actor)));
            extras.exact = exact;
        });
        let answer = self.apply(actor, &on(actor), &Request::Allocate(request));
        if !self.is_admitted(actor, &answer) {
            return;
        }
        let key = (actor, number);
        let held = self.model.held.get(&key).copied();
        match (answer, held, exact) {
            (Ok((_, Reply::Allocated(got))), held, exact) => {
                let got = got.first;
                let known = Known { address: got.address, revision: got.revision };
                assert_eq!(got.repeated, held.is_some());
                assert!(held.is_none_or(|held| held == known), "{held:?} {known:?}");
                assert!(exact.is_none_or(|exact| exact == got.address));
                let holder = self.model.holder(got.address);
                assert!(holder.is_none_or(|holder| holder == key), "two holders of {got:?}");
                self.model.held.insert(key, known);
            }
            (Err(refused), Some(held), Some(exact)) => {
                assert_ne!(held.address, exact);
                assert_eq!(refused.status, Status::KEY_IN_USE);
            }
            (Err(refused), None, Some(exact)) => {
                assert_eq!(refused.status, Status::ADDRESS_TAKEN);
                let (holder, _) = self.model.holder(exact).expect("somebody holds it");
                assert!(holder == actor || refused.details.is_empty(), "{refused:?}");
            }
            (Err(refused), None, None) => {
                assert_eq!(refused.status, Status::EXHAUSTED);
                assert!(self.model.is_full());
            }
            (answer, ..) => panic!("{answer:?}"),
        }
    }

    fn release(&mut self, actor: u128, dice: &mut Dice) {
        let number = 1 + u128::from(dice.roll(4));
        let answer = self.apply(actor, &on(actor), &Request::Release(release(number)));
        if !self.is_admitted(actor, &answer) {
            return;
        }
        match (answer, self.model.held.remove(&(actor, number))) {
            (Ok((Status::OK, Reply::Released(got))), Some(known)) => {
                assert_eq!(got.address, known.address);
            }
            (Ok((Status::NOT_HELD, Reply::Empty)), None) => {}
            (answer, known) => panic!("{answer:?}, not {known:?}"),
        }
    }

    /// By address, with the revision that whoever holds it has.
    fn release_at(&mut self, actor: u128, dice: &mut Dice) {
        let address = ip(&format!("10.0.0.{}", 2 + dice.roll(5)));
        let holder = self.model.holder(address);
        // An allocation of a port is released with it.
        if holder.is_some_and(|(_, number)| number >= PORT_OWNERS) {
            return;
        }
        let revision = holder.map(|key| self.model.held[&key].revision);
        let fences = Fences { revision, ..Fences::default() };
        let request = Release { target: Target::Address(address), fences, any: true };
        let answer = self.apply(actor, &on(actor), &Request::Release(request));
        if !self.is_admitted(actor, &answer) {
            return;
        }
        match (answer, holder) {
            (Ok((Status::OK, _)), Some(key)) => {
                assert_eq!(key.0, actor);
                self.model.held.remove(&key);
            }
            (Ok((Status::NOT_HELD, _)), holder) => {
                assert!(holder.is_none_or(|(project, _)| actor != 0 && project != actor));
            }
            (Err(refused), Some((holder, _))) => {
                assert!(actor == 0 && holder != 0);
                assert_eq!(refused.status, Status::NOT_HOLDER);
            }
            (answer, holder) => panic!("{answer:?}, not {holder:?}"),
        }
    }

    fn port_create(&mut self, actor: u128, dice: &mut Dice) {
        let number = PORT_OWNERS + u128::from(dice.roll(3));
        let mac = Mac([0xfa, 0, 0, 0, 0, dice.roll(4) as u8]);
        let create =
            PortCreate { mac: Some(mac), description: Some(text(&secret(actor))), ..port(number) };
        let answer = self.apply(actor, &on(actor), &Request::PortCreate(Box::new(create)));
        if !self.is_admitted(actor, &answer) {
            return;
        }
        let key = (actor, number);
        match answer {
            Ok((_, Reply::Port(made))) => {
                assert_eq!(made.repeated, self.model.ports.contains_key(&key));
                if made.repeated {
                    return assert_eq!(made.mac, self.model.ports[&key]);
                }
                assert!(self.model.ports.values().all(|other| *other != mac));
                self.model.ports.insert(key, mac);
                let fixed = made.fixed_ips[0];
                assert_eq!(self.model.holder(fixed.ip_address), None);
                let known = Known { address: fixed.ip_address, revision: fixed.revision };
                self.model.held.insert(key, known);
            }
            Err(refused) if refused.status == Status::MAC_IN_USE => {
                assert!(self.model.ports.values().any(|other| *other == mac));
                assert_eq!(refused.details, []);
            }
            Err(refused) => {
                assert_eq!(refused.status, Status::EXHAUSTED);
                assert!(self.model.is_full());
            }
            Ok(other) => panic!("{other:?}"),
        }
    }

    fn port_delete(&mut self, actor: u128, dice: &mut Dice) {
        let number = PORT_OWNERS + u128::from(dice.roll(3));
        let delete =
            PortDelete { port_id: PortId::from_u128(number), expected: Default::default() };
        let answer = self.apply(actor, &on(actor), &Request::PortDelete(delete));
        if !self.is_admitted(actor, &answer) {
            return;
        }
        let key = (actor, number);
        assert_eq!(answer.is_ok(), self.model.ports.remove(&key).is_some(), "{answer:?}");
        if answer.is_ok() {
            self.model.held.remove(&key);
        }
    }

    fn share(&mut self, dice: &mut Dice) {
        let shared = !dice.once_in(3);
        match self.apply(0, &of(0, 1), &share(shared)) {
            Ok(_) => {
                assert!(shared || !self.model.has_guests());
                self.model.shared = shared;
            }
            Err(refused) => {
                assert_eq!(refused.status, Status::IN_USE);
                assert!(!shared && self.model.has_guests());
            }
        }
    }

    /// A project goes, if nothing of it is left, and comes back.
    fn project_delete(&mut self, actor: u128) {
        if actor == 0 {
            return;
        }
        let delete = Request::ProjectDelete(ProjectDelete::default());
        let answer = self.apply(actor, &of(actor, 0), &delete);
        assert_eq!(answer.is_ok(), self.model.uses(actor) == 0, "{answer:?}");
        if answer.is_ok() {
            let gone = self.apply(actor, &on(actor), &Request::Allocate(allocate(1)));
            assert_eq!(gone.unwrap_err().status, Status::NOT_FOUND);
            self.world.done_as(&of(actor, 0), Request::ProjectCreate(Box::default()));
        }
    }

    /// What a list shows is what the model has; of guests' the network's own project sees where.
    fn compare(&self, actor: u128, all: &[Allocation]) {
        let shown: BTreeSet<(u128, IpAddr, Revision)> = all
            .iter()
            .map(|one| {
                let number = (0..3).find(|n| project(*n) == one.project_id).unwrap();
                assert_eq!(one.owner == OwnerId::NIL, number != actor, "{one:?}");
                (number, one.address, one.revision)
            })
            .collect();
        let known =
            self.model.held.iter().filter(|((project, _), _)| actor == 0 || *project == actor);
        let known = known.map(|((project, _), known)| (*project, known.address, known.revision));
        assert_eq!(shown, known.collect());
        assert_eq!(shown.len(), all.len());
    }

    fn read(&mut self, actor: u128, dice: &mut Dice) {
        let list = Request::AllocationList(Box::<AllocationList>::default());
        let answer = self.apply(actor, &on(actor), &list);
        if !self.is_admitted(actor, &answer) {
            return;
        }
        match answer.unwrap().1 {
            Reply::Allocations(page) => self.compare(actor, &page.items),
            other => panic!("{other:?}"),
        }
        let list = Request::PortList(Box::<PortList>::default());
        match self.apply(actor, &on(actor), &list).unwrap().1 {
            Reply::Ports(page) => {
                let own = self.model.ports.keys().filter(|(project, _)| *project == actor);
                assert_eq!(page.items.len(), own.count());
            }
            other => panic!("{other:?}"),
        }
        let number = 1 + u128::from(dice.roll(4));
        let found = self.found(actor, &of(actor, 0), Lookup::Owner(owner(number)));
        let known = self.model.held.get(&(actor, number));
        assert_eq!(found.allocations.first().map(|one| one.address), known.map(|k| k.address));
        let address = ip(&format!("10.0.0.{}", 2 + dice.roll(5)));
        let holder = self.model.holder(address).map(|(project, _)| project);
        let found = self.found(actor, &of(actor, 0), Lookup::Address(address));
        let shown = holder.is_some_and(|holder| actor == 0 || holder == actor);
        assert_eq!((found.subnets.len(), found.allocations.len()), (1, usize::from(shown)));
    }

    fn found(&mut self, actor: u128, scope: &Scope, lookup: Lookup) -> Lookups {
        match self.apply(actor, scope, &Request::Lookup(Box::new(lookup))).unwrap().1 {
            Reply::Lookups(found) => *found,
            other => panic!("{other:?}"),
        }
    }
}

/// What a project writes beside its allocations and ports.
fn secret(actor: u128) -> String {
    format!("canary-of-{actor}")
}

fn run(steps: &[u64], seed: u64) {
    let mut machine = Machine::new();
    for &step in steps {
        machine.step(step);
    }
    machine.world.check();
    mends(&machine.world.log.effects, &machine.states, seed);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn projects_on_a_shared_network_agree_with_a_naive_model(
        steps in prop::collection::vec(any::<u64>(), 1..100),
        seed in any::<u64>(),
    ) {
        run(&steps, seed);
    }
}
