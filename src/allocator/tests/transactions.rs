//! Transactions over several networks and pools, by the rules of protocol/SPEC.md, "transaction":
//! examples, and random ones against the same items done one by one in a copy of the world.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of random cases; a failing case prints its seed.

use super::catalogue::{in_pool, of, pool};
use super::dice::Dice;
use super::ports::{port, update, within};
use super::quotas::addresses;
use super::shared::share;
use super::*;
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{
    BatchResult, Detail, Failure, FamilyChoice, PoolCreate, PortCreate, PortDelete, ProjectGet,
    QuotaResource, QuotaSettings, Renew, Transaction, TransactionItem,
};
use addrd_protocol::{Mac, PortId, Setting};
use proptest::prelude::*;

/// Networks of the default project; 3 is shared.
const NETWORKS: [u128; 3] = [1, 2, 3];
const POOL: u128 = 9;

/// Three networks in two shards, each with a /29 and, but for the second, a small IPv6 subnet; a pool
/// of four /26; projects 1 and 2.
fn networks() -> World {
    let mut world = World::with_projects();
    for number in NETWORKS {
        world.done_as(&of(0, number), Request::NetworkCreate(Box::default()));
        let v4 = subnet(10 * number, &format!("10.{number}.0.0/29"));
        world.done_as(&of(0, number), Request::SubnetCreate(Box::new(v4)));
        if number != 2 {
            let v6 = subnet(10 * number + 1, &format!("fd00:{number}::/125"));
            world.done_as(&of(0, number), Request::SubnetCreate(Box::new(v6)));
        }
    }
    world.done_as(&of(0, 3), share(true));
    world.pool(POOL, pool(&["172.16.0.0/24"]));
    world
}

fn item(network: u128, operation: BatchItem) -> TransactionItem {
    TransactionItem { network: network_id(network), pool: false, network_project: None, operation }
}

fn take(network: u128, number: u128) -> TransactionItem {
    item(network, BatchItem::Allocate(allocate(number)))
}

fn give(network: u128, number: u128) -> TransactionItem {
    item(network, BatchItem::Release(release(number)))
}

/// A /26 of the pool.
fn prefix(number: u128) -> TransactionItem {
    let request = Allocate { length: Some(26), ..allocate(number) };
    TransactionItem { pool: true, ..item(POOL, BatchItem::Allocate(request)) }
}

fn transaction(items: Vec<TransactionItem>) -> Request {
    Request::Transaction(Box::new(Transaction { items }))
}

impl World {
    fn all_of(&mut self, project: u128, items: Vec<TransactionItem>) -> Vec<BatchResult> {
        match self.done_as(&of(project, 0), transaction(items)) {
            Reply::Batch(done) => done.results,
            other => panic!("{other:?}"),
        }
    }

    fn none_of(&mut self, project: u128, items: Vec<TransactionItem>) -> Failure {
        let before = self.snapshot();
        let refused = self.refused_as(&of(project, 0), transaction(items));
        assert_eq!(self.snapshot(), before, "a refusal changes nothing");
        refused
    }

    /// The same world, made of its records, in one shard.
    fn copy(&self) -> Self {
        let mut copy = Self::new(1);
        for effect in &self.log.effects {
            copy.catalogue.absorb(effect).unwrap();
            if !is_of_pool(&copy.catalogue, effect) {
                copy.shards[0].absorb(effect).unwrap();
            }
            copy.log.push(effect);
        }
        for project in copy.catalogue.project_ids() {
            copy.shards[0].know_project(project, true);
        }
        copy
    }

    fn free_of(&mut self, network: u128) -> usize {
        let mut copy = self.copy();
        let mut ask = |number| copy.apply(network, &Request::Allocate(allocate(number)));
        (5_000..5_100).take_while(|number| ask(*number).is_ok()).count()
    }
}

fn addresses_of(results: &[BatchResult]) -> Vec<String> {
    let address = |result: &BatchResult| match result {
        BatchResult::Allocated(got) => got.first.address.to_string(),
        other => panic!("{other:?}"),
    };
    results.iter().map(address).collect()
}

#[test]
fn a_pod_has_an_address_in_every_network_and_a_prefix() {
    let mut world = networks();
    let wanted = || vec![take(1, 7), take(2, 7), take(3, 7), prefix(7)];
    let results = world.all_of(0, wanted());
    assert_eq!(addresses_of(&results), ["10.1.0.2", "10.2.0.2", "10.3.0.2", "172.16.0.0"]);
    let again = world.all_of(0, wanted());
    assert_eq!(addresses_of(&again), addresses_of(&results));
    let repeated = |result: &BatchResult| match result {
        BatchResult::Allocated(got) => got.first.repeated,
        other => panic!("{other:?}"),
    };
    assert!(again.iter().all(repeated), "sent again it has no second effect");
    let given = vec![give(3, 7), give(1, 7), give(1, 7)];
    let results = world.all_of(0, given);
    assert!(matches!(results[0], BatchResult::Released(_)), "{results:?}");
    assert!(matches!(results[2], BatchResult::NotHeld), "a later item sees what an earlier did");
}

