//! Random operations on subnet pools, prefixes and address scopes beside a naive model (T13): who gets
//! which prefix (best fit), who is refused, quotas for each project, disjoint prefixes in a scope;
//! and at any moment the state is lost and comes back from rows of two moments and the effects
//! since the first, all of them read back from records, on another number of workers.
//!
//! `ADDRD_PROPTEST_CASES` sets the number of cases; a failing case prints its steps.

mod batch;
mod leases;
mod onboard;

use super::catalogue::{in_pool, of, pool};
use super::dice::Dice;
use super::machine::cases;
use super::recovery::Rows;
use super::*;
use crate::model::{NetworkHandle, Prefix, Revision};
use addrd_protocol::message::{
    FromPool, NetworkCreate, PoolCreate, PoolDelete, PoolUpdate, PrefixChoice, ScopeCreate,
    SubnetDelete, SubnetPool,
};
use addrd_protocol::{AddressScopeId, Family, PoolId, Setting};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// All is in 10.0.0.0/20: 64 cells of /26, a bit each. A block of order n is 2^n cells.
type Cells = u64;

const ORDER_MAX: u8 = 6;
/// Projects 0 to 2; pools 11 to 14, scopes 31 (shared, of project 0) and 32 (of project 1), networks 1 to 4.
const PROJECTS: u64 = 3;
const POOLS: u64 = 4;
const NETWORKS: u64 = 4;
const SCOPES: [(u128, u128, bool); 2] = [(31, 0, true), (32, 1, false)];

fn cells(order: u8, at: u32) -> Cells {
    let width = 1_u32 << order;
    if width == 64 { u64::MAX } else { ((1 << width) - 1) << at }
}

fn prefix(order: u8, at: u32) -> Prefix {
    let address = IpAddr::from((0x0a00_0000 + at * 64).to_be_bytes());
    Prefix::new(address, 26 - order).unwrap()
}

fn cells_of(prefix: &Prefix) -> Cells {
    let IpAddr::V4(first) = prefix.first() else { panic!("{prefix}") };
    cells(26 - prefix.length(), (u32::from(first) - 0x0a00_0000) / 64)
}

/// The largest aligned blocks that these cells have, largest first.
fn blocks(mut free: Cells) -> Vec<(u8, u32)> {
    let mut all = Vec::new();
    for order in (0..=ORDER_MAX).rev() {
        for at in (0..64).step_by(1 << order) {
            let block = cells(order, at);
            if free & block == block {
                free &= !block;
                all.push((order, at));
            }
        }
    }
    all
}

/// Where a block of this order is cut: the smallest block that holds it, of these the lowest.
fn best_fit(free: Cells, order: u8) -> Option<u32> {
    let fitting = blocks(free).into_iter().filter(|(other, _)| *other >= order);
    fitting.min().map(|(_, at)| at)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Owner(u128),
    Subnet(u128, u128),
    Pool(u128),
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    cells: Cells,
    project: u128,
    by: By,
    /// When its lease ends.
    until: Option<u64>,
}

#[derive(Clone, Debug)]
struct Known {
    project: u128,
    shared: bool,
    cells: Cells,
    quota: Option<u64>,
    scope: Option<u128>,
    parent: Option<u128>,
    taken: Vec<Taken>,
}

impl Known {
    fn free(&self) -> Cells {
        self.cells & !self.taken.iter().fold(0, |sum, taken| sum | taken.cells)
    }

    fn used_by(&self, project: u128) -> u64 {
        let own = self.taken.iter().filter(|taken| taken.project == project);
        own.map(|taken| u64::from(taken.cells.count_ones())).sum()
    }

    fn may(&self, project: u128, more: Cells) -> bool {
        let sum = self.used_by(project) + u64::from(more.count_ones());
        self.quota.is_none_or(|quota| sum <= quota)
    }

    fn release(&mut self, project: u128, owner: u128) -> bool {
        let before = self.taken.len();
        let own = |taken: &Taken| taken.project == project && taken.by == By::Owner(owner);
        self.taken.retain(|taken| !own(taken));
        self.taken.len() < before
    }

    fn is_seen_by(&self, project: u128) -> bool {
        self.shared || self.project == project
    }
}

