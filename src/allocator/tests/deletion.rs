//! Who stands in the way of the deletion of a subnet (protocol/SPEC.md, subnet_delete): by device owner,
//! when that changes, when an address changes hands, after recovery, and however many there are.

use super::ports::{exact, port, slaac, update};
use super::recovery::Rows;
use super::*;
use addrd_protocol::message::port::FIXED_IPS_MAX;
use addrd_protocol::message::{
    Detail, Failure, FixedIpWanted, PortCreate, PortUpdate, SubnetDelete,
};
use addrd_protocol::{PortId, Setting};

/// Every device owner that the rules know, and whether its ports yield: in any subnet, and in one that
/// is auto-address.
const OWNERS: [(&str, bool, bool); 9] = [
    ("", false, true),
    ("compute:nova", false, true),
    ("network:dhcp", true, true),
    ("network:distributed", true, true),
    ("network:floatingip_agent_gateway", true, true),
    ("network:router_interface", false, false),
    ("network:router_interface_distributed", false, false),
    ("network:ha_router_replicated_interface", false, false),
    ("network:router_centralized_snat", false, false),
];

impl World {
    fn try_delete(&mut self, id: u128) -> Result<Reply, Failure> {
        let expected = Default::default();
        let delete = SubnetDelete { subnet_id: subnet_id(id), force: false, expected };
        let answer = self.apply(1, &Request::SubnetDelete(delete));
        answer.map(|(_, reply)| reply).map_err(|refused| *refused)
    }

    /// The shard as it is read from its rows.
    fn recover(&mut self) {
        self.shards = vec![Rows::of(&self.snapshot()).load()];
    }
}

fn owned(number: u128, device_owner: &str, address: &str) -> PortCreate {
    let device_owner = Some(text(device_owner)).filter(|text| !text.is_empty());
    PortCreate { device_owner, fixed_ips: Setting::Value(vec![exact(address)]), ..port(number) }
}

/// An IPv4 subnet (1), one that is auto-address (2), and one that is neither (3).
fn world() -> World {
    let mut world =
        World::with_subnet(SubnetCreate { enable_dhcp: true, ..subnet(1, "10.0.0.0/24") });
    world.subnet(slaac(2, "fd00:2::/64"));
    world.subnet(SubnetCreate { enable_dhcp: true, ..subnet(3, "fd00:3::/64") });
    world
}

/// How many stand in the way, and whose address is shown.
fn blocked(refused: &Failure) -> (u128, Option<OwnerId>) {
    assert_eq!(refused.status, Status::IN_USE, "{refused:?}");
    let mut count = None;
    let mut held = None;
    for detail in &refused.details {
        match detail {
            Detail::Count { count: told } => count = Some(*told),
            Detail::Held(allocation) => held = Some(allocation.owner),
            _ => {}
        }
    }
    (count.expect("it tells how many"), held)
}

#[test]
fn each_device_owner_yields_or_stands_in_the_way() {
    for (device_owner, yields, yields_automatic) in OWNERS {
        for (id, address) in [(1, "10.0.0.9"), (2, "fd00:2::9"), (3, "fd00:3::9")] {
            // Who isn't a router's has only the address of its MAC in an auto-address subnet.
            let is_router = device_owner.contains("router") && !device_owner.contains("floating");
            let create = match id {
                2 if !is_router => PortCreate {
                    fixed_ips: Setting::Value(Vec::new()),
                    ..owned(5, device_owner, address)
                },
                _ => owned(5, device_owner, address),
            };
            for recovered in [false, true] {
                let mut world = world();
                world.port(create.clone());
                if recovered {
                    world.recover();
                }
                let yields = if id == 2 { yields_automatic } else { yields };
                match world.try_delete(id) {
                    Ok(reply) => assert!(yields && reply == Reply::Empty, "{device_owner} {id}"),
                    Err(refused) => {
                        assert!(!yields, "{device_owner} {id}");
                        assert_eq!(blocked(&refused), (1, Some(owner(5))));
                    }
                }
                assert_eq!(world.shards[0].check(), Vec::<String>::new());
            }
        }
    }
}