#[test]
fn what_is_in_the_way_of_one_undoes_all() {
    let mut world = networks();
    (100..105).for_each(|number| _ = world.all_of(0, vec![take(2, number)]));
    assert_eq!(world.free_of(2), 0);
    let refused = world.none_of(0, vec![take(1, 7), prefix(7), take(3, 7), take(2, 7)]);
    assert_eq!((refused.status, refused.item), (Status::EXHAUSTED, Some(3)));
    // It was not for lack of anything else, and nothing was used up.
    let results = world.all_of(0, vec![take(1, 7), prefix(7), take(3, 7)]);
    assert_eq!(addresses_of(&results), ["10.1.0.2", "172.16.0.0", "10.3.0.2"]);
    // What an earlier item gives back may be had by a later one, or stays where it was.
    let results = world.all_of(0, vec![give(2, 100), take(2, 7)]);
    assert!(matches!(results[1], BatchResult::Allocated(_)), "{results:?}");
    let refused = world.none_of(0, vec![give(2, 101), take(2, 8), give(1, 7), take(2, 9)]);
    assert_eq!((refused.status, refused.item), (Status::EXHAUSTED, Some(3)));
}

#[test]
fn ports_change_in_several_networks_or_in_none() {
    let mut world = networks();
    let create = |network, number| item(network, BatchItem::PortCreate(Box::new(port(number))));
    world.all_of(0, vec![create(1, 50), create(2, 51), create(3, 52)]);
    let mut change = update(50);
    change.fixed_ips = Setting::Value(vec![within(11)]);
    let change = item(1, BatchItem::PortUpdate(Box::new(change)));
    let gone = PortDelete { port_id: PortId::from_u128(51), expected: Default::default() };
    let gone = item(2, BatchItem::PortDelete(gone));
    let missing = PortDelete { port_id: PortId::from_u128(99), expected: Default::default() };
    let missing = item(3, BatchItem::PortDelete(missing));
    let refused = world.none_of(0, vec![change.clone(), gone.clone(), create(3, 53), missing]);
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(3)));
    let results = world.all_of(0, vec![change, gone, create(3, 53)]);
    assert!(matches!(results[1], BatchResult::PortDeleted), "{results:?}");
}

#[test]
fn what_is_not_there_is_told_with_its_item() {
    let mut world = networks();
    let refused = world.none_of(0, vec![take(1, 7), take(77, 7)]);
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(1)));
    let absent = TransactionItem { pool: true, ..take(78, 7) };
    let refused = world.none_of(0, vec![take(1, 7), take(2, 7), absent]);
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(2)));
    // Another project's network is none of one's own, unless it is shared.
    let refused = world.none_of(1, vec![take(1, 7)]);
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(0)));
    let of_other = |network, number| TransactionItem {
        network_project: Some(ProjectId::DEFAULT),
        ..take(network, number)
    };
    let refused = world.none_of(1, vec![of_other(3, 7), of_other(2, 7)]);
    assert_eq!((refused.status, refused.item), (Status::NOT_FOUND, Some(1)));
    world.done_as(&of(1, 1), Request::NetworkCreate(Box::default()));
    world.done_as(&of(1, 1), Request::SubnetCreate(Box::new(subnet(1, "10.9.0.0/24"))));
    let results = world.all_of(1, vec![of_other(3, 7), take(1, 7)]);
    assert_eq!(addresses_of(&results), ["10.3.0.2", "10.9.0.2"]);
    let renew = Renew { target: release(7).target, fences: Fences::default(), lease_ms: 5_000 };
    let renew = TransactionItem { pool: true, ..item(POOL, BatchItem::Renew(renew)) };
    let refused = world.none_of(0, vec![prefix(3), renew]);
    assert_eq!((refused.status, refused.item), (Status::EXPIRED, Some(1)));
}

