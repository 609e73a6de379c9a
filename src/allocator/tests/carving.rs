//! Subnets from pools and in address scopes: affinity, overlap, deletion in every way.

use super::catalogue::{of, pool, prefixes};
use super::*;
use addrd_protocol::message::{
    Detail, FromPool, Network, NetworkUpdate, PoolCreate, PoolUpdate, PrefixChoice, SubnetDelete,
    SubnetKind,
};
use addrd_protocol::{AddressScopeId, Family, PoolId, Setting};

/// A subnet from a pool by length.
fn carved(id: u128, length: u8, of_pool: u128) -> SubnetCreate {
    from(id, &format!("0.0.0.0/{length}"), of_pool, PrefixChoice::Length)
}

fn from(id: u128, cidr: &str, of_pool: u128, by: PrefixChoice) -> SubnetCreate {
    let from = FromPool { subnet_pool_id: PoolId::from_u128(of_pool), by, ..FromPool::default() };
    SubnetCreate { from_pool: Some(Box::new(from)), ..subnet(id, cidr) }
}

impl World {
    fn network(&mut self, project: u128, id: u128) {
        self.done_as(&of(project, id), Request::NetworkCreate(Box::default()));
    }

    fn scoped_network(&mut self, project: u128, id: u128, scope: u128) -> Network {
        let create = NetworkCreate {
            scope_v4: Some(AddressScopeId::from_u128(scope)),
            ..NetworkCreate::default()
        };
        match self.done_as(&of(project, id), Request::NetworkCreate(Box::new(create))) {
            Reply::Network(network) => *network,
            other => panic!("{other:?}"),
        }
    }

    fn carve(&mut self, network: u128, create: SubnetCreate) -> Subnet {
        match self.done_as(&of(0, network), Request::SubnetCreate(Box::new(create))) {
            Reply::Subnet(subnet) => *subnet,
            other => panic!("{other:?}"),
        }
    }

    fn not_carved(&mut self, network: u128, create: SubnetCreate) -> Status {
        self.refused_as(&of(0, network), Request::SubnetCreate(Box::new(create))).status
    }

    fn drop_subnet(&mut self, network: u128, id: u128, force: bool) {
        let expected = Default::default();
        let delete = SubnetDelete { subnet_id: subnet_id(id), force, expected };
        self.done_as(&of(0, network), Request::SubnetDelete(delete));
    }
}

#[test]
fn a_subnet_takes_its_prefix_from_a_pool_and_gives_it_back() {
    let mut world = World::new(2);
    world.pool(1, PoolCreate { default_length: Some(26), ..pool(&["10.0.0.0/16"]) });
    world.network(0, 10);
    let first = world.carve(10, from(1, "10.0.64.0/24", 1, PrefixChoice::Exact));
    assert_eq!(first.subnet_pool_id, Some(PoolId::from_u128(1)));
    assert_eq!(first.gateway, Some(ip("10.0.64.1")));
    let second = world.carve(10, from(2, "0.0.0.0/0", 1, PrefixChoice::DefaultLength));
    assert_eq!(second.cidr.to_string(), "10.0.65.0/26");
    assert_eq!(world.carve(10, carved(3, 20, 1)).cidr.to_string(), "10.0.80.0/20");
    assert_eq!(world.pool_get(1).taken, 3);
    // Sent again.
    let again = world.carve(10, carved(3, 20, 1));
    assert!(again.repeated);
    assert_eq!(world.not_carved(10, carved(3, 21, 1)), Status::ID_IN_USE);
    // From no pool it may have been, and taken into this one since.
    assert!(world.carve(10, subnet(3, "10.0.80.0/20")).repeated);
    assert_eq!(world.not_carved(10, subnet(3, "10.0.96.0/20")), Status::ID_IN_USE);
    let by_default = from(2, "0.0.0.0/0", 1, PrefixChoice::DefaultLength);
    assert!(world.carve(10, by_default).repeated);
    // A refusal takes nothing.
    assert_eq!(
        world.not_carved(10, from(4, "10.0.64.0/25", 1, PrefixChoice::Exact)),
        Status::PREFIX_TAKEN
    );
    assert_eq!(
        world.not_carved(10, from(4, "10.1.0.0/25", 1, PrefixChoice::Exact)),
        Status::OUTSIDE_POOL
    );
    assert_eq!(world.not_carved(10, carved(4, 7, 1)), Status::LENGTH_BELOW_MIN);
    assert_eq!(world.not_carved(10, carved(4, 24, 9)), Status::NOT_FOUND);
    let bad = SubnetCreate { name: Some(text("10.0.0.1")), ..carved(4, 24, 1) };
    assert_eq!(world.not_carved(10, bad), Status::INVALID_NAME);
    assert_eq!(world.pool_get(1).taken, 3);
    world.drop_subnet(10, 1, false);
    assert_eq!(world.pool_get(1).taken, 2);
    let delete = NetworkDelete::default();
    world.done_as(&of(0, 10), Request::NetworkDelete(delete));
    assert_eq!((world.pool_get(1).taken, world.pool_get(1).used), (0, 0));
}

