//! Everything that can be read, compared between the shard and the naive server.

use super::dice::{Dice, net_of};
use super::machine::assert_same;
use super::naive::{Naive, Net};
use super::*;
use crate::model::Family;
use addrd_protocol::message::{
    Allocation, AllocationFilter, AllocationGet, AllocationList, AllocationState, FreeRanges,
    Lookup, NetworkFind, NetworkGet, NetworkList, PageRequest, SubnetGet, SubnetList, SubnetName,
    SubnetUsage, Usage, UsageTotals,
};
use addrd_protocol::prefix::number_of;

/// Compares one thing.
pub(super) fn compare(world: &mut World, naive: &Naive, dice: &mut Dice) {
    let network = dice.network();
    let net = net_of(naive, network);
    match dice.roll(6) {
        0 => lookup(world, naive, net, dice),
        1 => get(world, network, net, dice),
        2 => names(world, naive, dice),
        3 => {
            if let Some(net) = net {
                let filter = filter(dice, net);
                allocations(world, network, net, filter, 1 + dice.roll(4) as u32);
            }
        }
        4 => networks(world, naive, 1 + dice.roll(3) as u32),
        _ => {
            if let Some(net) = net {
                free_ranges(world, network, net, 1 + dice.roll(3) as u32);
            }
        }
    }
}

/// Compares everything.
pub(super) fn compare_all(world: &mut World, naive: &Naive) {
    networks(world, naive, 0);
    for net in &naive.networks {
        let network = net.id.0.as_u128();
        allocations(world, network, net, AllocationFilter::default(), 0);
        resting(world, network, net, 2);
        subnets(world, network, net, 2);
        usage(world, network, net);
        free_ranges(world, network, net, 0);
    }
}

fn networks(world: &mut World, naive: &Naive, limit: u32) {
    let mut all: Vec<&Net> = naive.networks.iter().collect();
    all.sort_by_key(|net| net.id);
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let request = NetworkList { page: PageRequest { limit, cursor }, name_prefix: None };
        let reply = world.done(0, Request::NetworkList(Box::new(request)));
        let Reply::Networks(page) = reply else { panic!("{reply:?}") };
        assert!(limit == 0 || page.items.len() <= limit as usize);
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), all.len());
    for (real, net) in seen.iter().zip(all) {
        assert_eq!((real.network_id, &real.name), (net.id, &net.name));
        assert_eq!((&real.description, real.deleting), (&net.description, net.deleting));
        assert_eq!(real.revision.0, net.attributes);
        assert_eq!(real.subnets as usize, net.subnets.len());
        assert_eq!(real.allocations as usize, net.held.len());
        let scope = net.id.0.as_u128();
        let got = world.done(scope, Request::NetworkGet(NetworkGet {}));
        assert_eq!(got, Reply::Network(Box::new(real.clone())));
    }
}

fn subnets(world: &mut World, network: u128, net: &Net, limit: u32) {
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let request = SubnetList { page: PageRequest { limit, cursor } };
        let reply = world.done(network, Request::SubnetList(Box::new(request)));
        let Reply::Subnets(page) = reply else { panic!("{reply:?}") };
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let all = net.sorted();
    assert_eq!(seen.len(), all.len());
    for (real, sub) in seen.iter().zip(all) {
        assert_eq!((real.subnet_id, real.cidr, real.kind), (sub.id, sub.prefix, sub.kind));
        assert_eq!((real.strategy, real.enable_dhcp), (sub.strategy, sub.dhcp));
        assert_eq!((real.gateway, &real.pools), (sub.gateway, &sub.pools));
        assert_eq!((&real.dns_servers, &real.routes), (&sub.dns, &sub.routes));
        assert_eq!((&real.exclusions, real.deleting), (&sub.exclusions, sub.deleting));
        assert_eq!((&real.name, &real.description), (&sub.name, &sub.description));
        assert_eq!(real.revision.0, sub.revision);
        assert_eq!(real.allocations as usize, net.held_in(sub.id).count());
        assert_eq!(real.quarantine_ms, sub.quarantine);
        let mut ways = vec![SubnetName::Id(sub.id), SubnetName::Cidr(sub.prefix)];
        ways.extend(sub.name.clone().map(SubnetName::Name));
        for subnet in ways {
            let got = world.done(network, Request::SubnetGet(Box::new(SubnetGet { subnet })));
            assert_eq!(got, Reply::Subnet(Box::new(real.clone())));
        }
    }
}

