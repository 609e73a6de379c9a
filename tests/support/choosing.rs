//! What a client of the workload asks for next: random, but for what its book says. Sends nothing.

use super::network::{LENT, POOLED, PROJECTS};
use super::operation::{By, How, Operation, Settling};
use super::state::{Hold, Key};
use super::terms::{End, Term};
use super::workload::{
    BATCH_OWNERS, BATCHED, CONTESTED, LEASED, PORTED, TIGHT, WIDE, Worker, is_port,
};
use addrd_client::protocol::message::{BatchMode, OnEnd, Strategy};
use addrd_client::protocol::{NetworkId, OwnerId, ProjectId, Slot};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use uuid::Uuid;

/// Exact addresses that are fought for.
const CONTESTED_ADDRESSES: u64 = 24;
/// Most requests in flight of a client.
const BURST_MAX: u64 = 4;
/// Most items of a batch.
const BATCH_MAX: u64 = 8;
/// Shortest and longest lease of an address or a host, ms.
const LEASE_MS: Range<u64> = 1_000..8_000;
/// The same of holds.
const HOLD_MS: Range<u64> = 1_000..4_000;
/// How long something is held on [`TIGHT`], ms: what ran out would rest there for ten minutes.
const TIGHT_HOLD_MS: u64 = 600_000;
/// Owners of a client on [`LEASED`] that renew nothing.
const LEFT_ALONE: u64 = 6;
/// Where releases are held too.
const RELEASES_ARE_HELD: [NetworkId; 4] = [LEASED, BATCHED, TIGHT, CONTESTED];

impl Worker {
    /// One to four operations on different keys.
    pub(super) fn choose_flight(&mut self, now: u64) -> Vec<Operation> {
        let count = self.choices.below(1..BURST_MAX + 1);
        let mut used: Vec<Key> = Vec::new();
        let mut flight = Vec::new();
        for _ in 0..count {
            let operation = match self.choices.below(0..28) {
                0..=3 => self.on_wide(),
                4..=5 => self.on_tight(),
                6..=7 => self.on_contested(),
                8 => self.on_batched(BATCHED),
                9 => self.on_one_of(POOLED),
                10 => self.on_batched(POOLED),
                11 => self.on_one_of(PORTED),
                12 => self.on_batched(PORTED),
                13 | 14 => self.on_lent(),
                15 => self.on_batched(LENT),
                16 | 17 => self.across(),
                18 => self.late(),
                19..=23 => self.on_leased(now),
                24 | 25 => self.on_batched(LEASED),
                _ => self.on_host(),
            };
            let keys = self.keys_of(&operation);
            if keys.iter().all(|key| !used.contains(key)) {
                used.extend(keys);
                flight.push(operation);
            }
        }
        flight
    }

    /// On [`LENT`] one of each project has the same owners; elsewhere nobody has another's.
    fn key(&self, network: NetworkId, owner: u64, slot: u16) -> Key {
        let projects = PROJECTS.len() as u64;
        let (project, number) = match network == LENT {
            true => (PROJECTS[(self.number % projects) as usize], self.number / projects),
            false => (ProjectId::DEFAULT, self.number),
        };
        let owner = OwnerId::from_u128(u128::from(number + 1) << 64 | u128::from(owner + 1));
        Key { project, network, owner, slot: Slot(slot) }
    }

    fn on_wide(&mut self) -> Operation {
        let owner = self.choices.below(0..3);
        let key = self.key(WIDE, owner, 0);
        if owner == 0 {
            // A pair: taken together, dropped one by one, second first.
            return match (self.book.hold(&key), self.book.hold(&key.second())) {
                (None, None) => Operation::TakeEach { key },
                (Some(_), Some(_)) if self.choices.one_in(4) => Operation::TakeEach { key },
                (Some(_), Some(_)) => self.on_held(key.second(), false),
                (Some(_), None) => self.on_held(key, true),
                (None, Some(_)) => self.on_held(key.second(), true),
            };
        }
        let how = match self.choices.below(0..5) {
            0 => How::V6,
            1 => How::Any(Strategy::Lowest),
            2 => How::Any(Strategy::Random),
            3 => How::Any(Strategy::Hashed),
            _ => How::Any(Strategy::Default),
        };
        match self.book.hold(&key) {
            None => Operation::Take { key, how, may_fail: false, term: Term::Endless },
            Some(_) => self.on_held(key, false),
        }
    }

