//! What each principal asks of the server: how much in a second, and how much at once. One account for all of its
//! connections. Refuses by numbers alone; reads no clock, waits for nobody, knows no request.
//!
//! Source: docs/decisions/0041-rates-and-shares.md.

use super::admission::Peer;
use super::origin::Origin;
use crate::access::Actor;
use crate::config::Bounds;
use crate::engine::Fair;
use crate::limits;
use addrd_sync::{Census, Level, Pace, Padded, Rate, Seen};
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    /// The operator: counted, never refused, so that somebody can still act.
    Operator,
    /// A principal, by its number.
    Principal(u32),
    /// Nobody in particular, over the Unix socket: a user of this machine.
    User(u32),
    /// Nobody in particular, from an address.
    Peer(Peer),
}

impl Payer {
    /// Who pays for what somebody asks for.
    pub(super) fn of(actor: &Actor, origin: &Origin) -> Self {
        match actor {
            Actor::Operator => Self::Operator,
            Actor::Principal(known) => Self::Principal(known.handle.0),
            Actor::Anybody => Self::nobody(origin),
        }
    }

    /// Who it is as long as nobody knows.
    pub(super) fn nobody(origin: &Origin) -> Self {
        origin.user.map_or(Self::Peer(origin.peer), Self::User)
    }
}

/// What one has spent and has under way.
#[derive(Debug)]
pub(super) struct Account {
    is_operator: bool,
    is_principal: bool,
    /// Of its own rate.
    own: Rate,
    /// Of its share of the rate of all.
    share: Rate,
    /// Connections.
    connections: Level,
    /// Connections with something without reply.
    busy: Level,
    /// Requests without reply, of all its connections.
    in_flight: Level,
    /// What they weigh.
    weight: Level,
    /// Of these, what is on its way to the sequencer.
    sequenced: Level,
    /// Watches of all its connections.
    watches: Level,
    /// When it pushed something last.
    seen: Seen,
}

/// The accounts of a server.
#[derive(Debug)]
pub(super) struct Accounts {
    principal: Option<Pace>,
    total: Option<Pace>,
    /// Spent by all but the operator.
    all: Padded<Rate>,
    /// Accounts that pushed something, by seconds.
    active: Census,
    entries: Mutex<Entries>,
    entries_max: usize,
}

type Entries = HashMap<Payer, Arc<Account>, RandomState>;

/// What may be spent at once, and what is in the way of more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Units; 0 = not even one.
    pub(super) units: u64,
    /// Units for what frees something or lets it go on: there is a second burst for that.
    pub(super) reserved: u64,
    /// The setting that bounds it.
    pub(super) bound: Bound,
}

/// How full a server is of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowded {
    /// Connections now.
    pub(super) connections: u64,
    /// As many as there may be.
    pub(super) connections_max: u64,
}

/// What can be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The rate of one.
    Principal,
    /// The rate of all.
    Total,
}

impl Bound {
    /// As in failures, settings and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Principal => "rate_principal",
            Self::Total => "rate_total",
        }
    }
}

impl Accounts {
    /// Nobody has an account. `entries_max` is more than there can be connections.
    pub(super) fn new(bounds: &Bounds, entries_max: usize) -> Self {
        let pace = |rate: Option<u32>| {
            let per_second = u64::from(rate?);
            let burst_ms = u64::try_from(bounds.rate_burst.as_millis()).unwrap_or(u64::MAX);
            Some(Pace::new(per_second, per_second.saturating_mul(burst_ms) / 1_000))
        };
        Self {
            principal: pace(bounds.rate_principal),
            total: pace(bounds.rate_total),
            all: Padded(Rate::new()),
            active: Census::new(),
            entries: Mutex::default(),
            entries_max,
        }
    }