fn filter(dice: &mut Dice, net: &Net) -> AllocationFilter {
    let held = net.held.first();
    AllocationFilter {
        subnet: net.subnets.first().filter(|_| dice.once_in(3)).map(|sub| sub.id),
        family: [None, Some(Family::V4), Some(Family::V6)][dice.roll(3) as usize],
        state: None,
        owner: held.filter(|_| dice.once_in(3)).map(|held| held.owner),
        manager: held.filter(|_| dice.once_in(4)).and_then(|held| held.manager.clone()),
        host: held.filter(|_| dice.once_in(4)).and_then(|held| held.host.clone()),
        label: if dice.once_in(4) { Some(text("k=v")) } else { None },
        changed_since: held.filter(|_| dice.once_in(4)).map(|held| held.revision()),
    }
}

fn allocations(world: &mut World, network: u128, net: &Net, filter: AllocationFilter, limit: u32) {
    let seen = listed(world, network, &filter, limit);
    let same = |wanted: &Option<Text>, held: &Option<Text>| wanted.is_none() || wanted == held;
    let shown = net.sorted_held().into_iter().filter(|held| {
        filter.subnet.is_none_or(|id| id == held.subnet)
            && filter.family.is_none_or(|family| family == held.family)
            && filter.owner.is_none_or(|owner| owner == held.owner)
            && same(&filter.manager, &held.manager)
            && same(&filter.host, &held.host)
            && filter.label.is_none()
                | held.label.as_ref().is_some_and(|l| l.split(',').any(|pair| pair == "k=v"))
            && filter.changed_since.is_none_or(|since| held.changed > since.0)
    });
    let shown: Vec<_> = shown.collect();
    assert_eq!(seen.len(), shown.len(), "{filter:?}");
    let now = world.at.tick.0;
    for (real, held) in seen.iter().zip(shown) {
        assert_same(real, held);
        assert_eq!(real.time_left_ms, held.end.map_or(0, |end| end - now));
    }
}

/// All pages of a list.
fn listed(
    world: &mut World,
    network: u128,
    filter: &AllocationFilter,
    limit: u32,
) -> Vec<Allocation> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit, cursor };
        let request = AllocationList { page, filter: filter.clone() };
        let reply = world.done(network, Request::AllocationList(Box::new(request)));
        let Reply::Allocations(page) = reply else { panic!("{reply:?}") };
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return seen;
        }
    }
}

/// What rests is listed for whoever asks for it.
fn resting(world: &mut World, network: u128, net: &Net, limit: u32) {
    let state = Some(AllocationState::Quarantined);
    let filter = AllocationFilter { state, ..AllocationFilter::default() };
    let seen = listed(world, network, &filter, limit);
    let mut all: Vec<_> = net.resting.iter().collect();
    all.sort_by_key(|rest| (rest.family, rest.first));
    assert_eq!(seen.len(), all.len());
    let now = world.at.tick.0;
    for (real, rest) in seen.iter().zip(all) {
        assert_eq!((number_of(&real.address), real.subnet_id), (rest.first, rest.subnet));
        assert_eq!((real.owner, real.slot), (rest.owner, rest.slot));
        assert_eq!((Some(real.state), real.time_left_ms), (state, rest.end - now));
    }
}

