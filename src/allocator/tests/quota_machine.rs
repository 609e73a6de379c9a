//! Random operations of three projects on networks in one to three shards, with quotas that change,
//! against books that only count. What a drain freed is settled at random, so that one worker often
//! asks for what another has freed and not handed over.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing case prints its steps.

use super::catalogue::{in_pool, of, pool};
use super::dice::Dice;
use super::ports::{port, update, within};
use super::*;
use crate::model::Revision;
use addrd_protocol::message::batch::BatchItem;
use addrd_protocol::message::{
    AllocationGet, Batch, BatchMode, BatchResult, Detail, PortCreate, PortDelete, PortUpdate,
    ProjectUpdate, QuotaResource, QuotaSettings, Quotas, SubnetDelete, Transaction,
    TransactionItem, Transfer,
};
use addrd_protocol::{PortId, Setting};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PROJECTS: usize = 3;
/// Networks with addresses: the first two are shared by project 0, the last is project 1's.
const HOMES: [(u128, usize); 3] = [(1, 0), (2, 0), (3, 1)];
const ADDRESSES: usize = 0;
const PORTS: usize = 1;

/// (network, project, owner or port).
type Key = (u128, usize, u128);

/// A quota as it would be told: what, limit, used, asked.
type Told = (QuotaResource, u64, u64, u64);

/// What is held, by count.
#[derive(Debug, Default)]
struct Books {
    quotas: [Quotas; PROJECTS],
    held: BTreeMap<Key, u64>,
    ports: BTreeMap<Key, u64>,
    empty_networks: BTreeSet<(usize, u128)>,
    subnets: BTreeSet<(usize, u128, u128)>,
    prefixes: BTreeSet<(usize, u128)>,
    /// Freed by a shard and not settled, by shard and project.
    credit: Vec<[[u64; 2]; PROJECTS]>,
}

impl Books {
    fn used(&self, project: usize) -> [u64; 2] {
        let own = |key: &&Key| key.1 == project;
        let held: u64 = self.held.iter().filter(|(key, _)| own(key)).map(|(_, units)| units).sum();
        let ports: Vec<u64> =
            self.ports.iter().filter(|(key, _)| own(key)).map(|(_, count)| *count).collect();
        [held + ports.iter().sum::<u64>(), ports.len() as u64]
    }

    /// What the cells count as used, as a shard sees them.
    fn seen(&self, shard: usize, project: usize) -> [u64; 2] {
        let others = self.credit.iter().enumerate().filter(|(at, _)| *at != shard);
        others.fold(self.used(project), |used, (_, credit)| {
            [0, 1].map(|kind| used[kind] + credit[project][kind])
        })
    }

    /// Whether a shard may take so much for a project; if so it uses up its credit first.
    fn take(&mut self, shard: usize, project: usize, asked: [u64; 2]) -> Result<(), Told> {
        let Quotas { addresses, ports, .. } = self.quotas[project];
        let limits = [addresses, ports];
        let seen = self.seen(shard, project);
        for kind in [ADDRESSES, PORTS] {
            let resource = [QuotaResource::Addresses, QuotaResource::Ports][kind];
            if let Some(limit) = limits[kind]
                && asked[kind] > 0
                && seen[kind] + asked[kind] > limit
            {
                return Err((resource, limit, seen[kind], asked[kind]));
            }
        }
        for (credit, asked) in self.credit[shard][project].iter_mut().zip(asked) {
            *credit = credit.saturating_sub(asked);
        }
        Ok(())
    }

    fn free(&mut self, shard: usize, project: usize, units: [u64; 2]) {
        // Without a shared quota there are no cells.
        let Quotas { addresses, ports, .. } = self.quotas[project];
        if addresses.is_some() || ports.is_some() {
            (0..2).for_each(|kind| self.credit[shard][project][kind] += units[kind]);
        }
    }

