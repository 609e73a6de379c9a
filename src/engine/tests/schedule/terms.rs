//! Tenants of a schedule whose addresses have an end: they lease and renew, hold, confirm and cancel, and
//! know from the answers for how long an address is certainly theirs. Until then nobody else may have
//! it, across restarts and clocks that stand while the process is gone.

use super::requests::{cancel, confirm, held, leased, release_of, renew};
use super::*;
use crate::engine::tests::stage::GRACE_MS;
use crate::limits::HOLD_REST_MS;
use crate::model::AllocationRow;
use addrd_protocol::message::{AllocationState, HoldEnded};
use addrd_protocol::prefix::number_of;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The network of those tenants.
pub(super) const LEASED: u128 = 7;
/// Owners from this number on are theirs.
const FIRST_OWNER: u128 = 500;
const OWNERS: u64 = 8;
/// A term is at least so long, ms, and less than four times that.
const TERM_MS: u64 = 1_000;

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lease,
    Hold(Uuid),
    /// A hold that was confirmed.
    Endless,
}

/// What a tenant was told of what it has. Times are those of the tenants, ms.
#[derive(Clone, Copy, Debug)]
struct Grant {
    address: u128,
    revision: Revision,
    kind: Kind,
    /// It has it for certain until then.
    sure_until: u64,
    /// Its end is not later; known of leases.
    over_at: u64,
    /// Nobody else gets the address before that.
    kept_until: u64,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Allocate(Kind),
    Renew,
    Release,
    Confirm,
    Cancel,
}

#[derive(Debug, Default)]
struct Tenant {
    has: Option<Grant>,
    /// A request is on its way, or was when the process ended.
    is_asking: bool,
}

/// An address that nobody but its owner may get for a while, since its hold ran out.
#[derive(Clone, Copy, Debug)]
struct Kept {
    owner: u128,
    address: u128,
    until: u64,
}

#[derive(Default)]
pub(super) struct Terms {
    desk: Arc<Desk>,
    next_id: u64,
    waiting: BTreeMap<u64, (u128, Asked, u64)>,
    tenants: BTreeMap<u128, Tenant>,
    kept: Vec<Kept>,
    /// The tenants' clock goes on while the server's stands: what is to be added to the server's.
    ahead_ms: u64,
    now: u64,
}

impl Terms {
    /// The network, again in each life.
    pub(super) fn set_up(&mut self, engine: &Engine) {
        let desk = Arc::new(Desk::default());
        send(engine, &desk, vec![create_network(0, LEASED)]);
        send(engine, &desk, vec![create_subnet(0, LEASED, "10.7.0.0/28")]);
    }

