//! Ports by the rules of protocol/SPEC.md, port_create and port_update: a test for each row of
//! Neutron's semantics, named after it.

use super::*;
use addrd_protocol::message::{
    FixedIpWanted, IpAllocation, Ipv6Mode, Port, PortCreate, PortDelete, PortUpdate, Service,
};
use addrd_protocol::{Mac, PortId, Setting};

pub(super) const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0x0a, 0xff]);

pub(super) fn port(number: u128) -> PortCreate {
    PortCreate::of(PortId::from_u128(number))
}

pub(super) fn update(number: u128) -> PortUpdate {
    PortUpdate {
        port_id: PortId::from_u128(number),
        expected: Default::default(),
        allow_gateway: false,
        mac: None,
        fixed_ips: Setting::Unset,
        host: Setting::Unset,
        device_owner: Setting::Unset,
        description: Setting::Unset,
    }
}

pub(super) fn exact(address: &str) -> FixedIpWanted {
    FixedIpWanted { subnet_id: None, ip_address: Some(ip(address)), slot: None }
}

pub(super) fn within(subnet: u128) -> FixedIpWanted {
    FixedIpWanted { subnet_id: Some(subnet_id(subnet)), ip_address: None, slot: None }
}

pub(super) fn both(subnet: u128, address: &str) -> FixedIpWanted {
    FixedIpWanted { subnet_id: Some(subnet_id(subnet)), ip_address: Some(ip(address)), slot: None }
}

/// An auto-address subnet.
pub(super) fn slaac(id: u128, cidr: &str) -> SubnetCreate {
    let service = Service {
        ipv6_ra_mode: Some(Ipv6Mode::Slaac),
        ipv6_address_mode: Some(Ipv6Mode::Slaac),
        ..Service::default()
    };
    SubnetCreate { enable_dhcp: true, service, ..subnet(id, cidr) }
}

pub(super) fn served(id: u128, cidr: &str, types: &[&str]) -> SubnetCreate {
    let service_types = types.iter().map(|t| text(t)).collect();
    SubnetCreate { service: Service { service_types, ..Service::default() }, ..subnet(id, cidr) }
}

