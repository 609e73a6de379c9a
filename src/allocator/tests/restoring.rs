//! What is made again as it was: each rule that doesn't hold for it, and that all others do
//! (protocol/SPEC.md, "Restoring").

use super::catalogue::{in_pool, of, pool, prefixes};
use super::ports::{MAC, addresses, both, port, served, slaac, update};
use super::*;
use addrd_protocol::message::{
    AllocateFlags, AllocationGet, Batch, BatchItem, BatchMode, BatchResult, FixedIpWanted,
    FromPool, IpAllocation, Port, PortCreate, PortUpdate, SegmentCreate, Service, Strategy,
};
use addrd_protocol::{PoolId, SegmentId, Setting};

fn restoring(scope: Scope) -> Scope {
    Scope { restoring: true, ..scope }
}

fn in_slot(slot: u16, wanted: FixedIpWanted) -> FixedIpWanted {
    FixedIpWanted { slot: Some(Slot(slot)), ..wanted }
}

fn with(wanted: &[FixedIpWanted], create: PortCreate) -> PortCreate {
    PortCreate { fixed_ips: Setting::Value(wanted.to_vec()), ..create }
}

fn exactly(owner: u128, address: &str, length: Option<u8>) -> Allocate {
    Allocate {
        strategy: Strategy::Exact,
        length,
        flags: AllocateFlags::default(),
        extras: Some(Box::new(AllocateExtras {
            exact: Some(ip(address)),
            ..AllocateExtras::default()
        })),
        ..allocate(owner)
    }
}

fn pooled(id: u128, cidr: &str, from: u128) -> Request {
    let from_pool = FromPool { subnet_pool_id: PoolId::from_u128(from), ..FromPool::default() };
    let create = SubnetCreate { from_pool: Some(Box::new(from_pool)), ..subnet(id, cidr) };
    Request::SubnetCreate(Box::new(create))
}

impl World {
    fn restore(&mut self, create: PortCreate) -> Port {
        match self.done_as(&restoring(of(0, 1)), Request::PortCreate(Box::new(create))) {
            Reply::Port(port) => *port,
            other => panic!("{other:?}"),
        }
    }

    fn not_restored(&mut self, create: PortCreate) -> Status {
        self.refused_as(&restoring(of(0, 1)), Request::PortCreate(Box::new(create))).status
    }

    /// Refused to everybody, and done where it was there before.
    fn only_again(&mut self, scope: Scope, request: &Request, status: Status) -> Reply {
        assert_eq!(self.refused_as(&scope, request.clone()).status, status, "{request:?}");
        self.done_as(&restoring(scope), request.clone())
    }
}

#[test]
fn what_was_carved_may_have_a_length_and_an_amount_that_the_pool_gives_no_more() {
    let mut world = World::with_projects();
    world.done(1, Request::NetworkCreate(Box::default()));
    let narrow = addrd_protocol::message::PoolCreate {
        min_length: Some(24),
        max_length: Some(26),
        default_quota: Some(256),
        ..pool(&["10.0.0.0/16"])
    };
    world.pool(10, narrow);
    let long = Request::Allocate(exactly(1, "10.0.0.0", Some(28)));
    world.only_again(in_pool(0, 10), &long, Status::LENGTH_ABOVE_MAX);
    let wide = pooled(2, "10.0.128.0/20", 10);
    world.only_again(of(0, 1), &wide, Status::LENGTH_BELOW_MIN);
    // What was restored counts: even a length that fits is beyond the quota now.
    let fits = Request::Allocate(exactly(3, "10.0.1.0", Some(24)));
    world.only_again(in_pool(0, 10), &fits, Status::QUOTA);
    let child = addrd_protocol::message::PoolCreate {
        parent_id: Some(PoolId::from_u128(10)),
        ..pool(&["10.0.64.0/20"])
    };
    let child = Request::PoolCreate(Box::new(child));
    world.only_again(of(0, 11), &child, Status::LENGTH_BELOW_MIN);
    // Nothing is handed out twice, nor what the pool hasn't got.
    for (again, status) in [
        (pooled(5, "10.0.0.0/28", 10), Status::PREFIX_TAKEN),
        (pooled(5, "10.0.64.0/26", 10), Status::PREFIX_TAKEN),
        (pooled(5, "10.1.0.0/24", 10), Status::OUTSIDE_POOL),
    ] {
        assert_eq!(world.refused_as(&restoring(of(0, 1)), again).status, status);
    }
    let taken = Request::Allocate(exactly(4, "10.0.0.0", Some(28)));
    assert_eq!(world.refused_as(&restoring(in_pool(0, 10)), taken).status, Status::PREFIX_TAKEN);
    // A repeat stays one.
    match world.done_as(&restoring(in_pool(0, 10)), long) {
        Reply::Allocated(got) => assert!(got.first.repeated),
        other => panic!("{other:?}"),
    }
    assert_eq!(prefixes(&["10.0.0.0/16"]), world.pool_get(10).prefixes);
}

