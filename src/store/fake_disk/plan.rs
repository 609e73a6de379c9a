//! When an operation fails, and how.

use std::io;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading, opening, listing.
    Read,
    /// Writing.
    Write,
    /// Syncing a file or the names.
    Sync,
    /// Cutting or extending a file.
    SetLen,
    /// Creating, renaming, removing a file.
    Name,
    /// Any of these.
    Any,
}

/// How an operation fails. Numbers are errors of the system: 5 = EIO, 28 = ENOSPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// With this error, and without an effect.
    Error(i32),
    /// With this error, after half of a write.
    Short(i32),
    /// A sync, with this error, after which what was written stays readable until the page cache
    /// is dropped or the power goes, and never reaches the disk.
    Forgotten(i32),
    /// The power goes while it runs: it may have had an effect, and nothing works afterwards.
    Power,
}

/// One planned failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Operations of this kind are counted, from 1.
    pub operation: Operation,
    /// This one fails.
    pub at: u64,
    /// So.
    pub failure: Failure,
    /// And all of the kind after it.
    pub for_good: bool,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Run,
    Fail(Failure),
}

impl Verdict {
    /// The end of an operation that may have had an effect.
    pub(super) fn end<T>(self, done: T) -> io::Result<T> {
        match self {
            Self::Run => Ok(done),
            Self::Fail(Failure::Power) => Err(io::Error::other("the power is gone")),
            Self::Fail(Failure::Error(code) | Failure::Short(code) | Failure::Forgotten(code)) => {
                Err(io::Error::from_raw_os_error(code))
            }
        }
    }
}

/// All planned failures, and how many operations there were.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Fault>,
    counts: [u64; 6],
    powerless: bool,
    failed: bool,
}

impl Plan {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn count(&self, operation: Operation) -> u64 {
        self.counts[operation as usize]
    }

    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    pub(super) fn judge(&mut self, operation: Operation) -> Verdict {
        self.counts[operation as usize] += 1;
        self.counts[Operation::Any as usize] += 1;
        if self.powerless {
            return Verdict::Fail(Failure::Error(5));
        }
        let counts = self.counts;
        let hit = self.faults.iter().find(|fault| {
            let counted = operation == fault.operation || fault.operation == Operation::Any;
            let count = counts[fault.operation as usize];
            counted && (count == fault.at || (fault.for_good && count > fault.at))
        });
        let Some(fault) = hit else { return Verdict::Run };
        self.failed = true;
        self.powerless = fault.failure == Failure::Power;
        Verdict::Fail(fault.failure)
    }
}
