//! Segments, hosts, pins, the service of subnets, jobs and deletions around ports: a test for each
//! row of Neutron's semantics, named after it.

use super::ports::{MAC, addresses, both, exact, port, served, slaac, update, within};
use super::*;
use addrd_protocol::message::{
    Candidate, CandidateReason, Detail, IpAllocation, Ipv6Mode, JobState, Pin, PinCreate,
    PinDelete, PortCreate, PortGet, PortUpdate, Segment, SegmentCreate, SegmentDelete,
    SegmentHosts, Service, Strategy, SubnetDelete, SubnetUpdate, Usage,
};
use addrd_protocol::{Mac, PortId, SegmentId, Setting};

fn segment_id(number: u128) -> SegmentId {
    SegmentId::from_u128(number)
}

fn on_segment(segment: u128, create: SubnetCreate) -> SubnetCreate {
    let service = Service { segment_id: Some(segment_id(segment)), ..create.service.clone() };
    SubnetCreate { service, ..create }
}

fn on_host(number: u128, host: &str) -> PortCreate {
    PortCreate { host: Some(text(host)), ..port(number) }
}

pub(super) fn change_of(id: u128) -> SubnetUpdate {
    SubnetUpdate::of(subnet_id(id))
}

impl World {
    fn segment(&mut self, number: u128) -> Segment {
        let create = SegmentCreate { segment_id: segment_id(number), description: None };
        match self.done(1, Request::SegmentCreate(Box::new(create))) {
            Reply::Segment(segment) => *segment,
            other => panic!("{other:?}"),
        }
    }

    fn map(&mut self, segment: u128, add: &[&str], remove: &[&str]) -> Segment {
        let texts = |all: &[&str]| all.iter().map(|host| text(host)).collect();
        let hosts = SegmentHosts {
            segment_id: segment_id(segment),
            add: texts(add),
            remove: texts(remove),
        };
        match self.done(1, Request::SegmentHosts(Box::new(hosts))) {
            Reply::Segment(segment) => *segment,
            other => panic!("{other:?}"),
        }
    }

    fn no_subnet(&mut self, create: SubnetCreate) -> Status {
        self.refused(1, Request::SubnetCreate(Box::new(create))).status
    }

    fn pin(&mut self, address: &str, number: u128) -> Pin {
        match self.done(1, Request::PinCreate(Box::new(pin_of(address, number)))) {
            Reply::Pin(pin) => *pin,
            other => panic!("{other:?}"),
        }
    }

    fn held_by(&mut self, number: u128) -> Vec<String> {
        let get = Request::PortGet(PortGet { port_id: PortId::from_u128(number) });
        match self.done(1, get) {
            Reply::Port(port) => addresses(&port),
            other => panic!("{other:?}"),
        }
    }

    fn delete_subnet(&mut self, id: u128) -> Answer {
        let delete =
            SubnetDelete { subnet_id: subnet_id(id), force: false, expected: Default::default() };
        self.apply(1, &Request::SubnetDelete(delete))
    }
}

fn pin_of(address: &str, number: u128) -> PinCreate {
    PinCreate { address: ip(address), owner: owner(number), slot: Slot(0), owner_name: None }
}

/// Segments 1 and 2 with a subnet each; node-1 and node-2 reach one each.
fn routed() -> World {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.segment(1);
    world.segment(2);
    world.subnet(on_segment(1, subnet(1, "10.0.1.0/24")));
    world.subnet(on_segment(2, subnet(2, "10.0.2.0/24")));
    world.map(1, &["node-1"], &[]);
    world.map(2, &["node-2"], &[]);
    world
}

