//! The book that a client keeps: what it holds for certain, the history that led there, and every
//! answer that breaks a promise. Sends nothing.

use super::history::{Exhausted, Grant, Possible, Tenure};
use super::line::Answer;
use super::network::{LENT, POOLED, POOLED_LENGTH};
use super::operation::{By, Operation, port_of};
use super::state::{Change, Hold, Key, Unknown};
use addrd_client::protocol::message::allocate::AllocatedAddress;
use addrd_client::protocol::message::{
    Allocated, Allocation, BatchMode, BatchReply, BatchResult, Failure, Port, Released, Reply,
};
use addrd_client::protocol::{NetworkId, ProjectId, Retry, Revision, Status};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// When a request was sent and its answer was there, in ns of one clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

/// Possible and claimed use of a network that can be exhausted.
#[derive(Debug, Default)]
pub(crate) struct Use {
    pub(crate) taken: Vec<Possible>,
    pub(crate) claims: Vec<Exhausted>,
}

/// What one client knows.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// For each key that was ever used what it holds.
    pub(crate) known: BTreeMap<Key, Option<Hold>>,
    pub(crate) tenures: Vec<Tenure>,
    pub(crate) grants: Vec<Grant>,
    /// By network.
    pub(crate) uses: BTreeMap<NetworkId, Use>,
    /// Requests that were done, refused or denied by an answer.
    pub(crate) acknowledged: u64,
    /// Answers of the class "later".
    pub(crate) later: u64,
    /// Broken promises.
    pub(crate) findings: Vec<String>,
    /// The tenure and the possible use that each key's hold opened.
    open: BTreeMap<Key, (usize, usize)>,
}