#[derive(Clone, Debug, Default)]
struct Net {
    project: u128,
    scope: Option<u128>,
    /// By id: cells, pool.
    subnets: BTreeMap<u128, (Cells, Option<u128>)>,
}

#[derive(Default)]
struct Model {
    pools: BTreeMap<u128, Known>,
    networks: BTreeMap<u128, Net>,
}

impl Model {
    /// What a scope has beside a pool: prefixes of pools without a parent, subnets from no pool.
    fn in_scope(&self, scope: u128, but: Option<u128>) -> Cells {
        let pools = self.pools.iter().filter(|(id, known)| {
            known.scope == Some(scope) && known.parent.is_none() && Some(**id) != but
        });
        let networks = self.networks.values().filter(|net| net.scope == Some(scope));
        let subnets = networks.flat_map(|net| net.subnets.values());
        let subnets = subnets.filter(|(_, pool)| pool.is_none()).map(|(cells, _)| *cells);
        pools.map(|(_, known)| known.cells).chain(subnets).fold(0, |sum, cells| sum | cells)
    }

    /// Whether a pool may have these cells as far as its scope goes.
    fn fits_scope(&self, scope: Option<u128>, cells: Cells, own: Option<u128>) -> bool {
        scope.is_none_or(|scope| self.in_scope(scope, own) & cells == 0)
    }

    /// Whether a network may have a subnet from a pool.
    fn has_affinity(&self, net: &Net, pool: u128) -> bool {
        let first = net.subnets.values().next().map(|(_, pool)| *pool);
        let derived = first.flatten().and_then(|pool| self.pools[&pool].scope);
        match net.scope.or(derived) {
            Some(scope) => self.pools[&pool].scope == Some(scope),
            None => first.is_none_or(|first| first == Some(pool)),
        }
    }

    /// What must hold whatever was done.
    fn check(&self) {
        for known in self.pools.values() {
            let mut seen = 0;
            for taken in &known.taken {
                assert_eq!(seen & taken.cells, 0, "no prefix is given twice");
                assert_eq!(taken.cells & !known.cells, 0, "what is taken is of the pool");
                seen |= taken.cells;
            }
        }
        for (scope, ..) in SCOPES {
            let all = self.networks.values().filter(|net| net.scope == Some(scope));
            let mut seen = 0;
            for (cells, _) in all.flat_map(|net| net.subnets.values()) {
                assert_eq!(seen & cells, 0, "subnets of a scope are disjoint");
                seen |= cells;
            }
        }
    }
}

/// A state that a fold may have seen.
struct Moment {
    effects: usize,
    state: Snapshot,
    catalogue: CatalogueSnapshot,
}

struct Machine {
    world: World,
    model: Model,
    history: Vec<Moment>,
    dice: Dice,
}

fn id(number: u128) -> PoolId {
    PoolId::from_u128(number)
}

impl Machine {
    fn new() -> Self {
        let mut world = World::with_projects();
        for (number, project, shared) in SCOPES {
            let create = ScopeCreate { family: Family::V4, shared, name: None, description: None };
            world.done_as(&of(project, number), Request::ScopeCreate(Box::new(create)));
        }
        let (model, history, dice) = (Model::default(), Vec::new(), Dice(0));
        let mut machine = Self { world, model, history, dice };
        machine.remember();
        machine
    }

    fn remember(&mut self) {
        self.history.push(Moment {
            effects: self.world.log.effects.len(),
            state: self.world.snapshot(),
            catalogue: self.world.catalogue.snapshot(),
        });
    }

    fn step(&mut self, seed: u64) {
        self.dice = Dice(seed);
        match self.dice.roll(20) {
            0..2 => self.pool_create(),
            2..4 => self.pool_prefixes(),
            4 => self.pool_quota(),
            5 => self.pool_scope(),
            6 => self.pool_delete(),
            7..9 => match self.dice.roll(6) {
                0 => self.pass(),
                1 => self.renew(),
                _ => self.allocate(),
            },
            9..11 => self.batch(),
            11..13 => self.release(),
            13 => self.network(),
            14..16 => self.subnet_create(),
            16 => self.onboard(),
            17..19 => self.subnet_delete(),
            _ => self.lose_power(),
        }
        self.model.check();
        self.remember();
    }

