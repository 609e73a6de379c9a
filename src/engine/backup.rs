//! The desk between connections that fetch a backup and the fold, which takes it: one backup at a time,
//! some blocks ahead, ended when nobody asks any more. Never waits, and reads no file.

use super::clock::Clock;
use super::fold::FoldParts;
use crate::limits::{
    BACKUP_BLOCKS_AHEAD_MAX, BACKUP_IDLE_MS, BACKUP_JOURNAL_PERCENT, BACKUP_ROW_BYTES_A_SECOND,
    BACKUP_WAIT_MS,
};
use crate::model::{Seq, Status};
use crate::store::{Backup, BlockKind, Taken};
use addrd_protocol::Text;
use addrd_protocol::message::{BackupBlock, BackupRead, Failure};
use addrd_sync::{Doorbell, Level};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Why a backup is over before its last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupOver {
    /// Nobody asked for a block for too long.
    Abandoned,
    /// The journal can't be kept for it any longer.
    Overrun,
    /// What was to be read can't be.
    Failed,
}

impl BackupOver {
    const fn told(self) -> &'static str {
        match self {
            Self::Abandoned => "nobody asked for the next block for too long",
            Self::Overrun => {
                "the journal filled up faster than the backup was fetched; try at a quieter time or \
                 from nearer by"
            }
            Self::Failed => "the state could not be read; see the log of the server",
        }
    }
}

/// What the fold is to do for a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupWork {
    /// There is none.
    Nothing,
    /// Take the next block of this one; at most so many bytes of rows a second.
    Take {
        /// Which one: another than before is begun anew.
        id: Uuid,
        /// Its rate.
        row_bytes_a_second: u64,
    },
    /// It waits for its client.
    Wait,
    /// It is whole, or over: nothing has to be kept for it any more.
    Rest,
}

/// A backup that is fetched.
#[derive(Debug)]
struct Running {
    id: Uuid,
    row_bytes_a_second: u64,
    /// When a block was asked for last, ms.
    asked_ms: u64,
    /// Number of the first block that is kept.
    first: u32,
    /// Those that wait, and the one that was given last: it may be asked for again.
    blocks: VecDeque<Bytes>,
    /// The last block is among them.
    is_whole: bool,
    /// The last block was given.
    is_fetched: bool,
    over: Option<BackupOver>,
}

/// Shared between connections and the fold.
#[derive(Debug)]
pub struct BackupDesk {
    running: Mutex<Option<Running>>,
    /// Wakes the fold.
    bell: Doorbell,
    clock: Arc<dyn Clock>,
    /// Backups that were fetched whole.
    pub fetched: Level,
    /// Backups that were over before.
    pub over: Level,
}

impl BackupDesk {
    /// Without a backup.
    #[must_use]
    pub fn new(bell: Doorbell, clock: Arc<dyn Clock>) -> Self {
        Self { running: Mutex::default(), bell, clock, fetched: Level::new(0), over: Level::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.clock.monotonic_ns() / 1_000_000
    }

    /// Whether a backup is being fetched.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.lock().as_ref().is_some_and(|running| running.is_busy())
    }

    /// Gives a block, or how long to wait for it. Block 0 under a new id begins a backup.
    ///
    /// # Errors
    /// `BACKUP_RUNNING`: another one is being fetched. `BACKUP_OVER`: this one is not, any more.
    pub fn read(&self, request: &BackupRead) -> Result<BackupBlock, Box<Failure>> {
        let now = self.now_ms();
        let mut running = self.lock();
        let known = running.as_ref().is_some_and(|running| running.id == request.backup_id);
        if !known && request.block == 0 {
            if running.as_ref().is_some_and(Running::is_busy) {
                return Err(failure(
                    Status::BACKUP_RUNNING,
                    "another backup is being fetched; one at a time",
                    RUNNING_RETRY_MS,
                ));
            }
            *running = Some(Running::new(request, now));
        }
        let found = running.as_mut().filter(|running| running.id == request.backup_id);
        let Some(found) = found else {
            let message = "this backup is not being fetched (any more); begin another one";
            return Err(failure(Status::BACKUP_OVER, message, 0));
        };
        let was_fetched = found.is_fetched;
        let answer = found.give(request.block, now);
        self.fetched.add(u64::from(found.is_fetched && !was_fetched));
        drop(running);
        self.bell.ring();
        answer
    }

