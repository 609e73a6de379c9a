//! Random operations of three projects on networks that two of them share under one id, without a
//! model: after every few steps all counts are made afresh, and no answer has what another project wrote
//! beside its allocations and ports (T13).
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing case prints its steps.

use super::catalogue::{of, project};
use super::dice::Dice;
use super::machine::cases;
use super::ports::{port, slaac, update};
use super::recovery::mends;
use super::shared::share;
use super::*;
use crate::model::Range;
use addrd_protocol::message::{
    AllocationFilter, AllocationGet, AllocationList, AllocationUpdate, Batch, BatchItem, BatchMode,
    Exclusion, ExclusionMode, Lookup, PinCreate, PinDelete, PortCreate, PortDelete, PortGet,
    PortList, PortUpdate, ProjectDelete, SubnetDelete, SubnetExclude, SubnetInclude,
};
use addrd_protocol::{Mac, PortId, Setting};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Each actor's texts have this, and nobody else's.
fn secret(actor: u128) -> String {
    format!("canary-of-{actor}")
}

/// Owners are the same in all projects, or one project's own.
fn owner_of(actor: u128, dice: &mut Dice) -> u128 {
    let number = 1 + u128::from(dice.roll(4));
    if dice.once_in(2) { number } else { 0xabc_0000 + (actor << 8) + number }
}

struct Storm {
    world: World,
    states: Vec<(usize, Snapshot)>,
    /// Whether a guest asked, and what was answered.
    seen: BTreeSet<(bool, Status)>,
}