/// The sums of what is told of each subnet, by family.
pub(super) fn sums(subnets: &[SubnetUsage]) -> Vec<UsageTotals> {
    let of = |family| {
        let of_family = subnets.iter().filter(|one| one.cidr.family() == family);
        of_family.fold(UsageTotals::none(family), UsageTotals::with)
    };
    let all = [Family::V4, Family::V6].into_iter().map(of);
    all.filter(|totals| totals.subnets > 0).collect()
}

fn usage(world: &mut World, network: u128, net: &Net) {
    let reply = world.done(network, Request::Usage(Box::default()));
    let Reply::Usage(usage) = reply else { panic!("{reply:?}") };
    assert_eq!(usage.subnets.len(), net.subnets.len());
    assert_eq!(usage.totals, sums(&usage.subnets));
    for (real, sub) in usage.subnets.iter().zip(net.sorted()) {
        let size = |(a, b): (u128, u128)| b - a + 1;
        let pools: Vec<_> = sub.pools.iter().map(super::naive::numbers).collect();
        let open = sub.pieces(None);
        let held: Vec<_> = net.held_in(sub.id).map(|held| (held.first, held.last)).collect();
        let holds = net.held_in(sub.id).filter(|held| held.token.is_some());
        let holds: Vec<_> = holds.map(|held| (held.first, held.last)).collect();
        let resting: Vec<_> = net.resting_in(sub.id).map(|rest| (rest.first, rest.last)).collect();
        let inside = |of: &[(u128, u128)], pieces: &[(u128, u128)]| -> u128 {
            let overlaps = of.iter().flat_map(|&(first, last)| {
                pieces.iter().map(move |&(a, b)| (a.max(first), b.min(last)))
            });
            overlaps.filter(|(a, b)| a <= b).map(size).sum()
        };
        let taken = |pieces: &[(u128, u128)]| inside(&held, pieces) + inside(&resting, pieces);
        let pool_size: u128 = pools.iter().copied().map(size).sum();
        let open_size: u128 = open.iter().copied().map(size).sum();
        let all: u128 = held.iter().chain(&resting).copied().map(size).sum();
        assert_eq!((real.subnet_id, real.cidr), (sub.id, sub.prefix));
        assert_eq!(real.size, sub.prefix.offset_max() + 1);
        assert_eq!(real.pool_size, pool_size);
        assert_eq!(real.held, inside(&holds, &pools));
        assert_eq!(real.allocated, inside(&held, &pools) - real.held);
        assert_eq!(real.quarantined, inside(&resting, &pools));
        assert_eq!(real.free, open_size - taken(&open));
        assert_eq!(real.used_outside, all - taken(&pools));
        let parts = real.free + real.held + real.allocated + real.quarantined + real.excluded;
        assert_eq!(parts + real.pinned, real.pool_size, "conservation");
        let one = Usage { subnet: Some(SubnetName::Id(sub.id)), ..Usage::default() };
        let reply = world.done(network, Request::Usage(Box::new(one)));
        let Reply::Usage(one) = reply else { panic!("{reply:?}") };
        assert_eq!(&one.subnets, std::slice::from_ref(real));
    }
}

