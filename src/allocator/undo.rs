//! The way back out of a batch: what each of its effects replaced. Decides nothing.

use crate::model::{AllocationRow, Revision};

/// How one effect is taken back.
#[derive(Debug)]
pub(super) enum Step {
    /// The allocation was new; the cursor of its subnet stood here.
    Fresh { subnet: u32, offset: u128, cursor: u128 },
    /// The allocation was so.
    Was { subnet: u32, row: AllocationRow },
}

/// Steps back to where a batch began. Empty outside of batches.
#[derive(Debug, Default)]
pub(super) struct Undo {
    pub(super) active: bool,
    pub(super) steps: Vec<Step>,
    /// Revision of the network at the beginning.
    pub(super) revision: Revision,
}
