//! Who asked for a change: what the journal keeps of it, for history and audit. Nothing is decided on it.

use addrd_protocol::{Opcode, PrincipalId};

/// Who had something changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Asker {
    /// Nobody who is known: the server itself (leases and rests that end, jobs), or anybody, where nobody is asked
    /// who he is.
    #[default]
    Nobody,
    /// The operator.
    Operator,
    /// A principal.
    Principal(PrincipalId),
}

/// Who asked, and for what. In the journal it stands for all records behind it, up to the next one or the end of the
/// batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub by: Asker,
    /// What was asked for. `None`: the records say it (allocations, releases), or nobody asked.
    pub opcode: Option<Opcode>,
}

impl Asked {
    /// By whom, with which operation. Allocations and releases of one address aren't told apart: their records do.
    #[must_use]
    pub fn new(by: Asker, opcode: Opcode) -> Self {
        if by == Asker::Nobody {
            return Self::default();
        }
        let is_plain = opcode == Opcode::ALLOCATE || opcode == Opcode::RELEASE;
        Self { by, opcode: (!is_plain).then_some(opcode) }
    }
}