    /// Drop, relabel, ask again for what is held, or something about its end. A pair of which one is left is only
    /// dropped: asking again for both is another request.
    fn on_held(&mut self, key: Key, only_drop: bool) -> Operation {
        let hold = self.book.hold(&key).cloned().expect("the caller looked");
        let revision = hold.revision;
        if !only_drop && let Some(operation) = self.about_end(key, &hold) {
            return operation;
        }
        match self.choices.below(0..8) {
            0 if !only_drop => {
                self.labels += 1;
                let label = format!("n={}-{}", self.number, self.labels);
                Operation::Label { key, revision, label }
            }
            1 if !only_drop => {
                let how = How::Any(Strategy::Default);
                let term = match hold.end {
                    // One in four with another token, or none.
                    End::Held(Some(token)) if !self.choices.one_in(4) => {
                        Term::Held { token, ms: HOLD_MS.start }
                    }
                    _ => Term::Endless,
                };
                Operation::Take { key, how, may_fail: false, term }
            }
            2 => Operation::Drop { key, revision, by: By::Address(hold.address) },
            _ => Operation::Drop { key, revision, by: By::Key },
        }
    }

    /// Something about the end of what is held; most of what has one.
    fn about_end(&mut self, key: Key, hold: &Hold) -> Option<Operation> {
        let revision = hold.revision;
        let settle = |token, how| Operation::Settle { key, revision, token, how };
        if let Some(mark) = hold.mark {
            return match self.choices.below(0..8) {
                0..=2 => Some(settle(mark.token, Settling::ConfirmRelease)),
                3..=4 => Some(settle(mark.token, Settling::CancelRelease)),
                5 => Some(settle(self.token(), Settling::ConfirmRelease)),
                _ => None,
            };
        }
        match hold.end {
            End::Held(Some(token)) => match self.choices.below(0..8) {
                0..=2 => Some(settle(token, Settling::Confirm)),
                3..=4 => Some(settle(token, Settling::Cancel)),
                5 => Some(settle(self.token(), Settling::Confirm)),
                _ => None,
            },
            End::Lease if !self.choices.one_in(3) => {
                let by = match self.choices.one_in(2) {
                    true => By::Key,
                    false => By::Address(hold.address),
                };
                let ms = self.choices.below(LEASE_MS);
                Some(Operation::Renew { key, revision, by, ms })
            }
            _ if RELEASES_ARE_HELD.contains(&key.network) && self.choices.one_in(5) => {
                let (token, ms) = (self.token(), self.choices.below(HOLD_MS));
                Some(Operation::HoldRelease { key, revision, token, ms })
            }
            _ => None,
        }
    }

    fn token(&mut self) -> Uuid {
        Uuid::from_u128(self.choices.id())
    }

    /// How long something new of a network is asked for.
    fn term(&mut self, network: NetworkId) -> Term {
        let of_eight = self.choices.below(0..8);
        let ms = self.choices.below(LEASE_MS);
        match (network, of_eight) {
            (TIGHT, 0) => Term::Held { token: self.token(), ms: TIGHT_HOLD_MS },
            (LEASED, 0 | 1) | (BATCHED, 0) => {
                Term::Held { token: self.token(), ms: self.choices.below(HOLD_MS) }
            }
            (LEASED, 2..=4) | (BATCHED | TIGHT, 1) if self.book.known.host.is_some() => {
                Term::Host(self.number)
            }
            (LEASED, 2..=6) | (BATCHED | CONTESTED | POOLED, 0..=2) | (TIGHT, 1 | 2) => {
                Term::Lease { ms }
            }
            _ => Term::Endless,
        }
    }