    /// A tenant sends something, unless it waits for an answer.
    pub(super) fn send(&mut self, engine: &Engine, random: &mut Random) {
        let owner = FIRST_OWNER + u128::from(random.below(OWNERS));
        let tenant = self.tenants.entry(owner).or_default();
        if tenant.is_asking {
            return;
        }
        let term = TERM_MS + random.below(3 * TERM_MS);
        let fresh = match random.below(2) {
            0 => Kind::Lease,
            _ => Kind::Hold(Uuid::from_u128(1 + u128::from(random.below(u64::MAX)))),
        };
        let allocate = |kind| match kind {
            Kind::Hold(token) => (Asked::Allocate(kind), held(LEASED, owner, token, term)),
            _ => (Asked::Allocate(Kind::Lease), leased(LEASED, owner, term)),
        };
        let (asked, operation) = match (tenant.has, random.below(8)) {
            (None, _) => allocate(fresh),
            // What is there already is answered as it is, under its own token.
            (Some(Grant { kind, .. }), 0) => allocate(kind),
            (Some(Grant { kind: Kind::Lease, revision, .. }), 1..7) => {
                (Asked::Renew, renew(LEASED, owner, revision, term))
            }
            (Some(Grant { kind: Kind::Hold(token), revision, .. }), 1..4) => {
                (Asked::Confirm, confirm(LEASED, owner, revision, token))
            }
            (Some(Grant { kind: Kind::Hold(token), revision, .. }), 4..6) => {
                (Asked::Cancel, cancel(LEASED, owner, revision, token))
            }
            // It waits and sees what becomes of it.
            (Some(Grant { kind: Kind::Hold(_), .. }), _) => return,
            (Some(Grant { revision, .. }), _) => {
                (Asked::Release, release_of(LEASED, owner, revision))
            }
        };
        tenant.is_asking = true;
        if let (Some(has), Asked::Release | Asked::Cancel) = (&mut tenant.has, asked) {
            // From here on somebody else may have it.
            has.sure_until = has.sure_until.min(self.now);
            has.kept_until = has.kept_until.min(self.now);
        }
        self.next_id += 1;
        self.waiting.insert(self.next_id, (owner, asked, self.now));
        let operation = Operation { request_id: self.next_id, ..operation };
        send(engine, &self.desk, vec![operation]);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes what was answered, and checks it.
    pub(super) fn take_answers(&mut self, now: Tick) {
        self.now = self.ahead_ms + now.0;
        self.kept.retain(|kept| kept.until > self.now);
        let count = self.desk.frames.lock().unwrap().len();
        for (id, status, reply) in self.desk.take(count) {
            let (owner, asked, at) = self.waiting.remove(&id).expect("answered once");
            let tenant = self.tenants.get_mut(&owner).expect("it asked");
            tenant.is_asking = false;
            let before = tenant.has;
            let is_sure = before.is_some_and(|has| has.sure_until > self.now);
            let what =
                || format!("{owner}, {at} to {}: {asked:?}, {status}, had {before:?}", self.now);
            match (asked, status, reply) {
                (Asked::Allocate(kind), Status::OK, Some(Reply::Allocated(got))) => {
                    let got = got.first;
                    let (address, left) = (number_of(&got.address), got.time_left_ms);
                    if let Some(has) = before {
                        let same = (has.address, has.revision) == (address, got.revision);
                        assert!(same || !is_sure, "{}: {got:?}", what());
                        assert!(same || !got.repeated, "{}: {got:?}", what());
                    }
                    let kind = match (got.state, left, kind) {
                        (AllocationState::Held, ..) => kind,
                        (_, 0, _) => Kind::Endless,
                        _ => Kind::Lease,
                    };
                    let grant = self.grant(kind, (address, got.revision), at, left);
                    self.give(owner, grant);
                }
                (Asked::Allocate(_), Status::EXHAUSTED, _) => {
                    let is_kept = before.is_some_and(|has| has.kept_until > self.now);
                    assert!(!is_kept, "its own would do: {}", what());
                    self.forget(owner);
                }
                (Asked::Renew, Status::OK, Some(Reply::Renewed(got))) => {
                    let has = before.unwrap_or_else(|| panic!("{}", what()));
                    let told = (number_of(&got.address), got.revision);
                    assert_eq!(told, (has.address, has.revision), "{}", what());
                    assert!(at < has.over_at, "renewed when it was over: {}", what());
                    let grant = self.grant(has.kind, told, at, got.time_left_ms);
                    self.give(owner, grant);
                }
                (Asked::Renew, Status::EXPIRED, _) => {
                    assert!(!is_sure, "{}", what());
                    self.forget(owner);
                }
                (Asked::Release, Status::OK, _) => self.forget(owner),
                (Asked::Release, Status::NOT_HELD, _) => {
                    let was_sure = before.is_some_and(|has| has.kind == Kind::Endless);
                    assert!(!was_sure, "{}", what());
                    self.forget(owner);
                }
                (Asked::Confirm, Status::OK, Some(Reply::HoldEnded(got))) => {
                    let has = before.unwrap_or_else(|| panic!("{}", what()));
                    let HoldEnded { address, revision, .. } = got;
                    assert_eq!((number_of(&address), revision), (has.address, has.revision));
                    self.give(owner, self.grant(Kind::Endless, (has.address, revision), at, 0));
                }
                (Asked::Cancel, Status::OK | Status::NOT_HELD, _) => self.forget(owner),
                (_, _, reply) => panic!("{}: {reply:?}", what()),
            }
        }
    }

    fn grant(
        &self,
        kind: Kind,
        (address, revision): (u128, Revision),
        at: u64,
        left: u64,
    ) -> Grant {
        let sure_until = if kind == Kind::Endless { u64::MAX } else { at + left };
        let over_at = match kind {
            Kind::Lease => self.now + left,
            _ => u64::MAX,
        };
        let kept_until = match kind {
            Kind::Hold(_) => sure_until + HOLD_REST_MS,
            _ => sure_until,
        };
        Grant { address, revision, kind, sure_until, over_at, kept_until }
    }

    /// A tenant has this now, and nobody else may.
    fn give(&mut self, owner: u128, grant: Grant) {
        let taken = self.tenants.iter().find(|(other, tenant)| {
            let is_kept = |has: &Grant| has.address == grant.address && has.kept_until > self.now;
            **other != owner && tenant.has.as_ref().is_some_and(is_kept)
        });
        assert!(taken.is_none(), "{owner} has {grant:?} at {} beside {taken:?}", self.now);
        let kept =
            self.kept.iter().find(|kept| kept.address == grant.address && kept.owner != owner);
        assert!(kept.is_none(), "{owner} has {grant:?} at {} which is kept: {kept:?}", self.now);
        self.kept.retain(|kept| kept.address != grant.address);
        if self.tenants[&owner].has.is_some_and(|has| has.address != grant.address) {
            self.forget(owner);
        }
        self.tenants.entry(owner).or_default().has = Some(grant);
    }

    /// A tenant has nothing that it knows of. What its hold left rests on.
    fn forget(&mut self, owner: u128) {
        let Some(has) = self.tenants.get_mut(&owner).and_then(|tenant| tenant.has.take()) else {
            return;
        };
        if has.kept_until > self.now && matches!(has.kind, Kind::Hold(_)) {
            self.kept.push(Kept { owner, address: has.address, until: has.kept_until });
        }
    }

    /// The process is gone.
    pub(super) fn cut_off(&mut self) {
        self.waiting.clear();
        self.desk = Arc::default();
    }

    /// What is certain must be there; what is not is looked at.
    pub(super) fn recovered(&mut self, whole: &Whole, now: Tick) {
        // The tenants' time went on while the server's stood.
        let before = self.ahead_ms;
        // A start begins a tick behind the last record, where the clock may not have been yet: what is ahead never falls.
        self.ahead_ms = before.max(self.now.saturating_sub(now.0));
        let stood = self.ahead_ms - before;
        self.now = self.ahead_ms + now.0;
        let rows = rows(whole);
        for (owner, tenant) in &mut self.tenants {
            let row = rows.iter().find(|row| row.owner.0.as_u128() == *owner && row.is_held());
            let found = row.map(|row| (row.address, row.revision));
            if let Some(has) = tenant.has.filter(|has| has.sure_until > self.now) {
                let is = Some((has.address, has.revision));
                assert_eq!(found, is, "{owner} has {has:?} at {}", self.now);
            }
            if let (None, false, Some(row)) = (tenant.has, tenant.is_asking, row) {
                // It was told that its lease is over, and a start spares what is not ended in the journal.
                assert!(row.deadline.is_some(), "{owner} let go {row:?}");
            }
            if std::mem::take(&mut tenant.is_asking) || tenant.has.is_none() {
                tenant.has = row.map(|row| row.grant(self.now));
            } else if let Some(has) = &mut tenant.has {
                let spared = self.now.saturating_add(GRACE_MS);
                has.over_at = has.over_at.saturating_add(stood).max(spared);
            }
        }
        for row in rows.iter().filter(|row| row.is_held()) {
            let owner = row.owner.0.as_u128();
            assert!(self.tenants.contains_key(&owner), "nobody asked for {row:?}");
        }
        for kept in &self.kept {
            let other = rows.iter().find(|row| {
                row.address == kept.address && row.owner.0.as_u128() != kept.owner && row.is_held()
            });
            assert!(other.is_none(), "{kept:?} has {other:?}");
        }
    }
}

/// A row of the network.
#[derive(Debug)]
struct Row {
    address: u128,
    owner: OwnerId,
    revision: Revision,
    state: AllocationState,
    deadline: Option<u64>,
    token: Option<Uuid>,
}

impl Row {
    const fn is_held(&self) -> bool {
        matches!(self.state, AllocationState::Allocated | AllocationState::Held)
    }