impl World {
    pub(super) fn port(&mut self, create: PortCreate) -> Port {
        match self.done(1, Request::PortCreate(Box::new(create))) {
            Reply::Port(port) => *port,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn no_port(&mut self, create: PortCreate) -> Status {
        let before = self.snapshot();
        let status = self.refused(1, Request::PortCreate(Box::new(create))).status;
        assert_eq!(self.snapshot(), before, "a refusal changes nothing");
        status
    }

    pub(super) fn change(&mut self, update: PortUpdate) -> Port {
        match self.done(1, Request::PortUpdate(Box::new(update))) {
            Reply::Port(port) => *port,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn no_change(&mut self, update: PortUpdate) -> Status {
        let before = self.snapshot();
        let status = self.refused(1, Request::PortUpdate(Box::new(update))).status;
        assert_eq!(self.snapshot(), before, "a refusal changes nothing");
        status
    }
}

pub(super) fn addresses(port: &Port) -> Vec<String> {
    port.fixed_ips.iter().map(|fixed| fixed.ip_address.to_string()).collect()
}

fn create_with(world: &mut World, number: u128, wanted: &[FixedIpWanted]) -> Vec<String> {
    let fixed_ips = Setting::Value(wanted.to_vec());
    addresses(&world.port(PortCreate { fixed_ips, ..port(number) }))
}

fn refuse_with(world: &mut World, wanted: &[FixedIpWanted]) -> Status {
    let fixed_ips = Setting::Value(wanted.to_vec());
    world.no_port(PortCreate { fixed_ips, mac: Some(MAC), ..port(99) })
}

/// 10.0.0.0/24, 10.0.1.0/24, stateful fd00:1::/64, auto-address fd00:2::/64 and fd00:3::/64.
fn town() -> World {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(subnet(2, "10.0.1.0/24"));
    world.subnet(subnet(3, "fd00:1::/64"));
    world.subnet(slaac(4, "fd00:2::/64"));
    world.subnet(slaac(5, "fd00:3::/64"));
    world
}

#[test]
fn create_without_fixed_ips_one_v4_one_stateful_v6_and_every_auto_address_subnet() {
    let mut world = town();
    let made = world.port(PortCreate { mac: Some(MAC), ..port(1) });
    let expected =
        ["10.0.0.2", "fd00:1::2", "fd00:2::f816:3eff:fe00:aff", "fd00:3::f816:3eff:fe00:aff"];
    assert_eq!(addresses(&made), expected);
    assert_eq!(made.ip_allocation, IpAllocation::Immediate);
    let slots: Vec<u16> = made.fixed_ips.iter().map(|fixed| fixed.slot.0).collect();
    assert_eq!(slots, [0, 1, 2, 3]);
    let automatic: Vec<bool> = made.fixed_ips.iter().map(|fixed| fixed.automatic).collect();
    assert_eq!(automatic, [false, false, true, true]);
    world.check();
}

#[test]
fn create_for_a_router_gets_no_automatic_address() {
    let mut world = town();
    let device_owner = Some(text("network:router_interface"));
    let made = world.port(PortCreate { device_owner, ..port(1) });
    assert_eq!(addresses(&made), ["10.0.0.2", "fd00:1::2"]);
}

#[test]
fn create_in_a_network_without_subnets_has_no_addresses_and_no_error() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    let made = world.port(port(1));
    assert_eq!((addresses(&made).len(), made.ip_allocation), (0, IpAllocation::Immediate));
    world.check();
}

#[test]
fn create_with_empty_fixed_ips_is_unaddressed_but_for_auto_address_subnets() {
    let mut world = town();
    let bare = PortCreate { fixed_ips: Setting::Value(Vec::new()), mac: Some(MAC), ..port(1) };
    let made = world.port(bare);
    assert_eq!(addresses(&made), ["fd00:2::f816:3eff:fe00:aff", "fd00:3::f816:3eff:fe00:aff"]);
    assert_eq!(made.ip_allocation, IpAllocation::Unaddressed);
}

#[test]
fn create_with_fixed_ips_by_subnet_by_address_and_both() {
    let mut world = town();
    let wanted = [within(2), exact("10.0.0.9"), both(3, "fd00:1::9"), within(1), within(1)];
    let made = create_with(&mut world, 1, &wanted);
    assert_eq!(made[..5], ["10.0.1.2", "10.0.0.9", "fd00:1::9", "10.0.0.2", "10.0.0.3"]);
    world.check();
}

#[test]
fn create_with_fixed_ips_that_can_not_be_had() {
    let mut world = town();
    let neither = FixedIpWanted::default();
    assert_eq!(refuse_with(&mut world, &[neither]), Status::FIXED_IP_EMPTY);
    assert_eq!(refuse_with(&mut world, &[within(77)]), Status::NOT_FOUND);
    assert_eq!(refuse_with(&mut world, &[both(1, "10.0.1.9")]), Status::INVALID_ADDRESS);
    assert_eq!(refuse_with(&mut world, &[both(1, "10.0.0.255")]), Status::INVALID_ADDRESS);
    assert_eq!(refuse_with(&mut world, &[exact("10.0.0.255")]), Status::ADDRESS_OUTSIDE);
    assert_eq!(refuse_with(&mut world, &[exact("10.0.0.0")]), Status::ADDRESS_OUTSIDE);
    assert_eq!(refuse_with(&mut world, &[exact("192.0.2.1")]), Status::ADDRESS_OUTSIDE);
    let twice = [exact("10.0.0.9"), both(1, "10.0.0.9")];
    assert_eq!(refuse_with(&mut world, &twice), Status::CONFLICTING_FIELDS);
    assert_eq!(refuse_with(&mut world, &[within(1); 65]), Status::OUT_OF_RANGE);
    world.check();
}

#[test]
fn create_with_the_gateway_needs_the_flag() {
    let mut world = town();
    assert_eq!(refuse_with(&mut world, &[exact("10.0.0.1")]), Status::IS_GATEWAY);
    let fixed_ips = Setting::Value(vec![exact("10.0.0.1")]);
    let allowed = PortCreate { fixed_ips, allow_gateway: true, ..port(1) };
    assert_eq!(addresses(&world.port(allowed))[0], "10.0.0.1");
}

#[test]
fn create_takes_literals_first_so_that_no_any_entry_steals_one() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    // Of .2 to .6 the first free one is named last.
    let made = create_with(&mut world, 1, &[within(1), within(1), exact("10.0.0.2")]);
    assert_eq!(made, ["10.0.0.3", "10.0.0.4", "10.0.0.2"]);
}

#[test]
fn create_is_all_or_nothing() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/30"));
    world.subnet(subnet(2, "10.0.1.0/24"));
    // 10.0.0.2 is the only one of the first subnet.
    let status = refuse_with(&mut world, &[within(2), exact("10.0.1.7"), within(1), within(1)]);
    assert_eq!(status, Status::EXHAUSTED);
    assert_eq!(world.shards[0].allocations(), 0);
    assert_eq!(create_with(&mut world, 1, &[within(2), within(1)]), ["10.0.1.2", "10.0.0.2"]);
    world.check();
}

#[test]
fn create_on_auto_address_subnets_takes_no_other_address() {
    let mut world = town();
    assert_eq!(refuse_with(&mut world, &[both(4, "fd00:2::5")]), Status::AUTO_ADDRESS_ONLY);
    let own = both(4, "fd00:2::f816:3eff:fe00:aff");
    let fixed_ips = Setting::Value(vec![own, within(5), within(1)]);
    let made = world.port(PortCreate { fixed_ips, mac: Some(MAC), ..port(1) });
    let expected = ["10.0.0.2", "fd00:2::f816:3eff:fe00:aff", "fd00:3::f816:3eff:fe00:aff"];
    assert_eq!(addresses(&made), expected);
    // A router's port may have any.
    let fixed_ips = Setting::Value(vec![both(4, "fd00:2::5")]);
    let device_owner = Some(text("network:router_interface"));
    let router = world.port(PortCreate { fixed_ips, device_owner, ..port(2) });
    assert_eq!(addresses(&router), ["fd00:2::5"]);
    world.check();
}

#[test]
fn the_network_address_of_ipv6_is_for_routers_and_unknown_owners() {
    let mut world = town();
    let fixed_ips = || Setting::Value(vec![both(3, "fd00:1::")]);
    let of = |number, owner: Option<&str>| PortCreate {
        fixed_ips: fixed_ips(),
        device_owner: owner.map(text),
        ..port(number)
    };
    assert_eq!(world.no_port(of(1, Some("compute:nova"))), Status::INVALID_ADDRESS);
    let router = world.port(of(2, Some("network:router_interface")));
    assert_eq!(addresses(&router), ["fd00:1::"]);
    world.done(
        1,
        Request::PortDelete(PortDelete { port_id: router.port_id, expected: Default::default() }),
    );
    assert_eq!(addresses(&world.port(of(3, None)))[0], "fd00:1::");
}

#[test]
fn more_than_five_addresses_are_bounded_by_configuration() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    assert_eq!(create_with(&mut world, 1, &[within(1); 64]).len(), 64);
    world.check();
}

