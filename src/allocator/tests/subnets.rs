//! Subnets by the rules of protocol/SPEC.md, subnet_create, subnet_update and allocate: a test for each
//! row of Neutron's semantics that no other file has, and for each difference on purpose.

use super::places::change_of;
use super::ports::slaac;
use super::*;
use crate::model::{Prefix, Range, Revision};
use addrd_protocol::Setting;
use addrd_protocol::message::{
    Detail, FamilyChoice, Route, Strategy, SubnetKind, SubnetUpdate, SubnetUsage,
};

fn range(text: &str) -> Range {
    let (first, last) = text.split_once('-').unwrap();
    Range::new(ip(first), ip(last)).unwrap()
}

fn ranges(all: &[&str]) -> Setting<Vec<Range>> {
    Setting::Value(all.iter().map(|text| range(text)).collect())
}

fn gateway(text: &str) -> Setting<IpAddr> {
    Setting::Value(ip(text))
}

fn exact(owner: u128, address: &str) -> Allocate {
    allocate_with(owner, |extras| extras.exact = Some(ip(address)))
}

fn empty() -> World {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world
}

/// Why a subnet is refused in an empty network.
fn refusal_of(create: SubnetCreate) -> Status {
    let mut world = empty();
    let before = world.snapshot();
    let status = world.refused(1, Request::SubnetCreate(Box::new(create))).status;
    assert_eq!(world.snapshot(), before, "a refusal changes nothing");
    status
}

/// Gateway and pools of a subnet that says nothing about them.
fn by_default(create: SubnetCreate) -> (Option<IpAddr>, Vec<Range>) {
    let made = empty().subnet(create);
    (made.gateway, made.pools)
}

fn updated(world: &mut World, update: SubnetUpdate) -> Subnet {
    match world.done(1, Request::SubnetUpdate(Box::new(update))) {
        Reply::Subnet(subnet) => *subnet,
        other => panic!("{other:?}"),
    }
}

fn not_updated(world: &mut World, update: SubnetUpdate) -> Status {
    let before = world.snapshot();
    let status = world.refused(1, Request::SubnetUpdate(Box::new(update))).status;
    assert_eq!(world.snapshot(), before, "a refusal changes nothing");
    status
}

