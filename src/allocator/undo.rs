//! The way back out of a batch or of an operation on a port: what each effect replaced. Decides
//! nothing.

use super::accounts::SHARED_QUOTAS;
use crate::model::{AllocationRow, PortRow, Revision};

/// How one effect is taken back.
#[derive(Debug)]
pub(super) enum Step {
    /// The allocation was new; the cursor of its subnet stood here.
    Fresh { subnet: u32, offset: u128, cursor: u128 },
    /// The allocation was so; its deadline was written after so many grace periods.
    Was { subnet: u32, row: AllocationRow, grace: u32 },
    /// The port was new.
    PortFresh { network: u32, created: Revision },
    /// The port was so.
    PortWas { network: u32, row: Box<PortRow> },
}

/// A place to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Savepoint {
    pub(super) was_active: bool,
    pub(super) steps: usize,
    pub(super) network: u32,
    /// Revision of the network there.
    pub(super) revision: Revision,
    /// The account that pays for what follows, and its credit there.
    pub(super) payer: Option<(u32, [i64; SHARED_QUOTAS])>,
}

/// Steps back to where the outermost one began. Empty outside of them.
#[derive(Debug, Default)]
pub(super) struct Undo {
    pub(super) active: bool,
    /// What is done is one whole, whose units are taken at its end.
    pub(super) is_whole: bool,
    pub(super) steps: Vec<Step>,
}
