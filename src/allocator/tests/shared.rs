//! Networks that projects share, by the rules of protocol/SPEC.md, "Shared networks".

use super::catalogue::{of, project};
use super::ports::{exact, port, slaac, update};
use super::*;
use addrd_protocol::message::{
    Allocation, AllocationFilter, AllocationGet, AllocationList, AllocationUpdate, Detail, Lookup,
    Lookups, Network, NetworkGet, NetworkList, NetworkUpdate, PageRequest, PinCreate, Port,
    PortCreate, PortDelete, PortGet, PortList, PortUpdate, ProjectDelete, SubnetDelete, SubnetList,
    Usage,
};
use addrd_protocol::{Instance, Mac, PortId, Setting};

/// The header of a guest's request on network 1 of the default project.
pub(super) fn guest(number: u128) -> Scope {
    Scope { network_project: Some(ProjectId::DEFAULT), ..of(number, 1) }
}

/// Network 1 of the default project, shared, with 10.0.0.0/29; and projects 1 and 2.
pub(super) fn lent() -> World {
    let mut world = World::with_projects();
    let create = NetworkCreate { shared: true, name: Some(text("blue")), ..Default::default() };
    world.done_as(&of(0, 1), Request::NetworkCreate(Box::new(create)));
    world.done_as(&of(0, 1), Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/29"))));
    world
}

pub(super) fn share(shared: bool) -> Request {
    let shared = Setting::Value(shared);
    Request::NetworkUpdate(Box::new(NetworkUpdate { shared, ..NetworkUpdate::default() }))
}

impl World {
    pub(super) fn take(&mut self, scope: &Scope, request: Allocate) -> Allocated {
        match self.done_as(scope, Request::Allocate(request)) {
            Reply::Allocated(got) => got,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn listed(&mut self, scope: &Scope, filter: AllocationFilter) -> Vec<Allocation> {
        let list = AllocationList { filter, ..AllocationList::default() };
        match self.done_as(scope, Request::AllocationList(Box::new(list))) {
            Reply::Allocations(page) => page.items,
            other => panic!("{other:?}"),
        }
    }

    fn found(&mut self, scope: &Scope, lookup: Lookup) -> Lookups {
        match self.done_as(scope, Request::Lookup(Box::new(lookup))) {
            Reply::Lookups(found) => *found,
            other => panic!("{other:?}"),
        }
    }

    fn networks(&mut self, number: u128, limit: u32) -> Vec<Network> {
        let mut all = Vec::new();
        let mut page = PageRequest { limit, cursor: None };
        loop {
            let list = NetworkList { page: page.clone(), name_prefix: None };
            match self.done_as(&of(number, 0), Request::NetworkList(Box::new(list))) {
                Reply::Networks(found) => {
                    all.extend(found.items);
                    page.cursor = found.next;
                }
                other => panic!("{other:?}"),
            }
            if page.cursor.is_none() {
                return all;
            }
        }
    }

    pub(super) fn port_as(&mut self, scope: &Scope, create: PortCreate) -> Port {
        match self.done_as(scope, Request::PortCreate(Box::new(create))) {
            Reply::Port(port) => *port,
            other => panic!("{other:?}"),
        }
    }
}

fn by_address(address: &str) -> Target {
    Target::Address(ip(address))
}

#[test]
fn a_guest_allocates_for_its_own_project_and_no_address_has_two_holders() {
    let mut world = lent();
    let mut all = std::collections::BTreeSet::new();
    for scope in [of(0, 1), guest(1), guest(2)] {
        // The same owner in three projects is three owners.
        let got = world.take(&scope, allocate(7)).first;
        assert!(all.insert(got.address), "{}", got.address);
        let again = world.take(&scope, allocate(7)).first;
        assert!(again.repeated);
        assert_eq!((again.address, again.revision), (got.address, got.revision));
    }
    let get = Request::AllocationGet(Box::new(AllocationGet { target: release(7).target }));
    let Reply::Allocation(own) = world.done_as(&guest(1), get) else { panic!("an allocation") };
    assert_eq!(own.project_id, project(1));
    assert_eq!(own.network_project, Some(ProjectId::DEFAULT));
    // Releases and instances of one are nothing to the others.
    world.done_as(&guest(1), Request::Release(release(7)));
    assert!(world.take(&guest(2), allocate(7)).first.repeated);
    assert!(world.take(&of(0, 1), allocate(7)).first.repeated);
    let life = Allocate { instance: Instance(2), ..allocate(7) };
    assert_eq!(
        world.refused_as(&guest(2), Request::Allocate(life.clone())).status,
        Status::HELD_BY_OTHER_INSTANCE
    );
    assert!(!world.take(&guest(1), life).first.taken_over);
}

#[test]
fn a_network_that_is_not_shared_or_not_there_is_the_same_to_others() {
    let mut world = lent();
    world.done_as(&of(0, 1), share(false));
    let absent = Scope { network_project: Some(ProjectId::DEFAULT), ..of(1, 99) };
    let requests = [
        Request::Allocate(allocate(7)),
        Request::NetworkGet(NetworkGet {}),
        Request::SubnetList(Box::<SubnetList>::default()),
        Request::Usage(Box::<Usage>::default()),
        Request::PortCreate(Box::new(port(1))),
        Request::Lookup(Box::new(Lookup::Owner(owner(7)))),
    ];
    for request in requests {
        let hidden = world.refused_as(&guest(1), request.clone());
        let missing = world.refused_as(&absent, request);
        assert_eq!(hidden.status, Status::NOT_FOUND);
        assert_eq!((hidden.field, hidden.details), (missing.field, missing.details));
    }
    let nobody = world.refused_as(&guest(9), Request::Allocate(allocate(7)));
    assert_eq!(nobody.status, Status::NOT_FOUND);
    world.done_as(&of(0, 1), share(true));
    let nobody = world.refused_as(&guest(9), Request::Allocate(allocate(7)));
    assert_eq!((nobody.status, nobody.field.as_deref()), (Status::NOT_FOUND, Some("project")));
}

#[test]
fn a_guest_may_not_change_the_network_or_what_it_is_made_of() {
    let mut world = lent();
    let refused = [
        share(false),
        Request::NetworkDelete(NetworkDelete { force: true, ..NetworkDelete::default() }),
        Request::SubnetCreate(Box::new(subnet(2, "10.0.1.0/29"))),
        Request::SegmentList(Box::default()),
        Request::HostList(Box::default()),
        Request::SubnetDelete(SubnetDelete {
            subnet_id: subnet_id(1),
            force: true,
            expected: Default::default(),
        }),
        Request::PinCreate(Box::new(PinCreate {
            address: ip("10.0.0.4"),
            owner: owner(1),
            slot: Slot(0),
            owner_name: None,
        })),
    ];
    for request in refused {
        assert!(!request.opcode().may_be_shared(), "the decoder refuses it first");
        let refused = world.refused_as(&guest(1), request);
        assert_eq!(
            (refused.status, refused.field.as_deref()),
            (Status::UNSUPPORTED, Some("flags"))
        );
    }
}

#[test]
fn guests_see_their_own_allocations_only_and_the_owner_sees_where_the_others_are() {
    let mut world = lent();
    let named = |number, label: &str| {
        allocate_with(number, |extras| {
            extras.label = Some(text(label));
            extras.owner_name = Some(text("vm-1"));
            extras.host = Some(text("rack-9"));
        })
    };
    for (scope, label) in [(of(0, 1), "home"), (guest(1), "one"), (guest(2), "two")] {
        world.take(&scope, named(7, label));
    }
    let own = world.listed(&guest(1), AllocationFilter::default());
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].label.as_deref(), Some("one"));
    let all = world.listed(&of(0, 1), AllocationFilter::default());
    let projects: Vec<ProjectId> = all.iter().map(|one| one.project_id).collect();
    assert_eq!(projects, [ProjectId::DEFAULT, project(1), project(2)]);
    for one in &all[1..] {
        assert_eq!((one.owner, one.slot, one.instance), (OwnerId::NIL, Slot(0), Instance(0)));
        assert_eq!((&one.label, &one.owner_name, &one.host), (&None, &None, &None));
        assert_eq!(one.network_project, Some(ProjectId::DEFAULT));
        assert_ne!(one.revision.0, 0);
    }
    // What is hidden can't be found out by filters either.
    let filters = [
        AllocationFilter { label: Some(text("one")), ..AllocationFilter::default() },
        AllocationFilter { host: Some(text("rack-9")), ..AllocationFilter::default() },
        AllocationFilter { owner: Some(owner(7)), ..AllocationFilter::default() },
    ];
    for filter in filters {
        let found = world.listed(&of(0, 1), filter);
        assert!(found.iter().all(|one| one.project_id == ProjectId::DEFAULT), "{found:?}");
    }
    let others = own[0].address;
    let get = |target| Request::AllocationGet(Box::new(AllocationGet { target }));
    let missing = world.refused_as(&guest(2), get(Target::Address(others)));
    assert_eq!(missing.status, Status::NOT_FOUND);
    let Reply::Allocation(seen) = world.done_as(&of(0, 1), get(Target::Address(others))) else {
        panic!("an allocation");
    };
    assert_eq!((seen.project_id, seen.owner), (project(1), OwnerId::NIL));
}

#[test]
fn lookups_show_each_project_its_own() {
    let mut world = lent();
    let address = world.take(&guest(1), allocate(7)).first.address;
    world.take(&guest(2), allocate(7));
    // By owner, over all networks.
    let found = world.found(&of(1, 0), Lookup::Owner(owner(7)));
    assert_eq!(found.allocations.len(), 1);
    assert_eq!(found.allocations[0].owner, owner(7));
    assert_eq!(found.allocations[0].network_project, Some(ProjectId::DEFAULT));
    // By address, over all networks and in the network.
    for (scope, shown) in [(of(1, 0), true), (guest(1), true), (of(2, 0), false), (guest(2), false)]
    {
        let found = world.found(&scope, Lookup::Address(address));
        assert_eq!(found.subnets.len(), 1);
        assert_eq!(found.subnets[0].network_project, Some(ProjectId::DEFAULT));
        assert_eq!(found.allocations.len(), usize::from(shown), "{scope:?}");
        assert!(found.allocations.iter().all(|one| one.owner == owner(7)));
    }
    for scope in [of(0, 0), of(0, 1)] {
        let found = world.found(&scope, Lookup::Address(address));
        assert_eq!(found.subnets[0].network_project, None);
        assert_eq!(found.allocations[0].project_id, project(1));
        assert_eq!(found.allocations[0].owner, OwnerId::NIL);
    }
    world.done_as(&of(0, 0), Request::ProjectCreate(Box::default()));
    let nothing = world.found(&of(0, 0), Lookup::Owner(owner(7)));
    assert!(nothing.allocations.is_empty(), "the owner of that name is others'");
}

#[test]
fn nobody_touches_what_another_project_holds() {
    let mut world = lent();
    let got = world.take(&guest(1), allocate(7)).first;
    let address = got.address.to_string();
    let fences = Fences { revision: Some(got.revision), ..Fences::default() };
    let release_at = |fences| Release { target: by_address(&address), fences, any: true };
    // Another guest: as if nobody held it.
    let scope = guest(2);
    let answer = world.apply_as(&scope, &Request::Release(release_at(fences.clone())));
    assert_eq!(answer.unwrap().0, Status::NOT_HELD);
    let refused = world.refused_as(
        &scope,
        Request::Allocate(allocate_with(8, |extras| extras.exact = Some(got.address))),
    );
    assert_eq!(refused.status, Status::ADDRESS_TAKEN);
    assert_eq!(refused.details, []);
    // The network's own project sees that it is held, and by whom not.
    let update = AllocationUpdate {
        target: by_address(&address),
        fences: fences.clone(),
        label: Setting::Value(text("mine")),
        host: Setting::Unset,
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    };
    let requests = [
        Request::Release(release_at(fences)),
        Request::Release(release_at(Fences::default())),
        Request::AllocationUpdate(Box::new(update)),
    ];
    for request in requests {
        let refused = world.refused_as(&of(0, 1), request);
        assert_eq!(
            (refused.status, refused.field.as_deref()),
            (Status::NOT_HOLDER, Some("project"))
        );
        assert_eq!(refused.details, []);
    }
    let exact = allocate_with(8, |extras| extras.exact = Some(got.address));
    let refused = world.refused_as(&of(0, 1), Request::Allocate(exact));
    assert_eq!((refused.status, refused.details), (Status::ADDRESS_TAKEN, vec![]));
}

#[test]
fn it_stays_shared_while_guests_have_something_there() {
    let mut world = lent();
    world.take(&guest(1), allocate(7));
    let refused = world.refused_as(&of(0, 1), share(false));
    assert_eq!((refused.status, refused.field.as_deref()), (Status::IN_USE, Some("shared")));
    assert_eq!(refused.details, [Detail::Count { count: 1 }]);
    world.done_as(&guest(1), Request::Release(release(7)));
    // A port without addresses is in the way as well.
    let bare = PortCreate { fixed_ips: Setting::Value(Vec::new()), ..port(1) };
    world.port_as(&guest(2), bare);
    assert_eq!(world.refused_as(&of(0, 1), share(false)).status, Status::IN_USE);
    let delete = PortDelete { port_id: PortId::from_u128(1), expected: Default::default() };
    world.done_as(&guest(2), Request::PortDelete(delete));
    world.take(&of(0, 1), allocate(7));
    world.done_as(&of(0, 1), share(false));
    assert_eq!(
        world.refused_as(&guest(1), Request::Allocate(allocate(7))).status,
        Status::NOT_FOUND
    );
}

#[test]
fn a_project_with_something_on_a_network_of_another_stays() {
    let mut world = lent();
    world.take(&guest(1), allocate(7));
    let delete = Request::ProjectDelete(ProjectDelete::default());
    let refused = world.refused_as(&of(1, 0), delete.clone());
    assert_eq!(refused.status, Status::IN_USE);
    assert_eq!(refused.details, [Detail::Count { count: 1 }]);
    world.done_as(&guest(1), Request::Release(release(7)));
    world.done_as(&of(1, 0), delete);
    let gone = world.refused_as(&guest(1), Request::Allocate(allocate(7)));
    assert_eq!((gone.status, gone.field.as_deref()), (Status::NOT_FOUND, Some("project")));
}

#[test]
fn ports_of_guests_are_their_own_and_macs_are_the_networks() {
    let mut world = lent();
    let mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
    let made = world.port_as(&guest(1), PortCreate { mac: Some(mac), ..port(5) });
    assert_eq!(made.fixed_ips.len(), 1);
    // The same id in another project is another port; the same MAC is taken.
    let twice = PortCreate { mac: Some(mac), ..port(6) };
    for scope in [of(0, 1), guest(2), guest(1)] {
        let refused = world.refused_as(&scope, Request::PortCreate(Box::new(twice.clone())));
        assert_eq!((refused.status, refused.details), (Status::MAC_IN_USE, vec![]));
        assert!(!refused.message.contains(&made.port_id.to_string()));
    }
    let other = world.port_as(&guest(2), port(5));
    assert!(!other.repeated);
    assert_ne!(other.fixed_ips[0].ip_address, made.fixed_ips[0].ip_address);
    assert!(world.port_as(&guest(1), port(5)).repeated);
    // Nobody else finds, lists, changes or deletes it.
    let get = Request::PortGet(PortGet { port_id: PortId::from_u128(5) });
    assert_eq!(world.refused_as(&of(0, 1), get.clone()).status, Status::NOT_FOUND);
    for (scope, count) in [(of(0, 1), 0), (guest(1), 1), (guest(2), 1)] {
        match world.done_as(&scope, Request::PortList(Box::<PortList>::default())) {
            Reply::Ports(page) => assert_eq!(page.items.len(), count),
            other => panic!("{other:?}"),
        }
    }
    let change = Request::PortUpdate(Box::new(update(5)));
    assert_eq!(world.refused_as(&of(0, 1), change).status, Status::NOT_FOUND);
    // It changes its addresses, and they are its project's.
    let fixed_ips = Setting::Value(vec![exact("10.0.0.6")]);
    let change = PortUpdate { fixed_ips, ..update(5) };
    world.done_as(&guest(1), Request::PortUpdate(Box::new(change)));
    let own = world.listed(&guest(1), AllocationFilter::default());
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].address, own[0].project_id), (ip("10.0.0.6"), project(1)));
    let delete = PortDelete { port_id: PortId::from_u128(5), expected: Default::default() };
    world.done_as(&guest(1), Request::PortDelete(delete));
    assert_eq!(world.listed(&guest(1), AllocationFilter::default()), []);
    let Reply::Port(left) = world.done_as(&guest(2), get) else { panic!("a port") };
    assert_eq!(left.fixed_ips, other.fixed_ips);
}