    /// As somebody knows it who sees it, and no answer.
    fn grant(&self, now: u64) -> Grant {
        let kind = match (self.state, self.deadline, self.token) {
            (AllocationState::Held, _, Some(token)) => Kind::Hold(token),
            (_, Some(_), _) => Kind::Lease,
            _ => Kind::Endless,
        };
        let sure_until = if kind == Kind::Endless { u64::MAX } else { now };
        let (address, revision) = (self.address, self.revision);
        Grant { address, revision, kind, sure_until, over_at: u64::MAX, kept_until: sure_until }
    }
}

fn rows(whole: &Whole) -> Vec<Row> {
    let id = NetworkId::from_u128(LEASED);
    let networks = &whole.state.networks;
    let Some((network, _)) = networks.iter().find(|(row, _)| row.id == id) else {
        return Vec::new();
    };
    let subnet = whole.state.subnets.iter().find(|(row, _)| row.network == network.network);
    let base = subnet.map_or(0, |(row, _)| row.prefix.base());
    let of_network = |row: &&AllocationRow| row.place.network == network.network;
    let rows = whole.state.allocations.iter().filter(of_network).map(|row| Row {
        address: base + row.place.offset,
        owner: row.owner,
        revision: row.revision,
        state: row.state,
        deadline: row.extras.as_deref().and_then(|extras| extras.deadline),
        token: row.extras.as_deref().and_then(|extras| extras.token),
    });
    rows.collect()
}

/// At rest, what was to end has ended.
pub(super) fn check_ends(whole: &Whole, now: Tick) {
    let late = rows(whole).into_iter().find(|row| {
        row.is_held() && row.deadline.is_some_and(|deadline| deadline + LATE_MS_MAX < now.0)
    });
    assert!(late.is_none(), "at {}: {late:?}", now.0);
}

/// An idle server ends what is over at most so late, ms.
const LATE_MS_MAX: u64 = 1_000;