#[test]
fn ipv6_modes_fit_each_other_and_the_subnet() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let with = |cidr, dhcp, ra, address| SubnetCreate {
        enable_dhcp: dhcp,
        service: Service { ipv6_ra_mode: ra, ipv6_address_mode: address, ..Service::default() },
        ..subnet(2, cidr)
    };
    let (slaac, stateful) = (Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Stateful));
    let stateless = Some(Ipv6Mode::Stateless);
    for wrong in [
        with("10.1.0.0/24", true, slaac, None),
        with("fd00::/64", false, slaac, slaac),
        with("fd00::/64", true, slaac, stateful),
        with("fd00::/80", true, slaac, slaac),
        with("fd00::/80", true, None, stateless),
        with("fd00::/56", true, stateless, None),
    ] {
        assert_eq!(world.no_subnet(wrong.clone()), Status::INVALID_IPV6_MODE, "{wrong:?}");
    }
    world.subnet(with("fd00::/80", true, stateful, stateful));
    // They are part of what never changes, and keep enable_dhcp on.
    let other = world.no_subnet(with("fd00::/80", true, stateful, None));
    assert_eq!(other, Status::ID_IN_USE);
    let off = SubnetUpdate { enable_dhcp: Setting::Value(false), ..change_of(2) };
    let refused = world.refused(1, Request::SubnetUpdate(Box::new(off)));
    assert_eq!(refused.status, Status::INVALID_IPV6_MODE);
}

#[test]
fn automatic_address_requests_make_eui64_addresses() {
    let mut world = World::with_subnet(slaac(1, "fd00:1::/64"));
    world.subnet(subnet(2, "fd00:2::/64"));
    let automatic = |number, subnets: &[u128], mac| {
        let with = allocate_with(number, |extras| {
            extras.mac = mac;
            extras.subnets = subnets.iter().map(|&id| subnet_id(id)).collect();
        });
        Allocate { strategy: Strategy::Eui64, ..with }
    };
    let address = |world: &mut World, request| world.allocate(request).first.address.to_string();
    assert_eq!(address(&mut world, automatic(1, &[], Some(MAC))), "fd00:1::f816:3eff:fe00:aff");
    // Over candidates in order: the first in which it is free.
    let next = automatic(2, &[1, 2], Some(MAC));
    assert_eq!(address(&mut world, next), "fd00:2::f816:3eff:fe00:aff");
    assert_eq!(world.refusal(automatic(3, &[1], Some(MAC))), Status::ADDRESS_TAKEN);
    assert_eq!(world.refusal(automatic(3, &[1], None)), Status::CONFLICTING_FIELDS);
    let group = Some(Mac([1, 0, 0, 0, 0, 1]));
    assert_eq!(world.refusal(automatic(3, &[1], group)), Status::INVALID_MAC);
    world.check();
}

#[test]
fn a_new_auto_address_subnet_gives_addresses_to_existing_ports_as_a_job() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let numbered = |number: u128| PortCreate {
        mac: Some(Mac::from_number(0xfa00_0000_0000 | number as u64)),
        ..port(number)
    };
    for number in 1..=9 {
        world.port(numbered(number));
    }
    let device_owner = Some(text("network:router_interface"));
    world.port(PortCreate { device_owner, ..port(20) });
    // Somebody else has the address of port 3: it goes without.
    let made = world.subnet(slaac(2, "fd00:1::/64"));
    let filling = made.filling.expect("there are ports");
    let mut plain = allocate_with(70, |extras| extras.exact = Some(ip("fd00:1::f800:ff:fe00:3")));
    plain.slot = Slot(5);
    world.allocate(plain);
    // One that is made while the job runs, one that goes, one whose MAC changes.
    world.port(numbered(10));
    world.done(
        1,
        Request::PortDelete(addrd_protocol::message::PortDelete {
            port_id: PortId::from_u128(8),
            expected: Default::default(),
        }),
    );
    world.change(PortUpdate { mac: Some(Mac([2, 0, 0, 0, 0, 9])), ..update(9) });
    world.work(2);
    for number in [1, 2, 4, 5, 6, 7, 10] {
        let expected = format!("fd00:1::f800:ff:fe00:{number:x}");
        assert_eq!(world.held_by(number)[1], expected);
    }
    assert_eq!(world.held_by(9)[1], "fd00:1::ff:fe00:9");
    assert_eq!(world.held_by(3).len(), 1);
    assert_eq!(world.held_by(20).len(), 1, "routers get none");
    let get = Request::JobGet(addrd_protocol::message::JobGet { job_id: filling });
    let Reply::Job(job) = world.done(0, get) else { panic!() };
    assert_eq!((job.state, job.total), (JobState::Done, 10));
    world.check();
}

