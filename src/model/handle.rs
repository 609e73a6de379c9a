//! Small numbers that stand for ids inside the server and its records, and the map from networks
//! to workers.

use addrd_protocol::{NetworkId, ProjectId};

/// Number of a network, subnet pool, address scope or project in records and rows; given at creation,
/// never that of two live ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkHandle(pub u32);

/// Number of a subnet inside its network; never that of two live subnets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubnetHandle(pub u32);

/// Number of a worker, 0-based.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

/// The worker that owns a network. Only memory is partitioned by it: the number of workers may
/// differ at every start.
#[must_use]
pub fn worker_of(project: ProjectId, network: NetworkId, workers: u16) -> WorkerId {
    if workers <= 1 {
        return WorkerId(0);
    }
    let mixed = (project.0.as_u128() ^ network.0.as_u128().rotate_left(64))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let high = (mixed >> 96) as u64;
    WorkerId(((high * u64::from(workers)) >> 32) as u16)
}