    /// Takes what a key doesn't hold, or settles a hold of it that ran out.
    fn take(&mut self, key: Key, how: How, may_fail: bool) -> Operation {
        if let Some(hold) = self.book.known.hold(&key)
            && let (End::Held(Some(token)), revision) = (hold.end, hold.revision)
            && !self.choices.one_in(3)
        {
            let how = *self.choices.pick(&[Settling::Confirm, Settling::Cancel]);
            return Operation::Settle { key, revision, token, how };
        }
        let term = self.term(key.network);
        Operation::Take { key, how, may_fail, term }
    }

    /// What some owners have is never renewed: it is left alone until it is over.
    fn on_leased(&mut self, now: u64) -> Operation {
        let owner = self.choices.below(0..BATCH_OWNERS + LEFT_ALONE);
        let key = self.key(LEASED, owner, 0);
        let is_left = owner >= BATCH_OWNERS;
        match self.book.hold(&key).map(|hold| (hold.end, self.book.known.may_be_over(hold, now))) {
            Some((End::Lease | End::Held(_), false)) if is_left => self.on_wide(),
            // Nobody told that it is over.
            Some((End::Lease | End::Held(_), true)) if is_left => {
                self.take(key, How::Any(Strategy::Default), false)
            }
            None if is_left && self.choices.one_in(2) => {
                let (token, ms) = (self.token(), HOLD_MS.start);
                let (how, term) = (How::Any(Strategy::Default), Term::Held { token, ms });
                Operation::Take { key, how, may_fail: false, term }
            }
            _ => self.make_or_end(key),
        }
    }

    /// The lease of the client's host begins, goes on, or ends.
    fn on_host(&mut self) -> Operation {
        let (host, followers) = (self.number, self.book.known.followers());
        let on_end = *self.choices.pick(&[OnEnd::Release, OnEnd::Release, OnEnd::Report]);
        let is_there = self.book.known.host.is_some();
        match self.choices.below(0..8) {
            0 if is_there => Operation::EndHost { host, on_end, followers },
            which => {
                if which == 1 || !is_there {
                    self.lives += 1;
                }
                let begin = if which == 1 || !is_there { self.lives } else { 0 };
                let ms = self.choices.below(LEASE_MS);
                Operation::RenewHost { host, begin, on_end, ms, followers }
            }
        }
    }

    fn on_tight(&mut self) -> Operation {
        let key = self.key(TIGHT, 0, 0);
        match self.book.hold(&key) {
            None => self.take(key, How::Any(Strategy::Default), true),
            Some(_) => self.on_held(key, false),
        }
    }

    fn on_contested(&mut self) -> Operation {
        let owner = self.choices.below(0..3);
        let key = self.key(CONTESTED, owner, 0);
        match self.book.hold(&key) {
            Some(_) => self.on_held(key, false),
            None if owner == 0 => self.take(key, How::Any(Strategy::Default), false),
            None => {
                let last = 10 + self.choices.below(0..CONTESTED_ADDRESSES);
                let address = IpAddr::V4(Ipv4Addr::new(10, 3, 0, last as u8));
                self.take(key, How::Exact(address), true)
            }
        }
    }

    /// As a guest, or beside guests; some fight for the same addresses.
    fn on_lent(&mut self) -> Operation {
        if self.choices.one_in(2) {
            return self.on_one_of(LENT);
        }
        let owner = BATCH_OWNERS + self.choices.below(0..2);
        let key = self.key(LENT, owner, 0);
        if self.book.hold(&key).is_some() {
            return self.on_held(key, false);
        }
        let last = 10 + self.choices.below(0..CONTESTED_ADDRESSES);
        let address = IpAddr::V4(Ipv4Addr::new(10, 7, 8, last as u8));
        self.take(key, How::Exact(address), true)
    }

    /// One key of a network on which batches are used too.
    fn on_one_of(&mut self, network: NetworkId) -> Operation {
        let owner = self.choices.below(0..BATCH_OWNERS);
        let key = self.key(network, owner, 0);
        self.make_or_end(key)
    }

