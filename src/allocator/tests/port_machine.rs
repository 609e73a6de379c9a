//! Random operations on ports beside a naive model (T13): what can be done is done and what is asked
//! for is there, what can't is refused and changes nothing; and recovery at any point gives the same.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing case prints its steps.

use super::dice::Dice;
use super::machine::cases;
use super::ports::{port, served, slaac, update};
use super::recovery::Rows;
use super::*;
use addrd_protocol::message::{
    Detail, FixedIp, FixedIpWanted, Port, PortCreate, PortDelete, PortUpdate, SubnetDelete,
};
use addrd_protocol::{Mac, PortId, Setting};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A subnet as the model has it: its number, prefix without the last part, and what is in its pool.
struct Place {
    number: u128,
    start: &'static str,
    pool: std::ops::RangeInclusive<u8>,
    only_for: Option<&'static str>,
}

/// Three of IPv4, the last one for `compute:x` alone, and one of IPv6.
const PLACES: [Place; 4] = [
    Place { number: 1, start: "10.0.0.", pool: 2..=6, only_for: None },
    Place { number: 2, start: "10.0.1.", pool: 2..=6, only_for: None },
    Place { number: 3, start: "10.0.2.", pool: 2..=6, only_for: Some("compute:x") },
    Place { number: 4, start: "fd00:1::", pool: 2..=7, only_for: None },
];
/// Auto-address subnets that come and go.
const AUTOMATIC: [(u128, &str); 2] = [(8, "fd00:a::"), (9, "fd00:b::")];
const OWNERS: [&str; 4] = ["", "compute:x", "network:router_interface", AGENT];
/// A device owner whose ports yield to the deletion of a subnet.
const AGENT: &str = "network:floatingip_agent_gateway";

impl Place {
    fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.pool.clone().map(|last| ip(&format!("{}{last:x}", self.start)))
    }

    fn create(&self) -> SubnetCreate {
        let cidr = match self.is_v4() {
            true => format!("{}0/29", self.start),
            false => format!("{}/125", self.start),
        };
        match self.only_for {
            Some(only) => served(self.number, &cidr, &[only]),
            None => subnet(self.number, &cidr),
        }
    }

    fn has(&self, address: &IpAddr) -> bool {
        self.all().any(|one| one == *address)
    }

    fn is_v4(&self) -> bool {
        self.number < 4
    }

    fn serves(&self, device_owner: &str) -> bool {
        self.only_for.is_none_or(|only| only == device_owner)
    }
}

/// A port as the model has it.
#[derive(Clone, Debug)]
struct Known {
    device_owner: &'static str,
    mac: Mac,
    drawn: BTreeSet<IpAddr>,
}

/// What a request wants, in the model's terms.
#[derive(Clone, Debug)]
enum Wanted {
    Families,
    List(Vec<FixedIpWanted>),
}

#[derive(Default)]
struct Model {
    ports: BTreeMap<u128, Known>,
    /// Addresses that others hold.
    plain: BTreeSet<IpAddr>,
    automatic: BTreeSet<usize>,
}

impl Model {
    fn held(&self, but: u128) -> BTreeSet<IpAddr> {
        let others = self.ports.iter().filter(|(number, _)| **number != but);
        let drawn = others.flat_map(|(_, known)| known.drawn.iter().copied());
        self.plain.iter().copied().chain(drawn).collect()
    }

    /// Whether what is wanted can be had, if `own` is what the port has already.
    fn can(
        &self,
        number: u128,
        device_owner: &str,
        wanted: &Wanted,
        own: &BTreeSet<IpAddr>,
    ) -> bool {
        let mut taken = self.held(number);
        let list = match wanted {
            Wanted::Families => {
                return [true, false].into_iter().all(|v4| {
                    let fits = |place: &&Place| place.is_v4() == v4 && place.serves(device_owner);
                    let mut all = PLACES.iter().filter(fits).flat_map(Place::all);
                    let kept = own.iter().any(|address| address.is_ipv4() == v4);
                    kept || all.any(|address| !taken.contains(&address))
                });
            }
            Wanted::List(list) => list,
        };
        let literals: Vec<IpAddr> = list.iter().filter_map(|wanted| wanted.ip_address).collect();
        let distinct: BTreeSet<IpAddr> = literals.iter().copied().collect();
        let served = |address: &IpAddr| {
            PLACES.iter().any(|place| place.has(address) && place.serves(device_owner))
        };
        if distinct.len() < literals.len() || !literals.iter().all(served) {
            return false;
        }
        if literals.iter().any(|address| taken.contains(address)) {
            return false;
        }
        taken.extend(literals);
        PLACES.iter().all(|place| {
            let any = list.iter().filter(|wanted| {
                wanted.ip_address.is_none() && wanted.subnet_id == Some(subnet_id(place.number))
            });
            let count = any.count();
            let free = place.all().filter(|address| !taken.contains(address)).count();
            count == 0 || (place.serves(device_owner) && count <= free)
        })
    }