/// Neutron's rules: explicit pools without a prefix are refused; a gateway without
/// a prefix makes the request specific.
#[test]
fn without_a_prefix_pools_are_refused_and_a_gateway_names_one() {
    let mut world = World::new(1);
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.network(0, 10);
    let range = addrd_protocol::Range::new(ip("10.0.0.2"), ip("10.0.0.9")).unwrap();
    let pools = SubnetCreate { pools: Setting::Value(vec![range]), ..carved(1, 24, 1) };
    assert_eq!(world.not_carved(10, pools), Status::CONFLICTING_FIELDS);
    let gateway = |id, gateway: &str| SubnetCreate {
        gateway: Setting::Value(ip(gateway)),
        ..carved(id, 24, 1)
    };
    assert_eq!(world.carve(10, gateway(1, "10.0.7.9")).cidr.to_string(), "10.0.7.0/24");
    assert_eq!(world.not_carved(10, gateway(2, "10.0.7.1")), Status::PREFIX_TAKEN);
    assert_eq!(world.not_carved(10, gateway(2, "fd00::1")), Status::INVALID_GATEWAY);
    assert_eq!(
        world.not_carved(10, from(2, "10.0.0.0/24", 1, PrefixChoice::Length)),
        Status::CONFLICTING_FIELDS
    );
    assert_eq!(
        world.not_carved(10, from(2, "::/64", 1, PrefixChoice::Length)),
        Status::FAMILY_MISMATCH
    );
    let mut confined = carved(2, 26, 1);
    let from = confined.from_pool.as_mut().unwrap();
    from.allowed = prefixes(&["10.0.7.0/24", "10.0.9.0/24"]);
    from.disallowed = prefixes(&["10.0.9.0/26"]);
    assert_eq!(world.carve(10, confined).cidr.to_string(), "10.0.9.64/26");
}

/// Differs from Neutron on purpose: the default IPv6 gateway is network + 1, from a pool
/// as well.
#[test]
fn differs_the_gateway_of_an_ipv6_subnet_from_a_pool_is_network_plus_one() {
    let mut world = World::new(1);
    world.pool(1, PoolCreate { is_default: true, ..pool(&["2001:db8::/32"]) });
    world.network(0, 10);
    let made = world.carve(10, from(1, "::/64", 0, PrefixChoice::Length));
    assert_eq!(made.cidr.to_string(), "2001:db8::/64");
    assert_eq!(made.gateway, Some(ip("2001:db8::1")));
    assert_eq!(made.subnet_pool_id, Some(PoolId::from_u128(1)), "the default pool of the family");
    // Sent again when another is the default one, or none is.
    let is_default = |is| PoolUpdate { is_default: Setting::Value(is), ..PoolUpdate::default() };
    world.done_as(&of(0, 1), Request::PoolUpdate(Box::new(is_default(false))));
    let again = || from(1, "::/64", 0, PrefixChoice::Length);
    assert!(world.carve(10, again()).repeated);
    world.pool(2, PoolCreate { is_default: true, ..pool(&["2001:db9::/32"]) });
    assert!(world.carve(10, again()).repeated);
    assert_eq!(
        world.not_carved(10, from(2, "0.0.0.0/24", 0, PrefixChoice::Length)),
        Status::NOT_FOUND
    );
}

