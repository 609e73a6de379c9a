//! Host leases as they are stored: of no network, since a host may have something in any.

use super::{ProjectId, Text};
use addrd_protocol::message::OnEnd;

/// What names a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName {
    /// Its project.
    pub project: ProjectId,
    /// Its manager.
    pub manager: Text,
    /// Its name.
    pub host: Text,
}

/// The lease of a host. What follows it names a life; what follows one that is not of the present has ended.
///
/// Source: docs/decisions/0032-host-leases.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLeaseRow {
    /// Whose.
    pub of: HostName,
    /// What follows a life from this one on is of the present; never 0.
    pub since: u64,
    /// The last life of the host that began; never below `since`.
    pub life: u64,
    /// Its end, ms since the Unix epoch.
    pub deadline: u64,
    /// What comes of it then.
    pub on_end: OnEnd,
    /// Its end was told, and nothing came of it.
    pub overdue: bool,
}