#[test]
fn create_again_is_repeated() {
    let mut world = town();
    let made = world.port(port(1));
    let again = world.port(PortCreate { fixed_ips: Setting::Value(vec![within(2)]), ..port(1) });
    assert_eq!(again, Port { repeated: true, ..made });
}

#[test]
fn mac_is_unique_in_a_network_and_made_if_absent() {
    let mut world = town();
    world.done(2, Request::NetworkCreate(Box::default()));
    world.port(PortCreate { mac: Some(MAC), ..port(1) });
    assert_eq!(world.no_port(PortCreate { mac: Some(MAC), ..port(2) }), Status::MAC_IN_USE);
    let group = Mac([1, 0, 0x5e, 0, 0, 1]);
    assert_eq!(world.no_port(PortCreate { mac: Some(group), ..port(2) }), Status::INVALID_MAC);
    let elsewhere = PortCreate { mac: Some(MAC), ..port(2) };
    world.done(2, Request::PortCreate(Box::new(elsewhere)));
    let macs: std::collections::BTreeSet<Mac> =
        (10..60).map(|number| world.port(port(number)).mac).collect();
    assert_eq!(macs.len(), 50);
    assert!(macs.iter().all(|mac| mac.is_unicast() && mac.0[0] == 0xfa));
    world.check();
}

