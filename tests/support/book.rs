//! The book that a client keeps: what it holds for certain, the history that led there, and every
//! answer that breaks a promise. Sends nothing.

use super::history::{Exhausted, Grant, Possible, Tenure};
use super::line::Answer;
use super::operation::Operation;
use super::state::{Change, Hold, Key, Listed, Unknown};
use super::terms::{End, Host, Known, MS};
use addrd_client::protocol::message::{
    Allocated, Allocation, BatchResult, EndedHost, Failure, HoldEnded, Port, Released, Renewed,
    RenewedHost, Reply,
};
use addrd_client::protocol::{NetworkId, Retry, Revision};
use std::collections::{BTreeMap, BTreeSet};

/// How long after its client was told that a lease is over its address may be taken still, ms: an idle server takes
/// a second, a busy one that is started again some more.
const ENDS_LATE_MS: u64 = 10_000;

/// When a request was sent and its answer was there, in ns of one clock.
#[derive(Clone, Copy, Debug, Default)]
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
    pub(crate) known: Known,
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
    pub(crate) figures: Figures,
    /// Items of the answer at hand that break one.
    pub(super) wrong: Vec<String>,
    /// Holds that ran out, whose addresses rest for them still while their keys have others.
    pub(crate) left: BTreeSet<(Key, Revision)>,
    /// Holds that ran out or were freed before.
    pub(crate) freed: BTreeSet<(Key, Revision)>,
    /// The tenure and the possible use that each key's hold opened.
    open: BTreeMap<Key, (usize, usize)>,
    /// When the lease of each key ends by what was asked for last, without a grace that answers may show.
    pub(super) asked: BTreeMap<Key, u64>,
}

/// How often something was seen that takes its time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) renewed: u64,
    /// Leases, holds and what followed hosts that were seen to be over.
    pub(crate) ended: u64,
    pub(crate) confirmed: u64,
    /// Of these behind their end.
    pub(crate) late: u64,
    pub(crate) cancelled: u64,
    /// Releases that were held and confirmed.
    pub(crate) released: u64,
    /// Renewals of hosts, and ends of them that the client asked for.
    pub(crate) hosts: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.renewed += other.renewed;
        self.ended += other.ended;
        self.confirmed += other.confirmed;
        self.late += other.late;
        self.cancelled += other.cancelled;
        self.released += other.released;
        self.hosts += other.hosts;
    }
}