    /// The account of somebody who has said HELLO, which costs one unit.
    ///
    /// Shape: when there are as many accounts as there may be, those without a connection are forgotten: more
    /// than connections there never are.
    pub(super) fn open(&self, payer: Payer, now_ns: u64) -> Arc<Account> {
        let account = {
            let mut entries = self.lock();
            if entries.len() >= self.entries_max && !entries.contains_key(&payer) {
                entries.retain(|_, account| Arc::strong_count(account) > 1);
            }
            Arc::clone(entries.entry(payer).or_insert_with(|| Arc::new(Account::new(payer))))
        };
        self.greet(&account, now_ns);
        account
    }

    /// HELLO costs what is there: a debt doesn't grow by coming again.
    fn greet(&self, account: &Account, now_ns: u64) {
        if self.room(account, now_ns).units > 0 {
            self.spend(account, 1, now_ns);
        }
    }

    /// Whether a principal that has just opened an account has more connections than its share of all that there may
    /// be. Past three quarters it has what these are by the number of accounts with a connection: so the last quarter is for
    /// those who have few.
    pub(super) fn is_crowding(&self, account: &Arc<Account>, all: Crowded) -> bool {
        let shared = all.connections_max / 4 * 3;
        account.is_principal
            && all.connections > shared
            && account.connections.get()
                >= (shared / self.sharers(account, |of| &of.connections)).max(1)
    }

    /// How many accounts have something of a kind, this one counted whether it has or not.
    fn sharers(&self, account: &Arc<Account>, kind: fn(&Account) -> &Level) -> u64 {
        let is_other =
            |other: &&Arc<Account>| kind(other).get() > 0 && !Arc::ptr_eq(other, account);
        self.lock().values().filter(is_other).count() as u64 + 1
    }

    /// A place for one more watch, while there are so many of all. `None`: past three quarters of all that there may be a
    /// principal has these by the number of accounts that watch, and half of what is left at most, so that something is
    /// left for whoever comes next.
    pub(super) fn watch(&self, account: &Arc<Account>, watches: u64, most: u64) -> Option<Watcher> {
        let shared = most / 4 * 3;
        if account.is_principal && watches > shared {
            let share = shared / self.sharers(account, |of| &of.watches);
            let left = most.saturating_sub(watches) / 2;
            if account.watches.get() >= share.min(left).max(1) {
                return None;
            }
        }
        account.watches.add(1);
        Some(Watcher(Arc::clone(account)))
    }

    /// What an account may spend now.
    ///
    /// Shape: nothing shared is read while both rates are off, one word for each that is on otherwise.
    #[inline]
    pub(super) fn room(&self, account: &Account, now_ns: u64) -> Room {
        let mut room = Room { units: u64::MAX, reserved: u64::MAX, bound: Bound::Principal };
        if account.is_operator {
            return room;
        }
        if let Some(pace) = self.principal {
            room.units = account.own.room(pace, now_ns);
            room.reserved = account.own.room(twice(pace), now_ns);
        }
        if let Some(pace) = self.total {
            let units = self.room_of_all(account, pace, now_ns);
            if units < room.units {
                (room.units, room.bound) = (units, Bound::Total);
            }
            let reserved = account.share.room(twice(self.share(pace)), now_ns);
            room.reserved = room.reserved.min(reserved.max(units));
        }
        room
    }

    /// Spends units, whether they are there or not.
    #[inline]
    pub(super) fn spend(&self, account: &Account, units: u64, now_ns: u64) {
        if account.is_operator {
            return;
        }
        if let Some(pace) = self.principal {
            account.own.spend(pace, units, now_ns);
        }
        if let Some(pace) = self.total {
            // Who uses what nobody else wants owes nobody more than a burst for it.
            let share = self.share(pace);
            account.share.spend_down_to(share, units, now_ns, share.burst());
            self.all.spend_down_to(pace, units, now_ns, pace.burst());
        }
    }

    /// Time until an account may spend so many units, if nobody else spends any meanwhile, ns; 0 = it may.
    pub(super) fn wait_ns(&self, account: &Account, units: u64, now_ns: u64) -> u64 {
        if account.is_operator {
            return 0;
        }
        let own = self.principal.map_or(0, |pace| account.own.wait_ns(pace, units, now_ns));
        let total = self.total.map_or(0, |pace| {
            if self.active() == 1 {
                return self.all.wait_ns(pace, units, now_ns);
            }
            let above = units.saturating_add(pace.burst() / 2);
            let share = account.share.wait_ns(self.share(pace), units, now_ns);
            self.all.wait_ns(pace, above, now_ns).min(share)
        });
        own.max(total)
    }