    fn number(&mut self, below: u64) -> u128 {
        self.dice.roll(below).into()
    }

    fn a_pool(&mut self) -> u128 {
        11 + self.number(POOLS)
    }

    fn block(&mut self) -> (u8, u32) {
        let order = self.dice.roll(5) as u8;
        (order, (self.dice.roll(64) as u32) >> order << order)
    }

    /// Sends a request; a refusal must be expected, and changes nothing.
    fn ask(&mut self, scope: &Scope, request: &Request, expected: bool) -> Option<Reply> {
        let before = self.world.log.effects.len();
        match self.world.apply_as(scope, request) {
            Ok((_, reply)) => {
                assert!(expected, "{request:?} was done: {reply:?}");
                Some(reply)
            }
            Err(refused) => {
                assert!(!expected, "{request:?}: {refused:?}");
                assert_eq!(self.world.log.effects.len(), before, "a refusal leaves no effects");
                None
            }
        }
    }

    fn scope_seen_by(&mut self, project: u128) -> (Option<u128>, bool) {
        let which = self.dice.roll(4) as usize;
        match SCOPES.get(which) {
            None => (None, true),
            Some((number, owner, shared)) => (Some(*number), *shared || *owner == project),
        }
    }

    fn pool_create(&mut self) {
        let (number, project) = (self.a_pool(), self.number(PROJECTS));
        if self.model.pools.contains_key(&number) {
            return;
        }
        if self.dice.once_in(3) {
            return self.child_create(number, project);
        }
        let (order, at) = self.block();
        let (more, shared) = (self.block(), self.dice.once_in(2));
        let (scope, is_seen) = self.scope_seen_by(project);
        let wanted = cells(order, at) | cells(more.0, more.1);
        let expected = is_seen && self.model.fits_scope(scope, wanted, None);
        let create = PoolCreate {
            prefixes: vec![prefix(order, at), prefix(more.0, more.1)],
            address_scope_id: scope.map(AddressScopeId::from_u128),
            shared,
            ..bounded()
        };
        let request = Request::PoolCreate(Box::new(create));
        if self.ask(&of(project, number), &request, expected).is_some() {
            let known = Known {
                project,
                shared,
                cells: wanted,
                quota: None,
                scope,
                parent: None,
                taken: Vec::new(),
            };
            self.model.pools.insert(number, known);
        }
    }

    /// A pool whose prefixes are taken from another.
    fn child_create(&mut self, number: u128, project: u128) {
        let (parent_id, (order, at)) = (self.a_pool(), self.block());
        let exactly = self.dice.once_in(2);
        let Some(parent) = self.model.pools.get(&parent_id) else { return };
        let free = parent.free();
        let got = match exactly {
            true => (free & cells(order, at) == cells(order, at)).then_some(at),
            false => best_fit(free, order),
        };
        let seen = parent.is_seen_by(project);
        let got = got.map(|at| cells(order, at)).filter(|got| seen && parent.may(project, *got));
        let scope = parent.scope;
        let create = PoolCreate {
            prefixes: if exactly { vec![prefix(order, at)] } else { Vec::new() },
            parent_id: Some(id(parent_id)),
            parent_length: (!exactly).then_some(26 - order),
            ..bounded()
        };
        let request = Request::PoolCreate(Box::new(create));
        let made = self.ask(&of(project, number), &request, got.is_some());
        let (Some(cells), Some(Reply::Pool(made))) = (got, made) else { return };
        assert_eq!(made.prefixes.iter().map(cells_of).collect::<Vec<_>>(), [cells], "best fit");
        let taken = Taken { cells, project, by: By::Pool(number), until: None };
        self.model.pools.get_mut(&parent_id).unwrap().taken.push(taken);
        let parent = Some(parent_id);
        let (quota, taken, shared) = (None, Vec::new(), false);
        let known = Known { project, shared, cells, quota, scope, parent, taken };
        self.model.pools.insert(number, known);
    }