    /// What the fold is to do now. Ends a backup that nobody asks for.
    #[must_use]
    pub fn work(&self) -> BackupWork {
        let now = self.now_ms();
        let mut running = self.lock();
        let Some(found) = running.as_mut() else { return BackupWork::Nothing };
        if !found.is_busy() {
            return BackupWork::Rest;
        }
        if now.saturating_sub(found.asked_ms) > BACKUP_IDLE_MS {
            self.end(found, BackupOver::Abandoned);
            return BackupWork::Rest;
        }
        if found.is_whole || found.blocks.len() >= BACKUP_BLOCKS_AHEAD_MAX {
            return BackupWork::Wait;
        }
        BackupWork::Take { id: found.id, row_bytes_a_second: found.row_bytes_a_second }
    }

    /// Takes a block of the backup `id`, unless that is over.
    pub fn put(&self, id: Uuid, block: Vec<u8>, is_last: bool) {
        let mut running = self.lock();
        if let Some(found) = running.as_mut().filter(|found| found.id == id && found.is_busy()) {
            found.blocks.push_back(block.into());
            found.is_whole = is_last;
        }
    }

    /// The backup at hand is over.
    pub fn give_up(&self, why: BackupOver) {
        if let Some(found) = self.lock().as_mut().filter(|found| found.is_busy()) {
            self.end(found, why);
        }
    }

    fn end(&self, found: &mut Running, why: BackupOver) {
        found.over = Some(why);
        found.blocks = VecDeque::new();
        self.over.add(1);
        tracing::warn!(why = why.told(), "a backup ended before it was whole");
    }
}

impl Running {
    fn new(request: &BackupRead, now: u64) -> Self {
        let row_bytes_a_second = match request.row_bytes_a_second {
            0 => BACKUP_ROW_BYTES_A_SECOND,
            asked => asked,
        };
        Self {
            id: request.backup_id,
            row_bytes_a_second,
            asked_ms: now,
            first: 0,
            blocks: VecDeque::new(),
            is_whole: false,
            is_fetched: false,
            over: None,
        }
    }

    /// Another backup has to wait for it.
    const fn is_busy(&self) -> bool {
        self.over.is_none() && !self.is_fetched
    }

    fn give(&mut self, number: u32, now: u64) -> Result<BackupBlock, Box<Failure>> {
        if let Some(over) = self.over {
            return Err(failure(Status::BACKUP_OVER, over.told(), 0));
        }
        self.asked_ms = now;
        let place = number.checked_sub(self.first).map(|place| place as usize);
        let Some(place) = place.filter(|place| *place <= self.blocks.len().min(1)) else {
            let message = "this block is not the next one, nor the one that was given last";
            return Err(failure(Status::BACKUP_OVER, message, 0));
        };
        // Who asks for a block has those before it.
        self.blocks.drain(..place);
        self.first = number;
        let Some(block) = self.blocks.front() else {
            let wait_ms = BACKUP_WAIT_MS;
            return Ok(BackupBlock { block: number, last: false, wait_ms, bytes: Bytes::new() });
        };
        let last = self.is_whole && self.blocks.len() == 1;
        self.is_fetched |= last;
        Ok(BackupBlock { block: number, last, wait_ms: 0, bytes: block.clone() })
    }
}

/// The backup that the fold takes, and when rows may be read for it again.
#[derive(Debug, Default)]
pub(super) struct BackupInWork {
    backup: Option<(Uuid, Backup)>,
    /// Rows that were read until now count until then, monotonic ns.
    rows_at_ns: u64,
}

impl BackupInWork {
    /// What the journal must keep is behind this hand-over.
    pub(super) fn taken(&self) -> Option<Seq> {
        self.backup.as_ref().map(|(_, backup)| backup.taken())
    }

    /// Time until rows may be read, ns.
    pub(super) const fn rows_in_ns(&self, now_ns: u64) -> u64 {
        self.rows_at_ns.saturating_sub(now_ns)
    }

