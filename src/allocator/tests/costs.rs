//! What size and fill may not cost.

use super::*;
use addrd_protocol::message::{Exclusion, ExclusionMode, Strategy, SubnetExclude};

/// Levels of a map of 32 host bits and of one of 128, with room to spare.
const PARTS_OF_A_PATH: u32 = 8;

#[test]
fn a_huge_prefix_costs_nothing_until_it_is_used() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    for (id, cidr) in (1..).zip(["10.0.0.0/8", "128.0.0.0/1", "fd00::/64", "4000::/2"]) {
        world.subnet(subnet(id, cidr));
    }
    let range = "10.128.0.0-10.255.255.255".split_once('-').unwrap();
    let exclusion = Exclusion {
        range: crate::model::Range::new(ip(range.0), ip(range.1)).unwrap(),
        mode: ExclusionMode::Automatic,
        reason: None,
    };
    let exclude = SubnetExclude { subnet_id: subnet_id(1), exclusion };
    world.done(1, Request::SubnetExclude(Box::new(exclude)));
    let parts = |world: &World| world.shards[0].maps.parts();
    assert_eq!((parts(&world), world.shards[0].maps.bytes()), (0, 0), "pools and exclusions");

    world.address(1);
    assert!(parts(&world) <= PARTS_OF_A_PATH, "{}", parts(&world));
    let neighbours = parts(&world);
    (2..500).for_each(|owner| _ = world.address(owner));
    assert!(parts(&world) <= neighbours + 1, "{} for 500 neighbours", parts(&world));
    for owner in 1_000..1_100 {
        let strategy = Strategy::Random;
        world.allocate(Allocate { strategy, ..allocate(owner) });
    }
    assert!(parts(&world) <= neighbours + 1 + 100 * PARTS_OF_A_PATH);
    for owner in (1..500).chain(1_000..1_100) {
        assert_eq!(world.release(release(owner)), Status::OK);
    }
    assert_eq!(parts(&world), 0, "and nothing again when it is empty");
    world.check();
}
