//! Records to lines of the audit log: who had what changed, and who tried what he may not. Pure: follows the journal, so
//! the lines of a batch are the same whenever it is read; writes no file.
//!
//! Source: docs/decisions/0040-audit.md, docs/audit.md.

mod line;
mod mark;
mod projection;
#[cfg(test)]
mod tests;

pub use line::{Attempt, Begin, Gap, begin, gap, mark, missed};
pub use mark::{Header, Mark, whole_lines};
pub use projection::{Audited, Projection};
