//! What a client may believe about what it holds, and the comparison of that with what the
//! server lists after a crash (I2, I3). Pure: no socket, no clock.

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
}

/// One change to one key that a request would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The key, free before, holds some address. `sure`: nothing lawful could have refused it.
    Take { key: Key, sure: bool },
    /// The key, held before, is free.
    Drop { key: Key },
    /// The key keeps what it holds under a label that was never used before.
    Label { key: Key, label: String },
}

/// A request whose reply never came.
#[derive(Clone, Debug)]
pub(crate) struct Unknown {
    pub(crate) network: NetworkId,
    /// What it would change: in one journal batch, so all of it is in or nothing.
    pub(crate) changes: Vec<Change>,
    /// A lawful refusal of one change undoes all.
    pub(crate) all_or_nothing: bool,
}

/// Whether a request of unknown outcome is in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    In,
    Out,
    /// Nothing can be told: it was in and refused, or not in.
    Open,
}

/// Compares all keys that were touched with what is listed.
///
/// `known`: what each key holds for certain; keys of `unknown` requests are judged by those
/// instead. `unknown`: for each connection its requests without reply, in the order sent.
/// Returns a line for each broken promise.
pub(crate) fn compare(
    known: &BTreeMap<Key, Option<Hold>>,
    unknown: &[Vec<Unknown>],
    listed: &BTreeMap<Key, Hold>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let mut open: BTreeMap<Key, Vec<&Change>> = BTreeMap::new();
    for request in unknown.iter().flatten() {
        for change in &request.changes {
            open.entry(change.key()).or_default().push(change);
        }
    }
    for (key, hold) in known {
        let found = listed.get(key);
        let fits = match open.get(key) {
            None => found == hold.as_ref(),
            Some(changes) => fits_one_of(hold.as_ref(), changes, found),
        };
        if !fits {
            findings.push(finding(key, hold.as_ref(), open.get(key), found));
        }
    }
    for (key, hold) in listed {
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

/// Keys are touched by at most one request without reply; more would be judged wrongly.
fn fits_one_of(before: Option<&Hold>, changes: &[&Change], found: Option<&Hold>) -> bool {
    assert_eq!(changes.len(), 1, "the workload has one request in flight for a key");
    if found == before {
        return true;
    }
    match (changes[0], before, found) {
        (Change::Take { .. }, None, Some(hold)) => hold.label.is_none(),
        (Change::Drop { .. }, Some(_), None) => true,
        (Change::Label { label, .. }, Some(before), Some(found)) => {
            (found.address, found.revision) == (before.address, before.revision)
                && found.label.as_ref() == Some(label)
        }
        _ => false,
    }
}

impl Change {
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Take { key, .. } | Self::Drop { key } | Self::Label { key, .. } => *key,
        }
    }

    /// Whether it is in.
    pub(crate) fn verdict(&self, listed: &BTreeMap<Key, Hold>) -> Verdict {
        let found = listed.get(&self.key());
        let is_in = match self {
            Self::Take { .. } => found.is_some(),
            Self::Drop { .. } => found.is_none(),
            Self::Label { label, .. } => {
                found.is_some_and(|hold| hold.label.as_ref() == Some(label))
            }
        };
        match (is_in, self) {
            (true, _) => Verdict::In,
            (false, Self::Take { sure: false, .. }) => Verdict::Open,
            (false, _) => Verdict::Out,
        }
    }
}

impl Unknown {
    /// Whether the request is in, judged by what it would have changed.
    pub(crate) fn verdict(&self, listed: &BTreeMap<Key, Hold>) -> Verdict {
        if self.changes.is_empty() {
            return Verdict::Open;
        }
        let verdicts = || self.changes.iter().map(|change| change.verdict(listed));
        if verdicts().any(|verdict| verdict == Verdict::In) {
            Verdict::In
        } else if verdicts().any(|verdict| verdict == Verdict::Open) {
            Verdict::Open
        } else {
            Verdict::Out
        }
    }
}

/// A request is one journal batch: part of it is never in (P6).
fn whole_requests(connection: &[Unknown], listed: &BTreeMap<Key, Hold>) -> Vec<String> {
    let halves = connection.iter().filter(|request| {
        let verdicts: Vec<Verdict> =
            request.changes.iter().map(|change| change.verdict(listed)).collect();
        let has = |verdict: Verdict| verdicts.contains(&verdict);
        let lacks = has(Verdict::Out) || (request.all_or_nothing && has(Verdict::Open));
        has(Verdict::In) && lacks
    });
    halves.map(|request| format!("half a request is in: {request:?}")).collect()
}

/// On one network what a connection sent is applied in order: a request that is in has nothing
/// before it that is not (I3).
fn prefix_only(connection: &[Unknown], listed: &BTreeMap<Key, Hold>) -> Vec<String> {
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