/// What one item came to.
pub(crate) enum Item<'a> {
    Allocated(&'a Allocated),
    Released(&'a Released),
    NotHeld,
    Updated(&'a Allocation),
    Port(&'a Port),
    PortDeleted,
    Renewed(&'a Renewed),
    HoldEnded(&'a HoldEnded),
    HostRenewed(&'a RenewedHost),
    HostEnded(&'a EndedHost),
    Failed(&'a Failure),
}

impl<'a> Item<'a> {
    pub(crate) fn of_result(result: &'a BatchResult) -> Self {
        match result {
            BatchResult::Allocated(allocated) => Self::Allocated(allocated),
            BatchResult::Released(released) => Self::Released(released),
            BatchResult::NotHeld => Self::NotHeld,
            BatchResult::Updated(allocation) => Self::Updated(allocation),
            BatchResult::Failed(failure) => Self::Failed(failure),
            BatchResult::Port(port) => Self::Port(port),
            BatchResult::PortDeleted => Self::PortDeleted,
            BatchResult::Renewed(renewed) => Self::Renewed(renewed),
            BatchResult::HoldEnded(ended) => Self::HoldEnded(ended),
        }
    }

    fn of_answer(answer: &'a Answer) -> Option<Self> {
        Some(match answer {
            Ok(Reply::Allocated(allocated)) => Self::Allocated(allocated),
            Ok(Reply::Released(released)) => Self::Released(released),
            Ok(Reply::Empty) => Self::NotHeld,
            Ok(Reply::Port(port)) => Self::Port(port),
            Ok(Reply::Allocation(allocation)) => Self::Updated(allocation),
            Ok(Reply::Renewed(renewed)) => Self::Renewed(renewed),
            Ok(Reply::HoldEnded(ended)) => Self::HoldEnded(ended),
            Ok(Reply::RenewedHost(renewed)) => Self::HostRenewed(renewed),
            Ok(Reply::EndedHost(ended)) => Self::HostEnded(ended),
            Err(failure) => Self::Failed(failure),
            Ok(_) => return None,
        })
    }
}

impl Book {
    /// What a key holds as far as is known; not what is over.
    pub(crate) fn hold(&self, key: &Key) -> Option<&Hold> {
        self.known.hold(key).filter(|hold| !hold.ended)
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
        let before: Vec<_> = operation
            .changes(&self.known, span)
            .iter()
            .map(|change| self.known.hold(&change.key()).cloned())
            .collect();
        let host = self.known.host;
        let lawful = match operation {
            Operation::Batch { .. } | Operation::Transaction { .. } => {
                self.batch(operation, answer, span)
            }
            single => match Item::of_answer(answer) {
                Some(item) => self.item(single, &item, span),
                None => false,
            },
        };
        if !lawful {
            let wrong = std::mem::take(&mut self.wrong);
            let finding = format!(
                "not a lawful answer: {wrong:?} {operation:?} got {answer:?} at {span:?}; held {before:?}, {host:?}"
            );
            self.findings.push(finding);
        }
    }

    /// A key holds something new.
    pub(crate) fn begin(&mut self, key: &Key, hold: Hold, span: Span) {
        let (address, revision) = (hold.address, hold.revision);
        let key = *key;
        let Span { sent, answered } = span;
        self.grants.push(Grant { key, address, revision, sent, answered });
        let former = self.known.hold(&key);
        let is_left =
            |former: &&Hold| matches!(former.end, End::Held(_)) && former.address != address;
        if let Some(former) = former.filter(is_left) {
            self.left.insert((key, former.revision));
        }
        let until = self.known.until(&hold);
        self.tenures.push(Tenure { key, address, revision, from: answered, until });
        let uses = self.uses.entry(key.network).or_default();
        uses.taken.push(Possible { from: sent, until: u64::MAX, ended: None });
        self.open.insert(key, (self.tenures.len() - 1, uses.taken.len() - 1));
        self.known.keys.insert(key, Some(hold));
    }

    /// A key holds nothing any more.
    pub(crate) fn dropped(&mut self, key: &Key, span: Span) {
        if let Some((tenure, taken)) = self.open.remove(key) {
            self.tenures[tenure].until = span.sent.min(self.tenures[tenure].until);
            if let Some(uses) = self.uses.get_mut(&key.network) {
                let taken = &mut uses.taken[taken];
                (taken.until, taken.ended) = (span.answered, None);
            }
        }
        self.known.keys.insert(*key, None);
    }

    /// The time of what a key holds is over, as was told at a moment. What a hold leaves rests.
    pub(crate) fn is_over(&mut self, key: &Key, told: u64) {
        let Some(Some(hold)) = self.known.keys.get_mut(key) else { return };
        if std::mem::replace(&mut hold.ended, true) {
            return;
        }
        self.figures.ended += 1;
        let ended = Some((hold.address, hold.revision));
        let does_rest = matches!(hold.end, End::Held(_));
        if let (false, Some((_, taken))) = (does_rest, self.open.get(key)) {
            let taken = &mut self.uses.entry(key.network).or_default().taken[*taken];
            (taken.until, taken.ended) = (told.saturating_add(ENDS_LATE_MS * MS), ended);
        }
    }

    /// What a key holds goes on as `change` says: the same life, so nobody else had it in between.
    pub(crate) fn goes_on(&mut self, key: &Key, change: impl FnOnce(&mut Hold)) {
        let Some(Some(hold)) = self.known.keys.get_mut(key) else { return };
        // What followed a former life of the host may go on by grace, and then ends.
        hold.ended &= hold.end == End::Host;
        change(hold);
        if let Some((_, taken)) = self.open.get(key) {
            let taken = &mut self.uses.entry(key.network).or_default().taken[*taken];
            (taken.until, taken.ended) = (u64::MAX, None);
        }
        self.refresh(key);
    }

    /// The certain time of a hold is as long as is known now.
    fn refresh(&mut self, key: &Key) {
        if let (Some(hold), Some((tenure, _))) = (self.known.hold(key), self.open.get(key)) {
            self.tenures[*tenure].until = self.known.until(hold);
        }
    }

    /// What a key holds may have been over from then on.
    fn shorten(&mut self, key: &Key, until: u64) {
        if let Some((tenure, _)) = self.open.get(key) {
            let tenure = &mut self.tenures[*tenure];
            tenure.until = tenure.until.min(until);
        }
    }

    /// The host's lease is so from now on, and what follows it goes on.
    pub(crate) fn host_is(&mut self, host: Host) {
        self.known.host = Some(host);
        for key in self.known.followers() {
            self.refresh(&key);
        }
    }

    /// The host's lease is over, and with it what followed.
    pub(crate) fn host_is_over(&mut self, span: Span) {
        for key in self.known.followers() {
            self.shorten(&key, span.sent);
            self.is_over(&key, span.answered);
        }
        self.known.host = None;
    }

    /// The host's lease is gone, and what followed it stays.
    pub(crate) fn host_is_gone(&mut self) {
        for key in self.known.followers() {
            self.goes_on(&key, |hold| hold.end = End::Never);
        }
        self.known.host = None;
    }

    /// Enters what a list showed after the server that may have got `unknown` was gone: its
    /// requests are settled, one way or the other.
    pub(crate) fn settle(&mut self, number: u64, unknown: &[(Unknown, u64)], listed: &Listed) {
        // What still follows when there is no lease any more goes on by grace alone.
        let host = listed.hosts.get(&number).copied();
        let changes: BTreeMap<Key, (&Change, u64)> = unknown
            .iter()
            .flat_map(|(request, sent)| {
                request.changes.iter().map(|change| (change.key(), (change, *sent)))
            })
            .collect();
        let known: Vec<Key> = self.known.keys.keys().copied().collect();
        self.known.host = host;
        for key in known.into_iter().filter(|key| !changes.contains_key(key)) {
            self.found(&key, listed);
        }
        for (key, (change, sent)) in changes {
            let span = Span { sent, answered: listed.span(&key).answered };
            self.settle_change(change, listed, span);
        }
        for key in self.known.followers() {
            if host.is_none() {
                self.goes_on(&key, |hold| (hold.end, hold.until) = (End::Lease, 0));
                self.is_over(&key, listed.span(&key).answered);
            } else {
                self.refresh(&key);
            }
        }
    }

    /// Nothing was asked of a key but what was answered.
    fn found(&mut self, key: &Key, listed: &Listed) {
        match listed.hold(key) {
            Some(found) => self.goes_on(key, |hold| hold.until = hold.until.max(found.until)),
            None => self.is_over(key, listed.span(key).answered),
        }
    }

    fn settle_change(&mut self, change: &Change, listed: &Listed, span: Span) {
        let key = change.key();
        match (change, listed.hold(&key)) {
            (Change::Take { term, before, .. }, Some(found)) => {
                if *before == Some(found.revision) {
                    return self.found(&key, listed);
                }
                self.is_over(&key, span.answered);
                let end = term.token().map_or(found.end, |token| End::Held(Some(token)));
                self.begin(&key, Hold { end, ..found.clone() }, span);
            }
            (Change::Take { .. }, None) => {
                match self.known.hold(&key) {
                    Some(_) => self.is_over(&key, span.answered),
                    None => drop(self.known.keys.insert(key, None)),
                }
                // It may have taken an address before the crash.
                let uses = self.uses.entry(key.network).or_default();
                uses.taken.push(Possible { from: span.sent, until: span.answered, ended: None });
            }
            (Change::Drop { .. }, None) => self.gone(&key, span),
            (Change::Drop { .. }, Some(found)) => self.still_held(&key, found, span),
            (_, None) => {
                if let Change::Renew { until, .. } = change {
                    self.shorten(&key, *until);
                }
                self.is_over(&key, span.answered);
            }
            (change, Some(found)) => {
                let found = found.clone();
                self.goes_on(&key, |hold| {
                    hold.label.clone_from(&found.label);
                    hold.until = found.until;
                    match change {
                        // The list doesn't tell the token.
                        Change::Confirm { .. } | Change::Loosen { .. } => {
                            let is_done = found.end == End::Never;
                            hold.end = if is_done { End::Never } else { hold.end };
                        }
                        Change::Mark { mark, .. } => hold.mark = Some(*mark),
                        _ => {}
                    }
                });
            }
        }
    }

    /// A release was sent, and a list shows nothing.
    fn gone(&mut self, key: &Key, span: Span) {
        let hold = self.known.hold(key);
        let rests = hold.filter(|hold| {
            matches!(hold.end, End::Held(_)) && self.known.may_be_over(hold, span.answered)
        });
        let Some(revision) = rests.map(|hold| hold.revision) else {
            return self.dropped(key, span);
        };
        self.freed.insert((*key, revision));
        self.shorten(key, span.sent);
        self.is_over(key, span.answered);
    }

    /// A release was sent and is not in: the certain tenure ended, and another one begins where
    /// the list showed it.
    fn still_held(&mut self, key: &Key, found: &Hold, span: Span) {
        if let Some((tenure, _)) = self.open.get_mut(key) {
            self.tenures[*tenure].until = span.sent.min(self.tenures[*tenure].until);
            let again =
                Tenure { from: span.answered, until: u64::MAX, ..self.tenures[*tenure].clone() };
            self.tenures.push(again);
            *tenure = self.tenures.len() - 1;
        }
        let (label, until) = (found.label.clone(), found.until);
        self.goes_on(key, |hold| (hold.label, hold.until) = (label, until));
    }
}