#[test]
fn a_new_auto_address_subnet_gives_guests_ports_addresses_of_their_own_project() {
    let mut world = lent();
    world.port_as(&guest(1), port(5));
    world.port_as(&of(0, 1), port(5));
    let create = Request::SubnetCreate(Box::new(slaac(2, "fd00:2::/64")));
    world.done_as(&of(0, 1), create);
    world.work(1);
    world.check();
    for (scope, of) in [(guest(1), project(1)), (self::of(0, 1), ProjectId::DEFAULT)] {
        let own = world.listed(&scope, AllocationFilter::default());
        let own = own.iter().filter(|one| one.project_id == of && one.address.is_ipv6());
        assert_eq!(own.count(), 1, "{scope:?}");
    }
    let delete =
        SubnetDelete { subnet_id: subnet_id(2), force: false, expected: Default::default() };
    world.done_as(&of(0, 1), Request::SubnetDelete(delete));
    world.work(8);
    world.check();
    assert_eq!(world.listed(&guest(1), AllocationFilter::default()).len(), 1);
}

#[test]
fn pins_are_for_owners_of_the_networks_project() {
    let mut world = lent();
    let pin =
        PinCreate { address: ip("10.0.0.3"), owner: owner(7), slot: Slot(0), owner_name: None };
    world.done_as(&of(0, 1), Request::PinCreate(Box::new(pin)));
    let exact = allocate_with(7, |extras| extras.exact = Some(ip("10.0.0.3")));
    let refused = world.refused_as(&guest(1), Request::Allocate(exact));
    assert_eq!(refused.status, Status::PINNED);
    assert_ne!(world.take(&guest(1), allocate(7)).first.address, ip("10.0.0.3"));
    assert_eq!(world.take(&of(0, 1), allocate(7)).first.address, ip("10.0.0.3"));
}

