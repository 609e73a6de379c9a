//! What each project has in a shard, and the units of its quotas that workers share. Decides whether
//! an operation may have more; counts, but knows no rule about what a project may do.
//!
//! Counted where state changes, live and at recovery alike, so it is never wrong. Units are taken
//! from the shared cells once an operation, when nothing else can refuse it, and what a drain frees
//! goes back only when its hand-over was pushed ([`Shard::settle_quotas`]); until then it is credit,
//! which the same drain may use: its records stand in the order in which they were decided.
//!
//! Source: docs/decisions/0020-quotas-of-projects.md.

use super::Shard;
use super::quarantine::retry_after;
use super::refusal::{Refused, refuse, with};
use super::slab::Arena;
use super::undo::Savepoint;
use crate::model::{EffectSink, ProjectId, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{AllocationState, Detail, QuotaResource};
use addrd_sync::{Over, QuotaSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Resources of a project that several workers may take at once.
pub const SHARED_QUOTAS: usize = 3;

/// The cells of a project's shared quotas: addresses, ports, resting addresses.
pub type SharedQuotas = QuotaSet<SHARED_QUOTAS>;

/// Places in all that is per shared quota.
const ADDRESSES: usize = 0;
const PORTS: usize = 1;
/// Nobody takes of these: a release is never refused. Who would get a new address asks whether too many
/// rest already.
const RESTING: usize = 2;

/// Most addresses that one block counts for, as a power of two: with no more allocations than
/// handles, 2^32, their sum has room in 64 bits.
const BLOCK_UNITS_BITS_MAX: u8 = 32;

/// Advice to a project of which too many addresses rest, none of them in this shard, ms.
const RESTING_RETRY_MS: u64 = 1_000;

/// What a project has in one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Addresses, as its quota counts them, ports, and addresses that rest.
    pub shared: [u64; SHARED_QUOTAS],
    /// Subnets of its networks.
    pub subnets: u64,
    /// Prefixes that it holds straight from pools; the catalogue's shard has them.
    pub prefixes: u64,
    /// Allocations that are held under a token.
    pub held: u64,
}

impl Holdings {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            shared: std::array::from_fn(|kind| self.shared[kind] + other.shared[kind]),
            subnets: self.subnets + other.subnets,
            prefixes: self.prefixes + other.prefixes,
            held: self.held + other.held,
        }
    }
}

/// A project in a shard.
#[derive(Debug)]
struct Account {
    project: ProjectId,
    holds: Holdings,
    /// `None` while no shared quota is set; then nothing is shared.
    quotas: Option<Arc<SharedQuotas>>,
    /// Units that still count as used in the cells and are used no more. Below zero only inside of
    /// an operation that can be taken back.
    credit: [i64; SHARED_QUOTAS],
    /// It is among those to be settled.
    is_listed: bool,
    /// Its project is gone; it goes with the last of what rests.
    is_closed: bool,
}

/// All projects of a shard.
#[derive(Debug)]
pub(super) struct Accounts {
    all: Arena<Account>,
    by_project: BTreeMap<ProjectId, u32>,
    listed: Vec<u32>,
    /// A quota refused something since this was last asked.
    has_refused: bool,
    /// The networks of the shard are pools: allocations are prefixes.
    pub(super) of_pools: bool,
}

impl Accounts {
    pub(super) const fn new() -> Self {
        Self {
            all: Arena::new(),
            by_project: BTreeMap::new(),
            listed: Vec::new(),
            has_refused: false,
            of_pools: false,
        }
    }

    /// The account of a project, made if there is none.
    pub(super) fn of(&mut self, project: ProjectId) -> u32 {
        if let Some(&account) = self.by_project.get(&project) {
            return account;
        }
        let account = self.all.insert(Account {
            project,
            holds: Holdings::default(),
            quotas: None,
            credit: [0; SHARED_QUOTAS],
            is_listed: false,
            is_closed: false,
        });
        self.by_project.insert(project, account);
        account
    }

    /// Whether a project may run out of something shared.
    #[inline]
    pub(super) fn is_limited(&self, account: u32) -> bool {
        self.all.at(account).quotas.is_some()
    }

    pub(super) fn count_subnet(&mut self, account: u32, there: bool) {
        counted(&mut self.all.at_mut(account).holds.subnets, 1, there);
    }

    fn count_prefix(&mut self, account: u32, there: bool) {
        counted(&mut self.all.at_mut(account).holds.prefixes, 1, there);
    }