    /// One more of what only the sequencer makes.
    fn one_more(limit: Option<u64>, used: usize, what: QuotaResource) -> Result<(), Told> {
        match limit {
            Some(limit) if used as u64 >= limit => Err((what, limit, used as u64, 1)),
            _ => Ok(()),
        }
    }

    fn networks(&self, project: usize) -> usize {
        HOMES.iter().filter(|(_, home)| *home == project).count()
            + self.empty_networks.iter().filter(|(home, _)| *home == project).count()
    }

    fn subnets(&self, project: usize) -> usize {
        HOMES.iter().filter(|(_, home)| *home == project).count()
            + self.subnets.iter().filter(|(home, ..)| *home == project).count()
    }

    fn prefixes(&self, project: usize) -> usize {
        self.prefixes.iter().filter(|(home, _)| *home == project).count()
    }
}

struct Machine {
    world: World,
    books: Books,
}

fn told(answer: &Result<(Status, Reply), Box<addrd_protocol::message::Failure>>) -> Option<Told> {
    let refused = answer.as_ref().err()?;
    assert_eq!(refused.status, Status::QUOTA, "{refused:?}");
    match refused.details[..] {
        [Detail::Quota { resource, limit, used, asked }] => {
            Some((resource, limit as u64, used as u64, asked as u64))
        }
        _ => panic!("{refused:?}"),
    }
}

impl Machine {
    fn new(shards: usize) -> Self {
        let mut world = World::new(shards);
        for number in 1..PROJECTS as u128 {
            world.done_as(&of(number, 0), Request::ProjectCreate(Box::default()));
        }
        for (id, home) in HOMES {
            let create = NetworkCreate { shared: home == 0, ..NetworkCreate::default() };
            world.done_as(&of(home as u128, id), Request::NetworkCreate(Box::new(create)));
            let wide = Request::SubnetCreate(Box::new(subnet(1, "10.0.0.0/12")));
            world.done_as(&of(home as u128, id), wide);
        }
        world
            .pool(9, addrd_protocol::message::PoolCreate { shared: true, ..pool(&["10.0.0.0/8"]) });
        let credit = vec![[[0; 2]; PROJECTS]; shards];
        Self { world, books: Books { credit, ..Books::default() } }
    }

    /// A network, who uses it, the header, and the shard.
    fn place(&self, dice: &mut Dice) -> (u128, usize, Scope, usize) {
        let (network, home) = dice.one_of(&HOMES);
        let project = if home == 0 { dice.roll(PROJECTS as u64) as usize } else { home };
        let mut scope = of(project as u128, network);
        if project != home {
            scope.network_project = Some(ProjectId::DEFAULT);
        }
        let shards = self.world.shards.len() as u16;
        let shard = worker_of(scope.home(), scope.network, shards).0;
        (network, project, scope, usize::from(shard))
    }

    fn step(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        match dice.roll(21) {
            18..21 => self.transfers(&mut dice),
            16..18 => self.transfer(&mut dice),
            0..5 => self.allocate(&mut dice),
            5..7 => self.release(&mut dice),
            7..9 => self.batch(&mut dice),
            9 => self.port_create(&mut dice),
            10 => self.port_update(&mut dice),
            11 => self.port_delete(&mut dice),
            12 => self.set_quotas(&mut dice),
            13 => self.make(&mut dice),
            14 => self.prefix(&mut dice),
            _ => self.settle(&mut dice),
        }
    }

    fn settle(&mut self, dice: &mut Dice) {
        let shard = dice.roll(self.world.shards.len() as u64) as usize;
        self.world.shards[shard].settle_quotas();
        self.books.credit[shard] = [[0; 2]; PROJECTS];
    }

    fn request(dice: &mut Dice) -> (u128, u64, Allocate) {
        let number = u128::from(dice.roll(6));
        let bits = if dice.once_in(6) { dice.roll(3) as u8 } else { 0 };
        let length = (bits > 0).then_some(32 - bits);
        (number, 1 << bits, Allocate { length, ..allocate(number) })
    }