/// Neutron's rule, subnet pools and address scopes: affinity.
#[test]
fn subnets_of_a_family_come_from_one_pool_or_one_scope() {
    let mut world = World::new(1);
    world.address_scope(50, Family::V4, false);
    world.address_scope(51, Family::V4, false);
    let scoped = |all: &[&str], scope| PoolCreate {
        address_scope_id: Some(AddressScopeId::from_u128(scope)),
        ..pool(all)
    };
    world.pool(1, pool(&["10.1.0.0/16"]));
    world.pool(2, pool(&["10.2.0.0/16"]));
    world.pool(3, scoped(&["10.3.0.0/16"], 50));
    world.pool(4, scoped(&["10.4.0.0/16"], 50));
    world.pool(5, scoped(&["10.5.0.0/16"], 51));
    world.pool(6, pool(&["2001:db8::/32"]));
    for id in 10..=13 {
        world.network(0, id);
    }
    // One pool without a scope.
    world.carve(10, carved(1, 24, 1));
    world.carve(10, carved(2, 24, 1));
    assert_eq!(world.not_carved(10, carved(3, 24, 2)), Status::POOL_AFFINITY);
    assert_eq!(world.not_carved(10, subnet(3, "192.168.0.0/24")), Status::POOL_AFFINITY);
    assert_eq!(world.not_carved(10, carved(3, 24, 3)), Status::POOL_AFFINITY);
    world.carve(10, from(4, "::/64", 6, PrefixChoice::Length));
    // No pool.
    world.carve(11, subnet(1, "192.168.0.0/24"));
    assert_eq!(world.not_carved(11, carved(2, 24, 1)), Status::POOL_AFFINITY);
    // Pools of one scope.
    world.carve(12, carved(1, 24, 3));
    world.carve(12, carved(2, 24, 4));
    assert_eq!(world.not_carved(12, carved(3, 24, 5)), Status::SCOPE_AFFINITY);
    assert_eq!(world.not_carved(12, carved(3, 24, 1)), Status::SCOPE_AFFINITY);
    assert_eq!(world.not_carved(12, subnet(3, "192.168.0.0/24")), Status::POOL_AFFINITY);
    // A network that was created in a scope.
    let made = world.scoped_network(0, 20, 50);
    assert_eq!(made.scope_v4, Some(AddressScopeId::from_u128(50)));
    assert_eq!(world.not_carved(20, carved(1, 24, 1)), Status::SCOPE_AFFINITY);
    assert_eq!(world.not_carved(20, carved(1, 24, 5)), Status::SCOPE_AFFINITY);
    world.carve(20, carved(1, 24, 4));
    let plain = Request::NetworkCreate(Box::default());
    let refused = world.refused_as(&of(0, 20), plain);
    assert_eq!((refused.status, refused.field), (Status::ID_IN_USE, Some(text("scope_v4"))));
    // Once all are gone, the network may begin anew.
    world.drop_subnet(10, 1, false);
    world.drop_subnet(10, 2, false);
    world.carve(10, carved(5, 24, 2));
}