#[test]
fn a_port_has_again_what_its_subnets_and_segments_give_it_no_more() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.subnet(served(1, "10.0.0.0/24", &["network:dhcp"]));
    world.subnet(slaac(2, "fd00:0:0:2::/64"));
    let had = [both(1, "10.0.0.9"), both(2, "fd00:0:0:2::77")];
    let create = with(&had, PortCreate { mac: Some(MAC), ..port(1) });
    assert_eq!(world.no_port(create.clone()), Status::NO_MATCHING_SUBNET);
    let made = world.restore(create.clone());
    // The address of its MAC isn't among them, so it hasn't got it.
    assert_eq!(addresses(&made), ["10.0.0.9", "fd00:0:0:2::77"]);
    assert_eq!(made.ip_allocation, IpAllocation::Immediate);
    assert!(world.restore(create).repeated);
    // What another has it can't have.
    let taken = with(&[both(1, "10.0.0.9")], port(2));
    assert_eq!(world.not_restored(taken), Status::ADDRESS_TAKEN);
    let mac = with(&[both(1, "10.0.0.8")], PortCreate { mac: Some(MAC), ..port(2) });
    assert_eq!(world.not_restored(mac), Status::MAC_IN_USE);
    for (address, status) in [
        ("10.0.0.255", Status::INVALID_ADDRESS),
        ("10.0.0.1", Status::IS_GATEWAY),
        ("10.9.0.1", Status::INVALID_ADDRESS),
    ] {
        assert_eq!(world.not_restored(with(&[both(1, address)], port(2))), status, "{address}");
    }
}

#[test]
fn slots_and_the_kind_of_a_port_are_what_they_were() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.subnet(subnet(1, "10.0.0.0/24"));
    let had =
        [in_slot(2, both(1, "10.0.0.9")), both(1, "10.0.0.8"), in_slot(0, both(1, "10.0.0.7"))];
    let create = with(&had, PortCreate { ip_allocation: Some(IpAllocation::Deferred), ..port(1) });
    assert_eq!(world.no_port(create.clone()), Status::CONFLICTING_FIELDS);
    let made = world.restore(create);
    let slots: Vec<(String, u16)> =
        made.fixed_ips.iter().map(|fixed| (fixed.ip_address.to_string(), fixed.slot.0)).collect();
    let expected = [("10.0.0.7", 0), ("10.0.0.8", 1), ("10.0.0.9", 2)];
    assert_eq!(slots, expected.map(|(address, slot)| (address.to_owned(), slot)));
    assert_eq!(made.ip_allocation, IpAllocation::Deferred);
    // A slot that somebody took without the port, one twice, one that no port has.
    world.allocate(Allocate { slot: Slot(1), ..allocate(7) });
    for (slots, status) in [
        ([1, 2], Status::KEY_IN_USE),
        ([3, 3], Status::CONFLICTING_FIELDS),
        ([3, 96], Status::OUT_OF_RANGE),
    ] {
        let [first, second] = slots;
        let had = [in_slot(first, both(1, "10.0.0.20")), in_slot(second, both(1, "10.0.0.21"))];
        assert_eq!(world.not_restored(with(&had, port(7))), status, "{slots:?}");
    }
    // Only beside a subnet and an address, and only of what was there.
    let vague = FixedIpWanted { ip_address: None, ..in_slot(1, both(1, "10.0.0.20")) };
    assert_eq!(world.not_restored(with(&[vague], port(8))), Status::CONFLICTING_FIELDS);
    let slot = in_slot(1, both(1, "10.0.0.20"));
    assert_eq!(world.no_port(with(&[slot], port(8))), Status::CONFLICTING_FIELDS);
    let kind = PortCreate { ip_allocation: Some(IpAllocation::Immediate), ..port(8) };
    assert_eq!(world.no_port(kind), Status::CONFLICTING_FIELDS);
}