/// Free ranges are maximal, and together they are what is free.
fn free_ranges(world: &mut World, network: u128, net: &Net, limit: u32) {
    for sub in net.sorted() {
        let mut seen = Vec::new();
        let mut from = None;
        for _ in 0..200 {
            let request = FreeRanges { subnet: SubnetName::Id(sub.id), limit, from };
            let reply = world.done(network, Request::FreeRanges(Box::new(request)));
            let Reply::FreeRanges(page) = reply else { panic!("{reply:?}") };
            seen.extend(page.ranges.iter().map(super::naive::numbers));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let mut open = sub.pieces(None);
        open.sort_unstable();
        let mut expected: Vec<(u128, u128)> = Vec::new();
        for (first, last) in open {
            let mut start = Some(first);
            let held = net.held_in(sub.id).map(|held| (held.first, held.last));
            let resting = net.resting_in(sub.id).map(|rest| (rest.first, rest.last));
            let mut inside: Vec<_> =
                held.chain(resting).filter(|(a, b)| *a <= last && *b >= first).collect();
            inside.sort_unstable();
            let mut push = |a: u128, b: u128| match expected.last_mut() {
                Some(before) if before.1.checked_add(1) == Some(a) => before.1 = b,
                _ => expected.push((a, b)),
            };
            for (a, b) in inside {
                if let Some(start) = start.filter(|&start| start < a) {
                    push(start, a - 1);
                }
                start = b.checked_add(1);
            }
            if let Some(start) = start.filter(|&start| start <= last) {
                push(start, last);
            }
        }
        assert_eq!(seen, expected, "{:?}", sub.prefix);
    }
}

fn lookup(world: &mut World, naive: &Naive, net: Option<&Net>, dice: &mut Dice) {
    let address = dice.address(net);
    let scope = if dice.once_in(2) { 0 } else { net.map_or(0, |net| net.id.0.as_u128()) };
    let searched = naive.networks.iter().filter(|net| scope == 0 || net.id == network_id(scope));
    let searched: Vec<&Net> = searched.collect();
    let find =
        |world: &mut World, lookup| match world.done(scope, Request::Lookup(Box::new(lookup))) {
            Reply::Lookups(found) => found,
            other => panic!("{other:?}"),
        };
    let found = find(world, Lookup::Address(address));
    let mut real: Vec<_> = found.subnets.iter().map(|s| (s.network_id, s.subnet_id)).collect();
    real.sort_unstable();
    let with = |net: &&Net| {
        let all = net.subnets.iter().filter(|sub| sub.prefix.contains(&address));
        all.map(|sub| (net.id, sub.id)).collect::<Vec<_>>()
    };
    let mut expected: Vec<_> = searched.iter().flat_map(with).collect();
    expected.sort_unstable();
    assert_eq!(real, expected);
    let held = searched.iter().filter_map(|net| net.by_address(&address).map(|at| &net.held[at]));
    let number = number_of(&address);
    let resting = searched.iter().flat_map(|net| &net.resting).filter(|rest| {
        rest.family == Family::of(&address) && rest.first <= number && number <= rest.last
    });
    assert_eq!(found.allocations.len(), held.count() + resting.count());
    assert!(found.allocations.iter().all(|a| number_of(&a.address) <= number));
    let Some(owner) = net.and_then(|net| net.held.first()).map(|held| held.owner) else { return };
    let found = find(world, Lookup::Owner(owner));
    let all = searched.iter().flat_map(|net| net.held.iter());
    assert_eq!(found.allocations.len(), all.filter(|held| held.owner == owner).count());
    assert!(found.allocations.iter().all(|allocation| allocation.owner == owner));
}

fn get(world: &mut World, network: u128, net: Option<&Net>, dice: &mut Dice) {
    let target = dice.release(net).target;
    let answer = world.apply(network, &Request::AllocationGet(Box::new(AllocationGet { target })));
    let Some(net) = net else {
        assert_eq!(answer.unwrap_err().status, Status::NOT_FOUND);
        return;
    };
    match (answer, super::naive::target(net, &target)) {
        (Ok((_, Reply::Allocation(real))), Ok(Some(at))) => assert_same(&real, &net.held[at]),
        (Err(refused), Ok(None)) => assert_eq!(refused.status, Status::NOT_FOUND),
        (Err(refused), Err((status, _))) => assert_eq!(refused.status, status),
        other => panic!("{other:?}"),
    }
}

fn names(world: &mut World, naive: &Naive, dice: &mut Dice) {
    let name = dice.name();
    let net = naive.networks.iter().find(|net| net.name.as_ref() == Some(&name));
    match (world.apply(0, &Request::NetworkFind(Box::new(NetworkFind { name }))), net) {
        (Ok((_, Reply::Network(real))), Some(net)) => assert_eq!(real.network_id, net.id),
        (Err(refused), None) => assert_eq!(refused.status, Status::NOT_FOUND),
        other => panic!("{other:?}"),
    }
}