#[test]
fn the_counts_of_a_shared_network_are_those_of_all() {
    let mut world = lent();
    world.take(&guest(1), allocate(7));
    world.take(&of(0, 1), allocate(8));
    for scope in [guest(1), guest(2), of(0, 1)] {
        match world.done_as(&scope, Request::Usage(Box::<Usage>::default())) {
            Reply::Usage(usage) => {
                assert_eq!((usage.subnets[0].allocated, usage.subnets[0].free), (2, 3));
            }
            other => panic!("{other:?}"),
        }
        let Reply::Network(network) = world.done_as(&scope, Request::NetworkGet(NetworkGet {}))
        else {
            panic!("a network");
        };
        assert_eq!((network.allocations, network.shared), (2, true));
    }
}

#[test]
fn deleting_a_network_or_subnet_with_guests_needs_force() {
    let mut world = lent();
    world.take(&guest(1), allocate(7));
    let delete =
        |force| SubnetDelete { subnet_id: subnet_id(1), force, expected: Default::default() };
    let refused = world.refused_as(&of(0, 1), Request::SubnetDelete(delete(false)));
    assert_eq!(refused.status, Status::IN_USE);
    let held = refused.details.iter().find_map(|detail| match detail {
        Detail::Held(held) => Some(held),
        _ => None,
    });
    assert!(held.is_none_or(|held| held.owner == OwnerId::NIL), "{refused:?}");
    let network =
        |force| Request::NetworkDelete(NetworkDelete { force, ..NetworkDelete::default() });
    assert_eq!(world.refused_as(&of(0, 1), network(false)).status, Status::IN_USE);
    world.port_as(&guest(2), port(5));
    world.done_as(&of(0, 1), network(true));
    let late = world.refused_as(&guest(1), Request::Allocate(allocate(8)));
    assert_eq!(late.status, Status::DELETING);
    world.work(1);
    world.check();
    assert!(world.shards.iter().all(|shard| shard.networks() == 0 && shard.guests.is_empty()));
    // Its guests can go now.
    world.done_as(&of(1, 0), Request::ProjectDelete(ProjectDelete::default()));
}