#[test]
fn an_update_of_the_device_owner_counts_at_once() {
    let mut world = world();
    world.port(owned(5, "", "10.0.0.9"));
    let set = |world: &mut World, device_owner: Setting<Text>| {
        world.change(PortUpdate { device_owner, ..update(5) });
        world.check();
    };
    assert!(world.try_delete(1).is_err());
    for (device_owner, yields, _) in OWNERS {
        let setting = match device_owner {
            "" => Setting::Null,
            named => Setting::Value(text(named)),
        };
        // The subnet of its address for everybody; a DHCP port sees it too.
        set(&mut world, setting);
        let before = world.snapshot();
        if yields {
            assert_eq!(world.shards[0].subnets.iter().next().unwrap().1.blocking(), 0);
        } else {
            assert_eq!(blocked(&world.try_delete(1).unwrap_err()).0, 1, "{device_owner}");
        }
        assert_eq!(world.snapshot(), before);
    }
    set(&mut world, Setting::Value(text("network:distributed")));
    assert_eq!(world.try_delete(1), Ok(Reply::Empty));
    world.check();
}

/// What a port's owner allocates and releases without the port is the port's if it stands in one of its
/// slots, and nobody's else.
#[test]
fn addresses_that_change_hands_are_counted_anew() {
    let mut world = world();
    let agent = "network:floatingip_agent_gateway";
    world.port(owned(5, agent, "10.0.0.9"));
    let request = |slot, address: &str| Allocate {
        slot: Slot(slot),
        ..allocate_with(5, |extras| extras.exact = Some(ip(address)))
    };
    let blocking = |world: &World| {
        world.check();
        world.shards[0].subnets.iter().next().unwrap().1.blocking()
    };
    assert_eq!(blocking(&world), 0);
    // The port has one more slot, of its address in the auto-address subnet.
    world.allocate(request(7, "10.0.0.17"));
    assert_eq!(blocking(&world), 1, "it was taken without the port");
    assert_eq!(world.release(release(5)), Status::OK);
    world.allocate(request(0, "10.0.0.10"));
    assert_eq!(blocking(&world), 1, "it is the port's");
    let delete = addrd_protocol::message::PortDelete {
        port_id: PortId::from_u128(5),
        expected: Default::default(),
    };
    world.done(1, Request::PortDelete(delete));
    assert_eq!(blocking(&world), 1);
    world.port(owned(5, agent, "10.0.0.9"));
    assert_eq!(blocking(&world), 1, "the one in slot 7 stays nobody's");
}

/// Ports of one device owner that fill `10.0.0.0/18` with this many addresses.
fn crowd(world: &mut World, device_owner: &str, addresses: u32) {
    let first = u32::from(std::net::Ipv4Addr::new(10, 0, 0, 2));
    let all: Vec<IpAddr> = (first..first + addresses).map(|n| IpAddr::V4(n.into())).collect();
    for (number, some) in (1_000..).zip(all.chunks(FIXED_IPS_MAX)) {
        let wanted = |address: &IpAddr| FixedIpWanted {
            subnet_id: Some(subnet_id(1)),
            ip_address: Some(*address),
            slot: None,
        };
        let fixed_ips = Setting::Value(some.iter().map(wanted).collect());
        world.port(PortCreate { fixed_ips, ..owned(number, device_owner, "10.0.0.2") });
    }
}

#[test]
fn however_many_yield_the_subnet_goes_as_a_job() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/18"));
    crowd(&mut world, "network:distributed", 6_000);
    world.recover();
    assert!(matches!(world.try_delete(1), Ok(Reply::Job(_))));
    world.work(1_000);
    let left = world.snapshot();
    assert!(left.subnets.is_empty() && left.allocations.is_empty());
    assert_eq!(world.shards[0].check(), Vec::<String>::new());
}

#[test]
fn however_many_stand_in_the_way_it_is_told_at_once() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/18"));
    crowd(&mut world, "", 6_000);
    let refused = world.try_delete(1).unwrap_err();
    assert_eq!(blocked(&refused), (6_000, Some(owner(1_000))));
    assert!(refused.message.contains("6000 of the 6000"), "{}", refused.message);
    world.check();
}

#[test]
fn one_behind_many_that_yield_stands_in_the_way() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/18"));
    crowd(&mut world, "network:distributed", 6_000);
    world.allocate(allocate_with(9, |extras| extras.exact = Some(ip("10.0.63.9"))));
    let refused = world.try_delete(1).unwrap_err();
    assert_eq!(blocked(&refused), (1, None), "no example is looked for that far");
    world.release(release(9));
    assert!(world.try_delete(1).is_ok());
}