    fn allocate(&mut self, dice: &mut Dice) {
        let (network, project, scope, shard) = self.place(dice);
        let (number, units, request) = Self::request(dice);
        let key = (network, project, number);
        if let Some(held) = self.books.held.get(&key) {
            // Whatever it asks for now, it has something, and pays nothing.
            let length = Some(32 - held.trailing_zeros() as u8).filter(|length| *length < 32);
            let again = Request::Allocate(Allocate { length, ..request });
            assert_eq!(self.world.decide(&scope, &again).unwrap().0, Status::OK);
            return;
        }
        let expected = self.books.take(shard, project, [units, 0]);
        let answer = self.world.decide(&scope, &Request::Allocate(request));
        assert_eq!(told(&answer), expected.err());
        if answer.is_ok() {
            self.books.held.insert(key, units);
        }
    }

    fn release(&mut self, dice: &mut Dice) {
        let (network, project, scope, shard) = self.place(dice);
        let number = u128::from(dice.roll(6));
        let freed = self.books.held.remove(&(network, project, number));
        let (status, _) = self.world.decide(&scope, &Request::Release(release(number))).unwrap();
        assert_eq!(status == Status::OK, freed.is_some());
        self.books.free(shard, project, [freed.unwrap_or_default(), 0]);
    }

    /// What one project has on a network of project 0 becomes another's.
    fn transfer(&mut self, dice: &mut Dice) {
        let network = dice.one_of(&[1, 2]);
        let [from, to] = [(); 2].map(|()| dice.roll(PROJECTS as u64) as usize);
        let number = u128::from(dice.roll(6));
        let mut scope = of(from as u128, network);
        scope.network_project = (from != 0).then_some(ProjectId::DEFAULT);
        let Some(&units) = self.books.held.get(&(network, from, number)) else { return };
        let target = Target::Key { owner: owner(number), slot: Slot(0) };
        let get = Request::AllocationGet(Box::new(AllocationGet { target }));
        let Ok((_, Reply::Allocation(held))) = self.world.decide(&scope, &get) else { panic!() };
        let transfer = Transfer {
            address: held.address,
            fences: Fences { revision: Some(held.revision), ..Fences::default() },
            to_owner: None,
            to_slot: None,
            to_instance: None,
            to_project: Some(of(to as u128, 0).project),
            owner_name: None,
        };
        let shards = self.world.shards.len() as u16;
        let shard = usize::from(worker_of(scope.home(), scope.network, shards).0);
        let in_batch = dice.once_in(2);
        let mode = dice.one_of(&[BatchMode::Independent, BatchMode::AllOrNothing]);
        let items = vec![BatchItem::Transfer(Box::new(transfer.clone()))];
        let request = match in_batch {
            true => Request::Batch(Box::new(Batch { mode, items })),
            false => Request::Transfer(Box::new(transfer)),
        };
        let answer = match self.world.decide(&scope, &request) {
            Ok((_, Reply::Batch(reply))) => match reply.results.into_iter().next() {
                Some(BatchResult::Failed(failure)) => Err(failure),
                _ => Ok((Status::OK, Reply::Empty)),
            },
            other => other,
        };
        if from == to {
            assert_eq!(told(&answer), None, "it was so already");
            return;
        }
        if self.books.held.contains_key(&(network, to, number)) {
            assert_eq!(answer.expect_err("two can't be one").status, Status::KEY_IN_USE);
            return;
        }
        let expected = self.books.take(shard, to, [units, 0]);
        let refused = answer.as_ref().err();
        assert_eq!(refused.map(|no| no.status), expected.err().map(|_| Status::QUOTA));
        assert!(refused.is_none_or(|no| no.details.is_empty()), "what another has is its own");
        if answer.is_ok() {
            self.books.held.remove(&(network, from, number));
            self.books.held.insert((network, to, number), units);
            self.books.free(shard, from, [units, 0]);
        }
    }