fn usage(world: &mut World) -> SubnetUsage {
    match world.done(1, Request::Usage(Box::default())) {
        Reply::Usage(usage) => usage.subnets[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn create_refuses_prefixes_that_are_no_subnet() {
    for cidr in ["0.0.0.0/0", "::/0", "::/64"] {
        assert_eq!(refusal_of(subnet(1, cidr)), Status::INVALID_PREFIX, "{cidr}");
    }
    let served = |cidr| SubnetCreate { enable_dhcp: true, ..subnet(1, cidr) };
    for cidr in
        ["10.0.0.0/31", "10.0.0.0/32", "fd00::/127", "224.0.0.0/24", "127.0.0.0/8", "0.0.0.0/8"]
    {
        assert_eq!(refusal_of(served(cidr)), Status::INVALID_PREFIX, "{cidr}");
    }
    for cidr in ["10.0.0.0/30", "fd00::/126"] {
        empty().subnet(served(cidr));
    }
}

#[test]
fn create_overlaps_no_subnet_of_its_network_and_names_others_that_it_does() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let before = world.snapshot();
    for cidr in ["10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"] {
        let refused = world.refused(1, Request::SubnetCreate(Box::new(subnet(2, cidr))));
        assert_eq!(refused.status, Status::PREFIX_OVERLAP, "{cidr}");
        assert!(matches!(refused.details[..], [Detail::Other { .. }]), "{refused:?}");
    }
    assert_eq!(world.snapshot(), before);
    world.done(2, Request::NetworkCreate(Box::default()));
    let elsewhere = Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/16")));
    let Reply::Subnet(made) = world.done(2, elsewhere) else { panic!() };
    assert_eq!(made.overlaps.len(), 1, "{made:?}");
}

#[test]
fn gateway_unset_is_network_plus_one_null_is_none_and_a_value_is_that() {
    let (v4, v6) = (subnet(1, "10.0.0.0/24"), subnet(1, "fd00::/64"));
    assert_eq!(by_default(v4.clone()).0, Some(ip("10.0.0.1")));
    assert_eq!(by_default(v6.clone()).0, Some(ip("fd00::1")));
    let with = |gateway, create: &SubnetCreate| SubnetCreate { gateway, ..create.clone() };
    assert_eq!(by_default(with(Setting::Null, &v4)).0, None);
    assert_eq!(by_default(with(gateway("10.0.0.77"), &v4)).0, Some(ip("10.0.0.77")));
    assert_eq!(by_default(with(gateway("192.0.2.1"), &v4)).0, Some(ip("192.0.2.1")), "on-link");
    for wrong in ["10.0.0.0", "10.0.0.255", "fd00::1"] {
        assert_eq!(refusal_of(with(gateway(wrong), &v4)), Status::INVALID_GATEWAY, "{wrong}");
    }
    assert_eq!(refusal_of(with(gateway("10.0.0.1"), &v6)), Status::INVALID_GATEWAY);
    for any in ["fd00::", "fd00::ffff:ffff:ffff:ffff", "fe80::1"] {
        assert_eq!(by_default(with(gateway(any), &v6)).0, Some(ip(any)));
    }
}

#[test]
fn differs_prefixes_of_two_addresses_or_one_have_no_automatic_gateway() {
    for cidr in ["10.0.0.0/31", "10.0.0.0/32", "fd00::/127", "fd00::/128"] {
        assert_eq!(by_default(subnet(1, cidr)).0, None, "{cidr}");
    }
}

#[test]
fn default_pools_are_the_prefix_without_its_ends_and_the_gateway() {
    let of = |cidr, gateway| by_default(SubnetCreate { gateway, ..subnet(1, cidr) }).1;
    let listed = |all: &[&str]| all.iter().map(|text| range(text)).collect::<Vec<_>>();
    assert_eq!(of("10.0.0.0/24", Setting::Unset), listed(&["10.0.0.2-10.0.0.254"]));
    assert_eq!(
        of("10.0.0.0/24", gateway("10.0.0.77")),
        listed(&["10.0.0.1-10.0.0.76", "10.0.0.78-10.0.0.254"])
    );
    assert_eq!(of("10.0.0.0/24", gateway("192.0.2.1")), listed(&["10.0.0.1-10.0.0.254"]));
    assert_eq!(of("10.0.0.0/24", Setting::Null), listed(&["10.0.0.1-10.0.0.254"]));
    assert_eq!(of("10.0.0.4/31", Setting::Unset), listed(&["10.0.0.4-10.0.0.5"]));
    assert_eq!(of("10.0.0.9/32", Setting::Unset), listed(&["10.0.0.9-10.0.0.9"]));
    assert_eq!(of("fd00::/126", Setting::Null), listed(&["fd00::1-fd00::3"]));
}

#[test]
fn explicit_pools_are_validated() {
    let with = |pools| SubnetCreate { pools, ..subnet(1, "10.0.0.0/24") };
    for (pools, status) in [
        (ranges(&["10.0.0.0-10.0.0.9"]), Status::POOL_OUTSIDE),
        (ranges(&["10.0.0.200-10.0.0.255"]), Status::POOL_OUTSIDE),
        (ranges(&["10.0.1.1-10.0.1.9"]), Status::POOL_OUTSIDE),
        (ranges(&["fd00::1-fd00::9"]), Status::POOL_OUTSIDE),
        (ranges(&["10.0.0.10-10.0.0.20", "10.0.0.20-10.0.0.30"]), Status::POOL_OVERLAP),
        (ranges(&["10.0.0.1-10.0.0.9"]), Status::GATEWAY_IN_POOL),
    ] {
        assert_eq!(refusal_of(with(pools.clone())), status, "{pools:?}");
    }
    // One that ends before it begins is no range, so no request has it.
    assert_eq!(Range::new(ip("10.0.0.9"), ip("10.0.0.1")), None);
}

#[test]
fn addresses_outside_the_pools_are_had_by_asking_for_them() {
    let pools = ranges(&["10.0.0.10-10.0.0.11"]);
    let mut world = World::with_subnet(SubnetCreate { pools, ..subnet(1, "10.0.0.0/24") });
    assert_eq!((world.address(1), world.address(2)), (ip("10.0.0.10"), ip("10.0.0.11")));
    assert_eq!(world.refusal(allocate(3)), Status::EXHAUSTED);
    assert_eq!(world.allocate(exact(3, "10.0.0.200")).first.address, ip("10.0.0.200"));
    for (address, status) in [
        ("10.0.0.0", Status::INVALID_ADDRESS),
        ("10.0.0.255", Status::INVALID_ADDRESS),
        ("10.0.1.1", Status::INVALID_ADDRESS),
        ("10.0.0.10", Status::ADDRESS_TAKEN),
    ] {
        assert_eq!(world.refusal(exact(4, address)), status, "{address}");
    }
    let found = usage(&mut world);
    assert_eq!((found.pool_size, found.allocated, found.used_outside), (2, 2, 1));
}

#[test]
fn differs_an_empty_list_of_pools_is_none_and_null_is_the_default() {
    let with = |pools| SubnetCreate { pools, ..subnet(1, "10.0.0.0/29") };
    assert_eq!(by_default(with(ranges(&[]))).1, []);
    assert_eq!(by_default(with(Setting::Null)).1, [range("10.0.0.2-10.0.0.6")]);
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    let name = Setting::Value(text("web"));
    let unset = updated(&mut world, SubnetUpdate { name, ..change_of(1) });
    assert_eq!(unset.pools, [range("10.0.0.2-10.0.0.6")], "unset = unchanged");
    let pools = |pools| SubnetUpdate { pools, ..change_of(1) };
    assert_eq!(updated(&mut world, pools(ranges(&[]))).pools, []);
    assert_eq!(world.refusal(allocate(1)), Status::NO_MATCHING_SUBNET);
    assert_eq!(world.allocate(exact(1, "10.0.0.3")).first.address, ip("10.0.0.3"));
    assert_eq!(updated(&mut world, pools(Setting::Null)).pools, [range("10.0.0.2-10.0.0.6")]);
}

#[test]
fn update_replaces_pools_and_keeps_what_is_allocated_outside() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    assert_eq!(world.address(1), ip("10.0.0.2"));
    let pools = ranges(&["10.0.0.100-10.0.0.101"]);
    updated(&mut world, SubnetUpdate { pools, ..change_of(1) });
    assert_eq!(world.address(2), ip("10.0.0.100"));
    assert!(world.allocate(allocate(1)).first.repeated, "kept");
    let found = usage(&mut world);
    assert_eq!((found.pool_size, found.allocated, found.used_outside), (2, 1, 1));
    let bad = ranges(&["10.0.0.0-10.0.0.101"]);
    let status = not_updated(&mut world, SubnetUpdate { pools: bad, ..change_of(1) });
    assert_eq!(status, Status::POOL_OUTSIDE);
    world.check();
}

#[test]
fn update_of_the_gateway_stays_out_of_old_and_new_pools_and_gives_nothing_back() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let to = |gateway| SubnetUpdate { gateway, ..change_of(1) };
    assert_eq!(not_updated(&mut world, to(gateway("10.0.0.9"))), Status::GATEWAY_IN_POOL);
    let pools = ranges(&["10.0.0.5-10.0.0.20"]);
    let both = SubnetUpdate { pools: pools.clone(), ..to(gateway("10.0.0.9")) };
    assert_eq!(not_updated(&mut world, both), Status::GATEWAY_IN_POOL);
    let apart = SubnetUpdate { pools, ..to(gateway("10.0.0.254")) };
    assert_eq!(updated(&mut world, apart).gateway, Some(ip("10.0.0.254")));
    let gone = updated(&mut world, to(Setting::Null));
    assert_eq!((gone.gateway, &gone.pools[..]), (None, &[range("10.0.0.5-10.0.0.20")][..]));
    let unset = updated(&mut world, SubnetUpdate { dns_servers: Setting::Null, ..change_of(1) });
    assert_eq!(unset.gateway, None, "unset = unchanged");
}