impl Storm {
    fn new(shards: usize) -> Self {
        let mut world = World::new(shards);
        for number in [1, 2] {
            world.done_as(&of(number, 0), Request::ProjectCreate(Box::default()));
        }
        for home in [0, 1] {
            let create = NetworkCreate { shared: true, ..NetworkCreate::default() };
            world.done_as(&of(home, 1), Request::NetworkCreate(Box::new(create)));
        }
        for home in [0, 1] {
            world.done_as(&of(home, 1), Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/29"))));
        }
        let states = vec![(world.log.effects.len(), world.snapshot())];
        Self { world, states, seen: BTreeSet::new() }
    }

    fn step(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        let actor = u128::from(dice.roll(3));
        let home = u128::from(dice.roll(2));
        let id = if dice.once_in(12) { 2 } else { 1 };
        let own = of(home, id);
        let scope = match actor == home {
            true => of(actor, id),
            false => Scope { network_project: Some(project(home)), ..of(actor, id) },
        };
        match dice.roll(40) {
            0..20 => {
                let request = Self::item_request(actor, &mut dice);
                _ = self.apply(actor, &scope, &request);
            }
            20..24 => {
                let mode = dice.one_of(&[BatchMode::AllOrNothing, BatchMode::Independent]);
                let count = 1 + dice.roll(6);
                let items = (0..count).map(|_| Self::item(actor, &mut dice)).collect();
                _ = self.apply(actor, &scope, &Request::Batch(Box::new(Batch { mode, items })));
            }
            24..32 => self.read(actor, &scope, &mut dice),
            32 => {
                let shared = !dice.once_in(3);
                _ = self.apply(home, &own, &share(shared));
            }
            33 => self.project(actor, &mut dice),
            34 if dice.once_in(3) => self.network(home, &own, &mut dice),
            _ => self.objects(home, &own, &mut dice),
        }
        if dice.once_in(4) {
            let objects = 1 + dice.roll(4) as usize;
            self.world.work(objects);
        }
        for shard in &self.world.shards {
            assert_eq!(shard.check(), Vec::<String>::new());
        }
        self.states.push((self.world.log.effects.len(), self.world.snapshot()));
    }

    /// Applies a request; sees that the answer tells nothing of others, and that a refusal changes nothing.
    fn apply(&mut self, actor: u128, scope: &Scope, request: &Request) -> Answer {
        let (effects, before) = (self.world.log.effects.len(), self.world.snapshot());
        let answer = self.world.apply_as(scope, request);
        let status = answer.as_ref().map_or_else(|refused| refused.status, |done| done.0);
        self.seen.insert((scope.guest().is_some(), status));
        let text = format!("{answer:?}");
        for other in (0..3).filter(|other| *other != actor) {
            assert!(
                !text.contains(&secret(other)),
                "{actor} learns of {other}: {request:?} {text}"
            );
            // A refusal may repeat what was asked for.
            let owners = format!("abc0{other:x}0");
            let tells = answer.is_ok() && text.contains(&owners);
            assert!(!tells, "{actor} learns of {other}: {request:?} {text}");
        }
        if let Err(refused) = &answer {
            assert_eq!(self.world.log.effects.len(), effects, "{request:?} {refused:?}");
            assert_eq!(self.world.snapshot(), before, "{request:?} {refused:?}");
        }
        answer
    }

    fn address(dice: &mut Dice) -> IpAddr {
        ip(&format!("10.0.0.{}", dice.roll(9)))
    }

    fn target(actor: u128, dice: &mut Dice) -> Target {
        match dice.roll(3) {
            0 => Target::Address(Self::address(dice)),
            _ => {
                Target::Key { owner: owner(owner_of(actor, dice)), slot: Slot(dice.roll(3) as u16) }
            }
        }
    }

    fn item(actor: u128, dice: &mut Dice) -> BatchItem {
        let secret = || Some(text(&secret(actor)));
        match dice.roll(12) {
            0..5 => {
                let number = owner_of(actor, dice);
                let mut request = allocate(number);
                if dice.once_in(2) {
                    request = allocate_with(number, |extras| {
                        extras.label = secret();
                        extras.manager = secret();
                        extras.owner_name = secret();
                        extras.exact = dice.once_in(3).then(|| Self::address(dice));
                        extras.preferred = dice.once_in(4).then(|| Self::address(dice));
                    });
                }
                request.slot = Slot(dice.roll(3) as u16);
                request.instance.0 = dice.roll(3) * u64::from(dice.once_in(4));
                request.flags.takeover = dice.once_in(2);
                request.flags.want_subnet = dice.once_in(4);
                if dice.once_in(6) {
                    request.length = Some(dice.one_of(&[30, 31, 32]));
                }
                BatchItem::Allocate(request)
            }
            5..7 => BatchItem::Release(Release {
                target: Self::target(actor, dice),
                fences: Fences::default(),
                any: true,
            }),
            7 => BatchItem::Update(Box::new(AllocationUpdate {
                target: Self::target(actor, dice),
                fences: Fences {
                    owner: dice.once_in(2).then(|| owner(owner_of(actor, dice))),
                    manager: dice.once_in(2).then(|| text(&format!("canary-of-{actor}"))),
                    ..Fences::default()
                },
                label: Setting::Value(text(&format!("canary-of-{actor} again"))),
                host: Setting::Null,
                manager_name: Setting::Unset,
                owner_name: Setting::Unset,
                lease_ms: Setting::Unset,
                follow_host: None,
            })),
            8..10 => BatchItem::PortCreate(Box::new(PortCreate {
                mac: dice.once_in(2).then(|| Mac([0xfa, 0, 0, 0, 0, dice.roll(5) as u8])),
                description: secret(),
                host: dice.once_in(3).then(|| text(&format!("canary-of-{actor}"))),
                device_owner: dice.once_in(3).then(|| {
                    text(dice.one_of(&["network:dhcp", "network:router_interface", "compute:a"]))
                }),
                ..port(owner_of(actor, dice))
            })),
            10 => BatchItem::PortUpdate(Box::new(PortUpdate {
                mac: dice.once_in(2).then(|| Mac([0xfa, 0, 0, 0, 0, dice.roll(5) as u8])),
                description: Setting::Value(text(&format!("canary-of-{actor} {}", dice.roll(9)))),
                ..update(owner_of(actor, dice))
            })),
            _ => BatchItem::PortDelete(PortDelete {
                port_id: PortId::from_u128(owner_of(actor, dice)),
                expected: Default::default(),
            }),
        }
    }

    fn item_request(actor: u128, dice: &mut Dice) -> Request {
        match Self::item(actor, dice) {
            BatchItem::Allocate(item) => Request::Allocate(item),
            BatchItem::Release(item) => Request::Release(item),
            BatchItem::Update(item) => Request::AllocationUpdate(item),
            BatchItem::PortCreate(item) => Request::PortCreate(item),
            BatchItem::PortUpdate(item) => Request::PortUpdate(item),
            BatchItem::PortDelete(item) => Request::PortDelete(item),
            BatchItem::Renew(item) => Request::Renew(item),
            BatchItem::HoldConfirm(item) => Request::HoldConfirm(item),
            BatchItem::HoldCancel(item) => Request::HoldCancel(item),
            BatchItem::HoldRelease(item) => Request::HoldRelease(item),
            BatchItem::Transfer(item) => Request::Transfer(item),
        }
    }

    fn read(&mut self, actor: u128, scope: &Scope, dice: &mut Dice) {
        let other = u128::from(dice.roll(3));
        let number = owner_of(other, dice);
        let request = match dice.roll(7) {
            0 => Request::AllocationGet(Box::new(AllocationGet {
                target: Self::target(actor, dice),
            })),
            1 => Request::AllocationList(Box::default()),
            2 => {
                let filter = AllocationFilter {
                    owner: dice.once_in(2).then(|| owner(number)),
                    label: dice.once_in(2).then(|| text(&secret(other))),
                    ..AllocationFilter::default()
                };
                let list = AllocationList { filter, ..AllocationList::default() };
                Request::AllocationList(Box::new(list))
            }
            3 => Request::PortList(Box::<PortList>::default()),
            4 => Request::PortGet(PortGet { port_id: PortId::from_u128(number) }),
            5 => Request::Lookup(Box::new(Lookup::Owner(owner(number)))),
            _ => Request::Lookup(Box::new(Lookup::Address(Self::address(dice)))),
        };
        let everywhere = matches!(request, Request::Lookup(_)) && dice.once_in(2);
        let scope = if everywhere { of(actor, 0) } else { *scope };
        let answer = self.apply(actor, &scope, &request);
        let asks_who = matches!(&request, Request::AllocationList(list)
            if list.filter != AllocationFilter::default());
        if let (true, Ok((_, Reply::Allocations(page)))) = (asks_who, answer) {
            assert!(page.items.iter().all(|one| one.project_id == project(actor)));
        }
    }

    fn project(&mut self, actor: u128, dice: &mut Dice) {
        let request = match dice.once_in(3) {
            true => Request::ProjectCreate(Box::default()),
            false => Request::ProjectDelete(ProjectDelete::default()),
        };
        let answer = self.apply(actor, &of(actor, 0), &request);
        if matches!(request, Request::ProjectDelete(_)) && answer.is_ok() {
            let count: u64 =
                self.world.shards.iter().map(|shard| shard.guest_count(project(actor))).sum();
            assert_eq!(count, 0);
        }
    }

    fn network(&mut self, home: u128, own: &Scope, dice: &mut Dice) {
        let request = match dice.roll(2) {
            0 => Request::NetworkCreate(Box::new(NetworkCreate {
                shared: dice.once_in(2),
                ..NetworkCreate::default()
            })),
            _ => Request::NetworkDelete(NetworkDelete {
                force: dice.once_in(2),
                expected: Default::default(),
            }),
        };
        _ = self.apply(home, own, &request);
    }

    fn objects(&mut self, home: u128, own: &Scope, dice: &mut Dice) {
        let id = 1 + u128::from(dice.roll(3));
        let range = Range::new(ip("10.0.0.2"), ip("10.0.0.3")).unwrap();
        let request = match dice.roll(8) {
            0 => Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/29"))),
            1 => Request::SubnetCreate(Box::new(slaac(2, "fd00:1::/64"))),
            2 => Request::SubnetCreate(Box::new(subnet(3, "10.0.1.0/30"))),
            3 => Request::SubnetDelete(SubnetDelete {
                subnet_id: subnet_id(id),
                force: dice.once_in(3),
                expected: Default::default(),
            }),
            4 => Request::SubnetExclude(Box::new(SubnetExclude {
                subnet_id: subnet_id(1),
                exclusion: Exclusion { range, mode: ExclusionMode::Automatic, reason: None },
            })),
            5 => Request::SubnetInclude(Box::new(SubnetInclude { subnet_id: subnet_id(1), range })),
            6 => Request::PinCreate(Box::new(PinCreate {
                address: Self::address(dice),
                owner: owner(owner_of(home, dice)),
                slot: Slot(0),
                owner_name: Some(text(&secret(home))),
            })),
            _ => Request::PinDelete(PinDelete { address: Self::address(dice) }),
        };
        _ = self.apply(home, own, &request);
    }
}

fn run(steps: &[u64], seed: u64) -> BTreeSet<(bool, Status)> {
    let mut storm = Storm::new(1 + seed as usize % 3);
    for &step in steps {
        storm.step(step);
    }
    storm.world.check();
    mends(&storm.world.log.effects, &storm.states, seed);
    storm.seen
}

#[test]
fn the_storm_meets_every_refusal_that_projects_can_give_each_other() {
    let mut dice = Dice(0x5eed);
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let steps: Vec<u64> = (0..100).map(|_| dice.roll(u64::MAX)).collect();
        let seed = dice.roll(u64::MAX);
        seen.extend(run(&steps, seed));
    }
    let of_both = [
        Status::OK,
        Status::NOT_HELD,
        Status::NOT_FOUND,
        Status::ADDRESS_TAKEN,
        Status::KEY_IN_USE,
        Status::HELD_BY_OTHER_INSTANCE,
        Status::EXHAUSTED,
        Status::PINNED,
        Status::MAC_IN_USE,
        Status::DELETING,
    ];
    for status in of_both {
        assert!(seen.contains(&(true, status)), "no guest met {status:?}");
        assert!(seen.contains(&(false, status)), "no owner of a network met {status:?}");
    }
    for status in [Status::NOT_HOLDER, Status::IN_USE] {
        assert!(seen.contains(&(false, status)), "no owner of a network met {status:?}");
    }
    assert!(!seen.contains(&(true, Status::IN_USE)), "a guest changes no network");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn projects_on_shared_networks_keep_their_counts_and_their_secrets(
        steps in prop::collection::vec(any::<u64>(), 1..120),
        seed in any::<u64>(),
    ) {
        _ = run(&steps, seed);
    }
}