    /// What one may spend of the rate of all: its share, whatever others have spent, or what is there beyond the half of
    /// the burst that is kept for shares, which all of them together hold at most.
    fn room_of_all(&self, account: &Account, pace: Pace, now_ns: u64) -> u64 {
        let (there, active) = (self.all.room(pace, now_ns), self.active());
        if active == 1 {
            return there;
        }
        let share = account.share.room(self.share(pace), now_ns);
        // With more of them than units in a second shares are rounded up: then what is there bounds them too.
        let share = if active > pace.per_second() { share.min(there) } else { share };
        share.max(there.saturating_sub(pace.burst() / 2))
    }

    /// Among those who are active.
    fn share(&self, pace: Pace) -> Pace {
        let active = self.active();
        Pace::new(pace.per_second() / active, pace.burst() / 2 / active)
    }

    /// An account asks for something. True: it is the first time in this second.
    #[inline]
    pub(super) fn note(&self, account: &Account) -> bool {
        self.active.count(&account.seen)
    }

    /// Accounts that asked for something in the last second, or already do in this one; at least 1.
    pub(super) fn active(&self) -> u64 {
        self.active.active()
    }

    /// Ends a second; forgets accounts that nobody has any more and of which nothing is missing, so that no
    /// reconnect fills one. Returns how many pushed something in it.
    pub(super) fn turn(&self, now_ns: u64) -> u64 {
        let active = self.active.turn();
        let is_needed = |account: &Arc<Account>| {
            Arc::strong_count(account) > 1
                || !(account.own.is_full(now_ns) && account.share.is_full(now_ns))
        };
        self.lock().retain(|_, account| is_needed(account));
        active
    }

    /// Accounts there are.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same rate with twice the burst.
fn twice(pace: Pace) -> Pace {
    Pace::new(pace.per_second(), pace.burst().saturating_mul(2))
}

impl Account {
    fn new(payer: Payer) -> Self {
        Self {
            is_operator: payer == Payer::Operator,
            is_principal: matches!(payer, Payer::Principal(_)),
            own: Rate::new(),
            share: Rate::new(),
            connections: Level::default(),
            busy: Level::default(),
            in_flight: Level::default(),
            weight: Level::default(),
            sequenced: Level::default(),
            watches: Level::default(),
            seen: Seen::default(),
        }
    }
}

/// A watch of an account, for as long as it lives.
#[derive(Debug)]
pub(super) struct Watcher(Arc<Account>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watches.sub(1);
    }
}

/// What a connection has told its account of its requests without reply; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Customer {
    account: Arc<Account>,
    told: Outstanding,
}

/// What a connection has without reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outstanding {
    /// Requests.
    pub(super) in_flight: u32,
    /// What they weigh, in plain requests: a batch weighs as much as it is long.
    pub(super) weight: u32,
    /// Of these, requests on their way to the sequencer.
    pub(super) sequenced: u32,
}

/// What a connection may have without reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Weight from which on it has its part.
    pub(super) weight: u32,
    /// The same of requests on their way to the sequencer.
    pub(super) sequenced: u32,
}

impl Part {
    /// Nothing waits, or nobody else is there.
    pub(super) const ALL: Self = Self { weight: u32::MAX, sequenced: u32::MAX };
}

impl Customer {
    /// Nothing under way.
    pub(super) fn of(account: Arc<Account>) -> Self {
        account.connections.add(1);
        Self { account, told: Outstanding::default() }
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// What the connection now has without reply.
    #[inline]
    pub(super) fn tell(&mut self, now: Outstanding) {
        match (self.told.in_flight, now.in_flight) {
            (0, 1..) => self.account.busy.add(1),
            (1.., 0) => self.account.busy.sub(1),
            _ => {}
        }
        change(&self.account.in_flight, self.told.in_flight, now.in_flight);
        change(&self.account.weight, self.told.weight, now.weight);
        change(&self.account.sequenced, self.told.sequenced, now.sequenced);
        self.told = now;
    }

    /// Requests without reply of all connections of the account, as they told; of the operator none count.
    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.counted(&self.account.in_flight)
    }