#[test]
fn update_never_changes_prefix_kind_and_modes() {
    let mut world = World::with_subnet(slaac(1, "fd00::/64"));
    for other in [
        slaac(1, "fd01::/64"),
        subnet(1, "fd00::/64"),
        SubnetCreate { kind: SubnetKind::Routed, ..slaac(1, "fd00::/64") },
    ] {
        let refused = world.refused(1, Request::SubnetCreate(Box::new(other)));
        assert_eq!(refused.status, Status::ID_IN_USE);
    }
}

#[test]
fn dns_servers_and_routes_are_limited() {
    let servers = |count: u8| SubnetCreate {
        dns_servers: (0..count).map(|n| IpAddr::from([10, 0, 0, n])).collect(),
        ..subnet(1, "10.0.0.0/24")
    };
    empty().subnet(servers(5));
    assert_eq!(refusal_of(servers(6)), Status::OUT_OF_RANGE);
    let route = |n: u8| Route {
        destination: Prefix::new(IpAddr::from([10, 1, n, 0]), 24).unwrap(),
        next_hop: ip("10.0.0.9"),
    };
    let routes = |count| SubnetCreate {
        routes: (0..count).map(route).collect(),
        ..subnet(1, "10.0.0.0/24")
    };
    empty().subnet(routes(20));
    assert_eq!(refusal_of(routes(21)), Status::OUT_OF_RANGE);
}