    /// Nothing is kept for it any more.
    pub(super) fn forget(&mut self) {
        self.backup = None;
    }

    /// Takes blocks until enough are ahead or the rate is used up. `None`: there is no backup; else when
    /// to look again.
    ///
    /// Shape: at most the blocks that may be ahead.
    pub(super) fn step(&mut self, parts: &FoldParts, durable: Seq) -> Option<Duration> {
        for _ in 0..=BACKUP_BLOCKS_AHEAD_MAX {
            match parts.backups.work() {
                BackupWork::Nothing => return None,
                BackupWork::Rest => {
                    self.forget();
                    return None;
                }
                BackupWork::Wait => return self.watched(parts).then_some(LOOK_AGAIN),
                BackupWork::Take { id, row_bytes_a_second } => {
                    if self.backup.as_ref().is_none_or(|(of, _)| *of != id) {
                        let begun = parts.checkpointer.begin_backup(durable);
                        tracing::info!(position = durable.0, "a backup begins");
                        self.backup = Some((id, begun));
                    }
                    if !self.watched(parts) {
                        return None;
                    }
                    if parts.pressure.journal_percent() >= BACKUP_JOURNAL_PERCENT {
                        // The fold needs its thread for itself, else the journal fills up.
                        return Some(LOOK_AGAIN);
                    }
                    if !self.take(parts, durable, row_bytes_a_second) {
                        let wait = self.rows_in_ns(parts.clock.monotonic_ns());
                        return Some(Duration::from_nanos(wait).clamp(SHORTEST_WAIT, LOOK_AGAIN));
                    }
                }
            }
        }
        Some(SHORTEST_WAIT)
    }

    /// Whether the journal can be kept for it; else it is over.
    fn watched(&mut self, parts: &FoldParts) -> bool {
        let keeps = self.taken().is_some_and(|taken| taken < parts.checkpointer.folded());
        let is_over = keeps && parts.pressure.journal_percent() >= BACKUP_JOURNAL_PERCENT;
        if is_over {
            parts.backups.give_up(BackupOver::Overrun);
            self.forget();
        }
        !is_over
    }

    /// Takes one block; `false`: there is none for now.
    fn take(&mut self, parts: &FoldParts, durable: Seq, row_bytes_a_second: u64) -> bool {
        let now_ns = parts.clock.monotonic_ns();
        let reads_rows = self.rows_in_ns(now_ns) == 0;
        let Some((id, backup)) = &mut self.backup else { return false };
        match backup.step(&parts.checkpointer, durable, reads_rows) {
            Ok(Taken::Nothing) => false,
            Ok(Taken::Block(kind, block)) => {
                if kind == BlockKind::Rows {
                    let old = backup.old_row_bytes();
                    let cost = old.saturating_mul(NS_A_SECOND) / row_bytes_a_second.max(1);
                    self.rows_at_ns = now_ns.max(self.rows_at_ns).saturating_add(cost);
                }
                let is_last = backup.is_done();
                parts.backups.put(*id, block, is_last);
                if is_last {
                    tracing::info!(position = backup.taken().0, "a backup is taken");
                    self.forget();
                }
                true
            }
            Err(error) => {
                tracing::error!(%error, "a backup can't be read");
                parts.backups.give_up(BackupOver::Failed);
                self.forget();
                false
            }
        }
    }
}

const NS_A_SECOND: u64 = 1_000_000_000;
/// Time after which the fold looks again at a backup that waits for its client.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Time that it leaves to others at least.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Advice to who wants another backup meanwhile, ms: it takes a while.
const RUNNING_RETRY_MS: u32 = 1_000;