    /// Of these, those on their way to the sequencer.
    pub(super) fn sequenced(&self) -> u32 {
        self.counted(&self.account.sequenced)
    }

    /// What all of them weigh; of the operator nothing does.
    #[inline]
    pub(super) fn weight(&self) -> u32 {
        self.counted(&self.account.weight)
    }

    /// What the connection may have without reply where much waits, by those who ask.
    pub(super) fn part_of(&self, fair: Fair, active: u64) -> Part {
        if self.account.is_operator {
            return Part::ALL;
        }
        let part = |all: Option<u32>, total, own| {
            all.map_or(u32::MAX, |all| self.part(all, active, total, own))
        };
        Part {
            weight: part(fair.workers, self.weight(), self.told.weight),
            sequenced: part(fair.sequencer, self.sequenced(), self.told.sequenced),
        }
    }

    /// Its account's share of what may be on the way of all, as far as that is free; then its own part of it.
    fn part(&self, all: u32, active: u64, total: u32, own: u32) -> u32 {
        let share = u32::try_from(u64::from(all) / active.max(1)).unwrap_or(u32::MAX);
        let share = share.max(limits::FAIR_LEAST);
        if let Some(free) = share.checked_sub(total).filter(|free| *free > 0) {
            return own.saturating_add(free);
        }
        let busy = self.account.busy.get() + u64::from(self.told.in_flight == 0);
        u32::try_from(u64::from(share) / busy.max(1)).unwrap_or(u32::MAX).max(1)
    }

    fn counted(&self, level: &Level) -> u32 {
        if self.account.is_operator { 0 } else { u32::try_from(level.get()).unwrap_or(u32::MAX) }
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.tell(Outstanding::default());
        self.account.connections.sub(1);
    }
}