    fn settle_all(&mut self) {
        self.world.shards.iter_mut().for_each(Shard::settle_quotas);
        self.books.credit.fill([[0; 2]; PROJECTS]);
    }

    /// The request that gives what is held another project, if its revision still is this one.
    fn gift(&mut self, (network, from, number): Key, to: usize) -> Transfer {
        let mut scope = of(from as u128, network);
        scope.network_project = (from != 0).then_some(ProjectId::DEFAULT);
        let target = Target::Key { owner: owner(number), slot: Slot(0) };
        let get = Request::AllocationGet(Box::new(AllocationGet { target }));
        let Ok((_, Reply::Allocation(held))) = self.world.decide(&scope, &get) else { panic!() };
        Transfer {
            address: held.address,
            fences: Fences { revision: Some(held.revision), ..Fences::default() },
            to_owner: None,
            to_slot: None,
            to_instance: None,
            to_project: Some(of(to as u128, 0).project),
            owner_name: None,
        }
    }

    /// Several transfers at once, of which one may be refused: each for itself, all or none of a batch, or all or none
    /// over both networks that project 0 shares. What is taken back is given back.
    fn transfers(&mut self, dice: &mut Dice) {
        let (place, from) = (dice.one_of(&[1, 2]), dice.roll(PROJECTS as u64) as usize);
        let is_across = dice.once_in(2);
        let mode = dice.one_of(&[BatchMode::Independent, BatchMode::AllOrNothing]);
        let is_whole = is_across || mode == BatchMode::AllOrNothing;
        if is_across {
            // The sequencer brings credit from shard to shard, which the books don't follow.
            self.settle_all();
        }
        let mut gifts = Vec::new();
        for number in 0..6 {
            let network = if is_across { dice.one_of(&[1, 2]) } else { place };
            let (key, to) = ((network, from, number), dice.roll(PROJECTS as u64) as usize);
            if dice.once_in(3) || !self.books.held.contains_key(&key) {
                continue;
            }
            let gift = self.gift(key, to);
            gifts.push((key, Some(to), gift));
        }
        if gifts.is_empty() {
            return;
        }
        if dice.once_in(3) {
            let (key, _, mut stale) = gifts[0].clone();
            stale.fences.revision = Some(Revision(1));
            gifts.insert(dice.roll(gifts.len() as u64 + 1) as usize, (key, None, stale));
        }
        let expected = self.expect_gifts(&gifts, is_whole);
        let network_project = (from != 0).then_some(ProjectId::DEFAULT);
        let answer = if is_across {
            let item = |(key, _, gift): &(Key, Option<usize>, Transfer)| TransactionItem {
                network: network_id(key.0),
                pool: false,
                network_project,
                operation: BatchItem::Transfer(Box::new(gift.clone())),
            };
            let items = gifts.iter().map(item).collect();
            let whole = Request::Transaction(Box::new(Transaction { items }));
            self.world.decide(&of(from as u128, 0), &whole)
        } else {
            let item = |gift: &Transfer| BatchItem::Transfer(Box::new(gift.clone()));
            let items = gifts.iter().map(|(_, _, gift)| item(gift)).collect();
            let scope = Scope { network_project, ..of(from as u128, place) };
            self.world.decide(&scope, &Request::Batch(Box::new(Batch { mode, items })))
        };
        if is_whole {
            let is_done = expected.iter().all(Result::is_ok);
            assert_eq!(answer.is_ok(), is_done, "{answer:?}, expected {expected:?}");
            if let (Err(refused), Some(Err(Some(status)))) = (&answer, expected.last()) {
                assert_eq!(refused.status, *status, "{refused:?}");
                assert!(refused.details.is_empty() || *status != Status::QUOTA, "{refused:?}");
            }
        } else {
            let Ok((_, Reply::Batch(reply))) = answer else { panic!("{answer:?}") };
            for (result, expected) in reply.results.iter().zip(&expected) {
                let refused = match result {
                    BatchResult::Failed(failure) => Some(failure.status),
                    _ => None,
                };
                assert_eq!(refused.is_none(), expected.is_ok(), "{result:?}");
                assert!(expected.is_ok() || *expected == Err(None) || *expected == Err(refused));
            }
        }
        if is_across {
            self.settle_all();
        }
    }