    /// Prefixes are added or removed.
    fn pool_prefixes(&mut self) {
        let (number, (order, at)) = (self.a_pool(), self.block());
        let Some(known) = self.model.pools.get(&number).cloned() else { return };
        let (block, listed) = (cells(order, at), vec![prefix(order, at)]);
        let add = self.dice.once_in(2);
        let now = if add { known.cells | block } else { known.cells & !block };
        let in_use = known.taken.iter().any(|taken| taken.cells & block != 0);
        let mut expected = if add { true } else { !in_use && now != 0 };
        if now != known.cells {
            expected &=
                self.model.fits_scope(known.scope, now, Some(number)) || known.parent.is_some();
        }
        let parent = known.parent.map(|parent| self.model.pools[&parent].clone());
        if let Some(parent) = parent.as_ref().filter(|_| now != known.cells) {
            let rest = Known {
                taken: parent.taken.iter().filter(|t| t.by != By::Pool(number)).copied().collect(),
                ..parent.clone()
            };
            expected &= rest.free() & now == now && rest.may(known.project, now);
        }
        let update = match add {
            true => PoolUpdate { add_prefixes: listed, ..PoolUpdate::default() },
            false => PoolUpdate { remove_prefixes: listed, ..PoolUpdate::default() },
        };
        let request = Request::PoolUpdate(Box::new(update));
        if self.ask(&of(known.project, number), &request, expected).is_none() {
            return;
        }
        self.model.pools.get_mut(&number).unwrap().cells = now;
        if let Some(parent) = known.parent {
            let parent = self.model.pools.get_mut(&parent).unwrap();
            parent.taken.retain(|taken| taken.by != By::Pool(number));
            parent.taken.extend(blocks(now).into_iter().map(|(order, at)| Taken {
                cells: cells(order, at),
                project: known.project,
                by: By::Pool(number),
                until: None,
            }));
        }
    }

    fn pool_quota(&mut self) {
        let number = self.a_pool();
        let quota = (!self.dice.once_in(4)).then(|| self.dice.roll(32));
        let Some(known) = self.model.pools.get_mut(&number) else { return };
        known.quota = quota;
        let scope = of(known.project, number);
        let default_quota = quota.map_or(Setting::Null, |cells| Setting::Value(cells * 64));
        let update = PoolUpdate { default_quota, ..PoolUpdate::default() };
        self.ask(&scope, &Request::PoolUpdate(Box::new(update)), true);
    }

    fn pool_scope(&mut self) {
        let number = self.a_pool();
        let Some(known) = self.model.pools.get(&number).cloned() else { return };
        let (scope, is_seen) = self.scope_seen_by(known.project);
        let is_free = known.taken.is_empty() && known.parent.is_none();
        let fits = self.model.fits_scope(scope, known.cells, Some(number));
        let expected = is_seen && (scope == known.scope || is_free && fits);
        let address_scope_id = match scope {
            None => Setting::Null,
            Some(scope) => Setting::Value(AddressScopeId::from_u128(scope)),
        };
        let update = PoolUpdate { address_scope_id, ..PoolUpdate::default() };
        let request = Request::PoolUpdate(Box::new(update));
        if self.ask(&of(known.project, number), &request, expected).is_some() {
            self.model.pools.get_mut(&number).unwrap().scope = scope;
        }
    }

    fn pool_delete(&mut self) {
        let number = self.a_pool();
        let Some(known) = self.model.pools.get(&number).cloned() else { return };
        let request = Request::PoolDelete(PoolDelete::default());
        if self.ask(&of(known.project, number), &request, known.taken.is_empty()).is_some() {
            self.model.pools.remove(&number);
            self.model.networks.values().for_each(|net| {
                assert!(net.subnets.values().all(|(_, pool)| *pool != Some(number)));
            });
            if let Some(parent) = known.parent {
                let parent = self.model.pools.get_mut(&parent).unwrap();
                parent.taken.retain(|taken| taken.by != By::Pool(number));
            }
        }
    }

