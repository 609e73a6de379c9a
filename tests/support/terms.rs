//! How long something is held, as its client may count on it: leases, holds, held releases, the lease of a host.
//! Pure. Times are ns of the run's clock, counted from when a request was sent; `u64::MAX` is never.

use super::state::{Hold, Key};
use super::workload::CLOCKS_DIFFER_MS;
use addrd_client::protocol::message::{AllocationState, OnEnd};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One ms.
pub(crate) const MS: u64 = 1_000_000;
/// How long what a hold left rests for it at least, ms.
pub(crate) const HOLD_REST_MS: u64 = 600_000;

/// How long something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Endless,
    Lease {
        ms: u64,
    },
    Held {
        token: Uuid,
        ms: u64,
    },
    /// As long as the host of this number has its lease.
    Host(u64),
}

/// What ends something that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    Lease,
    /// It is held under this token. A list doesn't tell it, and has none.
    Held(Option<Uuid>),
    /// It follows its client's host.
    Host,
}

/// A release that is held under a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) token: Uuid,
    /// It can be confirmed until then at least.
    pub(crate) until: u64,
    /// False: whether it began is not known.
    pub(crate) sure: bool,
}

/// The lease of a client's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) life: u64,
    pub(crate) on_end: OnEnd,
    pub(crate) until: u64,
    /// It was told that it is over, and has released.
    pub(crate) ended: bool,
}

impl Host {
    /// Until when it goes on at least. One that reports never ends what follows it.
    pub(crate) fn ends(&self) -> u64 {
        match (self.ended, self.on_end) {
            (true, _) => 0,
            (false, OnEnd::Release) => self.until,
            (false, OnEnd::Report) => u64::MAX,
        }
    }
}

/// What a client knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// For each key that was ever used what it holds.
    pub(crate) keys: BTreeMap<Key, Option<Hold>>,
    pub(crate) host: Option<Host>,
}

impl Known {
    /// What a key holds, or held until its time was over.
    pub(crate) fn hold(&self, key: &Key) -> Option<&Hold> {
        self.keys.get(key).and_then(Option::as_ref)
    }

    /// Until when a hold goes on at least; 0 = it is over as far as is known.
    pub(crate) fn until(&self, hold: &Hold) -> u64 {
        match (hold.ended, hold.end) {
            (true, _) => 0,
            (false, End::Never) => u64::MAX,
            (false, End::Lease | End::Held(_)) => hold.until,
            (false, End::Host) => self.host.map_or(0, |host| host.ends()),
        }
    }

    /// Whether a hold may be over at a time.
    pub(crate) fn may_be_over(&self, hold: &Hold, at: u64) -> bool {
        is_over(self.until(hold), at)
    }

    /// What a key holds, if its time can't be over by then.
    pub(crate) fn sure(&self, key: &Key, at: u64) -> Option<&Hold> {
        self.hold(key).filter(|hold| !self.may_be_over(hold, at))
    }

    /// Whether the host's lease may be over at a time, or there is none.
    pub(crate) fn may_host_be_over(&self, at: u64) -> bool {
        self.host.is_none_or(|host| is_over(host.ends(), at))
    }

    /// What follows the host.
    pub(crate) fn followers(&self) -> Vec<Key> {
        let follows = |hold: &Hold| hold.end == End::Host && !hold.ended;
        let held = self.keys.iter().filter(|(_, hold)| hold.as_ref().is_some_and(follows));
        held.map(|(key, _)| *key).collect()
    }

    /// What each key holds, with its end.
    pub(crate) fn resolved(&self) -> BTreeMap<Key, Option<Hold>> {
        let until = |hold: &Hold| Hold { until: self.until(hold), ..hold.clone() };
        self.keys.iter().map(|(key, hold)| (*key, hold.as_ref().map(until))).collect()
    }
}

/// Whether what goes on until then at least may be over at a time.
pub(crate) fn is_over(until: u64, at: u64) -> bool {
    at.saturating_add(CLOCKS_DIFFER_MS * MS) >= until
}

/// When something with so much time left, asked for at `sent`, is over at the earliest.
pub(crate) fn after(sent: u64, left_ms: u64) -> u64 {
    sent.saturating_add(left_ms.saturating_mul(MS))
}

impl Term {
    /// When what is asked for now is over at the earliest.
    pub(crate) fn until(self, known: &Known, sent: u64) -> u64 {
        match self {
            Self::Endless => u64::MAX,
            Self::Lease { ms } | Self::Held { ms, .. } => after(sent, ms),
            Self::Host(_) => known.host.map_or(0, |host| host.ends()),
        }
    }

    /// What it ends with, if what was got can be so.
    pub(crate) fn end(self, state: AllocationState, left_ms: u64) -> Option<End> {
        let is_within = |ms| (1..=ms).contains(&left_ms);
        let end = match (self, state) {
            (Self::Endless, AllocationState::Allocated) if left_ms == 0 => End::Never,
            (Self::Lease { ms }, AllocationState::Allocated) if is_within(ms) => End::Lease,
            (Self::Held { token, ms }, AllocationState::Held) if is_within(ms) => {
                End::Held(Some(token))
            }
            (Self::Host(_), AllocationState::Allocated) => End::Host,
            _ => return None,
        };
        Some(end)
    }

    /// The token under which it is asked for.
    pub(crate) fn token(self) -> Option<Uuid> {
        match self {
            Self::Held { token, .. } => Some(token),
            _ => None,
        }
    }
}

impl End {
    /// Whether a list that shows `self` shows what has this end.
    pub(crate) fn is_as(self, known: Self) -> bool {
        match (self, known) {
            (Self::Held(_), Self::Held(_)) => true,
            (found, known) => found == known,
        }
    }
}