    /// What becomes of transfers, in the books too, as far as the first that is refused if they are a whole. A refusal
    /// without a status may be any.
    fn expect_gifts(
        &mut self,
        gifts: &[(Key, Option<usize>, Transfer)],
        is_whole: bool,
    ) -> Vec<Result<(), Option<Status>>> {
        let before = self.books.held.clone();
        let (mut paid, mut freed, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for &((network, from, number), to, _) in gifts {
            let shards = self.world.shards.len() as u16;
            let home = ProjectId::DEFAULT;
            let shard = usize::from(worker_of(home, network_id(network), shards).0);
            let result = match to {
                None => Err(None),
                Some(to) if to == from => Ok(()),
                Some(to) if self.books.held.contains_key(&(network, to, number)) => {
                    Err(Some(Status::KEY_IN_USE))
                }
                Some(to) => {
                    let units = self.books.held[&(network, from, number)];
                    let taken = self.books.take(shard, to, [units, 0]);
                    taken.map_err(|_| Some(Status::QUOTA)).map(|()| {
                        self.books.held.remove(&(network, from, number));
                        self.books.held.insert((network, to, number), units);
                        paid.push((shard, to, units));
                        freed.push((shard, from, units));
                    })
                }
            };
            expected.push(result);
            if is_whole && result.is_err() {
                self.books.held = before;
                // What was paid comes back as credit, and nothing was freed.
                freed = paid;
                break;
            }
        }
        for (shard, project, units) in freed {
            self.books.free(shard, project, [units, 0]);
        }
        expected
    }

    fn batch(&mut self, dice: &mut Dice) {
        let (network, project, scope, shard) = self.place(dice);
        let mode = dice.one_of(&[BatchMode::Independent, BatchMode::AllOrNothing]);
        let mut items = Vec::new();
        let mut expected = Vec::new();
        let (before, mut net) = (self.books.held.clone(), 0_i64);
        for _ in 0..=dice.roll(4) {
            let (number, units, request) = Self::request(dice);
            let key = (network, project, number);
            let held = self.books.held.get(&key).copied();
            match (dice.once_in(2), held) {
                (true, _) => {
                    items.push(BatchItem::Release(release(number)));
                    expected.push(Ok(()));
                    let freed = self.books.held.remove(&key).unwrap_or_default();
                    net -= freed as i64;
                    if mode == BatchMode::Independent {
                        self.books.free(shard, project, [freed, 0]);
                    }
                }
                (false, Some(_)) => {}
                (false, None) => {
                    items.push(BatchItem::Allocate(request));
                    let taken = match mode {
                        BatchMode::Independent => self.books.take(shard, project, [units, 0]),
                        BatchMode::AllOrNothing => Ok(()),
                    };
                    if taken.is_ok() {
                        self.books.held.insert(key, units);
                        net += units as i64;
                    }
                    expected.push(taken);
                }
            }
        }
        if items.is_empty() {
            return;
        }
        let answer = self.world.decide(&scope, &Request::Batch(Box::new(Batch { mode, items })));
        if mode == BatchMode::AllOrNothing {
            let after = std::mem::replace(&mut self.books.held, before);
            let paid = match u64::try_from(net) {
                Ok(units) => self.books.take(shard, project, [units, 0]),
                Err(_) => {
                    self.books.free(shard, project, [net.unsigned_abs(), 0]);
                    Ok(())
                }
            };
            assert_eq!(told(&answer), paid.err());
            if answer.is_ok() {
                self.books.held = after;
            }
            return;
        }
        let Ok((_, Reply::Batch(reply))) = answer else { panic!("{answer:?}") };
        for (result, expected) in reply.results.into_iter().zip(expected) {
            let answer = match result {
                BatchResult::Failed(failure) => Err(failure),
                _ => Ok((Status::OK, Reply::Empty)),
            };
            assert_eq!(told(&answer), expected.err());
        }
    }

    fn port_create(&mut self, dice: &mut Dice) {
        let (network, project, scope, shard) = self.place(dice);
        let (number, count) = (100 + u128::from(dice.roll(3)), dice.roll(4));
        let fixed_ips = Setting::Value(vec![within(1); count as usize]);
        let create = Request::PortCreate(Box::new(PortCreate { fixed_ips, ..port(number) }));
        let key = (network, project, number);
        if self.books.ports.contains_key(&key) {
            assert_eq!(self.world.decide(&scope, &create).unwrap().0, Status::OK);
            return;
        }
        let expected = self.books.take(shard, project, [count, 1]);
        let answer = self.world.decide(&scope, &create);
        assert_eq!(told(&answer), expected.err());
        if answer.is_ok() {
            self.books.ports.insert(key, count);
        }
    }

    fn port_update(&mut self, dice: &mut Dice) {
        let (network, project, scope, shard) = self.place(dice);
        let (number, count) = (100 + u128::from(dice.roll(3)), dice.roll(4));
        let key = (network, project, number);
        let Some(&before) = self.books.ports.get(&key) else { return };
        let fixed_ips = Setting::Value(vec![within(1); count as usize]);
        let change = Request::PortUpdate(Box::new(PortUpdate { fixed_ips, ..update(number) }));
        let expected = match count.checked_sub(before) {
            Some(more) => self.books.take(shard, project, [more, 0]),
            None => {
                self.books.free(shard, project, [before - count, 0]);
                Ok(())
            }
        };
        let answer = self.world.decide(&scope, &change);
        assert_eq!(told(&answer), expected.err());
        if answer.is_ok() {
            self.books.ports.insert(key, count);
        }
    }

    fn port_delete(&mut self, dice: &mut Dice) {
        let (network, project, scope, shard) = self.place(dice);
        let number = 100 + u128::from(dice.roll(3));
        let Some(count) = self.books.ports.remove(&(network, project, number)) else { return };
        let delete =
            PortDelete { port_id: PortId::from_u128(number), expected: Default::default() };
        self.world.decide(&scope, &Request::PortDelete(delete)).unwrap();
        self.books.free(shard, project, [count, 1]);
    }

    fn set_quotas(&mut self, dice: &mut Dice) {
        let project = dice.roll(PROJECTS as u64) as usize;
        let mut some = |most| match dice.roll(4) {
            0 => Setting::Null,
            1 => Setting::Unset,
            _ => Setting::Value(dice.roll(most)),
        };
        let quotas = QuotaSettings {
            addresses: some(14),
            prefixes: some(4),
            networks: some(5),
            subnets: some(6),
            ports: some(4),
            resting: Setting::Unset,
        };
        self.books.quotas[project] = quotas.apply_to(self.books.quotas[project]);
        if !quotas.is_unset() {
            // Counted afresh.
            self.books.credit.iter_mut().for_each(|credit| credit[project] = [0; 2]);
        }
        let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
        let scope = of(project as u128, 0);
        self.world.decide(&scope, &Request::ProjectUpdate(Box::new(update))).unwrap();
    }

    /// Networks and subnets that nobody uses, made and deleted.
    fn make(&mut self, dice: &mut Dice) {
        let project = dice.roll(PROJECTS as u64) as usize;
        let (id, number) = (20 + u128::from(dice.roll(2)), 1 + u128::from(dice.roll(2)));
        let scope = of(project as u128, id);
        let (network, of_network) = ((project, id), (project, id, number));
        let is_there = self.books.empty_networks.contains(&network);
        let quotas = self.books.quotas[project];
        let (request, expected) = match dice.roll(4) {
            0 if is_there => {
                self.books.empty_networks.remove(&network);
                self.books.subnets.retain(|subnet| (subnet.0, subnet.1) != network);
                (Request::NetworkDelete(NetworkDelete::default()), Ok(()))
            }
            1 if self.books.subnets.remove(&of_network) => {
                let subnet_id = subnet_id(number);
                let delete = SubnetDelete { subnet_id, force: false, expected: Default::default() };
                (Request::SubnetDelete(delete), Ok(()))
            }
            2 | 3 if is_there => {
                let used = self.books.subnets(project);
                let known = self.books.subnets.contains(&of_network);
                let expected = match known {
                    true => Ok(()),
                    false => Books::one_more(quotas.subnets, used, QuotaResource::Subnets),
                };
                if expected.is_ok() {
                    self.books.subnets.insert(of_network);
                }
                let cidr = format!("10.{number}.0.0/24");
                (Request::SubnetCreate(Box::new(subnet(number, &cidr))), expected)
            }
            _ => {
                let used = self.books.networks(project);
                let expected = match is_there {
                    true => Ok(()),
                    false => Books::one_more(quotas.networks, used, QuotaResource::Networks),
                };
                if expected.is_ok() {
                    self.books.empty_networks.insert(network);
                }
                (Request::NetworkCreate(Box::default()), expected)
            }
        };
        let answer = self.world.decide(&scope, &request);
        assert_eq!(told(&answer), expected.err(), "{request:?}");
    }

    fn prefix(&mut self, dice: &mut Dice) {
        let project = dice.roll(PROJECTS as u64) as usize;
        let number = u128::from(dice.roll(4));
        let scope = in_pool(project as u128, 9);
        let scope = Scope { network: network_id(9), ..scope };
        let key = (project, number);
        if dice.once_in(3) {
            let was = self.books.prefixes.remove(&key);
            let (status, _) =
                self.world.decide(&scope, &Request::Release(release(number))).unwrap();
            assert_eq!(status == Status::OK, was);
            return;
        }
        let limit = self.books.quotas[project].prefixes;
        let used = self.books.prefixes(project);
        let expected = match self.books.prefixes.contains(&key) {
            true => Ok(()),
            false => Books::one_more(limit, used, QuotaResource::Prefixes),
        };
        let request = Request::Allocate(Allocate { length: Some(24), ..allocate(number) });
        let answer = self.world.decide(&scope, &request);
        assert_eq!(told(&answer), expected.err());
        if answer.is_ok() {
            self.books.prefixes.insert(key);
        }
    }

    /// The books, invariants, and that a replay counts the same.
    fn check(&mut self) {
        for project in 0..PROJECTS {
            let shown = self.world.project_of(project as u128);
            let used = shown.used;
            assert_eq!(shown.quotas, self.books.quotas[project]);
            let shared = [used.addresses, used.ports];
            assert_eq!(shared, self.books.used(project).map(Some));
            assert_eq!(shown.networks as usize, self.books.networks(project));
            assert_eq!(used.subnets, Some(self.books.subnets(project) as u64));
            assert_eq!(used.prefixes, Some(self.books.prefixes(project) as u64));
        }
        self.books.credit.fill([[0; 2]; PROJECTS]);
    }
}

fn run(steps: &[u64], shards: usize) {
    let mut machine = Machine::new(shards);
    for part in steps.chunks(25) {
        part.iter().for_each(|step| machine.step(*step));
        machine.check();
    }
}

fn cases() -> u32 {
    let given = std::env::var("ADDRD_PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(150)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn quotas_are_exact(steps in prop::collection::vec(any::<u64>(), 1..120), shards in 1_usize..4) {
        run(&steps, shards);
    }
}