    fn allocate(&mut self) {
        let (number, project, owner) = (self.a_pool(), self.number(PROJECTS), self.number(6));
        let Some(known) = self.model.pools.get(&number).cloned() else { return };
        let (request, got) = self.one_prefix(&known, project, owner);
        let until = self.until(&request);
        let got = got.filter(|_| known.is_seen_by(project));
        // Pools that projects share are named by their id alone, so the model's numbers do.
        let reply = self.ask(&in_pool(project, number), &Request::Allocate(request), got.is_some());
        let (Some((cells, repeated)), Some(Reply::Allocated(done))) = (got, reply) else { return };
        let given = Prefix::new(done.first.address, done.first.length).unwrap();
        assert_eq!((cells_of(&given), done.first.repeated), (cells, repeated), "{given}");
        if !repeated {
            let taken = Taken { cells, project, by: By::Owner(owner), until };
            self.model.pools.get_mut(&number).unwrap().taken.push(taken);
        }
    }

    /// A request for a prefix, and what it must get from a pool in this state: which cells, and
    /// whether they are held already.
    fn one_prefix(
        &mut self,
        known: &Known,
        project: u128,
        owner: u128,
    ) -> (Allocate, Option<(Cells, bool)>) {
        let ((order, at), exactly) = (self.block(), self.dice.once_in(2));
        let own = |taken: &&Taken| taken.project == project && taken.by == By::Owner(owner);
        let held = known.taken.iter().find(own).map(|taken| taken.cells);
        let wanted = match exactly {
            true => (known.free() & cells(order, at) == cells(order, at)).then_some(at),
            false => best_fit(known.free(), order),
        };
        let wanted = wanted.map(|at| cells(order, at)).filter(|more| known.may(project, *more));
        let repeats = held.filter(|held| match exactly {
            true => *held == cells(order, at),
            false => held.count_ones() == 1 << order,
        });
        let got = if held.is_some() { repeats } else { wanted };
        let lease_ms = self.dice.once_in(2).then(|| 1_000 + self.dice.roll(10_000));
        let request = Allocate {
            length: Some(26 - order),
            ..allocate_with(1_000 + owner, |extras| {
                extras.lease_ms = lease_ms;
                extras.exact = exactly.then(|| prefix(order, at).first());
            })
        };
        (request, got.map(|cells| (cells, held.is_some())))
    }

    fn release(&mut self) {
        let (number, project, owner) = (self.a_pool(), self.number(PROJECTS), self.number(6));
        let Some(known) = self.model.pools.get_mut(&number) else { return };
        let seen = known.is_seen_by(project);
        let released = known.release(project, owner);
        let request = Request::Release(release(1_000 + owner));
        let reply = self.ask(&in_pool(project, number), &request, seen);
        assert!(seen || !released);
        assert_eq!(matches!(reply, Some(Reply::Released(_))), released, "{reply:?}");
    }

    fn network(&mut self) {
        let (number, project) = (1 + self.number(NETWORKS), self.number(PROJECTS));
        let (scope, is_seen) = self.scope_seen_by(project);
        match self.model.networks.get(&number).cloned() {
            None => {
                let scope_v4 = scope.map(AddressScopeId::from_u128);
                let create = NetworkCreate { scope_v4, ..NetworkCreate::default() };
                let request = Request::NetworkCreate(Box::new(create));
                if self.ask(&of(project, number), &request, is_seen).is_some() {
                    let net = Net { project, scope, subnets: BTreeMap::new() };
                    self.model.networks.insert(number, net);
                }
            }
            Some(net) if net.subnets.is_empty() => {
                let delete = Request::NetworkDelete(NetworkDelete::default());
                self.ask(&of(net.project, number), &delete, true);
                self.world.work(4);
                self.model.networks.remove(&number);
            }
            Some(_) => {}
        }
    }