#[test]
fn lists_have_each_network_once_whoever_shares_it() {
    let mut world = World::with_projects();
    let shared = |shared| NetworkCreate { shared, ..NetworkCreate::default() };
    let create = |world: &mut World, number, id, share| {
        world.done_as(&of(number, id), Request::NetworkCreate(Box::new(shared(share))));
    };
    // The same ids in three projects; odd ones are shared.
    for number in 0..3 {
        for id in 1..=6 {
            create(&mut world, number, id, id % 2 == 1);
        }
    }
    for number in 0..3 {
        let mut expected: Vec<(NetworkId, ProjectId)> = (1..=6)
            .flat_map(|id| (0..3).map(move |of| (id, of)))
            .filter(|(id, of)| *of == number || id % 2 == 1)
            .map(|(id, of)| (network_id(id), project(of)))
            .collect();
        expected.sort_unstable();
        for limit in [1, 2, 3, 5, 100] {
            let found = world.networks(number, limit);
            let found: Vec<_> = found.iter().map(|one| (one.network_id, one.project_id)).collect();
            assert_eq!(found, expected, "limit {limit}");
        }
    }
}

#[test]
fn a_batch_of_a_guest_is_all_its_own_and_leaves_nothing_when_refused() {
    use addrd_protocol::message::{Batch, BatchItem, BatchMode};
    let mut world = lent();
    let items = vec![
        BatchItem::Allocate(allocate(1)),
        BatchItem::PortCreate(Box::new(port(5))),
        BatchItem::Allocate(allocate_with(2, |extras| extras.exact = Some(ip("10.0.0.1")))),
    ];
    let mut batch = Batch { mode: BatchMode::AllOrNothing, items };
    let before = world.snapshot();
    let refused = world.refused_as(&guest(1), Request::Batch(Box::new(batch.clone())));
    assert_eq!((refused.status, refused.item), (Status::IS_GATEWAY, Some(2)));
    assert_eq!(world.snapshot(), before);
    assert!(world.shards.iter().all(|shard| shard.guests.is_empty()));
    batch.items.pop();
    batch.items.push(BatchItem::Release(release(1)));
    world.done_as(&guest(1), Request::Batch(Box::new(batch)));
    let own = world.listed(&guest(1), AllocationFilter::default());
    assert_eq!(own.len(), 1);
    assert!(own.iter().all(|one| one.project_id == project(1)));
}
