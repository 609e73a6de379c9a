//! What all connections of a server share. Decides nothing.

use super::access::{Doorkeeper, Identity};
use super::accounts::Accounts;
use super::admission::Admission;
use super::decider::Decider;
use super::figures::CheckpointAge;
use super::mailbox::Orders;
use super::sessions::Sessions;
use super::strangers::Strangers;
use super::tls::{Chain, Standing, Tls};
use crate::access::Table;
use crate::config::{Bounds, Config};
use crate::limits;
use crate::model::Tick;
use crate::telemetry::Exporter;
use crate::telemetry::log::Log;
use crate::telemetry::reactors::Reactors;
use addrd_protocol::message::GoAwayReason;
use addrd_sync::{Allowance, Flag, Level, Serial};
use std::collections::HashMap;
use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Shared by listeners, connections, HTTP and housekeeping.
#[derive(Debug)]
pub(super) struct Shared<D> {
    pub(super) decider: D,
    pub(super) bounds: Bounds,
    pub(super) admission: Arc<Admission>,
    /// `None`: TCP addresses speak plain.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) doorkeeper: Doorkeeper,
    pub(super) strangers: Strangers,
    pub(super) sessions: Arc<Sessions>,
    pub(super) accounts: Accounts,
    pub(super) bytes_in_flight: Arc<Allowance>,
    pub(super) crowd: Crowd,
    pub(super) reactors: Reactors,
    pub(super) activity: Activity,
    pub(super) exporter: Exporter,
    /// Lines of the fullest subnets, for `/metrics`.
    pub(super) subnet_lines: Mutex<String>,
    pub(super) shows_subnets: bool,
    pub(super) log: Option<Log>,
    /// When housekeeping turned last, monotonic ns.
    pub(super) house_turned_ns: Level,
    pub(super) started: Instant,
    /// The same, monotonic ns.
    pub(super) started_ns: u64,
    pub(super) checkpoint: CheckpointAge,
    /// Only to ask how much room its disk has.
    pub(super) data_directory: PathBuf,
    /// Open connections to the HTTP address.
    pub(super) http_connections: Arc<Level>,
    pub(super) is_stopping: Flag,
    /// All connections have ended: what is left is to fold, and loops end one by one.
    pub(super) is_closed: Flag,
}

impl<D: Decider> Shared<D> {
    pub(super) fn new(
        decider: D,
        config: &Config,
        log: Option<Log>,
        http_connections: Arc<Level>,
        tls: Option<Arc<Tls>>,
        doorkeeper: Doorkeeper,
    ) -> Arc<Self> {
        let bounds = config.bounds.clone();
        Arc::new(Self {
            admission: Admission::new(&bounds),
            tls,
            doorkeeper,
            strangers: Strangers::new(limits::STRANGERS_MAX),
            accounts: Accounts::new(&bounds, limits::ACCOUNTS_MAX),
            sessions: Sessions::new(
                limits::SESSIONS_MAX,
                Duration::from_millis(limits::SESSION_KEEP_MS),
            ),
            bytes_in_flight: Arc::new(Allowance::new(bounds.bytes_in_flight_max)),
            crowd: Crowd::default(),
            reactors: Reactors::default(),
            activity: Activity::default(),
            exporter: Exporter::new(),
            subnet_lines: Mutex::default(),
            shows_subnets: config.metrics_subnets,
            log,
            house_turned_ns: Level::new(decider.clock().monotonic_ns()),
            started: Instant::now(),
            started_ns: decider.clock().monotonic_ns(),
            checkpoint: CheckpointAge::default(),
            data_directory: config.data_directory.clone(),
            http_connections,
            is_stopping: Flag::new(),
            is_closed: Flag::new(),
            decider,
            bounds,
        })
    }

