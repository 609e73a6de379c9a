//! From a data directory to a running engine: create or open, recover, start. Serves nothing.

use super::clock::{Clock, Hands, SystemClock};
use super::handle::Identity;
use super::recovery::{Recovery, StartProgress};
use super::start::{AuditStart, Running, Start, start};
use super::threads::OnFailure;
use crate::allocator::{Catalogue, Shard, ShardSettings, UsageLevels};
use crate::audit::Audited;
use crate::model::{Seq, ServerId, Tick};
use crate::store::history::{self, HistorySettings};
use crate::store::{
    Disk, Presence, RealDisk, Recovered, Settings, Store, StoreError, give_up_reserve,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an engine is booted with.
pub struct Boot {
    /// The data directory; made if it is not there.
    pub data: PathBuf,
    /// How the store is opened.
    pub store: Settings,
    /// How much of history is kept; `None` = nothing.
    pub history: Option<HistorySettings>,
    /// What is written to the audit log, and where; `None` = there is none.
    pub audit: Option<AuditSettings>,
    /// A new directory begins in adoption mode.
    pub adopts_if_new: bool,
    /// Workers, at least one.
    pub workers: u16,
    /// Most records in memory, over all workers.
    pub memory_records_max: u64,
    /// How far the wall clock may be ahead of the last journalled tick to be believed, ms.
    pub clock_jump_ms_max: u64,
    /// How long leases go on at least after a start, a standstill or a doubt of the clock, ms.
    pub restart_grace_ms: u64,
    /// Levels of use of subnets and pools that are told.
    pub usage_levels: UsageLevels,
    /// What the clock is read from.
    pub hands: Box<dyn Hands>,
    /// Called when a thread cannot go on.
    pub on_failure: OnFailure,
    /// Told how far it is.
    pub progress: Arc<StartProgress>,
}

/// How an audit log is kept.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Where; made if it is not there.
    pub directory: PathBuf,
    /// What has lines.
    pub audited: Audited,
    /// Bytes of all its files, at most.
    pub bytes_max: u64,
}

/// A booted engine.
#[derive(Debug)]
pub struct Booted {
    /// The engine.
    pub running: Running,
    /// The directory was empty before.
    pub is_new: bool,
    /// What was found.
    pub recovered: Recovered,
    /// Effects absorbed.
    pub effects: u64,
    /// How far the wall clock is behind the last journalled tick, ms.
    pub clock_behind_ms: u64,
}

impl Booted {
    /// Nothing was ever written: the directory is new, or as good as new.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.recovered.next == Seq(1)
    }
}

/// Why an engine did not start.
#[derive(Debug)]
pub enum BootError {
    /// The data directory can't be made or looked at.
    Directory(PathBuf, std::io::Error),
    /// The directory of the audit log can't be made or looked at.
    Audit(PathBuf, std::io::Error),
    /// The store in this directory refuses.
    Store(PathBuf, StoreError),
    /// The system gives no thread.
    Threads(std::io::Error),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, _) => {
                write!(f, "the data directory {} can't be used", path.display())
            }
            Self::Audit(path, _) => {
                write!(f, "the directory of the audit log {} can't be used", path.display())
            }
            Self::Store(path, source) => f.write_str(&source.in_directory(path)),
            Self::Threads(_) => f.write_str("no thread could be started"),
        }
    }
}

impl std::error::Error for BootError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory(_, source) | Self::Audit(_, source) | Self::Threads(source) => {
                Some(source)
            }
            // Its own text is in ours.
            Self::Store(_, source) => source.source(),
        }
    }
}

