//! What a client may believe about what it holds, and the comparison of that with what the
//! server lists after a crash (I2, I3). Pure: no socket, no clock.

use super::book::Span;
use super::terms::{End, Host, Mark, Term, is_over};
use addrd_client::protocol::message::OnEnd;
use addrd_client::protocol::{NetworkId, OwnerId, ProjectId, Revision, Slot};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Of another project than the network's: a guest's.
    pub(crate) project: ProjectId,
    pub(crate) network: NetworkId,
    pub(crate) owner: OwnerId,
    pub(crate) slot: Slot,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) address: IpAddr,
    pub(crate) revision: Revision,
    pub(crate) label: Option<String>,
    pub(crate) end: End,
    /// Of a lease or hold of its own: it goes on until then at least.
    pub(crate) until: u64,
    /// It was told that its time is over, or it looked so. A server that grants grace may still show it.
    pub(crate) ended: bool,
    /// A release of it is held, or may be.
    pub(crate) mark: Option<Mark>,
}

impl Hold {
    /// One without label and end.
    pub(crate) const fn endless(address: IpAddr, revision: Revision) -> Self {
        let (label, end, until) = (None, End::Never, u64::MAX);
        Self { address, revision, label, end, until, ended: false, mark: None }
    }

    /// Whether a list shows under this hold what was so before: the same, and not for a shorter time.
    fn is_still(&self, before: &Self, span: Span) -> bool {
        let is_same = (self.address, self.revision, &self.label)
            == (before.address, before.revision, &before.label);
        let is_as_long = is_over(before.until, self.until_most(span));
        is_same && is_as_long && (before.ended || self.end.is_as(before.end))
    }

    /// When it is over at the latest, if a list says so.
    fn until_most(&self, span: Span) -> u64 {
        self.until.saturating_add(span.answered - span.sent)
    }
}

/// What lists showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) holds: BTreeMap<Key, Hold>,
    /// When each network was listed; without it everything was at 0.
    pub(crate) spans: BTreeMap<NetworkId, Span>,
    /// Leases of clients' hosts, by number, and when they were listed.
    pub(crate) hosts: BTreeMap<u64, Host>,
    pub(crate) hosts_span: Span,
}

impl Listed {
    pub(crate) fn span(&self, key: &Key) -> Span {
        self.spans.get(&key.network).copied().unwrap_or_default()
    }

    pub(crate) fn hold(&self, key: &Key) -> Option<&Hold> {
        self.holds.get(key)
    }

    /// Whether what goes on until then at least may have been over.
    fn is_over(&self, key: &Key, until: u64) -> bool {
        is_over(until, self.span(key).answered)
    }
}

impl From<BTreeMap<Key, Hold>> for Listed {
    fn from(holds: BTreeMap<Key, Hold>) -> Self {
        Self { holds, ..Self::default() }
    }
}

/// One change to one key that a request would make. `until`: what the key holds goes on until then at least,
/// with the change or without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The key holds some address: it was free, or what it had (`before`) may be over. `sure`: nothing lawful
    /// could have refused it.
    Take { key: Key, sure: bool, term: Term, until: u64, before: Option<Revision> },
    /// The key, held before, is free.
    Drop { key: Key, until: u64 },
    /// The key keeps what it holds under a label that was never used before.
    Label { key: Key, label: String, until: u64 },
    /// Its end is another.
    Renew { key: Key, until: u64 },
    /// A hold has no end any more.
    Confirm { key: Key, until: u64 },
    /// A release of it is held, or no more: nothing shows that.
    Mark { key: Key, mark: Mark, until: u64 },
    /// It follows no host any more.
    Loosen { key: Key, until: u64 },
}

/// A change of the lease of a client's host, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostChange {
    /// A life of it begins: so it is then.
    Begin(u64, Host),
    /// It goes on so.
    Renew(u64, Host),
    /// It ends. Else it goes on until then at least.
    End(u64, u64),
}

/// A request whose reply never came.
#[derive(Clone, Debug)]
pub(crate) struct Unknown {
    pub(crate) network: NetworkId,
    /// What it would change: in one journal batch, so all of it is in or nothing.
    pub(crate) changes: Vec<Change>,
    /// A lawful refusal of one change undoes all.
    pub(crate) all_or_nothing: bool,
    pub(crate) host: Option<HostChange>,
}

/// Whether a request of unknown outcome is in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    In,
    Out,
    /// It was in and refused, or not in.
    Open,
    /// Nothing can be told.
    Unseen,
}