#[test]
fn differs_the_gateway_is_refused_unless_the_request_allows_it() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    assert_eq!(world.refusal(exact(1, "10.0.0.1")), Status::IS_GATEWAY);
    let mut allowed = exact(1, "10.0.0.1");
    allowed.flags.allow_gateway = true;
    assert_eq!(world.allocate(allowed).first.address, ip("10.0.0.1"));
}

#[test]
fn differs_the_network_address_of_ipv6_is_never_chosen() {
    let mut world = World::with_subnet(SubnetCreate {
        gateway: Setting::Null,
        strategy: Strategy::Lowest,
        ..subnet(1, "fd00::/126")
    });
    let got: Vec<IpAddr> = (1..=3).map(|owner| world.address(owner)).collect();
    assert_eq!(got, ["fd00::1", "fd00::2", "fd00::3"].map(ip));
    assert_eq!(world.refusal(allocate(4)), Status::EXHAUSTED);
}

#[test]
fn differs_a_routed_subnet_hands_out_every_address() {
    let create = SubnetCreate { kind: SubnetKind::Routed, ..subnet(1, "10.0.0.0/30") };
    let mut world = World::with_subnet(create);
    let got: Vec<IpAddr> = (1..=4).map(|owner| world.address(owner)).collect();
    assert_eq!(got, ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"].map(ip));
}

#[test]
fn differs_enable_dhcp_is_false_unless_said() {
    assert!(!empty().subnet(subnet(1, "10.0.0.0/31")).enable_dhcp);
}

#[test]
fn differs_counts_are_of_128_bits_and_tell_pools_from_prefixes() {
    let mut world = World::with_subnet(subnet(1, "fd00::/32"));
    world.address(1);
    let found = usage(&mut world);
    assert_eq!(found.size, 1 << 96);
    // Without the network address and the gateway.
    assert_eq!(found.pool_size, (1 << 96) - 2);
    assert_eq!((found.allocated, found.free), (1, (1 << 96) - 3));
    let pools = ranges(&[]);
    let mut bare = World::with_subnet(SubnetCreate { pools, ..subnet(1, "10.0.0.0/24") });
    let found = usage(&mut bare);
    assert_eq!((found.size, found.pool_size), (256, 0), "no pool is no address, not all of them");
}

#[test]
fn any_address_goes_through_the_candidates_in_their_order() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/30"));
    world.subnet(subnet(2, "10.0.1.0/30"));
    let of = |owner, subnets: &[u128]| {
        allocate_with(owner, |extras| {
            extras.subnets = subnets.iter().map(|&id| subnet_id(id)).collect();
        })
    };
    let first = world.allocate(of(1, &[2, 1])).first;
    assert_eq!((first.address, first.subnet_id), (ip("10.0.1.2"), subnet_id(2)));
    let next = world.allocate(of(2, &[2, 1])).first;
    assert_eq!((next.address, next.subnet_id), (ip("10.0.0.2"), subnet_id(1)));
    let refused = world.refused(1, Request::Allocate(of(3, &[2, 1])));
    assert_eq!(refused.status, Status::EXHAUSTED);
    let named = |detail: &&Detail| matches!(detail, Detail::Candidate(_));
    assert_eq!(refused.details.iter().filter(named).count(), 2, "{refused:?}");
    let v6 = Allocate { family: FamilyChoice::V6, ..allocate(3) };
    assert_eq!(world.refusal(v6), Status::NO_MATCHING_SUBNET);
}

#[test]
fn releasing_what_is_not_held_is_no_error() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    assert_eq!(world.release(release(1)), Status::NOT_HELD);
    world.address(1);
    assert_eq!(world.release(release(1)), Status::OK);
    assert_eq!(world.release(release(1)), Status::NOT_HELD);
}

#[test]
fn update_is_repeated_if_so_already_and_else_expects_the_revision() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let named = |name: &str, expected| SubnetUpdate {
        name: Setting::Value(text(name)),
        expected: Revision(expected),
        ..change_of(1)
    };
    let first = updated(&mut world, named("web", 0));
    assert!(updated(&mut world, named("web", 1)).repeated);
    assert_eq!(not_updated(&mut world, named("db", first.revision.0 - 1)), Status::STALE);
    assert!(updated(&mut world, named("db", first.revision.0)).revision > first.revision);
}