#[test]
fn subnets_of_a_network_are_on_segments_or_none_is() {
    let mut world = routed();
    assert_eq!(world.no_subnet(subnet(3, "10.0.3.0/24")), Status::SEGMENT_MIX);
    assert_eq!(world.no_subnet(on_segment(9, subnet(3, "10.0.3.0/24"))), Status::NOT_FOUND);
    world.subnet(served(3, "10.0.3.0/24", &["network:routed"]));
    let mut flat = World::with_subnet(subnet(1, "10.0.0.0/24"));
    flat.segment(1);
    let second = on_segment(1, subnet(2, "10.0.1.0/24"));
    assert_eq!(flat.no_subnet(second.clone()), Status::SEGMENT_MIX);
    // The subnet moves to the only segment, and then others may be on it too.
    let onto = |id| SubnetUpdate { segment_id: id, ..change_of(1) };
    let update = |change| Request::SubnetUpdate(Box::new(change));
    flat.done(1, update(onto(Setting::Value(segment_id(1)))));
    flat.subnet(second);
    let off = flat.refused(1, update(onto(Setting::Null)));
    assert_eq!(off.status, Status::SEGMENT_FIXED);
    flat.segment(2);
    let other = flat.refused(1, update(onto(Setting::Value(segment_id(2)))));
    assert_eq!(other.status, Status::SEGMENT_FIXED);
    flat.check();
    world.check();
}

#[test]
fn a_port_without_host_waits_for_one_where_all_subnets_are_on_segments() {
    let mut world = routed();
    let waiting = world.port(port(1));
    assert_eq!((addresses(&waiting).len(), waiting.ip_allocation), (0, IpAllocation::Deferred));
    let host = |host: &str| PortUpdate { host: Setting::Value(text(host)), ..update(1) };
    assert_eq!(world.no_change(host("node-9")), Status::HOST_NOT_CONNECTED);
    let placed = world.change(host("node-2"));
    assert_eq!(addresses(&placed), ["10.0.2.2"]);
    assert_eq!(placed.ip_allocation, IpAllocation::Immediate);
    world.check();
}

#[test]
fn a_host_reaches_the_subnets_of_its_segments() {
    let mut world = routed();
    assert_eq!(addresses(&world.port(on_host(1, "node-1"))), ["10.0.1.2"]);
    assert_eq!(addresses(&world.port(on_host(2, "node-2"))), ["10.0.2.2"]);
    assert_eq!(world.no_port(on_host(3, "node-3")), Status::HOST_NOT_CONNECTED);
    let wrong = PortCreate { fixed_ips: Setting::Value(vec![within(2)]), ..on_host(3, "node-1") };
    assert_eq!(world.no_port(wrong), Status::NO_MATCHING_SUBNET);
    world.map(2, &["node-1"], &["node-2"]);
    assert_eq!(world.no_port(on_host(3, "node-2")), Status::HOST_NOT_CONNECTED);
    // node-1 reaches both now; the port of node-2 keeps what it has.
    assert_eq!(addresses(&world.port(on_host(4, "node-1"))), ["10.0.1.3"]);
    assert_eq!(world.held_by(2), ["10.0.2.2"]);
    world.check();
}

#[test]
fn moving_to_a_host_that_does_not_reach_the_addresses() {
    let mut world = routed();
    world.port(on_host(1, "node-1"));
    let to =
        |fixed_ips| PortUpdate { host: Setting::Value(text("node-2")), fixed_ips, ..update(1) };
    assert_eq!(world.no_change(to(Setting::Unset)), Status::HOST_NOT_COMPATIBLE);
    let moved = world.change(to(Setting::Value(vec![within(2)])));
    assert_eq!(addresses(&moved), ["10.0.2.2"]);
    world.check();
}

#[test]
fn addresses_without_host_lie_on_one_segment() {
    let mut world = routed();
    let apart = Setting::Value(vec![within(1), within(2)]);
    let asked = PortCreate { fixed_ips: apart.clone(), ..port(1) };
    assert_eq!(world.no_port(asked.clone()), Status::SEGMENTS_DIFFER);
    let distributed = PortCreate { device_owner: Some(text("network:distributed")), ..asked };
    assert_eq!(addresses(&world.port(distributed)), ["10.0.1.2", "10.0.2.2"]);
    let one = PortCreate { fixed_ips: Setting::Value(vec![exact("10.0.2.9")]), ..port(2) };
    assert_eq!(addresses(&world.port(one)), ["10.0.2.9"]);
}