#[inline]
fn change(level: &Level, told: u32, now: u32) {
    match (now.checked_sub(told), told.checked_sub(now)) {
        (Some(0), _) => {}
        (Some(more), _) => level.add(more.into()),
        (None, Some(less)) => level.sub(less.into()),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn accounts(principal: Option<u32>, total: Option<u32>) -> Accounts {
        let bounds = Bounds {
            rate_principal: principal,
            rate_total: total,
            rate_burst: Duration::from_secs(1),
            ..Bounds::default()
        };
        Accounts::new(&bounds, 4)
    }

    /// Spends one by one what there is, at most `most`.
    fn take(accounts: &Accounts, account: &Account, most: u64, now_ns: u64) -> u64 {
        accounts.note(account);
        let mut taken = 0;
        while taken < most && accounts.room(account, now_ns).units > 0 {
            accounts.spend(account, 1, now_ns);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_rate_is_each_ones_own_and_the_operator_has_none() {
        let accounts = accounts(Some(10), None);
        let one = accounts.open(Payer::Principal(1), 0);
        let other = accounts.open(Payer::Principal(2), 0);
        let operator = accounts.open(Payer::Operator, 0);
        // HELLO was one.
        assert_eq!(take(&accounts, &one, 100, 0), 9);
        assert_eq!(
            accounts.room(&one, 0),
            Room { units: 0, reserved: 10, bound: Bound::Principal }
        );
        assert_eq!(accounts.wait_ns(&one, 1, 0), SECOND / 10);
        assert_eq!(accounts.wait_ns(&one, 5, 0), SECOND / 2);
        assert_eq!(take(&accounts, &other, 100, 0), 9);
        assert_eq!(take(&accounts, &operator, 100, 0), 100);
        assert_eq!(accounts.wait_ns(&operator, 1, 0), 0);
        // The same principal by another connection has no bucket of its own.
        assert_eq!(accounts.room(&accounts.open(Payer::Principal(1), 0), 0).units, 0);
    }

    #[test]
    fn a_reconnect_fills_nothing_and_who_is_gone_is_forgotten_when_nothing_is_missing() {
        let accounts = accounts(Some(10), None);
        let one = accounts.open(Payer::User(7), 0);
        accounts.spend(&one, 29, 0);
        drop(one);
        accounts.turn(SECOND);
        assert_eq!(accounts.count(), 1);
        let again = accounts.open(Payer::User(7), SECOND);
        assert_eq!(accounts.room(&again, SECOND).units, 0);
        drop(again);
        accounts.turn(4 * SECOND);
        assert_eq!(accounts.count(), 0);
    }

    #[test]
    fn there_are_no_more_accounts_than_there_may_be() {
        let accounts = accounts(Some(10), None);
        let kept = accounts.open(Payer::Principal(0), 0);
        accounts.spend(&kept, 100, 0);
        for number in 1..100 {
            accounts.spend(&accounts.open(Payer::Principal(number), 0), 100, 0);
            assert!(accounts.count() <= 4, "{}", accounts.count());
        }
        assert_eq!(accounts.room(&accounts.open(Payer::Principal(0), 0), 0).units, 0);
    }

    #[test]
    fn who_stays_below_its_share_of_the_rate_of_all_finds_room_whatever_others_do() {
        let accounts = accounts(None, Some(1_000));
        let greedy = accounts.open(Payer::Principal(1), 0);
        let modest = accounts.open(Payer::Principal(2), 0);
        let (mut now_ns, mut greedy_took, mut modest_took) = (0, 0, 0);
        for ms in 0..20_000_u64 {
            now_ns += 1_000_000;
            if ms % 1_000 == 0 {
                accounts.turn(now_ns);
            }
            greedy_took += take(&accounts, &greedy, u64::MAX, now_ns);
            // 400 a second is less than half of 1,000; now and then several at once.
            if ms % 10 == 9 {
                assert_eq!(take(&accounts, &modest, 4, now_ns), 4, "after {ms} ms");
                modest_took += 4;
            }
        }
        let all = greedy_took + modest_took;
        assert!((20_000 - 2..=21_000).contains(&all), "{all}");
        assert_eq!(accounts.room(&greedy, now_ns).bound, Bound::Total);
    }

    #[test]
    fn what_is_without_reply_is_counted_over_connections_and_comes_back() {
        let accounts = accounts(None, None);
        let account = accounts.open(Payer::Principal(1), 0);
        let mut one = Customer::of(Arc::clone(&account));
        let mut other = Customer::of(account);
        let way =
            |in_flight, sequenced| Outstanding { in_flight, weight: 2 * in_flight, sequenced };
        one.tell(way(200, 3));
        other.tell(way(50, 0));
        one.tell(way(150, 1));
        assert_eq!((one.weight(), other.weight()), (400, 400));
        assert_eq!((one.in_flight(), other.in_flight(), other.sequenced()), (200, 200, 1));
        drop(one);
        assert_eq!((other.in_flight(), other.sequenced()), (50, 0));
        let mut operator = Customer::of(accounts.open(Payer::Operator, 0));
        operator.tell(way(9, 9));
        assert_eq!((operator.in_flight(), operator.sequenced()), (0, 0));
    }

    #[test]
    fn past_half_a_principal_has_its_share_of_connections_and_never_all() {
        let accounts = accounts(None, None);
        let at = |connections| Crowded { connections, connections_max: 16 };
        let many = |payer, count| {
            (0..count).map(|_| Customer::of(accounts.open(payer, 0))).collect::<Vec<_>>()
        };
        let one = many(Payer::Principal(1), 12);
        let watches: Vec<_> =
            (0..100).filter_map(|_| accounts.watch(one[0].account(), 0, 1_000)).collect();
        assert_eq!(watches.len(), 100, "watches are no connections");
        let crowds = |payer, all| accounts.is_crowding(&accounts.open(payer, 0), all);
        assert!(!crowds(Payer::Principal(1), at(8)), "below half everybody gets in");
        assert!(!crowds(Payer::Principal(1), at(12)));
        assert!(crowds(Payer::Principal(1), at(13)), "a quarter is left to others");
        assert!(!crowds(Payer::Principal(2), at(14)), "who has few gets in");
        let other = many(Payer::Principal(2), 5);
        assert!(!crowds(Payer::Principal(2), at(16)), "the sixth");
        let last = many(Payer::Principal(2), 1);
        assert!(crowds(Payer::Principal(2), at(16)), "half of three quarters");
        // Who is nobody in particular, and the operator, aren't told apart well enough.
        let nobody = many(Payer::User(1), 16);
        assert!(!crowds(Payer::User(1), at(16)));
        assert!(!crowds(Payer::Operator, at(16)));
        drop((other, last, nobody));
        let left = accounts.open(Payer::Principal(2), 0).connections.get();
        assert_eq!(left, 0);
    }

    #[test]
    fn past_three_quarters_a_principal_has_its_share_of_watches() {
        let accounts = accounts(None, None);
        let open = |number| accounts.open(Payer::Principal(number), 0);
        let (one, nobody) = (open(1), accounts.open(Payer::User(7), 0));
        let mut held: Vec<Watcher> = Vec::new();
        let mut watch = |account: &Arc<Account>| {
            let place = accounts.watch(account, held.len() as u64, 1_024);
            let has_place = place.is_some();
            held.extend(place);
            has_place
        };
        assert!((0..769).all(|_| watch(&one)) && !watch(&one), "alone, three quarters");
        // Whoever comes finds something, however many came before.
        for number in 2..8 {
            let account = open(number);
            assert!(watch(&account), "{number}");
            while watch(&account) {}
        }
        assert!(watch(&nobody), "who is nobody in particular isn't told apart");
        assert!(held.len() < 1_024, "{} of them", held.len());
        drop(held);
        assert_eq!((one.watches.get(), nobody.watches.get()), (0, 0));
    }

    #[test]
    fn a_part_is_what_is_free_of_the_share_and_then_the_own_part_of_it() {
        let accounts = accounts(None, None);
        let connect = |number| Customer::of(accounts.open(Payer::Principal(number), 0));
        let fair = Fair { workers: Some(2_048), sequencer: None };
        let weight = |weight| Outstanding { in_flight: weight, weight, sequenced: 0 };
        let (mut bulk, mut others) = (connect(1), Vec::new());
        for _ in 0..100 {
            let mut other = connect(1);
            other.tell(weight(1));
            others.push(other);
        }
        assert_eq!(bulk.part_of(fair, 2).weight, 1_024 - 100, "the others have 100 of 1,024");
        bulk.tell(weight(900));
        assert_eq!(bulk.part_of(fair, 2).weight, 900 + 24);
        bulk.tell(weight(1_000));
        assert_eq!(bulk.part_of(fair, 2).weight, 1_024 / 101);
        assert_eq!(bulk.part_of(fair, 2).sequenced, u32::MAX, "it doesn't wait there");
        assert_eq!(connect(2).part_of(fair, 1_000).weight, limits::FAIR_LEAST);
        let none = Fair { workers: None, sequencer: None };
        assert_eq!(bulk.part_of(none, 2).weight, u32::MAX);
    }

    #[test]
    fn who_pushed_something_in_the_last_second_is_active_once() {
        let accounts = accounts(None, None);
        let one = accounts.open(Payer::Principal(1), 0);
        let other = accounts.open(Payer::Principal(2), 0);
        assert_eq!(accounts.active(), 1);
        assert!(accounts.note(&one) && !accounts.note(&one) && accounts.note(&other));
        assert_eq!(accounts.active(), 2);
        assert_eq!(accounts.turn(0), 2);
        assert!(accounts.note(&one));
        assert_eq!(accounts.active(), 2);
        assert_eq!((accounts.turn(0), accounts.active()), (1, 1));
        assert_eq!((accounts.turn(0), accounts.active()), (0, 1));
    }
}