    /// Time since the start, ns: the clock of rates.
    #[inline]
    pub(super) fn elapsed_ns(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The text of `/metrics`, as of the last fold.
    pub(super) fn metrics_text(&self) -> String {
        let mut text = self.exporter.render();
        text += &self.subnet_lines.lock().unwrap_or_else(PoisonError::into_inner);
        text
    }
}

/// Connections that live, so that all of them can be told to end. No more entries than connections.
#[derive(Debug)]
pub(super) struct Crowd {
    members: Mutex<HashMap<u64, Member, RandomState>>,
    serial: Serial,
}

/// A connection as all others see it.
#[derive(Debug)]
struct Member {
    orders: Orders,
    /// Whose it is, from HELLO on.
    identity: Option<Identity>,
    /// Of the certificate that it was let in by, if there is one.
    standing: Option<Standing>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { members: Mutex::default(), serial: Serial::starting_at(1) }
    }
}

impl Crowd {
    /// Adds a connection and gives it a number.
    pub(super) fn join(&self, orders: Orders, standing: Option<Standing>) -> u64 {
        let number = self.serial.next();
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, Member { orders, identity: None, standing });
        number
    }

    pub(super) fn leave(&self, number: u64) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Tells every connection to end.
    pub(super) fn close_all(&self, reason: GoAwayReason) {
        for member in self.members.lock().unwrap_or_else(PoisonError::into_inner).values() {
            member.orders.close(reason);
        }
    }

    /// Notes whose a connection is.
    pub(super) fn identify(&self, number: u64, identity: Identity) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = members.get_mut(&number) {
            member.identity = Some(identity);
        }
    }

    /// Tells connections of those to end who aren't any more who they were; says how many.
    pub(super) fn end_strangers(&self, keeper: &Doorkeeper, table: &Table, now: Tick) -> u64 {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = 0;
        for member in members.values_mut() {
            // Taken out, so that each is told once.
            let is_other = |identity: &mut Identity| !keeper.is_still(identity, table, now);
            if member.identity.take_if(is_other).is_some() {
                member.orders.close(GoAwayReason::AccessEnded);
                ended += 1;
            }
        }
        ended
    }

    /// Connections whose certificates must be judged again, no more than a bound of them.
    pub(super) fn doubtful(&self, (generation, now_seconds): (u64, u64)) -> Vec<(u64, Arc<Chain>)> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let doubtful = members.iter().filter_map(|(number, member)| {
            let standing = member.standing.as_ref()?;
            let is_doubtful = standing.is_doubtful(generation, now_seconds);
            is_doubtful.then(|| (*number, Arc::clone(&standing.chain)))
        });
        doubtful.take(limits::TLS_JUDGED_AT_ONCE_MAX).collect()
    }

    /// Notes what certificates were found to be worth, and tells connections of those that are worth nothing to end; says
    /// how many.
    pub(super) fn judged(&self, verdicts: Vec<(u64, Option<Standing>)>) -> u64 {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = 0;
        for (number, standing) in verdicts {
            let Some(member) = members.get_mut(&number) else { continue };
            if standing.is_none() {
                member.orders.close(GoAwayReason::AccessEnded);
                ended += 1;
            }
            // Without one it isn't judged again: each is told once.
            member.standing = standing;
        }
        ended
    }
}

impl<D: Decider> Shared<D> {
    /// What operators should know although every request is served: lines.
    pub(super) fn notes(&self) -> String {
        let mut notes = String::new();
        if let Some(since) = self.decider.adoption() {
            let seconds = self.decider.clock().tick().since(since) / 1_000;
            notes += &format!(
                "adoption mode for {seconds} s: nothing is chosen and no lease ends; see addrd \
                 server adopt\n"
            );
        }
        let doubt_ms = self.decider.clock().doubt_ms();
        if doubt_ms > 0 {
            notes += &format!(
                "no lease ends: the wall clock is {} s ahead and not believed; see addrd server \
                 accept-clock\n",
                doubt_ms / 1_000
            );
        }
        notes
    }
}

/// How many connections were active in the last second.
#[derive(Debug, Default)]
pub(super) struct Activity {
    second: Level,
    count: Level,
}

impl Activity {
    /// Counts a connection once a second; `seen` is its own memory of that.
    #[inline]
    pub(super) fn note(&self, seen: &mut u64) {
        let second = self.second.get() + 1;
        if *seen != second {
            *seen = second;
            self.count.add(1);
        }
    }

    /// Ends a second and returns its count.
    pub(super) fn turn(&self) -> u64 {
        let count = self.count.get();
        self.count.sub(count);
        self.second.add(1);
        count
    }
}
