//! Checks a data directory without touching it: everything is opened above a view whose writes
//! stay in memory, the journal is folded there, and the whole state is looked at once.

use super::disk::Disk;
use super::error::StoreError;
use super::inspect::Inspector;
use super::journal::Journal;
use super::overlay_disk::OverlayDisk;
use super::recover::Restore;
use super::{Format, Settings, Step, Store, history};
use crate::limits::CHECK_FINDINGS_MAX;
use crate::model::{Effect, NetworkHandle, Revision, Seq, SubnetHandle};
use std::sync::Arc;

/// What a check is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStage {
    /// Opening: checksums of every page of the journal, every batch and its place.
    Opening,
    /// Folding the journal into the state, in memory.
    Folding,
    /// Looking at every row of the state.
    Reading,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckProgress {
    /// What it is doing.
    pub stage: CheckStage,
    /// Steps or objects of the stage that are done.
    pub done: u64,
}

/// Something that should not be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was found, for people.
    pub what: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The first [`CHECK_FINDINGS_MAX`] findings; none = the directory is sound.
    pub findings: Vec<Finding>,
    /// There were more.
    pub more: bool,
    /// The last hand-over in the journal.
    pub last: Seq,
    /// Up to here the state was folded.
    pub folded: Seq,
    /// Networks.
    pub networks: u64,
    /// Subnets.
    pub subnets: u64,
    /// Ports.
    pub ports: u64,
    /// Live allocations.
    pub allocations: u64,
    /// Addresses and blocks that rest, or have rested and are not taken away yet.
    pub resting: u64,
    /// Jobs.
    pub jobs: u64,
}

impl CheckReport {
    pub(crate) fn find(&mut self, what: impl Into<String>) {
        if self.findings.len() < CHECK_FINDINGS_MAX {
            self.findings.push(Finding { what: what.into() });
        } else {
            self.more = true;
        }
    }
}

/// Checks the directory of a disk; nothing on it is changed.
///
/// Memory: what the journal changes of the state, and a number for each allocation of the largest
/// network.
///
/// # Errors
/// [`StoreError::Locked`] if a server uses it, [`StoreError::Absent`] and the like if it is none;
/// everything else that is wrong is in the report.
pub fn check(
    disk: Arc<dyn Disk>,
    settings: &Settings,
    progress: &mut dyn FnMut(CheckProgress),
) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    progress(CheckProgress { stage: CheckStage::Opening, done: 0 });
    let view: Arc<dyn Disk> = Arc::new(OverlayDisk::new(disk));
    match Store::open_checked(Arc::clone(&view), settings) {
        Ok(store) => {
            let Format { server, incarnation } = store.format();
            if let Err(error) = inspect(store, &mut report, progress) {
                report.find(told(&error));
            }
            // The state counts more: it comes first, whatever is wrong with history.
            let identity = (server, incarnation);
            let mut find = |what| report.find(what);
            if let Err(error) = history::check(&*view, identity, &mut find) {
                report.find(format!("history can't be read: {error}"));
            }
        }
        Err(
            error @ (StoreError::Locked { .. }
            | StoreError::Absent { .. }
            | StoreError::Unfinished { .. }
            | StoreError::Strange { .. }
            | StoreError::Newer { .. }
            | StoreError::Io { .. }),
        ) => return Err(error),
        Err(error) => report.find(told(&error)),
    }
    Ok(report)
}

/// An error with its causes.
fn told(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn inspect(
    mut store: Store,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(CheckProgress),
) -> Result<(), StoreError> {
    report.folded = store.checkpointer.folded();
    report.last = Seq(store.journal.position().next.0 - 1);
    // A chunk that a crash cut short comes first, as at every start.
    store.recover(&mut Nothing)?;
    let mut done = 0;
    while store.checkpointer.is_working() || store.checkpointer.begin(u64::MAX, report.last) {
        done += 1;
        progress(CheckProgress { stage: CheckStage::Folding, done });
        if store.checkpointer.step()? == Step::Idle {
            break;
        }
    }
    let mut inspector = Inspector::new(report, progress);
    store.recover(&mut inspector)?;
    inspector.finish();
    Ok(())
}

/// Takes everything and keeps nothing.
struct Nothing;

impl Restore for Nothing {
    fn effect(&mut self, _: &Effect) -> Result<(), String> {
        Ok(())
    }

    fn revision(&mut self, _: NetworkHandle, _: Revision) {}

    fn cursor(&mut self, _: NetworkHandle, _: SubnetHandle, _: u128) {}
}