#[test]
fn an_address_of_a_port_gets_what_it_had_besides_and_no_other_repeat_changes_anything() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.subnet(subnet(1, "10.0.0.0/24"));
    let made = world.restore(with(&[both(1, "10.0.0.9")], port(1)));
    let revision = made.fixed_ips[0].revision;
    let label = |label: &str, request: Allocate| {
        let mut extras = request.extras.unwrap_or_default();
        extras.label = Some(text(label));
        Allocate { extras: Some(extras), instance: addrd_protocol::Instance(5), ..request }
    };
    let request = label("tier=web", exactly(1, "10.0.0.9", None));
    for repeated in [false, true] {
        match world.done_as(&restoring(of(0, 1)), Request::Allocate(request.clone())) {
            Reply::Allocated(got) => {
                assert_eq!((got.first.repeated, got.first.revision), (repeated, revision));
            }
            other => panic!("{other:?}"),
        }
    }
    let target = Target::Address(ip("10.0.0.9"));
    let get = Request::AllocationGet(Box::new(AllocationGet { target }));
    let Reply::Allocation(held) = world.done(1, get) else { panic!("no allocation") };
    assert_eq!(held.label, Some(text("tier=web")));
    assert_eq!(held.instance.0, 5);
    let port = world.restore(with(&[both(1, "10.0.0.9")], port(1)));
    assert!(port.repeated && port.fixed_ips[0].revision == revision, "it is the port's still");
    // What no port holds is judged as ever.
    world.allocate(exactly(2, "10.0.0.20", None));
    let other = Request::Allocate(label("x", exactly(2, "10.0.0.20", None)));
    let refused = world.refused_as(&restoring(of(0, 1)), other);
    assert_eq!(refused.status, Status::HELD_BY_OTHER_INSTANCE);
    let elsewhere = Request::Allocate(label("x", exactly(1, "10.0.0.10", None)));
    let refused = world.refused_as(&restoring(of(0, 1)), elsewhere);
    assert_eq!(refused.status, Status::KEY_IN_USE);
}

#[test]
fn subnets_are_beside_segments_again_and_ports_get_nothing_of_a_new_one() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    let segment = SegmentCreate { segment_id: SegmentId::from_u128(1), description: None };
    world.done(1, Request::SegmentCreate(Box::new(segment)));
    let routed = served(1, "10.0.0.0/24", &["network:routed"]);
    let segment_id = Some(SegmentId::from_u128(1));
    let service = Service { segment_id, ..routed.service.clone() };
    world.subnet(SubnetCreate { service, ..routed });
    let beside = Request::SubnetCreate(Box::new(subnet(2, "10.1.0.0/24")));
    world.only_again(of(0, 1), &beside, Status::SEGMENT_MIX);
    world.port(with(&[both(2, "10.1.0.9")], PortCreate { mac: Some(MAC), ..port(1) }));
    let later = Request::SubnetCreate(Box::new(slaac(3, "fd00:0:0:3::/64")));
    match world.done_as(&restoring(of(0, 1)), later) {
        Reply::Subnet(made) => assert_eq!(made.filling, None),
        other => panic!("{other:?}"),
    }
    // Pins and exclusions bind what is restored like everything.
    let kept = addrd_protocol::message::PinCreate {
        address: ip("10.1.0.20"),
        owner: OwnerId::from_u128(99),
        slot: Slot(0),
        owner_name: None,
    };
    world.done(1, Request::PinCreate(Box::new(kept)));
    assert_eq!(world.not_restored(with(&[both(2, "10.1.0.20")], port(4))), Status::PINNED);
    // The next request is one of everybody's again.
    world.restore(with(&[both(2, "10.1.0.30")], port(5)));
    let another = Request::SubnetCreate(Box::new(subnet(4, "10.4.0.0/24")));
    assert_eq!(world.refused_as(&of(0, 1), another).status, Status::SEGMENT_MIX);
}