    #[inline]
    fn count_shared(&mut self, account: u32, kind: usize, units: u64, there: bool) {
        let of = self.all.at_mut(account);
        counted(&mut of.holds.shared[kind], units, there);
        if of.quotas.is_some() {
            self.owe(account, kind, units, there);
        }
    }

    /// Counts addresses as resting or not. Those that begin to rest count at once, for all workers;
    /// those that do no more when the drain's hand-over was pushed.
    fn count_resting(&mut self, account: u32, units: u64, there: bool) {
        let of = self.all.at_mut(account);
        counted(&mut of.holds.shared[RESTING], units, there);
        match &of.quotas {
            Some(quotas) if there => quotas.cell(RESTING).put(units),
            Some(_) => self.owe(account, RESTING, units, false),
            None => {}
        }
        let of = self.all.at(account);
        if of.is_closed && of.holds == Holdings::default() {
            let project = of.project;
            self.remove(project);
        }
    }

    /// Refuses what would let more addresses rest than a project may have resting.
    fn check_resting(&mut self, account: u32) -> Result<(), Over> {
        let of = self.all.at(account);
        let Some(quotas) = &of.quotas else { return Ok(()) };
        let credit = u64::try_from(of.credit[RESTING]).unwrap_or(0);
        let checked = quotas.cell(RESTING).take_against(0, credit);
        self.has_refused |= checked.is_err();
        checked.map(drop)
    }

    fn remove(&mut self, project: ProjectId) {
        let Some(account) = self.by_project.remove(&project) else { return };
        self.listed.retain(|listed| *listed != account);
        self.all.remove(account);
    }

    fn owe(&mut self, account: u32, kind: usize, units: u64, there: bool) {
        let of = self.all.at_mut(account);
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        of.credit[kind] += if there { -units } else { units };
        if !of.is_listed {
            of.is_listed = true;
            self.listed.push(account);
        }
    }

    /// Takes units, the account's credit first; `credit` is what it was before the operation. Who
    /// restores gets them whatever the quota.
    fn take(
        &mut self,
        account: u32,
        asked: [u64; SHARED_QUOTAS],
        credit: [i64; SHARED_QUOTAS],
        restoring: bool,
    ) -> Result<(), Refused> {
        let of = self.all.at_mut(account);
        let Some(quotas) = &of.quotas else { return Ok(()) };
        if asked == [0; SHARED_QUOTAS] {
            return Ok(());
        }
        let credit = credit.map(|credit| u64::try_from(credit).unwrap_or(0));
        let taken = match restoring {
            false => quotas.take(asked, credit),
            // What was there before is there again, and counts.
            true => Ok(std::array::from_fn(|kind| {
                let more = asked[kind].saturating_sub(credit[kind]);
                quotas.cell(kind).put(more);
                more
            })),
        };
        match taken {
            Ok(taken) => {
                for (credit, taken) in of.credit.iter_mut().zip(taken) {
                    *credit += i64::try_from(taken).unwrap_or(i64::MAX);
                }
                Ok(())
            }
            Err((kind, over)) => {
                self.has_refused = true;
                Err(over_shared(kind, over))
            }
        }
    }

    fn put_credit(&mut self, account: u32, credit: [i64; SHARED_QUOTAS]) {
        let of = self.all.at_mut(account);
        of.credit = credit;
        if credit != [0; SHARED_QUOTAS] && !of.is_listed {
            of.is_listed = true;
            self.listed.push(account);
        }
    }

    fn credit(&self, account: u32) -> [i64; SHARED_QUOTAS] {
        self.all.at(account).credit
    }
}

fn counted(count: &mut u64, units: u64, there: bool) {
    *count = if there { *count + units } else { *count - units };
}

impl Shard {
    /// What a project has here.
    #[must_use]
    pub fn holdings(&self, project: ProjectId) -> Holdings {
        let account = self.accounts.by_project.get(&project);
        account.map(|&account| self.accounts.all.at(account).holds).unwrap_or_default()
    }

    /// From now on a project takes its addresses and ports from these cells, which count what it has
    /// in all shards; `None` = from none. Call it for every shard at once, between drains.
    pub fn share_quotas(&mut self, project: ProjectId, quotas: Option<Arc<SharedQuotas>>) {
        let account = self.accounts.of(project);
        let of = self.accounts.all.at_mut(account);
        of.quotas = quotas;
        // What was freed before is not counted in the new cells.
        of.credit = [0; SHARED_QUOTAS];
    }