#[test]
fn a_segment_with_subnets_stays_and_hosts_go_with_it() {
    let mut world = routed();
    world.segment(3);
    let shown = world.map(3, &["node-1", "node-2", "node-1"], &[]);
    assert_eq!((shown.hosts, shown.subnets, shown.repeated), (2, 0, false));
    assert!(world.map(3, &["node-1"], &["node-7"]).repeated);
    let delete = |id| {
        let delete = SegmentDelete { segment_id: segment_id(id), expected: Default::default() };
        Request::SegmentDelete(delete)
    };
    assert_eq!(world.refused(1, delete(1)).status, Status::IN_USE);
    world.done(1, delete(3));
    assert_eq!(world.refused(1, delete(3)).status, Status::NOT_FOUND);
    assert_eq!(world.snapshot().hosts.len(), 2);
    world.check();
}

#[test]
fn plain_requests_say_why_closed_subnets_fell_out() {
    let mut world = routed();
    let refused = world.refused(1, Request::Allocate(allocate(1)));
    assert_eq!(refused.status, Status::NO_MATCHING_SUBNET);
    let reasons: Vec<CandidateReason> = refused
        .details
        .iter()
        .filter_map(|detail| match detail {
            Detail::Candidate(Candidate { reason, .. }) => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [CandidateReason::Segment; 2]);
    let named = allocate_with(1, |extras| extras.subnets = vec![subnet_id(2)]);
    assert_eq!(world.allocate(named).first.address, ip("10.0.2.2"));
}

#[test]
fn deletion_of_a_subnet_yields_to_dhcp_distributed_and_agent_ports_alone() {
    let create = SubnetCreate { enable_dhcp: true, ..subnet(1, "10.0.0.0/24") };
    let mut world = World::with_subnet(create);
    for (number, device_owner) in
        [(1, "network:dhcp"), (2, "network:distributed"), (3, "network:floatingip_agent_gateway")]
    {
        world.port(PortCreate { device_owner: Some(text(device_owner)), ..port(number) });
    }
    world.port(port(4));
    assert_eq!(world.delete_subnet(1).unwrap_err().status, Status::IN_USE);
    world.done(
        1,
        Request::PortDelete(addrd_protocol::message::PortDelete {
            port_id: PortId::from_u128(4),
            expected: Default::default(),
        }),
    );
    assert_eq!(world.delete_subnet(1).unwrap().1, Reply::Empty);
    assert_eq!(world.held_by(1).len(), 0);
    world.check();
}

#[test]
fn deletion_of_an_auto_address_subnet_yields_to_routers_alone() {
    let mut world = World::with_subnet(slaac(1, "fd00:1::/64"));
    for number in 1..=100 {
        world.port(port(number));
    }
    let device_owner = Some(text("network:router_interface"));
    let fixed_ips = Setting::Value(vec![both(1, "fd00:1::5")]);
    world.port(PortCreate { device_owner, fixed_ips, ..port(200) });
    assert_eq!(world.delete_subnet(1).unwrap_err().status, Status::IN_USE);
    world.done(
        1,
        Request::PortDelete(addrd_protocol::message::PortDelete {
            port_id: PortId::from_u128(200),
            expected: Default::default(),
        }),
    );
    assert!(matches!(world.delete_subnet(1).unwrap().1, Reply::Job(_)), "100 go in a job");
    world.work(7);
    assert_eq!(world.held_by(1).len(), 0);
    assert_eq!(world.delete_subnet(1).unwrap_err().status, Status::NOT_FOUND);
    world.check();
}

#[test]
fn the_gateway_stays_while_a_router_holds_it() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    let router = PortCreate {
        device_owner: Some(text("network:router_interface")),
        fixed_ips: Setting::Value(vec![exact("10.0.0.1")]),
        allow_gateway: true,
        ..port(1)
    };
    world.port(router);
    let pools = Setting::Value(Vec::new());
    let to = |gateway| SubnetUpdate { gateway, pools: pools.clone(), ..change_of(1) };
    let update = |change| Request::SubnetUpdate(Box::new(change));
    let new = Setting::Value(ip("10.0.0.254"));
    assert_eq!(world.refused(1, update(to(new.clone()))).status, Status::GATEWAY_IN_USE);
    assert_eq!(world.refused(1, update(to(Setting::Null))).status, Status::GATEWAY_IN_USE);
    world.done(
        1,
        Request::PortDelete(addrd_protocol::message::PortDelete {
            port_id: PortId::from_u128(1),
            expected: Default::default(),
        }),
    );
    world.done(1, update(to(new)));
}