    /// Takes what a key doesn't hold, or does something with what it does.
    fn make_or_end(&mut self, key: Key) -> Operation {
        match (self.book.hold(&key), is_port(&key)) {
            (None, true) => Operation::MakePort { key },
            (Some(_), true) if self.choices.one_in(4) => Operation::MakePort { key },
            (Some(_), true) => Operation::EndPort { key },
            (None, false) => self.take(key, How::Any(Strategy::Default), false),
            (Some(_), false) => self.on_held(key, false),
        }
    }

    fn on_batched(&mut self, network: NetworkId) -> Operation {
        let first = self.choices.below(0..BATCH_OWNERS);
        let count = self.choices.below(1..BATCH_MAX + 1);
        let mut items = Vec::new();
        for at in 0..count {
            let key = self.key(network, (first + at) % BATCH_OWNERS, 0);
            items.push(self.make_or_end(key));
        }
        let mode = *self.choices.pick(&[BatchMode::Independent, BatchMode::AllOrNothing]);
        if self.choices.one_in(4)
            && let Some(Operation::Drop { revision, .. }) = items.last_mut()
        {
            // The fence of the last item stops it, or all of them.
            revision.0 ^= 1;
        }
        Operation::Batch { network, mode, items }
    }

    /// On several networks at once. The owners of [`LENT`] are some project's; elsewhere the default
    /// one's.
    fn across(&mut self) -> Operation {
        let lent = self.key(LENT, 0, 0);
        let is_at_home = lent.project == ProjectId::DEFAULT;
        let networks = [BATCHED, PORTED, POOLED, LENT];
        let networks = if is_at_home { &networks[..] } else { &networks[..3] };
        let first = self.choices.below(0..BATCH_OWNERS);
        let count = self.choices.below(2..BATCH_MAX + 1);
        let mut items = Vec::new();
        for at in 0..count {
            let network = *self.choices.pick(networks);
            let key = self.key(network, (first + at) % BATCH_OWNERS, 0);
            items.push(self.make_or_end(key));
        }
        if self.choices.one_in(4)
            && let Some(Operation::Drop { revision, .. }) = items.last_mut()
        {
            revision.0 ^= 1;
        }
        Operation::Transaction { items }
    }

    /// A message of a former life: it must never touch what came after (P5).
    fn late(&mut self) -> Operation {
        if self.past.is_empty() {
            return self.on_wide();
        }
        let (key, hold) = self.choices.pick(&self.past).clone();
        let revision = hold.revision;
        let by = if self.choices.one_in(2) { By::Key } else { By::Address(hold.address) };
        match (self.choices.below(0..4), hold.end) {
            (0, End::Lease) => Operation::Renew { key, revision, by, ms: LEASE_MS.start },
            // What a hold left behind stays so.
            (0 | 1, End::Held(Some(token))) if !self.book.left.contains(&(key, revision)) => {
                let how = *self.choices.pick(&[Settling::Confirm, Settling::Cancel]);
                Operation::Settle { key, revision, token, how }
            }
            _ => Operation::Drop { key, revision, by },
        }
    }

    /// Every key that an operation touches. Who begins to follow the host, and what is about its lease, touch a key of
    /// the host's too.
    fn keys_of(&self, operation: &Operation) -> Vec<Key> {
        let host = || Key { network: NetworkId::NIL, ..self.key(LEASED, 0, 0) };
        match operation {
            Operation::Take { key, term: Term::Host(_), .. } => vec![*key, host()],
            Operation::Take { key, .. }
            | Operation::Drop { key, .. }
            | Operation::Renew { key, .. }
            | Operation::HoldRelease { key, .. }
            | Operation::Settle { key, .. }
            | Operation::Label { key, .. } => vec![*key],
            Operation::TakeEach { key }
            | Operation::MakePort { key }
            | Operation::EndPort { key } => vec![*key, key.second()],
            Operation::RenewHost { followers, .. } | Operation::EndHost { followers, .. } => {
                followers.iter().copied().chain([host()]).collect()
            }
            Operation::Batch { items, .. } | Operation::Transaction { items } => {
                items.iter().flat_map(|item| self.keys_of(item)).collect()
            }
        }
    }
}