#[test]
fn a_quota_counts_it_as_a_whole() {
    let mut world = networks();
    world.set_quotas(0, addresses(3));
    world.all_of(0, vec![take(1, 1), take(2, 1), take(3, 1)]);
    let refused = world.none_of(0, vec![take(1, 2), take(2, 2)]);
    assert_eq!(refused.status, Status::QUOTA);
    let over = |used, asked| {
        vec![Detail::Quota { resource: QuotaResource::Addresses, limit: 3, used, asked }]
    };
    assert_eq!(refused.details, over(3, 2));
    // One is exchanged for one in another shard, in either order.
    world.all_of(0, vec![give(1, 1), take(2, 2)]);
    world.all_of(0, vec![take(1, 3), give(3, 1)]);
    let refused = world.none_of(0, vec![give(1, 3), take(2, 4), take(3, 4)]);
    assert_eq!(refused.details, over(3, 1));
    world.all_of(0, vec![give(1, 3), give(2, 1)]);
    world.all_of(0, vec![take(1, 5), take(3, 5)]);
    let one_more = world.refused_as(&of(0, 2), Request::Allocate(allocate(6)));
    assert_eq!(one_more.details, over(3, 1));
    let quotas = QuotaSettings { prefixes: Setting::Value(1), ..QuotaSettings::default() };
    world.set_quotas(0, quotas);
    world.all_of(0, vec![prefix(1)]);
    assert_eq!(world.none_of(0, vec![give(1, 5), prefix(2)]).status, Status::QUOTA);
    let back = TransactionItem { pool: true, ..give(POOL, 1) };
    world.all_of(0, vec![prefix(2), back]);
}

#[test]
fn no_items_and_too_many_are_refused() {
    let mut world = networks();
    assert_eq!(world.none_of(0, Vec::new()).status, Status::OUT_OF_RANGE);
    let many = (0..1_025).map(|number| take(1, number)).collect();
    assert_eq!(world.none_of(0, many).status, Status::OUT_OF_RANGE);
}

#[test]
fn what_frees_is_told_from_what_takes() {
    let gone = PortDelete { port_id: PortId::from_u128(51), expected: Default::default() };
    assert!(is_freeing(&Request::PortDelete(gone)));
    let gone = || item(2, BatchItem::PortDelete(gone));
    assert!(is_freeing(&transaction(vec![gone(), give(1, 7)])));
    assert!(!is_freeing(&transaction(vec![gone(), take(1, 7)])));
    let renew = Renew { target: release(7).target, fences: Fences::default(), lease_ms: 5_000 };
    let renew = || item(1, BatchItem::Renew(renew.clone()));
    assert!(is_renewal(&transaction(vec![renew(), renew()])));
    assert!(!is_renewal(&transaction(vec![renew(), give(1, 7)])));
}

#[test]
fn a_project_that_is_not_there_takes_nothing_of_a_shared_pool() {
    let mut world = networks();
    let shared = PoolCreate { shared: true, ..pool(&["172.20.0.0/16"]) };
    world.pool(10, shared);
    let prefix = Allocate { length: Some(26), ..allocate(1) };
    let alone = world.refused_as(&in_pool(77, 10), Request::Allocate(prefix.clone()));
    assert_eq!((alone.status, alone.field), (Status::NOT_FOUND, Some(text("project"))));
    let item = item(10, BatchItem::Allocate(prefix));
    let item = TransactionItem { pool: true, ..item };
    assert_eq!(world.none_of(77, vec![item.clone()]).status, Status::NOT_FOUND);
    world.all_of(1, vec![item]);
}

/// A random item of a project. Small worlds, so that items meet each other.
fn random_item(dice: &mut Dice, project: u128) -> TransactionItem {
    let number = 1 + u128::from(dice.roll(6));
    if dice.once_in(5) {
        return match dice.roll(3) {
            0 => TransactionItem { pool: true, ..give(POOL, number) },
            _ => prefix(number),
        };
    }
    let network = if project == 0 { dice.one_of(&NETWORKS) } else { 3 };
    let operation = match dice.roll(8) {
        0..3 => {
            let family = dice.one_of(&[FamilyChoice::One, FamilyChoice::V4, FamilyChoice::Each]);
            BatchItem::Allocate(Allocate { family, ..allocate(number) })
        }
        3..5 => BatchItem::Release(release(number)),
        5 => {
            // A MAC of one's own: those that are made are random.
            let mac = Mac::from_number(0x0200_0000_0000 + number as u64);
            let create = PortCreate { mac: Some(mac), ..port(20 + number) };
            BatchItem::PortCreate(Box::new(create))
        }
        6 => {
            let mut change = update(20 + number);
            let v6 = if network == 2 { 20 } else { 10 * network + 1 };
            let shapes = [vec![], vec![within(10 * network)], vec![within(v6)]];
            change.fixed_ips = Setting::Value(shapes[dice.roll(3) as usize].clone());
            BatchItem::PortUpdate(Box::new(change))
        }
        _ => BatchItem::PortDelete(PortDelete {
            port_id: PortId::from_u128(20 + number),
            expected: Default::default(),
        }),
    };
    let network_project = (project != 0).then_some(ProjectId::DEFAULT);
    TransactionItem { network_project, ..item(network, operation) }
}

