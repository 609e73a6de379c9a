//! Says in the log which hosts didn't renew their leases. Decides nothing.

use crate::allocator::HostEnd;
use addrd_protocol::message::OnEnd;

/// A line for each; the log leaves out what is more than a few a second.
pub(super) fn log(ends: &[HostEnd]) {
    for HostEnd { of, on_end, following } in ends {
        let (project, manager, host) = (of.project, &of.manager, &of.host);
        match on_end {
            OnEnd::Release => tracing::warn!(
                %project, %manager, %host, following,
                "the lease of a host has ended: what follows it is released"
            ),
            OnEnd::Report => tracing::warn!(
                %project, %manager, %host, following,
                "the lease of a host is overdue: nothing is released"
            ),
        }
    }
}