/// Compares all keys that were touched with what is listed.
///
/// `known`: what each key holds for certain; keys of `unknown` requests are judged by those
/// instead. `unknown`: for each connection its requests without reply, in the order sent.
/// Returns a line for each broken promise.
pub(crate) fn compare(
    known: &BTreeMap<Key, Option<Hold>>,
    unknown: &[Vec<Unknown>],
    listed: &Listed,
) -> Vec<String> {
    let mut findings = Vec::new();
    let mut open: BTreeMap<Key, Vec<&Change>> = BTreeMap::new();
    for request in unknown.iter().flatten() {
        for change in &request.changes {
            open.entry(change.key()).or_default().push(change);
        }
    }
    for (key, hold) in known {
        let (found, span) = (listed.hold(key), listed.span(key));
        let fits = is_as_before(hold.as_ref(), found, span)
            || open.get(key).is_some_and(|open| is_done(hold.as_ref(), open, found, span));
        if !fits {
            findings.push(finding(key, hold.as_ref(), open.get(key), found));
        }
    }
    for (key, hold) in &listed.holds {
        let touched = known.contains_key(key) || open.contains_key(key);
        if !touched {
            findings.push(format!("held by nobody that asked: {key:?} {hold:?}"));
        }
    }
    for connection in unknown {
        findings.extend(whole_requests(connection, listed));
        findings.extend(prefix_only(connection, listed));
    }
    findings
}

fn finding(
    key: &Key,
    hold: Option<&Hold>,
    changes: Option<&Vec<&Change>>,
    found: Option<&Hold>,
) -> String {
    let what = match (changes, hold, found) {
        (Some(_), ..) => "neither once nor not at all",
        (None, Some(_), None) => "an acknowledged allocation is lost",
        (None, None, Some(_)) => "a release came back",
        _ => "not what was acknowledged",
    };
    format!("{what}: {key:?}: known {hold:?}, unknown {changes:?}, found {found:?}")
}

/// Nothing has changed but by the time.
fn is_as_before(before: Option<&Hold>, found: Option<&Hold>, span: Span) -> bool {
    match (before, found) {
        (None, None) => true,
        (Some(before), None) => is_over(before.until, span.answered),
        (Some(before), Some(found)) => found.is_still(before, span),
        (None, Some(_)) => false,
    }
}

/// Keys are touched by at most one request without reply; more would be judged wrongly.
fn is_done(before: Option<&Hold>, changes: &[&Change], found: Option<&Hold>, span: Span) -> bool {
    assert_eq!(changes.len(), 1, "the workload has one request in flight for a key");
    let change = changes[0];
    let Some(found) = found else {
        let may_be_gone = matches!(change, Change::Drop { .. });
        return may_be_gone || is_over(change.until(), span.answered);
    };
    let is_still = |as_if: Hold| found.is_still(&as_if, span);
    let Some(before) = before.cloned() else {
        return matches!(change, Change::Take { term, .. } if found.is_taken(*term));
    };
    match change {
        Change::Take { term, .. } => is_over(before.until, span.answered) && found.is_taken(*term),
        Change::Drop { .. } => false,
        Change::Label { label, .. } => is_still(Hold { label: Some(label.clone()), ..before }),
        Change::Renew { until, .. } => is_still(Hold { until: *until, ..before }),
        Change::Confirm { .. } | Change::Loosen { .. } => {
            is_still(Hold { end: End::Never, until: u64::MAX, ..before })
        }
        Change::Mark { .. } => is_still(before),
    }
}

impl Hold {
    /// Whether a list shows what was just taken so.
    fn is_taken(&self, term: Term) -> bool {
        let end = match term {
            Term::Endless => End::Never,
            Term::Lease { .. } => End::Lease,
            Term::Held { .. } => End::Held(None),
            Term::Host(_) => End::Host,
        };
        self.label.is_none() && self.end.is_as(end)
    }
}

impl Change {
    pub(crate) const fn key(&self) -> Key {
        match self {
            Self::Take { key, .. }
            | Self::Drop { key, .. }
            | Self::Label { key, .. }
            | Self::Renew { key, .. }
            | Self::Confirm { key, .. }
            | Self::Mark { key, .. }
            | Self::Loosen { key, .. } => *key,
        }
    }

    const fn until(&self) -> u64 {
        match self {
            Self::Take { until, .. }
            | Self::Drop { until, .. }
            | Self::Label { until, .. }
            | Self::Renew { until, .. }
            | Self::Confirm { until, .. }
            | Self::Mark { until, .. }
            | Self::Loosen { until, .. } => *until,
        }
    }