#[test]
fn dhcp_and_distributed_ports_get_the_lowest_address() {
    let create = SubnetCreate { enable_dhcp: true, ..subnet(1, "10.0.0.0/24") };
    let mut world = World::with_subnet(create);
    world.port(port(1));
    let second = world.port(port(2));
    assert_eq!(addresses(&second), ["10.0.0.3"]);
    world.done(
        1,
        Request::PortDelete(PortDelete {
            port_id: PortId::from_u128(1),
            expected: Default::default(),
        }),
    );
    assert_eq!(addresses(&world.port(port(3))), ["10.0.0.4"]);
    let device_owner = Some(text("network:dhcp"));
    assert_eq!(addresses(&world.port(PortCreate { device_owner, ..port(4) })), ["10.0.0.2"]);
}

#[test]
fn service_types_come_first_and_shut_out_the_others() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.subnet(served(2, "10.0.9.0/24", &["compute:nova"]));
    let nova = PortCreate { device_owner: Some(text("compute:nova")), ..port(1) };
    assert_eq!(addresses(&world.port(nova)), ["10.0.9.2"]);
    assert_eq!(addresses(&world.port(port(2))), ["10.0.0.2"]);
    let named = PortCreate { fixed_ips: Setting::Value(vec![within(2)]), ..port(3) };
    assert_eq!(world.no_port(named), Status::NO_MATCHING_SUBNET);
    // A plain request doesn't see it unless it names it.
    assert_eq!(world.address(50), ip("10.0.0.3"));
    let mut only = World::with_subnet(served(1, "10.0.9.0/24", &["compute:nova"]));
    assert_eq!(only.no_port(port(1)), Status::NO_MATCHING_SUBNET);
    assert_eq!(only.refusal(allocate(50)), Status::NO_MATCHING_SUBNET);
    world.check();
}

#[test]
fn dhcp_ports_see_all_subnets_with_enable_dhcp() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let device_owner = Some(text("network:dhcp"));
    let dhcp = PortCreate { device_owner, ..port(1) };
    assert_eq!(world.no_port(dhcp.clone()), Status::NO_MATCHING_SUBNET);
    world.subnet(SubnetCreate { enable_dhcp: true, ..served(2, "10.0.9.0/24", &["compute:nova"]) });
    assert_eq!(addresses(&world.port(dhcp)), ["10.0.9.2"]);
}

#[test]
fn update_keeps_adds_and_removes() {
    let mut world = town();
    let fixed_ips = Setting::Value(vec![exact("10.0.0.9"), within(1), within(2)]);
    let before = world.port(PortCreate { fixed_ips, mac: Some(MAC), ..port(1) });
    let wanted = vec![within(1), exact("10.0.0.9"), exact("10.0.0.77")];
    let after = world.change(PortUpdate { fixed_ips: Setting::Value(wanted), ..update(1) });
    let automatic = ["fd00:2::f816:3eff:fe00:aff", "fd00:3::f816:3eff:fe00:aff"];
    let mut expected = vec!["10.0.0.9", "10.0.0.2", "10.0.0.77"];
    expected.extend(automatic);
    let mut sorted = addresses(&after);
    sorted.sort();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    for kept in ["10.0.0.9", "10.0.0.2"] {
        let of = |port: &Port| *port.fixed_ips.iter().find(|f| f.ip_address == ip(kept)).unwrap();
        assert_eq!(of(&after), of(&before), "kept with slot and revision");
    }
    assert!(after.revision > before.revision);
    world.check();
}

#[test]
fn update_that_fails_leaves_everything() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.port(port(1));
    world.port(PortCreate { fixed_ips: Setting::Value(vec![exact("10.0.0.50")]), ..port(2) });
    let wanted = Setting::Value(vec![exact("10.0.0.9"), exact("10.0.0.50")]);
    let asked = PortUpdate { fixed_ips: wanted, ..update(1) };
    assert_eq!(world.no_change(asked), Status::ADDRESS_TAKEN);
    world.check();
}

