//! Adoption mode: what owners name exactly they re-take, and nothing is chosen for anybody.

use super::catalogue::{of, pool};
use super::ports::{exact, port, slaac, within};
use super::*;
use addrd_protocol::message::{
    AdoptAction, Adoption, Batch, BatchItem, BatchMode, FromPool, PinCreate, PortCreate,
    PrefixChoice, ProjectUpdate, Renew, ScopeUpdate, ServerAdopt, Strategy,
};
use addrd_protocol::{Family, Mac, PoolId, Setting};

const ADOPTING: Status = Status::ADOPTING;

impl World {
    fn adopt(&mut self, action: AdoptAction) -> Adoption {
        match self.done(0, Request::ServerAdopt(ServerAdopt { action })) {
            Reply::Adoption(adoption) => adoption,
            other => panic!("{other:?}"),
        }
    }
}

fn named(number: u128, address: &str) -> Allocate {
    allocate_with(number, |extras| extras.exact = Some(ip(address)))
}

fn adopting() -> World {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.adopt(AdoptAction::Begin);
    world
}

#[test]
fn it_begins_and_ends_once_and_tells_how_long_it_lasted() {
    let mut world = World::new(3);
    let off = Adoption { adopting: false, repeated: true, lasted_ms: 0 };
    assert_eq!(world.adopt(AdoptAction::End), off);
    assert_eq!(world.log.effects, []);
    let begun = Adoption { adopting: true, repeated: false, lasted_ms: 0 };
    assert_eq!(world.adopt(AdoptAction::Begin), begun);
    assert_eq!(world.log.effects, [Effect::Adoption { since: world.at.tick }]);
    world.at.tick.0 += 5_000;
    let again = Adoption { adopting: true, repeated: true, lasted_ms: 5_000 };
    assert_eq!(world.adopt(AdoptAction::Begin), again);
    assert!(world.shards.iter().all(Shard::is_adopting), "every worker knows");
    let ended = Adoption { adopting: false, repeated: false, lasted_ms: 5_000 };
    assert_eq!(world.adopt(AdoptAction::End), ended);
    assert_eq!(world.log.effects.last(), Some(&Effect::Adoption { since: Tick(0) }));
    assert_eq!(world.log.effects.len(), 2, "what was so before is not recorded");
    assert!(!world.shards.iter().any(Shard::is_adopting));
}

#[test]
fn nothing_is_chosen_whatever_way_it_is_asked_for() {
    let mut world = adopting();
    let refused = world.refused(1, Request::Allocate(allocate(1)));
    assert_eq!((refused.status, refused.retry_after_ms > 0), (ADOPTING, true));
    for strategy in [Strategy::Lowest, Strategy::Next, Strategy::Random, Strategy::Hashed] {
        assert_eq!(world.refusal(Allocate { strategy, ..allocate(1) }), ADOPTING, "{strategy:?}");
    }
    let preferred = allocate_with(1, |extras| extras.preferred = Some(ip("10.0.0.9")));
    assert_eq!(world.refusal(preferred), ADOPTING, "a wish is not a name");
    assert_eq!(world.refusal(Allocate { length: Some(28), ..allocate(1) }), ADOPTING);
    world.adopt(AdoptAction::End);
    assert_eq!(world.address(1), ip("10.0.0.2"), "and the cursor stood still meanwhile");
    world.check();
}

#[test]
fn who_names_an_address_gets_it_and_nobody_else_does() {
    let mut world = adopting();
    let first = world.allocate(named(1, "10.0.0.9"));
    assert_eq!(world.refusal(named(2, "10.0.0.9")), Status::ADDRESS_TAKEN);
    let again = world.allocate(named(1, "10.0.0.9"));
    assert!(again.first.repeated && again.first.revision == first.first.revision);
    let plain = world.allocate(allocate(1));
    assert!(plain.first.repeated, "who holds something already needs no choice");
    assert_eq!(world.release(release(1)), Status::OK);
    assert_eq!(world.allocate(named(2, "10.0.0.9")).first.address, ip("10.0.0.9"));
    world.check();
}

#[test]
fn a_batch_of_named_addresses_is_done_and_one_choice_in_it_refuses_all_of_it() {
    let mut world = adopting();
    let batch = |items: Vec<Allocate>| {
        let items = items.into_iter().map(BatchItem::Allocate).collect();
        Request::Batch(Box::new(Batch { mode: BatchMode::AllOrNothing, items }))
    };
    let before = world.snapshot();
    let mixed = batch(vec![named(1, "10.0.0.9"), allocate(2)]);
    assert_eq!(world.refused(1, mixed).status, ADOPTING);
    assert_eq!(world.snapshot(), before);
    world.done(1, batch(vec![named(1, "10.0.0.9"), named(2, "10.0.0.10")]));
    assert_eq!(world.shards[0].allocations(), 2);
    world.check();
}