    /// Whether a port has what was wanted, and nothing else.
    fn is_as_wanted(port: &Port, wanted: &Wanted) {
        let drawn: Vec<IpAddr> =
            port.fixed_ips.iter().filter(|f| !f.automatic).map(|f| f.ip_address).collect();
        match wanted {
            Wanted::Families => {
                let v4 = drawn.iter().filter(|address| address.is_ipv4()).count();
                assert_eq!((v4, drawn.len()), (1, 2), "{port:?}");
            }
            Wanted::List(list) => {
                assert_eq!(drawn.len(), list.len(), "{port:?} {list:?}");
                for place in &PLACES {
                    let wanted = list.iter().filter(|wanted| match wanted.ip_address {
                        Some(address) => place.has(&address),
                        None => wanted.subnet_id == Some(subnet_id(place.number)),
                    });
                    let got = drawn.iter().filter(|address| place.has(address)).count();
                    assert_eq!(got, wanted.count(), "{port:?} {list:?}");
                }
                let literals = list.iter().filter_map(|wanted| wanted.ip_address);
                literals.for_each(|address| assert!(drawn.contains(&address), "{address}"));
            }
        }
    }
}

struct Machine {
    world: World,
    model: Model,
}

impl Machine {
    fn new() -> Self {
        let [first, others @ ..] = &PLACES;
        let mut world = World::with_subnet(first.create());
        others.iter().for_each(|place| _ = world.subnet(place.create()));
        Self { world, model: Model::default() }
    }

    fn step(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        match dice.roll(24) {
            20 | 21 => self.device_owner(&mut dice),
            22 | 23 => self.place(&mut dice),
            0..7 => self.create(&mut dice),
            7..12 => self.update(&mut dice),
            12..15 => self.delete(&mut dice),
            15 => self.plain(&mut dice),
            16 => self.automatic(&mut dice),
            17 => self.world.work(1 + dice.roll(3) as usize),
            _ => self.compare(),
        }
    }

    fn wanted(&self, dice: &mut Dice) -> (Wanted, Setting<Vec<FixedIpWanted>>) {
        if dice.once_in(3) {
            let null = dice.once_in(2);
            return (Wanted::Families, if null { Setting::Null } else { Setting::Unset });
        }
        let one = |dice: &mut Dice| {
            let place = &PLACES[dice.roll(4) as usize];
            let all: Vec<IpAddr> = place.all().collect();
            let address = all[dice.roll(all.len() as u64) as usize];
            let subnet = Some(subnet_id(place.number));
            match dice.roll(3) {
                0 => FixedIpWanted { subnet_id: subnet, ip_address: None, slot: None },
                1 => FixedIpWanted { subnet_id: None, ip_address: Some(address), slot: None },
                _ => FixedIpWanted { subnet_id: subnet, ip_address: Some(address), slot: None },
            }
        };
        let list: Vec<FixedIpWanted> = (0..dice.roll(4)).map(|_| one(dice)).collect();
        (Wanted::List(list.clone()), Setting::Value(list))
    }

    fn create(&mut self, dice: &mut Dice) {
        let number = 1 + u128::from(dice.roll(8));
        let (wanted, fixed_ips) = self.wanted(dice);
        let device_owner = OWNERS[dice.roll(4) as usize];
        let create = PortCreate {
            fixed_ips,
            device_owner: Some(text(device_owner)).filter(|text| !text.is_empty()),
            ..port(number)
        };
        if self.model.ports.contains_key(&number) {
            let again = self.world.port(create);
            return assert!(again.repeated);
        }
        let before = self.world.snapshot();
        let can = self.model.can(number, device_owner, &wanted, &BTreeSet::new());
        match self.world.apply(1, &Request::PortCreate(Box::new(create))) {
            Ok((_, Reply::Port(made))) => {
                assert!(can, "{wanted:?}");
                Model::is_as_wanted(&made, &wanted);
                self.learn(number, device_owner, &made);
            }
            Err(refused) => {
                assert!(!can, "{wanted:?}: {refused:?}");
                assert_eq!(self.world.snapshot(), before);
            }
            Ok(other) => panic!("{other:?}"),
        }
    }

