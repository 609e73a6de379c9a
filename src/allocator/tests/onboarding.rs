//! Subnets that exist go into a subnet pool: Neutron's onboard_network_subnets.

use super::catalogue::{exactly, in_pool, of, pool, prefixes};
use super::*;
use addrd_protocol::message::{
    FromPool, PoolCreate, PoolUpdate, PrefixChoice, ScopeCreate, SubnetDelete, SubnetGet,
    SubnetName, SubnetOnboard, SubnetPool,
};
use addrd_protocol::{AddressScopeId, Family, PoolId, Revision};

const NETWORK: u128 = 10;

fn onboard(pool: u128) -> Request {
    let subnet_pool_id = PoolId::from_u128(pool);
    Request::SubnetOnboard(SubnetOnboard { subnet_pool_id, expected: Revision(0) })
}

impl World {
    fn net(&mut self, project: u128, id: u128, cidrs: &[&str]) {
        self.scoped_net(project, id, None, cidrs);
    }

    fn scoped_net(&mut self, project: u128, id: u128, scope: Option<u128>, cidrs: &[&str]) {
        let create = NetworkCreate {
            scope_v4: scope.map(AddressScopeId::from_u128),
            ..NetworkCreate::default()
        };
        self.done_as(&of(project, id), Request::NetworkCreate(Box::new(create)));
        for (number, cidr) in (1..).zip(cidrs) {
            let create = Request::SubnetCreate(Box::new(subnet(number, cidr)));
            self.done_as(&of(project, id), create);
        }
    }

    fn onboarded(&mut self, project: u128, network: u128, pool: u128) -> SubnetPool {
        match self.done_as(&of(project, network), onboard(pool)) {
            Reply::Pool(pool) => *pool,
            other => panic!("{other:?}"),
        }
    }

    fn not_onboarded(&mut self, project: u128, network: u128, pool: u128) -> Status {
        self.refused_as(&of(project, network), onboard(pool)).status
    }