/// What a scope is: all subnets of a scope's networks are disjoint, from a pool or not.
#[test]
fn subnets_of_a_scopes_networks_are_disjoint() {
    let mut world = World::with_projects();
    world.address_scope(50, Family::V4, true);
    let scope = Some(AddressScopeId::from_u128(50));
    world.pool(1, PoolCreate { address_scope_id: scope, ..pool(&["10.0.0.0/16"]) });
    world.scoped_network(0, 20, 50);
    world.scoped_network(0, 21, 50);
    world.scoped_network(1, 22, 50);
    world.network(0, 30);
    world.carve(20, subnet(1, "192.168.0.0/24"));
    let refused =
        world.refused_as(&of(0, 21), Request::SubnetCreate(Box::new(subnet(1, "192.168.0.0/16"))));
    assert_eq!(refused.status, Status::PREFIX_OVERLAP);
    let cidr = Some("192.168.0.0/24".parse().unwrap());
    let other = Detail::Other { network_id: network_id(20), subnet_id: SubnetId::NIL, cidr };
    assert_eq!(refused.details, [other]);
    let hidden = Request::SubnetCreate(Box::new(subnet(1, "192.168.0.128/25")));
    let refused = world.refused_as(&of(1, 22), hidden);
    assert_eq!((refused.status, refused.details.len()), (Status::PREFIX_OVERLAP, 0));
    assert_eq!(world.not_carved(21, subnet(1, "10.0.5.0/24")), Status::PREFIX_OVERLAP, "a pool's");
    let grow = PoolUpdate { add_prefixes: prefixes(&["192.168.0.0/20"]), ..PoolUpdate::default() };
    let grow = Request::PoolUpdate(Box::new(grow));
    assert_eq!(world.refused_as(&of(0, 1), grow.clone()).status, Status::SCOPE_OVERLAP);
    world.carve(30, subnet(1, "192.168.0.0/24"));
    world.drop_subnet(20, 1, false);
    world.done_as(&of(0, 1), grow);
    assert_eq!(world.not_carved(20, subnet(2, "192.168.1.0/24")), Status::PREFIX_OVERLAP);
    world.carve(20, subnet(2, "172.16.0.0/24"));
    world.done_as(&of(0, 20), Request::NetworkDelete(NetworkDelete::default()));
    world.carve(21, subnet(1, "172.16.0.0/16"));
}

#[test]
fn two_networks_may_have_subnets_of_one_id_from_one_pool() {
    let mut world = World::new(2);
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.network(0, 10);
    world.network(0, 11);
    world.carve(10, carved(1, 24, 1));
    world.carve(11, carved(1, 24, 1));
    assert_eq!(world.pool_get(1).taken, 2);
    world.drop_subnet(10, 1, false);
    assert_eq!(world.carve(10, carved(1, 24, 1)).cidr.to_string(), "10.0.0.0/24");
}

/// Symptom to be: the job of a forced deletion ends in the worker, which knows no pools, and the
/// prefix stays taken for ever.
#[test]
fn forced_deletions_give_prefixes_back_when_their_job_ends() {
    for objects in [1, 3, 256] {
        let mut world = World::new(2);
        world.pool(1, pool(&["10.0.0.0/16"]));
        world.network(0, 1);
        for id in 1..=5 {
            let create = SubnetCreate { kind: SubnetKind::Routed, ..carved(id, 28, 1) };
            world.carve(1, create);
        }
        for number in 1..=20 {
            world.address(number);
        }
        world.drop_subnet(1, 1, true);
        assert_eq!(world.pool_get(1).taken, 5, "not before its addresses are released");
        world.work(objects);
        world.check();
        assert_eq!(world.pool_get(1).taken, 4);
        assert_eq!(world.carve(1, carved(6, 28, 1)).cidr.to_string(), "10.0.0.0/28");
        let force = NetworkDelete { force: true, ..NetworkDelete::default() };
        world.done_as(&of(0, 1), Request::NetworkDelete(force));
        world.work(objects);
        world.check();
        assert_eq!((world.pool_get(1).taken, world.pool_get(1).used), (0, 0));
        world.network(0, 1);
    }
}

#[test]
fn names_of_networks_are_the_catalogues() {
    let mut world = World::new(3);
    let named = |name: &str| NetworkCreate { name: Some(text(name)), ..NetworkCreate::default() };
    let create = |name: &str| Request::NetworkCreate(Box::new(named(name)));
    world.done_as(&of(0, 1), create("blue"));
    assert_eq!(world.refused_as(&of(0, 2), create("blue")).status, Status::NAME_IN_USE);
    world.done_as(&of(0, 2), create("green"));
    let rename = |name: &str| {
        let update = NetworkUpdate { name: Setting::Value(text(name)), ..NetworkUpdate::default() };
        Request::NetworkUpdate(Box::new(update))
    };
    assert_eq!(world.refused_as(&of(0, 2), rename("blue")).status, Status::NAME_IN_USE);
    world.done_as(&of(0, 1), rename("red"));
    world.done_as(&of(0, 2), rename("blue"));
    world.done_as(&of(0, 2), Request::NetworkDelete(NetworkDelete::default()));
    world.done_as(&of(0, 3), create("blue"));
}