    /// Whether it is in.
    pub(crate) fn verdict(&self, listed: &Listed) -> Verdict {
        let found = listed.hold(&self.key());
        let may_be_over = listed.is_over(&self.key(), self.until());
        let is_in = match (self, found) {
            (Self::Renew { .. } | Self::Mark { .. }, _) => return Verdict::Unseen,
            (Self::Take { before: Some(before), .. }, found) => {
                let is_new = found.is_some_and(|found| found.revision != *before);
                return if is_new { Verdict::In } else { Verdict::Unseen };
            }
            (Self::Take { .. }, found) => found.is_some(),
            (Self::Drop { .. }, _) if may_be_over => return Verdict::Unseen,
            (Self::Drop { .. }, found) => found.is_none(),
            (_, None) => false,
            (Self::Label { label, .. }, Some(found)) => found.label.as_ref() == Some(label),
            (Self::Confirm { .. } | Self::Loosen { .. }, Some(found)) => found.end == End::Never,
        };
        match (is_in, self) {
            (true, _) => Verdict::In,
            (false, _) if may_be_over => Verdict::Unseen,
            (false, Self::Take { sure: false, .. }) => Verdict::Open,
            (false, _) => Verdict::Out,
        }
    }
}

impl Unknown {
    /// Whether the request is in, judged by what it would have changed.
    pub(crate) fn verdict(&self, listed: &Listed) -> Verdict {
        let verdicts = self.verdicts(listed);
        let has = |verdict| verdicts.contains(&verdict);
        if has(Verdict::In) {
            Verdict::In
        } else if has(Verdict::Open) || !has(Verdict::Out) || self.may_be_too_late(listed) {
            Verdict::Open
        } else {
            Verdict::Out
        }
    }

    /// Whether one of its changes may have come when what it is about was over: then all of it was refused, lawfully.
    fn may_be_too_late(&self, listed: &Listed) -> bool {
        let needs_life =
            |change: &&Change| !matches!(change, Change::Take { .. } | Change::Drop { .. });
        let mut late = self.changes.iter().filter(needs_life);
        self.all_or_nothing && late.any(|change| listed.is_over(&change.key(), change.until()))
    }

    fn verdicts(&self, listed: &Listed) -> Vec<Verdict> {
        let of_host = self.host.map(|host| host.verdict(listed));
        self.changes.iter().map(|change| change.verdict(listed)).chain(of_host).collect()
    }
}

/// A request is one journal batch: part of it is never in (P6).
fn whole_requests(connection: &[Unknown], listed: &Listed) -> Vec<String> {
    let halves = connection.iter().filter(|request| {
        let verdicts = request.verdicts(listed);
        let has = |verdict: Verdict| verdicts.contains(&verdict);
        let lacks = has(Verdict::Out) || (request.all_or_nothing && has(Verdict::Open));
        has(Verdict::In) && lacks
    });
    halves.map(|request| format!("half a request is in: {request:?}")).collect()
}

/// On one network what a connection sent is applied in order: a request that is in has nothing
/// before it that is not (I3).
fn prefix_only(connection: &[Unknown], listed: &Listed) -> Vec<String> {
    let mut findings = Vec::new();
    for (at, request) in connection.iter().enumerate() {
        if request.verdict(listed) != Verdict::In {
            continue;
        }
        let before = connection[..at].iter().filter(|other| other.network == request.network);
        for other in before.filter(|other| other.verdict(listed) == Verdict::Out) {
            findings.push(format!("{request:?} is in, and {other:?}, sent before it, is not"));
        }
    }
    findings
}

impl HostChange {
    /// Whether it is in.
    fn verdict(self, listed: &Listed) -> Verdict {
        let at = listed.hosts_span.answered;
        match self {
            Self::Begin(number, after) => match listed.hosts.get(&number) {
                Some(found) if found.life == after.life => Verdict::In,
                Some(_) => Verdict::Out,
                None => Verdict::Unseen,
            },
            Self::Renew(..) => Verdict::Unseen,
            Self::End(_, until) if is_over(until, at) => Verdict::Unseen,
            Self::End(number, _) if listed.hosts.contains_key(&number) => Verdict::Out,
            Self::End(..) => Verdict::In,
        }
    }
}

/// Compares the lease of a client's host with what is listed; what is wrong.
pub(crate) fn compare_host(
    number: u64,
    known: Option<&Host>,
    unknown: Option<HostChange>,
    listed: &Listed,
) -> Option<String> {
    let (found, span) = (listed.hosts.get(&number), listed.hosts_span);
    let fits = |known: Option<&Host>| match (known, found) {
        (None, None) => true,
        (Some(known), None) => is_over(known.ends(), span.answered),
        (Some(known), Some(found)) => {
            let until = found.until.saturating_add(span.answered - span.sent);
            let is_as_long = known.on_end == OnEnd::Report || is_over(known.until, until);
            (known.life, known.on_end) == (found.life, found.on_end) && is_as_long
        }
        (None, Some(_)) => false,
    };
    let fits_change = match unknown {
        None => false,
        Some(HostChange::End(..)) => fits(None),
        // It may have made the lease shorter or longer.
        Some(HostChange::Begin(_, after) | HostChange::Renew(_, after)) => fits(Some(&after)),
    };
    let is_lawful = fits(known) || fits_change;
    (!is_lawful)
        .then(|| format!("host {number}: known {known:?}, unknown {unknown:?}, found {found:?}"))
}