    fn pool_of_subnet(&mut self, network: u128, id: u128) -> Option<PoolId> {
        let get = SubnetGet { subnet: SubnetName::Id(subnet_id(id)) };
        match self.done_as(&of(0, network), Request::SubnetGet(Box::new(get))) {
            Reply::Subnet(subnet) => subnet.subnet_pool_id,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn onboard_network_subnets_adds_what_the_pool_lacks_and_touches_no_allocation() {
    let mut world = World::with_projects();
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.net(0, NETWORK, &["10.0.3.0/24", "172.16.0.0/24", "172.16.1.0/24", "fd00::/64"]);
    let held = world.done_as(&of(0, NETWORK), Request::Allocate(allocate(7)));
    let pooled = world.onboarded(0, NETWORK, 1);
    assert_eq!(pooled.prefixes, prefixes(&["10.0.0.0/16", "172.16.0.0/23"]));
    assert_eq!((pooled.taken, pooled.used, pooled.repeated), (3, 768, false));
    let one = Some(PoolId::from_u128(1));
    let pools: Vec<_> = (1..=4).map(|id| world.pool_of_subnet(NETWORK, id)).collect();
    assert_eq!(pools, [one, one, one, None], "the other family stays");
    let Reply::Allocated(again) = world.done_as(&of(0, NETWORK), Request::Allocate(allocate(7)))
    else {
        panic!()
    };
    let Reply::Allocated(held) = held else { panic!() };
    assert!(again.first.repeated && again.first.revision == held.first.revision);
    assert!(world.onboarded(0, NETWORK, 1).repeated);
    // From now on the subnets are the pool's: more come from it, and deleted they go back to it.
    let more = subnet(9, "10.0.4.0/24");
    let refused = world.refused_as(&of(0, NETWORK), Request::SubnetCreate(Box::new(more.clone())));
    assert_eq!(refused.status, Status::POOL_AFFINITY);
    let from = FromPool {
        subnet_pool_id: PoolId::from_u128(1),
        by: PrefixChoice::Exact,
        ..FromPool::default()
    };
    let more = SubnetCreate { from_pool: Some(Box::new(from)), ..more };
    world.done_as(&of(0, NETWORK), Request::SubnetCreate(Box::new(more)));
    let expected = Revision(0);
    let delete = SubnetDelete { subnet_id: subnet_id(2), force: false, expected };
    world.done_as(&of(0, NETWORK), Request::SubnetDelete(delete));
    assert_eq!(world.pool_get(1).taken, 3);
}

#[test]
fn onboarding_refuses_what_a_pool_could_not_have_given() {
    let mut world = World::with_projects();
    world.net(0, NETWORK, &["10.0.3.0/24", "10.0.9.0/24"]);
    assert_eq!(world.not_onboarded(0, NETWORK, 1), Status::NOT_FOUND);
    assert_eq!(world.not_onboarded(0, 77, 1), Status::NOT_FOUND);
    world.pool(1, pool(&["10.0.0.0/16"]));
    // In use, whole or in part.
    world.done_as(&in_pool(0, 1), Request::Allocate(exactly(5, "10.0.9.128/25")));
    assert_eq!(world.not_onboarded(0, NETWORK, 1), Status::PREFIX_TAKEN);
    // Too large or too small for the pool.
    let bounded = |min, max| PoolCreate {
        min_length: Some(min),
        max_length: Some(max),
        default_length: Some(max),
        ..pool(&["10.0.0.0/16"])
    };
    world.pool(2, bounded(25, 28));
    assert_eq!(world.not_onboarded(0, NETWORK, 2), Status::LENGTH_BELOW_MIN);
    world.pool(3, bounded(16, 20));
    assert_eq!(world.not_onboarded(0, NETWORK, 3), Status::LENGTH_ABOVE_MAX);
    // The quota counts all of them.
    world.pool(4, PoolCreate { default_quota: Some(511), ..pool(&["10.0.0.0/16"]) });
    assert_eq!(world.not_onboarded(0, NETWORK, 4), Status::QUOTA);
    // Only the pool's own project adds to it, and only what nobody else gives it.
    world.pool_of(1, 5, PoolCreate { shared: true, ..pool(&["10.0.3.0/24"]) });
    assert_eq!(world.not_onboarded(0, NETWORK, 5), Status::OUTSIDE_POOL);
    world.pool(6, pool(&["10.0.0.0/8"]));
    let parent_id = Some(PoolId::from_u128(6));
    world.pool(7, PoolCreate { parent_id, ..pool(&["10.0.3.0/24"]) });
    assert_eq!(world.not_onboarded(0, NETWORK, 7), Status::OUTSIDE_POOL);
    let add = PoolUpdate { add_prefixes: prefixes(&["10.0.9.0/24"]), ..PoolUpdate::default() };
    world.done_as(&of(0, 7), Request::PoolUpdate(Box::new(add)));
    let stale = SubnetOnboard { subnet_pool_id: PoolId::from_u128(7), expected: Revision(1) };
    let refused = world.refused_as(&of(0, NETWORK), Request::SubnetOnboard(stale));
    assert_eq!(refused.status, Status::STALE);
    assert_eq!(world.onboarded(0, NETWORK, 7).taken, 2);
    // They have a pool now.
    world.pool(8, pool(&["10.0.0.0/16"]));
    assert_eq!(world.not_onboarded(0, NETWORK, 8), Status::POOL_AFFINITY);
}

#[test]
fn another_project_takes_its_subnets_into_a_shared_pool_at_its_own_quota() {
    let mut world = World::with_projects();
    let quota = Some(256);
    world.pool_of(
        1,
        1,
        PoolCreate { shared: true, default_quota: quota, ..pool(&["10.0.0.0/16"]) },
    );
    world.net(2, NETWORK, &["10.0.3.0/24"]);
    let seen = world.onboarded(2, NETWORK, 1);
    assert_eq!((seen.taken, seen.used_by_project), (1, 256));
    world.net(2, NETWORK + 1, &["10.0.4.0/24"]);
    assert_eq!(world.not_onboarded(2, NETWORK + 1, 1), Status::QUOTA);
    world.net(1, NETWORK + 2, &["10.0.4.0/24"]);
    assert_eq!(world.onboarded(1, NETWORK + 2, 1).used_by_project, 256);
}

#[test]
fn onboarding_keeps_an_address_scope_disjoint() {
    let mut world = World::with_projects();
    let create = ScopeCreate { family: Family::V4, shared: false, name: None, description: None };
    world.done_as(&of(0, 31), Request::ScopeCreate(Box::new(create)));
    let scope = Some(AddressScopeId::from_u128(31));
    world.pool(1, PoolCreate { address_scope_id: scope, ..pool(&["10.0.0.0/16"]) });
    world.pool(2, pool(&["10.0.0.0/8"]));
    world.scoped_net(0, NETWORK, Some(31), &["10.8.0.0/24"]);
    assert_eq!(world.not_onboarded(0, NETWORK, 2), Status::SCOPE_AFFINITY);
    // Another network's subnet comes into the scope, where the first one's is already.
    world.net(0, NETWORK + 1, &["10.8.0.0/23"]);
    assert_eq!(world.not_onboarded(0, NETWORK + 1, 1), Status::SCOPE_OVERLAP);
    assert_eq!(world.onboarded(0, NETWORK, 1).prefixes, prefixes(&["10.0.0.0/16", "10.8.0.0/24"]));
    assert_eq!(world.not_onboarded(0, NETWORK + 1, 1), Status::PREFIX_TAKEN);
    // The prefix is the pool's now, and stays so in the scope when the subnet is gone.
    let delete = SubnetDelete { subnet_id: subnet_id(1), force: false, expected: Revision(0) };
    world.done_as(&of(0, NETWORK), Request::SubnetDelete(delete));
    let other = PoolCreate { address_scope_id: scope, ..pool(&["10.8.0.0/16"]) };
    assert_eq!(world.no_pool(other), Status::SCOPE_OVERLAP);
    let remove =
        PoolUpdate { remove_prefixes: prefixes(&["10.8.0.0/24"]), ..PoolUpdate::default() };
    world.done_as(&of(0, 1), Request::PoolUpdate(Box::new(remove)));
    let other = PoolCreate { address_scope_id: scope, ..pool(&["10.8.0.0/16"]) };
    world.pool(3, other);
}

#[test]
fn onboarding_has_a_bound_that_it_names() {
    use crate::limits::ONBOARD_SUBNETS_MAX;
    let mut world = World::with_projects();
    let cidrs: Vec<String> =
        (0..=ONBOARD_SUBNETS_MAX).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect();
    let cidrs: Vec<&str> = cidrs.iter().map(String::as_str).collect();
    world.net(0, NETWORK, &cidrs);
    world.net(0, NETWORK + 1, &cidrs[..ONBOARD_SUBNETS_MAX]);
    world.pool(1, pool(&["10.0.0.0/8"]));
    assert_eq!(world.not_onboarded(0, NETWORK, 1), Status::LIMIT);
    let taken = world.onboarded(0, NETWORK + 1, 1).taken;
    assert_eq!(taken, ONBOARD_SUBNETS_MAX as u64);
}

#[test]
fn onboarding_again_is_a_repeat_whatever_revision_is_expected() {
    let mut world = World::with_projects();
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.net(0, NETWORK, &["172.16.0.0/24"]);
    let expected = world.pool_get(1).revision;
    let ask = SubnetOnboard { subnet_pool_id: PoolId::from_u128(1), expected };
    for repeated in [false, true] {
        let reply = world.done_as(&of(0, NETWORK), Request::SubnetOnboard(ask));
        let Reply::Pool(pool) = reply else { panic!("{reply:?}") };
        assert_eq!(pool.repeated, repeated);
        assert_ne!(pool.revision, expected);
    }
}

#[test]
fn nobody_takes_over_the_prefix_of_a_subnet() {
    let mut world = World::with_projects();
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.net(0, NETWORK, &["10.0.0.0/24"]);
    world.onboarded(0, NETWORK, 1);
    let mut take = Allocate {
        owner: crate::model::OwnerId(subnet_id(1).0),
        instance: addrd_protocol::Instance(9),
        ..allocate(1)
    };
    for takeover in [false, true] {
        take.flags.takeover = takeover;
        let refused = world.refused_as(&in_pool(0, 1), Request::Allocate(take.clone()));
        // An allocate has no target.
        let named = (refused.status, refused.field);
        assert_eq!(named, (Status::HELD_BY_OBJECT, Some(text("owner"))));
    }
}

/// What a subnet or a pool takes without a slot of its own would be taken in place of what has slot 0.
#[test]
fn a_subnet_or_a_pool_is_refused_when_its_id_has_every_slot() {
    const ID: u128 = 5;
    let mut world = World::with_projects();
    let bounds = PoolCreate {
        min_length: Some(48),
        max_length: Some(128),
        default_length: Some(128),
        ..pool(&["fd00::/48"])
    };
    world.pool(1, bounds);
    for slot in 0..=u16::MAX - 2 {
        let take = Allocate { slot: addrd_protocol::Slot(slot), ..allocate(ID) };
        let done = world.apply_as(&in_pool(0, 1), &Request::Allocate(take));
        assert!(done.is_ok(), "{done:?}");
    }
    // Two are left: a pool takes one for each of its prefixes.
    let parent_id = Some(PoolId::from_u128(1));
    let below = |all: &[&str]| PoolCreate { parent_id, ..pool(all) };
    let three = below(&["fd00:0:0:10::/64", "fd00:0:0:20::/64", "fd00:0:0:30::/64"]);
    let refused = world.refused_as(&of(0, ID), Request::PoolCreate(Box::new(three)));
    assert_eq!(refused.status, Status::LIMIT);
    world.pool(ID, below(&["fd00:0:0:10::/64", "fd00:0:0:20::/64"]));
    let update = |add: &[&str], remove: &[&str]| {
        let (add_prefixes, remove_prefixes) = (prefixes(add), prefixes(remove));
        Request::PoolUpdate(Box::new(PoolUpdate {
            add_prefixes,
            remove_prefixes,
            ..PoolUpdate::default()
        }))
    };
    let refused = world.refused_as(&of(0, ID), update(&["fd00:0:0:30::/64"], &[]));
    assert_eq!(refused.status, Status::LIMIT);
    // One that goes makes room for one that comes; two that are merged are one.
    world.done_as(&of(0, ID), update(&["fd00:0:0:30::/64"], &["fd00:0:0:20::/64"]));
    world.done_as(&of(0, ID), update(&["fd00:0:0:31::/64"], &[]));
    assert_eq!(world.pool_get(1).taken, 65_536);
    world.net(0, NETWORK, &[]);
    let create = Request::SubnetCreate(Box::new(subnet(ID, "fd00:0:0:77::/64")));
    world.done_as(&of(0, NETWORK), create);
    assert_eq!(world.not_onboarded(0, NETWORK, 1), Status::LIMIT);
    assert_eq!(world.pool_get(1).taken, 65_536);
    world.check();
}

/// A subnet was created from no pool, then taken into one. The request that had made it, sent again
/// after a lost connection, was `ID_IN_USE`: the pool counted as a field that never changes.
#[test]
fn a_subnet_that_was_onboarded_is_still_what_its_creation_asked_for() {
    let mut world = World::with_projects();
    world.pool(1, pool(&["10.0.0.0/16"]));
    world.net(0, NETWORK, &["10.0.3.0/24"]);
    world.onboarded(0, NETWORK, 1);
    let create = |cidr: &str, from: Option<(u128, PrefixChoice)>| {
        let from_pool = from.map(|(id, by)| {
            let subnet_pool_id = PoolId::from_u128(id);
            Box::new(FromPool { subnet_pool_id, by, ..FromPool::default() })
        });
        Request::SubnetCreate(Box::new(SubnetCreate { from_pool, ..subnet(1, cidr) }))
    };
    for same in [
        create("10.0.3.0/24", None),
        create("10.0.3.0/24", Some((1, PrefixChoice::Exact))),
        create("0.0.0.0/24", Some((1, PrefixChoice::Length))),
    ] {
        let Reply::Subnet(again) = world.done_as(&of(0, NETWORK), same) else { panic!() };
        assert!(again.repeated);
        assert_eq!(again.subnet_pool_id, Some(PoolId::from_u128(1)));
    }
    world.pool(2, pool(&["10.0.0.0/16"]));
    for (other, field) in [
        (create("10.0.4.0/24", None), "cidr"),
        (create("10.0.3.0/24", Some((2, PrefixChoice::Exact))), "from_pool"),
    ] {
        let refused = world.refused_as(&of(0, NETWORK), other);
        assert_eq!((refused.status, refused.field), (Status::ID_IN_USE, Some(text(field))));
    }
}

#[test]
fn whoever_has_both_halves_of_ipv6_has_all_of_it() {
    let mut world = World::with_projects();
    let halves =
        PoolCreate { min_length: Some(1), default_length: Some(1), ..pool(&["::/1", "8000::/1"]) };
    assert_eq!(world.pool(1, halves).size, u128::MAX);
    for (number, used) in [(1, 1 << 127), (2, u128::MAX)] {
        world.done_as(&in_pool(0, 1), Request::Allocate(allocate(number)));
        let seen = world.pool_get(1);
        assert_eq!((seen.used, seen.used_by_project), (used, used));
    }
    world.done_as(&in_pool(0, 1), Request::Release(release(1)));
    assert_eq!(world.pool_get(1).used, 1 << 127);
    world.done_as(&in_pool(0, 1), Request::Release(release(2)));
    assert_eq!(world.pool_get(1).used, 0);
}