    fn subnet_create(&mut self) {
        let (number, subnet) = (1 + self.number(NETWORKS), 100 + self.number(5));
        let ((order, at), way) = (self.block(), self.dice.roll(3));
        let pool = self.a_pool();
        let Some(net) = self.model.networks.get(&number).cloned() else { return };
        if net.subnets.contains_key(&subnet) {
            return;
        }
        let exact = prefix(order, at);
        let of_pool = |by, cidr: String| SubnetCreate {
            from_pool: Some(Box::new(FromPool {
                subnet_pool_id: id(pool),
                by,
                ..FromPool::default()
            })),
            ..super::subnet(subnet, &cidr)
        };
        let (create, got) = match way {
            0 => {
                let got = self.unpooled(&net, cells(order, at));
                (super::subnet(subnet, &exact.to_string()), got)
            }
            1 => {
                let got = self.carved(&net, pool, |free| {
                    (free & cells(order, at) == cells(order, at)).then(|| cells(order, at))
                });
                (of_pool(PrefixChoice::Exact, exact.to_string()), got)
            }
            _ => {
                let fit = |free| best_fit(free, order).map(|at| cells(order, at));
                let got = self.carved(&net, pool, fit);
                (of_pool(PrefixChoice::Length, format!("0.0.0.0/{}", 26 - order)), got)
            }
        };
        let request = Request::SubnetCreate(Box::new(create));
        let reply = self.ask(&of(net.project, number), &request, got.is_some());
        let (Some(cells), Some(Reply::Subnet(made))) = (got, reply) else { return };
        assert_eq!(cells_of(&made.cidr), cells, "{}", made.cidr);
        let from = (way > 0).then_some(pool);
        self.model.networks.get_mut(&number).unwrap().subnets.insert(subnet, (cells, from));
        if let Some(pool) = from {
            let by = By::Subnet(number, subnet);
            let taken = Taken { cells, project: net.project, by, until: None };
            self.model.pools.get_mut(&pool).unwrap().taken.push(taken);
        }
    }

    fn unpooled(&self, net: &Net, wanted: Cells) -> Option<Cells> {
        let pooled = net.subnets.values().any(|(_, pool)| pool.is_some());
        let own = net.subnets.values().fold(0, |sum, (cells, _)| sum | cells);
        let fits = match net.scope {
            Some(scope) => self.model.in_scope(scope, None) & wanted == 0,
            None => !pooled,
        };
        (fits && own & wanted == 0).then_some(wanted)
    }

    fn carved(
        &self,
        net: &Net,
        pool: u128,
        choose: impl FnOnce(Cells) -> Option<Cells>,
    ) -> Option<Cells> {
        let known = self.model.pools.get(&pool)?;
        if !known.is_seen_by(net.project) || !self.model.has_affinity(net, pool) {
            return None;
        }
        choose(known.free()).filter(|cells| known.may(net.project, *cells))
    }

    fn subnet_delete(&mut self) {
        let (number, subnet) = (1 + self.number(NETWORKS), 100 + self.number(5));
        let Some(net) = self.model.networks.get_mut(&number) else { return };
        let gone = net.subnets.remove(&subnet);
        let expected = Revision(0);
        let delete = SubnetDelete { subnet_id: subnet_id(subnet), force: false, expected };
        let scope = of(net.project, number);
        self.ask(&scope, &Request::SubnetDelete(delete), gone.is_some());
        if let Some((_, Some(pool))) = gone {
            let pool = self.model.pools.get_mut(&pool).unwrap();
            pool.taken.retain(|taken| taken.by != By::Subnet(number, subnet));
        }
    }

    /// The memory is lost. Rows come from two moments, each from one or the other, as a fold that
    /// was cut short leaves them; effects since the first are replayed.
    fn lose_power(&mut self) {
        let all = self.history.len() as u64;
        let from = self.dice.roll(all) as usize;
        let to = from + self.dice.roll(all - from as u64) as usize;
        let rows = |moment: &Moment| Rows::of(&moment.state).with_catalogue(&moment.catalogue);
        let (old, new) = (rows(&self.history[from]), rows(&self.history[to]));
        let mixed = Rows::mixed(old, new, &mut self.dice);
        let effects = &self.world.log.effects[self.history[from].effects..];
        let (state, catalogue) = (self.world.snapshot(), self.world.catalogue.snapshot());
        let highest = self.world.log.effects.iter().filter_map(handle_of).max().unwrap_or(0);
        let (shards, recovered) = recover(1 + self.dice.roll(3) as u16, &mixed, effects, highest);
        self.world.shards = shards;
        self.world.catalogue = recovered;
        assert!(
            self.world.catalogue.snapshot() == catalogue,
            "catalogue from rows of {from} and {to}"
        );
        assert!(self.world.snapshot() == state, "shards from rows of {from} and {to}");
        assert_eq!(self.world.catalogue.check(), Vec::<String>::new());
    }

