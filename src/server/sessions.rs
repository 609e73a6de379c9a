//! Lanes: at most one live connection a session, and none takes over before what the older one has
//! pushed is decided (SPEC.md section 5). Reads no clock, answers nobody.

use super::mailbox::Orders;
use crate::model::SessionId;
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::GoAwayReason;
use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a session is known by: nobody takes over the lane of another principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    /// Number of the principal; 0 = whoever is none.
    pub(super) principal: u32,
    /// Chosen by the client.
    pub(super) id: SessionId,
}

/// All sessions of the server.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    sessions_max: usize,
    keep: Duration,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<SessionKey, Entry, RandomState>,
    /// Sessions without a connection, about in the order in which they are forgotten; each session
    /// stands here at most once.
    leaving: VecDeque<(Instant, SessionKey)>,
    /// How many each principal has.
    counts: HashMap<u32, usize, RandomState>,
}

#[derive(Debug)]
struct Entry {
    epoch: u64,
    /// The connection that has the lane.
    live: Option<Orders>,
    /// Ends when all that connections of this session have pushed is decided.
    passed: Passed,
    /// When its last connection ended.
    left: Option<Instant>,
    is_leaving: bool,
}

/// A lane of a connection: tells the table when the connection is gone.
#[derive(Debug)]
pub(super) struct Lane {
    sessions: Arc<Sessions>,
    session: SessionKey,
    epoch: u64,
    /// Dropped when what this connection and those before it have pushed is decided.
    passing: Option<watch::Sender<()>>,
}

/// Ends when the older connections of a session have nothing left that could be decided.
#[derive(Clone, Debug)]
pub(super) struct Passed(watch::Receiver<()>);

/// Why a connection does not get its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLane {
    /// The epoch is not higher than the last one, which is this.
    Stale(u64),
    /// As many sessions as the table may hold were alive within the last minutes.
    Full,
}

impl Sessions {
    pub(super) fn new(sessions_max: usize, keep: Duration) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), sessions_max, keep })
    }

    /// Gives the lane to a connection and tells the older one to end. The caller then waits for
    /// [`Passed`] before it applies anything, and keeps the lane until it ends, even if that wait
    /// was in vain.
    ///
    /// # Errors
    /// [`NoLane`]; nothing is changed.
    pub(super) fn claim(
        self: &Arc<Self>,
        session: SessionKey,
        epoch: u64,
        orders: Orders,
        now: Instant,
    ) -> Result<(Lane, Option<Passed>), NoLane> {
        let mut table = self.lock();
        table.forget(now, self.keep);
        let (passing, passed) = watch::channel(());
        let is_full = table.entries.len() >= self.sessions_max
            || table.is_crowding(session.principal, self.sessions_max);
        let before = match table.entries.get_mut(&session) {
            Some(entry) if epoch <= entry.epoch && !is_planted(Bug::SessionEpochIgnored) => {
                return Err(NoLane::Stale(entry.epoch));
            }
            Some(entry) => {
                entry.epoch = epoch;
                entry.left = None;
                if let Some(older) = entry.live.replace(orders) {
                    older.close(GoAwayReason::SessionReplaced);
                }
                Some(std::mem::replace(&mut entry.passed, Passed(passed)))
            }
            None if is_full => return Err(NoLane::Full),
            None => {
                let (live, passed) = (Some(orders), Passed(passed));
                let entry = Entry { epoch, live, passed, left: None, is_leaving: false };
                table.entries.insert(session, entry);
                *table.counts.entry(session.principal).or_default() += 1;
                None
            }
        };
        drop(table);
        let lane = Lane { sessions: Arc::clone(self), session, epoch, passing: Some(passing) };
        Ok((lane, before.filter(|passed| !passed.is_over())))
    }

    /// Sessions remembered.
    pub(super) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// Forgets sessions whose time is over; called about once a second.
    pub(super) fn sweep(&self, now: Instant) {
        self.lock().forget(now, self.keep);
    }

    fn leave(&self, session: SessionKey, epoch: u64, now: Instant) {
        let mut table = self.lock();
        let Some(entry) = table.entries.get_mut(&session) else { return };
        if entry.epoch != epoch {
            return;
        }
        entry.live = None;
        entry.left = Some(now);
        if !std::mem::replace(&mut entry.is_leaving, true) {
            table.leaving.push_back((now + self.keep, session));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether a principal has its share of all that are remembered: it never has more than three quarters, and past
    /// half what that is by the number of principals. Who is none isn't told apart from others.
    fn is_crowding(&self, principal: u32, sessions_max: usize) -> bool {
        let own = self.counts.get(&principal).copied().unwrap_or(0);
        let share = sessions_max / 4 * 3 / self.counts.len().max(1);
        principal != 0 && self.entries.len() > sessions_max / 2 && own >= share.max(1)
    }

    /// Looks at those whose time has come, at most a few each call.
    fn forget(&mut self, now: Instant, keep: Duration) {
        for _ in 0..FORGET_MAX {
            match self.leaving.front() {
                Some((due, _)) if *due <= now => {}
                _ => return,
            }
            if let Some((_, session)) = self.leaving.pop_front() {
                self.forget_one(session, now, keep);
            }
        }
    }

    fn forget_one(&mut self, session: SessionKey, now: Instant, keep: Duration) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        entry.is_leaving = false;
        match entry.left.map(|left| left + keep) {
            // It lives again; its next end queues it.
            None => {}
            // What it pushed is not decided yet, or it lived again in between.
            Some(due) if due > now || !entry.passed.is_over() => {
                entry.is_leaving = true;
                self.leaving.push_back((due.max(now + AGAIN), session));
            }
            Some(_) => {
                self.entries.remove(&session);
                if let Some(count) = self.counts.get_mut(&session.principal) {
                    *count -= 1;
                    if *count == 0 {
                        self.counts.remove(&session.principal);
                    }
                }
            }
        }
    }
}

