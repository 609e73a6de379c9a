//! What is wrong, by place: all of it is counted, the first are shown. Decides nothing else.

use crate::cli::fault::Fault;
use crate::cli::output;
use std::fmt::Display;

/// Faults that are printed; the others are counted.
const FAULTS_SHOWN_MAX: usize = 100;

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    shown: usize,
    /// All of them.
    pub(super) count: u64,
}

impl Faults {
    /// `place` is where it is, for people.
    pub(super) fn add(&mut self, place: impl Display, what: impl Display) {
        self.count += 1;
        if self.shown < FAULTS_SHOWN_MAX {
            self.shown += 1;
            output::to_stderr(&format!("{place}: {what}"));
        }
    }

    /// A refusal if there are any.
    pub(super) fn verdict(&self, what: &str) -> Result<(), Fault> {
        match self.count {
            0 => Ok(()),
            1 => Err(Fault::Refused(format!("1 fault; {what}"))),
            count => Err(Fault::Refused(format!("{count} faults; {what}"))),
        }
    }
}
