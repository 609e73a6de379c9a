//! Host leases as they are stored: of no network, since a host may have something in any.

use super::{ProjectId, Text};
use addrd_protocol::message::OnEnd;

/// What names a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// Its project.
    pub project: ProjectId,
    /// Its manager.
    pub manager: Text,
    /// Its name.
    pub host: Text,
}

/// The lease of a host. What follows it names its life; what follows another life has ended.
///
/// Source: docs/decisions/0032-host-leases.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLeaseRow {
    /// Whose.
    pub of: HostName,
    /// The life of the host that it is of; never 0.
    pub life: u64,
    /// Its end, ms since the Unix epoch.
    pub deadline: u64,
    /// What comes of it then.
    pub on_end: OnEnd,
    /// Its end was told, and nothing came of it.
    pub overdue: bool,
}