/// Creates or opens the data directory, recovers, and starts all threads.
///
/// # Errors
/// [`BootError`]; a refusal changes no file.
pub fn boot(boot: Boot) -> Result<Booted, BootError> {
    // A wall clock of 0 is no time at which anything begins.
    let adoption = if boot.adopts_if_new { Tick(boot.hands.wall_ms().max(1)) } else { Tick(0) };
    let (mut store, is_new) = open(&boot.data, &boot.store, adoption)?;
    let audit = boot.audit.map(open_audit).transpose()?;
    let seed = uuid::Uuid::new_v4().as_u64_pair().0;
    // Not of the seed: that is a secret, and this is not.
    let run = uuid::Uuid::new_v4().as_u64_pair().0;
    let records_max = boot.memory_records_max / u64::from(boot.workers.max(1));
    let settings = ShardSettings { seed, records_max };
    let mut recovery = Recovery::new(boot.workers, settings, Arc::clone(&boot.progress));
    let recovered = store.recover(&mut recovery);
    let recovered = recovered.map_err(|error| BootError::Store(boot.data.clone(), error))?;
    boot.progress.set(1, 1);
    let effects = recovery.effects();
    let sealer = store.journal.sealer(store.identity());
    let format = store.format();
    let (journal, checkpointer, disk) = store.split();
    let (mut shards, mut catalogue) = recovery.finish(recovered.network_handle_max);
    catalogue.restore_adoption(recovered.adoption);
    catalogue.set_usage_levels(boot.usage_levels);
    catalogue.set_restart_grace(boot.restart_grace_ms);
    for shard in &mut shards {
        shard.set_run(run);
        shard.set_adopting(recovered.adoption != Tick(0));
        shard.set_restart_grace(boot.restart_grace_ms);
        shard.set_usage_levels(boot.usage_levels);
    }
    let has_deadlines = has_deadlines(&catalogue, &shards);
    let has_files = history::exists(&*disk);
    if has_files && boot.history.is_none() {
        tracing::warn!("history is off, and its files are there still: history-* can be removed");
    }
    let jump_ms_max = boot.clock_jump_ms_max;
    // What is too old goes for good: a time that would take half of history away is doubted as well.
    let half_ms = boot.history.filter(|_| has_files).map(|history| history.age_ms_max / 2);
    let (depends, believed_ms) = match half_ms.filter(|_| !has_deadlines) {
        Some(half_ms) => (true, half_ms.max(jump_ms_max)),
        None => (has_deadlines, jump_ms_max),
    };
    let clock = SystemClock::over(boot.hands, recovered.tick, believed_ms, depends);
    let clock_behind_ms = clock.behind_ms(recovered.tick);
    let ahead_ms = clock.tick().since(recovered.tick);
    if ahead_ms > jump_ms_max {
        // Nothing that a wrong time could end for good says no; a rest is made up for.
        shards.iter_mut().for_each(|shard| shard.prolong_rests(ahead_ms));
    }
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let running = start(Start {
        shards,
        catalogue,
        journal: Box::new(journal),
        sealer,
        checkpointer,
        directory: Some(boot.data),
        disk,
        history: boot.history,
        audit,
        identity: Identity { server_id: format.server, incarnation: format.incarnation },
        memory_records_max: boot.memory_records_max,
        clock,
        on_failure: boot.on_failure,
    })
    .map_err(BootError::Threads)?;
    Ok(Booted { running, is_new, recovered, effects, clock_behind_ms })
}

/// Taken by the server that writes an audit log there.
const AUDIT_LOCK: &str = "lock";

fn open_audit(settings: AuditSettings) -> Result<AuditStart, BootError> {
    let AuditSettings { directory, audited, bytes_max } = settings;
    let locked =
        RealDisk::make_for_group(&directory).and_then(|disk| match disk.lock(AUDIT_LOCK)? {
            true => Ok(disk),
            false => Err(std::io::Error::other("another server writes its audit log there")),
        });
    match locked {
        Ok(disk) => Ok(AuditStart { disk: Arc::new(disk), audited, bytes_max }),
        Err(error) => Err(BootError::Audit(directory, error)),
    }
}

/// Whether anything ends at a time, which a wrong one could end for good.
fn has_deadlines(catalogue: &Catalogue, shards: &[Shard]) -> bool {
    let has = |shard: &Shard| shard.leases() > 0 || shard.has_host_leases();
    catalogue.leases() > 0 || shards.iter().any(has)
}

fn open(path: &Path, settings: &Settings, adoption: Tick) -> Result<(Store, bool), BootError> {
    RealDisk::make(path).map_err(|error| BootError::Directory(path.to_owned(), error))?;
    let disk = || Arc::new(RealDisk::new(path)) as Arc<dyn Disk>;
    let opened = match open_store(disk(), settings, adoption) {
        Err(StoreError::Io { source, .. }) if is_full(&source) && gives_up(&*disk()) => {
            open_store(disk(), settings, adoption)
        }
        opened => opened,
    };
    opened.map_err(|error| BootError::Store(path.to_owned(), error))
}

fn is_full(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::StorageFull
}

/// Whether there was a reserve to give up. If it can't be looked at, the first error says why.
fn gives_up(disk: &dyn Disk) -> bool {
    give_up_reserve(disk).unwrap_or(false)
}

fn open_store(
    disk: Arc<dyn Disk>,
    settings: &Settings,
    adoption: Tick,
) -> Result<(Store, bool), StoreError> {
    match Store::presence(&*disk)? {
        Presence::Present => Ok((Store::open(disk, settings)?, false)),
        Presence::Absent | Presence::Unfinished => {
            let server = ServerId(uuid::Uuid::new_v4());
            Ok((Store::create_since(disk, settings, server, adoption)?, true))
        }
    }
}

impl fmt::Debug for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boot").field("data", &self.data).finish_non_exhaustive()
    }
}
