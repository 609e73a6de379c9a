//! Checkers of recorded histories: no double allocation (I1), revisions that never repeat and
//! only rise (I7), exhaustion that was true (I5). Pure: times are numbers, in ns of one clock.

use super::state::Key;
use addrd_client::protocol::{NetworkId, Revision};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A key certainly held an address from `from` (the answer, or a list that showed it) until
/// `until` (its release was sent first). `u64::MAX`: still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) key: Key,
    pub(crate) address: IpAddr,
    pub(crate) revision: Revision,
    pub(crate) from: u64,
    pub(crate) until: u64,
}

/// A new allocation was asked for at `sent` and known at `answered`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) key: Key,
    pub(crate) address: IpAddr,
    pub(crate) revision: Revision,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

/// Some address of a network was possibly taken from `from` (asked for) until `until` (known to
/// be free again, or `u64::MAX`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Possible {
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// What it was, if its time ended: freed by `until`, and by the next grant of the address.
    pub(crate) ended: Option<(IpAddr, Revision)>,
}

/// What ended by its time was free again when somebody else had the address.
///
/// `grants`: those of the same network.
pub(crate) fn close_ended(taken: &mut [Possible], grants: &[&Grant]) {
    let mut next: BTreeMap<IpAddr, Vec<&Grant>> = BTreeMap::new();
    for grant in grants {
        next.entry(grant.address).or_default().push(grant);
    }
    for one in taken {
        let Some((address, revision)) = one.ended else { continue };
        let later = next.get(&address).into_iter().flatten();
        let later = later.filter(|grant| grant.revision > revision).map(|grant| grant.answered);
        one.until = one.until.min(later.min().unwrap_or(u64::MAX));
    }
}

/// `EXHAUSTED` was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

/// Pairs of certain tenures of one address that overlap (I1).
pub(crate) fn double_allocations(tenures: &[Tenure]) -> Vec<String> {
    let mut places: BTreeMap<(NetworkId, IpAddr), Vec<&Tenure>> = BTreeMap::new();
    for tenure in tenures.iter().filter(|tenure| tenure.from < tenure.until) {
        places.entry((tenure.key.network, tenure.address)).or_default().push(tenure);
    }
    let mut findings = Vec::new();
    for ((_, address), mut tenures) in places {
        tenures.sort_by_key(|tenure| tenure.from);
        let mut longest: Option<&Tenure> = None;
        for tenure in tenures {
            if let Some(before) = longest.filter(|before| before.until > tenure.from) {
                findings.push(format!("{address} was held twice: {before:?} and {tenure:?}"));
            }
            if longest.is_none_or(|longest| longest.until < tenure.until) {
                longest = Some(tenure);
            }
        }
    }
    findings
}

/// Addresses of a network that somebody else had sooner after their release than they rest there.
///
/// Units: `rest_ns`, less what clocks that count ms may differ by.
pub(crate) fn early_reuse(tenures: &[Tenure], network: NetworkId, rest_ns: u64) -> Vec<String> {
    let mut places: BTreeMap<IpAddr, Vec<&Tenure>> = BTreeMap::new();
    for tenure in tenures.iter().filter(|tenure| tenure.key.network == network) {
        places.entry(tenure.address).or_default().push(tenure);
    }
    let mut findings = Vec::new();
    for (address, mut tenures) in places {
        tenures.sort_by_key(|tenure| tenure.from);
        for pair in tenures.windows(2) {
            let (before, next) = (pair[0], pair[1]);
            let is_other = before.key != next.key;
            if is_other && next.from < before.until.saturating_add(rest_ns) {
                findings.push(format!("{address} did not rest: {before:?} and {next:?}"));
            }
        }
    }
    findings
}

/// Revisions of a network that were given out twice, or fell from one grant to a later one.
pub(crate) fn revisions(grants: &[Grant]) -> Vec<String> {
    let mut networks: BTreeMap<NetworkId, Vec<&Grant>> = BTreeMap::new();
    for grant in grants {
        networks.entry(grant.key.network).or_default().push(grant);
    }
    let mut findings = Vec::new();
    for grants in networks.values() {
        let mut seen: BTreeMap<Revision, &Grant> = BTreeMap::new();
        for grant in grants {
            if let Some(other) = seen.insert(grant.revision, grant) {
                findings.push(format!("one revision twice: {other:?} and {grant:?}"));
            }
        }
        findings.extend(falling(grants));
    }
    findings
}

/// A grant that was asked for after another one was answered has the higher revision.
fn falling(grants: &[&Grant]) -> Vec<String> {
    let mut by_answer = grants.to_vec();
    by_answer.sort_by_key(|grant| grant.answered);
    let mut by_sending = grants.to_vec();
    by_sending.sort_by_key(|grant| grant.sent);
    let mut answered = by_answer.into_iter().peekable();
    let mut highest: Option<&Grant> = None;
    let mut findings = Vec::new();
    for grant in by_sending {
        while let Some(before) = answered.next_if(|before| before.answered < grant.sent) {
            if highest.is_none_or(|highest| highest.revision < before.revision) {
                highest = Some(before);
            }
        }
        if let Some(before) = highest.filter(|highest| highest.revision > grant.revision) {
            findings.push(format!("a later revision is lower: {before:?} and {grant:?}"));
        }
    }
    findings
}

/// Claims of exhaustion during which fewer than `size` addresses can have been taken (I5).
pub(crate) fn false_exhaustion(
    size: usize,
    taken: &[Possible],
    claims: &[Exhausted],
) -> Vec<String> {
    let mut changes: Vec<(u64, i64)> = Vec::with_capacity(taken.len() * 2);
    for one in taken {
        changes.push((one.from, 1));
        changes.push((one.until, -1));
    }
    // At one moment what begins counts before what ends: that favours the server.
    changes.sort_by_key(|(at, step)| (*at, -step));
    let mut counts: Vec<(u64, i64)> = Vec::with_capacity(changes.len() + 1);
    counts.push((0, 0));
    let mut count = 0;
    for (at, step) in changes {
        count += step;
        counts.push((at, count));
    }
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let highest = |claim: &Exhausted| {
        let first = counts.partition_point(|(at, _)| *at < claim.sent).saturating_sub(1);
        let end = counts.partition_point(|(at, _)| *at <= claim.answered);
        counts[first..end].iter().map(|(_, count)| *count).max().unwrap_or(0)
    };
    let wrong = claims.iter().filter(|claim| highest(claim) < size);
    wrong
        .map(|claim| format!("{claim:?}: at most {} of {size} were taken", highest(claim)))
        .collect()
}