#[test]
fn a_pinned_address_is_for_who_names_it() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let pin =
        PinCreate { address: ip("10.0.0.7"), owner: owner(1), slot: Slot(0), owner_name: None };
    world.done(1, Request::PinCreate(Box::new(pin)));
    world.adopt(AdoptAction::Begin);
    assert_eq!(world.refusal(allocate(1)), ADOPTING, "the pin may be older than who has it now");
    assert_eq!(world.refusal(named(2, "10.0.0.7")), Status::PINNED);
    assert_eq!(world.allocate(named(1, "10.0.0.7")).first.address, ip("10.0.0.7"));
}

#[test]
fn ports_come_back_with_the_addresses_that_they_name() {
    let mut world = adopting();
    let port = |number: u8| {
        let mac = Some(Mac([0xfa, 0x16, 0x3e, 0, 0, number]));
        PortCreate { mac, ..port(number.into()) }
    };
    assert_eq!(world.no_port(port(1)), ADOPTING);
    let fixed_ips = Setting::Value(vec![exact("10.0.0.9"), within(1)]);
    assert_eq!(world.no_port(PortCreate { fixed_ips, ..port(1) }), ADOPTING, "all or nothing");
    let fixed_ips = Setting::Value(vec![exact("10.0.0.9")]);
    let made = world.port(PortCreate { fixed_ips: fixed_ips.clone(), ..port(1) });
    assert_eq!(made.fixed_ips.len(), 1);
    let without_mac = PortCreate { fixed_ips: fixed_ips.clone(), mac: None, ..port(2) };
    assert_eq!(world.no_port(without_mac), ADOPTING, "no MAC is made, somebody may have it");
    assert_eq!(world.no_port(PortCreate { fixed_ips, ..port(2) }), Status::ADDRESS_TAKEN);
    let again = world.port(PortCreate { mac: None, ..port(1) });
    assert!(again.repeated, "what is there needs no choice");
    world.check();
}

#[test]
fn what_follows_from_a_mac_is_not_chosen() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.done(1, Request::SubnetCreate(Box::new(slaac(1, "fd00::/64"))));
    world.adopt(AdoptAction::Begin);
    let mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
    let made = world.port(PortCreate { mac: Some(mac), ..port(1) });
    assert_eq!(made.fixed_ips.len(), 1);
    let eui64 = Allocate { strategy: Strategy::Eui64, ..allocate_with(2, |e| e.mac = Some(mac)) };
    assert_eq!(world.refusal(eui64), Status::ADDRESS_TAKEN, "it is the port's");
}

#[test]
fn prefixes_and_subnets_come_from_pools_by_name_alone() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.done(1, Request::NetworkCreate(Box::default()));
    world.adopt(AdoptAction::Begin);
    let from = |id: u128, cidr: &str, by: PrefixChoice| {
        let from = FromPool { subnet_pool_id: PoolId::from_u128(1), by, ..FromPool::default() };
        let create = SubnetCreate { from_pool: Some(Box::new(from)), ..subnet(id, cidr) };
        Request::SubnetCreate(Box::new(create))
    };
    let by_length = world.refused(1, from(1, "0.0.0.0/24", PrefixChoice::Length));
    assert_eq!(by_length.status, ADOPTING);
    world.done(1, from(1, "10.0.3.0/24", PrefixChoice::Exact));
    world.done(1, from(1, "0.0.0.0/24", PrefixChoice::Length));
    let on_pool = Scope { pool: true, ..of(0, 1) };
    let prefix = Allocate { length: Some(24), ..allocate(9) };
    let refused = world.apply_as(&on_pool, &Request::Allocate(prefix)).unwrap_err();
    assert_eq!(refused.status, ADOPTING);
    let exact = allocate_with(9, |extras| extras.exact = Some(ip("10.0.4.0")));
    let taken = Request::Allocate(Allocate { length: Some(24), ..exact });
    assert_eq!(world.apply_as(&on_pool, &taken).unwrap().0, Status::OK);
}

#[test]
fn renewals_go_on() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.allocate(allocate_with(1, |extras| extras.lease_ms = Some(2_000)));
    world.adopt(AdoptAction::Begin);
    let target = Target::Key { owner: owner(1), slot: Slot(0) };
    let renew = Renew { target, fences: Fences::default(), lease_ms: 9_000 };
    world.done(1, Request::Renew(renew));
}

#[test]
fn later_servers_give_objects_revisions_that_no_earlier_one_gave() {
    let mut world = World::with_projects();
    world.address_scope(3, Family::V4, false);
    // A restored server begins at a tick behind all that the lost one can have given.
    world.at.tick = Tick(9_000);
    let floor = world.at.tick.first_revision();
    let (name, description) = (Setting::Unset, Setting::Value(text("new")));
    let update = ScopeUpdate { description: description.clone(), ..ScopeUpdate::default() };
    match world.done_as(&of(0, 3), Request::ScopeUpdate(Box::new(update))) {
        Reply::Scope(scope) => assert!(scope.revision.0 > floor, "{scope:?}"),
        other => panic!("{other:?}"),
    }
    let update = ProjectUpdate { name, description, ..ProjectUpdate::default() };
    match world.done_as(&of(1, 0), Request::ProjectUpdate(Box::new(update))) {
        Reply::Project(project) => assert!(project.revision.0 > floor, "{project:?}"),
        other => panic!("{other:?}"),
    }
}