/// Sessions looked at in one call.
const FORGET_MAX: usize = 1_024;
/// A session that can't be forgotten yet is looked at again after this.
const AGAIN: Duration = Duration::from_secs(1);

impl Lane {
    /// All that this connection and the older ones have pushed is decided.
    pub(super) fn has_passed(&mut self) {
        self.passing = None;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.sessions.leave(self.session, self.epoch, Instant::now());
    }
}

impl Passed {
    /// Waits until it is so.
    pub(super) async fn wait(mut self) {
        // Nothing is ever sent: the end of the sender is the signal.
        while self.0.changed().await.is_ok() {}
    }

    fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::Mailbox;
    use super::*;

    #[test]
    fn a_principal_never_takes_all_the_places_of_sessions() {
        let (sessions, now) = (Sessions::new(16, Duration::from_secs(600)), Instant::now());
        let (mailbox, _letters) = Mailbox::new();
        let mut lanes = Vec::new();
        let mut claim = |principal, number: u128| {
            let id = SessionId::from_u128(number);
            let claimed = sessions.claim(SessionKey { principal, id }, 1, mailbox.orders(), now);
            claimed.map(|(lane, _)| lanes.push(lane))
        };
        for number in 1..=12 {
            assert_eq!(claim(7, number), Ok(()), "{number}");
        }
        assert_eq!(claim(7, 13), Err(NoLane::Full));
        for number in 1..=4 {
            assert_eq!(claim(8, number), Ok(()), "what it left is there for others");
        }
        assert_eq!(claim(9, 1), Err(NoLane::Full), "and no more than there may be");
        // What is forgotten counts no more.
        lanes.clear();
        sessions.sweep(now + Duration::from_secs(700));
        assert_eq!(sessions.count(), 0);
        assert!(sessions.lock().counts.is_empty());
    }

    #[test]
    fn who_is_no_principal_may_have_all_of_them() {
        let (sessions, now) = (Sessions::new(8, Duration::from_secs(600)), Instant::now());
        let (mailbox, _letters) = Mailbox::new();
        for number in 1..=8_u128 {
            let key = SessionKey { principal: 0, id: SessionId::from_u128(number) };
            assert!(sessions.claim(key, 1, mailbox.orders(), now).is_ok(), "{number}");
        }
    }
}