    /// Every pool says what the model knows.
    fn compare(&mut self) {
        for (number, known) in self.model.pools.clone() {
            for project in 0..u128::from(PROJECTS) {
                let seen = known.is_seen_by(project);
                let get = Request::PoolGet(Box::default());
                let Some(Reply::Pool(pool)) = self.ask(&of(project, number), &get, seen) else {
                    continue;
                };
                agree(&pool, &known, project);
            }
        }
    }
}

fn agree(pool: &SubnetPool, known: &Known, project: u128) {
    let shown = pool.prefixes.iter().fold(0, |sum, prefix| sum | cells_of(prefix));
    assert_eq!(shown, known.cells);
    assert_eq!(pool.taken, known.taken.len() as u64);
    let used = u64::from((known.cells & !known.free()).count_ones());
    assert_eq!(
        (pool.used, pool.size),
        (64 * u128::from(used), 64 * u128::from(shown.count_ones()))
    );
    assert_eq!(pool.used_by_project, 64 * u128::from(known.used_by(project)));
}

/// A pool of one cell to all cells at once.
fn bounded() -> PoolCreate {
    PoolCreate {
        min_length: Some(20),
        max_length: Some(26),
        default_length: Some(26),
        ..PoolCreate { prefixes: Vec::new(), ..pool(&["10.0.0.0/20"]) }
    }
}

/// The number that an effect gives to something new.
fn handle_of(effect: &Effect) -> Option<u32> {
    match effect {
        Effect::NetworkPut(row) => Some(row.network.0),
        Effect::ProjectPut(row) => Some(row.handle.0),
        Effect::ScopePut(row) => Some(row.handle.0),
        Effect::PoolPut(row) => Some(row.handle.0),
        _ => None,
    }
}

/// Shards and catalogue from rows and effects, each network at the worker that owns it.
fn recover(workers: u16, rows: &Rows, effects: &[Effect], highest: u32) -> (Vec<Shard>, Catalogue) {
    let settings = |seed| ShardSettings { seed, records_max: 1 << 20 };
    let mut shards: Vec<Shard> =
        (0..workers).map(|n| Shard::numbered(settings(n.into()), n)).collect();
    let mut catalogue = Catalogue::new(settings(70));
    let mut owners: BTreeMap<NetworkHandle, usize> = BTreeMap::new();
    let mut absorb = |effect: &Effect, strict: bool| {
        let absorbed = catalogue.absorb(effect);
        assert!(absorbed.is_ok() || !strict, "{effect:?}: {absorbed:?}");
        if let Effect::NetworkPut(row) = effect {
            let owner = usize::from(worker_of(row.project, row.id, workers).0);
            owners.insert(row.network, owner);
        }
        let owner = super::recovery::network_of(effect).and_then(|network| owners.get(&network));
        if let Some(owner) = owner {
            // A row whose network or subnet another row has already lost.
            _ = shards[*owner].absorb(effect);
        }
    };
    rows.objects.values().for_each(|effect| absorb(effect, false));
    effects.iter().for_each(|effect| absorb(effect, false));
    for (network, revision) in &rows.marks {
        let (network, revision) = (NetworkHandle(*network), Revision(*revision));
        if catalogue.is_pool(network) {
            catalogue.restore_marks(network, revision);
        } else if let Some(owner) = owners.get(&network) {
            shards[*owner].restore_marks(network, revision);
        }
    }
    catalogue.restore_handles(highest);
    (shards, catalogue)
}

fn run(steps: &[u64]) {
    let mut machine = Machine::new();
    for (at, &seed) in steps.iter().enumerate() {
        machine.step(seed);
        if at % 8 == 0 {
            machine.compare();
            machine.world.check();
        }
    }
    machine.lose_power();
    machine.compare();
    machine.world.check();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn pools_prefixes_and_scopes_agree_with_a_naive_model(
        steps in prop::collection::vec(any::<u64>(), 1..160),
    ) {
        run(&steps);
    }
}
