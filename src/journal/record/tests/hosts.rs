//! Host leases of the golden file, and something that follows a host.

use super::*;
use crate::model::{HostLeaseRow, HostName};
use addrd_protocol::message::OnEnd;

fn golden() -> HostLeaseRow {
    let of = HostName {
        project: ProjectId::from_u128(3),
        manager: golden_text("m").unwrap(),
        host: golden_text("hh").unwrap(),
    };
    HostLeaseRow { of, since: 7, life: 9, deadline: 1, on_end: OnEnd::Release, overdue: false }
}

fn follower() -> AllocationRow {
    let (manager, host) = (golden_text("m"), golden_text("hh"));
    let extras = AllocationExtras { follows: Some(9), manager, host, ..Default::default() };
    AllocationRow { extras: Some(Box::new(extras)), ..plain(2) }
}

pub(super) fn effects() -> [(&'static str, Effect); 3] {
    [
        ("host-lease-put", Effect::HostLeasePut(Box::new(golden()))),
        ("host-lease-gone", Effect::HostLeaseGone { of: Box::new(golden().of), life: 9 }),
        ("allocation-follows", Effect::AllocationPut(follower())),
    ]
}