    /// Gives back what was freed. Call it when the hand-over with those records was pushed.
    ///
    /// Panics: if an operation took more than it paid for.
    pub fn settle_quotas(&mut self) {
        while let Some(account) = self.accounts.listed.pop() {
            let of = self.accounts.all.at_mut(account);
            of.is_listed = false;
            let credit = std::mem::take(&mut of.credit);
            let Some(quotas) = &of.quotas else { continue };
            for (kind, units) in credit.into_iter().enumerate() {
                let units = u64::try_from(units);
                let Ok(units) = units else { panic!("units were used that were never taken") };
                if units > 0 {
                    quotas.cell(kind).give_back(units);
                }
            }
        }
    }

    /// Whether a quota refused something since this was last asked. What says so rests on what other
    /// workers have done, and must follow their hand-overs.
    #[inline]
    pub fn take_quota_refusal(&mut self) -> bool {
        std::mem::take(&mut self.accounts.has_refused)
    }

    /// A project exists; something may rest that one with its id had before.
    pub(super) fn open_account(&mut self, project: ProjectId) {
        if let Some(&account) = self.accounts.by_project.get(&project) {
            self.accounts.all.at_mut(account).is_closed = false;
        }
    }

    /// Forgets a project that is gone, once nothing rests any more that it had.
    pub(super) fn close_account(&mut self, project: ProjectId) {
        let Some(&account) = self.accounts.by_project.get(&project) else { return };
        let of = self.accounts.all.at_mut(account);
        if of.holds.shared[RESTING] > 0 {
            (of.quotas, of.is_closed) = (None, true);
            return;
        }
        debug_assert_eq!(of.holds, Holdings::default());
        self.accounts.remove(project);
    }

    /// The account of who has something on a network: the network's project, unless another is named.
    #[inline]
    pub(super) fn account_of(&mut self, network: u32, guest: Option<ProjectId>) -> u32 {
        match guest {
            None => self.networks.at(network).account,
            Some(guest) => self.accounts.of(guest),
        }
    }

    /// The account of the project that the request at hand acts for, if it has one.
    fn acting_account(&self, network: u32) -> Option<u32> {
        match self.acting {
            None => Some(self.networks.at(network).account),
            Some(project) => self.accounts.by_project.get(&project).copied(),
        }
    }

    /// Counts an allocation as there or gone; `of_object`: a prefix that a subnet or pool has.
    #[inline]
    pub(super) fn count_allocation(
        &mut self,
        network: u32,
        guest: Option<ProjectId>,
        block_bits: u8,
        of_object: bool,
        there: bool,
    ) {
        let account = self.account_of(network, guest);
        if !self.accounts.of_pools {
            self.accounts.count_shared(account, ADDRESSES, units_of(block_bits), there);
        } else if !of_object {
            self.accounts.count_prefix(account, there);
        }
    }

    /// Counts a block as resting or not.
    pub(super) fn count_resting(&mut self, account: u32, block_bits: u8, there: bool) {
        self.accounts.count_resting(account, units_of(block_bits), there);
    }

    /// Refuses a new address to a project of which too many rest, unless it takes one of those. A
    /// release is never refused, so what rests is at most the limit and what the project had.
    pub(super) fn check_resting_limit(
        &mut self,
        network: u32,
        over: Option<u32>,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let Some(account) = self.acting_account(network) else { return Ok(()) };
        if self.restoring || !self.accounts.is_limited(account) {
            return Ok(());
        }
        let project = self.accounts.all.at(account).project;
        let is_own =
            |handle| self.ledger.project_of(&self.subnets, self.ledger.at(handle)) == project;
        if over.is_some_and(is_own) {
            return Ok(());
        }
        self.check_resting_of(account, sink)
    }

    /// The same for the account of whoever is to have something.
    pub(super) fn check_resting_of(
        &mut self,
        account: u32,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        if !self.accounts.is_limited(account) {
            return Ok(());
        }
        let more_is_due = self.end_due_of(account, sink);
        let Err(over) = self.accounts.check_resting(account) else { return Ok(()) };
        if more_is_due {
            return Err(self.rests_are_ending());
        }
        let end = self.rests.first_of(account);
        Err(resting_limit(over, end.map(|(end, _)| end.saturating_sub(self.now.0).max(1))))
    }

    /// Counts a hold as there or gone.
    pub(super) fn count_held(&mut self, account: u32, there: bool) {
        counted(&mut self.accounts.all.at_mut(account).holds.held, 1, there);
    }

    /// Open holds of the project that the request at hand acts for.
    pub(super) fn held_by_project(&self, network: u32) -> u64 {
        let account = self.acting_account(network);
        account.map_or(0, |account| self.accounts.all.at(account).holds.held)
    }