#[test]
fn update_frees_the_old_address_before_the_new_one_is_taken() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/30"));
    let first = world.port(port(1));
    assert_eq!(addresses(&first), ["10.0.0.2"]);
    // The only address there is: as any, then by name, then not at all.
    let named = world
        .change(PortUpdate { fixed_ips: Setting::Value(vec![both(1, "10.0.0.2")]), ..update(1) });
    assert_eq!((addresses(&named), named.repeated), (vec!["10.0.0.2".to_owned()], true));
    let bare = world.change(PortUpdate { fixed_ips: Setting::Value(Vec::new()), ..update(1) });
    assert_eq!((addresses(&bare).len(), bare.ip_allocation), (0, IpAllocation::Unaddressed));
    assert_eq!(addresses(&world.port(port(2))), ["10.0.0.2"]);
}

#[test]
fn update_with_null_is_one_of_each_family() {
    let mut world = town();
    let fixed_ips = Setting::Value(vec![within(2), within(2)]);
    world.port(PortCreate { fixed_ips, ..port(1) });
    let after = world.change(PortUpdate { fixed_ips: Setting::Null, ..update(1) });
    assert_eq!(addresses(&after)[..2], ["10.0.1.2", "fd00:1::2"]);
    let again = world.change(PortUpdate { fixed_ips: Setting::Null, ..update(1) });
    assert!(again.repeated);
}

#[test]
fn update_of_the_mac_makes_automatic_addresses_anew() {
    let mut world = town();
    let before = world.port(PortCreate { mac: Some(MAC), ..port(1) });
    let mac = Some(Mac([0x02, 0, 0, 0, 0, 1]));
    let after = world.change(PortUpdate { mac, ..update(1) });
    assert_eq!(
        addresses(&after),
        ["10.0.0.2", "fd00:1::2", "fd00:2::ff:fe00:1", "fd00:3::ff:fe00:1"]
    );
    assert_eq!(after.fixed_ips[..2], before.fixed_ips[..2]);
    world.port(PortCreate { mac: Some(MAC), ..port(2) });
    let taken = PortUpdate { mac: Some(MAC), ..update(1) };
    assert_eq!(world.no_change(taken), Status::MAC_IN_USE);
    world.check();
}

#[test]
fn update_expects_a_revision_and_is_repeated_if_so_already() {
    let mut world = town();
    let made = world.port(port(1));
    let named =
        |expected| PortUpdate { expected, description: Setting::Value(text("eth0")), ..update(1) };
    let after = world.change(named(made.revision));
    assert!(!after.repeated && after.revision > made.revision);
    let again = world.change(named(made.revision));
    assert!(again.repeated && again.revision == after.revision);
    let other = PortUpdate { description: Setting::Null, ..named(made.revision) };
    assert_eq!(world.no_change(other), Status::STALE);
}

#[test]
fn delete_releases_the_addresses_and_is_not_found_again() {
    let mut world = town();
    let made = world.port(port(1));
    let delete = |expected| Request::PortDelete(PortDelete { port_id: made.port_id, expected });
    let wrong = crate::model::Revision(made.revision.0 - 1);
    assert_eq!(world.refused(1, delete(wrong)).status, Status::STALE);
    world.done(1, delete(made.revision));
    assert_eq!(world.shards[0].allocations(), 0);
    assert_eq!(world.refused(1, delete(made.revision)).status, Status::NOT_FOUND);
    world.check();
}

#[test]
fn an_address_released_by_itself_is_gone_from_the_port() {
    let mut world = town();
    let made = world.port(port(1));
    assert_eq!(world.release(release(1)), Status::OK);
    let get = Request::PortGet(addrd_protocol::message::PortGet { port_id: made.port_id });
    let Reply::Port(now) = world.done(1, get) else { panic!() };
    assert_eq!(now.fixed_ips[..], made.fixed_ips[1..]);
    world.check();
}