#[test]
fn a_batch_changes_ports_as_ever_and_makes_them_again() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.subnet(subnet(1, "10.0.0.0/24"));
    world.restore(with(&[in_slot(3, both(1, "10.0.0.9"))], port(1)));
    let mut batch = |items: Vec<BatchItem>| {
        let batch = Batch { mode: BatchMode::Independent, items };
        match world.done_as(&restoring(of(0, 1)), Request::Batch(Box::new(batch))) {
            Reply::Batch(reply) => reply.results,
            other => panic!("{other:?}"),
        }
    };
    let again = with(&[in_slot(5, both(1, "10.0.0.10"))], port(2));
    let wanted = vec![in_slot(7, both(1, "10.0.0.9"))];
    let description = Setting::Value(text("moved"));
    let moved = PortUpdate { fixed_ips: Setting::Value(wanted), description, ..update(1) };
    let results =
        batch(vec![BatchItem::PortUpdate(Box::new(moved)), BatchItem::PortCreate(Box::new(again))]);
    match &results[..] {
        [BatchResult::Failed(refused), BatchResult::Port(made)] => {
            assert_eq!(refused.status, Status::CONFLICTING_FIELDS);
            assert_eq!(made.fixed_ips[0].slot, Slot(5));
        }
        other => panic!("{other:?}"),
    }
    // What is put into the slot later is not the port's.
    world.allocate(Allocate { slot: Slot(7), ..allocate(1) });
    let held = world.restore(with(&[], port(1)));
    assert_eq!(addresses(&held), ["10.0.0.9"]);
    world.check();
}

#[test]
fn an_address_of_a_port_gets_a_lease_that_it_lacks_and_keeps_the_one_it_has() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.subnet(subnet(1, "10.0.0.0/24"));
    world.restore(with(&[both(1, "10.0.0.9")], port(1)));
    // The same line again, and one that says another time, move nothing.
    for (lease_ms, repeated) in [(60_000, false), (60_000, true), (90_000, true)] {
        let request = exactly(1, "10.0.0.9", None);
        let extras = request.extras.clone().unwrap_or_default();
        let extras = AllocateExtras { lease_ms: Some(lease_ms), ..*extras };
        let leased = Request::Allocate(Allocate { extras: Some(Box::new(extras)), ..request });
        match world.done_as(&restoring(of(0, 1)), leased) {
            Reply::Allocated(got) => {
                assert_eq!((got.first.time_left_ms, got.first.repeated), (60_000, repeated));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_slot_whose_lease_is_over_is_free_for_the_port_that_had_it() {
    let mut world = World::new(1);
    world.done(1, Request::NetworkCreate(Box::default()));
    world.subnet(subnet(1, "10.0.0.0/24"));
    let leased = allocate_with(1, |extras| extras.lease_ms = Some(1_000));
    world.allocate(Allocate { slot: Slot(2), ..leased });
    let create = with(&[in_slot(2, both(1, "10.0.0.9"))], port(1));
    assert_eq!(world.not_restored(create.clone()), Status::KEY_IN_USE);
    world.wait(1_000);
    assert_eq!(addresses(&world.restore(create)), ["10.0.0.9"]);
    assert_eq!(world.shards[0].allocations(), 1);
    world.check();
}