    /// Counts a port as there or gone.
    pub(super) fn count_port(&mut self, network: u32, guest: Option<ProjectId>, there: bool) {
        let account = self.account_of(network, guest);
        self.accounts.count_shared(account, PORTS, 1, there);
    }

    /// Takes units for new blocks of these orders, unless a whole is paid for at its end. Call it
    /// when nothing else can refuse.
    pub(super) fn pay_for(
        &mut self,
        network: u32,
        orders: impl Iterator<Item = u8>,
    ) -> Result<(), Refused> {
        if self.undo.is_whole {
            return Ok(());
        }
        let Some(account) = self.acting_account(network) else { return Ok(()) };
        if !self.accounts.is_limited(account) {
            return Ok(());
        }
        let mut asked = [0; SHARED_QUOTAS];
        asked[ADDRESSES] = orders.map(units_of).sum();
        let credit = self.accounts.credit(account);
        self.accounts.take(account, asked, credit, self.restoring)
    }

    /// Takes units for a block that another project gets, also inside of a whole: if that is taken back
    /// they are credit. Call it when nothing else can refuse.
    pub(super) fn pay_from(&mut self, account: u32, block_bits: u8) -> Result<(), Refused> {
        if is_planted(Bug::TransferPaysNothing) {
            return Ok(());
        }
        let mut asked = [0; SHARED_QUOTAS];
        asked[ADDRESSES] = units_of(block_bits);
        let credit = self.accounts.credit(account);
        self.accounts.take(account, asked, credit, false)
    }

    /// The account that pays for a step, and its credit before it.
    pub(super) fn payer(&self, network: u32) -> Option<(u32, [i64; SHARED_QUOTAS])> {
        let account = self.acting_account(network)?;
        Some((account, self.accounts.credit(account)))
    }

    /// Takes the units of what was done since a savepoint, unless a whole is paid for at its end.
    /// On a refusal the caller takes back what was done.
    pub(super) fn pay_step(&mut self, savepoint: &Savepoint) -> Result<(), Refused> {
        let Some((account, before)) = savepoint.payer else { return Ok(()) };
        if self.undo.is_whole || !self.accounts.is_limited(account) {
            return Ok(());
        }
        let after = self.accounts.credit(account);
        let asked = std::array::from_fn(|kind| {
            u64::try_from(before[kind].saturating_sub(after[kind])).unwrap_or(0)
        });
        self.accounts.take(account, asked, before, self.restoring)
    }

    /// What a project has of credit here, to be moved elsewhere.
    fn take_credit(&mut self, project: ProjectId) -> [i64; SHARED_QUOTAS] {
        let account = self.accounts.by_project.get(&project);
        account.map_or([0; SHARED_QUOTAS], |&account| {
            std::mem::take(&mut self.accounts.all.at_mut(account).credit)
        })
    }

    /// Accounts counted afresh, for `check`.
    pub(super) fn check_accounts(&self, found: &mut Vec<String>) {
        let mut counts: BTreeMap<ProjectId, Holdings> = BTreeMap::new();
        for at in self.ledger.live() {
            let record = self.ledger.at(at);
            let holds = counts.entry(self.ledger.project_of(&self.subnets, record)).or_default();
            let row = self.ledger.extras_row(record);
            holds.held += u64::from(record.state() == AllocationState::Held);
            if record.rests() {
                holds.shared[RESTING] += units_of(record.block_bits);
            } else if !self.accounts.of_pools {
                holds.shared[ADDRESSES] += units_of(record.block_bits);
            } else if row.is_none_or(|row| row.port.is_none()) {
                holds.prefixes += 1;
            }
        }
        for (_, port) in self.ports.iter() {
            let project = port.guest().unwrap_or(self.networks.at(port.network).project);
            counts.entry(project).or_default().shared[PORTS] += 1;
        }
        for (_, subnet) in self.subnets.iter() {
            counts.entry(subnet.project).or_default().subnets += 1;
        }
        counts.retain(|_, holds| *holds != Holdings::default());
        let noted = self.accounts.all.iter().map(|(_, of)| (of.project, of.holds));
        let noted = noted.filter(|(_, holds)| *holds != Holdings::default());
        if counts != noted.collect() {
            found.push("what projects have is counted wrong".to_owned());
        }
    }
}