#[test]
fn a_block_in_the_slot_of_an_address_that_was_released_is_not_the_ports() {
    let mut world = town();
    let made = world.port(port(1));
    assert_eq!(world.release(release(1)), Status::OK);
    world.allocate(Allocate { length: Some(30), ..allocate(1) });
    let get = Request::PortGet(addrd_protocol::message::PortGet { port_id: made.port_id });
    let Reply::Port(now) = world.done(1, get) else { panic!() };
    assert_eq!(now.fixed_ips[..], made.fixed_ips[1..]);
    world.check();
    // It stays when the port goes.
    let delete = PortDelete { port_id: made.port_id, expected: Default::default() };
    world.done(1, Request::PortDelete(delete));
    assert_eq!(world.shards[0].allocations(), 1);
    world.check();
}

#[test]
fn many_in_one_frame_are_all_or_nothing() {
    use addrd_protocol::message::{Batch, BatchItem, BatchMode, BatchResult};
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    let create = |number| BatchItem::PortCreate(Box::new(port(number)));
    let six: Vec<BatchItem> = (1..=6).map(create).collect();
    let batch = |mode, items| Request::Batch(Box::new(Batch { mode, items }));
    let refused = world.refused(1, batch(BatchMode::AllOrNothing, six.clone()));
    assert_eq!((refused.status, refused.item), (Status::EXHAUSTED, Some(5)));
    assert_eq!(world.shards[0].records(), 2, "a network and a subnet");
    let Reply::Batch(reply) = world.done(1, batch(BatchMode::Independent, six)) else { panic!() };
    let statuses: Vec<Status> = reply.results.iter().map(BatchResult::status).collect();
    assert_eq!(statuses[..5], [Status::OK; 5]);
    assert_eq!(statuses[5], Status::EXHAUSTED);
    let change = PortUpdate { fixed_ips: Setting::Value(Vec::new()), ..update(1) };
    let items = vec![
        BatchItem::PortDelete(PortDelete {
            port_id: PortId::from_u128(2),
            expected: Default::default(),
        }),
        BatchItem::PortUpdate(Box::new(change)),
        BatchItem::PortDelete(PortDelete {
            port_id: PortId::from_u128(9),
            expected: Default::default(),
        }),
    ];
    let before = world.snapshot();
    let refused = world.refused(1, batch(BatchMode::AllOrNothing, items));
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(2)));
    assert_eq!(world.snapshot(), before);
    world.check();
}

/// What a client does that doesn't know whether its batch was done: it counts the deletion as done,
/// and sends the rest again.
#[test]
fn a_batch_with_a_deletion_that_was_done_is_done_again_without_it() {
    use addrd_protocol::message::{Batch, BatchItem, BatchMode, BatchResult};
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    world.port(port(1));
    let delete = PortDelete { port_id: PortId::from_u128(1), expected: Default::default() };
    let mut items = vec![
        BatchItem::PortCreate(Box::new(port(2))),
        BatchItem::PortDelete(delete),
        BatchItem::Allocate(allocate(3)),
        BatchItem::Release(release(4)),
    ];
    let batch = |items| Request::Batch(Box::new(Batch { mode: BatchMode::AllOrNothing, items }));
    world.done(1, batch(items.clone()));
    let before = world.snapshot();
    let refused = world.refused(1, batch(items.clone()));
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(1)));
    items.remove(1);
    let Reply::Batch(reply) = world.done(1, batch(items)) else { panic!() };
    let [BatchResult::Port(again), BatchResult::Allocated(held), BatchResult::NotHeld] =
        &reply.results[..]
    else {
        panic!("{reply:?}")
    };
    assert!(again.repeated && held.first.repeated);
    assert_eq!(world.snapshot(), before);
    world.check();
}

#[test]
fn records_are_capped_with_ports() {
    let settings = ShardSettings { seed: 1, records_max: 100 };
    let mut world = World::new(1);
    world.shards = vec![Shard::new(settings)];
    world.done(1, Request::NetworkCreate(Box::default()));
    let mut made = 0;
    loop {
        match world.apply(1, &Request::PortCreate(Box::new(port(made + 1)))) {
            Ok(_) => made += 1,
            Err(refused) => break assert_eq!(refused.status, Status::MEMORY_FULL),
        }
    }
    assert_eq!(made, 94, "and the network are 95 % of the records");
}