/// What one item came to.
enum Item<'a> {
    Allocated(&'a Allocated),
    Released(&'a Released),
    NotHeld,
    Updated(&'a Allocation),
    Port(&'a Port),
    PortDeleted,
    Failed(&'a Failure),
}

impl<'a> Item<'a> {
    fn of_result(result: &'a BatchResult) -> Self {
        match result {
            BatchResult::Allocated(allocated) => Self::Allocated(allocated),
            BatchResult::Released(released) => Self::Released(released),
            BatchResult::NotHeld => Self::NotHeld,
            BatchResult::Updated(allocation) => Self::Updated(allocation),
            BatchResult::Failed(failure) => Self::Failed(failure),
            BatchResult::Port(port) => Self::Port(port),
            BatchResult::PortDeleted => Self::PortDeleted,
            BatchResult::Renewed(_) => unreachable!("the workload renews nothing"),
            BatchResult::HoldEnded(_) => unreachable!("the workload holds nothing under a token"),
        }
    }

    fn of_answer(answer: &'a Answer) -> Option<Self> {
        Some(match answer {
            Ok(Reply::Allocated(allocated)) => Self::Allocated(allocated),
            Ok(Reply::Released(released)) => Self::Released(released),
            Ok(Reply::Empty) => Self::NotHeld,
            Ok(Reply::Port(port)) => Self::Port(port),
            Ok(Reply::Allocation(allocation)) => Self::Updated(allocation),
            Err(failure) => Self::Failed(failure),
            Ok(_) => return None,
        })
    }
}

/// A late release of the network's project: a guest holds the address by now. A guest is told nothing
/// of the kind.
fn is_of_a_guest(operation: &Operation, failure: &Failure) -> bool {
    let is_home = (operation.network(), operation.project()) == (LENT, ProjectId::DEFAULT);
    is_home && failure.status == Status::NOT_HOLDER
}

impl Book {
    /// What a key holds.
    pub(crate) fn hold(&self, key: &Key) -> Option<&Hold> {
        self.known.get(key).and_then(Option::as_ref)
    }

    /// Enters an answer.
    pub(crate) fn enter(&mut self, operation: &Operation, answer: &Answer, span: Span) {
        if let Err(failure) = answer
            && failure.status.retry() == Retry::Later
        {
            self.later += 1;
            return;
        }
        self.acknowledged += 1;
        let lawful = match operation {
            Operation::Batch { mode, items, .. } => self.batch(*mode, items, answer, span),
            Operation::Transaction { items } => {
                self.batch(BatchMode::AllOrNothing, items, answer, span)
            }
            single => match Item::of_answer(answer) {
                Some(item) => self.item(single, &item, span),
                None => false,
            },
        };
        if !lawful {
            let held: Vec<_> = operation
                .changes(&self.known)
                .iter()
                .map(|change| self.hold(&change.key()).cloned())
                .collect();
            let finding =
                format!("not a lawful answer: {operation:?} got {answer:?}; held {held:?}");
            self.findings.push(finding);
        }
    }

    fn batch(&mut self, mode: BatchMode, items: &[Operation], answer: &Answer, span: Span) -> bool {
        let must_fail = mode == BatchMode::AllOrNothing
            && items.iter().any(|item| item.is_refused(&self.known));
        // A repeat of one that was in: somebody else may hold the address by now.
        let others = |item: &Operation| matches!(item, Operation::Drop { key, by: By::Address(_), .. } if self.hold(key).is_none());
        let may_fail = mode == BatchMode::AllOrNothing && items.iter().any(others);
        match answer {
            Err(failure) => {
                let why = [Status::STALE, Status::NOT_FOUND];
                let is_guests = may_fail && items.iter().any(|item| is_of_a_guest(item, failure));
                is_guests || (must_fail || may_fail) && why.contains(&failure.status)
            }
            Ok(Reply::Batch(reply)) if !must_fail => self.results(items, reply, span),
            Ok(_) => false,
        }
    }

    fn results(&mut self, items: &[Operation], reply: &BatchReply, span: Span) -> bool {
        let mut lawful = reply.results.len() == items.len();
        for (item, result) in items.iter().zip(&reply.results) {
            lawful &= self.item(item, &Item::of_result(result), span);
        }
        lawful
    }

    /// Enters one item and says whether it is lawful.
    fn item(&mut self, operation: &Operation, item: &Item<'_>, span: Span) -> bool {
        let stale = operation.is_stale(&self.known);
        match (operation, item) {
            (Operation::Take { key, .. }, Item::Allocated(got)) => {
                got.second.is_none() && self.took(key, &got.first, span)
            }
            (Operation::TakeEach { key }, Item::Allocated(got)) => {
                let second = got.second.as_ref();
                self.took(key, &got.first, span)
                    && second.is_some_and(|second| self.took(&key.second(), second, span))
            }
            (Operation::MakePort { key }, Item::Port(port)) => self.made_port(key, port, span),
            // By itself a deletion's reply is as empty as that of a release that found nothing.
            (Operation::EndPort { key }, Item::PortDeleted | Item::NotHeld) => {
                let fits = self.hold(key).is_some() && self.hold(&key.second()).is_some();
                self.dropped(key, span);
                self.dropped(&key.second(), span);
                fits
            }
            (Operation::EndPort { key }, Item::Failed(failure)) => {
                failure.status == Status::NOT_FOUND && self.hold(key).is_none()
            }
            (Operation::Take { key, may_fail: true, .. }, Item::Failed(failure)) => {
                self.refused(key, failure, span)
            }
            (Operation::Drop { key, .. }, Item::Released(released)) => {
                let fits = self.hold(key).is_some_and(|hold| hold.address == released.address);
                self.dropped(key, span);
                fits && !stale
            }
            (Operation::Drop { key, by, .. }, Item::NotHeld) => match (by, self.hold(key)) {
                (_, None) => true,
                (By::Key, Some(_)) => false,
                (By::Address(address), Some(hold)) => hold.address != *address,
            },
            (Operation::Drop { key, by, .. }, Item::Failed(failure)) => {
                let others = matches!(by, By::Address(_)) && self.hold(key).is_none();
                let elsewhere = match by {
                    By::Key => false,
                    By::Address(address) => {
                        self.hold(key).is_none_or(|hold| hold.address != *address)
                    }
                };
                (failure.status == Status::STALE && (stale || others))
                    || (elsewhere && is_of_a_guest(operation, failure))
            }
            (Operation::Label { key, label, .. }, Item::Updated(now)) => {
                !stale && self.labelled(key, label, now)
            }
            (Operation::Label { .. }, Item::Failed(failure)) => {
                stale && failure.status == Status::STALE
            }
            _ => false,
        }
    }

    fn took(&mut self, key: &Key, got: &AllocatedAddress, span: Span) -> bool {
        let length = match got.address.is_ipv4() {
            true if key.network == POOLED => POOLED_LENGTH,
            true => 32,
            false => 128,
        };
        let fits = got.slot == key.slot && got.length == length;
        self.holds(key, got.address, got.revision, got.repeated, span) && fits
    }

    /// A port has one address of each family; all of it is new, or all of it was there.
    fn made_port(&mut self, key: &Key, port: &Port, span: Span) -> bool {
        let keys = [*key, key.second()];
        let mut fits = port.port_id == port_of(key) && port.fixed_ips.len() == keys.len();
        for (key, got) in keys.iter().zip(&port.fixed_ips) {
            fits &= got.slot == key.slot;
            fits &= self.holds(key, got.ip_address, got.revision, port.repeated, span);
        }
        fits
    }

    /// A key holds this, as it did before if it is repeated.
    fn holds(
        &mut self,
        key: &Key,
        address: IpAddr,
        revision: Revision,
        repeated: bool,
        span: Span,
    ) -> bool {
        if let Some(hold) = self.hold(key) {
            return (address, revision) == (hold.address, hold.revision) && repeated;
        }
        self.begin(key, Hold { address, revision, label: None }, span);
        !repeated
    }

    /// A key holds something new.
    fn begin(&mut self, key: &Key, hold: Hold, span: Span) {
        let (address, revision) = (hold.address, hold.revision);
        let key = *key;
        let Span { sent, answered } = span;
        self.grants.push(Grant { key, address, revision, sent, answered });
        self.tenures.push(Tenure { key, address, revision, from: answered, until: u64::MAX });
        let uses = self.uses.entry(key.network).or_default();
        uses.taken.push(Possible { from: sent, until: u64::MAX });
        self.open.insert(key, (self.tenures.len() - 1, uses.taken.len() - 1));
        self.known.insert(key, Some(hold));
    }

    /// A key holds nothing any more.
    fn dropped(&mut self, key: &Key, span: Span) {
        if let Some((tenure, taken)) = self.open.remove(key) {
            self.tenures[tenure].until = span.sent.min(self.tenures[tenure].until);
            if let Some(uses) = self.uses.get_mut(&key.network) {
                uses.taken[taken].until = span.answered;
            }
        }
        self.known.insert(*key, None);
    }

    fn labelled(&mut self, key: &Key, label: &str, now: &Allocation) -> bool {
        let Some(Some(hold)) = self.known.get_mut(key) else { return false };
        hold.label = Some(label.to_owned());
        now.label.as_deref() == Some(label)
            && (now.address, now.revision) == (hold.address, hold.revision)
    }

    fn refused(&mut self, key: &Key, failure: &Failure, span: Span) -> bool {
        let Span { sent, answered } = span;
        match failure.status {
            Status::EXHAUSTED => {
                let uses = self.uses.entry(key.network).or_default();
                uses.claims.push(Exhausted { sent, answered });
                self.hold(key).is_none()
            }
            Status::ADDRESS_TAKEN | Status::ADDRESS_RESTING | Status::KEY_IN_USE => true,
            _ => false,
        }
    }

    /// Enters what a list showed after the server that may have got `unknown` was gone: its
    /// requests are settled, one way or the other.
    pub(crate) fn settle(
        &mut self,
        unknown: &[(Unknown, u64)],
        listed: &BTreeMap<Key, Hold>,
        listed_at: u64,
    ) {
        for (request, sent) in unknown {
            for change in &request.changes {
                self.settle_change(change, listed.get(&change.key()), *sent, listed_at);
            }
        }
    }

    fn settle_change(&mut self, change: &Change, found: Option<&Hold>, sent: u64, listed_at: u64) {
        let key = change.key();
        let span = Span { sent, answered: listed_at };
        match (change, found) {
            (Change::Take { .. }, Some(hold)) => self.begin(&key, hold.clone(), span),
            (Change::Take { .. }, None) => {
                self.known.insert(key, None);
                // It may have taken an address before the crash.
                let uses = self.uses.entry(key.network).or_default();
                uses.taken.push(Possible { from: sent, until: listed_at });
            }
            (Change::Drop { .. }, None) => self.dropped(&key, span),
            (Change::Drop { .. }, Some(hold)) => self.still_held(&key, hold, span),
            (Change::Label { .. }, found) => {
                self.known.insert(key, found.cloned());
            }
        }
    }

    /// A release was sent and is not in: the certain tenure ended, and another one begins where
    /// the list showed it.
    fn still_held(&mut self, key: &Key, hold: &Hold, span: Span) {
        if let Some((tenure, _)) = self.open.get_mut(key) {
            self.tenures[*tenure].until = span.sent;
            let again =
                Tenure { from: span.answered, until: u64::MAX, ..self.tenures[*tenure].clone() };
            self.tenures.push(again);
            *tenure = self.tenures.len() - 1;
        }
        self.known.insert(*key, Some(hold.clone()));
    }
}