/// Takes the units of what a project did in several shards since these savepoints (the place of the
/// shard with each), as one whole: what was freed in one of them pays for what came in another. All
/// workers have lent their states.
///
/// Errors: `QUOTA`. Every account is then as before, and the caller takes back what was done.
pub(super) fn pay_together(
    shards: &mut [&mut Shard],
    project: ProjectId,
    savepoints: &[(usize, Savepoint)],
) -> Result<(), Refused> {
    let now: Vec<[i64; SHARED_QUOTAS]> =
        shards.iter_mut().map(|shard| shard.take_credit(project)).collect();
    let mut before = now.clone();
    // The first savepoint of a shard is from before everything.
    for (shard, savepoint) in savepoints.iter().rev() {
        if let Some((_, credit)) = savepoint.payer {
            before[*shard] = credit;
        }
    }
    let sum = |all: &[[i64; SHARED_QUOTAS]]| -> [i64; SHARED_QUOTAS] {
        std::array::from_fn(|kind| all.iter().map(|credit| credit[kind]).sum())
    };
    let (before, after) = (sum(&before), sum(&now));
    // One account has the credit of all of them; what a drain leaves of it goes back to the cells.
    let Some(first) = shards.first_mut() else { return Ok(()) };
    let account = first.accounts.of(project);
    first.accounts.put_credit(account, after);
    let asked = std::array::from_fn(|kind| {
        u64::try_from(before[kind].saturating_sub(after[kind])).unwrap_or(0)
    });
    let paid = if first.accounts.is_limited(account) {
        first.accounts.take(account, asked, before, false)
    } else {
        Ok(())
    };
    if paid.is_err() {
        for (shard, credit) in shards.iter_mut().zip(now) {
            let account = shard.accounts.of(project);
            shard.accounts.put_credit(account, credit);
        }
    }
    paid
}

/// Brings what a project freed in other shards to one of them, which may use it at once. All workers
/// have lent their states, and what is not used goes back from there.
pub fn bring_credit(shards: &mut [&mut Shard], to: usize, project: ProjectId) {
    let mut sum = [0; SHARED_QUOTAS];
    for (at, shard) in shards.iter_mut().enumerate() {
        if at != to {
            let credit = shard.take_credit(project);
            (0..SHARED_QUOTAS).for_each(|kind| sum[kind] += credit[kind]);
        }
    }
    if sum == [0; SHARED_QUOTAS] {
        return;
    }
    let Some(shard) = shards.get_mut(to) else { return };
    let account = shard.accounts.of(project);
    let own = shard.accounts.credit(account);
    shard.accounts.put_credit(account, std::array::from_fn(|kind| own[kind] + sum[kind]));
}

/// Addresses that a block counts for.
#[inline]
fn units_of(block_bits: u8) -> u64 {
    1 << block_bits.min(BLOCK_UNITS_BITS_MAX)
}

#[cold]
fn over_shared(kind: usize, over: Over) -> Refused {
    let resource = if kind == PORTS { QuotaResource::Ports } else { QuotaResource::Addresses };
    over_quota(resource, over)
}

/// More of a project's addresses rest than may; the next of them for so long, if one rests here.
#[cold]
fn resting_limit(over: Over, next_ms: Option<u64>) -> Refused {
    let Over { limit, used, .. } = over;
    let next = match next_ms {
        Some(next) => format!("; the next of them is free in {next} ms"),
        None => String::new(),
    };
    let message = format_args!(
        "{used} addresses rest that the project released, more than {limit}{next}; it gets no new ones \
         until then"
    );
    let [limit, used] = [limit, used].map(u128::from);
    let resource = QuotaResource::Resting;
    let detail = Detail::Quota { resource, limit, used, asked: 1 };
    let mut refused = with(refuse(Status::RESTING_LIMIT, message), detail);
    refused.retry_after_ms = retry_after(next_ms.unwrap_or(RESTING_RETRY_MS));
    refused
}

/// A project would have more than its quota.
#[cold]
pub(super) fn over_quota(resource: QuotaResource, over: Over) -> Refused {
    let Over { limit, used, asked } = over;
    let name = match resource {
        QuotaResource::Pool => "units of the pool",
        QuotaResource::Addresses => "addresses",
        QuotaResource::Prefixes => "prefixes",
        QuotaResource::Networks => "networks",
        QuotaResource::Subnets => "subnets",
        QuotaResource::Ports => "ports",
        QuotaResource::Resting => "resting addresses",
    };
    let message =
        format_args!("the project uses {used} of {limit} {name}; {asked} more were asked for");
    let [limit, used, asked] = [limit, used, asked].map(u128::from);
    with(refuse(Status::QUOTA, message), Detail::Quota { resource, limit, used, asked })
}
