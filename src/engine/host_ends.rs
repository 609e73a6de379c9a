//! Says in the log that hosts didn't renew their leases. Which ones they are, list and feed tell: names are texts of
//! clients, and in no line. Decides nothing.

use crate::allocator::HostEnd;
use addrd_protocol::message::OnEnd;

/// A line for each; the log leaves out what is more than a few a second.
pub(super) fn log(ends: &[HostEnd]) {
    for HostEnd { of, on_end, following } in ends {
        let project = of.project;
        match on_end {
            OnEnd::Release => tracing::warn!(
                %project, following,
                "the lease of a host has ended: what follows it is released"
            ),
            OnEnd::Report => tracing::warn!(
                %project, following,
                "the lease of a host is overdue: nothing is released"
            ),
        }
    }
}