    fn update(&mut self, dice: &mut Dice) {
        let number = 1 + u128::from(dice.roll(8));
        let Some(known) = self.model.ports.get(&number).cloned() else { return };
        let (wanted, fixed_ips) = self.wanted(dice);
        let mac =
            dice.once_in(4).then(|| Mac::from_number(0xfe00_0000_0000 | u64::from(seed_of(dice))));
        let keeps = fixed_ips.is_unset();
        let request = PortUpdate { fixed_ips, mac, ..update(number) };
        let before = self.world.snapshot();
        let port_before = self.read(number);
        let can = keeps || self.model.can(number, known.device_owner, &wanted, &known.drawn);
        match self.world.apply(1, &Request::PortUpdate(Box::new(request))) {
            Ok((_, Reply::Port(changed))) => {
                assert!(can, "{wanted:?}");
                for fixed in &changed.fixed_ips {
                    let old =
                        port_before.fixed_ips.iter().find(|f| f.ip_address == fixed.ip_address);
                    assert!(
                        old.is_none_or(|old| old == fixed),
                        "what stays keeps slot and revision"
                    );
                }
                if !keeps {
                    Model::is_as_wanted(&changed, &wanted);
                }
                self.learn(number, known.device_owner, &changed);
            }
            Err(refused) => {
                let taken = mac.is_some_and(|mac| {
                    self.model.ports.iter().any(|(n, k)| *n != number && k.mac == mac)
                });
                assert!(!can || taken, "{wanted:?}: {refused:?}");
                assert_eq!(self.world.snapshot(), before);
            }
            Ok(other) => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, dice: &mut Dice) {
        let number = 1 + u128::from(dice.roll(8));
        let delete =
            PortDelete { port_id: PortId::from_u128(number), expected: Default::default() };
        let done = self.world.apply(1, &Request::PortDelete(delete)).is_ok();
        assert_eq!(done, self.model.ports.remove(&number).is_some());
    }

    /// Somebody without a port takes an address, or lets it go.
    fn plain(&mut self, dice: &mut Dice) {
        let place = &PLACES[dice.roll(4) as usize];
        let all: Vec<IpAddr> = place.all().collect();
        let address = all[dice.roll(all.len() as u64) as usize];
        let number = 1_000 + u128::from(dice.roll(6));
        let request = allocate_with(number, |extras| extras.exact = Some(address));
        let free = !self.model.held(0).contains(&address);
        match self.world.apply(1, &Request::Allocate(request)) {
            Ok((_, Reply::Allocated(got))) => {
                assert!(free || got.first.repeated);
                self.model.plain.insert(address);
            }
            _ => {
                // Taken, or this owner holds another one, which it lets go now.
                let get = release(number);
                if let Ok((_, Reply::Released(released))) =
                    self.world.apply(1, &Request::Release(get))
                {
                    assert!(self.model.plain.remove(&released.address));
                }
            }
        }
    }

    /// An auto-address subnet comes or goes.
    fn automatic(&mut self, dice: &mut Dice) {
        let which = dice.roll(2) as usize;
        let (number, start) = AUTOMATIC[which];
        if self.model.automatic.insert(which) {
            self.world.subnet(slaac(number, &format!("{start}/64")));
            return self.world.work(2);
        }
        let expected = Default::default();
        let delete = SubnetDelete { subnet_id: subnet_id(number), force: false, expected };
        self.world.done(1, Request::SubnetDelete(delete));
        self.world.work(2);
        self.model.automatic.remove(&which);
    }

    /// A port begins or ends to yield.
    fn device_owner(&mut self, dice: &mut Dice) {
        let number = 1 + u128::from(dice.roll(8));
        let Some(known) = self.model.ports.get_mut(&number) else { return };
        known.device_owner = match known.device_owner {
            "" => AGENT,
            AGENT => "",
            _ => return,
        };
        let device_owner = match known.device_owner {
            "" => Setting::Null,
            named => Setting::Value(text(named)),
        };
        let request = PortUpdate { device_owner, ..update(number) };
        self.world.done(1, Request::PortUpdate(Box::new(request)));
    }

    /// A subnet goes if nothing in it stands in the way, and comes again.
    fn place(&mut self, dice: &mut Dice) {
        let place = &PLACES[dice.roll(4) as usize];
        let inside = |drawn: &BTreeSet<IpAddr>| drawn.iter().filter(|a| place.has(a)).count();
        let ports = self.model.ports.values().filter(|known| known.device_owner != AGENT);
        let blocking = inside(&self.model.plain) + ports.map(|p| inside(&p.drawn)).sum::<usize>();
        let expected = Default::default();
        let subnet_id = subnet_id(place.number);
        let delete = Request::SubnetDelete(SubnetDelete { subnet_id, force: false, expected });
        if blocking > 0 {
            let refused = self.world.refused(1, delete);
            assert_eq!(refused.status, Status::IN_USE);
            let count = Detail::Count { count: blocking as u128 };
            assert!(refused.details.contains(&count), "{blocking}: {refused:?}");
            return;
        }
        self.world.done(1, delete);
        self.world.work(2);
        let ports = self.model.ports.values_mut();
        ports.for_each(|known| known.drawn.retain(|address| !place.has(address)));
        self.world.subnet(place.create());
    }

    fn read(&mut self, number: u128) -> Port {
        let port_id = PortId::from_u128(number);
        let get = Request::PortGet(addrd_protocol::message::PortGet { port_id });
        match self.world.done(1, get) {
            Reply::Port(port) => *port,
            other => panic!("{other:?}"),
        }
    }

    fn learn(&mut self, number: u128, device_owner: &'static str, port: &Port) {
        let drawn = port.fixed_ips.iter().filter(|f| !f.automatic).map(|f| f.ip_address).collect();
        let others = self.model.held(number);
        let known = Known { device_owner, mac: port.mac, drawn };
        assert!(known.drawn.is_disjoint(&others), "an address has one holder");
        self.model.ports.insert(number, known);
    }

    /// Every port has what the model knows, and its automatic addresses.
    fn compare(&mut self) {
        for (number, known) in self.model.ports.clone() {
            let port = self.read(number);
            let (automatic, drawn): (Vec<FixedIp>, Vec<FixedIp>) =
                port.fixed_ips.iter().copied().partition(|fixed| fixed.automatic);
            let drawn: BTreeSet<IpAddr> = drawn.iter().map(|f| f.ip_address).collect();
            assert_eq!((drawn, port.mac), (known.drawn, known.mac));
            let is_router = known.device_owner == OWNERS[2];
            let expected = if is_router { 0 } else { self.model.automatic.len() };
            assert_eq!(automatic.len(), expected, "{port:?}");
        }
        let ports = self.model.ports.values().map(|known| known.drawn.len()).sum::<usize>();
        let routers = self.model.ports.values().filter(|known| known.device_owner == OWNERS[2]);
        let others = self.model.ports.len() - routers.count();
        let all = ports + self.model.plain.len() + others * self.model.automatic.len();
        assert_eq!(self.world.shards[0].allocations(), all as u64);
    }
}

/// One of a few MACs, so that they meet.
fn seed_of(dice: &mut Dice) -> u8 {
    dice.roll(4) as u8
}

fn run(steps: &[u64], seed: u64) {
    let mut machine = Machine::new();
    let mut states = vec![(0, machine.world.snapshot())];
    for (at, &seed) in steps.iter().enumerate() {
        machine.step(seed);
        states.push((machine.world.log.effects.len(), machine.world.snapshot()));
        if at % 16 == 0 {
            machine.world.check();
        }
    }
    machine.compare();
    machine.world.check();
    // A fold that was cut, and the journal behind where it began.
    let mut dice = Dice(seed);
    let from = dice.roll(states.len() as u64) as usize;
    let to = from + dice.roll((states.len() - from) as u64) as usize;
    let ((start, old), (_, new)) = (&states[from], &states[to]);
    let mut shard = Rows::mixed(Rows::of(old), Rows::of(new), &mut dice).load();
    for effect in &machine.world.log.effects[*start..] {
        _ = shard.absorb(effect);
    }
    assert_eq!(shard.check(), Vec::<String>::new());
    assert_eq!(shard.snapshot(), machine.world.snapshot(), "from {from} with rows up to {to}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn ports_agree_with_a_naive_model(
        steps in prop::collection::vec(any::<u64>(), 1..120),
        seed in any::<u64>(),
    ) {
        run(&steps, seed);
    }
}