/// Does one item by itself, as a request of its own.
fn alone(world: &mut World, project: u128, item: &TransactionItem) -> Result<(), Status> {
    let id = item.network.0.as_u128();
    let scope = if item.pool { in_pool(project, id) } else { of(project, id) };
    let scope = Scope { network_project: item.network_project, ..scope };
    let request = match item.operation.clone() {
        BatchItem::Allocate(request) => Request::Allocate(request),
        BatchItem::Release(request) => Request::Release(request),
        BatchItem::PortCreate(request) => Request::PortCreate(request),
        BatchItem::PortUpdate(request) => Request::PortUpdate(request),
        BatchItem::PortDelete(request) => Request::PortDelete(request),
        other => panic!("{other:?}"),
    };
    world.apply_as(&scope, &request).map(|_| ()).map_err(|refused| refused.status)
}

fn against_one_by_one(seed: u64) {
    let dice = &mut Dice(seed);
    let mut world = networks();
    for _ in 0..30 {
        let project = u128::from(dice.roll(2));
        let items: Vec<_> = (0..1 + dice.roll(5)).map(|_| random_item(dice, project)).collect();
        let mut copy = world.copy();
        let refusal = items.iter().enumerate().find_map(|(number, item)| {
            alone(&mut copy, project, item).err().map(|status| (status, number))
        });
        let before = (world.snapshot(), world.catalogue.snapshot(), world.log.effects.len());
        let answer = world.apply_as(&of(project, 0), &transaction(items));
        world.check();
        match (refusal, answer) {
            (None, Ok(_)) => {
                assert_eq!(world.snapshot(), copy.snapshot(), "as if done one by one");
                assert_eq!(world.catalogue.snapshot(), copy.catalogue.snapshot());
            }
            (Some((status, number)), Err(refused)) => {
                assert_eq!((refused.status, refused.item), (status, u16::try_from(number).ok()));
                let after = (world.snapshot(), world.catalogue.snapshot(), world.log.effects.len());
                assert_eq!(after, before, "a refusal changes nothing");
            }
            (expected, got) => panic!("{expected:?} expected, {got:?}"),
        }
    }
}

/// With a quota: what is granted stays within it or gives back, and a refusal tells the truth.
fn within_its_quota(seed: u64) {
    let dice = &mut Dice(seed);
    let mut world = networks();
    let limit = 2 + dice.roll(6);
    world.set_quotas(0, addresses(limit));
    let used = |world: &mut World| match world
        .done_as(&of(0, 0), Request::ProjectGet(Box::<ProjectGet>::default()))
    {
        Reply::Project(project) => project.used.addresses.unwrap(),
        other => panic!("{other:?}"),
    };
    for _ in 0..40 {
        let items: Vec<_> = (0..1 + dice.roll(5)).map(|_| random_item(dice, 0)).collect();
        let mut free = world.copy();
        free.shards[0].share_quotas(ProjectId::DEFAULT, None);
        let before = used(&mut world);
        let without = free.apply_as(&of(0, 0), &transaction(items.clone()));
        let answer = world.apply_as(&of(0, 0), &transaction(items));
        world.check();
        let after = used(&mut world);
        match (without, answer) {
            (Ok(_), Ok(_)) => assert!(after <= limit.max(before), "{after} of {limit}"),
            (Ok(_), Err(refused)) => {
                let wanted = used(&mut free);
                assert_eq!(after, before);
                assert!(wanted > limit && wanted > before, "{wanted} of {limit} is no refusal");
                let (resource, limit) = (QuotaResource::Addresses, u128::from(limit));
                let (used, asked) = (u128::from(before), u128::from(wanted - before));
                assert_eq!(refused.details, [Detail::Quota { resource, limit, used, asked }]);
            }
            (Err(expected), Err(refused)) => assert_eq!(expected.status, refused.status),
            (Err(expected), Ok(_)) => panic!("{expected:?} expected"),
        }
    }
}

fn cases() -> ProptestConfig {
    let text = std::env::var("ADDRD_PROPTEST_CASES").ok();
    let cases = text.map_or(64, |text| text.parse().expect("ADDRD_PROPTEST_CASES is a number"));
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn all_of_them_is_as_one_by_one_and_none_is_nothing(seed in any::<u64>()) {
        against_one_by_one(seed);
    }

    #[test]
    fn a_project_stays_within_its_quota(seed in any::<u64>()) {
        within_its_quota(seed);
    }
}