#[test]
fn a_pinned_address_goes_to_its_owner_alone() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/29"));
    assert!(!world.pin("10.0.0.3", 7).held);
    assert!(world.pin("10.0.0.3", 7).repeated);
    let refused = |world: &mut World, address, number| {
        world.refused(1, Request::PinCreate(Box::new(pin_of(address, number)))).status
    };
    assert_eq!(refused(&mut world, "10.0.0.3", 8), Status::PINNED);
    assert_eq!(refused(&mut world, "10.0.0.4", 7), Status::PINNED);
    assert_eq!(refused(&mut world, "10.0.0.7", 9), Status::INVALID_ADDRESS);
    assert_eq!(refused(&mut world, "10.9.0.7", 9), Status::INVALID_ADDRESS);
    let got: Vec<IpAddr> = (1..=4).map(|number| world.address(number)).collect();
    assert_eq!(got, ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"].map(ip));
    assert_eq!(world.refusal(allocate(5)), Status::EXHAUSTED);
    let named = |number| allocate_with(number, |extras| extras.exact = Some(ip("10.0.0.3")));
    assert_eq!(world.refusal(named(5)), Status::PINNED);
    let Reply::Usage(usage) = world.done(1, Request::Usage(Box::default())) else { panic!() };
    let of = &usage.subnets[0];
    assert_eq!((of.pool_size, of.allocated, of.pinned, of.free, of.excluded), (5, 4, 1, 0, 0));
    assert_eq!(world.address(7), ip("10.0.0.3"));
    // It is kept when its owner lets it go, and free for all when the pin ends.
    world.release(release(7));
    assert_eq!(world.refusal(allocate(5)), Status::EXHAUSTED);
    world.done(1, Request::PinDelete(PinDelete { address: ip("10.0.0.3") }));
    assert_eq!(world.address(5), ip("10.0.0.3"));
    let again = Request::PinDelete(PinDelete { address: ip("10.0.0.3") });
    assert_eq!(world.refused(1, again).status, Status::NOT_FOUND);
    let Usage { .. } = Usage::default();
    world.check();
}

#[test]
fn a_port_gets_the_address_pinned_for_its_slot() {
    let mut world = World::with_subnet(subnet(1, "10.0.0.0/24"));
    world.pin("10.0.0.77", 1);
    assert_eq!(addresses(&world.port(port(1))), ["10.0.0.77"]);
    world.done(
        1,
        Request::SubnetDelete(SubnetDelete {
            subnet_id: subnet_id(1),
            force: true,
            expected: Default::default(),
        }),
    );
    world.work(1);
    assert!(world.snapshot().pins.is_empty());
    world.check();
}

#[test]
fn a_network_goes_with_its_ports_segments_hosts_and_pins() {
    let mut world = routed();
    world.subnet(served(3, "10.0.3.0/24", &["network:routed"]));
    world.pin("10.0.3.9", 50);
    for number in 1..=40 {
        world.port(on_host(number, "node-1"));
    }
    let delete = |force| {
        let expected = Default::default();
        Request::NetworkDelete(NetworkDelete { force, expected })
    };
    assert_eq!(world.refused(1, delete(false)).status, Status::IN_USE);
    world.done(1, delete(true));
    assert_eq!(world.no_port(port(99)), Status::DELETING);
    world.work(3);
    let left = world.snapshot();
    assert!(left.networks.is_empty() && left.ports.is_empty() && left.pins.is_empty());
    assert!(left.segments.is_empty() && left.hosts.is_empty());
    world.check();
    // At once, if nobody holds anything.
    let mut empty = routed();
    assert_eq!(empty.done(1, delete(false)), Reply::Empty);
    empty.check();
}