#[cold]
fn failure(status: Status, message: &str, retry_after_ms: u32) -> Box<Failure> {
    Box::new(Failure {
        status,
        retry_after_ms,
        item: None,
        field: None,
        message: Text::new(message).unwrap_or_default(),
        details: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FakeClock;
    use crate::model::Tick;
    use addrd_sync::doorbell;

    struct Place {
        desk: BackupDesk,
        clock: Arc<FakeClock>,
    }

    impl Place {
        fn new() -> Self {
            let clock = Arc::new(FakeClock::new(Tick(1_000)));
            let desk = BackupDesk::new(doorbell().0, Arc::clone(&clock) as Arc<dyn Clock>);
            Self { desk, clock }
        }

        fn ask(&self, id: u128, block: u32) -> Result<(Vec<u8>, bool), Status> {
            let backup_id = Uuid::from_u128(id);
            let request = BackupRead { backup_id, block, row_bytes_a_second: 0 };
            let answer = self.desk.read(&request).map_err(|failure| failure.status)?;
            assert_eq!(answer.block, block);
            assert_eq!(answer.wait_ms > 0, answer.bytes.is_empty());
            Ok((answer.bytes.to_vec(), answer.last))
        }

        fn put(&self, id: u128, block: &[u8], is_last: bool) {
            self.desk.put(Uuid::from_u128(id), block.to_vec(), is_last);
        }
    }

    const NOTHING_YET: Result<(Vec<u8>, bool), Status> = Ok((Vec::new(), false));

    #[test]
    fn blocks_come_in_order_and_the_last_one_given_comes_again() {
        let place = Place::new();
        assert_eq!(place.desk.work(), BackupWork::Nothing);
        assert_eq!(place.ask(1, 0), NOTHING_YET);
        assert!(matches!(place.desk.work(), BackupWork::Take { .. }));
        place.put(1, b"a", false);
        place.put(1, b"b", true);
        assert_eq!(place.desk.work(), BackupWork::Wait, "it is whole");
        for _ in 0..3 {
            assert_eq!(place.ask(1, 0), Ok((b"a".to_vec(), false)));
        }
        assert_eq!(place.ask(1, 2), Err(Status::BACKUP_OVER), "a block is left out");
        assert_eq!(place.ask(1, 1), Ok((b"b".to_vec(), true)));
        assert_eq!(place.ask(1, 0), Err(Status::BACKUP_OVER), "whoever asks for 1 has 0");
        assert_eq!(place.ask(1, 1), Ok((b"b".to_vec(), true)), "the reply was lost");
        assert_eq!((place.desk.fetched.get(), place.desk.over.get()), (1, 0));
        assert_eq!(place.desk.work(), BackupWork::Rest);
        assert_eq!(place.ask(2, 0), NOTHING_YET, "the next one");
        assert_eq!(place.ask(1, 1), Err(Status::BACKUP_OVER));
    }

    #[test]
    fn one_at_a_time_until_nobody_asks_any_more() {
        let place = Place::new();
        assert_eq!(place.ask(1, 0), NOTHING_YET);
        assert_eq!(place.ask(2, 0), Err(Status::BACKUP_RUNNING));
        assert_eq!(place.ask(2, 1), Err(Status::BACKUP_OVER), "it never began");
        place.clock.advance(BACKUP_IDLE_MS);
        assert_eq!(place.ask(1, 0), NOTHING_YET, "it is still asked for");
        place.clock.advance(BACKUP_IDLE_MS + 1);
        assert_eq!(place.desk.work(), BackupWork::Rest);
        assert_eq!(place.ask(1, 0), Err(Status::BACKUP_OVER));
        assert_eq!(place.ask(2, 0), NOTHING_YET);
        assert_eq!((place.desk.fetched.get(), place.desk.over.get()), (0, 1));
        // A block of the one before comes too late.
        place.put(1, b"old", true);
        assert_eq!(place.ask(2, 0), NOTHING_YET);
    }

    #[test]
    fn no_more_blocks_are_ahead_than_may_be() {
        let place = Place::new();
        assert_eq!(place.ask(1, 0), NOTHING_YET);
        for _ in 0..BACKUP_BLOCKS_AHEAD_MAX {
            assert!(matches!(place.desk.work(), BackupWork::Take { .. }));
            place.put(1, b"x", false);
        }
        assert_eq!(place.desk.work(), BackupWork::Wait);
        place.ask(1, 1).unwrap();
        assert!(matches!(place.desk.work(), BackupWork::Take { .. }), "one was fetched");
        place.desk.give_up(BackupOver::Overrun);
        assert_eq!(place.ask(1, 1), Err(Status::BACKUP_OVER));
    }
}
